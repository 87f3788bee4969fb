"""The shifted logits of rows, their powers and sums, and what these lose."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xentcheck.diagnosis.steps import BEYOND, Steps, as_float64
from xentcheck.floats import FORMATS
from xentcheck.model import Array, Cause

Options = Mapping[str, Any]

CLAMPS = {"clamp": -64, "low clamp": -1e4}
"""The lowest shifts of forms that clamp it, as old Paddle did."""

CALL_SHIFTS = ("largest of the call", "mean of the call")
"""Shifts that all rows of a call share, in the order of `FailingBlock.called`."""


class Powers:
    """The shifted logits of rows, their powers and the sum of these.

    Attributes:
        shift: (rows, 1)
        gap: x − shift, (rows, classes)
        powers: exp of that
        total: their sum, (rows, 1)
    """

    def __init__(self, s: Steps, x: Array, options: Options) -> None:
        how = options.get("shift", "max")
        x = s.keep("x", x)
        top = x.max(axis=1, keepdims=True)
        self.shift = _shift(s, x, how, options)
        contracted = options.get("contracted", 0.0)
        if contracted and not s.exact:
            self.gap = s.keep("fma(x, c, −m)", _contracted(s, x, contracted))
            self.shift = self.shift * s.number(contracted, x)
        else:
            self.gap = s.keep("x − m" if how != "none" else "x", x - self.shift)
        s.blame(
            Cause.WRONG_SHIFT if how in CALL_SHIFTS else Cause.INF_MINUS_INF,
            lambda: np.where(
                (np.isnan(as_float64(self.gap)) & ~np.isnan(as_float64(x))).any(axis=1), np.inf, 0.0
            ),
        )
        self.powers = s.keep("exp(x − m)" if how != "none" else "exp(x)", np.exp(self.gap))
        over = Cause.EXP_OVERFLOW if how == "none" else Cause.WRONG_SHIFT

        def overflows() -> Array:
            where = np.isinf(as_float64(self.powers))
            return np.where(where.any(axis=1), np.inf, 0.0)

        s.blame(over, overflows)
        below = (self.shift != top)[:, 0] if s.blaming and not s.exact else None
        self.total = s.keep("s = Σ exp", s.total(self.powers, over, below))
        if guard := options.get("sum"):
            self.total = self._guarded_sum(s, guard, options["epsilon"])
        if how != "max":

            def underflows() -> Array:
                sums, tops = as_float64(self.total)[:, 0], as_float64(self.shift)[:, 0]
                highest = as_float64(top)[:, 0]
                dead = (sums == 0) & np.isfinite(highest)
                # the sum is made of subnormal numbers, which have few digits
                least = smallest_normal(s)
                coarse = np.where(
                    (sums > 0) & (sums < least), s.u * (least / np.maximum(sums, 5e-324)), 0
                )
                return np.where(dead & (tops != highest), np.inf, coarse)

            s.blame(Cause.WRONG_SHIFT, underflows)

    def _guarded_sum(self, s: Steps, guard: str, epsilon: float) -> Array:
        """The sum with an epsilon added to it, or the largest of the two."""
        low = s.number(epsilon, self.total)
        moved = self.total + low if guard == "plus" else np.maximum(self.total, low)

        def size() -> Array:
            before, after = as_float64(self.total)[:, 0], as_float64(moved)[:, 0]
            return np.where(before == after, 0.0, _log_distance(after, before))

        s.blame(Cause.EPSILON_CLIP, size)
        return s.keep("s + ε" if guard == "plus" else "max(s, ε)", moved)

    @property
    def p(self) -> Array:
        """The softmax, (rows, classes)."""
        return np.asarray(self.powers / self.total)


def _shift(s: Steps, x: Array, how: str, options: Options) -> Array:
    """What is subtracted from the logits of each row, (rows, 1)."""
    if how == "first":
        return np.asarray(x[:, :1])
    if how == "mean":
        return np.asarray(x.mean(axis=1, keepdims=True))
    if how == "min":
        return np.asarray(x.min(axis=1, keepdims=True))
    if how in CALL_SHIFTS:
        place = CALL_SHIFTS.index(how)
        own = options["called"][:, place : place + 1]
        scale = options.get("temperature", 1.0)
        return np.asarray(own if scale == 1 else own / s.number(scale, x))
    if how == "target":
        return np.asarray(options["own"](x))
    top: Array = x.max(axis=1, keepdims=True)
    zero = top * 0 if s.exact else np.zeros_like(top)
    if how == "none":
        return zero
    if how == "half":
        return np.asarray(top / s.number(2.0, x))
    if how == "unscaled":
        return np.asarray(options["unscaled"].max(axis=1, keepdims=True))
    if how == "zero":
        return np.asarray(np.maximum(top, zero))
    if how in CLAMPS:
        return np.asarray(np.maximum(top, zero + s.number(CLAMPS[how], x)))
    return top


def _log_distance(one: Array, other: Array) -> Array:
    """|log one − log other|; `BEYOND` where it is not finite."""
    size = np.abs(np.log(one) - np.log(other))
    return np.where(np.isfinite(size), size, BEYOND)


def _contracted(s: Steps, x: Array, scale: float) -> Array:
    """x·c − max(x·c) with the product left unrounded, as a compiler contracts it."""
    number = s.number(scale, x)
    largest = as_float64((x * number).max(axis=1, keepdims=True))
    wide = as_float64(x) * float(number) - largest
    gap = np.asarray(wide.astype(x.dtype))
    s.blame(
        Cause.COMPILER_CONTRACTION,
        lambda: np.where(
            np.isfinite(as_float64(x)).all(axis=1),
            np.where(
                np.isinf(np.exp(gap)).any(axis=1) | (np.exp(gap) == 0).all(axis=1),
                np.inf,
                np.abs(wide.max(axis=1)),
            ),
            0.0,
        ),
    )
    return gap


def smallest_normal(s: Steps) -> float:
    return FORMATS[s.dtype].smallest_normal


def tail_of(s: Steps, x: Array) -> tuple[Array, Array, Array]:
    """The gaps to the largest logit, their powers, and the sum of all powers but its own."""
    x = s.keep("x", x)
    top = x.argmax(axis=1)[:, None]
    gap = s.keep("x − m", x - np.take_along_axis(x, top, axis=1))
    powers = s.keep("exp(x − m)", np.exp(gap))
    others = powers.copy()
    np.put_along_axis(others, top, others[0, 0] * 0 if s.exact else 0, axis=1)
    return gap, powers, s.keep("tail = Σ over the others", s.total(others))


def running(s: Steps, x: Array, block: int) -> tuple[Array, Array]:
    """The maximum and the sum of the powers over blocks of classes, each corrected by the next."""
    largest = x[:, :block].max(axis=1, keepdims=True)
    total = np.exp(x[:, :block] - largest).sum(axis=1, keepdims=True)
    undefined = np.zeros(len(x), dtype=np.bool_) if s.exact else np.isneginf(as_float64(largest))
    for start in range(block, x.shape[1], block):
        part = x[:, start : start + block]
        higher = np.maximum(largest, part.max(axis=1, keepdims=True))
        added = np.exp(part - higher).sum(axis=1, keepdims=True)
        total = total * np.exp(largest - higher) + added
        largest = higher
    s.blame(Cause.INF_MINUS_INF, lambda: np.where(undefined, np.inf, 0.0))
    return largest, s.keep("s = Σ exp", total)


def underflowed(s: Steps, powers: Array, asked: Array) -> None:
    """Blame powers that are divided by, or of which the logarithm is taken, where they are tiny."""

    def rounded() -> Array:
        wide, least = as_float64(powers), smallest_normal(s)
        coarse = np.where(wide < least, s.u * (least / np.maximum(wide, 5e-324)), 0.0)
        return np.where(asked, np.where(wide == 0, np.inf, coarse), 0.0)

    s.blame(Cause.LOG_OF_SATURATED_PROBABILITY, rounded)


def absorbed(s: Steps, total: Array) -> None:
    """Blame the sum 1 + tail: it rounds the tail to a multiple of the ulp of 1."""
    s.blame(
        Cause.ABSORBED_TAIL,
        lambda: np.where(as_float64(total)[:, 0] < 2, s.u, 0.0),
    )


def offset(s: Steps, large: Array, shift: str = "") -> None:
    """Blame a difference of large numbers: the first of them, (rows, 1), was rounded.

    A shift that all rows share is to blame itself: the difference is large because of it.
    """

    def rounded() -> Array:
        wide = as_float64(large)[:, 0]
        return np.where(np.isfinite(wide), s.u * np.abs(wide), 0.0)

    shared = shift in CALL_SHIFTS
    s.blame(Cause.WRONG_SHIFT if shared else Cause.COMMON_OFFSET_CANCELLATION, rounded)


def power_of_logarithm(s: Steps, x: Array, options: Options) -> Array:
    """exp(log p), from the shifted logits or from the logsumexp."""
    own = Powers(s, x, options)
    logs = np.log(own.total)
    if options["form"] == "exp_log_p":
        return s.keep("p = exp(log p)", np.exp(s.keep("log p", own.gap - logs)))
    absorbed(s, own.total)
    lse = s.keep("lse", own.shift + logs)
    offset(s, lse)
    return s.keep("p = exp(x − lse)", np.exp(s.keep("log p", x - lse)))


def guarded_logarithm(s: Steps, before: Array, p: Array, asked: Array) -> None:
    """Blame a guard of p before its logarithm: for how far it moves that, or for being too small.

    Args:
        s: runs the steps.
        before: p without the guard.
        p: p with it.
        asked: whether the result depends on this p.
    """

    def moved() -> Array:
        wide, changed = as_float64(before), as_float64(p)
        size = np.abs(np.log(changed) - np.log(wide))
        size = np.where(wide == changed, 0.0, np.where(np.isfinite(size), size, BEYOND))
        return np.where(asked & (changed > 0), size, 0.0)

    s.blame(Cause.EPSILON_CLIP, moved)
    s.blame(Cause.INEFFECTIVE_EPSILON, lambda: np.where(asked & (as_float64(p) == 0), np.inf, 0.0))


def guarded_probability(s: Steps, p: Array, options: Options) -> Array:
    """p + ε, max(p, ε) or p clipped, as the options say."""
    guard = options.get("guard", "")
    if not guard:
        return p
    low, one = s.number(options["epsilon"], p), s.number(1.0, p)
    if guard == "plus":
        moved = p + low
    else:
        moved = np.maximum(p, low)
        if guard == "clip":
            moved = np.minimum(moved, one - low)
    s.blame(Cause.EPSILON_CLIP, lambda: np.abs(as_float64(moved) - as_float64(p)))
    return s.keep({"plus": "p + ε", "low": "max(p, ε)"}.get(guard, "clip(p, ε, 1 − ε)"), moved)
