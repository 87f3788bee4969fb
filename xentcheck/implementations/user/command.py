"""A program as an implementation: arrays go to it and come back as ``.npy`` files.

C++, Rust, CUDA, or a kernel on another machine are audited so, with a few lines around them. In
each word of the command, ``{logits}``, ``{labels}``, ``{out}`` and the names of parameters stand
for what the program is given: paths of files for arrays, text for numbers, nothing for what a call
does not have. NumPy's format has no bfloat16 and no float8; their files are of raw bytes (dtype
``V2``, ``V1``), as NumPy writes them, and a program may answer in the same way.
"""

import re
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck.errors import ending
from xentcheck.implementations.shapes import ROWS, shaped
from xentcheck.model import Array

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
DATA = frozenset({"logits", "labels", "out", "dtype"})
"""Placeholders that are no parameters; ``{dtype}`` is the name of the logits' dtype."""

_WARNING = re.compile(r"RuntimeWarning: (.+)")
"""How Python writes to standard error that a program was warned, such as of an overflow."""

_TAIL = 500  # characters of what a failing program wrote that its error shows


@dataclass(frozen=True, slots=True)
class Command:
    """A function of arrays that runs a program. Pickles.

    ``parameters`` are what is given unless the call gives others. ``shape`` is one of
    `shapes.SHAPES`, and integer labels are of ``label_dtype``.
    """

    words: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shape: str = ROWS
    label_dtype: str = "int64"

    @property
    def placeholders(self) -> frozenset[str]:
        """What stands in braces in it, besides its data."""
        found = {name for word in self.words for name in _PLACEHOLDER.findall(word)}
        return frozenset(found - DATA)

    @property
    def wants_labels(self) -> bool:
        """Whether it needs labels also where the loss does without."""
        return any("{labels}" in word for word in self.words)

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        """Run the program.

        What it warns of on standard error, as Python does, is warned of here.

        Raises:
            RuntimeError: it failed, or wrote no array. (Its exit status and last words are told.)
        """
        if labels is not None and labels.dtype.kind == "i":
            labels = labels.astype(self.label_dtype)
        if self.shape != ROWS:
            by_shape = shaped(self._run, self.shape)
            result: Array = by_shape(logits, labels, **parameters)
            return result
        return self._run(logits, labels, **parameters)

    def _run(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        with tempfile.TemporaryDirectory(prefix="xentcheck-") as folder:
            out = Path(folder, "out.npy")
            texts = {"dtype": logits.dtype.name, "out": str(out)}
            given = {**self.parameters, **parameters, "logits": logits, "labels": labels}
            for name, value in given.items():
                if isinstance(value, np.ndarray | list | tuple):
                    path = Path(folder, f"{name}.npy")
                    listed = not isinstance(value, np.ndarray)
                    array = np.asarray(value, dtype=logits.dtype if listed else None)
                    np.save(path, array, allow_pickle=False)
                    texts[name] = str(path)
                else:
                    texts[name] = text_of(value)
            words = [_PLACEHOLDER.sub(lambda m: texts.get(m[1], m[0]), w) for w in self.words]
            done = subprocess.run(
                words, capture_output=True, text=True, errors="replace", check=False
            )
            if done.returncode:
                last = " ".join(done.stderr.split())[-_TAIL:]
                how = ending(done.returncode)
                raise RuntimeError(f"{words[0]} ended with {how}" + (f": {last}" if last else ""))
            for warning in dict.fromkeys(_WARNING.findall(done.stderr)):
                warnings.warn(warning, RuntimeWarning, stacklevel=2)
            try:
                result = np.load(out, allow_pickle=False)
            except FileNotFoundError:
                raise RuntimeError(f"{words[0]} wrote nothing to {{out}}") from None
            except (OSError, ValueError, EOFError) as error:
                raise RuntimeError(f"{words[0]} wrote no array to {{out}}: {error}") from None
            if not isinstance(result, np.ndarray):
                raise RuntimeError(f"{words[0]} wrote an archive to {{out}}, not one array")
        if result.dtype.kind == "V" and result.dtype.itemsize == logits.dtype.itemsize:
            return result.view(logits.dtype)
        return result


def text_of(value: Any) -> str:
    """What a placeholder becomes that stands for no array."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)
