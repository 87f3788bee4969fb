"""Finds rows on which two ways to call one function disagree."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Incident, Returned
from xentcheck.floats import LARGEST_ULP, Format, format_of, to_float64, ulp_exponent
from xentcheck.measurement.scoring import allowed, conditioned
from xentcheck.measurement.tally import Tally, note
from xentcheck.model import Array, Float64Array, Implementation, Kind, Quantity, Tolerance
from xentcheck.reference import Reference


def compare_variants(
    collected: Tally,
    variant: Implementation,
    quantity: Quantity,
    observed: Mapping[tuple[str, Quantity], Returned],
    truth: Reference,
    tolerance: Tolerance,
) -> None:
    """Note the rows on which a variant and the plain call disagree as `inconsistent`.

    Two results agree if both can be within the tolerance of one exact result: they are at most
    twice the tolerance apart, in ulps of the narrower dtype. A subnormal result and a flushed one
    agree too; each is reported as `ftz` on its own.

    Args:
        collected: the tally of the variant's cell.
        variant: the implementation. Nothing happens if it is not a variant.
        quantity: value or gradient.
        observed: the results on this case by implementation name and quantity. Nothing happens if
            one of the two calls is missing or has no result.
        truth: the exact results of the case.
        tolerance: the tolerance of the cell.
    """
    name, case = variant.plain, truth.case
    plain = observed.get((name, quantity))
    other = observed.get((variant.name, quantity))
    if plain is None or plain.results is None or other is None or other.results is None:
        return
    narrow = min(_format(plain.results), _format(other.results), key=lambda each: each.precision)
    a, b = to_float64(plain.results), to_float64(other.results)
    distance = _distance(a, b, narrow)
    condition = None
    if conditioned(tolerance):
        condition = truth.condition(quantity, np.arange(case.rows), narrow.name)
    most = 2.0 * np.asarray(allowed(tolerance, condition, narrow))
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= 2.0 * tolerance.or_abs
    apart = (distance > most) & ~near
    if a.ndim:
        both = plain.valid & other.valid
        apart &= both.reshape(-1, *[1] * (a.ndim - 1))
    if not apart.any():
        return
    worst = np.unravel_index(int(np.where(apart, distance, -1.0).argmax()), a.shape)
    rows = np.flatnonzero(apart.reshape(max(len(np.atleast_1d(a)), 1), -1).any(axis=1))
    row = int(worst[0]) if worst else 0
    ordered = (row, *(each for each in rows.tolist() if each != row)) if worst else ()
    place = f"[{worst[1]}]" if len(worst) > 1 else ""
    detail = f"{quantity}{place} {b[worst]:.9g}, where {name} gives {a[worst]:.9g}"
    note(collected, Incident(Kind.INCONSISTENT, ordered, detail, float(distance[worst])), case)


def _format(results: Array) -> Format:
    found = format_of(results.dtype)
    assert found is not None
    return found


def _distance(a: Float64Array, b: Float64Array, target: Format) -> Float64Array:
    """The distance of two arrays in ulps; inf where only one of them is NaN or infinite."""
    with np.errstate(all="ignore"):
        larger = np.fmax(np.abs(a), np.abs(b))
        finite = np.isfinite(a) & np.isfinite(b)
        exponents = np.frexp(np.where(finite & (larger > 0), larger, 1.0))[1] - 1
        unit = np.ldexp(1.0, ulp_exponent(exponents, target.name))
        distance = np.minimum(np.abs(a - b) / unit, LARGEST_ULP)
    same: npt.NDArray[np.bool_] = (a == b) | (np.isnan(a) & np.isnan(b))
    same |= ((a == 0) | (b == 0)) & (larger < target.smallest_normal)
    return np.where(same, 0.0, np.where(finite, distance, np.inf))
