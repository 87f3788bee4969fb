"""The survey with every framework that is installed, against the survey of NumPy's field guide."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.findings import BenchmarkError, Figure, Findings, Plan, at_most, figure
from benchmarks.inputs import SURVEY
from benchmarks.subjects.startup import installed
from benchmarks.timing import Times, Work, by_turns, ratio

FIRST, AGAIN = "survey, first", "survey, again"
ALONE = "survey of numpy.*"
GIGABYTE = 1e9
_LOOKED_S = 0.5  # seconds between two looks at the memory


def measure(plan: Plan, findings: Findings) -> None:
    """Two workers: NumPy alone; everything without compiled programs, and with those it left.

    Raises:
        BenchmarkError: a run failed.
    """
    if not SURVEY.exists():
        findings.missing.append(f"{SURVEY} is not here: run this from the repository's root")
        return
    if plan.quick:
        findings.notes.append(f"Quick: {SURVEY} with every framework takes minutes, left out.")
        return
    peaks: dict[str, list[float]] = {FIRST: [], AGAIN: []}
    with tempfile.TemporaryDirectory() as folder:
        caches: list[str] = []  # the last is that of the last first time

        def alone() -> float:
            return _run(("--select", "numpy.*"), folder)[0]

        def whole(name: str) -> float:
            if name == FIRST:
                caches.append(tempfile.mkdtemp(dir=folder))
            seconds, peak = _run((), caches[-1])
            peaks[name].append(peak)
            return seconds

        plan.say(f"{ALONE}, then everything")
        works = [Work(ALONE, alone), *(Work(name, partial(whole, name)) for name in peaks)]
        measured = by_turns(works, plan.repetitions(full=1, quick=1))
    _noted(findings, {each.name: each for each in measured}, peaks)


def _noted(
    findings: Findings, times: Mapping[str, Times], peaks: Mapping[str, list[float]]
) -> None:
    findings.times += times.values()
    for name, most in ((FIRST, 3.5), (AGAIN, 2.5)):
        spread = ratio(times[name], times[ALONE])
        findings.figures.append(figure(str(SURVEY), name, f"× {ALONE}", spread, at_most(most)))
        if all(peaks[name]):
            peak = max(peaks[name]) / GIGABYTE
            findings.figures.append(
                Figure(str(SURVEY), f"{name}, all processes", "GB", peak, target=at_most(3))
            )
    findings.notes.append(
        "Memory is that of all processes together; a page that several share counts once (PSS)."
    )


def _run(words: tuple[str, ...], cache: str) -> tuple[float, float]:
    """Seconds of a survey, and the peak of its memory in bytes; 0 where that is not told."""
    command = [sys.executable, "-m", "xentcheck", "run", str(SURVEY), "--workers", "2", *words]
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--allow-skips"],
            env=installed({"XDG_CACHE_HOME": cache}),
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(map(_memory, _family(process.pid))))
            time.sleep(_LOOKED_S)
        seconds = time.perf_counter() - start
        if process.returncode:
            said.seek(0)
            message = f"{SURVEY}: exit status {process.returncode}: {said.read().strip()[-400:]}"
            raise BenchmarkError(message)
    return seconds, peak


def _family(leader: int) -> Iterator[int]:
    """The processes of a session and all that descend from them, as far as /proc tells."""
    parents: dict[int, int] = {}
    found = {leader}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it is gone
            after = stat.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(after[1])
            if int(after[3]) == leader:
                found.add(int(stat.parent.name))
    for process in parents:
        line = [process]
        while line[-1] in parents and line[-1] not in found:
            line.append(parents[line[-1]])
        if line[-1] in found:
            found.update(line)
    yield from found


def _memory(process: int) -> float:
    """The proportional set size of a process in bytes."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
