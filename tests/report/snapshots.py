"""Screens of saved reports at fixed widths, as text files beside the reports.

``python -m tests.report.snapshots --write`` writes them again; nothing else does. Look at the
difference before it is committed: these files are what people see.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from xentcheck.model import Measurement, Profile, ProfileBin, Report
from xentcheck.report import document
from xentcheck.report.detail import Detail
from xentcheck.report.formats import table

FOLDER = Path(__file__).parent / "screens"
REPORTS = ("survey", "gate", "sound")
WIDTHS = (40, 80, 100, 160)
_NAMES = {Detail.SCREEN: "", Detail.CELLS: "-v", Detail.FINDINGS: "-vv"}


def report(name: str) -> Report:
    """A saved report. Cells with a diagnosis have a profile that is made by hand."""
    saved = document.read(FOLDER / f"{name}.json")
    diagnosed = {each.cell for each in saved.diagnoses}
    return replace(
        saved,
        measurements=tuple(
            replace(each, profiles=(profile_of(each),)) if each.cell in diagnosed else each
            for each in saved.measurements
        ),
    )


def profile_of(measurement: Measurement) -> Profile:
    """A profile along the gap: ever more bits are lost, then there are infinities."""
    worst = measurement.max_ulp if measurement.max_ulp > 1 else 1e6
    bins = [
        ProfileBin(4.0 * i, 4.0 * (i + 1), 10, 10 * (i > 3), 0, 10 * (i > 13), worst ** (i / 13))
        for i in range(16)
    ]
    return Profile("gap", tuple(bins))


def screens() -> Iterator[tuple[Path, str]]:
    """Each file with the text that it should have."""
    for name in REPORTS:
        for width in WIDTHS:
            yield FOLDER / f"{name}-{width}.txt", table.render(report(name), width)
        for detail in (Detail.CELLS, Detail.FINDINGS):
            shown = table.render(report(name), 100, detail=detail)
            yield FOLDER / f"{name}-100{_NAMES[detail]}.txt", shown


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    for path, text in screens():
        path.write_text(text, encoding="utf-8")
