"""Findings → the JSON document."""

import json
import math
from collections.abc import Mapping
from typing import Any

from benchmarks.findings import Figure, Findings
from benchmarks.timing import Times

SCHEMA_VERSION = 1


def to_json(environment: Mapping[str, Any], found: Mapping[str, Findings], *, quick: bool) -> str:
    """The document as text, with all subjects measured so far."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "quick": quick,
        "environment": dict(environment),
        "subjects": {name: _subject(findings) for name, findings in found.items()},
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _subject(findings: Findings) -> dict[str, Any]:
    return {
        "figures": [_figure(each) for each in findings.figures],
        "times": [_times(each) for each in findings.times],
        "measured": findings.measured,
        "notes": findings.notes,
        "missing": findings.missing,
        "failure": findings.failure,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    written: dict[str, Any] = {
        "place": figure.place,
        "name": figure.name,
        "unit": figure.unit,
        "value": _number(figure.value),
        "low": _number(figure.low),
        "high": _number(figure.high),
    }
    if figure.target is not None:
        bound = "at_most" if figure.target.at_most else "at_least"
        written |= {"target": {bound: figure.target.bound}, "met": figure.met}
    return written


def _times(times: Times) -> dict[str, Any]:
    return {
        "name": times.name,
        "amount": times.amount,
        "unit": times.unit,
        "seconds": list(times.seconds),
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
