"""One audit of many fixtures with the standard sweep of `xentcheck check`."""

import glob
from collections.abc import Sequence
from dataclasses import replace

from tests.faults.catalogue import Fixture, target
from xentcheck.losses import LOSSES
from xentcheck.model import Config, Limit, Target
from xentcheck.sweeps import standard_sweeps


def name_of(fixture: Fixture) -> str:
    """The name of a fixture in reports."""
    return f"{fixture.id} {fixture.function}"


def group_of(fixture: Fixture) -> tuple[object, ...]:
    """Fixtures that differ only in their functions are audited together: they share references."""
    kind = fixture.label_kind or LOSSES[fixture.loss].label_kinds[0]
    return (fixture.loss, kind, tuple(sorted(fixture.parameters.items())))


def config_of(
    fixtures: Sequence[Fixture], holding: Sequence[Fixture], limits: Sequence[Limit]
) -> Config:
    """What `xentcheck check` would audit of each fixture of one group, in each of its dtypes.

    Args:
        fixtures: fixtures of one group.
        holding: fixtures that have to hold on rows of 65,540 classes, if there are such rows.
        limits: the limits.
    """
    first = fixtures[0]
    loss = LOSSES[first.loss]
    kind = first.label_kind or loss.label_kinds[0]
    axes = {name: (value,) for name, value in first.parameters.items()}
    sweeps = []
    for dtype in dict.fromkeys(dtype for each in fixtures for dtype in each.dtypes):
        here = [each for each in fixtures if dtype in each.dtypes]
        # Rows of 65,540 classes take longer than all others; most fixtures have no need of them.
        wide = any(each.wide for each in here)
        for sweep in standard_sweeps(loss, (dtype,), kind, axes):
            chosen = here
            if sweep.name.startswith("wide"):
                chosen = [each for each in here if wide and (each.wide or each in holding)]
            if chosen:
                names = tuple(glob.escape(name_of(each)) for each in chosen)
                sweeps.append(replace(sweep, implementations=names))
    return Config(
        sweeps=tuple(sweeps),
        limits=tuple(limits),
        targets=tuple(
            Target(
                each.loss,
                target(each.value),
                name_of(each),
                None if each.gradient is None else target(each.gradient),
                each.bound,
            )
            for each in fixtures
        ),
    )
