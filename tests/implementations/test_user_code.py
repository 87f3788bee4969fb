"""Users' own code through the command line: programs, shared libraries, misbehaving functions.

That code runs in processes of its own in any case; the command does where its output counts.
What is audited is written here or in docs/examples; nothing in it knows of xentcheck.
"""

import json
import platform
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.execution.test_hosts import ended
from tests.places import ROOT
from tests.running import invoke

EXAMPLES = ROOT / "docs" / "examples"
CE = "softmax_cross_entropy"

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc")
needs_cxx = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler, c++")


@dataclass(frozen=True)
class Told:
    """What a command told: its exit status, both streams, and the report where it gave one."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Any:
        """Standard output, which has to be one JSON document and nothing else."""
        return json.loads(self.stdout)

    @property
    def findings(self) -> set[tuple[str, str, str]]:
        """(implementation, quantity, kind)."""
        return {(f["implementation"], f["quantity"], f["kind"]) for f in self.report["findings"]}

    @property
    def details(self) -> dict[tuple[str, str], str]:
        """By implementation and kind."""
        return {(f["implementation"], f["kind"]): f["detail"] for f in self.report["findings"]}

    def errors(self, quantity: str = "value", dtype: str = "float32") -> dict[str, float]:
        """The largest error of each implementation, in ulps."""
        return {
            m["implementation"]: float(m["max_ulp"])
            for m in self.report["measurements"]
            if (m["quantity"], m["dtype"]) == (quantity, dtype)
        }


def xentcheck(place: Path, *arguments: str) -> Told:
    done = invoke(*arguments, cwd=place)
    return Told(done.exit_code, done.stdout, done.stderr)


def in_a_process(place: Path, *arguments: str) -> Told:
    done = subprocess.run(
        [sys.executable, "-m", "xentcheck", *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return Told(done.returncode, done.stdout, done.stderr)


def probed(
    place: Path,
    *arguments: str,
    loss: str = CE,
    logits: str = "1,2,4",
    labels: tuple[str, ...] = ("--label", "0"),
    command: Callable[..., Told] = xentcheck,
) -> Told:
    words = ("probe", "--format", "json", "--loss", loss, f"--logits={logits}", *labels)
    told = command(place, *words, *arguments)
    assert told.status == 0, told.stderr
    return told


def implementations(*targets: str) -> list[str]:
    return [word for each in targets for word in ("--implementation", each)]


def write(place: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (place / name).write_text(dedent(text))
        if dedent(text).startswith("#!"):
            (place / name).chmod(stat.S_IRWXU)


def commands_of(readme: Path) -> list[list[str]]:
    """The indented lines of a README, as words."""
    text = readme.read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("    ")]


def followed(example: str, place: Path) -> tuple[Path, Told]:
    """A copy of an example after its README was followed, and what the last command told."""
    folder = place / example
    shutil.copytree(EXAMPLES / example, folder)
    *build, audit = commands_of(folder / "README.md")
    assert build
    for words in build:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert audit[:2] == ["xentcheck", "check"]
    return folder, xentcheck(folder, *audit[1:], "--workers", "1")


# A right loss to start from: in float64, and every sum without its largest term.

RIGHT = """\
import numpy as np

def loss(logits, labels):
    x = logits.astype(np.float64)
    shifted = x - x[np.arange(len(x)), labels][:, None]
    shifted[np.arange(len(x)), labels] = -np.inf
    return np.log1p(np.exp(shifted).sum(axis=1)).astype(logits.dtype)

def slope(logits, labels):
    x = logits.astype(np.float64)
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), labels] = 0
    p[np.arange(len(x)), labels] = -p.sum(axis=1)
    return p.astype(logits.dtype)
"""


class TestExamples:
    def test_every_example_is_listed(self) -> None:
        text = (EXAMPLES / "README.md").read_text()
        folders = sorted(each.parent.name for each in EXAMPLES.glob("*/README.md"))
        assert folders == ["command", "package", "shared_library", "torch_module"]
        for name in folders:
            assert f"[`{name}`]({name}/README.md)" in text
        for name in set(folders) - {"package"}:  # whose own tests follow it
            assert commands_of(EXAMPLES / name / "README.md")

    @needs_cc
    def test_a_shared_library(self, tmp_path: Path) -> None:
        folder, told = followed("shared_library", tmp_path)
        assert told.status == 0, told.stdout
        assert told.stdout.startswith("gate passed: ")
        assert "note: loss_gradient is taken for its gradient" in told.stderr
        naive = xentcheck(
            folder,
            *("check", "xent.py:naive", "--loss", CE, "--dtype", "float32"),
            *("--format", "json", "--workers", "1"),
        )
        assert naive.status == 1
        assert naive.findings >= {
            ("xent.py:naive", "value", "spurious-underflow"),
            ("xent.py:naive", "gradient", "vanished-gradient"),
        }
        # in float32 1 + e^−20 is 1
        at = probed(folder, *implementations("xent.py:loss", "xent.py:naive"), logits="20,0")
        assert at.findings == {
            ("xent.py:naive", "value", "spurious-underflow"),
            ("xent.py:naive", "gradient", "vanished-gradient"),
        }

    @needs_cxx
    def test_a_program(self, tmp_path: Path) -> None:
        folder, told = followed("command", tmp_path)
        assert told.status == 0, told.stdout
        assert told.stdout.startswith("gate passed: ")
        self._gate(folder, tmp_path)
        command = "./xent value {logits} {labels} {out}"
        failed = probed(folder, *implementations(command), "--dtype", "float64")
        detail = failed.details[command, "raised"]
        assert "./xent ended with exit status 1: " in detail
        assert "logits.npy: want <f4 in C order, not {'descr': '<f8'" in detail

    def _gate(self, folder: Path, elsewhere: Path) -> None:
        """From a configuration, which names programs relative to itself: one of them is wrong."""
        source = (folder / "xent.cpp").read_text()
        absorbed = source.replace("std::log1p(others)", "std::log(all)")
        assert absorbed != source
        (folder / "absorbed.cpp").write_text(absorbed)
        subprocess.run(["c++", "-std=c++17", "-oabsorbed", "absorbed.cpp"], cwd=folder, check=True)
        entry = """\
              - loss: softmax_cross_entropy
                command: [./{}, value, "{{logits}}", "{{labels}}", "{{out}}"]
                gradient: [./{}, gradient, "{{logits}}", "{{labels}}", "{{out}}"]
        """
        text = """\
            sweeps:
              certain:
                losses: softmax_cross_entropy
                dtypes: float32
                implementations: [xent, absorbed]
                inputs: [{generator: gap, from: 30, to: 60, points: 4, classes: 3}]
            limits: [{max_ulp: 4}]
            implementations:
        """
        entries = "".join(dedent(entry).format(name, name) for name in ("xent", "absorbed"))
        (folder / "gate.yaml").write_text(dedent(text) + entries)
        gate = f"{folder.name}/gate.yaml"
        told = xentcheck(elsewhere, "run", gate, "--format=json", "--workers=1")
        assert told.status == 1
        # log(1 + 2e^−60) is 0 in double as well, and its gradient is another formula
        broken = {(v["implementation"], v["quantity"]) for v in told.report["violations"]}
        assert broken == {("absorbed", "value")}
        assert ("absorbed", "value", "spurious-underflow") in told.findings
        assert set(told.errors("gradient")) == {"xent", "absorbed"}
        assert max(told.errors("gradient").values()) <= 1


PROGRAM = f"""\
#!{sys.executable}
import sys
import numpy as np

what, logits, labels, out, dtype, weight, smoothing, reduction = sys.argv[1:]

def read(path):
    array = np.load(path)
    assert array.dtype == ("V2" if dtype == "bfloat16" else dtype), (array.dtype, dtype)
    if dtype == "bfloat16":
        array = (array.view("u2").astype("u4") << 16).view("f4")
    return array.astype(np.float64)

x = read(logits)
rows, classes = x.shape
y = np.load(labels)
if y.dtype == np.int64:
    assert y.shape == (rows,)
    y = np.eye(classes)[y]
else:
    y = read(labels)
    assert y.shape == x.shape
w = read(weight) if weight else np.ones(classes)
assert w.shape == (classes,)
assert reduction == "none"
c = w * ((1 - float(smoothing)) * y + float(smoothing) / classes)
lse = np.log(np.exp(x).sum(axis=1, keepdims=True))
if what == "value":
    result = (c * (lse - x)).sum(axis=1)
else:
    result = c.sum(axis=1, keepdims=True) * np.exp(x - lse) - c
if dtype == "bfloat16":
    bits = result.astype("f4").view("u4")
    result = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("u2").view("V2")
np.save(out, result if dtype == "bfloat16" else result.astype(dtype))
"""
WORDS = "{logits} {labels} {out} {dtype} {weight} {label_smoothing} {reduction}"
VALUE = f"./program value {WORDS}"


class TestCommands:
    def test_arrays_and_numbers_go_there_and_back(self, tmp_path: Path) -> None:
        write(tmp_path, {"program": PROGRAM})
        told = probed(
            tmp_path,
            *implementations(VALUE),
            *("--gradient", f"./program gradient {WORDS}"),
            *("--param", "weight=0.5,2,1.25", "--param", "label_smoothing=0.25"),
            *("--dtype", "float32", "--dtype", "bfloat16"),
            labels=("--label", "1"),
        )
        # double arithmetic, rounded once at the end: half an ulp, and no more than a little
        for dtype in ("float32", "bfloat16"):
            for quantity in ("value", "gradient"):
                assert told.errors(quantity, dtype)[VALUE] < 0.501
        assert told.findings == set()
        assert {m["result_dtype"] for m in told.report["measurements"]} == {"float32", "bfloat16"}

    def test_distributions_and_what_is_not_given(self, tmp_path: Path) -> None:
        """A parameter that a call does not have is its default, or nothing."""
        write(tmp_path, {"program": PROGRAM})
        words = ", ".join(f'"{word}"' for word in ("value", *WORDS.split()))
        text = f"""\
            implementations:
              - {{loss: softmax_cross_entropy, command: [./program, {words}], name: mine}}
            sweeps:
              integer: &sweep
                losses: softmax_cross_entropy
                dtypes: float32
                implementations: [mine]
                quantities: value
                parameters: {{label_smoothing: [0, 0.1]}}
                inputs: [{{generator: explicit, values: [[1, 2, 4], [3, 0, -1]], labels: [1, 2]}}]
              distribution:
                <<: *sweep
                labels: {{kind: distribution}}
                dtypes: float16
                parameters: {{weight: [[0.5, 2, 1]]}}
                inputs: [{{generator: explicit, values: [[1, 2, 4]]}}]
        """
        write(tmp_path, {"small.yaml": text})
        told = xentcheck(tmp_path, "run", "small.yaml", "--format=json", "--workers=1")
        assert told.status == 0, told.stderr
        assert told.findings == set()
        assert told.errors()["mine"] < 0.501
        assert told.errors(dtype="float16")["mine"] < 0.501

    def test_bound_parameters(self, tmp_path: Path) -> None:
        """In a configuration: a list is an array of the dtype; others are text."""
        program = f"""\
            #!{sys.executable}
            import sys
            import numpy as np
            logits, halves, scale, flag, out = sys.argv[1:]
            (half, other) = np.load(halves)
            assert (half, other, half.dtype) == (0.5, 2, "float32")
            assert (scale, flag) == ("0.1", "true")
            np.save(out, np.full_like(np.load(logits), half))
        """
        text = """\
            implementations:
              - loss: sigmoid
                command: [./program, "{logits}", "{halves}", "{scale}", "{flag}", "{out}"]
                parameters: {halves: [0.5, 2], scale: 0.1, flag: true}
            sweeps:
              zeros:
                losses: sigmoid
                dtypes: float32
                implementations: [program]
                quantities: value
                inputs: [{generator: explicit, values: [0]}]
        """
        write(tmp_path, {"program": program, "bound.yaml": text})
        told = xentcheck(tmp_path, "run", "bound.yaml", "--format=json", "--workers=1")
        assert told.status == 0, told.stderr
        assert told.errors() == {"program": 0}
        slip = text.replace("flag: true", "flags: true")
        write(tmp_path, {"slip.yaml": slip})
        told = xentcheck(tmp_path, "run", "slip.yaml")
        assert told.status == 2
        assert "the command has no placeholder {flags}; did you mean 'flag'?" in told.stderr

    def test_failures_are_findings_with_the_last_words(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {
                "fails": "#!/bin/sh\necho first >&2\necho 'no  device' >&2\nexit 7\n",
                "silent": "#!/bin/sh\necho to nobody\n",
                "garbage": '#!/bin/sh\necho hello > "$1"\n',
                "killed": "#!/bin/sh\nkill -SEGV $$\n",
                "copies": '#!/bin/sh\nexec cp "$2" "$1"\n',
                "hangs": "#!/bin/sh\necho $$ > pid\nexec sleep 600\n",
            },
        )
        said = {
            ("./fails {out}", "raised"): "./fails ended with exit status 7: first no device",
            ("./silent {out}", "raised"): "./silent wrote nothing to {out}",
            ("./garbage {out}", "raised"): "./garbage wrote no array to {out}: ",
            ("./killed {out}", "raised"): "./killed ended with signal 11 (SIGSEGV)",
            ("./copies {out} {logits}", "wrong-shape"): "returned shape (1, 3), want (1,)",
            ("./copies {out} {labels}", "wrong-dtype"): "returned dtype int64, want an array of ",
            ("./hangs {out}", "timed-out"): "gave no result within 3 s",
        }
        told = probed(tmp_path, *implementations(*(name for name, _ in said)), "--timeout", "3")
        details = told.details
        assert details.keys() == said.keys()
        for finding, text in said.items():
            assert details[finding].removeprefix("RuntimeError: ").startswith(text)
        assert ended(int((tmp_path / "pid").read_text()))

    def test_a_wrong_gradient_is_its_own_finding(self, tmp_path: Path) -> None:
        """The gradient by another command, which answers with the loss."""
        write(tmp_path, {"program": PROGRAM})
        told = probed(tmp_path, *implementations(VALUE), "--gradient", VALUE)
        assert told.findings == {(VALUE, "gradient", "wrong-shape")}
        assert told.errors()[VALUE] < 0.501

    def test_a_parameter_without_a_placeholder_is_a_skip(self, tmp_path: Path) -> None:
        told = xentcheck(
            tmp_path,
            *("probe", "--loss", CE, "--logits=1,2", "--label=0", "--param", "label_smoothing=0.5"),
            *implementations("cat {logits} {out}"),
        )
        assert told.status == 3
        assert "does not take label_smoothing" in told.stderr

    @pytest.mark.parametrize(
        ("command", "said"),
        [
            ("./absent {logits} {out}", "./absent: there is no such program"),
            ("./plain {logits} {out}", "./plain: cannot be executed"),
            ("cat {lables} {out}", "{lables} stands for nothing; did you mean {labels}?"),
        ],
    )
    def test_commands_that_cannot_be(self, tmp_path: Path, command: str, said: str) -> None:
        (tmp_path / "plain").write_text("plain")
        told = xentcheck(tmp_path, "check", command, "--loss", CE)
        assert told.status == 2
        assert said in told.stderr
        assert told.stdout == ""

    def test_a_configuration_tells_all_its_faults_with_their_places(self, tmp_path: Path) -> None:
        text = """\
            implementations:
              - {loss: softmax_cross_entropy, name: neither}
              - {loss: softmax_cross_entropy, name: no-out, command: [cat, "{logits}"]}
              - {loss: softmax_cross_entropy, name: framed, command: [cat, "{out}"], framework: jax}
              - {loss: softmax_cross_entropy, name: absent, command: [./absent, "{out}"]}
            sweeps:
              s: {losses: softmax_cross_entropy, dtypes: float32, inputs: [{generator: ties}]}
        """
        write(tmp_path, {"bad.yaml": text})
        told = xentcheck(tmp_path, "run", "bad.yaml")
        assert told.status == 2
        errors = [line for line in told.stderr.splitlines() if line.startswith("error: ")]
        place = "error: bad.yaml"
        assert errors == [
            f"{place}:2: implementations[0]: either 'target' or 'command' has to be given",
            f"{place}:3: implementations[1].command: no word of the command has {{out}}",
            f"{place}:4: implementations[2].framework: a command is given files, not arrays",
            f"{place}:5: implementations[3].command: './absent' does not exist",
        ]


class TestMisbehaviour:
    """Each in a file, and so in a process, of its own, beside one that behaves."""

    def test_every_end_is_told_and_hurts_nobody_else(self, tmp_path: Path) -> None:
        body = "def loss(logits, labels):\n    {}\n"
        write(
            tmp_path,
            {
                "exits.py": body.format("raise SystemExit(3)"),
                "dies.py": "import os\n" + body.format("os._exit(3)"),
                "faults.py": "import ctypes\n" + body.format("return ctypes.string_at(0)"),
                "hangs.py": "import time\n" + body.format("time.sleep(600)"),
                "right.py": RIGHT,
            },
        )
        targets = [f"{name}.py:loss" for name in ("exits", "dies", "faults", "hangs", "right")]
        told = probed(tmp_path, *implementations(*targets, "numpy.accurate"), "--timeout", "3")
        assert told.details == {
            ("exits.py:loss", "raised"): "SystemExit: 3 (exits.py:2)",
            ("dies.py:loss", "crashed"): "died of exit status 3",
            ("faults.py:loss", "crashed"): "died of signal 11 (SIGSEGV)",
            ("hangs.py:loss", "timed-out"): "gave no result within 3 s",
        }
        assert told.errors()["right.py:loss"] < 1
        assert told.errors()["numpy.accurate"] < 1

    def test_a_module_that_ends_the_process_is_a_usage_error(self, tmp_path: Path) -> None:
        write(tmp_path, {"dies.py": "import os\nos._exit(4)\n", "exits.py": "raise SystemExit(4)"})
        for name, said in {
            "dies": "dies.py:loss: loading it failed: died of exit status 4",
            "exits": "exits.py:loss: importing it failed: line 1: SystemExit: 4",
        }.items():
            told = xentcheck(tmp_path, "check", f"{name}.py:loss", "--loss", CE)
            assert told.status == 2
            assert said in told.stderr

    def test_the_time_limit_is_also_for_loading(self, tmp_path: Path) -> None:
        """And what was loaded is there for the calls."""
        once = "with open('loads', 'a') as file:\n    file.write('x')\n" + RIGHT
        write(tmp_path, {"hangs.py": "import time\ntime.sleep(600)\n", "once.py": once})
        told = xentcheck(tmp_path, "check", "hangs.py:loss", "--loss", CE, "--timeout", "3")
        assert told.status == 2
        assert "hangs.py:loss: loading it failed: gave no result within 3 s" in told.stderr
        told = probed(tmp_path, *implementations("once.py:loss"), "--timeout", "60")
        assert told.errors()["once.py:loss"] < 1
        assert (tmp_path / "loads").read_text() == "x"

    def test_what_it_prints_stays_off_standard_output(self, tmp_path: Path) -> None:
        printing = """\
            import ctypes, os, subprocess, sys
            print("on import")
            def say():
                print("from Python")
                os.write(1, b"from the descriptor\\n")
                ctypes.CDLL(None).printf(b"from C\\n")
                subprocess.run(["echo", "from a child"])
                sys.__stdout__.write("from the original\\n")
        """
        text = dedent(printing) + RIGHT.replace("    x =", "    say(); x =")
        write(tmp_path, {"printing.py": text})
        target = implementations("printing.py:loss")
        told = probed(tmp_path, *target, command=in_a_process)
        assert told.errors()["printing.py:loss"] < 1  # standard output was one document
        for source in ("on import", "from Python", "from the descriptor", "from a child"):
            assert source in told.stderr
        assert "from the original" in told.stderr

    def test_numpy_may_be_changed_for_itself_only(self, tmp_path: Path) -> None:
        """An exp that is off, and errors that raise; both left so."""
        write(
            tmp_path,
            {
                "patched.py": RIGHT
                + "exp = np.exp\nnp.exp = lambda x: exp(x) * 2\nnp.seterr(all='raise')\n",
                "right.py": RIGHT,
            },
        )
        told = probed(tmp_path, *implementations("patched.py:loss", "right.py:loss", "numpy.naive"))
        # log(1 + 2 (e + e³)) for log(1 + e + e³)
        assert told.findings == {("patched.py:loss", "value", "inaccurate")}
        assert told.errors()["right.py:loss"] < 1

    @needs_cc
    @pytest.mark.skipif(platform.machine() != "x86_64", reason="sets a register of x86-64")
    def test_flush_to_zero_is_seen_and_stays_with_who_set_it(self, tmp_path: Path) -> None:
        """e^−50 · e^−50 is 3.7e-44, which float32 has as a subnormal."""
        sigmoid = (
            "half = np.exp(-np.abs(x) / 2)\n    small = half * half\n"
            "    return np.where(x > 0, 1 - small, small)\n"
        )
        write(
            tmp_path,
            {
                "flush.c": "void flush(void) {"
                " __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); }\n",
                "flushing.py": "import ctypes\nimport numpy as np\n"
                "library = ctypes.CDLL('./flush.so')\n"
                f"def sigmoid(x):\n    library.flush()\n    {sigmoid}",
                "steady.py": f"import numpy as np\ndef sigmoid(x):\n    {sigmoid}",
            },
        )
        words = ["cc", "-shared", "-fPIC", "-o", "flush.so", "flush.c"]
        subprocess.run(words, cwd=tmp_path, check=True)
        told = probed(
            tmp_path,
            *implementations("flushing.py:sigmoid", "steady.py:sigmoid", "numpy.accurate"),
            loss="sigmoid",
            logits="-100",
            labels=(),
        )
        assert told.findings == {("flushing.py:sigmoid", "value", "ftz")}


class TestFunctions:
    def test_two_targets_of_a_file_share_its_module(self, tmp_path: Path) -> None:
        state = """\
            calls = []
            with open("loads", "a") as file:
                file.write("x")
            def first(logits, labels):
                calls.append(1)
                return loss(logits, labels)
            def second(logits, labels):
                if not calls:
                    raise RuntimeError("nobody called first")
                return loss(logits, labels)
        """
        write(tmp_path, {"one.py": RIGHT + dedent(state), "two.py": RIGHT + dedent(state)})
        told = probed(tmp_path, *implementations("one.py:first", "one.py:second", "two.py:second"))
        assert told.findings == {("two.py:second", "value", "raised")}
        assert "nobody called first" in told.details["two.py:second", "raised"]
        assert told.errors()["one.py:second"] < 1
        assert (tmp_path / "loads").read_text() == "xx"

    def test_gradients_beside_named_and_none(self, tmp_path: Path) -> None:
        flat = "def flat(logits, labels):\n    return 0 * logits\n"
        beside = "loss_gradient = slope\n"
        write(tmp_path, {"mine.py": RIGHT + flat + beside, "other.py": RIGHT})
        text = """\
            implementations:
              - {loss: &loss softmax_cross_entropy, target: &mine "mine.py:loss", name: without}
              - {loss: *loss, target: *mine, name: beside, gradient: auto}
              - {loss: *loss, target: *mine, name: refused, gradient: none}
              - {loss: *loss, target: *mine, name: flat, gradient: flat}
              - {loss: *loss, target: *mine, name: elsewhere, gradient: "other.py:slope"}
            sweeps:
              one:
                losses: softmax_cross_entropy
                dtypes: float32
                implementations: [without, beside, refused, flat, elsewhere]
                inputs: [{generator: explicit, values: [[1, 2, 4]], labels: 0}]
        """
        write(tmp_path, {"gradients.yaml": text})
        told = xentcheck(tmp_path, "run", "gradients.yaml", "--format=json", "--workers=1")
        assert told.status == 0, told.stderr
        errors = told.errors("gradient")
        assert set(errors) == {"beside", "flat", "elsewhere"}
        assert errors["beside"] < 1
        assert errors["elsewhere"] < 1
        assert told.findings == {("flat", "gradient", "vanished-gradient")}
        skips = {(skip["implementation"], skip["reason"]) for skip in told.report["skips"]}
        skips = {each for each in skips if not each[1].startswith("upstream gradients")}
        assert skips == {("without", "has no gradient"), ("refused", "has no gradient")}

    @pytest.mark.parametrize(
        ("gradient", "scored", "note"),
        [
            ("auto", True, "note: loss_gradient is taken for its gradient"),
            ("other.py:slope", True, ""),
            ("none", False, ""),
        ],
    )
    def test_gradients_on_the_command_line(
        self, tmp_path: Path, gradient: str, scored: bool, note: str
    ) -> None:
        write(tmp_path, {"mine.py": RIGHT + "loss_gradient = slope\n", "other.py": RIGHT})
        told = probed(tmp_path, *implementations("mine.py:loss"), "--gradient", gradient)
        errors = told.errors("gradient")
        assert set(errors) == ({"mine.py:loss"} if scored else set())
        assert all(error < 1 for error in errors.values())
        assert told.stderr.startswith(note)
        assert bool(told.stderr) is bool(note)

    def test_a_gradient_that_is_not_there(self, tmp_path: Path) -> None:
        write(tmp_path, {"mine.py": RIGHT})
        told = xentcheck(tmp_path, "check", "mine.py:loss", "--loss", CE, "--gradient", "slop")
        assert told.status == 2
        assert "there is no 'slop' in it; did you mean 'slope'?" in told.stderr

    def test_parameters_are_those_of_the_signature(self, tmp_path: Path) -> None:
        tempered = """\
            def tempered(logits, labels, *, temperature=1.0):
                return loss(logits / temperature, labels)
        """
        write(tmp_path, {"mine.py": RIGHT + dedent(tempered)})
        both = implementations("mine.py:loss", "mine.py:tempered")
        told = probed(tmp_path, *both, "--param", "temperature=2")
        assert told.findings == set()
        assert told.errors().keys() == {"mine.py:tempered"}
        assert told.errors()["mine.py:tempered"] < 1  # halves are exact
        skips = {(each["implementation"], each["reason"]) for each in told.report["skips"]}
        assert ("mine.py:loss", "does not take temperature") in skips

    def test_parameters_are_bound_in_a_configuration(self, tmp_path: Path) -> None:
        power = "def powered(logits, labels, power):\n    return loss(logits, labels) ** power\n"
        text = """\
            implementations:
              - loss: softmax_cross_entropy
                target: mine.py:powered
                name: first
                parameters: {power: 1}
              - loss: softmax_cross_entropy
                target: mine.py:powered
                name: second
                parameters: {power: 2}
            sweeps:
              one:
                losses: softmax_cross_entropy
                dtypes: float32
                implementations: [first, second]
                quantities: value
                inputs: [{generator: explicit, values: [[1, 2, 4]], labels: 0}]
        """
        slip = text.replace("{power: 2}", "{pover: 2}")
        write(tmp_path, {"mine.py": RIGHT + power, "bound.yaml": text, "slip.yaml": slip})
        told = xentcheck(tmp_path, "run", "bound.yaml", "--format=json", "--workers=1")
        # a square is another function, as the sanity check says
        wrong = {("second", "value", kind) for kind in ("inaccurate", "other-function")}
        assert told.findings == wrong
        told = xentcheck(tmp_path, "run", "slip.yaml")
        assert told.status == 2
        assert "takes no parameter 'pover'; did you mean 'power'?" in told.stderr

    def test_labels_that_a_function_insists_on_where_the_loss_has_none(
        self, tmp_path: Path
    ) -> None:
        """They say which component is differentiated, or are just a habit."""
        functions = """\
            import numpy as np

            def softmax(logits, labels):
                assert labels.shape == (len(logits),) and labels.dtype == np.int64
                x = logits.astype(np.float64)
                p = np.exp(x - x.max(axis=1, keepdims=True))
                return (p / p.sum(axis=1, keepdims=True)).astype(logits.dtype)

            def slope(logits, labels):
                p = softmax(logits.astype(np.float64), labels)
                one = np.eye(p.shape[1])[labels]
                return (p * (one - (p * one).sum(axis=1, keepdims=True))).astype(logits.dtype)
        """
        write(tmp_path, {"mine.py": functions})
        told = probed(
            tmp_path,
            *implementations("mine.py:softmax"),
            *("--gradient", "slope"),
            loss="softmax",
            labels=("--label", "1"),
        )
        assert told.findings == set()
        assert told.errors()["mine.py:softmax"] < 1
        assert told.errors("gradient")["mine.py:softmax"] < 1
