"""Reductions over one row to all rows of a sweep, and the faults that only many rows show."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import xentcheck
from tests.running import invoke
from xentcheck.auditing.run import audit
from xentcheck.losses import LOSSES
from xentcheck.measurement.scoring import Tolerance
from xentcheck.model import Case, Config, Implementation, Kind, LabelKind, Limit, Quantity, Report
from xentcheck.reference import Element, Reference, Tier, exact, exact_in_block
from xentcheck.sweeps import cases, standard_sweeps
from xentcheck.sweeps.standard import LONG

CE = "softmax_cross_entropy"
BCE = "sigmoid_binary_cross_entropy"
Array = np.ndarray[Any, Any]


def rows_of(x: Array, y: Array) -> Array:
    """Cross-entropy of each row in float64, by the other classes alone: nothing cancels."""
    wide, at = x.astype(np.float64), np.arange(len(x))
    others = wide - wide[at, y][:, None]
    others[at, y] = -np.inf
    return np.logaddexp(0.0, np.logaddexp.reduce(others, axis=1))


def gradient_of(x: Array, y: Array) -> Array:
    wide, at = x.astype(np.float64), np.arange(len(x))
    e = np.exp(wide - wide.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[at, y] = 0.0
    p[at, y] = -p.sum(axis=1)
    return p


def sound(x: Array, y: Array, reduction: str) -> Array:
    values = rows_of(x, y)
    with np.errstate(over="ignore"):
        return np.asarray(getattr(values, reduction)()).astype(x.dtype)


def sound_gradient(x: Array, y: Array, reduction: str) -> Array:
    divisor = len(x) if reduction == "mean" else 1
    return (gradient_of(x, y) / divisor).astype(x.dtype)


def chunked(size: int) -> Callable[..., Array]:
    def value(x: Array, y: Array, reduction: str) -> Array:
        values = rows_of(x, y)
        means = [values[k : k + size].mean() for k in range(0, len(values), size)]
        return np.asarray(np.mean(means)).astype(x.dtype)

    return value


def counted(kind: Any) -> Callable[..., Array]:
    def value(x: Array, y: Array, reduction: str) -> Array:
        with np.errstate(all="ignore"):
            count = np.array(len(x)).astype(kind)
            return np.asarray(rows_of(x, y).sum() / np.float64(count)).astype(x.dtype)

    return value


def running(x: Array, y: Array, reduction: str) -> Array:
    """A running sum in the dtype: in float16 it stops growing at 2048 times its terms."""
    with np.errstate(over="ignore"):
        total = np.add.accumulate(rows_of(x, y).astype(x.dtype), dtype=x.dtype)[-1]
        return np.asarray(total / x.dtype.type(len(x)) if reduction == "mean" else total)


def overflowing(x: Array, y: Array, reduction: str) -> Array:
    """The sum before the mean, pairwise but in the dtype: 100,000 times 1.6 is no float16."""
    with np.errstate(over="ignore"):
        total = rows_of(x, y).sum().astype(x.dtype)
    return np.asarray(np.float64(total) / len(x)).astype(x.dtype)


def narrow_gradient(x: Array, y: Array, reduction: str) -> Array:
    """1/n in the dtype: of more than 65,519 rows n is no float16."""
    with np.errstate(over="ignore"):
        return gradient_of(x, y).astype(x.dtype) / x.dtype.type(len(x))


def chunked_gradient(x: Array, y: Array, reduction: str) -> Array:
    """Divided by the number of rows of a chunk of 4096."""
    return (gradient_of(x, y) / min(len(x), 4096)).astype(x.dtype)


def mine(name: str, value: Any, gradient: Any = None, loss: str = CE) -> Implementation:
    dtypes = ("float16", "bfloat16", "float32", "float64")
    return Implementation(
        loss, name, value, gradient, dtypes, tuple(LabelKind), frozenset({"reduction"})
    )


def long_sweep(dtype: str, reduction: str = "mean", loss: str = CE) -> Any:
    axes = {"reduction": (reduction,)}
    (found,) = [
        each for each in standard_sweeps(LOSSES[loss], (dtype,), None, axes) if each.name == "long"
    ]
    return replace(found, implementations=("*",))


def audited(dtype: str, *implementations: Implementation, reduction: str = "mean") -> Report:
    names = tuple(each.name for each in implementations)
    sweep = replace(long_sweep(dtype, reduction), implementations=names)
    config = Config((sweep,), (Limit(Tolerance(max_ulp=4.0)),))
    return audit(config, extra=implementations)


FAULTS = [
    # what, dtype, value, the shortest block it fails on (None: a gradient), kinds
    *(("chunks", "float32", chunked(n), first) for n, first in ((32, 255), (256, 257))),
    *(("chunks", "float32", chunked(n), first) for n, first in ((1000, 4095), (4096, 4097))),
    ("chunks", "float32", chunked(65_536), 65_537),
    ("chunks", "float16", chunked(65_536), 65_537),
    ("chunks", "bfloat16", chunked(4096), 4097),
    ("count", "float32", counted(np.uint8), 257),
    ("count", "float32", counted(np.int16), 65_537),
    ("count", "float32", counted(np.float16), 65_537),
    ("sum", "float16", running, 255),
    ("sum", "bfloat16", running, 255),
    ("sum", "float32", running, 4095),
    ("overflow", "float16", overflowing, 65_537),
]


@pytest.mark.parametrize(("what", "dtype", "value", "first"), FAULTS)
def test_a_fault_of_many_rows_is_found_and_not_of_fewer(
    what: str, dtype: str, value: Any, first: int
) -> None:
    wrong = []

    def noted(x: Array, y: Array, reduction: str) -> Array:
        got = value(x, y, reduction)
        truth = rows_of(x, y).mean()
        with np.errstate(all="ignore"):
            if not abs(float(got) - truth) <= 16 * truth * float(np.finfo(np.float16).eps):
                wrong.append(len(x))
        return got

    report = audited(dtype, mine("faulty", noted))
    assert report.violations, what
    shown = {each.finding.witness.logits.shape[0] for each in report.violations}
    assert shown <= set(LONG)
    assert min(shown) >= min(first, 255)
    if what in ("chunks", "count", "overflow"):
        # what float64 says is wrong by far is wrong from that block on, and on none before
        assert not wrong or min(wrong) >= first
        assert max(shown) >= first
    if what == "overflow":
        assert {each.finding.kind for each in report.violations} == {Kind.SPURIOUS_OVERFLOW}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sound_reduction_passes_up_to_100_000_rows(dtype: str, reduction: str) -> None:
    lengths: dict[int, None] = {}

    def value(x: Array, y: Array, reduction: str) -> Array:
        lengths[len(x)] = None
        return sound(x, y, reduction)

    report = audited(dtype, mine("sound", value, sound_gradient), reduction=reduction)
    if dtype == "float64":  # the rows' own errors are of the dtype in this gradient: 8 ulp
        assert all(each.finding.cell.quantity is Quantity.GRADIENT for each in report.violations)
    else:
        assert not report.violations
    assert not report.uncertified
    assert set(LONG) <= set(lengths)
    # what was compared is what is counted
    assert {each.rows for each in report.measurements} == {sum(LONG)}


@pytest.mark.parametrize(
    ("dtype", "gradient"), [("float16", narrow_gradient), ("float32", chunked_gradient)]
)
def test_gradients_of_long_reductions_are_scored(dtype: str, gradient: Any) -> None:
    report = audited(dtype, mine("faulty", sound, gradient))
    assert {each.finding.cell.quantity for each in report.violations} == {Quantity.GRADIENT}
    assert min(each.finding.witness.logits.shape[0] for each in report.violations) >= 4097


def test_ignored_rows_that_are_counted_are_found() -> None:
    def value(x: Array, y: Array, reduction: str, ignore_index: int = -100) -> Array:
        kept = y != ignore_index
        values = np.where(kept, rows_of(x, np.where(kept, y, 0)), 0.0)
        return np.asarray(values.mean()).astype(x.dtype)

    made = replace(mine("counted", value), parameters=frozenset({"reduction", "ignore_index"}))
    axes = {"reduction": ("mean",), "ignore_index": (-100,)}
    sweep = next(
        each
        for each in standard_sweeps(LOSSES[CE], ("float32",), None, axes)
        if each.name == "long"
    )
    sweep = replace(sweep, implementations=("counted",), quantities=(Quantity.VALUE,))
    report = audit(Config((sweep,), (Limit(Tolerance()),)), extra=(made,))
    assert max(each.finding.witness.logits.shape[0] for each in report.violations) >= 255


# The sizes.


def lengths_of(rows: int, scale: float = 1.0, loss: str = BCE) -> list[tuple[int, bool]]:
    text = {
        "sweeps": {
            "s": {
                "losses": loss,
                "dtypes": "float16",
                "labels": {"targets": "random"},
                "inputs": [{"generator": "normal", "rows": rows, "scale": scale, "classes": 2}],
                "parameters": {"reduction": "mean"},
            }
        }
    }
    import yaml

    from xentcheck.config import loads

    config = loads(yaml.safe_dump(text))
    made = cases(config.sweeps[0], LOSSES[loss], "float16", 0)
    return [(case.rows, case.again) for case in made]


@pytest.mark.parametrize("loss", [BCE, CE])
def test_a_reduction_takes_one_row_to_all_rows_of_the_sweep(loss: str) -> None:
    found = lengths_of(100_000, loss=loss)
    once = [rows for rows, again in found if not again]
    assert sum(once) == 100_000
    assert max(once) == 256
    longer = [rows for rows, again in found if again]
    assert longer[:9] == [1, 2, 3, 5, 17, 65, 257, 1025, 4097]
    assert longer[-1] == 100_000


def test_rows_that_would_hide_the_others_are_left_out_of_long_blocks_and_then_taken() -> None:
    found = lengths_of(2000, scale=60.0, loss=CE)  # gaps beyond 64 are ordinary there
    longer = [rows for rows, again in found if again]
    assert longer[-1] == 2000
    assert 500 < longer[-2] < 2000


def test_more_rows_than_a_reduction_takes_at_once_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_REDUCED", 3000)
    sweep = {
        "losses": CE,
        "dtypes": "float32",
        "implementations": "numpy.accurate",
        "inputs": [{"generator": "normal", "rows": 2000, "classes": 3}],
        "labels": {"targets": "random"},
        "parameters": {"reduction": "mean"},
    }
    report = xentcheck.audit({"sweeps": {"s": sweep}})
    assert any("1,000 of its 2,000 rows at once" in each.reason for each in report.skips)


# The reference.


def block(rows: int, dtype: str = "float32", **parameters: Any) -> Case:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 3)).astype(dtype)
    y = rng.integers(0, 3, rows)
    given = {"reduction": "mean", **parameters}
    return Case("s", "g", CE, dtype, x, LabelKind.INTEGER, y, given)


def test_the_mean_of_many_distinct_rows_is_certified_without_one_mpmath_row_each() -> None:
    case = block(30_000)
    found, _ = exact_in_block(Element(case, 0, Quantity.VALUE))
    # the independent reason: every row in float64 to 1e-15, added up exactly
    import math

    want = math.fsum(rows_of(case.logits, case.labels)) / case.rows
    assert abs(float(found.midpoints()[0]) - want) <= 1e-14 * want
    assert float(found.radius[0]) < 2.0**-80
    gradient, condition = exact_in_block(Element(case, 29_999, Quantity.GRADIENT, 1))
    with mpmath.workprec(200):
        x = [mpmath.mpf(float(each)) for each in case.logits[29_999]]
        p = mpmath.exp(x[1]) / sum(map(mpmath.exp, x)) - (case.labels[29_999] == 1)
        assert abs(float(gradient.midpoints()[0]) - p / 30_000) <= abs(p / 30_000) * 2.0**-52
    assert condition[0] >= 1


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equal_rows_are_worked_out_once_and_counted(reduction: str) -> None:
    few = block(7, reduction=reduction)
    index = np.arange(700) % 7
    many = replace(few, logits=few.logits[index], labels=few.labels[index])
    one, other = exact(few), exact(many)
    times = 100 if reduction == "sum" else 1
    value = times * one.value.midpoints()
    assert float(other.value.midpoints()) == pytest.approx(float(value), rel=1e-15)
    part = 1 if reduction == "sum" else 100
    np.testing.assert_allclose(
        other.gradient.midpoints()[:7], one.gradient.midpoints() / part, rtol=1e-15
    )
    assert other.gradient.shape == (700, 3)


def test_the_reference_of_a_long_reduction_takes_bounded_memory() -> None:
    case = block(200_000)
    tracemalloc.start()
    Reference(case, frozenset({Quantity.VALUE}), (Tier.FLOAT64, Tier.MPMATH))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # all pieces of all rows at once took 60 times what the logits take
    assert peak < 8 * case.logits.nbytes


def test_the_command_finds_a_chunked_mean(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        """
import numpy as np


def loss(x, y, reduction):
    at, wide = np.arange(len(x)), x.astype(np.float64)
    others = wide - wide[at, y][:, None]
    others[at, y] = -np.inf
    values = np.logaddexp(0, np.logaddexp.reduce(others, axis=1))
    return np.float32(np.mean([values[k : k + 5000].mean() for k in range(0, len(x), 5000)]))
""",
        encoding="utf-8",
    )
    command = ("check", "own.py:loss", "--loss", CE, "--param", "reduction=mean")
    options = ("--dtype", "float32", "--gradient", "none", "--workers", "1")
    done = invoke(*command, *options, cwd=tmp_path)
    assert done.exit_code == 1
    text = " ".join(done.stdout.split())
    assert "sweep long" in text
    assert "a block of 100,000 × 3" in text or "a block of 65,537 × 3" in text
