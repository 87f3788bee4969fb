"""Texts for the ranges in which an implementation keeps its grades."""

from collections.abc import Sequence
from itertools import groupby

from xentcheck.model import Grade, Report, SafeRange, rank


def range_lines(report: Report) -> list[tuple[str, str]]:
    """The place and the ranges of each implementation, dtype and quantity, the worst axis first.

    The place names the loss and the implementation only if the report has several.
    """
    several = len({(each.loss, each.implementation) for each in report.safe_ranges}) > 1

    def place(each: SafeRange) -> str:
        by = f"{each.loss} {each.implementation} " if several else ""
        return f"{by}{each.dtype} {each.quantity}"

    return [
        (where, "\n".join(_texts(list(some)))) for where, some in groupby(report.safe_ranges, place)
    ]


def _texts(ranges: Sequence[SafeRange]) -> list[str]:
    """The text of each axis with a loss of grade. The other axes share a line for each grade."""
    lost = [each for each in ranges if each.always is None or rank(each.always) < _KEPT]
    lost.sort(key=lambda each: rank(each.always or Grade.BROKEN))
    texts = [each.text for each in lost]
    kept = [each.axis for each in ranges if each not in lost]
    if kept:
        texts.append(f"{Grade.ACCURATE} or better along: {'; '.join(kept)}")
    return texts


_KEPT = rank(Grade.ACCURATE)
