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

from xentcheck import auditing, config
from xentcheck.errors import (
    ConfigError,
    EmptySweepError,
    TargetError,
    UncertifiedError,
    UnknownNameError,
    UsageError,
)
from xentcheck.execution import cores, hosts, open_target, unasked
from xentcheck.floats import FORMATS, to_float64
from xentcheck.gate import baseline_file
from xentcheck.gate.baseline import Baseline
from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.implementations import user
from xentcheck.implementations.bridging import LABEL_DTYPE, LABEL_DTYPES
from xentcheck.implementations.shapes import CLASS_SECOND, ROWS, SHAPES
from xentcheck.losses import loss_of
from xentcheck.losses.parameters import obstacle
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    AUTO,
    NOTES,
    UNREACHABLE,
    Config,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Limit,
    Parameter,
    ProbeResult,
    Progress,
    Quantity,
    Report,
    Sweep,
    Target,
    Tolerance,
    Witness,
    escaped,
)
from xentcheck.probing import probe
from xentcheck.recognition import guarded, reduced
from xentcheck.registry import gradient_names, implementation, load_target
from xentcheck.report import formats, words
from xentcheck.report.document import read as read_report
from xentcheck.sweeps import chosen_labels, standard_sweeps
from xentcheck.sweeps import own as own_inputs
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
    "explained",
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
    built_in: Mapping[str, Any] = field(default_factory=dict)
    bind: Mapping[str, Any] = field(default_factory=dict)
    shape: str = ROWS
    label_dtype: str = LABEL_DTYPE
    batch_invariant: bool = False
    targets: str | None = None
    inputs: Any = None
    input_names: Mapping[str, str] = field(default_factory=dict)
    allow_skips: bool = False

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

    ``notes`` are for the user: which gradient was found, or why there is none, and which labels
    were drawn. ``hard`` is the same with hard labels alone, where there were soft ones as well.
    """

    config: Config
    implementation: Implementation
    notes: tuple[str, ...] = ()
    hard: Config | None = None


def _rows(report: Report) -> list[dict[str, Any]]:
    from xentcheck.report.formats import csv  # noqa: PLC0415

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
    from xentcheck.report import notebook  # noqa: PLC0415

    return notebook.of_report(report)


def _probe_html(result: ProbeResult) -> str:
    from xentcheck.report import notebook  # noqa: PLC0415

    return notebook.of_probe(result)


def _probe_text(result: ProbeResult) -> str:
    from xentcheck.report.grid import to_text  # noqa: PLC0415
    from xentcheck.report.probe import render_probe  # noqa: PLC0415

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
    built_in: Mapping[str, Any] | None = None,
    bind: Mapping[str, Any] | None = None,
    shape: str = ROWS,
    label_dtype: str = LABEL_DTYPE,
    batch_invariant: bool = False,
    allow_skips: bool = False,
    seed: int | None = None,
    select: str | Iterable[str] = (),
    baseline: str | os.PathLike[str] | None = None,
    slack: float | None = None,
    workers: int | None = 1,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    targets: str | None = None,
    inputs: Any = None,
    input_names: Mapping[str, str] | None = None,
    sanity_check: bool = True,
) -> Report:
    """Audit what a configuration describes, as `xentcheck run`; or one loss, as `xentcheck check`.

    Args:
        subject: without ``loss`` a configuration: its path, or a mapping like its YAML. With
            ``loss`` a function ``fn(logits, labels, **parameters)``, which is called in this
            process; or text, which is loaded in a process of its own: ``module:function``,
            ``file.py:function``, or a command with ``{logits}``, ``{labels}`` and ``{out}``.
        loss: what the function computes; `xentcheck list losses` has the names.
        label_kind: ``integer`` or ``distribution``; the loss's own first kind unless given. For an
            elementwise loss ``integer`` gives the labels 0 and 1 as int64.
        parameters: of the loss, by name: computed, and passed to a function that has such an
            argument. What is not given is the function's own default.
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
        forbid: notes that are one: ``fp-signal``, ``batch-variant``, ``ftz``, ``convention``.
        built_in: parameters of the loss that the function computes with and does not take.
        bind: keyword arguments of every call, or of a class's constructor. One that is a parameter
            of the loss is built in.
        shape: of the function's arguments: ``rows``; ``sequence``, (batch, sequence, classes);
            ``class-second``, (batch, classes, sequence).
        label_dtype: of integer labels: ``int64``, ``int32`` or a shorter one.
        batch_invariant: a row may not change with its batch, not by one ulp: ``batch-variant`` is
            forbidden, and batches of many sizes are called.
        allow_skips: let it pass that something that is named was not audited; what that is stands
            in the report's ``omissions`` otherwise.
        seed: of the random inputs; that of the configuration, or 0, unless given.
        select: of a configuration only the implementations that one of these patterns matches.
        baseline: a file that says what is tolerated, instead of the configuration's own.
        slack: the relative change of what it tolerates that counts as none; unless given
            `ratchet.DEFAULT_SLACK` where the processor is the one that it was recorded on, and
            `ratchet.OTHER_PROCESSOR` elsewhere.
        workers: how many processes share the work; None: all cores. The report is the same.
        timeout_s: how long one call in another process may take.
        progress: called whenever a part of the work is done.
        targets: ``ends``: labels 0 and 1, or one-hot ones; ``soft``: none of these; all unless
            given.
        inputs: own rows instead of the standard sweep: ``(logits, labels)``, or the logits alone,
            or both by name in a mapping; or the path of a .npy, .npz, .safetensors or .pt file, or
            two paths. Without ``dtypes`` they are audited in the dtype that the logits have.
        input_names: what the arrays of a file are called: ``{"logits": "x", "labels": "y"}``.
        sanity_check: first ask a user's own function about a dozen mild rows. One that computes
            something else is not audited any further: one finding says what it looks like.

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
        built_in=built_in or {},
        bind=bind or {},
        shape=shape,
        label_dtype=label_dtype,
        batch_invariant=batch_invariant,
        targets=targets,
        inputs=inputs,
        input_names=input_names or {},
        allow_skips=_flag("allow_skips", allow_skips),
    )
    seed = None if seed is None else _seed(seed)
    if loss is None:
        return audit_config(
            _config(subject, check),
            select=_several(select),
            baseline=None if baseline is None else baseline_file.load(os.fspath(baseline)),
            slack=None if slack is None else _bound("slack", slack),
            seed=seed,
            workers=workers,
            timeout_s=timeout_s,
            progress=progress,
            sanity_check=sanity_check,
        )
    if not callable(subject) and not isinstance(subject, str):
        message = f"{subject!r} is neither a function nor the text of a target"
        raise UsageError(message)
    if select or baseline is not None or slack is not None:
        raise UsageError("select, baseline and slack go with a configuration, not with loss=")
    made = checking(subject, loss, check, seed=seed or 0, timeout_s=timeout_s, workers=workers)
    with user.bridge_for(framework).visiting() if callable(subject) else contextlib.nullcontext():
        report = audit_config(
            made.config,
            extra=(made.implementation,),
            workers=workers,
            timeout_s=timeout_s,
            progress=progress,
            sanity_check=sanity_check,
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
    built_in: Mapping[str, Any] | None = None,
    bind: Mapping[str, Any] | None = None,
    shape: str = ROWS,
    label_dtype: str = LABEL_DTYPE,
    batch_invariant: bool = False,
    allow_skips: bool = False,
    seed: int = 0,
    workers: int | None = 1,
    timeout_s: float | None = None,
    targets: str | None = None,
    inputs: Any = None,
    input_names: Mapping[str, str] | None = None,
    sanity_check: bool = True,
) -> Report:
    """Assert that a loss is within limits on everything a fault can hide in.

    The arguments are those of `audit`. It returns the report.

    Raises:
        AssertionError: it is not; the text has the gravest violations with the inputs that show
            them.
        EmptySweepError: nothing was audited, or not every dtype or quantity that was asked for,
            unless ``allow_skips``.
        UncertifiedError: an exact result could not be certified.
        XentcheckError: what was asked for cannot be meant.
    """
    __tracebackhide__ = True
    dtypes, quantities = _several(dtypes), _several(quantities)
    how: dict[str, Any] = {
        "label_kind": label_kind,
        "parameters": parameters,
        "dtypes": dtypes,
        "quantities": quantities,
        "framework": framework,
        "gradient": gradient,
        "max_ulp": max_ulp,
        "p99_ulp": p99_ulp,
        "or_abs": or_abs,
        "or_rel": or_rel,
        "max_excess_bits": max_excess_bits,
        "or_excess_bits": or_excess_bits,
        "allow": allow,
        "forbid": forbid,
        "built_in": built_in,
        "bind": bind,
        "shape": shape,
        "label_dtype": label_dtype,
        "batch_invariant": batch_invariant,
        "allow_skips": allow_skips,
        "seed": seed,
        "workers": workers,
        "timeout_s": timeout_s,
        "sanity_check": sanity_check,
    }
    report = audit(fn, loss, **how, targets=targets, inputs=inputs, input_names=input_names)
    if allow_skips:
        check_results(report)
    else:
        check_results(report, dtypes or (() if inputs is not None else DTYPES), quantities)
    if outcome(report) is not Outcome.FAILED:
        return report
    text = words.violations_text(report, _MOST_TOLD)
    if targets is None and inputs is None and _only_soft(report):
        hard = audit(fn, loss, **how, targets="ends")
        if outcome(hard) is Outcome.PASSED:
            text += "\n\n" + HARD_ALONE.format(option='targets="ends"')
    raise AssertionError(text)


def audit_config(
    config: Config,
    *,
    select: Sequence[str] = (),
    extra: Sequence[Implementation] = (),
    baseline: Baseline | None = None,
    slack: float | None = None,
    seed: int | None = None,
    workers: int | None = 1,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    sanity_check: bool = True,
) -> Report:
    """What a configuration describes, held against its limits and a baseline.

    The arguments are those of `auditing.audit`; ``baseline`` and ``seed`` are instead of the
    configuration's own. With a baseline, a configuration without limits has the default ones.
    """
    if baseline is None and config.baseline:
        baseline = baseline_file.load(config.baseline)
    if baseline is not None and not config.limits:
        config = replace(config, limits=DEFAULT_LIMITS)
    return auditing.audit(
        config if seed is None else replace(config, seed=seed),
        select=select,
        extra=extra,
        baseline=baseline,
        slack=slack,
        workers=workers,
        timeout_s=timeout_s,
        progress=progress,
        sanity_check=sanity_check,
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
    if any(each.finding.kind is Kind.OTHER_FUNCTION for each in report.violations):
        return  # no pass, and nothing else was audited on purpose
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
    workers: int | None = 1,
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
    given = None if check.inputs is None else own_inputs.described(check.inputs, check.input_names)
    if given is None and check.input_names:
        raise UsageError("input_names goes with inputs")
    dtypes = _known("dtype", check.dtypes, tuple(FORMATS))
    dtypes = dtypes or (DTYPES if given is None else (own_inputs.dtype_of(given),))
    quantities = _known("quantity", check.quantities, tuple(Quantity)) or tuple(Quantity)
    allow = _known("kind", check.allow, tuple(Kind))
    strict = _flag("batch_invariant", check.batch_invariant)
    invariant = (Kind.BATCH_VARIANT,) if strict else ()
    forbid = _known("note", (*check.forbid, *invariant), tuple(sorted(NOTES)))
    for name in forbid:
        if name in allow:
            raise UsageError(f"{name} is allowed and forbidden at once")
    if check.label_kind is not None:
        _known("kind of labels", (check.label_kind,), tuple(LabelKind))
    label_kind = check.label_kind
    if label_kind is None and given is not None:
        label_kind = own_inputs.kind_of(given, spec)
    kind, targets, integers = chosen_labels(spec, label_kind, check.targets)
    values = {
        name: _checked_parameter(spec, kind, name, value)
        for name, value in check.parameters.items()
    }
    built_in = {
        name: _checked_parameter(spec, kind, name, value) for name, value in check.built_in.items()
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
        framework=_known("framework", (check.framework,), tuple(user.FRAMEWORKS))[0],
        timeout_s=timeout_s,
        built_in=built_in,
        shape=_known("shape", (check.shape,), SHAPES)[0],
        label_dtype=_known("dtype of labels", (check.label_dtype,), LABEL_DTYPES)[0],
    )
    if way.shape == CLASS_SECOND and spec.layout is Layout.ELEMENTWISE:
        raise UsageError(f"{loss} has no classes that could come second")
    notes: tuple[str, ...] = ()
    if isinstance(target, str):
        made, notes = opened(target, way, check.gradient)
    else:
        if timeout_s is not None:
            raise UsageError("timeout_s goes with code in a process of its own: name it by text")
        made = _given(target, way, check.gradient)
    own, about = _own(spec, kind, made, values)
    notes += about
    here = user.bridge_for(way.framework).visiting() if made.process is None else None
    with here or contextlib.nullcontext():
        made, about = _reduced(
            spec, kind, made, {**values, **own}, dtypes[0], workers, integers=integers
        )
    notes += about
    reason = unasked(made)
    if reason and Quantity.GRADIENT in quantities:
        notes += (f"its gradient is not asked with {reason}",)
    values = {**values, **own}
    axes = {name: (value,) for name, value in {**values, **made.built_in}.items()}

    def sweeps_with(targets: str | None) -> tuple[Sweep, ...]:
        if given is None:
            planned = standard_sweeps(spec, dtypes, kind, axes, targets, integers=integers)
        else:
            planned = own_inputs.sweeps(given, spec, dtypes, kind, axes, integers=integers)
        return tuple(
            replace(
                sweep,
                implementations=(escaped(made.name),),
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
        "gradient": _gradient_text(check.gradient),
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
        "allow": allow,
        "forbid": forbid,
        "allow_skips": check.allow_skips,
        "notes": notes,
    }
    kinds = (frozenset(map(Kind, allow)), frozenset(map(Kind, forbid)))
    limits = (Limit(check.tolerance, *kinds, path="max_ulp"),)
    whole = Config(
        sweeps_with(targets),
        limits,
        seed=seed,
        document=document,
        allow_skips=check.allow_skips,
    )
    softened = kind in (LabelKind.TARGET, LabelKind.DISTRIBUTION) and targets is None
    hard = replace(whole, sweeps=sweeps_with("ends")) if softened and given is None else None
    return Checking(whole, made, tuple(filter(None, notes)), hard)


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


def explained(
    made: Checking,
    report: Report,
    *,
    workers: int | None = 1,
    timeout_s: float | None = None,
) -> str:
    """What the labels have to do with the violations of a check; "" for nothing.

    Where every violation is shown by a soft label, the check is done again with hard ones alone.
    """
    if made.hard is None or not _only_soft(report):
        return ""
    again = audit_config(
        made.hard, extra=(made.implementation,), workers=workers, timeout_s=timeout_s
    )
    return HARD_ALONE.format(option="--targets ends") if outcome(again) is Outcome.PASSED else ""


HARD_ALONE = (
    "all failures are at soft labels: with hard ones alone, 0 and 1, it is within the limits. If "
    "it is meant for those, check it with {option}"
)


def _only_soft(report: Report) -> bool:
    """Whether there are violations, and each is shown by a soft label."""
    if report.interrupted or report.uncertified or not report.violations:
        return False
    return all(_soft(each.finding.witness) for each in report.violations)


def _soft(witness: Witness | None) -> bool:
    """Whether a label of a witness is neither 0 nor 1."""
    if witness is None or witness.labels is None or witness.labels.dtype.kind in "iu":
        return False
    labels = to_float64(witness.labels)
    if witness.parameters.get("log_target"):
        labels = np.exp(labels)
    return bool(((labels != 0) & (labels != 1)).any())


def bounds_of(tolerance: Tolerance) -> dict[str, float | None]:
    """The bounds of a tolerance by name, None for one that bounds nothing."""
    numbers = {name: float(getattr(tolerance, name)) for name in _BOUNDS}
    return {name: each if math.isfinite(each) else None for name, each in numbers.items()}


def _own(
    spec: Loss, kind: LabelKind, made: Implementation, given: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters that nobody gave as a function has them by default, and notes about them.

    A loss has to be shown row by row where it can be: a reduction is not taken over.
    """
    own: dict[str, Any] = {}
    notes = []
    for name, value in made.own_defaults.items():
        parameter = spec.parameter(name)
        assert parameter is not None
        unfit = parameter.label_kinds and kind not in parameter.label_kinds
        if name in given or name in made.built_in or value is None or unfit:
            continue
        if name == "reduction":
            notes.append(
                f"reduction=none is passed, for the function's own default is {value}; "
                f"--param reduction={value} checks that"
            )
            continue
        own[name] = value
        usual = "none" if parameter.default is None else _text(parameter.default)
        notes.append(
            f"{name}={_text(value)} is checked, the function's own default (the loss's is "
            f"{usual}); --param {name}={usual} checks that"
        )
    for name, value in made.built_in.items():
        notes.append(f"{name}={_text(value)} is computed: the function has it built in")
    return own, tuple(notes)


def _reduced(
    spec: Loss,
    kind: LabelKind,
    made: Implementation,
    given: Mapping[str, Any],
    dtype: str,
    workers: int | None,
    *,
    integers: bool,
) -> tuple[Implementation, tuple[str, ...]]:
    """A function that only returns a mean or a sum as one that has it built in, found by asking."""
    if spec.parameter("reduction") is None or "reduction" in {*given, *made.built_in}:
        return made, ()
    computed = {**given, **made.built_in}
    if obstacle(spec, made, computed, dtype):
        return made, ()
    found = guarded(
        made,
        lambda: reduced(made, spec.id, kind, computed, dtype, integers=integers),
        workers or cores(),
    )
    if found is None or found.reduction is None:
        return made, ()
    words = () if made.origin == UNREACHABLE else ("--built-in", f'reduction="{found.reduction}"')
    note = (
        f"it returns one number, the {found.reduction} over the rows: it is checked as that "
        f"(reduction={found.reduction})"
    )
    built_in = {**made.built_in, "reduction": found.reduction}
    return replace(made, built_in=built_in, origin=(*made.origin, *words)), (note,)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def opened(
    target: str, way: Target, gradient: Function | str | None = AUTO
) -> tuple[Implementation, tuple[str, ...]]:
    """What text names, loaded in its own process, and notes about its gradient for the user.

    Args:
        target: ``module:function``, ``file.py:function``, or a command.
        way: what it computes and how it is called; the names in it do not matter.
        gradient: the same, ``auto``, or None (or ``none``) for no gradient.

    Raises:
        TargetError: the text leads nowhere.
        UsageError: the gradient is a function of this process.
    """
    if callable(gradient):
        raise UsageError(f"{target} is loaded in another process: name its gradient by text too")
    if "{out}" in target:  # a program
        program = tuple(shlex.split(target))
        back = () if gradient in (AUTO, "none", None) else tuple(shlex.split(gradient))
        wanted = replace(way, name=target, command=program, gradient_command=back)
        note = (
            f"only the value of {program[0]} is checked; --gradient names the command of a gradient"
        )
        return open_target(wanted)[0], () if back else (note,)
    named = None if gradient == "none" else gradient
    wanted = replace(way, target=target, name=target, gradient=named)
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


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise UsageError(f"{name}={value!r}: expected True or False")
    return bool(value)


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
    meant = [
        name for name in Check.__slots__ if not _same(getattr(check, name), getattr(Check(), name))
    ]
    meant = [name for name in meant if name != "allow_skips"]
    if meant and not callable(subject):
        message = f"{', '.join(meant)}: goes with loss=; a configuration says so itself"
        raise UsageError(message)
    found = _read(subject)
    return replace(found, allow_skips=found.allow_skips or check.allow_skips)


def _read(subject: Any) -> Config:
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


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are equal, of which one may be an array: it equals nothing."""
    return one is other or (type(one) is type(other) and bool(one == other))


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


def _given(function: Function, way: Target, gradient: Function | str | None) -> Implementation:
    """A function of this process as an implementation."""
    name = _name_of(function)
    obstacle = hosts.missing(user.bridge_for(way.framework).process)
    if obstacle:
        raise TargetError(f"{name}: {obstacle}")
    found: Function | str | None = gradient
    if isinstance(gradient, str) and gradient != "none":
        found = _gradient_beside(way.loss, function, gradient)
    return user.given(way.loss, name, function, found, way, _origin(function, gradient, way))


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


def _origin(function: Function, gradient: Function | str | None, way: Target) -> tuple[str, ...]:
    """The words that name a function of this process to `xentcheck probe`, where there are any."""
    target = _target_of(function)
    back = _target_of(gradient) if callable(gradient) else gradient or "none"
    if not target or not back:
        return UNREACHABLE
    return user.words_of(way, target, back)


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
        file = file.absolute().relative_to(Path.cwd())
    return f"{file}:{attribute}"


def _gradient_text(gradient: Function | str | None) -> str:
    return _name_of(gradient) if callable(gradient) else gradient or "none"
