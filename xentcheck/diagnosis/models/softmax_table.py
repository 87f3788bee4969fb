"""The known forms of the losses of logits with classes."""

from collections.abc import Iterable, Mapping

from xentcheck.diagnosis.models import softmax
from xentcheck.diagnosis.models.rows import Form, Row
from xentcheck.model import Quantity

VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT

_USUAL = (
    ("max", "m", "max_shifted"),
    ("none", "0", "naive"),
    ("zero", "max(0, m)", "zero_clamped_shift"),
    ("clamp", "max(m, −64)", "clamped_shift"),
    ("first", "x_0", "shifted_by_first"),
)
_OTHER = (
    ("mean", "mean x", "shifted_by_mean"),
    ("half", "m/2", "shifted_by_half"),
    ("min", "min x", "shifted_by_min"),
    ("largest of the call", "max of all rows", "shifted_by_largest_of_all_rows"),
    ("mean of the call", "mean of all rows", "shifted_by_mean_of_all_rows"),
)
_SHIFTS = (*_USUAL, *_OTHER)
_LABELLED = (
    ("target", "x_y", "shifted_by_target"),
    ("unscaled", "max of x before the temperature", "unscaled_shift"),
)


def _shifted_logs(shifts: Iterable[tuple[str, str, str]]) -> list[Row]:
    """−log p in three forms with every shift."""
    rows: list[Row] = []
    for shift, letter, name in shifts:
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
    return rows


_GUARDED: list[Row] = [
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
    ("ε after the log", "−(log p_y + ε)", {"form": "log_p_then_plus"}, "epsilon"),
    ("ε in the sum", "−log(e_y / (Σ e + ε))", {"form": "log_p", "sum": "plus"}, "epsilon"),
    ("log(s + ε)", "log(Σ e + ε) − (x_y − m)", {"form": "shifted", "sum": "plus"}, "epsilon"),
    ("m + log(s + ε)", "(m + log(Σ e + ε)) − x_y", {"form": "lse", "sum": "plus"}, "epsilon"),
]
_WIDENED: list[Row] = [
    (
        f"{name}, p widened",
        f"{says}, with p widened to float32 before",
        {**given, "widened": True},
        fit,
    )
    for name, says, given, fit in (
        ("numpy.log_of_softmax", "−log p_y", {"form": "log_p"}, ""),
        *_GUARDED[:3],
    )
]
_RUNNING: list[Row] = [
    (
        "running maximum",
        "log s − (x_y − m), of a running maximum by blocks",
        {"form": "running", "block": 1},
        "block",
    ),
    (
        "running maximum, lse",
        "(m + log s) − x_y, of a running maximum by blocks",
        {"form": "running", "block": 1, "lse": True},
        "block",
    ),
]
_FROM_LSE: list[Row] = [
    ("log1p, lse", "(m + log1p(tail)) − x_y", {"form": "log1p lse"}, ""),
    ("numpy.logaddexp", "logaddexp over the classes, − x_y", {"form": "logaddexp lse"}, ""),
]
_PER_CLASS = [*_shifted_logs(_SHIFTS), *_GUARDED, *_FROM_LSE, *_RUNNING, *_WIDENED]
_FIRST = [*_shifted_logs(_USUAL), *_GUARDED[:6]]
_OF_LABELS: list[Row] = [
    *_shifted_logs(_LABELLED),
    ("quotient", "log(Σ e / e_y), e = exp(x − m)", {"form": "quotient"}, ""),
    (
        "quotient, unshifted",
        "log(Σ e / e_y), e = exp(x)",
        {"form": "quotient", "shift": "none"},
        "",
    ),
    ("two logarithms", "log Σ e − log e_y, e = exp(x)", {"form": "two logs", "shift": "none"}, ""),
    (
        "others by the label",
        "log1p(Σ_{j≠y} exp(x_j − x_y))",
        {"form": "others", "shift": "target"},
        "",
    ),
    ("rest", "−log(1 − Σ_{j≠y} p_j)", {"form": "rest"}, ""),
]
_SMOOTHED: list[Row] = [
    (
        f"{name}, smoothing apart{' in the input dtype' * stored}",
        f"{says}, smoothing apart{' in the input dtype' * stored}",
        {**given, "apart": True, "stored": stored},
        fit,
    )
    for name, says, given, fit in _shifted_logs(_USUAL[:1])
    for stored in (False, True)
]
_SMOOTHED += [
    ("lse − mean", "lse − x_y, smoothed by lse − mean x", {"form": "lse", "by mean": True}, ""),
    (
        "shifted, − mean",
        "log s − gap_y, smoothed by log s − mean of the gaps",
        {"form": "shifted", "by mean": True},
        "",
    ),
]


def _with_labels(form: Mapping[str, object]) -> list[Row]:
    """A form with ignored rows times 0, and with labels in a narrow type of integers."""
    return [
        ("kept as factor", "ignored rows times 0", {**form, "factor": True}, ""),
        *(
            (f"{kind} labels", f"labels stored as {kind}", {**form, "index": kind}, "")
            for kind in ("uint8", "int8", "uint16", "int16")
        ),
    ]


def _cross_entropy_gradients() -> list[Row]:
    rows: list[Row] = [
        ("p − y", "p − y with p = exp(x − m) / Σ", {"form": "p_minus"}, ""),
        ("exp(log p) − y", "exp(x − m − log s) − y", {"form": "exp_log_p"}, ""),
        ("exp(x − lse) − y", "exp(x − (m + log s)) − y", {"form": "exp_lse"}, ""),
    ]
    rows += [
        (
            f"p − y, {'unshifted' if shift == 'none' else name}",
            f"p − y, shifted by {letter}",
            {"form": "p_minus", "shift": shift},
            "",
        )
        for shift, letter, name in _SHIFTS[1:]
    ]
    rows += [
        ("p (Σ c − c / p)", "back through the softmax with 1 / p", {"form": "chain"}, ""),
        ("p (Σ c − c / p), unshifted", "1 / p, unshifted", {"form": "chain", "shift": "none"}, ""),
        ("1 / p_y", "(1 / p_y) p_y (p − y)", {"form": "p_minus_inverse"}, ""),
    ]
    return rows


_OF_SOFTMAX = _cross_entropy_gradients()
_EPSILON_GRADIENTS: list[Row] = [
    ("clipped", "0 where p_y is clipped", {"form": "p_minus_clipped"}, "epsilon"),
    ("p / (p + ε) (p − y)", "the gradient of −log(p_y + ε)", {"form": "p_minus_plus"}, "epsilon"),
    (
        "p / max(p, ε) (p − y)",
        "the gradient of −log(max(p_y, ε)) that goes on below",
        {"form": "p_minus_floored"},
        "epsilon",
    ),
    ("ε in the sum", "e / (Σ e + ε) − y", {"form": "p_minus", "sum": "plus"}, "epsilon"),
]


def _probabilities(says: str, form: str) -> list[Row]:
    """A softmax with every shift; ``says`` has {} for the shift."""
    return [
        (f"numpy.{name}", says.format(letter), {"form": form, "shift": shift}, "")
        for shift, letter, name in _SHIFTS
    ]


_SOFTMAXES: list[Row] = [
    *_probabilities("exp(x − {0}) / Σ exp(x − {0})", "p"),
    ("exp(log p)", "exp(x − m − log s)", {"form": "exp_log_p"}, ""),
    ("exp(x − lse)", "exp(x − (m + log s))", {"form": "exp_lse"}, ""),
    (
        "exp(x − lse), unshifted",
        "exp(x − log Σ exp(x))",
        {"form": "exp_lse", "shift": "none"},
        "",
    ),
    ("unscaled shift", "shifted before the temperature", {"form": "p", "shift": "unscaled"}, ""),
    ("contracted", "exp(fma(x, c, −m)) / Σ", {"form": "p", "contracted": True}, ""),
    ("ε in the sum", "e / (Σ e + ε)", {"form": "p", "sum": "plus"}, "epsilon"),
    ("max(s, ε)", "e / max(Σ e, ε)", {"form": "p", "sum": "least"}, "epsilon"),
    (
        "max(s, ε), max(m, −1e4)",
        "e / max(Σ e, ε), shifted by max(m, −1e4)",
        {"form": "p", "sum": "least", "shift": "low clamp"},
        "epsilon",
    ),
    ("p + ε", "p + ε", {"form": "p", "guard": "plus"}, "epsilon"),
    ("max(p, ε)", "max(p, ε)", {"form": "p", "guard": "low"}, "epsilon"),
    ("clip(p)", "p clipped to [ε, 1 − ε]", {"form": "p", "guard": "clip"}, "epsilon"),
]

FORMS: Mapping[tuple[str, Quantity], tuple[Form, list[Row]]] = {
    ("softmax_cross_entropy", VALUE): (
        softmax.cross_entropy,
        [
            *_PER_CLASS,
            *_OF_LABELS,
            *(
                (f"{name}, dense", f"−Σ y · ({says})", {**given, "dense": True}, fit)
                for name, says, given, fit in _FIRST[:4]
            ),
            *_SMOOTHED,
            *_with_labels({"form": "log1p"}),
        ],
    ),
    ("softmax_cross_entropy", GRADIENT): (
        softmax.cross_entropy_gradient,
        [
            *_OF_SOFTMAX,
            (
                "p − y, unscaled shift",
                "p − y, shifted before the temperature",
                {"form": "p_minus", "shift": "unscaled"},
                "",
            ),
            *_EPSILON_GRADIENTS,
            *_with_labels({"form": "log1p"}),
            (
                "p − y, kept as factor",
                "ignored rows times 0",
                {"form": "p_minus", "factor": True},
                "",
            ),
        ],
    ),
    ("log_softmax", VALUE): (softmax.log_softmax, _PER_CLASS),
    ("log_softmax", GRADIENT): (softmax.log_softmax_gradient, _OF_SOFTMAX),
    ("softmax", VALUE): (softmax.softmax, _SOFTMAXES),
    ("softmax", GRADIENT): (
        softmax.softmax_gradient,
        [
            *_probabilities("p (δ − p), shifted by {}", "p"),
            ("through log p", "p_y p (δ / p_y − Σ)", {"form": "chain"}, ""),
            (
                "through log p, p_y p first",
                "(p_y p) (δ / p_y − Σ)",
                {"form": "chain", "product first": True},
                "",
            ),
            ("p − p²", "p δ − p_y p", {"form": "square"}, ""),
            ("exp(log p) (δ − p)", "p = exp(x − m − log s)", {"form": "exp_log_p"}, ""),
            ("exp(x − lse) (δ − p)", "p = exp(x − (m + log s))", {"form": "exp_lse"}, ""),
        ],
    ),
    ("logsumexp", VALUE): (
        softmax.logsumexp,
        [
            *(
                (
                    f"numpy.{name}",
                    f"{letter} + log Σ exp(x − {letter})",
                    {"form": "lse", "shift": shift},
                    "",
                )
                for shift, letter, name in _SHIFTS
            ),
            ("numpy.logaddexp", "logaddexp over the classes", {"form": "logaddexp"}, ""),
            ("log(s + ε)", "m + log(Σ e + ε)", {"form": "lse", "sum": "plus"}, "epsilon"),
            ("log max(s, ε)", "m + log(max(Σ e, ε))", {"form": "lse", "sum": "least"}, "epsilon"),
            (
                "log(s + ε), unshifted",
                "log(Σ exp(x) + ε)",
                {"form": "lse", "sum": "plus", "shift": "none"},
                "epsilon",
            ),
            ("running maximum", "m + log s, by blocks", {"form": "running", "block": 1}, "block"),
        ],
    ),
    ("logsumexp", GRADIENT): (softmax.logsumexp_gradient, _SOFTMAXES),
}
"""By loss and quantity: the function, and what it is called with."""
