"""The arbiter: certified exact results, row by row, from mpmath intervals of rising precision.

An enclosure is decided in three cases:

* it is narrower than 2**-80 of its magnitude (2**-27 of a float64 ulp);
* it lies within ±2**-1100, which rounds to 0 in every dtype;
* it lies beyond 2**1100, which overflows in every dtype.

Otherwise the width of the enclosure tells how many bits are missing. A row that is undecided at
`PRECISION_CAP` bits raises `UncertifiedError`. There is no fallback.

Every row is evaluated in the rearranged form, which hardly ever needs a second try. `confirm`
evaluates the textbook definition of one row in the same intervals. The two forms share no algebra,
so enclosures that do not intersect prove an error of this package.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from mpmath import libmp

from xentcheck.errors import INTERNAL_ERROR, UncertifiedError
from xentcheck.floats import FORMATS, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import (
    Block,
    Components,
    Evaluator,
    ExactValue,
    Loss,
    Number,
    Row,
    RowResult,
)
from xentcheck.model import Accepts, Case, Float64Array, LabelKind, Quantity
from xentcheck.model.inputs import picked
from xentcheck.reference.element import Element
from xentcheck.reference.enclosures import Enclosures, Exact
from xentcheck.reference.intervals import Interval, IntervalArithmetic, UndecidedError, magnitude

START_PRECISION = 128  # bits of the first try
PRECISION_CAP = 1 << 15  # bits of the last try
RELATIVE_BITS = 80  # leading bits that a decided enclosure fixes
HORIZON = 1100  # binary exponent at which every dtype underflows (negative) or overflows
EXPONENT_LIMIT = 1 << 40  # largest binary exponent in the result; exponents beyond are clipped

Packed = tuple[float, float, int, float]


def exact(case: Case) -> Exact:
    """The exact results of a case.

    Raises:
        UncertifiedError: a row is undecided at `PRECISION_CAP` bits. The message names it.
    """
    loss = LOSSES[case.loss]
    reduction = str(case.parameters.get("reduction", "none"))
    # a reduction may have very many rows: only the first of equal rows is evaluated
    first, index = distinct_rows(case) if reduction != "none" else (slice(None), None)
    block = block_of(case, first)
    results = [
        _decide(loss, loss.evaluate, block.row(place), case, _number(first, place))
        for place in range(block.rows)
    ]
    value, gradient = _joined(loss, block, results)
    smallest = FORMATS[case.dtype].smallest_normal
    approximate = value.midpoints(), gradient.midpoints()
    value_condition, gradient_condition = (
        condition(loss, block, *approximate, quantity, smallest)
        for quantity in (Quantity.VALUE, Quantity.GRADIENT)
    )
    if index is not None:
        value, gradient = _reduce(loss, case, block, results, reduction, index)
        gradient, gradient_condition = gradient.at(index), gradient_condition[index]
        value_condition = np.full((), np.nan)
    return Exact(value, gradient, value_condition, gradient_condition)


def _number(first: Any, place: int) -> int:
    return place if isinstance(first, slice) else int(first[place])


def distinct_rows(case: Case) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The distinct rows of a case. Equal rows have the same bits, labels and per-row parameters.

    Returns:
        The index of the first row of each kind of equal rows, in rising order, and the kind of
        every row (rows,).
    """
    arrays = [case.logits, *(each for each in case.parameters.values() if np.ndim(each) == 2)]
    if case.labels is not None:
        arrays.append(case.labels)
    keys = np.concatenate(
        [np.ascontiguousarray(each).reshape(case.rows, -1).view(np.uint8) for each in arrays],
        axis=1,
    )
    whole = np.dtype((np.void, keys.shape[1]))
    _, first, kind = np.unique(keys.view(whole).ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    return first[order], place[kind.reshape(-1)]


def rows_of(case: Case, numbers: Sequence[int]) -> tuple[Enclosures, Enclosures]:
    """Value and gradient of some rows of a case without a reduction.

    Raises:
        UncertifiedError: a row is undecided at `PRECISION_CAP` bits. The message names it.
    """
    loss = LOSSES[case.loss]
    block = block_of(case, list(numbers))
    results = [
        _decide(loss, loss.evaluate, block.row(place), case, number)
        for place, number in enumerate(numbers)
    ]
    return _joined(loss, block, results)


def _joined(
    loss: Loss, block: Block, results: Sequence[RowResult]
) -> tuple[Enclosures, Enclosures]:
    """Value and gradient of the rows of a block, in the shapes of the loss."""
    value, gradient = (
        loss.shaped.of(each, block.x.shape, block.parameters)
        for each in (Quantity.VALUE, Quantity.GRADIENT)
    )
    return (
        _join([_pack_all(each.value) for each in results], value),
        _join([_pack_all(each.gradient) for each in results], gradient),
    )


def block_of(case: Case, rows: Any = slice(None)) -> Block:
    """The rows of a case as exact float64 numbers: all, or those at a NumPy index."""
    parameters = {
        name: to_float64(value) if isinstance(value, np.ndarray) else value
        for name, value in picked(case.parameters, rows).items()
    }
    labels = None if case.labels is None else case.labels[rows]
    if labels is not None and case.label_kind is not LabelKind.INTEGER:
        labels = to_float64(labels)
    return Block(to_float64(case.logits[rows]), labels, parameters, case.label_kind)


def supports_definition(row: Row) -> bool:
    """Whether the textbook definition can cover a row: all its inputs are finite."""
    numbers = [np.atleast_1d(row.x)]
    if isinstance(row.label, (float, np.ndarray)):
        numbers.append(np.atleast_1d(row.label))
    return all(bool(np.isfinite(each).all()) for each in numbers)


def confirm(case: Case, number: int, only: tuple[Quantity, int] | None = None) -> bool:
    """Check the exact results of one row against the textbook definition.

    Args:
        case: the block that contains the row.
        number: index of the row in the block.
        only: checks only this component; the index is 0 for a value per row.

    Returns:
        False if the definition does not cover the row (infinities, zeros under a logarithm).

    Raises:
        UncertifiedError: the two enclosures do not intersect.
    """
    loss = LOSSES[case.loss]
    row = block_of(case, [number]).row(0)
    if not supports_definition(row):
        return False
    try:
        textbook = _decide(loss, loss.definition, row, case, number, only=only)
    except UncertifiedError:
        return False
    rearranged = _decide(loss, loss.evaluate, row, case, number, only=only)
    for quantity in Quantity:
        one, other = _components(textbook, quantity), _components(rearranged, quantity)
        for component in range(_count(other)) if only is None else (only[1],):
            if only is not None and quantity is not only[0]:
                continue
            mine, theirs = one.at(component).number, other.at(component).number
            if not _meet(mine, theirs):
                message = (
                    f"{INTERNAL_ERROR}: {quantity}[{component}] of {place(case, number)} is "
                    f"{mine} by the definition and {theirs} rearranged"
                )
                raise UncertifiedError(message)
    return True


def component(element: Element) -> Enclosures:
    """One exact result, (1,). The rest of its row need not be decided.

    Raises:
        UncertifiedError: the result is undecided at `PRECISION_CAP` bits.
    """
    case, index = element.case, element.component
    loss = LOSSES[case.loss]
    row = block_of(case, [element.row]).row(0)
    only = (element.quantity, index)
    result = _decide(loss, loss.evaluate, row, case, element.row, only=only)
    return _pack_all(Components([_components(result, element.quantity).at(index)]))


def ends(element: Element, precision: int) -> tuple[Fraction, Fraction] | None:
    """Exact lower and upper bounds of one result, computed with at least ``precision`` bits.

    Returns:
        The bounds as fractions. None if the result is not finite, or far outside every dtype's
        range.

    Raises:
        UncertifiedError: the result is undecided at `PRECISION_CAP` bits.
    """
    case, number, quantity = element.case, element.row, element.quantity
    index = element.component
    loss = LOSSES[case.loss]
    if case.reduced and quantity is Quantity.VALUE:
        found = _total_of(loss, case, precision)
    else:
        row = block_of(case, [number]).row(0)
        result = _decide(
            loss, loss.evaluate, row, case, number, start=precision, only=(quantity, index)
        )
        found = _components(result, quantity).at(index)
    if case.reduced and quantity is Quantity.GRADIENT:
        found = _divided(found, _divisor(loss, case, IntervalArithmetic(precision)))
    if not isinstance(found.number, Interval):
        return (Fraction(0), Fraction(0)) if found.number == 0.0 else None
    both = (found.number.lower, found.number.upper)
    if any(each[1] and abs(magnitude(each)) > _FRACTIONS for each in both):
        return None
    lower, upper = (Fraction(*libmp.to_rational(each)) for each in both)
    return lower, upper


def component_of_block(case: Case, number: int, index: int) -> Enclosures:
    """One gradient component of a reduction, (1,). It depends only on its row and the divisor.

    Raises:
        UncertifiedError: the result is undecided at `PRECISION_CAP` bits.
    """
    loss = LOSSES[case.loss]
    row = block_of(case, [number]).row(0)
    only = (Quantity.GRADIENT, index)
    result = _decide(loss, loss.evaluate, row, case, number, only=only)
    found = result.gradient.at(index)
    # the divisor is a sum of floats: at this precision it adds an error of 2^-120 to the result
    divided = _divided(found, _divisor(loss, case, IntervalArithmetic(START_PRECISION)))
    if _missing(divided.number) > 0:
        bits = START_PRECISION + _missing(found.number) + RELATIVE_BITS
        result = _decide(loss, loss.evaluate, row, case, number, start=bits, only=only)
        divided = _divided(
            result.gradient.at(index), _divisor(loss, case, IntervalArithmetic(bits))
        )
    return _pack_all(Components([divided]))


def _total_of(loss: Loss, case: Case, precision: int) -> ExactValue:
    """The value of a reduction. Each row is computed with at least ``precision`` bits."""
    first, index = distinct_rows(case)
    block = block_of(case, first)
    results = [
        _decide(loss, loss.evaluate, block.row(place), case, int(number), start=precision)
        for place, number in enumerate(first)
    ]
    ops = IntervalArithmetic(precision)
    counts = np.bincount(index).tolist()
    divisor = _divisor(loss, case, ops)
    total, _, _ = _reduced(ops, results, divisor, counts, str(case.parameters["reduction"]))
    return total


def _divisor(loss: Loss, case: Case, ops: IntervalArithmetic) -> Interval | None:
    """The divisor of a mean: the sum of the rows' weights. None for a sum."""
    if case.parameters["reduction"] != "mean":
        return None
    weights, counts = np.unique(row_weights(loss, case), return_counts=True)
    return ops.total([ops.number(weight) for weight in weights.tolist()], counts.tolist())


def row_weights(loss: Loss, case: Case) -> Float64Array:
    """What each row adds to the divisor of a mean. Avoids a float64 copy of all logits."""
    empty = replace(case, logits=case.logits[:, :1] if case.logits.ndim == 2 else case.logits)
    return loss.row_weights(block_of(empty))


def _divided(outcome: ExactValue, divisor: Interval | None) -> ExactValue:
    """A gradient component under a reduction; 0 for a mean over nothing."""
    if divisor is None:
        return outcome
    if divisor.is_zero:
        return ExactValue(0.0)
    if isinstance(outcome.number, float):
        return outcome
    return ExactValue(outcome.number / divisor, outcome.accepts)


_FRACTIONS = 20_000  # largest binary exponent that `ends` turns into a fraction


def _components(result: RowResult, quantity: Quantity) -> Components:
    return result.value if quantity is Quantity.VALUE else result.gradient


def _count(components: Components) -> int:
    return len(components.outcomes if components.index is None else components.index)


def _meet(one: Number | float, other: Number | float) -> bool:
    zero = IntervalArithmetic(START_PRECISION).number(0.0)
    one, other = (zero if each == 0.0 else each for each in (one, other))
    if isinstance(one, Interval) and isinstance(other, Interval):
        return one.intersects(other)
    return one == other or (one != one and other != other)


def place(case: Case, number: int) -> str:
    x = np.atleast_1d(to_float64(case.logits[number : number + 1])[0])
    shown = ", ".join(float(each).hex() for each in x[:8]) + (", …" if len(x) > 8 else "")
    label = "" if case.labels is None else f", label {np.asarray(case.labels)[number]!r:.200}"
    return (
        f"{case.loss} in {case.dtype}, sweep {case.sweep!r}, row {case.start + number} "
        f"[{shown}]{label}, parameters {dict(case.parameters)!r:.200}"
    )


def _decide(
    loss: Loss,
    evaluate: Evaluator,
    row: Row,
    case: Case,
    number: int,
    *,
    start: int = 0,
    only: tuple[Quantity, int] | None = None,
) -> RowResult:
    """Evaluate a row at rising precision until all components, or only ``only``, are decided."""
    precision = start or START_PRECISION
    while precision <= PRECISION_CAP:
        try:
            result = evaluate(IntervalArithmetic(precision), row)
            if only is None:
                missing = max(_missing_bits(result.value), _missing_bits(result.gradient))
            else:
                missing = _missing(_components(result, only[0]).at(only[1]).number)
        except UndecidedError:
            precision *= 2
            continue
        except ValueError as error:  # an input without a defined loss, such as a label of inf
            message = f"{error}: {place(case, number)}; {loss.id} has no exact value there"
            raise UncertifiedError(message) from None
        if missing <= 0:
            return result
        precision = _raised(precision, missing)
    message = (
        f"undecided at {PRECISION_CAP} bits: {place(case, number)}; "
        f"the {loss.id} reference cannot certify this row"
    )
    raise UncertifiedError(message)


def _raised(precision: int, missing: int) -> int:
    """The next precision: adds the missing bits, up to three times the last precision.

    The limit is needed because the exponential of a wide interval is so wide that its width does
    not tell how many bits are missing.
    """
    return precision + min(missing + 16, 2 * precision)


def _missing_bits(components: Components) -> int:
    return max((_missing(outcome.number) for outcome in components.outcomes), default=0)


def _missing(number: Number | float) -> int:
    """How many bits are missing until an enclosure is decided; 0 if it is decided."""
    if not isinstance(number, Interval) or number.is_point:
        return 0
    ends = [magnitude(end) for end in (number.lower, number.upper) if end[1]]
    same_sign = libmp.mpf_sign(number.lower) * libmp.mpf_sign(number.upper) > 0
    if max(ends) < -HORIZON or (same_sign and min(ends) > HORIZON):
        return 0
    if same_sign and _relative_bits(number) >= RELATIVE_BITS:
        return 0
    width = magnitude(libmp.mpf_sub(number.upper, number.lower, 10, "u"))
    target = max(min(ends) - RELATIVE_BITS, -HORIZON) if same_sign else -HORIZON
    return max(width - target, 1)


def _relative_bits(number: Interval) -> int:
    """A lower bound of the number of leading bits that an enclosure of one sign fixes."""
    if number.is_point:
        return RELATIVE_BITS
    width = magnitude(libmp.mpf_sub(number.upper, number.lower, 10, "u"))
    return min(magnitude(number.lower), magnitude(number.upper)) - 1 - width


def _pack(number: Number | float) -> Packed:
    """(hi, lo, exponent, radius) of a decided enclosure."""
    if isinstance(number, float):
        if number == number and abs(number) != float("inf") and number != 0.0:
            message = f"{number} must be given as an exact number"
            raise AssertionError(message)
        return number, 0.0, 0, 0.0
    assert isinstance(number, Interval)
    if number.is_zero:
        return 0.0, 0.0, 0, 0.0
    lower, upper = number.lower, number.upper
    signs = libmp.mpf_sign(lower) * libmp.mpf_sign(upper)
    largest = max(magnitude(end) for end in (lower, upper) if end[1])
    if signs <= 0 or _relative_bits(number) < RELATIVE_BITS or largest < -EXPONENT_LIMIT:
        if largest < -HORIZON:
            return 0.0, 0.0, max(largest, -EXPONENT_LIMIT), 1.0
        return libmp.mpf_sign(lower) * 1.0, 0.0, HORIZON, 0.0
    sign = -1.0 if libmp.mpf_sign(lower) < 0 else 1.0
    if largest > EXPONENT_LIMIT:
        return sign, 0.0, EXPONENT_LIMIT, 0.0
    if number.is_point:
        _, man, exp, bits = lower
        half_width = 0.0
    else:
        _, man, exp, bits = libmp.mpf_shift(libmp.mpf_add(lower, upper), -1)
        half = libmp.mpf_shift(libmp.mpf_sub(upper, lower, 53, "u"), -1)
        half_width = libmp.to_float(libmp.mpf_shift(half, -(exp + bits - 1)), rnd="u")
    man, bits = int(man), int(bits)
    cut = bits - 53
    high_bits = man >> cut if cut > 0 else man << -cut
    rest = man - (high_bits << cut) if cut > 0 else 0
    hi = high_bits * 2.0**-52
    lo = 0.0
    if rest:
        # lo takes 53 more bits; the radius covers the bits after them
        shift = max(rest.bit_length() - 53, 0)
        scale = int(exp) + shift - (int(exp) + bits - 1)
        lo = float(rest >> shift) * 2.0**scale
        if shift:
            half_width = math.nextafter(half_width + 2.0**scale, math.inf)
    return sign * hi, sign * lo, int(exp) + bits - 1, half_width


def _pack_all(components: Components) -> Enclosures:
    packed = [_pack(outcome.number) for outcome in components.outcomes]
    accepts = np.array([int(outcome.accepts) for outcome in components.outcomes], dtype=np.uint8)
    columns = np.array(packed, dtype=np.float64).reshape(len(packed), 4)
    enclosures = Enclosures(
        columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int64), columns[:, 3], accepts
    )
    return enclosures if components.index is None else enclosures.at(components.index)


def _join(parts: Sequence[Enclosures], shape: tuple[int, ...]) -> Enclosures:
    return Enclosures.joined(parts).reshaped(shape)


def condition(
    loss: Loss,
    block: Block,
    value: Float64Array,
    gradient: Float64Array,
    quantity: Quantity,
    smallest: float,
) -> Float64Array:
    """The condition numbers of one quantity, in the shape of this quantity.

    Args:
        loss: the loss.
        block: the rows.
        value: their approximate values, float64.
        gradient: their approximate gradients, float64.
        quantity: the value or the gradient.
        smallest: the smallest normal number of the result's dtype. Below it an ulp does not shrink
            any more, so condition numbers of smaller results are relative to it. So they are
            finite even where the result is 0, and say how much error the inputs explain.
    """
    own = value if quantity is Quantity.VALUE else gradient
    with np.errstate(all="ignore"):
        kept = np.where(np.abs(own) < smallest, np.copysign(smallest, own), own)
        if quantity is Quantity.VALUE:
            return loss.condition(block, kept, gradient, quantity)
        return loss.condition(block, value, kept, quantity)


def _reduce(
    loss: Loss,
    case: Case,
    block: Block,
    results: Sequence[RowResult],
    reduction: str,
    index: npt.NDArray[np.intp],
) -> tuple[Enclosures, Enclosures]:
    """The sum or the weighted mean of all rows, and the gradients of the distinct rows."""
    counts = np.bincount(index).tolist()
    precision = START_PRECISION
    while True:
        ops = IntervalArithmetic(precision)
        divisor = _divisor(loss, case, ops)
        value, gradients, missing = _reduced(ops, results, divisor, counts, reduction)
        if missing <= 0:
            break
        precision = _raised(precision, missing)
        if precision > PRECISION_CAP:
            message = f"undecided at {PRECISION_CAP} bits: the {reduction} of {place(case, 0)}"
            raise UncertifiedError(message)
        results = [
            _decide(loss, loss.evaluate, block.row(number), case, number, start=precision)
            for number in range(block.rows)
        ]
    return _join([_pack_all(Components([value]))], ()), _join(
        [_pack_all(each) for each in gradients], block.x.shape
    )


def _as_summands(outcomes: list[ExactValue]) -> list[ExactValue]:
    """Values as terms of a sum. A row that may be NaN or 0 counts as 0, and the sum may be NaN.

    If all rows are such rows, nothing changes.
    """
    either = [
        outcome.number != outcome.number and bool(outcome.accepts & Accepts.ZERO)
        for outcome in outcomes
    ]
    if all(either):
        return outcomes
    zero = ExactValue(0.0, Accepts.NAN)
    return [zero if may else outcome for may, outcome in zip(either, outcomes, strict=True)]


def _reduced(
    ops: IntervalArithmetic,
    results: Sequence[RowResult],
    divisor: Interval | None,
    counts: Sequence[int],
    reduction: str,
) -> tuple[ExactValue, list[Components], int]:
    """(value, gradients, missing bits) of a reduction; row i occurs ``counts[i]`` times."""
    outcomes = _as_summands([result.value.outcomes[0] for result in results])
    gradients = [
        Components([_divided(each, divisor) for each in found.outcomes], found.index)
        for found in (result.gradient for result in results)
    ]
    if divisor is not None and divisor.is_zero:
        # a mean over nothing: the value is NaN or 0, the gradient is 0
        return ExactValue(float("nan"), Accepts.ZERO), gradients, 0
    accepts = Accepts.NOTHING
    plain = 0.0
    for outcome in outcomes:
        accepts |= outcome.accepts
        if isinstance(outcome.number, float):
            plain += outcome.number
    total: Number | float = plain
    missing = 0
    if plain == 0.0:
        some = [
            (each.number, count)
            for each, count in zip(outcomes, counts, strict=True)
            if isinstance(each.number, Interval)
        ]
        total = ops.total([number for number, _ in some], [count for _, count in some])
        if divisor is not None:
            total = total / divisor
        missing = _missing(total)
    if divisor is not None:
        missing = max([missing, *map(_missing_bits, gradients)])
    return ExactValue(total, accepts), gradients, missing
