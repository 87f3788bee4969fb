"""The entry point. It turns every ending into an exit status and every error into a stderr line."""

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from xentcheck._version import __version__
from xentcheck.errors import ConfigError, EmptySweepError, UncertifiedError, XentcheckError

WITHIN_LIMITS = 0  # or a survey
VIOLATIONS = 1
USAGE = 2
NOTHING_AUDITED = 3
INTERNAL = 4
INTERRUPTED = 130  # 128 + SIGINT, as in shells


def main() -> None:
    """The console script. It never returns, but ends the process with the exit status."""
    claim_stdout()
    cli(prog_name="xentcheck")


def claim_stdout() -> None:
    """Keep the real standard output for results, and point file descriptor 1 to stderr.

    Audited code may print from C, and C may flush its buffers only at exit. So this is never
    undone.
    """
    try:
        real = os.dup(1)
    except OSError:  # closed: there is no place for results, but the exit status still matters
        real = None
    try:
        os.dup2(2, 1)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if real is not None and sys.stdout is not None:
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(real, "w", encoding=encoding, errors=errors)  # noqa: SIM115


_MODULES = {
    "check": "check",
    "compare": "compare",
    "explain": "explain",
    "init": "init",
    "list": "lists",
    "probe": "probe",
    "report": "report",
    "run": "run",
    "schema": "schema",
    "search": "search",
}
"""The module of each command in this package; it adds the command to the group."""


def foreign() -> contextlib.AbstractContextManager[Any]:
    """A context for loading or calling foreign code. It redirects stdout to stderr."""
    return contextlib.redirect_stdout(sys.stderr)


class Door(click.Group):
    """A command group that ends with an exit status and prints each error as a line on stderr.

    It imports the module of a command when the command is first asked for.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of ``--help``."""
        return sorted({*_MODULES, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None if there is none."""
        if cmd_name in _MODULES:
            importlib.import_module(f"xentcheck.cli.{_MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            status = super().main(args, standalone_mode=False, **extra)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "xentcheck"
            complain(error.format_message(), f"{command} --help")
            status = USAGE
        except click.ClickException as error:
            complain(error.format_message())
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
                complain(str(problem))
            return USAGE
        except XentcheckError as error:
            if ctx.params["debug"] and (trace := getattr(error, "trace", "")):
                note(trace.rstrip())
            complain(str(error))
            return _STATUS.get(type(error), USAGE)
        except KeyboardInterrupt:
            complain("interrupted")
            return INTERRUPTED
        except SystemExit as stop:
            complain(f"the audited code tried to end the process: SystemExit({stop.code!r})")
            return USAGE
        except Exception as error:
            if ctx.params["debug"]:
                import traceback  # noqa: PLC0415

                traceback.print_exc()
            text = " ".join(str(error).split())
            remedy = "this is a fault of xentcheck; `xentcheck --debug …` prints the traceback"
            complain(f"internal error: {type(error).__name__}: {text}", remedy)
            return INTERNAL


_STATUS = {EmptySweepError: NOTHING_AUDITED, UncertifiedError: INTERNAL}


def complain(message: str, remedy: str = "") -> None:
    note(f"error: {message}" + (f"\n    help: {remedy}" if remedy else ""))


def note(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def _show_tracebacks(context: click.Context) -> None:
    """Show the log while the command runs. It has the tracebacks of foreign code."""
    import logging  # noqa: PLC0415

    logger = logging.getLogger("xentcheck")
    handler, level = logging.StreamHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def restore() -> None:
        logger.removeHandler(handler)
        logger.setLevel(level)

    context.call_on_close(restore)


_COMPONENTS = ("numpy", "mpmath", "ml_dtypes", "numpy-quaddtype", "gmpy2")
"""Packages that affect the numbers of a report."""

_FRAMEWORKS = (
    "torch",
    "jax",
    "jaxlib",
    "optax",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "scipy",
    "scikit-learn",
    "onnx",
    "onnxruntime",
    "xgboost",
    "lightgbm",
    "liger-kernel",
    "triton",
    "paddlepaddle",
    "mlx",
)
"""Packages with audited functions. ``--version`` lists those that are installed."""


def _versions(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    """Print the installed versions. They come from package metadata, without any import."""
    if not asked or context.resilient_parsing:
        return
    import platform  # noqa: PLC0415

    versions = {name: _version_of(name) for name in (*_COMPONENTS, *_FRAMEWORKS)}
    lines = [
        f"xentcheck {__version__}",
        f"Python {platform.python_version()}",
        f"platform {platform.system()} {platform.release()} {platform.machine()}",
        *(f"{name} {versions[name] or 'not installed'}" for name in _COMPONENTS),
        *(f"{name} {versions[name]}" for name in _FRAMEWORKS if versions[name]),
    ]
    click.echo("\n".join(lines))
    context.exit()


def _version_of(package: str) -> str:
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version(package) or ""
    except metadata.PackageNotFoundError:
        return ""


@click.group(
    cls=Door,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_versions,
    help="Show the versions that a bug report needs, and exit.",
)
@click.option(
    "--debug",
    is_flag=True,
    help="Print the traceback of an internal error, and of an exception in the audited code.",
)
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Where does a cross-entropy loss break, how badly, and on what input?

    Every result is held against the exact value, certified by interval arithmetic, of the very
    numbers the implementation was given: values and gradients, in ulps.

    \b
    Examples:
      xentcheck init && xentcheck run xentcheck.yaml
      xentcheck run gate.yaml --baseline baseline.yaml --format junit --output report.xml
      xentcheck check my_loss.py:loss --loss softmax_cross_entropy
      xentcheck search my_loss.py:loss --loss softmax_cross_entropy
      xentcheck probe --loss softmax_cross_entropy --logits 1000,2000,3000 --label 0
      xentcheck list losses

    \b
    Exit status: 0 within limits, or a survey   1 violations    2 usage or configuration
                 3 nothing was audited          4 internal error
    Shell completion: eval "$(_XENTCHECK_COMPLETE=bash_source xentcheck)", or zsh_source;
                      of fish _XENTCHECK_COMPLETE=fish_source xentcheck | source
    """
    if debug:
        _show_tracebacks(ctx)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(USAGE)
