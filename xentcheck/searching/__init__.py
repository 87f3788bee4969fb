"""Search for inputs that depend on the implementation, by calling it again and again.

Rows that are only tried do not count in a report. The few rows that are found are measured like any
other rows.
"""

from xentcheck.searching.climbing import climb
from xentcheck.searching.thresholds import thresholds
from xentcheck.searching.trials import Found, HaltedError, Trials, block_rows, joined

__all__ = [
    "Found",
    "HaltedError",
    "Trials",
    "block_rows",
    "chosen",
    "climb",
    "joined",
    "thresholds",
]
