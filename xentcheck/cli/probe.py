"""`xentcheck probe`: runs every implementation on one input."""

# ruff: noqa: PLC0415

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from xentcheck.cli.audit import status_of
from xentcheck.cli.completion import completing, implementation_names
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
    numbers_from,
    opened,
    param_option,
    parameters_from,
    reporting,
    targets_option,
    timeout_option,
)
from xentcheck.cli.output import Delivery, figures_of_probe
from xentcheck.cli.progress import ProgressDisplay
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.report.formats import rendered
from xentcheck.report.illustration import Picture

if TYPE_CHECKING:
    from xentcheck.losses.spec import Loss
    from xentcheck.model import ProbeResult, Sweep

PROBED_DTYPES = ("float32",)
STANDARD = "standard"  # in place of a file: the sweeps of `check`


@cli.command()
@loss_option
@click.option(
    "--logits",
    metavar="NUMBERS",
    help="The first argument: 1000,2000,3000. Also 1e4, -inf, nan, 0x1.8p3, and with one dtype "
    "max, smallest_subnormal. For an elementwise loss every number is a row; for others semicolons "
    "separate rows: '1,2;3,4'.",
)
@click.option(
    "--label",
    metavar="LABEL",
    help="A class, or the target of an elementwise loss; of several rows one each: 0,2,1.",
)
@click.option(
    "--labels",
    metavar="NUMBERS",
    help="A distribution over the classes, or one per row: 0,0.3,0.7.",
)
@click.option(
    "--row",
    metavar="FILE:SWEEP:ROW",
    help="Instead: a row that a sweep of a configuration has for this loss and dtype, with its "
    "labels and parameters. Of the sweeps of `check`: standard:SWEEP:ROW.",
)
@click.option("--block", is_flag=True, help="With --row: in the block of rows it is audited in.")
@click.option("--seed", type=click.IntRange(min=0), help="With --row: instead of the file's seed.")
@click.option(
    "--label-kind",
    type=click.Choice(["integer", "distribution"]),
    help="With --row standard:…, as for `check`.",
)
@targets_option
@param_option
@dtype_option(PROBED_DTYPES)
@click.option(
    "--implementation",
    "patterns",
    multiple=True,
    metavar="PATTERN|TARGET",
    shell_complete=completing(implementation_names),
    help="Only those whose name matches ('*@*': variants); or your own module:function, "
    "file.py:function or command with {logits} {labels} {out}.",
)
@calling
@timeout_option
@no_cache_option
@click.option("-v", "--verbose", is_flag=True, help="Explain what is wrong, step by step.")
@reporting
@plots_option("the error of every implementation, value beside gradient, for each dtype")
def probe(
    loss: str,
    logits: str | None,
    label: str | None,
    labels: str | None,
    row: str | None,
    block: bool,
    seed: int | None,
    label_kind: str | None,
    targets: str | None,
    params: Sequence[str],
    dtypes: Sequence[str],
    patterns: Sequence[str],
    framework: str,
    gradient: str,
    bound: Sequence[str],
    built_in: Sequence[str],
    shape: str,
    label_dtype: str,
    timeout_s: float | None,
    verbose: bool,
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
      xentcheck probe --loss softmax_cross_entropy --logits '1,2;3,4' --label 0,1 \\
          --param reduction=mean
      xentcheck probe --loss softmax_cross_entropy --row configs/sweep.yaml:ordinary:161
      xentcheck probe --loss softmax_cross_entropy --logits 20,0,0 --label 0 --plots figures
    """
    delivery = Delivery.planned(formats, outputs, color)
    from xentcheck.model import LabelKind, Target, escaped
    from xentcheck.sweeps import chosen_labels

    spec = named_loss(loss)
    loss = spec.id
    chosen = known_dtypes(dtypes, PROBED_DTYPES)
    kind, _, _ = chosen_labels(spec, label_kind, targets)
    if labels is not None and LabelKind.DISTRIBUTION in spec.label_kinds:
        kind = LabelKind.DISTRIBUTION
    only = chosen[0] if len(chosen) == 1 else None
    within = parameters_from(spec, kind, built_in, only, "--built-in")
    named = {each.partition("=")[0] for each in params}
    computed = [*params, *(each for each in built_in if each.partition("=")[0] not in named)]
    question: _Numbers | _RowOfSweep
    if row is not None:
        for option, value in (("--logits", logits), ("--label", label), ("--labels", labels)):
            if value is not None:
                raise UsageError(f"--row has its own input: {option} goes without it")
        question = _row_of_sweep(
            row, spec, chosen, label_kind, targets, computed, seed, block=block
        )
    elif logits is None:
        raise UsageError("there is nothing to ask about\n    help: add --logits, or --row")
    else:
        for option, given in (
            ("--block", block),
            ("--seed", seed is not None),
            ("--label-kind", label_kind),
            ("--targets", targets),
        ):
            if given:
                raise UsageError(f"{option} goes with --row")
        question = _numbers(logits, label, labels, computed, spec, chosen)
    way = Target(
        spec.id,
        "",
        "",
        parameters=keywords_from("--bind", bound),
        framework=framework,
        timeout_s=timeout_s,
        built_in=within,
        shape=shape,
        label_dtype=label_dtype,
    )
    with foreign(), ProgressDisplay() as display:
        from xentcheck.execution.targets import start_registered

        start_registered(loss, chosen, patterns)
        own = {
            each: opened(each, way, gradient) for each in patterns if ":" in each or "{out}" in each
        }
        for flag, words in (("--bind", bound), ("--built-in", built_in)):
            if words and not own:
                raise UsageError(f"{flag} goes with --implementation, and your own function there")
        result = question.asked(
            loss,
            progress=display,
            dtypes=chosen,
            implementations=tuple(
                escaped(own[each].name) if each in own else each for each in patterns
            )
            or ("*",),
            extra=tuple(own.values()),
            timeout_s=timeout_s,
            explain=verbose,
        )
    for each in result.notes:
        note(f"note: {each}")
    config = {
        "command": "probe",
        "loss": loss,
        **question.document(),
        "dtypes": chosen,
        "implementations": patterns,
    }
    result = replace(result, report=replace(result.report, config=config, timeout_s=timeout_s))

    def render(form: str, width: int, *, color: bool, pictures: Sequence[Picture]) -> str:
        if form != "table":
            return rendered(result.report, form, width, color=color, pictures=pictures)
        from xentcheck.report.grid import to_text
        from xentcheck.report.probe import render_probe

        return to_text(render_probe(result, width), width, color=color)

    delivery.deliver(render, figures_of_probe(result))
    return status_of(result.report)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """An input that is given as numbers."""

    logits: Any
    labels: Any
    parameters: Mapping[str, Any]

    def asked(self, loss: str, **how: Any) -> "ProbeResult":
        from xentcheck.auditing import probe

        return probe.probe(loss, self.logits, labels=self.labels, parameters=self.parameters, **how)

    def document(self) -> dict[str, Any]:
        return {"logits": self.logits, "labels": self.labels, "parameters": self.parameters}


@dataclass(frozen=True, slots=True)
class _RowOfSweep:
    """A row of a sweep, and the words of the options that name it."""

    sweep: "Sweep"
    row: int
    seed: int
    block: bool
    words: tuple[str, ...]

    def asked(self, loss: str, **how: Any) -> "ProbeResult":
        from xentcheck.auditing import probe

        return probe.probe_row(loss, self.sweep, self.row, seed=self.seed, block=self.block, **how)

    def document(self) -> dict[str, Any]:
        return {"row": self.words, "block": self.block}


def _numbers(
    logits: str,
    label: str | None,
    labels: str | None,
    params: Sequence[str],
    spec: "Loss",
    dtypes: Sequence[str],
) -> _Numbers:
    from xentcheck.model import LabelKind

    only = dtypes[0] if len(dtypes) == 1 else None
    numbers = _rows("--logits", logits, only)
    if label is not None and labels is not None:
        raise UsageError("--label and --labels exclude each other")
    given: Any = None
    if label is not None:
        given = numbers_from("--label", label, only)
        if len(given) == 1 and not isinstance(numbers[0], tuple):
            (given,) = given
        elif not isinstance(numbers[0], tuple) and LabelKind.TARGET not in spec.label_kinds:
            raise UsageError(f"--label {label}: expected one number, for there is one row")
    elif labels is not None:
        given = _rows("--labels", labels, only)
        if isinstance(numbers[0], tuple) and not isinstance(given[0], tuple):
            message = f"--labels {labels}: expected a distribution for each of {len(numbers)} rows"
            raise UsageError(f"{message}\n    help: separate them by semicolons, or use --label")
    distribution = labels is not None and LabelKind.DISTRIBUTION in spec.label_kinds
    kind = LabelKind.DISTRIBUTION if distribution else spec.label_kinds[0]
    values = _parameters(spec, kind, params, only)
    if kind is LabelKind.INTEGER and label is not None:
        classes = len(numbers[0]) if isinstance(numbers[0], tuple) else len(numbers)
        for each in given if isinstance(given, tuple) else (given,):
            _check_class(each, classes, spec, values)
    return _Numbers(numbers, given, values)


def _rows(option: str, written: str, dtype: str | None) -> tuple[Any, ...]:
    """A row of numbers, or rows of the same length if semicolons separate them."""
    nested = re.fullmatch(r"\[\s*(\[[^\[\]]*\][\s,]*)+\]", written.strip())
    if nested:  # the form in which Python and NumPy print rows
        written = ";".join(re.findall(r"\[([^\[\]]*)\]", nested[0]))
    if ";" not in written:
        row = numbers_from(option, written, dtype)
        return (row,) if nested else row
    rows = tuple(numbers_from(option, each, dtype) for each in written.split(";"))
    for number, each in enumerate(rows):
        if len(each) != len(rows[0]):
            message = f"row {number} has {len(each)} numbers, and row 0 has {len(rows[0])}"
            raise UsageError(f"{option}: {message}")
    return rows


def _parameters(
    spec: "Loss", kind: Any, params: Sequence[str], dtype: str | None
) -> dict[str, Any]:
    """The values of parameters. A parameter per row may have rows of numbers."""
    from xentcheck.model import ParameterKind

    by_row = {}
    for text in params:
        name, _, written = text.partition("=")
        parameter = spec.parameter(name)
        if parameter is not None and parameter.kind == ParameterKind.ROW_MATRIX and ";" in written:
            _rows(f"--param {name}", written, dtype)
            by_row[name] = written.split(";")
    values = parameters_from(
        spec, kind, [text for text in params if text.partition("=")[0] not in by_row], dtype
    )
    for name, rows in by_row.items():
        read = [parameters_from(spec, kind, [f"{name}={each}"], dtype)[name] for each in rows]
        values[name] = tuple(read)
    for name, value in values.items():
        if value == "random":
            raise UsageError(f"--param {name}=random: a probe needs its numbers, one per class")
    return values


def _row_of_sweep(
    row: str,
    spec: "Loss",
    dtypes: Sequence[str],
    label_kind: str | None,
    targets: str | None,
    params: Sequence[str],
    seed: int | None,
    *,
    block: bool,
) -> _RowOfSweep:
    from xentcheck.reading.numbers import parse_integer

    place, name, written = (*row.rsplit(":", 2), "", "")[:3]
    if not (place and name and written):
        raise UsageError(
            f"--row {row}: expected FILE:SWEEP:ROW\n"
            "    help: such as configs/sweep.yaml:ordinary:161, or standard:wide:3"
        )
    try:
        number = parse_integer(written)
    except ValueError as error:
        raise UsageError(f"--row {row}: {error}") from None
    words = ["--row", row]
    if place == STANDARD:
        sweeps = _standard(spec, dtypes, label_kind, targets, params)
        words += ["--label-kind", label_kind] if label_kind else []
        words += ["--targets", targets] if targets else []
        words += [word for each in params for word in ("--param", each)]
        drawn = seed or 0
    else:
        from xentcheck.config import load

        if params or label_kind or targets:
            option = "--param" if params else "--label-kind" if label_kind else "--targets"
            raise UsageError(f"{option} goes with --row standard:…; a file's sweep has its own")
        config = load(place)
        sweeps = config.sweeps
        drawn = config.seed if seed is None else seed
    words += [] if seed is None else ["--seed", str(seed)]
    by_name = {sweep.name: sweep for sweep in sweeps}
    if name not in by_name:
        raise UnknownNameError(f"sweep of {place}", name, by_name)
    return _RowOfSweep(by_name[name], number, drawn, block, tuple(words))


def _standard(
    spec: "Loss",
    dtypes: Sequence[str],
    label_kind: str | None,
    targets: str | None,
    params: Sequence[str],
) -> Sequence["Sweep"]:
    """The sweeps that `check` runs with these options."""
    from xentcheck.sweeps import chosen_labels, standard_sweeps

    kind, chosen, integers = chosen_labels(spec, label_kind, targets)
    values = parameters_from(spec, kind, params, dtypes[0] if len(dtypes) == 1 else None)
    axes = {name: (each,) for name, each in values.items()}
    return standard_sweeps(spec, dtypes, kind, axes, chosen, integers=integers)


def _check_class(label: float, classes: int, loss: "Loss", values: Mapping[str, Any]) -> None:
    ignored = loss.parameter("ignore_index")
    if 0 <= label < classes or (ignored and label == values.get(ignored.name, ignored.default)):
        return
    raise UsageError(f"--label {label:g}: {classes} logits have classes 0 to {classes - 1}")
