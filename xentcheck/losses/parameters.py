"""Parameter values of a loss: which are valid, which are defaults, which a function receives.

A case says what to compute. A function receives only the parameters of the case that it has
arguments for. Every other parameter has the loss's default, or is built into the function.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import ANY_PARAMETER, Implementation, Parameter, ParameterValue


def rounded(value: float, dtype: str) -> float:
    """A number rounded to the dtype."""
    return float(to_float64(from_float64(value, dtype)))


def equal(parameter: Parameter, one: Any, other: Any, dtype: str) -> bool:
    """Whether two values of a parameter are equal once they are rounded to a dtype.

    Args:
        parameter: the parameter.
        one: the first value; None stands for the default.
        other: the second value; None stands for the default.
        dtype: name of the dtype.
    """
    first, second = (parameter.default if each is None else each for each in (one, other))
    if first is None or second is None:
        return first is second
    if parameter.kind == "real":
        return rounded(float(first), dtype) == rounded(float(second), dtype)
    if parameter.kind not in ("class-vector", "row-matrix"):
        return bool(first == second)
    if isinstance(first, str) or isinstance(second, str):  # text stands for drawn numbers
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
    """Whether a Python value, such as a default or a keyword argument, is valid for a parameter."""
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
    """The keyword arguments that are valid values of the loss's parameters."""
    found = {}
    for name, value in values.items():
        parameter = loss.parameter(name)
        if parameter is not None and value is not None and valid(parameter, value):
            found[name] = tuple(value) if isinstance(value, list) else value
    return found


def others(loss: Loss, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a function that differ from the loss's defaults."""
    return {
        name: value
        for name, value in of_loss(loss, defaults).items()
        if not equal(_declared(loss, name), value, None, "float64")
    }


def passed(
    loss: Loss, implementation: Implementation, parameters: Mapping[str, ParameterValue]
) -> dict[str, Any]:
    """The parameters that an implementation is called with for a case, by name.

    These are all parameters of the case that it takes, even if a value equals the default, but
    none that it has built in. If the case does not set a parameter and the function has a default
    of its own, the loss's default is passed instead.
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
    """Why an implementation cannot compute a case with these parameters; "" if it can.

    Args:
        loss: the loss of the case.
        implementation: the implementation to check.
        parameters: the parameters of the case, by name.
        dtype: name of the dtype in which values are compared.
    """
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
        # rows have the ignored label, so an implementation has to know its number
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
