"""`xentcheck check`: the user's own loss on the standard sweep, as a gate."""

# ruff: noqa: PLC0415

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from xentcheck.bounds import BOUNDS, GRADES
from xentcheck.cli.audit import run_audit
from xentcheck.cli.completion import completing, kind_names, note_names
from xentcheck.cli.entry import cli, foreign, note
from xentcheck.cli.opening import plots_option
from xentcheck.cli.options import (
    READING,
    allow_skips_option,
    calling,
    detail_from,
    detailed,
    diagnosis_option,
    dtype_option,
    invariants_option,
    keywords_from,
    known_dtypes,
    loss_option_for,
    named_loss,
    no_cache_option,
    param_option,
    parameters_from,
    ranges_option,
    reporting,
    targets_option,
    timeout_option,
    witnesses_option,
    workers_option,
)
from xentcheck.cli.output import Delivery, figures_of
from xentcheck.cli.progress import ProgressDisplay
from xentcheck.errors import UsageError

CHECKED_DTYPES = ("float32", "float64")  # same as `api.DTYPES`, which --help does not import


def bound_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each bound of a tolerance."""
    for each in reversed(BOUNDS):
        default = 0.0 if each.default == "`0`" else None
        command = click.option(each.flag, type=float, default=default, help=each.option)(command)
    return command


def require_valid_bounds(bounds: Mapping[str, float | None]) -> None:
    """Refuse a bound below 0 or NaN; the bounds by name, None where not given."""
    for bounding in BOUNDS:
        value = bounds[bounding.name]
        if value is not None and not value >= 0:
            raise UsageError(f"{bounding.flag} {value:g}: has to be 0 or more")


@cli.command(epilog=READING)
@click.argument("target", metavar="TARGET")
@loss_option_for(required=False)
@invariants_option
@click.option(
    "--label-kind",
    type=click.Choice(["integer", "distribution"]),
    help="What labels it takes; integer ones unless the loss has no such labels. integer for an "
    "elementwise loss: 0 and 1 as int64.",
)
@targets_option
@click.option(
    "--inputs",
    multiple=True,
    metavar="FILE",
    help="Your own rows instead of the standard sweep: .npy, .npz, .safetensors or .pt with logits "
    "and labels; repeat it for a file of the labels. A label of -100 is ignored, as the loss's own "
    "default has it.",
)
@click.option(
    "--input-names",
    default="",
    metavar="logits=NAME,labels=NAME",
    help="What the arrays are called there; the usual names are found.",
)
@param_option
@dtype_option(CHECKED_DTYPES)
@calling
@bound_options
@click.option(
    "--min-grade",
    type=click.Choice(GRADES),
    help="The worst grade that passes; then only the grade decides how far results may be off. "
    "absolute: a few roundings of the row's scale, which a framework's own loss keeps.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="KIND",
    shell_complete=completing(kind_names),
    help="A kind of finding that is no violation, such as plateau (repeatable).",
)
@click.option(
    "--forbid",
    multiple=True,
    metavar="NOTE",
    shell_complete=completing(note_names),
    help="A note that is a violation: fp-signal, batch-variant, ftz or convention (repeatable).",
)
@click.option(
    "--batch-invariant",
    is_flag=True,
    help="A row may not change with its batch, not by one ulp; batches of many sizes are called.",
)
@click.option(
    "--no-sanity-check",
    "sanity_check",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Run the whole sweep also where a dozen mild rows show that it computes something else.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="IMPLEMENTATION",
    help="A gate against a peer: no row may be worse than it, by kind or by more than 4 ulp and "
    "twice its error. The name of an implementation, or text like TARGET (repeatable). The default "
    "of 4 ulp does not hold beside it.",
)
@allow_skips_option
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the random inputs.")
@plots_option()
@ranges_option
@witnesses_option
@workers_option
@timeout_option
@no_cache_option
@diagnosis_option
@detailed
@reporting
def check(
    target: str,
    loss: str,
    invariants: str,
    label_kind: str | None,
    targets: str | None,
    inputs: Sequence[str],
    input_names: str,
    params: Sequence[str],
    dtypes: Sequence[str],
    framework: str,
    gradient: str,
    bound: Sequence[str],
    built_in: Sequence[str],
    shape: str,
    label_dtype: str,
    max_ulp: float | None,
    p99_ulp: float | None,
    or_abs: float,
    or_rel: float,
    max_excess_bits: float | None,
    or_excess_bits: float | None,
    max_norm: float | None,
    min_grade: str | None,
    allow: Sequence[str],
    forbid: Sequence[str],
    batch_invariant: bool,
    sanity_check: bool,
    against: Sequence[str],
    allow_skips: bool,
    seed: int,
    ranges: bool,
    witnesses: str,
    workers: int | None,
    timeout_s: float | None,
    diagnosis: bool,
    verbose: int,
    quiet: bool,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
) -> int:
    """Check your own loss on everything a fault can hide in. A gate: status 1 on a fault.

    TARGET is module:function or path/file.py:function, called as fn(logits, labels, **parameters):
    logits of shape (rows, classes), labels int64 (rows,) or (rows, classes); for the elementwise
    losses both are (rows,). It returns one value per row, its gradient function the shape of
    logits. With --framework they are tensors, the framework differentiates, and TARGET may also be
    an nn.Module, an autograd.Function or a Keras loss. A command with {logits}, {labels} and {out}
    is given .npy files, and has to write one.

    \b
    Examples:
      xentcheck check my_loss.py:loss --loss softmax_cross_entropy
      xentcheck check my_loss.py:loss --loss softmax_cross_entropy --label-kind distribution
      xentcheck check package.losses:bce --loss sigmoid_binary_cross_entropy \\
          --gradient package.losses:bce_backward --max-ulp 16 --or-abs 1e-7
      xentcheck check my_loss.py:loss --loss softmax_cross_entropy \\
          --against torch.nn.functional.cross_entropy
      xentcheck check my_torch_loss.py:MyLoss --loss softmax_cross_entropy --framework torch
      xentcheck check my_loss.py:loss --loss softmax_cross_entropy --inputs logits.npz
      xentcheck check './kernel {logits} {labels} {out}' --loss softmax_cross_entropy
      xentcheck check my_loss.py:unknown --invariants shift,permutation,nonnegative
    """
    names = tuple(filter(None, (each.strip() for each in invariants.split(","))))
    if not loss:
        return _unknown(target, names)
    delivery = Delivery.planned(formats, outputs, color)
    detail = detail_from(verbose, quiet)
    given: dict[str, Any] = {
        "max_ulp": max_ulp,
        "p99_ulp": p99_ulp,
        "or_abs": or_abs,
        "or_rel": or_rel,
        "max_excess_bits": max_excess_bits,
        "or_excess_bits": or_excess_bits,
        "max_norm": max_norm,
    }
    require_valid_bounds(given)
    from xentcheck.sweeps import chosen_labels

    spec = named_loss(loss)
    loss = spec.id
    kind, _, _ = chosen_labels(spec, label_kind, targets)
    chosen = known_dtypes(dtypes, () if inputs else CHECKED_DTYPES)
    only = chosen[0] if len(chosen) == 1 else None
    from xentcheck.execution.targets import start_target
    from xentcheck.model import Target

    start_target(Target(spec.id, target, target, framework=framework))
    from xentcheck.auditing.check import Check, checking
    from xentcheck.auditing.hard_labels import explained
    from xentcheck.auditing.run import Options

    wanted = Check(
        label_kind=label_kind,
        parameters=parameters_from(spec, kind, params, only),
        dtypes=chosen,
        framework=framework,
        gradient=gradient,
        **given,
        min_grade=min_grade,
        allow=allow,
        forbid=forbid,
        built_in=parameters_from(spec, kind, built_in, only, "--built-in"),
        bind=keywords_from("--bind", bound),
        shape=shape,
        label_dtype=label_dtype,
        batch_invariant=batch_invariant,
        invariants=names or None,
        targets=targets,
        inputs=(inputs if len(inputs) > 1 else inputs[0]) if inputs else None,
        input_names=names_from(input_names),
        allow_skips=allow_skips,
        against=against,
    )
    with foreign(), ProgressDisplay():
        made = checking(target, loss, wanted, seed=seed, timeout_s=timeout_s)
    for each in made.notes:
        note(f"note: {each}")
    options = Options(
        extra=made.own,
        workers=workers,
        timeout_s=timeout_s,
        sanity_check=sanity_check,
        diagnosis=diagnosis,
        ranges=ranges,
    )
    return run_audit(
        made.config,
        delivery,
        options,
        witnesses=witnesses,
        explain=lambda report: explained(made, report, options),
        detail=detail,
    )


_WITHOUT_LOSS = frozenset(
    (
        *("target", "loss", "invariants", "dtypes", "framework", "gradient", "bound", "shape"),
        *("label_dtype", "allow", "seed", "workers", "timeout_s", "formats", "outputs", "color"),
        *("open", "verbose", "quiet"),
    )
)
"""The options of a check that make sense without a loss."""


def _unknown(target: str, names: tuple[str, ...]) -> int:
    """Check a function of which only invariants are known. Returns the exit status."""
    import functools

    from xentcheck.cli.audit import status_of
    from xentcheck.report.formats import rendered

    context = click.get_current_context()
    given = context.params
    if not names:
        raise UsageError(
            "Missing option '--loss'.\n    help: say what it computes, or with --invariants what "
            "holds of its results; `xentcheck list losses` and `xentcheck list invariants`"
        )
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name not in _WITHOUT_LOSS and source is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"{option.opts[0]} goes with --loss")
    delivery = Delivery.planned(given["formats"], given["outputs"], given["color"])
    detail = detail_from(given["verbose"], given["quiet"])
    from xentcheck.auditing.without_loss import Unknown, audit_unknown

    how = Unknown(
        invariants=names,
        dtypes=known_dtypes(given["dtypes"], CHECKED_DTYPES),
        framework=given["framework"],
        gradient=given["gradient"],
        bind=keywords_from("--bind", given["bound"]),
        shape=given["shape"],
        label_dtype=given["label_dtype"],
        allow=given["allow"],
    )
    with foreign():
        report, notes = audit_unknown(target, how, seed=given["seed"], timeout_s=given["timeout_s"])
    for each in notes:
        note(f"note: {each}")
    delivery.deliver(functools.partial(rendered, report, detail=detail), figures_of(report))
    return status_of(report)


def names_from(written: str) -> dict[str, str]:
    """The mapping in ``logits=NAME,labels=NAME``. Raises UsageError for any other form."""
    names = {}
    for text in filter(None, written.split(",")):
        name, separator, array = (each.strip() for each in text.partition("="))
        if not separator or name not in ("logits", "labels") or not array or name in names:
            raise UsageError(f"--input-names {written}: expected logits=NAME,labels=NAME")
        names[name] = array
    return names
