"""`xentcheck init`: writes a commented configuration to start from."""

# ruff: noqa: PLC0415

import shlex

import click

from xentcheck.cli.entry import WITHIN_LIMITS, cli, note
from xentcheck.cli.output import writable, write
from xentcheck.errors import UsageError


@cli.command(short_help="Write a commented configuration to start from.")
@click.argument("path", default="xentcheck.yaml", metavar="[PATH]")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def init(path: str, force: bool) -> int:
    """Write a commented configuration to start from, xentcheck.yaml unless PATH is given.

    \b
    Example:
      xentcheck init && xentcheck run xentcheck.yaml
    """
    destination = writable(path, option="")
    if destination.exists() and not force:
        raise UsageError(f"{path} is already there\n    help: --force overwrites it")
    from xentcheck.config import template

    write(destination, template())
    note(f"wrote {path}; next: xentcheck run {shlex.quote(path)}")
    return WITHIN_LIMITS
