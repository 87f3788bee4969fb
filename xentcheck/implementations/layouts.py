"""The same numbers, lying otherwise in memory.

What a caller holds is often a view of something larger: a transpose, a slice with a step, a window
of a padded vocabulary, one row for a whole batch. The numbers are the same, and so has the result
to be. What lies around a view is NaN (0 where the array is of integers), so that it shows where it
enters a result.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

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
"""The layouts by name, and what they are."""

ONE_ROW, ONE_CLASS, READ_ONLY = "one-row", "one-class", "read-only"
UNWRITABLE = frozenset({ONE_ROW, ONE_CLASS, READ_ONLY})
"""The layouts of NumPy arrays that a function cannot write into."""


def laid(array: Array, layout: str, *, rows: bool = True, logits: bool = True) -> Array:
    """A copy of an array that lies in memory as one of `LAYOUTS` has it; packed for "".

    Args:
        array: of up to two dimensions. Its rows are equal for `ONE_ROW`, its classes for
            `ONE_CLASS`.
        layout: one of `LAYOUTS`, or "".
        rows: whether the first axis is that of the rows; elsewhere nothing is equal.
        logits: whether it is the first argument; elsewhere classes are not equal.
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
    """A packed array of what must not enter a result."""
    return np.full(shape, 0 if like.dtype.kind in "iub" else np.nan, dtype=like.dtype)
