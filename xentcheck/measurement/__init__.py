"""Calling implementations, scoring their results, and summing up each cell."""

from xentcheck.measurement.candidate import Candidate, alone, gravity
from xentcheck.measurement.collecting import lost, measure, scores_of, take, weigh
from xentcheck.measurement.confirmation import Arbitration, content
from xentcheck.measurement.contests import Contestant, ContestTally, Side, decided
from xentcheck.measurement.failing import FailingBlock, FailingRows, extent
from xentcheck.measurement.invariants import Questions
from xentcheck.measurement.rating import Aim, Rated, rate
from xentcheck.measurement.scoring import Scores
from xentcheck.measurement.summary import close
from xentcheck.measurement.tally import Tally, note, place_found
from xentcheck.measurement.variants import compare_variants

__all__ = [
    "Aim",
    "Arbitration",
    "Candidate",
    "ContestTally",
    "Contestant",
    "FailingBlock",
    "FailingRows",
    "Questions",
    "Rated",
    "Scores",
    "Side",
    "Tally",
    "alone",
    "close",
    "compare_variants",
    "content",
    "decided",
    "extent",
    "gravity",
    "lost",
    "measure",
    "note",
    "place_found",
    "rate",
    "scores_of",
    "take",
    "weigh",
]
