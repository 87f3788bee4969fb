"""What the extra ``html`` installs, and an error that names it."""

from importlib.util import find_spec

from xentcheck.errors import UsageError

MODULES = ("altair", "jinja2", "vl_convert")
"""The modules of the extra ``html``. Nothing imports them before a page or a figure is made."""


def require_html(what: str) -> None:
    """Check that the extra ``html`` is installed.

    Args:
        what: what needs it, as the subject of the message: ``--plots`` or ``the format html``.

    Raises:
        UsageError: a module is missing.
    """
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{what} needs {', '.join(missing)}\n    help: pip install 'xentcheck[html]'"
        )
