"""The softmax family: softmax, log_softmax, logsumexp and softmax_cross_entropy.

With z = (x + noise) / temperature, S = Σ_j exp(z_j) and p = exp(z) / S:

* ``softmax``              p_k, gradient of component i: p_i (δ_ij − p_j) / temperature
* ``log_softmax``          z_k − log S, gradient of component i: δ_ij − p_j
* ``logsumexp``            log S, gradient p
* ``softmax_cross_entropy``  Σ_k c_k (log S − z_k) + z_loss (log S)², in nats, where for integer
  labels c_k = (1−ε) w_y [k=y] + (ε/C) w_k, for distributions c_k = w_k ((1−ε) y_k + ε/C);
  gradient ((Σc) p_j − c_j + 2 z_loss log S p_j) / temperature

Domain: real logits and −inf (the class drops out). Rearranged about the largest z_m, with
T = Σ_{j≠m} exp(z_j − z_m) and L = log1p(T): log S − z_k = (z_m − z_k) + L, p_m = 1/(1+T),
1 − p_m = T/(1+T) have only positive terms, so nothing cancels.

Sources: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax
functions", IMA J. Numer. Anal. 41 (2021); label smoothing and class weights as
``torch.nn.functional.cross_entropy`` documents them; z-loss: Chowdhery et al., PaLM, 2022.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.losses.grouping import Groups, grouped
from xentcheck.losses.labels import ignored_rows, masses, row_weights
from xentcheck.losses.spec import (
    Arithmetic,
    Block,
    Components,
    Deferred,
    Loss,
    Number,
    Outcome,
    Row,
    RowResult,
    roundings,
)
from xentcheck.model import Accepts, Domain, Float64Array, LabelKind, Layout, Parameter, Quantity

NAN = float("nan")
INF = float("inf")

UNDEFINED_ROW = "a row all -inf: undefined; NaN or 0 is accepted"
INFINITE_LOGIT = "one +inf logit: the limit (p is one-hot); NaN is accepted, and noted"
MASKED = "a logit of -inf: that class drops out (p = 0)"
PROPAGATE = "a NaN logit makes its row NaN, and no other (of one class only, 0 is accepted too)"


@dataclass(frozen=True, slots=True, eq=False)
class _Softmax:
    """Softmax of grouped finite (or -inf) logits; sequences hold one number per group."""

    probability: Sequence[Number | None]  # None: a class that dropped out
    complement: Sequence[Number]
    surprise: Sequence[Number | None]  # log S - z_k; None: infinite
    logsumexp: Number


def _softmax(
    ops: Arithmetic,
    x: Sequence[Number | None],
    counts: list[int],
    top: int,
    temperature: float | None,
) -> _Softmax:
    """Softmax of x / temperature; differences are taken before dividing, where they are exact."""
    pivot = x[top]
    assert pivot is not None
    one = ops.number(1.0)
    gaps = [None if each is None else pivot - each for each in x]
    if temperature is not None:
        gaps = [None if gap is None else gap / temperature for gap in gaps]
        pivot = pivot / temperature
    powers = [
        one if k == top else None if gap is None else ops.exp(-gap) for k, gap in enumerate(gaps)
    ]
    tail_terms = [ops.number(float(counts[top] - 1))]
    tail_counts = [1]
    for k, power in enumerate(powers):
        if power is not None and k != top:
            tail_terms.append(power)
            tail_counts.append(counts[k])
    tail = ops.total(tail_terms, tail_counts)
    whole = tail + 1
    log_whole = ops.log1p(tail)

    def probability(k: int) -> Number | None:
        power = powers[k]
        return None if power is None else power / whole

    def complement(k: int) -> Number:
        power = powers[k]
        if k == top:
            return tail / whole
        return one if power is None else (whole - power) / whole

    def surprise(k: int) -> Number | None:
        gap = gaps[k]
        return None if gap is None else gap + log_whole

    count = len(powers)
    return _Softmax(
        probability=Deferred(count, probability),
        complement=Deferred(count, complement),
        surprise=Deferred(count, surprise),
        logsumexp=pivot + log_whole,
    )


def _noisy(ops: Arithmetic, columns: Float64Array, noise: bool) -> list[Number | None]:
    """x + noise for each group, None where the class drops out."""
    result: list[Number | None] = []
    for data in columns:
        if data[0] == -INF:
            result.append(None)
        elif noise:
            result.append(ops.number(data[0]) + ops.number(data[1]))
        else:
            result.append(ops.number(data[0]))
    return result


def _uniform(outcome: Outcome, classes: int) -> Components:
    return Components([outcome], np.zeros(classes, dtype=np.intp))


def _one_hot(classes: int, hot: int, on: Outcome, off: Outcome) -> Components:
    index = np.zeros(classes, dtype=np.intp)
    index[hot] = 1
    return Components([off, on], index)


def _undefined(x: Float64Array) -> str:
    """Why a row has no ordinary softmax: nan, empty, several, one (+inf); '' when it has."""
    if np.isnan(x).any():
        return "nan"
    infinite = int(np.count_nonzero(x == INF))
    if infinite:
        return "one" if infinite == 1 else "several"
    return "empty" if bool(np.all(x == -INF)) else ""


def _parts(ops: Arithmetic, row: Row, *more: Float64Array) -> tuple[Groups, _Softmax]:
    noise = row.parameters.get("noise")
    columns = [row.x] if noise is None else [row.x, np.asarray(noise)]
    groups = grouped(*columns, *more)
    x = _noisy(ops, groups.columns, noise is not None)
    with np.errstate(over="ignore"):
        approximate = groups.columns[:, : len(columns)].sum(axis=1)
    top = int(np.argmax(approximate))
    return groups, _softmax(ops, x, groups.counts, top, row.parameters.get("temperature"))


def _number(x: Number | None) -> Outcome:
    return Outcome(0.0 if x is None else x)


def _evaluate_softmax(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    component = _component(row)
    special = _undefined(row.x)
    if special:
        hot = int(np.argmax(row.x))
        zero = Outcome(0.0, Accepts.NAN)
        table = {
            "nan": (_uniform(Outcome(NAN), classes), _not_a_number(classes, classes)),
            "several": (_anything(classes), _anything(classes)),
            "empty": (_nan_or_zero(classes), _nan_or_zero(classes)),
            "one": (
                _one_hot(classes, hot, Outcome(ops.number(1.0), Accepts.NAN), zero),
                _uniform(zero, classes),
            ),
        }
        return RowResult(*table[special])
    groups, softmax = _parts(ops, row)
    mine = softmax.probability[groups.index[component]]
    scale = row.parameters.get("temperature", 1.0)
    count = len(groups.counts)

    def slope(k: int) -> Outcome:
        if k == count:
            assert mine is not None
            return Outcome(mine * softmax.complement[groups.index[component]] / scale)
        p = softmax.probability[k]
        return Outcome(0.0) if mine is None or p is None else Outcome(-(mine * p) / scale)

    index = groups.index.copy()
    if mine is not None:
        index[component] = count
    return RowResult(
        _of_groups(groups, lambda k: _number(softmax.probability[k])),
        Components(Deferred(count + (mine is not None), slope), index),
    )


def _of_groups(groups: Groups, make: Callable[[int], Outcome]) -> Components:
    return Components(Deferred(len(groups.counts), make), groups.index)


def _evaluate_log_softmax(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    component = _component(row)
    special = _undefined(row.x)
    if special:
        hot = int(np.argmax(row.x))
        gradient_off = Outcome(0.0, Accepts.NAN)
        if special == "one":
            value = _one_hot(classes, hot, Outcome(0.0, Accepts.NAN), Outcome(-INF, Accepts.NAN))
            gradient = _limit_row(ops, classes, component, hot)
            if hot == component:
                gradient = _uniform(gradient_off, classes)
            return RowResult(value, gradient)
        table = {
            "nan": _not_a_number(classes, classes),
            "several": _anything(classes),
            "empty": _nan_or_zero(classes),
        }
        return RowResult(table[special], table[special])
    groups, softmax = _parts(ops, row)
    count = len(groups.counts)

    def log_share(k: int) -> Outcome:
        surprise = softmax.surprise[k]
        return Outcome(-INF if surprise is None else -surprise)

    def slope(k: int) -> Outcome:
        if k == count:
            return Outcome(softmax.complement[groups.index[component]])
        p = softmax.probability[k]
        return Outcome(0.0 if p is None else -p)

    index = groups.index.copy()
    index[component] = count
    gradient = Components(Deferred(count + 1, slope), index)
    return RowResult(_of_groups(groups, log_share), gradient)


def _limit_row(ops: Arithmetic, classes: int, label: int, hot: int) -> Components:
    """δ_label − p for p one-hot at ``hot`` ≠ label; NaN is accepted."""
    index = np.zeros(classes, dtype=np.intp)
    index[label], index[hot] = 1, 2
    outcomes = [
        Outcome(0.0, Accepts.NAN),
        Outcome(ops.number(1.0), Accepts.NAN),
        Outcome(ops.number(-1.0), Accepts.NAN),
    ]
    return Components(outcomes, index)


def _anything(classes: int) -> Components:
    return _uniform(Outcome(NAN, Accepts.ANYTHING), classes)


def _not_a_number(count: int, classes: int) -> Components:
    """NaN for a row with a NaN; of one class the result is 0 whatever its logit, so 0 may stand."""
    return _uniform(Outcome(NAN, Accepts.ZERO if classes == 1 else Accepts.NOTHING), count)


def _nan_or_zero(classes: int) -> Components:
    return _uniform(Outcome(NAN, Accepts.ZERO), classes)


def _component(row: Row) -> int:
    assert isinstance(row.label, int)
    return row.label


def _evaluate_logsumexp(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    special = _undefined(row.x)
    if special:
        hot = int(np.argmax(row.x))
        one = _one_hot(
            classes, hot, Outcome(ops.number(1.0), Accepts.NAN), Outcome(0.0, Accepts.NAN)
        )
        infinite = _uniform(Outcome(INF, Accepts.NAN), 1)
        table = {
            "nan": (_uniform(Outcome(NAN), 1), _uniform(Outcome(NAN), classes)),
            "several": (infinite, _anything(classes)),
            "empty": (_uniform(Outcome(-INF), 1), _anything(classes)),
            "one": (infinite, one),
        }
        return RowResult(*table[special])
    groups, softmax = _parts(ops, row)
    return RowResult(
        Components([Outcome(softmax.logsumexp)]),
        _of_groups(groups, lambda k: _number(softmax.probability[k])),
    )


def _is_ignored(row: Row) -> bool:
    return isinstance(row.label, int) and row.label == row.parameters.get("ignore_index", -100)


def _coefficients(row: Row) -> tuple[Float64Array, Float64Array]:
    """(label mass, weight) of each class: one-hot or the distribution, and w_k or 1."""
    classes = len(row.x)
    weight = np.asarray(row.parameters.get("weight", np.ones(classes)), dtype=np.float64)
    if isinstance(row.label, np.ndarray):
        return row.label, weight
    mass = np.zeros(classes)
    mass[_component(row)] = 1.0
    return mass, weight


def _charges(
    ops: Arithmetic, row: Row, masses: Float64Array, weights: Float64Array
) -> list[Number]:
    """c_k of each class or group, from its label mass and weight."""
    smoothing = row.parameters.get("label_smoothing", 0.0)
    classes = len(row.x)
    charges: list[Number] = []
    for mass, weight in zip(masses, weights, strict=True):
        charge = ops.number(mass)
        if smoothing:
            share = ops.number(1.0) * smoothing / classes
            charge = charge * (ops.number(1.0) - smoothing) + share
        charges.append(charge if weight == 1.0 else charge * ops.number(weight))
    return charges


def _evaluate_cross_entropy(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    if _is_ignored(row):
        zero = Outcome(0.0)
        return RowResult(Components([zero]), _uniform(zero, classes))
    special = _undefined(row.x)
    z_loss = row.parameters.get("z_loss", 0.0)
    masses, weights = _coefficients(row)
    if special == "nan":
        return RowResult(_not_a_number(1, classes), _not_a_number(classes, classes))
    if special == "several" or (special == "one" and z_loss):
        return RowResult(_anything(1), _anything(classes))
    if special == "empty":
        return RowResult(_nan_or_zero(1), _nan_or_zero(classes))
    scale = row.parameters.get("temperature", 1.0)
    if special == "one":
        return _cross_entropy_limit(ops, row, masses, weights, scale)
    groups, softmax = _parts(ops, row, masses, weights)
    charges = _charges(ops, row, groups.columns[:, -2], groups.columns[:, -1])
    infinite = False
    terms: list[Number] = []
    counts: list[int] = []
    for k, (charge, count) in enumerate(zip(charges, groups.counts, strict=True)):
        if charge.is_zero:
            continue
        surprise = softmax.surprise[k]
        if surprise is None:
            infinite = True
            continue
        terms.append(charge * surprise)
        counts.append(count)
    lse = softmax.logsumexp
    value = ops.total(terms, counts)
    if z_loss:
        value = value + lse * lse * z_loss
    whole = ops.total(charges, groups.counts)

    def slope(k: int) -> Outcome:
        charge, p = charges[k], softmax.probability[k]
        if p is None:
            return Outcome(-charge / scale)
        g = (whole - charge) * p - charge * softmax.complement[k]
        if z_loss:
            g = g + lse * p * z_loss * 2
        return Outcome(g / scale)

    return RowResult(Components([Outcome(INF if infinite else value)]), _of_groups(groups, slope))


def _cross_entropy_limit(
    ops: Arithmetic, row: Row, masses: Float64Array, weights: Float64Array, scale: Any
) -> RowResult:
    """One +inf logit: p is one-hot there, every other class infinitely surprising."""
    hot = int(np.argmax(row.x))
    charges = _charges(ops, row, masses, weights)
    others = any(not charge.is_zero for k, charge in enumerate(charges) if k != hot)
    whole = ops.total(charges)
    gradient = [
        Outcome((whole - charge if k == hot else -charge) / scale, Accepts.NAN)
        for k, charge in enumerate(charges)
    ]
    return RowResult(
        Components([Outcome(INF if others else 0.0, Accepts.NAN)]), Components(gradient)
    )


# The textbook definitions: finite rows, equal classes taken together.


@dataclass(frozen=True, slots=True, eq=False)
class _Textbook:
    """z, p and log S by the definition; sequences hold one number per group."""

    groups: Groups
    z: Sequence[Number]
    p: Sequence[Number]
    lse: Number


def _textbook(ops: Arithmetic, row: Row, *more: Float64Array) -> _Textbook:
    noise = row.parameters.get("noise")
    temperature = row.parameters.get("temperature", 1.0)
    columns = [row.x] if noise is None else [row.x, np.asarray(noise)]
    groups = grouped(*columns, *more)
    z = []
    for data in groups.columns:
        logit = ops.number(data[0])
        if noise is not None:
            logit = logit + ops.number(data[1])
        z.append(logit / temperature)
    powers = [ops.exp(each) for each in z]
    total = ops.total(powers, groups.counts)
    return _Textbook(groups, z, Deferred(len(z), lambda k: powers[k] / total), ops.log(total))


def _define_softmax(ops: Arithmetic, row: Row) -> RowResult:
    book = _textbook(ops, row)
    i = _component(row)
    mine = book.p[int(book.groups.index[i])]
    scale = row.parameters.get("temperature", 1.0)

    def slope(j: int) -> Outcome:
        share = book.p[int(book.groups.index[j])]
        return Outcome(mine * ((1 if i == j else 0) - share) / scale)

    return RowResult(
        _of_groups(book.groups, lambda k: Outcome(book.p[k])),
        Components(Deferred(len(row.x), slope)),
    )


def _define_log_softmax(ops: Arithmetic, row: Row) -> RowResult:
    book = _textbook(ops, row)
    i = _component(row)

    def slope(j: int) -> Outcome:
        return Outcome((1 if i == j else 0) - book.p[int(book.groups.index[j])])

    return RowResult(
        _of_groups(book.groups, lambda k: Outcome(book.z[k] - book.lse)),
        Components(Deferred(len(row.x), slope)),
    )


def _define_logsumexp(ops: Arithmetic, row: Row) -> RowResult:
    book = _textbook(ops, row)
    return RowResult(
        Components([Outcome(book.lse)]), _of_groups(book.groups, lambda k: Outcome(book.p[k]))
    )


def _define_cross_entropy(ops: Arithmetic, row: Row) -> RowResult:
    if _is_ignored(row):
        return _evaluate_cross_entropy(ops, row)
    masses, weights = _coefficients(row)
    book = _textbook(ops, row, masses, weights)
    counts = book.groups.counts
    smoothing = row.parameters.get("label_smoothing", 0.0)
    z_loss = row.parameters.get("z_loss", 0.0)
    scale = row.parameters.get("temperature", 1.0)
    charges = [
        ((ops.number(1.0) - smoothing) * mass + ops.number(1.0) * smoothing / len(row.x)) * weight
        for mass, weight in book.groups.columns[:, -2:].tolist()
    ]
    value = ops.total(
        [c * (book.lse - each) for c, each in zip(charges, book.z, strict=True)], counts
    )
    value = value + book.lse * book.lse * z_loss
    whole = ops.total(charges, counts)

    def slope(k: int) -> Outcome:
        share = book.p[k]
        return Outcome((whole * share - charges[k] + book.lse * share * z_loss * 2) / scale)

    return RowResult(Components([Outcome(value)]), _of_groups(book.groups, slope))


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Where each logit lies beside its row's largest, scaled (d ≤ 0), and how much that matters.

    Condition numbers are those with respect to the differences d, plus 1 for the rounding of the
    result itself and the `roundings` of the sum. With p the softmax and m = Σ_j p_j |d_j|: of p_k
    it is m + |d_k| (1 − 2 p_k), of 1 − p_k that of p_k times p_k/(1 − p_k).
    """

    difference: Float64Array
    shares: Float64Array
    mean: Float64Array  # (rows, 1)
    top: npt.NDArray[np.intp]  # (rows, 1)
    rest: Float64Array  # (rows, 1), 1 − p of the largest

    @property
    def of_share(self) -> Float64Array:
        """The condition number of each p_k, (rows, classes)."""
        own = 1.0 + self.summed + self.mean
        return np.asarray(own - self.difference * (1.0 - 2.0 * self.shares))

    @property
    def summed(self) -> float:
        """The roundings of the sum, of which p and 1 − p have all."""
        return roundings(self.shares.shape[1])

    @property
    def of_log_whole(self) -> Float64Array:
        """By how much log S moves, (rows, 1): the sum over the others is rounded, not the 1."""
        return self.mean + self.summed * self.rest

    def of_complement(self, column: npt.NDArray[Any]) -> Float64Array:
        """The condition number of 1 − p of one class of each row, ``column`` (rows, 1)."""
        own = np.take_along_axis(self.shares, column, axis=1)
        drop = np.take_along_axis(self.difference, column, axis=1)
        factor = self.mean - drop * (1.0 - 2.0 * own)
        at_top = column == self.top
        rest = np.where(at_top, self.rest, 1.0 - own)
        underflowing = at_top & (self.rest < 2.0**-1000)
        own_part = np.where(underflowing, self._runner_up, factor * own / rest)
        return np.asarray(1.0 + self.summed + own_part)

    @property
    def _runner_up(self) -> Float64Array:
        """How far below the largest the next one lies: 1 − p is about its p."""
        if self.difference.shape[1] < 2:
            return np.zeros_like(self.mean)
        others = self.difference.copy()
        np.put_along_axis(others, self.top, -np.inf, axis=1)
        return np.asarray(-others.max(axis=1, keepdims=True))


def _spread(block: Block) -> _Spread:
    x, noise = block.x, block.parameters.get("noise")
    top = (x if noise is None else x + noise).argmax(axis=1)[:, np.newaxis]
    difference = x - np.take_along_axis(x, top, axis=1)
    if noise is not None:
        # a rounded sum may tie where the exact one does not: differences apart, and look again
        difference += noise - np.take_along_axis(noise, top, axis=1)
        top = difference.argmax(axis=1)[:, np.newaxis]
        difference -= np.take_along_axis(difference, top, axis=1)
        x = difference
    if not np.isfinite(difference.sum()):
        # what is not finite counts as 0
        x = np.where(np.isfinite(x), x, 0.0)
        top = x.argmax(axis=1)[:, np.newaxis]
        difference = x - np.take_along_axis(x, top, axis=1)
        difference = np.maximum(difference, -np.finfo(np.float64).max)
    temperature = block.parameters.get("temperature", 1.0)
    if temperature != 1.0:
        difference /= temperature
    power = np.exp(difference)
    np.put_along_axis(power, top, 0.0, axis=1)
    tail = power.sum(axis=1, keepdims=True)
    total = 1.0 + tail
    mean = -np.einsum("ij,ij->i", difference, power)[:, np.newaxis] / total
    np.put_along_axis(power, top, 1.0, axis=1)
    power /= total
    return _Spread(difference, power, mean, top, tail / total)


def _condition_logsumexp(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    if quantity is Quantity.VALUE:
        spread = _spread(block)
        parts = np.abs(block.x * gradient).sum(axis=1) + (spread.summed * spread.rest)[:, 0]
        return np.asarray(1.0 + parts / np.abs(value))
    return _spread(block).of_share


def _condition_log_softmax(
    block: Block, value: Float64Array, _gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    spread = _spread(block)
    if quantity is Quantity.VALUE:
        return np.asarray(1.0 + (spread.of_log_whole - spread.difference) / np.abs(value))
    assert block.labels is not None
    return _at_label(block.labels, spread)


def _at_label(labels: npt.NDArray[Any], spread: _Spread) -> Float64Array:
    """Of p_k, and of 1 − p_k at the label."""
    column = labels[:, np.newaxis]
    condition = spread.of_share
    np.put_along_axis(condition, column, spread.of_complement(column), axis=1)
    return condition


def _condition_softmax(
    block: Block, _value: Float64Array, _gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """A component of the gradient is a product of two probabilities: both count."""
    assert block.labels is not None
    spread = _spread(block)
    if quantity is Quantity.VALUE:
        return spread.of_share
    own = np.take_along_axis(spread.of_share, block.labels[:, np.newaxis], axis=1)
    return _at_label(block.labels, spread) + own


def _charged(block: Block) -> Float64Array:
    """What each class is charged, (rows, classes): weight · smoothed label."""
    smoothing = block.parameters.get("label_smoothing", 0.0)
    weight = block.parameters.get("weight", 1.0)
    smoothed = (1.0 - smoothing) * masses(block) + smoothing / block.x.shape[1]
    return np.asarray(weight * smoothed)


def _condition_cross_entropy(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    spread = _spread(block)
    ignored = ignored_rows(block)
    scale = block.parameters.get("temperature", 1.0)
    z_loss = block.parameters.get("z_loss", 0.0)
    smoothing = block.parameters.get("label_smoothing", 0.0)
    plain = block.label_kind is LabelKind.INTEGER and not smoothing
    if z_loss:
        # log S is not invariant under a common offset: it moves with the largest logit itself
        largest = np.take_along_axis(block.x, spread.top, axis=1) / scale
        lse = np.abs(largest - np.log1p(-spread.rest))
        moves = np.abs(largest) + spread.mean
    if quantity is Quantity.VALUE:
        parts = np.abs(spread.difference * gradient).sum(axis=1) * scale
        # of integer labels all is charged to one class
        charged = row_weights(block) if plain else np.abs(_charged(block)).sum(axis=1)
        parts = parts + charged * spread.summed * spread.rest[:, 0]
        if z_loss:
            parts = parts + (2.0 * z_loss * lse * np.abs(largest))[:, 0]
        return np.where(ignored, 1.0, 1.0 + parts / np.abs(value))
    if plain and not z_loss:
        assert block.labels is not None
        condition = _at_label(np.where(ignored, 0, block.labels), spread)
    else:
        charges = _charged(block)
        parts = np.abs(charges).sum(axis=1, keepdims=True) * spread.shares * spread.of_share
        parts += np.abs(charges)
        if z_loss:
            parts += 2.0 * z_loss * spread.shares * (lse * spread.of_share + moves)
        condition = parts / scale / np.abs(gradient)
    return np.where(ignored[:, np.newaxis], 1.0, condition) if ignored.any() else condition


_TEMPERATURE = Parameter(
    "temperature",
    "real",
    "the logits are divided by it",
    default=1.0,
    minimum=2.0**-14,  # the smallest normal float16: no dtype rounds it to nothing
)
_SOURCE = "Blanchard, Higham, Higham 2021, doi:10.1093/imanum/draa038"
_CONVENTIONS = (MASKED, UNDEFINED_ROW, INFINITE_LOGIT, PROPAGATE)

SOFTMAX = Loss(
    id="softmax",
    summary="probabilities of the classes",
    formula="p_k = exp(z_k) / Σ_j exp(z_j),  z = (x + noise) / temperature",
    gradient_formula="of component i: p_i (δ_ij − p_j) / temperature",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER,),
    conventions=_CONVENTIONS,
    units="probability",
    source=_SOURCE + "; Gumbel noise: Jang, Gu, Poole 2017",
    evaluate=_evaluate_softmax,
    definition=_define_softmax,
    condition=_condition_softmax,
    parameters=(
        _TEMPERATURE,
        Parameter("noise", "row-matrix", "Gumbel noise, given, added to the logits"),
    ),
    per_class=True,
    nonnegative=True,
    reducible=False,
)

LOG_SOFTMAX = Loss(
    id="log_softmax",
    summary="logarithms of the probabilities of the classes",
    formula="x_k − log Σ_j exp(x_j)",
    gradient_formula="of component i: δ_ij − p_j",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER,),
    conventions=(*_CONVENTIONS, "a masked class: -inf"),
    units="nats",
    source=_SOURCE,
    evaluate=_evaluate_log_softmax,
    definition=_define_log_softmax,
    condition=_condition_log_softmax,
    per_class=True,
    reducible=False,
)

LOGSUMEXP = Loss(
    id="logsumexp",
    summary="logarithm of the sum of exponentials",
    formula="log Σ_j exp(x_j)",
    gradient_formula="p_j",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.NONE,),
    conventions=(
        MASKED,
        "a row all -inf: -inf; its gradient is undefined, anything is accepted",
        "a +inf logit: +inf; NaN is accepted, and noted",
        PROPAGATE,
    ),
    units="nats",
    source=_SOURCE,
    evaluate=_evaluate_logsumexp,
    definition=_define_logsumexp,
    condition=_condition_logsumexp,
    reducible=False,
)


SOFTMAX_CROSS_ENTROPY = Loss(
    id="softmax_cross_entropy",
    summary="cross-entropy of labels with the softmax of logits",
    formula="Σ_k c_k (log Σ_j exp(z_j) − z_k) + z_loss (log Σ_j exp(z_j))²",
    gradient_formula="((Σc) p_j − c_j + 2 z_loss log S p_j) / temperature",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER, LabelKind.DISTRIBUTION),
    conventions=(
        MASKED,
        "0·log 0 = 0: a label of 0 on a masked class adds nothing",
        "a masked target: +inf, gradient p − onehot",
        UNDEFINED_ROW,
        INFINITE_LOGIT,
        PROPAGATE,
        "an ignored row: exactly 0, value and gradient, whatever its logits",
        "mean divides by the kept rows' weights (integer labels) or by the number of rows",
        "mean over nothing: NaN or 0, gradient 0",
        "label_smoothing ε: (1−ε) y + ε/C over all C classes, the target among them",
        "distributions that do not sum to 1: gradient (Σy) p − y",
    ),
    units="nats",
    source=_SOURCE + "; torch.nn.functional.cross_entropy; z-loss: Chowdhery et al. 2022",
    evaluate=_evaluate_cross_entropy,
    definition=_define_cross_entropy,
    condition=_condition_cross_entropy,
    parameters=(
        Parameter("weight", "class-vector", "weight of each class", minimum=0.0),
        Parameter(
            "ignore_index",
            "integer",
            "rows with this label count for nothing",
            default=-100,
            label_kinds=(LabelKind.INTEGER,),
        ),
        Parameter(
            "label_smoothing",
            "real",
            "mass moved from the label to all classes evenly: (1−ε) y + ε/C",
            default=0.0,
            minimum=0.0,
            maximum=1.0,
        ),
        _TEMPERATURE,
        Parameter("z_loss", "real", "adds z_loss · logsumexp²", default=0.0, minimum=0.0),
        Parameter(
            "reduction", "choice", "over the rows", default="none", choices=("none", "mean", "sum")
        ),
    ),
    nonnegative=True,
    row_weights=row_weights,
)
