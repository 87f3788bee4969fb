"""The recipes for continuous integration, executed as far as a machine without the services can.

The action's scripts are run by bash in the environment that GitHub's runner gives them, the script
of the GitLab job likewise, and the hooks by pre-commit itself. docs/ci.md quotes the files.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.places import ROOT

DOCS = ROOT / "docs"
RECIPES = DOCS / "examples" / "ci"
SCRIPTS = Path(sysconfig.get_path("scripts"))
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # GitHub's `shell: bash`

LOSSES = """
import numpy as np

def naive(logits, labels):
    rows = np.arange(len(labels))
    return np.log(np.exp(logits).sum(axis=1)) - logits[rows, labels]

def accurate(logits, labels):
    wide = logits.astype(np.float64)
    rows = np.arange(len(labels))
    e = np.exp(wide - wide.max(axis=1, keepdims=True))
    own = e[rows, labels].copy()
    e[rows, labels] = 0
    tail = e.sum(axis=1)
    below = wide.max(axis=1) - wide[rows, labels]
    return np.where(own == 1, np.log1p(tail), below + np.log(own + tail)).astype(logits.dtype)
"""

GATE = """
version: 1
implementations:
  - {loss: softmax_cross_entropy, target: "./losses.py:accurate", name: mine.accurate}
  - {loss: softmax_cross_entropy, target: "./losses.py:naive", name: mine.naive}
sweeps:
  confident:
    losses: softmax_cross_entropy
    dtypes: float32
    quantities: value
    implementations: mine.*
    inputs: [{generator: gap, from: -120, to: 120, points: 25}]
limits: [{max_ulp: 1}]
"""


def loaded(path: Path) -> dict[str, Any]:
    # BaseLoader: `on` is a key of workflows, and YAML 1.1 takes it for true.
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    return document


def valid(builtin: str, *paths: Path, extra: tuple[str, ...] = ()) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", builtin]
    run = subprocess.run(
        [*command, *extra, *map(str, paths)], check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with an accurate loss, a naive one, and a gate for both."""
    folder = tmp_path / "a package"
    folder.mkdir()
    (folder / "losses.py").write_text(LOSSES)
    (folder / "gate.yaml").write_text(GATE)
    return folder


# --- the documents


def test_the_page_on_ci_quotes_the_recipes() -> None:
    text = (DOCS / "ci.md").read_text(encoding="utf-8")
    quoted = re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", text, flags=re.DOTALL)
    for name, recipe in quoted:
        assert recipe == (DOCS / name).read_text(encoding="utf-8"), name
    assert {Path(name).name for name, _ in quoted} == {each.name for each in RECIPES.iterdir()}


def test_the_page_on_ci_has_every_input_and_output_of_the_action() -> None:
    text = (DOCS / "ci.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    documented = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])]
    assert documented == list(ACTION["inputs"])
    (outputs,) = re.findall(r"Its outputs are (.*?)\. ", text.replace("\n", " "))
    assert re.findall(r"`(\w+)`", outputs) == list(ACTION["outputs"])


def test_links_of_the_page_on_gating_lead_somewhere() -> None:
    text = (DOCS / "ci.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    for link in links:
        assert (DOCS / link).exists(), link


# --- the GitHub action

ACTION = loaded(ROOT / "action.yml")


@dataclass
class Runner:
    """What GitHub's runner does with a composite action, without the service.

    Inputs and contexts are put into ``env`` and ``working-directory``; each step is a bash script
    that may write to the files behind GITHUB_OUTPUT and GITHUB_STEP_SUMMARY, and whose standard
    output is read for commands.
    """

    workspace: Path
    temporary: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    printed: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    def uses(self, **inputs: str) -> "Runner":
        """Run the action as `uses:` with these inputs (_ for -) would."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= ACTION["inputs"].keys()
        every = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
        context = {f"inputs.{name}": value for name, value in {**every, **given}.items()}
        for step in ACTION["runs"]["steps"]:
            self._step(step, context)
            if self.status:
                break
        for name, output in ACTION["outputs"].items():  # also after a step that failed
            self.outputs[name] = evaluated(output["value"], context, missing="")
        return self

    def _step(self, step: Mapping[str, Any], context: dict[str, str]) -> None:
        assert step["shell"] == "bash"
        files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.write_text("")
        script = self.temporary / "script.sh"
        script.write_text(step["run"])
        run = subprocess.run(
            [*BASH, script],
            check=False,
            cwd=self.workspace / evaluated(step.get("working-directory", "."), context),
            env={
                **os.environ,
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_WORKSPACE": str(self.workspace),
                "RUNNER_TEMP": str(self.temporary),
                **{name: str(path) for name, path in files.items()},
                **{name: evaluated(text, context) for name, text in step["env"].items()},
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.status = run.returncode
        self.printed += run.stdout
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            name, _, value = line.partition("=")
            context[f"steps.{step['id']}.outputs.{name}"] = value

    @property
    def commands(self) -> list[str]:
        """The lines that the runner obeys: not those within `::stop-commands::`."""
        return list(_commands(self.printed))


def _commands(printed: str) -> Iterator[str]:
    pause = ""
    for line in printed.splitlines():
        if pause:
            pause = "" if line == f"::{pause}::" else pause
        elif line.startswith("::stop-commands::"):
            pause = line.removeprefix("::stop-commands::")
        elif line.startswith("::"):
            yield line
    assert not pause


def evaluated(text: str, context: Mapping[str, str], missing: str | None = None) -> str:
    def value(match: re.Match[str]) -> str:
        return context[match[1]] if missing is None else context.get(match[1], missing)

    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)


@pytest.fixture
def runner(package: Path, tmp_path: Path) -> Runner:
    temporary = tmp_path / "temp"
    temporary.mkdir()
    return Runner(package, temporary)


INSTALLED = {"package": "none", "python": sys.executable}


def test_the_action_is_valid_by_the_schema() -> None:
    valid("vendor.github-actions", ROOT / "action.yml")


def test_no_input_of_the_action_is_ever_text_of_a_script() -> None:
    used = set()
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        used |= set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", json.dumps(step)))
    assert used == ACTION["inputs"].keys()
    assert [name for name, each in ACTION["inputs"].items() if "required" in each] == ["config"]


def test_the_action_passes_what_is_within_its_limits(runner: Runner) -> None:
    runner.uses(config="gate.yaml", select="mine.accurate\n", **INSTALLED)
    assert runner.status == 0, runner.printed
    assert runner.outputs["status"] == "0"
    assert [each for each in runner.commands if each.startswith("::error")] == []
    assert "mine.accurate" in runner.summary
    assert "mine.naive" not in runner.summary
    report = json.loads(Path(runner.outputs["json"]).read_text(encoding="utf-8"))
    assert [each["implementation"] for each in report["measurements"]] == ["mine.accurate"]


def test_the_action_fails_with_annotations_a_summary_and_all_reports(runner: Runner) -> None:
    runner.uses(config="gate.yaml", **INSTALLED)
    assert runner.status == 1, runner.printed
    assert runner.outputs["status"] == "1"
    errors = [each for each in runner.commands if each.startswith("::error")]
    assert errors
    assert all("mine.naive" in each for each in errors)
    assert all(f"file={runner.workspace}" in each for each in errors)
    assert "mine.naive" in runner.summary
    paths = {name: Path(runner.outputs[name]) for name in ("json", "junit", "sarif", "markdown")}
    assert [each.suffix for each in paths.values()] == [".json", ".xml", ".sarif", ".md"]
    kinds = {each["kind"] for each in json.loads(paths["json"].read_text())["violations"]}
    assert kinds >= {"spurious-overflow", "spurious-underflow"}  # e^89 and log 1 in float32
    failures = list(ET.parse(paths["junit"]).getroot().iter("failure"))
    assert failures
    (sarif,) = json.loads(paths["sarif"].read_text())["runs"]
    assert {each["level"] for each in sarif["results"]} >= {"error"}
    assert paths["markdown"].read_text(encoding="utf-8") == runner.summary


@pytest.mark.slow
def test_what_is_printed_on_the_way_is_not_read_for_commands(package: Path, runner: Runner) -> None:
    (package / "losses.py").write_text(LOSSES + "print('::error::from the module')\n")
    runner.uses(config="gate.yaml", annotations="false", summary="false", **INSTALLED)
    assert runner.status == 1, runner.printed
    assert "\nlosses.py prints: ::error::from the module\n" in runner.printed
    assert (runner.commands, runner.summary) == ([], "")


def test_a_mistake_in_the_configuration_is_annotated_and_in_the_summary(
    package: Path, runner: Runner
) -> None:
    (package / "gate.yaml").write_text(GATE.replace("max_ulp", "max_upl").replace("gap,", "gapp,"))
    runner.uses(config="gate.yaml", **INSTALLED)
    assert runner.status == 2
    assert runner.outputs == {"status": "2", "json": "", "junit": "", "sarif": "", "markdown": ""}
    (error,) = runner.commands
    assert error.startswith("::error title=xentcheck::error: gate.yaml:")
    assert "'gap'" in error
    assert "%0Aerror: gate.yaml:" in error
    assert "'max_ulp'" in error
    assert runner.summary.startswith("**xentcheck gave no report** (exit status 2):\n\n    error: ")


def test_the_action_runs_in_another_folder_with_further_options(
    package: Path, runner: Runner
) -> None:
    runner.workspace = package.parent
    options = "--seed\n7\n--workers=1\n"
    runner.uses(config="gate.yaml", working_directory="a package", options=options, **INSTALLED)
    assert runner.status == 1, runner.printed
    assert json.loads(Path(runner.outputs["json"]).read_text())["seed"] == 7


@pytest.mark.slow
def test_inputs_are_never_run(package: Path, runner: Runner) -> None:
    hostile = "$(touch one) `touch two`; touch three \"' & touch four #"
    for name in ("config", "baseline", "select", "options"):
        attempt = Runner(package, runner.temporary)
        attempt.uses(**{"config": "gate.yaml", name: hostile, **INSTALLED})
        assert attempt.status == 2, attempt.printed
    for name in ("package", "extras", "python"):
        attempt = Runner(package, runner.temporary, {"PIP_NO_INDEX": "1"})
        attempt.uses(**{"config": "gate.yaml", "python": sys.executable, name: hostile})
        assert attempt.status != 0
        assert "status" not in attempt.summary
    # The import of losses.py may leave its bytecode.
    made = {each.name for each in package.iterdir()} - {"__pycache__"}
    assert made == {"gate.yaml", "losses.py"}


@pytest.mark.slow
def test_the_action_installs_its_own_checkout_and_runs_that(
    package: Path, runner: Runner, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs", "benchmarks", "configs")
    shutil.copytree(ROOT, checkout, ignore=ignored)
    package_file = checkout / "xentcheck" / "_version.py"
    text = package_file.read_text(encoding="utf-8")
    version = "99.0+of.this.checkout"
    package_file.write_text(re.sub('__version__ = ".*"', f'__version__ = "{version}"', text))
    # Offline: no dependencies, the build environment that is there, and a folder of its own.
    runner.environment = {
        "GITHUB_ACTION_PATH": str(checkout),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_TARGET": str(target),
        "PYTHONPATH": str(target),
    }
    runner.uses(config="gate.yaml", select="mine.accurate", python=sys.executable)
    assert runner.status == 0, runner.printed
    report = json.loads(Path(runner.outputs["json"]).read_text(encoding="utf-8"))
    assert report["environment"]["xentcheck"] == version


def test_extras_of_a_package_of_ones_own_are_refused(runner: Runner) -> None:
    runner.uses(config="gate.yaml", package="xentcheck==0.1.0", extras="fast")
    assert runner.status == 2
    assert runner.commands[0].startswith("::error title=xentcheck::extras go with the action's own")


# --- workflows of GitHub


def test_the_workflows_are_valid_by_the_schema() -> None:
    valid("vendor.github-workflows", RECIPES / "github.yml", RECIPES / "github_compare.yml")


def test_the_workflow_names_inputs_and_outputs_that_the_action_has() -> None:
    (job,) = loaded(RECIPES / "github.yml")["jobs"].values()
    (step,) = [each for each in job["steps"] if "/xentcheck@" in each.get("uses", "")]
    assert "config" in step["with"]
    assert step["with"].keys() <= ACTION["inputs"].keys()
    names = re.findall(rf"steps\.{step['id']}\.outputs\.(\w+)", json.dumps(job))
    assert names
    assert set(names) <= ACTION["outputs"].keys()


@pytest.mark.slow
def test_the_workflow_that_compares_fails_on_what_became_worse(
    package: Path, tmp_path: Path
) -> None:
    """Its steps after the installation, with two versions of one package installed already."""
    workspace = tmp_path / "workspace"
    (workspace / "head").mkdir(parents=True)
    gate = GATE.replace('"./losses.py:', '"losses_of_a_package:')
    (workspace / "head" / "gate.yaml").write_text(gate)
    regressed = LOSSES.replace("np.log1p(tail)", "np.log(1 + tail)")
    assert regressed != LOSSES
    for side, text in (("base", LOSSES), ("head", regressed)):
        bin_ = workspace / f"env-{side}" / "bin"
        bin_.mkdir(parents=True)
        (bin_ / "losses_of_a_package.py").write_text(text)
        script = f'#!/bin/sh\nPYTHONPATH={bin_} exec {SCRIPTS}/xentcheck "$@"\n'
        (bin_ / "xentcheck").write_text(script)
        (bin_ / "xentcheck").chmod(0o755)
    (job,) = loaded(RECIPES / "github_compare.yml")["jobs"].values()
    scripts = [each["run"] for each in job["steps"] if "run" in each]
    assert "pip" in scripts[0]
    assert [each.get("shell") for each in job["steps"] if "run" in each] == ["bash"] * 3
    summary = tmp_path / "summary"
    runs = [
        subprocess.run(
            [*BASH, "-c", script],
            check=False,
            cwd=workspace,
            env={**os.environ, "GITHUB_STEP_SUMMARY": str(summary)},
            capture_output=True,
            text=True,
        )
        for script in scripts[1:]
    ]
    assert [each.returncode for each in runs] == [0, 1], [each.stderr for each in runs]
    assert "mine.accurate" in runs[1].stdout
    assert "mine.accurate" in summary.read_text(encoding="utf-8")


# --- GitLab


def test_the_job_of_gitlab_is_valid_by_the_schema() -> None:
    extra = ("--data-transform", "gitlab-ci")
    valid("vendor.gitlab-ci", RECIPES / "gitlab.yml", extra=extra)


@pytest.mark.slow
def test_the_job_of_gitlab_leaves_its_artifacts_and_fails_on_a_regression(package: Path) -> None:
    (job,) = loaded(RECIPES / "gitlab.yml").values()
    adopt(package)
    artifacts = [job["artifacts"]["reports"]["junit"], *job["artifacts"]["paths"]]

    def run() -> subprocess.CompletedProcess[str]:
        for each in artifacts:
            (package / each).unlink(missing_ok=True)
        return command(*BASH, "-c", "\n".join(job["script"]), folder=package)

    passed = run()
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert all((package / each).exists() for each in artifacts)
    assert list(ET.parse(package / "xentcheck.xml").getroot().iter("failure")) == []

    regress(package / "losses.py")
    failed = run()
    assert failed.returncode == 1, failed.stdout + failed.stderr
    (failure,) = ET.parse(package / "xentcheck.xml").getroot().iter("failure")
    assert "mine.accurate" in (failure.text or "")
    assert json.loads((package / "xentcheck.json").read_text())["violations"]
    assert json.loads((package / "xentcheck.sarif").read_text())["runs"][0]["results"]


def command(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command with the scripts of this environment on its path, and no git of this one's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables["PATH"] = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    variables["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.run(
        words,
        check=False,
        cwd=folder,
        env={**kept, **variables},
        capture_output=True,
        text=True,
    )


def adopt(folder: Path) -> None:
    """Write the baseline as docs/gating.md has it."""
    (line,) = [
        line.partition("#")[0]
        for line in (DOCS / "gating.md").read_text(encoding="utf-8").splitlines()
        if "--write-baseline" in line
    ]
    run = command(*line.split(), folder=folder)
    assert run.returncode == 0, run.stderr
    assert (folder / "baseline.yaml").exists()


def regress(losses: Path) -> None:
    text = losses.read_text()
    assert text.count("np.log1p(tail)") == 1
    losses.write_text(text.replace("np.log1p(tail)", "np.log(1 + tail)"))


# --- pre-commit


@dataclass
class Repository:
    """A git repository with a configuration of pre-commit."""

    folder: Path
    home: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(
            *words,
            folder=self.folder,
            PRE_COMMIT_HOME=str(self.home / "pre-commit"),
            HOME=str(self.home),
            XDG_CONFIG_HOME=str(self.home),
            GIT_CONFIG_NOSYSTEM="1",
        )

    def git(self, *words: str) -> None:
        identity = ("-c", "user.name=Someone", "-c", "user.email=someone@example.org")
        run = self.run("git", *identity, *words)
        assert run.returncode == 0, run.stderr

    def commits(self) -> subprocess.CompletedProcess[str]:
        """What pre-commit says of everything that is changed."""
        self.git("add", "--all")
        return self.run("pre-commit", "run")


@pytest.fixture
def repository(package: Path, tmp_path: Path) -> Repository:
    """The package with its losses in src/, under git."""
    (package / "src").mkdir()
    (package / "losses.py").rename(package / "src" / "losses.py")
    (package / "gate.yaml").write_text(GATE.replace("./losses.py", "./src/losses.py"))
    home = tmp_path / "home"
    home.mkdir()
    repository = Repository(package, home)
    repository.git("init", "--quiet")
    return repository


def test_pre_commit_accepts_the_hooks_and_the_recipes() -> None:
    for words in (
        ("validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")),
        ("validate-config", *map(str, sorted(RECIPES.glob("pre-commit*.yaml")))),
    ):
        run = command("pre-commit", *words, folder=ROOT)
        assert (run.returncode, run.stdout + run.stderr) == (0, "")


@pytest.mark.slow
def test_the_local_hook_runs_when_a_loss_changes(repository: Repository) -> None:
    shutil.copy(RECIPES / "pre-commit.yaml", repository.folder / ".pre-commit-config.yaml")
    adopt(repository.folder)
    run = repository.commits()
    assert run.returncode == 0, run.stdout
    assert "Passed" in run.stdout
    repository.git("commit", "--quiet", "--message", "adopted")

    (repository.folder / "README.md").write_text("text\n")
    run = repository.commits()
    assert (run.returncode, "no files to check" in run.stdout) == (0, True)

    regress(repository.folder / "src" / "losses.py")
    run = repository.commits()
    assert run.returncode == 1
    assert "- exit code: 1" in run.stdout
    assert "mine.accurate" in run.stdout


@pytest.mark.slow
def test_the_hook_runs_every_configuration_and_the_gravest_status_counts(
    repository: Repository,
) -> None:
    """The hook of .pre-commit-hooks.yaml as it is, but in this environment."""
    (hook,) = loaded(ROOT / ".pre-commit-hooks.yaml")
    (repo,) = loaded(RECIPES / "pre-commit-hook.yaml")["repos"]
    hooks = [{**hook, **own, "language": "system"} for own in repo["hooks"]]
    config = yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]})
    (repository.folder / ".pre-commit-config.yaml").write_text(
        config.replace("'true'", "true").replace("'false'", "false")
    )
    gate = (repository.folder / "gate.yaml").read_text()
    accurate = gate.replace("implementations: mine.*", "implementations: mine.accurate")
    (repository.folder / "losses.xentcheck.yaml").write_text(accurate)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--no-verify", "--message", "adopted")

    # Two configurations come, and one with a space and a quote in its name; and a loss gets worse.
    built_in = re.sub(r"implementations:\n(  - .*\n)+", "", gate)
    for name, text in (
        ("odd 'name", built_in.replace("mine.*", "numpy.accurate")),
        ("fails", built_in.replace("mine.*", "numpy.naive")),
        ("wrong", gate.replace("max_ulp", "max_upl")),
    ):
        (repository.folder / f"{name}.xentcheck.yaml").write_text(text)
    regress(repository.folder / "src" / "losses.py")
    run = repository.commits()
    assert run.returncode == 1
    by_file, by_loss = re.split(r"\nxentcheck, when the losses changed\.+", run.stdout)
    assert "- exit code: 2" in by_file  # of 0, 1 and 2
    assert by_file.count("gate passed: ") == 1
    assert "numpy.naive" in by_file
    assert "wrong.xentcheck.yaml" in by_file
    assert "- exit code: 1" in by_loss
    assert "mine.accurate" in by_loss

    for name in ("fails", "wrong"):
        (repository.folder / f"{name}.xentcheck.yaml").unlink()
    repository.git("checkout", "--quiet", "HEAD", "--", "src")
    run = repository.commits()
    assert (run.returncode, run.stdout.count("Passed")) == (0, 1), run.stdout
    assert run.stdout.rstrip().endswith("Skipped")


@pytest.mark.slow
def test_pre_commit_builds_the_environment_of_the_hook(
    repository: Repository, tmp_path: Path
) -> None:
    """As a stranger has it: pre-commit clones this repository and installs it with pip."""
    origin = Repository(tmp_path / "xentcheck", repository.home)
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", ".*cache", ".hypothesis", "__pycache__", "tests", "docs", "benchmarks"
    )
    shutil.copytree(ROOT, origin.folder, ignore=ignored)
    for words in ("init --quiet", "add --all", "commit --quiet --message all", "tag v0.1.0"):
        origin.git(*words.split())
    recipe = (RECIPES / "pre-commit-hook.yaml").read_text(encoding="utf-8")
    url = "https://github.com/OWNER/xentcheck"
    assert url in recipe
    (repository.folder / ".pre-commit-config.yaml").write_text(
        recipe.replace(url, str(origin.folder))
    )
    gate = (repository.folder / "gate.yaml").read_text()
    accurate = gate.replace("implementations: mine.*", "implementations: mine.accurate")
    (repository.folder / "losses.xentcheck.yaml").write_text(accurate)
    run = repository.commits()
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("Passed") == 2
    (repository.folder / "losses.xentcheck.yaml").write_text(gate)
    run = repository.commits()
    assert run.returncode == 1
    assert "mine.naive" in run.stdout
