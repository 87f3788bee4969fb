"""Audits a function without saying what it computes: its results have to keep some invariants.

Nothing is known of the exact results. A real loss of the same shapes stands in for the unknown one:
it says how arrays are shaped, and its standard sweep gives the rows. Nothing is scored against it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xentcheck.auditing.arguments import known_names
from xentcheck.auditing.check import DTYPES
from xentcheck.auditing.environment import environment
from xentcheck.auditing.own_code import Function, given_function, gradient_text, opened
from xentcheck.auditing.plan import check_time
from xentcheck.errors import TargetError, UnsupportedError, UsageError
from xentcheck.execution import CallError, Returned, ask, hosts, observe
from xentcheck.floats import FORMATS
from xentcheck.gate.limits import judge
from xentcheck.implementations import user
from xentcheck.implementations.bridge import LABEL_DTYPE, LABEL_DTYPES
from xentcheck.implementations.shapes import CLASS_SECOND, ROWS, SHAPES
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import INVARIANTS, NO_LOSS, NONE, Invariant, chosen
from xentcheck.losses.spec import Loss
from xentcheck.measurement import Arbitration, Tally, close, note
from xentcheck.measurement.asking import spread_rows
from xentcheck.measurement.deviations import Subject
from xentcheck.measurement.invariants import broken, eligible, incidents
from xentcheck.model import (
    AUTO,
    SURVEY_TOLERANCE,
    Case,
    Cell,
    Config,
    Finding,
    Implementation,
    Kind,
    Layout,
    Limit,
    Measurement,
    Quantity,
    Report,
    Skip,
    Source,
    Sweep,
    Target,
    function_for,
)
from xentcheck.sweeps import RowCount, cases, standard_sweeps

SWEEPS = ("ordinary", "extreme")
"""The standard sweeps that give the rows: those of finite logits and of few classes."""

ASKED = 16
"""Maximum number of rows of a case that are called with their twins."""

SCANNED = 4
"""Maximum number of rows of a case that are scanned along an axis."""

STAND_INS: Mapping[tuple[Layout, bool, bool], str] = {
    (Layout.ROWS, True, False): "softmax_cross_entropy",
    (Layout.ROWS, False, False): "logsumexp",
    (Layout.ROWS, False, True): "log_softmax",
    (Layout.ELEMENTWISE, True, False): "sigmoid_binary_cross_entropy",
    (Layout.ELEMENTWISE, False, False): "softplus",
}
"""A loss for each layout, whether it takes labels, and whether it has a value per class."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """How a function of unknown meaning is audited. The fields are keywords of `xentcheck.audit`.

    ``invariants`` are the names of the invariants that its results have to keep.
    """

    invariants: tuple[str, ...]
    dtypes: Sequence[str] = ()
    framework: str = "numpy"
    gradient: Function | str | None = AUTO
    bind: Mapping[str, Any] = field(default_factory=dict)
    shape: str = ROWS
    label_dtype: str = LABEL_DTYPE
    allow: Sequence[str] = ()


def audit_unknown(
    target: Function | str, how: Unknown, *, seed: int = 0, timeout_s: float | None = None
) -> tuple[Report, tuple[str, ...]]:
    """Audit a function against invariants, and notes about its gradient.

    Args:
        target: a function of this process; or text that names one, which is loaded in a process of
            its own. It is called with logits, and with labels if it has a second argument without a
            default: integer ones, or 0 and 1 as numbers if it is elementwise.
        how: the invariants, and how to call it.
        seed: the seed of the random rows.
        timeout_s: how long one call in another process may take, in seconds.

    Raises:
        XentcheckError: the arguments are contradictory or impossible, or the function cannot be
            called.
    """
    check_time(timeout_s)
    if NONE in how.invariants:
        raise UsageError("invariants none goes with a loss: without one nothing else is asked")
    names = chosen(how.invariants)
    wanted = [INVARIANTS[name] for name in names]
    dtypes = known_names("dtype", how.dtypes, tuple(FORMATS)) or DTYPES
    allow = known_names("kind", how.allow, tuple(Kind))
    way = Target(
        STAND_INS[Layout.ROWS, True, False],
        "",
        "",
        parameters=how.bind,
        framework=known_names("framework", (how.framework,), tuple(user.FRAMEWORKS))[0],
        timeout_s=timeout_s,
        shape=known_names("shape", (how.shape,), SHAPES)[0],
        label_dtype=known_names("dtype of labels", (how.label_dtype,), LABEL_DTYPES)[0],
    )
    notes: tuple[str, ...] = ()
    if isinstance(target, str):
        made, notes = opened(target, way, how.gradient)
    else:
        made = given_function(target, way, how.gradient)
    try:
        whose = _standing_in(made, wanted, way.shape)
        audit = _Audit(whose, names, seed)
        for dtype in dtypes:
            audit.run(dtype)
        versions = environment({made.process} if made.process is not None else ())
    finally:
        hosts.close()
    config = Config((), (Limit(allow=frozenset(map(Kind, allow)), path="invariants"),), seed=seed)
    document = {
        "command": "check",
        "target": made.name,
        "invariants": names,
        "framework": way.framework,
        "gradient": gradient_text(how.gradient),
        "shape": way.shape,
        "label_dtype": way.label_dtype,
        "dtypes": dtypes,
        "allow": allow,
        "notes": notes,
    }
    sources = () if made.code_at is None else (Source(NO_LOSS, made.name, *made.code_at),)
    report = Report(
        environment=versions,
        seed=seed,
        config=document,
        measurements=tuple(audit.measurements),
        findings=tuple(audit.findings),
        violations=judge(config, audit.findings),
        skips=tuple(audit.skips),
        yields=tuple(audit.yields),
        gated=True,
        origins={f"{NO_LOSS} {made.name}": made.probe_words} if made.probe_words else {},
        sources=sources,
        timeout_s=timeout_s,
    )
    return report, notes


class _Audit:
    """One audit. Its lists grow dtype by dtype."""

    def __init__(self, implementation: Implementation, names: Sequence[str], seed: int) -> None:
        self.implementation = implementation
        self.loss: Loss = LOSSES[implementation.loss]
        self.names = names
        self.seed = seed
        self.measurements: list[Measurement] = []
        self.findings: list[Finding] = []
        self.skips: dict[Skip, None] = {}
        self.yields: list[Any] = []

    def run(self, dtype: str) -> None:
        """Ask about the rows of all sweeps in a dtype."""
        name = self.implementation.name
        if dtype not in self.implementation.dtypes:
            self.skips[Skip(f"does not take {dtype}", NO_LOSS, name, dtype)] = None
            return
        for sweep in standard_sweeps(self.loss, (dtype,)):
            if sweep.name not in SWEEPS:
                continue
            blocks = [self._asked(case) for case in cases(sweep, self.loss, dtype, self.seed)]
            counted = RowCount()
            for case in blocks:
                counted.add(case)
            self.yields += [replace(each, loss=NO_LOSS) for each in counted.yields()]
            for quantity in Quantity:
                self._cell(sweep, dtype, quantity, blocks)

    def _asked(self, case: Case) -> Case:
        """The case with the function's own defaults, and one result for each row."""
        taken = self.implementation.parameters
        parameters = {"reduction": "none"} if "reduction" in taken else {}
        return replace(case, parameters=parameters)

    def _cell(self, sweep: Sweep, dtype: str, quantity: Quantity, blocks: Sequence[Case]) -> None:
        name = self.implementation.name
        names = [each for each in self.names if quantity in INVARIANTS[each].quantities]
        if not names:
            return
        if function_for(self.implementation, quantity) is None:
            reason = f"has no {quantity}"
            self.skips[Skip(reason, NO_LOSS, name, quantity=quantity.value)] = None
            return
        tally = Tally()
        try:
            for case in blocks:
                if not self._case(tally, case, quantity, names):
                    break
        except UnsupportedError as error:
            self.skips[Skip(str(error), NO_LOSS, name, dtype, quantity.value)] = None
            return
        cell = Cell(NO_LOSS, name, dtype, quantity, sweep.name)
        shown = Cell(self.loss.id, name, dtype, quantity, sweep.name)
        measurement, found = close(shown, tally, SURVEY_TOLERANCE, Arbitration())
        self.measurements.append(replace(measurement, cell=cell))
        self.findings += [replace(each, cell=cell) for each in found]

    def _case(self, tally: Tally, case: Case, quantity: Quantity, names: Sequence[str]) -> bool:
        """Ask about one case. Returns whether the function can be called further."""
        observed = observe(self.implementation, case, quantity, thorough=False)
        tally.rows += case.rows
        seen = list(observed.incidents)
        if observed.results is not None:
            tally.result_dtype = tally.result_dtype or _name_of(observed)
            subject = Subject(self.implementation, case, quantity, observed.results, wide=True)
            rows = eligible(case, np.flatnonzero(observed.valid))
            few = spread_rows(rows, ASKED)
            seen += incidents(broken(subject, names, rows, few, scanned=SCANNED))
        for each in seen:
            note(tally, each, case)
        return not any(each.kind in (Kind.CRASHED, Kind.TIMED_OUT) for each in seen)


def _name_of(observed: Returned) -> str:
    assert observed.results is not None
    return observed.results.dtype.name


def _standing_in(made: Implementation, wanted: Sequence[Invariant], shape: str) -> Implementation:
    """The function as an implementation of a loss with the same shapes, found by calling it.

    Raises:
        UsageError: the invariants do not go with each other, or with the shape of the results.
        TargetError: it cannot be called.
    """
    layouts = {each.layout for each in wanted if each.layout is not None}
    if len(layouts) > 1:
        raise UsageError(
            "invariants: "
            + ", ".join(
                f"{each.name} is about {each.layout}" for each in wanted if each.layout is not None
            )
        )
    for each in wanted:
        if each.name == "exchange":
            raise UsageError("exchange is about distributions: it goes with --loss")
    if shape == CLASS_SECOND and Layout.ELEMENTWISE in layouts:
        raise UsageError("--shape class-second: an elementwise function has no classes")
    labelled = bool(getattr(made.value, "wants_labels", True))
    failures = []
    for layout in layouts or (Layout.ROWS, Layout.ELEMENTWISE):
        try:
            results = _mild(made, layout, labelled=labelled)
        except CallError as error:
            failures.append(str(error))
            continue
        per_class = layout is Layout.ROWS and results == (3, 4)
        if not per_class and results != (3,):
            failures.append(_shape_text(results))
            continue
        loss = STAND_INS.get((layout, labelled, per_class))
        if loss is None:
            failures.append("returns one number per class although it takes labels")
            continue
        unfit = [each.name for each in wanted if not _fits(each, loss)]
        if unfit:
            results_are = "one number per class" if per_class else "one number per row"
            failures.append(f"{', '.join(unfit)}: not with {results_are}, {_labels(labelled)}")
            continue
        return _as(made, loss)
    raise TargetError(
        f"{made.name}: {'; '.join(dict.fromkeys(failures))}\n"
        f"    help: it is called as f({'logits, labels' if labelled else 'logits'}) and returns one"
        " number per row, or per class; `xentcheck list invariants` says what goes with what"
    )


def _labels(labelled: bool) -> str:
    return "with labels" if labelled else "without labels"


def _shape_text(results: tuple[int, ...]) -> str:
    if results == ():
        return "returns one number for a whole block: bind its reduction, so that rows stay apart"
    return f"returns shape {results} for 3 rows of 4 logits"


def _fits(invariant: Invariant, loss: str) -> bool:
    """Whether results of the shapes of a loss can have a property."""
    spec = LOSSES[loss]
    if invariant.per_class not in (None, spec.per_class):
        return False
    return not invariant.labels or spec.label_kinds[0] in invariant.labels


def _mild(made: Implementation, layout: Layout, *, labelled: bool) -> tuple[int, ...]:
    """The shape of the results for 3 mild rows, of 4 logits each unless it is elementwise."""
    trial = _as(made, STAND_INS[layout, labelled, False])
    logits = np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.75, -0.5, 0.0], [-2.0, 1.0, 0.5, 3.0]])
    labels = np.array([0, 3, 1])
    given = logits if layout is Layout.ROWS else logits[:, 0]
    dtype = next(each for each in ("float32", *made.dtypes) if each in made.dtypes)
    classes = labels if layout is Layout.ROWS else (labels > 0).astype(FORMATS[dtype].dtype)
    data = [given.astype(FORMATS[dtype].dtype), *([classes] if labelled else [])]
    more = {"reduction": "none"} if "reduction" in made.parameters else {}
    assert trial.value is not None
    return ask(trial.value, trial.process, data, more).shape


def _as(made: Implementation, loss: str) -> Implementation:
    """An implementation of another loss, by the same functions."""

    def of(function: Any) -> Any:
        return replace(function, loss=loss) if hasattr(function, "loss") else function

    return replace(
        made,
        loss=loss,
        value=of(made.value),
        gradient=of(made.gradient),
        built_in={},
        own_defaults={},
    )
