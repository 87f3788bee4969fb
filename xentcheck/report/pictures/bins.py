"""Error profiles as rows of data for charts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from xentcheck.model import Measurement
from xentcheck.model.profiles import CONDITION, ERROR, Profile, ProfileBin

SIGNED = frozenset({"largest logit", "gap", "offset"})
"""Axes with numbers of both signs. Other axes have positive numbers."""

AXES = ("gap", "largest logit", "offset", "classes", CONDITION)
"""The known axes, in the order in which they are offered."""

LEAST = 0.01
"""The least number on a logarithmic axis. Smaller ones, such as 0, are drawn there."""

Rows = list[dict[str, Any]]


def axes(measurements: Iterable[Measurement]) -> list[str]:
    """The axes that the profiles have, in the order of `AXES`; the distribution is none of them."""
    found = {profile.axis for measurement in measurements for profile in measurement.profiles}
    return [*(axis for axis in AXES if axis in found), *sorted(found - {*AXES, ERROR})]


def joined(profiles: Iterable[Profile]) -> tuple[ProfileBin, ...]:
    """The bins of several profiles of one axis. Bins with the same edges become one."""
    found: dict[tuple[float, float], ProfileBin] = {}
    for profile in profiles:
        for each in profile.bins:
            known = found.get((each.low, each.high))
            found[each.low, each.high] = each if known is None else _sum(known, each)
    return tuple(found[edges] for edges in sorted(found))


def _sum(one: ProfileBin, other: ProfileBin) -> ProfileBin:
    finite = [each for each in (one.max_ulp, other.max_ulp) if not math.isnan(each)]
    return replace(
        one,
        rows=one.rows + other.rows,
        failing=one.failing + other.failing,
        nan=one.nan + other.nan,
        infinite=one.infinite + other.infinite,
        max_ulp=max(finite, default=math.nan),
    )


def position(axis: str, number: float) -> float:
    """Where a number of an axis is drawn.

    On a signed axis it is sign(x)·log10(|x|) away from 0, and linear near 0.
    """
    if axis in SIGNED:
        return math.asinh(number / 2) / math.log(10)
    return max(number, LEAST)


def rows_of(name: str, axis: str, bins: Sequence[ProfileBin]) -> Rows:
    """The bins of one implementation as rows of data."""
    total = sum(each.rows for each in bins)
    return [
        {
            "series": name,
            "x": (low := position(axis, each.low)),
            "x2": (high := position(axis, each.high)),
            "mid": (low + high) / 2 if axis in SIGNED else math.sqrt(low * high),
            "low": each.low,
            "high": each.high,
            "rows": each.rows,
            "failing": each.failing,
            "share": each.rows / total,
            "ulp": None if math.isnan(each.max_ulp) else max(each.max_ulp, LEAST),
        }
        for each in bins
    ]


def bands_of(axis: str, bins: Sequence[ProfileBin]) -> Rows:
    """The bins with NaN or wrong infinities. Neighbours of one sort become one band."""
    made: Rows = []
    for each in bins:
        for what, count in (("NaN", each.nan), ("inf", each.infinite)):
            if not count:
                continue
            low, high = position(axis, each.low), position(axis, each.high)
            last = next((band for band in reversed(made) if band["what"] == what), None)
            if last is not None and last["x2"] == low:
                last["x2"] = high
                last["rows"] += count
            else:
                made.append({"what": what, "x": low, "x2": high, "rows": count})
    return made


def ticks(axis: str, rows: Rows) -> list[float]:
    """The positions of the powers of ten within the data of a signed axis; at most about twelve."""
    if axis not in SIGNED or not rows:
        return []
    low, high = min(each["x"] for each in rows), max(each["x2"] for each in rows)
    step = max(1, math.ceil((high - low) / 10))
    powers = range(0, 309, step)
    found = [0.0] + [sign * position(axis, 10.0**power) for power in powers for sign in (-1, 1)]
    return sorted(each for each in found if low <= each <= high)


def spaced(breaks: Rows, low: float, high: float) -> Rows:
    """The breaking points between two positions; texts that would lie on others are left out."""
    made: Rows = []
    last = -math.inf
    for each in sorted(breaks, key=lambda row: row["x"]):
        if low <= each["x"] <= high:
            crowded = each["x"] - last < (high - low) / 25
            made.append({**each, "text": "" if crowded else each["text"]})
            last = last if crowded else each["x"]
    return made
