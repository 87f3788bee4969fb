"""The command that shows a finding again."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from xentcheck.floats import to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import NO_LOSS
from xentcheck.model import (
    ADAPTIVE,
    SHRUNK,
    UNREACHABLE,
    Array,
    Cell,
    Finding,
    Kind,
    Report,
    Witness,
    escaped,
)
from xentcheck.model.kinds import OF_CALLS
from xentcheck.report.words.numbers import written

_LONGEST_REPLAY = 64  # logits that a pasted command line may have


def replay(report: Report, finding: Finding, most: float = math.inf) -> list[str]:
    """The words of a command that shows a finding again.

    A finding without a witness has no command, and neither has one that needs more than ``most``
    numbers.

    The command has the input as numbers that read back exactly. If the input is long, or if one row
    is not enough to show the finding, the command names the row of the sweep instead. That works
    only for sweeps that can be generated again: those of a configuration file or of `check`.
    """
    cell, witness = finding.cell, finding.witness
    origin = report.origins.get(f"{cell.loss} {cell.implementation}")
    if witness is None or origin == UNREACHABLE:
        return []
    if cell.loss == NO_LOSS:
        return _without_loss(report, cell, origin or ())
    command = ["xentcheck", "probe", "--loss", cell.loss]
    company = takes_company(report, finding)
    row = _row(report, cell, witness) if company or witness.logits.size > _LONGEST_REPLAY else []
    if row:
        command += [*row, "--block"] if company else row
    elif witness.logits.size > most:
        return []
    else:
        command += _numbers(witness)
    command += ["--dtype", cell.dtype]
    if finding.kind is Kind.TIMED_OUT and report.timeout_s is not None:
        command += ["--timeout", written(report.timeout_s)]
    if finding.kind is Kind.INCONSISTENT and "@" in cell.implementation:  # it needs both variants
        both = (cell.implementation.rpartition("@")[0], cell.implementation)
        return command + [word for name in both for word in ("--implementation", name)]
    named = ("--implementation", escaped(cell.implementation))
    return [*command, *(origin or named)]


def _without_loss(report: Report, cell: Cell, origin: Sequence[str]) -> list[str]:
    """The words of the check again, in the dtype of the finding: no probe knows the invariants."""
    named = list(zip(origin[::2], origin[1::2], strict=False))
    words = ["xentcheck", "check", *(text for option, text in named[:1])]
    words += ["--invariants", ",".join(report.config.get("invariants", ()))]
    words += [word for pair in named[1:] for word in pair]
    words += ["--dtype", cell.dtype]
    return words if not report.seed else [*words, "--seed", str(report.seed)]


def takes_company(report: Report, finding: Finding) -> bool:
    """Whether a finding needs the other rows of its call.

    That is so if the finding concerns a whole call, or if some row of the same function, in any
    variant, depends on other rows.
    """
    return finding.kind in OF_CALLS or _function(finding.cell) in _dependent(report)


def _function(cell: Cell) -> tuple[str, str, str]:
    return (cell.loss, cell.implementation.partition("@")[0], cell.dtype)


@functools.lru_cache(maxsize=1)
def _dependent(report: Report) -> frozenset[tuple[str, str, str]]:
    """The functions with a row whose result depends on other rows or changes between calls."""
    whose = (Kind.ROW_DEPENDENT, Kind.NON_DETERMINISTIC, Kind.BATCH_VARIANT)
    return frozenset(_function(each.cell) for each in report.findings if each.kind in whose)


def _row(report: Report, cell: Cell, witness: Witness) -> list[str]:
    """The words that name a row of a sweep; none if the row cannot be generated again.

    A sweep cannot generate rows that a search found, or inputs that were made smaller.
    """
    if witness.generator in (*ADAPTIVE, SHRUNK):
        return []
    config = report.config
    seed = config.get("seed", 0)
    words: list[str] = []
    match config.get("command"):
        case "check" if config.get("inputs"):  # the user's own rows are not in a named sweep
            return []
        case "check":
            words += ["--row", f"standard:{cell.sweep}:{witness.row}"]
            kind, kinds = config.get("label_kind"), LOSSES[cell.loss].label_kinds
            if kind != kinds[0]:
                words += ["--label-kind", str(kind)]
            if config.get("targets", "all") != "all":
                words += ["--targets", str(config["targets"])]
            for name, value in config.get("parameters", {}).items():
                words += ["--param", f"{name}={_given(value)}"]
            seed = 0
        case "probe":
            return list(config.get("row", ()))
        case _ if report.path:
            words += ["--row", f"{report.path}:{cell.sweep}:{witness.row}"]
    if not words or report.uncertified:  # rows that were given up have no row numbers
        return []
    return words if report.seed == seed else [*words, "--seed", str(report.seed)]


def _numbers(witness: Witness) -> list[str]:
    """The words that give an input as numbers."""
    words = [f"--logits={_joined(witness.logits)}"]
    labels = witness.labels
    if labels is not None:
        # --label: classes, or one target; --labels: a number for every class or element
        word = "--label" if labels.ndim == 0 or labels.dtype.kind in "iu" else "--labels"
        words.append(f"{word}={_joined(labels)}")
    for name, value in witness.parameters.items():
        words += ["--param", f"{name}={_given(value)}"]
    return words


def _given(value: Any) -> str:
    """A parameter's value as the text of an option."""
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, np.ndarray):
        return _joined(value)
    return ",".join(map(_given, value)) if isinstance(value, list | tuple) else written(value)


def _joined(values: Array) -> str:
    if values.ndim == 2:
        return ";".join(map(_joined, values))
    if values.dtype.kind in "iu":
        return ",".join(map(str, np.atleast_1d(values).tolist()))
    return ",".join(map(written, np.atleast_1d(to_float64(values)).tolist()))
