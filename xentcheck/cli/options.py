"""The options that commands share, and the functions that read their values."""

# ruff: noqa: PLC0415

import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from xentcheck.cli.completion import (
    completing,
    dtype_names,
    invariant_names,
    loss_names,
    parameter_names,
)
from xentcheck.cli.entry import note
from xentcheck.cli.opening import open_option
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.report.detail import Detail
from xentcheck.report.formats import NAMES as FORMAT_NAMES
from xentcheck.report.formats import listed
from xentcheck.switches import NO_CACHE

if TYPE_CHECKING:
    from xentcheck.losses.spec import Loss
    from xentcheck.model import Implementation, LabelKind, Parameter, Target

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")
# copies of those in `implementations.shapes` and `implementations.bridge`, not imported for --help
SHAPES = ("rows", "sequence", "class-second")
LABEL_DTYPES = ("int64", "int32", "int16", "int8", "uint8")


def reporting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that writes a report."""
    for option in (
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="auto: on a terminal or with FORCE_COLOR, unless NO_COLOR is set.",
        ),
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="FILE",
            help="Where the format goes (repeatable, in the order of --format; - is stdout).",
        ),
        click.option(
            "--format",
            "formats",
            multiple=True,
            type=click.Choice(FORMAT_NAMES),
            metavar="FORMAT",
            help=f"{listed()}; repeatable. A file's suffix says its own.",
        ),
        open_option,
    ):
        command = option(command)
    return command


workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many processes share the work; all cores unless set (at most 4 where each loads "
    "frameworks). The report does not depend on it.",
)
timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long one call of a framework or of your code may take; 300 s unless set.",
)
allow_skips_option = click.option(
    "--allow-skips",
    is_flag=True,
    help="Pass though something that is named was not audited: a gradient that is gone, a "
    "framework that is not installed.",
)
ranges_option = click.option(
    "--ranges",
    is_flag=True,
    help="Also find where the grades hold: the exact number along each axis (gap, offset, largest "
    "logit, classes, ...) where one is lost.",
)
witnesses_option = click.option(
    "--witnesses",
    default="",
    metavar="DIR",
    help="Save the input of every finding there: .npz files, each with a script that shows it.",
)
framework_option = click.option(
    "--framework",
    type=click.Choice(FRAMEWORKS),
    default="numpy",
    help="What arrays your function is given; numpy unless set. The others also differentiate it.",
)
gradient_option = click.option(
    "--gradient",
    default="auto",
    metavar="TARGET|auto|none",
    help="Your gradient function. auto: by the framework; of NumPy arrays LOSS_gradient, "
    "LOSS_grad, grad_LOSS, gradient or grad beside it, where LOSS is the function's name.",
)


def loss_option_for(*, required: bool) -> Callable[..., Any]:
    """The option --loss of a command."""
    return click.option(
        "--loss",
        required=required,
        default=None if required else "",
        is_eager=True,  # other completions depend on it
        metavar="LOSS",
        shell_complete=completing(loss_names),
        help="What is computed; `xentcheck list losses` has them. Other names will do: "
        "cross_entropy." + ("" if required else " Not needed with --invariants."),
    )


loss_option = loss_option_for(required=True)
invariants_option = click.option(
    "--invariants",
    default="",
    metavar="NAME,NAME",
    shell_complete=completing(invariant_names),
    help="Which invariants are asked, or none; all that the loss has unless set. Without --loss "
    "only these are checked, and nothing else is known of the results: `xentcheck list "
    "invariants`.",
)
targets_option = click.option(
    "--targets",
    type=click.Choice(["ends", "soft", "all"]),
    default=None,
    help="Which labels `check` draws; all unless set. ends: 0 and 1, or one-hot; soft: none of "
    "these.",
)
param_option = click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=completing(parameter_names),
    help="A parameter of the loss, such as label_smoothing=0.1 (repeatable).",
)


bind_option = click.option(
    "--bind",
    "bound",
    multiple=True,
    metavar="NAME=VALUE",
    help="A keyword argument of every call of your own function, or of the constructor of your "
    "class (repeatable).",
)
built_in_option = click.option(
    "--built-in",
    "built_in",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the loss that your function computes with and does not take, such as "
    "gamma=1.5 (repeatable).",
)
shape_option = click.option(
    "--shape",
    type=click.Choice(SHAPES),
    default=SHAPES[0],
    help="What your function wants: rows, (rows, classes), unless set; sequence, (batch, sequence, "
    "classes); class-second, (batch, classes, sequence).",
)
label_dtype_option = click.option(
    "--label-dtype",
    type=click.Choice(LABEL_DTYPES),
    default=LABEL_DTYPES[0],
    help="The dtype of integer labels that your function wants; int64 unless set.",
)


READING = """\b
The table:
  The matrix has the grade of each implementation, dtype and quantity, over all sweeps: B broken,
  L lossy, A absolute, a accurate, f faithful, r rounded (`xentcheck list grades`). A small letter
  keeps its digits, as far as the condition of the input lets it. Beside it stand the bits that the
  largest finite error loses, or NaN or inf where a row gives that and should not.
  !  beyond a limit      ~  beyond it, and tolerated by the baseline
  With -v, NaN and inf are rows of kind nan and spurious-overflow; max, p99 and median ulp and max
  abs are the worst of all sweeps, over rows with a finite error. A chart is as high as the bits
  that are lost along an axis of the inputs; ! is a NaN or an infinity.
"""
"""How to read the table; the end of the help of commands that print it."""


def detailed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how much the terminal shows: ``verbose`` and ``quiet``."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="In the table: the verdict alone."),
        click.option(
            "-v",
            "--verbose",
            count=True,
            help="In the table: -v all cells with their numbers, -vv every finding as well, with "
            "its witness and the command that replays it.",
        ),
    ):
        command = option(command)
    return command


def detail_from(verbose: int, quiet: bool) -> Detail:
    """How much the table shows.

    Raises:
        UsageError: both options are given.
    """
    if verbose and quiet:
        raise UsageError("--verbose and --quiet exclude each other")
    return Detail.VERDICT if quiet else Detail(min(verbose, Detail.FINDINGS))


def _without_cache(context: click.Context, _: click.Parameter, given: bool) -> None:
    if not given:
        return
    before = os.environ.get(NO_CACHE, "")
    os.environ[NO_CACHE] = "1"
    context.call_on_close(lambda: os.environ.__setitem__(NO_CACHE, before))


no_cache_option = click.option(
    "--no-cache",
    is_flag=True,
    expose_value=False,
    callback=_without_cache,
    help="Do not keep compiled programs of frameworks between runs, and use none that are kept. "
    f"The environment variable {NO_CACHE} does the same.",
)


diagnosis_option = click.option(
    "--no-diagnosis",
    "diagnosis",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Do not look for the causes of what is found.",
)


def calling(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how the user's own function is called."""
    options = (
        framework_option,
        gradient_option,
        bind_option,
        built_in_option,
        shape_option,
        label_dtype_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def dtype_option(defaults: Sequence[str]) -> Callable[..., Any]:
    return click.option(
        "--dtype",
        "dtypes",
        multiple=True,
        metavar="DTYPE",
        shell_complete=completing(dtype_names),
        help=f"A dtype (repeatable); {' and '.join(defaults)} unless given.",
    )


def named_loss(name: str) -> "Loss":
    """The loss with a name or alias. An alias prints a note.

    Raises:
        UnknownNameError: with the nearest names.
    """
    from xentcheck.losses import loss_of

    loss = loss_of(name)
    if loss.id != name:
        note(f"note: {name} is {loss.id}, of {loss.domain}")
    return loss


def known_dtypes(dtypes: Sequence[str], defaults: Sequence[str]) -> tuple[str, ...]:
    from xentcheck.floats import FORMATS

    known = tuple(FORMATS)
    for dtype in dtypes:
        if dtype not in known:
            raise UnknownNameError("dtype", dtype, known)
    return tuple(dict.fromkeys(dtypes)) or tuple(defaults)


def keywords_from(option: str, given: Sequence[str]) -> dict[str, Any]:
    """Keyword arguments from ``NAME=VALUE`` texts. A value is read as JSON if possible.

    ``True``, ``False`` and ``None`` are also read. Any other value is text.
    """
    arguments: dict[str, Any] = {}
    for text in given:
        name, separator, written = text.partition("=")
        if not separator or not name.isidentifier():
            raise UsageError(f"{option} {text}: expected NAME=VALUE")
        if name in arguments:
            raise UsageError(f"{option} {name} is given twice")
        try:
            arguments[name] = json.loads(written)
        except ValueError:
            arguments[name] = {"True": True, "False": False, "None": None}.get(written, written)
    return arguments


def parameters_from(
    loss: "Loss",
    label_kind: "LabelKind",
    params: Sequence[str],
    dtype: str | None,
    option: str = "--param",
) -> dict[str, Any]:
    """The values of a loss's parameters from ``NAME=VALUE`` texts.

    Args:
        loss: has the parameters.
        label_kind: the kind of labels that the parameters have to go with.
        params: the texts.
        dtype: the dtype of named numbers such as ``max``; None: they are not allowed.
        option: the name of the option in error messages.

    Raises:
        UsageError: a text or a value is wrong.
        UnknownNameError: the loss does not have the parameter.
    """
    from xentcheck.losses.parameters import checked, parameter_of

    values: dict[str, Any] = {}
    for text in params:
        name, separator, written = text.partition("=")
        if not separator:
            raise UsageError(f"{option} {text}: expected NAME=VALUE")
        if name in values:
            raise UsageError(f"{option} {name} is given twice")
        parameter = parameter_of(loss, label_kind, name, f"{option} ")
        value = _parameter(parameter, written, dtype, f"{option} {name}")
        values[name] = checked(parameter, value, f"{option} ")
    return values


def _parameter(parameter: "Parameter", written: str, dtype: str | None, where: str) -> Any:
    """The written value, converted to the type of the parameter."""
    from xentcheck.model import ParameterKind

    match parameter.kind:
        case ParameterKind.FLAG:
            if written not in ("true", "false"):
                raise UsageError(f"{where}={written}: expected true or false")
            return written == "true"
        case ParameterKind.CHOICE:
            return written
        case ParameterKind.CLASS_VECTOR | ParameterKind.ROW_MATRIX:
            # "random" works for any number of classes, as in a configuration
            return written if written == "random" else numbers_from(where, written, dtype)
    number = number_from(where, written, dtype)
    if parameter.kind is ParameterKind.INTEGER and not number.is_integer():
        raise UsageError(f"{where}={written}: expected a whole number")
    return number


def unwrapped(written: str) -> str:
    """Numbers without the brackets that Python and NumPy print around them."""
    text = written.strip()
    for opening, closing in ("[]", "()"):
        if text.startswith(opening) and text.endswith(closing):
            return text[1:-1]
    return written


def numbers_from(option: str, written: str, dtype: str | None) -> tuple[float, ...]:
    """Numbers separated by commas or blanks.

    Named numbers such as ``max`` need a ``dtype``. ``option`` names the option in error messages.
    """
    from xentcheck.reading.numbers import parse_number

    numbers = []
    for text in unwrapped(written).replace(",", " ").split():
        try:
            numbers.append(parse_number(text, dtype))
        except ValueError as error:
            raise UsageError(f"{option}: {error}") from None
    if not numbers:
        raise UsageError(f"{option}: expected numbers separated by commas")
    return tuple(numbers)


def number_from(option: str, written: str, dtype: str | None) -> float:
    numbers = numbers_from(option, written, dtype)
    if len(numbers) != 1:
        raise UsageError(f"{option} {written}: expected one number")
    return numbers[0]


def opened(target: str, way: "Target", gradient: str) -> "Implementation":
    """The user's implementation, with a gradient as ``gradient`` says. Notes are printed.

    Args:
        target: ``module:function``, ``file.py:function`` or a command.
        way: the loss that it computes and how to call it.
        gradient: a target, ``auto`` (by the framework, or a function beside it) or ``none``.
    """

    from xentcheck.auditing.own_code import opened as opened_here

    implementation, notes = opened_here(target, way, gradient)
    for each in notes:
        note(f"note: {each}")
    return implementation
