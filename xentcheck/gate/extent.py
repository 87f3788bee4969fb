"""Compares the extent of a fault to a recorded one: better, worse, the same, new or gone."""

import math
from dataclasses import dataclass, field

from xentcheck.model import UNSTEADY, Finding, Grade, Standing, rank

EXPLAINED = 2.0
"""Conditioning explains an error up to this many excess bits, as in `check`'s default limits."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of a fault: ``rows`` of ``of`` rows show it, and the largest error is ``ulp``.

    ``norm`` is the error relative to the scale of its row, and ``grade`` the grade, of a fault that
    is measured by it: then it is the worst row's, and the number of rows says nothing.
    ``ulp`` is None if the fault is not measured in ulps. ``steady`` is false if the numbers depend
    on chance. ``explained`` is true if the problem's conditioning explains the error.
    """

    rows: int
    of: int
    ulp: float | None = None
    steady: bool = field(default=True, compare=False)
    explained: bool = field(default=False, compare=False)
    norm: float | None = None
    grade: Grade | None = None


@dataclass(frozen=True, slots=True)
class Slack:
    """The changes that count as none.

    The ulps may differ by a factor of ``1 + ulps``. The rows may differ by a factor of
    ``1 + share``, plus ``rows`` rows.
    """

    ulps: float = 0.0
    share: float = 0.0
    rows: int = 0


def extent(finding: Finding, of: int) -> Extent:
    """The extent of a finding in a cell of ``of`` rows."""
    ulp = finding.distance or (finding.witness.ulp_error if finding.witness else math.nan)
    measured = None if math.isnan(ulp) else ulp
    bits = None if finding.witness is None else finding.witness.excess_bits
    explained = measured is not None and bits is not None and bits <= EXPLAINED
    return Extent(finding.rows, of, measured, finding.kind not in UNSTEADY, explained)


def standing(now: Extent | None, known: Extent | None, slack: Slack | float = 0.0) -> Standing:
    """The standing of ``now`` against ``known``. None means that the fault is not there.

    A fault is worse if its share of the rows or its ulps grew by more than ``slack`` (a number
    applies to ulps only). It is better if one of them shrank by more than that and neither is
    worse. If only one extent is in ulps, the other counts as an infinite error: it is an infinity
    or a NaN.
    """
    if now is None or known is None:
        return Standing.SAME if now is known else Standing.GONE if now is None else Standing.NEW
    if not (now.steady and known.steady):
        return Standing.SAME
    if now.grade is not None and known.grade is not None:
        worse = rank(now.grade) - rank(known.grade)
        return Standing.SAME if not worse else Standing.BETTER if worse > 0 else Standing.WORSE
    allowed = slack if isinstance(slack, Slack) else Slack(slack)
    measured = now.ulp is not None or known.ulp is not None
    beyond = math.inf if measured else 0.0
    ulp = beyond if now.ulp is None else now.ulp
    before = beyond if known.ulp is None else known.ulp
    factor = 1.0 + allowed.ulps
    if now.norm is not None and known.norm is not None:
        if now.norm > known.norm * factor:
            return Standing.WORSE
        return Standing.BETTER if known.norm > now.norm * factor else Standing.SAME
    if _more(now, known, allowed) or ulp > before * factor:
        return Standing.WORSE
    if _more(known, now, allowed) or before > ulp * factor:
        return Standing.BETTER
    return Standing.SAME


def _more(one: Extent, other: Extent, slack: Slack) -> bool:
    """Whether ``one`` has a larger share of the rows. Without slack the comparison is exact."""
    extra = other.rows * slack.share + slack.rows
    allowed = other.rows * one.of + (extra * one.of if extra else 0)
    return one.rows * other.of > allowed
