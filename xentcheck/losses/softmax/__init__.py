"""The softmax family: declarations, rearranged and textbook formulas, condition numbers."""

from xentcheck.losses.softmax.declared import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, SOFTMAX_CROSS_ENTROPY

__all__ = ["LOGSUMEXP", "LOG_SOFTMAX", "SOFTMAX", "SOFTMAX_CROSS_ENTROPY"]
