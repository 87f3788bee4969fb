"""Which findings violate which limits, and what a violation says."""

import dataclasses
import math

import pytest

from xentcheck.gate.limits import judge
from xentcheck.model import NOTES, Cell, Config, Finding, Kind, Limit, Quantity, Tolerance

CELL = Cell("softplus", "mine", "float32", Quantity.VALUE, "small")


def found(kind, distance=0.0, **other):
    return Finding(kind, dataclasses.replace(CELL, **other), 1, distance=distance)


def judged(findings, *limits):
    return judge(Config(sweeps=(), limits=limits), findings)


def test_without_limits_nothing_violates():
    assert judged([found(kind) for kind in Kind]) == ()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_but_a_note_is_forbidden_until_it_is_allowed(kind):
    loose = Limit(Tolerance(1e300, or_abs=1e300))
    assert bool(judged([found(kind)], loose)) == (kind not in NOTES)
    assert judged([found(kind)], dataclasses.replace(loose, allow=frozenset({kind}))) == ()


def test_allowing_a_kind_allows_no_other():
    violations = judged([found(Kind.NAN), found(Kind.RAISED)], Limit(allow=frozenset({Kind.NAN})))
    assert [each.finding.kind for each in violations] == [Kind.RAISED]


def test_a_row_may_not_change_with_its_batch_where_that_is_forbidden():
    finding = found(Kind.BATCH_VARIANT, 1.0)
    assert judged([finding], Limit()) == ()
    invariant = Limit(forbid=frozenset({Kind.BATCH_VARIANT}))
    (violation,) = judged([finding], invariant)
    assert violation.limit == "no row may change with its batch"
    assert invariant.batch_invariant
    assert not Limit().batch_invariant


@pytest.mark.parametrize(
    "pattern",
    [
        {"loss": "soft*"},
        {"implementation": "m?ne"},
        {"dtype": "float32"},
        {"quantity": "value"},
        {"sweep": "[st]mall"},
    ],
)
def test_a_limit_governs_what_its_pattern_matches(pattern):
    (name,) = pattern
    elsewhere = found(Kind.NAN, **{name: Quantity.GRADIENT if name == "quantity" else "zzz"})
    violations = judged([found(Kind.NAN), elsewhere], Limit(**pattern))
    assert [each.finding.cell for each in violations] == [CELL]


def test_the_last_limit_that_matches_governs_alone():
    allowing = Limit(allow=frozenset({Kind.NAN}), implementation="m*")
    assert judged([found(Kind.NAN)], Limit(), allowing) == ()
    assert len(judged([found(Kind.NAN)], allowing, Limit())) == 1
    assert judged([found(Kind.NAN)], allowing, Limit(dtype="float64")) == ()


def test_violations_keep_the_order_of_the_findings():
    findings = [found(Kind.INACCURATE), found(Kind.CONVENTION), found(Kind.NAN)]
    kinds = [each.finding.kind for each in judged(findings, Limit())]
    assert kinds == [Kind.INACCURATE, Kind.NAN]


@pytest.mark.parametrize(
    ("kind", "tolerance", "text"),
    [
        (Kind.INACCURATE, Tolerance(4.0), "max_ulp 4"),
        (Kind.INACCURATE, Tolerance(0.5, or_abs=1e-7), "max_ulp 0.5 or_abs 1e-07"),
        (
            Kind.PLATEAU,
            Tolerance(4.0, or_abs=0.25, times_condition=True),
            "max_ulp 4 × condition number or_abs 0.25",
        ),
        (Kind.NAN, Tolerance(4.0, or_abs=1.0), "nan is not allowed"),
        # found with the same tolerance as an error
        (
            Kind.ROW_DEPENDENT,
            Tolerance(4.0, or_abs=1.0, times_condition=True),
            "max_ulp 4 × condition number or_abs 1",
        ),
        (Kind.ROW_DEPENDENT, Tolerance(math.inf, p99_ulp=4.0), "p99_ulp 4"),
        (Kind.ROW_DEPENDENT, Tolerance(math.inf, max_excess_bits=2.0), "max_excess_bits 2"),
    ],
)
def test_a_violation_says_what_would_have_been_allowed(kind, tolerance, text):
    (violation,) = judged([found(kind, 100.0)], Limit(tolerance))
    assert violation.limit == text
