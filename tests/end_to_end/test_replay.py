"""What was found can be seen again: by the line that a finding prints, and by a script of its own.

"Again" means the same bits. Lines are read by the command itself.
"""

import json
import math
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making import witness_of
from tests.places import ROOT
from tests.running import invoke
from xentcheck.auditing import probe
from xentcheck.auditing.run import audit
from xentcheck.config import load
from xentcheck.execution import hosts
from xentcheck.losses import LOSSES
from xentcheck.model import Cell, Finding, Kind, ProbeResult, Quantity, Report, Witness
from xentcheck.reading.numbers import parse_number
from xentcheck.report import words
from xentcheck.sweeps import fitted
from xentcheck.sweeps.assembly import located
from xentcheck.witnesses.archive import save

CE = "softmax_cross_entropy"


def cell(implementation: str = "numpy.naive", sweep: str = "ordinary", loss: str = CE) -> Cell:
    return Cell(loss, implementation, "float32", Quantity.VALUE, sweep)


def witness(logits: Any = (20, 0, 0), labels: Any = 0, **changes: Any) -> Witness:
    fields: dict[str, Any] = {
        "logits": np.asarray(logits, np.float32),
        "labels": None if labels is None else np.asarray(labels),
        "parameters": {},
        "actual": 0.0,
        "expected": 4.122307e-9,
        "exact": "4.122307244877116e-9",
        "ulp_error": 1.16e7,
        "abs_error": 4.12e-9,
        "row": 17,
        "generator": "gap",
        "result_dtype": "float32",
    }
    return witness_of(**{**fields, **changes})


def report(*findings: Finding, **changes: Any) -> Report:
    fields: dict[str, Any] = {
        "environment": {},
        "seed": 0,
        "config": {},
        "measurements": (),
        "findings": findings,
        "violations": (),
        "skips": (),
        "yields": (),
        "gated": False,
    }
    return Report(**{**fields, **changes})


def words_of(finding: Finding, **changes: Any) -> list[str]:
    return words.replay(report(finding, **changes), finding)


def found(shown: Witness, kind: Kind = Kind.NAN, where: Cell | None = None) -> Finding:
    return Finding(kind, where or cell(), 1, shown)


LONG = np.linspace(0, 1, 65, dtype=np.float32)


class TestNumbers:
    @given(st.floats(width=64))
    def test_every_number_reads_back_as_it_is(self, value: float) -> None:
        again = parse_number(words.written(value))
        assert again.hex() == value.hex()
        assert math.copysign(1, again) == math.copysign(1, value) or math.isnan(value)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (20.0, "20"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (float(np.float32(0.1)), "0x1.99999ap-4"),
            (float(np.float32(88.72284)), "0x1.62e43p+6"),
            (float(np.finfo(np.float32).max), "0x1.fffffep+127"),
            (1e30, "1e30"),
            (5e-324, "5e-324"),
            (-math.inf, "-inf"),
            (math.nan, "nan"),
        ],
    )
    def test_the_shorter_of_decimal_and_hex_is_written(self, value: float, text: str) -> None:
        assert words.written(value) == text


class TestWords:
    def test_a_row_stands_in_numbers(self) -> None:
        shown = witness(
            [0.1, -0.0, -np.inf],
            np.array([0.875, 0.125, 0], np.float32),
            parameters={
                "label_smoothing": 0.125,
                "weight": np.array([1, 2, 3], np.float32),
                "reduction": "none",
            },
        )
        text = shlex.join(words_of(found(shown)))
        assert text == (
            "xentcheck probe --loss softmax_cross_entropy --logits=0x1.99999ap-4,-0,-inf "
            "--labels=0.875,0.125,0 --param label_smoothing=0.125 --param weight=1,2,3 "
            "--param reduction=none --dtype float32 --implementation numpy.naive"
        )

    def test_a_block_has_semicolons_between_its_rows(self) -> None:
        noise = np.array([[0, 1], [2, 3]], np.float32)
        shown = witness([[1, 2], [3, 4]], [1, -100], parameters={"noise": noise})
        words = words_of(found(shown))
        assert "--logits=1,2;3,4" in words
        assert "--label=1,-100" in words
        assert "noise=0,1;2,3" in words

    def test_numbers_and_targets_of_elementwise_losses(self) -> None:
        one = cell(loss="sigmoid_binary_cross_entropy")
        words = words_of(found(witness(-745, np.float32(0.25)), where=one))
        assert {"--logits=-745", "--label=0.25"} <= set(words)
        reduced = witness([1, 2], np.array([0, 0.5], np.float32), parameters={"reduction": "sum"})
        assert "--labels=0,0.5" in words_of(found(reduced, where=one))
        assert not any(each.startswith("--label") for each in words_of(found(witness(1, None))))

    def test_a_long_row_is_named_by_its_place_in_its_sweep(self) -> None:
        words = words_of(found(witness(LONG)), path="a b/c.yaml")
        assert words[4:6] == ["--row", "a b/c.yaml:ordinary:17"]
        assert "--block" not in words
        assert not any(each.startswith("--logits") for each in words)
        assert words_of(found(witness(LONG[:64])), path="c.yaml")[4].startswith("--logits=")

    def test_without_a_file_it_stands_in_numbers_however_long(self) -> None:
        for changes in ({}, {"path": "c.yaml", "uncertified": ("a part was given up",)}):
            words = words_of(found(witness(LONG)), **changes)
            assert words[4].count(",") == 64

    @pytest.mark.parametrize(
        ("seed", "config", "extra"), [(3, {"seed": 3}, []), (3, {}, ["--seed", "3"]), (0, {}, [])]
    )
    def test_a_seed_is_named_that_is_not_the_files(
        self, seed: int, config: dict[str, Any], extra: list[str]
    ) -> None:
        words = words_of(found(witness(LONG)), path="c.yaml", seed=seed, config=config)
        assert words[6 : 6 + len(extra)] == extra
        assert ("--seed" in words) == bool(extra)

    def test_a_row_of_check_is_one_of_the_standard_sweep(self) -> None:
        config = {
            "command": "check",
            "label_kind": "distribution",
            "parameters": {"temperature": 2.0, "weight": "random"},
        }
        words = words_of(found(witness(LONG), where=cell(sweep="wide")), config=config, seed=5)
        assert words[4:14] == [
            *("--row", "standard:wide:17", "--label-kind", "distribution"),
            *("--param", "temperature=2", "--param", "weight=random", "--seed", "5"),
        ]

    @pytest.mark.parametrize(
        "kind",
        [
            Kind.CRASHED,
            Kind.TIMED_OUT,
            Kind.RAISED,
            Kind.WRONG_SHAPE,
            Kind.WRONG_DTYPE,
            Kind.MUTATED_INPUT,
            Kind.NON_DETERMINISTIC,
            Kind.ROW_DEPENDENT,
            Kind.INCONSISTENT,
        ],
    )
    def test_what_a_call_did_takes_the_whole_block(self, kind: Kind) -> None:
        shown = witness(exact="")
        assert "--block" in words_of(found(shown, kind), path="c.yaml")
        alone = words_of(found(shown, kind))
        assert "--block" not in alone
        assert "--logits=20,0,0" in alone

    def test_a_function_whose_rows_depend_on_others_is_shown_with_them(self) -> None:
        dependent = found(witness(exact=""), Kind.ROW_DEPENDENT, cell("a.f@jit"))
        wrong = found(witness(), Kind.NAN, replace(cell("a.f"), quantity=Quantity.GRADIENT))
        other = found(witness(), Kind.NAN, cell("a.g"))
        both = report(dependent, wrong, other, path="c.yaml")
        assert "--block" in words.replay(both, wrong)
        assert "--logits=20,0,0" in words.replay(both, other)

    def test_it_takes_both_to_disagree(self) -> None:
        words = words_of(found(witness(exact=""), Kind.INCONSISTENT, cell("a.f@jit")))
        assert words[-4:] == ["--implementation", "a.f", "--implementation", "a.f@jit"]

    def test_a_time_limit_is_kept_where_it_was_met(self) -> None:
        words = words_of(found(witness(exact=""), Kind.TIMED_OUT), timeout_s=2.5)
        assert words[words.index("--timeout") + 1] == "2.5"
        assert "--timeout" not in words_of(found(witness(exact=""), Kind.RAISED), timeout_s=2.5)

    def test_users_code_is_named_by_its_origin_for_its_loss(self) -> None:
        origins = {
            f"{CE} mine": ("--implementation", "a.py:loss", "--framework", "torch"),
            "nll_loss mine": ("--implementation", "b.py:loss"),
        }
        words = words_of(found(witness(), where=cell("mine")), origins=origins)
        assert words[-4:] == ["--implementation", "a.py:loss", "--framework", "torch"]

    def test_a_name_is_no_pattern(self) -> None:
        assert words_of(found(witness(), where=cell("a[1]*")))[-1] == "a[[]1][*]"

    def test_nothing_is_shown_of_a_finding_without_a_witness(self) -> None:
        assert words.replay(report(), Finding(Kind.NAN, cell(), 1)) == []

    @pytest.mark.parametrize("width", [60, 100])
    def test_folded_blocks_are_the_same_to_the_command(self, width: int) -> None:
        rows = np.random.default_rng(1).normal(size=(9, 7)).astype(np.float32)
        command = words_of(found(witness(rows, list(range(9)))))
        folded = words.folded(command, width)
        assert max(map(len, folded.splitlines())) <= width
        read = shlex.split(folded.replace("\\\n", " "))
        assert ["".join(each.split()) for each in read] == command


# asking again --------------------------------------------------------------------------------


class Asking:
    """Puts lines to the command, in this process, and gives what it found out.

    The processes that frameworks live in stay, from one line to the next.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._answers: list[ProbeResult] = []
        for name in ("probe", "probe_row"):
            patch.setattr(probe, name, self._recorded(getattr(probe, name)))
        patch.setattr(hosts, "close", lambda: None)

    def _recorded(self, asked: Any) -> Any:
        def recorded(*arguments: Any, **how: Any) -> ProbeResult:
            self._answers.append(asked(*arguments, **how))
            return self._answers[-1]

        return recorded

    def __call__(self, words: Sequence[str]) -> ProbeResult:
        self._answers.clear()
        assert words[0] == "xentcheck"
        told = invoke(*words[1:], "--format", "json", "--output", "/dev/null")
        assert told.exit_code == 0, f"{shlex.join(words)}\n{told.output}"
        (answer,) = self._answers
        return answer


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    close = hosts.close
    yield Asking(monkeypatch)
    close()


def again(asked: ProbeResult, finding: Finding, words: Sequence[str], name: str = "") -> str:
    """How what came now differs from what was found; "" when it is the same."""
    where, shown = finding.cell, finding.witness
    assert shown is not None
    name = name or where.implementation
    mine = [
        each
        for each in asked.report.findings
        if (each.cell.implementation, each.cell.quantity) == (name, where.quantity)
    ]
    if not shown.exact:
        same = [each for each in mine if each.kind is finding.kind]
        if [_told(each) for each in same] == [_told(finding)]:
            return ""
        return f"{finding.detail}, and now {[(each.kind, each.detail) for each in mine]}"
    row = shown.row if "--row" in words else shown.place
    (line,) = [
        each
        for each in asked.lines
        if (each.implementation, each.quantity) == (name, where.quantity)
    ]
    place = None if shown.index is None and len(line.results) == 1 else (row, shown.index)
    (number,) = [each for each in line.results if place in (None, (each.row, each.index))]
    came = (number.actual.hex(), number.result_dtype, number.exact)
    then = (shown.actual.hex(), shown.result_dtype, shown.exact)
    return "" if came == then else f"{then}, and now {came}"


def _told(finding: Finding) -> tuple[str, float]:
    """What a finding says of its row: how many others were not tried is of the sweep."""
    return finding.detail.partition("; at least")[0], finding.distance


def put(asking: Asking, whole: Report, findings: Iterable[Finding]) -> list[str]:
    """What does not come out again. Lines with the same input are put together."""
    together: dict[tuple[str, ...], list[tuple[list[str], Finding]]] = defaultdict(list)
    for finding in findings:
        command = shlex.split(shlex.join(words.replay(whole, finding)))
        at = command.index("--implementation")
        together[tuple(command[:at])].append((command[at:], finding))
    wrong = []
    for head, asked_of in together.items():
        named = dict.fromkeys(tuple(each) for each, _ in asked_of)
        answer = asking([*head, *(word for words in named for word in words)])
        for last, finding in asked_of:
            differs = again(answer, finding, head)
            if differs:
                wrong.append(f"{shlex.join([*head, *last])}: {differs}")
    return wrong


def survey(losses: Sequence[str], dtypes: Sequence[str], *names: str) -> Report:
    """Some of the survey's sweeps, of NumPy's implementations."""
    config = load(ROOT / "configs" / "sweep.yaml")
    sweeps = tuple(
        replace(
            sweep,
            dtypes=tuple(dtypes),
            losses=tuple(each for each in sweep.losses if each in (losses or LOSSES)),
        )
        for sweep in config.sweeps
        if sweep.name in names
    )
    return audit(replace(config, sweeps=sweeps), select=("numpy.*",))


@pytest.fixture(scope="module")
def some() -> Report:
    return survey((), ("float32", "bfloat16"), "extreme", "distributions", "smoothed")


@pytest.fixture(scope="module")
def ordinary() -> Report:
    """With rows of 1000 classes."""
    return survey(("logsumexp", "sigmoid_focal_loss"), ("float16",), "ordinary")


def test_the_number_of_a_row_is_the_one_its_sweep_gives_it(some: Report, ordinary: Report) -> None:
    """Rows are numbered over parts, labels, combinations of parameters, and without duplicates."""
    sweeps = {each.name: each for each in load(ROOT / "configs" / "sweep.yaml").sweeps}
    rows = set()
    for finding in (*some.findings, *ordinary.findings):
        where, shown = finding.cell, finding.witness
        assert shown is not None
        sweep, _ = fitted(sweeps[where.sweep], LOSSES[where.loss])
        assert sweep is not None
        key = (where.loss, where.dtype, where.sweep, shown.row)
        if key in rows:
            continue
        rows.add(key)
        case, place = located(sweep, LOSSES[where.loss], where.dtype, some.seed, shown.row)
        assert case.logits[place].tobytes() == shown.logits.tobytes(), key
        assert case.generator == shown.generator
        if shown.labels is not None:
            assert case.labels is not None
            assert case.labels[place].tobytes() == shown.labels.tobytes(), key
        assert case.parameters.keys() == shown.parameters.keys()
    assert len(rows) > 100
    assert max(row for *_, row in rows) > 100


def test_the_gravest_of_each_loss_and_kind_come_out_again(some: Report, asking: Asking) -> None:
    gravest: dict[tuple[str, Kind], Finding] = {}
    for finding in some.findings:
        key = (finding.cell.loss, finding.kind)
        held = gravest.get(key)
        shown, other = finding.witness, held and held.witness
        if other is None or (shown and not shown.ulp_error <= other.ulp_error):
            gravest[key] = finding
    assert len(gravest) > 60
    assert put(asking, some, list(gravest.values())[:80]) == []


def test_long_rows_come_out_again(ordinary: Report, asking: Asking) -> None:
    """Of 1000 classes: by their number in the sweep."""
    long = [each for each in ordinary.findings if each.witness and each.witness.logits.size > 64]
    assert long
    assert all("--row" in words.replay(ordinary, each) for each in long)
    assert put(asking, ordinary, long[:3]) == []


@pytest.mark.slow
def test_every_finding_of_the_survey_comes_out_again(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    whole = audit(load("configs/sweep.yaml"), workers=None)
    assert len(whole.findings) > 2000
    assert put(asking, whole, whole.findings) == []


MINE = """\
import os

import numpy as np

calls = {}


def naive(logits, labels, reduction="none", scale=1):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    losses = -np.log(p[np.arange(len(labels)), labels]) * logits.dtype.type(scale)
    return losses if reduction == "none" else getattr(losses, reduction)()


def naive_gradient(logits, labels, reduction="none", scale=1):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    p *= logits.dtype.type(scale)
    return p / len(p) if reduction == "mean" else p


def shaken(logits, noise=None, temperature=1):
    x = (logits if noise is None else logits + noise) / logits.dtype.type(temperature)
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def crowded(logits, noise=None, temperature=1):
    result = shaken(logits, noise, temperature)
    return result + np.inf if 100 < logits.shape[1] < 1000 else result


def batch(logits, labels):
    x = logits - logits.max()
    return np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(labels)), labels]


def picky(logits, labels):
    if (logits > 100).any():
        raise ValueError("too large")
    return naive(logits, labels)


def fatal(logits, labels):
    if (logits > 700).any():
        os._exit(3)
    return naive(logits, labels)


def fickle(logits, labels):
    same = logits.tobytes()
    calls[same] = calls.get(same, 0) + 1
    return naive(logits, labels) + (calls[same] % 2 == 0)


def writing(logits, labels):
    logits -= logits.max(axis=1, keepdims=True)
    return naive(logits, labels)


def scalar(logits, labels):
    return naive(logits, labels).sum()


def half(logits, labels):
    return naive(logits, labels).astype(np.float16)
"""

OWN = """\
version: 1
seed: 4
implementations:
  - {loss: softmax_cross_entropy, target: mine.py:naive, name: same, gradient: naive_gradient,
     parameters: {scale: 1.5}}
  - {loss: softmax, target: mine.py:shaken, name: same}
"""
OWN += "".join(
    f"  - {{loss: softmax_cross_entropy, target: mine.py:{name}, name: {name}}}\n"
    for name in ("batch", "picky", "fatal", "fickle", "writing", "scalar", "half")
)
OWN += """\
sweeps:
  plain:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: [same, batch, picky, fatal, fickle, writing, scalar, half]
    inputs:
      - {generator: explicit, values: [[800, 0], [0, 1], [-200, 3], [90, 120], [0.1, 0.1]]}
      - {generator: normal, rows: 3, classes: 100, scale: 40}
  reduced:
    losses: softmax_cross_entropy
    dtypes: [float32, bfloat16]
    implementations: same
    labels: {targets: random}
    parameters: {reduction: [mean, sum]}
    inputs:
      - {generator: normal, rows: 7, classes: [3, 40], scale: 9}
  shaken:
    losses: softmax
    dtypes: float32
    implementations: same
    labels: {targets: random}
    parameters: {noise: gumbel, temperature: 0.3}
    inputs:
      - {generator: normal, rows: 9, classes: [4, 90], scale: 30}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Report]]:
    """A report on code of a user's own that does everything wrong, and where its files are."""
    place = tmp_path_factory.mktemp("own")
    (place / "mine.py").write_text(MINE)
    (place / "own.yaml").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield place, audit(load("own.yaml"), select=("*",))


def test_everything_found_of_users_code_comes_out_again(
    own: tuple[Path, Report], asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks, parameters per row, bound arguments, one name for two losses, and every incident."""
    place, whole = own
    monkeypatch.chdir(place)
    kinds = {each.kind for each in whole.findings}
    assert kinds >= {
        *(Kind.CRASHED, Kind.RAISED, Kind.WRONG_SHAPE, Kind.WRONG_DTYPE, Kind.MUTATED_INPUT),
        *(Kind.NON_DETERMINISTIC, Kind.ROW_DEPENDENT, Kind.INACCURATE),
    }
    forms: dict[str, int] = defaultdict(int)
    wrong = []
    for finding in whole.findings:
        command = shlex.split(shlex.join(words.replay(whole, finding)))
        target = command[command.index("--implementation") + 1]
        forms[
            "--block" if "--block" in command else "--row" if "--row" in command else command[4]
        ] += 1
        forms[";"] += ";" in command[4]
        forms["noise"] += any(each.startswith("noise=") for each in command)
        forms["--bind"] += "--bind" in command
        wrong += [shlex.join(command)] * bool(again(asking(command), finding, command, target))
    assert not wrong
    assert all(forms[each] for each in ("--block", "--row", ";", "noise", "--bind"))


def test_what_check_found_comes_out_again(
    own: tuple[Path, Report], asking: Asking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rows of the standard sweep, with the labels and parameters that they had."""
    place, _ = own
    monkeypatch.chdir(place)
    kept: list[Report] = []
    real = audit

    def keeping(*arguments: Any, **how: Any) -> Report:
        kept.append(real(*arguments, **how))
        return kept[-1]

    monkeypatch.setattr("xentcheck.auditing.run.audit", keeping)
    told = invoke(
        *("check", "mine.py:crowded", "--loss", "softmax", "--param", "noise=random"),
        *("--param", "temperature=0.5"),
        *("--dtype", "float32", "--seed", "2", "--workers", "1", "--no-diagnosis"),
        *("--format", "json", "--output", str(tmp_path / "out.json")),
    )
    assert told.exit_code == 1, told.output
    (whole,) = kept
    long = [each for each in whole.findings if each.witness and each.witness.logits.size == 129]
    assert long
    for finding in long:
        command = words.replay(whole, finding)
        assert command[5].startswith(f"standard:{finding.cell.sweep}:")
        assert {"noise=random", "temperature=0.5", "--seed"} <= set(command)
    assert put(asking, whole, [*long, *whole.findings[:5]]) == []


# probe ---------------------------------------------------------------------------------------


class TestProbe:
    def test_a_block_under_a_reduction(self, own: tuple[Path, Report], asking: Asking) -> None:
        """Equal logits: each row's loss is log 2, and the gradient of the mean a quarter."""
        place, _ = own
        words = ["xentcheck", "probe", "--loss", CE, "--logits=1,1;3,3", "--label=0,1"]
        words += ["--param", "reduction=mean", "--implementation", f"{place / 'mine.py'}:naive"]
        value, gradient = asking(words).lines
        assert float(value.results[0].exact) == pytest.approx(math.log(2), rel=1e-15)
        assert [(each.row, each.index, float(each.exact)) for each in gradient.results] == [
            *((0, 0, -0.25), (0, 1, 0.25), (1, 0, 0.25), (1, 1, -0.25)),
        ]

    def test_a_distribution_for_each_row(self, asking: Asking) -> None:
        words = ["xentcheck", "probe", "--loss", CE, "--logits=0,0;0,0", "--labels=1,0;0.5,0.5"]
        line, _ = asking([*words, "--implementation", "numpy.accurate"]).lines
        assert [float(each.exact) for each in line.results] == pytest.approx([math.log(2)] * 2)
        assert [each.row for each in line.results] == [0, 1]

    def test_numbers_per_row_and_class(self, asking: Asking) -> None:
        """e^(x + noise): 0 and log 3 make a quarter and three."""
        noise = f"noise=0,{math.log(3)!r};{math.log(3)!r},0"
        words = ["xentcheck", "probe", "--loss", "softmax", "--logits=0,0;0,0", "--param", noise]
        words += ["--dtype", "float64", "--implementation", "numpy.accurate"]
        line = asking(words).lines[0]
        assert [float(each.exact) for each in line.results] == pytest.approx(
            [0.25, 0.75, 0.75, 0.25], rel=1e-15
        )

    def test_a_row_of_a_sweep_bears_its_number(self, asking: Asking) -> None:
        """The explicit rows of a file, with every label: the third row's second is number 5."""
        words = ["xentcheck", "probe", "--loss", CE, "--implementation", "numpy.accurate"]
        for block, rows in (([], [4]), (["--block"], [4])):
            answer = asking([*words, "--row", self.row(4), *block])
            assert [each.row for each in answer.lines[0].results] == rows
            assert answer.rows["float32"].logits.tolist() == [3, 4]

    @pytest.fixture(autouse=True)
    def rows(self, tmp_path: Path) -> None:
        self.file = tmp_path / "rows.yaml"
        self.file.write_text(
            "version: 1\nsweeps: {few: {losses: [softmax_cross_entropy, softmax], dtypes: float32, "
            "inputs: [{generator: explicit, values: [[0, 0], [1, 2], [3, 4]]}]}}\n"
        )

    def row(self, number: int) -> str:
        return f"{self.file}:few:{number}"

    def test_the_table_says_where_a_row_is_from(self) -> None:
        told = invoke(
            "probe", "--loss", CE, "--row", self.row(5), "--implementation", "numpy.accurate"
        )
        assert told.exit_code == 0
        first = " ".join(told.stdout.split("value")[0].split())
        assert first.startswith("float32 input row 5 of the sweep, from explicit: logits [3, 4]")
        assert first.endswith("label 1")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "there is nothing to ask about\n    help: add --logits, or --row"),
            (["--logits=1,2;3", "--label=0,1"], "row 1 has 1 numbers, and row 0 has 2"),
            (["--logits=1,2;", "--label=0,1"], "expected numbers separated by commas"),
            (["--logits=1,2;3,4", "--label=0"], "1 label for 2 rows of logits"),
            (["--logits=1,2;3,4", "--label=0,1,1"], "3 labels for 2 rows of logits"),
            (["--logits=1,2;3,4", "--label=0,2"], "classes 0 to 1"),
            (["--logits=1,2;3,4", "--labels=0,1"], "a distribution for each of 2 rows"),
            (["--logits=1,2;3,4", "--labels=0,1;1,0;1,0"], "3 rows of 2 for logits of 2 rows"),
            (["--logits=1,2", "--label=0,1"], "expected one number, for there is one row"),
            (["--logits=1,2", "--label=0", "--block"], "--block goes with --row"),
            (["--logits=1,2", "--label=0", "--seed=1"], "--seed goes with --row"),
            (["--logits=1", "--label=0", "--label-kind=integer"], "--label-kind goes with --row"),
            (["--logits=1,2", "--label=0", "--bind", "a=1"], "--bind goes with --implementation"),
            (["--row", "nowhere"], "expected FILE:SWEEP:ROW"),
            (["--row", "ROW:few:x"], "expected a number, not 'x'"),
            (["--row", "ROW:few:6"], "has 6 rows for softmax_cross_entropy in float32"),
            (["--row", "ROW:few:-1"], "there is no row -1"),
            (["--row", "ROW:fwe:1"], "did you mean 'few'?"),
            (["--row", "ROW:few:1", "--dtype=float64"], "dtype of sweep few"),
            (["--row", "ROW:few:1", "--logits=1"], "--row has its own input: --logits"),
            (["--row", "ROW:few:1", "--label=1"], "--row has its own input: --label"),
            (["--row", "ROW:few:1", "--param", "temperature=1"], "--param goes with"),
            (["--row", "absent.yaml:few:1"], "absent.yaml: no such file"),
            (["--row", "standard:wdie:1"], "did you mean 'wide'?"),
            (["--row", "standard:wide:1", "--param", "temprature=2"], "temperature"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, arguments: list[str], message: str) -> None:
        given_ = [each.replace("ROW", str(self.file)) for each in arguments]
        told = invoke("probe", "--loss", CE, *given_)
        assert told.exit_code == 2
        assert message in told.stderr
        assert told.stdout == ""

    def test_labels_and_parameters_per_row_are_refused_where_there_are_none(self) -> None:
        told = invoke(
            "probe", "--loss", "softmax", "--logits=1,2;3,4", "--param", "noise=1,2;3,4;5,6"
        )
        assert "noise has 3 rows of 2 numbers for logits of 2 rows of 2" in told.stderr
        told = invoke("probe", "--loss", CE, "--row", self.row(1), "--dtype=float8")
        assert told.exit_code == 2
        told = invoke("probe", "--loss", "sigmoid", "--row", self.row(1))
        assert "loss of sweep few" in told.stderr
        told = invoke(
            "probe", "--loss", "nll_loss", "--row=standard:wide:1", "--label-kind=distribution"
        )
        assert "nll_loss takes integer labels" in told.stderr


# scripts -------------------------------------------------------------------------------------

RUNNER = """\
import contextlib, io, json, runpy, sys
blocked = sys.argv[1:]
sys.modules.update(dict.fromkeys(blocked))  # importing None fails
for path in sys.stdin.read().splitlines():
    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told):
            runpy.run_path(path)
        print(json.dumps([path, told.getvalue(), ""]))
    except BaseException as error:
        print(json.dumps([path, told.getvalue(), f"{type(error).__name__}: {error}"]))
"""


def run_all(paths: Sequence[Path], place: Path, *blocked: str) -> dict[Path, tuple[str, str]]:
    """What scripts print, and how they fail, one after the other in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", RUNNER, *blocked],
        input="\n".join(map(str, paths)),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == len(paths)
    return {Path(path): (told, error) for path, told, error in lines}


def wrong_bits(told: dict[Path, tuple[str, str]]) -> list[str]:
    """The scripts that do not print what came then; those without a result have to do as told."""
    wrong = []
    for path, (printed, error) in told.items():
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as archive:
            kind, exact, then = (
                str(archive["kind"]),
                str(archive["exact"]),
                float(archive["actual"]),
            )
        if kind == "raised":
            wrong += [] if error else [f"{path.name}: raises no more"]
        elif error:
            wrong.append(f"{path.name}: {error}")
        elif exact:
            actual, expected = (line.split() for line in printed.splitlines()[-2:])
            assert expected[0] == "expected"
            if actual[-1] != then.hex():
                wrong.append(f"{path.name}: {actual[-1]} instead of {then.hex()}")
    return wrong


def scripts_of(paths: Iterable[Path]) -> list[Path]:
    return [each.resolve() for each in paths if each.suffix == ".py"]


def test_the_scripts_of_the_field_guide_print_the_same_bits(some: Report, tmp_path: Path) -> None:
    saved = save(some, tmp_path / "a" / "b")
    scripts = scripts_of(saved)
    assert len(scripts) == len(some.findings) == len(saved) / 2
    assert len({each.name.casefold() for each in saved}) == len(saved)
    assert wrong_bits(run_all(scripts, tmp_path)) == []
    texts = [each.read_text() for each in scripts]
    assert max(len(text.splitlines()) for text in texts) < 20


def test_a_script_is_run_by_itself(some: Report, tmp_path: Path) -> None:
    chosen = [each for each in some.findings if each.cell.dtype == "bfloat16"][:1]
    scripts = scripts_of(save(replace(some, findings=tuple(chosen)), tmp_path))
    done = subprocess.run(
        [sys.executable, "-I", str(scripts[0])], cwd="/", capture_output=True, text=True, check=True
    )
    (shown,) = [each.witness for each in chosen]
    assert shown is not None
    assert done.stdout.split()[2] == shown.actual.hex()


def test_arrays_hold_the_numbers_exactly_for_plain_numpy(some: Report, tmp_path: Path) -> None:
    chosen = [each for each in some.findings if each.cell.dtype == "bfloat16"][:40]
    saved = save(replace(some, findings=tuple(chosen)), tmp_path)
    archives = [each for each in saved if each.suffix == ".npz"]
    for finding, path in zip(chosen, archives, strict=True):
        shown = finding.witness
        assert shown is not None
        with np.load(path, allow_pickle=False) as archive:
            assert archive["logits"].dtype == np.float32
            assert archive["logits"][0].tolist() == shown.logits.astype(np.float64).tolist()
            assert str(archive["dtype"]) == "bfloat16"
            assert str(archive["exact"]) == shown.exact
            assert float(archive["expected"]).hex() == shown.expected.hex()
            assert all(each.dtype.kind in "fiuU" for each in archive.values())


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\nb", 'quo"te', "[red]", "ünïcödé", "x" * 400, "'''", "a\\"]
)
def test_any_name_makes_a_file_and_a_script(name: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    one = found(witness(), where=cell(name))
    other = found(witness(), where=cell(name.upper()))
    saved = save(report(one, other), kept)
    assert len({each.name.casefold() for each in saved}) == 4
    assert sorted(each.parent for each in saved) == [kept] * 4
    for script in scripts_of(saved):
        assert all(len(each.name) < 200 and each.name.isascii() for each in saved)
        compile(script.read_text(), str(script), "exec")


def test_names_say_what_they_are_and_are_not_taken_twice(tmp_path: Path) -> None:
    twice = found(witness(), Kind.NAN), found(witness(), Kind.NAN)
    names = [each.name for each in save(report(*twice), tmp_path)]
    assert names[:2] == [
        f"{CE}-numpy.naive-float32-value-ordinary-nan.npz",
        f"{CE}-numpy.naive-float32-value-ordinary-nan.py",
    ]
    assert len(set(names)) == 4


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match=r"cannot write .*file"):
        save(report(found(witness())), tmp_path / "file" / "folder")


def test_the_scripts_of_users_code_do_what_was_found(
    own: tuple[Path, Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run where it is; without xentcheck."""
    place, whole = own
    monkeypatch.chdir(place)
    sweeps = load("own.yaml").sweeps
    harmless = tuple(
        each
        for each in whole.findings
        if each.cell.implementation not in ("fatal", "fickle") and each.kind is not Kind.CRASHED
    )
    saved = save(replace(whole, findings=harmless), tmp_path, sweeps)
    assert wrong_bits(run_all(scripts_of(saved), place, "xentcheck")) == []


PROGRAM = """\
import sys
import numpy as np
logits, labels, out, power = *map(np.load, sys.argv[1:3]), sys.argv[3], float(sys.argv[4])
p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
np.save(out, -np.log(p[np.arange(len(labels)), labels] ** power).astype(logits.dtype))
"""


def test_the_script_of_a_program_gives_it_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "a.yaml").write_text(
        "version: 1\n"
        "implementations: [{loss: softmax_cross_entropy, name: program, command: "
        f"[{sys.executable}, program.py, '{{logits}}', '{{labels}}', '{{out}}', "
        "'{temperature}']}]\n"
        "sweeps: {few: {losses: softmax_cross_entropy, dtypes: float32, implementations: program, "
        "inputs: [{generator: explicit, values: [[0, 120], [0.5, 30]]}]}}\n"
    )
    monkeypatch.chdir(tmp_path)
    whole = audit(load("a.yaml"))
    assert {each.kind for each in whole.findings} >= {Kind.SPURIOUS_UNDERFLOW}
    scripts = scripts_of(save(whole, "out"))
    assert wrong_bits(run_all(scripts, tmp_path, "xentcheck")) == []
    assert "subprocess.run" in scripts[0].read_text()


# scripts of frameworks -----------------------------------------------------------------------

NEEDS = {
    "torch": ("torch",),
    "jax": ("jax", "optax"),
    "tf": ("tensorflow", "keras"),
    "keras": ("tensorflow", "keras"),
    "scipy": ("scipy",),
    "sklearn": ("sklearn",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "liger_kernel": ("liger_kernel", "triton"),
    "paddle": ("paddle",),
    "mlx": ("mlx",),
}
FEW = """\
version: 1
sweeps:
  few:
    losses: {losses}
    dtypes: [float32, bfloat16]
    implementations: {names}
    labels: {{targets: random}}
    inputs:
      - {{generator: gap, from: -120, to: 120, points: 6, classes: 3}}
  reduced:
    losses: [softmax_cross_entropy, nll_loss]
    dtypes: float32
    implementations: ["{name}.*"]
    labels: {{targets: random}}
    parameters: {{reduction: mean}}
    inputs:
      - {{generator: gap, from: 0, to: 120, points: 4, classes: 3}}
"""


def needing(name: str) -> Any:
    absent = [each for each in NEEDS[name] if find_spec(each) is None]
    skip = pytest.mark.skipif(bool(absent), reason=f"needs {', '.join(absent)}")
    return pytest.param(name, marks=[skip])


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param("[softmax_cross_entropy, sigmoid, softmax]", id="some"),
        pytest.param("all", marks=[pytest.mark.slow]),
    ],
)
@pytest.mark.parametrize("name", [needing(each) for each in NEEDS])
def test_what_a_framework_did_comes_out_again(
    name: str, losses: str, tmp_path: Path, asking: Asking
) -> None:
    """By lines; and by scripts in an interpreter that cannot import xentcheck."""
    config = tmp_path / "few.yaml"
    names = [f"{name}.*", *([] if name == "lightgbm" else [f"{name}.*@*"])]
    config.write_text(FEW.format(name=name, names=names, losses=losses))
    loaded = load(config)
    whole = audit(loaded)
    if not whole.findings:
        pytest.skip(f"{name} has no findings on these rows")
    scripts = scripts_of(save(whole, tmp_path / "out", loaded.sweeps))
    assert wrong_bits(run_all(scripts, tmp_path, "xentcheck")) == []
    assert put(asking, whole, whole.findings[:: 1 + len(whole.findings) // 12]) == []


TORCH = """\
import torch


class Naive(torch.nn.Module):
    def __init__(self, reduction="mean", scale=1.0):
        super().__init__()
        self.reduction, self.scale = reduction, scale

    def forward(self, logits, labels):
        p = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
        losses = -self.scale * p.gather(1, labels[:, None])[:, 0].log()
        return losses if self.reduction == "none" else losses.mean()


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, labels):
        ctx.save_for_backward(logits, labels)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    @staticmethod
    def backward(ctx, upstream):
        logits, labels = ctx.saved_tensors
        onehot = torch.nn.functional.one_hot(labels, logits.shape[1])
        return 2 * upstream[:, None] * (logits.softmax(1) - onehot), None


def shifted(logits, labels):
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none") + 1


def shifted_gradient(logits, labels):
    return torch.zeros_like(logits)
"""
TORCH_CONFIG = """\
version: 1
implementations:
  - {loss: softmax_cross_entropy, target: mine.py:Naive, framework: torch, name: naive,
     parameters: {scale: 2.0}}
  - {loss: softmax_cross_entropy, target: mine.py:Doubled, framework: torch, name: doubled}
  - {loss: softmax_cross_entropy, target: mine.py:shifted, framework: torch, name: shifted}
sweeps:
  few:
    losses: softmax_cross_entropy
    dtypes: [float32, bfloat16]
    implementations: [naive, doubled, shifted]
    inputs: [{generator: gap, from: 0, to: 120, points: 5, classes: 3}]
"""


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_the_scripts_of_modules_and_functions_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class of modules with a bound argument, a backward of its own, a gradient beside."""
    (tmp_path / "mine.py").write_text(TORCH)
    (tmp_path / "mine.yaml").write_text(TORCH_CONFIG)
    monkeypatch.chdir(tmp_path)
    whole = audit(load("mine.yaml"))
    seen = {(each.cell.implementation, each.cell.quantity) for each in whole.findings}
    assert len(seen) == 6
    scripts = scripts_of(save(whole, "out"))
    assert wrong_bits(run_all(scripts, tmp_path, "xentcheck")) == []
