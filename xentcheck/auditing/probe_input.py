"""Checks the input of a probe and puts it into a case."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Array,
    Case,
    Float64Array,
    LabelKind,
    Layout,
    ParameterKind,
    ParameterValue,
)
from xentcheck.sweeps.parameters import combinations, materialise

Row: TypeAlias = Sequence[float]

Rows: TypeAlias = Sequence[Row]


def probe_case(
    loss: Loss,
    dtype: str,
    logits: Row | Rows,
    labels: float | Row | Rows | None,
    parameters: Mapping[str, Any],
) -> Case:
    """The case of a probe, from the user's input.

    Args:
        loss: the loss.
        dtype: the dtype of the case, by name.
        logits: one row, or rows of equal length; for an elementwise loss each number is a row.
        labels: as for `probe`.
        parameters: values by name, as for `probe`.

    Raises:
        UnknownNameError: there is no such dtype.
        UsageError: there are no logits, or labels or parameters do not fit the loss.
    """
    if dtype not in FORMATS:
        raise UnknownNameError("dtype", dtype, FORMATS)
    if not len(logits):
        message = "there are no logits"
        raise UsageError(message)
    x = from_float64(_array("logits", logits), dtype)
    if x.ndim == 2 and loss.layout is Layout.ELEMENTWISE:
        message = f"{loss.id} takes single numbers, each a row of its own, not rows of numbers"
        raise UsageError(message)
    single = x.ndim == 1 and loss.layout is Layout.ROWS
    if single:
        x = x[np.newaxis]
    declared = loss.parameter("ignore_index")
    ignored = parameters.get("ignore_index", declared.default if declared else None)
    kind, label = _probe_labels(loss, dtype, x, labels, ignored, single=single)
    return Case(
        sweep="probe",
        generator="explicit",
        loss=loss.id,
        dtype=dtype,
        logits=x,
        label_kind=kind,
        labels=label,
        parameters=_probe_parameters(loss, kind, dtype, x, parameters),
    )


def _array(what: str, given: Any) -> Float64Array:
    """Numbers, or rows of numbers, as an array. Raises UsageError if the lengths differ."""
    rows = [each for each in given if np.ndim(each)]
    if not rows:
        return np.asarray(given, dtype=np.float64)
    lengths = [np.size(each) for each in given]
    for number, length in enumerate(lengths):
        if length != lengths[0] or np.ndim(given[number]) != 1:
            message = f"{what}: row 0 has {lengths[0]} numbers, and row {number} has {length}"
            raise UsageError(message)
    if not lengths[0]:
        message = f"{what}: the rows are empty"
        raise UsageError(message)
    return np.asarray(given, dtype=np.float64)


def _probe_labels(
    loss: Loss,
    dtype: str,
    x: Array,
    labels: float | Row | Rows | None,
    ignored: int | None,
    *,
    single: bool,
) -> tuple[LabelKind, Array | None]:
    """The kind of the labels and the labels.

    Args:
        loss: the loss.
        dtype: the dtype of the case, by name.
        x: the logits in the dtype: (rows, classes), or (rows,) for an elementwise loss.
        labels: the labels as the user gives them.
        ignored: the label that means "ignore this row", if any.
        single: the user gave one row and not a block.
    """
    kinds = loss.label_kinds
    rows, size = len(x), x.shape[-1]
    if LabelKind.NONE in kinds:
        if labels is not None:
            message = f"{loss.id} takes no labels"
            raise UsageError(message)
        return LabelKind.NONE, None
    if labels is None:
        if loss.per_class:
            return LabelKind.INTEGER, np.argmax(to_float64(x), axis=1).astype(np.int64)
        message = f"{loss.id} needs {' or '.join(kinds)} labels"
        raise UsageError(message)
    if LabelKind.TARGET in kinds:
        targets = _array("labels", np.full(size, labels) if _scalar(labels) else labels)
        if targets.shape != x.shape:
            raise UsageError(_misfit(targets, x))
        return LabelKind.TARGET, from_float64(targets, dtype)
    if _scalar(labels) or (not single and not np.ndim(labels[0])):  # type: ignore[index]
        return LabelKind.INTEGER, _classes(loss, np.atleast_1d(labels), rows, size, ignored)
    distributions = _array("labels", labels)
    if single and distributions.ndim == 1:
        distributions = distributions[np.newaxis]
    if distributions.shape != x.shape:
        raise UsageError(_misfit(distributions[0] if single else distributions, x))
    if LabelKind.DISTRIBUTION not in kinds:
        message = f"{loss.id} takes a class number as its label, not a distribution"
        raise UsageError(message)
    return LabelKind.DISTRIBUTION, from_float64(distributions, dtype)


def _scalar(given: Any) -> bool:
    return np.ndim(given) == 0


def _misfit(labels: Array, x: Array) -> str:
    if labels.ndim == 1:
        return f"{len(labels)} labels for {x.shape[-1]} logits"
    shapes = (f"{each.shape[0]} rows of {each.shape[1]}" for each in (labels, x))
    return "labels of {} for logits of {}".format(*shapes)


def _classes(
    loss: Loss, given: Sequence[float] | Array, rows: int, size: int, ignored: int | None
) -> Array:
    """Class numbers as int64, one per row. Raises UsageError for invalid ones."""
    if LabelKind.INTEGER not in loss.label_kinds:
        message = f"{loss.id} needs a distribution, one number per class"
        raise UsageError(message)
    if len(given) != rows:
        message = (
            f"{len(given)} label{'s' * (len(given) > 1)} for {rows} row{'s' * (rows > 1)} of logits"
        )
        raise UsageError(message)
    for label in map(float, given):
        if not label.is_integer():
            message = f"label {label} is not a class number"
            raise UsageError(message)
        if not (0 <= label < size or label == ignored):
            message = f"label {int(label)} is not one of the classes 0 to {size - 1}"
            raise UsageError(message)
    return np.asarray(given, dtype=np.float64).astype(np.int64)


def _probe_parameters(
    loss: Loss, kind: LabelKind, dtype: str, x: Array, parameters: Mapping[str, Any]
) -> dict[str, ParameterValue]:
    matrices = {}
    axes = {}
    for name, value in parameters.items():
        declared = loss.parameter(name)
        if (
            declared is not None
            and declared.kind == ParameterKind.ROW_MATRIX
            and np.ndim(value[:1]) == 2
        ):
            matrix = _array(name, value)
            if matrix.shape != x.shape:
                shapes = (f"{each.shape[0]} rows of {each.shape[1]}" for each in (matrix, x))
                message = "{} has {} numbers for logits of {}".format(name, *shapes)
                raise UsageError(message)
            matrices[name] = from_float64(matrix, dtype)
        axes[name] = (value[0] if name in matrices else value,)
    (combination,) = combinations(loss, kind, axes)
    for name, (_, value) in combination.items():
        if isinstance(value, list | tuple) and len(value) != x.shape[-1]:
            message = f"{name} has {len(value)} numbers for {x.shape[-1]} classes"
            raise UsageError(message)
    return materialise(combination, x.shape, dtype, seed=0, place=("probe",)) | matrices
