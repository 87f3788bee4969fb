"""What is run or imported is what was named: a link is not replaced by what it leads to."""

import os
import sys
from pathlib import Path

import pytest

from xentcheck.auditing.run import audit
from xentcheck.config import load
from xentcheck.implementations.user.loading import load_target
from xentcheck.model import Target

# as busybox and ccache: what it does depends on the name that it is called by
PROGRAM = """#!{python}
import sys
import numpy as np
if not sys.argv[0].endswith("kernel"):
    sys.exit("called as " + sys.argv[0])
x = np.load(sys.argv[1])
np.save(sys.argv[2], x)
"""
CONFIG = """
version: 1
implementations: [{{loss: softplus, name: mine, command: [{program}, "{{logits}}", "{{out}}"]}}]
sweeps: {{few: {{losses: softplus, dtypes: float32, implementations: mine,
  inputs: [{{generator: explicit, values: [100.0]}}]}}}}
"""


@pytest.mark.parametrize("program", ["bin/kernel", "./bin/kernel", "up/../bin/kernel"])
def test_a_program_is_run_by_the_link_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """softplus(100) is 100 in float32, so that a program that copies its input is right."""
    for folder in ("store", "bin", "up"):
        (tmp_path / folder).mkdir()
    script = tmp_path / "store" / "multicall"
    script.write_text(PROGRAM.format(python=sys.executable))
    script.chmod(0o755)
    (tmp_path / "bin" / "kernel").symlink_to(script)
    (tmp_path / "a.yaml").write_text(CONFIG.format(program=program))
    monkeypatch.chdir("/")
    config = load(tmp_path / "a.yaml")
    assert config.targets[0].command[0] == str(tmp_path / program)
    report = audit(config)
    assert not report.findings
    assert sum(each.rows for each in report.measurements) == 1


def test_parent_folders_behind_a_link_are_those_of_the_file_system(tmp_path: Path) -> None:
    """there/.. is the parent of what the link leads to, not of the link."""
    (tmp_path / "deep" / "inner").mkdir(parents=True)
    (tmp_path / "there").symlink_to(tmp_path / "deep" / "inner")
    script = tmp_path / "deep" / "kernel"
    script.write_text(PROGRAM.format(python=sys.executable))
    script.chmod(0o755)
    (tmp_path / "a.yaml").write_text(CONFIG.format(program="there/../kernel"))
    assert not audit(load(tmp_path / "a.yaml")).findings


def test_a_file_is_imported_beside_its_link(tmp_path: Path) -> None:
    """A module beside the link goes before one beside the file itself, which is found as well."""
    for folder, number in (("farm", 1), ("store", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "beside.py").write_text(f"NUMBER = {number}\n")
    (tmp_path / "store" / "further.py").write_text("NUMBER = 3\n")
    real = tmp_path / "store" / "0a1b.py"
    real.write_text("import beside, further\ndef loss(x): return beside.NUMBER, further.NUMBER\n")
    link = tmp_path / "farm" / "mine.py"
    link.symlink_to(real)
    for file, numbers in ((link, (1, 3)), (real, (2, 3))):
        found = load_target(Target("softplus", f"{file}:loss", "mine"))
        assert found.value is not None
        assert found.value(None) == numbers
    assert os.path.samefile(link, real)
