"""Turn a sweep's description into cases: plan, make, round once, label, cut into blocks."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import Any, overload

from xentcheck.deferred import np, npt
from xentcheck.errors import EmptySweepError, UnknownNameError, UsageError
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import ADAPTIVE, Array, Case, Domain, LabelKind, ParameterValue, Sweep, reduces
from xentcheck.model.inputs import picked
from xentcheck.sweeps.catalogue import GENERATORS
from xentcheck.sweeps.domain import to_domain
from xentcheck.sweeps.generator import Batch, Generator, Request, stream, with_defaults
from xentcheck.sweeps.labels import HARD_OR_SOFT, against_targets, check_targets, labelled
from xentcheck.sweeps.parameters import combinations, materialise
from xentcheck.sweeps.rows import chunk_rows

MOST_ROWS = 4096  # largest number of rows of a case without a reduction
MOST_SINGLE_NUMBERS = 1 << 16  # the same for an elementwise loss
FEW_REDUCED_ROWS = 256  # rows of a short block: one infinite row hides all others of its mean
TAME = 64.0  # a row outweighs no other if its logits are at most this far apart


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A block of a sweep that is not drawn yet.

    ``number`` counts the sweep's parts for a loss and dtype, from 0. ``rows`` is the number of rows
    before labels repeat them, and before equal rows are dropped if the generator wants that.
    ``classes`` is 1 for an elementwise loss.
    """

    number: int
    generator: str
    rows: int
    classes: int
    _make: Callable[[], Iterator[Case]] = field(repr=False)

    def cases(self) -> Iterator[Case]:
        """Make the cases of this part, labelled, rounded and cut; ``start`` counts in the part.

        Every call makes the same cases again, whichever parts were made before. Raises UsageError
        for labels or parameters that do not go with the rows.
        """
        return self._make()


def parts(sweep: Sweep, loss: Loss, dtype: str, seed: int) -> Sequence[Part]:
    """Return the parts of a sweep for one loss and dtype. Nothing is drawn here.

    A part has at most `MOST_ELEMENTS` numbers, or one row. The sequence does not take more memory
    for more rows.

    The draws of an input depend only on the seed, the sweep's name and the input's position. So
    every loss and dtype gets the same numbers before they are converted to its domain and rounded.
    NumPy draws them, so another version of NumPy may draw others.

    Args:
        sweep: the sweep to plan.
        loss: the loss that gets the rows.
        dtype: name of the format that the rows are rounded to.
        seed: seed of the audit.

    Raises:
        UsageError: options, labels, targets or parameters do not go with the loss or each other,
            or a file cannot be read.
        UnknownNameError: a generator or dtype does not exist.
        EmptySweepError: the sweep has no rows.
    """
    kind = sweep.label_kind or loss.label_kinds[0]
    if kind not in loss.label_kinds:
        known = " or ".join(loss.label_kinds)
        message = f"sweep {sweep.name}: {loss.id} takes {known} labels, not {kind} ones"
        raise UsageError(message)
    check_targets(sweep.targets, loss, kind)
    requests = list(_requests(sweep, loss, dtype, seed))
    combined = list(combinations(loss, kind, sweep.parameters))
    whole = _Whole(sweep, loss, dtype, seed, kind, combined)
    runs: list[_Run] = []
    reasons = []
    for position, generator, request in requests:
        if generator.adaptive:
            reasons.append(f"{generator.name}: it goes on from the rows of other inputs")
            continue
        reason = generator.reason_against(request)
        planned = [] if reason else list(_runs(whole, position, generator, request))
        if not planned:
            reasons.append(f"{generator.name}: {reason or 'it has no rows with these options'}")
        runs += planned
    if not runs:
        reasons = reasons or ["it has no inputs"]
        message = (
            f"sweep {sweep.name} has no rows for {loss.id} in {dtype}\n"
            + "".join(f"    {reason}\n" for reason in reasons)
            + "    help: give it an input that fits the loss, or leave the loss or dtype out"
        )
        raise EmptySweepError(message)
    return _Parts(runs)


def cases(sweep: Sweep, loss: Loss, dtype: str, seed: int) -> Iterator[Case]:
    """Yield the cases of all `parts` of a sweep, lazily; ``start`` counts through all of them.

    Args:
        sweep: the sweep to run.
        loss: the loss that gets the rows.
        dtype: name of the format that the rows are rounded to.
        seed: seed of the audit.

    Raises:
        UsageError, UnknownNameError, EmptySweepError: see `parts`.
    """
    return _numbered_through(parts(sweep, loss, dtype, seed))


def _numbered_through(planned: Iterable[Part]) -> Iterator[Case]:
    start = 0
    for part in planned:
        for case in part.cases():
            yield replace(case, start=start)
            start += case.rows


def fitted(sweep: Sweep, loss: Loss) -> tuple[Sweep | None, tuple[str, ...]]:
    """Fit a sweep to a loss. Return the fitted sweep or None, and the reasons for omissions.

    A sweep may name losses by a pattern. A loss does not get the parameters that it lacks. A loss
    that does not take the sweep's labels or targets gets None.
    """
    kind = sweep.label_kind or loss.label_kinds[0]
    if kind not in loss.label_kinds:
        known = " or ".join(loss.label_kinds)
        return None, (f"takes {known} labels, not {kind} ones",)
    unfit = against_targets(sweep.targets, kind)
    if unfit:
        return None, (unfit,)
    kept = {}
    left_out = []
    for name, axis in sweep.parameters.items():
        parameter = loss.parameter(name)
        if parameter is None:
            left_out.append(f"has no parameter {name}")
        elif not parameter.goes_with(kind):
            kinds = " or ".join(parameter.label_kinds)
            left_out.append(f"parameter {name} goes with {kinds} labels, not with {kind} ones")
        else:
            kept[name] = axis
    return replace(sweep, parameters=kept), tuple(left_out)


def inapplicable(sweep: Sweep, loss: Loss, dtype: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the generators of a sweep that have no rows for a loss, each with the reason.

    ``dtype`` None: in any of the sweep's dtypes. A reason that depends on the dtype names it.
    """
    found: dict[tuple[str, str], None] = {}
    reduced = set(sweep.parameters.get("reduction", ())) - {"none", None}
    for each in sweep.dtypes if dtype is None else (dtype,):
        for _, generator, request in _requests(sweep, loss, each, 0):
            reason = generator.reason_against(request)
            if generator.adaptive and reduced:
                reason = "rows under a reduction are left as they are"
            if reason:
                found.setdefault((generator.name, reason))
    return tuple(found)


def divided(sweep: Sweep, loss: Loss, dtype: str) -> tuple[tuple[str, str], ...]:
    """Return the generators with more rows of one shape than a reduction takes, with the numbers.

    Such rows are reduced in several blocks, and the report has to say so.
    """
    if not set(sweep.parameters.get("reduction", ())) - {"none", None}:
        return ()
    found: dict[tuple[str, str], None] = {}
    for _, generator, request in _requests(sweep, loss, dtype, 0):
        if generator.adaptive or generator.reason_against(request):
            continue
        rows: Counter[int] = Counter()
        for batch in generator.produce(request):
            rows[batch.classes] += batch.rows
        for classes, count in rows.items():
            most = chunk_rows(classes, reduced=True)
            if count > most:
                reason = f"a reduction takes {most:,} of its {count:,} rows at once"
                found.setdefault((generator.name, reason))
    return tuple(found)


def adaptive_inputs(
    sweep: Sweep, loss: Loss, dtype: str
) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Return the inputs of a sweep that depend on the implementation: generators and options."""
    return tuple(
        (generator.name, request.options)
        for _, generator, request in _requests(sweep, loss, dtype, 0)
        if generator.adaptive
    )


def _requests(
    sweep: Sweep, loss: Loss, dtype: str, seed: int
) -> Iterator[tuple[int, Generator, Request]]:
    if dtype not in FORMATS:
        raise UnknownNameError("dtype", dtype, FORMATS)
    kind = sweep.label_kind or loss.label_kinds[0]
    for position, spec in enumerate(sweep.inputs):
        if spec.generator not in GENERATORS:
            raise UnknownNameError("generator", spec.generator, GENERATORS)
        generator = GENERATORS[spec.generator]
        try:
            options = with_defaults(generator, spec.options, dtype)
        except ValueError as error:
            message = f"sweep {sweep.name}, generator {generator.name}: {error}"
            raise UsageError(message) from None
        streams = partial(stream, seed, sweep.name, position)
        yield (
            position,
            generator,
            Request(options, loss.layout, loss.domain, FORMATS[dtype], streams, loss.id, kind),
        )


# planning ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """The data that all parts of a sweep share."""

    sweep: Sweep
    loss: Loss
    dtype: str
    seed: int
    kind: LabelKind
    combined: Sequence[Mapping[str, Any]]

    def chunk_rows(self, classes: int) -> int:
        """Return how many rows are made at once: more if they are reduced together."""
        return chunk_rows(classes, reduced=any(reduces(_scalars(each)) for each in self.combined))


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Successive parts with one shape and treatment: the chunks of a batch, or several batches.

    ``place`` is the place of its random streams in the sweep. ``first`` is the number of its first
    part at that place.
    """

    whole: _Whole
    generator: str
    request: Request
    batches: tuple[Batch, ...]
    place: tuple[object, ...]
    first: int

    def __len__(self) -> int:
        """Return the number of parts; it is 1 if several batches were joined."""
        batch = self.batches[0]
        return (
            1 if len(self.batches) > 1 else -(-batch.rows // self.whole.chunk_rows(batch.classes))
        )

    def part(self, chunk: int, number: int) -> Part:
        """Return the part of one chunk; ``number`` counts all parts of the sweep."""
        classes = self.batches[0].classes
        most = self.whole.chunk_rows(classes)
        first = chunk * most
        pieces = [_Piece(batch, first, min(first + most, batch.rows)) for batch in self.batches]
        inner = self.first + chunk
        # The first part at a place has the place's own streams, even if other parts follow.
        place = (*self.place, inner) if inner else self.place
        make = partial(_cases, self.whole, self.generator, self.request, pieces, place)
        rows = sum(piece.last - piece.first for piece in pieces)
        return Part(number, self.generator, rows, max(1, classes), make)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A range of a batch's rows."""

    batch: Batch
    first: int
    last: int


class _Parts(Sequence[Part]):
    """The parts of runs. Each part is made on demand, because there may be millions."""

    def __init__(self, runs: Sequence[_Run]) -> None:
        self._runs = runs
        self._ends = list(accumulate(map(len, runs)))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Part, ...]: ...
    def __getitem__(self, index: int | slice) -> Part | tuple[Part, ...]:
        places = range(len(self))[index]
        return self._at(places) if isinstance(places, int) else tuple(map(self._at, places))

    def _at(self, number: int) -> Part:
        position = bisect_right(self._ends, number)
        run = self._runs[position]
        return run.part(number - self._ends[position] + len(run), number)


def _runs(whole: _Whole, position: int, generator: Generator, request: Request) -> Iterator[_Run]:
    """Yield the runs of one input. Batches of one shape and treatment share runs."""
    groups: dict[tuple[object, ...], list[Batch]] = {}
    for batch in generator.produce(request):
        if batch.rows:
            labels = batch.labels
            kind = (labels.shape[1:], labels.dtype) if isinstance(labels, np.ndarray) else labels
            alone = batch.period and len(groups)  # batches of repeated rows are not joined
            shape = (batch.classes, batch.distinct, kind, alone)
            groups.setdefault(shape, []).append(batch)
    for number, group in enumerate(groups.values()):
        first = 0
        for batches in _joined(group, whole.chunk_rows(group[0].classes)):
            place = (whole.sweep.name, position, number)
            run = _Run(whole, generator.name, request, batches, place, first)
            yield run
            first += len(run)


def _joined(batches: Iterable[Batch], most: int) -> Iterator[tuple[Batch, ...]]:
    """Join successive batches of one shape as long as they fit in one chunk."""
    waiting: list[Batch] = []
    rows = 0
    for batch in batches:
        if waiting and rows + batch.rows > most:
            yield tuple(waiting)
            waiting, rows = [], 0
        waiting.append(batch)
        rows += batch.rows
    yield tuple(waiting)


# making --------------------------------------------------------------------------------------


def _cases(
    whole: _Whole,
    generator: str,
    request: Request,
    pieces: Sequence[_Piece],
    place: tuple[object, ...],
) -> Iterator[Case]:
    rows = _block(pieces, request)
    period = pieces[0].batch.period
    start = 0
    for combination in whole.combined:
        # Labels come first, because they decide how many rows a parameter per row has.
        scalars = _scalars(combination)
        index, labels = labelled(
            rows,
            whole.loss,
            whole.kind,
            whole.sweep.targets,
            scalars,
            _recorded(pieces, logarithmic=bool(scalars.get("log_target"))),
            whole.dtype,
            stream(whole.seed, *place, "labels"),
            pieces[0].first,
            pieces[0].batch.origin,
        )
        if period:
            index, labels = _over_and_over(pieces[0], rows, index, labels)
        shape = rows.shape if index is None else (len(index), *rows.shape[1:])
        classes = whole.loss.classes(shape, scalars)
        parameters = materialise(combination, shape, whole.dtype, whole.seed, place, classes)
        reduced = reduces(scalars)
        tame = _tame(rows, labels, index, whole) if reduced and not period else None
        for cut, again in _cuts(shape, scalars, labels, tame):
            logits = rows[cut] if index is None else rows[index[cut]]
            yield Case(
                whole.sweep.name,
                generator,
                whole.loss.id,
                whole.dtype,
                logits,
                whole.kind,
                None if labels is None else labels[cut],
                picked(parameters, cut),
                start,
                again,
                fixed=whole.sweep.targets in HARD_OR_SOFT,
                integers=whole.sweep.integers and whole.kind is LabelKind.TARGET,
            )
            start += len(logits)


def _over_and_over(
    piece: _Piece, rows: Array, index: Array | None, labels: Array | None
) -> tuple[Array, Array | None]:
    """Repeat a few rows to fill a piece. Return the index and the label of each row.

    The first half of the few rows fills most of the piece, the second half the last eighth. So a
    mean of partial means differs from the mean of all rows.
    """
    few = np.arange(len(rows)) if index is None else index
    head = -(-len(few) // 2)
    at = np.arange(piece.first, piece.last)
    tail = at >= piece.batch.rows - piece.batch.rows // 8 - (piece.batch.rows > 1)
    places = np.where(tail, head + at % max(len(few) - head, 1), at % head) % len(few)
    return few[places], None if labels is None else labels[places]


def _scalars(combination: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """Return the parameters on which labels and cuts depend."""
    return {
        name: raw
        for name, (_, raw) in combination.items()
        if name in ("ignore_index", "log_target", "reduction") and raw is not None
    }


def _block(pieces: Sequence[_Piece], request: Request) -> Array:
    """Return the rounded rows of the pieces."""
    made = [_rounded(piece, request) for piece in pieces]
    rows = made[0] if len(made) == 1 else np.concatenate(made)
    if pieces[0].batch.distinct and pieces[0].batch.labels is None:
        rows = rows[_first_of_equals(rows)]
    return rows


def _recorded(pieces: Sequence[_Piece], *, logarithmic: bool) -> Array | None:
    """Return the labels that came with the rows, or make them; None: there are none."""
    given = []
    for piece in pieces:
        labels = piece.batch.labels
        if labels is not None and not isinstance(labels, np.ndarray):
            labels = labels(piece.first, piece.last, logarithmic=logarithmic)
        elif labels is not None:
            labels = np.asarray(labels[piece.first : piece.last])
        if labels is not None:
            given.append(labels)
    return np.concatenate(given) if given else None


def _rounded(piece: _Piece, request: Request) -> Array:
    batch = piece.batch
    ends = (0, batch.period) if batch.period else (piece.first, piece.last)
    rows = batch.make(*ends)
    if batch.verbatim and rows.dtype == request.format.dtype:
        return rows
    if not batch.verbatim:
        rows = to_domain(rows, request.domain)
    if batch.saturate:
        most = request.format.max
        rows = np.where(np.isfinite(rows), np.clip(rows, -most, most), rows)
    return from_float64(rows, request.format.name)


def _first_of_equals(rows: Array) -> Array:
    """Return the positions of rows that differ bitwise from all rows before them, in order."""
    width = rows.dtype.itemsize * int(np.prod(rows.shape[1:]))
    keys = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), width)
    _, first = np.unique(keys.view(np.dtype((np.void, width))).ravel(), return_index=True)
    return np.sort(first)


def _cuts(
    shape: tuple[int, ...],
    scalars: Mapping[str, ParameterValue],
    labels: Array | None,
    tame: npt.NDArray[np.bool_] | None,
) -> Iterator[tuple[slice | Array, bool]]:
    """Yield cuts through labelled rows, and whether an earlier cut had the same rows.

    The first cuts divide the rows into short blocks. Under a reduction, longer cuts follow (see
    `_longer`); ``tame`` says which rows are tame. If ``tame`` is None, a reduction gets all rows at
    once and no other cuts. With an ``ignore_index``, a reduction also gets a last cut of ignored
    rows only.
    """
    reduced, rows = reduces(scalars), shape[0]
    most = chunk_rows(int(np.prod(shape[1:])), reduced=reduced)
    if not reduced:
        most = min(most, MOST_ROWS if shape[1:] else MOST_SINGLE_NUMBERS)
    few = most if tame is None else min(most, FEW_REDUCED_ROWS)
    for first in range(0, rows, few):
        yield slice(first, min(first + few, rows)), False
    if not reduced:
        return
    if tame is not None:
        yield from ((cut, True) for cut in _longer(tame, most))
    ignored = scalars.get("ignore_index")
    if labels is not None and ignored is not None:
        every = np.flatnonzero(labels == ignored)[:4]
        if len(every):
            yield every, True


def _longer(tame: npt.NDArray[np.bool_], most: int) -> Iterator[slice | Array]:
    """Yield the longer cuts of rows that are reduced together.

    One infinite row makes a whole mean infinite, and one huge row outweighs all others. So the
    first cuts have tame rows only, in blocks of growing length. The next have all tame rows at
    once, the last have all rows, tame or not.
    """
    rows, own = len(tame), np.flatnonzero(tame)
    first = 0
    for length in _lengths():
        if first + length > min(len(own), most):
            break
        yield own[first : first + length]
        first += length
    if len(own) < rows or rows > FEW_REDUCED_ROWS:
        yield from (own[at : at + most] for at in range(0, len(own), most))
    if len(own) < rows and rows > FEW_REDUCED_ROWS:
        yield from (slice(at, min(at + most, rows)) for at in range(0, rows, most))


def _lengths() -> Iterator[int]:
    """Yield 1, 2, 3, then powers of 4 plus 1: if a function cuts a block, one row is left over."""
    yield from (1, 2, 3)
    power = 4
    while True:
        yield power + 1
        power *= 4


def _tame(
    rows: Array, labels: Array | None, index: Array | None, whole: _Whole
) -> npt.NDArray[np.bool_]:
    """Return which labelled rows are neither infinite nor outweigh others, by their inputs."""
    domain = whole.loss.domain
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        x = to_float64(rows).reshape(len(rows), -1)
        if domain is Domain.PROBABILITIES:
            x = np.log(x if rows.ndim == 2 else np.hstack([x, 1.0 - x]))
        elif domain is Domain.LOGITS and rows.ndim == 2:
            x = x - x.max(axis=1, keepdims=True)
        tame = np.asarray((np.abs(x) <= TAME).all(axis=1))
    if index is not None:
        tame = np.asarray(tame[index])
    if labels is not None and whole.kind is not LabelKind.INTEGER:
        tame &= (to_float64(labels).reshape(len(labels), -1) < np.inf).all(axis=1)
    return tame


def located(sweep: Sweep, loss: Loss, dtype: str, seed: int, row: int) -> tuple[Case, int]:
    """Find a row of a sweep. Return its case, and its position in the case.

    Args:
        sweep: the sweep.
        loss: the loss that gets the rows.
        dtype: name of the format of the rows.
        seed: seed of the audit.
        row: number of the row as in reports: from 0 over all cases for this loss and dtype.

    Raises:
        UsageError: the sweep has fewer rows.
    """
    rows = 0
    for case in cases(sweep, loss, dtype, seed):
        rows = case.start + case.rows
        if 0 <= row < rows:
            return case, row - case.start
    message = (
        f"sweep {sweep.name} has {rows:,} rows for {loss.id} in {dtype}: there is no row {row}"
    )
    named = [spec.generator for spec in sweep.inputs if spec.generator in ADAPTIVE]
    if named and row >= rows:
        message += (
            f"\n    help: what {' or '.join(dict.fromkeys(named))} found has numbers beyond those; "
            "it is asked about by --logits, as its line in the report has it"
        )
    raise UsageError(message)
