"""Hand-made error profiles, and reports that have them."""

import dataclasses
import math
import random

from xentcheck.model import Measurement, Profile, ProfileBin, Report

EDGES = {
    "gap": [0.0, *(2.0**k for k in range(-2, 9))],
    "offset": [-(2.0**k) for k in range(24, -1, -4)] + [0.0] + [2.0**k for k in range(0, 25, 4)],
    "condition number": [2.0**k for k in range(0, 24, 2)],
    "error": [0.0, 0.5, 1.0, 2.0, 4.0, 16.0, 256.0, 65536.0],
}
"""The edges of the bins of each axis."""


def profile(axis: str, seed: int = 0) -> Profile:
    """A profile whose errors grow along the axis, with infinities and NaN at the far end."""
    chance = random.Random(seed)
    bins = []
    for low, high in zip(EDGES[axis], EDGES[axis][1:], strict=False):
        infinite = 3 if axis == "gap" and low >= 32 else 0
        nan = 2 if axis == "gap" and low >= 64 else 0
        ulp = math.nan if infinite else max(abs(low), abs(high)) ** 0.8 * chance.uniform(0.3, 1)
        rows = chance.randint(5, 60)
        bins.append(ProfileBin(low, high, rows, min(rows, infinite + nan), nan, infinite, ulp))
    return Profile(axis, tuple(bins))


def with_profiles(report: Report) -> Report:
    """The report with hand-made profiles for each measurement."""
    return dataclasses.replace(
        report,
        measurements=tuple(_profiled(each, i) for i, each in enumerate(report.measurements)),
    )


def _profiled(measurement: Measurement, seed: int) -> Measurement:
    profiles = tuple(profile(axis, 7 * seed + i) for i, axis in enumerate(EDGES))
    return dataclasses.replace(measurement, profiles=profiles)


def many(report: Report, count: int) -> Report:
    """The report with its measurements repeated under other names until there are ``count``."""
    measurements = list(report.measurements)
    findings = {each.cell: each for each in report.findings}
    made, found = [], []
    for i in range(count):
        known = measurements[i % len(measurements)]
        turn = i // len(measurements)
        name = known.cell.implementation + (f"@{turn}" if turn else "")
        cell = dataclasses.replace(known.cell, implementation=name)
        made.append(dataclasses.replace(known, cell=cell))
        if known.cell in findings:
            found.append(dataclasses.replace(findings[known.cell], cell=cell))
    return dataclasses.replace(report, measurements=tuple(made), findings=tuple(found))
