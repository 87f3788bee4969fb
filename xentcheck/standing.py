"""How a fault stands to what was recorded of it: better, worse, the same, new or gone."""

import math
from dataclasses import dataclass, field

from xentcheck.model import Finding, Kind, Standing

UNSTEADY = frozenset({Kind.NON_DETERMINISTIC, Kind.TIMED_OUT})
"""Kinds that go as far as chance has it: they are there or not there."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a fault goes: it is on ``rows`` of ``of`` rows, and by ``ulp`` at the most.

    ``ulp`` None: it is none that is measured in ulps. ``steady`` False: the numbers are of chance.
    """

    rows: int
    of: int
    ulp: float | None = None
    steady: bool = field(default=True, compare=False)


def extent(finding: Finding, of: int) -> Extent:
    """How far a finding goes in a cell of so many rows."""
    ulp = finding.distance or (finding.witness.ulp_error if finding.witness else math.nan)
    measured = None if math.isnan(ulp) else ulp
    return Extent(finding.rows, of, measured, finding.kind not in UNSTEADY)


def standing(now: Extent | None, known: Extent | None, slack: float = 0.0) -> Standing:
    """How ``now`` stands to ``known``; None is a fault that is not there.

    Worse is a larger share of the rows, or more ulps (beyond ``slack``, a relative change that
    counts as none); better is the reverse, if nothing is worse. Where only one of them is in ulps,
    the other is beyond all of them: an infinity, a NaN.
    """
    if now is None or known is None:
        return Standing.SAME if now is known else Standing.GONE if now is None else Standing.NEW
    if not (now.steady and known.steady):
        return Standing.SAME
    more, less = now.rows * known.of, known.rows * now.of
    measured = now.ulp is not None or known.ulp is not None
    beyond = math.inf if measured else 0.0
    ulp = beyond if now.ulp is None else now.ulp
    before = beyond if known.ulp is None else known.ulp
    if more > less or ulp > before * (1.0 + slack):
        return Standing.WORSE
    if more < less or before > ulp * (1.0 + slack):
        return Standing.BETTER
    return Standing.SAME
