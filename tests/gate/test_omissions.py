"""Gates that cannot be fooled: what a configuration names and that is not audited fails it.

What is expected follows from what stands in the configurations below and from what the functions
beside them take: `mine` has no gradient, takes no parameter, and returns float32 for everything.
"""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

import xentcheck
from tests.places import ROOT
from tests.running import Result, invoke
from xentcheck import registry
from xentcheck.auditing.run import _Audit, audit_config
from xentcheck.config import loads
from xentcheck.errors import EmptySweepError
from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.model import Skip
from xentcheck.report import notebook

MINE = """
import numpy as np

def loss(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]
"""
NAMED = """
def loss_gradient(logits, labels):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    return p
"""
ANY = [{"max_ulp": "inf", "allow": ["spurious-underflow", "wrong-sign", "vanished-gradient"]}]
OWN = {"loss": "softmax_cross_entropy", "target": "mine.py:loss", "name": "mine"}


def configuration(own: object = (), limits: object = ANY, **sweep: object) -> str:
    described = {
        "losses": "softmax_cross_entropy",
        "dtypes": ["float32"],
        "implementations": ["mine"],
        "inputs": [{"generator": "normal", "rows": 3, "classes": 2, "scale": 1}],
        **sweep,
    }
    document: dict[str, object] = {"sweeps": {"small": described}}
    if own:
        document["implementations"] = [{**OWN, **dict(own)}]  # type: ignore[call-overload]
    if limits:
        document["limits"] = limits
    return yaml.safe_dump(document, sort_keys=False)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def run(place: Path, text: str, *options: str) -> Result:
    (place / "gate.yaml").write_text(text)
    return invoke("run", "gate.yaml", "--workers=1", *options)


def told(place: Path, text: str) -> set[tuple[str, str, str]]:
    """What is omitted: the reason, who, and in which dtype."""
    found = audit_config(loads(text, str(place / "gate.yaml"))).omissions
    return {(each.reason, each.implementation or each.loss, each.dtype) for each in found}


def test_a_gradient_that_is_gone_fails_in_every_format(place: Path) -> None:
    """The gradient stood beside the function when the gate was written."""
    text = configuration({"gradient": "auto"}, quantities=["value", "gradient"])
    (place / "mine.py").write_text(MINE + NAMED)
    assert run(place, text).exit_code == 0
    (place / "mine.py").write_text(MINE)
    files = ("a.github", "a.json", "a.xml", "a.sarif", "a.md", "a.txt")
    done = run(place, text, "--format=github", *(f"--output={each}" for each in files))
    assert done.exit_code == 1
    line = "1 × has no gradient: mine"
    assert f"error: not audited, though it is named: {line}" in done.stderr
    assert "--allow-skips" in done.stderr
    written = json.loads((place / "a.json").read_text())
    assert written["outcome"] == "failed"
    assert [each["reason"] for each in written["omissions"]] == ["has no gradient"]
    suites = ET.parse(place / "a.xml").getroot()
    assert suites.get("failures") == "1"
    assert line in (suites.find(".//failure").text or "")  # type: ignore[union-attr]
    results = json.loads((place / "a.sarif").read_text())["runs"][0]["results"]
    assert [(each["ruleId"], each["level"]) for each in results] == [("omission", "error")]
    assert line in results[0]["message"]["text"]
    for name in ("a.md", "a.txt", "a.github"):
        shown = (place / name).read_text()
        assert line in shown
        assert "failed, 1 omission" in shown
        assert "passed" not in shown
    report = xentcheck.read_report(place / "a.json")
    assert "failed, 1 omission" in notebook.of_report(report)
    assert "within limits" not in notebook.of_report(report)


@pytest.mark.parametrize("how", ["option", "key", "python"])
def test_skips_can_be_allowed(place: Path, how: str) -> None:
    text = configuration({"gradient": "auto"})
    assert run(place, text).exit_code == 1
    if how == "option":
        done = run(place, text, "--allow-skips")
    elif how == "key":
        done = run(place, text + "allow_skips: true\n")
    else:
        assert xentcheck.audit("gate.yaml").omissions
        assert xentcheck.audit("gate.yaml", allow_skips=True).omissions == ()
        return
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("gate passed: ")
    assert "has no gradient" in done.stdout  # told all the same


def test_a_survey_never_fails(place: Path) -> None:
    done = run(place, configuration({"gradient": "auto"}, limits=()))
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("sweep", "omitted"),
    [
        # a pattern that reaches an implementation which does not take everything
        ({"implementations": ["numpy.*"], "parameters": {"label_smoothing": [0.1]}}, set()),
        ({"implementations": ["numpy.*"], "labels": {"kind": "distribution"}}, set()),
        ({"implementations": ["numpy.*"], "losses": ["*soft*", "entropy"]}, set()),
        # no list of quantities, and no gradient was promised
        ({}, set()),
        # all of these stand there by name
        ({"quantities": ["gradient"]}, {("has no gradient", "mine", "")}),
        (
            {"implementations": ["mine", "numpy.accurate"], "quantities": ["value", "gradient"]},
            {("has no gradient", "mine", "")},
        ),
        (
            {
                "implementations": ["numpy.shifted_log_softmax"],
                "parameters": {"label_smoothing": [0, 0.1]},
            },
            {("does not take label_smoothing", "numpy.shifted_log_softmax", "float32")},
        ),
        (
            {"implementations": ["numpy.log1p"], "dtypes": ["float32", "float8_e5m2"]},
            {("does not take float8_e5m2", "numpy.log1p", "float8_e5m2")},
        ),
        (
            {"implementations": ["numpy.accurate", "mine"], "losses": ["softmax", "softplus"]},
            {("is for none of the losses of its sweep", "mine", "")},
        ),
        (
            {"losses": ["softmax_cross_entropy", "entropy"]},
            {("no implementation selected", "entropy", "")},
        ),
        # no list of dtypes: it is enough that there are some
        ({"implementations": ["numpy.accurate"], "dtypes": "all"}, set()),
    ],
)
def test_what_is_named_is_told_apart_from_what_is_reached(
    place: Path, sweep: dict[str, object], omitted: set[tuple[str, str, str]]
) -> None:
    found = told(place, configuration({"gradient": "none"}, **sweep))
    assert found == omitted


def test_a_parameter_that_is_not_taken_is_an_omission_of_what_it_would_be_taken_by(
    place: Path,
) -> None:
    """`mine` is audited with the smoothing 0 alone, the limit of both is met."""
    text = configuration({"gradient": "none"}, parameters={"label_smoothing": [0, 0.1]})
    done = run(place, text, "--format=json")
    assert done.exit_code == 1
    (skip,) = json.loads(done.stdout)["omissions"]
    assert skip["reason"] == "does not take label_smoothing"


class TestMissingFramework:
    @pytest.fixture(autouse=True)
    def no_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As where it is not installed."""
        real = registry.missing

        def missing(process: object) -> str:
            if "torch" in getattr(process, "modules", ()):
                return "torch is not installed: pip install 'xentcheck[torch]'"
            return real(process)  # type: ignore[arg-type]

        monkeypatch.setattr(registry, "missing", missing)

    REASON = "torch is not installed: pip install 'xentcheck[torch]'"

    @pytest.mark.parametrize("patterns", [["torch.*"], ["torch.*", "numpy.accurate"]])
    def test_a_pattern_of_which_nothing_is_there_fails(
        self, place: Path, patterns: list[str]
    ) -> None:
        found = told(place, configuration(implementations=patterns))
        assert found == {(self.REASON, "torch.*", "")}

    def test_among_others_it_is_a_skip(self, place: Path) -> None:
        text = configuration(implementations=["*"])
        assert told(place, text) == set()
        assert run(place, text).exit_code == 0

    def test_a_limit_that_is_for_nothing_else_fails(self, place: Path) -> None:
        text = configuration(
            implementations=["*"], limits=[*ANY, {"implementation": "torch.*", "max_ulp": "inf"}]
        )
        assert told(place, text) == {(self.REASON, "limit limits[1]", "")}

    def test_what_no_limit_is_for_may_be_missing(self, place: Path) -> None:
        text = configuration(
            implementations=["torch.*", "numpy.accurate"],
            limits=[{"implementation": "numpy.*", "max_ulp": "inf"}],
        )
        assert told(place, text) == set()

    def test_what_a_baseline_has_fails(self, place: Path) -> None:
        name = "torch.nn.functional.cross_entropy"
        (place / "known.yaml").write_text(
            "version: 1\ncells:\n- {loss: softmax_cross_entropy, dtype: float32, sweep: small, "
            f"implementation: {name}, quantity: value, rows: 6, tolerated: {{inaccurate: "
            "{rows: 1, ulp: 9}}}\n"
        )
        text = configuration(implementations=["*"])
        assert run(place, text, "--baseline=known.yaml").exit_code == 1
        done = run(place, text, "--baseline=known.yaml", "--format=json")
        (skip,) = json.loads(done.stdout)["omissions"]
        assert skip["reason"] == f"{self.REASON}; the baseline has it"
        assert skip["implementation"] == name

    def test_what_was_selected_fails(self, place: Path) -> None:
        text = configuration(implementations=["*"])
        options = ("--select=torch.*", "--select=numpy.accurate", "--format=json")
        done = run(place, text, *options)
        assert done.exit_code == 1
        omitted = json.loads(done.stdout)["omissions"]
        assert [each["implementation"] for each in omitted] == ["torch.*"]


def test_an_interrupted_run_says_nothing_of_what_it_did_not_reach(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: object, *_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Audit, "_announce", stop)
    report = audit_config(loads(configuration({"gradient": "auto"}), str(place / "gate.yaml")))
    assert report.interrupted
    assert report.omissions == ()
    assert outcome(report) is Outcome.INTERRUPTED


class TestCheck:
    def test_auto_without_a_gradient_is_a_note(self, place: Path) -> None:
        done = check("--max-ulp=inf", *ALLOWED)
        assert done.exit_code == 0, done.output
        assert "only the value is checked" in done.stderr

    def test_a_parameter_that_is_not_taken(self, place: Path) -> None:
        done = check("--param=label_smoothing=0.1", "--max-ulp=inf", *ALLOWED)
        assert done.exit_code == 3
        assert "does not take label_smoothing" in done.stderr

    def test_quantities_in_python_are_required(self, place: Path) -> None:
        both = ("value", "gradient")
        allow = ("wrong-sign", "spurious-underflow", "row-dependent")
        kwargs = {"quantities": both, "max_ulp": float("inf"), "allow": allow, "dtypes": "float32"}
        found = xentcheck.audit("mine.py:loss", "softmax_cross_entropy", **kwargs)
        assert [each.reason for each in found.omissions] == ["has no gradient"]
        assert outcome(found) is Outcome.FAILED
        with pytest.raises(EmptySweepError, match="gradient was not audited"):
            xentcheck.assert_accurate("mine.py:loss", "softmax_cross_entropy", **kwargs)
        kwargs["allow_skips"] = True
        assert xentcheck.assert_accurate("mine.py:loss", "softmax_cross_entropy", **kwargs)


ALLOWED = ("--allow=wrong-sign", "--allow=spurious-underflow", "--dtype=float32")


def check(*options: str) -> Result:
    words = ["check", "mine.py:loss", "--loss=softmax_cross_entropy", "--workers=1", *options]
    return invoke(*words)


@pytest.mark.slow
def test_the_shipped_gate_names_nothing_that_is_not_audited() -> None:
    gate = ROOT / "configs" / "gate.yaml"
    done = invoke("run", str(gate), "--format=json", "--workers=1")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["omissions"] == []


def test_what_is_omitted_survives_the_document(place: Path) -> None:
    run(place, configuration({"gradient": "auto"}), "--format=json", "--output=a.json")
    report = xentcheck.read_report(place / "a.json")
    expected = Skip("has no gradient", "softmax_cross_entropy", "mine", quantity="gradient")
    assert report.omissions == (expected,)
