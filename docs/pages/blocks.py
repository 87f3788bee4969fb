"""The blocks of code of a page: files, scripts, commands and what they print.

A reader copies them; the tests run them, and `docs.pages.pictures` makes pictures of them.

* A block that begins with a comment ``# NAME.py`` or ``# NAME.yaml`` is a file. A later block of
  the same name replaces it.
* Other blocks of ``python`` are scripts, and blocks of ``sh`` are commands, one a line. A command
  that ends in ``# exits N`` has that status; others have 0.
* A block of ``text`` is what the block before it prints, or a part of it. … stands for anything.
* ``<!-- not run: REASON -->`` before a block says why nobody runs it.
* ``<!-- picture: NAME -->`` after a block of commands says what the picture of the last one is
  called.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- (?:not run: (?P<reason>[^\n]+?)|(?P<test>test-command)) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```\n"
    r"(?:\n<!-- picture: (?P<picture>\w+) -->\n)?",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
_STATUS = re.compile(r"\s+# exits (\d+)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        language: as it is written after the fence.
        text: the lines, each with its end.
        reason: why it is not run; "" if it is.
        picture: the name of a picture of the last command; "" if there is none.
    """

    language: str
    text: str
    reason: str = ""
    picture: str = ""

    @property
    def file(self) -> str:
        """The name of the file that it is, or ""."""
        found = _FILE.match(self.text)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a shell takes it, and the status it ends with."""

    text: str
    status: int = 0

    def run(self, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run it in a folder, with the programs of this environment first on the path."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        return subprocess.run(
            ["bash", "-c", self.text],
            cwd=folder,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page in Markdown, in their order."""
    for found in _BLOCK.finditer(page):
        yield Block(
            found["language"],
            found["text"],
            found["reason"] or found["test"] or "",
            found["picture"] or "",
        )


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block of ``sh``. A line that ends in a backslash goes on in the next."""
    for line in block.text.replace("\\\n", " ").splitlines():
        status = _STATUS.search(line)
        text = line[: status.start()] if status else line
        if text.strip() and not text.startswith("#"):
            yield Command(text.strip(), int(status[1]) if status else 0)
