"""The known forms of the losses of single logits."""

from collections.abc import Iterable, Mapping
from typing import Any

from xentcheck.diagnosis.models import elementwise
from xentcheck.diagnosis.models.rows import GUARDS, Form, Row
from xentcheck.model import Quantity

VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT

_SIGMOIDS = ("sound", "naive", "exp_ratio", "tanh", "one_minus")


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
            f"{word}: {name}",
            f"{formula}, softplus as {says}",
            {"form": form, "softplus": softplus},
            "",
        )
        for word, formula, form in (
            ("one-sided", "(1 − z) x + softplus(−x)", "one_sided"),
            ("less xz", "softplus(x) − xz", "product"),
        )
        for name, says, softplus in (*_SOFTPLUS, _SOUND_SOFTPLUS)
    ]
    rows += [
        (
            f"one-sided, one factor: {name}",
            f"(1 − z) x + softplus(−x) once, softplus as {says}",
            {"form": "one_sided", "softplus": form, "once": True},
            "",
        )
        for name, says, form in _SOFTPLUS[:2]
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
_SOUND_SOFTPLUS = ("max_log1p", "max(x, 0) + log1p(exp(−|x|))", "max_log1p")
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


def _focal_name(options: Mapping[str, Any]) -> str:
    ce = options["ce"]
    wrong = f"{'direct ' if options['direct'] else ''}1 − p_t ({options['sigmoid']} sigmoid)"
    masked = " masked" if ce.get("masked") else ""
    return f"{wrong}{'^γ' if options['power'] else '²'}, ce {ce['form']}{masked}"


def _rows(given: Iterable[Row]) -> list[Row]:
    return list(given)


def _sigmoid_forms(says: str, names: Iterable[str], **more: str) -> list[Row]:
    """A form with every sigmoid; ``says`` has {} for the sigmoid."""
    if more:
        return [
            (says.format(each), says.format(each), {**more, "sigmoid": each}, "") for each in names
        ]
    return [(says.format(each), says.format(each), {"form": each}, "") for each in names]


_UNSOUND_SIGMOIDS = ("naive", "exp_ratio", "tanh", "branch", "one_minus")


def _through_inverses() -> list[Row]:
    """Gradients of binary losses that divide by p and by 1 − p."""
    rows: list[Row] = []
    for kind in ("sound", "naive"):
        base = {"form": "inverses", "sigmoid": kind}
        rows += [
            ("1 / p", f"(−z/p + (1 − z)/(1 − p)) p (1 − p), {kind} sigmoid", base, ""),
            (
                "1 / (p + ε)",
                f"(−z/(p + ε) + (1 − z)/(1 − p + ε)) p (1 − p), {kind} sigmoid",
                base,
                "epsilon",
            ),
            (
                "1 / max(p, ε)",
                f"(−z/max(p, ε) + (1 − z)/max(1 − p, ε)) p (1 − p), {kind} sigmoid",
                {**base, "guard": "low"},
                "epsilon",
            ),
        ]
    return rows


def _two_logarithms() -> list[Row]:
    """Focal losses of log p and log(1 − p)."""
    rows: list[Row] = []
    for kind in ("sound", "naive"):
        for rest in (False, True):
            base = {"form": "two_logs", "sigmoid": kind, "rest": rest}
            word = f"two logarithms{', q = 1 − p' * rest}, {kind} sigmoid"
            says = f"−z q^γ log p − (1 − z) p^γ log q{', q = 1 − p' * rest}"
            rows.append((word, says, base, ""))
            rows += [
                (f"{word}, {name}", f"{says}, {guard}", {**base, **given}, fit)
                for name, guard, given, fit in GUARDS[: 3 if rest else 1]
            ]
    return rows


FORMS: Mapping[tuple[str, Quantity], tuple[Form, list[Row]]] = {
    ("sigmoid", VALUE): (
        elementwise.sigmoid,
        [
            *_sigmoid_forms("numpy.{}", _SIGMOIDS),
            ("p + ε", "σ(x) + ε", {"form": "sound", "guard": "plus"}, "epsilon"),
            ("max(p, ε)", "max(σ(x), ε)", {"form": "sound", "guard": "low"}, "epsilon"),
            (
                "clip(p)",
                "σ(x) within [ε, 1 − ε]",
                {"form": "sound", "guard": "clip"},
                "epsilon",
            ),
        ],
    ),
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
        [
            *_rows((name, says, {"form": form}, "") for name, says, form in _SOFTPLUS),
            *(
                (
                    f"−log σ(−x), {kind}",
                    f"−log σ(−x), {kind} sigmoid",
                    {"form": f"log_of_{kind}"},
                    "",
                )
                for kind in _SIGMOIDS
            ),
            *(
                (
                    f"−log(1 − σ), {kind}",
                    f"−log(1 − σ(x)), {kind} sigmoid",
                    {"form": f"log_rest_{kind}"},
                    "",
                )
                for kind in _SIGMOIDS
            ),
            *(
                (f"{name} of {word}", f"{says}, p = {word}", {"form": form, **given}, fit)
                for word, form in (("1 − σ(x)", "log_rest_naive"), ("σ(−x)", "log_of_sound"))
                for name, says, given, fit in GUARDS
            ),
        ],
    ),
    ("softplus", GRADIENT): (
        elementwise.softplus_gradient,
        [
            *_sigmoid_forms("numpy.{}", _SIGMOIDS),
            *(
                (f"1 − σ(−x), {kind}", f"1 − σ(−x), {kind} sigmoid", {"form": f"rest_{kind}"}, "")
                for kind in ("sound", "naive")
            ),
            (
                "both branches",
                "(x > 20) · 1 + (x ≤ 20) · e/(1 + e), e = exp(x)",
                {"form": "linear branch"},
                "",
            ),
            (
                "both branches of x > 0",
                "(x > 0) (1 − d/(1 + d)) + (x ≤ 0) e/(1 + e), d = exp(−x), e = exp(x)",
                {"form": "two branches"},
                "",
            ),
        ],
    ),
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
                (
                    f"less {name}",
                    f"x − softplus(x), {says}",
                    {"form": "less softplus", "softplus": form},
                    "",
                )
                for name, says, form in (*_SOFTPLUS, _SOUND_SOFTPLUS)
            ),
            *(
                (name, says, {"form": "log_of_sound", **given}, fit)
                for name, says, given, fit in GUARDS
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
            *_through_inverses(),
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
            *_two_logarithms(),
            (
                "exp(−ce)",
                "(1 − exp(−ce))^γ ce, for hard labels",
                {"form": "exp of loss", "ce": {"form": "max_log1p"}, "power": True},
                "",
            ),
        ],
    ),
    ("sigmoid_focal_loss", GRADIENT): (
        elementwise.focal_gradient,
        _rows(
            (_focal_name(each), _focal_name(each), {"form": "one", **each}, "") for each in _FOCAL
        ),
    ),
}
"""By loss and quantity: the function, and what it is called with."""
