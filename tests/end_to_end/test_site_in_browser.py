"""The documentation site in a real browser. Screenshots are left in build/pages."""

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urldefrag

import pytest

from tests.browsing import NARROW, WIDE, Browser, Keys, needs_browser

pytestmark = [pytest.mark.slow, needs_browser]

PAPER = 739  # pixels: the width of a letter between Chromium's margins
LOOKED_AT = (
    *("index", "tutorial", "atlas", "causes", "commands", "api", "configuration"),
    *("causes/absorbed-tail", "losses/softmax_cross_entropy", "atlas/framework-torch"),
)
"""Pages of each sort, of which screenshots are kept."""

_NAVIGATION = "return [...document.querySelectorAll('nav a[href], .navbar-brand')].map(a => a.href)"
_CUT = """\
const [scrolling] = arguments;
return [...document.querySelectorAll("article, article *")]
  .filter((each) => each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1)
  .filter((each) => !scrolling.includes(getComputedStyle(each).overflowX))
  .map((each) => each.outerHTML.slice(0, 160));
"""
"""What is wider than its place and cannot be scrolled to."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page showed.

    Attributes:
        complaints: warnings and errors in the console.
        strangers: addresses that it asked for outside of the site.
        navigation: pages to which its navigation leads.
        violations: what axe finds on a narrow screen, and in the dark theme.
        cut: what a narrow screen cuts off.
        cut_in_print: what paper cuts off.
    """

    complaints: list[str]
    strangers: list[str]
    navigation: frozenset[str]
    violations: dict[str, Any]
    cut: list[str]
    cut_in_print: list[str]


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a local server has the site."""
    handler = functools.partial(_Silent, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def visits(site: Path, address: str, chromium: Browser) -> dict[str, Visit]:
    """Every page, visited once on a narrow screen."""
    pages = sorted(each.relative_to(site).as_posix() for each in site.rglob("*.html"))
    return {
        page: visited(chromium, address, page) for page in pages if not page.startswith("_static")
    }


def visited(browser: Browser, address: str, page: str) -> Visit:
    browser.resize(*NARROW)
    browser.media()
    browser.open(address + page)
    asked = browser.requests()
    led = {urldefrag(each)[0].removeprefix(address) for each in browser.run(_NAVIGATION)}
    violations = {"light": browser.violations()}
    browser.media("dark")
    browser.until("return document.documentElement.dataset.theme === 'dark'")
    violations["dark"] = browser.violations(runOnly=["color-contrast"])
    cut = browser.run(_CUT, ["auto", "scroll"])
    browser.resize(PAPER, 1000)
    browser.media("light", "print")
    return Visit(
        browser.complaints("WARNING", "SEVERE"),
        [each for each in asked if not each.startswith((address, "data:", "about:"))],
        frozenset(led),
        {name: found for name, found in violations.items() if found},
        cut,
        browser.run(_CUT, []),
    )


def test_no_page_complains(visits: dict[str, Visit]) -> None:
    assert len(visits) > 150
    assert {page: each.complaints for page, each in visits.items() if each.complaints} == {}


def test_no_page_asks_for_anything_outside_the_site(visits: dict[str, Visit]) -> None:
    assert {page: each.strangers for page, each in visits.items() if each.strangers} == {}


def test_the_navigation_reaches_every_page(visits: dict[str, Visit]) -> None:
    reached, ahead = set(), {"index.html"}
    while ahead:
        page = ahead.pop()
        reached.add(page)
        ahead |= (visits[page].navigation & visits.keys()) - reached
    assert set(visits) - reached == {"search.html"}  # the dialogue of the search leads there


def test_axe_finds_nothing(visits: dict[str, Visit]) -> None:
    assert {page: each.violations for page, each in visits.items() if each.violations} == {}


def test_a_narrow_screen_cuts_nothing_off(visits: dict[str, Visit]) -> None:
    assert {page: each.cut for page, each in visits.items() if each.cut} == {}


def test_paper_cuts_nothing_off(visits: dict[str, Visit]) -> None:
    assert {page: each.cut_in_print for page, each in visits.items() if each.cut_in_print} == {}


def test_a_folder_without_a_server_is_enough(browser: Browser, site: Path) -> None:
    for page in ("index.html", "atlas/framework-torch.html"):
        browser.open((site / page).as_uri())
        assert browser.complaints("WARNING", "SEVERE") == []
        asked = {each for each in browser.requests() if not each.startswith(("data:", "about:"))}
        assert {each for each in asked if not each.startswith(site.as_uri())} == set()


class TestSearch:
    @pytest.mark.parametrize(
        ("words", "page"),
        [
            ("absorbed-tail", "causes/absorbed-tail.html"),
            ("softmax_cross_entropy", "losses/softmax_cross_entropy.html"),
            ("assert_accurate", "api.html"),
            ("vanished-gradient", "findings.html"),
            ("write-baseline", "commands.html"),
            ("torch.nn.functional.cross_entropy", "atlas/framework-torch.html"),
            ("bfloat16", "kernels.html"),
        ],
    )
    def test_it_finds_the_page(self, browser: Browser, address: str, words: str, page: str) -> None:
        browser.open(f"{address}search.html?q={quote(words)}")
        browser.until(_SEARCHED)
        assert f"{address}{page}" in {urldefrag(each)[0] for each in browser.run(_FOUND)}
        assert browser.complaints("WARNING", "SEVERE") == []

    def test_what_is_not_there_is_not_found(self, browser: Browser, address: str) -> None:
        browser.open(f"{address}search.html?q=xyzzy")
        browser.until(_SEARCHED)
        assert browser.run(_FOUND) == []


_SEARCHED = "return document.querySelector('#search-results h2')?.textContent === 'Search Results'"
_FOUND = "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Browser]:
    """A browser of its own: in one that was used, no key may reach the page."""
    made = Browser(tmp_path)
    yield made
    made.driver.quit()


class TestKeyboard:
    def tabbed(self, browser: Browser, found: str) -> None:
        """Press Tab until the focus is where it should be."""
        for _ in range(80):
            browser.press(Keys.TAB)
            if browser.run(f"const at = document.activeElement; return {found}"):
                assert browser.run(_FOCUS_IS_SEEN)
                return
        raise AssertionError(f"Tab does not reach {found}")

    def test_to_a_page_by_tab_and_enter(self, fresh: Browser, address: str) -> None:
        """From the top past the navigation into the text, and by a card to a page."""
        fresh.open(f"{address}index.html")
        self.tabbed(fresh, "at.closest('#pst-skip-link') !== null")
        fresh.press(Keys.ENTER)
        self.tabbed(fresh, "at.closest('article') !== null")
        self.tabbed(fresh, "at.href?.endsWith('causes.html') && at.closest('article') !== null")
        fresh.press(Keys.ENTER)
        fresh.until("return location.pathname === '/causes.html' && document.readyState")
        self.tabbed(fresh, "at.closest('.bd-sidebar-primary') && at.href?.endsWith('-clip.html')")
        fresh.press(Keys.ENTER)
        fresh.until("return location.pathname === '/causes/epsilon-clip.html'")

    def test_the_search(self, fresh: Browser, address: str) -> None:
        fresh.open(f"{address}atlas.html")
        self.tabbed(fresh, "at.classList.contains('search-button__button')")
        fresh.press(Keys.ENTER)
        fresh.until("return document.activeElement.type === 'search'")
        fresh.press(Keys.ESCAPE)
        fresh.until("return document.activeElement.type !== 'search'")
        fresh.press_with_control("k")
        fresh.until("return document.activeElement.type === 'search'")
        fresh.press("epsilon-clip", Keys.ENTER)
        fresh.until("return location.pathname === '/search.html'")
        fresh.until(_SEARCHED)
        self.tabbed(fresh, "at.href?.includes('causes/epsilon-clip.html')")
        fresh.press(Keys.ENTER)
        fresh.until("return location.pathname === '/causes/epsilon-clip.html'")

    def test_the_theme(self, fresh: Browser, address: str) -> None:
        fresh.open(f"{address}atlas.html")
        self.tabbed(fresh, "at.matches('.theme-switch-button, .pst-theme-switch button')")
        before = fresh.run("return document.documentElement.dataset.theme")
        fresh.press(Keys.ENTER)
        fresh.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
        fresh.until("return document.documentElement.dataset.mode !== 'auto'")
        assert before == "light"

    def test_a_narrow_screen(self, fresh: Browser, address: str) -> None:
        """The navigation opens, leads on, and closes; a wide table scrolls."""
        fresh.resize(*NARROW)
        fresh.open(f"{address}atlas/framework-torch.html")
        self.tabbed(fresh, "at.classList.contains('primary-toggle')")
        fresh.press(Keys.ENTER)
        fresh.until("return document.querySelector('dialog[open]') !== null")
        fresh.press(Keys.ESCAPE)
        fresh.until("return document.querySelector('dialog[open]') === null")
        self.tabbed(fresh, "at.classList.contains('pst-scrollable-table-container')")
        fresh.press(Keys.ARROW_RIGHT)
        fresh.until("return document.activeElement.scrollLeft > 0")
        fresh.open(f"{address}atlas/framework-torch.html")
        self.tabbed(fresh, "at.classList.contains('primary-toggle')")
        fresh.press(Keys.ENTER)
        self.tabbed(fresh, "at.closest('dialog') && at.href?.endsWith('framework-jax.html')")
        fresh.press(Keys.ENTER)
        fresh.until("return location.pathname === '/atlas/framework-jax.html'")


_FOCUS_IS_SEEN = """\
return [null, "::after"]
  .map((part) => getComputedStyle(document.activeElement, part))
  .some((style) => style.outlineStyle !== "none" || style.boxShadow !== "none");
"""


_FOR_SCREENS = """\
return [...document.querySelectorAll("header, .bd-sidebar-primary, .bd-sidebar-secondary")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }))
  .map((each) => each.className);
"""


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_both_themes(self, browser: Browser, address: str, scheme: str) -> None:
        for page in LOOKED_AT:
            browser.resize(*WIDE)
            browser.media(scheme)
            browser.open(f"{address}{page}.html")
            color = browser.run("return getComputedStyle(document.body).backgroundColor")
            assert color == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[scheme]
            assert browser.violations() == []
            self.shot(browser, page, scheme)

    def test_a_narrow_screen(self, browser: Browser, address: str) -> None:
        for page in LOOKED_AT:
            browser.resize(*NARROW)
            browser.open(f"{address}{page}.html")
            assert browser.run("return document.documentElement.scrollWidth") == NARROW[0]
            self.shot(browser, page, "narrow")

    def test_print_is_light(self, browser: Browser, address: str) -> None:
        """Also where the screen is dark; without what only a screen can use."""
        for page in LOOKED_AT:
            browser.resize(PAPER, 1000)
            browser.media("dark")
            browser.open(f"{address}{page}.html")
            browser.media("dark", "print")
            browser.until("return document.documentElement.dataset.theme === 'light'")
            color = browser.run("return getComputedStyle(document.body).backgroundColor")
            assert color == "rgb(255, 255, 255)"
            assert browser.run(_FOR_SCREENS) == []
            self.shot(browser, page, "print")
            browser.printed(f"site-{page.replace('/', '-')}")
            browser.media("dark")
            browser.until("return document.documentElement.dataset.theme === 'dark'")

    def shot(self, browser: Browser, page: str, look: str) -> None:
        """The upper part of a page, as an artefact."""
        high = int(browser.run("return document.documentElement.scrollHeight"))
        browser.resize(int(browser.run("return innerWidth")), min(high, 3000))
        browser.shot(f"site-{page.replace('/', '-')}-{look}")
