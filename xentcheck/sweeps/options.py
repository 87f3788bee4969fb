"""Options that several generators share."""

from collections.abc import Mapping
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UsageError
from xentcheck.model import Float64Array, Option

MOST_ROWS = 1 << 32  # largest number of rows of one input; more is a typing error

MOST_POINTS = 1_000_000  # largest number of evenly spaced values

MOST_CLASSES = 1 << 22  # largest class count


def classes_option(*default: int, least: int = 1, most: int = MOST_CLASSES) -> Option:
    """Make the option of class counts, which every generator of rows has."""
    doc = "class counts (ignored by elementwise losses)"
    return Option("classes", "integer", doc, default, minimum=least, maximum=most, many=True)


def rows_option(default: int, doc: str) -> Option:
    """Make the option that sets the number of rows."""
    return Option("rows", "integer", doc, default, minimum=1, maximum=MOST_ROWS)


def evenly_spaced(options: Mapping[str, Any]) -> Float64Array:
    """Return ``points`` numbers from ``from`` to ``to``, by equal steps or (``log``) ratios."""
    first, last, points = (options[name] for name in ("from", "to", "points"))
    if options["spacing"] == "linear":
        return np.linspace(first, last, points)
    magnitudes = np.geomspace(abs(first), abs(last), points)
    return np.asarray(np.copysign(magnitudes, first))


def check_spacing(options: Mapping[str, Any], place: str) -> None:
    """Refuse equal ratios if the two ends are not of one sign; raises UsageError."""
    first, last = options["from"], options["to"]
    if options["spacing"] == "log" and not first * last > 0:
        message = (
            f"{place}: logarithmic spacing from {first} to {last} would cross or touch zero; "
            "give both ends one sign, or use spacing: linear"
        )
        raise UsageError(message)


SPACING = Option(
    "spacing", "choice", "equal steps or equal ratios", "linear", choices=("linear", "log")
)

SCALE = Option("scale", "real", "standard deviation of the ordinary logits", 2.0, minimum=0.0)
