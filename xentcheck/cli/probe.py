"""`xentcheck probe`: every implementation on one input."""

# ruff: noqa: PLC0415

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from xentcheck.cli.delivery import Delivery, foreign, status_of
from xentcheck.cli.door import cli
from xentcheck.cli.options import (
    dtype_option,
    escaped,
    framework_option,
    gradient_option,
    known_dtypes,
    loss_option,
    number_from,
    numbers_from,
    opened,
    param_option,
    parameters_from,
    reporting,
    timeout_option,
)
from xentcheck.errors import UsageError
from xentcheck.report.formats import rendered

if TYPE_CHECKING:
    from xentcheck.losses.spec import Loss

PROBED_DTYPES = ("float32",)


@cli.command()
@loss_option
@click.option(
    "--logits",
    required=True,
    metavar="NUMBERS",
    help="The first argument: 1000,2000,3000. Also 1e4, -inf, nan, 0x1.8p3, and with one dtype "
    "max, smallest_subnormal. For an elementwise loss every number is a row.",
)
@click.option("--label", metavar="LABEL", help="A class, or the target of an elementwise loss.")
@click.option("--labels", metavar="NUMBERS", help="A distribution over the classes: 0,0.3,0.7.")
@param_option
@dtype_option(PROBED_DTYPES)
@click.option(
    "--implementation",
    "patterns",
    multiple=True,
    metavar="PATTERN|TARGET",
    help="Only those whose name matches ('*@*': variants); or your own module:function, "
    "file.py:function or command with {logits} {labels} {out}.",
)
@framework_option
@gradient_option
@timeout_option
@reporting
def probe(
    loss: str,
    logits: str,
    label: str | None,
    labels: str | None,
    params: Sequence[str],
    dtypes: Sequence[str],
    patterns: Sequence[str],
    framework: str,
    gradient: str,
    timeout_s: float | None,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
) -> int:
    """Ask every implementation of a loss about one input.

    Shows what each returned, in decimal and in hex, next to the exact value, for the value and the
    gradient.

    \b
    Examples:
      xentcheck probe --loss softmax_cross_entropy --logits 1000,2000,3000 --label 0
      xentcheck probe --loss softmax_cross_entropy --logits 20,0,0 --labels 0.9,0.1,0
      xentcheck probe --loss sigmoid_binary_cross_entropy --logits=-745,710 --label 1
      xentcheck probe --loss logsumexp --logits 1e4,1e4 --dtype float16 --dtype bfloat16
    """
    delivery = Delivery.planned(formats, outputs, color)
    from xentcheck import probing
    from xentcheck.losses import loss_of
    from xentcheck.model import LabelKind

    spec = loss_of(loss)
    chosen = known_dtypes(dtypes, PROBED_DTYPES)
    only = chosen[0] if len(chosen) == 1 else None
    numbers = numbers_from("--logits", logits, only)
    if label is not None and labels is not None:
        raise UsageError("--label and --labels exclude each other")
    given: float | Sequence[float] | None = None
    if label is not None:
        given = number_from("--label", label, only)
    elif labels is not None:
        given = numbers_from("--labels", labels, only)
    distribution = labels is not None and LabelKind.DISTRIBUTION in spec.label_kinds
    kind = LabelKind.DISTRIBUTION if distribution else spec.label_kinds[0]
    values = parameters_from(spec, kind, params, only)
    for name, value in values.items():
        if value == "random":
            raise UsageError(f"--param {name}=random: a probe needs its numbers, one per class")
    if kind is LabelKind.INTEGER and isinstance(given, float):
        _check_class(given, len(numbers), spec, values)
    with foreign():
        own = {
            each: opened(loss, each, gradient, framework, timeout_s)
            for each in patterns
            if ":" in each or "{out}" in each
        }
        result = probing.probe(
            loss,
            numbers,
            labels=given,
            parameters=values,
            dtypes=chosen,
            implementations=tuple(
                escaped(own[each].name) if each in own else each for each in patterns
            )
            or ("*",),
            extra=tuple(own.values()),
            timeout_s=timeout_s,
        )
    config = {
        "command": "probe",
        "loss": loss,
        "logits": numbers,
        "labels": given,
        "parameters": values,
        "dtypes": chosen,
        "implementations": patterns,
    }
    result = replace(result, report=replace(result.report, config=config))

    def render(form: str, width: int, *, color: bool) -> str:
        if form != "table":
            return rendered(result.report, form, width, color=color)
        from xentcheck.report.probe import render_probe
        from xentcheck.report.table import to_text

        return to_text(render_probe(result, width), width, color=color)

    delivery.deliver(render)
    return status_of(result.report)


def _check_class(label: float, classes: int, loss: "Loss", values: Mapping[str, Any]) -> None:
    ignored = loss.parameter("ignore_index")
    if 0 <= label < classes or (ignored and label == values.get(ignored.name, ignored.default)):
        return
    raise UsageError(f"--label {label:g}: {classes} logits have classes 0 to {classes - 1}")
