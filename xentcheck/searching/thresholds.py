"""Find to the ulp where an implementation changes its form along an axis.

The exact results are known, so a change of form is a jump of the error. The second difference of
the result jumps there as well, but less sharply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from xentcheck.floats import FORMATS, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Case, Domain, Float64Array, LabelKind
from xentcheck.searching.trials import Found, Trials, block_rows, joined

SCANNED = 256  # points of the axis that are tried first
JUMPS = 8  # largest number of jumps that are narrowed
LEAST = 3.0
"""A jump is a loss or gain of at least this many bits from one number to the next."""

ROUNDS = 24  # largest number of rounds of narrowing; float64 takes 13
MOST_BITS = 60.0  # larger errors count as this many bits


def thresholds(trials: Trials, example: Case, first: float, last: float) -> Found | None:
    """Find the rows on both sides of jumps of the error.

    Args:
        trials: calls the implementation.
        example: a case with the kind of label and the parameters of the calls. Its rows are single
            numbers or have two classes. The first number moves along the axis. The second is 0 for
            logits, and the rest of the probability, 1 − p, otherwise.
        first: start of the axis, as a logit.
        last: end of the axis, as a logit.

    Returns:
        The rows, or None if there are no jumps.

    Raises:
        HaltedError, UncertifiedError, UnsupportedError: see `Trials.of`.
    """
    found: list[Found] = []
    for label in _labels(example):
        axis = _Axis(trials, example, label)
        scanned = axis.scan(first, last)
        jumps = axis.narrowed(_jumps(scanned))
        if jumps:
            found.append(axis.beside(jumps))
    if not found:
        return None
    case, results = found[0].case, found[0].results
    for each in found[1:]:
        case, results = joined(case, each.case), np.concatenate([results, each.results])
    return Found(case, results)


@dataclass(frozen=True, slots=True)
class _Point:
    """A place on the axis, as an ordinal, and log2(1 + error) at this place."""

    ordinal: int
    bits: float


_Jump = tuple[_Point, _Point]


def _labels(example: Case) -> Sequence[int | None]:
    """Return the labels to try: classes 0 and 1, or targets 0 and 1; None without labels."""
    return (None,) if example.label_kind is LabelKind.NONE else (0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """Rows with one label. One number of a row moves along the axis."""

    trials: Trials
    example: Case
    label: int | None

    def scan(self, first: float, last: float) -> list[_Point]:
        """Return points of the axis in ascending order, with 0 or the end nearest to 0."""
        inside = min(max(0.0, first), last)
        places = np.append(np.linspace(first, last, SCANNED - 1), inside)
        domain = LOSSES[self.example.loss].domain
        if domain is not Domain.LOGITS:
            places = -np.logaddexp(0.0, -places)
        if domain is Domain.PROBABILITIES:
            places = np.exp(places)
        most = FORMATS[self.example.dtype].max
        numbers = from_float64(np.clip(places, -most, most), self.example.dtype)
        return self._at(sorted(set(ordinals(numbers).tolist())))

    def narrowed(self, jumps: list[_Jump]) -> list[_Jump]:
        """Narrow jumps to jumps between neighbouring numbers."""
        inner = block_rows(self.example) // JUMPS
        for _ in range(ROUNDS):
            if not jumps or all(high.ordinal - low.ordinal == 1 for low, high in jumps):
                break
            asked = [_between(low.ordinal, high.ordinal, inner) for low, high in jumps]
            known = {p.ordinal: p for p in self._at([each for some in asked for each in some])}
            jumps = [
                _largest([low, *(known[each] for each in some), high])
                for (low, high), some in zip(jumps, asked, strict=True)
            ]
        return [
            (low, high)
            for low, high in dict.fromkeys(jumps)
            if high.ordinal - low.ordinal == 1 and abs(high.bits - low.bits) >= LEAST
        ]

    def beside(self, jumps: list[_Jump]) -> Found:
        """Return the rows on both sides of each jump, and their results."""
        places = sorted({point.ordinal for jump in jumps for point in jump})
        case = self._rows(places)
        _, results = self.trials.of(case)
        rows = np.arange(len(places))
        return Found(case.part(rows), results[rows])

    def _at(self, places: Sequence[int]) -> list[_Point]:
        points: list[_Point] = []
        size = block_rows(self.example)
        for start in range(0, len(places), size):
            some = places[start : start + size]
            errors, _ = self.trials.of(self._rows(some))
            bits = np.minimum(np.log2(1.0 + np.maximum(errors, 0.0)), MOST_BITS)
            points += map(_Point, some, bits.tolist())
        return points

    def _rows(self, places: Sequence[int]) -> Case:
        """Return a case of `block_rows` rows; repeats the last place to fill it."""
        example = self.example
        size = block_rows(example)
        padded = np.resize(np.array(places, dtype=np.int64), size)
        padded[len(places) :] = places[-1] if places else 0
        moved = from_ordinals(padded, example.dtype)
        if example.logits.ndim == 1:
            logits = moved
        else:
            other = _rest(to_float64(moved), LOSSES[example.loss].domain)
            most = FORMATS[example.dtype].max
            rounded = from_float64(np.clip(other, -most, most), example.dtype)
            logits = np.stack([moved, rounded], axis=1)
        case = example.part(np.zeros(size, dtype=np.intp))
        return replace(case, logits=logits, labels=self._label(size))

    def _label(self, size: int) -> Array | None:
        example = self.example
        match example.label_kind:
            case LabelKind.NONE:
                return None
            case LabelKind.INTEGER:
                return np.full(size, self.label, dtype=np.int64)
            case LabelKind.TARGET:
                return from_float64(np.full(size, float(self.label or 0)), example.dtype)
        onehot = np.zeros((size, 2))
        onehot[:, self.label or 0] = 1.0
        if example.parameters.get("log_target"):
            onehot = np.where(onehot > 0, 0.0, -FORMATS[example.dtype].max)
        return from_float64(onehot, example.dtype)


def _rest(numbers: Float64Array, domain: Domain) -> Float64Array:
    if domain is Domain.LOGITS:
        return np.zeros_like(numbers)
    if domain is Domain.PROBABILITIES:
        return 1.0 - numbers
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(-np.expm1(numbers)))


def _between(low: int, high: int, count: int) -> list[int]:
    """Return up to ``count`` evenly spaced ordinals strictly between two."""
    count = min(count, high - low - 1)
    return [low + (high - low) * k // (count + 1) for k in range(1, count + 1)]


def _jumps(points: Sequence[_Point]) -> list[_Jump]:
    """Return the largest jumps, the largest first."""
    sizes = _sizes(points)
    order = sorted(range(len(sizes)), key=lambda k: -sizes[k])[:JUMPS]
    return [(points[k], points[k + 1]) for k in order if sizes[k] >= LEAST]


def _largest(points: Sequence[_Point]) -> _Jump:
    sizes = _sizes(points)
    k = sizes.index(max(sizes))
    return points[k], points[k + 1]


def _sizes(points: Sequence[_Point]) -> list[float]:
    """Return the size in bits of the jump from each point to the next.

    A jump is at most the distance between the medians of up to three points on either side. Single
    points that have a small or large error by chance are not a change of form.
    """
    bits = [point.bits for point in points]
    return [
        min(
            abs(bits[k + 1] - bits[k]),
            abs(median(bits[k + 1 : k + 4]) - median(bits[max(k - 2, 0) : k + 1])),
        )
        for k in range(len(bits) - 1)
    ]
