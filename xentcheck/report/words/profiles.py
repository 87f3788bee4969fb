"""Error profiles as charts in one line of block characters."""

import math
from collections.abc import Iterable, Sequence

from xentcheck.floats import FORMATS
from xentcheck.model import Profile, ProfileBin
from xentcheck.model.profiles import CONDITION, ERROR
from xentcheck.report.matrix import lost_bits
from xentcheck.report.words.curve import BLOCKS
from xentcheck.report.words.numbers import brief, ulps

COLUMNS = 32
"""The most columns of a chart."""

_OTHER_TEXT = 56
"""Columns for the text beside a chart."""


def chart_columns(width: int) -> int:
    """The columns of a chart on a line of ``width`` columns."""
    return max(8, min(COLUMNS, width - _OTHER_TEXT))


NOT_FINITE = "!"
"""The mark of a bin with a NaN or an infinity that should not be there."""

_LEAST_BINS = 3
_NO_AXIS_OF_INPUTS = (ERROR, CONDITION)


def telling(profiles: Iterable[Profile]) -> Profile | None:
    """The profile that says most about where the errors are; None if none says anything.

    The axes of inputs come before the condition number and the distribution of the errors. Of
    these, that on which faults begin somewhere, then that on which the errors differ most.
    """
    known = [each for each in profiles if len(each.bins) >= _LEAST_BINS and each.axis != ERROR]
    known = [each for each in known if _spread(each) > 0]
    return max(known, key=_tells, default=None)


def _tells(profile: Profile) -> tuple[bool, bool, float]:
    failing = [each.failing > 0 for each in profile.bins]
    partly = any(failing) and not all(failing)
    return (profile.axis not in _NO_AXIS_OF_INPUTS, partly, _spread(profile))


def _spread(profile: Profile) -> float:
    known = [_weight(each) for each in profile.bins]
    return max(known) - min(known)


def _weight(part: ProfileBin) -> float:
    """How bad a bin is: the logarithm of its error, beyond any error for a NaN or an infinity."""
    if part.nan or part.infinite:
        return 2048.0
    return 1.0 + math.log2(part.max_ulp) if part.max_ulp > 0.5 else 0.0


def chart(profile: Profile, dtype: str, columns: int = COLUMNS) -> str:
    """The profile as block characters, from low to high numbers on the axis.

    A block is as high as the bits that are lost, out of the precision of ``dtype``; `NOT_FINITE` is
    a NaN or an infinity. For the distribution of errors a block is as high as the logarithm of the
    number of rows. More bins than columns are put together; the worst of them is shown.
    """
    parts = _columns(profile.bins, columns)
    if profile.axis == ERROR:
        most = max(sum(bin_.rows for bin_ in each) for each in parts)
        return "".join(
            _block(math.log1p(sum(bin_.rows for bin_ in each)) / math.log1p(most)) for each in parts
        )
    precision = FORMATS[dtype].precision if dtype in FORMATS else 53
    marks = []
    for each in parts:
        if any(bin_.nan or bin_.infinite for bin_ in each):
            marks.append(NOT_FINITE)
            continue
        worst = max((bin_.max_ulp for bin_ in each if not math.isnan(bin_.max_ulp)), default=0.0)
        marks.append(_block((lost_bits(worst, dtype) or 0.0) / precision))
    return "".join(marks)


def _columns(bins: Sequence[ProfileBin], columns: int) -> list[Sequence[ProfileBin]]:
    """The bins in at most so many parts of nearly equal numbers of bins."""
    number = min(len(bins), max(columns, 1))
    edges = [round(i * len(bins) / number) for i in range(number + 1)]
    return [bins[edges[i] : edges[i + 1]] for i in range(number)]


def _block(share: float) -> str:
    """A block for a share from 0 to 1. Only a share of 0 is the lowest block."""
    if share <= 0:
        return BLOCKS[0]
    return BLOCKS[min(1 + int(share * (len(BLOCKS) - 1)), len(BLOCKS) - 1)]


def profile_text(profile: Profile, dtype: str, columns: int = COLUMNS) -> str:
    """The profile in one line: ``gap 0 ▁▁▂▄▆!! 104, fails from 16``.

    Args:
        profile: the profile, with at least one bin.
        dtype: the dtype of the result, by name.
        columns: the most columns of the chart.
    """
    first, last = profile.bins[0], profile.bins[-1]
    ends = [_end(profile, first.low), _end(profile, last.high)]
    drawn = f"{profile.axis} {ends[0]} {chart(profile, dtype, columns)} {ends[1]}"
    return f"{drawn} ulp" if profile.axis == ERROR else f"{drawn}, {_failing(profile.bins)}"


def _end(profile: Profile, number: float) -> str:
    return ulps(number) if profile.axis == ERROR else brief(number)


def _failing(bins: Sequence[ProfileBin]) -> str:
    """Where on the axis rows fail."""
    failing = [i for i, each in enumerate(bins) if each.failing]
    if not failing:
        return "no row fails"
    first, last = failing[0], failing[-1]
    if (first, last) == (0, len(bins) - 1):
        return "fails everywhere" if len(failing) == len(bins) else "fails at both ends"
    if last == len(bins) - 1:
        return f"fails from {brief(bins[first].low)}"
    if first == 0:
        return f"fails up to {brief(bins[last].high)}"
    return f"fails from {brief(bins[first].low)} to {brief(bins[last].high)}"
