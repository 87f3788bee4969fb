"""What xentcheck is told of this package: its entry point names this module.

Only xentcheck imports it, so nobody needs xentcheck to use the losses.
"""

from examplepkg import losses
from xentcheck import implementation

DTYPES = ("float32", "float64")

# A loss that is called as xentcheck calls it: fn(logits, labels, **parameters).
cross_entropy = implementation(
    "softmax_cross_entropy",
    "examplepkg.cross_entropy",
    gradient=losses.cross_entropy_gradient,
    dtypes=DTYPES,
    label_kinds="integer",
)(losses.cross_entropy)


# One that is called otherwise. Without a gradient only the value is audited.
@implementation("sigmoid_binary_cross_entropy", "examplepkg.binary_cross_entropy", dtypes=DTYPES)
def binary_cross_entropy(logits, labels, *, pos_weight=1.0):
    """(1 - z) x + w softplus(-x): the two cancel where z is 0 and x is far below 0."""
    return losses.binary_cross_entropy_with_logits(labels, logits, pos_weight=pos_weight)
