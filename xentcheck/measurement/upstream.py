"""Checks that a gradient follows the upstream gradient."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UnsupportedError
from xentcheck.execution import Caller, CallError, Incident
from xentcheck.floats import FORMATS, format_of, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.asking import (
    ROUNDINGS,
    SAMPLE,
    Asked,
    Rows,
    as_before,
    spread_rows,
    works,
)
from xentcheck.model import Array, Domain, Float64Array, Kind, Quantity

MILD_SPREAD = {"float16": 3.0}
"""Largest spread of the logits of a row that is tested with loss scales, by dtype; others: 16.

Up to this spread, a probability or its inverse, times the scale, stays within the dtype's range.
"""


def cotangents(asked: Asked, known: Iterable[str] = ()) -> list[Incident]:
    """Check that a gradient follows the upstream gradient, per row and for several loss scales.

    Args:
        asked: the implementation and its plain results.
        known: names of upstream gradients that it is known not to follow. They are not tried.

    Returns:
        One incident if it does not follow some upstream gradient, otherwise an empty list.
    """
    case = asked.case
    if asked.quantity is not Quantity.GRADIENT or asked.saw(Kind.NON_DETERMINISTIC):
        return []
    caller = Caller(asked.implementation, case, asked.quantity)
    if not caller.follows or (case.reduced and not asked.short):
        return []
    rows = _mild(asked)
    if not len(rows):
        return []
    exact = asked.truth.midpoints(Quantity.GRADIENT, rows)
    plain = to_float64(asked.results[rows])
    given = _upstream_gradients(case.dtype, 0 if case.reduced else len(rows), case.rows)
    found: dict[str, tuple[npt.NDArray[np.bool_], str, float]] = {}
    for name, upstream in given.items():
        if name in known:
            continue
        pulled = from_float64(upstream, case.dtype)
        try:
            there = caller.call(None if case.reduced else rows, cotangent=pulled)
        except UnsupportedError:
            return []
        except CallError as error:
            if works(asked, caller, np.arange(case.rows) if case.reduced else rows):
                found[name] = (np.ones(len(rows), dtype=np.bool_), str(error), np.inf)
            continue
        if case.reduced:
            there = there[rows]
        seen = _unfollowed(asked, there, plain, exact, to_float64(pulled))
        if seen is not None:
            found[name] = seen
    if not found or not as_before(asked, caller, rows):
        return []
    name = next(iter(found))
    where = np.flatnonzero(np.any([seen[0] for seen in found.values()], axis=0))
    first = int(np.flatnonzero(found[name][0])[0])
    ordered = (int(rows[first]), *(int(rows[k]) for k in where.tolist() if k != first))
    distance = max(seen[2] for seen in found.values())
    detail = f"{name}: {found[name][1]}"
    return [Incident(Kind.COTANGENT, ordered, detail, distance, tuple(found))]


def _mild(asked: Asked) -> Rows:
    """Rows with a right gradient of ordinary size that no scale takes out of the dtype's range.

    Returns:
        A few row numbers. Under a reduction the whole block is called: then all such rows.
    """
    case, rows = asked.case, asked.called
    numbers = to_float64(case.logits[rows]).reshape(len(rows), -1)
    most = MILD_SPREAD.get(case.dtype, 16.0)
    with np.errstate(invalid="ignore"):
        match LOSSES[case.loss].domain:
            case Domain.LOGITS:
                spread = numbers.max(axis=1, initial=0.0) - numbers.min(axis=1, initial=0.0)
                mild = (spread <= most) & (np.abs(numbers).max(axis=1) <= 64.0)
            case Domain.PROBABILITIES:
                mild = ((numbers >= np.exp(-most)) & (numbers <= 1.0 - 2.0**-6)).all(axis=1)
            case _:
                mild = ((numbers >= -most) & (numbers <= 0.0)).all(axis=1)
    rows = np.asarray(rows[mild])
    if not len(rows):
        return rows
    if not case.reduced:
        rows = spread_rows(rows, 16 * SAMPLE)
    sizes = np.abs(asked.truth.midpoints(Quantity.GRADIENT, rows)).reshape(len(rows), -1)
    largest = sizes.max(axis=1)
    if case.reduced:
        rows = rows[largest >= 2.0**-4 * largest.max()] if largest.max() > 0.0 else rows[:0]
        rows = rows[asked.right(asked.results[rows], rows)] if len(rows) else rows
        return np.asarray(rows)
    return asked.chosen(rows[(largest >= 2.0**-4) & (largest <= 8.0)])


def _upstream_gradients(dtype: str, rows: int, block: int) -> Mapping[str, Float64Array]:
    """Upstream gradients to try. None of them is 1.

    The inverse of a count has no short binary expansion. So it shows if the upstream gradient is
    rounded to fewer bits.

    Args:
        dtype: the dtype of the case, by name.
        rows: number of rows; 0 for a block under a reduction, which has one upstream gradient.
        block: number of rows in the block.

    Returns:
        Float64 arrays by name, of shape (rows,), or () for a block under a reduction.
    """
    count = rows or block
    count += count & (count - 1) == 0
    count += count == 2
    scales = {"1/n": 1.0 / count, "2^-24": 2.0**-24}
    if FORMATS[dtype].max_exponent > 16:
        scales["2^16"] = 2.0**16
    else:
        scales["2^8"] = 2.0**8
    if not rows:
        return {each: np.array(c) for each, c in {"-1.5": -1.5, "0": 0.0, **scales}.items()}
    place = np.arange(rows)
    weights = (place + 3.0) / 2.0 * np.where(place % 3 == 2, -1.0, 1.0)
    weights[1 : rows - 1 : 4] = 0.0
    return {"weights of the rows": weights, **{n: np.full(rows, c) for n, c in scales.items()}}


def _unfollowed(
    asked: Asked, there: Array, plain: Float64Array, exact: Float64Array, upstream: Float64Array
) -> tuple[npt.NDArray[np.bool_], str, float] | None:
    """Find rows whose gradient does not follow an upstream gradient.

    Allowed are the error of the plain gradient, some roundings of the largest number of the row,
    and flushing.

    Args:
        asked: the implementation and its plain results.
        there: the gradients with the upstream gradient, (rows, ...), in the dtype of the results.
        plain: the plain gradients of the same rows, of the same shape.
        exact: the exact gradients with an upstream gradient of 1, of the same shape.
        upstream: the upstream gradient, of shape (rows,) or ().

    Returns:
        Which rows do not follow, the detail of the finding, and the largest distance in ulps. None
        if all rows follow.
    """
    target = format_of(there.dtype)
    assert target is not None
    rows = len(exact)
    narrow = min(target.precision, FORMATS[asked.case.dtype].precision)
    factor = np.broadcast_to(upstream, (rows,)).reshape(-1, *[1] * (exact.ndim - 1))
    wanted = factor * exact + 0.0  # no -0
    largest = np.abs(exact).reshape(rows, -1).max(axis=1).reshape(factor.shape)
    most = max(ROUNDINGS, 2.0 * min(asked.tolerance.max_ulp, 2.0**narrow / 8.0))
    slack = np.abs(factor) * (most * 2.0**-narrow * largest + 2.0 * np.abs(plain - exact))
    smallest = max(target.smallest_normal, FORMATS[asked.case.dtype].smallest_normal)
    slack = slack + 2.0 * (asked.case.classes + 1) * smallest
    actual = to_float64(there)
    with np.errstate(invalid="ignore"):
        off = np.abs(actual - wanted)
        wrong = ~(off <= slack)
    if not wrong.any():
        return None
    by_row = wrong.reshape(rows, -1).any(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        scale = max(np.abs(upstream).max(), 2.0**-1000) * largest
        ulps = np.where(np.isfinite(off), off / scale * 2.0**narrow, np.inf)
    row = int(np.flatnonzero(by_row)[0])
    column = int(wrong.reshape(rows, -1)[row].argmax())
    place = (row, column) if exact.ndim > 1 else (row,)
    index = f"[{column}]" if exact.ndim > 1 else ""
    detail = (
        f"gradient{index} {actual[place]:.9g} with {factor.reshape(-1)[row]:.9g} upstream, "
        f"where {wanted[place]:.9g} is exact"
    )
    shown = (actual.reshape(rows, -1), exact.reshape(rows, -1), factor.reshape(-1))
    why = _explained(*shown, by_row)
    return by_row, detail + (f": {why}" if why else ""), float(ulps[wrong].max())


def _explained(
    actual: Float64Array, exact: Float64Array, given: Float64Array, wrong: npt.NDArray[np.bool_]
) -> str:
    """Infer from the numbers what a backward pass does with the upstream gradient.

    Args:
        actual: the gradients of the implementation, (rows, classes).
        exact: the exact gradients with an upstream gradient of 1, of the same shape.
        given: the upstream gradients, (rows,).
        wrong: which rows do not follow, (rows,).

    Returns:
        The explanation, or "" if the numbers do not show it.
    """
    odd = ~np.isfinite(actual).all(axis=1)
    if (odd & (given != 0)).any():
        return "the result is not finite"
    if odd.any():
        text = "where the upstream gradient is 0 the result is not finite"
        others = given != 0
        rest = ""
        if (wrong & others).any():
            rest = _explained(actual[others], exact[others], given[others], wrong[others])
        return f"{rest}, and {text}" if rest else text
    size = (exact * exact).sum(axis=1)
    factor = (actual * exact).sum(axis=1) / size
    rest = np.abs(actual - factor[:, None] * exact).max(axis=1)
    if (rest > 2.0**-5 * np.abs(factor) * np.sqrt(size) + 2.0**-20 * np.abs(given).max()).any():
        return ""

    def like(expected: Float64Array | float, where: Sequence[bool] | None = None) -> bool:
        wanted = np.broadcast_to(np.asarray(expected, np.float64), factor.shape)
        chosen = np.ones(len(factor), dtype=np.bool_) if where is None else np.asarray(where)
        near = np.abs(factor - wanted) <= 2.0**-5 * np.abs(wanted) + 2.0**-40
        return bool(near[chosen].all())

    several = len(np.unique(given)) > 1
    nonzero = (given != 0).tolist()
    with np.errstate(divide="ignore", over="ignore"):
        known: list[tuple[str, bool]] = [
            ("the upstream gradient is ignored", like(1.0)),
            ("the result is 0", like(0.0)),
            ("the upstream gradient is rounded to fewer bits", like(given)),
            ("it has the wrong sign", like(-given)),
            ("the upstream gradient is applied twice", like(given * given)),
            ("it is divided by the upstream gradient", any(nonzero) and like(1 / given, nonzero)),
            ("the magnitude of the upstream gradient is applied", several and like(np.abs(given))),
            (
                "the sum of all upstream gradients is applied to every row",
                several and like(given.sum()),
            ),
            (
                "the mean of all upstream gradients is applied to every row",
                several and like(given.mean()),
            ),
            (
                "the upstream gradient of the first row is applied to every row",
                several and like(given[0]),
            ),
            (
                "the upstream gradient of the last row is applied to every row",
                several and like(given[-1]),
            ),
        ]
    told = next((text for text, fits in known if fits), "")
    if told or not several:
        return told
    near = np.abs(factor[:, None] - given[None]) <= 2.0**-5 * np.abs(given[None]) + 2.0**-40
    return "the upstream gradient of another row is applied" if near.any(axis=1).all() else ""
