"""How a fault stands to what was recorded of it: better, worse, the same, new or gone."""

import math
from dataclasses import dataclass, field

from xentcheck.model import UNSTEADY, Finding, Standing

EXPLAINED = 2.0
"""Excess bits up to which conditioning explains an error, as in the default limits of `check`."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a fault goes: it is on ``rows`` of ``of`` rows, and by ``ulp`` at the most.

    ``ulp`` None: it is none that is measured in ulps. ``steady`` False: the numbers are of chance.
    ``explained``: so many ulps are no more than the problem's conditioning explains.
    """

    rows: int
    of: int
    ulp: float | None = None
    steady: bool = field(default=True, compare=False)
    explained: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Slack:
    """What counts as no change: ulps that differ by a factor of up to ``1 + ulps``, and rows by up
    to a factor of ``1 + share`` and ``rows`` besides.
    """

    ulps: float = 0.0
    share: float = 0.0
    rows: int = 0


def extent(finding: Finding, of: int) -> Extent:
    """How far a finding goes in a cell of so many rows."""
    ulp = finding.distance or (finding.witness.ulp_error if finding.witness else math.nan)
    measured = None if math.isnan(ulp) else ulp
    bits = None if finding.witness is None else finding.witness.excess_bits
    explained = measured is not None and bits is not None and bits <= EXPLAINED
    return Extent(finding.rows, of, measured, finding.kind not in UNSTEADY, explained)


def standing(now: Extent | None, known: Extent | None, slack: Slack | float = 0.0) -> Standing:
    """How ``now`` stands to ``known``; None is a fault that is not there.

    Worse is a larger share of the rows, or more ulps, beyond ``slack`` (a number is one for ulps
    alone); better is the reverse, if nothing is worse. Where only one of them is in ulps, the
    other is beyond all of them: an infinity, a NaN.
    """
    if now is None or known is None:
        return Standing.SAME if now is known else Standing.GONE if now is None else Standing.NEW
    if not (now.steady and known.steady):
        return Standing.SAME
    allowed = slack if isinstance(slack, Slack) else Slack(slack)
    measured = now.ulp is not None or known.ulp is not None
    beyond = math.inf if measured else 0.0
    ulp = beyond if now.ulp is None else now.ulp
    before = beyond if known.ulp is None else known.ulp
    factor = 1.0 + allowed.ulps
    if _more(now, known, allowed) or ulp > before * factor:
        return Standing.WORSE
    if _more(known, now, allowed) or before > ulp * factor:
        return Standing.BETTER
    return Standing.SAME


def _more(one: Extent, other: Extent, slack: Slack) -> bool:
    """Whether one is on a larger share of the rows; exactly, where there is no slack."""
    extra = other.rows * slack.share + slack.rows
    allowed = other.rows * one.of + (extra * one.of if extra else 0)
    return one.rows * other.of > allowed
