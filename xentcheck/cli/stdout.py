"""Writes text to standard output, in whatever encoding it has."""

import contextlib
import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping

from xentcheck.errors import UsageError


def width_of(terminal: bool) -> int:
    """The width in columns: COLUMNS if set, else that of the terminal, else 100."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size((100, 24)).columns if terminal else 100


def emit(text: str) -> None:
    """Write to standard output. A closed pipe is not an error: the exit status stays.

    Raises:
        UsageError: standard output cannot be written.
    """
    stream = sys.stdout
    if stream is None:
        return
    try:
        stream.write(_encodable(text, stream.encoding))
        stream.flush()
    except OSError as error:
        # Python would try to write its buffer again at exit, and fail again.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"cannot write to standard output: {error.strerror}") from None


def _encodable(text: str, encoding: str | None) -> str:
    """The text with stand-ins for characters that the encoding lacks."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_stand_in(each, encoding) for each in text)
    return text


_STAND_INS: Mapping[str, str] = {
    # these have the same width, for tables
    **dict(zip("→←…·×−–±∓÷∘●≠", "><~|x--+-/.*!", strict=True)),
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True)),  # a curve
    "½": "1/2",
    "⅓": "1/3",
    "¼": "1/4",
    "²": "^2",
    "≤": "<=",
    "≥": ">=",
    "√": "sqrt ",
    "∞": "inf",
    "∈": " in ",
    "Σ": "sum",
    "Π": "prod",
    "α": "alpha",
    "γ": "gamma",
    "δ": "delta",
    "ε": "eps",
    "σ": "sigma",
}


def _stand_in(character: str, encoding: str) -> str:
    """A character, or its replacement if the encoding lacks it."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        parts = unicodedata.normalize("NFKD", character)
        bare = "".join(each for each in parts if not unicodedata.combining(each))
        plain = _STAND_INS.get(character) or bare or "?"
        return plain.encode(encoding, "replace").decode(encoding)
    return character
