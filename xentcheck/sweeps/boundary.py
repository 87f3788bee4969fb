"""Rows at the landmarks of a dtype, such as the number at which exp overflows."""

import math
from collections.abc import Iterator
from functools import partial

from xentcheck.deferred import np
from xentcheck.floats import from_float64, next_up, to_float64
from xentcheck.model import Domain, Float64Array, Layout
from xentcheck.sweeps.generator import Batch, Request, batch_of, stack_of
from xentcheck.sweeps.landmarks import landmarks, sum_overflow
from xentcheck.sweeps.rows import Maker

PATTERNS = ("zeros", "ordinary", "equal", "opposite", "neighbour")


def boundary(request: Request) -> Iterator[Batch]:
    """Yield rows of the landmarks, of infinities and of NaN, as the options select."""
    special = request.options["special"]
    if special in ("finite", "all"):
        values = np.array(list(landmarks(request.format, request.domain).values()))
        yield from _boundary_rows(request, values, with_sum_overflow=True)
    if special in ("infinite", "all") and not _lacks_infinity(request):
        signs = (-1.0,) if request.domain is Domain.LOG_PROBABILITIES else (1.0, -1.0)
        yield from _boundary_rows(request, np.inf * np.array(signs))
    if special in ("nan", "all"):
        yield from _boundary_rows(request, np.array([np.nan]))


def _boundary_rows(
    request: Request, values: Float64Array, *, with_sum_overflow: bool = False
) -> Iterator[Batch]:
    if request.layout is Layout.ELEMENTWISE:
        yield batch_of(values, verbatim=True, distinct=True)
        return
    patterns = request.options["patterns"]
    for classes in request.widths:
        if classes == 1:
            yield batch_of(values[:, None], verbatim=True, distinct=True)
            continue
        build = _logit_rows if request.domain is Domain.LOGITS else _probability_rows
        pieces: list[tuple[int, Maker]] = [
            (len(values), partial(build, request, values, classes, pattern)) for pattern in patterns
        ]
        if with_sum_overflow and request.domain is Domain.LOGITS and "equal" in patterns:
            sums = sum_overflow(request.format, classes)
            pieces.append((len(sums), partial(equal_rows, sums, classes)))
        yield stack_of(pieces, classes, verbatim=True, distinct=True)


def equal_rows(values: Float64Array, classes: int, first: int, last: int) -> Float64Array:
    return np.repeat(values[first:last, None], classes, axis=1)


def _logit_rows(
    request: Request, values: Float64Array, classes: int, pattern: str, first: int, last: int
) -> Float64Array:
    """Put each value in one class, a different one in each row, and the pattern in the others."""
    values = values[first:last]
    if pattern == "equal":
        return np.repeat(values[:, None], classes, axis=1)
    rows = np.zeros((len(values), classes))
    if pattern == "ordinary":
        rows[:] = (np.arange(classes) * 5 % 8 - 3.5) / 2
    index = np.arange(len(values))
    at = (first + index) % classes
    after = (at + 1) % classes
    if pattern == "opposite":
        rows[index, after] = -values
    elif pattern == "neighbour":
        rows[:] = values[:, None]
        above = to_float64(next_up(from_float64(values, request.format.name)))
        inside = np.abs(above) <= request.format.max
        rows[index, after] = np.where(inside, above, values)
    rows[index, at] = values
    return rows


def _probability_rows(
    request: Request, values: Float64Array, classes: int, pattern: str, first: int, last: int
) -> Float64Array:
    """Do the same as `_logit_rows`, but give the rest, 1 minus the value, to the other classes.

    ``zeros``: one other class gets the rest. ``ordinary``: all others share it. ``equal``: all
    classes have the value, so rows need not sum to 1. ``opposite`` and ``neighbour``: ``equal``,
    except that one other class is certain, or impossible.
    """
    values = values[first:last]
    logarithmic = request.domain is Domain.LOG_PROBABILITIES
    if logarithmic:
        certain = 0.0
        impossible = -request.format.max if _lacks_infinity(request) else -np.inf
        with np.errstate(divide="ignore"):
            share = np.log(-np.expm1(values))
        shared = share - math.log(classes - 1)
    else:
        certain, impossible = 1.0, 0.0
        share = 1.0 - values
        shared = share / (classes - 1)
    index = np.arange(len(values))
    at = (first + index) % classes
    after = (at + 1) % classes
    if pattern == "zeros":
        rows = np.full((len(values), classes), impossible)
        rows[index, after] = share
    elif pattern == "ordinary":
        rows = np.repeat(shared[:, None], classes, axis=1)
    else:
        rows = np.repeat(values[:, None], classes, axis=1)
        if pattern != "equal":
            rows[index, after] = certain if pattern == "opposite" else impossible
    rows[index, at] = values
    return np.maximum(rows, impossible) if logarithmic else rows


def _lacks_infinity(request: Request) -> bool:
    return request.domain is Domain.PROBABILITIES or not request.format.has_infinity


def boundary_obstacle(request: Request) -> str:
    """Say why there are no infinite rows, if only these are wanted, or return ""."""
    if request.options["special"] != "infinite" or not _lacks_infinity(request):
        return ""
    if request.domain is Domain.PROBABILITIES:
        return "the inputs are probabilities, and none is infinite"
    return f"{request.format.name} has no infinities"
