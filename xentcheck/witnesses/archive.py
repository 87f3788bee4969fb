"""Saved findings: each has an archive of arrays and a script that reproduces it."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xentcheck.errors import UsageError
from xentcheck.execution import hosts
from xentcheck.floats import format_of, to_float64
from xentcheck.model import Array, Finding, Report, Sweep, Witness
from xentcheck.report.words.files import free_name
from xentcheck.witnesses.given import NATIVE, Given, Known, given_to
from xentcheck.witnesses.script import script_text

_LONGEST_NAME = 140  # characters of a file's name


_UNSAFE = re.compile(r"[^A-Za-z0-9._+@-]+")


def save(report: Report, directory: str | Path, sweeps: Sequence[Sweep] = ()) -> tuple[Path, ...]:
    """Write the witness of every finding to a folder.

    Each witness is a ``.npz`` that plain NumPy loads: ``logits`` with an axis of rows, ``labels``,
    the parameters by name, ``actual`` and ``expected`` in float64, ``exact`` as text, and names.
    Numbers of a dtype that NumPy lacks are saved as float32. A Python script beside it calls the
    implementation on these arrays.

    Args:
        report: the report with the findings.
        directory: the folder; it is created if necessary.
        sweeps: the sweeps of the audit. They are needed to save the whole block of rows if a
            finding is about a whole call, or about a function whose rows depend on each other.
            Without them only the row is saved.

    Returns:
        The paths of all files, in the order of the findings.

    Raises:
        UsageError: a file cannot be written.
    """
    folder = Path(directory)
    paths: list[Path] = []
    names: set[str] = set()
    findings = [*report.findings, *(each.finding for each in report.violations)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = Known(report, folder)
        for finding in dict.fromkeys(findings):
            if finding.witness is None:
                continue
            name = _name(finding, names)
            archive, script = folder / f"{name}.npz", folder / f"{name}.py"
            given = given_to(report, finding, finding.witness, sweeps, known)
            with archive.open("wb") as file:
                np.savez(file, **_arrays(finding, finding.witness, given))  # type: ignore[arg-type]
            text = script_text(report, finding, finding.witness, given, known)
            script.write_text(text, encoding="utf-8")
            paths += [archive, script]
    except OSError as error:
        where = error.filename or folder
        message = f"cannot write {where}: {error.strerror or error}"
        raise UsageError(message) from None
    finally:
        hosts.close()
    return tuple(paths)


def _name(finding: Finding, taken: set[str]) -> str:
    """Return a unique file name, also on file systems that ignore upper and lower case.

    A name that is changed or cut ends with a hash of the original.
    """
    cell = finding.cell
    parts = (cell.loss, cell.implementation, cell.dtype, cell.quantity, cell.sweep, finding.kind)
    whole = "-".join(parts)
    slug = _UNSAFE.sub("_", whole)
    mark = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if slug != whole or len(slug) > _LONGEST_NAME or slug.casefold() in taken:
        slug = f"{slug[:_LONGEST_NAME]}-{mark}"
    return free_name(slug, taken)


def _arrays(finding: Finding, witness: Witness, given: Given) -> dict[str, Array]:
    arrays = {name: _plain(each) for name, each in given.given.items() if each is not None}
    texts = {
        "loss": finding.cell.loss,
        "implementation": finding.cell.implementation,
        "dtype": finding.cell.dtype,
        "quantity": finding.cell.quantity,
        "sweep": finding.cell.sweep,
        "kind": finding.kind,
        "result_dtype": witness.result_dtype,
        "exact": witness.exact,
    }
    arrays |= {name: np.array(str(text)) for name, text in texts.items()}
    arrays |= {"actual": np.array(witness.actual), "expected": np.array(witness.expected)}
    return arrays | {"place": np.array(given.place, dtype=np.int64)}


def _plain(value: Any) -> Array:
    """Return an array of the same numbers that NumPy loads without other packages."""
    array = np.asarray(value)
    known = format_of(array.dtype)
    return array if known is None or known.name in NATIVE else to_float64(array).astype(np.float32)
