"""The causes that one axis shows: which forms are compared along it, on which rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xentcheck.model import Cause

_CE = "softmax_cross_entropy"


@dataclass(frozen=True, slots=True)
class Course:
    """What a figure shows.

    Attributes:
        loss: the loss.
        faulty: the implementation that shows the cause.
        sound: one that does not.
        axis: what moves, in words.
        row: the logits for a number on the axis; the label is 0.
        numbers: the numbers on the axis.
        dtype: the dtype of the logits.
        quantity: value or gradient.
        log: whether the axis is logarithmic.
    """

    loss: str
    faulty: str
    sound: str
    axis: str
    row: Callable[[float], list[float]]
    numbers: Sequence[float]
    dtype: str = "float32"
    quantity: str = "value"
    log: bool = False


_GAPS = np.linspace(0, 120, 49).tolist()

COURSES: Mapping[Cause, Course] = {
    Cause.EXP_OVERFLOW: Course(
        _CE, "numpy.naive", "numpy.log1p", "x of the logits [x, 0]", lambda x: [x, 0], _GAPS
    ),
    Cause.WRONG_SHIFT: Course(
        *(_CE, "numpy.zero_clamped_shift", "numpy.log1p"),
        *("x of the logits [−x, −x]", lambda x: [-x, -x], _GAPS),
    ),
    Cause.LOG_OF_SATURATED_PROBABILITY: Course(
        _CE,
        "numpy.log_of_softmax",
        "numpy.log1p",
        "x of the logits [0, x]",
        lambda x: [0, x],
        _GAPS,
    ),
    Cause.EPSILON_CLIP: Course(
        _CE, "numpy.clipped", "numpy.log1p", "x of the logits [0, x]", lambda x: [0, x], _GAPS
    ),
    Cause.ABSORBED_TAIL: Course(
        *(_CE, "numpy.shifted_log_softmax", "numpy.log1p"),
        *("x of the logits [x, 0]", lambda x: [x, 0], np.linspace(0, 40, 49).tolist()),
    ),
    Cause.COMMON_OFFSET_CANCELLATION: Course(
        *(_CE, "numpy.lse_minus_logit", "numpy.log1p"),
        *("o of the logits [o, o − 1]", lambda o: [o, o - 1], np.geomspace(1, 2**20, 41).tolist()),
        log=True,
    ),
    Cause.ONE_MINUS_P_CANCELLATION: Course(
        *(_CE, "numpy.shifted_log_softmax", "numpy.accurate"),
        *("x of the logits [x, 0]", lambda x: [x, 0], np.linspace(0, 40, 49).tolist()),
        quantity="gradient",
    ),
}
