"""Finds omissions: things that a gate names and the run did not audit. They fail the gate.

A gate that passes says that everything it names is within its limits. So a named thing without a
result must not pass in silence. Only *named* things count, not those that patterns and defaults
merely reach. An example: `numpy.*` over every loss normally matches some implementation without a
gradient, but a missing gradient of `mine` is an omission.
`docs/decisions/0021-what-a-gate-names.md` has the rules.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from xentcheck.model import Cell, Config, Implementation, Quantity, Skip, Sweep, escaped, selected

_NOTHING = "nothing of it was audited"
_NO_LOSS = "is for none of the losses of its sweep"
_NO_IMPLEMENTATION = "no implementation selected"


def omissions(
    config: Config,
    known: Sequence[Implementation],
    described: Sequence[Cell],
    audited: Set[Cell],
    skips: Iterable[Skip],
    select: Sequence[str] = (),
    recorded: Set[Cell] = frozenset(),
) -> tuple[Skip, ...]:
    """The omissions that fail a gate, each with its reason. A survey has none.

    Args:
        config: the configuration of the run; cells that no limit selects are only surveyed.
        known: every available implementation.
        described: the cells that the configuration describes.
        audited: the cells with a measurement or a finding.
        skips: the skips of the run.
        select: patterns of the implementations selected for this run; empty: all.
        recorded: the cells that have an entry in the baseline.
    """
    if not config.limits:
        return ()
    chosen = [
        cell
        for cell in described
        if (not select or selected(cell.implementation, select)) and config.limit_for(cell)
    ]
    return tuple(_Omissions(config, known, chosen, audited, skips).of(select, recorded))


def asked(config: Config, sweep: Sweep, cell: Cell, *, has_value: bool = True) -> bool:
    """Whether a configuration asks for a quantity of an implementation that it names.

    An implementation is named if its full name is given, or if it is one of the configuration's own
    targets. Without a list of quantities, the configuration asks for the value, and for the
    gradient if a target promises one.

    Args:
        config: the configuration of the run.
        sweep: the sweep of the cell.
        cell: names the implementation and the quantity.
        has_value: whether the implementation has a value function.
    """
    owned = [
        each
        for each in config.targets
        if (each.loss, each.name) == (cell.loss, cell.implementation)
    ]
    if not owned and not _in_full(cell.implementation, sweep.implementations):
        return False
    promised = any(each.gradient or each.gradient_command for each in owned)
    wanted = promised if cell.quantity is Quantity.GRADIENT else has_value
    return wanted or cell.quantity.value in sweep.named


def refused(config: Config, sweep: Sweep, cell: Cell, skips: Iterable[Skip]) -> Iterator[Skip]:
    """The values of a parameter's axis that a named implementation does not take in a cell.

    An axis is always named. Rows of generators that the implementation does not take are not
    omissions.

    Args:
        config: the configuration of the run.
        sweep: the sweep of the cell.
        cell: names the implementation.
        skips: those of the implementation.
    """
    owned = any(
        (each.loss, each.name) == (cell.loss, cell.implementation) for each in config.targets
    )
    if owned or _in_full(cell.implementation, sweep.implementations):
        for skip in skips:
            if skip.implementation and skip.dtype and not skip.quantity and skip.covers(cell):
                yield skip


def _in_full(name: str, patterns: Iterable[str]) -> bool:
    return any(pattern in (name, escaped(name)) for pattern in patterns)


class _Omissions:
    """Applies the rules, from the single cell to the whole limit.

    A later rule does not repeat an omission that an earlier one reported. ``cells`` are the cells
    that the configuration describes and gates.
    """

    def __init__(
        self,
        config: Config,
        known: Sequence[Implementation],
        cells: Sequence[Cell],
        audited: Set[Cell],
        skips: Iterable[Skip],
    ) -> None:
        self.config = config
        self.cells = cells
        self.audited = audited
        self.sweeps = {each.name: each for each in config.sweeps}
        self.known = {(each.loss, each.name): each for each in known}
        self.names = {each.name for each in known}
        self.lines = {each.line for each in audited}
        self.in_any_dtype = {replace(each, dtype="") for each in audited}
        self.of_any_loss = {replace(each, dtype="", loss="") for each in audited}
        self.skips: dict[str, list[Skip]] = defaultdict(list)  # by implementation; "": all others
        self.missing: dict[str, Skip] = {}
        for skip in skips:
            if skip.missing:
                self.missing[skip.missing] = skip
            else:
                self.skips[skip.implementation].append(skip)
        self.told: set[Cell] = set()

    def of(self, select: Sequence[str], recorded: Set[Cell]) -> Iterator[Skip]:
        found: dict[Skip, None] = {}
        for cell in self.cells:
            found.update(dict.fromkeys(self._of_cell(cell)))
        for sweep in self.config.sweeps:
            found.update(dict.fromkeys(self._of_sweep(sweep, select)))
        for pattern in select:
            within = [each for each in self.cells if selected(each.implementation, (pattern,))]
            found.update(dict.fromkeys(self._all(within, implementation=pattern)))
        for limit in self.config.limits:
            within = [each for each in self.cells if self.config.limit_for(each) is limit]
            found.update(dict.fromkeys(self._all(within, implementation=f"limit {limit.path}")))
        for cell in self.cells:
            if cell in recorded and cell not in self.audited and cell not in self.told:
                reason = f"{self._reason(cell)}; the baseline has it"
                found[replace(self._about(cell), reason=reason)] = None
        yield from found

    def _of_cell(self, cell: Cell) -> Iterator[Skip]:
        sweep = self.sweeps[cell.sweep]
        implementation = self.known[cell.loss, cell.implementation]
        if cell in self.audited:
            for skip in refused(self.config, sweep, cell, self.skips[cell.implementation]):
                yield replace(skip, sweep="")
            return
        has_value = implementation.value is not None
        if not asked(self.config, sweep, cell, has_value=has_value):
            return
        # if dtypes or losses are not named, one audited dtype or loss is enough
        whatever = replace(cell, dtype="")
        if cell.dtype not in sweep.named and whatever in self.in_any_dtype:
            return
        if cell.loss not in sweep.named and replace(whatever, loss="") in self.of_any_loss:
            return
        whose = self._whose(cell)
        if whose is None and cell.line in self.lines and self._reasons("", cell):
            return  # this sweep has no rows for it, but others have
        self.told.add(cell)
        yield self._about(cell)

    def _of_sweep(self, sweep: Sweep, select: Sequence[str]) -> Iterator[Skip]:
        own = [each for each in self.cells if each.sweep == sweep.name]
        for pattern in sweep.implementations:
            within = [each for each in own if selected(each.implementation, (pattern,))]
            yield from self._all(within, implementation=pattern, sweep=sweep.name)
            for_others = any(
                (loss, pattern) in self.known or (loss, _plain(pattern, self.names)) in self.known
                for loss in sweep.losses
            )
            name = _plain(pattern, self.names)
            if name and not for_others and (not select or selected(name, select)):
                yield Skip(_NO_LOSS, implementation=name, sweep=sweep.name)
        by_word: Mapping[str, Callable[[Cell], str]] = {
            "loss": lambda cell: cell.loss,
            "dtype": lambda cell: cell.dtype,
            "quantity": lambda cell: cell.quantity.value,
        }
        for what, word_of in by_word.items():
            words = {"loss": sweep.losses, "dtype": sweep.dtypes}.get(what)
            for word in words or tuple(each.value for each in sweep.quantities):
                if word not in sweep.named:
                    continue
                within = [each for each in own if word_of(each) == word]
                yield from self._all(within, **{what: word}, sweep=sweep.name)
                if what == "loss" and not select and not self._described(word, sweep):
                    yield Skip(_NO_IMPLEMENTATION, word, sweep=sweep.name)

    def _described(self, loss: str, sweep: Sweep) -> bool:
        return any(of == loss and selected(name, sweep.implementations) for of, name in self.known)

    def _all(self, cells: Sequence[Cell], **what: str) -> Iterator[Skip]:
        """An omission per reason, if no cell was audited and none was reported yet."""
        if not any(each in self.audited or each in self.told for each in cells):
            for reason in dict.fromkeys(map(self._reason, cells)):
                yield Skip(reason, **what)
            self.told.update(cells)

    def _about(self, cell: Cell) -> Skip:
        """The skip that says why a cell was not audited, without the sweep."""
        whose = self._whose(cell)
        if whose is not None:
            return replace(whose, sweep="")
        reason = self._reason(cell)
        return Skip(reason, cell.loss, cell.implementation, cell.dtype, cell.quantity.value)

    def _whose(self, cell: Cell) -> Skip | None:
        """The skip of a cell that concerns its implementation; None if there is none."""
        process = self.known[cell.loss, cell.implementation].process
        if process is not None and process.name in self.missing:
            reason = self.missing[process.name].reason
            return Skip(reason, cell.loss, cell.implementation)
        return next(iter(self._reasons(cell.implementation, cell)), None)

    def _reason(self, cell: Cell) -> str:
        found = self._whose(cell) or next(iter(self._reasons("", cell)), None)
        return _NOTHING if found is None else found.reason

    def _reasons(self, implementation: str, cell: Cell) -> list[Skip]:
        return [each for each in self.skips[implementation] if each.covers(cell)]


def _plain(pattern: str, names: Set[str]) -> str:
    """The full name that ``pattern`` spells out; "" if it is a real pattern."""
    return next((name for name in names if pattern in (name, escaped(name))), "")
