"""The reference: certified enclosures of the exact results of a case."""

from xentcheck.reference.arbiter import block_of, confirm, ends, exact, row_weights
from xentcheck.reference.element import Element
from xentcheck.reference.tiers import (
    Reference,
    Tier,
    disagreement,
    distinct_places,
    exact_component,
    exact_in_block,
    exact_of_block,
    few_distinct,
    row_parts,
    tiers_for,
)

__all__ = [
    "Element",
    "Reference",
    "Tier",
    "block_of",
    "confirm",
    "disagreement",
    "distinct_places",
    "ends",
    "exact",
    "exact_component",
    "exact_in_block",
    "exact_of_block",
    "few_distinct",
    "row_parts",
    "row_weights",
    "tiers_for",
]
