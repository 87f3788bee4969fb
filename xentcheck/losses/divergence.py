"""Divergences between distributions: kl_divergence and js_divergence.

* ``kl_divergence``  Σ_k t_k (log t_k − x_k) of log-probabilities x against targets t (with
  ``log_target`` the second argument is log t), gradient −t_k with respect to x
* ``js_divergence``  ½ Σ p_k log(2 p_k/(p_k+q_k)) + ½ Σ q_k log(2 q_k/(p_k+q_k)), gradient
  ½ log(2 p_k/(p_k+q_k)) with respect to p

Domain: probabilities in [0, 1] and log-probabilities ≤ 0. They are used as given (not
renormalised), so KL may be negative; JS never is. 0·log 0 = 0. Both are ill-conditioned for
near-equal distributions: KL because x is given rounded, JS because only p − q matters. In the
rearranged form each class adds ¼ (p+q) g(d) ≥ 0 to JS, with d = (p−q)/(p+q) and
g(d) = (1+d) log(1+d) + (1−d) log(1−d).

Sources: Kullback and Leibler 1951; Lin, "Divergence measures based on the Shannon entropy", 1991;
``torch.nn.functional.kl_div``.
"""

from xentcheck.deferred import np
from xentcheck.losses.domain import outside
from xentcheck.losses.grouping import grouped
from xentcheck.losses.spec import (
    Arithmetic,
    Block,
    Components,
    ExactValue,
    Loss,
    Number,
    Row,
    RowResult,
    roundings,
)
from xentcheck.model import (
    Accepts,
    Domain,
    Float64Array,
    LabelKind,
    Layout,
    Parameter,
    ParameterKind,
    Quantity,
)

NAN = float("nan")
INF = float("inf")


def _pairs(row: Row) -> list[tuple[float, float]]:
    assert isinstance(row.label, np.ndarray)
    return [(float(a), float(b)) for a, b in zip(row.x, row.label, strict=True)]


def _kl(ops: Arithmetic, row: Row) -> RowResult:
    assert isinstance(row.label, np.ndarray)
    log_target = bool(row.parameters.get("log_target", False))
    nothing = -INF if log_target else 0.0
    label = row.label
    wrong = ~(label < INF) if log_target else ~((label >= 0.0) & np.isfinite(label))
    unknown = np.isnan(row.x)
    undefined = bool(wrong.any() or (unknown & (label != nothing)).any())
    # −t_k does not depend on other classes, and the value does not depend on classes with target 0:
    # an implementation may or may not spread an invalid number from there
    accepts = Accepts.NAN if wrong.any() or unknown.any() else Accepts.NOTHING
    groups = grouped(
        np.where(unknown, 0.0, row.x), np.where(wrong, nothing, label), wrong.astype(np.float64)
    )
    terms: list[Number] = []
    counts: list[int] = []
    gradient = []
    infinite: set[float] = set()
    for (x, target, is_wrong), count in zip(groups.columns, groups.counts, strict=True):
        if is_wrong:
            gradient.append(ExactValue(NAN))
            continue
        if target == nothing:
            gradient.append(ExactValue(0.0, accepts))
            continue
        t = ops.exp(ops.number(target)) if log_target else ops.number(target)
        gradient.append(ExactValue(-t, accepts))
        if abs(x) == INF:
            infinite.add(-float(x))
        else:
            log_t = ops.number(target) if log_target else ops.log(t)
            terms.append(t * (log_t - ops.number(x)))
            counts.append(count)
    value: Number | float = sum(infinite) if infinite else ops.total(terms, counts)
    found = ExactValue(NAN) if undefined else ExactValue(value, accepts)
    return RowResult(Components([found]), Components(gradient, groups.index))


def _define_kl(ops: Arithmetic, row: Row) -> RowResult:
    """Σ t log t − Σ t x, which is cross-entropy minus entropy."""
    log_target = bool(row.parameters.get("log_target", False))
    t = [ops.exp(ops.number(b)) if log_target else ops.number(b) for _, b in _pairs(row)]
    own = ops.total(
        [
            each * (ops.number(b) if log_target else ops.log(each))
            for each, (_, b) in zip(t, _pairs(row), strict=True)
        ]
    )
    cross = ops.total([each * x for each, (x, _) in zip(t, _pairs(row), strict=True)])
    return RowResult(
        Components([ExactValue(own - cross)]), Components([ExactValue(-each) for each in t])
    )


def _asymmetry(ops: Arithmetic, p: float, q: float) -> Number:
    """½ (p+q) ((1+d) log(1+d) + (1−d) log(1−d)) for p, q > 0: twice the share of one class.

    For small d the two terms cancel, and a difference of order d² remains. d itself is exact
    enough, so the width of the interval shows how many more bits this takes.
    """
    total = ops.number(p) + ops.number(q)
    d = (ops.number(p) - ops.number(q)) / total
    return total * ((1 + d) * ops.log1p(d) + (1 - d) * ops.log1p(-d)) / 2


def _js(ops: Arithmetic, row: Row) -> RowResult:
    if outside(row.x, row.label):
        own = ~((row.x >= 0.0) & (row.label >= 0.0))
        outcomes = [ExactValue(NAN, Accepts.ANYTHING), ExactValue(NAN)]
        return RowResult(Components([ExactValue(NAN)]), Components(outcomes, own.astype(np.intp)))
    log_two = ops.log(ops.number(2.0))
    groups = grouped(row.x, row.label)
    terms: list[Number] = []
    counts: list[int] = []
    gradient = []
    for (p, q), count in zip(groups.columns, groups.counts, strict=True):
        if p == 0.0 and q == 0.0:
            # 0/0 in every formula; for p -> 0 along q = 0 the slope is ½ log 2
            gradient.append(ExactValue(log_two / 2, Accepts.ANYTHING))
            continue
        counts.append(count)
        if p == 0.0 or q == 0.0:
            terms.append(log_two * max(p, q) / 2)
            gradient.append(ExactValue(-INF) if p == 0.0 else ExactValue(log_two / 2))
            continue
        terms.append(_asymmetry(ops, p, q) / 2)
        difference = ops.number(p) - ops.number(q)
        ratio = difference / (ops.number(p) + ops.number(q))
        gradient.append(ExactValue(ops.log1p(ratio) / 2))
    return RowResult(
        Components([ExactValue(ops.total(terms, counts))]), Components(gradient, groups.index)
    )


def _define_js(ops: Arithmetic, row: Row) -> RowResult:
    terms: list[Number] = []
    gradient = []
    for a, b in _pairs(row):
        p, q = ops.number(a), ops.number(b)
        middle = (p + q) / 2
        terms += [p * ops.log(p / middle), q * ops.log(q / middle)]
        gradient.append(ExactValue(ops.log(p / middle) / 2))
    return RowResult(Components([ExactValue(ops.total(terms) / 2)]), Components(gradient))


def _condition_kl(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    labels = np.asarray(block.labels)
    log_target = bool(block.parameters.get("log_target", False))
    log_t = labels if log_target else np.log(np.where(labels > 0, labels, 1.0))
    log_t = np.where(np.isfinite(log_t), log_t, 0.0)
    if quantity is Quantity.GRADIENT:
        return 1.0 + np.abs(log_t) if log_target else np.ones_like(gradient)
    t = np.exp(labels) if log_target else labels
    x = np.where(np.isfinite(block.x), block.x, 0.0)
    counts = t > 0
    log_t, x = np.where(counts, log_t, 0.0), np.where(counts, x, 0.0)
    summed = roundings(x.shape[1]) * np.abs(log_t - x)
    parts = np.sum(t * (1.0 + np.abs(log_t) + np.abs(x) + summed), axis=1)
    return np.asarray(parts / np.abs(value))


def _condition_js(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    p, q = block.x, np.asarray(block.labels)
    total = np.where(p + q > 0, p + q, 1.0)
    if quantity is Quantity.GRADIENT:
        return np.asarray(1.0 + 2.0 * q / total / np.abs(gradient))
    by_p = np.abs(p * np.where(np.isfinite(gradient), gradient, 0.0))
    by_q = np.abs(q * np.log1p(np.where(q > 0, (q - p) / total, 0.0)) / 2)
    moves = np.sum(by_p + by_q, axis=1) / np.abs(value)
    return np.asarray(1.0 + roundings(p.shape[1]) + moves)


_REDUCTION = Parameter(
    "reduction",
    ParameterKind.CHOICE,
    "over the rows",
    default="none",
    choices=("none", "mean", "sum"),
)

KL_DIVERGENCE = Loss(
    id="kl_divergence",
    summary="Kullback-Leibler divergence of log-probabilities from target probabilities",
    formula="Σ_k t_k (log t_k − x_k)",
    gradient_formula="−t_k",
    domain=Domain.LOG_PROBABILITIES,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.DISTRIBUTION,),
    conventions=(
        "0·log 0 = 0, also where x is −inf; a target that is no probability gives NaN",
        "a positive target on x = −inf: +inf",
        "distributions are taken as they are, so the value may be negative",
        "the gradient does not depend on x; where x is NaN, NaN is accepted, and noted",
        "a NaN in a class whose target is 0 does not enter the formula; NaN is accepted, and noted",
        "mean divides by the number of rows (torch's batchmean)",
    ),
    units="nats",
    source="Kullback and Leibler 1951; torch.nn.functional.kl_div",
    evaluate=_kl,
    definition=_define_kl,
    condition=_condition_kl,
    parameters=(
        Parameter(
            "log_target", ParameterKind.FLAG, "the targets are log-probabilities", default=False
        ),
        _REDUCTION,
    ),
)

JS_DIVERGENCE = Loss(
    id="js_divergence",
    summary="Jensen-Shannon divergence of two distributions",
    formula="½ Σ_k p_k log(2 p_k/(p_k+q_k)) + ½ Σ_k q_k log(2 q_k/(p_k+q_k))",
    gradient_formula="½ log(2 p_k/(p_k+q_k))",
    domain=Domain.PROBABILITIES,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.DISTRIBUTION,),
    conventions=(
        "0·log 0 = 0",
        "p = 0 < q: gradient −inf; p = q = 0: gradient undefined, anything is accepted",
        "NaN stays NaN, in its own row; what is no probability gives NaN",
    ),
    units="nats",
    source="Lin 1991, doi:10.1109/18.61115",
    evaluate=_js,
    definition=_define_js,
    condition=_condition_js,
    parameters=(_REDUCTION,),
    nonnegative=True,
)
