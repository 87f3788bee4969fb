"""The stage of the diagnosis after an audit."""

import numpy as np
import pytest

from tests.running import invoke
from xentcheck.auditing import diagnose
from xentcheck.auditing.asking import rows_near
from xentcheck.model import Case, LabelKind


def test_a_fault_of_the_diagnosis_costs_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as ours, with the status of an internal error; the table is there."""

    def broken(*_: object) -> None:
        raise KeyError("epsilon")

    monkeypatch.setattr(diagnose, "diagnose", broken)
    done = invoke(
        "check",
        "xentcheck.implementations.numpy.softmax:ce_naive",
        "--loss",
        "softmax_cross_entropy",
        "--dtype",
        "float32",
        "--gradient",
        "none",
        "--workers",
        "1",
    )
    assert done.exit_code == 4
    assert "internal error: the diagnosis of" in done.stderr
    assert "spurious-overflow" in done.stdout


def test_rows_near_the_largest_number_are_made_without_a_warning() -> None:
    largest = np.full((1, 3), np.finfo(np.float64).max)
    case = Case("test", "given", "log_softmax", "float64", largest, LabelKind.NONE, None)
    near = rows_near(case)
    assert (near.logits[0] == largest).all()
    assert np.isfinite(near.logits).all()
