"""Public reports that show each cause in a real library, in our own words."""

from collections.abc import Mapping
from dataclasses import dataclass

from xentcheck.model import Cause


@dataclass(frozen=True, slots=True)
class Report:
    """A thread of a public issue tracker.

    Attributes:
        repository: owner and name.
        number: of the issue or pull request.
        says: what was seen, in a few words.
    """

    repository: str
    number: int
    says: str

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.repository}#{self.number}"

    @property
    def url(self) -> str:
        """Where it is. Pull requests are found under this address as well."""
        return f"https://github.com/{self.repository}/issues/{self.number}"


REPORTS: Mapping[Cause, tuple[Report, ...]] = {
    Cause.EXP_OVERFLOW: (
        Report("scipy/scipy", 3386, "expit was NaN from 710 on, in float64"),
        Report("deeplearning4j/deeplearning4j", 6039, "softmax of large logits was NaN"),
        Report("tracel-ai/burn", 5373, "softplus(100) was infinite in float32"),
    ),
    Cause.SUM_OVERFLOW: (
        Report("google-research/last", 43, "65,536 equal logits overflow in float16"),
        Report("huggingface/transformers", 10674, "label smoothing in float16 gave a NaN loss"),
        Report("pytorch/pytorch", 85791, "a float16 mean over many positions was infinite"),
    ),
    Cause.WRONG_SHIFT: (
        Report("FluxML/NNlib.jl", 43, "a shift by max(0, largest): 0/0 for rows far below 0"),
        Report("PaddlePaddle/Paddle", 21165, "a shift of at least −64: log 0 for rows below"),
    ),
    Cause.LOG_OF_SATURATED_PROBABILITY: (
        Report("dmlc/gluon-cv", 942, "logits (100, −21) gave NaN, exact 121"),
        Report("baidu-research/warp-ctc", 23, "an infinite cost beside right gradients"),
        Report("huggingface/candle", 2561, "binary cross-entropy of the logit 20 was NaN"),
    ),
    Cause.EPSILON_CLIP: (
        Report("keras-team/keras", 17634, "from probabilities the loss ends at 16.118"),
        Report("FluxML/Flux.jl", 914, "a plateau of 36.04 with a gradient of 0"),
        Report("scikit-learn/scikit-learn", 17399, "log_loss ends at 36.04"),
    ),
    Cause.INEFFECTIVE_EPSILON: (
        Report("keras-team/keras", 377, "1 − 1e-9 is 1 in float32"),
        Report("scikit-learn/scikit-learn", 24315, "an epsilon of 1e-15 in float32 gave NaN"),
        Report("keras-team/keras", 4032, "1 − 1e-7 is 1 in float16"),
    ),
    Cause.ZERO_TIMES_INF: (
        Report("google-deepmind/optax", 896, "soft labels of 0 on masked classes gave NaN"),
        Report("OpenBMB/ModelCenter", 14, "a padded vocabulary under distillation gave NaN"),
        Report("pytorch/pytorch", 11551, "ignored rows of −inf have a NaN gradient"),
    ),
    Cause.INF_MINUS_INF: (
        Report("microsoft/onnxruntime", 28461, "logsumexp of a masked row was NaN"),
        Report("pytorch/pytorch", 135359, "binary cross-entropy at +inf with label 1 is NaN"),
        Report("pytorch/pytorch", 31829, "the gradient of logsumexp of a masked row was NaN"),
    ),
    Cause.ABSORBED_TAIL: (
        Report("scipy/scipy", 19521, "log_softmax is −0 for a confident class"),
        Report("scipy/scipy", 18295, "logsumexp([0, −40]) was 0"),
        Report("pytorch/pytorch", 113708, "the same in log_softmax of PyTorch"),
    ),
    Cause.COMMON_OFFSET_CANCELLATION: (
        Report("google-deepmind/optax", 1792, "three equal logits of 1e8 give 0, exact log 3"),
        Report("ml-explore/mlx", 4188, "the loss lost its digits under a common offset"),
        Report("google-deepmind/optax", 1020, "bfloat16 losses came in steps of 1/4"),
    ),
    Cause.ONE_MINUS_P_CANCELLATION: (
        Report("kornia/kornia", 918, "the focal gradient was NaN for logits of ±100"),
        Report("google-deepmind/optax", 1267, "(1 − p)^γ with γ below 1"),
        Report("scipy/scipy", 20083, "a divergence of near-equal distributions was negative"),
    ),
    Cause.NARROW_INTERMEDIATE: (
        Report("linkedin/Liger-Kernel", 1432, "logits were rounded to bfloat16 before widening"),
        Report("marin-community/marin", 8217, "forward and backward saw different logits"),
        Report("Modalities/modalities", 464, "the loss was computed in bfloat16"),
    ),
    Cause.LOW_PRECISION_ACCUMULATION: (
        Report("pytorch/executorch", 20090, "a bfloat16 sum stalls at 256"),
        Report("sonos/tract", 2586, "a float16 row sum: probabilities 29 % too large"),
        Report("pytorch/pytorch", 24457, "bfloat16 accumulators lost more than half"),
    ),
    Cause.UNTAKEN_BRANCH_GRADIENT: (
        Report("jax-ml/jax", 17117, "softmax with `where`: NaN from a masked large logit"),
        Report("jax-ml/jax", 347, "the gradient goes through both branches of `where`"),
    ),
    Cause.DIVISION_BY_SATURATED_P: (
        Report("FluxML/NNlib.jl", 68, "the gradient of log_softmax divided by the softmax"),
        Report("PaddlePaddle/models", 2909, "1/p overflowed in float16"),
        Report("pytorch/pytorch", 103316, "a floored denominator: a gradient of −2e-10, exact −1"),
    ),
    Cause.EMPTY_MEAN: (
        Report("pytorch/pytorch", 70348, "a mean over ignored rows alone is NaN"),
        Report("microsoft/onnxruntime", 3734, "the same, where 0 was chosen"),
    ),
}
"""Not every cause has one: nobody reported a wrapped index or a contraction in a loss by itself."""
