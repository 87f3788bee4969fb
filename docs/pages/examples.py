"""The smallest example of each cause; the pages of the causes show them."""

from collections.abc import Mapping
from dataclasses import dataclass

from xentcheck.model import Cause


@dataclass(frozen=True, slots=True)
class Example:
    """A few lines of NumPy that show a cause.

    Attributes:
        story: what happens, in two or three sentences.
        code: lines that make the inputs and compute.
        result: the expression that is wrong.
        exact: the exact result, as an expression of mpmath.
    """

    story: str
    code: str
    result: str
    exact: str


_SOFTMAX = "p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()"

EXAMPLES: Mapping[Cause, Example] = {
    Cause.EXP_OVERFLOW: Example(
        "exp overflows beyond 11.09 in float16, 88.72 in float32 and bfloat16, 709.78 in float64."
        " The quotient of two infinities is NaN, a logarithm of one is infinite. Logits of that"
        " size are common: an untrained last layer, a temperature below 1.",
        "x = np.float32([100, 0])\np = np.exp(x) / np.exp(x).sum()",
        "p[0]",
        "1 / (1 + exp(-100))",
    ),
    Cause.SUM_OVERFLOW: Example(
        "Each term fits, their sum does not. float16 ends at 65,504: a vocabulary of 65,536 equal"
        " logits, a sum of losses before a mean, or a smoothing term over all classes is beyond.",
        "e = np.ones(65536, np.float16)",
        "np.log(e.sum())",
        "log(65536)",
    ),
    Cause.WRONG_SHIFT: Example(
        "A shift protects only if it is the row's own maximum. With max(0, largest), the first"
        " logit, the mean or the maximum of the whole batch, rows that lie lower have powers that"
        " are all 0, and log 0 or 0/0 comes of them; rows that lie higher overflow.",
        "x = np.float32([-200, -200])\nx = x - max(x.max(), -64)",
        "np.log(np.exp(x).sum()) - x[0]",
        "log(2)",
    ),
    Cause.LOG_OF_SATURATED_PROBABILITY: Example(
        "A probability near 1 has lost what distinguishes it from 1, and one below the smallest"
        " number is 0. The logarithm cannot bring that back: the loss of a confident row is 0, the"
        " loss of a wrong one infinite.",
        f"x = np.float32([0, 200])\n{_SOFTMAX}",
        "-np.log(p[0])",
        "200 + log1p(exp(-200))",
    ),
    Cause.EPSILON_CLIP: Example(
        "log(p + ε) and log(max(p, ε)) end at −log ε: 18.42 for 1e-8, 16.12 for 1e-7. On that"
        " plateau the gradient is 0 or nearly so, for the rows that are most wrong. Near p = 1 an"
        " added ε makes the loss negative.",
        f"x = np.float32([0, 40])\n{_SOFTMAX}",
        "-np.log(p[0] + np.float32(1e-8))",
        "40 + log1p(exp(-40))",
    ),
    Cause.INEFFECTIVE_EPSILON: Example(
        "An epsilon has to be large enough for the dtype: 1 − ε is 1 for ε below 2.4e-4 in float16,"
        " 3e-8 in float32, 5.5e-17 in float64, and 1e-8 itself is 0 in float16. Then the clip does"
        " nothing, and log 0 is reached.",
        "x = np.float16(20)  # with label 0\n"
        "p = np.minimum(1 / (1 + np.exp(-x)), np.float16(1 - 1e-7))",
        "-np.log(1 - p)",
        "20 + log1p(exp(-20))",
    ),
    Cause.ZERO_TIMES_INF: Example(
        "A label of 0 on a class with probability 0 adds 0 · log 0, which is NaN and not 0. It"
        " comes with masked classes (a logit of −inf), one-hot labels as factors, and masks that"
        " multiply instead of select.",
        "log_p, y = np.float32([-np.inf, 0]), np.float32([0, 1])",
        "-(y * log_p).sum()",
        "mpf(0)",
    ),
    Cause.INF_MINUS_INF: Example(
        "A row whose classes are all masked has the maximum −inf, and −inf − (−inf) is NaN. The"
        " same happens to inf − inf·z in a binary cross-entropy, and to a running maximum before"
        " the first class that counts.",
        "x = np.float32([-np.inf, -np.inf])\nm = x.max()",
        "m + np.log(np.exp(x - m).sum())",
        "-inf",
    ),
    Cause.ABSORBED_TAIL: Example(
        "After the shift the largest class adds 1 to the sum, and 1 absorbs whatever is below half"
        " its ulp: gaps beyond 16.64 (ln 2²⁴) in float32, 36.74 (ln 2⁵³) in float64. The logarithm"
        " of 1 is 0, and the digits before that are lost one by one.",
        "x = np.float32([20, 0])\nx = x - x.max()",
        "np.log(np.exp(x).sum()) - x[0]",
        "log1p(exp(-20))",
    ),
    Cause.COMMON_OFFSET_CANCELLATION: Example(
        "logsumexp is near the largest logit, and is rounded there; subtracting the label's logit"
        " leaves that rounding alone. The absolute error is an ulp of the offset, whatever the loss"
        " is.",
        "x = np.float32([1e8, 1e8])\nm = x.max()\nlse = m + np.log(np.exp(x - m).sum())",
        "lse - x[0]",
        "log(2)",
    ),
    Cause.ONE_MINUS_P_CANCELLATION: Example(
        "p is rounded to a multiple of the ulp below 1, and 1 − p is what is left of it: wrong in"
        " its leading digits, then 0. The gradient p − 1 of a confident row is 0 while the"
        " gradients of its other classes are not, so they do not add up to 0 any more.",
        f"x = np.float32([20, 0])\n{_SOFTMAX}",
        "p[0] - 1",
        "-exp(-20) / (1 + exp(-20))",
    ),
    Cause.NARROW_INTERMEDIATE: Example(
        "One buffer, one cast or one argument of a narrower dtype rounds what later steps cannot"
        " restore: logits in float16, powers in bfloat16, a probability that is widened after it"
        " was rounded.",
        "x = np.float32([1000.25, 1000])\nx = x.astype(np.float16).astype(np.float32)\n"
        "x = x - x.max()",
        "np.log(np.exp(x).sum()) - x[1]",
        "log1p(exp(mpf(1) / 4))",
    ),
    Cause.LOW_PRECISION_ACCUMULATION: Example(
        "A running sum stalls where its ulp is larger than twice a term: sums of ones at 256 in"
        " bfloat16, 2048 in float16, 2²⁴ in float32. Long before that every addition loses digits.",
        "e = np.ones(3000, np.float16)",
        "np.cumsum(e)[-1]",
        "mpf(3000)",
    ),
    Cause.UNTAKEN_BRANCH_GRADIENT: Example(
        "The derivative of where(c, a, b) is c·a′ + (1 − c)·b′. Where b overflows, b′ is infinite"
        " or NaN, and 0 times it is NaN, though the value is right.",
        "x = np.float32([100])  # of where(x > 20, x, log1p(exp(x)))\ne = np.exp(x)",
        "((x > 20) * 1 + (x <= 20) * (e / (1 + e)))[0]",
        "1 / (1 + exp(-100))",
    ),
    Cause.DIVISION_BY_SATURATED_P: Example(
        "The derivative of log p is 1/p. A chain rule that goes through it divides by a p that has"
        " underflowed, and multiplies by p again; with a floor under p the gradient vanishes"
        " instead.",
        f"x = np.float32([0, 200])\n{_SOFTMAX}",
        "-1 / p[0] * p[0] * (1 - p[0])",
        "-1 / (1 + exp(-200))",
    ),
    Cause.EMPTY_MEAN: Example(
        "If all rows of a batch are ignored, or their weights are all 0, the mean is 0/0. Its"
        " gradient has to be 0; NaN there destroys the weights of the model. For the value 0 and"
        " NaN are both accepted.",
        "kept = np.array([False])\ncount = np.float32(kept.sum())",
        "np.float32(0) / count",
        "mpf(0)",
    ),
    Cause.INDEX_WRAP: Example(
        "row · classes + label wraps if the integers are too narrow for it: at 65,536 in 16 bits,"
        " at 2,147,483,648 in 32 bits, which 16,384 rows of a vocabulary of 131,072 reach. The loss"
        " is that of another label.",
        "x = np.zeros((2, 40000), np.float32)\nx[1, 30000] = 5\n"
        "flat = np.array([1], np.uint16) * 40000 + 30000",
        "x.reshape(-1)[flat][0]",
        "mpf(5)",
    ),
    Cause.COMPILER_CONTRACTION: Example(
        "The maximum of x·c is taken from rounded products, but the compiler fuses x·c − max into"
        " one operation without that rounding. What should be 0 is the rounding of the product, and"
        " exp makes a wrong power of it.",
        "x, c = np.float32([1e10, 0]), np.float32(1 / 0.3)\nm = (x * c).max()\n"
        "fused = np.float32(np.float64(x) * np.float64(c) - np.float64(m))\n"
        "e = np.exp(fused)",
        "e[0] / e.sum()",
        "mpf(1)",
    ),
}
