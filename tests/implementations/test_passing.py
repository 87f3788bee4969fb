"""What is computed and what is passed: parameters, own defaults, bindings, shapes, dtypes."""

import functools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml

import xentcheck
from tests.running import invoke
from xentcheck.errors import TargetError, UsageError
from xentcheck.losses import LOSSES
from xentcheck.model import Quantity
from xentcheck.reference import Reference
from xentcheck.sweeps import cases, standard_sweeps

LOSS_FILE = '''
import numpy as np


def softplus(t):
    return np.maximum(t, 0) + np.log1p(np.exp(-np.abs(t)))


def leaving_the_stable_path(x, z, pos_weight=None):
    """As pytorch#13773 was retyped: any pos_weight at all leaves the stable path."""
    if pos_weight is None:
        return z * softplus(-x) + (1 - z) * softplus(x)
    return pos_weight * z * np.log1p(np.exp(-x)) + (1 - z) * softplus(x)


def focal(x, z, gamma=1.5):
    p, q = np.exp(-softplus(-x)), np.exp(-softplus(x))
    return (z * softplus(-x) + (1 - z) * softplus(x)) * (z * q + (1 - z) * p) ** gamma


def steep(x, z, *, gamma):
    return focal(x, z, gamma)


def built_in(x, z):
    return focal(x, z, 1.5)


class Focal:
    def __init__(self, gamma=1.5, name="focal"):
        self.gamma = gamma

    def __call__(self, x, z):
        return focal(x, z, self.gamma)


made = Focal(0.5)


class Needing:
    def __init__(self, num_classes):
        self.num_classes = num_classes

    def __call__(self, x, y):
        return cross_entropy(x, y)


def cross_entropy(x, y):
    d = x - np.take_along_axis(x, y[..., None].astype(np.int64), -1)
    m = d.max(-1)
    return m + np.log(np.exp(d - m[..., None]).sum(-1))


def sequences(x, y):
    assert x.ndim == 3 and y.shape == x.shape[:2] and y.dtype == np.int32, (x.shape, y.dtype)
    return cross_entropy(x, y)


def sequences_gradient(x, y):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) - (np.arange(x.shape[-1]) == y[..., None])


def class_second(x, y):
    assert x.ndim == 3 and y.shape == (x.shape[0], x.shape[2]), (x.shape, y.shape)
    return cross_entropy(np.ascontiguousarray(x.swapaxes(1, 2)), y)


def sevens(x, y):
    return cross_entropy(x, y) * 7
'''


def run_cli(*words):
    return invoke(*words)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(LOSS_FILE)
    return tmp_path


def checked(target, loss, *options):
    """The JSON of `check` in float64, within 1e-5 of itself or 1e-12: for formulas, not digits."""
    limits = ("--or-rel", "1e-5", "--or-abs", "1e-12", "--dtype", "float64", "--format", "json")
    done = run_cli("check", f"own.py:{target}", "--loss", loss, *limits, *options)
    return done, (json.loads(done.stdout) if done.stdout.startswith("{") else None)


def probed(target, loss, logits, label, *options):
    words = ("probe", "--loss", loss, "--implementation", f"own.py:{target}", f"--logits={logits}")
    words += ("--label", label, "--dtype", "float64", "--gradient", "none", "--format", "json")
    report = json.loads(run_cli(*words, *options).stdout)
    (cell,) = [each for each in report["measurements"] if each["quantity"] == "value"]
    return cell


@pytest.mark.parametrize("name", LOSSES)
def test_a_default_that_is_named_changes_no_exact_result(name):
    """Condition numbers and enclosures are those of the same case without it."""
    loss = LOSSES[name]
    kinds = loss.label_kinds
    for kind in kinds:
        named = {
            each.name: (each.default,)
            for each in loss.parameters
            if each.default is not None and (not each.label_kinds or kind in each.label_kinds)
        }
        named.pop("ignore_index", None)
        if not named:
            continue
        sweep = next(
            each for each in standard_sweeps(loss, ("float32",), kind) if each.name == "ordinary"
        )
        inputs = tuple(each for each in sweep.inputs if each.generator == "normal")
        plain = replace(sweep, inputs=inputs)
        full = replace(plain, parameters=named)
        pairs = list(
            zip(cases(plain, loss, "float32", 0), cases(full, loss, "float32", 0), strict=True)
        )
        assert pairs
        for bare, case in pairs[:3]:
            assert case.parameters.keys() == named.keys()
            assert not bare.parameters
            for quantity in Quantity:
                one, other = (
                    Reference(each, frozenset(Quantity)).midpoints(quantity, slice(0, each.rows))
                    for each in (bare, case)
                )
                assert np.array_equal(one, other, equal_nan=True)


def test_a_parameter_at_its_default_is_passed_on(here):
    """Exact at x = −120, z = 1 is 120; the function gives inf as soon as pos_weight is given."""
    loss = "sigmoid_binary_cross_entropy"
    done, report = checked("leaving_the_stable_path", loss, "--param", "pos_weight=1")
    assert done.exit_code == 1
    assert "spurious-overflow" in {each["kind"] for each in report["findings"]}
    _, report = checked("leaving_the_stable_path", loss)
    assert "spurious-overflow" not in {each["kind"] for each in report["findings"]}
    config = {
        "version": 1,
        "implementations": [{"loss": loss, "target": "own.py:leaving_the_stable_path"}],
        "sweeps": {
            "far": {
                "losses": loss,
                "implementations": ["own.*"],
                "dtypes": "float64",
                "quantities": "value",
                "inputs": [{"generator": "explicit", "values": [-800.0]}],
                "labels": {"targets": "ends"},
                "parameters": {"pos_weight": [1]},
            }
        },
    }
    (here / "c.yaml").write_text(yaml.safe_dump(config))
    report = json.loads(run_cli("run", "c.yaml", "--format", "json").stdout)
    assert "spurious-overflow" in {each["kind"] for each in report["findings"]}
    del config["sweeps"]["far"]["parameters"]
    (here / "c.yaml").write_text(yaml.safe_dump(config))
    assert not json.loads(run_cli("run", "c.yaml", "--format", "json").stdout)["findings"]


def test_a_parameter_that_is_not_the_functions_own_default_is_passed_on(here):
    """x = 1, z = 0: exact 0.70186830… with gamma = 2, 0.82088… with its own 1.5 (both from arb)."""
    loss = "sigmoid_focal_loss"
    assert checked("focal", loss, "--param", "gamma=2", "--allow", "nan")[0].exit_code == 0
    two = probed("focal", loss, "1", "0", "--param", "gamma=2")
    assert two["max_ulp"] < 16
    none_given = probed("focal", loss, "1", "0")  # the loss's own 2, which is passed then
    assert none_given["max_ulp"] < 16


def test_the_functions_own_default_is_checked_and_told(here):
    done, report = checked("focal", "sigmoid_focal_loss", "--allow", "nan")
    assert done.exit_code == 0
    assert report["config"]["parameters"] == {"gamma": 1.5}
    assert "gamma=1.5 is checked, the function's own default (the loss's is 2)" in done.stderr
    assert any("gamma=1.5" in each for each in report["config"]["notes"])


def test_an_argument_without_a_default_is_given_the_losss(here):
    assert checked("steep", "sigmoid_focal_loss", "--allow", "nan")[0].exit_code == 0


def test_what_is_built_in_is_described_and_not_passed(here):
    done, report = checked(
        "built_in", "sigmoid_focal_loss", "--built-in", "gamma=1.5", "--allow", "nan"
    )
    assert done.exit_code == 0, done.stdout
    assert report["config"]["built_in"] == {"gamma": 1.5}
    assert checked("built_in", "sigmoid_focal_loss", "--allow", "nan")[0].exit_code == 1
    done, _ = checked("built_in", "sigmoid_focal_loss", "--param", "gamma=1.5")
    assert done.exit_code == 3
    assert "does not take gamma" in done.stderr
    assert "--built-in gamma=1.5" in done.stderr


def test_what_is_passed_cannot_be_built_in_as_well(here):
    options = ("--param", "gamma=1.5", "--built-in", "gamma=1.5")
    done, _ = checked("focal", "sigmoid_focal_loss", *options)
    assert done.exit_code == 2
    assert "gamma is given as a parameter, which is passed, and as built in" in done.stderr
    done, _ = checked("focal", "sigmoid_focal_loss", "--built-in", "gama=1.5")
    assert done.exit_code == 2
    assert "gamma" in done.stderr


@pytest.mark.parametrize(
    ("target", "options", "built_in", "parameters"),
    [
        ("Focal", ("--bind", "gamma=0.5"), {"gamma": 0.5}, {}),
        ("Focal", ("--param", "gamma=3"), {}, {"gamma": 3.0}),
        ("Focal", (), {}, {"gamma": 1.5}),
        ("made", (), {"gamma": 0.5}, {}),
    ],
)
def test_a_class_is_made_with_what_is_bound_or_given(here, target, options, built_in, parameters):
    done, report = checked(target, "sigmoid_focal_loss", "--allow", "nan", *options)
    assert done.exit_code == 0, done.stdout
    assert report["config"]["built_in"] == built_in
    assert report["config"]["parameters"] == parameters


def test_an_argument_that_nothing_gives_is_one_error(here):
    done, _ = checked("Needing", "softmax_cross_entropy")
    assert done.exit_code == 2
    assert "nothing gives its argument num_classes" in done.stderr
    assert "--bind num_classes=VALUE" in done.stderr
    done, _ = checked("Needing", "softmax_cross_entropy", "--bind", "num_classes=5")
    assert "num_classes" not in done.stderr
    assert done.exit_code in (0, 1)


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("sequences", ("--shape", "sequence", "--label-dtype", "int32")),
        ("class_second", ("--shape", "class-second")),
    ],
)
def test_functions_of_other_shapes_are_audited_as_rows(here, target, options):
    allowed = [word for kind in ("nan", "spurious-underflow") for word in ("--allow", kind)]
    done, report = checked(target, "softmax_cross_entropy", *options, *allowed)
    assert done.exit_code == 0, done.stdout
    assert {each["quantity"] for each in report["measurements"]} >= {"value"}
    done, _ = checked(target, "softmax_cross_entropy", *allowed)
    assert done.exit_code != 0


def test_an_elementwise_loss_has_no_classes_to_come_second(here):
    done, _ = checked("focal", "sigmoid_focal_loss", "--shape", "class-second")
    assert done.exit_code == 2
    assert "no classes that could come second" in done.stderr


@pytest.mark.parametrize(
    ("target", "loss", "options"),
    [
        ("built_in", "sigmoid_focal_loss", ("--built-in", "gamma=1.5")),
        ("Focal", "sigmoid_focal_loss", ("--bind", "gamma=0.5")),
        ("sequences", "softmax_cross_entropy", ("--shape", "sequence", "--label-dtype", "int32")),
        ("class_second", "softmax_cross_entropy", ("--shape", "class-second")),
    ],
)
def test_findings_replay_and_scripts_run_with_the_same_options(here, target, loss, options):
    """The command that a report names, and the script of a witness, give the same bits."""
    words = ("check", f"own.py:{target}", "--loss", loss, "--dtype", "float64", *options)
    done = run_cli(*words, "--format", "json", "--witnesses", "w")
    report = json.loads(done.stdout)
    finding = next(each for each in report["findings"] if each["witness"])
    script = next(here.glob(f"w/*{finding['quantity']}-{finding['sweep']}-{finding['kind']}*.py"))
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=here, check=False
    )
    assert ran.returncode == 0, ran.stderr
    actual = finding["witness"]["actual"]
    came = next(line for line in ran.stdout.splitlines() if line.startswith("actual"))
    assert float(came.split()[1]) == float(actual) or came.split()[1] == actual == "nan"


def test_a_command_is_given_other_shapes_and_dtypes_too(here):
    (here / "program.py").write_text(
        "import sys, numpy as np, own\n"
        "x, y = np.load(sys.argv[1]), np.load(sys.argv[2])\n"
        "np.save(sys.argv[3], own.sequences(x, y))\n"
    )
    command = f"{sys.executable} program.py {{logits}} {{labels}} {{out}}"
    config = {
        "version": 1,
        "implementations": [
            {
                "loss": "softmax_cross_entropy",
                "command": command.split(),
                "name": "program",
                "shape": "sequence",
                "label_dtype": "int32",
            }
        ],
        "sweeps": {
            "one": {
                "losses": "softmax_cross_entropy",
                "implementations": ["program"],
                "dtypes": "float64",
                "quantities": "value",
                "inputs": [{"generator": "normal", "classes": 3, "rows": 6}],
            }
        },
    }
    (here / "c.yaml").write_text(yaml.safe_dump(config))
    done = run_cli("run", "c.yaml", "--format", "json", "--witnesses", "w")
    report = json.loads(done.stdout)
    (cell,) = report["measurements"]
    assert cell["rows"] == 18
    assert cell["max_ulp"] < 64


def test_a_configuration_says_what_is_built_in(here):
    def config(built_in, gamma):
        return {
            "version": 1,
            "implementations": [
                {
                    "loss": "sigmoid_focal_loss",
                    "target": "own.py:built_in",
                    "built_in": {"gamma": built_in},
                }
            ],
            "sweeps": {
                "one": {
                    "losses": "sigmoid_focal_loss",
                    "implementations": ["own.*"],
                    "dtypes": "float64",
                    "quantities": "value",
                    "inputs": [{"generator": "normal", "rows": 16}],
                    "parameters": {"gamma": gamma},
                }
            },
        }

    report = xentcheck.audit(config(1.5, [1.5]))
    (cell,) = report.measurements
    assert cell.max_ulp < 64
    report = xentcheck.audit(config(1.5, [1.5, 2]))
    assert [each.cell for each in report.measurements] == [cell.cell]
    assert any("has gamma=1.5 built in, and the input has 2" in s.reason for s in report.skips)


def test_in_python_partials_and_instances_are_described_by_what_they_bind(here):
    sys.path.insert(0, str(here))
    try:
        import own
    finally:
        sys.path.remove(str(here))
    loose = {"or_rel": 1e-5, "or_abs": 1e-12, "dtypes": "float64", "allow": ("nan",)}
    for fn, how in (
        (functools.partial(own.focal, gamma=0.5), {}),
        (own.Focal(0.5), {}),
        (own.Focal, {"bind": {"gamma": 0.5}}),
        (own.built_in, {"built_in": {"gamma": 1.5}}),
        (own.focal, {"parameters": {"gamma": 3.0}}),
    ):
        xentcheck.assert_accurate(fn, "sigmoid_focal_loss", **how, **loose)
    with pytest.raises(AssertionError):
        xentcheck.assert_accurate(own.built_in, "sigmoid_focal_loss", **loose)
    with pytest.raises(TargetError, match="num_classes"):
        xentcheck.audit(own.Needing, "softmax_cross_entropy")
    with pytest.raises(UsageError, match="as built in"):
        xentcheck.audit(
            own.focal, "sigmoid_focal_loss", parameters={"gamma": 1.0}, built_in={"gamma": 1.0}
        )
    del sys.modules["own"]
