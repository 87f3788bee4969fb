"""The loop: what is computed, shared, skipped, found, gated and survived."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from xentcheck import audit as auditing
from xentcheck import config
from xentcheck.audit import audit
from xentcheck.errors import UncertifiedError, UnknownNameError, UsageError
from xentcheck.model import (
    Implementation,
    Kind,
    LabelKind,
    Limit,
    Quantity,
    Tolerance,
)
from xentcheck.report import document

SWEEP = """
seed: 1
sweeps:
  small:
    losses: softplus
    dtypes: [float32]
    implementations: [NAMES]
    inputs:
      - {generator: explicit, values: [-100, -20, -1, 0, 1, 20, 100]}
"""


def configured(*names, limits=(), text=SWEEP):
    loaded = config.loads(text.replace("NAMES", ", ".join(names or ("mine",))))
    return dataclasses.replace(loaded, limits=tuple(limits))


def softplus(x):
    wide = x.astype(np.float64)
    return (np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))).astype(x.dtype)


def sigmoid(x):
    wide = x.astype(np.float64)
    return (np.exp(np.minimum(wide, 0)) / (1 + np.exp(-np.abs(wide)))).astype(x.dtype)


def mine(value=softplus, gradient=sigmoid, name="mine", **more):
    fields = {
        "loss": "softplus",
        "dtypes": ("float32",),
        "label_kinds": (LabelKind.NONE,),
        "parameters": frozenset(),
    }
    return Implementation(name=name, value=value, gradient=gradient, **(fields | more))


def kinds(report):
    return {finding.kind for finding in report.findings}


def test_a_sound_implementation_has_no_findings_and_full_measurements():
    report = audit(configured(), extra=[mine()])
    assert report.findings == ()
    assert [each.cell.quantity for each in report.measurements] == list(Quantity)
    value = report.measurements[0]
    assert value.rows == 7
    assert value.max_ulp <= 0.5
    assert value.counts == {}
    assert report.yields[0].distinct == 7
    assert not report.gated


def test_exact_results_are_computed_once_for_all_implementations(monkeypatch):
    calls = []
    original = auditing.exact
    monkeypatch.setattr(auditing, "exact", lambda case: calls.append(case) or original(case))
    audit(configured("mine", "other"), extra=[mine(), mine(name="other")])
    assert len(calls) == 1


def test_the_witness_is_the_worst_row_and_replays_to_the_bit():
    def naive(x):
        with np.errstate(over="ignore"):
            return np.log(1 + np.exp(x))

    report = audit(configured(), extra=[mine(naive, None)])
    (measurement,) = report.measurements
    witness = measurement.witness
    assert witness is not None
    again = naive(np.array([witness.logits], dtype=np.float32))
    assert float(again[0]) == witness.actual
    assert {Kind.SPURIOUS_OVERFLOW, Kind.SPURIOUS_UNDERFLOW} <= kinds(report)
    assert measurement.counts[Kind.SPURIOUS_OVERFLOW] == 1
    assert measurement.counts[Kind.SPURIOUS_UNDERFLOW] == 1
    assert measurement.counts[Kind.FTZ] == 1  # e^-100 is subnormal in float32


def test_one_that_raises_leaves_the_others_intact():
    def broken(x):
        message = "no kernel"
        raise RuntimeError(message)

    report = audit(configured("mine", "broken"), extra=[mine(broken, None, "broken"), mine()])
    by_name = {each.cell.implementation: each for each in report.findings}
    assert set(by_name) == {"broken"}
    assert "no kernel" in by_name["broken"].detail
    assert {each.cell.implementation for each in report.measurements} == {"mine", "broken"}


def test_what_is_left_out_is_said():
    narrow = mine(name="narrow", dtypes=("float64",))
    report = audit(configured("mine", "narrow"), extra=[mine(gradient=None), narrow])
    reasons = {(skip.implementation, skip.reason) for skip in report.skips}
    assert ("mine", "has no gradient") in reasons
    assert ("narrow", "does not take float32") in reasons


def test_nothing_selected_is_said_and_nothing_is_measured():
    report = audit(configured("nobody"), extra=[mine()])
    assert report.measurements == ()
    assert [skip.reason for skip in report.skips] == ["no implementation selected"]


def test_select_takes_patterns_and_refuses_what_matches_nothing():
    both = [mine(), mine(name="other")]
    report = audit(configured("mine", "other"), select=["m*"], extra=both)
    assert {each.cell.implementation for each in report.measurements} == {"mine"}
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        audit(configured(), select=["mime"], extra=both)


def test_two_of_one_name_are_refused():
    with pytest.raises(UsageError, match="2 implementations of softplus are called 'mine'"):
        audit(configured(), extra=[mine(), mine()])


def test_a_clip_is_a_plateau_with_its_height_and_onset():
    clipped = mine(lambda x: np.minimum(softplus(x), np.float32(15)), None)
    text = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[1, 14, 16, 20, 40, 80]")
    report = audit(configured(text=text), extra=[clipped])
    (finding,) = report.findings
    assert finding.kind is Kind.PLATEAU
    assert finding.rows == 4
    assert finding.detail == "height 15, from exact 16 on"
    assert report.measurements[0].counts == {Kind.PLATEAU: 4}


def test_coarse_rounding_around_the_exact_values_is_no_plateau():
    coarse = mine(lambda x: np.round(softplus(x) / 8).astype(np.float32) * 8, None)
    text = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[13, 14, 15, 17, 18, 19]")
    assert kinds(audit(configured(text=text), extra=[coarse])) == {Kind.INACCURATE}


def test_an_interrupt_keeps_what_is_finished():
    text = SWEEP + SWEEP.split("sweeps:\n")[1].replace("small", "second")
    calls = []

    def later(x):
        calls.append(x)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return softplus(x)

    report = audit(configured(text=text), extra=[mine(later, None)])
    assert report.interrupted
    assert [each.cell.sweep for each in report.measurements] == ["small"]


def test_a_case_that_cannot_be_certified_is_reported_and_survived(monkeypatch):
    original = auditing.exact

    def stubborn(case):
        if case.sweep == "small":
            message = "undecided: softplus"
            raise UncertifiedError(message)
        return original(case)

    monkeypatch.setattr(auditing, "exact", stubborn)
    text = SWEEP + SWEEP.split("sweeps:\n")[1].replace("small", "second")
    report = audit(configured(text=text), extra=[mine()])
    assert report.uncertified == ("undecided: softplus",)
    assert {each.cell.sweep for each in report.measurements} == {"second"}


def test_the_same_configuration_gives_the_same_report_to_the_byte():
    text = SWEEP.replace("explicit, values: [-100, -20, -1, 0, 1, 20, 100]", "normal, rows: 30")
    first, second = (
        document.to_json(audit(configured("'*'", text=text), extra=[mine()])) for _ in range(2)
    )
    assert first == second


def off_by(ulps):
    def shifted(x):
        return (softplus(x).view(np.int32) + ulps).view(np.float32)

    return mine(shifted, None)


def test_the_last_limit_that_selects_a_cell_governs_it():
    strict, loose = Limit(Tolerance(1.0)), Limit(Tolerance(8.0), implementation="mi*")
    assert audit(configured(limits=[strict]), extra=[off_by(4)]).violations
    assert not audit(configured(limits=[strict, loose]), extra=[off_by(4)]).violations
    assert audit(configured(limits=[loose, strict]), extra=[off_by(4)]).violations
    elsewhere = Limit(Tolerance(1.0), dtype="float64")
    assert not audit(configured(limits=[elsewhere]), extra=[off_by(4)]).violations


def test_a_kind_is_forbidden_unless_allowed_by_name():
    nan = mine(lambda x: x * np.float32("nan"), None)
    assert audit(configured(limits=[Limit(Tolerance(1e300))]), extra=[nan]).violations
    allowed = Limit(allow=frozenset({Kind.NAN}))
    assert not audit(configured(limits=[allowed]), extra=[nan]).violations


def test_notes_never_violate():
    def flushed(x):
        result = softplus(x)
        return np.where(result < np.finfo(np.float32).tiny, np.float32(0), result)

    report = audit(configured(limits=[Limit()]), extra=[mine(flushed, None)])
    assert kinds(report) == {Kind.FTZ}
    assert report.violations == ()


def test_a_row_that_moves_with_its_neighbours_violates_only_beyond_the_limit():
    def leaning(x):
        return (softplus(x).view(np.int32) + (len(x) == 7)).view(np.float32)

    within = audit(configured(limits=[Limit(Tolerance(4.0))]), extra=[mine(leaning, None)])
    assert kinds(within) == {Kind.ROW_DEPENDENT}
    assert within.violations == ()
    beyond = audit(configured(limits=[Limit(Tolerance(0.9))]), extra=[mine(leaning, None)])
    assert Kind.ROW_DEPENDENT in {each.finding.kind for each in beyond.violations}


def test_negative_zeros_are_counted_and_are_no_fault():
    text = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[-1000, -500, 3]")
    negated = mine(lambda x: np.where(x < -200, np.float32(-0.0), softplus(x)), None)
    report = audit(configured(text=text), extra=[negated])
    assert report.findings == ()
    assert report.measurements[0].negative_zeros == 2


COMMAND = """
sweeps:
  small:
    losses: softplus
    dtypes: [float32]
    implementations: [{name}]
    inputs: [{{generator: explicit, values: [-100, 0, 100]}}]
{limits}
"""
GATE = "limits: [{max_ulp: 4}]"


@pytest.mark.parametrize(
    ("name", "limits", "status"),
    [
        ("numpy.naive", "", 0),
        ("numpy.accurate", GATE, 0),
        ("numpy.naive", GATE, 1),
        ("numpy.naive", "limit: 3", 2),
        ("nobody", "", 3),
    ],
)
def test_exit_statuses_are_disjoint(tmp_path, name, limits, status):
    path = tmp_path / "config.yaml"
    path.write_text(COMMAND.format(name=name, limits=limits))
    command = [sys.executable, "-m", "xentcheck", "run", str(path), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    if status in {0, 1}:
        assert json.loads(done.stdout)["schema_version"] == 1
