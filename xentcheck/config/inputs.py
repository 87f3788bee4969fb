"""Reads the inputs of a sweep: losses, dtypes, labels, parameters and generators."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import yaml

from xentcheck.config.fields import LABEL_KINDS
from xentcheck.config.sections import WILDCARD, SectionReader
from xentcheck.floats import FORMATS, STANDARD
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import InputSpec, LabelKind, Option, Parameter, ParameterKind
from xentcheck.reading.yaml import Place, listed, remedy_for, shown
from xentcheck.sweeps import GENERATORS, Generator
from xentcheck.sweeps.labels import TARGETS


def read_losses(reader: SectionReader, place: Place) -> tuple[tuple[str, ...], dict[str, Place]]:
    """The selected losses, in the order of `LOSSES`, and the place of each named one."""
    chosen: set[str] = set()
    named: dict[str, Place] = {}
    for item in reader.items(place) or ():
        text = reader.text(item, "a loss")
        if text is None:
            continue
        if text == "all" or WILDCARD.search(text):
            matching = [loss for loss in LOSSES if text == "all" or fnmatchcase(loss, text)]
            chosen.update(matching)
            if not matching:
                stem = WILDCARD.sub("", text)
                reader.fault(item, f"{shown(text)} matches no loss", remedy_for(stem, LOSSES))
        elif loss := reader.loss(item):
            if loss in named:
                other = "" if loss == text else f": it is {loss}"
                reader.fault(item, f"duplicate {shown(text)}{other}")
            chosen.add(loss)
            named[loss] = item
    return tuple(loss for loss in LOSSES if loss in chosen), named


def read_dtypes(reader: SectionReader, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The selected dtypes, and those of them that are named."""
    if isinstance(place.node, yaml.ScalarNode) and place.node.value == "all":
        return STANDARD, ()
    read = reader.several(place, [*FORMATS, "all"], "dtype") or ()
    meant = dict.fromkeys(d for name in read for d in (STANDARD if name == "all" else [name]))
    return tuple(meant), tuple(name for name in read if name != "all")


def read_labels(
    reader: SectionReader, place: Place, losses: Sequence[str], named: Mapping[str, Place]
) -> tuple[LabelKind | None, str]:
    """The label kind (None: the first kind of each loss) and the choice of targets of a sweep.

    Args:
        reader: notes the problems.
        place: of the section ``labels``.
        losses: the selected losses.
        named: the place of each loss that is named.
    """
    entries = reader.section(place, "labels") or {}
    targets = None
    if "targets" in entries:
        targets = reader.one_of(entries["targets"], TARGETS, "choice of targets")
    text = None
    if "kind" in entries:
        text = reader.one_of(entries["kind"], LABEL_KINDS, "kind of label")
    if text is None:
        return None, targets or "all"
    kind = LabelKind(text)
    if losses and not any(kind in LOSSES[loss].label_kinds for loss in losses):
        having = [loss for loss in LOSSES if kind in LOSSES[loss].label_kinds]
        message = f"none of the selected losses takes {kind} labels"
        reader.fault(entries["kind"], message, f"losses that do: {', '.join(having)}")
    else:
        for loss, at in named.items():
            if kind not in LOSSES[loss].label_kinds:
                takes = " or ".join(LOSSES[loss].label_kinds)
                message = f"{loss} takes no {kind} labels"
                reader.fault(at, message, f"it takes {takes}; give it a sweep of its own")
    return kind, targets or "all"


def read_axis(
    reader: SectionReader,
    name: str,
    place: Place,
    at: Place,
    losses: Sequence[str],
    kind: LabelKind | None,
) -> tuple[Any, ...] | None:
    """The values of a parameter, valid for every selected loss that has it.

    Args:
        reader: notes the problems.
        name: of the parameter.
        place: of its values.
        at: of its key, for problems with the parameter itself.
        losses: the selected losses.
        kind: the label kind; None: the first kind of each loss.

    Returns:
        The values; None if there was a problem or no selected loss has the parameter.
    """
    having = [LOSSES[loss] for loss in losses if LOSSES[loss].parameter(name)]
    if not having and losses:
        elsewhere = [loss for loss in LOSSES if LOSSES[loss].parameter(name)]
        if elsewhere:
            message = "none of the selected losses has this parameter"
            reader.fault(at, message, f"losses that have it: {', '.join(elsewhere)}")
        else:
            known = {each.name for loss in losses for each in LOSSES[loss].parameters}
            reader.fault(at, f"unknown parameter {shown(name)}", remedy_for(name, sorted(known)))
        return None
    takers = [
        parameter
        for loss in having
        for parameter in loss.parameters
        if parameter.name == name and _goes_with(parameter, loss, kind)
    ]
    if having and not takers:
        kinds = " or ".join(
            dict.fromkeys(
                kind
                for loss in having
                for parameter in loss.parameters
                if parameter.name == name
                for kind in parameter.label_kinds or loss.label_kinds
            )
        )
        reader.fault(at, f"of the selected losses, it goes with {kinds} labels only")
        return None
    axis: tuple[Any, ...] | None = None
    for spec in dict.fromkeys(takers):
        before = len(reader.problems)
        values = [read_parameter(reader, item, spec) for item in reader.items(place) or ()]
        if len(reader.problems) != before:
            return None
        axis = tuple(values)
    return axis


def read_parameter(reader: SectionReader, place: Place, spec: Parameter) -> Any:
    """One value of a parameter. None means "not given", if that is the default."""
    node = place.node
    absent = isinstance(node, yaml.ScalarNode) and node.value == "none"
    if absent and spec.default is None and spec.kind != ParameterKind.CHOICE:
        return None
    if spec.kind == ParameterKind.FLAG:
        return reader.flag(place)
    if spec.kind == ParameterKind.CHOICE:
        return reader.one_of(place, spec.choices, f"choice of {spec.name}")
    if spec.kind == ParameterKind.INTEGER:
        return reader.integer(place, spec.minimum, spec.maximum)
    words = spec.kind.words
    if isinstance(node, yaml.ScalarNode) and node.value in words:
        return node.value
    if words and isinstance(node, yaml.SequenceNode):
        return tuple(
            reader.number(item, spec.minimum, spec.maximum, finite=True)
            for item in reader.items(place) or ()
        )
    return reader.number(place, spec.minimum, spec.maximum, finite=True)


def read_inputs(
    reader: SectionReader, place: Place, losses: Sequence[str], named: Mapping[str, Place]
) -> tuple[InputSpec, ...]:
    """The inputs of a sweep that have a known generator.

    Args:
        reader: notes the problems.
        place: of the list of inputs.
        losses: the selected losses.
        named: the place of each loss that is named.
    """
    inputs: list[InputSpec] = []
    generators: list[Generator | None] = []
    for item in reader.items(place) or ():
        entries = reader.mapping(item, "an input")
        if entries is None:
            generators.append(None)
            continue
        generator, values = _read_input(reader, item, entries)
        generators.append(generator)
        if generator is None:
            continue
        layouts = {LOSSES[loss].layout for loss in losses}
        if losses and not layouts & set(generator.layouts):
            reader.fault(
                entries["generator"],
                f"{generator.name} makes no rows for any of the selected losses",
                f"it is for losses of layout {' or '.join(generator.layouts)}",
            )
        inputs.append(InputSpec(generator.name, values))
    known = [generator for generator in generators if generator is not None]
    fed = {layout for generator in known for layout in generator.layouts}
    if len(known) == len(generators) and any(LOSSES[loss].layout in fed for loss in losses):
        for loss, at in named.items():
            if LOSSES[loss].layout not in fed:
                reader.fault(at, f"no input of this sweep makes rows for {loss}")
    return tuple(inputs)


def _read_input(
    reader: SectionReader, place: Place, entries: dict[str, Place]
) -> tuple[Generator | None, dict[str, Any]]:
    if "generator" not in entries:
        reader.fault(place, "'generator' is missing", listed(GENERATORS))
        return None, {}
    name = reader.one_of(entries["generator"], GENERATORS, "generator")
    if name is None:
        return None, {}
    generator = GENERATORS[name]
    options = {option.name: option for option in generator.options}
    reader.fields(
        place,
        "an input",
        ["generator", *options],
        [option.name for option in generator.options if option.required],
    )
    values = {
        key: _read_option(reader, child, options[key])
        for key, child in entries.items()
        if key in options
    }
    return generator, values


def _read_option(reader: SectionReader, place: Place, option: Option) -> Any:
    if option.kind == "rows":
        return _read_rows(reader, place, option)
    if option.many:
        return tuple(_read_option_value(reader, item, option) for item in reader.items(place) or ())
    if isinstance(place.node, yaml.SequenceNode):
        reader.fault(place, "expected one value, not a list")
        return None
    return _read_option_value(reader, place, option)


def _read_option_value(reader: SectionReader, place: Place, option: Option) -> Any:
    if option.kind == "integer":
        return reader.integer(place, option.minimum, option.maximum)
    if option.kind == "real":
        return _read_real(reader, place, option)
    if option.kind == "choice":
        return reader.one_of(place, option.choices, f"choice of {option.name}")
    text = reader.text(place)
    return reader.file_path(place, text) if option.kind == "path" and text is not None else text


def _read_real(reader: SectionReader, place: Place, option: Option) -> float | str | None:
    number = reader.named_number(place, option.minimum, option.maximum)
    if number != number and not option.many and option.kind != "rows":
        reader.fault(place, "expected a number, not nan")
        return None
    return number


def _read_rows(reader: SectionReader, place: Place, option: Option) -> tuple[Any, ...]:
    """A list of lists of numbers, or a flat list of numbers."""
    items = reader.items(place, single=False) or ()
    if all(isinstance(item.node, yaml.ScalarNode) for item in items):
        return tuple(_read_real(reader, item, option) for item in items)
    return tuple(
        tuple(
            _read_real(reader, number, option) for number in reader.items(row, single=False) or ()
        )
        for row in items
    )


def _goes_with(parameter: Parameter, loss: Loss, kind: LabelKind | None) -> bool:
    """Whether a loss takes these labels, and the parameter can be given with them."""
    chosen = kind or loss.label_kinds[0]
    return chosen in loss.label_kinds and parameter.goes_with(chosen)
