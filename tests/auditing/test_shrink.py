"""Findings keep their kind while their witnesses become small; the arbiter confirms both."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.running import invoke
from tests.searching.test_searching import implementation
from xentcheck import registry
from xentcheck.auditing.run import audit
from xentcheck.auditing.shrink import shrunk
from xentcheck.floats import to_float64
from xentcheck.measurement import Arbitration
from xentcheck.model import (
    SHRUNK,
    SURVEY_TOLERANCE,
    Case,
    Config,
    Finding,
    Implementation,
    InputSpec,
    Kind,
    Quantity,
    Report,
    Sweep,
)
from xentcheck.report import document, words

CE = "softmax_cross_entropy"


def registered(name: str, loss: str = CE) -> Implementation:
    (found,) = [e for e in registry.load_registered()[0] if (e.loss, e.name) == (loss, name)]
    return found


def found(
    made: Implementation, values: Any, labels: Any = (), *, loss: str = CE, **settings: Any
) -> Report:
    """The audit of written rows."""
    options = {"values": values, **({"labels": labels} if len(labels) else {})}
    fields = {"dtypes": ("float32",), "quantities": (Quantity.VALUE,), "name": "s"}
    sweep = Sweep(
        losses=(loss,),
        inputs=(InputSpec("explicit", options),),
        implementations=(made.name,),
        **(fields | settings),
    )
    extra = [] if made.name.startswith("numpy.") else [made]
    return audit(Config((sweep,)), extra=extra)


def of(report: Report, kind: Kind) -> Finding:
    (finding,) = [each for each in report.findings if each.kind is kind]
    return finding


def smaller(finding: Finding, made: Implementation, **more: Any) -> Finding:
    return shrunk(finding, made, SURVEY_TOLERANCE, lambda _: None, **more)


def numbers(finding: Finding) -> list[float]:
    assert finding.witness is not None
    return to_float64(finding.witness.logits).tolist()


ROW = (3.5, -11.25, 49.187, 0.3, -8.0)


def test_a_loss_of_0_is_shown_by_two_round_logits() -> None:
    made = registered("numpy.log_of_softmax")
    finding = of(found(made, (ROW,), (2,)), Kind.SPURIOUS_UNDERFLOW)
    small = smaller(finding, made)
    # p rounds to 1 from a gap of ln 2^24 = 16.64 on; 20 is the next number of one digit
    assert numbers(small) == [20.0, 0.0]
    assert int(small.witness.labels) == 0
    assert small.kind is Kind.SPURIOUS_UNDERFLOW
    assert small.original is finding.witness
    assert small.witness.generator == SHRUNK
    assert small.witness.row == finding.witness.row
    assert float(small.witness.exact) == pytest.approx(math.log1p(math.exp(-20)), rel=1e-15)
    assert small.witness.actual == 0.0


def test_a_small_error_is_not_enough_for_a_large_one() -> None:
    """A gap of 9 loses at least half of the bits that one of 15.9 loses; one of 4 does not."""
    made = registered("numpy.log_of_softmax")
    finding = of(found(made, ((15.9, 0.25, 0.5),), (0,)), Kind.INACCURATE)
    small = smaller(finding, made)
    assert small.witness.ulp_error >= finding.witness.ulp_error**0.5
    assert len(numbers(small)) == 2


def test_a_gradient_that_vanishes() -> None:
    made = registered("numpy.log_of_softmax")
    report = found(made, (ROW,), (2,), quantities=(Quantity.GRADIENT,))
    small = smaller(of(report, Kind.VANISHED_GRADIENT), made)
    assert numbers(small) == [20.0, 0.0]
    assert small.witness.index == 0


def test_parameters_that_the_fault_does_not_need_are_left_out() -> None:
    def weighted(x: Any, labels: Any, temperature: float = 1.0) -> np.ndarray:
        z = x / np.float32(temperature)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            return -np.log(p[np.arange(len(x)), labels])

    made = implementation(weighted, CE, parameters=frozenset({"temperature"}))
    report = found(made, ((400.5, 1.0, 2.0),), (0,), parameters={"temperature": (2.5,)})
    small = smaller(of(report, Kind.NAN), made)
    assert small.witness.parameters == {}
    assert numbers(small) == [90.0]  # float32's exp is infinite above 88.73


def test_the_cause_stays_if_the_caller_can_tell_it() -> None:
    """A function with two mistakes, and a witness of the second."""

    def twofold(x: np.ndarray) -> np.ndarray:
        top = x.max(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            plain = top + np.log(np.exp(x - top[:, None]).sum(axis=1))
        return np.where((x > 50).any(axis=1) | (x < -50).any(axis=1), np.float32(np.nan), plain)

    made = implementation(twofold, "logsumexp")
    report = found(made, ((3.0, -71.5, 1.0),), loss="logsumexp")
    finding = of(report, Kind.NAN)
    assert numbers(smaller(finding, made))[0] in (60.0, -60.0)

    def below(case: Case, results: np.ndarray) -> np.ndarray:
        assert len(results) == case.rows
        return (to_float64(case.logits) < -50).any(axis=1)

    assert numbers(smaller(finding, made, same_cause=below)) == [-60.0]


def test_a_row_that_raises() -> None:
    def picky(x: np.ndarray) -> np.ndarray:
        if (x > 300).any():
            raise ValueError("too large")
        if x.shape[1] == 2:
            raise TypeError("two")
        wide = x.astype(np.float64)
        return np.log(np.exp(wide).sum(axis=1)).astype(x.dtype)

    made = implementation(picky, "logsumexp")
    report = found(made, ((1.5, 371.25, 2.0),), loss="logsumexp")
    small = smaller(of(report, Kind.RAISED), made)
    assert numbers(small) == [400.0]
    assert "too large" in small.witness.note


def test_a_reduction_keeps_one_row() -> None:
    def mean(x: Any, labels: Any, reduction: str) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            own = np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(x)), labels]
        return np.asarray(own.mean(dtype=x.dtype))

    made = implementation(mean, CE, parameters=frozenset({"reduction"}))
    rows = ((1.0, 2.0), (3.0, 93.5), (0.5, 0.25), (1.5, 1.0))
    report = found(made, rows, (0, 0, 1, 1), parameters={"reduction": ("mean",)})
    finding = of(report, Kind.SPURIOUS_OVERFLOW)
    small = smaller(finding, made)
    assert small.witness.logits.tolist() == [[90.0]]
    assert small.witness.parameters == {"reduction": "mean"}
    assert finding.witness.logits.shape == (4, 2)
    assert small.original is finding.witness


def test_rows_that_depend_on_one_another_are_shown_by_two() -> None:
    def looks_behind(x: np.ndarray) -> np.ndarray:
        top = x.max(axis=1)
        plain = top + np.log(np.exp(x - top[:, None]).sum(axis=1))
        behind = np.concatenate([x[:1, 0], x[:-1, 0]])
        return np.where(behind > x[:, 0], plain + np.float32(0.5), plain)

    made = implementation(looks_behind, "logsumexp")
    rows = [(1.37 * k, 1.0, 2.0) for k in range(12)]
    report = found(made, rows, loss="logsumexp")
    finding = of(report, Kind.ROW_DEPENDENT)
    small = smaller(finding, made)
    assert small.witness.logits.shape[0] == 2
    assert small.witness.logits.size == 2
    assert small.original is finding.witness
    command = words.replay(report, small)
    assert "--row" not in command
    assert any(each.count(";") == 1 for each in command)


def test_what_cannot_be_called_alone_or_only_by_a_new_process_stays() -> None:
    made = registered("numpy.log_of_softmax")
    finding = of(found(made, (ROW,), (2,)), Kind.SPURIOUS_UNDERFLOW)
    for kind in (Kind.CRASHED, Kind.TIMED_OUT, Kind.OTHER_FUNCTION):
        other = replace(finding, kind=kind)
        assert smaller(other, made) is other
    without = replace(finding, witness=None)
    assert smaller(without, made) is without
    again = smaller(smaller(finding, made), made)
    assert again.original is finding.witness
    # a sound implementation does not show the finding
    assert smaller(finding, registered("numpy.accurate")) is finding


def test_what_the_arbiter_does_not_confirm_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = registered("numpy.log_of_softmax")
    finding = of(found(made, (ROW,), (2,)), Kind.SPURIOUS_UNDERFLOW)
    real = Arbitration.witness

    def contradicting(self: Arbitration, *arguments: Any, **more: Any) -> Any:
        self.failures.append("another kind")
        return real(self, *arguments, **more)

    monkeypatch.setattr(Arbitration, "witness", contradicting)
    assert smaller(finding, made) is finding


def test_a_plateau_keeps_its_height() -> None:
    made = registered("numpy.clamped", "sigmoid_binary_cross_entropy")
    values = [-104.5 - 31.5 * k for k in range(12)]
    report = found(made, (values,), [1] * 12, loss="sigmoid_binary_cross_entropy")
    finding = of(report, Kind.PLATEAU)
    small = smaller(finding, made)
    assert small.kind is Kind.PLATEAU
    assert small.witness.actual == finding.witness.actual == 100.0
    assert float(small.witness.logits) == -200.0  # of one digit, below -100


def test_both_witnesses_are_in_the_document_and_the_small_one_is_replayed() -> None:
    made = registered("numpy.log_of_softmax")
    report = found(made, (ROW,), (2,))
    findings = tuple(smaller(each, made) for each in report.findings)
    report = replace(report, findings=findings)
    written = document.to_json(report)
    (entry,) = json.loads(written)["findings"]
    assert entry["witness"]["logits"] == [(20.0).hex(), (0.0).hex()]
    assert len(entry["original"]["logits"]) == len(ROW)
    back = document.from_json(written, "it")
    assert document.to_json(back) == written
    lines = dict(words.finding_lines(report, findings[0]))
    assert lines["found as"].startswith("[3.5, -11.25, 49.19, 0.3, … 5 classes] label 2, ")
    command = words.replay(report, findings[0])
    told = invoke(*command[1:], "--format", "json")
    assert told.exit_code == 0
    (measured, _) = json.loads(told.output)["measurements"]
    assert measured["max_ulp"] == findings[0].witness.ulp_error
