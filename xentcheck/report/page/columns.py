"""The columns of a table of a page, as data that a script filters and sorts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xentcheck.floats import LARGEST_ULP
from xentcheck.report import words


@dataclass(slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name in links.
        label: its heading.
        sort: ``word`` (few values, in an order), ``number`` or ``text``.
        order: the values of words in their order; others come after them.
        title: what it means, where the heading does not say it.
        values: one for each row: a text, a number, or None for no value.
    """

    name: str
    label: str
    sort: str
    order: Sequence[str] = ()
    title: str = ""
    values: list[Any] = field(default_factory=list)


def documents(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """The columns as plain values. A word is stored as its position in ``words``."""
    return [_document(each) for each in columns]


def _document(column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": column.name,
        "label": column.label,
        "sort": column.sort,
        "title": column.title,
    }
    if column.sort == "word":
        known = {each: None for each in column.order if each in set(column.values)}
        rest = sorted({each for each in column.values if each not in known})
        places = {each: place for place, each in enumerate([*known, *rest])}
        return {**made, "words": list(places), "values": [places[each] for each in column.values]}
    if column.sort == "number":
        return {**made, "values": [stored(each) for each in column.values]}
    return {**made, "values": column.values}


def stored(value: float | None) -> float | str | None:
    """A number with four digits for JSON. None: no value; infinities are texts."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, int) or value == int(value) and abs(value) < 1e15:  # noqa: RUF021
        return int(value)
    return value if value == LARGEST_ULP else float(f"{value:.4g}")


def told(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Pairs of label and text as one flat list of clean texts."""
    return [words.clean(text) for line in lines for text in line]
