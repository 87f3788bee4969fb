"""The JSON Schema of the reports that this version writes."""

from collections.abc import Mapping

from xentcheck.gate.outcome import Outcome
from xentcheck.gate.would_pass import TOLD
from xentcheck.model import (
    AGAINST,
    GRADES,
    OTHER_BOUNDS,
    RULES,
    Cause,
    Fault,
    Grade,
    Kind,
    Quantity,
    Standing,
)
from xentcheck.reading.schema import (
    DIALECT,
    Schema,
    closed,
    described,
    list_of,
    or_null,
    whole_object,
)
from xentcheck.report.document.write import SCHEMA_VERSION

_HEX_FLOAT = r"^(-?0x[01]\.[0-9a-f]+p[+-][0-9]+|-?inf|nan)$"


def report_schema() -> Schema:
    """The JSON Schema of the output of `--format json`."""
    cell: dict[str, Schema] = {
        name: {"type": "string"} for name in ("loss", "implementation", "dtype", "sweep")
    }
    cell["quantity"] = {"$ref": "#/$defs/quantity"}
    bounds: Schema = {
        "type": "object",
        "propertyNames": {"enum": list(TOLD)},
        "additionalProperties": {"$ref": "#/$defs/number"},
    }
    finding: dict[str, Schema] = {
        "kind": {"$ref": "#/$defs/kind"},
        **cell,
        "rows": {"$ref": "#/$defs/count"},
        "cause": {"type": ["string", "null"]},
        "hint": {"type": "string"},
        "detail": {"type": "string"},
        "distance": {"$ref": "#/$defs/number"},
        "least": described(bounds, "The smallest bounds, each by itself, that would excuse it."),
        "usual": described(
            list_of({"$ref": "#/$defs/usual"}), "What usual tests would have said of it."
        ),
        "witness": or_null({"$ref": "#/$defs/witness"}),
        "original": described(
            or_null({"$ref": "#/$defs/witness"}),
            "The worst row, where the witness is a smaller input that was made of it.",
        ),
    }
    violation: dict[str, Schema] = {
        "limit": {"type": "string"},
        "rule": {"$ref": "#/$defs/rule"},
        "standing": or_null({"$ref": "#/$defs/standing"}),
        "accepted": {"type": "string"},
        "place": described({"type": "string"}, "Of the limit."),
        "bounds": described(bounds, "What the limit would have to be, each bound by itself."),
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
        "grade": or_null({"enum": list(map(str, Grade))}),
        "graded": or_null({"$ref": "#/$defs/witness"}),
        "max_norm": {"$ref": "#/$defs/number"},
        "normwise": or_null({"$ref": "#/$defs/witness"}),
        "first_break": or_null(whole_object({"kind": {"$ref": "#/$defs/kind"}, **_INPUT})),
        "attainable": or_null(whole_object(_ATTAINABLE)),
        "profiles": described(
            list_of({"$ref": "#/$defs/profile"}), "The errors along the axes of the sweep."
        ),
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
    usual: dict[str, Schema] = {
        "name": {"type": "string"},
        "passes": described({"type": ["boolean", "null"]}, "On the witness; null: not made."),
        "reason": {"type": "string"},
        "on_sweep": described({"type": ["boolean", "null"]}, "On the rows of the sweep."),
        "rows": {"$ref": "#/$defs/count"},
    }
    change: dict[str, Schema] = {
        **cell,
        "rule": {"$ref": "#/$defs/rule"},
        "standing": {"$ref": "#/$defs/standing"},
        "text": {"type": "string"},
        "into": described({"type": "string"}, "The rules that are broken in its place."),
    }
    met: dict[str, Schema] = {
        "peer_kind": or_null({"$ref": "#/$defs/kind"}),
        "witness": {"$ref": "#/$defs/witness"},
        "peer": {"$ref": "#/$defs/witness"},
    }
    contest: dict[str, Schema] = {
        **cell,
        "peer": {"type": "string"},
        "peer_dtype": described({"type": "string"}, "Of the peer's results."),
        "or_abs": described({"$ref": "#/$defs/number"}, "Would excuse the rows that are worse."),
        **{name: {"$ref": "#/$defs/count"} for name in ("rows", "worse", "equal", "better")},
        "kinds": described(measurement["counts"], "The rows that are worse."),
        "worst": described(
            list_of(whole_object({"kind": {"$ref": "#/$defs/kind"}, **met})),
            "The worst row of each kind, the gravest kind first.",
        ),
        "best": or_null(whole_object(met)),
        **{
            name: described(list_of({"$ref": "#/$defs/count"}), "The first of these rows.")
            for name in ("worse_rows", "better_rows")
        },
    }
    numbers: dict[str, Schema] = {name: {"type": "number"} for name in TOLD}
    loosened: dict[str, Schema] = {
        "limit": described({"type": "string"}, "Its place in the configuration."),
        "alternatives": described(
            list_of(closed({**numbers, "min_grade": {"enum": list(map(str, Grade))}}, [])),
            "Each of these would pass, if nothing is excluded or undecided.",
        ),
        "excluded": described(list_of({"$ref": "#/$defs/kind"}), "Kinds that no bound excuses."),
        "undecided": described(
            list_of({"$ref": "#/$defs/kind"}), "Kinds of which it is not known."
        ),
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
    stretch: dict[str, Schema] = {
        "grade": {"enum": list(map(str, GRADES))},
        **{name: {"$ref": "#/$defs/number"} for name in ("first", "last")},
    }
    safe_range: dict[str, Schema] = {
        **{name: {"type": "string"} for name in ("loss", "implementation", "dtype", "axis")},
        "quantity": {"$ref": "#/$defs/quantity"},
        "always": described(
            or_null({"enum": list(map(str, GRADES))}), "The best grade that holds everywhere."
        ),
        "stretches": list_of(whole_object(stretch)),
        "text": {"type": "string"},
    }
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
    search: dict[str, Schema] = {
        **cell,
        "aim": described({"type": "string"}, "ulp, excess, norm, or a kind that is looked for."),
        "evaluations": {"$ref": "#/$defs/count"},
        "worst": described({"$ref": "#/$defs/number"}, "Ulps, excess bits or relative to scale."),
        "before": described({"$ref": "#/$defs/number"}, "The same of the standard sweep's rows."),
        "winner": {"type": "string"},
        "shares": {"type": "object", "additionalProperties": {"$ref": "#/$defs/count"}},
        "reached": {"type": ["boolean", "null"]},
        "ended": {"type": "string"},
        "curve": list_of(
            whole_object(
                {
                    "evaluations": {"$ref": "#/$defs/count"},
                    "worth": {"$ref": "#/$defs/number"},
                    "strategy": {"type": "string"},
                }
            )
        ),
        "witness": or_null({"$ref": "#/$defs/witness"}),
    }
    edges = {name: list_of({"type": "number"}) for name in ("low", "high")}
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
        "profile_bins": described(
            {"type": "object", "additionalProperties": whole_object(edges)},
            "The edges of the bins of all profiles, by axis. A bin has the numbers from its low "
            "edge to below its high edge, or one number where they are equal.",
        ),
        "measurements": list_of({"$ref": "#/$defs/measurement"}),
        "findings": list_of({"$ref": "#/$defs/finding"}),
        "violations": list_of({"$ref": "#/$defs/violation"}),
        "baseline": {"type": ["string", "null"]},
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
        "would_pass": described(
            list_of(whole_object(loosened)), "The smallest limits that would pass, by limit."
        ),
        "yields": list_of(whole_object(given)),
        "diagnoses": described(
            list_of(whole_object(_diagnosis(cell))),
            "The causes of the findings, by implementation: what is wrong, what it explains, what "
            "to write instead.",
        ),
        "contests": described(list_of(whole_object(contest)), "Cells against peers, row by row."),
        "safe_ranges": described(
            list_of(whole_object(safe_range)), "Where grades hold, if --ranges asked for it."
        ),
        "searches": described(
            list_of({"$ref": "#/$defs/search"}), "Worst-case searches: `xentcheck search`."
        ),
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
            "rule": {
                "anyOf": [
                    {"enum": ["", *RULES]},
                    {"type": "string", "pattern": f"^{AGAINST}"},
                ]
            },
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
            "profile": closed(_PROFILE, ("axis", "bins", "rows", "max_ulp")),
            "finding": whole_object(finding),
            "search": whole_object(search),
            "violation": whole_object(violation),
            "usual": whole_object(usual),
            "witness": whole_object(witness),
        },
    }


_INPUT: Mapping[str, Schema] = {
    "logits": {"$ref": "#/$defs/array"},
    "labels": or_null({"$ref": "#/$defs/array"}),
    "parameters": {"type": "object"},
    "generator": {"type": "string"},
    "row": {"type": "integer", "minimum": 0},
    "place": {"type": "integer", "minimum": 0},
}

_PROFILE: Mapping[str, Schema] = {
    "axis": {"type": "string"},
    "bins": described(
        list_of({"$ref": "#/$defs/count"}), "Positions in `profile_bins`, ascending."
    ),
    "rows": described(list_of({"$ref": "#/$defs/count"}), "Number of rows in each bin."),
    **{
        name: described(list_of({"$ref": "#/$defs/count"}), f"{text}; left out if all are 0.")
        for name, text in (
            ("failing", "Rows with a fault"),
            ("nan", "Rows with a NaN that should not be there"),
            ("infinite", "Rows with an infinity where the exact result is finite"),
        )
    },
    "max_ulp": described(
        list_of({"$ref": "#/$defs/number"}), "Largest finite error in ulps, to three digits."
    ),
}

_ATTAINABLE: Mapping[str, Schema] = {
    "form": {"type": "string"},
    "rows": {"$ref": "#/$defs/count"},
    "same_ulp": {"$ref": "#/$defs/number"},
    "wider": {"type": ["string", "null"]},
    "wider_ulp": {"$ref": "#/$defs/number"},
    "explained_ulp": described(
        {"$ref": "#/$defs/number"}, "The largest error that the condition numbers explain."
    ),
    "faults": whole_object({str(fault): {"$ref": "#/$defs/count"} for fault in Fault}),
}


def _diagnosis(cell: Mapping[str, Schema]) -> Mapping[str, Schema]:
    place: dict[str, Schema] = {
        "dtype": {"type": "string"},
        "quantity": {"$ref": "#/$defs/quantity"},
    }
    counts = {name: {"$ref": "#/$defs/count"} for name in ("rows", "examined", "failing")}
    proof: dict[str, Schema] = {
        "form": {"type": "string"},
        **place,
        "rows": {"$ref": "#/$defs/count"},
        "max_ulp": {"$ref": "#/$defs/number"},
        "failing": {"$ref": "#/$defs/count"},
    }
    return {
        "cause": {"enum": list(map(str, Cause))},
        "loss": {"type": "string"},
        "implementation": {"type": "string"},
        "explains": list_of(whole_object({**place, **counts})),
        "evidence": list_of({"type": "string"}),
        "ruled_out": list_of({"type": "string"}),
        "remedy": {"type": "string"},
        "proofs": list_of(whole_object(proof)),
        "attainable": list_of(whole_object({**place, **_ATTAINABLE})),
        "kind": or_null({"$ref": "#/$defs/kind"}),
        "cell": or_null(whole_object(cell)),
        "witness": or_null({"$ref": "#/$defs/witness"}),
        "original": or_null({"$ref": "#/$defs/witness"}),
        "usual": list_of({"$ref": "#/$defs/usual"}),
    }
