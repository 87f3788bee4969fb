"""The screens that people see: verdict first, a matrix, causes, what to do next; at any width."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.report import snapshots
from tests.running import invoke
from xentcheck.cli import stdout
from xentcheck.floats import LARGEST_ULP
from xentcheck.model import (
    Cause,
    Cell,
    Diagnosis,
    Explained,
    Finding,
    Grade,
    Kind,
    Measurement,
    Profile,
    ProfileBin,
    Quantity,
    Report,
    Skip,
    Violation,
)
from xentcheck.report import words
from xentcheck.report.detail import Detail
from xentcheck.report.formats import table
from xentcheck.report.lines import merged
from xentcheck.report.matrix import LETTERS, allotted, bits_text, blocks, lost_bits
from xentcheck.report.verdict import fitted, omission_lines, verdict_of
from xentcheck.report.words.profiles import chart, chart_columns, profile_text, telling

WIDTHS = (40, 80, 100, 160)


def cell(name: str = "mine", dtype: str = "float32", loss: str = "softplus", **more: Any) -> Cell:
    return Cell(loss, name, dtype, more.get("quantity", Quantity.VALUE), more.get("sweep", "s"))


def measured(
    where: Cell, grade: Grade | None = Grade.ROUNDED, ulp: float = 0.5, **more: Any
) -> Measurement:
    return Measurement(where, 9, ulp, 0.4, 0.1, 0.0, more.pop("counts", {}), grade=grade, **more)


def report(*measurements: Measurement, **changes: Any) -> Report:
    fields: dict[str, Any] = {"findings": (), "violations": (), "skips": (), "gated": False}
    fields |= changes
    return Report({}, 0, {}, measurements, yields=(), **fields)


def large(losses: int = 12, names: int = 40) -> Report:
    """A survey of many implementations, of which some are bad and some are good."""
    grades = [*Grade]
    return report(
        *(
            measured(
                cell(f"package.module.function_{i}", dtype, f"loss_{k}", quantity=quantity),
                grades[(i + k) % 6],
                10.0**i,
            )
            for k in range(losses)
            for i in range(names)
            for dtype in ("float16", "bfloat16", "float32", "float64")
            for quantity in Quantity
        )
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [pytest.param(path, text, id=path.stem) for path, text in snapshots.screens()],
)
def test_screens_are_as_they_were(path: Path, text: str) -> None:
    """``python -m tests.report.snapshots --write`` writes them again."""
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", snapshots.REPORTS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("detail", list(Detail))
def test_no_line_is_wider_than_the_terminal(name: str, width: int, detail: Detail) -> None:
    shown = table.render(snapshots.report(name), width, detail=detail).splitlines()
    assert max(map(cell_len, shown)) <= width


@pytest.mark.parametrize("name", snapshots.REPORTS)
def test_each_detail_has_the_verdict_first_and_more_than_the_one_before(name: str) -> None:
    shown = [table.render(snapshots.report(name), 100, detail=each) for each in Detail]
    assert len({text.splitlines()[0] for text in shown}) == 1
    assert len(shown[0].splitlines()) == 1
    sizes = [len(text) for text in shown]
    assert sizes == sorted(sizes)


def test_the_first_line_of_a_gate_says_why_it_failed() -> None:
    first = verdict_of(snapshots.report("gate")).text
    assert first == (
        "gate failed, 5 violations: log-of-saturated-probability, one-minus-p-cancellation"
    )
    finding = Finding(Kind.NAN, cell(), 2)
    violations = (Violation(finding, "nan is not allowed"),)
    other = report(measured(cell()), findings=(finding,), violations=violations, gated=True)
    assert verdict_of(other).text == "gate failed, 1 violation: nan"
    omitted = report(measured(cell()), gated=True, omissions=(Skip("gone", implementation="a"),))
    assert verdict_of(omitted).text == "gate failed, 1 omission: 1 × gone: a"


def test_the_last_line_says_what_to_do_next() -> None:
    for name, told in (
        ("survey", "no limits in the configuration, so the exit status is 0"),
        ("gate", "write what stands beside `instead`, then run it again"),
        ("sound", "keep this command in CI"),
    ):
        last = table.render(snapshots.report(name), 100).splitlines()[-1]
        assert last.split(maxsplit=1)[0] == "next"
        assert told in last


def test_a_sound_loss_takes_fifteen_lines_at_most() -> None:
    done = invoke(
        *("check", "xentcheck.implementations.numpy.softmax:ce_log1p", "--workers", "1"),
        *("--loss", "softmax_cross_entropy", "--dtype", "float32"),
        *("--gradient", "xentcheck.implementations.numpy.softmax:_ce_log1p_gradient"),
        COLUMNS="100",
    )
    assert done.exit_code == 0
    assert done.stdout.startswith("gate passed: ")
    assert len(done.stdout.splitlines()) <= 15


@pytest.mark.parametrize(("width", "most"), [(40, 130), (80, 85), (100, 70), (160, 70)])
def test_a_screen_stays_one_whatever_the_size_of_the_audit(width: int, most: int) -> None:
    small, huge = large(names=40), large(names=200)
    for audit in (small, huge):
        shown = table.render(audit, width).splitlines()
        assert len(shown) <= most
        assert all(f"loss_{k} " in "\n".join(shown) for k in range(12))
    assert "and 197 more" in table.render(huge, 100)


def test_ten_causes_at_most_stand_on_a_screen_the_gravest_first() -> None:
    causes = [each for each in Cause if each is not Cause.UNKNOWN][:14]
    kinds = [Kind.INACCURATE, Kind.NAN]
    diagnoses = tuple(
        Diagnosis(
            cause,
            "softplus",
            "mine",
            (Explained("float32", Quantity.VALUE, 10 + i, 10 + i, 10 + i),),
            kind=kinds[i % 2],
            cell=cell(),
            remedy=f"remedy {i}",
        )
        for i, cause in enumerate(causes)
    )
    it = report(measured(cell(), Grade.BROKEN), diagnoses=diagnoses)
    shown = table.render(it, 100)
    assert "14 causes, the gravest 10 of them" in shown
    assert len(re.findall(r"^  instead", shown, re.MULTILINE)) == 10
    order = [shown.index(f"remedy {i}\n") for i in (13, 11, 9, 7, 5, 3, 1)]  # NaN, by their rows
    assert order == sorted(order)
    assert order[-1] < shown.index("remedy 12")
    every = table.render(it, 100, detail=Detail.CELLS)
    assert len(re.findall(r"^  instead", every, re.MULTILINE)) == 14


def test_without_causes_the_gravest_violation_can_be_replayed() -> None:
    gate = replace(snapshots.report("gate"), diagnoses=())
    shown = table.render(gate, 100)
    assert "5 violations, the gravest first" in shown
    assert shown.count("  replay ") == 1
    assert re.search(r"replay +xentcheck probe --loss softmax_cross_entropy --logits=", shown)
    assert "-vv has every finding and its replay line" in shown


def test_a_survey_of_everything_with_every_cause_takes_150_lines_at_most() -> None:
    """As `run configs/sweep.yaml`: 15 losses, all causes, each with a profile; much is skipped."""
    gate = snapshots.report("gate")
    shown = gate.diagnoses[0]
    assert shown.witness is not None
    audit = large(losses=15)
    cells = [each.cell for each in audit.measurements]
    diagnoses = tuple(
        replace(
            shown, cause=cause, loss=where.loss, implementation=where.implementation, cell=where
        )
        for cause in Cause
        if cause is not Cause.UNKNOWN
        for where in cells[:7]
    )
    profiles = (snapshots.profile_of(gate.measurements[0]),)
    findings = tuple(Finding(Kind.NAN, where, 5, shown.witness) for where in cells)
    audit = replace(
        audit,
        measurements=tuple(replace(each, profiles=profiles) for each in audit.measurements),
        findings=findings,
        diagnoses=diagnoses,
        skips=TestNotAudited.SKIPS,
    )
    text = table.render(audit, 100)
    assert "18 causes, the gravest 10 of them" in text
    assert text.count("  along ") == 10
    assert f"{len(findings):,} findings that no cause explains" in text
    assert 100 < len(text.splitlines()) <= 150


class TestMatrix:
    def test_each_entry_has_the_letter_of_its_grade_and_the_bits_lost(self) -> None:
        it = report(
            *(
                measured(cell(name, loss="softplus"), grade, ulp)
                for name, grade, ulp in (
                    ("a", Grade.BROKEN, 1e9),
                    ("b", Grade.LOSSY, 2.0**19),
                    ("c", Grade.ABSOLUTE, 2.0**9),
                    ("d", Grade.ACCURATE, 4.0),
                    ("e", Grade.FAITHFUL, 0.9),
                    ("f", Grade.ROUNDED, 0.5),
                )
            )
        )
        shown = table.render(it, 100).splitlines()
        rows = [line.split() for line in shown if re.match("  [a-f] ", line)]
        assert rows == [
            ["a", "B", "24"], ["b", "L", "20"], ["c", "A", "10"], ["d", "a", "3"],
            ["e", "f", "1"], ["f", "r", "0"],
        ]  # fmt: skip
        key = next(line for line in shown if line.startswith("B broken"))
        assert all(f"{letter} {grade}" in key for grade, letter in LETTERS.items())

    def test_value_and_gradient_stand_side_by_side_and_what_was_not_audited_is_blank(self) -> None:
        it = report(
            measured(cell("a", "float16"), Grade.LOSSY, 512.0),
            measured(cell("a", "float16", quantity=Quantity.GRADIENT), Grade.ROUNDED),
            measured(cell("b", "float16"), Grade.ROUNDED),
        )
        shown = table.render(it, 100).splitlines()
        a, b = (next(line for line in shown if line.startswith(f"  {name} ")) for name in "ab")
        assert a.split() == ["a", "L", "10", "r", "0"]
        assert b.split() == ["b", "r", "0"]
        head = next(line for line in shown if line.startswith("softplus"))
        assert a.index("L") == head.index("value")
        assert a.index("r") == head.index("grad")

    @pytest.mark.parametrize(
        ("kind", "grade", "text"),
        [
            (Kind.NAN, Grade.BROKEN, "NaN"),
            (Kind.SPURIOUS_OVERFLOW, Grade.BROKEN, "inf"),
            (Kind.RAISED, Grade.BROKEN, "-"),
            (Kind.CONVENTION, Grade.ROUNDED, "-"),
        ],
    )
    def test_a_kind_without_an_error_in_ulps_says_what_came(
        self, kind: Kind, grade: Grade, text: str
    ) -> None:
        (line,) = merged(report(measured(cell(), grade, math.nan, counts={kind: 1})))
        assert bits_text(line) == text

    @pytest.mark.parametrize(
        ("ulp", "dtype", "bits"),
        [
            (0.0, "float32", 0.0),
            (0.5, "float32", 0.0),
            (1.0, "float32", 1.0),
            (4.0, "float32", 3.0),
            (2.0**22, "float32", 23.0),
            (1e30, "float32", 24.0),
            (1e300, "float64", 53.0),
            (LARGEST_ULP, "float16", 11.0),
        ],
    )
    def test_lost_bits(self, ulp: float, dtype: str, bits: float) -> None:
        assert lost_bits(ulp, dtype) == bits
        assert lost_bits(math.nan, dtype) is None

    def test_what_is_flushed_to_zero_loses_no_bits(self) -> None:
        flushed = measured(cell(), ulp=2.0**20, max_normal_ulp=4.0, counts={Kind.FTZ: 3})
        (line,) = merged(report(flushed))
        assert bits_text(line) == "3"

    def test_a_gate_marks_what_is_beyond_a_limit_and_what_is_tolerated(self) -> None:
        bad, known = (Finding(Kind.INACCURATE, cell(name), 1) for name in ("bad", "known"))
        it = report(
            *(measured(cell(name), Grade.BROKEN, 1e9) for name in ("bad", "known", "fine")),
            findings=(bad, known),
            violations=(Violation(bad, "no"),),
            tolerated=(Violation(known, "no"),),
            gated=True,
        )
        shown = table.render(it, 100)
        assert re.search(r"^  bad +B  24!$", shown, re.MULTILINE)
        assert re.search(r"^  known +B  24~$", shown, re.MULTILINE)
        assert re.search(r"^  fine +B  24$", shown, re.MULTILINE)
        assert "! beyond a limit, ~ tolerated" in shown

    @pytest.mark.parametrize("width", WIDTHS)
    def test_names_are_never_cut(self, width: int) -> None:
        """Two long names that differ only at their ends."""
        stem = "./some/rather/deep/folder/of/the/project/my_losses.py:Model.training_loss[fused"
        names = [f"{stem},a]", f"{stem},b]"]
        dtypes = ("float16", "bfloat16", "float32", "float64")
        it = report(*(measured(cell(name, dtype)) for name in names for dtype in dtypes))
        for detail in (Detail.SCREEN, Detail.CELLS):
            shown = table.render(it, width, detail=detail)
            assert max(map(cell_len, shown.splitlines())) <= width
        flat = re.sub(r"\s+", "", table.render(it, width))
        assert all(name in flat for name in names)

    @pytest.mark.parametrize("width", WIDTHS)
    def test_wide_characters_keep_the_columns(self, width: int) -> None:
        it = report(measured(cell("損失関数", loss="損失")), measured(cell("plain", loss="損失")))
        shown = table.render(it, width).splitlines()
        ends = {cell_len(line) for line in shown if line.startswith("  ") and " r   0" in line}
        assert len(ends) == 1

    def test_what_is_left_out_is_counted_and_the_good_are_named(self) -> None:
        bad = [measured(cell(f"bad_{i}"), Grade.BROKEN, 1e9) for i in range(100)]
        good = [measured(cell(name)) for name in ("fine", "finer")]
        shown = table.render(report(*bad, *good), 100)
        (rest,) = re.findall(r"^  and (\d+) more: (\d+) broken, 2 rounded: (.*)$", shown, re.M)
        assert int(rest[0]) == int(rest[1]) + 2
        assert int(rest[1]) + len(re.findall(r"^  bad_", shown, re.MULTILINE)) == 100
        assert set(rest[2].split(", ")) == {"fine", "finer"}

    def test_every_loss_gets_a_row_and_bad_ones_come_before_good_ones(self) -> None:
        counts = [(1, 3), (5, 0), (0, 9)]  # bad and good implementations of three losses
        it = report(
            *(
                measured(cell(f"{grade}_{i}", loss=f"loss_{k}"), grade, 1e9)
                for k, (bad, good) in enumerate(counts)
                for grade, number in ((Grade.BROKEN, bad), (Grade.ROUNDED, good))
                for i in range(number)
            )
        )
        parts = blocks(merged(it))
        by_loss = dict(zip([each.loss for each in parts], allotted(parts, 13, 1), strict=True))
        assert by_loss == {"loss_0": 1, "loss_1": 5, "loss_2": 1}
        assert allotted(parts, 100, 1) == [len(each.rows) for each in parts]


class TestNotAudited:
    SKIPS = (
        *(Skip(f"framework{i} is not installed", missing=f"framework{i}") for i in range(30)),
        *(Skip(f"does not take {i}", implementation="f") for i in range(9) for _ in range(i + 1)),
    )

    @pytest.mark.parametrize("width", [60, 80, 100, 160])
    def test_it_takes_two_lines(self, width: int) -> None:
        lines = omission_lines(report(skips=self.SKIPS), width)
        assert len(lines) == 2
        assert all(len(line) <= width for line in lines)
        assert lines[0].startswith("not installed: framework0, ")
        assert lines[1].startswith("9 × does not take 8")  # the most frequent reason
        shown = table.render(report(measured(cell()), skips=self.SKIPS), width)
        assert len(re.findall("^  not audited", shown, re.MULTILINE)) == 2

    def test_few_reasons_are_told_in_full_and_v_has_all(self) -> None:
        few = self.SKIPS[:1]
        assert omission_lines(report(skips=few), 80) == ["framework0 is not installed"]
        assert omission_lines(report(), 80) == []
        shown = table.render(report(measured(cell()), skips=self.SKIPS), 100, detail=Detail.CELLS)
        assert all(f"does not take {i}" in shown for i in range(9))

    def test_no_item_is_cut(self) -> None:
        assert fitted("a: ", ["bb", "cc", "dd"], "", 80) == "a: bb, cc, dd"
        assert fitted("a: ", ["bb", "cc", "dd"], "", 12) == "a: bb and 2 more"
        assert fitted("a: ", ["b" * 90, "cc"], "", 16) == f"a: {'b' * 90} and 1 more"


def bins(*errors: float, failing: Sequence[int] = (), nan: Sequence[int] = ()) -> Profile:
    return Profile(
        "gap",
        tuple(
            ProfileBin(10.0 * i, 10.0 * (i + 1), 5, 5 * (i in failing), 2 * (i in nan), 0, error)
            for i, error in enumerate(errors)
        ),
    )


class TestProfiles:
    def test_a_chart_is_as_high_as_the_bits_that_are_lost(self) -> None:
        profile = bins(0.5, 2.0, 2.0**7, 2.0**15, 2.0**23, math.nan, nan=[5])
        assert chart(profile, "float32") == "▁▂▄▆█!"
        assert chart(profile, "float64")[:-1] < chart(profile, "float32")[:-1]

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_an_error_beyond_all_ulps_loses_every_bit(self, dtype: str) -> None:
        assert chart(bins(0.5, 2.0**60, LARGEST_ULP, math.inf), dtype) == "▁███"

    def test_many_bins_share_columns_and_the_worst_is_shown(self) -> None:
        profile = bins(*[0.5] * 99, 2.0**23)
        drawn = chart(profile, "float32", 10)
        assert drawn == "▁" * 9 + "█"
        assert len(chart(bins(*[0.5] * 3), "float32", 10)) == 3

    @pytest.mark.parametrize(
        ("failing", "told"),
        [
            ([], "no row fails"),
            ([2, 3, 4], "fails from 20"),
            ([0, 1], "fails up to 20"),
            ([1, 2], "fails from 10 to 30"),
            ([0, 4], "fails at both ends"),
            ([0, 1, 2, 3, 4], "fails everywhere"),
        ],
    )
    def test_it_says_where_rows_fail(self, failing: list[int], told: str) -> None:
        profile = bins(0.5, 1.0, 8.0, 1e3, 1e6, failing=failing)
        assert profile_text(profile, "float32").startswith("gap 0 ▁▂")
        assert profile_text(profile, "float32").endswith(f" 50, {told}")

    def test_the_distribution_of_errors_is_drawn_by_rows(self) -> None:
        parts = tuple(
            ProfileBin(low, 2 * low, rows, 0, 0, 0, low)
            for low, rows in ((0.5, 1000), (1.0, 30), (2.0, 1))
        )
        told = profile_text(Profile("error", parts), "float32")
        assert told.startswith("error 0.50 █")
        assert told.endswith(" 4.00 ulp")
        drawn = chart(Profile("error", parts), "float32")
        assert [*drawn] == sorted(drawn, reverse=True)

    def test_the_axis_on_which_faults_begin_says_the_most(self) -> None:
        flat = replace(bins(0.5, 0.5, 0.5), axis="offset")
        everywhere = replace(bins(1e3, 1e4, 1e5, failing=[0, 1, 2]), axis="classes")
        partly = bins(0.5, 1.0, 1e3, failing=[2])
        condition = replace(bins(0.5, 1.0, 1e9, failing=[2]), axis="condition number")
        assert telling([flat, everywhere, condition, partly]) is partly
        assert telling([flat, everywhere, condition]) is everywhere
        assert telling([flat]) is None
        assert telling([]) is None

    @pytest.mark.parametrize("width", WIDTHS)
    def test_it_stands_beside_its_cause_and_below_its_cell(self, width: int) -> None:
        drawn = profile_text(
            snapshots.profile_of(snapshots.report("gate").measurements[0]),
            "float32",
            chart_columns(width),
        )
        blocks_of = re.compile("[▁▂▃▄▅▆▇█]+!*")
        assert blocks_of.search(drawn)
        for detail, least in ((Detail.SCREEN, 2), (Detail.CELLS, 4)):
            shown = table.render(snapshots.report("gate"), width, detail=detail)
            assert len(blocks_of.findall(shown)) >= least
        assert "along" in table.render(snapshots.report("gate"), width)

    def test_without_profiles_there_is_no_chart(self) -> None:
        bare = snapshots.report("gate")
        bare = replace(
            bare, measurements=tuple(replace(each, profiles=()) for each in bare.measurements)
        )
        for detail in Detail:
            shown = table.render(bare, 100, detail=detail)
            assert not re.search("[▁▂▃▄▅▆▇█]", shown)
            assert "  along " not in shown


class TestOutput:
    def shown(self, name: str, *options: str, **environment: str) -> str:
        path = str(snapshots.FOLDER / f"{name}.json")
        return invoke("report", path, *options, **{"COLUMNS": "100", **environment}).stdout

    def test_q_v_and_vv(self) -> None:
        assert self.shown("gate", "-q").count("\n") == 1
        assert "max ulp" not in self.shown("gate")
        assert "max ulp" in self.shown("gate", "-v")
        assert "what the words mean" not in self.shown("gate", "-v")
        every = self.shown("gate", "-vv")
        assert "5 violations, the gravest first" in every
        assert every.count("  replay ") >= 5
        assert self.shown("gate", "-vvv") == every
        both = invoke("report", str(snapshots.FOLDER / "gate.json"), "-q", "-v")
        assert both.exit_code == 2
        assert "exclude each other" in both.stderr

    def test_the_status_is_that_of_the_run_at_any_detail(self) -> None:
        for option in ("-q", "-v", "-vv"):
            path = str(snapshots.FOLDER / "gate.json")
            assert invoke("report", path, option).exit_code == 1

    def test_a_pipe_gets_no_control_codes(self) -> None:
        for name in snapshots.REPORTS:
            for option in ("-q", "-v", "-vv"):
                shown = self.shown(name, option, TERM="xterm-256color")
                assert all(each.isprintable() or each == "\n" for each in shown)

    @pytest.mark.parametrize("name", snapshots.REPORTS)
    def test_colour_adds_nothing_and_no_color_takes_it_away(self, name: str) -> None:
        plain = self.shown(name)
        colored = self.shown(name, FORCE_COLOR="1")
        assert "\x1b[" in colored
        without = re.sub(r"\x1b\[[0-9;]*m", "", colored)
        assert [line.rstrip() for line in without.splitlines()] == plain.splitlines()
        assert self.shown(name, FORCE_COLOR="1", NO_COLOR="1") == plain

    def test_colours_are_those_of_the_terminal_s_palette(self) -> None:
        """They follow the theme, light or dark. Neither black, white nor a background is used."""
        for name in snapshots.REPORTS:
            for option in ("-q", "-v", "-vv"):
                shown = self.shown(name, option, "--color", "always")
                codes = set(";".join(re.findall(r"\x1b\[([0-9;]*)m", shown)).split(";"))
                assert codes <= {"", "0", "1", "2", "31", "32", "33", "35"}

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("name", snapshots.REPORTS)
    @pytest.mark.parametrize("detail", [Detail.SCREEN, Detail.CELLS])
    def test_every_sign_has_a_stand_in_for_ascii(
        self, name: str, width: int, detail: Detail
    ) -> None:
        shown = stdout._encodable(
            table.render(snapshots.report(name), width, detail=detail), "ascii"
        )
        assert shown.isascii()
        assert "?" not in shown
        if detail is Detail.SCREEN and name == "gate":
            assert re.search(r"  along +gap 0 [_.\-~=+*#]+!! 64", shown) or width == 40

    def test_the_help_explains_the_table_and_the_table_does_not(self) -> None:
        for command in ("run", "check", "report"):
            told = " ".join(invoke(command, "--help").stdout.split())
            for letter, grade in ((LETTERS[each], each) for each in Grade):
                assert f"{letter} {grade}" in told
            assert "bits" in told
            assert "-vv every finding" in told
        assert "over the rows with a finite error" not in self.shown("survey", "-v")
        assert words.count(1, "cell") == "1 cell"
