"""Packages that xentcheck is measured against; any of them may be missing."""

import importlib
from typing import Any

PACKAGES = {
    "scipy.special": "scipy",
    "flint": "python-flint",
    "numpy_quaddtype": "numpy-quaddtype",
}


def find(module: str) -> Any | None:
    """A peer's module; None where its package is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def absence(module: str, consequence: str) -> str:
    """How to say that a peer is missing."""
    return f"{PACKAGES[module]} is not installed: {consequence}"
