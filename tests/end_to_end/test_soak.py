"""The instrument agrees with itself on whatever it is given: a bounded form of the soak."""

import pytest

from tests.end_to_end.soak import VALUES, configurations, wrong
from xentcheck.auditing.run import audit
from xentcheck.losses import LOSSES

PAIRS = (("float32", "float8_e4m3fn"), ("float64", "bfloat16"), ("float16", "float8_e5m2"))


def test_every_parameter_has_a_value_to_be_tried():
    names = {each.name for loss in LOSSES.values() for each in loss.parameters}
    assert names - {"reduction"} == set(VALUES)


@pytest.mark.slow
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_fast_tiers_and_mpmath_are_of_one_opinion(loss):
    """In two of the dtypes, in turn."""
    dtypes = PAIRS[sorted(LOSSES).index(loss) % len(PAIRS)]
    plain = next(configurations(seed=3, rows=2, losses=(loss,), dtypes=dtypes))
    report = audit(plain)
    assert report.reference["rows"] > 100
    assert wrong(report) == []


@pytest.mark.slow
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_with_every_parameter_too(loss):
    rows = 0
    for config in configurations(seed=4, rows=16, losses=(loss,)):
        report = audit(config)
        assert wrong(report) == [], config
        rows += report.reference["rows"]
    assert rows > 1000
