"""The benchmarks run, and write what they print."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


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
