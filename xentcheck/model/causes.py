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

    The remedies are whole: they run as they stand when the names of ``given`` have values. They
    compute in the dtype of their inputs, unless they say otherwise.

    Attributes:
        says: what goes wrong, in a sentence.
        remedy: the form that keeps the digits, as a formula.
        given: the names that the remedies take, with their shapes.
        numpy: the remedy as lines of NumPy.
        torch: the remedy as lines of PyTorch.
        jax: the remedy as lines of JAX.
        one_logit: for losses of one logit x and its label z, each of shape (rows,), the remedy as a
            line of NumPy; "" where it is the same.
    """

    says: str
    remedy: str = ""
    given: str = ""
    numpy: str = ""
    torch: str = ""
    jax: str = ""
    one_logit: str = ""


_LOGITS = "x: logits (rows, classes)"
_LABELLED = f"{_LOGITS}; y: labels (rows,)"

_FROM_LOGITS = (
    _LABELLED,
    """\
m, rows = x.max(axis=1), np.arange(len(x))
others = np.exp(x - m[:, None])
others[rows, x.argmax(axis=1)] = 0
loss = (m - x[rows, y]) + np.log1p(others.sum(axis=1))""",
    """\
m, top = x.max(dim=1, keepdim=True)
others = torch.exp(x - m).scatter(1, top, 0).sum(dim=1)
loss = (m - x.gather(1, y[:, None]))[:, 0] + torch.log1p(others)""",
    """\
m, rows = x.max(axis=1), jnp.arange(len(x))
others = jnp.exp(x - m[:, None]).at[rows, x.argmax(axis=1)].set(0).sum(axis=1)
loss = (m - x[rows, y]) + jnp.log1p(others)""",
    """\
loss = (1 - z) * np.maximum(x, 0) + z * np.maximum(-x, 0) + np.log1p(np.exp(-np.abs(x)))""",
)

ABOUT_CAUSES: Mapping[Cause, AboutCause] = {
    Cause.EXP_OVERFLOW: AboutCause(
        "exp overflows to inf for logits that are not shifted below 0.",
        "subtract the row's largest logit m first: exp(x_j − m) ≤ 1; for one logit, exp(−|x|) ≤ 1",
        _LOGITS,
        """\
e = np.exp(x - x.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)""",
        """\
e = torch.exp(x - x.amax(dim=1, keepdim=True))
p = e / e.sum(dim=1, keepdim=True)""",
        """\
e = jnp.exp(x - x.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)""",
        _FROM_LOGITS[4],
    ),
    Cause.SUM_OVERFLOW: AboutCause(
        "A sum over the classes or the rows overflows, though every term is finite.",
        "in float32 or wider; for a mean, divide before adding: Σ (v / n)",
        "v: the terms of a mean (rows,), none negative",
        """\
w = v.astype(np.promote_types(v.dtype, np.float32))
mean = (w / len(w)).sum().astype(v.dtype)""",
        """\
w = v.to(torch.promote_types(v.dtype, torch.float32))
mean = (w / len(w)).sum().to(v.dtype)""",
        """\
w = v.astype(jnp.promote_types(v.dtype, jnp.float32))
mean = (w / len(w)).sum().astype(v.dtype)""",
    ),
    Cause.WRONG_SHIFT: AboutCause(
        "The logits are shifted by another number than the row's maximum, so every power underflows"
        " to 0 or some overflow.",
        "shift each row by its own maximum over the classes that take part",
        f"{_LOGITS}; mask: the classes that take part (rows, classes)",
        """\
x = np.where(mask, x, -np.inf)
e = np.exp(x - x.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)""",
        """\
x = x.masked_fill(~mask, -torch.inf)
e = torch.exp(x - x.amax(dim=1, keepdim=True))
p = e / e.sum(dim=1, keepdim=True)""",
        """\
x = jnp.where(mask, x, -jnp.inf)
e = jnp.exp(x - x.max(axis=1, keepdims=True))
p = e / e.sum(axis=1, keepdims=True)""",
    ),
    Cause.LOG_OF_SATURATED_PROBABILITY: AboutCause(
        "The logarithm is taken of a probability that was already rounded, to 1 or to 0.",
        "(m − x_y) + log1p(Σ_{j≠top} exp(x_j − m)), from the logits, not from p",
        *_FROM_LOGITS,
    ),
    Cause.EPSILON_CLIP: AboutCause(
        "A probability is clipped, or an epsilon is added to it: the loss ends at a plateau and its"
        " gradient there is 0 or wrong.",
        "compute the loss from the logits, without an epsilon",
        *_FROM_LOGITS,
    ),
    Cause.INEFFECTIVE_EPSILON: AboutCause(
        "An epsilon is too small for the dtype: 1 − ε rounds to 1 or ε to 0, so log(0) is reached.",
        "compute the loss from the logits, without an epsilon",
        *_FROM_LOGITS,
    ),
    Cause.ZERO_TIMES_INF: AboutCause(
        "A label, weight or mask of 0 is multiplied by an infinite logarithm: 0 · inf is NaN.",
        "put a finite number in the place of the logarithm where its factor is 0",
        "y: labels (rows, classes); log_p: log-probabilities (rows, classes)",
        "loss = -(y * np.where(y == 0, 0, log_p)).sum(axis=1)",
        "loss = -(y * log_p.masked_fill(y == 0, 0)).sum(dim=1)",
        "loss = -(y * jnp.where(y == 0, 0, log_p)).sum(axis=1)",
    ),
    Cause.INF_MINUS_INF: AboutCause(
        "Two infinities are subtracted or divided.",
        "treat infinite inputs before the difference: shift only by finite maxima",
        _LOGITS,
        """\
m = x.max(axis=1)
m = np.where(np.isfinite(m), m, 0)
lse = m + np.log(np.exp(x - m[:, None]).sum(axis=1))""",
        """\
m = x.amax(dim=1)
m = torch.where(torch.isfinite(m), m, 0)
lse = m + torch.log(torch.exp(x - m[:, None]).sum(dim=1))""",
        """\
m = x.max(axis=1)
m = jnp.where(jnp.isfinite(m), m, 0)
lse = m + jnp.log(jnp.exp(x - m[:, None]).sum(axis=1))""",
    ),
    Cause.ABSORBED_TAIL: AboutCause(
        "The sum 1 + tail absorbs a small tail, so the logarithm is that of 1.",
        "log1p(tail), with tail the sum over the classes other than the largest",
        *_FROM_LOGITS,
    ),
    Cause.COMMON_OFFSET_CANCELLATION: AboutCause(
        "Two large numbers are subtracted, such as logsumexp − x_y, and their common offset takes"
        " the digits.",
        "take the differences x_j − m and m − x_y first, then exponentiate and add",
        *_FROM_LOGITS,
    ),
    Cause.ONE_MINUS_P_CANCELLATION: AboutCause(
        "1 − p (or p − 1) is computed after p was rounded towards 1.",
        "1 − p_y = Σ_{j≠y} p_j: add the other probabilities; for one logit, 1 − σ(x) = σ(−x)",
        "p: probabilities (rows, classes); y: labels (rows,)",
        """\
g, rows = p.copy(), np.arange(len(p))
g[rows, y] = 0
g[rows, y] = -g.sum(axis=1)""",
        """\
g = p.scatter(1, y[:, None], 0)
g = g.scatter(1, y[:, None], -g.sum(dim=1, keepdim=True))""",
        """\
rows = jnp.arange(len(p))
g = p.at[rows, y].set(0)
g = g.at[rows, y].set(-g.sum(axis=1))""",
        """\
e = np.exp(-np.abs(x))
g = ((1 - z) * np.where(x > 0, 1, e) - z * np.where(x > 0, e, 1)) / (1 + e)""",
    ),
    Cause.NARROW_INTERMEDIATE: AboutCause(
        "An intermediate result is stored in a narrower dtype than the result.",
        "widen the logits before the first step, and round once, at the end",
        _LABELLED,
        """\
w, rows = x.astype(np.promote_types(x.dtype, np.float32)), np.arange(len(x))
m, others = w.max(axis=1), np.exp(w - w.max(axis=1, keepdims=True))
others[rows, w.argmax(axis=1)] = 0
loss = ((m - w[rows, y]) + np.log1p(others.sum(axis=1))).astype(x.dtype)""",
        """\
w = x.to(torch.promote_types(x.dtype, torch.float32))
m, top = w.max(dim=1, keepdim=True)
others = torch.exp(w - m).scatter(1, top, 0).sum(dim=1)
loss = ((m - w.gather(1, y[:, None]))[:, 0] + torch.log1p(others)).to(x.dtype)""",
        """\
w, rows = x.astype(jnp.promote_types(x.dtype, jnp.float32)), jnp.arange(len(x))
m = w.max(axis=1)
others = jnp.exp(w - m[:, None]).at[rows, w.argmax(axis=1)].set(0).sum(axis=1)
loss = ((m - w[rows, y]) + jnp.log1p(others)).astype(x.dtype)""",
    ),
    Cause.LOW_PRECISION_ACCUMULATION: AboutCause(
        "Many terms are added in a dtype that is too narrow, or in one running sum that stalls.",
        "add pairwise, in float32 or wider",
        "e: terms (rows, classes)",
        "s = e.sum(axis=1, dtype=np.promote_types(e.dtype, np.float32))",
        "s = e.sum(dim=1, dtype=torch.promote_types(e.dtype, torch.float32))",
        "s = e.sum(axis=1, dtype=jnp.promote_types(e.dtype, jnp.float32))",
    ),
    Cause.UNTAKEN_BRANCH_GRADIENT: AboutCause(
        "Differentiation goes through a branch of `where` that is not taken: 0 · inf is NaN.",
        "make the input of each branch harmless where the branch is not taken",
        "x: logits (rows,), here of a softplus",
        """\
small = np.exp(np.where(x > 0, -x, x))
loss = np.where(x > 0, x, 0) + np.log1p(small)
gradient = np.where(x > 0, 1, small) / (1 + small)""",
        """\
small = torch.exp(torch.where(x > 0, -x, x))
loss = torch.where(x > 0, x, 0) + torch.log1p(small)""",
        """\
small = jnp.exp(jnp.where(x > 0, -x, x))
loss = jnp.where(x > 0, x, 0) + jnp.log1p(small)""",
    ),
    Cause.DIVISION_BY_SATURATED_P: AboutCause(
        "The gradient divides by a probability that has underflowed or is clipped.",
        "differentiate from the logits: p_j, and −Σ_{j≠y} p_j at the label; no division by p",
        _LABELLED,
        """\
e, rows = np.exp(x - x.max(axis=1, keepdims=True)), np.arange(len(x))
g = e / e.sum(axis=1, keepdims=True)
g[rows, y] = 0
g[rows, y] = -g.sum(axis=1)""",
        """\
e = torch.exp(x - x.amax(dim=1, keepdim=True))
g = (e / e.sum(dim=1, keepdim=True)).scatter(1, y[:, None], 0)
g = g.scatter(1, y[:, None], -g.sum(dim=1, keepdim=True))""",
        """\
e, rows = jnp.exp(x - x.max(axis=1, keepdims=True)), jnp.arange(len(x))
g = (e / e.sum(axis=1, keepdims=True)).at[rows, y].set(0)
g = g.at[rows, y].set(-g.sum(axis=1))""",
        """\
e = np.exp(-np.abs(x))
g = ((1 - z) * np.where(x > 0, 1, e) - z * np.where(x > 0, e, 1)) / (1 + e)""",
    ),
    Cause.EMPTY_MEAN: AboutCause(
        "A mean is taken over no rows or over weights that add up to 0: 0 / 0.",
        "divide by max(count, 1)",
        "losses: (rows,); kept: the rows that count (rows,)",
        "loss = np.where(kept, losses, 0).sum() / max(int(kept.sum()), 1)",
        "loss = torch.where(kept, losses, 0).sum() / kept.sum().clamp(min=1)",
        "loss = jnp.where(kept, losses, 0).sum() / jnp.maximum(kept.sum(), 1)",
    ),
    Cause.INDEX_WRAP: AboutCause(
        "An index or an offset wraps in a narrow integer type, so another element is read.",
        "pick along the axis of the classes, by indices that are wide enough",
        f"{_LOGITS}; y: labels (rows,) of any integer dtype",
        "x_y = np.take_along_axis(x, y[:, None].astype(np.int64), axis=1)[:, 0]",
        "x_y = x.gather(1, y[:, None].long())[:, 0]",
        "x_y = jnp.take_along_axis(x, y[:, None].astype(jnp.int32), axis=1)[:, 0]",
    ),
    Cause.COMPILER_CONTRACTION: AboutCause(
        "A compiler contracts x·c − max into one operation, so the difference is not exactly 0.",
        "scale after the shift: (x − max(x))·c",
        f"{_LOGITS}; temperature: a positive number",
        """\
e = np.exp((x - x.max(axis=1, keepdims=True)) / temperature)
p = e / e.sum(axis=1, keepdims=True)""",
        """\
e = torch.exp((x - x.amax(dim=1, keepdim=True)) / temperature)
p = e / e.sum(dim=1, keepdim=True)""",
        """\
e = jnp.exp((x - x.max(axis=1, keepdims=True)) / temperature)
p = e / e.sum(axis=1, keepdims=True)""",
    ),
    Cause.UNKNOWN: AboutCause("No known form and no experiment explains these rows."),
}
"""Everything that holds for a cause as a whole. To add a cause, add one row here."""
