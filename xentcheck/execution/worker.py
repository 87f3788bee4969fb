"""The code of a worker process: it does one task after another until the parent is gone."""

import io
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from xentcheck.execution import hosts
from xentcheck.execution.tasks import Tell, Work


@dataclass(frozen=True, slots=True)
class Told:
    """A note that a worker reported."""

    note: str


@dataclass(frozen=True, slots=True)
class Busy:
    """What a worker waits for; "": it goes on."""

    doing: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A result, pickled separately: if it does not unpickle, the parent knows its position."""

    pickled: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception, pickled and known to unpickle, and its traceback as text."""

    pickled: bytes
    trace: str


ENDS: "weakref.WeakSet[Connection]" = weakref.WeakSet()
"""The parent's end of every pipe, for all runs in this process.

A forked worker inherits copies of these ends and closes them. Otherwise its siblings would not
notice when the parent is gone, because their pipes would stay open.
"""


class _Packer(pickle.Pickler):
    """Pickles each shared object as its number."""

    def __init__(self, file: io.BytesIO, shared: Sequence[object]) -> None:
        super().__init__(file)
        self._numbers = {id(each): number for number, each in enumerate(shared)}

    def persistent_id(self, obj: object) -> int | None:
        return self._numbers.get(id(obj))


class _Unpacker(pickle.Unpickler):
    """Reads what `_Packer` wrote; it needs the same shared objects in the same order."""

    def __init__(self, file: io.BytesIO, shared: Sequence[object]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: int) -> object:
        return self._shared[pid]


def packed(message: object, shared: Sequence[object]) -> bytes:
    """Pickle a message, with numbers in place of shared objects."""
    file = io.BytesIO()
    _Packer(file, shared).dump(message)
    return file.getvalue()


def _unpacked(message: bytes, shared: Sequence[object]) -> Any:
    return _Unpacker(io.BytesIO(message), shared).load()


def unsendable(what: str, position: int, error: Exception) -> pickle.PickleError:
    """Return the error for a task or result that does not pickle."""
    return pickle.PickleError(f"the {what} {position} does not pickle: {_text(error)}")


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # a missing, broken or closed stream
            stream.flush()


def serve(work: Work[Any, Any], shared: Sequence[object], connection: Connection) -> NoReturn:
    """Do one task after another until the parent is gone."""
    _settle()

    def tell(note: str) -> None:
        _send(connection, Told(note))

    def wait(doing: str) -> None:
        _send(connection, Busy(doing))

    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            _leave()
        with hosts.listening(wait):
            answer = _answer(work, shared, message, tell)
        _flush()  # the parent ends an idle worker by killing it
        _send(connection, answer)


def _settle() -> None:
    """Undo the state of the parent that would act in a worker: pipes, signal handlers."""
    for end in tuple(ENDS):
        end.close()
    ENDS.clear()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches workers too; the parent decides
    # A daemon process may not start processes, but work may need to.
    multiprocessing.current_process().daemon = False


def _leave() -> NoReturn:
    """Exit without running the exit handlers that the parent registered."""
    _flush()
    os._exit(0)


def _send(connection: Connection, message: Told | Busy | Answered | Raised) -> None:
    try:
        connection.send(message)
    except OSError:
        _leave()


def _answer(
    work: Work[Any, Any], shared: Sequence[object], message: bytes, tell: Tell
) -> Answered | Raised:
    try:
        position, task = _unpacked(message, shared)
        result = work(task, tell)
        try:
            return Answered(pickle.dumps(result))
        except Exception as error:
            raise unsendable("result of task", position, error) from error
    except BaseException as error:
        return Raised(_portable(error), "".join(traceback.format_exception(error)))


def _portable(error: BaseException) -> bytes:
    """Pickle the exception, or a RuntimeError with its text if it would not survive the pipe."""
    try:
        pickled = pickle.dumps(error)
        arrives = isinstance(pickle.loads(pickled), BaseException)
    except Exception:
        arrives = False
    if arrives and not isinstance(error, StopIteration):  # StopIteration would end the iterator
        return pickled
    return pickle.dumps(RuntimeError(_text(error)))
