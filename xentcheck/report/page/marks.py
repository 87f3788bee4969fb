"""The signs of the heat map: a letter for each grade and each standing, a shape for each kind."""

from collections.abc import Mapping
from dataclasses import dataclass

from xentcheck.model import ABOUT_GRADES, NOTES, Kind, Standing
from xentcheck.report.matrix import LETTERS


@dataclass(frozen=True, slots=True)
class Tone:
    """How a cell of the heat map looks: the class of its colour, its letter and what it means."""

    letter: str
    says: str


GRADE_TONES: Mapping[str, Tone] = {
    str(grade): Tone(letter, ABOUT_GRADES[grade]) for grade, letter in LETTERS.items()
}
"""The tones of grades, worst first."""

STANDING_TONES: Mapping[str, Tone] = {
    str(Standing.WORSE): Tone("▲", "a fault has come or grown"),
    str(Standing.NEW): Tone("+", "only HEAD has the cell"),
    str(Standing.GONE): Tone("−", "only BASE has the cell"),
    str(Standing.BETTER): Tone("▼", "a fault is gone or has shrunk, and none has grown"),
    str(Standing.SAME): Tone("=", "no fault has changed"),
}
"""The tones of standings, worst first."""

_SHAPES: Mapping[Kind, str] = {
    Kind.NAN: "◆",
    Kind.MISSED_NAN: "◇",
    Kind.SPURIOUS_OVERFLOW: "∞",
    Kind.MISSED_OVERFLOW: "⌈",
    Kind.WRONG_SIGN: "±",
    Kind.VANISHED_GRADIENT: "∅",
    Kind.SPURIOUS_UNDERFLOW: "0",
    Kind.PLATEAU: "▬",
    Kind.INACCURATE: "≈",
    Kind.ROW_DEPENDENT: "⇅",
    Kind.INCONSISTENT: "≠",
    Kind.INVARIANT: "⚖",
}


SHAPES: Mapping[str, str] = {
    str(kind): "" if kind in NOTES else _SHAPES.get(kind, "✖") for kind in Kind
}
"""The shape of every kind, by name: ``✖`` for whole calls, and none for notes."""
