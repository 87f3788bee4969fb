"""From a sweep's description to its cases: generate, round once, label, cut into blocks."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xentcheck.errors import EmptySweepError, UnknownNameError, UsageError
from xentcheck.floats import FORMATS, from_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, Case, LabelKind, ParameterValue, Sweep, Yield
from xentcheck.sweeps.catalogue import GENERATORS
from xentcheck.sweeps.domain import to_domain
from xentcheck.sweeps.generator import Batch, Generator, Request, stream, with_defaults
from xentcheck.sweeps.labels import labelled
from xentcheck.sweeps.parameters import combinations, materialise

MOST_ROWS = 4096
MOST_REDUCED_ROWS = 256  # one infinite row makes a whole mean infinite, and hides the others
MOST_ELEMENTS = 1 << 20


def cases(sweep: Sweep, loss: Loss, dtype: str, seed: int) -> Iterator[Case]:
    """The blocks of a sweep for one loss and dtype, lazily.

    The draws of an input depend on the seed, the sweep's name and the input's position alone:
    every loss and dtype gets the same numbers before they are brought to its domain and rounded.
    They are NumPy's, so another version of NumPy may draw others.

    Raises:
        UsageError: options, labels or parameters that do not go with the loss or each other.
        UnknownNameError: a generator or dtype that does not exist.
        EmptySweepError: when the iteration ends without a single row.
    """
    kind = sweep.label_kind or loss.label_kinds[0]
    if kind not in loss.label_kinds:
        known = " or ".join(loss.label_kinds)
        message = f"sweep {sweep.name}: {loss.id} takes {known} labels, not {kind} ones"
        raise UsageError(message)
    requests = list(_requests(sweep, loss, dtype, seed))
    combined = list(combinations(loss, kind, sweep.parameters))
    return _assembled(sweep, loss, dtype, seed, kind, requests, combined)


def fitted(sweep: Sweep, loss: Loss) -> tuple[Sweep | None, tuple[str, ...]]:
    """What of a sweep goes with a loss, and what had to be left out, each with the reason.

    A sweep may name losses by pattern; parameters that one of them lacks are left out for it, and
    a loss that does not take the sweep's labels gets None.
    """
    kind = sweep.label_kind or loss.label_kinds[0]
    if kind not in loss.label_kinds:
        known = " or ".join(loss.label_kinds)
        return None, (f"takes {known} labels, not {kind} ones",)
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
    for each in sweep.dtypes if dtype is None else (dtype,):
        for _, generator, request in _requests(sweep, loss, each, 0):
            reason = generator.reason_against(request)
            if reason:
                found.setdefault((generator.name, reason))
    return tuple(found)


@dataclass(slots=True)
class Tally:
    """Counts rows, and how many of them are distinct (bit by bit, with labels and parameters)."""

    _rows: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    _seen: dict[tuple[str, str, str, str], set[bytes]] = field(default_factory=dict)

    def add(self, case: Case) -> None:
        """Count the rows of a case."""
        key = (case.sweep, case.generator, case.loss, case.dtype)
        self._rows[key] = self._rows.get(key, 0) + case.rows
        seen = self._seen.setdefault(key, set())
        common = hashlib.blake2b(digest_size=16)
        parts = [case.logits] if case.labels is None else [case.logits, case.labels]
        for name, value in sorted(case.parameters.items()):
            if isinstance(value, np.ndarray) and value.ndim == 2:
                parts.append(value)
            else:
                content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
                common.update(name.encode() + b"=" + content + b";")
        rows = [np.ascontiguousarray(part).reshape(case.rows, -1).view(np.uint8) for part in parts]
        for row in np.concatenate(rows, axis=1):
            digest = common.copy()
            digest.update(row.tobytes())
            digest.update(str(case.logits.shape[1:]).encode())
            seen.add(digest.digest())

    def yields(self) -> tuple[Yield, ...]:
        """What was counted, per sweep, generator, loss and dtype."""
        return tuple(Yield(*key, rows, len(self._seen[key])) for key, rows in self._rows.items())


def tally(blocks: Iterable[Case]) -> tuple[Yield, ...]:
    """Rows and distinct rows of these cases, per sweep, generator, loss and dtype."""
    counted = Tally()
    for case in blocks:
        counted.add(case)
    return counted.yields()


def _requests(
    sweep: Sweep, loss: Loss, dtype: str, seed: int
) -> Iterator[tuple[int, Generator, Request]]:
    if dtype not in FORMATS:
        raise UnknownNameError("dtype", dtype, FORMATS)
    for position, spec in enumerate(sweep.inputs):
        if spec.generator not in GENERATORS:
            raise UnknownNameError("generator", spec.generator, GENERATORS)
        generator = GENERATORS[spec.generator]
        try:
            options = with_defaults(generator, spec.options, dtype)
        except ValueError as error:
            message = f"sweep {sweep.name}, generator {generator.name}: {error}"
            raise UsageError(message) from None
        rng = stream(seed, sweep.name, position)
        yield (
            position,
            generator,
            Request(options, loss.layout, loss.domain, FORMATS[dtype], rng),
        )


def _assembled(
    sweep: Sweep,
    loss: Loss,
    dtype: str,
    seed: int,
    kind: LabelKind,
    requests: list[tuple[int, Generator, Request]],
    combined: list[dict[str, Any]],
) -> Iterator[Case]:
    start = 0
    reasons = []
    for position, generator, request in requests:
        reason = generator.reason_against(request)
        if reason:
            reasons.append(f"{generator.name}: {reason}")
            continue
        before = start
        for number, (rows, recorded) in enumerate(_blocks(generator.produce(request), request)):
            place = (sweep.name, position, number)
            for combination in combined:
                # The label comes first: it decides how many rows parameters per row are for.
                scalars = _scalars(combination)
                index, labels = labelled(
                    rows,
                    loss,
                    kind,
                    sweep.targets,
                    scalars,
                    recorded,
                    dtype,
                    stream(seed, *place, "labels"),
                )
                logits = rows[index]
                parameters = materialise(combination, logits.shape, dtype, seed, place)
                for part in _cuts(logits, scalars, labels):
                    yield Case(
                        sweep.name,
                        generator.name,
                        loss.id,
                        dtype,
                        logits[part],
                        kind,
                        None if labels is None else labels[part],
                        {name: _cut(value, part) for name, value in parameters.items()},
                        start,
                    )
                    start += len(logits[part])
        if start == before:
            reasons.append(f"{generator.name}: it has no rows with these options")
    if not start:
        reasons = reasons or ["it has no inputs"]
        message = (
            f"sweep {sweep.name} has no rows for {loss.id} in {dtype}\n"
            + "".join(f"    {reason}\n" for reason in reasons)
            + "    help: give it an input that fits the loss, or leave the loss or dtype out"
        )
        raise EmptySweepError(message)


def _scalars(combination: Mapping[str, Any]) -> dict[str, ParameterValue]:
    """The parameters on which labels depend."""
    return {
        name: raw
        for name, (_, raw) in combination.items()
        if name in ("ignore_index", "log_target", "reduction") and raw is not None
    }


def _blocks(batches: Iterable[Batch], request: Request) -> Iterator[tuple[Array, Array | None]]:
    """Rounded rows, joined where they have one shape and one treatment."""
    groups: dict[tuple[object, ...], list[Batch]] = {}
    for batch in batches:
        kind = None if batch.labels is None else (batch.labels.shape[1:], batch.labels.dtype)
        groups.setdefault((batch.rows.shape[1:], batch.distinct, kind), []).append(batch)
    for group in groups.values():
        rows = np.concatenate([_rounded(batch, request) for batch in group])
        given = [each.labels for each in group if each.labels is not None]
        labels = np.concatenate(given) if given else None
        if group[0].distinct and labels is None:
            rows = rows[_first_of_equals(rows)]
        if len(rows):
            yield rows, labels


def _rounded(batch: Batch, request: Request) -> Array:
    rows = batch.rows if batch.verbatim else to_domain(batch.rows, request.domain)
    if batch.saturate:
        most = request.format.max
        rows = np.where(np.isfinite(rows), np.clip(rows, -most, most), rows)
    return from_float64(rows, request.format.name)


def _first_of_equals(rows: Array) -> Array:
    """The positions of rows that differ bitwise from all before them, in order."""
    width = rows.dtype.itemsize * int(np.prod(rows.shape[1:]))
    keys = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), width)
    seen: dict[bytes, int] = {}
    for position, key in enumerate(keys):
        seen.setdefault(key.tobytes(), position)
    return np.array(list(seen.values()), dtype=np.intp)


def _cuts(
    logits: Array, scalars: Mapping[str, ParameterValue], labels: Array | None
) -> Iterator[slice | Array]:
    """Parts of a block within the limits on rows and elements.

    With an ``ignore_index`` under a reduction, a part with nothing but ignored rows comes last.
    """
    classes = int(np.prod(logits.shape[1:]))
    reduced = scalars.get("reduction", "none") != "none"
    most = max(1, min(MOST_REDUCED_ROWS if reduced else MOST_ROWS, MOST_ELEMENTS // classes))
    for first in range(0, len(logits), most):
        yield slice(first, first + most)
    ignored = scalars.get("ignore_index")
    if labels is not None and ignored is not None and reduced:
        every = np.flatnonzero(labels == ignored)[:4]
        if len(every):
            yield every


def _cut(value: ParameterValue, part: slice | Array) -> ParameterValue:
    return value[part] if isinstance(value, np.ndarray) and value.ndim == 2 else value
