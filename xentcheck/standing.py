"""How a fault stands to what was recorded of it: better, worse, the same, new or gone."""

from dataclasses import dataclass

from xentcheck.model import Standing


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a fault goes: it is on ``rows`` of ``of`` rows, and by ``ulp`` at the most.

    ``ulp`` None: it is none that is measured in ulps.
    """

    rows: int
    of: int
    ulp: float | None = None


def standing(now: Extent | None, known: Extent | None, slack: float = 0.0) -> Standing:
    """How ``now`` stands to ``known``; None is a fault that is not there.

    Worse is a larger share of the rows, or more ulps (beyond ``slack``, a relative change that
    counts as none); better is the reverse, if nothing is worse.
    """
    if now is None or known is None:
        return Standing.SAME if now is known else Standing.GONE if now is None else Standing.NEW
    more, less = now.rows * known.of, known.rows * now.of
    ulp, before = now.ulp or 0.0, known.ulp or 0.0
    if more > less or ulp > before * (1.0 + slack):
        return Standing.WORSE
    if more < less or before > ulp * (1.0 + slack):
        return Standing.BETTER
    return Standing.SAME
