"""The cause is named of at least 95 % of the corpus, and never one that is not there.

``python -m benchmarks.causes`` writes what the slow test measures into docs/diagnosis-matrix.md.
"""

import functools

import pytest

from benchmarks.causes.document import shares
from benchmarks.causes.judging import Judged, Outcome, judged
from tests.faults.corpus import CORPUS

LEAST_RIGHT = 0.95

QUICK = (
    "log_of_softmax",
    "logsumexp_minus_target",
    "log_of_sum",
    "naive",
    "p_minus_one_hot_gradient",
    "counted_once_per_shard",
    "log_sigmoid_of_sigmoid",
    "log_sigmoid_log_without_1p",
    "log_sigmoid_one_minus_s_gradient",
    "sound_log_sigmoid",
)
"""Functions that are judged every day, in float32."""


@functools.cache
def found(*, quick: bool) -> tuple[Judged, ...]:
    corpus = [
        each
        for each in CORPUS
        if not quick
        or (
            each.fixture.function.partition(":")[2] in QUICK
            and "float32" in each.fixture.dtypes
            and not each.fixture.parameters
            and each.fixture.label_kind is None
        )
    ]
    return tuple(judged(corpus))


def told(each: Judged) -> str:
    claims = ", ".join(claim.cause for claim in each.claims) or "nothing"
    return f"{each.dtype} {each.labelled.name}: {claims}"


def test_common_faults_are_named_and_nothing_else_is() -> None:
    judgements = found(quick=True)
    assert {each.labelled.fixture.function.partition(":")[2] for each in judgements} == set(QUICK)
    assert not [told(each) for each in judgements if each.outcome is not Outcome.RIGHT]


@pytest.mark.slow
def test_nothing_is_claimed_with_certainty_that_is_wrong() -> None:
    assert not [told(each) for each in found(quick=False) if each.outcome is Outcome.WRONG]


@pytest.mark.slow
def test_the_cause_is_right_of_nearly_every_fault() -> None:
    share, _ = shares(found(quick=False))
    missed = [told(each) for each in found(quick=False) if each.outcome is not Outcome.RIGHT]
    assert share >= LEAST_RIGHT, "\n".join(missed)
