"""The mild rows that show whether a function computes a loss at all, and their exact results.

Logits lie within ±2, and probabilities are multiples of 1/16. Every dtype of 16 bits and more holds
them exactly. No sound formula loses a digit on them, and a clip at 1e-3 changes them by less than
one part in a hundred. Targets are only 0 and 1, so that functions for hard labels are right, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from xentcheck.errors import UncertifiedError, UsageError
from xentcheck.floats import from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Array,
    Case,
    Domain,
    Float64Array,
    LabelKind,
    Layout,
    ParameterValue,
    Quantity,
)
from xentcheck.reference import Reference, exact
from xentcheck.reference.enclosures import Balls, Enclosures
from xentcheck.sweeps.parameters import combinations, materialise

NAME = "sanity check"
"""Name of the sweep of mild rows. A sweep of a configuration cannot have this name."""

_LOGITS: tuple[Sequence[Sequence[float]], ...] = (
    ((0, 1), (1.5, -0.5), (-1, 0.25), (2, 0.5)),
    (
        (0, 1, -1),
        (1.25, -0.5, 0.25),
        (-1.5, 0.75, 2),
        (0.5, -0.25, 1.5),
        (2, 1, -0.75),
        (-1, -0.25, 0.5),
    ),
    (
        (0, 1, -1, 0.5, -0.5),
        (1.5, -0.25, 0.75, 1, -1),
        (-1, 0.5, 1.25, 0.25, 2),
        (0.75, -1.25, 1, 0, 0.5),
        (-0.5, 2, 0.25, -1.5, 1),
    ),
)
_SIXTEENTHS: tuple[Sequence[Sequence[int]], ...] = (
    ((4, 12), (10, 6), (3, 13), (14, 2)),
    ((4, 10, 2), (8, 3, 5), (1, 6, 9), (5, 4, 7), (11, 2, 3), (2, 5, 9)),
    (
        (4, 6, 1, 3, 2),
        (7, 2, 3, 3, 1),
        (1, 3, 5, 2, 5),
        (3, 1, 6, 2, 4),
        (2, 8, 2, 1, 3),
    ),
)
_DISTRIBUTIONS: tuple[Sequence[Sequence[int]], ...] = (
    ((12, 4), (5, 11), (6, 10), (9, 7)),
    ((2, 3, 11), (4, 6, 6), (10, 5, 1), (7, 8, 1), (3, 4, 9), (12, 1, 3)),
    (
        (2, 1, 8, 4, 1),
        (3, 6, 1, 2, 4),
        (5, 2, 2, 6, 1),
        (1, 9, 2, 3, 1),
        (4, 1, 3, 2, 6),
    ),
)
_LABELS: tuple[Sequence[int], ...] = ((0, 1, 1, 0), (0, 1, 2, 2, 0, 1), (0, 2, 4, 1, 3))
_SINGLE: tuple[Sequence[float], ...] = (
    (0.5, -1, 2, -0.25, 1.5),
    (-1.5, 0.25, 1, -2),
    (1.75, -0.5, 1.25),
)
_SINGLE_SIXTEENTHS: tuple[Sequence[int], ...] = ((4, 12, 10, 3, 14), (6, 13, 9, 2), (11, 5, 7))
_TARGETS: tuple[Sequence[int], ...] = ((1, 0, 1, 0, 0), (0, 1, 1, 1), (0, 1, 0))


@dataclass(frozen=True, eq=False)
class Exam:
    """A case of mild rows and its exact results in float64.

    ``value`` and ``gradient`` have the shapes that an implementation should return.
    """

    case: Case
    value: Float64Array
    gradient: Float64Array

    @property
    def loss(self) -> Loss:
        """The loss of the case."""
        return LOSSES[self.case.loss]

    def exact(self, quantity: Quantity) -> Float64Array:
        """Return the exact results of a quantity."""
        return self.value if quantity is Quantity.VALUE else self.gradient

    @cached_property
    def x(self) -> Float64Array:
        """The first argument in float64."""
        return to_float64(self.case.logits)

    @cached_property
    def labels(self) -> Any:
        """The labels in int64 or float64, or None."""
        labels = self.case.labels
        if labels is None or self.case.label_kind is LabelKind.INTEGER:
            return labels
        return to_float64(labels)

    @cached_property
    def masses(self) -> Float64Array | None:
        """The labels as distributions, (rows, classes), or None if they cannot be that."""
        if self.case.label_kind is LabelKind.DISTRIBUTION:
            return np.asarray(self.labels)
        if self.case.label_kind is LabelKind.INTEGER and self.x.ndim == 2:
            return np.asarray(np.eye(self.x.shape[1])[self.labels])
        return None

    def changed(self, **changes: Any) -> "Exam | None":
        """Return the exam of a changed case; None if it has no exact results."""
        return examined(replace(self.case, **changes))

    def given(self, **parameters: ParameterValue | None) -> "Exam | None":
        """Return the exam with other parameters of the loss; None removes a parameter."""
        merged = {**self.case.parameters, **parameters}
        kept = {name: each for name, each in merged.items() if each is not None}
        return self.changed(parameters=kept)


def examined(case: Case) -> Exam | None:
    """Return a case with its exact results; None if they cannot be certified."""
    try:
        with np.errstate(all="ignore"):
            truth = Reference(case)
            found = [_midpoints(truth, each) for each in (Quantity.VALUE, Quantity.GRADIENT)]
            if any(each is None for each in found):
                certain = exact(case)
                found = [certain.value.midpoints(), certain.gradient.midpoints()]
    except (UncertifiedError, ArithmeticError, IndexError):
        return None
    value, gradient = found
    assert value is not None
    assert gradient is not None
    return Exam(case, value, gradient)


def _midpoints(truth: Reference, quantity: Quantity) -> Float64Array | None:
    """Return the results of the lowest tier; None if it leaves a result open."""
    results: Balls | Enclosures = truth.at(quantity, slice(None))
    if isinstance(results, Balls):
        results = results.enclosures()
    if not np.isfinite(results.radius[np.isfinite(results.hi)]).all():
        return None
    return np.asarray(results.midpoints())


def exams(
    loss_id: str, dtype: str, label_kind: LabelKind, parameters: Mapping[str, Any]
) -> tuple[Exam, ...]:
    """Return the mild rows of a loss: three blocks, of 2, 3 and 5 classes if rows have classes.

    A block without certified finite exact results is left out.

    Args:
        loss_id: id of the loss.
        dtype: name of the format that the rows are rounded to.
        label_kind: kind of the labels, one of the loss's kinds.
        parameters: one raw value of each parameter, by name.
    """
    loss = LOSSES[loss_id]
    return tuple(
        found
        for case in _cases(loss, dtype, label_kind, parameters)
        if (found := examined(case)) is not None
        and np.isfinite(found.value).all()
        and np.isfinite(found.gradient).all()
    )


def _cases(
    loss: Loss, dtype: str, label_kind: LabelKind, parameters: Mapping[str, Any]
) -> Iterator[Case]:
    single = loss.layout is Layout.ELEMENTWISE
    start = 0
    for block in range(len(_LOGITS)):
        if loss.domain is Domain.LOGITS:
            x = np.array((_SINGLE if single else _LOGITS)[block], dtype=np.float64)
        else:
            x = np.array((_SINGLE_SIXTEENTHS if single else _SIXTEENTHS)[block]) / 16.0
        if loss.domain is Domain.LOG_PROBABILITIES:
            x = np.log(x)
        labels: Array | None = None
        match label_kind:
            case LabelKind.INTEGER:
                labels = np.array(_LABELS[block], dtype=np.int64)
            case LabelKind.DISTRIBUTION:
                masses = np.array(_DISTRIBUTIONS[block]) / 16.0
                if parameters.get("log_target"):
                    masses = np.log(masses)
                labels = from_float64(masses, dtype)
            case LabelKind.TARGET:
                labels = from_float64(np.array(_TARGETS[block], dtype=np.float64), dtype)
        axes = {name: (value,) for name, value in parameters.items()}
        try:
            (combination,) = combinations(loss, label_kind, axes)
        except UsageError:
            return
        yield Case(
            sweep=NAME,
            generator="mild",
            loss=loss.id,
            dtype=dtype,
            logits=from_float64(x, dtype),
            label_kind=label_kind,
            labels=labels,
            parameters=materialise(combination, x.shape, dtype, 0, (NAME, block)),
            start=start,
        )
        start += len(x)
