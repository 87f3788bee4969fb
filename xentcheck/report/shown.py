"""How reports and probes look: what their methods show.

`model` calls this from within the methods of `Report` and `ProbeResult`. It is the only import
from below to above: a report in hand has to print itself.
"""

import os
from pathlib import Path
from typing import Any

from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.model import ProbeResult, Report
from xentcheck.report import formats
from xentcheck.report.verdict import State, verdict_of

WIDTH = 100
"""Columns of a table as text."""


def passed(report: Report) -> bool:
    """Whether a run has passed, by its verdict."""
    return verdict_of(report).state is State.PASSED


def rows(report: Report) -> list[dict[str, Any]]:
    """The cells of a report, one mapping each."""
    from xentcheck.report.formats import csv  # noqa: PLC0415

    return csv.rows(report)


def text(report: Report, form: str) -> str:
    """A report in one of the formats."""
    return formats.rendered(report, form, WIDTH)


def html(report: Report) -> str:
    """A report as notebooks show it."""
    from xentcheck.report import notebook  # noqa: PLC0415

    return notebook.of_report(report)


def plot(report: Report, figure: str, **chosen: Any) -> Any:
    """A figure of a report as a chart of Altair."""
    from xentcheck.report.extras import require_html  # noqa: PLC0415

    require_html("a figure")
    from xentcheck.report.pictures import figures  # noqa: PLC0415

    return figures.figure(report, figure, **chosen)


def save(report: Report, path: str | os.PathLike[str], form: str | None) -> None:
    """Write a report to a file, in the format of its suffix or in ``form``."""
    suffix = Path(path).suffix
    if form is None and suffix not in formats.SUFFIXES:
        known = ", ".join(formats.SUFFIXES)
        raise UsageError(f"{os.fspath(path)!r} has no suffix of a format: {known}; or give form=")
    name = formats.SUFFIXES[suffix] if form is None else form
    if name not in formats.NAMES:
        raise UnknownNameError("format", name, formats.NAMES)
    Path(path).write_text(text(report, name), encoding="utf-8")


def probe_text(result: ProbeResult) -> str:
    """A probe as `xentcheck probe` prints it."""
    from xentcheck.report.grid import to_text  # noqa: PLC0415
    from xentcheck.report.probe import render_probe  # noqa: PLC0415

    notes = "".join(f"note: {each}\n" for each in result.notes)
    return notes + to_text(render_probe(result, WIDTH), WIDTH, color=False)


def probe_plot(result: ProbeResult, **chosen: Any) -> Any:
    """The errors of a probe as a chart of Altair."""
    from xentcheck.report.extras import require_html  # noqa: PLC0415

    require_html("a figure")
    from xentcheck.report.pictures import probe  # noqa: PLC0415

    return probe.probe_figure(result, **chosen)


def probe_html(result: ProbeResult) -> str:
    """A probe as notebooks show it."""
    from xentcheck.report import notebook  # noqa: PLC0415

    return notebook.of_probe(result)


def save_probe(result: ProbeResult, path: str | os.PathLike[str], form: str | None) -> None:
    """Write the report of a probe to a file; the table is that of the probe."""
    if form == "table" or (form is None and Path(path).suffix == ".txt"):
        Path(path).write_text(probe_text(result), encoding="utf-8")
        return
    save(result.report, path, form)
