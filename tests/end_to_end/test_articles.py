"""The articles that the project started from: every figure in docs/articles.md, measured again.

A table below a heading of the document is compared, cell by cell, with what is measured here
(``python -m tests.end_to_end.test_articles`` prints all tables). What the figures ought to be is
asserted apart from that, from the articles' own digits or from mpmath arithmetic written in this
file.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

from tests.places import ROOT
from xentcheck.auditing.probe import probe
from xentcheck.floats import from_float64, from_ordinals, hex_text, ordinals, to_float64
from xentcheck.implementations.numpy import softmax
from xentcheck.model import Case, Implementation, Kind, LabelKind, ProbeNumber, Quantity
from xentcheck.reference import exact
from xentcheck.registry import implementations

DOCUMENT = ROOT / "docs" / "articles.md"
DTYPES = ("float16", "bfloat16", "float32", "float64")
CROSS_ENTROPY = "softmax_cross_entropy"
BINARY = "sigmoid_binary_cross_entropy"
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT
Table = list[tuple[str, ...]]
MP = mpmath.mp.clone()
MP.prec = 400


# Asking


def _asked(
    loss: str,
    name: str,
    dtype: str,
    logits: Sequence[float],
    labels: Any = None,
    quantity: Quantity = VALUE,
    **parameters: Any,
) -> tuple[ProbeNumber, ...]:
    """What `xentcheck probe` shows for one implementation."""
    answer = probe(
        loss,
        logits,
        labels=labels,
        parameters=parameters,
        dtypes=(dtype,),
        implementations=(name,),
    )
    (line,) = [each for each in answer.lines if each.quantity is quantity]
    return line.results


def _actual(*arguments: Any, **parameters: Any) -> tuple[float, ...]:
    return tuple(each.actual for each in _asked(*arguments, **parameters))


@cache
def _implementation(loss: str, name: str) -> Implementation:
    (found,) = [each for each in implementations() if (each.loss, each.name) == (loss, name)]
    return found


def _number(value: float, dtype: str) -> float:
    """Rounded to the dtype."""
    return float(to_float64(from_float64(np.asarray(value), dtype)))


def _onset(holds: Callable[[float], bool], dtype: str, low: float, high: float) -> float:
    """The first number of the dtype in (low, high] where it holds, by bisection to the ulp."""
    assert not holds(_number(low, dtype))
    assert holds(_number(high, dtype))
    before, after = (int(ordinals(from_float64(np.asarray(each), dtype))) for each in (low, high))
    while after - before > 1:
        middle = (before + after) // 2
        if holds(float(to_float64(from_ordinals(np.asarray(middle), dtype)))):
            after = middle
        else:
            before = middle
    return float(to_float64(from_ordinals(np.asarray(after), dtype)))


def _before(value: float, dtype: str) -> float:
    position = ordinals(from_float64(np.asarray(value), dtype))
    return float(to_float64(from_ordinals(position - 1, dtype)))


def _called(
    loss: str, name: str, dtype: str, logits: Sequence[float], labels: Any = None
) -> tuple[float, ...]:
    """The value called directly, for bisections: thousands of probes would take minutes."""
    x = from_float64(np.asarray(logits, dtype=np.float64), dtype)
    function = _implementation(loss, name).value
    assert function is not None
    if loss in ("sigmoid", "log_sigmoid", BINARY):
        arguments = (x,) if labels is None else (x, from_float64(np.full(len(x), labels), dtype))
    else:
        arguments = (x[None],) if labels is None else (x[None], np.array([labels]))
    return tuple(np.ravel(to_float64(function(*arguments))).tolist())


# Writing


def _text(value: float) -> str:
    return f"{value:.6g}"


def _long(value: float) -> str:
    """To the ulp: decimal and hex."""
    return f"{value:.17g} = {hex_text(value)}"


def _error(number: ProbeNumber) -> str:
    """A kind, or the size of the error; small ones differ from one processor to the next."""
    if number.kind is not None:
        return number.kind.value
    return "at most 4 ulp" if number.ulp_error <= 4 else f"{number.ulp_error:.2g} ulp"


def _exact(number: ProbeNumber) -> str:
    """The exact value to six digits, beyond the range of float64 too."""
    if number.exact in ("inf", "-inf", "nan"):
        return number.exact
    mantissa = MP.mpf(number.exact)
    return str(MP.nstr(mantissa, 6))


def _row_text(values: Sequence[float]) -> str:
    return "[" + ", ".join(_text(each) for each in values) + "]"


# What is measured, by the heading of its section

PLAIN_INPUTS = (((2.0, 3.0, 5.0), 2), ((20.0, 0.0), 0), ((1000.0, 0.0), 1))


def plain_and_fused() -> Table:
    rows: Table = []
    for logits, label in PLAIN_INPUTS:
        for dtype in DTYPES:
            (plain,) = _asked(CROSS_ENTROPY, "numpy.naive", dtype, logits, label)
            (fused,) = _asked(CROSS_ENTROPY, "numpy.fused", dtype, logits, label)
            rows.append(
                (
                    f"{_row_text(logits)}, class {label}",
                    dtype,
                    _exact(plain),
                    f"{_text(plain.actual)} ({_error(plain)})",
                    f"{_text(fused.actual)} ({_error(fused)})",
                )
            )
    return rows


@cache
def _naive_softmax_onset(dtype: str) -> float:
    return _onset(
        lambda x: np.isnan(_called("softmax", "numpy.naive", dtype, [x, 0.0])[0]), dtype, 1, 1000
    )


@cache
def _naive_sum_onset(dtype: str) -> float:
    """Where two equal logits, whose softmax is 1/2 each, come out as 0."""
    return _onset(
        lambda x: _called("softmax", "numpy.naive", dtype, [x, x])[0] != 0.5, dtype, 5, 1000
    )


def naive_softmax() -> Table:
    return [
        (
            dtype,
            _long(_before(_naive_softmax_onset(dtype), dtype)),
            _long(_naive_softmax_onset(dtype)),
            _row_text(
                _actual("softmax", "numpy.max_shifted", dtype, [_naive_softmax_onset(dtype), 0])
            ),
            _long(_naive_sum_onset(dtype)),
        )
        for dtype in DTYPES
    ]


def zero_as_shift() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        low = [-1000.0, -1000.0]
        rows.append(
            (
                dtype,
                *(
                    _row_text(_actual("softmax", name, dtype, low))
                    for name in ("numpy.naive", "numpy.zero_clamped_shift", "numpy.max_shifted")
                ),
            )
        )
    return rows


@cache
def _expit_onset(dtype: str) -> float:
    return _onset(
        lambda x: np.isnan(_called("sigmoid", "numpy.exp_ratio", dtype, [x])[0]), dtype, 1, 1000
    )


def old_expit() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        after = _expit_onset(dtype)
        before = _before(after, dtype)
        shown = _actual("sigmoid", "numpy.exp_ratio", dtype, [before, after, 710.0])
        rows.append((dtype, _long(before), _text(shown[0]), _long(after), *map(_text, shown[1:])))
    return rows


CLIP_INPUTS = ((0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 1.0))


def clips() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        for p, z in CLIP_INPUTS:
            cells = []
            for name in ("numpy.naive", "numpy.clipped", "numpy.clamped"):
                value, slope = (
                    _actual("binary_cross_entropy", name, dtype, [p], z, quantity)[0]
                    for quantity in (VALUE, GRADIENT)
                )
                cells.append(f"{_text(value)}; {_text(slope)}")
            truth, exact_slope = (
                _exact(_asked("binary_cross_entropy", "numpy.naive", dtype, [p], z, quantity)[0])
                for quantity in (VALUE, GRADIENT)
            )
            rows.append((dtype, f"{p:g}", f"{z:g}", f"{truth}; {exact_slope}", *cells))
    return rows


def categorical_clip() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        cells = []
        for row, quantity in (([1.0, 0.0], VALUE), ([1.0, 0.0], GRADIENT), ([0.0, 1.0], VALUE)):
            shown = _actual("categorical_cross_entropy", "numpy.clipped", dtype, row, 0, quantity)
            cells.append(_text(shown[0] + 0.0))
        rows.append((dtype, *cells))
    return rows


@cache
def _plateau(loss: str, dtype: str, side: int) -> tuple[float, float]:
    """Onset and height of a clipped loss: for the sigmoid on the side of that sign."""
    far = 1000.0

    def value(x: float) -> float:
        if loss == CROSS_ENTROPY:
            return _called(loss, "numpy.clipped", dtype, [x, 0.0], 1)[0]
        return _called(loss, "numpy.clipped", dtype, [side * x], 1.0 if side < 0 else 0.0)[0]

    height = value(far)
    return _onset(lambda x: value(x) == height, dtype, 1, far), height


def plateaus() -> Table:
    rows: Table = []
    for loss, side in ((CROSS_ENTROPY, 1), (BINARY, -1), (BINARY, 1)):
        for dtype in DTYPES:
            onset, height = _plateau(loss, dtype, side)
            if loss == CROSS_ENTROPY:
                where, arguments = "[x, 0], class 1", ([100.0, 0.0], 1)
            else:
                where = "−x, target 1" if side < 0 else "x, target 0"
                arguments = ([side * 100.0], 1 if side < 0 else 0)
            (slope, *_) = _asked(loss, "numpy.clipped", dtype, *arguments, quantity=GRADIENT)
            (fused,) = _asked(loss, "numpy.accurate", dtype, *arguments)
            rows.append(
                (
                    f"`{loss}`, {where}",
                    dtype,
                    _text(onset),
                    _text(height),
                    _text(slope.actual),
                    _text(fused.actual),
                )
            )
    return rows


UNNORMALISED = ((2.0, 3.0, 5.0), (0.5, 0.25, 0.5))


def sum_of_labels() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        logits, labels = UNNORMALISED
        (fused,) = _asked(CROSS_ENTROPY, "numpy.fused", dtype, logits, labels)
        (offset,) = _asked(CROSS_ENTROPY, "numpy.lse_minus_logit", dtype, [60000.0, 60000.0], 0)
        (sound,) = _asked(CROSS_ENTROPY, "numpy.fused", dtype, [60000.0, 60000.0], 0)
        rows.append(
            (
                dtype,
                f"{_text(fused.actual)} ({_error(fused)})",
                f"{_text(offset.actual)} ({_error(offset)})",
                f"{_text(sound.actual)} ({_error(sound)})",
            )
        )
    return rows


@cache
def _linear_onset(dtype: str) -> float:
    """Where −log sigmoid(−x) rounds to x itself."""
    return _onset(
        lambda x: _called("log_sigmoid", "numpy.accurate", dtype, [-x])[0] == -x, dtype, 1, 1000
    )


def linear_estimate() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        (early,) = _asked(BINARY, "numpy.softplus", dtype, [-1.0], 1)
        (naive,) = _asked(BINARY, "numpy.naive", dtype, [-1000.0], 1)
        (sound,) = _asked(BINARY, "numpy.softplus", dtype, [-1000.0], 1)
        rows.append(
            (
                dtype,
                _text(_linear_onset(dtype)),
                _text(early.actual),
                f"{_text(naive.actual)} ({_error(naive)})",
                f"{_text(sound.actual)} ({_error(sound)})",
            )
        )
    return rows


def one_to_five() -> Table:
    logits = [1, 2, 3, 4, 5]
    return [
        (
            name,
            "["
            + ", ".join(f"{each:.8f}" for each in _actual("softmax", name, "float64", logits))
            + "]",
        )
        for name in ("numpy.naive", "numpy.max_shifted", "numpy.tail_sum", "numpy.accurate")
    ]


THOUSANDS = (1000.0, 2000.0, 3000.0, 4000.0, 5000.0)


def thousands() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        truth = _asked("softmax", "numpy.max_shifted", dtype, THOUSANDS)
        rows.append(
            (
                dtype,
                _row_text([_number(each, dtype) for each in THOUSANDS]),
                _row_text(_actual("softmax", "numpy.naive", dtype, THOUSANDS)),
                _row_text([each.actual for each in truth]),
                "[" + ", ".join(_exact(each) for each in truth) + "]",
                _row_text([each.expected for each in truth]),
            )
        )
    return rows


@cache
def _zero_onset(name: str, dtype: str) -> float:
    return _onset(lambda x: _called("softmax", name, dtype, [-x, 0.0])[0] == 0.0, dtype, 1, 1000)


def first_zero() -> Table:
    return [
        (
            dtype,
            *(_text(_zero_onset(name, dtype)) for name in ("numpy.accurate", "numpy.max_shifted")),
            _text(_actual("softmax", "numpy.max_shifted", dtype, [-10.0, 0.0])[0]),
        )
        for dtype in DTYPES
    ]


def small_vectors() -> Table:
    return [
        (
            "[123, 456, 789]",
            "float64",
            "numpy.naive",
            _row_text(_actual("softmax", "numpy.naive", "float64", [123, 456, 789])),
        ),
        (
            "[123, 456, 789]",
            "float64",
            "numpy.max_shifted",
            _row_text(_actual("softmax", "numpy.max_shifted", "float64", [123, 456, 789])),
        ),
        (
            "[2, 3, 5]",
            "float32",
            "numpy.naive",
            _row_text(_actual("softmax", "numpy.naive", "float32", [2, 3, 5])),
        ),
        (
            "[2, 3, 5]",
            "float32",
            "numpy.accurate",
            _row_text(_actual("softmax", "numpy.accurate", "float32", [2, 3, 5])),
        ),
    ]


PROBABILITIES = ((0.2, 0.7, 0.1), (0.2, 0.7, 0.1), (0.4, 0.6, 0.0))


def on_probabilities() -> Table:
    rows: Table = []
    for row in PROBABILITIES[1:]:
        for name in ("numpy.naive", "numpy.clipped", "numpy.masked"):
            shown = [
                _actual("categorical_cross_entropy", name, dtype, row, 1)[0] for dtype in DTYPES
            ]
            rows.append((_row_text(row), name, *(f"{each:.4f}" for each in shown)))
    return rows


def two_decimals() -> Table:
    return [
        (
            _row_text(row),
            "["
            + ", ".join(
                f"{each:.6f}" for each in _actual("softmax", "numpy.accurate", "float64", row)
            )
            + "]",
            "["
            + ", ".join(
                f"{each:.2f}" for each in _actual("softmax", "numpy.accurate", "float64", row)
            )
            + "]",
        )
        for row in ((1.0, 2.0, 3.0), (1.0, 2.0, 5.0))
    ]


MIXED = (-1000.0, 1.0, 10000.0)


def mixed() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        shifted = _asked("softmax", "numpy.max_shifted", dtype, MIXED)
        rows.append(
            (
                dtype,
                _row_text(_actual("softmax", "numpy.naive", dtype, MIXED)),
                _row_text([each.actual for each in shifted]),
                "[" + ", ".join(_exact(each) for each in shifted) + "]",
                _row_text(_actual("log_softmax", "numpy.log_of_softmax", dtype, MIXED)),
                _text(_actual("categorical_cross_entropy", "numpy.naive", dtype, [0, 0, 1], 2)[0]),
            )
        )
    return rows


ROUTES = ("numpy.log_of_softmax", "numpy.shifted_log_softmax", "numpy.log1p")


@cache
def _route_onset(name: str, dtype: str, value: float) -> float:
    """The gap from which log-softmax of [x, 0] is `value`: −inf for class 1, 0 for class 0."""
    index = 0 if value == 0 else 1
    return _onset(
        lambda x: _called("log_softmax", name, dtype, [x, 0.0])[index] == value, dtype, 1, 1000
    )


def routes() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        for name in ROUTES:
            certain = _asked("log_softmax", name, dtype, [16.0, 0.0])[0]
            unlikely = _asked("log_softmax", name, dtype, [1000.0, 0.0])[1]
            slope = _asked("log_softmax", name, dtype, [100.0, 0.0], 0, GRADIENT)[0]
            rows.append(
                (
                    dtype,
                    name,
                    f"{_text(certain.actual)} ({_error(certain)})",
                    f"{_text(unlikely.actual)} ({_error(unlikely)})",
                    _text(slope.actual),
                )
            )
    return rows


def routes_fail() -> Table:
    return [
        (
            dtype,
            _text(_route_onset("numpy.log_of_softmax", dtype, -np.inf)),
            _text(_route_onset("numpy.log_of_softmax", dtype, 0.0)),
            _text(_route_onset("numpy.shifted_log_softmax", dtype, 0.0)),
            _text(_route_onset("numpy.log1p", dtype, 0.0)),
        )
        for dtype in DTYPES
    ]


TORCH_LOGITS = ((2.0, 3.0, 5.0), (1.0, -1.0, 0.5), (0.0, 4.0, 1.0), (1.0, 1.0, 1.0))
TORCH_LABELS = (2, 0, -100, 1)
TORCH_WEIGHT = (0.5, 2.0, 1.5)


def _torch_case(dtype: str, reduction: str) -> Case:
    reduced = {} if reduction == "none" else {"reduction": reduction}
    return Case(
        sweep="articles",
        generator="explicit",
        loss=CROSS_ENTROPY,
        dtype=dtype,
        logits=from_float64(np.array(TORCH_LOGITS), dtype),
        label_kind=LabelKind.INTEGER,
        labels=np.array(TORCH_LABELS),
        parameters={"weight": from_float64(np.array(TORCH_WEIGHT), dtype), **reduced},
    )


def _midpoints(case: Case) -> np.ndarray[Any, Any]:
    value = exact(case).value
    return np.asarray(np.ldexp(value.hi, value.exponent))


def weighted() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        cells = [_row_text(_midpoints(_torch_case(dtype, "none")).tolist())]
        cells += [_text(float(_midpoints(_torch_case(dtype, each)))) for each in ("sum", "mean")]
        rows.append((dtype, *cells))
    return rows


def stops_learning() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        cells = []
        for loss, name, logits, label in (
            (CROSS_ENTROPY, "numpy.clipped", [100.0, 0.0], 1),
            (CROSS_ENTROPY, "numpy.fused", [100.0, 0.0], 1),
            ("softmax", "numpy.max_shifted", [20.0, 0.0], 0),
            ("softmax", "numpy.tail_sum", [20.0, 0.0], 0),
            ("sigmoid", "numpy.naive", [40.0], None),
            ("sigmoid", "numpy.branch", [40.0], None),
        ):
            number = _asked(loss, name, dtype, logits, label, GRADIENT)[label or 0]
            cells.append(_text(number.actual) + (f" ({number.kind})" if number.kind else ""))
        rows.append((dtype, *cells))
    return rows


QUARTERS = (0.5, 0.25, 0.25)
NEAR = ((0.5, 0.5), (0.501953125, 0.498046875))


def entropies() -> Table:
    return [
        (
            dtype,
            *(
                _text(_actual("entropy", "numpy.masked", dtype, QUARTERS, base=base)[0])
                for base in ("2", "e", "10")
            ),
        )
        for dtype in DTYPES
    ]


def divergence_routes() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        target, other = NEAR
        logs = [float(MP.log(each)) for each in other]
        (by_difference,) = _asked("kl_divergence", "numpy.entropy_difference", dtype, logs, target)
        (sound,) = _asked("kl_divergence", "numpy.accurate", dtype, logs, target)
        rows.append(
            (dtype, _exact(sound), str(by_difference.kind or "right"), str(sound.kind or "right"))
        )
    return rows


SIGMOID_INPUTS = (-800.0, -30.0, -1.0, 0.0, 1.0, 30.0, 800.0)


def sigmoid_and_softmax() -> Table:
    rows: Table = []
    for dtype in DTYPES:
        worst = 0.0
        for x in SIGMOID_INPUTS:
            (one,) = _asked("sigmoid", "numpy.branch", dtype, [x])
            other = _asked("softmax", "numpy.tail_sum", dtype, [x, 0.0])[0]
            assert one.exact == other.exact
            worst = max(worst, one.ulp_error, other.ulp_error)
        naive = [_actual("sigmoid", "numpy.naive", dtype, [1000.0])[0]]
        naive += [_actual("softmax", "numpy.naive", dtype, [1000.0, 0.0])[0]]
        rows.append(
            (dtype, "at most 4 ulp" if worst <= 4 else f"{worst:.2g} ulp", *map(_text, naive))
        )
    return rows


GUMBEL = (0.25, -0.5, 1.0)


def gumbel() -> Table:
    rows: Table = []
    for temperature in (5.0, 1.0, 0.5, 0.0625):
        for noise in (None, GUMBEL):
            given: dict[str, Any] = {} if noise is None else {"noise": list(noise)}
            if temperature != 1:
                given["temperature"] = temperature
            shown = _asked("softmax", "numpy.tail_sum", "float32", (2.0, 3.0, 5.0), **given)
            rows.append(
                (
                    f"{temperature:g}",
                    "none" if noise is None else _row_text(noise),
                    "[" + ", ".join(_exact(each) for each in shown) + "]",
                    _error(max(shown, key=lambda each: each.ulp_error)),
                )
            )
    return rows


TABLES: dict[str, tuple[Callable[[], Table], ...]] = {
    "1": (plain_and_fused,),
    "2": (naive_softmax, zero_as_shift),
    "3": (old_expit,),
    "4": (clips, categorical_clip),
    "5": (plateaus,),
    "6": (sum_of_labels, linear_estimate),
    "7": (one_to_five,),
    "8": (thousands, first_zero),
    "9": (small_vectors,),
    "10": (on_probabilities,),
    "11": (two_decimals,),
    "12": (mixed,),
    "13": (routes, routes_fail),
    "14": (weighted,),
    "15": (stops_learning,),
    "16": (entropies, divergence_routes),
    "17": (sigmoid_and_softmax,),
    "18": (gumbel,),
}


def _tables_of_document() -> dict[str, list[Table]]:
    """The body rows of each table, by the number that begins the section's heading."""
    found: dict[str, list[Table]] = {}
    for section in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]:
        tables = []
        for block in section.split("\n\n"):
            lines = [line for line in block.splitlines() if line.startswith("|")]
            if lines:
                rows = [tuple(cell.strip() for cell in line[1:-1].split("|")) for line in lines[2:]]
                tables.append(rows)
        found[section.split(".")[0]] = tables
    return found


@pytest.mark.parametrize("point", TABLES)
def test_figures_of_the_document_are_what_is_measured(point: str) -> None:
    documented = _tables_of_document()[point]
    assert documented == [measured() for measured in TABLES[point]]


def test_every_point_has_one_verdict() -> None:
    sections = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]
    assert (
        [each.split(".")[0] for each in sections] == [str(n) for n in range(1, 19)] == list(TABLES)
    )
    for each in sections:
        (verdict,) = [line for line in each.splitlines() if line.startswith("**Verdict: ")]
        assert verdict.split(": ")[1].startswith(("confirmed", "refuted", "confirmed with limits"))


# What the figures ought to be

# precision, least and greatest exponent of normal numbers (IEEE 754; bfloat16: 8 bits of float32)
SHAPES = {
    "float16": (11, -14, 15),
    "bfloat16": (8, -126, 127),
    "float32": (24, -126, 127),
    "float64": (53, -1022, 1023),
}
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def _last_power(dtype: str) -> Any:
    """log of the least real that rounds to infinity."""
    precision, _, greatest = SHAPES[dtype]
    return MP.log(MP.mpf(2) ** (greatest + 1) - MP.mpf(2) ** (greatest - precision))


def _ulp(x: Any, dtype: str) -> Any:
    precision, least, _ = SHAPES[dtype]
    return MP.mpf(2) ** (max(int(MP.floor(MP.log(x, 2))), least) - precision + 1)


def _near(x: Any, dtype: str) -> Any:
    """x rounded to the dtype, in mpmath."""
    return MP.nint(x / _ulp(x, dtype)) * _ulp(x, dtype)


def _mp_softmax(z: Sequence[Any]) -> list[Any]:
    powers = [MP.exp(each) for each in z]
    return [each / MP.fsum(powers) for each in powers]


def _close(text: str, truth: Any) -> bool:
    """22 digits shown of a certified value."""
    return bool(abs(MP.mpf(text) - truth) <= abs(truth) * MP.mpf(10) ** -20)


def test_1_fused_is_right_where_the_plain_form_fails() -> None:
    for logits, label in PLAIN_INPUTS:
        truth = -MP.log(_mp_softmax([MP.mpf(x) for x in logits])[label])
        for dtype in DTYPES:
            (fused,) = _asked(CROSS_ENTROPY, "numpy.fused", dtype, logits, label)
            assert _close(fused.exact, truth)
            assert abs(fused.actual - truth) <= 4 * _ulp(truth, dtype)
    assert _asked(CROSS_ENTROPY, "numpy.naive", "float64", [1000, 0], 0)[0].kind is Kind.NAN


@pytest.mark.parametrize(
    ("dtype", "published"), [("float16", 11.09), ("float32", 88.7228), ("float64", 709.78)]
)
def test_2_softmax_breaks_where_the_articles_say(dtype: str, published: float) -> None:
    digits = 2 if published != 88.7228 else 4
    assert round(_naive_softmax_onset(dtype), digits) == published


@each_dtype
def test_2_and_3_break_at_the_logarithm_of_the_overflow_threshold(dtype: str) -> None:
    for onset, last in (
        (_naive_softmax_onset(dtype), _last_power(dtype)),
        (_expit_onset(dtype), _last_power(dtype)),
        (_naive_sum_onset(dtype), _last_power(dtype) - MP.log(2)),
    ):
        assert _before(onset, dtype) < last <= onset
    onset = _naive_softmax_onset(dtype)
    assert all(np.isfinite(_actual("softmax", "numpy.naive", dtype, [_before(onset, dtype), 0])))
    assert np.isnan(_actual("softmax", "numpy.naive", dtype, [onset, 0])[0])


def test_3_old_expit_failed_at_710() -> None:
    (number,) = _asked("sigmoid", "numpy.exp_ratio", "float64", [710.0])
    assert number.kind is Kind.NAN
    assert _actual("sigmoid", "numpy.exp_ratio", "float64", [709.0]) == (1.0,)


@each_dtype
def test_4_upper_clip_serves_the_second_logarithm_only_where_it_is_below_1(dtype: str) -> None:
    epsilon = _near(MP.mpf(1e-7), dtype)
    top = 1 - epsilon
    top = MP.nint(top * 2 ** SHAPES[dtype][0]) / MP.mpf(2) ** SHAPES[dtype][0]
    assert (top == 1) is (dtype in ("float16", "bfloat16"))
    (above,) = _actual("binary_cross_entropy", "numpy.clipped", dtype, [1.0], 0)
    if top == 1:
        assert above == np.inf
    else:
        assert abs(above + MP.log(1 - top)) <= 4 * _ulp(above, dtype)
    (below,) = _actual("binary_cross_entropy", "numpy.clipped", dtype, [0.0], 1)
    assert abs(below + MP.log(epsilon)) <= _ulp(below, dtype)


@each_dtype
def test_5_plateau_lies_at_the_logarithm_of_epsilon(dtype: str) -> None:
    epsilon = _near(MP.mpf(1e-7), dtype)
    for loss, side in ((CROSS_ENTROPY, 1), (BINARY, -1)):
        onset, height = _plateau(loss, dtype, side)
        assert abs(height + MP.log(epsilon)) <= _ulp(height, dtype)
        # −log p and −log ε round to one number, and p itself was rounded
        near = epsilon * MP.exp(_ulp(height, dtype)) + _ulp(epsilon, dtype)
        assert 1 / (1 + MP.exp(onset)) <= near
        assert 1 / (1 + MP.exp(_before(onset, dtype))) >= epsilon - _ulp(epsilon, dtype)


@each_dtype
def test_6_form_with_the_sum_of_labels(dtype: str) -> None:
    logits, labels = UNNORMALISED
    truth = MP.fsum(labels) * MP.log(MP.fsum(MP.exp(x) for x in logits)) - MP.fsum(
        x * y for x, y in zip(logits, labels, strict=True)
    )
    (fused,) = _asked(CROSS_ENTROPY, "numpy.fused", dtype, logits, labels)
    assert _close(fused.exact, truth)
    assert abs(fused.actual - truth) <= 4 * _ulp(truth, dtype)


@each_dtype
def test_6_linear_estimate_holds_from_where_the_rest_is_half_an_ulp(dtype: str) -> None:
    onset = _linear_onset(dtype)
    before = _before(onset, dtype)
    assert MP.log1p(MP.exp(-MP.mpf(onset))) <= _ulp(onset, dtype) / 2
    assert MP.log1p(MP.exp(-MP.mpf(before))) > _ulp(before, dtype) / 2


def test_7_digits() -> None:
    published = "[0.01165623, 0.03168492, 0.08612854, 0.23412166, 0.63640865]"
    assert {digits for _, digits in one_to_five()} == {published}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_8_digits(dtype: str) -> None:
    published = (
        "6.6385371046556741e-1738",
        "1.3078390189212505e-1303",
        "2.5765358729611501e-869",
        "5.0759588975494576e-435",
        "1",
    )
    shown = _asked("softmax", "numpy.max_shifted", dtype, THOUSANDS)
    for number, digits in zip(shown, published, strict=True):
        assert abs(MP.mpf(number.exact) / MP.mpf(digits) - 1) < MP.mpf("2e-16")
        assert number.kind is None
    truth = _mp_softmax([MP.mpf(x) for x in THOUSANDS])
    assert all(_close(n.exact, t) for n, t in zip(shown, truth, strict=True))


@each_dtype
def test_8_a_zero_is_right_from_half_the_smallest_subnormal_on(dtype: str) -> None:
    precision, least, _ = SHAPES[dtype]
    half = MP.mpf(2) ** (least - precision)
    for name in ("numpy.accurate", "numpy.max_shifted"):
        onset = _zero_onset(name, dtype)
        assert 1 / (1 + MP.exp(onset)) <= half < 1 / (1 + MP.exp(_before(onset, dtype)))


def test_9_digits() -> None:
    first, second, third = _actual("softmax", "numpy.naive", "float64", [123, 456, 789])
    assert (first, second) == (0, 0)
    assert np.isnan(third)
    published = (0.04201007, 0.11419519, 0.8437947)
    truth = _mp_softmax([MP.mpf(2), MP.mpf(3), MP.mpf(5)])
    shown = _actual("softmax", "numpy.accurate", "float32", [2, 3, 5])
    same = [np.float32(n) == np.float32(d) for n, d in zip(shown, published, strict=True)]
    assert same == [False, False, False]
    for digits, right in zip(published, truth, strict=True):
        assert abs(float(np.float32(digits)) - right) <= 1.25 * _ulp(right, "float32")
    for number, right in zip(
        _actual("softmax", "numpy.naive", "float32", [2, 3, 5]), truth, strict=True
    ):
        assert abs(number - right) <= 4 * _ulp(right, "float32")


def test_10_digits() -> None:
    for name in ("numpy.gather", "numpy.masked", "numpy.clipped"):
        shown = [
            round(_actual("categorical_cross_entropy", name, "float32", row, 1)[0], 4)
            for row in PROBABILITIES
        ]
        assert shown == [0.3567, 0.3567, 0.5108]
    (number,) = _asked("categorical_cross_entropy", "numpy.naive", "float32", PROBABILITIES[2], 1)
    assert number.kind is Kind.NAN


def test_11_one_of_the_six_numbers_is_cut_not_rounded() -> None:
    one = _mp_softmax([MP.mpf(x) for x in (1, 2, 3)])
    other = _mp_softmax([MP.mpf(x) for x in (1, 2, 5)])
    assert [round(float(p), 2) for p in one] == [0.09, 0.24, 0.67]
    assert [round(float(p), 2) for p in other] == [0.02, 0.05, 0.94]
    shown = _actual("softmax", "numpy.accurate", "float64", [1, 2, 5])
    assert [round(p, 2) for p in shown] == [0.02, 0.05, 0.94]


@each_dtype
def test_12_shifted_softmax_of_finite_logits_is_never_nan(dtype: str) -> None:
    precision, least, greatest = SHAPES[dtype]
    largest = float(MP.mpf(2) ** (greatest + 1) - MP.mpf(2) ** (greatest - precision + 1))
    smallest = float(MP.mpf(2) ** (least - precision + 1))
    values = [0.0, 1.0, -1000.0, 10000.0, largest, -largest, smallest, -smallest]
    rows = np.array(np.meshgrid(values, values, values)).reshape(3, -1).T
    function = _implementation("softmax", "numpy.max_shifted").value
    assert function is not None
    assert len(rows) == 512
    assert not np.isnan(to_float64(function(from_float64(rows, dtype)))).any()
    shown = _asked("softmax", "numpy.max_shifted", dtype, MIXED)
    assert [(each.actual, each.kind) for each in shown] == [(0, None), (0, None), (1, None)]


@each_dtype
def test_13_log_softmax_is_0_once_1_absorbs_the_rest(dtype: str) -> None:
    precision, least, _ = SHAPES[dtype]
    absorbed, lost = precision * MP.log(2), (precision - least) * MP.log(2)
    for name, value, limit in (
        ("numpy.log_of_softmax", 0.0, absorbed),
        ("numpy.shifted_log_softmax", 0.0, absorbed),
        ("numpy.log_of_softmax", -np.inf, lost),
        ("numpy.log1p", 0.0, lost),
    ):
        onset = _route_onset(name, dtype, value)
        assert _before(onset, dtype) < limit <= onset


def test_13_no_exponential_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for name in ("numpy.log_of_softmax", "numpy.shifted_log_softmax"):
        sizes: list[int] = []
        real = np.exp

        def counted(x: Any, sizes: list[int] = sizes, real: Any = real) -> Any:
            sizes.append(np.size(x))
            return real(x)

        with monkeypatch.context() as patch:
            patch.setitem(vars(softmax.np), "exp", counted)  # it keeps what it took from NumPy
            _called("log_softmax", name, "float64", [1.0, 2.0, 3.0])
        counts.append(sum(sizes))
    assert counts == [3, 3]


@each_dtype
def test_14_mean_divides_by_the_weights_of_kept_rows(dtype: str) -> None:
    losses = [
        MP.mpf(0)
        if label == -100
        else -MP.mpf(TORCH_WEIGHT[label]) * MP.log(_mp_softmax([MP.mpf(x) for x in row])[label])
        for row, label in zip(TORCH_LOGITS, TORCH_LABELS, strict=True)
    ]
    total = MP.fsum(losses)
    weights = TORCH_WEIGHT[2] + TORCH_WEIGHT[0] + TORCH_WEIGHT[1]
    function = _implementation(CROSS_ENTROPY, "numpy.fused").value
    assert function is not None
    for reduction, truth in (("none", losses), ("sum", [total]), ("mean", [total / weights])):
        case = _torch_case(dtype, reduction)
        for shown, right in zip(np.ravel(_midpoints(case)), truth, strict=True):
            assert abs(shown - right) <= MP.mpf(2) ** -52 * abs(right)
        result = np.ravel(to_float64(function(case.logits, case.labels, **case.parameters)))
        for shown, right in zip(result, truth, strict=True):
            assert abs(shown - right) <= (4 * _ulp(right, dtype) if right else 0)


def test_15_gradients() -> None:
    logits = (2.0, 3.0, 5.0)
    p = _mp_softmax([MP.mpf(x) for x in logits])
    for label in range(3):
        hot = [int(k == label) for k in range(3)]
        shown = _asked("softmax", "numpy.accurate", "float64", logits, label, GRADIENT)
        jacobian = [p[label] * (hot[k] - p[k]) for k in range(3)]
        assert all(_close(n.exact, t) for n, t in zip(shown, jacobian, strict=True))
        shown = _asked(CROSS_ENTROPY, "numpy.accurate", "float64", logits, label, GRADIENT)
        assert all(_close(n.exact, p[k] - hot[k]) for k, n in enumerate(shown))
    (slope,) = _asked("sigmoid", "numpy.accurate", "float64", [3.0], None, GRADIENT)
    s = 1 / (1 + MP.exp(-3))
    assert _close(slope.exact, s * (1 - s))


@each_dtype
def test_15_a_probability_of_0_stops_only_a_gradient_that_goes_through_it(dtype: str) -> None:
    (through, *_) = _asked(CROSS_ENTROPY, "numpy.clipped", dtype, [100, 0], 1, GRADIENT)
    assert (through.actual, through.kind) == (0, Kind.VANISHED_GRADIENT)
    assert _actual(CROSS_ENTROPY, "numpy.fused", dtype, [100, 0], 1, GRADIENT) == (1, -1)
    # tiny, but exactly what it should be: the largest element of the Jacobian is p (1 − p)
    (right, *_) = _asked("softmax", "numpy.accurate", dtype, [1000, 0], 0, GRADIENT)
    assert (right.actual, right.expected) == (0, 0)


def test_16_units_of_entropy() -> None:
    for base, number in (("2", MP.mpf(2)), ("e", MP.e), ("10", MP.mpf(10))):
        (shown,) = _asked("entropy", "numpy.masked", "float64", QUARTERS, base=base)
        assert _close(shown.exact, MP.mpf(3) / 2 * MP.log(2) / MP.log(number))


def test_16_divergence_is_cross_entropy_less_entropy() -> None:
    target, other = QUARTERS, (0.25, 0.25, 0.5)
    cross = MP.mpf(
        _asked("categorical_cross_entropy", "numpy.masked", "float64", other, target)[0].exact
    )
    own = MP.mpf(_asked("entropy", "numpy.masked", "float64", target)[0].exact)
    logs = [float(MP.log(q)) for q in other]
    (shown,) = _asked("kl_divergence", "numpy.masked", "float64", logs, target)
    # the logarithms were rounded to float64 on their way in
    assert abs(MP.mpf(shown.exact) - (cross - own)) <= MP.mpf(2) ** -53
    assert abs(cross - own - MP.log(2) / 4) <= MP.mpf(10) ** -20
    one_hot = _asked("categorical_cross_entropy", "numpy.masked", "float64", other, (0, 0, 1))
    assert _close(one_hot[0].exact, MP.log(2))


@each_dtype
def test_17_sigmoid_is_softmax_with_a_zero(dtype: str) -> None:
    for x in SIGMOID_INPUTS:
        (one,) = _asked("sigmoid", "numpy.accurate", dtype, [x])
        other = _asked("softmax", "numpy.accurate", dtype, [x, 0.0])[0]
        assert _close(one.exact, 1 / (1 + MP.exp(-MP.mpf(_number(x, dtype)))))
        assert (one.exact, one.actual) == (other.exact, other.actual)


@pytest.mark.parametrize("temperature", [5.0, 0.5, 0.0625])
def test_18_temperature_and_given_noise(temperature: float) -> None:
    for noise in ((0.0, 0.0, 0.0), GUMBEL):
        shown = _asked(
            "softmax",
            "numpy.tail_sum",
            "float32",
            (2.0, 3.0, 5.0),
            temperature=temperature,
            noise=list(noise),
        )
        z = [(MP.mpf(x) + g) / temperature for x, g in zip((2, 3, 5), noise, strict=True)]
        for number, truth in zip(shown, _mp_softmax(z), strict=True):
            assert _close(number.exact, truth)
            assert abs(number.actual - truth) <= 4 * _ulp(truth, "float32")


def _printed() -> str:
    return "\n".join(
        line
        for point, measured in TABLES.items()
        for each in measured
        for line in (
            f"## {point} {each.__name__}",
            *("| " + " | ".join(row) + " |" for row in each()),
        )
    )


if __name__ == "__main__":
    sys.stdout.write(_printed() + "\n")
