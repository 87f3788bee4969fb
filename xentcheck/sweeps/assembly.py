"""From a sweep's description to its cases: plan, make, round once, label, cut into blocks."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import Any, overload

import numpy as np

from xentcheck.errors import EmptySweepError, UnknownNameError, UsageError
from xentcheck.floats import FORMATS, from_float64
from xentcheck.losses.spec import Loss, picked
from xentcheck.model import Array, Case, LabelKind, ParameterValue, Sweep, reduces
from xentcheck.sweeps.catalogue import GENERATORS
from xentcheck.sweeps.domain import to_domain
from xentcheck.sweeps.generator import Batch, Generator, Request, stream, with_defaults
from xentcheck.sweeps.labels import against_targets, check_targets, labelled
from xentcheck.sweeps.parameters import combinations, materialise
from xentcheck.sweeps.rows import chunk_rows

MOST_ROWS = 4096
MOST_SINGLE_NUMBERS = 1 << 16  # rows of an elementwise loss
MOST_REDUCED_ROWS = 256  # one infinite row makes a whole mean infinite, and hides the others


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A block of a sweep that has not been drawn yet.

    ``number`` is its place among the sweep's parts for a loss and dtype, from 0. ``rows`` counts
    them before they are labelled, which may repeat them, and before equal ones are dropped where
    the generator wants them once. ``classes`` is 1 for an elementwise loss.
    """

    number: int
    generator: str
    rows: int
    classes: int
    _make: Callable[[], Iterator[Case]] = field(repr=False)

    def cases(self) -> Iterator[Case]:
        """The cases of this part, labelled, rounded and cut; ``start`` counts within the part.

        Every call makes them anew, and they are the same whichever parts were made before.
        Raises UsageError for labels or parameters that do not go with the rows.
        """
        return self._make()


def parts(sweep: Sweep, loss: Loss, dtype: str, seed: int) -> Sequence[Part]:
    """The parts of a sweep for one loss and dtype, of at most `MOST_ELEMENTS` numbers or one row.

    Nothing is drawn here, and the sequence takes no more memory for more rows.

    The draws of an input depend on the seed, the sweep's name and the input's position alone:
    every loss and dtype gets the same numbers before they are brought to its domain and rounded.
    They are NumPy's, so another version of NumPy may draw others.

    Raises:
        UsageError: options, labels, targets or parameters that do not go with the loss or each
            other, or a file that cannot be read.
        UnknownNameError: a generator or dtype that does not exist.
        EmptySweepError: when there is not a single row.
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
    """The cases of all `parts` of a sweep, one after the other, lazily; raises what they raise."""
    return _numbered_through(parts(sweep, loss, dtype, seed))


def _numbered_through(planned: Iterable[Part]) -> Iterator[Case]:
    start = 0
    for part in planned:
        for case in part.cases():
            yield replace(case, start=start)
            start += case.rows


def fitted(sweep: Sweep, loss: Loss) -> tuple[Sweep | None, tuple[str, ...]]:
    """What of a sweep goes with a loss, and what had to be left out, each with the reason.

    A sweep may name losses by pattern; parameters that one of them lacks are left out for it, and
    a loss that does not take the sweep's labels or targets gets None.
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
        elif parameter.label_kinds and kind not in parameter.label_kinds:
            kinds = " or ".join(parameter.label_kinds)
            left_out.append(f"parameter {name} goes with {kinds} labels, not with {kind} ones")
        else:
            kept[name] = axis
    return replace(sweep, parameters=kept), tuple(left_out)


def inapplicable(sweep: Sweep, loss: Loss, dtype: str | None = None) -> tuple[tuple[str, str], ...]:
    """The generators of a sweep that have nothing to give for a loss, each with the reason.

    ``dtype`` None: for any of the sweep's dtypes; a reason that is not true of all names its own.
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


def adaptive_inputs(
    sweep: Sweep, loss: Loss, dtype: str
) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The inputs of a sweep that depend on the implementation: generators with all options."""
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
    """What all parts of a sweep have in common."""

    sweep: Sweep
    loss: Loss
    dtype: str
    seed: int
    kind: LabelKind
    combined: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Successive parts with one shape and treatment: the chunks of a batch, or several batches.

    ``place`` says where in the sweep its random streams are, and ``first`` is the number of its
    first part there.
    """

    whole: _Whole
    generator: str
    request: Request
    batches: tuple[Batch, ...]
    place: tuple[object, ...]
    first: int

    def __len__(self) -> int:
        """How many parts it has: one, if several batches were joined."""
        batch = self.batches[0]
        return 1 if len(self.batches) > 1 else -(-batch.rows // chunk_rows(batch.classes))

    def part(self, chunk: int, number: int) -> Part:
        """The part of one chunk, with its number among all of the sweep."""
        classes = self.batches[0].classes
        first = chunk * chunk_rows(classes)
        pieces = [
            _Piece(batch, first, min(first + chunk_rows(classes), batch.rows))
            for batch in self.batches
        ]
        inner = self.first + chunk
        # The first part at a place has the place's own streams, however many follow.
        place = (*self.place, inner) if inner else self.place
        make = partial(_cases, self.whole, self.generator, self.request, pieces, place)
        rows = sum(piece.last - piece.first for piece in pieces)
        return Part(number, self.generator, rows, max(1, classes), make)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Some of a batch's rows."""

    batch: Batch
    first: int
    last: int


class _Parts(Sequence[Part]):
    """The parts of runs, each made when it is asked for: there may be millions."""

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
    """The runs of one input: what has one shape and treatment stands together."""
    groups: dict[tuple[object, ...], list[Batch]] = {}
    for batch in generator.produce(request):
        if batch.rows:
            labels = batch.labels
            kind = (labels.shape[1:], labels.dtype) if isinstance(labels, np.ndarray) else labels
            groups.setdefault((batch.classes, batch.distinct, kind), []).append(batch)
    for number, group in enumerate(groups.values()):
        first = 0
        for batches in _joined(group):
            place = (whole.sweep.name, position, number)
            run = _Run(whole, generator.name, request, batches, place, first)
            yield run
            first += len(run)


def _joined(batches: Iterable[Batch]) -> Iterator[tuple[Batch, ...]]:
    """Batches of one shape, at least one, as many together as make no more than one chunk."""
    waiting: list[Batch] = []
    rows = 0
    for batch in batches:
        if waiting and rows + batch.rows > chunk_rows(batch.classes):
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
    start = 0
    for combination in whole.combined:
        # The label comes first: it decides how many rows parameters per row are for.
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
        )
        shape = rows.shape if index is None else (len(index), *rows.shape[1:])
        parameters = materialise(combination, shape, whole.dtype, whole.seed, place)
        for cut in _cuts(shape, scalars, labels):
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
            )
            start += len(logits)


def _scalars(combination: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """The parameters on which labels depend."""
    return {
        name: raw
        for name, (_, raw) in combination.items()
        if name in ("ignore_index", "log_target", "reduction") and raw is not None
    }


def _block(pieces: Sequence[_Piece], request: Request) -> Array:
    """Rounded rows."""
    made = [_rounded(piece, request) for piece in pieces]
    rows = made[0] if len(made) == 1 else np.concatenate(made)
    if pieces[0].batch.distinct and pieces[0].batch.labels is None:
        rows = rows[_first_of_equals(rows)]
    return rows


def _recorded(pieces: Sequence[_Piece], *, logarithmic: bool) -> Array | None:
    """The labels that came with the rows, or are made with them."""
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
    rows = batch.make(piece.first, piece.last)
    if batch.verbatim and rows.dtype == request.format.dtype:
        return rows
    if not batch.verbatim:
        rows = to_domain(rows, request.domain)
    if batch.saturate:
        most = request.format.max
        rows = np.where(np.isfinite(rows), np.clip(rows, -most, most), rows)
    return from_float64(rows, request.format.name)


def _first_of_equals(rows: Array) -> Array:
    """The positions of rows that differ bitwise from all before them, in order."""
    width = rows.dtype.itemsize * int(np.prod(rows.shape[1:]))
    keys = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), width)
    _, first = np.unique(keys.view(np.dtype((np.void, width))).ravel(), return_index=True)
    return np.sort(first)


def _cuts(
    shape: tuple[int, ...], scalars: Mapping[str, ParameterValue], labels: Array | None
) -> Iterator[slice | Array]:
    """Cuts through labelled rows of that shape, within the limits on rows and elements.

    With an ``ignore_index`` under a reduction, a cut with nothing but ignored rows comes last.
    """
    reduced = reduces(scalars)
    longest = MOST_REDUCED_ROWS if reduced else MOST_ROWS if shape[1:] else MOST_SINGLE_NUMBERS
    most = min(longest, chunk_rows(int(np.prod(shape[1:]))))
    for first in range(0, shape[0], most):
        yield slice(first, min(first + most, shape[0]))
    ignored = scalars.get("ignore_index")
    if labels is not None and ignored is not None and reduced:
        every = np.flatnonzero(labels == ignored)[:4]
        if len(every):
            yield every
