"""Words that people write: names of losses and frameworks, numbers, options of the environment; and
words that they read: what a name may mean, whose line raised, what a kind is."""

import json
import logging
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from click.shell_completion import ShellComplete

import xentcheck
from tests.places import ROOT
from tests.running import invoke
from xentcheck import errors, registry
from xentcheck.cli import cli, stdout
from xentcheck.config import loads
from xentcheck.errors import ConfigError, UnknownNameError, UsageError
from xentcheck.execution import invocation
from xentcheck.execution.invocation import CallError, describe
from xentcheck.gate.baseline_file import loads as baseline_of
from xentcheck.implementations.user import command_text
from xentcheck.losses import LOSSES, NAMES, loss_of
from xentcheck.losses.names import ALIASES, AMBIGUOUS
from xentcheck.model import ABOUT, Kind, Report, Skip
from xentcheck.report import words
from xentcheck.report.detail import Detail
from xentcheck.report.formats import table
from xentcheck.sweeps import GENERATORS

CE = "softmax_cross_entropy"
SOUND = """\
    import numpy as np

    def loss(logits, labels):
        rows = np.arange(len(logits))
        others = logits - logits[rows, labels][:, None]
        others[rows, labels] = -np.inf
        top = np.maximum(others.max(axis=1), 0)
        with np.errstate(all="ignore"):
            rest = np.exp(others - top[:, None]).sum(axis=1)
            return np.where(top > 0, top + np.log(np.exp(-top) + rest), np.log1p(rest))
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "xentcheck", *arguments]
    root = str(Path(xentcheck.__file__).parent.parent)
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        command,
        cwd=folder,
        env={**clean, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(dedent(text), encoding="utf-8")


class TestNamesOfLosses:
    @pytest.mark.parametrize(
        ("written", "loss"),
        [
            # by what the libraries' own documentation says that their functions take
            ("cross_entropy", CE),  # torch.nn.functional, mlx.nn.losses, of logits
            ("CrossEntropyLoss", CE),
            ("ce", CE),
            ("xent", CE),
            ("softmax_ce", CE),
            ("softmax-cross-entropy", CE),
            ("Softmax Cross Entropy", CE),
            ("softmax_cross_entropy_with_logits", CE),  # tf.nn
            ("cross_entropy_with_logits", CE),
            ("softmax_cross_entropy_with_integer_labels", CE),  # optax
            ("bce_with_logits", "sigmoid_binary_cross_entropy"),
            ("BCEWithLogitsLoss", "sigmoid_binary_cross_entropy"),
            ("binary_cross_entropy_with_logits", "sigmoid_binary_cross_entropy"),
            ("sigmoid_cross_entropy_with_logits", "sigmoid_binary_cross_entropy"),
            ("BCELoss", "binary_cross_entropy"),  # torch.nn, of probabilities
            ("BinaryCrossentropy", "binary_cross_entropy"),  # keras.losses, of probabilities
            ("categorical_crossentropy", "categorical_cross_entropy"),
            ("focal", "sigmoid_focal_loss"),
            ("FocalLoss", "sigmoid_focal_loss"),
            ("kl", "kl_divergence"),
            ("kl_div", "kl_divergence"),
            ("KLDivLoss", "kl_divergence"),
            ("nll", "nll_loss"),
            ("NLLLoss", "nll_loss"),
            ("jsd", "js_divergence"),
            ("lse", "logsumexp"),
            ("log_sum_exp", "logsumexp"),
            ("LogSoftmax", "log_softmax"),
            ("logsigmoid", "log_sigmoid"),
            ("expit", "sigmoid"),  # scipy.special
            ("entropy", "entropy"),
        ],
    )
    def test_a_name_stands_for_its_loss(self, written: str, loss: str) -> None:
        assert loss_of(written).id == loss

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("bce", ["sigmoid_binary_cross_entropy", "binary_cross_entropy"]),
            ("log_loss", ["binary_cross_entropy", "categorical_cross_entropy"]),
            ("logistic loss", ["sigmoid_binary_cross_entropy", "softplus"]),
            ("sparse_categorical_crossentropy", [CE, "categorical_cross_entropy"]),
            ("negative_log_likelihood", ["nll_loss", CE]),
            ("cross_entrop", [CE]),
            ("sofmax", ["softmax"]),
        ],
    )
    def test_a_word_for_several_is_refused_with_what_each_takes(
        self, written: str, meant: list[str]
    ) -> None:
        with pytest.raises(UnknownNameError) as caught:
            loss_of(written)
        assert "did you mean" in str(caught.value)
        for each in meant:
            assert repr(each) in str(caught.value)
        if len(meant) > 1:
            for each in meant:
                assert f"{each!r} (of {LOSSES[each].domain})" in str(caught.value)

    def test_every_alias_leads_to_its_loss_and_no_id_to_another(self) -> None:
        assert {NAMES.of(loss) for loss in LOSSES} == set(LOSSES)
        for loss, aliases in ALIASES.items():
            assert {NAMES.of(each) for each in aliases} == {loss}
        assert not any(map(NAMES.of, AMBIGUOUS))
        assert {each for meant in AMBIGUOUS.values() for each in meant} <= set(LOSSES)

    @pytest.mark.parametrize("pattern", ["softmax_*", "*", "softmax*cross_entropy", "a.b", ""])
    def test_a_pattern_is_no_name(self, pattern: str) -> None:
        assert NAMES.of(pattern) == ""

    def test_configurations_take_them_and_reports_have_the_id(self, tmp_path: Path) -> None:
        text = dedent("""\
            implementations: {loss: CrossEntropyLoss, target: "mine:loss"}
            sweeps:
              s: {losses: [ce, kl], dtypes: float32, inputs: [{generator: gap}]}
            limits: {loss: cross_entropy, max_ulp: 3}
        """)
        config = loads(text)
        assert config.sweeps[0].losses == (CE, "kl_divergence")
        assert config.targets[0].loss == CE
        assert config.limits[0].loss == CE

    def test_the_same_loss_by_two_names_stands_twice(self) -> None:
        text = "sweeps: {s: {losses: [ce, xent], dtypes: float32, inputs: [{generator: gap}]}}"
        with pytest.raises(ConfigError, match="duplicate 'xent': it is softmax_cross_entropy"):
            loads(text)

    @pytest.mark.parametrize(
        "text",
        [
            "sweeps: {s: {losses: bce, dtypes: float32, inputs: [{generator: gap}]}}",
            (
                "sweeps: {s: {losses: ce, dtypes: float32, inputs: [{generator: gap}]}}\n"
                "limits: {loss: bce, max_ulp: 3}"
            ),
        ],
    )
    def test_a_configuration_says_what_may_be_meant(self, text: str) -> None:
        with pytest.raises(ConfigError, match="'sigmoid_binary_cross_entropy' \\(of logits\\)"):
            loads(text)

    def test_a_baseline_takes_them(self) -> None:
        entries = baseline_of(
            dedent("""\
                version: 1
                cells:
                  - {loss: ce, implementation: mine, dtype: float32, quantity: value, sweep: s,
                     rows: 3, tolerated: {nan: {rows: 1}}}
            """)
        ).entries
        assert [each.cell.loss for each in entries] == [CE]

    def test_python_takes_them(self) -> None:
        result = xentcheck.probe(
            "ce", [1, 2], labels=0, dtypes=["float32"], implementations=["numpy.accurate"]
        )
        assert {each.cell.loss for each in result.report.measurements} == {CE}

        def none(logits: Any, labels: Any) -> Any:
            return np.zeros(len(logits), logits.dtype)

        report = xentcheck.audit(none, "NLL", dtypes="float32")
        assert {each.cell.loss for each in report.measurements} == {"nll_loss"}

    def test_a_declaration_takes_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @registry.implementation("CrossEntropy", "mine.one")
        def mine(logits: Any, labels: Any) -> Any:
            """Nothing."""

        @registry.implementation("bce", "mine.two")
        def other(logits: Any, labels: Any) -> Any:
            """Nothing."""

        class Point:
            name, value, dist = "mine", "mine:losses", None

            @staticmethod
            def load() -> Any:
                return lambda: (*registry._marks(mine), *registry._marks(other))

        monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda **_: [Point])
        (found,), (skip,) = registry.load_registered()
        assert (found.loss, found.name) == (CE, "mine.one")
        assert "'sigmoid_binary_cross_entropy' (of logits) or" in skip.reason

    def test_the_command_tells_what_a_name_is(self) -> None:
        told = invoke(
            *("probe", "--loss", "ce", "--logits", "1,2", "--label", "0"),
            *("--implementation", "numpy.accurate", "--format", "json"),
        )
        assert told.exit_code == 0
        assert told.stderr == f"note: ce is {CE}, of logits\n"
        assert json.loads(told.stdout)["measurements"][0]["loss"] == CE

    def test_an_unknown_name_lists_a_dozen_near_ones(self) -> None:
        known = [f"function_{k}" for k in range(500)] + ["zeta"]
        told = errors.did_you_mean("qq zet qq qq", known)
        assert told.count(",") == errors.MOST_NAMED - 1
        assert told.startswith("; the nearest of 501: zeta, ")

    @pytest.mark.parametrize("name", ["x", "a", "q"])
    def test_one_letter_is_near_to_nothing(self, name: str) -> None:
        assert errors.nearest(name, ["max", "axis", "epsilon"]) is None

    def test_no_number_is_not_taken_for_max(self) -> None:
        told = invoke("probe", "--loss", CE, "--logits", "x,1", "--label", "0")
        assert told.stderr == "error: --logits: expected a number, not 'x'\n"


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "offered"),
        [
            ("tensorflow.*", "did you mean 'tf.*' or 'keras.*'?"),
            ("TensorFlow.*", "did you mean 'tf.*' or 'keras.*'?"),
            ("tensorflow.nn.*", "did you mean 'tf.nn.*'?"),
            ("pytorch.*", "did you mean 'torch.*'?"),
            ("pytorch.nn.functional.softplus", "did you mean 'torch.nn.functional.softplus'?"),
            ("scikit-learn.*", "did you mean 'sklearn.*'?"),
            ("paddlepaddle.*", "did you mean 'paddle.*'?"),
            ("onnx.*", "did you mean 'onnxruntime.*'?"),
            ("optax", "did you mean 'optax.*'?"),
            ("numpy.nayve", "did you mean 'numpy.naive'?"),
        ],
    )
    def test_a_framework_leads_to_the_names_of_its_functions(
        self, pattern: str, offered: str
    ) -> None:
        told = invoke("run", "configs/gate.yaml", "--select", pattern)
        assert told.exit_code == 2
        assert told.stderr == f"error: unknown implementation {pattern!r}; {offered}\n"

    def test_a_sweep_and_a_limit_say_so_too(self, tmp_path: Path) -> None:
        text = """\
            sweeps:
              s:
                losses: softplus
                dtypes: float32
                inputs: [{generator: gap}]
                implementations: "%s"
            limits: {implementation: "%s", max_ulp: 4}
        """
        write(tmp_path, "a.yaml", text % ("pytorch.*", "*"))
        write(tmp_path, "b.yaml", text % ("*", "pytorch.*"))
        for name in ("a.yaml", "b.yaml"):
            told = invoke("run", str(tmp_path / name))
            assert told.exit_code == 2
            assert "help: did you mean 'torch.*'?" in told.stderr

    def test_what_is_near_nothing_is_answered_with_a_dozen_names(self) -> None:
        told = invoke("run", "configs/gate.yaml", "--select", "zzz")
        assert told.stderr.count(",") <= errors.MOST_NAMED + 1
        assert "@" not in told.stderr


class TestLists:
    def test_a_loss_with_its_conventions(self) -> None:
        told = invoke("list", "losses", "CrossEntropy").stdout
        text = " ".join(told.split())
        loss = LOSSES[CE]
        assert told.startswith(CE)
        for each in (loss.formula, loss.gradient_formula, loss.source, *loss.conventions):
            assert " ".join(each.split()) in text
        for parameter in loss.parameters:
            assert f"{parameter.name}: {parameter.doc.rstrip('.')}" in text
        assert "integer or distribution labels" in text
        assert "also called: cross_entropy, ce, " in text
        assert "softplus" not in told

    def test_kinds_with_what_they_mean(self) -> None:
        told = invoke("list", "kinds").stdout
        assert [m for m in re.findall(r"^  ([a-z-]+)", told, re.MULTILINE) if m in [*Kind]] == [
            *map(str, Kind)
        ]
        document = json.loads(invoke("list", "kinds", "--format", "json").stdout)
        assert {each["name"]: each["summary"] for each in document["kinds"]} == {
            str(kind): ABOUT[kind].says for kind in Kind
        }
        one = invoke("list", "kinds", "plateau").stdout
        assert one.startswith("plateau  The result is constant")
        assert ABOUT[Kind.PLATEAU].hint[:20] in one

    def test_implementations_of_a_loss_and_a_framework(self) -> None:
        document = json.loads(
            invoke(
                *("list", "implementations", "--loss", "bce_with_logits"),
                *("--framework", "tensorflow", "--format", "json"),
            ).stdout
        )
        found = document["implementations"]
        assert {each["loss"] for each in found} == {"sigmoid_binary_cross_entropy"}
        assert {each["name"].partition(".")[0] for each in found} == {"tf", "keras"}
        by_name = invoke("list", "implementations", "numpy.acc*", "--format", "json")
        names = {each["name"] for each in json.loads(by_name.stdout)["implementations"]}
        assert names == {"numpy.accurate"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("losses", "bce"), "did you mean 'sigmoid_binary_cross_entropy' (of logits)"),
            (("kinds", "plato"), "unknown kind 'plato'; did you mean 'plateau'?"),
            (("dtypes", "fp32"), "unknown dtype 'fp32'; did you mean 'float32'?"),
            (("generators", "norml"), "did you mean 'normal'?"),
            (("implementations", "--framework", "tensorflo"), "did you mean 'tensorflow'?"),
            (("implementations", "pytorch.*"), "did you mean 'torch.*'?"),
            (("losses", "--framework", "torch"), "--framework goes with"),
        ],
    )
    def test_what_there_is_not_is_refused(self, arguments: tuple[str, ...], message: str) -> None:
        told = invoke("list", *arguments)
        assert told.exit_code == 2
        assert message in told.stderr

    def test_no_default_is_empty(self) -> None:
        for what in ("generators", "losses"):
            assert "(default )" not in invoke("list", what).stdout
        assert any(option.default == () for g in GENERATORS.values() for option in g.options)

    def test_signs_that_an_encoding_lacks_are_written_out(self, tmp_path: Path) -> None:
        told = run(tmp_path, "list", "losses", CE, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
        assert told.returncode == 0
        assert "sum_k c_k (log sum_j exp(z_j) - z_k) + z_loss (log sum_j exp(z_j))^2" in " ".join(
            told.stdout.split()
        )
        assert "?" not in told.stdout

    def test_every_sign_of_the_formulas_has_a_stand_in(self) -> None:
        texts = [t for each in LOSSES.values() for t in (each.formula, each.gradient_formula)]
        texts += [t for each in LOSSES.values() for t in (*each.conventions, each.source)]
        texts += [o.doc for each in GENERATORS.values() for o in each.options]
        signs = {c for text in texts for c in text if not c.isascii()}
        assert "Σ" in signs
        for sign in signs:
            plain = stdout._stand_in(sign, "ascii")
            assert plain.isascii()
            assert "?" not in plain


class TestDoor:
    def test_the_version_has_what_a_report_of_a_fault_needs(self) -> None:
        told = invoke("--version")
        assert told.exit_code == 0
        lines = told.stdout.splitlines()
        assert lines[0] == f"xentcheck {xentcheck.__version__}"
        assert lines[1] == f"Python {'.'.join(map(str, sys.version_info[:3]))}"
        assert f"numpy {np.__version__}" in lines
        for name in ("mpmath", "ml_dtypes", "numpy-quaddtype", "gmpy2"):
            try:
                installed = metadata.version(name)
            except metadata.PackageNotFoundError:
                installed = "not installed"
            assert f"{name} {installed}" in lines

    def test_it_names_installed_frameworks_without_importing_them(self, tmp_path: Path) -> None:
        info = tmp_path / "torch-9.8.7.dist-info"
        info.mkdir()
        write(info, "METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 9.8.7\n")
        write(tmp_path, "torch.py", "raise RuntimeError('imported')\n")
        root = str(Path(xentcheck.__file__).parent.parent)
        told = run(tmp_path, "--version", PYTHONPATH=f"{tmp_path}{os.pathsep}{root}")
        assert told.returncode == 0, told.stderr
        assert "torch 9.8.7" in told.stdout.splitlines()

    def test_the_version_is_beyond_what_was_released(self) -> None:
        changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        released = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\]", changes, re.MULTILINE)
        current = re.match(r"(\d+)\.(\d+)\.(\d+)", xentcheck.__version__)
        assert current is not None
        newest = max(tuple(map(int, each)) for each in released)
        assert tuple(map(int, current.groups())) > newest or "## [Unreleased]" not in changes

    @pytest.mark.parametrize(
        ("environment", "colored"),
        [
            ({"FORCE_COLOR": "1"}, True),
            ({"FORCE_COLOR": "true", "TERM": "dumb"}, True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
            ({"FORCE_COLOR": "0"}, False),
            ({"FORCE_COLOR": ""}, False),
            ({}, False),
        ],
    )
    def test_colours_can_be_forced(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], colored: bool
    ) -> None:
        for name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        told = invoke(
            *("probe", "--loss", CE, "--logits", "1,2", "--label", "0"),
            *("--implementation", "numpy.accurate"),
            **environment,
        )
        assert ("\x1b[" in told.stdout) is colored

    def test_a_missing_configuration_is_answered_with_how_to_get_one(self, tmp_path: Path) -> None:
        told = invoke("run", "configs/sweep.yaml", cwd=tmp_path)
        assert told.exit_code == 2
        assert "help: `xentcheck init` writes a configuration to start from" in told.stderr
        assert "configs/ come with the source" in told.stderr

    def test_init_names_no_option_that_was_not_given(self, tmp_path: Path) -> None:
        told = invoke("init", "sub/dir/x.yaml", cwd=tmp_path)
        assert told.stderr.splitlines() == [
            "error: sub/dir/x.yaml: there is no directory sub/dir",
            "    help: mkdir -p sub/dir",
        ]

    @pytest.mark.parametrize(
        ("words", "begun", "expected"),
        [
            (["check", "--allow"], "plat", ["plateau"]),
            (["check", "--forbid"], "", ["convention", "fp-signal", "ftz"]),
            (["check", "--loss", "focal", "--param"], "", ["alpha=", "gamma=", "reduction="]),
            (["probe", "--loss", "softplus", "--implementation"], "numpy.n", ["numpy.naive"]),
            (["run", "--select"], "numpy.acc", ["numpy.accurate"]),
            (["list", "losses"], "log", ["log_softmax", "logsumexp", "log_sigmoid"]),
            (["list", "kinds"], "na", ["nan"]),
        ],
    )
    def test_names_are_completed(self, words: list[str], begun: str, expected: list[str]) -> None:
        found = ShellComplete(cli, {}, "xentcheck", "_X").get_completions(words, begun)
        names = [each.value for each in found]
        assert set(expected) <= set(names)
        assert all(name.startswith(begun) for name in names)
        assert len(names) <= len(expected) + 4

    def test_a_slip_of_a_required_key_is_one_problem(self) -> None:
        text = "sweeps: {s: {losses: ce, dtyps: float32, inputs: [{generator: gap}]}}"
        with pytest.raises(ConfigError) as caught:
            loads(text)
        (problem,) = caught.value.problems
        assert problem.remedy == "did you mean 'dtypes'?"


class TestForeignCode:
    def test_it_names_the_users_line_not_the_librarys(self) -> None:
        def mine(logits: Any) -> Any:
            return np.stack([logits, logits], axis=7)  # this line

        with pytest.raises(CallError) as caught:
            invocation.invoke(mine, (np.zeros((2, 3)),), {}, (2,))
        line = mine.__code__.co_firstlineno + 1
        assert caught.value.detail.endswith(f"(test_words.py:{line})")
        assert "axis=7)  # this line" in caught.value.trace
        assert "invocation.py" not in caught.value.trace

    def test_of_code_that_is_all_of_libraries_it_names_the_one_that_was_called(self) -> None:
        try:
            json.loads("{")
        except ValueError as error:
            inside = error.with_traceback(error.__traceback__.tb_next)  # type: ignore[union-attr]
            assert re.search(r"\((decoder|__init__)\.py:\d+\)$", describe(inside))

    @pytest.fixture
    def noisy(self, tmp_path: Path) -> Path:
        text = dedent(SOUND).replace(
            "    rows =", '    print("hello", logits.dtype)\n    helper(len(logits))\n    rows =', 1
        )
        write(
            tmp_path,
            "noisy.py",
            text + "\n\ndef helper(rows):\n    if rows > 400:\n        np.zeros(3).reshape(2)\n",
        )
        return tmp_path

    def test_its_output_is_labelled_and_not_repeated(self, noisy: Path) -> None:
        told = run(
            noisy,
            *("check", "noisy.py:loss", "--loss", "ce", "--dtype", "float32", "--no-diagnosis"),
        )
        lines = [each for each in told.stderr.splitlines() if "hello" in each]
        assert lines == ["noisy.py prints: hello float32"]
        again = [each for each in told.stderr.splitlines() if "the same again" in each]
        assert len(again) == 1

    def test_debug_shows_its_traceback(self, noisy: Path) -> None:
        arguments = ("check", "noisy.py:loss", "--loss=ce", "--dtype=float32", "--workers=1")
        plain = invoke(*arguments, cwd=noisy)
        assert "Traceback" not in plain.stderr
        text = " ".join(plain.stdout.split())
        assert re.search(r"ValueError: cannot reshape.*\(noisy\.py:\d+\)", text)
        told = invoke("--debug", *arguments, cwd=noisy)
        assert told.stderr.count("in helper") == 1  # each traceback once
        assert "np.zeros(3).reshape(2)" in told.stderr

    def test_debug_shows_why_an_import_failed(self, tmp_path: Path) -> None:
        write(tmp_path, "bad.py", "import json\njson.loads('{')\n")
        arguments = ("check", "bad.py:loss", "--loss", "ce")
        assert "Traceback" not in invoke(*arguments, cwd=tmp_path).stderr
        assert "json.loads('{')" in invoke("--debug", *arguments, cwd=tmp_path).stderr

    def test_the_log_is_left_as_it_was(self) -> None:
        logger = logging.getLogger("xentcheck")
        before = (logger.level, list(logger.handlers))
        invoke("--debug", "list", "dtypes")
        assert (logger.level, list(logger.handlers)) == before

    def test_a_command_is_replayed_in_quotes_one_can_read(self) -> None:
        text = command_text(("./c/k", "{logits}", "{labels}", "{out}", "--name=it's", "two words"))
        assert text.startswith("./c/k {logits} {labels} {out} ")
        shown = words.shell(["xentcheck", "--implementation", "./c/k {logits} {out}"])
        assert shown == "xentcheck --implementation './c/k {logits} {out}'"

    @pytest.mark.parametrize(
        "command",
        [
            ["a", "it's", "two words", 'say "no"', 'it\'s "both"', "it's $HOME", "it's !", "`'`"],
            ["", "'", "\\'", "it's a\\", "new\nline's"],
        ],
    )
    def test_a_shell_reads_the_words_back(self, command: list[str]) -> None:
        script = f"printf '%s\\0' {words.shell(command)}"
        told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert told.stdout.split("\0")[:-1] == command


class TestProbe:
    def test_a_number_that_the_dtype_has_not_is_told(self) -> None:
        told = invoke("probe", "--loss", CE, "--logits", "1e39,2", "--label", "1")
        assert "note: 1e+39 of the logits is inf in float32\n" in told.stderr
        result = xentcheck.probe(
            CE,
            [1e-50, 1e39],
            labels=0,
            dtypes=["float32", "float64"],
            implementations=["numpy.naive"],
        )
        assert result.notes == (
            "1e+39 of the logits is inf in float32",
            "1e-50 of the logits is 0 in float32",
        )

    @pytest.mark.parametrize(
        ("loss", "logits", "labels", "told"),
        [
            (CE, [1, 2], [0.5, 0.6], (
                "the labels sum to 1.1, not to 1, and are taken as they are",
            )),
            (CE, [1, 2, 3], [0.1, 0.2, 0.7], ()),
            (CE, [[1, 2], [3, 4]], [0, 1], ()),  # classes
            (CE, [[1, 2], [3, 4]], [[1, 0], [1, 1]], (
                "the labels of row 1 sum to 2, not to 1, and are taken as they are",
            )),
            ("entropy", [0.5, 0.6], None, (
                "the probabilities sum to 1.1, not to 1, and are taken as they are",
            )),
            ("sigmoid_binary_cross_entropy", [1, 2], [0.5, 0.6], ()),
        ],
    )  # fmt: skip
    def test_what_is_no_distribution_is_told(
        self, loss: str, logits: Any, labels: Any, told: tuple[str, ...]
    ) -> None:
        result = xentcheck.probe(
            loss, logits, labels=labels, dtypes=["float32"], implementations=["numpy.accurate"]
        )
        assert result.notes == told

    @pytest.mark.parametrize(
        "written", ["1,2,3", "[1,2,3]", "[1, 2, 3]", "[1. 2. 3.]", "(1, 2, 3)", " [1,2,3,] "]
    )
    def test_numbers_may_be_pasted_with_their_brackets(self, written: str) -> None:
        assert self.logits(written, "0") == [
            ["0x1.0000000000000p+0", "0x1.0000000000000p+1", "0x1.8000000000000p+1"]
        ]

    @pytest.mark.parametrize("written", ["1,2;3,4", "[[1,2],[3,4]]", "[[1. 2.]\n [3. 4.]]"])
    def test_rows_too(self, written: str) -> None:
        assert len(self.logits(written, "0,1")) == 2

    def logits(self, written: str, label: str) -> Any:
        told = invoke(
            *("probe", "--loss", CE, f"--logits={written}", "--label", label),
            *("--implementation", "numpy.accurate", "--format", "json"),
        )
        assert told.exit_code == 0, told.stderr
        document = json.loads(told.stdout)
        value = [each for each in document["measurements"] if each["quantity"] == "value"]
        assert value
        return document["config"]["logits"] if label != "0" else [value[0]["witness"]["logits"]]

    def test_a_dtype_that_is_not_taken_is_named_once(self) -> None:
        skips = [Skip("does not take float8_e4m3fn", CE, f"f{k}", "float8_e4m3fn") for k in "ab"]
        assert list(words.skipped_lines(skips)) == ["2 × does not take float8_e4m3fn: fa, fb"]
        other = [Skip("does not take distribution labels", CE, "f", "float16")]
        assert list(words.skipped_lines(other)) == [
            "1 × does not take distribution labels: f float16"
        ]


class TestReports:
    @pytest.fixture(scope="class")
    @staticmethod
    def report() -> Report:
        def zero(logits: Any, labels: Any) -> Any:
            return np.zeros(len(logits), logits.dtype)

        return xentcheck.audit(zero, CE, dtypes="float32")

    def test_it_shows_itself(self, report: Report, tmp_path: Path) -> None:
        assert report.passed is False
        assert repr(report).startswith("<Report: not passed, ")
        assert "\n" not in repr(report)
        assert len(repr(report)) < 120
        assert str(report) == table.render(report, 100)
        assert json.loads(report.to_json())["gated"] is True
        assert report.to_markdown().startswith("#")
        for name in ("r.json", "r.md", "r.txt", "r.csv", "r.xml", "r.sarif"):
            report.save(tmp_path / name)
            assert (tmp_path / name).stat().st_size > 100
        assert (tmp_path / "r.json").read_text(encoding="utf-8") == report.to_json()
        assert xentcheck.read_report(tmp_path / "r.json").passed is False
        report.save(tmp_path / "r.out", form="markdown")
        with pytest.raises(UsageError, match="no suffix of a format"):
            report.save(tmp_path / "r.out")
        with pytest.raises(UnknownNameError, match="did you mean 'markdown'"):
            report.save(tmp_path / "r.out", form="markdwn")

    def test_a_survey_passes_nothing(self) -> None:
        sweep = {"losses": "softplus", "dtypes": "float32", "inputs": [{"generator": "gap"}]}
        survey = xentcheck.audit({"sweeps": {"s": sweep}}, select="numpy.accurate")
        assert survey.passed is None
        gate = xentcheck.audit(
            {"sweeps": {"s": sweep}, "limits": {"max_ulp": 4}}, select="numpy.accurate"
        )
        assert gate.passed is True
        assert repr(gate).startswith("<Report: passed, ")

    def test_every_kind_that_is_printed_is_explained(self, report: Report) -> None:
        text = table.render(report, 100, detail=Detail.FINDINGS)
        printed = {kind for each in report.measurements for kind in each.counts}
        assert printed
        meaning = text[text.index("what the words mean") :]
        for kind in Kind:
            assert (f"{kind} " in meaning and ABOUT[kind].says in meaning) is (kind in printed)

    def test_a_probe_shows_itself(self, tmp_path: Path) -> None:
        result = xentcheck.probe(CE, [1, 2], labels=[0.5, 0.6], dtypes=["float32"])
        assert "\n" not in repr(result)
        assert repr(result).startswith(f"<ProbeResult of {CE}: ")
        assert str(result).startswith("note: the labels sum to 1.1")
        assert "numpy.accurate" in str(result)
        result.save(tmp_path / "p.json")
        assert (tmp_path / "p.json").read_text(encoding="utf-8") == result.to_json()
        result.save(tmp_path / "p.txt")
        assert (tmp_path / "p.txt").read_text(encoding="utf-8") == str(result)

    def test_the_package_lists_its_own_names(self) -> None:
        public = [name for name in dir(xentcheck) if not name.startswith("_")]
        assert public == sorted(set(xentcheck.__all__) - {"__version__"})

    def test_an_atlas_of_a_check_says_where_it_breaks(self, tmp_path: Path) -> None:
        write(tmp_path, "mine.py", SOUND.replace("np.log1p(rest)", "np.log(1 + rest)"))
        arguments = ("check", "mine.py:loss", "--loss=ce", "--dtype=float32", "--workers=1")
        told = invoke(*arguments, "--format=atlas", cwd=tmp_path)
        assert "\n1 way to call, " in told.stdout
        (line,) = re.findall(r"^\| `mine.*$", told.stdout, re.MULTILINE)
        # log(1 + t) is 0 from t < 2^-24 on, and off by more than 4 ulp long before
        breaks = line.split(" | ")[-1].removesuffix(" |")
        assert re.fullmatch(r"\[.*\] label \d+: (inaccurate|spurious-underflow)", breaks)

    def test_lost_digits_are_told_with_where_they_went(self) -> None:
        def lse(logits: Any, labels: Any) -> Any:
            top = logits.max(axis=1, keepdims=True)
            with np.errstate(all="ignore"):
                total = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
                return total - logits[np.arange(len(logits)), labels]

        found = xentcheck.audit(lse, CE, dtypes="float32").findings
        hints = {each.hint for each in found if each.kind is Kind.INACCURATE}
        assert any("beside logits of" in hint or "all logits are near" in hint for hint in hints)

    def test_a_witness_runs_from_any_folder(self, tmp_path: Path) -> None:
        write(tmp_path, "mine.py", SOUND.replace("np.log1p(rest)", "np.log(1 + rest)"))
        arguments = ("check", "mine.py:loss", "--loss=ce", "--dtype=float32", "--workers=1")
        invoke(*arguments, "--witnesses=w", cwd=tmp_path)
        script = min((tmp_path / "w").glob("*.py"))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        command = [sys.executable, str(script)]
        told = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        assert "expected" in told.stdout
