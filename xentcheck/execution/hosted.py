"""The process that runs a framework or a user's code, and answers one request after another.

`hosts` starts it as a fresh interpreter, not as a fork. File descriptor 0 is the socket to the
asking process. What foreign code prints goes to stderr. The process ends when the asking process
closes the socket.
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
from xentcheck.implementations.bridge import remarks


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: a result, or an error that keeps its type across the socket."""

    result: Any = None
    error: Exception | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The first message of a host: why a module cannot be imported, or "" if all were imported."""

    obstacle: str = ""


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function; a request named "ask" ends here."""
    return function(*arguments)


def serve(modules: tuple[str, ...]) -> None:
    """Import the modules, then answer requests until the other end closes the socket."""
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
        os._exit(0)  # skips the exit handlers and threads of the framework


def _answer(request: bytes, obstacle: str) -> bytes:
    try:
        if obstacle:
            raise UnsupportedError(obstacle)
        work, arguments = pickle.loads(request)
        result = (invoke if work == "invoke" else ask)(*arguments)
        answer = Answer(result, remarks=remarks())
    except (XentcheckError, CallError) as error:
        error.__traceback__ = None
        answer = Answer(error=error, remarks=remarks())
    except BaseException as error:
        answer = Answer(error=RuntimeError(describe(error)))
    return pickle.dumps(answer)
