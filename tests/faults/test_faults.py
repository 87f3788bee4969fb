"""Faults that were reported, re-created as users' functions, and sound controls, all audited.

Driven by the fixtures of `tests.faults.catalogue` and by the registry of losses.
"""

import functools
from collections.abc import Mapping
from types import FunctionType

import pytest

from tests.faults.auditing import config_of, group_of, name_of
from tests.faults.catalogue import (
    CAUSES,
    CONTROLS,
    FAULTS,
    FIXTURES,
    FOLDER,
    Fixture,
    lines,
    target,
)
from tests.places import ROOT
from tests.running import invoke
from xentcheck.auditing.run import audit
from xentcheck.implementations.user.loading import load_target
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import Kind, Limit, Quantity, Report, Target

EXPLAINED = 2.0  # excess bits
CANCELLING = "sigmoid:sound_weighted_bce"  # right by its algebra, and lossy on tiny soft targets
LOST_DIGITS = (Kind.INACCURATE, Kind.WRONG_SIGN)

DOCUMENT = ROOT / "docs" / "faults.md"

by_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.id)


def case_id(fixture: Fixture) -> str:
    parameters = "".join(f"-{name}" for name in fixture.parameters)
    return f"{fixture.loss}-{fixture.id.replace(' ', '-')}{parameters}"


@functools.cache
def report_of(group: tuple[object, ...]) -> Report:
    """What `xentcheck check` would report on each fixture of a group, in each of its dtypes."""
    fixtures = [each for each in FIXTURES if group_of(each) == group]
    return audit(config_of(fixtures, CONTROLS, (Limit(),)))


def own_report(fixture: Fixture) -> Report:
    """The report on the group of a fixture."""
    return report_of(group_of(fixture))


def kinds_found(report: Report, fixture: Fixture, dtype: str) -> Mapping[Kind, int]:
    """Rows by kind, over all sweeps in a dtype, for the quantity that a fixture is about."""
    found: dict[Kind, int] = {}
    for each in report.findings:
        mine = each.cell.implementation == name_of(fixture) and each.cell.dtype == dtype
        if mine and each.cell.quantity is fixture.quantity:
            found[each.kind] = found.get(each.kind, 0) + each.rows
    return found


@by_loss
def test_every_loss_states_what_it_computes(loss: Loss) -> None:
    for text in (loss.summary, loss.formula, loss.gradient_formula, loss.units, loss.source):
        assert text.strip()
    assert loss.conventions
    assert all(each.strip() for each in loss.conventions)
    assert loss.domain.value


@by_loss
@pytest.mark.parametrize("quantity", Quantity)
def test_every_loss_has_a_fault_in_value_and_in_gradient(loss: Loss, quantity: Quantity) -> None:
    assert [each for each in FAULTS if each.loss == loss.id and each.quantity is quantity]


@by_loss
def test_every_loss_has_a_sound_control_with_a_gradient(loss: Loss) -> None:
    assert [each for each in CONTROLS if each.loss == loss.id and each.gradient]


def test_every_root_cause_has_a_fault() -> None:
    assert {code for each in FAULTS for code in each.causes} == set(CAUSES)


def test_the_catalogue_is_as_large_as_promised_and_names_each_fixture_once() -> None:
    assert len(FAULTS) >= 45
    assert len(CONTROLS) >= 18
    named = [(each.loss, each.id) for each in FAULTS]
    assert len(set(named)) == len(named)
    assert all(each.kinds for each in FAULTS)
    assert not any(each.kinds for each in CONTROLS)


def test_no_fixture_is_left_out_of_the_catalogue() -> None:
    named = {name for each in FIXTURES for name in (each.value, each.gradient)}
    for file in sorted({each.value.partition(":")[0] for each in FIXTURES}):
        source = (FOLDER / f"{file}.py").read_text(encoding="utf-8")
        functions = [
            line.removeprefix("def ").partition("(")[0]
            for line in source.splitlines()
            if line.startswith("def ") and not line.startswith("def _")
        ]
        assert functions
        for function in functions:
            assert f"{file}:{function}" in named, function


@pytest.mark.parametrize("fixture", FAULTS, ids=case_id)
def test_fault_is_found_with_its_kinds(fixture: Fixture) -> None:
    for dtype in fixture.dtypes:
        found = kinds_found(own_report(fixture), fixture, dtype)
        missing = set(fixture.kinds) - set(found)
        assert not missing, f"found {dict(found)}"


@pytest.mark.parametrize("fixture", FAULTS, ids=case_id)
def test_fault_violates_the_default_limits(fixture: Fixture) -> None:
    violations = [
        each
        for each in own_report(fixture).violations
        if each.finding.cell.implementation == name_of(fixture)
        and each.finding.cell.quantity is fixture.quantity
    ]
    # Flushing subnormal numbers is noted, not forbidden.
    assert bool(violations) == (set(fixture.kinds) != {Kind.FTZ})


@pytest.mark.parametrize("fixture", CONTROLS, ids=case_id)
def test_control_is_audited_and_nothing_is_held_against_it(fixture: Fixture) -> None:
    name = name_of(fixture)
    report = own_report(fixture)
    mine = [each.cell for each in report.measurements if each.cell.implementation == name]
    quantities = {Quantity.VALUE, Quantity.GRADIENT} if fixture.gradient else {Quantity.VALUE}
    assert {(cell.dtype, cell.quantity) for cell in mine} == {
        (dtype, quantity) for dtype in fixture.dtypes for quantity in quantities
    }
    # Next to a zero of the result a sound form loses what the inputs' own rounding loses there.
    explained = {
        each.cell
        for each in report.measurements
        if each.max_excess_bits is not None and each.max_excess_bits <= EXPLAINED
    }
    held = [
        each.finding
        for each in report.violations
        if each.finding.cell.implementation == name
        and not (each.finding.kind in LOST_DIGITS and each.finding.cell in explained)
    ]
    if fixture.value == CANCELLING:
        # (1 − z) x + w' relu(−x): beside a zero of the gradient z is far below an ulp of 1
        assert {each.kind for each in held} == {Kind.INACCURATE}
        assert {each.cell.sweep for each in held} == {"zeros"}
        return
    assert not held


def test_check_finds_on_the_command_line_what_the_catalogue_says() -> None:
    fault = next(each for each in FAULTS if each.id == "TIE-01")
    control = next(each for each in CONTROLS if each.loss == fault.loss)
    for fixture, status in ((fault, 1), (control, 0)):
        assert fixture.gradient is not None
        options = ("--loss", fixture.loss, "--dtype", "float32")
        gradient = ("--gradient", target(fixture.gradient))
        finished = invoke("check", target(fixture.value), *options, *gradient)
        assert finished.exit_code == status, finished.stderr
        assert ("vanished-gradient" in finished.stdout) == (fixture is fault)


def test_documentation_is_the_catalogue() -> None:
    assert DOCUMENT.read_text(encoding="utf-8").splitlines() == list(lines())


@pytest.mark.parametrize("fixture", FIXTURES, ids=case_id)
def test_fixture_is_a_function_of_its_file(fixture: Fixture) -> None:
    gradient = None if fixture.gradient is None else target(fixture.gradient)
    loaded = load_target(Target(fixture.loss, target(fixture.value), "fixture", gradient))
    assert isinstance(loaded.value, FunctionType)
    assert (loaded.gradient is None) == (gradient is None)
    assert set(fixture.parameters) <= loaded.parameters
