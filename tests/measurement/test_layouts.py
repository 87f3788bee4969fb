"""Arrays that lie otherwise in memory: what is asked, what is found, and what is not."""

import ctypes
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.running import invoke
from xentcheck import audit
from xentcheck.auditing.run import audit as audit_all
from xentcheck.implementations.layouts import LAYOUTS, laid
from xentcheck.implementations.user import given
from xentcheck.losses import LOSSES
from xentcheck.measurement import Arbitration, Tally, close, measure
from xentcheck.model import (
    Array,
    Case,
    Cell,
    Config,
    Finding,
    Kind,
    LabelKind,
    Quantity,
    Tolerance,
    escaped,
)
from xentcheck.reference import Reference
from xentcheck.sweeps import standard_sweeps

CE = "softmax_cross_entropy"
# The transpose of [[0, 1, 2], [3, 0, 0], [1, 1, 1.5]]: as packed its first row reads [0, 1, 2].
BLOCK = np.array([[0.0, 3.0, 1.0], [1.0, 0.0, 1.0], [2.0, 0.0, 1.5]], dtype=np.float32)
LABELS = np.array([1, 0, 2])


def cross_entropy(x: Array, y: Array) -> Array:
    x = np.array(x)
    rows = np.arange(len(x))
    top = x.max(axis=1)
    others = np.exp(x - top[:, None])
    others[rows, x.argmax(axis=1)] = 0
    loss: Array = (top - x[rows, y]) + np.log1p(others.sum(axis=1))
    return loss


def gradient(x: Array, y: Array) -> Array:
    rows = np.arange(len(x))
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p: Array = e / e.sum(axis=1, keepdims=True)
    others = p.copy()
    others[rows, y] = 0
    p[rows, y] = -others.sum(axis=1)
    return p


def from_pointer(x: Array) -> Array:
    """The storage from the first number on, as if the array were packed."""
    kind = ctypes.POINTER(np.ctypeslib.as_ctypes_type(x.dtype))
    whole: Array = np.ctypeslib.as_array(ctypes.cast(x.ctypes.data, kind), (x.size,))
    return whole.reshape(x.shape).copy()


def reads_storage(x: Array, y: Array) -> Array:
    return cross_entropy(from_pointer(x), y)


def reads_labels(x: Array, y: Array) -> Array:
    return cross_entropy(x, np.clip(from_pointer(y), 0, x.shape[1] - 1))


def takes_base(x: Array, y: Array) -> Array:
    whole = x if x.base is None else x.base
    return cross_entropy(whole[: x.shape[0], : x.shape[1]], y)


def ignores_row_step(x: Array, y: Array) -> Array:
    """Right for any step of the classes, as long as rows follow each other."""
    strides = (x.shape[1] * x.strides[1], x.strides[1])
    return cross_entropy(np.lib.stride_tricks.as_strided(x, x.shape, strides), y)


def storage_order(x: Array, y: Array) -> Array:
    return cross_entropy(x.ravel(order="K").reshape(x.shape), y)


def insists(x: Array, y: Array) -> Array:
    if not x.flags.c_contiguous:
        raise ValueError("logits have to be contiguous")
    return cross_entropy(x, y)


def writes(x: Array, y: Array) -> Array:
    x -= x.max(axis=1, keepdims=True)
    return cross_entropy(x, y)


def borrows(x: Array, y: Array) -> Array:
    """Writes into its input, and puts it back."""
    first = x[0, 0].copy()
    x[0, 0] = 0
    x[0, 0] = first
    return cross_entropy(x, y)


def found(
    function: Callable[..., Any],
    quantity: Quantity = Quantity.VALUE,
    case: Case | None = None,
    back: Callable[..., Any] | None = None,
    loss: str = CE,
) -> dict[Kind, Finding]:
    mine = given(loss, "mine", function, back)
    case = case or Case("sweep", "explicit", CE, "float32", BLOCK, LabelKind.INTEGER, LABELS)
    tally = Tally()
    measure(tally, mine, case, Reference(case), quantity, Tolerance())
    cell = Cell(case.loss, "mine", case.dtype, quantity, "sweep")
    _, findings = close(cell, tally, Tolerance(), Arbitration())
    return {each.kind: each for each in findings}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_a_layout_has_the_same_numbers(layout: str, dtype: str) -> None:
    block = np.arange(12).reshape(4, 3).astype(dtype)
    if layout == "one-row":
        block[:] = block[0]
    if layout == "one-class":
        block[:] = block[:, :1]
    before = block.copy()
    there = laid(block, layout)
    np.testing.assert_array_equal(there, before)
    assert there.dtype == block.dtype
    assert not np.shares_memory(there, block)
    packed = layout == "read-only"
    assert there.flags.c_contiguous == packed
    np.testing.assert_array_equal(laid(np.arange(3), layout, rows=False), np.arange(3))


def test_the_layouts_lie_as_they_are_called() -> None:
    block = np.arange(12.0).reshape(4, 3)
    assert laid(block, "transposed").flags.f_contiguous
    assert laid(block, "stepped").strides == (2 * 6 * 8, 2 * 8)
    window = laid(block, "offset")
    assert window.strides == (6 * 8, 8)
    assert window.ctypes.data - window.base.ctypes.data == (2 * 6 + 2) * 8
    assert max(laid(block, "reversed").strides) < 0
    assert laid(np.ones((4, 3)), "one-row").strides == (0, 8)
    assert laid(np.ones((4, 3)), "one-class").strides == (8, 0)
    assert not laid(block, "read-only").flags.writeable


@pytest.mark.parametrize(
    ("function", "ways"),
    [
        (reads_storage, {"transposed", "stepped", "offset", "reversed"}),
        (reads_labels, {"stepped"}),
        (takes_base, {"transposed", "stepped", "offset", "reversed"}),
        (ignores_row_step, {"transposed", "stepped", "offset"}),
        (storage_order, {"transposed"}),
        (insists, {"transposed", "stepped", "offset", "reversed"}),
        (borrows, {"read-only"}),
    ],
)
def test_what_reads_memory_otherwise_than_the_array_says_is_found(
    function: Callable[..., Any], ways: set[str]
) -> None:
    findings = found(function)
    assert set(findings) == {Kind.LAYOUT_DEPENDENT}
    detail = findings[Kind.LAYOUT_DEPENDENT].detail
    assert all(each in detail for each in ways)
    untouched = {"transposed", "stepped", "offset"} - ways
    assert not any(each in detail for each in untouched)


def test_the_transpose_read_as_packed_is_shown_with_both_numbers() -> None:
    """Of [0, 3, 1] it reads [0, 1, 2]: log(e^-1 + 1 + e) = 1.4076 for log(1 + e^-3 + e^-2)."""

    def only_transposed(x: Array, y: Array) -> Array:
        return storage_order(x, y)

    finding = found(only_transposed)[Kind.LAYOUT_DEPENDENT]
    assert "transposed: value 1.40760" in finding.detail
    assert "where the packed array gives 0.16984" in finding.detail
    assert finding.witness is not None
    assert finding.witness.logits.tolist() == [0.0, 3.0, 1.0]
    assert finding.rows == 3


def test_what_a_layout_makes_raise_is_told_in_its_words() -> None:
    finding = found(insists)[Kind.LAYOUT_DEPENDENT]
    assert "ValueError: logits have to be contiguous" in finding.detail


def test_a_function_that_writes_is_told_of_once() -> None:
    assert set(found(writes)) == {Kind.MUTATED_INPUT}
    # of these rows the largest number is 0: nothing changes, but of equal numbers
    shifted = BLOCK - BLOCK.max(axis=1, keepdims=True)
    still = Case("sweep", "explicit", CE, "float32", shifted, LabelKind.INTEGER, LABELS)
    assert set(found(writes, case=still)) == {Kind.MUTATED_INPUT}
    report = audit(writes, CE, dtypes="float32", gradient=None)
    both = {Kind.MUTATED_INPUT, Kind.LAYOUT_DEPENDENT}
    cells = {each.cell for each in report.findings if each.kind is Kind.MUTATED_INPUT}
    assert cells
    for cell in cells:
        assert {each.kind for each in report.findings if each.cell == cell} & both == {
            Kind.MUTATED_INPUT
        }


def test_writing_where_only_a_view_lets_it_is_found() -> None:
    def writes_into_views(x: Array, y: Array) -> Array:
        result = cross_entropy(x, y)
        if not x.flags.owndata and x.flags.writeable:
            x[...] = 0
        return result

    assert Kind.MUTATED_INPUT in found(writes_into_views)


def test_gradients_are_asked_too() -> None:
    def back(x: Array, y: Array) -> Array:
        return gradient(from_pointer(x), y)

    assert not found(cross_entropy, Quantity.GRADIENT, back=gradient)
    finding = found(cross_entropy, Quantity.GRADIENT, back=back)[Kind.LAYOUT_DEPENDENT]
    assert "gradient[" in finding.detail


def test_array_parameters_lie_otherwise_too() -> None:
    def weighted(x: Array, y: Array, weight: Array) -> Array:
        return cross_entropy(x, y) * from_pointer(weight)[y]

    def sound(x: Array, y: Array, weight: Array) -> Array:
        return cross_entropy(x, y) * weight[y]

    weight = np.array([1.0, 2.0, 0.5], dtype=np.float32)
    case = Case(
        "s", "explicit", CE, "float32", BLOCK, LabelKind.INTEGER, LABELS, {"weight": weight}
    )
    assert not found(sound, case=case)
    assert "stepped" in found(weighted, case=case)[Kind.LAYOUT_DEPENDENT].detail


def test_a_reduced_block_is_asked_as_a_whole() -> None:
    def mean(x: Array, y: Array, reduction: str) -> Array:
        assert reduction == "mean"
        return np.asarray(cross_entropy(from_pointer(x), y).mean())

    case = Case(
        "s", "explicit", CE, "float32", BLOCK, LabelKind.INTEGER, LABELS, {"reduction": "mean"}
    )
    assert "transposed" in found(mean, case=case)[Kind.LAYOUT_DEPENDENT].detail


def test_equal_classes_that_are_one_number_are_read_as_such() -> None:
    def rows_apart(x: Array, y: Array) -> Array:
        """Has no stride of 0 between classes."""
        if x.strides[1] == 0:
            x = np.lib.stride_tricks.as_strided(x, x.shape, (x.itemsize, 0))[::-1]
        return cross_entropy(x + np.arange(x.shape[1], dtype=x.dtype) * (x.strides[1] == 0), y)

    assert "one-class" in found(rows_apart)[Kind.LAYOUT_DEPENDENT].detail


@pytest.mark.parametrize("few", [1, 3])
def test_a_few_ulps_between_layouts_are_no_fault(few: int) -> None:
    """As where NumPy takes another kernel for strided arrays: within the limit of the exact one."""

    def otherwise(x: Array, y: Array) -> Array:
        wide = cross_entropy(x.astype(np.float64), y).astype(np.float32)
        for _ in range(0 if x.flags.c_contiguous else few):
            wide = np.nextafter(wide, np.float32(np.inf))
        return wide

    assert not found(otherwise)


def test_roundings_that_just_miss_the_limit_are_no_fault() -> None:
    """As of sums in another order: 3 steps off packed, 12 otherwise, where 4 ulp are allowed."""

    def otherwise(x: Array, y: Array) -> Array:
        wide = cross_entropy(x.astype(np.float64), y).astype(np.float32)
        for _ in range(3 if x.flags.c_contiguous else 12):
            wide = np.nextafter(wide, np.float32(np.inf))
        return wide

    def narrow(x: Array, y: Array) -> Array:
        if x.flags.c_contiguous:
            return cross_entropy(x, y)
        return cross_entropy(x.astype(np.float16), y).astype(np.float32)

    assert not found(otherwise)
    assert set(found(narrow)) == {Kind.LAYOUT_DEPENDENT}


def test_what_is_wrong_anyway_is_not_told_again() -> None:
    def naive(x: Array, y: Array) -> Array:
        with np.errstate(all="ignore"):
            e = np.exp(x)
            p = e / e.sum(axis=1, keepdims=True)
            result: Array = -np.log(p[np.arange(len(x)), y])
        return result

    report = audit(naive, CE, dtypes=("float32", "float64"), gradient=None)
    assert {each.kind for each in report.findings} & {Kind.NAN, Kind.SPURIOUS_OVERFLOW}
    assert Kind.LAYOUT_DEPENDENT not in {each.kind for each in report.findings}


def test_chance_is_no_matter_of_layout() -> None:
    source = np.random.default_rng(0)

    def by_chance(x: Array, y: Array) -> Array:
        return cross_entropy(x, y) + np.float32(source.random())

    assert Kind.LAYOUT_DEPENDENT not in found(by_chance)
    calls = [0]

    def in_turns(x: Array, y: Array) -> Array:
        calls[0] += 1
        return cross_entropy(x, y) + np.float32(calls[0] % 2 == 0)

    case = Case("s", "explicit", CE, "float32", BLOCK, LabelKind.INTEGER, LABELS)
    tally, mine = Tally(), given(CE, "mine", in_turns, None)
    how = {"thorough": False, "otherwise": True}
    measure(tally, mine, case, Reference(case), Quantity.VALUE, Tolerance(), **how)
    assert Kind.LAYOUT_DEPENDENT not in tally.incidents


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(CE, marks=pytest.mark.slow),
        "sigmoid_binary_cross_entropy",
        pytest.param("log_softmax", marks=pytest.mark.slow),
        "softplus",
    ],
)
def test_sound_functions_stay_clean_in_every_dtype(loss: str) -> None:
    from xentcheck.registry import load_registered

    every, _ = load_registered()
    sound = [each for each in every if each.loss == loss and each.sound and each.value is not None]
    assert sound
    # as users' own functions, which are asked in every layout
    own = [
        given(loss, each.name.replace("numpy.", "own."), each.value, each.gradient)
        for each in sound
    ]
    names = tuple(escaped(each.name) for each in own)
    dtypes = ("float16", "float32", "float64")
    sweeps = [replace(s, implementations=names) for s in standard_sweeps(LOSSES[loss], dtypes)]
    report = audit_all(Config(tuple(sweeps)), extra=own)
    measured = {(each.cell.implementation, each.cell.dtype) for each in report.measurements}
    assert measured == {(each.name, dtype) for each in own for dtype in dtypes}
    kinds = {finding.kind for finding in report.findings}
    assert not kinds & {Kind.LAYOUT_DEPENDENT, Kind.COTANGENT, Kind.RAISED}


def test_the_command_finds_it_and_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def loss(x, y):\n"
        "    x = x.ravel(order='K').reshape(x.shape)\n"
        "    rows, top = np.arange(len(x)), x.max(axis=1)\n"
        "    others = np.exp(x - top[:, None])\n"
        "    others[rows, x.argmax(axis=1)] = 0\n"
        "    return (top - x[rows, y]) + np.log1p(others.sum(axis=1))\n"
    )
    words = ("check", "mine.py:loss", "--loss", CE, "--dtype", "float32", "--workers", "1")
    done = invoke(*words, cwd=tmp_path)
    assert done.exit_code == 1
    assert "layout-dependent" in done.stdout
    assert "transposed" in done.stdout
