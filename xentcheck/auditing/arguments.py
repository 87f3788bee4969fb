"""Checks arguments of the Python interface. Every error says what is expected."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from xentcheck.errors import UnknownNameError, UsageError


def several(given: str | Iterable[str]) -> tuple[str, ...]:
    """A name or a list of names, as a tuple. Raises UsageError for anything else."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, type) or not isinstance(given, Iterable):
        raise UsageError(f"{given!r}: expected a name, or a list of names")
    return tuple(given)


def bound(name: str, value: Any) -> float:
    """A limit as a plain float. Raises UsageError unless it is a number, 0 or more."""
    plain = isinstance(value, int | float | np.integer | np.floating)
    if not plain or isinstance(value, bool):
        raise UsageError(f"{name}={value!r}: expected a number")
    try:
        number = float(value)
    except OverflowError:
        raise UsageError(f"{name}: beyond float64; inf is no limit") from None
    if not number >= 0:
        raise UsageError(f"{name} {number:g}: has to be 0 or more")
    return number


def flag(name: str, value: Any) -> bool:
    """A plain bool. Raises UsageError for anything but True or False."""
    if not isinstance(value, bool | np.bool_):
        raise UsageError(f"{name}={value!r}: expected True or False")
    return bool(value)


def seed_of(seed: Any) -> int:
    """A seed as a plain int. Raises UsageError unless it is a whole number, 0 or more."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed={seed!r}: expected a whole number, 0 or more")
    return int(seed)


def known_names(what: str, names: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names as plain strings, without duplicates. Raises UnknownNameError for unknown ones."""
    for name in names:
        if name not in known:
            raise UnknownNameError(what, str(name), list(map(str, known)))
    return tuple(str(name) for name in dict.fromkeys(names))
