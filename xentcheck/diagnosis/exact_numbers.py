"""Numbers for NumPy's object arrays that are exact for all purposes: mpmath with many digits.

A form that is written with NumPy runs over them unchanged, so that each of its steps has an exact
value beside the computed one.
"""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from xentcheck.floats import to_float64
from xentcheck.model import Array

_LEAST_BITS = 256
_MOST_BITS = 6000
_BITS_PER_UNIT = 1.4427  # 1/ln 2: exp(−x) has about so many bits after the point


class ExactNumber:
    """A real number with several hundred bits, for object arrays."""

    __slots__ = ("context", "value")

    def __init__(self, context: Any, value: Any) -> None:
        self.context = context
        self.value = value

    def _new(self, value: Any) -> "ExactNumber":
        return ExactNumber(self.context, value)

    def _other(self, other: Any) -> Any:
        return other.value if isinstance(other, ExactNumber) else self.context.mpf(float(other))

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        """The result of an operation; an array takes over and does it element by element."""
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self._new(operation(self.value, self._other(other)))

    def _divided(self, one: Any, other: Any) -> Any:
        if other != 0:
            return one / other
        return self.context.nan if one == 0 else one * self.context.inf

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b * a)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, self._divided)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: self._divided(b, a))

    def __pow__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a**b)

    def __neg__(self) -> "ExactNumber":
        return self._new(-self.value)

    def __abs__(self) -> "ExactNumber":
        return self._new(abs(self.value))

    def __lt__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return bool(self.value < self._other(other))

    def __le__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return bool(self.value <= self._other(other))

    def __gt__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return bool(self.value > self._other(other))

    def __ge__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return bool(self.value >= self._other(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == self._other(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value != 0)

    def __float__(self) -> float:
        return float(self.value)

    # NumPy's functions call these methods on the elements of an object array

    def exp(self) -> "ExactNumber":
        return self._new(self.context.exp(self.value))

    def log(self) -> "ExactNumber":
        if self.value == 0:
            return self._new(self.context.ninf)
        return self._new(self.context.log(self.value))

    def log1p(self) -> "ExactNumber":
        return self._new(self.context.log1p(self.value))

    def tanh(self) -> "ExactNumber":
        return self._new(self.context.tanh(self.value))

    def arctanh(self) -> "ExactNumber":
        return self._new(self.context.atanh(self.value))


def exact_array(*arrays: Array | None) -> Callable[[Any], Any]:
    """A function that turns float arrays into arrays of exact numbers.

    Args:
        arrays: the arrays of the computation; the numbers get enough bits for their exponentials.
    """
    largest = 1.0
    for array in arrays:
        if array is not None and array.dtype.kind not in "iub":
            wide = np.abs(to_float64(array))
            largest = max(largest, float(wide[np.isfinite(wide)].max(initial=0.0)))
    context = mpmath.MPContext()
    context.prec = int(min(_LEAST_BITS + 4 * _BITS_PER_UNIT * largest, _MOST_BITS))

    def one(value: float) -> ExactNumber:
        return ExactNumber(context, context.mpf(value))

    def turned(value: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.dtype.kind in "iub":
            return value
        flat: npt.NDArray[Any] = np.empty(value.size, dtype=object)
        flat[:] = [one(each) for each in to_float64(value).ravel().tolist()]
        return flat.reshape(value.shape)

    return turned
