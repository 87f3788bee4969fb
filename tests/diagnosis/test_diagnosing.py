"""From findings to causes: what a check says of a user's own loss."""

import json
from pathlib import Path

import pytest

import xentcheck
from tests.running import invoke
from xentcheck.model import Cause, Fault, Quantity, Report

LOSS = """
import numpy as np


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss(logits, labels):
    return -np.log(_softmax(logits)[np.arange(len(labels)), labels])


def gradient(logits, labels):
    p = _softmax(logits)
    p[np.arange(len(labels)), labels] -= 1
    return p
"""

CHECK = ("check", "my_loss.py:loss", "--loss", "softmax_cross_entropy")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "my_loss.py"
    path.write_text(LOSS)
    return path


@pytest.fixture(scope="module")
def report(own: Path) -> Report:
    return xentcheck.audit(f"{own}:loss", "softmax_cross_entropy")


def test_two_causes_explain_every_failing_row(report: Report) -> None:
    causes = {each.cause: each for each in report.diagnoses}
    assert set(causes) == {Cause.LOG_OF_SATURATED_PROBABILITY, Cause.ONE_MINUS_P_CANCELLATION}
    value = causes[Cause.LOG_OF_SATURATED_PROBABILITY]
    assert {(each.dtype, each.quantity) for each in value.explains} == {
        ("float32", Quantity.VALUE),
        ("float64", Quantity.VALUE),
    }
    for diagnosis in report.diagnoses:
        for each in diagnosis.explains:
            assert each.rows == each.examined == each.failing > 0


def test_the_remedy_is_proven_on_the_same_rows(report: Report) -> None:
    for diagnosis in report.diagnoses:
        assert diagnosis.remedy
        assert len(diagnosis.proofs) == 2
        for proof in diagnosis.proofs:
            assert proof.rows > 0
            assert proof.failing == 0
        assert all(known.fault is Fault.FORMULA for _, _, known in diagnosis.attainable)


def test_findings_bear_their_cause(report: Report) -> None:
    for finding in report.findings:
        if finding.kind.value in ("spurious-overflow", "spurious-underflow", "inaccurate"):
            expected = {
                Quantity.VALUE: Cause.LOG_OF_SATURATED_PROBABILITY,
                Quantity.GRADIENT: Cause.ONE_MINUS_P_CANCELLATION,
            }[finding.cell.quantity]
            assert finding.cause == expected.value


def test_the_report_is_the_same_for_any_number_of_workers(own: Path, report: Report) -> None:
    again = xentcheck.audit(f"{own}:loss", "softmax_cross_entropy", workers=2)
    assert json.loads(again.to_json())["diagnoses"] == json.loads(report.to_json())["diagnoses"]


def test_a_saved_report_keeps_the_causes(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    report.save(path)
    read = xentcheck.read_report(path)
    assert read.to_json() == report.to_json()
    assert [each.cause for each in read.diagnoses] == [each.cause for each in report.diagnoses]
    assert any(each.attainable is not None for each in read.measurements)


def test_check_prints_two_causes_on_one_screen(own: Path) -> None:
    done = invoke(*CHECK, cwd=own.parent, COLUMNS="100")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert len(lines) <= 45
    assert "2 causes" in lines
    assert sum(line.startswith("  proof") for line in lines) == 2
    assert "violations that no cause explains" not in done.stdout


def test_every_violation_is_behind_v(own: Path) -> None:
    done = invoke(*CHECK, "-v", cwd=own.parent)
    assert "25 violations, the gravest first" in done.stdout
    assert "2 causes" in done.stdout


def test_the_diagnosis_can_be_left_out(own: Path) -> None:
    done = invoke(*CHECK, "--no-diagnosis", "--format", "json", cwd=own.parent)
    document = json.loads(done.stdout)
    assert document["diagnoses"] == []
    assert all(each["cause"] is None for each in document["findings"])


def test_a_sound_loss_has_no_diagnosis() -> None:
    report = xentcheck.audit(
        "xentcheck.implementations.numpy.softmax:ce_log1p",
        "softmax_cross_entropy",
        gradient="xentcheck.implementations.numpy.softmax:_ce_log1p_gradient",
    )
    assert report.diagnoses == ()


def test_an_assertion_begins_with_the_causes(own: Path) -> None:
    """Each cause on lines of its own, before the violations."""
    with pytest.raises(AssertionError) as caught:
        xentcheck.assert_accurate(f"{own}:loss", "softmax_cross_entropy", dtypes=["float32"])
    lines = str(caught.value).splitlines()
    heading = next(at for at, line in enumerate(lines) if line.startswith("one-minus-p-canc"))
    assert lines[heading + 1].startswith("explains")
    assert any(line.startswith("instead") for line in lines[heading : heading + 8])
