"""Generators that draw at random. Each has its own seeded streams and draws before rounding."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from xentcheck.deferred import np, npt
from xentcheck.errors import UsageError
from xentcheck.floats import from_ordinals
from xentcheck.model import Array, Float64Array, Option
from xentcheck.sweeps.generator import EVERY_LAYOUT, ROWS_ONLY, Batch, Generator, Request
from xentcheck.sweeps.options import classes_option, rows_option
from xentcheck.sweeps.region import REGION_OPTIONS, region_obstacle, region_ordinals
from xentcheck.sweeps.rows import MOST_REDUCED, Draws, Sampler, Series

_LOW_HALF = 0xFFFF_FFFF
_HALF = 32


def _standard_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.standard_normal(shape)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.uniform(-1.0, 1.0, shape)


def _standard_exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.standard_exponential(shape)


def _scaled(sample: Sampler, request: Request) -> Iterator[Batch]:
    series = Series(request.stream)
    for classes in request.widths:
        for scale in request.options["scale"]:
            draws = series.draws(request.options["rows"], classes, sample)
            make = partial(_moved, draws, scale, request.options["shift"])
            yield Batch(draws.rows, classes, make)


def _cycle(request: Request) -> Iterator[Batch]:
    """Yield one batch per length. A few rows repeat in each, so exact results stay cheap."""
    series = Series(request.stream)
    for classes in request.widths:
        draws = series.draws(request.options["period"], classes, _standard_normal)
        for scale in request.options["scale"]:
            make = partial(_spread, draws, scale, request.options["shift"])
            for rows in request.options["rows"]:
                yield Batch(rows, classes, make, period=draws.rows)


def _spread(draws: Draws, scale: float, shift: float, first: int, last: int) -> Array:
    """Do the same as `_moved`, with the second half of the rows four times as far apart."""
    numbers = draws.between(0, draws.rows)
    numbers = np.concatenate([numbers[: -(-draws.rows // 2)], 4.0 * numbers[-(-draws.rows // 2) :]])
    return scale * numbers[first:last] + shift


def _moved(draws: Draws, scale: float, shift: float, first: int, last: int) -> Array:
    return scale * draws.between(first, last) + shift


def _ulp_uniform(request: Request) -> Iterator[Batch]:
    sample = partial(_by_ordinal, request.format.name, *region_ordinals(request))
    series = Series(request.stream)
    for classes in request.widths:
        draws = series.draws(request.options["rows"], classes, sample)
        yield Batch(draws.rows, classes, draws.between, verbatim=True)


def _by_ordinal(
    name: str, first: int, last: int, rng: np.random.Generator, shape: tuple[int, ...]
) -> Array:
    """Draw numbers of the format between two ordinals, all equally likely."""
    steps = high_word(rng.integers(0, 1 << 64, shape, dtype=np.uint64), last - first + 1)
    # Steps of 2^63 and more wrap in the view, and the sum wraps back.
    positions = steps.view(np.int64)
    positions += np.int64(first)
    return from_ordinals(positions, name)


def high_word(draws: npt.NDArray[np.uint64], factor: int) -> npt.NDArray[np.uint64]:
    """Return the upper 64 of the 128 bits of each product; ``0 <= factor < 2^64``."""
    high, low = draws >> _HALF, draws & _LOW_HALF
    factor_high, factor_low = np.uint64(factor >> 32), np.uint64(factor) & _LOW_HALF
    # No sum exceeds 64 bits: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1. In place: blocks are large.
    upper = low * factor_low
    upper >>= _HALF
    upper += high * factor_low
    low *= factor_high
    low += upper & _LOW_HALF
    low >>= _HALF
    high *= factor_high
    upper >>= _HALF
    high += upper
    high += low
    return np.asarray(high)


def _wide(request: Request) -> Iterator[Batch]:
    """Yield rows of few distinct numbers, so that the exact result of a huge row stays cheap."""
    low, high, step = (request.options[name] for name in ("from", "to", "step"))
    if not low <= high:
        message = f"wide: from {low} lies above to {high}"
        raise UsageError(message)
    count = int((high - low) / step) + 1
    peak = high + request.options["peak"] if request.options["peak"] else None
    sample = partial(_on_levels, low, step, count, peak)
    series = Series(request.stream)
    for classes in request.widths:
        draws = series.draws(request.options["rows"], classes, sample)
        yield Batch(draws.rows, classes, draws.between)


def _on_levels(
    low: float,
    step: float,
    count: int,
    peak: float | None,
    rng: np.random.Generator,
    shape: tuple[int, ...],
) -> Float64Array:
    """Draw rows of ``count`` levels. If there is a peak, one class of each row is at the peak."""
    rows = low + step * rng.integers(0, count, shape).astype(np.float64)
    tops = rng.integers(0, shape[1], len(rows))
    if peak is not None:
        rows[np.arange(len(rows)), tops] = peak
    return rows


_SHIFT = Option("shift", "real", "added to every logit", 0.0)


def _distribution(name: str, summary: str, sample: Sampler) -> Generator:
    return Generator(
        name,
        summary,
        (
            Option("scale", "real", "the draws are multiplied by it", (1.0,), many=True),
            _SHIFT,
            rows_option(32, "rows of each scale and class count"),
            classes_option(2, 10),
        ),
        EVERY_LAYOUT,
        partial(_scaled, sample),
    )


DRAWN = (
    Generator(
        "ulp-uniform",
        "every number of the dtype in a region equally likely",
        (
            *REGION_OPTIONS,
            rows_option(64, "rows of each class count"),
            classes_option(2),
        ),
        EVERY_LAYOUT,
        _ulp_uniform,
        partial(region_obstacle, "ulp-uniform"),
    ),
    _distribution("normal", "normally distributed logits", _standard_normal),
    _distribution("uniform", "logits uniform on [−scale, scale]", _uniform),
    _distribution(
        "exponential",
        "exponentially distributed logits (a negative scale gives the long tail below)",
        _standard_exponential,
    ),
    Generator(
        "cycle",
        "a few normally distributed rows, with all their labels, over and over: as many rows as a "
        "long reduction takes, all at once; the last eighth are others, four times as far apart",
        (
            Option(
                "rows",
                "integer",
                "how many rows a reduction is of",
                (1, 255, 257, 4097),
                minimum=1,
                maximum=MOST_REDUCED,
                many=True,
            ),
            Option("period", "integer", "how many rows are drawn", 29, minimum=1, maximum=4096),
            Option("scale", "real", "the draws are multiplied by it", (1.0,), many=True),
            _SHIFT,
            classes_option(2),
        ),
        EVERY_LAYOUT,
        _cycle,
    ),
    Generator(
        "wide",
        "huge rows of few distinct logits, with a clear maximum or without",
        (
            classes_option(65_540),
            rows_option(1, "rows of each class count"),
            Option("from", "real", "lowest logit", -8.0),
            Option("to", "real", "highest ordinary logit", 8.0),
            Option("step", "real", "distance of neighbouring logits", 0.125, minimum=2.0**-20),
            Option("peak", "real", "how far one class stands above the others; 0: none", 0.0),
        ),
        ROWS_ONLY,
        _wide,
    ),
)
