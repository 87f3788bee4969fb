"""An implementation against a peer, row by row."""

import json
import os

import numpy as np
import pytest

from tests.auditing.test_audit import SWEEP, configured, mine, sigmoid, softplus
from xentcheck.auditing.run import audit
from xentcheck.errors import ConfigError
from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.model import Kind, LabelKind, Limit, Quantity, Tolerance
from xentcheck.report import document

ROWS = (-100, -20, -1, 0, 1, 20, 100)


def nudged(ulps, at=ROWS):
    """The right results, ``ulps`` ulps larger on some rows."""

    def function(x):
        right = softplus(x)
        off = np.where(np.isin(x, at), ulps, 0)
        return (right + off * np.spacing(right)).astype(x.dtype)

    return function


def spoiled(value, at=ROWS):
    """The right results, replaced by a number on some rows."""
    return lambda x: np.where(np.isin(x, at), np.asarray(value, x.dtype), softplus(x))


def held(own, peer, *, limit=None, **more):
    """The contest of two value functions, and the report."""
    limit = limit or Limit(implementation="mine", against=("peer",), relative=True)
    report = audit(
        configured("mine", "peer", limits=[limit]),
        extra=[mine(own, gradient=None), mine(peer, gradient=None, name="peer")],
        **more,
    )
    (contest,) = report.contests
    return contest, report


def test_a_single_rounding_is_never_worse():
    contest, report = held(nudged(3), softplus)
    assert (contest.rows, contest.worse, contest.better, contest.equal) == (7, 0, 0, 7)
    assert report.violations == ()
    assert outcome(report) is Outcome.PASSED


def test_more_than_four_ulps_and_twice_the_peers_error_are_worse():
    contest, report = held(nudged(9, at=(-1, 1)), nudged(4, at=(-1,)))
    # at -1 9 ulps stand against 4, at 1 against a rounding: both more than twice as many
    assert contest.worse == 2
    assert contest.worse_rows == (2, 4)
    contest, _ = held(nudged(9, at=(-1, 1)), nudged(6, at=(-1,)))
    assert contest.worse_rows == (4,)
    (violation,) = report.violations
    assert violation.rule == "against peer"
    assert violation.finding.rows == 2
    assert outcome(report) is Outcome.FAILED


def test_the_witness_is_the_row_with_the_largest_ratio_scored_on_both_sides():
    contest, report = held(nudged(64, at=(-1, 1)), nudged(16, at=(-1,)))
    shown = contest.worst[Kind.INACCURATE]
    assert float(shown.witness.logits) == 1.0
    assert shown.witness.ulp_error == pytest.approx(64, abs=0.6)
    assert shown.peer.ulp_error <= 0.5
    assert shown.peer.exact == shown.witness.exact
    assert float(shown.peer.actual) == float(softplus(np.float32([1.0]))[0])
    assert "peer on this row: 1.31326" in report.violations[0].finding.detail


def test_what_is_better_is_counted_and_shown_and_does_not_fail():
    contest, report = held(softplus, nudged(64, at=(20,)))
    assert (contest.worse, contest.better, contest.better_rows) == (0, 1, (5,))
    assert contest.best is not None
    assert contest.best.witness.ulp_error <= 0.5
    assert contest.best.peer.ulp_error == pytest.approx(64, abs=0.6)
    assert outcome(report) is Outcome.PASSED


@pytest.mark.parametrize(
    ("own", "peer", "worse"),
    [
        (np.nan, 7.0, {Kind.NAN: 1}),  # a peer with a finite error is not as grave
        (np.nan, np.inf, {Kind.NAN: 1}),
        (np.inf, np.nan, {}),
        (np.nan, np.nan, {}),
        (np.inf, np.inf, {}),
        (np.inf, 1e30, {Kind.SPURIOUS_OVERFLOW: 1}),
        (-1.0, 0.75, {}),  # the sign is wrong, and the error is less than twice the peer's
        (0.0, 2.0611536e-09, {Kind.SPURIOUS_UNDERFLOW: 1}),
    ],
)
def test_a_graver_fault_is_worse(own, peer, worse):
    # softplus(-20) is 2.06e-9
    contest, report = held(spoiled(own, (-20,)), spoiled(peer, (-20,)))
    assert contest.kinds == worse
    assert bool(report.violations) == bool(worse)


def test_rows_without_a_result_are_worse_than_any_result():
    def raises(x):
        if (x == 20).any():
            raise ValueError("not this one")
        return softplus(x)

    contest, _ = held(raises, spoiled(np.nan, (20,)))
    assert contest.kinds == {Kind.RAISED: 1}
    assert contest.worse_rows == (5,)
    assert contest.worst[Kind.RAISED].peer_kind is Kind.NAN
    assert "not this one" in contest.worst[Kind.RAISED].witness.note
    contest, _ = held(raises, raises)
    assert (contest.worse, contest.better) == (0, 0)
    contest, _ = held(softplus, raises)
    assert (contest.worse, contest.better) == (0, 1)


def test_a_call_that_dies_is_worse_on_every_row():
    def narrow(x):
        return softplus(x)[:-1]

    contest, _ = held(narrow, softplus)
    assert contest.kinds == {Kind.WRONG_SHAPE: 7}
    contest, _ = held(narrow, narrow)
    assert (contest.rows, contest.worse) == (7, 0)


def test_an_error_that_conditioning_explains_is_no_worse():
    # sigmoid has the condition number x(1 - s(x)): 100 at -100, where 9 ulp are a rounding of x
    fields = {"loss": "sigmoid", "gradient": None}

    def off(x):
        right = sigmoid(x)
        return (right + 9 * np.spacing(right)).astype(x.dtype)

    text = SWEEP.replace("softplus", "sigmoid").replace("-100, -20, -1, 0, 1, 20, 100", "-60, 1")
    limit = Limit(implementation="mine", against=("peer",), relative=True)
    report = audit(
        configured("mine", "peer", limits=[limit], text=text),
        extra=[mine(off, **fields), mine(sigmoid, **fields, name="peer")],
    )
    (contest,) = report.contests
    assert contest.worse_rows == (1,)


def test_an_absolute_error_within_or_abs_is_no_worse():
    limit = Limit(Tolerance(or_abs=1e-8), implementation="mine", against=("peer",), relative=True)
    contest, _ = held(spoiled(0.0, (-20,)), softplus, limit=limit)
    assert contest.worse == 0


def test_a_gradient_is_as_bad_as_its_worst_component():
    def gradient(off):
        def function(logits, labels):
            wide = logits.astype(np.float64)
            p = np.exp(wide - wide.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            p[np.arange(len(p)), labels] = -np.delete(p, labels[0], axis=1).sum(axis=1)
            result = p.astype(logits.dtype)
            result[:, 1] += off * np.spacing(result[:, 1])
            return result

        return function

    text = """
    sweeps:
      small:
        losses: softmax_cross_entropy
        dtypes: float32
        quantities: gradient
        labels: {targets: argmax}
        inputs:
          - {generator: explicit, values: [[1, 2, 3], [2, 4, 5]]}
    """.replace("\n    ", "\n")
    limit = Limit(implementation="mine", against=("peer",), relative=True)
    fields = {"loss": "softmax_cross_entropy", "label_kinds": (LabelKind.INTEGER,), "value": None}
    report = audit(
        configured(text=text, limits=[limit]),
        extra=[
            mine(gradient=gradient(64), **fields),
            mine(gradient=gradient(0), **fields, name="peer"),
        ],
        select=["mine"],
    )
    (contest,) = report.contests
    assert contest.cell.quantity is Quantity.GRADIENT
    assert contest.worse == contest.rows == 2
    assert contest.worst[Kind.INACCURATE].witness.index == 1


def test_flushing_is_no_worse_where_the_implementation_is_seen_to_flush():
    def flushing(x):
        right = softplus(x)
        return np.where(np.abs(right) < np.finfo(x.dtype).tiny, 0, right).astype(x.dtype)

    contest, _ = held(flushing, softplus)
    assert contest.worse == 0  # at -100 the result is subnormal
    # one that returns other subnormal results does not flush: the result is lost
    contest, _ = held(spoiled(0.0, (-100,)), softplus)
    assert contest.worse == 1


def test_a_peer_is_audited_though_the_sweep_does_not_select_it():
    limit = Limit(implementation="mine", against=("peer",), relative=True)
    report = audit(
        configured("mine", limits=[limit]),
        extra=[mine(nudged(64)), mine(name="peer")],
    )
    assert {each.cell.implementation for each in report.measurements} == {"mine", "peer"}
    # at -100 the condition number is 100, and explains 64 ulps
    assert [each.worse for each in report.contests] == [6, 0]  # the value, the gradient


def test_a_peer_that_nobody_knows_is_a_problem():
    limit = Limit(implementation="mine", against=("pear",), relative=True, path="limits[0]")
    with pytest.raises(
        ConfigError, match=r"limits\[0\].against: no implementation is called 'pear'"
    ):
        audit(configured("mine", limits=[limit]), extra=[mine(), mine(name="peer")])


def test_a_peer_that_cannot_be_called_there_is_an_omission():
    limit = Limit(implementation="mine", against=("peer",), relative=True)
    given = {"extra": [mine(), mine(gradient=None, name="peer")]}
    report = audit(configured("mine", limits=[limit]), **given)
    (omission,) = report.omissions
    assert (omission.implementation, omission.quantity) == ("peer", "gradient")
    assert omission.reason == "has no gradient"
    assert outcome(report) is Outcome.FAILED


def test_faults_of_whole_calls_are_worse_if_the_peer_shows_none():
    def writing(x):
        result = softplus(x)
        x[:] = 0
        return result

    _, report = held(writing, softplus)
    (violation,) = report.violations
    assert violation.rule == "mutated-input"
    assert violation.limit == "against peer: it does not show mutated-input"
    _, report = held(writing, writing)
    assert report.violations == ()


def test_a_limit_holds_beside_the_peer_only_if_it_is_given():
    _, report = held(nudged(64), nudged(64))
    assert report.violations == ()
    both = Limit(implementation="mine", against=("peer",))
    _, report = held(nudged(64), nudged(64), limit=both)
    assert [each.rule for each in report.violations] == ["inaccurate"]


def test_allowed_kinds_may_be_worse():
    limit = Limit(
        implementation="mine",
        against=("peer",),
        relative=True,
        allow=frozenset({Kind.NAN}),
    )
    _, report = held(spoiled(np.nan, (1,)), softplus, limit=limit)
    assert report.violations == ()


def test_a_peer_that_computes_something_else_fails_the_gate():
    report = held(softplus, lambda x: softplus(2 * x), sanity_check=True)[1]
    assert Kind.OTHER_FUNCTION in {each.finding.kind for each in report.violations}


def test_contests_do_not_depend_on_workers_and_survive_json():
    text = SWEEP.replace(
        "      - {generator: explicit, values: [-100, -20, -1, 0, 1, 20, 100]}",
        "      - {generator: uniform, scale: 50, rows: 70000}",
    )
    assert "uniform" in text
    limit = Limit(implementation="mine", against=("peer",), relative=True)

    def naive(x):
        return np.log(1 + np.exp(x))

    def written(workers):
        report = audit(
            configured("mine", limits=[limit], text=text),
            extra=[mine(naive), mine(name="peer")],
            workers=workers,
        )
        return document.to_json(report)

    one = written(1)
    assert written(2) == one
    assert document.to_json(document.from_json(one, "one")) == one
    first = json.loads(one)["contests"][0]
    assert first["worse"] > 0
    assert first["rows"] == first["worse"] + first["equal"] + first["better"]
    assert len(first["worse_rows"]) == 100
    assert os.sep not in first["peer"]
