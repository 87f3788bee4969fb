"""Do two checkouts of xentcheck print, write and exit with the same, to the byte?

For a change that moves code and means to change nothing: ``python -m benchmarks.outputs OLD NEW``
runs the commands of `COMMANDS` with the package of either checkout, in folders alike, and names
every file that differs. Exit status 0 if there is none, 1 otherwise.
"""

import filecmp
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click

_FORMATS = (
    "--output r.txt --output r.json --output r.csv --output r.xml --output r.sarif --output r.md "
    "--format table --format json --format csv --format junit --format sarif --format markdown "
    "--format github --output r.github --format atlas --output r.atlas"
)
_CE = "--loss softmax_cross_entropy"
_OWN = """\
import numpy as np


def loss(logits, labels):
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))


def loss_gradient(logits, labels):
    e = np.exp(logits)
    gradient = e / e.sum(axis=1, keepdims=True)
    gradient[np.arange(len(e)), labels] -= 1
    return gradient


def mean(logits, labels):
    return loss(logits, labels).mean()


def negative(logits, labels):
    return -loss(logits, labels)
"""
_TEST = """\
import xentcheck
from own import loss


def test_loss():
    xentcheck.assert_accurate(loss, "softmax_cross_entropy", dtypes=["float32"])
"""
_WRONG = "sweeps: {a: {losses: [nothing, softmax], dtypes: float31, inputs: [{generator: none}]}}\n"
_BROKEN = "sweeps: {a: {losses: softmax, limits: 3"

COMMANDS = {
    "sweep": f"run configs/sweep.yaml {_FORMATS} --witnesses witnesses",
    "gate": f"run configs/gate.yaml {_FORMATS}",
    "extreme": f"run configs/extreme.yaml {_FORMATS} --write-baseline baseline.yaml",
    "recorded": "run configs/recorded.yaml --format json",
    "frameworks": "run configs/frameworks.yaml --select numpy.* --format table",
    "check": f"check own.py:loss {_CE} {_FORMATS} --or-abs 1e-6",
    "check-mean": f"check own.py:mean {_CE} --param reduction=mean --dtype float32 --format csv",
    "check-negative": f"check own.py:negative {_CE} --dtype float32",
    "probe": f"probe {_CE} --logits 1000,2000,3000 --label 0",
    "probe-json": f"probe {_CE} --row sweep.yaml:stress:7 --format json",
    "probe-own": f"probe own.py:loss {_CE} --logits 20,0,0;1,2,3 --label 0 --label 1",
    "reports": "report ../sweep/r.json --format markdown",
    "compare": "compare ../sweep/r.json ../gate/r.json",
    "compare-markdown": "compare ../gate/r.json ../sweep/r.json --format markdown",
    "compare-json": "compare ../gate/r.json ../sweep/r.json --format json",
    "wrong": "run wrong.yaml",
    "broken": "run broken.yaml",
    "usage": "check own.py:loss --loss nothing --dtype float31",
    "parameter": f"check own.py:loss {_CE} --param gamma=x --param reduction=most",
    "none": "run configs/sweep.yaml --select nobody.*",
    "init": "init",
    "version": "--version",
    "help": "--help",
    **{f"help-{one}": f"{one} --help" for one in ("check", "compare", "init", "list", "probe")},
    **{f"help-{one}": f"{one} --help" for one in ("report", "run", "schema")},
    **{f"list-{one}": f"list {one}" for one in ("losses", "implementations", "generators")},
    **{f"list-{one}": f"list {one} --format json" for one in ("dtypes", "kinds")},
    **{f"schema-{one}": f"schema {one}" for one in ("config", "report", "baseline")},
}
"""Each runs in a folder of its own, beside the others'."""

_DURATION = re.compile(r"in \d+\.\d+s( \([\d:]+\))?")  # pytest says how long it took
_MOVING = (
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    # where our own implementations are defined
    (re.compile(r"(?:[\w.-]*/){0,12}xentcheck/implementations/[\w/]+\.py"), "FILE"),
    (re.compile(r"xentcheck\.implementations\.[\w.]+"), "MODULE"),
    (re.compile(r'("(?:line|startLine)": )\d+'), r"\1N"),
    (re.compile(r"(FILE[:,](?:line=)?)\d+"), r"\1N"),
)
"""What may differ where nothing has changed but the day and the place of code."""
_CHANGING = ("PYTEST_CURRENT_TEST", "FORCE_COLOR", "NO_COLOR")


def _environment(checkout: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _CHANGING}
    return {**kept, "PYTHONPATH": str(checkout), "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(checkout: Path, base: Path, name: str, words: list[str]) -> None:
    here = base / name
    here.mkdir(parents=True)
    shutil.copytree(checkout / "configs", here / "configs")
    for file, text in {
        "own.py": _OWN,
        "test_own.py": _TEST,
        "wrong.yaml": _WRONG,
        "broken.yaml": _BROKEN,
        "sweep.yaml": (checkout / "configs" / "sweep.yaml").read_text(encoding="utf-8"),
    }.items():
        (here / file).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *words],
        cwd=here,
        env=_environment(checkout),
        capture_output=True,
        text=True,
        check=False,
    )
    for file, text in {
        "stdout": _DURATION.sub("in N s", done.stdout),
        "stderr": done.stderr,
        "status": f"{done.returncode}\n",
    }.items():
        (here / file).write_text(text, encoding="utf-8")


def _differences(old: Path, new: Path) -> Iterator[str]:
    names = {
        each.relative_to(base).as_posix()
        for base in (old, new)
        for each in base.rglob("*")
        if each.is_file()
    }
    for name in sorted(names):
        one, other = old / name, new / name
        if not (one.exists() and other.exists()):
            yield f"{name}: only in {'the old' if one.exists() else 'the new'} checkout's"
        elif not filecmp.cmp(one, other, shallow=False) and _still(one) != _still(other):
            yield name


def _still(file: Path) -> bytes | str:
    """The content without what moves; of a file that is no text, all of it."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return file.read_bytes()
    for pattern, stand_in in _MOVING:
        text = pattern.sub(stand_in, text)
    return text


def main(old: Path, new: Path, kept: Path) -> int:
    """Run all commands in both checkouts; what they write stays in ``kept``."""
    for side, checkout in (("old", old), ("new", new)):
        base = kept / side
        if side == "old" and base.exists():
            continue  # kept from an earlier comparison with the same checkout
        shutil.rmtree(base, ignore_errors=True)
        # Both are run at the same path, since some of the outputs name it.
        place = kept / "place"
        shutil.rmtree(place, ignore_errors=True)
        for name, words in COMMANDS.items():
            _run(checkout.resolve(), place, name, ["-m", "xentcheck", *shlex.split(words)])
        words = shlex.split("-m pytest -q -p no:cacheprovider --xentcheck configs/gate.yaml")
        _run(checkout.resolve(), place, "pytest", words)
        for each in place.rglob("__pycache__"):
            shutil.rmtree(each)
        place.rename(base)
    differences = list(_differences(kept / "old", kept / "new"))
    for each in differences:
        click.echo(each)
    click.echo(f"{len(differences)} of the files differ")
    return 1 if differences else 0


if __name__ == "__main__":
    if len(sys.argv) > 3:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]).resolve()))
    with TemporaryDirectory() as folder:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(folder)))
