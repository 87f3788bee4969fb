"""Pictures in a text: where a saved figure is, and what it shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """A saved figure that a text refers to.

    Attributes:
        link: its address relative to the text, percent-encoded.
        says: what it shows, as plain text: the alternative for who does not see it.
    """

    link: str
    says: str
