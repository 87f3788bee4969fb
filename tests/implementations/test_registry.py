"""What the registry finds, and what it says where it finds nothing."""

import importlib.metadata
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xentcheck import registry
from xentcheck.errors import TargetError
from xentcheck.implementations.user.loading import load_target
from xentcheck.model import Implementation, Target
from xentcheck.registry import (
    ANY_PARAMETER,
    declared_in,
    implementation,
    load_registered,
    parameters_of,
)

Folder = Callable[[str, str], Path]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def _load(target: str, **fields: object) -> Implementation:
    return load_target(Target("softmax_cross_entropy", target, "mine", **fields))  # type: ignore[arg-type]


def _refusal(target: str, **fields: object) -> str:
    with pytest.raises(TargetError) as caught:
        _load(target, **fields)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_a_function_in_a_file_is_loaded_with_its_parameters(file: Folder) -> None:
    path = file("mine.py", "def loss(logits, labels, *, weight=None, eps=0):\n    return 7\n")
    found = _load(f"{path}:loss")
    assert found.value is not None
    assert found.value(None, None) == 7
    assert found.parameters == {"weight", "eps"}
    assert found.gradient is None
    assert "float8_e5m2" in found.dtypes


def test_a_function_in_a_module_of_the_current_folder_is_loaded(file: Folder) -> None:
    file("of_this_test.py", "class Losses:\n    @staticmethod\n    def ce(x, y): return 3\n")
    found = _load("of_this_test:Losses.ce")
    assert found.value is not None
    assert found.value(0, 0) == 3
    del sys.modules["of_this_test"]


@pytest.mark.parametrize("gradient", ["grad", "mine.py:grad", "other.py:grad"])
def test_the_gradient_is_found_by_bare_name_or_by_target(file: Folder, gradient: str) -> None:
    file("mine.py", "def f(x, y, *, a=1, b=2): return 1\ndef grad(x, y, *, b=2): return 5\n")
    file("other.py", "def grad(x, y, *, b=2): return 5\n")
    found = _load("mine.py:f", gradient=gradient)
    assert found.gradient is not None
    assert found.gradient(0, 0) == 5
    assert found.parameters == {"b"}


def test_bound_parameters_reach_the_functions_that_take_them(file: Folder) -> None:
    file("mine.py", "def f(x, y, *, a=1, b=2): return (a, b)\ndef g(x, y, *, b=2): return b\n")
    found = _load("mine.py:f", gradient="g", parameters={"a": 10})
    assert found.value is not None
    assert found.gradient is not None
    assert found.value(0, 0, b=3) == (10, 3)
    assert found.gradient(0, 0) == 2
    assert found.parameters == {"b"}


def test_a_bound_parameter_that_the_function_lacks_is_refused_with_the_nearest(
    file: Folder,
) -> None:
    file("mine.py", "def f(x, y, *, epsilon=1): return 0\n")
    text = _refusal("mine.py:f", parameters={"epsilom": 1})
    assert "no parameter 'epsilom'; did you mean 'epsilon'?" in text


def test_siblings_are_imported_and_do_not_leak_into_another_folder(file: Folder) -> None:
    for folder, number in (("one", 1), ("two", 2)):
        file(f"{folder}/common.py", f"N = {number}\n")
        file(f"{folder}/mine.py", "from common import N\ndef f(x, y): return N\n")
    before = list(sys.path)
    results = [_load(f"{folder}/mine.py:f").value for folder in ("one", "two")]
    assert [f(0, 0) for f in results if f is not None] == [1, 2]
    assert sys.path == before
    assert "common" not in sys.modules


def test_a_dataclass_in_the_file_works(file: Folder) -> None:
    file(
        "mine.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass, KW_ONLY\n"
        "@dataclass\nclass Loss:\n    _: KW_ONLY\n    scale: float = 2.0\n"
        "    def __call__(self, x, y): return self.scale\nloss = Loss()\n",
    )
    value = _load("mine.py:loss").value
    assert value is not None
    assert value(0, 0) == 2.0


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("", "mine.py", "a target is written module:function or path/file.py:function"),
        ("", "nine.py:f", "there is no file nine.py; did you mean 'mine.py'?"),
        ("x = 1\ndef f(:\n", "mine.py:f", "line 2: SyntaxError: invalid syntax"),
        ("\n\n1 / 0\n", "mine.py:f", "line 3: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('bye')\n", "mine.py:f", "line 2: SystemExit: bye"),
        ("import no_such_thing\n", "mine.py:f", "install 'no_such_thing' into the environment"),
        ("def los(x, y): pass\n", "mine.py:loss", "no 'loss' in it; did you mean 'los'?"),
        ("loss = 3\n", "mine.py:loss", "loss is int 3, which cannot be called"),
        ("", "no_such_package.sub:f", "there is no module 'no_such_package'"),
        ("def f(x, y): pass\n", "mine.py:f.g", "no 'g' in it"),
    ],
)
def test_a_target_that_leads_nowhere_is_explained(
    file: Folder, text: str, target: str, expected: str
) -> None:
    file("mine.py", text)
    assert expected in _refusal(target)


def test_a_file_that_failed_to_load_leaves_no_module_behind(file: Folder) -> None:
    file("mine.py", "1 / 0\n")
    before = set(sys.modules)
    _refusal("mine.py:f")
    assert {name for name in set(sys.modules) - before if "target" in name} == set()


def test_parameters_are_what_comes_after_the_data() -> None:
    def plain(logits, labels): ...  # type: ignore[no-untyped-def]
    def positional(x, y, weight, eps=1): ...  # type: ignore[no-untyped-def]
    def optional_labels(logits, labels=None, *, base="e"): ...  # type: ignore[no-untyped-def]
    def anything(x, **rest): ...  # type: ignore[no-untyped-def]

    assert parameters_of(plain) == frozenset()
    assert parameters_of(positional) == {"weight", "eps"}
    assert parameters_of(optional_labels) == {"base"}
    assert parameters_of(anything) == ANY_PARAMETER


@implementation("softplus", "test.double", sound=True)
def _double(logits: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Twice the input.

    More text.
    """
    return logits * 2


def test_a_declared_function_stays_itself_and_is_found_in_its_module() -> None:
    (declared,) = declared_in(sys.modules[__name__])
    assert (declared.loss, declared.name, declared.sound) == ("softplus", "test.double", True)
    assert declared.summary == "Twice the input."
    assert _double(np.float64(2.0)) == 4.0


def test_a_declared_function_overflows_without_a_warning() -> None:
    (declared,) = declared_in(sys.modules[__name__])
    assert declared.value is not None
    with pytest.warns(RuntimeWarning, match="overflow"):
        _double(np.array([1e308]))
    assert declared.value(np.array([1e308])) == np.inf


def test_a_built_in_can_be_sent_to_another_process() -> None:
    found = {(each.loss, each.name): each for each in load_registered()[0]}
    there_and_back = pickle.loads(pickle.dumps(found["softplus", "numpy.accurate"]))
    assert there_and_back.value(np.array([0.0]))[0] == pytest.approx(np.log(2.0), rel=1e-15)


class _EntryPoint:
    def __init__(self, name: str, thing: object) -> None:
        self.name, self.value, self.thing = name, f"{name}:thing", thing
        self.dist = None

    def load(self) -> object:
        if isinstance(self.thing, BaseException):
            raise self.thing
        return self.thing


def _registered(monkeypatch: pytest.MonkeyPatch, **things: object):  # type: ignore[no-untyped-def]
    points = [_EntryPoint(name, thing) for name, thing in things.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    return load_registered()


def test_entry_points_may_give_one_many_a_function_or_a_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one,) = declared_in(sys.modules[__name__])
    module = types.ModuleType("somewhere")
    for thing in (one, [one], lambda: iter([one])):
        assert _registered(monkeypatch, a=thing) == ((one,), ())
    nothing, skips = _registered(monkeypatch, a=module)
    assert nothing == ()
    assert [skip.reason for skip in skips] == [
        "entry point a = 'a:thing' declares no implementation"
    ]
    assert _registered(monkeypatch, a=sys.modules[__name__]) == ((one,), ())


def test_a_broken_entry_point_takes_nothing_down_but_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one,) = declared_in(sys.modules[__name__])
    found, skips = _registered(
        monkeypatch,
        a=ImportError("no torch here"),
        b=SystemExit(3),
        c=[one, "not one"],
        d=7,
        e=[one],
        f=[replace(one, summary="another of the same name")],
    )
    assert found == (one,)
    reasons = {skip.implementation: skip.reason for skip in skips}
    assert "ImportError: no torch here" in reasons["a.*"]
    assert "SystemExit: 3" in reasons["b.*"]
    assert "'not one', which is not an Implementation" in reasons["c.*"]
    assert "not an iterable" in reasons["d.*"]
    assert "already taken" in reasons["test.double"]


def test_implementations_are_the_loaded_ones() -> None:
    assert [each.name for each in registry.implementations()] == [
        each.name for each in load_registered()[0]
    ]
    assert any(each.name == "numpy.accurate" for each in registry.implementations())


def test_the_registry_imports_neither_implementations_nor_anything_slow() -> None:
    code = (
        "import sys, xentcheck.registry; "
        "print([m for m in ('xentcheck.implementations', 'mpmath', 'rich', 'torch') "
        "if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
