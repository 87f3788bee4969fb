"""A real browser for tests: Chromium without a window. Screenshots are left in build/pages."""

import base64
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
DRIVER = shutil.which("chromedriver") or ""
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium and chromedriver are installed"
)
SHOTS = ROOT / "build" / "pages"
WIDE, NARROW = (1280, 900), (390, 844)  # windows, in pixels
_SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
)
_LOADED = "return document.readyState === 'complete'"
_AXE = """\
const [options, tell] = arguments;
const shown = (each) => [each.id, each.nodes.map((node) => node.html.slice(0, 200))];
axe
  .run(document, { resultTypes: ["violations"], preload: false, ...options })
  .then((found) => tell(found.violations.map(shown)));
"""


class Browser:
    """A browser with one page at a time."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_script_timeout(300)
        self.resize(*WIDE)

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", metrics)

    def command(self, name: str, given: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(name, given)

    def media(self, scheme: str = "light", media: str = "") -> None:
        """Emulate a theme and a medium; nothing moves, as readers may ask of their system."""
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.command("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def open(self, address: str, ready: str = _LOADED) -> None:
        """Open a page. What it said and asked for before is forgotten."""
        self.driver.get("about:blank")
        for name in ("browser", "performance"):
            self.driver.get_log(name)
        self.driver.get(address)
        self.until(ready)

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    def until(self, script: str, seconds: float = 60) -> None:
        WebDriverWait(self.driver, seconds).until(lambda _: self.run(script), script)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def press_with_control(self, key: str) -> None:
        ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(key).key_up(
            Keys.CONTROL
        ).perform()

    def whole(self, width: int) -> None:
        """Make the window as high as the page."""
        self.resize(width, int(self.run("return document.documentElement.scrollHeight")))

    def shot(self, name: str) -> None:
        """A screenshot of the window, as an artefact."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SHOTS / f"{name}.png"))

    def printed(self, name: str) -> None:
        """The page as it is printed, as an artefact."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        made = self.command("Page.printToPDF", {"preferCSSPageSize": True})
        (SHOTS / f"{name}.pdf").write_bytes(base64.b64decode(made["data"]))

    def complaints(self, *levels: str) -> list[str]:
        """What the console says since the page was opened; of all levels if none is named."""
        said = self.driver.get_log("browser")
        return [each["message"] for each in said if not levels or each["level"] in levels]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        entries = [json.loads(each["message"]) for each in self.driver.get_log("performance")]
        return [
            each["message"]["params"]["request"]["url"]
            for each in entries
            if each["message"]["method"] == "Network.requestWillBeSent"
        ]

    def violations(self, **options: Any) -> list[Any]:
        """What axe finds: pairs of a rule and the elements that break it."""
        axe = pytest.importorskip("axe_core_python", reason="axe-core is not installed")
        if self.run("return typeof axe") == "undefined":
            self.run(resources.files(axe).joinpath("axe.min.js").read_text("utf-8"))
        return list(self.driver.execute_async_script(_AXE, options))
