"""The losses. Nothing here knows of xentcheck."""

import numpy as np


def _exponentials(logits, labels):
    """e^(x_j - max): of the label, and of all classes with 0 for the label."""
    rows = np.arange(len(labels))
    others = np.exp(logits - logits.max(axis=1, keepdims=True))
    own = others[rows, labels]
    others[rows, labels] = 0
    return own, others


def cross_entropy(logits, labels):
    """Softmax cross-entropy of every row: logits (rows, classes), labels int64 (rows,)."""
    wide = logits.astype(np.float64)
    own, others = _exponentials(wide, labels)
    tail = others.sum(axis=1)
    below = wide.max(axis=1) - wide[np.arange(len(labels)), labels]
    # Where the label has the largest logit, 1 + tail would round to 1.
    loss = np.where(own == 1, np.log1p(tail), below + np.log(own + tail))
    return loss.astype(logits.dtype)


def cross_entropy_gradient(logits, labels):
    """Its gradient with respect to the logits: softmax, minus 1 at the label."""
    own, others = _exponentials(logits.astype(np.float64), labels)
    tail = others.sum(axis=1)
    gradient = others / (own + tail)[:, None]
    gradient[np.arange(len(labels)), labels] = -tail / (own + tail)  # p - 1 would cancel
    return gradient.astype(logits.dtype)


def binary_cross_entropy_with_logits(targets, logits, *, pos_weight=1.0):
    """Binary cross-entropy of every logit, the positive class weighing ``pos_weight``."""
    weight = 1 + (pos_weight - 1) * targets
    softplus = np.maximum(-logits, 0) + np.log1p(np.exp(-np.abs(logits)))
    return ((1 - targets) * logits + weight * softplus).astype(logits.dtype)
