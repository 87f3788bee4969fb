"""Which results on failing rows agree with those of a form.

A result agrees if the form gives the same NaN or infinity, or reproduces the error: the two differ
by at most a sixteenth of the error and one ulp. Two forms that are wrong in different ways do not
agree by chance, because the errors are many times that.
"""

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS
from xentcheck.measurement import FailingBlock
from xentcheck.model import KINDS, NOTES, Float64Array

Bools = npt.NDArray[np.bool_]

_PART_OF_ERROR = 1 / 16
_FAULTS = np.array([*(kind not in NOTES for kind in KINDS), False])


class Agreement:
    """Compares the results on some failing rows with those of many forms.

    Attributes:
        block: the rows.
    """

    def __init__(self, block: FailingBlock) -> None:
        self.block = block
        actual, exact = block.actual, block.exact
        passes = ~_FAULTS[block.kinds]
        self._passes = passes if passes.any() else None
        self._undefined = undefined if (undefined := np.isnan(actual)).any() else None
        with np.errstate(all="ignore"):
            target = FORMATS[block.result_dtype]
            exponent = np.maximum(np.frexp(actual)[1] - 1, target.min_exponent)
            exponent = np.where(np.isfinite(actual), exponent - target.precision + 1, 0)
            error = np.abs(actual - exact)
            error = np.where(np.isfinite(error), error, np.abs(actual))
            slack = _PART_OF_ERROR * error + np.ldexp(1.0, exponent)
            # a zero that is wrong is only reproduced by a zero
            tiny = _PART_OF_ERROR * np.abs(exact)
            slack = np.where(actual == 0, np.where(tiny < slack, tiny, slack), slack)
            # an infinity by none but itself
            self._slack = np.where(np.isfinite(actual) & ~np.isnan(slack), slack, -1.0)

    def rows(self, out: Float64Array) -> Bools:
        """Which rows agree with the results of a form: (rows,).

        Args:
            out: (rows, components), in the shape of the block's results.
        """
        actual = self.block.actual
        with np.errstate(all="ignore"):
            good = np.abs(actual - out) <= self._slack
            good |= actual == out
        if self._undefined is not None:
            good |= self._undefined & np.isnan(out)
        if self._passes is not None:
            good |= self._passes
        return np.asarray(good.all(axis=1))
