"""The losses that can be audited, by id."""

from collections.abc import Mapping
from types import MappingProxyType

from xentcheck.losses.divergence import JS_DIVERGENCE, KL_DIVERGENCE
from xentcheck.losses.names import Names
from xentcheck.losses.probabilities import (
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    ENTROPY,
    NLL_LOSS,
)
from xentcheck.losses.sigmoid import (
    LOG_SIGMOID,
    SIGMOID,
    SIGMOID_BINARY_CROSS_ENTROPY,
    SIGMOID_FOCAL_LOSS,
    SOFTPLUS,
)
from xentcheck.losses.softmax import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, SOFTMAX_CROSS_ENTROPY
from xentcheck.losses.spec import Loss

LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        loss.id: loss
        for loss in (
            SOFTMAX_CROSS_ENTROPY,
            SIGMOID_BINARY_CROSS_ENTROPY,
            CATEGORICAL_CROSS_ENTROPY,
            BINARY_CROSS_ENTROPY,
            NLL_LOSS,
            KL_DIVERGENCE,
            JS_DIVERGENCE,
            ENTROPY,
            SIGMOID_FOCAL_LOSS,
            SOFTMAX,
            LOG_SOFTMAX,
            LOGSUMEXP,
            SIGMOID,
            LOG_SIGMOID,
            SOFTPLUS,
        )
    }
)


NAMES = Names(MappingProxyType({loss.id: str(loss.domain) for loss in LOSSES.values()}))
"""Finds a loss by its id or by another name."""


def loss_of(name: str) -> Loss:
    """The loss with this id, or with another name that belongs to this loss only.

    Raises:
        UnknownNameError: the name is unknown or ambiguous. The error says which losses it may mean.
    """
    found = NAMES.of(name)
    if not found:
        raise NAMES.unknown(name)
    return LOSSES[found]
