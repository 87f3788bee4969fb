"""Witnesses from flat fields, as tests write them."""

import dataclasses
from typing import Any

from xentcheck.model import Input, Scored, Witness

_OF_INPUT = {each.name for each in dataclasses.fields(Input)}


def witness_of(note: str = "", **fields: Any) -> Witness:
    """A witness; without an exact value it has no score."""
    given = Input(**{name: value for name, value in fields.items() if name in _OF_INPUT})
    scored = Scored(**{name: value for name, value in fields.items() if name not in _OF_INPUT})
    return Witness(given, scored if scored.exact else None, note)


def changed(witness: Witness, **fields: Any) -> Witness:
    """The witness with other fields."""
    given = {name: value for name, value in fields.items() if name in _OF_INPUT}
    scored = {name: value for name, value in fields.items() if name not in _OF_INPUT}
    assert witness.scored is not None
    return dataclasses.replace(
        witness,
        input=dataclasses.replace(witness.input, **given),
        scored=dataclasses.replace(witness.scored, **scored),
    )
