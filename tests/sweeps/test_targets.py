"""Hard labels and soft ones: what `check` draws, what it says of it, and integer targets."""

from pathlib import Path

import numpy as np
import pytest

import xentcheck
from tests.running import Result, invoke
from xentcheck.errors import UsageError
from xentcheck.floats import to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import LabelKind
from xentcheck.searching.moves import children
from xentcheck.sweeps import cases, chosen_labels, standard_sweeps

BCE = "sigmoid_binary_cross_entropy"
LOSS = '''
import numpy as np


def likelihood(x, y):
    """Of a Bernoulli variable: sound for labels 0 and 1, and for no others."""
    q = 2 * y - 1
    return np.logaddexp(x.dtype.type(0), (-q * x).astype(x.dtype))


def integer(x, y):
    if y.dtype != np.int64:
        raise TypeError(f"labels of {y.dtype}")
    wide = x.astype(np.float64)
    return np.logaddexp(0, np.where(y == 1, -wide, wide)).astype(x.dtype)


def wrong(x, y):
    return np.logaddexp(x.dtype.type(0), x) * x.dtype.type(1.5)
'''


def check(place: Path, target: str, *words: str, loss: str = BCE) -> Result:
    (place / "own.py").write_text(LOSS, encoding="utf-8")
    how = ("--loss", loss, "--dtype", "float32", "--workers", "1")
    return invoke("check", f"own.py:{target}", *how, *words, cwd=place)


def test_a_loss_for_hard_labels_passes_with_them_and_the_default_says_so(tmp_path: Path) -> None:
    default = check(tmp_path, "likelihood")
    assert default.exit_code == 1
    assert "labels drawn: 0 and 1, and numbers in between" in default.stderr
    assert "all failures are at soft labels" in default.stderr
    assert "--targets ends" in default.stderr
    ends = check(tmp_path, "likelihood", "--targets", "ends")
    assert ends.exit_code == 0, ends.stdout
    assert "labels drawn: 0 and 1 alone" in ends.stderr
    soft = check(tmp_path, "likelihood", "--targets", "soft")
    assert soft.exit_code == 1
    assert "all failures" not in soft.stderr


def test_rows_of_chosen_labels_are_asked_about_by_their_number(tmp_path: Path) -> None:
    row = ("--row", "standard:ordinary:1", "--implementation", "numpy.accurate")
    for words, label in ((["--targets", "ends"], "labels 1"), (["--targets", "soft"], "labels 0.")):
        done = invoke("probe", "--loss", BCE, "--dtype", "float32", *row, *words, COLUMNS="200")
        assert done.exit_code == 0, done.stderr
        assert label in done.stdout.replace("label ", "labels ")


def test_a_loss_that_is_wrong_for_hard_labels_is_not_excused(tmp_path: Path) -> None:
    found = check(tmp_path, "wrong")
    assert found.exit_code == 1
    assert "all failures" not in found.stderr


def test_integer_labels_are_0_and_1_in_int64(tmp_path: Path) -> None:
    assert check(tmp_path, "integer").exit_code == 1
    found = check(tmp_path, "integer", "--label-kind", "integer")
    assert found.exit_code == 0, found.stdout
    refused = check(tmp_path, "integer", "--label-kind", "integer", "--targets", "soft")
    assert refused.exit_code == 2
    assert "integer labels of sigmoid_binary_cross_entropy are 0 and 1" in refused.stderr


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float8_e5m2"])
@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (BCE, LabelKind.TARGET),
        ("binary_cross_entropy", LabelKind.TARGET),
        ("softmax_cross_entropy", LabelKind.DISTRIBUTION),
        ("kl_divergence", LabelKind.DISTRIBUTION),
        ("categorical_cross_entropy", LabelKind.DISTRIBUTION),
    ],
)
@pytest.mark.parametrize("targets", ["ends", "soft"])
def test_every_label_of_every_standard_sweep_is_of_the_kind(
    loss: str, kind: LabelKind, targets: str, dtype: str
) -> None:
    spec = LOSSES[loss]
    seen = 0
    for sweep in standard_sweeps(spec, (dtype,), kind, {}, targets):
        if "wide" in sweep.name or sweep.name == "exhaustive":
            continue
        for case in cases(sweep, spec, dtype, 0):
            labels = to_float64(case.labels)
            hard = (labels == 0) | (labels == 1)
            rows = case.logits.shape[-1] > 1 or kind is LabelKind.TARGET
            assert hard.all() if targets == "ends" else not (rows and hard.any())
            if targets == "ends" and kind is LabelKind.DISTRIBUTION:
                assert (labels.sum(axis=1) == 1).all()
            assert case.fixed
            seen += labels.size
    assert seen > 500


def test_a_search_leaves_chosen_labels_as_they_are() -> None:
    spec = LOSSES[BCE]
    ordinary = standard_sweeps(spec, ("float32",), LabelKind.TARGET, {}, "ends")[0]
    case = next(iter(cases(ordinary, spec, "float32", 0)))
    found = children(case, 500, np.random.default_rng(0))
    assert set(to_float64(found.labels).tolist()) == {0.0, 1.0}


def test_what_a_loss_does_not_leave_to_choose_is_refused() -> None:
    with pytest.raises(UsageError, match="label-kind distribution has soft ones"):
        chosen_labels(LOSSES["softmax_cross_entropy"], None, "soft")
    with pytest.raises(UsageError, match="'end'; known: ends, soft, all"):
        chosen_labels(LOSSES[BCE], None, "end")
    # hard labels are hard already
    assert chosen_labels(LOSSES["softmax_cross_entropy"], None, "ends")[1] is None


def test_in_python_the_assertion_tells_of_hard_labels(tmp_path: Path) -> None:
    def likelihood(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.logaddexp(x.dtype.type(0), (-(2 * y - 1) * x).astype(x.dtype))

    how = {"gradient": None, "quantities": "value", "dtypes": "float32"}
    with pytest.raises(AssertionError, match=r'all failures are at soft labels.*targets="ends"'):
        xentcheck.assert_accurate(likelihood, BCE, **how)
    report = xentcheck.assert_accurate(likelihood, BCE, targets="ends", **how)
    assert not report.violations


def test_targets_of_a_configuration_take_the_same_words() -> None:
    sweep = {
        "losses": [BCE, "kl_divergence"],
        "dtypes": "float32",
        "implementations": "numpy.accurate",
        "labels": {"targets": "soft"},
        "inputs": [{"generator": "normal", "rows": 4, "classes": 3}],
    }
    report = xentcheck.audit({"sweeps": {"s": sweep}})
    assert {each.cell.loss for each in report.measurements} == {BCE, "kl_divergence"}
    sweep["labels"] = {"targets": "ends"}
    report = xentcheck.audit({"sweeps": {"s": sweep}})
    assert {each.cell.loss for each in report.measurements} == {BCE, "kl_divergence"}
