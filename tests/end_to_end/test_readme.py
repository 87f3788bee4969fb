"""What README.md promises: its commands, its files."""

import re
import subprocess

from tests.places import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_continuous_integration_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (line,) = [each for each in script.splitlines() if each.startswith("command=")]
    shell = f'{line}\nprintf "%s" "$command"'
    found = subprocess.run(
        ["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert found.startswith("python3 -m venv .venv && ")
    assert found.endswith("python -m pytest -n auto")
    assert f"```sh\n{found}\n```" in README


def test_both_commands_stand_at_the_top_and_install_what_they_need():
    commands = re.findall(r"```sh\n(python3 -m venv .*)\n```", README)
    assert len(commands) == 2
    assert commands[0].endswith("xentcheck run configs/sweep.yaml")
    assert all("pip install" in command for command in commands)
    assert README.index(commands[1]) < README.index("## ")


def test_every_file_that_is_linked_or_named_exists():
    linked = re.findall(r"\]\(([^)]+)\)", README)
    named = re.findall(r"\b(configs/[a-z/]+\.yaml)\b", README)
    assert linked
    assert named
    for path in (*linked, *named):
        assert (ROOT / path).exists(), path
