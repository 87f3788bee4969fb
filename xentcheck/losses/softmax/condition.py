"""The condition numbers of the softmax family.

Each public function is a `xentcheck.losses.spec.Conditioner`, which documents the arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xentcheck.deferred import np, npt
from xentcheck.losses.labels import ignored_rows, masses, row_weights
from xentcheck.losses.spec import Block, roundings
from xentcheck.model import Float64Array, LabelKind, Quantity


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Differences d ≤ 0 of scaled logits to the largest of their row, and what results from them.

    Condition numbers are taken with respect to d. They also include 1 for the rounding of the
    result itself, and the `roundings` of the sum. With p the softmax and m = Σ_j p_j |d_j|, the
    condition number of p_k is m + |d_k| (1 − 2 p_k). That of 1 − p_k is p_k/(1 − p_k) times this.
    """

    difference: Float64Array
    shares: Float64Array
    mean: Float64Array  # (rows, 1)
    top: npt.NDArray[np.intp]  # (rows, 1)
    rest: Float64Array  # (rows, 1), 1 − p of the largest

    @property
    def of_share(self) -> Float64Array:
        """The condition number of each p_k, (rows, classes)."""
        own = 1.0 + self.summed + self.mean
        return np.asarray(own - self.difference * (1.0 - 2.0 * self.shares))

    @property
    def summed(self) -> float:
        """The roundings of the sum. p and 1 − p have all of them."""
        return roundings(self.shares.shape[1])

    @property
    def of_log_whole(self) -> Float64Array:
        """The change of log S, (rows, 1). The sum over the others is rounded; the 1 is exact."""
        return self.mean + self.summed * self.rest

    def of_complement(self, column: npt.NDArray[Any]) -> Float64Array:
        """The condition number of 1 − p of one class per row; ``column`` has shape (rows, 1)."""
        own = np.take_along_axis(self.shares, column, axis=1)
        drop = np.take_along_axis(self.difference, column, axis=1)
        factor = self.mean - drop * (1.0 - 2.0 * own)
        at_top = column == self.top
        rest = np.where(at_top, self.rest, 1.0 - own)
        underflowing = at_top & (self.rest < 2.0**-1000)
        own_part = np.where(underflowing, self._runner_up, factor * own / rest)
        return np.asarray(1.0 + self.summed + own_part)

    @property
    def _runner_up(self) -> Float64Array:
        """The distance of the second largest logit from the largest: 1 − p is about its p."""
        if self.difference.shape[1] < 2:
            return np.zeros_like(self.mean)
        others = self.difference.copy()
        np.put_along_axis(others, self.top, -np.inf, axis=1)
        return np.asarray(-others.max(axis=1, keepdims=True))


def _spread(block: Block) -> _Spread:
    x, noise = block.x, block.parameters.get("noise")
    top = (x if noise is None else x + noise).argmax(axis=1)[:, np.newaxis]
    difference = x - np.take_along_axis(x, top, axis=1)
    if noise is not None:
        # rounded sums may tie where exact ones do not: subtract x and noise separately, and choose
        # the largest again
        difference += noise - np.take_along_axis(noise, top, axis=1)
        top = difference.argmax(axis=1)[:, np.newaxis]
        difference -= np.take_along_axis(difference, top, axis=1)
        x = difference
    if not np.isfinite(difference.sum()):
        # numbers that are not finite count as 0
        x = np.where(np.isfinite(x), x, 0.0)
        top = x.argmax(axis=1)[:, np.newaxis]
        difference = x - np.take_along_axis(x, top, axis=1)
        difference = np.maximum(difference, -np.finfo(np.float64).max)
    temperature = block.parameters.get("temperature", 1.0)
    if temperature != 1.0:
        difference /= temperature
    power = np.exp(difference)
    np.put_along_axis(power, top, 0.0, axis=1)
    tail = power.sum(axis=1, keepdims=True)
    total = 1.0 + tail
    mean = -np.einsum("ij,ij->i", difference, power)[:, np.newaxis] / total
    np.put_along_axis(power, top, 1.0, axis=1)
    power /= total
    return _Spread(difference, power, mean, top, tail / total)


def condition_logsumexp(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """Condition numbers of logsumexp; the gradient is p."""
    if quantity is Quantity.VALUE:
        spread = _spread(block)
        parts = np.abs(block.x * gradient).sum(axis=1) + (spread.summed * spread.rest)[:, 0]
        return np.asarray(1.0 + parts / np.abs(value))
    return _spread(block).of_share


def condition_log_softmax(
    block: Block, value: Float64Array, _gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """Condition numbers of log_softmax; the gradient is −p_k, and 1 − p_k at the label."""
    spread = _spread(block)
    if quantity is Quantity.VALUE:
        return np.asarray(1.0 + (spread.of_log_whole - spread.difference) / np.abs(value))
    assert block.labels is not None
    return _at_label(block.labels, spread)


def _at_label(labels: npt.NDArray[Any], spread: _Spread) -> Float64Array:
    """The condition numbers of p_k, and of 1 − p_k at the label."""
    column = labels[:, np.newaxis]
    condition = spread.of_share
    np.put_along_axis(condition, column, spread.of_complement(column), axis=1)
    return condition


def condition_softmax(
    block: Block, _value: Float64Array, _gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """Condition numbers of softmax.

    A gradient component is a product of two probabilities, so their condition numbers add up.
    """
    assert block.labels is not None
    spread = _spread(block)
    if quantity is Quantity.VALUE:
        return spread.of_share
    own = np.take_along_axis(spread.of_share, block.labels[:, np.newaxis], axis=1)
    return _at_label(block.labels, spread) + own


def _charged(block: Block) -> Float64Array:
    """The charge c_k of each class, (rows, classes): weight · smoothed label."""
    smoothing = block.parameters.get("label_smoothing", 0.0)
    weight = block.parameters.get("weight", 1.0)
    smoothed = (1.0 - smoothing) * masses(block) + smoothing / block.x.shape[1]
    return np.asarray(weight * smoothed)


def condition_cross_entropy(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """Condition numbers of softmax_cross_entropy; 1 for an ignored row."""
    spread = _spread(block)
    ignored = ignored_rows(block)
    scale = block.parameters.get("temperature", 1.0)
    z_loss = block.parameters.get("z_loss", 0.0)
    smoothing = block.parameters.get("label_smoothing", 0.0)
    plain = block.label_kind is LabelKind.INTEGER and not smoothing
    if z_loss:
        # a common offset of all logits changes log S, so it also depends on the largest logit
        largest = np.take_along_axis(block.x, spread.top, axis=1) / scale
        lse = np.abs(largest - np.log1p(-spread.rest))
        moves = np.abs(largest) + spread.mean
    if quantity is Quantity.VALUE:
        parts = np.abs(spread.difference * gradient).sum(axis=1) * scale
        # with integer labels one class has the whole charge
        charged = row_weights(block) if plain else np.abs(_charged(block)).sum(axis=1)
        parts = parts + charged * spread.summed * spread.rest[:, 0]
        if z_loss:
            parts = parts + (2.0 * z_loss * lse * np.abs(largest))[:, 0]
        return np.where(ignored, 1.0, 1.0 + parts / np.abs(value))
    if plain and not z_loss:
        assert block.labels is not None
        condition = _at_label(np.where(ignored, 0, block.labels), spread)
    else:
        charges = _charged(block)
        parts = np.abs(charges).sum(axis=1, keepdims=True) * spread.shares * spread.of_share
        parts += np.abs(charges)
        if z_loss:
            parts += 2.0 * z_loss * spread.shares * (lse * spread.of_share + moves)
        condition = parts / scale / np.abs(gradient)
    return np.where(ignored[:, np.newaxis], 1.0, condition) if ignored.any() else condition
