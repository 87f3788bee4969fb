"""The pages of docs/ and README.md: what they tell to type works, and prints what they say.

`docs/pages/blocks.py` says how a page has files, commands, scripts and what they print. A page is
followed in a folder of its own, in its order. The folder has the tutorial's ``my_loss.py`` and
``gate.yaml``, and the configurations of the project.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.pages.blocks import Block, Command, blocks, commands
from tests.places import ROOT
from xentcheck.cli import cli

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"

NAIVE, SHIFTED, SOUND = 0, 1, 2
"""The versions of ``my_loss.py`` in the tutorial, in its order."""

FOLLOWED = {
    "README.md": NAIVE,
    "docs/checking.md": NAIVE,
    "docs/diagnosis.md": SHIFTED,
    "docs/gating.md": NAIVE,
    "docs/grades.md": SOUND,
    "docs/invariants.md": SOUND,
    "docs/kernels.md": NAIVE,
    "docs/probing.md": NAIVE,
    "docs/ranges.md": NAIVE,
    "docs/reading-a-report.md": NAIVE,
    "docs/searching.md": NAIVE,
    "docs/tutorial.md": NAIVE,
}
"""Pages, each with the version of ``my_loss.py`` that its commands audit."""

ELSEWHERE = {
    "docs/python.md": "tests/end_to_end/test_pytest_plugin.py",
    "docs/upstream": "tests/frameworks/test_upstream.py",
    "docs/examples/command": "tests/implementations/test_user_code.py",
    "docs/examples/package": "tests/implementations/test_registration.py",
    "docs/examples/shared_library": "tests/implementations/test_user_code.py",
    "docs/examples/torch_module": "tests/frameworks/test_user_frameworks.py",
}
"""Pages and folders of pages that other tests follow."""

GENERATED = ("atlas", "causes", "figures", "json", "kinds", "losses")


def pages() -> Iterator[Path]:
    """README.md and every page of docs/ that is kept in git."""
    yield ROOT / "README.md"
    for page in sorted(DOCS.rglob("*.md")):
        if page.relative_to(DOCS).parts[0] not in GENERATED:
            yield page


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def typed(page: Path) -> list[Block]:
    """What a reader of a page is told to type."""
    found = blocks(page.read_text(encoding="utf-8"))
    return [each for each in found if each.language in ("sh", "python") and not each.reason]


def prepared(folder: Path, version: int) -> None:
    shutil.copytree(ROOT / "configs", folder / "configs")
    losses = []
    for block in blocks(TUTORIAL.read_text(encoding="utf-8")):
        if block.file == "my_loss.py":
            losses.append(block.text)
        elif block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
    assert len(losses) == SOUND + 1
    (folder / "my_loss.py").write_text(losses[version], encoding="utf-8")


def done(command: Command, folder: Path) -> str:
    """What a command prints, after it has ended as the page says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = command.run(folder, {**kept, "COLUMNS": "100", "PYTHONPATH": str(ROOT)})
    told = run.stdout + run.stderr
    assert run.returncode == command.status, f"{command.text}\n{told}"
    assert "Traceback" not in told, told
    return told


def runs(block: Block) -> bool:
    return block.language == "sh" and not block.reason


def follow(page: Path, folder: Path) -> int:
    """Do what a page says. Returns how many commands were run."""
    told, count = "", 0
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
            told = ""
        elif block.language != "text" or block.reason:
            told = ""
            for command in commands(block) if runs(block) else ():
                told += done(command, folder)
                count += 1
        elif told:
            for line in block.text.splitlines():
                pieces = map(re.escape, line.strip().split("…"))
                assert re.search(".*".join(pieces), told), f"{line}\nis not in\n{told}"
            told = ""
    return count


@pytest.mark.slow
@pytest.mark.parametrize("page", [each for each in FOLLOWED if each != "docs/kernels.md"])
def test_what_a_page_says_works(page: str, tmp_path: Path) -> None:
    prepared(tmp_path, FOLLOWED[page])
    assert follow(ROOT / page, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++") or not shutil.which("cc"), reason="no C compiler")
def test_what_the_page_on_kernels_says_works(tmp_path: Path) -> None:
    for example in ("command", "shared_library"):
        shutil.copytree(DOCS / "examples" / example, tmp_path, dirs_exist_ok=True)
    assert follow(DOCS / "kernels.md", tmp_path) == 4


@pytest.mark.slow
def test_a_page_that_says_something_wrong_is_noticed(tmp_path: Path) -> None:
    prepared(tmp_path, NAIVE)
    page = tmp_path / "page.md"
    for text in (
        "```sh\nxentcheck list dtypes  # exits 1\n```\n",
        "```sh\nxentcheck list dtypes\n```\n\n```text\nfloat42\n```\n",
    ):
        page.write_text(text)
        with pytest.raises(AssertionError):
            follow(page, tmp_path)


def test_every_page_with_something_to_type_is_followed() -> None:
    found = {name_of(each) for each in pages() if typed(each)}
    others = {each for each in found if any(each.startswith(name) for name in ELSEWHERE)}
    assert found - others == set(FOLLOWED)
    for name, test in ELSEWHERE.items():
        part = Path(name).name
        assert part.removesuffix(".md") in (ROOT / test).read_text(encoding="utf-8"), (name, test)


def test_every_block_is_seen() -> None:
    """A fence that the pattern misses would hide a block from the tests."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        fences = re.findall(r"^```(\w*)$", text, re.MULTILINE)
        assert len(list(blocks(text))) == len([each for each in fences if each]), page


def test_options_of_commands_exist() -> None:
    """Of every page, also where commands are not run."""
    seen = 0
    for page in pages():
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language != "sh":
                continue
            for command in commands(block):
                words = shlex.split(command.text, comments=True)
                if "xentcheck" not in words:
                    continue
                name, *rest = words[words.index("xentcheck") + 1 :]
                command_of = cli.get_command(click.Context(cli), name)
                assert command_of is not None
                known = {opt for each in command_of.params for opt in each.opts}
                options = {each.partition("=")[0] for each in rest if each.startswith("--")}
                assert options <= known | {"--help"}, (page, command)
                seen += 1
    assert seen > 40


def test_relative_links_lead_somewhere() -> None:
    """Also those to a section. Those to generated pages are Sphinx's to check."""
    for page in pages():
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "code", text)):
            path, _, anchor = link.partition("#")
            if link.startswith(("http", "mailto")) or path.split("/")[0] in GENERATED:
                continue
            target = page.parent / path if path else page
            assert target.exists(), (page, link)
            if anchor and target.suffix == ".md" and target.name != "findings.md":
                assert anchor in anchors(target), (page, link)


def anchors(page: Path) -> set[str]:
    """The anchors of the sections of a page, as GitHub and MyST name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in heads}
