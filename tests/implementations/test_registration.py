"""A package with its own losses: installed, listed, audited, gated; and what goes wrong is said."""

import functools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.places import ROOT
from xentcheck import registry
from xentcheck.model import LabelKind, Skip
from xentcheck.registry import declared_in, defined_at, implementation, load_registered

PACKAGE = ROOT / "docs" / "examples" / "package"
COMMAND = Path(sysconfig.get_path("scripts")) / "xentcheck"


def xentcheck(
    *arguments: str, path: Path, folder: Path = PACKAGE
) -> subprocess.CompletedProcess[str]:
    """The installed command, with one more folder of installed packages."""
    environment = {**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [COMMAND, *arguments],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the example package into; built from a copy, offline."""
    folder = tmp_path_factory.mktemp("package")
    source = shutil.copytree(PACKAGE, folder / "source")
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    pip += ["--no-index", "--disable-pip-version-check", "--target", str(target), str(source)]
    subprocess.run(pip, check=True, capture_output=True, text=True)
    return target


def test_an_installed_package_is_listed_with_what_it_declares(installed: Path) -> None:
    listed = xentcheck("list", "implementations", "--format", "json", path=installed)
    assert listed.returncode == 0
    entries = {each["name"]: each for each in json.loads(listed.stdout)["implementations"]}
    entropy = entries["examplepkg.cross_entropy"]
    assert entropy["loss"] == "softmax_cross_entropy"
    assert entropy["quantities"] == ["value", "gradient"]
    assert entropy["dtypes"] == ["float32", "float64"]
    assert entropy["label_kinds"] == ["integer"]
    assert entropy["summary"].startswith("Softmax cross-entropy of every row")
    binary = entries["examplepkg.binary_cross_entropy"]
    assert binary["quantities"] == ["value"]
    assert binary["parameters"] == ["pos_weight"]
    assert "examplepkg" not in listed.stderr


def test_the_gate_of_the_package_passes_and_says_what_it_left_out(installed: Path) -> None:
    run = xentcheck("run", "gate.yaml", "--format", "json", path=installed)
    assert (run.returncode, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    assert {each["implementation"] for each in report["measurements"]} == {
        "examplepkg.cross_entropy",
        "examplepkg.binary_cross_entropy",
    }
    assert {each["sweep"] for each in report["measurements"]} == {
        "ordinary",
        "confident",
        "weighted",
    }
    # Where a reader finds the code: the loss itself, or the function that adapts it.
    for source in report["sources"]:
        file = Path(source["file"])
        line = file.read_text(encoding="utf-8").splitlines()[source["line"] - 1]
        assert (file.name, line) in (
            ("losses.py", "def cross_entropy(logits, labels):"),
            ("audited.py", line if line.startswith("@implementation(") else None),
        )
    assert len(report["sources"]) == 2
    (skip,) = report["skips"]
    assert skip["reason"] == "has no gradient"
    assert skip["implementation"] == "examplepkg.binary_cross_entropy"


def test_the_gate_of_the_package_catches_the_fault_that_it_is_there_for(
    installed: Path, tmp_path: Path
) -> None:
    regressed = shutil.copytree(installed, tmp_path / "installed")
    module = regressed / "examplepkg" / "losses.py"
    text = module.read_text(encoding="utf-8")
    assert text.count("np.log1p(tail)") == 1
    module.write_text(text.replace("np.log1p(tail)", "np.log(1 + tail)"), encoding="utf-8")
    run = xentcheck("run", "gate.yaml", "--format", "json", path=regressed)
    assert run.returncode == 1
    violations = json.loads(run.stdout)["violations"]
    assert {(each["implementation"], each["quantity"]) for each in violations} == {
        ("examplepkg.cross_entropy", "value")
    }
    assert {each["kind"] for each in violations} >= {"spurious-underflow"}


def test_a_probe_asks_the_package(installed: Path) -> None:
    asked = "probe --loss softmax_cross_entropy --logits 20,0,0 --label 0 --implementation"
    probe = xentcheck(*asked.split(), "examplepkg.*", path=installed)
    assert probe.returncode == 0, probe.stderr
    (value, *_) = [line for line in probe.stdout.splitlines() if "examplepkg.cross" in line]
    # log1p(2 e^-20) = 4.1223072363804e-9, whose nearest float32 is 0x1.1b4866p-28.
    assert value.split()[1:] == ["4.12230738e-9", "0x1.1b4866p-28", "0.33", "ok"]


def test_pytest_collects_the_configuration_of_the_package(installed: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"],
        check=False,
        cwd=installed.parent / "source",
        env={**os.environ, "PYTHONPATH": str(installed), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    items = re.findall(r"^(\S+)::softmax_cross_entropy\[(\S+)\] PASSED", run.stdout, re.MULTILINE)
    assert items == [
        ("tests/losses.xentcheck.yaml", f"examplepkg.cross_entropy-{dtype}-{quantity}")
        for dtype in ("float32", "float64")
        for quantity in ("value", "gradient")
    ]


def test_nobody_needs_xentcheck_to_use_the_losses(installed: Path) -> None:
    code = "import sys, examplepkg; print('xentcheck' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "False"


def test_the_readme_of_the_package_quotes_its_files() -> None:
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    fences = dict(re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL))
    assert fences["python"] in (PACKAGE / "src/examplepkg/audited.py").read_text(encoding="utf-8")
    assert fences["toml"] in (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")


# What a stranger gets wrong, as it would be installed.

BROKEN = {
    "broken_import": "import nothing_of_that_name\n",
    "broken_inside": "x = 1\n\nTABLE = {}['missing']\n",
    "broken_syntax": "x = 1\ndef f(:\n",
    "declares_nothing": "def loss(logits, labels): return logits\n",
    "misspelt": """
from xentcheck import implementation

@implementation("softmax_cross_entropi", "misspelt.loss")
def loss(logits, labels): ...

@implementation("softplus", "misspelt.dtype", dtypes=["float32", "flot64"])
def dtype(logits): ...

@implementation("softmax_cross_entropy", "misspelt.labels", label_kinds="distributions")
def labels(logits, labels): ...

@implementation("softmax_cross_entropy", "misspelt.target", label_kinds=["target"])
def target(logits, labels): ...

@implementation("softplus", "misspelt:colon")
def colon(logits): ...

@implementation("softplus", "misspelt.sound", dtypes="float32", label_kinds="none")
def sound(logits): return logits
""",
    "not_callable": """
from xentcheck import implementation

@implementation("softplus", "not_callable.loss", gradient="loss_gradient")
def loss(logits): ...
""",
    # Its name sorts before that of xentcheck's own entry point.
    "a_taker": """
from xentcheck import implementation

@implementation("softplus", "numpy.accurate")
def loss(logits): return logits
""",
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("broken")
    for name, text in BROKEN.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        metadata = folder / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = f"[xentcheck.implementations]\n{name} = {name}\n"
        (metadata / "entry_points.txt").write_text(points)
    attribute = folder / "not_there-1.0.dist-info"
    attribute.mkdir()
    (attribute / "METADATA").write_text("Metadata-Version: 2.1\nName: not_there\nVersion: 1.0\n")
    points = "[xentcheck.implementations]\nnot_there = declares_nothing:declared\n"
    (attribute / "entry_points.txt").write_text(points)
    return folder


def test_whatever_is_wrong_with_a_package_is_named_with_its_place(broken: Path) -> None:
    listed = xentcheck("list", "implementations", "--format", "json", path=broken)
    assert listed.returncode == 0
    assert "Traceback" not in listed.stderr
    notes = [line for line in listed.stderr.splitlines() if "entry point" in line]

    def said(name: str) -> list[str]:
        return [line for line in notes if line.startswith(f"note: {name}: ")]

    (text,) = said("broken_import.*")
    assert text.endswith(
        "entry point broken_import = 'broken_import' of broken_import could not be loaded: "
        "broken_import.py, line 1: ModuleNotFoundError: No module named 'nothing_of_that_name'"
    )
    (text,) = said("broken_inside.*")
    assert text.endswith("could not be loaded: broken_inside.py, line 3: KeyError: 'missing'")
    (text,) = said("broken_syntax.*")
    assert "could not be loaded: broken_syntax.py, line 2: SyntaxError: " in text
    (text,) = said("declares_nothing.*")
    assert text.endswith("declares no implementation")
    (text,) = said("not_there.*")
    assert "has no attribute 'declared'" in text
    (text,) = said("misspelt.loss")
    assert text.endswith(
        "there is no loss 'softmax_cross_entropi'; did you mean 'softmax_cross_entropy'?"
    )
    (text,) = said("misspelt.dtype")
    assert text.endswith("there is no dtype 'flot64'; did you mean 'float64'?")
    (text,) = said("misspelt.labels")
    assert text.endswith("there is no kind of labels 'distributions'; did you mean 'distribution'?")
    (text,) = said("misspelt.target")
    assert text.endswith("softmax_cross_entropy takes integer or distribution labels, not target")
    (text,) = said("misspelt:colon")
    assert "those with ':'" in text
    (text,) = said("not_callable.*")
    assert text.endswith(
        "not_callable.py, line 4: TypeError: the gradient of 'not_callable.loss' is "
        "'loss_gradient', which cannot be called"
    )
    (text,) = said("numpy.accurate")
    assert text.endswith(
        "entry point a_taker = 'a_taker' of a_taker: the name is already taken by entry point "
        "numpy = 'xentcheck.implementations:numpy_implementations' of xentcheck"
    )
    assert len(notes) == 12

    entries = [(each["name"], each) for each in json.loads(listed.stdout)["implementations"]]
    (sound,) = [each for name, each in entries if name.startswith("misspelt")]
    assert (sound["dtypes"], sound["label_kinds"]) == (["float32"], ["none"])
    owners = [each["source"] for name, each in entries if name == "numpy.accurate"]
    assert all(source.startswith("xentcheck.") for source in owners)


def test_a_run_of_what_could_not_be_loaded_is_no_pass(broken: Path, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(
        "sweeps:\n  s:\n    losses: softplus\n    dtypes: float32\n"
        '    implementations: "broken_inside.*"\n'
        "    inputs: [{generator: normal, rows: 2}]\nlimits: [{max_ulp: 4}]\n"
    )
    run = xentcheck("run", "gate.yaml", path=broken, folder=tmp_path)
    assert run.returncode == 2
    assert "no implementation is called 'broken_inside.*'" in run.stderr
    assert "broken_inside.py, line 3: KeyError" in run.stderr


# What the decorator takes.


def _module(**members: object) -> ModuleType:
    module = ModuleType("of_a_stranger")
    vars(module).update(members)
    return module


def _double(logits: np.ndarray, scale: float = 2.0) -> np.ndarray:  # type: ignore[type-arg]
    return logits * scale


def test_declarations_count_where_they_are_imported() -> None:
    def loss(logits: object) -> object: ...

    implementation("softplus", "stranger.loss")(loss)
    (declared,) = declared_in(_module(loss=loss, again=loss))
    assert declared.name == "stranger.loss"


def test_a_callable_that_is_no_function_can_be_declared() -> None:
    partial = functools.partial(_double, scale=3.0)
    implementation("softplus", "stranger.partial")(partial)
    (declared,) = declared_in(_module(partial=partial))
    assert declared.value is not None
    assert declared.value(np.float32(2.0)) == 6.0


def test_the_line_of_a_callable_is_found_through_what_wraps_it() -> None:
    class Loss:
        def __call__(self, logits: object) -> object: ...

    @functools.wraps(_double)
    def wrapped(*arguments: object) -> object: ...

    file, line = __file__, _double.__code__.co_firstlineno
    assert defined_at(_double) == (file, line)
    assert defined_at(functools.partial(wrapped)) == (file, line)
    of_class = defined_at(Loss)
    assert of_class is not None
    assert of_class == defined_at(Loss())
    lines = Path(of_class[0]).read_text(encoding="utf-8").splitlines()
    assert lines[of_class[1] - 1] == "    class Loss:"
    assert defined_at(math.exp) is None


def test_what_takes_no_attributes_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match="function exp> cannot be declared: wrap it in a func"):
        implementation("softplus", "stranger.exp")(math.exp)


def test_a_module_may_hold_what_answers_to_every_name() -> None:
    class Answering:
        def __getattr__(self, name: str) -> object:
            return self

    assert declared_in(_module(lazy=Answering())) == ()


def test_a_lone_dtype_is_no_list_of_letters() -> None:
    def loss(logits: object) -> object: ...

    implementation("softplus", "s", dtypes="float32", label_kinds=LabelKind.NONE)(loss)
    (declared,) = declared_in(_module(loss=loss))
    assert declared.dtypes == ("float32",)
    assert declared.label_kinds == (LabelKind.NONE,)


class _EntryPoint:
    dist = None

    def __init__(self, name: str, thing: object) -> None:
        self.name, self.value, self.thing = name, "somewhere", thing

    def load(self) -> object:
        return self.thing


def _skips(monkeypatch: pytest.MonkeyPatch, things: Mapping[str, object]) -> tuple[Skip, ...]:
    points = [_EntryPoint(name, thing) for name, thing in things.items()]
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: points)
    return load_registered()[1]


def test_every_fault_of_a_declaration_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(logits: object) -> object: ...

    implementation("softpluss", "", dtypes=(), label_kinds=["integr"])(loss)
    (declared,) = declared_in(_module(loss=loss))
    skips = _skips(monkeypatch, {"a": declared})
    assert [skip.reason.removeprefix("entry point a = 'somewhere': ") for skip in skips] == [
        "there is no loss 'softpluss'; did you mean 'softplus'?",
        "'' cannot be a name: those with ':' or '{out}' are targets",
        "no dtype is given",
        "there is no kind of labels 'integr'; did you mean 'integer'?",
    ]


def test_one_declaration_by_two_doors_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(logits: object) -> object: ...

    implementation("softplus", "stranger.loss")(loss)
    (declared,) = declared_in(_module(loss=loss))
    assert _skips(monkeypatch, {"a": [declared], "b": [declared]}) == ()
    (skip,) = _skips(monkeypatch, {"a": [declared], "b": [replace(declared, summary="other")]})
    assert skip.reason == (
        "entry point b = 'somewhere': the name is already taken by entry point a = 'somewhere'"
    )
    assert (skip.loss, skip.implementation) == ("softplus", "stranger.loss")
