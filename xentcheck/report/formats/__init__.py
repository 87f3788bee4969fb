"""The formats of a report, as data: each has a name, a suffix, a writer and a help text.

A new format needs one row in `FORMATS` and one module in this package. A format's module is
imported only when it is used, because the command line builds its help from this table.
"""

# ruff: noqa: PLC0415

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xentcheck.report.detail import Detail
from xentcheck.report.illustration import Picture

if TYPE_CHECKING:
    from xentcheck.model import Report


@dataclass(frozen=True, slots=True)
class Page:
    """How a page looks.

    Attributes:
        width: the largest width of a line, in columns. Only the table asks for it.
        color: whether to use ANSI colours. Only the table asks for it.
        detail: how much is shown. Only the table asks for it.
        pictures: the saved figures. Only formats that are `illustrated` ask for them.
    """

    width: int
    color: bool = False
    detail: Detail = Detail.SCREEN
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        name: its name for ``--format``.
        writer: makes the text of a report.
        suffix: the end of a file name that selects this format; "": no suffix does.
        help: the text after the name in the option's help.
        illustrated: whether it shows the figures that the same run saved.
    """

    name: str
    writer: "Callable[[Report, Page], str]"
    suffix: str = ""
    help: str = ""
    illustrated: bool = False


def _table(report: "Report", page: Page) -> str:
    from xentcheck.report.formats import table

    return table.render(report, page.width, color=page.color, detail=page.detail)


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


def _markdown(report: "Report", page: Page) -> str:
    from xentcheck.report.formats import markdown

    return markdown.render(report, page.pictures)


def _html(report: "Report", _: Page) -> str:
    from xentcheck.report.formats import html

    return html.render(report)


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
        Format("markdown", _markdown, ".md", illustrated=True),
        Format("html", _html, ".html", "a page"),
        Format("github", _github, help="workflow commands"),
        Format("atlas", _atlas),
    )
}
"""Every format, the default first."""

NAMES = tuple(FORMATS)
SUFFIXES: Mapping[str, str] = {each.suffix: each.name for each in FORMATS.values() if each.suffix}
"""The format by file suffix, for files without a given format."""


def listed() -> str:
    """The names of all formats with their help, as an enumeration in a sentence."""
    names = [f"{each.name} ({each.help})" if each.help else each.name for each in FORMATS.values()]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def rendered(
    report: "Report",
    form: str,
    width: int,
    *,
    color: bool = False,
    detail: Detail = Detail.SCREEN,
    pictures: Sequence[Picture] = (),
) -> str:
    """A report as text.

    Args:
        report: the report to write.
        form: one of `NAMES`.
        width: the largest width of a line, in columns; only the table uses it.
        color: whether to use ANSI colours; only the table uses it.
        detail: how much is shown; only the table uses it.
        pictures: the figures that the same run saved; only Markdown shows them.
    """
    return FORMATS[form].writer(report, Page(width, color, detail, pictures))
