"""The way in and the ways out: every ending as an exit status, every error as a line on stderr."""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from xentcheck import __version__
from xentcheck.errors import ConfigError, EmptySweepError, UncertifiedError, XentcheckError

WITHIN_LIMITS = 0  # or a survey
VIOLATIONS = 1
USAGE = 2
NOTHING_AUDITED = 3
INTERNAL = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main() -> None:
    """The console script. Never returns: ends the process with the exit status."""
    claim_stdout()
    cli(prog_name="xentcheck")


def claim_stdout() -> None:
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


class Door(click.Group):
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


@click.group(
    cls=Door,
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
      xentcheck run gate.yaml --baseline baseline.yaml --format junit --output report.xml
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
