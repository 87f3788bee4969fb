"""Whether a loss fails at soft labels only."""

import numpy as np

from xentcheck.auditing.check import Checking
from xentcheck.auditing.run import Options, audit_config
from xentcheck.floats import to_float64
from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.model import Report, Witness


def explained(made: Checking, report: Report, options: Options) -> str:
    """What the labels have to do with the violations of a check; "" for nothing.

    Where a soft label shows every violation, the check is done again with hard ones alone, in the
    same way.
    """
    if made.hard is None or not only_soft(report):
        return ""
    again = audit_config(made.hard, options)
    return HARD_ALONE.format(option="--targets ends") if outcome(again) is Outcome.PASSED else ""


HARD_ALONE = (
    "all failures are at soft labels: with hard ones alone, 0 and 1, it is within the limits. If "
    "it is meant for those, check it with {option}"
)


def only_soft(report: Report) -> bool:
    """Whether there are violations, and each is shown by a soft label."""
    if report.interrupted or report.uncertified or not report.violations:
        return False
    return all(_soft(each.finding.witness) for each in report.violations)


def _soft(witness: Witness | None) -> bool:
    """Whether a label of a witness is neither 0 nor 1."""
    if witness is None or witness.labels is None or witness.labels.dtype.kind in "iu":
        return False
    labels = to_float64(witness.labels)
    if witness.parameters.get("log_target"):
        labels = np.exp(labels)
    return bool(((labels != 0) & (labels != 1)).any())
