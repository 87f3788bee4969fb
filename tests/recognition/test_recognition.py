"""The sanity check before a sweep: what another function looks like, and that no sound one does.

Every function here is written out as a person would write it, so that what it computes is known
from its text. The exact value of softmax_cross_entropy on [0, 1] with label 0 is
log(1 + e) = 1.3132616875….
"""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.running import invoke
from xentcheck import assert_accurate, audit, registry
from xentcheck.errors import TargetError
from xentcheck.execution import open_target
from xentcheck.implementations import user
from xentcheck.losses import LOSSES
from xentcheck.model import Implementation, Kind, LabelKind, Quantity, Target
from xentcheck.recognition import Recognition, recognised
from xentcheck.recognition.alternatives import ALTERNATIVES
from xentcheck.recognition.exams import exams
from xentcheck.recognition.recognising import DIFFERENT

CE, BCE = "softmax_cross_entropy", "sigmoid_binary_cross_entropy"
FIRST = "on [0, 1] label 0 it gives"


def log_softmax(x: Any, axis: int = -1) -> Any:
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def softmax(x: Any) -> Any:
    return np.exp(log_softmax(x))


def picked(x: Any, y: Any) -> Any:
    return x[np.arange(len(x)), y]


def ce(x: Any, y: Any) -> Any:
    return -picked(log_softmax(x), y)


def ce_gradient(x: Any, y: Any) -> Any:
    return softmax(x) - np.eye(x.shape[1], dtype=x.dtype)[y]


def bce(x: Any, z: Any) -> Any:
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def int32_only(x: Any, y: Any) -> Any:
    if y.dtype != np.int32:
        raise TypeError("labels have to be int32")
    return ce(x, y)


def sequences(x: Any, y: Any) -> Any:
    batch, length, classes = x.shape
    return ce(x.reshape(-1, classes), y.reshape(-1)).reshape(batch, length)


def class_second(x: Any, y: Any) -> Any:
    batch, _, length = x.shape
    assert y.shape == (batch, length)
    return sequences(x.transpose(0, 2, 1), y)


def one_row(x: Any, y: Any) -> Any:
    assert x.ndim == 1
    return -log_softmax(x)[y]


def asked(
    function: Callable[..., Any],
    loss: str = CE,
    gradient: Callable[..., Any] | None = None,
    *,
    dtype: str = "float32",
    kind: LabelKind | None = None,
    **parameters: Any,
) -> Recognition | None:
    """What a function of this process is recognised as."""
    made = user.given(loss, "mine:loss", function, gradient)
    return recognised(made, loss, kind or LOSSES[loss].label_kinds[0], parameters, dtype)


VALUES: dict[str, tuple[Callable[..., Any], str, str]] = {
    # function, kind, part of the line
    "negative": (
        lambda x, y: -ce(x, y),
        "negative",
        f"the negative of {CE}: {FIRST} -1.313, exact 1.313",
    ),
    "base 2": (
        lambda x, y: ce(x, y) / math.log(2),
        "base-2",
        f"1.4427 × the exact result: {FIRST} 1.895",
    ),
    "base 10": (lambda x, y: ce(x, y) / math.log(10), "base-10", f"{FIRST} 0.5703, exact 1.313"),
    "negative base 2": (lambda x, y: -ce(x, y) / math.log(2), "negative base-2", "to base 2"),
    "half": (lambda x, y: 0.5 * ce(x, y), "constant", f"0.5 × {CE}, on all rows: {FIRST} 0.6566"),
    "over classes": (lambda x, y: ce(x, y) / x.shape[1], "over-classes", "a mean over them"),
    "times classes": (
        lambda x, y: ce(x, y) * x.shape[1],
        "times-classes",
        "times the number of classes",
    ),
    "over rows": (lambda x, y: ce(x, y) / len(x), "over-rows", "divided by the number of rows"),
    "mean": (lambda x, y: ce(x, y).mean(), "mean", "of 4 rows it returns one number, 0.9734"),
    "sum": (lambda x, y: ce(x, y).sum(), "sum", "of 4 rows it returns one number, 3.894"),
    "sum of one element": (
        lambda x, y: ce(x, y).sum(keepdims=True),
        "sum",
        "the sum over the rows",
    ),
    "negative mean": (lambda x, y: -ce(x, y).mean(), "negative mean", "the negative of the mean"),
    "mean for all": (
        lambda x, y: np.full(len(x), ce(x, y).mean()),
        "mean-repeated",
        "the same for every row",
    ),
    "twice": (lambda x, y: ce(softmax(x), y), "twice", "it is applied twice"),
    "axis 0": (lambda x, y: -picked(log_softmax(x, 0), y), "axis", "a softmax over axis 0"),
    "negated": (lambda x, y: ce(-x, y), "sign", "of the negated logits"),
    "perplexity": (lambda x, y: np.exp(ce(x, y)), "perplexity", f"{FIRST} 3.718, exact 1.313"),
    "probability": (lambda x, y: picked(softmax(x), y), "probability", f"{FIRST} 0.2689"),
    "1 - p": (lambda x, y: 1 - picked(softmax(x), y), "complement", f"{FIRST} 0.7311"),
    "from 1": (lambda x, y: ce(x, y - 1), "label-minus-1", "labels one off: it counts them from 1"),
    "next": (lambda x, y: ce(x, (y + 1) % x.shape[1]), "label-plus-1", "labels one off"),
    "reversed": (lambda x, y: ce(x[:, ::-1], y), "labels-reversed", "the labels reversed"),
    "nll": (lambda x, y: -picked(x, y), "loss nll_loss", "it expects log-probabilities"),
    "probabilities": (
        lambda x, y: -np.log(picked(x, y)),
        "probabilities",
        "it expects probabilities",
    ),
    "all classes": (lambda x, y: -log_softmax(x), "every-class", "of every class"),
    "gradient": (ce_gradient, "gradient", "the gradient of softmax_cross_entropy, not its value"),
    "column": (lambda x, y: ce(x, y)[:, None], "extra-axis", "of 4 rows it returns shape (4, 1)"),
    "negative column": (
        lambda x, y: -ce(x, y)[:, None],
        "negative",
        "an axis of length 1 too many",
    ),
    "broadcast": (lambda x, y: ce(x, y)[:, None] + 0 * ce(x, y), "broadcast", "shape (4, 4)"),
    "one-hot": (lambda x, y: -(y * log_softmax(x)).sum(axis=1), "distribution", "one-hot labels"),
    "swapped": (lambda y, x: ce(x, y), "swapped", "its arguments swapped: (labels, logits)"),
    "int32": (int32_only, "label-dtype int32", "TypeError: labels have to be int32"),
    "sequence": (sequences, "sequence", "it expects (batch, sequence, classes)"),
    "class second": (class_second, "class-second", "it expects (batch, classes, sequence)"),
    "one row": (one_row, "single", "it expects a single row, of shape (classes,)"),
    "transposed": (lambda x, y: ce(x.T, y), "transposed", "columns and rows exchanged"),
    "label column": (
        lambda x, y: -np.take_along_axis(log_softmax(x), y[:, [0]], 1)[:, 0],
        "label-column",
        "labels of shape (rows, 1)",
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_another_function_is_named_with_a_row_that_shows_it(name: str) -> None:
    function, kind, line = VALUES[name]
    found = asked(function)
    assert found is not None
    assert found.kind == kind
    assert line in found.text
    assert "\n" not in found.text
    assert found.quantity is Quantity.VALUE
    assert found.hint


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", ["negative", "base 2", "mean", "twice", "probability", "from 1"])
def test_it_is_recognised_in_other_dtypes_too(name: str, dtype: str) -> None:
    function, kind, _ = VALUES[name]
    found = asked(
        lambda x, y: np.asarray(function(x.astype(np.float64), y)).astype(x.dtype), dtype=dtype
    )
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    ("function", "loss", "kind"),
    [
        (lambda x, z: -bce(x, z), BCE, "negative"),
        (lambda x, z: bce(x, 1 - z), BCE, "labels-reversed"),
        (lambda x, z: bce(sigmoid(x), z), BCE, "twice"),
        (lambda p, z: -(z * np.log(p) + (1 - z) * np.log1p(-p)), BCE, "probabilities"),
        (lambda x, q: np.log1p(np.exp(-q * x)), BCE, "labels-signed"),
        (lambda x, z: bce(x, z).mean(), BCE, "mean"),
        (lambda x, z: bce(x, z)[:, None] + 0 * z, BCE, "broadcast"),
        (lambda x, z: (sigmoid(x) - z) ** 2, BCE, "squares"),
        (bce, "binary_cross_entropy", f"loss {BCE}"),
        (lambda p, z: bce(np.log(p / (1 - p)), 1 - z), "binary_cross_entropy", "labels-reversed"),
        (ce, "categorical_cross_entropy", f"loss {CE}"),
        (lambda x, y: -picked(np.log(x), y), "nll_loss", "probabilities"),
        (lambda p: -(p * np.log2(p)).sum(axis=1), "entropy", "base-2"),
        (lambda p: (p * np.log(p)).sum(axis=1), "entropy", "negative"),
        (softmax, "log_softmax", "loss softmax"),
        (lambda x: log_softmax(x, 0), "log_softmax", "axis"),
        (lambda x: -log_softmax(x), "log_softmax", "negative"),
        (lambda x, t: (np.exp(x) * (x - np.log(t))).sum(axis=1), "kl_divergence", "swapped"),
        (lambda x, t: t * (np.log(t) - x), "kl_divergence", None),
        (lambda x: np.log1p(np.exp(x)), "log_sigmoid", "loss softplus"),
    ],
)
def test_the_other_losses_have_the_same_mistakes(
    function: Callable[..., Any], loss: str, kind: str | None
) -> None:
    found = asked(function, loss)
    # terms that nobody summed have a shape of their own, which the sweep says
    assert (None if found is None else found.kind) == kind


def smoothed(own: Callable[[float, int], tuple[float, float]]) -> Callable[..., Any]:
    """A cross entropy with one mass for the label and another one for every other class."""

    def loss(x: Any, y: Any, label_smoothing: float = 0.0) -> Any:
        label, other = own(label_smoothing, x.shape[1])
        masses = np.where(np.arange(x.shape[1]) == y[:, None], label, other)
        return -(masses * log_softmax(x)).sum(axis=1)

    return loss


def weighted(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x, y, weight=None: ce(x, y) * change(weight)[y]


def normalised(x: Any, y: Any, weight: Any = None, reduction: str = "none") -> Any:
    return (ce(x, y) * weight[y]).mean() if reduction == "mean" else ce(x, y) * weight[y]


@pytest.mark.parametrize(
    ("function", "loss", "parameters", "kind"),
    [
        (
            smoothed(lambda e, c: (1 - e, e / (c - 1))),
            CE,
            {"label_smoothing": 0.1},
            "smoothing-others",
        ),
        (smoothed(lambda e, c: (1 - e, e / c)), CE, {"label_smoothing": 0.1}, "smoothing-short"),
        (
            smoothed(lambda e, c: (1 + e / c, e / c)),
            CE,
            {"label_smoothing": 0.1},
            "smoothing-added",
        ),
        (smoothed(lambda e, c: (1 - e, e)), CE, {"label_smoothing": 0.1}, "smoothing-full"),
        (lambda x, y, label_smoothing=0: ce(x, y), CE, {"label_smoothing": 0.1}, "unused"),
        (weighted(lambda w: w / w.sum()), CE, {"weight": (0.5, 2.0, 3.0)}, "weight-sum-1"),
        (weighted(lambda w: w / w.mean()), CE, {"weight": (0.5, 2.0, 3.0)}, "weight-mean-1"),
        (weighted(np.ones_like), CE, {"weight": (0.5, 2.0, 3.0)}, "unused"),
        (normalised, CE, {"weight": (0.5, 2.0, 3.0), "reduction": "mean"}, "mean-by-rows"),
        (lambda x, y, reduction="": ce(x, y), CE, {"reduction": "mean"}, "unused"),
        (lambda x, y, reduction="": ce(x, y).sum(), CE, {"reduction": "mean"}, "times-rows"),
        (
            lambda x, y, temperature=1: ce(x * temperature, y),
            CE,
            {"temperature": 2.0},
            "temperature-inverse",
        ),
        (
            lambda x, z, pos_weight=1: bce(x, z) * (z + (1 - z) * pos_weight),
            BCE,
            {"pos_weight": 3.0},
            "pos-weight-negative",
        ),
        (
            lambda x, z, label_smoothing=0: bce(x, z * (1 - 2 * label_smoothing) + label_smoothing),
            BCE,
            {"label_smoothing": 0.1},
            "smoothing-others",
        ),
        (smoothed(lambda e, c: (0.9 + 0.1 / c, 0.1 / c)), CE, {}, "built-in"),
    ],
)
def test_a_parameter_by_another_convention(
    function: Callable[..., Any], loss: str, parameters: dict[str, Any], kind: str
) -> None:
    found = asked(function, loss, **parameters)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    ("gradient", "kind"),
    [
        (lambda x, y: -ce_gradient(x, y), "negative"),
        (lambda x, y: ce_gradient(x, y) / len(x), "over-rows"),
        (lambda x, y: softmax(x), "probabilities"),
        (lambda x, y: ce_gradient(x, y).T, "transposed"),
        (lambda x, y: 3 * ce_gradient(x, y), "times-classes"),
        (lambda x, y: 0.1 * ce_gradient(x, y), "constant"),
        (ce, "value"),
        (lambda x, y: ce_gradient(x, (y - 1) % x.shape[1]), "label-minus-1"),
    ],
)
def test_a_gradient_of_something_else(gradient: Callable[..., Any], kind: str) -> None:
    found = asked(ce, gradient=gradient)
    assert found is not None
    assert (found.quantity, found.kind) == (Quantity.GRADIENT, kind)
    assert asked(ce, gradient=ce_gradient) is None


@pytest.mark.parametrize(
    ("function", "loss"),
    [
        (lambda x, y: ce(x.astype(np.float16), y), CE),
        (lambda x, y: -np.log(picked(softmax(x), y) + 1e-3), CE),
        (lambda x, y: -np.log(np.clip(picked(softmax(x), y), 1e-3, 1 - 1e-3)), CE),
        (lambda x, y: ce(x, y) * 1.009, CE),
        (lambda x, y: ce(x, y) + 1e-3, CE),
        (lambda x, y: picked(np.log(np.exp(x).sum(axis=1))[:, None] - x, y), CE),
        (lambda x, z: -np.log(np.where(z > 0.5, sigmoid(x), 1 - sigmoid(x)) + 1e-7), BCE),
        (
            lambda x, z: -np.log(np.clip(np.where(z == 1, x, 1 - x), 1e-7, 1)),
            "binary_cross_entropy",
        ),
    ],
)
def test_what_is_only_inaccurate_goes_on(function: Callable[..., Any], loss: str) -> None:
    assert asked(function, loss) is None


def _registered() -> list[Implementation]:
    return [each for each in registry.implementations() if each.process is None]


def _parameters(loss: str) -> list[dict[str, Any]]:
    every: dict[str, list[Any]] = {
        "label_smoothing": [0.1],
        "weight": [(0.5, 2.0, 1.0)],
        "ignore_index": [1],
        "temperature": [0.5, 2.0],
        "reduction": ["mean", "sum"],
        "z_loss": [0.01],
        "pos_weight": [3.0],
        "alpha": [0.25],
        "gamma": [0.0, 1.5],
        "base": ["2", "10"],
        "log_target": [True],
        "noise": ["gumbel"],
    }
    named = [each.name for each in LOSSES[loss].parameters]
    assert set(named) <= every.keys(), "a new parameter is tried here too"
    return [{}, *({name: value} for name in named for value in every[name])]


@pytest.mark.parametrize("loss", LOSSES)
def test_no_registered_implementation_is_taken_for_another_function(loss: str) -> None:
    seen = 0
    for each in _registered():
        if each.loss != loss:
            continue
        for kind in LOSSES[loss].label_kinds:
            if kind is not LabelKind.NONE and kind not in each.label_kinds:
                continue
            for parameters in _parameters(loss):
                only = [LOSSES[loss].parameter(name) for name in parameters]
                if any(p and p.label_kinds and kind not in p.label_kinds for p in only):
                    continue
                if not parameters.keys() <= each.parameters:
                    continue
                for dtype in ("float32", "bfloat16"):
                    found = recognised(each, loss, kind, parameters, dtype)
                    seen += 1
                    if (loss, each.name, bool(parameters)) == (
                        "categorical_cross_entropy",
                        "numpy.clipped",
                        False,
                    ):
                        # as Keras: it divides by the sum of p first, so its gradient is another
                        assert found is not None
                        assert (found.quantity, found.kind) == (Quantity.GRADIENT, "normalised")
                        continue
                    assert found is None or each.sound is False, (each.name, parameters, found.text)
    assert seen


@pytest.mark.parametrize("loss", LOSSES)
def test_the_exact_results_themselves_are_right_and_half_a_percent_more(loss: str) -> None:
    for exam in exams(loss, "float32", LOSSES[loss].label_kinds[0], {}):
        shape = exam.value.shape
        values = {exam.case.logits.tobytes(): exam.value}
        assert shape[0] >= 3
        for factor in (1.0, 1 + DIFFERENT / 4):

            def function(x: Any, y: Any = None, v: Any = values, f: float = factor) -> Any:
                return v.get(x.tobytes(), np.array([np.nan])) * f

            made = user.given(loss, "mine:loss", function)
            found = recognised(made, loss, exam.case.label_kind, {}, "float32", (Quantity.VALUE,))
            # of the other blocks it returns another shape: nothing may be claimed of it
            assert found is None


def test_what_is_wrong_and_looks_like_nothing_is_said_and_swept() -> None:
    junk = lambda x, y: 17 * np.sin(x).sum(axis=1)  # noqa: E731
    found = asked(junk)
    assert found is not None
    assert not found.known
    assert found.text.startswith("not recognised, but wrong on 15 of 15 mild rows: on [0, 1]")
    report = audit(junk, CE, dtypes="float32")
    assert report.violations[0].finding.kind is Kind.OTHER_FUNCTION
    assert {"ordinary", "extreme"} <= {each.cell.sweep for each in report.measurements}


@pytest.mark.parametrize("number", [0.0, math.nan, math.inf])
def test_nothing_but_zeros_nans_or_infinities_has_kinds_that_say_more(number: float) -> None:
    assert asked(lambda x, y: np.full(len(x), number, x.dtype)) is None


def test_half_of_the_labels_right_is_not_clearly_wrong() -> None:
    assert asked(lambda x, y: np.where(y == 0, 7, ce(x, y))) is None


def test_a_mean_has_its_reduction_for_whoever_goes_on_with_it() -> None:
    for combine, name in ((np.mean, "mean"), (np.sum, "sum")):
        found = asked(lambda x, y, combine=combine: combine(ce(x, y)))
        assert found is not None
        assert found.reduction == name
        assert f"--built-in reduction={name}" in found.hint
    found = asked(
        lambda x, y, reduction="mean": ce(x, y).mean() if reduction == "mean" else ce(x, y)
    )
    assert found is None  # it takes reduction, and is passed none
    negative = asked(lambda x, y: -ce(x, y).mean())
    assert negative is not None
    assert negative.reduction is None


def test_one_finding_instead_of_a_sweep() -> None:
    report = audit(lambda x, y: -ce(x, y), CE)
    (violation,) = report.violations
    finding = violation.finding
    assert finding.kind is Kind.OTHER_FUNCTION
    assert violation.rule == "other-function"
    assert finding.detail.endswith(f"{FIRST} -1.313, exact 1.313")
    assert finding.witness is not None
    assert finding.witness.exact.startswith("1.3132616875182228")
    assert finding.witness.actual == pytest.approx(-1.3132616, rel=1e-6)
    assert [each.cell.sweep for each in report.measurements] == ["sanity check"]
    assert any("--no-sanity-check" in skip.reason for skip in report.skips)


def test_a_wrong_gradient_leaves_the_value_to_be_swept() -> None:
    report = audit(ce, CE, gradient=lambda x, y: -ce_gradient(x, y), dtypes="float32")
    swept = {(each.cell.quantity, each.cell.sweep) for each in report.measurements}
    assert (Quantity.GRADIENT, "sanity check") in swept
    assert (Quantity.VALUE, "ordinary") in swept
    assert (Quantity.GRADIENT, "ordinary") not in swept


def test_it_can_be_switched_off_or_allowed() -> None:
    negative = lambda x, y: -ce(x, y)  # noqa: E731
    off = audit(negative, CE, dtypes="float32", sanity_check=False)
    assert Kind.OTHER_FUNCTION not in {each.kind for each in off.findings}
    assert len(off.violations) > 1
    allowed = audit(negative, CE, dtypes="float32", allow="other-function")
    assert Kind.OTHER_FUNCTION in {each.kind for each in allowed.findings}
    assert Kind.OTHER_FUNCTION not in {each.finding.kind for each in allowed.violations}
    assert "ordinary" in {each.cell.sweep for each in allowed.measurements}


def test_assert_accurate_says_it_too() -> None:
    with pytest.raises(AssertionError, match="1 violation\n\nother-function"):
        assert_accurate(lambda x, y: -ce(x, y), CE)


def test_a_call_that_cannot_be_made_is_an_error_of_usage() -> None:
    def needs(x: Any, y: Any, margin: Any) -> Any:
        return ce(x, y)

    for function, said in (
        (needs, "nothing gives its argument margin"),
        (
            lambda x: ce(x, 0),
            r"it takes 1 argument, and is given 2: it is called as fn\(logits, la",
        ),
    ):
        with pytest.raises(TargetError, match=said):
            audit(function, CE)


def test_a_class_is_not_taken_for_a_function() -> None:
    class Needs:
        def __init__(self, classes: int) -> None:
            self.classes = classes

    with pytest.raises(TargetError, match="nothing gives its argument classes"):
        audit(Needs, CE)


def test_an_argument_that_a_function_forgets_itself_is_its_own_fault() -> None:
    def helper(x: Any, y: Any, z: Any) -> Any:
        return ce(x, y)

    assert asked(lambda x, y: helper(y, x)) is None  # type: ignore[call-arg]


def test_a_function_that_takes_its_process_with_it_takes_not_this_one() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("needs processes that fork")
    report = audit(lambda x, y: os._exit(3), CE, dtypes="float32", quantities="value", workers=2)
    assert {each.kind for each in report.findings} == {Kind.CRASHED}


def test_a_configuration_is_swept_whatever_its_functions_look_like(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NEGATIVE)
    (tmp_path / "gate.yaml").write_text(CONFIGURATION)
    report = audit(tmp_path / "gate.yaml")
    kinds = [each.finding.kind for each in report.violations]
    assert kinds[0] is Kind.OTHER_FUNCTION
    assert len(kinds) > 1
    assert {each.cell.sweep for each in report.measurements} == {"sanity check", "small"}


NEGATIVE = """\
import numpy as np

def loss(logits, labels):
    x = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return np.log(p[np.arange(len(p)), labels])

class Needs:
    def __init__(self, num_classes):
        self.num_classes = num_classes

def one(x, y, z):
    return x
"""
CONFIGURATION = """\
implementations:
  - loss: softmax_cross_entropy
    target: mine.py:loss
    name: mine
sweeps:
  small:
    losses: softmax_cross_entropy
    dtypes: [float32]
    quantities: [value]
    implementations: [mine]
    inputs:
      - generator: explicit
        values: [[1, 2], [3, 1]]
limits:
  - max_ulp: 4
"""


def test_the_command_says_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(NEGATIVE)
    words = ["check", "mine.py:loss", "--loss", CE, "--dtype", "float32", "--gradient", "none"]
    done = invoke(*words, "--format", "csv")
    assert done.exit_code == 1, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAIL,")]
    (line,) = lines
    assert "the negative of softmax_cross_entropy: on [0, 1] label 0 it gives -1.313" in line
    assert "xentcheck probe --loss softmax_cross_entropy" in line
    swept = invoke(*words, "--no-sanity-check", "--format", "csv")
    assert swept.exit_code == 1
    assert "other-function is not allowed" not in swept.stdout
    assert "wrong-sign" in swept.stdout


def test_the_command_ends_with_2_where_the_call_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(NEGATIVE)
    done = invoke("check", "mine.py:one", "--loss", CE)
    assert done.exit_code == 2, done.output
    assert "--bind z=VALUE" in done.output


def test_a_program_is_started_no_more_than_four_times(tmp_path: Path) -> None:
    program = tmp_path / "kernel.py"
    program.write_text(PROGRAM)
    import sys

    text = f"{sys.executable} {program} {{logits}} {{labels}} {{out}}"
    command = tuple(text.split())
    target = Target(CE, "", text, command=command, gradient_command=(*command, "gradient"))
    made, _ = open_target(target)
    assert recognised(made, CE, LabelKind.INTEGER, {}, "float32") is None
    assert 2 <= len((tmp_path / "calls").read_text()) <= 4


PROGRAM = """\
import pathlib, sys
import numpy as np
with open(pathlib.Path(__file__).parent / "calls", "a") as calls:
    calls.write(".")
x, y = np.load(sys.argv[1]), np.load(sys.argv[2])
e = np.exp(x - x.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)
if sys.argv[4:]:
    np.save(sys.argv[3], p - np.eye(x.shape[1], dtype=x.dtype)[y])
else:
    np.save(sys.argv[3], -np.log(p[np.arange(len(p)), y]))
"""


def test_a_sound_function_is_asked_few_times_and_fast() -> None:
    calls = []

    def counted(x: Any, y: Any) -> Any:
        calls.append(x.shape)
        return ce(x, y)

    assert asked(counted) is None
    assert calls == [(4, 2), (6, 3), (5, 5)]
    before = time.process_time()
    assert asked(ce, gradient=ce_gradient) is None
    assert time.process_time() - before < 0.2


def test_every_alternative_is_one_that_somebody_is_told_of() -> None:
    names = [each.name for each in ALTERNATIVES]
    assert len(names) == len(set(names))
    assert all(each.hint for each in ALTERNATIVES)
