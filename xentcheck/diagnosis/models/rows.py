"""One row of the table of models, and rows that several losses have."""

from collections.abc import Callable, Mapping
from typing import Any

from xentcheck.diagnosis.steps import Steps
from xentcheck.model import Array

Form = Callable[[Steps, Array, Any, Mapping[str, Any], Mapping[str, Any]], Array]
Row = tuple[str, str, Mapping[str, Any], str]
"""Its name, the form as a formula, what tells it apart, and the option that is fitted."""

GUARDS: tuple[Row, ...] = (
    ("numpy.epsilon", "log(p + ε)", {"guard": "plus"}, "epsilon"),
    ("numpy.clipped", "log(clip(p, ε, 1 − ε))", {"guard": "clip"}, "epsilon"),
    ("max(p, ε)", "log(max(p, ε))", {"guard": "low"}, "epsilon"),
    ("clip twice", "log(clip(p, ε, 1 − ε) + ε)", {"guard": "clip", "twice": True}, "epsilon"),
    ("clamped log", "max(log p, −h)", {"clamp": 100.0}, "clamp"),
)
"""What is done to a probability before, or to its logarithm after."""


def guarded(extra: Mapping[str, Any]) -> list[Row]:
    """log p, plain and with every guard; with and without the terms that are absent."""
    rows: list[Row] = []
    for masked in (False, True):
        more = {**extra, "masked": masked}
        tail = " without absent terms" if masked else ""
        rows.append((f"numpy.{'masked' if masked else 'naive'}", f"log p{tail}", more, ""))
        rows += [
            (name, f"{says}{tail}", {**given, **more}, fit) for name, says, given, fit in GUARDS
        ]
    return rows
