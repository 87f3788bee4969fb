"""MLX on its CPU backend: mlx.nn.losses and the functions that they use, with mx.vjp.

In float64 its exp and log have only the accuracy of float32. nn.log_softmax of one class ends the
process (a segmentation fault, in 0.32). On an Apple GPU cross_entropy is a different, fused
function, which is not audited here.
"""

import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from xentcheck.deferred import ml_dtypes, np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import Bridge, Job, Sketch, adapter, deferred
from xentcheck.model import Array, Implementation, Process, Quantity

nn: Any = deferred("mlx.nn")
losses: Any = deferred("mlx.nn.losses")


@cache
def _core() -> Any:
    core = importlib.import_module("mlx.core")
    core.set_default_device(core.cpu)
    return core


class MlxBridge(Bridge):
    """Passes MLX arrays on the CPU."""

    process = Process("mlx", ("mlx.core", "mlx.nn"), "pip install 'xentcheck[mlx]'")
    variants = {  # noqa: RUF012
        "compile": "mx.compile",
        "axis0": "over axis 0 of the transpose",
    }

    def value(self, job: Job) -> Array:
        """Call the function."""
        return _back(_bound(job)(_tensor(job.logits)))

    def gradient(self, job: Job) -> Array:
        """Differentiate with ``mx.vjp``."""
        core = _core()
        x, function = _tensor(job.logits), _bound(job)
        seed = _tensor(job.cotangent(tuple(function(x).shape)))
        return _back(core.vjp(function, [x], [seed])[1][0])

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the lines of the call and of mx.vjp."""
        gradient = sketch.quantity is Quantity.GRADIENT
        real = f'mx.array(w["{{}}"], dtype=mx.{sketch.dtype})'
        lines = [
            "import mlx.core as mx",
            "mx.set_default_device(mx.cpu)",
            f"x = {real.format('logits')}",
        ]
        if sketch.labels == "labels" or (gradient and sketch.per_class):
            made = 'mx.array(w["labels"])' if sketch.integer else real.format("labels")
            lines.append(f"y = {made}")
        call = sketch.called("x", "y", array=real)
        if sketch.variant == "axis0":
            call = f"{sketch.called('x.T', 'y' if sketch.integer else 'y.T', 'axis=0')}.T"
        lines += ["def value(x):", f"    return {call}"]
        if sketch.variant == "compile":
            lines.append("value = mx.compile(value)")
        if not gradient:
            return (*lines, "result = value(x)")
        ones = "mx.ones_like(value(x))"
        if sketch.per_class:
            ones = "(mx.arange(x.shape[1]) == y[:, None]).astype(x.dtype)"
        return (*lines, f"result = mx.vjp(value, [x], [{ones}])[1][0]")


def _tensor(array: Array) -> Any:
    core = _core()
    if array.dtype == np.float64:  # without a dtype it would become float32
        return core.array(array, dtype=core.float64)
    return core.array(array)


def _back(tensor: Any) -> Array:
    core = _core()
    if tensor.dtype == core.bfloat16:
        return np.array(tensor.view(core.uint16)).view(ml_dtypes.bfloat16)
    return np.array(tensor)


def _bound(job: Job) -> Callable[[Any], Any]:
    """Return the job's call as a function of the logits alone."""
    labels = tuple(map(_tensor, job.data[1:]))

    def called(x: Any) -> Any:
        if job.variant != "axis0":
            return job.function(x, *labels, **job.parameters)
        turned = (each.T if each.ndim == 2 else each for each in (x, *labels))
        return job.function(*turned, axis=0, **job.parameters).T

    compiled: Callable[[Any], Any] = _core().compile(called) if job.variant == "compile" else called
    return compiled


def cross_entropy(
    x: Any, labels: Any, *, label_smoothing: float = 0.0, reduction: str = "none", axis: int = -1
) -> Any:
    """nn.losses.cross_entropy"""
    return losses.cross_entropy(
        x, labels, axis=axis, label_smoothing=label_smoothing, reduction=reduction
    )


def binary_cross_entropy(
    x: Any, labels: Any, *, with_logits: bool = False, reduction: str = "none"
) -> Any:
    """nn.losses.binary_cross_entropy of probabilities, each logarithm clipped at −100"""
    return losses.binary_cross_entropy(x, labels, with_logits=with_logits, reduction=reduction)


def binary_cross_entropy_with_logits(x: Any, labels: Any, *, reduction: str = "none") -> Any:
    """nn.losses.binary_cross_entropy of logits"""
    return binary_cross_entropy(x, labels, with_logits=True, reduction=reduction)


def nll_loss(x: Any, labels: Any, *, reduction: str = "none", axis: int = -1) -> Any:
    """nn.losses.nll_loss"""
    return losses.nll_loss(x, labels, axis=axis, reduction=reduction)


def kl_div_loss(
    x: Any, labels: Any, *, log_target: bool = False, reduction: str = "none", axis: int = -1
) -> Any:
    """nn.losses.kl_div_loss, of log-probabilities and log-targets"""
    if not log_target:
        raise UnsupportedError("takes targets as log-probabilities only (log_target)")
    return losses.kl_div_loss(x, labels, axis=axis, reduction=reduction)


def softmax(x: Any, *, axis: int = -1) -> Any:
    """mx.softmax"""
    return _core().softmax(x, axis=axis)


def precise_softmax(x: Any, *, axis: int = -1) -> Any:
    """mx.softmax with precise=True"""
    return _core().softmax(x, axis=axis, precise=True)


def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """nn.log_softmax"""
    return nn.log_softmax(x, axis=axis)


def logsumexp(x: Any, *, axis: int = -1) -> Any:
    """mx.logsumexp"""
    return _core().logsumexp(x, axis=axis)


def sigmoid(x: Any) -> Any:
    """mx.sigmoid"""
    return _core().sigmoid(x)


def log_sigmoid(x: Any) -> Any:
    """nn.log_sigmoid"""
    return nn.log_sigmoid(x)


def softplus(x: Any) -> Any:
    """nn.softplus"""
    return nn.softplus(x)


def mlx_implementations() -> tuple[Implementation, ...]:
    """Return all of MLX's implementations; the entry point ``mlx``."""
    declared = partial(adapter, MlxBridge())
    both, compiled, reduction = ("compile", "axis0"), ("compile",), ("reduction",)
    table: tuple[tuple[str, str, Any, tuple[str, ...], tuple[str, ...]], ...] = (
        (
            "softmax_cross_entropy",
            "nn.losses.cross_entropy",
            cross_entropy,
            ("label_smoothing", "reduction"),
            both,
        ),
        (
            "sigmoid_binary_cross_entropy",
            "nn.losses.binary_cross_entropy",
            binary_cross_entropy_with_logits,
            reduction,
            compiled,
        ),
        (
            "binary_cross_entropy",
            "nn.losses.binary_cross_entropy-with_logits-False",
            binary_cross_entropy,
            reduction,
            compiled,
        ),
        ("nll_loss", "nn.losses.nll_loss", nll_loss, reduction, both),
        (
            "kl_divergence",
            "nn.losses.kl_div_loss",
            kl_div_loss,
            ("log_target", "reduction"),
            both,
        ),
        ("softmax", "core.softmax", softmax, (), both),
        ("softmax", "core.softmax-precise", precise_softmax, (), both),
        ("log_softmax", "nn.log_softmax", log_softmax, (), both),
        ("logsumexp", "core.logsumexp", logsumexp, (), both),
        ("sigmoid", "core.sigmoid", sigmoid, (), compiled),
        ("log_sigmoid", "nn.log_sigmoid", log_sigmoid, (), compiled),
        ("softplus", "nn.softplus", softplus, (), compiled),
    )
    return tuple(
        each
        for loss, name, function, parameters, variants in table
        for each in declared(
            loss, f"mlx.{name}", function, parameters=parameters, variants=variants
        )
    )
