"""`xentcheck list` and `xentcheck init`."""

# ruff: noqa: PLC0415

import shlex
import sys

import click

from xentcheck.cli.delivery import emit, width_of, writable, write
from xentcheck.cli.door import WITHIN_LIMITS, cli, note
from xentcheck.cli.performing import foreign
from xentcheck.errors import UsageError


@cli.command("list", short_help="List losses, implementations, generators or dtypes.")
@click.argument("what", type=click.Choice(["losses", "implementations", "generators", "dtypes"]))
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    help="table (the default) or json.",
)
def list_(what: str, form: str) -> int:
    """List what there is: losses, implementations, generators or dtypes.

    \b
    Examples:
      xentcheck list losses
      xentcheck list implementations --format json
    """
    from xentcheck.report import listing

    with foreign():
        groups, notes = listing.LISTS[what]()
    for each in notes:
        note(f"note: {each}")
    if form == "json":
        emit(listing.to_json(what, groups))
        return WITHIN_LIMITS
    terminal = sys.stdout is not None and sys.stdout.isatty()
    for heading, entries in groups.items():
        emit(listing.to_text(heading, entries, width_of(terminal)))
    return WITHIN_LIMITS


@cli.command(short_help="Write a commented configuration to start from.")
@click.argument("path", default="xentcheck.yaml", metavar="[PATH]")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def init(path: str, force: bool) -> int:
    """Write a commented configuration to start from, xentcheck.yaml unless PATH is given.

    \b
    Example:
      xentcheck init && xentcheck run xentcheck.yaml
    """
    destination = writable(path)
    if destination.exists() and not force:
        raise UsageError(f"{path} is already there\n    help: --force overwrites it")
    from xentcheck.config import TEMPLATE

    write(destination, TEMPLATE)
    note(f"wrote {path}; next: xentcheck run {shlex.quote(path)}")
    return WITHIN_LIMITS
