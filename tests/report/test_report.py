"""What a report looks like: on a terminal of some width, and as a JSON document."""

import dataclasses
import io
import json
import math
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.making import witness_of
from xentcheck.cli import progress_lines as progress_line
from xentcheck.cli.audit import status_of
from xentcheck.gate.comparison import compare
from xentcheck.model import (
    Cell,
    Change,
    Finding,
    Grade,
    Kind,
    Measurement,
    ProbeLine,
    ProbeNumber,
    ProbeProgress,
    ProbeResult,
    Progress,
    Quantity,
    Report,
    Skip,
    Standing,
    Violation,
    Witness,
    Yield,
)
from xentcheck.reading.json import array, read_array
from xentcheck.reading.json import plain as strict
from xentcheck.report import document, notebook, words
from xentcheck.report.comparison import pairs
from xentcheck.report.detail import Detail
from xentcheck.report.formats import github, html, markdown, table
from xentcheck.report.grid import to_text
from xentcheck.report.lines import merged
from xentcheck.report.probe import render_probe

EXACT = "4.12230722050245e-9"  # log1p(2·e^-20)


def cell(
    implementation: str = "numpy.naive",
    dtype: str = "float32",
    quantity: Quantity = Quantity.VALUE,
    sweep: str = "ordinary",
    loss: str = "softmax_cross_entropy",
) -> Cell:
    return Cell(loss, implementation, dtype, quantity, sweep)


def witness(**changes: Any) -> Witness:
    fields: dict[str, Any] = {
        "logits": np.array([20, 0, 0], np.float32),
        "labels": np.array(0),
        "parameters": {},
        "actual": 0.0,
        "expected": 4.12230722e-09,
        "exact": EXACT,
        "ulp_error": 1.16e7,
        "abs_error": 4.12e-09,
        "row": 17,
        "generator": "gap",
        "result_dtype": "float32",
    }
    return witness_of(**{**fields, **changes})


def measurement(
    where: Cell,
    max_ulp: float = 0.5,
    counts: Mapping[Kind, int] | None = None,
    p99_ulp: float = 0.4,
    median_ulp: float = 0.1,
    **changes: Any,
) -> Measurement:
    fields: dict[str, Any] = {"max_abs": 4.12e-09, "witness": witness(), "result_dtype": "float32"}
    return Measurement(
        where, 100, max_ulp, p99_ulp, median_ulp, counts=counts or {}, **{**fields, **changes}
    )


def report(**changes: Any) -> Report:
    fields: dict[str, Any] = {
        "environment": {"xentcheck": "1"},
        "seed": 7,
        "config": {},
        "measurements": (),
        "findings": (),
        "violations": (),
        "skips": (),
        "yields": (),
        "gated": False,
    }
    return Report(**{**fields, **changes})


STALE = Change(cell(), "nan", Standing.GONE, "nothing is beyond the limits any more")


def rendered(width: int = 100, detail: Detail = Detail.CELLS, **changes: Any) -> str:
    return table.render(report(**changes), width, detail=detail)


def rows_of(text: str) -> list[list[str]]:
    found = (line for line in text.splitlines() if re.match("(FAIL|broken|ungraded|ok) ", line))
    return [line.split() for line in found]


def many() -> dict[str, Any]:
    """Names, numbers and kinds that strain the layout."""
    names = ["./a/rather/long/path/to/my_losses.py:Model.loss[fused]", "numpy.accurate", "x"]
    dtypes = ["bfloat16", "float64", "float8_e4m3fn"]
    counts = {Kind.NAN: 123_456, Kind.SPURIOUS_OVERFLOW: 9_999, Kind.NON_DETERMINISTIC: 12}
    measurements = tuple(
        measurement(
            cell(name, dtype, quantity),
            1.2345e30,
            counts if name != "numpy.accurate" else {},
            p99_ulp=9999.4,
            median_ulp=123.456,
            max_abs=1.2345e-300,
            grade=Grade.BROKEN if name != "numpy.accurate" else Grade.ROUNDED,
        )
        for name in names
        for dtype in dtypes
        for quantity in Quantity
    )
    findings = tuple(
        Finding(kind, each.cell, n, witness(logits=np.linspace(0, 1, 65_540, dtype=np.float32)))
        for each in measurements
        for kind, n in each.counts.items()
    )
    return {"measurements": measurements, "findings": findings}


class TestTable:
    @pytest.mark.parametrize("width", [80, 100, 120, 160, 200])
    @pytest.mark.parametrize("gated", [False, True])
    def test_no_line_is_wider_than_the_terminal(self, width: int, gated: bool) -> None:
        things = many()
        violations = tuple(Violation(each, "max_ulp 4") for each in things["findings"])
        text = rendered(width, **things, gated=gated, violations=violations if gated else ())
        assert max(map(cell_len, text.splitlines())) <= width

    @pytest.mark.parametrize("width", [80, 100, 160])
    def test_numbers_and_words_of_the_vocabulary_stay_whole(self, width: int) -> None:
        text = rendered(width, **many())
        for line in text.splitlines():
            if line.startswith("broken "):
                assert "1.2e30" in line
                assert "1.2e-300" in line
                assert "123,456" in line
                assert "9,999" in line
        assert "float8_e4m3fn" in text
        assert "non-deterministic 12" in " ".join(text.split())

    def test_a_hundred_columns_have_percentiles_and_eighty_do_without(self) -> None:
        things = {"measurements": (measurement(cell(), 3.97, p99_ulp=2.22, median_ulp=0.33),)}
        assert {"3.97", "2.22", "0.33"} <= set(rendered(100, **things).split())
        narrow = rendered(80, **things).split()
        assert "3.97" in narrow
        assert not {"2.22", "0.33"} & set(narrow)

    def test_names_with_markup_survive(self) -> None:
        name = "mine.py:loss[bold][/bold]"
        assert name in rendered(measurements=(measurement(cell(name)),))

    def test_escape_sequences_in_foreign_text_do_not_reach_the_terminal(self) -> None:
        where = cell("evil\x1b[31m")
        finding = Finding(Kind.RAISED, where, 1, detail="boom\x1b]0;title\x07")
        text = rendered(findings=(finding,))
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "boom\\x1b]0;title\\x07" in text

    def test_sweeps_are_merged_by_their_worst(self) -> None:
        first = measurement(
            cell(sweep="a"), 2.0, {Kind.NAN: 3}, p99_ulp=1.5, median_ulp=0.25, max_abs=1e-3
        )
        second = measurement(
            cell(sweep="b"), 8.0, {Kind.NAN: 4}, p99_ulp=1.25, median_ulp=0.75, max_abs=1e-5
        )
        (line,) = merged(report(measurements=(first, second)))
        assert (line.max_ulp, line.p99_ulp, line.median_ulp) == (8.0, 1.5, 0.75)
        assert line.max_abs == 1e-3
        assert line.counts == {Kind.NAN: 7}
        assert line.rows == 200

    def test_a_sweep_without_a_finite_error_does_not_hide_another(self) -> None:
        nothing = measurement(cell(sweep="a"), math.nan, p99_ulp=math.nan, median_ulp=math.nan)
        some = measurement(cell(sweep="b"), 2.0)
        for order in ((nothing, some), (some, nothing)):
            (line,) = merged(report(measurements=order))
            assert line.max_ulp == 2.0

    def test_worst_comes_first(self) -> None:
        lines = merged(
            report(
                measurements=(
                    measurement(cell("fine"), 0.5),
                    measurement(cell("off"), 1e9, {Kind.INACCURATE: 50}),
                    measurement(cell("inf"), 1.0, {Kind.SPURIOUS_OVERFLOW: 1}),
                    measurement(cell("more"), 9.0, {Kind.NAN: 1}),
                    measurement(cell("nan"), 1.0, {Kind.NAN: 2}),
                    measurement(cell("note"), 0.6, {Kind.CONVENTION: 99}),
                )
            )
        )
        order = [line.implementation for line in lines]
        assert order == ["more", "nan", "inf", "off", "note", "fine"]

    @pytest.mark.parametrize(
        ("counts", "grade", "verdict", "faulty"),
        [
            ({}, Grade.ROUNDED, "rounded", False),
            ({Kind.CONVENTION: 3}, Grade.ACCURATE, "accurate", False),
            ({Kind.FTZ: 3}, Grade.ACCURATE, "accurate", False),
            ({Kind.INACCURATE: 1}, Grade.ABSOLUTE, "absolute", True),
            ({Kind.ROW_DEPENDENT: 1}, Grade.ROUNDED, "rounded", True),
            ({Kind.NAN: 1}, Grade.BROKEN, "broken", True),
            ({}, None, "ungraded", False),
            ({Kind.INACCURATE: 1}, None, "ungraded", True),
        ],
    )
    def test_the_verdict_of_a_survey_is_the_grade(
        self, counts: Mapping[Kind, int], grade: Grade | None, verdict: str, faulty: bool
    ) -> None:
        (line,) = merged(report(measurements=(measurement(cell(), 1.0, counts, grade=grade),)))
        assert (line.verdict, line.faulty) == (verdict, faulty)

    def test_a_gate_fails_exactly_the_lines_with_violations(self) -> None:
        bad, allowed = cell("bad"), cell("allowed")
        findings = (Finding(Kind.NAN, bad, 2), Finding(Kind.NAN, allowed, 2))
        measurements = tuple(measurement(c, 1.0, {Kind.NAN: 2}) for c in (bad, allowed))
        lines = merged(
            report(
                measurements=measurements,
                findings=findings,
                violations=(Violation(findings[0], "nan is not allowed"),),
                gated=True,
            )
        )
        assert {line.implementation: line.verdict for line in lines} == {
            "bad": "FAIL",
            "allowed": "ok",
        }

    def test_an_implementation_that_only_raised_has_a_line(self) -> None:
        finding = Finding(Kind.RAISED, cell("mine"), 12, detail="ValueError: no")
        text = rendered(findings=(finding,))
        assert rows_of(text)[0][:2] == ["broken", "mine"]
        assert "raised 12" in text
        assert "ValueError: no" in text

    def test_a_kind_is_counted_once_although_measurement_and_finding_have_it(self) -> None:
        counted = measurement(cell(), 1.0, {Kind.NAN: 5})
        findings = (Finding(Kind.NAN, cell(), 5), Finding(Kind.MUTATED_INPUT, cell(), 9))
        (line,) = merged(report(measurements=(counted,), findings=findings))
        assert line.counts == {Kind.NAN: 5, Kind.MUTATED_INPUT: 9}

    def test_nan_and_inf_have_columns_and_other_kinds_are_named(self) -> None:
        counts = {Kind.INACCURATE: 44, Kind.SPURIOUS_OVERFLOW: 33, Kind.NAN: 22}
        text = rendered(measurements=(measurement(cell(), 1.0, counts),))
        (row,) = rows_of(text)
        assert row[4:6] == ["22", "33"]
        assert "inaccurate 44" in text

    @pytest.mark.parametrize("width", [80, 100, 160])
    def test_the_worst_witness_is_shown(self, width: int) -> None:
        counts = {Kind.INACCURATE: 1}
        text = rendered(width, measurements=(measurement(cell(), 1e7, counts),))
        assert "[20, 0, 0] label 0 → 0, exact 4.122e-9" in text

    def test_the_witness_is_that_of_the_gravest_finding(self) -> None:
        nan = Finding(Kind.NAN, cell(), 1, witness(actual=math.nan, ulp_error=math.nan))
        off = Finding(Kind.INACCURATE, cell(), 1, witness(actual=1.0))
        counts = {Kind.NAN: 1, Kind.INACCURATE: 1}
        (line,) = merged(
            report(measurements=(measurement(cell(), 1.0, counts),), findings=(off, nan))
        )
        assert line.witness is nan.witness

    def test_a_result_dtype_of_its_own_is_said(self) -> None:
        text = rendered(measurements=(measurement(cell(dtype="bfloat16"), 1.0),))
        assert "scored as float32" in text

    def test_color_adds_nothing_but_escape_sequences(self) -> None:
        things = report(**many())
        plain = table.render(things, 100, detail=Detail.CELLS)
        colored = table.render(things, 100, color=True, detail=Detail.CELLS)
        assert "\x1b[" in colored
        assert "\x1b" not in plain
        without = re.sub(r"\x1b\[[0-9;]*m", "", colored)
        assert [x.rstrip() for x in without.splitlines()] == plain.splitlines()

    def test_the_environment_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = rendered(**many())
        for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
            monkeypatch.setenv(name, "1")
        monkeypatch.setenv("COLUMNS", "40")
        assert rendered(**many()) == before


class TestSummary:
    def test_says_what_was_audited_and_skipped(self) -> None:
        text = rendered(
            measurements=(measurement(cell("a")), measurement(cell("b", "float64"))),
            skips=(
                Skip("has no gradient", "softmax_cross_entropy", "a", quantity="gradient"),
                Skip("has no gradient", "softmax_cross_entropy", "b", quantity="gradient"),
                Skip("no infinities", sweep="boundary"),
            ),
            yields=(Yield("s", "gap", "softmax_cross_entropy", "float32", 1200, 1100),),
        )
        flat = " ".join(text.split())
        assert "2 implementations of 1 loss in 2 dtypes: 2 cells, 200 rows scored" in flat
        assert "2 × has no gradient: a, b" in flat
        assert "1 × no infinities: boundary" in flat
        assert "1,200 rows from 1 sweep, 1,100 of them distinct" in flat
        assert "Goldberg" in flat
        assert "seed 7" in flat

    def test_a_survey_says_that_it_gates_nothing(self) -> None:
        things = {"measurements": (measurement(cell(), 9.0, {Kind.NAN: 1}),)}
        note = "no limits in the configuration, so the exit status is 0"
        assert note in " ".join(rendered(**things).split())
        assert note not in " ".join(rendered(**things, gated=True).split())

    @pytest.mark.parametrize(
        ("changes", "status", "text"),
        [
            ({}, 0, "no limits in the configuration, so the exit status is 0"),
            ({"interrupted": True}, 130, "interrupted"),
            ({"uncertified": ("row 3",)}, 4, "1 case without a certified result"),
            ({"measurements": ()}, 3, "nothing was audited"),
            ({"gated": True}, 0, "passed"),
            ({"gated": True, "interrupted": True}, 130, "interrupted"),
            ({"gated": True, "omissions": (Skip("gone", implementation="a"),)}, 1, "1 omission"),
            ({"gated": True, "strict": True, "changes": (STALE,)}, 1, "failed, 1 stale entry"),
            ({"gated": True, "changes": (STALE,)}, 0, "passed"),
            (
                {
                    "gated": True,
                    "strict": True,
                    "changes": (dataclasses.replace(STALE, into="nan"),),
                },
                0,
                "passed",
            ),
        ],
    )
    def test_the_first_line_is_the_status_in_words(
        self, changes: dict[str, Any], status: int, text: str
    ) -> None:
        fields = {"measurements": (measurement(cell(), 1.0),), **changes}
        it = report(**fields)
        shown = rendered(detail=Detail.SCREEN, **fields).splitlines()
        assert text in (shown[-1] if text.startswith("no limits") else shown[0])
        assert shown[0].startswith(("gate", "survey", "nothing was audited"))
        assert shown[0].startswith("gate") == (it.gated and text != "nothing was audited")
        assert shown[-1].split()[0] == "next"
        assert status_of(it) == status
        for told in (markdown.render(it), notebook.of_report(it), github.render(it, Path.cwd())):
            assert ("passed" in told or "within limits" in told) == (it.gated and status == 0)

    def test_cells_are_counted_alike_everywhere(self) -> None:
        """Two lines of the table, of three sweeps each: six cells, one of which fails."""
        cells = [
            dataclasses.replace(cell(), quantity=quantity, sweep=sweep)
            for quantity in Quantity
            for sweep in ("a", "b", "c")
        ]
        finding = Finding(Kind.NAN, cells[0], 1, witness())
        it = report(
            measurements=tuple(measurement(each, 1.0) for each in cells),
            findings=(finding,),
            violations=(Violation(finding, "nan is not allowed"),),
            gated=True,
        )
        flat = " ".join(table.render(it, 100, detail=Detail.CELLS).split())
        assert "6 cells, 600 rows scored" in flat
        assert "FAIL 1, ok 5 of 6 cells" in flat
        for text in (markdown.render(it), notebook.of_report(it), html.render(it)):
            assert "6 cells, 600 rows scored, 1 failing; seed 7" in text
        told = dict(pairs.summary(compare(it, it), ("a.json", "b.json")))
        assert told["base"].startswith("a.json: 6 cells, 600 rows")
        assert told["cells"] == "same 6"

    def test_a_violation_has_its_limit_its_witness_in_hex_and_how_to_replay_it(self) -> None:
        finding = Finding(Kind.INACCURATE, cell(), 3, witness(), hint="use log1p")
        text = rendered(
            measurements=(measurement(cell(), 1e7, {Kind.INACCURATE: 3}),),
            findings=(finding,),
            violations=(Violation(finding, "max_ulp 4 or_abs 1e-9"),),
            gated=True,
        )
        flat = " ".join(text.split())
        assert "1 violation" in flat
        assert "limit max_ulp 4 or_abs 1e-9" in flat
        assert "hint use log1p" in flat
        assert "[20, 0, 0] = [0x1.4p+4, 0x0p+0, 0x0p+0]" in flat
        assert f"exact {EXACT}" in flat
        assert (
            "xentcheck probe --loss softmax_cross_entropy --logits=20,0,0 --label=0 --dtype "
            "float32 --implementation numpy.naive"
        ) in flat.replace("\\ ", "")

    def test_violations_stand_before_the_summary(self) -> None:
        finding = Finding(Kind.NAN, cell(), 3)
        text = rendered(findings=(finding,), violations=(Violation(finding, "no"),), gated=True)
        assert text.index("1 violation,") < text.index("  next  ")

    def test_no_violation_is_left_out_in_silence(self) -> None:
        findings = tuple(Finding(Kind.NAN, cell(sweep=f"s{i}"), 1) for i in range(50))
        violations = tuple(Violation(each, "nan is not allowed") for each in findings)
        text = rendered(findings=findings, violations=violations, gated=True)
        shown = len(re.findall("limit +nan is not allowed", text))
        assert 0 < shown < 50
        assert f"and {50 - shown} more" in text

    def test_a_vocabulary_is_abbreviated_with_its_size(self) -> None:
        text = rendered(**many())
        assert "65,540" in text
        assert len(text) < 40_000

    def test_an_interrupted_run_says_that_it_is_partial(self) -> None:
        assert "interrupted" in rendered(interrupted=True)
        assert "interrupted" not in rendered()

    def test_nothing_audited_is_said(self) -> None:
        for detail in Detail:
            assert rendered(detail=detail).splitlines()[0] == "nothing was audited"


class TestNotation:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.0, "0"),
            (0.5, "0.50"),
            (3.974, "3.97"),
            (9.996, "10.0"),
            (99.96, "100"),
            (1204.4, "1204"),
            (9999.4, "9999"),
            (9999.6, "1.0e4"),
            (1.64e7, "1.6e7"),
            (1e300, "1.0e300"),
            (0.0012, "0.00"),
            (math.nan, "-"),
            (math.inf, "inf"),
        ],
    )
    def test_ulps_are_short(self, value: float, text: str) -> None:
        assert words.ulps(value) == text
        assert len(text) <= 7

    @pytest.mark.parametrize(
        "value", [0.1, 1e22, -1e30, 5e-324, 20.0, float(np.float32(0.1)), 1e16]
    )
    def test_decimals_read_back_as_the_same_number(self, value: float) -> None:
        assert float(words.decimal(value)) == value
        assert not words.decimal(value).endswith(".0")

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_digits_tell_neighbours_apart(self, dtype: str) -> None:
        one = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23}[dtype]
        written = {words.digits(8 * (1 + i * one), dtype) for i in range(100)}
        assert len(written) == 100

    @pytest.mark.parametrize("value", [20.0, 0.1, -745.25, 0.0, -0.0, math.inf, 5e-324])
    def test_hexadecimals_are_short_and_exact(self, value: float) -> None:
        text = words.hexadecimal(value)
        assert math.copysign(1, float.fromhex(text)) == math.copysign(1, value)
        assert float.fromhex(text) == value
        assert "0p" not in text or text.endswith("x0p+0")

    def test_exact_values_beyond_float64_keep_their_exponent(self) -> None:
        assert words.exact_brief("1.23456e-4000") == "1.235e-4000"
        assert words.exact_brief("-1.23456e+4000") == "-1.235e+4000"
        assert words.exact_brief("4.1223072e-9") == "4.122e-9"
        assert words.exact_brief("0") == "0"
        assert words.exact_brief("nan") == "nan"

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("2e+3", "2000"),
            ("-1.5e-5", "-0.000015"),
            ("2.50e-400", "2.50e-400"),
            ("1e+16", "1e16"),
            ("0", "0"),
            ("inf", "inf"),
            ("nan", "nan"),
        ],
    )
    def test_exact_values_are_written_plainly_near_one(self, text: str, written: str) -> None:
        assert words.exact_text(text) == written

    def test_kinds_are_listed_gravest_first(self) -> None:
        assert words.kinds({Kind.CONVENTION: 1, Kind.NAN: 1200}) == "nan 1,200, convention 1"

    @pytest.mark.parametrize("width", [60, 80, 200])
    def test_a_folded_command_is_the_same_command_to_a_shell(self, width: int) -> None:
        numbers = np.random.default_rng(1).normal(size=40)
        where = cell("my losses.py:it's[1]")
        shown = witness(logits=numbers, parameters={"temperature": 0.5})
        command = words.replay(report(), Finding(Kind.NAN, where, 1, shown))
        text = words.folded(command, width)
        assert max(map(len, text.splitlines())) <= width
        indented = text.replace("\n", "\n    ")
        printed = subprocess.run(
            ["sh", "-c", f"printf '%s\\0' {indented}"], check=True, capture_output=True, text=True
        )
        read = [re.sub(r",\s+", ",", each) for each in printed.stdout.split("\0")[:-1]]
        assert read == command


class TestDocument:
    def loaded(self, **changes: Any) -> Any:
        def refuse(word: str) -> float:
            raise AssertionError(word)

        return json.loads(document.to_json(report(**changes)), parse_constant=refuse)

    def test_has_the_keys_of_the_schema(self) -> None:
        where = cell()
        finding = Finding(Kind.NAN, where, 2, witness(), hint="h", detail="d")
        written = self.loaded(
            measurements=(measurement(where, 2.5, {Kind.NAN: 2}),),
            findings=(finding,),
            violations=(Violation(finding, "nan is not allowed", "nan", Standing.NEW, "nothing"),),
            skips=(Skip("why", "softmax"),),
            yields=(Yield("s", "gap", "softmax", "float32", 12, 10),),
            gated=True,
        )
        assert written["schema_version"] == 1
        assert written["seed"] == 7
        assert "Goldberg" in written["ulp"]
        names = {"loss", "implementation", "dtype", "quantity", "sweep", "rows", "witness"}
        (measured,) = written["measurements"]
        wanted = {"max_ulp", "p99_ulp", "median_ulp", "max_abs", "counts"}
        assert names | wanted <= set(measured)
        assert measured["counts"] == {"nan": 2}
        (found,) = written["findings"]
        assert names | {"kind", "cause", "hint"} <= set(found)
        (violation,) = written["violations"]
        assert violation == {
            "limit": "nan is not allowed",
            "rule": "nan",
            "standing": "new",
            "accepted": "nothing",
            "place": "",
            "bounds": {},
            **found,
        }
        assert written["skips"][0]["reason"] == "why"
        assert written["yields"][0]["distinct"] == 10
        assert written["gated"] is True
        assert written["interrupted"] is False

    def test_a_witness_can_be_replayed_from_it(self) -> None:
        logits = np.array([0.1, -0.0, np.inf, -np.inf, np.nan], np.float32)
        labels = np.array([0.2, 0.3, 0.5, 0, 0], np.float32)
        shown = witness(logits=logits, labels=labels, parameters={"temperature": 0.5})
        written = self.loaded(measurements=(measurement(cell(), witness=shown),))
        stored = written["measurements"][0]["witness"]
        back = read_array(stored["logits"], "float32")
        assert back.dtype == np.float32
        assert back.tobytes() == logits.tobytes()
        assert read_array(stored["labels"], "float32").tobytes() == labels.tobytes()
        assert stored["parameters"] == {"temperature": 0.5}
        assert stored["logits"][:2] == ["0x1.99999a0000000p-4", "-0x0.0p+0"]

    def test_integer_labels_are_integers_and_a_scalar_stands_alone(self) -> None:
        shown = witness(logits=np.array(-745.25), labels=np.array(3))
        stored = self.loaded(measurements=(measurement(cell(), witness=shown),))
        stored = stored["measurements"][0]["witness"]
        assert stored["labels"] == 3
        assert stored["logits"] == "-0x1.74a0000000000p+9"

    @pytest.mark.parametrize(
        ("value", "word"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")]
    )
    def test_non_finite_numbers_are_words(self, value: float, word: str) -> None:
        shown = witness(actual=value, expected=value, ulp_error=value)
        written = self.loaded(
            measurements=(measurement(cell(), value, witness=shown, max_abs=value),),
            config={"a": [value, {"b": value}]},
        )
        stored = written["measurements"][0]
        assert stored["max_ulp"] == stored["max_abs"] == word
        assert stored["witness"]["actual"] == stored["witness"]["actual_hex"] == word
        assert written["config"] == {"a": [word, {"b": word}]}

    def test_actual_and_expected_are_in_hex_too(self) -> None:
        shown = witness(actual=-0.0, expected=0.1)
        stored = self.loaded(measurements=(measurement(cell(), witness=shown),))
        stored = stored["measurements"][0]["witness"]
        assert stored["actual_hex"] == "-0x0.0p+0"
        assert float.fromhex(stored["expected_hex"]) == stored["expected"] == 0.1

    @pytest.mark.parametrize(
        "dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, ml_dtypes.float8_e5m2]
    )
    @pytest.mark.parametrize("shape", [(3,), (2, 3), (65_540,), (40, 50), ()])
    def test_arrays_come_back_bit_by_bit(self, dtype: Any, shape: tuple[int, ...]) -> None:
        values = np.random.default_rng(1).normal(size=shape).astype(dtype)
        written = json.loads(json.dumps(array(values), allow_nan=False))
        back = read_array(written, np.dtype(dtype).name)
        assert back.shape == values.shape
        assert back.dtype == values.dtype
        assert back.tobytes() == values.tobytes()

    def test_a_vocabulary_takes_less_room_than_its_hex_floats(self) -> None:
        values = np.random.default_rng(1).normal(size=65_540).astype(np.float32)
        text = json.dumps(array(values))
        assert len(text) < 6 * values.size

    def test_plain_takes_what_a_configuration_may_hold(self) -> None:
        written = strict(
            {
                "scalar": np.float32(0.5),
                "narrow": ml_dtypes.bfloat16(0.5),
                "count": np.int64(3),
                "truth": np.bool_(True),
                "kind": Kind.NAN,
                "names": frozenset({"b", "a"}),
                "axis": (1, None, "x"),
            }
        )
        assert json.loads(json.dumps(written)) == {
            "scalar": 0.5,
            "narrow": 0.5,
            "count": 3,
            "truth": True,
            "kind": "nan",
            "names": ["a", "b"],
            "axis": [1, None, "x"],
        }

    def test_the_same_report_gives_the_same_text(self) -> None:
        things = report(**many(), config={"kinds": frozenset(Kind)})
        assert document.to_json(things) == document.to_json(things)


class TestProbe:
    def result(self, components: int = 3) -> ProbeResult:
        def number(index: int | None, actual: float, ulp: float, kind: Kind | None) -> ProbeNumber:
            return ProbeNumber(0, index, actual, EXACT, 4.12230722e-09, ulp, kind, "float32")

        lines = []
        measurements = []
        for name, actual, kind in (
            ("good[1]", 4.12230722e-09, None),
            ("bad", math.nan, Kind.NAN),
            ("off", 0.0, Kind.SPURIOUS_UNDERFLOW),
        ):
            error = math.nan if kind is Kind.NAN else 0.25 if kind is None else 1.16e7
            for quantity in Quantity:
                where = cell(name, quantity=quantity, sweep="probe")
                indices = [None] if quantity is Quantity.VALUE else list(range(components))
                numbers = tuple(number(i, actual, error, kind) for i in indices)
                lines.append(ProbeLine(name, "float32", quantity, numbers))
                measurements.append(measurement(where, error))
        lines.append(ProbeLine("raiser", "float32", Quantity.VALUE, (), "ValueError: no"))
        skips = (Skip("takes no temperature", "softmax", "other"),)
        return ProbeResult(report(measurements=tuple(measurements), skips=skips), tuple(lines))

    @pytest.mark.parametrize("width", [80, 100])
    def test_fits_and_shows_results_in_decimal_and_hex(self, width: int) -> None:
        text = to_text(render_probe(self.result(), width), width, color=False)
        assert max(map(cell_len, text.splitlines())) <= width
        flat = " ".join(text.split())
        assert "[20, 0, 0] = [0x1.4p+4, 0x0p+0, 0x0p+0]" in flat
        assert f"exact {EXACT}" in flat
        assert "good[1] 4.12230722e-9 0x1.1b4865" in flat
        assert "gradient[2]" in flat
        assert "spurious-underflow" in flat
        assert "raiser: ValueError: no" in flat
        assert "takes no temperature: other" in flat
        assert "Goldberg" in flat

    def test_the_worst_comes_first(self) -> None:
        text = to_text(render_probe(self.result(), 100), 100, color=False)
        value = text[text.index("value") : text.index("gradient")]
        assert value.index("bad") < value.index("off") < value.index("good[1]")

    def test_many_components_are_cut_to_the_worst_and_say_so(self) -> None:
        text = to_text(render_probe(self.result(1000), 100), 100, color=False)
        assert text.count("gradient[") < 20
        assert "1,000 components" in text


def progress_text(progress, elapsed, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(progress_line.render(progress, elapsed, width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_progress_tells_share_rows_rate_time_left_and_the_worst_so_far(width):
    told = Progress(0.25, 3_000_000, "all: sigmoid in float32", 1234.5, "numpy.naive, sigmoid")
    text = progress_text(told, 10.0, width)
    lines = text.splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert "25 %" in text
    assert "3,000,000 rows" in text
    assert "300.0 k rows/s" in text
    assert "0:30 left" in text
    assert "all: sigmoid in float32" in lines[1]
    if width >= 80:
        assert "worst so far" in lines[1]


def test_progress_tells_what_is_waited_for():
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(progress_line.render(None, 3.0, 80, "importing torch"))
    assert console.file.getvalue() == "importing torch\n"
    told = Progress(0.25, 300, "all: sigmoid in float32", 1234.5, "numpy.naive, sigmoid")
    console.print(progress_line.render(told, 3.0, 80, "compiling with jax"))
    last = console.file.getvalue().splitlines()[-1]
    assert last.startswith("all: sigmoid in float32; compiling with jax; worst so far 1234 ulp")


@pytest.mark.parametrize("width", [40, 80, 100])
def test_progress_of_a_probe_has_what_is_there_and_what_is_waited_for(width):
    numbers = {
        "numpy.right": ProbeNumber(0, None, 1.5, "1.5", 1.5, 0.25, None, "float32"),
        "scipy.special.of_a_long_name": ProbeNumber(
            0, None, 2.5, "1.5", 1.5, 8.4e6, Kind.INACCURATE, "float32"
        ),
    }
    lines = [ProbeLine(name, "float32", "value", (each,)) for name, each in numbers.items()]
    gone = ProbeLine("numpy.raises", "float32", "value", (), "ValueError")
    steep = ProbeLine("numpy.right", "float32", "gradient", (numbers["numpy.right"],))
    before = ProbeLine("numpy.other", "bfloat16", "value", (numbers["numpy.right"],))
    told = ProbeProgress((before, *lines, gone, steep))

    def shown(height):
        console = Console(width=width, file=io.StringIO(), color_system=None)
        console.print(progress_line.of_probe(told, "importing torch", width, height))
        return console.file.getvalue().splitlines()

    worst, right, last = shown(24)
    assert max(map(len, (worst, right, last))) <= width
    assert worst.startswith("scipy.spec")
    assert "inaccurate" in worst or width == 40
    assert right.split()[:4] == ["numpy.right", "1.5", "0.25", "ulp"]
    assert last == "importing torch"
    assert len(shown(2)) == 2


@pytest.mark.parametrize(
    ("share", "elapsed", "left"),
    [
        (0.5, 7200.0, "2:00:00 left"),
        (0.9999, 100.0, "0:00 left"),
        (0.0, 5.0, "time left unknown"),
    ],
)
def test_the_time_left_is_what_the_rest_takes_at_this_pace(share, elapsed, left):
    text = progress_text(Progress(share, 10, "a: b"), elapsed, 80)
    assert left in text
    assert "worst" not in text


def test_the_table_tells_what_each_tier_decided_and_what_failed():
    reference = {
        "decided_by": {"float64": 12_000, "binary128": 0, "mpmath": 34},
        "rows_sampled_by_mpmath": 5,
        "witnesses_by_mpmath": 6,
        "witnesses_confirmed_by_definition": 7,
        "confirmations_failed": 0,
        "binary128": False,
    }
    report = Report({}, 0, {}, (), (), (), (), (), gated=False, reference=reference)
    text = " ".join(table.render(report, 100, detail=Detail.CELLS).split())
    assert "rows decided 12,000 by float64, 34 by mpmath; numpy-quaddtype is not installed" in text
    assert "mpmath confirmed 5 sampled and 6 shown rows" in text
    assert "the textbook definition 7 worst ones; none failed" in text
    failed = dataclasses.replace(report, reference={**reference, "confirmations_failed": 2})
    assert "2 FAILED" in table.render(failed, 100, color=False)


def test_a_worker_that_died_is_told_in_table_and_document():
    report = Report({}, 0, {}, (), (), (), (), (), gated=False, deaths=("a worker died of X",))
    assert "a worker died of X" in table.render(report, 80, color=False)
    assert document.to_document(report)["deaths"] == ["a worker died of X"]


def test_json_of_texts_that_no_encoding_takes_can_be_written_and_read() -> None:
    finding = Finding(Kind.RAISED, cell(), 1, detail="ValueError: \ud800")
    text = document.to_json(report(findings=(finding,)))
    assert json.loads(text.encode("utf-8"))["findings"][0]["detail"] == "ValueError: \ud800"
