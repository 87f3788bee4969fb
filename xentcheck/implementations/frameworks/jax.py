"""JAX and optax, one family in one file: compiled as a whole by jax.jit, as training calls them.

The variant `eager` calls them operation by operation. A function that cannot be traced is called so
too, and the report says it. Double precision is switched on: without it JAX silently turns float64
into float32. In both modes no result widens because of Python scalars or anything else that is
called here.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import (
    PROGRAMS,
    SHARED_FOLDER,
    Bridge,
    Job,
    Sketch,
    adapter,
    deferred,
    padded,
    remark,
)
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity

jax: Any = deferred("jax")
jnp: Any = deferred("jax.numpy")
special: Any = deferred("jax.scipy.special")
optax: Any = deferred("optax")
losses: Any = deferred("optax.losses")

INTEGER = (LabelKind.INTEGER,)
DISTRIBUTION = (LabelKind.DISTRIBUTION,)
BLOCKS = (256, 4096)
"""Rows of a block. Each size is compiled anew; more rows cost less than another program."""

FEW = 16
"""Rows of the smallest block where 256 rows have more than `LARGE` logits."""

LARGE = 1 << 18
"""A block of more logits has the next power of two of its rows."""

MOST_COMPILED = 60  # limit on calls with kept programs, which take some 8 MB each, as measured

SINCE = {
    ("optax.softmax_cross_entropy", "axis"): "optax 0.2.4",
    ("optax.softmax_cross_entropy_with_integer_labels", "axis"): "optax 0.2.4",
    ("optax.kl_divergence", "axis"): "optax 0.2.4",
    ("optax.losses.kl_divergence_with_log_targets", "axis"): "optax 0.2.4",
}
"""The first version with an argument that older ones lack; see `bridge.lacking`."""

EAGER = "eager"
_UPSTREAM = "upstream gradient"  # no parameter name contains a space
Arrays = Mapping[str, Any]
Program = Callable[[Any, Any, Arrays], Any]


class JaxBridge(Bridge):
    """Pads blocks to a few sizes with copies of the first row, because JAX compiles each shape.

    Calls operation by operation are padded too, because each operation is a compiled program. Under
    a reduction nothing is padded. Parameters that are not arrays are compiled as constants.
    """

    process = Process(
        "jax",
        ("jax", "optax"),
        "pip install 'xentcheck[jax]'",
        (("JAX_ENABLE_X64", "1"), ("JAX_PLATFORMS", "cpu")),
    )
    pulls = True
    tracks = True
    compiles = True
    variants = {  # noqa: RUF012 - the interface declares it
        "eager": "operation by operation, without jax.jit",
        "jvp": "the value that jax.jvp gives beside a tangent",
        "axis0": "over axis 0 of the transposed array",
        "vmap": "jax.vmap over single rows",
    }

    @contextmanager
    def visiting(self) -> Iterator[None]:
        """Restore the setting of double precision afterwards."""
        double = jax.config.jax_enable_x64
        _settled.cache_clear()
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", double)
            _settled.cache_clear()

    def value(self, job: Job) -> Array:
        """Call the function; the variant `jvp` returns the primal beside a zero tangent.

        Tracked, it is the value beside the function that jax.vjp returns.
        """
        return _computed(job, Quantity.VALUE)

    def gradient(self, job: Job) -> Array:
        """Differentiate with jax.vjp, compiled together with the value."""
        return _computed(job, Quantity.GRADIENT)

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return lines that pad the rows as the bridge does, because every shape is compiled."""
        shape = sketch.shapes["logits"]
        block = shape[0] if sketch.reduced else _block(shape[0], math.prod(shape))
        copies = block - shape[0]

        def made(name: str, *, by_row: bool = True, integer: bool = False) -> str:
            rows = "[rows]" if by_row and copies else ""
            kind = "" if integer else f', "{sketch.dtype}"'
            return f'jnp.array(w["{name}"]{rows}{kind})'

        names = ["x"]
        lines = [f"rows = [*range({shape[0]}), *[0] * {copies}]"] if copies else []
        lines.append(f"x = {made('logits')}")
        if sketch.labels == "labels" or (sketch.quantity is Quantity.GRADIENT and sketch.per_class):
            names.append("y")
            lines.append(f"y = {made('labels', integer=sketch.integer)}")
        for name in sketch.arrays:
            names.append(name)
            lines.append(f"{name} = {made(name, by_row=len(sketch.shapes[name]) == 2)}")
        given = ", ".join(names)
        lines += [f"def value({given}):", f"    return {_call_in_script(sketch)}"]
        function = "value"
        if sketch.quantity is Quantity.GRADIENT:
            ones = "jnp.ones_like(result)"
            if sketch.per_class:
                ones = "jax.nn.one_hot(y, result.shape[-1], dtype=result.dtype)"
            function = "gradient"
            lines += [
                f"def gradient({given}):",
                f"    result, back = jax.vjp(lambda x: value({given}), x)",
                f"    return back({ones})[0]",
            ]
        call = function if sketch.variant == EAGER else f"jax.jit({function})"
        return (*lines, f"result = {call}({given})")


JAX = JaxBridge()


def _call_in_script(sketch: Sketch) -> str:
    """Return the expression that calls a function on ``x`` and ``y``."""
    match sketch.variant:
        case "axis0":
            return f"{sketch.called('x.T', 'y.T', 'axis=0')}.T"
        case "vmap":
            own = ["x", *["y"] * (sketch.labels == "labels")]
            own += [name for name in sketch.arrays if len(sketch.shapes[name]) == 2]
            mapped = ", ".join(own)
            return f"jax.vmap(lambda {mapped}: {sketch.called('x', 'y')})({mapped})"
        case "jvp":
            zeros = "(x,), (jnp.zeros_like(x),)"
            return f"jax.jvp(lambda x: {sketch.called('x', 'y')}, {zeros})[0]"
    return sketch.called("x", "y")


@cache
def _settled() -> None:
    jax.config.update("jax_enable_x64", True)
    folder = os.environ.get(PROGRAMS) or os.environ.get(SHARED_FOLDER)
    if folder:  # one compilation for all processes takes a third of the time
        warnings.filterwarnings("always", message=_DAMAGED)
        warnings.showwarning = _noted
        jax.config.update("jax_compilation_cache_dir", os.path.join(folder, "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


_DAMAGED = "Error reading persistent compilation cache entry"


def _noted(message: Warning | str, *_: Any, **__: Any) -> None:
    """Drop the kept programs if one of them is damaged, and say so. Other warnings are ignored."""
    if not str(message).startswith(_DAMAGED):
        return
    folder = jax.config.jax_compilation_cache_dir
    for each in Path(folder).iterdir():
        with suppress(OSError):
            each.unlink()
    remark("a compiled program in the cache was damaged: it was dropped and compiled again")


def _computed(job: Job, quantity: Quantity) -> Array:
    _settled()
    rows = len(job.logits)
    block = rows if job.reduced else _block(rows, job.logits.size)
    pulled = job.upstream is not None
    shape = (block, *job.logits.shape[1:])
    _forget((job.function, job.variant, job.logits.dtype, shape, quantity, pulled, job.tracked))

    arrays: dict[str, Any] = {}
    if job.upstream is not None:
        upstream = np.zeros((block,) * job.upstream.ndim, job.upstream.dtype)
        upstream[: rows if upstream.ndim else ...] = job.upstream
        arrays[_UPSTREAM] = upstream
    constants: dict[str, Any] = {}
    for name, given in job.parameters.items():
        if isinstance(given, np.ndarray) and given.ndim:
            arrays[name] = padded(given, block) if given.ndim == 2 else given
        else:
            constants[name] = given
    # 0.0 == -0.0 and 1 == True, but they compile to different programs.
    key = tuple((name, repr(each), each) for name, each in sorted(constants.items()))
    what = (job.function, job.variant, key, quantity, job.per_class, job.tracked)
    labels = None if job.labels is None else padded(job.labels, block)
    given = (padded(job.logits, block), labels, arrays)
    result = np.asarray(_called(what, given))
    return result[:rows] if result.shape[:1] == (block,) else result


def _called(what: "_What", given: tuple[Any, Any, Arrays]) -> Any:
    """Call a function compiled as a whole; operation by operation if it cannot be traced.

    A compiled function takes NumPy arrays: to turn them into JAX's is another program for each
    shape.
    """
    function, variant, *_ = what
    if variant != EAGER and function not in _untraceable:
        try:
            return _compiled(what)(*given)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            result = _program_of(what)(*_of_jax(given))
            _untraceable.add(function)
            remark(
                f"jax.jit cannot trace it ({type(error).__name__}): it is called operation by "
                "operation"
            )
            return result
    return _program_of(what)(*_of_jax(given))


def _of_jax(given: Any) -> Any:
    return jax.tree_util.tree_map(jnp.asarray, given)


_untraceable: set[Callable[..., Any]] = set()


def _block(rows: int, numbers: int) -> int:
    """Return how many rows to compute together: one of a few sizes, as each one is compiled."""
    each = numbers // max(rows, 1)
    for size in BLOCKS:
        if rows <= size and size * each <= LARGE:
            return size
    if rows <= FEW:
        return FEW
    return 1 << max(rows - 1, 1).bit_length()


_compiled_for: set[Any] = set()


def _forget(what: Any) -> None:
    """Drop all compiled programs once there are more than memory should hold."""
    if len(_compiled_for) >= MOST_COMPILED and what not in _compiled_for:
        _compiled_for.clear()
        _compiled.cache_clear()
        jax.clear_caches()
    _compiled_for.add(what)


_Constants = tuple[tuple[str, str, Any], ...]
_What = tuple[Callable[..., Any], str, _Constants, Quantity, bool, bool]
"""A function, its variant, the constants it is compiled with, the quantity, per class, tracked."""


@cache
def _compiled(what: _What) -> Program:
    compiled: Program = jax.jit(_program_of(what))
    return compiled


def _program_of(what: _What) -> Program:
    function, variant, constants, quantity, per_class, tracked = what
    values = {name: each for name, _, each in constants}
    program = _program(function, variant, values, quantity, per_class)
    return _tracked(program) if tracked else program


def _program(
    function: Callable[..., Any],
    variant: str,
    constants: Mapping[str, Any],
    quantity: Quantity,
    per_class: bool,
) -> Program:
    """Return a function of logits, labels (or None) and array parameters for a quantity."""

    def called(x: Any, labels: Any, arrays: Arrays, **more: Any) -> Any:
        known = (x,) if labels is None else (x, labels)
        return function(*known, **arrays, **constants, **more)

    def transposed(x: Any, labels: Any, arrays: Arrays) -> Any:
        return called(x.T, None if labels is None else labels.T, arrays, axis=0).T

    def mapped(x: Any, labels: Any, arrays: Arrays) -> Any:
        by_row = {name: each for name, each in arrays.items() if each.ndim == 2}
        shared = {name: each for name, each in arrays.items() if each.ndim != 2}
        return jax.vmap(lambda x, labels, own: called(x, labels, {**shared, **own}))(
            x, labels, by_row
        )

    def with_tangent(x: Any, labels: Any, arrays: Arrays) -> Any:
        return jax.jvp(lambda x: called(x, labels, arrays), (x,), (jnp.zeros_like(x),))[0]

    ways: dict[str, Program] = {
        "": called,
        EAGER: called,
        "axis0": transposed,
        "vmap": mapped,
        "jvp": with_tangent,
    }
    value = ways[variant]

    def gradient(x: Any, labels: Any, arrays: Arrays) -> Any:
        taken = None if per_class else labels
        arrays = dict(arrays)
        upstream = arrays.pop(_UPSTREAM, None)
        result, pulled_back = jax.vjp(lambda x: value(x, taken, arrays), x)
        if per_class:
            cotangent = jax.nn.one_hot(labels, result.shape[-1], dtype=result.dtype)
            if upstream is not None:
                cotangent = cotangent * upstream[:, None].astype(result.dtype)
        elif upstream is not None:
            cotangent = upstream.astype(result.dtype)
        else:
            cotangent = jnp.ones_like(result)
        return pulled_back(cotangent)[0]

    return value if quantity is Quantity.VALUE else gradient


def _tracked(value: Program) -> Program:
    """Return a function of the same arguments: the value that jax.vjp gives."""

    def tracked(x: Any, labels: Any, arrays: Arrays) -> Any:
        return jax.vjp(lambda x: value(x, labels, arrays), x)[0]

    return tracked


# Softmax and its parts


def softmax(logits: Any, *, axis: int = -1) -> Any:
    """jax.nn.softmax."""
    return jax.nn.softmax(logits, axis=axis)


def tempered_softmax(logits: Any, *, temperature: float = 1.0, noise: Any = None) -> Any:
    """jax.nn.softmax((x + noise) / temperature), as for distillation and Gumbel-softmax."""
    shaken = logits if noise is None else logits + noise
    return jax.nn.softmax(shaken / temperature)


def log_softmax(logits: Any, *, axis: int = -1) -> Any:
    """jax.nn.log_softmax."""
    return jax.nn.log_softmax(logits, axis=axis)


def logsumexp(logits: Any, *, axis: int = -1) -> Any:
    """jax.nn.logsumexp, which is jax.scipy.special.logsumexp."""
    return jax.nn.logsumexp(logits, axis=axis)


# Softmax cross-entropy


def _one_hot(logits: Any, labels: Any, axis: int = -1) -> Any:
    """Use the dtype of the logits: JAX's default would widen bfloat16 losses to float32."""
    return jax.nn.one_hot(labels, logits.shape[axis], dtype=logits.dtype, axis=axis)


def _along(axis: int) -> dict[str, int]:
    """Name the axis only if it is not the last: older versions have no such argument."""
    return {} if axis == -1 else {"axis": axis}


def cross_entropy_of_integers(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """optax.softmax_cross_entropy_with_integer_labels: logsumexp(x) − x_y."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels, **_along(axis))


def cross_entropy(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """optax.softmax_cross_entropy, distributions."""
    return optax.softmax_cross_entropy(logits, labels, **_along(axis))


def cross_entropy_of_one_hot(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """optax.softmax_cross_entropy of jax.nn.one_hot labels in the dtype of the logits."""
    return optax.softmax_cross_entropy(logits, _one_hot(logits, labels, axis), **_along(axis))


def safe_cross_entropy(logits: Any, labels: Any) -> Any:
    """optax.safe_softmax_cross_entropy, distributions: 0·log 0 = 0."""
    return optax.safe_softmax_cross_entropy(logits, labels)


def safe_cross_entropy_of_one_hot(logits: Any, labels: Any) -> Any:
    """optax.safe_softmax_cross_entropy of jax.nn.one_hot labels: 0·log 0 = 0."""
    return optax.safe_softmax_cross_entropy(logits, _one_hot(logits, labels))


def smoothed_cross_entropy(logits: Any, labels: Any, *, label_smoothing: float = 0.0) -> Any:
    """optax.softmax_cross_entropy of optax.smooth_labels, from one-hot labels or distributions."""
    dense = labels if labels.ndim == logits.ndim else _one_hot(logits, labels)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(dense, label_smoothing))


def fenchel_young(logits: Any, labels: Any) -> Any:
    """optax.losses.make_fenchel_young_loss(logsumexp), one-hot labels: logsumexp(x) − y·x."""
    loss = losses.make_fenchel_young_loss(max_fun=jax.nn.logsumexp)
    return loss(logits, _one_hot(logits, labels))


def picked_log_softmax(logits: Any, labels: Any) -> Any:
    """−jnp.take_along_axis(jax.nn.log_softmax(x), y), as it is written without optax."""
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]


def picked_log_of_softmax(logits: Any, labels: Any) -> Any:
    """−jnp.log(jax.nn.softmax(x)) at the label, by jnp.take_along_axis."""
    log_p = jnp.log(jax.nn.softmax(logits, axis=-1))
    return -jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]


def labels_dot_log_of_softmax(logits: Any, labels: Any) -> Any:
    """−(labels * jnp.log(jax.nn.softmax(x))).sum, integer labels as one-hot."""
    dense = labels if labels.ndim == logits.ndim else _one_hot(logits, labels)
    return -(dense * jnp.log(jax.nn.softmax(logits))).sum(axis=-1)


def labels_dot_log_of_softmax_and_epsilon(logits: Any, labels: Any) -> Any:
    """−(labels * jnp.log(jax.nn.softmax(x) + 1e-7)).sum, integer labels as one-hot."""
    dense = labels if labels.ndim == logits.ndim else _one_hot(logits, labels)
    return -(dense * jnp.log(jax.nn.softmax(logits) + 1e-7)).sum(axis=-1)


def log_of_softmax(logits: Any) -> Any:
    """jnp.log of jax.nn.softmax."""
    return jnp.log(jax.nn.softmax(logits))


def log_of_sum_of_exp(logits: Any) -> Any:
    """jnp.log(jnp.exp(x).sum())."""
    return jnp.log(jnp.exp(logits).sum(axis=-1))


# Sigmoid


def log_of_sigmoid(logits: Any) -> Any:
    """jnp.log of jax.nn.sigmoid."""
    return jnp.log(jax.nn.sigmoid(logits))


def log_of_one_plus_exp(logits: Any) -> Any:
    """jnp.log(1 + jnp.exp(x))."""
    return jnp.log(1 + jnp.exp(logits))


def binary_cross_entropy_of_logs(logits: Any, labels: Any) -> Any:
    """−z log p − (1 − z) log(1 − p) with p = jax.nn.sigmoid(x)."""
    p = jax.nn.sigmoid(logits)
    return -(labels * jnp.log(p) + (1 - labels) * jnp.log(1 - p))


def focal_loss_of_logs(
    logits: Any, labels: Any, *, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    """α_t (1 − p_t)^γ times the cross-entropy, of jax.nn.sigmoid and jnp.log."""
    p = jax.nn.sigmoid(logits)
    cross_entropy = -(labels * jnp.log(p) + (1 - labels) * jnp.log(1 - p))
    p_t = p * labels + (1 - p) * (1 - labels)
    loss = (1 - p_t) ** gamma * cross_entropy
    return loss if alpha is None else (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def sigmoid(logits: Any) -> Any:
    """jax.nn.sigmoid."""
    return jax.nn.sigmoid(logits)


def expit(logits: Any) -> Any:
    """jax.scipy.special.expit."""
    return special.expit(logits)


def log_sigmoid(logits: Any) -> Any:
    """jax.nn.log_sigmoid: −softplus(−x)."""
    return jax.nn.log_sigmoid(logits)


def softplus(logits: Any) -> Any:
    """jax.nn.softplus: logaddexp(x, 0)."""
    return jax.nn.softplus(logits)


def binary_cross_entropy_of_logits(logits: Any, labels: Any) -> Any:
    """optax.sigmoid_binary_cross_entropy: −z log σ(x) − (1−z) log σ(−x)."""
    return optax.sigmoid_binary_cross_entropy(logits, labels)


def focal_loss(logits: Any, labels: Any, *, alpha: float | None = None, gamma: float = 2.0) -> Any:
    """optax.sigmoid_focal_loss, (1 − p_t)^γ in log space."""
    return optax.sigmoid_focal_loss(logits, labels, alpha=alpha, gamma=gamma)


# Probabilities


def kl_divergence(log_predictions: Any, targets: Any, *, axis: int = -1) -> Any:
    """optax.kl_divergence of target probabilities."""
    return optax.kl_divergence(log_predictions, targets, **_along(axis))


def kl_divergence_of_log_targets(
    log_predictions: Any, targets: Any, *, log_target: bool = False, axis: int = -1
) -> Any:
    """optax.losses.kl_divergence_with_log_targets; only with log_target."""
    if not log_target:
        raise UnsupportedError("takes targets as log-probabilities only (log_target)")
    return losses.kl_divergence_with_log_targets(log_predictions, targets, **_along(axis))


def divergence_of_logs(log_predictions: Any, targets: Any) -> Any:
    """(t * (jnp.log(t) − x)).sum."""
    return (targets * (jnp.log(targets) - log_predictions)).sum(axis=-1)


def entropy_of_logs(probabilities: Any) -> Any:
    """−(p * jnp.log(p)).sum."""
    return -(probabilities * jnp.log(probabilities)).sum(axis=-1)


def cross_entropy_of_probabilities(probabilities: Any, labels: Any) -> Any:
    """−Σ jax.scipy.special.xlogy(y, p)."""
    return -special.xlogy(labels, probabilities).sum(axis=-1)


def binary_cross_entropy(probabilities: Any, labels: Any) -> Any:
    """−jax.scipy.special.xlogy(z, p) − xlog1py(1 − z, −p)."""
    return -special.xlogy(labels, probabilities) - special.xlog1py(1 - labels, -probabilities)


def entropy(probabilities: Any) -> Any:
    """Σ jax.scipy.special.entr(p), in nats."""
    return special.entr(probabilities).sum(axis=-1)


def js_divergence(p: Any, q: Any) -> Any:
    """½ Σ jax.scipy.special.rel_entr(p, m) + ½ Σ rel_entr(q, m), m = ½ (p + q)."""
    middle = 0.5 * (p + q)
    halves = special.rel_entr(p, middle).sum(axis=-1) + special.rel_entr(q, middle).sum(axis=-1)
    return 0.5 * halves


def _declared(loss: str, name: str, function: Any, **more: Any) -> tuple[Implementation, ...]:
    return tuple(
        replace(each, gradient=None) if each.name.endswith("@jvp") else each
        for each in adapter(JAX, loss, name, function, **more)
    )


def jax_implementations() -> tuple[Implementation, ...]:
    """Return all implementations of jax and optax; the entry point ``jax``."""
    every = ("eager", "jvp", "axis0", "vmap")
    ce = "softmax_cross_entropy"
    js = "js_divergence"
    return tuple(
        chain(
            _declared("softmax", "jax.nn.softmax", softmax, variants=every),
            _declared(
                "softmax",
                "jax.nn.softmax+temperature",
                tempered_softmax,
                parameters=("temperature", "noise"),
                variants=("eager", "vmap"),
            ),
            _declared("log_softmax", "jax.nn.log_softmax", log_softmax, variants=every),
            _declared("logsumexp", "jax.nn.logsumexp", logsumexp, variants=every),
            _declared(
                ce,
                "optax.softmax_cross_entropy_with_integer_labels",
                cross_entropy_of_integers,
                label_kinds=INTEGER,
                variants=every,
            ),
            _declared(
                ce,
                "optax.softmax_cross_entropy",
                cross_entropy,
                label_kinds=DISTRIBUTION,
                variants=every,
            ),
            _declared(
                ce,
                "optax.softmax_cross_entropy+one_hot",
                cross_entropy_of_one_hot,
                label_kinds=INTEGER,
                variants=every,
            ),
            _declared(
                ce,
                "optax.safe_softmax_cross_entropy",
                safe_cross_entropy,
                label_kinds=DISTRIBUTION,
                variants=("eager", "jvp", "vmap"),
            ),
            _declared(
                ce,
                "optax.safe_softmax_cross_entropy+one_hot",
                safe_cross_entropy_of_one_hot,
                label_kinds=INTEGER,
                variants=("eager", "jvp"),
            ),
            _declared(
                ce,
                "optax.smooth_labels+softmax_cross_entropy",
                smoothed_cross_entropy,
                parameters=("label_smoothing",),
                variants=("eager",),
            ),
            _declared(
                ce,
                "optax.losses.make_fenchel_young_loss",
                fenchel_young,
                label_kinds=INTEGER,
                variants=("eager",),
            ),
            _declared(
                ce,
                "jax.nn.log_softmax+take_along_axis",
                picked_log_softmax,
                label_kinds=INTEGER,
                variants=("eager", "vmap"),
            ),
            _declared(
                ce,
                "jax.nn.softmax+jnp.log+take_along_axis",
                picked_log_of_softmax,
                label_kinds=INTEGER,
                variants=("eager",),
            ),
            _declared(
                ce,
                "jax.nn.softmax+jnp.log+sum",
                labels_dot_log_of_softmax,
                variants=("eager",),
            ),
            _declared(
                ce,
                "jax.nn.softmax+epsilon+jnp.log+sum",
                labels_dot_log_of_softmax_and_epsilon,
            ),
            _declared("log_softmax", "jax.nn.softmax+jnp.log", log_of_softmax, variants=("eager",)),
            _declared("logsumexp", "jax.numpy.exp+sum+log", log_of_sum_of_exp),
            _declared("log_sigmoid", "jax.nn.sigmoid+jnp.log", log_of_sigmoid, variants=("eager",)),
            _declared("softplus", "jax.numpy.exp+log", log_of_one_plus_exp),
            _declared(
                "sigmoid_binary_cross_entropy",
                "jax.nn.sigmoid+jnp.log",
                binary_cross_entropy_of_logs,
                variants=("eager",),
            ),
            _declared(
                "sigmoid_focal_loss",
                "jax.nn.sigmoid+jnp.log",
                focal_loss_of_logs,
                parameters=("alpha", "gamma"),
            ),
            _declared("kl_divergence", "jax.numpy.log+sum", divergence_of_logs),
            _declared("entropy", "jax.numpy.log+sum", entropy_of_logs),
            _declared("sigmoid", "jax.nn.sigmoid", sigmoid, variants=("eager",)),
            _declared("sigmoid", "jax.scipy.special.expit", expit),
            _declared("log_sigmoid", "jax.nn.log_sigmoid", log_sigmoid, variants=("eager", "jvp")),
            _declared("softplus", "jax.nn.softplus", softplus, variants=("eager", "jvp")),
            _declared(
                "sigmoid_binary_cross_entropy",
                "optax.sigmoid_binary_cross_entropy",
                binary_cross_entropy_of_logits,
                variants=("eager", "jvp"),
            ),
            _declared(
                "sigmoid_focal_loss",
                "optax.sigmoid_focal_loss",
                focal_loss,
                parameters=("alpha", "gamma"),
                variants=("eager", "jvp"),
            ),
            _declared(
                "kl_divergence", "optax.kl_divergence", kl_divergence, variants=("eager", "axis0")
            ),
            _declared(
                "kl_divergence",
                "optax.losses.kl_divergence_with_log_targets",
                kl_divergence_of_log_targets,
                parameters=("log_target",),
                variants=("eager", "axis0"),
            ),
            _declared(
                "categorical_cross_entropy",
                "jax.scipy.special.xlogy-sum",
                cross_entropy_of_probabilities,
                label_kinds=DISTRIBUTION,
                variants=("eager",),
            ),
            _declared(
                "binary_cross_entropy",
                "jax.scipy.special.xlogy+xlog1py",
                binary_cross_entropy,
                variants=("eager",),
            ),
            _declared("entropy", "jax.scipy.special.entr-sum", entropy, variants=("eager",)),
            _declared(js, "jax.scipy.special.rel_entr-mixture", js_divergence, variants=("eager",)),
        )
    )
