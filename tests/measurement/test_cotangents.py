"""Gradients with an upstream gradient other than one, by functions of NumPy arrays.

The gradient of cross-entropy for [3, 0, 0] and label 0 is [-2s, s, s] with s = 1 / (e^3 + 2).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.running import Result, invoke
from xentcheck import audit
from xentcheck.execution import Caller
from xentcheck.implementations.bridge import upstream_of
from xentcheck.implementations.user import given
from xentcheck.measurement import Arbitration, Tally, close, measure
from xentcheck.model import Array, Case, Cell, Finding, Kind, LabelKind, Quantity, Tolerance
from xentcheck.reference import Reference

CE = "softmax_cross_entropy"
BLOCK = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [1.0, 1.0, 1.5]], dtype=np.float32)
LABELS = np.array([1, 0, 2])
SECOND_ROW = [-0.0905570014873, 0.0452785007436, 0.0452785007436]


def value(x: Array, y: Array, **parameters: Any) -> Array:
    wide = x.astype(np.float64)
    rows = np.arange(len(x))
    top = wide.max(axis=1)
    others = np.exp(wide - top[:, None])
    others[rows, wide.argmax(axis=1)] = 0
    losses = (top - wide[rows, y]) + np.log1p(others.sum(axis=1))
    return np.asarray(losses if not parameters else losses.mean()).astype(x.dtype)


def local(x: Array, y: Array) -> Array:
    wide = x.astype(np.float64)
    rows = np.arange(len(x))
    e = np.exp(wide - wide.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    others = p.copy()
    others[rows, y] = 0
    p[rows, y] = -others.sum(axis=1)
    return p.astype(x.dtype)


def sound(x: Array, y: Array, grad_output: Array) -> Array:
    return local(x, y) * grad_output[:, None]


def first_argument(grad_output: Array, x: Array, y: Array) -> Array:
    return sound(x, y, grad_output)


def between(x: Array, cotangent: Array, y: Array) -> Array:
    return sound(x, y, cotangent)


def keyword_only(x: Array, y: Array, *, upstream: Array) -> Array:
    return sound(x, y, upstream)


def behind_others(x: Array, y: Array, eps: float = 0.0, upstream: Array | None = None) -> Array:
    assert upstream is not None
    assert eps == 0
    return sound(x, y, upstream)


SOUND = (sound, first_argument, between, keyword_only, behind_others)


def faulty(rule: Callable[[Array], Array]) -> Callable[..., Array]:
    def back(x: Array, y: Array, grad_output: Array) -> Array:
        with np.errstate(all="ignore"):
            factor = np.asarray(rule(grad_output))
            return local(x, y) * np.broadcast_to(factor, grad_output.shape)[:, None].astype(x.dtype)

    return back


def case(dtype: str = "float32", **parameters: Any) -> Case:
    block = BLOCK.astype(dtype)
    return Case("s", "explicit", CE, dtype, block, LabelKind.INTEGER, LABELS, parameters)


def found(back: Callable[..., Any], asked: Case | None = None) -> dict[Kind, Finding]:
    asked = asked or case()
    mine = given(CE, "mine", value, back)
    tally = Tally()
    measure(tally, mine, asked, Reference(asked), Quantity.GRADIENT, Tolerance())
    cell = Cell(CE, "mine", asked.dtype, Quantity.GRADIENT, "s")
    return {each.kind: each for each in close(cell, tally, Tolerance(), Arbitration())[1]}


@pytest.mark.parametrize("back", SOUND)
def test_a_gradient_function_is_given_what_it_has_an_argument_for(back: Callable[..., Any]) -> None:
    caller = Caller(given(CE, "mine", value, back), case(), Quantity.GRADIENT)
    assert caller.follows
    weights = np.array([0.0, 1.0, 2.0], dtype=np.float32)
    weighted = caller.call(cotangent=weights)
    np.testing.assert_allclose(weighted[1], SECOND_ROW, rtol=1e-6)
    assert not weighted[0].any()
    # ones, unless something else is asked for
    np.testing.assert_array_equal(weighted[2], 2 * caller.call()[2])
    assert not found(back)


def test_what_has_no_such_argument_is_asked_for_ones() -> None:
    assert not Caller(given(CE, "mine", value, local), case(), Quantity.GRADIENT).follows
    assert not Caller(given(CE, "mine", value, sound), case(), Quantity.VALUE).follows
    assert [upstream_of(each) for each in (local, sound, between, keyword_only)] == [
        "",
        "grad_output",
        "cotangent",
        "upstream",
    ]
    assert not found(local)
    report = audit(value, CE, gradient=local, dtypes="float32")
    reasons = [each.reason for each in report.skips]
    assert sum("upstream gradients other than one" in each for each in reasons) == 1
    report = audit(value, CE, gradient=sound, dtypes="float32")
    assert not any("upstream" in each.reason for each in report.skips)
    assert report.findings == () or {each.kind for each in report.findings} == {Kind.CONVENTION}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda g: g[0], "the upstream gradient of the first row is applied to every row"),
        (lambda g: g[-1], "of the last row is applied"),
        (lambda g: g * 0 + 1, "the upstream gradient is ignored"),
        (lambda g: g.mean(), "the mean of all upstream gradients"),
        (lambda g: g * g, "applied twice"),
        (lambda g: 1 / g, "it is divided by the upstream gradient"),
        (np.abs, "the magnitude of the upstream gradient"),
        (lambda g: np.where(g == 1, g, -g), "it has the wrong sign"),
        (lambda g: np.roll(g, 1), "the upstream gradient of another row"),
        (lambda g: g.astype(np.float16), "rounded to fewer bits; upstream gradients: 1/n, 2^16"),
        (lambda g: np.where(g == 0, np.nan, g), "where the upstream gradient is 0 the result is"),
        (lambda g: np.where(np.abs(g) < 1e-6, 0, g), "2^-24: gradient[0] 0 with"),
        (lambda g: np.minimum(g, 1000), "2^16: gradient[0]"),
    ],
)
def test_what_does_not_follow_is_found_and_explained(rule: Any, said: str) -> None:
    back = faulty(rule)
    findings = found(back)
    assert set(findings) == {Kind.COTANGENT}
    finding = findings[Kind.COTANGENT]
    assert said in finding.detail
    assert "upstream" in finding.hint
    assert finding.distance > 32


def test_a_sum_shows_in_the_plain_gradient_and_is_told_of_once() -> None:
    assert Kind.COTANGENT not in found(faulty(lambda g: g.sum()))


def test_the_witness_is_the_row_and_both_numbers_are_told() -> None:
    """Of the second row: the factor 1.5 of the first one instead of its own, 0."""
    finding = found(faulty(lambda g: g[0]))[Kind.COTANGENT]
    assert finding.rows == 2
    assert finding.witness is not None
    assert finding.witness.logits.tolist() == [3.0, 0.0, 0.0]
    assert "gradient[0] -0.13583" in finding.detail  # 1.5 times that of the second row
    assert "with 0 upstream, where 0 is exact" in finding.detail


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_dtype_has_upstream_gradients_that_it_can_hold(dtype: str) -> None:
    asked = case(dtype)
    assert not found(sound, asked)
    assert set(found(faulty(lambda g: g[0]), asked)) == {Kind.COTANGENT}
    assert set(found(faulty(lambda g: g * 0 + 1), asked)) == {Kind.COTANGENT}


def test_flushing_and_a_few_roundings_are_no_fault() -> None:
    def flushed(x: Array, y: Array, grad_output: Array) -> Array:
        result = sound(x, y, grad_output)
        return np.where(np.abs(result) < np.finfo(x.dtype).tiny, 0, result).astype(x.dtype)

    def early(x: Array, y: Array, grad_output: Array) -> Array:
        """c·p - c·onehot, each rounded: the usual form in frameworks."""
        one_hot = np.zeros_like(x)
        one_hot[np.arange(len(x)), y] = 1
        p = local(x, y) + one_hot
        c = grad_output[:, None]
        return (c * p).astype(x.dtype) - (c * one_hot).astype(x.dtype)

    def third(x: Array, y: Array, grad_output: Array) -> Array:
        return (sound(x, y, grad_output) / np.float32(3)) * np.float32(3)

    for each in (flushed, early, third):
        assert Kind.COTANGENT not in found(each)
        assert Kind.COTANGENT not in found(each, case("float16"))


def test_rows_that_are_wrong_anyway_are_not_told_of_again() -> None:
    def wrong(x: Array, y: Array) -> Array:
        return local(x, y) * np.float32(1.25)

    assert set(found(wrong)) == {Kind.INACCURATE}

    def doubly(x: Array, y: Array, grad_output: Array) -> Array:
        return wrong(x, y) * grad_output[0]

    assert set(found(doubly)) == {Kind.INACCURATE}


@pytest.mark.parametrize(
    ("rule", "faults"),
    [(lambda g: g, False), (lambda g: g * 0 + 1, True), (np.abs, True)],
)
def test_under_a_reduction_the_scalar_has_another_one_too(rule: Any, faults: bool) -> None:
    def back(x: Array, y: Array, reduction: str, grad_output: Array) -> Array:
        assert reduction == "mean"
        assert grad_output.shape == ()
        return local(x, y) * (rule(grad_output) / len(x)).astype(x.dtype)

    findings = found(back, case(reduction="mean"))
    assert set(findings) == ({Kind.COTANGENT} if faults else set())


def test_what_raises_with_another_upstream_gradient_is_told_in_its_words() -> None:
    def only_ones(x: Array, y: Array, grad_output: Array) -> Array:
        if (grad_output != 1).any():
            raise NotImplementedError("ones only")
        return local(x, y)

    detail = found(only_ones)[Kind.COTANGENT].detail
    assert "weights of the rows: NotImplementedError: ones only" in detail


MINE = """
import numpy as np


def loss(x, y):
    rows, top = np.arange(len(x)), x.max(axis=1)
    others = np.exp(x - top[:, None])
    others[rows, x.argmax(axis=1)] = 0
    return (top - x[rows, y]) + np.log1p(others.sum(axis=1))


def plain(x, y):
    rows = np.arange(len(x))
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    others = p.copy()
    others[rows, y] = 0
    p[rows, y] = -others.sum(axis=1)
    return p


def backward(grad_output, x, y):
    return plain(x, y) * grad_output[0]
"""


def checked(folder: Path, gradient: str) -> Result:
    (folder / "mine.py").write_text(MINE)
    words = ("check", "mine.py:loss", "--loss", CE, "--dtype", "float32", "--gradient", gradient)
    return invoke(*words, "--workers", "1", cwd=folder)


def test_the_command_finds_it(tmp_path: Path) -> None:
    done = checked(tmp_path, "backward")
    assert done.exit_code == 1
    assert "cotangent" in done.stdout
    assert "of the first row is applied to every row" in " ".join(done.stdout.split())


def test_the_command_says_that_only_ones_were_asked_for(tmp_path: Path) -> None:
    done = checked(tmp_path, "plain")
    assert done.exit_code == 0
    assert "upstream gradients other than one" in done.stderr
    assert "upstream gradients other than one" in " ".join(done.stdout.split())
