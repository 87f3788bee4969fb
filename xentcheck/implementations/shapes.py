"""Other shapes in which functions want the rows of a case, and their results back as rows.

``sequence``: logits of (batch, sequence, classes), labels of (batch, sequence). ``class-second``:
logits of (batch, classes, sequence), as losses over dim 1 want them. Everything here also works on
tensors, and stands in scripts that need nothing of this package.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

ROWS, SEQUENCE, CLASS_SECOND = "rows", "sequence", "class-second"
UPSTREAM = ("cotangent", "grad_output", "upstream")
"""What the argument of a gradient function is called that takes the upstream gradient."""

SHAPES = (ROWS, SEQUENCE, CLASS_SECOND)


def shaped(function: Callable[..., Any], shape: str) -> Callable[..., Any]:
    """A function of that shape as one of ``(logits, labels, **parameters)`` in rows."""
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
    """Whether a keyword argument has one entry for each row."""
    dimensions = len(getattr(value, "shape", ()))
    return dimensions == 2 or (dimensions == 1 and name in UPSTREAM)


def spread(array: Any, shape: str) -> Any:
    """Rows as a batch of sequences; classes come second where the shape says so."""
    rows, *classes = array.shape
    batch = max(k for k in range(1, int(rows**0.5) + 1) if rows % k == 0)
    whole = _reshaped(array, (batch, rows // batch, *classes))
    return _swapped(whole) if classes and shape == "class-second" else whole


def gathered(result: Any, rows: int, shape: str) -> Any:
    """The results of `spread` rows as rows; one number, and what is in rows already, stay so."""
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
    """(a, b, c) as (a, c, b), packed."""
    if not hasattr(array, "swapaxes"):
        return importlib.import_module("tensorflow").transpose(array, [0, 2, 1])
    turned = array.swapaxes(1, 2)
    return turned.contiguous() if hasattr(turned, "contiguous") else turned.copy()
