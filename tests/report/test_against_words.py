"""What a report says of a peer."""

import numpy as np
import pytest

from tests.making import witness_of
from xentcheck.model import Cell, Contest, Encounter, Grade, Kind, Measurement, Quantity, Report
from xentcheck.report import words

CELL = Cell("softplus", "mine", "float32", Quantity.VALUE, "small")


def seen(ulps):
    return witness_of(
        logits=np.float32(1), labels=None, parameters={}, actual=1.0, expected=1.0, exact="1",
        ulp_error=ulps, abs_error=ulps,
    )  # fmt: skip


def contest(worse, better, kind=Kind.INACCURATE, ulps=(310.0, 1.2), **more):
    shown = {kind: Encounter(seen(ulps[0]), seen(ulps[1]))} if worse else {}
    return Contest(CELL, "peer", 6284, worse, better, {kind: worse}, shown, **more)


def told(*contests, measurements=()):
    report = Report({}, 0, {}, tuple(measurements), (), (), (), (), gated=True, contests=contests)
    return words.contest_lines(report)


@pytest.mark.parametrize(
    ("worse", "better", "ending"),
    [
        (12, 3, "the implementation, not the precision"),
        (12, 4, "neither is ahead throughout"),
        (12, 47, "neither is ahead throughout"),
        (12, 48, "ahead on the whole"),
    ],
)
def test_a_sentence_says_how_many_rows_are_worse_and_better(worse, better, ending):
    (line,) = told(contest(worse, better))
    assert line == (
        f"float32 value: worse than peer on {worse} of 6,284 rows (310 ulp against 1.20 ulp), "
        f"better on {better}: {ending}"
    )


def test_sweeps_are_added_up_and_the_gravest_row_is_shown():
    nan = contest(1, 0, Kind.NAN, (np.nan, 0.5))
    (line,) = told(contest(12, 3), nan)
    assert "on 13 of 12,568 rows (nan against 0.50 ulp), better on 3" in line


def test_faults_of_both_are_the_precision_or_a_formula():
    at_fault = Measurement(CELL, 9, 1.0, 1.0, 1.0, 1.0, {Kind.INACCURATE: 5, Kind.FTZ: 2})
    (line,) = told(contest(0, 2), measurements=[at_fault])
    assert line == (
        "float32 value: no worse than peer on 6,284 rows, better on 2; its 5 rows at fault are no "
        "better there: the precision, or a formula that both share"
    )


def test_another_dtype_of_the_peer_and_grades_are_told():
    fields = {"rows": 9, "max_ulp": 1.0, "p99_ulp": 1.0, "median_ulp": 1.0, "max_abs": 1.0}
    theirs = Cell("softplus", "peer", "float32", Quantity.VALUE, "small")
    graded = [
        Measurement(CELL, counts={}, grade=Grade.LOSSY, **fields),
        Measurement(theirs, counts={}, grade=Grade.FAITHFUL, **fields),
    ]
    (line,) = told(contest(1, 0, peer_dtype="float64"), measurements=graded)
    assert line.endswith("; peer returns float64; grade lossy against faithful")
