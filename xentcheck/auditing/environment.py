"""Collects everything that can change a result: versions, the platform, the processor."""

import platform
from collections.abc import Iterable
from importlib import metadata

from xentcheck._version import __version__
from xentcheck.execution.programs import vector_instructions
from xentcheck.model import Process

METHOD = "enclosures of rising precision: float64, double-double, binary128, mpmath intervals"

WITHOUT_BINARY128 = (
    "enclosures of rising precision: float64, double-double, mpmath intervals (no numpy-quaddtype)"
)


def environment(processes: Iterable[Process] = ()) -> dict[str, str]:
    """Versions of everything that can change a result, and the platform.

    ``processes`` are those of the frameworks that were called.
    """
    versions = {"xentcheck": __version__, "python": platform.python_version()}
    for package in ("numpy", "mpmath", "ml_dtypes"):
        versions[package] = metadata.version(package)
    try:
        versions["numpy-quaddtype"] = metadata.version("numpy-quaddtype")
    except metadata.PackageNotFoundError:
        versions["numpy-quaddtype"] = "not installed"
    modules = {name.partition(".")[0] for process in processes for name in process.modules}
    distributions = metadata.packages_distributions() if modules else {}
    for module in sorted(modules):
        for distribution in sorted(set(distributions.get(module, ())))[:1]:
            versions[distribution] = metadata.version(distribution)
    versions["platform"] = f"{platform.system()} {platform.machine()}"
    versions["cpu"] = vector_instructions()
    return versions
