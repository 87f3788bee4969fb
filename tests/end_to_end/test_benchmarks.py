"""The benchmarks run, and write what they print."""

import json
import subprocess
import sys

import pytest

from benchmarks.mutation.subjects import SUBJECTS
from tests.places import ROOT


@pytest.mark.slow
def test_a_subject_is_measured_side_by_side_and_written_with_its_targets(tmp_path):
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "startup"]
    ran = subprocess.run(
        [*command, "--output", str(output)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "× import click" in ran.stdout
    document = json.loads(output.read_text())
    assert "numpy" in json.dumps(document["environment"])
    assert "--help" in json.dumps(document)
    assert '"met"' in json.dumps(document)


def test_every_module_that_the_mutation_run_is_for_is_in_it_with_tests_that_exist():
    package = ROOT / "xentcheck"
    modules = [package / "floats.py"]
    for room in ("reference", "measurement"):
        modules += (each for each in (package / room).rglob("*.py") if each.name != "__init__.py")
    assert {str(each.relative_to(ROOT).as_posix()) for each in modules} == set(SUBJECTS)
    for subject in SUBJECTS.values():
        files = [each.split("::")[0] for each in subject.tests if each.startswith("tests/")]
        assert files
        assert all((ROOT / file).is_file() for file in files)
