"""What the labels of a block say: which rows are ignored, and the mass and weight of each class."""

import numpy as np
import numpy.typing as npt

from xentcheck.losses.spec import Block
from xentcheck.model import Float64Array, LabelKind


def ignored_rows(block: Block) -> npt.NDArray[np.bool_]:
    """Which rows of integer labels bear the ignored one."""
    if block.label_kind is not LabelKind.INTEGER or block.labels is None:
        return np.zeros(block.rows, dtype=np.bool_)
    return np.asarray(block.labels == block.parameters.get("ignore_index", -100))


def masses(block: Block) -> Float64Array:
    """The label mass of each class, (rows, classes): the distribution, or one-hot."""
    assert block.labels is not None
    if block.label_kind is LabelKind.DISTRIBUTION:
        return block.labels
    mass = np.zeros(block.x.shape)
    kept = np.flatnonzero(~ignored_rows(block))
    mass[kept, block.labels[kept]] = 1.0
    return mass


def row_weights(block: Block) -> Float64Array:
    """The weight of each row's label, 0 where it is ignored; 1 for distributions."""
    if block.label_kind is not LabelKind.INTEGER:
        return np.ones(block.rows)
    assert block.labels is not None
    ignored = ignored_rows(block)
    weight = block.parameters.get("weight")
    own = np.ones(block.rows) if weight is None else weight[np.where(ignored, 0, block.labels)]
    return np.where(ignored, 0.0, own)
