"""Writes a report as the JSON document of ``schema_version`` 1."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from xentcheck.floats import ULP_DEFINITION, hex_text
from xentcheck.gate.outcome import outcome
from xentcheck.gate.would_pass import Loosened, would_pass
from xentcheck.model import (
    Attainable,
    Cell,
    Change,
    Contest,
    Diagnosis,
    Encounter,
    Finding,
    Measurement,
    Profile,
    Report,
    SafeRange,
    Searched,
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
_PROFILES = '\n   "profiles": null'  # of a measurement: texts have no line breaks, no others null
_BINS = '\n "profile_bins": null'


def to_json(report: Report) -> str:
    """The document as text with a final newline. The same report always gives the same text."""
    document = to_document(report)
    # profiles are many numbers: each stands on one line, and is written much faster so
    bins = _lines(document["profile_bins"])
    profiles = [_lines(each["profiles"]) for each in document["measurements"]]
    document["profile_bins"] = None
    for each in document["measurements"]:
        each["profiles"] = None
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    first, *others = text.split(_PROFILES)
    text = first + "".join(
        f"{_PROFILES.removesuffix('null')}{own}{rest}"
        for own, rest in zip(profiles, others, strict=True)
    )
    text = text.replace(_BINS, f"{_BINS.removesuffix('null')}{bins}")
    # file names and exception texts may have lone surrogates, which cannot be encoded
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def to_document(report: Report) -> dict[str, Any]:
    """The document as dicts, lists, strings, finite numbers, booleans and None."""
    known = _bins(report.measurements)
    numbers = {axis: {each: i for i, each in enumerate(bins)} for axis, bins in known.items()}
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
        "profile_bins": {
            axis: {"low": [low for low, _ in bins], "high": [high for _, high in bins]}
            for axis, bins in known.items()
        },
        "measurements": [_measurement(each, numbers) for each in report.measurements],
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
        "would_pass": [_loosened(each) for each in would_pass(report)],
        "yields": [_yield(each) for each in report.yields],
        "diagnoses": [_diagnosis(each) for each in report.diagnoses],
        "contests": [_contest(each) for each in report.contests],
        "safe_ranges": [_safe_range(each) for each in report.safe_ranges],
        "searches": [_searched(each) for each in report.searches],
    }


def _lines(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """An object or a list, each of its values on one line."""
    if isinstance(value, Mapping):
        lines = [f"{_line(key)}: {_line(each)}" for key, each in value.items()]
        begin, indent, end = "{", 2, "}"
    else:
        lines = list(map(_line, value))
        begin, indent, end = "[", 4, "]"
    if not lines:
        return begin + end
    between = "\n" + indent * " "
    return f"{begin}{between}{f',{between}'.join(lines)}{between[:-1]}{end}"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": str(cell.quantity),
        "sweep": cell.sweep,
    }


_Bin = tuple[float, float]


def _bins(measurements: Iterable[Measurement]) -> dict[str, list[_Bin]]:
    """The edges of the bins that have rows in any profile, by axis, in ascending order."""
    found: dict[str, set[_Bin]] = {}
    for profile in (each for measurement in measurements for each in measurement.profiles):
        found.setdefault(profile.axis, set()).update((each.low, each.high) for each in profile.bins)
    return {axis: sorted(found[axis]) for axis in sorted(found)}


def _profile(profile: Profile, numbers: Mapping[_Bin, int]) -> dict[str, Any]:
    """A list of numbers for each field of the bins; without a count that is 0 in all of them."""
    bins = profile.bins
    counts = {
        name: [getattr(each, name) for each in bins] for name in ("failing", "nan", "infinite")
    }
    return {
        "axis": profile.axis,
        "bins": [numbers[each.low, each.high] for each in bins],
        "rows": [each.rows for each in bins],
        **{name: each for name, each in counts.items() if any(each)},
        "max_ulp": [number(each.max_ulp) for each in bins],
    }


def _measurement(
    measurement: Measurement, numbers: Mapping[str, Mapping[_Bin, int]]
) -> dict[str, Any]:
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
        "attainable": _attainable(measurement.attainable),
        "grade": None if measurement.grade is None else str(measurement.grade),
        "graded": _apart(measurement.graded, measurement),
        "max_norm": number(measurement.max_norm),
        "normwise": _apart(measurement.normwise, measurement),
        "profiles": [_profile(each, numbers[each.axis]) for each in measurement.profiles],
    }


def _farthest(measurement: Measurement) -> dict[str, Any] | None:
    """The witness of the largest finite error; None if it is the cell's witness."""
    same = measurement.farthest is measurement.witness
    return None if same else of_witness(measurement.farthest)


def _normal(measurement: Measurement) -> dict[str, Any] | None:
    """The witness of the largest error that is not flushed; None if it is ``farthest``."""
    same = measurement.normal is measurement.farthest
    return None if same else of_witness(measurement.normal)


def _apart(witness: Witness | None, measurement: Measurement) -> dict[str, Any] | None:
    """A witness of the cell; None if it is the cell's witness."""
    return None if witness is measurement.witness else of_witness(witness)


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
        "least": {name: number(bound) for name, bound in finding.least.items()},
        "usual": [_usual(each) for each in finding.usual],
        "witness": of_witness(finding.witness),
        "original": of_witness(finding.original),
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
        "place": violation.place,
        "bounds": {name: number(bound) for name, bound in violation.bounds.items()},
        **_finding(violation.finding),
    }


def _loosened(loosened: Loosened) -> dict[str, Any]:
    return {
        "limit": loosened.place,
        "alternatives": [
            {name: float(bound) if isinstance(bound, Decimal) else bound for name, bound in each}
            for each in (alternative.items() for alternative in loosened.alternatives)
        ],
        "excluded": list(map(str, loosened.excluded)),
        "undecided": list(map(str, loosened.undecided)),
    }


def _contest(contest: Contest) -> dict[str, Any]:
    return {
        **_cell(contest.cell),
        "peer": contest.peer,
        "peer_dtype": contest.peer_dtype,
        "or_abs": number(contest.or_abs),
        "rows": contest.rows,
        "worse": contest.worse,
        "equal": contest.equal,
        "better": contest.better,
        "kinds": {str(kind): count for kind, count in contest.kinds.items()},
        "worst": [{"kind": str(kind), **_encounter(each)} for kind, each in contest.worst.items()],
        "best": None if contest.best is None else _encounter(contest.best),
        "worse_rows": list(contest.worse_rows),
        "better_rows": list(contest.better_rows),
    }


def _encounter(encounter: Encounter) -> dict[str, Any]:
    kind = encounter.peer_kind
    return {
        "peer_kind": None if kind is None else str(kind),
        "witness": of_witness(encounter.witness),
        "peer": of_witness(encounter.peer),
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


def _attainable(known: Attainable | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {
        "form": known.form,
        "rows": known.rows,
        "same_ulp": number(known.same_ulp),
        "wider": known.wider or None,
        "wider_ulp": number(known.wider_ulp),
        "explained_ulp": number(known.explained_ulp),
        "faults": {str(fault): rows for fault, rows in known.faults},
    }


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    cell = diagnosis.cell
    return {
        "cause": str(diagnosis.cause),
        "loss": diagnosis.loss,
        "implementation": diagnosis.implementation,
        "explains": [
            {
                "dtype": each.dtype,
                "quantity": str(each.quantity),
                "rows": each.rows,
                "examined": each.examined,
                "failing": each.failing,
            }
            for each in diagnosis.explains
        ],
        "evidence": list(diagnosis.evidence),
        "ruled_out": list(diagnosis.ruled_out),
        "remedy": diagnosis.remedy,
        "proofs": [
            {
                "form": each.form,
                "dtype": each.dtype,
                "quantity": str(each.quantity),
                "rows": each.rows,
                "max_ulp": number(each.max_ulp),
                "failing": each.failing,
            }
            for each in diagnosis.proofs
        ],
        "attainable": [
            {"dtype": dtype, "quantity": str(quantity), **(_attainable(known) or {})}
            for dtype, quantity, known in diagnosis.attainable
        ],
        "kind": None if diagnosis.kind is None else str(diagnosis.kind),
        "cell": None if cell is None else _cell(cell),
        "witness": of_witness(diagnosis.witness),
        "original": of_witness(diagnosis.original),
        "usual": [_usual(each) for each in diagnosis.usual],
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


def _safe_range(found: SafeRange) -> dict[str, Any]:
    return {
        "loss": found.loss,
        "implementation": found.implementation,
        "dtype": found.dtype,
        "quantity": str(found.quantity),
        "axis": found.axis,
        "always": None if found.always is None else str(found.always),
        "stretches": [
            {"grade": str(each.grade), "first": number(each.first), "last": number(each.last)}
            for each in found.stretches
        ],
        "text": found.text,
    }


def _searched(searched: Searched) -> dict[str, Any]:
    return {
        **_cell(searched.cell),
        "aim": searched.aim,
        "evaluations": searched.evaluations,
        "worst": number(searched.worst),
        "before": number(searched.before),
        "winner": searched.winner,
        "shares": dict(searched.shares),
        "reached": searched.reached,
        "ended": searched.ended,
        "curve": [
            {
                "evaluations": each.evaluations,
                "worth": number(each.worth),
                "strategy": each.strategy,
            }
            for each in searched.curve
        ],
        "witness": of_witness(searched.witness),
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
