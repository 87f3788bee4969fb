"""Read from the text of an exception how a function expects to be called."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from xentcheck.losses.spec import Loss

_LINE = re.compile(r"\([^()]*:\d+\)$")
"""The end of the text if the function itself, or a function that it called, raised."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that cannot be made as asked: what is wrong, in one line, and what to do."""

    name: str
    text: str
    hint: str


def _missing(found: re.Match[str], loss: Loss) -> Refusal:
    names = re.findall(r"'(\w+)'", found["names"])
    constructed = "__init__" in (found["of"] or "")
    options = " ".join(
        f"{'--param' if not constructed and loss.parameter(each) else '--bind'} {each}=VALUE"
        for each in names
    )
    what = "its constructor needs" if constructed else "it needs"
    return Refusal(
        "missing-argument",
        f"{what} {' and '.join(names)}, and is not given {'it' if len(names) == 1 else 'them'}",
        f"{options} gives {'it' if len(names) == 1 else 'them'}",
    )


def _too_many(found: re.Match[str], loss: Loss) -> Refusal:
    takes, given = int(found["takes"]), int(found["given"])
    names = (found["of"] or "").split(".")
    if len(names) > 1 and names[-2] != "<locals>":  # a method: self does not count
        takes, given = takes - 1, given - 1
    if names[-1] == "__init__":
        return Refusal(
            "class",
            f"it is a class, whose constructor takes {takes} argument{'s' * (takes != 1)}: a call "
            "does not compute anything",
            "--framework torch (or tensorflow) makes an object of a class of modules first; "
            "otherwise name a function",
        )
    labels = ", labels" if given > 1 else ""
    return Refusal(
        "wrong-arguments",
        f"it takes {takes} argument{'s' * (takes != 1)}, and is given {given}: "
        f"it is called as fn(logits{labels})",
        f"wrap it in a function of (logits{labels})",
    )


def _unexpected(found: re.Match[str], loss: Loss) -> Refusal:
    name = found["name"]
    return Refusal(
        "unknown-argument",
        f"it does not take {name}",
        f"leave --param {name} out, or wrap it in a function that takes it",
    )


_ARGUMENTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Loss], Refusal]], ...] = (
    (
        re.compile(
            r"(?:(?P<of>[\w.<>]+)\(\) )?missing \d+ required "
            r"(?:positional|keyword-only) arguments?: (?P<names>.+)"
        ),
        _missing,
    ),
    (
        re.compile(
            r"(?:(?P<of>[\w.<>]+)\(\) )?takes (?:from \d+ to )?(?P<takes>\d+) positional "
            r"arguments? but (?P<given>\d+) (?:was|were) given"
        ),
        _too_many,
    ),
    (
        re.compile(r"(?:(?P<of>[\w.<>]+)\(\) )?got an unexpected keyword argument '(?P<name>\w+)'"),
        _unexpected,
    ),
)
"""Python's messages about arguments that do not fit a signature."""

_METHODS = (
    r"\w*softmax|\w*softplus|\w*sigmoid|exp|log|logsumexp|gather|scatter_?|unsqueeze|squeeze_|"
    r"detach|float|double|long|dim|cpu|cuda|device|requires_grad|clamp\w*|neg|pow|amax|view_as|to|"
    r"type_as|new_\w+"
)
_TENSORS = (
    (re.compile(r"must be (?:a )?(?:torch\.)?Tensor|torch\.?Tensor"), "torch"),
    (re.compile(rf"'numpy\.ndarray' object has no attribute '(?:{_METHODS})'"), "torch"),
    (re.compile(r"'numpy\.ndarray' object has no attribute 'at'"), "jax"),
    (re.compile(r"EagerTensor|tf\.Tensor|KerasTensor"), "tensorflow"),
)
"""Messages of functions that get arrays but want tensors, and the framework of the tensors."""


def arguments_refused(detail: str, loss: Loss, own: str) -> Refusal | None:
    """Return what an exception tells about the arguments; None if it tells nothing.

    ``own`` is the function's name. The same text about another function means a call inside it.
    """
    for pattern, told in _ARGUMENTS:
        found = pattern.search(detail)
        if found is None:
            continue
        of = (found["of"] or "").split(".")
        called = (own, "forward", "call", "__call__", "__init__", "<lambda>")
        if _LINE.search(detail) and of[-1] not in called:
            return None
        return told(found, loss)
    return None


def wants_tensors(detail: str) -> str:
    """Return the framework whose tensors a function wants, by its message; "" if it is unclear."""
    return next((name for pattern, name in _TENSORS if pattern.search(detail)), "")
