"""Calling implementations, scoring their results, and summing up each cell."""

from xentcheck.measurement.candidate import Candidate, gravity
from xentcheck.measurement.collecting import lost, measure, take, weigh
from xentcheck.measurement.confirmation import Arbitration, content
from xentcheck.measurement.invariants import Questions
from xentcheck.measurement.summary import close
from xentcheck.measurement.tally import Tally, note, place_found
from xentcheck.measurement.variants import compare_variants

__all__ = [
    "Arbitration",
    "Candidate",
    "Questions",
    "Tally",
    "close",
    "compare_variants",
    "content",
    "gravity",
    "lost",
    "measure",
    "note",
    "place_found",
    "take",
    "weigh",
]
