"""Usual tests of a finding: verdicts that are worked out by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xentcheck import registry
from xentcheck.implementations.user.command import Command
from xentcheck.losses import LOSSES
from xentcheck.measurement.usual_tests import (
    ALLCLOSE,
    ASSERT_CLOSE,
    FLOAT64,
    GRADCHECK,
    SCIPY,
    TORCH_TOLERANCES,
    case_of,
    rows_of,
    usual_tests,
)
from xentcheck.model import (
    Array,
    Cell,
    Finding,
    Implementation,
    Input,
    InputSpec,
    Kind,
    LabelKind,
    Quantity,
    Report,
    Sweep,
    UsualTest,
    Witness,
)
from xentcheck.report import document, words
from xentcheck.report.words import usual_text

SOFTPLUS, CE = "softplus", "softmax_cross_entropy"
ALL = ("float16", "bfloat16", "float32", "float64")


def softplus(x: Array) -> Array:
    return np.logaddexp(x, np.zeros((), x.dtype)).astype(x.dtype)


def sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x.astype(np.float64)))
    return (np.where(x >= 0, 1.0, small) / (1 + small)).astype(x.dtype)


def naive(x: Array) -> Array:
    """0 below about -16.6 in float32, and below about -36.7 in float64."""
    return np.log(1 + np.exp(x)).astype(x.dtype)


def implementation(
    value: Callable[..., Any] | None, gradient: Callable[..., Any] | None = None, **more: Any
) -> Implementation:
    made = Implementation(SOFTPLUS, "mine", value, gradient, ALL, tuple(LabelKind), frozenset())
    return replace(made, **more)


def finding(
    logits: Any,
    dtype: str = "float32",
    quantity: Quantity = Quantity.VALUE,
    kind: Kind = Kind.SPURIOUS_UNDERFLOW,
    **more: Any,
) -> Finding:
    given = Input(np.asarray(logits, dtype=np.dtype(dtype)), None, {})
    found = Finding(kind, Cell(SOFTPLUS, "mine", dtype, quantity, "s"), 1, Witness(given))
    return replace(found, **more)


def verdicts(tests: tuple[UsualTest, ...]) -> dict[str, bool | None]:
    return {each.name: each.passes for each in tests}


@pytest.fixture(autouse=True)
def _without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.missing
    monkeypatch.setattr(
        registry,
        "missing",
        lambda process: (
            "scipy is not installed: pip install it" if process.name == "scipy" else real(process)
        ),
    )


def test_zero_in_place_of_four_billionths_is_seen_by_nobody() -> None:
    # softplus(-19.3369) = exp(ln 4e-9 + 7.2e-5) < atol 1e-8 of allclose and 1e-5 of assert_close
    tests = usual_tests(finding(-19.3369), implementation(naive, sigmoid))
    assert verdicts(tests) == {
        ALLCLOSE: True,
        ASSERT_CLOSE: True,
        FLOAT64: True,  # in float64 it is 4.0e-9, and 1e-5 is allowed
        SCIPY: None,
        GRADCHECK: True,  # in float64 nothing is wrong
    }
    assert tests[0].reason == "0 beside 4.00028e-09: 4e-09 off, 1e-08 allowed"
    assert tests[3].reason == "scipy is not installed"


@pytest.mark.parametrize(
    ("off", "allclose", "assert_close"),
    [
        # of 1 + 1: allclose allows 1e-8 + 2e-5, assert_close 1e-5 + 2.6e-6 in float32
        (1.2e-5, True, True),
        (1.3e-5, True, False),
        (1.9e-5, True, False),
        (2.1e-5, False, False),
    ],
)
def test_tolerances_are_those_of_the_libraries(
    off: float, *, allclose: bool, assert_close: bool
) -> None:
    # softplus(1.8545865) = ln(1 + e^1.8545865) = 2.0000000
    tests = usual_tests(finding(1.8545865), implementation(lambda x: np.full_like(x, 2.0 + off)))
    assert verdicts(tests)[ALLCLOSE] is allclose
    assert verdicts(tests)[ASSERT_CLOSE] is assert_close


def test_a_nan_is_close_to_nothing() -> None:
    tests = usual_tests(
        finding(0.5, kind=Kind.NAN), implementation(lambda x: np.full_like(x, np.nan))
    )
    assert verdicts(tests)[ALLCLOSE] is False
    # the float64 run is NaN as well, and by default NaN is not equal to NaN
    assert verdicts(tests)[FLOAT64] is False


def test_a_mistake_in_every_dtype_escapes_the_float64_comparison() -> None:
    tests = usual_tests(finding(1.0), implementation(lambda x: softplus(x) + x.dtype.type(0.25)))
    assert verdicts(tests)[ASSERT_CLOSE] is False
    assert verdicts(tests)[FLOAT64] is True


def test_a_wrong_gradient_shows_in_finite_differences_and_a_lost_tail_does_not() -> None:
    wrong = implementation(softplus, lambda x: 1.01 * sigmoid(x))
    # at 0 the slope is 1/2: 0.005 off, 1e-5 + 5e-4 allowed
    assert verdicts(usual_tests(finding(0.0), wrong))[GRADCHECK] is False
    lost = implementation(softplus, lambda x: np.where(x < -15, x.dtype.type(0), sigmoid(x)))
    # at -16 it is 1.1e-7, and 1e-5 is allowed
    tests = usual_tests(finding(-16.0, quantity=Quantity.GRADIENT), lost)
    assert verdicts(tests)[GRADCHECK] is True


@pytest.mark.parametrize(
    ("made", "name", "reason"),
    [
        (implementation(softplus), GRADCHECK, "it has no gradient"),
        (
            implementation(softplus, sigmoid, dtypes=("float32",)),
            GRADCHECK,
            "it does not take float64",
        ),
        (implementation(softplus, dtypes=("float32",)), FLOAT64, "it does not take float64"),
    ],
)
def test_what_cannot_be_tried_says_why(made: Implementation, name: str, reason: str) -> None:
    (found,) = [each for each in usual_tests(finding(1.0), made) if each.name == name]
    assert (found.passes, found.reason) == (None, reason)


def test_a_finding_in_float64_is_not_compared_with_float64() -> None:
    tests = usual_tests(finding(1.0, "float64"), implementation(softplus))
    assert verdicts(tests)[FLOAT64] is None


def test_a_program_is_not_run_and_what_never_comes_back_is_not_called() -> None:
    program = Command(("false", "{out}"))
    assert not any(verdicts(usual_tests(finding(1.0), implementation(program))).values())
    called: list[Array] = []
    tests = usual_tests(finding(1.0, kind=Kind.TIMED_OUT), implementation(called.append))
    assert set(verdicts(tests).values()) == {False}
    assert not called


def test_an_exception_fails_every_test_that_calls() -> None:
    def value(x: Array) -> Array:
        raise ValueError

    tests = verdicts(usual_tests(finding(1.0, kind=Kind.RAISED), implementation(value)))
    assert tests[ALLCLOSE] is False
    assert tests[FLOAT64] is False


def test_nothing_is_tried_without_a_witness_or_a_loss() -> None:
    assert usual_tests(finding(1.0, witness=None), implementation(softplus)) == ()
    unknown = replace(finding(1.0), cell=Cell("(none)", "mine", "float32", Quantity.VALUE, "s"))
    assert usual_tests(unknown, implementation(softplus)) == ()


def test_the_rows_of_the_sweep_are_tried_beside_the_witness() -> None:
    spec = InputSpec("explicit", {"values": [-19.3369, 0.0, 100.0, float("nan")]})
    sweep = Sweep("s", (SOFTPLUS,), ("float32",), (spec,))
    blocks = rows_of(sweep, LOSSES[SOFTPLUS], "float32", 0)
    assert sum(block.rows for block in blocks) == 3  # NaN is left out
    # exp(100) overflows in float32, so the value is inf there: every test fails on that row
    with np.errstate(over="ignore"):
        tests = usual_tests(finding(-19.3369), implementation(naive), blocks=blocks)
    assert [(each.passes, each.on_sweep, each.rows) for each in tests[:3]] == [(True, False, 3)] * 3


def test_calls_are_told() -> None:
    said: list[str] = []
    usual_tests(finding(1.0), implementation(softplus, sigmoid), said.append)
    assert said[::2] == ["mine"] * (len(said) // 2)
    assert set(said[1::2]) == {""}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_tolerances_are_torchs_own(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rtol, atol = TORCH_TOLERANCES[dtype]
    ones = torch.ones((), dtype=getattr(torch, dtype))
    torch.testing.assert_close(ones, ones, rtol=rtol, atol=atol)
    table = torch.testing._comparison.default_tolerances(ones)
    assert table == (rtol, atol)


def test_the_witness_of_rows_of_classes_is_the_row_again() -> None:
    weight = np.array([1.0, 2.0], dtype=np.float32)
    given = Input(np.array([3.0, 4.0], dtype=np.float32), np.array(1), {"weight": weight})
    cell = Cell(CE, "mine", "float32", Quantity.VALUE, "s")
    case = case_of(Finding(Kind.NAN, cell, 1, Witness(given)))
    assert case.logits.tolist() == [[3.0, 4.0]]
    assert case.label_kind is LabelKind.INTEGER
    assert np.asarray(case.labels).tolist() == [1]
    assert case.parameters["weight"] is weight
    soft = replace(given, labels=np.array([0.25, 0.75], dtype=np.float32), parameters={})
    case = case_of(Finding(Kind.NAN, cell, 1, Witness(soft)))
    assert case.label_kind is LabelKind.DISTRIBUTION
    noise = replace(given, labels=np.array(0), parameters={"noise": weight})
    case = case_of(Finding(Kind.NAN, replace(cell, loss="softmax"), 1, Witness(noise)))
    assert np.asarray(case.parameters["noise"]).shape == (1, 2)


TESTS = (
    UsualTest(ALLCLOSE, True, "a", on_sweep=False, rows=190),
    UsualTest(ASSERT_CLOSE, True, "b", on_sweep=True, rows=190),
    UsualTest(FLOAT64, False, "c", on_sweep=False, rows=190),
    UsualTest(SCIPY, None, "SciPy has no gradient"),
    UsualTest(GRADCHECK, True, "d"),
)


def test_one_line_says_it() -> None:
    assert usual_text(TESTS) == (
        "numpy.allclose would pass here, and fail elsewhere in the sweep (190 rows tried); "
        "torch.testing.assert_close and gradcheck would pass; a float64 comparison would fail; "
        "a SciPy comparison was not made: SciPy has no gradient"
    )
    assert usual_text(()) == ""


def test_the_results_are_in_the_report_and_read_back() -> None:
    found = finding(1.0, usual=TESTS)
    report = Report({}, 0, {}, (), (found,), (), (), (), gated=False)
    assert ("tests", usual_text(TESTS)) in words.finding_lines(report, found)
    text = document.to_json(report)
    assert json.loads(text)["findings"][0]["usual"][3] == {
        "name": SCIPY,
        "passes": None,
        "reason": "SciPy has no gradient",
        "on_sweep": None,
        "rows": 0,
    }
    again = document.from_json(text, "it.json")
    assert again.findings[0].usual == TESTS
    older = json.loads(text)
    del older["findings"][0]["usual"]  # a report of an older version
    assert document.from_json(json.dumps(older), "it.json").findings[0].usual == ()
