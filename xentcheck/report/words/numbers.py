"""Texts for numbers and commands."""

import math
import re
import shlex
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from xentcheck.floats import FORMATS, LARGEST_ULP, hex_text
from xentcheck.model import Array, Witness

EXPLAINED = "explained by conditioning"


FEW_ULPS = 4.0  # errors up to this many ulps need no explanation


FEW_BITS = 2.0  # conditioning explains an error up to this many excess bits


_LIST = re.compile(r"[a-z_-]+=[^\s,;]+([,;][^\s,;]+)+")


def ulps(value: float) -> str:
    """An error in ulps in at most seven characters: ``0.50``, ``3.97``, ``1204``, ``1.6e7``.

    NaN means that no row has a finite error, and is shown as a dash. Only an error of exactly zero
    is ``0``. An error beyond float64 is ``>1e308``.
    """
    if value == LARGEST_ULP:
        return ">1e308"
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else "inf"
    if value < 99.95:
        return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"
    return f"{value:.0f}" if value < 9999.5 else scientific(value)


def scientific(value: float) -> str:
    """Two digits and the shortest exponent: ``4.1e-9``, ``1.6e7``; ``0``, ``-`` for NaN."""
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else f"{value}"
    return _short_exponent(f"{value:.1e}")


def brief(value: float) -> str:
    """A number in four significant digits: ``20``, ``4.122e-9``, ``-inf``."""
    return _short_exponent(f"{value:.4g}")


def decimal(value: float) -> str:
    """The shortest decimal that reads back as the same float64: ``20``, ``0.1``, ``-1e+30``."""
    return _short_exponent(repr(float(value)).removesuffix(".0"))


def digits(value: float, dtype: str) -> str:
    """A number with enough digits to distinguish it from its neighbours in the dtype."""
    known = FORMATS.get(dtype)
    if known is None or known.precision >= FORMATS["float64"].precision:
        return decimal(value)
    return _short_exponent(f"{value:.{math.ceil(known.precision * math.log10(2)) + 1}g}")


def hexadecimal(value: float) -> str:
    """A number in the form of ``float.hex``, without trailing zeros: ``0x1.4p+4``."""
    digits, mark, exponent = hex_text(value).partition("p")
    return f"{digits.rstrip('0').rstrip('.')}{mark}{exponent}" if "." in digits else digits


def listed(values: Array, most: int, write: Callable[[Any], str]) -> str:
    """The numbers of a 1-D array as text.

    More than ``most`` are shortened: ``0, 0, … 65,540 in all …, 1``. ``write`` gives the text of
    one number.
    """
    if values.size <= most:
        return ", ".join(map(write, values.tolist()))
    head = ", ".join(map(write, values[: most - 1].tolist()))
    return f"{head}, … {values.size:,} in all …, {write(values[-1].item())}"


def is_explained(witness: Witness) -> bool:
    """Whether an error of many ulps is within what the rounding of the input explains."""
    bits = witness.excess_bits
    return bits is not None and bits <= FEW_BITS and witness.ulp_error > FEW_ULPS


def exact_text(text: str) -> str:
    """Decimal text in the usual notation, with all of its digits: ``2000`` for ``2e+3``."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if value.is_finite() and value and -6 < value.adjusted() < 16:
        return f"{value:f}"
    return _short_exponent(text.lower())


def exact_brief(text: str) -> str:
    """Decimal text in four digits, also beyond the range of float64."""
    mantissa, mark, exponent = text.lower().partition("e")
    digits = mantissa.lstrip("-").replace(".", "").lstrip("0")
    if not mark and "." not in mantissa and len(mantissa) <= 8:
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    if digits and (value == 0 or math.isinf(value)):
        return f"{float(mantissa):.4g}e{exponent}"
    return brief(value)


def written(value: float) -> str:
    """The shorter of decimal and hex text; both read back exactly: ``20``, ``0x1.8p-100``."""
    if not math.isfinite(value):
        return decimal(value)
    return min(decimal(value), hexadecimal(value), key=len)


def quoted(word: str) -> str:
    """A word for a shell, in the quotes that are easiest to read."""
    if "'" in word and not set('"$`\\!\n') & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def shell(command: Sequence[str]) -> str:
    """A command on one line that can be pasted into a shell."""
    return " ".join(map(quoted, command))


def folded(command: Sequence[str], width: int) -> str:
    """A command on lines of at most ``width`` characters that can be pasted into a shell.

    Long lists of numbers are folded within their quotes, because blanks also separate numbers.
    """
    lines = [""]
    for word in command:
        pieces = [quoted(word)]
        if len(pieces[0]) > width - 2 and _LIST.fullmatch(word):
            pieces = quoted(re.sub("([,;])", r"\1 ", word)).split(" ")
        for i, piece in enumerate(pieces):
            if lines[-1] and len(lines[-1]) + 1 + len(piece) > width - 2:
                lines[-1] += "" if i else " \\"
                lines.append(piece)
            else:
                lines[-1] = f"{lines[-1]} {piece}".lstrip()
    return "\n".join(lines)


def value_text(value: float) -> str:
    """One number in decimal, and also in hex if it is finite."""
    return f"{decimal(value)} = {hexadecimal(value)}" if math.isfinite(value) else decimal(value)


def clean(text: str) -> str:
    """Foreign text with escapes for characters that control a terminal. Newlines stay."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def count(number: int, noun: str) -> str:
    """``1 row``, ``12,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _short_exponent(text: str) -> str:
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text
