"""Where and with what the figures were measured."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import mpmath

from benchmarks.peers import PACKAGES
from xentcheck.auditing.environment import environment
from xentcheck.execution import cores


def describe() -> dict[str, Any]:
    """Versions, processor, cores and the date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _processor(),
        "cores": cores(),
        "load": busy(),
        **environment(),
        **{package: _version(package) for package in ("click", *PACKAGES.values())},
        "mpmath backend": mpmath.libmp.BACKEND,
    }


def busy() -> str:
    """How busy the machine is, as far as it tells."""
    if not hasattr(os, "getloadavg"):
        return f"{cores()} cores, load unknown"
    return f"{cores()} cores, load {os.getloadavg()[0]:.1f} before the start"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
