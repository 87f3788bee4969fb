"""What README.md promises: its commands, its files."""

import re
import subprocess
from xml.etree import ElementTree

import pytest

from docs.pages.atlas import measured, with_table
from docs.pages.blocks import blocks, commands
from docs.pages.pictures import PICTURES, outputs
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


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_the_table_of_the_atlas_is_that_of_the_data():
    assert with_table(README) == README, "run python -m docs.pages.atlas"
    lines, record = measured()
    assert lines
    assert record["date"] in README


def words(text):
    """What of a text stays when numbers and colours change."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.findall(r"[A-Za-z_-]{4,}", plain)


def drawn(name):
    """The text of a picture, line by line."""
    root = ElementTree.parse(PICTURES / f"{name}.svg").getroot()
    texts = [each for each in root.iter() if each.tag.endswith("text")]
    return " ".join("".join(each.itertext()).replace("\xa0", " ") for each in texts)


def test_its_picture_is_made_by_a_command_of_the_tutorial():
    (name,) = re.findall(r"\]\(docs/pictures/(\w+)\.svg\)", README)
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (block,) = [each for each in blocks(tutorial) if each.picture == name]
    *_, command = commands(block)
    assert f"$ {command.text}" in drawn(name)
    assert command.text in README


@pytest.mark.slow
def test_the_pictures_show_what_the_commands_print():
    seen = set()
    for name, command, output in outputs():
        expected, shown = words(output), words(drawn(name))
        title = words(command)
        assert shown[: len(title)] == title
        rest = shown[len(title) :]
        assert rest
        assert rest == expected[: len(rest)], "run python -m docs.pages.pictures"
        seen.add(f"{name}.svg")
    assert seen == {each.name for each in PICTURES.iterdir()}
