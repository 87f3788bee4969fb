"""Processes that run frameworks and users' code, seen from the process that asks them.

Frameworks cannot share a process: tensorflow and paddle crash each other, and so do tensorflow and
triton. None may run where the reference is computed, because one call can switch on flush-to-zero
for its whole thread. So each `Process` is a separate interpreter with a socket to it. It starts
when first needed and keeps what it compiled. If it dies, that is a finding against the
implementation that was being called, and a new process starts for the next call. Each asking
process has its own hosts, so it receives only the answers to its own requests.
"""

import atexit
import hashlib
import math
import os
import pickle
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from xentcheck.errors import UsageError, XentcheckError
from xentcheck.execution import programs
from xentcheck.execution.hosted import Answer
from xentcheck.execution.invocation import CallError, Invocation
from xentcheck.execution.slots import Folder
from xentcheck.model import Array, Kind, Process

_LAST_WORDS = 160  # characters of the last line that are shown
_LONGEST_WAIT_S = 1e6  # a longer timeout counts as no limit
_LISTENING_S = 0.5  # seconds between two looks at the output of a user's code while it works


class _Host:
    """A process in a slot that this process holds, and the conversation with it."""

    def __init__(self, process: Process) -> None:
        self._slot = _folder().taken(process)
        found = self._slot.connection()
        self._adopted = found is not None  # somebody else had it before
        self._started = False
        self._heard = self._slot.printed.stat().st_size if found else 0  # bytes that were passed on
        self._connection = found or self._begun(process)

    def _begun(self, process: Process) -> Connection:
        try:
            return self._slot.start(process)
        except UsageError:
            self._slot.release()
            raise

    def request(self, process: Process, work: str, arguments: tuple[Any, ...]) -> Any:
        """Return the answer. Raises the host's exception, or CallError when the host is gone."""
        message = pickle.dumps((work, arguments))
        speaker = "" if process.quiet else process.name
        try:
            if not self._started:
                self._greet(process, speaker)
            self._connection.send_bytes(message)
            answer: Answer = self._receive(process.timeout_s, speaker)
        except (EOFError, OSError):
            end = self._slot.ended()
            self._relay(speaker, all_of_it=True)
            last = "" if speaker else self._last_words()
            raise CallError(Kind.CRASHED, f"died of {end}{last}") from None
        self._relay(speaker)
        _remarks.extend(answer.remarks)
        if answer.error is not None:
            raise answer.error
        return answer.result

    def _greet(self, process: Process, speaker: str) -> None:
        """Wait until the process is ready. One that died meanwhile, idle, is replaced."""
        try:
            self._receive(process.timeout_s, speaker)
        except (EOFError, OSError):
            if not self._adopted:
                raise
            self._adopted, self._heard = False, 0
            self._connection.close()
            self._slot.kill()
            self._connection = self._begun(process)
            self._receive(process.timeout_s, speaker)
        self._started = True

    def _receive(self, timeout_s: float, speaker: str) -> Any:
        # poll() takes 31 bits of milliseconds: a timeout of more than some days counts as no limit
        limit = math.inf if timeout_s > _LONGEST_WAIT_S else time.monotonic() + timeout_s
        while True:
            left = max(limit - time.monotonic(), 0.0)
            wait = min(left, _LISTENING_S) if speaker else left
            if self._connection.poll(None if math.isinf(wait) else wait):
                return pickle.loads(self._connection.recv_bytes())
            self._relay(speaker)
            if time.monotonic() >= limit:
                raise CallError(Kind.TIMED_OUT, f"gave no result within {timeout_s:g} s")

    def _relay(self, speaker: str, *, all_of_it: bool = False) -> None:
        """Pass on what a user's code printed, each line only once, as many calls print the same.

        Passes on whole lines only, unless ``all_of_it``.
        """
        if not speaker:
            return
        with self._slot.printed.open("rb") as file:
            file.seek(self._heard)
            new = file.read()
        if not all_of_it:
            new = new[: new.rfind(b"\n") + 1]
        self._heard += len(new)
        for line in new.decode(errors="replace").splitlines():
            if line.strip():
                _say(speaker, line)

    def _last_words(self) -> str:
        """Return the last line that a quiet process printed, as part of an error message."""
        lines = self._slot.printed.read_text(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"; its last words: {last[:_LAST_WORDS]}" if last else ""

    def kill(self, process: Process) -> None:
        """End the process and all processes that it started."""
        self._connection.close()
        self._slot.kill()
        self._relay("" if process.quiet else process.name, all_of_it=True)
        self._slot.release()

    def release(self) -> None:
        """Leave the process to the next that asks for one like it."""
        self._connection.close()
        self._slot.release()

    def forget(self) -> None:
        """Drop a host that belongs to the parent of this fork."""
        self._connection.close()
        self._slot.forget()


def _say(speaker: str, line: str) -> None:
    if first_time(f"{speaker}\0{line}"):
        _tell(f"{speaker} prints: {line}")
    elif first_time(f"{speaker}\0"):
        _tell(f"{speaker} prints the same again, which is left out from here on")


def first_time(text: str) -> bool:
    """Whether this text is new, here and in every process that shares the folder."""
    if text in _told:
        return False
    _told.add(text)
    if not _shared:
        return True
    name = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    try:
        (_shared[-1].path / f"told-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _tell(line: str) -> None:
    """Print a line on standard error, if there is one."""
    stream = sys.stderr
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.write(f"{line}\n")
            stream.flush()


_told: set[str] = set()
_shared: list[Folder] = []
_private: list[Folder] = []  # the folder of what is asked outside `sharing`
_kept: list[None] = []  # one entry for each active `kept`
_hosts: dict[Process, _Host] = {}
_remarks: list[str] = []


def _folder() -> Folder:
    """The folder for processes that are started now."""
    if _shared:
        return _shared[-1]
    if not _private:
        _private.append(Folder.made())
    return _private[-1]


def _alike(process: Process) -> Process:
    """The process without what only the asking side has to know."""
    return Process(process.name, process.modules, environment=process.environment)


def start(processes: Iterable[Process]) -> None:
    """Start processes in parallel; they import their modules while the caller goes on."""
    for process in processes:
        if _alike(process) not in _hosts:
            _hosts[_alike(process)] = _Host(process)


def ask(process: Process, function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a process.

    The function and its arguments must pickle. Raises XentcheckError and CallError as the function
    raised them, CallError also when the process died or gave no answer in time, and RuntimeError
    for any other exception.
    """
    return _request(process, "ask", (function, *arguments))


def invoke(
    process: Process,
    function: Callable[..., Any],
    data: Sequence[Array | None],
    parameters: Mapping[str, Any],
    shape: tuple[int, ...] | None,
    layout: str = "",
) -> Invocation:
    """Call `invocation.invoke` in a process.

    Args:
        process: starts if it does not run yet.
        function: must pickle; this and all other arguments are those of `invocation.invoke`.
        data: as there.
        parameters: as there.
        shape: as there.
        layout: as there.

    Raises:
        CallError: as there; also when the process died or took too long.
        UnsupportedError: as there; also when the modules of the process cannot be imported.
    """
    arguments = (function, data, dict(parameters), shape, layout)
    result: Invocation = _request(process, "invoke", arguments)
    return result


def _request(process: Process, work: str, arguments: tuple[Any, ...]) -> Any:
    start((process,))
    try:
        return _hosts[_alike(process)].request(process, work, arguments)
    except CallError as error:
        if error.kind in (Kind.CRASHED, Kind.TIMED_OUT):
            _hosts.pop(_alike(process)).kill(process)
        raise
    except (XentcheckError, RuntimeError):
        raise
    except BaseException:  # Ctrl-C: the next request would receive this answer
        _hosts.pop(_alike(process)).kill(process)
        raise


def remarks() -> tuple[str, ...]:
    """What processes said about the calls since the last time; see `bridge.remark`."""
    told = tuple(_remarks)
    _remarks.clear()
    return told


@contextmanager
def sharing() -> Iterator[None]:
    """Provide a folder that this process and its forks share during the block.

    Processes that are started in the block outlive the fork that started them, and end with it.
    """
    if _shared:  # an outer block already provides a folder
        yield
        return
    programs.prune()
    folder = _private.pop() if _private else Folder.made()
    _shared.append(folder)
    try:
        yield
    finally:
        _end()
        _told.clear()  # the next audit reports its own lines
        _shared.pop()
        folder.remove()


@contextmanager
def kept() -> Iterator[None]:
    """Keep processes between audits: `close` does nothing in this block; they end after it."""
    with sharing():
        _kept.append(None)
        try:
            yield
        finally:
            _kept.pop()


def release() -> None:
    """Leave the processes that this one holds to the forks that share its folder."""
    while _hosts:
        _hosts.popitem()[1].release()


def close(but: Iterable[Process] = ()) -> None:
    """End the processes of this process and of its forks, unless `kept` is active.

    Args:
        but: processes that go on, as do all like them.
    """
    if not _kept:
        _end(tuple(but))


def _end(but: Collection[Process] = ()) -> None:
    staying = {_alike(each) for each in but}
    for process in [*_hosts]:
        if process not in staying:
            _hosts.pop(process).kill(process)
    for folder in (*_shared, *_private):
        folder.clear(but)
    if not but:
        while _private:
            _private.pop().remove()


def _disown() -> None:
    """Leave the hosts to the parent of this fork."""
    _kept.clear()
    while _hosts:
        _hosts.popitem()[1].forget()
    for folder in (*_shared, *_private):
        folder.disown()
    _private.clear()


os.register_at_fork(after_in_child=_disown)
atexit.register(_end)
