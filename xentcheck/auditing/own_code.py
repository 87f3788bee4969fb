"""A function of the user's, or what text names, as an implementation that can be audited."""

import contextlib
import functools
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from xentcheck.errors import TargetError, UsageError
from xentcheck.execution import cores, hosts, open_target
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
    """The parameters that nobody gave as a function has them by default, and notes about them.

    A loss has to be shown row by row where it can be: a reduction is not taken over.
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
    """A function that only returns a mean or a sum as one that has it built in, found by asking."""
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
    """What text names, loaded in its own process, and notes about its gradient for the user.

    Args:
        target: ``module:function``, ``file.py:function``, or a command.
        way: what it computes and how it is called; the names in it do not matter.
        gradient: the same, ``auto``, or None (or ``none``) for no gradient.

    Raises:
        TargetError: the text leads nowhere.
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
    """A function of this process as an implementation."""
    name = name_of(function)
    obstacle = hosts.missing(user.bridge_for(way.framework).process)
    if obstacle:
        raise TargetError(f"{name}: {obstacle}")
    found: Function | str | None = gradient
    if isinstance(gradient, str) and gradient != "none":
        found = _gradient_beside(way.loss, function, gradient)
    return user.given(way.loss, name, function, found, way, _probe_words(function, gradient, way))


def name_of(function: Function) -> str:
    """``module:function``, as far as a callable has a name."""
    bare = function.func if isinstance(function, functools.partial) else function
    named = bare if hasattr(bare, "__qualname__") else type(bare)
    return f"{named.__module__}:{named.__qualname__}"


def _gradient_beside(loss: str, function: Function, gradient: str) -> Function | str:
    """The function that text names: beside another one, or anywhere; for ``auto``, if there is."""
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
    """The words that name a function of this process to `xentcheck probe`, where there are any."""
    target = _target_of(function)
    back = _target_of(gradient) if callable(gradient) else gradient or "none"
    if not target or not back:
        return UNREACHABLE
    return user.words_of(way, target, back)


def _target_of(function: Function) -> str:
    """How another process finds a function: by its module, or its file; "" where it cannot."""
    place, _, attribute = name_of(function).partition(":")
    module = sys.modules.get(place)
    if module is None or _attribute(module, attribute) is not function:
        return ""
    if module.__package__ and place != "__main__":  # it may import what is beside it
        return f"{place}:{attribute}"
    file = Path(getattr(module, "__file__", None) or "")
    if not file.is_file() or file.suffix != ".py":
        return ""
    with contextlib.suppress(ValueError):
        file = file.absolute().relative_to(Path.cwd())
    return f"{file}:{attribute}"


def gradient_text(gradient: Function | str | None) -> str:
    return name_of(gradient) if callable(gradient) else gradient or "none"
