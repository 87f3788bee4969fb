"""The corpus of labelled faults is whole: every fault has a label, every function is in it."""

from collections import Counter

import pytest

from benchmarks.causes.document import lines, shares
from benchmarks.causes.judging import Claim, Judged, Outcome, claims_of
from tests.faults.auditing import name_of
from tests.faults.catalogue import FAULTS, FOLDER
from tests.faults.corpus import CORPUS, KNOWN, SOUND, VARIED, Labelled, config_for, groups
from tests.faults.labels import CLIP, EXP, LABELS, LOG, Expected
from xentcheck.model import Cause, Diagnosis, Explained, Quantity

NEEDED = set(Cause) - {Cause.UNKNOWN}


def fault(name: str) -> Labelled:
    return next(each for each in CORPUS if each.fixture.id == name)


def claimed(labelled: Labelled, *causes: Cause) -> Judged:
    claims = tuple(Claim(cause, 3, 4, ("Some evidence.",)) for cause in causes)
    return Judged(labelled, "float32", 1, claims)


def test_every_reported_fault_has_a_label_and_no_label_is_left_over() -> None:
    assert set(LABELS) == {(each.loss, each.id) for each in FAULTS}


def test_every_cause_is_the_main_cause_of_a_fault() -> None:
    assert {cause for each in (*KNOWN, *VARIED) for cause in each.expected.main} == NEEDED


def test_labels_name_a_cause_once_and_give_a_reason() -> None:
    for each in CORPUS:
        causes = (*each.expected.main, *each.expected.also)
        assert len(set(causes)) == len(causes), each.name
        assert Cause.UNKNOWN not in causes
        assert each.expected.reason


def test_fixtures_that_are_audited_together_have_names_of_their_own() -> None:
    for group in groups(CORPUS).values():
        assert not [
            name for name, count in Counter(each.name for each in group).items() if count > 1
        ]


def test_there_are_more_than_a_hundred_variations_with_free_parameters() -> None:
    assert len(VARIED) > 100
    assert sum(bool(each.fixture.bound) for each in VARIED) > 50


def test_no_variation_is_left_out() -> None:
    fixtures = [each.fixture for each in (*VARIED, *SOUND)]
    named = {name for each in fixtures for name in (each.value, each.gradient)}
    for file in ("softmax", "sigmoid", "probabilities"):
        source = (FOLDER / "variations" / f"{file}.py").read_text(encoding="utf-8")
        for line in source.splitlines():
            if line.startswith("def ") and not line.startswith("def _"):
                function = line.removeprefix("def ").partition("(")[0]
                assert f"variations/{file}:{function}" in named, function


def test_a_configuration_has_the_fixtures_of_a_group_with_what_is_bound() -> None:
    group = next(each for each in groups(CORPUS).values() if each[0].fixture.loss == "log_sigmoid")
    config = config_for(group)
    assert [each.name for each in config.targets] == [name_of(each.fixture) for each in group]
    assert {"epsilon": 1e-8} in [each.parameters for each in config.targets]


def test_a_claim_is_what_a_diagnosis_explains_of_the_quantity_in_the_dtype() -> None:
    labelled = fault("LOG0-01")
    explained = [
        Explained("float32", Quantity.VALUE, 7, 8, 9),
        Explained("float32", Quantity.GRADIENT, 1, 1, 1),
        Explained("float64", Quantity.VALUE, 1, 1, 1),
    ]

    def claims(cause: Cause, *explains: Explained) -> tuple[Claim, ...]:
        diagnosis = Diagnosis(cause, labelled.fixture.loss, labelled.name, explains, ("Because.",))
        return claims_of((diagnosis,), labelled, "float32")

    assert claims(LOG, *explained) == (Claim(LOG, 7, 8, ("Because.",)),)
    assert not claims(LOG, *explained[1:])
    assert not claims(LOG, Explained("float32", Quantity.VALUE, 0, 8, 9))
    assert not claims(Cause.UNKNOWN, *explained)
    assert not claims_of((), labelled, "float32")


@pytest.mark.parametrize(
    ("causes", "outcome", "row"),
    [
        ((), Outcome.NOTHING, "exp-overflow"),
        ((EXP,), Outcome.RIGHT, "exp-overflow"),
        ((EXP, LOG), Outcome.RIGHT, "exp-overflow"),
        ((LOG,), Outcome.BESIDE, "exp-overflow"),
        ((EXP, CLIP), Outcome.WRONG, "exp-overflow"),
        ((CLIP,), Outcome.WRONG, "exp-overflow"),
    ],
)
def test_a_claim_is_judged_by_its_label(
    causes: tuple[Cause, ...], outcome: Outcome, row: str
) -> None:
    judged = claimed(fault("OVF-03"), *causes)
    assert judged.outcome is outcome
    assert judged.row == row


def test_of_no_cause_and_of_sound_code_nothing_may_be_claimed() -> None:
    for labelled, row in ((fault("MASK-03"), "no cause"), (SOUND[0], "sound")):
        assert claimed(labelled).outcome is Outcome.RIGHT
        assert claimed(labelled, EXP).outcome is Outcome.WRONG
        assert claimed(labelled, EXP).row == row


def test_the_document_counts_what_was_judged() -> None:
    found = [
        claimed(fault("OVF-03"), EXP, LOG),
        claimed(fault("LOG0-01"), CLIP),
        claimed(fault("CAN-04")),
        claimed(fault("MASK-03")),
        claimed(SOUND[0]),
    ]
    text = list(lines(found))
    assert "| faults with a cause | 3 | 1 | 0 | 1 | 1 | 33.3 % |" in text
    assert "| faults without one | 1 | 1 | 0 | 0 | 0 | 100.0 % |" in text
    assert "| exp-overflow | 1 | 1 | 1 |  | 0 |" in text
    assert "| log-of-saturated-probability | 1 |  |  | **1** | 0 |" in text
    assert "| absorbed-tail | 1 |  |  |  | 1 |" in text
    assert any("Some evidence." in line and "3 of 4" in line for line in text)
    assert shares(found) == (1 / 3, 1)


def test_a_label_may_have_more_than_one_main_cause() -> None:
    labelled = Labelled(fault("LOG0-01").fixture, Expected((EXP, LOG), "either"))
    assert claimed(labelled, LOG).outcome is Outcome.RIGHT
    assert claimed(labelled, LOG).row == LOG
    assert claimed(labelled).row == EXP
