"""Tests of adapters are collected only where their frameworks are installed; the header says so.

A fact of a framework (``@pytest.mark.fact`` with its packages) holds for the versions with which it
was measured. Where another version does otherwise that is news, and no failure of ours.
"""

import re
from collections.abc import Generator, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import sharing
from xentcheck import registry
from xentcheck.reference import arbiter

# A busy machine is slow, and slowness is no failure: timings live in benchmarks/.
settings.register_profile("xentcheck", deadline=None)
settings.load_profile("xentcheck")

MEASURED = {
    "jax": "0.10.2",
    "keras": "3.15.1",
    "liger-kernel": "0.8.5",
    "lightgbm": "4.7.0",
    "mlx": "0.32.4",
    "onnxruntime": "1.31.1",
    "optax": "0.2.8",
    "paddlepaddle": "3.3.1",
    "scikit-learn": "1.9.1",
    "scipy": "1.17.1",
    "tensorflow-cpu": "2.21.0",
    "torch": "2.13.0",
    "xgboost": "3.2.0",
}
"""The versions for which the facts in the tests and in docs/frameworks.md were measured."""

_NEEDS = {
    "boosting": ("xgboost", "lightgbm"),
    "jax": ("jax", "optax"),
    "liger": ("liger_kernel",),
    "mlx": ("mlx",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "paddle": ("paddle",),
    "pytorch": ("torch",),
    "scipy": ("scipy",),
    "sklearn": ("sklearn",),
    "tensorflow": ("tensorflow", "keras"),
}
_MISSING = {
    name: [module for module in modules if find_spec(module) is None]
    for name, modules in _NEEDS.items()
}

collect_ignore = [f"frameworks/test_{name}.py" for name, missing in _MISSING.items() if missing]

registry._distribution = sharing.distribution_of

_REFERENCE = Path(__file__).parent / "reference"


_TOGETHER = re.compile(
    r"faults/test_faults\.py::.*\[\w+"  # of each loss
    r"|end_to_end/test_(adoption|articles|replay)\.py"
    r"|end_to_end/test_site"
    r"|implementations/test_(passing|registration)\.py"
    r"|measurement/test_default_limit\.py"
)
"""Names of tests that share what one worker of pytest-xdist has then to compute only once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            shared = _TOGETHER.search(nodeid)
            if shared is None:
                return nodeid
            return shared[0].partition("::")[0] + shared[0].partition("[")[2]

    return Sharing(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "cache"):
        sharing.share_compiled_modules(config.cache.mkdir("compiled"))
        sharing.keep_programs_apart(config.cache.mkdir("programs"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "cache") and not hasattr(config, "workerinput"):
        sharing.forget_modules_of_tests(config.cache.mkdir("compiled"))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser without a window."""
    from tests.browsing import Browser  # most tests need no selenium

    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.driver.quit()


@pytest.fixture
def browser(chromium: Any) -> Any:
    """The same browser: every test begins with the same window, theme and medium."""
    chromium.resize(1280, 900)
    chromium.media()
    return chromium


@pytest.fixture(autouse=True)
def _exact_results_are_shared(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each row goes to the arbiter once in a session; in tests of the reference, every time."""
    if request.path.is_relative_to(_REFERENCE):
        yield
        return
    arbiter._decide = sharing.remembered
    try:
        yield
    finally:
        arbiter._decide = sharing.decide


def pytest_report_header() -> str:
    missing = sorted({module for modules in _MISSING.values() for module in modules})
    return f"adapters not tested, not installed: {', '.join(missing) or 'none'}"


def versions_unlike_the_measured(packages: tuple[str, ...]) -> dict[str, str]:
    """The installed version of each package that the facts were not measured with."""
    found = {}
    for package in packages:
        try:
            installed = metadata.version(package).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
        if installed != MEASURED[package]:
            found[package] = installed
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Turn a fact that another version has changed into news."""
    marker = item.get_closest_marker("fact")
    try:
        return (yield)
    except AssertionError:
        other = versions_unlike_the_measured(marker.args) if marker is not None else {}
        if not other:
            raise
        what = item.name.removeprefix("test_").replace("_", " ")
        told = ", ".join(
            f"{package} {version} (measured with {MEASURED[package]})"
            for package, version in other.items()
        )
    pytest.skip(f"news: no longer so, or not yet, with {told}: {what}")
