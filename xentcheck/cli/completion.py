"""The names that complete options and arguments in a shell."""

# ruff: noqa: PLC0415

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def completing(
    names: Callable[[click.Context], Sequence[str]],
) -> Callable[..., list["CompletionItem"]]:
    """A shell completion for an option: the names that start with the typed text."""

    def complete(
        context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list["CompletionItem"]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in names(context) if name.startswith(incomplete)]

    return complete


def loss_names(_context: click.Context) -> Sequence[str]:
    from xentcheck.losses import LOSSES

    return tuple(LOSSES)


def invariant_names(_context: click.Context) -> Sequence[str]:
    from xentcheck.losses.invariants import INVARIANTS

    return tuple(INVARIANTS)


def dtype_names(_context: click.Context) -> Sequence[str]:
    from xentcheck.floats import FORMATS

    return tuple(FORMATS)


def kind_names(_context: click.Context) -> Sequence[str]:
    from xentcheck.model import Kind

    return tuple(map(str, Kind))


def cause_names(_context: click.Context) -> Sequence[str]:
    from xentcheck.model import Cause

    return tuple(map(str, Cause))


def note_names(_context: click.Context) -> Sequence[str]:
    from xentcheck.model import NOTES

    return sorted(map(str, NOTES))


def parameter_names(context: click.Context) -> Sequence[str]:
    """``NAME=`` for the parameters of the loss given earlier on the line, or of all losses."""
    from xentcheck.losses import LOSSES, NAMES

    loss = NAMES.of(context.params.get("loss") or "")
    chosen = (LOSSES[loss],) if loss else tuple(LOSSES.values())
    return sorted({f"{each.name}=" for one in chosen for each in one.parameters})


def implementation_names(context: click.Context) -> Sequence[str]:
    """The names of registered implementations, for the loss given earlier on the line or all."""
    from xentcheck.losses import NAMES
    from xentcheck.registry import load_registered

    loss = NAMES.of(context.params.get("loss") or "")
    return sorted({each.name for each in load_registered()[0] if loss in ("", each.loss)})
