"""A terminal for tests of what only a terminal is shown."""

import pty

import pytest


def terminal() -> tuple[int, int]:
    """Both ends of a pseudo-terminal; without one, as in some containers, the test is skipped."""
    try:
        return pty.openpty()
    except OSError as error:
        pytest.skip(f"there is no pseudo-terminal here: {error}")
