"""`xentcheck list`: lists losses, implementations, generators, dtypes, kinds, causes or grades."""

# ruff: noqa: PLC0415

import sys
from collections.abc import Sequence

import click

from xentcheck.cli.completion import (
    cause_names,
    completing,
    dtype_names,
    implementation_names,
    kind_names,
    loss_names,
)
from xentcheck.cli.entry import WITHIN_LIMITS, cli, foreign, note
from xentcheck.cli.stdout import emit, width_of
from xentcheck.errors import UsageError

WHAT = (
    "losses",
    "implementations",
    "generators",
    "dtypes",
    "kinds",
    "causes",
    "grades",
    "invariants",
)


def _listed_names(context: click.Context) -> Sequence[str]:
    """The names that complete the argument NAME."""
    what = context.params.get("what")
    if what == "implementations":
        return implementation_names(context)
    if what == "losses":
        return loss_names(context)
    if what == "kinds":
        return kind_names(context)
    if what == "causes":
        return cause_names(context)
    return dtype_names(context) if what == "dtypes" else ()


@cli.command("list", short_help="List losses, implementations, dtypes, kinds, causes, grades …")
@click.argument("what", type=click.Choice(WHAT))
@click.argument("name", default="", metavar="[NAME]", shell_complete=completing(_listed_names))
@click.option(
    "--loss",
    default="",
    metavar="LOSS",
    shell_complete=completing(loss_names),
    help="Of implementations: those of this loss.",
)
@click.option(
    "--framework",
    default="",
    metavar="NAME",
    help="Of implementations: those of this package, such as torch, tensorflow or numpy.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    help="table (the default) or json.",
)
def list_(what: str, name: str, loss: str, framework: str, form: str) -> int:
    """List what there is: losses, implementations, generators, dtypes, kinds, causes or grades.

    NAME shows one of them, a loss with its conventions, a cause with its remedy in NumPy, PyTorch
    and JAX; of implementations it is a pattern.

    \b
    Examples:
      xentcheck list losses
      xentcheck list losses softmax_cross_entropy
      xentcheck list implementations --loss softplus --framework torch
      xentcheck list implementations 'optax.*' --format json
      xentcheck list kinds
      xentcheck list causes absorbed-tail
    """
    if what != "implementations" and (loss or framework):
        option = "--loss" if loss else "--framework"
        raise UsageError(f"{option} goes with `list implementations`")
    from xentcheck.cli import catalogue

    with foreign():
        groups, notes = catalogue.LISTS[what](catalogue.Wanted(name, loss, framework))
    for each in notes:
        note(f"note: {each}")
    if form == "json":
        emit(catalogue.to_json(what, groups))
        return WITHIN_LIMITS
    terminal = sys.stdout is not None and sys.stdout.isatty()
    for heading, entries in groups.items():
        emit(catalogue.to_text(heading, entries, width_of(terminal)))
    return WITHIN_LIMITS
