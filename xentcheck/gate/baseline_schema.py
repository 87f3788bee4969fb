"""The JSON Schema of baselines."""

from xentcheck.floats import FORMATS
from xentcheck.model import AGAINST, RULES, Grade, Quantity
from xentcheck.reading.schema import (
    DIALECT,
    INFINITE,
    ONE_LOSS,
    Schema,
    closed,
    described,
    list_of,
    number_or_text,
    within,
)


def baseline_schema() -> Schema:
    """The JSON Schema of a baseline file."""
    fault = closed(
        {
            "rows": described({"type": "integer", "minimum": 1}, "How many rows show it."),
            "ulp": described(within("number", 0), "The largest error among them, in ulps."),
            "norm": described(within("number", 0), "The largest error over its row's scale."),
            "grade": described({"enum": list(map(str, Grade))}, "The grade of the cell."),
        },
        ["rows"],
    )
    cell: dict[str, Schema] = {
        "loss": ONE_LOSS,
        "implementation": {"type": "string", "minLength": 1},
        "dtype": {"enum": list(FORMATS)},
        "quantity": {"enum": list(map(str, Quantity))},
        "sweep": {"type": "string", "minLength": 1},
        "platform": described({"type": "string", "minLength": 1}, "The entry is for it only."),
        "rows": described({"type": "integer", "minimum": 1}, "Of how many rows."),
        "tolerated": described(
            {
                "type": "object",
                "properties": {rule: {"$ref": "#/$defs/fault"} for rule in RULES},
                "patternProperties": {f"^{AGAINST}.+": {"$ref": "#/$defs/fault"}},
                "additionalProperties": False,
                "minProperties": 1,
            },
            "By kind of finding, p99_ulp, max_norm, min_grade, or against and the name of a peer.",
        ),
        "recorded": described(
            {
                "type": "object",
                "additionalProperties": {"type": ["string", "null"]},
                "minProperties": 1,
            },
            "When and with what it was recorded, as far as the file's own record differs.",
        ),
    }
    common = described(
        {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        "When and with what the cells were recorded that do not say otherwise.",
    )
    optional = ("platform", "recorded")
    return {
        "$schema": DIALECT,
        "title": "xentcheck baseline",
        "description": "Which faults beyond the limits a gate tolerates, as far as they went.",
        **closed(
            {
                "version": {"const": 1},
                "recorded": common,
                "cells": list_of({"$ref": "#/$defs/cell"}),
            },
            ["version", "cells"],
        ),
        "$defs": {
            "number": number_or_text(INFINITE),
            "fault": fault,
            "cell": closed(cell, [each for each in cell if each not in optional]),
        },
    }
