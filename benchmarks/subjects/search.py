"""How bad an input the standard sweep finds, against a minute of search on the same function.

The hill climb here is independent of the one in the project: one population of rows in float32,
inputs within ±104 and class counts up to ten, blocks of 256 rows; `hypothesis.target` has a tenth
of its time.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.findings import BenchmarkError, Figure, Findings, Plan, at_least
from xentcheck import api
from xentcheck.measurement.scoring import excess_bits, score
from xentcheck.model import Array, Case, Float64Array, LabelKind, Quantity, Tolerance
from xentcheck.reference import Reference, exact

SECONDS = 60.0
QUICK_SECONDS = 3.0
SHARE = 0.1  # of the seconds, for hypothesis
LIMIT = 104.0
CLASSES = (2, 3, 5, 8, 10)
BLOCK = 256
PARENTS = 12
HALF = 0.5

Function = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Subject:
    """A function, what it computes, and the packages it takes."""

    name: str
    loss: str
    load: Callable[[], Function]
    dtype: str = "float32"
    elementwise: bool = False
    probabilities: bool = False


def measure(plan: Plan, findings: Findings) -> None:
    """The worst error that each finds in the value of each function."""
    seconds = QUICK_SECONDS if plan.quick else SECONDS
    findings.notes.append(
        f"Search: {seconds:g} s of hill climbing in ulp space. Excess bits in brackets: what the "
        "conditioning of the input does not explain."
    )
    try:
        import hypothesis  # noqa: F401, PLC0415
    except ImportError:
        findings.missing.append("hypothesis is not installed")
    for number, subject in enumerate(SUBJECTS):
        try:
            function = subject.load()
        except ImportError as error:
            findings.missing.append(f"{subject.name}: {error}")
            continue
        place = f"{subject.name}, {subject.dtype}"
        plan.say(f"{place}: standard sweep")
        standard, standard_bits = _standard(subject, function)
        plan.say(f"{place}: search")
        found, found_bits = _climbed(subject, function, seconds, seed=number)
        targeted = _targeted(subject, function, seconds * SHARE)
        ratio = standard / max(found, targeted)
        findings.figures += [
            _worst(place, "standard sweep", standard, standard_bits),
            _worst(place, "search", found, found_bits),
            Figure(place, "hypothesis.target", "ulp", targeted),
            Figure(place, "standard", "× the worst of search", ratio, target=at_least(HALF)),
        ]
        for name, value in (("standard", standard), ("search", found), ("hypothesis", targeted)):
            findings.measured[f"{place}: {name} ulp"] = value
        findings.measured[f"{place}: standard excess bits"] = standard_bits
        findings.measured[f"{place}: search excess bits"] = found_bits
        findings.measured[f"{place}: ratio"] = ratio
    if not findings.figures:
        raise BenchmarkError("none of the functions is installed")


def _worst(place: str, name: str, ulps: float, bits: float) -> Figure:
    return Figure(place, f"{name} ({bits:.1f} excess bits)", "ulp", ulps)


def _standard(subject: Subject, function: Function) -> tuple[float, float]:
    """The largest finite error of `check`, in ulps, and that row's excess bits."""
    report = api.audit(
        lambda x, *_: function(x),
        subject.loss,
        dtypes=subject.dtype,
        quantities="value",
        gradient=None,
        max_ulp=math.inf,
    )
    rows = [each.farthest for each in report.measurements if each.farthest is not None]
    worst = max(rows, key=lambda each: each.ulp_error)
    return worst.ulp_error, worst.excess_bits or 0.0


# the search ----------------------------------------------------------------------------------


def _case(subject: Subject, rows: Array) -> Case:
    if subject.loss in ("softmax", "log_softmax"):
        kind, labels = LabelKind.INTEGER, np.zeros(len(rows), dtype=np.int64)
        return Case("search", "search", subject.loss, subject.dtype, rows, kind, labels)
    return Case("search", "search", subject.loss, subject.dtype, rows, LabelKind.NONE)


def _scores(subject: Subject, function: Function, rows: Array) -> Float64Array:
    """The error of each result in ulps, (rows, results); -1 where there is no finite one."""
    truth = Reference(_case(subject, rows), {Quantity.VALUE})
    with np.errstate(all="ignore"):
        results = np.asarray(function(rows))
    tolerance = Tolerance(max_ulp=math.inf)
    scores = score(
        results,
        truth.at(Quantity.VALUE, slice(None)),
        quantity=Quantity.VALUE,
        tolerance=tolerance,
    )
    for level in range(1, len(truth.tiers)):
        left = np.flatnonzero(scores.undecided.reshape(len(rows), -1).any(axis=1))
        if len(left):
            sharper = truth.sharper(Quantity.VALUE, left, level)
            again = score(results[left], sharper, quantity=Quantity.VALUE, tolerance=tolerance)
            scores = scores.patched(left, again)
    return np.asarray(np.nan_to_num(scores.ulp_error.reshape(len(rows), -1), nan=-1.0))


def _errors(subject: Subject, function: Function, rows: Array) -> Float64Array:
    """Each row's largest finite error in ulps."""
    return np.asarray(_scores(subject, function, rows).max(axis=1))


def _excess(subject: Subject, function: Function, row: Array) -> float:
    """The excess bits of the largest error of one row."""
    rows = row[np.newaxis]
    ulps = _scores(subject, function, rows)[0]
    worst = int(ulps.argmax())
    condition = exact(_case(subject, rows)).value_condition.reshape(-1)[worst]
    return excess_bits(float(ulps[worst]), float(condition), subject.dtype)


def _climbed(
    subject: Subject, function: Function, seconds: float, seed: int
) -> tuple[float, float]:
    """The largest error that hill climbing finds, and its excess bits."""
    rng = np.random.default_rng(seed)
    widths = (0,) if subject.elementwise else CLASSES
    parents: dict[int, tuple[Array, Float64Array]] = {}
    best, worst = 0.0, None
    end = time.perf_counter() + seconds
    turn = 0
    while time.perf_counter() < end:
        width = widths[turn % len(widths)]
        turn += 1
        known = parents.get(width)
        fresh = known is None or turn % 50 < len(widths)
        rows = _drawn(subject, width, rng) if fresh else _moved(subject, known[0], rng)
        errors = _errors(subject, function, rows)
        top = int(errors.argmax())
        if errors[top] > best:
            best, worst = float(errors[top]), rows[top].copy()
        if known is not None:
            rows, errors = np.concatenate([known[0], rows]), np.concatenate([known[1], errors])
        _, first = np.unique(rows, axis=0, return_index=True)  # or the parents become one row
        order = first[np.argsort(-errors[first], kind="stable")][:PARENTS]
        parents[width] = (rows[order], errors[order])
    return best, 0.0 if worst is None else _excess(subject, function, worst)


def _drawn(subject: Subject, width: int, rng: np.random.Generator) -> Array:
    shape = (BLOCK, width) if width else (BLOCK,)
    scale = rng.choice([1.0, 4.0, 30.0, LIMIT], (BLOCK, 1) if width else (BLOCK,))
    rows = scale * rng.uniform(-1.0, 1.0, shape)
    if subject.probabilities:
        weights = np.exp(rows / 4.0)
        rows = weights / weights.sum(axis=1, keepdims=True)
    return rows.astype(subject.dtype)


def _moved(subject: Subject, parents: Array, rng: np.random.Generator) -> Array:
    """Children of the parents: single numbers moved by ulps or by a factor, copied or swapped."""
    whole = parents.reshape(len(parents), -1)
    rows = whole[rng.integers(0, len(whole), (BLOCK,))].copy()
    integer = np.int32 if rows.dtype.itemsize == 4 else np.int64
    most = 22 if integer is np.int32 else 50
    for row in rows:
        for _ in range(int(rng.integers(1, 4))):
            k, other = rng.integers(0, len(row), (2,))
            match int(rng.integers(0, 6)):
                case 0:
                    row[k] = row[other]
                case 1:
                    row[k], row[other] = row[other], row[k]
                case 2:
                    row[k] = row[k] * np.exp(0.3 * rng.standard_normal())
                case _:
                    step = integer(2.0 ** rng.uniform(0, most)) * rng.choice([-1, 1])
                    cell = row[k : k + 1].view(integer)
                    cell += step
    low, high = (0.0, 1.0) if subject.probabilities else (-LIMIT, LIMIT)
    rows = np.clip(np.nan_to_num(rows, nan=0.0), low, high)
    return np.asarray(rows.reshape(-1, *parents.shape[1:]))


def _targeted(subject: Subject, function: Function, seconds: float) -> float:
    """The largest error that hypothesis finds when it is given the error as its target."""
    try:
        from hypothesis import HealthCheck, given, settings, target  # noqa: PLC0415
        from hypothesis import strategies as st  # noqa: PLC0415
    except ImportError:
        return math.nan
    low, high = (0.0, 1.0) if subject.probabilities else (-LIMIT, LIMIT)
    width = 64 if subject.dtype == "float64" else 32
    numbers = st.floats(low, high, width=width, allow_nan=False)
    rows = numbers if subject.elementwise else st.lists(numbers, min_size=2, max_size=10)
    worst = 0.0
    end = time.perf_counter() + seconds

    @settings(
        max_examples=100_000,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(rows)
    def search(row: Any) -> None:
        nonlocal worst
        if time.perf_counter() > end:
            raise _EnoughError
        array = np.array([row], dtype=subject.dtype)
        (error,) = _errors(subject, function, array)
        if error >= 0:
            worst = max(worst, float(error))
            target(math.log2(1.0 + error))

    try:
        search()
    except _EnoughError:
        pass
    except BaseException as error:
        # hypothesis replays what raised, which by then passes or raises again
        if not _is_enough(error):
            raise
    return worst


class _EnoughError(Exception):
    """The time is over."""


def _is_enough(error: BaseException) -> bool:
    inner = getattr(error, "exceptions", ())
    return type(error).__name__ in ("Flaky", "FlakyFailure") or any(map(_is_enough, inner))


# the functions -------------------------------------------------------------------------------


def _log1p_logsumexp() -> Function:
    def function(x: Array) -> Array:
        rows = np.arange(len(x))
        top = x.argmax(axis=1)
        others = np.exp(x - x[rows, top][:, None])
        others[rows, top] = 0.0
        return np.asarray(x[rows, top] + np.log1p(others.sum(axis=1)))

    return function


def _log1p_log_softmax() -> Function:
    def function(x: Array) -> Array:
        rows = np.arange(len(x))
        top = x.argmax(axis=1)
        shifted = x - x[rows, top][:, None]
        others = np.exp(shifted)
        others[rows, top] = 0.0
        return np.asarray(shifted - np.log1p(others.sum(axis=1))[:, None])

    return function


def _scipy(name: str, **keywords: Any) -> Callable[[], Function]:
    def load() -> Function:
        from scipy import special  # noqa: PLC0415

        function = getattr(special, name)
        return lambda x: np.asarray(function(x, **keywords))

    return load


def _entropy() -> Function:
    from scipy import special  # noqa: PLC0415

    return lambda p: np.asarray(special.entr(p).sum(axis=1))


def _torch(name: str, *arguments: Any) -> Callable[[], Function]:
    def load() -> Function:
        import torch  # noqa: PLC0415

        holder: Any = torch.nn.functional if name == "softplus" else torch
        function = getattr(holder, name)
        return lambda x: np.asarray(function(torch.from_numpy(x.copy()), *arguments))

    return load


SUBJECTS = (
    Subject("scipy.special.logsumexp", "logsumexp", _scipy("logsumexp", axis=1)),
    Subject("m + log1p logsumexp", "logsumexp", _log1p_logsumexp),
    Subject("torch.logsumexp", "logsumexp", _torch("logsumexp", 1)),
    Subject("scipy.special.softmax", "softmax", _scipy("softmax", axis=1)),
    Subject("torch.softmax", "softmax", _torch("softmax", 1)),
    Subject("log_softmax by log1p", "log_softmax", _log1p_log_softmax),
    Subject("entropy by special.entr", "entropy", _entropy, probabilities=True),
    Subject("scipy.special.expit", "sigmoid", _scipy("expit"), elementwise=True),
    Subject("torch softplus", "softplus", _torch("softplus"), "float64", elementwise=True),
)
