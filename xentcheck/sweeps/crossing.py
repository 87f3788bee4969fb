"""Rows next to zeros of a result, where rounding errors are largest relative to the result.

Each solution is a row that makes the exact result, or a component of the gradient, as small as the
dtype allows. It comes with two neighbours: one number of the row or of its label is an ulp lower or
an ulp higher. Solutions assume the default parameters of the losses.
"""

import decimal
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from xentcheck.deferred import np
from xentcheck.floats import Format, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.model import Array, Domain, Float64Array, LabelKind
from xentcheck.sweeps.domain import to_domain
from xentcheck.sweeps.generator import EVERY_LAYOUT, Batch, Generator, Request
from xentcheck.sweeps.options import classes_option, rows_option

CANDIDATES = 8192  # numbers that are drawn to pick the nearest to a zero, where solving is cheap
NEIGHBOURS = (0, -1, 1)  # ulps: the solution, and its neighbours below and above
CHAINED = 3  # numbers of a row that are solved one after the other, each for what is left
DEEPEST = 2.0**-60  # remainder relative to the terms that cancel; it is still cheap to enclose
ABYSS = 4  # every 4th solution of logsumexp has a remainder near the format's smallest normal
STEPS = (1, 2, 8, 64, 1024)  # ulps between nearly equal distributions
FEWEST_CLASSES = 2  # with one class nothing cancels

_EXACT = decimal.Context(prec=60, Emax=10**9, Emin=-(10**9))

Solutions: TypeAlias = tuple[Float64Array, Float64Array | None]
"""Rows in float64, and their labels or None. All numbers are numbers of the dtype."""


Solve: TypeAlias = Callable[[Float64Array, int, Format, bool], Solutions]
"""Returns solutions. Arguments: uniform draws, (candidates, classes) or (candidates,); the number
of solutions; the format; whether the labels are log-probabilities."""


# logsumexp = 0 -------------------------------------------------------------------------------


def _exp(x: float) -> Decimal:
    return _EXACT.exp(Decimal(x))


def _logsumexp(draws: Float64Array, _wanted: int, target: Format, _log: bool) -> Solutions:
    """Return rows whose exponentials sum to 1 within rounding."""
    return np.concatenate([_sum_to_one(u, k, target) for k, u in enumerate(draws)]), None


def _sum_to_one(draws: Float64Array, number: int, target: Format) -> Float64Array:
    """Return one solution and its neighbours: (3, classes).

    Every second solution has a first class just below 0. Then the other terms, which cancel against
    the rest, are small. The last `CHAINED` classes are solved one after the other, each for what
    the others leave. One of `ABYSS` solutions solves all classes but one, until about the smallest
    normal number is left.
    """
    classes = len(draws)
    row = np.empty(classes)
    left = Decimal(1)
    scale = 1.0
    deep = number % ABYSS == 1
    given = classes - min(classes - 1, classes if deep else CHAINED)
    least = 1.5 * max(target.smallest_normal, 2.0**-126)
    first = 0
    if number % 2 == 0:
        lowest = min(45.0, -0.5 * math.log(target.smallest_normal))
        row[0] = _rounded(-math.exp(-(1.0 + draws[0] * (lowest - 1.0))), target)
        left = _EXACT.subtract(left, _exp(row[0]))
        scale = float(left)
        first = 1
    shares = 0.9 * draws[first:given] / max(1.0, draws[first:given].sum()) + 1e-6
    if deep:  # no class has nearly all the mass: the numbers that are rounded are about log 2
        shares = 0.25 + 0.25 * shares
    for place, share in enumerate(shares, start=first):
        row[place] = _rounded(math.log(scale * share), target)
        left = _EXACT.subtract(left, _exp(row[place]))
    last = classes - 1
    for place in range(max(first, given), classes):
        if left <= 0:  # the sum is past the zero; a class this far below does not change it
            row[place:] = _rounded(math.log(scale) - 60.0, target)
            break
        aimed = max(float(left) - (least if deep else DEEPEST * scale), float(left) / 2)
        row[place] = _rounded(math.log(aimed), target)
        if place < last and _exp(row[place]) > left:
            row[place] = float(to_float64(_stepped(row[place], -1, target)))
        left = _EXACT.subtract(left, _exp(row[place]))
    rows = np.repeat(row[None, :], len(NEIGHBOURS), axis=0)
    rows[:, last] = _around(row[last], target)
    return np.roll(rows, number, axis=1)


# KL = 0 --------------------------------------------------------------------------------------


def _kl(draws: Float64Array, _wanted: int, target: Format, logarithmic: bool) -> Solutions:
    """Return log-probabilities, and targets that make the divergence 0 within rounding."""
    classes = draws.shape[1]
    logits = (2.0 + np.arange(len(draws))[:, None] % 4 * 2.0) * _normal(draws)
    with np.errstate(over="ignore"):
        x = to_float64(from_float64(to_domain(logits, Domain.LOG_PROBABILITIES), target.name))
    x = np.maximum(x, -target.max)
    if logarithmic:  # the targets must differ from x: with equal numbers every term is 0
        steps = np.floor(7.0 * draws[::-1]).astype(np.int64) - 3
        labels = np.minimum(to_float64(_stepped(x, steps, target)), 0.0)
    else:
        labels = np.minimum(_rounded_all(np.exp(x), target), 1.0)
    term = _log_term if logarithmic else _plain_term
    most = 0.0 if logarithmic else 1.0
    rows = np.repeat(x, len(NEIGHBOURS), axis=0)
    near = []
    for own, targets in zip(x, labels.copy(), strict=True):
        chain = np.argsort(-own, kind="stable")[-min(classes - 1, CHAINED) :]
        for place in chain:
            targets[place] = _balanced(own, targets, int(place), term, target, most)
        around = np.repeat(targets[None, :], len(NEIGHBOURS), axis=0)
        around[:, chain[-1]] = np.minimum(_around(targets[chain[-1]], target), most)
        if not logarithmic:
            around = np.maximum(around, 0.0)
        near.append(around)
    return rows, np.concatenate(near).reshape(-1, classes)


def _plain_term(t: float, x: float) -> tuple[Decimal, float]:
    """Return t (log t − x), and its derivative by t."""
    if t == 0:
        return Decimal(0), math.inf
    surplus = _EXACT.subtract(_EXACT.ln(Decimal(t)), Decimal(x))
    return _EXACT.multiply(Decimal(t), surplus), float(surplus) + 1.0


def _log_term(t: float, x: float) -> tuple[Decimal, float]:
    """Return e^t (t − x), and its derivative by t."""
    p = _exp(t)
    surplus = _EXACT.subtract(Decimal(t), Decimal(x))
    return _EXACT.multiply(p, surplus), float(p) * (float(surplus) + 1.0)


def _balanced(
    x: Float64Array,
    targets: Float64Array,
    place: int,
    term: Callable[[float, float], tuple[Decimal, float]],
    target: Format,
    most: float,
) -> float:
    """Return the target of one class that makes the sum of all terms 0.

    Takes two steps of Newton's method and rounds to the format. Returns the present target if a
    step is larger than a quarter of it.
    """
    others = Decimal(0)
    for k, (t, each) in enumerate(zip(targets.tolist(), x.tolist(), strict=True)):
        if k != place:
            others = _EXACT.add(others, term(t, each)[0])
    start = value = float(targets[place])
    for _ in range(2):
        own, slope = term(value, float(x[place]))
        total = float(_EXACT.add(others, own))
        step = -total / slope if slope else math.nan
        if not abs(step) <= abs(value) / 4:
            return start
        value = min(_rounded(value + step, target), most)
    return value


# p = y ---------------------------------------------------------------------------------------


def _softmax_labels(draws: Float64Array, wanted: int, target: Format, _log: bool) -> Solutions:
    """Return logits, and labels near their softmax p: components of p Σy − y are near 0."""
    scales = np.array([0.5, 2.0, 6.0])[np.arange(len(draws)) % 3]
    x = _rounded_all(scales[:, None] * _normal(draws), target)
    p = np.exp(to_domain(x, Domain.LOG_PROBABILITIES))
    y = _rounded_all(p, target)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.abs(p * y.sum(axis=1, keepdims=True) - y) / y
    left[~(left > 0)] = np.inf
    best = _nearest(left.min(axis=1), wanted)
    rows, labels = _tripled(x[best]), _tripled(y[best])
    column = np.repeat(left[best].argmin(axis=1), len(NEIGHBOURS))
    _step_at(labels, column, target)
    return rows, np.clip(labels, 0.0, 1.0)


def _logits_of(draws: Float64Array, target: Format) -> Float64Array:
    """Return single logits whose sigmoid rounds to neither 0 nor 1 in the format.

    Half of them lie within ±4.
    """
    lowest = max(-104.0, math.log(target.smallest_normal))
    highest = (target.precision - 1) * math.log(2)
    x = lowest + draws * (highest - lowest)
    x[::2] = 8.0 * draws[::2] - 4.0
    return _rounded_all(np.clip(x, lowest, highest), target)


def _sigmoid(x: Float64Array) -> Float64Array:
    with np.errstate(over="ignore"):
        return np.where(x < 0, np.exp(x) / (1.0 + np.exp(x)), 1.0 / (1.0 + np.exp(-x)))


def _sigmoid_targets(draws: Float64Array, wanted: int, target: Format, _log: bool) -> Solutions:
    """Return logits, and targets next to their sigmoid."""
    x = _logits_of(draws, target)
    return _with_targets(x, _sigmoid(x), wanted, target)


def _focal_targets(draws: Float64Array, wanted: int, target: Format, _log: bool) -> Solutions:
    """Return logits, and targets that make the gradient 0 for gamma = 2, by bisection."""
    x = _logits_of(draws, target)
    s, t = _sigmoid(x), _sigmoid(-x)
    to_one, to_zero = np.logaddexp(0.0, -x), np.logaddexp(0.0, x)
    low, high = np.zeros_like(x), np.ones_like(x)
    for _ in range(80):  # below 2^-10 at equal ratios, because a root may be tiny
        z = np.where(low > 0, np.sqrt(low * high), 0.5 * high)
        z = np.where(high > 2.0**-10, 0.5 * (low + high), z)
        q = z * t + (1.0 - z) * s
        loss = z * to_one + (1.0 - z) * to_zero
        above = q * (s * (1.0 - z) - z * t) + 2.0 * (1.0 - 2.0 * z) * s * t * loss > 0
        low, high = np.where(above, z, low), np.where(above, high, z)
    return _with_targets(x, 0.5 * (low + high), wanted, target)


def _probability_targets(draws: Float64Array, wanted: int, target: Format, _log: bool) -> Solutions:
    """Return single probabilities, and targets next to them."""
    p = _sigmoid(_logits_of(draws, target))[:: max(1, len(draws) // wanted)][:wanted]
    rows = np.clip(_tripled(_rounded_all(p, target)), 0.0, 1.0)
    steps = np.resize(np.array([1, -1, 2]), len(rows))
    moved = to_float64(_stepped(rows, steps, target))
    return rows, np.clip(moved, 0.0, 1.0)


def _with_targets(x: Float64Array, root: Float64Array, wanted: int, target: Format) -> Solutions:
    z = _rounded_all(root, target)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.abs(root - z) / z
    left[~(left > 0) | (z >= 1.0)] = np.inf
    best = _nearest(left, wanted)
    rows, labels = _tripled(x[best]), _tripled(z[best])
    moved = to_float64(_stepped(labels, np.resize(np.array(NEIGHBOURS), len(labels)), target))
    return rows, np.clip(moved, 0.0, 1.0)


# nearly equal distributions, and those that are nearly certain -------------------------------


def _equal_distributions(draws: Float64Array, wanted: int, target: Format, _log: bool) -> Solutions:
    """Return distributions, and others that differ by `STEPS` ulps in some classes."""
    normal = _normal(draws[:wanted])
    p = np.clip(
        _rounded_all(np.exp(to_domain(3.0 * normal, Domain.LOG_PROBABILITIES)), target), 0.0, 1.0
    )
    rows = _tripled(p)
    signs = np.floor(3.0 * np.repeat(draws[:wanted], len(NEIGHBOURS), axis=0)) - 1.0
    signs[np.arange(len(rows)), np.arange(len(rows)) % draws.shape[1]] = 1.0
    sizes = np.resize(np.array(STEPS), len(rows))[:, None]
    moved = to_float64(_stepped(rows, (signs * sizes).astype(np.int64), target))
    return rows, np.clip(np.where(rows > 0, moved, rows), 0.0, 1.0)


def _entropy(draws: Float64Array, wanted: int, target: Format, _log: bool) -> Solutions:
    """Return probabilities next to 1/e, where the gradient is 0, and nearly one-hot rows."""
    classes = draws.shape[1]
    rows = np.empty((len(NEIGHBOURS) * wanted, classes))
    tiny = -math.log(target.smallest_subnormal)
    for number in range(wanted):
        u = draws[number]
        here = slice(number * len(NEIGHBOURS), (number + 1) * len(NEIGHBOURS))
        if number % 2 == 0:
            beside = np.array(NEIGHBOURS) * (1 + number // 2)
            first = to_float64(_stepped(np.full(3, math.exp(-1.0)), beside, target))
            others = (1.0 - math.exp(-1.0)) * u / u.sum()
        else:
            least = np.array([0, 1, 3]) * 2 ** (number // 2 % (target.precision - 1))
            first = to_float64(_stepped(np.ones(3), -least, target))
            others = np.exp(-u * tiny)
        rows[here] = _rounded_all(others, target)
        rows[here, 0] = first
        rows[here] = np.roll(rows[here], number, axis=1)
    return np.clip(rows, 0.0, 1.0), None


# shared --------------------------------------------------------------------------------------


def _normal(uniform: Float64Array) -> Float64Array:
    """Turn uniform numbers into roughly normal ones."""
    inside = np.clip(uniform, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(inside / (1.0 - inside)) / 1.702)


def _nearest(left: Float64Array, wanted: int) -> Array:
    """Return the index of the candidate that leaves least in each of ``wanted`` groups."""
    size = len(left) // wanted
    groups = left[: size * wanted].reshape(wanted, size)
    return np.asarray(groups.argmin(axis=1) + np.arange(wanted) * size)


def _tripled(array: Float64Array) -> Float64Array:
    return np.repeat(array, len(NEIGHBOURS), axis=0)


def _rounded(value: float, target: Format) -> float:
    return float(_rounded_all(np.array(value), target))


def _rounded_all(values: Float64Array, target: Format) -> Float64Array:
    most = target.max
    return to_float64(from_float64(np.clip(values, -most, most), target.name))


def _stepped(values: Float64Array | float, steps: Array | int, target: Format) -> Array:
    """Move numbers by ``steps`` ordinals, but not beyond the largest finite number."""
    last = int(ordinals(from_float64(target.max, target.name)))
    at = ordinals(from_float64(values, target.name)) + steps
    return from_ordinals(np.clip(at, -last, last), target.name)


def _around(value: float, target: Format) -> Float64Array:
    return to_float64(_stepped(np.full(len(NEIGHBOURS), value), np.array(NEIGHBOURS), target))


def _step_at(array: Float64Array, column: Array, target: Format) -> None:
    """Move one number of each row in place: three rows of a solution by the `NEIGHBOURS`."""
    index = np.arange(len(array))
    steps = np.resize(np.array(NEIGHBOURS), len(array))
    array[index, column] = to_float64(_stepped(array[index, column], steps, target))


# the generator -------------------------------------------------------------------------------

ZEROS: Mapping[tuple[str, LabelKind], Solve] = {
    ("logsumexp", LabelKind.NONE): _logsumexp,
    ("kl_divergence", LabelKind.DISTRIBUTION): _kl,
    ("js_divergence", LabelKind.DISTRIBUTION): _equal_distributions,
    ("entropy", LabelKind.NONE): _entropy,
    ("softmax_cross_entropy", LabelKind.DISTRIBUTION): _softmax_labels,
    ("sigmoid_binary_cross_entropy", LabelKind.TARGET): _sigmoid_targets,
    ("binary_cross_entropy", LabelKind.TARGET): _probability_targets,
    ("sigmoid_focal_loss", LabelKind.TARGET): _focal_targets,
}
"""The solver for the zeros of each loss and kind of labels."""

_OF_MANY = (_softmax_labels, _sigmoid_targets, _focal_targets)
"""Solvers that take the nearest of many candidates."""


@dataclass(slots=True, eq=False)
class _Crossings:
    """The solutions of one class count, solved on first use."""

    request: Request
    classes: int
    solutions: int
    _solved: dict[bool, Solutions] = field(default_factory=dict)

    def rows(self, first: int, last: int) -> Float64Array:
        """Return rows ``first`` up to ``last``, which is left out."""
        return self._of(logarithmic=False)[0][first:last]

    def labels(self, first: int, last: int, *, logarithmic: bool) -> Float64Array | None:
        """Return the labels of these rows; ``logarithmic``: as log-probabilities."""
        labels = self._of(logarithmic=logarithmic)[1]
        return None if labels is None else labels[first:last]

    def _of(self, *, logarithmic: bool) -> Solutions:
        if logarithmic not in self._solved:
            solve = ZEROS[self.request.loss, self.request.label_kind]
            candidates = self.solutions
            if solve in _OF_MANY:
                candidates *= max(1, CANDIDATES // (self.solutions * max(1, self.classes)))
            shape = (candidates, self.classes) if self.classes else (candidates,)
            draws = self.request.stream("crossings", self.classes).random(shape)
            self._solved[logarithmic] = solve(
                draws, self.solutions, self.request.format, logarithmic
            )
        return self._solved[logarithmic]


def _zero_crossing(request: Request) -> Iterator[Batch]:
    wanted = request.options["rows"]
    for classes in request.widths:
        made = _Crossings(request, classes, wanted)
        rows = len(NEIGHBOURS) * wanted
        labels = None if request.label_kind is LabelKind.NONE else made.labels
        yield Batch(rows, classes, made.rows, verbatim=True, labels=labels)


def _zero_crossing_obstacle(request: Request) -> str:
    if (request.loss, request.label_kind) in ZEROS:
        return ""
    labels = "" if request.label_kind is LabelKind.NONE else f" with {request.label_kind} labels"
    return f"{request.loss}{labels} crosses no zero, in value or gradient"


CROSSING = (
    Generator(
        "zero-crossing",
        "rows next to zeros of the value or the gradient, and their neighbours in ulps",
        (
            rows_option(8, "zeros of each class count; three rows are made of each"),
            classes_option(2, 3, 10, least=FEWEST_CLASSES),
        ),
        EVERY_LAYOUT,
        _zero_crossing,
        _zero_crossing_obstacle,
    ),
)
