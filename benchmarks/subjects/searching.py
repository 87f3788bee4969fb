"""Worst errors that a search finds, against random sampling and `hypothesis.target`.

32 cells: 8 implementations, two dtypes, value and gradient. The search starts cold: without the
rows of the standard sweep from which `xentcheck search` starts. Random sampling has ten times as
many rows: half of them of every number of the dtype with equal chances, half of the numbers within
the common range. `hypothesis.target` has as many examples as the search has rows.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.findings import BenchmarkError, Figure, Findings, Plan, at_least
from xentcheck import registry
from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES
from xentcheck.measurement import Aim, rate
from xentcheck.model import Array, Case, Domain, Implementation, LabelKind, Quantity
from xentcheck.reference import Reference
from xentcheck.searching import Trials
from xentcheck.searching.competition import Competition, Course
from xentcheck.searching.space import Space
from xentcheck.sweeps.generator import stream

ROWS = 5_000
QUICK_ROWS = 1_000
TIMES = 10
"""How many times as many rows random sampling has."""

BLOCK = 1024  # rows of one call of random sampling
CLASSES = (2, 3, 5, 10)
EQUAL = 2.0**-10
"""Relative difference of two errors that counts as none: so well do the cheap tiers know them."""

LEAST = 30

IMPLEMENTATIONS = (
    ("softmax_cross_entropy", "numpy.lse_minus_logit"),
    ("softmax_cross_entropy", "numpy.accurate"),
    ("log_softmax", "numpy.shifted_log_softmax"),
    ("softmax", "numpy.tail_sum"),
    ("logsumexp", "numpy.log1p"),
    ("sigmoid_binary_cross_entropy", "numpy.softplus"),
    ("sigmoid_focal_loss", "numpy.power"),
    ("softplus", "numpy.threshold"),
)


@dataclass(frozen=True, slots=True)
class _Cell:
    implementation: Implementation
    dtype: str
    quantity: Quantity

    @property
    def space(self) -> Space:
        loss = LOSSES[self.implementation.loss]
        kinds = [kind for kind in loss.label_kinds if kind in self.implementation.label_kinds]
        return Space(loss, self.dtype, kinds[0])

    @property
    def trials(self) -> Trials:
        return Trials(self.implementation, self.quantity, lambda _: None)

    def __str__(self) -> str:
        made = self.implementation
        return f"{made.loss} {made.name}, {self.dtype} {self.quantity}"


def measure(plan: Plan, findings: Findings) -> None:
    """The worst error that each finds in each cell, and how often the search is no worse."""
    rows = QUICK_ROWS if plan.quick else ROWS
    findings.notes.append(
        f"For each cell: search {rows:,} rows, random {TIMES * rows:,} rows, hypothesis {rows:,} "
        "examples; ulps. Errors that differ by less than a thousandth count as equal."
    )
    try:
        import hypothesis  # noqa: F401, PLC0415
    except ImportError:
        findings.missing.append("hypothesis is not installed")
    known = {(each.loss, each.name): each for each in registry.load_registered()[0]}
    missing = [pair for pair in IMPLEMENTATIONS if pair not in known]
    if missing:
        raise BenchmarkError(f"not registered: {missing}")
    cells = [
        _Cell(known[pair], dtype, quantity)
        for pair in IMPLEMENTATIONS
        for dtype in ("float32", "float64")
        for quantity in Quantity
    ]
    over_random = over_hypothesis = 0
    winners: dict[str, int] = {}
    for number, cell in enumerate(cells):
        plan.say(f"{number + 1} of {len(cells)}: {cell}")
        course = _searched(cell, rows, number)
        random = _random(cell, TIMES * rows, number)
        targeted = _targeted(cell, rows)
        found = course.worst
        over_random += found >= random * (1.0 - EQUAL)
        over_hypothesis += not found < targeted * (1.0 - EQUAL)
        winners[course.winner] = winners.get(course.winner, 0) + 1
        at = course.curve[-1].evaluations if course.curve else 0
        findings.figures += [
            Figure(str(cell), f"search, by {course.winner} at row {at:,}", "ulp", found),
            Figure(str(cell), f"random, {TIMES} times the rows", "ulp", random),
            Figure(str(cell), "hypothesis.target", "ulp", targeted),
        ]
        for name, value in (("search", found), ("random", random), ("hypothesis", targeted)):
            findings.measured[f"{cell}: {name} ulp"] = value
    total = f"of {len(cells)} cells"
    findings.figures += [
        Figure("search", "at least what random finds", total, over_random, target=at_least(LEAST)),
        Figure("search", "at least what hypothesis finds", total, over_hypothesis),
    ]
    told = ", ".join(f"{name} {count}" for name, count in sorted(winners.items()))
    findings.notes.append(f"Winners by cell: {told}.")


def _searched(cell: _Cell, rows: int, seed: int) -> Course:
    competition = Competition(
        cell.trials,
        cell.space,
        (),
        Aim.ULP,
        None,
        lambda _: False,
        lambda purpose: stream(seed, "benchmark", purpose),
    )
    return competition.run(rows, lambda: False, lambda _: None)


def _worst(cell: _Cell, case: Case) -> float:
    observed, _ = cell.trials.call(case)
    if observed.results is None:
        return -1.0
    truth = Reference(case, {cell.quantity})
    rated = rate(observed.results, case, truth, cell.quantity, Aim.ULP)
    return float(rated.worth.max())


def _random(cell: _Cell, rows: int, seed: int) -> float:
    """The largest finite error of rows that are drawn at random."""
    rng = np.random.default_rng(seed)
    space, worst, turn = cell.space, -1.0, 0
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        shape = (count,) if space.elementwise else (count, CLASSES[turn % len(CLASSES)])
        logits = space.uniform(shape, rng)
        case = space.case(logits, space.labels(logits, rng, {}), {})
        worst, turn = max(worst, _worst(cell, case)), turn + 1
    return worst


def _targeted(cell: _Cell, examples: int) -> float:
    """The largest finite error that hypothesis finds when it is given the error as its target."""
    try:
        from hypothesis import HealthCheck, Phase, given, settings, target  # noqa: PLC0415
        from hypothesis import strategies as st  # noqa: PLC0415
    except ImportError:
        return math.nan
    space = cell.space
    width = 64 if cell.dtype == "float64" else 32
    most = FORMATS[cell.dtype].max
    if space.loss.domain is Domain.PROBABILITIES:
        numbers = st.floats(0.0, 1.0, width=width)
    else:
        common = st.floats(-space.common, space.common, width=width)
        numbers = st.one_of(common, st.floats(-most, most, width=width))
    rows: Any = numbers if space.elementwise else st.lists(numbers, min_size=2, max_size=10)
    worst = -1.0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.target),
        suppress_health_check=list(HealthCheck),
    )
    @given(rows, st.integers(0, 9), st.sampled_from([0.0, 1.0, 0.5]))
    def search(row: Any, label: int, soft: float) -> None:
        nonlocal worst
        logits = space.numbers(np.array([row], dtype=np.float64))
        error = _worst(cell, _labelled(space, logits, label, soft))
        if error >= 0:
            worst = max(worst, error)
            target(math.log2(1.0 + error))

    search()
    return worst


def _labelled(space: Space, logits: Array, label: int, soft: float) -> Case:
    """A case of one row with the label that hypothesis has chosen."""
    labels: Array | None = None
    if space.kind is LabelKind.INTEGER:
        labels = np.array([label % logits.shape[1]], dtype=np.int64)
    elif space.kind is LabelKind.TARGET:
        labels = np.array([soft], dtype=logits.dtype)
    return replace(space.case(logits, None, {}), labels=labels)
