"""Pages and figures without a browser: what they hold, what they escape, and who asks for them."""

import base64
import dataclasses
import gzip
import json
import math
import re
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.samples import EDGES, NASTY, many, profile, sample, with_profiles
from tests.report.test_formats import failing, gate
from tests.report.test_report import cell, measurement, report
from tests.running import invoke
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.gate.comparison import compare
from xentcheck.model import Kind, Profile, ProfileBin, Quantity, Report
from xentcheck.report import document, extras
from xentcheck.report.comparison import html as comparison_html
from xentcheck.report.formats import html, rendered
from xentcheck.report.page import content, packing
from xentcheck.report.page.columns import stored
from xentcheck.report.pictures import bins, figures, files
from xentcheck.report.pictures.limits import limit_of


def pack(page: str, name: str) -> bytes:
    """What a page has packed under a name."""
    found = re.search(rf'id="{name}">([A-Za-z0-9+/=]*)</script>', page)
    assert found is not None, name
    return gzip.decompress(base64.b64decode(found[1]))


def data_of(page: str) -> Any:
    return json.loads(pack(page, "data"))


def column(page: str, name: str) -> list[Any]:
    (found,) = (each for each in data_of(page)["columns"] if each["name"] == name)
    if found["sort"] != "word":
        return list(found["values"])
    return [found["words"][code] for code in found["values"]]


class TestPage:
    def test_the_first_screen_needs_no_script(self) -> None:
        page = html.render(sample())
        head = page.partition("<noscript>")[0]
        for text in (
            "survey: 8 broken, 8 lossy, 8 rounded cells",
            "3 implementations of 1 loss in 2 dtypes: 24 cells, 2,400 rows scored; seed 7",
            "Grades of 24 cells:",
            "log-of-saturated-probability",
            "(m − x_y) + log1p(Σ exp(x_j − m))",
            "xentcheck probe --loss softmax_cross_entropy",
            "Not audited: 1 thing",
            'href="#measurements&amp;grade=broken"',
        ):
            assert text in head, text

    def test_a_gate_says_why_it_fails(self) -> None:
        page = html.render(gate(failing(cell())))
        assert "gate failed, 1 violation: inaccurate" in page
        assert 'class="verdict failed"' in page
        assert html.render(gate()).count("nothing was audited") >= 1
        passed = report(gated=True, measurements=(measurement(cell()),))
        assert 'class="verdict passed"' in html.render(passed)

    def test_names_and_texts_are_escaped_in_every_place(self) -> None:
        page = html.render(sample())
        assert "document.title='x'" not in page
        assert "<img" not in page
        assert "\u202e" not in page
        assert "&lt;/script&gt;" in page
        # the data of the script are packed; there the mark is written out as in other formats
        assert "\\u202e" in "".join(column(page, "implementation"))
        assert page.count("<script") == page.count("</script>") == 5

    def test_nothing_from_outside_is_named(self) -> None:
        page = html.render(sample())
        assert "default-src 'none'" in page
        assert re.findall(r'(?:src|href)="(?!#|data:,)[^"]*"', page) == []
        assert "url(" not in page
        assert "@import" not in page

    def test_every_number_is_stored_once_and_in_order(self) -> None:
        page = html.render(sample())
        assert column(page, "max_ulp")[0] == 9.3e6
        assert column(page, "kind")[:2] == ["nan", "nan"]
        assert column(page, "failing")[0] == 11
        assert column(page, "cause")[0] == "log-of-saturated-probability"
        assert {each["name"] for each in data_of(page)["columns"]} >= {"grade", "rows"}
        details = json.loads(pack(page, "details"))
        assert len(details) == 24
        assert details[0][0][0] == "nan: 4 rows"
        assert "replay" in details[0][0][1]

    def test_a_report_without_profiles_has_no_charts(self) -> None:
        bare = dataclasses.replace(
            sample(),
            measurements=tuple(dataclasses.replace(m, profiles=()) for m in sample().measurements),
        )
        page = html.render(bare)
        assert data_of(page)["axes"] == []
        assert 'id="library"></script>' in page
        assert len(page) < 100_000

    def test_the_same_report_gives_the_same_page(self) -> None:
        assert html.render(sample()) == html.render(sample())

    def test_an_empty_report_is_a_page(self) -> None:
        assert "nothing was audited" in html.render(report())

    def test_links_name_cells_as_the_data_do(self) -> None:
        link = content.link(cell(NASTY))
        assert link.startswith("cell&loss=softmax_cross_entropy&implementation=%3C%2Fscript")
        assert "%5Cu202e" in link


class TestProfiles:
    def unpacked(self, given: Report, most: int = packing.MOST_BYTES) -> tuple[Any, Any, int]:
        head, text, merged = packing.packed_profiles(given.measurements, most)
        raw = gzip.decompress(base64.b64decode(text))
        columns, at = {}, 0
        for name, length in head["columns"]:
            planes = np.frombuffer(raw[at : at + 4 * length], np.uint8).reshape(4, length)
            columns[name] = np.ascontiguousarray(planes.T).view("<u4").ravel()
            at += 4 * length
        assert at == len(raw)
        return head, columns, merged

    def test_columns_read_back(self) -> None:
        given = sample()
        head, columns, merged = self.unpacked(given)
        assert merged == 1
        known = [each for m in given.measurements for found in m.profiles for each in found.bins]
        assert columns["rows"].tolist() == [each.rows for each in known]
        assert [head["edges"][i] for i in columns["low"]] == [each.low for each in known]
        for code, each in zip(columns["ulp"].tolist(), known, strict=True):
            if math.isnan(each.max_ulp):
                assert code == 0
            else:
                assert 2 ** (code / head["steps"] - 1100) == pytest.approx(each.max_ulp, rel=0.05)

    def test_large_profiles_are_merged_until_they_fit(self) -> None:
        given = sample()
        full = len(packing.packed_profiles(given.measurements)[1])
        _, columns, merged = self.unpacked(given, full // 2)
        assert merged > 1
        rows = sum(b.rows for m in given.measurements for found in m.profiles for b in found.bins)
        assert columns["rows"].sum() == rows

    def test_bins_with_the_same_edges_become_one(self) -> None:
        one = Profile(
            "gap", (ProfileBin(0, 1, 5, 1, 1, 0, math.nan), ProfileBin(1, 2, 1, 0, 0, 0, 3))
        )
        other = Profile("gap", (ProfileBin(0, 1, 2, 0, 0, 0, 0.5),))
        assert bins.joined([one, other]) == (
            ProfileBin(0, 1, 7, 1, 1, 0, 0.5),
            ProfileBin(1, 2, 1, 0, 0, 0, 3),
        )

    def test_bands_join_neighbours_and_keep_gaps(self) -> None:
        made = bins.bands_of(
            "classes",
            [
                ProfileBin(1, 2, 1, 1, 1, 0, math.nan),
                ProfileBin(2, 4, 1, 1, 1, 0, math.nan),
                ProfileBin(4, 8, 1, 1, 0, 1, math.nan),
                ProfileBin(16, 32, 1, 1, 1, 0, math.nan),
            ],
        )
        assert [(each["what"], each["x"], each["x2"]) for each in made] == [
            ("NaN", 1, 4),
            ("inf", 4, 8),
            ("NaN", 16, 32),
        ]

    def test_a_signed_axis_is_odd_and_logarithmic(self) -> None:
        assert bins.position("gap", -100.0) == -bins.position("gap", 100.0)
        assert bins.position("offset", 1e30) == pytest.approx(30)
        rows = bins.rows_of("x", "offset", profile("offset").bins)
        assert bins.ticks("offset", rows) == sorted(set(bins.ticks("offset", rows)))
        assert 0 in bins.ticks("offset", rows)

    def test_axes_are_in_a_fixed_order(self) -> None:
        assert bins.axes(sample().measurements) == ["gap", "offset", "condition number"]


class TestLimits:
    def test_a_survey_has_its_tolerance(self) -> None:
        assert limit_of(report(), cell()) == (4.0, "tolerance")

    def test_the_last_limit_that_selects_a_cell_counts(self) -> None:
        limits = [{"max_ulp": 4}, {"implementation": "numpy.*", "dtype": "float64", "max_ulp": 2}]
        given = report(gated=True, config={"limits": limits})
        assert limit_of(given, cell(dtype="float64"))[0] == 2
        assert limit_of(given, cell(dtype="float32"))[0] == 4
        assert math.isnan(limit_of(report(gated=True, config={"limits": []}), cell())[0])

    @pytest.mark.parametrize(
        ("written", "bound"),
        [
            ({"max_ulp": 16.0}, 16.0),
            ({"max_ulp": None}, 4.0),
            ({"or_abs": 1e-7}, 4.0),
            ({"p99_ulp": 2.0}, math.nan),
            ({"min_grade": "absolute"}, math.nan),
            ({"max_ulp": math.inf}, math.nan),
        ],
    )
    def test_bounds_of_a_check(self, written: dict[str, Any], bound: float) -> None:
        found, _ = limit_of(report(gated=True, config={"command": "check", **written}), cell())
        assert found == pytest.approx(bound, nan_ok=True)


def test_lost_bits_count_from_half_an_ulp() -> None:
    assert content.lost_bits(0.5, "float32") == 0
    assert content.lost_bits(8.0, "float32") == 4
    assert content.lost_bits(1e300, "bfloat16") == 8
    assert content.lost_bits(math.nan, "float32") is None


def test_numbers_are_stored_with_four_digits() -> None:
    assert [stored(each) for each in (math.nan, None, math.inf, 3.0, 0.123456, 12)] == [
        *(None, None, "inf", 3, 0.1235, 12),
    ]


class TestComparison:
    def compared(self) -> str:
        base, head = sample(), sample()
        kept = [each for each in base.findings if each.kind is not Kind.NAN]
        base = dataclasses.replace(base, findings=tuple(kept))
        return comparison_html.render(compare(base, head), ("base.json", NASTY))

    def test_what_is_worse_comes_first(self) -> None:
        page = self.compared()
        head = page.partition("<noscript>")[0]
        assert "8 of 24 cells in both reports are worse" in head
        assert "nan new: 4 of 100 rows" in head
        assert "document.title='x'" not in page
        assert data_of(page)["sides"] == ["base", "head"]
        assert column(page, "standing")[0] == "worse"
        assert len(json.loads(pack(page, "details"))) == 24

    def test_profiles_of_both_sides_are_there(self) -> None:
        page = self.compared()
        cells = len(column(page, "standing"))
        length = dict(data_of(page)["profiles"]["columns"])["cell"]
        assert length == 2 * cells * len(EDGES)

    def test_nothing_in_common_is_said(self) -> None:
        page = comparison_html.render(compare(report(), sample()), ("a", "b"))
        assert 'class="verdict incomplete"' in page


class TestCommands:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        path = tmp_path / "results.json"
        path.write_text(document.to_json(sample()), encoding="utf-8")
        return path

    def test_a_saved_report_becomes_a_page(self, saved: Path) -> None:
        done = invoke("report", str(saved), "--output", "report.html", cwd=saved.parent)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "survey: 8 broken" in (saved.parent / "report.html").read_text(encoding="utf-8")

    def test_open_shows_the_page_that_is_written(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or True)
        page = saved.parent / "report.html"
        invoke("report", str(saved), "--open", "--output", str(page))
        assert opened == [page.as_uri()]
        done = invoke("report", str(saved), "--open")
        assert "numpy.naive" in done.stdout
        assert opened[1].endswith("/report.html")
        assert opened[1] != opened[0]
        assert "opened in the browser" in done.stderr

    def test_open_without_a_browser_says_where_the_page_is(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webbrowser, "open", lambda _: False)
        done = invoke("report", str(saved), "--open", "--output", str(saved.parent / "r.html"))
        assert "r.html: no browser was found to open it" in done.stderr
        assert done.exit_code == 0

    def test_two_reports_become_a_page(self, saved: Path) -> None:
        words = ("compare", str(saved), str(saved), "--output", "compared.html")
        assert invoke(*words, cwd=saved.parent).exit_code == 0
        assert "is worse" in (saved.parent / "compared.html").read_text(encoding="utf-8")

    def test_plots_are_saved(self, saved: Path) -> None:
        done = invoke("report", str(saved), "--plots", str(saved.parent / "plots"))
        names = {each.name for each in (saved.parent / "plots").iterdir()}
        assert names >= {"softmax_cross_entropy-grades.svg", "softmax_cross_entropy-grades.png"}
        assert f"{len(names)} files of figures" in done.stderr

    def test_plots_into_a_file_are_refused(self, saved: Path) -> None:
        done = invoke("report", str(saved), "--plots", str(saved))
        assert done.exit_code == 2
        assert "--plots" in done.stderr

    @pytest.mark.parametrize(
        "words", [("--format", "html"), ("--open",), ("--output", "x.html"), ("--plots", "p")]
    )
    def test_a_missing_extra_is_named_before_any_work(
        self, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "jinja2" else 1)
        done = invoke("report", "missing.json", *words, cwd=tmp_path)
        assert done.exit_code == 2
        assert "needs jinja2" in done.stderr
        assert "pip install 'xentcheck[html]'" in done.stderr
        with pytest.raises(UsageError, match=r"xentcheck\[html\]"):
            rendered(report(), "html", 100)


class TestFigures:
    def test_a_report_draws_itself(self) -> None:
        given = sample()
        assert given.plot().to_dict()["title"] == "softmax_cross_entropy"
        errors = given.plot("errors", dtype="float32", axis="offset").to_dict()
        assert errors["title"] == "softmax_cross_entropy, float32"
        assert [each["title"] for each in errors["hconcat"]] == ["value", "gradient"]
        assert given.plot("distribution", implementations=["numpy.naive"]).to_dict()

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("pie", {}),
            ("errors", {"loss": "softplus"}),
            ("errors", {"dtype": "float16"}),
            ("errors", {"axis": "classes"}),
            ("grades", {"implementations": ["nobody"]}),
        ],
    )
    def test_what_is_not_there_is_an_error(self, name: str, words: dict[str, Any]) -> None:
        with pytest.raises(UnknownNameError):
            sample().plot(name, **words)

    def test_breaking_points_and_bands_are_in_the_data(self) -> None:
        chart = sample().plot("errors", dtype="float32", axis="gap").to_dict()
        text = json.dumps(chart, ensure_ascii=False)
        assert "lossy to 104" in text
        assert "accurate to 3" in text
        assert '"what": "NaN"' in text
        assert "tolerance 4 ulp" in text

    def test_files_have_safe_names(self, tmp_path: Path) -> None:
        odd = dataclasses.replace(cell(), loss="../a b")
        (saved,) = files.save(
            figures.all_figures(report(measurements=(measurement(odd),))), tmp_path
        )
        assert (saved.svg.name, saved.png.name) == (".._a_b-grades.svg", ".._a_b-grades.png")
        assert saved.svg.read_text(encoding="utf-8").startswith("<svg")
        assert saved.png.read_bytes().startswith(b"\x89PNG")

    def test_of_many_implementations_the_best_stays(self) -> None:
        given = many(with_profiles(sample()), 24 * 4)
        chart = figures.figure(given, "errors", dtype="float32").to_dict()
        (names,) = {
            tuple(layer["encoding"]["color"]["scale"]["domain"])
            for part in chart["hconcat"]
            for layer in part["layer"]
            if "color" in layer["encoding"]
        }
        assert len(names) == 6
        assert any(each.startswith("numpy.accurate") for each in names)


def test_quantities_stand_side_by_side() -> None:
    chart = figures.figure(sample(), "grades").to_dict()
    sort = chart["layer"][0]["encoding"]["x"]["sort"]
    assert sort[:2] == [f"float32 {each}" for each in Quantity]
