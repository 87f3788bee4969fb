"""The parts of an adapter: a framework's own function, and the bridge that calls it.

An adapter module declares functions of a framework's tensors, under the names that a user would
import, and does not mention NumPy. Its `Bridge` turns the arrays of a case into tensors, lets the
framework differentiate, and turns the result back. The framework is not imported or run where the
reference is computed: `Call` objects are sent to the framework's own process. So adapter modules
refer to the framework by `deferred`, and a declaration needs no import.
"""

import functools
import importlib
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

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.floats import STANDARD
from xentcheck.implementations.layouts import laid
from xentcheck.implementations.shapes import ROWS, UPSTREAM, shaped
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity, reduces

LABEL_DTYPES = ("int64", "int32", "int16", "int8", "uint8")
LABEL_DTYPE = LABEL_DTYPES[0]
"""The dtype of integer labels by default."""

SHARED_FOLDER = "XENTCHECK_SHARED_FOLDER"
"""Environment variable that names a folder shared by all processes of a run.

They keep compiled code there. If it is not set, nothing is shared.
"""

PROGRAMS = "XENTCHECK_PROGRAMS"
"""Environment variable that names the folder where compiled programs stay between runs."""


NUMPY_DATA = ('w["logits"]', 'w["labels"]')
NUMPY_ARRAY = 'w["{}"]'
"""Expressions for the arrays in a generated script; see `Sketch`."""


_ADAPTERS = "xentcheck.implementations.frameworks."
_UNKNOWN_ARGUMENT = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")


_remarks: list[str] = []


def remark(text: str) -> None:
    """Say something about the call in progress that the report should have."""
    _remarks.append(text)


def remarks() -> tuple[str, ...]:
    """Return the remarks since the last time."""
    told = tuple(_remarks)
    _remarks.clear()
    return told


class _Deferred:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def deferred(name: str) -> Any:
    """Return a stand-in for a module that is imported when an attribute is first used."""
    return _Deferred(name)


def lacking(error: Exception, function: Callable[..., Any]) -> str:
    """Return what an adapter asked for that the installed version lacks; "" for other errors.

    The adapter may ask for an argument that the framework's function does not take, or for a
    function that the module does not have. The adapter's module may say in ``SINCE`` which version
    added an argument: ``{("optax.kl_divergence", "axis"): "optax 0.2.4"}``.
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
    except (TypeError, ValueError):  # compiled code without a signature: trust its TypeError
        return False
    keywords = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return keywords or argument in parameters


def _installed(module: str) -> str:
    """Return the installed package of a module, with its version."""
    from importlib import metadata  # noqa: PLC0415  (slow to import, rarely asked)

    top = module.partition(".")[0]
    try:
        package = metadata.packages_distributions()[top][0]
        return f"{package} {metadata.version(package)}"
    except (KeyError, metadata.PackageNotFoundError):
        return f"the installed {top}"


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One call: a framework's function, and NumPy arrays in the audited dtype.

    The bridge calls ``function(logits, labels, **parameters)`` with tensors, without ``labels`` if
    they are None. `labels` are int64 of shape (rows,), or an array of the audited dtype. Array
    parameters have the audited dtype. `per_class`: the value has the shape of the logits, and
    labels select the component of each row to differentiate. `variant` is one of `Bridge.variants`,
    or "". A gradient is multiplied by `upstream`, which has the audited dtype and shape (rows,), or
    () under a reduction; None stands for ones. The arrays may be views. A framework with strides
    must keep theirs. `tracked`: the value is computed as for a gradient, which is not taken.
    """

    function: Callable[..., Any]
    logits: Array
    labels: Array | None
    parameters: Mapping[str, Any]
    per_class: bool
    variant: str = ""
    upstream: Array | None = None
    tracked: bool = False

    @property
    def reduced(self) -> bool:
        """Whether the result is one number for the whole block."""
        return reduces(self.parameters)

    @property
    def data(self) -> tuple[Array, ...]:
        """The arguments of the function: the logits, and the labels if they enter the value."""
        if self.labels is None or self.per_class:
            return (self.logits,)
        return self.logits, self.labels

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """Return `upstream` for each result in the logits' dtype; per class, only labels get it."""
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
    """A call that a generated script has to make.

    In the script, `function` names the function, and ``w`` maps names to NumPy arrays: ``logits``,
    ``labels`` (integers if `integer` is true), and those of `parameters` that are arrays. If NumPy
    lacks the dtype, these arrays are float32. `labels` is the text of the label argument:
    ``"labels"``, ``"None"``, or ``""`` for no argument. `shapes` holds the shapes of all arrays.
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
        """The same as `Job.reduced`."""
        return reduces(self.parameters)

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the parameters that are arrays."""
        return tuple(name for name, each in self.parameters.items() if isinstance(each, np.ndarray))

    def called(self, x: str, labels: str, *more: str, array: str = "{}") -> str:
        """Return the call as Python text, on tensors with these names.

        ``array`` is the pattern of the text for an array parameter.
        """
        given = [x] if not self.labels else [x, labels if self.labels == "labels" else "None"]
        for name, value in self.parameters.items():
            made = array.format(name) if isinstance(value, np.ndarray) else _literal(value)
            given.append(f"{name}={made}")
        return f"{self.function}({', '.join((*given, *more))})"


def _literal(value: Any) -> str:
    """Write a number, a string or a bool as Python text."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def padded(array: Array, rows: int) -> Array:
    """Extend an array to ``rows`` rows with copies of its first row."""
    return np.concatenate([array, np.repeat(array[:1], rows - len(array), axis=0)])


class Bridge(ABC):
    """How to pass arrays to one framework and ask it for gradients. It has no state, and pickles.

    `variants` describes other ways to call a function, by name.
    """

    process: Process
    dtypes: tuple[str, ...] = STANDARD
    variants: Mapping[str, str] = {}
    labels_always: bool = False  # functions of per-class losses get labels too
    layouts: tuple[str, ...] = ()  # those `LAYOUTS` that arrays keep on the way to the function
    pulls: bool = False  # whether `gradient` uses `Job.upstream`
    tracks: bool = False  # whether `value` uses `Job.tracked`
    compiles: bool = False  # whether each new number of classes costs a compilation
    preparing: str = ""  # name of the function in its module that `prepared` applies

    @abstractmethod
    def value(self, job: Job) -> Array:
        """Return the function's results, in the dtype that the framework returned."""

    @contextmanager
    def visiting(self) -> Iterator[None]:
        """Restore settings of the whole process afterwards, if the bridge changes any.

        For a bridge that runs in a process other than its own.
        """
        yield

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn a user's object into a function of tensors ``(logits, labels, **parameters)``."""
        return function

    def gradient(self, job: Job) -> Array:
        """Return the gradient with respect to the logits, differentiated by the framework.

        The cotangent of each row is `job.upstream`. If the value is per class, it belongs to the
        row's component ``labels[i]``.

        Raises:
            UnsupportedError: the framework has no differentiation.
        """
        raise UnsupportedError("has no gradient of its own")

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return lines of Python that put the result of `value` or `gradient` into ``result``.

        This version is for functions that take NumPy arrays as they are.
        """
        return (f"result = {sketch.called(*NUMPY_DATA, array=NUMPY_ARRAY)}",)


def upstream_of(function: Callable[..., Any]) -> str:
    """Return the name in `UPSTREAM` that a gradient function takes as an argument; "" for none."""
    try:
        taken = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return next((each.name for each in taken if each.name in UPSTREAM and each.kind in kinds), "")


@dataclass(frozen=True, slots=True)
class _Fed:
    """A gradient function, called with the upstream gradient where its signature expects it.

    The upstream gradient comes as the keyword `name`, which is one of `UPSTREAM`. If the signature
    has that argument first or between the data, it is passed by position.
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
    """A function called through its bridge: NumPy arrays in, a NumPy array out. It pickles.

    `quantity` is what it computes. `differentiated`: the gradient comes from differentiating the
    value function; otherwise the function itself returns the gradient. `wants_labels`: the function
    requires labels even for a loss without labels. `shape` is one of `shapes.SHAPES`. Integer
    labels are converted to `label_dtype`. `upstream` names the argument by which a gradient
    function takes the upstream gradient, "" for none.
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
        """The memory layouts in which arrays can reach the function."""
        return () if self.variant else self.bridge.layouts

    @property
    def follows(self) -> bool:
        """Whether it is a gradient that takes an upstream gradient."""
        if self.quantity is Quantity.VALUE:
            return False
        return self.bridge.pulls if self.differentiated else bool(self.upstream)

    @property
    def compiles(self) -> bool:
        """Whether each new number of classes costs a compilation."""
        return self.bridge.compiles

    @property
    def tracks(self) -> bool:
        """Whether it is a value that can also be computed on the way to a gradient."""
        return self.quantity is Quantity.VALUE and not self.variant and self.bridge.tracks

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        """Call the function.

        Raises:
            UnsupportedError: this adapter's function needs something that the installed version
                lacks.
        """
        return self.computed(logits, labels, parameters, None)

    def computed(
        self,
        logits: Array,
        labels: Array | None,
        parameters: Mapping[str, Any],
        upstream: Array | None,
        *,
        tracked: bool = False,
    ) -> Array:
        """Return the result; a gradient that `follows` is multiplied by ``upstream``.

        Args:
            logits: (rows, classes), or (rows,) for an elementwise loss, in the audited dtype.
            labels: as in `Job`, or None.
            parameters: parameters of the loss by name.
            upstream: as in `Job`; None stands for ones.
            tracked: as in `Job`, for a value that `tracks`.

        Raises:
            UnsupportedError: as in `__call__`.
        """
        try:
            return self._called(logits, labels, parameters, upstream, tracked=tracked)
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
        *,
        tracked: bool,
    ) -> Array:
        per_class = LOSSES[self.loss].per_class
        function = self.function
        if hasattr(function, "resolved"):  # a user's function, which is loaded only now
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
        job = Job(function, logits, labels, parameters, per_class, self.variant, upstream, tracked)
        is_value = self.quantity is Quantity.VALUE
        return self.bridge.value(job) if is_value else self.bridge.gradient(job)


@functools.lru_cache(maxsize=64)
def _shaped(bridge: Bridge, function: Callable[..., Any], shape: str) -> Callable[..., Any]:
    """Return one object per function and shape: frameworks key compiled code by its identity."""
    return shaped(bridge.prepared(function), shape)


@dataclass(frozen=True, slots=True, eq=False)
class Pulled:
    """A gradient `Call` with an upstream gradient in the layout of its other arrays. It pickles."""

    function: Callable[..., Any]
    upstream: Array
    layout: str = ""

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        assert isinstance(self.function, Call)
        upstream = laid(self.upstream, self.layout, logits=False)
        return self.function.computed(logits, labels, parameters, upstream)


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A value `Call` that is computed on the way to a gradient. It pickles."""

    function: Callable[..., Any]

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        assert isinstance(self.function, Call)
        return self.function.computed(logits, labels, parameters, None, tracked=True)


@dataclass(frozen=True, slots=True)
class _Unlabelled:
    """A function that requires labels, for a loss without labels: it gets None."""

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
    """Return a framework's function, and every variant of it, as implementations of ``loss``.

    Args:
        bridge: calls the function.
        loss: id of the loss.
        name: as a user would import it; variants are called ``name@variant``.
        function: function of tensors, at module level so that it pickles.
        label_kinds: those it takes; by default all that the loss has.
        parameters: names of the loss's parameters that it takes.
        dtypes: those it takes; by default all that the bridge has.
        gradient: whether the framework differentiates it; or a function of the same arguments that
            returns the gradient.
        variants: names from `bridge.variants`.
        summary: printed description; by default the first line of the function's docstring.
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
