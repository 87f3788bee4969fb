"""Parameter values of a loss: which are valid, which are defaults, which a function receives.

A case says what to compute. A function receives only the parameters of the case that it has
arguments for. Every other parameter has the loss's default, or is built into the function.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnknownNameError, UsageError, XentcheckError
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    ANY_PARAMETER,
    Implementation,
    LabelKind,
    Parameter,
    ParameterKind,
    ParameterValue,
)


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
    if parameter.kind == ParameterKind.REAL:
        return rounded(float(first), dtype) == rounded(float(second), dtype)
    if not parameter.kind.words:
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


def parameter_of(loss: Loss, kind: LabelKind, name: str, option: str = "") -> Parameter:
    """The parameter of a loss by its name, if it goes with labels of a kind.

    ``option`` stands before the name in errors. Raises UnknownNameError or UsageError.
    """
    parameter = loss.parameter(name)
    if parameter is None:
        known = [each.name for each in loss.parameters]
        raise UnknownNameError(f"parameter of {loss.id}", name, known)
    if not parameter.goes_with(kind):
        kinds = " or ".join(parameter.label_kinds)
        raise UsageError(f"{option}{name} goes with {kinds} labels, not with {kind} ones")
    return parameter


def checked(parameter: Parameter, value: Any, option: str = "") -> Any:
    """A value as plain Python has it, if the parameter takes it.

    Args:
        parameter: what it is a value of.
        value: a number, a bool, a word, or a sequence of one number per class. A parameter that
            takes numbers per class also takes one of its words.
        option: stands before the parameter's name in errors.

    Raises:
        UnknownNameError: it is a word that the parameter does not have.
        UsageError: it is of another type, or out of range.
    """
    where = f"{option}{parameter.name}"
    match parameter.kind:
        case ParameterKind.FLAG:
            if not isinstance(value, bool | np.bool_):
                raise UsageError(f"{where}={value!r}: expected True or False")
            return bool(value)
        case ParameterKind.CHOICE:
            return _word(where, value, parameter.choices)
        case ParameterKind.CLASS_VECTOR | ParameterKind.ROW_MATRIX:
            if isinstance(value, str):
                return _word(where, value, parameter.kind.words)
            numbers = np.asarray(value)
            if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
                raise UsageError(f"{where}={value!r}: expected a number per class")
            return tuple(_number(parameter, where, each) for each in numbers.tolist())
    return _number(parameter, where, value)


def _word(where: str, value: Any, known: Sequence[str]) -> str:
    if value not in known:
        raise UnknownNameError(f"value of {where}", str(value), known)
    return str(value)


def _number(parameter: Parameter, where: str, value: Any) -> float | int:
    whole = parameter.kind is ParameterKind.INTEGER
    plain = isinstance(value, int | float | np.integer | np.floating)
    plain = plain and not isinstance(value, bool)
    try:
        number = float(value) if plain else np.nan
    except OverflowError:
        raise UsageError(f"{where}: beyond float64") from None
    if not plain or (whole and not number.is_integer()):
        what = "a whole number" if whole else "a number"
        raise UsageError(f"{where}={value!r}: expected {what}")
    if problem := parameter.out_of_range(value):
        raise UsageError(f"{where}={number:g}: {problem}")
    return int(value) if whole else number


def valid(parameter: Parameter, value: Any) -> bool:
    """Whether a parameter takes a value in numbers, as a function's own default has it."""
    if isinstance(value, str) and parameter.kind is not ParameterKind.CHOICE:
        return False
    try:
        checked(parameter, value)
    except XentcheckError:
        return False
    return True


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
