"""The Python interface: audit, assert, probe and read reports.

Its names are attributes of `xentcheck`, which imports this module when one of them is first used.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from xentcheck import config
from xentcheck.auditing.arguments import bound, flag, seed_of, several
from xentcheck.auditing.check import DTYPES, Check, checking
from xentcheck.auditing.environment import environment
from xentcheck.auditing.hard_labels import HARD_ALONE, only_soft
from xentcheck.auditing.own_code import Function, name_of
from xentcheck.auditing.probe import probe
from xentcheck.auditing.run import Options, audit_config
from xentcheck.auditing.without_loss import Unknown, audit_unknown
from xentcheck.errors import ConfigError, EmptySweepError, UncertifiedError, UsageError
from xentcheck.gate import baseline_file
from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.implementations import user
from xentcheck.implementations.bridge import LABEL_DTYPE
from xentcheck.implementations.shapes import ROWS
from xentcheck.model import AUTO, Config, Kind, ProbeResult, Progress, Report
from xentcheck.registry import implementation
from xentcheck.report import words
from xentcheck.report.document import read as read_report

__all__ = [
    "ProbeResult",
    "Report",
    "assert_accurate",
    "audit",
    "check_results",
    "implementation",
    "probe",
    "read_report",
]

Configuration: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Config


_MOST_TOLD = 5  # violations that an AssertionError has in full


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
    max_norm: float | None = None,
    min_grade: str | None = None,
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
    diagnosis: bool = True,
    against: Function | str | Iterable[Function | str] = (),
    ranges: bool = False,
    invariants: str | Iterable[str] | None = None,
) -> Report:
    """Audit what a configuration describes, as `xentcheck run`; or one loss, as `xentcheck check`.

    Args:
        subject: without ``loss`` a configuration: its path, or a mapping like its YAML. With
            ``loss`` a function ``fn(logits, labels, **parameters)``, which is called in this
            process; or text, which is loaded in a process of its own: ``module:function``,
            ``file.py:function``, or a command with ``{logits}``, ``{labels}`` and ``{out}``.
        loss: the loss that the function computes; `xentcheck list losses` has the names.
        label_kind: ``integer`` or ``distribution``; the first kind of the loss unless given. For an
            elementwise loss ``integer`` gives the labels 0 and 1 as int64.
        parameters: values of the loss's parameters, by name. They are computed, and passed to a
            function that has such an argument. The others have the function's own defaults.
        dtypes: float32 and float64 unless given.
        quantities: ``value``, ``gradient``; both unless given, if the function has both.
        framework: the arrays that the function takes: ``numpy``, ``torch``, ``jax``,
            ``tensorflow``.
        gradient: a function of the same arguments that returns the shape of ``logits``, or text
            that names one. ``auto``: the framework differentiates, or a function beside ``subject``
            that is named after it. None: audit only the value.
        max_ulp: the largest error allowed, in ulps. Without ``max_ulp``, ``p99_ulp`` and
            ``max_excess_bits`` an error has to be within 4 ulp, or have at most 2 excess bits.
        p99_ulp: the 99th percentile allowed, in ulps.
        or_abs: an absolute error that also passes.
        or_rel: a relative error that also passes.
        max_excess_bits: the most bits that may be lost beyond what the condition number explains.
        or_excess_bits: an error with at most this many excess bits also passes.
        max_norm: the largest error allowed relative to the scale of its row: for a gradient its
            largest component, for a value max(1, |value|, the logits' gaps).
        min_grade: the worst grade that passes: ``absolute``, ``accurate``, ``faithful``. Without a
            bound of the ulps beside it, only the grade decides how far results may be off.
        allow: kinds of finding that are not violations.
        forbid: notes that are violations: ``fp-signal``, ``batch-variant``, ``ftz``,
            ``convention``.
        built_in: parameters of the loss that the function computes with and does not take.
        bind: keyword arguments of every call, or of a class's constructor. A parameter of the loss
            among them is built in.
        shape: the shape of the function's arguments: ``rows``; ``sequence``, (batch, sequence,
            classes); ``class-second``, (batch, classes, sequence).
        label_dtype: the dtype of integer labels: ``int64``, ``int32`` or a shorter one.
        batch_invariant: a row may not change with its batch, not by one ulp. ``batch-variant`` is
            forbidden, and batches of many sizes are called.
        allow_skips: pass although something that is named was not audited. Otherwise it fails; the
            report's ``omissions`` list it.
        seed: the seed of the random inputs; that of the configuration, or 0, unless given.
        select: patterns of implementations of a configuration; only these are audited.
        baseline: a file of what is tolerated. It replaces the configuration's own.
        slack: the relative change of a tolerated fault that counts as none. Unless given, it is
            `DEFAULT_SLACK` of `gate.baseline` on the processor where the baseline was recorded, and
            `OTHER_PROCESSOR` elsewhere.
        workers: how many processes share the work; None: all cores. The report is the same.
        timeout_s: how long one call in another process may take, in seconds.
        progress: called whenever a part of the work is done.
        targets: ``ends``: labels 0 and 1, or one-hot ones; ``soft``: none of these; both unless
            given.
        inputs: your own rows instead of the standard sweep: ``(logits, labels)``, the logits alone,
            or both by name in a mapping; or the path of a .npy, .npz, .safetensors or .pt file, or
            two paths. Without ``dtypes`` they are audited in the dtype of the logits.
        input_names: the names of the arrays in a file: ``{"logits": "x", "labels": "y"}``.
        sanity_check: first ask a user's own function about a dozen mild rows. A function that
            computes something else is not audited further: one finding says what it looks like.
        against: peers: no row may be worse than theirs. The names of registered implementations,
            text like ``subject``, or functions. Without ``max_ulp``, ``p99_ulp`` and
            ``max_excess_bits`` nothing else is asked for.
        ranges: also find where the grades hold, as ``safe_ranges`` of the report.
        invariants: names of the invariants to ask; all that the loss has unless given. Without
            ``loss`` only these are checked of a function, and nothing else is known of its results.

    Returns:
        The report. Without limits a configuration is a survey; its report has no violations.

    Raises:
        diagnosis: find the causes of what fails; see `Report.diagnoses`.
        XentcheckError: the arguments are contradictory or impossible; see `xentcheck.errors`.
    """
    check = Check(
        label_kind=label_kind,
        parameters=parameters or {},
        dtypes=several(dtypes),
        quantities=several(quantities),
        framework=framework,
        gradient=gradient,
        max_ulp=max_ulp,
        p99_ulp=p99_ulp,
        or_abs=or_abs,
        or_rel=or_rel,
        max_excess_bits=max_excess_bits,
        or_excess_bits=or_excess_bits,
        max_norm=max_norm,
        min_grade=min_grade,
        allow=several(allow),
        forbid=several(forbid),
        built_in=built_in or {},
        bind=bind or {},
        shape=shape,
        label_dtype=label_dtype,
        batch_invariant=batch_invariant,
        targets=targets,
        inputs=inputs,
        input_names=input_names or {},
        allow_skips=flag("allow_skips", allow_skips),
        against=_peers(against),
        invariants=None if invariants is None else several(invariants),
    )
    if loss is None and check.invariants is not None:
        return _without_loss(subject, check, seed=seed, timeout_s=timeout_s)
    options = Options(
        diagnosis=diagnosis,
        workers=workers,
        timeout_s=timeout_s,
        progress=progress,
        sanity_check=sanity_check,
        ranges=flag("ranges", ranges),
    )
    seed = None if seed is None else seed_of(seed)
    if loss is None:
        config_ = _config(subject, check)
        options = replace(
            options,
            select=several(select),
            baseline=None if baseline is None else baseline_file.load(os.fspath(baseline)),
            slack=None if slack is None else bound("slack", slack),
        )
        return audit_config(config_, options, seed=seed)
    if not callable(subject) and not isinstance(subject, str):
        message = f"{subject!r} is neither a function nor the text of a target"
        raise UsageError(message)
    if select or baseline is not None or slack is not None:
        raise UsageError("select, baseline and slack go with a configuration, not with loss=")
    made = checking(subject, loss, check, seed=seed or 0, timeout_s=timeout_s, workers=workers)
    with user.bridge_for(framework).visiting() if callable(subject) else contextlib.nullcontext():
        report = audit_config(made.config, replace(options, extra=made.own))
    if callable(subject) and framework != "numpy":
        versions = environment((user.bridge_for(framework).process,))
        return replace(report, environment=versions)
    return report


_OF_UNKNOWN = frozenset(each.name for each in fields(Unknown))


def _without_loss(
    subject: Any, check: Check, *, seed: int | None, timeout_s: float | None
) -> Report:
    """An audit of a function of which only invariants are known."""
    if not callable(subject) and not (isinstance(subject, str) and _is_target(subject)):
        raise UsageError("invariants goes with a function, not with a configuration")
    usual = Check()
    for name in Check.__slots__:
        if name not in _OF_UNKNOWN and not _same(getattr(check, name), getattr(usual, name)):
            raise UsageError(f"{name} goes with loss=")
    how = Unknown(**{name: getattr(check, name) for name in _OF_UNKNOWN})
    seed = 0 if seed is None else seed_of(seed)
    here = user.bridge_for(check.framework).visiting() if callable(subject) else None
    with here or contextlib.nullcontext():
        return audit_unknown(subject, how, seed=seed, timeout_s=timeout_s)[0]


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
    max_norm: float | None = None,
    min_grade: str | None = None,
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
    against: Function | str | Iterable[Function | str] = (),
    invariants: str | Iterable[str] | None = None,
) -> Report:
    """Assert that a loss is within limits on everything a fault can hide in.

    The arguments are those of `audit`. It returns the report.

    Raises:
        AssertionError: it is not; the text has the gravest violations with the inputs that show
            them.
        EmptySweepError: nothing was audited, or not every dtype or quantity that was asked for,
            unless ``allow_skips``.
        UncertifiedError: an exact result could not be certified.
        XentcheckError: the arguments are contradictory or impossible.
    """
    how = {name: value for name, value in locals().items() if name not in ("fn", "loss")}
    __tracebackhide__ = True
    dtypes, quantities = several(dtypes), several(quantities)
    how |= {"dtypes": dtypes, "quantities": quantities}
    report = audit(fn, loss, **how)
    if allow_skips:
        check_results(report)
    else:
        check_results(report, dtypes or (() if inputs is not None else DTYPES), quantities)
    if outcome(report) is not Outcome.FAILED:
        return report
    text = words.violations_text(report, _MOST_TOLD)
    if targets is None and inputs is None and only_soft(report):
        hard = audit(fn, loss, **{**how, "targets": "ends"})
        if outcome(hard) is Outcome.PASSED:
            text += "\n\n" + HARD_ALONE.format(option='targets="ends"')
    raise AssertionError(text)


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


def _peers(given: Function | str | Iterable[Function | str]) -> tuple[Function | str, ...]:
    """What a loss is held against, as a tuple. Raises UsageError for anything else."""
    peers = (given,) if callable(given) or isinstance(given, str) else given
    known = tuple(peers) if isinstance(peers, Iterable) else ()
    if not isinstance(peers, Iterable) or not all(callable(x) or isinstance(x, str) for x in known):
        raise UsageError(f"against={given!r}: expected names of implementations, or functions")
    return known


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
        raise UsageError(f"{name_of(subject)}: loss= has to say what it computes")
    if not isinstance(subject, str | os.PathLike):
        raise UsageError(f"{subject!r}: expected a configuration: its path, or a mapping")
    path = os.fspath(subject)
    if isinstance(path, str) and _is_target(path):
        raise UsageError(f"{path}: loss= has to say what it computes, if that is a target")
    return config.load(path)


def _is_target(text: str) -> bool:
    """Whether a text names a function or a command, and no file."""
    return not Path(text).exists() and (":" in text or "{out}" in text)


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
