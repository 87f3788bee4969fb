"""ONNX Runtime on the CPU: one-operator models, and the graphs that exporters write for a loss.

Models have opset 21 and IR 10, which ONNX Runtime takes from 1.18 on. They run on one thread. The
provider computes many float16 operators in float32 between two casts that it inserts. The label of
ignored rows is -100 unless the sweep says otherwise, and every model states it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import (
    NUMPY_ARRAY,
    NUMPY_DATA,
    Bridge,
    Job,
    Sketch,
    adapter,
    deferred,
)
from xentcheck.model import Array, Implementation, LabelKind, Process

ort: Any = deferred("onnxruntime")
states: Any = deferred("onnxruntime.capi.onnxruntime_pybind11_state")
helper: Any = deferred("onnx.helper")
numpy_helper: Any = deferred("onnx.numpy_helper")

OPSET, IR = 21, 10
NARROW = ("float16", "float32")  # Softplus has no double kernel

Node = tuple[str, tuple[str, ...], str, tuple[tuple[str, Any], ...]]
"""Operator, its inputs, its output, its attributes"""


def _node(operator: str, inputs: str, output: str = "result", **attributes: Any) -> Node:
    return operator, tuple(inputs.split()), output, tuple(attributes.items())


class OnnxRuntimeBridge(Bridge):
    """Passes arrays unchanged, or turned for a variant.

    Under ``axis0`` the classes lie along the first axis. The loss operators require the classes
    along the second axis, so for them ``spatial`` turns the rows into the positions of one image.
    """

    process = Process(
        "onnxruntime", ("onnxruntime", "onnx"), "pip install 'xentcheck[onnxruntime]'"
    )
    dtypes = ("float16", "float32", "float64")
    variants = {  # noqa: RUF012
        "unoptimised": "all graph optimisations off",
        "axis0": "classes along the first axis",
        "spatial": "rows as the positions of one image",
    }

    def value(self, job: Job) -> Array:
        """Return what the session returned."""
        if job.variant == "unoptimised":
            return np.asarray(job.function(*job.data, optimised=False, **job.parameters))
        if job.variant == "axis0":
            turned = np.ascontiguousarray(job.logits.T)
            return np.ascontiguousarray(job.function(turned, axis=0, **job.parameters).T)
        if job.variant == "spatial":
            image = (
                np.ascontiguousarray(job.logits.T)[None],
                *(each[None] for each in job.data[1:]),
            )
            result = np.asarray(job.function(*image, **job.parameters))
            return result if job.reduced else result[0]
        return np.asarray(job.function(*job.data, **job.parameters))

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the line of the call."""
        image = ('w["logits"].T.copy()[None]', 'w["labels"][None]')
        match sketch.variant:
            case "unoptimised":
                call = sketch.called(*NUMPY_DATA, "optimised=False", array=NUMPY_ARRAY)
            case "axis0":
                turned = 'w["logits"].T.copy()'
                call = f"{sketch.called(turned, '', 'axis=0', array=NUMPY_ARRAY)}.T"
            case "spatial":
                call = sketch.called(*image, array=NUMPY_ARRAY)
                call += "" if sketch.reduced else "[0]"
            case _:
                return super().script(sketch)
        return (f"result = {call}",)


@cache
def _session(
    nodes: tuple[Node, ...],
    inputs: tuple[tuple[str, str, int], ...],
    constants: tuple[tuple[str, str, Any], ...],
    dtype: str,
    optimised: bool,
) -> Any:
    """Build a model.

    Args:
        nodes: see `Node`.
        inputs: (name, dtype, rank) of each.
        constants: (name, dtype, number) of each.
        dtype: dtype of the result.
        optimised: whether graph optimisations are on.
    """

    def described(name: str, dtype: str, rank: int | None) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        shape = None if rank is None else [None] * rank
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [
            helper.make_node(operator, list(taken), [output], **dict(attributes))
            for operator, taken, output, attributes in nodes
        ],
        "xentcheck",
        [described(*each) for each in inputs],
        [described("result", dtype, None)],
        [numpy_helper.from_array(np.array(number, kind), name) for name, kind, number in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _run(
    nodes: tuple[Node, ...],
    arrays: Mapping[str, Array],
    optimised: bool,
    constants: tuple[tuple[str, str, Any], ...] = (),
) -> Array:
    inputs = tuple((name, each.dtype.name, each.ndim) for name, each in arrays.items())
    dtype = inputs[0][1]
    try:
        session = _session(nodes, inputs, constants, dtype, optimised)
    except (states.NotImplemented, states.InvalidGraph) as error:
        words = str(error).rpartition(" : ")[2]
        raise UnsupportedError(f"does not take {dtype}: {words}") from error
    return np.asarray(session.run(None, dict(arrays))[0])


def softmax(logits: Array, *, axis: int = 1, optimised: bool = True) -> Array:
    """Softmax"""
    return _run((_node("Softmax", "x", axis=axis),), {"x": logits}, optimised)


def log_softmax(logits: Array, *, axis: int = 1, optimised: bool = True) -> Array:
    """LogSoftmax"""
    return _run((_node("LogSoftmax", "x", axis=axis),), {"x": logits}, optimised)


def logsumexp(logits: Array, *, axis: int = 1, optimised: bool = True) -> Array:
    """ReduceLogSumExp"""
    nodes = (_node("ReduceLogSumExp", "x axes", keepdims=0),)
    return _run(nodes, {"x": logits}, optimised, (("axes", "int64", (axis,)),))


def sigmoid(logits: Array, *, optimised: bool = True) -> Array:
    """Sigmoid"""
    return _run((_node("Sigmoid", "x"),), {"x": logits}, optimised)


def softplus(logits: Array, *, optimised: bool = True) -> Array:
    """Softplus"""
    return _run((_node("Softplus", "x"),), {"x": logits}, optimised)


def log_of_sigmoid(logits: Array, *, optimised: bool = True) -> Array:
    """Sigmoid, then Log, as torch.onnx's TorchScript exporter writes logsigmoid"""
    nodes = (_node("Sigmoid", "x", "p"), _node("Log", "p"))
    return _run(nodes, {"x": logits}, optimised)


def minus_softplus(logits: Array, *, optimised: bool = True) -> Array:
    """−Softplus(−x)"""
    nodes = (_node("Neg", "x", "m"), _node("Softplus", "m", "s"), _node("Neg", "s"))
    return _run(nodes, {"x": logits}, optimised)


def sigmoid_log_bce(
    logits: Array, labels: Array, *, pos_weight: float = 1.0, optimised: bool = True
) -> Array:
    """Sigmoid, Log, 1 − p, as torch.onnx's TorchScript exporter writes BCE with logits"""
    weighted = pos_weight != 1
    nodes = (
        _node("Sigmoid", "x", "p"),
        _node("Log", "p", "log_p"),
        _node("Sub", "one p", "q"),
        _node("Sub", "one z", "other"),
        _node("Log", "q", "log_q"),
        _node("Mul", "z log_p", "first"),
        _node("Mul", "first weight", "on") if weighted else _node("Identity", "first", "on"),
        _node("Mul", "other log_q", "off"),
        _node("Add", "on off", "sum"),
        _node("Neg", "sum"),
    )
    kind = logits.dtype.name
    constants: tuple[tuple[str, str, Any], ...] = (("one", kind, 1.0),)
    if weighted:
        constants += (("weight", kind, pos_weight),)
    return _run(nodes, {"x": logits, "z": labels}, optimised, constants)


def softmax_cross_entropy_loss(
    logits: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
    optimised: bool = True,
) -> Array:
    """SoftmaxCrossEntropyLoss"""
    return _loss(
        "SoftmaxCrossEntropyLoss", logits, labels, weight, ignore_index, reduction, optimised
    )


def negative_log_likelihood_loss(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
    optimised: bool = True,
) -> Array:
    """NegativeLogLikelihoodLoss"""
    return _loss(
        "NegativeLogLikelihoodLoss",
        log_probabilities,
        labels,
        weight,
        ignore_index,
        reduction,
        optimised,
    )


def _loss(
    operator: str,
    x: Array,
    labels: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
    optimised: bool,
) -> Array:
    arrays = {"x": x, "y": labels} | ({} if weight is None else {"w": weight})
    nodes = (_node(operator, " ".join(arrays), reduction=reduction, ignore_index=ignore_index),)
    return _run(nodes, arrays, optimised)


def onnxruntime_implementations() -> tuple[Implementation, ...]:
    """Return all of ONNX Runtime's implementations; the entry point ``onnxruntime``."""
    bridge = OnnxRuntimeBridge()
    off, turned, spatial = (
        ("unoptimised",),
        ("unoptimised", "axis0"),
        ("unoptimised", "spatial"),
    )
    row_parameters = ("weight", "ignore_index", "reduction")
    table: tuple[tuple[str, str, Any, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
        ("softmax", "Softmax", softmax, turned, (), ()),
        ("log_softmax", "LogSoftmax", log_softmax, turned, (), ()),
        ("logsumexp", "ReduceLogSumExp", logsumexp, turned, (), ()),
        ("sigmoid", "Sigmoid", sigmoid, off, (), ()),
        ("softplus", "Softplus", softplus, off, NARROW, ()),
        ("log_sigmoid", "Sigmoid-Log", log_of_sigmoid, off, (), ()),
        ("log_sigmoid", "Neg-Softplus-Neg", minus_softplus, off, NARROW, ()),
        (
            "sigmoid_binary_cross_entropy",
            "Sigmoid-Log",
            sigmoid_log_bce,
            off,
            (),
            ("pos_weight",),
        ),
        (
            "softmax_cross_entropy",
            "SoftmaxCrossEntropyLoss",
            softmax_cross_entropy_loss,
            spatial,
            (),
            row_parameters,
        ),
        (
            "nll_loss",
            "NegativeLogLikelihoodLoss",
            negative_log_likelihood_loss,
            spatial,
            (),
            row_parameters,
        ),
    )
    integer = {"softmax_cross_entropy": (LabelKind.INTEGER,)}
    return tuple(
        each
        for loss, name, function, variants, dtypes, parameters in table
        for each in adapter(
            bridge,
            loss,
            f"onnxruntime.{name}",
            function,
            label_kinds=integer.get(loss, ()),
            parameters=parameters,
            dtypes=dtypes,
            gradient=False,
            variants=variants,
        )
    )
