"""The smallest limits that would pass: they do, and one per cent less does not."""

import dataclasses
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import xentcheck
from tests.auditing.test_audit import configured, mine, softplus
from tests.running import invoke
from xentcheck import config, registry
from xentcheck.auditing.run import audit
from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.gate.would_pass import Loosened, rounded_up, would_pass
from xentcheck.model import (
    P99,
    Cell,
    Finding,
    Grade,
    Kind,
    Limit,
    Measurement,
    Quantity,
    Report,
    Tolerance,
    Violation,
)
from xentcheck.report import document, words

DTYPES = ("float16", "bfloat16", "float32", "float64")

GUIDE = """
seed: 3
sweeps:
  swept:
    losses: [LOSS]
    dtypes: [DTYPE]
    implementations: ["numpy.*"]
    inputs:
      - {generator: INPUT, rows: 40}
"""


def passes(given, tolerance, **limit):
    """How the same audit ends with another tolerance."""
    limits = (dataclasses.replace(given.limits[0], tolerance=tolerance, **limit),)
    return outcome(audit(dataclasses.replace(given, limits=limits))) is Outcome.PASSED


@pytest.mark.parametrize(
    ("loss", "dtype", "source"),
    [
        ("softmax_cross_entropy", "float32", "normal"),
        ("log_softmax", "float16", "gap"),
        ("sigmoid_binary_cross_entropy", "bfloat16", "gap"),
        ("softplus", "float64", "normal"),
    ],
)
def test_every_alternative_passes_and_one_per_cent_less_does_not(loss, dtype, source):
    text = GUIDE.replace("LOSS", loss).replace("DTYPE", dtype).replace("INPUT", source)
    if source == "gap":
        text = text.replace("rows: 40", "points: 40")
    whole = config.loads(text)
    told = 0
    for each in registry.implementations():
        if each.loss != loss or not each.name.startswith("numpy.") or dtype not in each.dtypes:
            continue
        limit = Limit(Tolerance(max_ulp=1.0), path="limits[0]", implementation=each.name)
        sweeps = tuple(
            dataclasses.replace(sweep, implementations=(each.name,)) for sweep in whole.sweeps
        )
        given = dataclasses.replace(whole, sweeps=sweeps, limits=(limit,))
        report = audit(given)
        for found in would_pass(report):
            allow = frozenset(found.excluded)
            for alternative in found.alternatives:
                (item,) = alternative.items()
                if item[0] == "min_grade":
                    graded = Tolerance(max_ulp=np.inf, min_grade=Grade(item[1]))
                    assert passes(given, graded, allow=allow), (each.name, item)
                    continue
                name, bound = item[0], float(item[1])
                enough = dataclasses.replace(limit.tolerance, **{name: bound})
                less = dataclasses.replace(limit.tolerance, **{name: bound * 0.99})
                assert passes(given, enough, allow=allow), (each.name, item)
                assert not passes(given, less, allow=allow), (each.name, item)
                told += 1
    assert told


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_check_tells_is_what_passes(dtype, tmp_path):
    (tmp_path / "loss.py").write_text(
        "import numpy as np\n"
        "def loss(x):\n"
        "    return np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))\n"
    )
    words_ = ("check", "loss.py:loss", "--loss", "softplus", "--dtype", dtype, "--gradient", "none")
    failed = invoke(*words_, cwd=tmp_path)
    assert failed.exit_code == 1
    line = failed.stdout[failed.stdout.index("enough") :].partition("gate")[0]
    first = " ".join(line.split()).split("`")[1]
    option, number = first.split()
    assert option == "--or-abs"
    # log(1 + e^-|x|) is off by half an ulp of 1 at most, and a few roundings of the rest
    epsilon = float(np.finfo(dtype).eps)
    assert epsilon / 4 < float(number) < 64 * epsilon
    assert invoke(*words_, option, number, cwd=tmp_path).exit_code == 0
    less = repr(float(number) * 0.99)
    assert invoke(*words_, option, less, cwd=tmp_path).exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_binary_cross_entropy"])
def test_check_of_the_whole_field_guide(loss, dtype):
    for each in registry.implementations():
        if each.loss != loss or not each.name.startswith("numpy.") or dtype not in each.dtypes:
            continue

        def checked(each=each, **bounds):
            return xentcheck.audit(
                each.value,
                loss,
                gradient=each.gradient,
                dtypes=dtype,
                sanity_check=False,
                allow_skips=True,
                **bounds,
            )

        report = checked()
        for found in would_pass(report):
            for alternative in found.alternatives:
                allow = tuple(map(str, found.excluded))
                bounds = {name: float(bound) for name, bound in alternative.items()}
                more = {"or_excess_bits": 2.0} if "max_ulp" in bounds else {}
                assert outcome(checked(**bounds, **more, allow=allow)) is Outcome.PASSED, each.name
                less = {name: 0.99 * bound for name, bound in bounds.items()}
                assert outcome(checked(**less, **more, allow=allow)) is Outcome.FAILED, each.name


def test_a_nan_is_named_as_what_no_bound_excuses():
    def broken(x):
        return np.where(x > 50, np.float32(np.nan), softplus(x) + np.float32(1e-6))

    given = configured(limits=[Limit(Tolerance(), path="limits[0]")])
    report = audit(given, extra=[mine(broken, gradient=None)])
    (found,) = would_pass(report)
    assert found.excluded[0] is Kind.NAN
    (line,) = words.loosened_lines(report)
    assert line.startswith("no bound would pass: nan is not allowed at any; ")
    assert "the rest would pass with `or_abs: " in line
    assert json.loads(document.to_json(report))["would_pass"][0]["excluded"] == ["nan"]


def test_nothing_is_told_where_a_kind_with_a_size_needs_too_much():
    # a bound that excuses a part of the rows may turn a plateau into other kinds
    large, small = violation(Kind.PLATEAU), violation(or_abs=1e-3)
    (found,) = would_pass(reported(large, small))
    assert found == Loosened("limits[0]", (), (Kind.PLATEAU,))
    assert words.loosened_lines(reported(large, small)) == [
        "no bound would pass: plateau is not allowed at any up to 10,000"
    ]


def test_a_wrong_sign_is_excused_by_an_absolute_error_alone():
    def turned(x):
        return np.where(x == -20, -softplus(x), softplus(x))

    given = configured(limits=[Limit(Tolerance(), path="limits[0]")])
    report = audit(given, extra=[mine(turned, gradient=None)])
    (found,) = would_pass(report)
    assert [set(each) for each in found.alternatives] == [{"or_abs"}, {"min_grade"}]
    # twice softplus(-20) = 4.1223072e-9, rounded up
    assert found.alternatives[0]["or_abs"] == Decimal("4.14E-9")


def test_a_plateau_is_excused_where_its_farthest_row_is():
    def clipped(x):
        return np.maximum(softplus(x), np.float32(1e-3))

    text = """
    sweeps:
      small:
        losses: softplus
        dtypes: float32
        quantities: value
        inputs:
          - {generator: explicit, values: [-30, -20, -12, -9, 1]}
    """.replace("\n    ", "\n")
    given = configured(text=text, limits=[Limit(Tolerance(), path="limits[0]")])
    given = dataclasses.replace(
        given, sweeps=tuple(dataclasses.replace(s, implementations=("mine",)) for s in given.sweeps)
    )
    report = audit(given, extra=[mine(clipped, gradient=None)])
    assert [each.rule for each in report.violations] == ["plateau"]
    (found,) = would_pass(report)
    # 0.001 - softplus(-30) = 0.001 - 9.36e-14
    assert found.alternatives[0]["or_abs"] == rounded_up(float(np.float32(1e-3)) - 9.3576e-14)


def test_a_percentile_has_its_own_bound():
    def off(x):
        right = softplus(x)
        return (right + 10 * np.spacing(right)).astype(x.dtype)

    limit = Limit(Tolerance(max_ulp=np.inf, p99_ulp=4.0), path="limits[0]")
    report = audit(configured(limits=[limit]), extra=[mine(off, gradient=None)])
    (found,) = would_pass(report)
    ((name, bound),) = found.alternatives[0].items()
    assert name == P99
    assert 9.5 < bound < 11.0
    enough = dataclasses.replace(limit, tolerance=Tolerance(max_ulp=np.inf, p99_ulp=float(bound)))
    again = audit(configured(limits=[enough]), extra=[mine(off, gradient=None)])
    assert outcome(again) is Outcome.PASSED


def test_rows_worse_than_a_peer_are_excused_by_an_absolute_error():
    def lost(x):
        return np.where(x == -20, np.float32(0), softplus(x))

    limit = Limit(implementation="mine", against=("peer",), relative=True, path="limits[0]")
    given = [mine(lost, gradient=None), mine(name="peer", gradient=None)]
    report = audit(configured("mine", limits=[limit]), extra=given)
    (found,) = would_pass(report)
    bound = float(found.alternatives[0]["or_abs"])
    assert bound == pytest.approx(2.0611536e-9, rel=0.01)
    for factor, ends in ((1.0, Outcome.PASSED), (0.99, Outcome.FAILED)):
        loose = dataclasses.replace(limit, tolerance=Tolerance(or_abs=factor * bound))
        again = audit(configured("mine", limits=[loose]), extra=given)
        assert outcome(again) is ends


@pytest.mark.parametrize(
    ("needed", "told"),
    [
        (5.9604644775390625e-8, "6.0E-8"),  # 2^-24
        (1.0, "1.01"),  # 1.1 would be ten per cent too much
        (9.99, "10.01"),  # 11 and 10.1 would be too much
        (12.3, "12.4"),
        (0.5, "0.501"),
    ],
)
def test_a_bound_is_rounded_up_by_less_than_one_per_cent(needed, told):
    found = rounded_up(needed)
    assert found == Decimal(told)
    assert Decimal("0.99") * found < Decimal(needed) < found


@pytest.mark.parametrize("exponent", [-1074, -500, -30, 0, 13])
def test_rounding_holds_everywhere(exponent):
    for share in np.random.default_rng(1).uniform(1, 2, 200).tolist():
        needed = float(np.ldexp(share, exponent))
        assert Decimal("0.99") * rounded_up(needed) < Decimal(needed) < rounded_up(needed)


CELL = Cell("softplus", "mine", "float32", Quantity.VALUE, "small")


def reported(*violations, grades=(), **config_):
    measurements = tuple(
        Measurement(CELL, 1, 1.0, 1.0, 1.0, 1.0, {}, grade=grade) for grade in grades
    )
    return Report({}, 0, config_, measurements, (), tuple(violations), (), (), gated=True)


def violation(kind=Kind.INACCURATE, place="limits[0]", **bounds):
    return Violation(Finding(kind, CELL, 1), "max_ulp 4", str(kind), place=place, bounds=bounds)


def test_grades_are_told_where_every_cell_has_one():
    fault = violation(or_abs=2.0**-24, max_ulp=9e3)
    (found,) = would_pass(reported(fault, grades=(Grade.ACCURATE, Grade.ABSOLUTE)))
    assert found.alternatives[-1] == {"min_grade": Grade.ABSOLUTE}
    report = reported(fault, grades=(Grade.ABSOLUTE,), command="check", or_excess_bits=2.0)
    (line,) = words.loosened_lines(report)
    assert line.endswith(" or `--min-grade absolute` would pass")
    assert line.startswith("`--or-abs 6.0e-8` or `--max-ulp 9020 --or-excess-bits 2` or")
    (found,) = would_pass(reported(fault, grades=(Grade.ABSOLUTE, None)))
    assert len(found.alternatives) == 2
    (found,) = would_pass(reported(fault, grades=(Grade.BROKEN,)))
    assert len(found.alternatives) == 2
    (found,) = would_pass(reported(fault, violation(Kind.RAISED), grades=(Grade.LOSSY,)))
    assert len(found.alternatives) == 2


def test_each_limit_has_its_own_line():
    report = reported(
        violation(or_abs=1e-3),
        violation(place="limits[2]", max_ulp=12.0, or_abs=2e-6),
        violation(Kind.INCONSISTENT, place="limits[2]"),
    )
    one, other = words.loosened_lines(report)
    assert one == "limits[0]: `or_abs: 0.00101` would pass"
    assert other.startswith(
        "limits[2]: no bound is known to pass inconsistent; the rest would pass"
    )
    assert other.endswith(" with `or_abs: 2.01e-6` or `max_ulp: 12.1`")
    assert would_pass(reported()) == ()
    assert would_pass(reported(violation(Kind.NAN))) == (Loosened("limits[0]", (), (Kind.NAN,)),)


def test_a_grade_that_fails_is_told_with_the_grade_that_passes(tmp_path: Path) -> None:
    """The worst grade of the cells that fail; with it the gate passes."""
    words = (
        "check",
        "xentcheck.implementations.numpy.softmax:ce_lse_minus_logit",
        *("--loss", "softmax_cross_entropy", "--dtype", "float32", "--gradient", "none"),
    )
    failed = invoke(*words, "--min-grade", "absolute", cwd=tmp_path)
    assert failed.exit_code == 1
    assert "`--min-grade lossy` would pass" in failed.stdout
    assert invoke(*words, "--min-grade", "lossy", cwd=tmp_path).exit_code == 0
