"""Writes what a search found as a configuration that replays it."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck.bounds import BOUNDS
from xentcheck.floats import to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import (
    Array,
    Finding,
    LabelKind,
    Layout,
    Report,
    Target,
    Tolerance,
    Witness,
    escaped,
    reduces,
)
from xentcheck.report.words import written

_MOST_NUMBERS = 4096  # numbers of a row that is written down


def found_rows(
    report: Report, tolerance: Tolerance, path: Path, own: tuple[Target, str] | None = None
) -> str:
    """A configuration with the rows of a search as ``explicit`` inputs, and its limits.

    It has the worst row of every search, the witness of every finding, and what the witness was
    made of. A finding of a call, such as `crashed`, is not left out.

    Args:
        report: the report of the search.
        tolerance: the limits.
        path: the file that the text is for. Paths in it are relative to its folder.
        own: the user's implementation, and its gradient as text; None for registered ones.
    """
    lines = [
        "# Rows that `xentcheck search` found. `xentcheck run` of this file scores them again.",
        "version: 1",
        f"seed: {report.seed}",
    ]
    if own is not None:
        lines += ["implementations:", *_implementation(*own, path)]
    lines.append("sweeps:")
    groups = _groups(report)
    for number, (key, rows) in enumerate(groups.items()):
        lines += _sweep(f"found-{number + 1}", dict(key), rows)
    lines += ["limits:", f"  - {{{_bounds(tolerance)}}}", ""]
    return "\n".join(lines) if groups else ""


def _implementation(target: Target, gradient: str, path: Path) -> Iterator[str]:
    file, _, attribute = target.target.rpartition(":")
    if file.endswith(".py"):
        file = os.path.relpath(file, path.resolve().parent)
    yield f"  - loss: {target.loss}"
    yield f"    target: {_quoted(f'{file}:{attribute}')}"
    yield f"    name: {_quoted(target.name)}"
    yield f"    framework: {target.framework}"
    yield f"    gradient: {_quoted(gradient)}"
    for key, values in (("parameters", target.parameters), ("built_in", target.built_in)):
        if values:
            yield f"    {key}: {_mapping(values)}"
    yield f"    shape: {target.shape}"
    yield f"    label_dtype: {target.label_dtype}"


def _groups(report: Report) -> dict[tuple[tuple[str, str], ...], list[tuple[Witness, str]]]:
    """The rows of each sweep: those with the same cell and parameters."""
    groups: dict[Any, list[tuple[Witness, str]]] = defaultdict(list)
    seen: set[tuple[Any, ...]] = set()
    for cell, witness, said in _witnesses(report):
        if witness.logits.size > _MOST_NUMBERS:
            continue
        loss = LOSSES[cell.loss]
        block = witness.logits.ndim == (1 if loss.layout is Layout.ELEMENTWISE else 2)
        if block and not (reduces(witness.parameters) and len(witness.logits) == 1):
            continue
        key = (
            ("losses", cell.loss),
            ("dtypes", cell.dtype),
            ("quantities", str(cell.quantity)),
            ("implementations", _quoted(escaped(cell.implementation))),
            ("labels", str(_kind(witness, loss.label_kinds))),
            ("parameters", _mapping(witness.parameters)),
            # a reduction takes all rows of a sweep together
            ("alone", str(len(seen)) if block else ""),
        )
        content = (
            key,
            witness.logits.tobytes(),
            None if witness.labels is None else witness.labels.tobytes(),
        )
        if content not in seen:
            seen.add(content)
            groups[key].append((_row_of(witness) if block else witness, said))
    return groups


def _row_of(witness: Witness) -> Witness:
    """The only row of a block, as a witness."""
    given = witness.input
    labels = None if given.labels is None else given.labels[0]
    return replace(witness, input=replace(given, logits=given.logits[0], labels=labels))


def _witnesses(report: Report) -> Iterator[tuple[Any, Witness, str]]:
    def said(finding: Finding, what: str) -> str:
        return f"{finding.kind}{what}"

    for finding in report.findings:
        if finding.witness is not None:
            yield finding.cell, finding.witness, said(finding, "")
        if finding.original is not None:
            yield finding.cell, finding.original, said(finding, ", as it was found")
    for searched in report.searches:
        if searched.witness is not None:
            yield searched.cell, searched.witness, f"the worst by {searched.aim}"


def _kind(witness: Witness, kinds: tuple[LabelKind, ...]) -> LabelKind:
    if witness.labels is None:
        return LabelKind.NONE
    if witness.labels.dtype.kind in "iu":
        return LabelKind.INTEGER
    return LabelKind.TARGET if LabelKind.TARGET in kinds else LabelKind.DISTRIBUTION


def _sweep(name: str, of: Mapping[str, str], rows: list[tuple[Witness, str]]) -> Iterator[str]:
    yield f"  {name}:"
    kind = LabelKind(of["labels"])
    for key in ("losses", "dtypes", "quantities", "implementations"):
        yield f"    {key}: [{of[key]}]"
    if kind is not LabelKind.NONE:
        yield f"    labels: {{kind: {kind}}}"
    if of["parameters"] != "{}":
        yield f"    parameters: {of['parameters']}"
    yield "    inputs:"
    yield "      - generator: explicit"
    yield "        values:"
    for witness, said in rows:
        yield f"          - {_numbers(witness.logits)}  # {said}"
    if kind is LabelKind.NONE:
        return
    key = {LabelKind.INTEGER: "labels", LabelKind.TARGET: "targets"}.get(kind, "distributions")
    yield f"        {key}:"
    for witness, _ in rows:
        assert witness.labels is not None
        yield f"          - {_numbers(witness.labels)}"


def _mapping(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_value(each)}" for name, each in values.items()) + "}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, np.ndarray):
        return _numbers(value) if value.ndim else written(float(to_float64(value)))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, int):
        return str(value)
    return written(value) if isinstance(value, float) else _quoted(str(value))


def _numbers(array: Array) -> str:
    if array.dtype.kind in "iu":
        return str(array.tolist())
    if array.ndim == 0:
        return written(float(to_float64(array)))
    return "[" + ", ".join(map(written, to_float64(array).tolist())) + "]"


def _bounds(tolerance: Tolerance) -> str:
    own = {each.name: float(getattr(tolerance, each.name)) for each in BOUNDS}
    default = Tolerance()
    return ", ".join(
        f"{name}: {written(each)}"
        for name, each in own.items()
        if name == "max_ulp" or each != float(getattr(default, name))
    )


def _quoted(text: str) -> str:
    if re.fullmatch(r"[A-Za-z_][\w.]*", text):
        return text
    return "'" + text.replace("'", "''") + "'"
