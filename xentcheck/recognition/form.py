"""A form that a function may compute: what it is called, and what it gives on an exam."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xentcheck.model import Domain, Float64Array, Quantity
from xentcheck.recognition.exams import Exam

Expected = Callable[[Exam, Quantity], Float64Array | None]


@dataclass(frozen=True, slots=True)
class Form:
    """Results that a function may return instead of the exact ones.

    ``says`` completes "it looks like …"; ``{loss}`` in it is the loss. ``expected`` returns the
    results for an exam, in any shape, or None if the form does not apply. ``scaled``: factors that
    are not plain, and a fitted constant, are tried as well. ``reduction``: the reduction that the
    form is, if any.
    """

    name: str
    says: str
    expected: Expected
    hint: str = ""
    scaled: bool = False
    reduction: str | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """A constant factor by which results may differ; ``says`` contains ``{form}``.

    ``plain``: it is tried with every form, not only with the loss itself.
    """

    name: str
    says: str
    of: Callable[[Exam], float]
    hint: str = ""
    plain: bool = False


def log_probabilities(exam: Exam, axis: int = -1) -> Float64Array | None:
    """Return the log-probabilities of the classes in float64, or None for single numbers.

    Logits can be normalised along another axis; for other domains axis 0 gives None.
    """
    if exam.x.ndim != 2:
        return None
    if exam.loss.domain is not Domain.LOGITS:
        return None if axis == 0 else _logs(exam)
    x = exam.x / float(exam.case.parameters.get("temperature", 1.0))
    x = x - x.max(axis=axis, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def _logs(exam: Exam) -> Float64Array:
    return np.log(exam.x) if exam.loss.domain is Domain.PROBABILITIES else exam.x


def squashed(exam: Exam) -> Float64Array:
    """Return the softmax of rows, or the sigmoid of single numbers, of the first argument."""
    if exam.x.ndim == 1:
        return np.asarray(1.0 / (1.0 + np.exp(-exam.x)))
    e = np.exp(exam.x - exam.x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
