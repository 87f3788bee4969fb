"""What usual tests would have said of a finding."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UsualTest:
    """A test that people write, made on the input of a finding.

    Attributes:
        name: its name.
        passes: whether it passes on the witness; None: it was not made.
        reason: what was measured, or why it was not made.
        on_sweep: whether it passes on all of the rows of the finding's sweep that were tried, the
            witness not among them; None: it was not made on them.
        rows: how many rows of the sweep were tried.
    """

    name: str
    passes: bool | None
    reason: str = ""
    on_sweep: bool | None = None
    rows: int = 0
