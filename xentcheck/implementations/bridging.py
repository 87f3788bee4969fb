"""What an adapter is made of: a framework's own function, and the bridge that calls it.

An adapter module declares, in the names a user would import, functions of a framework's tensors,
and says nothing of NumPy; its `Bridge` turns the arrays of a case into tensors, has the framework
differentiate, and turns the result back. Neither is imported or run where the reference is
computed: `Call` objects travel to the framework's own process. Therefore adapter modules name the
framework by `deferred`, so that declaring costs no import.
"""

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.errors import UnsupportedError
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Implementation, LabelKind, Process, Quantity

DTYPES = ("float16", "bfloat16", "float32", "float64")
SHARED_FOLDER = "XENTCHECK_SHARED_FOLDER"
"""The environment variable that names a folder all processes of a run share, to keep what they
compile; not set: there is none."""


class _Deferred:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def deferred(name: str) -> Any:
    """The module of that name, imported when something is first taken from it."""
    return _Deferred(name)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One call: a framework's function, and NumPy arrays in the dtype that is audited.

    ``function`` is called as ``function(logits, labels, **parameters)`` with tensors, without
    ``labels`` where those are None. ``labels`` are int64 (rows,) or of the dtype; array parameters
    are of the dtype. ``per_class``: the value has the shape of the logits, and labels say which
    component of each row is differentiated. ``variant`` is one of `Bridge.variants`, or "".
    """

    function: Callable[..., Any]
    logits: Array
    labels: Array | None
    parameters: Mapping[str, Any]
    per_class: bool
    variant: str = ""

    @property
    def reduced(self) -> bool:
        """Whether one number comes back for the whole block."""
        return bool(self.parameters.get("reduction", "none") != "none")

    @property
    def data(self) -> tuple[Array, ...]:
        """What the function is called with: the logits, and labels where they enter the value."""
        if self.labels is None or self.per_class:
            return (self.logits,)
        return self.logits, self.labels

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """One for each result, of the logits' dtype; per class, for the labelled ones only."""
        if not self.per_class:
            return np.ones(shape, self.logits.dtype)
        assert self.labels is not None
        cotangent = np.zeros(shape, self.logits.dtype)
        np.put_along_axis(cotangent, self.labels[:, None], 1, axis=1)
        return cotangent


def padded(array: Array, rows: int) -> Array:
    """So many rows: those of the array, and copies of its first one."""
    return np.concatenate([array, np.repeat(array[:1], rows - len(array), axis=0)])


class Bridge(ABC):
    """How one framework is given arrays and asked for gradients. Has no state, and pickles.

    ``variants`` maps the names of other ways to call a function to what they are.
    """

    process: Process
    dtypes: tuple[str, ...] = DTYPES
    variants: Mapping[str, str] = {}
    labels_always: bool = False  # functions of per-class losses are given labels too

    @abstractmethod
    def value(self, job: Job) -> Array:
        """The results of the function, in the dtype that the framework returned."""

    def prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A user's object as a function of tensors ``(logits, labels, **parameters)``."""
        return function

    def gradient(self, job: Job) -> Array:
        """Its gradient with respect to the logits by the framework's own differentiation.

        The cotangent is one for each row (for each row's component ``labels[i]``, where the value
        is per class).

        Raises:
            UnsupportedError: the framework differentiates nothing.
        """
        raise UnsupportedError("has no gradient of its own")


@dataclass(frozen=True, slots=True)
class Call:
    """A function through its bridge: NumPy arrays in, a NumPy array out. Pickles.

    ``quantity`` is what it computes. ``differentiated``: a gradient is made of a function of the
    value; else the function itself is one of the gradient. ``wants_labels``: the function insists
    on labels also where the loss does without.
    """

    bridge: Bridge
    function: Callable[..., Any]
    loss: str
    quantity: Quantity
    variant: str = ""
    wants_labels: bool = False
    differentiated: bool = True

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        per_class = LOSSES[self.loss].per_class
        function = self.function
        if hasattr(function, "resolved"):  # a user's, loaded only now
            function = function.resolved()
        if self.quantity is Quantity.GRADIENT and not self.differentiated:
            job = Job(function, logits, labels, parameters, False, self.variant)
            return self.bridge.value(job)
        if per_class and self.wants_labels and not self.bridge.labels_always:
            function = _Unlabelled(self.bridge, function)
        job = Job(function, logits, labels, parameters, per_class, self.variant)
        is_value = self.quantity is Quantity.VALUE
        return self.bridge.value(job) if is_value else self.bridge.gradient(job)


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
