"""From findings to causes: what a check says of a user's own loss."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import xentcheck
from tests.running import invoke
from xentcheck.auditing import diagnose
from xentcheck.model import Cause, Fault, Kind, Quantity, Report

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


def test_every_fault_is_shown_by_a_small_witness(report: Report) -> None:
    small = [each for each in report.findings if each.original is not None]
    assert len(small) >= 15
    for finding in small:
        assert finding.witness is not None
        assert finding.witness.logits.size <= 3
        assert finding.witness.scored is not None


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


def test_every_violation_is_behind_vv(own: Path) -> None:
    done = invoke(*CHECK, "-vv", cwd=own.parent)
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


SHARED = """
import numpy as np


def largest_of_all_rows(logits, labels):
    z = logits - logits.max()
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
"""


def test_a_shift_that_all_rows_share_is_a_wrong_shift(tmp_path: Path) -> None:
    """A form that is known by the call that a row was part of, not by the row alone."""
    path = tmp_path / "shared.py"
    path.write_text(SHARED)
    report = xentcheck.audit(f"{path}:largest_of_all_rows", "softmax_cross_entropy")
    first = report.diagnoses[0]
    assert first.cause is Cause.WRONG_SHIFT
    assert "max of all rows" in first.evidence[0]
    assert all(each.rows / each.failing > 0.95 for each in first.explains)
    dependent = [each for each in report.findings if each.kind is Kind.ROW_DEPENDENT]
    assert dependent
    assert {each.cause for each in dependent} == {Cause.WRONG_SHIFT.value}


NAIVE = """
import numpy as np


def naive(logits, labels):
    e = np.exp(logits)
    return -np.log((e / e.sum(axis=1, keepdims=True))[np.arange(len(e)), labels])


def series(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    t = np.exp(z).sum(axis=1) - 1
    return t - t * t / 2 + t**3 / 3 - z[np.arange(len(z)), labels]
"""


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder with forms, and a file of one row on which they fail."""
    (tmp_path / "few.py").write_text(NAIVE)
    logits = np.array([[90.5, 0, 3]], dtype=np.float32)
    np.savez(tmp_path / "row.npz", logits=logits, labels=np.array([1]))
    return tmp_path


def test_one_failing_row_is_enough_for_more_of_them_are_asked(few: Path) -> None:
    words = ("check", "few.py:naive", "--loss", "softmax_cross_entropy", "--inputs", "row.npz")
    done = invoke(*words, "--format", "json", cwd=few)
    (diagnosis,) = json.loads(done.stdout)["diagnoses"]
    assert diagnosis["cause"] == "exp-overflow"
    assert [each["failing"] for each in diagnosis["explains"]] == [1]
    assert re.search(
        r"on 1 of 1 failing rows, and on (\d+) of \1 that were", diagnosis["evidence"][0]
    )


def test_what_no_form_explains_is_described_by_experiments(few: Path) -> None:
    report = xentcheck.audit(f"{few}/few.py:series", "softmax_cross_entropy", dtypes="float32")
    (diagnosis,) = report.diagnoses
    assert diagnosis.cause is Cause.UNKNOWN
    assert any("ln 2^24: 1 absorbs exp(−x) in float32" in each for each in diagnosis.evidence)


def test_a_large_survey_makes_no_experiments(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would take longer than the audit; a check of one implementation makes them."""
    monkeypatch.setattr(diagnose, "MOST_DESCRIBED", 0)
    report = xentcheck.audit(f"{few}/few.py:series", "softmax_cross_entropy", dtypes="float32")
    (diagnosis,) = report.diagnoses
    assert diagnosis.cause is Cause.UNKNOWN
    assert not diagnosis.evidence
