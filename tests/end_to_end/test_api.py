"""The Python interface: it gives what the commands give, and explains what it refuses."""

import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentcheck
import xentcheck.api
from tests.running import invoke
from xentcheck import registry
from xentcheck.auditing.run import audit_config
from xentcheck.errors import (
    ConfigError,
    EmptySweepError,
    TargetError,
    UncertifiedError,
    UnknownNameError,
    UsageError,
    XentcheckError,
)
from xentcheck.execution import hosts
from xentcheck.model import Config, Kind, Process, Report
from xentcheck.report.document import to_document
from xentcheck.report.formats import csv

CE = "softmax_cross_entropy"
BCE = "sigmoid_binary_cross_entropy"
SWEEPS: dict[str, Any] = {
    "sweeps": {
        "small": {
            "losses": [CE],
            "dtypes": ["float32"],
            "implementations": ["numpy.naive", "numpy.accurate"],
            "inputs": [{"generator": "explicit", "values": [[20, 0, 0], [1000, 2000, 3000]]}],
        }
    }
}
YAML = """\
sweeps:
  small:
    losses: [softmax_cross_entropy]
    dtypes: [float32]
    implementations: [numpy.naive, numpy.accurate]
    inputs:
      - {generator: explicit, values: [[20, 0, 0], [1000, 2000, 3000]]}
"""
SOURCE = """\
import numpy as np


def naive(logits, labels):
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))


def naive_gradient(logits, labels):
    e = np.exp(logits)
    gradient = e / e.sum(axis=1, keepdims=True)
    gradient[np.arange(len(e)), labels] -= 1
    return gradient


def slope(logits, labels):
    return np.full_like(logits, np.nan)


class Holder:
    @staticmethod
    def loss(logits, labels):
        return naive(logits, labels)

    loss_gradient = staticmethod(slope)
"""


def naive(logits: Any, labels: Any) -> Any:
    """The textbook's loss."""
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))


def sound(logits: Any, labels: Any) -> Any:
    """In float64, and every sum without its largest term: right to a few ulps of float32."""
    x = logits.astype(np.float64)
    rows = np.arange(len(x))
    target = x[rows, labels]
    shifted = x - target[:, None]
    shifted[rows, labels] = -np.inf
    top = np.maximum(shifted.max(axis=1), 0)
    rest = np.exp(shifted - top[:, None]).sum(axis=1)
    value = np.where(top > 0, top + np.log(rest + np.exp(-top)), np.log1p(rest))
    impossible = (target == -np.inf) & (x.max(axis=1) > -np.inf)
    return np.where(impossible, np.inf, value).astype(logits.dtype)


def softplus(x: Any) -> Any:
    """Right to an ulp or so."""
    return np.logaddexp(np.zeros((), x.dtype), x)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a configuration and a module of losses, which is imported from there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "survey.yaml").write_text(YAML)
    (tmp_path / "losses5.py").write_text(SOURCE)
    yield tmp_path
    sys.modules.pop("losses5", None)


def losses() -> Any:
    import losses5

    return losses5


def by_cell(report: Report) -> dict[tuple[str, str, str], tuple[float, dict[Kind, int]]]:
    return {
        (m.cell.dtype, m.cell.quantity, m.cell.sweep): (m.max_ulp, dict(m.counts))
        for m in report.measurements
    }


class TestNames:
    def test_importing_xentcheck_imports_nothing_heavy(self) -> None:
        code = (
            "import sys; before = set(sys.modules); import xentcheck; "
            "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        heavy = {"numpy", "mpmath", "rich", "click", "yaml", "ml_dtypes", "importlib"}
        assert not heavy & set(done.stdout.split())

    def test_every_public_name_is_there(self) -> None:
        assert set(xentcheck.__all__) <= set(dir(xentcheck))
        for name in xentcheck.__all__:
            assert getattr(xentcheck, name) is not None
        assert xentcheck.audit is xentcheck.api.audit

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'audits'"):
            _ = xentcheck.audits


class TestConfigurations:
    def test_a_path_gives_the_report_of_run(self, place: Path) -> None:
        result = invoke("run", "survey.yaml", "--format", "json")
        assert to_document(xentcheck.audit("survey.yaml")) == json.loads(result.stdout)

    def test_a_mapping_is_read_as_its_yaml(self, place: Path) -> None:
        written = to_document(xentcheck.audit(Path("survey.yaml")))
        given = to_document(xentcheck.audit(SWEEPS))
        assert given["measurements"] == written["measurements"]
        assert given["measurements"]

    def test_numbers_of_a_mapping_may_be_numpys(self) -> None:
        inputs = {"generator": "explicit", "values": np.array([[1.0, np.inf], [1e-30, -1e30]])}
        sweep = {**SWEEPS["sweeps"]["small"], "inputs": (inputs,), "dtypes": np.array(["float64"])}
        report = xentcheck.audit({"seed": np.int64(3), "sweeps": {"small": sweep}})
        shown = {float(x) for m in report.measurements if m.witness for x in m.witness.logits}
        assert shown <= {1.0, math.inf, 1e-30, -1e30}
        assert report.seed == 3

    def test_a_checked_configuration_is_taken_as_it_is(self) -> None:
        config = xentcheck.api.config.loads(YAML)
        assert isinstance(config, Config)
        assert by_cell(xentcheck.audit(config)) == by_cell(xentcheck.audit(SWEEPS))

    def test_all_problems_of_a_mapping_come_at_once_without_lines(self) -> None:
        sweep = {**SWEEPS["sweeps"]["small"], "losses": ["softmax"], "dtypes": ["float33"]}
        with pytest.raises(ConfigError) as caught:
            xentcheck.audit({"sweeps": {"small": sweep}, "limit": []})
        problems = str(caught.value)
        assert "unknown dtype 'float33'" in problems
        assert "limit" in problems
        assert not re.search(r"^\d", problems, re.MULTILINE)

    def test_select_and_seed_are_those_of_run(self, place: Path) -> None:
        report = xentcheck.audit("survey.yaml", select="numpy.acc*", seed=7)
        assert {m.cell.implementation for m in report.measurements} == {"numpy.accurate"}
        assert report.seed == 7

    def test_a_configuration_without_limits_is_a_survey(self) -> None:
        report = xentcheck.audit(SWEEPS)
        assert report.findings
        assert not report.violations
        assert not report.gated

    def test_the_report_does_not_depend_on_the_workers(self) -> None:
        assert to_document(xentcheck.audit(SWEEPS, workers=2)) == to_document(
            xentcheck.audit(SWEEPS)
        )

    def test_progress_is_told(self) -> None:
        shares: list[float] = []
        xentcheck.audit(SWEEPS, progress=lambda each: shares.append(each.share))
        assert shares[0] == 0.0
        assert shares[-1] == 1.0

    def test_a_baseline_is_honoured(self, place: Path) -> None:
        limited = YAML + "limits: [{implementation: '*'}]\n"
        (place / "gate.yaml").write_text(limited)
        (place / "based.yaml").write_text(limited + "baseline: known.yaml\n")
        failing = xentcheck.audit("gate.yaml")
        assert failing.violations
        (place / "known.yaml").write_text(baseline_of(failing))
        tolerant = xentcheck.audit("based.yaml")
        assert not tolerant.violations
        assert len(tolerant.tolerated) == len(failing.violations)


def baseline_of(report: Report) -> str:
    """A file that tolerates just what a report has."""
    from xentcheck.gate import baseline, baseline_file

    seen = baseline.observed(report.environment, report.measurements, report.violations)
    recorded = {**report.environment, "date": "2026-01-01"}
    return baseline_file.dumps(baseline.renewed(baseline.Baseline(), seen, recorded))


class TestTargets:
    def test_text_gives_the_report_of_check(self, place: Path) -> None:
        command = ["check", "losses5.py:naive", "--loss", CE, "--dtype", "float32"]
        command += ["--or-abs", "1e-6", "--p99-ulp", "9", "--allow", "nan", "--format", "json"]
        result = invoke(*command, "--workers", "1")
        assert result.exit_code == 1
        report = xentcheck.audit(
            "losses5.py:naive", CE, dtypes=["float32"], or_abs=1e-6, p99_ulp=9, allow=["nan"]
        )
        assert to_document(report) == json.loads(result.stdout)
        assert not hosts._hosts

    def test_a_function_gives_the_numbers_of_its_text(self, place: Path) -> None:
        function = xentcheck.audit(losses().naive, CE, dtypes="float32")
        text = xentcheck.audit("losses5.py:naive", CE, dtypes="float32")
        assert by_cell(function) == by_cell(text)
        assert len(function.violations) == len(text.violations) > 0
        assert {m.cell.implementation for m in function.measurements} == {"losses5:naive"}

    def test_a_lambda_is_audited_where_it_is(self) -> None:
        calls: list[str] = []
        report = xentcheck.audit(
            lambda x: (calls.append(str(x.dtype)), softplus(x))[1], "softplus", dtypes=["float16"]
        )
        assert set(calls) == {"float16"}
        assert not report.violations

    @pytest.mark.parametrize(
        ("gradient", "counted"),
        [
            ("auto", Kind.VANISHED_GRADIENT),
            ("slope", Kind.NAN),
            ("losses5:slope", Kind.NAN),
            ("losses5.py:slope", Kind.NAN),
            (lambda logits, labels: np.zeros_like(logits), Kind.VANISHED_GRADIENT),
        ],
    )
    def test_a_gradient_is_found(self, place: Path, gradient: Any, counted: Kind) -> None:
        report = xentcheck.audit(
            losses().naive, CE, dtypes="float32", quantities="gradient", gradient=gradient
        )
        counts = {kind for m in report.measurements for kind in m.counts}
        assert counted in counts
        assert {str(m.cell.quantity) for m in report.measurements} == {"gradient"}

    def test_the_gradient_beside_a_method_is_that_of_its_class(self, place: Path) -> None:
        report = xentcheck.audit(losses().Holder.loss, CE, dtypes="float32", quantities="gradient")
        ordinary = next(m for m in report.measurements if m.cell.sweep == "ordinary")
        assert ordinary.counts == {Kind.NAN: ordinary.rows}

    @pytest.mark.parametrize("gradient", [None, "none"])
    def test_without_a_gradient_only_the_value_is_audited(self, place: Path, gradient: Any) -> None:
        report = xentcheck.audit(losses().naive, CE, dtypes="float32", gradient=gradient)
        assert {str(m.cell.quantity) for m in report.measurements} == {"value"}
        assert any(skip.reason == "has no gradient" for skip in report.skips)

    def test_parameters_are_passed(self) -> None:
        seen: set[float] = set()

        def smoothed(logits: Any, labels: Any, label_smoothing: float = 0.0) -> Any:
            seen.add(float(label_smoothing))
            return sound(logits, labels)

        xentcheck.audit(smoothed, CE, dtypes="float32", parameters={"label_smoothing": 0.25})
        assert seen == {0.25}


class TestAssertAccurate:
    def test_a_sound_loss_passes_and_gives_its_report(self) -> None:
        report = xentcheck.assert_accurate(sound, CE, dtypes=["float32"], max_ulp=4)
        assert report.gated
        assert not report.violations
        assert {m.cell.dtype for m in report.measurements} == {"float32"}

    def test_the_text_has_the_violations_with_their_replay(self, place: Path) -> None:
        with pytest.raises(AssertionError) as caught:
            xentcheck.assert_accurate(losses().naive, CE, dtypes=["float32"])
        text = str(caught.value)
        report = xentcheck.audit(losses().naive, CE, dtypes=["float32"])
        assert text.startswith(f"{len(report.violations)} violations\n\nexp-overflow: ")
        assert f"\n\nnan  {CE}  losses5:naive" in text
        assert text.endswith(f"\n\nand {len(report.violations) - 5} more")
        assert text.count("\nlimit ") == 5
        for word in ("logits", "label", "actual", "expected", "exact", "error", "replay"):
            assert re.search(rf"^{word}", text, re.MULTILINE), word
        gravity = list(Kind)
        kinds = [gravity.index(Kind(each)) for each in re.findall(rf"^(\S+)  {CE}", text, re.M)]
        assert kinds == sorted(kinds)
        assert len(set(kinds)) == 5

    def test_the_replay_shows_it_again(self, place: Path) -> None:
        with pytest.raises(AssertionError) as caught:
            xentcheck.assert_accurate(
                losses().naive, CE, dtypes=["float32"], quantities=["value"], allow=["nan"]
            )
        text = str(caught.value)
        actual = re.search(r"^actual +(\S+)", text, re.MULTILINE)
        line = re.search(r"^replay +xentcheck (.*)$", text, re.MULTILINE)
        assert actual
        assert line
        result = invoke(*shlex.split(line[1]), "--format", "json")
        assert result.exit_code == 0, result.output
        (value,) = [
            m for m in json.loads(result.stdout)["measurements"] if m["quantity"] == "value"
        ]
        assert float(value["witness"]["actual"]) == float(actual[1])

    def test_a_closure_has_numbers_and_no_replay(self) -> None:
        def made() -> Callable[..., Any]:
            def loss(logits: Any, labels: Any) -> Any:
                return naive(logits, labels)

            return loss

        with pytest.raises(AssertionError) as caught:
            xentcheck.assert_accurate(made(), CE, dtypes=["float32"])
        assert not re.search("^replay", str(caught.value), re.MULTILINE)
        assert "= [0x1." in str(caught.value)

    def test_one_violation_is_told_alone(self) -> None:
        def loss(x: Any) -> Any:
            return softplus(x) if len(x) < 5000 else 1 / 0

        with pytest.raises(AssertionError, match=r"^1 violation\n\nraised  softplus") as caught:
            xentcheck.assert_accurate(loss, "softplus", dtypes=["float16"])
        assert "ZeroDivisionError" in str(caught.value)

    def test_the_frames_of_xentcheck_are_hidden(self) -> None:
        with pytest.raises(AssertionError) as caught:
            xentcheck.assert_accurate(naive, CE, dtypes=["float32"])
        shown = caught.traceback.filter(caught)
        assert {Path(entry.path).name for entry in shown} == {"test_api.py"}

    @pytest.mark.parametrize(
        ("fails", "passes"),
        [
            ({"max_ulp": 0.5}, {"max_ulp": 1e9}),
            ({"max_ulp": 0.5, "or_abs": 1e-12}, {"max_ulp": 0.5, "or_abs": 10.0}),
            ({"max_ulp": 0.5, "or_rel": 1e-12}, {"max_ulp": 0.5, "or_rel": 1e-2}),
            ({"p99_ulp": 0.5}, {"p99_ulp": 1e9}),
            ({"max_excess_bits": 0.25}, {"max_excess_bits": 24.0}),
        ],
    )
    def test_each_limit_decides(self, fails: dict[str, float], passes: dict[str, float]) -> None:
        def rough(x: Any) -> Any:
            factor = x.dtype.type(1 + 3 * np.finfo(x.dtype).eps)
            return np.where(x > 1000, x, softplus(x) * factor)

        about = {"quantities": ["value"], "dtypes": ["float16"], "max_ulp": 1e9}
        xentcheck.assert_accurate(rough, "softplus", **{**about, **passes})
        with pytest.raises(AssertionError, match="violation"):
            xentcheck.assert_accurate(rough, "softplus", **{**about, **fails})

    def test_kinds_are_allowed_by_name(self) -> None:
        kinds = xentcheck.audit(naive, CE, dtypes="float32").violations
        allowed = sorted({str(each.finding.kind) for each in kinds})
        xentcheck.assert_accurate(naive, CE, dtypes=["float32"], allow=allowed)
        with pytest.raises(AssertionError):
            xentcheck.assert_accurate(naive, CE, dtypes=["float32"], allow=allowed[1:])


class TestNothingIsNoPass:
    def test_parameters_that_the_function_does_not_take(self) -> None:
        with pytest.raises(EmptySweepError, match=r"nothing was audited: .*label_smoothing"):
            xentcheck.assert_accurate(sound, CE, parameters={"label_smoothing": 0.1})

    def test_a_quantity_that_was_asked_for(self) -> None:
        with pytest.raises(EmptySweepError, match="gradient was not audited: has no gradient"):
            xentcheck.assert_accurate(
                sound, CE, dtypes=["float32"], quantities=["value", "gradient"]
            )

    def test_a_dtype_that_was_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(xentcheck.api.user.NUMPY.__class__, "dtypes", ("float32",))
        with pytest.raises(EmptySweepError, match="float16 was not audited: does not take float16"):
            xentcheck.assert_accurate(sound, CE, dtypes=["float32", "float16"])

    def test_an_uncertified_case(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.changed(monkeypatch, uncertified=("sweep x: undecided",))
        with pytest.raises(UncertifiedError, match="undecided"):
            xentcheck.assert_accurate(sound, CE, dtypes=["float32"])

    def test_an_interruption(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.changed(monkeypatch, interrupted=True)
        with pytest.raises(KeyboardInterrupt):
            xentcheck.assert_accurate(sound, CE, dtypes=["float32"])

    def changed(self, monkeypatch: pytest.MonkeyPatch, **how: Any) -> None:
        whole = audit_config
        monkeypatch.setattr(
            xentcheck.api,
            "audit_config",
            lambda *arguments, **named: replace(whole(*arguments, **named), **how),
        )


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"loss": "softmax_cross_entropi"}, UnknownNameError, "did you mean"),
            ({"dtypes": ["float33"]}, UnknownNameError, "unknown dtype 'float33'"),
            ({"quantities": ["values"]}, UnknownNameError, "did you mean 'value'"),
            ({"framework": "torchh"}, UnknownNameError, "did you mean 'torch'"),
            ({"allow": ["nans"]}, UnknownNameError, "unknown kind 'nans'; did you mean 'nan'"),
            ({"label_kind": "integers"}, UnknownNameError, "did you mean 'integer'"),
            ({"label_kind": "target"}, UsageError, "takes integer or distribution labels"),
            ({"max_ulp": -1}, UsageError, "max_ulp -1: has to be 0 or more"),
            ({"max_ulp": "4"}, UsageError, "expected a number"),
            ({"max_ulp": 10**400}, UsageError, "beyond float64"),
            ({"allow": 3}, UsageError, "expected a name, or a list of names"),
            ({"dtypes": np.float32}, UsageError, "expected a name, or a list of names"),
            ({"seed": -1}, UsageError, "seed=-1: expected a whole number"),
            ({"seed": 1.5}, UsageError, "expected a whole number"),
            ({"workers": 0}, UsageError, "there has to be one at least"),
            ({"or_rel": math.nan}, UsageError, "or_rel nan: has to be 0 or more"),
            ({"p99_ulp": -0.5}, UsageError, "p99_ulp -0.5: has to be"),
            ({"parameters": {"label_smoothin": 0}}, UnknownNameError, "'label_smoothing'"),
            ({"parameters": {"label_smoothing": "0.1"}}, UsageError, "expected a number"),
            ({"parameters": {"label_smoothing": True}}, UsageError, "expected a number"),
            ({"parameters": {"label_smoothing": 2}}, UsageError, "has to be at least 0 and at"),
            ({"parameters": {"label_smoothing": 10**400}}, UsageError, "smoothing: beyond float64"),
            ({"parameters": {"ignore_index": -(10**400)}}, UsageError, "index: beyond float64"),
            ({"parameters": {"ignore_index": 0.5}}, UsageError, "expected a whole number"),
            ({"parameters": {"reduction": "median"}}, UnknownNameError, "value of reduction"),
            ({"parameters": {"weight": "rndom"}}, UnknownNameError, "did you mean 'random'"),
            ({"parameters": {"weight": [[1, 2]]}}, UsageError, "expected a number per class"),
            ({"parameters": {"weight": [-1, 2]}}, UsageError, "has to be at least 0"),
            ({"select": "numpy.*"}, UsageError, "go with a configuration"),
            ({"timeout_s": 1.0}, UsageError, "name it by text"),
            ({"gradient": "slop"}, TargetError, "there is no 'slop' beside it"),
        ],
    )
    def test_what_cannot_be_meant(
        self, arguments: dict[str, Any], error: type[XentcheckError], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            xentcheck.audit(naive, **{"loss": CE, **arguments})

    def test_a_default_beyond_float64_is_no_value_of_the_parameter(self) -> None:
        def loss(logits: Any, labels: Any, ignore_index: int = 10**400) -> Any:
            return sound(logits, labels)

        assert not xentcheck.audit(loss, CE, dtypes="float32", max_ulp=4).violations

    def test_numbers_may_be_numpys(self) -> None:
        plain = xentcheck.audit(naive, CE, dtypes="float16", max_ulp=4)
        numpys = xentcheck.audit(naive, CE, dtypes="float16", max_ulp=np.float32(4))
        assert len(numpys.violations) == len(plain.violations) > 0

    def test_a_time_limit_is_more_than_nothing(self) -> None:
        with pytest.raises(UsageError, match="more than 0"):
            xentcheck.probe(CE, [1, 2], labels=0, timeout_s=-1)

    def test_what_is_no_configuration(self) -> None:
        with pytest.raises(UsageError, match="expected a configuration"):
            xentcheck.audit(3)  # type: ignore[arg-type]

    def test_a_function_needs_a_loss(self) -> None:
        with pytest.raises(UsageError, match="test_api:naive: loss= has to say"):
            xentcheck.audit(naive)

    def test_so_does_a_target(self) -> None:
        with pytest.raises(UsageError, match="loss= has to say"):
            xentcheck.audit("losses.py:naive")

    def test_a_configuration_says_its_limits_itself(self) -> None:
        with pytest.raises(UsageError, match="dtypes, max_ulp: goes with loss="):
            xentcheck.audit(SWEEPS, max_ulp=3, dtypes=["float32"])

    def test_a_missing_file(self, place: Path) -> None:
        with pytest.raises(ConfigError, match=r"surve\.yaml: no such file"):
            xentcheck.audit("surve.yaml")

    def test_what_no_configuration_can_hold(self) -> None:
        with pytest.raises(UsageError, match="no place for"):
            xentcheck.audit({"sweeps": object()})

    def test_what_is_no_function(self) -> None:
        with pytest.raises(UsageError, match="3 is neither a function nor"):
            xentcheck.audit(3, CE)  # type: ignore[call-overload]

    def test_a_text_and_a_function_do_not_mix(self, place: Path) -> None:
        with pytest.raises(UsageError, match="name its gradient by text too"):
            xentcheck.audit("losses5.py:naive", CE, gradient=naive)

    def test_a_framework_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry, "missing", lambda process: f"{process.name} is not installed")
        with pytest.raises(TargetError, match="naive: torch is not installed"):
            xentcheck.audit(naive, CE, framework="torch")


class TestRows:
    def test_a_row_is_a_cell_of_plain_values(self) -> None:
        report = xentcheck.audit(SWEEPS)
        rows = report.rows()
        assert len(rows) == len(report.measurements) == 4
        for row, measurement in zip(rows, report.measurements, strict=True):
            assert tuple(row) == csv.COLUMNS
            assert {type(value) for value in row.values()} <= {str, int, float, type(None)}
            assert row["implementation"] == measurement.cell.implementation
            assert row["rows"] == measurement.rows == 6
            assert row["nan"] == measurement.counts.get(Kind.NAN, 0)
        by_name = {(row["implementation"], row["quantity"]): row for row in rows}
        assert by_name["numpy.naive", "value"]["verdict"] == "broken"
        assert by_name["numpy.naive", "value"]["nan"] == 3
        assert math.isnan(by_name["numpy.naive", "value"]["actual"])
        assert by_name["numpy.accurate", "value"]["verdict"] == "rounded"
        assert by_name["numpy.accurate", "value"]["limit"] is None

    def test_an_error_that_there_is_not_is_none(self) -> None:
        report = xentcheck.audit(lambda x: np.full_like(x, np.nan), "softplus", dtypes="float16")
        (row,) = [row for row in report.rows() if row["sweep"] == "ordinary"]
        assert row["max_ulp"] is None
        assert row["verdict"] == "FAIL"

    def test_a_read_report_has_the_same_rows(self, place: Path) -> None:
        invoke("run", "survey.yaml", "--output", "report.json")
        read, made = xentcheck.read_report("report.json"), xentcheck.audit("survey.yaml")
        assert repr(read.rows()) == repr(made.rows())
        assert read._repr_html_() == made._repr_html_()


class Parsed(HTMLParser):
    """The text and the elements of a document, which has to be well-formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class TestNotebooks:
    def test_a_gate_shows_its_lines_and_violations(self) -> None:
        report = xentcheck.audit(naive, CE, dtypes="float32")
        parsed = Parsed(report._repr_html_())
        text = "\n".join(parsed.texts)
        assert f"gate failed, {len(report.violations)} violations: exp-overflow, " in text
        assert "6 cells, " in text
        assert " rows scored, 4 failing; seed 0" in text
        assert "tests.end_to_end.test_api:naive" in text
        assert "max_ulp 4" in text
        assert f"and {len(report.violations) - 5} more" in text
        assert set(parsed.seen) <= {
            *("div", "table", "tr", "th", "td", "span", "pre", "details", "summary")
        }
        assert parsed.attributes <= {"style", "colspan", "open"}

    def test_what_passes_says_so(self) -> None:
        report = xentcheck.audit(sound, CE, dtypes="float32")
        assert "gate passed: 6 cells within the limits" in report._repr_html_()

    def test_a_survey_says_so(self) -> None:
        text = "\n".join(Parsed(xentcheck.audit(SWEEPS)._repr_html_()).texts)
        assert "survey: 2 broken, 2 rounded cells" in text
        assert "findings, the gravest in full" in text

    def test_names_stay_text(self) -> None:
        name = """<b>&"'[x]\n</td><script>"""
        report = xentcheck.audit(SWEEPS)
        findings = tuple(
            replace(f, cell=replace(f.cell, implementation=name), detail=name)
            for f in report.findings
        )
        measured = tuple(
            replace(m, cell=replace(m.cell, implementation=name)) for m in report.measurements
        )
        odd = replace(report, findings=findings, measurements=measured, deaths=(name,))
        parsed = Parsed(odd._repr_html_())
        assert "script" not in parsed.seen
        assert "b" not in parsed.seen
        assert any("""<b>&"'[x]""" in text for text in parsed.texts)

    def test_hundreds_of_lines_are_shortened_and_counted(self) -> None:
        report = xentcheck.audit(SWEEPS)
        (first, *_) = report.measurements
        many = tuple(
            replace(first, cell=replace(first.cell, implementation=f"mine.{k}")) for k in range(200)
        )
        html = replace(report, measurements=many, findings=())._repr_html_()
        assert html.count("mine.") == 60
        assert "and 140 lines more" in html

    def test_nothing_audited_says_so(self) -> None:
        nothing = replace(xentcheck.audit(SWEEPS), measurements=(), findings=())
        assert "nothing was audited" in nothing._repr_html_()

    def test_partial_reports_say_so(self) -> None:
        report = replace(
            xentcheck.audit(SWEEPS), interrupted=True, uncertified=("row 3",), deaths=("died",)
        )
        text = "\n".join(Parsed(report._repr_html_()).texts)
        assert "interrupted" in text
        assert "not audited: row 3" in text

    def test_a_probe_shows_what_the_command_prints(self) -> None:
        result = xentcheck.probe(CE, [20, 0, 0], labels=0, dtypes=["float32"])
        command = ["probe", "--loss", CE, "--logits", "20,0,0", "--label", "0"]
        printed = invoke(*command, COLUMNS="100").stdout
        assert "".join(Parsed(result._repr_html_()).texts) == printed


class TestKeptProcesses:
    def test_close_waits_for_the_end_of_the_session(self) -> None:
        process = Process("a session's")
        with hosts.kept():
            first = hosts.ask(process, os.getpid)
            hosts.close()
            with hosts.kept():
                assert hosts.ask(process, os.getpid) == first
            hosts.close()
            assert hosts.ask(process, os.getpid) == first
        assert not hosts._hosts
        assert not Path(f"/proc/{first}").exists() or sys.platform != "linux"

    def test_the_shared_folder_lasts_as_long(self) -> None:
        with hosts.kept():
            with hosts.sharing():
                inner = hosts._shared[-1]
            assert inner.path.is_dir()
            assert hosts._shared == [inner]
        assert not inner.path.exists()
