"""The loop: what is computed, shared, skipped, found, gated and survived."""

import dataclasses
import faulthandler
import json
import multiprocessing
import os
import signal

import numpy as np
import pytest

from tests.running import invoke
from xentcheck import config
from xentcheck.auditing import part
from xentcheck.auditing.run import audit
from xentcheck.errors import UncertifiedError, UnknownNameError, UsageError
from xentcheck.measurement import confirmation
from xentcheck.model import Implementation, Kind, LabelKind, Limit, Quantity, Tolerance
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


def test_the_truth_of_a_case_is_computed_once_for_all_implementations(monkeypatch):
    calls = []
    original = part.Reference
    monkeypatch.setattr(part, "Reference", lambda *given: calls.append(given) or original(*given))
    audit(configured("mine", "other"), extra=[mine(), mine(name="other")])
    assert len(calls) == 1


def test_what_is_shown_is_decided_by_the_arbiter_once(monkeypatch):
    calls = []
    original = confirmation.exact_component

    def counted(element, dtype):
        logits = element.case.logits[element.row].item()
        calls.append((logits, element.quantity, element.component))
        return original(element, dtype)

    monkeypatch.setattr(confirmation, "exact_component", counted)
    report = audit(configured("mine", "other"), extra=[mine(), mine(name="other")])
    shown = {(float(m.witness.logits), m.cell.quantity, 0) for m in report.measurements}
    assert len(calls) == len(set(calls)) == report.reference["witnesses_by_mpmath"]
    assert shown == set(calls)


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
    # at -20 and at -100, where e^-100 is subnormal in float32: nothing is flushed
    assert measurement.counts[Kind.SPURIOUS_UNDERFLOW] == 2
    assert Kind.FTZ not in measurement.counts


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
    other = mine(name="elsewhere", loss="sigmoid")
    report = audit(configured("elsewhere"), extra=[mine(), other])
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
    original = part.Reference

    def stubborn(case, *more):
        if case.sweep == "small":
            message = "undecided: softplus"
            raise UncertifiedError(message)
        return original(case, *more)

    monkeypatch.setattr(part, "Reference", stubborn)
    text = SWEEP + SWEEP.split("sweeps:\n")[1].replace("small", "second")
    report = audit(configured(text=text), extra=[mine()])
    assert report.uncertified == ("undecided: softplus",)
    scored = {each.cell.sweep for each in report.measurements if each.max_ulp == each.max_ulp}
    assert scored == {"second"}


def test_rows_of_the_lowest_tier_are_held_against_the_arbiter(monkeypatch):
    assert audit(configured(), extra=[mine()]).reference["rows_sampled_by_mpmath"] == 7

    def wrong(truth, row):
        return f"the value of {truth.case.loss}, row {row}"

    monkeypatch.setattr(part, "disagreement", wrong)
    report = audit(configured(), extra=[mine()])
    assert len(report.uncertified) == 7
    assert report.uncertified[0].startswith("internal error: a fast tier misses the value of soft")


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
    assert kinds(within) == {Kind.BATCH_VARIANT}
    assert within.violations == ()
    beyond = audit(configured(limits=[Limit(Tolerance(0.9))]), extra=[mine(leaning, None)])
    assert Kind.ROW_DEPENDENT in {each.finding.kind for each in beyond.violations}


def test_negative_zeros_are_counted_and_are_no_fault():
    text = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[-1000, -500, 3]")
    negated = mine(lambda x: np.where(x < -200, np.float32(-0.0), softplus(x)), None)
    report = audit(configured(text=text), extra=[negated])
    assert report.findings == ()
    assert report.measurements[0].negative_zeros == 2


# Over worker processes.

PARTS = """
seed: 4
sweeps:
  many:
    losses: softplus
    dtypes: [float32]
    implementations: [NAMES]
    inputs:
      - {generator: normal, rows: 700000, scale: 20}
      - {generator: explicit, values: [-100, -20, -1, 0, 1, 20, 100]}
"""


@pytest.fixture(scope="module")
def by_one_worker():
    """The report of the sweep of three parts by one worker, as JSON."""
    report = audit(configured(text=PARTS), extra=[mine(careless)])
    assert report.findings
    return document.to_json(report)


def careless(x):
    """Wrong in several ways, and by the row: a clip, rounding, an overflow."""
    right = np.where(x > 40, np.float32(40), softplus(x))
    return np.where(x < -60, np.float32(0), right)


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_report_to_the_byte(workers, by_one_worker):
    report = audit(configured(text=PARTS), extra=[mine(careless)], workers=workers)
    assert document.to_json(report) == by_one_worker
    assert multiprocessing.active_children() == []


def test_a_sweep_of_many_losses_gives_the_same_report_to_the_byte_over_workers():
    text = SWEEP.replace("losses: softplus", "losses: [softplus, sigmoid, logsumexp]").replace(
        "dtypes: [float32]", "dtypes: [float16, float64]"
    )
    text = text.replace("explicit, values: [-100, -20, -1, 0, 1, 20, 100]", "normal, rows: 9")
    one, two = (
        document.to_json(audit(configured("'*'", text=text), workers=workers)) for workers in (1, 2)
    )
    assert one == two


SMALL = PARTS.replace("rows: 700000", "rows: 30")


def dying(how, only=lambda x: (x == 100).any()):
    """An implementation that takes its process down on some rows."""

    def function(x):
        if only(x) and multiprocessing.parent_process() is not None:
            how()
        return softplus(x)

    return function


def exiting():
    os._exit(3)


def segfaulting():
    faulthandler.disable()  # pytest's would print its own account of it
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("how", "said"),
    [(exiting, "exit status 3"), (segfaulting, "signal 11 (SIGSEGV)")],
    ids=["exit", "segfault"],
)
def test_what_kills_a_worker_is_crashed_and_everything_else_is_as_without_it(how, said):
    deadly = mine(dying(how), name="deadly", gradient=None)
    text = SMALL + SMALL.split("sweeps:\n")[1].replace("many", "next")
    given = configured("mine", "deadly", text=text)
    alone = audit(configured(text=text), extra=[mine(careless)])
    report = audit(given, extra=[mine(careless), deadly], workers=2)
    others = [each for each in report.findings if each.cell.implementation == "deadly"]
    assert {each.kind for each in others} == {Kind.CRASHED}
    assert {each.cell.sweep for each in others} == {"many", "next"}
    assert all(said in each.detail for each in others)
    assert len(report.deaths) == 4  # twice on each of two parts
    assert all(said in each and "in deadly" in each for each in report.deaths)
    kept = [each for each in report.findings if each.cell.implementation != "deadly"]
    measured = [each for each in report.measurements if each.cell.implementation != "deadly"]
    less = dataclasses.replace(
        report,
        findings=tuple(kept),
        measurements=tuple(measured),
        config=alone.config,
        skips=alone.skips,
        deaths=(),
        reference=alone.reference,
    )
    assert document.to_json(less) == document.to_json(alone)
    assert not report.interrupted
    assert multiprocessing.active_children() == []


def test_a_worker_that_dies_once_is_told_and_leaves_no_finding(tmp_path):
    flag = tmp_path / "died"

    def once():
        if not flag.exists():
            flag.touch()
            exiting()

    usual = audit(configured(text=SMALL), extra=[mine()])
    report = audit(configured(text=SMALL), extra=[mine(dying(once))], workers=2)
    (death,) = report.deaths
    assert "exit status 3" in death
    assert "done again" in death
    assert report.findings == ()
    unharmed = dataclasses.replace(report, deaths=())
    assert document.to_json(unharmed) == document.to_json(usual)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_while_progress_is_told_leaves_a_partial_report(workers):
    told = []

    def impatient(progress):
        told.append(progress)
        if progress.rows:
            raise KeyboardInterrupt

    text = SWEEP + "".join(
        SWEEP.split("sweeps:\n")[1].replace("small", f"number-{n}") for n in range(40)
    )
    report = audit(configured(text=text), extra=[mine()], workers=workers, progress=impatient)
    assert report.interrupted
    assert told
    done = [each.cell.sweep for each in report.measurements]
    assert done[0] == "small"
    assert len(done) < 2 * 41
    assert multiprocessing.active_children() == []


def test_progress_ends_with_all_of_the_work():
    told = []
    audit(configured(text=SMALL), extra=[mine()], workers=2, progress=told.append)
    assert told[-1].share == pytest.approx(1.0)
    assert told[-1].rows == 37
    assert [each.share for each in told] == sorted(each.share for each in told)
    assert told[-1].worst <= 0.5


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
        ("nobody", "", 2),
        ("numpy.masked", "", 3),
    ],
)
def test_exit_statuses_are_disjoint(tmp_path, name, limits, status):
    path = tmp_path / "config.yaml"
    path.write_text(COMMAND.format(name=name, limits=limits))
    done = invoke("run", str(path), "--format", "json")
    assert done.exit_code == status, done.stderr
    assert "Traceback" not in done.stderr
    if status in {0, 1}:
        assert json.loads(done.stdout)["schema_version"] == 1


@pytest.mark.parametrize(("dtype", "pattern"), [("float32", 0x7FA00001), ("float64", 0x7FF4 << 48)])
def test_a_signalling_nan_is_a_nan_and_nothing_warns_of_it(dtype, pattern):
    def broken(x):
        return np.full(x.shape, pattern, dtype=f"u{x.dtype.itemsize}").view(x.dtype)

    text = SWEEP.replace("float32", dtype)
    report = audit(configured(text=text), extra=[mine(broken, broken, dtypes=(dtype,))])
    assert kinds(report) == {Kind.NAN}
    assert {each.rows for each in report.findings} == {7}
