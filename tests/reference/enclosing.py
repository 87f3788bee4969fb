"""Exact fractions as enclosures, for tests of the scoring."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from xentcheck.model import Accepts
from xentcheck.reference.enclosures import Enclosures


def enclose(
    values: Sequence[Fraction | float], accepts: Accepts = Accepts.NOTHING, radius: float = 0.0
) -> Enclosures:
    """One-dimensional enclosures of exact values (NaN and infinities as floats)."""
    hi, lo, exponent = [], [], []
    for value in values:
        if isinstance(value, float) and not np.isfinite(value):
            parts = (value, 0.0, 0)
        else:
            parts = _split(Fraction(value))
        hi.append(parts[0])
        lo.append(parts[1])
        exponent.append(parts[2])
    count = len(values)
    return Enclosures(
        np.array(hi, dtype=np.float64),
        np.array(lo, dtype=np.float64),
        np.array(exponent, dtype=np.int64),
        np.full(count, radius),
        np.full(count, int(accepts), dtype=np.uint8),
    )


def _split(value: Fraction) -> tuple[float, float, int]:
    if value == 0:
        return 0.0, 0.0, 0
    sign = -1 if value < 0 else 1
    value = abs(value)
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if value < Fraction(2) ** exponent:
        exponent -= 1
    scaled = value / Fraction(2) ** exponent
    hi = Fraction(int(scaled * 2**52), 2**52)
    return sign * float(hi), sign * float(scaled - hi), exponent
