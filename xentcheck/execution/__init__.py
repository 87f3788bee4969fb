"""Where foreign code runs: the one ``try`` round it, what is checked about how it behaves, the
processes that frameworks and users' code have to themselves, and the workers that share the work.
"""

from xentcheck.execution import hosts
from xentcheck.execution.calls import (
    Caller,
    Incident,
    Outcomes,
    answer,
    arguments,
    ask,
    observe,
    unasked,
    unsupported,
)
from xentcheck.execution.invocation import CallError, same_bits
from xentcheck.execution.pool import Death, Run, cores
from xentcheck.execution.pool import run as run_tasks
from xentcheck.execution.targets import open_target, open_targets

__all__ = [
    "CallError",
    "Caller",
    "Death",
    "Incident",
    "Outcomes",
    "Run",
    "answer",
    "arguments",
    "ask",
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
