"""The reference: certified enclosures of what a case's results ought to be."""

from xentcheck.reference.engine import confirm, exact, supports_definition

__all__ = ["confirm", "exact", "supports_definition"]
