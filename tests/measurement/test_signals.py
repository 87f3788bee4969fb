"""Overflow, invalid and division by zero, where inputs and exact results are finite: a note."""

import dataclasses
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests import running
from tests.auditing.test_audit import SWEEP, configured, kinds, mine, sigmoid, softplus
from tests.running import Result
from xentcheck import assert_accurate, config, registry
from xentcheck.auditing.run import audit
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.execution.invocation import invoke
from xentcheck.measurement import Tally, measure
from xentcheck.model import NOTES, Case, Implementation, Kind, LabelKind, Limit, Quantity, Tolerance
from xentcheck.reference import Reference
from xentcheck.report import document

SHORT = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[VALUES]")


def overflowing(x):
    """Right, but e^x overflows from 88.73 on where x itself is taken."""
    return np.where(x > 30, x, np.log1p(np.exp(x))).astype(x.dtype)


def ignoring(x):
    with np.errstate(over="ignore"):
        return overflowing(x)


def warning(x):
    with np.errstate(over="warn"):
        return overflowing(x)


def seen(value, values="100, 1, 90, 2, 95", **more):
    text = SHORT.replace("VALUES", values)
    return audit(configured(text=text, **more), extra=[mine(value, None)])


def signal(report):
    (finding,) = (each for each in report.findings if each.kind is Kind.FP_SIGNAL)
    return finding


@pytest.mark.parametrize("value", [overflowing, warning])
def test_an_overflow_on_the_way_to_a_finite_result_is_told_with_a_row(value):
    report = seen(value, "1, 2, 90, 3, 95")
    assert kinds(report) == {Kind.FP_SIGNAL}
    finding = signal(report)
    assert finding.rows == 1
    assert finding.detail.startswith("overflow encountered in exp; at least")
    assert finding.witness is not None
    assert (float(finding.witness.logits), finding.witness.row) == (90.0, 2)
    assert report.measurements[0].counts == {Kind.FP_SIGNAL: 1}
    assert report.measurements[0].first_break is None


def test_a_block_of_one_row_has_no_more_of_them():
    assert signal(seen(overflowing, "90")).detail == "overflow encountered in exp"


@pytest.mark.parametrize("value", [softplus, ignoring])
def test_what_signals_nothing_or_ignores_it_on_purpose_is_not_blamed(value):
    assert kinds(seen(value)) == set()


def test_rows_with_infinite_inputs_are_left_out():
    def shifted(x):
        return (softplus(x) + (x - x) * 0).astype(x.dtype)  # inf − inf is invalid

    assert Kind.FP_SIGNAL not in kinds(seen(shifted, "inf, 1, 2, -inf"))
    assert Kind.FP_SIGNAL not in kinds(seen(shifted, "inf"))


def test_a_result_that_overflows_in_its_format_may_signal():
    """The gradient −1/p is beyond float32 for p = 1e-40, and within it for p = 1e-30."""
    text = """
seed: 1
sweeps:
  tiny:
    losses: categorical_cross_entropy
    dtypes: [float32]
    implementations: [mine]
    quantities: [gradient]
    labels: {targets: argmin}
    inputs: [{generator: explicit, values: [[ROW]]}]
"""

    def value(p, y):
        return -np.log(p[np.arange(len(p)), y])

    def gradient(p, y):
        result = np.zeros_like(p)
        rows = np.arange(len(p))
        result[rows, y] = np.float32(-1) / p[rows, y]
        return result

    made = Implementation(
        "categorical_cross_entropy",
        "mine",
        value,
        gradient,
        ("float32",),
        (LabelKind.INTEGER,),
        frozenset(),
    )
    report = audit(config.loads(text.replace("ROW", "1e-40, 1")), extra=[made])
    assert kinds(report) == set()

    def squared(p, y):
        low = p[np.arange(len(p)), y]
        return gradient(p, y) + 0 * np.minimum(1 / (low * low), 1)[:, None]

    report = audit(
        config.loads(text.replace("ROW", "1e-30, 1")),
        extra=[dataclasses.replace(made, gradient=squared)],
    )
    assert kinds(report) == {Kind.FP_SIGNAL}


def test_underflow_is_no_signal():
    def underflowing(x):
        nothing = np.exp(-np.abs(x) - np.float32(1000))
        return (softplus(x) + nothing).astype(x.dtype)

    assert kinds(seen(underflowing)) == set()


def test_a_signal_of_rows_together_names_them_all():
    def together(x):
        product = np.prod(np.exp(np.minimum(x, 80)))  # beyond float32 for two rows of 80
        return softplus(x) + np.float32(0) * np.minimum(product, 1)

    report = seen(together, "1, 80, 2, 80")
    finding = signal(report)
    assert finding.rows == 4
    assert finding.detail == "overflow encountered in reduce, with these rows together only"


def test_it_is_a_note_that_a_limit_may_forbid():
    assert Kind.FP_SIGNAL in NOTES
    assert seen(overflowing, limits=[Limit()]).violations == ()
    (violation,) = seen(overflowing, limits=[Limit(forbid=frozenset({Kind.FP_SIGNAL}))]).violations
    assert violation.rule == "fp-signal"
    text = SHORT.replace("VALUES", "95") + "limits: {forbid: fp-signal}\n"
    loaded = config.loads(text.replace("NAMES", "mine"))
    assert len(audit(loaded, extra=[mine(overflowing, None)]).violations) == 1


def test_no_fault_is_hidden_by_it():
    faults = [kind for kind in Kind if kind not in NOTES]
    assert list(Kind)[: len(faults)] == faults


def test_the_api_forbids_notes_by_name():
    assert_accurate(overflowing, "softplus", dtypes="float32", gradient=None, quantities="value")
    with pytest.raises(AssertionError, match="fp-signal"):
        assert_accurate(
            overflowing,
            "softplus",
            dtypes="float32",
            gradient=None,
            quantities="value",
            forbid="fp-signal",
        )
    with pytest.raises(UnknownNameError, match="unknown note 'nan'"):
        assert_accurate(overflowing, "softplus", forbid="nan")
    with pytest.raises(UsageError, match="ftz is allowed and forbidden at once"):
        assert_accurate(overflowing, "softplus", forbid="ftz", allow="ftz")


def test_any_number_of_workers_tells_the_same():
    text = SWEEP.replace(
        "{generator: explicit, values: [-100, -20, -1, 0, 1, 20, 100]}",
        "{generator: ulp-uniform, rows: 150000, from: -100, to: 100}",
    )
    reports = [
        document.to_json(audit(configured(text=text), extra=[mine(overflowing)], workers=workers))
        for workers in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert '"fp-signal"' in reports[0]


def test_no_more_than_a_few_blocks_are_looked_at_again():
    calls = []

    def counted(x):
        calls.append(len(x))
        return overflowing(x)

    collected = Tally()
    x = np.array([90, 91, 92, 93], dtype=np.float32)
    for _ in range(12):
        case = Case("s", "explicit", "softplus", "float32", x, LabelKind.NONE)
        measure(collected, mine(counted), case, Reference(case), Quantity.VALUE, Tolerance())
    assert collected.incident_rows[Kind.FP_SIGNAL] == 8
    # as it is, again, and in two groups; then a half of four and a half of two
    assert calls == [4, 4, 1, 3, 2, 1] * 8 + [4, 4, 1, 3] * 4


def test_a_call_changes_no_result_and_leaves_no_warning():
    x = np.array([1000.0, -1000.0], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = invoke(np.exp, [x], {}, (2,))
    np.testing.assert_array_equal(told.result, np.float32([np.inf, 0]))
    assert told.signals == ("overflow encountered in exp",)
    told = invoke(lambda x: np.log(x * 0) - np.log(x * 0), [np.ones(1)], {}, (1,))
    assert told.signals == (
        "divide by zero encountered in log",
        "invalid value encountered in subtract",
    )
    assert np.geterr()["over"] == "warn"


def test_other_warnings_are_no_signals():
    def chatty(x):
        warnings.warn("overflow of the reader's patience", RuntimeWarning, stacklevel=1)
        warnings.warn("overflow encountered in exp", UserWarning, stacklevel=1)
        return x

    assert invoke(chatty, [np.zeros(1)], {}, (1,)).signals == ()


SOUND = [
    each
    for each in registry.load_registered()[0]
    if each.sound and each.process is None and each.name.startswith("numpy.")
]


@pytest.mark.parametrize("loss", sorted({each.loss for each in SOUND}))
def test_the_sound_forms_of_the_field_guide_signal_nothing(loss):
    text = f"""
seed: 5
sweeps:
  all:
    losses: {loss}
    dtypes: [float16, bfloat16, float32, float64]
    labels: {{targets: all}}
    inputs:
      - {{generator: boundary, classes: [1, 2]}}
      - {{generator: gap, from: -120, to: 120, points: 61}}
"""
    names = {each.name for each in SOUND if each.loss == loss}
    report = audit(config.loads(text), select=tuple(names))
    assert len(report.measurements) == 8 * len(names)
    assert [each.cell for each in report.findings if each.kind is Kind.FP_SIGNAL] == []


def test_a_naive_form_of_the_field_guide_signals():
    text = SWEEP.replace("NAMES", "numpy.naive")
    finding = signal_of_value(audit(config.loads(text)))
    assert finding.detail.startswith("overflow encountered in exp")
    assert np.isfinite(float(finding.witness.logits))


def signal_of_value(report):
    found = [each for each in report.findings if each.kind is Kind.FP_SIGNAL]
    return next(each for each in found if each.cell.quantity == "value")


def run(folder: Path, *words: str) -> Result:
    return running.invoke(*words, cwd=folder)


LOSS = textwrap.dedent(
    """\
    import numpy as np
    def softplus(x):
        return np.where(x > 30, x, np.log1p(np.exp(x))).astype(x.dtype)
    """
)
PROGRAM = LOSS + textwrap.dedent(
    """\
    import sys
    if __name__ == "__main__":
        np.save(sys.argv[2], softplus(np.load(sys.argv[1])))
    """
)


def test_check_notes_it_and_fails_where_it_is_forbidden(tmp_path):
    (tmp_path / "losses.py").write_text(LOSS)
    words = ("check", "losses.py:softplus", "--loss=softplus", "--dtype=float32", "--workers=1")
    told = run(tmp_path, *words)
    assert told.exit_code == 0, told.stdout + told.stderr
    assert "fp-signal" in told.stdout
    told = run(tmp_path, *words, "--forbid", "fp-signal")
    assert told.exit_code == 1
    assert "fp-signal is not allowed" in told.stdout
    told = run(tmp_path, *words, "--forbid", "fp_signal")
    assert told.exit_code == 2
    assert "did you mean 'fp-signal'" in told.stderr


def test_a_program_is_heard_on_standard_error(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = f"{sys.executable} program.py {{logits}} {{out}}"
    told = run(
        tmp_path,
        "probe",
        "--loss",
        "softplus",
        "--logits",
        "1,100",
        "--dtype",
        "float32",
        "--implementation",
        command,
    )
    assert told.exit_code == 0, told.stdout + told.stderr
    assert "overflow encountered in exp" in " ".join(told.stdout.split())


def test_gradients_are_heard_too():
    def naive(x):
        return np.where(x < -50, sigmoid(x), 1 / (1 + np.exp(-x))).astype(x.dtype)

    text = SHORT.replace("VALUES", "-90, 1")
    quiet = audit(configured(text=text), extra=[mine(softplus, sigmoid)])
    assert Kind.FP_SIGNAL not in kinds(quiet)
    heard = audit(configured(text=text), extra=[mine(softplus, naive)])
    assert signal(heard).cell.quantity == "gradient"
