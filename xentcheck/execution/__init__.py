"""Where foreign code runs: the one ``try`` round it, what is checked about how it behaves, and the
worker processes that it may take down with it."""

from xentcheck.execution.calls import Incident, Outcomes, observe, unsupported
from xentcheck.execution.pool import Death, Run, cores
from xentcheck.execution.pool import run as run_tasks

__all__ = ["Death", "Incident", "Outcomes", "Run", "cores", "observe", "run_tasks", "unsupported"]
