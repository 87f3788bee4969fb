"""The process that runs a framework or a user's code, and answers one request after another.

`keeper` starts it in a fresh interpreter. File descriptor 0 is a socket that listens; asking
processes connect to it one after another. What foreign code prints goes to stderr.
"""

import importlib
import os
import pickle
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

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


class _Watch(threading.Thread):
    """Ends this process, and what it started, when nobody is left to answer.

    That is when `keeper` is gone, or an asking process in the middle of its request.
    """

    def __init__(self, keeper: int) -> None:
        super().__init__(daemon=True)
        self._keeper = keeper
        self.asking: Connection | None = None

    def run(self) -> None:
        while not select.select([self._keeper], [], [], _LOOK_S)[0]:
            asking = self.asking
            if asking is not None and _hung_up(asking):
                break
        os.killpg(0, signal.SIGKILL)


_LOOK_S = 0.2


def _hung_up(connection: Connection) -> bool:
    looked = select.poll()
    try:
        looked.register(connection.fileno(), 0)  # a hang-up is always told
    except (OSError, ValueError):  # it was closed here meanwhile
        return False
    return any(event & select.POLLHUP for _, event in looked.poll(0))


def serve(modules: tuple[str, ...], keeper: int) -> NoReturn:
    """Import the modules, then answer one asking process after another.

    Args:
        modules: the names of the modules.
        keeper: the end of a pipe that closes with `keeper`.
    """
    listener = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    watch = _Watch(keeper)
    watch.start()
    obstacle = ""
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:
            obstacle = f"importing {name} failed: {describe(error)}"
            break
    while True:
        accepted, _ = listener.accept()
        with Connection(accepted.detach()) as asking, suppress(EOFError, OSError):
            asking.send_bytes(pickle.dumps(Started(obstacle)))
            while True:
                request = asking.recv_bytes()
                watch.asking = asking
                answer = _answer(request, obstacle)
                sys.stdout.flush()
                sys.stderr.flush()
                watch.asking = None
                asking.send_bytes(answer)


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
