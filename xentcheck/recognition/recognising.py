"""Check whether a function computes a loss at all; if not, recognise what it computes.

The function is called on a dozen mild rows. On these every sound formula agrees with the exact
results to many digits. If the results differ by more than `DIFFERENT`, they are compared with
common mistakes (`hypotheses`). Then the function is called in other ways (`alternatives`). Then the
text of its exception is read (`refusals`). A claim is made only if one of these fits every mild row
and the loss itself does not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xentcheck import registry
from xentcheck.errors import UnsupportedError
from xentcheck.execution import CallError, arguments, ask, hosts
from xentcheck.execution.calls import result_shape
from xentcheck.floats import FORMATS, to_float64
from xentcheck.implementations import user
from xentcheck.implementations.bridge import Call
from xentcheck.losses import LOSSES
from xentcheck.losses.parameters import passed
from xentcheck.model import Array, Float64Array, Implementation, Kind, LabelKind, Quantity
from xentcheck.recognition.alternatives import ALTERNATIVES, Alternative, Data
from xentcheck.recognition.exams import Exam, exams
from xentcheck.recognition.form import Factor, Form
from xentcheck.recognition.hypotheses import FACTORS, forms
from xentcheck.recognition.refusals import arguments_refused, wants_tensors
from xentcheck.recognition.views import VIEWS, View

SAME = 1e-3
"""Largest relative error of a hypothesis that fits. A narrow dtype allows `EPSILONS` epsilons."""

EPSILONS = 8.0

DIFFERENT = 2e-2
"""The function does not compute the loss if some result has a larger relative error than this."""

CLEARLY = 0.1
"""If nothing is recognised, a row with a larger relative error than this is clearly wrong."""

MOST = 0.9
"""Fraction of the mild rows that must be clearly wrong before this is reported."""

_COARSEST = 2.0**-7  # largest epsilon (bfloat16's); in a coarser dtype the results tell too little
_FLOOR = 0.05  # errors are relative to |expected| + this fraction of the block's largest


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """What a function computes if it does not compute the audited loss.

    * ``kind`` is a stable word: ``negative``, ``mean``, ``probabilities``, …; ``unrecognised`` if
      the results are wrong and nothing fits; the name of a `Refusal` if it cannot be called as
      asked (``refused``).
    * ``text`` says it in one line, with the evidence; ``hint`` says what to do.
    * ``exam``, ``row``, ``index`` and ``actual`` are a row that shows it; ``rows`` is the number of
      rows that were tried (0 if it was refused).
    * ``reduction``: the function returned one number for all rows, and it is this reduction of the
      exact results.
    * ``foreign``: it is refused because it returns arrays of a framework that it is not audited
      with. What it computes may be right.
    """

    kind: str
    text: str
    hint: str
    quantity: Quantity
    exam: Exam
    rows: int
    row: int = 0
    index: int | None = None
    actual: float = float("nan")
    result_dtype: str = ""
    refused: bool = False
    reduction: str | None = None
    foreign: bool = False

    @property
    def known(self) -> bool:
        """Whether the function was recognised."""
        return self.kind != "unrecognised"


class _HaltError(Exception):
    """The function crashed or timed out, so it is not called again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """The outcome of one call on one exam: results in any shape, or the text of a failure."""

    exam: Exam
    result: Array | None
    failure: str = ""

    @property
    def numbers(self) -> Float64Array:
        """The results in float64."""
        assert self.result is not None
        return to_float64(self.result)


def reduced(
    implementation: Implementation,
    loss: str,
    label_kind: LabelKind,
    parameters: Mapping[str, Any],
    dtype: str,
    *,
    integers: bool = False,
) -> Recognition | None:
    """Do the same as `recognised` if the value is one number for a block of rows; otherwise None.

    A function that returns other values is called only once.

    Args:
        implementation: the function to call.
        loss: id of the loss.
        label_kind: kind of the labels.
        parameters: one raw value of each parameter, by name.
        dtype: name of the format of the rows.
        integers: give the targets of an elementwise loss as int64.
    """
    asked = _asked(loss, label_kind, parameters, dtype, integers=integers)
    function = implementation.value
    if not asked or function is None:
        return None
    values = (Quantity.VALUE,)
    try:
        first = _Recognising(implementation, function, *values, asked[:1])._answer(asked[0])
    except (_HaltError, UnsupportedError):
        return None
    if first.result is None or first.result.size != 1:
        return None
    return recognised(
        implementation, loss, label_kind, parameters, dtype, values, integers=integers
    )


def _asked(
    loss: str, label_kind: LabelKind, parameters: Mapping[str, Any], dtype: str, *, integers: bool
) -> tuple[Exam, ...]:
    """Return the mild rows; none in a dtype that is too coarse."""
    if FORMATS[dtype].epsilon > _COARSEST:
        return ()
    found = exams(loss, dtype, label_kind, parameters)
    if not integers:
        return found
    return tuple(replace(each, case=replace(each.case, integers=True)) for each in found)


def recognised(
    implementation: Implementation,
    loss: str,
    label_kind: LabelKind,
    parameters: Mapping[str, Any],
    dtype: str,
    quantities: Sequence[Quantity] = tuple(Quantity),
    *,
    integers: bool = False,
) -> Recognition | None:
    """Recognise what a function computes instead of a loss.

    Args:
        implementation: the function. It is called once per block of mild rows, and more often if
            it is wrong.
        loss: id of the loss.
        label_kind: kind of the labels.
        parameters: one raw value of each parameter, by name.
        dtype: name of the format of the rows. Nothing can be recognised in a dtype of 8 bits.
        quantities: the quantities in the order of the checks. With the value first, a wrong
            gradient is reported only if the value is right.
        integers: give the targets of an elementwise loss as int64.

    Returns:
        What it computes; None if it computes the loss, or if nothing can be said.
    """
    asked = _asked(loss, label_kind, parameters, dtype, integers=integers)
    if not asked:
        return None
    try:
        for quantity in quantities:
            function = _function(implementation, quantity)
            if function is None:
                continue
            # One block is enough to recognise a gradient, and programs are slow to start.
            chosen = asked if quantity is Quantity.VALUE else asked[1:2]
            found = _Recognising(implementation, function, quantity, chosen).found()
            if found is not None:
                return found
    except (_HaltError, UnsupportedError):
        return None
    return None


def _function(implementation: Implementation, quantity: Quantity) -> Callable[..., Any] | None:
    return implementation.value if quantity is Quantity.VALUE else implementation.gradient


class _Recognising:
    """One function of an implementation, and the exams that it is called on."""

    def __init__(
        self,
        implementation: Implementation,
        function: Callable[..., Any],
        quantity: Quantity,
        asked: Sequence[Exam],
    ) -> None:
        self.implementation = implementation
        self.function = function
        self.quantity = quantity
        self.asked = asked
        self.loss = asked[0].loss
        epsilon = FORMATS[asked[0].case.dtype].epsilon
        self.same = max(SAME, EPSILONS * epsilon)
        self.different = max(DIFFERENT, 2 * self.same)

    def found(self) -> Recognition | None:
        """Return what the function computes; None if it is right."""
        answers = [self._answer(exam) for exam in self.asked]
        returned = [each for each in answers if each.result is not None]
        if returned and self.quantity is Quantity.VALUE and (framework := self._returning()):
            return self._foreign(framework)
        if returned and self._right(returned):
            return None
        if returned:
            found = self._by_results(returned)
            if found is not None:
                return found
        if self.quantity is Quantity.GRADIENT:
            return self._unrecognised(returned) if returned else None
        found = self._by_calls()
        if found is not None:
            return found
        if returned:
            return self._unrecognised(returned)
        return self._by_failure(answers[0])

    def _answer(
        self,
        exam: Exam,
        data: Data | None = None,
        function: Callable[..., Any] | None = None,
    ) -> _Answer:
        if data is None:
            data = arguments(self.implementation, exam.case, self.quantity)
        try:
            result = ask(
                function or self.function,
                self.implementation.process,
                data,
                passed(LOSSES[exam.case.loss], self.implementation, exam.case.parameters),
            )
        except CallError as error:
            if error.kind in (Kind.CRASHED, Kind.TIMED_OUT):
                raise _HaltError from None
            return _Answer(exam, None, str(error))
        return _Answer(exam, result)

    def _shape(self, exam: Exam) -> tuple[int, ...]:
        return result_shape(exam.case, self.quantity)

    def _right(self, answers: Sequence[_Answer]) -> bool:
        """Return whether all results have the right shape and are close to the exact ones."""
        return all(
            each.numbers.shape == self._shape(each.exam)
            and off(each.numbers, each.exam.exact(self.quantity)) <= self.different
            for each in answers
        )

    # By results

    def _by_results(self, answers: Sequence[_Answer]) -> Recognition | None:
        """Return the first hypothesis that fits all results, among those that fit best."""
        fitting: list[tuple[float, Form, Factor, View]] = []
        for view in VIEWS:
            seen = [view.of(each.numbers, self._shape(each.exam)) for each in answers]
            if any(each is None for each in seen):
                continue
            for form in forms(answers[0].exam, self.quantity):
                expected = [form.expected(each.exam, self.quantity) for each in answers]
                if any(
                    e is None or s is None or e.shape != s.shape
                    for e, s in zip(expected, seen, strict=True)
                ):
                    continue
                for factor in FACTORS:
                    if not (factor.plain or form.scaled) or (
                        form.scaled and not factor.name and not view.says
                    ):
                        continue
                    error = max(
                        off(s, e * factor.of(each.exam))  # type: ignore[arg-type, operator]
                        for s, e, each in zip(seen, expected, answers, strict=True)
                    )
                    if error <= self.same:
                        fitting.append((error, form, factor, view))
                if form.scaled:
                    fitting += self._scaled(seen, expected, form, view)  # type: ignore[arg-type]
        if not fitting or sum(each.numbers.size for each in answers) < len(self.asked):
            return None
        epsilon = FORMATS[self.asked[0].case.dtype].epsilon
        best = min(each[0] for each in fitting)
        # One difference from the loss is more plausible than two.
        fitting.sort(key=lambda each: bool(each[2].name) and each[1].name != "loss")
        for error, form, factor, view in fitting:
            if error <= max(4 * best, 4 * epsilon):
                return self._claimed(answers, form, factor, view)
        return None

    def _scaled(
        self,
        seen: Sequence[Float64Array],
        expected: Sequence[Float64Array],
        form: Form,
        view: "View",
    ) -> Iterator[tuple[float, Form, Factor, "View"]]:
        """Yield the loss times a constant that is fitted to all results, if it fits."""
        s = np.concatenate([each.ravel() for each in seen])
        e = np.concatenate([each.ravel() for each in expected])
        if s.size < 3 or not np.isfinite(s).all() or not (e * e).sum() > 0:
            return
        constant = float((s * e).sum() / (e * e).sum())
        if abs(constant - 1) < self.different or abs(constant) < self.same:
            return
        error = max(off(a, b * constant) for a, b in zip(seen, expected, strict=True))
        if error <= self.same:
            factor = Factor(
                "constant",
                f"{constant:.4g} × {{form}}, on all rows",
                lambda exam: constant,
                "take the constant out",
            )
            yield (error, form, factor, view)

    def _claimed(
        self, answers: Sequence[_Answer], form: Form, factor: Factor, view: "View"
    ) -> Recognition:
        name = " ".join(filter(None, (factor.name, form.name if form.name != "loss" else "")))
        says = factor.says.format(form=form.says.format(loss=self.loss.id))
        told = f"it looks like {says}"
        hint = form.hint or factor.hint
        if form.hint and factor.hint:
            hint = f"{factor.hint}; {form.hint}"
        reduction = None if factor.name else form.reduction
        if reduction is not None:
            hint = self._reducing(reduction)
        if view.says:
            want = _text_of_shape(self.asked[0].case.rows, self._shape(self.asked[0]))
            told = f"{view.says} where {want} is expected"
            if not (form.name == "loss" and not factor.name):
                told = f"it looks like {says}, and {told}"
            name, hint = name or view.name, "; ".join(filter(None, (view.hint, hint)))
        return self._witnessed(answers, name, f"{told}: ", hint, reduction)

    def _reducing(self, reduction: str) -> str:
        if "reduction" in self.implementation.parameters:
            return (
                f"--param reduction=none has it return one number per row, "
                f"--param reduction={reduction} audits the {reduction}"
            )
        return f"returns the {reduction}: --built-in reduction={reduction}"

    def _witnessed(
        self,
        answers: Sequence[_Answer],
        kind: str,
        head: str,
        hint: str,
        reduction: str | None = None,
    ) -> Recognition:
        """Return the claim with the first row that shows it."""
        rows = sum(each.exam.case.rows for each in answers)
        for each in answers:
            exact = each.exam.exact(self.quantity)
            numbers = each.numbers
            if numbers.shape != exact.shape:
                continue
            wrong = _errors(numbers, exact)
            wrong = np.where(np.isnan(wrong), np.inf, wrong)
            if not (wrong > self.different).any():
                continue
            at = tuple(int(k) for k in np.argwhere(wrong > self.different)[0])
            row = at[0] if at else 0
            actual, want = float(numbers[at]), float(exact[at])
            component = f"[{at[1]}] " if len(at) > 1 else ""
            where = _row_text(each.exam, row) if at else _block_text(each.exam)
            assert each.result is not None
            return Recognition(
                kind,
                f"{head}on {where} it gives {component}{_number(actual)}, exact {_number(want)}",
                hint,
                self.quantity,
                each.exam,
                rows,
                row,
                at[1] if len(at) > 1 else None,
                actual,
                each.result.dtype.name,
                reduction=reduction,
            )
        first = answers[0]
        return Recognition(
            kind,
            head + _returned(first.exam, first.numbers),
            hint,
            self.quantity,
            first.exam,
            rows,
            reduction=reduction,
        )

    # By the arrays of its results

    def _returning(self) -> str:
        """Return the framework whose arrays a function of NumPy arrays returns and takes, or ""."""
        call, process = self.function, self.implementation.process
        if not isinstance(call, Call) or call.bridge is not user.NUMPY:
            return ""
        exam = self.asked[0]
        asked = (
            call,
            arguments(self.implementation, exam.case, self.quantity),
            passed(self.loss, self.implementation, exam.case.parameters),
        )
        try:
            return (
                user.returning(*asked)
                if process is None
                else hosts.ask(process, user.returning, *asked)
            )
        except (CallError, RuntimeError):  # it died or exited, which the audit reports
            return ""

    def _foreign(self, framework: str) -> Recognition:
        arrays = "tensors" if framework in ("torch", "tensorflow") else "arrays"
        return Recognition(
            f"returns {framework}",
            f"it returns {arrays} of {framework}, though it is given arrays of NumPy",
            f"--framework {framework}",
            self.quantity,
            self.asked[0],
            0,
            refused=True,
            foreign=True,
        )

    # By other calls

    def _by_calls(self) -> Recognition | None:
        for alternative in ALTERNATIVES:
            if self._fits(alternative):
                failed = self._answer(self.asked[0])
                head = f"it {alternative.says}: "
                if failed.result is not None:
                    return self._witnessed([failed], alternative.name, head, alternative.hint)
                return Recognition(
                    alternative.name,
                    f"{head}given what the loss has, {failed.failure}",
                    alternative.hint,
                    self.quantity,
                    self.asked[0],
                    sum(each.case.rows for each in self.asked),
                )
        return self._by_framework()

    def _fits(self, alternative: Alternative, function: Callable[..., Any] | None = None) -> bool:
        """Return whether another call gives the loss, or its mean or sum, on every exam."""
        for exam in self.asked:
            data = alternative.change(
                exam, arguments(self.implementation, exam.case, self.quantity)
            )
            if data is None:
                return False
            if alternative.alone:
                numbers = self._alone(exam, data)
            else:
                answer = self._answer(exam, data, function)
                numbers = None if answer.result is None else answer.numbers
            if numbers is None or not self._meets(exam, numbers):
                return False
        return True

    def _alone(self, exam: Exam, data: Data) -> Float64Array | None:
        """Call with each row by itself, without its first axis; None if a call fails."""
        results = []
        for row in range(exam.case.rows):
            answer = self._answer(exam, [None if x is None else np.asarray(x[row]) for x in data])
            if answer.result is None:
                return None
            results.append(answer.numbers.squeeze())
        return np.stack(results) if len({each.shape for each in results}) == 1 else None

    def _meets(self, exam: Exam, numbers: Float64Array) -> bool:
        exact = exam.exact(self.quantity)
        if numbers.size == exact.size and off(numbers.reshape(exact.shape), exact) <= self.same:
            return True
        if numbers.size != 1 or exact.size < 2:
            return False
        single = numbers.reshape(())
        return any(
            off(single, np.asarray(combine(exact))) <= self.same for combine in (np.mean, np.sum)
        )

    def _by_framework(self) -> Recognition | None:
        """Try tensors of the frameworks that the function's process has loaded."""
        call = self.function
        if not isinstance(call, Call):
            return None
        process = self.implementation.process
        loaded = user.loaded() if process is None else hosts.ask(process, user.loaded)
        own = next(
            (name for name in user.FRAMEWORKS if user.bridge_for(name) == call.bridge), ""
        ) if call.bridge is not user.NUMPY else "numpy"  # fmt: skip
        for name in ("numpy", *loaded):
            if name == own or registry.missing(user.bridge_for(name).process):
                continue
            other = replace(call, bridge=user.bridge_for(name))
            same = Alternative(name, "", lambda exam, data: data, "")
            visiting = nullcontext() if process is not None else user.bridge_for(name).visiting()
            with visiting:
                fits = self._fits(same, other)
            if fits:
                return self._tensors(name, self._answer(self.asked[0]).failure)
        return None

    def _tensors(self, framework: str, failure: str) -> Recognition:
        what = "arrays of NumPy" if framework == "numpy" else f"tensors of {framework}"
        return Recognition(
            f"framework {framework}",
            f"it wants {what}: --framework {framework}" + (f" ({failure})" if failure else ""),
            f"--framework {framework}",
            self.quantity,
            self.asked[0],
            0,
            refused=True,
        )

    # By failure

    def _by_failure(self, answer: _Answer) -> Recognition | None:
        """Return what an exception tells; None if it tells nothing."""
        own = self.implementation.name.rpartition(":")[2].rpartition(".")[2]
        refusal = arguments_refused(answer.failure, self.loss, own)
        if refusal is not None:
            return Recognition(
                refusal.name,
                refusal.text,
                refusal.hint,
                self.quantity,
                answer.exam,
                0,
                refused=True,
            )
        call = self.function
        if isinstance(call, Call) and call.bridge is user.NUMPY:
            framework = wants_tensors(answer.failure)
            if framework:
                return self._tensors(framework, answer.failure)
        return None

    def _unrecognised(self, answers: Sequence[_Answer]) -> Recognition | None:
        """Return an unrecognised result if almost all rows are clearly wrong; otherwise None."""
        wrong = rows = 0
        for each in answers:
            exact = each.exam.exact(self.quantity)
            if each.numbers.shape != exact.shape:
                return None  # the sweep reports a wrong shape
            if not np.isfinite(each.numbers).all() or not each.numbers.any():
                return None  # NaN, infinities and zeros have more specific kinds
            errors = np.atleast_1d(_errors(each.numbers, exact))
            errors = errors.reshape(len(errors), -1)
            wrong += int((~(errors <= CLEARLY)).any(axis=1).sum())
            rows += len(errors)
        if wrong < MOST * rows:
            return None
        head = f"not recognised, but wrong on {wrong} of {rows} mild rows: "
        return self._witnessed(answers, "unrecognised", head, "is it meant to be this loss?")


# Numbers and shapes


def _errors(numbers: Float64Array, expected: Float64Array) -> Float64Array:
    with np.errstate(all="ignore"):
        scale = np.abs(expected) + _FLOOR * np.abs(expected).max(initial=0.0)
        return np.asarray(np.abs(numbers - expected) / scale)


def off(numbers: Float64Array, expected: Float64Array) -> float:
    """Return the largest relative error; inf for a NaN, or if all expected numbers are 0."""
    if not np.isfinite(expected).all() or not np.any(expected):
        return np.inf
    worst = _errors(numbers, expected).max(initial=0.0)
    return float(worst) if worst == worst else np.inf


def _returned(exam: Exam, numbers: Float64Array) -> str:
    """Describe the result of a block in which rows have no results of their own."""
    given = f"of {exam.case.rows} rows it returns"
    if numbers.shape or not exam.value.shape:
        return f"{given} shape {numbers.shape}"
    exact = ", ".join(_number(float(each)) for each in exam.value.ravel()[:4])
    more = ", …" if exam.value.size > 4 else ""
    return f"{given} one number, {_number(float(numbers))}; exact for each of them {exact}{more}"


def _text_of_shape(rows: int, shape: tuple[int, ...]) -> str:
    names = ["rows", "classes"][: len(shape)]
    return f"({', '.join(names)}{',' if len(shape) == 1 else ''})"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _row_text(exam: Exam, row: int) -> str:
    """Format a row as a user would type it: ``[0, 1] label 0``."""
    x = exam.x[row]
    text = f"[{', '.join(map(_number, x))}]" if x.ndim else _number(float(x))
    if exam.labels is None:
        return text
    label = exam.labels[row]
    if np.ndim(label):
        return f"{text} labels [{', '.join(map(_number, label))}]"
    return f"{text} label {_number(float(label))}"


def _block_text(exam: Exam) -> str:
    return f"{exam.case.rows} mild rows"
