"""How long commands take that compute nothing."""

import subprocess
import sys
from functools import partial

from benchmarks.findings import BenchmarkError, Findings, Plan, at_most, figure
from benchmarks.timing import Work, by_turns, clocked, ratio

BASE = ("-c", "import click")
COMMANDS = (("--help",), ("--version",), ("list", "losses"))


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
    for times in commands:
        unit = "× import click"
        findings.figures.append(
            figure("python -m xentcheck", times.name, unit, ratio(times, base), at_most(2))
        )


def _work(name: str, arguments: tuple[str, ...]) -> Work:
    return Work(name, clocked(partial(command, name, arguments)))


def command(name: str, arguments: tuple[str, ...]) -> None:
    """Run Python with these arguments. Raises BenchmarkError when it fails."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    if done.returncode:
        message = f"{name}: exit status {done.returncode}"
        raise BenchmarkError(message)
