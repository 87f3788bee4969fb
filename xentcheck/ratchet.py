"""What is tolerated today: violations against a baseline, and the baseline's next state.

An entry holds for every platform, unless it names one: that goes before the others on its own
platform. So a file starts with entries for all, and gets more where a platform differs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xentcheck.model import Cell, Change, Measurement, Report, Standing, Violation
from xentcheck.standing import Extent, extent, standing

P99 = "p99_ulp"
"""The rule of a violation that is about a cell's 99th percentile, not about a kind."""

Faults = Mapping[str, Extent]
"""By rule: the name of a kind, or `P99`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is tolerated in one cell, each fault as far as it went when it was recorded.

    ``platform`` "" is every one. ``recorded`` is the environment of that day, with its ``date``.
    """

    cell: Cell
    faults: Faults
    platform: str = ""
    recorded: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured_on(self) -> str:
        """The platform that its numbers are from; "" where that is not known."""
        return self.platform or self.recorded.get("platform", "")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of a file."""

    entries: tuple[Entry, ...] = ()
    path: str = ""

    @property
    def faults(self) -> int:
        """How many faults are tolerated in all."""
        return sum(len(each.faults) for each in self.entries)

    def entry(self, cell: Cell, platform: str) -> Entry | None:
        """The entry that holds for a cell on a platform."""
        own = [each for each in self.entries if each.cell == cell]
        return next(
            (each for each in own if each.platform == platform),
            next((each for each in own if not each.platform), None),
        )

    def elsewhere(self, cell: Cell, platform: str) -> tuple[str, ...]:
        """The other platforms that have an entry for a cell."""
        found = (each.platform for each in self.entries if each.cell == cell and each.platform)
        return tuple(sorted(each for each in found if each != platform))


@dataclass(frozen=True, slots=True)
class Weighed:
    """Violations that fail, violations that are tolerated, and what the baseline is to be told."""

    violations: tuple[Violation, ...]
    tolerated: tuple[Violation, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What a run has to say to a baseline.

    ``faults`` has every measured cell, with nothing in those without a violation. ``unaudited``
    are cells that the configuration describes and that were not audited this time.
    """

    platform: str
    faults: Mapping[Cell, Faults]
    unaudited: Collection[Cell] = ()


def observed(
    platform: str,
    measurements: Iterable[Measurement],
    violations: Iterable[Violation],
    unaudited: Collection[Cell] = (),
) -> Observed:
    """What a run has to say: how far each of its violations goes."""
    measured = {each.cell: each for each in measurements}
    faults: dict[Cell, dict[str, Extent]] = {cell: {} for cell in measured}
    for violation in violations:
        cell = violation.finding.cell
        faults.setdefault(cell, {})[violation.rule] = _extent(violation, measured.get(cell))
    return Observed(platform, faults, unaudited)


def _extent(violation: Violation, measurement: Measurement | None) -> Extent:
    finding = violation.finding
    whole = extent(finding, finding.rows if measurement is None else measurement.rows)
    if violation.rule == P99 and measurement is not None:
        return replace(whole, ulp=measurement.p99_ulp)
    return whole


def weigh(violations: Sequence[Violation], baseline: Baseline, seen: Observed) -> Weighed:
    """Violations against a baseline. Those that are new or worse stay violations."""
    failing, tolerated = [], []
    changes: list[Change] = []
    for violation in violations:
        cell = violation.finding.cell
        entry = baseline.entry(cell, seen.platform)
        known = None if entry is None else entry.faults.get(violation.rule)
        now = seen.faults[cell][violation.rule]
        stands = standing(now, known)
        if known is None or entry is None:
            text = _untolerated(baseline, entry, violation, seen.platform)
        else:
            text = _text(known) + _from_elsewhere(entry, seen.platform, stands)
        marked = replace(violation, standing=stands, accepted=text)
        if stands in (Standing.NEW, Standing.WORSE):
            failing.append(marked)
            continue
        tolerated.append(marked)
        if stands is Standing.BETTER and known is not None:
            text = f"{_text(now)}, was {_text(known)}"
            changes.append(Change(cell, violation.rule, stands, text))
    changes += _stale(baseline, seen)
    return Weighed(tuple(failing), tuple(tolerated), tuple(changes))


def _text(fault: Extent) -> str:
    rows = f"{fault.rows:,} of {fault.of:,} rows"
    return rows if fault.ulp is None else f"{rows}, {fault.ulp:.6g} ulp"


def _untolerated(
    baseline: Baseline, entry: Entry | None, violation: Violation, platform: str
) -> str:
    if entry is not None:
        others = " and ".join(entry.faults)
        return f"nothing of the kind, only {others}"
    elsewhere = baseline.elsewhere(violation.finding.cell, platform)
    if elsewhere:
        return f"nothing on {platform}: its entries are for {', '.join(elsewhere)}"
    return "nothing in this cell"


def _from_elsewhere(entry: Entry, platform: str, stands: Standing) -> str:
    if stands is not Standing.WORSE or entry.measured_on in ("", platform):
        return ""
    return f" (recorded on {entry.measured_on}; this is {platform})"


def _stale(baseline: Baseline, seen: Observed) -> Iterable[Change]:
    """Entries for which there is nothing left to tolerate."""
    for entry in baseline.entries:
        cell = entry.cell
        if entry is not baseline.entry(cell, seen.platform):
            continue
        if cell in seen.faults:
            for rule, known in entry.faults.items():
                if rule not in seen.faults[cell]:
                    text = f"nothing is beyond the limits any more, was {_text(known)}"
                    yield Change(cell, rule, Standing.GONE, text)
        elif cell not in seen.unaudited:
            yield Change(cell, "", Standing.GONE, "the configuration describes no such cell")


def renewed(
    baseline: Baseline, seen: Observed, recorded: Mapping[str, str], *, tighten: bool = False
) -> Baseline:
    """The baseline that tolerates just what was seen.

    Entries of other platforms, and of cells that were not audited this time, stay as they are; so
    does what has not changed, with the day it was recorded.

    Args:
        baseline: the one so far.
        seen: what a run has to say.
        recorded: the environment, with its date, for what is new.
        tighten: take back what has become better or is gone, and tolerate nothing more.
    """
    entries: dict[tuple[Cell, str], Entry] = {
        (each.cell, each.platform): each for each in baseline.entries
    }
    described = {*seen.faults, *seen.unaudited}
    for entry in baseline.entries:
        if entry.cell not in described and entry.platform in ("", seen.platform):
            _drop(entries, entry, seen.platform)
    for cell, faults in seen.faults.items():
        held = baseline.entry(cell, seen.platform)
        wanted = dict(faults)
        if tighten:
            wanted = {} if held is None else _tightened(held.faults, faults)
        if held is None:
            if wanted:
                entries[cell, ""] = Entry(cell, wanted, "", recorded)
            continue
        if not _differs(wanted, held.faults):
            continue
        _drop(entries, held, seen.platform)
        if not wanted and (cell, "") in entries:  # it would hold here from now on
            _drop(entries, entries[cell, ""], seen.platform)
        if wanted:
            # what was measured elsewhere stays as it was, beside an entry of this platform's own
            own = held.platform or (seen.platform if (cell, "") in entries else "")
            own = own or (seen.platform if held.measured_on not in ("", seen.platform) else "")
            entries[cell, own] = Entry(cell, wanted, own, recorded)
    return replace(baseline, entries=tuple(sorted(entries.values(), key=_order)))


def taken(
    report: Report, baseline: Baseline, date: str, *, tighten: bool = False
) -> tuple[Baseline, Report]:
    """A baseline renewed by a report, and the report as it stands to that.

    The arguments are those of `renewed`; ``date`` is today's.
    """
    violations = [
        replace(each, standing=None, accepted="")
        for each in (*report.violations, *report.tolerated)
    ]
    seen = observed(
        report.environment["platform"], report.measurements, violations, report.unaudited
    )
    recorded = {"date": date, **report.environment}
    new = renewed(baseline, seen, recorded, tighten=tighten)
    weighed = weigh(violations, new, seen)
    return new, replace(
        report,
        baseline=new.path,
        violations=weighed.violations,
        tolerated=weighed.tolerated,
        changes=weighed.changes,
    )


def _drop(entries: dict[tuple[Cell, str], Entry], entry: Entry, platform: str) -> None:
    """Take an entry out; one for all that another platform recorded becomes that platform's."""
    del entries[entry.cell, entry.platform]
    if entry.platform == "" and entry.measured_on not in ("", platform):
        theirs = (entry.cell, entry.measured_on)
        entries.setdefault(theirs, replace(entry, platform=entry.measured_on))


def _tightened(known: Faults, now: Faults) -> dict[str, Extent]:
    tightened = {}
    for rule, before in known.items():
        stands = standing(now.get(rule), before)
        if stands is not Standing.GONE:
            tightened[rule] = now[rule] if stands is Standing.BETTER else before
    return tightened


def _differs(one: Faults, other: Faults) -> bool:
    return one.keys() != other.keys() or any(
        standing(each, other[rule]) is not Standing.SAME for rule, each in one.items()
    )


def _order(entry: Entry) -> tuple[str, ...]:
    cell = entry.cell
    return (
        cell.loss,
        cell.implementation,
        cell.dtype,
        cell.quantity.value,
        cell.sweep,
        entry.platform,
    )
