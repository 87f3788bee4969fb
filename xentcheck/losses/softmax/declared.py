"""The softmax family: softmax, log_softmax, logsumexp and softmax_cross_entropy.

With z = (x + noise) / temperature, S = Σ_j exp(z_j) and p = exp(z) / S:

* ``softmax``              p_k, gradient of component i: p_i (δ_ij − p_j) / temperature
* ``log_softmax``          z_k − log S, gradient of component i: δ_ij − p_j
* ``logsumexp``            log S, gradient p
* ``softmax_cross_entropy``  Σ_k c_k (log S − z_k) + z_loss (log S)², in nats, where for integer
  labels c_k = (1−ε) w_y [k=y] + (ε/C) w_k, for distributions c_k = w_k ((1−ε) y_k + ε/C);
  gradient ((Σc) p_j − c_j + 2 z_loss log S p_j) / temperature

Domain: real logits and −inf (the class drops out). The rearranged formulas use the largest z_m,
T = Σ_{j≠m} exp(z_j − z_m) and L = log1p(T): log S − z_k = (z_m − z_k) + L, p_m = 1/(1+T) and
1 − p_m = T/(1+T). They have only positive terms, so nothing cancels.

Sources: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax
functions", IMA J. Numer. Anal. 41 (2021); label smoothing and class weights as
``torch.nn.functional.cross_entropy`` documents them; z-loss: Chowdhery et al., PaLM, 2022.
"""

from xentcheck.losses.labels import row_weights
from xentcheck.losses.softmax.condition import (
    condition_cross_entropy,
    condition_log_softmax,
    condition_logsumexp,
    condition_softmax,
)
from xentcheck.losses.softmax.rearranged import (
    evaluate_cross_entropy,
    evaluate_log_softmax,
    evaluate_logsumexp,
    evaluate_softmax,
)
from xentcheck.losses.softmax.textbook import (
    define_cross_entropy,
    define_log_softmax,
    define_logsumexp,
    define_softmax,
)
from xentcheck.losses.spec import Loss
from xentcheck.losses.terms import of_cross_entropy, of_one_minus, of_softmax
from xentcheck.model import Domain, LabelKind, Layout, Parameter, ParameterKind

UNDEFINED_ROW = "a row all -inf: undefined; NaN or 0 is accepted"
INFINITE_LOGIT = "one +inf logit: the limit (p is one-hot); NaN is accepted, and noted"
MASKED = "a logit of -inf: that class drops out (p = 0)"
PROPAGATE = "a NaN logit makes its row NaN, and no other (of one class only, 0 is accepted too)"


_TEMPERATURE = Parameter(
    "temperature",
    ParameterKind.REAL,
    "the logits are divided by it",
    default=1.0,
    minimum=2.0**-14,  # the smallest normal float16: no dtype rounds it to 0
)
_SOURCE = "Blanchard, Higham, Higham 2021, doi:10.1093/imanum/draa038"
_CONVENTIONS = (MASKED, UNDEFINED_ROW, INFINITE_LOGIT, PROPAGATE)

SOFTMAX = Loss(
    id="softmax",
    summary="probabilities of the classes",
    formula="p_k = exp(z_k) / Σ_j exp(z_j),  z = (x + noise) / temperature",
    gradient_formula="of component i: p_i (δ_ij − p_j) / temperature",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER,),
    conventions=_CONVENTIONS,
    units="probability",
    source=_SOURCE + "; Gumbel noise: Jang, Gu, Poole 2017",
    evaluate=evaluate_softmax,
    definition=define_softmax,
    condition=condition_softmax,
    terms=of_softmax,
    parameters=(
        _TEMPERATURE,
        Parameter("noise", ParameterKind.ROW_MATRIX, "Gumbel noise, given, added to the logits"),
    ),
    per_class=True,
    nonnegative=True,
    reducible=False,
)

LOG_SOFTMAX = Loss(
    id="log_softmax",
    summary="logarithms of the probabilities of the classes",
    formula="x_k − log Σ_j exp(x_j)",
    gradient_formula="of component i: δ_ij − p_j",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER,),
    conventions=(*_CONVENTIONS, "a masked class: -inf"),
    units="nats",
    source=_SOURCE,
    evaluate=evaluate_log_softmax,
    definition=define_log_softmax,
    condition=condition_log_softmax,
    terms=of_one_minus,
    per_class=True,
    reducible=False,
)

LOGSUMEXP = Loss(
    id="logsumexp",
    summary="logarithm of the sum of exponentials",
    formula="log Σ_j exp(x_j)",
    gradient_formula="p_j",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.NONE,),
    conventions=(
        MASKED,
        "a row all -inf: -inf; its gradient is undefined, anything is accepted",
        "a +inf logit: +inf; NaN is accepted, and noted",
        PROPAGATE,
    ),
    units="nats",
    source=_SOURCE,
    evaluate=evaluate_logsumexp,
    definition=define_logsumexp,
    condition=condition_logsumexp,
    reducible=False,
)

SOFTMAX_CROSS_ENTROPY = Loss(
    id="softmax_cross_entropy",
    summary="cross-entropy of labels with the softmax of logits",
    formula="Σ_k c_k (log Σ_j exp(z_j) − z_k) + z_loss (log Σ_j exp(z_j))²",
    gradient_formula="((Σc) p_j − c_j + 2 z_loss log S p_j) / temperature",
    domain=Domain.LOGITS,
    layout=Layout.ROWS,
    label_kinds=(LabelKind.INTEGER, LabelKind.DISTRIBUTION),
    conventions=(
        MASKED,
        "0·log 0 = 0: a label of 0 on a masked class adds nothing",
        "a masked target: +inf, gradient p − onehot",
        UNDEFINED_ROW,
        INFINITE_LOGIT,
        PROPAGATE,
        "an ignored row: exactly 0, value and gradient, whatever its logits",
        "mean divides by the kept rows' weights (integer labels) or by the number of rows",
        "mean over nothing: NaN or 0, gradient 0",
        "label_smoothing ε: (1−ε) y + ε/C over all C classes, the target among them",
        "distributions that do not sum to 1: gradient (Σy) p − y",
    ),
    units="nats",
    source=_SOURCE + "; torch.nn.functional.cross_entropy; z-loss: Chowdhery et al. 2022",
    evaluate=evaluate_cross_entropy,
    definition=define_cross_entropy,
    condition=condition_cross_entropy,
    terms=of_cross_entropy,
    parameters=(
        Parameter("weight", ParameterKind.CLASS_VECTOR, "weight of each class", minimum=0.0),
        Parameter(
            "ignore_index",
            ParameterKind.INTEGER,
            "rows with this label count for nothing",
            default=-100,
            label_kinds=(LabelKind.INTEGER,),
        ),
        Parameter(
            "label_smoothing",
            ParameterKind.REAL,
            "mass moved from the label to all classes evenly: (1−ε) y + ε/C",
            default=0.0,
            minimum=0.0,
            maximum=1.0,
        ),
        _TEMPERATURE,
        Parameter(
            "z_loss", ParameterKind.REAL, "adds z_loss · logsumexp²", default=0.0, minimum=0.0
        ),
        Parameter(
            "reduction",
            ParameterKind.CHOICE,
            "over the rows",
            default="none",
            choices=("none", "mean", "sum"),
        ),
    ),
    nonnegative=True,
    row_weights=row_weights,
)
