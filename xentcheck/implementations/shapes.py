"""Give a function the rows of a case in another shape, and turn its results back into rows.

``sequence``: logits of shape (batch, sequence, classes), labels of (batch, sequence).
``class-second``: logits of shape (batch, classes, sequence), as losses over dim 1 expect them. All
functions here also work on tensors. Generated scripts contain copies of them, so they need nothing
else of this package.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

ROWS, SEQUENCE, CLASS_SECOND = "rows", "sequence", "class-second"
UPSTREAM = ("cotangent", "grad_output", "upstream")
"""Names of the argument by which a gradient function takes the upstream gradient."""

SHAPES = (ROWS, SEQUENCE, CLASS_SECOND)


def shaped(function: Callable[..., Any], shape: str) -> Callable[..., Any]:
    """Wrap a function of that shape as a function of ``(logits, labels, **parameters)`` in rows."""
    return functools.partial(_called, function, shape)


def _called(function: Any, shape: Any, *data: Any, **parameters: Any) -> Any:
    rows = data[0].shape[0]
    given = [each if each is None else spread(each, shape) for each in data]
    by_row = {
        name: spread(each, shape) if _of_rows(name, each) else each
        for name, each in parameters.items()
    }
    return gathered(function(*given, **by_row), rows, shape)


def _of_rows(name: Any, value: Any) -> Any:
    """Whether a keyword argument has one entry per row."""
    dimensions = len(getattr(value, "shape", ()))
    return dimensions == 2 or (dimensions == 1 and name in UPSTREAM)


def spread(array: Any, shape: str) -> Any:
    """Reshape rows into a batch of sequences, with classes second for ``class-second``."""
    rows, *classes = array.shape
    batch = max(k for k in range(1, int(rows**0.5) + 1) if rows % k == 0)
    whole = _reshaped(array, (batch, rows // batch, *classes))
    return _swapped(whole) if classes and shape == "class-second" else whole


def gathered(result: Any, rows: int, shape: str) -> Any:
    """Turn the results of `spread` rows into rows; keep a scalar and results already in rows."""
    sizes = tuple(getattr(result, "shape", ()))
    if len(sizes) == 3 and shape == "class-second":
        result = _swapped(result)
        sizes = tuple(result.shape)
    if len(sizes) < 2 or sizes[0] * sizes[1] != rows:
        return result
    return _reshaped(result, (rows, *sizes[2:]))


def _reshaped(array: Any, sizes: Any) -> Any:
    if hasattr(array, "reshape"):
        return array.reshape(sizes)
    return importlib.import_module("tensorflow").reshape(array, sizes)


def _swapped(array: Any) -> Any:
    """Turn axes (a, b, c) into (a, c, b); the result is contiguous."""
    if not hasattr(array, "swapaxes"):
        return importlib.import_module("tensorflow").transpose(array, [0, 2, 1])
    turned = array.swapaxes(1, 2)
    return turned.contiguous() if hasattr(turned, "contiguous") else turned.copy()
