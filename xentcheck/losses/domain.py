"""Detects rows outside the domain of a loss of probabilities, and gives their result."""

from xentcheck.deferred import np
from xentcheck.losses.spec import Components, ExactValue, RowResult
from xentcheck.model import Float64Array


def outside(*numbers: Float64Array) -> bool:
    """Whether any number is negative, infinite or NaN. Numbers above 1 are not reported."""
    return any(not bool(np.all((each >= 0.0) & np.isfinite(each))) for each in numbers)


def all_nan(classes: int) -> RowResult:
    """A row result with NaN for the value and for every component of the gradient."""
    nan = ExactValue(float("nan"))
    return RowResult(Components([nan]), Components([nan], np.zeros(classes, dtype=np.intp)))
