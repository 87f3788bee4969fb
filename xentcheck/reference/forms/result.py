"""The result of an array form: enclosures of value and gradient, and the rows not covered."""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.losses.spec import Block
from xentcheck.model import Accepts, Array, Quantity
from xentcheck.reference.balls import ArrayArithmetic, Ball

Mask: TypeAlias = npt.NDArray[np.bool_]
Form: TypeAlias = Callable[[ArrayArithmetic, Block, Set[Quantity]], "FormResult"]
"""Encloses the wanted quantities of a block in an arithmetic."""


@dataclass(slots=True, eq=False)
class Partial:
    """The enclosures of one quantity, while elements are still set by convention."""

    ball: Ball
    accepts: npt.NDArray[np.uint8] | None = None

    def put(
        self, where: Mask, number: float | Array | Ball, accepts: Accepts = Accepts.NOTHING
    ) -> None:
        """Set the elements at ``where``.

        Args:
            where: mask of rows, or of elements.
            number: an exact number for all of them, or a ball or an array in the shape of the
                piece, which gives the elements at the same places.
            accepts: what is also accepted at these elements.
        """
        if not where.any():
            return
        where = _grown(where, self.ball.midpoint)
        self.ball.overwrite(where, number if isinstance(number, float | int) else number[where])
        if accepts or self.accepts is not None:
            self.allow(where, accepts)

    def allow(self, where: Mask, accepts: Accepts) -> None:
        """Set what is also accepted at ``where``. This replaces what was accepted before."""
        if self.accepts is None:
            self.accepts = np.zeros(self.ball.midpoint.shape, dtype=np.uint8)
        self.accepts[_grown(where, self.ball.midpoint)] = int(accepts)


def _grown(where: Mask, like: Array) -> Mask:
    """A mask of rows, extended to a mask of elements."""
    if where.ndim == like.ndim:
        return where
    return np.broadcast_to(where[:, np.newaxis], like.shape)


@dataclass(frozen=True, slots=True, eq=False)
class FormResult:
    """The result of a form for a block. A quantity that was not asked for may be missing.

    ``left`` is a mask of the rows that the form does not cover; they go to the next tier. None
    means that it covers all rows.
    """

    quantities: dict[Quantity, Partial] = field(default_factory=dict)
    left: Mask | None = None


def choose(where: Mask, one: Ball, other: Ball) -> Ball:
    """``one`` where the mask is true, ``other`` elsewhere. Both have only a relative bound."""
    assert one.absolute is None
    assert other.absolute is None
    return Ball(
        one.arithmetic,
        np.where(where, one.midpoint, other.midpoint),
        max(one.relative, other.relative),
        sign=one.sign if one.sign == other.sign else 0,
    )
