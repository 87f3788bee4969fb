"""Shows progress on stderr while an audit runs. Heavy imports happen only when it is drawn."""

# ruff: noqa: PLC0415

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xentcheck.model import Progress

_PATIENCE = 2.0  # seconds before progress is shown
_REDRAW = 0.1  # least seconds between two drawings


class ProgressDisplay:
    """Progress on stderr, if that is a terminal and the work takes longer than `_PATIENCE`.

    It is drawn when the audit reports something, not by a thread, because this process forks worker
    processes.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = 0.0
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._live: Any = None

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if not self._wanted or now - self._started < _PATIENCE or now - self._drawn < _REDRAW:
            return
        from xentcheck.cli.progress_lines import render

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._drawn = now
        width = self._live.console.width
        self._live.update(render(progress, now - self._started, width), refresh=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
