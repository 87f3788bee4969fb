"""The arguments of the call that reproduces a finding."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck import registry
from xentcheck.errors import TargetError
from xentcheck.execution import open_target
from xentcheck.implementations.user import target_named
from xentcheck.losses import LOSSES
from xentcheck.losses.parameters import passed
from xentcheck.model import (
    ADAPTIVE,
    SHRUNK,
    Array,
    Cell,
    Finding,
    Implementation,
    Layout,
    ParameterKind,
    Quantity,
    Report,
    Sweep,
    Witness,
    reduces,
)
from xentcheck.report import words
from xentcheck.sweeps import fitted
from xentcheck.sweeps.assembly import located

NATIVE = ("float16", "float32", "float64")
"""The dtypes that NumPy itself can load."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """The arguments of an implementation by name. Arrays have an axis of rows.

    ``place`` is the index of the shown number in the result.
    """

    given: Mapping[str, Any]
    place: tuple[int, ...]

    @property
    def arrays(self) -> dict[str, Array]:
        """The arguments that are arrays."""
        return {name: each for name, each in self.given.items() if isinstance(each, np.ndarray)}


def given_to(
    report: Report, finding: Finding, witness: Witness, sweeps: Sequence[Sweep], known: "Known"
) -> Given:
    """Return the arguments that reproduce a finding: the witness, or the block that it was in.

    Args:
        report: the report that has the finding.
        finding: the finding.
        witness: its witness.
        sweeps: the sweeps of the audit, to find the block. Without them it is the row alone.
        known: finds the implementations of the report.
    """
    cell = finding.cell
    implementation, _ = known.of(cell)
    loss = LOSSES[cell.loss]

    def passing(computed: Mapping[str, Any]) -> Mapping[str, Any]:
        return computed if implementation is None else passed(loss, implementation, computed)

    parameters = passing(witness.parameters)
    block = witness.logits.ndim == (1 if loss.layout is Layout.ELEMENTWISE else 2)
    if reduces(witness.parameters) or block:
        given = {"logits": witness.logits, "labels": witness.labels, **parameters}
        one = reduces(witness.parameters) and cell.quantity is Quantity.VALUE
        row: tuple[int, ...] = () if one else (witness.place,)
    else:
        of = {each.name: each for each in sweeps}.get(cell.sweep)
        fitting = None if of is None else fitted(of, loss)[0]
        # the sweep does not have a row that a search found, or that was made smaller
        found = witness.generator in (*ADAPTIVE, SHRUNK)
        if fitting is not None and not found and words.takes_company(report, finding):
            case, place = located(fitting, loss, cell.dtype, report.seed, witness.row)
            given = {"logits": case.logits, "labels": case.labels, **passing(case.parameters)}
            row = (place,)
        else:
            labels = None if witness.labels is None else witness.labels[np.newaxis]
            given = {"logits": witness.logits[np.newaxis], "labels": labels}
            for name, value in parameters.items():
                declared = loss.parameter(name)
                by_row = declared is not None and declared.kind == ParameterKind.ROW_MATRIX
                array = isinstance(value, np.ndarray) and by_row
                given[name] = value[np.newaxis] if array else value
            row = (0,)
    data = {name: given.pop(name) for name in ("logits", "labels")}
    given = {**{name: each for name, each in data.items() if each is not None}, **given}
    return Given(given, row if witness.index is None else (*row, witness.index))


@dataclass(slots=True, eq=False)
class Known:
    """The implementations of a report. Users' own are opened on first use."""

    report: Report
    folder: Path  # where the scripts are written
    _registered: dict[tuple[str, str], Implementation] = field(default_factory=dict)
    _opened: dict[tuple[str, ...], tuple[Implementation, str] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._registered = {(each.loss, each.name): each for each in registry.implementations()}

    def of(self, cell: Cell) -> tuple[Implementation | None, str]:
        """Return the implementation (None: not found), and the gradient found beside it."""
        words = self.report.origins.get(f"{cell.loss} {cell.implementation}")
        if not words:
            return self._registered.get((cell.loss, cell.implementation)), ""
        key = (cell.loss, *words)
        if key not in self._opened:
            self._opened[key] = None
            with contextlib.suppress(TargetError):
                self._opened[key] = open_target(target_named(cell.loss, words))
        return self._opened[key] or (None, "")
