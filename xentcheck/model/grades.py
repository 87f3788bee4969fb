"""Grades: how much the errors of a cell matter."""

from collections.abc import Mapping
from enum import StrEnum


class Grade(StrEnum):
    """How much the errors matter, worst first. The grade of a cell is that of its worst row."""

    BROKEN = "broken"
    LOSSY = "lossy"
    ABSOLUTE = "absolute"
    ACCURATE = "accurate"
    FAITHFUL = "faithful"
    ROUNDED = "rounded"


GRADES: tuple[Grade, ...] = tuple(Grade)
"""All grades, worst first."""

ABOUT_GRADES: Mapping[Grade, str] = {
    Grade.BROKEN: "a NaN, a wrong infinity, a wrong sign, a gradient of 0 that is not small, or no "
    "result",
    Grade.LOSSY: "errors beyond a few roundings of the row's scale",
    Grade.ABSOLUTE: "errors within a few roundings of the row's scale; small results lose digits",
    Grade.ACCURATE: "errors within 4 ulp, or 4 times what the condition number explains",
    Grade.FAITHFUL: "errors below 1 ulp",
    Grade.ROUNDED: "errors of at most half an ulp",
}
"""What each grade means, in a few words; this is printed."""


def rank(grade: Grade) -> int:
    """The position in the order of grades; 0 is the worst."""
    return GRADES.index(grade)
