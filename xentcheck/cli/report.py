"""`xentcheck report`: shows a saved report again or writes it in another format."""

# ruff: noqa: PLC0415

import functools
from collections.abc import Sequence

import click

from xentcheck.cli.audit import status_of
from xentcheck.cli.entry import cli
from xentcheck.cli.opening import plots_option
from xentcheck.cli.options import READING, detail_from, detailed, reporting
from xentcheck.cli.output import Delivery, figures_of
from xentcheck.report.formats import rendered


@cli.command(short_help="Show a saved report, or write it in another format.", epilog=READING)
@click.argument("results", metavar="RESULTS.json")
@detailed
@reporting
@plots_option()
def report(
    results: str,
    verbose: int,
    quiet: bool,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
) -> int:
    """Show a saved report, or write it in other formats. The status is that of the run.

    RESULTS.json is what run, check or probe wrote with --format json.

    \b
    Examples:
      xentcheck report results.json
      xentcheck report results.json --format markdown --output summary.md
      xentcheck report results.json --open
      xentcheck report results.json --output summary.md --plots figures
    """
    delivery = Delivery.planned(formats, outputs, color)
    detail = detail_from(verbose, quiet)
    from xentcheck.report import document

    saved = document.read(results)
    delivery.deliver(functools.partial(rendered, saved, detail=detail), figures_of(saved))
    return status_of(saved)
