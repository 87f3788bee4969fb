"""Tolerances and limits of results, and the configuration that holds them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from xentcheck.model.grades import Grade
from xentcheck.model.implementation import Target
from xentcheck.model.inputs import Sweep
from xentcheck.model.kinds import Kind
from xentcheck.model.results import Cell


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a result may be off before it counts as inaccurate.

    A result meets the tolerance if it meets both ``max_ulp`` and ``max_excess_bits``, or any of the
    bounds that begin with ``or_``. Excess bits are bits lost beyond what the condition number of
    the problem explains.

    Attributes:
        max_ulp: largest error in ulps.
        or_abs: largest absolute error; 0: no such bound.
        or_rel: largest relative error; 0: no such bound.
        times_condition: multiply the bounds in ulps by the condition number, if that is above 1.
        max_excess_bits: largest number of excess bits.
        p99_ulp: largest 99th percentile of a cell's errors, in ulps: one row in a hundred may have
            a larger error.
        or_excess_bits: largest number of excess bits, as an alternative to the bounds in ulps.
        max_norm: largest error of a cell relative to the scale of its row (`Measurement.max_norm`).
        min_grade: the worst grade of a cell that passes; None: any.
    """

    max_ulp: float = 4.0
    or_abs: float = 0.0
    or_rel: float = 0.0
    times_condition: bool = False
    max_excess_bits: float = math.inf
    p99_ulp: float = math.inf
    or_excess_bits: float = -math.inf
    max_norm: float = math.inf
    min_grade: Grade | None = None

    @property
    def of_scale(self) -> bool:
        """Whether errors are bounded by the scale of their row alone, not in ulps or bits.

        Then a wrong sign is an error like any other.
        """
        bounded = min(self.max_ulp, self.max_excess_bits) < math.inf
        return not bounded and (self.min_grade is not None or self.max_norm < math.inf)


OTHER_BOUNDS = ("times_condition", "or_excess_bits", "or_abs", "or_rel")
"""The fields of a tolerance that can allow more ulps than `max_ulp`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The bounds of a gate for the cells that its patterns (fnmatch) select.

    ``allow`` has kinds that are not violations there. ``forbid`` has notes that are violations.
    ``against`` has the names of peers: no row may be worse than theirs. If the limit is
    ``relative``, the peers are its only bounds.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    allow: frozenset[Kind] = frozenset()
    forbid: frozenset[Kind] = frozenset()
    loss: str = "*"
    implementation: str = "*"
    dtype: str = "*"
    quantity: str = "*"
    sweep: str = "*"
    path: str = ""  # its place in the configuration
    line: int = field(default=0, compare=False)
    against: tuple[str, ...] = ()
    relative: bool = False

    @property
    def batch_invariant(self) -> bool:
        """Whether no bit of a row may change with its batch: `Kind.BATCH_VARIANT` is forbidden."""
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
    """A checked configuration.

    Attributes:
        sweeps: the sweeps.
        limits: the limits of a gate; empty for a survey.
        targets: users' implementations.
        seed: the seed of all random numbers.
        path: the path of its file, "" for none.
        baseline: the path of the baseline file, which lists what is tolerated today; "" for none.
        document: the content of the file.
        allow_skips: a gate passes although something that is named cannot be audited.
        invariants: names of the invariants that are asked; None: all that a loss has, in a survey
            one for each sweep.
    """

    sweeps: tuple[Sweep, ...]
    limits: tuple[Limit, ...] = ()
    targets: tuple[Target, ...] = ()
    seed: int = 0
    path: str = ""
    baseline: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    allow_skips: bool = False
    invariants: tuple[str, ...] | None = None

    def limit_for(self, cell: "Cell") -> Limit | None:
        """The limit that governs a cell: the last one that selects it."""
        return next((limit for limit in reversed(self.limits) if limit.selects(cell)), None)

    def peers(self, loss: str, sweep: str) -> frozenset[str]:
        """The names of the peers that the limits of a sweep of a loss name."""
        return frozenset(
            name
            for limit in self.limits
            for name in limit.against
            if fnmatchcase(loss, limit.loss) and fnmatchcase(sweep, limit.sweep)
        )


SURVEY_TOLERANCE: Tolerance = Tolerance()
"""The tolerance where no limit governs a cell."""
