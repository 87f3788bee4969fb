"""Pieces of Markdown that several generators need."""

from collections.abc import Iterable, Iterator, Sequence

_WIDTH = 100


def cell(text: str) -> str:
    """Text for a cell of a table: one line, with bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def plain(text: str) -> str:
    """Text that shows as it stands: without code, emphasis, links or HTML."""
    for mark in "\\`*_[]<>":
        text = text.replace(mark, f"\\{mark}")
    return text


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, followed by an empty line. A head that ends in ``:`` is aligned to the right."""
    yield f"| {' | '.join(each.removesuffix(':') for each in heads)} |"
    yield f"|{'|'.join('---:' if each.endswith(':') else '---' for each in heads)}|"
    for row in rows:
        yield f"| {' | '.join(cell(each) for each in row)} |"
    yield ""


def code(text: str, language: str) -> Iterator[str]:
    """A block of code, followed by an empty line."""
    yield f"```{language}"
    yield from text.splitlines()
    yield "```"
    yield ""


def folded(text: str) -> Iterator[str]:
    """Text as lines of at most 100 characters."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = word
        else:
            line = f"{line} {word}".lstrip()
    yield line


def contents(names: Iterable[str], caption: str = "") -> Iterator[str]:
    """A hidden table of contents, which only puts pages into the navigation."""
    yield "```{toctree}"
    yield ":hidden:"
    if caption:
        yield f":caption: {caption}"
    yield ""
    yield from names
    yield "```"
    yield ""
