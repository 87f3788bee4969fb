"""What a baseline tolerates, and how it is renewed: pure values in, pure values out."""

import dataclasses
import math
import sys

import pytest

from tests.making import changed
from xentcheck.errors import ConfigError
from xentcheck.gate import baseline_file
from xentcheck.gate.baseline import Baseline, Entry, observed, renewed, rounded_up, weigh
from xentcheck.gate.extent import Extent, Slack, standing
from xentcheck.model import (
    P99,
    Cell,
    Finding,
    Input,
    Kind,
    Measurement,
    Quantity,
    Scored,
    Standing,
    Violation,
    Witness,
)
from xentcheck.report import words

HERE, THERE = "Linux x86_64", "Darwin arm64"
CELL = Cell("softplus", "mine", "float32", Quantity.VALUE, "small")
OTHER = dataclasses.replace(CELL, sweep="other")
CPU, OTHER_CPU = "X86_V2 X86_V3", "X86_V2"
TODAY = {"date": "2026-11-21", "platform": HERE, "numpy": "2.4.6", "cpu": CPU}
BEFORE = {"date": "2025-01-01", "platform": HERE, "numpy": "2.0.0", "cpu": CPU}


def violation(kind=Kind.INACCURATE, rows=3, ulp=10.0, cell=CELL, rule=None):
    witness = Witness(Input(None, None, {}), Scored(0.0, 0.0, "0", ulp, 0.0))
    return Violation(Finding(kind, cell, rows, witness), "max_ulp 4", rule or kind.value)


def measured(cell=CELL, rows=100, p99=8.0):
    return Measurement(cell, rows, 10.0, p99, 1.0, 0.0, {})


def seen(*violations, cells=(CELL,), platform=HERE, unaudited=(), cpu=CPU, bound=4.0):
    environment = {"platform": platform, "cpu": cpu}
    measurements = [measured(each) for each in cells]
    return observed(environment, measurements, violations, unaudited, dict.fromkeys(cells, bound))


def tolerating(rows=3, ulp=10.0, kind="inaccurate", platform="", recorded=None, cell=CELL, of=100):
    faults = {kind: Extent(rows, of, ulp)}
    return Entry(cell, faults, platform, BEFORE if recorded is None else recorded)


def weighed(violations, *entries, slack=None, **more):
    return weigh(violations, Baseline(entries), seen(*violations, **more), slack)


class TestStanding:
    @pytest.mark.parametrize(
        ("now", "known", "expected"),
        [
            (Extent(3, 100, 10.0), Extent(3, 100, 10.0), Standing.SAME),
            (Extent(4, 100, 10.0), Extent(3, 100, 10.0), Standing.WORSE),
            (Extent(2, 100, 10.0), Extent(3, 100, 10.0), Standing.BETTER),
            (Extent(3, 100, math.nextafter(10.0, 11)), Extent(3, 100, 10.0), Standing.WORSE),
            (Extent(3, 100, math.nextafter(10.0, 9)), Extent(3, 100, 10.0), Standing.BETTER),
            # what is better in one way and worse in another is worse
            (Extent(1, 100, 11.0), Extent(3, 100, 10.0), Standing.WORSE),
            (Extent(4, 100, 1.0), Extent(3, 100, 10.0), Standing.WORSE),
            # shares of the rows are compared, exactly
            (Extent(6, 200, 10.0), Extent(3, 100, 10.0), Standing.SAME),
            (Extent(1, 3), Extent(333333333333, 1000000000000), Standing.WORSE),
            # what has no error in ulps is beyond all of them
            (Extent(3, 100), Extent(3, 100, 10.0), Standing.WORSE),
            (Extent(3, 100, 10.0), Extent(3, 100), Standing.BETTER),
            (Extent(3, 100), Extent(3, 100), Standing.SAME),
            # what goes as far as chance has it is there, or it is not
            (Extent(9, 100, 99.0, steady=False), Extent(3, 100, 10.0), Standing.SAME),
            (Extent(9, 100, 99.0, steady=False), None, Standing.NEW),
            (None, Extent(3, 100), Standing.GONE),
            (Extent(3, 100), None, Standing.NEW),
            (None, None, Standing.SAME),
        ],
    )
    def test_table(self, now, known, expected):
        assert standing(now, known) is expected

    def test_slack_is_relative_and_for_ulps_only(self):
        assert standing(Extent(3, 100, 10.09), Extent(3, 100, 10.0), 0.01) is Standing.SAME
        assert standing(Extent(3, 100, 10.11), Extent(3, 100, 10.0), 0.01) is Standing.WORSE
        assert standing(Extent(3, 100, 9.95), Extent(3, 100, 10.0), 0.01) is Standing.SAME
        assert standing(Extent(4, 100, 10.0), Extent(3, 100, 10.0), 0.5) is Standing.WORSE

    def test_slack_may_be_for_rows_as_well(self):
        slack = Slack(1.0, 0.5, 3)
        known = Extent(10, 100, 10.0)
        assert standing(Extent(18, 100, 20.0), known, slack) is Standing.SAME
        assert standing(Extent(19, 100, 10.0), known, slack) is Standing.WORSE
        assert standing(Extent(10, 100, 20.1), known, slack) is Standing.WORSE
        assert standing(Extent(37, 200, 10.0), known, slack) is Standing.WORSE
        assert standing(Extent(36, 200, 10.0), known, slack) is Standing.SAME
        assert standing(Extent(5, 100, 10.0), known, slack) is Standing.SAME
        assert standing(Extent(4, 100, 10.0), known, slack) is Standing.BETTER


class TestOtherProcessor:
    """Entries are recorded on `CPU`; what is measured in cells of 100 rows, with limit 4 ulp."""

    @pytest.mark.parametrize(
        ("now", "tolerated"),
        [
            (violation(rows=7, ulp=80.0), True),  # (1 + ½)·3 + 3 rows, 8 × 10 ulp
            (violation(rows=8), False),
            (violation(ulp=81.0), False),
            (violation(Kind.WRONG_SIGN, 7, 80.0), True),  # the same digits are lost
            (violation(Kind.WRONG_SIGN, 8, 80.0), False),
            (violation(Kind.NAN, 1, math.nan), False),
            (violation(Kind.SPURIOUS_OVERFLOW, 1, math.nan), False),
        ],
    )
    def test_has_a_slack_for_digits_that_are_lost(self, now, tolerated):
        result = weighed([now], tolerating(), cpu=OTHER_CPU)
        assert (len(result.violations), len(result.tolerated)) == (not tolerated, tolerated)
        assert "recorded on X86_V2 X86_V3; this is X86_V2" in result.note
        same = weighed([now], tolerating())
        assert len(same.violations) == 1
        assert same.note == ""

    def test_kinds_that_turn_into_each_other_are_not_stale(self):
        now = violation(Kind.WRONG_SIGN, 3, 11.0)
        assert weighed([now], tolerating(), cpu=OTHER_CPU).changes == ()

    @pytest.mark.parametrize(("rows", "ulp", "fails"), [(3, 8.0, 0), (4, 8.0, 1), (3, 8.1, 1)])
    def test_few_rows_next_to_the_limit_may_come_and_go(self, rows, ulp, fails):
        here = tolerating(cell=OTHER)
        come = violation(rows=rows, ulp=ulp)
        for now in ([come], [dataclasses.replace(come, rule=P99)]):
            result = weighed(now, here, cells=(CELL, OTHER), cpu=OTHER_CPU)
            assert len(result.violations) == (fails if now[0].rule != P99 else rows > 3)
        assert len(weighed([come], here, cells=(CELL, OTHER)).violations) == 1
        gone = weighed([], tolerating(rows=rows, ulp=ulp), cpu=OTHER_CPU).changes
        assert len(gone) == fails

    def test_errors_that_conditioning_explains_are_not_weighed(self):
        def off(bits):
            it = violation(ulp=1e6)
            witness = changed(it.finding.witness, excess_bits=bits)
            finding = dataclasses.replace(it.finding, witness=witness)
            return dataclasses.replace(it, finding=finding)

        assert weighed([off(2.0)], tolerating(), cpu=OTHER_CPU).violations == ()
        assert len(weighed([off(2.1)], tolerating(), cpu=OTHER_CPU).violations) == 1
        assert len(weighed([off(2.0)], tolerating()).violations) == 1

    def test_where_no_digit_is_right_errors_are_alike(self):
        full = dataclasses.replace(measured(), result_dtype="float32")
        now = violation(Kind.INACCURATE, ulp=1e30)
        entry = tolerating(ulp=2e7, kind="wrong-sign")
        there = observed({"platform": HERE, "cpu": OTHER_CPU}, [full], [now])
        assert weigh([now], Baseline((entry,)), there).violations == ()
        entry = tolerating(ulp=2e5, kind="wrong-sign")
        assert len(weigh([now], Baseline((entry,)), there).violations) == 1

    def test_slack_can_be_given(self):
        now = violation(rows=5, ulp=14.0)
        assert len(weighed([now], tolerating(), cpu=OTHER_CPU, slack=0.0).violations) == 1
        assert len(weighed([now], tolerating(), cpu=OTHER_CPU, slack=0.3).violations) == 1
        assert weighed([now], tolerating(), cpu=OTHER_CPU, slack=0.4).violations == ()
        assert len(weighed([violation(ulp=14.0)], tolerating(), slack=0.3).violations) == 1
        assert weighed([violation(ulp=14.0)], tolerating(), slack=0.4).violations == ()

    def test_what_is_the_same_there_is_not_recorded_again(self):
        old = Baseline((tolerating(),))
        there = seen(violation(rows=7, ulp=80.0), cpu=OTHER_CPU)
        for tighten in (False, True):
            assert renewed(old, there, {**TODAY, "cpu": OTHER_CPU}, tighten=tighten) == old
        turned = seen(violation(Kind.WRONG_SIGN, 3, 5.0), cpu=OTHER_CPU)
        assert renewed(old, turned, TODAY, tighten=True) == old

    def test_a_record_without_a_processor_may_be_of_another_one(self):
        old = tolerating(recorded={"platform": HERE})
        result = weighed([violation(rows=7)], old)
        assert result.violations == ()
        assert "an unknown processor" in result.note
        (entry,) = renewed(Baseline((old,)), seen(violation()), TODAY).entries
        assert entry.recorded == TODAY


class TestTurned:
    def test_a_kind_that_turns_into_another_is_not_stale(self):
        result = weighed([violation(Kind.PLATEAU, 2, 9.0)], tolerating())
        (change,) = result.changes
        assert (change.rule, change.into) == ("inaccurate", "plateau")
        assert change.text == "has become plateau (2 of 100 rows, 9 ulp), was 3 of 100 rows, 10 ulp"
        assert words.change_word(change) == "turned"
        (stale,) = weighed([], tolerating()).changes
        assert (stale.into, words.change_word(stale)) == ("", "stale")


class TestWeigh:
    def test_what_is_recorded_is_tolerated_and_nothing_is_to_be_told(self):
        result = weighed([violation()], tolerating())
        assert result.violations == ()
        assert result.changes == ()
        assert [each.standing for each in result.tolerated] == [Standing.SAME]

    @pytest.mark.parametrize("worse", [{"rows": 4}, {"ulp": 10.5}])
    def test_worse_fails_and_says_what_is_tolerated(self, worse):
        (failing,) = weighed([violation(**worse)], tolerating()).violations
        assert failing.standing is Standing.WORSE
        assert failing.accepted == "3 of 100 rows, 10 ulp"

    def test_another_kind_in_the_cell_is_new(self):
        result = weighed([violation(), violation(Kind.NAN, ulp=math.nan)], tolerating())
        (failing,) = result.violations
        assert failing.finding.kind is Kind.NAN
        assert failing.standing is Standing.NEW
        assert failing.accepted == "nothing of the kind, only inaccurate"

    def test_a_fault_without_an_error_is_weighed_by_its_rows(self):
        nan = violation(Kind.NAN, rows=3, ulp=math.nan)
        assert weighed([nan], tolerating(ulp=None, kind="nan")).violations == ()
        (failing,) = weighed([nan], tolerating(rows=2, ulp=None, kind="nan")).violations
        assert failing.standing is Standing.WORSE

    def test_another_cell_is_new(self):
        result = weighed([violation(cell=OTHER)], tolerating(), cells=(CELL, OTHER))
        (failing,) = result.violations
        assert (failing.standing, failing.accepted) == (Standing.NEW, "nothing in this cell")

    def test_a_percentile_has_an_entry_of_its_own(self):
        p99 = violation(rows=5, rule=P99)
        assert weighed([p99], tolerating(rows=5, ulp=8.0, kind=P99)).violations == ()
        (failing,) = weighed([p99], tolerating(rows=5, ulp=7.9, kind=P99)).violations
        assert failing.standing is Standing.WORSE
        assert weighed([p99], tolerating(rows=5)).violations[0].standing is Standing.NEW

    def test_better_is_tolerated_and_told(self):
        result = weighed([violation(rows=1)], tolerating())
        assert result.violations == ()
        (change,) = result.changes
        assert (change.standing, change.rule) == (Standing.BETTER, "inaccurate")
        assert change.text == "1 of 100 rows, 10 ulp, was 3 of 100 rows, 10 ulp"

    def test_a_fault_that_is_gone_is_stale(self):
        (change,) = weighed([], tolerating()).changes
        assert (change.standing, change.cell, change.rule) == (Standing.GONE, CELL, "inaccurate")

    def test_an_entry_that_matches_nothing_is_stale(self):
        (change,) = weighed([], tolerating(cell=OTHER)).changes
        assert (change.standing, change.cell, change.rule) == (Standing.GONE, OTHER, "")

    def test_an_entry_of_what_was_not_audited_this_time_is_not(self):
        assert weighed([], tolerating(cell=OTHER), unaudited=(OTHER,)).changes == ()

    def test_the_entry_of_the_platform_goes_before_the_one_for_all(self):
        entries = (tolerating(rows=9), tolerating(rows=3, platform=HERE))
        (failing,) = weighed([violation(rows=4)], *entries).violations
        assert failing.accepted.startswith("3 of 100")
        assert weighed([violation(rows=4)], *entries, platform=THERE).violations == ()

    def test_an_entry_of_another_platform_tolerates_nothing_here_and_says_so(self):
        (failing,) = weighed([violation()], tolerating(platform=THERE)).violations
        assert failing.standing is Standing.NEW
        assert failing.accepted == "nothing on Linux x86_64: its entries are for Darwin arm64"

    def test_worse_than_on_the_platform_that_recorded_it_says_so(self):
        entry = tolerating(recorded={"platform": THERE})
        (failing,) = weighed([violation(rows=9)], entry).violations
        assert failing.accepted.endswith("(recorded on Darwin arm64; this is Linux x86_64)")


class TestRenewed:
    def entries(self, baseline, *violations, tighten=False, **more):
        return renewed(baseline, seen(*violations, **more), TODAY, tighten=tighten).entries

    def test_an_empty_one_gets_every_violation(self):
        (entry,) = self.entries(Baseline(), violation(), violation(Kind.NAN, 2, math.nan))
        assert entry == Entry(
            CELL, {"inaccurate": Extent(3, 100, 10.0), "nan": Extent(2, 100)}, "", TODAY
        )

    def test_then_the_same_run_is_tolerated_and_changes_nothing(self):
        once = renewed(Baseline(), seen(violation()), TODAY)
        result = weigh([violation()], once, seen(violation()))
        assert (result.violations, result.changes) == ((), ())
        assert renewed(once, seen(violation()), {"date": "later"}) == once

    def test_what_is_the_same_keeps_the_day_it_was_recorded(self):
        old = Baseline((tolerating(), tolerating(cell=OTHER)))
        entries = self.entries(old, violation(rows=4), violation(cell=OTHER), cells=(CELL, OTHER))
        assert {each.cell: each.recorded for each in entries} == {CELL: TODAY, OTHER: BEFORE}

    def test_what_is_gone_or_matches_nothing_is_dropped(self):
        assert self.entries(Baseline((tolerating(), tolerating(cell=OTHER)))) == ()

    def test_what_was_not_audited_stays(self):
        old = Baseline((tolerating(cell=OTHER),))
        assert self.entries(old, unaudited=(OTHER,)) == old.entries
        assert self.entries(old, unaudited=(OTHER,), tighten=True) == old.entries

    def test_a_platform_that_differs_gets_an_entry_of_its_own(self):
        old = Baseline((tolerating(),))
        there, here = self.entries(old, violation(rows=25), platform=THERE)
        assert (there.platform, here.platform) == (THERE, HERE)
        assert there.faults["inaccurate"].rows == 25
        assert here.faults == old.entries[0].faults

    def test_a_platform_that_agrees_gets_none(self):
        old = Baseline((tolerating(),))
        assert self.entries(old, violation(), platform=THERE) == old.entries

    def test_entries_of_other_platforms_stay(self):
        old = Baseline((tolerating(platform=THERE),))
        generic, there = self.entries(old, violation(rows=5))
        assert there == old.entries[0]
        assert (generic.platform, generic.faults["inaccurate"].rows) == ("", 5)
        assert self.entries(old) == old.entries

    def test_what_is_gone_here_only_stays_for_the_platform_that_recorded_it(self):
        (entry,) = self.entries(Baseline((tolerating(),)), platform=THERE)
        assert (entry.platform, entry.recorded) == (HERE, BEFORE)

    def test_a_platform_that_is_mended_is_not_held_to_the_entry_for_all(self):
        old = Baseline(
            (tolerating(recorded={"platform": THERE}), tolerating(rows=9, platform=HERE))
        )
        for tighten in (False, True):
            (entry,) = self.entries(old, tighten=tighten)
            assert entry.platform == THERE
            (failing,) = weighed([violation()], entry).violations
            assert failing.standing is Standing.NEW

    def test_tightening_takes_back_what_is_better_and_tolerates_nothing_more(self):
        old = Baseline((tolerating(), tolerating(cell=OTHER)))
        cells = (CELL, OTHER)
        better = violation(rows=1)
        worse = violation(rows=9, cell=OTHER)
        fresh = violation(Kind.NAN, ulp=math.nan)
        entries = self.entries(old, better, worse, fresh, cells=cells, tighten=True)
        assert {each.cell: each.faults for each in entries} == {
            CELL: {"inaccurate": Extent(1, 100, 10.0)},
            OTHER: {"inaccurate": Extent(3, 100, 10.0)},
        }
        assert self.entries(old, cells=cells, tighten=True) == ()

    def test_the_order_does_not_depend_on_that_of_the_run(self):
        cells = tuple(dataclasses.replace(CELL, sweep=name) for name in "cab")
        violations = [violation(cell=each) for each in cells]
        one = self.entries(Baseline(), *violations, cells=cells)
        other = self.entries(Baseline(), *violations[::-1], cells=cells[::-1])
        assert one == other
        assert [each.cell.sweep for each in one] == ["a", "b", "c"]


ODD = "a[b]<c>&\"d'|\n`e`: #f"


class TestFile:
    def baseline(self):
        odd = dataclasses.replace(CELL, implementation=ODD)
        faults = {
            "nan": Extent(3, 122),
            "inaccurate": Extent(31, 122, 0.301),
            "row-dependent": Extent(1, 122, math.inf),
            P99: Extent(31, 122, 16800000.0),
        }
        return Baseline(
            (Entry(CELL, faults, THERE, TODAY), Entry(odd, {"nan": Extent(1, 2)}, "", {})), "b.yaml"
        )

    def test_reads_back_as_it_was_written(self):
        written = baseline_file.dumps(self.baseline())
        assert baseline_file.loads(written, "b.yaml") == self.baseline()
        assert baseline_file.dumps(baseline_file.loads(written, "b.yaml")) == written

    def test_is_lines_that_a_person_can_review(self):
        lines = baseline_file.dumps(self.baseline()).splitlines()
        assert "  tolerated:" in lines
        assert "    nan: {rows: 3}" in lines
        assert "    inaccurate: {rows: 31, ulp: 0.301}" in lines
        assert "  platform: Darwin arm64" in lines
        assert max(map(len, lines)) <= 100

    def test_what_is_recorded_stands_there_once_and_a_cell_has_what_differs(self):
        later = {**TODAY, "date": "2027-01-01"}
        fewer = {key: text for key, text in TODAY.items() if key != "numpy"}
        faults = {"nan": Extent(1, 2)}
        entries = tuple(
            Entry(dataclasses.replace(CELL, sweep=name), faults, "", record)
            for name, record in zip("abcde", (TODAY, TODAY, later, fewer, {}), strict=True)
        )
        written = baseline_file.dumps(Baseline(entries))
        assert written.count("2026-11-21") == 1
        assert "  recorded: {date: '2027-01-01'}" in written
        assert "  recorded: {numpy: null}" in written
        read = baseline_file.loads(written)
        assert read.entries == entries
        assert baseline_file.dumps(read) == written

    def test_a_file_with_a_record_in_each_cell_is_read(self):
        """As 0.1.0 wrote them, with all digits, which are rounded up as those of a run are."""
        old = (
            "version: 1\ncells:\n- {loss: softplus, implementation: mine, dtype: float32, "
            "quantity: value, sweep: small, rows: 122, tolerated: {inaccurate: {rows: 31, "
            "ulp: 10.0123456789}}, recorded: {date: '2025-01-01', platform: Linux x86_64}}\n"
        )
        (entry,) = baseline_file.loads(old).entries
        assert entry.faults == {"inaccurate": Extent(31, 122, 10.1)}
        assert entry.recorded == {"date": "2025-01-01", "platform": "Linux x86_64"}

    @pytest.mark.parametrize(
        ("ulp", "written"),
        [
            (12.3456, 12.4),
            (12.3, 12.3),
            (1e-9, 1e-9),
            (45406543210.0, 45500000000.0),
            (99.91, 100.0),
            (0.0, 0.0),
            (math.inf, math.inf),
            (sys.float_info.max, sys.float_info.max),
            (1.7976e308, sys.float_info.max),
        ],
    )
    def test_ulps_have_three_digits_and_are_never_below_what_was_seen(self, ulp, written):
        assert rounded_up(ulp) == written >= ulp

    def test_numbers_are_those_of_yaml(self):
        faults = {"inaccurate": Extent(1, 2, 1e16), "row-dependent": Extent(1, 2, math.inf)}
        written = baseline_file.dumps(Baseline((Entry(CELL, faults),)))
        assert "ulp: 1.0e+16" in written
        assert "ulp: .inf" in written
        assert "!!" not in written
        assert baseline_file.loads(written).entries[0].faults == faults

    def test_nothing_left_to_tolerate_is_a_file_too(self):
        assert (
            baseline_file.loads(baseline_file.dumps(Baseline((), "b.yaml")), "b.yaml").entries == ()
        )

    @pytest.mark.parametrize(
        ("change", "line", "text"),
        [
            (
                ("softplus", "softpls"),
                9,
                "did you mean 'softplus'?",
            ),
            (("float32", "fp32"), 11, "unknown dtype 'fp32'"),
            (("value", "valeu"), 12, "did you mean 'value'?"),
            (
                ("nan:", "nann:"),
                17,
                "did you mean 'nan'?",
            ),
            (("rows: 122", "rows: 0"), 15, "at least 1"),
            (("{rows: 3}", "{rows: 123}"), 17, "123 of 122 rows cannot be"),
            (("{rows: 3}", "{ulp: 3}"), 17, "'rows' is missing"),
            (("version: 1", "version: 2"), 6, "this xentcheck reads version 1"),
            (("  sweep: small\n", ""), 9, "'sweep' is missing"),
            (("  platform: D", "  platfrom: D"), 14, "did you mean 'platform'?"),
        ],
    )
    def test_every_problem_has_its_line_and_remedy(self, change, line, text):
        written = baseline_file.dumps(self.baseline()).replace(*change, 1)
        with pytest.raises(ConfigError) as caught:
            baseline_file.loads(written, "b.yaml")
        assert any(
            problem.line == line and text in str(problem) for problem in caught.value.problems
        ), str(caught.value)

    def test_a_cell_that_stands_twice_is_refused(self):
        twice = dataclasses.replace(self.baseline(), entries=self.baseline().entries[:1] * 2)
        with pytest.raises(ConfigError, match="duplicate cell"):
            baseline_file.loads(baseline_file.dumps(twice), "b.yaml")

    def test_a_conflict_that_was_left_in_is_no_yaml(self):
        written = baseline_file.dumps(self.baseline()).replace("cells:", "<<<<<<< HEAD\ncells:")
        with pytest.raises(ConfigError, match=r"b\.yaml:"):
            baseline_file.loads(written, "b.yaml")

    def test_a_file_that_is_not_there_says_how_to_get_one(self, tmp_path):
        with pytest.raises(ConfigError, match="--write-baseline"):
            baseline_file.load(tmp_path / "none.yaml")
