"""A class of losses as a function: its constructor takes parameters as well as its call."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Constructor:
    """What the constructor of a class takes: names, the defaults there are, what has none."""

    names: frozenset[str]
    defaults: Mapping[str, Any]
    required: tuple[str, ...]


def constructed(function: Any) -> bool:
    """Whether a callable, or what `functools.partial` binds, is a class to be instantiated.

    A torch.autograd.Function is a class that never is.
    """
    kind = getattr(function, "func", function)
    return inspect.isclass(kind) and not hasattr(kind, "setup_context")


def constructor_of(function: Any) -> Constructor:
    """The constructor of a class, without what `functools.partial` has bound."""
    bound = getattr(function, "keywords", {})
    try:
        parameters = inspect.signature(getattr(function, "func", function)).parameters.values()
    except (TypeError, ValueError):
        return Constructor(frozenset(), {}, ())
    named = [each for each in parameters if each.kind not in _VARIABLE and each.name not in bound]
    empty = inspect.Parameter.empty
    return Constructor(
        frozenset(each.name for each in named),
        {each.name: each.default for each in named if each.default is not empty},
        tuple(each.name for each in named if each.default is empty),
    )


@functools.lru_cache(maxsize=256)
def of_class(function: Any) -> Callable[..., Any]:
    """The class, or a `functools.partial` of one, as a function.

    An instance is made with the parameters that the constructor takes, with ``reduction="none"`` if
    it takes that and is not told otherwise, and called with the others.
    """
    bound = getattr(function, "keywords", {})
    parameters = inspect.signature(getattr(function, "func", function)).parameters
    names = [name for name, each in parameters.items() if name not in bound]
    made: dict[Any, Any] = {}

    def call(*data: Any, **given: Any) -> Any:
        own = {name: given.pop(name) for name in names if name in given}
        if "reduction" in names:
            own.setdefault("reduction", "none")
        plain = all(isinstance(each, int | float | str | None) for each in own.values())
        key = tuple(own.items()) if plain else None
        instance = made.get(key) if plain else None
        if instance is None:
            instance = function(**own)
            if plain:
                made[key] = instance
        return instance(*data, **given)

    return call
