"""Two losses of NumPy arrays."""

from examplepkg.losses import binary_cross_entropy_with_logits, cross_entropy

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy"]
