"""Groups classes with equal data, so that a large vocabulary of few distinct logits is cheap."""

from dataclasses import dataclass

from xentcheck.deferred import np
from xentcheck.model import Array, Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The classes of a row, grouped by equal data.

    ``columns`` has shape (groups, data). ``index`` maps each class to its group. ``counts`` holds
    the number of classes of each group.
    """

    columns: Float64Array
    index: Array
    counts: list[int]


def grouped(*columns: Float64Array) -> Groups:
    """Group classes by their data, in the order of the data.

    Args:
        columns: each of shape (classes,), without NaN.
    """
    # Sorting one column at a time is three times as fast as sorting rows of all columns.
    index, size = np.zeros(len(columns[0]), dtype=np.intp), 1
    for column in columns:
        if (column == column[0]).all():
            continue
        values, here = np.unique(column, return_inverse=True)
        pairs, index = np.unique(index * len(values) + here, return_inverse=True)
        size = len(pairs)
    member = np.empty(size, dtype=np.intp)
    member[index] = np.arange(len(index))
    counts = np.bincount(index, minlength=size)
    return Groups(np.stack([each[member] for each in columns], axis=1), index, counts.tolist())
