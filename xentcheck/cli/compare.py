"""`xentcheck compare`: shows what is better or worse in the second of two reports."""

# ruff: noqa: PLC0415

import math
from collections.abc import Mapping, Sequence

import click

from xentcheck.cli.entry import NOTHING_AUDITED, VIOLATIONS, WITHIN_LIMITS, cli, complain
from xentcheck.cli.opening import open_option
from xentcheck.cli.output import Delivery
from xentcheck.errors import UsageError

FORMATS = ("table", "markdown", "html", "json")
SUFFIXES: Mapping[str, str] = {
    ".txt": "table",
    ".md": "markdown",
    ".html": "html",
    ".json": "json",
}


@cli.command(short_help="Tell what has become better or worse between two reports.")
@click.argument("base", metavar="BASE.json")
@click.argument("head", metavar="HEAD.json")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="table (the default), markdown (a comment on a pull request), html (a page) or json; "
    "repeatable.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Where the format goes (repeatable, in the order of --format; - is stdout).",
)
@open_option
@click.option(
    "--slack",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="RATIO",
    help="The relative change of an error in ulps that counts as none, such as 0.01; 0 unless "
    "set: on one machine the same seed gives the same report. Two machines may differ.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="auto: on a terminal or with FORCE_COLOR, unless NO_COLOR is set.",
)
def compare(
    base: str,
    head: str,
    formats: Sequence[str],
    outputs: Sequence[str],
    slack: float,
    color: str,
) -> int:
    """Tell what has become better or worse from one report to another. Status 1: something worse.

    A cell is a loss, an implementation, a dtype, a quantity and a sweep. It is worse where a kind
    of fault has come, or is on a larger share of the rows, or is off by more ulps; and where its
    largest error has grown. Cells that only HEAD has are new, those that only BASE has are gone;
    neither is worse.

    \b
    Examples:
      xentcheck run gate.yaml --format json --output head.json
      xentcheck compare base.json head.json
      xentcheck compare base.json head.json --output - --format markdown --output comment.md
    """
    delivery = Delivery.planned(formats, outputs, color, SUFFIXES)
    from xentcheck.gate.comparison import compare as compared_with
    from xentcheck.gate.comparison import nothing_shared
    from xentcheck.model import Standing
    from xentcheck.report import document

    if not math.isfinite(slack):
        raise UsageError(f"--slack {slack}: has to be a number such as 0.01")
    before, after = document.read_all(base, head)
    compared = compared_with(before, after, slack)

    def render(form: str, width: int, *, color: bool, **_: object) -> str:
        names = (base, head)
        if form == "markdown":
            from xentcheck.report.comparison import markdown

            return markdown.render(compared, names)
        if form == "html":
            from xentcheck.report.comparison import html

            return html.render(compared, names)
        if form == "json":
            from xentcheck.report.comparison.document import to_json

            return to_json(compared, names)
        from xentcheck.report.comparison import table

        return table.render(compared, names, width, color=color)

    delivery.deliver(render)
    if not compared.shared:
        complain("nothing was compared", nothing_shared(compared))
        return NOTHING_AUDITED
    return VIOLATIONS if compared.tally[Standing.WORSE] else WITHIN_LIMITS
