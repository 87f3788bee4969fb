"""The command ``xentcheck``: options → audit → report → exit code.

Everything heavy is imported within the commands: ``--help``, ``--version`` and a mistyped option
cost no NumPy, no mpmath and no rich.
"""

from xentcheck.cli import check, compare, listing, probe, run, saved, schema
from xentcheck.cli.door import cli, main

__all__ = ["check", "cli", "compare", "listing", "main", "probe", "run", "saved", "schema"]
