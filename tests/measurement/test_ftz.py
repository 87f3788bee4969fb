"""A zero for a subnormal result is flushed only where the implementation is seen to flush."""

import dataclasses
import functools
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.auditing.test_audit import configured, kinds, mine, softplus
from tests.running import Result, invoke
from xentcheck import config
from xentcheck.auditing import probe
from xentcheck.auditing.run import audit
from xentcheck.floats import FORMATS, from_float64
from xentcheck.measurement.flushing import subnormal
from xentcheck.model import Implementation, Kind, LabelKind, Limit, Quantity
from xentcheck.report import document
from xentcheck.report.detail import Detail
from xentcheck.report.formats import csv, table

TINY = np.finfo(np.float32).tiny

SIGMOID = """
seed: 3
sweeps:
  low:
    losses: sigmoid
    dtypes: [DTYPE]
    implementations: [mine]
    inputs:
      - {generator: explicit, values: [VALUES]}
"""


def wide_sigmoid(x):
    """σ(x) for float32 and narrower, through float64."""
    wide = x.astype(np.float64)
    return np.exp(np.minimum(wide, 0)) / (1 + np.exp(-np.abs(wide)))


def right(x):
    return wide_sigmoid(x).astype(x.dtype)


def overflowing(x):
    """1/(1 + e^−x): 0 from −88.73 on, where e^88.73 overflows."""
    return 1 / (1 + np.exp(-x))


def flushing(x):
    result = right(x)
    return np.where(result < FORMATS[str(x.dtype)].smallest_normal, 0, result).astype(x.dtype)


def cut(x):
    """0 below −87, where the result is 1.6e-38: still a normal number."""
    return np.where(x < -87, 0, right(x)).astype(x.dtype)


def sigmoids(value, values="-95, -89.5, -2, 3", dtype="float32", **more):
    given = SIGMOID.replace("DTYPE", dtype).replace("VALUES", values)
    loaded = config.loads(given)
    implementation = mine(value, None, loss="sigmoid", dtypes=(dtype,), **more)
    return audit(loaded, extra=[implementation])


def test_an_overflow_on_the_way_is_no_flushing():
    report = sigmoids(overflowing)
    (finding,) = (each for each in report.findings if each.kind is not Kind.FP_SIGNAL)
    assert (finding.kind, finding.rows) == (Kind.SPURIOUS_UNDERFLOW, 2)
    assert "nothing is flushed" in finding.detail
    (measurement,) = report.measurements
    assert measurement.counts == {Kind.SPURIOUS_UNDERFLOW: 2, Kind.FP_SIGNAL: 1}
    # e^-89.5 = 1.4e-39 in units of 2^-149, the farther off of the two
    exact = math.exp(-89.5) / (1 + math.exp(-89.5)) / 2.0**-149
    assert measurement.max_ulp == pytest.approx(exact, rel=1e-9)
    assert finding.witness is not None
    assert float(finding.witness.logits) == -89.5
    assert report.uncertified == ()


def test_the_first_row_that_is_lost_is_where_it_breaks():
    broken = sigmoids(overflowing).measurements[0].first_break
    assert broken is not None
    assert broken[0] is Kind.SPURIOUS_UNDERFLOW
    assert (broken[1].row, float(broken[1].logits)) == (0, -95.0)
    assert sigmoids(flushing).measurements[0].first_break is None


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_an_implementation_that_flushes_is_seen_to(dtype):
    below = {"float16": "-10.5, -12", "float32": "-95, -89.5"}[dtype]
    report = sigmoids(flushing, f"{below}, -2, 3", dtype)
    assert report.measurements[0].counts == {Kind.FTZ: 2}
    assert report.uncertified == ()


def test_a_cut_among_normal_results_is_no_flushing():
    # no row of the sweep lies between -87.34, where results become subnormal, and -87
    assert sigmoids(cut).measurements[0].counts == {Kind.SPURIOUS_UNDERFLOW: 2}
    assert kinds(sigmoids(cut)) == {Kind.SPURIOUS_UNDERFLOW}


def test_a_subnormal_result_elsewhere_in_the_sweep_is_proof_against():
    """It is right in a block of one row, as the experiment has none; in others it flushes."""

    def by_company(x):
        return right(x) if len(x) == 5 else flushing(x)

    alone = audit(
        configured(text=SIGMOID.replace("DTYPE", "float32").replace("VALUES", "-95")),
        extra=[mine(by_company, None, loss="sigmoid")],
    )
    assert kinds(alone) == {Kind.FTZ}
    text = (
        SIGMOID.replace("DTYPE", "float32")
        .replace("VALUES", "-95, 1")
        .replace(
            "      - {generator",
            "      - {generator: explicit, values: [-96, -97, -98, 1, 2]}\n      - {generator",
            1,
        )
    )
    both = audit(config.loads(text), extra=[mine(by_company, None, loss="sigmoid")])
    assert {Kind.SPURIOUS_UNDERFLOW, Kind.ROW_DEPENDENT} == kinds(both)


LOGSUMEXP = """
seed: 3
sweeps:
  low:
    losses: logsumexp
    dtypes: [float32]
    implementations: [mine]
    inputs:
      - {generator: explicit, values: [[1.0e-39], [-1.0e-38]]}
      - {generator: explicit, values: [[-89.5, 0], [-95, 0], [1, 2]]}
"""


def shifted_logsumexp(x):
    wide = np.sort(x.astype(np.float64), axis=1)
    rest = np.exp(wide[:, :-1] - wide[:, -1:]).sum(axis=1)
    return wide[:, -1] + np.log1p(rest)


def logsumexp_but(x, *, of_one):
    result = shifted_logsumexp(x)
    result = np.where(np.abs(result) < TINY, 0, result)
    return (of_one(x[:, 0]) if x.shape[1] == 1 else result).astype(x.dtype)


@pytest.mark.parametrize(
    ("of_one", "kind"),
    [
        (lambda x: x, Kind.FTZ),  # as XLA does: x + log1p(0) is x
        (lambda x: x.astype(np.float64) + 2.0**-140, Kind.SPURIOUS_UNDERFLOW),
    ],
)
def test_an_input_that_comes_back_is_no_proof_against(of_one, kind):
    value = functools.partial(logsumexp_but, of_one=of_one)
    report = audit(config.loads(LOGSUMEXP), extra=[mine(value, None, loss="logsumexp")])
    (measurement,) = report.measurements
    assert measurement.counts[kind] == 2
    assert not {Kind.FTZ, Kind.SPURIOUS_UNDERFLOW} - {kind} & {*measurement.counts}


def test_a_zero_by_an_implementation_that_raises_in_the_experiment_is_a_fault():
    def picky(x):
        if len(x) > 4:
            raise ValueError(len(x))
        return flushing(x)

    assert kinds(sigmoids(picky)) == {Kind.SPURIOUS_UNDERFLOW}


def softmax_implementation(value=None, gradient=None):
    def nothing(x):
        wide = x.astype(np.float64)
        e = np.exp(wide - wide.max(axis=1, keepdims=True))
        return (e / e.sum(axis=1, keepdims=True)).astype(x.dtype)

    return Implementation(
        "softmax",
        "mine",
        value or nothing,
        gradient,
        ("float32",),
        (LabelKind.INTEGER,),
        frozenset(),
    )


SOFTMAX = """
seed: 3
sweeps:
  rows:
    losses: softmax
    dtypes: [float32]
    implementations: [mine]
    quantities: [value]
    labels: {targets: argmax}
    inputs:
      - {generator: explicit, values: [[0, -90, -1], [0, -92, -2], [0, -3, -4]]}
"""


def lost_below(limit, off=False):
    """Softmax with zeros where it is below a limit; ``off``: its last class is inaccurate."""

    def value(x):
        wide = x.astype(np.float64)
        e = np.exp(wide - wide.max(axis=1, keepdims=True))
        p = (e / e.sum(axis=1, keepdims=True)).astype(np.float32)
        if off:
            p[:, 2] *= np.float32(1.001)
        return np.where(p < np.float32(limit), np.float32(0), p)

    return softmax_implementation(value)


def test_a_row_that_is_inaccurate_besides_is_of_the_graver_kind():
    """e^-90 = 8.2e-40 and e^-92 = 1.1e-40 are subnormal; all three rows are 0.1 % off elsewhere."""
    flushed = audit(config.loads(SOFTMAX), extra=[lost_below(TINY, off=True)])
    assert flushed.measurements[0].counts == {Kind.INACCURATE: 3}
    # zeros below 1e-39 only: 2e-39 comes back in the experiment
    lost = audit(config.loads(SOFTMAX), extra=[lost_below(1e-39, off=True)])
    assert lost.measurements[0].counts == {Kind.SPURIOUS_UNDERFLOW: 2, Kind.INACCURATE: 1}
    by_kind = {each.kind: each for each in lost.findings}
    witness = by_kind[Kind.SPURIOUS_UNDERFLOW].witness
    assert witness is not None
    assert (witness.index, witness.actual, witness.row) == (1, 0.0, 0)
    assert lost.uncertified == flushed.uncertified == ()


def test_a_gradient_that_is_lost_has_vanished():
    def gradient(x):
        slope = right(x)
        return np.where(x < -89, 0, slope).astype(x.dtype)

    report = audit(configured(), extra=[mine(softplus, gradient)])
    by_quantity = {each.cell.quantity: each.counts for each in report.measurements}
    assert by_quantity[Quantity.GRADIENT] == {Kind.VANISHED_GRADIENT: 1}  # at -100


def test_under_a_reduction_rows_are_scaled_one_by_one():
    text = """
seed: 1
sweeps:
  mean:
    losses: sigmoid_binary_cross_entropy
    dtypes: [float32]
    implementations: [mine]
    quantities: [value]
    parameters: {reduction: [mean]}
    inputs: [{generator: explicit, values: [-91, -92], labels: [0, 0]}]
"""

    def mean(flush):
        def value(x, z, reduction="none"):
            x, z = x.astype(np.float64), z.astype(np.float64)
            total = (z * np.logaddexp(0, -x) + (1 - z) * np.logaddexp(0, x)).mean()
            return np.float32(0 if total < (TINY if flush else 1e-39) else total)

        return Implementation(
            "sigmoid_binary_cross_entropy",
            "mine",
            value,
            None,
            ("float32",),
            (LabelKind.TARGET,),
            frozenset({"reduction"}),
        )

    for flush, wanted in ((True, Kind.FTZ), (False, Kind.SPURIOUS_UNDERFLOW)):
        report = audit(config.loads(text), extra=[mean(flush)])
        assert report.measurements[0].counts == {wanted: 1}  # a block is one result


def test_any_number_of_workers_says_the_same():
    """In a sweep of many parts, of which only some have rows that are lost."""
    text = SIGMOID.replace(
        "      - {generator: explicit, values: [VALUES]}",
        "      - {generator: ulp-uniform, rows: 150000, from: -104, to: -80}",
    ).replace("DTYPE", "float32")
    reports = [
        document.to_json(audit(config.loads(text), extra=[each], workers=workers))
        for each in [mine(overflowing, None, loss="sigmoid")]
        for workers in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert '"ftz"' not in reports[0]


def test_a_probe_says_the_same_as_an_audit():
    for value, kind in ((overflowing, Kind.SPURIOUS_UNDERFLOW), (flushing, Kind.FTZ)):
        implementation = mine(value, None, loss="sigmoid")
        asked = probe.probe(
            "sigmoid",
            [-95.0],
            dtypes=("float32",),
            implementations=("mine",),
            extra=[implementation],
        )
        assert kinds(asked.report) - {Kind.FP_SIGNAL} == {kind}
        assert [each.kind for line in asked.lines for each in line.results] == [kind]


def test_a_zero_that_is_lost_fails_a_gate_and_a_flushed_one_does_not():
    for value, failed in ((overflowing, 1), (flushing, 0)):
        text = SIGMOID.replace("DTYPE", "float32").replace("VALUES", "-95, 2")
        limits = (Limit(),)
        loaded = configured(text=text, limits=limits)
        report = audit(loaded, extra=[mine(value, None, loss="sigmoid")])
        assert len(report.violations) == failed


@pytest.mark.parametrize("name", FORMATS)
def test_subnormal_numbers_are_told_by_their_bits(name):
    target = FORMATS[name]
    least = Fraction(target.smallest_subnormal)
    numbers = [0.0, -0.0, float(least), -float(least), target.smallest_normal, 1.0, math.nan]
    numbers.append(target.smallest_normal - float(least))
    wanted = [False, False, True, True, False, False, False, True]
    assert subnormal(from_float64(np.array(numbers), name)).tolist() == wanted


def checked(folder: Path, body: str, *options: str) -> Result:
    (folder / "losses.py").write_text(body)
    words = ("check", "losses.py:sigmoid", "--loss", "sigmoid", "--dtype", "float32")
    return invoke(*words, "--workers", "1", *options, cwd=folder)


def test_check_fails_on_an_overflow_and_passes_what_flushes(tmp_path):
    naive = "import numpy as np\ndef sigmoid(x):\n    return 1 / (1 + np.exp(-x))\n"
    told = checked(tmp_path, naive)
    assert told.exit_code == 1, told.stderr
    assert "spurious-underflow" in told.stdout
    assert "ftz" not in told.stdout
    by_hand = (
        "import numpy as np\n"
        "def sigmoid(x):\n"
        "    w = x.astype(np.float64)\n"
        "    r = (np.exp(np.minimum(w, 0)) / (1 + np.exp(-abs(w)))).astype(x.dtype)\n"
        "    return np.where(abs(r) < np.finfo(x.dtype).tiny, np.float32(0), r)\n"
    )
    told = checked(tmp_path, by_hand)
    assert told.exit_code == 0, told.stdout
    assert "ftz" in told.stdout
    told = checked(tmp_path, by_hand, "--forbid", "ftz")
    assert told.exit_code == 1, told.stdout


def flushing_logsumexp(x):
    """−log p of the first class by log1p, each term flushed on its own, one row off by 40 ulp."""
    gaps = x[:, 1:] - x[:, :1]
    terms = np.exp(gaps.astype(np.float64))
    terms = np.where(terms < TINY, 0.0, terms).sum(axis=1)
    result = np.log1p(terms).astype(np.float32)
    result = np.where(result < TINY, 0, result).astype(np.float32)
    return np.where(gaps[:, 0] == -5, result + 40 * np.spacing(result), result)


def unflushed_logsumexp(x):
    result = np.log1p(np.exp((x[:, 1:] - x[:, :1]).astype(np.float64)).sum(axis=1))
    lost = np.exp((x[:, 2] - x[:, 0]).astype(np.float64))
    return np.where(result < 3 * TINY, np.maximum(result - lost, TINY), result).astype(np.float32)


TERMS = """
sweeps:
  low:
    losses: logsumexp
    dtypes: [float32]
    implementations: [mine]
    inputs:
      - generator: explicit
        values: [[0, -86.8, -88.2], [0, -87.7, -87.9], [0, -95, -96], [0, -5, -6]]
"""


class TestTermsOfASum:
    """Each term may be flushed alone: then a normal result is off by less than they are."""

    def report(self, value):
        loaded = dataclasses.replace(config.loads(TERMS), invariants=())
        implementation = mine(value, None, loss="logsumexp", dtypes=("float32",))
        return audit(loaded, extra=[implementation])

    def test_a_partial_sum_of_what_is_seen_to_flush_is_flushed(self):
        (measurement,) = self.report(flushing_logsumexp).measurements
        assert measurement.counts == {Kind.FTZ: 3, Kind.INACCURATE: 1}

    def test_without_evidence_it_is_inaccurate(self):
        (measurement,) = self.report(unflushed_logsumexp).measurements
        assert Kind.FTZ not in measurement.counts
        assert measurement.counts[Kind.INACCURATE] >= 1

    def test_the_worst_result_that_was_not_flushed_stands_beside_the_worst_of_all(self):
        report = self.report(flushing_logsumexp)
        (measurement,) = report.measurements
        assert measurement.max_ulp > 2.0**22
        assert measurement.max_normal_ulp == pytest.approx(40, abs=0.6)
        assert measurement.normal.logits.tolist() == [0, -5, -6]
        text = document.to_json(report)
        (written,) = json.loads(text)["measurements"]
        assert written["max_normal_ulp"] == measurement.max_normal_ulp
        assert written["normal"]["logits"] == [float(each).hex() for each in (0, -5, -6)]
        (read,) = document.from_json(text, "r.json").measurements
        assert read.max_normal_ulp == measurement.max_normal_ulp
        assert read.normal.logits.tolist() == [0, -5, -6]
        (row,) = csv.rows(report)
        assert row["max_normal_ulp"] == measurement.max_normal_ulp
        shown = table.render(report, 100, detail=Detail.CELLS)
        assert f"{measurement.max_normal_ulp:.1f} ulp without ftz" in shown

    def test_where_nothing_is_flushed_the_two_are_one(self):
        (measurement,) = self.report(unflushed_logsumexp).measurements
        assert measurement.normal is measurement.farthest
        assert measurement.max_normal_ulp == measurement.max_ulp


def test_a_coarse_result_that_drops_to_zero_is_not_flushed():
    """−log p in float16 has steps of 4.9e-4: instead of 2e-4 it gives 0, and nothing is flushed."""

    def value(x):
        gap = (x[:, 1] - x[:, 0]).astype(np.float16)
        return -np.log(np.float16(1) / (np.float16(1) + np.exp(gap)))

    loaded = config.loads(
        "sweeps: {s: {losses: logsumexp, dtypes: float16, quantities: value, inputs: "
        "[{generator: explicit, values: [[0, -10], [0, -10.5], [0, -12], [0, -3]]}]}}"
    )
    implementation = mine(value, None, loss="logsumexp", dtypes=("float16",))
    (measurement,) = audit(loaded, extra=[implementation], select=["mine"]).measurements
    assert Kind.FTZ not in measurement.counts
    assert measurement.counts[Kind.SPURIOUS_UNDERFLOW] == 3


def test_a_row_of_many_classes_shows_flushing_too():
    def softmax(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return np.where(p < FORMATS[str(x.dtype)].smallest_normal, 0, p).astype(x.dtype)

    loaded = config.loads(
        "sweeps: {s: {losses: softmax, dtypes: [float64, float32], quantities: value, inputs: "
        "[{generator: explicit, values: [[-260.8, -39.9, -286.3, 279, 70, 213.8, -394.1, 333.4, "
        "-374.5, 277.7], [0, 1, 2, 3, 4, 5, 6, 7, 8, -92]]}]}}"
    )
    implementation = mine(softmax, None, loss="softmax", dtypes=("float32", "float64"))
    report = audit(loaded, extra=[implementation], select=["mine"])
    for measurement in report.measurements:
        assert measurement.counts[Kind.FTZ] == 1, measurement.cell
        assert Kind.SPURIOUS_UNDERFLOW not in measurement.counts
