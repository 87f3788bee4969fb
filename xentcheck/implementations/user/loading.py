"""Load a user's target: a module or a file, and the attribute in it."""

import contextlib
import functools
import importlib.util
import inspect
import itertools
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from xentcheck.errors import TargetError, did_you_mean
from xentcheck.floats import INPUT_DTYPES
from xentcheck.model import ANY_PARAMETER, AUTO, Implementation, Target
from xentcheck.registry import _LABEL_KINDS, common_parameters, defined_at, described, parameters_of

_serial = itertools.count()


_files: dict[tuple[str, int], ModuleType] = {}  # loaded files, by path and modification time in ns


def load_target(target: Target) -> Implementation:
    """Return the implementation that a user's ``module:attr`` or ``path/file.py:attr`` names.

    ``attr`` may be dotted. `target.gradient` is written the same way, or as a bare name in the same
    module; ``auto`` calls `gradient_beside`. `target.parameters` are bound to the function, and to
    the gradient as far as it takes them. Bound parameters are not parameters of the implementation
    any more.

    Raises `TargetError`, which says what to do, if the target does not lead to a callable.
    """
    place, attribute = place_of(target)
    module = _load_module(place, target.target)
    value = _attribute(module, attribute, target.target)
    gradient = None
    wanted = gradient_beside(target) if target.gradient == AUTO else target.gradient
    if wanted:
        place_of_gradient, _, attribute = wanted.rpartition(":")
        if place_of_gradient not in ("", place):
            module = _load_module(place_of_gradient, wanted)
        gradient = _attribute(module, attribute, wanted)
    parameters = common_parameters(value, gradient)
    bound = dict(target.parameters)
    accepted = _bindable(value)
    for name in bound:
        if accepted not in (ANY_PARAMETER, accepted | {name}):
            message = f"the function takes no parameter {name!r}"
            raise _error(target.target, f"{message}{did_you_mean(name, sorted(accepted))}", "")
    return Implementation(
        loss=target.loss,
        name=target.name,
        value=_bind(value, bound),
        gradient=None if gradient is None else _bind(gradient, bound),
        dtypes=INPUT_DTYPES,
        label_kinds=_LABEL_KINDS,
        parameters=parameters - bound.keys(),
        summary=(inspect.getdoc(value) or "").partition("\n")[0],
        source=target.target,
        code_at=defined_at(value),
    )


def place_of(target: Target) -> tuple[str, str]:
    """Return the module or file of a target, and the attribute in it. Raises `TargetError`."""
    place, _, attribute = target.target.rpartition(":")
    if not place or not attribute:
        raise _error(
            target.target,
            "a target is written module:function or path/file.py:function",
            f"write {attribute or place}:name_of_the_function",
        )
    return place, attribute


def gradient_names(target: Target) -> tuple[str, ...]:
    """Return the names that a gradient function next to the target may have, best first."""
    name = place_of(target)[1].rpartition(".")[2]
    names = (f"{name}_gradient", f"{name}_grad", f"grad_{name}", "gradient", "grad")
    return tuple(each for each in names if each != name)


def gradient_beside(target: Target) -> str:
    """Return the gradient function next to a target, found by its name; "" if it has none."""
    place, attribute = place_of(target)
    owner, dot, _ = attribute.rpartition(".")
    holder: Any = _load_module(place, target.target)
    for part in filter(None, owner.split(".")):
        holder = getattr(holder, part, None)
    for name in gradient_names(target):
        if callable(getattr(holder, name, None)):
            return f"{owner}{dot}{name}"
    return ""


def _bindable(function: Callable[..., Any]) -> frozenset[str]:
    """Return the keyword arguments that can be bound; for a class, those of its constructor too."""
    accepted = parameters_of(function)
    if inspect.isclass(function) and accepted != ANY_PARAMETER:
        with contextlib.suppress(TypeError, ValueError):
            accepted |= inspect.signature(function).parameters.keys()
    return accepted


def _bind(function: Callable[..., Any], bound: dict[str, Any]) -> Callable[..., Any]:
    accepted = _bindable(function)
    taken = {k: v for k, v in bound.items() if accepted == ANY_PARAMETER or k in accepted}
    return functools.partial(function, **taken) if taken else function


def _load_module(place: str, target: str) -> ModuleType:
    if not place.endswith(".py"):
        with _search_path(Path.cwd()):
            return _guarded(target, place, lambda: importlib.import_module(place))
    path = Path(place)
    if not path.is_file():
        present = sorted(str(each) for each in path.parent.glob("*.py"))
        raise _error(target, f"there is no file {place}{did_you_mean(place, present)}", "")
    path = path.absolute()  # keeps links: modules imported from beside a link lie beside the link
    version = (str(path), path.stat().st_mtime_ns)
    if version not in _files:
        _files[version] = _load_file(path, target)
    return _files[version]


def _load_file(path: Path, target: str) -> ModuleType:
    name = f"xentcheck_target_{next(_serial)}_{path.stem}"

    def load() -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            message = f"{path} cannot be loaded as a module"
            raise ImportError(message)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look up their module here
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    folders = (
        path.parent,
        path.resolve().parent,
    )  # of a link, then of the file it points to
    before = set(sys.modules)
    try:
        with _search_path(*dict.fromkeys(folders)):
            return _guarded(target, str(path), load)
    finally:
        # Another target's folder may have a different module of the same name.
        for added in set(sys.modules) - before - {name}:
            origin = getattr(sys.modules[added], "__file__", None)
            if origin is not None and Path(origin).parent in folders:
                del sys.modules[added]


@contextlib.contextmanager
def _search_path(*folders: Path) -> Iterator[None]:
    saved = list(sys.path)
    sys.path[:0] = map(str, folders)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = saved


def _guarded(target: str, place: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            remedy = "write a file as path/file.py:function, or install the module"
            raise _error(target, f"there is no module {error.name!r}", remedy) from None
        remedy = f"install {error.name!r} into the environment of xentcheck"
        raise _failed_import(target, error, place, remedy) from None
    except (Exception, SystemExit) as error:
        remedy = "make it importable: python -c 'import ...' has to succeed without arguments"
        raise _failed_import(target, error, place, remedy) from None


def _attribute(module: ModuleType, dotted: str, target: str) -> Callable[..., Any]:
    found: object = module
    for name in dotted.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            known = [each for each in vars(found) if not each.startswith("_")]
            message = f"there is no {name!r} in it{did_you_mean(name, known)}"
            raise _error(target, message, "") from None
    if not callable(found):
        message = f"{dotted} is {type(found).__name__} {found!r:.60}, which cannot be called"
        raise _error(target, message, "name a function fn(logits, labels, **parameters)")
    return found


def _failed_import(target: str, error: BaseException, place: str, remedy: str) -> TargetError:
    refusal = _error(target, f"importing it failed: {described(error, place)}", remedy)
    refusal.trace = "".join(traceback.format_exception(error))
    return refusal


def _error(target: str, message: str, remedy: str) -> TargetError:
    help_line = f"\n    help: {remedy}" if remedy else ""
    return TargetError(f"{target}: {message}{help_line}")
