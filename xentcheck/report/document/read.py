"""Reads the JSON document of a report, checks it and rebuilds the `Report`.

A key may be missing if the model has a default for it. Version 1 of the schema gained such keys
over time, and older reports must still be readable. Unknown keys are ignored for the same reason.
The document does not have everything: whole-number labels come back as 64-bit integers, and a first
break has only its input.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from xentcheck.errors import UsageError
from xentcheck.floats import FORMATS
from xentcheck.model import (
    Attainable,
    Cause,
    Cell,
    Change,
    Contest,
    Diagnosis,
    Encounter,
    Explained,
    Fault,
    Finding,
    Grade,
    Improvement,
    Input,
    Kind,
    Measurement,
    ParameterValue,
    Profile,
    ProfileBin,
    Proof,
    Quantity,
    Report,
    SafeRange,
    Scored,
    Searched,
    Skip,
    Source,
    Standing,
    Stretch,
    UsualTest,
    Violation,
    Witness,
    Yield,
)
from xentcheck.reading.json import _NON_FINITE, Entry, shown
from xentcheck.report.document.write import SCHEMA_VERSION

_WRITES = "xentcheck run CONFIG --format json --output FILE writes a report"
_MOST_PROBLEMS = 8
_HEXADECIMAL = re.compile(r"-?0x[01]\.[0-9a-f]+p[+-][0-9]+")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_REFERENCE_COUNTS = (
    "rows_sampled_by_mpmath",
    "witnesses_by_mpmath",
    "witnesses_confirmed_by_definition",
    "confirmations_failed",
)


def read(path: str | Path) -> Report:
    """The report in a file.

    Raises:
        UsageError: the file does not exist, is not JSON, is not a report, has another schema
            version, or has missing or mistyped keys (it lists them by their path). The message
            names the file, the problem and a remedy.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        _refuse(path, "there is no such file", _WRITES)
    except IsADirectoryError:
        _refuse(path, "is a directory, not a report", _WRITES)
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text (byte {error.start + 1:,})"
        _refuse(path, message, "write reports with --output: some shells recode what they redirect")
    except OSError as error:
        _refuse(path, f"cannot be read: {error.strerror or error}", "")
    return from_json(text, str(path))


def read_all(*paths: str | Path) -> list[Report]:
    """The reports in several files.

    Raises:
        UsageError: one error with the problems of all files.
    """
    reports, problems = [], []
    for path in paths:
        try:
            reports.append(read(path))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n".join(problems))
    return reports


def from_json(text: str, name: str) -> Report:
    """The report in a JSON text. Error messages call it ``name``.

    Raises:
        UsageError: as in `read`.
    """
    try:
        written = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}"
        if not text.strip():
            _refuse(name, "is empty, not a report", _WRITES)
        _refuse(place, f"not JSON: {error.msg} (column {error.colno})", _WRITES)
    except (ValueError, RecursionError) as error:
        _refuse(name, f"not a JSON document that can be read: {error}", _WRITES)
    if not isinstance(written, dict) or not {"schema_version", "measurements"} <= written.keys():
        _refuse(name, "not a report of xentcheck run, check or probe", _WRITES)
    version = written["schema_version"]
    if version != SCHEMA_VERSION or isinstance(version, bool):
        _refuse(
            name,
            f"schema_version {shown(version)}, and this is a reader of {SCHEMA_VERSION}",
            "run the audit again with this version of xentcheck",
        )
    if _SURROGATE.search(text) and not _encodable(written):
        _refuse(name, "not JSON: half a surrogate pair, which no text has", _WRITES)
    entry = Entry(written, "")
    report = _report(entry)
    if entry.problems:
        _refuse_all(name, entry.problems, written)
    return report


def _refuse(place: str | Path, message: str, remedy: str) -> NoReturn:
    raise UsageError(f"{place}: {message}" + (f"\n    help: {remedy}" if remedy else ""))


def _refuse_all(name: str, problems: Sequence[str], written: Mapping[str, Any]) -> NoReturn:
    lines = [f"{name}: {problem}" for problem in problems[:_MOST_PROBLEMS]]
    if more := len(problems) - _MOST_PROBLEMS:
        lines += [f"{name}: and {more:,} more"] if more > 0 else []
    environment = written.get("environment")
    by = environment.get("xentcheck", "") if isinstance(environment, dict) else ""
    writer = f" (it says xentcheck {by})" if isinstance(by, str) and by else ""
    help_ = f"the file was changed or cut since it was written{writer}; run the audit again"
    raise UsageError("\n".join(lines) + f"\n    help: {help_}")


def _no_constant(word: str) -> NoReturn:
    message = f"{word} is no JSON; a report has such numbers as texts"
    raise ValueError(message)


def _encodable(written: Any) -> bool:
    try:
        json.dumps(written, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _report(entry: Entry) -> Report:
    bins = _profile_bins(entry)
    return Report(
        environment={name: str(text) for name, text in entry.mapping("environment").items()},
        seed=entry.integer("seed"),
        config=entry.mapping("config"),
        measurements=tuple(_measurement(each, bins) for each in entry.entries("measurements")),
        findings=tuple(map(_finding, entry.entries("findings"))),
        violations=tuple(map(_violation, entry.entries("violations"))),
        skips=tuple(map(_skip, entry.entries("skips"))),
        yields=tuple(map(_yield, entry.entries("yields"))),
        gated=entry.flag("gated"),
        interrupted=entry.flag("interrupted", False),
        uncertified=entry.texts("uncertified"),
        deaths=entry.texts("deaths"),
        reference=_reference(entry),
        origins=_origins(entry),
        path=entry.text_or_none("path") or "",
        timeout_s=entry.number_or_none("timeout_s"),
        sources=tuple(map(_source, entry.entries("sources", []))),
        baseline=entry.text_or_none("baseline") or "",
        tolerated=tuple(map(_violation, entry.entries("tolerated", []))),
        changes=tuple(map(_change, entry.entries("changes", []))),
        omissions=tuple(map(_skip, entry.entries("omissions", []))),
        strict=entry.flag("strict", False),
        baseline_note=entry.text("baseline_note", ""),
        diagnoses=tuple(map(_diagnosis, entry.entries("diagnoses", []))),
        contests=tuple(map(_contest, entry.entries("contests", []))),
        safe_ranges=tuple(map(_safe_range, entry.entries("safe_ranges", []))),
        searches=tuple(map(_searched, entry.entries("searches", []))),
    )


def _reference(entry: Entry) -> Mapping[str, Any]:
    """How exact results were computed. The counts that summaries show are required."""
    found = entry.mapping("reference", {})
    if "decided_by" in found:
        inner = Entry(found, entry.at("reference"), entry.problems)
        decided = Entry(inner.mapping("decided_by"), inner.at("decided_by"), entry.problems)
        for tier in decided.values:
            decided.integer(tier)
        for name in _REFERENCE_COUNTS:
            inner.integer(name)
        inner.flag("binary128")
    return found


def _origins(entry: Entry) -> Mapping[str, tuple[str, ...]]:
    inner = Entry(entry.mapping("origins", {}), entry.at("origins"), entry.problems)
    return {name: inner.texts(name) for name in inner.values}


def _cell(entry: Entry) -> Cell:
    dtype = entry.text("dtype")
    if dtype not in FORMATS and isinstance(entry.values.get("dtype"), str):
        entry.unknown("dtype", dtype, FORMATS)
    return Cell(
        entry.text("loss"),
        entry.text("implementation"),
        dtype if dtype in FORMATS else next(iter(FORMATS)),
        entry.word("quantity", Quantity),
        entry.text("sweep"),
    )


_Bins = Mapping[str, Sequence[tuple[float, float]]]


def _profile_bins(entry: Entry) -> _Bins:
    """The edges of the bins of each axis of the profiles."""
    inner = Entry(entry.mapping("profile_bins", {}), entry.at("profile_bins"), entry.problems)
    known = {}
    for axis in inner.values:
        each = inner.entry(axis)
        low, high = each.numbers("low"), each.numbers("high")
        if len(low) != len(high):
            each.problems.append(f"{each.path}: low and high are not of one length")
        known[axis] = list(zip(low, high, strict=False))
    return known


def _profile(entry: Entry, known: _Bins) -> Profile:
    axis, numbers = entry.text("axis"), entry.integers("bins")
    edges = known.get(axis, ())
    if not all(0 <= each < len(edges) for each in numbers):
        entry.problems.append(f"{entry.at('bins')}: not all of these are bins of {shown(axis)}")
        numbers = ()
    rows, errors = entry.integers("rows"), entry.numbers("max_ulp")
    none = (0,) * len(rows)
    counts = (entry.integers(name) or none for name in ("failing", "nan", "infinite"))
    columns = [numbers, rows, *counts, errors]
    if len({len(each) for each in columns}) > 1:
        entry.problems.append(f"{entry.path}: the lists are not of one length")
    bins = (ProfileBin(*edges[which], *each) for which, *each in zip(*columns, strict=False))
    return Profile(axis, tuple(bins))


def _measurement(entry: Entry, bins: _Bins) -> Measurement:
    cell = _cell(entry)
    witness = _witness(entry, "witness", cell)
    farthest = _farthest(entry, witness, cell)
    normal_ulp = entry.number("max_normal_ulp", math.nan)
    grade = None if entry.values.get("grade") is None else entry.word("grade", Grade)
    max_norm = entry.number("max_norm", math.nan)
    return Measurement(
        cell=cell,
        rows=entry.integer("rows"),
        max_ulp=entry.number("max_ulp"),
        p99_ulp=entry.number("p99_ulp"),
        median_ulp=entry.number("median_ulp"),
        max_abs=entry.number("max_abs"),
        counts=_counts(entry),
        witness=witness,
        result_dtype=entry.text("result_dtype", ""),
        max_excess_bits=entry.number_or_none("max_excess_bits"),
        met=entry.text_or_none("met") or "",
        negative_zeros=entry.integer("negative_zeros", 0),
        first_break=_first_break(entry.entry_or_none("first_break"), cell),
        scored=entry.integer("scored", 0),
        far=entry.integer("far", 0),
        farthest=farthest,
        max_normal_ulp=normal_ulp,
        normal=None if math.isnan(normal_ulp) else _normal(entry, farthest, cell),
        attainable=_attainable(entry.entry_or_none("attainable")),
        grade=grade,
        graded=None if grade is None else _apart(entry, "graded", witness, cell),
        max_norm=max_norm,
        normwise=_apart(entry, "normwise", witness, cell) if max_norm > 0 else None,
        profiles=tuple(_profile(each, bins) for each in entry.entries("profiles", [])),
    )


def _apart(entry: Entry, key: str, witness: Witness | None, cell: Cell) -> Witness | None:
    """A witness of the cell; if none is written, the cell's witness."""
    return witness if entry.values.get(key) is None else _witness(entry, key, cell)


def _farthest(entry: Entry, witness: Witness | None, cell: Cell) -> Witness | None:
    """The witness of the largest finite error; if none is written, the cell's witness."""
    if entry.values.get("farthest") is not None:
        return _witness(entry, "farthest", cell)
    return witness if witness is not None and math.isfinite(witness.ulp_error) else None


def _normal(entry: Entry, farthest: Witness | None, cell: Cell) -> Witness | None:
    """The witness of the largest error that is not flushed; if none is written, ``farthest``."""
    return farthest if entry.values.get("normal") is None else _witness(entry, "normal", cell)


def _counts(entry: Entry, key: str = "counts") -> Mapping[Kind, int]:
    inner = entry.entry(key)
    known = [kind.value for kind in Kind]
    for name in inner.values:
        if name not in known:
            inner.unknown(name, name, known)
    return {Kind(name): inner.integer(name) for name in inner.values if name in known}


def _first_break(entry: Entry | None, cell: Cell) -> tuple[Kind, Input] | None:
    if entry is None:
        return None
    return entry.word("kind", Kind), _input(entry, cell)


def _input(entry: Entry, cell: Cell) -> Input:
    labels = entry.values.get("labels")
    parameters = entry.entry("parameters")
    return Input(
        logits=entry.array("logits", cell.dtype),
        labels=None if labels is None else entry.array("labels", cell.dtype),
        parameters={name: _parameter(parameters, name, cell.dtype) for name in parameters.values},
        row=entry.integer("row", 0),
        place=entry.integer("place", 0),
        generator=entry.text("generator", ""),
    )


def _parameter(entry: Entry, name: str, dtype: str) -> ParameterValue:
    value = entry.values[name]
    match value:
        case list() | dict():
            return entry.to_array(value, entry.at(name), dtype)
        case str() if value in _NON_FINITE:
            return float(value)
        case str() if _HEXADECIMAL.fullmatch(value):
            return entry.to_array(value, entry.at(name), dtype)
        case str() | bool() | int() | float():
            return value
    entry.problems.append(f"{entry.at(name)}: expected a value, not {shown(value)}")
    return 0.0


def _witness(parent: Entry, key: str, cell: Cell) -> Witness | None:
    entry = parent.entry_or_none(key)
    return None if entry is None else _to_witness(entry, cell)


def _to_witness(entry: Entry, cell: Cell) -> Witness:
    given = _input(entry, cell)
    scored = Scored(
        actual=entry.number("actual"),
        expected=entry.number("expected"),
        exact=entry.text("exact"),
        ulp_error=entry.number("ulp_error"),
        abs_error=entry.number("abs_error"),
        index=entry.integer_or_none("index"),
        result_dtype=entry.text("result_dtype", ""),
        excess_bits=entry.number_or_none("excess_bits"),
        radius_ulp=entry.number("radius_ulp", 0.0),
    )
    return Witness(given, scored if scored.exact else None, entry.text("note", ""))


def _finding(entry: Entry) -> Finding:
    cell = _cell(entry)
    return Finding(
        kind=entry.word("kind", Kind),
        cell=cell,
        rows=entry.integer("rows"),
        witness=_witness(entry, "witness", cell),
        cause=entry.text_or_none("cause"),
        hint=entry.text("hint", ""),
        detail=entry.text("detail", ""),
        distance=entry.number("distance", 0.0),
        least=_bounds(entry, "least"),
        original=_witness(entry, "original", cell),
        usual=tuple(map(_usual, entry.entries("usual", []))),
    )


def _usual(entry: Entry) -> UsualTest:
    return UsualTest(
        name=entry.text("name"),
        passes=entry.flag_or_none("passes"),
        reason=entry.text("reason", ""),
        on_sweep=entry.flag_or_none("on_sweep"),
        rows=entry.integer("rows", 0),
    )


def _violation(entry: Entry) -> Violation:
    standing = entry.values.get("standing")
    return Violation(
        finding=_finding(entry),
        limit=entry.text("limit"),
        rule=entry.text("rule", ""),
        standing=None if standing is None else entry.word("standing", Standing),
        accepted=entry.text("accepted", ""),
        place=entry.text("place", ""),
        bounds=_bounds(entry, "bounds"),
    )


def _bounds(entry: Entry, key: str) -> Mapping[str, float]:
    inner = Entry(entry.mapping(key, {}), entry.at(key), entry.problems)
    return {name: inner.number(name) for name in inner.values}


def _contest(entry: Entry) -> Contest:
    cell = _cell(entry)

    def encounter(of: Entry) -> Encounter:
        kind = None if of.values.get("peer_kind") is None else of.word("peer_kind", Kind)
        return Encounter(
            _to_witness(of.entry("witness"), cell), _to_witness(of.entry("peer"), cell), kind
        )

    best = entry.entry_or_none("best")
    return Contest(
        cell,
        entry.text("peer"),
        rows=entry.integer("rows"),
        worse=entry.integer("worse"),
        better=entry.integer("better"),
        kinds=_counts(entry, "kinds"),
        worst={each.word("kind", Kind): encounter(each) for each in entry.entries("worst")},
        best=None if best is None else encounter(best),
        worse_rows=entry.integers("worse_rows"),
        better_rows=entry.integers("better_rows"),
        peer_dtype=entry.text("peer_dtype", ""),
        or_abs=entry.number("or_abs", 0.0),
    )


def _change(entry: Entry) -> Change:
    return Change(
        _cell(entry),
        entry.text("rule"),
        entry.word("standing", Standing),
        entry.text("text"),
        entry.text("into", ""),
    )


def _source(entry: Entry) -> Source:
    return Source(
        entry.text("loss"), entry.text("implementation"), entry.text("file"), entry.integer("line")
    )


def _attainable(entry: Entry | None) -> Attainable | None:
    if entry is None:
        return None
    faults = entry.entry("faults")
    return Attainable(
        form=entry.text("form"),
        rows=entry.integer("rows"),
        same_ulp=entry.number("same_ulp"),
        wider=entry.text_or_none("wider") or "",
        wider_ulp=entry.number("wider_ulp"),
        explained_ulp=entry.number("explained_ulp"),
        faults=tuple((fault, faults.integer(fault.value, 0)) for fault in Fault),
    )


def _diagnosis(entry: Entry) -> Diagnosis:
    inner = entry.entry_or_none("cell")
    cell = None if inner is None else _cell(inner)
    explains = tuple(
        Explained(
            each.text("dtype"),
            each.word("quantity", Quantity),
            each.integer("rows"),
            each.integer("examined"),
            each.integer("failing"),
        )
        for each in entry.entries("explains", [])
    )
    proofs = tuple(
        Proof(
            each.text("form"),
            each.text("dtype"),
            each.word("quantity", Quantity),
            each.integer("rows"),
            each.number("max_ulp"),
            each.integer("failing"),
        )
        for each in entry.entries("proofs", [])
    )
    attainable = tuple(
        (each.text("dtype"), each.word("quantity", Quantity), known)
        for each in entry.entries("attainable", [])
        if (known := _attainable(each)) is not None
    )
    return Diagnosis(
        cause=entry.word("cause", Cause),
        loss=entry.text("loss"),
        implementation=entry.text("implementation"),
        explains=explains,
        evidence=entry.texts("evidence"),
        witness=None if cell is None else _witness(entry, "witness", cell),
        cell=cell,
        kind=None if entry.values.get("kind") is None else entry.word("kind", Kind),
        remedy=entry.text("remedy", ""),
        proofs=proofs,
        ruled_out=entry.texts("ruled_out"),
        original=None if cell is None else _witness(entry, "original", cell),
        attainable=attainable,
        usual=tuple(map(_usual, entry.entries("usual", []))),
    )


def _skip(entry: Entry) -> Skip:
    return Skip(
        entry.text("reason"),
        *(
            entry.text(key, "")
            for key in ("loss", "implementation", "dtype", "quantity", "sweep", "missing")
        ),
    )


def _safe_range(entry: Entry) -> SafeRange:
    return SafeRange(
        loss=entry.text("loss"),
        implementation=entry.text("implementation"),
        dtype=entry.text("dtype"),
        quantity=entry.word("quantity", Quantity),
        axis=entry.text("axis"),
        stretches=tuple(
            Stretch(each.word("grade", Grade), each.number("first"), each.number("last"))
            for each in entry.entries("stretches")
        ),
        text=entry.text("text"),
        always=None if entry.values.get("always") is None else entry.word("always", Grade),
    )


def _searched(entry: Entry) -> Searched:
    cell = _cell(entry)
    shares = entry.entry("shares")
    reached = entry.values.get("reached")
    return Searched(
        cell=cell,
        aim=entry.text("aim"),
        evaluations=entry.integer("evaluations"),
        worst=entry.number("worst"),
        witness=_witness(entry, "witness", cell),
        before=entry.number("before"),
        curve=tuple(
            Improvement(each.integer("evaluations"), each.number("worth"), each.text("strategy"))
            for each in entry.entries("curve")
        ),
        shares={name: shares.integer(name) for name in shares.values},
        reached=None if reached is None else entry.flag("reached"),
        ended=entry.text("ended", ""),
    )


def _yield(entry: Entry) -> Yield:
    return Yield(
        sweep=entry.text("sweep"),
        generator=entry.text("generator"),
        loss=entry.text("loss"),
        dtype=entry.text("dtype"),
        rows=entry.integer("rows"),
        distinct=entry.integer_or_none("distinct"),
    )
