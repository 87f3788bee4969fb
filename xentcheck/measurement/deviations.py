"""Deviations of results from an invariant, and what rounding explains of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, Format, format_of, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import Invariant, factors
from xentcheck.measurement.asking import Rows
from xentcheck.model import Array, Case, Domain, Float64Array, Implementation, Quantity


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One quantity of an implementation on one case without a reduction, with its plain results.

    ``wide``: other numbers than those of the case may be called. Otherwise they stay in the range
    of the case, because a gate is about the inputs that it describes. ``judge`` takes another case
    with its results, and says which of its rows the reference accepts, (rows,). The others are left
    out: that they are wrong is not for an invariant to say. None: nobody knows the exact results.
    """

    implementation: Implementation
    case: Case
    quantity: Quantity
    results: Array
    wide: bool = False
    judge: Callable[[Case, Array], npt.NDArray[np.bool_]] | None = None

    def accepted(self, case: Case, results: Array) -> npt.NDArray[np.bool_]:
        """Which rows of another case, with these results, may show a broken invariant: (rows,)."""
        if self.judge is None:
            return np.ones(case.rows, dtype=np.bool_)
        return self.judge(case, results)

    def ends(self, row: Float64Array) -> tuple[float, float]:
        """The smallest and the largest number that may be called in the place of one of a row.

        Logits reach equally far to both sides. Probabilities are above 0.
        """
        target = FORMATS[self.case.dtype]
        known = to_float64(self.case.logits)
        known = known[np.isfinite(known)]
        domain = LOSSES[self.case.loss].domain
        if domain is Domain.PROBABILITIES:
            known = known[(known > 0.0) & (known <= 1.0)]
            if self.wide or not len(known):
                return target.smallest_normal, 1.0
            return float(known.min()), float(known.max())
        most = float(np.abs(known).max(initial=0.0))
        if self.wide:
            most = max(4.0 * float(np.abs(row).max()), 128.0)
        most = min(most, target.max / 16.0)
        return -most, most if domain is Domain.LOGITS else 0.0

    @property
    def narrow(self) -> Format:
        """The narrower one of the formats of inputs and results."""
        target = format_of(self.results.dtype)
        assert target is not None
        return min(target, FORMATS[self.case.dtype], key=lambda each: each.precision)


@dataclass(frozen=True, slots=True, eq=False)
class Broken:
    """An invariant that does not hold.

    Attributes:
        rows: positions of the rows in the case, the worst first.
        detail: what was compared, and by how much it is off.
        distance: how far it is off, in ulps of the row's scale.
    """

    rows: tuple[int, ...]
    detail: str
    distance: float


@dataclass(frozen=True, slots=True, eq=False)
class Deviations:
    """How far some rows are from keeping an invariant.

    Attributes:
        rows: (n,), positions of the rows in the case.
        off: (n,), the largest deviation of each row; NaN for a NaN.
        scale: (n,), the scale of each row.
        says: what was compared, for the row at an index.
    """

    rows: Rows
    off: Float64Array
    scale: Float64Array
    says: Callable[[int], str]

    def only(self, kept: npt.NDArray[np.bool_]) -> "Deviations":
        """Those of some rows."""
        places = np.flatnonzero(kept).tolist()
        return Deviations(
            self.rows[kept],
            self.off[kept],
            self.scale[kept],
            lambda place: self.says(places[place]),
        )


def verdict(subject: Subject, invariant: Invariant, seen: Deviations) -> Broken | None:
    """Which rows are farther off than rounding explains; None if none is."""
    narrow = subject.narrow
    allowed = np.zeros(len(seen.scale))
    if invariant.most:
        unit = invariant.allowed(subject.case.classes) * 2.0**-narrow.precision
        flushed = 2.0 * (subject.case.classes + 1) * narrow.smallest_normal
        with np.errstate(over="ignore"):
            allowed = unit * seen.scale + flushed
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(~(seen.off <= allowed))
    if not len(wrong):
        return None
    ulps = _in_ulps(seen.off[wrong], seen.scale[wrong], narrow)
    ordered = wrong[np.argsort(-ulps, kind="stable")]
    worst = int(ordered[0])
    distance = float(ulps.max())
    detail = seen.says(worst)
    if np.isfinite(seen.off[worst]):
        explained = f"{allowed[worst]:.3g}" if allowed[worst] else "nothing"
        detail += f": {seen.off[worst]:.3g} off, and rounding explains {explained}"
    return Broken(tuple(seen.rows[ordered].tolist()), detail, distance)


def _in_ulps(off: Float64Array, scale: Float64Array, narrow: Format) -> Float64Array:
    """Deviations in ulps of the scale; inf for a NaN."""
    with np.errstate(all="ignore"):
        exponents = np.frexp(np.where(np.isfinite(scale) & (scale > 0), scale, 1.0))[1] - 1
        ulps = off * np.ldexp(1.0, narrow.precision - 1 - exponents)
    return np.where(np.isnan(ulps), np.inf, ulps)


def scale_of(case: Case, quantity: Quantity, results: Float64Array) -> Float64Array:
    """The scale of each row: the largest number that a sound formula computes with, (rows,)."""
    weight, per_degree = factors(case.parameters)
    inputs = np.ones(case.rows)
    with np.errstate(over="ignore"):
        if LOSSES[case.loss].domain is not Domain.PROBABILITIES:
            largest = np.abs(to_float64(case.logits)).reshape(case.rows, -1).max(axis=1)
            noise = case.parameters.get("noise")
            if isinstance(noise, np.ndarray):
                largest = largest + np.abs(to_float64(noise)).max(axis=1)
            inputs = np.maximum(largest * per_degree, 1.0)
        if quantity is Quantity.GRADIENT:
            inputs = inputs * per_degree
        inputs = weight * inputs
    sizes = np.abs(results).reshape(case.rows, -1)
    most = np.where(np.isfinite(sizes), sizes, 0.0).max(axis=1, initial=0.0)
    return np.asarray(np.maximum(most, inputs))
