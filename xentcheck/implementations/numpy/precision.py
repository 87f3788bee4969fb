"""Helpers for 16-bit dtypes: compute in float32, or stay in the dtype."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from xentcheck.deferred import np
from xentcheck.floats import format_of
from xentcheck.model import Array

Function = TypeVar("Function", bound=Callable[..., Any])


def at_least_float32(function: Function) -> Function:
    """Call a function with float32 in place of 16-bit arrays; round its result back once."""

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
    """Clip p to [ε, 1 − ε], rounded to its dtype; also return the mask of where p lies within.

    This avoids ``np.clip`` and ``1 - epsilon`` with an integer 1: both turn bfloat16 into float32.
    """
    number = p.dtype.type
    low, high = number(epsilon), number(1) - number(epsilon)
    within = (p >= low) & (p <= high)
    return np.asarray(np.minimum(np.maximum(p, low), high)), np.asarray(within)
