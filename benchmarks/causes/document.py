"""What was judged → Markdown: the shares, the confusion matrix, the evidence of each fault."""

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.causes.judging import Judged, Outcome
from xentcheck.model import Cause

NO_CAUSE, SOUND = "no cause", "sound"


def lines(found: Sequence[Judged]) -> Iterator[str]:
    """The document, line by line."""
    faults = [each for each in found if not each.sound]
    controls = [each for each in found if each.sound]
    yield "# How right the diagnosis is"
    yield ""
    yield f"`python -m benchmarks.causes` audits {len(faults)} faults and {len(controls)} sound"
    yield "controls with the standard sweep of `xentcheck check`, and writes this file. The faults"
    yield "are those of [faults.md](faults.md) and variations of them (`tests/faults/variations/`),"
    yield "each in a dtype. Their causes were decided from their code, before there was an engine"
    yield "(`tests/faults/labels.py` has the reasons). A fault may have more than one cause, on"
    yield "different rows. A claim is"
    yield ""
    yield "- *right* if it names a main cause of the fault, and no cause that the fault has not;"
    yield "- *beside* if it names only what is true of some other rows;"
    yield "- *wrong* if it names any cause that the fault has not."
    yield ""
    yield "Of a fault that is no question of the arithmetic (another meaning, a mask, a call) or of"
    yield "no cause in the table, it is right to claim nothing."
    yield ""
    yield from _table(("", "faults", *Outcome, "share right"), _shares(faults, controls))
    yield ""
    yield "## Confusion matrix"
    yield ""
    yield "A row is the cause that a fault has, a column a cause that is claimed. A cell counts"
    yield "faults; a fault of which two causes are claimed is in two cells. Bold is wrong."
    yield ""
    yield from _matrix(found)
    yield ""
    yield "## Evidence"
    yield ""
    yield "Rows are the failing rows that a cause explains, of those examined."
    yield ""
    heading = ("loss", "function", "dtype", "expected", "because", "claimed", "rows", "evidence")
    yield from _table(heading, map(_evidence, faults))


def shares(found: Sequence[Judged]) -> tuple[float, int]:
    """The share of faults with a cause that are right, and the number of wrong ones of all."""
    faults = [each for each in found if each.labelled.expected.main]
    right = sum(each.outcome is Outcome.RIGHT for each in faults)
    wrong = sum(each.outcome is Outcome.WRONG for each in found)
    return right / max(len(faults), 1), wrong


def _shares(faults: Sequence[Judged], controls: Sequence[Judged]) -> Iterator[tuple[str, ...]]:
    kinds = {
        "faults with a cause": [each for each in faults if each.labelled.expected.main],
        "faults without one": [each for each in faults if not each.labelled.expected.main],
        "sound controls": controls,
    }
    for name, group in kinds.items():
        counts = Counter(each.outcome for each in group)
        right = counts[Outcome.RIGHT] / max(len(group), 1)
        numbers = (len(group), *(counts[outcome] for outcome in Outcome))
        yield (name, *map(str, numbers), f"{100 * right:.1f} %")


def _matrix(found: Sequence[Judged]) -> Iterator[str]:
    claimed = Counter(
        (each.row, claim.cause, claim.cause in each.wrong)
        for each in found
        for claim in each.claims
    )
    columns = [cause for cause in Cause if any(cause is each for _, each, _ in claimed)]
    rows = [row for row in (*Cause, NO_CAUSE, SOUND) if any(each.row == row for each in found)]
    body = []
    for row in rows:
        here = [each for each in found if each.row == row]
        cells = [_cell(claimed[row, cause, False], claimed[row, cause, True]) for cause in columns]
        body.append((str(row), str(len(here)), *cells, str(sum(not each.claims for each in here))))
    yield from _table(("expected", "faults", *columns, "nothing"), body)


def _cell(allowed: int, wrong: int) -> str:
    return " ".join(filter(None, (str(allowed or ""), f"**{wrong}**" if wrong else "")))


def _evidence(each: Judged) -> tuple[str, ...]:
    fixture, expected = each.labelled.fixture, each.labelled.expected
    parameters = "".join(f", {name}={value}" for name, value in fixture.parameters.items())
    labels = f", {fixture.label_kind} labels" if fixture.label_kind else ""
    settings = "".join(f" {name}={value:g}" if isinstance(value, float) else f" {name}={value}"
                       for name, value in fixture.bound.items())  # fmt: skip
    claims = each.claims
    return (
        f"{fixture.loss}{labels}{parameters}",
        f"`{fixture.function.partition(':')[2]}`{settings}",
        each.dtype,
        " or ".join(expected.main) or NO_CAUSE,
        expected.reason,
        "; ".join(f"**{claim.cause}**" if claim.cause in each.wrong else claim.cause
                  for claim in claims) or "nothing",
        "; ".join(f"{claim.rows:,} of {claim.examined:,}" for claim in claims),
        "; ".join(claim.evidence[0] for claim in claims if claim.evidence),
    )  # fmt: skip


def _table(
    heading: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]
) -> Iterator[str]:
    yield _row(heading)
    yield "|" + "---|" * len(heading)
    for row in rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
