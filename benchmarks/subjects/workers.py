"""Two workers against one, and the same report from both."""

from benchmarks.auditing import audited
from benchmarks.environment import busy
from benchmarks.findings import BenchmarkError, Findings, Plan, at_least, figure
from benchmarks.inputs import SOUND, SURVEY, large
from benchmarks.timing import Clock, Work, by_turns, clocked, ratio
from xentcheck import config as configuration
from xentcheck.model import Config
from xentcheck.report.document import to_json

LOGITS = 1 << 27
QUICK_LOGITS = 1 << 25
CLASSES = 1000


def measure(plan: Plan, findings: Findings) -> None:
    """A large sweep, and the survey.

    Raises:
        BenchmarkError: the two reports differ.
    """
    findings.notes.append(f"{busy()}: with no core to spare two workers gain nothing.")
    logits = QUICK_LOGITS if plan.quick else LOGITS
    sweep = large("float32", CLASSES, logits // CLASSES, SOUND)
    _compare(plan, findings, f"float32, {CLASSES:,} classes, {logits:,} logits", sweep)
    if plan.quick:
        findings.notes.append(f"Quick: {SURVEY} is left out.")
    elif not SURVEY.exists():
        findings.missing.append(f"{SURVEY} is not here: run this from the repository's root")
    else:
        _compare(plan, findings, str(SURVEY), configuration.load(SURVEY))


def _compare(plan: Plan, findings: Findings, place: str, config: Config) -> None:
    plan.say(place)
    documents: dict[int, str] = {}

    def kept(workers: int) -> Clock:
        def run() -> None:
            documents[workers] = to_json(audited(config, workers=workers))

        return clocked(run)

    works = [Work(f"{place}: {workers} workers", kept(workers)) for workers in (1, 2)]
    one, two = by_turns(works, plan.repetitions(full=3, quick=1))
    findings.times += [one, two]
    unit = "× faster than 1"
    findings.figures.append(figure(place, "2 workers", unit, ratio(one, two), at_least(1.8)))
    if documents[1] != documents[2]:
        message = f"{place}: the reports of one worker and of two differ"
        raise BenchmarkError(message)
    findings.notes.append(f"{place}: the reports are equal to the byte.")
