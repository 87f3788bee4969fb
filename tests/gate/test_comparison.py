"""Two reports compared: how every cell stands, how that looks, and the status of the command."""

import dataclasses
import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.cells import cell_len

from tests.making import witness_of
from tests.running import invoke
from xentcheck.gate.comparison import MAX_ULP, Comparison, Pair, compare, nothing_shared
from xentcheck.model import (
    Cell,
    Finding,
    Kind,
    Measurement,
    Quantity,
    Report,
    Skip,
    Standing,
    Witness,
)
from xentcheck.report import document
from xentcheck.report.comparison import markdown, table
from xentcheck.report.comparison.document import to_json

CELL = Cell("softmax_cross_entropy", "mine", "float32", Quantity.VALUE, "confident")
NAMES = ("base.json", "head.json")
ODD = """it's "odd" <b>&amp; [red]`x`|*y*_z_@all\\#1 www.x.org"""


def witness(ulp: float, **changes: Any) -> Witness:
    fields: dict[str, Any] = {
        "logits": np.array([20, 0, 0], np.float32),
        "labels": np.array(0),
        "parameters": {},
        "actual": 0.0,
        "expected": 4.12230722e-09,
        "exact": "4.12230722050245e-9",
        "ulp_error": ulp,
        "abs_error": 4.12e-09,
        "result_dtype": "float32",
    }
    return witness_of(**{**fields, **changes})


def report(*sides: tuple[Measurement, list[Finding]], **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "environment": {"xentcheck": "1", "platform": "Linux x86_64"},
        "seed": 0,
        "config": {},
        "violations": (),
        "skips": (),
        "yields": (),
        "gated": False,
    }
    fields["measurements"] = tuple(measurement for measurement, _ in sides)
    fields["findings"] = tuple(finding for _, findings in sides for finding in findings)
    return Report(**{**fields, **changes})


def side(
    faults: Mapping[Kind, tuple[int, float]] | None = None,
    max_ulp: float = 0.5,
    rows: int = 100,
    cell: Cell = CELL,
) -> tuple[Measurement, list[Finding]]:
    """What a report has of a cell; ``faults`` are rows and ulps by kind."""
    faults = faults or {}
    findings = [
        Finding(kind, cell, count, witness(ulp, row=position))
        for position, (kind, (count, ulp)) in enumerate(faults.items())
    ]
    measured = Measurement(
        cell,
        rows,
        max_ulp,
        max_ulp,
        max_ulp,
        1e-9,
        {kind: count for kind, (count, _) in faults.items()},
        witness(math.nan, row=50),
        "float32",
        farthest=None if math.isnan(max_ulp) else witness(max_ulp, row=60),
    )
    return measured, findings


def only(base: tuple[Any, Any], head: tuple[Any, Any], slack: float = 0.0) -> Pair:
    (pair,) = compare(report(base), report(head), slack).pairs
    return pair


def stands(pair: Pair) -> dict[str, str]:
    return {each.rule: each.standing.value for each in pair.differences}


NAN, OFF, SIGN = Kind.NAN, Kind.INACCURATE, Kind.WRONG_SIGN


class TestStanding:
    @pytest.mark.parametrize(
        ("base", "head", "whole", "rules"),
        [
            ({}, {}, "same", {}),
            ({NAN: (3, math.nan)}, {NAN: (3, math.nan)}, "same", {"nan": "same"}),
            ({NAN: (3, math.nan)}, {NAN: (4, math.nan)}, "worse", {"nan": "worse"}),
            ({NAN: (3, math.nan)}, {NAN: (2, math.nan)}, "better", {"nan": "better"}),
            ({OFF: (3, 9.0)}, {OFF: (3, 9.5)}, "worse", {"inaccurate": "worse"}),
            ({OFF: (3, 9.0)}, {OFF: (3, 8.5)}, "better", {"inaccurate": "better"}),
            ({OFF: (3, 9.0)}, {OFF: (2, 9.5)}, "worse", {"inaccurate": "worse"}),
            ({OFF: (3, 9.0)}, {OFF: (4, 8.5)}, "worse", {"inaccurate": "worse"}),
            ({}, {NAN: (1, math.nan)}, "worse", {"nan": "new"}),
            ({NAN: (1, math.nan)}, {}, "better", {"nan": "gone"}),
            (
                {NAN: (1, math.nan), SIGN: (2, 5.0)},
                {OFF: (1, 5.0), SIGN: (2, 5.0)},
                "worse",
                {"inaccurate": "new", "nan": "gone", "wrong-sign": "same"},
            ),
            (
                {NAN: (5, math.nan), OFF: (5, 9.0)},
                {NAN: (4, math.nan), OFF: (6, 9.0)},
                "worse",
                {"inaccurate": "worse", "nan": "better"},
            ),
        ],
    )
    def test_a_known_cell(
        self,
        base: dict[Kind, tuple[int, float]],
        head: dict[Kind, tuple[int, float]],
        whole: str,
        rules: dict[str, str],
    ) -> None:
        pair = only(side(base), side(head))
        assert pair.standing.value == whole
        assert list(stands(pair).items()) == list(rules.items())

    def test_the_largest_error_may_grow_within_no_fault(self) -> None:
        pair = only(side(max_ulp=0.5), side(max_ulp=math.nextafter(0.5, 1)))
        assert pair.standing is Standing.WORSE
        (difference,) = pair.differences
        assert (difference.rule, difference.standing) == (MAX_ULP, Standing.WORSE)
        assert difference.head_witness is not None
        assert difference.head_witness.row == 60  # the farthest, not the cell's worst
        assert only(side(max_ulp=3.5), side(max_ulp=0.5)).standing is Standing.BETTER

    def test_the_largest_error_is_told_only_where_no_fault_says_as_much(self) -> None:
        grown = only(side({OFF: (3, 9.0)}, max_ulp=9.0), side({OFF: (3, 9.5)}, max_ulp=9.5))
        assert stands(grown) == {"inaccurate": "worse"}
        mixed = only(side({OFF: (3, 9.0)}, max_ulp=9.0), side({OFF: (2, 9.0)}, max_ulp=9.5))
        assert stands(mixed) == {"max_ulp": "worse", "inaccurate": "better"}
        other = only(side({NAN: (3, math.nan)}, 0.5), side({NAN: (4, math.nan)}, 0.6))
        assert stands(other) == {"nan": "worse", "max_ulp": "worse"}

    def test_without_a_finite_error_the_kinds_decide(self) -> None:
        nothing = side({NAN: (100, math.nan)}, max_ulp=math.nan)
        some = side({NAN: (99, math.nan)}, max_ulp=1e9)
        assert stands(only(nothing, some)) == {"nan": "better"}
        assert stands(only(some, nothing)) == {"nan": "worse"}
        assert only(nothing, nothing).standing is Standing.SAME

    def test_a_fault_beyond_ulps_is_worse_than_one_in_ulps(self) -> None:
        finite, infinite = side({SIGN: (3, 1e30)}), side({SIGN: (3, math.nan)})
        assert only(finite, infinite).standing is Standing.WORSE
        assert only(infinite, finite).standing is Standing.BETTER
        assert only(infinite, infinite).standing is Standing.SAME

    def test_notes_are_no_faults(self) -> None:
        noted = side({Kind.CONVENTION: (3, math.nan), Kind.FTZ: (2, math.nan)})
        assert stands(only(side(), noted)) == {}
        assert only(side(), noted).standing is Standing.SAME

    def test_slack_is_for_ulps_and_includes_its_end(self) -> None:
        known, more = side({OFF: (3, 64.0)}, 64.0), side({OFF: (3, 72.0)}, 72.0)
        assert only(known, more, slack=0.125).standing is Standing.SAME
        assert only(more, known, slack=0.125).standing is Standing.SAME
        beyond = math.nextafter(72.0, 100)
        over = side({OFF: (3, beyond)}, beyond)
        assert only(known, over, slack=0.125).standing is Standing.WORSE
        assert only(over, known, slack=0.125).standing is Standing.BETTER
        assert only(known, side({OFF: (4, 64.0)}, 64.0), slack=0.125).standing is Standing.WORSE

    def test_shares_of_rows_are_compared(self) -> None:
        few = side({NAN: (3, math.nan)}, rows=100)
        assert only(few, side({NAN: (6, math.nan)}, rows=200)).standing is Standing.SAME
        assert only(few, side({NAN: (7, math.nan)}, rows=200)).standing is Standing.WORSE
        assert only(few, side({NAN: (5, math.nan)}, rows=200)).standing is Standing.BETTER

    @pytest.mark.parametrize("kind", [Kind.NON_DETERMINISTIC, Kind.TIMED_OUT])
    def test_what_changes_from_run_to_run_is_there_or_not(self, kind: Kind) -> None:
        some, more = side({kind: (3, math.nan)}), side({kind: (9, math.nan)})
        assert only(some, more).standing is Standing.SAME
        assert only(side(), more).standing is Standing.WORSE
        assert only(more, side()).standing is Standing.BETTER

    def test_results_that_differ_are_compared_by_how_far(self) -> None:
        def apart(distance: float) -> tuple[Measurement, list[Finding]]:
            measured, (finding,) = side({Kind.INCONSISTENT: (3, math.nan)})
            return measured, [dataclasses.replace(finding, distance=distance)]

        assert only(apart(9.0), apart(10.0)).standing is Standing.WORSE
        assert only(apart(9.0), apart(8.0)).standing is Standing.BETTER
        assert only(apart(9.0), apart(math.inf)).standing is Standing.WORSE
        assert only(apart(9.0), apart(9.0)).standing is Standing.SAME

    def test_cells_of_one_report_are_new_or_gone_and_not_worse(self) -> None:
        bad = side({NAN: (3, math.nan)})
        (new,) = compare(report(), report(bad)).pairs
        assert (new.standing, stands(new)) == (Standing.NEW, {"nan": "new"})
        assert new.base is None
        skips = (Skip("not today", CELL.loss, CELL.implementation, dtype="float32"),)
        (gone,) = compare(report(bad), report(skips=skips)).pairs
        assert (gone.standing, stands(gone)) == (Standing.GONE, {"nan": "gone"})
        assert gone.reason == "not today"
        other = (Skip("not today", CELL.loss, CELL.implementation, dtype="float16"),)
        assert compare(report(bad), report(skips=other)).pairs[0].reason == ""
        missing = (Skip("mine is not installed", missing="mine"),)
        (gone,) = compare(report(bad), report(skips=missing)).pairs
        assert gone.reason == "mine is not installed"

    def test_a_cell_is_told_from_others_by_all_of_its_five_parts(self) -> None:
        changes: list[dict[str, Any]] = [
            {"loss": "softplus"},
            {"implementation": "yours"},
            {"dtype": "float64"},
            {"quantity": Quantity.GRADIENT},
            {"sweep": "else"},
        ]
        for change in changes:
            head = side(cell=dataclasses.replace(CELL, **change))
            compared = compare(report(side()), report(head))
            assert [pair.standing.value for pair in compared.pairs] == ["new", "gone"]
            assert compared.shared == 0
            (what,) = change
            assert f"no {what} is in both" in nothing_shared(compared)

    def test_findings_without_a_measurement_make_a_cell(self) -> None:
        lost = Finding(Kind.CRASHED, CELL, 12)
        compared = compare(report(side()), report(findings=(lost,)))
        (pair,) = compared.pairs
        assert (pair.standing, stands(pair)) == (Standing.WORSE, {"crashed": "new"})
        assert compare(report(findings=(lost,)), report(findings=(lost,))).shared == 1

    def test_worst_first(self) -> None:
        def named(name: str, **of: Any) -> tuple[Measurement, list[Finding]]:
            return side(**of, cell=dataclasses.replace(CELL, implementation=name))

        off, nan = {OFF: (1, 9.0)}, {NAN: (1, math.nan)}
        base = [
            named("same"),
            named("better", faults=nan),
            named("max", max_ulp=1.0),
            named("nan"),
            named("off"),
            named("more off"),
            named("gone"),
        ]
        head = [
            named("same"),
            named("better"),
            named("new"),
            named("new and off", faults=off),
            named("max", max_ulp=2.0),
            named("off", faults=off),
            named("more off", faults={OFF: (1, 10.0)}),
            named("nan", faults=nan),
        ]
        compared = compare(report(*base), report(*head))
        order = ["nan", "more off", "off", "max", "new and off", "new", "gone", "better", "same"]
        assert [pair.cell.implementation for pair in compared.pairs] == order
        assert compared.tally == {
            Standing.WORSE: 4,
            Standing.NEW: 2,
            Standing.GONE: 1,
            Standing.BETTER: 1,
            Standing.SAME: 1,
        }


class TestNotes:
    @staticmethod
    def noted(base: dict[str, Any], head: dict[str, Any], rows: int = 100) -> dict[str, str]:
        compared = compare(report(side(), **base), report(side(rows=rows), **head))
        assert all(note.warning == (note.topic != "environment") for note in compared.notes)
        return {note.topic: note.text for note in compared.notes}

    def test_equal_reports_have_none(self) -> None:
        assert self.noted({}, {}) == {}

    def test_the_seed_and_the_number_of_rows(self) -> None:
        told = self.noted({"seed": 1}, {"seed": 2}, rows=1200)
        assert set(told) == {"seed", "rows"}
        assert told["seed"].startswith("1 → 2: ")
        assert "confident (100 → 1,200)" in told["rows"]

    def test_versions_and_the_platform(self) -> None:
        before = {"numpy": "1", "torch": "2", "platform": "Linux x86_64"}
        now = {"numpy": "2", "jax": "1", "platform": "Darwin arm64"}
        compared = compare(report(side(), environment=before), report(side(), environment=now))
        assert [note.text for note in compared.notes] == [
            "numpy 1 → 2",
            "torch 2 → none",
            "platform Linux x86_64 → Darwin arm64; two machines may round differently: --slack",
            "jax none → 1",
        ]

    def test_what_the_configurations_say_of_inputs_and_limits(self) -> None:
        def config(scale: float, ulp: float, patterns: list[str]) -> dict[str, Any]:
            sweep = {"inputs": [{"generator": "normal", "scale": scale}]}
            sweeps = {"confident": {**sweep, "implementations": patterns}, "other": {"inputs": ulp}}
            return {"config": {"sweeps": sweeps, "limits": [{"max_ulp": ulp}]}}

        assert self.noted(config(1, 4, ["a"]), config(1, 4, ["b"])) == {}
        assert set(self.noted(config(1, 4, []), config(2, 4, []))) == {"inputs"}
        assert set(self.noted(config(1, 4, []), config(1, 8, []))) == {"limits"}
        checks = ({"config": {"command": "check", "max_ulp": each}} for each in (4.0, 16.0))
        assert set(self.noted(*checks)) == {"limits"}

    def test_reports_that_are_not_whole(self) -> None:
        told = self.noted({"interrupted": True}, {"uncertified": ("a", "b")})
        assert "BASE was interrupted" in told["interrupted"]
        assert "HEAD has 2 exact results" in told["uncertified"]


def mixed(implementation: str = "mine", sweep: str = "confident") -> Comparison:
    """A comparison with every standing in it."""
    cells = {
        name: dataclasses.replace(CELL, implementation=f"{implementation}.{name}", sweep=sweep)
        for name in ("worse", "better", "new", "gone", "same", "max")
    }
    raised = side(max_ulp=9.0, cell=cells["worse"])[0]
    failed = Finding(Kind.RAISED, cells["worse"], 5, witness(math.nan, exact="", note="boom\n[x]"))
    base = (
        side({OFF: (3, 9.0)}, 9.0, cell=cells["worse"]),
        side({NAN: (3, math.nan)}, cell=cells["better"]),
        side({OFF: (1, 77.0)}, 77.0, cell=cells["gone"]),
        side(cell=cells["same"]),
        side(max_ulp=0.5000001, cell=cells["max"]),
    )
    head = (
        (raised, [failed, *side({OFF: (30, 9.0)}, 9.0, cell=cells["worse"])[1]]),
        side(cell=cells["better"]),
        side({SIGN: (2, 5.0)}, cell=cells["new"]),
        side(cell=cells["same"]),
        side(max_ulp=0.5000002, cell=cells["max"]),
    )
    return compare(report(*base), report(*head, seed=3))


class TestTable:
    @pytest.mark.parametrize("width", [80, 100, 160])
    @pytest.mark.parametrize("name", ["mine", "a/rather/long/path/to/my_losses.py:Model.loss[x]"])
    def test_fits_and_tells_everything_but_what_is_the_same(self, width: int, name: str) -> None:
        text = table.render(mixed(name), NAMES, width, color=False)
        assert max(map(cell_len, text.splitlines())) <= width
        words = " ".join(text.split())
        assert "raised new: 5 of 100 rows · inaccurate worse: 3 → 30 of 100 rows" in words
        assert "max ulp worse: 0.5000001 → 0.5000002 ulp" in words
        assert "nan gone: was 3 of 100 rows" in words
        assert "wrong-sign: 2 of 100 rows, 5.00 ulp" in words
        assert "inaccurate: was 1 of 100 rows, 77.0 ulp" in words
        assert "worse 2, new 1, gone 1, better 1, same 1" in words
        assert "2 of 4 cells in both reports are worse" in words
        assert "seed 0 → 3: random inputs differ" in words
        assert not re.search(r"^same ", text, re.MULTILINE)

    def test_both_witnesses_are_shown_in_full_and_heads_can_be_replayed(self) -> None:
        base = side({OFF: (3, 9.0)}, 9.0)
        measured, (finding,) = side({OFF: (3, 12.0)}, 12.0)
        other = witness(12.0, logits=np.array([0.1, 3, 2], np.float32), labels=np.array(1))
        head = (measured, [dataclasses.replace(finding, witness=other)])
        text = table.render(compare(report(base), report(head)), NAMES, 200, color=False)
        full = text[text.index("1 cell worse") :]
        assert "base logits    [20, 0, 0] = [0x1.4p+4, 0x0p+0, 0x0p+0]" in full
        assert "base error     9.00 ulp" in full
        assert "head logits    [0.10000000149011612, 3, 2] = [0x1.99999ap-4," in full
        assert "head error     12.0 ulp" in full
        assert re.search(r"replay +xentcheck probe --loss softmax_cross_entropy .*--label=1", full)

    def test_what_two_witnesses_of_one_input_share_is_told_once(self) -> None:
        base, head = side({OFF: (3, 9.0)}, 9.0), side({OFF: (3, 12.0)}, 12.0)
        text = table.render(compare(report(base), report(head)), NAMES, 100, color=False)
        full = text[text.index("1 cell worse") :]
        assert full.count("[0x1.4p+4, 0x0p+0, 0x0p+0]") == 1
        assert full.count("4.12230722050245e-9") == 1
        assert "base error" in full
        assert "head error" in full

    def test_the_columns_do_not_say_the_opposite_of_the_verdict(self) -> None:
        """A NaN has no ulps: what is left without that row may be a smaller error."""
        compared = compare(report(side(max_ulp=24.5)), report(side({NAN: (3, math.nan)}, 0.5)))
        text = table.render(compared, NAMES, 100, color=False)
        (line,) = (each for each in text.splitlines() if each.startswith("worse "))
        assert line.split()[-2:] == ["24.5", "nan"]
        assert "| 24.5 | nan |" in markdown.render(compared, NAMES)

    def test_it_says_which_report_lacks_a_cell(self) -> None:
        base = dataclasses.replace(
            report(), skips=(Skip("has no gradient", CELL.loss, CELL.implementation),)
        )
        for pair, word in (((base, report(side())), "base"), ((report(side()), base), "head")):
            text = table.render(compare(*pair), NAMES, 100, color=False)
            assert f"not in {word}: has no gradient" in text

    def test_names_with_markup_survive_and_steer_no_terminal(self) -> None:
        name = f"{ODD}\x1b[31m\nnext"
        text = table.render(mixed(name), NAMES, 200, color=False)
        assert f"{ODD}\\x1b[31m\\nnext.worse" in text
        assert "\x1b" not in text

    def test_color_repeats_what_is_said(self) -> None:
        plain = table.render(mixed(), NAMES, 100, color=False)
        colored = table.render(mixed(), NAMES, 100, color=True)
        assert "\x1b[1;31mworse" in colored
        assert re.sub(r"\x1b\[[0-9;]*m", "", colored).split() == plain.split()

    def test_equal_reports_are_told_in_a_few_lines(self) -> None:
        it = report(side({NAN: (3, math.nan)}))
        text = table.render(compare(it, it), NAMES, 80, color=False)
        assert "none of 1 cell in both reports is worse" in text
        assert "standing" not in text
        assert len(text.splitlines()) < 10


class Words(HTMLParser):
    """The text of a page, and how its elements nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page_of(markdown: str) -> Words:
    page = Words(MarkdownIt("commonmark").enable("table").render(markdown))
    assert page.open == []
    return page


class TestMarkdown:
    def test_tells_what_is_worse_first_and_folds_the_rest(self) -> None:
        text = markdown.render(mixed(), NAMES)
        page = page_of(text)
        assert text.startswith("### xentcheck: 2 of 4 cells in both reports are worse\n")
        assert text.index("**worse**") < text.index("<details>")
        assert page.seen.count("details") == 2 + 3 + 1  # worse each; new, gone, better; the rest
        assert page.seen.count("table") == 4
        assert "xentcheck probe --loss softmax_cross_entropy" in "".join(page.text)
        words = "".join(page.text)
        for folded in ("1 new", "1 gone", "1 better"):
            assert folded in words
        assert "seed: 0 → 3: random inputs differ" in words

    def test_names_survive_what_renders_it(self) -> None:
        name = f"{ODD}\nnext"
        page = page_of(markdown.render(mixed(name, sweep=name), (name, name)))
        words = "".join(page.text)
        assert words.count(f"{ODD}next.worse") == 2  # the newline became an element
        assert words.count(ODD) >= 12
        assert set(page.seen) <= {
            *("h3", "p", "ul", "li", "strong", "code", "pre", "br", "details", "summary"),
            *("table", "thead", "tbody", "tr", "th", "td"),
        }

    @pytest.mark.parametrize("largest", [markdown.LARGEST, 4096])
    def test_is_no_longer_than_a_comment_may_be_and_says_what_is_left_out(
        self, largest: int
    ) -> None:
        base, head = [], []
        for i in range(600):
            worse, new, gone = (
                dataclasses.replace(CELL, implementation=f"{ODD}.{what}.{i}")
                for what in ("worse", "new", "gone")
            )
            base += [side(cell=worse), side({OFF: (3, 9.0)}, cell=gone)]
            head += [side({NAN: (i + 1, math.nan)}, cell=worse), side({OFF: (3, 9.0)}, cell=new)]
        text = markdown.render(compare(report(*base), report(*head)), NAMES, largest)
        assert len(text.encode()) <= largest
        words = "".join(page_of(text).text)
        assert words.startswith("xentcheck: 600 of 600 cells in both reports are worse\n")
        assert "600 worse, 600 new, 600 gone" in words
        assert len(re.findall(r"… and [\d,]+ more", words)) >= 3
        shown = len(re.findall(r"^\| \*\*worse\*\*", text, re.MULTILINE))
        assert f"… and {600 - shown} more" in words
        if largest == markdown.LARGEST:
            assert shown > 20
            assert "xentcheck probe" in words


class TestJson:
    def test_has_every_cell_with_both_witnesses_and_the_replay(self) -> None:
        def no_constant(word: str) -> None:
            raise AssertionError(word)

        text = to_json(mixed(), NAMES)
        written = json.loads(text, parse_constant=no_constant)
        assert written["schema_version"] == 1
        assert written["counts"] == {"worse": 2, "new": 1, "gone": 1, "better": 1, "same": 1}
        assert (written["base"]["file"], written["head"]["file"]) == NAMES
        assert (written["base"]["seed"], written["head"]["seed"]) == (0, 3)
        by_name = {each["implementation"]: each for each in written["cells"]}
        assert len(by_name) == 6
        first, second = by_name["mine.worse"]["faults"]
        assert (first["rule"], first["standing"], first["base"]) == ("raised", "new", None)
        assert first["head"] == {"rows": 5, "of": 100, "ulp": None}
        assert first["head_witness"]["note"] == "boom\n[x]"
        assert second["base"] == {"rows": 3, "of": 100, "ulp": 9.0}
        assert second["head"] == {"rows": 30, "of": 100, "ulp": 9.0}
        assert second["base_witness"]["logits"][0] == "0x1.4000000000000p+4"
        assert shlex.split(second["replay"])[:2] == ["xentcheck", "probe"]
        assert by_name["mine.new"]["base"] is None
        assert by_name["mine.gone"]["head"] is None
        assert by_name["mine.same"]["faults"] == []

    def test_what_no_json_has_is_a_text(self) -> None:
        nothing = report(side({NAN: (100, math.nan)}, max_ulp=math.nan))
        written = json.loads(to_json(compare(nothing, nothing), NAMES))
        assert written["cells"][0]["base"]["max_ulp"] == "nan"


CONFIG = """\
sweeps:
  confident:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: mine
    inputs:
      - {generator: explicit, values: [[20, 0, 0], [1, 2, 3], [100, 100, 0]]}
implementations:
  - {loss: softmax_cross_entropy, name: mine, target: "losses.py:loss"}
"""
SHIFTED = """\
import numpy as np

def loss(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(shifted)), labels]
"""
NAIVE = SHIFTED.replace(" - logits.max(axis=1, keepdims=True)", "")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with reports: of every standing, and of a cell of no other."""
    both = mixed()
    far = side(cell=dataclasses.replace(CELL, sweep="other"))
    (tmp_path / "base.json").write_text(document.to_json(both.base))
    (tmp_path / "head.json").write_text(document.to_json(both.head))
    (tmp_path / "other.json").write_text(document.to_json(report(far)))
    (tmp_path / "empty.json").write_text(document.to_json(report()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


def installed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("xentcheck")), *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "status", "out", "err"),
        [
            (["base.json", "base.json"], 0, "none of 5 cells in both reports is worse", ""),
            (["base.json", "head.json"], 1, "2 of 4 cells in both reports are worse", ""),
            (["base.json"], 2, "", "Missing argument 'HEAD.json'"),
            (["base.json", "none.json"], 2, "", "none.json: there is no such file"),
            (["base.json", "other.json"], 3, "no cell is in both", "no implementation is"),
        ],
    )
    def test_exit_statuses_of_the_installed_command(
        self, place: Path, arguments: list[str], status: int, out: str, err: str
    ) -> None:
        done = installed("compare", *arguments)
        assert done.returncode == status, done.stderr
        assert out in done.stdout
        assert err in done.stderr
        assert bool(done.stderr) == bool(err)

    @pytest.mark.parametrize("names", [("empty.json", "empty.json"), ("empty.json", "head.json")])
    def test_nothing_to_compare_exits_3(self, place: Path, names: tuple[str, str]) -> None:
        done = invoke("compare", *names)
        assert done.exit_code == 3
        assert "error: nothing was compared" in done.stderr
        assert "BASE has no cells" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--slack=-1"], "'--slack': -1.0 is not in the range x>=0"),
            (["--slack=nan"], "--slack nan: has to be a number such as 0.01"),
            (["--slack=inf"], "--slack inf: has to be a number such as 0.01"),
            (["--format=junit"], "'junit' is not one of 'table', 'markdown', 'html', 'json'"),
            (["--output=a.xml"], "add --format table or markdown or html or json"),
            (["--output=none/a.md"], "there is no directory none"),
        ],
    )
    def test_bad_options_are_told(self, place: Path, arguments: list[str], message: str) -> None:
        done = invoke("compare", "base.json", "head.json", *arguments)
        assert done.exit_code == 2
        assert message in done.stderr
        assert done.stdout == ""

    def test_all_that_is_wrong_with_both_files_is_told(self, place: Path) -> None:
        (place / "bad.json").write_text("[]")
        done = invoke("compare", "bad.json", "none.json")
        assert done.exit_code == 2
        assert "bad.json: not a report" in done.stderr
        assert "none.json: there is no such file" in done.stderr

    def test_formats_go_where_they_are_sent(self, place: Path) -> None:
        files = ("--output=-", "--output=a.md", "--output=a.json", "--output=a.txt")
        done = invoke("compare", "base.json", "head.json", "--format=table", *files)
        assert done.exit_code == 1
        assert done.stdout == (place / "a.txt").read_text()
        assert (place / "a.md").read_text().startswith("### xentcheck: 2 of 4 cells")
        assert json.loads((place / "a.json").read_text())["worse"] is True

    def test_slack_and_color_reach_what_they_are_for(self, place: Path) -> None:
        done = invoke("compare", "base.json", "head.json", "--slack=0.01", "--color=always")
        assert done.exit_code == 1
        assert "1 of 4 cells in both reports is worse" in done.stdout
        assert "by a factor of up to 1.01 count as the same" in done.stdout
        assert "\x1b[" in done.stdout

    def test_a_loss_that_gets_worse_and_is_mended(self, place: Path) -> None:
        (place / "it.yaml").write_text(CONFIG)
        for name, code in (("shifted", SHIFTED), ("naive", NAIVE), ("again", SHIFTED)):
            (place / "losses.py").write_text(code)
            assert invoke("run", "it.yaml", f"--output={name}.json").exit_code == 0
        assert invoke("compare", "shifted.json", "again.json").exit_code == 0
        worse = invoke("compare", "shifted.json", "naive.json")
        assert worse.exit_code == 1
        assert "spurious-overflow new: 3 of 9 rows" in worse.stdout  # exp(100) in float32
        better = invoke("compare", "naive.json", "shifted.json")
        assert better.exit_code == 0
        assert "spurious-overflow gone: was 3 of 9 rows" in better.stdout
        (place / "losses.py").write_text(NAIVE)
        told = invoke("compare", "shifted.json", "naive.json", "--format=json").stdout
        first = json.loads(told)["cells"][0]["faults"][0]
        again = invoke(*shlex.split(first["replay"])[1:], "--format=json")
        (measured,) = json.loads(again.stdout)["measurements"]
        assert measured["witness"]["actual_hex"] == first["head_witness"]["actual_hex"] == "inf"
        assert measured["witness"]["logits"] == first["head_witness"]["logits"]
