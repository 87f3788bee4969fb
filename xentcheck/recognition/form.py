"""A form that a function may compute: what it is called, and what it gives on an exam."""

from collections.abc import Callable
from dataclasses import dataclass

from xentcheck.model import Float64Array, Quantity
from xentcheck.recognition.exams import Exam

Expected = Callable[[Exam, Quantity], Float64Array | None]


@dataclass(frozen=True, slots=True)
class Form:
    """Results that a function may return instead of the exact ones.

    ``says`` completes "it looks like …"; ``{loss}`` in it is the loss. ``expected`` returns the
    results for an exam, in any shape, or None if the form does not apply. ``scaled``: factors that
    are not plain, and a fitted constant, are tried as well. ``reduction``: the reduction that the
    form is, if any.
    """

    name: str
    says: str
    expected: Expected
    hint: str = ""
    scaled: bool = False
    reduction: str | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """A constant factor by which results may differ; ``says`` contains ``{form}``.

    ``plain``: it is tried with every form, not only with the loss itself.
    """

    name: str
    says: str
    of: Callable[[Exam], float]
    hint: str = ""
    plain: bool = False
