"""The reference: certified enclosures of the exact results of a case."""

from xentcheck.reference.arbiter import confirm, ends, exact
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
    "tiers_for",
]
