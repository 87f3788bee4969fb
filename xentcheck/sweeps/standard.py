"""The standard sweep of ``check``: a few hundred rows of every kind that can show a fault.

Elementwise losses also get every value of each 16-bit dtype.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from xentcheck.floats import FORMATS
from xentcheck.losses.spec import Loss
from xentcheck.model import Domain, InputSpec, LabelKind, Layout, Sweep, reduces
from xentcheck.sweeps.crossing import ZEROS

EXHAUSTED_BITS = 16
BASES = (0.7, -17.69, 61.3)  # logits; above these bases no gap but 0 rounds to nothing
VOCABULARY = 65_540  # classes; a float16 sum of this many ones overflows
LONG = (1, 2, 255, 257, 4095, 4097, 65_537, 100_000)
"""Row counts of the long reductions. They lie next to the largest count that 8, 11 or 16 bits, or a
chunk, can hold."""


def standard_sweeps(
    loss: Loss,
    dtypes: Sequence[str],
    label_kind: LabelKind | None = None,
    parameters: Mapping[str, tuple[Any, ...]] | None = None,
    targets: str | None = None,
    *,
    integers: bool = False,
) -> tuple[Sweep, ...]:
    """Return the sweeps that together audit a loss.

    * ``ordinary``: drawn logits of up to 1000 classes, and a climb from the worst of them. For
      elementwise losses also thresholds of the implementation.
    * ``extreme``: boundary values, gaps through p→1, offsets, ties, rows far below zero, rows of
      mixed scale.
    * ``zeros``: rows next to zeros of the result, for losses that have such zeros.
    * ``masked``: −inf at some classes; for losses of rows.
    * ``special``: infinities and NaN.
    * ``wide`` and ``wide-peak``: a few rows of more than 65,536 classes; for losses of rows.
    * ``long``: up to 100,000 rows, if the parameters have a reduction.
    * ``exhaustive``: every value of each 16-bit dtype; for elementwise losses. Targets, if the loss
      has any, are 0 and 1.

    Args:
        loss: the loss to audit.
        dtypes: names of the formats. A sweep leaves out those that it is not made for.
        label_kind: kind of the labels; None: the first kind of the loss.
        parameters: the axis of values of each parameter, by name.
        targets: the targets of all sweeps; None: each sweep has its own. See `chosen_labels`.
        integers: give the targets to the implementation as int64.
    """
    elementwise = loss.layout is Layout.ELEMENTWISE
    plan = _elementwise(loss) if elementwise else _rows(loss.domain)
    if targets is None and (loss.id, label_kind or loss.label_kinds[0]) in ZEROS:
        # the zeros have their own labels, and most of these are soft
        plan.append(("zeros", "all", [("zero-crossing", {"rows": 32 if elementwise else 8})]))
    reductions = (parameters or {}).get("reduction", ())
    if any(reduces({"reduction": each}) for each in reductions if each is not None):
        plan.append(("long", "all", [("cycle", {"rows": LONG, "classes": (3,)})]))
    return tuple(
        Sweep(
            name=name,
            losses=(loss.id,),
            dtypes=fitting,
            inputs=tuple(InputSpec(generator, options) for generator, options in inputs),
            label_kind=label_kind,
            targets=own if targets is None else targets,
            parameters=dict(parameters or {}),
            integers=integers,
        )
        for name, own, inputs in plan
        if (fitting := _fitting(name, loss.domain, dtypes))
    )


def _fitting(name: str, domain: Domain, dtypes: Sequence[str]) -> tuple[str, ...]:
    """Return the dtypes that a sweep is made for.

    ``exhaustive`` takes 16-bit dtypes only. ``masked`` needs an infinity, because log 0 is −inf.
    """
    if name == "exhaustive":
        return tuple(dtype for dtype in dtypes if FORMATS[dtype].bits == EXHAUSTED_BITS)
    if name != "masked" or domain is Domain.PROBABILITIES:
        return tuple(dtypes)
    return tuple(dtype for dtype in dtypes if FORMATS[dtype].has_infinity)


_Plan = list[tuple[str, str, list[tuple[str, dict[str, Any]]]]]


def _special(domain: Domain, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    kinds = ("nan",) if domain is Domain.PROBABILITIES else ("infinite", "nan")
    return [("boundary", {"special": kind, **options}) for kind in kinds]


def _elementwise(loss: Loss) -> _Plan:
    domain = loss.domain
    targets = "ends" if LabelKind.TARGET in loss.label_kinds else "all"
    extreme: list[tuple[str, dict[str, Any]]] = [
        ("boundary", {}),
        ("gap", {"from": -120.0, "to": 120.0, "points": 241}),
        ("gap", {"from": -40.125, "to": 40.125, "points": 108}),
        ("ulp-uniform", {"rows": 128}),
        ("mixed-scale", {"rows": 32}),
    ]
    if domain is Domain.LOGITS:
        extreme += [
            ("gap", {"from": -750.0, "to": 750.0, "points": 61}),
            ("gap", {"from": 1e-30, "to": 1.0, "points": 16, "spacing": "log"}),
            ("low", {}),
        ]
    else:
        extreme += [("ulp-uniform", {"from": 0.5, "to": 1.0, "rows": 32})]
    return [
        (
            "ordinary",
            "all",
            [
                ("normal", {"scale": (1.0, 10.0), "rows": 64}),
                ("uniform", {"scale": (30.0, 104.0), "rows": 64}),
                ("threshold", {}),
                ("climb", {}),
            ],
        ),
        ("extreme", "all", extreme),
        ("special", "all", _special(domain)),
        ("exhaustive", targets, [("exhaustive", {"special": "all"})]),
    ]


def _rows(domain: Domain) -> _Plan:
    extreme: list[tuple[str, dict[str, Any]]] = [
        ("boundary", {"classes": (1,)}),
        ("boundary", {"classes": (2,), "patterns": ("zeros", "equal", "neighbour")}),
        ("boundary", {"classes": (3,), "patterns": ("ordinary",)}),
        ("ties", {"classes": (2, 3), "values": (0.0, 1.0, -20.0)}),
        ("gap", {"from": -40.0, "to": 40.0, "points": 81}),
        ("gap", {"from": -120.0, "to": 120.0, "points": 41, "classes": (3,), "base": 1.5}),
        ("ulp-uniform", {"classes": (2, 3), "rows": 24}),
        ("mixed-scale", {"classes": (5, 8), "rows": 12}),
        # float16 cannot hold a sum of 32 times e^7.7
        ("equal", {"classes": (32,), "values": (0.0, 7.7, 11.0, -11.0)}),
    ]
    if domain is Domain.LOGITS:
        extreme += [
            ("gap", {"from": -750.0, "to": 750.0, "points": 31}),
            ("gap", {"from": -104.3, "to": 104.3, "points": 29, "classes": (3,), "base": BASES}),
            ("gap", {"from": -104.3, "to": 104.3, "points": 29, "classes": (5,), "base": 17.69}),
            ("offset", {}),
        ]
    if domain is not Domain.PROBABILITIES:
        extreme.append(("low", {}))
    few = (1, 2, 3, 5, 8, 10)
    return [
        (
            "ordinary",
            "all",
            [
                ("normal", {"scale": (1.0, 10.0), "classes": few, "rows": 6}),
                ("uniform", {"scale": (90.0,), "classes": (2, 3, 5, 10), "rows": 12}),
                ("exponential", {"scale": (3.0, -30.0), "classes": (5,), "rows": 3}),
                ("normal", {"scale": (3.0,), "classes": (129,), "rows": 2}),
                ("uniform", {"scale": (8.0,), "classes": (1000,), "rows": 1}),
                ("climb", {}),
            ],
        ),
        ("extreme", "all", extreme),
        ("masked", "all", [("masked", {"classes": (2, 3, 5, 10)})]),
        ("special", "all", _special(domain, classes=(1, 2, 3))),
        (
            "wide",
            "random",
            [
                ("wide", {"classes": (VOCABULARY,)}),
                ("equal", {"classes": (VOCABULARY,)}),
            ],
        ),
        ("wide-peak", "argmax", [("wide", {"classes": (VOCABULARY,), "peak": 20.0})]),
    ]
