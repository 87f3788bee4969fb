"""The JSON Schema of configurations, built from the same declarations as their reader.

An editor with this schema completes keys and names, and shows their meaning. The schema checks less
than the reader: only the reader finds patterns that match nothing.
"""

from collections.abc import Mapping

from xentcheck.config import FIELDS, LABEL_KINDS
from xentcheck.config.fields import LIMIT_NUMBERS
from xentcheck.floats import FORMATS
from xentcheck.implementations.bridge import LABEL_DTYPES
from xentcheck.implementations.shapes import SHAPES
from xentcheck.implementations.user import FRAMEWORKS
from xentcheck.losses import LOSSES
from xentcheck.model import Grade, Kind, Option, Parameter, ParameterKind, Quantity
from xentcheck.reading.json import plain
from xentcheck.reading.numbers import NAMES
from xentcheck.reading.schema import (
    _WILDCARD,
    DIALECT,
    INFINITE,
    NAN,
    ONE_LOSS,
    OTHER_NAMES,
    Schema,
    closed,
    described,
    list_of,
    name_or_pattern,
    number_or_text,
    one_or_more,
    some_text,
    whole_number,
    within,
)
from xentcheck.sweeps import GENERATORS, Generator
from xentcheck.sweeps.labels import TARGETS


def config_schema() -> Schema:
    """The JSON Schema of a configuration."""
    return {
        "$schema": DIALECT,
        "title": "xentcheck configuration",
        "description": "What xentcheck audits: inputs, implementations, and what a gate allows.",
        **_section("configuration", _CONFIGURATION),
        "$defs": {
            "number": number_or_text(INFINITE),
            "finite-number": number_or_text(),
            "named-number": number_or_text(INFINITE, NAN, *NAMES),
            "whole-number": whole_number(),
            "loss": _loss(),
            "dtype": {"enum": list(FORMATS)},
            "kind": {"enum": list(map(str, Kind))},
            "implementation": _section("implementation", _IMPLEMENTATION)
            | {"oneOf": [{"required": ["target"]}, {"required": ["command"]}]},
            "sweep": _section("sweep", _SWEEP),
            "labels": _section("labels", _LABELS) | {"minProperties": 1},
            "parameters": _parameters(),
            "limit": _section("limit", _LIMIT) | {"minProperties": 1},
            "input": _input(),
            **{f"input-{each.name}": _generator(each) for each in GENERATORS.values()},
        },
    }


def _loss() -> Schema:
    named = [{"const": loss.id, "description": loss.summary} for loss in LOSSES.values()]
    every = {"const": "all", "description": "Every loss."}
    return {"anyOf": [*named, every, OTHER_NAMES, {"type": "string", "pattern": _WILDCARD}]}


_WORDS: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1}

_KINDS = one_or_more({"$ref": "#/$defs/kind"})

_BOUND = within("number", 0)

_CONFIGURATION: Mapping[str, Schema] = {
    "version": {"const": 1},
    "seed": within("whole-number", 0),
    "implementations": one_or_more({"$ref": "#/$defs/implementation"}),
    "sweeps": {
        "type": "object",
        "propertyNames": {"pattern": r"^\w[\w-]*$"},
        "additionalProperties": {"$ref": "#/$defs/sweep"},
        "minProperties": 1,
    },
    "limits": one_or_more({"$ref": "#/$defs/limit"}),
    "baseline": some_text(),
    "allow_skips": {"type": "boolean"},
}

_IMPLEMENTATION: Mapping[str, Schema] = {
    "loss": ONE_LOSS,
    "target": {"type": "string", "pattern": r"^.+:[^:]+$"},
    "command": _WORDS,
    "framework": {"enum": list(FRAMEWORKS)},
    "gradient": {"anyOf": [some_text(), _WORDS]},
    "name": {"type": "string", "pattern": "^[\\w.:/-]+$"},
    "parameters": {"type": "object", "minProperties": 1},
    "built_in": {"type": "object", "minProperties": 1},
    "shape": {"enum": list(SHAPES)},
    "label_dtype": {"enum": list(LABEL_DTYPES)},
}

_SWEEP: Mapping[str, Schema] = {
    "losses": one_or_more({"$ref": "#/$defs/loss"}),
    "dtypes": one_or_more({"anyOf": [{"$ref": "#/$defs/dtype"}, {"const": "all"}]}),
    "inputs": one_or_more({"$ref": "#/$defs/input"}),
    "quantities": one_or_more({"enum": list(map(str, Quantity))}),
    "implementations": one_or_more(some_text()),
    "labels": {"$ref": "#/$defs/labels"},
    "parameters": {"$ref": "#/$defs/parameters"},
}

_LABELS: Mapping[str, Schema] = {
    "kind": {"enum": list(LABEL_KINDS)},
    "targets": {"enum": list(TARGETS)},
}

_LIMIT: Mapping[str, Schema] = {
    "loss": {"anyOf": [*name_or_pattern(LOSSES)["anyOf"], OTHER_NAMES]},
    "implementation": some_text(),
    "dtype": name_or_pattern(FORMATS),
    "quantity": name_or_pattern(map(str, Quantity)),
    "sweep": some_text(),
    **dict.fromkeys(LIMIT_NUMBERS, _BOUND),
    "min_grade": {"enum": list(map(str, Grade))},
    "times_condition": {"type": "boolean"},
    "batch_invariant": {"type": "boolean"},
    "against": one_or_more(some_text()),
    "allow": _KINDS,
    "forbid": _KINDS,
}


def _section(name: str, taken: Mapping[str, Schema]) -> Schema:
    """The schema of a section, with the texts of its keys from `FIELDS`."""
    fields = FIELDS[name]
    properties = {each.name: described(taken[each.name], each.doc) for each in fields}
    return closed(properties, [each.name for each in fields if each.required])


def _parameters() -> Schema:
    """The parameters of all losses. A shared parameter takes the values of any of its losses."""
    values: dict[str, list[Schema]] = {}
    docs: dict[str, str] = {}
    for loss in LOSSES.values():
        for parameter in loss.parameters:
            known = values.setdefault(parameter.name, [])
            if (value := _parameter(parameter)) not in known:
                known.append(value)
            docs.setdefault(parameter.name, parameter.doc)
    properties = {
        name: described(one_or_more(known[0] if len(known) == 1 else {"anyOf": known}), docs[name])
        for name, known in values.items()
    }
    return closed(properties, ()) | {"minProperties": 1}


def _parameter(parameter: Parameter) -> Schema:
    value = _parameter_value(parameter)
    if parameter.default is None and parameter.kind != ParameterKind.CHOICE:
        return {"anyOf": [value, described({"const": "none"}, "Not given.")]}
    return value


def _parameter_value(parameter: Parameter) -> Schema:
    if parameter.kind == ParameterKind.FLAG:
        return {"type": "boolean"}
    if parameter.kind == ParameterKind.CHOICE:
        return {"enum": [each for word in parameter.choices for each in _spellings(word)]}
    if parameter.kind == ParameterKind.INTEGER:
        return within("whole-number", parameter.minimum, parameter.maximum)
    number = within("finite-number", parameter.minimum, parameter.maximum)
    words = parameter.kind.words
    if not words:
        return number
    several = {"type": "array", "items": number, "minItems": 1}
    return {"anyOf": [{"enum": list(words)}, number, several]}


def _spellings(word: str) -> tuple[str | int, ...]:
    """A word, and also the number if YAML reads the word as one."""
    return (word, int(word)) if word.isdigit() else (word,)


def _input() -> Schema:
    """The schema of an input: one of the generators with its own options."""
    named = [{"const": each.name, "description": each.summary} for each in GENERATORS.values()]
    generator = next(each for each in FIELDS["input"] if each.name == "generator")
    return {
        "type": "object",
        "properties": {"generator": {"description": generator.doc, "anyOf": named}},
        "required": ["generator"],
        "allOf": [
            {
                "if": {
                    "properties": {"generator": {"const": each.name}},
                    "required": ["generator"],
                },
                "then": {"$ref": f"#/$defs/input-{each.name}"},
            }
            for each in GENERATORS.values()
        ],
    }


def _generator(generator: Generator) -> Schema:
    properties = {"generator": {"const": generator.name}}
    for option in generator.options:
        schema = described(_option(option), option.doc)
        if option.default not in (None, ()):
            schema["default"] = plain(option.default)
        properties[option.name] = schema
    required = [option.name for option in generator.options if option.required]
    return described(closed(properties, ["generator", *required]), generator.summary)


def _option(option: Option) -> Schema:
    if option.kind == "rows":
        number = {"$ref": "#/$defs/named-number"}
        return list_of({"anyOf": [number, list_of(number) | {"minItems": 1}]}) | {"minItems": 1}
    value = _option_value(option)
    return one_or_more(value) if option.many else value


def _option_value(option: Option) -> Schema:
    if option.kind == "integer":
        return within("whole-number", option.minimum, option.maximum)
    if option.kind == "real":
        return within("named-number", option.minimum, option.maximum)
    return {"enum": list(option.choices)} if option.kind == "choice" else some_text()
