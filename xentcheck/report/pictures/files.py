"""Figures as files, for papers and pull requests."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import vl_convert

from xentcheck.errors import UsageError
from xentcheck.report.pictures.figures import Figure
from xentcheck.report.words.files import free_name

_SCALE = 2  # pixels of a PNG per point
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 120  # characters; file systems take 255 bytes


@dataclass(frozen=True, slots=True)
class SavedFigure:
    """A figure that was saved: its two files, and what it shows."""

    svg: Path
    png: Path
    says: str


def save(figures: Iterable[Figure], folder: Path) -> list[SavedFigure]:
    """Write figures as SVG and PNG.

    Their names become names of files: what could mean something to a shell or a file system is
    ``_`` there. No two figures have one file.

    Raises:
        UsageError: a file cannot be written.
    """
    saved: list[SavedFigure] = []
    taken: set[str] = set()
    for figure in figures:
        name = free_name(_UNSAFE.sub("_", figure.name)[:_LONGEST_NAME], taken)
        svg = vl_convert.vegalite_to_svg(figure.draw().to_dict())
        made = SavedFigure(folder / f"{name}.svg", folder / f"{name}.png", figure.says)
        _write(made.svg, svg.encode("utf-8"))
        _write(made.png, vl_convert.svg_to_png(svg, scale=_SCALE))
        saved.append(made)
    return saved


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
