"""Holds the results on failing rows against models: which known form gives the same errors?"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.diagnosis.agreement import Agreement, Bools
from xentcheck.diagnosis.models import CALL_SHIFTS, Model, models_of
from xentcheck.diagnosis.steps import TRUNCATED, Steps
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Block
from xentcheck.measurement import FailingBlock, extent
from xentcheck.model import Array, Case, Cause, Float64Array, Quantity
from xentcheck.searching import joined

ACCEPTED = 0.85
"""A model explains a line if it agrees on this share of the rows; several, if they do together."""

ALONE = 0.2
"""A further model counts if it agrees on this share of all rows, on rows without another."""

SCREENED = 48
"""Rows on which every model is tried first."""

SCREENED_BLOCKS = 6
"""Blocks that these rows are from."""

FINALISTS = 8
"""Models that are tried on all rows."""

TRIED = 24
"""Models that are held against passing rows."""

CLEAR = 0.995
"""With a model that agrees on this share, no less likely ones are tried."""

LEAST = 0.05
"""Models that agree on less are not looked at any more."""

STORED = 8
"""Models of which a step is tried in a narrower dtype, the sound one first."""

RANKED = 4
"""Further ones: those that agree on the most rows."""

WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float64"}
"""The next wider format of a dtype, in which a form may be computed."""

_EPSILONS = (1e-7, 1e-8, 1e-12, 1e-15, 1e-6, 1e-10, 1e-5, 1e-4, 1e-9, 1e-3, 1e-16, 1e-20, 1e-30)
_HEIGHTS = (100.0, 50.0, 64.0)
_BLOCKS = (1, 2, 4, 8, 16, 32, 64, 128)
_LETTERS = {"epsilon": "ε", "clamp": "h", "block": "block"}


@dataclass(frozen=True, slots=True)
class Variant:
    """A model with everything that is free in it.

    Attributes:
        model: the form.
        options: its options, with fitted ones.
        compute: the dtype of its computation, by name; "": that of the input.
        narrow: steps that are stored in a narrower dtype.
        sums: how sums over classes are formed.
    """

    model: Model
    options: Mapping[str, Any]
    compute: str = ""
    narrow: tuple[tuple[str, str], ...] = ()
    sums: str = "pairwise"

    @property
    def text(self) -> str:
        """The form in words."""
        says = self.model.says
        if self.model.fitted:
            says += f", {_LETTERS[self.model.fitted]} = {self.options[self.model.fitted]:.4g}"
        if self.compute:
            says += f", computed in {self.compute}"
        for step, dtype in self.narrow:
            says += f", {step} stored in {dtype}"
        if self.sums != "pairwise":
            says += f", {self.sums} sums"
        return says

    @property
    def name(self) -> str:
        """The name of the model, with its free choices."""
        return f"{self.model.name}{self.text.removeprefix(self.model.says)}"


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How a variant agrees with the rows of a line.

    Attributes:
        variant: the variant.
        agreed: (rows,), over all blocks.
        causes: (rows,), the cause of each row by the variant's own steps; None: no step is blamed.
        passed: the share of rows that pass on which it gives the same results.
        near: of further rows that were asked, those on which it agrees, and all.
    """

    variant: Variant
    agreed: Bools
    causes: npt.NDArray[Any]
    passed: float = 1.0
    near: tuple[int, int] = (0, 0)

    @property
    def share(self) -> float:
        """The share of rows on which it agrees."""
        return float(self.agreed.mean()) if len(self.agreed) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What the models say of the failing rows of one line.

    Attributes:
        matches: the accepted models, the one that agrees on most rows first; empty if none is.
        others: the best of the others, for comparison.
        causes: (rows,), the cause of each row; None where no accepted model agrees.
        blocks: the rows, in this order.
    """

    matches: tuple[Match, ...]
    others: tuple[Match, ...]
    causes: npt.NDArray[Any]
    blocks: tuple[FailingBlock, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.causes)


def merged_blocks(blocks: Iterable[FailingBlock]) -> list[FailingBlock]:
    """The same rows in fewer blocks: those of one shape and with equal parameters together."""
    groups: dict[tuple[Any, ...], FailingBlock] = {}
    left: list[FailingBlock] = []
    for block in blocks:
        case = block.case
        if case.reduced:
            left.append(block)
            continue
        plain = tuple(
            (name, value.tobytes() if isinstance(value, np.ndarray) else value)
            for name, value in sorted(case.parameters.items())
            if np.ndim(value) < 2
        )
        shape = None if case.labels is None else case.labels.ndim
        names = tuple(sorted(case.parameters))
        key = (case.logits.shape[1:], case.label_kind, shape, plain, names, block.result_dtype)
        known = groups.get(key)
        if known is None:
            groups[key] = block
            continue
        groups[key] = replace(
            known,
            case=joined(known.case, case),
            actual=np.concatenate([known.actual, block.actual]),
            exact=np.concatenate([known.exact, block.exact]),
            kinds=np.concatenate([known.kinds, block.kinds]),
            gravest=np.concatenate([known.gravest, block.gravest]),
            called=np.concatenate([_called(each.case, each.called) for each in (known, block)]),
        )
    return [*groups.values(), *left]


def _called(case: Case, called: Float64Array | None) -> Float64Array:
    """The extent of the call of each row, (rows, 2); if it is not known, the case is the call."""
    return np.broadcast_to(extent(case.logits), (case.rows, 2)) if called is None else called


def predicted(variant: Variant, block: FailingBlock) -> Float64Array:
    """The results of a variant on the rows of a block, in the shape of the block's results."""
    result, _ = run(variant, block.case, block.result_dtype, block.called, blaming=False)
    out = result.reshape(1 if block.single else block.case.rows, -1)
    return out if block.rows is None else out[block.rows]


def computed(variant: Variant, block: FailingBlock) -> tuple[Float64Array, npt.NDArray[Any]]:
    """The results of a variant on the rows of a block, in the shape of its results, and causes."""
    result, steps = run(variant, block.case, block.result_dtype, block.called)
    rows = 1 if block.single else block.case.rows
    out = result.reshape(rows, -1)
    if block.single:
        causes = steps.causes(np.repeat(out, block.case.rows, axis=0))
        causes = np.array([_first(causes)], dtype=object)
    else:
        causes = steps.causes(out)
    if block.rows is not None:
        out, causes = out[block.rows], causes[block.rows]
    return out, causes


def _first(causes: npt.NDArray[Any]) -> Cause | None:
    return next((each for each in causes.tolist() if each is not None), None)


def options_of(variant: Variant, case: Case, called: Float64Array | None = None) -> dict[str, Any]:
    """The options of a variant, with what its shift depends on besides the row.

    Args:
        variant: the form.
        case: the rows.
        called: (rows, 2), the extent of the call that each row was part of; None: it is the case.
    """
    options = dict(variant.options)
    if options.get("shift") in CALL_SHIFTS:
        options["called"] = from_float64(_called(case, called), case.dtype)
        options["temperature"] = case.parameters.get("temperature", 1.0)
    return options


def run(
    variant: Variant,
    case: Case,
    result_dtype: str,
    called: Float64Array | None = None,
    *,
    blaming: bool = True,
) -> tuple[Float64Array, Steps]:
    """The results of a variant on a case in float64, rounded to a dtype, and its steps.

    Args:
        variant: the form.
        case: the rows.
        result_dtype: the dtype of the results, by name.
        called: (rows, 2), the extent of the call that each row was part of; None: it is the case.
        blaming: steps say what they lose.
    """
    compute = variant.compute or case.dtype
    kind = FORMATS[compute].dtype
    steps = Steps(compute, dict(variant.narrow), variant.sums, blaming)

    def cast(value: Any) -> Any:
        is_float = isinstance(value, np.ndarray) and value.dtype.kind not in "iub"
        return value.astype(kind) if is_float and value.dtype != kind else value

    parameters = {name: cast(value) for name, value in case.parameters.items()}
    parameters["input dtype"] = case.dtype
    options = {name: cast(each) for name, each in options_of(variant, case, called).items()}
    with np.errstate(all="ignore"):
        per_row = variant.model.form(
            steps, cast(case.logits), cast(case.labels), parameters, options
        )
        if case.reduced:
            per_row = _reduced(steps, per_row, case)
        return to_float64(per_row.astype(FORMATS[result_dtype].dtype)), steps


def _reduced(steps: Steps, per_row: Array, case: Case) -> Array:
    """The value over all rows, or the gradient's share of it; what the mean loses is blamed."""
    loss = LOSSES[case.loss]
    mean = case.parameters.get("reduction") == "mean"
    block = Block(
        to_float64(case.logits),
        None if case.labels is None else _wide(case.labels),
        {k: _wide(v) if isinstance(v, np.ndarray) else v for k, v in case.parameters.items()},
        case.label_kind,
    )
    count = float(loss.row_weights(block).sum()) if mean else 1.0
    divisor = from_float64(np.asarray(count), steps.dtype)
    if mean and count == 0:
        steps.blame(Cause.EMPTY_MEAN, lambda: np.full(case.rows, np.inf))
    if per_row.ndim > case.logits.ndim - 1 and per_row.shape == case.logits.shape != (case.rows,):
        return np.asarray(per_row / divisor)
    if per_row.ndim == 1:
        total = per_row.sum()
        inside = np.isfinite(to_float64(per_row)).all()
        if inside and not np.isfinite(to_float64(np.asarray(total))):
            steps.blame(Cause.SUM_OVERFLOW, lambda: np.full(case.rows, np.inf))
        elif inside:
            off = abs(float(to_float64(np.asarray(total))) - float(to_float64(per_row).sum()))
            steps.blame(Cause.LOW_PRECISION_ACCUMULATION, lambda: np.full(case.rows, off))
        return np.asarray(total / divisor)
    return np.asarray(per_row / divisor)


def _wide(value: Array) -> Array:
    return value if value.dtype.kind in "iub" else to_float64(value)


def fingerprint(
    loss: str,
    quantity: Quantity,
    blocks: Sequence[FailingBlock],
    passing: Sequence[FailingBlock] = (),
    hints: Sequence[float] = (),
    asked: Sequence[FailingBlock] = (),
) -> Fingerprint:
    """Compare the failing rows of a line with every model.

    Args:
        loss: the loss.
        quantity: value or gradient.
        blocks: the failing rows, as `merged_blocks` gives them.
        passing: rows on which the implementation passes. A model that fails there is not accepted.
        hints: epsilons that another quantity of the implementation was fitted with.
        asked: further rows that fail, which tell forms apart but are not explained.
    """
    if not blocks:
        return Fingerprint((), (), np.empty(0, dtype=object), ())
    whole = (*blocks, *asked)
    few = screened(whole)
    ranked: list[tuple[Variant, float]] = []
    least = 0.0
    for variants in tiers_of_variants(loss, quantity, whole, hints):
        ranked = ranking(variants, few, ranked, least)
        if not ranked or ranked[0][1] < ACCEPTED:
            continue
        if _passed(ranked[0][0], passing)[0] >= _MOST_PASSING:
            if ranked[0][1] >= CLEAR:
                break
            # only what explains more may change the diagnosis, or as much as what comes next
            least = max((each for _, each in ranked if each < ranked[0][1]), default=0.0)
    compared = [Agreement(block) for block in whole]
    matches = _finalists(ranked, compared, passing)
    chosen = _chosen(matches)
    if not _enough(chosen) or (chosen[0].share < CLEAR and WIDER.get(whole[0].case.dtype)):
        plain = [each for each in models_of(loss, quantity) if not each.fitted]
        bases = [Variant(each, each.options) for each in plain[:STORED]]
        own = whole[0].case.dtype
        bases += [replace(each, compute=wide) for wide in _wider(own) for each in bases]
        bases += [each for each, _ in ranked[:RANKED] if each not in bases]
        more = ranking(list(_stored(bases, few[0].block)), few, least=least)
        matches += _finalists(more, compared, passing)
        chosen = _chosen(matches)
    accepted = chosen if _enough(chosen) else []
    rows = sum(block.results for block in whole)
    causes = np.full(rows, None, dtype=object)
    for match in accepted:
        free = match.agreed & np.array([each is None for each in causes], dtype=np.bool_)
        causes[free] = _agreed_causes(match, matches)[free]
    alike = [
        each.variant
        for each in matches
        if any((each.agreed == match.agreed).all() for match in chosen)
    ]
    rest = [each for each in ranked if each[0] not in alike]
    others = tuple(_match(each, compared) for each, share in rest[:1] if share > 0)
    kept = sum(block.results for block in blocks)
    return Fingerprint(
        tuple(_of_first(each, kept) for each in accepted),
        tuple(_of_first(each, kept) for each in others),
        causes[:kept],
        tuple(blocks),
    )


def _of_first(match: Match, rows: int) -> Match:
    """A match on the first rows; the others are those that were asked."""
    rest = match.agreed[rows:]
    return replace(
        match,
        agreed=match.agreed[:rows],
        causes=match.causes[:rows],
        near=(int(rest.sum()), len(rest)),
    )


def _agreed_causes(match: Match, matches: Sequence[Match]) -> npt.NDArray[Any]:
    """The causes of a match; None where another one that explains as much has another cause.

    What the sound form loses as well is no matter of the form.
    """
    causes = match.causes.copy()
    alike = [
        each
        for each in matches
        if (each.agreed == match.agreed).all() and each.passed == match.passed
    ]
    plain = [each for each in alike if not each.variant.model.fitted]
    alike = plain or alike  # no number is fitted where none is needed
    for row in range(len(causes)):
        given = [each.causes[row] for each in alike]
        sound = [
            cause
            for each, cause in zip(alike, given, strict=True)
            if cause is not None and each.variant.model.sound
        ]
        named = set(sound[:1] or given) - {None}
        if named == {Cause.EXP_OVERFLOW, Cause.UNTAKEN_BRANCH_GRADIENT}:
            named = {Cause.EXP_OVERFLOW}  # that of the branch as well
        causes[row] = named.pop() if len(named) == 1 else None
    return causes


def _finalists(
    ranked: Sequence[tuple[Variant, float]],
    compared: Sequence[Agreement],
    passing: Sequence[FailingBlock],
) -> list[Match]:
    """The best variants that pass where the implementation does, on all rows."""
    found: list[Match] = []
    clear = 0.0
    for variant, share in ranked[:TRIED]:
        if len(found) == FINALISTS or share < max(LEAST, clear):
            break
        near, equal = _passed(variant, passing)
        if near >= _MOST_PASSING:
            found.append(_match(variant, compared, equal))
            if found[-1].share >= CLEAR:
                clear = share  # only those that agree on as much may be the form as well
    return found


def _passed(variant: Variant, passing: Sequence[FailingBlock]) -> tuple[float, float]:
    """The shares of rows that pass on which a variant comes close to the results, and is equal."""
    close = equal = total = 0
    for block in passing:
        out = predicted(variant, block)
        target = FORMATS[min(block.result_dtype, block.case.dtype, key=_precision)]
        wide = np.abs(to_float64(block.case.logits)).reshape(block.case.rows, -1)
        scale = np.maximum(np.where(np.isfinite(wide), wide, 0.0).max(axis=1), 1.0)[:, None]
        same = (out == block.actual) | (np.isnan(out) & np.isnan(block.actual))
        with np.errstate(all="ignore"):
            slack = np.maximum(_NEARLY * np.abs(block.actual), _ROUNDINGS * target.epsilon * scale)
            near = (np.abs(out - block.actual) <= slack) | same
        close += int(np.count_nonzero(near.all(axis=1)))
        equal += int(np.count_nonzero(same.all(axis=1)))
        total += len(near)
    return (close / total, equal / total) if total else (1.0, 1.0)


_NEARLY = 2.0**-8
_ROUNDINGS = 32.0
_MOST_PASSING = 0.9


def _wider(dtype: str) -> list[str]:
    """The wider dtypes in which a form may be computed."""
    return [
        each
        for each in ("float32", "float64")
        if FORMATS[each].precision > FORMATS[dtype].precision
    ]


def _precision(name: str) -> int:
    return FORMATS[name].precision


def _chosen(matches: Sequence[Match]) -> list[Match]:
    """The matches that explain the most rows together, the best first."""
    left = sorted(matches, key=lambda each: (-each.share, -each.passed, each.variant.model.sound))
    chosen: list[Match] = []
    covered = np.zeros(len(matches[0].agreed) if matches else 0, dtype=np.bool_)
    while left:
        best = max(left, key=lambda each: int((each.agreed & ~covered).sum()))
        gain = float((best.agreed & ~covered).mean())
        if chosen and gain < ALONE:
            break
        chosen.append(best)
        covered |= best.agreed
        left.remove(best)
        if covered.all():
            break
    return chosen


def _enough(chosen: Sequence[Match]) -> bool:
    if not chosen:
        return False
    covered = np.logical_or.reduce([each.agreed for each in chosen])
    return bool(covered.mean() >= ACCEPTED)


def _match(variant: Variant, compared: Sequence[Agreement], passed: float = 1.0) -> Match:
    agreed, causes = [], []
    for each in compared:
        out, found = computed(variant, each.block)
        agreed.append(each.rows(out))
        causes.append(found)
    return Match(variant, np.concatenate(agreed), np.concatenate(causes), passed)


def screened(blocks: Sequence[FailingBlock]) -> list[Agreement]:
    """A few rows of some blocks: of those with the most rows, and of short ones."""
    short = [each for each in blocks if each.case.logits.size <= _LONGEST] or list(blocks)
    short.sort(key=lambda each: -each.results)
    short = short[:SCREENED_BLOCKS]
    total = sum(block.results for block in short)
    few = []
    for block in short:
        room = max(4, SCREENED * block.results // max(total, 1))
        rows = np.linspace(0, block.results - 1, min(room, block.results)).astype(np.intp)
        few.append(Agreement(block.at(np.unique(rows))))
    return few


_LONGEST = 1 << 15


def ranking(
    tried: Sequence[Variant],
    few: Sequence[Agreement],
    known: Sequence[tuple[Variant, float]] = (),
    least: float = 0.0,
) -> list[tuple[Variant, float]]:
    """The variants with the share of the rows on which each agrees, the best first.

    Args:
        tried: the variants.
        few: the rows.
        known: what was ranked before, which is ranked with them.
        least: the share that a variant has to exceed.

    Variants that cannot, or cannot come among the first `TRIED`, are left out as soon as that is
    seen.
    """
    rows = sum(each.block.results for each in few)
    best = sorted([*(share for _, share in known), *[0.0] * TRIED], reverse=True)[:TRIED]
    scored = [*known]
    for variant in tried:
        bar = max(least, best[-1])
        agreed, left = 0, rows
        for each in few:
            if agreed + left <= bar * rows:
                break
            agreed += int(np.count_nonzero(each.rows(predicted(variant, each.block))))
            left -= each.block.results
        else:
            share = agreed / rows
            scored.append((variant, share))
            best = sorted([*best, share], reverse=True)[:TRIED]
    scored.sort(key=lambda each: -each[1])
    return scored


def tiers_of_variants(
    loss: str, quantity: Quantity, blocks: Sequence[FailingBlock], hints: Sequence[float]
) -> Iterator[list[Variant]]:
    """The variants to try, the likely ones first."""
    dtype = blocks[0].case.dtype
    models = models_of(loss, quantity)
    if FORMATS[dtype].precision > FORMATS["float16"].precision:
        models = tuple(each for each in models if not each.options.get("widened"))
    plain = [each for each in models if not each.fitted]
    yield [Variant(each, each.options) for each in plain]
    wider = WIDER.get(dtype)
    if wider is not None:
        yield [Variant(each, each.options, wider) for each in plain]
    heights = _plateaus(blocks)
    exact = [math.exp(-h) for h in heights]
    own = FORMATS[dtype].epsilon
    fitted = [*hints, *map(_nice, exact), *_negative(blocks), *exact]
    doubled = [_nice(each / 2) for each in exact]
    yield _fitted(models, fitted, doubled, heights)
    common = [each for each in (*_EPSILONS, own, own / 2) if each not in fitted]
    yield _fitted(models, common, common, _HEIGHTS)


def _fitted(
    models: Sequence[Model],
    epsilons: Iterable[float],
    doubled: Iterable[float],
    heights: Iterable[float],
) -> list[Variant]:
    """The models with a free number, with each number."""
    found = []
    # a clamped logarithm ends at a whole number; any other height comes from an epsilon
    whole = [each for each in dict.fromkeys(heights) if abs(each - round(each)) < _WHOLE]
    for model in sorted(models, key=lambda each: each.fitted != "clamp"):
        if model.fitted == "epsilon":
            given = doubled if model.options.get("twice") else epsilons
            numbers = [each for each in dict.fromkeys(given) if 0 < each <= _LARGEST_EPSILON]
        elif model.fitted == "clamp":
            numbers = whole
        elif model.fitted == "block":
            numbers = list(_BLOCKS)
        else:
            continue
        found += [Variant(model, {**model.options, model.fitted: each}) for each in numbers]
    return found


_LARGEST_EPSILON = 0.1
_WHOLE = 1e-6


def _plateaus(blocks: Sequence[FailingBlock]) -> list[float]:
    """The heights at which results stay while the exact ones go on, the most frequent first."""
    seen: dict[float, int] = {}
    for block in blocks:
        with np.errstate(invalid="ignore"):
            flat = np.isfinite(block.actual) & (np.abs(block.exact) > np.abs(block.actual) + 1e-3)
        flat &= block.actual != 0
        values, counts = np.unique(np.abs(block.actual[flat]), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            seen[value] = seen.get(value, 0) + count
    often = sorted(
        (each for each in seen if seen[each] > 1 and each < _HIGHEST), key=lambda v: -seen[v]
    )
    return often[:3]


_HIGHEST = 800.0  # exp(−800) is 0


def _negative(blocks: Sequence[FailingBlock]) -> list[float]:
    """Epsilons that show as the loss of a certain row: −log(1 + ε)."""
    found = []
    for block in blocks:
        below = block.actual[(block.actual < 0) & (block.exact >= 0) & (block.exact < 1e-9)]
        if len(below):
            found.append(_nice(float(-np.median(below))))
    return found[:2]


def _nice(value: float) -> float:
    """The number of two digits next to a fitted one, if it is near."""
    if not 0 < value < 1:
        return value
    short = float(f"{value:.1e}")
    return short if abs(short - value) <= 2e-3 * value else value


def _stored(bases: Sequence[Variant], block: FailingBlock) -> Iterator[Variant]:
    """Variants with one step in a narrower dtype, or with other sums."""
    for base in bases:
        compute = base.compute or block.case.dtype
        _, steps = run(base, block.case, block.result_dtype)
        own = FORMATS[compute]
        narrower = [
            name
            for name in ("float16", "bfloat16", "float32")
            if FORMATS[name].precision < own.precision and name != compute
        ]
        for step in steps.named:
            for name in narrower:
                yield replace(base, narrow=((step, name),))
        if compute == "float32" and "x" in steps.named:
            yield replace(base, narrow=(("x", f"bfloat16{TRUNCATED}"),))
        yield replace(base, sums="sequential")
