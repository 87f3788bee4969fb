"""A form step by step: each computed value beside the exact one; what loses the bits is marked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.diagnosis.exact_numbers import exact_array
from xentcheck.diagnosis.fingerprint import Variant, options_of, run
from xentcheck.diagnosis.steps import Steps
from xentcheck.floats import FORMATS, to_float64, ulp
from xentcheck.model import Case, ShownStep

SHOWN = 4
"""Numbers of a step that are shown; of more, the one with the largest error is."""

LOST = 16.0
"""A step loses bits if its error is this many times that of the worst step before, in ulps."""

_FIRST = 4.0  # ulps: below this no step loses bits


@dataclass(frozen=True, slots=True, eq=False)
class _Value:
    """One number of a step."""

    computed: float
    exact: Any
    error: float


def shown_steps(variant: Variant, case: Case) -> tuple[ShownStep, ...]:
    """The steps of a form on one row.

    Args:
        variant: the form.
        case: a case of one row with finite inputs, without a reduction.

    Returns:
        One entry for each step with a name; empty where exact values cannot be computed.
    """
    _, steps = run(variant, case, case.dtype)
    exact = _exactly(variant, case)
    dtype = variant.compute or case.dtype
    found: list[ShownStep] = []
    worst = _FIRST
    marked = False
    for name, value in steps.named.items():
        if name not in exact:
            continue
        computed = np.atleast_1d(to_float64(np.asarray(value))).ravel()
        truth = np.atleast_1d(np.asarray(exact[name], dtype=object)).ravel()
        if len(computed) != len(truth):
            continue
        values = [
            _Value(one, other, _error(one, other, dtype))
            for one, other in zip(computed.tolist(), truth.tolist(), strict=True)
        ]
        error = max((each.error for each in values), default=0.0)
        loses = not marked and error > LOST * worst
        marked |= loses
        worst = max(worst, error)
        if len(values) > SHOWN:
            values = [max(values, key=lambda each: each.error)]
        found.append(
            ShownStep(
                name,
                tuple(each.computed for each in values),
                tuple(_text(each.exact) for each in values),
                error,
                loses=loses,
            )
        )
    return tuple(found)


def _exactly(variant: Variant, case: Case) -> Mapping[str, Any]:
    """The exact values of the steps, by name; empty where a step has none."""
    turned = exact_array(case.logits, case.labels)
    steps = Steps("")
    parameters = {name: turned(value) for name, value in case.parameters.items()}
    try:
        with np.errstate(all="ignore"):
            options = {
                name: turned(value) if isinstance(value, np.ndarray) else value
                for name, value in options_of(variant, case).items()
            }
            variant.model.form(steps, turned(case.logits), turned(case.labels), parameters, options)
    except (ArithmeticError, TypeError, AttributeError, ValueError):
        # a step without a counterpart in exact numbers, such as a power of a negative number
        return steps.named
    return steps.named


def _error(computed: float, exact: Any, dtype: str) -> float:
    """The error of a number in ulps of its exact value; inf where one of them is not finite."""
    value = getattr(exact, "value", exact)
    if math.isnan(computed) or math.isinf(computed):
        same = computed == float(value) and math.isinf(computed)
        return 0.0 if same else math.inf
    number = float(value)
    if math.isnan(number):
        return math.inf
    target = FORMATS[dtype]
    usual = number != 0 and math.isfinite(number)
    unit = float(ulp(number, dtype)) if usual else target.smallest_subnormal
    return float(abs(computed - value)) / unit


def _text(exact: Any) -> str:
    return f"{float(getattr(exact, 'value', exact)):.6g}"
