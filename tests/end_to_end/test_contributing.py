"""docs/contributing.md: its picture of the house is that of the imports, its paths exist.

``python -m tests.end_to_end.test_contributing`` draws the picture again.
"""

import re
import tomllib

import grimp

from tests.places import ROOT

PAGE = ROOT / "docs" / "contributing.md"
BEGIN, END = "<!-- house -->\n", "<!-- /house -->\n"


def layers() -> list[list[str]]:
    """The rooms of the contract, the highest layer first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each
        for each in settings["tool"]["importlinter"]["contracts"]
        if each.get("containers") == ["xentcheck"]
    )
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def purpose(room: str) -> str:
    """The first sentence of a room."""
    folder = ROOT / "xentcheck" / room
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = file.read_text(encoding="utf-8")
    found = re.match(r'"""(.+?)(?:\n\n|""")', text, re.DOTALL)
    assert found, f"{file} does not say what it is for"
    return " ".join(found[1].split()).replace("|", "\\|").replace("``", "`")


def picture() -> str:
    """The rooms as a graph of the imports that no longer way implies, and as a table."""
    graph = grimp.build_graph("xentcheck", exclude_type_checking_imports=True)
    rooms = [room for layer in layers() for room in layer if not room.startswith("_")]
    below: dict[str, set[str]] = {}
    for room in rooms:
        modules = graph.find_descendants(f"xentcheck.{room}") | {f"xentcheck.{room}"}
        below[room] = {
            target.split(".")[1]
            for module in modules
            for target in graph.find_modules_directly_imported_by(module)
            if target.count(".")
        } & set(rooms) - {room}
    below["model"].discard("report")  # the one exception: a report in hand prints itself

    def reached(room: str) -> set[str]:
        return below[room] | {far for each in below[room] for far in reached(each)}

    lines = ["```mermaid", "flowchart TD"]
    for room in rooms:
        lines += [
            f"    {room} --> {other}"
            for other in sorted(below[room], key=rooms.index)
            if not any(other in reached(each) for each in below[room] - {other})
        ]
    lines += ["```", "", "| room | what it is for | files | lines |", "|---|---|---|---|"]
    for room in rooms:
        folder = ROOT / "xentcheck" / room
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        count = sum(len(each.read_text(encoding="utf-8").splitlines()) for each in files)
        hundreds = f"{max(round(count, -2), 100):,}"
        lines.append(f"| `{room}` | {purpose(room)} | {len(files)} | {hundreds} |")
    return "\n".join(lines) + "\n"


def drawn(page: str) -> str:
    """The page with the picture of today."""
    head, rest = page.split(BEGIN)
    return head + BEGIN + picture() + END + rest.split(END)[1]


def without_sizes(page: str) -> str:
    """The page without the numbers of files and lines, which change with every commit."""
    return re.sub(r"\| \d+ \| [\d,]+ \|$", "|", page, flags=re.MULTILINE)


def test_the_picture_is_that_of_the_imports() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert without_sizes(drawn(page)) == without_sizes(page), (
        "run python -m tests.end_to_end.test_contributing"
    )


def test_every_path_on_the_page_exists() -> None:
    named = re.findall(
        r"`((?:xentcheck|tests|docs|benchmarks|configs)/[\w./-]*)`", PAGE.read_text()
    )
    assert len(named) > 20
    for path in named:
        assert (ROOT / path).exists(), path


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
