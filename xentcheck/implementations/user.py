"""Users' own code, wherever it is written, as implementations that run in a process of their own.

A target is loaded only there: `describe` and `UserFunction` travel to it.
"""

import importlib
import inspect
import json
import pickle
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xentcheck.errors import TargetError, did_you_mean, nearest
from xentcheck.implementations.bridging import Bridge, Call, Job
from xentcheck.implementations.command import DATA, Command
from xentcheck.losses import loss_of
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity, Target
from xentcheck.registry import (
    AUTO,
    INPUT_DTYPES,
    common_parameters,
    defined_at,
    gradient_beside,
    load_target,
    parameters_of,
    place_of,
    required_second,
)

FRAMEWORKS: Mapping[str, str] = {
    "numpy": "xentcheck.implementations.user:NUMPY",
    "torch": "xentcheck.implementations.frameworks.pytorch:TORCH",
    "jax": "xentcheck.implementations.frameworks.jax:JAX",
    "tensorflow": "xentcheck.implementations.frameworks.tensorflow:TENSORFLOW",
}
"""What arrays a user's function may be given, and by which bridge."""


class NumpyBridge(Bridge):
    """Arrays as they are. There is no gradient but by a function."""

    process = Process("numpy")
    dtypes = INPUT_DTYPES
    labels_always = True

    def value(self, job: Job) -> Array:
        """Whatever the function returns."""
        data = (job.logits,) if job.labels is None else (job.logits, job.labels)
        result: Array = self.prepared(job.function)(*data, **job.parameters)
        return result


NUMPY = NumpyBridge()


def bridge_for(framework: str) -> Bridge:
    """The bridge of one of `FRAMEWORKS`."""
    module, _, attribute = FRAMEWORKS[framework].partition(":")
    bridge: Bridge = getattr(importlib.import_module(module), attribute)
    return bridge


@dataclass(frozen=True, slots=True)
class Description:
    """What loading a target told.

    ``gradient``: the function that was found beside it, where one was looked for. ``defined``: the
    file and the line of its code.
    """

    parameters: frozenset[str]
    summary: str
    wants_labels: bool
    has_gradient: bool
    gradient: str = ""
    defined: tuple[str, int] | None = None


def process_of(target: Target) -> Process:
    """The process that a user's code gets to itself."""
    if target.command:
        process = Process(f"command {target.command[0]}", quiet=False)
    else:
        place, _ = place_of(target)
        process = replace(bridge_for(target.framework).process, name=place, quiet=False)
    return process if target.timeout_s is None else replace(process, timeout_s=target.timeout_s)


def describe(target: Target) -> Description:
    """Load a target, in its process. Raises TargetError."""
    found = load_target(target)
    assert found.value is not None
    function = _inner(found.value)
    signed = _signed(function)
    parameters = found.parameters if signed is function else parameters_of(signed)
    beside = gradient_beside(target) if target.gradient == AUTO else ""
    return Description(
        parameters=parameters - dict(target.parameters).keys(),
        summary=found.summary,
        wants_labels=bool(required_second(signed)),
        has_gradient=found.gradient is not None or target.framework != "numpy",
        gradient=beside,
        defined=found.defined,
    )


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(function, "func", function)


def _signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """What has the signature of a call: of a module, or the class of one, its ``forward``."""
    forward = getattr(function, "forward", None) or getattr(function, "call", None)
    if forward is None:
        return function
    return _Skipping(forward) if inspect.isclass(function) and _first(function) else forward


def _first(kind: type) -> bool:
    """Whether ``forward`` has a first parameter that is not of the call.

    That of an autograd.Function has no ``ctx`` where ``setup_context`` is its author's.
    """
    owner = next((each for each in kind.__mro__ if "setup_context" in vars(each)), None)
    return owner is None or owner.__module__.startswith("torch.")


class _Skipping:
    """A method's function without its first parameter (``self`` or ``ctx``)."""

    def __init__(self, function: Callable[..., Any]) -> None:
        signature = inspect.signature(function)
        self.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])

    def __call__(self) -> None:
        """Only its signature is wanted."""


_loaded: dict[bytes, Implementation] = {}


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function of a target, loaded where it is first called."""

    target: Target
    quantity: Quantity

    def __call__(self, *arguments: Any, **parameters: Any) -> Any:
        return self.resolved()(*arguments, **parameters)

    def resolved(self) -> Callable[..., Any]:
        """The user's own object."""
        key = pickle.dumps(self.target)
        if key not in _loaded:
            _loaded[key] = load_target(self.target)
        found = _loaded[key]
        function = found.value if self.quantity is Quantity.VALUE else found.gradient
        assert function is not None
        return function


def made(target: Target, description: Description) -> Implementation:
    """The implementation that a target is, from what its process told of it.

    Raises TargetError for a bound parameter that it does not take.
    """
    bridge = bridge_for(target.framework)
    value = UserFunction(target, Quantity.VALUE)
    wants = description.wants_labels
    gradient: Call | None = None
    if description.gradient or target.gradient not in (None, AUTO):
        by_function = UserFunction(target, Quantity.GRADIENT)
        gradient = Call(bridge, by_function, target.loss, Quantity.GRADIENT, "", wants, False)
    elif target.gradient == AUTO and description.has_gradient:
        gradient = Call(bridge, value, target.loss, Quantity.GRADIENT, "", wants)
    return Implementation(
        loss=target.loss,
        name=target.name,
        value=Call(bridge, value, target.loss, Quantity.VALUE, "", wants),
        gradient=gradient,
        dtypes=bridge.dtypes,
        label_kinds=tuple(LabelKind),
        parameters=description.parameters,
        summary=description.summary,
        source=target.target,
        process=process_of(target),
        origin=_origin(target, target.target, target.gradient),
        defined=description.defined,
    )


def given(
    loss: str,
    name: str,
    value: Callable[..., Any],
    gradient: Callable[..., Any] | str | None = AUTO,
    framework: str = "numpy",
    origin: tuple[str, ...] = (),
) -> Implementation:
    """Functions of this process, called where they are; as `made`, but for where they run.

    ``gradient`` `AUTO`: the framework differentiates ``value``; NumPy has nothing that does.
    """
    bridge = bridge_for(framework)
    signed = _signed(value)
    wants = bool(required_second(signed))
    by_function = gradient if callable(gradient) else None
    back: Call | None = None
    if by_function is not None:
        back = Call(bridge, by_function, loss, Quantity.GRADIENT, "", wants, False)
    elif gradient == AUTO and framework != "numpy":
        back = Call(bridge, value, loss, Quantity.GRADIENT, "", wants)
    return Implementation(
        loss=loss,
        name=name,
        value=Call(bridge, value, loss, Quantity.VALUE, "", wants),
        gradient=back,
        dtypes=bridge.dtypes,
        label_kinds=tuple(LabelKind),
        parameters=common_parameters(signed, by_function),
        summary=(inspect.getdoc(value) or "").partition("\n")[0],
        source=name,
        origin=origin,
        defined=defined_at(value),
    )


def command_text(words: Sequence[str]) -> str:
    """A command as a target is written: `shlex.split` reads it, and braces need no quotes."""
    return " ".join(
        word if re.fullmatch(r"[\w@%+=:,./{}-]+", word, re.ASCII) else shlex.quote(word)
        for word in words
    )


def _origin(target: Target, text: str, gradient: str | None) -> tuple[str, ...]:
    words = ["--implementation", text]
    if target.framework != "numpy":
        words += ["--framework", target.framework]
    if gradient != AUTO:
        words += ["--gradient", gradient or "none"]
    for name, value in target.parameters.items():
        words += ["--bind", f"{name}={json.dumps(value, default=str)}"]
    return tuple(words)


def target_named(loss: str, origin: Sequence[str]) -> Target:
    """The target that the words of an `Implementation.origin` name."""
    words = list(zip(origin[::2], origin[1::2], strict=True))
    named = dict(words)
    text, gradient = named["--implementation"], named.get("--gradient", AUTO)
    bound = dict(each.split("=", 1) for option, each in words if option == "--bind")
    parameters = {name: json.loads(value) for name, value in bound.items()}
    if "{out}" in text:
        back = () if gradient == AUTO else tuple(shlex.split(gradient))
        command = tuple(shlex.split(text))
        return Target(loss, "", text, None, parameters, command=command, gradient_command=back)
    back_name = None if gradient == "none" else gradient
    return Target(loss, text, text, back_name, parameters, named.get("--framework", "numpy"))


def commanded(target: Target) -> Implementation:
    """The implementation that a program is. Raises TargetError for a command that cannot be.

    What a call does not say is as the loss has it by default.
    """
    known = {each.name: each.default for each in loss_of(target.loss).parameters}
    given = {**known, **target.parameters}
    value = _command(target, target.command, given)
    gradient = None
    parameters = value.placeholders & known.keys()
    if target.gradient_command:
        gradient = _command(target, target.gradient_command, given)
        parameters &= gradient.placeholders
    for name in target.parameters:
        if name not in value.placeholders:
            message = f"the command has no placeholder {{{name}}}"
            raise TargetError(
                f"{target.name}: {message}{did_you_mean(name, sorted(value.placeholders))}"
            )
    return Implementation(
        loss=target.loss,
        name=target.name,
        value=value,
        gradient=gradient,
        dtypes=INPUT_DTYPES,
        label_kinds=tuple(LabelKind),
        parameters=parameters - target.parameters.keys(),
        summary=" ".join(target.command),
        source=target.command[0],
        process=process_of(target),
        origin=_origin(
            target, command_text(target.command), command_text(target.gradient_command) or AUTO
        ),
    )


def _command(target: Target, words: tuple[str, ...], given: Mapping[str, Any]) -> Command:
    """A command whose program is there, and whose placeholders are no slips of the pen."""
    if shutil.which(words[0]) is None:
        message = "cannot be executed" if Path(words[0]).exists() else "there is no such program"
        raise TargetError(f"{words[0]}: {message}")
    made = Command(words, given)
    known = (*DATA, *(each.name for each in loss_of(target.loss).parameters))
    for name in sorted(made.placeholders - given.keys()):
        meant = nearest(name, known)  # other braces are the program's own
        if meant is not None:
            message = f"{{{name}}} stands for nothing; did you mean {{{meant}}}?"
            raise TargetError(f"{target.name}: {message}")
    return made
