"""Losses of probabilities and log-probabilities: CCE, BCE, nll_loss, entropy.

* ``categorical_cross_entropy``  −Σ_k y_k log p_k, gradient −y_k / p_k
* ``binary_cross_entropy``       −z log p − (1−z) log(1−p), gradient (p − z) / (p (1−p))
* ``nll_loss``                   −w_y x_y of log-probabilities x, gradient −w_y at the label
* ``entropy``                    −Σ_k p_k log_b p_k in nats, bits or harts (base e, 2, 10),
  gradient −(log p_k + 1) / log b

Domain: probabilities in [0, 1] and log-probabilities ≤ 0. They are neither clipped nor
renormalised. Where a label of 0 meets a probability of 0, the limits are 0·log 0 = 0 and 0/0 = 0. A
positive label on a probability of 0 gives +inf with gradient −inf. All terms are already positive.
Only 1−p needs care, and an interval keeps it exact.

Sources: Cover and Thomas, *Elements of Information Theory*, chapter 2; ``torch.nn.NLLLoss``.
"""

from xentcheck.deferred import np
from xentcheck.losses.domain import all_nan, outside
from xentcheck.losses.grouping import grouped
from xentcheck.losses.labels import row_weights
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


def _masses(row: Row) -> Float64Array:
    if isinstance(row.label, np.ndarray):
        return row.label
    assert isinstance(row.label, int)
    mass = np.zeros(len(row.x))
    mass[row.label] = 1.0
    return mass


def _not_a_number(row: Row, masses: Float64Array | None = None) -> RowResult:
    """NaN for a row with a number that is not a probability.

    A gradient component that does not depend on this number may be computed instead. The component
    of a class without label is 0, because the class does not enter the formula.
    """
    index = (np.isnan(row.x) | (row.x < 0.0)).astype(np.intp)
    if masses is not None:
        index[np.isnan(masses)] = 1
        index[masses == 0.0] = 2
    outcomes = [ExactValue(NAN, Accepts.ANYTHING), ExactValue(NAN), ExactValue(0.0, Accepts.NAN)]
    return RowResult(Components([ExactValue(NAN)]), Components(outcomes, index))


def _categorical(ops: Arithmetic, row: Row) -> RowResult:
    masses = _masses(row)
    invalid = ~((row.x >= 0.0) & np.isfinite(row.x))
    if np.isnan(masses).any() or np.any(invalid & (masses != 0.0)):
        return _not_a_number(row, masses)
    # a class without label does not enter the formula: an invalid number there may spread or not
    others = Accepts.NAN if invalid.any() else Accepts.NOTHING
    groups = grouped(np.where(invalid, 1.0, row.x), masses)
    terms: list[Number] = []
    counts: list[int] = []
    gradient = []
    infinite = False
    for (p, y), count in zip(groups.columns, groups.counts, strict=True):
        if y == 0.0:
            gradient.append(ExactValue(0.0, Accepts.NAN if p == 0.0 else others))
        elif p == 0.0:
            infinite = True
            gradient.append(ExactValue(-INF, others))
        else:
            terms.append(-(ops.log(ops.number(p)) * float(y)))
            counts.append(count)
            gradient.append(ExactValue(-(ops.number(y) / ops.number(p)), others))
    value = ExactValue(INF if infinite else ops.total(terms, counts), others)
    return RowResult(Components([value]), Components(gradient, groups.index))


def _define_categorical(ops: Arithmetic, row: Row) -> RowResult:
    masses = _masses(row)
    terms = [ops.number(y) * ops.log(ops.number(p)) for p, y in zip(row.x, masses, strict=True)]
    gradient = [
        ExactValue(-(ops.number(y) / ops.number(p))) for p, y in zip(row.x, masses, strict=True)
    ]
    return RowResult(Components([ExactValue(-ops.total(terms))]), Components(gradient))


def _binary(ops: Arithmetic, row: Row) -> RowResult:
    p, z = float(row.x), float(row.label)
    if not 0.0 <= p <= 1.0 or z != z:
        return all_nan(1)
    chance, against = ops.number(p), 1 - ops.number(p)
    target, rest = ops.number(z), 1 - ops.number(z)
    if p in (0.0, 1.0):
        # the target mass on the impossible side decides: 0 costs nothing, anything else +inf
        impossible = target if p == 0.0 else rest
        if not impossible.is_zero:
            value = ExactValue(INF)
            gradient = ExactValue(-INF if p == 0.0 else INF)
        else:
            value, gradient = ExactValue(0.0), ExactValue(ops.number(1.0 if p == 0.0 else -1.0))
        return RowResult(Components([value]), Components([gradient]))
    surprise = target * -ops.log(chance) + rest * -ops.log1p(-chance)
    slope = (chance - target) / (chance * against)
    return RowResult(Components([ExactValue(surprise)]), Components([ExactValue(slope)]))


def _define_binary(ops: Arithmetic, row: Row) -> RowResult:
    p, z = ops.number(float(row.x)), ops.number(float(row.label))
    value = -(z * ops.log(p)) - (1 - z) * ops.log(1 - p)
    gradient = -(z / p) + (1 - z) / (1 - p)
    return RowResult(Components([ExactValue(value)]), Components([ExactValue(gradient)]))


def _nll(ops: Arithmetic, row: Row) -> RowResult:
    classes = len(row.x)
    index = np.zeros(classes, dtype=np.intp)
    ignored = row.label == row.parameters.get("ignore_index", -100)
    if ignored:
        zero = ExactValue(0.0)
        return RowResult(Components([zero]), Components([zero], index))
    assert isinstance(row.label, int)
    given = row.parameters.get("weight")
    weight = 1.0 if given is None else float(np.asarray(given)[row.label])
    x = float(row.x[row.label])
    # other classes do not enter the formula: a NaN there may or may not spread
    others = Accepts.NAN if np.isnan(row.x).any() else Accepts.NOTHING
    index[row.label] = 1
    if x != x:
        value = ExactValue(NAN)
    elif abs(x) == INF:
        value = ExactValue(-x if weight else 0.0, others)
    else:
        value = ExactValue(-(ops.number(x) * weight), others)
    slope = ExactValue(ops.number(-weight), others)
    return RowResult(Components([value]), Components([ExactValue(0.0, others), slope], index))


def _entropy_unit(ops: Arithmetic, row: Row) -> Number | None:
    base = str(row.parameters.get("base", "e"))
    return None if base == "e" else ops.log(ops.number(float(base)))


def _entropy(ops: Arithmetic, row: Row) -> RowResult:
    if outside(row.x):
        return _not_a_number(row)
    unit = _entropy_unit(ops, row)
    groups = grouped(row.x)
    terms: list[Number] = []
    counts: list[int] = []
    gradient = []
    for p, count in zip(groups.columns[:, 0], groups.counts, strict=True):
        if p == 0.0:
            gradient.append(ExactValue(INF))
            continue
        log_p = ops.log(ops.number(p))
        terms.append(-(log_p * float(p)))
        counts.append(count)
        slope = -(log_p + 1)
        gradient.append(ExactValue(slope if unit is None else slope / unit))
    value = ops.total(terms, counts)
    return RowResult(
        Components([ExactValue(value if unit is None else value / unit)]),
        Components(gradient, groups.index),
    )


def _define_entropy(ops: Arithmetic, row: Row) -> RowResult:
    unit = _entropy_unit(ops, row) or ops.number(1.0)
    logs = [ops.log(ops.number(p)) / unit for p in row.x]
    value = -ops.total([ops.number(p) * each for p, each in zip(row.x, logs, strict=True)])
    gradient = [ExactValue(-(each + 1 / unit)) for each in logs]
    return RowResult(Components([ExactValue(value)]), Components(gradient))


def _by_value(block: Block, value: Float64Array, gradient: Float64Array) -> Float64Array:
    moves = np.abs(block.x * gradient).sum(axis=1) / np.abs(value)
    return np.asarray(1.0 + roundings(block.x.shape[1]) + moves)


def _condition_value(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    if quantity is Quantity.VALUE:
        return _by_value(block, value, gradient)
    return np.ones_like(gradient)


def _condition_binary(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    p, z = block.x, np.asarray(block.labels)
    if quantity is Quantity.VALUE:
        return np.asarray(1.0 + np.abs(p * gradient) / np.abs(value))
    # the gradient is (p − z) / (p (1 − p))
    return np.asarray((p + z) / (p * (1 - p)) / np.abs(gradient) + p / (1 - p))


def _condition_entropy(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    if quantity is Quantity.VALUE:
        return _by_value(block, value, gradient)
    base = str(block.parameters.get("base", "e"))
    unit = 1.0 if base == "e" else np.log(float(base))
    return np.asarray((1.0 + np.abs(np.log(block.x))) / unit / np.abs(gradient))


_REDUCTION = Parameter(
    "reduction",
    ParameterKind.CHOICE,
    "over the rows",
    default="none",
    choices=("none", "mean", "sum"),
)
_ZERO_LOG_ZERO = "0·log 0 = 0"
_PROPAGATE = "NaN stays NaN, in its own row; what is no probability gives NaN"
_CLIPPED = "implementations that clip are judged against the unclipped loss (plateau)"

CATEGORICAL_CROSS_ENTROPY = Loss(
    id="categorical_cross_entropy",
    summary="cross-entropy of labels with probabilities",
    formula="−Σ_k y_k log p_k",
    gradient_formula="−y_k / p_k",
    domain=Domain.PROBABILITIES,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER, LabelKind.DISTRIBUTION),
    conventions=(
        _ZERO_LOG_ZERO + "; its gradient 0/0 = 0 (NaN is accepted, and noted)",
        "a positive label on a probability of 0: +inf, gradient −inf",
        _CLIPPED,
        "probabilities that do not sum to 1 are taken as they are",
        "a NaN in a class without label does not enter the formula; NaN is accepted, and noted",
    ),
    units="nats",
    source="Cover and Thomas, Elements of Information Theory, chapter 2",
    evaluate=_categorical,
    definition=_define_categorical,
    condition=_condition_value,
    parameters=(_REDUCTION,),
    nonnegative=True,
)

BINARY_CROSS_ENTROPY = Loss(
    id="binary_cross_entropy",
    summary="binary cross-entropy of targets with probabilities",
    formula="−z log p − (1−z) log(1−p)",
    gradient_formula="(p − z) / (p (1−p))",
    domain=Domain.PROBABILITIES,
    layout=Layout.ELEMENTWISE,
    label_kinds=(LabelKind.TARGET,),
    conventions=(
        _ZERO_LOG_ZERO,
        "p = 0 with z = 0: gradient 1; p = 1 with z = 1: gradient −1; otherwise ∓inf there",
        _CLIPPED,
        _PROPAGATE,
    ),
    units="nats",
    source="Cover and Thomas, Elements of Information Theory, chapter 2; torch.nn.BCELoss",
    evaluate=_binary,
    definition=_define_binary,
    condition=_condition_binary,
    parameters=(_REDUCTION,),
    nonnegative=True,
)

NLL_LOSS = Loss(
    id="nll_loss",
    summary="negative log-likelihood of labels under log-probabilities",
    formula="−w_y x_y",
    gradient_formula="−w_y at the label, 0 elsewhere",
    domain=Domain.LOG_PROBABILITIES,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER,),
    conventions=(
        "an ignored row: exactly 0, value and gradient",
        "a weight of 0 on −inf: 0",
        "a NaN in another class does not enter the formula; NaN is accepted, and noted",
        "mean divides by the sum of the kept rows' weights; over nothing: NaN or 0, gradient 0",
    ),
    units="nats",
    source="torch.nn.NLLLoss",
    evaluate=_nll,
    definition=_nll,
    condition=_condition_value,
    parameters=(
        Parameter("weight", ParameterKind.CLASS_VECTOR, "weight of each class", minimum=0.0),
        Parameter(
            "ignore_index", ParameterKind.INTEGER, "rows with this label count for nothing", -100
        ),
        _REDUCTION,
    ),
    row_weights=row_weights,
)

ENTROPY = Loss(
    id="entropy",
    summary="Shannon entropy of probabilities",
    formula="−Σ_k p_k log_b p_k",
    gradient_formula="−(log p_k + 1) / log b",
    domain=Domain.PROBABILITIES,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.NONE,),
    conventions=(_ZERO_LOG_ZERO + "; its gradient is +inf", _PROPAGATE),
    units="nats (base e), bits (base 2), harts (base 10)",
    source="Cover and Thomas, Elements of Information Theory, chapter 2",
    evaluate=_entropy,
    definition=_define_entropy,
    condition=_condition_entropy,
    parameters=(
        Parameter(
            "base", ParameterKind.CHOICE, "of the logarithm", default="e", choices=("e", "2", "10")
        ),
        _REDUCTION,
    ),
    nonnegative=True,
)
