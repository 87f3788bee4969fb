"""What becomes of scores: errors per row, counts by gravest kind, witnesses, plateaus."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from xentcheck.errors import UncertifiedError
from xentcheck.losses import LOSSES
from xentcheck.measurement import Arbitration, Tally, close, lost, measure
from xentcheck.measurement import confirmation as deciding
from xentcheck.measurement.borderline import settled
from xentcheck.measurement.plateaus import MOST_HEIGHTS
from xentcheck.model import ABOUT, Case, Cell, Implementation, Kind, LabelKind, Quantity, Tolerance
from xentcheck.reference import Element, Reference, exact
from xentcheck.reference.enclosures import Enclosures

CE = "softmax_cross_entropy"


def case(logits, labels=None, loss=CE, dtype="float32", start=0, **parameters):
    logits = np.asarray(logits, dtype=dtype)
    kind = LOSSES[loss].label_kinds[0]
    if kind is LabelKind.INTEGER:
        labels = np.zeros(len(logits), np.int64) if labels is None else np.asarray(labels)
    return Case("sweep", "explicit", loss, dtype, logits, kind, labels, parameters, start)


def tallied(function, *cases, quantity=Quantity.VALUE, thorough=True, into=None):
    """What is collected of a function on some cases."""
    loss = cases[0].loss
    kinds = (cases[0].label_kind,)
    names = frozenset(cases[0].parameters)
    mine = Implementation(loss, "mine", function, function, ("float32",), kinds, names)
    tally = into or Tally()
    for each in cases:
        measure(tally, mine, each, Reference(each), quantity, Tolerance(), thorough=thorough)
    return tally


def closed(tally, loss=CE, quantity=Quantity.VALUE):
    """Measurement and findings, by kind, of a tally; what is shown has been confirmed."""
    arbitration = Arbitration()
    cell = Cell(loss, "mine", "float32", quantity, "sweep")
    measurement, findings = close(cell, tally, Tolerance(), arbitration)
    assert arbitration.failures == []
    return measurement, {each.kind: each for each in findings}


def collected(function, *cases, quantity=Quantity.VALUE):
    """Measurement and findings, by kind, of a function on some cases."""
    tally = tallied(function, *cases, quantity=quantity)
    arbitration = Arbitration()
    cell = Cell(cases[0].loss, "mine", "float32", quantity, "sweep")
    measurement, findings = close(cell, tally, Tolerance(), arbitration)
    assert arbitration.failures == []
    assert [each.kind for each in findings] == sorted(
        (each.kind for each in findings), key=list(Kind).index
    )
    return measurement, {each.kind: each for each in findings}


def logsumexp(x):
    wide = x.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    return (top[:, 0] + np.log(np.exp(wide - top).sum(axis=1))).astype(x.dtype)


def cross_entropy(x, y):
    return (logsumexp(x.astype(np.float64)) - x[np.arange(len(x)), y]).astype(x.dtype)


def probabilities(x):
    return np.exp(x.astype(np.float64) - logsumexp(x.astype(np.float64))[:, None]).astype(x.dtype)


def steps(values, ulps):
    return (values.view(np.int32) + np.asarray(ulps, dtype=np.int32)).view(np.float32)


# logsumexp of one class is the logit, exactly representable: errors are the steps themselves
ONES = np.arange(1.0, 101.0, dtype=np.float32)[:, None]


def test_quantiles_are_of_the_errors_of_rows():
    def graded(x):
        return steps(x[:, 0], x[:, 0].astype(np.int64))

    measurement, _ = collected(graded, case(ONES, loss="logsumexp"))
    # k ulps off at x = k, k = 1 … 100; no power of two is crossed upwards by so few
    assert measurement.rows == 100
    assert measurement.max_ulp == 100
    assert measurement.p99_ulp == 100
    assert measurement.median_ulp == 51
    assert measurement.max_abs == 100 * 2.0**-17  # 64 ≤ 100 < 128


def test_rows_without_a_finite_error_are_counted_and_are_in_no_quantile():
    def partly(x):
        return np.where(x[:, 0] == 3, np.float32("nan"), steps(x[:, 0], 6))

    measurement, findings = collected(partly, case([[1.0], [2], [3]], loss="logsumexp"))
    assert (measurement.rows, measurement.max_ulp, measurement.median_ulp) == (3, 6, 6)
    assert measurement.counts == {Kind.NAN: 1, Kind.INACCURATE: 2}
    assert measurement.witness.logits.tolist() == [3.0]
    assert findings[Kind.INACCURATE].witness.ulp_error == 6


def test_nothing_finite_leaves_no_number():
    measurement, _ = collected(lambda x: x[:, 0] * np.float32("nan"), case(ONES, loss="logsumexp"))
    numbers = (measurement.max_ulp, measurement.p99_ulp, measurement.median_ulp)
    assert all(math.isnan(each) for each in (*numbers, measurement.max_abs))
    assert measurement.max_excess_bits is None


def test_the_witness_of_a_cell_is_the_component_with_the_largest_error():
    """Not one of the gravest kind: that has a witness of its own."""

    def gradient(x):
        right = probabilities(x)
        right[:, 0] *= -1  # wrong sign: 2^24 ulps at most
        right[:, 1] = 1e30
        return right

    measurement, findings = collected(
        gradient, case([[0.0, 1.0, 2.0]], loss="logsumexp"), quantity=Quantity.GRADIENT
    )
    assert measurement.counts == {Kind.WRONG_SIGN: 1}
    assert findings[Kind.WRONG_SIGN].witness.index == 0
    assert measurement.witness.index == 1
    assert measurement.witness.ulp_error == measurement.max_ulp


def test_of_faults_without_an_error_the_gravest_is_the_worst_of_a_cell():
    def swapped(x):
        return np.where(np.isnan(x).any(axis=1), np.float32(0), np.float32("nan"))

    rows = case([[np.nan, 0.0], [1.0, 2.0]], loss="logsumexp")
    measurement, _ = collected(swapped, rows)
    assert measurement.counts == {Kind.NAN: 1, Kind.MISSED_NAN: 1}
    assert measurement.witness.logits.tolist() == [1.0, 2.0]


def test_an_accepted_convention_is_no_cell_s_worst_while_there_is_anything_else():
    def nan_at_infinity(x):
        return np.where(np.isinf(x).any(axis=1), np.float32("nan"), steps(logsumexp(x), 1))

    rows = [[np.inf, 0.0], [1.0, 2.0]]
    measurement, findings = collected(nan_at_infinity, case(rows, loss="logsumexp"))
    assert set(findings) == {Kind.CONVENTION}
    assert measurement.witness.logits.tolist() == [1.0, 2.0]
    alone, _ = collected(nan_at_infinity, case(rows[:1], loss="logsumexp"))
    assert alone.witness.logits.tolist() == [np.inf, 0.0]


def test_among_witnesses_without_an_error_the_narrower_row_is_shown():
    wide, narrow = ([[0.0] * 5], [[0.0] * 2])
    for order in ((wide, narrow), (narrow, wide)):
        cases = [case(each, loss="logsumexp") for each in order]
        _, findings = collected(lambda x: x[:, 0] * np.float32("nan"), *cases)
        assert findings[Kind.NAN].witness.logits.shape == (2,)
        assert findings[Kind.NAN].rows == 2


def test_a_witness_is_numbered_within_its_sweep():
    _, findings = collected(
        lambda x: steps(logsumexp(x), np.where(x[:, 0] == 9, 50, 0)),
        case([[1.0, 2.0]], loss="logsumexp"),
        case([[3.0, 2.0], [9.0, 2.0]], loss="logsumexp", start=1),
    )
    assert findings[Kind.INACCURATE].witness.row == 2


def test_lost_bits_are_those_of_the_row_that_lost_most_beyond_its_conditioning():
    """Near a zero of logsumexp the many ulps are the problem's own; elsewhere the few are not."""
    hard, easy = [-math.log(2.0)] * 2, [3.0, 3.0]

    def off(x):
        return steps(logsumexp(x), np.where(x[:, 0] < 0, 1000, 64))

    both, _ = collected(off, case([hard, easy], loss="logsumexp"))
    alone, _ = collected(off, case([easy], loss="logsumexp"))
    assert both.witness.logits[0] < 0
    assert both.max_excess_bits == alone.max_excess_bits
    # of [3, 3]: a rounding of the result, 3 + 3 halves of it, and half a rounding of the sum
    condition = 1 + (3 + 0.5) / (3 + math.log(2.0))
    assert alone.max_excess_bits == pytest.approx(math.log2(2 * 64 / condition), abs=0.02)

    blank, _ = collected(
        lambda x: np.where(x[:, 0] == 5, np.float32("nan"), off(x)),
        case([[5.0, 5.0], easy], loss="logsumexp"),
    )
    assert blank.max_excess_bits == alone.max_excess_bits


def test_the_rows_that_raised_are_scored_as_nothing():
    def picky(x):
        if (x[:, 0] == 2).any():
            raise ValueError("two")
        return x[:, 0]

    measurement, findings = collected(picky, case(ONES[:4], loss="logsumexp"))
    assert measurement.counts == {Kind.RAISED: 1}
    assert measurement.max_ulp == 0
    assert findings[Kind.RAISED].witness.logits.tolist() == [2.0]
    assert findings[Kind.RAISED].witness.note.startswith("ValueError: two")


def test_a_shape_that_is_wrong_is_a_finding_with_no_number():
    measurement, findings = collected(lambda x: x, case(ONES[:4], loss="logsumexp"))
    assert measurement.counts == {Kind.WRONG_SHAPE: 4}
    assert findings[Kind.WRONG_SHAPE].detail == "returned shape (4, 1), want (4,)"
    assert math.isnan(measurement.max_ulp)


def test_a_written_input_does_not_spoil_the_scores():
    def writing(x):
        result = logsumexp(x)
        x[:] = 0
        return result

    measurement, findings = collected(writing, case([[1.0, 2.0], [3.0, 5.0]], loss="logsumexp"))
    assert set(findings) == {Kind.MUTATED_INPUT}
    assert measurement.max_ulp <= 0.5


NOISE = np.array([[0.5, 0.25, 0.0], [1.0, -1.0, 2.0]], dtype=np.float32)


def test_a_witness_bears_its_own_row_of_a_matrix():
    rows = case([[1.0, 2.0, 3.0]] * 2, loss="softmax", noise=NOISE)

    def wrong(x, noise):
        return np.where(noise[:, :1] == 1, np.float32("nan"), probabilities(x + noise))

    _, findings = collected(wrong, rows)
    assert findings[Kind.NAN].witness.parameters["noise"].tolist() == NOISE[1].tolist()

    def raising(x, noise):
        if (noise[:, 0] == 1).any():
            raise ValueError
        return probabilities(x + noise)

    _, findings = collected(raising, rows)
    assert findings[Kind.RAISED].witness.parameters["noise"].tolist() == NOISE[1].tolist()


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 2)])
def test_a_reduced_value_is_one_result_of_the_whole_block(reduction, divisor):
    block = case([[0.0, 0.0], [1.0, 1.0]], reduction=reduction)  # log 2 each

    def reduced(x, y, reduction):
        total = cross_entropy(x.astype(np.float64), y).sum()
        return np.float32(total / divisor) * np.float32(1.5)

    measurement, findings = collected(reduced, block)
    witness = findings[Kind.INACCURATE].witness
    assert witness.logits.tolist() == block.logits.tolist()
    assert witness.labels.tolist() == [0, 0]
    assert witness.expected == float(np.float32(2 * math.log(2) / divisor))
    assert witness.actual == float(reduced(witness.logits, witness.labels, reduction))
    assert measurement.median_ulp == measurement.max_ulp == witness.ulp_error


@pytest.mark.parametrize("start", [0, 7])
def test_a_witness_of_a_reduced_block_has_the_number_of_its_first_row(start):
    block = case([[0.0, 0.0], [1.0, 1.0]], reduction="sum", start=start)
    measurement, findings = collected(lambda x, y, reduction: np.float32(9), block)
    assert findings[Kind.INACCURATE].witness.row == start
    assert measurement.witness.row == start
    kind, first = measurement.first_break
    assert (kind, first.row) == (Kind.INACCURATE, start)


def test_where_rows_raise_and_the_others_have_no_error_there_is_no_largest_one():
    def picky(x):
        if (x[:, 0] == 2).any():
            raise ValueError("two")
        return x[:, 0] * np.float32("nan")

    tally = tallied(picky, case(ONES[:4], loss="logsumexp"))
    assert tally.counts == {Kind.NAN: 3}
    assert tally.largest is None
    assert math.isnan(closed(tally, "logsumexp")[0].max_ulp)


def test_a_reduction_that_raises_shows_the_whole_block():
    def raising(_x, _y, reduction):
        raise ValueError(reduction)

    block = case([[0.0, 0.0], [1.0, 1.0]], reduction="sum")
    _, findings = collected(raising, block)
    assert findings[Kind.RAISED].witness.logits.shape == (2, 2)


class TestPlateau:
    # the loss of the first class is log(1 + e^gap)
    GAPS = np.array([1.0, 14.0, 16.0, 20.0, 40.0, 80.0])
    ROWS = np.stack([np.zeros(6), GAPS], axis=1)

    @staticmethod
    def ceiling(height):
        return lambda x, y: np.minimum(cross_entropy(x, y), np.float32(height))

    def test_a_ceiling_has_height_and_onset(self):
        measurement, findings = collected(self.ceiling(15), case(self.ROWS))
        assert measurement.counts == {Kind.PLATEAU: 4}
        plateau = findings[Kind.PLATEAU]
        assert plateau.detail == "height 15, from exact 16 on"
        assert plateau.witness.logits.tolist() == [0.0, 80.0]  # farthest from what came back
        assert plateau.witness.actual == 15.0

    def test_a_floor_is_one_too(self):
        rows = self.ROWS[:, ::-1]  # losses e^-gap

        def floored(x, y):
            x = x.astype(np.float64)
            return np.maximum(np.log1p(np.exp(x[:, 1] - x[:, 0])), 1e-7).astype(np.float32)

        measurement, findings = collected(floored, case(rows))
        assert measurement.counts == {Kind.PLATEAU: 3}  # e^-16 is above 1e-7
        onset = f"{math.exp(-20):.6g}"
        assert findings[Kind.PLATEAU].detail == f"height 1e-07, from exact {onset} on"

    def test_other_inaccurate_rows_keep_their_kind_and_get_a_witness_of_their_own(self):
        def clipped(x, y):
            right = cross_entropy(x, y)
            return np.minimum(np.where(right > 14.5, right, steps(right, 10)), np.float32(15))

        measurement, findings = collected(clipped, case(self.ROWS))
        assert measurement.counts == {Kind.PLATEAU: 4, Kind.INACCURATE: 2}
        assert findings[Kind.INACCURATE].witness.logits[1] in (1.0, 14.0)
        assert 9 < findings[Kind.INACCURATE].witness.ulp_error < 11

    def test_zero_is_no_height(self):
        """A loss that comes out as 0 vanished, it was not clipped."""
        top = float(np.finfo(np.float32).max)
        rows = [[-np.inf, 0.0], *([-part * top, top] for part in (0.25, 0.5, 1.0))]
        measurement, findings = collected(lambda x, y: np.zeros_like(x[:, 0]), case(rows))
        assert measurement.counts == {Kind.MISSED_OVERFLOW: 4}
        assert set(findings) == {Kind.MISSED_OVERFLOW}

    def test_overflow_that_is_missed_on_it_belongs_to_it(self):
        """Infinite exact losses, and finite ones that the format cannot hold."""
        top = float(np.finfo(np.float32).max)
        rows = [[-np.inf, 0.0], [-top, top], [0.0, 40.0], [0.0, 80.0], [0.0, 14.0]]
        measurement, findings = collected(self.ceiling(15), case(rows))
        assert measurement.counts == {Kind.PLATEAU: 4}
        assert set(findings) == {Kind.PLATEAU}

    def test_a_row_that_raised_is_no_witness_of_what_is_left(self):
        rows = [[-np.inf, 1.0], [-np.inf, 2.0], [-np.inf, 3.0], [0.0, 40.0], [0.0, 80.0]]

        def picky(x, y):
            if (x[:, 1] == 1).any():
                raise ValueError
            right = np.minimum(cross_entropy(x, y), np.float32(15))
            return np.where(x[:, 1] == 3, np.float32(7), right)

        measurement, findings = collected(picky, case(rows))
        assert measurement.counts == {Kind.RAISED: 1, Kind.MISSED_OVERFLOW: 1, Kind.PLATEAU: 3}
        assert findings[Kind.MISSED_OVERFLOW].witness.actual == 7.0

    def test_two_values_are_too_few(self):
        measurement, _ = collected(self.ceiling(15), case(self.ROWS[[0, 1, 4, 5]]))
        assert measurement.counts == {Kind.INACCURATE: 2}
        repeated, _ = collected(self.ceiling(15), case(self.ROWS[[0, 1, 4, 5, 5, 5]]))
        assert repeated.counts == {Kind.INACCURATE: 4}

    def test_values_within_a_factor_of_two_are_too_near(self):
        rows = np.stack([np.zeros(4), [16.0, 20.0, 24.0, 28.0]], axis=1)
        measurement, _ = collected(self.ceiling(15), case(rows))
        assert measurement.counts == {Kind.INACCURATE: 4}
        rows[-1, 1] = 33.0
        measurement, _ = collected(self.ceiling(15), case(rows))
        assert measurement.counts == {Kind.PLATEAU: 4}

    def test_values_on_both_sides_are_coarse_rounding(self):
        constant = case(np.stack([np.zeros(4), [2.0, 8.0, 32.0, 64.0]], axis=1))
        measurement, _ = collected(lambda x, _y: np.full(len(x), np.float32(16)), constant)
        assert measurement.counts == {Kind.INACCURATE: 4}

    def test_it_may_lie_across_cases(self):
        cases = [case(self.ROWS[k : k + 1], start=k) for k in range(6)]
        measurement, findings = collected(self.ceiling(15), *cases)
        assert measurement.counts == {Kind.PLATEAU: 4}
        assert findings[Kind.PLATEAU].witness.row == 5


def test_every_kind_has_a_hint():
    assert {kind for kind in Kind if ABOUT[kind].hint} == set(Kind)


# Tallies of parts, put together.


def shown_of(witness):
    """A witness as something that compares."""
    if witness is None:
        return None
    fields = {name: getattr(witness, name) for name in witness.__dataclass_fields__}
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            fields[name] = value.tolist()
        elif isinstance(value, dict):
            fields[name] = {key: str(each) for key, each in value.items()}
    return repr(sorted(fields.items(), key=lambda each: each[0]))


def summary(tally, loss=CE):
    """All that is told of a tally."""
    measurement, findings = closed(tally, loss)
    numbers = (measurement.rows, measurement.max_ulp, measurement.p99_ulp, measurement.median_ulp)
    more = (measurement.max_abs, measurement.negative_zeros, measurement.max_excess_bits)
    told = [
        (kind, each.rows, each.detail, each.distance, shown_of(each.witness))
        for kind, each in findings.items()
    ]
    texts = (measurement.result_dtype, shown_of(measurement.witness))
    return repr((numbers, more, texts, dict(measurement.counts), told))


def in_parts(function, rows, sizes, loss=CE, **more):
    """One tally of each part of some rows, merged; every part counts its rows from 0."""
    whole, offset = Tally(), 0
    for size in sizes:
        part = case(rows[offset : offset + size], loss=loss)
        whole.merge(tallied(function, part, **more), offset)
        offset += size
    assert offset == len(rows)
    return whole


def mixed(x):
    """Right, off by some ulps, NaN and −0, by the first logit."""
    first = x[:, 0]
    result = steps(logsumexp(x), np.where(first > 0, np.abs(first), 0).astype(np.int64))
    result = np.where(first == -3, np.float32("nan"), result)
    return np.where(first == -7, np.float32(-1e30), result)


MIXED = np.random.default_rng(1).integers(-9, 20, size=(60, 2)).astype(np.float32)


@pytest.mark.parametrize("sizes", [[60], [1, 59], [30, 30], [7, 13, 40], [1] * 60])
def test_merging_parts_is_like_collecting_at_once(sizes):
    once = tallied(mixed, case(MIXED, loss="logsumexp"))
    parts = in_parts(mixed, MIXED, sizes, loss="logsumexp")
    assert summary(parts, "logsumexp") == summary(once, "logsumexp")


def test_a_witness_is_numbered_from_the_start_of_its_sweep_after_a_merge():
    def nine(x):
        return np.where(x[:, 0] == 9, np.float32("nan"), logsumexp(x))

    rows = np.array([[1.0, 2.0]] * 5 + [[9.0, 2.0]] + [[1.0, 2.0]] * 4)
    tally = in_parts(nine, rows, [2, 3, 5], loss="logsumexp")
    _, findings = closed(tally, "logsumexp")
    assert findings[Kind.NAN].witness.row == 5
    third = Tally()
    third.merge(tally, 100)
    _, findings = closed(third, "logsumexp")
    assert findings[Kind.NAN].witness.row == 105


def first_break(tally, loss=CE):
    """(kind, row) of the first row of a sweep that breaks."""
    told = closed(tally, loss)[0].first_break
    return None if told is None else (told[0], told[1].row)


def test_the_first_row_that_breaks_is_numbered_from_the_start_of_its_sweep_after_a_merge():
    """Also where the parts before it are without a fault, and where later parts have one too."""

    def odd(x):
        result = np.where(x[:, 0] == 9, np.float32("nan"), logsumexp(x))
        return np.where(x[:, 0] == 8, np.float32(-1e30), result)

    sound, nine, eight = [1.0, 2.0], [9.0, 2.0], [8.0, 2.0]
    rows = np.array([*[sound] * 5, nine, *[sound] * 2, eight, nine])
    for sizes in ([10], [2, 3, 5], [5, 5], [6, 4], [1] * 10):
        tally = in_parts(odd, rows, sizes, loss="logsumexp")
        whole = Tally()
        whole.merge(in_parts(odd, rows[:3], [3], loss="logsumexp"), 0)
        whole.merge(tally, 100)
        assert first_break(whole, "logsumexp") == (Kind.NAN, 105)
    assert first_break(in_parts(odd, rows[:5], [2, 3], loss="logsumexp"), "logsumexp") is None


@pytest.mark.parametrize("sizes", [[6], [1] * 6, [2, 4], [3, 3]])
def test_a_plateau_may_lie_across_parts(sizes):
    rows = TestPlateau.ROWS
    clipped = TestPlateau.ceiling(15)
    once = tallied(clipped, case(rows))
    assert summary(in_parts(clipped, rows, sizes)) == summary(once)
    measurement, findings = closed(in_parts(clipped, rows, sizes))
    assert measurement.counts == {Kind.PLATEAU: 4}
    assert findings[Kind.PLATEAU].detail == "height 15, from exact 16 on"
    assert findings[Kind.PLATEAU].witness.row == 5


def test_too_few_rows_of_a_height_in_all_parts_together_are_inaccurate():
    rows = TestPlateau.ROWS[[0, 1, 4, 5]]
    measurement, findings = closed(in_parts(TestPlateau.ceiling(15), rows, [3, 1]))
    assert measurement.counts == {Kind.INACCURATE: 2}
    assert findings[Kind.INACCURATE].witness.row == 3


def test_incidents_of_parts_are_counted_together_and_the_worst_is_shown():
    def leaning(x):
        """More wrong in company, by the largest logit of the batch."""
        return steps(logsumexp(x), 10 * int(x.max()) * (len(x) == 3))

    rows = np.array([[1.0, 0.0]] * 3 + [[2.0, 0.0]] * 3 + [[1.0, 0.0]] * 3)
    tally = in_parts(leaning, rows, [3, 3, 3], loss="logsumexp")
    measurement, findings = closed(tally, "logsumexp")
    finding = findings[Kind.ROW_DEPENDENT]
    assert finding.rows == measurement.counts[Kind.ROW_DEPENDENT] == 9
    assert finding.distance == 20
    assert finding.witness.row == 3

    def picky(x):
        if (x[:, 0] == 2).any():
            raise ValueError("two")
        return logsumexp(x)

    tally = in_parts(picky, rows, [2, 2, 5], loss="logsumexp")
    _, findings = closed(tally, "logsumexp")
    assert findings[Kind.RAISED].rows == 3
    assert findings[Kind.RAISED].witness.row == 3


def test_negative_zeros_of_parts_are_counted_together():
    def negated(x, y):
        return np.where(x[:, 0] > 200, np.float32(-0.0), cross_entropy(x, y))

    rows = np.array([[500.0, 0.0], [1.0, 0.0], [300.0, 0.0], [400.0, 0.0]])
    measurement, findings = closed(in_parts(negated, rows, [1, 2, 1]))
    assert measurement.negative_zeros == 3
    assert findings == {}


def test_merging_nothing_changes_nothing():
    tally = tallied(mixed, case(MIXED, loss="logsumexp"))
    tally.merge(Tally(), 60)
    whole = Tally()
    whole.merge(Tally(), 0)
    whole.merge(tally, 0)
    once = summary(tallied(mixed, case(MIXED, loss="logsumexp")), "logsumexp")
    assert summary(whole, "logsumexp") == once


def test_a_tally_goes_to_another_process_and_back():
    tally = pickle.loads(pickle.dumps(tallied(mixed, case(MIXED, loss="logsumexp"))))
    once = summary(tallied(mixed, case(MIXED, loss="logsumexp")), "logsumexp")
    assert summary(tally, "logsumexp") == once


def test_a_crash_counts_all_rows_of_its_case_and_scores_none():
    tally = tallied(logsumexp, case([[1.0, 2.0]] * 3, loss="logsumexp"))
    block = case([[5.0, 6.0]] * 4, loss="logsumexp", start=3)
    lost(tally, block, Kind.CRASHED, "died of signal 11 (SIGSEGV)")
    measurement, findings = closed(tally, "logsumexp")
    assert measurement.rows == 7
    assert measurement.counts == {Kind.CRASHED: 4}
    assert measurement.max_ulp <= 0.5
    assert findings[Kind.CRASHED].detail == "died of signal 11 (SIGSEGV)"
    assert findings[Kind.CRASHED].witness.logits.tolist() == [5.0, 6.0]
    assert findings[Kind.CRASHED].witness.row == 3


# What is kept does not grow with the rows.


def test_what_is_kept_does_not_grow_with_a_million_rows():
    """Every row comes back as one of many results, far too large and all suspicious."""

    def coarse(x, _y):
        return (np.floor(x[:, 1]) * 4096).astype(np.float32)

    rng = np.random.default_rng(2)
    tally, sizes = Tally(), []
    for chunk in range(16):
        x = np.zeros((1 << 16, 2), dtype=np.float32)
        x[:, 1] = np.exp2(rng.uniform(0, 20, 1 << 16))
        tallied(coarse, case(x, start=chunk << 16), thorough=False, into=tally)
        assert len(tally.heights.known) <= MOST_HEIGHTS
        sizes.append(len(pickle.dumps(tally)))
    assert tally.rows == 1 << 20
    assert (
        tally.counts[Kind.INACCURATE] + sum(found.rows for found in tally.heights.known.values())
        >= tally.rows
    )
    assert len(tally.heights.known) > 64
    assert len(tally.shown) <= len(Kind) + 1
    assert sizes[-1] < 2 * sizes[3]
    assert sizes[-1] < 4 << 20


def test_heights_that_are_forgotten_keep_their_counts_and_witnesses():
    """More different wrong results than are watched: those seen least are no plateaus."""

    def halved(x, _y):
        return x[:, 1] / 2

    parts = MOST_HEIGHTS // 32 + 4
    tally = Tally()
    for part in range(parts):
        x = np.zeros((32, 2))
        x[:, 1] = np.arange(32) + 100.0 + 32 * part
        tallied(halved, case(x, start=32 * part), into=tally)
    assert len(tally.heights.known) == MOST_HEIGHTS
    measurement, findings = closed(tally)
    assert measurement.counts == {Kind.INACCURATE: 32 * parts}
    # half of the exact loss is off by half of it: most ulps at the top of a binade
    assert findings[Kind.INACCURATE].witness.ulp_error == measurement.max_ulp


# What is shown, by the arbiter.


@pytest.mark.parametrize("side", [-1.0, 0.0, 1.0])
def test_a_result_near_a_limit_is_settled_by_the_exact_value_and_not_by_a_midpoint(side):
    """sigmoid(0) is 1/2; a ball that has it has its midpoint on either side."""
    row = case([0.0], loss="sigmoid")
    given = np.array([1.0]), np.array([side * 2.0**-70]), np.array([-1]), np.array([2.0**-69])
    if side < 0:
        inner = math.nextafter(1.0, 0.0)
        given = np.array([inner * 2]), np.array([2.0**-52 - 2.0**-70]), np.array([-2]), given[3]
    truth = Enclosures(*given, np.zeros(1, dtype=np.uint8)), np.array([1.0])
    actual = np.array([0.5 + 3 * 2.0**-24], dtype=np.float32)
    for limit, beyond in ((3.0, False), (math.nextafter(3.0, 0.0), True)):
        tolerance = Tolerance(limit, p99_ulp=limit)
        stand = settled(Element(row, 0, Quantity.VALUE), actual, truth, tolerance)
        assert (bool(stand.beyond[0]), bool(stand.far[0])) == (beyond, beyond)


def test_a_result_is_decided_once_however_often_it_is_shown(monkeypatch):
    asked = []
    original = deciding.exact_component

    def counting(element, dtype):
        asked.append((element.row, element.quantity, element.component))
        return original(element, dtype)

    monkeypatch.setattr(deciding, "exact_component", counting)
    rows = case([[1.0, 2.0]], loss="logsumexp")
    arbitration = Arbitration()
    for tripled in (lambda x: -logsumexp(x), lambda x: -3 * logsumexp(x)):
        tally = tallied(tripled, rows)
        assert set(tally.shown) == {None, Kind.WRONG_SIGN}
        cell = Cell("logsumexp", "mine", "float32", Quantity.VALUE, "sweep")
        close(cell, tally, Tolerance(), arbitration)
    assert asked == [(0, Quantity.VALUE, 0)]
    assert arbitration.confirmed == 1


def test_a_reduced_block_is_decided_once_for_value_and_gradient(monkeypatch):
    asked = []

    def counting(given):
        asked.append(given)
        return exact(given)

    def zeros(x, _y, reduction):
        return np.zeros_like(x) if asking is Quantity.GRADIENT else x.dtype.type(len(reduction))

    monkeypatch.setattr(deciding, "exact", counting)
    arbitration = Arbitration()
    block = case([[0.0, 0.0], [1.0, 1.0]], reduction="sum")
    for asking in Quantity:
        tally = tallied(zeros, block, quantity=asking)
        close(Cell(CE, "mine", "float32", asking, "sweep"), tally, Tolerance(), arbitration)
    assert len(asked) == 1
    assert arbitration.confirmed >= 2


def test_a_score_that_the_arbiter_does_not_confirm_is_an_internal_error():
    tally = tallied(lambda x: -logsumexp(x), case([[1.0, 2.0]], loss="logsumexp"))
    shown = tally.shown[Kind.WRONG_SIGN]
    tally.shown[Kind.WRONG_SIGN] = replace(shown, actual=-shown.actual)
    arbitration = Arbitration()
    close(
        Cell("logsumexp", "mine", "float32", Quantity.VALUE, "sweep"),
        tally,
        Tolerance(),
        arbitration,
    )
    (failure,) = arbitration.failures
    assert failure.startswith("internal error: value of mine on row 0 of sweep 'sweep'")
    assert failure.endswith("is wrong-sign by a fast tier and right by mpmath")


def test_a_row_that_the_arbiter_cannot_decide_is_shown_without_a_number(monkeypatch):
    def undecided(*_given):
        raise UncertifiedError("undecided at 32768 bits")

    monkeypatch.setattr(deciding, "exact_component", undecided)
    tally = tallied(lambda x: steps(logsumexp(x), 100), case([[1.0, 2.0]], loss="logsumexp"))
    arbitration = Arbitration()
    cell = Cell("logsumexp", "mine", "float32", Quantity.VALUE, "sweep")
    measurement, (finding,) = close(cell, tally, Tolerance(), arbitration)
    assert arbitration.failures
    assert set(arbitration.failures) == {"undecided at 32768 bits"}
    assert finding.witness.note == "undecided at 32768 bits"
    assert finding.rows == 1
    assert measurement.counts == {Kind.INACCURATE: 1}


def test_the_largest_error_is_the_arbiter_s_beside_a_row_without_one():
    """Also where the witness of the cell is a worse fault, that has no error."""

    def partly(x):
        right = steps(logsumexp(x), 100)
        return np.where(x[:, 0] == 3, np.float32("nan"), right)

    rows = case([[3.0, 1.0], [1.25, 2.5]], loss="logsumexp")
    measurement, findings = collected(partly, rows)
    assert measurement.witness.logits.tolist() == [3.0, 1.0]
    assert measurement.max_ulp == findings[Kind.INACCURATE].witness.ulp_error


def test_steps_in_which_results_next_to_a_zero_come_are_no_plateau():
    """log Σ e^x, rounded to steps of 1e-7 near 0: what comes for many tiny values is no floor."""

    def stepped(x):
        exact = logsumexp(x.astype(np.float64))
        return (np.rint(exact / 1e-7 + 3) * 1e-7).astype(np.float32)

    half = math.log(0.5)
    rows = [[half + step, half] for step in (1e-9, 4e-9, 2e-8, 4e-8, -6e-7, -5e-7)]
    given = replace(case(rows, loss="logsumexp"), dtype="float64", logits=np.array(rows))
    measurement, _ = collected(stepped, given)
    assert Kind.PLATEAU not in measurement.counts
    # the same steps, where nothing smaller comes back: a floor
    floored, _ = collected(lambda x: np.maximum(stepped(x), np.float32(3e-7)), given)
    assert floored.counts[Kind.PLATEAU] >= 3
