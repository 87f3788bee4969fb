"""Hypotheses of what a function computes instead of a loss. Only its results are compared.

A hypothesis is a `Form` times a `Factor`. A form gives the results that the function would return
on an exam instead of the exact ones. A factor is a constant: −1, another base of the logarithm, a
mean over the classes, and so on. Both are tables: a new mistake is a new entry. Most forms are the
reference's own results for another case: without a parameter, with other labels, with the softmax
of the logits, or of another loss.
"""

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from xentcheck.floats import from_float64
from xentcheck.losses import LOSSES
from xentcheck.model import Domain, Float64Array, LabelKind, Layout, Quantity
from xentcheck.recognition.exams import Exam
from xentcheck.recognition.form import Expected, Factor, Form, log_probabilities, squashed
from xentcheck.recognition.parts import GRADIENTS, PARTS

FACTORS = (
    Factor("", "{form}", lambda exam: 1.0, plain=True),
    Factor("negative", "the negative of {form}", lambda exam: -1.0, "negate it", plain=True),
    Factor(
        "base-2",
        "{form} to base 2, 1/ln 2 = 1.4427 × the exact result",
        lambda exam: 1 / math.log(2),
        "take the natural logarithm",
        plain=True,
    ),
    Factor(
        "base-10",
        "{form} to base 10, 1/ln 10 = 0.4343 × the exact result",
        lambda exam: 1 / math.log(10),
        "take the natural logarithm",
        plain=True,
    ),
    Factor(
        "negative base-2",
        "the negative of {form}, to base 2",
        lambda exam: -1 / math.log(2),
        "negate it, and take the natural logarithm",
        plain=True,
    ),
    Factor(
        "negative base-10",
        "the negative of {form}, to base 10",
        lambda exam: -1 / math.log(10),
        "negate it, and take the natural logarithm",
        plain=True,
    ),
    Factor(
        "over-classes",
        "{form} divided by the number of classes: a mean over them instead of the sum",
        lambda exam: 1.0 / exam.case.classes if exam.case.classes > 1 else math.nan,
        "sum over the classes",
    ),
    Factor(
        "times-classes",
        "{form} times the number of classes",
        lambda exam: float(exam.case.classes) if exam.case.classes > 1 else math.nan,
        "do not multiply by the number of classes",
    ),
    Factor(
        "over-rows",
        "{form} divided by the number of rows, as under a mean over the rows",
        lambda exam: 1.0 / exam.case.rows,
        "leave the rows as they are: reduction is none unless it is given",
    ),
    Factor(
        "times-rows",
        "{form} times the number of rows, as under a sum where the mean is asked for",
        lambda exam: float(exam.case.rows),
        "divide by the number of rows",
    ),
    Factor(
        "negative over-rows",
        "the negative of {form}, divided by the number of rows",
        lambda exam: -1.0 / exam.case.rows,
        "negate it, and leave the rows as they are",
    ),
    Factor(
        "negative over-classes",
        "the negative of {form}, divided by the number of classes",
        lambda exam: -1.0 / exam.case.classes if exam.case.classes > 1 else math.nan,
        "negate it, and sum over the classes",
    ),
)


def forms(exam: Exam, quantity: Quantity) -> Iterator[Form]:
    """Yield the forms to try, the most plausible first."""
    yield from _PLAIN
    yield from _parameters(exam)
    yield from _BY_LABELS
    if quantity is Quantity.VALUE:
        yield from _REDUCED
        yield from PARTS
    else:
        yield from GRADIENTS
    yield from _built_in(exam)
    yield from _other_losses(exam)


def _of(exam: Exam | None, quantity: Quantity) -> Float64Array | None:
    return None if exam is None else exam.exact(quantity)


def _twice(exam: Exam, quantity: Quantity) -> Float64Array | None:
    if exam.loss.domain is not Domain.LOGITS:
        return None
    p = squashed(exam)
    inner = exam.changed(logits=from_float64(p, "float64"), dtype="float64", **_widened(exam))
    found = _of(inner, quantity)
    if found is None or quantity is Quantity.VALUE or exam.x.ndim == 1:
        return found if found is None or quantity is Quantity.VALUE else found * p * (1 - p)
    return np.asarray(p * (found - (p * found).sum(axis=1, keepdims=True)))


def _widened(exam: Exam) -> dict[str, object]:
    """Return the labels of a case in float64, to go with logits in float64."""
    if exam.labels is None or exam.case.label_kind is LabelKind.INTEGER:
        return {}
    return {"labels": exam.labels}


def _reversed_sign(exam: Exam, quantity: Quantity) -> Float64Array | None:
    if exam.loss.domain is not Domain.LOGITS:
        return None
    found = _of(exam.changed(logits=-exam.case.logits), quantity)
    return -found if found is not None and quantity is Quantity.GRADIENT else found


def _complement(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return the loss of 1 − p instead of p, for single probabilities."""
    if exam.loss.domain is not Domain.PROBABILITIES or exam.x.ndim != 1:
        return None
    case = exam.case
    found = _of(exam.changed(logits=from_float64(1.0 - exam.x, case.dtype)), quantity)
    return -found if found is not None and quantity is Quantity.GRADIENT else found


def _crossed(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return the loss with a softmax over the rows instead of the classes."""
    if exam.loss.domain is not Domain.LOGITS or exam.x.ndim != 2:
        return None
    logs = log_probabilities(exam, axis=0)
    assert logs is not None
    masses = exam.masses
    if exam.case.loss in ("softmax", "log_softmax") and quantity is Quantity.VALUE:
        return np.exp(logs) if exam.case.loss == "softmax" else logs
    if exam.case.loss != "softmax_cross_entropy" or masses is None or exam.case.reduced:
        return None
    if quantity is Quantity.VALUE:
        return np.asarray(-(masses * logs).sum(axis=1))
    return np.asarray(np.exp(logs) - masses)


def _transposed(exam: Exam, quantity: Quantity) -> Float64Array | None:
    exact = exam.exact(quantity)
    return np.ascontiguousarray(exact.T) if exact.ndim == 2 else None


def _swapped(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return the loss with the labels as first argument and the first argument as labels."""
    case = exam.case
    if case.label_kind not in (LabelKind.DISTRIBUTION, LabelKind.TARGET):
        return None
    if quantity is Quantity.GRADIENT:
        return None
    if exam.loss.domain is Domain.LOG_PROBABILITIES:
        logs = exam.labels if case.parameters.get("log_target") else np.log(exam.labels)
        back = exam.x if case.parameters.get("log_target") else np.exp(exam.x)
        return _of(
            exam.changed(logits=np.asarray(logs), labels=np.asarray(back), dtype="float64"),
            quantity,
        )
    return _of(exam.changed(logits=case.labels, labels=case.logits), quantity)


_PLAIN = (
    Form("loss", "{loss}", lambda exam, quantity: exam.exact(quantity), scaled=True),
    Form(
        "twice",
        "{loss} of a softmax: it is applied twice",
        _twice,
        "give it the logits as they are",
    ),
    Form("axis", "{loss} with rows and columns exchanged: a softmax over axis 0", _crossed,
         "the classes are the last axis"),
    Form(
        "transposed",
        "the transpose of {loss}'s",
        _transposed,
        "rows come first: return it in the shape of the logits",
    ),
    Form("swapped", "{loss} with its arguments swapped", _swapped, "logits first, labels second"),
)  # fmt: skip


def _relabelled(change: Callable[[Exam], object]) -> Expected:
    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        labels = change(exam)
        return None if labels is None else _of(exam.changed(labels=labels), quantity)

    return expected


def _shifted(step: int) -> Callable[[Exam], object]:
    def change(exam: Exam) -> object:
        if exam.case.label_kind is not LabelKind.INTEGER:
            return None
        return (exam.labels + step) % exam.case.classes

    return change


def _clipped(step: int) -> Callable[[Exam], object]:
    def change(exam: Exam) -> object:
        if exam.case.label_kind is not LabelKind.INTEGER:
            return None
        return np.clip(exam.labels + step, 0, exam.case.classes - 1)

    return change


def _flipped(exam: Exam) -> object:
    match exam.case.label_kind:
        case LabelKind.INTEGER:
            return exam.case.classes - 1 - exam.labels
        case LabelKind.DISTRIBUTION:
            assert exam.case.labels is not None
            return np.ascontiguousarray(exam.case.labels[:, ::-1])
        case LabelKind.TARGET:
            assert exam.case.labels is not None
            return from_float64(1.0 - exam.labels, exam.case.dtype)
    return None


_BY_LABELS = (
    Form("label-minus-1", "{loss} with labels one off: it counts them from 1",
         _relabelled(_shifted(-1)), "labels count from 0"),
    Form("label-minus-1", "{loss} with labels one off: it counts them from 1",
         _relabelled(_clipped(-1)), "labels count from 0"),
    Form("label-plus-1", "{loss} with labels one off: of the label's next class",
         _relabelled(_shifted(1)), "labels count from 0"),
    Form("label-plus-1", "{loss} with labels one off: of the label's next class",
         _relabelled(_clipped(1)), "labels count from 0"),
    Form("labels-reversed", "{loss} with the labels reversed",
         _relabelled(_flipped), "label k is class k, target 1 the positive class"),
    Form("sign", "{loss} of the negated logits", _reversed_sign, "do not negate the logits"),
    Form("complement", "{loss} of 1 − p", _complement, "it is given p"),
)  # fmt: skip


# Parameters that are not used, or follow another convention


def _with(change: Callable[[Exam], dict[str, object] | None]) -> Expected:
    """Make a form of the loss with other parameters; the key "scale" multiplies the results."""

    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        changes = change(exam)
        if changes is None:
            return None
        scale = changes.pop("scale", 1.0)
        found = _of(exam.given(**changes), quantity)  # type: ignore[arg-type]
        return None if found is None else found * float(scale)  # type: ignore[arg-type]

    return expected


def _set(name: str, value: object, exam: Exam) -> dict[str, object]:
    return {name: value}


def _number(exam: Exam, name: str) -> float | None:
    value = exam.case.parameters.get(name)
    return float(value) if isinstance(value, int | float) else None


def _spread(exam: Exam) -> dict[str, object] | None:
    """Spread ε over the C − 1 other classes. This equals ε·C/(C − 1) over all classes."""
    smoothing = _number(exam, "label_smoothing")
    classes = 2 if exam.case.classes == 1 else exam.case.classes
    if smoothing is None or smoothing * classes > classes - 1:
        return None
    return {"label_smoothing": smoothing * classes / (classes - 1)}


def _masses_of(own: Callable[[float, int], tuple[float, float]]) -> Expected:
    """Make a form whose smoothing gives the label one mass and every other class another."""

    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        smoothing, classes = _number(exam, "label_smoothing"), exam.case.classes
        logs, masses = log_probabilities(exam), exam.masses
        others = {"weight", "z_loss", "temperature", "reduction"} & exam.case.parameters.keys()
        if smoothing is None or logs is None or masses is None or others:
            return None
        label, other = own(smoothing, classes)
        q = masses * (label - other) + other
        if quantity is Quantity.VALUE:
            return np.asarray(-(q * logs).sum(axis=1))
        return np.asarray(np.exp(logs) * q.sum(axis=1, keepdims=True) - q)

    return expected


def _weights(change: Callable[[Float64Array], Float64Array]) -> Expected:
    def changed(exam: Exam) -> dict[str, object] | None:
        weight = exam.case.parameters.get("weight")
        if not isinstance(weight, np.ndarray):
            return None
        return {"weight": np.asarray(change(np.asarray(weight, dtype=np.float64)))}

    return _with(changed)


def _unnormalised(exam: Exam, quantity: Quantity) -> Float64Array | None:
    """Return the mean that divides by the number of rows, not by the sum of their weights."""
    if exam.case.parameters.get("reduction") != "mean":
        return None
    found = _of(exam.given(reduction="sum"), quantity)
    return None if found is None else found / exam.case.rows


def _inverse(name: str, of: Callable[[float], float]) -> Callable[[Exam], dict[str, object] | None]:
    def change(exam: Exam) -> dict[str, object] | None:
        value = _number(exam, name)
        return None if not value else {name: of(value)}

    return change


def _negative_class(exam: Exam) -> dict[str, object] | None:
    weight = _number(exam, "pos_weight")
    return None if not weight else {"pos_weight": 1.0 / weight, "scale": weight}


_CONVENTIONS = (
    Form("smoothing-others", "{loss} with another smoothing: the mass label_smoothing goes to the "
         "other classes only", _with(_spread),
         "here it is spread over all classes: (1−ε) y + ε/C"),
    Form("smoothing-short", "{loss} with another smoothing: 1−ε for the label and ε/C for the "
         "others, which do not sum to 1", _masses_of(lambda e, c: (1 - e, e / c)),
         "the label keeps 1−ε+ε/C"),
    Form("smoothing-added", "{loss} with another smoothing: ε/C is added to every class, and none "
         "taken from the label", _masses_of(lambda e, c: (1 + e / c, e / c)),
         "the label keeps 1−ε+ε/C"),
    Form("smoothing-full", "{loss} with another smoothing: ε for each of the other classes",
         _masses_of(lambda e, c: (1 - e, e)), "here it is spread over all classes: ε/C each"),
    Form("smoothing-swapped", "{loss} with label_smoothing taken for the mass of the label",
         _with(_inverse("label_smoothing", lambda e: 1 - e)), "the label keeps 1−ε"),
    Form("weight-sum-1", "{loss} with weights that are divided by their sum",
         _weights(lambda w: w / w.sum()), "weights count as they are"),
    Form("weight-mean-1", "{loss} with weights that are divided by their mean",
         _weights(lambda w: w / w.mean()), "weights count as they are"),
    Form("weight-squared", "{loss} with its weights applied twice",
         _weights(np.square), "weights count once"),
    Form("mean-by-rows", "{loss} whose mean divides by the number of rows, not by the sum of their "
         "weights", _unnormalised, "divide by the sum of the weights of the rows' labels"),
    Form("pos-weight-negative", "{loss} with pos_weight on the negative class",
         _with(_negative_class), "pos_weight weighs the term of target 1"),
    Form("alpha-negative", "{loss} with alpha on the negative class",
         _with(_inverse("alpha", lambda a: 1 - a)), "alpha weighs target 1, 1 − alpha target 0"),
    Form("temperature-inverse", "{loss} of logits times the temperature",
         _with(_inverse("temperature", lambda t: 1 / t)), "divide the logits by it"),
)  # fmt: skip


def _parameters(exam: Exam) -> Iterator[Form]:
    for name in exam.case.parameters:
        if name == "reduction":
            yield Form(
                "unused",
                "{loss} without reduction: one number per row",
                _with(lambda exam: {"reduction": None}),
                "reduction is not used",
            )
        else:
            yield Form(
                "unused",
                f"{{loss}} without {name}, which is not used",
                _with(functools.partial(_set, name, None)),
                f"{name} is passed by keyword",
            )
    yield from _CONVENTIONS


_BUILT_IN = {
    "label_smoothing": (0.1, 0.05, 0.2, 0.01),
    "gamma": (0.0, 1.0, 1.5, 3.0, 4.0, 5.0),
    "alpha": (0.25, 0.5, 0.75),
    "temperature": (0.5, 2.0, 0.1, 10.0),
}
"""Values of parameters that functions often have built in."""


def _built_in(exam: Exam) -> Iterator[Form]:
    for name, values in _BUILT_IN.items():
        if exam.loss.parameter(name) is None or name in exam.case.parameters:
            continue
        for value in values:
            yield Form(
                "built-in",
                f"{{loss}} with {name}={value:g} built in",
                _with(functools.partial(_set, name, value)),
                f"--built-in {name}={value:g} audits it as that",
            )


# Values of another shape, or parts of the loss


def _over(combine: Callable[[Float64Array], object], reduction: str) -> Expected:
    """Make a form of one number for all rows: by the loss's own reduction, or by ``combine``."""

    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        if exam.case.reduced:
            return None
        if exam.loss.parameter("reduction") is not None:
            return _of(exam.given(reduction=reduction), quantity)
        return np.asarray(combine(exam.exact(quantity)), dtype=np.float64)

    return expected


def _plainly(combine: Callable[[Float64Array], object]) -> Expected:
    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        exact = exam.exact(quantity)
        return np.asarray(combine(exact), dtype=np.float64) if exact.shape else None

    return expected


def _repeated(combine: Callable[[Float64Array], object]) -> Expected:
    """Make a form that repeats one number, combined of all rows, in every row."""

    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        exact = exam.exact(quantity)
        return np.full(exact.shape, combine(exact)) if exact.shape else None

    return expected


_REDUCED = (
    Form("mean", "the mean over the rows of {loss}", _over(np.mean, "mean"), reduction="mean"),
    Form("sum", "the sum over the rows of {loss}", _over(np.sum, "sum"), reduction="sum"),
    Form("mean", "the mean over the rows of {loss}, unweighted", _plainly(np.mean)),
    Form("mean-repeated", "the mean over the rows of {loss}, the same for every row",
         _repeated(np.mean), "return each row's own number"),
    Form("sum-repeated", "the sum over the rows of {loss}, the same for every row",
         _repeated(np.sum), "return each row's own number"),
)  # fmt: skip


LOGITS_OF = {
    "categorical_cross_entropy": "softmax_cross_entropy",
    "binary_cross_entropy": "sigmoid_binary_cross_entropy",
}
"""Losses that take probabilities, and the same losses that take logits."""


def _other_losses(exam: Exam) -> Iterator[Form]:
    """Yield the other losses, computed on the same arrays."""
    own = exam.loss
    for loss in LOSSES.values():
        kinds = loss.label_kinds
        fits = exam.case.label_kind in kinds or LabelKind.NONE in kinds
        if loss is own or loss.layout is not own.layout or not fits:
            continue
        if loss.id == "nll_loss" and own.domain is Domain.LOGITS:
            says = "nll_loss of the logits as they are: it expects log-probabilities"
            hint = "take the log-softmax first, or --loss nll_loss"
        elif loss.id == LOGITS_OF.get(own.id):
            says = f"{loss.id} of its first argument: it expects logits, and is given probabilities"
            hint = f"--loss {loss.id}, or leave the softmax out"
            if own.layout is Layout.ELEMENTWISE:
                hint = f"--loss {loss.id}, or leave the sigmoid out"
        else:
            says, hint = f"{loss.id}, not {{loss}}", f"--loss {loss.id} audits it as that"
        yield Form(f"loss {loss.id}", says, _as_loss(loss.id), hint)


def _as_loss(name: str) -> Expected:
    def expected(exam: Exam, quantity: Quantity) -> Float64Array | None:
        loss = LOSSES[name]
        kept = {
            key: each
            for key, each in exam.case.parameters.items()
            if loss.parameter(key) is not None
        }
        changes: dict[str, object] = {"loss": name, "parameters": kept}
        if exam.case.label_kind not in loss.label_kinds:
            changes.update(label_kind=LabelKind.NONE, labels=None)
        return _of(exam.changed(**changes), quantity)

    return expected
