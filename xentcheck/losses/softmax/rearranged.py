"""The softmax family, rearranged around the largest logit so that nothing cancels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xentcheck.deferred import np
from xentcheck.losses.grouping import Groups, grouped
from xentcheck.losses.softmax.rows import (
    INF,
    NAN,
    charges_of,
    coefficients_of,
    component_of,
    is_ignored,
    of_groups,
    uniform,
)
from xentcheck.losses.spec import (
    Arithmetic,
    Components,
    Deferred,
    ExactValue,
    Number,
    Row,
    RowResult,
)
from xentcheck.model import Accepts, Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class _Softmax:
    """Softmax of grouped logits, finite or -inf. Each sequence has one number per group."""

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
    """Softmax of x / temperature. Subtraction comes before division, because it is exact there."""
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


def noisy(ops: Arithmetic, columns: Float64Array, noise: bool) -> list[Number | None]:
    """x + noise of each group; None for classes that drop out."""
    result: list[Number | None] = []
    for data in columns:
        if data[0] == -INF:
            result.append(None)
        elif noise:
            result.append(ops.number(data[0]) + ops.number(data[1]))
        else:
            result.append(ops.number(data[0]))
    return result


def one_hot(classes: int, hot: int, on: ExactValue, off: ExactValue) -> Components:
    """One result for one class, and another result for all other classes.

    Args:
        classes: the number of classes.
        hot: index of the one class.
        on: the result of class ``hot``.
        off: the result of the other classes.
    """
    index = np.zeros(classes, dtype=np.intp)
    index[hot] = 1
    return Components([off, on], index)


def undefined(x: Float64Array) -> str:
    """Why a row has no ordinary softmax: nan, empty, several or one (+inf); '' if it has one."""
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
    x = noisy(ops, groups.columns, noise is not None)
    with np.errstate(over="ignore"):
        approximate = groups.columns[:, : len(columns)].sum(axis=1)
    top = int(np.argmax(approximate))
    return groups, _softmax(ops, x, groups.counts, top, row.parameters.get("temperature"))


def _number(x: Number | None) -> ExactValue:
    return ExactValue(0.0 if x is None else x)


def evaluate_softmax(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    component = component_of(row)
    special = undefined(row.x)
    if special:
        hot = int(np.argmax(row.x))
        zero = ExactValue(0.0, Accepts.NAN)
        table = {
            "nan": (uniform(ExactValue(NAN), classes), _not_a_number(classes, classes)),
            "several": (anything(classes), anything(classes)),
            "empty": (_nan_or_zero(classes), _nan_or_zero(classes)),
            "one": (
                one_hot(classes, hot, ExactValue(ops.number(1.0), Accepts.NAN), zero),
                uniform(zero, classes),
            ),
        }
        return RowResult(*table[special])
    groups, softmax = _parts(ops, row)
    mine = softmax.probability[groups.index[component]]
    scale = row.parameters.get("temperature", 1.0)
    count = len(groups.counts)

    def slope(k: int) -> ExactValue:
        if k == count:
            assert mine is not None
            return ExactValue(mine * softmax.complement[groups.index[component]] / scale)
        p = softmax.probability[k]
        return ExactValue(0.0) if mine is None or p is None else ExactValue(-(mine * p) / scale)

    index = groups.index.copy()
    if mine is not None:
        index[component] = count
    return RowResult(
        of_groups(groups, lambda k: _number(softmax.probability[k])),
        Components(Deferred(count + (mine is not None), slope), index),
    )


def evaluate_log_softmax(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    component = component_of(row)
    special = undefined(row.x)
    if special:
        hot = int(np.argmax(row.x))
        gradient_off = ExactValue(0.0, Accepts.NAN)
        if special == "one":
            value = one_hot(
                classes, hot, ExactValue(0.0, Accepts.NAN), ExactValue(-INF, Accepts.NAN)
            )
            gradient = _limit_row(ops, classes, component, hot)
            if hot == component:
                gradient = uniform(gradient_off, classes)
            return RowResult(value, gradient)
        table = {
            "nan": _not_a_number(classes, classes),
            "several": anything(classes),
            "empty": _nan_or_zero(classes),
        }
        return RowResult(table[special], table[special])
    groups, softmax = _parts(ops, row)
    count = len(groups.counts)

    def log_share(k: int) -> ExactValue:
        surprise = softmax.surprise[k]
        return ExactValue(-INF if surprise is None else -surprise)

    def slope(k: int) -> ExactValue:
        if k == count:
            return ExactValue(softmax.complement[groups.index[component]])
        p = softmax.probability[k]
        return ExactValue(0.0 if p is None else -p)

    index = groups.index.copy()
    index[component] = count
    gradient = Components(Deferred(count + 1, slope), index)
    return RowResult(of_groups(groups, log_share), gradient)


def _limit_row(ops: Arithmetic, classes: int, label: int, hot: int) -> Components:
    """δ_label − p, where p is one-hot at ``hot`` ≠ label. NaN is accepted."""
    index = np.zeros(classes, dtype=np.intp)
    index[label], index[hot] = 1, 2
    outcomes = [
        ExactValue(0.0, Accepts.NAN),
        ExactValue(ops.number(1.0), Accepts.NAN),
        ExactValue(ops.number(-1.0), Accepts.NAN),
    ]
    return Components(outcomes, index)


def anything(classes: int) -> Components:
    return uniform(ExactValue(NAN, Accepts.ANYTHING), classes)


def _not_a_number(count: int, classes: int) -> Components:
    """NaN for a row with a NaN. With one class the result is 0 for any logit: 0 is accepted too."""
    return uniform(ExactValue(NAN, Accepts.ZERO if classes == 1 else Accepts.NOTHING), count)


def _nan_or_zero(classes: int) -> Components:
    return uniform(ExactValue(NAN, Accepts.ZERO), classes)


def evaluate_logsumexp(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    special = undefined(row.x)
    if special:
        hot = int(np.argmax(row.x))
        one = one_hot(
            classes, hot, ExactValue(ops.number(1.0), Accepts.NAN), ExactValue(0.0, Accepts.NAN)
        )
        infinite = uniform(ExactValue(INF, Accepts.NAN), 1)
        table = {
            "nan": (uniform(ExactValue(NAN), 1), uniform(ExactValue(NAN), classes)),
            "several": (infinite, anything(classes)),
            "empty": (uniform(ExactValue(-INF), 1), anything(classes)),
            "one": (infinite, one),
        }
        return RowResult(*table[special])
    groups, softmax = _parts(ops, row)
    return RowResult(
        Components([ExactValue(softmax.logsumexp)]),
        of_groups(groups, lambda k: _number(softmax.probability[k])),
    )


def evaluate_cross_entropy(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    if is_ignored(row):
        zero = ExactValue(0.0)
        return RowResult(Components([zero]), uniform(zero, classes))
    special = undefined(row.x)
    z_loss = row.parameters.get("z_loss", 0.0)
    masses, weights = coefficients_of(row)
    if special == "nan":
        return RowResult(_not_a_number(1, classes), _not_a_number(classes, classes))
    if special == "several" or (special == "one" and z_loss):
        return RowResult(anything(1), anything(classes))
    if special == "empty":
        return RowResult(_nan_or_zero(1), _nan_or_zero(classes))
    scale = row.parameters.get("temperature", 1.0)
    if special == "one":
        return _cross_entropy_limit(ops, row, masses, weights, scale)
    groups, softmax = _parts(ops, row, masses, weights)
    charges = charges_of(ops, row, groups.columns[:, -2], groups.columns[:, -1])
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

    def slope(k: int) -> ExactValue:
        charge, p = charges[k], softmax.probability[k]
        if p is None:
            return ExactValue(-charge / scale)
        g = (whole - charge) * p - charge * softmax.complement[k]
        if z_loss:
            g = g + lse * p * z_loss * 2
        return ExactValue(g / scale)

    return RowResult(Components([ExactValue(INF if infinite else value)]), of_groups(groups, slope))


def _cross_entropy_limit(
    ops: Arithmetic, row: Row, masses: Float64Array, weights: Float64Array, scale: Any
) -> RowResult:
    """The result with one +inf logit: p is one-hot there, and log S − z_k is +inf elsewhere."""
    hot = int(np.argmax(row.x))
    charges = charges_of(ops, row, masses, weights)
    others = any(not charge.is_zero for k, charge in enumerate(charges) if k != hot)
    whole = ops.total(charges)
    gradient = [
        ExactValue((whole - charge if k == hot else -charge) / scale, Accepts.NAN)
        for k, charge in enumerate(charges)
    ]
    return RowResult(
        Components([ExactValue(INF if others else 0.0, Accepts.NAN)]), Components(gradient)
    )
