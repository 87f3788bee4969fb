"""The stage of the diagnosis after an audit."""

import pytest

from tests.running import invoke
from xentcheck.auditing import diagnose


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
