"""The command: subjects → tables on stdout, progress on stderr, JSON into a file."""

import sys
import time
import traceback
from pathlib import Path

import click
from rich.console import Console

from benchmarks import environment, table
from benchmarks.document import to_json
from benchmarks.findings import BenchmarkError, Findings, Plan
from benchmarks.subjects import SUBJECTS, Subject

FAILED = 1


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(list(SUBJECTS)), multiple=True, help="Repeatable.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every raw time and figure to this file as JSON.",
)
@click.option("--quick", is_flag=True, help="Smaller inputs and fewer repetitions.")
@click.option("--repetitions", type=click.IntRange(min=1), help="Instead of each subject's own.")
def main(only: tuple[str, ...], output: Path | None, quick: bool, repetitions: int | None) -> None:
    """Measure what xentcheck costs, as ratios to what an engineer would do otherwise.

    The exit status is 1 when a subject could not be measured; a target that is not met is no error.
    """
    chosen = {name: SUBJECTS[name] for name in SUBJECTS if not only or name in only}
    where = environment.describe()
    console = Console(width=table.WIDTH, highlight=False)
    found: dict[str, Findings] = {}
    for name, subject in chosen.items():
        start = time.perf_counter()

        def say(what: str, name: str = name, start: float = start) -> None:
            click.echo(f"{name}: {what} ({time.perf_counter() - start:.0f} s)", err=True)

        found[name] = _measured(subject, Plan(quick, repetitions, say))
        console.print(table.render(name, subject.summary, found[name]))
        if output is not None:
            output.write_text(to_json(where, found, quick=quick), encoding="utf-8")
    sys.exit(FAILED if any(each.failure for each in found.values()) else 0)


def _measured(subject: Subject, plan: Plan) -> Findings:
    """A subject's findings; those before an error, if there is one, so that the others go on."""
    findings = Findings()
    try:
        subject.measure(plan, findings)
    except BenchmarkError as error:
        findings.failure = str(error)
    except Exception as error:
        traceback.print_exc()
        findings.failure = f"{type(error).__name__}: {error}"
    return findings


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
