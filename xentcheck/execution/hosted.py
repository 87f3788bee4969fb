"""The process that a framework or a user's code lives in: it answers one request after another.

It is a fresh interpreter, not a fork, started by `hosts`; file descriptor 0 is the socket to who
asks. What foreign code prints goes to stderr. It ends when nobody is left to ask.
"""

import importlib
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from xentcheck.errors import UnsupportedError, XentcheckError
from xentcheck.execution.invocation import CallError, describe, invoke


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: a result, or an error that arrives as what it is."""

    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The first thing a host says: why its modules cannot be imported, "" if they can."""

    obstacle: str = ""


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """A request for what the function returns."""
    return function(*arguments)


def serve(modules: tuple[str, ...]) -> None:
    """Import the modules, then answer until the other end is closed."""
    connection = Connection(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    obstacle = ""
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:
            obstacle = f"importing {name} failed: {describe(error)}"
            break
    try:
        connection.send_bytes(pickle.dumps(Started(obstacle)))
        while True:
            answer = _answer(connection.recv_bytes(), obstacle)
            sys.stdout.flush()
            sys.stderr.flush()
            connection.send_bytes(answer)
    except (EOFError, OSError):
        os._exit(0)  # a framework's threads and exit handlers have nothing left to say


def _answer(request: bytes, obstacle: str) -> bytes:
    try:
        if obstacle:
            raise UnsupportedError(obstacle)
        work, arguments = pickle.loads(request)
        answer = Answer((invoke if work == "invoke" else ask)(*arguments))
    except (XentcheckError, CallError) as error:
        error.__traceback__ = None
        answer = Answer(error=error)
    except BaseException as error:
        answer = Answer(error=RuntimeError(describe(error)))
    return pickle.dumps(answer)
