"""What there is to audit, as plain text or JSON: without rich, for lists have to be quick."""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from xentcheck.execution import hosts
from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import LabelKind, Layout, Option, Parameter
from xentcheck.registry import load_registered
from xentcheck.report.document import number, plain
from xentcheck.sweeps import GENERATORS

_LEAST_WIDTH = 60
_LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a list: its name, what it is, more by heading, and what JSON says of it.

    ``shown``: whether text has it too, or JSON only.
    """

    name: str
    summary: str
    details: tuple[tuple[str, str], ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    shown: bool = True


Groups: TypeAlias = Mapping[str, Sequence[Entry]]  # by heading; "" for none


def to_text(heading: str, entries: Sequence[Entry], width: int) -> str:
    """Names in a column, what they are beside it, details below."""
    entries = [entry for entry in entries if entry.shown]
    width = max(width, _LEAST_WIDTH)
    margin = "  " if heading else ""
    longest = max((len(entry.name) for entry in entries), default=0)
    indent = " " * (min(longest, _LONGEST_NAME) + 2 + len(margin))
    lines = [heading] if heading else []
    for entry in entries:
        name = margin + entry.name
        if len(name) + 2 > len(indent):
            lines.append(name)
            name = ""
        lines += _folded(entry.summary, name.ljust(len(indent)), indent, width) or [name]
        for word, text in entry.details:
            lines += _folded(f"{word}: {text}", indent, f"{indent}    ", width)
    return "".join(f"{line.rstrip()}\n" for line in [*lines, *([""] if heading else [])])


def to_json(what: str, groups: Groups) -> str:
    """``{"schema_version": 1, WHAT: [{"name": …, …}, …]}``, strict JSON."""
    entries = [each for group in groups.values() for each in group]
    document = {
        "schema_version": 1,
        what: [{"name": each.name, "summary": each.summary, **each.document} for each in entries],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _folded(text: str, first: str, rest: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def losses() -> tuple[Groups, tuple[str, ...]]:
    """Every loss with its formulas, labels and parameters."""
    return {"": [_loss(each) for each in LOSSES.values()]}, ()


def _loss(loss: Loss) -> Entry:
    shape = "(rows, classes)" if loss.layout is Layout.ROWS else "(rows,)"
    labels = " or ".join(kind for kind in loss.label_kinds if kind is not LabelKind.NONE)
    takes = f"{loss.domain} {shape}" + (f", {labels} labels" if labels else "")
    return Entry(
        loss.id,
        loss.summary,
        (
            ("value", loss.formula),
            ("gradient", loss.gradient_formula),
            ("takes", takes),
            *((each.name, _parameter(each)) for each in loss.parameters),
        ),
        {
            "formula": loss.formula,
            "gradient_formula": loss.gradient_formula,
            "domain": str(loss.domain),
            "layout": str(loss.layout),
            "label_kinds": [str(kind) for kind in loss.label_kinds],
            "per_class": loss.per_class,
            "units": loss.units,
            "conventions": list(loss.conventions),
            "source": loss.source,
            "parameters": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "doc": each.doc,
                    "default": plain(each.default),
                    "choices": list(each.choices),
                }
                for each in loss.parameters
            ],
        },
    )


def _parameter(parameter: Parameter) -> str:
    text = f"{parameter.doc.rstrip('.')}: {parameter.kind}"
    if parameter.choices:
        text += f", one of {', '.join(parameter.choices)}"
    return text if parameter.default is None else f"{text} (default {parameter.default})"


def implementations() -> tuple[Groups, tuple[str, ...]]:
    """Every registered implementation by loss, and what could not be loaded or is not installed."""
    found, skips = load_registered()
    processes = dict.fromkeys(each.process for each in found if each.process is not None)
    missing = {process: hosts.missing(process) for process in processes}
    claims = {True: "sound: ", False: "unsound: ", None: ""}
    variants: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if each.plain:
            variants.setdefault((each.loss, each.plain), []).append(each.name.rpartition("@")[2])
    groups: dict[str, list[Entry]] = {}
    for each in found:
        others = variants.get((each.loss, each.name), ())
        functions = {"value": each.value, "gradient": each.gradient}
        entry = Entry(
            each.name,
            claims[each.sound] + each.summary,
            (("variants", ", ".join(f"@{name}" for name in others)),) if others else (),
            {
                "loss": each.loss,
                "quantities": [name for name, function in functions.items() if function],
                "dtypes": list(each.dtypes),
                "label_kinds": [str(kind) for kind in each.label_kinds],
                "parameters": sorted(each.parameters),
                "sound": each.sound,
                "source": each.source,
                "variant_of": each.plain or None,
                "installed": each.process is None or not missing[each.process],
            },
            shown=not each.plain,
        )
        groups.setdefault(each.loss, []).append(entry)
    notes = [f"{skip.implementation}: {skip.reason}" for skip in skips]
    notes += [f"{process.name}: {reason}" for process, reason in missing.items() if reason]
    return groups, tuple(notes)


def generators() -> tuple[Groups, tuple[str, ...]]:
    """Every generator with its options."""
    entries = [
        Entry(
            name,
            each.summary,
            tuple((option.name, _option(option)) for option in each.options),
            {
                "layouts": sorted(map(str, each.layouts)),
                "options": [
                    {
                        "name": option.name,
                        "kind": option.kind,
                        "doc": option.doc,
                        "default": plain(option.default),
                        "many": option.many,
                        "required": option.required,
                        "choices": list(option.choices),
                    }
                    for option in each.options
                ],
            },
        )
        for name, each in GENERATORS.items()
    ]
    return {"": entries}, ()


def _option(option: Option) -> str:
    if option.required:
        return f"{option.doc} (required)"
    if option.default is None:
        return option.doc
    values = option.default if isinstance(option.default, tuple) else (option.default,)
    return f"{option.doc} (default {', '.join(map(str, values))})"


def dtypes() -> tuple[Groups, tuple[str, ...]]:
    """Every dtype with its limits."""
    facts = ("max", "smallest_normal", "smallest_subnormal", "epsilon")
    entries = []
    for name, known in FORMATS.items():
        limits = {fact: getattr(known, fact) for fact in facts}
        summary = ", ".join(
            [
                f"{known.bits} bits, precision {known.precision}",
                *(f"{fact} {value:.5g}" for fact, value in limits.items()),
                *(() if known.has_infinity else ("no infinities",)),
            ]
        )
        document = {
            "bits": known.bits,
            "precision": known.precision,
            "has_infinity": known.has_infinity,
            **{fact: number(value) for fact, value in limits.items()},
        }
        entries.append(Entry(name, summary, document=document))
    return {"": entries}, ()


LISTS: Mapping[str, Callable[[], tuple[Groups, tuple[str, ...]]]] = {
    "losses": losses,
    "implementations": implementations,
    "generators": generators,
    "dtypes": dtypes,
}
