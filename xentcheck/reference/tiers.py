"""Exact results of a case, from the cheapest tier that is sharp enough for each row.

Each of the three tiers gives enclosures with a radius:

* ``float64``: the array forms (`xentcheck.reference.forms`) in float64, for dtypes of at most 32
  bits. Where nothing cancels, the radius is below 2^-38 of the result: 2^-14 ulp of float32.
* ``double-double``: the same forms in pairs of float64 numbers
  (`xentcheck.reference.double_double`). It is the lowest tier for float64. The radius is below
  2^-64 of the result. It serves numbers and parameters of ordinary size, without noise.
* ``binary128``: the same forms in binary128, by numpy-quaddtype. The radius is below 2^-94 of the
  result. Without numpy-quaddtype this tier is skipped.
* ``mpmath``: the arbiter (`xentcheck.reference.arbiter`), row by row.

Every row starts on the lowest tier. Scoring finds the rows that are undecided because of their
radius, and these rows go to the next tier. Rows that a form does not cover (`FormResult.left`) have
an infinite radius, so they go to the next tier too.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Set
from dataclasses import replace
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from xentcheck.errors import INTERNAL_ERROR, UncertifiedError
from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Block, Loss
from xentcheck.model import Accepts, Case, Domain, Float64Array, Quantity
from xentcheck.reference import arbiter
from xentcheck.reference.balls import (
    BINARY128,
    DOUBLE_DOUBLE,
    FLOAT64,
    ArrayArithmetic,
    Ball,
    rounds_to_nearest,
)
from xentcheck.reference.double_double import (
    LARGEST_FACTOR,
    LARGEST_NUMBER,
    POWERS,
    SMALLEST_NUMBER,
)
from xentcheck.reference.element import Element
from xentcheck.reference.enclosures import LEAST_CERTAIN, Balls, Enclosures
from xentcheck.reference.forms import FORMS, Partial

BLOCK_ELEMENTS = 1 << 15
"""How many logits are enclosed together: few enough for the cache of one core."""

Known = TypeVar("Known")
Results: TypeAlias = Balls | Enclosures
Rows: TypeAlias = npt.NDArray[np.intp]


class Tier(StrEnum):
    """A method that encloses exact results."""

    FLOAT64 = "float64"
    DOUBLE_DOUBLE = "double-double"
    BINARY128 = "binary128"
    MPMATH = "mpmath"


def tiers_for(dtype: str) -> tuple[Tier, ...]:
    """The tiers for a dtype, lowest first."""
    first = (Tier.FLOAT64,) if FORMATS[dtype].bits <= 32 else ()
    third = (Tier.BINARY128,) if BINARY128 is not None else ()
    return (*first, Tier.DOUBLE_DOUBLE, *third, Tier.MPMATH)


def tiers_of(case: Case) -> tuple[Tier, ...]:
    """The tiers for a case, lowest first."""
    if case.loss not in FORMS:  # a loss without a form over arrays is mpmath's alone
        return (Tier.MPMATH,)
    every = tiers_for(case.dtype)
    return every if _in_pairs(case) else tuple(each for each in every if each is not PAIRS)


NOT_NEAREST = (
    f"{INTERNAL_ERROR}: this process does not round to nearest, or takes subnormal numbers for 0. "
    "Something that was loaded into it has changed the floating-point unit: call it in a process "
    "of its own"
)

PAIRS = Tier.DOUBLE_DOUBLE
_FOCAL = "sigmoid_focal_loss"


def _in_pairs(case: Case) -> bool:
    """Whether the parameters of a case are in the range of double-double."""
    if "noise" in case.parameters:
        return False
    if case.loss == _FOCAL and float(case.parameters.get("gamma", 2.0)) not in POWERS:
        return False
    for given in case.parameters.values():
        if isinstance(given, str | bool):
            continue
        sizes = np.abs(np.asarray(given, dtype=np.float64))
        inside = (sizes <= LARGEST_FACTOR) & (sizes >= 1.0 / LARGEST_FACTOR)
        if not (inside | (sizes == 0.0)).all():
            return False
    return True


def _beyond_pairs(case: Case, block: Block) -> npt.NDArray[np.bool_] | None:
    """The rows with numbers that double-double does not serve; None: there are none.

    A logit that multiplies an exponential is a factor, for the exponential may have underflowed. A
    probability is a divisor. So are the masses of the focal loss, by way of their mean.
    """
    found = np.zeros(len(block.x), dtype=np.bool_)
    focal = case.loss == _FOCAL
    factor = focal or case.loss == "kl_divergence" or bool(case.parameters.get("z_loss"))
    divisor = LOSSES[case.loss].domain is Domain.PROBABILITIES
    for numbers, least, most in (
        (
            block.x,
            SMALLEST_NUMBER if divisor else 0.0,
            LARGEST_FACTOR if factor else LARGEST_NUMBER,
        ),
        (block.labels, 1.0 / LARGEST_FACTOR if focal else SMALLEST_NUMBER, LARGEST_FACTOR),
    ):
        if numbers is None or numbers.dtype.kind in "iub":
            continue
        sizes = np.abs(numbers)
        odd = ((sizes < least) & (sizes > 0.0)) | ((sizes > most) & (sizes < np.inf))
        if odd.any():
            found |= odd.reshape(len(odd), -1).any(axis=1)
    return found if found.any() else None


_OF_EXPONENTIALS = frozenset(
    {"softmax", "log_softmax", "logsumexp", "softmax_cross_entropy"}
    | {"sigmoid", "log_sigmoid", "softplus", "sigmoid_binary_cross_entropy"}
)
"""Losses whose small results are one or two exponentials, times factors of the case."""

_PLAIN = 300.0
_GONE = 1500.0
"""e^−300 squared is still a normal number. e^−1500 is below 2^-2100."""


def _without_twilight(case: Case, block: Block, quantity: Quantity) -> npt.NDArray[np.bool_] | None:
    """The rows whose exponentials are all either above e^−300 or below e^−1500; None: no row.

    A result of such a row that is below 2^-1000 in double-double is an exponential that has
    vanished: it is below 2^-1200, for at most 2^23 of them are added, with factors of up to 2^120.
    """
    if case.loss not in _OF_EXPONENTIALS or case.reduced or case.parameters.get("z_loss"):
        return None
    if case.loss == "logsumexp" and quantity is Quantity.VALUE:
        return None  # the largest logit may itself be small
    x = np.abs(block.x)
    if block.x.ndim > 1:
        x = block.x.max(axis=1, keepdims=True) - block.x
        x = x / float(case.parameters.get("temperature", 1.0))
    clear = [(x <= _PLAIN) | (x >= _GONE)]
    if block.labels is not None and block.labels.dtype.kind == "f":
        sizes = np.abs(block.labels)
        clear.append((sizes == 0.0) | (sizes >= 1.0 / LARGEST_FACTOR))
    rows = np.logical_and.reduce([each.reshape(len(each), -1).all(axis=1) for each in clear])
    return rows if rows.any() else None


def row_parts(case: Case, elements: int = BLOCK_ELEMENTS) -> Iterator[slice]:
    """Slices that split the rows of a case into parts of about ``elements`` logits."""
    step = max(1, elements // LOSSES[case.loss].numbers(case))
    for first in range(0, case.rows, step):
        yield slice(first, min(first + step, case.rows))


class Reference:
    """The exact results of one case. Each row is on the highest tier that was asked for it.

    The value of a reduction depends on all rows, so they are all on the same tier there.
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
            quantities: the quantities that will be asked for. Value and gradient share most of
                their cost.
            tiers: replace the tiers of the dtype; lowest first, and mpmath last.

        Raises:
            UncertifiedError: mpmath is the lowest tier and cannot decide some row; or this process
                does not round to nearest.
        """
        if not rounds_to_nearest():
            raise UncertifiedError(NOT_NEAREST)
        self.case = case
        self.tiers = tiers or tiers_of(case)
        self.level = np.zeros(case.rows, dtype=np.uint8)
        self._loss: Loss = LOSSES[case.loss]
        self.quantities = frozenset(quantities)
        self._reduced = case.reduced
        self._lowest = self._enclosed(self.tiers[0], None, self.quantities)
        self._sharper: dict[tuple[int, frozenset[Quantity]], _Sharper] = {}
        self._derived: dict[Hashable, Any] = {}

    def derived(self, key: Hashable, make: Callable[[], Known]) -> Known:
        """What is made of the exact results once, for all implementations."""
        if key not in self._derived:
            self._derived[key] = make()
        known: Known = self._derived[key]
        return known

    def knows(self, key: Hashable) -> bool:
        """Whether `derived` was asked for this before."""
        return key in self._derived

    def decided(self) -> Counter[Tier]:
        """The number of rows on each tier so far."""
        if not self.level.any():
            return Counter({self.tiers[0]: self.case.rows})
        counts = np.bincount(self.level, minlength=len(self.tiers))
        return Counter({tier: int(n) for tier, n in zip(self.tiers, counts, strict=True) if n})

    def at(self, quantity: Quantity, rows: slice) -> Results:
        """The enclosures of some rows by the lowest tier; shape () for the value of a reduction."""
        results = self._lowest[quantity]
        return results if results.shape == () else results.at(rows)

    def sharper(self, quantity: Quantity, rows: Rows, level: int) -> Enclosures:
        """Enclosures of some rows by a higher tier.

        Args:
            quantity: the value or the gradient.
            rows: indices of the rows.
            level: index into `tiers`, at least 1.

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
        """Float64 approximations of some rows, from the highest tier that each row is on."""
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
        """Condition numbers of some rows; NaN of shape () for the value of a reduction.

        ``dtype`` is the dtype of the results that are judged with them.
        """
        if self._reduced and quantity is Quantity.VALUE:
            return np.full((), np.nan)
        block = arbiter.block_of(self.case, rows)
        value, gradient = self._approximate(block, rows)
        smallest = FORMATS[dtype].smallest_normal
        return arbiter.condition(self._loss, block, value, gradient, quantity, smallest)

    def _approximate(self, block: Block, rows: Rows | slice) -> tuple[Float64Array, Float64Array]:
        """Float64 values and gradients of some rows, from the highest tier that they are on."""
        known = frozenset() if self._reduced else self.quantities
        numbers = {each: self.midpoints(each, rows) for each in known}
        if known != frozenset(Quantity):
            # quantities that were not asked for, or are known only after a division by the divisor
            arithmetic = FLOAT64 if FORMATS[self.case.dtype].bits <= 32 else BINARY128 or FLOAT64
            every = np.arange(self.case.rows)[rows]
            for quantity, near in _midpoints(arithmetic, self.case, block, every).items():
                numbers.setdefault(quantity, near)
        return numbers[Quantity.VALUE], numbers[Quantity.GRADIENT]

    def _enclosed(
        self, tier: Tier, rows: Rows | None, quantities: frozenset[Quantity]
    ) -> dict[Quantity, Results]:
        """Enclosures by one tier of some rows, or of all rows if ``rows`` is None."""
        if tier is Tier.MPMATH:
            return _by_arbiter(self.case, rows, quantities)
        arithmetic = _ARITHMETICS[tier]
        assert arithmetic is not None
        return _enclosed(arithmetic, self.case, rows, quantities)


_ARITHMETICS = {
    Tier.FLOAT64: FLOAT64,
    Tier.DOUBLE_DOUBLE: DOUBLE_DOUBLE,
    Tier.BINARY128: BINARY128,
}


def _enclosed(
    arithmetic: ArrayArithmetic, case: Case, rows: Rows | None, quantities: Set[Quantity]
) -> dict[Quantity, Results]:
    """Enclosures of some rows, or of all, by the array forms, a few rows at a time.

    The value of a reduction always covers all rows that are given. Only the requested quantities
    of a row are kept, so a long reduction needs no more memory than its values.
    """
    loss = LOSSES[case.loss]
    chosen = np.arange(case.rows) if rows is None else rows
    step = max(1, BLOCK_ELEMENTS // loss.numbers(case))
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
            beyond = _beyond_pairs(case, block) if arithmetic is DOUBLE_DOUBLE else None
            for quantity, piece in pieces.quantities.items():
                if quantity not in quantities:
                    continue
                if pieces.left is not None:
                    _leave(piece, pieces.left)
                if beyond is not None:
                    _leave(piece, beyond)
                if case.reduced and quantity is Quantity.VALUE:
                    values.append(piece)
                    continue
                if empty:
                    _nothing(piece)
                elif divisor is not None:
                    piece.ball = piece.ball / divisor
                found = _finished(piece)
                if (
                    arithmetic is DOUBLE_DOUBLE
                    and isinstance(found, Enclosures)
                    and found.exponent.min(initial=0) < LEAST_CERTAIN
                ):
                    clear = _without_twilight(case, block, quantity)
                    found = found if clear is None else found.vanishing(clear)
                collected[quantity].add(found)
    results = {quantity: each.results() for quantity, each in collected.items() if each}
    if values:
        with np.errstate(all="ignore"):
            total = _missing_mean(arithmetic) if empty else _total(_joined(values), divisor)
            results[Quantity.VALUE] = _finished(total)
    return results


class _Assembly:
    """Joins the results of consecutive parts as they arrive, while they are in the cache."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._filled = 0
        self._enclosures: Enclosures | None = None
        self._balls: Balls | None = None

    def add(self, part: Results) -> None:
        """Add the next part."""
        first, self._filled = self._filled, self._filled + part.shape[0]
        if isinstance(part, Enclosures):
            self._add_enclosures(part, first)
            return
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

    def _add_enclosures(self, part: Enclosures, first: int) -> None:
        known = self._enclosures
        if first == 0:
            whole = self._filled == self._rows
            known = part if whole else part.room_for(self._rows)
        assert known is not None
        if known is not part:
            known = known.holding(part, slice(first, self._filled))
        self._enclosures = known

    def __bool__(self) -> bool:
        """Whether any part was added."""
        return self._balls is not None or self._enclosures is not None

    def results(self) -> Results:
        """The results of all parts."""
        found = self._enclosures if self._balls is None else self._balls
        assert found is not None
        return found


class _Sharper:
    """The enclosures that a higher tier has computed; ``position`` is -1 for the other rows."""

    def __init__(self, rows: int) -> None:
        self.position = np.full(rows, -1, dtype=np.intp)
        self._known: dict[Quantity, Enclosures] = {}

    def add(self, rows: Rows, results: dict[Quantity, Results]) -> None:
        """Store the enclosures of rows that have none yet."""
        first = int(self.position.max()) + 1
        self.position[rows] = first + np.arange(len(rows))
        for quantity, result in results.items():
            assert isinstance(result, Enclosures)
            known = self._known.get(quantity)
            reduced = result.shape == ()
            joined = result if known is None or reduced else Enclosures.joined([known, result])
            self._known[quantity] = joined

    def of(self, quantity: Quantity, rows: Rows) -> Enclosures:
        """The stored enclosures of some rows; shape () for the value of a reduction."""
        known = self._known[quantity]
        return known if known.shape == () else known.at(self.position[rows])


def _leave(piece: Partial, left: npt.NDArray[np.bool_]) -> None:
    """Give some rows an infinite radius."""
    piece.put(left, 0.0)
    ball = piece.ball
    if ball.absolute is None:
        ball.absolute = ball.arithmetic.no_bounds(ball.midpoint.shape)
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
        whole = LOSSES[case.loss].result_shape(case, Quantity.GRADIENT)
        found_by_row = [
            arbiter.component_of_block(case, row, index)
            for row in chosen
            for index in range(math.prod(whole[1:]))
        ]
        shape = (len(chosen), *whole[1:])
        results[Quantity.GRADIENT] = Enclosures.joined(found_by_row).reshaped(shape)
    return results


MOST_DISTINCT = 1 << 9
"""Up to this many distinct rows, mpmath computes the total of a reduction row by row."""

NARROW = 2.0**-80
"""The relative radius at which the arbiter counts a result as decided."""


def few_distinct(case: Case) -> bool:
    """Whether a block has at most `MOST_DISTINCT` distinct rows, so that mpmath can compute all."""
    return case.rows <= MOST_DISTINCT or len(arbiter.distinct_rows(case)[0]) <= MOST_DISTINCT


def _total_of_many(case: Case) -> Enclosures:
    """The value of a reduction of many distinct rows, as narrow as the arbiter's.

    Binary128 encloses the rows and their sum. If the result is too wide, or binary128 is missing,
    mpmath computes it.
    """
    if BINARY128 is not None:
        total = _enclosed(BINARY128, case, None, frozenset({Quantity.VALUE}))[Quantity.VALUE]
        assert isinstance(total, Enclosures)
        if float(total.radius) <= NARROW * abs(float(total.hi)) or not np.isfinite(total.hi):
            return total
    return arbiter.exact(case).value


def exact_of_block(case: Case) -> tuple[Enclosures, Enclosures]:
    """Value and gradient of a whole block.

    mpmath computes them, except for a reduction of many distinct rows: there binary128 does, if it
    is available. That value is still as narrow as the arbiter's.
    """
    if case.reduced and BINARY128 is not None and not few_distinct(case):
        found = _enclosed(BINARY128, case, None, frozenset({Quantity.GRADIENT}))
        gradient = found[Quantity.GRADIENT]
        assert isinstance(gradient, Enclosures)
        return _total_of_many(case), gradient
    whole = arbiter.exact(case)
    return whole.value, whole.gradient


def distinct_places(case: Case) -> list[int]:
    """The index of the first row of each kind of equal rows, at most `MOST_DISTINCT` of them."""
    return [int(each) for each in arbiter.distinct_rows(case)[0][:MOST_DISTINCT]]


def exact_in_block(element: Element, dtype: str = "") -> tuple[Enclosures, Float64Array]:
    """One exact result of a reduction and its condition number, (1,) each.

    A gradient depends on its own row and the divisor; the value depends on all rows. The condition
    number of a value is NaN. That of a gradient is the one of its row.

    Args:
        element: the result, of a reduction.
        dtype: dtype of the result that is judged with the condition number; "" is the case's own.

    Raises:
        UncertifiedError: the arbiter cannot decide the result.
    """
    case = element.case
    if element.quantity is Quantity.VALUE:
        return _total_of_many(case).reshaped((1,)), np.array([np.nan])
    apart = {name: each for name, each in case.parameters.items() if name != "reduction"}
    alone = replace(element, case=replace(case, parameters=apart))
    _, condition = exact_component(alone, dtype)
    return arbiter.component_of_block(case, element.row, element.component), condition


def _divisor(arithmetic: ArrayArithmetic, loss: Loss, case: Case) -> Ball | None:
    """The divisor of a mean; None without a mean."""
    if case.parameters.get("reduction") != "mean":
        return None
    return arithmetic.exact(arbiter.row_weights(loss, case), sign=1).total()


def _missing_mean(arithmetic: ArrayArithmetic) -> Partial:
    """The value of a mean over nothing: NaN or 0."""
    ball = Ball(arithmetic, arithmetic.array(arithmetic.exact(np.nan).midpoint))
    return Partial(ball, np.full((), int(Accepts.ZERO), dtype=np.uint8))


def _nothing(piece: Partial) -> None:
    """Set the gradient of a mean over nothing to 0."""
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
                arithmetic.no_bounds(each.midpoint.shape)
                if each.absolute is None
                else each.absolute
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
    """The sum of the rows' values, divided by ``divisor`` if there is one.

    Infinities and NaN decide the sum, unless a row has an infinite radius: it might be another
    infinity. A row that may be NaN or 0 counts as 0 beside other rows, and NaN is accepted for the
    sum.
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
    piece.ball.midpoint = ball.arithmetic.array(piece.ball.midpoint)
    return piece


def exact_component(element: Element, dtype: str = "") -> tuple[Enclosures, Float64Array]:
    """One exact result of one row by the arbiter, and its condition number, (1,) each.

    The condition number is approximate, as everywhere: apart from the result itself, its inputs
    come from float64.

    Args:
        element: the result, without a reduction.
        dtype: dtype of the result that is judged with the condition number; "" is the case's own.

    Raises:
        UncertifiedError: the arbiter cannot decide the result.
    """
    case, row, quantity = element.case, element.row, element.quantity
    index = element.component
    found = arbiter.component(element)
    loss = LOSSES[case.loss]
    block = arbiter.block_of(case, [row])
    near = _midpoints(FLOAT64, case, block, np.array([row]))
    near[quantity].reshape(1, -1)[0, index] = found.midpoints()[0]
    smallest = FORMATS[dtype or case.dtype].smallest_normal
    both = near[Quantity.VALUE], near[Quantity.GRADIENT]
    condition = arbiter.condition(loss, block, *both, quantity, smallest)
    return found, np.array([condition.reshape(1, -1)[0, index]])


def _midpoints(
    arithmetic: ArrayArithmetic, case: Case, block: Block, rows: Rows
) -> dict[Quantity, Float64Array]:
    """Approximate exact results of the rows of a block, in float64, without their reduction."""
    form = FORMS.get(case.loss)
    if form is None:
        alone = replace(case, parameters={**case.parameters, "reduction": "none"})
        exact = arbiter.rows_of(alone, rows.tolist())
        return {
            quantity: each.midpoints().copy()
            for quantity, each in zip((Quantity.VALUE, Quantity.GRADIENT), exact, strict=True)
        }
    with np.errstate(all="ignore"):
        pieces = form(arithmetic, block, frozenset(Quantity)).quantities
        # in binary128 a midpoint can lie beyond float64: then it is infinite here
        return {
            quantity: piece.ball.midpoint.astype(np.float64) for quantity, piece in pieces.items()
        }


def disagreement(truth: Reference, row: int) -> str:
    """Check the lowest tier's enclosures of a row against the arbiter.

    Returns:
        Where they disagree; '' if they agree.

    Raises:
        UncertifiedError: the arbiter cannot decide the row.
    """
    case = truth.case
    if case.reduced and not few_distinct(case):
        # mpmath cannot compute very many rows, so it computes this one without the reduction
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
    """The first position where a claimed enclosure does not meet the certain one; None if none."""
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
