"""Keeping a dtype, and leaving it: what the field guide needs to know about 16-bit numbers."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from xentcheck.floats import format_of
from xentcheck.model import Array

Function = TypeVar("Function", bound=Callable[..., Any])


def at_least_float32(function: Function) -> Function:
    """Give a function float32 arrays for 16-bit ones, and round its result back once."""

    @functools.wraps(function)
    def wider(first: Array, *others: Any, **parameters: Any) -> Array:
        arguments = [_widened(each) for each in (first, *others)]
        result = function(*arguments, **{k: _widened(v) for k, v in parameters.items()})
        return np.asarray(result).astype(first.dtype)

    return wider  # type: ignore[return-value]


def _widened(thing: Any) -> Any:
    known = format_of(thing.dtype) if isinstance(thing, np.ndarray) else None
    return thing.astype(np.float32) if known is not None and known.bits < 32 else thing


def clipped_to_epsilon(p: Array, epsilon: float) -> tuple[Array, Array]:
    """p clipped to [ε, 1 − ε], both rounded to its dtype, and where it lies within.

    ``np.clip`` and an integer 1 less a scalar would make float32 of bfloat16.
    """
    number = p.dtype.type
    low, high = number(epsilon), number(1) - number(epsilon)
    within = (p >= low) & (p <= high)
    return np.asarray(np.minimum(np.maximum(p, low), high)), np.asarray(within)
