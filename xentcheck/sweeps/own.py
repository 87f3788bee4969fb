"""The user's own rows, instead of the standard sweep: what they are given as, and their sweep."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck.errors import UsageError, did_you_mean
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, InputSpec, LabelKind, Layout, Sweep
from xentcheck.sweeps.recorded import check_own, place_of, recorded_dtype, recorded_labels

NAMED = ("logits", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """Rows of the user's. ``name`` is for people; ``options`` are those of `recorded`."""

    name: str
    options: Mapping[str, Any]

    @property
    def labels(self) -> Array | None:
        """The labels that came with them, None for none."""
        return recorded_labels(self.options)


def described(inputs: Any, names: Mapping[str, str] | None = None) -> Own:
    """Own rows, whatever they are given as.

    Args:
        inputs: logits, a pair of logits and labels, or a mapping of arrays by name; or the path of
            a file, or the paths of two, the second of the labels.
        names: what the ``logits`` and the ``labels`` are called in the file or the mapping.

    Raises:
        UsageError: it is none of these, or a name is not one that is asked for.
    """
    names = names or {}
    for name in names:
        if name not in NAMED:
            message = f"input_names: {name!r} is no input{did_you_mean(name, NAMED)}"
            raise UsageError(message)
    options: dict[str, Any] = {"content": "input", **names}
    if _is_path(inputs):
        return Own(os.fspath(inputs), {**options, "path": os.fspath(inputs)})
    if isinstance(inputs, Mapping):
        arrays = {str(name): _array(str(name), each) for name, each in inputs.items()}
        return Own("inputs", {**options, "path": arrays})
    pair = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if not 1 <= len(pair) <= len(NAMED):
        message = f"inputs: {len(pair)} of them; expected logits, or logits and labels"
        raise UsageError(message)
    paths = [_is_path(each) for each in pair]
    if all(paths):
        logits, *labels = map(os.fspath, pair)
        options["path"] = logits
        if labels:
            options["labels_path"] = labels[0]
        return Own(" and ".join([logits, *labels]), options)
    if any(paths):
        message = "inputs: a path and an array; give both as paths, or both as arrays"
        raise UsageError(message)
    given = dict(zip(NAMED, pair, strict=False))
    arrays = {name: _array(name, each) for name, each in given.items() if each is not None}
    return Own("inputs", {**options, "path": arrays})


def dtype_of(own: Own) -> str:
    """The dtype that own rows are audited in, unless another is asked for.

    Raises UsageError where their numbers have none.
    """
    path = own.options["path"]
    found = recorded_dtype(path, own.options.get("logits"))
    if found is None:
        message = (
            f"{place_of(path, own.options.get('logits', ''))}: the logits are no floating-point "
            "numbers\n    help: save them as such: logits.astype(np.float32)"
        )
        raise UsageError(message)
    return found


def kind_of(own: Own, loss: Loss) -> str | None:
    """What kind of labels came with own rows; None leaves it to the loss."""
    labels = own.labels
    if labels is None or loss.layout is Layout.ELEMENTWISE:
        return None
    whole = labels.dtype.kind in "iu"
    if not whole and labels.ndim > 1 and LabelKind.DISTRIBUTION in loss.label_kinds:
        return LabelKind.DISTRIBUTION
    return None


def sweeps(
    own: Own,
    loss: Loss,
    dtypes: Sequence[str],
    kind: LabelKind,
    parameters: Mapping[str, tuple[Any, ...]],
    *,
    integers: bool,
) -> tuple[Sweep, ...]:
    """The sweep of own rows: every one of them once, with its own label.

    Raises UsageError for labels that are not of the kind.
    """
    check_own(own.options, loss.domain, loss.layout)
    labels = own.labels
    place = place_of(own.options["path"], own.options.get("labels", "labels"))
    if labels is not None and kind is LabelKind.DISTRIBUTION and labels.ndim < 2:
        message = (
            f"{place}: labels of shape {labels.shape} are classes, not distributions\n"
            f"    help: {loss.id} takes a number for every class here"
        )
        raise UsageError(message)
    if labels is not None and kind is LabelKind.INTEGER and labels.dtype.kind not in "iu":
        message = (
            f"{place}: labels of type {labels.dtype} where integers are expected\n"
            "    help: save the classes as integers: labels.astype(np.int64)"
        )
        raise UsageError(message)
    return (
        Sweep(
            name="inputs",
            losses=(loss.id,),
            dtypes=tuple(dtypes),
            inputs=(InputSpec("recorded", own.options),),
            label_kind=kind,
            parameters=dict(parameters),
            integers=integers,
        ),
    )


def notes(own: Own, loss: Loss, kind: LabelKind) -> tuple[str, ...]:
    """What to say of own rows."""
    told = [f"only the rows of {own.name} are audited, not the standard sweep"]
    if kind is not LabelKind.NONE and own.labels is None:
        drawn = "its rows have drawn labels, so that a row may be there several times"
        remedy = "--input-names labels=NAME says where its own are"
        told.append(f"{own.name} has no labels: {drawn}; {remedy}")
    return tuple(told)


def _is_path(given: Any) -> bool:
    return isinstance(given, str | os.PathLike)


def _array(name: str, given: Any) -> Array:
    """An array of NumPy's, of whatever has its numbers. Raises UsageError for what has none."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor):
        plain = given.detach().cpu().contiguous()
        if plain.dtype is torch.bfloat16:
            return np.asarray(plain.view(torch.int16).numpy()).view("V2")
        return np.asarray(plain.numpy())
    try:
        array = np.asarray(given)
    except Exception as error:
        message = f"inputs: {name}: {type(given).__name__} is no array ({error})"
        raise UsageError(message) from None
    if array.dtype.kind in "OUSmM":
        message = f"inputs: {name}: {type(given).__name__} of {array.dtype} has no numbers"
        raise UsageError(message)
    return array
