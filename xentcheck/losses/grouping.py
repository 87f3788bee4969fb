"""Classes with equal data, taken together: what keeps a vocabulary of few logits cheap."""

from dataclasses import dataclass

import numpy as np

from xentcheck.model import Array, Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The classes of a row, those with equal data taken together.

    ``columns`` is (groups, data); ``index`` maps a class to its group; ``counts`` are its sizes.
    """

    columns: Float64Array
    index: Array
    counts: list[int]


def grouped(*columns: Float64Array) -> Groups:
    """Group classes by their data, each column of shape (classes,) and without NaN."""
    data = np.stack(columns, axis=1)
    unique, index, counts = np.unique(data, axis=0, return_inverse=True, return_counts=True)
    return Groups(unique, index.reshape(-1), counts.tolist())
