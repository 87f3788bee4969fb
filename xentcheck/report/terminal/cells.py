"""The table of all lines of a report, with their numbers, kinds, witnesses and profiles."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from xentcheck.model import Kind, Profile, Report, Witness
from xentcheck.report import words
from xentcheck.report.grid import column_widths, grid_row
from xentcheck.report.lines import UNGRADED, Line, by_loss
from xentcheck.report.terminal.matrix import GRADE_STYLES

_NARROW = 92  # columns; narrower tables omit the 99th percentile and the median
_NARROWEST = 72  # columns; narrower tables omit NaN, inf and the absolute error as well
_WIDE = 150  # columns; tables of this width have columns for other kinds and the witness
_FOLDABLE = {"worst witness": 40, "other kinds": 24, "implementation": 8}  # least widths
_NUMBERS = frozenset({"NaN", "inf", "max ulp", "p99", "median", "max abs"})
_INDENT = 8

_STYLES = {
    "FAIL": "bold red",
    "tolerated": "yellow",
    "ok": "green",
    UNGRADED: "",
    **{str(grade): style for grade, style in GRADE_STYLES.items()},
}


def cell_rows(report: Report, lines: Sequence[Line], width: int) -> Iterator[RenderableType]:
    """The table, grouped by loss.

    Wide terminals have columns for other kinds and the witness. On narrower ones, that text is
    below its line. A single `Table` would squeeze it into one column, so each line is a grid of its
    own, and all grids have the same column widths.
    """
    headers = _headers(width, gated=report.gated)
    widths = column_widths(headers, [_cells(line, headers) for line in lines], width, _FOLDABLE)
    profiles = _profiles(report)
    for loss, group in by_loss(lines):
        yield Text(words.clean(loss), style="bold")
        titles = [Text(header, style="dim") for header in headers]
        yield grid_row(titles, headers, widths, _NUMBERS)
        for line in group:
            yield grid_row(_cells(line, headers), headers, widths, _NUMBERS)
            told = [_below(line, headers)] if width < _WIDE else []
            told.append(_profile(line, profiles, width))
            for text in filter(None, told):
                yield Padding(Text(text, style="dim"), (0, 0, 0, min(_INDENT, width // 10)))
        yield Text()


def _headers(width: int, *, gated: bool) -> tuple[str, ...]:
    head = (*(("verdict",) if gated else ()), "grade", "implementation", "dtype", "quantity")
    if width < _NARROWEST:
        return (*head, "max ulp")
    percentiles = ("p99", "median") if width >= _NARROW else ()
    more = ("other kinds", "worst witness") if width >= _WIDE else ()
    return (*head, "NaN", "inf", "max ulp", *percentiles, "max abs", *more)


def _cells(line: Line, headers: Sequence[str]) -> list[Text]:
    texts = {
        "verdict": Text(line.verdict, style=_STYLES[line.verdict]),
        "grade": Text(line.grade or UNGRADED, style=_STYLES[line.grade or UNGRADED]),
        "implementation": Text(words.clean(line.implementation)),
        "dtype": Text(line.dtype),
        "quantity": Text(line.quantity),
        "NaN": Text(_count(line.counts.get(Kind.NAN, 0))),
        "inf": Text(_count(line.counts.get(Kind.SPURIOUS_OVERFLOW, 0))),
        "max ulp": Text(words.ulps(line.max_ulp)),
        "p99": Text(words.ulps(line.p99_ulp)),
        "median": Text(words.ulps(line.median_ulp)),
        "max abs": Text(words.scientific(line.max_abs)),
        "other kinds": Text(_other_kinds(line, _COUNTED)),
        "worst witness": Text(_witness(line.witness)),
    }
    return [texts[header] for header in headers]


_COUNTED = (Kind.NAN, Kind.SPURIOUS_OVERFLOW)
"""The kinds with a column."""


def _below(line: Line, headers: Sequence[str]) -> str:
    witness = _witness(line.witness) if line.faulty else ""
    kinds = _other_kinds(line, _COUNTED if "NaN" in headers else ())
    return " · ".join(part for part in (line.met, kinds, witness) if part)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _other_kinds(line: Line, counted: Sequence[Kind]) -> str:
    """The kinds without a column, and the dtype of the result if it differs from the line's."""
    others = dict(line.counts)
    for kind in counted:
        others.pop(kind, None)
    parts = [words.kinds(others)]
    if Kind.FTZ in others and line.max_normal_ulp != line.max_ulp:
        parts.append(f"{words.ulps(line.max_normal_ulp)} ulp without ftz")
    if line.negative_zeros:
        parts.append(f"−0 for 0 {line.negative_zeros:,}")
    if line.result_dtypes not in ((), (line.dtype,)):
        parts.append(f"scored as {', '.join(line.result_dtypes)}")
    return ", ".join(part for part in parts if part)


def _witness(witness: Witness | None) -> str:
    if witness is None:
        return ""
    return f"{words.input_text(witness)} → {words.outcome_text(witness)}"


_Place = tuple[str, ...]


def _profiles(report: Report) -> Mapping[_Place, list[Profile]]:
    """The profiles of each line, over its sweeps."""
    found: dict[_Place, list[Profile]] = {}
    for measurement in report.measurements:
        found.setdefault(measurement.cell.line, []).extend(measurement.profiles)
    return found


def _profile(line: Line, profiles: Mapping[_Place, list[Profile]], width: int) -> str:
    """The profile of a line that says the most, as a chart; "" without one."""
    place = (line.loss, line.implementation, line.dtype, line.quantity)
    chosen = words.telling(profiles.get(place, []))
    if chosen is None:
        return ""
    dtype = next(iter(line.result_dtypes), line.dtype)
    return words.profile_text(chosen, dtype, words.chart_columns(width))
