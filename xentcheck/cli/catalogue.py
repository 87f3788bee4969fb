"""Lists of what can be audited, as plain text or JSON.

A list imports only what has its names: no rich, no NumPy, no framework.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from xentcheck.errors import UnknownNameError

if TYPE_CHECKING:
    from xentcheck.losses.spec import Loss
    from xentcheck.model import Implementation, Option, Parameter

_LEAST_WIDTH = 60
_LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list.

    ``details`` are (heading, text) pairs below the summary, ``code`` (heading, lines of code) pairs
    below these. ``document`` has the other fields of the JSON entry. ``shown`` is false if only
    JSON lists the entry.
    """

    name: str
    summary: str
    details: tuple[tuple[str, str], ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter for a list. Empty fields select everything.

    ``name`` is a name in the list, or a pattern for implementations. ``loss`` and ``framework``
    filter only implementations.
    """

    name: str = ""
    loss: str = ""
    framework: str = ""


Groups: TypeAlias = Mapping[str, Sequence[Entry]]  # by heading; "" for none


def to_text(heading: str, entries: Sequence[Entry], width: int) -> str:
    """The entries as text: names in a column, summaries beside them, details below.

    ``width`` is in columns.
    """
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
        for word, code in entry.code:
            lines += [f"{indent}{word}:", *(f"{indent}    {line}" for line in code.splitlines())]
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


def losses(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every loss with its formulas, labels and parameters, or one named loss with all details."""
    from xentcheck.losses import LOSSES, loss_of

    if wanted.name:
        return {"": [_loss(loss_of(wanted.name), whole=True)]}, ()
    return {"": [_loss(each) for each in LOSSES.values()]}, ()


def _loss(loss: Loss, *, whole: bool = False) -> Entry:
    from xentcheck.losses.invariants import invariants_of
    from xentcheck.model.inputs import LabelKind, Layout
    from xentcheck.reading.json import plain

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
            *(_more(loss) if whole else ()),
        ),
        document={
            "formula": loss.formula,
            "gradient_formula": loss.gradient_formula,
            "domain": str(loss.domain),
            "layout": str(loss.layout),
            "label_kinds": [str(kind) for kind in loss.label_kinds],
            "per_class": loss.per_class,
            "units": loss.units,
            "conventions": list(loss.conventions),
            "invariants": [each.name for each in invariants_of(loss.id)],
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


def _more(loss: Loss) -> Iterator[tuple[str, str]]:
    """The details that a list of all losses omits."""
    from xentcheck.losses.invariants import invariants_of
    from xentcheck.losses.names import ALIASES

    if loss.units:
        yield "units", loss.units
    yield from (("convention", each) for each in loss.conventions)
    yield "invariants", ", ".join(each.name for each in invariants_of(loss.id))
    if aliases := ALIASES.get(loss.id):
        yield "also called", ", ".join(aliases)
    yield "source", loss.source


def _parameter(parameter: Parameter) -> str:
    text = f"{parameter.doc.rstrip('.')}: {parameter.kind}"
    if parameter.choices:
        text += f", one of {', '.join(parameter.choices)}"
    if parameter.label_kinds:
        text += f", with {' or '.join(parameter.label_kinds)} labels"
    return text + _default(parameter.default)


def _default(value: Any) -> str:
    """The default as `` (default 1, 2)``; "" if there is none."""
    values = value if isinstance(value, tuple) else (value,)
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
    told = ", ".join(texts) if value is not None else ""
    return f" (default {told})" if told else ""


def implementations(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """The wanted implementations by loss, and notes on those that are missing or failed to load.

    ``wanted`` filters by a pattern of names, by loss and by framework.
    """
    from xentcheck.losses import loss_of
    from xentcheck.model import selected
    from xentcheck.registry import frameworks_of, load_registered, matching, meant_by, missing

    every, skips = load_registered()
    found: Sequence[Implementation] = every
    if wanted.loss:
        loss = loss_of(wanted.loss).id
        found = [each for each in found if each.loss == loss]
    if wanted.framework:
        inside = matching(wanted.framework, every)
        if not inside:
            known = sorted({word for each in every for word in frameworks_of(each)})
            raise UnknownNameError("framework", wanted.framework, known)
        found = [each for each in found if each in inside]
    if wanted.name:
        named = [each for each in found if selected(each.name, (wanted.name,))]
        if not named:
            hint = meant_by(wanted.name, found or every)
            raise UnknownNameError("implementation", wanted.name, (), hint and f"; {hint}")
        found = named
    processes = dict.fromkeys(each.process for each in found if each.process is not None)
    obstacles = {process: missing(process) for process in processes}
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
            document={
                "loss": each.loss,
                "quantities": [name for name, function in functions.items() if function],
                "dtypes": list(each.dtypes),
                "label_kinds": [str(kind) for kind in each.label_kinds],
                "parameters": sorted(each.parameters),
                "sound": each.sound,
                "source": each.source,
                "variant_of": each.plain or None,
                "installed": each.process is None or not obstacles[each.process],
            },
            shown=not each.plain or "@" in wanted.name,
        )
        groups.setdefault(each.loss, []).append(entry)
    notes = [f"{skip.implementation}: {skip.reason}" for skip in skips]
    notes += [f"{process.name}: {reason}" for process, reason in obstacles.items() if reason]
    return groups, tuple(notes)


def generators(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every generator with its options."""
    from xentcheck.reading.json import plain
    from xentcheck.sweeps.catalogue import GENERATORS

    entries = [
        Entry(
            name,
            each.summary,
            tuple((option.name, _option(option)) for option in each.options),
            document={
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
    return {"": _named("generator", entries, wanted)}, ()


def _named(what: str, entries: Sequence[Entry], wanted: Wanted) -> Sequence[Entry]:
    """The entry with the wanted name, or all entries."""
    if not wanted.name:
        return entries
    found = [each for each in entries if each.name == wanted.name]
    if not found:
        raise UnknownNameError(what, wanted.name, [each.name for each in entries])
    return found


def _option(option: Option) -> str:
    return f"{option.doc} (required)" if option.required else option.doc + _default(option.default)


def kinds(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every kind of finding, the gravest first, with its meaning and a hint."""
    from xentcheck.model import ABOUT, NOTES, Kind

    entries = [
        Entry(
            str(kind),
            ABOUT[kind].says,
            (("hint", hint),) if (hint := ABOUT[kind].hint) else (),
            document={"note": kind in NOTES, "hint": hint},
        )
        for kind in Kind
    ]
    if wanted.name:
        return {"": _named("kind", entries, wanted)}, ()
    notes = tuple(map(str, NOTES))
    return {
        "faults, the gravest first": [each for each in entries if each.name not in notes],
        "notes, which a gate forbids only by name": [
            each for each in entries if each.name in notes
        ],
    }, ()


def causes(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every cause of faults with its remedy, or one named cause with the code of its remedy."""
    from xentcheck.model import ABOUT_CAUSES

    entries = []
    for cause, about in ABOUT_CAUSES.items():
        details = (("instead", about.remedy), ("given", about.given if wanted.name else ""))
        code = (
            ("NumPy", about.numpy),
            ("PyTorch", about.torch),
            ("JAX", about.jax),
            ("NumPy, for losses of one logit x and label z", about.one_logit),
        )
        entry = Entry(
            str(cause),
            about.says,
            tuple(each for each in details if each[1]),
            tuple(each for each in code if each[1] and wanted.name),
            document={
                "remedy": about.remedy,
                "given": about.given,
                "numpy": about.numpy,
                "torch": about.torch,
                "jax": about.jax,
                "one_logit": about.one_logit,
            },
        )
        entries.append(entry)
    return {"": _named("cause", entries, wanted)}, ()


def grades(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every grade, the worst first, with its meaning."""
    from xentcheck.model import ABOUT_GRADES, GRADES

    entries = [Entry(str(grade), ABOUT_GRADES[grade]) for grade in GRADES]
    if wanted.name:
        return {"": _named("grade", entries, wanted)}, ()
    return {"grades, the worst first": entries}, ()


def invariants(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every invariant with its sentence, what rounding explains, and the losses that have it."""
    from xentcheck.losses import LOSSES
    from xentcheck.losses.invariants import INVARIANTS, invariants_of

    entries = []
    for name, each in INVARIANTS.items():
        having = [loss for loss in LOSSES if each in invariants_of(loss)]
        quantities = " and ".join(each.quantities)
        everywhere = len(having) == len(LOSSES)
        entries.append(
            Entry(
                name,
                each.says,
                (
                    ("of", f"{quantities}; {'every loss' if everywhere else ', '.join(having)}"),
                    ("rounding explains", each.allowance),
                ),
                document={
                    "allowance": each.allowance,
                    "roundings": each.most,
                    "roundings_summed": each.summed,
                    "quantities": [str(quantity) for quantity in each.quantities],
                    "losses": having,
                },
            )
        )
    return {"": _named("invariant", entries, wanted)}, ()


def dtypes(wanted: Wanted) -> tuple[Groups, tuple[str, ...]]:
    """Every dtype with its limits."""
    from xentcheck.floats import FORMATS
    from xentcheck.reading.json import number

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
    return {"": _named("dtype", entries, wanted)}, ()


LISTS: Mapping[str, Callable[[Wanted], tuple[Groups, tuple[str, ...]]]] = {
    "losses": losses,
    "implementations": implementations,
    "generators": generators,
    "dtypes": dtypes,
    "kinds": kinds,
    "causes": causes,
    "grades": grades,
    "invariants": invariants,
}
