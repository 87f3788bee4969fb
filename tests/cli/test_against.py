"""`check --against`: what it prints, writes and ends with."""

import json

import numpy as np
import pytest

import xentcheck
from tests.running import invoke
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.gate import baseline_file
from xentcheck.report import document

LOSS = """
import numpy as np


def naive(x):
    return np.log(1 + np.exp(x))


def sound(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def same(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)
"""

CHECK = ("--loss", "softplus", "--dtype", "float32", "--gradient", "none")


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(LOSS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flat(text):
    return " ".join(text.split())


def test_a_gate_against_a_peer_by_its_name_and_by_its_file(place):
    done = invoke(
        "check",
        "mine.py:naive",
        *CHECK,
        "--against",
        "numpy.accurate",
        "--against",
        "mine.py:sound",
    )
    assert done.exit_code == 1
    told = flat(done.stdout)
    assert "float32 value: worse than numpy.accurate on" in told
    assert "float32 value: worse than mine.py:sound on" in told
    assert "the implementation, not the precision" in told
    assert "limit no row worse than numpy.accurate's" in told
    # its overflow stands first, and no bound excuses that
    assert "no bound would pass: spurious-overflow is not allowed at any" in told


def test_what_is_no_worse_passes_though_it_is_beyond_four_ulp(place):
    (place / "again.py").write_text(LOSS)
    alone = invoke("check", "mine.py:naive", *CHECK)
    assert alone.exit_code == 1
    done = invoke("check", "mine.py:naive", *CHECK, "--against", "again.py:naive")
    assert done.exit_code == 0
    told = flat(done.stdout)
    assert "float32 value: no worse than again.py:naive on" in told
    assert "are no better there: the precision, or a formula that both share" in told
    done = invoke("check", "mine.py:naive", *CHECK, "--against", "again.py:naive", "--max-ulp", "4")
    assert done.exit_code == 1


def test_other_roundings_of_one_formula_are_no_worse(place):
    assert invoke("check", "mine.py:sound", *CHECK, "--against", "mine.py:same").exit_code == 0
    assert invoke("check", "mine.py:same", *CHECK, "--against", "mine.py:sound").exit_code == 0


def test_every_format_tells_it(place):
    names = ("it.json", "it.md", "it.xml", "it.sarif", "it.csv")
    outputs = [f"--output={name}" for name in names]
    invoke("check", "mine.py:naive", *CHECK, "--against", "numpy.accurate", *outputs)
    report = document.read("it.json")
    written = json.loads((place / "it.json").read_text())
    assert written["config"]["against"] == ["numpy.accurate"]
    assert {each["rule"] for each in written["violations"]} == {"against numpy.accurate"}
    assert document.to_json(report) == (place / "it.json").read_text()
    worse = sum(each["worse"] for each in written["contests"])
    assert worse == sum(each["rows"] for each in written["violations"]) > 0
    assert "worse than numpy.accurate on" in (place / "it.md").read_text().replace("&#46;", ".")
    assert "against numpy.accurate" in (place / "it.xml").read_text()
    results = json.loads((place / "it.sarif").read_text())["runs"][0]["results"]
    assert {each["ruleId"] for each in results} == {"against"}


def test_a_peer_that_is_not_there_fails_the_gate_unless_skips_are_allowed(place, monkeypatch):
    words = ("check", "mine.py:sound", *CHECK, "--against", "torch.nn.functional.softplus")
    monkeypatch.setattr(
        "xentcheck.registry.missing",
        lambda process: "torch is not installed" if process.name == "torch" else "",
    )
    done = invoke(*words)
    assert done.exit_code == 1
    assert "not audited, though it is named: 1 × torch is not installed" in flat(done.stderr)
    assert invoke(*words, "--allow-skips").exit_code == 0


@pytest.mark.parametrize(
    ("against", "told"),
    [
        ("numpy.acurate", "unknown implementation 'numpy.acurate'; did you mean 'numpy.accurate'?"),
        ("mine.py:sound", "mine.py:sound against itself: name another implementation"),
        ("mine.py:nothing", "nothing"),
    ],
)
def test_what_cannot_be_a_peer(place, against, told):
    done = invoke("check", "mine.py:sound", *CHECK, "--against", against)
    assert done.exit_code == 2
    assert told in flat(done.stderr)


def naive(x):
    return np.log(1 + np.exp(x))


def sound(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def test_python_takes_names_and_functions():
    how = {"dtypes": "float32", "gradient": None}
    report = xentcheck.audit(naive, "softplus", against=[sound, "numpy.accurate"], **how)
    assert report.passed is False
    assert {each.peer for each in report.contests} == {f"{__name__}:sound", "numpy.accurate"}
    assert xentcheck.audit(sound, "softplus", against="numpy.accurate", **how).passed
    with pytest.raises(AssertionError, match=r"against numpy\.accurate|no row worse than"):
        xentcheck.assert_accurate(naive, "softplus", against="numpy.accurate", **how)
    with pytest.raises(UnknownNameError):
        xentcheck.audit(sound, "softplus", against="nobody", **how)
    with pytest.raises(UsageError, match="expected names of implementations, or functions"):
        xentcheck.audit(sound, "softplus", against=3, **how)
    with pytest.raises(UsageError, match="against: goes with loss="):
        xentcheck.audit({"sweeps": {}}, against="numpy.accurate")


CONFIGURED = """
sweeps:
  small:
    losses: softplus
    dtypes: float32
    implementations: numpy.naive
    quantities: value
    inputs: {generator: normal, scale: 20, rows: 40}
limits:
  - {implementation: numpy.naive, against: numpy.accurate}
"""


def test_a_configuration_names_peers_and_a_baseline_keeps_them(place):
    (place / "gate.yaml").write_text(CONFIGURED)
    assert invoke("run", "gate.yaml").exit_code == 1
    assert invoke("run", "gate.yaml", "--write-baseline", "base.yaml").exit_code == 0
    (entry,) = baseline_file.load("base.yaml").entries
    assert "against numpy.accurate" in entry.faults
    assert invoke("run", "gate.yaml", "--baseline", "base.yaml").exit_code == 0
    text = (place / "gate.yaml").read_text()
    (place / "gate.yaml").write_text(
        text.replace("against: numpy.accurate", "against: numpy.nobody")
    )
    done = invoke("run", "gate.yaml")
    assert done.exit_code == 2
    assert "no implementation is called 'numpy.nobody'" in done.stderr
