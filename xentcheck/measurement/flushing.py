"""Decides whether zeros in place of subnormal results are flushed, or lost by a fault.

Hardware and compilers may flush subnormal results to zero. The field accepts that (`ftz`). A zero
that is caused by an overflow in an intermediate step looks the same. So a zero counts as flushed
only if the same implementation is seen to flush. An experiment scales the row until its exact
result passes through the smallest normal number. An implementation that flushes returns numbers
down to that point, and zeros below it. One subnormal result, in the experiment or anywhere in the
cell, proves that it does not flush. A result that is one of its row's inputs proves nothing: a
compiler may hand an input through without arithmetic, as XLA does with x + 0.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UncertifiedError
from xentcheck.execution import answer
from xentcheck.floats import FORMATS, Format, format_of, from_float64, to_float64
from xentcheck.measurement.candidate import Candidate, badness, moved
from xentcheck.model import Array, Case, Float64Array, Implementation, Kind, LabelKind, Quantity
from xentcheck.reference import Reference
from xentcheck.reference.enclosures import Balls

EXPERIMENTS = 4
"""Maximum number of experiments without an answer per cell and part of a sweep."""

WIDEST = 64
"""Maximum number of classes in an experiment. Longer rows are cut to the classes that matter,
because flushing does not depend on the others."""


@dataclass(slots=True, eq=False)
class Doubtful:
    """Rows whose kind depends on whether subnormal results are flushed.

    Attributes:
        rows: number of rows by the kind that they have if flushing is not the question.
        worst: the row with the largest error.
        first: the first row.
    """

    rows: Counter[Kind] = field(default_factory=Counter)
    worst: Candidate | None = None
    first: Candidate | None = None

    def add(self, rows: Counter[Kind], worst: Candidate, first: Candidate) -> None:
        """Add rows, with the worst and the first of them."""
        self.rows += rows
        if self.worst is None or badness(worst) > badness(self.worst):
            self.worst = worst
        if self.first is None or first.place < self.first.place:
            self.first = first

    def merge(self, other: "Doubtful", offset: int, found: int) -> None:
        """Add the rows of later cases; see `Tally.merge`."""
        if other.worst is not None and other.first is not None:
            worst, first = (moved(each, offset, found) for each in (other.worst, other.first))
            self.add(other.rows, worst, first)


@dataclass(slots=True, eq=False)
class Flushing:
    """What is known about flushing in one cell.

    Attributes:
        zeros: rows with zeros whose error flushing can explain.
        partial: rows with nonzero results whose error flushed terms can explain.
        subnormals: whether a subnormal result was calculated for a subnormal exact result.
        flushed: whether an experiment saw the implementation flush.
        experiments: number of experiments so far.
        latest: the row of the next experiment.
    """

    zeros: Doubtful = field(default_factory=Doubtful)
    partial: Doubtful = field(default_factory=Doubtful)
    subnormals: bool = False
    flushed: bool = False
    experiments: int = 0
    latest: Candidate | None = None

    @property
    def flushes(self) -> bool:
        """Whether the implementation is seen to flush and never returned a subnormal result."""
        return self.flushed and not self.subnormals

    @property
    def open(self) -> bool:
        """Whether another experiment can tell something new."""
        return not self.subnormals and not self.flushed and self.experiments < EXPERIMENTS

    def merge(self, other: "Flushing", offset: int, found: int) -> None:
        """Add what is known from later cases; see `Tally.merge`."""
        self.zeros.merge(other.zeros, offset, found)
        self.partial.merge(other.partial, offset, found)
        self.subnormals |= other.subnormals
        self.flushed |= other.flushed
        self.experiments += other.experiments

    def examine(self, implementation: Implementation, quantity: Quantity) -> None:
        """Make an experiment from the last doubtful row, if it can tell something new."""
        shown, self.latest = self.latest, None
        if shown is None or not self.open:
            return
        self.experiments += 1
        target = FORMATS[shown.result_dtype]
        try:
            seen = _experiment(implementation, shown, quantity, target)
        except UncertifiedError:
            return
        if seen is None:  # the call failed on an ordinary row: try no more
            self.experiments = EXPERIMENTS
            return
        self.subnormals |= seen.subnormals
        self.flushed |= seen.flushes


def subnormal(results: Array) -> npt.NDArray[np.bool_]:
    """Which results are subnormal, read from their bits; an array of the same shape."""
    target = format_of(results.dtype)
    assert target is not None
    width = np.dtype(f"u{results.dtype.itemsize}")
    bits = np.atleast_1d(np.ascontiguousarray(results, dtype=target.dtype)).view(width)
    magnitude = bits & width.type((1 << (target.bits - 1)) - 1)
    magnitude -= width.type(1)  # zero wraps around to the largest integer
    found: npt.NDArray[np.bool_] = magnitude < width.type((1 << (target.precision - 1)) - 1)
    return found.reshape(results.shape)


def calculated(results: Array, found: npt.NDArray[np.bool_], case: Case) -> bool:
    """Whether any of the results found is not one of its row's inputs, up to the sign.

    Args:
        results: of shape (rows,) or (rows, components), or one number for the whole case.
        found: which results are asked for, of the same shape.
        case: the case with these rows.
    """
    rows = 1 if results.ndim == 0 else case.rows
    parameters = [each for each in case.parameters.values() if isinstance(each, np.ndarray)]
    own = [case.logits, *(each for each in parameters if each.ndim == 2)]
    if case.labels is not None and case.labels.dtype.kind not in "iu":
        own.append(case.labels)
    by_row = np.concatenate([np.abs(to_float64(each)).reshape(rows, -1) for each in own], axis=1)
    shared = [np.abs(to_float64(each)).ravel() for each in parameters if each.ndim != 2]
    came, found = np.abs(to_float64(results)).reshape(rows, -1), found.reshape(rows, -1)
    for row in np.flatnonzero(found.any(axis=1)).tolist():
        if not np.isin(came[row, found[row]], np.concatenate([by_row[row], *shared])).all():
            return True
    return False


COARSE = np.unique(np.concatenate([np.arange(1, 65) / 32.0, np.ldexp(1.0, np.arange(-64, 130, 2))]))
"""Factors of the first attempt to scale a row: closely spaced around 1, and far on both sides."""

FINE = 31
"""Number of factors that one refinement adds between two factors."""

ROUNDS = 6
"""Maximum number of refinements."""

NEAR = 8
"""Number of rows wanted within a factor of two of the smallest normal number, on each side."""

INACCURATE = 0.26
"""Largest relative error of normal results that still allows a conclusion about flushing."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Result of an experiment.

    Attributes:
        subnormals: whether a result is subnormal.
        flushes: whether the implementation flushes.
        tried: there was a call, and its exact results passed through the smallest normal number.
    """

    subnormals: bool = False
    flushes: bool = False
    tried: bool = True


def _experiment(
    implementation: Implementation, shown: Candidate, quantity: Quantity, target: Format
) -> _Seen | None:
    """Call an implementation on a row that is scaled through the subnormal range.

    With a sum of many terms it is hard to tell flushing from inaccuracy. So a row of many classes
    that shows flushing has to show it with few classes too, if the row can be cut.

    Returns:
        What was seen; None if a call failed.
    """
    row, index = _single(shown), shown.index or 0
    few, few_index = _narrowed(row, index)
    if row.classes > WIDEST:
        row, index = few, few_index
    seen = _scaled(implementation, row, index, quantity, target)
    if seen is None or not seen.flushes or few.classes == row.classes:
        return seen
    again = _scaled(implementation, few, few_index, quantity, target)
    return seen if again is None or not again.tried else again


def _scaled(
    implementation: Implementation, row: Case, index: int, quantity: Quantity, target: Format
) -> _Seen | None:
    tried = False
    for what in _scalable(row):
        scaled = _Scaled(row, what, quantity, index)
        factors = _factors(scaled, target)
        if not len(factors):
            continue
        results = scaled.results(implementation, factors)
        if results is None:
            return None
        seen = _judged(results, scaled.exact(factors), target, scaled.terms)
        tried = True
        if seen.subnormals or seen.flushes:
            return seen
    return _Seen(tried=tried)


def _single(shown: Candidate) -> Case:
    """The candidate's row as a case; the row with the largest loss if all rows have one result."""
    case = shown.case
    if case.rows == 1:
        return case
    place = shown.row
    if shown.single:
        apart = {name: each for name, each in case.parameters.items() if name != "reduction"}
        values = Reference(replace(case, parameters=apart), {Quantity.VALUE})
        numbers = np.abs(values.midpoints(Quantity.VALUE, slice(None)))
        place = int(np.nan_to_num(numbers, nan=-1.0, posinf=-1.0).argmax())
    return case.part(slice(place, place + 1))


def _narrowed(row: Case, place: int) -> tuple[Case, int]:
    """Cut a row to the classes that matter. Returns the row and the new index of a component.

    The component, the label and the largest logit matter. If these are one class, the next largest
    is kept too. The fewer terms a sum has, the more its result says about flushing.
    """
    ignored = row.parameters.get("ignore_index", -1)
    if row.classes <= 2 or not isinstance(ignored, int) or ignored >= 0:
        return row, place
    integer = row.label_kind is LabelKind.INTEGER
    label = int(row.labels[0]) if integer and row.labels is not None else place
    order = np.argsort(-np.nan_to_num(to_float64(row.logits[0]), nan=-np.inf), kind="stable")
    kept = {place, label % row.classes, int(order[0])}
    columns = np.array(sorted(kept if len(kept) > 1 else {*kept, int(order[1])}))
    labels = row.labels
    if labels is not None:
        labels = labels[:, columns] if not integer else np.flatnonzero(columns == label)[:1]
    parameters = {
        name: each[..., columns] if isinstance(each, np.ndarray) else each
        for name, each in row.parameters.items()
    }
    narrow = replace(row, logits=row.logits[:, columns], labels=labels, parameters=parameters)
    return narrow, int(np.flatnonzero(columns == place)[0])


def _scalable(row: Case) -> Iterator[str]:
    """Names of the arrays of a row that can be scaled, the logits first."""
    yield "logits"
    if row.label_kind in (LabelKind.DISTRIBUTION, LabelKind.TARGET):
        yield "labels"
    yield from (name for name, each in row.parameters.items() if isinstance(each, np.ndarray))


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    """A row that is scaled.

    Attributes:
        row: the row as a case.
        what: the name of the array that is scaled.
        quantity: value or gradient.
        index: the component whose size is watched.
    """

    row: Case
    what: str
    quantity: Quantity
    index: int

    @property
    def terms(self) -> int:
        """Number of terms of a sum over the classes, without the largest; at least 1."""
        return max(self.row.classes - 1, 1)

    def cases(self, factors: Float64Array) -> Sequence[Case]:
        """The row times each factor: rows of one case, or one case each if that is impossible."""
        row = self.row
        shared = row.parameters.get(self.what)
        if row.reduced or (isinstance(shared, np.ndarray) and shared.ndim == 1):
            return [self._times(factors[k : k + 1]) for k in range(len(factors))]
        return [self._times(factors)]

    def _times(self, factors: Float64Array) -> Case:
        row = self.row

        def given(name: str, array: Array) -> Array:
            by_row = name in ("logits", "labels") or array.ndim == 2
            if name != self.what:
                return np.repeat(array, len(factors), axis=0) if by_row else array
            with np.errstate(all="ignore"):
                scaled = to_float64(array) * factors.reshape(-1, *[1] * (array.ndim - 1))
            return from_float64(scaled, row.dtype)

        return replace(
            row,
            logits=given("logits", row.logits),
            labels=None if row.labels is None else given("labels", row.labels),
            parameters={
                name: given(name, each) if isinstance(each, np.ndarray) else each
                for name, each in row.parameters.items()
            },
        )

    def exact(self, factors: Float64Array) -> Float64Array:
        """The exact results, of shape (factors, components). NaN where they are not known."""
        parts = [
            approximately(Reference(case, {self.quantity}), self.quantity).reshape(case.rows, -1)
            for case in self.cases(factors)
        ]
        return np.concatenate(parts)

    def magnitudes(self, factors: Float64Array) -> Float64Array:
        """Magnitudes of the watched component, of shape (factors,)."""
        return np.abs(self.exact(factors)[:, self.index])

    def results(self, implementation: Implementation, factors: Float64Array) -> Array | None:
        """The implementation's results, of shape (factors, components). None: a call failed."""
        parts = []
        for case in self.cases(factors):
            came = answer(implementation, case, self.quantity)
            if came is None:
                return None
            parts.append(came.reshape(case.rows, -1))
        return np.concatenate(parts)


def approximately(truth: Reference, quantity: Quantity) -> Float64Array:
    """The exact results of all rows in float64, from the lowest tier. NaN: it has no bound."""
    exact = truth.at(quantity, slice(None))
    unsure = exact.absolute if isinstance(exact, Balls) else exact.radius
    numbers = exact.midpoints()
    return numbers if unsure is None else np.where(np.isfinite(unsure), numbers, np.nan)


def _factors(scaled: _Scaled, target: Format) -> Float64Array:
    """Factors that take the exact result through the subnormal range; empty if none do."""
    tiny, least = target.smallest_normal, target.smallest_subnormal
    factors, sizes = COARSE, scaled.magnitudes(COARSE)

    def between(a: float, b: float) -> None:
        nonlocal factors, sizes
        more = np.setdiff1d(np.linspace(a, b, FINE + 2)[1:-1], factors)
        joined = np.concatenate([factors, more])
        order = np.argsort(joined)
        sizes = np.concatenate([sizes, scaled.magnitudes(more)])[order] if len(more) else sizes
        factors = joined[order]

    for _ in range(ROUNDS):
        known = np.isfinite(sizes)
        normal = sizes >= tiny
        crossing = np.flatnonzero((normal[1:] != normal[:-1]) & known[1:] & known[:-1])
        if not len(crossing):
            return np.zeros(0)
        here = int(crossing[np.abs(np.log2(factors[crossing])).argmin()])
        wanted = [((sizes >= low) & (sizes < 2 * low)).sum() for low in (tiny / 2, tiny)]
        if min(wanted) >= NEAR:
            break
        first, last = here, here + 1  # ends of the range near the smallest normal number
        while first > 0 and tiny / 2 < sizes[first] < 2 * tiny:
            first -= 1
        while last < len(sizes) - 1 and tiny / 2 < sizes[last] < 2 * tiny:
            last += 1
        between(factors[first], factors[last])
    step = 1 if normal[here] else -1
    last = here + (step > 0)
    while 0 <= last + step < len(factors) and sizes[last] >= least:
        last += step
    # a sum of several terms is safe from flushing only if it is much larger
    first = here + (step < 0)
    while 0 <= first - step < len(factors) and sizes[first] < 16 * scaled.terms * tiny:
        first -= step
    ends = (factors[first], factors[here], factors[last])
    for one, other in pairwise(ends):
        between(*sorted((one, other)))
    return _chosen(factors, sizes, target, scaled.terms)


def _chosen(factors: Float64Array, sizes: Float64Array, target: Format, terms: int) -> Float64Array:
    """Some factors of each range: normal, upper half of the subnormal range, and lower half."""
    tiny, least = target.smallest_normal, target.smallest_subnormal
    ranges = (
        (tiny, 16 * terms * tiny, 2 * NEAR),
        (tiny / 2, tiny, 2 * NEAR),
        (least, tiny / 2, 4 * NEAR),
    )
    chosen = []
    for low, high, most in ranges:
        here = np.flatnonzero((sizes >= low) & (sizes < high))
        here = here[np.unique(sizes[here], return_index=True)[1]]
        chosen.append(here[np.linspace(0, len(here) - 1, min(most, len(here))).astype(np.intp)])
    return factors[np.sort(np.concatenate(chosen))]


def _judged(results: Array, exact: Float64Array, target: Format, terms: int) -> _Seen:
    """Judge results whose exact results lie on both sides of the smallest normal number."""
    tiny, least = target.smallest_normal, target.smallest_subnormal
    if (subnormal(results) & (np.abs(exact) < tiny)).any():
        return _Seen(subnormals=True)
    columns = zip(np.abs(exact).T, np.abs(to_float64(results)).T, strict=True)
    vanish = (_vanishes(sizes, came, tiny, least, terms) for sizes, came in columns)
    return _Seen(flushes=any(vanish))


def _vanishes(
    sizes: Float64Array, came: Float64Array, tiny: float, least: float, terms: int
) -> bool:
    """Whether results are nonzero down to the smallest normal number and zero below it.

    Near that number, a result and its exact result may be on different sides. The margin is the
    relative error of the normal results. A sum of several terms may lose all its terms although the
    sum is still normal. A sum four times as large loses at most a quarter.

    Args:
        sizes: magnitudes of the exact results, (factors,).
        came: magnitudes of the results, (factors,).
        tiny: the smallest normal number of the dtype.
        least: the smallest subnormal number of the dtype.
        terms: number of terms of the sum.
    """
    clear = tiny if terms == 1 else 4 * terms * tiny
    numbers = (sizes >= clear) & (came > 0) & np.isfinite(came)
    numbers &= sizes < 16 * terms * tiny
    if not numbers.any():
        return False
    off = float((np.abs(came - sizes)[numbers] / sizes[numbers]).max())
    if off > INACCURATE:
        return False
    margin = 1.0 + 2.0**-5 + 2.0 * off
    # all terms of a sum vanish only if each is below the smallest normal number
    lost = (came == 0) & (sizes >= tiny * (margin if terms == 1 else 1.1 * terms))
    below = (sizes < tiny / margin) & (sizes >= 4 * least)
    uppermost = below & (sizes >= tiny / 2)
    return not lost.any() and bool(uppermost.any()) and bool((came[below] == 0).all())
