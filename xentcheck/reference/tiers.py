"""The truth of a case: as cheap as it may be, and as sharp as it has to be.

Three tiers, each giving enclosures with a radius:

* ``float64``: the array forms in float64 (`xentcheck.reference.forms`), where the dtype has 32 bits
  or fewer. Where nothing cancels the radius is below 2^-38 of the result: 2^-14 ulp of float32.
* ``binary128``: the same forms in binary128, by numpy-quaddtype; the first one for float64. The
  radius is below 2^-94. Without that package this tier is missing, and the next one serves.
* ``mpmath``: the arbiter (`xentcheck.reference.arbiter`), row by row.

Every row starts on the lowest tier. Scoring says which rows a radius leaves undecided, and those
go up. What a form does not cover (`FormResult.left`) has an infinite radius, so it goes up as well.
"""

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import replace
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Block, Loss
from xentcheck.model import Accepts, Case, Float64Array, Quantity
from xentcheck.reference import arbiter
from xentcheck.reference.balls import BINARY128, FLOAT64, ArrayArithmetic, Ball
from xentcheck.reference.enclosures import Balls, Enclosures
from xentcheck.reference.forms import FORMS, Partial

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


class Reference:
    """The exact results of one case, each row as sharp as it was asked for.

    A value under a reduction is of all rows: they stand on one tier there.
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
        self._lowest = self._enclosed(self.tiers[0], None, self.quantities)
        self._sharper: dict[tuple[int, frozenset[Quantity]], _Sharper] = {}

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
        together = self._reduced and quantity is Quantity.VALUE
        wanted = np.arange(self.case.rows) if together else rows
        own = frozenset({quantity}) if self._reduced else self.quantities
        known = self._sharper.setdefault((level, own), _Sharper(self.case.rows))
        missing = wanted[known.position[wanted] < 0]
        if len(missing):
            known.add(missing, self._enclosed(self.tiers[level], missing, own))
        self.level[wanted] = np.maximum(self.level[wanted], level)
        return known.of(quantity, rows)

    def midpoints(self, quantity: Quantity, rows: Rows | slice) -> Float64Array:
        """Approximations of some rows in float64, by the sharpest tier that was asked."""
        numbers = self._lowest[quantity].at(rows).midpoints()
        every = np.arange(self.case.rows)[rows]
        for (_, own), known in sorted(self._sharper.items(), key=lambda item: item[0][0]):
            if quantity not in own:
                continue
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

    def _enclosed(
        self, tier: Tier, rows: Rows | None, quantities: frozenset[Quantity]
    ) -> dict[Quantity, Results]:
        """Enclosures by one tier of some rows, or of all; under a reduction of one quantity."""
        if tier is Tier.MPMATH:
            return _by_arbiter(self.case, rows, quantities)
        arithmetic = FLOAT64 if tier is Tier.FLOAT64 else BINARY128
        assert arithmetic is not None
        return _enclosed(arithmetic, self.case, rows, quantities)


def _enclosed(
    arithmetic: ArrayArithmetic, case: Case, rows: Rows | None, quantities: Set[Quantity]
) -> dict[Quantity, Results]:
    """Enclosures of some rows, or of all, by the array forms, a few rows at a time.

    Under a reduction the value is that of all rows, whichever are given. Of the rows nothing is
    kept but what is asked for, so that a long reduction takes no more memory than its values.
    """
    loss = LOSSES[case.loss]
    chosen = np.arange(case.rows) if rows is None else rows
    step = max(1, BLOCK_ELEMENTS // case.classes)
    spans: Iterator[Any] = (
        row_parts(case)
        if rows is None
        else (chosen[first : first + step] for first in range(0, len(chosen), step))
    )
    divisor = _divisor(arithmetic, loss, case)
    empty = divisor is not None and bool(divisor.midpoint == 0)
    form = FORMS[loss.id]
    collected = {each: _Assembly(len(chosen)) for each in quantities}
    values: list[Partial] = []
    for span in spans:
        block = arbiter.block_of(case, span)
        with np.errstate(all="ignore"):
            pieces = form(arithmetic, block, quantities)
            for quantity, piece in pieces.quantities.items():
                if quantity not in quantities:
                    continue
                if pieces.left is not None:
                    _leave(piece, pieces.left)
                if case.reduced and quantity is Quantity.VALUE:
                    values.append(piece)
                    continue
                if empty:
                    _nothing(piece)
                elif divisor is not None:
                    piece.ball = piece.ball / divisor
                collected[quantity].add(_finished(piece))
    results = {quantity: each.results() for quantity, each in collected.items() if each}
    if values:
        with np.errstate(all="ignore"):
            total = _missing_mean(arithmetic) if empty else _total(_joined(values), divisor)
            results[Quantity.VALUE] = _finished(total)
    return results


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

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self._balls is not None or bool(self._parts)

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


def _leave(piece: Partial, left: npt.NDArray[np.bool_]) -> None:
    """Say of some rows that nothing is known."""
    piece.put(left, 0.0)
    ball = piece.ball
    if ball.absolute is None:
        ball.absolute = ball.arithmetic.zeros(ball.midpoint.shape)
    ball.absolute[left] = np.inf


def _finished(piece: Partial) -> Results:
    if piece.ball.arithmetic is FLOAT64:
        return piece.ball.balls(piece.accepts)
    return piece.ball.enclosures(piece.accepts)


def _by_arbiter(
    case: Case, rows: Rows | None, quantities: Set[Quantity] = frozenset(Quantity)
) -> dict[Quantity, Results]:
    if not case.reduced and rows is not None:
        value, gradient = arbiter.rows_of(case, rows.tolist())
        return {Quantity.VALUE: value, Quantity.GRADIENT: gradient}
    if not case.reduced or rows is None or few_distinct(case):
        found = arbiter.exact(case)
        gradient = found.gradient if rows is None else found.gradient.at(rows)
        return {Quantity.VALUE: found.value, Quantity.GRADIENT: gradient}
    results: dict[Quantity, Results] = {}
    if Quantity.VALUE in quantities:
        results[Quantity.VALUE] = _total_of_many(case)
    if Quantity.GRADIENT in quantities:
        chosen = range(case.rows) if rows is None else rows.tolist()
        found_by_row = [
            arbiter.component_of_block(case, row, index)
            for row in chosen
            for index in range(case.classes)
        ]
        shape = (len(chosen), *case.logits.shape[1:])
        results[Quantity.GRADIENT] = Enclosures.joined(found_by_row).reshaped(shape)
    return results


MOST_DISTINCT = 1 << 9
"""Of so many distinct rows a reduction's total is worked out by mpmath, row by row."""

NARROW = 2.0**-80
"""The relative radius at which the arbiter takes a result for decided."""


def few_distinct(case: Case) -> bool:
    """Whether a block has so few distinct rows that mpmath may take every one."""
    return case.rows <= MOST_DISTINCT or len(arbiter.distinct_rows(case)[0]) <= MOST_DISTINCT


def _total_of_many(case: Case) -> Enclosures:
    """The value of a reduction of many distinct rows, as narrow as the arbiter's.

    Each row is enclosed in binary128, and so is their sum; what that leaves too wide, and
    everything where there is no binary128, is worked out by mpmath.
    """
    if BINARY128 is not None:
        total = _enclosed(BINARY128, case, None, frozenset({Quantity.VALUE}))[Quantity.VALUE]
        assert isinstance(total, Enclosures)
        if float(total.radius) <= NARROW * abs(float(total.hi)) or not np.isfinite(total.hi):
            return total
    return arbiter.exact(case).value


def exact_of_block(case: Case) -> tuple[Enclosures, Enclosures]:
    """Value and gradient of a whole block, as narrow as the arbiter's.

    By mpmath, but for a reduction of many distinct rows, which binary128 takes where it is.
    """
    if case.reduced and BINARY128 is not None and not few_distinct(case):
        found = _enclosed(BINARY128, case, None, frozenset({Quantity.GRADIENT}))
        gradient = found[Quantity.GRADIENT]
        assert isinstance(gradient, Enclosures)
        return _total_of_many(case), gradient
    whole = arbiter.exact(case)
    return whole.value, whole.gradient


def distinct_places(case: Case) -> list[int]:
    """The first of each kind of equal rows, `MOST_DISTINCT` at most."""
    return [int(each) for each in arbiter.distinct_rows(case)[0][:MOST_DISTINCT]]


def exact_in_block(
    case: Case, row: int, quantity: Quantity, index: int, dtype: str = ""
) -> tuple[Enclosures, Float64Array]:
    """One exact result of a reduction and its condition number, (1,) each; see `exact_component`.

    A gradient takes its own row and the divisor, the value all rows. The condition number of a
    value is NaN, that of a gradient the one of its row.
    """
    if quantity is Quantity.VALUE:
        return _total_of_many(case).reshaped((1,)), np.array([np.nan])
    apart = {name: each for name, each in case.parameters.items() if name != "reduction"}
    _, condition = exact_component(replace(case, parameters=apart), row, quantity, index, dtype)
    return arbiter.component_of_block(case, row, index), condition


def _divisor(arithmetic: ArrayArithmetic, loss: Loss, case: Case) -> Ball | None:
    """What a mean divides by; None where nothing is divided."""
    if case.parameters.get("reduction") != "mean":
        return None
    return arithmetic.exact(arbiter.row_weights(loss, case), sign=1).total()


def _missing_mean(arithmetic: ArrayArithmetic) -> Partial:
    """A mean over nothing: NaN or 0."""
    ball = Ball(arithmetic, np.asarray(arithmetic.exact(np.nan).midpoint))
    return Partial(ball, np.full((), int(Accepts.ZERO), dtype=np.uint8))


def _nothing(piece: Partial) -> None:
    """A mean over nothing has no gradient."""
    arithmetic = piece.ball.arithmetic
    piece.ball = Ball(arithmetic, arithmetic.zeros(piece.ball.midpoint.shape))
    piece.accepts = None


def _joined(values: list[Partial]) -> Partial:
    """The values of consecutive rows as one piece."""
    if len(values) == 1:
        return values[0]
    balls = [each.ball for each in values]
    arithmetic = balls[0].arithmetic
    absolute = accepts = None
    if any(each.absolute is not None for each in balls):
        absolute = np.concatenate(
            [
                arithmetic.zeros(each.midpoint.shape) if each.absolute is None else each.absolute
                for each in balls
            ]
        )
    if any(each.accepts is not None for each in values):
        accepts = np.concatenate(
            [
                np.zeros(each.ball.midpoint.shape, dtype=np.uint8)
                if each.accepts is None
                else each.accepts
                for each in values
            ]
        )
    signs = {each.sign for each in balls}
    ball = Ball(
        arithmetic,
        np.concatenate([each.midpoint for each in balls]),
        max(each.relative for each in balls),
        absolute,
        signs.pop() if len(signs) == 1 else 0,
    )
    return Partial(ball, accepts)


def _total(piece: Partial, divisor: Ball | None) -> Partial:
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
    piece.ball.midpoint = np.asarray(piece.ball.midpoint)
    return piece


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


def disagreement(truth: Reference, row: int) -> str:
    """Hold what the lowest tier says of a row against the arbiter; '' when it agrees.

    Raises:
        UncertifiedError: the arbiter cannot decide the row.
    """
    case = truth.case
    if case.reduced and not few_distinct(case):
        # of very many rows mpmath takes this one alone
        apart = {name: each for name, each in case.parameters.items() if name != "reduction"}
        case = replace(case, parameters=apart)
        truth = Reference(case, truth.quantities, truth.tiers)
    rows = np.array([row])
    certain = _by_arbiter(case, rows)
    for quantity in sorted(truth.quantities):
        enclosures = certain[quantity]
        assert isinstance(enclosures, Enclosures)
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
