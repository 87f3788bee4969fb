"""Programs that JAX compiled stay between runs, and change nothing in a report."""

import importlib.util
from pathlib import Path

import pytest

from tests.running import Result, invoke
from xentcheck.execution import programs
from xentcheck.switches import NO_CACHE

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed"
)

LOSS = """
import jax
import jax.numpy as jnp

def loss(logits, labels):
    lse = jax.nn.logsumexp(logits, axis=1)
    return lse - jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
"""
SWEEP = """
implementations:
  - {loss: softmax_cross_entropy, target: mine.py:loss, name: mine, framework: jax}
sweeps:
  s:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: mine
    inputs: [{generator: normal, rows: 8, classes: [2, 3]}]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(NO_CACHE, raising=False)
    (tmp_path / "mine.py").write_text(LOSS)
    (tmp_path / "one.yaml").write_text(SWEEP)
    return tmp_path


def run(place: Path, *options: str) -> Result:
    return invoke("run", "one.yaml", "--no-diagnosis", "--format", "json", *options, cwd=place)


def kept() -> list[Path]:
    folder = programs.folder()
    assert folder is not None
    return sorted(each for each in folder.rglob("*") if each.is_file())


def test_a_report_is_the_same_to_the_byte_with_kept_programs_and_without(place: Path) -> None:
    without = run(place, "--no-cache")
    assert without.exit_code == 0, without.stderr
    assert not kept()
    first = run(place)
    made = kept()
    assert made
    again = run(place)
    assert [each.name for each in kept()] == [each.name for each in made]
    assert without.stdout == first.stdout == again.stdout


def test_a_damaged_program_is_dropped_and_said(place: Path) -> None:
    sound = run(place)
    for each in kept():
        if each.name.endswith("-cache"):
            each.write_bytes(b"no program")
    damaged = run(place)
    assert damaged.exit_code == 0, damaged.stderr
    assert "a compiled program in the cache was damaged" in damaged.stdout
    assert kept()
    assert run(place).stdout == sound.stdout
