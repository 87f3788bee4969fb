"""Turn a user's target into an implementation without loading its code in this process."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from xentcheck import registry
from xentcheck.errors import TargetError, XentcheckError
from xentcheck.execution import hosts
from xentcheck.execution.invocation import CallError
from xentcheck.implementations import user
from xentcheck.model import Implementation, Process, Target, selected


def open_target(target: Target) -> tuple[Implementation, str]:
    """Return the implementation of a user's target, and the name of its gradient ("": none found).

    A process of its own loads the target and keeps it. Raises TargetError, which says what to do,
    if the target does not lead to a callable.
    """
    if target.command:
        return user.commanded(target), ""
    process = user.process_of(target)
    obstacle = registry.missing(process)
    if obstacle:
        raise TargetError(f"{target.target}: {obstacle}")
    try:
        description: user.Description = hosts.ask(process, user.describe, target)
    except (CallError, RuntimeError) as error:
        raise TargetError(f"{target.target}: loading it failed: {error}") from None
    return user.made(target, description), description.gradient


def start_registered(loss: str, dtypes: Sequence[str], patterns: Sequence[str]) -> None:
    """Start the processes of registered implementations, before anybody asks them.

    So frameworks are imported while the asking side still imports its own modules.

    Args:
        loss: the id of their loss.
        dtypes: those that are asked about.
        patterns: they select the implementations; without any, all of them.
    """
    wanted = {
        each.process: None
        for each in registry.implementations()
        if each.process is not None
        and each.loss == loss
        and not set(dtypes).isdisjoint(each.dtypes)
        and selected(each.name, patterns or ("*",))
    }
    _start(wanted)


def start_target(target: Target) -> None:
    """Start the process of a user's target before it is opened. A wrong target is ignored."""
    if target.command or "{out}" in target.target:
        return
    with suppress(XentcheckError):
        _start((user.process_of(target),))


def open_targets(targets: Sequence[Target]) -> tuple[Implementation, ...]:
    """Return the implementations of several targets; their processes start in parallel."""
    _start([user.process_of(target) for target in targets if not target.command])
    return tuple(open_target(target)[0] for target in targets)


def _start(processes: Iterable[Process]) -> None:
    """Start processes, except those whose modules are not installed."""
    hosts.start(each for each in processes if not registry.missing(each))
