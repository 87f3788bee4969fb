"""The table of models: which known forms of a loss there are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xentcheck.diagnosis.models import elementwise, probabilities, softmax
from xentcheck.diagnosis.steps import Steps
from xentcheck.model import Array, Quantity

Form = Callable[[Steps, Array, Any, Mapping[str, Any], Mapping[str, Any]], Array]


@dataclass(frozen=True, slots=True)
class Model:
    """A known form of a loss.

    Attributes:
        name: its name: that of the field guide where it has the form.
        says: the form as a formula.
        form: computes it.
        options: what tells it apart from the other forms of its function.
        fitted: its option ``epsilon`` (or ``clamp``) is fitted from results.
        sound: nothing is known to be wrong with it.
    """

    name: str
    says: str
    form: Form
    options: Mapping[str, Any] = field(default_factory=dict)
    fitted: str = ""
    sound: bool = False


VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT
Row = tuple[str, str, Mapping[str, Any], str]

_SHIFTS = (
    ("max", "m", "max_shifted"),
    ("none", "0", "naive"),
    ("zero", "max(0, m)", "zero_clamped_shift"),
    ("clamp", "max(m, −64)", "clamped_shift"),
    ("first", "x_0", "shifted_by_first"),
)


def _per_class() -> list[Row]:
    """The forms of −log p."""
    rows: list[Row] = []
    for shift, letter, name in _SHIFTS:
        own = {"shift": shift}
        word = "" if shift == "max" else f"{name}: "
        power = f"exp(x − {letter})"
        rows += [
            (
                f"numpy.{'log_of_softmax' if shift == 'max' else name}",
                f"−log({power}_y / Σ {power})",
                {"form": "log_p", **own},
                "",
            ),
            (
                f"numpy.{'shifted_log_softmax' if shift == 'max' else name + '_log_softmax'}",
                f"log Σ {power} − (x_y − {letter})",
                {"form": "shifted", **own},
                "",
            ),
            (
                f"numpy.{'lse_minus_logit' if shift == 'max' else name + '_lse'}",
                f"{word}({letter} + log Σ {power}) − x_y",
                {"form": "lse", **own},
                "",
            ),
        ]
    rows += [
        ("numpy.epsilon", "−log(p_y + ε)", {"form": "log_p_plus"}, "epsilon"),
        ("numpy.clipped", "−log(clip(p_y, ε, 1 − ε))", {"form": "log_p_clipped"}, "epsilon"),
        ("max(p, ε)", "−log(max(p_y, ε))", {"form": "log_p_at_least"}, "epsilon"),
        (
            "clip twice",
            "−log(clip(p_y, ε, 1 − ε) + ε)",
            {"form": "log_p_clipped", "twice": True},
            "epsilon",
        ),
        ("clamped log", "−max(log p_y, −h)", {"form": "log_p", "clamp": 100.0}, "clamp"),
        (
            "naive + ε",
            "−log(exp(x_y) / Σ exp(x) + ε)",
            {"form": "log_p_plus", "shift": "none"},
            "epsilon",
        ),
    ]
    return rows


_CE_GRADIENTS: list[Row] = [
    ("p − y", "p − y with p = exp(x − m) / Σ", {"form": "p_minus"}, ""),
    ("exp(log p) − y", "exp(x − m − log s) − y", {"form": "exp_log_p"}, ""),
    ("exp(x − lse) − y", "exp(x − (m + log s)) − y", {"form": "exp_lse"}, ""),
    (
        "p − y, unshifted",
        "p − y with p = exp(x) / Σ exp(x)",
        {"form": "p_minus", "shift": "none"},
        "",
    ),
    ("p − y, max(0, m)", "p − y, shifted by max(0, m)", {"form": "p_minus", "shift": "zero"}, ""),
    (
        "p − y, max(m, −64)",
        "p − y, shifted by max(m, −64)",
        {"form": "p_minus", "shift": "clamp"},
        "",
    ),
    ("p − y, first", "p − y, shifted by x_0", {"form": "p_minus", "shift": "first"}, ""),
    ("p (Σ c − c / p)", "back through the softmax with 1 / p", {"form": "chain"}, ""),
    ("p (Σ c − c / p), unshifted", "1 / p, unshifted", {"form": "chain", "shift": "none"}, ""),
    ("clipped", "0 where p_y is clipped", {"form": "p_minus_clipped"}, "epsilon"),
    ("p / (p + ε) (p − y)", "the gradient of −log(p_y + ε)", {"form": "p_minus_plus"}, "epsilon"),
]

_SIGMOIDS = ("sound", "naive", "exp_ratio", "tanh")


def _binary_values() -> list[Row]:
    rows: list[Row] = []
    for kind in _SIGMOIDS[:3]:
        word = {"sound": "", "naive": "1/(1 + exp(−x)): ", "exp_ratio": "exp(x)/(1 + exp(x)): "}[
            kind
        ]
        base = {"form": "probabilities", "sigmoid": kind}
        for masked in (False, True):
            more = {"masked": masked}
            tail = " without absent terms" if masked else ""
            name = "numpy.naive" if kind == "naive" and not masked else f"{word}log p{tail}"
            rows += [
                (name, f"{word}−z log p − (1 − z) log(1 − p){tail}", {**base, **more}, ""),
                (
                    f"{word}log1p(−p){tail}",
                    f"{word}−z log p − (1 − z) log1p(−p){tail}",
                    {**base, **more, "log1p": True},
                    "",
                ),
            ]
        rows += [
            (
                "numpy.clipped",
                f"{word}p clipped to [ε, 1 − ε]",
                {**base, "guard": "clip"},
                "epsilon",
            ),
            (
                "log(p + ε)",
                f"{word}−z log(p + ε) − (1 − z) log(1 − p + ε)",
                {**base, "guard": "plus"},
                "epsilon",
            ),
            ("max(p, ε)", f"{word}logarithms of max(p, ε)", {**base, "guard": "low"}, "epsilon"),
            (
                "numpy.clamped",
                f"{word}logarithms clamped at −h",
                {**base, "log1p": True, "clamp": 100.0},
                "clamp",
            ),
            ("clamped logs", f"{word}log(1 − p) clamped at −h", {**base, "clamp": 100.0}, "clamp"),
        ]
    rows += [
        ("numpy.max_abs", "max(x, 0) − xz + log1p(exp(−|x|))", {"form": "max_abs"}, ""),
        (
            "max_abs, log",
            "max(x, 0) − xz + log(1 + exp(−|x|))",
            {"form": "max_abs", "log1p": False},
            "",
        ),
    ]
    for masked in (True, False):
        tail = "" if masked else ", 0 · inf not avoided"
        rows += [
            (f"{name}{tail}", f"softplus as {says}{tail}", {"form": form, "masked": masked}, "")
            for name, says, form in _SOFTPLUS
        ]
    rows += [
        (
            f"one-sided: {name}",
            f"(1 − z) x + softplus(−x), softplus as {says}",
            {"form": "one_sided", "softplus": form},
            "",
        )
        for name, says, form in _SOFTPLUS
    ]
    rows.append(("by label", "max(±x, 0) + log(1 + exp(−|x|))", {"form": "by_label"}, ""))
    return rows


_SOFTPLUS = (
    ("numpy.naive", "log(1 + exp(x))", "naive"),
    ("numpy.log1p_exp", "log1p(exp(x))", "log1p_exp"),
    ("numpy.max_log", "max(x, 0) + log(1 + exp(−|x|))", "max_log"),
    ("numpy.threshold", "x above 20, log1p(exp(x)) below", "threshold"),
    ("shifted pair", "m + log(exp(x − m) + exp(−m))", "shifted_pair"),
)
_FOCAL = tuple(
    {"sigmoid": kind, "direct": direct, "power": power, "ce": ce}
    for kind in ("sound", "naive")
    for direct in (False, True)
    for power in (False, True)
    for ce in (
        {"form": "max_abs"},
        {"form": "probabilities", "sigmoid": kind},
        {"form": "probabilities", "sigmoid": kind, "masked": True},
        {"form": "log1p_exp"},
        {"form": "log1p_exp", "masked": False},
        {"form": "max_log1p"},
    )
)
_GUARDS: tuple[Row, ...] = (
    ("numpy.epsilon", "log(p + ε)", {"guard": "plus"}, "epsilon"),
    ("numpy.clipped", "log(clip(p, ε, 1 − ε))", {"guard": "clip"}, "epsilon"),
    ("max(p, ε)", "log(max(p, ε))", {"guard": "low"}, "epsilon"),
    ("clip twice", "log(clip(p, ε, 1 − ε) + ε)", {"guard": "clip", "twice": True}, "epsilon"),
    ("clamped log", "max(log p, −h)", {"clamp": 100.0}, "clamp"),
)


def _guarded(extra: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for masked in (False, True):
        more = {**extra, "masked": masked}
        tail = " without absent terms" if masked else ""
        rows.append((f"numpy.{'masked' if masked else 'naive'}", f"log p{tail}", more, ""))
        rows += [
            (name, f"{says}{tail}", {**given, **more}, fit) for name, says, given, fit in _GUARDS
        ]
    return rows


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


def _focal_name(options: Mapping[str, Any]) -> str:
    ce = options["ce"]
    wrong = f"{'direct ' if options['direct'] else ''}1 − p_t ({options['sigmoid']} sigmoid)"
    masked = " masked" if ce.get("masked") else ""
    return f"{wrong}{'^γ' if options['power'] else '²'}, ce {ce['form']}{masked}"


def _of_binary() -> list[Row]:
    rows: list[Row] = []
    for masked in (False, True):
        tail = " without absent terms" if masked else ""
        for log1p in (False, True):
            log_q = "log1p(−p)" if log1p else "log(1 − p)"
            base = {"masked": masked, "log1p": log1p}
            rows += [
                (f"numpy.naive{tail}, {log_q}", f"−z log p − (1 − z) {log_q}{tail}", base, ""),
                (
                    f"numpy.clipped, {log_q}",
                    f"p clipped, {log_q}",
                    {**base, "guard": "clip"},
                    "epsilon",
                ),
                (
                    f"numpy.clamped, {log_q}",
                    f"logarithms clamped at −h, {log_q}",
                    {**base, "clamp": 100.0},
                    "clamp",
                ),
            ]
        rows += [
            (
                f"log(p + ε){tail}",
                "−z log(p + ε) − (1 − z) log(1 − p + ε)",
                {"masked": masked, "guard": "plus"},
                "epsilon",
            ),
            (
                f"max(p, ε){tail}",
                "logarithms of max(p, ε)",
                {"masked": masked, "guard": "low"},
                "epsilon",
            ),
        ]
    return rows


def _rows(given: Iterable[Row]) -> list[Row]:
    return list(given)


def _shifted(says: str, form: str) -> list[Row]:
    """A form with every shift; ``says`` has {} for the shift."""
    return [
        (f"numpy.{name}", says.format(letter), {"form": form, "shift": shift}, "")
        for shift, letter, name in _SHIFTS
    ]


def _sigmoid_forms(says: str, names: Iterable[str], **more: str) -> list[Row]:
    """A form with every sigmoid; ``says`` has {} for the sigmoid."""
    if more:
        return [
            (says.format(each), says.format(each), {**more, "sigmoid": each}, "") for each in names
        ]
    return [(says.format(each), says.format(each), {"form": each}, "") for each in names]


_LOG_P = _per_class()
_UNSOUND_SIGMOIDS = ("naive", "exp_ratio", "tanh", "branch")
_FORMS: Mapping[tuple[str, Quantity], tuple[Form, list[Row]]] = {
    ("softmax_cross_entropy", VALUE): (
        softmax.cross_entropy,
        [
            *_LOG_P,
            *(
                (f"{name}, dense", f"−Σ y · ({says})", {**given, "dense": True}, fit)
                for name, says, given, fit in _LOG_P[:6]
            ),
            *(
                (
                    f"{name}, smoothing apart{' in the input dtype' * stored}",
                    f"{says}, smoothing apart{' in the input dtype' * stored}",
                    {**given, "apart": True, "stored": stored},
                    fit,
                )
                for name, says, given, fit in _LOG_P[:3]
                for stored in (False, True)
            ),
        ],
    ),
    ("softmax_cross_entropy", GRADIENT): (softmax.cross_entropy_gradient, _CE_GRADIENTS),
    ("log_softmax", VALUE): (softmax.log_softmax, _LOG_P),
    ("log_softmax", GRADIENT): (softmax.log_softmax_gradient, _CE_GRADIENTS[:9]),
    ("softmax", VALUE): (
        softmax.softmax,
        [
            *_shifted("exp(x − {0}) / Σ exp(x − {0})", "p"),
            ("exp(log p)", "exp(x − m − log s)", {"form": "exp_log_p"}, ""),
            ("contracted", "exp(fma(x, c, −m)) / Σ", {"form": "p", "contracted": True}, ""),
        ],
    ),
    ("softmax", GRADIENT): (
        softmax.softmax_gradient,
        [
            *_shifted("p (δ − p), shifted by {}", "p"),
            ("through log p", "p_y p (δ / p_y − Σ)", {"form": "chain"}, ""),
        ],
    ),
    ("logsumexp", VALUE): (
        softmax.logsumexp,
        [
            *_shifted("{0} + log Σ exp(x − {0})", "lse"),
            ("numpy.logaddexp", "logaddexp over the classes", {"form": "logaddexp"}, ""),
        ],
    ),
    ("logsumexp", GRADIENT): (
        softmax.logsumexp_gradient,
        [
            *_shifted("exp(x − {0}) / Σ exp(x − {0})", "p"),
            ("exp(x − lse)", "exp(x − m − log s)", {"form": "exp_log_p"}, ""),
        ],
    ),
    ("sigmoid", VALUE): (elementwise.sigmoid, _sigmoid_forms("numpy.{}", _SIGMOIDS)),
    ("sigmoid", GRADIENT): (
        elementwise.sigmoid_gradient,
        [
            *_sigmoid_forms("p (1 − p), {} sigmoid", _UNSOUND_SIGMOIDS),
            ("numpy.exp_ratio", "e/(1 + e)² with e = exp(x)", {"form": "ratio"}, ""),
            ("e/(1 + e)², e = exp(−x)", "e/(1 + e)² with e = exp(−x)", {"form": "ratio_minus"}, ""),
        ],
    ),
    ("softplus", VALUE): (
        elementwise.softplus,
        _rows((name, says, {"form": form}, "") for name, says, form in _SOFTPLUS),
    ),
    ("softplus", GRADIENT): (elementwise.softplus_gradient, _sigmoid_forms("numpy.{}", _SIGMOIDS)),
    ("log_sigmoid", VALUE): (
        elementwise.log_sigmoid,
        [
            *_rows(
                (f"−softplus(−x): {name}", f"−softplus(−x), {says}", {"form": form}, "")
                for name, says, form in _SOFTPLUS
            ),
            *(
                (
                    f"log of sigmoid, {each}",
                    f"log σ(x), {each} sigmoid",
                    {"form": f"log_of_{each}"},
                    "",
                )
                for each in _SIGMOIDS
            ),
            *(
                (name, says, {"form": "log_of_sound", **given}, fit)
                for name, says, given, fit in _GUARDS
            ),
        ],
    ),
    ("log_sigmoid", GRADIENT): (
        elementwise.log_sigmoid_gradient,
        _sigmoid_forms("1 − σ(x), {} sigmoid", _UNSOUND_SIGMOIDS),
    ),
    ("sigmoid_binary_cross_entropy", VALUE): (elementwise.binary, _binary_values()),
    ("sigmoid_binary_cross_entropy", GRADIENT): (
        elementwise.binary_gradient,
        [
            *_sigmoid_forms("σ(x) − z, {} sigmoid", _SIGMOIDS, form="minus"),
            (
                "exp over exp",
                "((1 − z) − z e) / (1 + e), e = exp(−x)",
                {"form": "exp_over_exp"},
                "",
            ),
            ("numpy.clipped", "0 where p is clipped", {"form": "clipped"}, "epsilon"),
            (
                "numpy.clamped",
                "(p − z) / max(p (1 − p), ε) p (1 − p)",
                {"form": "floored"},
                "epsilon",
            ),
        ],
    ),
    ("sigmoid_focal_loss", VALUE): (
        elementwise.focal,
        [
            *(
                (_focal_name(each), _focal_name(each), {"form": "one", **each}, "")
                for each in _FOCAL
            ),
            *(
                (
                    f"two logarithms, {each} sigmoid",
                    "−z q^γ log p − (1 − z) p^γ log q",
                    {"form": "two_logs", "sigmoid": each},
                    "",
                )
                for each in ("sound", "naive")
            ),
        ],
    ),
    ("sigmoid_focal_loss", GRADIENT): (
        elementwise.focal_gradient,
        _rows(
            (_focal_name(each), _focal_name(each), {"form": "one", **each}, "") for each in _FOCAL
        ),
    ),
    ("categorical_cross_entropy", VALUE): (
        probabilities.categorical,
        [
            *_guarded({}),
            *(
                (f"{name}, normalised", f"p / Σp first, {says}", {**given, "normalised": True}, fit)
                for name, says, given, fit in _guarded({})
            ),
        ],
    ),
    ("categorical_cross_entropy", GRADIENT): (
        probabilities.categorical_gradient,
        [
            ("numpy.naive", "−y / p", {"form": "naive"}, ""),
            ("numpy.epsilon", "−y / (p + ε)", {"form": "plus"}, "epsilon"),
            ("numpy.clipped", "0 where p is clipped", {"form": "clipped"}, "epsilon"),
        ],
    ),
    ("binary_cross_entropy", VALUE): (probabilities.binary, _of_binary()),
    ("binary_cross_entropy", GRADIENT): (
        probabilities.binary_gradient,
        [
            ("numpy.naive", "(1 − z)/(1 − p) − z/p", {"form": "naive"}, ""),
            ("ratio", "(p − z) / (p (1 − p))", {"form": "ratio"}, ""),
            ("numpy.clamped", "(p − z) / max(p (1 − p), ε)", {"form": "floored"}, "epsilon"),
            ("numpy.clipped", "0 where p is clipped", {"form": "clipped"}, "epsilon"),
        ],
    ),
    ("nll_loss", VALUE): (
        probabilities.nll,
        [
            ("numpy.one_hot", "−Σ onehot · x", {}, ""),
            ("kept as factor", "ignored rows times 0", {"factor": True}, ""),
            (
                "gather, kept as factor",
                "gather; ignored rows times 0",
                {"masked": True, "factor": True},
                "",
            ),
        ],
    ),
    ("kl_divergence", VALUE): (
        probabilities.kl,
        [
            *_guarded({"form": "terms"}),
            *(
                (
                    f"{name}, both{' with the factor' * factor}",
                    f"both sides: {says}",
                    {**given, "both": True, "factor": factor},
                    fit,
                )
                for name, says, given, fit in _guarded({"form": "terms"})
                if fit == "epsilon"
                for factor in (False, True)
            ),
            *(
                (
                    f"numpy.entropy_difference{text}",
                    f"Σ t log t − Σ t x{text}",
                    {"form": "difference", "masked": own, "cross masked": cross},
                    "",
                )
                for text, own, cross in (
                    ("", True, False),
                    (" without absent terms", True, True),
                    (" of all terms", False, False),
                )
            ),
        ],
    ),
    ("kl_divergence", GRADIENT): (
        probabilities.kl_gradient,
        [
            ("through the ratio", "−(t / q) q", {"form": "ratio"}, ""),
            ("clipped", "0 where the prediction is clipped", {"form": "clipped"}, "epsilon"),
        ],
    ),
    ("js_divergence", VALUE): (
        probabilities.js,
        [
            ("numpy.naive", "½ Σ p log(p / m) + ½ Σ q log(q / m)", {"form": "naive"}, ""),
            ("numpy.masked", "the same with 0 log 0 = 0", {"form": "masked"}, ""),
            ("entropies", "H(m) − ½ H(p) − ½ H(q)", {"form": "entropies"}, ""),
            ("epsilon", "½ Σ p log((p + ε) / (m + ε)) + …", {"form": "plus"}, "epsilon"),
            ("epsilon on both", "both distributions + ε", {"form": "plus_both"}, "epsilon"),
        ],
    ),
    ("js_divergence", GRADIENT): (
        probabilities.js_gradient,
        [
            ("numpy.naive", "½ log(2p / (p + q))", {"form": "naive"}, ""),
            ("epsilon", "½ log((p + ε) / (m + ε))", {"form": "plus"}, "epsilon"),
            ("difference", "½ (log p − log m)", {"form": "difference"}, ""),
        ],
    ),
    ("entropy", VALUE): (probabilities.entropy, _guarded({})),
    ("entropy", GRADIENT): (
        probabilities.entropy_gradient,
        [
            ("numpy.epsilon", "−(log(p + ε) + p / (p + ε))", {}, "epsilon"),
            ("masked by a factor", "(p > 0) · −(log p + 1)", {"factor": True}, ""),
        ],
    ),
}


def models_of(loss: str, quantity: Quantity) -> tuple[Model, ...]:
    """Every model of a quantity of a loss, the sound one first."""
    sound = sound_model(loss, quantity)
    found = _FORMS.get((loss, quantity))
    rows: list[Model] = [] if sound is None else [sound]
    if found is not None:
        form, unsound = found
        rows += [Model(name, says, form, options, fit) for name, says, options, fit in unsound]
    return tuple(rows)
