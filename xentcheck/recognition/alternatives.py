"""Other ways to call a function. They are tried if its results for the usual call tell nothing.

If an `Alternative` gives the exact results on every mild row, the function expects that call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from xentcheck.floats import from_float64
from xentcheck.model import Array, Domain, LabelKind, Layout
from xentcheck.recognition.exams import Exam

Data: TypeAlias = list[Array | None]
Change = Callable[[Exam, Data], Data | None]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Other arguments of a call. ``says`` completes "it …"; ``hint`` says what to do.

    ``change`` returns the arguments for an exam, or None if it does not apply. ``alone``: each row
    is passed by itself, without its first axis.
    """

    name: str
    says: str
    change: Change
    hint: str
    alone: bool = False


def _logits(change: Callable[[Exam], Array | None]) -> Change:
    """Make a change of the first argument; the result is rounded to the case's dtype."""

    def changed(exam: Exam, data: Data) -> Data | None:
        x = change(exam)
        return None if x is None else [from_float64(x, exam.case.dtype), *data[1:]]

    return changed


def _labels(change: Callable[[Exam], Array | None]) -> Change:
    """Make a change of the second argument."""

    def changed(exam: Exam, data: Data) -> Data | None:
        labels = change(exam) if len(data) > 1 and data[1] is not None else None
        return None if labels is None else [data[0], labels]

    return changed


def _softmax(exam: Exam) -> Array:
    if exam.x.ndim == 1:
        return np.asarray(1.0 / (1.0 + np.exp(-exam.x)))
    e = np.exp(exam.x - exam.x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _probabilities(exam: Exam) -> Array | None:
    match exam.loss.domain:
        case Domain.LOGITS if not exam.loss.per_class:
            return _softmax(exam)
        case Domain.LOG_PROBABILITIES:
            return np.exp(exam.x)
    return None


def _log_probabilities(exam: Exam) -> Array | None:
    match exam.loss.domain:
        case Domain.LOGITS if not exam.loss.per_class:
            return np.log(_softmax(exam))
        case Domain.PROBABILITIES:
            return np.log(exam.x)
    return None


def _log_odds(exam: Exam) -> Array | None:
    """Return the logits of single probabilities."""
    if exam.loss.domain is not Domain.PROBABILITIES or exam.x.ndim != 1:
        return None
    return np.log(exam.x / (1.0 - exam.x))


def _one_hot(exam: Exam) -> Array | None:
    if exam.case.label_kind is not LabelKind.INTEGER or exam.loss.per_class:
        return None
    return from_float64(np.eye(exam.case.classes)[exam.labels], exam.case.dtype)


def _as_type(dtype: str) -> Callable[[Exam], Array | None]:
    def change(exam: Exam) -> Array | None:
        labels = exam.case.labels
        if labels is None or exam.case.label_kind is not LabelKind.INTEGER:
            return None
        return labels.astype(np.dtype(dtype))

    return change


def _from_one(exam: Exam) -> Array | None:
    return exam.labels + 1 if exam.case.label_kind is LabelKind.INTEGER else None


def _signs(exam: Exam) -> Array | None:
    if exam.case.label_kind is not LabelKind.TARGET:
        return None
    return from_float64(2.0 * exam.labels - 1.0, exam.case.dtype)


def _whole(exam: Exam) -> Array | None:
    """Return the targets 0 and 1 as integers."""
    return exam.labels.astype(np.int64) if exam.case.label_kind is LabelKind.TARGET else None


def _column(exam: Exam) -> Array | None:
    return None if exam.case.labels is None else exam.case.labels[:, None]


def _swapped(exam: Exam, data: Data) -> Data | None:
    return [data[1], data[0]] if len(data) == 2 and data[1] is not None else None


def _columns(exam: Exam, data: Data) -> Data | None:
    """Return each array of single numbers as a column."""
    if exam.loss.layout is not Layout.ELEMENTWISE:
        return None
    return [None if each is None else each[:, None] for each in data]


def _transposed(exam: Exam, data: Data) -> Data | None:
    if exam.x.ndim != 2:
        return None
    return [
        np.ascontiguousarray(each.T) if each is not None and each.ndim == 2 else each
        for each in data
    ]


def _sequence(exam: Exam, data: Data) -> Data | None:
    if exam.x.ndim != 2:
        return None
    rows = exam.case.rows
    batches = 2 if rows % 2 == 0 else 1
    return [
        None if each is None else each.reshape(batches, rows // batches, *each.shape[1:])
        for each in data
    ]


def _class_second(exam: Exam, data: Data) -> Data | None:
    blocks = _sequence(exam, data)
    if blocks is None:
        return None
    return [
        np.ascontiguousarray(each.swapaxes(1, 2)) if each is not None and each.ndim == 3 else each
        for each in blocks
    ]


def _same(exam: Exam, data: Data) -> Data | None:
    return data if exam.loss.layout is Layout.ROWS else None


ALTERNATIVES = (
    Alternative("probabilities", "expects probabilities: of the softmax (or sigmoid) of the "
                "logits it gives the exact result", _logits(_probabilities),
                "squash the logits inside, or audit it as the loss of probabilities"),
    Alternative("log-probabilities", "expects log-probabilities: of their logarithms it gives the "
                "exact result", _logits(_log_probabilities),
                "take the log-softmax inside, or audit it as nll_loss"),
    Alternative("log-odds", "expects logits: of log p/(1 − p) it gives the exact result",
                _logits(_log_odds), "--loss sigmoid_binary_cross_entropy"),
    Alternative("distribution", "expects one-hot labels (distributions), not class numbers",
                _labels(_one_hot), "--label-kind distribution"),
    Alternative("label-dtype int32", "expects labels of dtype int32, not int64",
                _labels(_as_type("int32")), "--label-dtype int32"),
    Alternative("label-dtype float32", "expects labels of dtype float32, not int64",
                _labels(_as_type("float32")), "--label-dtype float32"),
    Alternative("label-dtype uint8", "expects labels of dtype uint8, not int64",
                _labels(_as_type("uint8")), "--label-dtype uint8"),
    Alternative("label-dtype int64", "expects integer targets (int64), not those of the dtype",
                _labels(_whole), "take targets of the logits' dtype"),
    Alternative("labels-from-1", "expects labels that count from 1", _labels(_from_one),
                "labels count from 0"),
    Alternative("labels-signed", "expects targets −1 and 1, not 0 and 1", _labels(_signs),
                "targets are 0 and 1"),
    Alternative("swapped", "expects its arguments swapped: (labels, logits)", _swapped,
                "it is called as fn(logits, labels)"),
    Alternative("sequence", "expects (batch, sequence, classes)", _sequence, "--shape sequence"),
    Alternative("class-second", "expects (batch, classes, sequence)", _class_second,
                "--shape class-second"),
    Alternative("transposed", "expects (classes, rows): columns and rows exchanged", _transposed,
                "logits are (rows, classes)"),
    Alternative("single", "expects a single row, of shape (classes,)", _same,
                "it is given all rows at once: (rows, classes)", alone=True),
    Alternative("label-column", "expects labels of shape (rows, 1)", _labels(_column),
                "labels are (rows,)"),
    Alternative("columns", "expects columns, of shape (rows, 1)", _columns,
                "elementwise losses are given (rows,)"),
)  # fmt: skip
