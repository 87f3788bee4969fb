"""One call of foreign code: the only ``try`` around it, and the checks of its result.

A call also reports its signals: overflow, invalid operation, division by zero. NumPy's error state
logs them; logging does not change results. A function that ignores signals on purpose, in an error
state of its own, is not logged. If the function turns signals into warnings, the warnings are read.
"""

import re
import sysconfig
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import TracebackException, extract_tb
from typing import Any

import ml_dtypes  # noqa: F401  (adds its functions to NumPy's, before foreign code may change these)
import numpy as np
import numpy.typing as npt

from xentcheck.errors import UnsupportedError, one_line
from xentcheck.floats import format_of
from xentcheck.implementations.layouts import laid
from xentcheck.model import Array, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Invocation:
    """The result of a call, the names of arguments that it wrote into, and its signals.

    `signals` use NumPy's wording, each once: "overflow encountered in exp".
    """

    result: Array
    mutated: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


class CallError(Exception):
    """A call without a result to score: the kind of failure and a description.

    `trace` is the traceback of the exception that foreign code raised; ``--debug`` shows it.
    """

    def __init__(self, kind: Kind, detail: str, trace: str = "") -> None:
        super().__init__(kind, detail, trace)
        self.kind = kind
        self.detail = detail
        self.trace = trace

    def __str__(self) -> str:
        return self.detail


_SIGNAL = re.compile(r"(?:overflow|invalid value|divide by zero) encountered(?: in \w[\w ]*)?")


class _Signals:
    """Receives NumPy's log; `seen` holds each signal once, in order of appearance."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}

    def write(self, text: str) -> None:
        """Record the signals that a text mentions."""
        self.seen.update(dict.fromkeys(_SIGNAL.findall(text)))


def invoke(
    function: Callable[..., Any],
    data: Sequence[Array | None],
    parameters: Mapping[str, Any],
    shape: tuple[int, ...] | None,
    layout: str = "",
) -> Invocation:
    """Call a function with fresh copies of its arguments.

    Args:
        function: called as ``function(*data, **parameters)``.
        data: logits and, if the function takes them, labels.
        parameters: parameters of the loss by name.
        shape: the shape that the result must have; None allows any.
        layout: memory layout of the copies, one of `LAYOUTS`; "" is packed.

    Raises:
        CallError: the function raised, or its result cannot be scored.
        UnsupportedError: the function says that it does not take such inputs.
    """
    arguments = [
        None if each is None else laid(each, layout, logits=place == 0)
        for place, each in enumerate(data)
    ]
    given = {
        name: laid(value, layout, rows=value.ndim == 2, logits=False)
        if isinstance(value, np.ndarray)
        else value
        for name, value in parameters.items()
    }
    signals = _Signals()
    with (
        warnings.catch_warnings(record=True) as warned,
        np.errstate(over="log", invalid="log", divide="log", under="ignore", call=signals),
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        try:
            returned = function(*arguments, **given)
        except (KeyboardInterrupt, UnsupportedError):
            raise
        except BaseException as error:  # the function itself raised SystemExit and the like
            raise CallError(Kind.RAISED, describe(error), trace_of(error)) from error
    for each in warned:
        signals.write(str(each.message))
    mutated = [
        name
        for name, now, then in zip(("logits", "labels"), arguments, data, strict=False)
        if now is not None and then is not None and not same_bits(now, then).all()
    ]
    mutated += [
        name
        for name, value in parameters.items()
        if isinstance(value, np.ndarray) and not same_bits(given[name], value).all()
    ]
    return Invocation(_checked(returned, shape), tuple(mutated), tuple(signals.seen))


def rehearse(calls: Sequence[tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]]) -> None:
    """Make calls whose results nobody wants, so that what they compile is there for the next ones.

    Each is a function, its arrays and its parameters.
    """
    for function, data, parameters in calls:
        with suppress(CallError, UnsupportedError):
            invoke(function, data, parameters, None)


def _checked(returned: Any, shape: tuple[int, ...] | None) -> Array:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.asarray(returned)
    except Exception as error:
        message = f"returned {type(returned).__name__}, which is no array ({error})"
        raise CallError(Kind.WRONG_DTYPE, message) from error
    if format_of(array.dtype) is None:
        what = type(returned).__name__ if array.dtype.kind in "OUS" else f"dtype {array.dtype}"
        message = f"returned {what}, want an array of a floating-point dtype"
        raise CallError(Kind.WRONG_DTYPE, message)
    if shape is not None and array.shape != shape:
        message = f"returned shape {array.shape}, want {shape}"
        raise CallError(Kind.WRONG_SHAPE, message)
    return array.copy()


def same_bits(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Compare elementwise by bits; all NaNs count as the same."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.zeros(b.shape, dtype=np.bool_)
    width = np.dtype(f"u{a.dtype.itemsize}")
    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)
    if a.dtype.kind != "i" and not same.all():
        same |= (a != a) & (b != b)
    return np.asarray(same, dtype=np.bool_).reshape(b.shape)


def describe(error: BaseException) -> str:
    """Describe the exception in one line, with the last line of the user's code it came through.

    Lines inside libraries are left to `trace_of`. If no user code is involved, the innermost line
    of the library that was called is named.
    """
    text = one_line(error)
    frames = [each for each in extract_tb(error.__traceback__) if not _is_ours(each.filename)]
    own = [each for each in frames if not _is_of_library(each.filename)]
    if not own and frames:
        called = _package_of(frames[0].filename)
        own = [each for each in frames if _package_of(each.filename) == called]
    if own:
        text += f" ({Path(own[-1].filename).name}:{own[-1].lineno})"
    return text


def trace_of(error: BaseException) -> str:
    """Return the traceback as Python prints it, starting at the first line of foreign code."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(TracebackException(type(error), error, trace).format())


def _is_ours(file: str) -> bool:
    path = Path(file).resolve()
    return any(path.is_relative_to(each) for each in _OWN)


def _is_of_library(file: str) -> bool:
    """Whether a file belongs to Python or an installed package, or is code they generated."""
    return file.startswith(_GENERATED) or _package_of(file) is not None


def _package_of(file: str) -> tuple[str, ...] | None:
    """Return the path of the installed package that contains a file; None for a user's file."""
    path = Path(file).resolve()
    for place, part in enumerate(path.parts):
        if part in ("site-packages", "dist-packages"):
            return path.parts[: place + 2]
    inside = any(path.is_relative_to(each) for each in _STANDARD)
    return path.parts[:-1] if inside else None


_OWN = (
    Path(__file__).resolve().parent,
    Path(__file__).resolve().parent.parent / "implementations",
)
"""Folders of our own code: its frames are not foreign code."""

_STANDARD = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
"""Folders of Python's standard library."""

_GENERATED = ("<frozen", "<eval_with_key", "<__array_function__")
"""Name prefixes of generated code that has no file: of Python, torch.fx and NumPy."""
