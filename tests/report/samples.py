"""Reports made by hand, with error profiles, causes and names that would break a careless page."""

import dataclasses
import math
import random

from tests.report.test_report import cell, measurement, report, witness
from xentcheck.model import (
    Cause,
    Diagnosis,
    Explained,
    Finding,
    Grade,
    Kind,
    Measurement,
    Profile,
    ProfileBin,
    Quantity,
    Report,
    SafeRange,
    Skip,
    Stretch,
)

EDGES = {
    "gap": [0.0, *(2.0**k for k in range(-2, 9))],
    "offset": [-(2.0**k) for k in range(24, -1, -4)] + [0.0] + [2.0**k for k in range(0, 25, 4)],
    "condition number": [2.0**k for k in range(0, 24, 2)],
    "error": [0.0, 0.5, 1.0, 2.0, 4.0, 16.0, 256.0, 65536.0],
}
"""The edges of the bins of each axis."""

NASTY = (
    "</script><script>document.title='x'</script><img src=http://a.b/c onerror=alert(1)>\u202e&amp;"
)
"""A name with markup, the end of a script, an address and a mark that reverses text."""


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


def with_profiles(given: Report) -> Report:
    """The report with hand-made profiles for each measurement."""
    return dataclasses.replace(
        given, measurements=tuple(_profiled(each, i) for i, each in enumerate(given.measurements))
    )


def _profiled(known: Measurement, seed: int) -> Measurement:
    profiles = tuple(profile(axis, 7 * seed + i) for i, axis in enumerate(EDGES))
    return dataclasses.replace(known, profiles=profiles)


def many(given: Report, count: int) -> Report:
    """The report with its cells repeated under other names until there are ``count``."""
    measurements = list(given.measurements)
    findings = {each.cell: each for each in given.findings}
    made, found = [], []
    for i in range(count):
        known = measurements[i % len(measurements)]
        turn = i // len(measurements)
        name = known.cell.implementation + (f"@{turn}" if turn else "")
        own = dataclasses.replace(known.cell, implementation=name)
        made.append(dataclasses.replace(known, cell=own))
        if known.cell in findings:
            found.append(dataclasses.replace(findings[known.cell], cell=own))
    return dataclasses.replace(given, measurements=tuple(made), findings=tuple(found))


def sample(**changes: object) -> Report:
    """A survey of three implementations, one of them with a nasty name, in two dtypes."""
    measurements, findings = [], []
    for place, (name, grade, ulp) in enumerate(
        (
            ("numpy.naive", Grade.BROKEN, 9.3e6),
            ("numpy.accurate", Grade.ROUNDED, 0.5),
            (NASTY, Grade.LOSSY, 1.6e5),
        )
    ):
        for dtype in ("float32", "float64"):
            for quantity in Quantity:
                for sweep in ("ordinary", "extreme"):
                    where = cell(name, dtype, quantity, sweep)
                    counts = {Kind.NAN: 4, Kind.INACCURATE: 7} if place == 0 else {}
                    counts = {Kind.INACCURATE: 2} if place == 2 else counts
                    measurements.append(measurement(where, ulp, counts, grade=grade))
                    findings += [
                        Finding(kind, where, rows, witness(), str(cause), "use log1p", NASTY)
                        for kind, rows in counts.items()
                        for cause in [Cause.LOG_OF_SATURATED_PROBABILITY]
                    ]
    first = measurements[0].cell
    fields: dict[str, object] = {
        "environment": {"xentcheck": "1", "platform": "Linux x86_64", "python": "3.11.7"},
        "measurements": tuple(measurements),
        "findings": tuple(findings),
        "skips": (Skip(f"not installed: {NASTY}", implementation="torch.loss"),),
        "diagnoses": (
            Diagnosis(
                Cause.LOG_OF_SATURATED_PROBABILITY,
                first.loss,
                first.implementation,
                (Explained("float32", Quantity.VALUE, 7, 7, 7),),
                ("agrees with log(softmax) on all rows",),
                witness(),
                first,
                Kind.INACCURATE,
                "(m − x_y) + log1p(Σ exp(x_j − m))",
            ),
        ),
        "safe_ranges": (
            SafeRange(
                first.loss,
                first.implementation,
                "float32",
                Quantity.VALUE,
                "gap, label on the largest",
                (Stretch(Grade.LOSSY, 0.0, 103.97), Stretch(Grade.ACCURATE, 0.0, 3.0)),
                "accurate for gaps up to 3, lossy up to 103.97, infinite beyond",
            ),
        ),
    }
    return with_profiles(report(**{**fields, **changes}))
