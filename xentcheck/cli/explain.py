"""`xentcheck explain`: what a kind, a cause or a replay line means, with what to write instead."""

# ruff: noqa: PLC0415

import shlex
from collections.abc import Sequence

import click

from xentcheck.cli.completion import completing
from xentcheck.cli.entry import WITHIN_LIMITS, cli
from xentcheck.cli.stdout import emit, width_of
from xentcheck.errors import UnknownNameError, UsageError


def explainable(_: click.Context) -> Sequence[str]:
    """Everything that has an explanation by name."""
    from xentcheck.model import Cause, Kind

    return (*map(str, Cause), *map(str, Kind))


@cli.command(
    short_help="Explain a kind, a cause, or one result step by step.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument(
    "what",
    nargs=-1,
    required=True,
    metavar="KIND|CAUSE|REPLAY",
    shell_complete=completing(explainable),
    type=click.UNPROCESSED,
)
@click.pass_context
def explain(context: click.Context, what: Sequence[str]) -> int:
    """Explain a kind of finding, a cause, or one result.

    A REPLAY line, as reports print it, is answered step by step: what was computed beside the
    exact values, the step that lost the digits, and the form that keeps them. Paste it as it is,
    or as one argument in quotes.

    \b
    Examples:
      xentcheck explain absorbed-tail
      xentcheck explain vanished-gradient
      xentcheck explain xentcheck probe --loss softmax_cross_entropy --logits=20,0 --label=0 \\
          --implementation numpy.shifted_log_softmax
    """
    words = list(what)
    if len(words) == 1 and " " in words[0].strip():
        try:
            words = shlex.split(words[0].replace("\\\n", " "))
        except ValueError as error:
            raise UsageError(f"{what[0]}: {error}") from None
    if words and words[0] == "xentcheck":
        words = words[1:]
    if words and (words[0] == "probe" or words[0].startswith("-")):
        options = words[1:] if words[0] == "probe" else words
        from xentcheck.cli.probe import probe

        with probe.make_context("probe", [*options, "--verbose"], parent=context.parent) as inner:
            status: int = probe.invoke(inner)
        return status
    if len(words) != 1:
        raise UsageError(
            f"{shlex.join(words)}: expected one kind or cause, or a replay line of `probe`"
        )
    emit(_of_word(words[0]))
    return WITHIN_LIMITS


def _of_word(word: str) -> str:
    """The explanation of a kind or a cause as text."""
    import sys

    from xentcheck.cli import catalogue
    from xentcheck.model import Cause, Kind

    terminal = sys.stdout is not None and sys.stdout.isatty()
    for what, known in (("causes", Cause), ("kinds", Kind)):
        if word in list(map(str, known)):
            groups, _ = catalogue.LISTS[what](catalogue.Wanted(word, "", ""))
            return "".join(
                catalogue.to_text(heading, entries, width_of(terminal))
                for heading, entries in groups.items()
            )
    raise UnknownNameError("kind or cause", word, (*map(str, Cause), *map(str, Kind)))
