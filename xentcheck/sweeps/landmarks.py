"""The numbers of a format at which losses are known to break, computed from the format."""

import math

from xentcheck.deferred import np
from xentcheck.floats import FORMATS, STANDARD, Format, from_float64, next_down, next_up, to_float64
from xentcheck.model import Domain, Float64Array

# Values of ε at which Keras, older Keras, libraries and users clip.
CLIPS = (1e-4, 1e-7, 1e-8, 1e-9, 1e-12, 1e-15, 1e-20)
LOWEST_CLAMPED_LOG = -100.0  # torch's BCELoss


def exp_thresholds(target: Format) -> dict[str, float]:
    """Return where exp and log1p∘exp change their behaviour in a format, approximated in float64.

    * ``exp_overflow``: above it e^x rounds to infinity.
    * ``exp_subnormal``: below it e^x is subnormal.
    * ``exp_underflow``: below it e^x rounds to 0.
    * ``one_plus_exp``: above it 1 + e^−x rounds to 1.
    * ``minus_log_epsilon``: −log ε.
    """
    last_ulp = math.ldexp(1.0, target.max_exponent - target.precision + 1)
    return {
        "exp_overflow": math.log(target.max) + math.log1p(last_ulp / 2 / target.max),
        "exp_subnormal": math.log(target.smallest_normal),
        "exp_underflow": (target.min_exponent - target.precision) * math.log(2),
        "one_plus_exp": target.precision * math.log(2),
        "minus_log_epsilon": (target.precision - 1) * math.log(2),
    }


def landmarks(target: Format, domain: Domain) -> dict[str, float]:
    """Return the named boundary values of a format that lie in the domain.

    All values are numbers of the format, and exact in float64. Logits have both signs of
    everything, log-probabilities the values up to 0, probabilities the values in [0, 1]. Thresholds
    of other formats are included if the format reaches them, because an implementation may compute
    in a wider format.
    """
    named = dict(_magnitudes(target))
    if domain is Domain.PROBABILITIES:
        return {name: value for name, value in _probabilities(target).items() if 0 <= value <= 1}
    values = {}
    for name, value in named.items():
        values[name] = value
        values[f"-{name}"] = -value
    if domain is Domain.LOG_PROBABILITIES:
        for name, value in _probabilities(target).items():
            if value > 0:
                values[f"log({name})"] = _near(math.log(value), target)
        values = {name: value for name, value in values.items() if value <= 0}
    return values


def sum_overflow(target: Format, classes: int) -> Float64Array:
    """Return the logit at which a sum of ``classes`` equal exponentials overflows, ±1 ulp: (3,)."""
    threshold = exp_thresholds(target)["exp_overflow"] - math.log(classes)
    return np.array(_around(threshold, target))


def _magnitudes(target: Format) -> dict[str, float]:
    one = from_float64(1.0, target.name)
    smallest_normal = from_float64(target.smallest_normal, target.name)
    named = {
        "zero": 0.0,
        "smallest_subnormal": target.smallest_subnormal,
        "largest_subnormal": float(to_float64(next_down(smallest_normal))),
        "smallest_normal": target.smallest_normal,
        "epsilon": target.epsilon,
        "below_one": float(to_float64(next_down(one))),
        "one": 1.0,
        "above_one": float(to_float64(next_up(one))),
        "max": target.max,
    }
    for name, threshold in exp_thresholds(target).items():
        below, nearest, above = _around(threshold, target)
        named |= {f"{name}-1ulp": below, name: nearest, f"{name}+1ulp": above}
        named[f"log|{name}|"] = _near(math.log(abs(threshold)), target)
    for other in STANDARD:
        if other != target.name:
            for name, threshold in exp_thresholds(FORMATS[other]).items():
                if abs(threshold) <= target.max:
                    named[f"{other}.{name}"] = _near(threshold, target)
    return named


def _probabilities(target: Format) -> dict[str, float]:
    half, inverse_e, one = (from_float64(v, target.name) for v in (0.5, math.exp(-1.0), 1.0))
    named = {
        "zero": 0.0,
        "smallest_subnormal": target.smallest_subnormal,
        "smallest_normal": target.smallest_normal,
        "exp(-100)": _near(math.exp(LOWEST_CLAMPED_LOG), target),
        "half-1ulp": float(to_float64(next_down(half))),
        "half": 0.5,
        "half+1ulp": float(to_float64(next_up(half))),
        "1/e-1ulp": float(to_float64(next_down(inverse_e))),
        "1/e": float(to_float64(inverse_e)),
        "1/e+1ulp": float(to_float64(next_up(inverse_e))),
        "below_one": float(to_float64(next_down(one))),
        "one": 1.0,
    }
    small = {f"clip {clip:g}": clip for clip in CLIPS}
    for each in (target, *(FORMATS[other] for other in STANDARD)):
        small |= {f"{each.name}.epsilon": each.epsilon, f"{each.name}.epsilon/2": each.epsilon / 2}
    for name, value in small.items():
        named[name] = _near(value, target)
        named[f"1-{name}"] = _near(1.0 - value, target)
    return named


def _near(value: float, target: Format) -> float:
    return float(to_float64(from_float64(value, target.name)))


def _around(value: float, target: Format) -> tuple[float, float, float]:
    nearest = from_float64(np.clip(value, -target.max, target.max), target.name)
    last = target.max
    below, above = (float(to_float64(step(nearest))) for step in (next_down, next_up))
    return (
        below if below >= -last else -last,
        float(to_float64(nearest)),
        above if above <= last else last,
    )
