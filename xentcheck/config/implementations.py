"""Reads the section ``implementations``: the user's own code."""

import re
from pathlib import Path
from typing import Any

from xentcheck.config.inputs import read_parameter
from xentcheck.config.sections import SectionReader
from xentcheck.implementations.bridge import LABEL_DTYPE, LABEL_DTYPES
from xentcheck.implementations.shapes import CLASS_SECOND, ROWS, SHAPES
from xentcheck.implementations.user import FRAMEWORKS
from xentcheck.losses import LOSSES
from xentcheck.model import AUTO, Layout, Target
from xentcheck.reading.yaml import Place, remedy_for, shown


def read_targets(reader: SectionReader, place: Place) -> tuple[Target, ...]:
    """The user's implementations, as far as they could be read. ``reader`` notes the problems."""
    found: dict[tuple[str, str], None] = {}
    targets = []
    for item in reader.items(place) or ():
        entries = reader.section(item, "implementation")
        if entries is None:
            continue
        loss = reader.loss(entries["loss"]) if "loss" in entries else None
        target = read_callable(reader, entries["target"]) if "target" in entries else None
        command = read_command(reader, entries["command"]) if "command" in entries else None
        misspelt = {"target", "command"} & reader.meant.get(item.path, set())
        if ("target" in entries) == ("command" in entries) and not misspelt:
            reader.fault(item, "either 'target' or 'command' has to be given")
        framework: str | None = "numpy"
        if "framework" in entries:
            framework = reader.one_of(entries["framework"], FRAMEWORKS, "framework")
            if "command" in entries:
                reader.fault(entries["framework"], "a command is given files, not arrays")
        gradient = None if framework == "numpy" else AUTO
        gradient_command: tuple[str, ...] = ()
        if "gradient" in entries:
            if "command" in entries:
                gradient_command = read_command(reader, entries["gradient"]) or ()
                gradient = None
            else:
                gradient = read_callable(reader, entries["gradient"], bare=True)
                gradient = None if gradient == "none" else gradient
        parameters: dict[str, Any] = {}
        if "parameters" in entries:
            given = reader.mapping(entries["parameters"], "keyword arguments") or {}
            parameters = {key: reader.literal(child.node) for key, child in given.items()}
            for keyword, child in given.items():
                if not keyword.isidentifier():
                    reader.fault(child, f"{shown(keyword)} cannot be a keyword argument")
        shape: str | None = ROWS
        if "shape" in entries:
            shape = reader.one_of(entries["shape"], SHAPES, "shape")
            elementwise = loss is not None and LOSSES[loss].layout is Layout.ELEMENTWISE
            if shape == CLASS_SECOND and elementwise:
                reader.fault(entries["shape"], f"{loss} has no classes that could come second")
        label_dtype: str | None = LABEL_DTYPE
        if "label_dtype" in entries:
            place_ = entries["label_dtype"]
            label_dtype = reader.one_of(place_, LABEL_DTYPES, "dtype of labels")
        built_in = read_built_in(reader, entries["built_in"], loss) if "built_in" in entries else {}
        name: str | None = None
        if "name" in entries:
            name = reader.text(entries["name"], "a name")
            if name is not None and not re.fullmatch(r"[\w.:/-]+", name):
                reader.fault(
                    entries["name"],
                    f"{shown(name)} cannot name an implementation",
                    "use letters, digits and . : / - _",
                )
        elif target is not None:
            source, _, attribute = target.rpartition(":")
            name = f"{Path(source).stem if source.endswith('.py') else source}.{attribute}"
        elif command:
            name = Path(command[0]).name
        if loss is None or name is None or framework is None or not (target or command):
            continue
        if shape is None or label_dtype is None:
            continue
        if (loss, name) in found:
            reader.fault(item, f"{name!r} already names an implementation of {loss}")
        found[loss, name] = None
        targets.append(
            Target(
                loss,
                target or "",
                name,
                gradient,
                parameters,
                framework,
                command or (),
                gradient_command,
                built_in=built_in,
                shape=shape,
                label_dtype=label_dtype,
            )
        )
    return tuple(targets)


def read_built_in(reader: SectionReader, place: Place, loss: str | None) -> dict[str, Any]:
    """The values of loss parameters that the code has built in and does not take as arguments."""
    found: dict[str, Any] = {}
    for name, child in (reader.mapping(place, "parameters") or {}).items():
        spec = None if loss is None else LOSSES[loss].parameter(name)
        if spec is not None:
            found[name] = read_parameter(reader, child, spec)
        elif loss is not None:
            known = [each.name for each in LOSSES[loss].parameters]
            reader.fault(child, f"unknown parameter {shown(name)}", remedy_for(name, known))
    return {name: value for name, value in found.items() if value is not None}


def read_command(reader: SectionReader, place: Place) -> tuple[str, ...] | None:
    """The words of a command. A program path is relative to the configuration."""
    words = [reader.text(item, "a word of a command") for item in reader.items(place) or ()]
    if not words or None in words:
        return None
    program, *rest = (word or "" for word in words)
    if not any("{out}" in word for word in rest):
        reader.fault(
            place,
            "no word of the command has {out}",
            "{logits}, {labels} and {out} stand for the files it is given and has to write",
        )
        return None
    if "/" in program:
        # absolute, but links are not resolved: a link's target may behave differently
        path = reader.file_path(place, program)
        return None if path is None else (str(Path(path).absolute()), *rest)
    return (program, *rest)


def read_callable(reader: SectionReader, place: Place, *, bare: bool = False) -> str | None:
    """``module:attribute`` or ``file.py:attribute``. The file is relative to the configuration.

    ``bare``: an attribute alone is also allowed.
    """
    text = reader.text(place, "module:attribute or file.py:attribute")
    if text is None:
        return None
    source, _, attribute = text.rpartition(":")
    if bare and ":" not in text and _is_dotted(text):
        return text
    if not _is_dotted(attribute) or not (source.endswith(".py") or _is_dotted(source)):
        reader.fault(place, f"{shown(text)} is neither module:attribute nor file.py:attribute")
        return None
    if not source.endswith(".py"):
        return text
    path = reader.file_path(place, source)
    return None if path is None else f"{path}:{attribute}"


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
