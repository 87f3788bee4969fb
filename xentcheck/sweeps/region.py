"""A region of a format's numbers. ``from``, ``to``, the domain and the format bound it."""

import math

from xentcheck.errors import UsageError
from xentcheck.floats import from_float64, ordinals
from xentcheck.model import Option
from xentcheck.sweeps.generator import DOMAIN_BOUNDS, Request

REGION_OPTIONS = (
    Option("from", "real", "lower end; the domain and the format bound it", -math.inf),
    Option("to", "real", "upper end; the domain and the format bound it", math.inf),
)


def region_bounds(request: Request) -> tuple[float, float]:
    """Return the lowest and highest number of the region in the domain; both may be infinite."""
    lowest, highest = DOMAIN_BOUNDS[request.domain]
    return max(request.options["from"], lowest), min(request.options["to"], highest)


def region_ordinals(request: Request) -> tuple[int, int]:
    """Return the first and last ordinal of the region, with its ends rounded to finite numbers."""
    most = request.format.max
    lowest, highest = region_bounds(request)
    ends = from_float64([max(lowest, -most), min(highest, most)], request.format.name)
    first, last = (int(each) for each in ordinals(ends))
    return first, last


def region_obstacle(generator: str, request: Request) -> str:
    """Say why the region has no finite number, or return "".

    Raises UsageError if ``from`` lies above ``to``.
    """
    first, last = request.options["from"], request.options["to"]
    if not first <= last:
        message = f"{generator}: from {first} lies above to {last}"
        raise UsageError(message)
    lowest, highest = DOMAIN_BOUNDS[request.domain]
    if first > highest or last < lowest:
        return f"nothing from {first:g} to {last:g} lies among {request.domain}"
    if max(first, -last) > request.format.max:
        return f"nothing from {first:g} to {last:g} is finite in {request.format.name}"
    return ""
