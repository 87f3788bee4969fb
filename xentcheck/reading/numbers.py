"""Reads numbers that people write. Every numeric field and option uses this module.

YAML 1.1 reads ``1e4``, ``-1e30``, ``inf`` and ``nan`` as strings, ``010`` as 8, ``1:30`` as 90 and
``1_000`` as 1000. This module reads a number from its text instead. It accepts decimal numbers
(``10``, ``1e4``, ``-1e30``, ``.5``, ``+3``), hexadecimal numbers (``0x1.8p3``), ``inf``, ``nan``,
and names with a value that depends on the dtype (``max``, ``-smallest_subnormal``). Ambiguous text
is refused.
"""

import math
import re

from xentcheck.errors import nearest
from xentcheck.floats import FORMATS

NAMES = ("max", "smallest_normal", "smallest_subnormal", "epsilon")

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
)
_SPECIAL = re.compile(r"([+-]?)\.?(inf|infinity|nan)", re.IGNORECASE)
_NAME = re.compile(r"([+-]?)([A-Za-z_]+)")
_LEADING_ZERO = re.compile(r"[+-]?0+[0-9]+")
_LONGEST = 1000  # characters; longer text is refused as a number
_LARGEST_INTEGER = 2**63 - 1


def read_number(value: str | float) -> float | str:
    """The float64 nearest to a written number, or ``"max"``, ``"-epsilon"``, … for a named one.

    Raises:
        ValueError: the value is not a number, or it overflows to infinity or underflows to zero
            in float64. The message is written for the user.
    """
    if isinstance(value, bool):
        message = f"expected a number, not {str(value).lower()}"
        raise ValueError(message)
    if isinstance(value, str):
        return _read_text(value.strip())
    try:
        return float(value)
    except OverflowError:
        message = "a whole number beyond float64; write inf if infinity is meant"
        raise ValueError(message) from None


def parse_number(value: str | float, dtype: str | None = None) -> float:
    """A written number as a float. A named number has the value that it has in ``dtype``.

    Raises:
        ValueError: as in `read_number`, or for a named number without a dtype.
    """
    number = read_number(value)
    if isinstance(number, float):
        return number
    if dtype is None:
        message = f"{number} has a value only within a dtype; write the number itself"
        raise ValueError(message)
    sign, name = (-1.0, number[1:]) if number.startswith("-") else (1.0, number)
    return sign * float(getattr(FORMATS[dtype], name))


def parse_integer(value: str | float) -> int:
    """A written whole number (``10``, ``1e4``), exactly.

    Raises:
        ValueError: the value is not a whole number, or is above 2^63 - 1 in magnitude. The message
            is written for the user.
    """
    if isinstance(value, str) and re.fullmatch(r"[+-]?(?:0|[1-9][0-9]{0,29})", value.strip()):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        real = read_number(value)
        if isinstance(real, str) or not real.is_integer():
            message = f"expected a whole number, not {_shown(str(value))}"
            raise ValueError(message)
        number = int(real)
    if abs(number) > _LARGEST_INTEGER:
        message = "expected a whole number no larger than 2^63 - 1"
        raise ValueError(message)
    return number


def _read_text(text: str) -> float | str:
    if len(text) > _LONGEST:
        message = f"{_shown(text)} is too long for a number"
        raise ValueError(message)
    if _LEADING_ZERO.fullmatch(text):
        message = f"{text} could be octal; write it without leading zeros"
        raise ValueError(message)
    if _DECIMAL.fullmatch(text):
        return _in_range(text, float(text), re.split("[eE]", text)[0])
    if _HEXADECIMAL.fullmatch(text):
        try:
            number = float.fromhex(text)
        except OverflowError:
            number = math.inf
        return _in_range(text, number, re.split("[xX]", re.split("[pP]", text)[0])[1])
    if special := _SPECIAL.fullmatch(text):
        return float(special[1] + special[2])
    if (named := _NAME.fullmatch(text)) and named[2] in NAMES:
        return named[1].replace("+", "") + named[2]
    if re.fullmatch(r"[+-]?[0-9][0-9_]*_[0-9_.]*", text):
        plain = text.replace("_", "")
        message = f"digits are not grouped here: write {plain} instead of {_shown(text)}"
        raise ValueError(message)
    meant = nearest(named[2], NAMES) if named else None
    message = f"expected a number, not {_shown(text)}" + (
        f"; did you mean {meant}?" if meant else ""
    )
    raise ValueError(message)


def _in_range(text: str, number: float, mantissa: str) -> float:
    if math.isinf(number):
        message = f"{_shown(text)} is beyond float64; write inf if infinity is meant"
        raise ValueError(message)
    if number == 0 and re.search("[1-9a-fA-F]", mantissa):
        message = f"{_shown(text)} is below the smallest float64; write 0 if zero is meant"
        raise ValueError(message)
    return number


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
