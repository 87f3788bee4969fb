"""The command ``xentcheck``: reads options, runs an audit, writes a report, sets the exit status.

The commands import heavy packages only when they run. So ``--help``, ``--version`` and a mistyped
option do not import NumPy, mpmath or rich.
"""

from xentcheck.cli import (
    check,
    compare,
    explain,
    init,
    lists,
    probe,
    report,
    run,
    schema,
    search,
)
from xentcheck.cli.entry import cli, main

__all__ = [
    "check",
    "cli",
    "compare",
    "explain",
    "init",
    "lists",
    "main",
    "probe",
    "report",
    "run",
    "schema",
    "search",
]
