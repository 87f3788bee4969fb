"""Ways to call one function, compared; and implementations that live in processes of their own."""

import dataclasses
import json
import os
import time

import numpy as np
import pytest

from tests.auditing.test_audit import SWEEP, configured, kinds, mine, sigmoid, softplus
from xentcheck.auditing.run import audit
from xentcheck.errors import UnsupportedError
from xentcheck.model import Kind, LabelKind, Limit, Process, Quantity, Tolerance, selected
from xentcheck.report import document
from xentcheck.report.formats import atlas
from xentcheck.report.formats.table import render_table
from xentcheck.report.grid import to_text

TWO_DTYPES = SWEEP.replace("[float32]", "[float32, float64]")
HERE = Process("here")


def naive(x):
    """0 from where 1 + e^x is 1 on: below about -16.6 in float32."""
    return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))


def off_by(ulps):
    def function(x):
        right = softplus(x)
        return (right + ulps * np.spacing(right)).astype(x.dtype)

    return function


def variant(value, name="mine@other", plain="mine", **more):
    return mine(value, name=name, plain=plain, **more)


def inconsistent(report):
    return [each for each in report.findings if each.kind is Kind.INCONSISTENT]


def compared(*given, names=("mine", "*@*"), limits=(), text=SWEEP):
    quoted = [f'"{name}"' for name in names]
    return audit(configured(*quoted, limits=limits, text=text), extra=given)


def test_a_variant_that_disagrees_is_a_finding_with_both_results():
    report = compared(mine(), variant(naive, gradient=None))
    (found,) = inconsistent(report)
    assert found.cell.implementation == "mine@other"
    assert found.cell.quantity is Quantity.VALUE
    assert found.rows == 1  # at -100 the result is subnormal: 0 is what flushing makes of it
    assert found.witness is not None
    assert float(found.witness.logits) == -20
    # e^-20 = 2.0611536e-9, and 2.061e-9 is 2^-28.85: an ulp of float32 is 2^-52 there
    assert found.detail == "value 0, where mine gives 2.06115369e-09"
    assert found.distance == pytest.approx(2.061153622e-9 * 2.0**52)


def test_variants_that_agree_to_twice_the_tolerance_are_consistent():
    assert not inconsistent(compared(mine(), variant(off_by(8))))
    (found,) = inconsistent(compared(mine(), variant(off_by(9))))
    assert 8 < found.distance <= 9
    wide = Limit(Tolerance(max_ulp=4.5))
    assert not inconsistent(compared(mine(), variant(off_by(9)), limits=[wide]))
    absolute = Limit(Tolerance(max_ulp=0, or_abs=2.0**-10))
    assert not inconsistent(compared(mine(), variant(off_by(9)), limits=[absolute]))


def test_an_inconsistent_variant_violates_a_limit():
    report = compared(mine(), variant(naive, gradient=None), limits=[Limit()])
    assert Kind.INCONSISTENT in {each.finding.kind for each in report.violations}


def test_a_nan_on_one_side_only_disagrees_and_on_both_sides_agrees():
    def broken(x):
        return np.where(x > 50, np.float32(np.nan), softplus(x))

    (found,) = inconsistent(compared(mine(), variant(broken, gradient=None)))
    assert found.rows == 1
    assert found.distance == np.inf
    assert found.detail == "value nan, where mine gives 100"
    assert not inconsistent(compared(mine(broken), variant(broken)))


def test_a_flushed_subnormal_agrees_with_it():
    text = SWEEP.replace("[-100, ", "[")
    below = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[-100]")

    def flushing(x):
        right = softplus(x)
        return np.where(right < np.finfo(np.float32).tiny, np.float32(0), right)

    report = compared(mine(), variant(flushing, gradient=None), text=below)
    assert kinds(report) == {Kind.FTZ}
    assert not inconsistent(compared(mine(), variant(flushing, gradient=None), text=text))


def test_results_of_different_dtypes_are_compared_in_the_narrower():
    def wide(x):
        return np.logaddexp(0.0, x.astype(np.float64))

    assert not inconsistent(compared(mine(), variant(wide, gradient=None)))
    (found,) = inconsistent(compared(mine(), variant(lambda x: wide(x) * 1.0001, gradient=None)))
    assert 800 < found.distance < 1700  # 1e-4 in units between 2^-24 and 2^-23 of the result


def test_a_row_that_raised_is_not_compared():
    def raising(x):
        if (x == 20).any():
            raise ValueError("not 20")
        return softplus(x)

    report = compared(mine(), variant(raising, gradient=None))
    assert kinds(report) == {Kind.RAISED}


def test_gradients_are_compared_too_and_components_are_named():
    def other(x):
        return np.where(x == 1, np.float32(0), sigmoid(x))

    (found,) = inconsistent(compared(mine(), variant(softplus, gradient=other)))
    assert found.cell.quantity is Quantity.GRADIENT
    assert found.detail == "gradient 0, where mine gives 0.731058598"


def test_variants_are_selected_by_patterns_with_an_at_only():
    assert selected("torch.f", ["torch.*"])
    assert not selected("torch.f@jit", ["torch.*", "*"])
    assert selected("torch.f@jit", ["*", "*@*"])
    assert selected("torch.f@jit", ["*@jit"])
    assert not selected("torch.f@jit", ["*@eager"])
    report = compared(mine(), variant(naive), names=("mi*",))
    assert {each.cell.implementation for each in report.measurements} == {"mine"}


def test_without_the_plain_call_there_is_nothing_to_compare():
    report = compared(mine(), variant(naive, gradient=None), names=("*@*",))
    assert {each.cell.implementation for each in report.measurements} == {"mine@other"}
    assert not inconsistent(report)


def refusing(x):
    if x.dtype == np.float64:
        raise UnsupportedError("has no kernel for float64")
    return softplus(x)


def test_what_an_implementation_does_not_support_is_a_skip_with_its_reason():
    both = ("float32", "float64")
    report = audit(configured(text=TWO_DTYPES), extra=[mine(refusing, dtypes=both)])
    (skip,) = [each for each in report.skips if "kernel" in each.reason]
    assert (skip.dtype, skip.quantity, skip.implementation) == ("float64", "value", "mine")
    assert not report.findings
    cells = {(each.cell.dtype, each.cell.quantity.value) for each in report.measurements}
    assert cells == {("float32", "value"), ("float32", "gradient"), ("float64", "gradient")}


def test_a_framework_that_is_not_there_is_one_skip_with_the_remedy():
    absent = Process("absent", ("no_such_framework",), "pip install 'it'")
    first = mine(name="absent.one", process=absent)
    report = audit(
        configured('"*"'), extra=[mine(), first, mine(name="absent.two", process=absent)]
    )
    (skip,) = [each for each in report.skips if "no_such_framework" in each.reason]
    assert skip.reason == "no_such_framework is not installed: pip install 'it'"
    assert skip.missing == "absent"
    assert "absent.one" not in {each.cell.implementation for each in report.measurements}


def dying(x):
    if (x > 50).any():
        os._exit(3)
    return softplus(x)


def hanging(x):
    if (x > 50).any():
        time.sleep(600)
    return softplus(x)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_dies_in_its_own_process_is_a_finding_for_its_own_cells(workers):
    deadly = mine(dying, name="deadly", process=HERE)
    report = audit(configured("mine", "deadly"), extra=[mine(), deadly], workers=workers)
    (found,) = report.findings
    assert found.kind is Kind.CRASHED
    assert found.detail == "died of exit status 3"
    assert (found.cell.implementation, found.cell.quantity) == ("deadly", Quantity.VALUE)
    assert report.deaths == ()
    alone = audit(configured("mine"), extra=[mine()])
    for with_it, without in zip(report.measurements, alone.measurements, strict=False):
        assert document.to_json(dataclasses.replace(alone, measurements=(with_it,))) == (
            document.to_json(dataclasses.replace(alone, measurements=(without,)))
        )


def test_what_takes_too_long_is_a_finding():
    slow = mine(hanging, name="slow", process=HERE)
    report = audit(configured("mine", "slow"), extra=[mine(), slow], timeout_s=2.0)
    (found,) = report.findings
    assert found.kind is Kind.TIMED_OUT
    assert found.detail == "gave no result within 2 s"


def dying_unweighted(x, z, *, pos_weight=1.0):
    if pos_weight == 1.0:
        os._exit(3)
    return np.zeros_like(x)


def test_a_lost_implementation_is_not_called_again_on_the_same_part():
    text = SWEEP.replace("losses: softplus", "losses: sigmoid_binary_cross_entropy").replace(
        "    inputs:",
        "    parameters: {pos_weight: [1, 2]}\n    labels: {targets: random}\n    inputs:",
    )
    deadly = mine(
        dying_unweighted,
        gradient=None,
        process=HERE,
        loss="sigmoid_binary_cross_entropy",
        label_kinds=(LabelKind.TARGET,),
        parameters=frozenset({"pos_weight"}),
    )
    (found,) = audit(configured(text=text), extra=[deadly]).findings
    assert found.kind is Kind.CRASHED
    assert found.rows == 14  # also the block that it would have survived


def test_the_same_function_gives_the_same_report_wherever_it_runs():
    here = audit(configured(), extra=[mine()])
    apart = audit(configured(), extra=[mine(process=HERE)], workers=2)
    assert document.to_json(apart) == document.to_json(here)


def test_versions_of_the_frameworks_in_use_are_told():
    process = Process("versions", ("click",))
    report = audit(configured(), extra=[mine(process=process)])
    assert report.environment["click"]
    assert "click" not in audit(configured(), extra=[mine()]).environment


def test_the_first_row_that_breaks_is_told():
    text = SWEEP.replace("[-100, -20, -1, 0, 1, 20, 100]", "[0, -1, -20, -30, -40]")
    report = audit(configured(text=text), extra=[mine(naive, gradient=None)])
    (measurement,) = report.measurements
    assert measurement.first_break is not None
    kind, witness = measurement.first_break
    assert (kind, float(witness.logits), witness.row) == (Kind.SPURIOUS_UNDERFLOW, -20.0, 2)
    (written,) = json.loads(document.to_json(report))["measurements"]
    assert written["first_break"]["kind"] == "spurious-underflow"
    sound = audit(configured(text=text), extra=[mine()])
    assert all(each.first_break is None for each in sound.measurements)


def test_what_leaves_the_results_right_is_no_break():
    def writing(x):
        result = softplus(x)
        x += 1
        return result

    report = audit(configured(), extra=[mine(writing, gradient=None)])
    assert kinds(report) == {Kind.MUTATED_INPUT}
    assert report.measurements[0].first_break is None

    def raising(x):
        if (x > 10).any():
            raise ValueError("too much")
        return softplus(x)

    report = audit(configured(), extra=[mine(raising, gradient=None)])
    assert report.measurements[0].first_break is not None
    kind, witness = report.measurements[0].first_break
    assert (kind, float(witness.logits)) == (Kind.RAISED, 20.0)


def test_the_atlas_has_a_line_per_function_and_the_variants_that_disagree():
    text = SWEEP.replace(
        "generator: explicit, values: [-100, -20, -1, 0, 1, 20, 100]",
        "generator: gap, from: 0, to: -40, points: 41",
    )
    absent = mine(name="absent.f|g", process=Process("absent", ("no_such_framework",), "get it"))
    given = [mine(naive, gradient=None), variant(softplus, gradient=None), absent]
    lines = atlas.render(compared(*given, text=text, names=("*", "*@*")), "1999-12-31").splitlines()
    assert lines[2].startswith("Measured on 1999-12-31 on ")
    (line,) = [each for each in lines if each.startswith("| `mine` | float32 | value")]
    # rounding 1 + e^x is worth up to 2^-24: 16 ulp of a result of 2^-4.4, that of -3
    assert line.endswith(("| -2: inaccurate |", "| -3: inaccurate |"))
    assert "spurious-underflow 24" in line  # from -17 on
    (line,) = [each for each in lines if each.startswith("| `mine@other` | softplus | float32 |")]
    assert 24 <= int(line.split(" | ")[3]) < 41
    exponent = float(line.split(" | ")[4])  # where the digits before the binary point are most
    assert f"value {np.float32(np.exp(exponent)):.9g}, where mine gives 0" in line
    assert "- no_such_framework is not installed: get it" in lines


def test_the_replay_of_a_disagreement_asks_both():
    text = to_text(
        render_table(compared(mine(), variant(naive, gradient=None), limits=[Limit()]), 100),
        100,
        color=False,
    )
    _, _, detail = text.partition("inconsistent  softplus  mine@other")
    words = " ".join(detail.replace("\\\n", " ").split())
    assert "--implementation mine --implementation mine@other" in words
