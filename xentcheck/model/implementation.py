"""Implementations of losses, and how patterns select them by name."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from xentcheck.model.inputs import LabelKind, Quantity


@dataclass(frozen=True, slots=True)
class Process:
    """A separate process in which implementations run. Equal values mean the same process.

    Attributes:
        name: the name of the process.
        modules: modules that the process imports at its start.
        install: the command that installs these modules.
        environment: additional environment variables as (name, value).
    """

    name: str
    modules: tuple[str, ...] = ()
    install: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 300.0  # seconds for each call, and for the start
    quiet: bool = True  # output is discarded; the last line is shown if the process dies


@dataclass(frozen=True, slots=True)
class Implementation:
    """Code that computes a loss.

    Attributes:
        loss: the name of the loss.
        name: its name in reports.
        value: called as ``value(logits, labels, **parameters)``, without ``labels`` if the loss has
            none. It returns one number per row, or per class.
        gradient: called in the same way. It returns an array of the shape of ``logits``.
        dtypes: the names of the dtypes that it takes.
        label_kinds: the kinds of label that it takes.
        parameters: the names of the parameters that it takes.
        summary: one line about it.
        sound: the claim of the field guide: True for a sound form, False for an unsound one. None:
            no claim.
        source: where it comes from, for readers.
        process: the process that calls it; ``value`` and ``gradient`` have to be picklable then.
            None: it is called in the process that computes the reference.
        plain: for a variant, the name of the implementation that it calls in another way. The two
            should agree.
        probe_words: the words that name it to `xentcheck probe`, if its name does not.
        code_at: file and line of its code, if Python knows them.
        built_in: values of parameters of the loss that it computes with and does not take.
        own_defaults: defaults of its arguments that differ from the loss's, by name. A value of
            None: the argument has no default.
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
"""The ``probe_words`` of a function that exists in this process only: no command can name it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A user's implementation, as a configuration or the command line names it.

    Attributes:
        loss: the name of the loss.
        target: ``module:attr`` or ``file.py:attr``.
        name: its name in reports.
        gradient: text like ``target``, or the name of an attribute beside it, or ``auto`` (the
            framework's own differentiation, or a function beside it with a usual name), or None.
        parameters: keyword arguments of every call, or of the constructor of a class.
        framework: decides what arrays the function gets.
        command: a program that is called instead of ``target``; see `implementations.command`.
        gradient_command: a program that computes the gradient.
        built_in: values of parameters of the loss that it computes with and that are not passed.
        shape: the shape of the function's arguments, one of `implementations.shapes.SHAPES`.
        label_dtype: the dtype of integer labels, by name.
    """

    loss: str
    target: str
    name: str
    gradient: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "numpy"
    command: tuple[str, ...] = ()
    gradient_command: tuple[str, ...] = ()
    timeout_s: float | None = None  # for loading and for each call; None: the default of `Process`
    built_in: Mapping[str, Any] = field(default_factory=dict)
    shape: str = "rows"
    label_dtype: str = "int64"


AUTO = "auto"  # as a gradient: use the one that exists


def selected(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns (fnmatch) selects an implementation with this name.

    A pattern selects variants (``name@variant``) only if it contains an @ itself, just as ``*`` in
    a shell leaves out hidden files.
    """
    return any(
        fnmatchcase(name, pattern) for pattern in patterns if "@" in pattern or "@" not in name
    )


def escaped(name: str) -> str:
    """A pattern that selects only this name."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def function_for(implementation: Implementation, quantity: Quantity) -> Callable[..., Any] | None:
    """The function that computes a quantity, or None if the implementation has none."""
    return implementation.value if quantity is Quantity.VALUE else implementation.gradient
