"""Reads the section ``limits``, and checks that each limit applies to something."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from xentcheck.bounds import BOUNDS
from xentcheck.config.fields import LIMIT_NUMBERS
from xentcheck.config.sections import WILDCARD, SectionReader
from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES, NAMES
from xentcheck.model import IN_TOLERANCE, Grade, Kind, Limit, Quantity, Sweep, Tolerance
from xentcheck.reading.yaml import Place, remedy_for, shown

_LIMIT_PATTERNS = ("loss", "implementation", "dtype", "quantity", "sweep")


def read_limits(
    reader: SectionReader,
    place: Place,
    sweeps: Sequence[Sweep],
    names: Sequence[str],
    complete: bool,
) -> tuple[Limit, ...]:
    """The limits of a configuration that have no problems.

    Args:
        reader: notes the problems.
        place: of the section.
        sweeps: the sweeps of the configuration, as far as they could be read.
        names: the names of all sweeps.
        complete: whether every sweep was free of problems; if not, some checks are omitted.
    """
    limits: list[Limit] = []
    places: list[Place] = []
    for item in reader.items(place) or ():
        entries = reader.section(item, "limit")
        if entries is None:
            continue
        patterns: dict[str, str] = {}
        for key in _LIMIT_PATTERNS:
            pattern = reader.text(entries[key], "a pattern") if key in entries else "*"
            patterns[key] = "*" if pattern is None else pattern
            if key == "loss":
                patterns[key] = NAMES.of(patterns[key]) or patterns[key]
        before = len(reader.problems)
        against = _read_against(reader, entries["against"]) if "against" in entries else ()
        tolerance = _read_tolerance(reader, entries)
        kinds = {
            key: frozenset(
                Kind(each)
                for each in reader.several(entries[key], tuple(Kind), "kind of finding") or ()
            )
            if key in entries
            else frozenset()
            for key in ("allow", "forbid")
        }
        if "batch_invariant" in entries and reader.flag(entries["batch_invariant"]):
            kinds["forbid"] |= {Kind.BATCH_VARIANT}
        for kind in sorted(kinds["forbid"] & IN_TOLERANCE):
            reader.fault(
                entries["forbid"],
                f"{kind} is what is beyond the bounds of the limit, and forbidden there",
                f"{', '.join(LIMIT_NUMBERS)} say where that begins",
            )
        for kind in sorted(kinds["allow"] & kinds["forbid"]):
            by = "forbid" if "forbid" in entries else "batch_invariant"
            reader.fault(entries[by], f"{kind} is allowed by the same limit")
        _check_reach(reader, item, entries, patterns, sweeps, names, complete)
        if len(reader.problems) == before:
            limits.append(
                Limit(
                    tolerance,
                    kinds["allow"],
                    kinds["forbid"],
                    loss=patterns["loss"],
                    implementation=patterns["implementation"],
                    dtype=patterns["dtype"],
                    quantity=patterns["quantity"],
                    sweep=patterns["sweep"],
                    path=item.path,
                    line=item.mark.line + 1,
                    against=against,
                    relative=bool(against) and not ("min_grade" in entries or _bounded(entries)),
                )
            )
            places.append(item)
    for index, (limit, item) in enumerate(zip(limits, places, strict=True)):
        for later in limits[index + 1 :]:
            if all(getattr(later, key) in ("*", getattr(limit, key)) for key in _LIMIT_PATTERNS):
                message = f"never applies: {later.path} selects all that it does"
                reader.fault(item, message, "the last limit that selects a cell governs it")
                break
    return tuple(limits)


def _read_tolerance(reader: SectionReader, entries: Mapping[str, Place]) -> Tolerance:
    """The tolerance of a limit.

    `max_ulp` is 4 unless given. With another bound that stands alone it is infinite unless given.
    """
    read = {key: reader.number(entries[key], 0) for key in LIMIT_NUMBERS if key in entries}
    given = {key: number for key, number in read.items() if number is not None}
    times = reader.flag(entries["times_condition"]) if "times_condition" in entries else False
    grade = None
    if "min_grade" in entries:
        grade = reader.one_of(entries["min_grade"], tuple(map(str, Grade)), "grade")
    bounded = "min_grade" in entries or _bounded(given.keys() - {"max_ulp"})
    return Tolerance(
        max_ulp=given.get("max_ulp", math.inf if bounded else 4.0),
        or_abs=given.get("or_abs", 0.0),
        or_rel=given.get("or_rel", 0.0),
        times_condition=bool(times),
        max_excess_bits=given.get("max_excess_bits", math.inf),
        p99_ulp=given.get("p99_ulp", math.inf),
        or_excess_bits=given.get("or_excess_bits", -math.inf),
        max_norm=given.get("max_norm", math.inf),
        min_grade=None if grade is None else Grade(grade),
    )


def _bounded(given: Iterable[str]) -> bool:
    """Whether one of these keys bounds the ulps by itself."""
    return any(each.alone and each.name in given for each in BOUNDS)


def _read_against(reader: SectionReader, place: Place) -> tuple[str, ...]:
    """The names of peers: a text or a list of texts."""
    read = (reader.text(each, "the name of a peer") for each in reader.items(place) or ())
    return tuple(dict.fromkeys(each for each in read if each is not None))


def _check_reach(
    reader: SectionReader,
    item: Place,
    entries: Mapping[str, Place],
    patterns: Mapping[str, str],
    sweeps: Sequence[Sweep],
    names: Sequence[str],
    complete: bool,
) -> None:
    """Note a problem for a limit that applies to no cell of this configuration."""
    anywhere: dict[str, Iterable[str]] = {
        "loss": LOSSES,
        "dtype": FORMATS,
        "quantity": tuple(Quantity),
        "sweep": names,
    }
    here: dict[str, list[str]] = {
        "loss": [loss for sweep in sweeps for loss in sweep.losses],
        "dtype": [dtype for sweep in sweeps for dtype in sweep.dtypes],
        "quantity": [quantity for sweep in sweeps for quantity in sweep.quantities],
        "sweep": list(names),
    }
    before = len(reader.problems)
    for key, known in anywhere.items():
        pattern = patterns[key]
        if key not in entries or (key == "sweep" and not names):
            continue
        if not _matches(pattern, known):
            stem = WILDCARD.sub("", pattern)
            remedy = (NAMES.hint(stem) if key == "loss" else "") or remedy_for(stem, known)
            reader.fault(entries[key], f"{shown(pattern)} matches no {key}", remedy)
        elif complete and not _matches(pattern, here[key]):
            remedy = f"the sweeps have: {', '.join(dict.fromkeys(here[key]))}"
            reader.fault(entries[key], f"no sweep here has a {key} {shown(pattern)}", remedy)
    if not complete or len(reader.problems) != before:
        return
    if not any(
        _matches(patterns["sweep"], [sweep.name])
        and _matches(patterns["loss"], sweep.losses)
        and _matches(patterns["dtype"], sweep.dtypes)
        and _matches(patterns["quantity"], sweep.quantities)
        for sweep in sweeps
    ):
        reader.fault(item, "no sweep here has all that this limit names together")


def _matches(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
