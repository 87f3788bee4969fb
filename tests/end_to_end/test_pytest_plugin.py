"""The pytest plugin, through pytest itself: in this process, or apart where that counts."""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from tests.end_to_end.test_api import baseline_of
from tests.places import ROOT
from xentcheck import registry

pytest_plugins = "pytester"

PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:cov")
MINE = """\
import os
from pathlib import Path

import numpy as np

with Path("loaded.txt").open("a") as log:
    log.write("loaded ")


def loss(logits, labels):
    with Path("called.txt").open("a") as log:
        log.write(f"{logits.dtype} ")
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))


def other(logits, labels):
    return loss(logits, labels)
"""
CONFIG = """\
implementations:
  - {loss: softmax_cross_entropy, target: "mine.py:loss", name: mine}
sweeps:
  small:
    losses: softmax_cross_entropy
    dtypes: [float32, float16]
    implementations: [mine, numpy.naive, numpy.accurate]
    inputs:
      - {generator: explicit, values: [[20, 0, 0], [1000, 2000, 3000]]}
  again:
    losses: softmax_cross_entropy
    dtypes: [float32]
    quantities: [value]
    implementations: [numpy.naive]
    inputs:
      - {generator: explicit, values: [[20, 0, 0]]}
"""
CE = "softmax_cross_entropy"
NAMES = [
    f"{CE}[{name}-{dtype}-{quantity}]"
    for dtype in ("float32", "float16")
    for name in ("numpy.accurate", "numpy.naive", "mine")
    for quantity in ("value", "gradient")
]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a module of losses and a configuration by the name that is collected."""
    pytester.makepyfile(mine=MINE)
    pytester.path.joinpath("gate.xentcheck.yaml").write_text(CONFIG)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_inprocess(*PLAIN, *arguments)


def run_apart(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess(*PLAIN, *arguments)


def collected(result: pytest.RunResult) -> list[str]:
    return [line.partition("::")[2] for line in result.outlines if "::" in line]


class TestItems:
    def test_a_cell_is_a_test_with_its_finding_as_failure(self, project: pytest.Pytester) -> None:
        result = run_apart(project, "-rA", "--junit-xml=junit.xml", "--strict-markers")
        result.assert_outcomes(passed=4, failed=6, skipped=2)
        cases = {
            case.attrib["name"]: case
            for case in ET.parse(project.path / "junit.xml").iter("testcase")
        }
        assert list(cases) == NAMES
        failure = cases[f"{CE}[numpy.naive-float32-value]"].find("failure")
        assert failure is not None
        text = failure.text or ""
        assert text.startswith("3 violations\n\n")
        assert f"\n\nnan  {CE}  numpy.naive  float32  value" in text
        assert "actual    nan (float32)" in text
        assert "expected  2.06115369216775e-9 = 0x1.1b4866p-29" in text  # log1p(exp(-20))
        replay = f"xentcheck probe --loss {CE} --logits=20,0 --label=0 --dtype float32"
        assert f"replay    {replay} --implementation numpy.naive" in text
        assert "sweep again" in text
        own = cases[f"{CE}[mine-float16-value]"].find("failure")
        assert own is not None
        assert "--implementation mine.py:loss --gradient none" in (own.text or "")
        skipped = cases[f"{CE}[mine-float32-gradient]"].find("skipped")
        assert skipped is not None
        assert skipped.attrib["message"] == "has no gradient"
        told = "\n".join(result.outlines)
        assert "Traceback" not in told
        assert "pytest_plugin.py" not in told
        assert "SKIPPED [2] gate.xentcheck.yaml:1: has no gradient" in told

        naive = cases[f"{CE}[numpy.naive-float32-value]"]
        properties = {each.attrib["name"]: each.attrib["value"] for each in naive.iter("property")}
        assert properties.keys() == {
            *(
                "max_ulp",
                "p99_ulp",
                "max_abs",
                "max_norm",
                "rows",
                "rows nan",
                "rows spurious-underflow",
            ),
            "rows fp-signal",
        }
        assert (properties["rows"], properties["rows nan"]) == ("9", "3")
        assert 9e6 < float(properties["max_ulp"]) < 1e7

    def test_only_what_is_selected_is_audited(self, project: pytest.Pytester) -> None:
        result = run(project, "-k", "numpy.accurate and float32", "-m", "xentcheck")
        result.assert_outcomes(passed=2, deselected=10)
        assert not project.path.joinpath("called.txt").exists()

    def test_the_first_failure_can_end_it(self, project: pytest.Pytester) -> None:
        result = run(project, "-x", "-k", "mine")
        result.assert_outcomes(failed=1, deselected=8)
        assert called_dtypes(project) == {"float32"}

    def test_code_is_loaded_once_in_a_session(self, project: pytest.Pytester) -> None:
        run(project, "-k", "mine").assert_outcomes(failed=2, skipped=2, deselected=8)
        assert called_dtypes(project) == {*("float32", "float16")}
        assert project.path.joinpath("loaded.txt").read_text() == "loaded "

    def test_xdist_gives_the_same(self, project: pytest.Pytester) -> None:
        result = run_apart(project, "-n", "2", "--junit-xml=junit.xml")
        result.assert_outcomes(passed=4, failed=6, skipped=2)
        names = {c.attrib["name"] for c in ET.parse(project.path / "junit.xml").iter("testcase")}
        assert names == set(NAMES)


class TestPeers:
    CONFIG = """\
implementations:
  - {loss: softmax_cross_entropy, target: "mine.py:loss", name: mine}
  - {loss: softmax_cross_entropy, target: "mine.py:other", name: peer}
sweeps:
  small:
    losses: softmax_cross_entropy
    dtypes: [float32]
    quantities: QUANTITY
    implementations: [NAME]
    inputs:
      - {generator: explicit, values: [[20, 0, 0], [1000, 2000, 3000]]}
limits:
  - {implementation: NAME, against: PEER}
"""

    def test_peers_are_held_against_though_no_sweep_selects_them(
        self, project: pytest.Pytester
    ) -> None:
        text = self.CONFIG.replace("QUANTITY", "value")
        (project.path / "gate.xentcheck.yaml").unlink()
        path = project.path / "gate.yaml"
        path.write_text(text.replace("NAME", "mine").replace("PEER", "peer"))
        run(project, "--xentcheck=gate.yaml", "-k", "mine").assert_outcomes(passed=1)
        path.write_text(text.replace("NAME", "mine").replace("PEER", "numpy.accurate"))
        result = run(project, "--xentcheck=gate.yaml", "-k", "mine")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*no row worse than numpy.accurate's*"])

    def test_a_peer_without_a_gradient_fails_the_test_of_a_gradient(
        self, project: pytest.Pytester
    ) -> None:
        text = self.CONFIG.replace("QUANTITY", "gradient").replace("NAME", "numpy.accurate")
        (project.path / "gate.xentcheck.yaml").unlink()
        (project.path / "gate.yaml").write_text(text.replace("PEER", "peer"))
        result = run(project, "--xentcheck=gate.yaml", "-k", "numpy.accurate")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*peer: has no gradient*"])


class TestAgain:
    def test_what_failed_last_is_known_again(self, project: pytest.Pytester) -> None:
        project.makepyfile(test_own="def test_own(): assert False")
        arguments = (*PLAIN[2:], "-q", "--tb=no", "-k", "numpy or own")
        first = project.runpytest_inprocess(*arguments).parseoutcomes()
        again = project.runpytest_inprocess(*arguments, "--lf").parseoutcomes()
        assert first["failed"] == again["failed"] > 1
        assert "passed" not in again

    def test_an_option_in_the_ini_file_counts_from_there(self, project: pytest.Pytester) -> None:
        project.path.joinpath("gate.yaml").write_text(CONFIG)
        project.path.joinpath("pytest.ini").write_text(
            "[pytest]\naddopts = --xentcheck gate.yaml\n"
        )
        folder = project.path / "below"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--co", "-q"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"{CE}[numpy.naive-float32-value]" in done.stdout, done.stdout + done.stderr


class TestCollection:
    def test_an_option_adds_a_configuration_to_the_tests(self, project: pytest.Pytester) -> None:
        project.makepyfile(test_own="def test_own(): pass")
        project.mkdir("configs")
        named = project.path / "configs" / "gate.yaml"
        named.write_text(CONFIG.replace('"mine.py:loss"', '"../mine.py:loss"'))
        twice = ("--xentcheck", "configs/gate.yaml", "--xentcheck", "gate.xentcheck.yaml")
        result = run(project, "--collect-only", "-q", *twice, "-p", "xentcheck.pytest_plugin")
        assert result.ret == 0
        found = [line for line in result.outlines if "::" in line]
        assert sorted(found) == sorted(
            [f"configs/gate.yaml::{name}" for name in NAMES]
            + [f"gate.xentcheck.yaml::{name}" for name in NAMES]
            + ["test_own.py::test_own"]
        )
        assert not project.path.joinpath("loaded.txt").exists()
        again = f"configs/gate.yaml::{CE}[numpy.accurate-float32-value]"
        run(project, "--xentcheck", "configs/gate.yaml", again).assert_outcomes(passed=1)
        assert not project.path.joinpath("called.txt").exists()

    def test_a_test_can_be_run_again_by_its_name(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(mine=MINE)
        pytester.path.joinpath("gate.yaml").write_text(CONFIG)
        again = f"gate.yaml::{CE}[numpy.accurate-float32-value]"
        run(pytester, again).assert_outcomes(passed=1)

    def test_other_yaml_is_left_alone(self, pytester: pytest.Pytester) -> None:
        pytester.path.joinpath("other.yaml").write_text("services: {}\n")
        pytester.path.joinpath("gate.yaml").write_text(CONFIG)
        result = run(pytester, "--collect-only", "-q", ".")
        assert collected(result) == []
        result = run(pytester, "--collect-only", "-q", "other.yaml")
        assert "ERROR: not found" in result.stderr.str()

    def test_a_wrong_configuration_is_an_error_with_all_problems(
        self, pytester: pytest.Pytester
    ) -> None:
        wrong = CONFIG.replace("mine.py", "yours.py").replace("float16", "float17")
        pytester.path.joinpath("gate.xentcheck.yaml").write_text(wrong)
        result = run(pytester)
        assert result.ret == pytest.ExitCode.INTERRUPTED
        told = result.stdout.str()
        assert "gate.xentcheck.yaml:2: implementations[0].target: 'yours.py' does not exist" in told
        assert "gate.xentcheck.yaml:6: sweeps.small.dtypes[1]: unknown dtype 'float17'" in told
        assert "help: did you mean" in told
        assert "Traceback" not in told
        assert ".py:" not in told

    def test_a_limit_that_is_for_nobody_is_an_error(self, project: pytest.Pytester) -> None:
        limited = CONFIG + "limits:\n  - {implementation: numpy.accurat}\n"
        project.path.joinpath("gate.xentcheck.yaml").write_text(limited)
        told = run(project).stdout.str()
        assert "numpy.accurat" in told
        assert "did you mean 'numpy.accurate'?" in told
        assert "1 error" in told

    def test_a_missing_file_is_a_usage_error(self, project: pytest.Pytester) -> None:
        result = run(project, "--xentcheck", "gate.xentchek.yaml")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["ERROR: --xentcheck gate.xentchek.yaml: no such file", "*gate.xentcheck.yaml?"]
        )

    def test_a_framework_that_is_not_installed_is_one_skip(self, pytester: pytest.Pytester) -> None:
        processes = {each.process for each in registry.implementations() if each.process}
        absent = [each for each in processes if registry.missing(each)]
        if not absent:
            pytest.skip("every framework is installed")
        config = CONFIG.replace("[mine, numpy.naive, numpy.accurate]", "['*', '*@*']")
        config += "allow_skips: true\n"  # of *@* there may be nothing here, which fails a gate
        pytester.makepyfile(mine=MINE)
        pytester.path.joinpath("gate.xentcheck.yaml").write_text(config)
        result = run(pytester, "-rs", "-k", f"not {CE}")
        told = [line for line in result.outlines if line.startswith("SKIPPED")]
        wanted = {
            registry.missing(each.process)
            for each in registry.implementations()
            if each.process in absent and each.loss == CE and each.process is not None
        }
        assert wanted
        assert {each.partition("yaml: ")[2] for each in told} == wanted
        assert all(each.startswith("SKIPPED [1]") for each in told)
        result.assert_outcomes(skipped=len(wanted), deselected=result.parseoutcomes()["deselected"])


class TestVerdicts:
    def test_without_limits_for_a_cell_it_is_skipped(self, project: pytest.Pytester) -> None:
        limited = CONFIG + "limits:\n  - {implementation: numpy.accurate, max_ulp: 1}\n"
        project.path.joinpath("gate.xentcheck.yaml").write_text(limited)
        result = run(project, "-rs")
        result.assert_outcomes(passed=4, skipped=8)
        assert "no limit is for it: it is only surveyed" in result.stdout.str()
        assert not project.path.joinpath("called.txt").exists()

    @pytest.mark.parametrize("allowed", [False, True])
    def test_what_is_named_and_not_audited_fails(
        self, project: pytest.Pytester, allowed: bool
    ) -> None:
        """`mine` has no gradient, and takes no smoothing."""
        asked = CONFIG.replace("    dtypes: [float32, float16]", "    dtypes: [float32]", 1)
        asked = asked.replace(
            "    implementations: [mine, numpy.naive, numpy.accurate]",
            "    implementations: [mine]\n    quantities: [value, gradient]\n"
            "    parameters: {label_smoothing: [0, 0.1]}",
        )
        asked += f"limits: [{{max_ulp: 1e30, allow: [nan]}}]\nallow_skips: {str(allowed).lower()}\n"
        project.path.joinpath("gate.xentcheck.yaml").write_text(asked)
        result = run(project, "-k", "mine")
        text = result.stdout.str()
        if allowed:
            result.assert_outcomes(passed=1, skipped=1, deselected=1)
            assert "not audited, though" not in text
            return
        result.assert_outcomes(failed=1, errors=1, deselected=1)
        assert "not audited, though the configuration names it: has no gradient" in text
        assert "not audited, though the configuration names it: does not take label_smooth" in text

    def test_a_limit_of_the_configuration_decides(self, project: pytest.Pytester) -> None:
        limited = CONFIG + "limits:\n  - {implementation: numpy.*, max_ulp: 0.5}\n"
        limited += "  - {implementation: numpy.*, quantity: gradient, max_ulp: 0.01}\n"
        project.path.joinpath("gate.xentcheck.yaml").write_text(limited)
        result = run(project, "-k", "accurate and float32")
        result.assert_outcomes(passed=1, failed=1, deselected=10)
        assert "max_ulp 0.01" in result.stdout.str()

    def test_a_baseline_tolerates_what_it_has(
        self, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import xentcheck

        monkeypatch.chdir(project.path)
        limited = CONFIG + "limits:\n  - {implementation: 'numpy.*'}\n"
        project.path.joinpath("limited.yaml").write_text(limited)
        known = baseline_of(xentcheck.audit("limited.yaml"))
        project.path.joinpath("known.yaml").write_text(known)
        config = project.path / "gate.xentcheck.yaml"
        config.write_text(limited + "baseline: known.yaml\n")
        result = run(project, "-k", "numpy", "--junit-xml=junit.xml")
        result.assert_outcomes(passed=8, deselected=4)
        properties = [
            each.attrib["value"]
            for each in ET.parse(project.path / "junit.xml").iter("property")
            if each.attrib["name"] == "tolerated"
        ]
        assert len(properties) == 8
        assert sum(map(int, properties)) > 4
        config.write_text(config.read_text().replace("[[20, 0, 0]]", "[[20, 0, 0], [999, 0]]"))
        result = run(project, "-k", "numpy.naive and float32")
        result.assert_outcomes(passed=1, failed=1, deselected=10)
        assert "baseline  new; tolerated: nothing of the kind" in result.stdout.str()

    def test_a_target_that_leads_nowhere_is_an_error_of_its_own(
        self, project: pytest.Pytester
    ) -> None:
        config = CONFIG.replace("mine.py:loss", "mine.py:lss")
        project.path.joinpath("gate.xentcheck.yaml").write_text(config)
        result = run(project, "-k", "float32")
        result.assert_outcomes(passed=2, failed=2, errors=2, deselected=6)
        told = result.stdout.str()
        assert "mine.py:lss: there is no 'lss' in it; did you mean 'loss'?" in told
        assert "Traceback" not in told
        assert "During handling" not in told

    def test_what_could_not_be_certified_is_an_error(self, project: pytest.Pytester) -> None:
        project.makeconftest(
            """
            from dataclasses import replace
            import xentcheck.auditing.run as run
            whole = run.audit_config
            run.audit_config = lambda *a, **k: replace(whole(*a, **k), uncertified=("row 7",))
            """
        )
        result = run_apart(project, "-k", "numpy.accurate")
        result.assert_outcomes(errors=4, deselected=8)
        assert "not audited: row 7" in result.stdout.str()

    def test_an_interruption_ends_the_session(self, project: pytest.Pytester) -> None:
        slow = "\n\nimport time\n\ndef slow(logits, labels):\n    "
        slow += "Path('host.txt').write_text(str(os.getpid()))\n    time.sleep(600)\n"
        project.path.joinpath("mine.py").write_text(MINE + slow)
        config = CONFIG.replace("mine.py:loss", "mine.py:slow")
        project.path.joinpath("gate.xentcheck.yaml").write_text(config)
        command = [sys.executable, "-m", "pytest", *PLAIN, "-k", "mine"]
        child = subprocess.Popen(
            command, cwd=project.path, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        written = project.path / "host.txt"
        try:
            until = time.monotonic() + 60
            while not (written.exists() and written.read_text()) and time.monotonic() < until:
                time.sleep(0.05)
            child.send_signal(signal.SIGINT)
            told, _ = child.communicate(timeout=60)
        finally:
            child.kill()
        assert child.returncode == pytest.ExitCode.INTERRUPTED
        assert "KeyboardInterrupt" in told
        with pytest.raises(ProcessLookupError):
            os.kill(int(written.read_text()), 0)


class TestCost:
    def test_nothing_is_imported_before_a_configuration_is_collected(
        self, pytester: pytest.Pytester
    ) -> None:
        program = textwrap.dedent(
            """
            import json, sys
            import pytest
            before = set(sys.modules)
            status = pytest.main(["--collect-only", "-q", "-p", "xentcheck"])
            print(json.dumps([int(status), sorted(sys.modules)]))
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=pytester.path,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": ""},
        )
        status, modules = json.loads(done.stdout.splitlines()[-1])
        assert status == pytest.ExitCode.NO_TESTS_COLLECTED
        own = {each for each in modules if each.partition(".")[0] == "xentcheck"}
        assert own == {"xentcheck", "xentcheck._version", "xentcheck.pytest_plugin"}
        heavy = {"numpy", "mpmath", "yaml", "rich", "click", "ml_dtypes", "multiprocessing"}
        assert not heavy & {each.partition(".")[0] for each in modules}

    def test_it_can_be_switched_off(self, project: pytest.Pytester) -> None:
        result = run(project, "-p", "no:xentcheck", "--collect-only", "-q")
        assert collected(result) == []
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_assertions_in_ordinary_tests_show_the_violations(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_own="""
        import mine
        import xentcheck

        def test_own():
            xentcheck.assert_accurate(mine.loss, "softmax_cross_entropy", dtypes=["float32"])
        """
    )
    result = run(project, "test_own.py")
    result.assert_outcomes(failed=1)
    told = result.stdout.str()
    assert "E       AssertionError: " in told
    assert "--implementation mine.py:loss" in told
    assert "api.py" not in told


class TestDocument:
    """docs/python.md: every block is run, in its order."""

    @pytest.fixture
    def blocks(self, pytester: pytest.Pytester) -> list[tuple[str, str]]:
        """Its blocks as (language, text); those that name a file are written to it."""
        text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
        found = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        assert len(found) == len(re.findall("^```", text, re.MULTILINE)) / 2
        for _, block in found:
            named = re.match(r"# (\S+\.(?:py|yaml))\n", block)
            if named:
                (pytester.path / named[1]).write_text(block)
        return found

    def test_its_scripts_run(
        self, pytester: pytest.Pytester, blocks: list[tuple[str, str]]
    ) -> None:
        scripts = [text for kind, text in blocks if kind == "python" and not text.startswith("# ")]
        assert len(scripts) == 4
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", "\n".join(scripts)],
            cwd=pytester.path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        assert "spurious-underflow 150 max_ulp 4 or_excess_bits 2" in done.stdout
        assert "\n12 to 14: 2 of 2 rows, nan ulp\n" in done.stdout
        assert re.search(r"^numpy\.accurate value 4\.1223073843355e-09 0\.3", done.stdout, re.M)

    def test_its_tests_end_as_it_says(
        self, pytester: pytest.Pytester, blocks: list[tuple[str, str]]
    ) -> None:
        result = run(pytester, "test_my_loss.py")
        result.assert_outcomes(passed=1, failed=1)
        told = result.stdout.str()
        (shown,) = [text for kind, text in blocks if kind == "text"]
        for line in shown.splitlines():
            assert line.removesuffix(" …") in told

    @pytest.mark.slow
    def test_its_commands_run(
        self, pytester: pytest.Pytester, blocks: list[tuple[str, str]]
    ) -> None:
        pytester.mkdir("configs")
        gate = pytester.path / "gate.xentcheck.yaml"
        (pytester.path / "configs" / "gate.yaml").write_bytes(gate.read_bytes())
        (commands,) = [text for kind, text in blocks if kind == "sh"]
        outcomes = []
        for line in commands.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "pytest"
            result = run(pytester, *arguments)
            outcomes.append(result.parseoutcomes())
        whole, option, keyword, node, unmarked = outcomes
        assert whole == {"passed": 8}
        assert option == {"passed": 17, "failed": 1}
        assert keyword == {"passed": 2, "deselected": 6}
        assert node == {"passed": 1}
        assert unmarked == {"passed": 1, "failed": 1, "deselected": 8}


def test_the_plugin_is_found_by_its_entry_point() -> None:
    from importlib.metadata import entry_points

    (found,) = entry_points(group="pytest11", name="xentcheck")
    plugin: Any = found.load()
    assert plugin.pytest_collect_file
    assert importlib.util.find_spec(found.module)


def called_dtypes(project: pytest.Pytester) -> set[str]:
    """The dtypes of the audit's calls; what usual tests say takes calls in float64 beside."""
    return set(project.path.joinpath("called.txt").read_text().split()) - {"float64"}
