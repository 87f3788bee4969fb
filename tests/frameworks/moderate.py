"""Ordinary inputs for everything that an implementation declares, and the exact results.

On them nothing overflows, cancels or is clipped, so that every implementation, whatever its
faults, has to give the textbook's numbers to a few roundings.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from xentcheck.floats import from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Case, Domain, Implementation, LabelKind, Layout, Quantity
from xentcheck.reference import exact

ROWS, CLASSES, IGNORED = 8, 5, 2
SLACK = {"float16": 1e-2, "bfloat16": 6e-2, "float32": 4e-6, "float64": 1e-13}
SETTINGS: dict[str, tuple[Any, ...]] = {
    "alpha": (0.25,),
    "base": ("2", "10"),
    "gamma": (1.5,),
    "ignore_index": (IGNORED,),
    "label_smoothing": (0.125,),
    "log_target": (True,),
    "pos_weight": (2.5,),
    "reduction": ("mean", "sum"),
    "weight": ("array",),
}


def cases(
    implementation: Implementation,
    *,
    targets: Iterable[float] = (0.0, 1.0, 0.25, 0.5),
    always: Mapping[str, Any] | None = None,
) -> Iterator[Case]:
    """A case for every declared dtype and kind of label, alone and with each parameter's values.

    ``always`` are parameters that every case has.

    Raises:
        KeyError: a parameter is declared for which nothing is set above.
    """
    loss, chosen, fixed = implementation.loss, tuple(targets), dict(always or {})
    for dtype in implementation.dtypes:
        for kind in implementation.label_kinds:
            yield _case(loss, dtype, kind, fixed, chosen)
            for name in sorted(implementation.parameters):
                parameter = LOSSES[loss].parameter(name)
                assert parameter is not None
                if parameter.label_kinds and kind not in parameter.label_kinds:
                    continue
                for setting in SETTINGS[name]:
                    yield _case(loss, dtype, kind, {**fixed, name: setting}, chosen)


def _case(
    loss: str, dtype: str, kind: LabelKind, settings: dict[str, Any], targets: tuple[float, ...]
) -> Case:
    rng = np.random.default_rng(7)
    spec = LOSSES[loss]
    shape = (ROWS,) if spec.layout is Layout.ELEMENTWISE else (ROWS, CLASSES)
    p = rng.uniform(0.1, 0.9, ROWS) if len(shape) == 1 else rng.dirichlet(np.full(CLASSES, 3), ROWS)
    logits = {
        Domain.LOGITS: rng.uniform(-3, 3, shape),
        Domain.PROBABILITIES: p,
        Domain.LOG_PROBABILITIES: np.log(p),
    }[spec.domain]
    labels: Array | None = None
    if kind is LabelKind.INTEGER:
        labels = np.arange(ROWS) % CLASSES
    elif kind is LabelKind.DISTRIBUTION:
        weights = rng.dirichlet(np.full(CLASSES, 3), ROWS)
        labels = from_float64(np.log(weights) if "log_target" in settings else weights, dtype)
    elif kind is LabelKind.TARGET:
        labels = from_float64(np.resize(np.array(targets), ROWS), dtype)
    parameters = {
        name: from_float64(rng.uniform(0.5, 2, CLASSES), dtype) if setting == "array" else setting
        for name, setting in settings.items()
    }
    return Case(
        "moderate", "moderate", loss, dtype, from_float64(logits, dtype), kind, labels, parameters
    )


def called(implementation: Implementation, case: Case, quantity: Quantity) -> Array:
    """What an implementation returns, once it is seen that it wrote into none of its arguments."""
    function = implementation.value if quantity is Quantity.VALUE else implementation.gradient
    assert function is not None
    unlabelled = LOSSES[case.loss].per_class and quantity is Quantity.VALUE
    given = [case.logits] if case.labels is None or unlabelled else [case.logits, case.labels]
    arrays = [*given, *(each for each in case.parameters.values() if isinstance(each, np.ndarray))]
    before = [each.tobytes() for each in arrays]
    result = function(*given, **case.parameters)
    assert [each.tobytes() for each in arrays] == before
    assert isinstance(result, np.ndarray)
    return result


def assert_textbook(
    implementation: Implementation, case: Case, quantity: Quantity, slack: float = 0.0
) -> None:
    """Hold a result against the exact one, to a few roundings of the input's dtype or ``slack``."""
    whole = exact(case)
    wanted = (whole.value if quantity is Quantity.VALUE else whole.gradient).midpoints()
    actual = called(implementation, case, quantity)
    assert actual.shape == wanted.shape
    slack = slack or SLACK[case.dtype]
    np.testing.assert_allclose(
        to_float64(actual),
        wanted,
        rtol=slack,
        atol=slack * max(1.0, float(np.abs(wanted).max())),
        err_msg=f"{implementation.name} {case.dtype} {dict(case.parameters)}",
    )
