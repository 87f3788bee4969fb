"""Turn the axes of parameters into the values that a case carries."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UsageError, did_you_mean
from xentcheck.floats import from_float64
from xentcheck.losses.parameters import rounded
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, LabelKind, Parameter, ParameterKind, ParameterValue
from xentcheck.sweeps.generator import stream

MANY_CLASSES = 1024  # above it, draws take few distinct values: exact results stay cheap


def combinations(
    loss: Loss, label_kind: LabelKind, axes: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, tuple[Parameter, Any]]]:
    """Yield every combination of the axes: the declaration and the raw value of each name.

    Raises UsageError for a parameter that the loss lacks, that does not go with the labels, or
    that has an empty axis.
    """
    declared = {}
    for name, axis in axes.items():
        parameter = loss.parameter(name)
        if parameter is None:
            names = [each.name for each in loss.parameters]
            hint = did_you_mean(name, names) if names else "; it has none"
            message = f"{loss.id} has no parameter {name!r}{hint}"
            raise UsageError(message)
        if not parameter.goes_with(label_kind):
            kinds = " or ".join(parameter.label_kinds)
            message = f"{name} of {loss.id} goes with {kinds} labels, not with {label_kind} ones"
            raise UsageError(message)
        if not axis:
            message = f"the axis of parameter {name} has no values"
            raise UsageError(message)
        declared[name] = parameter
    for values in itertools.product(*axes.values()):
        yield {name: (declared[name], value) for name, value in zip(axes, values, strict=True)}


def materialise(
    combination: Mapping[str, tuple[Parameter, Any]],
    shape: tuple[int, ...],
    dtype: str,
    seed: int,
    place: Sequence[object],
    classes: int | None = None,
) -> dict[str, ParameterValue]:
    """Return the parameters of a block of rows.

    Real numbers are rounded to the dtype. Words such as "random" become arrays of numbers.

    Args:
        combination: one combination of `combinations`. Parameters with the value None are left out.
        shape: shape of the block's logits.
        dtype: name of the format of the parameters.
        seed: seed of the audit.
        place: place of the block in its sweep; its first part is the sweep's name.
        classes: length of a class vector. None: the last axis of ``shape``.

    Raises:
        UsageError: a parameter has an unknown word.
    """
    values: dict[str, ParameterValue] = {}
    for name, (parameter, raw) in combination.items():
        several = shape[-1] if classes is None else classes
        value = _value(parameter, raw, shape, several, dtype, seed, place)
        if value is not None:
            values[name] = value
    return values


def _value(
    parameter: Parameter,
    raw: Any,
    shape: tuple[int, ...],
    classes: int,
    dtype: str,
    seed: int,
    place: Sequence[object],
) -> ParameterValue | None:
    if raw is None:
        return None
    if parameter.kind == ParameterKind.REAL:
        return rounded(float(raw), dtype)
    if parameter.kind == ParameterKind.CLASS_VECTOR:
        return from_float64(_vector(parameter, raw, classes, seed, str(place[0])), dtype)
    if parameter.kind == ParameterKind.ROW_MATRIX:
        return from_float64(_matrix(parameter, raw, shape, seed, place), dtype)
    if parameter.kind == ParameterKind.INTEGER:
        return int(raw)
    return bool(raw) if parameter.kind == ParameterKind.FLAG else str(raw)


def _vector(parameter: Parameter, raw: Any, classes: int, seed: int, sweep: str) -> Array:
    """Return one number per class. A word draws the same numbers for every dtype of the sweep."""
    if not isinstance(raw, str):
        return np.resize(np.asarray(raw, dtype=np.float64), classes)
    _check_word(parameter, raw)
    rng = stream(seed, sweep, "parameter", parameter.name, classes)
    draws = rng.uniform(0.5, 2.0, classes)
    if classes > MANY_CLASSES:
        draws = np.ceil(draws * 4) / 4
    if raw == "zeros-some":
        draws[rng.permutation(classes)[: math.ceil(classes / 3)]] = 0.0
    return draws


def _check_word(parameter: Parameter, word: str) -> None:
    known = parameter.kind.words
    if word not in known:
        message = f"{parameter.name}: expected numbers, or a word{did_you_mean(word, known)}"
        raise UsageError(message)


def _matrix(
    parameter: Parameter, raw: Any, shape: tuple[int, ...], seed: int, place: Sequence[object]
) -> Array:
    """Return one number per row and class: Gumbel noise, or given numbers in every row."""
    if not isinstance(raw, str):
        return np.tile(np.resize(np.asarray(raw, dtype=np.float64), shape[-1]), (shape[0], 1))
    _check_word(parameter, raw)
    rng = stream(seed, *place, "parameter", parameter.name)
    noise = -np.log(rng.standard_exponential(shape))
    return np.round(noise * 8) / 8 if shape[-1] > MANY_CLASSES else noise
