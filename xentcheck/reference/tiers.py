"""The truth of a case: as cheap as it may be, and as sharp as it has to be.

Three tiers, each giving enclosures with a radius:

* ``float64``: the array forms in float64 (`xentcheck.reference.forms`), where the dtype has 32 bits
  or fewer. Where nothing cancels the radius is below 2^-38 of the result: 2^-14 ulp of float32.
* ``binary128``: the same forms in binary128, by numpy-quaddtype; the first one for float64. The
  radius is below 2^-94. Without that package this tier is missing, and the next one serves.
* ``mpmath``: the arbiter (`xentcheck.reference.arbiter`), row by row.

Every row starts on the lowest tier. Scoring says which rows a radius leaves undecided, and those
go up. What a form does not cover (`Pieces.left`) has an infinite radius, so it goes up as well.
"""

from collections import Counter
from collections.abc import Iterator, Set
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Block, Loss
from xentcheck.model import Accepts, Balls, Case, Enclosures, Float64Array, Quantity
from xentcheck.reference import arbiter
from xentcheck.reference.balls import (
    BINARY128,
    FLOAT64,
    ArrayArithmetic,
    Ball,
)
from xentcheck.reference.forms import FORMS, Piece

BLOCK_ELEMENTS = 1 << 15
"""Numbers that are enclosed together: few enough for a core's cache."""

Results: TypeAlias = Balls | Enclosures
Rows: TypeAlias = npt.NDArray[np.intp]


class Tier(StrEnum):
    """What an exact result was enclosed by."""

    FLOAT64 = "float64"
    BINARY128 = "binary128"
    MPMATH = "mpmath"


def tiers_for(dtype: str) -> tuple[Tier, ...]:
    """The tiers that serve a dtype, lowest first."""
    first = (Tier.FLOAT64,) if FORMATS[dtype].bits <= 32 else ()
    second = (Tier.BINARY128,) if BINARY128 is not None else ()
    return (*first, *second, Tier.MPMATH)


def row_parts(case: Case, elements: int = BLOCK_ELEMENTS) -> Iterator[slice]:
    """A case's rows in parts of about so many numbers."""
    step = max(1, elements // case.classes)
    for first in range(0, case.rows, step):
        yield slice(first, min(first + step, case.rows))


class Truth:
    """The exact results of one case, each row as sharp as it was asked for.

    Under a reduction all rows have one fate: they stand on the same tier.
    """

    def __init__(
        self,
        case: Case,
        quantities: Set[Quantity] = frozenset(Quantity),
        tiers: tuple[Tier, ...] = (),
    ) -> None:
        """Enclose every row on the lowest tier.

        Args:
            case: the block of rows.
            quantities: what will be asked for; value and gradient share most of their cost.
            tiers: instead of those of the dtype; lowest first, the last one mpmath.

        Raises:
            UncertifiedError: there is no tier but mpmath, and it cannot decide some row.
        """
        self.case = case
        self.tiers = tiers or tiers_for(case.dtype)
        self.level = np.zeros(case.rows, dtype=np.uint8)
        self._loss: Loss = LOSSES[case.loss]
        self.quantities = frozenset(quantities)
        self._reduced = case.reduced
        self._lowest = self._enclosed(self.tiers[0], None)
        self._sharper: dict[int, _Sharper] = {}

    def decided(self) -> Counter[Tier]:
        """How many rows each tier decided, as far as was asked."""
        if not self.level.any():
            return Counter({self.tiers[0]: self.case.rows})
        counts = np.bincount(self.level, minlength=len(self.tiers))
        return Counter({tier: int(n) for tier, n in zip(self.tiers, counts, strict=True) if n})

    def at(self, quantity: Quantity, rows: slice) -> Results:
        """The lowest tier's enclosures of some rows; of the value under a reduction: ()."""
        results = self._lowest[quantity]
        return results if results.shape == () else results.at(rows)

    def sharper(self, quantity: Quantity, rows: Rows, level: int) -> Enclosures:
        """Enclosures of some rows by the tier at this place in `tiers`, from 1.

        Raises:
            UncertifiedError: the arbiter cannot decide some row.
        """
        every = np.arange(self.case.rows)
        wanted = every if self._reduced else rows
        known = self._sharper.setdefault(level, _Sharper(self.case.rows))
        missing = wanted[known.position[wanted] < 0]
        if len(missing):
            known.add(missing, self._enclosed(self.tiers[level], missing))
        self.level[wanted] = np.maximum(self.level[wanted], level)
        return known.of(quantity, rows)

    def midpoints(self, quantity: Quantity, rows: Rows | slice) -> Float64Array:
        """Approximations of some rows in float64, by the sharpest tier that was asked."""
        numbers = self._lowest[quantity].at(rows).midpoints()
        every = np.arange(self.case.rows)[rows]
        for _, known in sorted(self._sharper.items()):
            here = np.flatnonzero(known.position[every] >= 0)
            if len(here):
                numbers = numbers.copy()
                numbers[here] = known.of(quantity, every[here]).midpoints()
        return numbers

    def condition(self, quantity: Quantity, rows: Rows | slice, dtype: str) -> Float64Array:
        """Condition numbers of some rows; of the value under a reduction: NaN, ().

        ``dtype`` is that of the results which are held to them.
        """
        if self._reduced and quantity is Quantity.VALUE:
            return np.full((), np.nan)
        block = arbiter.block_of(self.case, rows)
        value, gradient = self._approximate(block, rows)
        smallest = FORMATS[dtype].smallest_normal
        return arbiter.condition(self._loss, block, value, gradient, quantity, smallest)

    def _approximate(self, block: Block, rows: Rows | slice) -> tuple[Float64Array, Float64Array]:
        """Values and gradients of some rows in float64, by the sharpest tier they are on."""
        known = frozenset() if self._reduced else self.quantities
        numbers = {each: self.midpoints(each, rows) for each in known}
        if known != frozenset(Quantity):
            # what was not asked for, or is known only divided by the rows' weights
            arithmetic = FLOAT64 if FORMATS[self.case.dtype].bits <= 32 else BINARY128 or FLOAT64
            with np.errstate(all="ignore"):
                pieces = FORMS[self._loss.id](arithmetic, block, frozenset(Quantity)).quantities
                for quantity, piece in pieces.items():
                    numbers.setdefault(quantity, piece.ball.midpoint.astype(np.float64))
        return numbers[Quantity.VALUE], numbers[Quantity.GRADIENT]

    def _enclosed(self, tier: Tier, rows: Rows | None) -> dict[Quantity, Results]:
        """Enclosures by one tier of some rows, or of all."""
        if tier is Tier.MPMATH:
            return _by_arbiter(self.case, rows, self._reduced)
        arithmetic = FLOAT64 if tier is Tier.FLOAT64 else BINARY128
        assert arithmetic is not None
        case = self.case
        chosen = np.arange(case.rows) if rows is None else rows
        step = max(1, BLOCK_ELEMENTS // case.classes)
        spans: Iterator[Any] = (
            row_parts(case)
            if rows is None
            else (chosen[first : first + step] for first in range(0, len(chosen), step))
        )
        if self._reduced:
            return _reduced(arithmetic, self._loss, case, self.quantities)
        form = FORMS[self._loss.id]
        collected = {each: _Assembly(len(chosen)) for each in self.quantities}
        for span in spans:
            block = arbiter.block_of(case, span)
            with np.errstate(all="ignore"):
                pieces = form(arithmetic, block, self.quantities)
                for quantity, piece in pieces.quantities.items():
                    if pieces.left is not None:
                        _leave(piece, pieces.left)
                    collected[quantity].add(_finished(piece))
        return {quantity: each.results() for quantity, each in collected.items()}


class _Assembly:
    """The results of consecutive parts, put together as they come, while they are in cache."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._filled = 0
        self._parts: list[Enclosures] = []
        self._balls: Balls | None = None

    def add(self, part: Results) -> None:
        """Take in the next part."""
        if isinstance(part, Enclosures):
            self._parts.append(part)
            return
        first, self._filled = self._filled, self._filled + part.shape[0]
        if first == 0 and self._filled == self._rows:
            self._balls = part
            return
        known = self._balls
        shape = (self._rows, *part.shape[1:])
        midpoint = np.empty(shape) if known is None else known.midpoint
        absolute = None if known is None else known.absolute
        accepts = None if known is None else known.accepts
        here = slice(first, self._filled)
        midpoint[here] = part.midpoint
        if part.absolute is not None:
            absolute = np.zeros(shape) if absolute is None else absolute
            absolute[here] = part.absolute
        if part.accepts is not None:
            accepts = np.zeros(shape, dtype=np.uint8) if accepts is None else accepts
            accepts[here] = part.accepts
        relative = part.relative if known is None else max(known.relative, part.relative)
        below_one = part.below_one and (known is None or known.below_one)
        self._balls = Balls(midpoint, relative, absolute, accepts, below_one)

    def results(self) -> Results:
        """All parts as one."""
        return self._balls if self._balls is not None else Enclosures.joined(self._parts)


class _Sharper:
    """What a higher tier knows of some rows."""

    def __init__(self, rows: int) -> None:
        self.position = np.full(rows, -1, dtype=np.intp)
        self._known: dict[Quantity, Enclosures] = {}

    def add(self, rows: Rows, results: dict[Quantity, Results]) -> None:
        """Note the enclosures of rows that were not known."""
        first = int(self.position.max()) + 1
        self.position[rows] = first + np.arange(len(rows))
        for quantity, result in results.items():
            assert isinstance(result, Enclosures)
            known = self._known.get(quantity)
            reduced = result.shape == ()
            joined = result if known is None or reduced else Enclosures.joined([known, result])
            self._known[quantity] = joined

    def of(self, quantity: Quantity, rows: Rows) -> Enclosures:
        """The enclosures of rows that are known; () of a reduced value."""
        known = self._known[quantity]
        return known if known.shape == () else known.at(self.position[rows])


def _leave(piece: Piece, left: npt.NDArray[np.bool_]) -> None:
    """Say of some rows that nothing is known."""
    piece.put(left, 0.0)
    ball = piece.ball
    if ball.absolute is None:
        ball.absolute = ball.arithmetic.zeros(ball.midpoint.shape)
    ball.absolute[left] = np.inf


def _finished(piece: Piece) -> Results:
    if piece.ball.arithmetic is FLOAT64:
        return piece.ball.balls(piece.accepts)
    return piece.ball.enclosures(piece.accepts)


def _by_arbiter(case: Case, rows: Rows | None, reduced: bool) -> dict[Quantity, Results]:
    if rows is None or reduced:
        found = arbiter.exact(case)
        return {Quantity.VALUE: found.value, Quantity.GRADIENT: found.gradient}
    value, gradient = arbiter.rows_of(case, rows.tolist())
    return {Quantity.VALUE: value, Quantity.GRADIENT: gradient}


def _reduced(
    arithmetic: ArrayArithmetic, loss: Loss, case: Case, quantities: Set[Quantity]
) -> dict[Quantity, Results]:
    """The sum or weighted mean of all rows, and its gradient."""
    block = arbiter.block_of(case)
    results: dict[Quantity, Results] = {}
    with np.errstate(all="ignore"):
        pieces = FORMS[loss.id](arithmetic, block, quantities)
        divisor = None
        if case.parameters.get("reduction") == "mean":
            divisor = arithmetic.exact(loss.row_weights(block), sign=1).total()
        empty = divisor is not None and bool(divisor.midpoint == 0)
        for quantity, piece in pieces.quantities.items():
            if pieces.left is not None:
                _leave(piece, pieces.left)
            if empty:
                # a mean over nothing: NaN or 0, and no gradient
                _nothing(piece, quantity)
            elif quantity is Quantity.VALUE:
                _total(piece, divisor)
            elif divisor is not None:
                piece.ball = piece.ball / divisor
            if quantity is Quantity.VALUE:
                piece.ball.midpoint = np.asarray(piece.ball.midpoint)
            results[quantity] = _finished(piece)
    return results


def _nothing(piece: Piece, quantity: Quantity) -> None:
    arithmetic = piece.ball.arithmetic
    if quantity is Quantity.VALUE:
        piece.ball = Ball(arithmetic, arithmetic.exact(np.nan).midpoint)
        piece.accepts = np.full((), int(Accepts.ZERO), dtype=np.uint8)
    else:
        piece.ball = Ball(arithmetic, arithmetic.zeros(piece.ball.midpoint.shape))
        piece.accepts = None


def _total(piece: Piece, divisor: Ball | None) -> None:
    """The rows' values added up.

    Infinities and NaN among them decide, unless a row is still open: it might be another one. A
    row that may be NaN or 0 counts as 0 beside others, and NaN is accepted for the total.
    """
    ball = piece.ball
    if piece.accepts is not None:
        either = np.isnan(ball.midpoint) & ((piece.accepts & Accepts.ZERO) != 0)
        if not either.all():
            piece.put(np.asarray(either), 0.0, Accepts.NAN)
    odd = ~np.isfinite(ball.midpoint)
    if ball.absolute is not None and np.isinf(ball.absolute).any():
        piece.ball = ball.arithmetic.unknown(())
    elif odd.any():
        plain = float(np.sum(ball.midpoint[odd].astype(np.float64)))
        piece.ball = Ball(ball.arithmetic, ball.arithmetic.exact(plain).midpoint)
    else:
        total = ball.total()
        piece.ball = total if divisor is None else total / divisor
        absolute = piece.ball.absolute
        piece.ball.absolute = None if absolute is None else np.asarray(absolute)
    if piece.accepts is not None:
        piece.accepts = np.asarray(np.bitwise_or.reduce(piece.accepts), dtype=np.uint8)


def exact_component(
    case: Case, row: int, quantity: Quantity, index: int, dtype: str = ""
) -> tuple[Enclosures, Float64Array]:
    """One exact result of one row by the arbiter, and its condition number, (1,) each.

    The condition number is approximate, like all of them: what it depends on beside the result
    itself comes from float64.

    Args:
        case: the block that has the row.
        row: its place in the block.
        quantity: of the value or the gradient.
        index: the component (0 of a value per row).
        dtype: that of the result which is held to it; "" is the case's own.

    Raises:
        UncertifiedError: the arbiter cannot decide the result.
    """
    found = arbiter.component(case, row, quantity, index)
    loss = LOSSES[case.loss]
    block = arbiter.block_of(case, [row])
    with np.errstate(all="ignore"):
        pieces = FORMS[loss.id](FLOAT64, block, frozenset(Quantity)).quantities
        near = {each: piece.ball.midpoint.copy() for each, piece in pieces.items()}
    near[quantity].reshape(1, -1)[0, index] = found.midpoints()[0]
    smallest = FORMATS[dtype or case.dtype].smallest_normal
    both = near[Quantity.VALUE], near[Quantity.GRADIENT]
    condition = arbiter.condition(loss, block, *both, quantity, smallest)
    return found, np.array([condition.reshape(1, -1)[0, index]])


def disagreement(truth: Truth, row: int) -> str:
    """Hold what the lowest tier says of a row against the arbiter; '' when it agrees.

    Raises:
        UncertifiedError: the arbiter cannot decide the row.
    """
    case = truth.case
    reduced = case.reduced
    rows = np.array([row])
    certain = _by_arbiter(case, rows, reduced)
    for quantity in sorted(truth.quantities):
        enclosures = certain[quantity]
        assert isinstance(enclosures, Enclosures)
        if reduced and enclosures.shape != ():
            enclosures = enclosures.at(rows)
        claimed = truth.at(quantity, slice(row, row + 1))
        if outside(claimed, enclosures) is not None:
            return f"the {quantity} of {arbiter.place(case, row)}"
    return ""


def outside(claimed: Results, certain: Enclosures) -> tuple[int, ...] | None:
    """Where a claim does not contain, to within its own radius, what is certain; None: nowhere."""
    if isinstance(claimed, Balls):
        claimed = claimed.enclosures()
    for position in np.ndindex(certain.shape):
        if not _contains(claimed, certain, position):
            return position
    return None


def _contains(claimed: Enclosures, certain: Enclosures, position: tuple[int, ...]) -> bool:
    radius = float(claimed.radius[position])
    if radius == np.inf and np.isfinite(claimed.hi[position]):
        return True
    if claimed.accepts[position] != certain.accepts[position]:
        return False
    one, other = float(claimed.hi[position]), float(certain.hi[position])
    if not (np.isfinite(one) and np.isfinite(other)):
        return one == other or (one != one and other != other)
    mine, theirs = _interval(claimed, position), _interval(certain, position)
    return mine[0] <= theirs[1] and theirs[0] <= mine[1]


def _interval(enclosures: Enclosures, position: tuple[int, ...]) -> tuple[Fraction, Fraction]:
    # beyond 2^±20000 nothing depends on the exact exponent
    exponent = min(max(int(enclosures.exponent[position]), -20000), 20000)
    unit = Fraction(2) ** exponent
    middle = Fraction(float(enclosures.hi[position])) + Fraction(float(enclosures.lo[position]))
    radius = Fraction(float(enclosures.radius[position]))
    return (middle - radius) * unit, (middle + radius) * unit
