"""The instrument is tested itself: every planted fault is noticed by the tests that are named.

Each fault goes into a copy of the tree, never into the tree; only tests that fail there count, not
a collection that breaks or a run that hangs.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.planted import PLANTED, Planted
from tests.places import ROOT

PARTS = ("xentcheck", "tests", "configs", "docs", "pyproject.toml", "README.md")
TESTS_PASSED, TESTS_FAILED = 0, 1  # pytest's exit statuses
PATIENCE = 120  # seconds; a planted fault makes no test run long
EVERY = int(os.environ.get("PLANTED_EVERY", "1"))  # CI plants one fault of so many
PATIENCE_FOR_ALL = 900  # all named tests, one after the other


def copy_of_the_tree(place: Path) -> Path:
    """A copy without compiled files, so that nothing stale is imported."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, place / part, ignore=ignore)
        else:
            shutil.copy2(source, place / part)
    return place


def python(
    place: Path, *arguments: str, patience: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Python that imports the copy, and knows nothing of the pytest it is called from."""
    outer = ("PYTEST", "COV_", "COVERAGE")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    environment["PYTHONPATH"] = str(place)
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )


def run_tests(
    place: Path, *tests: str, patience: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run tests on a copy, after making sure that it is the copy that they import."""
    probe = python(place, "-c", "import xentcheck; print(xentcheck.__file__)")
    assert Path(probe.stdout.strip()).is_relative_to(place), probe.stdout + probe.stderr
    options = ("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")
    return python(place, "-m", "pytest", *options, *tests, patience=patience)


def test_every_planted_fault_replaces_a_text_that_stands_once_in_its_file() -> None:
    for fault in PLANTED:
        assert fault.old != fault.new, fault.name
        assert (ROOT / fault.file).read_text().count(fault.old) == 1, fault.name


def test_every_named_test_exists() -> None:
    """So that a test which is renamed is missed at once, not in the long run."""
    defined: dict[str, set[str]] = {}
    for test in dict.fromkeys(test for fault in PLANTED for test in fault.tests):
        file, *names = test.split("::")
        if file not in defined:
            nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
            kinds = (ast.FunctionDef, ast.ClassDef)
            defined[file] = {each.name for each in nodes if isinstance(each, kinds)}
        assert {each.partition("[")[0] for each in names} <= defined[file], test


def test_there_are_many_planted_faults_each_with_a_name_and_an_edit_of_its_own() -> None:
    assert len(PLANTED) >= 20
    assert len({fault.name for fault in PLANTED}) == len(PLANTED)
    assert len({(fault.file, fault.old, fault.new) for fault in PLANTED}) == len(PLANTED)


@pytest.mark.slow
def test_the_named_tests_pass_on_a_copy_without_a_fault(tmp_path: Path) -> None:
    named = dict.fromkeys(test for fault in PLANTED for test in fault.tests)
    ran = run_tests(copy_of_the_tree(tmp_path), *named, patience=PATIENCE_FOR_ALL)
    assert ran.returncode == TESTS_PASSED, ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED[::EVERY], ids=lambda fault: fault.name.replace(" ", "-"))
def test_planted_fault_is_noticed(fault: Planted, tmp_path: Path) -> None:
    file = copy_of_the_tree(tmp_path) / fault.file
    text = file.read_text()
    assert text.count(fault.old) == 1
    file.write_text(text.replace(fault.old, fault.new))
    ran = run_tests(tmp_path, *fault.tests)
    assert ran.returncode == TESTS_FAILED, ran.stdout + ran.stderr
