"""The table of invariants: what is declared goes with the losses, and names are checked."""

import pytest

from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import INVARIANTS, chosen, factors, invariants_of
from xentcheck.model import LabelKind, Layout, Quantity

CE = LabelKind.INTEGER


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_invariants_that_fit_its_shapes(loss: str) -> None:
    spec = LOSSES[loss]
    own = invariants_of(loss)
    assert len(own) > 1
    for each in own:
        assert each.layout in (None, spec.layout), each.name
        assert each.per_class in (None, spec.per_class), each.name
        assert not each.labels or set(each.labels) & set(spec.label_kinds), each.name


def test_signs_are_declared_where_the_loss_says_so() -> None:
    for loss, spec in LOSSES.items():
        names = {each.name for each in invariants_of(loss)}
        bounded = {"nonnegative", "almost-nonnegative", "probability"} & names
        assert bool(bounded) == (spec.nonnegative or loss in ("sigmoid", "softplus")), loss


def test_every_invariant_belongs_to_a_loss_and_says_what_rounding_explains() -> None:
    having = {each.name for loss in LOSSES for each in invariants_of(loss)}
    assert having == set(INVARIANTS)
    for each in INVARIANTS.values():
        assert each.says.endswith(".")
        assert each.allowance.startswith("nothing" if not each.most else "16 roundings")
        assert set(each.quantities) <= set(Quantity)


@pytest.mark.parametrize(
    ("name", "parameters", "kind", "fits"),
    [
        ("shift", {}, CE, True),
        ("shift", {"z_loss": 0.0}, CE, True),
        ("shift", {"z_loss": 1e-4}, CE, False),  # z_loss · lse² grows with a shift
        ("decreasing", {"label_smoothing": 0.1}, CE, False),  # smallest at a finite gap
        ("decreasing", {}, LabelKind.DISTRIBUTION, False),
        ("reflection", {"pos_weight": 2.0}, LabelKind.TARGET, False),
        ("reflection", {"alpha": 0.5}, LabelKind.TARGET, True),
        ("reflection", {"alpha": 0.25}, LabelKind.TARGET, False),
        ("one-hot", {}, LabelKind.DISTRIBUTION, False),
    ],
)
def test_parameters_and_labels_take_invariants_away(
    name: str, parameters: dict[str, float], kind: LabelKind, *, fits: bool
) -> None:
    assert INVARIANTS[name].goes_with(parameters, kind) is fits


def test_roundings_grow_with_the_square_root_of_the_number_of_terms() -> None:
    # 16, and 2 for each of sqrt(n - 1)
    assert INVARIANTS["permutation"].allowed(1) == 16.0
    assert INVARIANTS["permutation"].allowed(101) == 36.0
    assert INVARIANTS["nonnegative"].allowed(101) == 0.0


def test_weights_temperature_and_the_focal_exponent_scale_a_row() -> None:
    assert factors({}) == (1.0, 1.0)
    assert factors({"weight": (0.5, 3.0), "temperature": 0.25}) == (3.0, 4.0)
    assert factors({"pos_weight": 5.0}) == (5.0, 1.0)
    assert factors({"gamma": 2.0}) == (3.0, 1.0)


def test_names_are_checked() -> None:
    assert chosen(("shift", "permutation", "shift")) == ("shift", "permutation")
    assert chosen(("none",)) == ()
    with pytest.raises(UnknownNameError, match="unknown invariant 'shfit'; did you mean 'shift'"):
        chosen(("shfit",))
    with pytest.raises(UsageError, match="none goes alone"):
        chosen(("none", "shift"))
    with pytest.raises(UsageError, match="sigmoid does not have the invariant shift"):
        chosen(("shift",), "sigmoid")


def test_an_elementwise_invariant_is_about_elementwise_losses_only() -> None:
    of_elements = {name for name, each in INVARIANTS.items() if each.layout is Layout.ELEMENTWISE}
    assert of_elements == {"reflection", "complement"}
