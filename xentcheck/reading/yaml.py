"""Reads YAML text as nodes with line numbers, and notes every problem in it.

The text is composed into nodes, never constructed into Python objects. Nodes keep their line
number. Scalars keep the text that was written, so ``010``, ``1e4`` and ``no`` are not converted. No
tag can run code.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from xentcheck.errors import MOST_NAMED, ConfigError, Problem, known_names, nearest
from xentcheck.floats import FORMATS
from xentcheck.losses import NAMES
from xentcheck.reading.numbers import parse_integer, parse_number, read_number

_MOST_EXPANSION = 100_000  # values that aliases may add to the written values
_DEEPEST = 50  # nesting levels
_LARGEST_FILE = 16 * 2**20  # bytes
_STANDARD_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)
_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
_T = TypeVar("_T")


def file_problem(file: str, message: str, line: int = 0, remedy: str = "") -> Problem:
    """A problem that concerns a whole file, not one value in it.

    Args:
        file: name of the file.
        message: what is wrong.
        line: line number, from 1; 0 if no line is known.
        remedy: what to do about it; "" for no advice.
    """
    return Problem("", message, file, line, remedy)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigError: the file cannot be read, is not UTF-8, or is larger than `_LARGEST_FILE`.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        remedy = _other_files(path) or (
            "`xentcheck init` writes a configuration to start from"
            + (
                "; those of configs/ come with the source, not with the package"
                if path.parent.name == "configs"
                else ""
            )
        )
        raise ConfigError([file_problem(name, "no such file", remedy=remedy)]) from None
    except IsADirectoryError:
        remedy = _other_files(path / "*")
        raise ConfigError([file_problem(name, "this is a directory", remedy=remedy)]) from None
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise ConfigError([file_problem(name, f"cannot be read: {text}")]) from None
    if len(content) > _LARGEST_FILE:
        raise ConfigError([file_problem(name, f"larger than {_LARGEST_FILE // 2**20} MiB")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{content[error.start]:02x}"
        raise ConfigError([file_problem(name, message, line)]) from None


def _other_files(path: Path) -> str:
    """A remedy for a path that is not a file: names YAML files in the same directory."""
    try:
        found = sorted(str(each) for each in path.parent.glob("*.y*ml"))
    except (OSError, ValueError):
        return ""
    best = nearest(str(path), found)
    if best:
        return f"did you mean {best}?"
    return f"there are: {', '.join(found[:8])}" if found else ""


class _Loader(yaml.SafeLoader):
    """Composes nodes up to a maximum depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(None, None, f"nested deeper than {_DEEPEST} levels", mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(text: str, path: str) -> yaml.Node | None:
    """The root node of the only document in a text; None for an empty document.

    Raises:
        ConfigError: the text is not YAML.
    """
    try:
        return yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        place = f" (column {mark.column + 1})" if mark else ""
        problem = file_problem(path, f"not YAML: {message}{place}", mark.line + 1 if mark else 0)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not YAML: the character {chr(error.character)!r} is not allowed"
        problem = file_problem(path, message, line)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        problem = file_problem(path, f"not YAML: {error}")
    raise ConfigError([problem])


@dataclass(frozen=True, slots=True)
class Place:
    """A node, the path to it, and the mark (line) that a problem with it points to."""

    node: yaml.Node
    path: str
    mark: Any

    def child(self, key: str, key_node: yaml.Node, value: yaml.Node) -> "Place":
        """The value under a key of this mapping."""
        plain = re.fullmatch(r"\w[\w-]*", key)
        step = key if plain else f"[{shown(key)}]"
        path = f"{self.path}.{step}" if self.path and plain else self.path + step
        mark = value.start_mark if isinstance(value, yaml.ScalarNode) else key_node.start_mark
        return Place(value, path, mark)

    def item(self, index: int, value: yaml.Node) -> "Place":
        """An item of this list."""
        return Place(value, f"{self.path}[{index}]", value.start_mark)


def shown(text: str) -> str:
    """Text of a user, in quotes and shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def listed(names: Iterable[str]) -> str:
    """A list of all valid names, for a message."""
    return "one of: " + ", ".join(names)


def remedy_for(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known name, or a list of known names."""
    known = [str(each) for each in known]
    best = nearest(name, known)
    if best:
        return f"did you mean {best!r}?"
    return listed(known) if len(known) <= MOST_NAMED else known_names(name, known)


def _own_entries(node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            yield key.value, key, value


def _entries(node: yaml.MappingNode) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """The entries of a mapping, including entries merged by ``<<``. Its own keys take precedence.

    For duplicate keys, only the first one is used; the second one is reported as a problem.
    """
    entries: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
    for entry in _own_entries(node):
        entries.setdefault(entry[0], entry)
    for key, value in node.value:
        if key.tag == _MERGE:
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                if isinstance(source, yaml.MappingNode):
                    for entry in _entries(source):
                        entries.setdefault(entry[0], entry)
    return list(entries.values())


def is_null(node: yaml.Node) -> bool:
    """Whether the value is empty or ``null``."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


@dataclass(slots=True)
class Reader:
    """Reads values from nodes and notes every problem.

    A method that reads a value returns None if it cannot read it, after it has noted the problem.
    """

    file: str
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    fatal: bool = False
    # ids of nodes that are not read, because a problem with them is already noted
    bad: set[int] = field(default_factory=set)
    # by path of a mapping: the known keys that its unknown keys may mean
    meant: dict[str, set[str]] = field(default_factory=dict)

    def fault(self, place: Place, message: str, remedy: str = "") -> None:
        """Note a problem."""
        problem = Problem(place.path, message, self.file, place.mark.line + 1, remedy)
        self.problems.append((place.mark.index, problem))

    def ordered(self) -> list[Problem]:
        """The noted problems, in the order of the file."""
        return [problem for _, problem in sorted(self.problems, key=lambda each: each[0])]

    # The structure of the tree: tags, keys, aliases.

    def check_tree(self, root: Place) -> None:
        """Note unsafe tags, duplicate keys, keys that are not text, and bad aliases or merges."""
        sizes: dict[int, int] = {}  # by node id: values in the node when all aliases are expanded
        open_nodes: set[int] = set()

        def visit(place: Place) -> int:
            node = place.node
            if id(node) in open_nodes:
                self.fault(place, "an alias here stands for something it is part of")
                self.fatal = True
                return 0
            if id(node) in sizes:
                return sizes[id(node)]
            open_nodes.add(id(node))
            if node.tag not in _STANDARD_TAGS:
                tag = node.tag.replace("tag:yaml.org,2002:", "!!")
                self.fault(place, f"the tag {shown(tag)} is not allowed", "write a plain value")
                self.bad.add(id(node))
            sizes[id(node)] = size = 1 + sum(visit(child) for child in self._children(place))
            open_nodes.discard(id(node))
            return size

        expanded = visit(root)
        if expanded - len(sizes) > _MOST_EXPANSION and not self.fatal:
            self.fault(root, f"its aliases expand to {expanded:.3g} values", "write them out")
            self.fatal = True

    def _children(self, place: Place) -> Iterator[Place]:
        node = place.node
        if isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                yield place.item(index, value)
        elif isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    self.fault(Place(key, place.path, key.start_mark), "a key has to be text")
                    continue
                child = place.child(key.value, key, value)
                if key.value in first:
                    at = Place(value, child.path, key.start_mark)
                    self.fault(at, f"duplicate (first on line {first[key.value]})")
                first.setdefault(key.value, key.start_mark.line + 1)
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                if key.tag == _MERGE and not all(
                    isinstance(source, yaml.MappingNode) for source in sources
                ):
                    self.fault(child, "only mappings can be merged")
                yield child

    def literal(self, node: yaml.Node) -> Any:
        """A node as a Python value: text, a number, True, False, None, a list or a dict."""
        if isinstance(node, yaml.MappingNode):
            return {name: self.literal(value) for name, _, value in _entries(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.literal(value) for value in node.value]
        return _scalar(node)

    def document(self, node: yaml.Node) -> Any:
        """A node as a value that strict JSON can hold: infinities and NaN stay text."""
        if isinstance(node, yaml.MappingNode):
            return {name: self.document(value) for name, _, value in _entries(node)}
        if isinstance(node, yaml.SequenceNode):
            return [self.document(value) for value in node.value]
        value = _scalar(node)
        return str(node.value) if isinstance(value, float) and not math.isfinite(value) else value

    # Values of one kind.

    def usable(self, place: Place) -> bool:
        """Whether no problem is noted that forbids reading the node."""
        return id(place.node) not in self.bad

    def mapping(self, place: Place, what: str) -> dict[str, Place] | None:
        """The entries of a mapping by key. An empty mapping is a problem."""
        node = place.node
        if not self.usable(place):
            return None
        if not isinstance(node, yaml.MappingNode):
            self.fault(place, f"expected {what} (a mapping), not {_described(node)}")
            return None
        if not node.value:
            self.fault(place, f"expected {what}, but it is empty")
            return None
        return {name: place.child(name, key, value) for name, key, value in _entries(node)}

    def fields(
        self, place: Place, what: str, known: Sequence[str], required: Sequence[str] = ()
    ) -> dict[str, Place] | None:
        """The entries of a mapping with declared keys. Unknown and missing keys are problems.

        Args:
            place: the mapping.
            what: what the mapping describes, for the message.
            known: the declared keys.
            required: the keys that must be present.
        """
        entries = self.mapping(place, what)
        if entries is None:
            return None
        meant = self.meant.setdefault(place.path, set())
        for name in [name for name in entries if name not in known]:
            at = self.at_key(place, name, entries.pop(name))
            self.fault(at, f"unknown key {shown(name)}", remedy_for(name, known))
            meant.add(nearest(name, known) or nearest(name.lower(), known) or "")
        for name in required:
            if name not in entries and name not in meant:
                self.fault(place, f"{name!r} is missing")
        return entries

    @staticmethod
    def at_key(place: Place, name: str, child: Place) -> Place:
        """``child`` with a mark that points to its key ``name``; ``place`` is its mapping."""
        assert isinstance(place.node, yaml.MappingNode)
        key = next(key for text, key, _ in _entries(place.node) if text == name)
        return replace(child, mark=key.start_mark)

    def items(self, place: Place, *, single: bool = True) -> list[Place] | None:
        """The items of a list. With ``single``, a single value counts as a list of one."""
        node = place.node
        if not self.usable(place):
            return None
        if isinstance(node, yaml.SequenceNode):
            if not node.value:
                self.fault(place, "the list is empty", "leave the key out, or name something")
                return None
            return [place.item(index, value) for index, value in enumerate(node.value)]
        if single and (isinstance(node, yaml.MappingNode) or node.tag != _NULL):
            return [place]
        self.fault(place, f"expected a list, not {_described(node)}")
        return None

    def text(self, place: Place, what: str = "text") -> str | None:
        """The text of a scalar, as written."""
        node = place.node
        if not self.usable(place):
            return None
        if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL or not node.value.strip():
            self.fault(place, f"expected {what}, not {_described(node)}")
            return None
        return str(node.value)

    def one_of(self, place: Place, known: Iterable[str], what: str) -> str | None:
        """One of the known names."""
        text = self.text(place, f"a {what}")
        known = list(known)
        if text is None or text in known:
            return text
        self.fault(place, f"unknown {what} {shown(text)}", remedy_for(text, known))
        return None

    def loss(self, place: Place) -> str | None:
        """The id of a loss, by any of its names."""
        text = self.text(place, "a loss")
        if text is None:
            return None
        found = NAMES.of(text)
        if not found:
            remedy = NAMES.hint(text) or remedy_for(text, NAMES.takes)
            self.fault(place, f"unknown loss {shown(text)}", remedy)
        return found or None

    def several(self, place: Place, known: Iterable[str], what: str) -> tuple[str, ...] | None:
        """A list of known names without duplicates. A problem with one does not hide the others."""
        items = self.items(place)
        known = list(known)
        read: dict[str, None] = {}
        for item in items or ():
            name = self.one_of(item, known, what)
            if name is not None and name in read:
                self.fault(item, f"duplicate {shown(name)}")
            elif name is not None:
                read[name] = None
        return tuple(read) or None

    def flag(self, place: Place) -> bool | None:
        """``true`` or ``false``. Other words that some YAML readers accept are problems."""
        text = self.text(place, "true or false")
        if text is None or text in ("true", "false"):
            return None if text is None else text == "true"
        meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower())
        meant = meant or {"true": "true", "false": "false"}.get(text.lower())
        remedy = f"write {meant}" if meant else ""
        self.fault(place, f"expected true or false, not {shown(text)}", remedy)
        return None

    def _parsed(self, place: Place, what: str, parse: Callable[[str], _T]) -> _T | None:
        text = self.text(place, what)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.fault(place, str(error))
            return None

    def integer(
        self, place: Place, minimum: float | None = None, maximum: float | None = None
    ) -> int | None:
        """A whole number."""
        number = self._parsed(place, "a whole number", parse_integer)
        return number if number is None or self._within(place, number, minimum, maximum) else None

    def number(
        self,
        place: Place,
        minimum: float | None = None,
        maximum: float | None = None,
        *,
        finite: bool = False,
    ) -> float | None:
        """A number that does not depend on the dtype.

        Args:
            place: the value.
            minimum: the smallest number allowed; None for no bound.
            maximum: the largest number allowed; None for no bound.
            finite: whether infinities and NaN are problems.
        """
        number = self._parsed(place, "a number", parse_number)
        if number is None or not self._within(place, number, minimum, maximum):
            return None
        if finite and number - number != 0:
            self.fault(place, f"expected a finite number, not {number}")
            return None
        return number

    def named_number(
        self, place: Place, minimum: float | None = None, maximum: float | None = None
    ) -> float | str | None:
        """A number, or a named one that depends on the dtype. Bounds apply in every dtype."""
        number = self._parsed(place, "a number", read_number)
        if number is None:
            return None
        values = (
            [number] if isinstance(number, float) else [parse_number(number, d) for d in FORMATS]
        )
        good = all(self._within(place, value, minimum, maximum) for value in values)
        return number if good else None

    def _within(
        self, place: Place, number: float, minimum: float | None, maximum: float | None
    ) -> bool:
        if (minimum is None or number >= minimum) and (maximum is None or number <= maximum):
            return True
        bounds = (
            f"at least {minimum:,.10g}" if minimum is not None else "",
            f"at most {maximum:,.10g}" if maximum is not None else "",
        )
        wanted = " and ".join(bound for bound in bounds if bound)
        self.fault(place, f"expected {wanted}, not {number:g}")
        return False


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if node.tag == _NULL or not node.value.strip() else shown(node.value)


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return text
    if node.tag == _NULL:
        return None
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text) if re.fullmatch("-?(0|[1-9][0-9]{0,17})", text) else parse_number(text)
    except ValueError:
        return text
