"""What a command imports before it answers."""

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import xentcheck.cli
import xentcheck.execution
import xentcheck.model
import xentcheck.sweeps
from tests.running import invoke
from xentcheck import registry
from xentcheck.cli import cli
from xentcheck.cli.lists import WHAT
from xentcheck.deferred import deferred
from xentcheck.execution import hosts
from xentcheck.model import Process

FRAMEWORKS = ("torch", "jax", "tensorflow", "keras", "scipy", "sklearn", "onnxruntime", "mlx")
HEAVY = ("numpy", "ml_dtypes", "mpmath", "rich", "yaml", "jinja2", "altair", *FRAMEWORKS)
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
ASK = """
import atexit, sys
atexit.register(lambda: sys.stderr.write("\\nmodules " + " ".join(sys.modules) + "\\n"))
from xentcheck.cli import main
main()
"""


def imported(
    *arguments: str, variables: Mapping[str, str] = NO_VARIABLES
) -> tuple[str, frozenset[str]]:
    """What a command prints on standard output, and the modules that it imports."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().rpartition("\n")[2]
    assert last.startswith("modules "), done.stderr
    return done.stdout, frozenset(last.split())


def nothing_heavy(modules: frozenset[str]) -> None:
    assert not modules & set(HEAVY)


@pytest.mark.parametrize(
    "arguments", ["--help", "--version", "run --help", "--bad", "explain nan", "explain plateu"]
)
def test_help_and_usage_errors_import_nothing_heavy(arguments: str) -> None:
    nothing_heavy(imported(*arguments.split())[1])


@pytest.mark.parametrize(
    "arguments",
    [
        *WHAT,
        "losses kl_divergence",
        "losses softmax_crossentropy",
        "implementations numpy.naive --format json",
        "implementations --loss softplus --framework torch",
        *(f"{each} --format json" for each in WHAT),
    ],
)
def test_a_list_imports_nothing_heavy(arguments: str) -> None:
    _, modules = imported("list", *arguments.split())
    nothing_heavy(modules)


def test_a_list_of_losses_imports_no_other_registry() -> None:
    _, modules = imported("list", "losses")
    assert not {each for each in modules if each.startswith(("xentcheck.sweeps", "importlib.meta"))}
    assert "xentcheck.registry" not in modules
    assert "xentcheck.model.results" not in modules


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("xentcheck list losses soft", "softplus"),
        ("xentcheck list implementations numpy.na", "numpy.naive"),
        ("xentcheck check x.py:loss --loss softmax --param noi", "noise="),
        ("xentcheck check x.py:loss --dtype bf", "bfloat16"),
        ("xentcheck explain pla", "plateau"),
    ],
)
def test_completion_imports_nothing_heavy(line: str, name: str) -> None:
    variables = {
        "_XENTCHECK_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    told, modules = imported(variables=variables)
    assert name in told.replace(",", "\n").split()
    nothing_heavy(modules)


LOSS = """
import sys
import numpy as np

def loss(logits, labels):
    with open("host.txt", "w") as file:
        file.write(" ".join(sys.modules))
    return np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), labels]
"""


@pytest.mark.parametrize(("form", "drawn"), [("table", {"rich"}), ("json", set())])
def test_a_check_imports_what_it_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, drawn: set[str]
) -> None:
    """Neither YAML, which it does not read, nor pages, nor a framework, anywhere."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(LOSS)
    words = "check mine.py:loss --loss softmax_cross_entropy --workers 1 --format"
    told, modules = imported(*words.split(), form)
    assert "softmax_cross_entropy" in told
    assert modules & set(HEAVY) == {"numpy", "ml_dtypes", "mpmath"} | drawn
    host = frozenset(Path("host.txt").read_text().split())
    assert host & set(HEAVY) == {"numpy", "ml_dtypes"}
    assert not host & {"importlib.metadata", "xentcheck.execution.hosts"}
    for each in ("measurement", "reference", "sweeps", "report", "auditing", "cli"):
        assert f"xentcheck.{each}" not in host


@pytest.mark.parametrize("package", [xentcheck.model, xentcheck.sweeps, xentcheck.execution])
def test_a_package_hands_on_what_its_modules_define(package: object) -> None:
    """Type checkers read imports, Python a table. Both have to say the same."""
    name = package.__name__  # type: ignore[attr-defined]
    code = f"from {name} import *\nimport {name} as there\n"
    code += "print(*(f'{each}={id(getattr(there, each)) == id(globals()[each])}' "
    code += "for each in there.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = package.__all__  # type: ignore[attr-defined]
    assert done.stdout.split() == [f"{each}=True" for each in names]
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec(f"from {name} import Nothing", {})


def test_every_command_has_its_module() -> None:
    names = cli.list_commands(None)  # type: ignore[arg-type]
    assert [cli.get_command(None, each).name for each in names] == names  # type: ignore[arg-type, union-attr]
    for each in pkgutil.iter_modules(xentcheck.cli.__path__, "xentcheck.cli."):
        importlib.import_module(each.name)
    assert sorted(cli.commands) == names


def test_a_deferred_module_is_imported_when_it_is_used() -> None:
    code = (
        "import sys\nfrom xentcheck.deferred import deferred\nmodule = deferred('colorsys')\n"
        "assert 'colorsys' not in sys.modules\nassert module.ONE_THIRD == 1 / 3\n"
        "assert 'colorsys' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'colorsys' has no attribute 'nothing'"):
        deferred("colorsys").nothing  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        deferred("no_such_module").anything  # noqa: B018


PROBE = ("probe", "--loss", "softmax_cross_entropy", "--logits", "1,2", "--label", "0")
RUN = """
sweeps:
  two:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: [jax.*, numpy.naive]
    inputs: [{generator: explicit, values: [[1, 2]]}]
"""


class _StartedError(Exception):
    """A framework would start here."""


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ((*PROBE, "--implementation", "torch.*"), {"torch"}),
        ((*PROBE, "--implementation", "optax.*", "--implementation", "numpy.*"), {"jax"}),
        ((*PROBE, "--implementation", "numpy.*"), set()),
        ((*PROBE, "--implementation", "lightgbm.*", "--dtype", "float32"), set()),
        (("list", "implementations", "torch.*"), set()),
        # It has faults: a comparison with SciPy is one of the usual tests that are made then.
        (("check", "mine.py:loss", "--loss", "softmax_cross_entropy", "--workers", "1"), {"scipy"}),
        (("run", "two.yaml", "--workers", "1"), {"jax"}),
    ],
)
def test_only_frameworks_that_are_meant_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], meant: set[str]
) -> None:
    """As where all of them are installed."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(LOSS)
    Path("two.yaml").write_text(RUN)
    started = set()
    real = hosts.start

    def start(processes: Iterable[Process]) -> None:
        wanted = list(processes)
        started.update(each.name for each in wanted if each.quiet and each.modules)
        if started:
            raise _StartedError
        real(wanted)

    monkeypatch.setattr(registry, "missing", lambda process: "")
    monkeypatch.setattr(hosts, "start", start)
    invoke(*arguments)
    assert started == meant
