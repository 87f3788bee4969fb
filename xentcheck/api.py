"""The Python interface, which the commands and the pytest plugin use as well.

Its names are attributes of `xentcheck` itself, which imports this module when one is first used.
"""

import contextlib
import functools
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from xentcheck import auditing, baselines, config
from xentcheck.auditing import Progress
from xentcheck.errors import (
    ConfigError,
    EmptySweepError,
    TargetError,
    UncertifiedError,
    UnknownNameError,
    UsageError,
)
from xentcheck.execution import hosts, open_target
from xentcheck.floats import FORMATS
from xentcheck.implementations import user
from xentcheck.losses import loss_of
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    NOTES,
    UNREACHABLE,
    Config,
    Implementation,
    Kind,
    LabelKind,
    Limit,
    Parameter,
    Quantity,
    Report,
    Target,
    Tolerance,
)
from xentcheck.probing import ProbeResult, probe
from xentcheck.ratchet import Baseline
from xentcheck.registry import AUTO, escaped, gradient_names, implementation, load_target
from xentcheck.report import detail, formats
from xentcheck.report.reading import read as read_report
from xentcheck.sweeps import standard_sweeps
from xentcheck.sweeps.parameters import MATRIX_WORDS, VECTOR_WORDS

__all__ = [
    "DEFAULT_LIMITS",
    "Check",
    "Checking",
    "ProbeResult",
    "Report",
    "assert_accurate",
    "audit",
    "audit_config",
    "check_results",
    "checking",
    "implementation",
    "opened",
    "probe",
    "read_report",
]

Function: TypeAlias = Callable[..., Any]
Configuration: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Config

DTYPES = ("float32", "float64")
"""What a loss of the user's is checked in, unless something else is asked for."""

CHECK_TOLERANCE = Tolerance(max_ulp=4.0, or_excess_bits=2.0)
"""What `check` holds a result to: few ulps, or an error that the inputs' own rounding explains."""

DEFAULT_LIMITS = (Limit(CHECK_TOLERANCE, path="max_ulp"),)
"""The limits of `check`, and of a configuration without limits where something can fail by it."""

_BOUNDS = ("max_ulp", "p99_ulp", "or_abs", "or_rel", "max_excess_bits", "or_excess_bits")
_WIDTH = 100  # columns of a table as text
_MOST_TOLD = 5  # violations that an AssertionError has in full


@dataclass(frozen=True, slots=True)
class Check:
    """What a loss of the user's is checked for; the fields are the keywords of `audit`."""

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
    allow: Sequence[str] = ()
    forbid: Sequence[str] = ()

    @property
    def tolerance(self) -> Tolerance:
        """The limits in numbers: those of `CHECK_TOLERANCE` where none bounds the ulps."""
        ulps = (self.max_ulp, self.p99_ulp, self.max_excess_bits)
        least = CHECK_TOLERANCE
        if any(each is not None for each in ulps):
            least = Tolerance(max_ulp=math.inf)
        return Tolerance(
            max_ulp=least.max_ulp if self.max_ulp is None else self.max_ulp,
            or_abs=self.or_abs,
            or_rel=self.or_rel,
            max_excess_bits=math.inf if self.max_excess_bits is None else self.max_excess_bits,
            p99_ulp=math.inf if self.p99_ulp is None else self.p99_ulp,
            or_excess_bits=(
                least.or_excess_bits if self.or_excess_bits is None else self.or_excess_bits
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Checking:
    """A loss of the user's and the standard sweep of it, ready to be audited.

    ``notes`` are for the user: which gradient was found, or why there is none.
    """

    config: Config
    implementation: Implementation
    notes: tuple[str, ...] = ()


def _rows(report: Report) -> list[dict[str, Any]]:
    from xentcheck.report import csv  # noqa: PLC0415

    return csv.rows(report)


def _report_json(report: Report) -> str:
    """The report as JSON, as ``--format json`` writes it."""
    return formats.rendered(report, "json", _WIDTH)


def _report_markdown(report: Report) -> str:
    """The report as Markdown, as ``--format markdown`` writes it."""
    return formats.rendered(report, "markdown", _WIDTH)


def _report_text(report: Report) -> str:
    return formats.rendered(report, "table", _WIDTH)


def _save(report: Report, path: str | os.PathLike[str], form: str | None = None) -> None:
    """Write the report to a file, in the format of its suffix or in ``form``.

    Args:
        report: what to write.
        path: the file; ``.json``, ``.txt``, ``.csv``, ``.xml``, ``.sarif`` and ``.md`` say what.
        form: one of the formats of ``xentcheck run``, whatever the suffix.

    Raises:
        UsageError: a suffix or a format that there is not.
        OSError: the file cannot be written.
    """
    suffix = Path(path).suffix
    if form is None and suffix not in formats.SUFFIXES:
        known = ", ".join(formats.SUFFIXES)
        raise UsageError(f"{os.fspath(path)!r} has no suffix of a format: {known}; or give form=")
    name = formats.SUFFIXES[suffix] if form is None else form
    if name not in formats.NAMES:
        raise UnknownNameError("format", name, formats.NAMES)
    Path(path).write_text(formats.rendered(report, name, _WIDTH), encoding="utf-8")


def _report_html(report: Report) -> str:
    from xentcheck.report import html  # noqa: PLC0415

    return html.of_report(report)


def _probe_html(result: ProbeResult) -> str:
    from xentcheck.report import html  # noqa: PLC0415

    return html.of_probe(result)


def _probe_text(result: ProbeResult) -> str:
    from xentcheck.report.probe import render_probe  # noqa: PLC0415
    from xentcheck.report.table import to_text  # noqa: PLC0415

    notes = "".join(f"note: {each}\n" for each in result.notes)
    return notes + to_text(render_probe(result, _WIDTH), _WIDTH, color=False)


def _probe_json(result: ProbeResult) -> str:
    """The report of the probe as JSON."""
    return _report_json(result.report)


def _probe_markdown(result: ProbeResult) -> str:
    """The report of the probe as Markdown."""
    return _report_markdown(result.report)


def _probe_save(result: ProbeResult, path: str | os.PathLike[str], form: str | None = None) -> None:
    """Write the report of the probe to a file; as `Report.save`, but text is what `str` gives."""
    if form == "table" or (form is None and Path(path).suffix == ".txt"):
        Path(path).write_text(_probe_text(result), encoding="utf-8")
        return
    _save(result.report, path, form)


# Declared by the nouns, which do not know how they look: their layer is far below `report`.
Report.rows = _rows
Report.to_json = _report_json
Report.to_markdown = _report_markdown
Report.save = _save
Report.__str__ = _report_text  # type: ignore[method-assign, assignment]
Report._repr_html_ = _report_html
ProbeResult.to_json = _probe_json
ProbeResult.to_markdown = _probe_markdown
ProbeResult.save = _probe_save
ProbeResult.__str__ = _probe_text  # type: ignore[method-assign, assignment]
ProbeResult._repr_html_ = _probe_html


def audit(
    subject: Configuration | Function,
    loss: str | None = None,
    *,
    label_kind: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    dtypes: str | Iterable[str] = (),
    quantities: str | Iterable[str] = (),
    framework: str = "numpy",
    gradient: Function | str | None = AUTO,
    max_ulp: float | None = None,
    p99_ulp: float | None = None,
    or_abs: float = 0.0,
    or_rel: float = 0.0,
    max_excess_bits: float | None = None,
    or_excess_bits: float | None = None,
    allow: str | Iterable[str] = (),
    forbid: str | Iterable[str] = (),
    seed: int | None = None,
    select: str | Iterable[str] = (),
    baseline: str | os.PathLike[str] | None = None,
    workers: int | None = 1,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Audit what a configuration describes, as `xentcheck run`; or one loss, as `xentcheck check`.

    Args:
        subject: without ``loss`` a configuration: its path, or a mapping like its YAML. With
            ``loss`` a function ``fn(logits, labels, **parameters)``, which is called in this
            process; or text, which is loaded in a process of its own: ``module:function``,
            ``file.py:function``, or a command with ``{logits}``, ``{labels}`` and ``{out}``.
        loss: what the function computes; `xentcheck list losses` has the names.
        label_kind: ``integer`` or ``distribution``; the loss's own first kind unless given.
        parameters: of the loss, by name.
        dtypes: float32 and float64 unless given.
        quantities: ``value``, ``gradient``; both unless given, as far as there are both.
        framework: whose arrays the function is given: ``numpy``, ``torch``, ``jax``,
            ``tensorflow``.
        gradient: a function of the same arguments that returns the shape of ``logits``, or text
            that names one; ``auto``: by the framework, or a function that stands beside and is
            named after it; None: only the value.
        max_ulp: the largest error allowed, in ulps. Without it, ``p99_ulp`` and
            ``max_excess_bits`` an error has to be within 4 ulp, or have at most 2 excess bits.
        p99_ulp: the 99th percentile allowed, in ulps.
        or_abs: an absolute error that is fine as well.
        or_rel: a relative error that is fine as well.
        max_excess_bits: the most bits that may be lost beyond what the condition number explains.
        or_excess_bits: an error with at most this many excess bits is fine as well.
        allow: kinds of finding that are no violation.
        forbid: notes that are one: ``fp-signal``, ``ftz``, ``convention``.
        seed: of the random inputs; that of the configuration, or 0, unless given.
        select: of a configuration only the implementations that one of these patterns matches.
        baseline: a file that says what is tolerated, instead of the configuration's own.
        workers: how many processes share the work; None: all cores. The report is the same.
        timeout_s: how long one call in another process may take.
        progress: called whenever a part of the work is done.

    Returns:
        The report. Without limits a configuration is a survey, whose report has no violations.

    Raises:
        XentcheckError: what was asked for cannot be meant; see `xentcheck.errors`.
    """
    check = Check(
        label_kind=label_kind,
        parameters=parameters or {},
        dtypes=_several(dtypes),
        quantities=_several(quantities),
        framework=framework,
        gradient=gradient,
        max_ulp=max_ulp,
        p99_ulp=p99_ulp,
        or_abs=or_abs,
        or_rel=or_rel,
        max_excess_bits=max_excess_bits,
        or_excess_bits=or_excess_bits,
        allow=_several(allow),
        forbid=_several(forbid),
    )
    seed = None if seed is None else _seed(seed)
    if loss is None:
        return audit_config(
            _config(subject, check),
            select=_several(select),
            baseline=None if baseline is None else baselines.load(os.fspath(baseline)),
            seed=seed,
            workers=workers,
            timeout_s=timeout_s,
            progress=progress,
        )
    if not callable(subject) and not isinstance(subject, str):
        message = f"{subject!r} is neither a function nor the text of a target"
        raise UsageError(message)
    if select or baseline is not None:
        raise UsageError("select and baseline go with a configuration, not with loss=")
    made = checking(subject, loss, check, seed=seed or 0, timeout_s=timeout_s)
    with user.bridge_for(framework).visiting() if callable(subject) else contextlib.nullcontext():
        report = audit_config(
            made.config,
            extra=(made.implementation,),
            workers=workers,
            timeout_s=timeout_s,
            progress=progress,
        )
    if callable(subject) and framework != "numpy":
        versions = auditing.environment((user.bridge_for(framework).process,))
        return replace(report, environment=versions)
    return report


def assert_accurate(
    fn: Function | str,
    loss: str,
    *,
    label_kind: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    dtypes: str | Iterable[str] = (),
    quantities: str | Iterable[str] = (),
    framework: str = "numpy",
    gradient: Function | str | None = AUTO,
    max_ulp: float | None = None,
    p99_ulp: float | None = None,
    or_abs: float = 0.0,
    or_rel: float = 0.0,
    max_excess_bits: float | None = None,
    or_excess_bits: float | None = None,
    allow: str | Iterable[str] = (),
    forbid: str | Iterable[str] = (),
    seed: int = 0,
    workers: int | None = 1,
    timeout_s: float | None = None,
) -> Report:
    """Assert that a loss is within limits on everything a fault can hide in.

    The arguments are those of `audit`. It returns the report.

    Raises:
        AssertionError: it is not; the text has the gravest violations with the inputs that show
            them.
        EmptySweepError: nothing was audited, or not every dtype or quantity that was asked for.
        UncertifiedError: an exact result could not be certified.
        XentcheckError: what was asked for cannot be meant.
    """
    __tracebackhide__ = True
    dtypes, quantities = _several(dtypes), _several(quantities)
    report = audit(
        fn,
        loss,
        label_kind=label_kind,
        parameters=parameters,
        dtypes=dtypes,
        quantities=quantities,
        framework=framework,
        gradient=gradient,
        max_ulp=max_ulp,
        p99_ulp=p99_ulp,
        or_abs=or_abs,
        or_rel=or_rel,
        max_excess_bits=max_excess_bits,
        or_excess_bits=or_excess_bits,
        allow=allow,
        forbid=forbid,
        seed=seed,
        workers=workers,
        timeout_s=timeout_s,
    )
    check_results(report, dtypes or DTYPES, quantities)
    if report.violations:
        raise AssertionError(detail.violations(report, _MOST_TOLD))
    return report


def audit_config(
    config: Config,
    *,
    select: Sequence[str] = (),
    extra: Sequence[Implementation] = (),
    baseline: Baseline | None = None,
    seed: int | None = None,
    workers: int | None = 1,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """What a configuration describes, held against its limits and a baseline.

    The arguments are those of `auditing.audit`; ``baseline`` and ``seed`` are instead of the
    configuration's own. With a baseline, a configuration without limits has the default ones.
    """
    if baseline is None and config.baseline:
        baseline = baselines.load(config.baseline)
    if baseline is not None and not config.limits:
        config = replace(config, limits=DEFAULT_LIMITS)
    return auditing.audit(
        config if seed is None else replace(config, seed=seed),
        select=select,
        extra=extra,
        baseline=baseline,
        workers=workers,
        timeout_s=timeout_s,
        progress=progress,
    )


def check_results(
    report: Report, dtypes: Iterable[str] = (), quantities: Iterable[str] = ()
) -> None:
    """Refuse a report that cannot stand for a pass, whether or not it has violations.

    Args:
        report: of an audit.
        dtypes: there has to be a measurement in each of them.
        quantities: there has to be a measurement of each of them.

    Raises:
        KeyboardInterrupt: the audit was interrupted.
        UncertifiedError: an exact result could not be certified.
        EmptySweepError: nothing was audited, or not all of what there has to be.
    """
    if report.interrupted:
        raise KeyboardInterrupt
    if report.uncertified:
        raise UncertifiedError("\n".join(report.uncertified))
    cells = [each.cell for each in report.measurements]
    cells += [each.cell for each in report.findings]
    missing = [each for each in dtypes if each not in {cell.dtype for cell in cells}]
    missing += [each for each in quantities if each not in {cell.quantity for cell in cells}]
    if cells and not missing:
        return
    what = f"{', '.join(missing)} was not audited" if cells else "nothing was audited"
    about = [skip for skip in report.skips if {skip.dtype, skip.quantity} & {*missing}]
    reasons = dict.fromkeys(skip.reason for skip in (cells and about) or report.skips)
    raise EmptySweepError(f"{what}: {'; '.join(reasons) or 'the configuration has no cases'}")


def checking(
    target: Function | str,
    loss: str,
    check: Check,
    *,
    seed: int = 0,
    timeout_s: float | None = None,
) -> Checking:
    """A function, or what text names, with the standard sweep of its loss and the limits of it.

    Text is loaded here, in its own process. Raises XentcheckError for what cannot be meant.
    """
    spec = loss_of(loss)
    loss = spec.id
    bounds: dict[str, Any] = {
        name: _bound(name, getattr(check, name))
        for name in _BOUNDS
        if getattr(check, name) is not None or name in ("or_abs", "or_rel")
    }
    check = replace(check, **bounds)
    dtypes = _known("dtype", check.dtypes, tuple(FORMATS)) or DTYPES
    quantities = _known("quantity", check.quantities, tuple(Quantity)) or tuple(Quantity)
    allow = _known("kind", check.allow, tuple(Kind))
    forbid = _known("note", check.forbid, tuple(sorted(NOTES)))
    for name in forbid:
        if name in allow:
            raise UsageError(f"{name} is allowed and forbidden at once")
    kind = spec.label_kinds[0]
    if check.label_kind is not None:
        (named,) = _known("kind of labels", (check.label_kind,), tuple(LabelKind))
        kind = LabelKind(named)
    if kind not in spec.label_kinds:
        raise UsageError(f"{loss} takes {' or '.join(spec.label_kinds)} labels, not {kind} ones")
    values = {
        name: _checked_parameter(spec, kind, name, value)
        for name, value in check.parameters.items()
    }
    _known("framework", (check.framework,), tuple(user.FRAMEWORKS))
    notes: tuple[str, ...] = ()
    if isinstance(target, str):
        made, notes = opened(loss, target, check.gradient, check.framework, timeout_s)
    else:
        if timeout_s is not None:
            raise UsageError("timeout_s goes with code in a process of its own: name it by text")
        made = _given(loss, target, check.gradient, check.framework)
    axes = {name: (value,) for name, value in values.items()}
    sweeps = tuple(
        replace(
            sweep,
            implementations=(escaped(made.name),),
            quantities=tuple(map(Quantity, quantities)),
        )
        for sweep in standard_sweeps(spec, dtypes, kind, axes)
    )
    document = {
        "command": "check",
        "target": made.name,
        "framework": check.framework,
        "gradient": _gradient_text(check.gradient),
        "loss": loss,
        "label_kind": kind,
        "parameters": values,
        "dtypes": dtypes,
        "quantities": quantities,
        **bounds_of(check.tolerance),
        "allow": allow,
        "forbid": forbid,
    }
    kinds = (frozenset(map(Kind, allow)), frozenset(map(Kind, forbid)))
    limits = (Limit(check.tolerance, *kinds, path="max_ulp"),)
    return Checking(Config(sweeps, limits, seed=seed, document=document), made, notes)


def bounds_of(tolerance: Tolerance) -> dict[str, float | None]:
    """The bounds of a tolerance by name, None for one that bounds nothing."""
    numbers = {name: float(getattr(tolerance, name)) for name in _BOUNDS}
    return {name: each if math.isfinite(each) else None for name, each in numbers.items()}


def opened(
    loss: str,
    target: str,
    gradient: Function | str | None = AUTO,
    framework: str = "numpy",
    timeout_s: float | None = None,
    bound: Mapping[str, Any] | None = None,
) -> tuple[Implementation, tuple[str, ...]]:
    """What text names, loaded in its own process, and notes about its gradient for the user.

    Args:
        loss: what it computes.
        target: ``module:function``, ``file.py:function``, or a command.
        gradient: the same, ``auto``, or None (or ``none``) for no gradient.
        framework: whose arrays it is given.
        timeout_s: how long one call may take.
        bound: keyword arguments of every call.

    Raises:
        TargetError: the text leads nowhere.
        UsageError: the gradient is a function of this process.
    """
    loss = loss_of(loss).id
    if callable(gradient):
        raise UsageError(f"{target} is loaded in another process: name its gradient by text too")
    bound = bound or {}
    if "{out}" in target:  # a program
        program = tuple(shlex.split(target))
        back = () if gradient in (AUTO, "none", None) else tuple(shlex.split(gradient))
        wanted = Target(
            loss,
            "",
            target,
            parameters=bound,
            command=program,
            gradient_command=back,
            timeout_s=timeout_s,
        )
        note = (
            f"only the value of {program[0]} is checked; --gradient names the command of a gradient"
        )
        return open_target(wanted)[0], () if back else (note,)
    named = None if gradient == "none" else gradient
    wanted = Target(loss, target, target, named, bound, framework, timeout_s=timeout_s)
    made, beside = open_target(wanted)
    if beside:
        note = f"{beside} is taken for its gradient; --gradient names another, or none"
        return made, (note,)
    if made.gradient is None and gradient == AUTO:
        *others, last = gradient_names(wanted)
        note = (
            f"only the value is checked: there is no {', '.join(others)} or {last} beside "
            f"{target.rpartition(':')[2]}; name it with --gradient"
        )
        return made, (note,)
    return made, ()


def _several(given: str | Iterable[str]) -> tuple[str, ...]:
    """Names: a lone one is a list of one. Raises UsageError for what is neither."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, type) or not isinstance(given, Iterable):
        raise UsageError(f"{given!r}: expected a name, or a list of names")
    return tuple(given)


def _bound(name: str, value: Any) -> float:
    """A limit as a plain float. Raises UsageError for what is none."""
    plain = isinstance(value, int | float | np.integer | np.floating)
    if not plain or isinstance(value, bool):
        raise UsageError(f"{name}={value!r}: expected a number")
    try:
        number = float(value)
    except OverflowError:
        raise UsageError(f"{name}: beyond float64; inf is no limit") from None
    if not number >= 0:
        raise UsageError(f"{name} {number:g}: has to be 0 or more")
    return number


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed={seed!r}: expected a whole number, 0 or more")
    return int(seed)


def _known(what: str, names: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, as plain strings. Raises UnknownNameError for one that there is not."""
    for name in names:
        if name not in known:
            raise UnknownNameError(what, str(name), list(map(str, known)))
    return tuple(str(name) for name in dict.fromkeys(names))


def _config(subject: Any, check: Check) -> Config:
    """A configuration, whatever it is given as."""
    meant = [name for name in Check.__slots__ if getattr(check, name) != getattr(Check(), name)]
    if meant and not callable(subject):
        message = f"{', '.join(meant)}: goes with loss=; a configuration says so itself"
        raise UsageError(message)
    if isinstance(subject, Config):
        return subject
    if isinstance(subject, Mapping):
        try:
            return config.loads(yaml.safe_dump(_written(subject), sort_keys=False))
        except ConfigError as error:  # nobody has seen the lines of this text
            raise ConfigError([replace(each, line=0) for each in error.problems]) from None
    if callable(subject):
        raise UsageError(f"{_name_of(subject)}: loss= has to say what it computes")
    if not isinstance(subject, str | os.PathLike):
        raise UsageError(f"{subject!r}: expected a configuration: its path, or a mapping")
    path = os.fspath(subject)
    if isinstance(path, str) and not Path(path).exists() and (":" in path or "{out}" in path):
        raise UsageError(f"{path}: loss= has to say what it computes, if that is a target")
    return config.load(path)


def _written(value: Any) -> Any:
    """What YAML writes as a configuration would have it."""
    match value:
        case Mapping():
            return {str(key): _written(each) for key, each in value.items()}
        case str():
            return str(value)  # also a StrEnum
        case os.PathLike():
            return os.fspath(value)
        case np.generic() | np.ndarray():
            return value.tolist()
        case None | bool() | int() | float():
            return value
        case Iterable():
            return [_written(each) for each in value]
    message = f"a configuration has no place for {value!r}"
    raise UsageError(message)


def _checked_parameter(spec: Loss, kind: LabelKind, name: str, value: Any) -> Any:
    """A value that a parameter takes. Raises UsageError or UnknownNameError for another."""
    parameter = spec.parameter(name)
    if parameter is None:
        raise UnknownNameError(
            f"parameter of {spec.id}", name, [each.name for each in spec.parameters]
        )
    if parameter.label_kinds and kind not in parameter.label_kinds:
        kinds = " or ".join(parameter.label_kinds)
        raise UsageError(f"{name} goes with {kinds} labels, not with {kind} ones")
    match parameter.kind:
        case "flag":
            if not isinstance(value, bool | np.bool_):
                raise UsageError(f"{name}={value!r}: expected True or False")
            return bool(value)
        case "choice":
            return _known(f"value of {name}", (value,), parameter.choices)[0]
        case "class-vector" | "row-matrix" if isinstance(value, str):
            words = VECTOR_WORDS if parameter.kind == "class-vector" else MATRIX_WORDS
            return _known(f"value of {name}", (value,), words)[0]
        case "class-vector" | "row-matrix":
            numbers = np.asarray(value)
            if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
                raise UsageError(f"{name}={value!r}: expected a number per class")
            return tuple(_number(parameter, each) for each in numbers.tolist())
    return _number(parameter, value)


def _number(parameter: Parameter, value: Any) -> float | int:
    whole = parameter.kind == "integer"
    plain = isinstance(value, int | float | np.integer | np.floating) and not isinstance(
        value, bool
    )
    if not plain or (whole and not float(value).is_integer()):
        what = "a whole number" if whole else "a number"
        raise UsageError(f"{parameter.name}={value!r}: expected {what}")
    problem = parameter.out_of_range(value)
    if problem:
        raise UsageError(f"{parameter.name}={value:g}: {problem}")
    return int(value) if whole else float(value)


def _given(
    loss: str, function: Function, gradient: Function | str | None, framework: str
) -> Implementation:
    """A function of this process as an implementation."""
    name = _name_of(function)
    obstacle = hosts.missing(user.bridge_for(framework).process)
    if obstacle:
        raise TargetError(f"{name}: {obstacle}")
    found: Function | str | None = gradient
    if isinstance(gradient, str) and gradient != "none":
        found = _gradient_beside(loss, function, gradient)
    return user.given(
        loss, name, function, found, framework, _origin(function, gradient, framework)
    )


def _name_of(function: Function) -> str:
    """``module:function``, as far as a callable has a name."""
    bare = function.func if isinstance(function, functools.partial) else function
    named = bare if hasattr(bare, "__qualname__") else type(bare)
    return f"{named.__module__}:{named.__qualname__}"


def _gradient_beside(loss: str, function: Function, gradient: str) -> Function | str:
    """The function that text names: beside another one, or anywhere; for ``auto``, if there is."""
    if ":" in gradient:
        found = load_target(Target(loss, gradient, gradient)).value
        assert found is not None
        return found
    place, _, attribute = _name_of(function).partition(":")
    owner = attribute.rpartition(".")[0]
    module = sys.modules.get(place)
    known = _attribute(module, attribute) is function
    beside = (
        gradient_names(Target(loss, _name_of(function), "")) if gradient == AUTO else (gradient,)
    )
    for name in beside:
        candidate: object = _attribute(module, f"{owner}.{name}".lstrip("."))
        if known and callable(candidate):
            return candidate
    if gradient == AUTO:
        return AUTO
    raise TargetError(f"{_name_of(function)}: there is no {gradient!r} beside it")


def _attribute(holder: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        holder = getattr(holder, name, None)
    return holder


def _origin(function: Function, gradient: Function | str | None, framework: str) -> tuple[str, ...]:
    """The words that name a function of this process to `xentcheck probe`, where there are any."""
    target = _target_of(function)
    back = _target_of(gradient) if callable(gradient) else gradient or "none"
    if not target or not back:
        return UNREACHABLE
    words = ["--implementation", target]
    if framework != "numpy":
        words += ["--framework", framework]
    if back != AUTO:
        words += ["--gradient", back]
    return tuple(words)


def _target_of(function: Function) -> str:
    """How another process finds a function: by its module, or its file; "" where it cannot."""
    place, _, attribute = _name_of(function).partition(":")
    module = sys.modules.get(place)
    if module is None or _attribute(module, attribute) is not function:
        return ""
    if module.__package__ and place != "__main__":  # it may import what is beside it
        return f"{place}:{attribute}"
    file = Path(getattr(module, "__file__", None) or "")
    if not file.is_file() or file.suffix != ".py":
        return ""
    with contextlib.suppress(ValueError):
        file = file.resolve().relative_to(Path.cwd())
    return f"{file}:{attribute}"


def _gradient_text(gradient: Function | str | None) -> str:
    return _name_of(gradient) if callable(gradient) else gradient or "none"
