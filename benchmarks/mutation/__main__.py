"""The command: a seeded sample of cosmic-ray's mutants, each run against the tests of its module.

Everything happens in a copy of the tree. Progress goes to standard error, the counts and the
survivors to standard output, and every mutant with its fate to a file, after each module.
"""

import ast
import contextlib
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome

from benchmarks.mutation.subjects import SUBJECTS, Subject

ROOT = Path(__file__).parents[2]
PARTS = ("xentcheck", "tests", "configs", "docs", "benchmarks", "pyproject.toml", "README.md")
LEAST_PATIENCE = 30.0
"""Seconds that a mutant's tests may take at least, however fast they are without it."""

KILLED, TIMEOUT, SURVIVED = "killed", "timeout", "survived"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", multiple=True, help="Modules that have this in their path. Repeatable.")
@click.option("--seed", default=0, show_default=True, help="Of the sample.")
@click.option("--share", default=1.0, show_default=True, help="Of the number of mutants.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="JSON.")
def main(only: tuple[str, ...], seed: int, share: float, output: Path | None) -> None:
    """Mutate the reference, the scoring and what is collected, and name what no test notices."""
    chosen = {
        module: subject
        for module, subject in SUBJECTS.items()
        if not only or any(part in module for part in only)
    }
    fates: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory, _inside(_copied(Path(directory))):
        for module, subject in chosen.items():
            fates += _run(module, subject, seed, share)
            if output is not None:
                output.write_text(json.dumps(fates, indent=1), encoding="utf-8")
    _report(fates)


def _copied(place: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, place / part, ignore=ignore)
        else:
            shutil.copy2(source, place / part)
    return place


@contextlib.contextmanager
def _inside(place: Path) -> Iterator[None]:
    """In the copy, which is what Python imports there."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(place)
    with contextlib.chdir(place):
        yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def _run(module: str, subject: Subject, seed: int, share: float) -> list[dict[str, Any]]:
    """The fates of the sampled mutants of one module."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "benchmarks.mutation.unshrunk"]
    command = shlex.join([sys.executable, "-m", "pytest", *options, *subject.tests])
    start = time.perf_counter()
    plain = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    if plain.returncode:
        raise click.ClickException(f"the tests of {module} fail without a mutant\n{plain.stdout}")
    patience = max(LEAST_PATIENCE, 4.0 * (time.perf_counter() - start))
    sites = _sites(module)
    stream = random.Random(f"{seed} {module}")
    count = min(len(sites), max(1, round(subject.mutants * share)))
    fates = []
    for site in sorted(stream.sample(range(len(sites)), count)):
        mutation = stream.choice(sites[site])
        begin = time.perf_counter()
        result = mutate_and_test([mutation], command, patience)
        fate = KILLED if result.test_outcome is not TestOutcome.SURVIVED else SURVIVED
        if result.output == "timeout":
            fate = TIMEOUT
        seconds = round(time.perf_counter() - begin, 1)
        fates.append(
            {
                "module": module,
                "sites": len(sites),
                "line": mutation.start_pos[0],
                "operator": mutation.operator_name.removeprefix("core/"),
                "occurrence": mutation.occurrence,
                "fate": fate,
                "seconds": seconds,
                "diff": _changed(result.diff or ""),
            }
        )
        text = f"{module}:{mutation.start_pos[0]} {mutation.operator_name}: {fate} ({seconds} s)"
        click.echo(text, err=True)
    return fates


def _sites(module: str) -> list[list[MutationSpec]]:
    """The mutants of a module by place and sort of operator, in order.

    An operator has up to eleven others to be replaced by: a sample of places is not a sample of
    these. Annotations are left out, since nothing depends on them.
    """
    notes = list(_annotations(Path(module).read_text(encoding="utf-8")))
    with contextlib.closing(WorkDB(":memory:", WorkDB.Mode.create)) as session:
        init([Path(module)], session, {})
        found: dict[tuple[Any, ...], list[MutationSpec]] = {}
        for item in session.work_items:
            (mutation,) = item.mutations
            if any(low <= mutation.start_pos < high for low, high in notes):
                continue
            family = mutation.operator_name.split("_")[0]
            found.setdefault((mutation.start_pos, family), []).append(mutation)
    in_order = sorted(found)
    return [
        sorted(found[site], key=lambda each: (each.operator_name, each.occurrence))
        for site in in_order
    ]


def _annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """From where to where annotations go, as (line, column)."""
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            note = getattr(node, name, None)
            if note is not None:
                start = (note.lineno, note.col_offset)
                yield start, (note.end_lineno, note.end_col_offset)


def _changed(diff: str) -> list[str]:
    """The lines of a diff that changed."""
    lines = diff.splitlines()
    return [each for each in lines if each[:1] in "+-" and each[:3] not in ("+++", "---") and each]


def _report(fates: list[dict[str, Any]]) -> None:
    click.echo("| module | places | mutants | killed | timeout | survived |")
    click.echo("|---|---|---|---|---|---|")
    for module in dict.fromkeys(each["module"] for each in fates):
        mine = [each for each in fates if each["module"] == module]
        counts = Counter(each["fate"] for each in mine)
        numbers = (mine[0]["sites"], len(mine), *(counts[f] for f in (KILLED, TIMEOUT, SURVIVED)))
        click.echo(f"| `{module}` | {' | '.join(map(str, numbers))} |")
    for each in fates:
        if each["fate"] == SURVIVED:
            click.echo(f"\n{each['module']}:{each['line']} {each['operator']}")
            click.echo("\n".join(each["diff"]))


if __name__ == "__main__":
    main()
