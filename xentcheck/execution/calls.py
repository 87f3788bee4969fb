"""Call an implementation on a case and watch how it behaves.

Every call gets fresh copies of the arrays. A thorough look calls the block a second time unchanged
(the results must be bit-identical), and once with its rows reversed and regrouped.
`measurement.asking` knows the exact results and judges how far a row may move then. It also
judges other memory layouts, batch sizes and upstream gradients, with calls that a `Caller` makes. A
block that raises is halved until the rows that raise are found; the other rows keep their results.
A block may signal an overflow, an invalid operation or a division by zero although its inputs and
exact results are finite. Then it is halved until one row is found that signals alone.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UnsupportedError
from xentcheck.execution import hosts
from xentcheck.execution.invocation import CallError, invoke, rehearse, same_bits
from xentcheck.floats import Format, format_of, ulp_distance
from xentcheck.implementations.bridge import Call, Pulled, Tracked
from xentcheck.implementations.shapes import UPSTREAM
from xentcheck.implementations.user.command import Command
from xentcheck.losses import LOSSES
from xentcheck.losses.parameters import obstacle, passed
from xentcheck.model import Array, Case, Implementation, Kind, LabelKind, Process, Quantity
from xentcheck.model.inputs import picked
from xentcheck.registry import required_second

_log = logging.getLogger("xentcheck.foreign")  # `xentcheck --debug` shows this log

MOST_REHEARSED = 1 << 12
"""Most logits of a case that frameworks are called on beforehand."""

ISOLATED_FAILURES = 16
"""After this many rows that raise alone, the remaining rows count as raising too."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that an implementation did on some rows: the rows and a description.

    `rows` are positions in the block (empty: the call as a whole). `distance` is in ulps where two
    results were compared. `ways` names the ways of calling that it concerns, if there are several:
    memory layouts, upstream gradients, batch sizes.
    """

    kind: Kind
    rows: tuple[int, ...]
    detail: str
    distance: float = 0.0
    ways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Returned:
    """The results for one quantity of one case.

    `results` has the requested shape, or is None when nothing can be scored. `valid` has shape
    (rows,) and is False where a row raised. `regrouped` holds the results of the same rows in
    another order and other groups, in the same shape; it is None if they are identical.
    """

    results: Array | None
    valid: npt.NDArray[np.bool_]
    incidents: tuple[Incident, ...] = field(default_factory=tuple)
    regrouped: Array | None = None


def observe(
    implementation: Implementation,
    case: Case,
    quantity: Quantity,
    *,
    thorough: bool = True,
    finite: Callable[[Format], npt.NDArray[np.bool_]] | None = None,
) -> Returned:
    """Call an implementation on a case and check how it behaves.

    Args:
        implementation: has a function for this quantity.
        case: the block of rows.
        quantity: selects the function to call.
        thorough: whether to call more than once, to see if results depend on more than the row.
        finite: takes the format of the results and returns a mask of shape (rows,): True where the
            inputs and the exact results in that format are finite. A thorough look reports signals
            on those rows.

    Raises:
        UnsupportedError: the implementation says that it does not take such inputs.
    """
    shape = result_shape(case, quantity)
    run = Caller(implementation, case, quantity)
    rows = case.rows
    valid = np.ones(rows, dtype=np.bool_)
    try:
        results = run.call()
    except CallError as error:
        if error.kind is Kind.RAISED and shape != () and rows > 1:
            return _isolate(run, rows, shape, str(error))
        return _failed(rows, error)
    signals = run.signals
    incidents = run.mutations()
    target = format_of(results.dtype)
    source = format_of(case.logits.dtype)
    assert target is not None
    assert source is not None
    if _narrower(target, source):
        detail = f"returned {target.name} for {source.name} inputs"
        incidents.append(Incident(Kind.WRONG_DTYPE, (), detail))
    if not thorough:
        return Returned(results, valid, tuple(incidents))
    incidents += _repeat(run, results)
    regrouped = None
    if shape != () and not case.reduced:
        seen, regrouped = _regroup(run, results)
        incidents += seen
    if signals and finite is not None:
        incidents += _signalled(run, signals, np.flatnonzero(finite(target)))
    return Returned(results, valid, tuple(incidents), regrouped)


def answer(implementation: Implementation, case: Case, quantity: Quantity) -> Array | None:
    """Return the result of one call without any check of its behaviour; None if it failed."""
    try:
        return Caller(implementation, case, quantity).call()
    except (CallError, UnsupportedError):
        return None


def arguments(implementation: Implementation, case: Case, quantity: Quantity) -> list[Array | None]:
    """Return the arrays that the function of a quantity is called with: logits, labels."""
    return Caller(implementation, case, quantity).data(case.logits, slice(None))


def ask(
    function: Callable[..., Any],
    process: Process | None,
    data: Sequence[Array | None],
    parameters: Mapping[str, Any],
) -> Array:
    """Return what a function returns, in any shape.

    Args:
        function: called as ``function(*data, **parameters)``.
        process: the process to call it in; None for this one.
        data: logits and, if the function takes them, labels.
        parameters: parameters of the loss by name.

    Raises:
        CallError: the function raised, or its result cannot be scored.
        UnsupportedError: the function says that it does not take such inputs.
    """
    if process is None:
        return invoke(function, data, parameters, None).result
    return hosts.invoke(process, function, data, parameters, None).result


def begin(asked: Iterable[tuple[Implementation, Case, Quantity]]) -> None:
    """Have frameworks make calls while the caller goes on, each in its own process.

    So they import their modules and compile side by side. Users' code is only called when its
    result counts, and so is what is given more than `MOST_REHEARSED` numbers.
    """
    calls: dict[Process, list[tuple[Callable[..., Any], Any, Any]]] = {}
    for implementation, case, quantity in asked:
        process = implementation.process
        if process is None or not process.quiet or case.logits.size > MOST_REHEARSED:
            continue
        run = Caller(implementation, case, quantity)
        data = run.data(case.logits, slice(None))
        calls.setdefault(process, []).append((run.function, data, run.parameters))
    for process, each in calls.items():
        compiled = any(hosts.compiles(function) for function, *_ in each)
        doing = hosts.compiling(process) if compiled else f"calling {process.name}"
        hosts.begin(process, doing, rehearse, each)


def _narrower(result: Format, source: Format) -> bool:
    if source.bits <= 8:
        return False
    return result.precision < source.precision or result.max_exponent < source.max_exponent


def _failed(rows: int, error: CallError) -> Returned:
    where = (0,) if rows == 1 else ()
    incident = Incident(error.kind, where, str(error))
    return Returned(None, np.zeros(rows, dtype=np.bool_), (incident,))


class Caller:
    """Calls one function of an implementation on any selection of rows of one case."""

    def __init__(self, implementation: Implementation, case: Case, quantity: Quantity) -> None:
        function = implementation.value if quantity is Quantity.VALUE else implementation.gradient
        assert function is not None
        self.function: Callable[..., Any] = function
        self.process = implementation.process
        self.parameters = passed(LOSSES[case.loss], implementation, case.parameters)
        self.case = case
        self.shape = result_shape(case, quantity)
        # A loss with one value per class needs labels only for the gradient: they select the class.
        self.with_labels = case.labels is not None and (
            quantity is Quantity.GRADIENT or not LOSSES[case.loss].per_class
        )
        self.insists = not self.with_labels and _wants_labels(self.function, case)
        self._mutated: list[str] = []
        self.signals: tuple[str, ...] = ()  # of the last call

    @property
    def layouts(self) -> tuple[str, ...]:
        """The memory layouts in which the function can receive its arrays."""
        function = self.function
        return function.layouts if isinstance(function, Call) else ()

    @property
    def follows(self) -> bool:
        """Whether the function is a gradient that takes an upstream gradient."""
        return isinstance(self.function, Call) and self.function.follows

    @property
    def tracks(self) -> bool:
        """Whether the function is a value that can be computed on the way to a gradient."""
        return isinstance(self.function, Call) and self.function.tracks

    @property
    def compiles(self) -> bool:
        """Whether each new number of classes costs a compilation."""
        return isinstance(self.function, Call) and self.function.compiles

    def data(self, logits: Array, rows: Any) -> list[Array | None]:
        """Return the arrays of a call: these logits, and the labels if the function takes them."""
        if not (self.with_labels or self.insists):
            return [logits]
        labels = None if self.case.labels is None else self.case.labels[rows]
        if labels is not None and self.case.integers:
            labels = labels.astype(np.int64)
        return [logits, labels]

    def call(
        self,
        rows: npt.NDArray[np.intp] | None = None,
        *,
        layout: str = "",
        cotangent: Array | None = None,
        tracked: bool = False,
    ) -> Array:
        """Return the results for these rows, or for all rows.

        Args:
            rows: positions in the case, which may repeat.
            layout: memory layout of the arrays, one of `layouts`; "" is packed. For ``one-row`` all
                rows must be the same.
            cotangent: upstream gradient in the dtype of the case, for a function that `follows`:
                one number per row, or shape () under a reduction. Ones by default.
            tracked: compute a value that `tracks` on the way to a gradient.

        Raises:
            CallError: the call gave no result to score.
            UnsupportedError: the function says that it does not take such inputs.
        """
        logits = self.case.logits[slice(None) if rows is None else rows]
        return self.on(logits, rows, layout=layout, cotangent=cotangent, tracked=tracked)

    def on(
        self,
        logits: Array,
        rows: npt.NDArray[np.intp] | None = None,
        *,
        layout: str = "",
        cotangent: Array | None = None,
        tracked: bool = False,
    ) -> Array:
        """Do the same as `call`, but with other logits for the rows.

        Args:
            logits: (count, …) in the dtype of the case, one entry per row.
            rows: as in `call`.
            layout: as in `call`.
            cotangent: as in `call`.
            tracked: as in `call`.
        """
        case = self.case
        chosen: Any = slice(None) if rows is None else rows
        data = self.data(logits, chosen)
        count = case.rows if rows is None else len(rows)
        shape = (count, *self.shape[1:]) if self.shape else ()
        function = self.function
        if layout and cotangent is None and self.follows:
            cotangent = np.ones(() if case.reduced else (count,), case.logits.dtype)
        if cotangent is not None:
            function = Pulled(function, cotangent, layout)
        elif tracked:
            function = Tracked(function)
        arguments = (function, data, picked(self.parameters, chosen), shape, layout)
        try:
            if self.process is None:
                done = invoke(*arguments)
            else:
                done = hosts.invoke(self.process, *arguments)
        except CallError as error:
            if error.trace and _log.isEnabledFor(logging.DEBUG) and hosts.first_time(error.trace):
                _log.debug("%s", error.trace.rstrip())
            raise
        self._mutated += done.mutated
        self.signals = done.signals
        return done.result

    def mutations(self) -> list[Incident]:
        """Return one incident if any call so far wrote into its arguments."""
        if not self._mutated:
            return []
        names = ", ".join(dict.fromkeys(self._mutated))
        return [Incident(Kind.MUTATED_INPUT, (), f"wrote into {names}")]


def _wants_labels(function: Callable[..., Any], case: Case) -> bool:
    """Whether a function requires a second positional argument that is not a parameter."""
    if hasattr(function, "wants_labels"):  # a stand-in for a function of another process
        return bool(function.wants_labels)
    second = required_second(function)
    return bool(second) and second not in case.parameters


def _changed(now: Array, then: Array) -> tuple[npt.NDArray[np.intp], float]:
    """Return the rows with changed results, and the largest change in ulps."""
    different = ~same_bits(now, then)
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


def _repeat(run: Caller, results: Array) -> list[Incident]:
    try:
        again = run.call()
    except CallError as error:
        detail = f"the second call with the same inputs: {error}"
        return [Incident(Kind.NON_DETERMINISTIC, (), detail, float("inf"))]
    rows, distance = _changed(again, results)
    if not len(rows):
        return []
    detail = f"two calls with the same inputs differ by up to {distance:g} ulp"
    return [Incident(Kind.NON_DETERMINISTIC, tuple(rows.tolist()), detail, distance)]


def _regroup(run: Caller, results: Array) -> tuple[list[Incident], Array | None]:
    """Call the rows in reverse order and in two unequal groups; call a lone row as three copies.

    Returns what was seen, and the results of these calls if they differ.
    """
    rows = len(results)
    backwards = np.arange(rows)[::-1].astype(np.intp)
    if rows == 1:
        groups = [np.zeros(3, dtype=np.intp)]
    else:
        cut = max(rows // 3, 1)
        groups = [backwards[:cut], backwards[cut:]]
    found: dict[int, float] = {}
    others = results.copy()
    alike = True
    try:
        for group in groups:
            regrouped = run.call(group)
            changed, distance = _changed(regrouped, results[group])
            found.update({int(group[k]): distance for k in changed})
            alike &= regrouped.dtype == results.dtype
            if alike:
                others[group[changed]] = regrouped[changed]
    except CallError as error:
        detail = f"the same rows in other company: {error}"
        return [Incident(Kind.ROW_DEPENDENT, (), detail, float("inf"))], None
    if not found:
        return [], None
    distance = max(found.values())
    detail = f"reordering and regrouping the rows changes the result by up to {distance:g} ulp"
    seen = [Incident(Kind.ROW_DEPENDENT, tuple(sorted(found)), detail, distance)]
    return seen, others if alike else None


def _signalled(run: Caller, signals: tuple[str, ...], rows: npt.NDArray[np.intp]) -> list[Incident]:
    """Find the first of ``rows`` that signals alone, by halving; ``signals`` are the block's."""

    def of(block: npt.NDArray[np.intp]) -> tuple[str, ...]:
        if not len(block):
            return ()
        try:
            run.call(block)
        except CallError:  # reported elsewhere
            return ()
        return run.signals

    found = signals if len(rows) == run.case.rows else of(rows)
    if not found:
        return []
    block = rows
    while len(block) > 1:
        for half in np.array_split(block, 2):
            told = of(half)
            if told:
                block, found = half, told
                break
        else:
            detail = f"{', '.join(found)}, with these rows together only"
            return [Incident(Kind.FP_SIGNAL, tuple(block.tolist()), detail)]
    detail = ", ".join(found)
    if len(rows) > 1:
        detail += "; at least on the rows counted: not every row was called alone"
    return [Incident(Kind.FP_SIGNAL, tuple(block.tolist()), detail)]


def _isolate(run: Caller, rows: int, shape: tuple[int, ...], first: str) -> Returned:
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
        except CallError as error:
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
        return Returned(None, valid, tuple(incidents))
    dtype = next(iter(results.values())).dtype
    whole = np.zeros(shape, dtype=dtype)
    for row, result in results.items():
        whole[row] = result
    return Returned(whole, valid, tuple(incidents))


def result_shape(case: Case, quantity: Quantity) -> tuple[int, ...]:
    """Return the shape that the results of a quantity of a case must have."""
    return LOSSES[case.loss].result_shape(case, quantity)


def unasked(implementation: Implementation) -> str:
    """Return why a user's gradient gets only upstream gradients of one; "" if it gets others."""
    function = implementation.gradient
    if function is None or not implementation.probe_words:
        return ""
    if isinstance(function, Command):
        return f"{_UNASKED}: a command is given none"
    if isinstance(function, Call) and not function.differentiated and not function.follows:
        *others, last = UPSTREAM
        return f"{_UNASKED}: its gradient function has no argument {', '.join(others)} or {last}"
    return ""


_UNASKED = "upstream gradients other than one"


def unsupported(implementation: Implementation, case: Case) -> str:
    """Return why an implementation does not take a case; "" if it does."""
    if case.dtype not in implementation.dtypes:
        return f"does not take {case.dtype}"
    if case.label_kind is not LabelKind.NONE and case.label_kind not in implementation.label_kinds:
        return f"does not take {case.label_kind} labels"
    return obstacle(LOSSES[case.loss], implementation, case.parameters, case.dtype)
