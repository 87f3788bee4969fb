"""The causes of faults, with one row of explanations and remedies for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What makes a formula lose its digits, overflow, or stop. A diagnosis claims one of them."""

    EXP_OVERFLOW = "exp-overflow"
    SUM_OVERFLOW = "sum-overflow"
    WRONG_SHIFT = "wrong-shift"
    LOG_OF_SATURATED_PROBABILITY = "log-of-saturated-probability"
    EPSILON_CLIP = "epsilon-clip"
    INEFFECTIVE_EPSILON = "ineffective-epsilon"
    ZERO_TIMES_INF = "zero-times-inf"
    INF_MINUS_INF = "inf-minus-inf"
    ABSORBED_TAIL = "absorbed-tail"
    COMMON_OFFSET_CANCELLATION = "common-offset-cancellation"
    ONE_MINUS_P_CANCELLATION = "one-minus-p-cancellation"
    NARROW_INTERMEDIATE = "narrow-intermediate"
    LOW_PRECISION_ACCUMULATION = "low-precision-accumulation"
    UNTAKEN_BRANCH_GRADIENT = "untaken-branch-gradient"
    DIVISION_BY_SATURATED_P = "division-by-saturated-p"
    EMPTY_MEAN = "empty-mean"
    INDEX_WRAP = "index-wrap"
    COMPILER_CONTRACTION = "compiler-contraction"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AboutCause:
    """One row of the table of causes.

    Attributes:
        says: what goes wrong, in a sentence.
        remedy: the form that keeps the digits, as a formula.
        numpy: the remedy as a line of NumPy.
        torch: the remedy as a line of PyTorch.
        jax: the remedy as a line of JAX.
    """

    says: str
    remedy: str = ""
    numpy: str = ""
    torch: str = ""
    jax: str = ""


ABOUT_CAUSES: Mapping[Cause, AboutCause] = {
    Cause.EXP_OVERFLOW: AboutCause(
        "exp overflows to inf for logits that are not shifted below 0.",
        "subtract the row's largest logit m first: exp(x_j − m) ≤ 1",
        "x = x - x.max(axis=1, keepdims=True)",
        "x = x - x.amax(dim=1, keepdim=True)",
        "x = x - x.max(axis=1, keepdims=True)",
    ),
    Cause.SUM_OVERFLOW: AboutCause(
        "A sum over the classes or the rows overflows, though every term is finite.",
        "add in a wider dtype, or divide before adding",
        "s = e.sum(axis=1, dtype=np.float32)",
        "s = e.sum(dim=1, dtype=torch.float32)",
        "s = e.sum(axis=1, dtype=jnp.float32)",
    ),
    Cause.WRONG_SHIFT: AboutCause(
        "The logits are shifted by another number than the row's maximum, so every power underflows"
        " to 0 or some overflow.",
        "shift each row by its own maximum over the classes that take part",
        "m = x.max(axis=1, keepdims=True)",
        "m = x.amax(dim=1, keepdim=True)",
        "m = x.max(axis=1, keepdims=True)",
    ),
    Cause.LOG_OF_SATURATED_PROBABILITY: AboutCause(
        "The logarithm is taken of a probability that was already rounded, to 1 or to 0.",
        "(m − x_y) + log1p(Σ_{j≠m} exp(x_j − m)), from the logits, not from p",
        "loss = (m - x_y) + np.log1p(others)",
        "loss = (m - x_y) + torch.log1p(others)",
        "loss = (m - x_y) + jnp.log1p(others)",
    ),
    Cause.EPSILON_CLIP: AboutCause(
        "A probability is clipped, or an epsilon is added to it: the loss ends at a plateau and its"
        " gradient there is 0 or wrong.",
        "compute the loss from the logits, without an epsilon",
        "loss = (m - x_y) + np.log1p(others)",
        "loss = (m - x_y) + torch.log1p(others)",
        "loss = (m - x_y) + jnp.log1p(others)",
    ),
    Cause.INEFFECTIVE_EPSILON: AboutCause(
        "An epsilon is too small for the dtype: 1 − ε rounds to 1 or ε to 0, so log(0) is reached.",
        "compute the loss from the logits, without an epsilon",
        "loss = (m - x_y) + np.log1p(others)",
        "loss = (m - x_y) + torch.log1p(others)",
        "loss = (m - x_y) + jnp.log1p(others)",
    ),
    Cause.ZERO_TIMES_INF: AboutCause(
        "A label, weight or mask of 0 is multiplied by an infinite logarithm: 0 · inf is NaN.",
        "leave out the terms with a factor of 0 before multiplying",
        "terms = np.where(y == 0, 0, y * np.where(y == 0, 0, log_p))",
        "terms = torch.where(y == 0, 0, y * torch.where(y == 0, 0, log_p))",
        "terms = jnp.where(y == 0, 0, y * jnp.where(y == 0, 0, log_p))",
    ),
    Cause.INF_MINUS_INF: AboutCause(
        "Two infinities are subtracted or divided.",
        "treat infinite inputs before the difference: shift only by finite maxima",
        "m = np.where(np.isfinite(m), m, 0)",
        "m = torch.where(torch.isfinite(m), m, 0)",
        "m = jnp.where(jnp.isfinite(m), m, 0)",
    ),
    Cause.ABSORBED_TAIL: AboutCause(
        "The sum 1 + tail absorbs a small tail, so the logarithm is that of 1.",
        "log1p(tail), with tail the sum over the classes other than the largest",
        "loss = (m - x_y) + np.log1p(others)",
        "loss = (m - x_y) + torch.log1p(others)",
        "loss = (m - x_y) + jnp.log1p(others)",
    ),
    Cause.COMMON_OFFSET_CANCELLATION: AboutCause(
        "Two large numbers are subtracted, such as logsumexp − x_y, and their common offset takes"
        " the digits.",
        "take the differences x_j − x_y (or x_j − m) first, then exponentiate",
        "loss = (m - x_y) + np.log1p(others)",
        "loss = (m - x_y) + torch.log1p(others)",
        "loss = (m - x_y) + jnp.log1p(others)",
    ),
    Cause.ONE_MINUS_P_CANCELLATION: AboutCause(
        "1 − p (or p − 1) is computed after p was rounded towards 1.",
        "1 − p_y = Σ_{j≠y} p_j: add the other probabilities",
        "g[rows, y] = -(p.sum(axis=1) - p[rows, y])  # with p[rows, y] set to 0 before the sum",
        "g[rows, y] = -p.masked_fill(one_hot, 0).sum(dim=1)",
        "g = p.at[rows, y].set(-jnp.where(one_hot, 0, p).sum(axis=1))",
    ),
    Cause.NARROW_INTERMEDIATE: AboutCause(
        "An intermediate result is stored in a narrower dtype than the result.",
        "keep the intermediate in the dtype of the result, or wider",
        "x = x.astype(np.float32)",
        "x = x.float()",
        "x = x.astype(jnp.float32)",
    ),
    Cause.LOW_PRECISION_ACCUMULATION: AboutCause(
        "Many terms are added in a dtype that is too narrow, or in one running sum that stalls.",
        "add pairwise, or accumulate in a wider dtype",
        "s = e.sum(axis=1, dtype=np.float32)",
        "s = e.sum(dim=1, dtype=torch.float32)",
        "s = e.sum(axis=1, dtype=jnp.float32)",
    ),
    Cause.UNTAKEN_BRANCH_GRADIENT: AboutCause(
        "Differentiation goes through a branch of `where` that is not taken: 0 · inf is NaN.",
        "make the input of the untaken branch harmless before it is used",
        "safe = np.where(taken, x, 1)",
        "safe = torch.where(taken, x, 1)",
        "safe = jnp.where(taken, x, 1)",
    ),
    Cause.DIVISION_BY_SATURATED_P: AboutCause(
        "The gradient divides by a probability that has underflowed or is clipped.",
        "differentiate from the logits: p − y, with 1 − p as a sum",
        "g = p - one_hot",
        "g = p - one_hot",
        "g = p - one_hot",
    ),
    Cause.EMPTY_MEAN: AboutCause(
        "A mean is taken over no rows or over weights that add up to 0: 0 / 0.",
        "divide by max(count, 1)",
        "loss = total / max(count, 1)",
        "loss = total / count.clamp(min=1)",
        "loss = total / jnp.maximum(count, 1)",
    ),
    Cause.INDEX_WRAP: AboutCause(
        "An index or an offset wraps in a narrow integer type, so another element is read.",
        "compute offsets in 64 bits",
        "offset = row.astype(np.int64) * classes + label",
        "offset = row.to(torch.int64) * classes + label",
        "offset = row.astype(jnp.int64) * classes + label",
    ),
    Cause.COMPILER_CONTRACTION: AboutCause(
        "A compiler contracts x·c − max into one operation, so the difference is not exactly 0.",
        "scale after the shift: (x − max(x))·c",
        "z = (x - x.max(axis=1, keepdims=True)) / temperature",
        "z = (x - x.amax(dim=1, keepdim=True)) / temperature",
        "z = (x - x.max(axis=1, keepdims=True)) / temperature",
    ),
    Cause.UNKNOWN: AboutCause("No known form and no experiment explains these rows."),
}
"""Everything that holds for a cause as a whole. To add a cause, add one row here."""
