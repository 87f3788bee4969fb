"""How long commands take that compute nothing."""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from benchmarks.findings import BenchmarkError, Findings, Plan, at_most, figure
from benchmarks.timing import Work, by_turns, clocked, ratio

BASE = ("-c", "import click")
COMMANDS = {("--help",): 2, ("--version",): 2, ("list", "losses"): 3}
"""What is run, and how many times as long as the import it may take."""


def measure(plan: Plan, findings: Findings) -> None:
    """Three commands against a Python that imports click.

    Raises:
        BenchmarkError: a command failed.
    """
    plan.say("commands")
    works = [_work("import click", BASE)]
    works += [_work(" ".join(each), ("-m", "xentcheck", *each)) for each in COMMANDS]
    for work in works:  # so that all of it lies in the file cache
        work.clock()
    base, *commands = by_turns(works, plan.repetitions(full=10, quick=10))
    findings.times += [base, *commands]
    for times, most in zip(commands, COMMANDS.values(), strict=True):
        unit = "× import click"
        findings.figures.append(
            figure("python -m xentcheck", times.name, unit, ratio(times, base), at_most(most))
        )


def _work(name: str, arguments: tuple[str, ...]) -> Work:
    return Work(name, clocked(partial(command, name, arguments)))


def command(
    name: str,
    arguments: tuple[str, ...],
    environment: Mapping[str, str] = MappingProxyType({}),
    status: int = 0,
) -> None:
    """Run Python with these arguments. Raises BenchmarkError when its status is another one."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=installed(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != status:
        message = f"{name}: exit status {done.returncode}: {done.stderr[-300:]}"
        raise BenchmarkError(message)


def installed(environment: Mapping[str, str]) -> dict[str, str]:
    """This environment and more, with modules compiled once, as an installed package's are."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **environment}
