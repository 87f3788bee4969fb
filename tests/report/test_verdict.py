"""The verdict is one sentence: every format for people has the same words."""

import dataclasses
import html as markup
import re
from pathlib import Path

import pytest

from tests.report import snapshots
from tests.report.samples import NASTY, sample
from tests.report.test_formats import Page, failing, gate
from tests.report.test_report import cell, measurement, report
from xentcheck.model import Change, Kind, Report, Searched, Skip, Standing
from xentcheck.report import notebook
from xentcheck.report.detail import Detail
from xentcheck.report.formats import github, html, markdown, table
from xentcheck.report.grid import to_text
from xentcheck.report.search import render_searches
from xentcheck.report.verdict import State, Verdict, verdict_of
from xentcheck.report.words import clean

MEASURED = (measurement(cell()),)


def searched(*kinds: Kind, **changes: object) -> Report:
    """A report of one search, with these findings."""
    one = Searched(cell(sweep="search"), "ulp", 100, 9.0, None, 1.0)
    found = tuple(dataclasses.replace(failing(one.cell, kind).finding) for kind in kinds)
    measured = (measurement(one.cell),)
    fields = {"searches": (one,), "findings": found, "measurements": measured, **changes}
    return report(**fields)


REPORTS = {
    "saved gate": snapshots.report("gate"),
    "saved survey": snapshots.report("survey"),
    "saved sound": snapshots.report("sound"),
    "sample": sample(),
    "nothing": report(),
    "uncertified": report(uncertified=("row 3",), measurements=MEASURED),
    "interrupted": gate(failing(cell()), interrupted=True),
    "nasty": gate(
        measurements=MEASURED, omissions=(Skip(f"{NASTY}\n# [x](y)", implementation=NASTY),)
    ),
    "searched": searched(Kind.NAN),
}


@pytest.mark.parametrize("name", REPORTS)
def test_every_format_says_the_same_sentence(name: str) -> None:
    one = REPORTS[name]
    sentence = verdict_of(one).text
    assert len(sentence.splitlines()) == 1
    assert table.render(one, 10_000, detail=Detail.VERDICT) == f"{sentence}\n"
    assert github.render(one, Path.cwd()).splitlines()[-1] == f"xentcheck: {sentence}"
    assert notebook.of_report(one).split(">")[2].removesuffix("</div") == markup.escape(sentence)
    page = html.render(one)
    assert f"<title>xentcheck: {_escaped(sentence)}</title>" in page
    (heading,) = re.findall(r'<span class="sentence">(.*?)</span></h1>', page)
    assert markup.unescape(heading) == sentence
    first, _, _ = markdown.render(one).partition("\n")
    assert Page(first).texts["h2"] == [f"xentcheck: {sentence}"]


def _escaped(text: str) -> str:
    """As Jinja escapes it."""
    return markup.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (searched(), "within the limits: 1 search found no row beyond them"),
        (searched(Kind.NAN, Kind.INACCURATE), "1 of 1 search found rows beyond the limits"),
        (searched(Kind.FTZ), "within the limits: 1 search found no row beyond them"),
        (
            searched(Kind.NAN, interrupted=True),
            "search interrupted; 1 of 1 search found rows beyond the limits",
        ),
        (report(config={"command": "search"}), "nothing was searched"),
    ],
)
def test_a_search_has_its_own_words_in_every_format(given: Report, verdict: str) -> None:
    assert verdict_of(given).text == verdict
    assert to_text(render_searches(given, 100), 100, color=False).startswith(f"{verdict}\n")
    assert markdown.render(given).startswith(f"## xentcheck: {verdict}\n")


def test_only_a_complete_gate_has_passed() -> None:
    passed = gate(measurements=MEASURED)
    assert verdict_of(passed) == Verdict(State.PASSED, "gate passed: 1 cell within the limits")
    for changes in ({"interrupted": True}, {"uncertified": ("row 3",)}, {"measurements": ()}):
        ended = verdict_of(dataclasses.replace(passed, **changes))
        assert ended.state is State.INCOMPLETE
        assert "passed" not in ended.text


def test_passed_is_the_verdict_of_a_gate() -> None:
    passed = gate(measurements=MEASURED)
    assert passed.passed is True
    for changes in (
        {"omissions": (Skip("gone"),)},
        {"strict": True, "changes": (Change(cell(), "nan", Standing.GONE, "is gone"),)},
        {"uncertified": ("row 3",)},
        {"interrupted": True},
        {"measurements": ()},
    ):
        assert dataclasses.replace(passed, **changes).passed is False
    assert sample().passed is None


def test_a_name_in_the_verdict_controls_no_terminal() -> None:
    name = "\x1b[2J\u202e"
    hostile = gate(measurements=MEASURED, omissions=(Skip("gone", implementation=name),))
    assert verdict_of(hostile).text == f"gate failed, 1 omission: 1 × gone: {clean(name)}"
