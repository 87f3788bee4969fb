"""Turn users' own code, in any framework or language, into implementations.

A target is loaded only in its own process: `describe` and `UserFunction` are sent there.
"""

import functools
import importlib
import inspect
import json
import pickle
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xentcheck.errors import TargetError, did_you_mean, nearest
from xentcheck.floats import INPUT_DTYPES
from xentcheck.implementations.bridge import LABEL_DTYPE, Bridge, Call, Job, upstream_of
from xentcheck.implementations.classes import constructed, constructor_of, of_class
from xentcheck.implementations.layouts import LAYOUTS
from xentcheck.implementations.shapes import ROWS
from xentcheck.implementations.user.command import DATA, Command
from xentcheck.implementations.user.loading import gradient_beside, load_target, place_of
from xentcheck.losses import loss_of
from xentcheck.losses.parameters import others
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    ANY_PARAMETER,
    AUTO,
    Array,
    Implementation,
    LabelKind,
    Process,
    Quantity,
    Target,
)
from xentcheck.registry import common_parameters, defaults_of, defined_at, required_second

FRAMEWORKS: Mapping[str, str] = {
    "numpy": "xentcheck.implementations.user.function:NUMPY",
    "torch": "xentcheck.implementations.frameworks.pytorch:TORCH",
    "jax": "xentcheck.implementations.frameworks.jax:JAX",
    "tensorflow": "xentcheck.implementations.frameworks.tensorflow:TENSORFLOW",
}
"""The frameworks whose arrays a user's function may take, each with its bridge."""


class NumpyBridge(Bridge):
    """Passes arrays unchanged. A gradient needs a gradient function."""

    process = Process("numpy")
    dtypes = INPUT_DTYPES
    labels_always = True
    layouts = tuple(LAYOUTS)

    def value(self, job: Job) -> Array:
        """Return whatever the function returns."""
        data = (job.logits,) if job.labels is None else (job.logits, job.labels)
        result: Array = self.prepared(job.function)(*data, **job.parameters)
        return result


NUMPY = NumpyBridge()


def bridge_for(framework: str) -> Bridge:
    """Return the bridge of one of `FRAMEWORKS`."""
    module, _, attribute = FRAMEWORKS[framework].partition(":")
    bridge: Bridge = getattr(importlib.import_module(module), attribute)
    return bridge


@dataclass(frozen=True, slots=True)
class Description:
    """What the process learned by loading a target.

    `gradient`: the function found next to it, if one was looked for. `code_at`: file and line of
    its code. `own_defaults`: as in `Implementation`. `held`: values of the loss's parameters that
    an instance was made with. `missing`: arguments that nothing gives a value. `upstream`: the
    argument by which its gradient function takes the upstream gradient.
    """

    parameters: frozenset[str]
    summary: str
    wants_labels: bool
    has_gradient: bool
    gradient: str = ""
    code_at: tuple[str, int] | None = None
    own_defaults: Mapping[str, Any] = field(default_factory=dict)
    held: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    is_class: bool = False
    upstream: str = ""


def process_of(target: Target) -> Process:
    """Return the process in which a user's code runs alone."""
    if target.command:
        process = Process(f"command {target.command[0]}", quiet=False)
    else:
        place, _ = place_of(target)
        process = replace(bridge_for(target.framework).process, name=place, quiet=False)
    return process if target.timeout_s is None else replace(process, timeout_s=target.timeout_s)


def describe(target: Target) -> Description:
    """Load a target in its process and describe it. Raises TargetError."""
    found = load_target(target)
    assert found.value is not None
    beside = gradient_beside(target) if target.gradient == AUTO else ""
    arguments = _arguments(found.value, found.gradient)
    loss = loss_of(target.loss)
    own = {**arguments.defaults, **target.built_in}
    return Description(
        parameters=arguments.names - dict(target.parameters).keys(),
        summary=found.summary,
        wants_labels=arguments.wants_labels,
        has_gradient=found.gradient is not None or target.framework != "numpy",
        gradient=beside,
        code_at=found.code_at,
        own_defaults=_own_defaults(loss, arguments),
        held=_held(loss, found.value),
        missing=tuple(name for name in _missing(loss, arguments) if name not in own),
        is_class=constructed(found.value),
        upstream="" if found.gradient is None else upstream_of(found.gradient),
    )


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The arguments of a user's callable besides its data.

    `names` may be `ANY_PARAMETER`. `required` are those without a default.
    """

    names: frozenset[str]
    defaults: Mapping[str, Any]
    required: tuple[str, ...]
    wants_labels: bool


def _arguments(value: Callable[..., Any], gradient: Callable[..., Any] | None = None) -> _Arguments:
    """Return the arguments of a function, a class (call, constructor) or a `partial` of one."""
    bound = getattr(value, "keywords", {})
    signed = _signed(_inner(value))
    own = signed if signed is not _inner(value) else value
    names = common_parameters(own, gradient)
    defaults = defaults_of(own)
    if constructed(value):
        constructor = constructor_of(value)
        names = names if names == ANY_PARAMETER else names | constructor.names
        defaults |= constructor.defaults
        defaults |= dict.fromkeys(constructor.required, inspect.Parameter.empty)
    free = {name: each for name, each in defaults.items() if name not in bound}
    given = {name: each for name, each in free.items() if each is not inspect.Parameter.empty}
    required = tuple(name for name in free if name not in given)
    return _Arguments(names - set(bound), given, required, bool(required_second(signed)))


def _own_defaults(loss: Loss, arguments: _Arguments) -> dict[str, Any]:
    """Return defaults that differ from the loss's, and None for its parameters without default."""
    needed = {name: None for name in arguments.required if loss.parameter(name) is not None}
    known = {**others(loss, arguments.defaults), **needed}
    taken = arguments.names
    return {name: each for name, each in known.items() if taken >= ANY_PARAMETER or name in taken}


def _held(loss: Loss, value: Any) -> dict[str, Any]:
    """Return the values an instance was made with, read from attributes named like arguments."""
    if inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, functools.partial):
        return {}
    names = constructor_of(type(value)).names
    if type(value).__module__.partition(".")[0] == "keras":
        names -= {"reduction"}  # the bridge asks for the reduction that is wanted
    held = {}
    for name in names:
        each: Any = getattr(value, name, None)
        if loss.parameter(name):
            held[name] = each.tolist() if hasattr(each, "tolist") else each
    return others(loss, held)


def _missing(loss: Loss, arguments: _Arguments) -> tuple[str, ...]:
    return tuple(name for name in arguments.required if loss.parameter(name) is None)


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(function, "func", function)


def _signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the callable with the signature of a call: ``forward`` of a module or its class."""
    forward = getattr(function, "forward", None) or getattr(function, "call", None)
    if forward is None:
        return function
    return _Skipping(forward) if inspect.isclass(function) and _first(function) else forward


def _first(kind: type) -> bool:
    """Whether ``forward`` has a first parameter that a call does not give (``self``, ``ctx``).

    An autograd.Function whose author wrote ``setup_context`` has a ``forward`` without ``ctx``.
    """
    owner = next((each for each in kind.__mro__ if "setup_context" in vars(each)), None)
    return owner is None or owner.__module__.startswith("torch.")


class _Skipping:
    """A method's function whose signature lacks the first parameter (``self`` or ``ctx``)."""

    def __init__(self, function: Callable[..., Any]) -> None:
        signature = inspect.signature(function)
        self.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])

    def __call__(self) -> None:
        """Do nothing: only the signature is used."""


_loaded: dict[bytes, Implementation] = {}


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function of a target, loaded in the process that first calls it."""

    target: Target
    quantity: Quantity
    is_class: bool = False

    def __call__(self, *arguments: Any, **parameters: Any) -> Any:
        return self.resolved()(*arguments, **parameters)

    def resolved(self) -> Callable[..., Any]:
        """Return the user's own object."""
        key = pickle.dumps(self.target)
        if key not in _loaded:
            _loaded[key] = load_target(self.target)
        found = _loaded[key]
        function = found.value if self.quantity is Quantity.VALUE else found.gradient
        assert function is not None
        return callable_as(self.target.framework, function)


PLAIN = ("numpy", "jax")
"""Frameworks whose bridges accept only functions, not classes."""


def callable_as(framework: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function; turn a class into a function if the framework's bridge does not."""
    return of_class(function) if framework in PLAIN and constructed(function) else function


def made(target: Target, description: Description) -> Implementation:
    """Return the implementation of a target, from what its process learned about it.

    Raises TargetError if the target has a required argument that nothing gives a value.
    """
    if description.missing:
        name, *_ = description.missing
        raise TargetError(
            f"{target.target}: nothing gives its argument {', '.join(description.missing)}\n"
            f"    help: --bind {name}=VALUE (in a configuration parameters: {{{name}: VALUE}})"
        )
    bridge = bridge_for(target.framework)
    named = description.gradient or target.gradient not in (None, AUTO)
    value, gradient = _calls(
        target,
        UserFunction(target, Quantity.VALUE, description.is_class),
        UserFunction(target, Quantity.GRADIENT) if named else None,
        wants_labels=description.wants_labels,
        differentiated=target.gradient == AUTO and description.has_gradient,
        upstream=description.upstream,
    )
    return Implementation(
        loss=target.loss,
        name=target.name,
        value=value,
        gradient=gradient,
        dtypes=bridge.dtypes,
        label_kinds=tuple(LabelKind),
        parameters=description.parameters,
        summary=description.summary,
        source=target.target,
        process=process_of(target),
        probe_words=words_of(target, target.target, target.gradient),
        code_at=description.code_at,
        built_in={**description.held, **_built_in(target)},
        own_defaults=description.own_defaults,
    )


def _calls(
    way: Target,
    value: Callable[..., Any],
    gradient: Callable[..., Any] | None,
    *,
    wants_labels: bool,
    differentiated: bool,
    upstream: str,
) -> tuple[Call, Call | None]:
    """Return the calls of value and gradient.

    The gradient comes from its function, or from differentiation by the framework, or is None.
    """
    call = functools.partial(
        Call,
        bridge_for(way.framework),
        loss=way.loss,
        wants_labels=wants_labels,
        shape=way.shape,
        label_dtype=way.label_dtype,
    )
    forward = call(value, quantity=Quantity.VALUE)
    if gradient is not None:
        back = call(gradient, quantity=Quantity.GRADIENT, differentiated=False, upstream=upstream)
        return forward, back
    return forward, call(value, quantity=Quantity.GRADIENT) if differentiated else None


def _built_in(target: Target) -> dict[str, Any]:
    """Return the values declared as built in, and bound parameters that differ from the default."""
    return {**others(loss_of(target.loss), target.parameters), **target.built_in}


def given(
    loss: str,
    name: str,
    value: Callable[..., Any],
    gradient: Callable[..., Any] | str | None = AUTO,
    way: Target | None = None,
    probe_words: tuple[str, ...] = (),
) -> Implementation:
    """Return an implementation of functions that run in this process; otherwise like `made`.

    Args:
        loss: id of the loss.
        name: name of the implementation.
        value: function of ``(logits, labels, **parameters)`` in arrays of the framework.
        gradient: gradient function with the same arguments. `AUTO`: the framework differentiates
            ``value``; NumPy cannot, so there the gradient is None.
        way: how to call them: framework, shape, dtype of labels, bound and built-in parameters.
        probe_words: words that name the target to `xentcheck probe`.

    Raises:
        TargetError: a required argument has no value.
    """
    way = way or Target(loss, "", name)
    bridge = bridge_for(way.framework)
    function = functools.partial(value, **way.parameters) if way.parameters else value
    arguments = _arguments(function, gradient if callable(gradient) else None)
    spec = loss_of(loss)
    missing = [each for each in _missing(spec, arguments) if each not in way.built_in]
    if missing:
        raise TargetError(
            f"{name}: nothing gives its argument {', '.join(missing)}\n"
            "    help: bind it, by bind={...} or functools.partial"
        )
    by_function = gradient if callable(gradient) else None
    forward, back = _calls(
        way,
        callable_as(way.framework, function),
        by_function,
        wants_labels=arguments.wants_labels,
        differentiated=gradient == AUTO and way.framework != "numpy",
        upstream="" if by_function is None else upstream_of(by_function),
    )
    bound = {**_held(spec, value), **getattr(function, "keywords", {})}
    return Implementation(
        loss=loss,
        name=name,
        value=forward,
        gradient=back,
        dtypes=bridge.dtypes,
        label_kinds=tuple(LabelKind),
        parameters=arguments.names,
        summary=(inspect.getdoc(value) or "").partition("\n")[0],
        source=name,
        probe_words=probe_words,
        code_at=defined_at(value),
        built_in={**others(spec, bound), **way.built_in},
        own_defaults=_own_defaults(spec, arguments),
    )


def command_text(words: Sequence[str]) -> str:
    """Write a command as target text: `shlex.split` reads it back, and braces need no quotes."""
    return " ".join(
        word if re.fullmatch(r"[\w@%+=:,./{}-]+", word, re.ASCII) else shlex.quote(word)
        for word in words
    )


def words_of(target: Target, text: str, gradient: str | None) -> tuple[str, ...]:
    """Return the words that name a target to `xentcheck probe`: its `probe_words`."""
    words = ["--implementation", text]
    if target.framework != "numpy":
        words += ["--framework", target.framework]
    if gradient != AUTO:
        words += ["--gradient", gradient or "none"]
    for name, value in target.parameters.items():
        words += ["--bind", f"{name}={json.dumps(value, default=str)}"]
    for name, value in target.built_in.items():
        words += ["--built-in", f"{name}={json.dumps(value)}"]
    if target.shape != ROWS:
        words += ["--shape", target.shape]
    if target.label_dtype != LABEL_DTYPE:
        words += ["--label-dtype", target.label_dtype]
    return tuple(words)


def target_named(loss: str, probe_words: Sequence[str]) -> Target:
    """Return the target that an `Implementation.probe_words` names."""
    words = list(zip(probe_words[::2], probe_words[1::2], strict=True))
    named = dict(words)
    text, gradient = named["--implementation"], named.get("--gradient", AUTO)
    made = Target(
        loss,
        text,
        text,
        None if gradient == "none" else gradient,
        _keywords(words, "--bind"),
        named.get("--framework", "numpy"),
        built_in=_keywords(words, "--built-in"),
        shape=named.get("--shape", ROWS),
        label_dtype=named.get("--label-dtype", LABEL_DTYPE),
    )
    if "{out}" in text:
        back = () if gradient == AUTO else tuple(shlex.split(gradient))
        command = tuple(shlex.split(text))
        return replace(made, target="", gradient=None, command=command, gradient_command=back)
    return made


def _keywords(words: Sequence[tuple[str, str]], option: str) -> dict[str, Any]:
    named = dict(each.split("=", 1) for which, each in words if which == option)
    read = {name: json.loads(value) for name, value in named.items()}
    return {name: tuple(each) if isinstance(each, list) else each for name, each in read.items()}


def commanded(target: Target) -> Implementation:
    """Return the implementation of a program. Raises TargetError for an impossible command.

    Parameters that a call does not give have the default of the loss.
    """
    known = {each.name: each.default for each in loss_of(target.loss).parameters}
    given = {**known, **target.parameters, **target.built_in}
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
        parameters=parameters - target.parameters.keys() - target.built_in.keys(),
        summary=" ".join(target.command),
        source=target.command[0],
        process=process_of(target),
        probe_words=words_of(
            target, command_text(target.command), command_text(target.gradient_command) or AUTO
        ),
        built_in=_built_in(target),
    )


def _command(target: Target, words: tuple[str, ...], given: Mapping[str, Any]) -> Command:
    """Return a command; check that its program exists and its placeholders are not misspelt."""
    if shutil.which(words[0]) is None:
        message = "cannot be executed" if Path(words[0]).exists() else "there is no such program"
        raise TargetError(f"{words[0]}: {message}")
    made = Command(words, given, target.shape, target.label_dtype)
    known = (*DATA, *(each.name for each in loss_of(target.loss).parameters))
    for name in sorted(made.placeholders - given.keys()):
        meant = nearest(name, known)  # braces that resemble no known name belong to the program
        if meant is not None:
            message = f"{{{name}}} stands for nothing; did you mean {{{meant}}}?"
            raise TargetError(f"{target.name}: {message}")
    return made
