"""Reads the labels of a block: ignored rows, the mass of each class, the weight of each row."""

from __future__ import annotations

from xentcheck.deferred import np, npt
from xentcheck.losses.spec import Block
from xentcheck.model import Float64Array, LabelKind


def ignored_rows(block: Block) -> npt.NDArray[np.bool_]:
    """A mask, (rows,), of the rows that have the ignored integer label."""
    if block.label_kind is not LabelKind.INTEGER or block.labels is None:
        return np.zeros(block.rows, dtype=np.bool_)
    return np.asarray(block.labels == block.parameters.get("ignore_index", -100))


def masses(block: Block) -> Float64Array:
    """The label mass of each class, (rows, classes): the given distribution, or a one-hot row."""
    assert block.labels is not None
    if block.label_kind is LabelKind.DISTRIBUTION:
        return block.labels
    mass = np.zeros(block.x.shape)
    kept = np.flatnonzero(~ignored_rows(block))
    mass[kept, block.labels[kept]] = 1.0
    return mass


def row_weights(block: Block) -> Float64Array:
    """The weight of each row's label, (rows,): 0 for an ignored row, 1 for distributions."""
    if block.label_kind is not LabelKind.INTEGER:
        return np.ones(block.rows)
    assert block.labels is not None
    ignored = ignored_rows(block)
    weight = block.parameters.get("weight")
    own = np.ones(block.rows) if weight is None else weight[np.where(ignored, 0, block.labels)]
    return np.where(ignored, 0.0, own)
