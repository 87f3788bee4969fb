"""Invariants: properties of exact results that can be checked without knowing the exact results.

An invariant compares results of one function with each other, or with a number that is the same
for every input. What rounding alone may break is allowed. It is counted in roundings, 2^-p for a
dtype of p bits, of the scale of the row: of the largest number that a sound formula computes with.
So invariants say nothing about the last digits of small results. The reference does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.losses.spec import roundings
from xentcheck.model import LabelKind, Layout, Quantity

BOTH = (Quantity.VALUE, Quantity.GRADIENT)
VALUE = (Quantity.VALUE,)
GRADIENT = (Quantity.GRADIENT,)


@dataclass(frozen=True, slots=True)
class Invariant:
    """A property that every exact result has.

    Attributes:
        name: its name.
        says: the property, in a sentence.
        allowance: what rounding may break, and why.
        quantities: the quantities that have the property.
        most: roundings of the row's scale that are allowed; 0: the property is kept by rounding.
        summed: further roundings, times the square root of the number of terms.
        only: values of parameters that the property needs, by name; the first one is the default.
        labels: the kinds of label that it is asked with; empty: any, or none.
        layout: the layout that it is about; None: any.
        per_class: the value has to be one number per class (True) or per row (False); None: any.
    """

    name: str
    says: str
    allowance: str
    quantities: tuple[Quantity, ...]
    most: float = 0.0
    summed: float = 0.0
    only: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    labels: tuple[LabelKind, ...] = ()
    layout: Layout | None = None
    per_class: bool | None = None

    def allowed(self, classes: int) -> float:
        """The roundings of the row's scale that are allowed, for rows of so many classes."""
        return self.most + self.summed * roundings(classes)

    def goes_with(self, parameters: Mapping[str, Any], kind: LabelKind) -> bool:
        """Whether results with these parameters and labels of this kind have the property."""
        if self.labels and kind not in self.labels:
            return False
        return all(parameters.get(name, known[0]) in known for name, known in self.only)


_SCALE = "the row's scale (the largest logit, the result, or 1)"
_UNSCALED = (("z_loss", (0.0,)),)
_SYMMETRIC = (("pos_weight", (1.0,)), ("alpha", (None, 0.5)))

_KNOWN = (
    Invariant(
        "shift",
        "Adding one number to every logit of a row does not change the result.",
        f"16 roundings of {_SCALE}: a formula may round once for every term of x - log sum exp(x),"
        " before and after the shift",
        BOTH,
        most=16.0,
        summed=2.0,
        only=_UNSCALED,
        layout=Layout.ROWS,
    ),
    Invariant(
        "shift-equivariance",
        "Adding one number to every logit of a row adds it to the value; the gradient stays.",
        f"16 roundings of {_SCALE}: the result is as large as the logits",
        BOTH,
        most=16.0,
        summed=2.0,
        layout=Layout.ROWS,
        per_class=False,
    ),
    Invariant(
        "permutation",
        "Classes in another order, the label among them, give the same result in that order.",
        f"16 roundings of {_SCALE}, and 2 for the square root of the number of classes: sums in "
        "another order round in another way",
        BOTH,
        most=16.0,
        summed=2.0,
        layout=Layout.ROWS,
    ),
    Invariant(
        "gradient-sum",
        "The gradient of a row sums to 0.",
        "16 roundings of the largest term (the label's weight), and 2 for the square root of the "
        "number of classes: every component is a difference of rounded terms",
        GRADIENT,
        most=16.0,
        summed=2.0,
        only=_UNSCALED,
        layout=Layout.ROWS,
    ),
    Invariant(
        "gradient-sum-one",
        "The gradient of a row sums to 1.",
        "16 roundings of 1, and 2 for the square root of the number of classes: every component "
        "is a rounded probability",
        GRADIENT,
        most=16.0,
        summed=2.0,
        layout=Layout.ROWS,
    ),
    Invariant(
        "probability",
        "The value is between 0 and 1.",
        "nothing: quotients of a positive number and a sum that contains it round into [0, 1]",
        VALUE,
    ),
    Invariant(
        "probability-sum",
        "The values of a row sum to 1.",
        "16 roundings of 1, and 2 for the square root of the number of classes: every probability "
        "is rounded, and so is the sum that they are divided by",
        VALUE,
        most=16.0,
        summed=2.0,
        layout=Layout.ROWS,
        per_class=True,
    ),
    Invariant(
        "log-probability",
        "The value is at most 0.",
        "nothing: the logarithm of at least 1 is rounded to at least 0",
        VALUE,
    ),
    Invariant(
        "nonnegative",
        "The value is at least 0.",
        "nothing: rounding keeps the sign of a sum of terms that are not negative",
        VALUE,
    ),
    Invariant(
        "almost-nonnegative",
        "The value is at least 0 but for rounding: a sum of terms of both signs.",
        "16 roundings of 1, and 2 for the square root of the number of classes: the terms cancel",
        VALUE,
        most=16.0,
        summed=2.0,
    ),
    Invariant(
        "reflection",
        "The class and its complement change places: f(x, z) = f(-x, 1 - z), or of probabilities "
        "f(p, z) = f(1 - p, 1 - z); the gradient changes its sign.",
        f"16 roundings of {_SCALE}: both sides are rounded, in different branches of a formula",
        BOTH,
        most=16.0,
        only=_SYMMETRIC,
        labels=(LabelKind.TARGET,),
        layout=Layout.ELEMENTWISE,
    ),
    Invariant(
        "complement",
        "f(x) + f(-x) = 1; the gradient is the same at x and -x.",
        "16 roundings of 1: both sides are rounded",
        BOTH,
        most=16.0,
        layout=Layout.ELEMENTWISE,
    ),
    Invariant(
        "exchange",
        "The two distributions can change places.",
        "16 roundings of 1, and 2 for the square root of the number of classes: sums of other "
        "terms round in another way",
        VALUE,
        most=16.0,
        summed=2.0,
        labels=(LabelKind.DISTRIBUTION,),
        layout=Layout.ROWS,
    ),
    Invariant(
        "decreasing",
        "The value does not grow as the input of the labelled class grows.",
        f"16 roundings of {_SCALE} between any two points of a scan of the whole range: smaller "
        "steps up are rounding",
        VALUE,
        most=16.0,
        summed=2.0,
        only=(("label_smoothing", (0.0,)), *_UNSCALED),
        labels=(LabelKind.INTEGER, LabelKind.TARGET),
        per_class=False,
    ),
    Invariant(
        "increasing",
        "The value does not fall as the argument (of rows: one logit) grows.",
        f"16 roundings of {_SCALE} between any two points of a scan of the whole range",
        VALUE,
        most=16.0,
        summed=2.0,
        labels=(LabelKind.NONE,),
        per_class=False,
    ),
    Invariant(
        "one-hot",
        "An integer label gives what the one-hot distribution of it gives.",
        f"16 roundings of {_SCALE}, and 2 for the square root of the number of classes: a sum "
        "over all classes rounds in another way than one term",
        BOTH,
        most=16.0,
        summed=2.0,
        labels=(LabelKind.INTEGER,),
        layout=Layout.ROWS,
        per_class=False,
    ),
    Invariant(
        "paths",
        "The value is the same where the framework computes it on the way to a gradient.",
        f"16 roundings of {_SCALE}, and 2 for the square root of the number of classes: other "
        "kernels add in another order",
        VALUE,
        most=16.0,
        summed=2.0,
    ),
)

INVARIANTS: Mapping[str, Invariant] = MappingProxyType({each.name: each for each in _KNOWN})
"""All invariants, by name."""

_OF_LOSSES: Mapping[str, tuple[str, ...]] = {
    "softmax_cross_entropy": (
        *("shift", "permutation", "gradient-sum", "nonnegative", "decreasing", "one-hot"),
    ),
    "sigmoid_binary_cross_entropy": ("reflection", "nonnegative", "decreasing"),
    "categorical_cross_entropy": ("permutation", "nonnegative", "decreasing", "one-hot"),
    "binary_cross_entropy": ("reflection", "nonnegative", "decreasing"),
    "nll_loss": ("permutation", "decreasing"),
    "kl_divergence": ("permutation",),
    "js_divergence": ("permutation", "exchange", "almost-nonnegative"),
    "entropy": ("permutation", "nonnegative"),
    "sigmoid_focal_loss": ("reflection", "nonnegative", "decreasing"),
    "softmax": ("shift", "permutation", "gradient-sum", "probability", "probability-sum"),
    "log_softmax": ("shift", "permutation", "gradient-sum", "log-probability"),
    "logsumexp": ("shift-equivariance", "permutation", "gradient-sum-one", "increasing"),
    "sigmoid": ("complement", "probability", "increasing"),
    "log_sigmoid": ("log-probability", "increasing"),
    "softplus": ("nonnegative", "increasing"),
}

PATHS = "paths"
"""The invariant of every loss: two ways to call one function agree. It has its own kind."""

NO_LOSS = "(none)"
"""Stands for the loss in reports about a function of which nobody said what it computes."""

NONE = "none"
"""The word that asks for no invariant."""


def invariants_of(loss: str) -> tuple[Invariant, ...]:
    """The invariants of a loss, by its id."""
    return tuple(INVARIANTS[name] for name in (*_OF_LOSSES.get(loss, ()), PATHS))


def chosen(names: tuple[str, ...], loss: str = "") -> tuple[str, ...]:
    """The names of invariants, checked; `NONE` alone is an empty choice.

    Args:
        names: as a user writes them.
        loss: the id of the loss that they are asked of; "" for none.

    Raises:
        UnknownNameError: there is no such invariant.
        UsageError: the loss does not have it, or `NONE` is not alone.
    """
    if names == (NONE,):
        return ()
    for name in names:
        if name == NONE:
            raise UsageError("invariants: none goes alone")
        if name not in INVARIANTS:
            raise UnknownNameError("invariant", name, (*INVARIANTS, NONE))
        own = [each.name for each in invariants_of(loss)]
        if loss and name not in own:
            raise UsageError(f"{loss} does not have the invariant {name}, but {', '.join(own)}")
    return tuple(dict.fromkeys(names))


def factors(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """What the scale of a row is multiplied by: the label's largest weight, 1 / temperature.

    The exponent of a focal loss repeats a rounding so many times: it counts as a weight.
    """
    weight = parameters.get("weight")
    most = 1.0 if weight is None else max((float(each) for each in weight), default=1.0)
    most *= max(float(parameters.get("pos_weight", 1.0)), 1.0)
    most *= 1.0 + float(parameters.get("gamma", 0.0))
    return most, 1.0 / float(parameters.get("temperature", 1.0))
