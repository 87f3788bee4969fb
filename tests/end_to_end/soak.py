"""Every loss, dtype, generator and parameter under limits that depend on conditioning.

A fast tier and mpmath have to be of one opinion of every kind that is shown, and every enclosure
has to be certified. ``python -m tests.end_to_end.soak --rows 2000000`` runs until that many rows
are through.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from xentcheck.auditing.run import audit
from xentcheck.floats import FORMATS
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    ADAPTIVE,
    Config,
    InputSpec,
    LabelKind,
    Layout,
    Limit,
    Report,
    Sweep,
    Tolerance,
)
from xentcheck.sweeps import GENERATORS

VALUES: Mapping[str, Any] = {
    "temperature": 0.3,
    "label_smoothing": 0.1,
    "z_loss": 1e-3,
    "ignore_index": 0,
    "weight": "zeros-some",
    "noise": "gumbel",
    "pos_weight": 3.0,
    "alpha": 0.25,
    "gamma": 1.5,
    "base": "2",
    "log_target": True,
}
"""A value for each parameter, beside its default."""

LIMITS = (
    Tolerance(max_ulp=4, times_condition=True),
    Tolerance(max_ulp=4, or_excess_bits=2),
    Tolerance(max_ulp=1, max_excess_bits=3, or_abs=1e-12),
    Tolerance(max_ulp=0.5, or_rel=1e-9, times_condition=True, p99_ulp=2),
)

WITHOUT = frozenset({"explicit", "recorded", "exhaustive", "wide"})
"""Generators that need something else, or whose rows are too many."""


def configurations(
    seed: int,
    rows: int,
    losses: tuple[str, ...] = (),
    dtypes: tuple[str, ...] = tuple(FORMATS),
    *,
    searching: bool = True,
) -> Iterator[Config]:
    """One for each loss, kind of labels and set of parameters, with every generator.

    Args:
        seed: of everything that is drawn; it also chooses among `LIMITS`.
        rows: of each drawn input.
        losses: all of them unless some are named.
        dtypes: in which of them.
        searching: with the generators that search, which take most of the time.
    """
    number = seed
    for loss in LOSSES.values():
        if losses and loss.id not in losses:
            continue
        for kind in loss.label_kinds:
            for parameters in _parameters(loss, kind):
                limits = (Limit(LIMITS[number % len(LIMITS)], path="limits[0]"),)
                number += 1
                sweep = _sweep(loss, kind, parameters, rows, dtypes)
                if not searching:
                    inputs = (each for each in sweep.inputs if each.generator not in ADAPTIVE)
                    sweep = replace(sweep, inputs=tuple(inputs))
                yield Config((sweep,), limits, seed=seed)


def _parameters(loss: Loss, kind: LabelKind) -> Iterator[Mapping[str, Any]]:
    """None, each one alone, all together, and each reduction."""
    names = [
        each.name
        for each in loss.parameters
        if each.name != "reduction" and (not each.label_kinds or kind in each.label_kinds)
    ]
    yield {}
    yield from ({name: VALUES[name]} for name in names)
    if len(names) > 1:
        yield {name: VALUES[name] for name in names}
    if loss.parameter("reduction") is not None:
        yield {"reduction": "mean"}
        yield {"reduction": "sum", **{name: VALUES[name] for name in names[:1]}}


def _sweep(
    loss: Loss, kind: LabelKind, parameters: Mapping[str, Any], rows: int, dtypes: tuple[str, ...]
) -> Sweep:
    inputs = []
    for generator in GENERATORS.values():
        known = {option.name for option in generator.options}
        if generator.name in WITHOUT or loss.layout not in generator.layouts:
            continue
        options: dict[str, Any] = {}
        if "rows" in known:
            options["rows"] = rows
        if "classes" in known and loss.layout is Layout.ROWS:
            options["classes"] = (2, 5)
        if "special" in known:
            options["special"] = "all"
        if generator.name == "grid":
            options |= {"classes": (2,)}
        if generator.name == "boundary" and loss.layout is Layout.ROWS:
            options |= {"classes": (2,), "patterns": ("zeros",)}
        inputs.append(InputSpec(generator.name, options))
    return Sweep(
        name="soak",
        losses=(loss.id,),
        dtypes=dtypes,
        inputs=tuple(inputs),
        label_kind=kind,
        targets="random",
        parameters={name: (value,) for name, value in parameters.items()},
    )


def wrong(report: Report) -> list[str]:
    """What a report says against the instrument itself."""
    found = list(report.uncertified)
    if failed := report.reference["confirmations_failed"]:
        found.append(f"{failed} confirmations failed")
    return found


def main() -> int:
    """Run until enough rows are through; exit status 1 when something is wrong."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=2_000_000, help="how many in all")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--drawn", type=int, default=64, help="rows of each drawn input")
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--no-search", action="store_true", help="without climb and threshold")
    arguments.add_argument("--loss", default="", help="only these, separated by commas")
    given = arguments.parse_args()
    losses = tuple(filter(None, given.loss.split(",")))
    began, rows, scored, bad, seed = time.monotonic(), 0, 0, 0, given.seed
    while rows < given.rows:
        searching = not given.no_search
        for config in configurations(seed, given.drawn, losses, searching=searching):
            report = audit(config, workers=given.workers)
            rows += report.reference["rows"]
            scored += sum(each.rows for each in report.measurements)
            sys.stderr.write(f"\r{config.sweeps[0].losses[0]}: {rows:,} rows")
            for text in wrong(report):
                bad += 1
                where = f"{config.sweeps[0]} {config.limits[0].tolerance}"
                sys.stdout.write(f"{where}\n  {text}\n")
            if rows >= given.rows:
                break
        seed += 1
    took = time.monotonic() - began
    sys.stdout.write(f"{rows:,} rows, scored {scored:,} times, in {took:.0f} s: {bad} wrong\n")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
