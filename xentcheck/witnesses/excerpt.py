"""Extract the source of a function and of everything that it uses of the package.

Scripts contain an adapter's code in this form, so they need only the adapter's framework. The
source has no annotations. Modules that are `deferred` in the package are imported.
"""

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

_PACKAGE = "xentcheck"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Imports and definitions, in an order in which they can be executed."""

    imports: tuple[str, ...]
    definitions: tuple[str, ...]


@cache
def excerpt(*functions: Callable[..., Any]) -> Excerpt:
    """Return the code that defines these functions of the top level of their modules."""
    taken = _Taken()
    for function in functions:
        taken.take(function.__module__, function.__name__)
    return Excerpt(tuple(taken.imports), tuple(taken.definitions))


class _Taken:
    def __init__(self) -> None:
        self.imports: dict[str, None] = {}
        self.definitions: dict[str, None] = {}
        self._seen: set[tuple[str, str]] = set()

    def take(self, module: str, name: str) -> None:
        """Take a name of a module, after the names that its definition needs."""
        if (module, name) in self._seen or name not in _bindings(module):
            return
        self._seen.add((module, name))
        node = _bindings(module)[name]
        match node:
            case ast.Import(names=names):
                (alias,) = [each for each in names if (each.asname or each.name) == name]
                self._import(alias.name, name)
            case ast.ImportFrom(module=str() as source, names=names):
                (alias,) = [each for each in names if (each.asname or each.name) == name]
                self._import_from(source, alias.name, name)
            case ast.Assign() | ast.AnnAssign():
                self._assign(module, name, node)
            case _:
                self._define(module, node)

    def _import(self, path: str, name: str) -> None:
        known_as = "" if path == name else f" as {name}"
        self.imports.setdefault(f"import {path}{known_as}")

    def _import_from(self, source: str, original: str, name: str) -> None:
        if source.partition(".")[0] != _PACKAGE:
            known_as = "" if original == name else f" as {name}"
            self.imports.setdefault(f"from {source} import {original}{known_as}")
        elif source == f"{_PACKAGE}.errors":
            self.definitions.setdefault(f"class {name}(Exception):\n    pass")
        else:
            self.take(source, original)

    def _assign(self, module: str, name: str, node: ast.Assign | ast.AnnAssign) -> None:
        match node.value:
            case None:
                pass
            case ast.Call(func=ast.Name(id="deferred"), args=[ast.Constant(value=str() as path)]):
                self._import(path, name)
            case value:
                self._needs(module, value)
                bare = _Bare().visit(ast.parse(ast.unparse(node)).body[0])
                self.definitions.setdefault(ast.unparse(bare))

    def _define(self, module: str, node: ast.stmt) -> None:
        bare = _Bare().visit(ast.parse(ast.unparse(node)).body[0])
        self._needs(module, bare)
        self.definitions.setdefault(ast.unparse(bare))

    def _needs(self, module: str, node: ast.AST) -> None:
        for each in ast.walk(node):
            if isinstance(each, ast.Name):
                self.take(module, each.id)


class _Bare(ast.NodeTransformer):
    """Removes annotations and docstrings."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        if node.value is None:
            return None
        return ast.fix_missing_locations(ast.Assign([node.target], node.value))


@cache
def _bindings(module: str) -> dict[str, ast.stmt]:
    """Return the statement that binds each name at the top level of a module."""
    source = inspect.getsource(importlib.import_module(module))
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {each.asname or each.name: node for each in names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = node
            case ast.Assign(targets=targets):
                names_ = [each for target in targets for each in ast.walk(target)]
                found |= {each.id: node for each in names_ if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
    return found
