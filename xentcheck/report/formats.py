"""The formats of a report, by name: what a file of each is called, and who writes it.

Nothing is imported before a format is asked for.
"""

# ruff: noqa: PLC0415

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xentcheck.model import Report

NAMES = ("table", "json", "atlas")
SUFFIXES: Mapping[str, str] = {".json": "json", ".txt": "table", ".md": "atlas"}
"""The format of a file whose format is not said, by how its name ends."""


def rendered(report: "Report", form: str, width: int, *, color: bool = False) -> str:
    """A report as text in one of the formats `NAMES`.

    ``width`` and ``color`` are for people: only the table minds them.
    """
    match form:
        case "json":
            from xentcheck.report import document

            return document.to_json(report)
        case "atlas":
            from xentcheck.report import atlas

            return atlas.render(report, datetime.now().astimezone().date().isoformat())
        case "table":
            from xentcheck.report import table

            return table.render(report, width, color=color)
    raise ValueError(form)
