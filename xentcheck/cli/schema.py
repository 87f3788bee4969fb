"""`xentcheck schema`: the JSON Schemas of what is read and written."""

# ruff: noqa: PLC0415

import click

from xentcheck.cli.delivery import emit
from xentcheck.cli.door import WITHIN_LIMITS, cli


@cli.command(short_help="Print the JSON Schema of configurations, reports or baselines.")
@click.argument("what", type=click.Choice(["config", "report", "baseline"]))
def schema(what: str) -> int:
    """Print the JSON Schema of configurations, of reports (--format json) or of baselines.

    An editor that is told of the first completes configurations and says what is wrong in them:
    the first line of the YAML names it, after `# yaml-language-server: $schema=`.

    \b
    Example:
      xentcheck schema config > xentcheck.schema.json
    """
    from xentcheck import schemas

    emit(schemas.text(what))
    return WITHIN_LIMITS
