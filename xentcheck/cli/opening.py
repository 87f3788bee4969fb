"""The options `--open` and `--plots`: a page in the browser, and figures as files.

They are kept in the context of the command, not among its arguments: `Delivery` alone asks for
them, so no command passes them on.
"""

# ruff: noqa: PLC0415

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from xentcheck.cli.entry import note
from xentcheck.errors import UsageError

_OPEN = "xentcheck.open"
_PLOTS = "xentcheck.plots"
_Command = TypeVar("_Command", bound=Callable[..., Any] | click.Command)


def _kept(key: str) -> Any:
    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        context.meta[key] = value
        return value

    return keep


open_option = click.option(
    "--open",
    is_flag=True,
    expose_value=False,
    callback=_kept(_OPEN),
    help="Show the report as a page in the browser: the HTML output, or else a temporary file.",
)
_OF_A_REPORT = (
    "the grades of each loss, the errors along the axis of the sweep, and their distribution"
)


def plots_option(what: str = _OF_A_REPORT) -> Callable[[_Command], _Command]:
    """The option ``--plots``. ``what`` says which figures a command saves."""
    return click.option(
        "--plots",
        default="",
        metavar="DIR",
        expose_value=False,
        callback=_kept(_PLOTS),
        help=f"Save figures there as SVG and PNG: {what}. Markdown of the same run shows them.",
    )


def opens() -> bool:
    """Whether the present command was given ``--open``."""
    return bool(_given(_OPEN))


def plots() -> Path | None:
    """The folder of ``--plots``; None without the option.

    Raises:
        UsageError: it is no folder and cannot be made one, or the extra ``html`` is missing.
    """
    given = _given(_PLOTS)
    if not given:
        return None
    from xentcheck.report.extras import require_html

    require_html("--plots")
    path = Path(given)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--plots {given}: {error.strerror or error}") from None
    return path


def _given(key: str) -> Any:
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(key)


def show(path: Path) -> None:
    """Open a page in the browser; without one, say where the page is."""
    import webbrowser

    if webbrowser.open(path.resolve().as_uri()):
        note(f"{path}: opened in the browser")
    else:
        note(f"{path}: no browser was found to open it")
