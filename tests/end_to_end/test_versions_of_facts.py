"""A fact of a framework holds for the version it was measured with; a change in another is news."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.conftest import MEASURED
from tests.places import ROOT

CONFTEST = """
from tests.conftest import MEASURED, pytest_runtest_call
MEASURED["numpy"] = "1.0"
MEASURED["mpmath"] = {mpmath!r}
def pytest_configure(config):
    config.addinivalue_line("markers", "fact(packages): of a version")
"""
TESTS = """
import pytest
@pytest.mark.fact("numpy")
def test_seen_with_another_version(): assert 1 == 2
@pytest.mark.fact("mpmath")
def test_seen_with_this_version(): assert 1 == 2
@pytest.mark.fact("numpy")
def test_still_so(): assert 1 == 1
@pytest.mark.fact("numpy")
def test_broken(): raise RuntimeError("no news")
def test_of_ours(): assert 1 == 2
"""


def test_only_a_fact_of_another_version_becomes_news(tmp_path: Path) -> None:
    version = metadata.version("mpmath")
    (tmp_path / "conftest.py").write_text(CONFTEST.format(mpmath=version))
    (tmp_path / "test_some.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rsfE", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    failed = set(re.findall(r"^(?:FAILED|ERROR) .*::(\w+)", done.stdout, re.MULTILINE))
    assert failed == {"test_seen_with_this_version", "test_broken", "test_of_ours"}
    assert "3 failed, 1 passed, 1 skipped" in done.stdout
    news = f"with numpy {metadata.version('numpy')} (measured with 1.0): seen with another version"
    assert news in done.stdout


def test_the_versions_in_the_documentation_are_those_of_the_tests() -> None:
    heading = (ROOT / "docs" / "frameworks.md").read_text().partition("## ")[0]
    for package, version in MEASURED.items():
        assert version in heading, package
