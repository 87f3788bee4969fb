"""What a limit allows, decided for certain: met exactly it is met, missed by a hair it is not."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from xentcheck.auditing.run import audit
from xentcheck.config import loads
from xentcheck.errors import ConfigError
from xentcheck.measurement import borderline
from xentcheck.measurement.borderline import exceeds
from xentcheck.model import Implementation, Kind, LabelKind, Report, Tolerance

BITS = {"float32": 24, "float64": 53}


def shifted(ulps: float, dtype: str) -> Implementation:
    """A sigmoid that returns, for any input, 1/2 and so many ulps of 1/2 more."""
    unit = 2.0 ** -BITS[dtype]

    def value(logits):
        return np.full(logits.shape, 0.5 + ulps * unit, dtype=dtype)

    return Implementation(
        "sigmoid", "mine", value, None, tuple(BITS), tuple(LabelKind), frozenset()
    )


def run(implementation: Implementation, dtype: str, limit: str, values: str = "[0]") -> Report:
    text = (
        f"sweeps: {{s: {{losses: {implementation.loss}, dtypes: {dtype}, quantities: value, "
        f"implementations: mine, labels: {{targets: all}}, "
        f"inputs: [{{generator: explicit, values: {values}}}]}}}}\n"
        f"limits: [{{implementation: mine, {limit}}}]\n"
    )
    report = audit(loads(text), extra=[implementation])
    assert report.measurements
    assert not report.uncertified
    return report


def passes(implementation: Implementation, dtype: str, limit: str, values: str = "[0]") -> bool:
    return not run(implementation, dtype, limit, values).violations


def below(number: float) -> float:
    return math.nextafter(number, -math.inf)


# sigmoid(0) is 1/2, so the errors here are whole numbers of ulps, and everything else is exact.
EXACTLY = {
    "max_ulp": lambda unit: (3.0, "max_ulp: {}"),
    "or_abs": lambda unit: (3.0 * unit, "max_ulp: 0, or_abs: {}"),
    "or_rel": lambda unit: (6.0 * unit, "max_ulp: 0, or_rel: {}"),
    "p99_ulp": lambda unit: (3.0, "p99_ulp: {}"),
    "max_excess_bits": lambda unit: (math.log2(6.0), "max_excess_bits: {}"),
}


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("key", EXACTLY)
def test_a_limit_exactly_met_passes_and_one_missed_by_the_smallest_amount_fails(key, dtype):
    bound, text = EXACTLY[key](2.0 ** -BITS[dtype])
    implementation = shifted(3.0, dtype)
    assert passes(implementation, dtype, text.format(repr(bound)))
    assert not passes(implementation, dtype, text.format(repr(below(bound))))


@pytest.mark.parametrize("dtype", BITS)
def test_a_limit_is_met_exactly_also_where_no_interval_shrinks_to_a_point(dtype):
    """The entropy of (1/2, 1/4, 1/4) is 3/2 bits, but it is worked out from logarithms."""
    actual = 1.5 + 3 * 2.0 ** (1 - BITS[dtype])

    def value(probabilities, *, base="e"):
        return np.full(len(probabilities), actual, dtype=dtype)

    mine = Implementation(
        "entropy", "mine", value, None, tuple(BITS), tuple(LabelKind), frozenset({"base"})
    )
    for bound, right in ((3.0, True), (below(3.0), False)):
        text = (
            f"sweeps: {{s: {{losses: entropy, dtypes: {dtype}, quantities: value, "
            "implementations: mine, parameters: {base: '2'}, "
            "inputs: [{generator: explicit, values: [[0.5, 0.25, 0.25]]}]}}\n"
            f"limits: [{{implementation: mine, max_ulp: {bound!r}}}]\n"
        )
        report = audit(loads(text), extra=[mine])
        assert report.measurements[0].witness.exact == "1.5"
        assert not report.uncertified
        assert (not report.violations) is right


HALF_WITH_3_ULPS = 0.5 + 3 * 2.0**-24  # in float32
STANDS = {
    # a bound that the error meets with both ends; with the nearer end; that neither meets
    "max_ulp": (Tolerance(3.0), Tolerance(2.0), Tolerance(1.5)),
    "or_abs": (
        Tolerance(0.0, or_abs=3 * 2.0**-24),
        Tolerance(0.0, or_abs=2 * 2.0**-24),
        Tolerance(0.0, or_abs=1.5 * 2.0**-24),
    ),
}


@pytest.mark.parametrize("key", STANDS)
def test_an_end_of_an_enclosure_that_meets_a_bound_exactly_meets_it(key):
    """The exact result is from 1/2 to 1/2 + 1 ulp, so that a result is off by 2 to 3 ulps."""
    ends = (Fraction(1, 2), Fraction(1, 2) + Fraction(1, 2**24))
    wide, narrow, narrower = STANDS[key]

    def beyond(tolerance, ends=ends):
        return exceeds(HALF_WITH_3_ULPS, ends, "float32", tolerance, math.nan, 0.0)[0]

    assert beyond(wide) is False
    assert beyond(narrow) is None
    assert beyond(narrower) is True
    # and where the exact result is one number
    assert beyond(wide, (ends[0], ends[0])) is False
    assert beyond(narrow, (ends[0], ends[0])) is True


def test_an_end_of_an_enclosure_that_meets_a_relative_bound_exactly_meets_it():
    ulp = Fraction(1, 2**24)

    def beyond(result, bound, *ends):
        tolerance = Tolerance(0.0, or_rel=bound)
        return exceeds(float(result), ends, "float32", tolerance, math.nan, 0.0)[0]

    # off by 4 to 5 units of 2^-24, relatively to numbers from 1 on: all meet 5, the lower end 5
    # alone is off by as much
    lower, upper = Fraction(1), 1 + ulp
    assert beyond(1 - 4 * ulp, 5 * 2.0**-24, lower, upper) is False
    assert beyond(1 - 4 * ulp, below(5 * 2.0**-24), lower, upper) is None
    # off by 4 to 5 units of numbers up to 1: the upper end alone meets 4
    lower, upper = 1 - ulp, Fraction(1)
    assert beyond(1 + 4 * ulp, 4 * 2.0**-24, lower, upper) is None
    assert beyond(1 + 4 * ulp, below(4 * 2.0**-24), lower, upper) is True
    assert beyond(1 + 4 * ulp, 4 * 2.0**-24, upper, upper) is False


@pytest.mark.parametrize("condition", [math.nan, 1.0, 3.0])
def test_the_error_that_p99_ulp_allows_is_not_far_and_excess_bits_are_met_exactly(condition):
    half = (Fraction(1, 2), Fraction(1, 2))
    factor = condition if condition == condition else 1.0
    for bound, far in ((3.0 / factor, False), (below(3.0 / factor), True)):
        tolerance = Tolerance(100.0, p99_ulp=bound, times_condition=True)
        found = exceeds(HALF_WITH_3_ULPS, half, "float32", tolerance, condition, 0.0)
        assert found[:2] == (False, far)
    for most, beyond in ((2.5, False), (below(2.5), True)):
        tolerance = Tolerance(100.0, max_excess_bits=most)
        found = exceeds(HALF_WITH_3_ULPS, half, "float32", tolerance, condition, 2.5)
        assert found[:2] == (beyond, False)


@pytest.mark.parametrize("dtype", BITS)
def test_a_right_result_meets_a_limit_of_nothing(dtype):
    assert passes(shifted(0.0, dtype), dtype, "max_ulp: 0")
    assert not passes(shifted(1.0, dtype), dtype, "max_ulp: 0")


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("x", [1.0, -3.0, 0.75])
def test_an_irrational_error_is_put_on_one_side_of_the_limits_next_to_it(x, dtype):
    """Float64 cannot tell these errors from their limits; 400 bits say which is which."""
    with mpmath.workprec(400):
        exact = 1 / (1 + mpmath.exp(-mpmath.mpf(x)))
        exponent = int(mpmath.floor(mpmath.log(exact, 2)))
        unit = mpmath.mpf(2) ** (exponent - BITS[dtype] + 1)
        actual = float((mpmath.nint(exact / unit) + 3) * unit)  # off by some three ulps
        error = abs(mpmath.mpf(actual) - exact) / unit
        nearest = float(error)
        low = nearest if mpmath.mpf(nearest) < error else below(nearest)
    high = math.nextafter(low, math.inf)

    def value(logits):
        return np.full(logits.shape, actual, dtype=dtype)

    mine = Implementation(
        "sigmoid", "mine", value, None, tuple(BITS), tuple(LabelKind), frozenset()
    )
    for key in ("max_ulp", "p99_ulp"):
        assert passes(mine, dtype, f"{key}: {high!r}", f"[{x}]")
        assert not passes(mine, dtype, f"{key}: {low!r}", f"[{x}]")


def test_a_mean_is_put_on_one_side_too():
    """Under a reduction: of four rows, (0, 0) and (1, 0) with each of their labels."""
    with mpmath.workprec(400):
        rows = (mpmath.log(2), mpmath.log(2), mpmath.log1p(mpmath.e), mpmath.log1p(1 / mpmath.e))
        exact = sum(rows) / 4
        unit = mpmath.mpf(2) ** -53  # between 1/2 and 1
        actual = float((mpmath.nint(exact / unit) + 3) * unit)
        error = abs(mpmath.mpf(actual) - exact) / unit
        nearest = float(error)
        low = nearest if mpmath.mpf(nearest) < error else below(nearest)

    def value(logits, labels, *, reduction="none"):
        if len(logits) == 4:
            return np.float64(actual)
        # rows of fewer together: right to the last bit
        flat, taken = logits[:, 0] == 0, labels == 0
        right = [
            rows[0] if f else rows[3] if t else rows[2] for f, t in zip(flat, taken, strict=True)
        ]
        return np.float64(sum(right) / len(right))

    mine = Implementation(
        "softmax_cross_entropy",
        "mine",
        value,
        None,
        tuple(BITS),
        tuple(LabelKind),
        frozenset({"reduction"}),
    )
    text = (
        "sweeps: {{s: {{losses: softmax_cross_entropy, dtypes: float64, quantities: value, "
        "implementations: mine, parameters: {{reduction: mean}}, "
        "inputs: [{{generator: explicit, values: [[0, 0], [1, 0]]}}]}}}}\n"
        "limits: [{{implementation: mine, max_ulp: {}}}]\n"
    )
    for bound, right in ((math.nextafter(low, math.inf), True), (low, False)):
        report = audit(loads(text.format(repr(bound))), extra=[mine])
        assert report.measurements
        assert not report.uncertified
        assert (not report.violations) is right


def test_of_a_hundred_rows_one_may_be_farther_off_than_p99_ulp():
    def off(bad):
        def value(logits):
            right = 1 / (1 + np.exp(-logits.astype(np.float64)))
            return np.where(logits < 0.001 * bad - 0.0005, 0.25, right).astype(np.float32)

        return Implementation(
            "sigmoid", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
        )

    values = "[" + ", ".join(f"{0.001 * k:.3f}" for k in range(201)) + "]"
    # other rows than these are not asked: a sigmoid it is not
    sweep = (values, "p99_ulp: 1, allow: [invariant]")
    # of 201 rows the one at position 198, from 0, is the 99th percentile: two may be beyond
    assert passes(off(2), "float32", sweep[1], sweep[0])
    report = run(off(3), "float32", sweep[1], sweep[0])
    (violation,) = report.violations
    assert (violation.rule, violation.finding.rows) == ("p99_ulp", 3)
    assert "3 of 201 rows" in violation.finding.detail
    assert violation.finding.witness.actual == 0.25
    (measured,) = report.measurements
    assert measured.p99_ulp > 1
    assert measured.far == 3
    # an absolute error that is fine as well is fine here too
    assert passes(off(3), "float32", "p99_ulp: 1, or_abs: 0.5, allow: [invariant]", sweep[0])


def test_bounds_join_as_they_are_documented():
    three = shifted(3.0, "float32")
    assert passes(three, "float32", "max_ulp: 4, max_excess_bits: 3")
    assert not passes(three, "float32", "max_ulp: 4, max_excess_bits: 2")
    assert not passes(three, "float32", "max_ulp: 2, max_excess_bits: 3")
    assert passes(three, "float32", "max_ulp: 2, max_excess_bits: 2, or_rel: 1e-6")
    # either of these stands for max_ulp, which has no default then
    much = shifted(1000.0, "float32")
    assert passes(much, "float32", "max_excess_bits: 11")
    assert not passes(much, "float32", "max_excess_bits: 10.9")
    assert passes(much, "float32", "p99_ulp: 1000")


def test_excess_bits_forgive_a_hard_problem_and_no_bad_formula():
    """softplus(-20) has condition number 20, and 1 for the result's own rounding.

    log(1 + exp(x)) gives 0 in float32: it is off by the whole result, of which that explains
    4.4 bits.
    """

    def value(logits):
        return np.log(np.float32(1) + np.exp(logits.astype(np.float32)))

    naive = Implementation(
        "softplus", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    exact = math.log1p(math.exp(-20))
    lost = math.log2(2 * exact / 2.0 ** (math.frexp(exact)[1] - 24))
    allowed = lost - math.log2(21.0)
    assert not passes(naive, "float32", f"max_excess_bits: {allowed - 0.01}", "[-20]")
    assert passes(naive, "float32", f"max_excess_bits: {allowed + 0.01}", "[-20]")


@pytest.mark.parametrize("limit", ["max_ulp: inf", "max_ulp: 1e300", "max_excess_bits: 60"])
def test_a_wrong_sign_is_forbidden_at_any_number_of_ulps(limit):
    def value(logits):
        return np.full(logits.shape, -0.5, dtype=np.float32)

    negative = Implementation(
        "sigmoid", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    (violation,) = run(negative, "float32", limit).violations
    assert violation.finding.kind is Kind.WRONG_SIGN
    assert passes(negative, "float32", f"{limit}, allow: wrong-sign")
    assert passes(negative, "float32", f"{limit}, or_abs: 2")


@pytest.mark.parametrize(
    ("actual", "kind"), [(math.nan, Kind.NAN), (math.inf, Kind.SPURIOUS_OVERFLOW)]
)
def test_nan_and_spurious_infinities_are_forbidden_at_any_tolerance(actual, kind):
    def value(logits):
        return np.full(logits.shape, actual, dtype=np.float32)

    mine = Implementation(
        "sigmoid", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    loose = "max_ulp: inf, or_abs: inf, or_rel: inf, p99_ulp: inf"
    (violation,) = run(mine, "float32", loose).violations
    assert violation.finding.kind is kind
    assert passes(mine, "float32", f"{loose}, allow: {kind}")


def test_a_note_is_a_violation_where_it_is_forbidden():
    def value(logits):
        return np.full(len(logits), math.nan, dtype=np.float32)

    mine = Implementation(
        "logsumexp", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    masked = "[[.inf, 0]]"
    report = run(mine, "float32", "max_ulp: 4", masked)
    assert {each.kind for each in report.findings} == {Kind.CONVENTION}
    assert not report.violations
    (violation,) = run(mine, "float32", "forbid: convention", masked).violations
    assert violation.limit == "convention is not allowed"


def test_a_limit_that_no_implementation_can_meet_or_break_is_an_error_with_the_nearest():
    text = """
sweeps:
  s: {losses: softplus, dtypes: float32, inputs: [{generator: explicit, values: [0]}]}
limits:
  - {implementation: "numpy.*", max_ulp: 4}
  - {implementation: numpy.max_log1q, max_ulp: 4}
"""
    with pytest.raises(ConfigError) as caught:
        audit(loads(text, "gate.yaml"))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path) == (
        "gate.yaml",
        6,
        "limits[1].implementation",
    )
    assert "'numpy.max_log1q'" in problem.message
    assert problem.remedy == "did you mean 'numpy.max_log1p'?"


def test_a_limit_for_what_is_not_selected_this_time_is_no_error():
    text = """
sweeps:
  s: {losses: softplus, dtypes: float32, inputs: [{generator: explicit, values: [0]}]}
limits:
  - {implementation: numpy.max_log1p, max_ulp: 4}
  - {implementation: "torch.*", max_ulp: 4}
"""
    report = audit(loads(text), select=["numpy.accurate"])
    assert {each.cell.implementation for each in report.measurements} == {"numpy.accurate"}


class TestStands:
    """Exact arithmetic on ends, by hand."""

    ENDS = (Fraction(1, 2), Fraction(1, 2))

    def asked(self, actual, ends=ENDS, condition=math.nan, bits=0.0, **bounds):
        return exceeds(actual, ends, "float32", Tolerance(**bounds), condition, bits)[:2]

    def signed(self, actual, ends=ENDS, condition=math.nan, bits=0.0, **bounds):
        return exceeds(actual, ends, "float32", Tolerance(**bounds), condition, bits)[2]

    def test_what_is_open_is_none(self):
        half_an_ulp = Fraction(1, 2**25)
        wide = (Fraction(1, 2) - half_an_ulp, Fraction(1, 2) + half_an_ulp)
        assert self.asked(0.5, wide, max_ulp=0.25) == (None, False)
        assert self.asked(0.5, wide, max_ulp=0.25, or_abs=1.0) == (False, False)
        # below 1/2 an ulp is half as large: the same half is a whole one there
        assert self.asked(0.5, wide, max_ulp=0.75) == (None, False)
        assert self.asked(0.5, wide, max_ulp=1.0) == (False, False)

    def test_the_unit_is_that_of_the_exact_result(self):
        assert self.asked(0.5 + 2.0**-24, max_ulp=1.0) == (False, False)
        assert self.asked(0.5 + 2.0**-24, max_ulp=0.99) == (True, False)
        tiny = (Fraction(2) ** -200, Fraction(2) ** -200)
        assert self.asked(2.0**-149, tiny, max_ulp=1.0) == (False, False)
        assert self.asked(2.0**-148, tiny, max_ulp=1.0) == (True, False)

    def test_a_condition_number_multiplies_where_it_is_above_one(self):
        off = 0.5 + 8 * 2.0**-24
        assert self.asked(off, max_ulp=4.0, times_condition=True, condition=2.0) == (False, False)
        assert self.asked(off, max_ulp=4.0, times_condition=True, condition=0.1)[0] is True
        assert self.asked(off, max_ulp=4.0, times_condition=True, condition=math.nan)[0] is True
        assert self.asked(off, p99_ulp=4.0, max_ulp=99.0)[1] is True

    def test_a_sign_counts_unless_another_bound_is_met_or_the_problem_does_not_settle_it(self):
        tiny = (Fraction(2, 3) * Fraction(2) ** -149,) * 2
        assert self.signed(-(2.0**-149), tiny, max_ulp=4.0) is True
        assert self.signed(-(2.0**-149), tiny, max_ulp=4.0, or_abs=2.0**-147) is False
        assert self.signed(-(2.0**-149), tiny, max_ulp=4.0, or_abs=2.0**-149) is True
        wide = (Fraction(0), Fraction(2) ** -148)
        assert self.signed(-(2.0**-149), wide, max_ulp=4.0, or_abs=2.0**-148) is None
        # a condition number of 2^23: inputs that are off by half an ulp turn the sign
        asked = {"max_ulp": 4.0, "times_condition": True}
        assert self.signed(-0.5, condition=2.0**23, **asked) is False
        assert self.signed(-0.5, condition=2.0**22, **asked) is True
        assert self.signed(-8.5, condition=2.0**23, **asked) is True

    def test_few_excess_bits_excuse_any_number_of_ulps_but_no_sign(self):
        asked = {"max_ulp": 4.0, "or_excess_bits": 2.0, "condition": 1000.0}
        assert self.asked(0.75, bits=2.0, **asked) == (False, False)
        assert self.asked(0.75, bits=2.1, **asked) == (True, False)
        assert self.signed(-0.75, bits=2.0, **asked) is True

    def test_nothing_is_allowed_stays_nothing_however_hard_the_problem_is(self):
        bounds = {"max_ulp": 0.0, "times_condition": True, "condition": math.inf}
        assert self.asked(0.5 + 2.0**-24, **bounds) == (True, False)
        assert self.asked(0.5, **bounds) == (False, False)

    def test_zero_lies_in_the_smallest_format_of_all(self):
        zero = (Fraction(0), Fraction(0))
        assert self.asked(2.0**-149, zero, max_ulp=1.0) == (False, False)
        assert self.asked(2.0**-149, zero, max_ulp=0.5) == (True, False)
        # no relative error of zero is small
        assert self.asked(2.0**-149, zero, max_ulp=0.5, or_rel=1e9) == (True, False)


def test_a_sweep_that_names_what_nobody_declares_is_an_error_with_the_nearest():
    """Or a gate would pass the day that a package is not found any more."""
    text = """
sweeps:
  s:
    losses: softplus
    dtypes: float32
    implementations: ["numpy.*", numpy.acurate, "mine.*"]
    inputs: [{generator: explicit, values: [0]}]
"""
    with pytest.raises(ConfigError) as caught:
        audit(loads(text, "gate.yaml"))
    first, second = caught.value.problems
    assert first.path == "sweeps.s.implementations"
    assert "no implementation is called 'numpy.acurate'" in first.message
    assert first.remedy == "did you mean 'numpy.accurate'?"
    assert "'mine.*'" in second.message


def test_excess_bits_as_they_are_reported_can_be_met_exactly():
    """Where all bits are lost the measure is capped, and float64 alone would go to and fro."""

    def value(logits):
        return np.zeros(logits.shape, dtype=np.float32)

    zero = Implementation(
        "log_sigmoid", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    for x in (-3.3, -0.7, -1.9, 0.4):
        (measured,) = run(zero, "float32", "max_excess_bits: 60", f"[{x}]").measurements
        bits = measured.max_excess_bits
        assert bits > 20
        assert passes(zero, "float32", f"max_excess_bits: {bits!r}", f"[{x}]")
        assert not passes(zero, "float32", f"max_excess_bits: {below(bits)!r}", f"[{x}]")


def test_what_another_bound_allows_is_not_worked_out_to_the_last_bit(monkeypatch):
    """`{max_ulp: 0, or_abs: …}` is how one asks for absolute errors only."""

    def refuse(*_given):
        raise AssertionError

    monkeypatch.setattr(borderline, "ends", refuse)

    def value(logits):
        return np.ones(logits.shape, dtype=np.float32)

    one = Implementation(
        "sigmoid", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    values = "[100, 1e10, 1e30]"
    assert passes(one, "float32", "max_ulp: 0, or_abs: 1e-6, allow: [invariant]", values)
    # and what is right to 2^-50 ulp is right
    assert passes(one, "float32", "max_ulp: 0, allow: [invariant]", values)


def test_the_smallest_number_of_the_wrong_sign_is_one_too():
    def value(logits):
        return np.full(logits.shape, -1e-30, dtype=np.float32)

    tiny = Implementation(
        "sigmoid", "mine", value, None, ("float32",), tuple(LabelKind), frozenset()
    )
    (violation,) = run(tiny, "float32", "max_ulp: inf").violations
    assert violation.finding.kind is Kind.WRONG_SIGN


def test_a_limit_that_later_ones_hide_is_an_error():
    text = """
sweeps:
  s: {losses: softplus, dtypes: float32, inputs: [{generator: explicit, values: [0]}]}
limits:
  - {implementation: numpy.accurate, max_ulp: 4}
  - {implementation: "numpy.*", max_ulp: 9}
"""
    with pytest.raises(ConfigError, match="never applies: later limits select all"):
        audit(loads(text, "gate.yaml"))


def test_what_is_beyond_the_tolerance_by_definition_cannot_be_forbidden():
    text = """
sweeps:
  s: {losses: softplus, dtypes: float32, inputs: [{generator: explicit, values: [0]}]}
limits:
  - {max_ulp: 1e8, forbid: [vanished-gradient]}
"""
    with pytest.raises(ConfigError, match="or_abs, or_rel, or_excess_bits, max_norm say where"):
        loads(text, "gate.yaml")
