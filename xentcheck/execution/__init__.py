"""Where foreign code runs: the one ``try`` round it, and what is checked about how it behaves."""

from xentcheck.execution.calls import Incident, Outcomes, observe, unsupported

__all__ = ["Incident", "Outcomes", "observe", "unsupported"]
