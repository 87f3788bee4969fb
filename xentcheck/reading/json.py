"""Converts values to strict JSON and back, and reads JSON objects while it notes every problem.

Non-finite numbers become the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Arrays become (nested)
lists of hex floats, or of integers for integer labels. An array of more than `LONGEST_LIST` numbers
becomes ``{"dtype", "shape", "zlib"}``; ``zlib`` holds its little-endian bytes, compressed and in
base64. `read_array` reads both kinds.
"""

import base64
import enum
import json
import math
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from xentcheck.deferred import np
from xentcheck.errors import did_you_mean
from xentcheck.floats import FORMATS, format_of, hex_text, to_float64
from xentcheck.model import Array

LONGEST_LIST = 1024
"""The largest number of elements of an array that is written as a list."""


def plain(value: Any) -> Any:
    """Convert any value of a configuration or an environment to what strict JSON can hold."""
    match value:
        case None | bool():
            return value
        case enum.Enum():
            return plain(value.value)
        case int():
            return int(value)
        case float():
            return number(value)
        case str() | os.PathLike():
            return str(value)
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case set() | frozenset():
            return sorted((plain(each) for each in value), key=str)
        case list() | tuple():  # before NumPy's, whose names import it
            return [plain(each) for each in value]
        case np.bool_():
            return bool(value)
        case np.integer():
            return int(value)
        case np.generic():  # includes scalars of ml_dtypes, which are not np.floating
            return number(float(value))
        case np.ndarray():
            return array(value)
        case Iterable():
            return [plain(each) for each in value]
    return str(value)


def number(value: float) -> float | str:
    """A finite float as it is, or the word for NaN or an infinity."""
    return value if math.isfinite(value) else str(float(value))


def array(values: Array) -> Any:
    """An array as nested lists of hex floats (or integers), or packed if it is long."""
    if values.size > LONGEST_LIST:
        known = format_of(values.dtype)
        width = values.dtype.itemsize
        little = np.ascontiguousarray(values).view(f"u{width}").astype(f"<u{width}")
        return {
            "dtype": known.name if known else values.dtype.name,
            "shape": list(values.shape),
            "zlib": base64.b64encode(zlib.compress(little.tobytes())).decode("ascii"),
        }
    if values.dtype.kind in "iu":
        return values.tolist()
    return _hexadecimal(to_float64(values).tolist())


def read_array(written: Any, dtype: str) -> Array:
    """The array that `array` wrote. ``dtype`` applies to lists; a packed array has its own dtype.

    Raises:
        ValueError: the input is neither a list of numbers nor a packed array.
    """
    if isinstance(written, Mapping):
        known = FORMATS.get(written["dtype"])
        packed = known.dtype if known else np.dtype(written["dtype"])
        raw = zlib.decompress(base64.b64decode(written["zlib"], validate=True))
        patterns = np.frombuffer(raw, f"<u{packed.itemsize}").astype(f"u{packed.itemsize}")
        return patterns.view(packed).reshape(written["shape"])
    if dtype in FORMATS:
        return np.asarray(_from_hexadecimal(written)).astype(FORMATS[dtype].dtype)
    return np.asarray(written, dtype=dtype)


def _hexadecimal(values: Any) -> Any:
    return [_hexadecimal(each) for each in values] if isinstance(values, list) else hex_text(values)


def _from_hexadecimal(values: Any) -> Any:
    if isinstance(values, list):
        return [_from_hexadecimal(each) for each in values]
    return float.fromhex(values)


_LONGEST_SHOWN = 40

_NON_FINITE = ("nan", "inf", "-inf")

_REQUIRED: Any = object()

_Value = TypeVar("_Value")

_Word = TypeVar("_Word", bound=StrEnum)


def shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in _NON_FINITE
    return isinstance(value, float) or (is_integer(value) and abs(value) <= sys.float_info.max)


def to_number(value: Any) -> float:
    return float(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Entry:
    """Reads the keys of a JSON object.

    If the value of a key is wrong, the problem is noted with its path, and a stand-in of the right
    type is returned.
    """

    values: Mapping[str, Any]
    path: str
    problems: list[str] = field(default_factory=list)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(
        self,
        key: str,
        what: str,
        fits: Callable[[Any], bool],
        stand_in: _Value,
        default: Any = _REQUIRED,
    ) -> Any:
        """The value of a key.

        Args:
            key: the key.
            what: what the value should be, for the message.
            fits: tells whether a value is valid.
            stand_in: returned, with a problem noted, if the value is invalid or required but
                missing.
            default: returned if the key is missing. Without a default the key is required.
        """
        if key not in self.values:
            if default is not _REQUIRED:
                return default
            self.problems.append(f"{self.at(key)} is missing")
            return stand_in
        value = self.values[key]
        if fits(value):
            return value
        self.problems.append(f"{self.at(key)}: expected {what}, not {shown(value)}")
        return stand_in

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        return str(self.take(key, "a text", lambda value: isinstance(value, str), "", default))

    def text_or_none(self, key: str) -> str | None:
        found = self.take(
            key, "a text or null", lambda value: value is None or isinstance(value, str), None, None
        )
        return None if found is None else str(found)

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        def fits(value: Any) -> bool:
            return isinstance(value, bool)

        return bool(self.take(key, "true or false", fits, False, default))

    def flag_or_none(self, key: str) -> bool | None:
        def fits(value: Any) -> bool:
            return value is None or isinstance(value, bool)

        found = self.take(key, "true, false or null", fits, None, None)
        return None if found is None else bool(found)

    def integer(self, key: str, default: Any = _REQUIRED) -> int:
        return int(self.take(key, "a whole number", is_integer, 0, default))

    def integer_or_none(self, key: str) -> int | None:
        def fits(value: Any) -> bool:
            return value is None or is_integer(value)

        found = self.take(key, "a whole number or null", fits, None, None)
        return None if found is None else int(found)

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        return to_number(self.take(key, "a number", is_number, math.nan, default))

    def number_or_none(self, key: str) -> float | None:
        def fits(value: Any) -> bool:
            return value is None or is_number(value)

        found = self.take(key, "a number or null", fits, None, None)
        return None if found is None else to_number(found)

    def word(self, key: str, words: type[_Word]) -> _Word:
        """A member of an enum, read from its word."""
        known = [each.value for each in words]
        written = self.text(key)
        if written in known:
            return words(written)
        if isinstance(self.values.get(key), str):
            self.unknown(key, written, known)
        return next(iter(words))

    def unknown(self, key: str, written: str, known: Iterable[str]) -> None:
        """Note that a word is unknown."""
        hint = did_you_mean(written, known)
        self.problems.append(f"{self.at(key)}: unknown {shown(written)}{hint}")

    def mapping(self, key: str, default: Any = _REQUIRED) -> Mapping[str, Any]:
        def fits(value: Any) -> bool:
            return isinstance(value, dict)

        found: Mapping[str, Any] = self.take(key, "an object", fits, {}, default)
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        def fits(value: Any) -> bool:
            return isinstance(value, list) and all(isinstance(each, str) for each in value)

        return tuple(self.take(key, "a list of texts", fits, [], []))

    def integers(self, key: str) -> tuple[int, ...]:
        def fits(value: Any) -> bool:
            return isinstance(value, list) and all(map(is_integer, value))

        return tuple(self.take(key, "a list of whole numbers", fits, [], []))

    def numbers(self, key: str) -> tuple[float, ...]:
        def fits(value: Any) -> bool:
            return isinstance(value, list) and all(map(is_number, value))

        return tuple(map(to_number, self.take(key, "a list of numbers", fits, [])))

    def entry(self, key: str) -> "Entry":
        return Entry(self.mapping(key), self.at(key), self.problems)

    def entry_or_none(self, key: str) -> "Entry | None":
        if self.values.get(key) is None:
            return None
        return self.entry(key)

    def entries(self, key: str, default: Any = _REQUIRED) -> Iterator["Entry"]:
        def fits(value: Any) -> bool:
            return isinstance(value, list)

        for i, each in enumerate(self.take(key, "a list", fits, [], default)):
            path = f"{self.at(key)}[{i}]"
            if isinstance(each, dict):
                yield Entry(each, path, self.problems)
            else:
                self.problems.append(f"{path}: expected an object, not {shown(each)}")

    def array(self, key: str, dtype: str) -> Array:
        if key not in self.values:
            self.problems.append(f"{self.at(key)} is missing")
            return np.zeros(0)
        return self.to_array(self.values[key], self.at(key), dtype)

    def to_array(self, written: Any, path: str, dtype: str) -> Array:
        """Read an array: integers become int64, hex floats get the dtype."""
        first = written
        while isinstance(first, list) and first:
            first = first[0]
        try:
            return read_array(written, "int64" if is_integer(first) else dtype)
        except Exception as error:  # from zlib, base64 or NumPy
            self.problems.append(f"{path}: no array can be read: {error}")
            return np.zeros(0)
