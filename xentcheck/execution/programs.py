"""The folder where frameworks keep compiled programs between runs.

Programs are those of one machine: the folder's name has the processor's vector instructions. It is
private to its user, and what was not used for the longest time is removed when it is too large.
"""

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from xentcheck.implementations.bridge import PROGRAMS
from xentcheck.switches import NO_CACHE

MOST_BYTES = 512 << 20


def cache() -> Path:
    """The platform's cache directory."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else home / ".cache"


def vector_instructions() -> str:
    """NumPy's names of the vector instructions that it uses here. Results depend on them."""
    known = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join([*known.get("baseline", ()), *known.get("found", ())]) or "none"


def _place() -> Path | None:
    """Where the folder is, whether or not it exists; None if it is switched off."""
    if os.environ.get(NO_CACHE):
        return None
    machine = f"{platform.machine()} {platform.processor()} {vector_instructions()}"
    name = hashlib.sha256(machine.encode()).hexdigest()[:12]
    try:
        return cache() / "xentcheck" / "programs" / name
    except RuntimeError:  # the user has no home
        return None


def folder() -> Path | None:
    """The folder, made if it is not there; None if it is switched off or cannot be made."""
    path = _place()
    if path is None:
        return None
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()
    except OSError:
        return None
    return path if mine and os.access(path, os.R_OK | os.W_OK | os.X_OK) else None


def environment() -> Mapping[str, str]:
    """What the processes of frameworks have to know of the folder."""
    path = folder()
    if path is None:
        return {}
    # torch's own folder stays where its user has put it
    inductor = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or str(path / "torch")
    return {PROGRAMS: str(path), "TORCHINDUCTOR_CACHE_DIR": inductor}


def prune(most: int = MOST_BYTES) -> None:
    """Remove what was not used for the longest time, until the rest fits.

    Runs side by side may prune at once: a file that is gone is no error, and a program that is
    missing is compiled again.
    """
    path = _place()
    if path is None:
        return
    files = []
    with suppress(OSError):
        for each in path.rglob("*"):
            with suppress(OSError):
                if each.is_file() and not each.is_symlink():
                    seen = each.stat()
                    files.append((max(seen.st_atime, seen.st_mtime), seen.st_size, each))
    held = sum(size for _, size, _ in files)
    for _, size, each in sorted(files, key=lambda file: file[0]):
        if held <= most:
            return
        with suppress(OSError):
            each.unlink()
        held -= size
