"""One call of foreign code: the one ``try`` round it, and what is checked of its result.

A call also tells what it signals: overflow, invalid operation, division by zero. NumPy's error
state has them logged, which changes no result; what the function ignores on purpose, in an error
state of its own, is not logged. Where it has them warned about, the warnings are taken.
"""

import re
import sysconfig
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import TracebackException, extract_tb
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UnsupportedError
from xentcheck.floats import format_of
from xentcheck.implementations.layouts import laid
from xentcheck.model import Array, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Invocation:
    """What came back, the names of the arguments that were written into, and what was signalled.

    ``signals`` are as NumPy words them, each once: "overflow encountered in exp".
    """

    result: Array
    mutated: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


class CallError(Exception):
    """A call that gave nothing to score: what kind of failure, and what was seen.

    ``trace`` is the traceback of an exception of its own, for who asks for it.
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
    """Takes what NumPy logs; ``seen`` has each signal once, in the order they came."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}

    def write(self, text: str) -> None:
        """Note the signals that a text tells of."""
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
        data: logits and, where the function takes them, labels.
        parameters: by name.
        shape: what its result has to have; None: any.
        layout: how the copies lie in memory, one of `LAYOUTS`; "" is packed.

    Raises:
        CallError: it raised, or returned something that cannot be scored.
        UnsupportedError: it says that it does not take such inputs.
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
        except BaseException as error:  # SystemExit and its like are the function's own
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
    """Elementwise: the same bits, any NaN being the same as any other."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.zeros(b.shape, dtype=np.bool_)
    width = np.dtype(f"u{a.dtype.itemsize}")
    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)
    if a.dtype.kind != "i" and not same.all():
        same |= (a != a) & (b != b)
    return np.asarray(same, dtype=np.bool_).reshape(b.shape)


def describe(error: BaseException) -> str:
    """One line: the exception, and the line of the user's own code that it came through last.

    What libraries do within is for `trace_of`. Where all of it is a library's, the innermost line
    of that library is named: the one that was called.
    """
    text = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    text = " ".join(text.split())
    frames = [each for each in extract_tb(error.__traceback__) if not _is_ours(each.filename)]
    own = [each for each in frames if not _is_of_library(each.filename)]
    if not own and frames:
        called = _package_of(frames[0].filename)
        own = [each for each in frames if _package_of(each.filename) == called]
    if own:
        text += f" ({Path(own[-1].filename).name}:{own[-1].lineno})"
    return text


def trace_of(error: BaseException) -> str:
    """The traceback as Python prints it, from the first line of foreign code on."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(TracebackException(type(error), error, trace).format())


def _is_ours(file: str) -> bool:
    path = Path(file).resolve()
    return any(path.is_relative_to(each) for each in _OWN)


def _is_of_library(file: str) -> bool:
    """Whether a file is Python's own or of an installed package, or code that these made."""
    return file.startswith(_GENERATED) or _package_of(file) is not None


def _package_of(file: str) -> tuple[str, ...] | None:
    """The folders down to the installed package that a file is of; None of a user's file."""
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
"""Folders of frames that are no foreign code."""

_STANDARD = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
"""Folders of Python's own library."""

_GENERATED = ("<frozen", "<eval_with_key", "<__array_function__")
"""How names begin of code that is in no file and no user's: of Python, torch.fx and NumPy."""
