"""Safe ranges: the numbers where a grade is lost are those that mathematics says, to the ulp."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import jsonschema
import mpmath
import numpy as np
import pytest

import xentcheck
from tests.running import invoke
from xentcheck import registry
from xentcheck.auditing.run import audit
from xentcheck.floats import FORMATS, STANDARD, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.implementations.user.command import Command
from xentcheck.model import (
    Array,
    Config,
    Grade,
    Implementation,
    InputSpec,
    LabelKind,
    Quantity,
    Report,
    SafeRange,
    Stretch,
    Sweep,
)
from xentcheck.report.document.read import from_json
from xentcheck.report.document.schema import report_schema
from xentcheck.searching.axes import Setting
from xentcheck.searching.experiments import Explored, Fact, experiments
from xentcheck.searching.ranges import COMMAND, obstacle, safe_ranges
from xentcheck.searching.series import Budget

VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT
ABOVE, BELOW = "gap, label on the largest", "gap, label on the smallest"


@cache
def guide(loss: str, name: str) -> Implementation:
    """An implementation of the field guide."""
    known, _ = registry.load_registered()
    return next(each for each in known if (each.loss, each.name) == (loss, name))


def mine(value: Any, loss: str = "softmax_cross_entropy", gradient: Any = None) -> Implementation:
    return Implementation(
        loss=loss,
        name="mine",
        value=value,
        gradient=gradient,
        dtypes=tuple(FORMATS),
        label_kinds=tuple(LabelKind),
        parameters=frozenset(),
    )


def setting(made: Implementation, dtype: str = "float32", quantity: Quantity = VALUE) -> Setting:
    kinds = {"logsumexp": LabelKind.NONE, "sigmoid_binary_cross_entropy": LabelKind.TARGET}
    return Setting(made, dtype, quantity, kinds.get(made.loss, LabelKind.INTEGER))


def silent(_: str) -> None:
    pass


@cache
def explored(loss: str, name: str, dtype: str, quantity: Quantity, *axes: str) -> Explored:
    return experiments(setting(guide(loss, name), dtype, quantity), Budget(400), silent, axes)


def ranges_of(made: Implementation, *axes: str) -> dict[str, SafeRange]:
    found, _ = safe_ranges(setting(made), Budget(400), silent, axes)
    return {each.axis: each for each in found}


def along(found: Explored, axis: str) -> SafeRange:
    return next(each for each in found.ranges if each.axis == axis)


def fact(found: Explored, axis: str, what: str, component: int | None = None) -> Fact:
    (one,) = (
        each
        for each in found.facts
        if (each.axis, each.what or each.kind, each.component) == (axis, what, component)
    )
    return one


def first_at_least(number: mpmath.mpf, dtype: str) -> float:
    """The smallest number of a dtype that is not below a real number."""
    place = int(ordinals(from_float64(float(number), dtype)))
    near = [to_float64(from_ordinals(k, dtype)) for k in range(place - 2, place + 3)]
    return float(min(each for each in near if mpmath.mpf(float(each)) >= number))


def before(number: float, dtype: str) -> float:
    return float(to_float64(from_ordinals(ordinals(from_float64(number, dtype)) - 1, dtype)))


@pytest.fixture(autouse=True)
def precise() -> Any:
    with mpmath.workdps(60):
        yield


# closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [VALUE, GRADIENT])
@pytest.mark.parametrize("dtype", STANDARD)
def test_exp_overflows_where_it_rounds_beyond_the_largest_number(
    dtype: str, quantity: Quantity
) -> None:
    target = FORMATS[dtype]
    half = mpmath.mpf(2) ** (target.max_exponent - target.precision)  # half an ulp of the largest
    beyond = mpmath.mpf(target.max) + half
    first = first_at_least(mpmath.log(beyond), dtype)
    found = explored("softmax_cross_entropy", "numpy.naive", dtype, quantity, "largest")
    (*_, best) = (each for each in along(found, "largest logit").stretches if each.first == 0.0)
    worst = along(found, "largest logit").stretches[0]
    assert worst.last == before(first, dtype)
    assert rank_holds(best, worst)
    overflow = fact(found, "largest logit", "NaN")
    assert (overflow.at, overflow.before) == (first, before(first, dtype))
    assert f"exp overflows in {dtype}" in overflow.known
    assert "NaN beyond" in along(found, "largest logit").text


def rank_holds(best: Stretch, worst: Stretch) -> bool:
    """A better grade holds on no more than a worse one."""
    return best.last <= worst.last


@pytest.mark.parametrize(("quantity", "component"), [(VALUE, None), (GRADIENT, 0)])
@pytest.mark.parametrize("dtype", STANDARD)
def test_a_tail_is_absorbed_from_ln_2_p_on(
    dtype: str, quantity: Quantity, component: int | None
) -> None:
    precision = FORMATS[dtype].precision
    first = first_at_least(precision * mpmath.log(2), dtype)
    found = explored("softmax_cross_entropy", "numpy.shifted_log_softmax", dtype, quantity, ABOVE)
    zero = fact(found, ABOVE, "zero", component)
    assert (zero.at, zero.before) == (first, before(first, dtype))
    assert zero.known[0] == f"ln 2^{precision}: 1 absorbs exp(−x) in {dtype}"
    assert along(found, ABOVE).always is Grade.ABSOLUTE


@pytest.mark.parametrize("dtype", STANDARD)
def test_a_probability_underflows_at_half_the_smallest_number(dtype: str) -> None:
    half = mpmath.mpf(FORMATS[dtype].smallest_subnormal) / 2
    first = first_at_least(-mpmath.log(half), dtype)
    found = explored("softmax_cross_entropy", "numpy.log_of_softmax", dtype, VALUE, BELOW)
    assert along(found, BELOW).stretches[0].last == before(first, dtype)
    assert fact(found, BELOW, "infinite").at == first


def test_a_float16_sum_overflows_between_65504_and_65536() -> None:
    found = explored("softmax_cross_entropy", "numpy.naive", "float16", VALUE, "classes")
    assert along(found, "classes, equal logits").stretches[0].last == 65_504 + 16 - 1
    assert fact(found, "classes, equal logits", "infinite").at == 65_504 + 16


def test_a_running_sum_in_bfloat16_stalls_at_256() -> None:
    def running(logits: Array) -> Array:
        return np.add.accumulate(np.exp(logits), axis=1)[:, -1:]

    def softmax(logits: Array) -> Array:
        return np.asarray(np.exp(logits) / running(logits))

    found = experiments(
        setting(mine(softmax, "softmax"), "bfloat16"), Budget(400), silent, ("classes",)
    )
    stall = fact(found, "classes, equal logits", "plateau", 0)
    assert (stall.at, stall.height) == (256, 2.0**-8)
    assert stall.known[0] == "2^8: a running sum of ones stalls in bfloat16"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_a_clip_dies_where_p_is_the_epsilon(dtype: str) -> None:
    epsilon = mpmath.mpf(float(to_float64(from_float64(1e-7, dtype))))
    first = first_at_least(mpmath.log(1 / epsilon - 1), dtype)
    found = explored("softmax_cross_entropy", "numpy.clipped", dtype, GRADIENT, BELOW)
    dead = fact(found, BELOW, "zero", 1)
    assert dead.at == first
    assert along(found, BELOW).stretches[0].last == before(first, dtype)


@pytest.mark.parametrize(
    ("loss", "name", "axis", "height"),
    [
        ("softmax_cross_entropy", "numpy.epsilon", BELOW, mpmath.log(10**7)),
        ("softmax_cross_entropy", "numpy.clipped", BELOW, mpmath.log(10**7)),
        ("sigmoid_binary_cross_entropy", "numpy.clamped", "logit, target 1", mpmath.mpf(100)),
    ],
)
def test_a_plateau_has_the_height_of_its_epsilon(
    loss: str, name: str, axis: str, height: mpmath.mpf
) -> None:
    found = explored(loss, name, "float32", VALUE, axis)
    flat = fact(found, axis, "plateau")
    assert flat.height == pytest.approx(float(height), rel=2.0**-23)
    assert flat.epsilon == pytest.approx(float(mpmath.exp(-height)), rel=1e-5)
    implementation = guide(loss, name)
    assert implementation.value is not None
    step = 1 if flat.rising else -1
    place = int(ordinals(from_float64(flat.at, "float32")))
    numbers = from_ordinals(np.arange(-64, 64) * step + place, "float32")
    if loss == "softmax_cross_entropy":
        rows = np.stack([np.zeros_like(numbers), -numbers], axis=1)
        actual = implementation.value(rows, np.ones(128, dtype=np.int64))
    else:
        actual = implementation.value(numbers, np.ones_like(numbers))
    assert (actual[64:] == flat.height).all()
    assert actual[63] != flat.height


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_of_lse_minus_logit_grows_like_the_ulp_of_the_offset(dtype: str) -> None:
    found = explored("softmax_cross_entropy", "numpy.lse_minus_logit", dtype, VALUE, "offset")
    growth = fact(found, "offset", "ulp(offset)")
    assert growth.exponent == pytest.approx(1.0, abs=0.1)
    assert growth.decades >= 3.0
    sound = explored("softmax_cross_entropy", "numpy.log1p", dtype, VALUE, "offset", "gap")
    assert not [each for each in sound.facts if each.kind != "asymmetry"]


def test_the_ends_of_a_stretch_have_grades_on_both_sides() -> None:
    found = explored("softmax_cross_entropy", "numpy.lse_minus_logit", "float32", VALUE, "offset")
    (*_, absolute) = (
        each for each in along(found, "offset").stretches if each.grade is Grade.ACCURATE
    )
    value = guide("softmax_cross_entropy", "numpy.lse_minus_logit").value
    assert value is not None

    def ulps(offset: float) -> mpmath.mpf:
        row = from_float64(np.array([[offset, offset - 1.0]]), "float32")
        gap = mpmath.mpf(float(row[0, 0])) - mpmath.mpf(float(row[0, 1]))
        exact = mpmath.log1p(mpmath.exp(-gap))
        unit = mpmath.mpf(2) ** (int(mpmath.floor(mpmath.log(exact, 2))) - 23)
        tail = mpmath.exp(-gap)
        condition = 1 + (gap * tail / (1 + tail) + tail / (1 + tail)) / exact
        error = abs(mpmath.mpf(float(value(row, np.zeros(1, dtype=np.int64))[0])) - exact)
        return error / unit / condition

    after = -before(-absolute.last, "float32")
    assert ulps(absolute.last) <= 4
    assert ulps(after) > 4


# other shapes of results ----------------------------------------------------------------------


def sound(logits: Array, labels: Array) -> Array:
    implementation = guide("softmax_cross_entropy", "numpy.log1p")
    assert implementation.value is not None
    return np.asarray(implementation.value(logits, labels))


def spoilt(spoil: Callable[[Array], Array]) -> Implementation:
    """A sound loss whose value is spoilt, as a function of the gap."""

    def value(logits: Array, labels: Array) -> Array:
        gap = logits.max(axis=1) - logits.min(axis=1)
        return np.asarray(sound(logits, labels) + spoil(gap)).astype(logits.dtype)

    return mine(value)


def test_several_intervals_are_several_intervals() -> None:
    def spoil(gap: Array) -> Array:
        off = np.where((gap > 3) & (gap < 3.5), 0.1, 0.0)
        return np.where((gap > 10) & (gap <= 12), np.nan, off)

    found = ranges_of(spoilt(spoil), BELOW)[BELOW]
    accurate = [each for each in found.stretches if each.grade is Grade.ACCURATE]
    after_12 = -before(-12.0, "float32")
    most = FORMATS["float32"].max
    assert [(each.first, each.last) for each in accurate] == [
        (0.0, 3.0),
        (3.5, 10.0),
        (after_12, most),
    ]
    assert found.always is None
    assert "NaN from 10.0001 to 12" in found.text
    assert "accurate for gaps up to 3 and from 3.5 to 10 and from 12.0001 on" in found.text


def test_a_hole_between_the_scanned_numbers_is_found_near_an_end() -> None:
    def spoil(gap: Array) -> Array:
        return np.where(((gap > 5.125) & (gap < 5.1875)) | (gap > 8), 0.1, 0.0)

    found = ranges_of(spoilt(spoil), BELOW)[BELOW]
    accurate = [each for each in found.stretches if each.grade is Grade.ACCURATE]
    ends = [(each.first, each.last) for each in accurate]
    assert ends[:2] == [(0.0, 5.125), (5.1875, 8.0)]  # 0.1 is nothing to a far larger value


def test_what_is_never_lost_is_told_for_the_whole_axis() -> None:
    found = ranges_of(mine(sound), "gap", "offset")
    assert found["offset"].text == "accurate for any offset"
    assert all(each.always is not None for each in found.values())


def test_an_index_that_wraps_is_found_at_the_label() -> None:
    def wrapped(logits: Array, labels: Array) -> Array:
        return sound(logits, labels.astype(np.uint8).astype(np.int64))

    found = experiments(setting(mine(wrapped)), Budget(400), silent, ("label",))
    name = "label position among 65,540"
    assert along(found, name).stretches[0] == Stretch(Grade.LOSSY, 0.0, 65_539.0)
    assert along(found, name).stretches[-1].last == 255
    assert "2^8: an index of uint8 wraps" in fact(found, name, "lossy").known


def test_a_row_in_company_is_compared_with_the_row_alone() -> None:
    def value(logits: Array, labels: Array) -> Array:
        return sound(logits, labels) * np.float32(1.0 + 1e-5 * (len(logits) == 1))

    found = experiments(setting(mine(value)), Budget(400), silent, ("gap",))
    assert fact(found, ABOVE, "company").kind == "asymmetry"
    alike = experiments(setting(mine(sound)), Budget(400), silent, ("gap",))
    assert not [each for each in alike.facts if each.what == "company"]


# budgets, failures and determinism ------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 1, 5, 23])
def test_no_more_calls_are_made_than_the_budget_allows(most: int) -> None:
    calls = []

    def value(logits: Array, labels: Array) -> Array:
        calls.append(len(logits))
        return sound(logits, labels)

    budget = Budget(most)
    found = experiments(setting(mine(value)), budget, silent)
    assert len(calls) == budget.made == found.calls <= most
    assert any(f"the budget of {most} calls was spent" in each for each in found.left_out)


def test_blocks_of_rows_have_one_shape_for_each_axis() -> None:
    shapes = set()

    def value(logits: Array, labels: Array) -> Array:
        shapes.add(logits.shape)
        return sound(logits, labels)

    safe_ranges(setting(mine(value)), Budget(400), silent)
    assert {shape for shape in shapes if shape[0] > 1} == {(512, 2), (16, 65_540)}


def test_a_call_that_raises_ends_its_series_with_a_fact() -> None:
    def value(logits: Array, labels: Array) -> Array:
        if (logits > 1e30).any():
            raise ValueError("too large")
        return sound(logits, labels)

    found = experiments(setting(mine(value)), Budget(400), silent, ("gap", "largest"))
    assert fact(found, "largest logit", "raised").kind == "failure"
    assert any("largest logit: raised" in each and "too large" in each for each in found.left_out)
    assert along(found, BELOW).always is Grade.ACCURATE


def test_the_same_question_has_the_same_answer() -> None:
    made = guide("softmax_cross_entropy", "numpy.naive")
    one, other = (
        experiments(setting(made), Budget(300), silent, ("gap", "largest")) for _ in range(2)
    )
    assert one.ranges == other.ranges
    assert repr(one.facts) == repr(other.facts)


def test_a_command_is_not_asked() -> None:
    made = mine(Command(("./kernel", "{logits}", "{out}")))
    assert obstacle(setting(made)) == COMMAND
    assert experiments(setting(made), Budget(400), silent).left_out == (COMMAND,)


def test_a_reduction_that_is_built_in_is_asked_row_by_row() -> None:
    def mean(logits: Array, labels: Array) -> Array:
        return np.asarray(np.log(np.exp(logits).sum(axis=1)) - logits[:, 0]).mean()

    made = mine(mean)
    asked = Setting(made, "float32", VALUE, LabelKind.INTEGER, {"reduction": "mean"})
    asked = replace(asked, implementation=replace(made, built_in={"reduction": "mean"}))
    found, _ = safe_ranges(asked, Budget(2000), silent, ("largest",))
    overflow = next(each for each in found if each.axis == "largest logit")
    assert overflow.stretches[0].last == pytest.approx(88.72283, abs=1e-5)


# in a report ----------------------------------------------------------------------------------


def audited(workers: int = 1) -> Report:
    sweep = Sweep(
        name="s",
        losses=("softmax_cross_entropy",),
        dtypes=("float32",),
        inputs=(InputSpec("ties", {}),),
        implementations=("numpy.naive",),
        quantities=(VALUE,),
    )
    return audit(Config((sweep,)), workers=workers, ranges=True)


def test_a_report_has_the_ranges_in_every_format() -> None:
    report = audited()
    (text,) = (each.text for each in report.safe_ranges if each.axis == "largest logit")
    assert text.startswith("accurate for largest logits up to ")
    assert text.endswith(", absolute up to 88.7228, NaN beyond")
    written = report.to_json()
    jsonschema.validate(json.loads(written), report_schema())
    assert from_json(written, "report").safe_ranges == report.safe_ranges
    folded = " ".join(str(report).split())
    assert "where it holds float32 value" in folded
    assert text in folded
    assert "Where it holds: 1" in report.to_markdown()
    assert text in report.to_markdown().replace("&#46;", ".").replace("<br>", " ")


def test_the_ranges_do_not_depend_on_the_workers() -> None:
    assert audited(1).safe_ranges == audited(2).safe_ranges


def test_a_function_of_this_process_is_asked_by_workers_too() -> None:
    factor = np.float32(1.0)

    def closure(logits: Array, labels: Array) -> Array:
        return sound(logits, labels) * factor

    rows = np.array([[1.0, 2.0]], dtype=np.float32)
    kwargs: dict[str, Any] = {"inputs": rows, "workers": 2, "ranges": True}
    kwargs["dtypes"] = ["float32", "float64"]
    report = xentcheck.audit(closure, "softmax_cross_entropy", **kwargs)
    assert "accurate for any offset" in [each.text for each in report.safe_ranges]


def test_a_report_has_ranges_only_if_they_are_asked_for(tmp_path: Any) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "import numpy as np\n"
        "def loss(x, y):\n"
        "    m = x.max(axis=1)\n"
        "    return m + np.log(np.exp(x - m[:, None]).sum(axis=1)) - x[np.arange(len(y)), y]\n"
    )
    rows = tmp_path / "rows.npy"
    np.save(rows, np.array([[1.0, 2.0]], dtype=np.float32))
    command = ["check", f"{code}:loss", "--loss", "softmax_cross_entropy", "--inputs", str(rows)]
    plain = invoke(*command, "--dtype", "float32")
    assert "where it holds" not in plain.stdout
    asked = invoke(*command, "--dtype", "float32", "--ranges")
    assert asked.exit_code == plain.exit_code
    assert "lossy for any offset" in " ".join(asked.stdout.split())
