"""The formats of a report, as data: a name, a suffix, a writer and a word of help each.

A new format is one row of `FORMATS` and a module beside this one. Nothing is imported before a
format is asked for: the help of the command line is made of this table.
"""

# ruff: noqa: PLC0415

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xentcheck.model import Report


@dataclass(frozen=True, slots=True)
class Page:
    """What a text is written for. Only the table asks for the width in columns and for colour."""

    width: int
    color: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        name: what ``--format`` calls it.
        writer: makes the text of a report.
        suffix: how a file's name ends that is in this format; "": no suffix says so.
        help: what the option's help says behind the name.
    """

    name: str
    writer: "Callable[[Report, Page], str]"
    suffix: str = ""
    help: str = ""


def _table(report: "Report", page: Page) -> str:
    from xentcheck.report.formats import table

    return table.render(report, page.width, color=page.color)


def _json(report: "Report", _: Page) -> str:
    from xentcheck.report import document

    return document.to_json(report)


def _csv(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import csv

    return csv.render(report)


def _junit(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import junit

    return junit.render(report)


def _sarif(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import sarif

    return sarif.render(report, Path.cwd())


def _markdown(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import markdown

    return markdown.render(report)


def _github(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import github

    return github.render(report, Path.cwd())


def _atlas(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import atlas

    return atlas.render(report, datetime.now().astimezone().date().isoformat())


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("table", _table, ".txt", "the default"),
        Format("json", _json, ".json"),
        Format("csv", _csv, ".csv"),
        Format("junit", _junit, ".xml", "XML"),
        Format("sarif", _sarif, ".sarif"),
        Format("markdown", _markdown, ".md"),
        Format("github", _github, help="workflow commands"),
        Format("atlas", _atlas),
    )
}
"""Every format, the default first."""

NAMES = tuple(FORMATS)
SUFFIXES: Mapping[str, str] = {each.suffix: each.name for each in FORMATS.values() if each.suffix}
"""The format of a file whose format is not given, by how its name ends."""


def listed() -> str:
    """The names of all formats with their help, as a sentence has them."""
    names = [f"{each.name} ({each.help})" if each.help else each.name for each in FORMATS.values()]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def rendered(report: "Report", form: str, width: int, *, color: bool = False) -> str:
    """A report as text in one of the formats `NAMES`."""
    return FORMATS[form].writer(report, Page(width, color))
