"""Runs an audit for a command: shows progress, delivers the report, chooses the exit status."""

# ruff: noqa: PLC0415

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xentcheck.cli.baseline import Keeping
from xentcheck.cli.entry import (
    INTERNAL,
    INTERRUPTED,
    NOTHING_AUDITED,
    VIOLATIONS,
    WITHIN_LIMITS,
    complain,
    foreign,
    note,
)
from xentcheck.cli.output import Delivery, figures_of, write
from xentcheck.cli.progress import ProgressDisplay
from xentcheck.errors import INTERNAL_ERROR
from xentcheck.report.detail import Detail
from xentcheck.report.formats import rendered

if TYPE_CHECKING:
    from xentcheck.auditing.run import Options
    from xentcheck.model import Config, Report


def run_audit(
    config: "Config",
    delivery: Delivery,
    options: "Options",
    *,
    keeping: Keeping | None = None,
    witnesses: str = "",
    explain: "Callable[[Report], str] | None" = None,
    detail: Detail = Detail.SCREEN,
) -> int:
    """Audit a configuration and deliver the report.

    Args:
        config: what to audit.
        delivery: the formats and files of the report.
        options: how; baseline, slack and progress are filled in.
        keeping: what to do with the baseline.
        witnesses: the folder for the inputs of findings; "": do not save them.
        explain: returns a remark on the whole report, or "".
        detail: how much the table shows.

    Returns:
        The exit status.
    """
    from xentcheck.auditing.run import audit_config

    keeping = keeping or Keeping()
    baseline = keeping.loaded(config)
    with foreign(), ProgressDisplay() as progress:
        how = replace(options, baseline=baseline, slack=keeping.slack, progress=progress)
        report = audit_config(config, how)
    report, text, told = keeping.taken(report, baseline, config)
    delivery.deliver(functools.partial(rendered, report, detail=detail), figures_of(report))
    if explain is not None:
        with foreign(), ProgressDisplay():
            remark = explain(report)
        if remark:
            note(f"note: {remark}")
    if witnesses:
        from xentcheck.witnesses.archive import save

        with foreign():
            saved = save(report, witnesses, config.sweeps)
        note(f"{witnesses}: {len(saved):,} files of {len(report.findings):,} findings")
    status = status_of(report)
    if told:
        if status in (INTERNAL, INTERRUPTED, NOTHING_AUDITED):
            complain(f"{report.baseline} is left as it was: not everything was audited")
        else:
            note(told)
            if text is not None:
                write(Path(report.baseline), text)
    return status


def status_of(report: "Report") -> int:
    """The exit status of a run. Problems of the whole run are printed to stderr."""
    from xentcheck.gate.outcome import Outcome, outcome, stale
    from xentcheck.report import words

    for death in report.deaths:
        note(death)
    for case in report.uncertified:
        complain(case if case.startswith(INTERNAL_ERROR) else f"not audited: {case}")
    ended = outcome(report)
    if ended is Outcome.INTERRUPTED:
        complain("interrupted: the report has only what was finished until then")
    if ended is Outcome.NOTHING:
        reasons = dict.fromkeys(skip.reason for skip in report.skips)
        text = "; ".join(reasons) or "the configuration has no cases"
        complain("nothing was audited", f"{text}{_remedy(report, text)}")
    if ended is Outcome.FAILED:
        for omission in words.omitted_lines(report):
            remedy = "--allow-skips, or `allow_skips: true` in a configuration, lets it pass"
            complain(f"not audited, though it is named: {omission}", remedy)
        if report.strict and (count := stale(report)):
            entries = "1 entry is" if count == 1 else f"{count} entries are"
            complain(f"{report.baseline}: {entries} stale", "--ratchet takes out what is not there")
    return {
        Outcome.UNCERTIFIED: INTERNAL,
        Outcome.INTERRUPTED: INTERRUPTED,
        Outcome.NOTHING: NOTHING_AUDITED,
        Outcome.FAILED: VIOLATIONS,
        Outcome.PASSED: WITHIN_LIMITS,
    }[ended]


def _remedy(report: "Report", reason: str) -> str:
    """The options to use instead for parameters that the function does not take as arguments."""
    if report.config.get("command") != "check":
        return ""
    given = report.config["parameters"].items()
    refused = [f"--built-in {name}={value}" for name, value in given if f"take {name}" in reason]
    return f"; if it computes with that without an argument: {' '.join(refused)}" if refused else ""
