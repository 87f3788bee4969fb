"""Computing wider than the input: what sound kernels do with 16-bit numbers."""

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
