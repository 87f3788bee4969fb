"""Logits that a model really produced, read from .npy, .npz and .safetensors.

The readers run no code from the file: pickled objects are refused, and the header of a
safetensors file is plain JSON whose sizes and offsets are checked before anything is read.
Format of the latter: https://github.com/huggingface/safetensors#format
"""

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck.errors import UsageError, did_you_mean
from xentcheck.floats import FORMATS, format_of, to_float64
from xentcheck.model import Array, Float64Array, Layout, Option
from xentcheck.sweeps.generator import EVERY_LAYOUT, Batch, Generator, Request

SUFFIXES = (".npy", ".npz", ".safetensors")
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library itself
_SAFETENSORS_DTYPES: Mapping[str, np.dtype[Any]] = {
    "F64": FORMATS["float64"].dtype,
    "F32": FORMATS["float32"].dtype,
    "F16": FORMATS["float16"].dtype,
    "BF16": FORMATS["bfloat16"].dtype,
    "F8_E4M3": FORMATS["float8_e4m3fn"].dtype,
    "F8_E5M2": FORMATS["float8_e5m2"].dtype,
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
}


def read_arrays(path: str | Path, wanted: Sequence[str] = ()) -> dict[str, Array]:
    """The arrays of a file by name; an .npy file has one, named "". They cannot be written to.

    ``wanted`` limits what is read of an archive (empty: everything). The arrays of .npy and
    .safetensors files stay in the file, and come into memory where they are looked at. Raises
    UsageError, with the path and the reason, for whatever cannot be read.
    """
    path = Path(path)
    try:
        if path.suffix not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            message = f"{path}: recorded logits come from {known} files"
            raise UsageError(message)
        stat = path.stat()
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return dict(_read(path, tuple(wanted), version))
    except FileNotFoundError:
        message = f"{path}: no such file"
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


@lru_cache(maxsize=4)  # every loss and dtype of a sweep asks for the same file
def _read(path: Path, wanted: tuple[str, ...], _version: tuple[int, ...]) -> Mapping[str, Array]:
    if path.suffix == ".safetensors":
        return _read_safetensors(path, wanted)
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
    """Dtype, shape and first byte of one tensor, checked against its last byte and the file."""
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
    dtype = _SAFETENSORS_DTYPES[code]
    if math.prod(shape) * dtype.itemsize != last - first:
        message = f"tensor {name!r} of shape {shape} does not fill its {last - first} bytes"
        raise ValueError(message)
    return dtype, shape, first


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Array:
    """An array that stays in its file; an empty one has nothing to map."""
    little = dtype.newbyteorder("<")
    if not math.prod(shape):
        return np.empty(shape, little)
    return np.asarray(np.memmap(path, little, mode="r", offset=offset, shape=shape))


def _recorded(request: Request) -> Iterator[Batch]:
    options = request.options
    path, key, labels_key = options["path"], options["logits"], options["labels"]
    arrays = read_arrays(path, () if key is None else (key, labels_key or "labels"))
    logits = _logits(arrays, path, key)
    labels = arrays.get(labels_key or "labels")
    if labels is None and labels_key is not None:
        message = f"{path} has no array {labels_key!r}{did_you_mean(labels_key, arrays)}"
        raise UsageError(message)
    rows = logits.reshape(-1, logits.shape[-1])
    if labels is not None and labels.shape in (logits.shape, logits.shape[:-1]):
        labels = labels.reshape(rows.shape if labels.shape == logits.shape else len(rows))
    elif labels is not None:
        message = f"{path}: labels of shape {labels.shape} for logits of shape {logits.shape}"
        raise UsageError(message)
    most = options["rows"]
    rows = rows[:most]
    labels = None if labels is None else labels[:most]
    if request.layout is Layout.ELEMENTWISE:
        fits = labels is not None and labels.shape == rows.shape
        labels = labels.ravel() if labels is not None and fits else None
    verbatim = options["content"] == "input"
    given = rows.ravel() if request.layout is Layout.ELEMENTWISE else rows
    classes = 0 if request.layout is Layout.ELEMENTWISE else rows.shape[1]
    make = partial(_widened, given)
    yield Batch(len(given), classes, make, verbatim=verbatim, saturate=False, labels=labels)


def _widened(rows: Array, first: int, last: int) -> Float64Array:
    return to_float64(rows[first:last])


def _logits(arrays: Mapping[str, Array], path: str, key: str | None) -> Array:
    if key is not None and "" not in arrays:
        if key not in arrays:
            names = arrays or read_arrays(path)
            message = f"{path} has no array {key!r}{did_you_mean(key, names)}"
            raise UsageError(message)
        logits = arrays[key]
    elif "logits" in arrays or len(arrays) == 1:
        logits = arrays.get("logits", next(iter(arrays.values())))
    else:
        message = f"{path} has no array 'logits'; name one with logits: {', '.join(arrays)}"
        raise UsageError(message)
    if format_of(logits.dtype) is None:
        message = f"{path}: logits of type {logits.dtype}; known: {', '.join(FORMATS)}"
        raise UsageError(message)
    if logits.ndim == 0 or not logits.size:
        message = f"{path}: logits of shape {logits.shape} have no rows"
        raise UsageError(message)
    return logits


RECORDED = (
    Generator(
        "recorded",
        "logits recorded from a model, in a .npy, .npz or .safetensors file",
        (
            Option("path", "path", "the file; its last axis is the classes", required=True),
            Option("logits", "text", "name of the array (`logits`, or the only one)"),
            Option("labels", "text", "name of the array of labels (`labels` where there is one)"),
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
