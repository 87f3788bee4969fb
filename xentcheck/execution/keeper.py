"""Keeps one process of foreign code: starts it, ends it with its owner, and says how it ended.

`slots` runs this file as a script in a fresh interpreter. It imports only the standard library, so
that what waits here takes little memory. The arguments are the path of the slot without a suffix,
the file descriptor of a pipe that the owner of the slot's folder holds open, and as JSON the
module path and the modules to import. File descriptor 0 is the socket that the process listens on.
"""

import json
import os
import select
import shutil
import signal
import sys
from contextlib import suppress


def write(path: str, text: str) -> None:
    """Write a file whole: a reader finds all of it, or none."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


def end(group: int) -> None:
    """End a process and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def wait(child: int, owner: int) -> int | None:
    """Wait for a process. Return its exit code, as `subprocess` has it; None: the owner is gone."""
    noticed, note = os.pipe()
    os.set_blocking(note, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(note)
    while True:
        gone, status = os.waitpid(child, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        ready, _, _ = select.select([owner, noticed], [], [])
        if owner in ready:
            return None
        os.read(noticed, 64)


def main(slot: str, owner: int, path: list[str], modules: list[str]) -> None:
    """Start the process and wait for it or for the end of its owner."""
    watched, held = os.pipe()
    child = os.fork()
    if not child:
        os.close(held)
        os.close(owner)
        os.setpgid(0, 0)
        sys.path[:] = path
        from xentcheck.execution.hosted import serve  # noqa: PLC0415  (only the process needs it)

        serve(tuple(modules), watched)
    with suppress(PermissionError, ProcessLookupError):
        os.setpgid(child, child)  # whoever comes first, so that `end` finds the group
    try:
        write(f"{slot}.pid", str(child))
        code = wait(child, owner)
        end(child)
        if code is not None:
            write(f"{slot}.end", str(code))
    except OSError:  # the folder is gone, and with it the owner
        code = None
    if code is None:
        end(child)
        shutil.rmtree(os.path.dirname(slot), ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4]))
