"""A report read back from JSON: complete, to the bit, and refused with reasons where it is not."""

import dataclasses
import enum
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import numpy as np
import pytest

from tests.making import changed as changed_witness
from tests.making import witness_of
from tests.running import invoke
from xentcheck.auditing.run import audit
from xentcheck.config import load
from xentcheck.floats import FORMATS
from xentcheck.model import (
    Attainable,
    Cause,
    Cell,
    Change,
    Contest,
    Diagnosis,
    Encounter,
    Explained,
    Fault,
    Finding,
    Grade,
    Improvement,
    Kind,
    Measurement,
    Profile,
    ProfileBin,
    Proof,
    Quantity,
    Report,
    SafeRange,
    Searched,
    Skip,
    Source,
    Standing,
    Stretch,
    Violation,
    Yield,
)
from xentcheck.reading.json import LONGEST_LIST
from xentcheck.report import document

RUNS = {
    "kinds and infinities": """\
        losses: [softmax_cross_entropy, logsumexp]
        dtypes: [float16, bfloat16, float32, float64]
        inputs:
          - generator: explicit
            values: [[20, 0, 0], [1000, 2000, 3000], [nan, 0, 1], [-inf, 0, inf], [-0.0, 0, 0]]
        """,
    "distributions and smoothing": """\
        losses: [softmax_cross_entropy]
        dtypes: [float32]
        labels: {kind: distribution}
        parameters: {label_smoothing: [0, 0.1]}
        inputs: [{generator: normal, rows: 3, classes: [4], scale: 30}]
        """,
    "reduced with weights": """\
        losses: [softmax_cross_entropy]
        dtypes: [float32]
        parameters: {reduction: [mean, sum], weight: [random]}
        inputs: [{generator: normal, rows: 6, classes: [3], scale: 30}]
        """,
    "elementwise": """\
        losses: [sigmoid_binary_cross_entropy]
        dtypes: [float16, float64]
        inputs: [{generator: gap, from: -50, to: 50, points: 7}]
        """,
    "a vocabulary": """\
        losses: [softmax_cross_entropy]
        dtypes: [bfloat16, float32]
        labels: {targets: random}
        implementations: [numpy.naive, numpy.clipped]
        inputs: [{generator: normal, rows: 2, classes: [2000], scale: 40}]
        """,
}
GATE = """\
sweeps:
  small:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: numpy.naive
    inputs: [{generator: explicit, values: [[20, 0, 0], [1000, 2000, 3000]]}]
limits:
  - max_ulp: 4
"""


def configuration(text: str) -> str:
    return f"sweeps:\n  it:\n{indent(dedent(text), ' ' * 4)}"


def same(one: Any, other: Any, path: str = "report") -> None:
    """That two values of the model are equal, arrays with their dtypes and signs of zero."""
    if isinstance(one, np.generic):  # a row of an elementwise loss
        one = np.asarray(one)
    if dataclasses.is_dataclass(one):
        assert type(one) is type(other), path
        for each in dataclasses.fields(one):
            same(getattr(one, each.name), getattr(other, each.name), f"{path}.{each.name}")
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray), path
        assert (one.dtype, one.shape) == (other.dtype, other.shape), path
        np.testing.assert_array_equal(
            np.asarray(one, np.float64), np.asarray(other, np.float64), err_msg=path
        )
        np.testing.assert_array_equal(
            np.signbit(np.nan_to_num(np.asarray(one, np.float64))),
            np.signbit(np.nan_to_num(np.asarray(other, np.float64))),
            err_msg=path,
        )
    elif isinstance(one, Mapping):
        assert list(one) == list(other), path
        for key in one:
            same(one[key], other[key], f"{path}[{key!r}]")
    elif isinstance(one, tuple):
        assert len(one) == len(other), path
        for i, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            same(mine, theirs, f"{path}[{i}]")
    elif isinstance(one, float) and not isinstance(one, enum.Enum):
        assert isinstance(other, float), path
        assert one == other or (math.isnan(one) and math.isnan(other)), path
        assert math.isnan(one) or math.copysign(1, one) == math.copysign(1, other), path
    else:
        assert one == other, path


def told(report: Report) -> Report:
    """The report without what its document leaves out, or puts in JSON's own types."""
    return dataclasses.replace(
        report,
        unaudited=(),
        config=json.loads(document.to_json(report))["config"],
        reference=json.loads(document.to_json(report))["reference"],
    )


def constructed() -> Report:
    """A report with something in every field."""
    cell = Cell("softmax_cross_entropy", "it's [odd] <&>", "float32", Quantity.GRADIENT, "s|1\n2")
    witness = witness_of(
        logits=np.array([math.nan, -math.inf, -0.0, 1.5], np.float32),
        labels=np.array([0.25, 0.25, 0.5, 0.0], np.float32),
        parameters={
            "label_smoothing": 0.1,
            "temperature": math.inf,
            "ignore_index": -100,
            "flag": True,
            "reduction": "mean",
            "weight": np.array([1.0, math.nan, 0.1, 0.0], np.float32),
        },
        actual=-0.0,
        expected=math.inf,
        exact="1e+400",
        ulp_error=math.nan,
        abs_error=math.inf,
        index=2,
        row=7,
        place=3,
        generator="gap",
        result_dtype="float32",
        excess_bits=1.5,
        radius_ulp=1e-30,
        note="a\nnote",
    )
    far = changed_witness(witness, ulp_error=3.5, row=8)
    told = ("exp-overflow", "hint", "detail", math.inf)
    finding = Finding(Kind.NAN, cell, 3, witness, *told, original=far)
    curve = (Improvement(7, 0.5, "sweep"), Improvement(64, 3.5, "line"))
    violation = Violation(finding, "max_ulp 4", "nan", Standing.WORSE, "1 of 9 rows")
    attainable = Attainable(
        "log1p", 4, 1.5, "float64", 0.5, math.nan, tuple(zip(Fault, (3, 1, 0), strict=True))
    )
    return Report(
        environment={"xentcheck": "0.1", "platform": "Linux x86_64"},
        seed=7,
        config={"seed": 7, "sweeps": {"a": {"scale": 0.1, "values": [["nan", 1]]}}, "none": None},
        measurements=(
            Measurement(
                cell,
                9,
                3.5,
                math.nan,
                0.25,
                math.inf,
                {Kind.NAN: 3, Kind.CONVENTION: 1},
                witness,
                "float32",
                2.5,
                1,
                (Kind.NAN, witness.input),
                6,
                1,
                far,
                grade=Grade.LOSSY,
                graded=far,
                max_norm=0.125,
                normwise=changed_witness(witness, ulp_error=2.5, row=5),
                profiles=(
                    Profile(
                        "gap",
                        (
                            ProfileBin(0.0, 0.0, 4, 0, 0, 0, 0.5),
                            ProfileBin(2.0, 2.5, 2, 2, 0, 1, math.nan),
                            ProfileBin(2.0**64, sys.float_info.max, 1, 0, 0, 0, 3.45e18),
                        ),
                    ),
                    Profile("error", (ProfileBin(0.0, 2.0**-10, 5, 0, 0, 0, 0.0),)),
                ),
            ),
        ),
        findings=(finding, dataclasses.replace(finding, witness=None, cause=None, distance=0.0)),
        violations=(violation,),
        skips=(Skip("why", "a", "b", "c", "value", "d", "torch"), Skip("else")),
        yields=(Yield("s", "gap", "l", "float32", 9, None), Yield("s", "g", "l", "float32", 9, 8)),
        gated=True,
        interrupted=True,
        uncertified=("a case",),
        deaths=("a death",),
        reference={"method": "m", "rows": 3},
        origins={"softmax_cross_entropy it's [odd] <&>": ("--implementation", "a.py:b")},
        sources=(Source("l", "i", "a.py", 12),),
        baseline="base.yaml",
        tolerated=(dataclasses.replace(violation, standing=None),),
        changes=(Change(cell, "nan", Standing.GONE, "text", "plateau"),),
        path="a.yaml",
        timeout_s=2.5,
        omissions=(Skip("gone", "l", "i", "float32", "gradient"),),
        strict=True,
        baseline_note="recorded elsewhere",
        contests=(
            Contest(
                cell,
                "a.peer",
                9,
                3,
                2,
                {Kind.NAN: 2, Kind.INACCURATE: 1},
                {Kind.NAN: Encounter(witness, far), Kind.INACCURATE: Encounter(far, witness)},
                Encounter(far, witness, Kind.NAN),
                (1, 4, 7),
                (2, 3),
                "float64",
            ),
        ),
        diagnoses=(
            Diagnosis(
                Cause.ABSORBED_TAIL,
                "l",
                "i",
                (Explained("float32", Quantity.VALUE, 3, 4, 9),),
                ("the results are those of a form",),
                witness,
                cell,
                Kind.INACCURATE,
                "log1p(tail)",
                (Proof("log1p", "float32", Quantity.VALUE, 3, math.inf, 1),),
                ("another form gives 3 %",),
                far,
                (("float32", Quantity.VALUE, attainable),),
            ),
            Diagnosis(Cause.UNKNOWN, "l", "j", ()),
        ),
        safe_ranges=(
            SafeRange(
                "l",
                "i",
                "float32",
                Quantity.VALUE,
                "gap",
                (Stretch(Grade.ABSOLUTE, -0.0, 1.5), Stretch(Grade.ACCURATE, 2.0, math.inf)),
                "accurate from 2 on",
                Grade.LOSSY,
            ),
            SafeRange("l", "i", "float32", Quantity.GRADIENT, "gap", (), "NaN for every gap"),
        ),
        searches=(
            Searched(cell, "nan", 99, 3.5, far, math.nan, curve, {"line": 9}, True, "why"),
            Searched(cell, "excess", 0, math.nan, None, 0.5),
        ),
    )


class TestRoundTrip:
    @pytest.mark.parametrize("name", RUNS)
    def test_a_run_comes_back_to_the_bit(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "it.yaml"
        path.write_text(configuration(RUNS[name]))
        report = audit(load(str(path)), select=("numpy.*",))
        assert report.measurements
        written = document.to_json(report)
        back = document.from_json(written, name)
        assert document.to_json(back) == written
        assert ('"zlib"' in written) == (name == "a vocabulary")
        same(told(report), back)

    def test_every_field_comes_back(self) -> None:
        report = constructed()
        filled = {field.name for field in dataclasses.fields(Report) if getattr(report, field.name)}
        assert filled == {field.name for field in dataclasses.fields(Report)} - {"unaudited"}
        written = document.to_json(report)
        back = document.from_json(written, "it")
        assert document.to_json(back) == written
        same(report, back)

    @pytest.mark.parametrize("dtype", FORMATS)
    @pytest.mark.parametrize("size", [3, LONGEST_LIST + 1])
    def test_arrays_of_every_dtype_come_back(self, dtype: str, size: int) -> None:
        logits = np.linspace(-3, 3, size).astype(FORMATS[dtype].dtype)
        report = constructed()
        (measurement,) = report.measurements
        cell = dataclasses.replace(measurement.cell, dtype=dtype)
        assert measurement.witness is not None
        labels = np.arange(size, dtype=np.int64)
        witness = changed_witness(
            measurement.witness, logits=logits, labels=labels, parameters={"weight": logits}
        )
        changed = Measurement(cell, 1, 1.0, 1.0, 1.0, 1.0, {}, witness, "float32")
        report = dataclasses.replace(report, measurements=(changed,))
        back = document.from_json(document.to_json(report), "it").measurements[0].witness
        assert back is not None
        same(witness, back)

    def test_the_row_of_the_grade_is_the_witness_where_no_other_is_shown(self) -> None:
        report = constructed()
        (measurement,) = report.measurements
        shown = measurement.witness
        changed = dataclasses.replace(measurement, graded=shown, normwise=shown)
        text = document.to_json(dataclasses.replace(report, measurements=(changed,)))
        (written,) = json.loads(text)["measurements"]
        assert (written["graded"], written["normwise"]) == (None, None)
        (back,) = document.from_json(text, "it").measurements
        assert back.graded is back.witness is back.normwise

    def test_a_report_from_before_grades_is_read(self) -> None:
        written = json.loads(document.to_json(constructed()))
        for name in ("grade", "graded", "max_norm", "normwise"):
            del written["measurements"][0][name]
        (back,) = document.from_json(json.dumps(written), "it").measurements
        assert (back.grade, back.graded, back.normwise) == (None, None, None)
        assert math.isnan(back.max_norm)

    def test_a_report_from_before_profiles_is_read(self) -> None:
        written = json.loads(document.to_json(constructed()))
        del written["profile_bins"]
        del written["measurements"][0]["profiles"]
        (back,) = document.from_json(json.dumps(written), "it").measurements
        assert back.profiles == ()

    def test_profiles_are_lists_of_numbers_and_share_the_edges_of_their_bins(self) -> None:
        report = constructed()
        (measurement,) = report.measurements
        gap = Profile("gap", (ProfileBin(1.0, 2.0, 9, 0, 0, 0, 1.5),))
        other = dataclasses.replace(measurement, profiles=(gap,))
        bare = dataclasses.replace(measurement, profiles=())
        report = dataclasses.replace(report, measurements=(measurement, other, bare))
        text = document.to_json(report)
        written = json.loads(text)
        assert written == document.to_document(report)
        assert written["profile_bins"] == {
            "error": {"low": [0.0], "high": [2.0**-10]},
            "gap": {
                "low": [0.0, 1.0, 2.0, 2.0**64],
                "high": [0.0, 2.0, 2.5, sys.float_info.max],
            },
        }
        assert [each["profiles"] for each in written["measurements"]] == [
            [
                {
                    "axis": "gap",
                    "bins": [0, 2, 3],
                    "rows": [4, 2, 1],
                    "failing": [0, 2, 0],
                    "infinite": [0, 1, 0],
                    "max_ulp": [0.5, "nan", 3.45e18],
                },
                {"axis": "error", "bins": [0], "rows": [5], "max_ulp": [0.0]},
            ],
            [{"axis": "gap", "bins": [1], "rows": [9], "max_ulp": [1.5]}],
            [],
        ]
        assert text.count('\n    {"axis":') == 3  # each on one line
        same(report, document.from_json(text, "it"))

    def test_the_farthest_row_is_the_witness_where_nothing_worse_is_shown(self) -> None:
        report = constructed()
        (measurement,) = report.measurements
        assert measurement.witness is not None
        finite = changed_witness(measurement.witness, ulp_error=3.5)
        changed = dataclasses.replace(measurement, witness=finite, farthest=finite)
        text = document.to_json(dataclasses.replace(report, measurements=(changed,)))
        assert json.loads(text)["measurements"][0]["farthest"] is None
        (back,) = document.from_json(text, "it").measurements
        assert back.farthest is back.witness

    @pytest.mark.parametrize(
        "command",
        [
            ["run", "gate.yaml"],
            ["check", "naive.py:loss", "--loss", "softmax_cross_entropy", "--dtype", "float16"],
            ["probe", "--loss", "softmax_cross_entropy", "--logits=nan,-0.0,inf", "--label=0"],
        ],
        ids=["run", "check", "probe"],
    )
    def test_what_a_command_wrote_is_shown_as_the_command_shows_it(
        self, place: Path, command: list[str]
    ) -> None:
        done = invoke(*command, *("--format=json", "--output=it.json"), "--format=csv")
        text = (place / "it.json").read_text()
        assert document.to_json(document.read("it.json")) == text
        again = invoke("report", "it.json", "--format=csv")
        assert again.stdout == done.stdout
        assert again.exit_code == done.exit_code
        assert invoke("report", "it.json", "--format=json").stdout == text


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a gate and a loss that fails it."""
    (tmp_path / "gate.yaml").write_text(GATE)
    (tmp_path / "naive.py").write_text(
        "import numpy as np\n\n\ndef loss(logits, labels):\n"
        "    e = np.exp(logits)\n"
        "    return -np.log(e[np.arange(len(e)), labels] / e.sum(axis=1))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


class TestReport:
    def test_the_table_and_the_status_are_those_of_the_run(self, place: Path) -> None:
        ran = invoke("run", "gate.yaml", "--format=table", "--output=-", "--format=json",
                     "--output=it.json")  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "xentcheck", "report", "it.json"],
            check=False,
            capture_output=True,
            text=True,
            env=dict(os.environ),  # not what a C library has put beside it
        )
        assert (ran.exit_code, done.returncode) == (1, 1)
        assert done.stdout == ran.stdout
        assert done.stdout.startswith("gate failed, ")

    def test_several_formats_go_to_several_files(self, place: Path) -> None:
        invoke("run", "gate.yaml", "--output=it.json")
        done = invoke("report", "it.json", "--output=a.txt", "--output=a.md", "--output=a.json")
        assert done.exit_code == 1
        assert done.stdout == ""
        assert (place / "a.json").read_bytes() == (place / "it.json").read_bytes()
        assert "numpy.naive" in (place / "a.txt").read_text()
        assert "numpy.naive" in (place / "a.md").read_text()

    @pytest.mark.parametrize(
        ("changes", "status", "message"),
        [
            (
                {"interrupted": False, "uncertified": (), "violations": (), "omissions": (),
                 "strict": False},
                0,
                "",
            ),
            ({"interrupted": False, "uncertified": ()}, 1, ""),
            ({"uncertified": ()}, 130, "interrupted: the report has only what was finished"),
            ({}, 4, "not audited: a case"),
            (
                {"interrupted": False, "uncertified": (), "violations": (), "measurements": (),
                 "findings": ()},
                3,
                "nothing was audited",
            ),
        ],
    )  # fmt: skip
    def test_the_status_says_how_the_run_ended(
        self, place: Path, changes: dict[str, Any], status: int, message: str
    ) -> None:
        report = dataclasses.replace(constructed(), **changes)
        (place / "it.json").write_text(document.to_json(report))
        done = invoke("report", "it.json", "--format", "json")
        assert done.exit_code == status
        assert message in done.stderr

    def test_a_byte_order_mark_is_passed_over(self, place: Path) -> None:
        text = document.to_json(constructed())
        (place / "it.json").write_text(text, encoding="utf-8-sig")
        assert document.to_json(document.read("it.json")) == text


def changed(change: Callable[[Any], Any]) -> str:
    written = json.loads(document.to_json(constructed()))
    change(written)
    return json.dumps(written)


def setting(*path: Any) -> str:
    """The document with another value, the last of the path, at the place before it."""
    *keys, last, value = path

    def change(written: Any) -> None:
        for key in keys:
            written = written[key]
        written[last] = value

    return changed(change)


def without(*path: Any) -> str:
    *keys, last = path

    def change(written: Any) -> None:
        for key in keys:
            written = written[key]
        del written[last]

    return changed(change)


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ('{\n "schema_version": 1,\n oops}', ":3: not JSON: Expecting property name"),
            ('{"schema_version": 1, "measurements": [', "not JSON"),
            ("[" * 100_000, "not a JSON document"),
            (setting("seed", math.nan), "NaN is no JSON"),
            ("[1, 2]", "not a report of xentcheck run, check or probe"),
            ('{"schema_version": 1, "losses": []}', "not a report"),
            (setting("schema_version", 2), "schema_version 2, and this is a reader of 1"),
            (setting("schema_version", True), "schema_version true, and"),
            (without("seed"), "seed is missing"),
            (without("gated"), "gated is missing"),
            (setting("gated", 1), "gated: expected true or false, not 1"),
            (setting("seed", 1.5), "seed: expected a whole number, not 1.5"),
            (setting("seed", True), "seed: expected a whole number, not true"),
            (setting("measurements", {}), "measurements: expected a list, not {}"),
            (setting("findings", 0, 3), "findings[0]: expected an object, not 3"),
            (without("measurements", 0, "rows"), "measurements[0].rows is missing"),
            (
                setting("measurements", 0, "max_ulp", "big"),
                'measurements[0].max_ulp: expected a number, not "big"',
            ),
            (
                setting("measurements", 0, "max_ulp", 10**400),
                "measurements[0].max_ulp: expected a number, not 1000",
            ),
            (
                setting("measurements", 0, "counts", "nam", 3),
                "measurements[0].counts.nam: unknown \"nam\"; did you mean 'nan'?",
            ),
            (
                setting("findings", 0, "kind", "inacurate"),
                "findings[0].kind: unknown \"inacurate\"; did you mean 'inaccurate'?",
            ),
            (
                setting("findings", 0, "dtype", "fp32"),
                'findings[0].dtype: unknown "fp32"; ',
            ),
            (setting("findings", 0, "quantity", None), "findings[0].quantity: expected a text"),
            (
                setting("findings", 0, "witness", "logits", ["0x1p+2", "two"]),
                "findings[0].witness.logits: no array can be read",
            ),
            (
                setting("findings", 0, "witness", "logits", 1, 5),
                "findings[0].witness.logits: no array can be read",
            ),
            (
                setting("findings", 0, "witness", "logits", {"dtype": "float32", "zlib": "AAAA"}),
                "findings[0].witness.logits: no array can be read",
            ),
            (
                setting("findings", 0, "witness", "labels", [1, 2**70]),
                "findings[0].witness.labels: no array can be read",
            ),
            (
                setting("findings", 0, "witness", "parameters", "weight", None),
                "findings[0].witness.parameters.weight: expected a value, not null",
            ),
            (without("findings", 0, "witness", "exact"), "findings[0].witness.exact is missing"),
            (without("violations", 0, "limit"), "violations[0].limit is missing"),
            (
                setting("violations", 0, "standing", "wors"),
                "violations[0].standing: unknown \"wors\"; did you mean 'worse'?",
            ),
            (
                setting("measurements", 0, "profiles", 0, "bins", [0, 1, 3]),
                'measurements[0].profiles[0].bins: not all of these are bins of "gap"',
            ),
            (
                setting("measurements", 0, "profiles", 0, "axis", "gape"),
                'measurements[0].profiles[0].bins: not all of these are bins of "gape"',
            ),
            (
                setting("measurements", 0, "profiles", 0, "nan", [1]),
                "measurements[0].profiles[0]: the lists are not of one length",
            ),
            (
                setting("measurements", 0, "profiles", 0, "rows", [4, 2.5, 1]),
                "measurements[0].profiles[0].rows: expected a list of whole numbers",
            ),
            (
                without("measurements", 0, "profiles", 1, "max_ulp"),
                "measurements[0].profiles[1].max_ulp is missing",
            ),
            (
                setting("profile_bins", "gap", "low", [0.0]),
                "profile_bins.gap: low and high are not of one length",
            ),
            (setting("skips", 0, "reason", 3), "skips[0].reason: expected a text, not 3"),
            (
                setting("reference", {"decided_by": {"float64": "x"}}),
                'reference.decided_by.float64: expected a whole number, not "x"',
            ),
            (setting("deaths", [1]), "deaths: expected a list of texts, not [1]"),
            (
                setting("environment", "python", "\ud800"),
                "half a surrogate pair",
            ),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(
        self, place: Path, text: str, message: str
    ) -> None:
        (place / "it.json").write_text(text, encoding="utf-8")
        done = invoke("report", "it.json")
        assert done.exit_code == 2
        assert done.stderr.startswith("error: it.json:")
        assert message in done.stderr
        assert "\n    help: " in done.stderr
        assert done.stdout == ""

    def test_files_that_cannot_be_read_are_told(self, place: Path) -> None:
        (place / "latin.json").write_bytes(b'{"schema_version": "\xe9"}')
        (place / "wide.json").write_text("{}", encoding="utf-16")
        assert "there is no such file" in invoke("report", "none.json").stderr
        assert "is a directory" in invoke("report", ".").stderr
        assert "not UTF-8 text (byte 21)" in invoke("report", "latin.json").stderr
        assert "--output" in invoke("report", "wide.json").stderr

    def test_all_problems_are_told_at_once_but_not_thousands(self, place: Path) -> None:
        (place / "two.json").write_text(
            changed(lambda it: (it.pop("seed"), it["measurements"][0].pop("rows")))
        )
        told_ = invoke("report", "two.json").stderr
        assert "seed is missing" in told_
        assert "measurements[0].rows is missing" in told_

        def many(written: Any) -> None:
            written["skips"] = [{"loss": "x"} for _ in range(5000)]

        (place / "many.json").write_text(changed(many))
        told_ = invoke("report", "many.json").stderr
        assert "and 4,992 more" in told_
        assert len(told_.splitlines()) < 15

    def test_reports_from_before_a_key_was_added_are_read(self) -> None:
        text = changed(lambda it: [it.pop(key) for key in ("sources", "tolerated", "origins")])
        back = document.from_json(text, "old")
        assert (back.sources, back.tolerated, back.origins) == ((), (), {})
        assert back.findings

    def test_unknown_keys_are_passed_over(self) -> None:
        text = setting("measurements", 0, "of the future", 1)
        same(constructed(), document.from_json(text, "new"))

    def test_the_help_imports_nothing_heavy(self) -> None:
        for command in ("report", "compare"):
            code = (
                "import sys\nfrom xentcheck.cli import cli\n"
                f"try: cli([{command!r}, '--help'])\nexcept SystemExit: pass\n"
                "heavy = {'numpy', 'mpmath', 'rich', 'yaml'} & set(sys.modules)\n"
                "sys.exit(f'imported {heavy}' if heavy else 0)"
            )
            done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
            assert done.returncode == 0, done.stderr
            assert re.search(rb"Examples:\s+xentcheck", done.stdout)
