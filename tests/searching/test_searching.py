"""Inputs that are found for each implementation: `climb` and `threshold`."""

import json
import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from tests.running import invoke
from xentcheck import config, registry
from xentcheck.auditing import part, step
from xentcheck.auditing.part import Step
from xentcheck.auditing.run import audit
from xentcheck.errors import INTERNAL_ERROR
from xentcheck.execution import observe
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.measurement import Candidate, Tally, place_found
from xentcheck.model import (
    ADAPTIVE,
    Case,
    Config,
    Domain,
    Implementation,
    InputSpec,
    Kind,
    LabelKind,
    Layout,
    Quantity,
    Report,
    Sweep,
)
from xentcheck.report import document, words
from xentcheck.searching import Trials, block_rows, climb, thresholds
from xentcheck.searching.moves import children
from xentcheck.sweeps import GENERATORS, cases, parts

NORMAL = InputSpec("normal", {"rows": 6, "classes": (2, 3, 5), "scale": (8.0,)})
CLIMB = InputSpec("climb", {"rounds": 6})
THRESHOLD = InputSpec("threshold", {})


def shifted_logsumexp(x: np.ndarray) -> np.ndarray:
    m = x.max(axis=1)
    return m + np.log(np.exp(x - m[:, None]).sum(axis=1))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_from(threshold: float, x: np.ndarray) -> np.ndarray:
    """It is x itself above a threshold."""
    return np.where(x > threshold, x, softplus(x))


def implementation(value: Any, loss: str = "logsumexp", **more: Any) -> Implementation:
    fields = {
        "name": "mine",
        "gradient": None,
        "dtypes": tuple(FORMATS),
        "label_kinds": tuple(LabelKind),
        "parameters": frozenset({"*"}),
    }
    return Implementation(loss=loss, value=value, **(fields | more))


def audited(
    value: Any, *inputs: InputSpec, loss: str = "logsumexp", workers: int = 1, **settings: Any
) -> Report:
    fields = {"dtypes": ("float32",), "implementations": ("mine",), "name": "s"}
    sweep = Sweep(losses=(loss,), inputs=inputs, **(fields | settings))
    made = value if isinstance(value, Implementation) else implementation(value, loss)
    return audit(Config((sweep,)), extra=[made], workers=workers)


def only(report: Report) -> Any:
    (measurement,) = report.measurements
    return measurement


def reasons(report: Report) -> set[str]:
    return {skip.reason for skip in report.skips if skip.reason.partition(":")[0] in ADAPTIVE}


def ulps_of_logsumexp(row: np.ndarray, actual: float) -> float:
    """The error in float32 ulps, by mpmath."""
    with mpmath.workdps(80):
        exact = mpmath.log(sum(mpmath.exp(mpmath.mpf(float(x))) for x in row))
        exponent = max(int(mpmath.floor(mpmath.log(abs(exact), 2))), -126)
        return float(abs(exact - mpmath.mpf(actual)) / mpmath.mpf(2) ** (exponent - 23))


# moves ---------------------------------------------------------------------------------------


def starting(loss: Loss, kind: LabelKind, dtype: str, **parameters: Any) -> Case:
    sweep = Sweep(
        name="s",
        losses=(loss.id,),
        dtypes=(dtype,),
        inputs=(InputSpec("normal", {"rows": 8, "classes": (3,), "scale": (8.0,)}),),
        label_kind=kind,
        parameters=parameters,
    )
    case = next(cases(sweep, loss, dtype, 3))
    if case.labels is None or kind is LabelKind.INTEGER:
        return case
    finite = np.isfinite(to_float64(case.labels)).reshape(case.rows, -1).all(axis=1)
    return replace(case, logits=case.logits[finite], labels=case.labels[finite])


KINDS = [(loss, kind) for loss in LOSSES.values() for kind in loss.label_kinds]


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("loss", "kind"), KINDS, ids=lambda each: getattr(each, "id", each))
def test_no_move_leaves_the_domain(loss: Loss, kind: LabelKind, dtype: str) -> None:
    rng = np.random.default_rng(0)
    axes: list[dict[str, Any]] = [{}]
    if loss.parameter("log_target") is not None:
        axes.append({"log_target": (True,)})
    for parameters in axes:
        people = starting(loss, kind, dtype, **parameters)
        for _ in range(40):
            people = children(people, 64, rng)
            x = to_float64(people.logits)
            assert people.logits.dtype == FORMATS[dtype].dtype
            assert np.isfinite(x).all()
            match loss.domain:
                case Domain.PROBABILITIES:
                    assert ((x >= 0) & (x <= 1)).all()
                case Domain.LOG_PROBABILITIES:
                    assert (x <= 0).all()
            if kind is LabelKind.INTEGER:
                assert ((people.labels >= 0) & (people.labels < people.classes)).all()
            elif people.labels is not None:
                y = to_float64(people.labels)
                logarithmic = bool(parameters)
                assert ((y <= 0) if logarithmic else (y >= 0) & (y <= 1)).all()
                assert np.isfinite(y).all()


def test_moves_reach_labels_and_single_ulps_and_whole_rows() -> None:
    people = starting(LOSSES["softmax_cross_entropy"], LabelKind.DISTRIBUTION, "float32")
    one = replace(people, logits=people.logits[:1], labels=people.labels[:1])
    offspring = children(one, 2000, np.random.default_rng(1))
    changed = (offspring.logits != one.logits).sum(axis=1)
    assert {0, 1, 2, 3} == set(changed.tolist())
    assert (offspring.labels != one.labels).any()
    bits = offspring.logits.view(np.int32) - one.logits.view(np.int32)
    assert {-1, 1} <= set(bits.ravel().tolist())


# climb ---------------------------------------------------------------------------------------


def test_a_climb_finds_worse_rows_and_adds_only_those() -> None:
    before = only(audited(shifted_logsumexp, NORMAL))
    report = audited(shifted_logsumexp, NORMAL, CLIMB)
    after = only(report)
    assert after.max_ulp > 2 * before.max_ulp
    assert after.witness.generator == "climb"
    assert before.rows < after.rows <= before.rows + 2
    assert after.median_ulp < 1  # thousands of trials count for nothing
    counted = {each.generator: each.rows for each in report.yields}
    assert counted == {"normal": before.rows, "climb": after.rows - before.rows}
    assert report.reference["rows"] == after.rows
    assert sum(report.reference["decided_by"].values()) == after.rows
    assert after.witness.row >= before.rows
    error = ulps_of_logsumexp(after.witness.logits, after.witness.actual)
    assert error == pytest.approx(after.max_ulp, rel=1e-3)


def test_a_climb_gives_nothing_that_is_no_worse_than_its_start() -> None:
    loss = LOSSES["logsumexp"]
    asked: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return shifted_logsumexp(x)

    trials = Trials(implementation(counted), Quantity.VALUE, lambda _: None)
    start = starting(loss, LabelKind.NONE, "float32")
    for seed in range(5):
        found = climb(trials, start, np.random.default_rng(seed), rounds=4, kept=3)
        worst = max(
            ulps_of_logsumexp(row, float(y))
            for row, y in zip(start.logits, shifted_logsumexp(start.logits), strict=True)
        )
        assert found is not None
        assert 1 <= found.case.rows <= 3
        errors = [
            ulps_of_logsumexp(row, float(y))
            for row, y in zip(found.case.logits, found.results, strict=True)
        ]
        assert min(errors) > worst
        assert errors == sorted(errors, reverse=True)
    assert set(asked) == {block_rows(start)}  # a framework compiles once


def test_a_climb_from_what_cannot_be_worse_finds_nothing() -> None:
    def right(x: np.ndarray) -> np.ndarray:  # one class: the logit itself
        return x[:, 0].copy()

    report = audited(right, InputSpec("normal", {"rows": 8, "classes": (1,)}), CLIMB)
    assert only(report).max_ulp == 0
    assert {each.generator for each in report.yields} == {"normal"}


def test_a_climb_does_not_start_in_a_cell_whose_worst_has_no_finite_error() -> None:
    def broken(x: np.ndarray) -> np.ndarray:
        result = shifted_logsumexp(x)
        result[0] = np.nan
        return result

    report = audited(broken, NORMAL, CLIMB)
    assert {each.generator for each in report.yields} == {"normal"}


def test_a_fault_that_only_a_trial_meets_is_a_finding_and_ends_the_climb() -> None:
    calls: list[int] = []

    def rare(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        # no ordinary row of a standard deviation of 8 comes near
        return np.where((x > 60).any(axis=1), np.nan, shifted_logsumexp(x))

    report = audited(rare, NORMAL, InputSpec("climb", {"rounds": 4096}))
    (finding,) = [each for each in report.findings if each.kind is Kind.NAN]
    assert finding.witness.generator == "climb"
    assert (finding.witness.logits > 60).any()
    assert calls.count(64) < 60


def test_a_row_that_raises_in_a_trial_is_a_finding() -> None:
    def picky(x: np.ndarray) -> np.ndarray:
        if (x > 60).any():
            raise ValueError("too large")
        return shifted_logsumexp(x)

    report = audited(picky, NORMAL, InputSpec("climb", {"rounds": 60}))
    (finding,) = [each for each in report.findings if each.kind is Kind.RAISED]
    assert finding.rows == 1
    assert finding.witness.generator == "climb"
    assert (finding.witness.logits > 60).any()
    assert "too large" in finding.detail
    assert only(report).rows == report.yields[0].rows + 1


def test_the_report_is_the_same_to_the_byte_for_any_number_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step, "TOGETHER", 40)  # several tasks, each with a climb of its own
    settings = {"dtypes": ("float32", "float64"), "loss": "logsumexp"}
    many = InputSpec("normal", {"rows": 12, "classes": (2, 3, 5, 4), "scale": (8.0,)})
    inputs = (many, THRESHOLD, CLIMB)
    one = document.to_json(audited(shifted_logsumexp, *inputs, **settings))
    assert one == document.to_json(audited(shifted_logsumexp, *inputs, workers=2, **settings))
    assert json.loads(one)["reference"]["rows"] > 2 * 48


def test_what_is_found_is_numbered_behind_the_sweeps_own_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step, "TOGETHER", 1)
    placed: list[int] = []
    real = part.place_found

    def watched(collected: Any, rows: int) -> None:
        real(collected, rows)
        placed.extend(each.number for each in collected.shown.values() if each.found)

    monkeypatch.setattr(part, "place_found", watched)
    report = audited(shifted_logsumexp, NORMAL, CLIMB)
    (own, found) = (each.rows for each in report.yields)
    assert (own, found) == (18, 6)  # three class counts, each with a climb
    assert placed
    assert all(own <= each < own + found for each in placed)
    assert only(report).first_break[1].row == own


def shown(generator: str, number: int, error: float) -> Candidate:
    case = Case("s", generator, "logsumexp", "float32", np.zeros((1, 2)), LabelKind.NONE)
    return Candidate(case, 0, number, None, 1.0, "float32", Kind.INACCURATE, error, 1.0)


def test_a_row_of_the_sweeps_own_is_the_first_break_though_one_was_found_before_it() -> None:
    earlier = Tally(rows=3, first=shown("climb", 0, 9.0), shown={None: shown("climb", 0, 9.0)})
    later = Tally(rows=3, first=shown("normal", 1, 5.0), shown={None: shown("climb", 1, 10.0)})
    earlier.merge(later, 2, 1)
    assert earlier.first is not None
    assert (earlier.first.case.generator, earlier.first.number) == ("normal", 3)
    assert earlier.shown[None].number == 2  # of those that were found
    earlier.merge(Tally(first=shown("normal", 0, 5.0)), 5, 3)
    assert earlier.first.number == 3
    place_found(earlier, 6)
    assert earlier.first.number == 3
    assert earlier.shown[None].number == 8


def test_a_row_that_is_shown_twice_stays_one() -> None:
    both = shown("climb", 2, 9.0)
    tally = Tally(rows=3, largest=both, shown={None: both})
    place_found(tally, 10)
    assert tally.largest is tally.shown[None]
    assert tally.shown[None].number == 12


def test_a_climb_starts_from_rows_with_their_labels_and_parameters() -> None:
    def weighted(x: np.ndarray, labels: np.ndarray, label_smoothing: float) -> np.ndarray:
        assert label_smoothing == np.float32(0.1)
        assert labels.dtype == np.int64
        p = np.exp(x - x.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        own = -np.log(p[np.arange(len(x)), labels])
        return (1 - label_smoothing) * own + label_smoothing * -np.log(p).mean(axis=1)

    report = audited(
        weighted,
        InputSpec("normal", {"rows": 6, "classes": (3,), "scale": (3.0,)}),
        CLIMB,
        loss="softmax_cross_entropy",
        parameters={"label_smoothing": (0.1,)},
    )
    assert not [each for each in report.findings if each.kind is Kind.RAISED]
    witness = only(report).witness
    assert witness.generator == "climb"
    assert witness.parameters == {"label_smoothing": np.float32(0.1)}


# threshold -----------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [20.0, 13.700213, -7.3011])
def test_a_threshold_is_found_to_the_ulp(threshold: float) -> None:
    def value(x: np.ndarray) -> np.ndarray:
        return (
            softplus_from(threshold, x)
            if threshold > 0
            else np.where(x < threshold, np.exp(x), softplus(x))
        )

    report = audited(
        value,
        InputSpec("explicit", {"values": ((0.5,),)}),
        THRESHOLD,
        loss="softplus",
        dtypes=("float64",),
    )
    witness = only(report).witness
    assert witness.generator == "threshold"
    beyond = np.nextafter(threshold, math.copysign(math.inf, threshold))
    assert float(witness.logits) == beyond
    # the error on the other side is that of a sound softplus
    assert {each.generator: each.rows for each in report.yields} == {"explicit": 1, "threshold": 2}


def test_a_threshold_of_rows_is_that_of_the_first_of_two_classes() -> None:
    def value(x: np.ndarray) -> np.ndarray:
        gap = x.max(axis=1) - x.min(axis=1)
        return x.min(axis=1) + softplus_from(13.7, gap)

    explicit = InputSpec("explicit", {"values": ((0.5, 0.25),)})
    report = audited(value, explicit, THRESHOLD, dtypes=("float64",))
    witness = only(report).witness
    assert witness.generator == "threshold"
    assert witness.logits.tolist()[0] in (math.nextafter(13.7, 20), -math.nextafter(13.7, 20))
    assert witness.logits.tolist()[1] == 0


def test_a_smooth_function_has_no_threshold() -> None:
    report = audited(
        softplus, InputSpec("explicit", {"values": ((0.5,),)}), THRESHOLD, loss="softplus"
    )
    assert {each.generator for each in report.yields} == {"explicit"}


@pytest.mark.parametrize(("loss", "kind"), KINDS, ids=lambda each: getattr(each, "id", each))
def test_an_axis_lies_in_the_domain_of_every_loss(loss: Loss, kind: LabelKind) -> None:
    seen: list[tuple[np.ndarray, np.ndarray | None]] = []

    def watched(x: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        seen.append((x, labels))
        rows = x.shape if loss.per_class or x.ndim == 1 else x.shape[:1]
        return np.zeros(rows, dtype=x.dtype)

    start = starting(loss, kind, "float32")
    if loss.layout is Layout.ROWS:
        narrow = InputSpec("normal", {"rows": 2, "classes": (2,)})
        sweep = Sweep("s", (loss.id,), ("float32",), (narrow,), label_kind=kind)
        start = next(cases(sweep, loss, "float32", 0))
    trials = Trials(implementation(watched, loss.id), Quantity.VALUE, lambda _: None)
    thresholds(trials, start, -128.0, 128.0)
    assert seen
    for x, labels in seen:
        assert np.isfinite(x).all()
        if loss.domain is Domain.PROBABILITIES:
            assert ((x >= 0) & (x <= 1)).all()
        if loss.domain is Domain.LOG_PROBABILITIES:
            assert (x <= 0).all()
        if kind in (LabelKind.DISTRIBUTION, LabelKind.TARGET) and labels is not None:
            assert set(np.unique(labels).tolist()) <= {0.0, 1.0}


# what is left out ----------------------------------------------------------------------------


def test_rows_under_a_reduction_are_left_as_they_are_and_that_is_said() -> None:
    def mean(x: np.ndarray, labels: np.ndarray, reduction: str) -> np.ndarray:
        rows = shifted_logsumexp(x) - x[np.arange(len(x)), labels]
        return np.asarray(rows.mean(dtype=x.dtype))

    report = audited(
        mean, NORMAL, CLIMB, loss="softmax_cross_entropy", parameters={"reduction": ("mean",)}
    )
    assert reasons(report) == {"climb: rows under a reduction are left as they are"}
    assert {each.generator for each in report.yields} == {"normal"}


def test_long_rows_are_left_as_they_are_and_that_is_said() -> None:
    long = InputSpec("normal", {"rows": 2, "classes": (65,)})
    report = audited(shifted_logsumexp, long, CLIMB, THRESHOLD)
    assert reasons(report) == {
        "climb: no row has at most 64 numbers",
        "threshold: it moves the first of two classes, and no row has two",
    }


def test_a_command_is_not_searched_and_that_is_said(tmp_path: Path) -> None:
    program = tmp_path / "softplus.py"
    program.write_text(
        "import sys\nimport numpy as np\nx = np.load(sys.argv[1])\n"
        "np.save(sys.argv[2], np.logaddexp(np.zeros_like(x), x))\n"
    )
    (tmp_path / "c.yaml").write_text(
        "sweeps:\n  s: {losses: softplus, dtypes: float32, quantities: value, "
        "implementations: mine,\n    inputs: [{generator: explicit, values: [0.5, -3]}, "
        "{generator: climb}]}\nimplementations:\n  - {loss: softplus, name: mine, "
        "command: [python3, softplus.py, '{logits}', '{out}']}\n"
    )

    text = (
        (tmp_path / "c.yaml")
        .read_text()
        .replace("python3, softplus.py", f"{sys.executable}, {program}")
    )
    report = audit(config.loads(text))
    assert reasons(report) == {"climb: each call of a command starts a program"}
    assert only(report).rows == 2


def test_a_sweep_of_nothing_else_is_empty_and_says_why() -> None:
    report = audited(shifted_logsumexp, CLIMB)
    (reason,) = [skip.reason for skip in report.skips if "no rows" in skip.reason]
    assert "climb: it goes on from the rows of other inputs" in reason
    assert not report.measurements


def test_parts_are_joined_only_where_something_is_searched_for() -> None:
    loss = LOSSES["logsumexp"]
    inputs = (InputSpec("normal", {"rows": 10, "classes": (2, 3, 5)}),)
    for more, groups in (((), 3), ((CLIMB,), 1)):
        sweep = Sweep("s", ("logsumexp",), ("float32",), (*inputs, *more))
        assert len(parts(sweep, loss, "float32", 0)) == 3
        step = Step(sweep, loss, "float32", 0, (), Config((sweep,)))
        assert len(list(step.groups)) == groups
        assert [part for group in step.groups for part in group] == [0, 1, 2]


# replay --------------------------------------------------------------------------------------

MINE = """
import numpy as np

def lse(x):
    m = x.max(axis=1)
    return m + np.log(np.exp(x - m[:, None]).sum(axis=1))
"""

FOUND = """
sweeps:
  s:
    losses: logsumexp
    dtypes: [float32]
    quantities: value
    implementations: mine
    inputs: [{generator: normal, rows: 6, classes: [3, 5], scale: 8}, {generator: climb, rounds: 5}]
implementations:
  - {loss: logsumexp, target: "./mine.py:lse", name: mine}
"""


def test_a_climbed_row_is_replayed_by_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "c.yaml").write_text(FOUND)
    report = audit(config.load("c.yaml"))
    (finding,) = report.findings
    assert finding.witness.generator == "climb"
    command = words.replay(report, finding)
    assert "--row" not in command
    told = invoke(*command[1:], "--format", "json")
    assert told.exit_code == 0, shlex.join(command)
    answer = json.loads(told.output)
    (measured,) = answer["measurements"]
    assert measured["max_ulp"] == finding.witness.ulp_error
    assert measured["witness"]["actual"] == finding.witness.actual

    place = f"c.yaml:s:{finding.witness.row}"
    told = invoke("probe", "--loss", "logsumexp", "--row", place)
    assert told.exit_code == 2
    assert f"there is no row {finding.witness.row}" in told.output
    assert "climb" in told.output
    assert "--logits" in told.output


def test_a_found_row_of_a_function_that_depends_on_neighbours_is_replayed_by_its_numbers() -> None:
    def batch(x: np.ndarray) -> np.ndarray:
        m = x.max()
        return m + np.log(np.exp(x - m).sum(axis=1))

    report = audited(batch, NORMAL, CLIMB)
    found = [f for f in report.findings if f.witness and f.witness.generator == "climb"]
    assert found
    for finding in found:
        assert words.takes_company(report, finding)
        assert "--row" not in words.replay(report, finding)


def test_no_search_ends_in_a_failed_confirmation() -> None:
    registered = registry.load_registered()[0]
    accurate = {each.loss: each for each in registered if each.name == "numpy.accurate"}
    for loss in ("logsumexp", "softmax", "entropy", "kl_divergence"):
        kind = LOSSES[loss].label_kinds[0]

        def rough(
            x: np.ndarray, labels: Any = None, loss: str = loss, kind: LabelKind = kind
        ) -> np.ndarray:
            case = Case("s", "s", loss, x.dtype.name, x, kind, labels)
            results = observe(accurate[loss], case, Quantity.VALUE, thorough=False).results
            assert results is not None
            return from_float64(to_float64(results) * (1.0 + 2.0**-20), x.dtype.name)

        inputs = (InputSpec("zero-crossing", {}), NORMAL, CLIMB, THRESHOLD)
        report = audited(rough, *inputs, loss=loss, dtypes=("float32", "float64"))
        assert not [each for each in report.uncertified if each.startswith(INTERNAL_ERROR)]
        assert report.measurements


def test_an_error_that_conditioning_explains_is_printed_with_that_word() -> None:
    def tail(x: np.ndarray) -> np.ndarray:
        rows, top = np.arange(len(x)), x.argmax(axis=1)
        others = np.exp(x - x[rows, top][:, None])
        others[rows, top] = 0
        return x[rows, top] + np.log1p(others.sum(axis=1))

    near = InputSpec("zero-crossing", {"classes": (3,)})
    measured = only(audited(tail, near))
    lines = dict(words.witness_lines(measured.witness))
    assert measured.max_ulp > 1e9
    assert "ulp (explained by conditioning: 0.0 excess bits), " in lines["error"]
    assert words.outcome_text(measured.witness).endswith(" (explained by conditioning)")

    def lossy(x: np.ndarray) -> np.ndarray:
        return np.log(np.exp(x).sum(axis=1, dtype=np.float16)).astype(x.dtype)

    measured = only(audited(lossy, InputSpec("normal", {"classes": (3,)})))
    assert measured.witness.excess_bits > 2
    lines = dict(words.witness_lines(measured.witness))
    assert lines["error"].endswith(f", {measured.witness.excess_bits:.1f} excess bits")
    assert "explained" not in words.outcome_text(measured.witness)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_largest_numbers_are_moved_without_a_warning(dtype: str) -> None:
    """Warnings are errors here: scaling the largest float64 overflows before it is clipped."""
    largest = FORMATS[dtype].max
    rows = from_float64(np.array([[largest, -largest], [largest, 1.0]]), dtype)
    parents = Case("sweep", "explicit", "logsumexp", dtype, rows, LabelKind.NONE, None, {})
    changed = children(parents, 256, np.random.default_rng(5))
    assert np.isfinite(to_float64(changed.logits)).all()


def test_the_generators_that_search_are_known_by_name() -> None:
    assert {each.name for each in GENERATORS.values() if each.adaptive} == ADAPTIVE
