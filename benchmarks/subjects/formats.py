"""What each format costs as a report grows, and how fast its page is in a browser."""

import tempfile
import time
import tracemalloc
from importlib.util import find_spec
from pathlib import Path

from benchmarks.findings import Figure, Findings, Plan, at_most
from tests.report.samples import many, sample, with_profiles
from xentcheck.model import Report
from xentcheck.report.formats import NAMES, rendered

SIZES = (2_000, 20_000)
MEBIBYTE = 1 << 20
MOST_GROWTH = 12  # of time and memory, for ten times the measurements
MOST_BYTES = 10_000_000
MOST_PAINT_MS = 2_000
MOST_FILTER_MS = 100
_FILTERS = ("numpy", "float64 extreme", "x", "naive")


def measure(plan: Plan, findings: Findings) -> None:
    """Time and peak memory of each format at two sizes; then the page in Chromium."""
    reports = {size: with_profiles(many(sample(), size)) for size in SIZES}
    for form in NAMES:
        seconds, peaks = {}, {}
        for size, report in reports.items():
            plan.say(f"{form}, {size:,} measurements")
            seconds[size], text = _timed(report, form)
            peaks[size] = _peak(report, form)
            findings.measured |= {
                f"{form}, {size:,} measurements: seconds": seconds[size],
                f"{form}, {size:,} measurements: peak bytes": peaks[size],
                f"{form}, {size:,} measurements: bytes": len(text.encode()),
            }
            if form == "html":
                name = f"{size:,} measurements"
                megabytes = len(text.encode()) / 1e6
                goal = at_most(MOST_BYTES / 1e6)
                findings.figures += [
                    Figure("html", name, "MB", megabytes, target=goal),
                    Figure("html", name, "s to write", seconds[size]),
                ]
                _in_browser(text, name, findings)
        growth = at_most(MOST_GROWTH)
        small, large = SIZES
        for name, found in (("time", seconds), ("peak memory", peaks)):
            ratio = found[large] / found[small]
            findings.figures.append(Figure(form, name, "× at a tenth", ratio, target=growth))


def _timed(report: Report, form: str) -> tuple[float, str]:
    rendered(sample(), form, 100)  # what is imported and made once does not count
    start = time.perf_counter()
    text = rendered(report, form, 100)
    return time.perf_counter() - start, text


def _peak(report: Report, form: str) -> float:
    tracemalloc.start()
    rendered(report, form, 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float(peak)


def _in_browser(text: str, name: str, findings: Findings) -> None:
    if find_spec("selenium") is None:
        findings.missing.append("selenium")
        return
    from tests.browsing import CHROMIUM, DRIVER, Browser  # noqa: PLC0415

    if not (CHROMIUM and DRIVER):
        findings.missing.append("chromium, chromedriver")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        browser = Browser(Path(folder) / "profile")
        try:
            browser.open(path.as_uri(), ready="return document.documentElement.dataset.ready")
            paint = browser.run(
                "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            field = browser.driver.find_element("id", "search")
            for words in _FILTERS:
                field.clear()
                field.send_keys(words)
            filters = browser.run(
                "return performance.getEntriesByName('filter').map(each => each.duration)"
            )
        finally:
            browser.driver.quit()
    findings.figures += [
        Figure("html", f"{name}: first paint", "ms", paint, target=at_most(MOST_PAINT_MS)),
        Figure(
            "html", f"{name}: slowest filter", "ms", max(filters), target=at_most(MOST_FILTER_MS)
        ),
    ]
