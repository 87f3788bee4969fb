"""Shows progress on stderr while an audit runs. Heavy imports happen only when it is drawn."""

# ruff: noqa: PLC0415

import contextlib
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xentcheck.model import ProbeProgress, Progress

_PATIENCE = 2.0  # seconds before progress is shown
_REDRAW = 0.1  # least seconds between two drawings


class ProgressDisplay:
    """Progress on stderr, if that is a terminal and the work takes longer than `_PATIENCE`.

    It is drawn when the audit reports something, not by a thread, because this process forks worker
    processes. The audit also reports what it waits for: a framework that is imported, or compiles.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = 0.0
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._live: Any = None
        self._last: Progress | ProbeProgress | None = None
        self._doing = ""
        self._listening = contextlib.ExitStack()

    def __enter__(self) -> "ProgressDisplay":
        if self._wanted:
            from xentcheck.execution import hosts

            self._listening.enter_context(hosts.listening(self._wait))
        return self

    def __call__(self, progress: "Progress | ProbeProgress") -> None:
        self._last, self._doing = progress, ""
        self._draw()

    def _wait(self, doing: str) -> None:
        """Show what is waited for; "": nothing."""
        self._doing = doing
        self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._wanted or now - self._started < _PATIENCE or now - self._drawn < _REDRAW:
            return
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._drawn = now
        self._live.update(self._rendered(now - self._started, self._live.console), refresh=True)

    def _rendered(self, elapsed: float, console: Any) -> "RenderableType":
        from xentcheck.cli import progress_lines
        from xentcheck.model import ProbeProgress

        if isinstance(self._last, ProbeProgress):
            return progress_lines.of_probe(
                self._last, self._doing, console.width, console.height - 1
            )
        return progress_lines.render(self._last, elapsed, console.width, self._doing)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.close()
        if self._live is not None:
            self._live.stop()
