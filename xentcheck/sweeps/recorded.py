"""Logits that a model produced, read from .npy, .npz, .safetensors and .pt files.

The readers run no code from the file. NumPy refuses pickled objects. torch reads weights only, in
its own process. The header of a safetensors file is plain JSON; its sizes and offsets are checked
before anything is read. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UsageError, did_you_mean, nearest
from xentcheck.floats import FORMATS, format_of, to_float64
from xentcheck.model import Array, Domain, Float64Array, Layout, Option
from xentcheck.sweeps.generator import (
    DOMAIN_BOUNDS,
    EVERY_LAYOUT,
    Batch,
    Generator,
    Origin,
    Request,
)
from xentcheck.sweeps.rows import chunk_rows

SUFFIXES = (".npy", ".npz", ".safetensors", ".pt", ".pth")
LOGIT_NAMES = (
    *("logits", "scores", "outputs", "output", "predictions", "preds", "y_pred"),
    *("probabilities", "probs", "log_probs", "logprobs", "log_probabilities", "x", "input"),
)
"""Usual names of an array of logits, the most likely name first."""
LABEL_NAMES = ("labels", "label", "targets", "target", "y", "y_true", "ground_truth")
"""Usual names of an array of labels, the most likely name first."""
_CONVERTED = {
    ".csv": "np.loadtxt('{path}', delimiter=',')",
    ".tsv": "np.loadtxt('{path}', delimiter='\\t')",
    ".txt": "np.loadtxt('{path}')",
    ".json": "__import__('json').load(open('{path}'))",
    ".pkl": "__import__('pickle').load(open('{path}', 'rb'))",
    ".pickle": "__import__('pickle').load(open('{path}', 'rb'))",
    ".parquet": "__import__('pandas').read_parquet('{path}').to_numpy()",
}
"""Code that makes an array of a file of an unsupported type, by suffix."""
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library itself
_SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
}
"""Names of dtypes, by those of safetensors."""


def read_arrays(
    path: str | Path | Mapping[str, Array], wanted: Sequence[str] = ()
) -> dict[str, Array]:
    """Return the arrays of a file by name, read-only. An .npy file has one array, named "".

    ``wanted`` names the arrays to read from an archive (empty: all). The arrays of .npy and
    .safetensors files are mapped: parts come into memory when they are used. A mapping of arrays is
    returned as it is. Raises UsageError, with the path and the reason, if a file cannot be read.
    """
    if isinstance(path, Mapping):
        return dict(path)
    path = Path(path)
    try:
        if path.suffix not in SUFFIXES:
            raise UsageError(_refused(path))
        stat = path.stat()
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return dict(_read(path, tuple(wanted), version))
    except FileNotFoundError:
        message = f"{path}: no such file"
        known = path.parent.glob("*") if path.parent.is_dir() else ()
        best = nearest(path.name, [each.name for each in known if each.suffix in SUFFIXES])
        message += f"; did you mean {str(path.with_name(best))!r}?" if best else ""
        raise UsageError(message) from None
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror or error}"
        raise UsageError(message) from None
    except (ValueError, EOFError, RecursionError, MemoryError) as error:
        message = f"{path}: not a valid {path.suffix} file: {error}"
        raise UsageError(message) from None
    except (zipfile.BadZipFile, zlib.error) as error:
        message = f"{path}: a damaged {path.suffix} file: {error}"
        raise UsageError(message) from None


def _refused(path: Path) -> str:
    """Say why a file is not read, and how to convert it if that is known."""
    message = f"{path}: recorded logits come from {', '.join(SUFFIXES)} files"
    made = _CONVERTED.get(path.suffix.lower())
    if made is None:
        return message
    new = path.with_suffix(".npy")
    code = f"import numpy as np; np.save('{new}', {made.format(path=path)})"
    return f"{message}\n    help: convert it: python -c {_quoted(code)}"


def _quoted(code: str) -> str:
    """Quote code for a shell: in double quotes if possible, because it has single quotes itself."""
    return shlex.quote(code) if any(each in code for each in '"$`\\!') else f'"{code}"'


@lru_cache(maxsize=4)  # every loss and dtype of a sweep reads the same file
def _read(path: Path, wanted: tuple[str, ...], _version: tuple[int, ...]) -> Mapping[str, Array]:
    if path.suffix == ".safetensors":
        return _read_safetensors(path, wanted)
    if path.suffix in (".pt", ".pth"):
        return _read_torch(path)
    if path.suffix == ".npy":
        return {"": np.asarray(np.lib.format.open_memmap(path, mode="r"))}
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            arrays = {"": loaded}
        else:
            names = [name for name in loaded.files if not wanted or name in wanted]
            arrays = {name: np.asarray(loaded[name]) for name in names}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


_TORCH = """
import sys, numpy as np, torch
found = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
if isinstance(found, torch.Tensor):
    found = {"": found}
elif isinstance(found, (tuple, list)):
    found = dict(zip(("logits", "labels"), found))
arrays = {}
for name, each in found.items():
    if isinstance(each, torch.Tensor):
        each = each.detach().contiguous()
        bits = each.dtype == torch.bfloat16
        array = (each.view(torch.int16) if bits else each).numpy()
        arrays[name or "logits"] = array.view("V2") if bits else array
np.savez(sys.argv[2], **arrays)
"""
"""Script for a process that imports torch: it saves the tensors of a file as a .npz archive."""


def _read_torch(path: Path) -> Mapping[str, Array]:
    """Return the tensors of a torch file. torch reads weights only, so the file runs no code."""
    path.stat()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "arrays.npz"
        command = [sys.executable, "-c", _TORCH, str(path), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it died"])[-1]
            new = path.with_suffix(".npz")
            code = (
                "import torch, numpy as np; d = torch.load("
                f"'{path}'); np.savez('{new}', logits=d['logits'].float(), labels=d['labels'])"
            )
            message = f"{last}\n    help: where torch is: python -c {_quoted(code)}"
            raise ValueError(message)
        with np.load(made, allow_pickle=False) as loaded:
            arrays = {name: np.asarray(loaded[name]) for name in loaded.files}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def _read_safetensors(path: Path, wanted: Sequence[str]) -> dict[str, Array]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            message = f"its header claims {length} bytes, and the file has {size}"
            raise ValueError(message)
        header = json.loads(file.read(length))
        if not isinstance(header, dict):
            message = "its header is no JSON object"
            raise ValueError(message)
        arrays = {}
        for name, entry in header.items():
            if name == "__metadata__" or (wanted and name not in wanted):
                continue
            dtype, shape, first = _entry(name, entry, size - 8 - length)
            arrays[name] = _mapped(path, dtype, shape, 8 + length + first)
    return arrays


def _entry(name: str, entry: Any, most: int) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Return dtype, shape and first byte of one tensor, after checks against the file's size."""
    try:
        code, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        message = f"the header of tensor {name!r} lacks dtype, shape or data_offsets"
        raise ValueError(message) from None
    numbers = (*shape, first, last)
    if not all(isinstance(each, int) and each >= 0 for each in numbers) or last > most:
        message = f"tensor {name!r} has an impossible shape or offset"
        raise ValueError(message)
    if code not in _SAFETENSORS_DTYPES:
        message = f"tensor {name!r} is of type {code!r}; known: {', '.join(_SAFETENSORS_DTYPES)}"
        raise ValueError(message)
    known = FORMATS.get(_SAFETENSORS_DTYPES[code])
    dtype = np.dtype(_SAFETENSORS_DTYPES[code]) if known is None else known.dtype
    if math.prod(shape) * dtype.itemsize != last - first:
        message = f"tensor {name!r} of shape {shape} does not fill its {last - first} bytes"
        raise ValueError(message)
    return dtype, shape, first


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Array:
    """Return an array that is mapped from its file. An empty array is made in memory instead."""
    little = dtype.newbyteorder("<")
    if not math.prod(shape):
        return np.empty(shape, little)
    return np.asarray(np.memmap(path, little, mode="r", offset=offset, shape=shape))


def _recorded(request: Request) -> Iterator[Batch]:
    options = request.options
    path, labels_path = options["path"], options["labels_path"]
    arrays = read_arrays(path)
    name = _logits_name(arrays, path, options["logits"])
    logits = _plain(arrays[name])
    origin = place_of(path, name)
    if format_of(logits.dtype) is None:
        message = (
            f"{origin}: logits of type {logits.dtype}; known: {', '.join(FORMATS)}\n"
            "    help: save them as floats, such as logits.astype(np.float32)"
        )
        raise UsageError(message)
    if logits.ndim == 0 or not logits.size:
        message = f"{origin}: logits of shape {logits.shape} have no rows"
        raise UsageError(message)
    elementwise = request.layout is Layout.ELEMENTWISE
    rows = logits.reshape(-1, logits.shape[-1])
    lead = logits.shape if elementwise else logits.shape[:-1]
    labels, labels_origin = _labels(options, arrays, name)
    if labels is not None:
        labels = _fitted(
            labels, logits, labels_origin, path if labels_path is None else labels_path
        )
    most = options["rows"]
    if most is not None:
        lead = ()
    rows = rows[:most]
    labels = None if labels is None else labels[:most]
    if elementwise:
        fits = labels is not None and labels.shape == rows.shape
        labels = labels.ravel() if labels is not None and fits else None
    verbatim = options["content"] == "input"
    given = rows.ravel() if elementwise else rows
    classes = 0 if elementwise else rows.shape[1]
    make = partial(_widened, given)
    yield Batch(
        len(given),
        classes,
        make,
        verbatim=verbatim,
        saturate=False,
        labels=labels,
        origin=Origin(labels_origin, lead),
    )


def place_of(path: Any, name: str) -> str:
    """Return the words by which a message names an array of a file or of memory."""
    file = "inputs" if isinstance(path, Mapping) else str(path)
    return f"{file}: array {name!r}" if name else file


def _labels(
    options: Mapping[str, Any], arrays: Mapping[str, Array], logits: str
) -> tuple[Array | None, str]:
    """Return the labels, or None, and the words by which a message names them."""
    path, labels_path, wanted = (options[key] for key in ("path", "labels_path", "labels"))
    if labels_path is not None:
        path, arrays, logits = labels_path, read_arrays(labels_path), ""
    if wanted is not None and "" in arrays and labels_path is None:
        message = (
            f"{path}: an .npy file has one array, and no labels {wanted!r}\n"
            "    help: give the file of the labels as well (labels_path), or save both in one: "
            "np.savez('both.npz', logits=logits, labels=labels)"
        )
        raise UsageError(message)
    if wanted is not None and "" not in arrays:
        if wanted not in arrays:
            message = f"{path} has no array {wanted!r}{did_you_mean(wanted, arrays)}"
            raise UsageError(message)
        name = wanted
    elif labels_path is not None and len(arrays) == 1:
        name = next(iter(arrays))
    else:
        guesses = [each for each in LABEL_NAMES if each in arrays and each != logits]
        if not guesses and labels_path is not None:
            message = f"{path} has no array 'labels'; name one with labels: {', '.join(arrays)}"
            raise UsageError(message)
        if not guesses:
            return None, ""
        name = guesses[0]
    return _plain(arrays[name]), place_of(path, name)


def _fitted(labels: Array, logits: Array, origin: str, path: Any) -> Array:
    """Reshape labels to one row per row of logits. Raises UsageError if the shape does not fit."""
    classes = logits.shape[-1]
    if labels.shape == logits.shape:
        return labels.reshape(-1, classes)
    if labels.shape == logits.shape[:-1] or labels.shape == (1,) == (logits.ndim,):
        return labels.reshape(-1)
    if labels.shape == (*logits.shape[:-1], 1):
        help_ = "drop the last axis: labels[..., 0]"
    else:
        help_ = f"labels have shape {logits.shape[:-1]}, or {logits.shape} where each class has one"
    message = f"{origin}: labels of shape {labels.shape} for logits of shape {logits.shape}"
    raise UsageError(f"{message}\n    help: {help_}")


def _check_targets(labels: Array, rows: Array, origin: Origin, *, fits: bool) -> None:
    """Refuse labels that are not targets of single numbers; raises UsageError."""
    if not fits:
        message = (
            f"{origin.array}: labels of shape {labels.shape} for single numbers of shape "
            f"{rows.shape}\n    help: this loss takes a target from 0 to 1 for every number"
        )
        raise UsageError(message)
    flat = labels.ravel()
    numbers = flat.astype(np.float64) if format_of(flat.dtype) is None else to_float64(flat)
    wrong = (numbers < 0) | (numbers > 1)
    if wrong.any():
        at = int(np.argmax(wrong))
        message = (
            f"{origin.row(at)}: label {numbers[at]:g} is no target\n"
            "    help: this loss takes a target from 0 to 1 for every number"
        )
        raise UsageError(message)


def _widened(rows: Array, first: int, last: int) -> Float64Array:
    return to_float64(rows[first:last])


def check_own(options: Mapping[str, Any], domain: Domain, layout: Layout) -> None:
    """Refuse the user's own rows outside a loss's domain, and invalid targets; raises UsageError.

    ``options`` are the options of `recorded`; ``path`` is required. Rows that a configuration names
    are not checked, because they go to several losses.
    """
    path = options["path"]
    arrays = read_arrays(path)
    name = _logits_name(arrays, path, options.get("logits"))
    logits = _plain(arrays[name])
    if format_of(logits.dtype) is None or logits.ndim == 0:
        return  # `_recorded` refuses it
    elementwise = layout is Layout.ELEMENTWISE
    lead = logits.shape if elementwise else logits.shape[:-1]
    rows = logits.reshape(-1, logits.shape[-1])
    if domain is not Domain.LOGITS:
        step = chunk_rows(rows.shape[1])
        for first in range(0, len(rows), step):
            _check_inside(rows[first : first + step], first, domain, Origin(place_of(path, name)))
    filled = {"labels_path": None, "labels": None, **options}
    labels, origin = _labels(filled, arrays, name)
    if elementwise and labels is not None:
        _check_targets(labels, logits, Origin(origin, lead), fits=labels.shape == logits.shape)


def _check_inside(rows: Array, first: int, domain: Domain, origin: Origin) -> None:
    numbers = to_float64(rows)
    lowest, highest = DOMAIN_BOUNDS[domain]
    wrong = (numbers < lowest) | (numbers > highest)
    if wrong.any():
        at = tuple(int(each) for each in np.argwhere(wrong)[0])
        what = "probability" if domain is Domain.PROBABILITIES else "logarithm of a probability"
        message = (
            f"{origin.row(first + at[0])}: {float(numbers[at])!r} is no {what}\n"
            f"    help: this loss takes {domain}; there are others that take logits "
            "(xentcheck list losses)"
        )
        raise UsageError(message)


def _plain(array: Array) -> Array:
    """Restore bfloat16, which NumPy saves as two bytes without a type name."""
    if array.dtype.kind == "V" and array.dtype.names is None and array.dtype.itemsize == 2:
        return array.view(FORMATS["bfloat16"].dtype)
    return array


def _logits_name(arrays: Mapping[str, Array], path: Any, key: str | None) -> str:
    """Return the array of logits: the named one, one with a usual name, or the only one left."""
    if "" in arrays:
        return ""
    if key is not None:
        if key not in arrays:
            message = f"{path} has no array {key!r}{did_you_mean(key, arrays)}"
            raise UsageError(message)
        return key
    for name in LOGIT_NAMES:
        if name in arrays:
            return name
    others = [name for name in arrays if name not in LABEL_NAMES]
    if len(others) == 1:
        return others[0]
    if len(arrays) == 1:
        return next(iter(arrays))
    message = f"{path} has no array 'logits'; name one with logits: {', '.join(arrays)}"
    raise UsageError(message)


def recorded_dtype(path: Any, logits: str | None = None) -> str | None:
    """Return the dtype of recorded logits; None if losses are not audited in it.

    Raises UsageError if the file cannot be read.
    """
    arrays = read_arrays(path)
    found = format_of(_plain(arrays[_logits_name(arrays, path, logits)]).dtype)
    return None if found is None else found.name


def recorded_labels(options: Mapping[str, Any]) -> Array | None:
    """Return the labels of a recording, or None. Raises UsageError if they cannot be read."""
    arrays = read_arrays(options["path"])
    logits = _logits_name(arrays, options["path"], options.get("logits"))
    filled = {"labels_path": None, "labels": None, **options}
    return _labels(filled, arrays, logits)[0]


RECORDED = (
    Generator(
        "recorded",
        "logits recorded from a model, in a .npy, .npz, .safetensors or .pt file",
        (
            Option("path", "path", "the file; its last axis is the classes", required=True),
            Option(
                "logits",
                "text",
                "name of the array (a usual one such as `logits`, or the only one)",
            ),
            Option(
                "labels",
                "text",
                "name of the array of labels (a usual one such as `labels`, where there is one)",
            ),
            Option("labels_path", "path", "the file of the labels, where they have their own"),
            Option("rows", "integer", "how many rows to take from the start; none: all", minimum=1),
            Option(
                "content",
                "choice",
                "logits are turned into probabilities for a loss that takes those; "
                "input is given to the loss as it stands",
                "logits",
                choices=("logits", "input"),
            ),
        ),
        EVERY_LAYOUT,
        _recorded,
    ),
)
