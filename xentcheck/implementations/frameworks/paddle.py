"""PaddlePaddle on the CPU: paddle.nn.functional, with its own gradients.

These functions have CPU kernels only for float32 and float64 (`log_loss` only for float32).
Distributions as labels have no class weights here: Paddle weights a row by Σ w y, not its classes.
"""

import importlib
import warnings
from functools import cache
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import Bridge, Job, Sketch, adapter
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity

INTEGER = (LabelKind.INTEGER,)
DISTRIBUTION = (LabelKind.DISTRIBUTION,)
AXIS0 = ("axis0",)


@cache
def _paddle() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing it warns of compilers that it looks for
        module = importlib.import_module("paddle")
    module.set_device("cpu")
    return module


class _Functional:
    def __getattr__(self, name: str) -> Any:
        return getattr(_paddle().nn.functional, name)


functional: Any = _Functional()


class PaddleBridge(Bridge):
    """Passes tensors of the arrays; under ``axis0`` the classes lie along the first axis."""

    process = Process("paddle", ("paddle",), "pip install 'xentcheck[paddle]'")
    dtypes = ("float32", "float64")
    variants = {"axis0": "over axis 0 of the transpose"}  # noqa: RUF012

    def value(self, job: Job) -> Array:
        """Call the function under ``paddle.no_grad``."""
        paddle = _paddle()
        try:
            with paddle.no_grad():
                return np.asarray(_called(job, _tensor(job.logits)).numpy())
        except RuntimeError as error:
            raise _translated(error, job) from error

    def gradient(self, job: Job) -> Array:
        """Differentiate with ``paddle.grad``."""
        paddle = _paddle()
        try:
            x = _tensor(job.logits)
            x.stop_gradient = False
            result = _called(job, x)
            cotangent = _tensor(job.cotangent(tuple(result.shape)))
            return np.asarray(paddle.grad(result, x, cotangent)[0].numpy())
        except RuntimeError as error:
            raise _translated(error, job) from error

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the lines of the call and of paddle.grad."""
        gradient = sketch.quantity is Quantity.GRADIENT
        lines = ["import paddle", 'paddle.set_device("cpu")', 'x = paddle.to_tensor(w["logits"])']
        if sketch.labels == "labels" or (gradient and sketch.per_class):
            lines.append('y = paddle.to_tensor(w["labels"])')
        if gradient:
            lines.append("x.stop_gradient = False")
        data: tuple[str, ...] = ("x", "y")
        back = ""
        if sketch.variant == "axis0":
            data, back = ("x.t()", "y", "axis=0"), ".t()" if sketch.per_class else ""
        call = sketch.called(*data, array='paddle.to_tensor(w["{}"])')
        lines.append(f"result = {call}{back}")
        if gradient:
            ones = "paddle.ones_like(result)"
            if sketch.per_class:
                ones = "paddle.nn.functional.one_hot(y, result.shape[1]).astype(result.dtype)"
            lines.append(f"result = paddle.grad(result, x, {ones})[0]")
        return tuple(lines)


def _tensor(array: Array) -> Any:
    # Paddle reads a uint16 array from NumPy as bfloat16.
    bits = array.view(np.uint16) if array.dtype.name == "bfloat16" else array
    return _paddle().to_tensor(bits)


def _called(job: Job, x: Any) -> Any:
    labels = map(_tensor, job.data[1:])
    parameters = {
        name: _tensor(each) if isinstance(each, np.ndarray) else each
        for name, each in job.parameters.items()
    }
    if job.variant != "axis0":
        return job.function(x, *labels, **parameters)
    result = job.function(x.t(), *labels, axis=0, **parameters)
    return result.t() if result.ndim == 2 else result


def _translated(error: RuntimeError, job: Job) -> Exception:
    if "is not registered" not in str(error):
        return error
    return UnsupportedError(f"does not take {job.logits.dtype.name}: no kernel is registered")


def cross_entropy(
    x: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Any:
    """F.cross_entropy, integer labels"""
    loss = functional.cross_entropy(
        x,
        labels,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
    return loss.flatten() if reduction == "none" else loss  # some paths keep a class axis of 1


def soft_cross_entropy(
    x: Any, labels: Any, *, label_smoothing: float = 0.0, reduction: str = "none"
) -> Any:
    """F.cross_entropy with soft_label"""
    loss = functional.cross_entropy(
        x, labels, soft_label=True, label_smoothing=label_smoothing, reduction=reduction
    )
    return loss.flatten() if reduction == "none" else loss


def softmax_with_cross_entropy(x: Any, labels: Any, *, ignore_index: int = -100) -> Any:
    """F.softmax_with_cross_entropy"""
    soft = labels.ndim == 2
    labels = labels if soft else labels.unsqueeze(-1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"[\s\S]*is deprecated")
        return functional.softmax_with_cross_entropy(
            x, labels, soft_label=soft, ignore_index=ignore_index
        ).flatten()


def cross_entropy_of_probabilities(p: Any, labels: Any, *, reduction: str = "none") -> Any:
    """F.cross_entropy without use_softmax"""
    loss = functional.cross_entropy(
        p, labels, use_softmax=False, soft_label=labels.ndim == 2, reduction=reduction
    )
    return loss.flatten() if reduction == "none" else loss


def binary_cross_entropy_with_logits(
    x: Any, labels: Any, *, pos_weight: float | None = None, reduction: str = "none"
) -> Any:
    """F.binary_cross_entropy_with_logits"""
    weight = None if pos_weight is None else _paddle().full([1], pos_weight, dtype=x.dtype)
    return functional.binary_cross_entropy_with_logits(
        x, labels, pos_weight=weight, reduction=reduction
    )


def binary_cross_entropy(p: Any, labels: Any, *, reduction: str = "none") -> Any:
    """F.binary_cross_entropy"""
    return functional.binary_cross_entropy(p, labels, reduction=reduction)


def log_loss(p: Any, labels: Any) -> Any:
    """F.log_loss, which adds an epsilon of 1e-4 within both logarithms"""
    return functional.log_loss(p.unsqueeze(-1), labels.unsqueeze(-1)).squeeze(-1)


def nll_loss(
    x: Any, labels: Any, *, weight: Any = None, ignore_index: int = -100, reduction: str = "none"
) -> Any:
    """F.nll_loss"""
    return functional.nll_loss(
        x, labels, weight=weight, ignore_index=ignore_index, reduction=reduction
    )


def kl_div(x: Any, labels: Any, *, log_target: bool = False, reduction: str = "none") -> Any:
    """F.kl_div, summed over the classes; mean is batchmean"""
    how = "batchmean" if reduction == "mean" else reduction
    loss = functional.kl_div(x, labels, reduction=how, log_target=log_target)
    return loss.sum(axis=1) if reduction == "none" else loss


def sigmoid_focal_loss(
    x: Any, labels: Any, *, alpha: float | None = None, gamma: float = 2.0, reduction: str = "none"
) -> Any:
    """F.sigmoid_focal_loss"""
    if alpha is None:
        raise UnsupportedError("balances the classes always: takes an alpha")
    # Paddle misreads the shape of a one-axis array (3.3: "received: shape[0] = -1").
    loss = functional.sigmoid_focal_loss(
        x.unsqueeze(-1), labels.unsqueeze(-1), alpha=alpha, gamma=gamma, reduction=reduction
    )
    return loss.squeeze(-1) if reduction == "none" else loss


def softmax(x: Any, *, axis: int = -1) -> Any:
    """F.softmax"""
    return functional.softmax(x, axis=axis)


def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """F.log_softmax"""
    return functional.log_softmax(x, axis=axis)


def logsumexp(x: Any, *, axis: int = -1) -> Any:
    """paddle.logsumexp"""
    return _paddle().logsumexp(x, axis=axis)


def sigmoid(x: Any) -> Any:
    """F.sigmoid"""
    return functional.sigmoid(x)


def log_sigmoid(x: Any) -> Any:
    """F.log_sigmoid"""
    return functional.log_sigmoid(x)


def softplus(x: Any) -> Any:
    """F.softplus, x itself above its threshold of 20"""
    return functional.softplus(x)


def paddle_implementations() -> tuple[Implementation, ...]:
    """Return all of PaddlePaddle's implementations; the entry point ``paddle``."""
    bridge, f = PaddleBridge(), "paddle.nn.functional."
    rows = ("weight", "ignore_index", "reduction")
    smoothed = ("label_smoothing", "reduction")
    ce, cce = "softmax_cross_entropy", "categorical_cross_entropy"
    table: tuple[tuple[str, str, Any, tuple[LabelKind, ...], tuple[str, ...]], ...] = (
        (ce, f + "cross_entropy", cross_entropy, INTEGER, (*rows, "label_smoothing")),
        (ce, f + "cross_entropy-soft_label", soft_cross_entropy, DISTRIBUTION, smoothed),
        (
            ce,
            f + "softmax_with_cross_entropy",
            softmax_with_cross_entropy,
            (),
            ("ignore_index",),
        ),
        (cce, f + "cross_entropy-no_softmax", cross_entropy_of_probabilities, (), ("reduction",)),
        (
            "sigmoid_binary_cross_entropy",
            f + "binary_cross_entropy_with_logits",
            binary_cross_entropy_with_logits,
            (),
            ("pos_weight", "reduction"),
        ),
        (
            "binary_cross_entropy",
            f + "binary_cross_entropy",
            binary_cross_entropy,
            (),
            ("reduction",),
        ),
        ("nll_loss", f + "nll_loss", nll_loss, (), rows),
        ("kl_divergence", f + "kl_div", kl_div, (), ("log_target", "reduction")),
        (
            "sigmoid_focal_loss",
            f + "sigmoid_focal_loss",
            sigmoid_focal_loss,
            (),
            ("alpha", "gamma", "reduction"),
        ),
        ("sigmoid", f + "sigmoid", sigmoid, (), ()),
        ("log_sigmoid", f + "log_sigmoid", log_sigmoid, (), ()),
        ("softplus", f + "softplus", softplus, (), ()),
    )
    along = (
        ("softmax", f + "softmax", softmax),
        ("log_softmax", f + "log_softmax", log_softmax),
        ("logsumexp", "paddle.logsumexp", logsumexp),
    )
    return (
        *(
            each
            for loss, name, function, kinds, parameters in table
            for each in adapter(
                bridge, loss, name, function, label_kinds=kinds, parameters=parameters
            )
        ),
        *adapter(bridge, "binary_cross_entropy", f + "log_loss", log_loss, dtypes=("float32",)),
        *(
            each
            for loss, name, function in along
            for each in adapter(bridge, loss, name, function, variants=AXIS0)
        ),
    )
