"""The pytest plugin: configurations are test files, and their cells are tests.

``--xentcheck FILE`` collects a configuration. Files called ``*.xentcheck.yaml`` are collected
without it. A test is a loss × implementation × dtype × quantity, over all sweeps. The first test of
a group audits the whole group, because the group's tests need the same exact results.

The plugin imports only pytest and the standard library until it collects a configuration.
"""

# ruff: noqa: PLC0415

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import pytest

if TYPE_CHECKING:
    from xentcheck.model import Cell, Config, Diagnosis, Implementation, Report, Skip

SUFFIXES = (".xentcheck.yaml", ".xentcheck.yml")
MARK = "xentcheck"

_SWEEPS = re.compile(r"^sweeps[ \t]*:", re.MULTILINE)
_MOST_TOLD = 5  # violations that a failure shows in full
_PATHS = pytest.StashKey[frozenset[Path]]()
_SESSION = pytest.StashKey[ExitStack]()

_Place: TypeAlias = tuple[str, str, str, str]  # loss, implementation, dtype, quantity


class Plugin:
    """The hooks. They are an object, so that pytest registers them once by either way of loading.

    The two ways are the entry point and `-p xentcheck.pytest_plugin`.
    """

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Add the option that names configurations."""
        parser.getgroup(MARK, "accuracy of losses").addoption(
            "--xentcheck",
            action="append",
            default=[],
            metavar="CONFIG",
            help="Collect a configuration of xentcheck, besides everything else (repeatable); "
            f"files called *{SUFFIXES[0]} are collected as they are.",
        )

    def pytest_configure(self, config: pytest.Config) -> None:
        """Let pytest collect the configurations that the option names."""
        config.addinivalue_line("markers", f"{MARK}: a cell of a configuration of xentcheck")
        here = config.invocation_params.dir
        named = [_found(each, here, config.rootpath) for each in config.getoption(MARK)]
        config.stash[_PATHS] = frozenset(named)
        config.option.xentcheck = [str(path) for path in named]  # for the workers of xdist
        for path in named:
            if not path.is_file():
                raise pytest.UsageError(_problem(path))
        given = {Path(os.path.abspath(here / each.partition("::")[0])) for each in config.args}
        config.args += [str(path) for path in dict.fromkeys(named) if path not in given]

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """End the worker processes that were kept between audits."""
        if _SESSION in config.stash:
            config.stash[_SESSION].close()

    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        """Collect a configuration as a file of tests."""
        named = file_path in parent.config.stash[_PATHS] or file_path.name.endswith(SUFFIXES)
        if named or _is_asked_for(file_path, parent.session):
            made: pytest.Collector = Configuration.from_parent(parent, path=file_path)
            return made
        return None


plugin = Plugin()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the plugin for `-p xentcheck.pytest_plugin`, unless the entry point already did."""
    del parser
    if not pluginmanager.has_plugin(MARK):
        pluginmanager.register(plugin, MARK)


class Configuration(pytest.File):
    """A configuration. Its tests are audited in groups that share exact results."""

    def collect(self) -> Iterator[pytest.Item]:
        """The tests of the configuration's cells, and a test for each thing that is not audited."""
        from xentcheck.auditing.plan import Plan
        from xentcheck.errors import XentcheckError
        from xentcheck.gate.omissions import omissions
        from xentcheck.model import Skip
        from xentcheck.registry import load_registered, missing

        self._reports: dict[CellItem, Report | XentcheckError] = {}
        try:
            self.audited = _gated(os.path.relpath(self.path, self.config.invocation_params.dir))
            registered, skips = load_registered()
            known = (*registered, *_declared(self.audited))
            described = Plan.of(self.audited, known, skips).described
            self._known = {each.name for each in known}
        except XentcheckError as error:
            raise self.CollectError(str(error)) from None
        processes = {(each.loss, each.name): each.process for each in known}
        absent = {(each.implementation or each.loss, each.reason): None for each in skips}
        obstacles: dict[str, str] = {}  # a framework may have several processes
        groups: dict[tuple[str, str], dict[_Place, list[Cell]]] = defaultdict(dict)
        reachable: set[Cell] = set()
        for cell in described:
            process = processes[cell.loss, cell.implementation]
            if process is not None and (obstacle := missing(process)):
                obstacles.setdefault(obstacle, process.name)
                continue
            reachable.add(cell)
            place = cell.line
            groups[cell.loss, cell.dtype].setdefault(place, []).append(cell)
        having = {cell.loss for cell in described}
        for loss in dict.fromkeys(loss for sweep in self.audited.sweeps for loss in sweep.losses):
            if loss not in having:
                absent[loss, "no implementation selected"] = None
        absent |= {(name, reason): None for reason, name in obstacles.items()}
        for group in groups.values():
            for at, cells in group.items():
                yield self._cell(at, cells)
        unmet = [Skip(reason, missing=name) for reason, name in obstacles.items()]
        omitted = {}
        if not self.audited.allow_skips:
            found = omissions(self.audited, known, described, reachable, [*skips, *unmet])
            omitted = {
                each.reason: each.implementation or each.loss or each.dtype for each in found
            }
        for name, reason in absent:
            if reason in omitted:
                continue
            skipped = SkippedItem.from_parent(self, **self._named(_printable(name)))
            yield _marked(skipped, reason)
        for reason, name in omitted.items():
            item: OmittedItem = OmittedItem.from_parent(self, **self._named(_printable(name)))
            item.reason = reason
            yield _marked(item, "")

    def _named(self, name: str) -> dict[str, str]:
        """The name and the id of a test. The id is text, because --lf recognizes a test by it."""
        return {"name": name, "nodeid": f"{self.nodeid}::{name}"}

    def _cell(self, place: "_Place", cells: "Sequence[Cell]") -> pytest.Item:
        loss, implementation, dtype, quantity = place
        name = _printable(f"{loss}[{implementation}-{dtype}-{quantity}]")
        item: CellItem = CellItem.from_parent(self, **self._named(name))
        limits = {cell.sweep: self.audited.limit_for(cell) for cell in cells}
        item.place = place
        item.sweeps = tuple(sweep for sweep, limit in limits.items() if limit is not None)
        item.peers = frozenset(
            name for limit in limits.values() if limit is not None for name in limit.against
        )
        item.line = max((each.line for each in limits.values() if each is not None), default=0)
        return _marked(item, "" if item.sweeps else "no limit is for it: it is only surveyed")

    def report(self, item: "CellItem") -> "Report":
        """The report of an item's group. The first call for a group runs the audit.

        Raises:
            XentcheckError: the audit failed.
        """
        if item not in self._reports:
            # a worker of xdist does not know which tests other workers run
            alone = hasattr(self.config, "workerinput")
            self._audit([item] if alone else self._group(item))
        found = self._reports[item]
        if isinstance(found, Exception):
            raise found
        return found

    def _group(self, item: "CellItem") -> "list[CellItem]":
        """The remaining tests that need the same exact results."""
        return [
            each
            for each in self.session.items
            if isinstance(each, CellItem)
            and each.parent is self
            and each.group == item.group
            and each.sweeps
            and each not in self._reports
        ]

    def _audit(self, items: "Sequence[CellItem]") -> None:
        from xentcheck.auditing.run import audit_config
        from xentcheck.errors import XentcheckError
        from xentcheck.execution import hosts

        if _SESSION not in self.config.stash:
            self.config.stash[_SESSION] = ExitStack()
            self.config.stash[_SESSION].enter_context(hosts.kept())
        try:
            found = audit_config(_narrowed(self.audited, items, self._known))
        except XentcheckError as error:
            owners = dict.fromkeys(each.place[1] for each in items)
            if len(owners) == 1:  # then the error is its own
                self._reports |= dict.fromkeys(items, error)
                return
            for owner in owners:
                self._audit([each for each in items if each.place[1] == owner])
            return
        if found.interrupted:
            raise KeyboardInterrupt
        self._reports |= dict.fromkeys(items, found)


class SkippedItem(pytest.Item):
    """A thing that is not audited here. Its mark says why."""

    def runtest(self) -> None:
        """Never reached."""

    def reportinfo(self) -> tuple[Path, int, str]:
        """The configuration."""
        return self.path, 0, self.name


class OmittedItem(pytest.Item):
    """A thing that the configuration names and that cannot be audited here."""

    reason: str

    def runtest(self) -> None:
        """Fail with the reason."""
        _fail(_not_audited(self.reason))

    def reportinfo(self) -> tuple[Path, int, str]:
        """The configuration."""
        return self.path, 0, self.name


class CellItem(pytest.Item):
    """A loss × implementation × dtype × quantity, in the sweeps that have a limit for it.

    ``line`` is the line of its limit in the configuration, 0 without a limit. ``peers`` are the
    names of the peers that its limits name.
    """

    place: "_Place"
    sweeps: tuple[str, ...]
    line: int
    peers: frozenset[str]

    @property
    def group(self) -> tuple[str, str]:
        """The loss and the dtype."""
        return self.place[0], self.place[2]

    def setup(self) -> None:
        """Audit the cell, unless another test of its group already did."""
        from xentcheck.errors import XentcheckError

        assert isinstance(self.parent, Configuration)
        try:
            report = self.parent.report(self)
        except XentcheckError as error:
            _fail(str(error))
        if report.uncertified:
            _fail("not audited: " + "\nnot audited: ".join(report.uncertified))
        self._report = report
        self._measured = [each for each in report.measurements if self._is_mine(each.cell)]
        self._note()
        if not self._measured and not any(self._is_mine(each.cell) for each in report.findings):
            self._skip()

    def runtest(self) -> None:
        """Fail with the violations and omissions of the cell."""
        refused = [each.reason for each in self._omissions(measured=True)]
        if refused := [*refused, *self._unheld()]:
            _fail(_not_audited("; ".join(dict.fromkeys(refused))))
        mine = [each for each in self._report.violations if self._is_mine(each.finding.cell)]
        if mine:
            from xentcheck.report import words

            told = replace(self._report, violations=tuple(mine), diagnoses=tuple(self._diagnoses()))
            _fail(words.violations_text(told, _MOST_TOLD))

    def reportinfo(self) -> tuple[Path, int, str]:
        """The limit in the configuration."""
        return self.path, max(self.line - 1, 0), self.name

    def _diagnoses(self) -> "Iterator[Diagnosis]":
        """The causes that explain rows of the cell."""
        loss, implementation, *place = self.place
        for each in self._report.diagnoses:
            if (each.loss, each.implementation) == (loss, implementation):
                own = tuple(one for one in each.explains if [one.dtype, one.quantity] == place)
                if own:
                    yield replace(each, explains=own)

    def _is_mine(self, cell: "Cell") -> bool:
        return self.place == cell.line

    def _note(self) -> None:
        """Record numbers as properties of the test, for JUnit XML and other readers."""
        for name in ("max_ulp", "p99_ulp", "max_abs", "max_norm"):
            errors = [float(getattr(each, name)) for each in self._measured]
            if numbers := [each for each in errors if not math.isnan(each)]:
                self.user_properties.append((name, max(numbers)))
        kinds: Counter[str] = Counter()
        for measurement in self._measured:
            kinds.update({str(kind): int(count) for kind, count in measurement.counts.items()})
        self.user_properties.append(("rows", sum(int(each.rows) for each in self._measured)))
        self.user_properties += [(f"rows {kind}", count) for kind, count in kinds.items()]
        tolerated = sum(self._is_mine(each.finding.cell) for each in self._report.tolerated)
        if self._report.baseline:
            self.user_properties.append(("tolerated", tolerated))
        if reasons := self._reasons():
            self.user_properties.append(("skipped", "; ".join(reasons)))

    def _reasons(self) -> list[str]:
        """The reasons why parts of the cell were not audited."""
        loss, implementation, dtype, quantity = self.place
        return list(
            dict.fromkeys(
                skip.reason
                for skip in self._report.skips
                if skip.loss in ("", loss)
                and skip.implementation in ("", implementation)
                and skip.dtype in ("", dtype)
                and skip.quantity in ("", quantity)
                and skip.sweep in ("", *self.sweeps)
            )
        )

    def _omissions(self, *, measured: bool) -> "list[Skip]":
        """The omissions that fail the test.

        ``measured``: some rows were audited, so only omitted parts count.
        """
        from xentcheck.gate.omissions import asked, refused
        from xentcheck.model import Cell, Quantity

        assert isinstance(self.parent, Configuration)
        config = self.parent.audited
        loss, implementation, dtype, quantity = self.place
        found: list[Skip] = []
        for sweep in config.sweeps if not config.allow_skips else ():
            cell = Cell(loss, implementation, dtype, Quantity(quantity), sweep.name)
            if sweep.name not in self.sweeps:
                continue
            if measured:
                found += refused(config, sweep, cell, self._report.skips)
            elif {loss, dtype} <= sweep.named and asked(config, sweep, cell):
                found += self._report.skips
        return found

    def _unheld(self) -> list[str]:
        """The peers that the cell could not be held against, with the reason."""
        loss, _, dtype, quantity = self.place
        return [
            f"{each.implementation}: {each.reason}"
            for each in self._report.omissions
            if (each.loss, each.dtype, each.quantity) == (loss, dtype, quantity)
            and each.implementation in self.peers
        ]

    def _skip(self) -> None:
        reasons = self._reasons()
        if not reasons:
            _fail("nothing was audited: its sweeps have no rows")
        if self._omissions(measured=False):
            _fail(_not_audited("; ".join(reasons)))
        skip = pytest.skip.Exception("; ".join(reasons))
        skip._use_item_location = True  # report the configuration's line, not this one
        raise skip


def _not_audited(reasons: str) -> str:
    return (
        f"not audited, though the configuration names it: {reasons}\n"
        "help: `allow_skips: true` in the configuration lets it pass"
    )


def _gated(path: str) -> "Config":
    """The configuration in a file. Without limits it gets those of `xentcheck check`."""
    from xentcheck.auditing.check import DEFAULT_LIMITS
    from xentcheck.config import load

    loaded = load(path)
    return loaded if loaded.limits else replace(loaded, limits=DEFAULT_LIMITS)


def _declared(config: "Config") -> "list[Implementation]":
    """A configuration's own implementations by name, without loading their code."""
    from xentcheck.model import Implementation

    return [
        Implementation(
            loss=each.loss,
            name=each.name,
            value=None,
            gradient=None,
            dtypes=(),
            label_kinds=(),
            parameters=frozenset(),
        )
        for each in config.targets
    ]


def _narrowed(config: "Config", items: "Sequence[CellItem]", known: "Set[str]") -> "Config":
    """The part of a configuration that concerns some cells of one group.

    The numbers are the same as in an audit of the whole configuration: sweeps draw their rows by
    name, and a variant comes together with its plain implementation.
    """
    from xentcheck.model import Cell, Quantity, escaped, selected

    loss, dtype = items[0].group
    wanted = {each.place[3] for each in items}
    in_use = {sweep for each in items for sweep in each.sweeps}
    names = {each.place[1] for each in items}
    plain = {name: name.rpartition("@")[0] for name in names if "@" in name}
    names |= {each for each in plain.values() if each in known}
    sweeps = []
    cells = []
    for sweep in config.sweeps:
        chosen = sorted(name for name in names if selected(name, sweep.implementations))
        quantities = [Quantity(each) for each in sweep.quantities if each in wanted]
        if sweep.name not in in_use or loss not in sweep.losses or dtype not in sweep.dtypes:
            continue
        sweeps.append(
            replace(
                sweep,
                losses=(loss,),
                dtypes=(dtype,),
                quantities=tuple(quantities),
                implementations=tuple(map(escaped, chosen)),
            )
        )
        cells += [
            Cell(loss, name, dtype, each, sweep.name) for name in chosen for each in quantities
        ]
    governing = {id(config.limit_for(cell)) for cell in cells}
    names |= {name for limit in config.limits if id(limit) in governing for name in limit.against}
    return replace(
        config,
        sweeps=tuple(sweeps),
        limits=tuple(each for each in config.limits if id(each) in governing),
        targets=tuple(each for each in config.targets if each.loss == loss and each.name in names),
    )


def _found(name: str, here: Path, root: Path) -> Path:
    """The path of a configuration, relative to the folder where pytest is called.

    If it is not there, it is relative to the root, for options in an ini-file.
    """
    path = Path(os.path.abspath(here / name))
    from_root = Path(os.path.abspath(root / name))
    return from_root if from_root.is_file() and not path.is_file() else path


def _is_asked_for(path: Path, session: pytest.Session) -> bool:
    """Whether a file is a configuration that is an argument of pytest, maybe with a test name."""
    if path.suffix not in (".yaml", ".yml") or not session.isinitpath(path):
        return False
    return bool(_SWEEPS.search(path.read_text(encoding="utf-8", errors="replace")))


def _problem(path: Path) -> str:
    """A text that says why a path is not a configuration file."""
    from xentcheck.config import load
    from xentcheck.errors import ConfigError

    try:
        load(os.path.relpath(path))
    except ConfigError as error:
        return f"--xentcheck {error}"
    return f"--xentcheck {path}: it is not a file"


def _marked(item: pytest.Item, reason: str) -> pytest.Item:
    item.add_marker(MARK)
    if reason:
        item.add_marker(pytest.mark.skip(reason=reason))
    return item


def _printable(name: str) -> str:
    """A name with escapes for characters that are not printable, such as newlines."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in name
    )


def _fail(text: str) -> NoReturn:
    raise pytest.fail.Exception(text, pytrace=False) from None
