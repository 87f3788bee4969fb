"""The formats of a report, by name: what a file of each is called, and who writes it.

Nothing is imported before a format is asked for.
"""

# ruff: noqa: PLC0415

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xentcheck.model import Report

NAMES = ("table", "json", "csv", "junit", "sarif", "markdown", "github", "atlas")
SUFFIXES: Mapping[str, str] = {
    ".json": "json",
    ".txt": "table",
    ".csv": "csv",
    ".xml": "junit",
    ".sarif": "sarif",
    ".md": "markdown",
}
"""The format of a file whose format is not said, by how its name ends."""


def rendered(report: "Report", form: str, width: int, *, color: bool = False) -> str:
    """A report as text in one of the formats `NAMES`.

    ``width`` and ``color`` are for people: only the table minds them.
    """
    match form:
        case "json":
            from xentcheck.report import document

            return document.to_json(report)
        case "csv":
            from xentcheck.report.formats import csv

            return csv.render(report)
        case "junit":
            from xentcheck.report.formats import junit

            return junit.render(report)
        case "sarif":
            from xentcheck.report.formats import sarif

            return sarif.render(report, Path.cwd())
        case "markdown":
            from xentcheck.report.formats import markdown

            return markdown.render(report)
        case "github":
            from xentcheck.report.formats import github

            return github.render(report, Path.cwd())
        case "atlas":
            from xentcheck.report.formats import atlas

            return atlas.render(report, datetime.now().astimezone().date().isoformat())
        case "table":
            from xentcheck.report.formats import table

            return table.render(report, width, color=color)
    raise ValueError(form)
