"""What `check` holds a loss to by default: textbook-stable forms pass it, careless ones do not."""

import json
from pathlib import Path

import numpy as np
import pytest

import xentcheck
from tests.running import invoke
from xentcheck.auditing.check import CHECK_TOLERANCE, Check
from xentcheck.model import Kind, Tolerance

FORMS = '''
import numpy as np

def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

def others(x):
    """The largest logit, and the sum of the other classes' exponentials below it."""
    at = x.argmax(axis=-1)[:, None]
    top = np.take_along_axis(x, at, 1)
    with np.errstate(invalid="ignore"):
        e = np.exp(x - top)
    np.put_along_axis(e, at, 0, 1)
    return top, e.sum(axis=-1, keepdims=True)

def log_softmax(x):
    top, rest = others(x)
    with np.errstate(invalid="ignore"):
        return (x - top) - np.log1p(rest)

def logsumexp(x):
    top, rest = others(np.where(np.isfinite(x).any(axis=1, keepdims=True), x, 0).astype(x.dtype))
    plain = (top + np.log1p(rest))[:, 0]
    largest = x.max(axis=1)
    return np.where(np.isfinite(largest), plain, largest).astype(x.dtype)

def absorbed(x):
    """log of a sum that holds the largest term: a small result is lost in it."""
    top, rest = others(x)
    with np.errstate(invalid="ignore"):
        return (x - top) - np.log(1 + rest)

def sigmoid(x):
    return 1 / (1 + np.exp(-x))
'''


@pytest.fixture
def forms(tmp_path: Path) -> Path:
    path = tmp_path / "forms.py"
    path.write_text(FORMS)
    return path


def check(path, name, *more):
    """(exit status, what was printed) of `check` of a function without a gradient."""
    loss = "log_softmax" if name == "absorbed" else name
    how = ("--loss", loss, "--gradient", "none", "--workers", "1")
    done = invoke("check", f"{path.name}:{name}", *how, *more, cwd=path.parent)
    return done.exit_code, done.stdout


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_textbook_stable_forms_pass(forms, name):
    status, printed = check(forms, name)
    assert status == 0, printed


@pytest.mark.parametrize(
    ("name", "kind"), [("sigmoid", "spurious-underflow"), ("absorbed", "inaccurate")]
)
def test_careless_ones_do_not(forms, name, kind):
    status, printed = check(forms, name)
    assert status == 1
    assert kind in printed
    assert "max_ulp 4 or_excess_bits 2" in printed


def test_the_line_says_which_of_the_two_was_met(forms):
    status, printed = check(forms, "softmax", "--dtype", "float32", "-v")
    assert status == 0
    assert "explained by conditioning: " in printed
    _, text = check(forms, "softmax", "--dtype", "float32", "--format", "json")
    document = json.loads(text)
    assert document["config"]["max_ulp"] == 4
    assert document["config"]["or_excess_bits"] == 2
    met = {each["met"] for each in document["measurements"] if each["max_ulp"] > 4}
    assert met == {"or_excess_bits"}
    assert {each["met"] for each in document["measurements"] if each["max_ulp"] <= 4} == {None}


def test_a_bound_of_the_ulps_replaces_the_default_and_nothing_else_is_meant(forms):
    assert check(forms, "softmax", "--max-ulp", "4")[0] == 1
    assert check(forms, "softmax", "--max-ulp", "4", "--or-excess-bits", "2")[0] == 0
    # as in YAML: without a bound of the ulps beside it, there is none
    assert check(forms, "softmax", "--max-excess-bits", "2")[0] == 0
    assert check(forms, "softmax", "--max-excess-bits", "0")[0] == 1


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({}, CHECK_TOLERANCE),
        ({"or_abs": 1e-6}, Tolerance(4.0, or_abs=1e-6, or_excess_bits=2.0)),
        ({"or_excess_bits": 3}, Tolerance(4.0, or_excess_bits=3)),
        ({"max_ulp": 1}, Tolerance(1)),
        ({"max_excess_bits": 2}, Tolerance(np.inf, max_excess_bits=2)),
        ({"p99_ulp": 2}, Tolerance(np.inf, p99_ulp=2)),
        (
            {"p99_ulp": 2, "max_ulp": 9, "or_excess_bits": 1},
            Tolerance(9, 0, 0, False, np.inf, 2, 1),
        ),
    ],
)
def test_the_bounds_of_a_check(given, want):
    assert Check(**given).tolerance == want


def test_python_has_the_same_default():
    def shifted(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    report = xentcheck.audit(shifted, "softmax", dtypes="float32", gradient=None)
    assert not report.violations
    strict = xentcheck.audit(shifted, "softmax", dtypes="float32", gradient=None, max_ulp=4)
    assert {each.finding.kind for each in strict.violations} == {Kind.INACCURATE}
