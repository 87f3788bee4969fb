"""`xentcheck search`: searches for the worst input of an implementation."""

# ruff: noqa: PLC0415

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xentcheck.cli.audit import status_of
from xentcheck.cli.check import CHECKED_DTYPES, bound_options, require_valid_bounds
from xentcheck.cli.completion import completing, implementation_names, kind_names
from xentcheck.cli.entry import cli, foreign, note
from xentcheck.cli.opening import plots_option
from xentcheck.cli.options import (
    calling,
    dtype_option,
    keywords_from,
    known_dtypes,
    loss_option,
    named_loss,
    no_cache_option,
    param_option,
    parameters_from,
    reporting,
    targets_option,
    timeout_option,
    workers_option,
)
from xentcheck.cli.output import Delivery, figures_of, writable, write
from xentcheck.cli.progress import ProgressDisplay
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.report.formats import rendered
from xentcheck.report.illustration import Picture

if TYPE_CHECKING:
    from xentcheck.auditing.check import Check
    from xentcheck.losses.spec import Loss
    from xentcheck.model import Config, Implementation, Target

QUANTITIES = ("value", "gradient")  # same as `Quantity`, which --help does not import
AIMS = ("ulp", "excess", "norm")


def _aims(context: click.Context) -> Sequence[str]:
    return (*AIMS, *kind_names(context))


@cli.command(short_help="Search for the worst input of an implementation.")
@click.argument("target", metavar="TARGET", shell_complete=completing(implementation_names))
@loss_option
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many rows are tried for each implementation, dtype and quantity, after the standard "
    "sweep; 20,000 unless set. A larger budget goes on where a smaller one stopped.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="How long the searches may take together, by the clock: the result then depends on the "
    "machine.",
)
@click.option(
    "--maximise",
    "aim",
    default="ulp",
    metavar="ulp|excess|norm|KIND",
    shell_complete=completing(_aims),
    help="What the worst is: the error in ulps, unless set; excess bits; the error over the row's "
    "scale; or look for a kind of finding, such as nan.",
)
@click.option(
    "--label-kind",
    type=click.Choice(["integer", "distribution"]),
    help="As for `check`.",
)
@targets_option
@param_option
@dtype_option(CHECKED_DTYPES)
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    type=click.Choice(QUANTITIES),
    help="What is searched (repeatable); both unless given.",
)
@calling
@bound_options
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of everything random.")
@click.option(
    "--write-config",
    "written",
    metavar="FILE",
    help="Write what was found there, as a configuration: `xentcheck run FILE` scores it again.",
)
@workers_option
@timeout_option
@no_cache_option
@reporting
@plots_option()
def search(
    target: str,
    loss: str,
    budget: int | None,
    seconds: float | None,
    aim: str,
    label_kind: str | None,
    targets: str | None,
    params: Sequence[str],
    dtypes: Sequence[str],
    quantities: Sequence[str],
    framework: str,
    gradient: str,
    bound: Sequence[str],
    built_in: Sequence[str],
    shape: str,
    label_dtype: str,
    seed: int,
    written: str | None,
    workers: int | None,
    timeout_s: float | None,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
    **bounds: Any,
) -> int:
    """Search for the worst input of an implementation. A survey: it exits with 0.

    TARGET is what `check` takes, module:function or path/file.py:function, or the name or pattern
    of registered implementations. The search starts from the worst rows of the standard sweep.
    Several strategies compete; the curve, the winner and the worst rows are shown, the rows of
    findings also in their smallest form.

    \b
    Examples:
      xentcheck search my_loss.py:loss --loss softmax_cross_entropy
      xentcheck search numpy.lse_minus_logit --loss softmax_cross_entropy --dtype float32
      xentcheck search my_loss.py:loss --loss softmax_cross_entropy --maximise nan --budget 200000
      xentcheck search 'torch.*' --loss softplus --maximise norm --seconds 60
      xentcheck search my_loss.py:loss --loss logsumexp --write-config worst.yaml
      xentcheck search my_loss.py:loss --loss logsumexp --plots figures
    """
    delivery = Delivery.planned(formats, outputs, color)
    require_valid_bounds(bounds)
    path = None if written is None else writable(written, "--write-config")
    from xentcheck.auditing.check import Check
    from xentcheck.auditing.run import Options
    from xentcheck.auditing.worst_case import Wanted
    from xentcheck.auditing.worst_case import search as searched
    from xentcheck.sweeps import chosen_labels

    spec = named_loss(loss)
    kind, _, _ = chosen_labels(spec, label_kind, targets)
    chosen = known_dtypes(dtypes, CHECKED_DTYPES)
    only = chosen[0] if len(chosen) == 1 else None
    check = Check(
        label_kind=label_kind,
        parameters=parameters_from(spec, kind, params, only),
        dtypes=chosen,
        quantities=quantities,
        framework=framework,
        gradient=gradient,
        **bounds,
        built_in=parameters_from(spec, kind, built_in, only, "--built-in"),
        bind=keywords_from("--bind", bound),
        shape=shape,
        label_dtype=label_dtype,
        targets=targets,
    )
    wanted = Wanted(aim, budget, seconds, check.tolerance)
    with foreign(), ProgressDisplay():
        config, own = _planned(target, spec, check, seed, timeout_s)
    options = Options(
        extra=() if own is None else (own,),
        workers=workers,
        timeout_s=timeout_s,
        sanity_check=own is not None,
    )
    with foreign(), ProgressDisplay() as progress:
        from dataclasses import replace

        report = searched(config, wanted, replace(options, progress=progress))
    asked = {"aim": aim, "budget": wanted.rows, "seconds": seconds}
    report = replace(report, config={**config.document, "command": "search", **asked})

    def render(form: str, width: int, *, color: bool, pictures: Sequence[Picture]) -> str:
        if form != "table":
            return rendered(report, form, width, color=color, pictures=pictures)
        from xentcheck.report.grid import to_text
        from xentcheck.report.search import render_searches

        return to_text(render_searches(report, width), width, color=color)

    delivery.deliver(render, figures_of(report))
    if path is not None:
        _write(report, check, path, _target(spec, target, check, own), gradient)
    return status_of(report)


def _planned(
    target: str, spec: "Loss", check: "Check", seed: int, timeout_s: float | None
) -> "tuple[Config, Implementation | None]":
    """The standard sweep of the target, and the user's own implementation if it names one."""
    if ":" in target or "{out}" in target:
        from xentcheck.auditing.check import checking

        made = checking(target, spec.id, check, seed=seed, timeout_s=timeout_s)
        for each in made.notes:
            note(f"note: {each}")
        return made.config, made.implementation
    for option, given in (
        ("--bind", check.bind),
        ("--built-in", check.built_in),
        ("--framework", check.framework != "numpy"),
        ("--gradient", check.gradient != "auto"),
        ("--shape", check.shape != "rows"),
        ("--label-dtype", check.label_dtype != "int64"),
    ):
        if given:
            message = f"{option} goes with your own function"
            raise UsageError(f"{message}\n    help: name it as module:function or file.py:function")
    from dataclasses import replace

    from xentcheck.model import Config, Quantity, selected
    from xentcheck.registry import load_registered
    from xentcheck.sweeps import chosen_labels, standard_sweeps

    names = sorted({each.name for each in load_registered()[0] if each.loss == spec.id})
    if not any(selected(name, (target,)) for name in names):
        remedy = "; your own function is module:function or file.py:function"
        from xentcheck.errors import did_you_mean

        hint = did_you_mean(target, names)
        raise UnknownNameError(f"implementation of {spec.id}", target, names, hint + remedy)
    kind, targets, integers = chosen_labels(spec, check.label_kind, check.targets)
    axes = {name: (value,) for name, value in check.parameters.items()}
    sweeps = tuple(
        replace(
            sweep,
            implementations=(target,),
            quantities=tuple(map(Quantity, check.quantities)) or tuple(Quantity),
        )
        for sweep in standard_sweeps(spec, check.dtypes, kind, axes, targets, integers=integers)
    )
    document: dict[str, Any] = {
        "target": target,
        "loss": spec.id,
        "label_kind": "integer" if integers else kind,
        "targets": check.targets or "all",
        "parameters": dict(check.parameters),
        "dtypes": check.dtypes,
        "quantities": check.quantities,
    }
    return Config(sweeps, seed=seed, document=document), None


def _target(
    spec: "Loss", target: str, check: "Check", own: "Implementation | None"
) -> "Target | None":
    if own is None:
        return None
    from xentcheck.model import Target

    return Target(
        spec.id,
        target,
        own.name,
        parameters=check.bind,
        framework=check.framework,
        built_in=own.built_in,
        shape=check.shape,
        label_dtype=check.label_dtype,
    )


def _write(report: Any, check: "Check", path: Path, own: "Target | None", gradient: str) -> None:
    """Write the configuration with what was found, and say so."""
    from xentcheck.config.found import found_rows

    text = found_rows(report, check.tolerance, path, None if own is None else (own, gradient))
    if not text:
        note(f"{path} is not written: there is no row to write")
        return
    write(path, text)
    note(f"{path}: the rows that were found; xentcheck run {path}")
