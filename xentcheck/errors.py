"""All errors that this package raises on purpose.

::

    XentcheckError
    ├── ConfigError           all problems of a configuration, reported together
    ├── UsageError            contradictory or impossible arguments
    ├── UnknownNameError      an unknown name; the message suggests the nearest known one
    ├── TargetError           ``module:attr`` or ``file.py:attr`` that does not lead to a callable
    ├── EmptySweepError       a sweep without any rows
    ├── UnsupportedError      an implementation says it cannot compute this: a skip, not a fault
    └── UncertifiedError      a reference that could not be certified (an internal error)
"""

# ruff: noqa: PLC0415  (commands that print names import little)

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

INTERNAL_ERROR = "internal error"
"""Prefix of a message that says the instrument contradicts itself."""


class XentcheckError(Exception):
    """The base of all errors of this package; its text can be shown to a user as it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a configuration: where it is, what is wrong, and how to fix it."""

    path: str
    message: str
    file: str = ""
    line: int = 0
    remedy: str = ""

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line) if self.line else "") if part)
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        return f"{head}\n    help: {self.remedy}" if self.remedy else head


class ConfigError(XentcheckError):
    """All problems of one configuration, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(XentcheckError):
    """Options or arguments that contradict each other or do not fit the loss."""


class UnknownNameError(XentcheckError):
    """A name that is not known."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = name
        super().__init__(f"unknown {what} {name!r}{hint or did_you_mean(name, known)}")


class TargetError(XentcheckError):
    """A target that cannot be imported or called.

    `trace` is the traceback of a failed import.
    """

    trace: str = ""


class EmptySweepError(XentcheckError):
    """A sweep that produces no rows."""


class UnsupportedError(XentcheckError):
    """An implementation does not take its inputs: a dtype, a device, a parameter.

    The text is the reason of the skip. It completes a sentence that begins with the package's name.
    """


class UncertifiedError(XentcheckError):
    """An exact value that stayed undecided at the highest allowed precision."""


def ending(status: int) -> str:
    """Describe how a process ended, from its exit status (negative: the signal that killed it)."""
    if status >= 0:
        return f"exit status {status}"
    import signal

    names = {int(each): f" ({each.name})" for each in signal.Signals}
    return f"signal {-status}{names.get(-status, '')}"


MOST_NAMED = 12
"""Limit on the known names that a message lists; of more names it lists the nearest."""

_ALIKE = 0.5  # difflib ratio from which two names are compared further
_VERY_ALIKE = 0.6
_LEAST_SHARED = 2  # characters in a row; a single shared one says nothing


def one_line(error: BaseException) -> str:
    """An exception in one line: ``ValueError: no such class``."""
    text = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    return " ".join(text.split())


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to ``name``, ignoring case; None when nothing is close."""
    import difflib

    by_name = {each.casefold(): each for each in reversed(list(known))}
    folded = name.casefold()
    for match in difflib.get_close_matches(folded, list(by_name), n=3, cutoff=_ALIKE):
        matcher = difflib.SequenceMatcher(None, folded, match)
        shared = matcher.find_longest_match().size
        if shared >= _LEAST_SHARED or matcher.ratio() > _VERY_ALIKE:
            return by_name[match]
    return None


def known_names(name: str, known: Iterable[str]) -> str:
    """Return ``known: a, b, c``, or ``the nearest of 240: a, b, …`` above `MOST_NAMED` names."""
    known = list(dict.fromkeys(known))
    if len(known) <= MOST_NAMED:
        return f"known: {', '.join(known)}" if known else ""
    shown = sorted(known, key=lambda each: -_likeness(name, each))[:MOST_NAMED]
    return f"the nearest of {len(known):,}: {', '.join(shown)}"


def _likeness(name: str, other: str) -> float:
    """Score how alike two names are: as a whole, plus the longest part that they share."""
    import difflib

    name, other = name.casefold(), other.casefold()
    matcher = difflib.SequenceMatcher(None, name, other)
    longest = matcher.find_longest_match().size
    return matcher.ratio() + longest / max(min(len(name), len(other)), 1)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` or, when nothing is close, ``; known: a, b, c``."""
    known = list(known)
    best = nearest(name, known)
    if best is not None:
        return f"; did you mean {best!r}?"
    listed = known_names(name, known)
    return f"; {listed}" if listed else ""
