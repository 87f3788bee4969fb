"""PyTorch's losses through their adapter: what is declared is right on moderate inputs, and what is
known to go wrong goes wrong as it is known to.

The expected numbers are the reference's, or formulas of the standard library beside the fact.
"""

import functools
import importlib.util
import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.frameworks.asking import epsilon_slack, gradient, the, value
from xentcheck.errors import UnsupportedError
from xentcheck.floats import FORMATS, format_of, from_float64, to_float64
from xentcheck.implementations.bridge import Call, Job
from xentcheck.implementations.frameworks.pytorch import TORCH, torch_implementations
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Case, Domain, Implementation, LabelKind, Layout, Quantity
from xentcheck.reference import exact
from xentcheck.reference.enclosures import Exact

fact = pytest.mark.fact("torch")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs torch: pip install 'xentcheck[torch]'"
)

INF, NAN = math.inf, math.nan
DECLARED = torch_implementations()
ROWS, CLASSES = 4, 3
F = "torch.nn.functional"
CE = the(DECLARED, "softmax_cross_entropy", f"{F}.cross_entropy")
BCE = the(DECLARED, "sigmoid_binary_cross_entropy", f"{F}.binary_cross_entropy_with_logits")

PARAMETERS: dict[str, tuple[Any, ...]] = {
    "alpha": (0.25,),
    "gamma": (1.5,),
    "weight": ((0.5, 2.0, 1.25),),
    "ignore_index": (1,),
    "label_smoothing": (0.25,),
    "pos_weight": (2.5,),
    "log_target": (True,),
    "reduction": ("mean", "sum"),
}
"""Values of every parameter that is declared; a new one has to be added here."""


def _settings(names: frozenset[str], loss: str, kind: LabelKind) -> Iterator[dict[str, Any]]:
    """The defaults, every value of each parameter alone, and all parameters at once."""
    spec = {each.name: each for each in LOSSES[loss].parameters}
    usable = [
        name
        for name in sorted(names)
        if not spec[name].label_kinds or kind in spec[name].label_kinds
    ]
    yield {}
    for name in usable:
        yield from ({name: each} for each in PARAMETERS[name])
    if len(usable) > 1:
        yield {name: PARAMETERS[name][0] for name in usable}


def _inputs(loss: str, dtype: str, kind: LabelKind, log_target: bool) -> tuple[Array, Array | None]:
    spec = LOSSES[loss]
    rng = np.random.default_rng(7)
    shape: tuple[int, ...] = (ROWS,) if spec.layout is Layout.ELEMENTWISE else (ROWS, CLASSES)
    x = rng.uniform(-2, 2, shape)
    if spec.domain is not Domain.LOGITS:
        x = 1 / (1 + np.exp(-x))
        x = x / x.sum(axis=1, keepdims=True) if x.ndim == 2 else x
        x = np.log(x) if spec.domain is Domain.LOG_PROBABILITIES else x
    labels: Array | None = None
    if kind is LabelKind.INTEGER:
        labels = np.array([0, 1, 2, 0])
    elif kind is not LabelKind.NONE:
        targets = rng.uniform(0.05, 1, shape)
        targets = targets / targets.sum(axis=1, keepdims=True) if targets.ndim == 2 else targets
        labels = from_float64(np.log(targets) if log_target else targets, dtype)
    return from_float64(x, dtype), labels


@functools.cache
def _case(loss: str, dtype: str, kind: LabelKind, settings: tuple[tuple[str, Any], ...]) -> Case:
    parameters: dict[str, Any] = {
        name: from_float64(np.array(each), dtype) if isinstance(each, tuple) else each
        for name, each in settings
    }
    x, labels = _inputs(loss, dtype, kind, parameters.get("log_target", False))
    return Case("moderate", "drawn", loss, dtype, x, kind, labels, parameters)


@functools.cache
def _exact(case: Case) -> Exact:
    return exact(case)


def _asked(implementation: Implementation, quantity: Quantity, case: Case) -> Array:
    function = getattr(implementation, quantity.value)
    spec = LOSSES[case.loss]
    unlabelled = case.labels is None or (spec.per_class and quantity is Quantity.VALUE)
    data = (case.logits,) if unlabelled else (case.logits, case.labels)
    return np.asarray(function(*data, **case.parameters))


def _assert_right(implementation: Implementation, dtypes: tuple[str, ...]) -> None:
    """Value and gradient of every dtype, label kind and parameter, to 16 ulps of 1 or of itself."""
    for dtype in dtypes:
        for kind in implementation.label_kinds:
            for settings in _settings(implementation.parameters, implementation.loss, kind):
                case = _case(implementation.loss, dtype, kind, tuple(settings.items()))
                arrays = [case.logits, case.labels, *case.parameters.values()]
                before = [np.array(each).tobytes() for each in arrays]
                for quantity in Quantity:
                    if getattr(implementation, quantity.value) is None:
                        continue
                    result = _asked(implementation, quantity, case)
                    wanted = getattr(_exact(case), quantity.value).midpoints()
                    known = format_of(result.dtype)
                    assert known is not None
                    where = f"{implementation.name} {dtype} {kind} {settings} {quantity}"
                    assert result.shape == wanted.shape, where
                    error = np.abs(to_float64(result) - wanted)
                    slack = 16 * 2.0**-known.precision + epsilon_slack(implementation)
                    allowed = slack * np.maximum(1, np.abs(wanted))
                    assert (error <= allowed).all(), f"{where}: {result} is not {wanted}"
                    again = _asked(implementation, quantity, case)
                    assert result.tobytes() == again.tobytes(), where
                assert before == [np.array(each).tobytes() for each in arrays]


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _named(implementation: Implementation) -> str:
    return f"{implementation.loss}:{implementation.name}"


EAGER = [each for each in DECLARED if "compile" not in each.name and "@cuda" not in each.name]
COMPILED = [each for each in DECLARED if each.name.endswith("@compile")]
ON_CUDA = [each for each in DECLARED if "@cuda" in each.name]


@pytest.mark.parametrize("implementation", EAGER, ids=_named)
def test_what_is_declared_is_right_on_moderate_inputs(implementation: Implementation) -> None:
    _assert_right(implementation, implementation.dtypes)


@pytest.mark.parametrize("implementation", COMPILED, ids=_named)
def test_what_is_compiled_is_right_on_moderate_inputs(implementation: Implementation) -> None:
    for kind in implementation.label_kinds:
        case = _case(implementation.loss, "float32", kind, ())
        for quantity in Quantity:
            result = _asked(implementation, quantity, case)
            wanted = getattr(_exact(case), quantity.value).midpoints()
            assert result.dtype == np.float32
            assert result == pytest.approx(wanted, rel=2e-6, abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("implementation", COMPILED, ids=_named)
def test_what_is_compiled_is_right_in_every_dtype(implementation: Implementation) -> None:
    _assert_right(implementation, implementation.dtypes)


@pytest.mark.parametrize("implementation", ON_CUDA, ids=_named)
def test_cuda_is_right_on_moderate_inputs_or_says_that_there_is_none(
    implementation: Implementation,
) -> None:
    if _has_cuda():
        _assert_right(implementation, implementation.dtypes)
        return
    kind = implementation.label_kinds[0]
    case = _case(implementation.loss, "float32", kind, ())
    for quantity in Quantity:
        with pytest.raises(UnsupportedError, match=r"^has no CUDA device here$"):
            _asked(implementation, quantity, case)


def test_declaring_imports_no_torch_and_every_implementation_pickles() -> None:
    program = (
        "import pickle, sys\n"
        "from xentcheck.implementations.frameworks.pytorch import torch_implementations\n"
        "pickle.dumps(torch_implementations())\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    for each in DECLARED:
        assert pickle.loads(pickle.dumps(each)).source == each.source


def test_names_are_unique_and_variants_point_at_their_plain_one() -> None:
    names = [(each.loss, each.name) for each in DECLARED]
    assert len(set(names)) == len(names)
    for each in DECLARED:
        plain, _, variant = each.name.partition("@")
        assert each.plain == (plain if variant else "")
        assert (each.loss, plain) in names
        assert variant in {"", *TORCH.variants}
    assert {name.partition("@")[2] for _, name in names} == {"", *TORCH.variants}


def test_a_jvp_has_no_gradient_and_one_hot_labels_no_index_to_ignore() -> None:
    cross_entropy = {each.name.partition("@")[2]: each for each in DECLARED if CE.name in each.name}
    assert all((each.gradient is None) == ("@jvp" in each.name) for each in DECLARED)
    assert cross_entropy["onehot"].label_kinds == (LabelKind.INTEGER,)
    assert cross_entropy["onehot"].parameters == {"weight", "label_smoothing"}
    assert "reduction" not in cross_entropy["single"].parameters


# What a variant is


def _job(
    function: Callable[..., Any],
    variant: str = "",
    labels: Any = None,
    logits: Any = ((0.0, 1.0, 2.0), (3.0, 4.0, 6.0)),
    dtype: str = "float32",
    per_class: bool = False,
    **parameters: Any,
) -> Job:
    x = from_float64(np.array(logits), dtype)
    given = None if labels is None else np.array(labels)
    return Job(function, x, given, parameters, per_class, variant)


def test_every_variant_is_called_as_it_says() -> None:
    import torch

    seen: list[Any] = []

    def spy(x: Any, labels: Any = None, *, dim: int = 1) -> Any:
        autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
        given = None if labels is None else (labels.dtype, labels.tolist())
        seen.append((tuple(x.shape), x.is_contiguous(), dim, autocast, given))
        return x.sum(dim=dim)

    def called(variant: str, labels: Any = None) -> list[Any]:
        seen.clear()
        assert TORCH.value(_job(spy, variant, labels)).tolist() == [3.0, 13.0]
        for_value = seen.copy()
        assert TORCH.gradient(_job(spy, variant, labels)).tolist() == [[1.0] * 3] * 2
        assert seen[len(for_value) :] == for_value
        return for_value

    one_hot = (torch.float32, [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert called("") == [((2, 3), True, 1, False, None)]
    assert called("dim0") == [((3, 2), True, 0, False, None)]
    assert called("spatial") == [((2, 3, 1), True, 1, False, None)]
    assert called("strided") == [((2, 3), False, 1, False, None)]
    assert called("single") == [((1, 3), True, 1, False, None)] * 2
    assert called("autocast") == [((2, 3), True, 1, torch.bfloat16, None)]
    assert called("onehot", [2, 0]) == [((2, 3), True, 1, False, one_hot)]


def test_between_the_elements_of_a_strided_view_lies_nan() -> None:
    def neighbours(x: Any) -> Any:
        assert x.stride() == (6, 2)
        return x.as_strided((2, 3), (6, 2), 1)

    assert np.isnan(TORCH.value(_job(neighbours, "strided", per_class=True))).all()


def test_a_jvp_is_of_dual_numbers() -> None:
    import torch

    forward: Any = torch.autograd.forward_ad

    def is_dual(x: Any) -> Any:
        seen.append(forward.unpack_dual(x).tangent is not None)
        return x.sum(dim=1)

    seen: list[bool] = []
    assert TORCH.value(_job(is_dual, "jvp")).tolist() == [3.0, 13.0]
    assert TORCH.value(_job(is_dual)).tolist() == [3.0, 13.0]
    assert seen == [True, False]


def _is_compiled(x: Any, *, offset: str = "0") -> Any:
    import torch

    return x.sum(dim=1) * 0 + int(offset) + torch.compiler.is_compiling()


def test_what_is_compiled_is_compiled_whole() -> None:
    assert TORCH.value(_job(_is_compiled, "compile")).tolist() == [1.0, 1.0]
    assert TORCH.value(_job(_is_compiled)).tolist() == [0.0, 0.0]

    def branches(x: Any) -> Any:
        return x.sum(dim=1) if x.sum() > 0 else x.sum(dim=1) * 2

    assert TORCH.value(_job(branches)).tolist() == [3.0, 13.0]
    with pytest.raises(RuntimeError, match="Data-dependent branching"):
        TORCH.value(_job(branches, "compile"))


@pytest.mark.slow
def test_compilations_without_limit() -> None:
    """Left to itself, torch stops compiling a function after eight sets of arguments."""
    for offset in range(12):
        result = TORCH.value(_job(_is_compiled, "compile", offset=str(offset)))
        assert result.tolist() == [1 + offset] * 2


# What a user's own code may be


def test_a_module_a_class_of_modules_and_a_function_with_a_backward_are_called() -> None:
    import torch

    made = []

    class Loss(torch.nn.Module):
        def __init__(self, reduction: str = "mean", scale: float = 1.0) -> None:
            super().__init__()
            made.append(reduction)
            self.reduction, self.scale = reduction, scale

        def forward(self, x: Any, y: Any) -> Any:
            return self.scale * torch.nn.functional.cross_entropy(x, y, reduction=self.reduction)

    class Plain(torch.nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x.gather(1, y[:, None])[:, 0]

    class Ten(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x.gather(1, y[:, None])[:, 0] * 2

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:  # wrong by design: 10 wherever it is asked
            return torch.full((2, 3), 10.0) * cotangent[:, None], None

    def loss(function: Any) -> list[float]:
        job = _job(function, labels=[2, 0])
        return list(map(float, (*TORCH.value(job), *TORCH.gradient(job)[0])))

    def textbook(row: tuple[float, ...], y: int) -> float:
        return math.log(sum(map(math.exp, row))) - row[y]

    plain = [textbook((0, 1, 2), 2), textbook((3, 4, 6), 0)]
    assert loss(Loss)[:2] == pytest.approx(plain, rel=1e-6)
    assert made == ["none"]  # once for both
    assert loss(functools.partial(Loss, scale=3.0))[:2] == pytest.approx(
        [3 * each for each in plain], rel=1e-6
    )
    assert loss(torch.nn.CrossEntropyLoss)[:2] == pytest.approx(plain, rel=1e-6)
    assert loss(Loss("none"))[:2] == pytest.approx(plain, rel=1e-6)
    assert TORCH.value(_job(Loss("sum"), labels=[2, 0])) == pytest.approx(sum(plain), rel=1e-6)
    assert loss(Plain) == loss(Plain()) == [2.0, 3.0, 0.0, 0.0, 1.0]
    assert loss(Ten) == [4.0, 6.0, 10.0, 10.0, 10.0]


def test_a_result_without_way_back_to_the_logits_is_an_error() -> None:
    import torch

    with pytest.raises(RuntimeError, match="does not require grad"):
        TORCH.gradient(_job(lambda x: x.detach().sum(dim=1)))
    elsewhere = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="finds no way from the result back to the logits"):
        TORCH.gradient(_job(lambda x: elsewhere * 2))


@fact
def test_what_torch_does_not_do_in_a_dtype_is_unsupported_and_an_error_an_error() -> None:
    import torch

    def log_ndtr(x: Any) -> Any:
        return torch.special.log_ndtr(x)[:, 0]

    for dtype in ("float16", "bfloat16"):
        for ask in (TORCH.value, TORCH.gradient):
            with pytest.raises(
                UnsupportedError, match=f"^does not take {dtype}: .*not implemented"
            ):
                ask(_job(log_ndtr, dtype=dtype))
    assert TORCH.value(_job(log_ndtr))[0] == pytest.approx(math.log(0.5), rel=1e-6)
    with pytest.raises(RuntimeError, match="not implemented for 'Long'"):
        TORCH.value(_job(lambda x, y: x[:, 0] + y.softmax(0), labels=[0, 1]))
    with pytest.raises(RuntimeError, match="not implemented for 'Half'"):  # its own narrowing
        TORCH.value(_job(lambda x: log_ndtr(x.half())))
    with pytest.raises(RuntimeError, match="singular"):
        TORCH.value(_job(torch.linalg.inv, logits=((0.0, 0.0), (0.0, 0.0))))
    with pytest.raises(IndexError, match="out of bounds"):
        value(CE, [[0.0, 1.0]], [2])


def test_results_keep_their_dtype_and_inputs_may_be_read_only() -> None:
    import torch

    x = np.array([[0.0, 1.0]], dtype=np.float32)
    x.flags.writeable = False
    for dtype, name in ((torch.bfloat16, "bfloat16"), (torch.float64, "float64")):
        call = Call(
            TORCH, lambda x, dtype=dtype: x.to(dtype).sum(dim=1), "logsumexp", Quantity.VALUE
        )
        result = call(x)
        assert result.dtype == FORMATS[name].dtype
        assert float(result[0]) == 1.0
    assert TORCH.value(Job(lambda x: 7.0, x, None, {}, False)) == 7.0
    backwards = np.array([[1.0, 2.0, 4.0]])[:, ::-1]
    first = TORCH.value(Job(lambda x: x[:, 0], backwards, None, {}, False))
    assert first == 4.0


# What is known to go wrong


@fact
def test_a_sure_prediction_costs_nothing_and_its_label_learns_nothing() -> None:
    """log_softmax takes log(1 + 2 e^−20), whose tail float32 absorbs."""
    assert math.log1p(2 * math.exp(-20)) == pytest.approx(4.122e-9, rel=1e-3)
    assert value(CE, [[20.0, 0, 0]], [0]) == 0
    slope = gradient(CE, [[20.0, 0, 0]], [0])[0]
    assert slope[0] == 0
    assert slope[1:] == pytest.approx(math.exp(-20) / (1 + 2 * math.exp(-20)), rel=1e-6)


@fact
def test_binary_cross_entropy_with_logits_by_a_difference() -> None:
    """(1 − z) x − logsigmoid(x): −17 + 17.00000004; and the gradient σ(x) − z at z = 1."""
    assert math.log1p(math.exp(-17)) == pytest.approx(4.14e-8, rel=1e-3)
    assert value(BCE, [-17.0], [0.0]) == 0
    assert gradient(BCE, [-17.0], [0.0])[0] == pytest.approx(math.exp(-17), rel=1e-6)
    assert value(BCE, [17.0], [1.0])[0] == pytest.approx(math.log1p(math.exp(-17)), rel=1e-6)
    assert -1 / (1 + math.exp(40)) == pytest.approx(-4.25e-18, rel=1e-3)
    assert gradient(BCE, [40.0], [1.0], "float64") == 0
    assert value(BCE, [40.0], [1.0], "float64")[0] == pytest.approx(math.exp(-40), rel=1e-15)


@fact
@pytest.mark.parametrize(("x", "z"), [(INF, 1.0), (-INF, 0.0), (-INF, 1.0)])
def test_binary_cross_entropy_with_infinite_logits_is_nan_and_its_gradient_right(
    x: float, z: float
) -> None:
    assert np.isnan(value(BCE, [x], [z]))
    assert gradient(BCE, [x], [z]) == (1.0 if x > 0 else 0.0) - z


@fact
def test_float16_cannot_sum_65520_equal_logits_along_the_last_dimension() -> None:
    """float16 ends at 65,504, and 65,520 rounds to infinity; the other kernels sum in float32."""

    def of(name: str, classes: int) -> float:
        return float(value(the(DECLARED, CE.loss, name), np.zeros((1, classes)), [0], "float16")[0])

    right = float(np.float16(math.log(65520)))
    assert right == pytest.approx(11.0901, abs=2**-7)
    assert of(CE.name, 65519) == right
    assert of(CE.name, 65520) == INF
    assert of(f"{CE.name}@spatial", 65520) == right
    assert of(f"{CE.name}@autocast", 65520) == pytest.approx(math.log(65520), rel=1e-6)
    log_softmax = the(DECLARED, "log_softmax", f"{F}.log_softmax")
    assert (value(log_softmax, np.zeros((1, 65520)), dtype="float16") == -INF).all()
    along = the(DECLARED, "log_softmax", f"{F}.log_softmax@dim0")
    assert (value(along, np.zeros((1, 65520)), dtype="float16") == -right).all()


@fact
def test_a_mean_in_float16_overflows_with_its_sum() -> None:
    """70,000 rows of log 4: ∞/∞."""
    x, labels = np.zeros((70_000, 4)), np.zeros(70_000, dtype=int)
    assert np.isnan(value(CE, x, labels, "float16", reduction="mean"))
    mean = value(CE, x[:1000], labels[:1000], "float16", reduction="mean")
    assert mean == pytest.approx(math.log(4), rel=2e-3)


@fact
def test_label_smoothing_in_float16_overflows_with_its_sum() -> None:
    """32,000 classes, log 32,000 each, are 331,949 before the smoothing divides them."""
    x = np.zeros((1, 32_000))
    assert value(CE, x, [0], "float16", label_smoothing=0.125) == INF
    plain = value(CE, x, [0], "float16")
    assert plain == pytest.approx(math.log(32_000), rel=1e-3)


@fact
def test_a_label_of_0_on_a_masked_class_is_nan_with_the_right_gradient() -> None:
    softplus = math.log1p(math.exp(-1))
    assert softplus == pytest.approx(0.31326, abs=1e-5)
    x, one_hot = [[1.0, 2.0, -INF]], [[0.0, 1.0, 0.0]]
    sigma = 1 / (1 + math.e)
    assert value(CE, x, [1])[0] == pytest.approx(softplus, rel=1e-6)
    for name, labels in ((CE.name, one_hot), (f"{CE.name}@onehot", [1])):
        asked = the(DECLARED, CE.loss, name)
        assert np.isnan(value(asked, x, labels))
        assert gradient(asked, x, labels)[0] == pytest.approx([sigma, -sigma, 0], rel=1e-6)
    by_hand = the(DECLARED, CE.loss, f"{F}.log_softmax-dot")
    assert np.isnan(value(by_hand, x, one_hot))


@fact
def test_kl_div_of_a_class_that_both_mask_is_nan() -> None:
    kl_div = the(DECLARED, "kl_divergence", f"{F}.kl_div")
    log_p = -math.log1p(math.exp(-1))
    x = [[log_p, log_p - 1, -INF]]
    log_target = [[log_p - 1, log_p, -INF]]
    target = np.exp(log_target)
    right = math.exp(log_p) - math.exp(log_p - 1)  # Σ t (log t − x), x and log t swapped
    assert right == pytest.approx(0.46212, abs=1e-5)
    assert np.isnan(value(kl_div, x, target))
    assert np.isnan(value(kl_div, x, log_target, log_target=True))
    assert value(kl_div, [x[0][:2]], target[:, :2])[0] == pytest.approx(right, rel=1e-6)


@fact
def test_an_ignored_row_of_minus_infinities_has_no_gradient_but_nan() -> None:
    x, labels = [[-INF, -INF], [1.0, 2.0]], [-100, 0]
    assert value(CE, x, labels).tolist() == [0.0, pytest.approx(math.log1p(math.e), rel=1e-6)]
    slope = gradient(CE, x, labels)
    assert np.isnan(slope[0]).all()
    sigma = 1 / (1 + math.exp(-1))
    assert slope[1] == pytest.approx([-sigma, sigma], rel=1e-6)


@fact
def test_an_empty_mean_is_nan_and_its_gradient_zero() -> None:
    assert np.isnan(value(CE, [[1.0, 2.0]], [-100], reduction="mean"))
    assert gradient(CE, [[1.0, 2.0]], [-100], reduction="mean").tolist() == [[0.0, 0.0]]


@fact
@pytest.mark.parametrize(
    "name", ["torch.logsumexp-gather", "torch.distributions.Categorical.log_prob"]
)
def test_an_offset_cancels_where_the_logit_is_taken_from_logsumexp(name: str) -> None:
    asked = the(DECLARED, CE.loss, name)
    assert value(asked, [[1e8, 1e8]], [0]) == 0
    assert value(CE, [[1e8, 1e8]], [0])[0] == pytest.approx(math.log(2), rel=1e-6)


@fact
def test_binary_cross_entropy_is_flat_at_100_and_its_gradient_at_1e12() -> None:
    asked = the(DECLARED, "binary_cross_entropy", f"{F}.binary_cross_entropy")
    assert value(asked, [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]).tolist() == [100, 100, 0, 0]
    assert gradient(asked, [0.0, 1.0], [1.0, 0.0]) == pytest.approx([-1e12, 1e12], rel=1e-6)
    by_sigmoid = the(DECLARED, BCE.loss, "torch.sigmoid+binary_cross_entropy")
    assert value(by_sigmoid, [-120.0], [1.0]) == 100
    assert value(BCE, [-120.0], [1.0]) == 120
    # σ(−50) is 1.9e-22, which (σ − 1) / max(σ (1 − σ), 1e-12) multiplies: not −1
    vanished = -1e12 * math.exp(-50)
    assert gradient(by_sigmoid, [-50.0], [1.0])[0] == pytest.approx(vanished, rel=1e-4)


@fact
def test_softplus_gives_up_at_its_threshold() -> None:
    """log(1 + e^20.1) is 20.1 + 1.865e-9."""
    softplus = the(DECLARED, "softplus", f"{F}.softplus")
    by_logaddexp = the(DECLARED, "softplus", "torch.logaddexp")
    assert value(softplus, [20.1], dtype="float64") == 20.1
    beyond = value(by_logaddexp, [20.1], dtype="float64")[0] - 20.1
    assert beyond == pytest.approx(math.log1p(math.exp(-20.1)), rel=1e-5)


@fact
def test_autocast_computes_losses_in_float32() -> None:
    x = [[0.3, 1.7, -2.2]]
    rounded = to_float64(from_float64(np.array(x), "bfloat16"))[0]
    right = math.log(sum(map(math.exp, rounded))) - rounded[0]
    plain = value(CE, x, [0], "bfloat16")
    widened = value(the(DECLARED, CE.loss, f"{CE.name}@autocast"), x, [0], "bfloat16")
    assert (str(plain.dtype), str(widened.dtype)) == ("bfloat16", "float32")
    assert widened[0] == pytest.approx(right, rel=1e-6)
    assert abs(float(plain[0]) - right) > 1e-3
