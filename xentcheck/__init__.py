"""xentcheck: a numerical-stability auditor for cross-entropy losses and what they are made of."""

__version__ = "0.1.0"
