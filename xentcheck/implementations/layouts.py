"""Copies of an array in other memory layouts.

A caller often holds a view of something larger: a transpose, a slice with a step, a window of a
padded vocabulary, one row for a whole batch. The numbers are the same, so the result must be the
same. The memory around a view is NaN (0 for integers), so a read outside the view shows in the
result.
"""

from collections.abc import Mapping
from typing import Any

from xentcheck.deferred import np
from xentcheck.model import Array

LAYOUTS: Mapping[str, str] = {
    "transposed": "the transpose of a packed array, as in Fortran's order",
    "stepped": "every second row and class of a larger array",
    "offset": "a window of a larger array, which begins before it and whose rows are longer",
    "reversed": "backwards in memory, with negative strides",
    "one-row": "equal rows that are one row in memory, with a stride of 0",
    "one-class": "equal classes that are one number in memory, with a stride of 0",
    "read-only": "packed, and not to be written to",
}
"""Each layout by name, with its description."""

ONE_ROW, ONE_CLASS, READ_ONLY = "one-row", "one-class", "read-only"
UNWRITABLE = frozenset({ONE_ROW, ONE_CLASS, READ_ONLY})
"""The layouts of NumPy arrays that a function cannot write into."""


def laid(array: Array, layout: str, *, rows: bool = True, logits: bool = True) -> Array:
    """Copy an array into one of `LAYOUTS`; "" gives a packed copy.

    Args:
        array: of up to two dimensions. Its rows must be equal for `ONE_ROW`, its classes for
            `ONE_CLASS`.
        layout: one of `LAYOUTS`, or "".
        rows: whether the first axis counts rows. If not, `ONE_ROW` gives a packed copy.
        logits: whether the array is the first argument. If not, `ONE_CLASS` gives a packed copy.
    """
    packed = array.copy(order="C")
    if not array.ndim:
        return packed
    every: Any = (slice(None, None, -1),) * array.ndim
    match layout:
        case "transposed":
            return np.ascontiguousarray(array.T).T
        case "stepped":
            larger = _filled(packed, [2 * each for each in array.shape])
            view: Array = larger[(slice(None, None, 2),) * array.ndim]
            view[...] = packed
            return view
        case "offset":
            larger = _filled(packed, [each + 3 for each in array.shape])
            window: Array = larger[tuple(slice(2, 2 + each) for each in array.shape)]
            window[...] = packed
            return window
        case "reversed":
            turned: Array = np.ascontiguousarray(packed[every])[every]
            return turned
        case "one-row" if rows:
            return np.broadcast_to(packed[:1].copy(), array.shape)
        case "one-class" if logits and array.ndim == 2:
            return np.broadcast_to(packed[:, :1].copy(), array.shape)
        case "read-only":
            packed.flags.writeable = False
    return packed


def _filled(like: Array, shape: list[int]) -> Array:
    """Return a packed array of filler (NaN, or 0 for integers) that must not enter a result."""
    return np.full(shape, 0 if like.dtype.kind in "iub" else np.nan, dtype=like.dtype)
