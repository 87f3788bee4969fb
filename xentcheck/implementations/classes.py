"""Turn a class of losses into a function: constructor and call both take parameters."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Constructor:
    """Arguments of a class's constructor: names, the defaults, and those without a default."""

    names: frozenset[str]
    defaults: Mapping[str, Any]
    required: tuple[str, ...]


def constructed(function: Any) -> bool:
    """Whether a callable, or the target of a `functools.partial`, is a class to instantiate.

    A torch.autograd.Function is a class that is never instantiated.
    """
    kind = getattr(function, "func", function)
    return inspect.isclass(kind) and not hasattr(kind, "setup_context")


def constructor_of(function: Any) -> Constructor:
    """Return the constructor's arguments, without those that `functools.partial` has bound."""
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
    """Turn a class, or a `functools.partial` of one, into a function.

    The function makes an instance with the parameters that the constructor takes, and calls it with
    the others. If the constructor takes ``reduction`` and the call does not give it, it is
    ``"none"``.
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
