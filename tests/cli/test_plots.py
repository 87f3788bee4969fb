"""``--plots``: figures as files, of every command that has a report; Markdown shows them."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from tests.report.samples import NASTY, sample
from tests.report.test_formats import failing, gate
from tests.report.test_report import cell, measurement, report
from tests.running import invoke
from xentcheck.cli.output import address
from xentcheck.model import Grade, Measurement
from xentcheck.report import document
from xentcheck.report.formats import markdown
from xentcheck.report.illustration import Picture
from xentcheck.report.pictures import figures, files
from xentcheck.report.words import clean

PROBE = (
    *("probe", "--loss", "softmax_cross_entropy", "--logits", "20,0,0", "--label", "0"),
    *("--implementation", "numpy.naive", "--implementation", "numpy.accurate"),
)
NAME = "softmax_cross_entropy-float32-probe"


class _Images(HTMLParser):
    """Address and alternative text of each image."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            known = dict(attrs)
            assert set(known) == {"src", "alt"}
            self.found.append((known["src"] or "", known["alt"] or ""))


def images(text: str) -> list[tuple[str, str]]:
    """Address and alternative text of each image, as a reader of Markdown has them."""
    return _Images(MarkdownIt("commonmark").render(text)).found


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    path.write_text(document.to_json(sample()), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("output", "plots"),
    [
        ("summary.md", "plots"),
        ("a b/summary.md", "plots"),
        ("deep/er/summary.md", "a (b)/[c] 100% #1?.d"),
        ("summary.md", "\u202eevil <b>&'\"*_"),
        ("-", "../outside"),
    ],
)
def test_markdown_shows_the_figures_of_the_same_run(
    saved: Path, tmp_path: Path, output: str, plots: str
) -> None:
    place = tmp_path / "place"
    folder = place / Path(output).parent
    folder.mkdir(parents=True)
    words = ("--format", "markdown", "--output", output, "--plots", plots)
    done = invoke("report", str(saved), *words, cwd=place)
    assert done.exit_code == 0, done.output
    text = done.stdout if output == "-" else (place / output).read_text(encoding="utf-8")
    shown = images(text)
    written = {each.name for each in (place / plots).glob("*.svg")}
    assert {Path(unquote(src)).name for src, _ in shown} == written
    assert len(shown) == len(written) > 3
    for src, alternative in shown:
        assert re.fullmatch(r"[\w./%~-]+", src, re.ASCII)
        assert (folder / unquote(src)).read_text(encoding="utf-8").startswith("<svg")
        assert alternative.startswith("softmax_cross_entropy, float")
    assert "\u202e" not in text


def test_what_needs_a_look_comes_first() -> None:
    bad, good = cell("bad", dtype="float64"), cell("good")
    given = gate(failing(bad), measurements=(measurement(good), measurement(bad)))
    found = [(each.name.partition("-")[2], each.faulty) for each in figures.all_figures(given)]
    assert found == [("grades", True)]
    given = sample()
    rounded = [m for m in given.measurements if m.grade is Grade.ROUNDED]
    whole = report(
        measurements=(
            *(m for m in given.measurements if m.grade is not Grade.ROUNDED),
            *(_of_loss(each, "a_sound_loss") for each in rounded),
        )
    )
    order = [each.faulty for each in figures.all_figures(whole)]
    assert order == sorted(order, reverse=True)
    assert set(order) == {True, False}


def _of_loss(measured: Measurement, loss: str) -> Measurement:
    return replace(measured, cell=replace(measured.cell, loss=loss))


@pytest.mark.parametrize(
    "text", [NASTY, "a](x) ![b](y", "`code` **x** <br>\n\n# h", "\u202e\x1b[2J", ""]
)
def test_alternative_texts_are_text(text: str) -> None:
    given = markdown.render(report(), [Picture("plots/x.svg", text)])
    assert images(given) == [("plots/x.svg", clean(" ".join(text.split())))]
    html = MarkdownIt("commonmark").render(given)
    assert html.count("<img") == 1
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_figures_have_a_bound_in_the_text() -> None:
    many = [Picture(f"plots/{i}.svg", "x" * 300) for i in range(2000)]
    text = markdown.render(report(), many, largest=50_000)
    assert len(text.encode()) <= 50_000
    shown = len(images(text))
    assert 10 < shown < 2000
    assert f"… and {2000 - shown:,} figures that are not shown here." in text
    assert text.index("plots/2.svg") < text.index("<details>") < text.index("plots/3.svg")


def test_no_two_figures_have_one_file(tmp_path: Path) -> None:
    made = [each for name in ("a b", "a/b", "A_b") for each in _figures(name)]
    saved = files.save(made, tmp_path)
    assert [each.svg.name for each in saved] == [
        "a_b-grades.svg",
        "a_b-grades-2.svg",
        "A_b-grades-3.svg",
    ]
    long = files.save(_figures("x" * 5000), tmp_path)
    assert long[0].png.is_file()


def _figures(loss: str) -> Iterator[figures.Figure]:
    return figures.all_figures(report(measurements=(_of_loss(measurement(cell()), loss),)))


def test_a_report_is_written_even_if_its_figures_are_not(saved: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "plots" / "softmax_cross_entropy-grades.svg"
    blocked.mkdir(parents=True)
    words = ("--output", "x.md", "--format", "table", "--output", "x.txt", "--plots", "plots")
    done = invoke("report", str(saved), "--format", "markdown", *words, cwd=tmp_path)
    assert done.exit_code == 2
    assert "cannot write plots/softmax_cross_entropy-grades.svg" in done.stderr
    assert "survey: 8 broken" in (tmp_path / "x.txt").read_text(encoding="utf-8")
    assert images((tmp_path / "x.md").read_text(encoding="utf-8")) == []


def test_without_figures_markdown_has_none(saved: Path) -> None:
    text = invoke("report", str(saved), "--format", "markdown").stdout
    assert "Figures" not in text
    assert images(text) == []


def test_addresses_follow_the_folders_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert address(tmp_path / "link" / "p" / "x.svg", tmp_path / "link") == "p/x.svg"
    assert address(tmp_path / "p" / "ü:x.svg", tmp_path / "a") == "../p/%C3%BC%3Ax.svg"


class TestProbe:
    def test_a_probe_saves_its_figures_and_markdown_shows_them(self, tmp_path: Path) -> None:
        done = invoke(*PROBE, "--plots", "plots", "--format", "markdown", cwd=tmp_path)
        assert done.exit_code == 0
        names = sorted(each.name for each in (tmp_path / "plots").iterdir())
        assert names == [f"{NAME}.png", f"{NAME}.svg"]
        ((src, told),) = images(done.stdout)
        assert src == f"plots/{NAME}.svg"
        assert "[20, 0, 0] label 0: the errors in ulps of numpy.naive, numpy.accurate" in told
        assert "plots: 2 files of figures" in done.stderr

    def test_the_same_errors_as_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        done = invoke(*PROBE, "--plots", "file", cwd=tmp_path)
        assert done.exit_code == 2
        assert "--plots file" in done.stderr


def test_a_search_saves_the_figures_of_its_report(tmp_path: Path) -> None:
    done = invoke(
        *("search", "numpy.naive", "--loss", "softplus", "--dtype", "float32"),
        *("--quantity", "value", "--budget", "64", "--workers", "1"),
        *("--plots", "plots", "--output", "found.md"),
        cwd=tmp_path,
    )
    assert done.exit_code == 0, done.output
    names = {each.name for each in (tmp_path / "plots").glob("*.svg")}
    assert names >= {"softplus-grades.svg", "softplus-float32-errors.svg"}
    text = (tmp_path / "found.md").read_text(encoding="utf-8")
    assert {src for src, _ in images(text)} == {f"plots/{name}" for name in names}
    assert text.startswith("## xentcheck: 1 of 1 search found rows beyond the limits\n")
