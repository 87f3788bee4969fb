"""A small package adopts a gate, regresses, mends its loss, and moves to another platform.

The package's code runs in processes of its own in any case. Each exit status, and each other
processor, is one of the installed command, as its users have it.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.running import Result, invoke

XENTCHECK = Path(sysconfig.get_path("scripts")) / "xentcheck"
HERE = f"{platform.system()} {platform.machine()}"

NAIVE = """
import numpy as np

def loss(logits, labels):
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))
"""
SHIFTED = """
import numpy as np

def loss(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[rows, labels]
"""
ACCURATE = """
import numpy as np

def loss(logits, labels):
    rows = np.arange(len(logits))
    gaps = logits.astype(np.longdouble) - logits[rows, labels][:, None]
    gaps[rows, labels] = -np.inf
    top = np.maximum(gaps.max(axis=1), 0)
    rest = np.exp(gaps - top[:, None]).sum(axis=1)
    with np.errstate(divide="ignore"):
        value = np.where(top > 0, top + np.log(rest + np.exp(-top)), np.log1p(rest))
    return value.astype(logits.dtype)
"""
GATE = """
implementations:
  - {loss: softmax_cross_entropy, target: package/losses.py:loss, name: package.loss}
sweeps:
  ordinary:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: package.loss
    inputs: [{generator: normal, rows: 10, classes: [2, 10], scale: [1, 8]}]
  confident:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: package.loss
    inputs: [{generator: gap, from: -120, to: 120, points: 31, classes: 2}]
limits:
  - {implementation: package.loss, max_ulp: 4}
"""

EMPTY = GATE.partition("limits:")[0].replace("losses: softmax_cross_entropy", "losses: softmax")


class Package:
    """A folder with a loss and a gate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "package").mkdir()
        (folder / "package" / "__init__.py").write_text("")
        (folder / "gate.yaml").write_text(GATE)

    def has(self, loss: str) -> None:
        (self.folder / "package" / "losses.py").write_text(loss)

    def run(self, *options: str) -> Result:
        words = ("run", "gate.yaml", "--workers", "1", *options)
        return invoke(*words, cwd=self.folder, COLUMNS="100")

    def installed(self, *options: str, without: str = "") -> Result:
        """``without``: features of the processor that NumPy does as if they were not there."""
        done = subprocess.run(
            [XENTCHECK, "run", "gate.yaml", *options],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "100", "NPY_DISABLE_CPU_FEATURES": without},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def on(self, without: str, *options: str) -> Result:
        """In this process where it has every feature of the processor, else in one of its own."""
        if not without:
            return self.run(*options)
        return self.installed("--workers", "1", *options, without=without)

    @property
    def baseline(self) -> str:
        return (self.folder / "baseline.yaml").read_text()

    @baseline.setter
    def baseline(self, text: str) -> None:
        (self.folder / "baseline.yaml").write_text(text)

    def tolerated(self) -> dict[str, dict[str, object]]:
        """By sweep, what the baseline tolerates."""
        cells = yaml.safe_load(self.baseline)["cells"]
        return {each["sweep"]: each["tolerated"] for each in cells}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path)


def unfolded(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.slow
def test_a_package_adopts_a_gate_regresses_mends_its_loss_and_moves(package: Package) -> None:
    # without a baseline, the gate would stay shut
    package.has(SHIFTED)
    assert package.run().exit_code == 1

    adopted = package.installed("--write-baseline", "baseline.yaml")
    assert adopted.exit_code == 0, adopted.stderr
    assert "faults in 2 cells are tolerated" in adopted.stderr
    assert "2 tolerated by the baseline" in unfolded(adopted.stdout)
    assert "baseline.yaml: 4 tolerated" in adopted.stdout
    entries = yaml.safe_load(package.baseline)["cells"]
    assert [each["sweep"] for each in entries] == ["confident", "ordinary"]
    assert {"date", "platform", "cpu", "xentcheck", "numpy"} <= set(
        yaml.safe_load(package.baseline)["recorded"]
    )
    assert "recorded" not in entries[0]
    assert entries[0]["tolerated"]["inaccurate"]["ulp"] > 4

    # quiet from day one, and on every day on which nothing changes
    quiet = package.run("--baseline", "baseline.yaml", "--fail-on-stale")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert "gate passed" in unfolded(quiet.stdout)
    written = package.baseline
    package.run("--write-baseline", "baseline.yaml")
    package.run("--baseline", "baseline.yaml", "--ratchet")
    assert package.baseline == written

    # loud on a regression, with the input that shows it
    package.has(NAIVE)
    regressed = package.run("--baseline", "baseline.yaml")
    assert regressed.exit_code == 1
    assert "gate failed" in regressed.stdout
    assert "baseline.yaml: 2 tolerated, 2 new, 2 worse, 1 better" in regressed.stdout
    assert "replay xentcheck probe --loss softmax_cross_entropy --logits=" in unfolded(
        regressed.stdout
    )
    told = unfolded(package.run("--baseline", "baseline.yaml", "-vv").stdout)
    assert "nan softmax_cross_entropy package.loss float32 value" in told
    assert "baseline new; tolerated: nothing of the kind" in told
    assert package.baseline == written
    ratcheted = package.run("--baseline", "baseline.yaml", "--ratchet")
    assert ratcheted.exit_code == 1
    assert "nan" not in package.baseline

    # mended: it says so, fails on request, and the ratchet takes back what was tolerated
    package.baseline = written
    package.has(ACCURATE)
    mended = package.run("--baseline", "baseline.yaml")
    assert mended.exit_code == 0
    assert "nothing is beyond the limits any more" in unfolded(mended.stdout)
    strict = package.run("--baseline", "baseline.yaml", "--fail-on-stale")
    assert strict.exit_code == 1
    assert re.search(r"baseline\.yaml: \d entries are stale", strict.stderr)
    tightened = package.run("--baseline", "baseline.yaml", "--ratchet")
    assert tightened.exit_code == 0
    assert yaml.safe_load(package.baseline) == {"version": 1, "cells": []}
    assert package.run("--baseline", "baseline.yaml", "--fail-on-stale").exit_code == 0
    package.has(SHIFTED)
    again = package.run("--baseline", "baseline.yaml")
    assert again.exit_code == 1
    assert "baseline.yaml: 0 tolerated, 4 new" in again.stdout

    # an entry of another platform tolerates nothing here, and the violation says why
    package.baseline = written.replace("  rows: ", "  platform: Plan9 mips\n  rows: ")
    moved = package.run("--baseline", "baseline.yaml")
    assert moved.exit_code == 1
    told = unfolded(moved.stdout)
    assert f"baseline.yaml: 0 tolerated, 4 new; 2 for Plan9 mips only; this is {HERE}" in told
    told = unfolded(package.run("--baseline", "baseline.yaml", "-vv").stdout)
    assert f"nothing on {HERE}: its entries are for Plan9 mips" in told
    # writing it here leaves the other platform's entries alone
    assert package.run("--write-baseline", "baseline.yaml").exit_code == 0
    platforms = [each.get("platform") for each in yaml.safe_load(package.baseline)["cells"]]
    assert platforms == [None, "Plan9 mips"] * 2
    assert package.run("--baseline", "baseline.yaml").exit_code == 0


def test_a_part_that_becomes_better_is_told_and_tightened(package: Package) -> None:
    package.has(NAIVE)
    package.run("--write-baseline", "baseline.yaml")
    before = {
        each["sweep"]: each["tolerated"] for each in yaml.safe_load(package.baseline)["cells"]
    }
    package.has(SHIFTED)  # better for large logits, as bad for confident rows
    better = package.run("--baseline", "baseline.yaml", "--ratchet", "--format", "json")
    changes = json.loads(better.stdout)["changes"]
    assert {"better", "gone"} <= {each["standing"] for each in changes}
    after = package.tolerated()
    assert "nan" in before["confident"]
    assert "nan" not in after["confident"]


def test_the_configuration_names_its_baseline(package: Package) -> None:
    package.has(SHIFTED)
    gate = package.folder / "gate.yaml"
    gate.write_text(GATE + "baseline: baseline.yaml\n")
    missing = package.run()
    assert missing.exit_code == 2
    assert "there is no such baseline" in missing.stderr
    assert "--write-baseline baseline.yaml" in missing.stderr
    assert package.run("--write-baseline", "baseline.yaml").exit_code == 0
    assert package.run().exit_code == 0
    package.baseline += "- {loss: softmax}\n"
    broken = package.run()
    assert broken.exit_code == 2
    assert re.search(r"baseline\.yaml:\d+: cells\[2\]: 'implementation' is missing", broken.stderr)


def test_a_survey_with_a_baseline_is_held_to_the_default_limits(package: Package) -> None:
    package.has(SHIFTED)
    (package.folder / "gate.yaml").write_text(GATE.partition("limits:")[0])
    assert package.run().exit_code == 0
    assert package.run("--write-baseline", "baseline.yaml").exit_code == 0
    assert package.run("--baseline", "baseline.yaml").exit_code == 0
    package.has(NAIVE)
    assert package.run("--baseline", "baseline.yaml").exit_code == 1


FEATURES = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
LOSSES = """
sweeps:
  ordinary:
    losses: [softmax, logsumexp, kl_divergence, softmax_cross_entropy]
    dtypes: [float32, float64]
    implementations: ["numpy.*"]
    labels: {targets: random}
    inputs:
      - {generator: normal, rows: 20, classes: [2, 10], scale: [1, 8]}
      - {generator: ulp-uniform, rows: 40, classes: 2}
limits: [{max_ulp: 4}]
"""


FAR = ("--baseline", "baseline.yaml", "--fail-on-stale", "--ratchet", "--format", "table")
WRITING = ("--write-baseline", "baseline.yaml", "--output", "first.json")
STRICT = ("--baseline", "baseline.yaml", "--slack", "0")

needs_features = pytest.mark.skipif(
    not FEATURES, reason="NumPy has one way to compute on this processor"
)


@pytest.fixture(scope="module")
def recorded_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the baseline and the report that this processor gives, all its features used.

    Without slack that baseline holds where it was recorded.
    """
    package = Package(tmp_path_factory.mktemp("recorded"))
    (package.folder / "gate.yaml").write_text(LOSSES)
    assert package.run(*WRITING).exit_code == 0
    same = package.run(*STRICT)
    assert same.exit_code == 0, same.stdout[-3000:]
    return package.folder


@pytest.mark.slow
@needs_features
@pytest.mark.parametrize("kept", range(len(FEATURES)))
@pytest.mark.parametrize("recorded_there", [False, True])
def test_a_baseline_holds_on_another_processor_of_the_platform(
    package: Package, recorded_here: Path, kept: int, recorded_there: bool
) -> None:
    """With AVX2 and without, exponentials of float32 have other last bits."""
    (package.folder / "gate.yaml").write_text(LOSSES)
    there = " ".join(FEATURES[kept:])
    second = "" if recorded_there else there
    if recorded_there:
        assert package.on(there, *WRITING).exit_code == 0
    else:
        for name in ("baseline.yaml", "first.json"):
            shutil.copy(recorded_here / name, package.folder)
    written = package.baseline
    moved = package.on(second, *FAR, "--output", "-", "--output", "second.json")
    assert (moved.exit_code, moved.stderr.count("error")) == (0, 0), moved.stdout[-3000:]
    told = unfolded(moved.stdout)
    first_cpu, second_cpu = (
        json.loads((package.folder / name).read_text())["environment"]["cpu"]
        for name in ("first.json", "second.json")
    )
    assert first_cpu != second_cpu
    assert f"recorded on {first_cpu}; this is {second_cpu}: up to 8 times the ulps" in told
    assert package.baseline == written
    if not kept and platform.machine() == "x86_64":
        strict = package.on(second, *STRICT)
        assert strict.exit_code == 1  # otherwise there was nothing to have slack for
    if recorded_there:
        same = package.on(there, *STRICT)
        assert same.exit_code == 0, same.stdout[-3000:]


@needs_features
def test_a_regression_is_found_on_another_processor(package: Package) -> None:
    package.has(SHIFTED)
    assert package.run("--write-baseline", "baseline.yaml").exit_code == 0
    there = " ".join(FEATURES)
    assert package.on(there, "--baseline", "baseline.yaml").exit_code == 0
    package.has(NAIVE)
    assert package.on(there, "--baseline", "baseline.yaml").exit_code == 1
    package.has(SHIFTED.replace("- shifted[rows, labels]", "- shifted[rows, labels] * 1.00001"))
    rounder = package.on(there, "--baseline", "baseline.yaml")
    assert rounder.exit_code == 1
    assert "baseline worse" in unfolded(rounder.stdout)


def test_the_verdict_is_the_status(package: Package) -> None:
    package.has(SHIFTED)
    package.run("--write-baseline", "baseline.yaml")
    package.has(ACCURATE)
    strict = package.run(
        *("--baseline", "baseline.yaml", "--fail-on-stale", "--format", "table", "--output", "-"),
        *("--format", "github", "--output", "a.github", "--output", "a.md", "--output", "a.xml"),
    )
    assert strict.exit_code == 1
    assert re.search(r"gate failed, \d stale entries\b", unfolded(strict.stdout).strip())
    written = [(package.folder / name).read_text() for name in ("a.github", "a.md", "a.xml")]
    for text in (strict.stdout, *written):
        assert "passed" not in text
        assert "stale entries" in text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--slack", "0.1"), "--slack needs a baseline"),
        (("--slack", "inf"), "--slack inf: has to be a number such as 0.01"),
        (("--ratchet",), "--ratchet needs a baseline"),
        (("--fail-on-stale",), "--fail-on-stale needs a baseline"),
        (("--write-baseline", "b.yaml", "--ratchet"), "exclude each other"),
        (("--write-baseline", "b.yaml", "--baseline", "b.yaml"), "exclude each other"),
        (("--write-baseline", "no/b.yaml"), "--write-baseline no/b.yaml: there is no directory no"),
        (("--baseline", "b.yaml"), "b.yaml: there is no such baseline"),
        (("--baseline", ""), "--baseline '': expected the name of a file"),
        (("--write-baseline", "-"), "--write-baseline '-': expected the name of a file"),
        (
            ("--write-baseline", "b.json", "--output", "b.json"),
            "b.json: the baseline and a report would go to one file",
        ),
    ],
)
def test_options_that_cannot_be_meant(
    package: Package, options: tuple[str, ...], text: str
) -> None:
    package.has(ACCURATE)
    refused = package.run(*options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert text in refused.stderr


def test_a_run_that_did_not_audit_everything_leaves_the_baseline_alone(package: Package) -> None:
    package.has(SHIFTED)
    package.run("--write-baseline", "baseline.yaml")
    written = package.baseline
    (package.folder / "gate.yaml").write_text(EMPTY)
    refused = package.run("--write-baseline", "baseline.yaml")
    assert refused.exit_code == 3, refused.stderr
    assert "left as it was" in refused.stderr
    assert package.baseline == written


class TestExitStatus:
    """One of each, through the installed command."""

    def test_0_within_limits(self, package: Package) -> None:
        package.has(ACCURATE)
        assert package.installed().exit_code == 0

    def test_1_violations(self, package: Package) -> None:
        package.has(NAIVE)
        assert package.installed().exit_code == 1

    def test_2_configuration(self, package: Package) -> None:
        package.has(ACCURATE)
        (package.folder / "gate.yaml").write_text(GATE.replace("max_ulp", "max_ulps"))
        refused = package.installed()
        assert refused.exit_code == 2
        assert "did you mean 'max_ulp'?" in refused.stderr

    def test_3_nothing_audited(self, package: Package) -> None:
        package.has(ACCURATE)
        (package.folder / "gate.yaml").write_text(EMPTY)
        assert package.installed().exit_code == 3

    def test_4_internal_error(self, package: Package) -> None:
        """A fault of ours, planted in the process by a module that Python runs at its start."""
        package.has(ACCURATE)
        code = textwrap.dedent(
            """\
            import sys
            from xentcheck.auditing import run
            def fail(*_, **__):
                raise ZeroDivisionError("the very message")
            run.audit = fail
            from xentcheck.cli import main
            sys.argv = ["xentcheck", "run", "gate.yaml"]
            main()
            """
        )
        failed = subprocess.run(
            [sys.executable, "-c", code],
            cwd=package.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert failed.returncode == 4
        assert "internal error: ZeroDivisionError: the very message" in failed.stderr
        assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(("ulps", "status"), [("3", 0), ("0x1.7ffffffffffffp1", 1)])
def test_a_limit_exactly_met_passes_and_one_missed_by_the_smallest_amount_fails(
    tmp_path: Path, ulps: str, status: int
) -> None:
    """sigmoid(0) is 1/2; the loss returns three ulps more."""
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def value(logits):\n"
        "    right = 1 / (1 + np.exp(-logits))\n"
        "    return np.where(logits == 0, 0.5 + 3 * 2.0**-53, right)\n"
    )
    (tmp_path / "gate.yaml").write_text(
        "implementations: [{loss: sigmoid, target: mine.py:value, name: mine}]\n"
        "sweeps: {s: {losses: sigmoid, dtypes: float64, implementations: mine, "
        "quantities: value, inputs: [{generator: explicit, values: [0]}]}}\n"
        f"limits: [{{implementation: mine, max_ulp: {ulps}}}]\n"
    )
    done = invoke("run", "gate.yaml", "--workers", "1", cwd=tmp_path)
    assert done.exit_code == status, done.stderr
