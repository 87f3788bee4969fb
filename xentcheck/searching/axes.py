"""Axes: families of rows in which one number moves.

The number of an axis is a place: the ordinal of a number of the dtype, so that neighbouring places
are neighbouring numbers. On an axis that counts (classes, rows, labels) the place is the count.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.parameters import passed, rounded
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    ANY_PARAMETER,
    Array,
    Case,
    Domain,
    Float64Array,
    Implementation,
    LabelKind,
    Layout,
    Parameter,
    ParameterKind,
    Quantity,
    reduces,
)
from xentcheck.sweeps.parameters import combinations, materialise

TOGETHER = 512
"""Places in every call of an axis whose places share a shape: frameworks compile for each shape."""

FEW = 48
"""Places that are scanned where each of them needs a call of its own."""

MOST_CLASSES = 65_540
MOST_ROWS = 65_536

PER_OCTAVE = 16  # offsets of each octave that a growth law is fitted to
_POSITION_ROWS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What is asked: one function of an implementation, in one dtype.

    Attributes:
        implementation: the implementation.
        dtype: the dtype, by name.
        quantity: value or gradient.
        label_kind: the kind of label of every row.
        parameters: the values of parameters as a configuration writes them, by name.
        integers: targets are passed as int64.
    """

    implementation: Implementation
    dtype: str
    quantity: Quantity
    label_kind: LabelKind
    parameters: Mapping[str, Any] = field(default_factory=dict)
    integers: bool = False

    @property
    def loss(self) -> Loss:
        """The loss."""
        return LOSSES[self.implementation.loss]

    @property
    def with_labels(self) -> bool:
        """Whether the result depends on the label."""
        if self.label_kind is LabelKind.NONE:
            return False
        return not self.loss.per_class or self.quantity is not Quantity.VALUE

    def case(
        self,
        axis: str,
        numbers: Float64Array,
        labels: Float64Array | int = 0,
        **more: Any,
    ) -> Case:
        """A case of rows.

        Args:
            axis: the name of the axis.
            numbers: the first argument, (rows, classes) or (rows,); rounded to the dtype.
            labels: the label of every row, or of each: class numbers, (rows,); a target each,
                (rows,); a distribution each, (rows, classes).
            more: parameters that replace those of the setting.
        """
        most = FORMATS[self.dtype].max
        logits = from_float64(np.clip(numbers, -most, most), self.dtype)
        declared = {name: (value,) for name, value in {**self.parameters, **more}.items()}
        combination = next(combinations(self.loss, self.label_kind, declared))
        parameters = materialise(combination, logits.shape, self.dtype, 0, ("ranges", axis))
        return Case(
            sweep="ranges",
            generator=axis,
            loss=self.loss.id,
            dtype=self.dtype,
            logits=logits,
            label_kind=self.label_kind,
            labels=self._labels(logits, np.asarray(labels), bool(parameters.get("log_target"))),
            parameters=parameters,
            integers=self.integers,
        )

    def _labels(self, logits: Array, labels: Array, logarithmic: bool) -> Array | None:
        rows = len(logits)
        match self.label_kind:
            case LabelKind.NONE:
                return None
            case LabelKind.INTEGER:
                return np.broadcast_to(labels, (rows,)).astype(np.int64)
            case LabelKind.TARGET:
                numbers = np.broadcast_to(labels, (rows,)).astype(np.float64)
                return from_float64(numbers, self.dtype)
        if labels.ndim < 2:
            classes = np.arange(logits.shape[1])
            labels = np.broadcast_to(labels, (rows,))[:, np.newaxis] == classes
        masses = labels.astype(np.float64)
        if logarithmic:
            with np.errstate(divide="ignore"):
                masses = np.maximum(np.log(masses), -FORMATS[self.dtype].max)
        return from_float64(masses, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A family of rows with one parameter.

    Attributes:
        name: its name, with what is fixed: ``gap, label on the largest``.
        noun: what moves, in the singular and the plural.
        dtype: the dtype, by name.
        scan: the places to try first, ascending; the ends of the axis among them.
        make: makes the case of some places. If they do not share a call, of one place.
        together: places of one call; 1: each place needs its own.
        counted: places are counts, not ordinals.
    """

    name: str
    noun: tuple[str, str]
    dtype: str
    scan: tuple[int, ...]
    make: Callable[[Sequence[int]], Case]
    together: int = TOGETHER
    counted: bool = False

    @property
    def one(self) -> str:
        """What moves, with its article."""
        return f"{'an' if self.noun[0][0] in 'aeiou' else 'a'} {self.noun[0]}"

    def number(self, place: int) -> float:
        """The number at a place."""
        if self.counted:
            return float(place)
        return float(to_float64(from_ordinals(place, self.dtype)))


def axes_of(setting: Setting) -> Iterator[Axis]:
    """The axes along which an implementation is asked, the most telling first."""
    loss = setting.loss
    if loss.layout is Layout.ELEMENTWISE:
        yield from _of_numbers(setting)
    elif loss.domain is Domain.LOGITS:
        yield from _of_logits(setting)
    elif loss.domain is Domain.PROBABILITIES:
        yield from _moved(setting, "probability", _NOUN["probability"], _unit(setting), _shares)
    else:
        noun = _NOUN["negative log-probability"]
        yield from _moved(setting, noun[0], noun, _positive(setting), _log_shares)
    if loss.layout is Layout.ROWS:
        yield from _of_label_masses(setting)
    yield from _of_parameters(setting)
    yield from _of_reductions(setting)


_NOUN = {
    "gap": ("gap", "gaps"),
    "offset": ("offset", "offsets"),
    "logit": ("logit", "logits"),
    "largest logit": ("largest logit", "largest logits"),
    "equal logits": ("value of equal logits", "equal logits"),
    "probability": ("probability", "probabilities"),
    "negative log-probability": ("negative log-probability", "negative log-probabilities"),
    "classes": ("number of classes", "numbers of classes"),
    "rows": ("number of rows", "numbers of rows"),
    "label": ("position of the label", "positions of the label"),
    "target": ("target", "targets"),
}


def _of_logits(setting: Setting) -> Iterator[Axis]:
    gaps, both = _positive(setting), _signed(setting)

    def low(numbers: Float64Array) -> Float64Array:
        return np.stack([np.zeros_like(numbers), -numbers], axis=1)

    def high(numbers: Float64Array) -> Float64Array:
        return np.stack([numbers, np.zeros_like(numbers)], axis=1)

    def shared(numbers: Float64Array) -> Float64Array:
        return np.stack([numbers, numbers - 1.0], axis=1)

    def equal(numbers: Float64Array) -> Float64Array:
        return np.stack([numbers, numbers], axis=1)

    yield from _moved(setting, "gap", _NOUN["gap"], gaps, low)
    yield from _moved(setting, "largest logit", _NOUN["largest logit"], gaps, high, (0,))
    yield from _moved(setting, "offset", _NOUN["offset"], both, shared, (0,))
    yield from _moved(setting, "equal logits", _NOUN["equal logits"], both, equal, (0,))
    yield from _of_classes(setting)


_SIDES = ("label on the largest", "label on the smallest")
_OTHER_SIDES = ("label on it", "label on the other class")
EVEN = 2
"""In place of a label: a distribution that is even over the two classes."""


def _moved(
    setting: Setting,
    name: str,
    noun: tuple[str, str],
    scan: Sequence[int],
    rows: Callable[[Float64Array], Float64Array],
    labels: Sequence[int] = (0, 1),
) -> Iterator[Axis]:
    """Axes of rows of two classes, one for each label that matters.

    Args:
        setting: what is asked.
        name: the name of the axis.
        noun: what moves.
        scan: the places to try first.
        rows: makes the rows (count, 2) of some numbers (count,) of the dtype.
        labels: the labels to try.
    """

    def make(label: int) -> Callable[[Sequence[int]], Case]:
        def of(places: Sequence[int]) -> Case:
            numbers = to_float64(from_ordinals(np.array(places, dtype=np.int64), setting.dtype))
            masses = np.full((len(places), 2), 0.5) if label == EVEN else label
            return setting.case(name, rows(numbers), masses)

        return of

    sides = (*(_SIDES if name == "gap" else _OTHER_SIDES), "label on both evenly")
    if len(labels) > 1 and setting.label_kind is LabelKind.DISTRIBUTION:
        labels = (*labels, EVEN)
    for label in labels if setting.with_labels else labels[:1]:
        told = f", {sides[label]}" if setting.with_labels and len(labels) > 1 else ""
        yield _fitting(setting, f"{name}{told}", noun, scan, make(label))


def _fitting(
    setting: Setting,
    name: str,
    noun: tuple[str, str],
    scan: Sequence[int],
    make: Callable[[Sequence[int]], Case],
) -> Axis:
    """An axis of rows. If the results are reduced, each place needs a call of its own."""
    places = tuple(sorted(set(scan)))
    if not reduces(setting.parameters):
        return Axis(name, noun, setting.dtype, places, make)
    few = np.unique(np.linspace(0, len(places) - 1, FEW).astype(int))
    return Axis(name, noun, setting.dtype, tuple(places[k] for k in few), make, together=1)


def _shares(numbers: Float64Array) -> Float64Array:
    return np.stack([numbers, 1.0 - numbers], axis=1)


def _log_shares(numbers: Float64Array) -> Float64Array:
    with np.errstate(divide="ignore"):
        return np.stack([-numbers, np.log(-np.expm1(-numbers))], axis=1)


def _of_numbers(setting: Setting) -> Iterator[Axis]:
    """Axes of elementwise losses: the number itself, for some targets; and the target."""
    logits = setting.loss.domain is Domain.LOGITS
    word = "logit" if logits else "probability"
    scan = _signed(setting) if logits else _unit(setting)

    def make(target: float) -> Callable[[Sequence[int]], Case]:
        def of(places: Sequence[int]) -> Case:
            numbers = to_float64(from_ordinals(np.array(places, dtype=np.int64), setting.dtype))
            return setting.case(word, numbers, np.full(len(places), target))

        return of

    if not setting.with_labels:
        yield _fitting(setting, word, _NOUN[word], scan, make(0.0))
        return
    for target in (0.0, 1.0) if setting.integers else (0.0, 1.0, 0.5):
        yield _fitting(setting, f"{word}, target {target:g}", _NOUN[word], scan, make(target))
    if not setting.integers:
        fixed = 4.0 if logits else 0.75

        def targets(places: Sequence[int]) -> Case:
            numbers = to_float64(from_ordinals(np.array(places, dtype=np.int64), setting.dtype))
            return setting.case("target", np.full(len(places), fixed), numbers)

        name = f"target, {word} {fixed:g}"
        yield _fitting(setting, name, _NOUN["target"], _unit(setting), targets)


OF_LENGTHS = ("classes", "label position")
"""How the axes begin that have rows of many lengths, or of a great length."""


def _of_classes(setting: Setting) -> Iterator[Axis]:
    """The number of equal classes, and the position of the label among many classes."""

    def equal(places: Sequence[int]) -> Case:
        return setting.case("classes", np.zeros((1, places[0])))

    counts = (*(2**k for k in range(17)), MOST_CLASSES)
    name, noun = "classes, equal logits", _NOUN["classes"]
    yield Axis(name, noun, setting.dtype, counts, equal, together=1, counted=True)
    if setting.label_kind is not LabelKind.INTEGER or not setting.with_labels:
        return
    if reduces(setting.parameters):
        return

    def positions(places: Sequence[int]) -> Case:
        rows = np.full((len(places), MOST_CLASSES), -8.0)
        rows[np.arange(len(places)), places] = 0.0
        return setting.case("label", rows, np.array(places))

    ends = (0, 1, 2, MOST_CLASSES - 1)
    scan = tuple(sorted({*ends, *(k + d for k in (128, 256, 32768, 65536) for d in (-1, 0, 1))}))
    name, noun = f"label position among {MOST_CLASSES:,}", _NOUN["label"]
    together = _POSITION_ROWS
    yield Axis(name, noun, setting.dtype, scan, positions, together=together, counted=True)


def growing(setting: Setting, octaves: int) -> Axis:
    """An axis for a growth law: offsets of some octaves, each with rows of other spreads.

    Place k has an offset in [2^e, 2^(e+1)) with e = k // `PER_OCTAVE`.
    """
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    steps = (np.arange(PER_OCTAVE) + golden) / PER_OCTAVE
    spreads = 0.5 + 1.5 * (np.arange(PER_OCTAVE) * golden % 1.0)

    def make(places: Sequence[int]) -> Case:
        octave, step = np.divmod(np.array(places), PER_OCTAVE)
        offsets = np.exp2(octave) * (1.0 + steps[step])
        rows = np.stack([offsets, offsets - spreads[step]], axis=1)
        return setting.case("offset", rows)

    scan = tuple(range(octaves * PER_OCTAVE))
    together = 1 if reduces(setting.parameters) else TOGETHER
    return Axis("offset", _NOUN["offset"], setting.dtype, scan, make, together, counted=True)


def _of_label_masses(setting: Setting) -> Iterator[Axis]:
    """The label mass of one of two classes that have a gap of 4; the other has the rest."""
    if setting.label_kind is not LabelKind.DISTRIBUTION or not setting.with_labels:
        return
    domain = setting.loss.domain
    pair = np.array([0.0, -4.0])
    if domain is not Domain.LOGITS:
        pair = np.log(np.array([0.75, 0.25]))
    if domain is Domain.PROBABILITIES:
        pair = np.exp(pair)

    def make(places: Sequence[int]) -> Case:
        numbers = to_float64(from_ordinals(np.array(places, dtype=np.int64), setting.dtype))
        masses = np.stack([numbers, 1.0 - numbers], axis=1)
        return setting.case("target", np.tile(pair, (len(places), 1)), masses)

    name = "label mass of the larger class"
    yield _fitting(setting, name, ("label mass", "label masses"), _unit(setting), make)


def _of_parameters(setting: Setting) -> Iterator[Axis]:
    """The real parameters that the implementation takes; each place is a call of its own."""
    implementation = setting.implementation
    for parameter in setting.loss.parameters:
        if parameter.kind is not ParameterKind.REAL or parameter.name in implementation.built_in:
            continue
        given = {parameter.name: 0.5}
        if parameter.name not in passed(setting.loss, implementation, given):
            continue
        if not parameter.goes_with(setting.label_kind):
            continue
        yield _of_parameter(setting, parameter)


def _of_parameter(setting: Setting, parameter: Parameter) -> Axis:
    dtype = setting.dtype
    low = 0.0 if parameter.minimum is None else parameter.minimum
    high = min(FORMATS[dtype].max, 2.0**14) if parameter.maximum is None else parameter.maximum
    inner = [2.0**k for k in range(-14, 15)]
    if high == 1.0:
        inner += [0.1, 0.9, *(1.0 - 2.0**-k for k in range(2, 11))]
    numbers = [rounded(each, dtype) for each in (low, *inner, high) if low <= each <= high]
    places = sorted({int(ordinals(from_float64(each, dtype))) for each in numbers})

    def make(places: Sequence[int]) -> Case:
        value = float(to_float64(from_ordinals(places[0], dtype)))
        return _ordinary(setting, parameter.name, 1, **{parameter.name: value})

    name = parameter.name
    return Axis(name, (name, f"values of {name}"), dtype, tuple(places), make, together=1)


def _ordinary(setting: Setting, axis: str, times: int, **more: Any) -> Case:
    """The same eight mild rows, some times over."""
    gaps = np.array([0.25, 1.0, 2.0, 4.0])
    loss = setting.loss
    labels: Float64Array = np.repeat([0.0, 1.0], len(gaps))
    if loss.layout is Layout.ELEMENTWISE:
        numbers = np.tile(gaps, 2)
        if loss.domain is Domain.PROBABILITIES:
            numbers = 1.0 / (1.0 + np.exp(-numbers))
        return setting.case(axis, np.tile(numbers, times), np.tile(labels, times), **more)
    pairs = np.stack([np.zeros(8), -np.tile(gaps, 2)], axis=1)
    if loss.domain is not Domain.LOGITS:
        pairs = pairs - np.logaddexp(pairs[:, :1], pairs[:, 1:])
    if loss.domain is Domain.PROBABILITIES:
        pairs = np.exp(pairs)
    return setting.case(axis, np.tile(pairs, (times, 1)), np.tile(labels, times), **more)


def _of_reductions(setting: Setting) -> Iterator[Axis]:
    """The number of rows under a reduction, if the implementation takes one."""
    implementation, loss = setting.implementation, setting.loss
    if loss.parameter("reduction") is None:
        return
    own = setting.parameters.get("reduction", "none")
    takes = implementation.parameters
    free = "reduction" not in implementation.built_in and (
        takes == ANY_PARAMETER or "reduction" in takes
    )
    words = ("mean", "sum") if free and own == "none" else (own,) if own != "none" else ()

    def make(word: str) -> Callable[[Sequence[int]], Case]:
        def of(places: Sequence[int]) -> Case:
            case = _ordinary(setting, "rows", math.ceil(places[0] / 8), reduction=word)
            return _first(case, places[0])

        return of

    counts = tuple(2**k for k in range(int(math.log2(MOST_ROWS)) + 1))
    for word in words:
        name = f"rows, reduction {word}"
        yield Axis(name, _NOUN["rows"], setting.dtype, counts, make(word), 1, counted=True)


def _first(case: Case, rows: int) -> Case:
    labels = None if case.labels is None else case.labels[:rows]
    return replace(case, logits=case.logits[:rows], labels=labels)


def _places(numbers: Float64Array, dtype: str) -> list[int]:
    most = FORMATS[dtype].max
    return sorted(set(ordinals(from_float64(np.clip(numbers, -most, most), dtype)).tolist()))


def _positive(setting: Setting, coarse: int = 1) -> list[int]:
    """Places from 0 to the largest number: evenly spaced, and powers of two and between them."""
    target = FORMATS[setting.dtype]
    lowest = max(target.min_exponent - target.precision + 1, -40)
    octaves = np.arange(lowest, target.max_exponent + 1, max(1, target.max_exponent // 128))
    numbers = [
        np.zeros(1),
        np.arange(1, 256 // coarse + 1) * (0.5 * coarse),
        np.exp2(np.arange(-32, 41, coarse) / 4.0),
        np.exp2(octaves[::coarse].astype(np.float64)),
        np.array([target.max]),
    ]
    if target.max_exponent > 128:
        numbers.append(np.arange(128.0, 769.0, 8.0 * coarse))
    return _places(np.concatenate(numbers), setting.dtype)


def _signed(setting: Setting) -> list[int]:
    half = _positive(setting, 2)
    return sorted({*half, *(-each for each in half)})


def _unit(setting: Setting) -> list[int]:
    """Places from 0 to 1: evenly spaced, and ever nearer to both ends."""
    target = FORMATS[setting.dtype]
    lowest = target.min_exponent - target.precision + 1
    step = max(1, -lowest // 192)
    powers = np.exp2(np.arange(lowest, 0, step, dtype=np.float64))
    near = np.exp2(-np.arange(1.0, target.precision + 0.25, 0.25))
    even = np.arange(65) / 64.0
    return _places(np.concatenate([powers, near, even, 1.0 - near]), setting.dtype)
