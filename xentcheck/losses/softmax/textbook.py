"""The textbook formulas of the softmax family, for rows in the interior of the domain."""

from collections.abc import Sequence
from dataclasses import dataclass

from xentcheck.deferred import np
from xentcheck.losses.grouping import Groups, grouped
from xentcheck.losses.softmax.rearranged import evaluate_cross_entropy
from xentcheck.losses.softmax.rows import coefficients_of, component_of, is_ignored, of_groups
from xentcheck.losses.spec import (
    Arithmetic,
    Components,
    Deferred,
    ExactValue,
    Number,
    Row,
    RowResult,
)
from xentcheck.model import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class _Textbook:
    """z, p and log S by definition. Each sequence has one number per group."""

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


def define_softmax(ops: Arithmetic, row: Row) -> RowResult:
    book = _textbook(ops, row)
    i = component_of(row)
    mine = book.p[int(book.groups.index[i])]
    scale = row.parameters.get("temperature", 1.0)

    def slope(j: int) -> ExactValue:
        share = book.p[int(book.groups.index[j])]
        return ExactValue(mine * ((1 if i == j else 0) - share) / scale)

    return RowResult(
        of_groups(book.groups, lambda k: ExactValue(book.p[k])),
        Components(Deferred(len(row.x), slope)),
    )


def define_log_softmax(ops: Arithmetic, row: Row) -> RowResult:
    book = _textbook(ops, row)
    i = component_of(row)

    def slope(j: int) -> ExactValue:
        return ExactValue((1 if i == j else 0) - book.p[int(book.groups.index[j])])

    return RowResult(
        of_groups(book.groups, lambda k: ExactValue(book.z[k] - book.lse)),
        Components(Deferred(len(row.x), slope)),
    )


def define_logsumexp(ops: Arithmetic, row: Row) -> RowResult:
    book = _textbook(ops, row)
    return RowResult(
        Components([ExactValue(book.lse)]), of_groups(book.groups, lambda k: ExactValue(book.p[k]))
    )


def define_cross_entropy(ops: Arithmetic, row: Row) -> RowResult:
    if is_ignored(row):
        return evaluate_cross_entropy(ops, row)
    masses, weights = coefficients_of(row)
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

    def slope(k: int) -> ExactValue:
        share = book.p[k]
        return ExactValue((whole * share - charges[k] + book.lse * share * z_loss * 2) / scale)

    return RowResult(Components([ExactValue(value)]), of_groups(book.groups, slope))
