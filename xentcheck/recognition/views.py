"""Ways to read a result of an unexpected shape."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xentcheck.model import Float64Array


@dataclass(frozen=True, slots=True)
class View:
    """A way to read results of a wrong shape as another shape. ``says`` describes the shape.

    ``of`` takes results and the right shape; it returns None if it does not apply.
    """

    name: str
    says: str
    of: Callable[[Float64Array, tuple[int, ...]], Float64Array | None]
    hint: str = ""


def _one(numbers: Float64Array, shape: tuple[int, ...]) -> Float64Array | None:
    """Unwrap one number from axes of length 1."""
    return numbers.reshape(()) if numbers.size == 1 and numbers.ndim and shape else None


def _squeezed(numbers: Float64Array, shape: tuple[int, ...]) -> Float64Array | None:
    if numbers.shape == shape or numbers.size == 1 or 1 not in numbers.shape:
        return None
    squeezed = numbers.squeeze()
    return squeezed if squeezed.shape == shape else None


def _diagonal(numbers: Float64Array, shape: tuple[int, ...]) -> Float64Array | None:
    """Take the diagonal of (rows, rows), a column that was broadcast against a row."""
    if len(shape) != 1 or numbers.shape != (shape[0], shape[0]):
        return None
    return np.asarray(np.diagonal(numbers))


VIEWS = (
    View("", "", lambda numbers, shape: numbers),
    View("", "", _one),
    View(
        "extra-axis",
        "it returns an axis of length 1 too many",
        _squeezed,
        "return it without that axis: result[:, 0]",
    ),
    View(
        "broadcast",
        "it returns (rows, rows), a column (rows, 1) broadcast against a row (rows,),",
        _diagonal,
        "give both the same shape",
    ),
)
