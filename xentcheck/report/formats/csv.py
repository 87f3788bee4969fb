"""Writes a report as CSV: a row per cell, a column per number and kind, with the worst witness.

A missing value is an empty field and an infinity is ``inf``, so that data-frame libraries and
spreadsheets read numbers as numbers. The columns are always the same.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from xentcheck.model import Cell, Finding, Kind, Measurement, Report, Violation
from xentcheck.report import words
from xentcheck.report.lines import grade_of, verdict

_CELL = (
    "verdict",
    "loss",
    "implementation",
    "dtype",
    "quantity",
    "sweep",
    "grade",
    "rows",
    "scored",
)
_NUMBERS = (
    "max_ulp",
    "max_normal_ulp",
    "p99_ulp",
    "median_ulp",
    "max_abs",
    "max_norm",
    "max_excess_bits",
    "negative_zeros",
)
_GATE = ("violations", "tolerated", "limit")
_WITNESS = (
    "kind",
    "input",
    "actual",
    "expected",
    "exact",
    "result_dtype",
    "ulp_error",
    "abs_error",
    "detail",
    "replay",
    "file",
    "line",
)
COLUMNS = (*_CELL, *_NUMBERS, *map(str, Kind), *_GATE, *_WITNESS)
"""The names of the columns, in order. A column named after a kind counts the rows of that kind."""


def render(report: Report) -> str:
    """The report as CSV with a header line. Lines end in a newline; texts are quoted if needed."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        writer.writerow({name: _field(value) for name, value in row.items()})
    return file.getvalue()


def rows(report: Report) -> list[dict[str, Any]]:
    """One row per cell. It maps each of `COLUMNS` to a number, a text, or None for no value."""
    found: dict[Cell, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[finding.cell].append(finding)
    violated = _by_cell(report.violations)
    tolerated = _by_cell(report.tolerated)
    measured = {measurement.cell: measurement for measurement in report.measurements}
    made = []
    for cell in dict.fromkeys([*measured, *found, *violated, *tolerated]):
        findings = found[cell] or [each.finding for each in violated[cell] + tolerated[cell]]
        counts = _counts(measured.get(cell), findings)
        grade = grade_of([measured[cell]] if cell in measured else [], found[cell])
        failing, known = bool(violated[cell]), bool(tolerated[cell])
        row = {
            "verdict": verdict(report, grade, failing=failing, tolerated=known),
            "loss": cell.loss,
            "implementation": cell.implementation,
            "dtype": cell.dtype,
            "quantity": str(cell.quantity),
            "sweep": cell.sweep,
            **_numbers(measured.get(cell)),
            **{str(kind): counts.get(kind, 0) for kind in Kind},
            "violations": len(violated[cell]),
            "tolerated": len(tolerated[cell]),
            "limit": "; ".join(each.limit for each in violated[cell]),
            **_witness(report, cell, measured.get(cell), violated[cell], findings),
        }
        made.append({name: _plain(row.get(name)) for name in COLUMNS})
    return made


def _by_cell(violations: Iterable[Violation]) -> dict[Cell, list[Violation]]:
    cells: dict[Cell, list[Violation]] = defaultdict(list)
    for violation in violations:
        cells[violation.finding.cell].append(violation)
    return cells


def _counts(measurement: Measurement | None, findings: Iterable[Finding]) -> dict[Kind, int]:
    counts = dict(measurement.counts) if measurement else {}
    for finding in findings:
        counts.setdefault(finding.kind, finding.rows)
    return counts


def _numbers(measurement: Measurement | None) -> Mapping[str, Any]:
    if measurement is None:
        return {}
    errors = {name: getattr(measurement, name) for name in _NUMBERS}
    empty = {name: "" for name, value in errors.items() if value is None or math.isnan(value)}
    grade = "" if measurement.grade is None else str(measurement.grade)
    return {
        "grade": grade,
        "rows": measurement.rows,
        "scored": measurement.scored,
        **errors,
        **empty,
    }


def _witness(
    report: Report,
    cell: Cell,
    measurement: Measurement | None,
    violations: Iterable[Violation],
    findings: Iterable[Finding],
) -> Mapping[str, Any]:
    """The witness columns: the gravest violation, else the gravest finding, else the worst row."""
    gravest = min(
        [each.finding for each in violations] or findings, key=words.severity, default=None
    )
    witness = gravest.witness if gravest else measurement.witness if measurement else None
    row: dict[str, Any] = {}
    if gravest is not None:
        row |= {"kind": str(gravest.kind), "detail": gravest.detail or gravest.hint}
        row["replay"] = words.shell(words.replay_command(report, gravest))
    if witness is not None:
        row |= {"input": words.input_text(witness), "result_dtype": witness.result_dtype}
        if witness.scored is not None:
            row |= {
                "actual": witness.actual,
                "expected": witness.expected,
                "exact": witness.exact,
                "ulp_error": "" if math.isnan(witness.ulp_error) else witness.ulp_error,
                "abs_error": "" if math.isnan(witness.abs_error) else witness.abs_error,
            }
    if (where := words.location(report, cell)) is not None:
        row["file"], row["line"] = where
    return row


def _plain(value: Any) -> Any:
    """None for an empty text, and a Python float for a NumPy one."""
    if isinstance(value, float):
        return float(value)
    return None if value == "" else value


def _field(value: Any) -> Any:
    """A CSV field: a float as the shortest text that reads back the same; text without controls."""
    if isinstance(value, float):
        return repr(float(value))
    return words.clean(value) if isinstance(value, str) else value
