"""The command line in this process: far cheaper than a process, for what needs none of its own."""

import inspect
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from xentcheck.cli import cli


@dataclass(frozen=True)
class Result:
    """What a command printed and the status it ended with."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def invoke(*words: str, **environment: str) -> Result:
    """Run ``xentcheck`` with these words; a traceback that nobody asked for is a failure."""
    before_click_8_2 = "mix_stderr" in inspect.signature(CliRunner).parameters
    apart: dict[str, Any] = {"mix_stderr": False} if before_click_8_2 else {}
    done = CliRunner(env=environment, **apart).invoke(cli, list(words))
    result = Result(done.exit_code, done.stdout, done.stderr)
    if "--debug" not in words:
        assert "Traceback" not in result.output, result.output
    return result
