"""Inputs that depend on who computes: found by asking an implementation again and again.

What is tried on the way is search effort and counts for nothing; the few rows that are found are
collected like any others.
"""

from xentcheck.searching.climbing import climb
from xentcheck.searching.thresholds import thresholds
from xentcheck.searching.trials import Found, HaltedError, Trials, block_rows, joined

__all__ = ["Found", "HaltedError", "Trials", "block_rows", "climb", "joined", "thresholds"]
