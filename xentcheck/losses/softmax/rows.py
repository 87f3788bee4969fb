"""Helpers of the softmax formulas: they read a row and build the results of its groups."""

from collections.abc import Callable

from xentcheck.deferred import np
from xentcheck.losses.grouping import Groups
from xentcheck.losses.spec import Arithmetic, Components, Deferred, ExactValue, Number, Row
from xentcheck.model import Float64Array

NAN = float("nan")

INF = float("inf")


def uniform(outcome: ExactValue, classes: int) -> Components:
    return Components([outcome], np.zeros(classes, dtype=np.intp))


def of_groups(groups: Groups, make: Callable[[int], ExactValue]) -> Components:
    return Components(Deferred(len(groups.counts), make), groups.index)


def component_of(row: Row) -> int:
    assert isinstance(row.label, int)
    return row.label


def is_ignored(row: Row) -> bool:
    return isinstance(row.label, int) and row.label == row.parameters.get("ignore_index", -100)


def coefficients_of(row: Row) -> tuple[Float64Array, Float64Array]:
    """(label mass, weight) of each class: the mass is one-hot or given, the weight is w_k or 1."""
    classes = len(row.x)
    weight = np.asarray(row.parameters.get("weight", np.ones(classes)), dtype=np.float64)
    if isinstance(row.label, np.ndarray):
        return row.label, weight
    mass = np.zeros(classes)
    mass[component_of(row)] = 1.0
    return mass, weight


def charges_of(
    ops: Arithmetic, row: Row, masses: Float64Array, weights: Float64Array
) -> list[Number]:
    """The charge c_k of each class or group: its smoothed label mass times its weight.

    Args:
        ops: the arithmetic of the charges.
        row: the row. Gives the label smoothing and the number of classes.
        masses: the label mass of each class or group, float64.
        weights: the weight of each class or group, float64.
    """
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
