"""Reads a whole configuration: turns YAML text into a `Config`, and collects every problem."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from xentcheck.config.implementations import read_targets
from xentcheck.config.inputs import read_axis, read_dtypes, read_inputs, read_labels, read_losses
from xentcheck.config.limits import read_limits
from xentcheck.config.sections import SectionReader
from xentcheck.errors import ConfigError
from xentcheck.model import Config, Quantity, Sweep
from xentcheck.reading.yaml import Place, compose, file_problem, is_null, read_text, shown


def load(path: str | Path) -> Config:
    """The configuration in a file.

    Raises:
        ConfigError: with every problem of the file.
    """
    path = Path(path)
    return loads(read_text(path), str(path))


def template() -> str:
    """A commented configuration to start from."""
    return (Path(__file__).parent / "template.yaml").read_text(encoding="utf-8")


def loads(text: str, path: str = "") -> Config:
    """The configuration in a text.

    ``path`` is the file that it comes from. Paths in the text are relative to the folder of
    ``path``.

    Raises:
        ConfigError: with every problem of the text.
    """
    root = compose(text, path)
    if root is None or is_null(root):
        remedy = "`xentcheck init` writes a commented configuration to start from"
        raise ConfigError([file_problem(path, "the file is empty", remedy=remedy)])
    reader = SectionReader(path)
    place = Place(root, "", root.start_mark)
    reader.check_tree(place)
    config = None if reader.fatal else _read_config(reader, place)
    if config is None or reader.problems:
        raise ConfigError(reader.ordered())
    return replace(config, document=reader.document(root))


def _read_config(reader: SectionReader, place: Place) -> Config | None:
    entries = reader.section(place, "configuration")
    if entries is None:
        return None
    if "version" in entries and (version := reader.integer(entries["version"])) not in (1, None):
        reader.fault(
            entries["version"],
            f"version {version} is unknown",
            "this xentcheck reads version 1",
        )
    seed = reader.integer(entries["seed"], 0) if "seed" in entries else 0
    targets = (
        read_targets(reader, entries["implementations"]) if "implementations" in entries else ()
    )
    sweeps, names, complete = [], list[str](), True
    for name, child in _sweep_entries(reader, entries).items():
        names.append(name)
        sweep, whole = _read_sweep(reader, name, child)
        sweeps.append(sweep)
        complete = complete and whole
    limits = (
        read_limits(reader, entries["limits"], sweeps, names, complete)
        if "limits" in entries
        else ()
    )
    baseline = reader.text(entries["baseline"], "a path") if "baseline" in entries else None
    if baseline is not None:
        baseline = str(Path(reader.file).parent / baseline)
    allowed = reader.flag(entries["allow_skips"]) if "allow_skips" in entries else False
    return Config(
        tuple(sweeps),
        limits,
        targets,
        seed or 0,
        reader.file,
        baseline or "",
        allow_skips=bool(allowed),
    )


def _sweep_entries(reader: SectionReader, entries: Mapping[str, Place]) -> dict[str, Place]:
    if "sweeps" not in entries:
        return {}
    sweeps = reader.mapping(entries["sweeps"], "named sweeps") or {}
    for name, child in sweeps.items():
        if not re.fullmatch(r"\w[\w-]*", name):
            at = reader.at_key(entries["sweeps"], name, child)
            reader.fault(
                at,
                f"{shown(name)} cannot name a sweep",
                "use letters, digits, hyphens and underscores",
            )
    return sweeps


def _read_sweep(reader: SectionReader, name: str, place: Place) -> tuple[Sweep, bool]:
    """The sweep as far as it could be read, and whether it was free of problems."""
    before = len(reader.problems)
    entries = reader.section(place, "sweep") or {}
    losses, named = read_losses(reader, entries["losses"]) if "losses" in entries else ((), {})
    dtypes, by_name = read_dtypes(reader, entries["dtypes"]) if "dtypes" in entries else ((), ())
    words = {*named, *by_name}
    quantities: tuple[str, ...] | None = tuple(Quantity)
    if "quantities" in entries:
        quantities = reader.several(entries["quantities"], tuple(Quantity), "quantity")
        words.update(quantities or ())
    implementations: tuple[str, ...] = ("*",)
    if "implementations" in entries:
        patterns = reader.items(entries["implementations"]) or []
        texts = [reader.text(item, "a pattern") for item in patterns]
        implementations = tuple(text for text in texts if text is not None)
    kind, targets = None, "all"
    if "labels" in entries:
        kind, targets = read_labels(reader, entries["labels"], losses, named)
    parameters: dict[str, tuple[Any, ...]] = {}
    if "parameters" in entries:
        given = reader.mapping(entries["parameters"], "parameters") or {}
        for parameter, child in given.items():
            at = reader.at_key(entries["parameters"], parameter, child)
            axis = read_axis(reader, parameter, child, at, losses, kind)
            if axis is not None:
                parameters[parameter] = axis
    inputs = read_inputs(reader, entries["inputs"], losses, named) if "inputs" in entries else ()
    sweep = Sweep(
        name,
        losses,
        dtypes,
        inputs,
        tuple(Quantity(each) for each in quantities or ()),
        implementations,
        kind,
        targets,
        parameters,
        named=frozenset(words),
    )
    return sweep, len(reader.problems) == before
