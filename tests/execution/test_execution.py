"""How foreign code is called, and what is noticed about how it behaves."""

import itertools

import numpy as np
import pytest

from xentcheck.execution import observe, unsupported
from xentcheck.measurement import Arbitration, Tally, close, measure
from xentcheck.model import Case, Cell, Implementation, Kind, LabelKind, Quantity, Tolerance
from xentcheck.reference import Reference

ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [-1.0, 0.5], [10.0, -2.0]], dtype=np.float32)
LABELS = np.array([0, 1, 0, 1])


def case(loss="softmax_cross_entropy", logits=ROWS, labels=LABELS, **parameters):
    kind = LabelKind.INTEGER if labels is not None else LabelKind.NONE
    return Case("sweep", "explicit", loss, str(logits.dtype), logits, kind, labels, parameters)


def implementation(value=None, gradient=None, parameters=(), dtypes=("float32",)):
    return Implementation(
        loss="softmax_cross_entropy",
        name="test",
        value=value,
        gradient=gradient,
        dtypes=dtypes,
        label_kinds=(LabelKind.INTEGER,),
        parameters=frozenset(parameters),
    )


def watch(value, given=None, quantity=Quantity.VALUE):
    given = given or case()
    return observe(implementation(value, value, parameters=given.parameters), given, quantity)


def kinds(outcomes):
    return {incident.kind for incident in outcomes.incidents}


def row_sum(logits, labels):
    return logits.sum(axis=1)


def test_a_function_of_the_row_alone_behaves():
    outcomes = watch(row_sum)
    assert outcomes.incidents == ()
    assert outcomes.valid.all()
    np.testing.assert_array_equal(outcomes.results, ROWS.sum(axis=1))


def test_a_look_that_is_not_thorough_calls_once():
    calls = itertools.count()

    def counting(x, y):
        next(calls)
        return row_sum(x, y)

    for thorough, so_many in ((False, 1), (True, 4)):
        before = next(calls)
        observe(implementation(counting), case(), Quantity.VALUE, thorough=thorough)
        assert next(calls) - before - 1 == so_many


def test_random_results_are_noticed():
    rng = np.random.default_rng(0)
    outcomes = watch(lambda x, y: row_sum(x, y) + rng.normal(size=len(x)).astype(np.float32))
    assert Kind.NON_DETERMINISTIC in kinds(outcomes)


def test_a_nan_is_the_same_as_any_other_nan():
    payloads = itertools.cycle([0x7FC00000, 0x7FC00001])

    def nan(x, y):
        return np.full(len(x), next(payloads), dtype=np.uint32).view(np.float32)

    assert watch(nan).incidents == ()


def test_a_zero_that_changes_sign_has_changed():
    signs = itertools.cycle([0.0, -0.0])
    outcomes = watch(lambda x, y: np.full(len(x), next(signs), dtype=np.float32))
    assert Kind.NON_DETERMINISTIC in kinds(outcomes)


def test_a_shift_by_the_maximum_of_the_batch_is_row_dependent():
    def shifted(x, y):
        return np.exp(x - x.max()).sum(axis=1)

    outcomes = watch(shifted)
    assert Kind.ROW_DEPENDENT in kinds(outcomes)
    (incident,) = outcomes.incidents
    assert incident.distance > 4


def test_a_lone_row_is_put_in_company_too():
    lone = case(logits=ROWS[:1], labels=LABELS[:1])
    outcomes = watch(lambda x, y: x.sum(axis=1) / np.float32(len(x)), lone)
    assert kinds(outcomes) == {Kind.ROW_DEPENDENT}


@pytest.mark.parametrize("victim", ["logits", "labels", "weight"])
def test_writing_into_an_argument_is_noticed_and_harms_nobody(victim):
    def vandal(logits, labels, weight):
        result = logits.sum(axis=1)
        {"logits": logits, "labels": labels, "weight": weight}[victim][...] = 0
        return result

    given = case(weight=np.array([1.0, 2.0], dtype=np.float32))
    before = given.logits.copy(), given.labels.copy(), given.parameters["weight"].copy()
    outcomes = watch(vandal, given)
    assert kinds(outcomes) == {Kind.MUTATED_INPUT}
    assert victim in outcomes.incidents[0].detail
    now = given.logits, given.labels, given.parameters["weight"]
    for mine, then in zip(now, before, strict=True):
        np.testing.assert_array_equal(mine, then)
    np.testing.assert_array_equal(outcomes.results, ROWS.sum(axis=1))


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (lambda x, y: x, Kind.WRONG_SHAPE),
        (lambda x, y: x.sum(axis=1, keepdims=True), Kind.WRONG_SHAPE),
        (lambda x, y: x.sum(), Kind.WRONG_SHAPE),
        (lambda x, y: None, Kind.WRONG_DTYPE),
        (lambda x, y: "a loss", Kind.WRONG_DTYPE),
        (lambda x, y: [[1.0], [1.0, 2.0]], Kind.WRONG_DTYPE),
        (lambda x, y: y, Kind.WRONG_DTYPE),
        (lambda x, y: x.sum(axis=1) + 0j, Kind.WRONG_DTYPE),
        (lambda x, y: x.sum(axis=1).astype(np.longdouble), Kind.WRONG_DTYPE),
        (lambda x, y: x.sum(axis=1).astype(np.float16), Kind.WRONG_DTYPE),
    ],
)
def test_results_of_another_shape_or_dtype_are_findings(returned, kind):
    assert kinds(watch(returned)) == {kind}


def test_a_wider_result_is_welcome():
    outcomes = watch(lambda x, y: x.sum(axis=1).astype(np.float64))
    assert outcomes.incidents == ()
    assert outcomes.results.dtype == np.float64


def test_an_error_says_where_it_came_from():
    def broken(x, y):
        message = "no such kernel"
        raise RuntimeError(message)

    outcomes = watch(broken)
    assert kinds(outcomes) == {Kind.RAISED}
    assert outcomes.results is None
    assert "RuntimeError: no such kernel" in outcomes.incidents[0].detail
    assert "test_execution.py" in outcomes.incidents[0].detail


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), MemoryError()])
def test_no_exception_of_foreign_code_gets_through(error):
    def broken(x, y):
        raise error

    assert kinds(watch(broken)) == {Kind.RAISED}


def test_an_interrupt_does_get_through():
    def interrupted(x, y):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(interrupted)


def test_rows_that_raise_do_not_take_the_others_with_them():
    def picky(x, y):
        if (x == 10.0).any():
            message = "cannot"
            raise ValueError(message)
        return x.sum(axis=1)

    outcomes = watch(picky)
    assert outcomes.valid.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(outcomes.results[:3], ROWS.sum(axis=1)[:3])
    assert [i.rows for i in outcomes.incidents if i.kind is Kind.RAISED] == [(3,)]


def test_a_function_that_always_raises_is_not_called_for_ever():
    calls = itertools.count()

    def broken(x, y):
        next(calls)
        raise ValueError

    many = case(logits=np.zeros((4096, 2), dtype=np.float32), labels=np.zeros(4096, dtype=int))
    outcomes = watch(broken, many)
    assert len(outcomes.incidents[0].rows) == 4096
    assert next(calls) < 200


def test_labels_are_passed_only_where_the_loss_has_them():
    logsumexp = case("logsumexp", labels=None)
    assert watch(lambda x: x.sum(axis=1), logsumexp).incidents == ()
    assert watch(lambda x, y: x.sum(axis=1), logsumexp).incidents == ()
    softmax = case("softmax")
    assert watch(lambda x: x, softmax).incidents == ()
    gradient = watch(lambda x, y: x * y[:, None].astype(x.dtype), softmax, Quantity.GRADIENT)
    assert gradient.incidents == ()


def test_under_a_reduction_a_scalar_is_wanted():
    mean = case(reduction="mean")
    assert watch(lambda x, y, reduction: x.mean(), mean).incidents == ()
    assert kinds(watch(lambda x, y, reduction: x.mean(axis=1), mean)) == {Kind.WRONG_SHAPE}


def test_a_row_matrix_follows_its_rows():
    noise = np.arange(8, dtype=np.float32).reshape(4, 2)
    outcomes = watch(lambda x, noise: x + noise, case("softmax", noise=noise))
    assert outcomes.incidents == ()
    np.testing.assert_array_equal(outcomes.results, ROWS + noise)


def test_what_is_unsupported_is_said():
    plain = implementation(row_sum)
    assert unsupported(plain, case()) == ""
    assert "weight" in unsupported(plain, case(weight=np.ones(2)))
    assert "float64" in unsupported(plain, case(logits=ROWS.astype(np.float64)))
    assert unsupported(implementation(row_sum, parameters={"*"}), case(weight=np.ones(2))) == ""


def off_by_the_logit(logits, labels):
    """The gradient of two equal logits, its second component off by that many ulps of 1/2."""
    off = np.float32(2.0**-24) * logits[:, 1]
    return np.stack([np.full_like(off, -0.5), np.float32(0.5) + off], axis=1)


def collected(*blocks):
    tally, tolerance = Tally(), Tolerance()
    sloppy = implementation(row_sum, off_by_the_logit)
    for block in blocks:
        logits = np.repeat(np.array(block, dtype=np.float32)[:, None], 2, axis=1)
        given = case(logits=logits, labels=np.zeros(len(block), dtype=int))
        measure(tally, sloppy, given, Reference(given), Quantity.GRADIENT, tolerance)
    cell = Cell("softmax_cross_entropy", "test", "float32", Quantity.GRADIENT, "sweep")
    return close(cell, tally, tolerance, Arbitration())


@pytest.mark.parametrize("order", [1, -1])
def test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row(order):
    measurement, (finding,) = collected(*[[0, 100, 10], [7, 30, 2]][::order])
    assert measurement.rows == 6
    assert (measurement.max_ulp, measurement.median_ulp) == (100.0, 10.0)
    assert measurement.max_abs == 100 * 2.0**-24
    assert measurement.counts == {Kind.INACCURATE: 4}
    assert (finding.kind, finding.rows) == (Kind.INACCURATE, 4)
    for witness in (measurement.witness, finding.witness):
        assert witness.logits.tolist() == [100.0, 100.0]
        assert (witness.index, witness.ulp_error) == (1, 100.0)
        assert witness.expected == 0.5


def test_a_row_is_counted_under_the_gravest_kind_of_its_components():
    measurement, findings = collected([1, -(2.0**24), 5])
    assert measurement.counts == {Kind.WRONG_SIGN: 1, Kind.INACCURATE: 1}
    assert [finding.kind for finding in findings] == [Kind.WRONG_SIGN, Kind.INACCURATE]
