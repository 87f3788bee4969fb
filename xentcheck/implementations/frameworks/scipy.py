"""SciPy: scipy.special, scipy.stats and scipy.spatial.distance, and losses composed of them.

SciPy treats narrow dtypes differently. The softmax family stays in float16. ``entr`` and
``rel_entr`` have no loop below float32. In ``expit``, ``log_expit`` and ``xlogy`` the first loop
that takes float16 is float64. Results keep the dtype that SciPy chose.

SciPy does not differentiate. It documents the gradient of one function: softmax for logsumexp.

Left out: ``special.kl_div`` and ``stats.entropy(pk, qk)``. ``special.kl_div`` adds Σ(q − p), and
``stats.entropy(pk, qk)`` divides both by their sums. So they compute something else on
distributions that do not sum to 1 to the last bit. ``stats.entropy(pk)`` and ``jensenshannon``
normalise too, but they are audited as they are: their inputs count as given probabilities.
"""

from typing import Any

from xentcheck.deferred import np
from xentcheck.implementations.bridge import NUMPY_ARRAY, Bridge, Job, Sketch, adapter, deferred
from xentcheck.model import Array, Implementation, LabelKind, Process

special: Any = deferred("scipy.special")
stats: Any = deferred("scipy.stats")
distance: Any = deferred("scipy.spatial.distance")

INTEGER = (LabelKind.INTEGER,)
DISTRIBUTION = (LabelKind.DISTRIBUTION,)
AXIS0 = ("axis0",)


class SciPyBridge(Bridge):
    """Passes arrays unchanged; under ``axis0`` the classes lie along the first axis."""

    process = Process("scipy", ("scipy",), "pip install 'xentcheck[scipy]'")
    dtypes = ("float16", "float32", "float64")
    variants = {"axis0": "classes along the first axis"}  # noqa: RUF012

    def value(self, job: Job) -> Array:
        """Return what SciPy returned."""
        if job.variant != "axis0":
            return np.asarray(job.function(*job.data, **job.parameters))
        turned = (each if each.ndim == 1 else np.ascontiguousarray(each.T) for each in job.data)
        result = np.asarray(job.function(*turned, axis=0, **job.parameters))
        return np.ascontiguousarray(result.T)

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the lines of the call; ``axis0`` uses C-order arrays with classes along axis 0."""
        if sketch.variant != "axis0":
            return super().script(sketch)
        labels = 'w["labels"]' if sketch.integer else 'w["labels"].T.copy()'
        call = sketch.called('w["logits"].T.copy()', labels, "axis=0", array=NUMPY_ARRAY)
        return (f"result = {call}.T",)


def softmax(logits: Array, *, axis: int = 1) -> Any:
    """special.softmax"""
    return special.softmax(logits, axis=axis)


def log_softmax(logits: Array, *, axis: int = 1) -> Any:
    """special.log_softmax"""
    return special.log_softmax(logits, axis=axis)


def logsumexp(logits: Array, *, axis: int = 1) -> Any:
    """special.logsumexp; the gradient is special.softmax, as its documentation says"""
    return special.logsumexp(logits, axis=axis)


def _picked(values: Array, labels: Array, axis: int) -> Array:
    return np.take_along_axis(values, np.expand_dims(labels, axis), axis).squeeze(axis)


def log_softmax_gather(logits: Array, labels: Array, *, axis: int = 1) -> Any:
    """−special.log_softmax(x)[y]"""
    return -_picked(special.log_softmax(logits, axis=axis), labels, axis)


def log_softmax_sum(logits: Array, labels: Array, *, axis: int = 1) -> Any:
    """−Σ y special.log_softmax(x)"""
    return -(labels * special.log_softmax(logits, axis=axis)).sum(axis=axis)


def logsumexp_gather(logits: Array, labels: Array, *, axis: int = 1) -> Any:
    """special.logsumexp(x) − x[y]"""
    return special.logsumexp(logits, axis=axis) - _picked(logits, labels, axis)


def softmax_log_gather(logits: Array, labels: Array, *, axis: int = 1) -> Any:
    """−log special.softmax(x)[y]"""
    return -np.log(_picked(special.softmax(logits, axis=axis), labels, axis))


def expit(logits: Array) -> Any:
    """special.expit"""
    return special.expit(logits)


def log_expit(logits: Array) -> Any:
    """special.log_expit"""
    return special.log_expit(logits)


def softplus(logits: Array) -> Any:
    """special.softplus"""
    return special.softplus(logits)


def log_expit_bce(logits: Array, labels: Array) -> Any:
    """−z special.log_expit(x) − (1−z) special.log_expit(−x)"""
    return -labels * special.log_expit(logits) - (1 - labels) * special.log_expit(-logits)


def softplus_bce(logits: Array, labels: Array) -> Any:
    """special.softplus(x) − x z"""
    return special.softplus(logits) - logits * labels


def expit_xlogy_bce(logits: Array, labels: Array) -> Any:
    """xlogy and xlog1py of special.expit(x)"""
    return xlogy_bce(special.expit(logits), labels)


def xlogy_bce(probabilities: Array, labels: Array) -> Any:
    """−special.xlogy(z, p) − special.xlog1py(1−z, −p)"""
    return -special.xlogy(labels, probabilities) - special.xlog1py(1 - labels, -probabilities)


def xlogy_sum(probabilities: Array, labels: Array, *, axis: int = 1) -> Any:
    """−Σ special.xlogy(y, p)"""
    return -special.xlogy(labels, probabilities).sum(axis=axis)


def rel_entr_exp(log_probabilities: Array, labels: Array, *, axis: int = 1) -> Any:
    """Σ special.rel_entr(t, exp(x))"""
    return special.rel_entr(labels, np.exp(log_probabilities)).sum(axis=axis)


def rel_entr_js(probabilities: Array, labels: Array, *, axis: int = 1) -> Any:
    """½ Σ special.rel_entr(p, m) + ½ Σ special.rel_entr(q, m), m = (p+q)/2"""
    middle = (probabilities + labels) / 2
    left = special.rel_entr(probabilities, middle).sum(axis=axis)
    return (left + special.rel_entr(labels, middle).sum(axis=axis)) / 2


def jensenshannon(probabilities: Array, labels: Array, *, axis: int = 1) -> Any:
    """distance.jensenshannon(p, q)**2, which normalises p and q"""
    return distance.jensenshannon(probabilities, labels, axis=axis) ** 2


def entropy(probabilities: Array, *, base: str = "e", axis: int = 1) -> Any:
    """stats.entropy, which normalises p"""
    return stats.entropy(probabilities, base=None if base == "e" else int(base), axis=axis)


def entr_sum(probabilities: Array, *, axis: int = 1) -> Any:
    """Σ special.entr(p)"""
    return special.entr(probabilities).sum(axis=axis)


def scipy_implementations() -> tuple[Implementation, ...]:
    """Return all of SciPy's implementations; the entry point ``scipy``."""
    bridge = SciPyBridge()
    rows: tuple[tuple[str, str, Any, tuple[LabelKind, ...]], ...] = (
        ("softmax", "scipy.special.softmax", softmax, ()),
        ("log_softmax", "scipy.special.log_softmax", log_softmax, ()),
        ("softmax_cross_entropy", "scipy.special.log_softmax-gather", log_softmax_gather, INTEGER),
        ("softmax_cross_entropy", "scipy.special.log_softmax-sum", log_softmax_sum, DISTRIBUTION),
        ("softmax_cross_entropy", "scipy.special.logsumexp-gather", logsumexp_gather, INTEGER),
        ("softmax_cross_entropy", "scipy.special.softmax-log", softmax_log_gather, INTEGER),
        ("categorical_cross_entropy", "scipy.special.xlogy", xlogy_sum, DISTRIBUTION),
        ("kl_divergence", "scipy.special.rel_entr", rel_entr_exp, ()),
        ("js_divergence", "scipy.special.rel_entr", rel_entr_js, ()),
        ("js_divergence", "scipy.spatial.distance.jensenshannon-squared", jensenshannon, ()),
        ("entropy", "scipy.special.entr", entr_sum, ()),
    )
    elements = (
        ("sigmoid", "scipy.special.expit", expit),
        ("log_sigmoid", "scipy.special.log_expit", log_expit),
        ("softplus", "scipy.special.softplus", softplus),
        ("sigmoid_binary_cross_entropy", "scipy.special.log_expit", log_expit_bce),
        ("sigmoid_binary_cross_entropy", "scipy.special.softplus-minus-xz", softplus_bce),
        ("sigmoid_binary_cross_entropy", "scipy.special.expit-xlogy", expit_xlogy_bce),
        ("binary_cross_entropy", "scipy.special.xlogy-xlog1py", xlogy_bce),
    )
    return (
        *(
            each
            for loss, name, function, kinds in rows
            for each in adapter(
                bridge, loss, name, function, label_kinds=kinds, gradient=False, variants=AXIS0
            )
        ),
        *adapter(
            bridge,
            "logsumexp",
            "scipy.special.logsumexp",
            logsumexp,
            gradient=softmax,
            variants=AXIS0,
        ),
        *adapter(
            bridge,
            "entropy",
            "scipy.stats.entropy",
            entropy,
            parameters=("base",),
            gradient=False,
            variants=AXIS0,
        ),
        *(
            each
            for loss, name, function in elements
            for each in adapter(bridge, loss, name, function, gradient=False)
        ),
    )
