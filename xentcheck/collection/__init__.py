"""What is collected of each cell while its cases go by, and what comes of it in the end."""

from xentcheck.collection.arbitration import Arbitration, content
from xentcheck.collection.closing import close
from xentcheck.collection.shown import Shown, gravity
from xentcheck.collection.tally import Tally, lost, measure, note, place_found, take, weigh
from xentcheck.collection.variants import compare
from xentcheck.model import HINTS

__all__ = [
    "HINTS",
    "Arbitration",
    "Shown",
    "Tally",
    "close",
    "compare",
    "content",
    "gravity",
    "lost",
    "measure",
    "note",
    "place_found",
    "take",
    "weigh",
]
