"""Code that computes a loss, and how patterns select it by name."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from xentcheck.model.inputs import LabelKind, Quantity


@dataclass(frozen=True, slots=True)
class Process:
    """A process that implementations run in, apart from the reference and from each other.

    ``modules`` have to be importable there, and are imported as it starts; ``install`` is the
    command that makes them so. ``environment`` holds its further environment variables. Two equal
    values are one process.
    """

    name: str
    modules: tuple[str, ...] = ()
    install: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 300.0  # for each call, and for the start
    quiet: bool = True  # what it prints is only shown, in part, when it dies


@dataclass(frozen=True, slots=True)
class Implementation:
    """Code that computes a loss.

    Attributes:
        loss: the name of the loss.
        name: what reports call it.
        value: called as ``value(logits, labels, **parameters)``; without ``labels`` where the loss
            has none. It returns one number per row, or per class.
        gradient: called in the same way. It returns an array of the shape of ``logits``.
        dtypes: the dtypes it takes.
        label_kinds: the kinds of label it takes.
        parameters: the names of the parameters it takes.
        summary: one line about it.
        sound: what the field guide says of it. None: it claims nothing.
        source: where it is from, for people.
        process: the process that calls it; ``value`` and ``gradient`` have to pickle then. None:
            it is called where the reference is computed.
        plain: the name of the implementation that it is another way to call. The two should agree.
        probe_words: the words that name it to `xentcheck probe`, where its name does not.
        code_at: the file and the line of its code, where Python can tell.
        built_in: values of the loss's parameters that it computes with and does not take.
        own_defaults: its arguments whose default is not the loss's. None: one without a default.
    """

    loss: str
    name: str
    value: Callable[..., Any] | None
    gradient: Callable[..., Any] | None
    dtypes: tuple[str, ...]
    label_kinds: tuple[LabelKind, ...]
    parameters: frozenset[str]
    summary: str = ""
    sound: bool | None = None
    source: str = ""
    process: Process | None = None
    plain: str = ""
    probe_words: tuple[str, ...] = ()
    code_at: tuple[str, int] | None = None
    built_in: Mapping[str, Any] = field(default_factory=dict, hash=False)
    own_defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)


ANY_PARAMETER = frozenset({"*"})
"""The ``parameters`` of an implementation that takes any keyword argument."""

UNREACHABLE = ("",)
"""The ``probe_words`` of a function that exists in one process only: no command can name it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A user's implementation, as a configuration or the command line names it.

    ``target`` is ``module:attr`` or ``file.py:attr``, and ``gradient`` the same, an attribute
    beside it, ``auto`` (the framework's own differentiation, or a function beside it by its name)
    or None. ``framework`` says what arrays it is given. With ``command`` instead of ``target`` it
    is a program, as is ``gradient_command``; see `implementations.command`. ``parameters`` are
    keyword arguments of every call, or of a class's constructor; ``built_in`` are values of the
    loss's parameters that are computed and not passed. ``shape`` is that of the function's
    arguments, one of `implementations.shapes.SHAPES`; ``label_dtype`` is of integer labels.
    """

    loss: str
    target: str
    name: str
    gradient: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "numpy"
    command: tuple[str, ...] = ()
    gradient_command: tuple[str, ...] = ()
    timeout_s: float | None = None  # for loading it and for each call; None: as `Process` has it
    built_in: Mapping[str, Any] = field(default_factory=dict)
    shape: str = "rows"
    label_dtype: str = "int64"


AUTO = "auto"  # of a gradient: whichever there is


def selected(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns (fnmatch) selects an implementation of that name.

    As a shell's ``*`` leaves hidden files out, a pattern selects variants (``name@variant``) only
    when it has an @ itself.
    """
    return any(
        fnmatchcase(name, pattern) for pattern in patterns if "@" in pattern or "@" not in name
    )


def escaped(name: str) -> str:
    """A pattern that selects this name only."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def function_for(implementation: Implementation, quantity: Quantity) -> Callable[..., Any] | None:
    """The function of an implementation that computes a quantity, or None."""
    return implementation.value if quantity is Quantity.VALUE else implementation.gradient
