"""The generators of `docs/pages`: what the code knows is on the pages, once and whole."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import pytest

from docs.pages import atlas, documents, kinds, losses, markdown, writing
from docs.pages.courses import COURSES
from docs.pages.sketches import SKETCHES
from tests.places import ROOT
from xentcheck import audit
from xentcheck.losses import LOSSES
from xentcheck.model import Cause, Grade, Kind, Report

CONFIG = {
    "sweeps": {
        "confident": {
            "losses": ["softmax_cross_entropy", "softplus"],
            "dtypes": ["float16", "float32"],
            "implementations": ["numpy.shifted_log_softmax", "numpy.softplus", "numpy.naive"],
            "inputs": [{"generator": "gap", "from": 0, "to": 120, "points": 31}],
        }
    }
}


@pytest.fixture(scope="module")
def report() -> Report:
    return audit(CONFIG, ranges=True)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the data of the atlas; NumPy stands for a framework."""
    monkeypatch.setattr(atlas, "DATA", tmp_path)
    monkeypatch.setattr(atlas, "TABLE", tmp_path / "atlas.csv")
    monkeypatch.setattr(atlas, "RECORD", tmp_path / "atlas.json")
    monkeypatch.setattr(atlas, "_PACKAGES", {"numpy": "NumPy"})
    return tmp_path


def pages_of(generator) -> dict[str, str]:
    return {name: "\n".join(lines) for name, lines in generator()}


class TestAtlas:
    def test_a_line_has_grade_range_and_cause(self, report: Report) -> None:
        found = {
            (each.loss, each.function, each.dtype, each.quantity): each
            for each in atlas.lines_of(report)
        }
        line = found["softmax_cross_entropy", "numpy.shifted_log_softmax", "float32", "value"]
        assert line.grade == "absolute"
        assert line.framework == "numpy"
        assert line.safe_range.startswith("accurate for gaps up to ")
        assert "any offset" not in line.safe_range  # nothing is lost along it
        assert line.causes.split(", ")[0] == "absorbed-tail"
        assert line.breaks_at.endswith("inaccurate")
        naive = found["softmax_cross_entropy", "numpy.naive", "float16", "value"]
        assert naive.grade == "broken"
        assert re.search(r"\bnan \d+", naive.kinds)

    def test_the_data_file_is_the_lines(self, report: Report, data: Path) -> None:
        atlas.collect([report], "2026-11-28")
        lines, record = atlas.measured()
        assert {tuple(map(str, vars_of(each))) for each in lines} == {
            tuple(map(str, vars_of(each))) for each in atlas.lines_of(report)
        }
        assert record["date"] == "2026-11-28"
        (own,) = record["reports"]
        assert own["rows"] == sum(each.rows for each in report.measurements)
        assert own["frameworks"] == ["numpy"]
        assert own["environment"] == report.environment
        with (data / "atlas.csv").open(newline="") as file:
            assert next(csv.reader(file)) == list(atlas.Line.__dataclass_fields__)
        assert json.loads((data / "atlas.json").read_text()) == record

    def test_of_two_reports_the_last_counts(self, report: Report, data: Path) -> None:
        atlas.collect([report, report], "2026-11-28")
        assert len(atlas.measured()[0]) == len(list(atlas.lines_of(report)))

    def test_each_line_says_what_measured_it(self, report: Report, data: Path) -> None:
        """Reports of several environments are joined, and none speaks for another."""

        def narrow(found):
            return tuple(each for each in found if each.cell.dtype == "float16")

        other = dataclasses.replace(
            report,
            environment={**report.environment, "numpy": "9.9", "platform": "Plan9 mips"},
            measurements=tuple(
                each for each in report.measurements if each.cell.dtype == "float16"
            ),
            findings=tuple(each for each in report.findings if each.cell.dtype == "float16"),
        )
        atlas.collect([report, other], "2026-11-28")
        lines, _ = atlas.measured()
        for each in lines:
            said = other if each.dtype == "float16" else report
            assert each.version == f"numpy {said.environment['numpy']}"
            assert each.machine.startswith(said.environment["platform"])
        made = pages_of(atlas.pages)
        assert "numpy 9.9" in made["summary.inc"]
        assert "Plan9 mips" in made["framework-numpy.md"]
        assert "numpy 9.9" in made["loss-softplus.md"]

    def test_what_counts_as_a_function_of_its_own(self) -> None:
        """XGBoost's names have dashes; a function without float32 counts by its float64."""
        lines, _ = atlas.measured()
        counts = {
            each.split(" | ")[0].lstrip("| "): each for each in atlas._matrix(lines, "framework")
        }
        for framework in {each.framework for each in lines}:
            own = [each for each in lines if each.framework == framework]
            functions = {
                (each.loss, each.function)
                for each in own
                if framework == "xgboost" or not {"+", "-"} & set(each.function)
            }
            counted = re.findall(r" (\d+) ", counts[atlas._PACKAGES[framework]])
            assert sum(map(int, counted)) == len(functions), framework

    def test_pages_have_every_function(self, report: Report, data: Path) -> None:
        atlas.collect([report], "2026-11-28")
        made = pages_of(atlas.pages)
        assert set(made) == {
            "summary.inc",
            "framework-numpy.md",
            "loss-softmax_cross_entropy.md",
            "loss-softplus.md",
        }
        framework = made["framework-numpy.md"]
        assert framework.index("## softmax_cross_entropy") < framework.index("## softplus")
        (row,) = re.findall(r"\| `numpy.shifted_log_softmax` .*", framework)
        assert row.split(" | ")[3] == "absolute<br>absolute"
        assert "value: accurate for gaps up to" in row
        assert "[absorbed-tail](../causes/absorbed-tail.md)" in row
        assert "| [NumPy](atlas/framework-numpy.md) | " in made["summary.inc"]
        counts = re.findall(r"\| \[NumPy\]\S* \| (.*) \|", made["summary.inc"])[0].split(" | ")
        assert sum(int(each or 0) for each in counts) == 3
        assert len(counts) == len(Grade)

    def test_the_kept_data_is_small_and_readable(self) -> None:
        assert (ROOT / "docs" / "data" / "atlas.csv").stat().st_size < 800_000
        lines, record = atlas.measured()
        assert {each.loss for each in lines} <= set(LOSSES)
        assert {each.grade for each in lines if each.grade} <= set(map(str, Grade))
        assert all(each["environment"]["xentcheck"] for each in record["reports"])
        assert all(each.version and each.machine for each in lines)
        measured = [name for each in record["reports"] for name in each["frameworks"]]
        assert sorted([*measured, *record["not_measured"]]) == sorted(atlas._PACKAGES)


def vars_of(line: atlas.Line) -> list[str]:
    return [getattr(line, name) for name in atlas.Line.__dataclass_fields__]


def test_every_loss_has_a_page_with_what_the_loss_declares() -> None:
    made = pages_of(losses.pages)
    assert set(made) == {*(f"{name}.md" for name in LOSSES), "losses.inc"}
    for name, loss in LOSSES.items():
        page = made[f"{name}.md"]
        assert loss.formula in page
        assert loss.gradient_formula in page
        for parameter in loss.parameters:
            assert f"| `{parameter.name}` | " in page
        assert page.count("\n- ") >= len(loss.conventions)
        assert f"[{name}](losses/{name}.md)" in made["losses.inc"]


def test_every_kind_has_a_section_and_every_grade_a_line() -> None:
    made = pages_of(kinds.pages)
    assert re.findall(r"^### (.*)$", made["kinds.inc"], re.MULTILINE) == list(Kind)
    assert re.findall(r"^\| `(\w+)`", made["grades.inc"], re.MULTILINE) == [*reversed(Grade)]


@pytest.mark.parametrize("name", ["report", "config", "baseline"])
def test_every_key_of_a_schema_is_on_its_page(name: str) -> None:
    page = pages_of(documents.pages)[f"{name}.md"]
    schema = documents.SCHEMAS[name]()

    def keys(part: object) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(keys, part))
        if not isinstance(part, dict):
            return set()
        own = part.get("properties", {})
        return {*own}.union(*map(keys, part.values()))

    assert {each for each in keys(schema) if f"| `{each}`" not in page} == set()


def test_what_is_left_over_from_an_earlier_build_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "GENERATORS", {"kinds": kinds.pages})
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "old.md").write_text("")
    writing.write(tmp_path)
    made = {each.name: each.stat().st_mtime_ns for each in (tmp_path / "kinds").iterdir()}
    assert set(made) == {"kinds.inc", "grades.inc"}
    writing.write(tmp_path)  # what has not changed is not written again
    assert made == {each.name: each.stat().st_mtime_ns for each in (tmp_path / "kinds").iterdir()}


def test_text_in_a_table_stays_in_its_cell() -> None:
    lines = list(markdown.table(("a", "b:"), [("x|y", "one\ntwo")]))
    assert lines == ["| a | b |", "|---|---:|", "| x\\|y | one two |", ""]
    assert markdown.plain("a_b*") == "a\\_b\\*"


def test_every_cause_has_a_figure_that_shows_it() -> None:
    figures = pytest.importorskip("docs.pages.figures", reason="the extra docs is not installed")
    shown = {**COURSES, **SKETCHES}
    assert set(shown) == set(Cause) - {Cause.UNKNOWN}
    for cause, each in shown.items():
        faulty, sound = figures.errors_of(each)
        assert max(faulty) > 1e3, cause
        assert max(sound) <= 4, cause
        assert len(figures.drawn(each)) < 100_000
