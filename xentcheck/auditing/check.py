"""A check of a user's own loss: the standard sweep of the loss and the limits of `check`."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xentcheck.auditing.arguments import bound, flag, known_names
from xentcheck.auditing.own_code import (
    Function,
    given_function,
    gradient_text,
    opened,
    opened_peers,
    own_defaults,
    with_reduction,
)
from xentcheck.bounds import BOUNDS
from xentcheck.bounds import NAMES as BOUND_NAMES
from xentcheck.errors import UsageError
from xentcheck.execution import unasked
from xentcheck.floats import FORMATS
from xentcheck.implementations import user
from xentcheck.implementations.bridge import LABEL_DTYPE, LABEL_DTYPES
from xentcheck.implementations.shapes import CLASS_SECOND, ROWS, SHAPES
from xentcheck.losses import loss_of
from xentcheck.losses.invariants import chosen
from xentcheck.losses.parameters import checked, parameter_of
from xentcheck.model import (
    AUTO,
    NOTES,
    Config,
    Grade,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Limit,
    Quantity,
    Sweep,
    Target,
    Tolerance,
    escaped,
)
from xentcheck.sweeps import chosen_labels, standard_sweeps
from xentcheck.sweeps import own as own_inputs

DTYPES = ("float32", "float64")
"""The dtypes of a check that names none."""

CHECK_TOLERANCE = Tolerance(max_ulp=4.0, or_excess_bits=2.0)
"""The default of `check`: few ulps, or an error that the rounding of the input explains."""

DEFAULT_LIMITS = (Limit(CHECK_TOLERANCE, path="max_ulp"),)
"""The limits of `check`, and of a configuration without limits that is held against a baseline."""


@dataclass(frozen=True, slots=True)
class Check:
    """What to check of a user's own loss. The fields are the keywords of `xentcheck.audit`."""

    label_kind: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dtypes: Sequence[str] = ()
    quantities: Sequence[str] = ()
    framework: str = "numpy"
    gradient: Function | str | None = AUTO
    max_ulp: float | None = None
    p99_ulp: float | None = None
    or_abs: float = 0.0
    or_rel: float = 0.0
    max_excess_bits: float | None = None
    or_excess_bits: float | None = None
    max_norm: float | None = None
    min_grade: str | None = None
    allow: Sequence[str] = ()
    forbid: Sequence[str] = ()
    built_in: Mapping[str, Any] = field(default_factory=dict)
    bind: Mapping[str, Any] = field(default_factory=dict)
    shape: str = ROWS
    label_dtype: str = LABEL_DTYPE
    batch_invariant: bool = False
    targets: str | None = None
    inputs: Any = None
    input_names: Mapping[str, str] = field(default_factory=dict)
    allow_skips: bool = False
    against: Sequence[Function | str] = ()
    invariants: Sequence[str] | None = None

    @property
    def bounded(self) -> bool:
        """Whether a bound is given that stands alone: one of the ulps, or a grade."""
        given = any(getattr(self, each.name) is not None for each in BOUNDS if each.alone)
        return given or self.min_grade is not None

    @property
    def tolerance(self) -> Tolerance:
        """The bounds as a tolerance; `CHECK_TOLERANCE` if none of them stands alone."""
        least = Tolerance(max_ulp=math.inf) if self.bounded else CHECK_TOLERANCE
        return Tolerance(
            max_ulp=least.max_ulp if self.max_ulp is None else self.max_ulp,
            or_abs=self.or_abs,
            or_rel=self.or_rel,
            max_excess_bits=math.inf if self.max_excess_bits is None else self.max_excess_bits,
            p99_ulp=math.inf if self.p99_ulp is None else self.p99_ulp,
            or_excess_bits=(
                least.or_excess_bits if self.or_excess_bits is None else self.or_excess_bits
            ),
            max_norm=math.inf if self.max_norm is None else self.max_norm,
            min_grade=None if self.min_grade is None else Grade(self.min_grade),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Checking:
    """A user's own loss with the standard sweep, ready to be audited.

    Attributes:
        config: the sweep and the limits.
        implementation: the loss.
        notes: for the user: which gradient was found, or why there is none; which labels are drawn.
        hard: the same with hard labels alone; None where there are no soft ones.
        peers: users' own code that it is held against.
    """

    config: Config
    implementation: Implementation
    notes: tuple[str, ...] = ()
    hard: Config | None = None
    peers: tuple[Implementation, ...] = ()

    @property
    def own(self) -> tuple[Implementation, ...]:
        """All of the users' own code: the loss and its peers."""
        return (self.implementation, *self.peers)


def checking(
    target: Function | str,
    loss: str,
    check: Check,
    *,
    seed: int = 0,
    timeout_s: float | None = None,
    workers: int | None = 1,
) -> Checking:
    """Make a check ready: load the code, choose its inputs, and set the limits.

    Args:
        target: a function of this process; or text that names one, which is loaded in a process of
            its own.
        loss: the name of the loss that it computes.
        check: what to check.
        seed: the seed of the random inputs.
        timeout_s: how long one call in another process may take, in seconds.
        workers: how many processes may ask the function about mild rows.

    Raises:
        XentcheckError: the arguments are contradictory or impossible.
    """
    spec = loss_of(loss)
    loss = spec.id
    bounds: dict[str, Any] = {
        name: bound(name, getattr(check, name))
        for name in BOUND_NAMES
        if getattr(check, name) is not None or name in ("or_abs", "or_rel")
    }
    check = replace(check, **bounds)
    given = None if check.inputs is None else own_inputs.described(check.inputs, check.input_names)
    if given is None and check.input_names:
        raise UsageError("input_names goes with inputs")
    dtypes = known_names("dtype", check.dtypes, tuple(FORMATS))
    dtypes = dtypes or (DTYPES if given is None else (own_inputs.dtype_of(given),))
    quantities = known_names("quantity", check.quantities, tuple(Quantity)) or tuple(Quantity)
    allow = known_names("kind", check.allow, tuple(Kind))
    if check.min_grade is not None:
        known_names("grade", (check.min_grade,), tuple(map(str, Grade)))
    strict = flag("batch_invariant", check.batch_invariant)
    invariant = (Kind.BATCH_VARIANT,) if strict else ()
    forbid = known_names("note", (*check.forbid, *invariant), tuple(sorted(NOTES)))
    for name in forbid:
        if name in allow:
            raise UsageError(f"{name} is allowed and forbidden at once")
    if check.label_kind is not None:
        known_names("kind of labels", (check.label_kind,), tuple(LabelKind))
    asked = None if check.invariants is None else chosen(tuple(check.invariants), loss)
    label_kind = check.label_kind
    if label_kind is None and given is not None:
        label_kind = own_inputs.kind_of(given, spec)
    kind, targets, integers = chosen_labels(spec, label_kind, check.targets)
    values = {
        name: checked(parameter_of(spec, kind, name), value)
        for name, value in check.parameters.items()
    }
    built_in = {
        name: checked(parameter_of(spec, kind, name), value)
        for name, value in check.built_in.items()
    }
    for name in values.keys() & {*built_in, *check.bind}:
        raise UsageError(
            f"{name} is given as a parameter, which is passed, and as built in or bound"
        )
    way = Target(
        spec.id,
        "",
        "",
        parameters=check.bind,
        framework=known_names("framework", (check.framework,), tuple(user.FRAMEWORKS))[0],
        timeout_s=timeout_s,
        built_in=built_in,
        shape=known_names("shape", (check.shape,), SHAPES)[0],
        label_dtype=known_names("dtype of labels", (check.label_dtype,), LABEL_DTYPES)[0],
    )
    if way.shape == CLASS_SECOND and spec.layout is Layout.ELEMENTWISE:
        raise UsageError(f"{loss} has no classes that could come second")
    notes: tuple[str, ...] = ()
    if isinstance(target, str):
        made, notes = opened(target, way, check.gradient)
    else:
        if timeout_s is not None:
            raise UsageError("timeout_s goes with code in a process of its own: name it by text")
        made = given_function(target, way, check.gradient)
    own, about = own_defaults(spec, kind, made, values)
    notes += about
    here = user.bridge_for(way.framework).visiting() if made.process is None else None
    with here or contextlib.nullcontext():
        made, about = with_reduction(
            spec, kind, made, {**values, **own}, dtypes[0], workers, integers=integers
        )
    notes += about
    reason = unasked(made)
    if reason and Quantity.GRADIENT in quantities:
        notes += (f"its gradient is not asked with {reason}",)
    values = {**values, **own}
    rivals, peers, about = opened_peers(
        check.against,
        replace(way, parameters={}, built_in={}),
        lambda each: with_reduction(
            spec, kind, each, values, dtypes[0], workers, integers=integers
        )[0],
    )
    notes += about
    if made.name in rivals:
        raise UsageError(f"{made.name} against itself: name another implementation")
    axes = {name: (value,) for name, value in {**values, **made.built_in}.items()}

    def sweeps_with(targets: str | None) -> tuple[Sweep, ...]:
        if given is None:
            planned = standard_sweeps(spec, dtypes, kind, axes, targets, integers=integers)
        else:
            planned = own_inputs.sweeps(given, spec, dtypes, kind, axes, integers=integers)
        return tuple(
            replace(
                sweep,
                implementations=tuple(map(escaped, (made.name, *rivals))),
                quantities=tuple(map(Quantity, quantities)),
                named=frozenset((loss, *map(str, check.dtypes), *map(str, check.quantities))),
            )
            for sweep in planned
        )

    notes += (_drawn(kind, targets),) if given is None else own_inputs.notes(given, spec, kind)
    document = {
        "command": "check",
        "target": made.name,
        "framework": check.framework,
        "gradient": gradient_text(check.gradient),
        "loss": loss,
        "label_kind": "integer" if integers else kind,
        "targets": check.targets or "all",
        "inputs": "" if given is None else given.name,
        "parameters": values,
        "built_in": dict(made.built_in),
        "shape": way.shape,
        "label_dtype": way.label_dtype,
        "dtypes": dtypes,
        "quantities": quantities,
        **bounds_of(check.tolerance),
        "min_grade": check.min_grade,
        "allow": allow,
        "forbid": forbid,
        "allow_skips": check.allow_skips,
        **({"against": rivals} if rivals else {}),
        **({} if asked is None else {"invariants": asked}),
        "notes": notes,
    }
    limit = Limit(
        check.tolerance, frozenset(map(Kind, allow)), frozenset(map(Kind, forbid)), path="max_ulp"
    )
    if rivals:
        limit = replace(
            limit,
            implementation=escaped(made.name),
            against=rivals,
            relative=not check.bounded,
        )
    whole = Config(
        sweeps_with(targets),
        (limit,),
        seed=seed,
        document=document,
        allow_skips=check.allow_skips,
        invariants=asked,
    )
    softened = kind in (LabelKind.TARGET, LabelKind.DISTRIBUTION) and targets is None
    hard = replace(whole, sweeps=sweeps_with("ends")) if softened and given is None else None
    return Checking(whole, made, tuple(filter(None, notes)), hard, peers)


def _drawn(kind: LabelKind, targets: str | None) -> str:
    """Which labels are drawn, "" where there is no choice."""
    if kind not in (LabelKind.TARGET, LabelKind.DISTRIBUTION):
        return ""
    of_numbers = kind is LabelKind.TARGET
    ends = "0 and 1" if of_numbers else "one-hot ones"
    soft = "numbers between 0 and 1" if of_numbers else "soft ones, without a 0 or a 1"
    if targets == "ends":
        return f"labels drawn: {ends} alone"
    if targets == "soft":
        return f"labels drawn: {soft}, alone"
    both = "0 and 1, and numbers in between" if of_numbers else "one-hot and soft ones"
    return f"labels drawn: {both}; --targets ends draws {ends} alone"


def bounds_of(tolerance: Tolerance) -> dict[str, float | None]:
    """The bounds of a tolerance by name; None for a bound that does not apply."""
    numbers = {name: float(getattr(tolerance, name)) for name in BOUND_NAMES}
    return {name: each if math.isfinite(each) else None for name, each in numbers.items()}
