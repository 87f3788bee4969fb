"""The table of models: which known forms of a loss there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xentcheck.diagnosis.models import (
    elementwise,
    elementwise_table,
    probabilities,
    probability_table,
    softmax,
    softmax_table,
)
from xentcheck.diagnosis.models.rows import Form
from xentcheck.model import Quantity


@dataclass(frozen=True, slots=True)
class Model:
    """A known form of a loss.

    Attributes:
        name: its name: that of the field guide where it has the form.
        says: the form as a formula.
        form: computes it.
        options: what tells it apart from the other forms of its function.
        fitted: the option that is fitted from results: ``epsilon``, ``clamp`` or ``block``.
        sound: nothing is known to be wrong with it.
    """

    name: str
    says: str
    form: Form
    options: Mapping[str, Any] = field(default_factory=dict)
    fitted: str = ""
    sound: bool = False


VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT

_SOUND: Mapping[tuple[str, Quantity], tuple[str, str, Form, Mapping[str, Any]]] = {
    ("softmax_cross_entropy", VALUE): (
        "log1p",
        "(m − x_y) + log1p(Σ_{j≠m} exp(x_j − m))",
        softmax.cross_entropy,
        {"form": "log1p"},
    ),
    ("softmax_cross_entropy", GRADIENT): (
        "tail sum",
        "1 − p_y as Σ_{j≠y} p_j",
        softmax.cross_entropy_gradient,
        {"form": "log1p"},
    ),
    ("softmax", VALUE): (
        "max shifted",
        "exp(x − m) / Σ exp(x − m)",
        softmax.softmax,
        {"form": "log1p"},
    ),
    ("softmax", GRADIENT): (
        "tail sum",
        "1 − p as Σ of the others",
        softmax.softmax_gradient,
        {"form": "log1p"},
    ),
    ("log_softmax", VALUE): (
        "log1p",
        "(x − m) − log1p(Σ_{j≠m} exp(x_j − m))",
        softmax.log_softmax,
        {"form": "log1p"},
    ),
    ("log_softmax", GRADIENT): (
        "tail sum",
        "1 − p as Σ of the others",
        softmax.log_softmax_gradient,
        {"form": "log1p"},
    ),
    ("logsumexp", VALUE): (
        "log1p",
        "m + log1p(Σ_{j≠m} exp(x_j − m))",
        softmax.logsumexp,
        {"form": "log1p"},
    ),
    ("logsumexp", GRADIENT): (
        "max shifted",
        "exp(x − m) / Σ exp(x − m)",
        softmax.logsumexp_gradient,
        {"form": "log1p"},
    ),
    ("sigmoid", VALUE): (
        "branch",
        "1/(1 + e) or e/(1 + e), e = exp(−|x|)",
        elementwise.sigmoid,
        {"form": "sound"},
    ),
    ("sigmoid", GRADIENT): (
        "branch",
        "e/(1 + e)², e = exp(−|x|)",
        elementwise.sigmoid_gradient,
        {"form": "sound"},
    ),
    ("softplus", VALUE): (
        "log1p",
        "max(x, 0) + log1p(exp(−|x|))",
        elementwise.softplus,
        {"form": "max_log1p"},
    ),
    ("softplus", GRADIENT): (
        "branch",
        "1/(1 + e) or e/(1 + e), e = exp(−|x|)",
        elementwise.softplus_gradient,
        {"form": "sound"},
    ),
    ("log_sigmoid", VALUE): (
        "log1p",
        "min(x, 0) − log1p(exp(−|x|))",
        elementwise.log_sigmoid,
        {"form": "max_log1p"},
    ),
    ("log_sigmoid", GRADIENT): (
        "branch",
        "sigmoid(−x)",
        elementwise.log_sigmoid_gradient,
        {"form": "sound"},
    ),
    ("sigmoid_binary_cross_entropy", VALUE): (
        "softplus",
        "z softplus(−x) + (1 − z) softplus(x), with log1p",
        elementwise.binary,
        {"form": "max_log1p"},
    ),
    ("sigmoid_binary_cross_entropy", GRADIENT): (
        "two sigmoids",
        "(1 − z) sigmoid(x) − z sigmoid(−x)",
        elementwise.binary_gradient,
        {"form": "sound"},
    ),
    ("sigmoid_focal_loss", VALUE): (
        "two sigmoids",
        "(z sigmoid(−x) + (1 − z) sigmoid(x))^γ times the softplus form",
        elementwise.focal,
        {"form": "sound"},
    ),
    ("sigmoid_focal_loss", GRADIENT): (
        "two sigmoids",
        "1 − p_t from sigmoid(−x), without division",
        elementwise.focal_gradient,
        {"form": "sound"},
    ),
    ("categorical_cross_entropy", VALUE): (
        "masked",
        "−Σ y log p over the classes with y > 0",
        probabilities.categorical,
        {"masked": True},
    ),
    ("categorical_cross_entropy", GRADIENT): (
        "masked",
        "−y / p, 0 where y is 0",
        probabilities.categorical_gradient,
        {"form": "sound"},
    ),
    ("binary_cross_entropy", VALUE): (
        "log1p",
        "−z log p − (1 − z) log1p(−p), without absent terms",
        probabilities.binary,
        {"masked": True, "log1p": True},
    ),
    ("binary_cross_entropy", GRADIENT): (
        "hard labels apart",
        "1/(1 − p) for z = 0, −1/p for z = 1",
        probabilities.binary_gradient,
        {"form": "sound"},
    ),
    ("nll_loss", VALUE): (
        "gather",
        "−w_y x_y, the label's class alone",
        probabilities.nll,
        {"masked": True},
    ),
    ("nll_loss", GRADIENT): ("scatter", "−w_y at the label", probabilities.nll_gradient, {}),
    ("kl_divergence", VALUE): (
        "masked",
        "Σ t (log t − x) over the classes with t > 0",
        probabilities.kl,
        {"form": "terms", "masked": True},
    ),
    ("kl_divergence", GRADIENT): ("target", "−t", probabilities.kl_gradient, {"form": "sound"}),
    ("js_divergence", VALUE): (
        "atanh",
        "¼ Σ (p + q) (2 d atanh d + log1p(−d²)), d = (p − q)/(p + q)",
        probabilities.js,
        {"form": "sound"},
    ),
    ("js_divergence", GRADIENT): (
        "log1p",
        "½ log1p((p − q)/(p + q))",
        probabilities.js_gradient,
        {"form": "sound"},
    ),
    ("entropy", VALUE): (
        "masked",
        "−Σ p log p over the classes with p > 0",
        probabilities.entropy,
        {"masked": True},
    ),
    ("entropy", GRADIENT): ("plain", "−(log p + 1)", probabilities.entropy_gradient, {}),
}


def sound_model(loss: str, quantity: Quantity) -> Model | None:
    """The best known form of a quantity of a loss; None if there is no model of it."""
    found = _SOUND.get((loss, quantity))
    return None if found is None else Model(*found, sound=True)


_FORMS = {**softmax_table.FORMS, **elementwise_table.FORMS, **probability_table.FORMS}


def models_of(loss: str, quantity: Quantity) -> tuple[Model, ...]:
    """Every model of a quantity of a loss, the sound one first."""
    sound = sound_model(loss, quantity)
    found = _FORMS.get((loss, quantity))
    rows: list[Model] = [] if sound is None else [sound]
    if found is not None:
        form, unsound = found
        rows += [Model(name, says, form, options, fit) for name, says, options, fit in unsound]
    return tuple(rows)
