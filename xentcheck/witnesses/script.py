"""Python scripts that load a saved witness and reproduce its finding.

A script does not need xentcheck. It needs the adapter's framework, or the file or package of the
implementation. (For the built-in field guide that package is xentcheck.)
"""

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, format_of
from xentcheck.implementations.bridge import NUMPY_ARRAY, NUMPY_DATA, Call, Sketch
from xentcheck.implementations.classes import of_class
from xentcheck.implementations.shapes import ROWS, gathered, shaped, spread
from xentcheck.implementations.user import UserFunction
from xentcheck.implementations.user.command import DATA, Command, text_of
from xentcheck.implementations.user.loading import place_of
from xentcheck.losses import LOSSES
from xentcheck.model import Cell, Finding, Process, Quantity, Report, Witness
from xentcheck.report import words
from xentcheck.witnesses.excerpt import excerpt
from xentcheck.witnesses.given import NATIVE, Given, Known

_LONGEST_COMMENT = 400  # characters; a longer replay command is left out
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Lines:
    """The parts of a script. ``notes`` are comments; ``call`` assigns ``result``."""

    call: Sequence[str]
    environment: Sequence[tuple[str, str]] = ()
    imports: Sequence[str] = ()
    definitions: Sequence[str] = ()
    notes: Sequence[str] = ()


def script_text(
    report: Report, finding: Finding, witness: Witness, given: Given, known: Known
) -> str:
    """Return the text of the script for one finding.

    Args:
        report: the report that has the finding.
        finding: the finding.
        witness: its witness.
        given: the arguments of the call; the archive beside the script has its arrays.
        known: finds the implementations of the report.
    """
    cell = finding.cell
    implementation, beside = known.of(cell)
    function: Any = None
    if implementation is not None:
        is_value = cell.quantity is Quantity.VALUE
        function = implementation.value if is_value else implementation.gradient
    match function:
        case Call():
            lines = _of_call(function, cell, given, beside, known.folder)
        case Command():
            lines = _of_command(function, cell, given, known.folder)
        case _:
            lines = _of_function(getattr(function, "function", function), cell, given)
    return "\n".join(
        [
            *(f"# {each}".rstrip() for each in _comment(report, finding, witness, lines.notes)),
            *_environment(lines.environment),
            *sorted({"from pathlib import Path", "import numpy as np", *lines.imports}),
            "",
            *(f"{each}\n" for each in lines.definitions),
            'w = dict(np.load(Path(__file__).with_suffix(".npz")))',
            *lines.call,
            *_shown(witness, given),
            "",
        ]
    )


def _comment(
    report: Report, finding: Finding, witness: Witness, notes: Sequence[str]
) -> Iterator[str]:
    """Yield lines that describe the finding. No line has a newline inside."""
    cell = finding.cell
    what = f"the {cell.quantity} of {cell.loss} by {cell.implementation} in {cell.dtype}"
    texts = [f"{finding.kind}: {what}, row {witness.row} of sweep {cell.sweep}"]
    if finding.detail:
        texts.append(finding.detail)
    if witness.scored is not None:
        came = witness.result_dtype and f" ({witness.result_dtype})"
        texts.append(f"exact     {words.exact_text(witness.exact)}")
        texts.append(f"expected  {words.value_text(witness.expected)}{came}")
        texts.append(f"came      {words.value_text(witness.actual)}")
    command = words.shell(words.replay(report, finding))
    if len(command) <= _LONGEST_COMMENT:
        texts.append(command)
    for text in (*texts, *notes):
        yield " ".join(words.clean(text).split("\n"))


def _environment(variables: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield lines that set environment variables. They have to come before other imports."""
    if variables:
        yield "import os"
        for name, value in variables:
            yield f"os.environ[{name!r}] = {value!r}"


def _shown(witness: Witness, given: Given) -> Iterator[str]:
    """Yield lines that print the actual and the expected result."""
    if witness.scored is None:
        yield "print(result)"
        return
    place = ", ".join(map(str, given.place))
    yield f'actual, expected = float(result{place and f"[{place}]"}), float(w["expected"])'
    yield 'print("actual  ", actual, actual.hex())'
    yield 'print("expected", expected, expected.hex())'


def _sketch(
    cell: Cell, given: Given, function: str, labels: str | None = None, **more: Any
) -> Sketch:
    """Describe the call of a function of this name.

    ``labels`` is the name of the labels in the call; None: the loss and the quantity decide.
    ``more`` has further fields of `Sketch`.
    """
    loss = LOSSES[cell.loss]
    if labels is None:
        enter = cell.quantity is Quantity.GRADIENT or not loss.per_class
        labels = "labels" if enter and "labels" in given.given else ""
    data = ("logits", "labels")
    return Sketch(
        function,
        more.pop("quantity", cell.quantity),
        cell.dtype,
        labels,
        "labels" in given.given and given.given["labels"].dtype.kind in "iu",
        {name: each for name, each in given.given.items() if name not in data},
        {name: each.shape for name, each in given.arrays.items()},
        **{"per_class": loss.per_class, **more},
    )


def _of_call(call: Call, cell: Cell, given: Given, beside: str, folder: Path) -> Lines:
    """Return the lines for a function of an adapter or a user, called through its bridge."""
    bridge = call.bridge
    function = call.function
    per_class = LOSSES[cell.loss].per_class
    own = isinstance(function, UserFunction)
    imports: list[str] = []
    definitions: list[str] = []
    notes: list[str] = []
    if isinstance(function, UserFunction):
        name, notes = "function", [_WHERE]
        definitions += _loaded(function, beside, folder)
        if bridge.preparing:
            prepare = getattr(sys.modules[type(bridge).__module__], bridge.preparing)
            taken = excerpt(prepare)
            imports += taken.imports
            definitions = [
                *taken.definitions,
                *definitions,
                f"function = {bridge.preparing}(function)",
            ]
        elif function.is_class:
            taken = excerpt(of_class)
            imports += taken.imports
            definitions = [*taken.definitions, *definitions, "function = of_class(function)"]
        if call.shape != ROWS:
            taken = excerpt(shaped)
            imports += taken.imports
            made = f"function = shaped(function, {call.shape!r})"
            definitions = [*taken.definitions, *definitions, made]
    elif _importable(function):
        name = function.__name__
        taken = excerpt(function)
        imports += taken.imports
        definitions += taken.definitions
    else:
        name, notes = "function", [_NOBODY]
        definitions.append(_MISSING)
    by_function = cell.quantity is Quantity.GRADIENT and not call.differentiated
    labels = None
    if per_class and not by_function:
        labels = ""
        if call.wants_labels:
            labels = "labels" if bridge.labels_always and "labels" in given.given else "None"
    sketch = _sketch(
        cell,
        given,
        name,
        labels,
        variant=call.variant,
        quantity=Quantity.VALUE if by_function else cell.quantity,
        per_class=per_class and not by_function,
    )
    native = bridge.process.name == "numpy"
    more, lines = _numpy(cell, given) if native else ((), ())
    lines = (*lines, *_labels(given, call.label_dtype))
    modules = () if native else _framework(bridge.process)
    return Lines(
        (*lines, *bridge.script(sketch)),
        bridge.process.environment,
        (*imports, *more, *modules, *(("import sys",) if own else ())),
        definitions,
        notes,
    )


_NOBODY = "Nothing is known of where its code is: put it in place of `function`."
_MISSING = (
    "def function(*data, **parameters):\n"
    '    raise NotImplementedError("put the implementation here")'
)
_WHERE = "It finds the file or module from its own folder: leave both where they are to each other."


def _from_script(path: Path, folder: Path) -> str:
    """Return an expression for a path, relative to the folder of the script."""
    try:
        relative = os.path.relpath(path.resolve(), folder.resolve())
    except ValueError:  # the path is on another drive
        return f"Path({str(path.resolve())!r})"
    return f"Path(__file__).resolve().parent / {relative!r}"


def _labels(given: Given, dtype: str) -> tuple[str, ...]:
    """Return a line that converts integer labels to ``dtype``, if they have another."""
    labels = given.given.get("labels")
    if labels is None or labels.dtype.kind != "i" or labels.dtype.name == dtype:
        return ()
    return (f'w["labels"] = w["labels"].astype("{dtype}")',)


def _framework(process: Process) -> tuple[str, ...]:
    """Return the imports of a framework, under the names that scripts of bridges use."""
    names = {
        "torch": ("import torch",),
        "jax": ("import jax", "import jax.numpy as jnp"),
        "tensorflow": ("import tensorflow as tf",),
    }
    return tuple(line for each in process.modules for line in names.get(each, ()))


def _importable(function: Any) -> bool:
    """Return whether a function can be imported from its module by its name."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if module in ("", "__main__", None) or "." in name:
        return False
    try:
        return getattr(importlib.import_module(module), name, None) is function
    except ImportError:
        return False


def _numpy(cell: Cell, given: Given) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return imports and lines that make arrays of the dtype and silence overflow warnings."""
    quiet = 'np.seterr(all="ignore")'
    if cell.dtype in NATIVE:
        return (), (quiet,)
    real = [name for name, each in given.arrays.items() if format_of(each.dtype) is not None]
    kind = FORMATS[cell.dtype].dtype.name
    cast = f"    w[name] = w[name].astype(ml_dtypes.{kind})"
    return ("import ml_dtypes",), (quiet, f"for name in {real}:", cast)


def _of_function(function: Callable[..., Any] | None, cell: Cell, given: Given) -> Lines:
    """Return the lines for a function of NumPy arrays in a package."""
    more, lines = _numpy(cell, given)
    imports, definitions, notes = list(more), [_MISSING], [_NOBODY]
    name = "function"
    if function is not None and _importable(function):
        name = function.__name__
        imports.append(f"from {function.__module__} import {name}")
        definitions, notes = [], []
    call = _sketch(cell, given, name).called(*NUMPY_DATA, array=NUMPY_ARRAY)
    return Lines((*lines, f"result = {call}"), (), imports, definitions, notes)


def _loaded(function: UserFunction, beside: str, scripts: Path) -> list[str]:
    """Return lines that load a user's function into the name ``function``."""
    target = function.target
    place, attribute = place_of(target)
    if function.quantity is Quantity.GRADIENT:
        named = beside or target.gradient or ""
        other, _, attribute = named.rpartition(":")
        place = other or place
    path = Path(place)
    lines = []
    if place.endswith(".py"):
        lines += [
            f"file = {_from_script(path, scripts)}",
            "sys.path.insert(0, str(file.parent))",
            "import importlib.util",
            'spec = importlib.util.spec_from_file_location("target", file)',
            "target = importlib.util.module_from_spec(spec)",
            'sys.modules["target"] = target',
            "spec.loader.exec_module(target)",
        ]
    else:
        here = _from_script(Path(), scripts)
        lines += [f"sys.path.insert(0, str({here}))", f"import {place} as target"]
    lines.append(f"function = target.{attribute}")
    if target.parameters:
        bound = ", ".join(f"**{{{name!r}: {value!r}}}" for name, value in target.parameters.items())
        lines += ["import functools", f"function = functools.partial(function, {bound})"]
    return ["\n".join(lines)]


def _of_command(command: Command, cell: Cell, given: Given, scripts: Path) -> Lines:
    """Return the lines for a program that reads and writes files."""
    values = {**command.parameters, **given.given}
    if not _sketch(cell, given, "").labels:
        values["labels"] = None
    more, lines = _numpy(cell, given)
    lines = (*lines, *_labels(given, command.label_dtype))
    definitions: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    if command.shape != ROWS:
        taken = excerpt(spread, gathered)
        definitions, imports = taken.definitions, taken.imports
        rows = given.given["logits"].shape[0]
        back = (f"result = gathered(result, {rows}, {command.shape!r})",)
        by_row = [name for name, each in given.arrays.items() if name in DATA or each.ndim == 2]
        lines = (
            *lines,
            f"for name in {by_row}:",
            f"    w[name] = spread(w[name], {command.shape!r})",
        )
    files = [name for name, each in values.items() if isinstance(each, np.ndarray | list | tuple)]
    texts = {name: f"{{folder}}/{name}.npy" for name in (*files, "out")}
    texts |= {"dtype": cell.dtype}
    for name, value in values.items():
        if name not in texts:
            texts[name] = text_of(value).replace("{", "{{").replace("}", "}}")
    words = []
    for word in command.words:
        parts = _PLACEHOLDER.split(word)
        made = ""
        for i, part in enumerate(parts):
            known = texts.get(part, f"{{{{{part}}}}}") if i % 2 else None
            made += part.replace("{", "{{").replace("}", "}}") if known is None else known
        words.append(f"f{made!r}" if "{" in made else repr(made))
    saved = []
    for name in files:
        array = isinstance(values[name], np.ndarray)
        what = NUMPY_ARRAY.format(name) if array else f"np.array({values[name]!r})"
        saved.append(f'np.save(f"{{folder}}/{name}.npy", {what})')
    here = _from_script(Path(), scripts)
    return Lines(
        (
            *lines,
            "folder = tempfile.mkdtemp()",
            *saved,
            f"subprocess.run([{', '.join(words)}], check=True, cwd={here})",
            'result = np.load(f"{folder}/out.npy")',
            'if result.dtype.kind == "V":',
            '    result = result.view(w["logits"].dtype)',
            *back,
        ),
        (),
        (*more, *imports, "import subprocess", "import tempfile"),
        definitions,
        (_WHERE,),
    )
