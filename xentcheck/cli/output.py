"""Delivers reports in their formats to files and the terminal."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from xentcheck.cli.entry import note
from xentcheck.cli.opening import opens, plots, show
from xentcheck.cli.stdout import emit, width_of
from xentcheck.errors import UsageError
from xentcheck.report.formats import FORMATS, NAMES, SUFFIXES
from xentcheck.report.illustration import Picture

if TYPE_CHECKING:
    from xentcheck.model import ProbeResult, Report
    from xentcheck.report.pictures.figures import Figure
    from xentcheck.report.pictures.files import SavedFigure

_STDOUT = ("-", "/dev/stdout")


class Render(Protocol):
    """Returns a report as text in a format, for a width in columns, with pictures."""

    def __call__(
        self, form: str, width: int, *, color: bool, pictures: Sequence[Picture]
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class _Destination:
    """One format and its destination. ``path`` None is standard output."""

    format: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The destinations of a report, checked before the work starts.

    Attributes:
        destinations: the formats and their files.
        color: ``auto``, ``always`` or ``never``.
        opened: the page to show in the browser; None: none.
        plots: the folder of the figures; None: none are made.
    """

    destinations: tuple[_Destination, ...]
    color: str
    opened: Path | None = None
    plots: Path | None = None

    @property
    def files(self) -> tuple[Path | None, ...]:
        """The files of the formats; None is standard output."""
        return tuple(each.path for each in self.destinations)

    @staticmethod
    def planned(
        formats: Sequence[str],
        outputs: Sequence[str],
        color: str,
        suffixes: Mapping[str, str] = SUFFIXES,
    ) -> "Delivery":
        """The delivery for these options: format i goes to output i.

        Args:
            formats: the formats of ``--format``; for a missing one, the file's suffix decides.
            outputs: the files of ``--output``; a missing one is standard output.
            color: ``auto``, ``always`` or ``never``.
            suffixes: the format by file suffix.

        Raises:
            UsageError: an output could not be written, two formats have the same output, or what
                a format needs is not installed.
        """
        pairs = []
        for i in range(max(len(formats), len(outputs), 1)):
            output = outputs[i] if i < len(outputs) else "-"
            path = None if output in _STDOUT else writable(output)
            pairs.append(_Destination(_format(formats, i, path, suffixes), path))
        paths = [pair.path for pair in pairs]
        for path in paths:
            if paths.count(path) > 1:
                place = "standard output" if path is None else str(path)
                message = (
                    f"two formats would go to {place}\n"
                    "    help: the first --format goes to the first --output, and so on; "
                    "--output - is standard output"
                )
                raise UsageError(message)
        page = None
        if opens():
            pages = [pair.path for pair in pairs if pair.format == "html" and pair.path is not None]
            page = pages[0] if pages else _temporary_page()
            if not pages:
                pairs.append(_Destination("html", page))
        if any(pair.format == "html" for pair in pairs):
            from xentcheck.report.extras import require_html  # noqa: PLC0415

            require_html("--open" if page is not None else "the format html")
        return Delivery(tuple(pairs), color, page, plots())

    def deliver(self, render: Render, figures: "Iterable[Figure]" = ()) -> None:
        """Write the result of ``render(format, width, …)`` to every destination.

        The figures are saved if they are asked for. Formats that show them come after that; all
        others come before, because drawing takes time. If figures cannot be saved, every format is
        written all the same, without pictures.
        """
        waiting = [each for each in self.destinations if self._waits(each)]
        for destination in self.destinations:
            if destination not in waiting:
                self._write(destination, render)
        saved: Sequence[SavedFigure] = ()
        try:
            saved = self._saved(figures)
        finally:
            for destination in waiting:
                self._write(destination, render, saved)
        if self.opened is not None:
            show(self.opened)

    def _waits(self, destination: _Destination) -> bool:
        """Whether a format is written after the figures, because it shows them."""
        form = FORMATS.get(destination.format)
        return self.plots is not None and form is not None and form.illustrated

    def _write(
        self, destination: _Destination, render: Render, saved: "Sequence[SavedFigure]" = ()
    ) -> None:
        form, path = destination.format, destination.path
        folder = Path() if path is None else path.parent
        pictures = [Picture(address(each.svg, folder), each.says) for each in saved]
        if path is not None:
            write(path, render(form, width_of(False), color=False, pictures=pictures))
            return
        terminal = sys.stdout is not None and sys.stdout.isatty()
        color = self._colored(terminal)
        emit(render(form, width_of(terminal), color=color, pictures=pictures))

    def _saved(self, figures: "Iterable[Figure]") -> "Sequence[SavedFigure]":
        """Save the figures, if they are asked for."""
        if self.plots is None:
            return ()
        from xentcheck.report.pictures.files import save  # noqa: PLC0415

        saved = save(figures, self.plots)
        note(f"{self.plots}: {2 * len(saved):,} files of figures")
        return saved

    def _colored(self, terminal: bool) -> bool:
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        if os.environ.get("FORCE_COLOR", "").lower() not in ("", "0", "false"):
            return True  # for logs that show colours but are not terminals
        return terminal and os.environ.get("TERM") != "dumb"


def figures_of(report: "Report") -> "Iterator[Figure]":
    """The figures of a report. Nothing is imported or drawn before the first is taken."""
    from xentcheck.report.pictures.figures import all_figures  # noqa: PLC0415

    yield from all_figures(report)


def figures_of_probe(result: "ProbeResult") -> "Iterator[Figure]":
    """The figures of a probe, likewise."""
    from xentcheck.report.pictures.probe import probe_figures  # noqa: PLC0415

    yield from probe_figures(result)


def address(file: Path, folder: Path) -> str:
    """The address of a file in a text that lies in a folder, percent-encoded.

    It is relative, by the names of the folders as they are written: links are not resolved, for
    whoever opens the text goes the same way. On another drive it is absolute.
    """
    place = os.path.abspath(file)
    try:
        relative = PurePath(os.path.relpath(place, os.path.abspath(folder)))
    except ValueError:
        return Path(place).as_uri()
    return quote(os.fsencode(relative.as_posix()))


def _temporary_page() -> Path:
    """A new file for a page that nobody asked to keep."""
    from tempfile import mkdtemp  # noqa: PLC0415

    return Path(mkdtemp(prefix="xentcheck-")) / "report.html"


def _format(
    formats: Sequence[str], position: int, path: Path | None, suffixes: Mapping[str, str]
) -> str:
    if position < len(formats):
        return formats[position]
    if path is None:
        return "table"
    if path.suffix not in suffixes:
        known = NAMES if suffixes is SUFFIXES else dict.fromkeys(suffixes.values())
        raise UsageError(
            f"no format is given for {path}\n    help: add --format {' or '.join(known)}"
        )
    return suffixes[path.suffix]


def writable(output: str, option: str = "--output") -> Path:
    """The path, if it can be written to.

    Raises:
        UsageError: it cannot be written to. The message names ``option``, unless that is "".
    """
    path = Path(output)
    output = f"{option} {output}".lstrip()
    if path.is_dir():
        raise UsageError(f"{output} is a directory")
    if not path.parent.is_dir():
        message = f"{output}: there is no directory {path.parent}"
        raise UsageError(f"{message}\n    help: mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{output}: permission denied")
    return path


def write(path: Path, text: str) -> None:
    """Write a file atomically: readers never see half of it, and a failure keeps the old file.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, or /dev/null
            path.write_text(text, encoding="utf-8")
            return
        final = path.resolve()
        partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
