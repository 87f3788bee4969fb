"""Reads and writes baseline files: YAML with a stable order, easy to review and to merge."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xentcheck.errors import ConfigError
from xentcheck.floats import FORMATS
from xentcheck.gate.baseline import Baseline, Entry, Faults, common_record, rounded_up
from xentcheck.gate.extent import Extent
from xentcheck.model import AGAINST, RULES, Cell, Grade, Quantity
from xentcheck.reading.yaml import (
    Place,
    Reader,
    compose,
    file_problem,
    is_null,
    read_text,
    remedy_for,
    shown,
)

VERSION = 1
_CELL = ("loss", "implementation", "dtype", "quantity", "sweep")
_WIDTH = 88
_GRADES = tuple(map(str, Grade))

_HEAD = """\
# What xentcheck tolerates today: each fault beyond the limits, as far as it goes. A run fails on
# what is new or worse. An entry with a `platform` is for that one only. `recorded` says when and
# with what; a cell has only what differs there.
# `xentcheck run CONFIG --baseline FILE`: --ratchet takes back what has become better,
# --write-baseline FILE records everything anew.
"""


def load(path: str | Path) -> Baseline:
    """The baseline in a file.

    Raises:
        ConfigError: with every problem of the file, or if it does not exist.
    """
    path = Path(path)
    if not path.exists():
        remedy = f"`xentcheck run CONFIG --write-baseline {path}` writes one"
        raise ConfigError([file_problem(str(path), "there is no such baseline", remedy=remedy)])
    return loads(read_text(path), str(path))


def known(path: str | Path) -> Baseline:
    """The baseline in a file, or an empty one if the file does not exist.

    Raises:
        ConfigError: with every problem of the file.
    """
    return load(path) if Path(path).exists() else Baseline(path=str(path))


def loads(text: str, path: str = "") -> Baseline:
    """The baseline in a text. ``path`` is the file that it comes from.

    Raises:
        ConfigError: with every problem of the text.
    """
    root = compose(text, path)
    if root is None or is_null(root):
        raise ConfigError([file_problem(path, "the baseline is empty")])
    reader = _BaselineReader(path)
    place = Place(root, "", root.start_mark)
    reader.check_tree(place)
    entries, recorded = ((), {}) if reader.fatal else reader.baseline(place)
    if reader.problems:
        raise ConfigError(reader.ordered())
    return Baseline(entries, path, recorded)


def dumps(baseline: Baseline) -> str:
    """A baseline as text. The same entries always give the same text."""
    common = common_record(baseline.entries, baseline.recorded)
    document: dict[str, Any] = {"version": VERSION}
    if common and baseline.entries:
        document["recorded"] = dict(common)
    document["cells"] = [_entry(each, common) for each in baseline.entries]
    written: str = yaml.safe_dump(
        document,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
        default_flow_style=None,
    )
    return _HEAD + written


def _entry(entry: Entry, common: Mapping[str, str]) -> dict[str, Any]:
    cell = entry.cell
    written: dict[str, Any] = {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": cell.quantity.value,
        "sweep": cell.sweep,
    }
    if entry.platform:
        written["platform"] = entry.platform
    written["rows"] = max((each.of for each in entry.faults.values()), default=0)
    written["tolerated"] = {
        rule: _fault(each)
        for rule, each in sorted(entry.faults.items(), key=lambda item: _order(item[0]))
    }
    own: dict[str, str | None] = {
        key: text for key, text in entry.recorded.items() if common.get(key) != text
    }
    own |= dict.fromkeys(key for key in common if key not in entry.recorded)
    if own:
        written["recorded"] = own
    return written


def _order(rule: str) -> tuple[int, str]:
    """A sort key of rules; those against a peer come last."""
    return (RULES.index(rule) if rule in RULES else len(RULES), rule)


def _fault(extent: Extent) -> dict[str, Any]:
    grade = None if extent.grade is None else str(extent.grade)
    known = {"rows": extent.rows, "ulp": extent.ulp, "norm": extent.norm, "grade": grade}
    return {key: value for key, value in known.items() if value is not None}


@dataclass(slots=True)
class _BaselineReader(Reader):
    """Reads the entries and notes every problem."""

    def baseline(self, place: Place) -> tuple[tuple[Entry, ...], Mapping[str, str]]:
        known = ("version", "recorded", "cells")
        entries = self.fields(place, "a baseline", known, ("version", "cells"))
        if entries is None:
            return (), {}
        if "version" in entries and (version := self.integer(entries["version"])) not in (
            VERSION,
            None,
        ):
            message = f"version {version} is unknown"
            self.fault(entries["version"], message, f"this xentcheck reads version {VERSION}")
        common = self.recorded(entries["recorded"], {}) if "recorded" in entries else {}
        if "cells" not in entries:
            return (), common
        return self.cells(entries["cells"], common), common

    def recorded(self, place: Place, common: Mapping[str, str]) -> dict[str, str]:
        """The full record of an entry: the common record, updated by the fields given here.

        A null field removes that field of the common record.
        """
        given = self.mapping(place, "the environment of a record") or {}
        read = dict(common)
        for key, child in given.items():
            if is_null(child.node):
                read.pop(key, None)
            else:
                read[key] = self.text(child) or ""
        return read

    def cells(self, cells: Place, common: Mapping[str, str]) -> tuple[Entry, ...]:
        if isinstance(cells.node, yaml.SequenceNode) and not cells.node.value:
            return ()  # every fault is fixed
        found: dict[tuple[Cell, str], int] = {}
        read = []
        for item in self.items(cells) or ():
            entry = self.entry(item, common)
            if entry is None:
                continue
            line = found.setdefault((entry.cell, entry.platform), item.mark.line + 1)
            if line != item.mark.line + 1:
                self.fault(item, f"duplicate cell (first on line {line})", "keep one")
            read.append(entry)
        return tuple(read)

    def entry(self, place: Place, common: Mapping[str, str]) -> Entry | None:
        known = (*_CELL, "platform", "rows", "tolerated", "recorded")
        fields = self.fields(place, "a cell", known, (*_CELL, "rows", "tolerated"))
        if fields is None:
            return None
        before = len(self.problems)
        loss = self.loss(fields["loss"]) if "loss" in fields else None
        dtype = self.one_of(fields["dtype"], FORMATS, "dtype") if "dtype" in fields else None
        quantity = (
            self.one_of(fields["quantity"], tuple(Quantity), "quantity")
            if "quantity" in fields
            else None
        )
        texts = {
            key: self.text(fields[key]) or ""
            for key in ("implementation", "sweep", "platform")
            if key in fields
        }
        rows = self.integer(fields["rows"], 1) if "rows" in fields else None
        faults = self.faults(fields["tolerated"], rows or 1) if "tolerated" in fields else {}
        recorded = dict(common)
        if "recorded" in fields:
            recorded = self.recorded(fields["recorded"], common)
        if len(self.problems) != before or None in (loss, dtype, quantity, rows):
            return None
        if not set(_CELL) <= fields.keys() or not faults:
            return None
        cell = Cell(
            str(loss), texts["implementation"], str(dtype), Quantity(str(quantity)), texts["sweep"]
        )
        return Entry(cell, faults, texts.get("platform", ""), recorded)

    def faults(self, place: Place, of: int) -> Faults:
        read: dict[str, Extent] = {}
        for rule, child in (self.mapping(place, "what is tolerated") or {}).items():
            at = self.at_key(place, rule, child)
            if rule not in RULES and not rule.startswith(AGAINST):
                message = f"unknown kind of finding {shown(rule)}"
                self.fault(at, message, remedy_for(rule, RULES))
                continue
            fields: dict[str, Place] = (
                self.fields(child, shown(rule), ("rows", "ulp", "norm", "grade"), ("rows",)) or {}
            )
            rows = self.integer(fields["rows"], 1) if "rows" in fields else None
            if rows is not None and rows > of:
                self.fault(fields["rows"], f"{rows} of {of} rows cannot be")
            ulp = self.number(fields["ulp"], 0) if "ulp" in fields else None
            norm = self.number(fields["norm"], 0) if "norm" in fields else None
            word = self.one_of(fields["grade"], _GRADES, "grade") if "grade" in fields else None
            if rows is not None:
                read[rule] = Extent(
                    rows,
                    of,
                    None if ulp is None else rounded_up(ulp),
                    norm=None if norm is None else rounded_up(norm),
                    grade=None if word is None else Grade(word),
                )
        return read
