"""A NaN where the formula does not look: neither who gathers nor who spreads it is accused.

The wanted kinds follow from the formulas: −Σ y log p and Σ t (log t − x) have no term for a class
without label or target, and a component of their gradients depends on its own class alone.
"""

import math
import subprocess
import sys

import numpy as np
import pytest

from tests.execution.test_corners import assert_contained, case
from xentcheck.floats import FORMATS
from xentcheck.measurement.scoring import score
from xentcheck.model import Kind, Quantity, Tolerance, kind_of
from xentcheck.reference import Reference, Tier, exact, tiers_for

INF, NAN = math.inf, math.nan
CCE, NLL, KL = "categorical_cross_entropy", "nll_loss", "kl_divergence"
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT
NOTED, MISSED = Kind.CONVENTION, Kind.MISSED_NAN

# loss, x, labels, quantity, {results of the row: the kind of each of its components}
ROWS = [
    # only the label's probability is looked at
    (CCE, [0.5, NAN], 0, VALUE, {(-math.log(0.5),): [None], (NAN,): [NOTED]}),
    (CCE, [0.5, NAN], 0, GRADIENT, {(-2.0, 0.0): [None, None], (-2.0, NAN): [None, NOTED]}),
    # NaN at the label must come out; of another class it may come out, or be 0, or -0
    (CCE, [NAN, NAN], 0, VALUE, {(0.5,): [MISSED], (NAN,): [None]}),
    (CCE, [NAN, NAN], 0, GRADIENT, {(NAN, -0.0): [None, None], (0.0, 0.0): [MISSED, None]}),
    (CCE, [NAN, NAN], 0, GRADIENT, {(NAN, NAN): [None, NOTED], (-1.0, NAN): [MISSED, NOTED]}),
    (CCE, [NAN, -1.0], 0, GRADIENT, {(NAN, 0.0): [None, None], (0.0, NAN): [MISSED, NOTED]}),
    (CCE, [NAN, NAN], [1.0, 0.0], GRADIENT, {(NAN, 0.0): [None, None]}),
    (CCE, [NAN, NAN], [0.5, 0.5], GRADIENT, {(NAN, 0.0): [None, MISSED]}),
    (CCE, [0.5, NAN], [NAN, 0.0], GRADIENT, {(NAN, 0.0): [None, None], (0.0, 0.0): [MISSED, None]}),
    (NLL, [-1.0, NAN], 0, VALUE, {(1.0,): [None], (NAN,): [NOTED]}),
    (NLL, [NAN, NAN], 0, VALUE, {(0.0,): [MISSED], (NAN,): [None]}),
    (NLL, [NAN, NAN], 0, GRADIENT, {(-1.0, 0.0): [None, None], (NAN, NAN): [NOTED, NOTED]}),
    # a target of 0 takes its class out of the formula
    (KL, [0.0, NAN], [1.0, 0.0], VALUE, {(0.0,): [None], (NAN,): [NOTED]}),
    (KL, [NAN, -1.0], [1.0, 0.0], VALUE, {(0.0,): [MISSED], (NAN,): [None]}),
    (KL, [-INF, NAN], [1.0, 0.0], VALUE, {(INF,): [None], (NAN,): [NOTED]}),
    (KL, [-1.0, -2.0], [NAN, 0.5], VALUE, {(0.5,): [MISSED], (NAN,): [None]}),
    (
        KL,
        [-1.0, -2.0],
        [NAN, 0.5],
        GRADIENT,
        {(NAN, -0.5): [None, None], (0.0, NAN): [MISSED, NOTED]},
    ),
]


@pytest.mark.parametrize(("loss", "x", "labels", "quantity", "results"), ROWS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_only_what_enters_the_formula_must_hand_a_nan_on(
    loss, x, labels, quantity, results, dtype
) -> None:
    given = case(loss, [x], [labels], dtype)
    everywhere = [exact(given).value if quantity is VALUE else exact(given).gradient]
    everywhere += [
        Reference(given, tiers=(tier, Tier.MPMATH)).at(quantity, slice(0, 1))
        for tier in tiers_for(dtype)[:-1]
    ]
    for enclosures in everywhere:
        for actual, kinds in results.items():
            shape = (1,) if quantity is VALUE else (1, len(x))
            shaped = np.array(actual, FORMATS[dtype].dtype).reshape(shape)
            scores = score(shaped, enclosures, quantity=quantity, tolerance=Tolerance(max_ulp=4))
            assert [kind_of(int(each)) for each in scores.kinds.ravel()] == kinds, actual
    assert_contained(given)


def test_the_command_accuses_nobody_who_gathers() -> None:
    command = "probe --loss categorical_cross_entropy --logits=nan,nan --label=0 --dtype float32"
    done = subprocess.run(
        [sys.executable, "-m", "xentcheck", *command.split(), "--implementation", "numpy.*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "numpy.gather" in done.stdout
    assert "missed-nan" not in done.stdout
