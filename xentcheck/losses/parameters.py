"""Values of a loss's parameters: which are valid, which are the default, and which are passed on.

What is computed and what is passed are two things. A case says what is computed. A function is
passed what of it has a name among its arguments; the rest is either the loss's default, or built
in.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import ANY_PARAMETER, Implementation, Parameter, ParameterValue


def rounded(value: float, dtype: str) -> float:
    """A number as the dtype has it."""
    return float(to_float64(from_float64(value, dtype)))


def equal(parameter: Parameter, one: Any, other: Any, dtype: str) -> bool:
    """Whether two values of a parameter are the same in a dtype; None is the default."""
    first, second = (parameter.default if each is None else each for each in (one, other))
    if first is None or second is None:
        return first is second
    if parameter.kind == "real":
        return rounded(float(first), dtype) == rounded(float(second), dtype)
    if parameter.kind not in ("class-vector", "row-matrix"):
        return bool(first == second)
    if isinstance(first, str) or isinstance(second, str):  # numbers that are drawn
        return isinstance(first, str) and isinstance(second, str) and first == second
    size = max(np.shape(first)[-1], np.shape(second)[-1])
    first, second = (_vector(each, size, dtype) for each in (first, second))
    return bool(np.all(first == second))


def _vector(value: Any, size: int, dtype: str) -> Any:
    numbers = np.asarray(value)
    if numbers.dtype != FORMATS[dtype].dtype:
        numbers = from_float64(numbers.astype(np.float64), dtype)
    return to_float64(np.resize(numbers, (*numbers.shape[:-1], size)))


def valid(parameter: Parameter, value: Any) -> bool:
    """Whether a value in Python, as a function's default or a keyword has it, is one of these."""
    number = isinstance(value, int | float | np.integer | np.floating)
    number = number and not isinstance(value, bool)
    match parameter.kind:
        case "flag":
            return isinstance(value, bool)
        case "choice":
            return isinstance(value, str) and value in parameter.choices
        case "integer":
            return number and float(value).is_integer() and not parameter.out_of_range(value)
        case "real":
            return number and not parameter.out_of_range(float(value))
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
    )


def of_loss(loss: Loss, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of keyword arguments, those that are valid values of the loss's parameters."""
    found = {}
    for name, value in values.items():
        parameter = loss.parameter(name)
        if parameter is not None and value is not None and valid(parameter, value):
            found[name] = tuple(value) if isinstance(value, list) else value
    return found


def others(loss: Loss, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Of a function's own defaults, those that differ from the loss's."""
    return {
        name: value
        for name, value in of_loss(loss, defaults).items()
        if not equal(_declared(loss, name), value, None, "float64")
    }


def passed(
    loss: Loss, implementation: Implementation, parameters: Mapping[str, ParameterValue]
) -> dict[str, Any]:
    """What of a case's parameters an implementation is called with, by name.

    All that it takes, also what equals a default; nothing that it has built in. Where the case
    leaves the loss's default to be understood and the function's own is another, it is passed.
    """
    takes = implementation.parameters
    given: dict[str, Any] = {
        name: value
        for name, value in parameters.items()
        if name not in implementation.built_in and (takes == ANY_PARAMETER or name in takes)
    }
    for name in implementation.own_defaults:
        if name not in parameters and name not in implementation.built_in:
            given[name] = _declared(loss, name).default
    return given


def obstacle(
    loss: Loss, implementation: Implementation, parameters: Mapping[str, ParameterValue], dtype: str
) -> str:
    """Why an implementation cannot compute a case with these parameters; "" where it can."""
    for name, value in implementation.built_in.items():
        declared = _declared(loss, name)
        meant = parameters.get(name, declared.default)
        if not equal(declared, meant, value, dtype):
            here = "leaves it out" if meant is None else f"has {_text(meant)}"
            return f"has {name}={_text(value)} built in, and the input {here}"
    takes = implementation.parameters
    missing = [
        name
        for name, value in sorted(parameters.items())
        if name not in implementation.built_in
        and takes != ANY_PARAMETER
        and name not in takes
        # rows bear an ignored label, so an implementation has to know which one it is
        and (name == "ignore_index" or not equal(_declared(loss, name), value, None, dtype))
    ]
    return f"does not take {', '.join(missing)}" if missing else ""


@functools.lru_cache(maxsize=256)
def _declared(loss: Loss, name: str) -> Parameter:
    parameter = loss.parameter(name)
    assert parameter is not None
    return parameter


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 8:
        return "numbers of its own"
    return f"{value:g}" if isinstance(value, float) else str(value)
