"""How much errors matter: the grade of each row, and its error beside the scale of the row."""

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest

from xentcheck import audit
from xentcheck.floats import from_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import Arbitration, Tally, close, measure
from xentcheck.model import (
    ABOUT_GRADES,
    BREAKING,
    GRADES,
    Case,
    Cell,
    Grade,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Quantity,
    Tolerance,
    rank,
)
from xentcheck.reference import Reference

DOCS = Path(__file__).parents[2] / "docs" / "grades.md"
U = 2.0**-24  # a rounding in float32
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT


def case_of(loss, dtype, logits, labels=None, **parameters):
    """A case of rows of logits; labels are class numbers, or targets of an elementwise loss."""
    spec = LOSSES[loss]
    elementwise = spec.layout is Layout.ELEMENTWISE
    given = np.ravel(logits) if elementwise else np.atleast_2d(logits)
    kind = spec.label_kinds[0]
    if kind is LabelKind.NONE:
        labels = None
    elif np.ndim(labels) == 2:
        kind, labels = LabelKind.DISTRIBUTION, from_float64(labels, dtype)
    elif kind is LabelKind.INTEGER:
        labels = np.ravel(np.asarray(labels, dtype=np.int64))
    else:
        labels = from_float64(np.ravel(labels), dtype)
    return Case("planted", "explicit", loss, dtype, from_float64(given, dtype), kind, labels,
                parameters)  # fmt: skip


def tallied(case, quantity, results, tolerance=Tolerance(), tally=None):  # noqa: B008
    """The tally of a function that returns given results, and NaN for other inputs."""
    shape = LOSSES[case.loss].result_shape(case, quantity)
    given = from_float64(np.asarray(results, np.float64).reshape(shape), case.dtype)

    def planted(x, *_labels, **_parameters):
        whole = x.shape == case.logits.shape
        return given.copy() if whole else from_float64(np.full(len(x), np.nan), case.dtype)

    names = frozenset(case.parameters)
    kinds = (case.label_kind,)
    mine = Implementation(case.loss, "planted", planted, planted, (case.dtype,), kinds, names)
    tally = Tally() if tally is None else tally
    measure(tally, mine, case, Reference(case), quantity, tolerance, thorough=False)
    return tally


def closed(case, quantity, tally, tolerance=Tolerance()):  # noqa: B008
    """The measurement of a tally; its witnesses have been confirmed by mpmath."""
    arbitration = Arbitration()
    cell = Cell(case.loss, "planted", case.dtype, quantity, "planted")
    measurement, _ = close(cell, tally, tolerance, arbitration)
    assert arbitration.failures == []
    return measurement


def measured(case, quantity, results, tolerance=Tolerance()):  # noqa: B008
    """The measurement of given results of a case."""
    return closed(case, quantity, tallied(case, quantity, results, tolerance), tolerance)


def steps(number, count, dtype=np.float32):
    """The float some steps above a number, or below it for a negative count."""
    towards = dtype(np.inf if count > 0 else -np.inf)
    number = dtype(number)
    for _ in range(abs(count)):
        number = np.nextafter(number, towards)
    return float(number)


# The examples of docs/grades.md

_ROW = re.compile(
    r"^\| (\w+) (\w+) (value|gradient) \| `([^`]*)`(?: label `([^`]*)`)? "
    r"\| `([^`]*)` \| `([^`]*)` \|"
)


def examples():
    """(grade, loss, dtype, quantity, input, label, exact, result) of each row of the tables."""
    grade = ""
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            grade = line.removeprefix("### ")
        elif found := _ROW.match(line):
            yield (grade, *found.groups())


def numbers(text):
    return [float(each) for each in text.strip("[]").split(",")]


def textbook(loss, quantity, x, label):
    """The exact results by the textbook formula, in plain mpmath with more digits than it takes."""
    mp = mpmath.mp.clone()
    mp.dps = 900
    x = [mp.mpf(each) for each in x]
    if loss == "softplus":
        return [mp.log(1 + mp.exp(x[0])) if quantity == "value" else 1 / (1 + mp.exp(-x[0]))]
    if loss == "binary_cross_entropy":
        (p,) = x
        return [-label * mp.log(p) - (1 - label) * mp.log(1 - p)]
    powers = [mp.exp(each) for each in x]
    shares = [each / sum(powers) for each in powers]
    if loss == "softmax":
        return shares
    assert loss == "softmax_cross_entropy"
    if quantity == "gradient":
        return [share - (k == label) for k, share in enumerate(shares)]
    return [-mp.log(shares[int(label)]) if shares[int(label)] else mp.inf]


EXAMPLES = list(examples())


def test_the_documentation_has_three_examples_of_each_grade_in_order():
    assert [each[0] for each in EXAMPLES] == [str(grade) for grade in GRADES for _ in range(3)]


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{e[0]} {e[1]} {e[4]}" for e in EXAMPLES])
def test_an_example_of_the_documentation(example):
    grade, loss, dtype, quantity, x, label, exact, result = example
    truth = textbook(loss, quantity, numbers(x), None if label is None else float(label))
    told = [mpmath.mpf(each) for each in exact.split(",")]
    for one, other in zip(truth, told, strict=True):
        assert one == other or abs(one - other) < 1e-7 * abs(one)
    case = case_of(loss, dtype, numbers(x), None if label is None else [float(label)])
    given = numbers(result)
    assert len(given) == len(truth)
    found = measured(case, Quantity(quantity), given)
    assert found.grade is Grade(grade)
    assert found.graded is not None
    np.testing.assert_array_equal(np.ravel(found.graded.logits), from_float64(numbers(x), dtype))


def test_a_certain_norm_is_that_of_mpmath():
    case = case_of("softmax_cross_entropy", "float32", [[20, 0]], [0])
    found = measured(case, GRADIENT, [0.0, 2.0611537e-09])
    assert found.max_norm == 1.0  # the largest component is lost: |0 − g| / |g|
    assert found.normwise.index == 0
    value = measured(case, VALUE, [0.0])
    with mpmath.workdps(50):
        exact = mpmath.log1p(mpmath.exp(-20))
        assert value.max_norm == float(exact / 20)  # the gap is 20
    assert value.normwise.actual == 0.0


@pytest.mark.parametrize(
    ("loss", "row", "label", "scale"),
    [
        ("softmax_cross_entropy", [3, 5], 1, 2.0),  # the gap
        ("softmax_cross_entropy", [3, 3.5], 1, 1.0),
        ("softmax_cross_entropy", [3, -math.inf, 5], 2, 2.0),  # of the finite logits
        ("sigmoid_binary_cross_entropy", [-6], 0, 6.0),
        ("logsumexp", [100, 101], None, float(101 + np.log1p(np.exp(-1)))),  # the value itself
        ("binary_cross_entropy", [2.0**-20], 0, 1.0),  # a loss of probabilities has no gap
    ],
)
def test_the_scale_of_a_value(loss, row, label, scale):
    case = case_of(loss, "float32", row, [label])
    reference = Reference(case).midpoints(VALUE, slice(None))
    wrong = float(np.float32(reference[0] + 0.25))
    found = measured(case, VALUE, [wrong])
    assert found.max_norm == pytest.approx(0.25 / scale, rel=1e-4)


def test_the_scale_of_log_softmax_is_that_of_its_row():
    case = case_of("log_softmax", "float32", [[0, -100]], [0])
    found = measured(case, VALUE, [0.5, -100])
    assert found.max_norm == pytest.approx(0.5 / 100, rel=1e-6)
    assert found.normwise.index == 0


# Rows exactly on a bound


def on_bound(result):
    """nll_loss is exact: −x. Of a sum no condition number is known, and the scale is 1."""
    case = case_of("nll_loss", "float32", [[-0.5, -3]], [0], reduction="sum")
    return measured(case, VALUE, result).grade


def test_eight_roundings_of_the_scale_are_a_few_and_the_next_number_is_more():
    for sign in (1, -1):
        at = 0.5 + sign * 8 * U
        assert on_bound(at) is Grade.ABSOLUTE
        assert on_bound(steps(at, sign)) is Grade.LOSSY


def test_four_ulps_are_accurate_and_five_are_not():
    assert on_bound(steps(0.5, 4)) is Grade.ACCURATE  # an ulp of 0.5 is 2^-24
    assert on_bound(steps(0.5, 5)) is Grade.ABSOLUTE


def test_four_times_the_condition_number_are_accurate_and_an_ulp_more_are_not():
    case = case_of("nll_loss", "float32", [[-0.5]], [0])
    (condition,) = Reference(case).condition(VALUE, slice(None), "float32")
    assert condition == 2.0  # the rounding of the input, and of the result
    assert measured(case, VALUE, [steps(0.5, 8)]).grade is Grade.ACCURATE
    assert measured(case, VALUE, [steps(0.5, 9)]).grade is Grade.LOSSY


def test_the_worst_row_gives_the_grade():
    rows, labels = [[-0.5]] * 3, [0] * 3
    case = case_of("nll_loss", "float32", rows, labels)
    found = measured(case, VALUE, [0.5, steps(0.5, 9), steps(0.5, 2)])
    assert (found.grade, found.graded.row) == (Grade.LOSSY, 1)
    found = measured(case, VALUE, [0.5, steps(0.5, 1), steps(0.5, 2)])
    assert (found.grade, found.graded.row) == (Grade.ACCURATE, 2)


def test_half_an_ulp_is_rounded_and_one_is_not_below_one():
    even = case_of("softmax_cross_entropy", "float32", [[0, 0]], [0])
    below, above = 0.5 - 2.0**-25, 0.5 + 2.0**-24  # half an ulp of 0.5, and one
    assert measured(even, GRADIENT, [-below, 0.5]).grade is Grade.ROUNDED
    assert measured(even, GRADIENT, [-0.5, steps(below, -1)]).grade is Grade.ACCURATE
    assert measured(even, GRADIENT, [-above, 0.5]).grade is Grade.ACCURATE


def test_next_to_a_tie_is_decided_at_as_many_bits_as_it_takes():
    """2049 + e^-2049 lies above the middle of 2048 and 2050 by 10^-890."""
    case = case_of("softmax_cross_entropy", "float16", [[-1, 2048]], [0])
    assert measured(case, VALUE, [2048]).grade is Grade.FAITHFUL
    assert measured(case, VALUE, [2050]).grade is Grade.ROUNDED


def test_a_transcendental_error_is_decided_between_neighbours():
    """For [0, 0] the value is log 2 and its scale 1, so 8 roundings end at log 2 + 2^-21."""
    case = case_of("softmax_cross_entropy", "float32", [[0, 0]], [0])
    with mpmath.workdps(50):
        end = mpmath.log(2) + mpmath.mpf(2) ** -21
        inside = next(
            each
            for each in (steps(float(end), count) for count in (1, 0, -1, -2))
            if mpmath.mpf(each) <= end
        )
        assert mpmath.mpf(steps(inside, 1)) > end
    assert measured(case, VALUE, [inside]).grade is Grade.ABSOLUTE
    assert measured(case, VALUE, [steps(inside, 1)]).grade is Grade.LOSSY


# What makes a grade


def test_a_wrong_sign_within_rounding_is_no_more_than_lost_digits():
    case = case_of("softmax_cross_entropy", "float32", [[20, 0]], [0])
    few = 8 * U * 20  # the gap is 20
    assert measured(case, VALUE, [-(2.0**-24)]).grade is Grade.ABSOLUTE
    assert measured(case, VALUE, [-few]).grade is Grade.BROKEN  # and 2.1e-9 more
    assert measured(case, GRADIENT, [2.0**-24, 2.0**-24]).grade is Grade.ABSOLUTE
    assert measured(case, GRADIENT, [1e-3, 1e-3]).grade is Grade.BROKEN
    assert measured(case, GRADIENT, [-1e-3, 1e-3]).grade is Grade.LOSSY


def test_a_lost_gradient_is_broken_from_a_few_roundings_of_its_terms_on():
    def grade(gap):
        case = case_of("softmax_cross_entropy", "float32", [[gap, 0]], [0])
        other = math.exp(-gap) / (1 + math.exp(-gap))
        return measured(case, GRADIENT, [0.0, other]).grade

    # 8 u = 4.77e-7 = e^-14.556
    assert grade(14.5625) is Grade.ABSOLUTE
    assert grade(14.5) is Grade.BROKEN


@pytest.mark.parametrize(
    ("parameters", "times"),
    [
        ({"temperature": 0.25}, 4.0),
        ({"reduction": "mean"}, 0.25),
        ({"reduction": "sum"}, 1.0),
        ({"weight": np.array([64.0, 1.0], np.float32)}, 64.0),
        ({"weight": np.array([64.0, 1.0], np.float32), "reduction": "mean"}, 0.25),
        ({"label_smoothing": 0.0}, 1.0),
    ],
)
def test_the_terms_of_a_gradient_are_the_label_mass(parameters, times):
    """The error of a lost 1 − p just within, and just beyond, 8 roundings of the terms."""
    temperature = parameters.get("temperature", 1.0)
    for share, expected in ((0.98, Grade.ABSOLUTE), (1.02, Grade.BROKEN)):
        gap = -math.log(8 * U * share) * temperature
        rows, labels = [[gap, 0.0]] * 4, [0] * 4
        case = case_of("softmax_cross_entropy", "float32", rows, labels, **parameters)
        exact = Reference(case).midpoints(GRADIENT, slice(None))
        assert abs(exact[0, 0]) == pytest.approx(8 * U * share * times, rel=1e-4)
        given = exact.copy()
        given[0, 0] = 0.0
        assert measured(case, GRADIENT, given).grade is expected


def test_the_terms_of_other_losses():
    """A gradient of 2^-23, lost: small for a difference, all there is for a sum."""
    x = -math.log(2.0**23 - 1)  # σ(x) = 2^-23
    for loss, argument, label, expected in (
        ("sigmoid_binary_cross_entropy", -x, 1, Grade.ABSOLUTE),  # σ − 1
        ("sigmoid_binary_cross_entropy", x, 0, Grade.ABSOLUTE),
        ("log_sigmoid", -x, None, Grade.ABSOLUTE),  # 1 − σ
        ("sigmoid", -x, None, Grade.ABSOLUTE),  # σ (1 − σ)
        ("sigmoid", x, None, Grade.BROKEN),
        ("softplus", x, None, Grade.BROKEN),  # σ
    ):
        found = measured(case_of(loss, "float32", [argument], [label]), GRADIENT, [0.0])
        assert (loss, found.grade) == (loss, expected)
        assert found.max_norm == 1.0


def test_a_softmax_gradient_is_as_large_as_its_share():
    """p_0 = 2^-20 for [x, 0]: p_0 (1 − p_0) is lost, and p_1 (1 − p_1) has terms of 1."""
    x = -math.log(2.0**22 - 1)
    rows = case_of("softmax", "float32", [[x, 0]], [0])
    assert measured(rows, GRADIENT, [0.0, 0.0]).grade is Grade.BROKEN
    rows = case_of("softmax", "float32", [[x, 0]], [1])
    assert measured(rows, GRADIENT, [0.0, 0.0]).grade is Grade.ABSOLUTE


def test_losses_of_probabilities_have_the_strict_scale():
    case = case_of("entropy", "float32", [[0.5, 0.36787945]])  # −(log p + 1) is 0 at 1/e
    exact = Reference(case).midpoints(GRADIENT, slice(None))
    assert abs(exact[0, 1]) < 1e-6 < abs(exact[0, 0])
    assert measured(case, GRADIENT, [exact[0, 0], 0.0]).grade is not Grade.BROKEN
    assert measured(case, GRADIENT, [0.0, exact[0, 1]]).grade is Grade.BROKEN


def test_what_conditioning_explains_is_accurate_whatever_its_scale():
    """js_divergence of near-equal distributions: the gradient crosses 0, and so may a result."""
    p = np.float32(0.5)
    q = np.nextafter(p, np.float32(1))
    case = case_of("js_divergence", "float32", [[p, p]], [[float(q), 0.5]])
    exact = Reference(case).midpoints(GRADIENT, slice(None))
    condition = Reference(case).condition(GRADIENT, slice(None), "float32")
    assert condition[0, 0] > 2.0**20
    found = measured(case, GRADIENT, [-exact[0, 0], exact[0, 1]])
    assert found.max_norm == pytest.approx(2.0, rel=1e-6)
    assert found.grade is Grade.ACCURATE


@pytest.mark.parametrize(("classes", "most"), [(2, 8), (65, 8), (257, 16), (4097, 64)])
def test_many_terms_have_more_roundings(classes, most):
    """Of n logits 0 the value is log n. √(n − 1) roundings are a few from 66 classes on.

    It is a sum over one row, for no condition number is known of that.
    """
    logits = np.zeros((1, classes))
    case = case_of("softmax_cross_entropy", "float32", logits, [0], reduction="sum")
    exact = math.log(classes)
    end = exact + most * U * max(exact, 1.0)
    inside = float(np.float32(end))
    if inside > end:
        inside = steps(inside, -1)
    assert measured(case, VALUE, inside).grade in (Grade.ABSOLUTE, Grade.ACCURATE)
    assert measured(case, VALUE, steps(inside, 1)).grade is Grade.LOSSY


def test_the_scale_of_a_reduced_value_is_that_of_its_rows():
    """64 rows of 2.06e-9 that come out as 0: the sum is as good as each of its rows."""
    rows, labels = [[17, 0]] * 64, [0] * 64
    for reduction, times in (("sum", 64.0), ("mean", 1.0)):
        case = case_of("softmax_cross_entropy", "float32", rows, labels, reduction=reduction)
        found = measured(case, VALUE, 0.0)
        assert found.grade is Grade.ABSOLUTE
        exact = math.log1p(math.exp(-17)) * times
        assert found.max_norm == pytest.approx(exact / 17, rel=1e-6)
        few = 8 * U * 17 * times
        assert measured(case, VALUE, exact + 1.05 * few).grade is Grade.LOSSY
        assert measured(case, VALUE, exact + 0.95 * few).grade is Grade.ABSOLUTE


def test_what_is_flushed_is_absolute_at_worst():
    def flushing(x):
        wide = 1 / (1 + np.exp(-x.astype(np.float64)))
        small = wide < np.finfo(np.float32).tiny
        return np.where(small, 0, wide).astype(np.float32)

    case = case_of("softplus", "float32", [-88, -95, 2])
    mine = Implementation(
        "softplus", "mine", None, flushing, ("float32",), (LabelKind.NONE,), frozenset()
    )
    tally = Tally()
    measure(tally, mine, case, Reference(case), GRADIENT, Tolerance(), thorough=False)
    found = closed(case, GRADIENT, tally)
    assert found.counts == {Kind.FTZ: 2}
    assert found.grade is Grade.ABSOLUTE


@pytest.mark.parametrize("kind", [Kind.FTZ, Kind.CONVENTION, Kind.FP_SIGNAL, Kind.BATCH_VARIANT])
def test_no_note_breaks_a_grade(kind):
    assert kind not in BREAKING


def test_an_accepted_nan_counts_for_nothing():
    """A +inf logit: the limit is 0, and NaN is accepted."""
    rows = [[math.inf, 0], [0, 0]]
    case = case_of("softmax_cross_entropy", "float32", rows, [0, 0])
    found = measured(case, VALUE, [math.nan, math.log(2)])
    assert found.counts == {Kind.CONVENTION: 1}
    assert found.grade is Grade.ROUNDED
    alone = case_of("softmax_cross_entropy", "float32", rows[:1], [0])
    assert measured(alone, VALUE, [math.nan]).grade is None


def raising(x):
    raise ValueError


def writing(x):
    result = np.log1p(np.exp(x))
    x[:] = 0
    return result


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (Kind.RAISED, raising),
        (Kind.WRONG_SHAPE, lambda x: x[:1]),
        (Kind.MUTATED_INPUT, writing),
        (Kind.MISSED_NAN, lambda x: np.nan_to_num(np.log1p(np.exp(x)), nan=1.0)),
    ],
)
def test_a_call_that_goes_wrong_is_broken(kind, function):
    case = case_of("softplus", "float32", [1.0, math.nan])
    mine = Implementation(
        "softplus", "mine", function, None, ("float32",), (LabelKind.NONE,), frozenset()
    )
    tally = Tally()
    measure(tally, mine, case, Reference(case), VALUE, Tolerance(), thorough=False)
    found = closed(case, VALUE, tally)
    assert kind in found.counts
    assert found.grade is Grade.BROKEN


def test_the_grade_does_not_depend_on_the_limit():
    rng = np.random.default_rng(5)
    case = case_of("softmax_cross_entropy", "float32", rng.normal(0, 9, (40, 3)), [0] * 40)
    exact = Reference(case).midpoints(GRADIENT, slice(None))
    for error in (0.0, 1e-8, 1e-7, 1e-6, 1e-3, 1.5):
        given = exact + error * rng.choice([-1, 1], exact.shape)
        found = [
            measured(case, GRADIENT, given, tolerance)
            for tolerance in (Tolerance(), Tolerance(math.inf), Tolerance(0.0), Tolerance(1e6))
        ]
        assert len({(each.grade, each.max_norm) for each in found}) == 1


# Parts and workers


def halves(case):
    """The case in two parts, each with its rows; a part counts from 0."""
    for first, last in ((0, 7), (7, case.rows)):
        yield (
            replace(case, logits=case.logits[first:last], labels=case.labels[first:last], start=0),
            slice(first, last),
        )


@pytest.mark.parametrize(
    "wrong", list(itertools.permutations(("nan", "sign", "far", "near", "ulp"), 2))
)
def test_merging_parts_is_like_grading_at_once(wrong):
    rows = np.linspace(-9, 9, 32).reshape(16, 2)
    case = case_of("softmax_cross_entropy", "float32", rows, [0] * 16)
    exact = Reference(case).midpoints(VALUE, slice(None))
    given = exact.astype(np.float32).astype(np.float64)
    for row, what in zip((3, 11), wrong, strict=True):
        given[row] = {
            "nan": math.nan,
            "sign": -1.0,
            "far": exact[row] + 0.25,
            "near": exact[row] + 6 * U * max(1.0, exact[row]),
            "ulp": steps(given[row], 1),
        }[what]
    once = closed(case, VALUE, tallied(case, VALUE, given))
    whole = Tally()
    for part, rows in halves(case):
        whole.merge(tallied(part, VALUE, given[rows]), rows.start)
    merged = closed(case, VALUE, whole)
    assert (merged.grade, merged.max_norm) == (once.grade, once.max_norm)
    assert merged.graded.row == once.graded.row
    assert merged.normwise.row == once.normwise.row


SWEEP = """
seed: 4
sweeps:
  it:
    losses: [softmax_cross_entropy]
    dtypes: [float16, float32]
    implementations: [numpy.naive, numpy.clipped, numpy.log1p]
    inputs:
      - {generator: normal, rows: 30, classes: [2, 9], scale: [1, 20]}
"""


def test_any_number_of_workers_gives_the_same_grades(tmp_path):
    path = tmp_path / "it.yaml"
    path.write_text(SWEEP)
    found = [
        [(m.cell, m.grade, m.max_norm, m.graded.row, m.normwise.row) for m in report.measurements]
        for report in (audit(path, workers=workers) for workers in (1, 2))
    ]
    assert found[0] == found[1]
    grades = {each[1] for each in found[0]}
    assert {Grade.BROKEN, Grade.LOSSY, Grade.ACCURATE} <= grades


def test_each_grade_says_what_it_means():
    assert set(ABOUT_GRADES) == set(GRADES)
    assert [rank(grade) for grade in GRADES] == list(range(6))
