"""Groups classes with equal data, so that a large vocabulary of few distinct logits is cheap."""

from dataclasses import dataclass

import numpy as np

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
    """Group classes by their data. Each column has shape (classes,) and contains no NaN."""
    data = np.stack(columns, axis=1)
    unique, index, counts = np.unique(data, axis=0, return_inverse=True, return_counts=True)
    return Groups(unique, index.reshape(-1), counts.tolist())
