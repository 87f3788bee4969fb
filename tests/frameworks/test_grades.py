"""Which grade the losses of frameworks have: what they ship passes the gate of `absolute`."""

import importlib.util

import pytest

from xentcheck import audit
from xentcheck.model import Grade

HOW = {"loss": "softmax_cross_entropy", "dtypes": "float32", "min_grade": "absolute"}


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs torch: pip install 'xentcheck[torch]'"
)
def test_cross_entropy_of_torch_passes_the_gate_that_the_strict_one_refuses():
    report = audit("torch.nn.functional:cross_entropy", framework="torch", **HOW)
    assert report.passed
    assert {each.cell.quantity.value for each in report.measurements} == {"value", "gradient"}
    grades = {each.grade for each in report.measurements}
    assert Grade.ABSOLUTE in grades
    assert grades.isdisjoint({Grade.BROKEN, Grade.LOSSY, None})
    # at p → 1 the largest component of a gradient is lost
    assert max(each.max_norm for each in report.measurements) == 1.0
    strict = audit(
        "torch.nn.functional:cross_entropy", framework="torch", **(HOW | {"min_grade": "accurate"})
    )
    assert not strict.passed
