"""TensorFlow 2 and Keras 3, one family in one file: tf.nn, tf.math, keras.losses, keras.ops.

A Keras loss computes in the dtype that its constructor gets, so it gets the dtype of the logits.
Elements go into Keras losses as rows of one output, because those losses average the last axis.
"""

import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import Bridge, Job, Sketch, adapter, deferred, padded
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity

tf: Any = deferred("tensorflow")
keras: Any = deferred("keras")

_NAMES = {
    "float16": "half|float16|DT_HALF",
    "bfloat16": "bfloat16|DT_BFLOAT16",
    "float32": "float|float32|DT_FLOAT",
    "float64": "double|float64|DT_DOUBLE",
}
_COMPILED = ("function", "xla")
_KERAS_REDUCTIONS = {"none": None, "mean": "sum_over_batch_size", "sum": "sum"}
# Names of the first two arguments, in order, of functions in Keras and tf.nn that take labels
# first.
_LABELS_FIRST = {("y_true", "y_pred"), ("target", "output"), ("labels", "logits")}


@dataclass(frozen=True, slots=True)
class _Plan:
    """The computation on the tensors called ``names``: the body of a graph, or run eagerly."""

    function: Callable[..., Any]
    variant: str
    quantity: Quantity
    per_class: bool
    names: tuple[str, ...]
    constants: tuple[tuple[str, Any], ...]

    def __call__(self, *tensors: Any) -> Any:
        given = dict(zip(self.names, tensors, strict=True))
        logits, labels = given.pop("logits"), given.pop("labels", None)
        upstream = given.pop(_UPSTREAM, None)
        if self.quantity is Quantity.VALUE:
            return self._results(logits, labels, given)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            results = self._results(logits, labels, given)
        cotangent = None  # None stands for ones
        if upstream is not None:
            cotangent = upstream = tf.cast(upstream, results.dtype)
        if self.per_class:
            cotangent = tf.one_hot(labels, tf.shape(logits)[1], dtype=results.dtype)
            if upstream is not None:
                cotangent *= upstream[:, None]
        gradient = tape.gradient(results, logits, output_gradients=cotangent)
        if gradient is None:
            raise TypeError("tf.GradientTape finds no way from the result to the logits")
        return tf.convert_to_tensor(gradient)  # the gradient of a tf.gather is an IndexedSlices

    def _results(self, logits: Any, labels: Any, arrays: Mapping[str, Any]) -> Any:
        options = dict(self.constants) | dict(arrays)
        data = [logits]
        if labels is not None and not self.per_class:
            if self.variant == "onehot":
                labels = _dense(logits, labels)
            data.append(labels)
        if self.variant != "axis0":
            return tf.convert_to_tensor(self.function(*data, **options))
        turned = [tf.transpose(each) for each in data]
        results = self.function(*turned, axis=0, **options)
        return tf.transpose(results) if self.per_class else results


@functools.cache
def _set_up() -> None:
    tf.get_logger().setLevel("ERROR")  # it warns of repeated tracing, which an audit needs
    with contextlib.suppress(RuntimeError):  # raised if a user's module has used TensorFlow already
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


@functools.cache
def _graph(plan: _Plan, specs: tuple[tuple[tuple[int | None, ...], Any], ...], xla: bool) -> Any:
    """Return the plan as a tf.function for any number of rows."""
    signature = [tf.TensorSpec(shape, dtype) for shape, dtype in specs]

    def traced(*tensors: Any) -> Any:
        return plan(*tensors)

    return tf.function(traced, input_signature=signature, jit_compile=xla)


@functools.cache
def _prepared(function: Any) -> Callable[..., Any]:
    if isinstance(function, keras.losses.Loss):
        return functools.partial(_of_instance, function)
    if isinstance(function, type) and issubclass(function, keras.losses.Loss):
        return functools.partial(_of_class, function)
    if isinstance(function, functools.partial) and not function.args:
        inner = _prepared(function.func)
        changed = inner is not function.func
        return functools.partial(inner, **function.keywords) if changed else function
    known: Callable[..., Any] = function
    if _names(function) in _LABELS_FIRST:
        return functools.partial(_labels_first, function)
    return known


def _of_instance(
    loss: Any, logits: Any, labels: Any, *, reduction: str = "none", **parameters: Any
) -> Any:
    """Call a copy of an instance, with the requested reduction."""
    mine = object.__new__(type(loss))  # copy.copy would go through Keras's model files
    mine.__dict__.update(vars(loss))
    mine.reduction = _KERAS_REDUCTIONS.get(reduction, reduction)
    return _labels_first(mine, logits, labels, **parameters)


def _of_class(
    kind: Any, logits: Any, labels: Any, *, reduction: str = "none", **parameters: Any
) -> Any:
    """Call an instance made with the parameters, and with the dtype if its constructor takes it."""
    if "dtype" in inspect.signature(kind).parameters:
        parameters.setdefault("dtype", logits.dtype.name)
    return _of_instance(kind(**parameters), logits, labels, reduction=reduction)


def _labels_first(function: Any, logits: Any, labels: Any = None, **parameters: Any) -> Any:
    if labels is None:
        return function(logits, **parameters)
    if logits.shape.rank != 1 or not _averages(function):
        return function(labels, logits, **parameters)
    losses = function(labels[:, None], logits[:, None], **parameters)
    return tf.squeeze(losses, axis=1) if losses.shape.rank == 2 else losses


def _averages(function: Any) -> bool:
    """Whether it is a loss like Keras's, which treats the last axis as one sample."""
    return isinstance(function, keras.losses.Loss) or "y_pred" in _names(function)


def _names(function: Any) -> tuple[str, ...]:
    """Return the names of its first two arguments."""
    try:
        return tuple(inspect.signature(function).parameters)[:2]
    except (TypeError, ValueError):
        return ()


def _refusal(error: Exception, dtype: str) -> str:
    """Return the framework's words if the error says that it lacks the dtype, else ''."""
    text = " ".join(str(error).split())
    names = _NAMES.get(dtype, f"{dtype}|DT_{dtype.upper()}")
    found = re.search(
        rf"(?:Value for attr '\w+' of|\S+ has DataType) (?:{names}) "
        # An argument that takes no real numbers at all got a wrong object, not a wrong dtype.
        r"(?:is )?not in (?:the )?list of allowed values: [\w, ]*\b(?:float|double|half)[\w, ]*"
        rf"|(?:Could not find device for node: |No OpKernel was registered )[^\]]*\b(?:{names})\b"
        r"|No registered '\w+' OpKernel for \w+ devices",
        text,
    )
    return f"does not take {dtype}: {found[0][:120].strip()}" if found else ""


_UPSTREAM = "upstream gradient"  # no parameter name contains a space


class TensorflowBridge(Bridge):
    """Passes eager tensors and differentiates with tf.GradientTape, on one thread."""

    process = Process(
        "tensorflow",
        ("tensorflow", "keras"),
        "pip install 'xentcheck[tensorflow]'",
        (("KERAS_BACKEND", "tensorflow"), ("TF_CPP_MIN_LOG_LEVEL", "3")),
    )
    preparing = "_prepared"
    pulls = True
    variants: Mapping[str, str] = {
        "function": "in a graph, tf.function",
        "xla": "compiled by XLA, tf.function(jit_compile=True)",
        "onehot": "integer labels given as one-hot ones",
        "axis0": "the classes along the first axis, axis=0",
    }

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn a user's callable into a function of (logits, labels, **parameters).

        An instance of keras.losses.Loss is called with (y_true, y_pred) and the requested
        reduction. A class is instantiated with the parameters, including those that
        `functools.partial` has bound. A function whose first two arguments have Keras's or tf.nn's
        names for labels and logits is called in that order.
        """
        return _prepared(function)

    def value(self, job: Job) -> Array:
        """Call the function."""
        return self._run(job, Quantity.VALUE)

    def gradient(self, job: Job) -> Array:
        """Differentiate with tf.GradientTape; variants `function` and `xla` do so in the graph."""
        return self._run(job, Quantity.GRADIENT)

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the lines of the call, with a GradientTape for a gradient, compiled if asked."""
        gradient = sketch.quantity is Quantity.GRADIENT
        rows = sketch.shapes["logits"][0]
        more = 0 if sketch.variant != "xla" or sketch.reduced else _missing(rows)

        def made(name: str) -> str:
            array = f'w["{name}"]'
            if more and _by_row(name, np.empty(sketch.shapes[name])):
                array += "[rows]"
            whole = name == "labels" and sketch.integer
            return f"tf.constant({array})" if whole else f'tf.cast({array}, "{sketch.dtype}")'

        names = {"x": made("logits")}
        if sketch.labels == "labels" or (gradient and sketch.per_class):
            names["y"] = made("labels")
        names |= {name: made(name) for name in sketch.arrays}
        turned = sketch.called("x", "y")
        if sketch.variant == "onehot":
            turned = sketch.called("x", "tf.one_hot(y, x.shape[1], dtype=x.dtype)")
        if sketch.variant == "axis0":
            turned = sketch.called("tf.transpose(x)", "tf.transpose(y)", "axis=0")
            turned = f"tf.transpose({turned})" if sketch.per_class else turned
        given = ", ".join(names)
        lines = [
            "tf.config.threading.set_intra_op_parallelism_threads(1)",
            "tf.config.threading.set_inter_op_parallelism_threads(1)",
            *([f"rows = [*range({rows}), *[0] * {more}]"] if more else []),
            *(f"{name} = {text}" for name, text in names.items()),
            f"def compute({given}):",
        ]
        if gradient:
            ones = ""
            if sketch.per_class:
                one_hot = "tf.one_hot(y, tf.shape(x)[1], dtype=result.dtype)"
                ones = f", output_gradients={one_hot}"
            lines += [
                "    with tf.GradientTape() as tape:",
                "        tape.watch(x)",
                f"        result = {turned}",
                f"    return tf.convert_to_tensor(tape.gradient(result, x{ones}))",
            ]
        else:
            lines.append(f"    return tf.convert_to_tensor({turned})")
        if sketch.variant in _COMPILED:
            compiled = sketch.variant == "xla"
            lines.append(f"compute = tf.function(compute, jit_compile={compiled})")
        return (*lines, f"result = compute({given})")

    def _run(self, job: Job, quantity: Quantity) -> Array:
        _set_up()
        arrays = {"logits": job.logits}
        if job.labels is not None:
            arrays["labels"] = job.labels
        if job.upstream is not None:
            arrays[_UPSTREAM] = job.upstream
        constants = []
        for name, given in sorted(job.parameters.items()):
            if isinstance(given, np.ndarray):
                arrays[name] = given
            else:
                constants.append((name, given))
        call: Any = _Plan(
            self.prepared(job.function),
            job.variant,
            quantity,
            job.per_class,
            tuple(arrays),
            tuple(constants),
        )
        more = 0
        if job.variant in _COMPILED:
            xla = job.variant == "xla"
            if xla and not job.reduced:
                more = _missing(len(job.logits))
                arrays = {
                    name: padded(each, len(each) + more) if _by_row(name, each) else each
                    for name, each in arrays.items()
                }
            specs = tuple(
                ((None, *each.shape[1:]) if _by_row(name, each) else each.shape, each.dtype)
                for name, each in arrays.items()
            )
            call = _graph(call, specs, xla)
        try:
            results = call(*(tf.constant(each) for each in arrays.values())).numpy()
        except (TypeError, tf.errors.OpError) as error:
            refusal = _refusal(error, job.logits.dtype.name)
            if refusal:
                raise UnsupportedError(refusal) from error
            raise
        return np.array(results[:-more] if more and np.ndim(results) else results)


def _by_row(name: str, array: Array) -> bool:
    """Whether an argument has one entry per row; two-dimensional parameters do."""
    return name in {"logits", "labels"} or array.ndim == 2 or (name == _UPSTREAM and array.ndim > 0)


def _missing(rows: int) -> int:
    """Return the number of rows to the next power of two: XLA compiles each size separately."""
    return (1 << (rows - 1).bit_length()) - rows


TENSORFLOW = TensorflowBridge()


def _dense(logits: Any, labels: Any, axis: int = -1) -> Any:
    """Turn integer labels into one-hot labels; return distributions unchanged."""
    if labels.shape.rank == 2:
        return labels
    return tf.one_hot(labels, tf.shape(logits)[axis], axis=axis, dtype=logits.dtype)


# tf.nn and tf.math


def _softmax_cross_entropy(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """tf.nn.softmax_cross_entropy_with_logits, distributions."""
    return tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits, axis=axis)


def _sparse_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """tf.nn.sparse_softmax_cross_entropy_with_logits, integer labels (one-hot: the dense form)."""
    if labels.shape.rank == 2:
        return _softmax_cross_entropy(logits, labels)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _log_of_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """−tf.reduce_sum(labels * tf.math.log(tf.nn.softmax(logits))), integer labels as one-hot."""
    logs = tf.math.log(tf.nn.softmax(logits))
    return -tf.reduce_sum(_dense(logits, labels) * logs, axis=-1)


def _log_of_softmax_and_epsilon(logits: Any, labels: Any) -> Any:
    """−tf.reduce_sum(labels * tf.math.log(tf.nn.softmax(logits) + 1e-7)), labels as one-hot."""
    logs = tf.math.log(tf.nn.softmax(logits) + 1e-7)
    return -tf.reduce_sum(_dense(logits, labels) * logs, axis=-1)


def _log_of_clipped_softmax(logits: Any, labels: Any) -> Any:
    """As the former, of tf.clip_by_value(tf.nn.softmax(logits), 1e-10, 1)."""
    logs = tf.math.log(tf.clip_by_value(tf.nn.softmax(logits), 1e-10, 1.0))
    return -tf.reduce_sum(_dense(logits, labels) * logs, axis=-1)


def _picked_log_of_softmax(logits: Any, labels: Any) -> Any:
    """−tf.math.log(tf.nn.softmax(logits)) at the label, by tf.gather."""
    return -tf.gather(tf.math.log(tf.nn.softmax(logits)), labels, axis=1, batch_dims=1)


def _binary_of_logs(logits: Any, labels: Any) -> Any:
    """−z log p − (1 − z) log(1 − p) with p = tf.sigmoid(logits)."""
    p = tf.sigmoid(logits)
    return -(labels * tf.math.log(p) + (1 - labels) * tf.math.log(1 - p))


def _focal_of_logs(
    logits: Any, labels: Any, *, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    """α_t (1 − p_t)^γ times the cross-entropy, of tf.sigmoid and tf.math.log."""
    p = tf.sigmoid(logits)
    cross_entropy = -(labels * tf.math.log(p) + (1 - labels) * tf.math.log(1 - p))
    p_t = p * labels + (1 - p) * (1 - labels)
    loss = (1 - p_t) ** gamma * cross_entropy
    return loss if alpha is None else (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def _divergence_of_logs(log_predictions: Any, targets: Any) -> Any:
    """tf.reduce_sum(t * (tf.math.log(t) − x))."""
    return tf.reduce_sum(targets * (tf.math.log(targets) - log_predictions), axis=-1)


def _entropy_of_logs(probabilities: Any) -> Any:
    """−tf.reduce_sum(p * tf.math.log(p))."""
    return -tf.reduce_sum(probabilities * tf.math.log(probabilities), axis=-1)


def _log_of_sum_of_exp(logits: Any) -> Any:
    """tf.math.log(tf.reduce_sum(tf.exp(logits)))."""
    return tf.math.log(tf.reduce_sum(tf.exp(logits), axis=-1))


def _log_of_sigmoid(logits: Any) -> Any:
    """tf.math.log(tf.sigmoid(logits))."""
    return tf.math.log(tf.sigmoid(logits))


def _sigmoid_cross_entropy(logits: Any, labels: Any) -> Any:
    """tf.nn.sigmoid_cross_entropy_with_logits."""
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def _weighted_cross_entropy(logits: Any, labels: Any, *, pos_weight: float = 1.0) -> Any:
    """tf.nn.weighted_cross_entropy_with_logits, with its pos_weight."""
    return tf.nn.weighted_cross_entropy_with_logits(
        labels=labels, logits=logits, pos_weight=pos_weight
    )


def _softmax(logits: Any, *, axis: int = -1) -> Any:
    """tf.nn.softmax."""
    return tf.nn.softmax(logits, axis=axis)


def _log_softmax(logits: Any, *, axis: int = -1) -> Any:
    """tf.nn.log_softmax."""
    return tf.nn.log_softmax(logits, axis=axis)


def _log_of_softmax(logits: Any) -> Any:
    """tf.math.log(tf.nn.softmax(logits))."""
    return tf.math.log(tf.nn.softmax(logits))


def _logsumexp(logits: Any, *, axis: int = -1) -> Any:
    """tf.reduce_logsumexp."""
    return tf.reduce_logsumexp(logits, axis=axis)


def _sigmoid(logits: Any) -> Any:
    """tf.sigmoid, which is tf.nn.sigmoid."""
    return tf.sigmoid(logits)


def _log_sigmoid(logits: Any) -> Any:
    """tf.math.log_sigmoid."""
    return tf.math.log_sigmoid(logits)


def _softplus(logits: Any) -> Any:
    """tf.nn.softplus, which is tf.math.softplus."""
    return tf.nn.softplus(logits)


def _log_of_one_plus_exp(logits: Any) -> Any:
    """tf.math.log(1 + tf.exp(logits))."""
    return tf.math.log(1 + tf.exp(logits))


# keras.losses


def _keras_categorical(
    logits: Any,
    labels: Any,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "none",
    axis: int = -1,
    from_logits: bool = True,
) -> Any:
    """keras.losses.CategoricalCrossentropy(from_logits=True), integer labels as one-hot."""
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        axis=axis,
        reduction=_KERAS_REDUCTIONS[reduction],
        dtype=logits.dtype.name,
    )
    return loss(_dense(logits, labels, axis), logits)


def _keras_sparse(
    logits: Any,
    labels: Any,
    *,
    ignore_index: int | None = None,
    reduction: str = "none",
    from_logits: bool = True,
) -> Any:
    """keras.losses.SparseCategoricalCrossentropy(from_logits=True), ignore_class=ignore_index."""
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=from_logits,
        ignore_class=ignore_index,
        reduction=_KERAS_REDUCTIONS[reduction],
        dtype=logits.dtype.name,
    )
    return loss(labels, logits)


def _keras_binary(
    logits: Any,
    labels: Any,
    *,
    label_smoothing: float = 0.0,
    reduction: str = "none",
    from_logits: bool = True,
) -> Any:
    """keras.losses.BinaryCrossentropy(from_logits=True)."""
    loss = keras.losses.BinaryCrossentropy(
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        reduction=_KERAS_REDUCTIONS[reduction],
        dtype=logits.dtype.name,
    )
    return loss(labels[:, None], logits[:, None])


def _keras_focal(
    logits: Any,
    labels: Any,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Any:
    """keras.losses.BinaryFocalCrossentropy(from_logits=True), class balancing where alpha is."""
    loss = keras.losses.BinaryFocalCrossentropy(
        from_logits=True,
        gamma=gamma,
        reduction=_KERAS_REDUCTIONS[reduction],
        dtype=logits.dtype.name,
        **_balance(alpha),
    )
    return loss(labels[:, None], logits[:, None])


# Models that end in a softmax or a sigmoid, trained with a Keras loss with its defaults. Keras on
# TensorFlow looks for the logits behind probabilities: its own layers leave them on the tensor, and
# in a graph it recognises the operation. Results of tf.nn have neither when run eagerly.


def _softmax_layer(logits: Any, axis: int = -1) -> Any:
    return keras.layers.Softmax(axis=axis, dtype=logits.dtype.name)(logits)


def _sigmoid_layer(logits: Any) -> Any:
    return keras.layers.Activation("sigmoid", dtype=logits.dtype.name)(logits)


def _layer_categorical(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """keras.layers.Softmax, then keras.losses.CategoricalCrossentropy() of probabilities."""
    dense = _dense(logits, labels)
    return _keras_categorical_p(_softmax_layer(logits), dense, reduction=reduction)


def _layer_sparse(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """keras.layers.Softmax, then keras.losses.SparseCategoricalCrossentropy()."""
    return _keras_sparse_p(_softmax_layer(logits), labels, reduction=reduction)


def _tf_categorical(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """tf.nn.softmax, then keras.losses.CategoricalCrossentropy() of probabilities."""
    return _keras_categorical_p(tf.nn.softmax(logits), _dense(logits, labels), reduction=reduction)


def _tf_sparse(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """tf.nn.softmax, then keras.losses.SparseCategoricalCrossentropy()."""
    return _keras_sparse_p(tf.nn.softmax(logits), labels, reduction=reduction)


def _of_outputs(loss: type, outputs: Any, labels: Any, reduction: str, **more: Any) -> Any:
    made = loss(reduction=_KERAS_REDUCTIONS[reduction], dtype=outputs.dtype.name, **more)
    return made(labels[:, None], outputs)


def _layer_binary(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """keras.layers.Activation("sigmoid"), then keras.losses.BinaryCrossentropy()."""
    outputs = _sigmoid_layer(logits[:, None])
    return _of_outputs(keras.losses.BinaryCrossentropy, outputs, labels, reduction)


def _tf_binary(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """tf.sigmoid, then keras.losses.BinaryCrossentropy()."""
    outputs = tf.sigmoid(logits[:, None])
    return _of_outputs(keras.losses.BinaryCrossentropy, outputs, labels, reduction)


def _balance(alpha: float | None) -> dict[str, Any]:
    return {} if alpha is None else {"apply_class_balancing": True, "alpha": alpha}


def _layer_focal(
    logits: Any,
    labels: Any,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Any:
    """keras.layers.Activation("sigmoid"), then keras.losses.BinaryFocalCrossentropy()."""
    outputs = _sigmoid_layer(logits[:, None])
    more = {"gamma": gamma, **_balance(alpha)}
    return _of_outputs(keras.losses.BinaryFocalCrossentropy, outputs, labels, reduction, **more)


def _keras_categorical_p(p: Any, labels: Any, *, reduction: str = "none", axis: int = -1) -> Any:
    """keras.losses.CategoricalCrossentropy(): normalised, clipped to [1e-7, 1 − 1e-7]."""
    return _keras_categorical(p, labels, reduction=reduction, axis=axis, from_logits=False)


def _keras_sparse_p(p: Any, labels: Any, *, reduction: str = "none") -> Any:
    """keras.losses.SparseCategoricalCrossentropy(): clipped to [1e-7, 1 − 1e-7], normalised."""
    return _keras_sparse(p, labels, reduction=reduction, from_logits=False)


def _keras_binary_p(p: Any, labels: Any, *, reduction: str = "none") -> Any:
    """keras.losses.BinaryCrossentropy(): clipped to [1e-7, 1 − 1e-7]."""
    return _keras_binary(p, labels, reduction=reduction, from_logits=False)


# keras.ops


def _ops_softmax(logits: Any, *, axis: int = -1) -> Any:
    """keras.ops.softmax."""
    return keras.ops.softmax(logits, axis=axis)


def _ops_log_softmax(logits: Any, *, axis: int = -1) -> Any:
    """keras.ops.log_softmax."""
    return keras.ops.log_softmax(logits, axis=axis)


def _ops_logsumexp(logits: Any, *, axis: int = -1) -> Any:
    """keras.ops.logsumexp."""
    return keras.ops.logsumexp(logits, axis=axis)


def _ops_sigmoid(logits: Any) -> Any:
    """keras.ops.sigmoid."""
    return keras.ops.sigmoid(logits)


def _ops_log_sigmoid(logits: Any) -> Any:
    """keras.ops.log_sigmoid."""
    return keras.ops.log_sigmoid(logits)


def _ops_softplus(logits: Any) -> Any:
    """keras.ops.softplus."""
    return keras.ops.softplus(logits)


def _ops_categorical(logits: Any, labels: Any, *, axis: int = -1) -> Any:
    """keras.ops.categorical_crossentropy(from_logits=True), integer labels as one-hot."""
    dense = _dense(logits, labels, axis)
    return keras.ops.categorical_crossentropy(dense, logits, from_logits=True, axis=axis)


def _ops_sparse(logits: Any, labels: Any) -> Any:
    """keras.ops.sparse_categorical_crossentropy(from_logits=True)."""
    return keras.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def _ops_binary(logits: Any, labels: Any) -> Any:
    """keras.ops.binary_crossentropy(from_logits=True)."""
    return keras.ops.binary_crossentropy(labels, logits, from_logits=True)


def _ops_categorical_p(p: Any, labels: Any, *, axis: int = -1) -> Any:
    """keras.ops.categorical_crossentropy: normalised, clipped to [1e-7, 1 − 1e-7]."""
    return keras.ops.categorical_crossentropy(_dense(p, labels, axis), p, axis=axis)


def _ops_sparse_p(p: Any, labels: Any) -> Any:
    """keras.ops.sparse_categorical_crossentropy: clipped to [1e-7, 1 − 1e-7], normalised."""
    return keras.ops.sparse_categorical_crossentropy(labels, p)


def _ops_binary_p(p: Any, labels: Any) -> Any:
    """keras.ops.binary_crossentropy: clipped to [1e-7, 1 − 1e-7]."""
    return keras.ops.binary_crossentropy(labels, p)


_INTEGER = (LabelKind.INTEGER,)
_DISTRIBUTION = (LabelKind.DISTRIBUTION,)
_SMOOTHED = ("label_smoothing", "reduction")
_REDUCED = ("reduction",)
_AXIS = ("axis0",)


def tensorflow_implementations() -> tuple[Implementation, ...]:
    """Return all declared implementations; the entry point ``tensorflow``."""
    cross_entropy = functools.partial(_declared, "softmax_cross_entropy")
    binary = functools.partial(_declared, "sigmoid_binary_cross_entropy")
    of_p = functools.partial(_declared, "categorical_cross_entropy")
    binary_of_p = functools.partial(_declared, "binary_cross_entropy")
    groups = (
        cross_entropy(
            "tf.nn.softmax_cross_entropy_with_logits",
            _softmax_cross_entropy,
            label_kinds=_DISTRIBUTION,
            variants=(*_COMPILED, *_AXIS),
        ),
        cross_entropy(
            "tf.nn.sparse_softmax_cross_entropy_with_logits",
            _sparse_softmax_cross_entropy,
            label_kinds=_INTEGER,
            variants=(*_COMPILED, "onehot"),
        ),
        cross_entropy(
            "tf.nn.softmax+tf.math.log", _log_of_softmax_cross_entropy, variants=_COMPILED
        ),
        cross_entropy(
            "tf.nn.softmax+tf.math.log+tf.gather",
            _picked_log_of_softmax,
            label_kinds=_INTEGER,
            variants=_COMPILED,
        ),
        cross_entropy("tf.nn.softmax+epsilon+tf.math.log", _log_of_softmax_and_epsilon),
        cross_entropy("tf.nn.softmax+tf.clip_by_value+tf.math.log", _log_of_clipped_softmax),
        cross_entropy(
            "keras.layers.Softmax+CategoricalCrossentropy",
            _layer_categorical,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        cross_entropy(
            "keras.layers.Softmax+SparseCategoricalCrossentropy",
            _layer_sparse,
            label_kinds=_INTEGER,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        cross_entropy(
            "tf.nn.softmax+keras.losses.CategoricalCrossentropy",
            _tf_categorical,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        cross_entropy(
            "tf.nn.softmax+keras.losses.SparseCategoricalCrossentropy",
            _tf_sparse,
            label_kinds=_INTEGER,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        binary("tf.sigmoid+tf.math.log", _binary_of_logs, variants=_COMPILED),
        binary(
            "keras.layers.Activation+BinaryCrossentropy",
            _layer_binary,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        binary(
            "tf.sigmoid+keras.losses.BinaryCrossentropy",
            _tf_binary,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        _declared(
            "sigmoid_focal_loss",
            "keras.layers.Activation+BinaryFocalCrossentropy",
            _layer_focal,
            parameters=("alpha", "gamma", *_REDUCED),
            variants=_COMPILED,
        ),
        _declared(
            "sigmoid_focal_loss",
            "tf.sigmoid+tf.math.log",
            _focal_of_logs,
            parameters=("alpha", "gamma"),
        ),
        _declared("kl_divergence", "tf.math.log+tf.reduce_sum", _divergence_of_logs),
        _declared("entropy", "tf.math.log+tf.reduce_sum", _entropy_of_logs),
        _declared("logsumexp", "tf.exp+tf.reduce_sum+tf.math.log", _log_of_sum_of_exp),
        _declared("log_sigmoid", "tf.sigmoid+tf.math.log", _log_of_sigmoid, variants=_COMPILED),
        cross_entropy(
            "keras.losses.CategoricalCrossentropy",
            _keras_categorical,
            parameters=_SMOOTHED,
            variants=(*_COMPILED, *_AXIS),
        ),
        cross_entropy(
            "keras.losses.SparseCategoricalCrossentropy",
            _keras_sparse,
            label_kinds=_INTEGER,
            parameters=("ignore_index", *_REDUCED),
            variants=_COMPILED,
        ),
        cross_entropy("keras.ops.categorical_crossentropy", _ops_categorical, variants=_AXIS),
        cross_entropy(
            "keras.ops.sparse_categorical_crossentropy", _ops_sparse, label_kinds=_INTEGER
        ),
        binary(
            "tf.nn.sigmoid_cross_entropy_with_logits", _sigmoid_cross_entropy, variants=_COMPILED
        ),
        binary(
            "tf.nn.weighted_cross_entropy_with_logits",
            _weighted_cross_entropy,
            parameters=("pos_weight",),
            variants=_COMPILED,
        ),
        binary(
            "keras.losses.BinaryCrossentropy",
            _keras_binary,
            parameters=_SMOOTHED,
            variants=_COMPILED,
        ),
        binary("keras.ops.binary_crossentropy", _ops_binary),
        of_p(
            "keras.losses.CategoricalCrossentropy",
            _keras_categorical_p,
            parameters=_REDUCED,
            variants=(*_COMPILED, *_AXIS),
        ),
        of_p(
            "keras.losses.SparseCategoricalCrossentropy",
            _keras_sparse_p,
            label_kinds=_INTEGER,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        of_p("keras.ops.categorical_crossentropy", _ops_categorical_p, variants=_AXIS),
        of_p("keras.ops.sparse_categorical_crossentropy", _ops_sparse_p, label_kinds=_INTEGER),
        binary_of_p(
            "keras.losses.BinaryCrossentropy",
            _keras_binary_p,
            parameters=_REDUCED,
            variants=_COMPILED,
        ),
        binary_of_p("keras.ops.binary_crossentropy", _ops_binary_p),
        _declared(
            "sigmoid_focal_loss",
            "keras.losses.BinaryFocalCrossentropy",
            _keras_focal,
            parameters=("alpha", "gamma", *_REDUCED),
            variants=_COMPILED,
        ),
        _declared("softmax", "tf.nn.softmax", _softmax, variants=(*_COMPILED, *_AXIS)),
        _declared("softmax", "keras.ops.softmax", _ops_softmax, variants=_AXIS),
        _declared("log_softmax", "tf.nn.log_softmax", _log_softmax, variants=(*_COMPILED, *_AXIS)),
        _declared("log_softmax", "tf.nn.softmax+tf.math.log", _log_of_softmax, variants=_COMPILED),
        _declared("log_softmax", "keras.ops.log_softmax", _ops_log_softmax, variants=_AXIS),
        _declared("logsumexp", "tf.reduce_logsumexp", _logsumexp, variants=(*_COMPILED, *_AXIS)),
        _declared("logsumexp", "keras.ops.logsumexp", _ops_logsumexp, variants=_AXIS),
        _declared("sigmoid", "tf.sigmoid", _sigmoid, variants=_COMPILED),
        _declared("sigmoid", "keras.ops.sigmoid", _ops_sigmoid),
        _declared("log_sigmoid", "tf.math.log_sigmoid", _log_sigmoid, variants=_COMPILED),
        _declared("log_sigmoid", "keras.ops.log_sigmoid", _ops_log_sigmoid),
        _declared("softplus", "tf.nn.softplus", _softplus, variants=_COMPILED),
        _declared("softplus", "tf.exp+tf.math.log", _log_of_one_plus_exp, variants=_COMPILED),
        _declared("softplus", "keras.ops.softplus", _ops_softplus),
    )
    return tuple(each for group in groups for each in group)


def _declared(
    loss: str, name: str, function: Callable[..., Any], **more: Any
) -> tuple[Implementation, ...]:
    return adapter(TENSORFLOW, loss, name, function, **more)
