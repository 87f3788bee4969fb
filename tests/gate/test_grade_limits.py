"""Limits by grade and by the error beside the scale of a row: what violates them, and baselines."""

import dataclasses
import math

import numpy as np
import pytest

from tests.making import witness_of
from tests.running import invoke
from xentcheck import audit, config
from xentcheck.bounds import GRADES as GRADE_NAMES
from xentcheck.errors import ConfigError, XentcheckError
from xentcheck.gate import baseline_file
from xentcheck.gate.baseline import Baseline, Entry, observed, renewed, weigh
from xentcheck.gate.extent import Extent, Slack, standing
from xentcheck.gate.limits import judge
from xentcheck.model import (
    DECIDED_BY_GRADE,
    GRADES,
    MAX_NORM,
    MIN_GRADE,
    NOTES,
    Cell,
    Config,
    Finding,
    Grade,
    Kind,
    Limit,
    Measurement,
    Quantity,
    Standing,
    Tolerance,
    rank,
)

CELL = Cell("softmax_cross_entropy", "mine", "float32", Quantity.GRADIENT, "small")
BY_GRADE = Tolerance(math.inf, min_grade=Grade.ABSOLUTE)
BY_NORM = Tolerance(math.inf, max_norm=0.25)


def measured(grade=None, norm=math.nan, actual=0.5, expected=-0.5, counts=None):
    shown = witness_of(
        logits=np.zeros(2, np.float32), labels=np.int64(0), parameters={}, actual=actual,
        expected=expected, exact=str(expected), ulp_error=9.0, abs_error=1.0, index=0,
    )  # fmt: skip
    return Measurement(
        CELL, 100, 9.0, 9.0, 9.0, 1.0, counts or {},
        grade=grade, graded=shown, max_norm=norm, normwise=shown,
    )  # fmt: skip


def judged(measurement, tolerance, *findings):
    return judge(Config(sweeps=(), limits=(Limit(tolerance),)), findings, (measurement,))


@pytest.mark.parametrize("least", GRADES)
@pytest.mark.parametrize("grade", GRADES)
def test_a_worse_grade_is_a_violation_that_says_both(grade, least):
    found = judged(measured(grade), Tolerance(math.inf, min_grade=least))
    assert bool(found) == (rank(grade) < rank(least))
    for violation in found:
        assert violation.rule == MIN_GRADE
        assert violation.limit == f"min_grade {least}"
        assert violation.finding.detail.startswith(f"grade {grade}, allowed {least}: ")
        assert violation.finding.witness is not None


def test_what_is_not_graded_violates_no_grade():
    assert judged(measured(None), BY_GRADE) == ()


@pytest.mark.parametrize(
    ("actual", "expected", "kind"),
    [
        (0.5, -0.5, Kind.WRONG_SIGN),
        (0.0, -0.5, Kind.VANISHED_GRADIENT),
        (-0.4, -0.5, Kind.INACCURATE),
    ],
)
def test_a_grade_has_the_kind_of_its_witness(actual, expected, kind):
    (violation,) = judged(measured(Grade.BROKEN, actual=actual, expected=expected), BY_GRADE)
    assert violation.finding.kind is kind


def test_a_grade_that_a_kind_gives_has_that_kind_and_its_rows():
    counts = {Kind.NAN: 7, Kind.RAISED: 2, Kind.CONVENTION: 50}
    (violation,) = judged(measured(Grade.BROKEN, counts=counts), BY_GRADE)
    assert (violation.finding.kind, violation.finding.rows) == (Kind.RAISED, 2)


def test_an_error_beyond_max_norm_is_a_violation_and_one_on_it_is_none():
    assert judged(measured(norm=0.25), BY_NORM) == ()
    (violation,) = judged(measured(norm=0.5), BY_NORM)
    assert (violation.rule, violation.limit) == (MAX_NORM, "max_norm 0.25")
    assert violation.finding.detail == "the error is 0.5 of the row's scale"


@pytest.mark.parametrize("kind", Kind)
def test_beside_a_grade_alone_kinds_of_lost_digits_are_no_violation(kind):
    finding = Finding(kind, CELL, 1)
    by_grade = judged(measured(Grade.ABSOLUTE), BY_GRADE, finding)
    assert bool(by_grade) == (kind not in DECIDED_BY_GRADE | NOTES)
    both = dataclasses.replace(BY_GRADE, max_ulp=4.0)
    assert bool(judged(measured(Grade.ABSOLUTE), both, finding)) == (kind not in NOTES)


# A baseline


HERE = "Linux x86_64"
ENVIRONMENT = {"platform": HERE, "cpu": "one", "date": "2026-11-28"}


def seen(measurement, tolerance=BY_GRADE):
    violations = judged(measurement, tolerance)
    return violations, observed(ENVIRONMENT, (measurement,), violations)


def test_a_baseline_holds_the_grade_and_comes_back_from_its_file():
    _, now = seen(measured(Grade.LOSSY))
    written = baseline_file.dumps(renewed(Baseline(), now, ENVIRONMENT))
    assert "grade: lossy" in written
    (entry,) = baseline_file.loads(written).entries
    assert entry.faults == {MIN_GRADE: Extent(1, 100, grade=Grade.LOSSY)}
    with pytest.raises(ConfigError, match="bad"):
        baseline_file.loads(written.replace("grade: lossy", "grade: bad"))


def test_a_baseline_holds_the_norm_rounded_up():
    _, now = seen(measured(norm=0.333333), BY_NORM)
    written = baseline_file.dumps(renewed(Baseline(), now, ENVIRONMENT))
    (entry,) = baseline_file.loads(written).entries
    assert entry.faults == {MAX_NORM: Extent(1, 100, norm=0.334)}


@pytest.mark.parametrize(
    ("grade", "fails"), [(Grade.BROKEN, True), (Grade.LOSSY, False), (Grade.ABSOLUTE, False)]
)
def test_a_worse_grade_than_the_one_tolerated_fails(grade, fails):
    known = Baseline(
        (Entry(CELL, {MIN_GRADE: Extent(1, 100, grade=Grade.LOSSY)}, "", ENVIRONMENT),)
    )
    violations, now = seen(measured(grade))
    weighed = weigh(violations, known, now)
    assert bool(weighed.violations) == fails
    if fails:
        (violation,) = weighed.violations
        assert (violation.standing, violation.accepted) == (Standing.WORSE, "grade lossy")


def test_a_norm_stands_by_its_size_and_not_by_rows():
    known = Extent(1, 100, norm=0.5)
    assert standing(Extent(1, 50, norm=0.5), known) is Standing.SAME
    assert standing(Extent(1, 50, norm=0.6), known) is Standing.WORSE
    assert standing(Extent(1, 50, norm=0.6), known, Slack(1.0)) is Standing.SAME
    assert standing(Extent(1, 50, norm=0.4), known) is Standing.BETTER


# Configurations, the command and Python

SWEEP = """
sweeps:
  it:
    losses: softmax_cross_entropy
    dtypes: float32
    labels: {targets: random}
    implementations: [IMPLEMENTATION]
    inputs:
      - {generator: gap, from: -100, to: 100, points: 41, classes: 2}
      - {generator: offset, classes: 3}
limits:
  - LIMIT
"""


def gated(implementation, limit):
    text = SWEEP.replace("IMPLEMENTATION", implementation).replace("LIMIT", limit)
    return audit(config.loads(text))


@pytest.mark.parametrize(
    ("implementation", "wrong"),
    [
        ("numpy.accurate", {}),
        ("numpy.shifted_log_softmax", {}),  # as PyTorch's
        ("numpy.lse_minus_logit", {"value": "lossy"}),
        ("numpy.clipped", {"value": "lossy", "gradient": "broken"}),
        ("numpy.naive", {"value": "broken", "gradient": "broken"}),
    ],
)
def test_the_gate_by_grade_tells_forms_apart(implementation, wrong):
    report = gated(implementation, "{min_grade: absolute}")
    assert len(report.measurements) == 2
    found = [each for each in report.violations if each.rule == MIN_GRADE]
    told = {str(each.finding.cell.quantity): each.finding.detail.split(",")[0] for each in found}
    assert told == {quantity: f"grade {grade}" for quantity, grade in wrong.items()}
    assert report.passed == (not wrong)
    strict = gated(implementation, "{max_ulp: 4, max_excess_bits: 2}")
    assert strict.passed == (implementation == "numpy.accurate")


def test_the_gate_by_norm_finds_a_lost_gradient_of_any_size():
    report = gated("numpy.shifted_log_softmax", "{max_norm: 1e-6}")
    (violation,) = report.violations
    assert violation.rule == MAX_NORM
    assert violation.finding.cell.quantity is Quantity.GRADIENT
    assert violation.finding.detail == "the error is 1 of the row's scale"
    assert gated("numpy.accurate", "{max_norm: 6e-8}").passed  # 2^-24, a rounding


def test_the_keys_are_read_with_their_defaults():
    def tolerance(limit):
        (found,) = config.loads(SWEEP.replace("IMPLEMENTATION", "numpy.naive")
                                .replace("LIMIT", limit)).limits  # fmt: skip
        return found.tolerance

    assert tolerance("{min_grade: lossy}") == Tolerance(math.inf, min_grade=Grade.LOSSY)
    assert tolerance("{max_norm: 1e-6}") == Tolerance(math.inf, max_norm=1e-6)
    both = tolerance("{min_grade: lossy, max_ulp: 16}")
    assert (both.max_ulp, both.min_grade, both.of_scale) == (16.0, Grade.LOSSY, False)
    with pytest.raises(ConfigError, match="absolut") as caught:
        tolerance("{min_grade: absolut}")
    assert "absolute" in str(caught.value)


def test_the_option_names_the_grades_of_the_model():
    assert tuple(map(str, GRADES)) == GRADE_NAMES


LOSS = """
import numpy as np

def loss(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        lse = np.log(np.exp(shifted).sum(axis=1))
    return lse - shifted[np.arange(len(labels)), labels]

def offset(logits, labels):
    top = logits.max(axis=1)
    with np.errstate(all="ignore"):
        lse = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return lse - logits[np.arange(len(labels)), labels]
"""


def checked(tmp_path, name, *options):
    (tmp_path / "mine.py").write_text(LOSS)
    how = ("--loss", "softmax_cross_entropy", "--dtype", "float32", "--gradient", "none")
    return invoke("check", f"mine.py:{name}", *how, "--workers", "1", *options, cwd=tmp_path)


def test_check_by_grade(tmp_path):
    strict = checked(tmp_path, "loss")
    assert strict.exit_code == 1
    assert "  mine.py:loss         A  24!\n" in strict.stdout
    lax = checked(tmp_path, "loss", "--min-grade", "absolute")
    assert lax.exit_code == 0, lax.stdout
    assert "  mine.py:loss         A  24\n" in lax.stdout
    worse = checked(tmp_path, "offset", "--min-grade", "absolute")
    assert worse.exit_code == 1
    assert "grade lossy, allowed absolute" in worse.stdout
    assert "min_grade absolute" in worse.stdout
    assert "1 violation," in worse.stdout
    beside = checked(tmp_path, "loss", "--min-grade", "absolute", "--max-ulp", "4")
    assert beside.exit_code == 1
    assert "min_grade" not in beside.stdout
    unknown = checked(tmp_path, "loss", "--min-grade", "absolut")
    assert unknown.exit_code == 2


def test_python_by_grade():
    space = {}
    exec(LOSS, space)
    given = {"loss": "softmax_cross_entropy", "dtypes": "float32", "gradient": None}
    assert audit(space["loss"], **given, min_grade="absolute").passed
    report = audit(space["offset"], **given, min_grade="absolute")
    assert not report.passed
    assert [each.rule for each in report.violations] == [MIN_GRADE]
    with pytest.raises(XentcheckError, match="absolut"):
        audit(space["loss"], **given, min_grade="absolut")
    with pytest.raises(XentcheckError, match="max_norm"):
        audit(space["loss"], **given, max_norm=-1.0)


def moving(size):
    """A loss whose rows change with their number in the batch, by a size of error."""

    def loss(logits, labels):
        shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
        with np.errstate(all="ignore"):
            value = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
        move = size * (np.arange(len(labels)) % 2) * (value < 1) * (value > 0)
        return (value + move).astype(logits.dtype)

    return loss


def test_a_row_may_change_with_its_batch_by_what_the_grade_allows():
    how = {"loss": "softmax_cross_entropy", "dtypes": "float32", "gradient": None}
    few = 8 * 2.0**-24
    quiet = audit(moving(few / 2), **how, min_grade="absolute")
    assert quiet.passed
    loud = audit(moving(64 * few), **how, min_grade="broken")
    assert {each.finding.kind for each in loud.violations} == {Kind.ROW_DEPENDENT}
    strict = audit(moving(few / 2), **how, min_grade="accurate")
    assert {Kind.ROW_DEPENDENT} <= {each.finding.kind for each in strict.violations}
