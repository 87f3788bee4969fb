"""Writes a report as a JSON document, reads it back, and describes it with a schema."""

from xentcheck.report.document.read import from_json, read, read_all
from xentcheck.report.document.write import SCHEMA_VERSION, of_witness, to_document, to_json

__all__ = [
    "SCHEMA_VERSION",
    "from_json",
    "of_witness",
    "read",
    "read_all",
    "to_document",
    "to_json",
]
