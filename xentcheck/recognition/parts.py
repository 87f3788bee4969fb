"""Parts of a loss, and gradients of other things, that are taken for it."""

from collections.abc import Callable

import numpy as np

from xentcheck.model import Domain, Float64Array, LabelKind, Quantity
from xentcheck.recognition.exams import Exam
from xentcheck.recognition.form import Expected, Form, log_probabilities, squashed


def _value_of(change: Callable[[Float64Array], Float64Array]) -> Expected:
    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        # Only for a loss that is −log of a probability. A result per class is not.
        return None if exam.loss.per_class else np.asarray(change(exam.value))

    return expected


def _terms(exam: Exam, quantity: Quantity) -> Float64Array | None:
    logs, masses = log_probabilities(exam), exam.masses
    if logs is None or masses is None or exam.loss.per_class:
        return None
    return np.asarray(-masses * logs)


def _every_class(exam: Exam, quantity: Quantity) -> Float64Array | None:
    logs = log_probabilities(exam)
    return None if logs is None or exam.loss.per_class else -logs


def _of_label(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return only the label's number of a result per class."""
    if not exam.loss.per_class or exam.masses is None:
        return None
    return np.asarray((exam.masses * exam.value).sum(axis=1))


def _squares(exam: Exam, quantity: Quantity) -> Float64Array | None:
    if exam.loss.domain is Domain.LOGITS and exam.x.ndim == 2:
        logs = log_probabilities(exam)
        if logs is None or exam.masses is None or exam.loss.per_class:
            return None
        return np.asarray(((np.exp(logs) - exam.masses) ** 2).sum(axis=1))
    if exam.labels is None or exam.case.label_kind is LabelKind.INTEGER:
        return None
    p = squashed(exam) if exam.loss.domain is Domain.LOGITS else exam.x
    squares = (p - exam.labels) ** 2
    return np.asarray(squares.sum(axis=1) if squares.ndim == 2 else squares)


PARTS = (
    Form("perplexity", "the exponential of {loss} (a perplexity)", _value_of(np.exp),
         "return its logarithm"),
    Form("probability", "exp(−{loss}), the probability of the label instead of its −log",
         _value_of(lambda value: np.exp(-value)), "return its −log"),
    Form("complement", "1 − exp(−{loss}), one minus the probability of the label",
         _value_of(lambda value: 1 - np.exp(-value)), "return −log of the probability"),
    Form("terms", "the terms of {loss} for each class, not their sum", _terms,
         "sum over the classes"),
    Form("every-class", "−log of every class's probability, not the label's alone", _every_class,
         "take the label's"),
    Form("label-only", "the result of {loss} for the label's class only", _of_label,
         "return one number per class"),
    Form("gradient", "the gradient of {loss}, not its value",
         lambda exam, quantity: exam.gradient, "name it with --gradient"),
    Form("squares", "the sum of squares (Brier score), not {loss}", _squares),
)  # fmt: skip


def _probabilities(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return p: the gradient of the loss before the labels are subtracted."""
    if exam.case.loss not in ("softmax_cross_entropy", "sigmoid_binary_cross_entropy"):
        return None
    return squashed(exam)


def _value_column(exam: Exam, quantity: Quantity) -> Float64Array | None:
    return None if exam.loss.per_class else exam.value


def _normalised(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return the gradient of the loss of p/Σp: the labels' mass is added to every component."""
    masses = exam.masses
    others = {"weight", "reduction"} & exam.case.parameters.keys()
    if exam.case.loss != "categorical_cross_entropy" or masses is None or others:
        return None
    return np.asarray(exam.gradient + masses.sum(axis=1, keepdims=True))


GRADIENTS = (
    Form("normalised", "the gradient of {loss} of probabilities that are divided by their sum "
         "first", _normalised, "it differs by one number per row, which a softmax undoes"),
    Form("probabilities", "the probabilities alone, without the labels' part", _probabilities,
         "subtract the labels' mass: p − y"),
    Form("value", "the value of {loss}, not its gradient", _value_column,
         "--gradient names the function of the gradient"),
)  # fmt: skip
