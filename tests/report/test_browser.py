"""Pages in a real browser: Chromium without a window. Screenshots are left in build/pages."""

import dataclasses
from pathlib import Path

import pytest

from tests.browsing import NARROW, Browser, Keys, needs_browser
from tests.report.samples import NASTY, many, sample
from xentcheck.gate.comparison import compare
from xentcheck.model import Kind
from xentcheck.report.comparison import html as comparison_html
from xentcheck.report.formats import html
from xentcheck.report.words import clean

pytestmark = needs_browser


def open_report(browser: Browser, path: Path, link: str = "") -> None:
    browser.open(path.as_uri() + link, "return document.documentElement.dataset.ready === 'true'")


def drawn(browser: Browser) -> None:
    """Wait until the charts of the present cell are drawn."""
    browser.run("document.getElementById('cell').scrollIntoView()")
    browser.until("return document.querySelectorAll('#cell-charts svg').length >= 2")
    browser.until("return document.documentElement.dataset.drawn")


def rows(browser: Browser, column: str) -> list[str]:
    found = "[...document.querySelectorAll('#table tbody tr')]"
    place = f"document.querySelector('#table [data-column={column}]').cellIndex"
    return list(browser.run(f"return {found}.map(row => row.cells[{place}].textContent)"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html.render(sample()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    head = sample()
    kept = tuple(each for each in head.findings if each.kind is not Kind.NAN)
    base = dataclasses.replace(head, findings=kept)
    path = tmp_path_factory.mktemp("compared") / "compared.html"
    path.write_text(comparison_html.render(compare(base, head), ("a", "b")), encoding="utf-8")
    return path


def test_a_page_opens_draws_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    """The quick test: no message in the console, no request but for the file itself."""
    open_report(browser, page)
    assert browser.run("return document.title") == (
        "xentcheck: survey: 8 broken, 8 lossy, 8 rounded cells"
    )
    assert browser.run("return document.querySelectorAll('.heat a').length") == 12
    drawn(browser)
    charts = browser.run("return document.querySelectorAll('#cell-charts svg').length")
    assert charts == 6  # value and gradient: along the axis, distribution, condition number
    open_report(browser, page, "#measurements&grade=lossy&sort=-max_ulp")
    assert set(rows(browser, "grade")) == {"L\u00a0lossy"}
    assert browser.complaints() == []
    asked = {each.partition("#")[0] for each in browser.requests()}
    assert {each for each in asked if not each.startswith("data:")} == {page.as_uri()}


@pytest.mark.slow
class TestTable:
    def test_every_column_sorts_both_ways(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        headers = browser.run(
            "return [...document.querySelectorAll('#table th')].map(t => t.dataset.column)"
        )
        for name in headers:
            found = []
            for _ in range(2):
                browser.run(f"document.querySelector('[data-column={name}] button').click()")
                found.append(rows(browser, name))
            sorts = browser.run(f"return document.querySelector('[data-column={name}]').ariaSort")
            assert sorts in ("ascending", "descending")
            if len(set(found[0])) > 1:
                assert found[0] != found[1], name
        assert browser.run("return location.hash") == f"#measurements&sort=-{headers[-1]}"

    def test_filters_and_search_narrow_and_make_a_link(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        field = browser.driver.find_element("css selector", "[data-filter=max_ulp]")
        field.send_keys("> 1e6")
        assert set(rows(browser, "implementation")) == {"numpy.naive"}
        browser.driver.find_element("id", "search").send_keys("float64 extreme")
        assert len(rows(browser, "implementation")) == 2
        link = browser.run("return location.hash")
        open_report(browser, page, link)
        assert len(rows(browser, "implementation")) == 2
        assert (
            browser.run("return document.getElementById('found').textContent")
            == "2 of 24 measurements"
        )
        browser.driver.find_element("id", "clear").click()
        assert len(rows(browser, "implementation")) == 24

    @pytest.mark.parametrize(
        ("words", "count"),
        [("0.5", 8), ("<= 0.5", 8), ("1..1e6", 8), ("none", 0), ("nonsense", 24), (">= 0.5", 24)],
    )
    def test_number_filters(self, browser: Browser, page: Path, words: str, count: int) -> None:
        open_report(browser, page)
        field = browser.driver.find_element("css selector", "[data-filter=max_ulp]")
        field.send_keys(words)
        assert len(rows(browser, "implementation")) == count
        assert field.get_attribute("aria-invalid") == ("true" if words == "nonsense" else "false")

    def test_pages_of_the_table(self, browser: Browser, tmp_path: Path) -> None:
        path = tmp_path / "many.html"
        path.write_text(html.render(many(sample(), 249)), encoding="utf-8")
        open_report(browser, path)
        assert len(rows(browser, "implementation")) == 50
        for _ in range(4):
            browser.run("document.querySelector('#pages button:last-of-type').click()")
        assert len(rows(browser, "implementation")) == 49
        assert "page 5 of 5" in browser.run("return document.getElementById('pages').textContent")


@pytest.mark.slow
class TestLinks:
    def test_every_link_leads_somewhere(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        links = browser.run(
            "return [...new Set([...document.links].map(a => a.getAttribute('href')))]"
        )
        assert len(links) > 20
        for link in links:
            browser.run("location.hash = arguments[0]", link)
            section = link[1:].partition("&")[0]
            browser.until(f"return document.getElementById('{section}') !== null")
        assert browser.complaints() == []

    def test_a_link_opens_a_cell_with_its_sweep(self, browser: Browser, page: Path) -> None:
        link = (
            "#cell&loss=softmax_cross_entropy&implementation=numpy.naive&dtype=float64"
            "&quantity=gradient&sweep=extreme"
        )
        open_report(browser, page, link)
        heading = "numpy.naive: softmax_cross_entropy in float64"
        browser.until(f"return document.activeElement.textContent === '{heading}'")
        browser.until("return document.querySelectorAll('#cell-details details').length === 2")
        opened = browser.run(
            "return document.querySelector('#cell-details details[open] summary').textContent"
        )
        assert opened.startswith("gradient, sweep extreme: nan: 4 rows")

    def test_a_link_opens_a_cause(self, browser: Browser, page: Path) -> None:
        open_report(browser, page, "#cause-log-of-saturated-probability")
        browser.until(
            "return document.activeElement.textContent === 'log-of-saturated-probability'"
        )

    def test_a_replay_line_is_copied(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        browser.driver.find_element("css selector", "#causes .copy").click()
        browser.until("return document.getElementById('said').textContent === 'Copied'")
        browser.driver.find_element("id", "search").click()
        browser.press_with_control("v")
        copied = browser.run("return document.getElementById('search').value")
        assert copied.startswith("xentcheck probe --loss softmax_cross_entropy --logits=20,0,0")


@pytest.mark.slow
class TestNames:
    def test_names_with_markup_are_text(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        drawn(browser)
        assert browser.run("return document.images.length") == 0
        assert browser.run("return document.title").startswith("xentcheck: survey")
        names = browser.run(
            "return [...document.querySelectorAll('.heat tbody th')].map(t => t.textContent)"
        )
        assert clean(NASTY) in names
        browser.run("location.hash = arguments[0]", "#measurements&search=img")
        browser.until("return document.querySelectorAll('#table tbody tr').length === 8")
        browser.run("document.querySelector('#table tbody a').click()")
        browser.until("return document.activeElement.id === 'cell-heading'")
        drawn(browser)
        assert browser.run("return document.scripts.length") == 6  # five, and the charts' own
        assert browser.complaints() == []
        assert not [each for each in browser.requests() if "a.b" in each]


@pytest.mark.slow
class TestKeyboard:
    def test_the_keyboard_alone_is_enough(
        self, tmp_path: Path, page: Path, request: pytest.FixtureRequest
    ) -> None:
        """From the top to a cell by Tab, arrows and Enter; then a filter and a copy."""
        browser = Browser(tmp_path)  # in one that was used, no key may reach the page
        request.addfinalizer(browser.driver.quit)
        open_report(browser, page)
        for _ in range(5):  # a page that has just been opened may miss a key
            browser.press(Keys.TAB)
            if browser.run("return document.activeElement !== document.body"):
                break
        assert browser.run("return document.activeElement.className") == "skip"
        for _ in range(60):
            browser.press(Keys.TAB)
            if browser.run("return document.activeElement.closest('.heat') !== null"):
                break
        first = browser.run("return document.activeElement.dataset.line")
        browser.press(Keys.ARROW_RIGHT)
        browser.press(Keys.ARROW_DOWN)
        second = browser.run("return document.activeElement.dataset.line")
        assert None not in (first, second)
        assert first != second
        browser.press(Keys.HOME)
        browser.press(Keys.END)
        browser.press(Keys.ENTER)
        browser.until("return document.activeElement.id === 'cell-heading'")
        for _ in range(60):
            browser.press(Keys.TAB)
            if browser.run("return document.activeElement.id === 'search'"):
                break
        browser.press("naive")
        browser.until("return document.querySelectorAll('#table tbody tr').length === 8")
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert browser.run(outline) == "solid"

    def test_only_one_cell_of_a_heat_map_is_a_tab_stop(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        assert (
            browser.run("return document.querySelectorAll('.heat a[tabindex=\"0\"]').length") == 1
        )


@pytest.mark.slow
class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("which", ["page", "compared"])
    def test_axe_finds_nothing(
        self, browser: Browser, request: pytest.FixtureRequest, which: str, scheme: str
    ) -> None:
        browser.media(scheme)
        open_report(browser, request.getfixturevalue(which))
        drawn(browser)
        browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
        assert browser.violations() == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("which", ["page", "compared"])
    def test_both_themes(
        self, browser: Browser, request: pytest.FixtureRequest, which: str, scheme: str
    ) -> None:
        browser.media(scheme)
        open_report(browser, request.getfixturevalue(which))
        drawn(browser)
        color = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert color == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
        browser.whole(1280)
        browser.until("return document.querySelectorAll('#cell-charts svg').length >= 2")
        browser.shot(f"{which}-{scheme}")
        assert browser.complaints() == []

    def test_the_switch_overrides_the_system(self, browser: Browser, page: Path) -> None:
        open_report(browser, page)
        for label, color in (
            ("Theme: light", "rgb(255, 255, 255)"),
            ("Theme: dark", "rgb(20, 23, 26)"),
            ("Theme: auto", "rgb(255, 255, 255)"),
        ):
            browser.driver.find_element("id", "theme").click()
            assert browser.driver.find_element("id", "theme").text == label
            assert browser.run("return getComputedStyle(document.body).backgroundColor") == color

    @pytest.mark.parametrize("which", ["page", "compared"])
    def test_a_narrow_screen(
        self, browser: Browser, request: pytest.FixtureRequest, which: str
    ) -> None:
        browser.resize(*NARROW)
        open_report(browser, request.getfixturevalue(which))
        drawn(browser)
        # nothing is wider than the screen but what scrolls by itself
        assert browser.run("return document.documentElement.scrollWidth") <= 390
        browser.whole(390)
        browser.until("return document.querySelectorAll('#cell-charts svg').length >= 2")
        browser.shot(f"{which}-narrow")

    @pytest.mark.parametrize("which", ["page", "compared"])
    def test_print(self, browser: Browser, request: pytest.FixtureRequest, which: str) -> None:
        browser.media("dark")
        open_report(browser, request.getfixturevalue(which))
        drawn(browser)
        browser.media("dark", "print")
        assert (
            browser.run("return getComputedStyle(document.querySelector('header')).display")
            == "none"
        )
        color = "return getComputedStyle(document.body).backgroundColor"
        assert browser.run(color) == "rgb(255, 255, 255)"
        ink = "return getComputedStyle(document.querySelector('#cell-charts svg text')).fill"
        assert browser.run(ink) == "rgb(27, 31, 35)"
        browser.printed(which)
        browser.whole(1000)
        # what is printed is not cut off at the right
        assert browser.run("return document.documentElement.scrollWidth") <= 1000
        browser.shot(f"{which}-print")
