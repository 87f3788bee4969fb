"""Stand-ins for modules that are imported when an attribute is first used.

Modules that declare things (losses, generators, dtypes, implementations) take NumPy from here. So
whoever only names what is declared imports no NumPy::

    from xentcheck.deferred import np

Code at the level of such a module must not use NumPy, or it is imported after all. The annotations
there are not evaluated (``from __future__ import annotations``).
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any


class Deferred:
    """A stand-in for a module. It keeps every attribute that was used once.

    Attributes are set on the module itself, never here.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        self.__dict__[attribute] = found
        return found


def deferred(name: str) -> Any:
    """Return a stand-in for the module of this name."""
    return Deferred(name)


def names_of(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` of a package that imports a module when a name of it is asked for.

    Args:
        package: the name of the package.
        homes: by module, the names that the package hands on, with spaces between them;
            ``new=old`` hands on a name as another.
    """
    home = {}
    for module, names in homes.items():
        for each in names.split():
            new, _, old = each.partition("=")
            home[new] = module, old or new

    def found(name: str) -> Any:
        if name in homes:
            return importlib.import_module(f"{package}.{name}")
        if name not in home:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules[package])
        module, old = home[name]
        value = getattr(importlib.import_module(f"{package}.{module}"), old)
        setattr(sys.modules[package], name, value)
        return value

    return found


if TYPE_CHECKING:
    import ml_dtypes
    import numpy as np
    import numpy.typing as npt
else:
    ml_dtypes = deferred("ml_dtypes")
    np = deferred("numpy")
    npt = deferred("numpy.typing")

__all__ = ["Deferred", "deferred", "ml_dtypes", "names_of", "np", "npt"]
