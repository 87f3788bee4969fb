"""`xentcheck run`: audit what a configuration says."""

# ruff: noqa: PLC0415

from collections.abc import Sequence
from dataclasses import replace

import click

from xentcheck.cli.delivery import Delivery, run_audit
from xentcheck.cli.door import cli
from xentcheck.cli.options import reporting, timeout_option, workers_option


@cli.command(short_help="Audit what a configuration says.")
@click.argument("config", metavar="CONFIG")
@reporting
@click.option(
    "--select",
    multiple=True,
    metavar="PATTERN",
    help="Audit only implementations whose name matches, such as 'numpy.*' (repeatable).",
)
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the configuration's seed.")
@workers_option
@timeout_option
def run(
    config: str,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
    select: Sequence[str],
    seed: int | None,
    workers: int | None,
    timeout_s: float | None,
) -> int:
    """Audit what a configuration says: many implementations on declared inputs.

    Without limits in CONFIG this is a survey, which reports everything and exits 0; with limits it
    is a gate.

    \b
    Examples:
      xentcheck run configs/sweep.yaml
      xentcheck run configs/gate.yaml --format table --output - --format json --output report.json
      xentcheck run configs/sweep.yaml --select 'numpy.accurate'
    """
    delivery = Delivery.planned(formats, outputs, color)
    from xentcheck.config import load

    loaded = load(config)
    config_ = loaded if seed is None else replace(loaded, seed=seed)
    return run_audit(config_, delivery, select, workers=workers, timeout_s=timeout_s)
