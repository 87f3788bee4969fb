"""Run a program as an implementation: arrays go to it and come back as ``.npy`` files.

With a few lines around it, this audits C++, Rust, CUDA, or a kernel on another machine. In each
word of the command, ``{logits}``, ``{labels}``, ``{out}`` and ``{PARAMETER}`` are placeholders. An
array becomes the path of its file, a number becomes text, and an absent value becomes an empty
text. NumPy's format has no bfloat16 and no float8. Their files hold raw bytes (dtype ``V2``,
``V1``), as NumPy writes them, and a program may answer in the same way.
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
"""Placeholders that are not parameters; ``{dtype}`` is the name of the logits' dtype."""

_WARNING = re.compile(r"RuntimeWarning: (.+)")
"""Matches a warning that Python wrote to standard error, such as one of an overflow."""

_TAIL = 500  # characters of a failing program's output that the error shows


@dataclass(frozen=True, slots=True)
class Command:
    """A function of arrays that runs a program. It pickles.

    `parameters` are defaults for parameters that a call does not give. `shape` is one of
    `shapes.SHAPES`. Integer labels are converted to `label_dtype`.
    """

    words: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shape: str = ROWS
    label_dtype: str = "int64"

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in braces in the command, without `DATA`."""
        found = {name for word in self.words for name in _PLACEHOLDER.findall(word)}
        return frozenset(found - DATA)

    @property
    def wants_labels(self) -> bool:
        """Whether the command uses labels, even for a loss without labels."""
        return any("{labels}" in word for word in self.words)

    def __call__(self, logits: Array, labels: Array | None = None, **parameters: Any) -> Array:
        """Run the program.

        Warnings that it writes to standard error in Python's format become warnings here.

        Raises:
            RuntimeError: the program failed or wrote no array. The message tells its exit status
                and the end of its output.
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
    """Return the text of a placeholder whose value is not an array."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)
