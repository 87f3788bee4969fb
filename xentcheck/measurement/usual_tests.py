"""Makes usual tests on the input of a finding: would they have noticed?

The tests are made as people write them: with the default tolerances of the libraries, against the
exact results, against the same implementation in float64, against SciPy, and by finite differences.
They are made on the witness, and all but the last on some rows of the finding's sweep.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from xentcheck import registry
from xentcheck.execution import answer, unsupported
from xentcheck.floats import FORMATS, format_of, from_float64, to_float64
from xentcheck.implementations.user.command import Command
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.measurement.asking import spread_rows
from xentcheck.measurement.flushing import approximately
from xentcheck.measurement.invariants import eligible
from xentcheck.model import (
    Array,
    Case,
    Finding,
    Float64Array,
    Implementation,
    Input,
    Kind,
    LabelKind,
    Layout,
    ParameterKind,
    Quantity,
    Sweep,
    UsualTest,
    function_for,
    reduces,
)
from xentcheck.reference import Reference, exact_of_block
from xentcheck.sweeps import cases

ALLCLOSE, ASSERT_CLOSE = "numpy.allclose", "torch.testing.assert_close"
FLOAT64, SCIPY, GRADCHECK = "a float64 comparison", "a SciPy comparison", "gradcheck"

NUMPY_TOLERANCES = (1e-5, 1e-8)
"""The default rtol and atol of `numpy.allclose`."""

TORCH_TOLERANCES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "float16": (1e-3, 1e-5),
        "bfloat16": (1.6e-2, 1e-5),
        "float32": (1.3e-6, 1e-5),
        "float64": (1e-7, 1e-7),
    }
)
"""The default rtol and atol of `torch.testing.assert_close`, by dtype."""

STEP, GRADCHECK_TOLERANCES = 1e-6, (1e-3, 1e-5)
"""The default eps of `torch.autograd.gradcheck`, and its rtol and atol."""

MOST_DIFFERENCES = 256
"""Numbers of the longest row whose gradient is compared with finite differences."""

SWEEP_CASES, CASE_ROWS, CASE_NUMBERS = 24, 16, 1 << 13
"""How much of a sweep is tried: so many cases, and of each so many rows and numbers at most."""

Tell = Callable[[str], None]


def _nobody(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """Whether a comparison passes, and its worst place in words."""

    passes: bool
    reason: str


def usual_tests(
    finding: Finding,
    implementation: Implementation,
    tell: Tell = _nobody,
    blocks: Sequence[Case] = (),
) -> tuple[UsualTest, ...]:
    """What usual tests say of the input of a finding.

    Args:
        finding: the finding.
        implementation: the implementation that it is about.
        tell: is told the name of the implementation that is called, and "" when the call is over.
        blocks: rows of the finding's sweep, as `rows_of` gives them.

    Returns:
        One result for each test; none if the finding has no witness, or if nobody knows what the
        exact results are.

    Raises:
        UncertifiedError: an exact result cannot be certified.
    """
    if finding.witness is None or finding.cell.loss not in LOSSES:
        return ()
    if isinstance(function_for(implementation, finding.cell.quantity), Command):
        reason = "a program is not run again"
        return tuple(UsualTest(name, None, reason) for name in _TESTS)
    if finding.kind in (Kind.CRASHED, Kind.TIMED_OUT):
        reason = f"the call does not come back: {finding.kind}"
        return tuple(UsualTest(name, False, reason) for name in _TESTS)
    quantity = finding.cell.quantity
    own = _Tried(implementation, quantity, case_of(finding), tell)
    further = [_Tried(implementation, quantity, block, tell) for block in blocks]
    return tuple(_made(name, own, further) for name in _TESTS)


def rows_of(sweep: Sweep, loss: Loss, dtype: str, seed: int) -> tuple[Case, ...]:
    """Some rows of finite numbers of a sweep: from `SWEEP_CASES` cases, `CASE_ROWS` of each.

    A reduction keeps whole blocks, and leaves out those of more than `CASE_NUMBERS` numbers.

    Raises:
        UsageError, UnknownNameError, EmptySweepError: see `xentcheck.sweeps.parts`.
    """
    chosen: list[Case] = []
    for case in cases(sweep, loss, dtype, seed):
        if len(chosen) == SWEEP_CASES:
            break
        most = min(CASE_ROWS, CASE_NUMBERS // case.classes)
        if case.reduced and case.rows * case.classes <= CASE_NUMBERS:
            chosen.append(case)
        elif most and not case.reduced:
            rows = spread_rows(eligible(case, np.arange(case.rows)), most)
            chosen += [case.part(rows)] if len(rows) else []
    return tuple(chosen)


def case_of(finding: Finding) -> Case:
    """A case of the witness of a finding alone; under a reduction its block."""
    assert finding.witness is not None
    given, loss = finding.witness.input, LOSSES[finding.cell.loss]
    block = reduces(given.parameters)

    def rows(array: Array) -> Array:
        return array if block else array[None]

    matrices = {each.name for each in loss.parameters if each.kind is ParameterKind.ROW_MATRIX}
    parameters = {
        name: rows(np.asarray(value)) if name in matrices else value
        for name, value in given.parameters.items()
    }
    return Case(
        sweep=finding.cell.sweep,
        generator=given.generator,
        loss=loss.id,
        dtype=finding.cell.dtype,
        logits=rows(given.logits),
        label_kind=_label_kind(loss, given),
        labels=None if given.labels is None else rows(given.labels),
        parameters=parameters,
    )


def _label_kind(loss: Loss, given: Input) -> LabelKind:
    if given.labels is None:
        return LabelKind.NONE
    if loss.layout is Layout.ELEMENTWISE:
        return LabelKind.TARGET
    return LabelKind.INTEGER if given.labels.dtype.kind in "iu" else LabelKind.DISTRIBUTION


@dataclass(frozen=True, eq=False)
class _Tried:
    """Some rows, with the results that the tests need. Each is computed when first needed."""

    implementation: Implementation
    quantity: Quantity
    case: Case
    tell: Tell

    def answered(self, implementation: Implementation, case: Case) -> Array | None:
        """The results of a call; None if it failed."""
        self.tell(implementation.name)
        try:
            return answer(implementation, case, self.quantity)
        finally:
            self.tell("")

    @cached_property
    def plain(self) -> Array | None:
        """The results of the implementation; None if the call failed."""
        return self.answered(self.implementation, self.case)

    @cached_property
    def exact(self) -> Float64Array:
        """The exact results in float64."""
        numbers = approximately(Reference(self.case, frozenset({self.quantity})), self.quantity)
        if np.isnan(numbers).any() and (self.case.rows == 1 or self.case.reduced):
            of = dict(zip(Quantity, exact_of_block(self.case), strict=True))
            numbers = of[self.quantity].midpoints()
        return numbers

    @cached_property
    def wide(self) -> Case:
        """The same numbers in float64."""
        return _in_float64(self.case)

    @cached_property
    def in_float64(self) -> Array | None:
        """The results of the implementation for `wide`; None if the call failed."""
        return self.answered(self.implementation, self.wide)


def _in_float64(case: Case) -> Case:
    def wide(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind not in "iu":
            return to_float64(value)
        return value

    return replace(
        case,
        dtype="float64",
        logits=to_float64(case.logits),
        labels=wide(case.labels),
        parameters={name: wide(value) for name, value in case.parameters.items()},
    )


def _made(name: str, own: _Tried, further: Sequence[_Tried]) -> UsualTest:
    test = _TESTS[name]
    seen = test(own)
    if isinstance(seen, str):
        return UsualTest(name, None, seen)
    if name == GRADCHECK:
        return UsualTest(name, seen.passes, seen.reason)
    others = [(each, test(each)) for each in further]
    made = [(tried, each) for tried, each in others if isinstance(each, _Compared)]
    return UsualTest(
        name,
        seen.passes,
        seen.reason,
        all(each.passes for _, each in made) if made else None,
        sum(tried.case.rows for tried, _ in made),
    )


# The tests


def _allclose(tried: _Tried) -> _Compared | str:
    return _against_exact(tried, NUMPY_TOLERANCES)


def _assert_close(tried: _Tried) -> _Compared | str:
    known = _tolerances(tried)
    return known if isinstance(known, str) else _against_exact(tried, known)


def _against_float64(tried: _Tried) -> _Compared | str:
    known = _tolerances(tried)
    if tried.case.dtype == "float64":
        return "the finding is in float64"
    if "float64" not in tried.implementation.dtypes:
        return "it does not take float64"
    if isinstance(known, str) or tried.plain is None:
        return known if isinstance(known, str) else _no_result()
    if tried.in_float64 is None:
        return "in float64 the call gives no result"
    return _compared(tried.plain, to_float64(tried.in_float64), known)


def _against_scipy(tried: _Tried) -> _Compared | str:
    known = _tolerances(tried)
    if isinstance(known, str):
        return known
    other = _scipy_for(tried)
    if isinstance(other, str):
        return other
    if tried.plain is None:
        return _no_result()
    there = tried.answered(other, tried.case)
    if there is None or there.shape != tried.plain.shape:
        return f"{other.name} gives no result"
    return _compared(tried.plain, to_float64(there), known)


def _gradcheck(tried: _Tried) -> _Compared | str:
    """Central differences of the value against the gradient, both in float64, of one row."""
    implementation, case = tried.implementation, tried.wide
    if implementation.value is None or implementation.gradient is None:
        return f"it has no {'value' if implementation.value is None else 'gradient'}"
    if "float64" not in implementation.dtypes:
        return "it does not take float64"
    numbers = case.logits.size
    if case.reduced or numbers > MOST_DIFFERENCES:
        what = "a whole block" if case.reduced else f"{numbers:,} logits"
        return f"not of {what}"
    moved = case.logits.reshape(1, -1) + STEP * np.concatenate([np.eye(numbers), -np.eye(numbers)])
    copies = case.part(np.zeros(2 * numbers, dtype=np.intp))
    copies = replace(copies, logits=moved.reshape(2 * numbers, *case.logits.shape[1:]))
    values = _of(tried, Quantity.VALUE).answered(implementation, copies)
    slopes = _of(tried, Quantity.GRADIENT).answered(implementation, case)
    if values is None or slopes is None:
        return _no_result()
    heights = to_float64(values)
    if heights.ndim > 1:
        heights = heights[:, int(np.asarray(case.labels)[0])]
    with np.errstate(invalid="ignore"):
        numerical = (heights[:numbers] - heights[numbers:]) / (2.0 * STEP)
    return _compared(slopes.reshape(-1), numerical, GRADCHECK_TOLERANCES, rounded=False)


def _of(tried: _Tried, quantity: Quantity) -> _Tried:
    """The same rows for another quantity."""
    return _Tried(tried.implementation, quantity, tried.case, tried.tell)


_TESTS: Mapping[str, Callable[[_Tried], _Compared | str]] = MappingProxyType(
    {
        ALLCLOSE: _allclose,
        ASSERT_CLOSE: _assert_close,
        FLOAT64: _against_float64,
        SCIPY: _against_scipy,
        GRADCHECK: _gradcheck,
    }
)


def _no_result() -> _Compared:
    return _Compared(False, "the call gives no result")


def _tolerances(tried: _Tried) -> tuple[float, float] | str:
    """The tolerances of torch for the dtype of the results; or why there are none."""
    target = FORMATS[tried.case.dtype]
    if tried.plain is not None:
        found = format_of(tried.plain.dtype)
        assert found is not None
        target = found
    return TORCH_TOLERANCES.get(target.name, f"torch has no tolerances for {target.name}")


def _scipy_for(tried: _Tried) -> Implementation | str:
    """SciPy's own function for a loss, the first that is declared; or why there is none."""
    case, quantity = tried.case, tried.quantity
    if tried.implementation.process is not None and tried.implementation.process.name == "scipy":
        return "it is SciPy's own"
    reasons = []
    for each in _of_scipy(case.loss):
        assert each.process is not None
        if reason := registry.missing(each.process):
            return reason.partition(":")[0]
        if function_for(each, quantity) is None:
            reasons.append(f"SciPy has no {quantity}")
        elif reason := unsupported(each, case):
            reasons.append(f"SciPy {reason}")
        else:
            return each
    return reasons[0] if reasons else "SciPy has no such function"


@cache
def _of_scipy(loss: str) -> tuple[Implementation, ...]:
    """SciPy's functions for a loss, called in the plain way."""
    return tuple(
        each
        for each in registry.load_registered()[0]
        if each.loss == loss
        and not each.plain
        and each.process is not None
        and each.process.name == "scipy"
    )


def _against_exact(tried: _Tried, tolerances: tuple[float, float]) -> _Compared | str:
    if tried.plain is None:
        return _no_result()
    return _compared(tried.plain, tried.exact, tolerances)


def _compared(
    actual: Array, wanted: Float64Array, tolerances: tuple[float, float], *, rounded: bool = True
) -> _Compared:
    """Whether all numbers are within atol + rtol |wanted|, as the libraries compare them.

    A NaN is close to nothing, an infinity only to itself.

    Args:
        actual: the results.
        wanted: what they are compared with, float64 of the same shape.
        tolerances: rtol and atol.
        rounded: round what they are compared with to the dtype of the results first.
    """
    target = format_of(actual.dtype)
    assert target is not None
    numbers = to_float64(actual).reshape(-1)
    other = wanted.reshape(-1)
    if rounded:
        other = to_float64(from_float64(other, target.name))
    rtol, atol = tolerances
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where(numbers == other, 0.0, np.abs(numbers - other))
        allowed = atol + rtol * np.abs(other)
        beyond = np.where(np.isfinite(other) | (off == 0.0), off - allowed, np.inf)
    beyond = np.where(np.isnan(beyond), np.inf, beyond)
    worst = int(beyond.argmax())
    reason = (
        f"{numbers[worst]:.6g} beside {other[worst]:.6g}: {off[worst]:.2g} off, "
        f"{allowed[worst]:.2g} allowed"
    )
    return _Compared(bool((beyond <= 0.0).all()), reason)
