"""Tasks are values: they pickle, and give the same wherever they are done."""

import pickle
import subprocess
import sys

import numpy as np

from tests.places import ROOT
from xentcheck import registry
from xentcheck.auditing.part import work
from xentcheck.auditing.plan import Plan
from xentcheck.auditing.step import Step, Task
from xentcheck.config import load, loads

CONFIGS = ROOT / "configs"
GATE = """\
sweeps:
  few:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: numpy.naive
    inputs: [{generator: explicit, values: [[20, 0, 0], [1000, 2000, 3000]]}]
limits: [{max_ulp: 2, batch_invariant: true}]
"""


def steps(config) -> list[Step]:
    known, skips = registry.load_registered()
    return list(Plan.of(config, known, skips).steps(lambda _: None))


def test_every_step_of_the_survey_pickles_into_a_small_text_and_back() -> None:
    for step in steps(load(CONFIGS / "sweep.yaml")):
        pickled = pickle.dumps(step)
        assert len(pickled) < 1 << 16, step.what
        again = pickle.loads(pickled)
        assert again.what == step.what
        assert again.loss is step.loss
        assert len(again.parts) == len(step.parts)
        assert again.bounds == step.bounds


def test_a_task_gives_the_same_in_a_process_that_knows_nothing_of_its_run() -> None:
    (step,) = steps(loads(GATE))
    (parts,) = step.groups
    here = work(Task(step, parts), lambda _: None)
    code = (
        "import pickle, sys\n"
        "from xentcheck.auditing.part import work\n"
        "task = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(pickle.dumps(work(task, lambda _: None)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(Task(step, parts)),
        capture_output=True,
        check=True,
    )
    there = pickle.loads(done.stdout)
    assert there.rows == here.rows == 6  # of two rows, with each of three labels
    assert there.decided == here.decided
    for mine, other in zip(here.closed.measurements, there.closed.measurements, strict=True):
        assert mine.cell == other.cell
        assert mine.counts == other.counts
        assert np.array_equal(mine.max_ulp, other.max_ulp, equal_nan=True)
    assert [(each.kind, each.rows) for each in here.closed.findings] == [
        (each.kind, each.rows) for each in there.closed.findings
    ]


def test_a_step_has_what_is_asked_of_its_cells() -> None:
    (step,) = steps(loads(GATE))
    bounds = [step.bound(step.cell("numpy.naive", each)) for each in step.sweep.quantities]
    assert [(each.tolerance.max_ulp, each.invariant) for each in bounds] == [(2.0, True)] * 2
