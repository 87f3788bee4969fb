"""Generators that put inputs where faults are known to hide; their draws, if any, are filler."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from xentcheck.errors import UsageError
from xentcheck.floats import from_float64, from_ordinals, next_down, next_up, to_float64
from xentcheck.model import Array, Domain, Float64Array, Layout, Option
from xentcheck.sweeps.generator import (
    DOMAIN_BOUNDS,
    EVERY_LAYOUT,
    ROWS_ONLY,
    Batch,
    Generator,
    Request,
    batch_of,
    stack_of,
)
from xentcheck.sweeps.landmarks import landmarks, sum_overflow
from xentcheck.sweeps.region import REGION_OPTIONS, region_bounds, region_obstacle, region_ordinals
from xentcheck.sweeps.rows import Draws, Maker, Series

MOST_ROWS = 1 << 32  # of one input; more is a slip of the pen
MOST_POINTS = 1_000_000
MOST_CLASSES = 1 << 22
MOST_GRID_ROWS = 1 << 16
MOST_EXHAUSTIVE_BITS = 32
PATTERNS = ("zeros", "ordinary", "equal", "opposite", "neighbour")
LOW_LEVELS = (-64.0, -168.0, -200.0, -1e3, -1e4, -1e5, -1e8, -1e30)
COMMON_OFFSETS = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e12, 1e17, 1e30, 1e100, 1e300)


def classes_option(*default: int, least: int = 1, most: int = MOST_CLASSES) -> Option:
    """The axis of class counts that every generator of rows has."""
    doc = "class counts (ignored by elementwise losses)"
    return Option("classes", "integer", doc, default, minimum=least, maximum=most, many=True)


def rows_option(default: int, doc: str) -> Option:
    """The option that says how many rows."""
    return Option("rows", "integer", doc, default, minimum=1, maximum=MOST_ROWS)


def evenly_spaced(options: Mapping[str, Any]) -> Float64Array:
    """``points`` numbers from ``from`` to ``to``, by equal steps or (``log``) equal ratios."""
    first, last, points = (options[name] for name in ("from", "to", "points"))
    if options["spacing"] == "linear":
        return np.linspace(first, last, points)
    magnitudes = np.geomspace(abs(first), abs(last), points)
    return np.asarray(np.copysign(magnitudes, first))


def _check_spacing(options: Mapping[str, Any], place: str) -> None:
    """Refuse equal ratios between numbers that have none."""
    first, last = options["from"], options["to"]
    if options["spacing"] == "log" and not first * last > 0:
        message = (
            f"{place}: logarithmic spacing from {first} to {last} would cross or touch zero; "
            "give both ends one sign, or use spacing: linear"
        )
        raise UsageError(message)


_SPACING = Option(
    "spacing", "choice", "equal steps or equal ratios", "linear", choices=("linear", "log")
)


# boundary ------------------------------------------------------------------------------------


def _boundary(request: Request) -> Iterator[Batch]:
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
            pieces.append((len(sums), partial(_equal_rows, sums, classes)))
        yield stack_of(pieces, classes, verbatim=True, distinct=True)


def _equal_rows(values: Float64Array, classes: int, first: int, last: int) -> Float64Array:
    return np.repeat(values[first:last, None], classes, axis=1)


def _logit_rows(
    request: Request, values: Float64Array, classes: int, pattern: str, first: int, last: int
) -> Float64Array:
    """(rows, classes): the value in one class (in turn each) and the pattern in the others."""
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
    """Like `_logit_rows`, but what the value leaves of 1 goes to the others.

    ``zeros``: to one of them; ``ordinary``: shared by all; ``equal``: rows that need not sum to 1;
    ``opposite`` and ``neighbour`` are ``equal`` with a certain, or an impossible, other class.
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


def _boundary_obstacle(request: Request) -> str:
    if request.options["special"] != "infinite" or not _lacks_infinity(request):
        return ""
    if request.domain is Domain.PROBABILITIES:
        return "the inputs are probabilities, and none is infinite"
    return f"{request.format.name} has no infinities"


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
    """(rows, classes): the top in the first class, its partner in the last, the others between."""
    rows = np.repeat(others[first:last], classes, axis=1)
    rows[:, :1] = top[first:last]
    rows[:, -1:] = partner[first:last]
    return rows


def _gap(request: Request) -> Iterator[Batch]:
    _check_spacing(request.options, "gap")
    rows = request.options["points"] * len(request.options["base"])
    for classes in request.widths:
        yield Batch(rows, classes, partial(_gap_rows, request.options, classes), distinct=True)


def _gap_rows(options: Mapping[str, Any], classes: int, first: int, last: int) -> Float64Array:
    """Every gap above the first base, then above the next one."""
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
    """Ordinary rows and an all-equal one, moved as a whole to each offset, but not too high."""
    series = Series(request.stream)
    sample = partial(_ordinary, request.options["scale"])
    for classes in request.widths:
        draws = series.draws(request.options["rows"], classes, sample)
        count = draws.rows + bool(classes)
        pieces = [(count, partial(_at_offset, draws, offset, highest)) for offset in offsets]
        yield stack_of(pieces, classes, verbatim=True, distinct=True)


def _at_offset(draws: Draws, offset: float, highest: float, first: int, last: int) -> Float64Array:
    """The drawn rows at an offset; what lies behind the last of them is the all-equal one."""
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
    """The drawn rows with so many classes at −inf, beginning with another one in each row."""
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
    """Rows whose sizes differ by many orders of magnitude, shuffled."""
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


# lists, grids, everything --------------------------------------------------------------------


def _equal(request: Request) -> Iterator[Batch]:
    values = np.array(request.options["values"], dtype=np.float64)
    for classes in request.widths:
        make = partial(_equal_rows, values, classes)
        yield Batch(len(values), classes, make, distinct=True)


def _explicit(request: Request) -> Iterator[Batch]:
    given = [
        list(row) if isinstance(row, list | tuple) else row for row in request.options["values"]
    ]
    labels = request.options["labels"]
    flat = [value for row in given for value in (row if isinstance(row, list) else [row])]
    if request.layout is Layout.ELEMENTWISE:
        rows = [np.array(flat, dtype=np.float64)]
        counts = [len(flat)]
    elif all(isinstance(row, list) for row in given):
        rows = [np.array(row, dtype=np.float64)[None, :] for row in given if len(row)]
        counts = [1] * len(rows)
    else:
        rows = [np.array(flat, dtype=np.float64)[None, :]]
        counts = [1]
    if labels and len(labels) != sum(counts):
        message = f"explicit: {len(labels)} labels for {sum(counts)} rows"
        raise UsageError(message)
    start = 0
    for row, count in zip(rows, counts, strict=True):
        own = np.array(labels[start : start + count]) if labels else None
        start += count
        yield batch_of(row, verbatim=True, saturate=False, labels=own)


def _grid_size(request: Request) -> int:
    return len(request.options["values"]) or int(request.options["points"])


def _grid_obstacle(request: Request) -> str:
    lowest, highest = DOMAIN_BOUNDS[request.domain]
    ends = (request.options["from"], request.options["to"])
    for value in request.options["values"] or ends:
        if value < lowest or value > highest:
            return f"{value:g} does not lie among {request.domain}"
    return ""


def _grid(request: Request) -> Iterator[Batch]:
    if not request.options["values"]:
        _check_spacing(request.options, "grid")
    size = _grid_size(request)
    for classes in request.widths:
        rows = size ** max(1, classes)
        if classes and rows > MOST_GRID_ROWS:
            message = (
                f"grid: {size} values in {classes} classes make {rows} rows, "
                f"more than {MOST_GRID_ROWS}; give fewer values"
            )
            raise UsageError(message)
        make = partial(_grid_rows, request.options, classes)
        yield Batch(rows, classes, make, verbatim=True, saturate=False, distinct=True)


def _grid_rows(options: Mapping[str, Any], classes: int, first: int, last: int) -> Float64Array:
    given = options["values"]
    values = np.array(given, dtype=np.float64) if given else evenly_spaced(options)
    if not classes:
        return values[first:last]
    index = np.unravel_index(np.arange(first, last), (len(values),) * classes)
    return np.asarray(values[np.stack(index, axis=1)])


def _exhaustive(request: Request) -> Iterator[Batch]:
    first, last = region_ordinals(request)
    make = partial(_by_ordinal, request.format.name, first)
    yield Batch(last - first + 1, 0, make, verbatim=True)
    lowest, highest = region_bounds(request)
    extras = []
    if request.domain is Domain.LOGITS and lowest <= 0 <= highest:
        extras.append(-0.0)
    if request.options["special"] == "all":
        if request.format.has_infinity:
            extras += [end for end in (highest, lowest) if math.isinf(end)]
        extras.append(math.nan)
    if extras:
        yield batch_of(np.array(extras), verbatim=True)


def _by_ordinal(name: str, origin: int, first: int, last: int) -> Array:
    return from_ordinals(np.arange(origin + first, origin + last), name)


def _exhaustive_obstacle(request: Request) -> str:
    if request.format.bits > MOST_EXHAUSTIVE_BITS:
        return f"{request.format.name} has 2^{request.format.bits} values, too many to try them all"
    return region_obstacle("exhaustive", request)


_SPECIAL = "which of the format's values: finite ones, infinities, NaN, or all of them"
_SCALE = Option("scale", "real", "standard deviation of the ordinary logits", 2.0, minimum=0.0)

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
        _boundary,
        _boundary_obstacle,
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
            _SPACING,
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
            _SCALE,
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
            _SCALE,
            classes_option(2, 4),
        ),
        EVERY_LAYOUT,
        _low,
        _low_obstacle,
    ),
    Generator(
        "masked",
        "ordinary rows with one, half, all but one, and all classes at −inf (probability 0)",
        (rows_option(2, "ordinary rows to mask"), _SCALE, classes_option(2, 3, 5)),
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
        ),
        EVERY_LAYOUT,
        _explicit,
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
            _SPACING,
            classes_option(2, most=3),
        ),
        EVERY_LAYOUT,
        _grid,
        _grid_obstacle,
    ),
    Generator(
        "exhaustive",
        "every value of a dtype of up to 32 bits, or of a region of it",
        (
            Option("special", "choice", _SPECIAL, "finite", choices=("finite", "all")),
            *REGION_OPTIONS,
        ),
        frozenset({Layout.ELEMENTWISE}),
        _exhaustive,
        _exhaustive_obstacle,
    ),
)
