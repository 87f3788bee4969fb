"""Calling an implementation on a case, in this process, and watching how it behaves.

Every call gets fresh copies of the arrays. A thorough look calls the block twice as it is (the
results must be the same to the bit) and once with its rows reversed and in other company (each
row's result must still be the same). A block that raises is halved until the rows that do are
found; the others keep their results.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.floats import Format, format_of, ulp_distance
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import picked
from xentcheck.model import (
    Array,
    Case,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Quantity,
)

ISOLATED_FAILURES = 16
"""After so many rows that raise on their own, the rest of the block counts as raising too."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something an implementation did, on some rows: which, and what was seen.

    ``rows`` are positions in the block (empty: the call as a whole); ``distance`` is in ulps where
    two results were compared.
    """

    kind: Kind
    rows: tuple[int, ...]
    detail: str
    distance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came back for one quantity of one case.

    ``results`` has the shape asked for, or is None when nothing could be scored; ``valid`` is
    (rows,), False where a row raised.
    """

    results: Array | None
    valid: npt.NDArray[np.bool_]
    incidents: tuple[Incident, ...] = field(default_factory=tuple)


class _CallError(Exception):
    """A call that gave nothing to score: what kind of failure, and what was seen."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def observe(
    implementation: Implementation, case: Case, quantity: Quantity, *, thorough: bool = True
) -> Outcomes:
    """Call an implementation on a case and check how it behaves.

    Args:
        implementation: has a function for this quantity.
        case: the block of rows.
        quantity: which of its functions to call.
        thorough: call it more than once, to see whether its results depend on more than the row.
    """
    function = implementation.value if quantity is Quantity.VALUE else implementation.gradient
    assert function is not None
    shape = result_shape(case, quantity)
    run = _Run(function, case, quantity, shape)
    rows = case.rows
    valid = np.ones(rows, dtype=np.bool_)
    try:
        results = run.call()
    except _CallError as error:
        if error.kind is Kind.RAISED and shape != () and rows > 1:
            return _isolate(run, rows, shape, str(error))
        return _failed(rows, error)
    incidents = run.mutations()
    target = format_of(results.dtype)
    source = format_of(case.logits.dtype)
    assert target is not None
    assert source is not None
    if _narrower(target, source):
        detail = f"returned {target.name} for {source.name} inputs"
        incidents.append(Incident(Kind.WRONG_DTYPE, (), detail))
    if not thorough:
        return Outcomes(results, valid, tuple(incidents))
    incidents += _repeat(run, results)
    if shape != () and case.parameters.get("reduction", "none") == "none":
        incidents += _regroup(run, results)
    return Outcomes(results, valid, tuple(incidents))


def _narrower(result: Format, source: Format) -> bool:
    if source.bits <= 8:
        return False
    return result.precision < source.precision or result.max_exponent < source.max_exponent


def _failed(rows: int, error: _CallError) -> Outcomes:
    where = (0,) if rows == 1 else ()
    incident = Incident(error.kind, where, str(error))
    return Outcomes(None, np.zeros(rows, dtype=np.bool_), (incident,))


class _Run:
    """One function on any choice of the rows of one case."""

    def __init__(
        self,
        function: Callable[..., Any],
        case: Case,
        quantity: Quantity,
        shape: tuple[int, ...],
    ) -> None:
        self.function = function
        self.case = case
        self.shape = shape
        # a loss with one value per class takes labels only to say which one is differentiated
        self.with_labels = case.labels is not None and (
            quantity is Quantity.GRADIENT or not LOSSES[case.loss].per_class
        )
        self.insists = not self.with_labels and _wants_labels(function, case)
        self._mutated: list[str] = []

    def call(self, rows: npt.NDArray[np.intp] | None = None) -> Array:
        """Results for these rows, or for all of them; each call on fresh copies."""
        case = self.case
        chosen: Any = slice(None) if rows is None else rows
        before: list[Array | None] = [case.logits[chosen]]
        if self.with_labels:
            assert case.labels is not None
            before.append(case.labels[chosen])
        elif self.insists:
            before.append(None if case.labels is None else case.labels[chosen])
        before_parameters = picked(case.parameters, chosen)
        arguments = [None if each is None else each.copy(order="C") for each in before]
        parameters = {
            name: value.copy(order="C") if isinstance(value, np.ndarray) else value
            for name, value in before_parameters.items()
        }
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                returned = self.function(*arguments, **parameters)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit and its like are the function's own
                raise _CallError(Kind.RAISED, describe(error)) from error
        self._note_mutations(arguments, before, parameters, before_parameters)
        count = case.rows if rows is None else len(rows)
        return _checked(returned, (count, *self.shape[1:]) if self.shape else ())

    def _note_mutations(
        self,
        arguments: list[Array | None],
        before: list[Array | None],
        parameters: Mapping[str, Any],
        before_parameters: Mapping[str, Any],
    ) -> None:
        names = ["logits", "labels"]
        for name, now, then in zip(names, arguments, before, strict=False):
            if now is not None and then is not None and not _same_bits(now, then).all():
                self._mutated.append(name)
        for name, given in before_parameters.items():
            if isinstance(given, np.ndarray) and not _same_bits(parameters[name], given).all():
                self._mutated.append(name)

    def mutations(self) -> list[Incident]:
        """One incident when any call so far wrote into its arguments."""
        if not self._mutated:
            return []
        names = ", ".join(dict.fromkeys(self._mutated))
        return [Incident(Kind.MUTATED_INPUT, (), f"wrote into {names}")]


def _wants_labels(function: Callable[..., Any], case: Case) -> bool:
    """Whether a function insists on a second positional argument that is no parameter."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return (
        len(parameters) > 1
        and parameters[1].kind in positional
        and parameters[1].default is inspect.Parameter.empty
        and parameters[1].name not in case.parameters
    )


def _checked(returned: Any, shape: tuple[int, ...]) -> Array:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.asarray(returned)
    except Exception as error:
        message = f"returned {type(returned).__name__}, which is no array ({error})"
        raise _CallError(Kind.WRONG_DTYPE, message) from error
    if format_of(array.dtype) is None:
        what = type(returned).__name__ if array.dtype.kind in "OUS" else f"dtype {array.dtype}"
        message = f"returned {what}, want an array of a floating-point dtype"
        raise _CallError(Kind.WRONG_DTYPE, message)
    if array.shape != shape:
        message = f"returned shape {array.shape}, want {shape}"
        raise _CallError(Kind.WRONG_SHAPE, message)
    return array.copy()


def _same_bits(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Elementwise: the same bits, any NaN being the same as any other."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return np.zeros(b.shape, dtype=np.bool_)
    width = np.dtype(f"u{a.dtype.itemsize}")
    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)
    if a.dtype.kind != "i" and not same.all():
        same |= (a != a) & (b != b)
    return np.asarray(same, dtype=np.bool_).reshape(b.shape)


def _changed(now: Array, then: Array) -> tuple[npt.NDArray[np.intp], float]:
    """(rows whose results changed, the largest change in ulps)."""
    different = ~_same_bits(now, then)
    if not different.any():
        return np.zeros(0, dtype=np.intp), 0.0
    distance = float("inf")
    if now.dtype == then.dtype:
        a, b = now[different], then[different]
        if not ((a != a) | (b != b)).any():
            distance = float(ulp_distance(a, b).max())
    rows = np.flatnonzero(
        np.atleast_1d(different.reshape(max(len(np.atleast_1d(then)), 1), -1).any(axis=1))
    )
    return rows, distance


def _repeat(run: _Run, results: Array) -> list[Incident]:
    try:
        again = run.call()
    except _CallError as error:
        detail = f"the second call with the same inputs: {error}"
        return [Incident(Kind.NON_DETERMINISTIC, (), detail, float("inf"))]
    rows, distance = _changed(again, results)
    if not len(rows):
        return []
    detail = f"two calls with the same inputs differ by up to {distance:g} ulp"
    return [Incident(Kind.NON_DETERMINISTIC, tuple(rows.tolist()), detail, distance)]


def _regroup(run: _Run, results: Array) -> list[Incident]:
    """Call the rows backwards and in two unequal groups; a lone row joins copies of itself."""
    rows = len(results)
    backwards = np.arange(rows)[::-1].astype(np.intp)
    if rows == 1:
        groups = [np.zeros(3, dtype=np.intp)]
    else:
        cut = max(rows // 3, 1)
        groups = [backwards[:cut], backwards[cut:]]
    found: dict[int, float] = {}
    try:
        for group in groups:
            regrouped = run.call(group)
            changed, distance = _changed(regrouped, results[group])
            found.update({int(group[k]): distance for k in changed})
    except _CallError as error:
        detail = f"the same rows in other company: {error}"
        return [Incident(Kind.ROW_DEPENDENT, (), detail, float("inf"))]
    if not found:
        return []
    distance = max(found.values())
    detail = f"the same rows in other order and company differ by up to {distance:g} ulp"
    return [Incident(Kind.ROW_DEPENDENT, tuple(sorted(found)), detail, distance)]


def _isolate(run: _Run, rows: int, shape: tuple[int, ...], first: str) -> Outcomes:
    """Halve a block that raised until the rows that raise alone are found."""
    results: dict[int, Array] = {}
    raising: dict[int, str] = {}
    pending = [np.arange(rows)]
    while pending:
        block = pending.pop()
        if len(raising) >= ISOLATED_FAILURES:
            raising.update({int(row): first for row in block})
            continue
        try:
            part = run.call(block)
        except _CallError as error:
            if len(block) == 1:
                raising[int(block[0])] = str(error)
            else:
                middle = len(block) // 2
                pending += [block[middle:], block[:middle]]
            continue
        results.update({int(row): part[k] for k, row in enumerate(block)})
    valid = np.zeros(rows, dtype=np.bool_)
    valid[list(results)] = True
    incidents = run.mutations()
    if raising:
        detail = next(iter(raising.values()))
        incidents.append(Incident(Kind.RAISED, tuple(sorted(raising)), detail))
    else:
        detail = f"{first}; every row alone is computed"
        incidents.append(Incident(Kind.RAISED, (), detail))
    if not results:
        return Outcomes(None, valid, tuple(incidents))
    dtype = next(iter(results.values())).dtype
    whole = np.zeros(shape, dtype=dtype)
    for row, result in results.items():
        whole[row] = result
    return Outcomes(whole, valid, tuple(incidents))


def describe(error: BaseException) -> str:
    """One line: the exception, and where in the foreign code it came from."""
    text = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    text = " ".join(text.split())
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if Path(frame.filename).resolve().parent != Path(__file__).resolve().parent
    ]
    if frames:
        text += f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    return text


def result_shape(case: Case, quantity: Quantity) -> tuple[int, ...]:
    """The shape that a quantity of a case has."""
    loss = LOSSES[case.loss]
    if quantity is Quantity.GRADIENT:
        return case.logits.shape
    if case.parameters.get("reduction", "none") != "none":
        return ()
    if loss.layout is Layout.ROWS and not loss.per_class:
        return case.logits.shape[:1]
    return case.logits.shape


def unsupported(implementation: Implementation, case: Case) -> str:
    """Why an implementation does not take a case; '' when it does."""
    if case.dtype not in implementation.dtypes:
        return f"does not take {case.dtype}"
    if case.label_kind is not LabelKind.NONE and case.label_kind not in implementation.label_kinds:
        return f"does not take {case.label_kind} labels"
    if "*" not in implementation.parameters:
        missing = sorted(set(case.parameters) - implementation.parameters)
        if missing:
            return f"does not take {', '.join(missing)}"
    return ""
