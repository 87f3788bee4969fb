"""Report → the JSON document, ``schema_version`` 1.

Strict JSON: non-finite numbers are the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Arrays of a
witness are (nested) lists of hex floats, or of integers where they are labels. An array of more
than `LONGEST_LIST` numbers, a vocabulary, becomes ``{"dtype", "shape", "zlib"}``: its bytes, little
endian, compressed and in base64; `read_array` gives it back.
"""

import base64
import enum
import json
import math
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, ULP_DEFINITION, format_of, hex_text, to_float64
from xentcheck.model import (
    Array,
    Cell,
    Change,
    Finding,
    Measurement,
    Report,
    Skip,
    Source,
    Violation,
    Witness,
    Yield,
)
from xentcheck.outcome import outcome

SCHEMA_VERSION = 1
LONGEST_LIST = 1024
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(report: Report) -> str:
    """The document as text with a final newline; the same report always gives the same text."""
    text = json.dumps(to_document(report), indent=1, ensure_ascii=False, allow_nan=False)
    # names of files and texts of exceptions may have what no encoding takes
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


def plain(value: Any) -> Any:
    """Any value of a configuration or an environment as strict JSON takes it."""
    match value:
        case None | bool():
            return value
        case np.bool_():
            return bool(value)
        case enum.Enum():
            return plain(value.value)
        case int() | np.integer():
            return int(value)
        case float():
            return number(value)
        case np.generic():  # also the scalars of ml_dtypes, which are no np.floating
            return number(float(value))
        case str() | os.PathLike():
            return str(value)
        case np.ndarray():
            return array(value)
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case set() | frozenset():
            return sorted((plain(each) for each in value), key=str)
        case Iterable():
            return [plain(each) for each in value]
    return str(value)


def number(value: float) -> float | str:
    """A float, or the word for one that JSON does not have."""
    return value if math.isfinite(value) else str(float(value))


def array(values: Array) -> Any:
    """Hex floats (integers for an integer array), nested as the array is; packed when long."""
    if values.size > LONGEST_LIST:
        known = format_of(values.dtype)
        width = values.dtype.itemsize
        little = np.ascontiguousarray(values).view(f"u{width}").astype(f"<u{width}")
        return {
            "dtype": known.name if known else values.dtype.name,
            "shape": list(values.shape),
            "zlib": base64.b64encode(zlib.compress(little.tobytes())).decode("ascii"),
        }
    if values.dtype.kind in "iu":
        return values.tolist()
    return _hexadecimal(to_float64(values).tolist())


def read_array(written: Any, dtype: str) -> Array:
    """The array that `array` wrote; ``dtype`` is that of a list, a packed array bears its own.

    Raises ValueError for what is neither.
    """
    if isinstance(written, Mapping):
        known = FORMATS.get(written["dtype"])
        packed = known.dtype if known else np.dtype(written["dtype"])
        raw = zlib.decompress(base64.b64decode(written["zlib"], validate=True))
        patterns = np.frombuffer(raw, f"<u{packed.itemsize}").astype(f"u{packed.itemsize}")
        return patterns.view(packed).reshape(written["shape"])
    if dtype in FORMATS:
        return np.asarray(_from_hexadecimal(written)).astype(FORMATS[dtype].dtype)
    return np.asarray(written, dtype=dtype)


def _hexadecimal(values: Any) -> Any:
    return [_hexadecimal(each) for each in values] if isinstance(values, list) else hex_text(values)


def _from_hexadecimal(values: Any) -> Any:
    if isinstance(values, list):
        return [_from_hexadecimal(each) for each in values]
    return float.fromhex(values)


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
    """The witness of the largest finite error, where that is not the cell's witness anyway."""
    same = measurement.farthest is measurement.witness
    return None if same else of_witness(measurement.farthest)


def _normal(measurement: Measurement) -> dict[str, Any] | None:
    """The witness of the largest error that is not flushed, where another one is larger."""
    same = measurement.normal is measurement.farthest
    return None if same else of_witness(measurement.normal)


def _first_break(measurement: Measurement) -> dict[str, Any] | None:
    """Where the implementation breaks on its way through the sweep: the kind and the input."""
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
        "witness": of_witness(finding.witness),
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
    """A witness as it stands in documents; None for none."""
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
