"""scikit-learn: metrics.log_loss, the losses of sklearn._loss, and extmath.softmax.

LogisticRegression, HistGradientBoosting and SGD minimise HalfBinomialLoss and HalfMultinomialLoss.
Each has several separately written paths to the same numbers. ``.loss`` and ``.gradient`` are
audited as the plain implementation, ``.loss_gradient``, ``.gradient_hessian`` and
``.gradient_proba`` as its variants.

``log_loss`` gives one number for a block, so without a reduction it is called row by row. It
computes in the dtype of the probabilities but returns a Python float. That float is converted to
the dtype of the probabilities without loss. ``log_loss`` clips to [eps, 1 − eps] of the dtype.
"""

import warnings
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import Bridge, Job, Sketch, adapter, deferred
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity

losses: Any = deferred("sklearn._loss")
metrics: Any = deferred("sklearn.metrics")
extmath: Any = deferred("sklearn.utils.extmath")

PROCESS = Process("sklearn", ("sklearn",), "pip install 'xentcheck[sklearn]'")
INTEGER = (LabelKind.INTEGER,)


class FunctionBridge(Bridge):
    """Passes arrays unchanged to a function."""

    process = PROCESS
    dtypes = ("float16", "float32", "float64")

    def value(self, job: Job) -> Array:
        """Return what scikit-learn returned."""
        return np.asarray(job.function(*job.data, **job.parameters))


class LossObjectBridge(Bridge):
    """Calls methods of the loss object that a job's function makes for a block of logits."""

    process = PROCESS
    dtypes = ("float32", "float64")
    variants = {  # noqa: RUF012
        "loss_gradient": "value and gradient by .loss_gradient",
        "gradient_hessian": "gradient by .gradient_hessian",
        "gradient_proba": "gradient by .gradient_proba",
    }

    def value(self, job: Job) -> Array:
        """Call ``loss``, or ``loss_gradient`` in that variant; for a mean, call the object."""
        reduction = job.parameters.get("reduction", "none")
        if reduction == "mean":
            return np.asarray(job.function(job.logits)(**_arguments(job)))
        if reduction != "none":
            raise UnsupportedError(f"has no reduction {reduction}")
        made = job.function(job.logits)
        if job.variant == "loss_gradient":
            return np.asarray(made.loss_gradient(**_arguments(job))[0])
        return np.asarray(made.loss(**_arguments(job)))

    def gradient(self, job: Job) -> Array:
        """Call ``gradient``, or the variant's method."""
        if job.reduced:
            raise UnsupportedError("has no gradient of a reduction")
        made = job.function(job.logits)
        result = getattr(made, job.variant or "gradient")(**_arguments(job))
        match job.variant:
            case "":
                return np.asarray(result)
            case "loss_gradient":
                return np.asarray(result[1])
        return np.asarray(result[0])

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the lines that make the loss object and call its method."""
        method, place = ".loss", ""
        if sketch.reduced:
            method = ""
        elif sketch.quantity is Quantity.GRADIENT:
            method = f".{sketch.variant or 'gradient'}"
            place = {"": "", "loss_gradient": "[1]"}.get(sketch.variant, "[0]")
        elif sketch.variant == "loss_gradient":
            method, place = ".loss_gradient", "[0]"
        return (
            'x, y = w["logits"], w["labels"].astype(w["logits"].dtype)',
            f"made = {sketch.function}(x)",
            f"result = made{method}(y_true=y, raw_prediction=x){place}",
        )


def _arguments(job: Job) -> dict[str, Array]:
    assert job.labels is not None
    # The labels must have the dtype of the logits too.
    labels = job.labels.astype(job.logits.dtype, copy=False)
    return {"y_true": labels, "raw_prediction": job.logits}


def half_binomial_loss(logits: Array) -> Any:
    """HalfBinomialLoss: .loss and .gradient"""
    return losses.HalfBinomialLoss()


def half_multinomial_loss(logits: Array) -> Any:
    """HalfMultinomialLoss: .loss and .gradient"""
    if logits.shape[1] < 2:
        raise UnsupportedError("takes two classes or more")
    return losses.HalfMultinomialLoss(n_classes=logits.shape[1])


def log_loss(probabilities: Array, labels: Array, *, reduction: str = "none") -> Any:
    """metrics.log_loss of class probabilities, clipped to [eps, 1 − eps]"""
    if probabilities.shape[1] < 2:
        raise UnsupportedError("takes two classes or more")
    classes = np.arange(probabilities.shape[1])
    return _log_loss(probabilities, labels, classes, reduction)


def binary_log_loss(probabilities: Array, labels: Array, *, reduction: str = "none") -> Any:
    """metrics.log_loss of the positive class's probabilities, clipped to [eps, 1 − eps]"""
    if not np.isin(labels, (0, 1)).all():
        raise UnsupportedError("takes no targets but 0 and 1")
    classes = np.array([0, 1])
    return _log_loss(probabilities, labels.astype(np.int64), classes, reduction)


def _log_loss(probabilities: Array, labels: Array, classes: Array, reduction: str) -> Array:
    def called(rows: slice) -> float:
        return float(
            metrics.log_loss(
                labels[rows], probabilities[rows], labels=classes, normalize=reduction != "sum"
            )
        )

    with warnings.catch_warnings():
        # It warns of probabilities that do not sum to one, and goes on.
        warnings.simplefilter("ignore", UserWarning)
        if reduction != "none":
            return np.asarray(called(slice(None)), dtype=probabilities.dtype)
        values = [called(slice(row, row + 1)) for row in range(len(labels))]
    return np.asarray(values, dtype=probabilities.dtype)


def softmax(logits: Array) -> Any:
    """utils.extmath.softmax, as predict_proba of linear models and HalfMultinomialLoss"""
    return extmath.softmax(logits)


def gradient_proba(logits: Array) -> Any:
    """The probabilities that HalfMultinomialLoss.gradient_proba returns beside its gradient"""
    labels = np.zeros(len(logits), dtype=logits.dtype)
    return half_multinomial_loss(logits).gradient_proba(y_true=labels, raw_prediction=logits)[1]


def sklearn_implementations() -> tuple[Implementation, ...]:
    """Return all of scikit-learn's implementations; the entry point ``sklearn``."""
    objects, functions = LossObjectBridge(), FunctionBridge()
    return (
        *adapter(
            objects,
            "sigmoid_binary_cross_entropy",
            "sklearn._loss.HalfBinomialLoss",
            half_binomial_loss,
            parameters=("reduction",),
            variants=("loss_gradient", "gradient_hessian"),
        ),
        *adapter(
            objects,
            "softmax_cross_entropy",
            "sklearn._loss.HalfMultinomialLoss",
            half_multinomial_loss,
            label_kinds=INTEGER,
            parameters=("reduction",),
            variants=("loss_gradient", "gradient_hessian", "gradient_proba"),
        ),
        *adapter(
            functions,
            "categorical_cross_entropy",
            "sklearn.metrics.log_loss",
            log_loss,
            label_kinds=INTEGER,
            parameters=("reduction",),
            gradient=False,
        ),
        *adapter(
            functions,
            "binary_cross_entropy",
            "sklearn.metrics.log_loss",
            binary_log_loss,
            parameters=("reduction",),
            gradient=False,
        ),
        *adapter(functions, "softmax", "sklearn.utils.extmath.softmax", softmax, gradient=False),
        *adapter(
            functions,
            "softmax",
            "sklearn._loss.HalfMultinomialLoss.gradient_proba",
            gradient_proba,
            dtypes=objects.dtypes,
            gradient=False,
        ),
    )
