"""Grades in what is printed: a column, a last line, and what they mean."""

import csv as reader
import io
import math
from dataclasses import replace

import pytest

from tests.report.test_pages import data_of
from xentcheck.model import (
    ABOUT_GRADES,
    GRADES,
    Cell,
    Finding,
    Grade,
    Kind,
    Measurement,
    Quantity,
    Report,
    Yield,
)
from xentcheck.report import notebook
from xentcheck.report.detail import Detail
from xentcheck.report.formats import atlas, csv, html, markdown, table
from xentcheck.report.lines import merged

ENVIRONMENT = {"xentcheck": "0.1", "python": "3.13", "platform": "Linux x86_64"}


def cell(quantity=Quantity.VALUE, dtype="float32", name="mine", sweep="s"):
    return Cell("softplus", name, dtype, quantity, sweep)


def measured(grade, norm=0.125, **more):
    return Measurement(
        cell(**more), 9, 2.0, 1.0, 0.5, 0.0, {}, scored=9, grade=grade, max_norm=norm
    )


def report(*measurements, findings=(), yields=(), environment=ENVIRONMENT):
    return Report(environment, 0, {}, measurements, tuple(findings), (), (), yields, False)


ONE = report(
    measured(Grade.FAITHFUL, dtype="float64"),
    measured(Grade.BROKEN, quantity=Quantity.GRADIENT, sweep="t"),
    measured(Grade.ABSOLUTE),
    measured(Grade.ROUNDED, quantity=Quantity.GRADIENT),
)


def test_the_first_line_of_a_survey_counts_the_cells_of_each_grade():
    first = table.render(ONE, 100).splitlines()[0]
    assert first == "survey: 1 broken, 1 absolute, 1 faithful, 1 rounded cells"
    several = report(
        measured(Grade.LOSSY), measured(Grade.LOSSY, name="b"), measured(Grade.ROUNDED, name="c"),
        measured(None, name="d"),
    )  # fmt: skip
    first = table.render(several, 100).splitlines()[0]
    assert first == "survey: 2 lossy, 1 ungraded, 1 rounded cells"


def test_without_grades_the_cells_are_shown():
    """Reports of old versions have none, and neither has a check without a loss."""
    old = table.render(report(measured(None, norm=math.nan)), 100)
    assert old.splitlines()[0] == "survey: 1 ungraded cell"
    assert "max ulp" in old
    assert "2.00" in old.split()


@pytest.mark.parametrize("width", [80, 100, 150])
def test_a_line_has_the_grade_of_its_worst_sweep(width):
    text = table.render(ONE, width, detail=Detail.FINDINGS)
    (line,) = (each for each in text.splitlines() if " gradient " in each and "mine" in each)
    assert line.split()[:4] == ["broken", "mine", "float32", "gradient"]
    assert "grade broken" in text
    assert "grade lossy" not in text  # only what is printed is explained


def test_what_raised_at_once_is_broken_without_a_measurement():
    raised = Finding(Kind.RAISED, cell(), 3)
    (line,) = merged(report(findings=[raised]))
    assert line.grade is Grade.BROKEN
    lost = Finding(Kind.INACCURATE, cell(), 3)
    (line,) = merged(report(findings=[lost]))
    assert line.grade is None
    (line,) = merged(report(measured(Grade.LOSSY), findings=[raised]))
    assert line.grade is Grade.LOSSY  # its measurement knows better


def test_markdown_has_the_grade_of_each_line():
    rows = [each.split(" | ") for each in markdown.render(ONE).splitlines() if "| float" in each]
    assert {(row[0].strip("|* "), *row[3:5]) for row in rows} == {
        ("broken", "float32", "gradient"),
        ("absolute", "float32", "value"),
        ("faithful", "float64", "value"),
    }


def test_a_survey_has_grades_and_no_verdicts_of_its_lines():
    """The verdict of a survey's cell would be its grade, so there is no second column for it."""
    gate = replace(ONE, gated=True)
    for given, heads in ((ONE, ("grade",)), (gate, ("verdict", "grade"))):
        (header, *_) = [each for each in markdown.render(given).splitlines() if "| loss" in each]
        assert header.strip("| ").split(" | ")[: len(heads) + 1] == [*heads, "loss"]
        shown = notebook.of_report(given)
        assert [name for name in ("verdict", "grade") if f">{name}<" in shown] == list(heads)
        page = html.render(given)
        assert [each["name"] for each in data_of(page)["columns"]][: len(heads)] == list(heads)


def test_a_notebook_has_the_grade_of_each_line():
    shown = notebook.of_report(ONE)
    assert ">grade<" in shown
    assert all(shown.count(f">{each}<") == 1 for each in ("broken", "absolute", "faithful"))


def test_csv_has_grade_and_norm_of_each_cell():
    rows = list(reader.DictReader(io.StringIO(csv.render(ONE))))
    assert [row["grade"] for row in rows] == ["faithful", "broken", "absolute", "rounded"]
    assert {row["max_norm"] for row in rows} == {"0.125"}
    (old,) = reader.DictReader(io.StringIO(csv.render(report(measured(None, norm=math.nan)))))
    assert (old["grade"], old["max_norm"]) == ("", "")


def test_the_atlas_has_the_grade_of_each_function():
    yields = (Yield("s", "gap", "softplus", "float32", 9, None),)
    given = report(*ONE.measurements, yields=yields, environment={**ENVIRONMENT, "numpy": "2"})
    rows = [each.split(" | ") for each in atlas.render(given, "2026-11-28").splitlines()]
    told = {tuple(row[1:4]) for row in rows if "`mine`" in row[0]}
    assert told == {
        ("float64", "value", "faithful"),
        ("float32", "gradient", "broken"),
        ("float32", "value", "absolute"),
    }


def test_every_grade_has_a_meaning_of_one_line():
    for grade in GRADES:
        assert 10 < len(ABOUT_GRADES[grade]) < 100
