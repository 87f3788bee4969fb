"""`check --invariants`, with a loss and without: what it asks, says and ends with."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.running import Result, invoke
from xentcheck import audit
from xentcheck.errors import UsageError
from xentcheck.losses.invariants import INVARIANTS, NO_LOSS
from xentcheck.model import Kind
from xentcheck.report import document
from xentcheck.report.formats import NAMES, rendered
from xentcheck.report.words import replay_command

CODE = """
import numpy as np

def naive(x, y):
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(x)), y])

def good(x, y):
    gaps = x - x.max(axis=1, keepdims=True)
    return np.log(np.exp(gaps).sum(axis=1)) - gaps[np.arange(len(x)), y]

def good_gradient(x, y):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True) - np.eye(x.shape[1], dtype=x.dtype)[y]

def lse(x):
    m = x.max(axis=1)
    return np.log(np.exp(x - m[:, None]).sum(axis=1)) + m

def softmax(x):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)

def bce(x, z):
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))

def mean(x, y):
    return good(x, y).mean()

def off(x, y):
    return good(x, y) + 1e-7 * (x[:, 0] > x[:, -1])

def refuses(x, y):
    raise ValueError("no")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text(CODE)
    return tmp_path


def check(target: str, names: str, *more: str) -> Result:
    return invoke("check", f"f.py:{target}", "--invariants", names, "--dtype", "float32", *more)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("good", "shift,permutation,nonnegative,decreasing,one-hot,gradient-sum"),
        ("lse", "shift-equivariance,permutation,increasing"),
        ("softmax", "shift,permutation,probability,probability-sum"),
        ("bce", "reflection,nonnegative,decreasing"),
    ],
)
def test_what_keeps_its_invariants_passes_without_a_loss(
    place: Path, target: str, names: str
) -> None:
    ran = check(target, names)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("gate passed: ")
    assert f"{', '.join(names.split(','))}; no exact result is known" in " ".join(
        ran.stdout.split()
    )
    assert "rows asked" in ran.stdout


@pytest.mark.parametrize(
    ("target", "names", "broken"),
    [
        ("naive", "shift", "shift"),
        ("naive", "nonnegative", "nonnegative"),  # NaN is not at least 0
        ("lse", "shift", "shift"),
        ("lse", "nonnegative", "nonnegative"),
    ],
)
def test_what_breaks_one_fails_with_the_row_that_shows_it(
    place: Path, target: str, names: str, broken: str
) -> None:
    ran = check(target, names, "--format=json", "--output=it.json")
    assert ran.exit_code == 1, ran.output
    report = document.read("it.json")
    (cell,) = {(each.cell.loss, each.cell.implementation) for each in report.findings}
    assert cell == (NO_LOSS, f"f.py:{target}")
    assert {each.kind for each in report.findings} == {Kind.INVARIANT}
    assert len(report.violations) == len(report.findings)
    for each in report.findings:
        assert each.detail.startswith(f"{broken}: ")
        assert each.witness is not None
        assert np.isfinite(each.witness.logits).all()


def test_its_report_reads_back_and_is_written_in_every_format(place: Path) -> None:
    ran = check("naive", "shift,permutation", "--format=json", "--output=it.json")
    assert ran.exit_code == 1
    report = document.read("it.json")
    assert document.to_json(report) == Path("it.json").read_text()
    for form in NAMES:
        assert "naive" in rendered(report, form, 100, color=False)


def test_the_finding_is_replayed_by_the_same_check(place: Path) -> None:
    ran = check("naive", "shift,permutation", "--seed", "3", "--format=json", "--output=it.json")
    assert ran.exit_code == 1
    report = document.read("it.json")
    (command,) = {tuple(replay_command(report, each)) for each in report.findings}
    expected = "check f.py:naive --invariants shift,permutation --dtype float32 --seed 3"
    assert command == ("xentcheck", *expected.split())
    again = invoke(*command[1:], "--format=json")
    assert again.exit_code == 1
    assert again.stdout == Path("it.json").read_text()


def test_a_kind_is_allowed_there_too(place: Path) -> None:
    assert check("naive", "shift", "--allow", "invariant").exit_code == 0


def test_a_function_that_raises_is_a_finding_or_cannot_be_called(place: Path) -> None:
    ran = check("refuses", "shift")
    assert ran.exit_code == 2
    assert "f.py:refuses: ValueError: no" in ran.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("f.py:good",), "Missing option '--loss'"),
        (("f.py:good", "--invariants", "shfit"), "did you mean 'shift'?"),
        (("f.py:good", "--invariants", "none"), "none goes with a loss"),
        (("f.py:good", "--invariants", "exchange"), "it goes with --loss"),
        (("f.py:good", "--invariants", "shift,reflection"), "reflection is about elementwise"),
        (("f.py:good", "--invariants", "shift", "--max-ulp", "4"), "--max-ulp goes with --loss"),
        (("f.py:good", "--invariants", "shift", "--param", "a=1"), "--param goes with --loss"),
        (("f.py:mean", "--invariants", "shift"), "returns one number for a whole block"),
        (("f.py:softmax", "--invariants", "increasing"), "increasing: not with one number per cl"),
        (
            ("f.py:lse", "--invariants", "shift", "--loss", "logsumexp"),
            "logsumexp does not have the invariant shift",
        ),
    ],
)
def test_an_impossible_question_is_one_clear_line(
    place: Path, words: tuple[str, ...], message: str
) -> None:
    ran = invoke("check", *words)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_with_a_loss_only_the_named_ones_are_asked_beside_the_reference(place: Path) -> None:
    loose = ("--loss", "softmax_cross_entropy", "--or-abs", "1e-4", "--or-rel", "1e-4")
    loose += ("--dtype", "float64", "--gradient", "none", "--allow", "spurious-underflow")
    found = {}
    for names in ("none", "shift", "permutation"):
        ran = invoke("check", "f.py:off", *loose, "--invariants", names, "--format", "json")
        document_ = json.loads(ran.stdout)
        found[names] = [
            each["detail"] for each in document_["findings"] if each["kind"] == "invariant"
        ]
        assert document_["config"]["invariants"] == ([] if names == "none" else [names])
    assert not found["none"]
    assert found["permutation"]
    assert all(each.startswith("permutation") for each in found["permutation"])
    # without a choice, what only a loose bound allows is not asked: a bound that passes, passes
    ran = invoke("check", "f.py:off", *loose, "--format", "json")
    assert not [e for e in json.loads(ran.stdout)["findings"] if e["kind"] == "invariant"]


def test_the_list_says_what_rounding_explains(place: Path) -> None:
    ran = invoke("list", "invariants", "--format", "json")
    entries = json.loads(ran.stdout)["invariants"]
    assert [each["name"] for each in entries] == list(INVARIANTS)
    assert "rounding explains" in invoke("list", "invariants", "shift").stdout
    assert "invariants: shift," in invoke("list", "losses", "softmax_cross_entropy").stdout


def good(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    gaps = x - x.max(axis=1, keepdims=True)
    return np.log(np.exp(gaps).sum(axis=1)) - gaps[np.arange(len(x)), y]


def test_python_asks_a_function_of_this_process() -> None:
    report = audit(good, invariants=["shift", "nonnegative"], dtypes="float32", gradient=None)
    assert report.passed
    assert {each.cell.loss for each in report.measurements} == {NO_LOSS}
    wrong = audit(lambda x, y: -good(x, y), invariants="nonnegative", dtypes="float32")
    assert not wrong.passed
    with pytest.raises(UsageError, match="max_ulp goes with loss="):
        audit(good, invariants="shift", max_ulp=4)
    with pytest.raises(UsageError, match="loss= has to say"):
        audit(good)


def test_the_same_seed_gives_the_same_report(place: Path) -> None:
    one, other = (check("naive", "shift,permutation", "--format=json") for _ in range(2))
    assert one.stdout == other.stdout
