"""The command line: what it takes, what it prints where, and with which status it exits."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running import invoke
from tests.terminals import terminal
from xentcheck.auditing import run
from xentcheck.errors import UncertifiedError
from xentcheck.model import Report

SURVEY = """\
sweeps:
  small:
    losses: softmax_cross_entropy
    dtypes: [float32]
    inputs:
      - generator: explicit
        values: [[20, 0, 0], [1000, 2000, 3000]]
"""
GATE = SURVEY + "limits:\n  - max_ulp: 4\n"

SOUND = '''\
import numpy as np

def loss(logits, labels):
    """In float64, and every sum without its largest term: right to a few ulps of float32."""
    x = logits.astype(np.float64)
    rows = np.arange(len(x))
    shifted = x - x[rows, labels][:, None]
    shifted[rows, labels] = -np.inf
    top = np.maximum(shifted.max(axis=1), 0)
    rest = np.exp(shifted - top[:, None]).sum(axis=1)
    with np.errstate(divide="ignore"):
        value = np.where(top > 0, top + np.log(rest + np.exp(-top)), np.log1p(rest))
    return value.astype(logits.dtype)
'''
NAIVE = """\
import numpy as np

def loss(logits, labels):
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))

def loss_gradient(logits, labels):
    e = np.exp(logits)
    gradient = e / e.sum(axis=1, keepdims=True)
    gradient[np.arange(len(e)), labels] -= 1
    return gradient
"""
TALKATIVE = NAIVE.replace(
    "    e = np.exp(logits)\n    return",
    """\
    print("from Python")
    os.write(1, b"from the descriptor\\n")
    ctypes.CDLL(None).printf(b"from C\\n")
    e = np.exp(logits)
    return""",
).replace("import numpy as np", "import ctypes, os\nimport numpy as np")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a survey, a gate and some losses."""
    for name, text in {
        "survey.yaml": SURVEY,
        "gate.yaml": GATE,
        "sound.py": SOUND,
        "naive.py": NAIVE,
        "talkative.py": TALKATIVE,
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


def process(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "xentcheck", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, **options
    )


def returning(report: Report) -> Callable[..., Report]:
    return lambda *_arguments, **_options: report


def refuse(*_arguments: Any, **_options: Any) -> Report:
    raise AssertionError("the audit ran")


def probed(*arguments: str) -> Any:
    result = invoke("probe", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class TestStartUp:
    def test_help_has_examples_and_exit_statuses(self) -> None:
        text = invoke("--help").stdout
        assert "xentcheck init && xentcheck run xentcheck.yaml" in text
        assert "3 nothing was audited" in text
        assert "_XENTCHECK_COMPLETE" in text

    def test_without_a_command_the_help_is_an_error(self) -> None:
        result = invoke()
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "Commands:" in result.stderr


class TestExitStatus:
    def test_a_survey_exits_0_whatever_it_finds(self, place: Path) -> None:
        result = invoke("run", "survey.yaml")
        assert result.exit_code == 0
        assert "broken" in result.stdout
        assert "no limits in the configuration, so the exit status is 0" in result.stdout

    def test_a_gate_exits_1_on_a_violation(self, place: Path) -> None:
        result = invoke("run", "gate.yaml")
        assert result.exit_code == 1
        assert result.stdout.startswith("gate failed, ")

    def test_a_gate_exits_0_within_its_limits(self, place: Path) -> None:
        result = invoke("run", "gate.yaml", "--select", "numpy.accurate")
        assert result.exit_code == 0, result.output
        assert "passed" in result.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ["run", "missing.yaml"],
            ["run", "naive.py"],
            ["run", "survey.yaml", "--bad"],
            ["run", "survey.yaml", "--select", "nothing.*"],
            ["run", "survey.yaml", "--format", "xml"],
            ["run", "survey.yaml", "--seed", "-1"],
            ["check", "missing.py:loss", "--loss", "softmax_cross_entropy"],
            ["check", "naive.py:missing", "--loss", "softmax_cross_entropy"],
            ["check", "naive.py:loss", "--loss", "softmax_cross_entrpy"],
            ["check", "naive.py:loss"],
            ["probe", "--loss", "softmax", "--logits", "one"],
            ["list", "everything"],
            ["unknown"],
        ],
    )
    def test_usage_and_configuration_errors_exit_2(self, place: Path, arguments: list[str]) -> None:
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")

    def test_nothing_audited_exits_3(self, place: Path) -> None:
        text = SURVEY.replace("small:", "small:\n    implementations: [numpy.accurate]")
        (place / "none.yaml").write_text(text + "    quantities: [value]\n")
        result = invoke("run", "none.yaml", "--select", "numpy.naive")
        assert result.exit_code == 3
        assert "nothing was audited" in result.stderr

    def test_an_unexpected_exception_exits_4_without_a_traceback(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: Any, **_options: Any) -> Report:
            raise ZeroDivisionError("the very\nmessage")

        monkeypatch.setattr(run, "audit", fail)
        result = invoke("run", "survey.yaml")
        assert result.exit_code == 4
        assert result.stdout == ""
        assert "error: internal error: ZeroDivisionError: the very message" in result.stderr
        assert "--debug" in result.stderr
        debugged = invoke("--debug", "run", "survey.yaml")
        assert debugged.exit_code == 4
        assert "Traceback" in debugged.stderr

    def test_a_reference_that_cannot_be_certified_exits_4(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_arguments: Any, **_options: Any) -> Report:
            raise UncertifiedError("case 7 stayed undecided")

        monkeypatch.setattr(run, "audit", fail)
        result = invoke("run", "survey.yaml")
        assert (result.exit_code, result.stderr) == (4, "error: case 7 stayed undecided\n")

    def test_an_interrupted_run_exits_130_with_its_partial_report(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        partial = Report({}, 0, {}, (), (), (), (), (), gated=True, interrupted=True)
        monkeypatch.setattr(run, "audit", returning(partial))
        result = invoke("run", "gate.yaml", "--format", "json")
        assert result.exit_code == 130
        assert json.loads(result.stdout)["interrupted"] is True

    def test_an_interrupt_elsewhere_exits_130(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_arguments: Any, **_options: Any) -> Report:
            raise KeyboardInterrupt

        monkeypatch.setattr(run, "audit", interrupt)
        assert invoke("run", "gate.yaml").exit_code == 130

    def test_audited_code_that_exits_is_no_success(self, place: Path) -> None:
        (place / "quits.py").write_text("import sys\nsys.exit(0)\n")
        result = invoke("check", "quits.py:loss", "--loss", "softmax_cross_entropy")
        assert result.exit_code == 2

    def test_all_problems_of_a_configuration_are_shown(self, place: Path) -> None:
        (place / "bad.yaml").write_text(SURVEY.replace("losses", "loses").replace("dtypes", "x"))
        result = invoke("run", "bad.yaml")
        assert result.exit_code == 2
        assert len(re.findall("^error: bad.yaml:", result.stderr, re.MULTILINE)) >= 2
        assert "help: " in result.stderr


class TestOutput:
    def test_json_alone_goes_to_stdout(self, place: Path) -> None:
        result = invoke("run", "survey.yaml", "--format", "json")
        written = json.loads(result.stdout)
        assert written["schema_version"] == 1
        assert {each["dtype"] for each in written["measurements"]} == {"float32"}

    def test_formats_go_to_outputs_in_their_order(self, place: Path) -> None:
        result = invoke(
            *("run", "survey.yaml", "--format", "json", "--format", "table"),
            *("--output", "out.first", "--output", "out.second"),
        )
        assert (result.exit_code, result.stdout) == (0, "")
        assert json.loads((place / "out.first").read_text())["schema_version"] == 1
        assert (place / "out.second").read_text().startswith("survey: ")

    def test_a_dash_is_stdout(self, place: Path) -> None:
        result = invoke(
            *("run", "survey.yaml", "--format", "table", "--output", "-"),
            *("--format", "json", "--output", "out.json"),
        )
        assert result.stdout.startswith("survey: ")
        assert json.loads((place / "out.json").read_text())["gated"] is False

    def test_the_suffix_says_the_format_that_is_not_given(self, place: Path) -> None:
        assert invoke("run", "survey.yaml", "--output", "out.json").stdout == ""
        assert json.loads((place / "out.json").read_text())["schema_version"] == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--output", "no/such/dir/out.json"], "there is no directory no/such/dir"),
            (["--output", "."], "is a directory"),
            (["--output", "out.what"], "no format is given for out.what"),
            (["--format", "json", "--format", "table"], "two formats would go to standard output"),
            (["--output", "a.json", "--output", "a.json"], "two formats would go to a.json"),
        ],
    )
    def test_what_cannot_be_written_is_an_error_before_the_audit(
        self,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        message: str,
    ) -> None:
        monkeypatch.setattr(run, "audit", refuse)
        result = invoke("run", "survey.yaml", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr

    def test_a_file_is_replaced_in_one_piece(self, place: Path) -> None:
        (place / "real.json").write_text("old")
        (place / "out.json").symlink_to(place / "real.json")
        before = set(os.listdir(place))
        assert invoke("run", "survey.yaml", "--output", "out.json").exit_code == 0
        assert set(os.listdir(place)) == before
        assert (place / "out.json").is_symlink()
        assert json.loads((place / "real.json").read_text())["seed"] == 0

    def test_a_device_is_written_to_and_not_replaced(self, place: Path) -> None:
        result = invoke("run", "survey.yaml", "--format", "json", "--output", os.devnull)
        assert result.exit_code == 0
        assert not Path(os.devnull).is_file()

    def test_the_seed_of_the_option_counts(self, place: Path) -> None:
        result = invoke("run", "survey.yaml", "--seed", "42", "--format", "json")
        assert json.loads(result.stdout)["seed"] == 42

    def test_selecting_keeps_others_out(self, place: Path) -> None:
        result = invoke("run", "survey.yaml", "--select", "numpy.accurate", "--format", "json")
        names = {each["implementation"] for each in json.loads(result.stdout)["measurements"]}
        assert names == {"numpy.accurate"}

    def test_the_same_run_gives_the_same_document(self, place: Path) -> None:
        first = invoke("run", "survey.yaml", "--format", "json").stdout
        assert invoke("run", "survey.yaml", "--format", "json").stdout == first

    @pytest.mark.parametrize("columns", ["80", "100"])
    def test_the_width_is_that_of_the_terminal(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, columns: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        text = invoke("run", "survey.yaml").stdout
        assert max(map(len, text.splitlines())) <= int(columns)

    def test_color_is_for_terminals_or_on_demand(self, place: Path) -> None:
        command = ("probe", "--loss", "sigmoid", "--logits", "1")
        assert "\x1b[" not in invoke(*command).stdout
        assert "\x1b[" not in invoke(*command, "--color", "never").stdout
        assert "\x1b[" in invoke(*command, "--color", "always").stdout

    @pytest.mark.parametrize(("no_color", "colored"), [(None, True), ("1", False)])
    def test_a_terminal_gets_color_unless_no_color_is_set(
        self, place: Path, no_color: str | None, colored: bool
    ) -> None:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        if no_color is not None:
            environment["NO_COLOR"] = no_color
        ours, theirs = terminal()
        command = [sys.executable, "-m", "xentcheck", "probe", "--loss", "sigmoid", "--logits=1"]
        with subprocess.Popen(command, stdout=theirs, env=environment) as child:
            os.close(theirs)
            text = b""
            while True:
                try:
                    part = os.read(ours, 65_536)
                except OSError:  # the other end is closed
                    break
                if not part:
                    break
                text += part
        os.close(ours)
        assert child.returncode == 0
        assert (b"\x1b[" in text) is colored


class TestForeignOutput:
    def test_stdout_has_the_report_only(self, place: Path) -> None:
        done = process(
            *("probe", "--loss", "softmax_cross_entropy", "--logits", "1,2", "--label", "0"),
            *("--implementation", "talkative.py:loss", "--format", "json"),
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["schema_version"] == 1
        for origin in ("from Python", "from the descriptor", "from C"):
            assert origin in done.stderr

    def test_a_reader_that_has_gone_is_no_error(self, place: Path) -> None:
        command = [sys.executable, "-m", "xentcheck", "run", "gate.yaml", "--format", "json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.close()
            noise = child.stderr.read()
        assert child.returncode == 1
        assert noise == b""

    @pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "2>&-"])
    def test_closed_descriptors_leave_the_status(self, place: Path, closing: str) -> None:
        command = f"{sys.executable} -m xentcheck run gate.yaml --output out.json {closing}"
        assert subprocess.run(command, shell=True, check=False).returncode == 1
        assert json.loads((place / "out.json").read_text())["gated"] is True

    def test_an_encoding_without_arrows_gets_stand_ins(self, place: Path) -> None:
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = process("run", "survey.yaml", "-v", env=environment)
        assert done.returncode == 0, done.stderr
        assert "[20, 0] label 0 > " in done.stdout


class TestCheck:
    ENTROPY = ("--loss", "softmax_cross_entropy", "--dtype", "float32")

    def test_a_naive_loss_fails_with_its_witness(self, place: Path) -> None:
        result = invoke("check", "naive.py:loss", *self.ENTROPY)
        assert result.exit_code == 1
        assert "spurious-overflow" in result.stdout or "nan" in result.stdout
        assert "xentcheck probe --loss softmax_cross_entropy" in result.stdout

    def test_only_the_target_is_audited_and_its_gradient_is_found(self, place: Path) -> None:
        result = invoke("check", "naive.py:loss", *self.ENTROPY, "--format", "json")
        written = json.loads(result.stdout)
        assert "loss_gradient" in result.stderr
        quantities = {each["quantity"] for each in written["measurements"]}
        assert quantities == {"value", "gradient"}
        assert {each["implementation"] for each in written["measurements"]} == {"naive.py:loss"}
        assert written["gated"] is True
        assert written["config"]["target"] == "naive.py:loss"

    def test_a_gradient_can_be_refused_or_named(self, place: Path) -> None:
        refused = invoke(
            "check", "naive.py:loss", *self.ENTROPY, "--gradient", "none", "--format", "json"
        )
        written = json.loads(refused.stdout)
        assert {each["quantity"] for each in written["measurements"]} == {"value"}
        named = invoke(
            *("check", "sound.py:loss", *self.ENTROPY, "--format", "json"),
            *("--gradient", "naive.py:loss_gradient"),
        )
        written = json.loads(named.stdout)
        assert {each["quantity"] for each in written["measurements"]} == {"value", "gradient"}

    def test_the_limits_are_those_of_the_options(self, place: Path) -> None:
        options = ("--format", "json", "--max-ulp", "inf")
        result = invoke("check", "sound.py:loss", *self.ENTROPY, *options)
        assert "only the value is checked" in result.stderr
        written = json.loads(result.stdout)
        assert "inaccurate" not in {each["kind"] for each in written["violations"]}
        assert {each["quantity"] for each in written["measurements"]} == {"value"}
        assert any(each["quantity"] == "gradient" for each in written["skips"])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--param", "temprature=2"], "temperature"),
            (["--param", "temperature"], "expected NAME=VALUE"),
            (["--param", "temperature=hot"], "expected a number"),
            (["--param", "temperature=1,2"], "expected one number"),
            (["--param", "label_smoothing=2"], "at most 1"),
            (["--param", "reduction=average"], "mean"),
            (["--param", "temperature=1", "--param", "temperature=2"], "given twice"),
            (["--label-kind", "distribution", "--param", "ignore_index=3"], "integer labels"),
            (["--dtype", "fp16"], "float16"),
            (["--max-ulp", "-1"], "0 or more"),
            (["--max-ulp", "nan"], "0 or more"),
            (["--framework", "mxnet"], "not one of"),
            (["--gradient", "naive.py:missing"], "missing"),
        ],
    )
    def test_bad_options_are_told(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
    ) -> None:
        monkeypatch.setattr(run, "audit", refuse)
        loss = ("--loss", "softmax_cross_entropy")
        result = invoke("check", "naive.py:loss", *loss, *arguments)
        assert result.exit_code == 2
        assert message in result.stderr

    def test_labels_a_loss_does_not_take_are_told(self, place: Path) -> None:
        loss = ("--loss", "nll_loss", "--label-kind", "distribution")
        result = invoke("check", "naive.py:loss", *loss)
        assert result.exit_code == 2
        assert "nll_loss takes integer labels" in result.stderr


class TestProbe:
    def test_shows_result_and_exact_value_in_decimal_and_hex(self) -> None:
        # lse(1000, 2000, 3000) - 1000 = 2000 + log(1 + e^-1000 + e^-2000)
        loss = ("--loss", "softmax_cross_entropy")
        result = invoke("probe", *loss, "--logits", "1000,2000,3000", "--label", "0")
        assert result.exit_code == 0
        assert "2000 = 0x1.f4p+10" in result.stdout
        assert re.search(r"numpy\.accurate +2000 +0x1\.f4p\+10 +0\.00 +ok", result.stdout)
        assert "nan" in result.stdout
        assert "gradient[2]" in result.stdout

    def test_the_document_is_that_of_a_run(self) -> None:
        written = probed("--loss", "logsumexp", "--logits", "1e4,1e4", "--dtype", "float32")
        assert {"schema_version", "measurements", "findings", "skips"} <= set(written)
        assert written["config"]["logits"] == [10_000.0, 10_000.0]
        first = written["measurements"][0]
        assert first["rows"] == 1
        assert first["witness"]["logits"] == ["0x1.3880000000000p+13"] * 2

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("1e4", "0x1.3880000000000p+13"),
            ("0x1.8p3", "0x1.8000000000000p+3"),
            ("-inf", "-inf"),
            ("nan", "nan"),
            ("max", "0x1.fffffe0000000p+127"),
            ("-745", "-0x1.7480000000000p+9"),
        ],
    )
    def test_logits_are_read_as_numbers_are_written(self, written: str, meant: str) -> None:
        document = probed("--loss", "sigmoid", f"--logits={written}", "--dtype", "float32")
        assert {each["witness"]["logits"] for each in document["measurements"]} == {meant}

    def test_an_elementwise_loss_has_a_row_per_number(self) -> None:
        loss = ("--loss", "sigmoid_binary_cross_entropy")
        written = probed(*loss, "--logits=-1,2,3", "--label", "0.5")
        assert {each["rows"] for each in written["measurements"]} == {3}
        result = invoke("probe", *loss, "--logits=-1,2,3", "--labels", "0,1,0.5")
        assert result.exit_code == 0
        assert "row 2: value" in result.stdout

    def test_a_distribution_is_taken(self) -> None:
        loss = ("--loss", "softmax_cross_entropy")
        written = probed(*loss, "--logits", "1,2,3", "--labels", "0,0.25,0.75")
        labels = written["measurements"][0]["witness"]["labels"]
        assert [float.fromhex(each) for each in labels] == [0, 0.25, 0.75]

    def test_parameters_reach_the_loss(self) -> None:
        # lse(2/2, 0/2) - 2/2 = log(1 + 1/e)
        loss = ("--loss", "softmax_cross_entropy", "--logits", "2,0", "--label", "0")
        written = probed(*loss, "--param", "temperature=2")
        values = [each for each in written["measurements"] if each["quantity"] == "value"]
        assert values
        for each in values:
            assert float(each["witness"]["exact"]) == pytest.approx(0.31326168751822286, rel=1e-15)

    def test_every_dtype_is_asked_for(self) -> None:
        written = probed(
            *("--loss", "sigmoid", "--logits", "0.1", "--dtype", "float16", "--dtype", "bfloat16")
        )
        assert {each["dtype"] for each in written["measurements"]} == {"float16", "bfloat16"}

    def test_patterns_select_and_a_target_joins(self, place: Path) -> None:
        loss = ("--loss", "softmax_cross_entropy", "--logits", "1,2", "--label", "0")
        patterns = ("--implementation", "*.accurate", "--implementation", "naive.py:loss")
        written = probed(*loss, *patterns)
        names = {each["implementation"] for each in written["measurements"]}
        assert names == {"numpy.accurate", "naive.py:loss"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["softmax_cross_entropy", "--logits", "1,2"], "label"),
            (["softmax_cross_entropy", "--logits", "1,2", "--label", "2"], "classes 0 to 1"),
            (["softmax_cross_entropy", "--logits", "1,2", "--label", "-1"], "classes 0 to 1"),
            (["softmax_cross_entropy", "--logits", "1,2", "--label", "0.5"], "0.5"),
            (["softmax_cross_entropy", "--logits", "1,2", "--labels", "1"], "1 labels for 2"),
            (["softmax_cross_entropy", "--logits=1", "--label=0", "--labels=1"], "exclude"),
            (["sigmoid", "--logits", "1", "--label", "1"], "no labels"),
            (["sigmoid", "--logits", ""], "expected numbers"),
            (["sigmoid", "--logits", "1;2"], "each a row of its own"),
            (["sigmoid", "--logits", "1", "--implementation", "nobody.*"], "nobody.*"),
            (["sigmod", "--logits", "1"], "did you mean 'sigmoid'?"),
            (["sigmoid", "--logits=max", "--dtype=float16", "--dtype=float32"], "dtype"),
        ],
    )
    def test_bad_input_is_told(self, arguments: list[str], message: str) -> None:
        result = invoke("probe", "--loss", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stdout == ""

    def test_an_ignored_label_may_be_probed(self) -> None:
        loss = ("--loss", "nll_loss", "--logits=-1,-2", "--label=-100")
        for each in probed(*loss)["measurements"]:
            assert float(each["witness"]["exact"]) == 0

    def test_the_replay_command_of_a_violation_shows_it_again(self, place: Path) -> None:
        failed = invoke("check", "naive.py:loss", *TestCheck.ENTROPY, "-vv")
        (first, *_) = re.findall(r"replay +(xentcheck probe(?:.*\n)+?)\n", failed.stdout)
        printed = subprocess.run(
            ["sh", "-c", f"printf '%s\\0' {first}"], check=True, capture_output=True, text=True
        )
        command = printed.stdout.split("\0")[:-1]
        again = invoke(*command[1:])
        assert again.exit_code == 0
        assert "naive.py:loss" in again.stdout
        kinds = re.findall(r"^([a-z-]+)  softmax_cross_entropy", failed.stdout, re.MULTILINE)
        assert kinds[0] in again.stdout


class TestList:
    def test_every_loss_is_listed_with_its_formula(self) -> None:
        written = json.loads(invoke("list", "losses", "--format", "json").stdout)
        names = [each["name"] for each in written["losses"]]
        assert "softmax_cross_entropy" in names
        assert len(names) == len(set(names)) == 15
        assert all(each["formula"] and each["source"] for each in written["losses"])
        text = invoke("list", "losses").stdout
        assert all(name in text for name in names)

    def test_implementations_are_listed_by_loss(self) -> None:
        text = invoke("list", "implementations").stdout
        assert "softmax_cross_entropy\n" in text
        assert "numpy.accurate" in text
        written = json.loads(invoke("list", "implementations", "--format", "json").stdout)
        assert {"loss", "name", "dtypes", "sound"} <= set(written["implementations"][0])

    def test_dtypes_are_listed_with_their_limits(self) -> None:
        written = json.loads(invoke("list", "dtypes", "--format", "json").stdout)
        limits = {each["name"]: each["max"] for each in written["dtypes"]}
        assert limits["float16"] == 65_504
        assert limits["float8_e4m3fn"] == 448

    def test_generators_are_listed_with_their_options(self) -> None:
        written = json.loads(invoke("list", "generators", "--format", "json").stdout)
        options = {each["name"]: each["options"] for each in written["generators"]}
        assert "explicit" in options
        assert "explicit" in invoke("list", "generators").stdout

    @pytest.mark.parametrize("what", ["losses", "implementations", "generators", "dtypes"])
    def test_lists_fit_the_terminal(self, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        assert max(map(len, invoke("list", what).stdout.splitlines())) <= 80


class TestInit:
    def test_writes_a_configuration_that_loads(self, place: Path) -> None:
        result = invoke("init")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "xentcheck run xentcheck.yaml" in result.stderr
        from xentcheck.config import load

        assert load(place / "xentcheck.yaml").sweeps

    def test_does_not_overwrite_unless_forced(self, place: Path) -> None:
        (place / "mine.yaml").write_text("precious")
        result = invoke("init", "mine.yaml")
        assert result.exit_code == 2
        assert (place / "mine.yaml").read_text() == "precious"
        assert invoke("init", "mine.yaml", "--force").exit_code == 0
        assert (place / "mine.yaml").read_text() != "precious"

    def test_a_missing_directory_is_told(self, place: Path) -> None:
        result = invoke("init", "no/such.yaml")
        assert result.exit_code == 2
        assert "there is no directory no" in result.stderr


EVERY_FLOAT32 = """\
sweeps:
  every:
    losses: softplus
    dtypes: float32
    quantities: value
    implementations: numpy.max_log1p
    inputs: [{generator: exhaustive}]
"""


def let_work(session: int, seconds: float) -> None:
    """Wait until the processes of a session have worked for so long together.

    Where that is not told, as outside Linux, wait for more than long enough.
    """
    until = time.monotonic() + 60.0
    if not Path("/proc/self/stat").exists():
        until = time.monotonic() + 2.5 * seconds
    while time.monotonic() < until and worked(session) < seconds:
        time.sleep(0.05)


def worked(session: int) -> float:
    """Seconds of processor time, by /proc."""
    ticks = 0
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = each.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class TestWorkers:
    @pytest.mark.parametrize("workers", ["1", "2", "3"])
    def test_any_number_gives_the_same_report(self, place: Path, workers: str) -> None:
        told = invoke("run", "survey.yaml", "--format", "json", "--workers", workers)
        assert told.exit_code == 0
        assert told.stdout == invoke("run", "survey.yaml", "--format", "json").stdout

    def test_none_is_refused(self, place: Path) -> None:
        assert invoke("run", "survey.yaml", "--workers", "0").exit_code == 2

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_what_kills_its_process_is_a_finding(self, place: Path, workers: str) -> None:
        (place / "deadly.py").write_text("import os\n\ndef loss(x):\n    os._exit(7)\n")
        (place / "deadly.yaml").write_text(
            "implementations:\n"
            "  - {loss: logsumexp, target: 'deadly.py:loss', name: deadly}\n"
            "sweeps:\n"
            "  few:\n"
            "    losses: logsumexp\n"
            "    dtypes: [float32, float64]\n"
            "    implementations: [deadly, numpy.accurate]\n"
            "    inputs: [{generator: normal, rows: 4, classes: 3}]\n"
            "limits: [{max_ulp: 4}]\n"
        )
        done = process("run", "deadly.yaml", "--workers", workers, "--format", "json")
        assert done.returncode == 1, done.stderr
        document = json.loads(done.stdout)
        found = {(each["kind"], each["implementation"]) for each in document["findings"]}
        assert found == {("crashed", "deadly")}
        assert {each["detail"] for each in document["findings"]} == {"died of exit status 7"}
        assert not document["deaths"]

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_an_interrupted_scan_of_every_float32_reports_what_is_done(
        self, place: Path, workers: str
    ) -> None:
        (place / "every.yaml").write_text(EVERY_FLOAT32)
        command = [sys.executable, "-m", "xentcheck", "run", "every.yaml", "--format", "json"]
        with subprocess.Popen(
            [*command, "--workers", workers],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            let_work(child.pid, 2.0)
            os.killpg(child.pid, signal.SIGINT)
            output, notes = child.communicate(timeout=60)
        assert child.returncode == 130, notes
        assert "interrupted" in notes
        document = json.loads(output)
        assert document["interrupted"] is True
        (measurement,) = document["measurements"]
        assert 0 < measurement["rows"] < 1 << 32
        assert measurement["max_ulp"] < 4

    def test_long_work_on_a_terminal_tells_how_far_it_is(self, place: Path) -> None:
        (place / "every.yaml").write_text(EVERY_FLOAT32)
        ours, theirs = terminal()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        command = [sys.executable, "-m", "xentcheck", "run", "every.yaml"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=theirs, env=environment, start_new_session=True
        ) as child:
            os.close(theirs)
            text = b""
            while b"left" not in text:
                text += os.read(ours, 65_536)
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
        os.close(ours)
        shown = text.decode()
        assert "every: softplus in float32" in shown
        assert "rows/s" in shown
        assert "worst so far" in shown
