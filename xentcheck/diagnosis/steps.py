"""The steps of a form: they compute in a dtype, and note what loses digits where.

A model is a function over `Steps`. It runs in three ways: in a dtype, over whole blocks; with
chosen steps stored in a narrower dtype; and over `ExactNumber`, to show the exact value of each
step beside the computed one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, to_float64
from xentcheck.model import Array, Cause, Float64Array

BEYOND = 1e300
"""The size of an error that replaces a wrong finite result by another."""


@dataclass(slots=True)
class Steps:
    """Runs a form, step by step.

    Attributes:
        dtype: the dtype of the computation, by name; "" for exact numbers.
        narrow: the dtype in which a step is stored, by the name of the step.
        sums: how sums over classes are formed: ``pairwise`` (NumPy's), ``sequential``, or the name
            of a wider dtype.
        blaming: whether what loses digits is noted.
        named: the values of the steps, in order.
    """

    dtype: str
    narrow: Mapping[str, str] = field(default_factory=dict)
    sums: str = "pairwise"
    blaming: bool = True
    named: dict[str, Any] = field(default_factory=dict)
    _blames: list[tuple[Cause | None, Float64Array]] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether the steps are computed with exact numbers."""
        return not self.dtype

    @property
    def u(self) -> float:
        """The unit roundoff: half an ulp of 1. 0 for exact numbers."""
        return 0.0 if self.exact else float(2.0 ** -FORMATS[self.dtype].precision)

    def number(self, value: float, like: Array) -> Any:
        """A constant in the dtype of ``like``."""
        return like.flat[0] * 0 + value if self.exact else like.dtype.type(value)

    def keep(self, name: str, value: Array) -> Array:
        """Name a step, and store it in a narrower dtype if that is asked for."""
        if name in self.narrow and not self.exact:
            stored = _stored(value, self.narrow[name])
            before, after = to_float64(value), to_float64(stored)
            self.blame(
                Cause.NARROW_INTERMEDIATE,
                lambda: np.where(
                    np.isfinite(before) & ~np.isfinite(after), np.inf, np.abs(after - before)
                ),
            )
            value = stored
        self.named[name] = value
        return value

    def total(
        self, terms: Array, over: Cause = Cause.SUM_OVERFLOW, rows: Array | None = None
    ) -> Array:
        """The sum over the classes, with the axis kept: (rows, 1).

        Args:
            terms: (rows, classes).
            over: the cause where the sum overflows.
            rows: the rows with this cause; that of the others is `Cause.SUM_OVERFLOW`. None: all.
        """
        if self.exact or self.sums == "pairwise":
            result = terms.sum(axis=1, keepdims=True)
        elif self.sums == "sequential":
            result = np.add.accumulate(terms, axis=1)[:, -1:]
        else:
            wide = FORMATS[self.sums].dtype
            result = terms.astype(wide).sum(axis=1, keepdims=True).astype(terms.dtype)
        if not self.exact and self.blaming:
            self._blame_sum(terms, result, over, np.True_ if rows is None else rows)
        return np.asarray(result)

    def _blame_sum(self, terms: Array, result: Array, over: Cause, rows: Any) -> None:
        computed = to_float64(result)[:, 0]
        wide = to_float64(terms)

        def overflow() -> Array:
            inside = np.isfinite(wide).all(axis=1) & ~np.isfinite(computed)
            return np.where(inside, np.inf, 0.0)

        self.blame(over, lambda: np.where(rows, overflow(), 0.0))
        self.blame(Cause.SUM_OVERFLOW, lambda: np.where(rows, 0.0, overflow()))
        if terms.shape[1] >= _MANY:

            def lost() -> Array:
                whole = wide.sum(axis=1)
                off = np.abs(computed - whole) / np.where(whole > 0, whole, 1.0)
                return np.where(np.isfinite(off) & (off > 4 * self.u), off, 0.0)

            self.blame(Cause.LOW_PRECISION_ACCUMULATION, lost)

    def blame(self, cause: Cause | None, size: Callable[[], Array]) -> None:
        """Note how far a step may move the result of each row.

        Args:
            cause: the cause, if this is the largest error of the row; None if it has no name.
            size: gives absolute errors of the result, (rows,) or (rows, classes); inf where the
                step turns the result into NaN or an infinity.
        """
        if self.exact or not self.blaming:
            return
        sizes = np.asarray(size(), dtype=np.float64)
        if sizes.ndim == 2:
            sizes = np.fmax.reduce(sizes, axis=1, initial=0.0)
        self._blames.append((cause, np.nan_to_num(sizes, nan=0.0, posinf=np.inf)))

    @property
    def blamed(self) -> int:
        """How many blames there are so far."""
        return len(self._blames)

    def rescale(self, since: int, factor: Callable[[], Array]) -> None:
        """Scale the finite blames of a step whose result is multiplied later.

        Args:
            since: the number of blames before the step.
            factor: gives the factor of each row, (rows,).
        """
        if self.exact or not self.blaming:
            return
        scale = np.nan_to_num(np.abs(factor()), nan=1.0, posinf=BEYOND)
        self._blames[since:] = [
            (cause, np.where(np.isfinite(sizes), np.minimum(sizes, BEYOND) * scale, sizes))
            for cause, sizes in self._blames[since:]
        ]

    def causes(self, results: Float64Array) -> Array:
        """The cause of the largest error of each row, as objects; None where no step is blamed.

        A step that makes an infinity is no cause where the result is finite after all; where the
        result is not finite, only such steps are.

        Args:
            results: the results of the form, (rows, components).
        """
        rows = len(results)
        finite = np.isfinite(results).all(axis=1)
        undefined = np.isnan(results).any(axis=1)
        largest = np.zeros(rows)
        found = np.full(rows, None, dtype=object)
        for cause, given in self._blames:
            sizes = np.broadcast_to(given, (rows,))
            counts = np.where(finite, np.isfinite(sizes), np.isinf(sizes))
            more = counts & (sizes > largest)
            if cause is Cause.ZERO_TIMES_INF:  # it lets through what has no effect otherwise
                logs = np.array([each in _MULTIPLIED for each in found.tolist()], dtype=np.bool_)
                more |= counts & undefined & np.isinf(sizes) & logs
            largest[more] = sizes[more]
            found[more] = cause
        return found


_MULTIPLIED = (Cause.LOG_OF_SATURATED_PROBABILITY, Cause.INF_MINUS_INF)


_MANY = 32
"""From this many classes on, a sum may lose more than its last digits."""


def as_float64(value: Array) -> Float64Array:
    """The values of a step in float64. A form runs with NumPy's warnings off."""
    return np.asarray(value).astype(np.float64, copy=False)


TRUNCATED = " truncated"
"""At the end of the name of a narrower dtype: the lowest bits are dropped, not rounded."""


def _stored(value: Array, how: str) -> Array:
    """A value as it comes back from a narrower dtype."""
    name = how.removesuffix(TRUNCATED)
    if name == how or value.dtype != np.float32:
        return np.asarray(value.astype(FORMATS[name].dtype).astype(value.dtype))
    dropped = FORMATS["float32"].precision - FORMATS[name].precision
    bits = np.ascontiguousarray(value).view(np.uint32) >> np.uint32(dropped) << np.uint32(dropped)
    return np.asarray(bits.view(np.float32))
