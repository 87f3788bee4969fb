"""The folder of compiled programs is private, bounded, and no condition of a run."""

import os
import sys
from pathlib import Path

import pytest

from tests.running import invoke
from xentcheck.execution import programs
from xentcheck.implementations.bridge import PROGRAMS
from xentcheck.switches import NO_CACHE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(programs, "cache", lambda: tmp_path)
    monkeypatch.delenv(NO_CACHE, raising=False)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    return tmp_path


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="XDG names the folder elsewhere")
def test_it_lies_in_the_cache_directory_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert programs.cache() == Path("/somewhere")
    for value in ("", "relative"):  # as the XDG specification says
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert programs.cache() == Path.home() / ".cache"


def test_it_is_its_user_s_alone(cache: Path) -> None:
    found = programs.folder()
    assert found is not None
    assert cache in found.parents
    if os.name == "posix":
        assert found.stat().st_mode & 0o077 == 0
    assert programs.environment()[PROGRAMS] == str(found)


def test_another_processor_has_another_folder(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = programs.folder()
    monkeypatch.setattr(programs.platform, "machine", lambda: "mips")
    assert programs.folder() != here


def test_it_is_switched_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_CACHE, "1")
    assert programs.folder() is None
    assert programs.environment() == {}
    assert not list(cache.iterdir())
    monkeypatch.setenv(NO_CACHE, "")
    assert programs.folder() is not None


def test_the_option_is_for_its_command_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    monkeypatch.setattr(programs, "prune", lambda: seen.append(programs.folder()))
    (tmp_path / "one.yaml").write_text(
        "sweeps: {s: {losses: softplus, dtypes: float16, implementations: numpy.accurate, "
        "inputs: [{generator: explicit, values: [0]}]}}"
    )
    for option in ((), ("--no-cache",), ()):
        assert invoke("run", "one.yaml", *option, cwd=tmp_path).exit_code == 0
    assert [each is None for each in seen] == [False, True, False]


def test_a_folder_that_cannot_be_made_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(programs, "cache", lambda: blocked)
    monkeypatch.delenv(NO_CACHE, raising=False)
    assert programs.folder() is None
    programs.prune()


def test_what_was_not_used_for_the_longest_time_goes_first(cache: Path) -> None:
    folder = programs.folder()
    assert folder is not None
    (folder / "jax").mkdir()
    for age, name in enumerate(("new", "jax/middle", "old")):
        (folder / name).write_bytes(b"x" * 100)
        os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))
    programs.prune(300)
    assert len([each for each in folder.rglob("*") if each.is_file()]) == 3
    programs.prune(250)
    left = {each.name for each in folder.rglob("*") if each.is_file()}
    assert left == {"new", "middle"}
    os.utime(folder / "new", (1, 1))
    programs.prune(100)
    assert {each.name for each in folder.rglob("*") if each.is_file()} == {"middle"}
    programs.prune(0)
    assert not [each for each in folder.rglob("*") if each.is_file()]


def test_an_audit_without_a_framework_makes_no_folder(cache: Path) -> None:
    programs.prune()
    (cache / "mine.py").write_text("def value(x):\n    return x\n")
    words = ("check", "mine.py:value", "--loss", "softplus", "--dtype", "float16", "-q")
    assert invoke(*words, "--no-diagnosis", cwd=cache).exit_code == 1
    assert not (cache / "xentcheck").exists()


def test_torch_s_own_folder_stays_where_its_user_has_put_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.environment()["TORCHINDUCTOR_CACHE_DIR"].endswith("torch")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/mine")
    assert programs.environment()["TORCHINDUCTOR_CACHE_DIR"] == "/mine"
