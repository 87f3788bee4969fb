"""`xentcheck schema`: prints the JSON Schemas of configurations, reports and baselines."""

# ruff: noqa: PLC0415

import json
from typing import TYPE_CHECKING

import click

from xentcheck.cli.entry import WITHIN_LIMITS, cli
from xentcheck.cli.stdout import emit

if TYPE_CHECKING:
    from xentcheck.reading.schema import Schema


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
    emit(json.dumps(_schema(what), indent=2, ensure_ascii=False) + "\n")
    return WITHIN_LIMITS


def _schema(what: str) -> "Schema":
    match what:
        case "config":
            from xentcheck.config.schema import config_schema

            return config_schema()
        case "report":
            from xentcheck.report.document.schema import report_schema

            return report_schema()
    from xentcheck.gate.baseline_schema import baseline_schema

    return baseline_schema()
