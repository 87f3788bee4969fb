"""The reference: certified enclosures of what a case's results ought to be."""

from xentcheck.reference.arbiter import confirm, ends, exact, supports_definition
from xentcheck.reference.tiers import (
    Tier,
    Truth,
    disagreement,
    exact_component,
    row_parts,
    tiers_for,
)

__all__ = [
    "Tier",
    "Truth",
    "confirm",
    "disagreement",
    "ends",
    "exact",
    "exact_component",
    "row_parts",
    "supports_definition",
    "tiers_for",
]
