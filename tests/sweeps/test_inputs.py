"""Own rows without YAML: files and arrays, what their names mean, and what is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import xentcheck
from tests.running import Result, invoke
from xentcheck.errors import UsageError
from xentcheck.sweeps.recorded import read_arrays

LOSS = """
import numpy as np


def loss(logits, labels, reduction="none"):
    x = logits.astype(np.float64)
    kept = labels != -100
    rows = np.arange(len(x))
    label = np.where(kept, labels, 0)
    others = x - x[rows, label][:, None]
    others[rows, label] = -np.inf
    value = np.where(kept, np.logaddexp(0.0, np.logaddexp.reduce(others, axis=1)), 0.0)
    if reduction == "none":
        return value.astype(logits.dtype)
    total = value.sum()
    return np.asarray(total / kept.sum() if reduction == "mean" else total).astype(logits.dtype)


def wrong(logits, labels):
    return loss(logits, labels) * logits.dtype.type(1.25)


def bce(logits, labels):
    x = logits.astype(np.float64)
    y = labels.astype(np.float64)
    return (y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)).astype(logits.dtype)
"""
CE = "softmax_cross_entropy"
RNG = np.random.default_rng(7)
LOGITS = RNG.normal(size=(10, 5)).astype(np.float32)
LABELS = np.array([0, 1, 2, -100, 4, 3, 2, 1, 0, -100])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own.py").write_text(LOSS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*words: str, loss: str = CE, target: str = "own.py:loss") -> Result:
    how = ("--loss", loss, "--gradient", "none", "--workers", "1")
    return invoke("check", target, *how, *words)


def measured(*words: str, **how: str) -> dict:
    done = check(*words, "--format", "json", **how)
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    (measurement,) = report["measurements"]
    return {**measurement, "yields": report["yields"]}


def test_a_recording_of_ten_rows_is_ten_rows_ignored_ones_included(place: Path) -> None:
    np.savez("lm.npz", logits=LOGITS, labels=LABELS)
    for words in ((), ("--param", "ignore_index=-100")):
        # the second way used to add seven rows; -100 used to be refused in the first
        if words:
            text = LOSS.replace('reduction="none"', 'reduction="none", ignore_index=-100')
            (place / "own.py").write_text(text, encoding="utf-8")
        found = measured("--inputs", "lm.npz", *words)
        assert (found["rows"], found["dtype"]) == (10, "float32")
        assert [each["rows"] for each in found["yields"]] == [10]


def test_a_wrong_loss_is_found_on_own_rows_and_replayed_by_numbers(place: Path) -> None:
    np.savez("lm.npz", logits=LOGITS, labels=LABELS)
    done = check("--inputs", "lm.npz", target="own.py:wrong")
    assert done.exit_code == 1
    assert "--logits" in done.stdout
    assert "standard:" not in done.stdout


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_dtype_is_that_of_the_file_unless_another_is_asked_for(place: Path, dtype: str) -> None:
    logits = LOGITS.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    np.savez("own.npz", logits=logits, labels=LABELS)
    assert measured("--inputs", "own.npz")["dtype"] == dtype
    assert measured("--inputs", "own.npz", "--dtype", "float64")["dtype"] == "float64"


def test_bfloat16_is_what_numpy_makes_of_it_when_it_is_saved(place: Path) -> None:
    np.save("x.npy", LOGITS.astype(ml_dtypes.bfloat16))
    assert np.load("x.npy").dtype == np.dtype("V2")  # what NumPy itself reads back
    np.save("y.npy", LABELS)
    assert measured("--inputs", "x.npy", "--inputs", "y.npy")["dtype"] == "bfloat16"


def test_two_files_are_logits_and_labels_also_in_yaml(place: Path) -> None:
    np.save("x.npy", LOGITS)
    np.save("y.npy", LABELS)
    assert measured("--inputs", "x.npy", "--inputs", "y.npy")["rows"] == 10
    text = f"""
sweeps:
  own:
    losses: {CE}
    dtypes: float32
    implementations: numpy.accurate
    quantities: value
    inputs: [{{generator: recorded, path: x.npy, labels_path: y.npy}}]
"""
    (place / "own.yaml").write_text(text, encoding="utf-8")
    report = xentcheck.audit("own.yaml")
    assert [each.rows for each in report.measurements] == [10]
    # every label counts: with the two rows that are ignored the mean is over eight
    assert not report.findings


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("logits", "y"), ()),
        (("scores", "targets"), ()),
        (("x", "label"), ()),
        (("something", "labels"), ()),
        (("a", "b"), ("--input-names", "logits=a,labels=b")),
    ],
)
def test_usual_names_are_found_and_others_can_be_told(
    place: Path, names: tuple[str, str], words: tuple[str, ...]
) -> None:
    np.savez("own.npz", **dict(zip(names, (LOGITS, LABELS), strict=True)))
    assert measured("--inputs", "own.npz", *words)["rows"] == 10


def test_three_axes_are_rows_and_elementwise_losses_take_any_shape(place: Path) -> None:
    np.savez("seq.npz", logits=LOGITS.reshape(2, 5, 5), labels=LABELS.reshape(2, 5))
    assert measured("--inputs", "seq.npz")["rows"] == 10
    np.savez("bits.npz", logits=LOGITS, labels=(LOGITS > 0.3).astype(np.int32))
    found = measured(
        "--inputs", "bits.npz", loss="sigmoid_binary_cross_entropy", target="own.py:bce"
    )
    assert found["rows"] == 50


def test_a_mean_is_over_all_rows_that_are_not_ignored(place: Path) -> None:
    np.savez("lm.npz", logits=LOGITS, labels=LABELS)
    found = measured("--inputs", "lm.npz", "--param", "reduction=mean")
    assert [each["rows"] for each in found["yields"]] == [10]


REFUSED = [
    (
        {"logits": LOGITS, "labels": np.where(LABELS == 4, 77, LABELS)},
        ("own.npz: array 'labels', row 4: label 77 is none of the 5 classes", "-100"),
    ),
    (
        {"logits": LOGITS.reshape(2, 5, 5), "labels": np.full((2, 5), 9)},
        ("own.npz: array 'labels', place (0, 0): label 9", "0 to 4"),
    ),
    (
        {"logits": LOGITS, "labels": LABELS.astype(float)},
        ("own.npz: array 'labels': labels of type float64", "astype(np.int64)"),
    ),
    (
        {"logits": LOGITS, "labels": LABELS[:, None]},
        ("own.npz: array 'labels': labels of shape (10, 1)", "labels[..., 0]"),
    ),
    ({"logits": LOGITS, "labels": LABELS[:7]}, ("own.npz: array 'labels': labels of shape (7,)",)),
    ({"logits": np.arange(10).reshape(2, 5)}, ("own.npz: the logits are no floating", "astype")),
    ({"a": LOGITS, "b": LABELS}, ("own.npz has no array 'logits'", "a, b")),
]


@pytest.mark.parametrize(("arrays", "texts"), REFUSED)
def test_what_is_refused_is_named_with_file_array_place_and_remedy(
    place: Path, arrays: dict[str, np.ndarray], texts: tuple[str, ...]
) -> None:
    np.savez("own.npz", **arrays)
    done = check("--inputs", "own.npz")
    assert done.exit_code == 2, done.stdout
    assert "internal error" not in done.stderr
    for text in texts:
        assert text in done.stderr


def test_logits_are_no_probabilities(place: Path) -> None:
    np.savez("own.npz", logits=np.abs(LOGITS) + 1.5, labels=np.maximum(LABELS, 0))
    done = check("--inputs", "own.npz", loss="categorical_cross_entropy")
    assert done.exit_code == 2
    assert "own.npz: array 'logits', row 0: " in done.stderr
    assert "is no probability" in done.stderr


def test_files_of_other_kinds_are_refused_with_the_line_that_converts_them(place: Path) -> None:
    (place / "x.csv").write_text("1,2\n3,4\n", encoding="utf-8")
    done = check("--inputs", "x.csv")
    assert done.exit_code == 2
    (line,) = [each for each in done.stderr.splitlines() if "python -c" in each]
    command = line.partition("convert it: ")[2].replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True)
    assert np.load("x.npy").tolist() == [[1, 2], [3, 4]]
    (place / "x.pkl").write_bytes(b"")
    assert "pickle" in check("--inputs", "x.pkl").stderr


def test_a_file_that_is_not_there_is_told_with_the_nearest_that_is(place: Path) -> None:
    np.savez("logits.npz", logits=LOGITS, labels=LABELS)
    done = check("--inputs", "logit.npz")
    assert done.exit_code == 2
    assert "logit.npz: no such file; did you mean 'logits.npz'?" in done.stderr


def test_rows_without_labels_have_drawn_ones_and_that_is_said(place: Path) -> None:
    np.savez("own.npz", logits=LOGITS)
    done = check("--inputs", "own.npz")
    assert done.exit_code == 0
    assert "own.npz has no labels" in done.stderr


def test_arrays_are_inputs_in_python(place: Path) -> None:
    namespace: dict = {}
    exec(LOSS, namespace)
    how = {"gradient": None, "quantities": "value"}
    report = xentcheck.audit(namespace["loss"], CE, inputs=(LOGITS, LABELS), **how)
    assert [(each.rows, each.cell.dtype) for each in report.measurements] == [(10, "float32")]
    by_name = {"a": LOGITS, "b": LABELS}
    names = {"logits": "a", "labels": "b"}
    report = xentcheck.assert_accurate(
        namespace["loss"], CE, inputs=by_name, input_names=names, **how
    )
    assert report.measurements[0].rows == 10
    with pytest.raises(AssertionError):
        xentcheck.assert_accurate(namespace["wrong"], CE, inputs=(LOGITS, LABELS), **how)
    bad = LABELS.copy()
    bad[6] = 5
    with pytest.raises(UsageError, match=r"inputs: array 'labels', row 6: label 5"):
        xentcheck.audit(namespace["loss"], CE, inputs=(LOGITS, bad), **how)


def test_a_file_of_torch_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    saved = {"logits": torch.tensor(LOGITS).bfloat16(), "labels": torch.tensor(LABELS)}
    torch.save(saved, tmp_path / "own.pt")
    arrays = read_arrays(tmp_path / "own.pt")
    want = LOGITS.astype(ml_dtypes.bfloat16)
    assert arrays["logits"].view(ml_dtypes.bfloat16).tolist() == want.tolist()
    assert arrays["labels"].tolist() == LABELS.tolist()


def test_a_file_of_torch_without_torch_says_how_to_convert_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(__file__, tmp_path / "own.pt")
    with pytest.raises(UsageError, match=r"own\.pt: not a valid \.pt file") as caught:
        read_arrays(tmp_path / "own.pt")
    assert "np.savez" in str(caught.value)
