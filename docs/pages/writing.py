"""Writes the generated pages below ``docs/``. Each generator has a folder that git ignores."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from docs.pages import atlas, causes, documents, kinds, losses

DOCS = Path(__file__).resolve().parent.parent

Pages = Iterator[tuple[str, Iterable[str]]]


def _figures() -> Pages:
    from docs.pages import figures  # noqa: PLC0415  (only the build has matplotlib)

    return figures.pages()


GENERATORS: Mapping[str, Callable[[], Pages]] = {
    "atlas": atlas.pages,
    "causes": causes.pages,
    "figures": _figures,
    "json": documents.pages,
    "kinds": kinds.pages,
    "losses": losses.pages,
}
"""Folders and what fills them: pairs of a file's name and its lines.

Names that end in ``.inc`` are no pages of their own: other pages include them.
"""


def write(docs: Path = DOCS) -> None:
    """Write all generated files. What has not changed keeps its date; what is left over goes."""
    for folder, made in GENERATORS.items():
        place = docs / folder
        place.mkdir(exist_ok=True)
        names = set()
        for name, lines in made():
            names.add(name)
            text = "\n".join(lines).rstrip("\n") + "\n"
            file = place / name
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.write_text(text, encoding="utf-8")
        for file in place.iterdir():
            if file.name not in names:
                file.unlink()
