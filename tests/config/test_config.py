"""Configurations: what is read, and every way in which one can be wrong.

``python -m tests.config.test_config`` writes the tables of docs/configuration.md.
"""

import json
import math
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.places import ROOT
from xentcheck.config import FIELDS, load, loads, template
from xentcheck.errors import ConfigError, Problem
from xentcheck.floats import STANDARD
from xentcheck.losses import LOSSES
from xentcheck.model import Kind, LabelKind, Quantity, Tolerance
from xentcheck.reading.numbers import parse_integer, parse_number, read_number
from xentcheck.sweeps import GENERATORS

REFERENCE = ROOT / "docs" / "configuration.md"
SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))

SWEEP = """\
sweeps:
  ordinary:
    losses: [softmax_cross_entropy]
    dtypes: [float32]
    inputs:
      - {generator: normal, rows: 20, classes: [2, 10], scale: [1, 30]}
"""


def problems(text: str, path: str = "") -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loads(dedent(text), path)
    return list(caught.value.problems)


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, [str(each) for each in found]
    return found[0]


def sweep_with(**lines: str) -> str:
    """SWEEP with some keys of its sweep set, or left out where the text is empty."""
    entries = {
        "losses": "[softmax_cross_entropy]",
        "dtypes": "[float32]",
        "inputs": "[{generator: normal, rows: 4}]",
    } | lines
    body = "".join(f"    {key}: {text}\n" for key, text in entries.items() if text)
    return f"sweeps:\n  s:\n{body}"


def input_options(text: str) -> dict[str, Any]:
    (spec,) = loads(sweep_with(inputs=f"[{text}]")).sweeps[0].inputs
    return dict(spec.options)


# What is read.


def test_a_configuration_is_read_as_it_was_meant() -> None:
    config = loads(
        dedent(
            """\
            version: 1
            seed: 7
            implementations:
              - {loss: softmax, target: "package.module:Class.method", parameters:
                  {eps: 1e-7, mode: "1e4", bounds: [-inf, 2, true, ~]}}
            sweeps:
              ordinary:
                losses: [softmax_cross_entropy, "log_*"]
                dtypes: [float32, float16]
                quantities: gradient
                implementations: ["numpy.*", mine]
                labels: {kind: integer, targets: argmax}
                parameters: {label_smoothing: [0, 0.1], ignore_index: -1}
                inputs:
                  - {generator: normal, rows: 1e2, classes: 3, scale: [1, 0x1.8p3]}
            limits:
              - {loss: softmax_*, max_ulp: 2, or_abs: 1e-7, times_condition: true, allow: ftz}
            """
        )
    )
    (sweep,) = config.sweeps
    # log_sigmoid is in by its pattern only, so it need not take integer labels
    assert sweep.losses == ("softmax_cross_entropy", "log_softmax", "log_sigmoid")
    assert sweep.dtypes == ("float32", "float16")
    assert sweep.quantities == (Quantity.GRADIENT,)
    assert sweep.implementations == ("numpy.*", "mine")
    assert (sweep.label_kind, sweep.targets) == (LabelKind.INTEGER, "argmax")
    assert sweep.parameters == {"label_smoothing": (0.0, 0.1), "ignore_index": (-1,)}
    assert sweep.inputs[0].options == {"rows": 100, "classes": (3,), "scale": (1.0, 12.0)}
    assert isinstance(sweep.inputs[0].options["rows"], int)
    (limit,) = config.limits
    assert limit.tolerance == Tolerance(2.0, 1e-7, times_condition=True)
    assert limit.allow == {Kind.FTZ}
    assert (limit.loss, limit.dtype, limit.path) == ("softmax_*", "*", "limits[0]")
    (target,) = config.targets
    assert (target.loss, target.target) == ("softmax", "package.module:Class.method")
    assert target.name == "package.module.Class.method"
    assert target.gradient is None
    assert target.parameters == {"eps": 1e-7, "mode": "1e4", "bounds": [-math.inf, 2, True, None]}
    assert config.seed == 7


def test_what_is_left_out_has_its_declared_default() -> None:
    config = loads(SWEEP)
    (sweep,) = config.sweeps
    assert config.seed == 0
    assert config.limits == config.targets == ()
    assert sweep.quantities == (Quantity.VALUE, Quantity.GRADIENT)
    assert sweep.implementations == ("*",)
    assert (sweep.label_kind, sweep.targets) == (None, "all")
    assert sweep.parameters == {}
    (limit,) = loads(SWEEP + "limits:\n  - {loss: '*'}\n").limits
    assert limit.tolerance == Tolerance(4.0, 0.0, False)
    assert limit.allow == frozenset()


def test_all_means_every_loss_and_the_four_dtypes() -> None:
    (sweep,) = loads(sweep_with(losses="all", dtypes="all")).sweeps
    assert sweep.losses == tuple(LOSSES)
    assert sweep.dtypes == STANDARD == ("float16", "bfloat16", "float32", "float64")


def test_a_loss_that_two_patterns_match_is_there_once() -> None:
    (sweep,) = loads(sweep_with(losses='["soft*", "softm*", softmax]')).sweeps
    assert sweep.losses == ("softmax_cross_entropy", "softmax", "softplus")


def test_document_is_json_and_reads_as_the_same_configuration() -> None:
    text = SWEEP.replace("[1, 30]", "[1e4, 0x1p2]") + "limits: [{max_ulp: inf}]\n"
    config = loads(text)
    written = json.dumps(config.document, allow_nan=False)
    again = loads(written)
    assert again == config
    assert config.document["sweeps"]["ordinary"]["inputs"][0]["rows"] == 20


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configurations_load(path: Path) -> None:
    config = load(path)
    assert config.path == str(path)
    assert bool(config.limits) == (path.name == "gate.yaml")


def test_the_promised_configurations_are_shipped() -> None:
    names = {path.name for path in SHIPPED}
    assert names >= {"sweep.yaml", "extreme.yaml", "gate.yaml", "recorded.yaml"}


def test_the_survey_has_every_loss_in_four_dtypes_on_ordinary_and_extreme_inputs() -> None:
    sweeps = {sweep.name: sweep for sweep in load(ROOT / "configs" / "sweep.yaml").sweeps}
    for name in ("ordinary", "confident", "extreme", "special"):
        assert sweeps[name].losses == tuple(LOSSES)
        assert sweeps[name].dtypes == STANDARD


def test_template_loads_also_with_its_comments_taken_for_settings(tmp_path: Path) -> None:
    assert [sweep.name for sweep in loads(template()).sweeps] == ["ordinary", "extreme"]
    # The keys that are commented out, as a user would uncomment them.
    text = re.sub(
        r"(?m)^( *)# (?=( *- |  +|implementations:|limits:|quantities|labels|param))",
        r"\1",
        template(),
    )
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "config.yaml").write_text(text)
    config = load(tmp_path / "config.yaml")
    assert [target.name for target in config.targets] == ["mine"]
    assert len(config.limits) == 2
    assert config.sweeps[0].parameters == {"label_smoothing": (0.0, 0.1)}


# Paths.


def test_files_are_found_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "logits.npz").write_bytes(b"")
    path = tmp_path / "config.yaml"
    path.write_text(
        'implementations: [{loss: softmax, target: "./mine.py:loss", gradient: grad}]\n'
        + sweep_with(inputs="[{generator: recorded, path: data/logits.npz}]")
    )
    config = load(path)
    assert config.targets[0].target == f"{tmp_path / 'mine.py'}:loss"
    assert config.targets[0].gradient == "grad"
    assert config.targets[0].name == "mine.loss"
    assert config.sweeps[0].inputs[0].options["path"] == str(tmp_path / "data" / "logits.npz")


def test_files_that_are_missing_are_problems_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        'implementations:\n  - loss: softmax\n    target: "./nowhere.py:loss"\n'
        + sweep_with(inputs="[{generator: recorded, path: .}]")
    )
    with pytest.raises(ConfigError) as caught:
        load(path)
    first, second = caught.value.problems
    assert (first.line, first.path) == (3, "implementations[0].target")
    assert "nowhere.py' does not exist" in first.message
    assert (second.line, second.path) == (8, "sweeps.s.inputs[0].path")
    assert "is not a file" in second.message
    assert first.file == second.file == str(path)


def test_a_missing_configuration_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    with pytest.raises(ConfigError, match="no such file") as caught:
        load(tmp_path / "sweeep.yaml")
    assert caught.value.problems[0].remedy == f"did you mean {tmp_path / 'sweep.yaml'}?"


def test_a_directory_is_told_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    with pytest.raises(ConfigError, match="this is a directory") as caught:
        load(tmp_path)
    assert str(tmp_path / "sweep.yaml") in caught.value.problems[0].remedy


def test_bytes_that_are_not_utf_8_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"version: 1\nseed: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8: byte 0xff") as caught:
        load(tmp_path / "config.yaml")
    assert caught.value.problems[0].line == 2


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xef\xbb\xbf" + SWEEP.encode())
    assert load(tmp_path / "config.yaml").sweeps[0].name == "ordinary"


def test_a_path_that_cannot_be_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load("nul\0byte.yaml")


def test_an_endless_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"#" * (16 * 2**20 + 1))
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        load(tmp_path / "config.yaml")


# All problems at once.


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        """\
        verison: 1
        seed: yes
        seed: -3
        implementations:
          - {loss: softmax_cross_entropie, target: nothing}
        sweeps:
          ordinary:
            losses: [softmax_cross_entropy, "zlog*", sigmod]
            dtypes: [fp16, float32, float32]
            quantities: [gradeint]
            parameters:
              label_smoothing: 1.5
              base: 2
              tempratur: 3
              ignore_index: 7
            labels: {kind: distribution, targets: al}
            inputs:
              - {generator: nromal}
              - {generator: normal, rows: 0, clases: 3}
              - {rows: 3}
          empty:
        limits:
          - loss: sotfmax
            max_ulp: -1
            times_condition: yes
            allow: [nann]
        """,
        "broken.yaml",
    )
    ordinary = "sweeps.ordinary"
    assert [(each.line, each.path) for each in found] == [
        (1, "verison"),
        (2, "seed"),
        (3, "seed"),
        (5, "implementations[0].loss"),
        (5, "implementations[0].target"),
        (8, f"{ordinary}.losses[1]"),
        (8, f"{ordinary}.losses[2]"),
        (9, f"{ordinary}.dtypes[0]"),
        (9, f"{ordinary}.dtypes[2]"),
        (10, f"{ordinary}.quantities[0]"),
        (12, f"{ordinary}.parameters.label_smoothing"),
        (13, f"{ordinary}.parameters.base"),
        (14, f"{ordinary}.parameters.tempratur"),
        (15, f"{ordinary}.parameters.ignore_index"),
        (16, f"{ordinary}.labels.targets"),
        (18, f"{ordinary}.inputs[0].generator"),
        (19, f"{ordinary}.inputs[1].rows"),
        (19, f"{ordinary}.inputs[1].clases"),
        (20, f"{ordinary}.inputs[2]"),
        (21, "sweeps.empty"),
        (23, "limits[0].loss"),
        (24, "limits[0].max_ulp"),
        (25, "limits[0].times_condition"),
        (26, "limits[0].allow[0]"),
    ]
    assert {each.file for each in found} == {"broken.yaml"}
    assert str(found[0]) == (
        "broken.yaml:1: verison: unknown key 'verison'\n    help: did you mean 'version'?"
    )


# Each problem by itself. The last text is a part of the message or of the remedy.

BAD_SWEEP = [
    ("losses", "[softmax_cross_entropi]", "sweeps.s.losses[0]", "'softmax_cross_entropy'"),
    ("losses", '"zlog*"', "sweeps.s.losses", "matches no loss"),
    ("losses", "[]", "sweeps.s.losses", "the list is empty"),
    ("losses", "{a: 1}", "sweeps.s.losses", "not a mapping"),
    ("losses", "null", "sweeps.s.losses", "not nothing"),
    ("losses", "[softmax, softmax]", "sweeps.s.losses[1]", "duplicate"),
    ("dtypes", "[fp32]", "sweeps.s.dtypes[0]", "did you mean 'float32'?"),
    ("dtypes", "float31", "sweeps.s.dtypes", "unknown dtype 'float31'"),
    ("quantities", "[values]", "sweeps.s.quantities[0]", "did you mean 'value'?"),
    ("quantities", "[]", "sweeps.s.quantities", "the list is empty"),
    ("implementations", "[]", "sweeps.s.implementations", "the list is empty"),
    ("implementations", "[[a]]", "sweeps.s.implementations[0]", "not a list"),
    ("labels", "integer", "sweeps.s.labels", "expected labels (a mapping)"),
    ("labels", "{}", "sweeps.s.labels", "it is empty"),
    ("labels", "{kind: integers}", "sweeps.s.labels.kind", "did you mean 'integer'?"),
    ("labels", "{kind: target}", "sweeps.s.labels.kind", "sigmoid_binary_cross_entropy"),
    ("labels", "{targets: max}", "sweeps.s.labels.targets", "did you mean 'argmax'?"),
    ("parameters", "{}", "sweeps.s.parameters", "it is empty"),
    ("parameters", "{smoothing: 1}", "sweeps.s.parameters.smoothing", "'label_smoothing'"),
    ("parameters", "{gamma: 1}", "sweeps.s.parameters.gamma", "sigmoid_focal_loss"),
    ("parameters", "{label_smoothing: 2}", "sweeps.s.parameters.label_smoothing", "at most 1"),
    ("parameters", "{label_smoothing: []}", "sweeps.s.parameters.label_smoothing", "empty"),
    ("parameters", "{label_smoothing: none}", "sweeps.s.parameters.label_smoothing", "number"),
    ("parameters", "{z_loss: nan}", "sweeps.s.parameters.z_loss", "not nan"),
    ("parameters", "{z_loss: inf}", "sweeps.s.parameters.z_loss", "finite"),
    ("parameters", "{z_loss: max}", "sweeps.s.parameters.z_loss", "only within a dtype"),
    ("parameters", "{ignore_index: 1.5}", "sweeps.s.parameters.ignore_index", "whole number"),
    ("parameters", "{reduction: men}", "sweeps.s.parameters.reduction", "did you mean 'mean'?"),
    ("parameters", "{weight: gumbel}", "sweeps.s.parameters.weight", "expected a number"),
    ("parameters", "{weight: [[1, -1]]}", "sweeps.s.parameters.weight[0][1]", "at least 0"),
    ("inputs", "[]", "sweeps.s.inputs", "the list is empty"),
    ("inputs", "[normal]", "sweeps.s.inputs[0]", "expected an input (a mapping)"),
    ("inputs", "[{rows: 1}]", "sweeps.s.inputs[0]", "'generator' is missing"),
    ("inputs", "[{generator: norml}]", "sweeps.s.inputs[0].generator", "did you mean 'normal'?"),
    ("inputs", "[{generator: exhaustive}]", "sweeps.s.inputs[0].generator", "makes no rows for"),
    ("inputs", "[{generator: normal, row: 1}]", "sweeps.s.inputs[0].row", "did you mean 'rows'?"),
    ("inputs", "[{generator: normal, rows: [1]}]", "sweeps.s.inputs[0].rows", "not a list"),
    ("inputs", "[{generator: normal, rows: 2.5}]", "sweeps.s.inputs[0].rows", "whole number"),
    ("inputs", "[{generator: normal, rows: 0}]", "sweeps.s.inputs[0].rows", "at least 1 and"),
    ("inputs", "[{generator: normal, rows: no}]", "sweeps.s.inputs[0].rows", "number, not 'no'"),
    ("inputs", "[{generator: normal, rows: 010}]", "sweeps.s.inputs[0].rows", "octal"),
    ("inputs", "[{generator: normal, rows: 1_000}]", "sweeps.s.inputs[0].rows", "write 1000"),
    ("inputs", "[{generator: normal, rows: 1:30}]", "sweeps.s.inputs[0].rows", "not '1:30'"),
    ("inputs", "[{generator: normal, classes: []}]", "sweeps.s.inputs[0].classes", "empty"),
    ("inputs", "[{generator: gap, from: nan}]", "sweeps.s.inputs[0].from", "not nan"),
    ("inputs", "[{generator: low, levels: max}]", "sweeps.s.inputs[0].levels", "at most 0"),
    ("inputs", "[{generator: gap, spacing: lin}]", "sweeps.s.inputs[0].spacing", "'linear'"),
    ("inputs", "[{generator: explicit}]", "sweeps.s.inputs[0]", "'values' is missing"),
    ("inputs", "[{generator: explicit, values: 3}]", "sweeps.s.inputs[0].values", "a list"),
    ("inputs", "[{generator: explicit, values: [[1, mx]]}]", "sweeps.s.inputs[0].values[0][1]",
     "did you mean max?"),
    ("inputs", "[{generator: recorded, path: no.npy}]", "sweeps.s.inputs[0].path", "not exist"),
    ("dtype", "float32", "sweeps.s.dtype", "did you mean 'dtypes'?"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "text", "path", "told"), BAD_SWEEP)
def test_a_fault_in_a_sweep_is_told(key: str, text: str, path: str, told: str) -> None:
    problem = only(sweep_with(**{key: text}))
    assert problem.path == path
    assert told in f"{problem.message} {problem.remedy}"
    order = ["losses", "dtypes", "inputs"]
    expected = order.index(key) if key in order else len(order)
    assert problem.line == 3 + expected


@pytest.mark.parametrize("key", ["losses", "dtypes", "inputs"])
def test_a_sweep_without_a_required_key_is_told_at_its_name(key: str) -> None:
    problem = only("version: 1\n" + sweep_with(**{key: ""}))
    assert (problem.line, problem.path) == (3, "sweeps.s")
    assert problem.message == f"'{key}' is missing"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("dtypes", "dtyps"),
        ("losses", "loses"),
        ("inputs", "Inputs"),
        ("sweeps", "sweep"),
        ("target", "targt"),
    ],
)
def test_a_misspelt_key_is_one_problem(right, wrong):
    text = (
        "implementations: [{loss: softmax, target: 'math:exp'}]\n"
        "sweeps: {s: {losses: softmax, dtypes: float32, inputs: [{generator: low}]}}\n"
    )
    loads(text)
    with pytest.raises(ConfigError) as caught:
        loads(text.replace(f"{right}:", f"{wrong}:"))
    (problem,) = caught.value.problems
    assert problem.message == f"unknown key '{wrong}'"
    assert f"'{right}'" in problem.remedy


BAD_FILE = [
    ("", 0, "", "the file is empty"),
    ("# nothing\n", 0, "", "the file is empty"),
    ("---\n", 0, "", "the file is empty"),
    ("[1, 2]\n", 1, "", "expected a configuration (a mapping), not a list"),
    ("hello\n", 1, "", "not 'hello'"),
    ("version: 1\n", 1, "", "'sweeps' is missing"),
    ("sweeps:\n", 1, "sweeps", "not nothing"),
    ("sweeps: {}\n", 1, "sweeps", "it is empty"),
    ("sweeps: [1]\n", 1, "sweeps", "not a list"),
    ("sweeps: {a: 1\n", 2, "", "not YAML"),
    ("a: b: c\n", 1, "", "(column 5)"),
    ("a: 1\n\tb: 2\n", 2, "", "cannot start any token (column 1)"),
    ("a: \x00\n", 1, "", "is not allowed"),
    ("a: *nowhere\n", 1, "", "undefined alias"),
    ("a: 1\n---\nb: 2\n", 2, "", "another document"),
    ('a: "\\UFFFFFFFF"\n', 0, "", "not YAML"),
    ("[" * 10_000, 1, "", "nested deeper than 50 levels"),
    ("version: 2\n" + SWEEP, 1, "version", "reads version 1"),
    ("seed: -1\n" + SWEEP, 1, "seed", "at least 0"),
    ("seed: 1e30\n" + SWEEP, 1, "seed", "2^63 - 1"),
    ("seed: 12345678901234567890123\n" + SWEEP, 1, "seed", "2^63 - 1"),
    ("seed: true\n" + SWEEP, 1, "seed", "expected a number, not 'true'"),
    ("? [1]\n: 2\n" + SWEEP, 1, "", "a key has to be text"),
    (SWEEP + "limit: []\n", 7, "limit", "did you mean 'limits'?"),
    (SWEEP + "limits: []\n", 7, "limits", "the list is empty"),
    (SWEEP + "limits:\n", 7, "limits", "expected a list"),
    (SWEEP.replace("ordinary", "'a*'"), 2, "sweeps['a*']", "cannot name a sweep"),
    (SWEEP.replace("[float32]", "!!python/name:os.system x"), 4, "sweeps.ordinary.dtypes",
     "'!!python/name:os.system'"),
    (SWEEP.replace("[float32]", "!mine {}"), 4, "sweeps.ordinary.dtypes", "'!mine'"),
    (SWEEP.replace("    dtypes", "    losses: all\n    dtypes"), 4, "sweeps.ordinary.losses",
     "first on line 3"),
    (SWEEP.replace("rows: 20", "rows: 20, rows: 20"), 6, "sweeps.ordinary.inputs[0].rows",
     "first on line 6"),
    (SWEEP.replace("  ordinary:", "  ordinary: &a\n    x: *a"), 3, "sweeps.ordinary.x",
     "something it is part of"),
    (SWEEP.replace("    dtypes", "    <<: 3\n    dtypes"), 4, "sweeps.ordinary['<<']",
     "only mappings can be merged"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "path", "told"), BAD_FILE)
def test_a_fault_in_a_file_is_told(text: str, line: int, path: str, told: str) -> None:
    problem = only(text)
    assert (problem.line, problem.path) == (line, path)
    assert told in f"{problem.message} {problem.remedy}"


BAD_LIMIT = [
    ("{max_ulp: -1}", "limits[0].max_ulp", "at least 0, not -1"),
    ("{max_ulp: nan}", "limits[0].max_ulp", "not nan"),
    ("{max_ulp: max}", "limits[0].max_ulp", "only within a dtype"),
    ("{max_ulps: 1}", "limits[0].max_ulps", "did you mean 'max_ulp'?"),
    ("{or_abs: off}", "limits[0].or_abs", "expected a number, not 'off'"),
    ("{times_condition: yes}", "limits[0].times_condition", "write true"),
    ("{times_condition: 1}", "limits[0].times_condition", "expected true or false, not '1'"),
    ("{allow: [nan, nan]}", "limits[0].allow[1]", "duplicate"),
    ("{allow: [NaN]}", "limits[0].allow[0]", "did you mean 'nan'?"),
    ("{allow: []}", "limits[0].allow", "the list is empty"),
    ("{loss: softmax_cross}", "limits[0].loss", "did you mean 'softmax_cross_entropy'?"),
    ("{loss: sigmoid}", "limits[0].loss", "the sweeps have: softmax_cross_entropy"),
    ("{dtype: fp32}", "limits[0].dtype", "did you mean 'float32'?"),
    ("{dtype: float64}", "limits[0].dtype", "the sweeps have: float32"),
    ("{quantity: val}", "limits[0].quantity", "did you mean 'value'?"),
    ("{sweep: ordinry}", "limits[0].sweep", "did you mean 'ordinary'?"),
    ("{sweep: }", "limits[0].sweep", "not nothing"),
    ("{}", "limits[0]", "it is empty"),
    ("{dtype: float32}, {max_ulp: 3}", "limits[0]", "never applies: limits[1]"),
]


@pytest.mark.parametrize(("text", "path", "told"), BAD_LIMIT)
def test_a_fault_in_a_limit_is_told(text: str, path: str, told: str) -> None:
    problem = only(SWEEP + f"limits: [{text}]\n")
    assert (problem.line, problem.path) == (7, path)
    assert told in f"{problem.message} {problem.remedy}"


def test_a_limit_whose_parts_no_sweep_has_together_is_told() -> None:
    text = SWEEP + sweep_with(losses="[softmax]", dtypes="[float64]").removeprefix("sweeps:\n")
    assert loads(text + "limits: [{loss: softmax, dtype: float64}]\n").limits
    problem = only(text + "limits: [{loss: softmax, dtype: float32}]\n")
    assert problem.path == "limits[0]"
    assert "together" in problem.message


def test_a_narrower_limit_may_follow_a_wider_one() -> None:
    assert len(loads(SWEEP + "limits: [{max_ulp: 1}, {dtype: float32}]\n").limits) == 2


BAD_IMPLEMENTATION = [
    ("{loss: softmax}", "", "either 'target' or 'command'"),
    ("{loss: softmax, command: [sh, '{out}'], framework: jax}", ".framework", "files, not arrays"),
    ("{loss: softmax, command: [sh, '{in}']}", ".command", "no word of the command has {out}"),
    ("{loss: sofmax, target: 'm:f'}", ".loss", "did you mean 'softmax'?"),
    ("{loss: softmax, target: m}", ".target", "neither module:attribute nor file.py:attribute"),
    ("{loss: softmax, target: 'm:f()'}", ".target", "neither"),
    ("{loss: softmax, target: 'a/b:f'}", ".target", "neither"),
    ("{loss: softmax, target: 'gone.py:f'}", ".target", "'gone.py' does not exist"),
    ("{loss: softmax, target: 'm:f', gradient: 'g.py:'}", ".gradient", "neither"),
    ("{loss: softmax, target: 'm:f', name: 'my loss'}", ".name", "cannot name"),
    ("{loss: softmax, target: 'm:f', parameters: 3}", ".parameters", "not '3'"),
    ("{loss: softmax, target: 'm:f', parameters: {a-b: 3}}", ".parameters.a-b", "keyword"),
]


@pytest.mark.parametrize(("text", "path", "told"), BAD_IMPLEMENTATION)
def test_a_fault_in_an_implementation_is_told(text: str, path: str, told: str) -> None:
    problem = only(f"implementations: [{text}]\n" + SWEEP)
    assert (problem.line, problem.path) == (1, f"implementations[0]{path}")
    assert told in f"{problem.message} {problem.remedy}"


def test_two_implementations_of_one_loss_need_two_names() -> None:
    entry = "{loss: softmax, target: 'm:f'}"
    other = "{loss: log_softmax, target: 'm:f'}"
    assert len(loads(f"implementations: [{entry}, {other}]\n" + SWEEP).targets) == 2
    problem = only(f"implementations: [{entry}, {entry}]\n" + SWEEP)
    assert problem.path == "implementations[1]"
    assert "'m.f' already names" in problem.message


# What fits what.


def test_a_named_loss_has_to_take_the_labels_but_a_matched_one_need_not() -> None:
    labels = "{kind: distribution}"
    (sweep,) = loads(sweep_with(losses='["*entropy"]', labels=labels)).sweeps
    assert "entropy" in sweep.losses
    problem = only(sweep_with(losses="[softmax_cross_entropy, entropy]", labels=labels))
    assert (problem.line, problem.path) == (3, "sweeps.s.losses[1]")
    assert problem.message == "entropy takes no distribution labels"


def test_a_named_loss_has_to_be_fed_but_a_matched_one_need_not() -> None:
    inputs = "[{generator: ties}]"
    assert "sigmoid" in loads(sweep_with(losses="all", inputs=inputs)).sweeps[0].losses
    problem = only(sweep_with(losses="[softmax, sigmoid]", inputs=inputs))
    assert problem.path == "sweeps.s.losses[1]"
    assert problem.message == "no input of this sweep makes rows for sigmoid"


def test_a_parameter_has_to_go_with_the_kind_of_labels() -> None:
    parameters = "{ignore_index: 0}"
    assert loads(sweep_with(parameters=parameters))
    problem = only(sweep_with(parameters=parameters, labels="{kind: distribution}"))
    assert problem.path == "sweeps.s.parameters.ignore_index"
    assert "integer labels only" in problem.message


def test_a_parameter_of_one_selected_loss_is_enough() -> None:
    (sweep,) = loads(sweep_with(losses="all", parameters="{gamma: [0, 2.5]}")).sweeps
    assert sweep.parameters == {"gamma": (0.0, 2.5)}


def test_parameters_of_every_kind_are_read() -> None:
    losses = "[softmax_cross_entropy, sigmoid_focal_loss, kl_divergence, entropy, softmax]"
    parameters = (
        "{weight: [none, random, zeros-some, 2, [1, 0.5]], alpha: [none, 0.25], noise: gumbel,"
        " log_target: [false, true], base: [2, e], reduction: mean}"
    )
    (sweep,) = loads(sweep_with(losses=losses, parameters=parameters)).sweeps
    assert sweep.parameters == {
        "weight": (None, "random", "zeros-some", 2.0, (1.0, 0.5)),
        "alpha": (None, 0.25),
        "noise": ("gumbel",),
        "log_target": (False, True),
        "base": ("2", "e"),
        "reduction": ("mean",),
    }


def test_names_that_yaml_takes_for_something_else_stay_names() -> None:
    text = SWEEP.replace("ordinary", "no").replace("[softmax_cross_entropy]", "softmax")
    assert loads(text).sweeps[0].name == "no"


def test_anchors_and_merges_are_followed() -> None:
    config = loads(
        dedent(
            """\
            sweeps:
              first: &base
                losses: &all [softmax]
                dtypes: [float32]
                inputs: [{generator: normal, rows: 2}]
              second:
                <<: *base
                dtypes: [float16]
              third:
                <<: [{dtypes: float64}, *base]
                losses: *all
            """
        )
    )
    assert [sweep.dtypes for sweep in config.sweeps] == [("float32",), ("float16",), ("float64",)]
    assert {sweep.losses for sweep in config.sweeps} == {("softmax",)}
    assert config.document["sweeps"]["second"]["dtypes"] == ["float16"]


def test_aliases_that_explode_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    problem = only("\n".join(lines) + "\n" + SWEEP)
    assert "aliases expand to" in problem.message


# Numbers.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e4", 1e4), ("-1e30", -1e30), (".5", 0.5), ("5.", 5.0), ("+3", 3.0), ("0", 0.0),
        ("1E+2", 100.0), ("0x1.8p3", 12.0), ("-0X.8P1", -1.0), ("0x10", 16.0),
        ("inf", math.inf), ("-inf", -math.inf), (".inf", math.inf), ("-.Inf", -math.inf),
        ("+Infinity", math.inf), ("0e9", 0.0), ("4.9406564584124654e-324", 5e-324),
        ("0.1", 0.1), (" 7 ", 7.0), (3, 3.0), (2.5, 2.5),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_written(text: str | float, value: float) -> None:
    assert parse_number(text) == value


def test_nan_and_minus_zero_are_read() -> None:
    assert all(math.isnan(parse_number(text)) for text in ("nan", ".nan", "NaN"))
    assert math.copysign(1, parse_number("-0")) == math.copysign(1, parse_number("-0x0p0")) == -1


@pytest.mark.parametrize(
    "text",
    ["010", "-007", "1_000", "1:30", "yes", "true", "", "e5", "1e", "0x", "0b1", "1,5", "1 2",
     "--1", "١٢", "1e400", "-1e400", "1e-400", "0x1p5000", "0x1p-5000", "maximum", "9" * 2000,
     True, 10**400],
)  # fmt: skip
def test_what_is_no_number_or_could_be_two_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"number|float64|octal|grouped|long"):
        read_number(text)


def test_named_numbers_take_their_value_from_the_dtype() -> None:
    assert read_number("-smallest_normal") == "-smallest_normal"
    assert parse_number("max", "float16") == 65504
    assert parse_number("-max", "float8_e4m3fn") == -448
    assert parse_number("+smallest_subnormal", "float32") == 2.0**-149
    assert parse_number("smallest_normal", "bfloat16") == 2.0**-126
    assert parse_number("epsilon", "float64") == 2.0**-52
    with pytest.raises(ValueError, match="only within a dtype"):
        parse_number("max")


def test_named_numbers_stay_names_in_options() -> None:
    options = input_options("{generator: explicit, values: [[max, -max, 0], [inf, nan, 1e4]]}")
    first, second = options["values"]
    assert first == ("max", "-max", 0.0)
    assert second[0] == math.inf
    assert math.isnan(second[1])
    assert input_options("{generator: explicit, values: [1, epsilon]}") == {
        "values": (1.0, "epsilon")
    }


def test_whole_numbers_are_exact_and_bounded() -> None:
    assert parse_integer("9007199254740993") == 2**53 + 1
    assert parse_integer("1e4") == parse_integer("10000") == parse_integer("+1e4") == 10_000
    assert parse_integer(str(2**63 - 1)) == 2**63 - 1
    for text in (str(2**63), "1e300", "1.5", "inf", "nan", "max", "-1e19", True):
        with pytest.raises(ValueError, match="number"):
            parse_integer(text)


@given(st.floats(allow_nan=False))
def test_every_float_survives_both_ways_of_writing_it(value: float) -> None:
    for text in (repr(value), value.hex()):
        assert parse_number(text) == value
        assert math.copysign(1, parse_number(text)) == math.copysign(1, value)


# Any text at all.

WORDS = st.sampled_from(
    [
        "sweeps", "ordinary", "losses", "dtypes", "inputs", "generator", "limits", "labels",
        "kind", "parameters", "implementations", "loss", "target", "seed", "normal", "explicit",
        "values", "rows", "softmax", "*", "all", "float32", "max_ulp", "allow", "nan", "1e4",
        "<<", ": ", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!str ",
        "? ", "|", ">", "'", '"', "#", "%", "---", "...", "~", "\t", "!x ", "\\x", "@", "`",
    ]
)  # fmt: skip
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=4), children, max_size=4)
    ),
    max_leaves=20,
)


def config_or_problems(text: str) -> None:
    found: tuple[Problem, ...] = ()
    try:
        config = loads(text)
    except ConfigError as error:
        found = error.problems
    else:
        assert config.sweeps
        return
    assert found
    assert all(each.message for each in found)
    lines = [each.line for each in found]
    assert lines == sorted(lines)


@given(st.text())
@example("%YAML 1")
@example("!<%FF> a")
@example("a: !!binary ====")
@example('"\\U00110000"')
@example("&a [*a]")
@example("&a {*a : 1}")
@example("{<<: [*a]}")
@example("!!set {a}")
@example("sweeps: {? {a: 1} : 2}")
@example("=")
@example("\ufeff")
@example("<<: {a: 1}\n")
def test_any_text_is_a_configuration_or_its_problems(text: str) -> None:
    config_or_problems(text)


@given(st.lists(WORDS, max_size=40).map("".join))
def test_any_yaml_like_text_is_a_configuration_or_its_problems(text: str) -> None:
    config_or_problems(text)


@given(TREES, st.sampled_from(["losses", "dtypes", "inputs", "labels", "parameters"]))
def test_anything_in_a_sweep_is_a_configuration_or_its_problems(tree: Any, key: str) -> None:
    config_or_problems(sweep_with(**{key: json.dumps(tree)}))


@given(TREES, st.sampled_from(["limits", "implementations", "seed", "version"]))
def test_anything_at_the_top_is_a_configuration_or_its_problems(tree: Any, key: str) -> None:
    config_or_problems(f"{key}: {json.dumps(tree)}\n" + SWEEP)


# The reference page.


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def bounds(minimum: float | None, maximum: float | None) -> str:
    low = "" if minimum is None else f" ≥ {minimum:g}"
    high = "" if maximum is None else f" ≤ {maximum:g}"
    return f"{low}{' and' if low and high else ''}{high}"


def takes(declared: Any) -> str:
    if declared.choices:
        return ", ".join(f"`{choice}`" for choice in declared.choices)
    names = {"integer": "whole number", "real": "number", "rows": "list of lists of numbers"}
    flags = {"flag": "`true`, `false`"}
    return (names | flags).get(declared.kind, declared.kind) + bounds(
        declared.minimum, declared.maximum
    )


def shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if value is None else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def field_table(section: str) -> str:
    rows = [
        (
            f"`{field.name}`" if field.name != "…" else "…",
            field.takes,
            "required" if field.required else field.default,
            field.doc,
        )
        for field in FIELDS[section]
    ]
    return table(("key", "takes", "default", "meaning"), rows)


def generator_tables() -> str:
    parts = []
    for name, generator in GENERATORS.items():
        layouts = " and ".join(sorted(layout.value for layout in generator.layouts))
        parts.append(f"#### `{name}`\n\n{generator.summary}. For losses of layout {layouts}.\n\n")
        rows = [
            (
                f"`{option.name}`",
                takes(option) + (" (one or several)" if option.many else ""),
                "required" if option.required else shown(option.default),
                option.doc,
            )
            for option in generator.options
        ]
        parts.append(
            table(("option", "takes", "default", "meaning"), rows) if rows else "No options.\n"
        )
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def parameter_table() -> str:
    rows = []
    for loss in LOSSES.values():
        for parameter in loss.parameters:
            kinds = parameter.label_kinds
            note = f" ({' or '.join(kinds)} labels only)" if kinds else ""
            rows.append(
                (
                    f"`{loss.id}`",
                    f"`{parameter.name}`",
                    takes(parameter),
                    shown(parameter.default),
                    parameter.doc + note,
                )
            )
    return table(("loss", "parameter", "takes", "default", "meaning"), rows)


def rendered(text: str) -> str:
    """The page with its tables written anew."""

    def block(match: re.Match[str]) -> str:
        kind, section = match["kind"], match["section"]
        content = (
            field_table(section)
            if kind == "table"
            else generator_tables()
            if kind == "generators"
            else parameter_table()
        )
        return f"{match['head']}\n\n{content}\n<!-- end -->"

    pattern = r"(?P<head><!-- (?P<kind>\w+)(: (?P<section>\w+))? -->)\n(?s:.*?)<!-- end -->"
    return re.sub(pattern, block, text)


def test_the_reference_page_says_what_the_code_reads() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert rendered(text) == text, "run python -m tests.config.test_config"
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == set(FIELDS)


def test_the_example_on_the_reference_page_loads(tmp_path: Path) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    (example_text,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "config.yaml").write_text(example_text)
    assert load(tmp_path / "config.yaml").targets[0].gradient == "grad"


if __name__ == "__main__":
    REFERENCE.write_text(rendered(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
