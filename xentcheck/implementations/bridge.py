"""What an adapter is made of: a framework's own function, and the bridge that calls it.

An adapter module declares, in the names a user would import, functions of a framework's tensors,
and says nothing of NumPy; its `Bridge` turns the arrays of a case into tensors, has the framework
differentiate, and turns the result back. Neither is imported or run where the reference is
computed: `Call` objects travel to the framework's own process. Therefore adapter modules name the
framework by `deferred`, so that declaring costs no import.
"""

import functools
import importlib
import importlib.metadata
import inspect
import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from xentcheck.errors import UnsupportedError
from xentcheck.floats import STANDARD
from xentcheck.implementations.layouts import laid
from xentcheck.implementations.shapes import ROWS, UPSTREAM, shaped
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity, reduces

LABEL_DTYPES = ("int64", "int32", "int16", "int8", "uint8")
LABEL_DTYPE = LABEL_DTYPES[0]
"""Of integer labels, unless something else is asked for."""

SHARED_FOLDER = "XENTCHECK_SHARED_FOLDER"
"""The environment variable that names a folder all processes of a run share, to keep what they
compile; not set: there is none."""


NUMPY_DATA = ('w["logits"]', 'w["labels"]')
NUMPY_ARRAY = 'w["{}"]'
"""How a script writes its arrays; see `Sketch`."""


_ADAPTERS = "xentcheck.implementations.frameworks."
_UNKNOWN_ARGUMENT = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")


class _Deferred:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def deferred(name: str) -> Any:
    """The module of that name, imported when something is first taken from it."""
    return _Deferred(name)


def lacking(error: Exception, function: Callable[..., Any]) -> str:
    """What an adapter asked for that the installed version does not have; "" if it is not that.

    An argument is one that the signature of the framework's function does not have, a function one
    that its module does not have. The adapter's module may say in ``SINCE`` which version has an
    argument: ``{("optax.kl_divergence", "axis"): "optax 0.2.4"}``.
    """
    name = getattr(function, "__module__", None) or ""
    adapters = sys.modules.get(name)
    if adapters is None or not name.startswith(_ADAPTERS):
        return ""
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return f"{error.obj.__name__}.{error.name} is not in {_installed(error.obj.__name__)}"
    refused = _UNKNOWN_ARGUMENT.search(str(error)) if isinstance(error, TypeError) else None
    if refused is None:
        return ""
    called, argument = refused.groups()
    for module in [each for each in vars(adapters).values() if isinstance(each, _Deferred)]:
        found = getattr(module, called, None)
        if callable(found) and not _takes(found, argument):
            whole = f"{module._name}.{called}"
            since = getattr(adapters, "SINCE", {}).get((whole, argument))
            remedy = f"; {since} has it" if since else ""
            return f"{whole} of {_installed(module._name)} has no argument {argument}{remedy}"
    return ""


def _takes(function: Callable[..., Any], argument: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # compiled code that tells nothing: its refusal stands
        return False
    keywords = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return keywords or argument in parameters


def _installed(module: str) -> str:
    """A module's package and its version, as they are installed."""
    top = module.partition(".")[0]
    try:
        package = importlib.metadata.packages_distributions()[top][0]
        return f"{package} {importlib.metadata.version(package)}"
    except (KeyError, importlib.metadata.PackageNotFoundError):
        return f"the installed {top}"


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One call: a framework's function, and NumPy arrays in the dtype that is audited.

    ``function`` is called as ``function(logits, labels, **parameters)`` with tensors, without
    ``labels`` where those are None. ``labels`` are int64 (rows,) or of the dtype; array parameters
    are of the dtype. ``per_class``: the value has the shape of the logits, and labels say which
    component of each row is differentiated. ``variant`` is one of `Bridge.variants`, or "".
    ``upstream`` is what a gradient is multiplied by, of the dtype: (rows,), or () under a
    reduction; None stands for ones. The arrays may be views: their strides are to be kept where the
    framework has any.
    """

    function: Callable[..., Any]
    logits: Array
    labels: Array | None
    parameters: Mapping[str, Any]
    per_class: bool
    variant: str = ""
    upstream: Array | None = None

    @property
    def reduced(self) -> bool:
        """Whether one number comes back for the whole block."""
        return reduces(self.parameters)

    @property
    def data(self) -> tuple[Array, ...]:
        """What the function is called with: the logits, and labels where they enter the value."""
        if self.labels is None or self.per_class:
            return (self.logits,)
        return self.logits, self.labels

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """``upstream`` for each result, of the logits' dtype; per class, for the labelled ones."""
        given = np.ones((), self.logits.dtype) if self.upstream is None else self.upstream
        if not self.per_class:
            return np.broadcast_to(given, shape).copy()
        assert self.labels is not None
        cotangent = np.zeros(shape, self.logits.dtype)
        each = given.reshape(-1, 1) if given.ndim else given
        np.put_along_axis(cotangent, self.labels[:, None], each, axis=1)
        return cotangent


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """A call that a script of its own has to make.

    The script has the function by the name ``function``, and ``w`` maps names to NumPy arrays:
    ``logits``, ``labels`` (integer where ``integer`` is true), and the ``parameters`` that are
    arrays; numbers of the dtype are float32 there where NumPy has no such dtype. ``labels`` is what
    the call is given for them: ``"labels"``, ``"None"``, or ``""`` for nothing. ``shapes`` are
    those of all arrays.
    """

    function: str
    quantity: Quantity
    dtype: str
    labels: str
    integer: bool
    parameters: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    per_class: bool
    variant: str = ""

    @property
    def reduced(self) -> bool:
        """As of a `Job`."""
        return reduces(self.parameters)

    @property
    def arrays(self) -> tuple[str, ...]:
        """The parameters that are arrays."""
        return tuple(name for name, each in self.parameters.items() if isinstance(each, np.ndarray))

    def called(self, x: str, labels: str, *more: str, array: str = "{}") -> str:
        """The call in Python, of tensors by these names; ``array`` makes one of a parameter."""
        given = [x] if not self.labels else [x, labels if self.labels == "labels" else "None"]
        for name, value in self.parameters.items():
            made = array.format(name) if isinstance(value, np.ndarray) else _literal(value)
            given.append(f"{name}={made}")
        return f"{self.function}({', '.join((*given, *more))})"


def _literal(value: Any) -> str:
    """A number, a word or a truth value in Python."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def padded(array: Array, rows: int) -> Array:
    """So many rows: those of the array, and copies of its first one."""
    return np.concatenate([array, np.repeat(array[:1], rows - len(array), axis=0)])


class Bridge(ABC):
    """How one framework is given arrays and asked for gradients. Has no state, and pickles.

    ``variants`` maps the names of other ways to call a function to what they are.
    """

    process: Process
    dtypes: tuple[str, ...] = STANDARD
    variants: Mapping[str, str] = {}
    labels_always: bool = False  # functions of per-class losses are given labels too
    layouts: tuple[str, ...] = ()  # those of `LAYOUTS` that arrays keep on their way
    pulls: bool = False  # whether `gradient` heeds `Job.upstream`
    preparing: str = ""  # the function of its module that `prepared` is

    @abstractmethod
    def value(self, job: Job) -> Array:
        """The results of the function, in the dtype that the framework returned."""

    @contextmanager
    def visiting(self) -> Iterator[None]:
        """In a process that is not its own: puts back what it sets for the whole of it."""
        yield

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A user's object as a function of tensors ``(logits, labels, **parameters)``."""
        return function

    def gradient(self, job: Job) -> Array:
        """Its gradient with respect to the logits by the framework's own differentiation.

        The cotangent is ``job.upstream`` for each row (for each row's component ``labels[i]``,
        where the value is per class).

        Raises:
            UnsupportedError: the framework differentiates nothing.
        """
        raise UnsupportedError("has no gradient of its own")

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Lines of Python that leave in ``result`` what `value` or `gradient` gives.

        Here of functions that are given the arrays as they are.
        """
        return (f"result = {sketch.called(*NUMPY_DATA, array=NUMPY_ARRAY)}",)


def upstream_of(function: Callable[..., Any]) -> str:
    """Which of `UPSTREAM` a gradient function takes, "" for none."""
    try:
        taken = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return next((each.name for each in taken if each.name in UPSTREAM and each.kind in kinds), "")


@dataclass(frozen=True, slots=True)
class _Fed:
    """A gradient function that gets the upstream gradient where its signature has it.

    ``name`` is one of `UPSTREAM`, by which the gradient comes as a keyword. As the first argument,
    or between the data, it is given by its place.
    """

    function: Callable[..., Any]
    name: str

    def __call__(self, *data: Any, **parameters: Any) -> Any:
        taken = inspect.signature(self.function).parameters
        place = list(taken).index(self.name)
        if taken[self.name].kind is inspect.Parameter.KEYWORD_ONLY or place > len(data):
            return self.function(*data, **parameters)
        given = list(data)
        given.insert(place, parameters.pop(self.name))
        return self.function(*given, **parameters)


@dataclass(frozen=True, slots=True)
class Call:
    """A function through its bridge: NumPy arrays in, a NumPy array out. Pickles.

    ``quantity`` is what it computes. ``differentiated``: a gradient is made of a function of the
    value; else the function itself is one of the gradient. ``wants_labels``: the function insists
    on labels also where the loss does without. ``shape`` is one of `shapes.SHAPES`, and integer
    labels are of ``label_dtype``. ``upstream`` is the argument by which a function of the gradient
    takes the upstream one, "" for none.
    """

    bridge: Bridge
    function: Callable[..., Any]
    loss: str
    quantity: Quantity
    variant: str = ""
    wants_labels: bool = False
    differentiated: bool = True
    shape: str = ROWS
    label_dtype: str = LABEL_DTYPE
    upstream: str = ""

    @property
    def layouts(self) -> tuple[str, ...]:
        """The memory layouts in which arrays reach the function."""
        return () if self.variant else self.bridge.layouts

    @property
    def follows(self) -> bool:
        """Whether it is a gradient that can be given an upstream one."""
        if self.quantity is Quantity.VALUE:
            return False
        return self.bridge.pulls if self.differentiated else bool(self.upstream)

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        """Call it.

        Raises:
            UnsupportedError: this adapter's function asks for what the installed version lacks.
        """
        return self.computed(logits, labels, parameters, None)

    def computed(
        self,
        logits: Array,
        labels: Array | None,
        parameters: Mapping[str, Any],
        upstream: Array | None,
    ) -> Array:
        """What it computes; a gradient times ``upstream``, as of a `Job`, where it `follows`.

        Raises what `__call__` does.
        """
        try:
            return self._called(logits, labels, parameters, upstream)
        except (AttributeError, TypeError) as error:
            reason = lacking(error, self.function)
            if reason:
                raise UnsupportedError(reason) from error
            raise

    def _called(
        self,
        logits: Array,
        labels: Array | None,
        parameters: Mapping[str, Any],
        upstream: Array | None,
    ) -> Array:
        per_class = LOSSES[self.loss].per_class
        function = self.function
        if hasattr(function, "resolved"):  # a user's, loaded only now
            function = function.resolved()
        if self.shape != ROWS:
            function = _shaped(self.bridge, function, self.shape)
        if self.label_dtype != LABEL_DTYPE and labels is not None and labels.dtype.kind == "i":
            labels = labels.astype(self.label_dtype)
        if self.quantity is Quantity.GRADIENT and not self.differentiated:
            if self.upstream:
                if upstream is None:
                    upstream = np.ones(() if reduces(parameters) else len(logits), logits.dtype)
                function = _Fed(function, self.upstream)
                parameters = {**parameters, self.upstream: upstream}
            job = Job(function, logits, labels, parameters, False, self.variant)
            return self.bridge.value(job)
        if per_class and self.wants_labels and not self.bridge.labels_always:
            function = _Unlabelled(self.bridge, function)
        job = Job(function, logits, labels, parameters, per_class, self.variant, upstream)
        is_value = self.quantity is Quantity.VALUE
        return self.bridge.value(job) if is_value else self.bridge.gradient(job)


@functools.lru_cache(maxsize=64)
def _shaped(bridge: Bridge, function: Callable[..., Any], shape: str) -> Callable[..., Any]:
    """One object for each, for frameworks keep what they compile by its identity."""
    return shaped(bridge.prepared(function), shape)


@dataclass(frozen=True, slots=True, eq=False)
class Pulled:
    """A `Call` of a gradient with an upstream one, laid out as its other arrays are. Pickles."""

    function: Callable[..., Any]
    upstream: Array
    layout: str = ""

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        assert isinstance(self.function, Call)
        upstream = laid(self.upstream, self.layout, logits=False)
        return self.function.computed(logits, labels, parameters, upstream)


@dataclass(frozen=True, slots=True)
class _Unlabelled:
    """A function that insists on labels, for a loss that has none: it gets None."""

    bridge: Bridge
    function: Callable[..., Any]

    def __call__(self, logits: Any, **parameters: Any) -> Any:
        return self.bridge.prepared(self.function)(logits, None, **parameters)


def adapter(
    bridge: Bridge,
    loss: str,
    name: str,
    function: Callable[..., Any],
    *,
    label_kinds: Iterable[LabelKind] = (),
    parameters: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    gradient: bool | Callable[..., Any] = True,
    variants: Iterable[str] = (),
    summary: str = "",
) -> tuple[Implementation, ...]:
    """A framework's function, and every variant of it, as implementations of ``loss``.

    Args:
        name: as a user would import it; variants are called ``name@variant``.
        function: of tensors; at module level, so that it pickles.
        label_kinds: those it takes; all that the loss has unless given.
        parameters: the loss's parameters that it takes.
        dtypes: those it takes; all that the bridge has unless given.
        gradient: whether the framework differentiates it; or a function of the same arguments
            that returns the gradient.
        variants: names out of ``bridge.variants``.
    """
    spec = LOSSES[loss]
    about = summary or (inspect.getdoc(function) or "").partition("\n")[0]

    def made(variant: str) -> Implementation:
        by_function = None if isinstance(gradient, bool) else gradient
        back: Call | None = None
        if by_function is not None:
            back = Call(bridge, by_function, loss, Quantity.GRADIENT, variant, False, False)
        elif gradient:
            back = Call(bridge, function, loss, Quantity.GRADIENT, variant)
        return Implementation(
            loss=loss,
            name=f"{name}@{variant}" if variant else name,
            value=Call(bridge, function, loss, Quantity.VALUE, variant),
            gradient=back,
            dtypes=tuple(dtypes) or bridge.dtypes,
            label_kinds=tuple(label_kinds) or spec.label_kinds,
            parameters=frozenset(parameters),
            summary=f"{about.rstrip('.')}: {bridge.variants[variant]}" if variant else about,
            source=f"{function.__module__}:{function.__qualname__}",
            process=bridge.process,
            plain=name if variant else "",
        )

    return tuple(made(variant) for variant in ("", *variants))
