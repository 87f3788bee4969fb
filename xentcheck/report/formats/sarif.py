"""Writes a report as SARIF 2.1.0 for code scanning: a rule per kind, a result per violation.

In a survey the findings are results: faults are warnings and notes are notes. A tolerated violation
is a suppressed result. A result points at the implementation's code, or else at the configuration.
Its fingerprint does not depend on numbers, so it stays the same alert in every run until it is
gone.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xentcheck.floats import ULP_DEFINITION
from xentcheck.model import (
    ABOUT,
    AGAINST,
    MAX_NORM,
    MIN_GRADE,
    NOTES,
    P99,
    RULES,
    Cell,
    Finding,
    Kind,
    Report,
    Violation,
)
from xentcheck.reading.json import number
from xentcheck.report import words

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"
_OMISSION = "omission"
_AGAINST = AGAINST.strip()


def render(report: Report, root: Path) -> str:
    """The log as text. Paths of files below ``root`` are relative to it."""
    log = _clean(_log(report, root))
    return json.dumps(log, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _clean(value: Any) -> Any:
    """The same value with escaped control characters in every text."""
    if isinstance(value, dict):
        return {words.clean(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return words.clean(value) if isinstance(value, str) else value


def _log(report: Report, root: Path) -> dict[str, Any]:
    rules = [*RULES, _AGAINST, _OMISSION]
    results = [
        {**each, "ruleIndex": rules.index(each["ruleId"])} for each in _results(report, root)
    ]
    run = {
        "tool": {"driver": _driver(report)},
        "originalUriBaseIds": {_ROOT: {"uri": _base(root)}},
        "invocations": [_invocation(report)],
        "results": results,
        "properties": {
            "environment": dict(report.environment),
            "seed": report.seed,
            "gated": report.gated,
            "ulp": ULP_DEFINITION,
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver(report: Report) -> dict[str, Any]:
    driver: dict[str, Any] = {"name": "xentcheck"}
    if version := report.environment.get("xentcheck"):
        driver["version"] = version
    rules = [_rule(str(kind), ABOUT[kind].says, ABOUT[kind].hint, kind in NOTES) for kind in Kind]
    rules.append(_rule(P99, "More than one of a hundred rows is farther off than is allowed.", ""))
    rules.append(_rule(MAX_NORM, "An error is too large for the scale of its row.", ""))
    rules.append(_rule(MIN_GRADE, "The grade is worse than is allowed.", ""))
    rules.append(_rule(_AGAINST, "A row is worse than that of a peer that the gate names.", ""))
    rules.append(_rule(_OMISSION, "The configuration names it, and it was not audited.", ""))
    return {**driver, "rules": rules}


def _rule(name: str, text: str, hint: str, note: bool = False) -> dict[str, Any]:
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.replace("_", "-").split("-")),
        "shortDescription": {"text": text},
        "fullDescription": {"text": _description(text, hint)},
        "help": {"text": hint or text},
        "defaultConfiguration": {"level": "note" if note else "error"},
    }


def _description(text: str, hint: str) -> str:
    """The description of a kind and its hint, without repetition."""
    if hint.lower().startswith(text.rstrip(".").lower()):
        text = ""
    return f"{text} {hint[:1].upper()}{hint[1:]}".strip()


def _results(report: Report, root: Path) -> Iterator[dict[str, Any]]:
    """The results, the gravest first and the tolerated ones last."""
    if not report.gated:
        for finding in sorted(report.findings, key=words.severity):
            level = "note" if finding.kind in NOTES else "warning"
            yield _result(report, finding, str(finding.kind), level, root)
    for text in words.omitted_lines(report):
        yield _omission(report, text, root)
    for violation in words.gravest(report.violations):
        yield _result(
            report, violation.finding, words.rule_text(violation), "error", root, violation
        )
    for violation in words.gravest(report.tolerated):
        result = _result(
            report, violation.finding, words.rule_text(violation), "error", root, violation
        )
        accepted = f"{report.baseline or 'the baseline'}: {violation.accepted or 'tolerated'}"
        suppression = {"kind": "external", "status": "accepted", "justification": accepted}
        yield {**result, "suppressions": [suppression]}


def _result(
    report: Report,
    finding: Finding,
    rule: str,
    level: str,
    root: Path,
    violation: Violation | None = None,
) -> dict[str, Any]:
    cell = finding.cell
    fingerprint = _fingerprint(cell, rule)
    more = words.limit_lines(violation) if violation else ()
    gist = f"{rule}: {words.place_text(cell)}: {words.gist(finding)}"
    text = f"{gist}\n{words.aligned(words.finding_lines(report, finding, *more))}"
    where = words.location(report, cell)
    return {
        "ruleId": _AGAINST if rule.startswith(AGAINST) else rule,
        "level": level,
        "message": {"text": text},
        "locations": [] if where is None else [_location(*where, cell, root)],
        # Code scanning distinguishes alerts only by the second fingerprint, or else by the line.
        "partialFingerprints": {
            "xentcheckCell/v1": fingerprint,
            "primaryLocationLineHash": fingerprint,
        },
        "properties": _properties(report, finding, violation),
    }


def _omission(report: Report, text: str, root: Path) -> dict[str, Any]:
    """The result for an omission. It points at the configuration."""
    fingerprint = _hash(_OMISSION, text)
    message = f"{_OMISSION}: not audited, though the configuration names it: {text}"
    return {
        "ruleId": _OMISSION,
        "level": "error",
        "message": {"text": message},
        "locations": [_place(report.path, 1, root)] if report.path else [],
        "partialFingerprints": {
            "xentcheckCell/v1": fingerprint,
            "primaryLocationLineHash": fingerprint,
        },
        "properties": {},
    }


def _fingerprint(cell: Cell, rule: str) -> str:
    """A fingerprint that depends only on the cell and the rule, not on numbers."""
    place = (cell.loss, cell.implementation, cell.dtype, str(cell.quantity), cell.sweep, rule)
    return _hash(*place)


def _hash(*place: str) -> str:
    return hashlib.sha256("\0".join(place).encode("utf-8", "replace")).hexdigest()[:32]


def _properties(report: Report, finding: Finding, violation: Violation | None) -> dict[str, Any]:
    cell, witness = finding.cell, finding.witness
    properties: dict[str, Any] = {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": str(cell.quantity),
        "sweep": cell.sweep,
        "rows": finding.rows,
    }
    if witness is not None and witness.scored is not None:
        properties["ulp_error"] = number(witness.ulp_error)
    if command := words.replay_command(report, finding):
        properties["replay"] = words.shell(command)
    if violation is not None:
        properties["limit"] = violation.limit
        if violation.standing is not None:
            properties["standing"] = str(violation.standing)
    return properties


def _location(file: str, line: int, cell: Cell, root: Path) -> dict[str, Any]:
    return {
        **_place(file, line, root),
        "logicalLocations": [{"fullyQualifiedName": cell.implementation, "kind": "function"}],
    }


def _place(file: str, line: int, root: Path) -> dict[str, Any]:
    uri, base = (root / file).resolve().as_uri(), _base(root)
    artifact = {"uri": uri}
    if uri.startswith(base):
        artifact = {"uri": uri.removeprefix(base), "uriBaseId": _ROOT}
    return {
        "physicalLocation": {
            "artifactLocation": artifact,
            "region": {"startLine": max(line, 1)},
        },
    }


def _base(root: Path) -> str:
    """The URI of a directory, with a slash at the end."""
    return f"{root.resolve().as_uri().rstrip('/')}/"


def _invocation(report: Report) -> dict[str, Any]:
    """The invocation: whether the run was complete, and what it could not audit."""
    notes = [("error", text) for text in report.uncertified]
    notes += [("warning", text) for text in report.deaths]
    for change in report.changes:
        fails = report.strict and words.change_word(change) == "stale"
        notes.append(("error" if fails else "warning", words.change_text(change)))
    notes += [("note", f"not audited: {text}") for text in words.skipped_lines(report.skips)]
    return {
        "executionSuccessful": not (report.uncertified or report.interrupted),
        "toolExecutionNotifications": [
            {"level": level, "message": {"text": text}} for level, text in notes
        ],
    }
