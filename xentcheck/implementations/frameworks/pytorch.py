"""PyTorch, one framework in one file: its losses on the CPU, in several ways, and on CUDA.

Gradients come from autograd. Only one thread computes, so that equal inputs give equal bits.
"""

import contextlib
import functools
import importlib
import inspect
import re
import types
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from xentcheck.deferred import ml_dtypes, np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import Bridge, Job, Sketch, adapter, deferred
from xentcheck.implementations.classes import of_class
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity

torch: Any = deferred("torch")
functional: Any = deferred("torch.nn.functional")
special: Any = deferred("torch.special")
distributions: Any = deferred("torch.distributions")
dynamo: Any = deferred("torch._dynamo")

PROCESS = Process("torch", ("torch",), "pip install 'xentcheck[torch]'")
NARROW = ("float16", "bfloat16")
VARIANTS: Mapping[str, str] = {
    "compile": "torch.compile, with dynamic shapes",
    "autocast": "under torch.autocast to bfloat16, which has losses computed in float32",
    "jvp": "the primal that torch.func.jvp returns beside the tangent",
    "dim0": "over dim 0 of the contiguous transpose",
    "spatial": "over dim 1 of (rows, classes, 1)",
    "strided": "of a view whose elements are not adjacent",
    "single": "one row a call",
    "onehot": "integer labels given as one-hot distributions",
    "cuda": "on a CUDA device",
    "cuda-compile": "torch.compile, on a CUDA device",
}
INTEGER, DISTRIBUTION = (LabelKind.INTEGER,), (LabelKind.DISTRIBUTION,)

_OWN_NAMES = {"float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double"}
_REFUSED = re.compile(r"\"[^\"]+\" not implemented for '(\w+)'")
_UNCOMPILED = ("InvalidCxxCompiler", "TritonMissing")


# The bridge


class TorchBridge(Bridge):
    """Passes tensors that share the memory of the arrays; gradients come from autograd.

    Views become views of the same storage. Arrays with negative strides and read-only arrays are
    copied, because tensors cannot represent them.
    """

    process = PROCESS
    variants = VARIANTS
    layouts = ("transposed", "stepped", "offset", "one-row", "one-class")
    pulls = True
    tracks = True
    preparing = "_prepared"

    @contextlib.contextmanager
    def visiting(self) -> Iterator[None]:
        """Restore the number of threads afterwards."""
        threads = torch.get_num_threads()
        _settled.cache_clear()
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            _settled.cache_clear()

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of tensors for a function, an nn.Module, or an autograd.Function.

        A class of modules is instantiated with the parameters that its constructor takes, and with
        ``reduction="none"`` if it takes that. The same holds for a `functools.partial` of a class.
        A number becomes a tensor if its parameter is annotated as one.
        """
        return _prepared(function) if isinstance(function, Hashable) else function

    def value(self, job: Job) -> Array:
        """Call the function under ``torch.no_grad``; tracked, as autograd would."""
        with _supported(job), torch.enable_grad() if job.tracked else torch.no_grad():
            x = _leaf(job).requires_grad_() if job.tracked else _leaf(job)
            return _array(self._called(job, x))

    def gradient(self, job: Job) -> Array:
        """Differentiate with ``torch.autograd.grad``.

        Raises:
            RuntimeError: raised by autograd, or the result does not depend on the logits.
        """
        with _supported(job), torch.enable_grad():
            x = _leaf(job).requires_grad_()
            labels = None if job.per_class else job.labels
            result = self._called(replace(job, labels=labels), x)
            cotangent = torch.ones_like(result)
            if job.per_class:
                chosen = _tensor(job.labels, x.device)[:, None]
                each: Any = 1.0
                if job.upstream is not None:
                    each = _tensor(job.upstream, x.device)[:, None].to(result.dtype)
                cotangent = torch.zeros_like(result).scatter_(1, chosen, each)
            elif job.upstream is not None:
                cotangent = _tensor(job.upstream, x.device).to(result.dtype)
            (gradient,) = torch.autograd.grad(result, x, cotangent, allow_unused=True)
            if gradient is None:
                message = "autograd finds no way from the result back to the logits"
                raise RuntimeError(message)
            return _array(gradient)

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the lines of the call and of autograd, on one thread."""
        on = ', device="cuda"' if sketch.variant.startswith("cuda") else ""
        real = f", dtype=torch.{sketch.dtype}{on}"
        gradient = sketch.quantity is Quantity.GRADIENT
        lines = ["torch.set_num_threads(1)", f'x = torch.tensor(w["logits"]{real})']
        if sketch.variant == "strided":
            lines.append("x = torch.stack([x, x], dim=-1)[..., 0]")
        if gradient:
            lines[-1] += ".requires_grad_()"
        if sketch.labels == "labels" or (gradient and sketch.per_class):
            lines.append(f'y = torch.tensor(w["labels"]{on if sketch.integer else real})')
        lines += _call_in_script(sketch, f'torch.tensor(w["{{}}"]{real})')
        if gradient:
            ones = "torch.ones_like(result)"
            if sketch.per_class:
                ones = "torch.zeros_like(result).scatter_(1, y[:, None], 1.0)"
            lines.append(f"(result,) = torch.autograd.grad(result, x, {ones})")
        return tuple(lines)

    def _called(self, job: Job, x: Any) -> Any:
        function = self.prepared(job.function)
        labels = () if job.labels is None else (_tensor(job.labels, x.device),)
        parameters = {
            name: _tensor(each, x.device) if isinstance(each, np.ndarray) else each
            for name, each in job.parameters.items()
        }
        call = functools.partial(function, **parameters)
        match job.variant:
            case "compile" | "cuda-compile":
                # Above its limit of recompilations dynamo would run the function uncompiled.
                with dynamo.config.patch(recompile_limit=2**30, accumulated_recompile_limit=2**30):
                    return _compiled(function)(x, *labels, **parameters)
            case "autocast":
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    return call(x, *labels)
            case "jvp":
                tangent = torch.ones_like(x)
                return torch.func.jvp(lambda x: call(x, *labels), (x,), (tangent,))[0]
            case "dim0":
                result = call(x.t().contiguous(), *labels, dim=0)
                return result.t() if result.ndim == 2 else result
            case "spatial":
                result = call(x.unsqueeze(-1), *(each.unsqueeze(-1) for each in labels))
                return result if job.reduced else result.squeeze(-1)
            case "single":
                rows = zip(x.split(1), *(each.split(1) for each in labels), strict=True)
                return torch.cat([call(*row) for row in rows])
            case "onehot":
                return call(x, functional.one_hot(*labels, x.shape[1]).to(x.dtype))
            case _:
                return call(x, *labels)


def _call_in_script(sketch: Sketch, array: str) -> tuple[str, ...]:
    """Return lines that put the result of a function of ``x`` and ``y`` into ``result``."""
    call = functools.partial(sketch.called, array=array)
    match sketch.variant:
        case "compile" | "cuda-compile":
            whole = replace(sketch, function="compiled")
            return (
                f"compiled = torch.compile({sketch.function}, dynamic=True, fullgraph=True)",
                f"result = {whole.called('x', 'y', array=array)}",
            )
        case "autocast":
            inside = 'with torch.autocast("cpu", dtype=torch.bfloat16):'
            return (inside, f"    result = {call('x', 'y')}")
        case "jvp":
            inside = f"lambda x: {call('x', 'y')}, (x,), (torch.ones_like(x),)"
            return (f"result = torch.func.jvp({inside})[0]",)
        case "dim0":
            turned = call("x.t().contiguous()", "y", "dim=0")
            return (f"result = {turned}{'.t()' if sketch.per_class else ''}",)
        case "spatial":
            spread = call("x.unsqueeze(-1)", "y.unsqueeze(-1)")
            return (f"result = {spread}{'' if sketch.reduced else '.squeeze(-1)'}",)
        case "single":
            rows = "zip(x.split(1), y.split(1))" if sketch.labels else "zip(x.split(1))"
            row = "a, b" if sketch.labels else "(a,)"
            return (f"result = torch.cat([{call('a', 'b')} for {row} in {rows}])",)
        case "onehot":
            one_hot = "torch.nn.functional.one_hot(y, x.shape[1]).to(x.dtype)"
            return (f"result = {call('x', one_hot)}",)
    return (f"result = {call('x', 'y')}",)


@functools.cache
def _settled() -> None:
    torch.set_num_threads(1)  # sums over many classes depend on how threads share the work


@functools.lru_cache(maxsize=256)
def _prepared(function: Any) -> Callable[..., Any]:
    made = function.func if isinstance(function, functools.partial) else function
    found: Any = function
    if inspect.isclass(made) and issubclass(made, torch.autograd.Function):
        found = _applied(cast(Any, made))
    elif inspect.isclass(made):
        found = of_class(function)
    tensors = _tensors(made)
    return functools.partial(_with_tensors, found, tensors) if tensors else found


def _tensors(function: Any) -> frozenset[str]:
    """Return the parameters after the data that are annotated as tensors: they take no number."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return frozenset()
    data = 0 if inspect.isclass(function) else 2
    return frozenset(each.name for each in parameters[data:] if "Tensor" in str(each.annotation))


def _with_tensors(
    function: Callable[..., Any], names: frozenset[str], *data: Any, **parameters: Any
) -> Any:
    made = {
        name: data[0].new_tensor(each) if name in names and isinstance(each, int | float) else each
        for name, each in parameters.items()
    }
    return function(*data, **made)


def _applied(made: Any) -> Callable[..., Any]:
    """Wrap ``apply`` of an autograd.Function, which takes no keywords and fills in no defaults."""
    signature = inspect.signature(made.forward)
    if made.setup_context is torch.autograd.Function.setup_context:
        signature = signature.replace(parameters=[*signature.parameters.values()][1:])  # ctx

    def call(*data: Any, **parameters: Any) -> Any:
        bound = signature.bind(*data, **parameters)
        bound.apply_defaults()
        return made.apply(*bound.args, **bound.kwargs)

    return call


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # fullgraph: a graph that breaks would otherwise count as compiled. Compiling in this thread
    # leaves no pool of processes behind.
    compiled: Callable[..., Any] = torch.compile(
        _traceable(function), dynamic=True, fullgraph=True, options={"compile_threads": 1}
    )
    return compiled


def _traceable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Replace this module's `deferred` names by modules, because dynamo cannot follow the names."""
    if not isinstance(function, types.FunctionType) or function.__module__ != __name__:
        return function
    named = {
        "torch": "torch",
        "functional": "torch.nn.functional",
        "special": "torch.special",
        "distributions": "torch.distributions",
    }
    modules = {name: importlib.import_module(path) for name, path in named.items()}
    traceable = types.FunctionType(function.__code__, {**function.__globals__, **modules})
    traceable.__kwdefaults__ = function.__kwdefaults__
    return traceable


@contextlib.contextmanager
def _supported(job: Job) -> Iterator[None]:
    """Turn errors about features that the installed torch lacks into `UnsupportedError`."""
    _settled()
    try:
        with warnings.catch_warnings():
            # Compiling and forward derivatives use torch.jit, which torch deprecates.
            warnings.filterwarnings("ignore", ".*torch.jit", DeprecationWarning)
            yield
    except RuntimeError as error:
        refused = _REFUSED.search(str(error))
        dtype = job.logits.dtype.name
        if refused is not None and refused[1] == _OWN_NAMES.get(dtype):
            reason = f"does not take {dtype}: {refused[0]}"
            raise UnsupportedError(reason) from error
        if any(name in f"{type(error).__name__}: {error}" for name in _UNCOMPILED):
            reason = "finds no compiler for torch.compile"
            raise UnsupportedError(reason) from error
        raise


def _leaf(job: Job) -> Any:
    """Return the logits as a tensor without history."""
    if job.variant in ("cuda", "cuda-compile"):
        if not torch.cuda.is_available():
            message = "has no CUDA device here"
            raise UnsupportedError(message)
        return _tensor(job.logits, "cuda")
    x = _tensor(job.logits, "cpu")
    if job.variant != "strided":
        return x
    # The NaNs between the elements would show in a result that used them.
    spread = torch.full((*x.shape, 2), torch.nan, dtype=x.dtype)[..., 0]
    return spread.copy_(x).detach()


def _tensor(array: Any, device: Any) -> Any:
    """Return a tensor in the array's memory with its strides; copy what cannot be shared."""
    array = np.asarray(array)
    whole = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    viewed = not array.flags.c_contiguous or array.nbytes < whole.nbytes
    known = whole.dtype == array.dtype and whole.flags.c_contiguous and whole.flags.writeable
    if viewed and known and array.size and min(array.strides) >= 0:
        begins = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        strides = [each // array.itemsize for each in array.strides]
        storage = _packed(whole.reshape(-1), device)
        return torch.as_strided(storage, array.shape, strides, begins // array.itemsize)
    return _packed(np.require(array, requirements=("C", "W")), device)


def _packed(array: Array, device: Any) -> Any:
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(array).to(device)


def _array(result: Any) -> Array:
    """Convert a tensor to an array of its own dtype, and anything else with ``np.asarray``."""
    if not isinstance(result, torch.Tensor):
        return np.asarray(result)
    result = result.detach().cpu().contiguous()
    if result.dtype == torch.bfloat16:
        return np.asarray(result.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
    return np.asarray(result.numpy())


# softmax_cross_entropy


def cross_entropy(
    logits: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Any:
    """F.cross_entropy, integer labels or distributions."""
    return functional.cross_entropy(
        logits,
        labels,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


def nll_of_log_softmax(
    logits: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Any:
    """F.nll_loss of F.log_softmax, as a model that ends in log-probabilities is trained."""
    return functional.nll_loss(
        functional.log_softmax(logits, dim=1),
        labels,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
    )


def logsumexp_minus_logit(logits: Any, labels: Any) -> Any:
    """torch.logsumexp less the label's logit, as fused and chunked losses are written."""
    return torch.logsumexp(logits, dim=1) - logits.gather(1, labels[:, None])[:, 0]


def labels_dot_log_softmax(logits: Any, labels: Any) -> Any:
    """−(labels * F.log_softmax).sum, as soft labels are written by hand."""
    return -(labels * functional.log_softmax(logits, dim=1)).sum(dim=1)


def nll_of_log_of_softmax(
    logits: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Any:
    """F.nll_loss of torch.log of F.softmax, as a model that ends in a softmax is trained."""
    return functional.nll_loss(
        torch.log(functional.softmax(logits, dim=1)),
        labels,
        weight=weight,
        ignore_index=ignore_index,
        reduction=reduction,
    )


def picked_log_of_softmax(logits: Any, labels: Any) -> Any:
    """−torch.log(F.softmax(x)) at the label."""
    return -torch.log(functional.softmax(logits, dim=1)).gather(1, labels[:, None])[:, 0]


def labels_dot_log_of_softmax(logits: Any, labels: Any) -> Any:
    """−(labels * torch.log(F.softmax(x))).sum, as soft labels are written by hand."""
    return -(labels * torch.log(functional.softmax(logits, dim=1))).sum(dim=1)


def labels_dot_log_of_softmax_and_epsilon(logits: Any, labels: Any) -> Any:
    """−(labels * torch.log(F.softmax(x) + 1e-7)).sum, integer labels as one-hot."""
    if labels.ndim == 1:
        labels = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return -(labels * torch.log(functional.softmax(logits, dim=1) + 1e-7)).sum(dim=1)


def categorical_log_prob(logits: Any, labels: Any) -> Any:
    """−Categorical(logits=x).log_prob, as policy gradients are written."""
    return -distributions.Categorical(logits=logits).log_prob(labels)


# sigmoid_binary_cross_entropy


def binary_cross_entropy_with_logits(
    logits: Any, labels: Any, *, pos_weight: float | None = None, reduction: str = "none"
) -> Any:
    """F.binary_cross_entropy_with_logits."""
    weight = None if pos_weight is None else torch.full_like(logits[:1], pos_weight)
    return functional.binary_cross_entropy_with_logits(
        logits, labels, pos_weight=weight, reduction=reduction
    )


def binary_cross_entropy_of_sigmoid(logits: Any, labels: Any, *, reduction: str = "none") -> Any:
    """F.binary_cross_entropy of torch.sigmoid, as a model that ends in a sigmoid is trained."""
    return functional.binary_cross_entropy(torch.sigmoid(logits), labels, reduction=reduction)


def binary_cross_entropy_of_logs(logits: Any, labels: Any) -> Any:
    """−z log p − (1 − z) log(1 − p) with p = torch.sigmoid(x)."""
    p = torch.sigmoid(logits)
    return -(labels * torch.log(p) + (1 - labels) * torch.log(1 - p))


def focal_loss_of_logs(
    logits: Any, labels: Any, *, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    """α_t (1 − p_t)^γ times the cross-entropy, of torch.sigmoid and torch.log."""
    p = torch.sigmoid(logits)
    cross_entropy = -(labels * torch.log(p) + (1 - labels) * torch.log(1 - p))
    p_t = p * labels + (1 - p) * (1 - labels)
    loss = (1 - p_t) ** gamma * cross_entropy
    return loss if alpha is None else (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def bernoulli_log_prob(logits: Any, labels: Any) -> Any:
    """−Bernoulli(logits=x).log_prob; unvalidated, for otherwise it takes targets 0 and 1 only."""
    return -distributions.Bernoulli(logits=logits, validate_args=False).log_prob(labels)


# On probabilities and log-probabilities


def binary_cross_entropy(probabilities: Any, labels: Any, *, reduction: str = "none") -> Any:
    """F.binary_cross_entropy, whose logarithms are clamped at −100."""
    return functional.binary_cross_entropy(probabilities, labels, reduction=reduction)


def nll_of_log(probabilities: Any, labels: Any, *, reduction: str = "none") -> Any:
    """F.nll_loss of torch.log."""
    return functional.nll_loss(torch.log(probabilities), labels, reduction=reduction)


def nll_loss(
    log_probabilities: Any,
    labels: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Any:
    """F.nll_loss."""
    return functional.nll_loss(
        log_probabilities, labels, weight=weight, ignore_index=ignore_index, reduction=reduction
    )


def kl_div(
    log_probabilities: Any, labels: Any, *, log_target: bool = False, reduction: str = "none"
) -> Any:
    """F.kl_div, summed over the classes; its batchmean is the mean over the rows."""
    asked = "batchmean" if reduction == "mean" else reduction
    result = functional.kl_div(log_probabilities, labels, log_target=log_target, reduction=asked)
    return result.sum(dim=1) if reduction == "none" else result


def divergence_of_logs(log_probabilities: Any, labels: Any) -> Any:
    """(t * (torch.log(t) − x)).sum."""
    return (labels * (torch.log(labels) - log_probabilities)).sum(dim=1)


def entropy_of_logs(probabilities: Any) -> Any:
    """−(p * torch.log(p)).sum."""
    return -(probabilities * torch.log(probabilities)).sum(dim=1)


def jensen_shannon_by_kl_div(probabilities: Any, labels: Any) -> Any:
    """Half of each F.kl_div from the logarithm of the mean, as it is written by hand."""
    mean = ((probabilities + labels) / 2).log()
    one, other = (
        functional.kl_div(mean, each, reduction="none") for each in (probabilities, labels)
    )
    return (one + other).sum(dim=1) / 2


def entr(probabilities: Any) -> Any:
    """torch.special.entr, summed over the classes."""
    return special.entr(probabilities).sum(dim=1)


# What losses are made of


def softmax(logits: Any, *, dim: int = 1) -> Any:
    """F.softmax."""
    return functional.softmax(logits, dim=dim)


def log_softmax(logits: Any, *, dim: int = 1) -> Any:
    """F.log_softmax."""
    return functional.log_softmax(logits, dim=dim)


def logsumexp(logits: Any, *, dim: int = 1) -> Any:
    """torch.logsumexp."""
    return torch.logsumexp(logits, dim=dim)


def log_of_softmax(logits: Any) -> Any:
    """torch.log of F.softmax."""
    return torch.log(functional.softmax(logits, dim=1))


def log_of_sum_of_exp(logits: Any) -> Any:
    """torch.log(torch.exp(x).sum())."""
    return torch.log(torch.exp(logits).sum(dim=1))


def log_of_sigmoid(logits: Any) -> Any:
    """torch.log of torch.sigmoid."""
    return torch.log(torch.sigmoid(logits))


def log_of_one_plus_exp(logits: Any) -> Any:
    """torch.log(1 + torch.exp(x))."""
    return torch.log(1 + torch.exp(logits))


def sigmoid(logits: Any) -> Any:
    """torch.sigmoid."""
    return torch.sigmoid(logits)


def logsigmoid(logits: Any) -> Any:
    """F.logsigmoid."""
    return functional.logsigmoid(logits)


def softplus(logits: Any) -> Any:
    """F.softplus, which is x itself beyond its threshold of 20."""
    return functional.softplus(logits)


def logaddexp_of_zero(logits: Any) -> Any:
    """torch.logaddexp with 0."""
    return torch.logaddexp(logits, torch.zeros_like(logits))


# What is declared

TORCH = TorchBridge()

_MODULE = "torch.nn.functional"
_ELEMENTWISE = ("compile", "jvp", "strided", "cuda", "cuda-compile")
_ALONG = ("compile", "jvp", "dim0", "strided", "cuda", "cuda-compile")


def torch_implementations() -> tuple[Implementation, ...]:
    """Return all declared implementations of torch; the entry point ``torch``."""
    smoothed = ("weight", "ignore_index", "label_smoothing", "reduction")
    weighted = ("weight", "ignore_index", "reduction")
    reduced = ("reduction",)
    declared = (
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.cross_entropy",
            cross_entropy,
            parameters=smoothed,
            variants=tuple(each for each in TORCH.variants if each != "dim0"),
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.log_softmax+nll_loss",
            nll_of_log_softmax,
            label_kinds=INTEGER,
            parameters=weighted,
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            "torch.logsumexp-gather",
            logsumexp_minus_logit,
            label_kinds=INTEGER,
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.log_softmax-dot",
            labels_dot_log_softmax,
            label_kinds=DISTRIBUTION,
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.softmax+log+nll_loss",
            nll_of_log_of_softmax,
            label_kinds=INTEGER,
            parameters=weighted,
            variants=("compile",),
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.softmax+log-gather",
            picked_log_of_softmax,
            label_kinds=INTEGER,
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.softmax+log-dot",
            labels_dot_log_of_softmax,
            label_kinds=DISTRIBUTION,
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            f"{_MODULE}.softmax+epsilon+log-dot",
            labels_dot_log_of_softmax_and_epsilon,
        ),
        adapter(
            TORCH,
            "softmax_cross_entropy",
            "torch.distributions.Categorical.log_prob",
            categorical_log_prob,
            label_kinds=INTEGER,
        ),
        adapter(
            TORCH,
            "sigmoid_binary_cross_entropy",
            f"{_MODULE}.binary_cross_entropy_with_logits",
            binary_cross_entropy_with_logits,
            parameters=("pos_weight", "reduction"),
            variants=("compile", "autocast", "jvp", "strided", "cuda", "cuda-compile"),
        ),
        adapter(
            TORCH,
            "sigmoid_binary_cross_entropy",
            "torch.sigmoid+binary_cross_entropy",
            binary_cross_entropy_of_sigmoid,
            parameters=reduced,
        ),
        adapter(
            TORCH,
            "sigmoid_binary_cross_entropy",
            "torch.sigmoid+log",
            binary_cross_entropy_of_logs,
            variants=("compile",),
        ),
        adapter(
            TORCH,
            "sigmoid_focal_loss",
            "torch.sigmoid+log",
            focal_loss_of_logs,
            parameters=("alpha", "gamma"),
        ),
        adapter(
            TORCH,
            "sigmoid_binary_cross_entropy",
            "torch.distributions.Bernoulli.log_prob",
            bernoulli_log_prob,
        ),
        adapter(
            TORCH,
            "binary_cross_entropy",
            f"{_MODULE}.binary_cross_entropy",
            binary_cross_entropy,
            parameters=reduced,
            variants=("autocast", "jvp", "strided", "cuda"),
        ),
        adapter(
            TORCH,
            "categorical_cross_entropy",
            "torch.log+nll_loss",
            nll_of_log,
            label_kinds=INTEGER,
            parameters=reduced,
        ),
        adapter(
            TORCH,
            "nll_loss",
            f"{_MODULE}.nll_loss",
            nll_loss,
            parameters=weighted,
            variants=("autocast", "spatial", "strided", "cuda"),
        ),
        adapter(
            TORCH,
            "kl_divergence",
            f"{_MODULE}.kl_div",
            kl_div,
            parameters=("log_target", "reduction"),
            variants=("compile", "autocast", "jvp", "strided", "cuda", "cuda-compile"),
        ),
        adapter(TORCH, "kl_divergence", "torch.log+sum", divergence_of_logs),
        adapter(TORCH, "entropy", "torch.log+sum", entropy_of_logs),
        adapter(
            TORCH,
            "js_divergence",
            f"{_MODULE}.kl_div-from-the-mean",
            jensen_shannon_by_kl_div,
        ),
        adapter(TORCH, "entropy", "torch.special.entr", entr, variants=("cuda",)),
        adapter(TORCH, "softmax", f"{_MODULE}.softmax", softmax, variants=_ALONG),
        adapter(
            TORCH,
            "log_softmax",
            f"{_MODULE}.log_softmax",
            log_softmax,
            variants=(*_ALONG, "single"),
        ),
        adapter(TORCH, "log_softmax", f"{_MODULE}.softmax+log", log_of_softmax),
        adapter(TORCH, "logsumexp", "torch.exp+sum+log", log_of_sum_of_exp),
        adapter(TORCH, "log_sigmoid", "torch.sigmoid+log", log_of_sigmoid),
        adapter(TORCH, "softplus", "torch.exp+log", log_of_one_plus_exp),
        adapter(TORCH, "logsumexp", "torch.logsumexp", logsumexp, variants=_ALONG),
        adapter(TORCH, "sigmoid", "torch.sigmoid", sigmoid, variants=_ELEMENTWISE),
        adapter(TORCH, "log_sigmoid", f"{_MODULE}.logsigmoid", logsigmoid, variants=_ELEMENTWISE),
        adapter(TORCH, "softplus", f"{_MODULE}.softplus", softplus, variants=_ELEMENTWISE),
        adapter(TORCH, "softplus", "torch.logaddexp", logaddexp_of_zero),
    )
    return tuple(_narrowed(each) for family in declared for each in family)


def _narrowed(declared: Implementation) -> Implementation:
    """Remove from a variant what it does not take, or what would only repeat the plain function."""
    match declared.name.rpartition("@")[2]:
        case "jvp":
            return replace(declared, gradient=None)
        case "autocast":
            return replace(declared, dtypes=NARROW)
        case "single":
            return replace(declared, parameters=declared.parameters - {"reduction"})
        case "onehot":
            # Distributions have no index to ignore, and their mean ignores the weights.
            parameters = declared.parameters - {"ignore_index", "reduction"}
            return replace(declared, label_kinds=INTEGER, parameters=parameters)
        case _:
            return declared
