"""Every error this package raises on purpose.

::

    XentcheckError
    ├── ConfigError           everything that is wrong with a configuration, all at once
    ├── UsageError            a command line or a call that cannot be meant
    ├── UnknownNameError      a name that stands for nothing, with the nearest that does
    ├── TargetError           ``module:attr`` or ``file.py:attr`` that does not lead to a callable
    ├── EmptySweepError       a sweep that would audit nothing
    ├── UnsupportedError      what an implementation says it does not compute: a skip, no fault
    └── UncertifiedError      a reference that could not be certified (an internal error)
"""

import difflib
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

INTERNAL_ERROR = "internal error"
"""How a message begins that says the instrument contradicts itself."""


class XentcheckError(Exception):
    """The root of all errors below; its text is ready to be shown to a user."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: where it stands, what it says, what would be right."""

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
    """Options or arguments that contradict each other or the loss they are meant for."""


class UnknownNameError(XentcheckError):
    """A name that stands for nothing."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = name
        super().__init__(f"unknown {what} {name!r}{hint or did_you_mean(name, known)}")


class TargetError(XentcheckError):
    """A target that cannot be imported, or is not callable.

    ``trace`` is the traceback of an import that failed.
    """

    trace: str = ""


class EmptySweepError(XentcheckError):
    """A sweep from which no row comes."""


class UnsupportedError(XentcheckError):
    """Raised by an implementation for inputs it does not take: a dtype, a device, a parameter.

    Its text is the reason of the skip, and completes "PACKAGE …".
    """


class UncertifiedError(XentcheckError):
    """An exact value that stayed undecided at the largest allowed precision."""


def ending(status: int) -> str:
    """How a process ended, from its exit status (negative: the signal that killed it)."""
    if status >= 0:
        return f"exit status {status}"
    names = {int(each): f" ({each.name})" for each in signal.Signals}
    return f"signal {-status}{names.get(-status, '')}"


MOST_NAMED = 12
"""So many known names are listed at most: the nearest of them where there are more."""

_ALIKE = 0.5  # of difflib's ratio
_VERY_ALIKE = 0.6
_LEAST_SHARED = 2  # characters in a row; a lone one that two names share says nothing


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``name``, whatever the case, or None when nothing is close."""
    by_name = {each.casefold(): each for each in reversed(list(known))}
    folded = name.casefold()
    for match in difflib.get_close_matches(folded, list(by_name), n=3, cutoff=_ALIKE):
        matcher = difflib.SequenceMatcher(None, folded, match)
        shared = matcher.find_longest_match().size
        if shared >= _LEAST_SHARED or matcher.ratio() > _VERY_ALIKE:
            return by_name[match]
    return None


def known_names(name: str, known: Iterable[str]) -> str:
    """``known: a, b, c``; of more than `MOST_NAMED` the nearest: ``near it, of 240: a, b, …``."""
    known = list(dict.fromkeys(known))
    if len(known) <= MOST_NAMED:
        return f"known: {', '.join(known)}" if known else ""
    shown = sorted(known, key=lambda each: -_likeness(name, each))[:MOST_NAMED]
    return f"the nearest of {len(known):,}: {', '.join(shown)}"


def _likeness(name: str, other: str) -> float:
    """How alike two names are: whole, or in the part that one has of the other."""
    name, other = name.casefold(), other.casefold()
    matcher = difflib.SequenceMatcher(None, name, other)
    longest = matcher.find_longest_match().size
    return matcher.ratio() + longest / max(min(len(name), len(other)), 1)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or, when nothing is close, ``; known: a, b, c``."""
    known = list(known)
    best = nearest(name, known)
    if best is not None:
        return f"; did you mean {best!r}?"
    listed = known_names(name, known)
    return f"; {listed}" if listed else ""
