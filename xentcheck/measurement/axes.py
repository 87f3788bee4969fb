"""The axes of a profile: the numbers of rows on them, and the bins.

The edges of the bins are fixed, so profiles of any parts of a sweep can be added. They are exact
binary fractions. Where implementations usually break, an octave has four bins of equal width: 4, 5,
6, 7, 8. Far from there a bin has many octaves. So no axis has more than `MOST_BINS` bins.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xentcheck.floats import to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Case, Domain, Float64Array, LabelKind, Layout, Quantity
from xentcheck.model.profiles import CONDITION, ERROR
from xentcheck.reference import Reference

MOST_BINS = 64
"""Maximum number of bins of an axis."""

NOWHERE = 0
"""The code of a number that is not on an axis: NaN or infinite."""

Codes = npt.NDArray[np.int16]

_SHIFT = 50  # keeps the exponent of a float64 and two bits of its significand: quarters of octaves
_SMALLEST, _BEYOND = -1074, 1024  # exponents of 2: the smallest float64, and beyond the largest
_MOST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis and its bins.

    Attributes:
        name: the name.
        edges: bin i has the numbers from ``edges[i]`` to below ``edges[i + 1]``. The first bin has
            0, and what counts as 0. The last bin includes its upper edge.
        first: the code of the first bin. The codes of all axes are different.
    """

    name: str
    edges: tuple[float, ...]
    first: int

    @property
    def end(self) -> int:
        """The code after that of the last bin."""
        return self.first + len(self.edges) - 1

    def bin(self, code: int) -> tuple[float, float]:
        """The edges of a bin; both are 0 for the bin of 0 alone."""
        low, high = self.edges[code - self.first : code - self.first + 2]
        return low, 0.0 if high == 2.0**_SMALLEST else high


def _edges(*stretches: tuple[int, float, int]) -> tuple[float, ...]:
    """The edges of the bins of an axis.

    Args:
        stretches: first exponent of 2, bins per octave, and exponent of 2 at the end. The first bin
            of an axis is below the first of these.
    """
    edges = [0.0]
    for start, parts, end in stretches:
        for exponent in range(start, end, max(1, round(1 / parts))):
            edges += [2.0**exponent * (1 + i / parts) for i in range(max(1, round(parts)))]
    return (*edges, _MOST)


def _tail(start: int) -> tuple[tuple[int, float, int], ...]:
    """The bins from an exponent of 2 on that is a power of 2 itself: to 64, to 128, to the end."""
    return tuple(
        (first, 1 / (end - first), end)
        for first, end in ((32, 64), (64, 128), (128, _BEYOND))
        if first >= start
    )


_LOGITS = _edges(
    *((_SMALLEST, 1 / (-24 - _SMALLEST), -24), (-24, 1 / 16, -8), (-8, 1, 1)),
    *((1, 4, 10), (10, 1, 16), (16, 1 / 2, 24), (24, 1 / 8, 32), *_tail(32)),
)
_EDGES = {
    "largest logit": _LOGITS,
    "gap": _LOGITS,
    "offset": _LOGITS,
    "smallest probability": _edges(
        *((_SMALLEST, 1 / (-256 - _SMALLEST), -256), (-256, 1 / 128, -128), (-128, 1 / 16, -64)),
        *((-64, 1 / 4, -32), (-32, 1, 1), (1, 1 / (_BEYOND - 1), _BEYOND)),
    ),
    "negative log-probability": _LOGITS,
    "classes": _edges((0, 1, 32), *_tail(32)),
    CONDITION: _edges((0, 2, 8), (8, 1, 32), (32, 1 / 4, 64), *_tail(64)),
    # scores are settled to 2^-10 ulp: smaller errors are not told from 0
    ERROR: _edges((-10, 1, 32), (32, 1 / 2, 64), *_tail(64)),
}


def _axes() -> Mapping[str, Axis]:
    axes: dict[str, Axis] = {}
    first = NOWHERE + 1
    for name, edges in _EDGES.items():
        axes[name] = Axis(name, edges, first)
        first = axes[name].end
    return axes


AXES = _axes()
"""The axes by name."""

CODES = max(each.end for each in AXES.values())
"""The number of codes of all axes, with `NOWHERE`."""


def _by_pattern() -> Codes:
    """The codes by axis and by the upper bits of a float64 ≥ 0, (axes, patterns)."""
    patterns = 1 << (63 - _SHIFT)
    infinite = int(np.array(np.inf).view(np.int64)) >> _SHIFT
    codes = np.full((len(AXES), patterns), NOWHERE, dtype=np.int16)
    for row, axis in zip(codes, AXES.values(), strict=True):
        starts = np.array(axis.edges[:-1]).view(np.int64) >> _SHIFT
        widths = np.diff(starts, append=infinite)
        row[:infinite] = np.repeat(np.arange(axis.first, axis.end), widths)
    return codes


_CODES = _by_pattern()
_PLACES = {name: place for place, name in enumerate(AXES)}
_FIRST = np.array([axis.first for axis in AXES.values()], dtype=np.int16)


def binned(numbers: Mapping[str, Float64Array]) -> Codes:
    """The codes of the bins of some numbers, (axes, rows).

    Args:
        numbers: (rows,), by axis. Their magnitudes count. NaN and infinity are `NOWHERE`.
    """
    axes = np.array([_PLACES[name] for name in numbers])[:, np.newaxis]
    sizes = np.abs(np.array(list(numbers.values())))
    codes: Codes = _CODES[axes, sizes.view(np.int64) >> _SHIFT]
    # subnormal numbers have the upper bits of 0
    np.copyto(codes, _FIRST[axes], where=sizes == 0)
    return codes


def codes(truth: Reference, quantity: Quantity, dtype: str, rows: slice) -> Codes:
    """The bins of consecutive rows on every axis of their loss but the error.

    Args:
        truth: the exact results of the case.
        quantity: value or gradient.
        dtype: the dtype of the results, by name.
        rows: the rows; all of them for the value of a reduction, which is one row.

    Returns:
        An array of shape (axes, rows).
    """
    key = ("bins", quantity, dtype, rows.start, rows.stop)

    def made() -> Codes:
        case = truth.case
        numbers = truth.derived(("axes", rows.start, rows.stop), lambda: numbers_of(case, rows))
        if case.reduced and quantity is Quantity.VALUE:
            numbers = {name: _of_block(name, each) for name, each in numbers.items()}
        else:
            numbers = {**numbers, CONDITION: conditions(truth, quantity, dtype, rows)}
        return binned(numbers)

    return truth.derived(key, made)


def _of_block(name: str, numbers: Float64Array) -> Float64Array:
    """The number of a block: the smallest probability of its rows, or the largest number, (1,)."""
    worst = np.fmin if name == "smallest probability" else np.fmax
    return np.asarray(worst.reduce(numbers, keepdims=True))


def _condition_key(quantity: Quantity, dtype: str, rows: slice) -> tuple[object, ...]:
    return "conditions", quantity, dtype, rows.start, rows.stop


def conditions_are_open(truth: Reference, quantity: Quantity, dtype: str, rows: slice) -> bool:
    """Whether `conditions` of these rows are still to be found."""
    return not truth.knows(_condition_key(quantity, dtype, rows))


def conditions(
    truth: Reference,
    quantity: Quantity,
    dtype: str,
    rows: slice,
    known: Float64Array | None = None,
) -> Float64Array:
    """The largest finite condition number of each row, (rows,); NaN without one.

    Args:
        truth: the exact results of the case.
        quantity: value or gradient, but not the value of a reduction.
        dtype: the dtype of the results, by name.
        rows: the rows.
        known: the condition numbers of the rows, if they are known already.
    """
    key = _condition_key(quantity, dtype, rows)

    def largest() -> Float64Array:
        numbers = truth.condition(quantity, rows, dtype) if known is None else known
        numbers = numbers.reshape(rows.stop - rows.start, -1)
        found = numbers.max(axis=1)
        if not np.isfinite(found).all():
            finite = np.where(np.isfinite(numbers), numbers, np.nan)
            found = np.fmax.reduce(finite, axis=1)
        return np.asarray(found)

    return truth.derived(key, largest)


def numbers_of(case: Case, rows: slice = slice(None)) -> dict[str, Float64Array]:
    """The numbers of some rows of a case on the axes of its loss, by axis: float64, (rows,).

    NaN and infinity say that a row is not on an axis. `xentcheck.model.Profile` defines the axes.
    """
    loss = LOSSES[case.loss]
    given = to_float64(case.logits[rows])
    x = given.reshape(len(given), -1)
    with np.errstate(invalid="ignore", over="ignore"):
        if loss.domain is Domain.PROBABILITIES:
            if loss.layout is Layout.ELEMENTWISE:
                x = np.concatenate([x, 1.0 - x], axis=1)
            numbers = {"smallest probability": _smallest(x)}
        else:
            top = x.max(axis=1)
            low, high = _smallest(x), _largest(x, top)
            largest = np.maximum(np.abs(low), np.abs(high))
            numbers = {"largest logit": largest}
            if loss.domain is Domain.LOG_PROBABILITIES:
                numbers = {"negative log-probability": np.maximum(-low, 0.0)}
            elif loss.layout is Layout.ROWS:
                labelled = case.labels is not None and not loss.per_class
                gap = _to_label(x, top, case, rows) if labelled else _apart(high, low)
                offset = np.where(low > 0, low, np.where(high < 0, -high, 0.0 * largest))
                numbers = {"largest logit": largest, "gap": gap, "offset": offset}
    if loss.layout is Layout.ROWS:
        numbers["classes"] = np.full(len(x), float(case.classes))
    return numbers


def _smallest(x: Float64Array) -> Float64Array:
    """The smallest finite number of each row; NaN without one."""
    smallest = x.min(axis=1)
    if not np.isfinite(smallest).all():
        smallest = np.fmin.reduce(np.where(np.isfinite(x), x, np.nan), axis=1)
    return np.asarray(smallest)


def _largest(x: Float64Array, top: Float64Array) -> Float64Array:
    """The largest finite number of each row, whose maximum is ``top``; NaN without one."""
    if np.isfinite(top).all():
        return top
    return np.asarray(np.fmax.reduce(np.where(np.isfinite(x), x, np.nan), axis=1))


def _apart(high: Float64Array, low: Float64Array) -> Float64Array:
    """The distance of finite numbers, at most the largest float64."""
    distance = np.abs(high - low)
    return np.where(np.isfinite(high) & np.isfinite(low), np.minimum(distance, _MOST), np.nan)


def _to_label(x: Float64Array, top: Float64Array, case: Case, rows: slice) -> Float64Array:
    """The distance of the label's logit from the largest other logit.

    NaN without a label, or if one of the two is not finite. ``top`` is the maximum of each row.
    """
    labels: Array = np.asarray(case.labels)[rows]
    if case.label_kind is LabelKind.DISTRIBUTION:
        labels = to_float64(labels).argmax(axis=1)
    known = (labels >= 0) & (labels < x.shape[1])
    known &= labels != case.parameters.get("ignore_index", -100)
    column = np.where(known, labels, 0)
    own = x[np.arange(len(x)), column]
    others = top
    leading = np.flatnonzero((own == top) & known)
    if len(leading):
        others = top.copy()
        rest = x[leading]
        rest[np.arange(len(rest)), column[leading]] = -np.inf
        others[leading] = rest.max(axis=1)
    return np.where(known, _apart(others, own), np.nan)
