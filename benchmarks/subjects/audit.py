"""The whole audit of an implementation against running it alone."""

import time
from collections.abc import Iterator

from benchmarks.auditing import audited
from benchmarks.findings import Findings, Plan, at_most, figure
from benchmarks.inputs import INACCURATE, SOUND, large
from benchmarks.timing import Spread, Times, Work, by_turns, clocked, ratio
from xentcheck import registry, sweeps
from xentcheck.floats import to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import Case, Config

LOGITS = 1 << 27
QUICK_LOGITS = 1 << 25
SHAPES = (("float32", 1000), ("float32", 10_000), ("bfloat16", 128_256))
QUICK_SHAPES = SHAPES[:1]


def measure(plan: Plan, findings: Findings) -> None:
    """A stable implementation and an inaccurate one, on sweeps of three widths."""
    findings.notes.append(
        "An audit is value and gradient of one implementation: drawing, truth, scores and the "
        "checks by mpmath. Alone: value and gradient on the same logits as float64, in the same "
        "blocks; neither drawing nor casting is counted."
    )
    if plan.quick:
        findings.notes.append("Quick: 1,000 classes alone.")
    logits = QUICK_LOGITS if plan.quick else LOGITS
    repetitions = plan.repetitions(full=3, quick=1)
    for dtype, classes in QUICK_SHAPES if plan.quick else SHAPES:
        for implementation in (SOUND, INACCURATE):
            place = f"{dtype}, {classes:,} classes, {implementation}"
            plan.say(place)
            config = large(dtype, classes, logits // classes, implementation)
            works = _works(place, config, implementation, logits // classes * classes)
            whole, alone, drawing = by_turns(works, repetitions)
            findings.times += [whole, alone, drawing]
            unit = "× alone"
            findings.figures += [
                figure(place, "audit", unit, ratio(whole, alone), at_most(4)),
                figure(place, "audit less drawing", unit, _less(whole, drawing, alone)),
            ]


def _works(place: str, config: Config, implementation: str, logits: int) -> list[Work]:
    return [
        Work(f"{place}: audit", clocked(lambda: audited(config)), logits, "logit"),
        Work(f"{place}: alone", lambda: _alone(config, implementation), logits, "logit"),
        Work(f"{place}: drawing", clocked(lambda: _draw(config)), logits, "logit"),
    ]


def _cases(config: Config) -> Iterator[Case]:
    for sweep in config.sweeps:
        loss = LOSSES[sweep.losses[0]]
        for part in sweeps.parts(sweep, loss, sweep.dtypes[0], config.seed):
            yield from part.cases()


def _draw(config: Config) -> None:
    for _ in _cases(config):
        pass


def _alone(config: Config, name: str) -> float:
    """The seconds that value and gradient take, block by block."""
    registered, _ = registry.load_registered()
    loss = config.sweeps[0].losses[0]
    found = next(each for each in registered if (each.loss, each.name) == (loss, name))
    assert found.value is not None
    assert found.gradient is not None
    seconds = 0.0
    for case in _cases(config):
        wide = to_float64(case.logits)
        start = time.perf_counter()
        found.value(wide, case.labels)
        found.gradient(wide, case.labels)
        seconds += time.perf_counter() - start
    return seconds


def _less(whole: Times, drawing: Times, alone: Times) -> Spread:
    """The ratio without the time that drawing takes."""
    pairs = zip(whole.seconds, drawing.seconds, strict=True)
    rest = tuple(total - drawn for total, drawn in pairs)
    return ratio(Times("audit less drawing", whole.amount, whole.unit, rest), alone)
