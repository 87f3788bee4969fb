"""Work that the tests of one session share: exact results, compiled modules, names of packages.

This only saves time. A test never sees another result than without it.
"""

import os
import shutil
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck import registry
from xentcheck.reference import arbiter

MOST_KEPT = 1 << 14
"""Results of rows that are kept; the one that was not asked for the longest goes first."""

MOST_CLASSES = 1 << 10
"""Longer rows are not kept: their results take much memory."""

decide = arbiter._decide
"""The arbiter's own function, which computes every result."""

_known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


def content(value: Any) -> Any:
    """A value as a key: arrays and NumPy's numbers bit by bit."""
    if isinstance(value, np.ndarray | np.generic):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return (float, value.hex())
    return (type(value), value)


@wraps(decide)
def remembered(
    loss: Any,
    evaluate: Callable[..., Any],
    row: Any,
    case: Any,
    number: int,
    *,
    start: int = 0,
    only: Any = None,
) -> Any:
    """What `arbiter._decide` gives: it depends on nothing but the key. Errors are not kept."""
    if row.x.size > MOST_CLASSES:
        return decide(loss, evaluate, row, case, number, start=start, only=only)
    parameters = tuple((name, content(each)) for name, each in sorted(row.parameters.items()))
    label = content(row.label), row.label_kind
    key = (loss.id, evaluate, content(row.x), label, parameters, start, only)
    if key in _known:
        _known.move_to_end(key)
        return _known[key]
    result = _known[key] = decide(loss, evaluate, row, case, number, start=start, only=only)
    if len(_known) > MOST_KEPT:
        _known.popitem(last=False)
    return result


def share_compiled_modules(folder: Path) -> None:
    """Keep compiled modules in this folder where none may be left beside their sources.

    With ``PYTHONDONTWRITEBYTECODE`` each of the processes that tests start, and each session, would
    compile everything again.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(folder)
        sys.dont_write_bytecode = False


def forget_modules_of_tests(folder: Path) -> None:
    """Remove what was compiled of the files that tests wrote."""
    written = Path(tempfile.gettempdir()).resolve()
    shutil.rmtree(folder / written.relative_to(written.anchor), ignore_errors=True)


_distribution = registry._distribution
_names: dict[Any, str] = {}


def distribution_of(entry_point: Any) -> str:
    """What `registry._distribution` gives; what is installed is read once in a session."""
    path = getattr(entry_point.dist, "_path", None)
    if path is None:
        return _distribution(entry_point)
    if path not in _names:
        _names[path] = _distribution(entry_point)
    return _names[path]


def keep_programs_apart(folder: Path) -> None:
    """Keep the compiled programs of frameworks out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(folder)
