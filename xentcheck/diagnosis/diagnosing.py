"""From failing rows to causes: the diagnosis of one implementation of a loss.

A cause is claimed only for rows on which an accepted model gives the same wrong results; it is what
the model's own steps lose there. Everything else is `Cause.UNKNOWN`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.diagnosis.agreement import Agreement
from xentcheck.diagnosis.fingerprint import (
    Fingerprint,
    Match,
    Variant,
    computed,
    fingerprint,
    merged_blocks,
)
from xentcheck.diagnosis.models import CALL_SHIFTS, sound_model
from xentcheck.diagnosis.remedies import PROVEN, attained, remedy_of, together
from xentcheck.floats import FORMATS, to_float64
from xentcheck.measurement import (
    Arbitration,
    Candidate,
    FailingBlock,
    FailingRows,
    alone,
)
from xentcheck.model import (
    KINDS,
    Attainable,
    Cause,
    Cell,
    Diagnosis,
    Explained,
    Fault,
    Finding,
    Float64Array,
    Kind,
    Proof,
    Quantity,
    Tolerance,
    Witness,
    kind_of,
)


@dataclass(frozen=True, slots=True, eq=False)
class FailingLine:
    """The failing rows of a loss × implementation × dtype × quantity.

    Attributes:
        cells: the cells with failing rows.
        failing: their rows.
        tolerance: the tolerance of the cells.
        findings: the findings of these cells that are faults.
        asked: rows that were asked beside those of the cells, to tell forms apart.
    """

    dtype: str
    quantity: Quantity
    cells: tuple[Cell, ...]
    failing: tuple[FailingRows, ...]
    tolerance: Tolerance
    findings: tuple[Finding, ...]
    asked: tuple[FailingRows, ...] = ()

    @property
    def rows(self) -> int:
        """The number of failing rows that were kept."""
        return sum(each.rows for each in self.failing)


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosed:
    """What a diagnosis of an implementation comes to.

    Attributes:
        diagnoses: the causes, that with the most rows first; unknown ones last.
        causes: the cause of each finding that has one, by its cell and kind.
        attainable: what the best known form attains, by cell: that of its line.
        failures: messages about results that the arbiter cannot decide.
        variants: the form that explains most rows of a cause, by cause, dtype and quantity.
        unexplained: the rows that no cause explains, by dtype and quantity.
        fits: each line with the epsilons that were known before, and how forms fit it.
    """

    diagnoses: tuple[Diagnosis, ...] = ()
    causes: tuple[tuple[Cell, str, Cause], ...] = ()
    attainable: tuple[tuple[Cell, Attainable], ...] = ()
    failures: tuple[str, ...] = ()
    variants: Mapping[tuple[Cause, str, str], Variant] = field(default_factory=dict)
    unexplained: Mapping[tuple[str, Quantity], Sequence[FailingBlock]] = field(default_factory=dict)
    fits: tuple[tuple[FailingLine, tuple[float, ...], Fingerprint], ...] = ()


def diagnose(
    loss: str, implementation: str, lines: Sequence[FailingLine], before: Diagnosed | None = None
) -> Diagnosed:
    """The causes of the failing rows of an implementation.

    Args:
        loss: the loss.
        implementation: the implementation, by name.
        lines: its failing rows, by dtype and quantity.
        before: a diagnosis of the implementation. What was fitted for it is not fitted again.
    """
    prints: list[Fingerprint] = []
    fits: list[tuple[FailingLine, tuple[float, ...], Fingerprint]] = []
    hints: list[float] = []
    for line in lines:
        found = _fitted(loss, line, hints, before)
        fits.append((line, tuple(hints), found))
        hints += [
            match.variant.options["epsilon"]
            for match in found.matches
            if match.variant.model.fitted == "epsilon"
        ]
        prints.append(found)
    arbitration = Arbitration()
    diagnoses = [
        _diagnosis(cause, loss, implementation, lines, prints, arbitration)
        for cause in _ordered(prints)
    ]
    attainable = []
    for line in lines:
        parts = [
            known
            for diagnosis in diagnoses
            for dtype, quantity, known in diagnosis.attainable
            if (dtype, quantity) == (line.dtype, line.quantity)
        ]
        if parts:
            attainable += [(cell, together(parts)) for cell in line.cells]
    causes = [
        (finding.cell, str(finding.kind), cause)
        for line, found in zip(lines, prints, strict=True)
        for finding in line.findings
        if (cause := _cause_of(finding, found)) is not None
    ]
    variants = {
        (cause, line.dtype, line.quantity.value): match.variant
        for line, found in zip(lines, prints, strict=True)
        for match in reversed(found.matches)
        for cause in set(match.causes[match.agreed].tolist()) - {None}
    }
    unexplained = {
        (line.dtype, line.quantity): _rows_of(found, _of(found, Cause.UNKNOWN))
        for line, found in zip(lines, prints, strict=True)
    }
    return Diagnosed(
        tuple(diagnoses),
        tuple(causes),
        tuple(attainable),
        tuple(arbitration.failures),
        variants,
        {key: blocks for key, blocks in unexplained.items() if blocks},
        tuple(fits),
    )


def _fitted(
    loss: str, line: FailingLine, hints: Sequence[float], before: Diagnosed | None
) -> Fingerprint:
    """How known forms fit a line, from the diagnosis before if that has the same."""
    for known, given, found in () if before is None else before.fits:
        if known is line and given == tuple(hints):
            return found
    blocks = merged_blocks(block for each in line.failing for block in each.blocks)
    both = (*line.failing, *line.asked)
    passing = merged_blocks(block for each in both for block in each.passing)
    asked = merged_blocks(block for each in line.asked for block in each.blocks)
    return fingerprint(loss, line.quantity, blocks, passing, hints, asked)


def _ordered(prints: Sequence[Fingerprint]) -> list[Cause]:
    """The causes, that with the most rows first, then unknown ones."""
    counts: Counter[Cause] = Counter()
    for found in prints:
        for cause in found.causes.tolist():
            counts[cause or Cause.UNKNOWN] += 1
    return sorted(counts, key=lambda cause: (cause is Cause.UNKNOWN, -counts[cause], cause.value))


def _of(found: Fingerprint, cause: Cause) -> npt.NDArray[np.bool_]:
    """Which rows have a cause: (rows,)."""
    wanted = None if cause is Cause.UNKNOWN else cause
    return np.array([each is wanted for each in found.causes.tolist()], dtype=np.bool_)


def _diagnosis(
    cause: Cause,
    loss: str,
    implementation: str,
    lines: Sequence[FailingLine],
    prints: Sequence[Fingerprint],
    arbitration: Arbitration,
) -> Diagnosis:
    explains: list[Explained] = []
    evidence: dict[str, None] = {}
    proofs: list[Proof] = []
    attainable: list[tuple[str, Quantity, Attainable]] = []
    ruled_out: dict[str, None] = {}
    smallest: tuple[tuple[Any, ...], Candidate, FailingLine] | None = None
    for line, found in zip(lines, prints, strict=True):
        rows = _of(found, cause)
        if not rows.any():
            continue
        failing = sum(each.failing for each in line.failing)
        explains.append(Explained(line.dtype, line.quantity, int(rows.sum()), found.rows, failing))
        known = attained(_rows_of(found, rows), loss, line.quantity, line.tolerance)
        if known is not None:
            attainable.append((line.dtype, line.quantity, known))
        if cause is Cause.UNKNOWN:
            ruled_out |= dict.fromkeys(_rejected(line, found))
        else:
            if known is not None:
                proofs.append(_proof(line, known))
            for match in found.matches:
                if (match.agreed & rows).any():
                    evidence.setdefault(_agreement_text(line, match, found))
        shown = _smallest(found, rows)
        if shown is not None and (smallest is None or shown[0] < smallest[0]):
            smallest = (*shown, line)
    witness = cell = kind = None
    if smallest is not None:
        _, candidate, line = smallest
        cell = Cell(loss, implementation, line.dtype, line.quantity, candidate.case.sweep)
        kind = candidate.kind
        witness = arbitration.witness(candidate, cell, line.tolerance)
        explains.sort(key=lambda each: (each.dtype, each.quantity) != (line.dtype, line.quantity))
    return Diagnosis(
        cause,
        loss,
        implementation,
        tuple(explains),
        evidence=tuple(evidence),
        witness=witness,
        cell=cell,
        kind=kind,
        remedy=remedy_of(cause, loss, {each.quantity for each in explains}),
        proofs=tuple(proofs),
        ruled_out=tuple(ruled_out),
        attainable=tuple(attainable),
    )


def _proof(line: FailingLine, known: Attainable) -> Proof:
    """What the best known form gives in the same dtype, from what it attains."""
    passing = dict(known.faults)[Fault.FORMULA]
    return Proof(
        known.form, line.dtype, line.quantity, known.rows, known.same_ulp, known.rows - passing
    )


def _agreement_text(line: FailingLine, match: Match, found: Fingerprint) -> str:
    """The sentence that says how a model agrees."""
    own = int(match.agreed.sum())
    text = (
        f"{line.dtype} {line.quantity}: the results are those of {match.variant.name} "
        f"({match.variant.text}) on {own:,} of {found.rows:,} failing rows"
    )
    agreed, asked = match.near
    if asked:
        text += f", and on {agreed:,} of {asked:,} that were asked near them"
    if found.others:
        other = found.others[0]
        text += f"; next: {other.variant.name}, {100 * other.share:.0f} %"
    return text


def _rejected(line: FailingLine, found: Fingerprint) -> list[str]:
    """What was tried for rows without a cause."""
    sound = sound_model(found.blocks[0].case.loss, line.quantity) if found.blocks else None
    if found.matches:
        name = found.matches[0].variant.name
        if sound is not None and found.matches[0].variant.model == sound:
            return [f"{line.dtype} {line.quantity}: the results are those of {sound.says}"]
        return [f"{line.dtype} {line.quantity}: {name} does not explain these rows"]
    return [
        f"{line.dtype} {line.quantity}: {each.variant.name} gives {100 * each.share:.0f} % of the "
        "results"
        for each in found.others
    ]


def _rows_of(found: Fingerprint, rows: npt.NDArray[np.bool_]) -> list[FailingBlock]:
    """Up to `PROVEN` of some rows, as blocks."""
    share = max(1, int(np.ceil(rows.sum() / PROVEN)))
    blocks, start = [], 0
    for block in found.blocks:
        here = np.flatnonzero(rows[start : start + block.results])[::share]
        start += block.results
        if len(here):
            blocks.append(block.at(here))
    return blocks


def _smallest(
    found: Fingerprint, rows: npt.NDArray[np.bool_]
) -> tuple[tuple[Any, ...], Candidate] | None:
    """The row that is easiest to read, as a candidate: few classes, few digits."""
    best: tuple[tuple[Any, ...], FailingBlock, int] | None = None
    start = 0
    for number, block in enumerate(found.blocks):
        here = np.flatnonzero(rows[start : start + block.results])
        start += block.results
        if best is not None and block.case.classes > best[0][1]:
            continue
        for row in here[:_LOOKED_AT].tolist():
            key = (
                block.case.reduced,
                block.case.classes,
                len(block.case.parameters),
                _length(block, row),
                number,
                row,
            )
            if best is None or key < best[0]:
                best = (key, block, row)
    if best is None:
        return None
    key, block, row = best
    return key, _candidate(block, row)


_LOOKED_AT = 400


def _length(block: FailingBlock, row: int) -> int:
    """How many characters the row's logits take; infinite ones count as long."""
    if block.single or block.case.reduced:
        return int(block.case.logits.size)
    numbers = np.atleast_1d(block.case.logits[row]).astype(np.float64)
    return sum(len(f"{each:.17g}") + 20 * (not np.isfinite(each)) for each in numbers.tolist())


def _candidate(block: FailingBlock, row: int) -> Candidate:
    """A row as a candidate for a witness; its component is the gravest one."""
    codes = block.kinds[row]
    with np.errstate(all="ignore"):
        errors = np.nan_to_num(np.abs(block.actual[row] - block.exact[row]), nan=-1.0)
    gravest = np.flatnonzero(codes == codes.min())
    column = int(gravest[int(errors[gravest].argmax())])
    place = row if block.rows is None else int(block.rows[row])
    case, own = alone(block.case, 0 if block.single else place)
    per_row = block.single or (block.actual.shape[1] == 1 and block.case.logits.ndim == 1)
    per_row = per_row or block.actual.shape[1] == 1
    return Candidate(
        case=case,
        row=own,
        number=block.case.start + place,
        index=None if per_row else column,
        actual=float(block.actual[row, column]),
        result_dtype=block.result_dtype,
        kind=kind_of(int(codes[column])),
        ulp_error=float("nan"),
        abs_error=float("nan"),
        single=block.single,
    )


def _cause_of(finding: Finding, found: Fingerprint) -> Cause | None:
    """The cause of a finding: what the accepted models say of its witness."""
    if finding.kind is Kind.ROW_DEPENDENT:
        shared = any(each.variant.options.get("shift") in CALL_SHIFTS for each in found.matches)
        return Cause.WRONG_SHIFT if shared else None
    witness = finding.witness
    if witness is None or witness.scored is None or not found.matches:
        return None
    for match in found.matches:
        cause = _cause_by(match, finding, witness, found)
        if cause is not None:
            return cause
    return None


def _cause_by(match: Match, finding: Finding, witness: Witness, found: Fingerprint) -> Cause | None:
    like = next((each for each in found.blocks if _matches(each, witness)), None)
    if like is None or like.case.reduced:
        return None
    block = replace(_block_of(finding, witness, like), called=_called_of(witness, found.blocks))
    out, causes = computed(match.variant, block)
    if block.actual.shape != out.shape:
        width = out.shape[1]
        at = witness.index or 0
        actual, exact, kinds = out.copy(), out.copy(), np.full(out.shape, _RIGHT, dtype=np.int8)
        if at >= width:
            return None
        actual[0, at], exact[0, at] = block.actual[0, 0], block.exact[0, 0]
        kinds[0, at] = block.kinds[0, 0]
        block = _with(block, actual, exact, kinds)
    return causes[0] if Agreement(block).rows(out)[0] else None


def _called_of(witness: Witness, blocks: Sequence[FailingBlock]) -> Float64Array | None:
    """The extent of the call that the row of a witness was part of, (1, 2); None if not known."""
    own = to_float64(np.asarray(witness.logits))
    for block in blocks:
        if block.called is None or block.case.logits.shape[1:] != own.shape:
            continue
        same = (to_float64(block.case.logits) == own).reshape(block.results, -1).all(axis=1)
        if same.any():
            return block.called[np.flatnonzero(same)[:1]]
    return None


_RIGHT = np.int8(len(KINDS))


def _with(block: FailingBlock, actual: Any, exact: Any, kinds: Any) -> FailingBlock:
    return FailingBlock(block.case, actual, exact, kinds, kinds.min(axis=1), block.result_dtype)


def _matches(block: FailingBlock, witness: Witness) -> bool:
    return block.case.logits.ndim == np.ndim(witness.logits) + 1 and set(
        block.case.parameters
    ) == set(witness.parameters)


def _block_of(finding: Finding, witness: Witness, like: FailingBlock) -> FailingBlock:
    """The witness as a block of one row and one result."""

    def one(value: Any) -> Any:
        return None if value is None else np.asarray(value)[None]

    parameters = {
        name: value[None]
        if isinstance(value, np.ndarray) and np.ndim(like.case.parameters[name]) == value.ndim + 1
        else value
        for name, value in witness.parameters.items()
    }
    case = replace(
        like.case,
        logits=one(witness.logits),
        labels=one(witness.labels),
        parameters=parameters,
        generator=witness.generator,
    )
    code = KINDS.index(finding.kind)
    try:
        exact = float(witness.exact)
    except ValueError:
        exact = witness.expected
    return FailingBlock(
        case,
        np.array([[witness.actual]]),
        np.array([[exact]]),
        np.array([[code]], dtype=np.int8),
        np.array([code], dtype=np.int8),
        witness.result_dtype or FORMATS[case.dtype].name,
    )
