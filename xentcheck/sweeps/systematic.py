"""Generators that put inputs at places of known faults. Random draws only fill in the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from xentcheck.deferred import np
from xentcheck.floats import from_float64, next_down, next_up, to_float64
from xentcheck.model import Domain, Float64Array, Layout, Option
from xentcheck.sweeps.boundary import PATTERNS, boundary, boundary_obstacle, equal_rows
from xentcheck.sweeps.generator import EVERY_LAYOUT, ROWS_ONLY, Batch, Generator, Request, stack_of
from xentcheck.sweeps.options import (
    MOST_POINTS,
    SCALE,
    SPACING,
    check_spacing,
    classes_option,
    evenly_spaced,
    rows_option,
)
from xentcheck.sweeps.region import REGION_OPTIONS
from xentcheck.sweeps.rows import Draws, Maker, Series
from xentcheck.sweeps.written import exhaustive, exhaustive_obstacle, explicit, grid, grid_obstacle

LOW_LEVELS = (-64.0, -168.0, -200.0, -1e3, -1e4, -1e5, -1e8, -1e30)
COMMON_OFFSETS = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e12, 1e17, 1e30, 1e100, 1e300)


# ties and gaps -------------------------------------------------------------------------------


def _ties(request: Request) -> Iterator[Batch]:
    name = request.format.name
    for classes in request.widths:
        tops = {
            Domain.LOGITS: np.array(request.options["values"], dtype=np.float64),
            Domain.PROBABILITIES: np.array([1 / classes, 0.5 / classes]),
            Domain.LOG_PROBABILITIES: np.array([-math.log(classes), -1.0, -30.0]),
        }[request.domain]
        top = from_float64(np.clip(tops, -request.format.max, request.format.max), name)
        steps = [to_float64(each)[:, None] for each in (top, next_up(top), next_down(top))]
        same, above, below = (np.clip(s, -request.format.max, request.format.max) for s in steps)
        if request.domain is Domain.LOG_PROBABILITIES:
            above = np.minimum(above, 0.0)
        lower = same / 2 if request.domain is Domain.PROBABILITIES else same - 3.0
        pieces: list[tuple[int, Maker]] = [(len(top), partial(_tied, same, same, same, classes))]
        for partner in (same, above, below) if classes > 1 else ():
            for others in (same, lower):
                make = partial(_tied, same, others, partner, classes)
                pieces.append((len(top), make))
        yield stack_of(pieces, classes, verbatim=True, distinct=True)


def _tied(
    top: Float64Array,
    others: Float64Array,
    partner: Float64Array,
    classes: int,
    first: int,
    last: int,
) -> Float64Array:
    """Return the top in the first class, its partner in the last, the others in between."""
    rows = np.repeat(others[first:last], classes, axis=1)
    rows[:, :1] = top[first:last]
    rows[:, -1:] = partner[first:last]
    return rows


def _gap(request: Request) -> Iterator[Batch]:
    check_spacing(request.options, "gap")
    rows = request.options["points"] * len(request.options["base"])
    for classes in request.widths:
        yield Batch(rows, classes, partial(_gap_rows, request.options, classes), distinct=True)


def _gap_rows(options: Mapping[str, Any], classes: int, first: int, last: int) -> Float64Array:
    """Return every gap above the first base, then every gap above the next base, and so on."""
    number = np.arange(first, last)
    points = options["points"]
    gaps = evenly_spaced(options)[number % points]
    base = np.array(options["base"], dtype=np.float64)[number // points]
    if not classes:
        return np.asarray(base + gaps)
    rows = np.repeat(base[:, None], classes, axis=1)
    rows[np.arange(len(number)), number % classes] += gaps
    return rows


# offsets, masks, scales ----------------------------------------------------------------------


def _ordinary(scale: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return scale * rng.standard_normal(shape)


def _shifted(
    request: Request, offsets: Sequence[float], highest: float = math.inf
) -> Iterator[Batch]:
    """Yield ordinary rows and an all-equal row, shifted by each offset and cut at ``highest``."""
    series = Series(request.stream)
    sample = partial(_ordinary, request.options["scale"])
    for classes in request.widths:
        draws = series.draws(request.options["rows"], classes, sample)
        count = draws.rows + bool(classes)
        pieces = [(count, partial(_at_offset, draws, offset, highest)) for offset in offsets]
        yield stack_of(pieces, classes, verbatim=True, distinct=True)


def _at_offset(draws: Draws, offset: float, highest: float, first: int, last: int) -> Float64Array:
    """Return the drawn rows at an offset. The row after the last drawn row is all-equal."""
    rows = np.zeros((last - first, draws.classes) if draws.classes else last - first)
    drawn = min(last, draws.rows) - first
    if drawn > 0:
        rows[:drawn] = draws.between(first, first + drawn)
    return np.minimum(rows + offset, highest)


def _offset(request: Request) -> Iterator[Batch]:
    most = request.format.max
    offsets = request.options["offsets"] or [
        sign * size
        for size in (*(each for each in COMMON_OFFSETS if each < most / 2), most / 2, most)
        for sign in (1.0, -1.0)
    ]
    yield from _shifted(request, offsets)


def _logits_only(request: Request) -> str:
    if request.domain is Domain.LOGITS:
        return ""
    return f"moving all logits of a row does not change {request.domain}"


def _low(request: Request) -> Iterator[Batch]:
    highest = 0.0 if request.domain is Domain.LOG_PROBABILITIES else math.inf
    yield from _shifted(request, request.options["levels"], highest)


def _low_obstacle(request: Request) -> str:
    if request.domain is Domain.PROBABILITIES:
        return "no probability is below 0"
    return ""


def _masked(request: Request) -> Iterator[Batch]:
    series = Series(request.stream)
    sample = partial(_ordinary, request.options["scale"])
    for classes in request.widths:
        draws = series.draws(request.options["rows"], classes, sample)
        counts = sorted({1, classes // 2, classes - 1, classes} - {0})
        pieces = [(draws.rows, partial(_masked_rows, draws, count)) for count in counts]
        yield stack_of(pieces, classes, distinct=True)


def _masked_rows(draws: Draws, count: int, first: int, last: int) -> Float64Array:
    """Return the drawn rows with ``count`` classes at −inf. Row k begins at class k."""
    behind = (np.arange(draws.classes) - np.arange(first, last)[:, None]) % draws.classes
    return np.where(behind < count, -np.inf, draws.between(first, last))


def _masked_obstacle(request: Request) -> str:
    if request.domain is not Domain.PROBABILITIES and not request.format.has_infinity:
        return f"{request.format.name} has no −inf to mask with"
    return ""


def _mixed_scale(request: Request) -> Iterator[Batch]:
    series = Series(request.stream)
    sample = partial(_of_mixed_scale, request.domain)
    for classes in request.widths:
        draws = series.draws(request.options["rows"], classes, sample)
        yield Batch(draws.rows, classes, draws.between)


def _of_mixed_scale(
    domain: Domain, rng: np.random.Generator, shape: tuple[int, ...]
) -> Float64Array:
    """Draw rows of sizes that differ by many orders of magnitude, in random order."""
    scales = (1e-6, 1e-2, 1.0, 3.0, 30.0, 1e3, 1e5, 1e10)
    offsets = (0.0, 0.0, -1e3, 1e3, -1e5, 1e5)
    count = shape[0]
    draws = rng.standard_normal(shape).reshape(count, -1)
    order = rng.permutation(count)
    scale = np.resize(scales, count)[order]
    offset = np.resize(offsets, count)[order]
    rows = draws * scale[:, None]
    if domain is Domain.LOGITS:
        rows = rows + offset[:, None]
    return np.asarray(rows.reshape(shape))


def _equal(request: Request) -> Iterator[Batch]:
    values = np.array(request.options["values"], dtype=np.float64)
    for classes in request.widths:
        make = partial(equal_rows, values, classes)
        yield Batch(len(values), classes, make, distinct=True)


_SPECIAL = "which of the format's values: finite ones, infinities, NaN, or all of them"

SYSTEMATIC = (
    Generator(
        "boundary",
        "named boundary values of the dtype: zeros, subnormals, neighbours of 1, thresholds of exp",
        (
            classes_option(1, 2, 3),
            Option(
                "patterns",
                "choice",
                "what the other classes hold",
                PATTERNS,
                choices=PATTERNS,
                many=True,
            ),
            Option(
                "special",
                "choice",
                _SPECIAL,
                "finite",
                choices=("finite", "infinite", "nan", "all"),
            ),
        ),
        EVERY_LAYOUT,
        boundary,
        boundary_obstacle,
    ),
    Generator(
        "ties",
        "equal classes, and classes one ulp apart",
        (
            classes_option(2, 3, 10),
            Option("values", "real", "the tied logits", (0.0, 1.0, -1.0, 20.0, -20.0), many=True),
        ),
        ROWS_ONLY,
        _ties,
    ),
    Generator(
        "gap",
        "one class above (or below) equal others, the gap swept through p→1",
        (
            Option("from", "real", "first gap", -40.0),
            Option("to", "real", "last gap", 40.0),
            Option("points", "integer", "how many gaps", 81, minimum=1, maximum=MOST_POINTS),
            SPACING,
            Option("base", "real", "logit of the other classes", (0.0,), many=True),
            classes_option(2),
        ),
        EVERY_LAYOUT,
        _gap,
    ),
    Generator(
        "offset",
        "ordinary rows, and an all-equal one, under a common offset",
        (
            Option(
                "offsets",
                "real",
                "the offsets; none: powers of ten of both signs up to the dtype's largest number",
                (),
                many=True,
            ),
            rows_option(1, "ordinary rows at each offset"),
            SCALE,
            classes_option(2, 3),
        ),
        EVERY_LAYOUT,
        _offset,
        _logits_only,
    ),
    Generator(
        "low",
        "ordinary rows, and an all-equal one, far below zero",
        (
            Option("levels", "real", "where the rows lie", LOW_LEVELS, maximum=0.0, many=True),
            rows_option(1, "ordinary rows at each level"),
            SCALE,
            classes_option(2, 4),
        ),
        EVERY_LAYOUT,
        _low,
        _low_obstacle,
    ),
    Generator(
        "masked",
        "ordinary rows with one, half, all but one, and all classes at −inf (probability 0)",
        (rows_option(2, "ordinary rows to mask"), SCALE, classes_option(2, 3, 5)),
        ROWS_ONLY,
        _masked,
        _masked_obstacle,
    ),
    Generator(
        "mixed-scale",
        "rows of wildly different scale in one block",
        (rows_option(16, "rows"), classes_option(8)),
        EVERY_LAYOUT,
        _mixed_scale,
    ),
    Generator(
        "equal",
        "rows of equal logits, for large vocabularies",
        (
            Option("values", "real", "the logits, a row each", (0.0,), many=True),
            classes_option(2, 10, 1000),
        ),
        ROWS_ONLY,
        _equal,
    ),
    Generator(
        "explicit",
        "the numbers that are written down",
        (
            Option(
                "values",
                "rows",
                "rows of numbers; a plain list is one row, or one number a row if elementwise",
                required=True,
            ),
            Option("labels", "integer", "a label for each row", (), many=True),
            Option("targets", "real", "a target for each number, if elementwise", (), many=True),
            Option("distributions", "rows", "a distribution over the classes for each row", ()),
        ),
        EVERY_LAYOUT,
        explicit,
    ),
    Generator(
        "grid",
        "every combination of the values over up to three classes",
        (
            Option("values", "real", "the values; none: evenly spaced ones", (), many=True),
            Option("from", "real", "first of the evenly spaced values", -20.0),
            Option("to", "real", "last of the evenly spaced values", 20.0),
            Option(
                "points",
                "integer",
                "how many evenly spaced values",
                9,
                minimum=1,
                maximum=MOST_POINTS,
            ),
            SPACING,
            classes_option(2, most=3),
        ),
        EVERY_LAYOUT,
        grid,
        grid_obstacle,
    ),
    Generator(
        "exhaustive",
        "every value of a dtype of up to 32 bits, or of a region of it",
        (
            Option("special", "choice", _SPECIAL, "finite", choices=("finite", "all")),
            *REGION_OPTIONS,
        ),
        frozenset({Layout.ELEMENTWISE}),
        exhaustive,
        exhaustive_obstacle,
    ),
)
