"""The smallest bounds at which faults would not be faults.

A bound excuses results, not rows: a row needs the largest error of all its components at fault. The
errors are known to 2^-10 (`scoring.DECISIVE`); whoever prints a bound rounds it up by more.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xentcheck.model import KINDS, Float64Array, Kind

EXCUSABLE = (
    Kind.MISSED_OVERFLOW,
    Kind.WRONG_SIGN,
    Kind.VANISHED_GRADIENT,
    Kind.SPURIOUS_UNDERFLOW,
    Kind.INACCURATE,
)
"""Kinds of results that a bound can excuse, if the results have a finite error."""

_CODES = np.array([KINDS.index(kind) for kind in EXCUSABLE], np.int8)
_EXCUSED = np.zeros(256, dtype=np.bool_)  # by code
_EXCUSED[_CODES] = True
_SIGN = KINDS.index(Kind.WRONG_SIGN)
_FTZ = KINDS.index(Kind.FTZ)


@dataclass(frozen=True, slots=True)
class Need:
    """The bounds that excuse some results; infinite if no such bound does.

    Attributes:
        or_abs: the largest absolute error.
        max_ulp: the largest error in ulps. It does not excuse a wrong sign.
    """

    or_abs: float
    max_ulp: float

    def __or__(self, other: "Need") -> "Need":
        """The bounds that excuse both."""
        return Need(max(self.or_abs, other.or_abs), max(self.max_ulp, other.max_ulp))

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds by name, without infinite ones."""
        known = {"or_abs": self.or_abs, "max_ulp": self.max_ulp}
        return {name: bound for name, bound in known.items() if math.isfinite(bound)}


Needs = dict[Kind, Need]
"""What the rows of each kind need."""


def add_need(needs: Needs, kind: Kind, need: Need) -> None:
    """Add rows of a kind."""
    needs[kind] = needs[kind] | need if kind in needs else need


def merge_needs(needs: Needs, others: Mapping[Kind, Need]) -> None:
    """Add the rows of other needs."""
    for kind, need in others.items():
        add_need(needs, kind, need)


def needs_of(
    kinds: npt.NDArray[np.int8],
    ulps: Float64Array,
    absolute: Float64Array,
    gravest: npt.NDArray[np.int8],
    largest: float,
) -> Needs:
    """What rows need, by their gravest kind; results that may be flushed by `Kind.FTZ`.

    Args:
        kinds: (rows, components), codes of kinds.
        ulps: (rows, components), errors in ulps; NaN without a finite one.
        absolute: (rows, components), absolute errors; NaN likewise.
        gravest: (rows,), the gravest kind of each row.
        largest: the largest number of the dtype. A wrong sign with such an error is an overflow's,
            which no bound excuses.
    """
    needs: Needs = {}
    at_fault = _EXCUSED[kinds.view(np.uint8)]
    in_abs = np.where(at_fault, absolute, 0.0)
    in_ulps = np.where(at_fault, ulps, 0.0)
    turned = kinds == _SIGN
    if turned.any():
        in_ulps[turned & at_fault] = np.inf
        turned &= at_fault & (absolute >= largest)
        in_abs[turned] = np.inf
    in_abs, in_ulps = in_abs.max(axis=1), in_ulps.max(axis=1)
    lost = ~np.isfinite(in_abs)  # an error that is not finite, or not known
    in_abs[lost] = in_ulps[lost] = np.inf
    for code in _CODES.tolist():
        here = gravest == code
        if here.any():
            add_need(
                needs, KINDS[code], Need(float(in_abs[here].max()), float(in_ulps[here].max()))
            )
    flushed = kinds == _FTZ
    if flushed.any():
        add_need(needs, Kind.FTZ, Need(float(absolute[flushed].max()), float(ulps[flushed].max())))
    return needs
