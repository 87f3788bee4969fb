"""Rows that lie outside the domain of a loss of probabilities."""

import numpy as np

from xentcheck.losses.spec import Components, ExactValue, RowResult
from xentcheck.model import Float64Array


def outside(*numbers: Float64Array) -> bool:
    """Whether something is no probability at all: negative, infinite or NaN."""
    return any(not bool(np.all((each >= 0.0) & np.isfinite(each))) for each in numbers)


def all_nan(classes: int) -> RowResult:
    """NaN for the value and every component of the gradient."""
    nan = ExactValue(float("nan"))
    return RowResult(Components([nan]), Components([nan], np.zeros(classes, dtype=np.intp)))
