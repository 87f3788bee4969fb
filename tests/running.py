"""The command line in this process: far cheaper than a process, for what needs none of its own."""

import inspect
import os
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from xentcheck.cli import cli
from xentcheck.execution import hosts


@dataclass(frozen=True)
class Result:
    """What a command printed and the status it ended with."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


_place = ""


def _leave(place: str) -> None:
    """Users' code that is still loaded goes: in another folder its file is another one."""
    global _place  # noqa: PLW0603
    if place != _place:
        hosts.close()
    _place = place


def invoke(*words: str, cwd: Path | str = ".", **environment: str) -> Result:
    """Run ``xentcheck`` with these words; a traceback that nobody asked for is a failure.

    Without ``--workers`` an audit has one: small work is done before others have started.
    """
    before_click_8_2 = "mix_stderr" in inspect.signature(CliRunner).parameters
    apart: dict[str, Any] = {"mix_stderr": False} if before_click_8_2 else {}
    command = next((each for each in words if not each.startswith("-")), "")
    told = any(each.partition("=")[0] in ("--workers", "--help") for each in words)
    workers = () if told or command not in ("run", "check") else ("--workers", "1")
    with chdir(cwd):
        _leave(os.getcwd())
        done = CliRunner(env=environment, **apart).invoke(cli, [*words, *workers])
    if command != "probe":  # of these there may be many in a row
        hosts.close()
    result = Result(done.exit_code, done.stdout, done.stderr)
    if "--debug" not in words:
        assert "Traceback" not in result.output, result.output
    return result
