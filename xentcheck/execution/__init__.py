"""Where foreign code runs: the one ``try`` round it, what is checked about how it behaves, the
processes that frameworks and users' code have to themselves, and the workers that share the work.
"""

from xentcheck.execution import hosts
from xentcheck.execution.calls import (
    Caller,
    Incident,
    Returned,
    answer,
    arguments,
    ask,
    observe,
    unasked,
    unsupported,
)
from xentcheck.execution.invocation import CallError, same_bits
from xentcheck.execution.targets import open_target, open_targets
from xentcheck.execution.tasks import Death, Run
from xentcheck.execution.workers import cores
from xentcheck.execution.workers import run as run_tasks

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
