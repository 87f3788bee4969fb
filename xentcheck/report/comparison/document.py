"""Writes a comparison as a JSON document with its own schema."""

import json
from typing import Any

from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.comparison import ORDER, Comparison, Difference, Pair, Side
from xentcheck.gate.extent import Extent
from xentcheck.model import Report, Standing
from xentcheck.reading.json import number, plain
from xentcheck.report import words
from xentcheck.report.comparison.pairs import replay
from xentcheck.report.document import of_witness

SCHEMA_VERSION = 1


def to_json(comparison: Comparison, names: tuple[str, str]) -> str:
    """The document as strict JSON text. Unchanged faults have numbers but no witnesses.

    ``names`` are the files of base and head.
    """
    tally = comparison.tally
    document = {
        "schema_version": SCHEMA_VERSION,
        "ulp": ULP_DEFINITION,
        "slack": comparison.slack,
        "worse": tally[Standing.WORSE] > 0,
        "counts": {each.value: tally[each] for each in ORDER},
        "base": _report(comparison.base, names[0]),
        "head": _report(comparison.head, names[1]),
        "notes": [
            {"topic": each.topic, "warning": each.warning, "text": each.text}
            for each in comparison.notes
        ],
        "cells": [_pair(comparison, pair) for pair in comparison.pairs],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _report(report: Report, name: str) -> dict[str, Any]:
    return {
        "file": name,
        "environment": plain(report.environment),
        "seed": report.seed,
        "interrupted": report.interrupted,
    }


def _pair(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    cell = pair.cell
    return {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": cell.quantity.value,
        "sweep": cell.sweep,
        "standing": pair.standing.value,
        "reason": pair.reason,
        "base": _side(pair.base),
        "head": _side(pair.head),
        "faults": [_difference(comparison, pair, each) for each in pair.differences],
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    return None if side is None else {"rows": side.rows, "max_ulp": number(side.max_ulp)}


def _difference(comparison: Comparison, pair: Pair, difference: Difference) -> dict[str, Any]:
    found = {
        "rule": difference.rule,
        "standing": difference.standing.value,
        "base": _extent(difference.base),
        "head": _extent(difference.head),
    }
    if difference.standing is Standing.SAME:
        return {**found, "base_witness": None, "head_witness": None, "replay": ""}
    return {
        **found,
        "base_witness": of_witness(difference.base_witness),
        "head_witness": of_witness(difference.head_witness),
        "replay": words.shell(replay(comparison.head, pair, difference)),
    }


def _extent(extent: Extent | None) -> dict[str, Any] | None:
    if extent is None:
        return None
    ulp = None if extent.ulp is None else number(extent.ulp)
    return {"rows": extent.rows, "of": extent.of, "ulp": ulp}
