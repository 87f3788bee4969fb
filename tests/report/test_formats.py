"""Formats for other programs: what they say, that they are valid, and that names survive them."""

import csv
import dataclasses
import importlib.metadata
import io
import json
import math
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import jsonschema
import junitparser
import numpy as np
import pytest
from lxml import etree
from markdown_it import MarkdownIt

from tests.report.test_report import cell, measurement, report, witness
from tests.running import invoke
from xentcheck.model import (
    RULES,
    Cell,
    Change,
    Finding,
    Grade,
    Kind,
    Quantity,
    Report,
    Skip,
    Source,
    Standing,
    Violation,
)
from xentcheck.report import notebook
from xentcheck.report.formats import (
    NAMES,
    SUFFIXES,
    github,
    junit,
    markdown,
    rendered,
    sarif,
    table,
)
from xentcheck.report.formats import csv as csv_format

JUNIT = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "junit.xsd"))
NASTY = (
    'it\'s <b>"q"</b> &amp; [x](y) ![i](j) | `a` ``b`` _c_ *d* ~e~ $f$ @g #1 \\ ::error file=x::\n'
    "# next, line: 100% %25 %0A %3A <!-- --> </details> ]]> {0} :tada:"
)
CONTROL = "bell\x07 escape\x1b[31m null\x00 surrogate\udc80 nonchar\uffff"
VISIBLE = "bell\\x07 escape\\x1b[31m null\\x00 surrogate\\udc80 nonchar\\uffff"


def sarif_schema() -> Any:
    """The OASIS schema, out of a wheel that brings it along; nothing of that package is run."""
    files = importlib.metadata.files("linceo") or []
    (path,) = (each for each in files if each.name == "sarif-schema-2.1.0.json")
    return json.loads(path.read_text(encoding="utf-8"))


SARIF = jsonschema.Draft4Validator(
    sarif_schema(), format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
)


def parsed_junit(text: str) -> Any:
    document = etree.fromstring(text.encode())
    assert JUNIT.validate(document), JUNIT.error_log
    return document


def parsed_sarif(text: str) -> Any:
    log = json.loads(text)
    assert [f"{each.json_path}: {each.message}" for each in SARIF.iter_errors(log)] == []
    (run,) = log["runs"]
    return run


def parsed_csv(text: str) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    return rows


def annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as the runner reads them: type, properties and message."""
    read = []
    for line in text.splitlines():
        if found := re.match(r"::(\w+) (.*?)::(.*)$", line):
            level, properties, message = found.groups()
            named = dict(part.split("=", 1) for part in properties.split(","))
            for name, value in named.items():
                named[name] = _undone(value.replace("%3A", ":").replace("%2C", ","))
            read.append((level, named, _undone(message)))
    return read


def _undone(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


class Page(HTMLParser):
    """The texts of a page by the tag they stand in; ``<br>`` is a newline."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(MarkdownIt("commonmark").enable("table").render(source))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        if tag == "br":
            self.handle_data("\n")
            return
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data


def failing(
    where: Cell, kind: Kind = Kind.INACCURATE, limit: str = "max_ulp 4", **changes: Any
) -> Violation:
    fields: dict[str, Any] = {"rows": 3, "witness": witness(), "hint": "use log1p"}
    finding = Finding(kind, where, **{**fields, **changes})
    return Violation(finding, limit, rule=str(kind))


def gate(*violations: Violation, **changes: Any) -> Report:
    """A gated report of violations, with their measurements and findings."""
    tolerated = changes.get("tolerated", ())
    findings = tuple(each.finding for each in (*violations, *tolerated))
    counts: dict[Cell, dict[Kind, int]] = {}
    for finding in findings:
        counts.setdefault(finding.cell, {})[finding.kind] = finding.rows
    fields: dict[str, Any] = {
        "gated": True,
        "violations": violations,
        "findings": findings,
        "measurements": tuple(measurement(each, 9.0, known) for each, known in counts.items()),
    }
    return report(**{**fields, **changes})


class TestNames:
    """A name with everything that means something somewhere comes out as it went in."""

    @pytest.fixture(params=[True, False], ids=["gate", "survey"])
    def nasty(self, request: pytest.FixtureRequest) -> Report:
        violation = failing(cell(NASTY, sweep=NASTY), detail=NASTY)
        things = gate(violation, skips=(Skip(NASTY, implementation=NASTY),))
        if request.param:
            return things
        return dataclasses.replace(things, gated=False, violations=())

    def test_json(self, nasty: Report) -> None:
        written = json.loads(rendered(nasty, "json", 100))
        assert written["measurements"][0]["implementation"] == NASTY
        assert written["skips"][0]["reason"] == NASTY

    def test_csv(self, nasty: Report) -> None:
        (row,) = parsed_csv(rendered(nasty, "csv", 100))
        assert row["implementation"] == row["sweep"] == row["detail"] == NASTY

    def test_junit(self, nasty: Report) -> None:
        text = rendered(nasty, "junit", 100)
        document = parsed_junit(text)
        case = document.find(".//testcase[@classname='xentcheck.softmax_cross_entropy']")
        assert case.get("name") == f"{NASTY}[float32-value]"
        (told,) = case
        assert f"detail    {NASTY.splitlines()[0]}\n" in told.text
        skipped = document.find(".//skipped")
        assert skipped.get("message") == NASTY
        assert NASTY in skipped.text
        names = [
            each.name for suite in junitparser.JUnitXml.fromstring(text.encode()) for each in suite
        ]
        assert f"{NASTY}[float32-value]" in names

    def test_sarif(self, nasty: Report) -> None:
        things = dataclasses.replace(nasty, path="gate.yaml")
        (result,) = parsed_sarif(rendered(things, "sarif", 100))["results"]
        (place,) = result["locations"]
        assert place["logicalLocations"][0]["fullyQualifiedName"] == NASTY
        assert result["properties"]["implementation"] == NASTY
        assert result["properties"]["sweep"] == NASTY
        assert NASTY in result["message"]["text"]

    def test_markdown(self, nasty: Report) -> None:
        page = Page(rendered(nasty, "markdown", 100))
        assert NASTY in page.texts["code"]
        assert any(NASTY in each for each in page.texts["summary"])
        assert any(NASTY in each for each in page.texts["li"])
        assert not {"em", "strong", "a", "img", "h1"} & set(page.texts) - {"strong"}
        assert page.texts["strong"] == ["FAIL" if nasty.gated else "ungraded"]

    def test_github(self, nasty: Report) -> None:
        text = rendered(nasty, "github", 100)
        assert len(text.splitlines()) == 2  # one command and one line for the log
        ((level, properties, message),) = annotations(text)
        assert level == ("error" if nasty.gated else "warning")
        assert NASTY in properties["title"]
        assert NASTY.splitlines()[1] in message

    def test_table(self, nasty: Report) -> None:
        text = rendered(nasty, "table", 400)
        assert all(line in text for line in NASTY.splitlines())

    @pytest.mark.parametrize("form", [each for each in NAMES if each not in ("json", "atlas")])
    def test_control_characters_are_seen(self, form: str) -> None:
        where = cell(CONTROL, sweep=CONTROL)
        text = rendered(gate(failing(where, detail=CONTROL)), form, 400)
        text.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\uffff]", text)
        if form == "sarif":
            text = text.replace("\\\\", "\\")
        if form == "markdown":
            text = text.replace("&#91;", "[")
        assert VISIBLE in text

    def test_control_characters_leave_json_and_xml_readable(self) -> None:
        things = gate(failing(cell(CONTROL), detail=CONTROL))
        parsed_junit(rendered(things, "junit", 100))
        (result,) = parsed_sarif(rendered(things, "sarif", 100))["results"]
        assert result["properties"]["implementation"] == VISIBLE


class TestCsv:
    def test_has_the_same_columns_whatever_is_in_it(self) -> None:
        empty = csv_format.render(report())
        assert empty == ",".join(csv_format.COLUMNS) + "\n"
        assert set(map(str, Kind)) <= set(csv_format.COLUMNS)
        assert len(set(csv_format.COLUMNS)) == len(csv_format.COLUMNS)

    def test_has_a_row_per_cell_with_numbers_that_read_back(self) -> None:
        first = measurement(
            cell(sweep="a"), 0.1 + 0.2, {Kind.NAN: 3, Kind.INACCURATE: 4}, scored=97, max_abs=5e-324
        )
        second = measurement(cell(sweep="b"), math.inf, p99_ulp=math.nan)
        rows = parsed_csv(csv_format.render(report(measurements=(first, second))))
        assert [row["sweep"] for row in rows] == ["a", "b"]
        assert float(rows[0]["max_ulp"]) == 0.1 + 0.2
        assert float(rows[0]["max_abs"]) == 5e-324
        assert (rows[0]["rows"], rows[0]["scored"]) == ("100", "97")
        assert (rows[0]["nan"], rows[0]["inaccurate"], rows[0]["raised"]) == ("3", "4", "0")
        assert rows[1]["max_ulp"] == "inf"
        assert rows[1]["p99_ulp"] == ""  # no number, as data frames have it

    def test_the_worst_witness_is_that_of_the_gravest_violation(self) -> None:
        mild = failing(cell(), Kind.INACCURATE)
        grave = failing(cell(), Kind.NAN, "nan is not allowed", witness=witness(actual=math.nan))
        (row,) = parsed_csv(csv_format.render(gate(mild, grave)))
        assert (row["verdict"], row["violations"], row["kind"]) == ("FAIL", "2", "nan")
        assert row["limit"] == "max_ulp 4; nan is not allowed"
        assert (row["input"], row["actual"]) == ("[20, 0, 0] label 0", "nan")
        assert float(row["expected"]) == 4.12230722e-09
        assert row["replay"].startswith("xentcheck probe --loss softmax_cross_entropy ")

    def test_a_cell_that_only_has_a_finding_has_a_row(self) -> None:
        finding = Finding(Kind.RAISED, cell("mine"), 12, detail="ValueError: no")
        (row,) = parsed_csv(csv_format.render(report(findings=(finding,))))
        assert (row["verdict"], row["raised"], row["rows"]) == ("broken", "12", "")
        assert row["detail"] == "ValueError: no"

    def test_verdicts_are_those_of_the_table(self) -> None:
        counts = ({Kind.NAN: 1}, {Kind.INACCURATE: 1}, {Kind.CONVENTION: 1})
        grades = (Grade.BROKEN, None, Grade.ROUNDED)
        measured = tuple(
            measurement(cell(str(i)), 1.0, each, grade=grade)
            for i, (each, grade) in enumerate(zip(counts, grades, strict=True))
        )
        rows = parsed_csv(csv_format.render(report(measurements=measured)))
        assert [row["verdict"] for row in rows] == ["broken", "ungraded", "rounded"]
        gated = parsed_csv(csv_format.render(report(measurements=measured, gated=True)))
        assert {row["verdict"] for row in gated} == {"ok"}

    def test_what_a_baseline_tolerates_is_called_that_in_every_format(self) -> None:
        known = dataclasses.replace(failing(cell(), Kind.NAN), standing=Standing.SAME)
        measured = (measurement(cell(), 1.0, {Kind.NAN: 1}),)
        one = gate(tolerated=(known,), baseline="known.yaml", measurements=measured)
        (row,) = parsed_csv(csv_format.render(one))
        assert row["verdict"] == "tolerated"
        for text in (notebook.of_report(one), markdown.render(one), table.render(one, 100)):
            assert "tolerated" in text
        assert "1 cell, 100 rows scored, 1 tolerated by the baseline; seed 7" in notebook.of_report(
            one
        )


class TestJunit:
    def test_a_line_fails_once_with_all_its_violations_in_full(self) -> None:
        sweeps = [
            failing(cell(sweep="a")),
            failing(cell(sweep="b"), Kind.NAN, "nan is not allowed"),
        ]
        fine = measurement(cell(quantity=Quantity.GRADIENT))
        things = gate(*sweeps)
        things = dataclasses.replace(things, measurements=(*things.measurements, fine))
        document = parsed_junit(junit.render(things))
        (suite,) = document
        assert suite.get("name") == "softmax_cross_entropy"
        assert [suite.get(each) for each in ("tests", "failures", "errors", "skipped")] == list(
            "2100"
        )
        broken, passed = suite.findall("testcase")
        (failure,) = broken
        assert failure.get("type") == "nan"  # the gravest
        assert failure.get("message").startswith("nan: [20, 0, 0] label 0 → 0, exact 4.122e-9")
        for text in ("sweep a", "sweep b", "max_ulp 4", "nan is not allowed", EXACT_LINE):
            assert text in failure.text
        assert (
            failure.text.count("xentcheck probe --loss softmax_cross_entropy --logits=20,0,0") == 2
        )
        assert len(passed) == 0

    def test_in_a_survey_nothing_fails(self) -> None:
        finding = failing(cell(), Kind.NAN).finding
        counted = measurement(cell(), 1.0, {Kind.NAN: 3})
        things = report(measurements=(counted,), findings=(finding,))
        document = parsed_junit(junit.render(things))
        assert (document.get("tests"), document.get("failures")) == ("1", "0")
        assert "nan  softmax_cross_entropy  numpy.naive" in document.find(".//system-out").text

    def test_what_a_baseline_tolerates_passes_and_is_told(self) -> None:
        known = dataclasses.replace(
            failing(cell(), Kind.NAN), accepted="3 rows", standing=Standing.SAME
        )
        document = parsed_junit(junit.render(gate(tolerated=(known,), baseline="known.yaml")))
        assert document.get("failures") == "0"
        told = document.find(".//testcase/system-out").text
        assert "same; tolerated: 3 rows" in told
        assert "3 rows" in told
        assert document.find(".//property[@name='baseline']").get("value") == "known.yaml"

    def test_skips_have_their_reasons(self) -> None:
        loss = "softmax_cross_entropy"
        skips = (
            Skip("does not take distribution labels", loss, "a", "float16"),
            Skip("does not take distribution labels", loss, "b", "float32"),
            Skip("jax is not installed", missing="jax"),
        )
        document = parsed_junit(
            junit.render(report(measurements=(measurement(cell()),), skips=skips))
        )
        counted = {suite.get("name"): suite.get("skipped") for suite in document}
        assert counted == {loss: "1", "xentcheck": "1"}
        skipped = document.find(".//skipped")
        assert skipped.get("message") == "does not take distribution labels"
        assert skipped.text == "a float16\nb float32"

    def test_what_is_not_certified_is_an_error_and_so_is_an_interruption(self) -> None:
        things = report(uncertified=("row 3", "row 4"), interrupted=True, deaths=("a worker died",))
        document = parsed_junit(junit.render(things))
        assert (document.get("errors"), document.get("failures")) == ("2", "0")
        assert document.find(".//error").text == "row 3\nrow 4"
        assert document.find(".//system-err").text == "a worker died"

    def test_the_environment_is_in_the_properties(self) -> None:
        document = parsed_junit(junit.render(report(measurements=(measurement(cell()),))))
        known = {each.get("name"): each.get("value") for each in document.iter("property")}
        assert known["xentcheck"] == "1"
        assert known["seed"] == "7"

    def test_it_is_ascii(self) -> None:
        assert junit.render(gate(failing(cell("größer→")))).isascii()


EXACT_LINE = "exact     4.12230722050245e-9"


class TestSarif:
    def test_violations_are_errors_at_the_code(self, tmp_path: Path) -> None:
        where = Source("softmax_cross_entropy", "mine", str(tmp_path / "my losses" / "a.py"), 12)
        run = parsed_sarif(sarif.render(gate(failing(cell("mine")), sources=(where,)), tmp_path))
        (result,) = run["results"]
        assert (result["level"], result["ruleId"]) == ("error", "inaccurate")
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"] == {"uri": "my%20losses/a.py", "uriBaseId": "%SRCROOT%"}
        assert place["region"] == {"startLine": 12}
        base = run["originalUriBaseIds"]["%SRCROOT%"]["uri"]
        assert Path(unquote(urlparse(base).path)) == tmp_path.resolve()
        assert base.endswith("/")
        text = result["message"]["text"]
        assert text.startswith("inaccurate: mine (softmax_cross_entropy, float32 value, sweep ")
        assert "xentcheck probe --loss" in text.splitlines()[-1]

    def test_code_that_is_elsewhere_has_an_absolute_uri(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        where = Source("softmax_cross_entropy", "mine", str(tmp_path / "heretoo" / "a.py"), 1)
        things = gate(failing(cell("mine")), sources=(where,))
        (result,) = parsed_sarif(sarif.render(things, tmp_path / "here"))["results"]
        artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert artifact == {"uri": (tmp_path / "heretoo" / "a.py").resolve().as_uri()}

    def test_without_code_it_is_the_configuration_and_without_that_nowhere(self) -> None:
        other = Source("logsumexp", "numpy.naive", "other.py", 3)
        things = gate(failing(cell()), sources=(other,), path="configs/gate.yaml")
        (result,) = parsed_sarif(sarif.render(things, Path.cwd()))["results"]
        artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert artifact["uri"] == "configs/gate.yaml"
        (result,) = parsed_sarif(sarif.render(gate(failing(cell())), Path.cwd()))["results"]
        assert result["locations"] == []

    def test_in_a_survey_faults_are_warnings_and_notes_are_notes(self) -> None:
        findings = tuple(Finding(kind, cell(), 1) for kind in (Kind.CONVENTION, Kind.NAN))
        results = parsed_sarif(sarif.render(report(findings=findings), Path.cwd()))["results"]
        assert [(each["ruleId"], each["level"]) for each in results] == [
            ("nan", "warning"),
            ("convention", "note"),
        ]

    def test_in_a_gate_only_violations_and_what_is_tolerated_are_results(self) -> None:
        allowed = Finding(Kind.NAN, cell("allowed"), 1)
        known = dataclasses.replace(failing(cell("known")), accepted="3 rows, 9 ulp")
        things = gate(failing(cell("new")), tolerated=(known,), baseline="known.yaml")
        things = dataclasses.replace(things, findings=(*things.findings, allowed))
        new, old = parsed_sarif(sarif.render(things, Path.cwd()))["results"]
        assert "suppressions" not in new
        assert old["properties"]["implementation"] == "known"
        (suppression,) = old["suppressions"]
        assert (suppression["kind"], suppression["status"]) == ("external", "accepted")
        assert suppression["justification"] == "known.yaml: 3 rows, 9 ulp"

    def test_fingerprints_depend_on_the_cell_and_the_rule_alone(self) -> None:
        def prints(*violations: Violation) -> list[str]:
            run = parsed_sarif(sarif.render(gate(*violations), Path.cwd()))
            return [each["partialFingerprints"]["xentcheckCell/v1"] for each in run["results"]]

        (now,) = prints(failing(cell()))
        (later,) = prints(failing(cell(), rows=99, witness=witness(ulp_error=5.0), detail="other"))
        assert now == later
        changed = [
            *(cell(**{name: "other"}) for name in ("loss", "implementation", "dtype", "sweep")),
            cell(quantity=Quantity.GRADIENT),
        ]
        others = prints(*map(failing, changed), failing(cell(), Kind.NAN))
        assert len({now, *others}) == 7

    def test_every_kind_is_a_rule_and_results_point_at_theirs(self) -> None:
        findings = tuple(Finding(kind, cell(), 1) for kind in Kind)
        run = parsed_sarif(sarif.render(report(findings=findings), Path.cwd()))
        rules = run["tool"]["driver"]["rules"]
        assert {rule["id"] for rule in rules} == {*RULES, "against", "omission"}
        assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])
        levels = {rule["id"]: rule["defaultConfiguration"]["level"] for rule in rules}
        assert (levels["nan"], levels["ftz"], levels["convention"]) == ("error", "note", "note")

    def test_no_rule_is_described_twice_in_the_same_words(self) -> None:
        run = parsed_sarif(sarif.render(report(), Path.cwd()))
        for rule in run["tool"]["driver"]["rules"]:
            short, full = (rule[key]["text"] for key in ("shortDescription", "fullDescription"))
            assert full.lower().count(short.lower().rstrip(".")) == 1, full
        (crashed,) = (each for each in run["tool"]["driver"]["rules"] if each["id"] == Kind.CRASHED)
        assert crashed["fullDescription"]["text"].startswith("The process died in the call. ")

    def test_a_limit_of_percentiles_is_a_rule_of_its_own(self) -> None:
        broken = dataclasses.replace(failing(cell()), rule="p99_ulp", limit="p99_ulp 2")
        (result,) = parsed_sarif(sarif.render(gate(broken), Path.cwd()))["results"]
        assert result["ruleId"] == "p99_ulp"

    def test_says_what_was_not_audited_and_with_what_it_ran(self) -> None:
        things = report(uncertified=("row 3",), skips=(Skip("no jax", missing="jax"),))
        run = parsed_sarif(sarif.render(things, Path.cwd()))
        (invocation,) = run["invocations"]
        assert invocation["executionSuccessful"] is False
        notes = invocation["toolExecutionNotifications"]
        assert [each["level"] for each in notes] == ["error", "note"]
        assert (run["properties"]["seed"], run["properties"]["environment"]) == (
            7,
            {"xentcheck": "1"},
        )
        assert run["tool"]["driver"]["version"] == "1"


class TestMarkdown:
    def test_the_verdict_comes_first_and_the_failing_lines_before_the_others(self) -> None:
        things = gate(failing(cell("bad")))
        fine = measurement(cell("fine"))
        things = dataclasses.replace(things, measurements=(fine, *things.measurements))
        text = markdown.render(things)
        assert text.startswith("## xentcheck: gate failed, 1 violation: inaccurate\n")
        assert text.index("<code>bad</code>") < text.index("<summary>1 line in order</summary>")
        assert text.index("<summary>1 line in order</summary>") < text.index("<code>fine</code>")

    @pytest.mark.parametrize(
        ("changes", "verdict"),
        [
            (
                {"gated": True, "measurements": (measurement(cell()),)},
                "gate passed: 1 cell within the limits",
            ),
            ({"gated": True}, "nothing was audited"),
            ({"findings": (Finding(Kind.NAN, cell(), 1),)}, "survey: 1 broken cell"),
            (
                {"uncertified": ("row 3",)},
                "survey incomplete: 1 case without a certified result",
            ),
        ],
    )
    def test_the_verdict(self, changes: dict[str, Any], verdict: str) -> None:
        assert markdown.render(report(**changes)).startswith(f"## xentcheck: {verdict}\n")

    def test_a_violation_can_be_unfolded_and_its_replay_copied(self) -> None:
        page = Page(markdown.render(gate(failing(cell(), detail="``` fence"))))
        (summary, _) = page.texts["summary"]
        assert summary.startswith("inaccurate numpy.naive (softmax_cross_entropy, float32 value, ")
        told, command = page.texts["pre"]
        assert "limit     max_ulp 4" in told
        assert "detail    ``` fence" in told
        assert command.startswith("xentcheck probe --loss softmax_cross_entropy --logits=20,0,0")

    def test_skips_changes_and_the_environment_are_there(self) -> None:
        change = Change(cell(), "nan", Standing.GONE, "is not there any more")
        known = dataclasses.replace(failing(cell()), accepted="3 rows")
        things = gate(
            tolerated=(known,),
            changes=(change,),
            skips=(Skip("no infinities", sweep="boundary"),),
            deaths=("a worker died",),
            baseline="known.yaml",
        )
        items = Page(markdown.render(things)).texts["li"]
        assert "1 × no infinities: boundary" in items
        assert "xentcheck: 1" in items
        assert "baseline: known.yaml" in items
        assert "a worker died" in items
        assert any("is not there any more" in each for each in items)
        assert any("(3 rows)" in each for each in items)

    def test_it_fits_a_step_summary(self) -> None:
        violations = [failing(cell(f"{i} {'|' * 400}"), detail="x" * 20_000) for i in range(800)]
        assert 900_000 < len(markdown.render(gate(*violations)).encode()) <= 2**20 - 2**15

    def test_it_says_what_is_left_out(self) -> None:
        violations = [failing(cell(f"{i} {'|' * 100}"), detail="x" * 3000) for i in range(200)]
        page = Page(markdown.render(gate(*violations), largest=100_000))
        lines, details = len(page.texts["tr"]) - 1, len(page.texts["pre"]) // 2
        assert 0 < lines < 200
        assert 0 < details < 200
        assert [each for each in page.texts["p"] if "more" in each] == [
            f"… and {200 - lines} more lines.",
            f"… and {200 - details} more: --format json has them all.",
        ]

    @pytest.mark.parametrize("size", [8_000, 30_000, 100_000])
    def test_smaller_limits_are_kept_as_well(self, size: int) -> None:
        things = gate(*(failing(cell(f"implementation {i}")) for i in range(400)))
        skips = tuple(Skip(f"reason {i}", implementation="x" * 50) for i in range(400))
        text = markdown.render(dataclasses.replace(things, skips=skips), largest=size)
        assert len(text.encode()) <= size
        Page(text)


class TestGithub:
    def test_a_violation_is_an_error_at_the_code(self, tmp_path: Path) -> None:
        where = Source("softmax_cross_entropy", "mine", "a,b:c.py", 12)
        text = github.render(gate(failing(cell("mine")), sources=(where,)), tmp_path)
        first, last = text.splitlines()
        assert first.startswith("::error file=")
        assert "a%2Cb%3Ac.py,line=12,title=inaccurate%3A mine" in first
        ((level, properties, message),) = annotations(text)
        assert (level, properties["line"]) == ("error", "12")
        assert properties["file"] == str(tmp_path.resolve() / "a,b:c.py")
        assert message.startswith("[20, 0, 0] label 0 → 0, exact 4.122e-9\n\nlimit")
        assert "xentcheck probe --loss" in message.splitlines()[-1]
        assert last == "xentcheck: gate failed, 1 violation: inaccurate"

    def test_ten_errors_the_gravest_first_and_how_many_more(self) -> None:
        mild = [failing(cell(f"mild {i}")) for i in range(20)]
        grave = [failing(cell(f"grave {i}"), Kind.NAN) for i in range(3)]
        shown = annotations(github.render(gate(*mild, *grave), Path.cwd()))
        assert Counter(level for level, _, _ in shown) == {"error": 10, "notice": 1}
        assert all(properties["title"].startswith("nan: ") for _, properties, _ in shown[:3])
        assert shown[-1][2].startswith("13 more errors")

    def test_as_many_as_are_shown_need_no_notice(self) -> None:
        text = github.render(gate(*(failing(cell(str(i))) for i in range(10))), Path.cwd())
        assert [level for level, _, _ in annotations(text)] == ["error"] * 10

    def test_a_survey_warns_of_faults_and_passes_over_notes(self) -> None:
        findings = tuple(Finding(kind, cell(), 1) for kind in (Kind.NAN, Kind.FTZ))
        text = github.render(report(findings=findings), Path.cwd())
        assert [level for level, _, _ in annotations(text)] == ["warning"]
        assert text.endswith("xentcheck: survey: 1 broken cell\n")

    def test_stale_entries_warn_and_better_ones_are_a_notice(self) -> None:
        changes = (
            Change(cell("gone"), "nan", Standing.GONE, "is not there any more"),
            Change(cell("better"), "nan", Standing.BETTER, "3 rows instead of 5"),
        )
        measured = (measurement(cell()),)
        known = gate(changes=changes, baseline="known.yaml", measurements=measured)
        text = github.render(known, Path.cwd())
        (stale, _, said), (better, _, told) = annotations(text)
        assert (stale, better) == ("warning", "notice")
        assert "gone" in said
        assert "known.yaml" in said
        assert "3 rows instead of 5" in told
        assert text.endswith("xentcheck: gate passed: 1 cell within the limits\n")

    @pytest.mark.parametrize(
        ("changes", "outcome"),
        [
            ({}, "nothing was audited"),
            ({"uncertified": ("row 3",)}, "gate incomplete: 1 case without a certified result"),
            ({"interrupted": True, "measurements": (measurement(cell()),)}, "gate interrupted"),
        ],
    )
    def test_only_what_was_wholly_audited_has_passed(
        self, changes: dict[str, Any], outcome: str
    ) -> None:
        one = gate(**changes)
        assert github.render(one, Path.cwd()).endswith(f"xentcheck: {outcome}\n")
        assert markdown.render(one).startswith(f"## xentcheck: {outcome}\n")
        first = table.render(one, 100).splitlines()[0]
        assert first == outcome

    def test_what_is_not_certified_is_an_error(self) -> None:
        (only,) = annotations(github.render(report(uncertified=("row 3",)), Path.cwd()))
        assert (only[0], only[2]) == ("error", "not audited: row 3")


GATE = """\
sweeps:
  confident:
    losses: [softmax_cross_entropy, logsumexp]
    dtypes: float32
    implementations: [numpy.naive, numpy.accurate]
    inputs: [{generator: gap, from: 0, to: 120, points: 7, classes: 2}]
  soft:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: numpy.*
    labels: {kind: distribution}
    inputs: [{generator: masked, classes: 3}]
limits: [{max_ulp: 4}]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where one run of the installed command has written every format."""
    place = tmp_path_factory.mktemp("formats")
    (place / "gate.yaml").write_text(GATE)
    arguments = [f"--output=out{suffix}" for suffix in SUFFIXES]
    formats = [f"--format={form}" for form in SUFFIXES.values()]
    command = [sys.executable, "-m", "xentcheck", "run", "gate.yaml", *formats, *arguments]
    more = ["--format=github", "--output=-"]
    done = subprocess.run(
        [*command, *more], cwd=place, check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (1, "")
    (place / "out.github").write_text(done.stdout)
    return place


@pytest.fixture(scope="module")
def document(place: Path) -> Any:
    return json.loads((place / "out.json").read_text())


class TestRun:
    """What one run writes agrees, whatever the format."""

    def test_csv_has_every_cell(self, place: Path, document: Any) -> None:
        rows = parsed_csv((place / "out.csv").read_text())
        assert len(rows) == len(document["measurements"])
        for row, measured in zip(rows, document["measurements"], strict=True):
            assert row["implementation"] == measured["implementation"]
            assert int(row["rows"]) == measured["rows"]
            assert {k: int(row[k]) for k in map(str, Kind) if row[k] != "0"} == measured["counts"]
            assert float(row["max_ulp"] or "nan") == pytest.approx(
                float(measured["max_ulp"]), rel=0, abs=0, nan_ok=True
            )
        assert sum(int(row["violations"]) for row in rows) == len(document["violations"])

    def test_junit_fails_the_lines_that_have_violations(self, place: Path, document: Any) -> None:
        text = (place / "out.xml").read_text()
        parsed_junit(text)
        broken = {
            f"{each['implementation']}[{each['dtype']}-{each['quantity']}]"
            for each in document["violations"]
        }
        failed = set()
        for suite in junitparser.JUnitXml.fromstring(text.encode()):
            for case in suite:
                if any(isinstance(each, junitparser.Failure) for each in case.result):
                    failed.add(case.name)
        assert failed == broken != set()

    def test_sarif_has_every_violation(self, place: Path, document: Any) -> None:
        run = parsed_sarif((place / "out.sarif").read_text())
        expected = Counter(
            (each["kind"], each["implementation"]) for each in document["violations"]
        )
        results = run["results"]
        assert (
            Counter((each["ruleId"], each["properties"]["implementation"]) for each in results)
            == expected
        )
        prints = [each["partialFingerprints"]["primaryLocationLineHash"] for each in results]
        assert len(set(prints)) == len(prints)

    def test_markdown_and_annotations_say_the_same(self, place: Path, document: Any) -> None:
        count = len(document["violations"])
        text = (place / "out.md").read_text()
        verdict, _, _ = text.removeprefix("## ").partition("\n")
        assert verdict.startswith(f"xentcheck: gate failed, {count} violations: ")
        Page(text)
        written = (place / "out.github").read_text()
        assert written.endswith(f"{verdict}\n")
        assert [level for level, _, _ in annotations(written)].count("error") == min(count, 10)

    def test_names_of_files_say_their_format(self, place: Path) -> None:
        (place / "small.yaml").write_text(GATE.replace("points: 7", "points: 2"))
        outputs = [word for each in SUFFIXES for word in ("--output", str(place / f"by{each}"))]
        done = invoke("run", str(place / "small.yaml"), *outputs)
        assert done.output == ""
        assert (place / "by.txt").read_text().startswith(("gate passed: ", "gate failed, "))
        json.loads((place / "by.json").read_text())
        parsed_csv((place / "by.csv").read_text())
        parsed_junit((place / "by.xml").read_text())
        parsed_sarif((place / "by.sarif").read_text())
        assert (place / "by.md").read_text().startswith("## xentcheck: ")


def test_an_input_that_is_too_long_is_told_without_its_numbers() -> None:
    long = witness(logits=np.linspace(0, 1, 65_540, dtype=np.float32))
    things = gate(failing(cell(), witness=long))
    for form in NAMES:
        if form not in ("json", "atlas"):
            most = 100_000 if form == "html" else 20_000  # a page brings its script along
            assert len(rendered(things, form, 100)) < most, form
