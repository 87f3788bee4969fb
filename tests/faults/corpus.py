"""The corpus that judges a diagnosis: faults with the causes that may be claimed, and controls.

A fault is one of `tests.faults.catalogue`, with its label from `tests.faults.labels`, or a
variation of `tests.faults.variations.catalogue`. Of a control no cause may be claimed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.faults.auditing import config_of, group_of, name_of
from tests.faults.catalogue import CONTROLS, FAULTS, Fixture
from tests.faults.labels import LABELS, OFFSET, Expected
from tests.faults.variations.catalogue import VARIATIONS, WIDE_CONTROLS
from xentcheck.auditing.check import DEFAULT_LIMITS
from xentcheck.model import Config, Quantity

_CONTROLS = (*CONTROLS, *WIDE_CONTROLS)
_SOUND = Expected((), "sound")
_CANCELLING = Expected((), "sound, but for soft labels beside a zero of the gradient", (OFFSET,))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A fixture and what a diagnosis may say of it."""

    fixture: Fixture
    expected: Expected

    @property
    def name(self) -> str:
        """Its name in reports."""
        return name_of(self.fixture)

    @property
    def sound(self) -> bool:
        """Whether it is a control."""
        return self.fixture in _CONTROLS

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that it is about."""
        return tuple(Quantity) if self.sound else (self.fixture.quantity,)


def _control(fixture: Fixture) -> Labelled:
    cancelling = fixture.value == "sigmoid:sound_weighted_bce"
    return Labelled(fixture, _CANCELLING if cancelling else _SOUND)


KNOWN = tuple(Labelled(each, LABELS[each.loss, each.id]) for each in FAULTS)
"""The faults that were reported."""

VARIED = tuple(Labelled(fixture, expected) for fixture, expected in VARIATIONS)
"""Faults with other parameters, dtypes, shifts and intermediates."""

SOUND = tuple(map(_control, _CONTROLS))
"""Controls."""

CORPUS = (*KNOWN, *VARIED, *SOUND)


def groups(corpus: Sequence[Labelled]) -> Mapping[tuple[object, ...], Sequence[Labelled]]:
    """What is audited together, by what it has in common."""
    found: dict[tuple[object, ...], list[Labelled]] = {}
    for each in corpus:
        found.setdefault(group_of(each.fixture), []).append(each)
    return found


def config_for(group: Sequence[Labelled]) -> Config:
    """The configuration that audits a group with the limits of `xentcheck check`."""
    return config_of([each.fixture for each in group], CONTROLS, DEFAULT_LIMITS)
