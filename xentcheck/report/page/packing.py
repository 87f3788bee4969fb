"""Data and scripts as compressed text within a page."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from xentcheck.model import Measurement
from xentcheck.model.profiles import Profile, ProfileBin
from xentcheck.report.pictures.bins import joined

MOST_BYTES = 3 << 20
"""The most bytes of the packed profiles. Beyond it, neighbouring bins are merged."""

_STEPS = 16
"""An error is stored to 1/16 of a factor of 2, which is 4 %: less than a chart can show."""


def packed(content: bytes | str) -> str:
    """Content compressed by gzip, as base64 text. The same content always gives the same text."""
    known = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return base64.b64encode(gzip.compress(known, 9, mtime=0)).decode("ascii")


def packed_json(value: Any) -> str:
    """Plain values, packed as JSON."""
    return packed(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def packed_profiles(
    measurements: Sequence[Measurement | None], most: int = MOST_BYTES
) -> tuple[dict[str, Any], str, int]:
    """The profiles of cells, packed column by column.

    Args:
        measurements: of each cell of the page, in their order.
        most: the most bytes of the packed columns.

    Returns:
        What a script needs to read the columns, the packed columns, and how many neighbouring bins
        each bin of the page holds.
    """
    profiles = [
        (place, each)
        for place, measurement in enumerate(measurements)
        if measurement is not None
        for each in measurement.profiles
    ]
    merged = 1
    while True:
        head, columns = _columns(profiles)
        text = packed(columns)
        if len(text) <= most or all(len(each.bins) < 2 for _, each in profiles):
            return head, text, merged
        profiles = [(place, _halved(each)) for place, each in profiles]
        merged *= 2


def _halved(profile: Profile) -> Profile:
    """The profile with each two neighbouring bins as one."""
    bins = profile.bins
    return Profile(profile.axis, tuple(_pair(bins[i : i + 2]) for i in range(0, len(bins), 2)))


def _pair(bins: Sequence[ProfileBin]) -> ProfileBin:
    low, high = bins[0].low, bins[-1].high
    one, *_ = joined(
        Profile("", (ProfileBin(low, high, each.rows, each.failing, each.nan, each.infinite,
                                each.max_ulp),))
        for each in bins
    )  # fmt: skip
    return one


def _columns(profiles: Sequence[tuple[int, Profile]]) -> tuple[dict[str, Any], bytes]:
    """Every number of the profiles as little-endian uint32 columns, one after the other."""
    axes = list(dict.fromkeys(each.axis for _, each in profiles))
    bins = [each for _, profile in profiles for each in profile.bins]
    edges = sorted({edge for each in bins for edge in (each.low, each.high)})
    place_of = {edge: place for place, edge in enumerate(edges)}
    columns = {
        "cell": [place for place, _ in profiles],
        "axis": [axes.index(each.axis) for _, each in profiles],
        "bins": [len(each.bins) for _, each in profiles],
        "low": [place_of[each.low] for each in bins],
        "high": [place_of[each.high] for each in bins],
        "rows": [each.rows for each in bins],
        "failing": [each.failing for each in bins],
        "nan": [each.nan for each in bins],
        "infinite": [each.infinite for each in bins],
        "ulp": [_code(each.max_ulp) for each in bins],
    }
    head = {
        "axes": axes,
        "edges": [edge if abs(edge) < float("inf") else repr(edge) for edge in edges],
        "steps": _STEPS,
        "columns": [[name, len(numbers)] for name, numbers in columns.items()],
    }
    return head, b"".join(_planes(numbers) for numbers in columns.values())


def _planes(numbers: Sequence[int]) -> bytes:
    """The numbers as uint32, all lowest bytes first: bytes alike stand together and compress."""
    array = np.asarray(numbers, dtype="<u4")
    return array.view(np.uint8).reshape(-1, 4).T.tobytes()


def _code(ulp: float) -> int:
    """An error as a code: 0 for NaN, 1 for 0, and then the logarithm in steps."""
    if np.isnan(ulp):
        return 0
    if ulp == 0:
        return 1
    return int(max(2, round((np.log2(min(ulp, 1.7e308)) + 1100) * _STEPS)))
