"""How numbers, kinds and witnesses are written for people."""

import functools
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from xentcheck.floats import FORMATS, LARGEST_ULP, hex_text, to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import (
    UNREACHABLE,
    Array,
    Cell,
    Finding,
    Kind,
    ParameterValue,
    Report,
    Witness,
    escaped,
)
from xentcheck.sweeps import ADAPTIVE

EXPLAINED = "explained by conditioning"
FEW_ULPS = 4.0  # fewer need no explanation
FEW_BITS = 2.0
_LONGEST_REPLAY = 64  # numbers in a command line that one still wants to paste
_LIST = re.compile(r"[a-z_-]+=[^\s,;]+([,;][^\s,;]+)+")
_OF_CALLS = frozenset(
    {
        Kind.CRASHED,
        Kind.TIMED_OUT,
        Kind.RAISED,
        Kind.WRONG_SHAPE,
        Kind.WRONG_DTYPE,
        Kind.MUTATED_INPUT,
        Kind.NON_DETERMINISTIC,
        Kind.LAYOUT_DEPENDENT,
        Kind.COTANGENT,
        Kind.ROW_DEPENDENT,
        Kind.INCONSISTENT,
        Kind.BATCH_VARIANT,
    }
)  # of the call with a whole block, of which the witness is but a row
_GRAVITY = {kind: position for position, kind in enumerate(Kind)}


def gravity(kind: Kind) -> int:
    """The position of a kind in the order of gravity; 0 is the gravest."""
    return _GRAVITY[kind]


def ulps(value: float) -> str:
    """An error in ulps in at most seven characters: ``0.50``, ``3.97``, ``1204``, ``1.6e7``.

    NaN, which stands for "no row has a finite error", is a dash; only no error at all is ``0``.
    What float64 cannot hold is ``>1e308``.
    """
    if value == LARGEST_ULP:
        return ">1e308"
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else "inf"
    if value < 99.95:
        return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"
    return f"{value:.0f}" if value < 9999.5 else scientific(value)


def scientific(value: float) -> str:
    """Two digits and the shortest exponent: ``4.1e-9``, ``1.6e7``; ``0``, ``-`` for NaN."""
    if math.isnan(value):
        return "-"
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else f"{value}"
    return _short_exponent(f"{value:.1e}")


def brief(value: float) -> str:
    """A number in a few digits, where a glance is enough: ``20``, ``4.122e-9``, ``-inf``."""
    return _short_exponent(f"{value:.4g}")


def decimal(value: float) -> str:
    """The shortest decimal that reads back as the same float64: ``20``, ``0.1``, ``-1e+30``."""
    return _short_exponent(repr(float(value)).removesuffix(".0"))


def digits(value: float, dtype: str) -> str:
    """A number with as many digits as tell it from its neighbours in the dtype."""
    known = FORMATS.get(dtype)
    if known is None or known.precision >= FORMATS["float64"].precision:
        return decimal(value)
    return _short_exponent(f"{value:.{math.ceil(known.precision * math.log10(2)) + 1}g}")


def hexadecimal(value: float) -> str:
    """A number as ``float.hex`` has it, without the zeros at its end: ``0x1.4p+4``."""
    digits, mark, exponent = hex_text(value).partition("p")
    return f"{digits.rstrip('0').rstrip('.')}{mark}{exponent}" if "." in digits else digits


def listed(values: Array, most: int, write: Callable[[Any], str]) -> str:
    """The numbers, or the first and the last with how many there are: ``0, 0, … of 65,540, 1``."""
    if values.size <= most:
        return ", ".join(map(write, values.tolist()))
    head = ", ".join(map(write, values[: most - 1].tolist()))
    return f"{head}, … {values.size:,} in all …, {write(values[-1].item())}"


def kinds(counts: Mapping[Kind, int]) -> str:
    """``nan 12, inaccurate 3``, gravest first."""
    ordered = sorted(counts.items(), key=lambda item: gravity(item[0]))
    return ", ".join(f"{kind} {count:,}" for kind, count in ordered if count)


def input_text(witness: Witness, most: int = 4) -> str:
    """The input in a few digits: ``[20, 0, 0] label 0``, ``-745 label 1``, ``… of 65,540``."""
    logits = to_float64(witness.logits)
    if logits.ndim == 2:
        shown = f"{logits.shape[0]:,} × {logits.shape[1]:,} logits"
    elif logits.ndim == 1:
        shown = f"[{_abbreviated(logits, most)}]"
    else:
        shown = brief(float(logits))
    parts = [shown]
    if witness.labels is not None:
        if witness.labels.ndim == 0:
            parts.append(f"label {_label(witness.labels)}")
        elif logits.ndim == 1:
            parts.append(f"labels [{_abbreviated(to_float64(witness.labels), most)}]")
    parts += [f"{name}={_parameter(value, most)}" for name, value in witness.parameters.items()]
    return " ".join(parts)


def outcome_text(witness: Witness) -> str:
    """``[2] nan, exact 4.12e-09``: the component where there is one, what came, what is right.

    With it, whether the error is explained by the conditioning of the input. Where nothing came
    that could be scored: what happened instead.
    """
    if not witness.exact:
        return clean(witness.note)
    component = "" if witness.index is None else f"[{witness.index}] "
    text = f"{component}{brief(witness.actual)}, exact {exact_brief(witness.exact)}"
    return f"{text} ({EXPLAINED})" if is_explained(witness) else text


def is_explained(witness: Witness) -> bool:
    """Whether an error of many ulps is no more than the rounding of the input itself explains."""
    bits = witness.excess_bits
    return bits is not None and bits <= FEW_BITS and witness.ulp_error > FEW_ULPS


def exact_text(text: str) -> str:
    """Decimal text as one writes such a number: ``2000`` for ``2e+3``; all of its digits."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if value.is_finite() and value and -6 < value.adjusted() < 16:
        return f"{value:f}"
    return _short_exponent(text.lower())


def exact_brief(text: str) -> str:
    """Decimal text in four digits, also where it lies beyond the range of float64."""
    mantissa, mark, exponent = text.lower().partition("e")
    digits = mantissa.lstrip("-").replace(".", "").lstrip("0")
    if not mark and "." not in mantissa and len(mantissa) <= 8:
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    if digits and (value == 0 or math.isinf(value)):
        return f"{float(mantissa):.4g}e{exponent}"
    return brief(value)


def replay(report: Report, finding: Finding, most: float = math.inf) -> list[str]:
    """The words of a command that shows a finding again; none for a finding without a witness.

    ``most``: none either where more numbers would have to stand in it.

    The input stands in it, in numbers that read back as they are. Where it is long, or where a row
    is not all that it takes, the command names the row of the sweep that the report is of, as long
    as that is one which can be made again: of a configuration's file, or of `check`.
    """
    cell, witness = finding.cell, finding.witness
    origin = report.origins.get(f"{cell.loss} {cell.implementation}")
    if witness is None or origin == UNREACHABLE:
        return []
    command = ["xentcheck", "probe", "--loss", cell.loss]
    company = takes_company(report, finding)
    row = _row(report, cell, witness) if company or witness.logits.size > _LONGEST_REPLAY else []
    if row:
        command += [*row, "--block"] if company else row
    elif witness.logits.size > most:
        return []
    else:
        command += _numbers(witness)
    command += ["--dtype", cell.dtype]
    if finding.kind is Kind.TIMED_OUT and report.timeout_s is not None:
        command += ["--timeout", written(report.timeout_s)]
    if finding.kind is Kind.INCONSISTENT:  # it takes both to disagree
        both = (cell.implementation.rpartition("@")[0], cell.implementation)
        return command + [word for name in both for word in ("--implementation", name)]
    named = ("--implementation", escaped(cell.implementation))
    return [*command, *(origin or named)]


def written(value: float) -> str:
    """The shorter of decimal and hex text that read back as a float64: ``20``, ``0x1.8p-100``."""
    if not math.isfinite(value):
        return decimal(value)
    return min(decimal(value), hexadecimal(value), key=len)


def takes_company(report: Report, finding: Finding) -> bool:
    """Whether a finding is of a whole call, or may come out otherwise for its row alone.

    The latter where some row of the same function, however it was called, depends on others.
    """
    return finding.kind in _OF_CALLS or _function(finding.cell) in _dependent(report)


def _function(cell: Cell) -> tuple[str, str, str]:
    return (cell.loss, cell.implementation.partition("@")[0], cell.dtype)


@functools.lru_cache(maxsize=1)
def _dependent(report: Report) -> frozenset[tuple[str, str, str]]:
    """The functions that give a row results which are not its own."""
    whose = (Kind.ROW_DEPENDENT, Kind.NON_DETERMINISTIC, Kind.BATCH_VARIANT)
    return frozenset(_function(each.cell) for each in report.findings if each.kind in whose)


def _row(report: Report, cell: Cell, witness: Witness) -> list[str]:
    """The words for a row of a sweep, none where it is not known how to make that again.

    What was found by a search is made again by no sweep.
    """
    if witness.generator in ADAPTIVE:
        return []
    config = report.config
    seed = config.get("seed", 0)
    words: list[str] = []
    match config.get("command"):
        case "check" if config.get("inputs"):  # rows of the user's own are in no sweep of a name
            return []
        case "check":
            words += ["--row", f"standard:{cell.sweep}:{witness.row}"]
            kind, kinds = config.get("label_kind"), LOSSES[cell.loss].label_kinds
            if kind != kinds[0]:
                words += ["--label-kind", str(kind)]
            if config.get("targets", "all") != "all":
                words += ["--targets", str(config["targets"])]
            for name, value in config.get("parameters", {}).items():
                words += ["--param", f"{name}={_given(value)}"]
            seed = 0
        case "probe":
            return list(config.get("row", ()))
        case _ if report.path:
            words += ["--row", f"{report.path}:{cell.sweep}:{witness.row}"]
    if not words or report.uncertified:  # rows that were given up have no numbers
        return []
    return words if report.seed == seed else [*words, "--seed", str(report.seed)]


def _numbers(witness: Witness) -> list[str]:
    """The words for an input in numbers."""
    words = [f"--logits={_joined(witness.logits)}"]
    labels = witness.labels
    if labels is not None:
        # a class each, or one target; numbers for every class, or for every element
        word = "--label" if labels.ndim == 0 or labels.dtype.kind in "iu" else "--labels"
        words.append(f"{word}={_joined(labels)}")
    for name, value in witness.parameters.items():
        words += ["--param", f"{name}={_given(value)}"]
    return words


def _given(value: Any) -> str:
    """A parameter's value as an option takes it."""
    if isinstance(value, bool | str):
        return str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, np.ndarray):
        return _joined(value)
    return ",".join(map(_given, value)) if isinstance(value, list | tuple) else written(value)


def _joined(values: Array) -> str:
    if values.ndim == 2:
        return ";".join(map(_joined, values))
    if values.dtype.kind in "iu":
        return ",".join(map(str, np.atleast_1d(values).tolist()))
    return ",".join(map(written, np.atleast_1d(to_float64(values)).tolist()))


def quoted(word: str) -> str:
    """A word as a shell takes it, in the quotes that are easiest to read."""
    if "'" in word and not set('"$`\\!\n') & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def shell(command: Sequence[str]) -> str:
    """A command on one line, to be pasted into a shell."""
    return " ".join(map(quoted, command))


def folded(command: Sequence[str], width: int) -> str:
    """A command on lines of at most ``width`` characters that can be pasted into a shell.

    Long lists of numbers are folded within their quotes, for blanks separate numbers as well.
    """
    lines = [""]
    for word in command:
        pieces = [quoted(word)]
        if len(pieces[0]) > width - 2 and _LIST.fullmatch(word):
            pieces = quoted(re.sub("([,;])", r"\1 ", word)).split(" ")
        for i, piece in enumerate(pieces):
            if lines[-1] and len(lines[-1]) + 1 + len(piece) > width - 2:
                lines[-1] += "" if i else " \\"
                lines.append(piece)
            else:
                lines[-1] = f"{lines[-1]} {piece}".lstrip()
    return "\n".join(lines)


def input_lines(witness: Witness, most: int = 8) -> list[tuple[str, str]]:
    """The input of a witness in decimal and hex, as (what, text)."""
    lines = []
    logits = to_float64(witness.logits)
    if logits.ndim < 2:
        lines.append(("logits", _both(logits, most)))
    else:
        lines.append(("logits", f"a block of {logits.shape[0]:,} × {logits.shape[1]:,}"))
    if (labels := witness.labels) is not None:
        if labels.ndim == 0 and labels.dtype.kind in "iu":
            lines.append(("label", _label(labels)))
        elif labels.dtype.kind in "iu":
            lines.append(("labels", listed(labels.ravel(), most, str)))
        elif labels.ndim < 2:
            lines.append(("label" if labels.ndim == 0 else "labels", _both(labels, most)))
        else:
            lines.append(("labels", f"a block of {labels.shape[0]:,} × {labels.shape[1]:,}"))
    lines += [(name, _parameter(value, most)) for name, value in witness.parameters.items()]
    return lines


def witness_lines(witness: Witness, most: int = 8) -> list[tuple[str, str]]:
    """A witness in full, as (what, text): input, result and exact value, in decimal and hex."""
    lines = input_lines(witness, most)
    if not witness.exact:
        return lines
    component = "" if witness.index is None else f"[{witness.index}]"
    came = witness.result_dtype and f" ({witness.result_dtype})"
    lines.append((f"actual{component}", f"{value_text(witness.actual)}{came}"))
    lines.append((f"expected{component}", value_text(witness.expected)))
    lines.append((f"exact{component}", exact_text(witness.exact)))
    if not math.isnan(witness.ulp_error):
        error, absolute = ulps(witness.ulp_error), scientific(witness.abs_error)
        bits = "" if witness.excess_bits is None else f"{witness.excess_bits:.1f} excess bits"
        if is_explained(witness):
            error = f"{error} ulp ({EXPLAINED}: {bits}), {absolute} absolute"
        else:
            error = ", ".join(filter(None, (f"{error} ulp", f"{absolute} absolute", bits)))
        lines.append(("error", error))
    if witness.note:
        lines.append(("note", witness.note))
    return lines


def value_text(value: float) -> str:
    """One number in decimal and, where that adds anything, in hex."""
    return f"{decimal(value)} = {hexadecimal(value)}" if math.isfinite(value) else decimal(value)


def clean(text: str) -> str:
    """Text from elsewhere with escapes for what would steer a terminal; newlines stay."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def count(number: int, noun: str) -> str:
    """``1 row``, ``12,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _both(array: Array, most: int) -> str:
    values = to_float64(array)
    if values.ndim == 0:
        return value_text(float(values))
    return f"[{listed(values, most, decimal)}] = [{listed(values, most, hexadecimal)}]"


def _abbreviated(values: Array, most: int) -> str:
    if values.size <= most:
        return ", ".join(brief(each) for each in values.tolist())
    head = ", ".join(brief(each) for each in values[:most].tolist())
    return f"{head}, … {values.size:,} classes"


def _short_exponent(text: str) -> str:
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


def _label(labels: Array) -> str:
    return str(int(labels)) if labels.dtype.kind in "iu" else decimal(float(to_float64(labels)))


def _parameter(value: ParameterValue, most: int) -> str:
    if not isinstance(value, np.ndarray):
        return _scalar(value)
    if value.ndim > 1:
        return f"{value.shape[0]:,} × {value.shape[1]:,}"
    return f"[{_abbreviated(to_float64(value), most)}]"


def _scalar(value: ParameterValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return decimal(value) if isinstance(value, float) else str(value)
