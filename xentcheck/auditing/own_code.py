"""Turns a user's function, or text that names one, into an implementation."""

import contextlib
import functools
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from xentcheck import registry
from xentcheck.errors import TargetError, UnknownNameError, UsageError
from xentcheck.execution import cores, open_target
from xentcheck.implementations import user
from xentcheck.implementations.user.loading import gradient_names, load_target
from xentcheck.losses.parameters import obstacle
from xentcheck.losses.spec import Loss
from xentcheck.model import AUTO, UNREACHABLE, Implementation, LabelKind, Target
from xentcheck.recognition import guarded, reduced

Function: TypeAlias = Callable[..., Any]


def own_defaults(
    spec: Loss, kind: LabelKind, made: Implementation, given: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The function's own defaults for parameters that are not given, and notes about them.

    A default reduction is not used: a loss is audited row by row if possible.

    Args:
        spec: the loss.
        kind: the kind of label.
        made: the function as an implementation.
        given: the parameters that the user gives, by name.

    Returns:
        The defaults by parameter name, and sentences for the user.
    """
    own: dict[str, Any] = {}
    notes = []
    for name, value in made.own_defaults.items():
        parameter = spec.parameter(name)
        assert parameter is not None
        unfit = not parameter.goes_with(kind)
        if name in given or name in made.built_in or value is None or unfit:
            continue
        if name == "reduction":
            notes.append(
                f"reduction=none is passed, for the function's own default is {value}; "
                f"--param reduction={value} checks that"
            )
            continue
        own[name] = value
        usual = "none" if parameter.default is None else _text(parameter.default)
        notes.append(
            f"{name}={_text(value)} is checked, the function's own default (the loss's is "
            f"{usual}); --param {name}={usual} checks that"
        )
    for name, value in made.built_in.items():
        notes.append(f"{name}={_text(value)} is computed: the function has it built in")
    return own, tuple(notes)


def with_reduction(
    spec: Loss,
    kind: LabelKind,
    made: Implementation,
    given: Mapping[str, Any],
    dtype: str,
    workers: int | None,
    *,
    integers: bool,
) -> tuple[Implementation, tuple[str, ...]]:
    """Detect whether a function only returns a mean or a sum over the rows, by calling it.

    Args:
        spec: the loss.
        kind: the kind of label.
        made: the function as an implementation.
        given: the parameters that the user gives, by name.
        dtype: the dtype of the calls, by name.
        workers: number of processes; None for all cores.
        integers: targets of an elementwise loss are given as int64.

    Returns:
        The implementation, with the reduction as built in if it has one, and sentences for the
        user.
    """
    if spec.parameter("reduction") is None or "reduction" in {*given, *made.built_in}:
        return made, ()
    computed = {**given, **made.built_in}
    if obstacle(spec, made, computed, dtype):
        return made, ()
    found = guarded(
        made,
        lambda: reduced(made, spec.id, kind, computed, dtype, integers=integers),
        workers or cores(),
    )
    if found is None or found.reduction is None:
        return made, ()
    words = (
        () if made.probe_words == UNREACHABLE else ("--built-in", f'reduction="{found.reduction}"')
    )
    note = (
        f"it returns one number, the {found.reduction} over the rows: it is checked as that "
        f"(reduction={found.reduction})"
    )
    built_in = {**made.built_in, "reduction": found.reduction}
    return replace(made, built_in=built_in, probe_words=(*made.probe_words, *words)), (note,)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def opened(
    target: str, way: Target, gradient: Function | str | None = AUTO
) -> tuple[Implementation, tuple[str, ...]]:
    """Load the function or command that a text names, in its own process.

    Args:
        target: ``module:function``, ``file.py:function``, or a command.
        way: the loss and how to call the target. Its own names are ignored.
        gradient: the gradient in the same form, ``auto``, or None (or ``none``) for no gradient.

    Returns:
        The implementation, and notes for the user about its gradient.

    Raises:
        TargetError: the text does not name a function.
        UsageError: the gradient is a function of this process.
    """
    if callable(gradient):
        raise UsageError(f"{target} is loaded in another process: name its gradient by text too")
    if "{out}" in target:  # a program
        program = tuple(shlex.split(target))
        back = () if gradient in (AUTO, "none", None) else tuple(shlex.split(gradient))
        wanted = replace(way, name=target, command=program, gradient_command=back)
        note = (
            f"only the value of {program[0]} is checked; --gradient names the command of a gradient"
        )
        return open_target(wanted)[0], () if back else (note,)
    named = None if gradient == "none" else gradient
    wanted = replace(way, target=target, name=target, gradient=named)
    made, beside = open_target(wanted)
    if beside:
        note = f"{beside} is taken for its gradient; --gradient names another, or none"
        return made, (note,)
    if made.gradient is None and gradient == AUTO:
        *others, last = gradient_names(wanted)
        note = (
            f"only the value is checked: there is no {', '.join(others)} or {last} beside "
            f"{target.rpartition(':')[2]}; name it with --gradient"
        )
        return made, (note,)
    return made, ()


def given_function(
    function: Function, way: Target, gradient: Function | str | None
) -> Implementation:
    """Turn a function of this process into an implementation."""
    name = name_of(function)
    obstacle = registry.missing(user.bridge_for(way.framework).process)
    if obstacle:
        raise TargetError(f"{name}: {obstacle}")
    found: Function | str | None = gradient
    if isinstance(gradient, str) and gradient != "none":
        found = _gradient_beside(way.loss, function, gradient)
    return user.given(way.loss, name, function, found, way, _probe_words(function, gradient, way))


def opened_peers(
    given: Sequence[Function | str],
    way: Target,
    prepared: Callable[[Implementation], Implementation],
) -> tuple[tuple[str, ...], tuple[Implementation, ...], tuple[str, ...]]:
    """Find the implementations that a loss is held against.

    Args:
        given: names of registered implementations of the loss, texts like a target, or functions.
        way: the loss, and how to call those that are not registered.
        prepared: adapts those to the check.

    Returns:
        The names of all; those that are not registered; notes for the user.

    Raises:
        UnknownNameError: no implementation of the loss has this name.
        XentcheckError: as `opened`.
    """
    names: dict[str, None] = {}
    made: list[Implementation] = []
    notes: list[str] = []
    known: list[Implementation] = []
    for each in given:
        if not isinstance(each, str):
            peer = given_function(each, way, AUTO)
        elif ":" in each or "{out}" in each:
            peer, about = opened(each, way)
            notes += (f"{each}: {note}" for note in about)
        else:
            known = known or [one for one in registry.implementations() if one.loss == way.loss]
            if each not in {one.name for one in known}:
                hint = registry.meant_by(each, known)
                offered = sorted(one.name for one in known)
                raise UnknownNameError("implementation", each, offered, f"; {hint}" if hint else "")
            names[each] = None
            continue
        if peer.name not in names:
            made.append(prepared(peer))
        names[peer.name] = None
    return tuple(names), tuple(made), tuple(notes)


def name_of(function: Function) -> str:
    """``module:function``; a callable without a name has that of its type."""
    bare = function.func if isinstance(function, functools.partial) else function
    named = bare if hasattr(bare, "__qualname__") else type(bare)
    return f"{named.__module__}:{named.__qualname__}"


def _gradient_beside(loss: str, function: Function, gradient: str) -> Function | str:
    """Find a gradient by its text.

    Args:
        loss: the name of the loss.
        function: the function of the value.
        gradient: ``module:function``, the name of an attribute beside ``function``, or ``auto``.

    Returns:
        The function. For ``auto``, it is a function beside it with a usual name, or ``auto`` if
        there is no such function.
    """
    if ":" in gradient:
        found = load_target(Target(loss, gradient, gradient)).value
        assert found is not None
        return found
    place, _, attribute = name_of(function).partition(":")
    owner = attribute.rpartition(".")[0]
    module = sys.modules.get(place)
    known = _attribute(module, attribute) is function
    beside = (
        gradient_names(Target(loss, name_of(function), "")) if gradient == AUTO else (gradient,)
    )
    for name in beside:
        candidate: object = _attribute(module, f"{owner}.{name}".lstrip("."))
        if known and callable(candidate):
            return candidate
    if gradient == AUTO:
        return AUTO
    raise TargetError(f"{name_of(function)}: there is no {gradient!r} beside it")


def _attribute(holder: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        holder = getattr(holder, name, None)
    return holder


def _probe_words(
    function: Function, gradient: Function | str | None, way: Target
) -> tuple[str, ...]:
    """The words that name a function to `xentcheck probe`; `UNREACHABLE` if no words can."""
    target = _target_of(function)
    back = _target_of(gradient) if callable(gradient) else gradient or "none"
    if not target or not back:
        return UNREACHABLE
    return user.words_of(way, target, back)


def _target_of(function: Function) -> str:
    """How another process can find a function: by its module or its file; "" if it cannot."""
    place, _, attribute = name_of(function).partition(":")
    module = sys.modules.get(place)
    if module is None or _attribute(module, attribute) is not function:
        return ""
    if module.__package__ and place != "__main__":  # a module of a package may import neighbours
        return f"{place}:{attribute}"
    file = Path(getattr(module, "__file__", None) or "")
    if not file.is_file() or file.suffix != ".py":
        return ""
    with contextlib.suppress(ValueError):
        file = file.absolute().relative_to(Path.cwd())
    return f"{file}:{attribute}"


def gradient_text(gradient: Function | str | None) -> str:
    """A gradient as text: the name of a function, the text itself, or ``none``."""
    return name_of(gradient) if callable(gradient) else gradient or "none"
