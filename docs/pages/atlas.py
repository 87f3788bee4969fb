"""The atlas: what was measured of each framework's functions, from a data file to pages.

``python -m docs.pages.atlas REPORT.json ...`` makes the data file ``docs/data/atlas.csv`` of JSON
reports that ``xentcheck run configs/frameworks.yaml --ranges`` wrote, and ``docs/data/atlas.json``
beside it, which says with what it was measured, and the small table of README.md. The pages are
made of the data when the site is built.
"""

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from docs.pages.markdown import contents, folded, plain, table
from xentcheck import read_report
from xentcheck.floats import STANDARD
from xentcheck.losses import LOSSES
from xentcheck.model import Diagnosis, Grade, Quantity, Report, SafeRange
from xentcheck.model.grades import rank
from xentcheck.report.formats.atlas import Function, functions

DATA = Path(__file__).resolve().parent.parent / "data"
TABLE, RECORD = DATA / "atlas.csv", DATA / "atlas.json"
README = DATA.parent.parent / "README.md"
_BEGIN, _END = "<!-- atlas -->\n", "<!-- /atlas -->\n"

_SHOWN = "float32"  # the dtype whose range and cause stand in the pages

_PACKAGES: Mapping[str, str] = {
    "torch": "PyTorch",
    "jax": "JAX",
    "optax": "Optax",
    "tf": "TensorFlow",
    "keras": "Keras",
    "scipy": "SciPy",
    "sklearn": "scikit-learn",
    "onnxruntime": "ONNX Runtime",
    "xgboost": "XGBoost",
    "lightgbm": "LightGBM",
    "liger_kernel": "Liger Kernel",
    "paddle": "PaddlePaddle",
    "mlx": "MLX",
}
"""Frameworks by the first part of the names of their functions."""


_DISTRIBUTIONS: Mapping[str, Sequence[str]] = {
    "optax": ("optax", "jax"),
    "tf": ("tensorflow-cpu",),
    "keras": ("keras", "tensorflow-cpu"),
    "sklearn": ("scikit-learn",),
    "liger_kernel": ("liger-kernel", "triton", "torch"),
    "paddle": ("paddlepaddle",),
}
"""Distributions that decide the results of a framework, its own first; else only its name's."""

_NOTES: Mapping[str, str] = {
    "keras": "With TensorFlow as its backend.",
    "liger_kernel": "Its Triton kernels were run by Triton's interpreter on the CPU, not on a GPU."
    " Formulas, masks and the places of rounding are those of the kernels. The last bits of exp"
    " and log differ from those of a GPU.",
    "mlx": "On its CPU backend for Linux. On an Apple GPU cross_entropy is another function, which"
    " was not measured.",
}
"""What to know about how a framework was measured."""

_HARD: Mapping[str, str] = {
    "liger_kernel": "its kernels are made for GPUs, and Triton's interpreter on a CPU takes long",
}
"""Why a framework may not be measured, but for not being installed."""


_JOINTS = frozenset("+-")
"""What stands between the functions of a composition, such as ``torch.sigmoid+log``."""

_DASHED = ("xgboost",)
"""Frameworks whose own names have dashes, such as ``multi-softprob``."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the data file: a function in one dtype, its value or its gradient.

    Attributes:
        framework: the first part of the function's name.
        loss: the loss.
        function: the name of the implementation.
        dtype: the dtype.
        quantity: value or gradient.
        grade: the grade of all its rows; "" if it has none.
        max_ulp: the largest finite error in ulps of the result's dtype.
        max_abs: the largest finite absolute error.
        kinds: the kinds of findings, with the number of rows.
        breaks_at: the mildest input that shows a fault, and the kind of the fault.
        safe_range: where it keeps its grade, for the axes along which it loses it.
        causes: the causes, the one that explains most rows first.
        version: the versions that decide the result, such as ``optax 0.2.8, jax 0.10.2``.
        machine: the platform and the vector instructions of the processor.
    """

    framework: str
    loss: str
    function: str
    dtype: str
    quantity: str
    grade: str
    max_ulp: str
    max_abs: str
    kinds: str
    breaks_at: str
    safe_range: str
    causes: str
    version: str
    machine: str


# From reports to the data file


def lines_of(report: Report) -> Iterator[Line]:
    """The lines of the plain calls of a report; variants are left out."""
    ranges: dict[tuple[str, ...], list[SafeRange]] = defaultdict(list)
    for each in report.safe_ranges:
        ranges[each.loss, each.implementation, each.dtype, each.quantity].append(each)
    for function in functions(report):
        key = (function.loss, function.name, function.dtype, function.quantity)
        framework = function.name.partition(".")[0]
        yield Line(
            framework,
            *key,
            function.grade,
            function.max_ulp,
            function.max_abs,
            function.kinds,
            function.breaks_at,
            _safe_range(ranges.get(key, ())),
            ", ".join(_causes(report.diagnoses, function)),
            _version(framework, report.environment),
            f"{report.environment['platform']}, {report.environment['cpu']}",
        )


def _version(framework: str, environment: Mapping[str, str]) -> str:
    """The versions that decide the results of a framework, as far as they are known."""
    known = {name.replace("_", "-"): version for name, version in environment.items()}
    wanted = _DISTRIBUTIONS.get(framework, (framework,))
    return ", ".join(f"{name} {known[name]}" for name in wanted if name in known)


def _safe_range(found: Sequence[SafeRange]) -> str:
    """The axes along which a grade is lost; what holds everywhere is said once."""
    lost = [each.text for each in found if not _holds_everywhere(each)]
    if lost or not found:
        return "; ".join(lost)
    return f"{min((each.always for each in found if each.always), key=rank)} on all axes"


def _holds_everywhere(found: SafeRange) -> bool:
    return found.always in (Grade.ACCURATE, Grade.FAITHFUL, Grade.ROUNDED)


def _causes(diagnoses: Iterable[Diagnosis], function: Function) -> list[str]:
    rows = {
        str(diagnosis.cause): line.rows
        for diagnosis in diagnoses
        if (diagnosis.loss, diagnosis.implementation) == (function.loss, function.name)
        for line in diagnosis.explains
        if (line.dtype, line.quantity) == (function.dtype, function.quantity)
    }
    return sorted(rows, key=lambda cause: -rows[cause])


def collect(reports: Sequence[Report], date: str) -> None:
    """Write the data file and its record. Of lines that two reports have, the last one counts.

    Args:
        reports: reports of ``configs/frameworks.yaml``, each of some frameworks.
        date: the date of the measurement.
    """
    lines = {
        (each.loss, each.function, each.dtype, each.quantity): each
        for report in reports
        for each in lines_of(report)
    }
    orders = {name: [*LOSSES].index(name) for name in LOSSES}
    ordered = sorted(
        lines.values(), key=lambda each: (orders[each.loss], [*_PACKAGES].index(each.framework))
    )
    DATA.mkdir(exist_ok=True)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(Line)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, ordered))
    record = {
        "date": date,
        "seed": reports[0].seed,
        "reports": [_record(report) for report in reports],
        "not_measured": sorted(set(_PACKAGES) - {each.framework for each in ordered}),
    }
    RECORD.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _record(report: Report) -> dict[str, Any]:
    """With what a report was measured, and which frameworks."""
    found = {each.name.partition(".")[0] for each in functions(report)}
    return {
        "frameworks": [name for name in _PACKAGES if name in found],
        "rows": sum(each.rows for each in report.measurements),
        "environment": dict(report.environment),
    }


# From the data file to pages


def measured() -> tuple[list[Line], dict[str, Any]]:
    """The data file and its record."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        lines = [Line(**each) for each in csv.DictReader(file)]
    return lines, json.loads(RECORD.read_text(encoding="utf-8"))


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """A page for each framework and one for each loss; ``atlas.md`` includes the summary."""
    lines, record = measured()
    yield "summary.inc", _summary(lines, record)
    for name in _frameworks(lines):
        own = [each for each in lines if each.framework == name]
        yield f"framework-{name}.md", _page(_PACKAGES[name], own, "loss", _about(name, own, record))
    for name in dict.fromkeys(each.loss for each in lines):
        own = [each for each in lines if each.loss == name]
        about = f"Formula, parameters and conventions: [{name}](../losses/{name}.md)."
        yield f"loss-{name}.md", _page(name, own, "framework", about)


def _frameworks(lines: Iterable[Line]) -> list[str]:
    """The frameworks of the lines, in the order of the table of packages."""
    found = {each.framework for each in lines}
    return [name for name in _PACKAGES if name in found]


def _about(framework: str, lines: Sequence[Line], record: Mapping[str, Any]) -> str:
    versions = " and ".join(dict.fromkeys(each.version for each in lines if each.version))
    machines = " and ".join(dict.fromkeys(each.machine for each in lines))
    told = f"{versions}, measured" if versions else "Measured"
    text = plain(f"{told} on {record['date']} on {machines}.")
    return f"{text} {_NOTES[framework]}" if framework in _NOTES else text


def _summary(lines: Sequence[Line], record: Mapping[str, Any]) -> Iterator[str]:
    rows = sum(each["rows"] for each in record["reports"])
    machines = " and ".join(dict.fromkeys(each.machine for each in lines))
    yield from folded(
        f"Measured on {record['date']} on {plain(machines)}: {rows:,} rows, seed {record['seed']}."
        " Frameworks that live together can crash each other, so there may be several environments:"
    )
    yield ""
    for each in record["reports"]:
        yield f"- {_told(each)}"
    yield ""
    if record["not_measured"]:
        yield "Not measured this time:"
        yield ""
        for each in record["not_measured"]:
            yield f"- {_PACKAGES[each]}: {_HARD.get(each, 'it was not installed')}."
        yield ""
    yield "## By framework"
    yield ""
    yield from _matrix(lines, "framework", "atlas/framework-{}.md")
    yield "## By loss"
    yield ""
    yield from _matrix(lines, "loss", "atlas/loss-{}.md")
    yield from contents(
        (f"atlas/framework-{name}" for name in _frameworks(lines)), caption="Frameworks"
    )
    losses = dict.fromkeys(f"atlas/loss-{each.loss}" for each in lines)
    yield from contents(losses, caption="Losses")


def _told(record: Mapping[str, Any]) -> str:
    """One environment: which frameworks, with what."""
    environment = record["environment"]
    versions = ", ".join(
        f"{name} {version}" for name, version in environment.items() if name not in _NO_PACKAGES
    )
    names = ", ".join(_PACKAGES[name] for name in record["frameworks"])
    return plain(
        f"{names}: {record['rows']:,} rows with Python {environment['python']}, {versions}"
    )


_NO_PACKAGES = ("python", "platform", "cpu")


def _matrix(lines: Sequence[Line], by: str, address: str = "") -> Iterator[str]:
    """How many functions have each grade; the worse of value and gradient counts.

    The grade is that in float32, or in float64 for a function that takes no float32. Compositions
    are left out: they are there because they fail.
    """
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    own_calls = (each for each in lines if not _is_composition(each))
    for (group, _, _), own in _functions(own_calls, by).items():
        grades = [each.grade for each in _shown(own) if each.grade]
        if grades:
            counts[group][min(map(Grade, grades), key=rank)] += 1
    titles = {each: _PACKAGES.get(each, each) for each in counts}
    orders = [*_PACKAGES, *LOSSES]
    yield from table(
        (by, *(f"{grade}:" for grade in reversed(Grade))),
        (
            (
                f"[{titles[group]}]({address.format(group)})" if address else titles[group],
                *(str(found.get(grade, "")) for grade in reversed(Grade)),
            )
            for group, found in sorted(counts.items(), key=lambda each: orders.index(each[0]))
        ),
    )


def _is_composition(line: Line) -> bool:
    return line.framework not in _DASHED and bool(set(line.function) & _JOINTS)


def _shown(lines: Sequence[Line]) -> list[Line]:
    """The lines of a function whose range, cause and grade stand for it."""
    for dtype in (_SHOWN, "float64"):
        found = [each for each in lines if each.dtype == dtype]
        if found:
            return found
    return list(lines[:2])


def _functions(lines: Iterable[Line], by: str) -> dict[tuple[str, str, str], list[Line]]:
    """The lines of each function, by group, loss and name."""
    found: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for each in lines:
        found[getattr(each, by), each.loss, each.function].append(each)
    return found


def _page(title: str, lines: Sequence[Line], by: str, about: str) -> Iterator[str]:
    """A table for each loss or framework, with a line for each function.

    The column of contents beside the page gives its place to the tables.
    """
    yield from ("---", "html_theme.sidebar_secondary.remove: true", "---", "")
    yield f"# {title}"
    yield ""
    if about:
        yield about
        yield ""
    yield from folded(
        "Each dtype has the [grades](../grades.md) of the value and, below it, of the gradient. A"
        f" dash: it does not take the dtype, or has no gradient. Range and cause are those of"
        f" {_SHOWN}, or of float64 if it takes no {_SHOWN}; of the ranges only the first axis is"
        " shown along which a grade is lost."
        " [atlas.csv](../data/atlas.csv) has all axes, and all numbers."
    )
    yield ""
    groups: dict[str, dict[str, list[Line]]] = defaultdict(dict)
    for (group, _, function), own in _functions(lines, by).items():
        groups[group][function] = own
    for group, members in groups.items():
        yield f"## {_PACKAGES.get(group, group)}"
        yield ""
        if by == "framework":
            versions = dict.fromkeys(line.version for own in members.values() for line in own)
            yield plain(" and ".join(filter(None, versions)))
            yield ""
        yield "```{rst-class} atlas"
        yield "```"
        yield from table(
            ("function", *STANDARD, "safe range", "cause"),
            (_row(function, found) for function, found in members.items()),
        )


def _row(function: str, lines: Sequence[Line]) -> tuple[str, ...]:
    grades = {(each.dtype, each.quantity): each.grade for each in lines}
    shown = _shown(lines)
    return (
        f"`{function}`",
        *(
            "<br>".join(_grade(grades.get((dtype, quantity), "")) for quantity in Quantity)
            for dtype in STANDARD
        ),
        "<br>".join(
            f"{each.quantity}: {plain(_first(each.safe_range))}"
            for each in shown
            if each.safe_range
        ),
        ", ".join(
            f"[{cause}](../causes/{cause}.md)"
            for cause in dict.fromkeys(
                cause for each in shown for cause in each.causes.split(", ") if cause
            )
        ),
    )


def _first(ranges: str) -> str:
    """The best grade along the first axis on which it is lost; the data file has all axes."""
    return ranges.partition("; ")[0].partition(", ")[0]


def _grade(grade: str) -> str:
    return grade or "–"


def with_table(readme: str) -> str:
    """The text of README.md with its table of the atlas written anew."""
    lines, record = measured()
    before, _, rest = readme.partition(_BEGIN)
    after = rest.partition(_END)[2]
    versions = {each.framework: each.version.partition(", ")[0] for each in lines}
    packages = [
        f"{_PACKAGES[name]} {versions[name].rpartition(' ')[2]}" for name in _frameworks(lines)
    ]
    about = folded(
        f"Functions by the grade of their worst row in {_SHOWN} (float64 if they take no {_SHOWN}),"
        f" value and gradient, measured on {record['date']} with {', '.join(packages)}:"
    )
    text = "\n".join([*about, "", *_matrix(lines, "framework")])
    return f"{before}{_BEGIN}{text}{_END}{after}"


if __name__ == "__main__":
    given = [read_report(path) for path in sys.argv[1:]]
    collect(given, datetime.now().astimezone().date().isoformat())
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
