"""The user's own rows, which replace the standard sweep: read them, and make their sweep."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UsageError, did_you_mean
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, InputSpec, LabelKind, Layout, Sweep
from xentcheck.sweeps.recorded import check_own, place_of, recorded_dtype, recorded_labels

NAMED = ("logits", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """The user's own rows. Messages show ``name``; ``options`` are the options of `recorded`."""

    name: str
    options: Mapping[str, Any]

    @property
    def labels(self) -> Array | None:
        """The labels of the rows, or None."""
        return recorded_labels(self.options)


def described(inputs: Any, names: Mapping[str, str] | None = None) -> Own:
    """Make own rows of any accepted form of inputs.

    Args:
        inputs: logits, a pair of logits and labels, or a mapping of arrays by name. Or the path of
            a file, or a pair of paths: logits and labels.
        names: the names of ``logits`` and ``labels`` in the file or the mapping.

    Raises:
        UsageError: the inputs have another form, or ``names`` has another key.
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
    """Return the dtype of own rows, which is the default dtype of their audit.

    Raises UsageError if the logits are not floating-point numbers of a known format.
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
    """Return the kind of the labels of own rows; None: the loss decides."""
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
    """Return the sweep of own rows: every row once, with its own label.

    Args:
        own: the rows.
        loss: the loss to audit.
        dtypes: names of the formats.
        kind: kind of the labels.
        parameters: the axis of values of each parameter, by name.
        integers: give the targets to the implementation as int64.

    Raises:
        UsageError: the labels are not of this kind, or `check_own` refuses the rows.
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
    """Return the notes of the report about own rows."""
    told = [f"only the rows of {own.name} are audited, not the standard sweep"]
    if kind is not LabelKind.NONE and own.labels is None:
        drawn = "its rows have drawn labels, so that a row may be there several times"
        remedy = "--input-names labels=NAME says where its own are"
        told.append(f"{own.name} has no labels: {drawn}; {remedy}")
    return tuple(told)


def _is_path(given: Any) -> bool:
    return isinstance(given, str | os.PathLike)


def _array(name: str, given: Any) -> Array:
    """Convert to a NumPy array. Raises UsageError if it has no numbers."""
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
