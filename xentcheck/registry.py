"""Finds implementations that packages declare, and inspects the signatures of functions.

A package declares implementations by decorating functions and naming the module that holds them
under the entry-point group ``xentcheck.implementations``::

    @implementation("softmax_cross_entropy", "mine.fused", gradient=fused_gradient)
    def fused(logits, labels, *, weight=None): ...

    [project.entry-points."xentcheck.implementations"]
    mine = "mine.losses"

Functions that this module imports count as well, so the declarations may stand in another module
than the losses. The entry point may also name an `Implementation`, an iterable of them, or a
function without arguments that returns either. The built-in implementations use the same entry
points. A user's own function needs no declaration: `load_target` loads it.
"""

import functools
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from xentcheck.deferred import np
from xentcheck.errors import did_you_mean, one_line
from xentcheck.floats import INPUT_DTYPES, STANDARD
from xentcheck.losses import LOSSES, NAMES
from xentcheck.model import ANY_PARAMETER, Implementation, LabelKind, Process, selected

if TYPE_CHECKING:
    from importlib import metadata

    from xentcheck.model import Skip

GROUP = "xentcheck.implementations"
_OWN = "xentcheck"  # the entry points of this distribution come first

_MARK = "__xentcheck_implementations__"
_LABEL_KINDS = tuple(LabelKind)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A function whose overflows and invalid operations are results, not warnings.

    If the caller logs them, they are still logged. This is a class and not a closure, so that it
    can be sent to another process.
    """

    function: Callable[..., Any]

    def __call__(self, *arguments: Any, **parameters: Any) -> Any:
        if "log" in np.geterr().values():
            return self.function(*arguments, **parameters)
        with np.errstate(all="ignore"):
            return self.function(*arguments, **parameters)


def implementation(
    loss: str,
    name: str,
    *,
    gradient: Callable[..., Any] | None = None,
    dtypes: str | Iterable[str] = STANDARD,
    label_kinds: str | Iterable[str] = _LABEL_KINDS,
    summary: str = "",
    sound: bool | None = None,
) -> Callable[[Function], Function]:
    """Declare the decorated function as the value of an implementation of ``loss``.

    The function itself is unchanged. Its parameters are read from the signatures: a name counts if
    value and gradient both take it. Both functions run under ``np.errstate(all="ignore")``. In an
    audit, overflow, division by zero and invalid operations are logged instead. Stack the decorator
    to declare one function several times.

    An unknown loss, dtype or kind of labels raises no error here. It would break the import of a
    package that is newer or older than this one. `load_registered` reports it.

    Args:
        loss: id or another name of the loss.
        name: name of the implementation.
        gradient: function of the same arguments that returns the gradient; None for no gradient.
        dtypes: names of the dtypes it takes, or one name.
        label_kinds: kinds of labels it takes, or one kind.
        summary: printed description; by default the first line of the function's docstring.
        sound: whether it is claimed to be free of faults; None for no claim.

    Raises:
        TypeError: the gradient cannot be called, or the function takes no attributes.
    """
    if gradient is not None and not callable(gradient):
        message = f"the gradient of {name!r} is {gradient!r}, which cannot be called"
        raise TypeError(message)

    def declare(function: Function) -> Function:
        declared = Implementation(
            loss=loss,
            name=name,
            value=_Quiet(function),
            gradient=None if gradient is None else _Quiet(gradient),
            dtypes=_several(dtypes),
            label_kinds=_several(label_kinds),
            parameters=common_parameters(function, gradient),
            summary=summary or (inspect.getdoc(function) or "").partition("\n")[0],
            sound=sound,
            source=f"{function.__module__}:{getattr(function, '__qualname__', name)}",
            code_at=defined_at(function),
        )
        try:
            setattr(function, _MARK, (declared, *_marks(function)))
        except AttributeError:
            message = f"{function!r} cannot be declared: wrap it in a function of Python"
            raise TypeError(message) from None
        return function

    return declare


def _several(given: str | Iterable[str]) -> tuple[Any, ...]:
    """Turn a single word into a list of one; ``tuple(word)`` would give its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def _marks(thing: object) -> tuple[Implementation, ...]:
    # Not getattr: an object in a module may have any attribute that is asked for.
    own = getattr(thing, "__dict__", None)
    marks: tuple[Implementation, ...] = own.get(_MARK, ()) if isinstance(own, Mapping) else ()
    return marks


def declared_in(module: ModuleType) -> tuple[Implementation, ...]:
    """Return the declarations that `implementation` made on functions of a module, in order."""
    found = (declared for member in vars(module).values() for declared in _marks(member))
    return tuple({id(declared): declared for declared in found}.values())


def defined_at(function: Callable[..., Any]) -> tuple[str, int] | None:
    """Return the file and line (from 1) of a callable's code, or None if they are unknown."""
    while isinstance(function, functools.partial):
        function = function.func
    written = inspect.unwrap(function)
    if not (inspect.isroutine(written) or inspect.isclass(written)):
        written = type(written)
    code = getattr(written, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    try:
        return inspect.getfile(written), inspect.getsourcelines(written)[1]
    except (OSError, TypeError):  # compiled code, or code without a file
        return None


def parameters_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return the keyword parameters of a function besides its data.

    The data are the first two positional arguments, if they have no default. A function with
    ``**kwargs`` gives `ANY_PARAMETER`, a callable without a signature an empty set.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return frozenset()
    names = set()
    for position, parameter in enumerate(signature.parameters.values()):
        match parameter.kind:
            case inspect.Parameter.VAR_KEYWORD:
                return ANY_PARAMETER
            case inspect.Parameter.KEYWORD_ONLY:
                names.add(parameter.name)
            case inspect.Parameter.POSITIONAL_OR_KEYWORD:
                if position >= 2 or parameter.default is not inspect.Parameter.empty:
                    names.add(parameter.name)
    return frozenset(names - {"logits", "labels"})


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's arguments besides its data, by name.

    An argument without a default has ``inspect.Parameter.empty``.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return {}
    found = {}
    for position, parameter in enumerate(signature.parameters.values()):
        keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        both = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        given = parameter.default is not inspect.Parameter.empty
        if given or keyword or (both and position >= 2):
            found[parameter.name] = parameter.default
    return {name: each for name, each in found.items() if name not in ("logits", "labels")}


def required_second(function: Callable[..., Any]) -> str:
    """Return the name of a required second positional argument; "" without one."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = (
        len(parameters) > 1
        and parameters[1].kind in positional
        and parameters[1].default is inspect.Parameter.empty
    )
    return parameters[1].name if required else ""


def common_parameters(
    value: Callable[..., Any], gradient: Callable[..., Any] | None
) -> frozenset[str]:
    """Return the parameters that a value function and its gradient function both take."""
    of_value = parameters_of(value)
    if gradient is None:
        return of_value
    of_gradient = parameters_of(gradient)
    if of_value == ANY_PARAMETER:
        return of_gradient
    return of_value if of_gradient == ANY_PARAMETER else of_value & of_gradient


def implementations() -> tuple[Implementation, ...]:
    """Return all implementations that installed packages declare."""
    return load_registered()[0]


def load_registered() -> tuple[tuple[Implementation, ...], "tuple[Skip, ...]"]:
    """Return all declared implementations, and a skip with a reason for each rejected one.

    A broken package or a wrong declaration does not affect any other. If several implementations of
    a loss have the same name, the first one stays: first xentcheck's own, then in the order of the
    entry points' names.
    """
    found: dict[tuple[str, str], Implementation] = {}
    holders: dict[tuple[str, str], str] = {}
    skips = []
    from importlib import metadata  # noqa: PLC0415  (slow to import, and hosts need it not)

    for entry_point in sorted(metadata.entry_points(group=GROUP), key=_precedence):
        where = _where(entry_point)
        every = f"{entry_point.name}.*"
        try:
            declared = tuple(_declared(entry_point.load()))
        except (Exception, SystemExit) as error:
            reason = f"{where} could not be loaded: {_located(error)}"
            skips.append(_skip(reason, implementation=every))
            continue
        if not declared:
            skips.append(_skip(f"{where} declares no implementation", implementation=every))
        for each in (_by_id(each) for each in declared):
            faults = _faults(each)
            key = (each.loss, each.name)
            if not faults and found.setdefault(key, each) is not each:
                faults = (f"the name is already taken by {holders[key]}",)
            skips += [_skip(f"{where}: {fault}", each.loss, each.name) for fault in faults]
            if not faults:
                holders.setdefault(key, where)
    return tuple(found.values()), tuple(skips)


def _skip(reason: str, loss: str = "", implementation: str = "") -> "Skip":
    from xentcheck.model import Skip  # noqa: PLC0415  (a list of names has no results)

    return Skip(reason, loss, implementation)


def _precedence(entry_point: "metadata.EntryPoint") -> tuple[bool, str, str]:
    return _distribution(entry_point) != _OWN, entry_point.name, entry_point.value


def _distribution(entry_point: "metadata.EntryPoint") -> str:
    return "" if entry_point.dist is None else _name_of(entry_point.dist)


@functools.lru_cache(maxsize=64)
def _name_of(distribution: "metadata.Distribution") -> str:
    """The name of a distribution; reading it parses all of the distribution's metadata."""
    return distribution.name


def _where(entry_point: "metadata.EntryPoint") -> str:
    distribution = _distribution(entry_point)
    whose = f" of {distribution}" if distribution else ""
    return f"entry point {entry_point.name} = {entry_point.value!r}{whose}"


def _by_id(declared: Implementation) -> Implementation:
    """Return the declaration with the id of its loss in place of another name of the loss."""
    loss = NAMES.of(declared.loss)
    return replace(declared, loss=loss) if loss and loss != declared.loss else declared


def _faults(declared: Implementation) -> tuple[str, ...]:
    """Return all reasons why a declaration cannot be audited."""
    faults = []
    loss = LOSSES.get(declared.loss)
    if loss is None:
        faults.append(f"there is no loss {declared.loss!r}{NAMES.meaning(declared.loss)}")
    if not declared.name.strip() or ":" in declared.name or "{out}" in declared.name:
        faults.append(
            f"{declared.name!r} cannot be a name: those with ':' or '{{out}}' are targets"
        )
    for what, given, known in (
        ("dtype", declared.dtypes, INPUT_DTYPES),
        ("kind of labels", declared.label_kinds, tuple(map(str, LabelKind))),
    ):
        faults += [
            f"there is no {what} {str(each)!r}{did_you_mean(str(each), known)}"
            for each in given
            if each not in known
        ]
        if not given:
            faults.append(f"no {what} is given")
    kinds = () if loss is None else loss.label_kinds
    if not faults and not set(kinds) & set(declared.label_kinds):
        taken = " or ".join(kinds)
        faults.append(
            f"{declared.loss} takes {taken} labels, not {', '.join(declared.label_kinds)}"
        )
    return tuple(faults)


def _declared(thing: object) -> Iterator[Implementation]:
    if isinstance(thing, ModuleType):
        thing = declared_in(thing)
    elif callable(thing):
        thing = thing()
    for each in (thing,) if isinstance(thing, Implementation) else _iterable(thing):
        if not isinstance(each, Implementation):
            message = f"it gives {each!r}, which is not an Implementation"
            raise TypeError(message)
        yield each


def _iterable(thing: object) -> Iterable[object]:
    if not isinstance(thing, Iterable):
        message = f"it gives {thing!r}, which is not an iterable of Implementation"
        raise TypeError(message)
    return thing


def missing(process: Process) -> str:
    """Return why the modules of a process are missing and how to install them; "" if they exist."""
    for module in process.modules:
        try:
            found = find_spec(module.partition(".")[0]) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            remedy = f": {process.install}" if process.install else ""
            return f"{module} is not installed{remedy}"
    return ""


SYNONYMS: Mapping[str, str] = {
    "pytorch": "torch",
    "scikit-learn": "sklearn",
    "scikit_learn": "sklearn",
    "paddlepaddle": "paddle",
    "ort": "onnxruntime",
    "xgb": "xgboost",
    "lgb": "lightgbm",
    "lgbm": "lightgbm",
    "np": "numpy",
    "liger": "liger_kernel",
}
"""Other names of frameworks, besides the names of their modules."""


def frameworks_of(declared: Implementation) -> frozenset[str]:
    """Return the names of an implementation's framework: from its own name and from its modules."""
    words = {declared.name.partition(".")[0]}
    if declared.process is not None:
        words |= {each.partition(".")[0] for each in declared.process.modules}
        words.add(declared.process.name)
    return frozenset(words)


def matching(name: str, known: Iterable[Implementation]) -> tuple[Implementation, ...]:
    """Return the implementations of a framework, by any of its names.

    These are the implementations whose names begin with it. If none does, they are the ones that
    run in its process: ``tf`` and ``keras`` belong to ``tensorflow``.
    """
    word = SYNONYMS.get(name.casefold(), name.casefold())
    known = tuple(known)
    named = tuple(each for each in known if each.name.partition(".")[0].casefold() == word)
    return named or tuple(
        each for each in known if word in {other.casefold() for other in frameworks_of(each)}
    )


def meant_by(pattern: str, known: Iterable[Implementation]) -> str:
    """Return ``did you mean …?`` for a pattern that selects nothing.

    It suggests the names of the pattern's framework, or the nearest names. Functions have the names
    that people import (``tf.nn.relu``, ``torch.nn``), not the names of packages.
    """
    known = list(known)
    names = sorted({each.name for each in known if "@" in pattern or "@" not in each.name})
    head = re.split(r"[.*?\[@]", pattern, maxsplit=1)[0]
    prefixes = dict.fromkeys(each.name.partition(".")[0] for each in matching(head, known))
    if prefixes and (head not in prefixes or pattern == head):
        rest = pattern[len(head) :]
        exact = [each + rest for each in prefixes if _selects(each + rest, names)]
        offered = [repr(each) for each in exact or (f"{prefix}.*" for prefix in prefixes)]
        return f"did you mean {' or '.join(offered)}?"
    stem = re.sub(r"[*?\[\]]", "", pattern)
    return did_you_mean(stem, names).removeprefix("; ")


def _selects(pattern: str, names: Iterable[str]) -> bool:
    return any(selected(name, (pattern,)) for name in names)


def _located(error: BaseException) -> str:
    """Describe the exception in one line, with the last line of a file that it went through."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.lineno]
    files = [each for each in frames if Path(each.filename).is_file()]
    ours = (__file__, importlib.__file__, sys.modules["importlib.metadata"].__file__)
    files = [each for each in files if each.filename not in ours]
    place = f"{Path(files[-1].filename).name}, line {files[-1].lineno}: " if files else ""
    text = described(error)
    return text if isinstance(error, SyntaxError) else f"{place}{text}"


def described(error: BaseException, file: str = "") -> str:
    """Describe the exception in one line, with the line of ``file`` that it comes from."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if isinstance(error, SyntaxError):
        place = f"{Path(error.filename or file).name}, line {error.lineno}: "
        return f"{place}{one_line(type(error)(error.msg))}"
    return f"line {lines[-1]}: {one_line(error)}" if lines else one_line(error)
