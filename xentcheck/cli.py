"""The command ``xentcheck``: options → audit → report → exit code.

Everything heavy is imported within the commands: ``--help``, ``--version`` and a mistyped option
cost no NumPy, no mpmath and no rich.
"""

# ruff: noqa: PLC0415

import contextlib
import functools
import os
import re
import shlex
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from xentcheck import __version__
from xentcheck.errors import (
    INTERNAL_ERROR,
    ConfigError,
    EmptySweepError,
    UncertifiedError,
    UnknownNameError,
    UsageError,
    XentcheckError,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from xentcheck.audit import Progress
    from xentcheck.losses.spec import Loss
    from xentcheck.model import Config, Implementation, LabelKind, Parameter, Report

WITHIN_LIMITS = 0  # or a survey
VIOLATIONS = 1
USAGE = 2
NOTHING_AUDITED = 3
INTERNAL = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")
CHECKED_DTYPES = ("float32", "float64")  # by `check`, unless it is told otherwise
PROBED_DTYPES = ("float32",)
_FORMATS = ("table", "json", "atlas")
_SUFFIXES = {".json": "json", ".txt": "table", ".md": "atlas"}
_STDOUT = ("-", "/dev/stdout")
_PATIENCE = 2.0  # seconds before progress is shown
_REDRAW = 0.1  # seconds between two drawings of it


def main() -> None:
    """The console script. Never returns: ends the process with the exit status."""
    _claim_stdout()
    cli(prog_name="xentcheck")


def _claim_stdout() -> None:
    """Keep the real standard output for results, and point file descriptor 1 to stderr.

    Audited code may print from C, whose buffers are flushed as late as at exit; so this is never
    undone.
    """
    try:
        real = os.dup(1)
    except OSError:  # closed: results have nowhere to go, but the exit status does
        real = None
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if real is not None and sys.stdout is not None:
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(real, "w", encoding=encoding, errors=errors)  # noqa: SIM115


class _Door(click.Group):
    """Turns every way to end into an exit status, and every error into a line on stderr."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            status = super().main(args, standalone_mode=False, **extra)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "xentcheck"
            _complain(error.format_message(), f"{command} --help")
            status = USAGE
        except click.ClickException as error:
            _complain(error.format_message())
            status = USAGE
        except click.Abort:
            status = INTERRUPTED
        sys.exit(status or 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except ConfigError as error:
            for problem in error.problems:
                _complain(str(problem))
            return USAGE
        except XentcheckError as error:
            _complain(str(error))
            return _STATUS.get(type(error), USAGE)
        except KeyboardInterrupt:
            _complain("interrupted")
            return INTERRUPTED
        except SystemExit as stop:
            _complain(f"the audited code tried to end the process: SystemExit({stop.code!r})")
            return USAGE
        except Exception as error:
            if ctx.params["debug"]:
                traceback.print_exc()
            text = " ".join(str(error).split())
            remedy = "this is a fault of xentcheck; `xentcheck --debug …` prints the traceback"
            _complain(f"internal error: {type(error).__name__}: {text}", remedy)
            return INTERNAL


_STATUS = {EmptySweepError: NOTHING_AUDITED, UncertifiedError: INTERNAL}


def _complain(message: str, remedy: str = "") -> None:
    _note(f"error: {message}" + (f"\n    help: {remedy}" if remedy else ""))


def _note(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


@click.group(
    cls=_Door,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="xentcheck")
@click.option("--debug", is_flag=True, help="Print the traceback of an internal error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Where does a cross-entropy loss break, how badly, and on what input?

    Every result is held against the exact value, certified by interval arithmetic, of the very
    numbers the implementation was given: values and gradients, in ulps.

    \b
    Examples:
      xentcheck run configs/sweep.yaml
      xentcheck check my_loss.py:loss --loss softmax_cross_entropy
      xentcheck probe --loss softmax_cross_entropy --logits 1000,2000,3000 --label 0
      xentcheck list losses

    \b
    Exit status: 0 within limits, or a survey   1 violations    2 usage or configuration
                 3 nothing was audited          4 internal error
    Shell completion: eval "$(_XENTCHECK_COMPLETE=bash_source xentcheck)", or zsh_source.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(USAGE)


# -- what the commands share ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Destination:
    """One format and where it goes; no path is standard output."""

    format: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Where a report goes, checked before the work starts."""

    destinations: tuple[_Destination, ...]
    color: str

    @staticmethod
    def planned(formats: Sequence[str], outputs: Sequence[str], color: str) -> "_Delivery":
        """Format i goes to output i. Raises UsageError for what could not be written later."""
        pairs = []
        for i in range(max(len(formats), len(outputs), 1)):
            output = outputs[i] if i < len(outputs) else "-"
            path = None if output in _STDOUT else _writable(output)
            pairs.append(_Destination(_format(formats, i, path), path))
        paths = [pair.path for pair in pairs]
        for path in paths:
            if paths.count(path) > 1:
                place = "standard output" if path is None else str(path)
                message = (
                    f"two formats would go to {place}\n"
                    "    help: the first --format goes to the first --output, and so on; "
                    "--output - is standard output"
                )
                raise UsageError(message)
        return _Delivery(tuple(pairs), color)

    def deliver(self, render: Callable[[str, int, bool], str]) -> None:
        """Write what ``render(format, width, color)`` gives to every destination."""
        for destination in self.destinations:
            if destination.path is None:
                terminal = sys.stdout is not None and sys.stdout.isatty()
                _print(render(destination.format, _width(terminal), self._colored(terminal)))
            else:
                _write(destination.path, render(destination.format, _width(False), False))

    def _colored(self, terminal: bool) -> bool:
        if self.color != "auto":
            return self.color == "always"
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return terminal and not plain


def _format(formats: Sequence[str], position: int, path: Path | None) -> str:
    if position < len(formats):
        return formats[position]
    if path is None:
        return "table"
    if path.suffix not in _SUFFIXES:
        raise UsageError(
            f"no format is given for {path}\n    help: add --format {' or '.join(_FORMATS)}"
        )
    return _SUFFIXES[path.suffix]


def _writable(output: str) -> Path:
    path = Path(output)
    if path.is_dir():
        raise UsageError(f"--output {output} is a directory")
    if not path.parent.is_dir():
        message = f"--output {output}: there is no directory {path.parent}"
        raise UsageError(f"{message}\n    help: mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"--output {output}: permission denied")
    return path


def _width(terminal: bool) -> int:
    """The width of the terminal, or what COLUMNS says, or a hundred columns."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size((100, 24)).columns if terminal else 100


def _print(text: str) -> None:
    """Write to standard output. A reader that has gone is no error: the exit status stands."""
    stream = sys.stdout
    if stream is None:
        return
    try:
        stream.write(_encodable(text, stream.encoding))
        stream.flush()
    except OSError as error:
        # What Python still holds would fail again at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"cannot write to standard output: {error.strerror}") from None


def _encodable(text: str, encoding: str | None) -> str:
    """The text with stand-ins of the same width for what the encoding lacks."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = text.translate(str.maketrans("→…·×−", ">~|x-"))
        return plain.encode(encoding, "replace").decode(encoding)
    return text


def _write(path: Path, text: str) -> None:
    """Write a file in one piece: nobody sees half of it, and a failure leaves the old one."""
    try:
        if path.exists() and not path.is_file():  # a pipe, or /dev/null
            path.write_text(text, encoding="utf-8")
            return
        final = path.resolve()
        partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def _foreign() -> contextlib.AbstractContextManager[Any]:
    """Around everything that loads or calls code of others: what it prints goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr)


class _ProgressBar:
    """Progress on stderr, when that is a terminal and the work takes longer than a moment.

    It is drawn when something is reported and by no thread of its own: worker processes are forked
    from this one.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = 0.0
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._live: Any = None

    def __enter__(self) -> "_ProgressBar":
        return self

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if not self._wanted or now - self._started < _PATIENCE or now - self._drawn < _REDRAW:
            return
        from xentcheck.report import progress as line

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._drawn = now
        width = self._live.console.width
        self._live.update(line.render(progress, now - self._started, width), refresh=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()


def _audit(
    config: "Config",
    delivery: _Delivery,
    select: Sequence[str] = (),
    extra: Sequence["Implementation"] = (),
    workers: int | None = None,
    timeout_s: float | None = None,
) -> int:
    """Audit, deliver the report, and say with which status to exit."""
    from xentcheck.audit import audit

    with _foreign(), _ProgressBar() as progress:
        report = audit(
            config,
            select=select,
            extra=extra,
            workers=workers,
            timeout_s=timeout_s,
            progress=progress,
        )
    delivery.deliver(functools.partial(_rendered, report))
    return _status(report)


def _rendered(report: "Report", form: str, width: int, color: bool) -> str:
    if form == "json":
        from xentcheck.report import document

        return document.to_json(report)
    if form == "atlas":
        from datetime import datetime

        from xentcheck.report import atlas

        return atlas.render(report, datetime.now().astimezone().date().isoformat())
    from xentcheck.report import table

    return table.render(report, width, color=color)


def _status(report: "Report") -> int:
    for death in report.deaths:
        _note(death)
    for case in report.uncertified:
        _complain(case if case.startswith(INTERNAL_ERROR) else f"not audited: {case}")
    if report.uncertified:
        return INTERNAL
    if report.interrupted:
        _complain("interrupted: the report has only what was finished until then")
        return INTERRUPTED
    if report.violations:
        return VIOLATIONS
    if not report.measurements and not report.findings:
        reasons = dict.fromkeys(skip.reason for skip in report.skips)
        _complain("nothing was audited", "; ".join(reasons) or "the configuration has no cases")
        return NOTHING_AUDITED
    return WITHIN_LIMITS


def _completing(names: Callable[[], Sequence[str]]) -> Callable[..., list["CompletionItem"]]:
    def complete(
        _ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list["CompletionItem"]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in names() if name.startswith(incomplete)]

    return complete


def _loss_names() -> Sequence[str]:
    from xentcheck.losses import LOSSES

    return tuple(LOSSES)


def _dtype_names() -> Sequence[str]:
    from xentcheck.floats import FORMATS

    return tuple(FORMATS)


def _reporting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that writes a report."""
    for option in (
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="auto: on a terminal, unless NO_COLOR is set.",
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
            type=click.Choice(_FORMATS),
            help="table (the default), json, or atlas (Markdown); repeatable.",
        ),
    ):
        command = option(command)
    return command


_workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many processes share the work; all cores unless set (at most 4 where each loads "
    "frameworks). The report does not depend on it.",
)
_timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long one call of a framework or of your code may take; 300 s unless set.",
)
_framework_option = click.option(
    "--framework",
    type=click.Choice(FRAMEWORKS),
    default="numpy",
    help="What arrays your function is given; numpy unless set. The others also differentiate it.",
)
_gradient_option = click.option(
    "--gradient",
    default="auto",
    metavar="TARGET|auto|none",
    help="Your gradient function. auto: by the framework; of NumPy arrays LOSS_gradient, "
    "LOSS_grad, grad_LOSS, gradient or grad beside it, where LOSS is the function's name.",
)
_loss_option = click.option(
    "--loss",
    required=True,
    metavar="LOSS",
    shell_complete=_completing(_loss_names),
    help="What is computed; `xentcheck list losses` has them.",
)
_param_option = click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the loss, such as label_smoothing=0.1 (repeatable).",
)


def _dtype_option(defaults: Sequence[str]) -> Callable[..., Any]:
    return click.option(
        "--dtype",
        "dtypes",
        multiple=True,
        metavar="DTYPE",
        shell_complete=_completing(_dtype_names),
        help=f"A dtype (repeatable); {' and '.join(defaults)} unless given.",
    )


def _known_dtypes(dtypes: Sequence[str], defaults: Sequence[str]) -> tuple[str, ...]:
    known = _dtype_names()
    for dtype in dtypes:
        if dtype not in known:
            raise UnknownNameError("dtype", dtype, known)
    return tuple(dict.fromkeys(dtypes)) or tuple(defaults)


def _parameters(
    loss: "Loss", label_kind: "LabelKind", params: Sequence[str], dtype: str | None
) -> dict[str, Any]:
    """``NAME=VALUE`` options as values of the loss's parameters.

    Raises UsageError, or UnknownNameError for a parameter the loss does not have.
    """
    values: dict[str, Any] = {}
    for text in params:
        name, separator, written = text.partition("=")
        if not separator:
            raise UsageError(f"--param {text}: expected NAME=VALUE")
        parameter = loss.parameter(name)
        if parameter is None:
            known = [each.name for each in loss.parameters]
            raise UnknownNameError(f"parameter of {loss.id}", name, known)
        if name in values:
            raise UsageError(f"--param {name} is given twice")
        if parameter.label_kinds and label_kind not in parameter.label_kinds:
            kinds = " or ".join(parameter.label_kinds)
            raise UsageError(f"--param {name} goes with {kinds} labels, not with {label_kind} ones")
        values[name] = _parameter(parameter, written, dtype)
    return values


def _parameter(parameter: "Parameter", written: str, dtype: str | None) -> Any:
    match parameter.kind:
        case "flag":
            if written not in ("true", "false"):
                raise UsageError(f"--param {parameter.name}={written}: expected true or false")
            return written == "true"
        case "choice":
            if written not in parameter.choices:
                what = f"value of --param {parameter.name}"
                raise UnknownNameError(what, written, parameter.choices)
            return written
        case "class-vector" | "row-matrix":
            if written == "random":  # of every class count, as in a configuration
                return written
            numbers = _numbers(f"--param {parameter.name}", written, dtype)
            for number in numbers:
                _check_range(parameter, number)
            return numbers
    number = _number(f"--param {parameter.name}", written, dtype)
    if parameter.kind == "integer" and not number.is_integer():
        raise UsageError(f"--param {parameter.name}={written}: expected a whole number")
    _check_range(parameter, number)
    return int(number) if parameter.kind == "integer" else number


def _check_range(parameter: "Parameter", number: float) -> None:
    low, high = parameter.minimum, parameter.maximum
    if not (low is None or number >= low) or not (high is None or number <= high):
        bounds = " and ".join(
            part
            for part in (
                "" if low is None else f"at least {low:g}",
                "" if high is None else f"at most {high:g}",
            )
            if part
        )
        raise UsageError(f"--param {parameter.name}={number:g}: has to be {bounds}")


def _numbers(option: str, written: str, dtype: str | None) -> tuple[float, ...]:
    """Numbers separated by commas or blanks; named ones (``max``) where there is one dtype."""
    from xentcheck.numbers import parse_number

    numbers = []
    for text in written.replace(",", " ").split():
        try:
            numbers.append(parse_number(text, dtype))
        except ValueError as error:
            raise UsageError(f"{option}: {error}") from None
    if not numbers:
        raise UsageError(f"{option}: expected numbers separated by commas")
    return tuple(numbers)


def _number(option: str, written: str, dtype: str | None) -> float:
    numbers = _numbers(option, written, dtype)
    if len(numbers) != 1:
        raise UsageError(f"{option} {written}: expected one number")
    return numbers[0]


# -- commands ---------------------------------------------------------------------------------


@cli.command(short_help="Audit what a configuration says.")
@click.argument("config", metavar="CONFIG")
@_reporting
@click.option(
    "--select",
    multiple=True,
    metavar="PATTERN",
    help="Audit only implementations whose name matches, such as 'numpy.*' (repeatable).",
)
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the configuration's seed.")
@_workers_option
@_timeout_option
def run(
    config: str,
    formats: Sequence[str],
    outputs: Sequence[str],
    color: str,
    select: Sequence[str],
    seed: int | None,
    workers: int | None,
    timeout_s: float | None,
) -> int:
    """Audit what a configuration says: many implementations on declared inputs.

    Without limits in CONFIG this is a survey, which reports everything and exits 0; with limits it
    is a gate.

    \b
    Examples:
      xentcheck run configs/sweep.yaml
      xentcheck run configs/gate.yaml --format table --output - --format json --output report.json
      xentcheck run configs/sweep.yaml --select 'numpy.accurate'
    """
    delivery = _Delivery.planned(formats, outputs, color)
    from xentcheck.config import load

    loaded = load(config)
    config_ = loaded if seed is None else replace(loaded, seed=seed)
    return _audit(config_, delivery, select, workers=workers, timeout_s=timeout_s)


@cli.command()
@click.argument("target", metavar="TARGET")
@_loss_option
@click.option(
    "--label-kind",
    type=click.Choice(["integer", "distribution"]),
    help="What labels it takes; integer ones unless the loss has no such labels.",
)
@_param_option
@_dtype_option(CHECKED_DTYPES)
@_framework_option
@_gradient_option
@click.option("--max-ulp", type=float, default=4.0, help="The largest error allowed; 4 unless set.")
@click.option("--or-abs", type=float, default=0.0, help="An absolute error that is fine as well.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the random inputs.")
@_workers_option
@_timeout_option
@_reporting
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
    delivery = _Delivery.planned(formats, outputs, color)
    for name, value in (("--max-ulp", max_ulp), ("--or-abs", or_abs)):
        if not value >= 0:
            raise UsageError(f"{name} {value:g}: has to be 0 or more")
    from xentcheck.losses import loss_of
    from xentcheck.model import Config, LabelKind, Limit, Tolerance
    from xentcheck.sweeps import standard_sweeps

    spec = loss_of(loss)
    chosen = _known_dtypes(dtypes, CHECKED_DTYPES)
    kind = LabelKind(label_kind) if label_kind else spec.label_kinds[0]
    if kind not in spec.label_kinds:
        raise UsageError(f"{loss} takes {' or '.join(spec.label_kinds)} labels, not {kind} ones")
    values = _parameters(spec, kind, params, chosen[0] if len(chosen) == 1 else None)
    with _foreign():
        implementation = _opened(loss, target, gradient, framework, timeout_s)
    axes = {name: (value,) for name, value in values.items()}
    sweeps = standard_sweeps(spec, chosen, kind, axes)
    only = (_escaped(implementation.name),)
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
    return _audit(config, delivery, extra=(implementation,), workers=workers, timeout_s=timeout_s)


def _opened(
    loss: str, target: str, gradient: str, framework: str, timeout_s: float | None
) -> "Implementation":
    """The user's implementation with its gradient: named, the framework's, beside it, or none."""
    from xentcheck.execution import open_target
    from xentcheck.model import Target
    from xentcheck.registry import gradient_names

    if "{out}" in target:  # a program
        back = () if gradient in ("auto", "none") else tuple(shlex.split(gradient))
        program = tuple(shlex.split(target))
        if not back:
            _note(
                f"note: only the value of {program[0]} is checked; --gradient names the command "
                "of a gradient"
            )
        wanted = Target(
            loss, "", target, command=program, gradient_command=back, timeout_s=timeout_s
        )
        return open_target(wanted)[0]
    named = None if gradient == "none" else gradient
    wanted = Target(loss, target, target, named, framework=framework, timeout_s=timeout_s)
    implementation, beside = open_target(wanted)
    if beside:
        _note(f"note: {beside} is taken for its gradient; --gradient names another, or none")
    elif implementation.gradient is None and gradient == "auto":
        *others, last = gradient_names(wanted)
        _note(
            f"note: only the value is checked: there is no {', '.join(others)} or {last} beside "
            f"{target.rpartition(':')[2]}; name it with --gradient"
        )
    return implementation


def _escaped(name: str) -> str:
    """A pattern that matches this name only."""
    return re.sub(r"([*?\[])", r"[\1]", name)


@cli.command()
@_loss_option
@click.option(
    "--logits",
    required=True,
    metavar="NUMBERS",
    help="The first argument: 1000,2000,3000. Also 1e4, -inf, nan, 0x1.8p3, and with one dtype "
    "max, smallest_subnormal. For an elementwise loss every number is a row.",
)
@click.option("--label", metavar="LABEL", help="A class, or the target of an elementwise loss.")
@click.option("--labels", metavar="NUMBERS", help="A distribution over the classes: 0,0.3,0.7.")
@_param_option
@_dtype_option(PROBED_DTYPES)
@click.option(
    "--implementation",
    "patterns",
    multiple=True,
    metavar="PATTERN|TARGET",
    help="Only those whose name matches ('*@*': variants); or your own module:function, "
    "file.py:function or command with {logits} {labels} {out}.",
)
@_framework_option
@_gradient_option
@_timeout_option
@_reporting
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
    delivery = _Delivery.planned(formats, outputs, color)
    from xentcheck import probing
    from xentcheck.losses import loss_of
    from xentcheck.model import LabelKind

    spec = loss_of(loss)
    chosen = _known_dtypes(dtypes, PROBED_DTYPES)
    only = chosen[0] if len(chosen) == 1 else None
    numbers = _numbers("--logits", logits, only)
    if label is not None and labels is not None:
        raise UsageError("--label and --labels exclude each other")
    given: float | Sequence[float] | None = None
    if label is not None:
        given = _number("--label", label, only)
    elif labels is not None:
        given = _numbers("--labels", labels, only)
    distribution = labels is not None and LabelKind.DISTRIBUTION in spec.label_kinds
    kind = LabelKind.DISTRIBUTION if distribution else spec.label_kinds[0]
    values = _parameters(spec, kind, params, only)
    for name, value in values.items():
        if value == "random":
            raise UsageError(f"--param {name}=random: a probe needs its numbers, one per class")
    if kind is LabelKind.INTEGER and isinstance(given, float):
        _check_class(given, len(numbers), spec, values)
    with _foreign():
        own = {
            each: _opened(loss, each, gradient, framework, timeout_s)
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
                _escaped(own[each].name) if each in own else each for each in patterns
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

    def render(form: str, width: int, colored: bool) -> str:
        if form != "table":
            return _rendered(result.report, form, width, colored)
        from xentcheck.report.probe import render_probe
        from xentcheck.report.table import to_text

        return to_text(render_probe(result, width), width, color=colored)

    delivery.deliver(render)
    return _status(result.report)


def _check_class(label: float, classes: int, loss: "Loss", values: Mapping[str, Any]) -> None:
    ignored = loss.parameter("ignore_index")
    if 0 <= label < classes or (ignored and label == values.get(ignored.name, ignored.default)):
        return
    raise UsageError(f"--label {label:g}: {classes} logits have classes 0 to {classes - 1}")


@cli.command("list")
@click.argument("what", type=click.Choice(["losses", "implementations", "generators", "dtypes"]))
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="table",
    help="table (the default) or json.",
)
def list_(what: str, form: str) -> int:
    """List what there is: losses, implementations, generators or dtypes.

    \b
    Examples:
      xentcheck list losses
      xentcheck list implementations --format json
    """
    from xentcheck.report import listing

    with _foreign():
        groups, notes = listing.LISTS[what]()
    for note in notes:
        _note(f"note: {note}")
    if form == "json":
        _print(listing.to_json(what, groups))
        return WITHIN_LIMITS
    terminal = sys.stdout is not None and sys.stdout.isatty()
    for heading, entries in groups.items():
        _print(listing.to_text(heading, entries, _width(terminal)))
    return WITHIN_LIMITS


@cli.command(short_help="Write a commented configuration to start from.")
@click.argument("path", default="xentcheck.yaml", metavar="[PATH]")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def init(path: str, force: bool) -> int:
    """Write a commented configuration to start from, xentcheck.yaml unless PATH is given.

    \b
    Example:
      xentcheck init && xentcheck run xentcheck.yaml
    """
    destination = _writable(path)
    if destination.exists() and not force:
        raise UsageError(f"{path} is already there\n    help: --force overwrites it")
    from xentcheck.config import TEMPLATE

    _write(destination, TEMPLATE)
    _note(f"wrote {path}; next: xentcheck run {shlex.quote(path)}")
    return WITHIN_LIMITS
