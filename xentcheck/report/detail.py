"""How much of a report the terminal shows."""

from enum import IntEnum


class Detail(IntEnum):
    """How much of a report the terminal shows. Each has all that the ones before it have."""

    VERDICT = -1
    SCREEN = 0
    CELLS = 1
    FINDINGS = 2
