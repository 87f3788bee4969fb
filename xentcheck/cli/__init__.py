"""The command ``xentcheck``: reads options, runs an audit, writes a report, sets the exit status.

A command's module is imported when it is called or `--help` lists it. The commands import heavy
packages only when they run. So ``--help``, ``--version`` and a mistyped option do not import NumPy,
mpmath or rich.
"""

from xentcheck.cli.entry import cli, main

__all__ = ["cli", "main"]
