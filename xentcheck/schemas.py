"""JSON Schemas (draft 2020-12) of what is read and written: configuration, schema, report.

The one for configurations is made of the same declarations as their reader: an editor that is told
of it completes keys and names, and shows what they mean. It knows less than the reader, which also
says where patterns match nothing. The one for reports describes what this version writes.
"""

import json
from collections.abc import Callable, Mapping

from xentcheck.config import FIELDS, LABEL_KINDS
from xentcheck.floats import FORMATS
from xentcheck.gate.baseline_file import RULES
from xentcheck.gate.baseline_schema import schema
from xentcheck.gate.outcome import Outcome
from xentcheck.implementations.bridging import LABEL_DTYPES
from xentcheck.implementations.shapes import SHAPES
from xentcheck.implementations.user import FRAMEWORKS
from xentcheck.losses import LOSSES
from xentcheck.model import OTHER_BOUNDS, Kind, Option, Parameter, Quantity, Standing
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
    or_null,
    some_text,
    whole_number,
    whole_object,
    within,
)
from xentcheck.report.document import SCHEMA_VERSION
from xentcheck.sweeps import GENERATORS, Generator
from xentcheck.sweeps.labels import TARGETS
from xentcheck.sweeps.parameters import MATRIX_WORDS, VECTOR_WORDS

_HEX_FLOAT = r"^(-?0x[01]\.[0-9a-f]+p[+-][0-9]+|-?inf|nan)$"


def text(what: str) -> str:
    """A schema of `SCHEMAS` as JSON text with a final newline."""
    return json.dumps(SCHEMAS[what](), indent=2, ensure_ascii=False) + "\n"


def config() -> Schema:
    """What a configuration may say."""
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


def report() -> Schema:
    """What `--format json` writes."""
    cell: dict[str, Schema] = {
        name: {"type": "string"} for name in ("loss", "implementation", "dtype", "sweep")
    }
    cell["quantity"] = {"$ref": "#/$defs/quantity"}
    finding: dict[str, Schema] = {
        "kind": {"$ref": "#/$defs/kind"},
        **cell,
        "rows": {"$ref": "#/$defs/count"},
        "cause": {"type": ["string", "null"]},
        "hint": {"type": "string"},
        "detail": {"type": "string"},
        "distance": {"$ref": "#/$defs/number"},
        "witness": or_null({"$ref": "#/$defs/witness"}),
    }
    violation: dict[str, Schema] = {
        "limit": {"type": "string"},
        "rule": {"enum": ["", *RULES]},
        "standing": or_null({"$ref": "#/$defs/standing"}),
        "accepted": {"type": "string"},
        **finding,
    }
    measurement: dict[str, Schema] = {
        **cell,
        "rows": {"$ref": "#/$defs/count"},
        "scored": {"$ref": "#/$defs/count"},
        "far": {"$ref": "#/$defs/count"},
        **{
            name: {"$ref": "#/$defs/number"}
            for name in ("max_ulp", "max_normal_ulp", "p99_ulp", "median_ulp", "max_abs")
        },
        "max_excess_bits": or_null({"$ref": "#/$defs/number"}),
        "met": or_null({"enum": list(OTHER_BOUNDS)}),
        "counts": {
            "type": "object",
            "propertyNames": {"$ref": "#/$defs/kind"},
            "additionalProperties": {"$ref": "#/$defs/count"},
        },
        "result_dtype": {"type": "string"},
        "negative_zeros": {"$ref": "#/$defs/count"},
        "witness": or_null({"$ref": "#/$defs/witness"}),
        "farthest": or_null({"$ref": "#/$defs/witness"}),
        "normal": or_null({"$ref": "#/$defs/witness"}),
        "first_break": or_null(whole_object({"kind": {"$ref": "#/$defs/kind"}, **_INPUT})),
    }
    witness: dict[str, Schema] = {
        **_INPUT,
        "index": {"type": ["integer", "null"], "minimum": 0},
        "actual": {"$ref": "#/$defs/number"},
        "actual_hex": {"$ref": "#/$defs/hex"},
        "expected": {"$ref": "#/$defs/number"},
        "expected_hex": {"$ref": "#/$defs/hex"},
        "exact": described({"type": "string"}, "In decimal; empty where nothing was scored."),
        "result_dtype": {"type": "string"},
        "ulp_error": {"$ref": "#/$defs/number"},
        "abs_error": {"$ref": "#/$defs/number"},
        "radius_ulp": {"$ref": "#/$defs/number"},
        "excess_bits": or_null({"$ref": "#/$defs/number"}),
        "note": {"type": "string"},
    }
    change: dict[str, Schema] = {
        **cell,
        "rule": {"enum": ["", *RULES]},
        "standing": {"$ref": "#/$defs/standing"},
        "text": {"type": "string"},
        "into": described({"type": "string"}, "The rules that are broken in its place."),
    }
    source: dict[str, Schema] = {
        "loss": {"type": "string"},
        "implementation": {"type": "string"},
        "file": {"type": "string"},
        "line": {"type": "integer", "minimum": 1},
    }
    skipped = ("reason", "loss", "implementation", "dtype", "quantity", "sweep", "missing")
    given: dict[str, Schema] = {
        name: {"type": "string"} for name in ("sweep", "generator", "loss", "dtype")
    }
    given["rows"] = {"$ref": "#/$defs/count"}
    given["distinct"] = or_null({"$ref": "#/$defs/count"})
    packed: dict[str, Schema] = {
        "dtype": {"type": "string"},
        "shape": list_of({"$ref": "#/$defs/count"}),
        "zlib": described({"type": "string"}, "Little endian bytes, compressed, in base64."),
    }
    counted = (
        "rows",
        "rows_sampled_by_mpmath",
        "witnesses_by_mpmath",
        "witnesses_confirmed_by_definition",
        "witnesses_beyond_definition",
        "confirmations_failed",
    )
    reference: dict[str, Schema] = {
        "method": {"type": "string"},
        "ulp": {"type": "string"},
        "binary128": described({"type": "boolean"}, "Whether numpy-quaddtype is there."),
        "decided_by": described(
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/count"}},
            "Rows by the tier that decided them.",
        ),
        **{name: {"$ref": "#/$defs/count"} for name in counted},
    }
    document: dict[str, Schema] = {
        "schema_version": {"const": SCHEMA_VERSION},
        "ulp": described({"type": "string"}, "How errors are measured."),
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "seed": {"type": "integer", "minimum": 0},
        "config": described({"type": "object"}, "What was asked for, as it was written."),
        "path": described({"type": ["string", "null"]}, "The configuration's file."),
        "timeout_s": described({"type": ["number", "null"]}, "What --timeout allowed a call."),
        "reference": described(closed(reference, ["method"]), "How exact results came about."),
        "gated": described({"type": "boolean"}, "Whether there were limits."),
        "interrupted": {"type": "boolean"},
        "uncertified": list_of({"type": "string"}),
        "deaths": list_of({"type": "string"}),
        "measurements": list_of({"$ref": "#/$defs/measurement"}),
        "findings": list_of({"$ref": "#/$defs/finding"}),
        "violations": list_of({"$ref": "#/$defs/violation"}),
        "schema": {"type": ["string", "null"]},
        "tolerated": list_of({"$ref": "#/$defs/violation"}),
        "baseline_note": described(
            {"type": "string"}, "On which processors it was recorded, if not on this one."
        ),
        "changes": list_of(whole_object(change)),
        "sources": list_of(whole_object(source)),
        "origins": {"type": "object", "additionalProperties": list_of({"type": "string"})},
        "skips": list_of(whole_object({name: {"type": "string"} for name in skipped})),
        "omissions": described(
            list_of(whole_object({name: {"type": "string"} for name in skipped})),
            "What the configuration names and was not audited: it fails a gate.",
        ),
        "strict": described({"type": "boolean"}, "Whether stale entries fail a gate."),
        "outcome": described(
            {"enum": list(map(str, Outcome))}, "How the run ended; the exit status goes with it."
        ),
        "yields": list_of(whole_object(given)),
    }
    return {
        "$schema": DIALECT,
        "title": "xentcheck report",
        "description": "What a run found out, as `--format json` writes it.",
        **whole_object(document),
        "$defs": {
            "number": {"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]},
            "hex": {"type": "string", "pattern": _HEX_FLOAT},
            "count": {"type": "integer", "minimum": 0},
            "quantity": {"enum": list(map(str, Quantity))},
            "kind": {"enum": list(map(str, Kind))},
            "standing": {"enum": list(map(str, Standing))},
            "array": {
                "description": "Hex floats, or integers for labels; nested; packed when long.",
                "anyOf": [
                    {"$ref": "#/$defs/hex"},
                    {"type": "integer"},
                    list_of({"$ref": "#/$defs/array"}),
                    whole_object(packed),
                ],
            },
            "measurement": whole_object(measurement),
            "finding": whole_object(finding),
            "violation": whole_object(violation),
            "witness": whole_object(witness),
        },
    }


SCHEMAS: Mapping[str, Callable[[], Schema]] = {
    "config": config,
    "report": report,
    "schema": schema,
}
"""The schemas by name."""


_INPUT: Mapping[str, Schema] = {
    "logits": {"$ref": "#/$defs/array"},
    "labels": or_null({"$ref": "#/$defs/array"}),
    "parameters": {"type": "object"},
    "generator": {"type": "string"},
    "row": {"type": "integer", "minimum": 0},
    "place": {"type": "integer", "minimum": 0},
}


# Numbers and names, as `numbers` and `yaml_reader` take them. YAML itself takes 1e4, inf and hex
# floats for text.


def _loss() -> Schema:
    named = [{"const": loss.id, "description": loss.summary} for loss in LOSSES.values()]
    every = {"const": "all", "description": "Every loss."}
    return {"anyOf": [*named, every, OTHER_NAMES, {"type": "string", "pattern": _WILDCARD}]}


# The sections of a configuration: what each key of `FIELDS` takes.

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
    "schema": some_text(),
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
    "max_ulp": _BOUND,
    "p99_ulp": _BOUND,
    "max_excess_bits": _BOUND,
    "or_abs": _BOUND,
    "or_rel": _BOUND,
    "or_excess_bits": _BOUND,
    "times_condition": {"type": "boolean"},
    "batch_invariant": {"type": "boolean"},
    "allow": _KINDS,
    "forbid": _KINDS,
}


def _section(name: str, taken: Mapping[str, Schema]) -> Schema:
    """A mapping of a configuration, with what `FIELDS` says of its keys."""
    fields = FIELDS[name]
    properties = {each.name: described(taken[each.name], each.doc) for each in fields}
    return closed(properties, [each.name for each in fields if each.required])


def _parameters() -> Schema:
    """The parameters of all losses; one that several have takes what any of them does."""
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
    if parameter.default is None and parameter.kind != "choice":
        return {"anyOf": [value, described({"const": "none"}, "Not given.")]}
    return value


def _parameter_value(parameter: Parameter) -> Schema:
    if parameter.kind == "flag":
        return {"type": "boolean"}
    if parameter.kind == "choice":
        return {"enum": [each for word in parameter.choices for each in _spellings(word)]}
    if parameter.kind == "integer":
        return within("whole-number", parameter.minimum, parameter.maximum)
    number = within("finite-number", parameter.minimum, parameter.maximum)
    words = {"class-vector": VECTOR_WORDS, "row-matrix": MATRIX_WORDS}.get(parameter.kind)
    if words is None:
        return number
    several = {"type": "array", "items": number, "minItems": 1}
    return {"anyOf": [{"enum": list(words)}, number, several]}


def _spellings(word: str) -> tuple[str | int, ...]:
    """A word, and the number that YAML takes it for."""
    return (word, int(word)) if word.isdigit() else (word,)


def _input() -> Schema:
    """One of the generators, each with options of its own."""
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
