"""Common parts of the JSON Schemas (draft 2020-12) for the files that are read and written."""

from collections.abc import Iterable, Mapping
from typing import Any

from xentcheck.losses import LOSSES
from xentcheck.losses.names import ALIASES
from xentcheck.reading.json import plain

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DECIMAL = r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?"

_HEXADECIMAL = r"0[xX]([0-9a-fA-F]+(\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)([pP][+-]?[0-9]+)?"

INFINITE = r"\.?[iI][nN][fF]([iI][nN][iI][tT][yY])?"

NAN = r"\.?[nN][aA][nN]"

_WILDCARD = r"[*?\[]"


def described(schema: Schema, description: str) -> Schema:
    return {"description": description, **schema}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, schema]}


def closed(properties: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def whole_object(properties: Mapping[str, Schema]) -> Schema:
    """An object with exactly these properties, all required."""
    return closed(properties, properties)


def number_or_text(*more: str) -> Schema:
    """A number, or text of a finite number or of one of the patterns ``more``."""
    pattern = f"^[+-]?({'|'.join((_DECIMAL, _HEXADECIMAL, *more))})$"
    return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": pattern}]}


def whole_number() -> Schema:
    pattern = f"^[+-]?({_DECIMAL}|{_HEXADECIMAL})$"
    return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": pattern}]}


def within(name: str, minimum: float | None = None, maximum: float | None = None) -> Schema:
    """A reference to a definition, with bounds. The bounds apply to numbers only, not to text."""
    bounds = {"minimum": minimum, "maximum": maximum}
    known = {word: plain(value) for word, value in bounds.items() if value is not None}
    return {"$ref": f"#/$defs/{name}", **known}


def one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def some_text() -> Schema:
    return {"type": "string", "pattern": r"\S"}


def name_or_pattern(known: Iterable[str]) -> Schema:
    """A known name, or a pattern with a wildcard."""
    return {"anyOf": [{"enum": list(known)}, {"type": "string", "pattern": _WILDCARD}]}


OTHER_NAMES: Schema = {
    "description": "Another name of a loss.",
    "enum": [name for loss in LOSSES for name in ALIASES.get(loss, ())],
}
"""The names as in `ALIASES`. A configuration may write them in any case, with any separators."""


ONE_LOSS: Schema = {"anyOf": [{"enum": list(LOSSES)}, OTHER_NAMES]}
