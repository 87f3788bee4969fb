"""The known forms of the losses of probabilities and log-probabilities."""

from collections.abc import Mapping

from xentcheck.diagnosis.models import probabilities
from xentcheck.diagnosis.models.rows import GUARDS, Form, Row, guarded
from xentcheck.model import Quantity

VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT


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


FORMS: Mapping[tuple[str, Quantity], tuple[Form, list[Row]]] = {
    ("categorical_cross_entropy", VALUE): (
        probabilities.categorical,
        [
            *guarded({}),
            *(
                (f"{name}, normalised", f"p / Σp first, {says}", {**given, "normalised": True}, fit)
                for name, says, given, fit in guarded({})
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
            ("1 / (p + ε)", "(1 − z)/(1 − p + ε) − z/(p + ε)", {"form": "plus"}, "epsilon"),
            (
                "1 / max(p, ε)",
                "(1 − z)/max(1 − p, ε) − z/max(p, ε)",
                {"form": "low"},
                "epsilon",
            ),
            ("numpy.clamped", "(p − z) / max(p (1 − p), ε)", {"form": "floored"}, "epsilon"),
            ("numpy.clipped", "0 where p is clipped", {"form": "clipped"}, "epsilon"),
        ],
    ),
    ("nll_loss", VALUE): (
        probabilities.nll,
        [
            ("numpy.one_hot", "−Σ onehot · x", {}, ""),
            ("kept as factor", "ignored rows times 0", {"factor": True}, ""),
            ("log of exp", "−log exp x_y", {"masked": True, "exp": True}, ""),
            ("at most h", "min(−x_y, h)", {"masked": True, "clamp": 100.0}, "clamp"),
            *(
                (
                    f"{name} of exp",
                    f"{says}, p = exp x_y",
                    {**given, "masked": True, "exp": True},
                    fit,
                )
                for name, says, given, fit in GUARDS
            ),
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
            *guarded({"form": "terms"}),
            *(
                (
                    f"{name}, both{' with the factor' * factor}",
                    f"both sides: {says}",
                    {**given, "both": True, "factor": factor},
                    fit,
                )
                for name, says, given, fit in guarded({"form": "terms"})
                if fit == "epsilon"
                for factor in (False, True)
            ),
            ("log of the ratio", "Σ t log(t / exp x)", {"form": "ratio"}, ""),
            (
                "log of the ratio without absent terms",
                "Σ t log(t / exp x) without absent terms",
                {"form": "ratio", "masked": True},
                "",
            ),
            *(
                (
                    f"log of exp{tail}",
                    f"Σ t (log t − log exp x){tail}",
                    {"form": "terms", "both": True, "masked": masked},
                    "",
                )
                for masked, tail in ((True, " without absent terms"), (False, ""))
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
            (
                "through the ratio, masked",
                "−(t / q) q, 0 where t is 0",
                {"form": "ratio", "masked": True},
                "",
            ),
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
            (
                "differences of logarithms",
                "½ Σ p (log p − log m) + ½ Σ q (log q − log m)",
                {"form": "difference"},
                "",
            ),
            (
                "masked differences of logarithms",
                "½ Σ p (log p − log m) + ½ Σ q (log q − log m), with 0 log 0 = 0",
                {"form": "difference", "masked": True},
                "",
            ),
            *(
                (
                    f"{word}: {formula}",
                    f"{word}, {formula}",
                    {"form": form, "guard": guard},
                    "epsilon",
                )
                for word, guard in (
                    ("epsilon on both", "plus"),
                    ("both at least ε", "low"),
                )
                for formula, form in (
                    ("p log(p / m)", "naive"),
                    ("p (log p − log m)", "difference"),
                    ("entropies", "entropies"),
                )
            ),
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
    ("entropy", VALUE): (
        probabilities.entropy,
        [
            *guarded({}),
            *(
                (f"{name}, both", f"p {says}, p too", {**given, "both": True}, fit)
                for name, says, given, fit in GUARDS[:3]
            ),
        ],
    ),
    ("entropy", GRADIENT): (
        probabilities.entropy_gradient,
        [
            ("numpy.epsilon", "−(log(p + ε) + p / (p + ε))", {}, "epsilon"),
            ("masked by a factor", "(p > 0) · −(log p + 1)", {"factor": True}, ""),
        ],
    ),
}
"""By loss and quantity: the function, and what it is called with."""
