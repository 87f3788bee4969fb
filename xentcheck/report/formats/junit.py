"""Writes a report as JUnit XML for CI servers: a suite per loss, a test case per table line.

A test case fails if its line has violations. In a survey nothing fails, and the findings are in the
output of the test case. Problems that belong to no loss (exact results that could not be certified,
an interruption) are errors in a separate suite. There are no times, because they are not measured.
"""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.outcome import stale
from xentcheck.model import Finding, Report, Skip, Violation
from xentcheck.report import words
from xentcheck.report.lines import Line, merged

_NAME = "xentcheck"
_Place = tuple[str, str, str, str]


def render(report: Report) -> str:
    """The document in ASCII. Other characters are references; control characters are escaped."""
    root = ET.Element("testsuites", name=_NAME)
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in merged(report):
        lines[line.loss].append(line)
    skips = _grouped(report.skips)
    known = dict.fromkeys([*lines, *skips])
    violations = _by_place(report.violations)
    tolerated = _by_place(report.tolerated)
    findings: dict[_Place, list[Finding]] = defaultdict(list)
    for finding in sorted(report.findings, key=words.severity):
        findings[finding.cell.line].append(finding)
    for loss in (each for each in known if each):
        suite = _suite(root, report, loss)
        for line in lines[loss]:
            place = (line.loss, line.implementation, line.dtype, str(line.quantity))
            case = _case(suite, loss, f"{line.implementation}[{line.dtype}-{line.quantity}]")
            if violations[place]:
                _fail(case, report, violations[place])
            told = [
                words.in_full(report, each.finding, *words.limit_lines(each))
                for each in tolerated[place]
            ]
            if not report.gated:
                told += [words.in_full(report, each) for each in findings[place]]
            if told:
                _text(case, "system-out", "\n\n".join(told))
        _skip(suite, loss, skips.get(loss, {}))
    _run(root, report, skips.get("", {}))
    _sum_up(root)
    ET.indent(root, " ")
    document: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return document.decode("ascii") + "\n"


def _by_place(violations: Iterable[Violation]) -> dict[_Place, list[Violation]]:
    """The violations of each line, the gravest first."""
    places: dict[_Place, list[Violation]] = defaultdict(list)
    for violation in words.gravest(violations):
        places[violation.finding.cell.line].append(violation)
    return places


def _suite(root: ET.Element, report: Report, name: str) -> ET.Element:
    suite = _element(root, "testsuite", name=name)
    properties = _element(suite, "properties")
    known = {**report.environment, "seed": str(report.seed), "ulp": ULP_DEFINITION}
    known["gated"] = str(report.gated).lower()
    if report.baseline:
        known["baseline"] = report.baseline
    for word, text in known.items():
        _element(properties, "property", name=word, value=text)
    return suite


def _case(suite: ET.Element, loss: str, name: str) -> ET.Element:
    return _element(suite, "testcase", classname=f"{_NAME}.{loss}", name=name)


def _fail(case: ET.Element, report: Report, violations: Sequence[Violation]) -> None:
    """Write one failure for all violations of a line, because many servers show only the first."""
    gravest = violations[0]
    message = f"{words.rule_text(gravest)}: {words.gist(gravest.finding)}"
    if len(violations) > 1:
        message += f" (and {len(violations) - 1:,} more)"
    told = (words.in_full(report, each.finding, *words.limit_lines(each)) for each in violations)
    text = "\n\n".join(told)
    _text(case, "failure", text, message=message, type=words.rule_text(gravest))


def _grouped(skips: Iterable[Skip]) -> dict[str, dict[str, list[Skip]]]:
    """The skips by loss and reason."""
    groups: dict[str, dict[str, list[Skip]]] = defaultdict(lambda: defaultdict(list))
    for skip in skips:
        groups[skip.loss][skip.reason].append(skip)
    return groups


def _skip(suite: ET.Element, loss: str, reasons: Mapping[str, Sequence[Skip]]) -> None:
    """Write one skipped test case per reason. Its text lists what was not audited."""
    for reason, skips in reasons.items():
        what = (
            " ".join(filter(None, (skip.implementation, skip.dtype, skip.quantity, skip.sweep)))
            for skip in skips
        )
        names = list(dict.fromkeys(filter(None, what)))
        case = _case(suite, loss, f"skipped: {reason}")
        _text(case, "skipped", "\n".join(names), message=reason)


def _run(root: ET.Element, report: Report, reasons: Mapping[str, Sequence[Skip]]) -> None:
    """Write the suite of the whole run, if it has anything to report."""
    parts = (report.omissions, report.uncertified, reasons, report.changes, report.deaths)
    if not (report.interrupted or any(parts)):
        return
    suite = _suite(root, report, _NAME)
    if report.uncertified:
        case = _case(suite, "run", "exact results are certified")
        count = words.count(len(report.uncertified), "case")
        message = f"{count} could not be certified, and are not audited"
        _text(case, "error", "\n".join(report.uncertified), message=message, type="uncertified")
    if report.interrupted:
        case = _case(suite, "run", "the run is complete")
        _text(case, "error", "", message="interrupted: only a part is here", type="interrupted")
    if omitted := list(words.omitted_lines(report)):
        case = _case(suite, "run", "what is named is audited")
        message = f"{words.count(len(omitted), 'omission')}: {omitted[0]}"
        _text(case, "failure", "\n".join(omitted), message=message, type="omission")
    if report.changes:
        case = _case(suite, "run", "the baseline")
        number = stale(report) if report.strict else 0
        told = "\n".join(map(words.change_text, report.changes))
        if number:
            message = f"{number:,} stale {'entry' if number == 1 else 'entries'}"
            _text(case, "failure", told, message=message, type="stale")
        else:
            _text(case, "system-out", told)
    _skip(suite, "run", reasons)
    if report.deaths:
        _text(suite, "system-err", "\n".join(report.deaths))


def _sum_up(root: ET.Element) -> None:
    """Write the counts of tests into the attributes of the suites."""
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for suite in root:
        counts = {
            "tests": len(suite.findall("testcase")),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
        }
        for word, count in counts.items():
            suite.set(word, str(count))
            totals[word] += count
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    for word, count in totals.items():
        root.set(word, str(count))


def _element(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    cleaned = {name: words.clean(value) for name, value in attributes.items()}
    return ET.SubElement(parent, tag, cleaned)


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    _element(parent, tag, **attributes).text = words.clean(text)
