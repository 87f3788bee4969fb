"""Weighs violations against a baseline of tolerated faults, and renews the baseline.

An entry without a platform applies on every platform. An entry with a platform applies only there,
and takes precedence there. So a file starts with entries for all platforms, and gets more entries
where a platform differs.

On the processor that recorded an entry, results are the same to the bit. Another processor of the
same platform may compute exponentials and logarithms with other vector instructions. They are
right to a few ulps, but their last bits differ. Then errors at the limit come and go. Where terms
cancel, chance decides which of the kinds in `DEGREES` a row has. So on another processor the slack
is wide, those kinds are also weighed together, and ulps that the problem's conditioning explains
are not weighed.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_UP, Context, Decimal

from xentcheck.floats import FORMATS
from xentcheck.gate.extent import Extent, Slack, extent, standing
from xentcheck.model import (
    MAX_NORM,
    MIN_GRADE,
    P99,
    Cell,
    Change,
    Config,
    Kind,
    Measurement,
    Report,
    Standing,
    Violation,
)

DEFAULT_SLACK = Slack(0.01)
"""Changes that count as none on the processor that recorded the entry."""

OTHER_PROCESSOR = Slack(7.0, 0.5, 3)
"""Changes that count as none on another processor: 3 bits of error (8 times the ulps), and half as
many rows again plus 3 rows.
"""

NEXT_TO_LIMIT = 2.0
"""An error up to this many times the limit, in ulps, counts as close to the limit."""

DEGREES = frozenset(
    each.value
    for each in (
        Kind.INACCURATE,
        Kind.WRONG_SIGN,
        Kind.SPURIOUS_UNDERFLOW,
        Kind.VANISHED_GRADIENT,
        Kind.PLATEAU,
    )
)
"""Kinds that are one fault, lost digits: rounding decides which of them a row shows."""

DIGITS = 3
"""Significant digits of the ulps in a baseline. They are rounded up."""

Faults = Mapping[str, Extent]
"""The faults of a cell by rule. A rule is one of `RULES`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The faults that are tolerated in one cell, each to the extent that was recorded.

    ``platform`` "" means every platform. ``recorded`` is the environment of the recording, with
    its ``date``.
    """

    cell: Cell
    faults: Faults
    platform: str = ""
    recorded: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured_on(self) -> str:
        """The platform that the numbers were measured on; "" if unknown."""
        return self.platform or self.recorded.get("platform", "")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of a file.

    ``recorded`` is the common record. The file states only how an entry's record differs from it.
    """

    entries: tuple[Entry, ...] = ()
    path: str = ""
    recorded: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def faults(self) -> int:
        """The number of tolerated faults in all entries."""
        return sum(len(each.faults) for each in self.entries)

    def processors(self, platform: str) -> tuple[str, ...]:
        """The processors that recorded the entries for a platform; "" for an unknown one."""
        held = [each for each in self.entries if each.platform in ("", platform)]
        return tuple(dict.fromkeys(each.recorded.get("cpu", "") for each in held))

    def entry(self, cell: Cell, platform: str) -> Entry | None:
        """The entry that applies to a cell on a platform."""
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
    """Violations that fail, violations that are tolerated, and changes to entries.

    ``changes`` lists the entries that are better or gone. ``note`` says which other processors
    recorded the entries, "" if none.
    """

    violations: tuple[Violation, ...]
    tolerated: tuple[Violation, ...] = ()
    changes: tuple[Change, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """The results of a run, in the form that a baseline records.

    ``faults`` has every measured cell; a cell without a violation has an empty mapping.
    ``unaudited`` are the cells that the configuration describes and this run did not audit.
    ``bounds`` are the ulps that a cell's limit allows. ``full`` are the ulps from which on no digit
    is right.
    """

    platform: str
    faults: Mapping[Cell, Faults]
    unaudited: Collection[Cell] = ()
    cpu: str = ""
    bounds: Mapping[Cell, float] = field(default_factory=dict)
    full: Mapping[Cell, float] = field(default_factory=dict)


def observed(
    environment: Mapping[str, str],
    measurements: Iterable[Measurement],
    violations: Iterable[Violation],
    unaudited: Collection[Cell] = (),
    bounds: Mapping[Cell, float] | None = None,
) -> Observed:
    """The extent of each violation of a run, by cell and rule.

    Args:
        environment: of the run; ``platform`` is required, ``cpu`` is used if present.
        measurements: every measurement of the run.
        violations: the violations to record.
        unaudited: cells that the configuration describes and the run did not audit.
        bounds: the ulps that the limit of each cell allows, as from `bounds_of`; None: unknown.
    """
    measured = {each.cell: each for each in measurements}
    faults: dict[Cell, dict[str, Extent]] = {cell: {} for cell in measured}
    for violation in violations:
        cell = violation.finding.cell
        faults.setdefault(cell, {})[violation.rule] = _extent(violation, measured.get(cell))
    formats = {cell: FORMATS.get(each.result_dtype) for cell, each in measured.items()}
    full = {cell: 2.0**known.precision for cell, known in formats.items() if known is not None}
    return Observed(
        environment["platform"], faults, unaudited, environment.get("cpu", ""), bounds or {}, full
    )


def bounds_of(config: Config, cells: Iterable[Cell]) -> dict[Cell, float]:
    """The ulps that the limit of each cell allows: the smaller of ``max_ulp`` and ``p99_ulp``.

    Other parts of the limit are ignored. Cells without a limit are left out.
    """
    limits = ((cell, config.limit_for(cell)) for cell in cells)
    return {
        cell: min(limit.tolerance.max_ulp, limit.tolerance.p99_ulp)
        for cell, limit in limits
        if limit is not None
    }


def _extent(violation: Violation, measurement: Measurement | None) -> Extent:
    finding = violation.finding
    if measurement is not None and violation.rule == MIN_GRADE:
        return Extent(finding.rows, measurement.rows, grade=measurement.grade)
    if measurement is not None and violation.rule == MAX_NORM:
        return Extent(finding.rows, measurement.rows, norm=rounded_up(measurement.max_norm))
    whole = extent(finding, finding.rows if measurement is None else measurement.rows)
    if violation.rule == P99 and measurement is not None:
        whole = replace(whole, ulp=measurement.p99_ulp)
    return whole if whole.ulp is None else replace(whole, ulp=rounded_up(whole.ulp))


def rounded_up(ulp: float) -> float:
    """A number of ulps, rounded up to `DIGITS` significant digits."""
    if not 0.0 < ulp < sys.float_info.max:
        return ulp
    digits = Context(prec=DIGITS, rounding=ROUND_UP)
    return min(float(digits.create_decimal(Decimal(repr(float(ulp))))), sys.float_info.max)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Weighs a cell's faults against those that an entry tolerates.

    ``other`` is true if another processor than this one recorded the entry.
    """

    seen: Observed
    cell: Cell
    known: Faults
    slack: Slack
    other: bool

    def standing(self, rule: str) -> Standing:
        """The standing of the fault under a rule."""
        now, known = self.seen.faults.get(self.cell, {}).get(rule), self.known.get(rule)
        if not self.other or self.slack == Slack():
            return standing(now, known, self.slack)
        if now is not None and known is not None and now.explained:
            now = replace(now, ulp=min(now.ulp or 0.0, known.ulp or 0.0))
        stands = standing(now, known, self.slack)
        if stands is Standing.SAME:
            return stands
        whole = standing(*self._together(), self.slack) if rule in DEGREES else stands
        if whole is Standing.SAME:
            return whole
        if whole is Standing.BETTER and now is not None:
            return stands if stands is Standing.BETTER else Standing.SAME
        comes_or_goes = now if known is None else known if now is None else None
        return Standing.SAME if self._is_next_to_limit(comes_or_goes) else stands

    def _together(self) -> tuple[Extent | None, Extent | None]:
        """All faults of `DEGREES` as one fault, now and before.

        Errors beyond ``full`` count as equal, because no digit is right there.
        """
        full = self.seen.full.get(self.cell, float("inf"))
        now = self.seen.faults.get(self.cell, {})
        found = [each for rule, each in now.items() if rule in DEGREES]
        held = [each for rule, each in self.known.items() if rule in DEGREES]
        before = _largest(held, full)
        largest = max(
            _largest([each for each in found if not each.explained], full),
            min(_largest(found, full), before),
        )
        return _whole(found, largest), _whole(held, before)

    def _is_next_to_limit(self, fault: Extent | None) -> bool:
        """Whether a fault may be within the limit on another processor.

        That is a fault of few rows with a small or explained error.
        """
        bound = self.seen.bounds.get(self.cell, 0.0) * NEXT_TO_LIMIT
        return (
            fault is not None
            and fault.ulp is not None
            and fault.rows <= self.slack.rows
            and (fault.ulp <= bound or fault.explained)
        )


def _largest(faults: Iterable[Extent], full: float) -> float:
    return max((full if each.ulp is None else min(each.ulp, full) for each in faults), default=0.0)


def _whole(faults: Sequence[Extent], ulp: float) -> Extent | None:
    return Extent(sum(each.rows for each in faults), faults[0].of, ulp) if faults else None


def _scale(
    baseline: Baseline, entry: Entry | None, cell: Cell, seen: Observed, slack: float | None
) -> _Scale:
    if entry is None:
        known = baseline.processors(seen.platform)
        other = bool(known) and seen.cpu not in known
    else:
        there = (entry.measured_on, entry.recorded.get("cpu", ""))
        other = there != (seen.platform, seen.cpu)
    allowed = OTHER_PROCESSOR if other else DEFAULT_SLACK
    if slack is not None:
        share = min(slack, OTHER_PROCESSOR.share) if other else 0.0
        allowed = Slack(slack, share, OTHER_PROCESSOR.rows if share else 0)
    return _Scale(seen, cell, {} if entry is None else entry.faults, allowed, other)


def _note(baseline: Baseline, seen: Observed, slack: float | None) -> str:
    """A note on the other platforms and processors that recorded entries; "" if there are none."""
    return "; ".join(filter(None, (_platforms(baseline, seen), _processors(baseline, seen, slack))))


def _platforms(baseline: Baseline, seen: Observed) -> str:
    here = ("", seen.platform)
    known = {each.cell for each in baseline.entries if each.platform in here}
    others = Counter(
        each.platform
        for each in baseline.entries
        if each.platform not in here and each.cell in seen.faults and each.cell not in known
    )
    return ", ".join(
        f"{number} for {name} only; this is {seen.platform}" for name, number in others.items()
    )


def _processors(baseline: Baseline, seen: Observed, slack: float | None) -> str:
    known = [each for each in baseline.processors(seen.platform) if each != seen.cpu]
    if not known:
        return ""
    where = " and ".join(each or "an unknown processor" for each in known)
    if slack is not None:
        return f"recorded on {where}; this is {seen.cpu}"
    wide = OTHER_PROCESSOR
    return (
        f"recorded on {where}; this is {seen.cpu}: up to {1 + wide.ulps:g} times the ulps, and "
        f"{1 + wide.share:g} times the rows and {wide.rows} more, count as the same (--slack)"
    )


def weigh(
    violations: Sequence[Violation],
    baseline: Baseline,
    seen: Observed,
    slack: float | None = None,
) -> Weighed:
    """Weigh violations against a baseline. New and worse ones stay violations.

    Args:
        violations: every violation of the run.
        baseline: the tolerated faults.
        seen: the results of the same run.
        slack: the relative change that counts as none. None means `DEFAULT_SLACK` on the processor
            that recorded the entry, and `OTHER_PROCESSOR` elsewhere.
    """
    failing, tolerated = [], []
    changes: list[Change] = []
    for violation in violations:
        cell, rule = violation.finding.cell, violation.rule
        entry = baseline.entry(cell, seen.platform)
        known = None if entry is None else entry.faults.get(rule)
        stands = _scale(baseline, entry, cell, seen, slack).standing(rule)
        if known is None or entry is None:
            text = _untolerated(baseline, entry, violation, seen.platform)
            if stands is not Standing.NEW:
                text += "; no more than another processor explains"
        else:
            text = _text(known) + _from_elsewhere(entry, seen.platform, stands)
        marked = replace(violation, standing=stands, accepted=text)
        if stands in (Standing.NEW, Standing.WORSE):
            failing.append(marked)
            continue
        tolerated.append(marked)
        if stands is Standing.BETTER and known is not None:
            text = f"{_text(seen.faults[cell][rule])}, was {_text(known)}"
            changes.append(Change(cell, rule, stands, text))
    changes += _stale(baseline, seen, failing, slack)
    return Weighed(tuple(failing), tuple(tolerated), tuple(changes), _note(baseline, seen, slack))


def _text(fault: Extent) -> str:
    if fault.grade is not None:
        return f"grade {fault.grade}"
    if fault.norm is not None:
        return f"{fault.norm:.6g} of the row's scale"
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


def _stale(
    baseline: Baseline, seen: Observed, failing: Iterable[Violation], slack: float | None
) -> Iterable[Change]:
    """Entries with a fault that is gone or has become another fault."""
    come: dict[Cell, list[str]] = defaultdict(list)
    for violation in failing:
        if violation.standing is Standing.NEW:
            come[violation.finding.cell].append(violation.rule)
    for entry in baseline.entries:
        cell = entry.cell
        if entry is not baseline.entry(cell, seen.platform):
            continue
        if cell in seen.faults:
            scale = _scale(baseline, entry, cell, seen, slack)
            for rule, known in entry.faults.items():
                if rule in seen.faults[cell] or scale.standing(rule) is Standing.SAME:
                    continue
                if instead := come[cell]:
                    each = ", ".join(f"{new} ({_text(seen.faults[cell][new])})" for new in instead)
                    text = f"has become {each}, was {_text(known)}"
                    yield Change(cell, rule, Standing.GONE, text, ", ".join(instead))
                    continue
                text = f"nothing is beyond the limits any more, was {_text(known)}"
                yield Change(cell, rule, Standing.GONE, text)
        elif cell not in seen.unaudited:
            yield Change(cell, "", Standing.GONE, "the configuration describes no such cell")


def renewed(
    baseline: Baseline,
    seen: Observed,
    recorded: Mapping[str, str],
    *,
    tighten: bool = False,
    slack: float | None = None,
) -> Baseline:
    """The baseline that tolerates exactly the faults of a run.

    Entries of other platforms and of cells that the run did not audit stay as they are. Entries
    that have not changed also stay, with their date.

    Args:
        baseline: the present baseline.
        seen: the results of the run.
        recorded: the environment of the run, with its date, for new entries.
        tighten: only reduce: lower the faults that are better, remove those that are gone, and add
            nothing.
        slack: as in `weigh`.
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
        scale = _scale(baseline, held, cell, seen, slack)
        wanted = dict(faults)
        if tighten:
            wanted = {} if held is None else _tightened(held.faults, faults, scale)
        if held is None:
            if wanted:
                entries[cell, ""] = Entry(cell, wanted, "", recorded)
            continue
        undated = "cpu" in recorded and "cpu" not in held.recorded  # an older version wrote it
        anew = undated and not tighten and held.measured_on in ("", seen.platform)
        if wanted == held.faults and not anew:
            continue
        if not anew and not tighten and _unchanged({*wanted, *held.faults}, scale):
            continue
        _drop(entries, held, seen.platform)
        if not wanted and (cell, "") in entries:  # it would apply here from now on
            _drop(entries, entries[cell, ""], seen.platform)
        if wanted:
            # an entry measured on another platform stays; this platform gets its own beside it
            own = held.platform or (seen.platform if (cell, "") in entries else "")
            own = own or (seen.platform if held.measured_on not in ("", seen.platform) else "")
            entries[cell, own] = Entry(cell, wanted, own, recorded)
    made = tuple(sorted(entries.values(), key=_order))
    return replace(baseline, entries=made, recorded=common_record(made, baseline.recorded))


def common_record(entries: Sequence[Entry], before: Mapping[str, str]) -> Mapping[str, str]:
    """The record that the entries share in a file.

    It stays the one before as long as an entry has that record. Otherwise it is the most frequent
    record.
    """
    records = [each.recorded for each in entries]
    if before and before in records:
        return before
    return max(records, key=records.count, default=before)


def taken(
    report: Report,
    baseline: Baseline,
    date: str,
    *,
    tighten: bool = False,
    slack: float | None = None,
    bounds: Mapping[Cell, float] | None = None,
) -> tuple[Baseline, Report]:
    """A baseline renewed from a report, and the report weighed against the new baseline.

    Args:
        report: of the run; its violations may have been weighed before.
        baseline: the present baseline.
        date: of today, for new entries.
        tighten: as in `renewed`.
        slack: as in `weigh`.
        bounds: as in `observed`.
    """
    violations = [
        replace(each, standing=None, accepted="")
        for each in (*report.violations, *report.tolerated)
    ]
    seen = observed(report.environment, report.measurements, violations, report.unaudited, bounds)
    recorded = {"date": date, **report.environment}
    new = renewed(baseline, seen, recorded, tighten=tighten, slack=slack)
    weighed = weigh(violations, new, seen, slack)
    return new, replace(
        report,
        baseline=new.path,
        violations=weighed.violations,
        tolerated=weighed.tolerated,
        changes=weighed.changes,
        baseline_note=weighed.note,
    )


def _drop(entries: dict[tuple[Cell, str], Entry], entry: Entry, platform: str) -> None:
    """Remove an entry, but keep it for its own platform if it applied to all and is from another.

    Such an entry gets the name of the platform that recorded it.
    """
    del entries[entry.cell, entry.platform]
    if entry.platform == "" and entry.measured_on not in ("", platform):
        theirs = (entry.cell, entry.measured_on)
        entries.setdefault(theirs, replace(entry, platform=entry.measured_on))


def _tightened(known: Faults, now: Faults, scale: _Scale) -> dict[str, Extent]:
    tightened = {}
    for rule, before in known.items():
        stands = scale.standing(rule)
        if rule in now:
            tightened[rule] = now[rule] if stands is Standing.BETTER else before
        elif stands is Standing.SAME:
            tightened[rule] = before
    return tightened


def _unchanged(rules: Iterable[str], scale: _Scale) -> bool:
    return all(scale.standing(rule) is Standing.SAME for rule in rules)


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
