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
import json
import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from xentcheck.errors import UsageError, XentcheckError, ending
from xentcheck.execution import programs
from xentcheck.execution.hosted import Answer
from xentcheck.execution.invocation import CallError, Invocation
from xentcheck.implementations.bridge import SHARED_FOLDER
from xentcheck.model import Array, Kind, Process

_BOOT = (
    "import sys, json; path, modules = map(json.loads, sys.argv[1:]); sys.path[:] = path; "
    "from xentcheck.execution.hosted import serve; serve(tuple(modules))"
)

_LAST_WORDS = 160  # characters of the last line that are shown
_LONGEST_WAIT_S = 1e6  # a longer timeout counts as no limit
_LISTENING_S = 0.5  # seconds between two looks at the output of a user's code while it works
_LEAVING_S = 5.0  # seconds that a process may take to end after it closed its connection


class _Host:
    """One running process."""

    def __init__(self, process: Process) -> None:
        try:
            self._start(process)
        except OSError as error:
            name = process.name or "code of others"
            raise UsageError(
                f"no process can be started for {name}: {error.strerror or error}; raise the "
                "limit (ulimit -n: open files, ulimit -u: processes)"
            ) from error
        self._timeout = process.timeout_s
        self._started = False
        self._speaker = "" if process.quiet else process.name
        self._heard = 0  # bytes of its output that were passed on

    def _start(self, process: Process) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, **dict(process.environment)}
        if process.modules:  # a framework, which may compile
            environment |= programs.environment()
        if _shared:
            environment[SHARED_FOLDER] = _shared[-1]
        path = [each or os.getcwd() for each in sys.path]
        arguments = [json.dumps(path), json.dumps(process.modules)]
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-c", _BOOT, *arguments],
                stdin=theirs.fileno(),
                stdout=self._printed,
                stderr=self._printed,
                env=environment,
                start_new_session=True,  # the asking process handles Ctrl-C
            )
        self._connection = Connection(ours.detach())

    def request(self, work: str, arguments: tuple[Any, ...]) -> Any:
        """Return the answer. Raises the host's exception, or CallError when the host is gone."""
        message = pickle.dumps((work, arguments))
        try:
            if not self._started:
                self._receive()
                self._started = True
            self._connection.send_bytes(message)
            answer: Answer = self._receive()
        except (EOFError, OSError):
            end = self._end()
            self._relay(all_of_it=True)
            raise CallError(Kind.CRASHED, f"died of {end}{self._last_words()}") from None
        self._relay()
        _remarks.extend(answer.remarks)
        if answer.error is not None:
            raise answer.error
        return answer.result

    def _receive(self) -> Any:
        # poll() takes 31 bits of milliseconds: a timeout of more than some days counts as no limit
        limit = math.inf if self._timeout > _LONGEST_WAIT_S else time.monotonic() + self._timeout
        while True:
            left = max(limit - time.monotonic(), 0.0)
            wait = min(left, _LISTENING_S) if self._speaker else left
            if self._connection.poll(None if math.isinf(wait) else wait):
                return pickle.loads(self._connection.recv_bytes())
            self._relay()
            if time.monotonic() >= limit:
                raise CallError(Kind.TIMED_OUT, f"gave no result within {self._timeout:g} s")

    def _relay(self, *, all_of_it: bool = False) -> None:
        """Pass on what a user's code printed, each line only once, as many calls print the same.

        Passes on whole lines only, unless ``all_of_it``.
        """
        if not self._speaker:
            return
        file = self._printed.fileno()
        new = os.pread(file, max(os.fstat(file).st_size - self._heard, 0), self._heard)
        if not all_of_it:
            new = new[: new.rfind(b"\n") + 1]
        self._heard += len(new)
        for line in new.decode(errors="replace").splitlines():
            if line.strip():
                self._say(line)

    def _say(self, line: str) -> None:
        if first_time(f"{self._speaker}\0{line}"):
            _tell(f"{self._speaker} prints: {line}")
        elif first_time(f"{self._speaker}\0"):
            _tell(f"{self._speaker} prints the same again, which is left out from here on")

    def _last_words(self) -> str:
        """Return the last line that a quiet process printed, as part of an error message."""
        if self._speaker:
            return ""
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"; its last words: {last[:_LAST_WORDS]}" if last else ""

    def _end(self) -> str:
        """Wait for a process that closed its socket, and say how it ended."""
        try:
            return ending(self._child.wait(_LEAVING_S))
        except subprocess.TimeoutExpired:
            return "a closed connection"

    def kill(self) -> None:
        """End the process and all processes that it started."""
        self._connection.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._relay(all_of_it=True)
        self._printed.close()

    def forget(self) -> None:
        """Drop a host that belongs to the parent of this fork, without ending it."""
        self._connection.close()
        self._printed.close()
        self._child.returncode = 0  # only the parent may wait for it


def first_time(text: str) -> bool:
    """Whether this text is new, here and in every process that shares the folder."""
    if text in _told:
        return False
    _told.add(text)
    if not _shared:
        return True
    name = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    try:
        Path(_shared[-1], f"told-{name}").touch(exist_ok=False)
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
_shared: list[str] = []
_kept: list[None] = []  # one entry for each active `kept`
_hosts: dict[Process, _Host] = {}
_remarks: list[str] = []
_owner = os.getpid()


def start(processes: Iterable[Process]) -> None:
    """Start processes in parallel; they import their modules while the caller goes on."""
    _own()
    for process in processes:
        if process not in _hosts:
            _hosts[process] = _Host(process)


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
        return _hosts[process].request(work, arguments)
    except CallError as error:
        if error.kind in (Kind.CRASHED, Kind.TIMED_OUT):
            _hosts.pop(process).kill()
        raise
    except (XentcheckError, RuntimeError):
        raise
    except BaseException:  # Ctrl-C: the next request would receive this answer
        _hosts.pop(process).kill()
        raise


def remarks() -> tuple[str, ...]:
    """What processes said about the calls since the last time; see `bridge.remark`."""
    told = tuple(_remarks)
    _remarks.clear()
    return told


@contextmanager
def sharing() -> Iterator[None]:
    """Provide a folder that the processes of this one and of its forks share during the block."""
    if _kept:  # an outer block already provides a folder
        yield
        return
    programs.prune()
    with tempfile.TemporaryDirectory(prefix="xentcheck-", ignore_cleanup_errors=True) as folder:
        _shared.append(folder)
        try:
            yield
        finally:
            _told.clear()  # the next audit reports its own lines
            _shared.pop()


@contextmanager
def kept() -> Iterator[None]:
    """Keep processes between audits: `close` does nothing in this block; they end after it."""
    with sharing():
        _kept.append(None)
        try:
            yield
        finally:
            _kept.pop()
            close()


def close() -> None:
    """End all processes that this process started, unless `kept` is active."""
    _own()
    if not _kept:
        _end()


def _end() -> None:
    while _hosts:
        _hosts.popitem()[1].kill()


def _own() -> None:
    """Drop the hosts of the parent if this process is a fork."""
    global _owner  # noqa: PLW0603
    if _owner != os.getpid():
        _owner = os.getpid()
        _kept.clear()
        while _hosts:
            _hosts.popitem()[1].forget()


def _leave() -> None:
    _own()
    _end()


atexit.register(_leave)
