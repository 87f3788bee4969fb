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
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from xentcheck.errors import UsageError, XentcheckError
from xentcheck.execution import programs
from xentcheck.execution.hosted import Answer
from xentcheck.execution.invocation import CallError, Invocation
from xentcheck.execution.slots import Folder
from xentcheck.implementations.bridge import Call, Pulled, Tracked
from xentcheck.model import Array, Kind, Process

_LAST_WORDS = 160  # characters of the last line that are shown
_LONGEST_WAIT_S = 1e6  # a longer timeout counts as no limit
_LISTENING_S = 0.5  # seconds between two looks at the output of a user's code while it works
_BUSY_S = 0.3  # seconds of waiting after which is said what for, and said again


class _Host:
    """A process in a slot that this process holds, and the conversation with it."""

    def __init__(self, process: Process) -> None:
        self._slot = _folder().taken(process)
        found = self._slot.connection()
        self._adopted = found is not None  # somebody else had it before
        self._started = False
        self._owed = 0  # answers to what was begun that did not come yet
        self._begins = ""  # what that is
        self._compiled: set[Hashable] = set()
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
            doing = self._compiling(process, arguments)
            answer: Answer = self._receive(process.timeout_s, speaker, doing)
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

    @property
    def idle(self) -> bool:
        """Whether it has imported its modules and done what was begun."""
        return self._started and not self._owed

    @property
    def connection(self) -> Connection:
        """The connection, to wait for messages of several hosts."""
        return self._connection

    @property
    def doing(self) -> str:
        """What was begun and is not done, in words."""
        return self._begins if self._started and self._owed else ""

    @property
    def started(self) -> bool:
        """Whether it has imported its modules."""
        return self._started

    def begin(self, doing: str, arguments: tuple[Any, ...]) -> None:
        """Send a request whose answer is dropped."""
        with suppress(OSError):  # it is gone, which the next request tells
            self._connection.send_bytes(pickle.dumps(("ask", arguments)))
            self._owed += 1
            self._begins = doing

    def proceed(self) -> None:
        """Take the next message before it is asked anything. Raises EOFError when it is gone."""
        self._connection.recv_bytes()
        if self._started:
            self._owed -= 1
        self._started = True

    def settled(self, process: Process) -> bool:
        """Wait for what was begun. Return False if it died of that, or takes too long."""
        try:
            while self._owed:
                if not self._connection.poll(min(process.timeout_s, _LONGEST_WAIT_S)):
                    return False
                self.proceed()
        except (EOFError, OSError):
            return False
        return True

    def _greet(self, process: Process, speaker: str) -> None:
        """Wait until the process is ready. One that died meanwhile, idle, is replaced."""
        doing = _importing(process)
        try:
            self._receive(process.timeout_s, speaker, doing)
        except (EOFError, OSError):
            if not self._adopted:
                raise
            self._adopted, self._heard, self._owed = False, 0, 0
            self._connection.close()
            self._slot.kill()
            self._connection = self._begun(process)
            self._receive(process.timeout_s, speaker, doing)
        self._started = True

    def _compiling(self, process: Process, arguments: tuple[Any, ...]) -> str:
        """What a call compiles that was not compiled here before, in words; "" for nothing."""
        function, *given = arguments
        if not compiles(function):
            return ""
        shapes = [(str(each.dtype), each.shape[1:]) for each in given[0] if each is not None]
        key = (type(function), _called(function), tuple(shapes))
        try:
            new = key not in self._compiled
            self._compiled.add(key)
        except TypeError:  # a function that cannot be told from others
            return ""
        return compiling(process) if new else ""

    def _receive(self, timeout_s: float, speaker: str, doing: str = "") -> Any:
        # poll() takes 31 bits of milliseconds: a timeout of more than some days counts as no limit
        limit = math.inf if timeout_s > _LONGEST_WAIT_S else time.monotonic() + timeout_s
        told = False
        while True:
            left = max(limit - time.monotonic(), 0.0)
            wait = min(left, _BUSY_S) if doing else min(left, _LISTENING_S) if speaker else left
            if self._connection.poll(None if math.isinf(wait) else wait):
                if told:
                    busy("")
                return pickle.loads(self._connection.recv_bytes())
            if doing:
                busy(doing)
                told = True
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


def _doing(processes: Iterable[Process]) -> str:
    """What processes do before they are idle, in one line."""
    found = [(each, _hosts[_alike(each)]) for each in processes]
    importing = _importing(*(each for each, host in found if not host.started))
    return "; ".join(filter(None, (importing, *dict.fromkeys(host.doing for _, host in found))))


def _importing(*processes: Process) -> str:
    modules = dict.fromkeys(module for each in processes for module in each.modules)
    return f"importing {', '.join(modules)}" if modules else ""


def compiling(process: Process) -> str:
    """That a process compiles, in words."""
    return f"compiling with {process.modules[0] if process.modules else process.name}"


def compiles(function: object) -> bool:
    """Whether the first call of a function compiles it."""
    call = _called(function)
    return isinstance(call, Call) and (call.compiles or "compile" in call.variant)


def _called(function: object) -> object:
    return function.function if isinstance(function, Pulled | Tracked) else function


_listeners: list[Callable[[str], None]] = []


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell a listener what is waited for in this block, here and in workers; "": it is over."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.pop()


def busy(doing: str) -> None:
    """Tell the innermost listener what is waited for."""
    for each in _listeners[-1:]:
        each(doing)


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


def begin(process: Process, doing: str, function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in a process while the caller goes on. What it returns or raises is dropped.

    The function and its arguments must pickle. If the process dies of it, the next request starts
    another one. ``doing`` says in words what it does.
    """
    start((process,))
    _hosts[_alike(process)].begin(doing, (function, *arguments))


def first_ready(processes: Iterable[Process]) -> Process:
    """Wait for the first process that has imported its modules and done what was begun.

    One that died or takes too long counts, too: whoever asks it is told.
    """
    waiting = {_hosts[_alike(each)].connection: each for each in processes}
    patience = min(_LONGEST_WAIT_S, *(each.timeout_s for each in waiting.values()))
    limit = time.monotonic() + patience
    while True:
        for each in waiting.values():
            if _hosts[_alike(each)].idle:
                return each
        left = max(limit - time.monotonic(), 0.0)
        heard = connection.wait([*waiting], min(left, _BUSY_S))
        if not heard and not left:
            return next(iter(waiting.values()))
        busy(_doing(waiting.values()))
        for one in heard:
            each = waiting[one]  # type: ignore[index]
            try:
                _hosts[_alike(each)].proceed()
            except (EOFError, OSError):
                return each


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
    key = _alike(process)
    start((process,))
    if not _hosts[key].settled(process):
        _hosts.pop(key).kill(process)
        start((process,))
    try:
        return _hosts[key].request(process, work, arguments)
    except CallError as error:
        if error.kind in (Kind.CRASHED, Kind.TIMED_OUT):
            _hosts.pop(key).kill(process)
        raise
    except (XentcheckError, RuntimeError):
        raise
    except BaseException:  # Ctrl-C: the next request would receive this answer
        _hosts.pop(key).kill(process)
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
