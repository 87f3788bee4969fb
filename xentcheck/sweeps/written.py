"""Rows that the user writes down, in full or as a grid, and all numbers of a dtype."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UsageError
from xentcheck.floats import from_ordinals
from xentcheck.model import Array, Domain, Float64Array, LabelKind, Layout
from xentcheck.sweeps.generator import DOMAIN_BOUNDS, Batch, Request, batch_of
from xentcheck.sweeps.options import check_spacing, evenly_spaced
from xentcheck.sweeps.region import region_bounds, region_obstacle, region_ordinals

MOST_GRID_ROWS = 1 << 16  # largest number of rows of a grid over classes

MOST_EXHAUSTIVE_BITS = 32  # widest format that is swept value by value


def explicit(request: Request) -> Iterator[Batch]:
    """Yield the rows that the options list, with their labels if there are any."""
    given = [
        list(row) if isinstance(row, list | tuple) else row for row in request.options["values"]
    ]
    labels = _written_labels(request)
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
    for row, label in zip(rows, labels, strict=False):
        if np.ndim(label) and np.size(label) != row.shape[-1]:
            message = f"explicit: a distribution of {np.size(label)} for {row.shape[-1]} classes"
            raise UsageError(message)
    start = 0
    for row, count in zip(rows, counts, strict=True):
        own = np.array(labels[start : start + count]) if labels else None
        start += count
        yield batch_of(row, verbatim=True, saturate=False, labels=own)


def _written_labels(request: Request) -> Sequence[Any]:
    """Return the labels of the kind that the loss takes here; none if another kind is given."""
    match request.label_kind:
        case LabelKind.TARGET if request.options["targets"]:
            labels: Sequence[Any] = request.options["targets"]
        case LabelKind.DISTRIBUTION:
            labels = request.options["distributions"]
            if labels and not isinstance(labels[0], list | tuple):
                labels = (labels,)
        case _:
            labels = request.options["labels"]
    return labels


def _grid_size(request: Request) -> int:
    return len(request.options["values"]) or int(request.options["points"])


def grid_obstacle(request: Request) -> str:
    """Name the first value or end of the grid outside the domain, or return ""."""
    lowest, highest = DOMAIN_BOUNDS[request.domain]
    ends = (request.options["from"], request.options["to"])
    for value in request.options["values"] or ends:
        if value < lowest or value > highest:
            return f"{value:g} does not lie among {request.domain}"
    return ""


def grid(request: Request) -> Iterator[Batch]:
    """Yield every combination of the values over the classes."""
    if not request.options["values"]:
        check_spacing(request.options, "grid")
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


def exhaustive(request: Request) -> Iterator[Batch]:
    """Yield every number of the region, then −0 and special values that apply."""
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


def exhaustive_obstacle(request: Request) -> str:
    """Say why the region has too many numbers or none, or return ""."""
    if request.format.bits > MOST_EXHAUSTIVE_BITS:
        return f"{request.format.name} has 2^{request.format.bits} values, too many to try them all"
    return region_obstacle("exhaustive", request)
