"""What pyproject promises: machines without accelerator, Pythons, lowest versions that CI runs."""

import re
import tomllib

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOWEST = ROOT / ".ci" / "lowest.txt"
CI = (ROOT / ".ci" / "run").read_text()
MACHINES = [
    ("linux", "aarch64", False),
    ("linux", "riscv64", False),
    ("win32", "ARM64", False),
    ("linux", "x86_64", True),
    ("win32", "AMD64", True),
    ("darwin", "arm64", True),
    ("darwin", "x86_64", True),
]


@pytest.mark.parametrize("extra", ["fast", "test", "bench"])
@pytest.mark.parametrize(("platform", "machine", "wanted"), MACHINES)
def test_binary128_is_asked_for_only_where_it_has_wheels(
    extra: str, platform: str, machine: str, wanted: bool
) -> None:
    """Wheels of numpy-quaddtype 1.0.0: Linux and Windows on x86-64, and macOS."""
    environment = {**default_environment(), "sys_platform": platform, "platform_machine": machine}
    chosen = {
        each.name
        for each in map(Requirement, PROJECT["optional-dependencies"][extra])
        if each.marker is None or each.marker.evaluate(environment)
    }
    assert ("numpy-quaddtype" in chosen) is wanted
    assert len(chosen) >= 1 + wanted


def test_the_lowest_versions_are_those_that_ci_installs() -> None:
    """Every bound of the core, at its lowest, in one environment; and CI installs that file."""
    pinned = {
        each.name: str(each.specifier)
        for each in map(Requirement, LOWEST.read_text().splitlines())
        if each.specifier
    }
    for requirement in map(Requirement, PROJECT["dependencies"]):
        (lowest,) = [each.version for each in requirement.specifier if each.operator == ">="]
        assert pinned[requirement.name].removeprefix("==") in {lowest, f"{lowest}.0"}, requirement
    assert ".ci/lowest.txt" in CI


def test_the_newest_python_of_the_classifiers_is_run_by_ci() -> None:
    versions = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert "newer-python" in CI
