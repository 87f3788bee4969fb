"""The inputs that a search tries: class counts, numbers, labels and parameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, Format, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.losses.parameters import rounded
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Array,
    Case,
    Domain,
    Float64Array,
    LabelKind,
    Layout,
    Parameter,
    ParameterKind,
    ParameterValue,
)
from xentcheck.searching.trials import ROWS
from xentcheck.sweeps.landmarks import landmarks

NAME = "search"
"""The sweep and the generator of rows that a search tries."""

COUNTS = (2, 3, 5, 8, 10, 1, 33, 129)
"""Class counts of the rows that are tried, the most rewarding first."""

CHANCES = (0.34, 0.2, 0.12, 0.1, 0.1, 0.02, 0.08, 0.04)
"""How often each of them is tried."""

COMMON = {"float64": 750.0, "float16": 24.0}
"""The largest |logit| of ordinary rows by dtype; 110 for others. Beyond it exp is 0 or inf."""

_STEPS = {
    "label_smoothing": (0.1, 0.5, 1e-3),
    "temperature": (0.5, 3.0, 0.1, 20.0),
    "z_loss": (1e-4, 0.1),
    "pos_weight": (0.1, 3.0, 100.0),
    "alpha": (0.25, 0.9),
    "gamma": (0.5, 1.0, 5.0),
}
"""Values of real parameters from which a search starts."""

Setting = Mapping[str, Any]
"""Values of parameters by name; "random" for numbers per class."""


@dataclass(frozen=True)
class Space:
    """What a search may try.

    Attributes:
        loss: the loss.
        dtype: the dtype of the rows, by name.
        kind: the kind of labels.
        targets: "all", "ends" or "soft": which labels are tried; integer ones are all tried.
        integers: targets are given as int64.
        settings: the parameters that are tried, the ones that were asked for first.
        counts: the class counts that are tried.
    """

    loss: Loss
    dtype: str
    kind: LabelKind
    targets: str = "all"
    integers: bool = False
    settings: tuple[Setting, ...] = ({},)
    counts: tuple[int, ...] = COUNTS

    @cached_property
    def format(self) -> Format:
        """The format of the rows."""
        return FORMATS[self.dtype]

    @property
    def elementwise(self) -> bool:
        """Whether each number is a row."""
        return self.loss.layout is Layout.ELEMENTWISE

    @property
    def size(self) -> int:
        """The number of rows of every call: few, so that a search learns often."""
        return ROWS

    @property
    def common(self) -> float:
        """The largest |logit| of ordinary rows."""
        return COMMON.get(self.dtype, 110.0)

    @cached_property
    def anchors(self) -> Float64Array:
        """Numbers at which losses are known to break, then round numbers, of the dtype: (n,)."""
        if self.loss.domain is Domain.PROBABILITIES:
            tenths = np.arange(1, 10) / 10.0
            powers = (2.0 ** -np.arange(1.0, 30), 10.0 ** -np.arange(1.0, 20))
            plain = np.concatenate([tenths, *powers])
            plain = np.concatenate([plain, 1.0 - plain])
        else:
            whole = np.arange(1.0, 129.0)
            plain = np.concatenate([whole, whole[:32] - 0.5, whole[:9] / 10.0, 10.0 * whole[12:80]])
            plain = np.concatenate([plain, 2.0 ** np.arange(-30.0, -1), 1e4 * whole[:1], -plain])
            plain = plain[np.abs(plain) <= self.format.max]
            if self.loss.domain is Domain.LOG_PROBABILITIES:
                plain = plain[plain <= 0]
        numbers = to_float64(from_float64(plain, self.dtype))
        every = dict.fromkeys([*self.landmarks, *numbers.tolist()])
        return np.array([each for each in every if math.isfinite(each)])

    @cached_property
    def landmarks(self) -> list[float]:
        """The numbers at which losses are known to break, without repetitions."""
        known = landmarks(self.format, self.loss.domain).values()
        return list(dict.fromkeys(each for each in known if math.isfinite(each)))

    @cached_property
    def ends(self) -> tuple[int, int]:
        """The ordinals of the smallest and the largest number of the domain."""
        most = int(ordinals(from_float64(self.format.max, self.dtype)))
        match self.loss.domain:
            case Domain.PROBABILITIES:
                return 0, int(ordinals(from_float64(1.0, self.dtype)))
            case Domain.LOG_PROBABILITIES:
                return -most, 0
        return -most, most

    def case(self, logits: Array, labels: Array | None, setting: Setting) -> Case:
        """A case of rows of one shape, with the parameters of a setting."""
        classes = self.loss.classes(logits.shape, setting) if logits.ndim == 2 else 1
        return Case(
            NAME,
            NAME,
            self.loss.id,
            self.dtype,
            logits,
            self.kind,
            labels,
            self._materialised(setting, logits.shape, classes),
            fixed=self.targets != "all",
            integers=self.integers,
        )

    def _materialised(
        self, setting: Setting, shape: tuple[int, ...], classes: int
    ) -> dict[str, ParameterValue]:
        values: dict[str, ParameterValue] = {}
        for name, value in setting.items():
            parameter = self.loss.parameter(name)
            assert parameter is not None
            values[name] = _value(parameter, value, shape, classes, self.dtype)
        return values

    def numbers(self, values: Float64Array) -> Array:
        """Numbers of the dtype within the domain, the nearest to each value."""
        low, high = (float(to_float64(from_ordinals(end, self.dtype))) for end in self.ends)
        return from_float64(np.clip(np.nan_to_num(values, nan=low), low, high), self.dtype)

    def moved(self, logits: Array, steps: npt.NDArray[np.int64]) -> Array:
        """Numbers up to 2^52 ulps further; they stay in the domain."""
        return from_ordinals(np.clip(ordinals(logits) + steps, *self.ends), self.dtype)

    # labels ----------------------------------------------------------------------------------

    def labels(self, logits: Array, rng: np.random.Generator, setting: Setting) -> Array | None:
        """Draw a label for each row: mostly the highest or the lowest class, or 0 and 1."""
        wide, rows = to_float64(logits), len(logits)
        drawn, choice = rng.random(rows), rng.random(rows)
        match self.kind:
            case LabelKind.NONE:
                return None
            case LabelKind.INTEGER:
                classes = self.loss.classes(logits.shape, setting)
                top, bottom = wide.argmax(axis=1) % classes, wide.argmin(axis=1) % classes
                anyone = (drawn * classes).astype(np.int64)
                return np.where(choice < 0.5, top, np.where(choice < 0.7, bottom, anyone))
            case LabelKind.TARGET:
                return from_float64(self._targets(drawn, choice, rng), self.dtype)
        return self._distributions(wide, choice, rng, setting)

    def _targets(
        self, drawn: Float64Array, choice: Float64Array, rng: np.random.Generator
    ) -> Float64Array:
        ends = np.round(drawn)
        least = self.format.smallest_normal
        tiny = np.exp(rng.uniform(max(math.log(least), -100.0), 0.0, len(drawn)))
        soft = np.where(choice < 0.72, drawn, np.where(choice < 0.88, tiny, 1.0 - tiny))
        soft = np.clip(soft, least, 1.0 - self.format.epsilon)
        if self.targets == "ends":
            return ends
        return soft if self.targets == "soft" else np.where(choice < 0.6, ends, soft)

    def _distributions(
        self, wide: Float64Array, choice: Float64Array, rng: np.random.Generator, setting: Setting
    ) -> Array:
        rows, classes = wide.shape
        anyone = rng.integers(0, classes, rows)
        lowest = np.where(choice < 0.5, wide.argmin(axis=1), anyone)
        at = np.where(choice < 0.35, wide.argmax(axis=1), lowest)
        hard = np.zeros(wide.shape)
        hard[np.arange(rows), at] = 1.0
        soft = rng.standard_exponential(wide.shape) ** rng.choice([1.0, 6.0], (rows, 1))
        soft /= soft.sum(axis=1, keepdims=True)
        if self.targets == "soft":
            p = np.clip(soft, self.format.smallest_normal, 1.0)
        elif self.targets == "ends":
            p = hard
        else:
            p = np.where(choice[:, None] < 0.65, hard, soft)
        if setting.get("log_target"):
            with np.errstate(divide="ignore"):
                p = np.maximum(np.log(p), -self.format.max)
        return from_float64(p, self.dtype)

    # random rows -----------------------------------------------------------------------------

    def uniform(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Draw numbers: every second row from the whole domain, the others from common numbers.

        In either range every number of the dtype is equally likely.
        """
        low, high = self.ends
        whole = rng.integers(low, high, shape, endpoint=True)
        near = low, high
        if self.loss.domain is not Domain.PROBABILITIES:
            most = min(self.common, self.format.max)
            inner = [int(each) for each in ordinals(from_float64([-most, most], self.dtype))]
            near = max(low, inner[0]), min(high, inner[1])
        common = rng.integers(*near, shape, endpoint=True)
        every = (np.arange(shape[0]) % 2 == 0).reshape(-1, *[1] * (len(shape) - 1))
        return from_ordinals(np.where(every, whole, common), self.dtype)

    def ordinary(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Draw rows as they occur in training: normal logits of any scale, with an offset."""
        lead = (shape[0], *[1] * (len(shape) - 1))
        scale = np.exp(rng.uniform(-3.0, math.log(self.common), lead))
        offset = np.where(rng.random(lead) < 0.4, rng.standard_normal(lead) * scale * 8, 0.0)
        logits = rng.standard_normal(shape) * scale
        if self.loss.domain is Domain.LOGITS:
            return self.numbers(logits + offset)
        if len(shape) == 1:
            log_p = -np.logaddexp(0.0, -logits)
        else:
            log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return self.numbers(
            np.exp(log_p) if self.loss.domain is Domain.PROBABILITIES else np.minimum(log_p, 0.0)
        )

    def varied(self, setting: Setting, rng: np.random.Generator) -> Setting:
        """Another setting near one: a real parameter moves by some ulps, or by a factor."""
        reals = [
            name
            for name in setting
            if (parameter := self.loss.parameter(name)) and parameter.kind is ParameterKind.REAL
        ]
        free = [name for name in reals if self.settings[0].get(name) is None]
        if not free:
            return setting
        name = free[int(rng.integers(len(free)))]
        parameter = self.loss.parameter(name)
        assert parameter is not None
        value = float(setting[name])
        if rng.random() < 0.5:
            value *= math.exp(0.5 * rng.standard_normal())
        else:
            sign = -1 if rng.random() < 0.5 else 1
            step = sign * int(2.0 ** rng.uniform(0.0, self.format.precision - 2))
            at = int(ordinals(from_float64(value, self.dtype))) + step
            value = float(to_float64(from_ordinals(at, self.dtype)))
        low = -math.inf if parameter.minimum is None else parameter.minimum
        high = self.format.max if parameter.maximum is None else parameter.maximum
        return {**setting, name: rounded(min(max(value, low), high), self.dtype)}


def _value(
    parameter: Parameter, value: Any, shape: tuple[int, ...], classes: int, dtype: str
) -> ParameterValue:
    match parameter.kind:
        case ParameterKind.REAL:
            return rounded(float(value), dtype)
        case ParameterKind.CLASS_VECTOR:
            numbers = 0.5 + np.arange(classes) * 5 % 8 / 4 if isinstance(value, str) else value
            return from_float64(np.resize(np.asarray(numbers, dtype=np.float64), classes), dtype)
        case ParameterKind.ROW_MATRIX:
            numbers = np.arange(shape[-1]) * 5 % 8 / 2 - 1 if isinstance(value, str) else value
            row = np.resize(np.asarray(numbers, dtype=np.float64), shape[-1])
            return from_float64(np.tile(row, (shape[0], 1)), dtype)
        case ParameterKind.INTEGER:
            return int(value)
    return bool(value) if parameter.kind is ParameterKind.FLAG else str(value)


def settings_of(
    loss: Loss, kind: LabelKind, asked: Mapping[str, Any], takes: Sequence[str], dtype: str
) -> tuple[Setting, ...]:
    """The parameters that a search tries: those that are asked for, and changes of single ones.

    Args:
        loss: the loss.
        kind: the kind of labels.
        asked: the values that the user asks for; the search keeps them.
        takes: the names of the parameters that the implementation takes.
        dtype: the dtype of the rows, by name.
    """
    settings: list[Setting] = [dict(asked)]
    for parameter in loss.parameters:
        free = parameter.name in takes and parameter.name not in asked
        if not free or not parameter.goes_with(kind):
            continue
        settings += [
            {**asked, parameter.name: value}
            for value in _tried(parameter)
            if not isinstance(value, float) or rounded(value, dtype) > 0
        ]
    return tuple(settings)


def _tried(parameter: Parameter) -> tuple[Any, ...]:
    """The values of a parameter that a search starts from. A reduction is not changed."""
    match parameter.kind:
        case ParameterKind.REAL:
            return _STEPS.get(parameter.name, ())
        case ParameterKind.FLAG:
            return (not parameter.default,)
        case ParameterKind.CHOICE if parameter.name != "reduction":
            return tuple(each for each in parameter.choices if each != parameter.default)
        case ParameterKind.CLASS_VECTOR | ParameterKind.ROW_MATRIX:
            return ("random",)
    return ()
