"""Texts for inputs and witnesses."""

import math
from collections.abc import Mapping

import numpy as np

from xentcheck.floats import to_float64
from xentcheck.model import Array, Input, Kind, ParameterValue, Witness
from xentcheck.model.kinds import gravity
from xentcheck.report.words.numbers import (
    EXPLAINED,
    brief,
    clean,
    decimal,
    exact_brief,
    exact_text,
    hexadecimal,
    is_explained,
    listed,
    scientific,
    ulps,
    value_text,
)


def kinds(counts: Mapping[Kind, int]) -> str:
    """The kinds with their counts, gravest first: ``nan 12, inaccurate 3``."""
    ordered = sorted(counts.items(), key=lambda item: gravity(item[0]))
    return ", ".join(f"{kind} {count:,}" for kind, count in ordered if count)


def input_text(witness: Witness | Input, most: int = 4) -> str:
    """The input in a few digits: ``[20, 0, 0] label 0``, ``-745 label 1``, ``… 65,540 classes``.

    At most ``most`` numbers of a row are shown.
    """
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
    """The component if there is one, the result and the exact value: ``[2] nan, exact 4.12e-9``.

    The text also says if the input's conditioning explains the error. If there was no result to
    score, it says what happened instead.
    """
    if witness.scored is None:
        return clean(witness.note)
    component = "" if witness.index is None else f"[{witness.index}] "
    text = f"{component}{brief(witness.actual)}, exact {exact_brief(witness.exact)}"
    return f"{text} ({EXPLAINED})" if is_explained(witness) else text


def input_lines(witness: Witness | Input, most: int = 8) -> list[tuple[str, str]]:
    """The input of a witness in decimal and hex, as (label, text) pairs.

    At most ``most`` numbers of a row are shown.
    """
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
    """A witness in full, as (label, text): input, result and exact value, in decimal and hex."""
    lines = input_lines(witness, most)
    if witness.scored is None:
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
