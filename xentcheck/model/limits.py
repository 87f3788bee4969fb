"""What is asked of results, and the configuration that says so."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from xentcheck.model.implementation import Target
from xentcheck.model.inputs import Sweep
from xentcheck.model.kinds import Kind
from xentcheck.model.results import Cell


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a result may be off before it counts as inaccurate.

    Met in ulps (``max_ulp``, and no more than ``max_excess_bits`` beyond what the problem's
    condition number explains) or, where they are given, in absolute or relative error, or by having
    no more than ``or_excess_bits``. With
    ``times_condition`` the ulps are multiplied by the condition number where that is above 1.
    ``p99_ulp`` is for a cell: of a hundred rows, one may be farther off than that.
    """

    max_ulp: float = 4.0
    or_abs: float = 0.0
    or_rel: float = 0.0
    times_condition: bool = False
    max_excess_bits: float = math.inf
    p99_ulp: float = math.inf
    or_excess_bits: float = -math.inf


OTHER_BOUNDS = ("times_condition", "or_excess_bits", "or_abs", "or_rel")
"""The fields of a tolerance that allow more ulps than `max_ulp`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a gate allows in the cells its patterns (fnmatch) select.

    ``allow`` are kinds that are no violation there, ``forbid`` notes that are one.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    allow: frozenset[Kind] = frozenset()
    forbid: frozenset[Kind] = frozenset()
    loss: str = "*"
    implementation: str = "*"
    dtype: str = "*"
    quantity: str = "*"
    sweep: str = "*"
    path: str = ""  # where it stands in the configuration
    line: int = field(default=0, compare=False)

    @property
    def batch_invariant(self) -> bool:
        """Whether a row may not change with its batch at all: `Kind.BATCH_VARIANT` is forbidden."""
        return Kind.BATCH_VARIANT in self.forbid

    def selects(self, cell: "Cell") -> bool:
        """Whether all five patterns match the cell."""
        return (
            fnmatchcase(cell.loss, self.loss)
            and fnmatchcase(cell.implementation, self.implementation)
            and fnmatchcase(cell.dtype, self.dtype)
            and fnmatchcase(cell.quantity.value, self.quantity)
            and fnmatchcase(cell.sweep, self.sweep)
        )


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. ``limits`` empty: a survey. ``document`` is what the file said.

    ``baseline`` is the path of the file that says what is tolerated today, "" for none. With
    ``allow_skips`` what is named and cannot be audited fails no gate.
    """

    sweeps: tuple[Sweep, ...]
    limits: tuple[Limit, ...] = ()
    targets: tuple[Target, ...] = ()
    seed: int = 0
    path: str = ""
    baseline: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    allow_skips: bool = False

    def limit_for(self, cell: "Cell") -> Limit | None:
        """The limit that governs a cell: the last one that selects it."""
        return next((limit for limit in reversed(self.limits) if limit.selects(cell)), None)


SURVEY_TOLERANCE = Tolerance()
