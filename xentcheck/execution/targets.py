"""From a user's target to an implementation, without loading it here."""

from collections.abc import Sequence

from xentcheck.errors import TargetError
from xentcheck.execution import hosts
from xentcheck.execution.invocation import CallError
from xentcheck.implementations import user
from xentcheck.model import Implementation, Target


def open_target(target: Target) -> tuple[Implementation, str]:
    """The implementation that a user's target is, and the gradient found beside it ("": none).

    It is loaded in a process of its own and stays there. Raises TargetError, with what to do about
    it, when the target does not lead to something that can be called.
    """
    if target.command:
        return user.commanded(target), ""
    process = user.process_of(target)
    obstacle = hosts.missing(process)
    if obstacle:
        raise TargetError(f"{target.target}: {obstacle}")
    try:
        description: user.Description = hosts.ask(process, user.describe, target)
    except (CallError, RuntimeError) as error:
        raise TargetError(f"{target.target}: loading it failed: {error}") from None
    return user.made(target, description), description.gradient


def open_targets(targets: Sequence[Target]) -> tuple[Implementation, ...]:
    """The implementations that users' targets are; their processes start side by side."""
    processes = [user.process_of(target) for target in targets if not target.command]
    hosts.start(each for each in processes if not hosts.missing(each))
    return tuple(open_target(target)[0] for target in targets)
