"""Whether an audit takes as long per logit however many rows or classes there are."""

from benchmarks.auditing import audited
from benchmarks.findings import Findings, Plan, figure
from benchmarks.inputs import SOUND, large
from benchmarks.timing import Times, Work, by_turns, clocked, ratio

DTYPE = "float32"
FACTORS = (1, 4, 16)
FACTOR_CLASSES = 1000
CLASSES = (10, 100, 1000, 10_000)
LOGITS = 1 << 22
QUICK_LOGITS = 1 << 20


def measure(plan: Plan, findings: Findings) -> None:
    """Rows ×1, ×4 and ×16; then equal numbers of logits in rows of different widths."""
    logits = QUICK_LOGITS if plan.quick else LOGITS
    repetitions = plan.repetitions(full=5, quick=1)
    findings.notes.append(
        f"{DTYPE}, {SOUND}, one worker. Rows ×1 and the widths: about {logits:,} logits."
    )
    plan.say("rows")
    rows = [_work(f"rows ×{factor}", FACTOR_CLASSES, factor * logits) for factor in FACTORS]
    _relate(findings, f"{FACTOR_CLASSES:,} classes", by_turns(rows, repetitions))
    plan.say("classes")
    widths = [_work(f"{classes:,} classes", classes, logits) for classes in CLASSES]
    _relate(findings, f"{logits:,} logits", by_turns(widths, repetitions))


def _work(name: str, classes: int, logits: int) -> Work:
    config = large(DTYPE, classes, logits // classes, SOUND)
    return Work(name, clocked(lambda: audited(config)), logits // classes * classes, "logit")


def _relate(findings: Findings, place: str, times: tuple[Times, ...]) -> None:
    """The time per logit of each, against that of the first."""
    findings.times += times
    unit = f"× {times[0].name}"
    for each in times[1:]:
        findings.figures.append(figure(place, each.name, unit, ratio(each, times[0])))
