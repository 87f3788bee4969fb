"""The command ``xentcheck``: options → audit → report → exit code.

Everything heavy is imported within the commands: ``--help``, ``--version`` and a mistyped option
cost no NumPy, no mpmath and no rich.
"""

from xentcheck.cli import check, compare, init, lists, probe, report, run, schema
from xentcheck.cli.entry import cli, main

__all__ = [
    "check",
    "cli",
    "compare",
    "init",
    "lists",
    "main",
    "probe",
    "report",
    "run",
    "schema",
]
