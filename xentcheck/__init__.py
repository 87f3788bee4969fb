"""xentcheck: a numerical-stability auditor for cross-entropy losses and what they are made of.

::

    import xentcheck

    xentcheck.assert_accurate(loss, "softmax_cross_entropy", max_ulp=4)
    report = xentcheck.audit("configs/sweep.yaml")
    xentcheck.probe("softmax_cross_entropy", [20, 0, 0], labels=0)

Nothing is imported before it is asked for: the command line and the pytest plugin start with this.
"""

from typing import TYPE_CHECKING, Any

from xentcheck._version import __version__

if TYPE_CHECKING:
    from xentcheck.api import assert_accurate, audit, probe, read_report
    from xentcheck.errors import XentcheckError
    from xentcheck.model import Report
    from xentcheck.registry import implementation

__all__ = [
    "Report",
    "XentcheckError",
    "__version__",
    "assert_accurate",
    "audit",
    "implementation",
    "probe",
    "read_report",
]

_HOMES = {
    "Report": "api",
    "XentcheckError": "errors",
    "assert_accurate": "api",
    "audit": "api",
    "implementation": "registry",
    "probe": "api",
    "read_report": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    private = (each for each in globals() if each.startswith("_"))
    return sorted({*private, *__all__})
