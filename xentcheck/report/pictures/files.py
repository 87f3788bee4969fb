"""Figures as files, for papers and pull requests."""

import re
from pathlib import Path

import vl_convert

from xentcheck.errors import UsageError
from xentcheck.model import Report
from xentcheck.report.pictures.figures import all_figures

_SCALE = 2  # pixels of a PNG per point
_UNSAFE = re.compile(r"[^\w.-]+")


def save(report: Report, folder: Path) -> list[Path]:
    """Write every figure of a report as SVG and PNG. Returns the files.

    Raises:
        UsageError: a file cannot be written.
    """
    written = []
    for name, chart in all_figures(report):
        specification = chart.to_dict()
        svg = vl_convert.vegalite_to_svg(specification)
        png = vl_convert.svg_to_png(svg, scale=_SCALE)
        for suffix, content in ((".svg", svg.encode("utf-8")), (".png", png)):
            path = folder / f"{_UNSAFE.sub('_', name)}{suffix}"
            try:
                path.write_bytes(content)
            except OSError as error:
                raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
            written.append(path)
    return written
