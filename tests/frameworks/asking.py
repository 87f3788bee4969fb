"""Asking an adapter for one result, as tests do."""

from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np

from xentcheck.floats import from_float64
from xentcheck.model import Array, Implementation

DTYPES = {"bfloat16": ml_dtypes.bfloat16}


def the(implementations: Iterable[Implementation], loss: str, name: str) -> Implementation:
    """The implementation of a loss with that name."""
    (found,) = (each for each in implementations if (each.loss, each.name) == (loss, name))
    return found


def value(
    implementation: Implementation,
    logits: Any,
    labels: Any = None,
    dtype: str = "float32",
    **parameters: Any,
) -> Array:
    """Values for logits (rounded to the dtype); integer labels are a list of ints."""
    assert implementation.value is not None
    return np.asarray(implementation.value(*_arguments(logits, labels, dtype), **parameters))


def gradient(
    implementation: Implementation,
    logits: Any,
    labels: Any = None,
    dtype: str = "float32",
    **parameters: Any,
) -> Array:
    """Gradients for logits (rounded to the dtype)."""
    assert implementation.gradient is not None
    return np.asarray(implementation.gradient(*_arguments(logits, labels, dtype), **parameters))


def _arguments(logits: Any, labels: Any, dtype: str) -> tuple[Array, ...]:
    x = from_float64(np.asarray(logits, dtype=np.float64), dtype)
    if labels is None:
        return (x,)
    given = np.asarray(labels)
    if given.dtype.kind == "i":
        return x, given.astype(np.int64)
    return x, from_float64(given.astype(np.float64), dtype)


def epsilon_slack(implementation: Implementation) -> float:
    """What 1e-7, added to probabilities above 0.005, changes in logarithms and quotients."""
    return 1e-7 / 0.005 if "+epsilon+" in implementation.name else 0.0
