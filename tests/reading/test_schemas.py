"""The published JSON Schemas: in step with what is read and written, and closed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.places import ROOT
from tests.report.test_report import cell, many, measurement, report, witness
from tests.running import invoke
from xentcheck.config import loads, template
from xentcheck.config.schema import config_schema
from xentcheck.errors import ConfigError
from xentcheck.gate import baseline_file
from xentcheck.gate.baseline_schema import baseline_schema
from xentcheck.losses import LOSSES
from xentcheck.model import (
    RULES,
    Change,
    Finding,
    Kind,
    Profile,
    ProfileBin,
    Quantity,
    Skip,
    Source,
    Standing,
    Violation,
    Yield,
)
from xentcheck.report.document import to_document
from xentcheck.report.document.schema import report_schema
from xentcheck.sweeps import GENERATORS

PUBLISHED = ROOT / "docs" / "schemas"
SCHEMAS = {"config": config_schema, "report": report_schema, "baseline": baseline_schema}
CONFIG = Draft202012Validator(config_schema())
REPORT = Draft202012Validator(report_schema())
BASELINE = Draft202012Validator(baseline_schema())
CONFIGURATIONS = sorted(
    path
    for path in (*ROOT.glob("configs/*.yaml"), *ROOT.glob("docs/examples/**/*.yaml"))
    if "\nsweeps:" in path.read_text(encoding="utf-8")
)


def problems(validator: Draft202012Validator, document: Any) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(document)]


@pytest.mark.parametrize("what", SCHEMAS)
class TestPublished:
    def test_it_is_a_schema(self, what: str) -> None:
        Draft202012Validator.check_schema(SCHEMAS[what]())

    def test_the_file_is_what_the_command_prints(self, what: str) -> None:
        done = invoke("schema", what)
        assert done.exit_code == 0
        assert (PUBLISHED / f"{what}.schema.json").read_text(encoding="utf-8") == done.output

    def test_every_reference_leads_somewhere_and_every_definition_is_used(self, what: str) -> None:
        schema = SCHEMAS[what]()
        used = {each["$ref"] for each in nodes(schema) if "$ref" in each}
        assert used == {f"#/$defs/{name}" for name in schema["$defs"]}

    def test_every_object_says_which_keys_it_may_have(self, what: str) -> None:
        free = [
            each
            for each in nodes(SCHEMAS[what]())
            if each.get("type") == "object" and "properties" in each
            if each.get("additionalProperties") is not False and "allOf" not in each
        ]
        assert free == []


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping within a schema."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def test_an_unknown_schema_is_a_usage_error() -> None:
    done = invoke("schema", "konfig")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "'config', 'report', 'baseline'" in done.stderr


# Configurations

SMALL = """\
version: 1
sweeps:
  small:
    losses: softmax_cross_entropy
    dtypes: float32
    inputs: [{generator: gap}]
"""


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_configurations_that_are_shipped_are_valid(path: Path) -> None:
    assert problems(CONFIG, yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_there_are_configurations_and_the_template_is_one() -> None:
    assert len(CONFIGURATIONS) >= 7
    assert problems(CONFIG, yaml.safe_load(template())) == []
    commented = [
        line.removeprefix("# ")
        for line in template().split("# limits:")[1].split("\n#\n")[0].splitlines()
    ]
    limits = "\n".join(["limits:", *commented[1:]])
    written = yaml.safe_load(SMALL + limits.replace("  - ", "- "))
    assert written["limits"][1]["or_abs"] == "1e-6"
    assert problems(CONFIG, written) == []


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


RIGHT = [
    SMALL,
    changed("losses: softmax_cross_entropy", 'losses: ["*sigmoid*", all]'),
    changed("dtypes: float32", "dtypes: all"),
    changed("dtypes: float32", "dtypes: [float8_e4m3fn, bfloat16]"),
    changed("dtypes: float32", "dtypes: float32\n    quantities: gradient"),
    changed("dtypes: float32", "dtypes: float32\n    labels: {kind: distribution}"),
    changed(
        "dtypes: float32", "dtypes: float32\n    parameters: {weight: [random, [0.5, 0x1p-1]]}"
    ),
    changed(
        "dtypes: float32", "dtypes: float32\n    parameters: {weight: none, reduction: [mean]}"
    ),
    changed("dtypes: float32", "dtypes: float32\n    parameters: {label_smoothing: 1e-1}"),
    changed("losses: softmax_cross_entropy", "losses: entropy\n    parameters: {base: [e, 2, 10]}"),
    changed(
        "losses: softmax_cross_entropy", "losses: kl_divergence\n    parameters: {log_target: true}"
    ),
    changed("{generator: gap}", "{generator: gap, from: -0x1.8p3, to: max, points: 1e2}"),
    changed("{generator: gap}", "{generator: explicit, values: [1, -inf, 1e4, .5]}"),
    changed(
        "{generator: gap}", "{generator: explicit, values: [[1, nan], [max, 0x1p0]], labels: 0}"
    ),
    changed("[{generator: gap}]", "{generator: gap, classes: [2, 3]}"),
    changed("version: 1", "version: 1\nseed: 12"),
    changed("version: 1", "version: 1\nbaseline: known.yaml"),
    changed("version: 1", "version: 1\nlimits: {max_ulp: inf}"),
    changed(
        "version: 1",
        "version: 1\nlimits: [{max_ulp: 0x1p2, or_rel: 1e-3}, {dtype: float32, p99_ulp: 2}]",
    ),
    changed("version: 1", "version: 1\nlimits: {loss: '*', dtype: float32, allow: nan}"),
    changed("version: 1", "version: 1\nlimits: {times_condition: true, forbid: [ftz, convention]}"),
]
WRONG = [
    changed("sweeps:", "sweps:"),
    changed("version: 1", "version: 2"),
    changed("version: 1", "version: 1\nseed: -1"),
    changed("version: 1", "version: 1\nlimits: []"),
    changed("version: 1", "version: 1\nlimits: {max_ulps: 4}"),
    changed("version: 1", "version: 1\nlimits: {max_ulp: -4}"),
    changed("version: 1", "version: 1\nlimits: {max_ulp: many}"),
    changed("version: 1", "version: 1\nlimits: {loss: softmaks}"),
    changed("version: 1", "version: 1\nlimits: {dtype: float23}"),
    changed("version: 1", "version: 1\nlimits: {allow: [nans]}"),
    changed("version: 1", "version: 1\nlimits: {times_condition: yes please}"),
    changed("version: 1", "version: 1\nimplementations: {target: 'mine:loss'}"),
    changed("version: 1", "version: 1\nimplementations: {loss: softplus}"),
    changed(
        "version: 1",
        "version: 1\nimplementations: {loss: softplus, target: 'a:b', command: [x, '{out}']}",
    ),
    changed("version: 1", "version: 1\nimplementations: {loss: softplus, target: mine}"),
    changed("  small:", "  a small one:"),
    changed("losses: softmax_cross_entropy", "losses: softmax_cross_entropi"),
    changed("    losses: softmax_cross_entropy\n", ""),
    changed("dtypes: float32", "dtypes: fp32"),
    changed("dtypes: float32", "dtypes: []"),
    changed("dtypes: float32", "dtypes: float32\n    quantities: [values]"),
    changed("dtypes: float32", "dtypes: float32\n    labels: {kind: soft}"),
    changed("dtypes: float32", "dtypes: float32\n    labels: {target: all}"),
    changed("dtypes: float32", "dtypes: float32\n    parameters: {label_smooting: 0.1}"),
    changed("dtypes: float32", "dtypes: float32\n    parameters: {label_smoothing: 1.5}"),
    changed("dtypes: float32", "dtypes: float32\n    parameters: {reduction: average}"),
    changed("dtypes: float32", "dtypes: float32\n    parameters: {ignore_index: 1.5}"),
    changed("{generator: gap}", "{generator: gpa}"),
    changed("{generator: gap}", "{from: 0}"),
    changed("{generator: gap}", "{generator: gap, form: 0}"),
    changed("{generator: gap}", "{generator: gap, points: 0}"),
    changed("{generator: gap}", "{generator: gap, points: 2.5}"),
    changed("{generator: gap}", "{generator: gap, points: [2, 3]}"),
    changed("{generator: gap}", "{generator: gap, spacing: even}"),
    changed("{generator: gap}", "{generator: gap, from: max_value}"),
    changed("{generator: gap}", "{generator: explicit}"),
    changed("{generator: gap}", "{generator: normal, rows: 0}"),
    changed("    inputs: [{generator: gap}]\n", ""),
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_the_reader_takes_is_valid(text: str) -> None:
    loads(text)
    assert problems(CONFIG, yaml.safe_load(text)) == []


@pytest.mark.parametrize("text", WRONG)
def test_what_the_reader_refuses_is_not_valid(text: str) -> None:
    with pytest.raises(ConfigError):
        loads(text)
    assert problems(CONFIG, yaml.safe_load(text)) != []


def test_every_generator_has_its_options_with_what_they_mean() -> None:
    defined = config_schema()["$defs"]
    for generator in GENERATORS.values():
        schema = defined[f"input-{generator.name}"]
        assert schema["description"] == generator.summary
        known = {option.name: option.doc for option in generator.options}
        shown = {name: each.get("description") for name, each in schema["properties"].items()}
        assert shown == {"generator": None, **known}


def test_every_loss_and_parameter_can_be_named() -> None:
    defined = config_schema()["$defs"]
    named = {
        each["const"]: each["description"] for each in defined["loss"]["anyOf"] if "const" in each
    }
    assert named == {"all": "Every loss."} | {loss.id: loss.summary for loss in LOSSES.values()}
    parameters = {each.name for loss in LOSSES.values() for each in loss.parameters}
    assert set(defined["parameters"]["properties"]) == parameters


# Reports

GATE = SMALL.replace("generator: gap", "generator: gap, points: 5") + "limits: [{max_ulp: 4}]\n"
MINE = """\
import numpy as np

def loss(logits, labels):
    if len(logits) > 1 and np.isinf(logits).any():
        raise ValueError("no infinities")
    e = np.exp(logits)
    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["run", "gate.yaml"], 1),
        (["check", "mine.py:loss", "--loss", "softmax_cross_entropy", "--dtype", "float16"], 1),
        (["probe", "--loss", "softmax_cross_entropy", "--logits", "20,0,0", "--label", "0"], 0),
        (["probe", "--loss", "softplus", "--logits=-745,inf,nan", "--dtype", "float64"], 0),
    ],
    ids=["run", "check", "probe", "probe-elementwise"],
)
def test_reports_of_real_runs_are_valid(arguments: list[str], status: int, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(GATE)
    (tmp_path / "mine.py").write_text(MINE)
    done = invoke(*arguments, "--format", "json", cwd=tmp_path)
    assert done.exit_code == status, done.stderr
    document = json.loads(done.stdout)
    assert problems(REPORT, document) == []
    assert document["measurements"]
    assert bool(document["violations"]) == bool(status)


def everything() -> Any:
    """A document with something in every place."""
    finding = Finding(Kind.NAN, cell(), 3, witness(index=1, excess_bits=2.5, radius_ulp=1e-9))
    violation = Violation(finding, "nan is not allowed", "nan", Standing.WORSE, "2 rows")
    measured = measurement(
        cell(),
        float("inf"),
        {Kind.NAN: 3},
        max_excess_bits=4.5,
        farthest=witness(),
        first_break=(Kind.NAN, witness()),
        profiles=(Profile("gap", (ProfileBin(1.0, 2.0, 3, 3, 2, 1, float("nan")),)),),
    )
    return to_document(
        report(
            gated=True,
            measurements=(measured,),
            findings=(finding,),
            violations=(violation,),
            tolerated=(violation,),
            changes=(Change(cell(), "p99_ulp", Standing.GONE, "is not there any more"),),
            sources=(Source("softplus", "mine", "mine.py", 3),),
            origins={"softplus mine": ("--implementation", "mine.py:f")},
            skips=(Skip("no gradient", quantity="gradient"),),
            yields=(Yield("s", "gap", "softplus", "float32", 12, None),),
            uncertified=("row 3",),
            deaths=("a worker died",),
            baseline="known.yaml",
            path="gate.yaml",
            timeout_s=2.5,
            reference={"method": "enclosures"},
            config={"anything": [1]},
        )
    )


def test_a_report_with_everything_is_valid() -> None:
    document = json.loads(json.dumps(everything(), allow_nan=False))
    assert problems(REPORT, document) == []


def test_packed_arrays_and_odd_names_are_valid() -> None:
    document = json.loads(
        json.dumps(to_document(report(**many(), reference={"method": "enclosures"})))
    )
    assert problems(REPORT, document) == []
    assert set(document["findings"][0]["witness"]["logits"]) == {"dtype", "shape", "zlib"}


def test_no_object_of_a_report_may_have_another_key_or_lack_one() -> None:
    """But those that are somebody else's: what was asked for, versions, origins, parameters."""
    document = json.loads(json.dumps(everything()))
    places = [("",), *paths(document, ())]
    free = {"config", "environment", "parameters", "origins", "counts", "decided_by"}
    tried = set()
    for place in places:
        steps = [step for step in place if step != ""]
        shape = tuple(step for step in steps if isinstance(step, str))
        if set(shape) & free or shape in tried:
            continue
        tried.add(shape)
        more = copy.deepcopy(document)
        at(more, steps)["surprise"] = 1
        assert problems(REPORT, more), steps
        if shape in (("reference",), ("profile_bins",)):  # a probe has less
            continue
        for key in at(document, steps):
            if shape == ("measurements", "profiles") and key in ("failing", "nan", "infinite"):
                continue  # left out if all are 0
            less = copy.deepcopy(document)
            del at(less, steps)[key]
            assert problems(REPORT, less), (*steps, key)
    assert len(tried) > 10


def paths(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Where the objects are within a document; of a list, the first item."""
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, dict):
                yield (*place, key)
            yield from paths(each, (*place, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield (*place, 0)
        yield from paths(value[0], (*place, 0))


def at(document: Any, steps: list[Any]) -> Any:
    for step in steps:
        document = document[step]
    return document


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["schema_version"], 2),
        (["seed"], -1),
        (["gated"], "yes"),
        (["measurements", 0, "max_ulp"], "infinity"),
        (["measurements", 0, "max_ulp"], None),
        (["measurements", 0, "counts"], {"nans": 3}),
        (["measurements", 0, "quantity"], "values"),
        (["measurements", 0, "witness", "logits"], [1.5]),
        (["findings", 0, "kind"], "not-a-kind"),
        (["violations", 0, "standing"], "unknown"),
        (["sources", 0, "line"], 0),
    ],
)
def test_a_report_with_another_value_is_not_valid(place: list[Any], value: Any) -> None:
    document = json.loads(json.dumps(everything()))
    *steps, last = place
    at(document, steps)[last] = value
    assert problems(REPORT, document)


# Baselines

KNOWN = """\
version: 1
cells:
- loss: softmax_cross_entropy
  implementation: mine.loss
  dtype: float32
  quantity: value
  sweep: confident
  platform: Linux x86_64
  rows: 122
  tolerated:
    nan: {rows: 3}
    inaccurate: {rows: 31, ulp: 16777216.0}
    p99_ulp: {rows: 4, ulp: 0x1.8p3}
  recorded: {date: "2026-11-21", platform: Linux x86_64, xentcheck: 0.5.0, python: 3.12.1}
"""


def baseline_problems(text: str) -> list[str]:
    return problems(BASELINE, yaml.safe_load(text))


def test_a_baseline_is_valid_as_it_is_read_and_as_it_is_written() -> None:
    assert baseline_problems(KNOWN) == []
    assert baseline_problems("version: 1\ncells: []\n") == []
    written = baseline_file.dumps(baseline_file.loads(KNOWN))
    assert "16800000.0" in written
    assert baseline_problems(written) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("cells:", "cell:"),
        ("loss: softmax_cross_entropy", "loss: softmax_cross_entropi"),
        ("dtype: float32", "dtype: fp32"),
        ("quantity: value", "quantity: values"),
        ("  sweep: confident\n", ""),
        ("  platform: Linux x86_64\n", "  plattform: Linux x86_64\n"),
        ("rows: 122", "rows: 0"),
        ("nan: {rows: 3}", "nans: {rows: 3}"),
        ("nan: {rows: 3}", "nan: {ulp: 3}"),
        ("nan: {rows: 3}", "nan: {rows: 3, more: 1}"),
        ("nan: {rows: 3}", "nan: {rows: 3, ulp: -1}"),
        ("nan: {rows: 3}", "nan: {rows: 3, ulp: many}"),
    ],
)
def test_what_no_baseline_may_say_is_not_valid(old: str, new: str) -> None:
    text = KNOWN.replace(old, new, 1)
    assert text != KNOWN
    with pytest.raises(ConfigError):
        baseline_file.loads(text)
    assert baseline_problems(text) != []


def test_every_kind_can_be_tolerated() -> None:
    tolerated = baseline_schema()["$defs"]["cell"]["properties"]["tolerated"]["properties"]
    assert set(tolerated) == {*RULES}
    quantities = baseline_schema()["$defs"]["cell"]["properties"]["quantity"]["enum"]
    assert quantities == [str(each) for each in Quantity]
