"""The page of the kinds of findings, and of the grades."""

from collections.abc import Iterable, Iterator

from docs.pages.markdown import table
from xentcheck.model.grades import ABOUT_GRADES
from xentcheck.model.kinds import ABOUT


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """Included by ``findings.md``: a section for each kind, the gravest first; and the grades."""
    yield "kinds.inc", _kinds()
    yield (
        "grades.inc",
        table(
            ("grade", "is"),
            ((f"`{grade}`", says) for grade, says in reversed([*ABOUT_GRADES.items()])),
        ),
    )


def _kinds() -> Iterator[str]:
    for kind, about in ABOUT.items():
        yield f"### {kind}"
        yield ""
        yield about.says
        yield ""
        if about.hint:
            yield f"Hint: {about.hint}."
            yield ""
        if about.note:
            yield "A note: a gate allows it unless `forbid` names it."
            yield ""
