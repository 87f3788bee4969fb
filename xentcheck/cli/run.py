"""`xentcheck run`: audits what a configuration describes."""

# ruff: noqa: PLC0415

from collections.abc import Sequence
from dataclasses import replace

import click

from xentcheck.cli.audit import run_audit
from xentcheck.cli.baseline import Keeping
from xentcheck.cli.completion import completing, implementation_names
from xentcheck.cli.entry import cli
from xentcheck.cli.opening import plots_option
from xentcheck.cli.options import (
    READING,
    allow_skips_option,
    detail_from,
    detailed,
    diagnosis_option,
    no_cache_option,
    ranges_option,
    reporting,
    timeout_option,
    witnesses_option,
    workers_option,
)
from xentcheck.cli.output import Delivery


@cli.command(short_help="Audit what a configuration says.", epilog=READING)
@click.argument("config", metavar="CONFIG")
@reporting
@click.option(
    "--select",
    multiple=True,
    metavar="PATTERN",
    shell_complete=completing(implementation_names),
    help="Audit only implementations whose name matches, such as 'numpy.*' (repeatable).",
)
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the configuration's seed.")
@click.option(
    "--baseline",
    metavar="FILE",
    help="What is tolerated today, instead of the configuration's: fail on what is new or worse.",
)
@click.option(
    "--write-baseline",
    metavar="FILE",
    help="Tolerate from now on what is there today; other platforms' entries stay.",
)
@click.option("--ratchet", is_flag=True, help="Tighten the baseline where results improved.")
@click.option(
    "--fail-on-stale",
    is_flag=True,
    help="Exit with 1 also where the baseline tolerates what is not there any more.",
)
@click.option(
    "--slack",
    type=click.FloatRange(min=0),
    metavar="RATIO",
    help="The relative change of what a baseline tolerates that counts as none. Unless set, 0.01 "
    "on the processor that it was recorded on, and on another one 8 times the ulps, half as many "
    "rows again and 3 rows.",
)
@allow_skips_option
@plots_option()
@ranges_option
@witnesses_option
@workers_option
@timeout_option
@no_cache_option
@diagnosis_option
@detailed
def run(
    config: str,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
    select: Sequence[str],
    seed: int | None,
    baseline: str | None,
    write_baseline: str | None,
    ratchet: bool,
    fail_on_stale: bool,
    slack: float | None,
    allow_skips: bool,
    ranges: bool,
    witnesses: str,
    workers: int | None,
    timeout_s: float | None,
    diagnosis: bool,
    verbose: int,
    quiet: bool,
) -> int:
    """Audit what a configuration says: many implementations on declared inputs.

    Without limits in CONFIG this is a survey, which reports everything and exits 0; with limits, or
    with a baseline, it is a gate.

    \b
    Examples:
      xentcheck run configs/sweep.yaml
      xentcheck run configs/gate.yaml --format table --output - --format json --output report.json
      xentcheck run configs/sweep.yaml --select 'numpy.accurate'
      xentcheck run configs/sweep.yaml --output summary.md --plots figures
      xentcheck run gate.yaml --write-baseline baseline.yaml
      xentcheck run gate.yaml --baseline baseline.yaml --format junit --output report.xml
    """
    delivery = Delivery.planned(formats, outputs, color)
    detail = detail_from(verbose, quiet)
    from xentcheck.config import load

    loaded = load(config)
    config_ = loaded if seed is None else replace(loaded, seed=seed)
    config_ = replace(config_, allow_skips=config_.allow_skips or allow_skips)
    keeping = Keeping.planned(
        config_, baseline, write_baseline, ratchet, fail_on_stale, slack, delivery.files
    )
    from xentcheck.auditing.run import Options

    options = Options(
        select=select,
        workers=workers,
        timeout_s=timeout_s,
        sanity_check=True,
        diagnosis=diagnosis,
        ranges=ranges,
    )
    return run_audit(
        config_, delivery, options, keeping=keeping, witnesses=witnesses, detail=detail
    )
