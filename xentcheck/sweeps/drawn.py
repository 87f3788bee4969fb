"""Generators that draw at random; each from its own seeded stream, before any rounding."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from xentcheck.errors import UsageError
from xentcheck.floats import from_float64, from_ordinals, ordinals, to_float64
from xentcheck.model import Float64Array, Option
from xentcheck.sweeps.generator import (
    DOMAIN_BOUNDS,
    EVERY_LAYOUT,
    ROWS_ONLY,
    Batch,
    Generator,
    Request,
)
from xentcheck.sweeps.systematic import classes_option, rows_option

Sampler = Callable[[np.random.Generator, tuple[int, ...]], Float64Array]


def _shape(rows: int, classes: int) -> tuple[int, ...]:
    return (rows, classes) if classes else (rows,)


def _standard_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.standard_normal(shape)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.uniform(-1.0, 1.0, shape)


def _standard_exponential(rng: np.random.Generator, shape: tuple[int, ...]) -> Float64Array:
    return rng.standard_exponential(shape)


def _scaled(sample: Sampler, request: Request) -> Iterator[Batch]:
    for classes in request.widths:
        for scale in request.options["scale"]:
            draws = sample(request.rng, _shape(request.options["rows"], classes))
            yield Batch(scale * draws + request.options["shift"])


def _ulp_uniform(request: Request) -> Iterator[Batch]:
    target = request.format
    lowest, highest = DOMAIN_BOUNDS[request.domain]
    lowest = max(request.options["from"], lowest, -target.max)
    highest = min(request.options["to"], highest, target.max)
    first, last = (int(each) for each in ordinals(from_float64([lowest, highest], target.name)))
    span = last - first + 1
    for classes in request.widths:
        shape = _shape(request.options["rows"], classes)
        draws = request.rng.integers(0, 1 << 64, shape, dtype=np.uint64)
        # Float64's ordinals span more than 2^63, so the scaling is done in Python's integers.
        steps = [first + (int(draw) * span >> 64) for draw in draws.ravel()]
        rows = to_float64(from_ordinals(np.array(steps, dtype=np.int64), target.name))
        yield Batch(rows.reshape(shape), verbatim=True)


def _ulp_uniform_obstacle(request: Request) -> str:
    first, last = request.options["from"], request.options["to"]
    if not first <= last:
        message = f"ulp-uniform: from {first} lies above to {last}"
        raise UsageError(message)
    lowest, highest = DOMAIN_BOUNDS[request.domain]
    if first > highest or last < lowest:
        return f"nothing from {first:g} to {last:g} lies among {request.domain}"
    if max(first, -last) > request.format.max:
        return f"nothing from {first:g} to {last:g} is finite in {request.format.name}"
    return ""


def _wide(request: Request) -> Iterator[Batch]:
    """Rows of few distinct numbers, so that the exact result of a huge row stays cheap."""
    low, high, step = (request.options[name] for name in ("from", "to", "step"))
    if not low <= high:
        message = f"wide: from {low} lies above to {high}"
        raise UsageError(message)
    levels = low + step * np.arange(int((high - low) / step) + 1)
    for classes in request.widths:
        rows = levels[request.rng.integers(0, len(levels), (request.options["rows"], classes))]
        tops = request.rng.integers(0, classes, len(rows))
        if request.options["peak"]:
            rows[np.arange(len(rows)), tops] = high + request.options["peak"]
        yield Batch(rows)


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
            Option("from", "real", "lower end; the domain and the format bound it", -np.inf),
            Option("to", "real", "upper end; the domain and the format bound it", np.inf),
            rows_option(64, "rows of each class count"),
            classes_option(2),
        ),
        EVERY_LAYOUT,
        _ulp_uniform,
        _ulp_uniform_obstacle,
    ),
    _distribution("normal", "normally distributed logits", _standard_normal),
    _distribution("uniform", "logits uniform on [−scale, scale]", _uniform),
    _distribution(
        "exponential",
        "exponentially distributed logits (a negative scale gives the long tail below)",
        _standard_exponential,
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
