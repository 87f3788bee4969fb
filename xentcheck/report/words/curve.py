"""The curve of a search in one line of block characters."""

import math
from collections.abc import Sequence

from xentcheck.model import Improvement, Searched
from xentcheck.report.words.numbers import count, scientific, ulps

BLOCKS = "▁▂▃▄▅▆▇█"
COLUMNS = 40


def curve(points: Sequence[Improvement], evaluations: int, columns: int = COLUMNS) -> str:
    """The worst so far against the rows tried, from left to right; errors on a log scale.

    A blank: nothing was known yet. The lowest block is the first error that was known, or half of
    the worst if that is less; the highest is the worst.
    """
    known = [each for each in points if each.worth > 0]
    if not known or evaluations < 1:
        return ""
    low, high = math.log(known[0].worth), math.log(known[-1].worth)
    low = min(low, high - math.log(2.0))  # a curve that hardly rises looks like it
    marks = []
    for column in range(columns):
        until = evaluations * (column + 1) / columns
        reached = [each for each in known if each.evaluations <= until]
        if not reached:
            marks.append(" ")
            continue
        share = (math.log(reached[-1].worth) - low) / (high - low)
        marks.append(BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)])
    return "".join(marks)


def worth_text(worth: float, aim: str) -> str:
    """How bad a row is, with its unit: ``1.7e7 ulp``, ``21.4 excess bits``, ``3.1e-7``."""
    if math.isnan(worth):
        return "no finite error"
    if aim == "excess":
        return f"{worth:.1f} excess bits"
    if aim == "norm":
        return f"{scientific(worth)} of the row's scale"
    return f"{ulps(worth)} ulp"


def shares_text(searched: Searched) -> str:
    """The rows that each strategy tried: ``boundary 1,472, evolution 14,304``."""
    return ", ".join(f"{name} {rows:,}" for name, rows in searched.shares.items() if rows)


def winner_text(searched: Searched) -> str:
    """Who found the worst row, and when."""
    if not searched.curve:
        return "nobody: no row has a finite error"
    last = searched.curve[-1]
    who = "the standard sweep" if last.strategy == "sweep" else last.strategy
    return f"{who}, at row {last.evaluations:,} of {count(searched.evaluations, 'row')}"
