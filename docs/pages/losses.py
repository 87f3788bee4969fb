"""The pages of the losses: formula, labels, parameters, conventions, names, implementations."""

from collections.abc import Iterable, Iterator

from docs.pages.markdown import code, contents, folded, plain, table
from xentcheck import registry
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import invariants_of
from xentcheck.losses.names import ALIASES
from xentcheck.losses.spec import Loss
from xentcheck.model import Implementation, Layout, Parameter


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """A page for each loss, and the table of all that ``losses.md`` includes."""
    own = [each for each in registry.implementations() if each.name.startswith("numpy.")]
    for loss in LOSSES.values():
        yield f"{loss.id}.md", _page(loss, [each for each in own if each.loss == loss.id])
    yield "losses.inc", _table()


def _table() -> Iterator[str]:
    yield from table(
        ("loss", "is", "labels", "input"),
        (
            (f"[{loss.id}](losses/{loss.id}.md)", loss.summary, _labels(loss), str(loss.domain))
            for loss in LOSSES.values()
        ),
    )
    yield from contents(f"losses/{name}" for name in LOSSES)


def _labels(loss: Loss) -> str:
    return " or ".join(str(each) for each in loss.label_kinds)


def _page(loss: Loss, own: list[Implementation]) -> Iterator[str]:
    yield f"# {loss.id}"
    yield ""
    yield f"{_sentence(loss.summary)} In {loss.units}."
    yield ""
    yield from code(f"value     {loss.formula}\ngradient  {loss.gradient_formula}", "text")
    shape = "one number per row" if loss.layout is Layout.ELEMENTWISE else "(rows, classes)"
    yield from folded(f"Input: {loss.domain}, {shape}. Labels: {_labels(loss)}.")
    yield ""
    names = ALIASES.get(loss.id, ())
    if names:
        yield from folded(f"Also called: {', '.join(f'`{each}`' for each in names)}.")
        yield ""
    if loss.parameters:
        yield "## Parameters"
        yield ""
        yield from table(
            ("parameter", "takes", "default", "meaning"), map(_parameter, loss.parameters)
        )
    yield "## Conventions"
    yield ""
    yield "Where frameworks disagree, the reference follows these."
    yield ""
    for each in loss.conventions:
        yield f"- {plain(each)}"
    yield ""
    yield "## Invariants"
    yield ""
    yield "Properties that every exact result has ([invariants](../invariants.md))."
    yield ""
    yield from table(
        ("invariant", "property", "allowance"),
        (
            (f"`{about.name}`", plain(about.says), plain(about.allowance))
            for about in invariants_of(loss.id)
        ),
    )
    if own:
        yield "## Implementations in NumPy"
        yield ""
        yield "They come with xentcheck. The faulty ones are there to be compared with."
        yield ""
        yield from table(
            ("implementation", "is"), ((f"`{each.name}`", plain(each.summary)) for each in own)
        )
    yield "## Source"
    yield ""
    yield from folded(plain(f"{loss.source}."))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{plain(text[1:])}."


def _parameter(parameter: Parameter) -> tuple[str, str, str, str]:
    takes = ", ".join(f"`{each}`" for each in parameter.choices) or str(parameter.kind)
    for sign, bound in (("≥", parameter.minimum), ("≤", parameter.maximum)):
        if bound is not None:
            takes += f" {sign} {bound:g}"
    if parameter.label_kinds:
        takes += f", with {' or '.join(parameter.label_kinds)} labels"
    default = "none" if parameter.default is None else f"`{parameter.default}`"
    return f"`{parameter.name}`", takes, default, plain(parameter.doc)
