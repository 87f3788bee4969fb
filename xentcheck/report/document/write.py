"""Writes a report as the JSON document of ``schema_version`` 1."""

import json
import re
from typing import Any

from xentcheck.floats import ULP_DEFINITION, hex_text
from xentcheck.gate.outcome import outcome
from xentcheck.model import (
    Cell,
    Change,
    Finding,
    Measurement,
    Report,
    Skip,
    Source,
    UsualTest,
    Violation,
    Witness,
    Yield,
)
from xentcheck.reading.json import array, number, plain

SCHEMA_VERSION = 1
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(report: Report) -> str:
    """The document as text with a final newline. The same report always gives the same text."""
    text = json.dumps(to_document(report), indent=1, ensure_ascii=False, allow_nan=False)
    # file names and exception texts may have lone surrogates, which cannot be encoded
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def to_document(report: Report) -> dict[str, Any]:
    """The document as dicts, lists, strings, finite numbers, booleans and None."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ulp": ULP_DEFINITION,
        "environment": plain(report.environment),
        "seed": report.seed,
        "config": plain(report.config),
        "reference": plain(report.reference),
        "gated": report.gated,
        "interrupted": report.interrupted,
        "uncertified": list(report.uncertified),
        "deaths": list(report.deaths),
        "measurements": [_measurement(each) for each in report.measurements],
        "findings": [_finding(each) for each in report.findings],
        "violations": [_violation(each) for each in report.violations],
        "baseline": report.baseline or None,
        "tolerated": [_violation(each) for each in report.tolerated],
        "baseline_note": report.baseline_note,
        "changes": [_change(each) for each in report.changes],
        "sources": [_source(each) for each in report.sources],
        "path": report.path or None,
        "timeout_s": report.timeout_s,
        "origins": {name: list(words) for name, words in report.origins.items()},
        "skips": [_skip(each) for each in report.skips],
        "omissions": [_skip(each) for each in report.omissions],
        "strict": report.strict,
        "outcome": str(outcome(report)),
        "yields": [_yield(each) for each in report.yields],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": str(cell.quantity),
        "sweep": cell.sweep,
    }


def _measurement(measurement: Measurement) -> dict[str, Any]:
    excess = measurement.max_excess_bits
    return {
        **_cell(measurement.cell),
        "rows": measurement.rows,
        "scored": measurement.scored,
        "far": measurement.far,
        "max_ulp": number(measurement.max_ulp),
        "max_normal_ulp": number(measurement.max_normal_ulp),
        "p99_ulp": number(measurement.p99_ulp),
        "median_ulp": number(measurement.median_ulp),
        "max_abs": number(measurement.max_abs),
        "max_excess_bits": None if excess is None else number(excess),
        "met": measurement.met or None,
        "counts": {str(kind): count for kind, count in measurement.counts.items()},
        "result_dtype": measurement.result_dtype,
        "negative_zeros": measurement.negative_zeros,
        "witness": of_witness(measurement.witness),
        "farthest": _farthest(measurement),
        "normal": _normal(measurement),
        "first_break": _first_break(measurement),
    }


def _farthest(measurement: Measurement) -> dict[str, Any] | None:
    """The witness of the largest finite error; None if it is the cell's witness."""
    same = measurement.farthest is measurement.witness
    return None if same else of_witness(measurement.farthest)


def _normal(measurement: Measurement) -> dict[str, Any] | None:
    """The witness of the largest error that is not flushed; None if it is ``farthest``."""
    same = measurement.normal is measurement.farthest
    return None if same else of_witness(measurement.normal)


def _first_break(measurement: Measurement) -> dict[str, Any] | None:
    """The kind and the input of the implementation's first fault in the sweep."""
    if measurement.first_break is None:
        return None
    kind, witness = measurement.first_break
    return {
        "kind": str(kind),
        "row": witness.row,
        "place": witness.place,
        "generator": witness.generator,
        "logits": array(witness.logits),
        "labels": None if witness.labels is None else array(witness.labels),
        "parameters": plain(witness.parameters),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": str(finding.kind),
        **_cell(finding.cell),
        "rows": finding.rows,
        "cause": finding.cause,
        "hint": finding.hint,
        "detail": finding.detail,
        "distance": number(finding.distance),
        "usual": [_usual(each) for each in finding.usual],
        "witness": of_witness(finding.witness),
    }


def _usual(test: UsualTest) -> dict[str, Any]:
    return {
        "name": test.name,
        "passes": test.passes,
        "reason": test.reason,
        "on_sweep": test.on_sweep,
        "rows": test.rows,
    }


def _violation(violation: Violation) -> dict[str, Any]:
    standing = violation.standing
    return {
        "limit": violation.limit,
        "rule": violation.rule,
        "standing": None if standing is None else str(standing),
        "accepted": violation.accepted,
        **_finding(violation.finding),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        **_cell(change.cell),
        "rule": change.rule,
        "standing": str(change.standing),
        "text": change.text,
        "into": change.into,
    }


def _source(source: Source) -> dict[str, Any]:
    return {
        "loss": source.loss,
        "implementation": source.implementation,
        "file": source.file,
        "line": source.line,
    }


def of_witness(witness: Witness | None) -> dict[str, Any] | None:
    """A witness as a part of a document; None for None."""
    if witness is None:
        return None
    excess = witness.excess_bits
    return {
        "logits": array(witness.logits),
        "labels": None if witness.labels is None else array(witness.labels),
        "parameters": plain(witness.parameters),
        "generator": witness.generator,
        "row": witness.row,
        "place": witness.place,
        "index": witness.index,
        "actual": number(witness.actual),
        "actual_hex": hex_text(witness.actual),
        "expected": number(witness.expected),
        "expected_hex": hex_text(witness.expected),
        "exact": witness.exact,
        "result_dtype": witness.result_dtype,
        "ulp_error": number(witness.ulp_error),
        "abs_error": number(witness.abs_error),
        "radius_ulp": number(witness.radius_ulp),
        "excess_bits": None if excess is None else number(excess),
        "note": witness.note,
    }


def _skip(skip: Skip) -> dict[str, Any]:
    return {
        "reason": skip.reason,
        "loss": skip.loss,
        "implementation": skip.implementation,
        "dtype": skip.dtype,
        "quantity": skip.quantity,
        "sweep": skip.sweep,
        "missing": skip.missing,
    }


def _yield(given: Yield) -> dict[str, Any]:
    return {
        "sweep": given.sweep,
        "generator": given.generator,
        "loss": given.loss,
        "dtype": given.dtype,
        "rows": given.rows,
        "distinct": given.distinct,
    }
