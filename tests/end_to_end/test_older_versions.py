"""A framework whose installed version lacks what an adapter asks for: skipped, with the reason."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import Bridge, Call, Job, deferred
from xentcheck.model import Array, Process, Quantity

FRAMEWORK = """
def softplus(x): return x
"""
ADAPTERS = """
def along(logits): return old.softplus(logits, axis=0)
def gone(logits): return old.softplus_of_tomorrow(logits)
def submodule_gone(logits): return old.deeper.softplus(logits)
def plain(logits): return old.softplus(logits)
def untyped(logits): return None + logits
"""


class OldBridge(Bridge):
    process = Process("old", ("old_framework",), "install it")

    def value(self, job: Job) -> Array:
        return np.asarray(job.function(job.logits))


@pytest.fixture
def adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An adapter module of a framework that has no axis yet."""
    (tmp_path / "old_framework.py").write_text(FRAMEWORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "old_framework", raising=False)
    name = "xentcheck.implementations.frameworks.old"
    module = types.ModuleType(name)
    module.__dict__["old"] = deferred("old_framework")
    module.__dict__["SINCE"] = {("old_framework.softplus", "axis"): "old-framework 2.0"}
    exec(compile(ADAPTERS, "old.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def called(adapters: types.ModuleType, name: str) -> Array:
    call = Call(OldBridge(), getattr(adapters, name), "softplus", Quantity.VALUE)
    return call(np.ones(1, np.float32))


def test_an_argument_is_asked_of_the_signature(adapters: types.ModuleType) -> None:
    wanted = (
        r"^old_framework\.softplus of the installed old_framework has no argument axis; "
        r"old-framework 2\.0 has it$"
    )
    with pytest.raises(UnsupportedError, match=wanted):
        called(adapters, "along")


@pytest.mark.parametrize(
    ("name", "lacked"),
    [("gone", "softplus_of_tomorrow"), ("submodule_gone", "deeper")],
)
def test_so_is_a_function_that_is_not_there_yet(
    adapters: types.ModuleType, name: str, lacked: str
) -> None:
    reason = rf"^old_framework\.{lacked} is not in the installed old_framework$"
    with pytest.raises(UnsupportedError, match=reason):
        called(adapters, name)


def test_another_error_stays_one(adapters: types.ModuleType) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        called(adapters, "untyped")
    assert called(adapters, "plain") == 1


def test_a_users_own_function_that_lacks_an_argument_is_not_excused(
    adapters: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an adapter's call is ours to explain; what a user calls wrongly is an error."""
    monkeypatch.setattr(adapters.along, "__module__", "mine")
    with pytest.raises(TypeError, match="unexpected keyword argument 'axis'"):
        called(adapters, "along")


def test_the_command_skips_and_accuses_nobody(tmp_path: Path) -> None:
    """An older optax in front of the installed one, or none: its functions take no axis."""
    pytest.importorskip("optax")
    (tmp_path / "older.py").write_text(
        "import sys, optax, runpy\n"
        "real = optax.softmax_cross_entropy\n"
        "def softmax_cross_entropy(logits, labels): return real(logits, labels)\n"
        "optax.softmax_cross_entropy = softmax_cross_entropy\n"
    )
    (tmp_path / "sitecustomize.py").write_text("import older\n")
    name = "optax.softmax_cross_entropy"
    words = ["probe", "--loss", "softmax_cross_entropy", "--logits=1,2", "--labels=1,0"]
    words += ["--format", "json", "--implementation", name, "--implementation", f"{name}@axis0"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "xentcheck", *words],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {each["implementation"] for each in document["measurements"]} == {
        "optax.softmax_cross_entropy"
    }
    assert not [each for each in document["findings"] if each["kind"] == "raised"]
    (reason,) = {each["reason"] for each in document["skips"] if "axis" in each["reason"]}
    assert "has no argument axis; optax 0.2.4 has it" in reason
