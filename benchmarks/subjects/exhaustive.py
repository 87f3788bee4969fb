"""How many inputs a second an exhaustive float32 sweep checks."""

from benchmarks.auditing import audited
from benchmarks.findings import BenchmarkError, Findings, Plan, at_least, figure
from benchmarks.inputs import exhaustive
from benchmarks.timing import Spread, Work, by_turns, clocked, rate
from xentcheck.execution import cores
from xentcheck.losses import LOSSES
from xentcheck.model import Config
from xentcheck.sweeps import parts

WORKERS = 2
TARGET = 15.0  # million a second
SOUND = {
    "sigmoid": ("numpy.branch", "all"),
    "log_sigmoid": ("numpy.min_log1p", "all"),
    "softplus": ("numpy.max_log1p", "all"),
    "sigmoid_binary_cross_entropy": ("numpy.softplus", "ends"),
}
# From one power of two to another there are 2^23 numbers to each binade.
REGIONS = ((-128.0, -(2.0**-9)), (2.0**-9, 128.0))  # 2^28 numbers
QUICK_REGIONS = ((-32.0, -8.0), (8.0, 32.0))  # 2^25


def measure(plan: Plan, findings: Findings) -> None:
    """The value of four losses, each by a sound implementation, with two workers.

    Raises:
        BenchmarkError: not every input was checked.
    """
    regions = QUICK_REGIONS if plan.quick else REGIONS
    spans = " and ".join(f"[{low}, {high}]" for low, high in regions)
    findings.notes.append(
        f"Every float32 of {spans}, {WORKERS} workers on {cores()} cores; an input of "
        "sigmoid_binary_cross_entropy is a logit with target 0 or 1."
    )
    for loss, (implementation, targets) in SOUND.items():
        plan.say(loss)
        config = exhaustive(loss, implementation, targets, regions)
        _measure_one(plan, findings, f"{loss}, {implementation}", config)


def _measure_one(plan: Plan, findings: Findings, place: str, config: Config) -> None:
    checked: list[int] = []

    def run() -> None:
        report = audited(config, workers=WORKERS)
        checked.append(int(report.reference["rows"]))

    expected = _inputs(config)
    work = Work(place, clocked(run), expected, "input")
    (times,) = by_turns([work], plan.repetitions(full=3, quick=1))
    if set(checked) != {expected}:
        message = f"{place}: {expected:,} inputs were asked for, and {checked} were checked"
        raise BenchmarkError(message)
    findings.times.append(times)
    speed = rate(times)
    millions = Spread(speed.median / 1e6, speed.low / 1e6, speed.high / 1e6)
    findings.figures.append(
        figure("checked inputs", place, "million/s", millions, at_least(TARGET))
    )


def _inputs(config: Config) -> int:
    """How many inputs a configuration of one sweep describes, labels included."""
    (sweep,) = config.sweeps
    planned = parts(sweep, LOSSES[sweep.losses[0]], sweep.dtypes[0], config.seed)
    labels = 2 if sweep.targets == "ends" else 1
    return labels * sum(part.rows for part in planned)
