"""Run foreign code: one call with its checks, processes for frameworks and users' code, workers.

`invocation` makes one call and checks its result. `calls` watches how an implementation behaves.
`hosts` gives every framework and every user's code a process of its own. `workers` spreads tasks
over processes.

A module of this package is imported when one of its names is first asked for: a host needs few.
"""

from typing import TYPE_CHECKING

from xentcheck.deferred import names_of

if TYPE_CHECKING:
    from xentcheck.execution import hosts
    from xentcheck.execution.calls import (
        Caller,
        Incident,
        Returned,
        answer,
        arguments,
        ask,
        begin,
        observe,
        unasked,
        unsupported,
    )
    from xentcheck.execution.invocation import CallError, same_bits
    from xentcheck.execution.targets import open_target, open_targets
    from xentcheck.execution.tasks import Death, Run
    from xentcheck.execution.workers import cores
    from xentcheck.execution.workers import run as run_tasks
else:
    __getattr__ = names_of(
        __name__,
        {
            "calls": (
                "Caller Incident Returned answer arguments ask begin observe unasked unsupported"
            ),
            "hosts": "",
            "invocation": "CallError same_bits",
            "targets": "open_target open_targets",
            "tasks": "Death Run",
            "workers": "cores run_tasks=run",
        },
    )

__all__ = [
    "CallError",
    "Caller",
    "Death",
    "Incident",
    "Returned",
    "Run",
    "answer",
    "arguments",
    "ask",
    "begin",
    "cores",
    "hosts",
    "observe",
    "open_target",
    "open_targets",
    "run_tasks",
    "same_bits",
    "unasked",
    "unsupported",
]
