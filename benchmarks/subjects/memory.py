"""The peak of resident memory while an audit runs, each in a process of its own.

As a module of its own (``python -m benchmarks.subjects.memory DTYPE CLASSES ROWS WORKERS``) it
audits, and prints its peak and that of its largest child in bytes.
"""

import json
import resource
import subprocess
import sys

from benchmarks.auditing import audited
from benchmarks.findings import BenchmarkError, Figure, Findings, Plan, at_most
from benchmarks.inputs import SOUND, large

CLASSES = 1000
LOGITS = (1 << 22, 1 << 24, 1 << 26)
VOCABULARY = 128_256
VOCABULARY_ROWS = 4096
QUICK_VOCABULARY_ROWS = 256
MEBIBYTE = 1 << 20
MOST = 2048  # mebibytes

# A process begins with the peak of the one that started it: a small one stands between.
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"


def measure(plan: Plan, findings: Findings) -> None:
    """Sweeps of growing size, then rows as long as a vocabulary; value and gradient.

    Raises:
        BenchmarkError: an audit could not be run.
    """
    findings.notes.append(
        f"{SOUND}. With two workers: this process's peak and twice that of the larger worker, "
        "though they share pages."
    )
    rows = QUICK_VOCABULARY_ROWS if plan.quick else VOCABULARY_ROWS
    peaks = [_noted(plan, findings, "float32", CLASSES, size // CLASSES, 1) for size in LOGITS]
    if not plan.quick:
        _noted(plan, findings, "float32", CLASSES, LOGITS[-1] // CLASSES, 2)
    _noted(plan, findings, "bfloat16", VOCABULARY, rows, 1)
    growth = peaks[-1] / peaks[0]
    name = f"{LOGITS[-1]:,} logits"
    findings.figures.append(Figure("growth", name, f"× {LOGITS[0]:,} logits", growth))


def _noted(
    plan: Plan, findings: Findings, dtype: str, classes: int, rows: int, workers: int
) -> float:
    """The peak of one audit in bytes, as a figure."""
    workforce = "1 worker" if workers == 1 else f"{workers} workers"
    place = f"{dtype}, {classes:,} classes"
    name = f"{rows:,} rows, {workforce}"
    plan.say(f"{place}, {name}")
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", __spec__.name]
    arguments = [dtype, str(classes), str(rows), str(workers)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{place}, {name}: exit status {done.returncode}: {done.stderr.strip()[-400:]}"
        raise BenchmarkError(message)
    own, child = json.loads(done.stdout)
    findings.measured |= {
        f"{place}, {name}: own bytes": own,
        f"{place}, {name}: largest child's bytes": child,
    }
    peak = float(own + workers * child)
    findings.figures.append(Figure(place, name, "MiB", peak / MEBIBYTE, target=at_most(MOST)))
    return peak


def _audited(dtype: str, classes: int, rows: int, workers: int) -> tuple[int, int]:
    """The peaks of this process and of its largest child in bytes, after an audit."""
    audited(large(dtype, classes, rows, SOUND), workers=workers)
    unit = 1 if sys.platform == "darwin" else 1024
    return (
        unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        unit * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    )


if __name__ == "__main__":
    _dtype, *_numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(_audited(_dtype, *map(int, _numbers))))
