"""Slots for the processes of foreign code: each has room for one, and one asking process at a time.

The slots of an audit lie in a folder that its worker processes share. A slot is a few files: a lock
that the asking process holds, a socket, the process id, what the process prints, and how it ended.
When an asking process ends, its slots are free, and the next one finds the process as it was left:
with the framework imported and its programs compiled. The processes end with the folder's owner,
even if it is killed: `keeper` waits for that.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from xentcheck.errors import UsageError, ending
from xentcheck.execution import keeper, programs
from xentcheck.implementations.bridge import SHARED_FOLDER
from xentcheck.model import Process

_LEAVING_S = 5.0  # seconds that a process may take to start, or to end after its connection closed
_LOOK_S = 0.005
_LONGEST_FOLDER = 60  # characters; the path of a socket may have about a hundred


@dataclass(slots=True, eq=False)
class Folder:
    """A folder of slots.

    Attributes:
        path: where it is.
        life: the end of a pipe that `keeper` waits on.
        held: the other end, which only the owner holds; None in its forks.
    """

    path: Path
    life: int
    held: int | None

    @classmethod
    def made(cls) -> "Folder":
        """A new folder. This process is the owner."""
        place = None if len(tempfile.gettempdir()) < _LONGEST_FOLDER else "/tmp"
        path = Path(tempfile.mkdtemp(prefix="xentcheck-", dir=place))
        return cls(path, *_pipe())

    def disown(self) -> None:
        """In a fork of the owner: the folder stays the owner's."""
        if self.held is not None:
            os.close(self.held)
            self.held = None

    def taken(self, process: Process) -> "Slot":
        """The first slot for such a process that nobody holds. It is this process's now."""
        for number in count():
            slot = Slot(self, self.path / f"{_name(process)}-{number}")
            if slot.lock():
                return slot
        raise AssertionError

    def clear(self, but: Iterable[Process] = ()) -> None:
        """End all processes, except those like some. Does nothing in a fork of the owner."""
        if self.held is None:
            return
        names = {_name(each) for each in but}
        for file in self.path.glob("host-*.lock"):
            if file.stem.rpartition("-")[0] not in names:
                Slot(self, file.with_suffix("")).kill()

    def remove(self) -> None:
        """End all processes and remove the folder. Does nothing in a fork of the owner."""
        if self.held is None:
            return
        self.clear()
        while _keepers:
            _keepers.pop().wait()
        os.close(self.held)
        os.close(self.life)
        self.held = None
        shutil.rmtree(self.path, ignore_errors=True)


def _pipe() -> tuple[int, int]:
    """A pipe that takes the place of no standard stream that was closed before."""
    low = os.pipe()
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 3) for each in low]
    for each in low:
        os.close(each)
    return high[0], high[1]


def _name(process: Process) -> str:
    """The name that slots of processes like this one have in common."""
    kind = json.dumps((process.name, process.modules, process.environment))
    return f"host-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"


_keepers: list[subprocess.Popen[bytes]] = []


def _disown() -> None:
    for each in _keepers:
        each.returncode = 0  # only the parent may wait for it
    _keepers.clear()


os.register_at_fork(after_in_child=_disown)


@dataclass(slots=True, eq=False)
class Slot:
    """One slot of a folder.

    Attributes:
        folder: its folder.
        base: the path of its files, without their suffix.
    """

    folder: Folder
    base: Path
    _lock: int | None = None

    def _file(self, suffix: str) -> Path:
        return self.base.with_suffix(suffix)

    @property
    def printed(self) -> Path:
        """The file of what the process printed."""
        return self._file(".out")

    def lock(self) -> bool:
        """Take the slot. Returns False if it is another's."""
        file = os.open(self._file(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        return True

    def release(self) -> None:
        """Leave the slot and its process to the next."""
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """In a fork of the process that holds the slot: it stays the other's."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def connection(self) -> Connection | None:
        """A connection to the process of this slot; None if none listens."""
        ours = socket.socket(socket.AF_UNIX)
        try:
            ours.connect(str(self._file(".sock")))
        except OSError:
            ours.close()
            return None
        return Connection(ours.detach())

    def start(self, process: Process) -> Connection:
        """Start a process and return a connection to it.

        Raises:
            UsageError: the system has no room for it.
        """
        for suffix in (".sock", ".pid", ".end"):
            self._file(suffix).unlink(missing_ok=True)
        environment = {**os.environ, **dict(process.environment)}
        if process.modules:  # a framework, which may compile
            environment |= programs.environment()
        environment[SHARED_FOLDER] = str(self.folder.path)
        try:
            self._start(process, environment)
        except OSError as error:
            name = process.name or "code of others"
            raise UsageError(
                f"no process can be started for {name}: {error.strerror or error}; raise the "
                "limit (ulimit -n: open files, ulimit -u: processes)"
            ) from error
        made = self.connection()
        assert made is not None  # it listens before the process starts
        return made

    def _start(self, process: Process, environment: Mapping[str, str]) -> None:
        path = [each or os.getcwd() for each in sys.path]
        with socket.socket(socket.AF_UNIX) as listener, self.printed.open("wb") as printed:
            listener.bind(str(self._file(".sock")))
            listener.listen(1)
            arguments = [str(self.base), str(self.folder.life), json.dumps(path)]
            arguments.append(json.dumps(process.modules))
            command = [sys.executable, "-P", "-W", "ignore", keeper.__file__, *arguments]
            started = subprocess.Popen(
                command,
                stdin=listener.fileno(),
                stdout=printed,
                stderr=printed,
                env=environment,
                pass_fds=(self.folder.life,),
                start_new_session=True,  # the asking process handles Ctrl-C
            )
        _keepers.append(started)

    def ended(self) -> str:
        """Wait for a process that closed its connection, and say how it ended."""
        code = self._read(".end")
        return "a closed connection" if code is None else ending(int(code))

    def kill(self) -> None:
        """End the process and all processes that it started."""
        pid = self._read(".pid") if self._file(".sock").exists() else None
        if pid is not None and not self._file(".end").exists():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(pid), signal.SIGKILL)  # `keeper` ends the others of its group
            self._read(".end")
        self._file(".sock").unlink(missing_ok=True)

    def _read(self, suffix: str) -> str | None:
        """The text of a file that is there soon; None if it is not."""
        limit = time.monotonic() + _LEAVING_S
        for _ in _looks(limit):
            with suppress(FileNotFoundError):
                return self._file(suffix).read_text()
        return None


def _looks(limit: float) -> Iterator[None]:
    """Comes now, and again every few milliseconds until the limit."""
    yield
    while time.monotonic() < limit:
        time.sleep(_LOOK_S)
        yield
