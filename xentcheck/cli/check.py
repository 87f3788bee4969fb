"""`xentcheck check`: the user's own loss on the standard sweep, as a gate."""

# ruff: noqa: PLC0415

from collections.abc import Sequence
from dataclasses import replace

import click

from xentcheck.cli.delivery import Delivery, foreign, run_audit
from xentcheck.cli.door import cli
from xentcheck.cli.options import (
    dtype_option,
    escaped,
    framework_option,
    gradient_option,
    known_dtypes,
    loss_option,
    opened,
    param_option,
    parameters_from,
    reporting,
    timeout_option,
    workers_option,
)
from xentcheck.errors import UsageError

CHECKED_DTYPES = ("float32", "float64")  # by `check`, unless it is told otherwise


@cli.command()
@click.argument("target", metavar="TARGET")
@loss_option
@click.option(
    "--label-kind",
    type=click.Choice(["integer", "distribution"]),
    help="What labels it takes; integer ones unless the loss has no such labels.",
)
@param_option
@dtype_option(CHECKED_DTYPES)
@framework_option
@gradient_option
@click.option("--max-ulp", type=float, default=4.0, help="The largest error allowed; 4 unless set.")
@click.option("--or-abs", type=float, default=0.0, help="An absolute error that is fine as well.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the random inputs.")
@workers_option
@timeout_option
@reporting
def check(
    target: str,
    loss: str,
    label_kind: str | None,
    params: Sequence[str],
    dtypes: Sequence[str],
    framework: str,
    gradient: str,
    max_ulp: float,
    or_abs: float,
    seed: int,
    workers: int | None,
    timeout_s: float | None,
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
      xentcheck check my_torch_loss.py:MyLoss --loss softmax_cross_entropy --framework torch
      xentcheck check './kernel {logits} {labels} {out}' --loss softmax_cross_entropy
    """
    delivery = Delivery.planned(formats, outputs, color)
    for name, value in (("--max-ulp", max_ulp), ("--or-abs", or_abs)):
        if not value >= 0:
            raise UsageError(f"{name} {value:g}: has to be 0 or more")
    from xentcheck.losses import loss_of
    from xentcheck.model import Config, LabelKind, Limit, Tolerance
    from xentcheck.sweeps import standard_sweeps

    spec = loss_of(loss)
    chosen = known_dtypes(dtypes, CHECKED_DTYPES)
    kind = LabelKind(label_kind) if label_kind else spec.label_kinds[0]
    if kind not in spec.label_kinds:
        raise UsageError(f"{loss} takes {' or '.join(spec.label_kinds)} labels, not {kind} ones")
    values = parameters_from(spec, kind, params, chosen[0] if len(chosen) == 1 else None)
    with foreign():
        implementation = opened(loss, target, gradient, framework, timeout_s)
    axes = {name: (value,) for name, value in values.items()}
    sweeps = standard_sweeps(spec, chosen, kind, axes)
    only = (escaped(implementation.name),)
    config = Config(
        sweeps=tuple(replace(sweep, implementations=only) for sweep in sweeps),
        limits=(
            Limit(Tolerance(max_ulp, or_abs), path="--max-ulp"),
            *(
                Limit(
                    Tolerance(max_ulp, or_abs, times_condition=True),
                    quantity=quantity,
                    path="--max-ulp",
                )
                for quantity, label in sorted(spec.cancels)
                if label == kind
            ),
        ),
        seed=seed,
        document={
            "command": "check",
            "target": target,
            "framework": framework,
            "gradient": gradient,
            "loss": loss,
            "label_kind": kind,
            "parameters": values,
            "dtypes": chosen,
            "max_ulp": max_ulp,
            "or_abs": or_abs,
        },
    )
    return run_audit(
        config, delivery, extra=(implementation,), workers=workers, timeout_s=timeout_s
    )
