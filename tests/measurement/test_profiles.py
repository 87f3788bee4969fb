"""Profiles: the numbers of rows on each axis, fixed bins, counts, and merging."""

import math
import pickle
import re
import sys
from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.places import ROOT
from xentcheck import registry
from xentcheck.auditing.run import audit
from xentcheck.config import load
from xentcheck.floats import FORMATS, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import Arbitration, Tally, close, measure
from xentcheck.measurement.axes import AXES, CODES, ERROR, MOST_BINS, NOWHERE, binned, numbers_of
from xentcheck.measurement.profiles import Profiles
from xentcheck.model import (
    KINDS,
    NOTES,
    RIGHT,
    Case,
    Cell,
    Implementation,
    Kind,
    LabelKind,
    Profile,
    ProfileBin,
    Quantity,
    Tolerance,
    kind_of,
)
from xentcheck.reference import Reference

CE = "softmax_cross_entropy"
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT


# Bins


def bin_of(axis: str, number: float) -> tuple[float, float] | None:
    """The edges of the bin of a number, by looking for it among the edges; None: in no bin."""
    if not math.isfinite(number):
        return None
    edges = AXES[axis].edges
    place = min(bisect_right(edges, abs(number)) - 1, len(edges) - 2)
    alone = edges[place + 1] == sys.float_info.min * sys.float_info.epsilon
    return edges[place], 0.0 if alone else edges[place + 1]


@pytest.mark.parametrize("axis", AXES.values(), ids=AXES)
def test_an_axis_has_few_bins_without_a_gap(axis):
    assert axis.end - axis.first == len(axis.edges) - 1 <= MOST_BINS
    assert axis.edges[0] == 0
    assert axis.edges[-1] == sys.float_info.max
    assert list(axis.edges) == sorted(set(axis.edges))
    bins = [axis.bin(code) for code in range(axis.first, axis.end)]
    assert bins[0] == ((0.0, 0.0) if axis.edges[1] < 1e-300 else (0.0, axis.edges[1]))
    assert all(low < high for low, high in bins[1:])
    assert [low for low, _ in bins] == list(axis.edges[:-1])


def test_bins_of_all_axes_have_different_codes():
    codes = [code for axis in AXES.values() for code in range(axis.first, axis.end)]
    assert codes == list(range(NOWHERE + 1, CODES))


@pytest.mark.parametrize("axis", AXES)
@settings(max_examples=50)
@given(numbers=st.lists(st.floats(width=64), min_size=1, max_size=50))
def test_every_number_is_in_the_bin_whose_edges_it_lies_between(axis, numbers):
    edges = [*AXES[axis].edges, *np.nextafter(AXES[axis].edges, 0.0)]
    numbers = np.array([*numbers, *edges, -0.0, 5e-324, 1e-310, -3.0, math.inf, -math.nan])
    (codes,) = binned({axis: numbers})
    found = [None if code == NOWHERE else AXES[axis].bin(code) for code in codes.tolist()]
    assert found == [bin_of(axis, number) for number in numbers.tolist()]


def test_octaves_where_forms_break_have_four_bins():
    for number, edges in ((11.09, (10, 12)), (88.72, (80, 96)), (709.8, (640, 768))):
        assert bin_of("gap", number) == edges
        assert bin_of("largest logit", number) == edges


# The numbers of rows

ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 5e-324)


def rows_of(loss: str, seed: int, *, label_kind: LabelKind, classes: int = 4) -> Case:
    """Rows of a loss, ordinary ones and ones with odd numbers."""
    rng = np.random.default_rng(seed)
    shape = (200,) if LOSSES[loss].layout == "elementwise" else (200, classes)
    x = rng.normal(scale=10.0 ** rng.integers(-3, 4, 200).reshape(-1, *(1,) * (len(shape) - 1)),
                   size=shape)  # fmt: skip
    domain = LOSSES[loss].domain
    if domain == "probabilities":
        x = np.exp(-np.abs(x))
    elif domain == "log-probabilities":
        x = -np.abs(x)
    if domain == "logits":
        x += np.where(rng.random(200) < 0.3, 1e4, 0.0).reshape(-1, *(1,) * (len(shape) - 1))
        odd = rng.random(shape) < 0.05
        x[odd] = rng.choice(ODD, np.count_nonzero(odd))
    labels: Any = None
    if label_kind is LabelKind.INTEGER:
        labels = rng.integers(0, classes, 200)
        labels[::17] = -100
        leading = rng.random(200) < 0.3
        labels[leading] = np.nan_to_num(x[leading]).argmax(axis=1)
    elif label_kind is LabelKind.DISTRIBUTION:
        labels = rng.dirichlet(np.ones(classes), 200)
    elif label_kind is LabelKind.TARGET:
        labels = rng.random(200)
    return Case("sweep", "explicit", loss, "float64", x, label_kind, labels)


def plainly(case: Case, row: int) -> dict[str, float]:
    """The numbers of a row, number by number."""
    loss = LOSSES[case.loss]
    logits = np.atleast_1d(case.logits[row]).tolist()
    finite = [x for x in logits if math.isfinite(x)]
    found: dict[str, float] = {}
    if loss.domain == "logits":
        found["largest logit"] = max(map(abs, finite), default=math.nan)
    if loss.domain == "log-probabilities":
        found["negative log-probability"] = -min(finite)
    if loss.domain == "probabilities":
        smallest = min(finite)
        found["smallest probability"] = (
            min(smallest, 1 - smallest) if loss.layout == "elementwise" else smallest
        )
    if loss.layout == "elementwise":
        return found
    found["classes"] = len(logits)
    if loss.domain != "logits":
        return found
    signs = {math.copysign(1, x) if x else 0.0 for x in finite}
    found["offset"] = math.nan
    if finite:
        found["offset"] = min(map(abs, finite)) if len(signs) == 1 else 0.0
    if case.labels is None or loss.per_class:
        found["gap"] = math.nan
        if finite:
            found["gap"] = min(max(finite) - min(finite), sys.float_info.max)
        return found
    label = case.labels[row]
    if case.label_kind is LabelKind.DISTRIBUTION:
        masses = label.tolist()
        label = masses.index(max(masses))
    found["gap"] = math.nan
    others = [x for k, x in enumerate(logits) if k != label]
    if label >= 0 and math.isfinite(logits[label]) and not any(map(math.isnan, others)):
        largest = max(others, default=math.nan)
        if math.isfinite(largest):
            found["gap"] = min(abs(largest - logits[label]), sys.float_info.max)
    return found


EVERY = [(loss.id, kind) for loss in LOSSES.values() for kind in loss.label_kinds]


@pytest.mark.parametrize(("loss", "kind"), EVERY, ids=str)
def test_the_numbers_of_rows_are_what_the_axes_say(loss, kind):
    case = rows_of(loss, 3, label_kind=kind)
    numbers = numbers_of(case)
    expected = [plainly(case, row) for row in range(case.rows)]
    assert set(numbers) == set(expected[0])
    for axis, found in numbers.items():
        wanted = np.array([each[axis] for each in expected])
        placed = np.array([found, wanted])
        placed[~np.isfinite(placed)] = np.nan  # neither is on the axis
        np.testing.assert_array_equal(np.abs(placed[0]), np.abs(placed[1]), err_msg=axis)
        assert np.isfinite(found).any(), axis


def numbers(logits: Any, label: Any = None, loss: str = CE, **parameters: Any) -> dict[str, float]:
    """The numbers of one row."""
    kind = LabelKind.NONE if label is None else LabelKind.INTEGER
    labels = None if label is None else np.array([label])
    x = np.array([logits], dtype=np.float64)
    found = numbers_of(Case("sweep", "explicit", loss, "float64", x, kind, labels, parameters))
    return {name: float(each[0]) for name, each in found.items()}


def test_a_gap_is_the_distance_of_the_label_from_the_best_other_class():
    assert numbers([20, 3, 0], 0)["gap"] == 17  # confident and right
    assert numbers([20, 3, 0], 2)["gap"] == 20  # confident and wrong
    assert numbers([7, 7, 0], 0)["gap"] == 0
    assert numbers([-math.inf, 7, 0], 1)["gap"] == 7  # a masked class
    assert not math.isfinite(numbers([-math.inf, 7, 0], 0)["gap"])
    assert not math.isfinite(numbers([7], 0)["gap"])
    assert not math.isfinite(numbers([20, 3, 0], 1, ignore_index=1)["gap"])
    assert numbers([20, 3, -5], loss="logsumexp")["gap"] == 25


def test_an_offset_is_what_all_logits_of_the_row_share():
    assert numbers([1e6 + 1, 1e6, 1e6 + 3], 0)["offset"] == 1e6
    assert numbers([-1e6 + 1, -1e6, -1e6 + 3], 0)["offset"] == 1e6 - 3
    assert numbers([1e6, 0, 1], 0)["offset"] == 0  # one large logit is a gap
    assert numbers([1e6, -1e6, 1], 0)["offset"] == 0
    assert numbers([1e6, -math.inf, 1e6 + 1], 0)["offset"] == 1e6


def test_a_row_without_a_finite_logit_is_on_no_axis_but_that_of_classes():
    found = numbers([math.nan, math.inf, -math.inf], 0)
    assert {name for name, each in found.items() if math.isfinite(each)} == {"classes"}


# The profiles of a cell


def grouped(errors, gravest, by_axis):
    """The profiles of rows, from one row after the other."""
    found: dict[tuple[str, tuple[float, float]], list[int]] = {}
    for axis, values in by_axis.items():
        for row, number in enumerate(np.asarray(values).tolist()):
            edges = bin_of(axis, number)
            if edges is not None and (axis != ERROR or errors[row] >= 0):
                found.setdefault((axis, edges), []).append(row)
    bins: dict[str, list[ProfileBin]] = {}
    for axis, edges in sorted(found, key=lambda each: (list(AXES).index(each[0]), each[1])):
        rows = found[axis, edges]
        kinds = Counter(kind_of(int(gravest[row])) for row in rows)
        finite = [errors[row] for row in rows if errors[row] >= 0]
        most = max(finite, default=math.nan)
        bins.setdefault(axis, []).append(
            ProfileBin(
                *edges,
                len(rows),
                sum(n for kind, n in kinds.items() if kind is not None and kind not in NOTES),
                kinds[Kind.NAN],
                kinds[Kind.SPURIOUS_OVERFLOW],
                0.0 if most < 2.0**-10 else float(f"{most:.3g}"),
            )
        )
    return {
        axis: Profile(axis, tuple(each))
        for axis, each in bins.items()
        if len(each) > 1 or axis == ERROR
    }


def as_said(profile: Profile) -> Any:
    """A profile that compares, NaN with NaN too."""
    return repr(profile)


def naive(logits, labels):
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))


def naive_gradient(logits, labels):
    e = np.exp(logits)
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(e)), labels] -= 1
    return p


def clipped(logits):
    return np.where(logits > 30, np.float32(np.nan), np.log1p(np.exp(logits)))


def sloppy(logits):
    return 1 / (1 + np.exp(-logits))


MINE = {
    CE: (naive, naive_gradient, True),
    "softplus": (clipped, sloppy, False),
    "sigmoid": (sloppy, lambda x: sloppy(x) * (1 - sloppy(x)), False),
}


def implementation(loss: str) -> Implementation:
    value, gradient, _ = MINE[loss]
    kinds = (LOSSES[loss].label_kinds[0],)
    return Implementation(loss, "mine", value, gradient, ("float32",), kinds, frozenset({"weight"}))


def block(loss: str, seed: int, rows: int = 400, start: int = 0, **parameters: Any) -> Case:
    rng = np.random.default_rng(seed)
    labelled = MINE[loss][2]
    scale = 10.0 ** rng.uniform(-2, 3, rows)
    x = (
        rng.normal(size=(rows, 5)) * scale[:, np.newaxis]
        if labelled
        else scale * rng.normal(size=rows)
    )
    labels = rng.integers(0, 5, rows) if labelled else None
    kind = LOSSES[loss].label_kinds[0]
    return Case(
        "s", "explicit", loss, "float32", x.astype(np.float32), kind, labels, parameters, start
    )


def tallied(*cases: Case, quantity: Quantity, tolerance: Tolerance, parts: Any = None) -> Tally:
    tally = Tally()
    for case in cases:
        with np.errstate(all="ignore"):
            measure(tally, implementation(case.loss), case, Reference(case), quantity, tolerance,
                    thorough=False, parts=parts)  # fmt: skip
    return tally


@pytest.mark.parametrize(
    "tolerance",
    [Tolerance(), Tolerance(times_condition=True)],
    ids=["unconditioned", "times-condition"],
)
@pytest.mark.parametrize("quantity", [VALUE, GRADIENT])
@pytest.mark.parametrize("loss", MINE)
def test_profiles_are_those_of_the_rows_one_by_one(loss, quantity, tolerance):
    case, parts = block(loss, 1), []
    tally = tallied(case, quantity=quantity, tolerance=tolerance, parts=parts)
    (part,) = parts
    condition = Reference(case).condition(quantity, slice(None), "float32").reshape(case.rows, -1)
    most = [max(filter(math.isfinite, row), default=math.nan) for row in condition.tolist()]
    wanted = grouped(
        part.worst,
        part.gravest,
        {**numbers_of(case), "condition number": most, ERROR: part.worst},
    )
    found = {each.axis: each for each in tally.profiles.closed(flushes=True)}
    assert {name: as_said(each) for name, each in found.items()} == {
        name: as_said(each) for name, each in wanted.items()
    }
    for each in found.values():
        assert sum(one.rows for one in each.bins) <= case.rows
    worst = max(one.max_ulp for one in found[ERROR].bins if one.max_ulp >= 0)
    assert worst == pytest.approx(tally.worst, rel=5e-3)
    if loss == CE and quantity is VALUE:
        logits = found["largest logit"].bins
        broken = [one for one in logits if one.nan]
        assert broken[0].low in (80, 96)  # exp of float32 overflows at 88.7
        assert all(one.failing > one.rows / 2 for one in logits if one.low >= 256)


def test_the_profiles_are_in_the_measurement():
    case = block(CE, 1)
    tally = tallied(case, quantity=VALUE, tolerance=Tolerance())
    cell = Cell(CE, "mine", "float32", VALUE, "s")
    measurement, _ = close(cell, tally, Tolerance(), Arbitration())
    axes = [each.axis for each in measurement.profiles]
    assert axes == ["largest logit", "gap", "offset", "condition number", "error"]
    errors = measurement.profiles[-1].bins
    assert sum(each.rows for each in errors) == measurement.scored
    assert sum(each.failing for each in measurement.profiles[0].bins) == sum(
        count for kind, count in measurement.counts.items() if kind not in NOTES
    )


def test_an_axis_on_which_all_rows_are_in_one_bin_is_left_out():
    case = block(CE, 1)  # all rows have five classes
    profiles = tallied(case, quantity=VALUE, tolerance=Tolerance()).profiles
    assert "classes" not in {each.axis for each in profiles.closed(flushes=True)}


def test_one_row_has_no_profile():
    case = block(CE, 1, rows=1)
    assert tallied(case, quantity=VALUE, tolerance=Tolerance()).profiles.closed(flushes=True) == ()
    assert Profiles().closed(flushes=True) == ()


def test_rows_without_a_result_are_not_counted():
    def partial(logits, labels):
        if (logits > 50).any():
            raise ValueError("too large")
        return naive(logits, labels)

    case = block(CE, 1)
    mine = Implementation(
        CE, "mine", partial, None, ("float32",), (LabelKind.INTEGER,), frozenset()
    )
    tally = Tally()
    with np.errstate(all="ignore"):
        came = measure(tally, mine, case, Reference(case), VALUE, Tolerance(), thorough=False)
    fits = int(np.count_nonzero(came.valid))
    assert 0 < tally.profiles.results == fits < case.rows
    largest = tally.profiles.closed(flushes=True)[0]
    assert sum(each.rows for each in largest.bins) == fits


def test_an_infinity_beside_a_nan_counts_as_both():
    def both(logits, labels):
        p = naive_gradient(logits, labels)
        p[0], p[1, 0] = np.nan, np.nan
        p[1, 1], p[2, 1] = np.inf, -np.inf
        return p

    case = block(CE, 1, rows=3)
    mine = Implementation(CE, "mine", naive, both, ("float32",), (LabelKind.INTEGER,), frozenset())
    tally = Tally()
    with np.errstate(all="ignore"):
        measure(tally, mine, case, Reference(case), GRADIENT, Tolerance(), thorough=False)
    largest = tally.profiles.closed(flushes=True)[0]
    assert sum(each.nan for each in largest.bins) == 2
    assert sum(each.infinite for each in largest.bins) == 2


def test_the_value_of_a_reduction_is_one_row_with_the_largest_numbers_of_its_block():
    blocks = [block(CE, seed, rows=20, reduction="mean") for seed in range(6)]
    own = Implementation(
        CE,
        "mine",
        lambda x, y, reduction: naive(x, y).mean(),
        None,
        ("float32",),
        (LabelKind.INTEGER,),
        frozenset({"reduction"}),
    )
    tally = Tally()
    for case in blocks:
        with np.errstate(all="ignore"):
            measure(tally, own, case, Reference(case), VALUE, Tolerance(), thorough=False)
    assert tally.profiles.results == len(blocks)
    profiles = {each.axis: each for each in tally.profiles.closed(flushes=True)}
    assert "condition number" not in profiles
    for axis in ("largest logit", "gap"):
        wanted = Counter(bin_of(axis, float(np.nanmax(numbers_of(each)[axis]))) for each in blocks)
        found = {(each.low, each.high): each.rows for each in profiles[axis].bins}
        assert found == dict(wanted)


def test_the_smallest_probability_of_a_block_is_that_of_its_rows():
    x = np.array([0.25, 0.5, 2.0**-20])
    case = Case("s", "explicit", "binary_cross_entropy", "float64", x, LabelKind.TARGET,
                np.ones(3), {"reduction": "sum"})  # fmt: skip
    tally = Tally()
    mine = Implementation(case.loss, "mine", lambda p, y, reduction: -np.log(p).sum(), None,
                          ("float64",), (LabelKind.TARGET,), frozenset({"reduction"}))  # fmt: skip
    for _ in range(2):
        measure(tally, mine, case, Reference(case), VALUE, Tolerance(), thorough=False)
    code = binned({"smallest probability": np.array([2.0**-20])})[0, 0]
    assert tally.profiles.rows[code] == 2


def test_what_flushing_explains_is_no_fault_of_code_that_flushes():
    """What flushes is known at the end."""
    profiles = Profiles()
    codes = binned({"gap": np.array([1.0, 1.0, 50.0])})
    right = np.array([False, False, False])
    flushed = np.array([False, True, True])
    profiles.add(codes, np.array([0.5, 3e6, 3e6]), failing=right, nan=right, flushed=flushed)

    def failing(flushes: bool) -> list[int]:
        return [each.failing for each in profiles.closed(flushes=flushes)[0].bins]

    assert failing(flushes=True) == [0, 0]
    assert failing(flushes=False) == [1, 1]


# Merging

ROWS = st.lists(
    st.tuples(
        st.floats(allow_infinity=True, allow_nan=True),
        st.floats(allow_infinity=True, allow_nan=True),
        st.one_of(st.just(-1.0), st.floats(0, 1e300)),
        st.sampled_from(["", "failing", "nan", "infinite", "flushed"]),
    ),
    max_size=30,
)


def counted(rows) -> Profiles:
    profiles = Profiles()
    if rows:
        gap, offset, worst, marks = (np.array(each) for each in zip(*rows, strict=True))
        names = ("failing", "nan", "infinite", "flushed")
        marked = {name: marks == name for name in names}
        profiles.add(binned({"gap": gap, "offset": offset}), worst, **marked)
    return profiles


@given(rows=ROWS, cuts=st.lists(st.integers(0, 30), max_size=4), order=st.randoms())
def test_any_partition_merged_in_any_order_gives_the_same_profiles(rows, cuts, order):
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [counted(rows[i:j]) for i, j in pairwise(ends)]
    order.shuffle(parts)
    merged = Profiles()
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)))
    whole = counted(rows)
    for flushes in (True, False):
        assert repr(merged.closed(flushes=flushes)) == repr(whole.closed(flushes=flushes))
    assert merged.results == len(rows)


@pytest.mark.parametrize("quantity", [VALUE, GRADIENT])
def test_tallies_of_parts_merge_to_the_profiles_of_the_whole(quantity):
    cases = [block(CE, seed, rows=50) for seed in range(4)]
    whole = tallied(*cases, quantity=quantity, tolerance=Tolerance())
    merged = Tally()
    for case in cases:
        merged.merge(tallied(case, quantity=quantity, tolerance=Tolerance()), merged.rows)
    assert repr(merged.profiles.closed(flushes=True)) == repr(whole.profiles.closed(flushes=True))


def test_a_profile_is_as_large_after_many_rows_as_after_few():
    few, many = Profiles(), Profiles()
    rng = np.random.default_rng(0)
    numbers = np.exp(rng.uniform(-700, 700, size=100_000))
    few.add(binned({"gap": numbers[:10]}), np.ones(10))
    many.add(binned({"gap": numbers}), numbers)
    assert len(pickle.dumps(many)) == pytest.approx(len(pickle.dumps(few)), rel=0.1)
    assert all(len(each.bins) <= MOST_BINS for each in many.closed(flushes=True))


# A whole audit


def test_rows_that_a_search_found_are_in_the_profiles(tmp_path):
    (tmp_path / "it.yaml").write_text(
        "sweeps:\n  it:\n    losses: softplus\n    dtypes: float32\n    quantities: value\n"
        "    implementations: numpy.naive\n"
        "    inputs:\n      - {generator: uniform, rows: 6, scale: 90}\n"
        "      - {generator: threshold}\n"
    )
    registry.load_registered()
    (measurement,) = audit(load(str(tmp_path / "it.yaml"))).measurements
    errors = next(each for each in measurement.profiles if each.axis == ERROR)
    assert measurement.scored > 6
    assert sum(each.rows for each in errors.bins) == measurement.scored
    worst = max(each.max_ulp for each in errors.bins)
    assert worst == pytest.approx(measurement.max_ulp, rel=5e-3)


def test_every_dtype_has_its_numbers_in_float64():
    for name, known in FORMATS.items():
        x = np.array([[3.0, 1.0]], dtype=np.float64).astype(known.dtype)
        case = Case("s", "explicit", CE, name, x, LabelKind.INTEGER, np.array([1]))
        assert numbers_of(case)["gap"].tolist() == [float(np.diff(to_float64(x)[0, ::-1])[0])]


def test_the_axes_are_documented():
    text = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
    first = text.split("## The bins", maxsplit=1)[0]
    assert re.findall(r"^\| `([^`]+)` \|", first, re.MULTILINE) == list(AXES)
    assert re.findall(r"^ +``([^`]+)``:", Profile.__doc__ or "", re.MULTILINE) == list(AXES)


def test_the_kinds_that_profiles_count_are_scored_kinds():
    assert KINDS.index(Kind.NAN) < KINDS.index(Kind.SPURIOUS_OVERFLOW) < RIGHT
