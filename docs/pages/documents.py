"""The pages of the JSON documents: every key, from the schemas."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from docs.pages.markdown import folded, table
from xentcheck.config.schema import config_schema
from xentcheck.gate.baseline_schema import baseline_schema
from xentcheck.report.document.schema import report_schema

Schema = Mapping[str, Any]

SCHEMAS: Mapping[str, Callable[[], Schema]] = {
    "config": config_schema,
    "baseline": baseline_schema,
    "report": report_schema,
}


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """A page for each schema."""
    for name, made in SCHEMAS.items():
        yield f"{name}.md", _page(name, made())


def _page(name: str, schema: Schema) -> Iterator[str]:
    yield f"# The {name} document"
    yield ""
    yield from folded(schema["description"])
    yield ""
    yield from folded(
        f"`xentcheck schema {name}` prints the JSON Schema that this page is made from. A key"
        " marked `?` may be absent."
    )
    yield ""
    found = {title: _inner(each) for title, each in schema["$defs"].items()}
    described = {title: each for title, each in found.items() if each is not None}
    yield from _objects("The document", schema, described)
    for title, each in described.items():
        yield from _objects(title, each, described)


def _objects(title: str, schema: Schema, described: Container[str]) -> Iterator[str]:
    """A table of the keys, then one for each object within."""
    yield f"## {title}"
    yield ""
    if title != "The document" and "description" in schema:
        yield from folded(schema["description"])
        yield ""
    properties, required = _properties(schema), set(schema.get("required", ()))
    yield from table(
        ("key", "holds", "meaning"),
        (
            (
                f"`{key}`{'' if key in required else ' ?'}",
                _holds(each, described),
                _meaning(each).replace("*", "\\*").replace("](", "](../"),
            )
            for key, each in properties.items()
        ),
    )
    for key, each in properties.items():
        inner = _inner(each)
        if inner is not None:
            name = key if title == "The document" else f"{title}: {key}"
            yield from _objects(name, inner, described)


def _properties(schema: Schema) -> Mapping[str, Schema]:
    found: Mapping[str, Schema] = schema.get("properties", {})
    return found


def _inner(schema: Schema) -> Schema | None:
    """The object with keys of its own that a value is, or that it has as items."""
    if _properties(schema):
        return schema
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found = _inner(each)
        if found is not None:
            return found
    items = schema.get("items") or schema.get("additionalProperties")
    return _inner(items) if isinstance(items, Mapping) else None


def _meaning(schema: Schema) -> str:
    """Its own description, else that of what it may be."""
    if "description" in schema:
        return str(schema["description"])
    found = (_meaning(each) for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())))
    return next((each for each in found if each), "")


def _holds(schema: Schema, described: Container[str]) -> str:
    """The type of a value in words; a link to the section of an object that is described."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})" if name in described else name
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        words = [f"`{each}`" for each in schema["enum"]]
        return ", ".join(words) if len(words) <= _MOST_WORDS else f"one of {len(words)} words"
    options = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    if options:
        return " or ".join(dict.fromkeys(_holds(each, described) for each in options))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(_TYPES[each] for each in kind)
    if kind == "array":
        items = schema.get("items")
        return f"list of {_holds(items, described)}" if isinstance(items, Mapping) else "list"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"names, each with {_holds(schema['additionalProperties'], described)}"
    return _TYPES.get(str(kind), str(kind))


_MOST_WORDS = 8

_TYPES: Mapping[str, str] = {
    "number": "number",
    "array": "list",
    "boolean": "`true`, `false`",
    "integer": "whole number",
    "null": "`null`",
    "object": "object",
    "string": "text",
}
