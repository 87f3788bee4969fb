"""What an array form gives: enclosures of value and gradient, and the rows it does not cover."""

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


@dataclass(slots=True, eq=False)
class Partial:
    """The enclosures of one quantity while rows of it are still being put in by convention."""

    ball: Ball
    accepts: npt.NDArray[np.uint8] | None = None

    def put(
        self, where: Mask, number: float | Array | Ball, accepts: Accepts = Accepts.NOTHING
    ) -> None:
        """Let the elements at ``where`` be a number: a ball, or exactly NaN, an infinity, 0, 1.

        A ball or an array has the shape of the piece, and is taken at the same elements.
        """
        if not where.any():
            return
        where = _grown(where, self.ball.midpoint)
        self.ball.overwrite(where, number if isinstance(number, float | int) else number[where])
        if accepts or self.accepts is not None:
            self.allow(where, accepts)

    def allow(self, where: Mask, accepts: Accepts) -> None:
        """Let something else be accepted at ``where``, in place of what was so far."""
        if self.accepts is None:
            self.accepts = np.zeros(self.ball.midpoint.shape, dtype=np.uint8)
        self.accepts[_grown(where, self.ball.midpoint)] = int(accepts)


def _grown(where: Mask, like: Array) -> Mask:
    """A mask of rows as one of their components."""
    if where.ndim == like.ndim:
        return where
    return np.broadcast_to(where[:, np.newaxis], like.shape)


@dataclass(frozen=True, slots=True, eq=False)
class FormResult:
    """What a form says of a block. A quantity that was not asked for may be missing.

    ``left``: rows that the form does not cover, and that go to the next tier; None: it covers all.
    """

    quantities: dict[Quantity, Partial] = field(default_factory=dict)
    left: Mask | None = None


def choose(where: Mask, one: Ball, other: Ball) -> Ball:
    """``one`` where the mask is true, ``other`` elsewhere; both bounded relatively."""
    assert one.absolute is None
    assert other.absolute is None
    return Ball(
        one.arithmetic,
        np.where(where, one.midpoint, other.midpoint),
        max(one.relative, other.relative),
        sign=one.sign if one.sign == other.sign else 0,
    )
