"""Users' own code, loaded in a separate process and called as an implementation."""

from xentcheck.implementations.user.arrays import loaded, returning
from xentcheck.implementations.user.function import (
    FRAMEWORKS,
    NUMPY,
    Description,
    UserFunction,
    bridge_for,
    command_text,
    commanded,
    describe,
    given,
    made,
    process_of,
    target_named,
    words_of,
)

__all__ = [
    "FRAMEWORKS",
    "NUMPY",
    "Description",
    "UserFunction",
    "bridge_for",
    "command_text",
    "commanded",
    "describe",
    "given",
    "loaded",
    "made",
    "process_of",
    "returning",
    "target_named",
    "words_of",
]
