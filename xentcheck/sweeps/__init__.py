"""Generators of inputs, and the cases that a sweep makes from them.

A module of this package is imported when one of its names is first asked for.
"""

from typing import TYPE_CHECKING

from xentcheck.deferred import names_of

if TYPE_CHECKING:
    from xentcheck.sweeps.assembly import (
        Part,
        adaptive_inputs,
        cases,
        divided,
        fitted,
        inapplicable,
        parts,
    )
    from xentcheck.sweeps.catalogue import GENERATORS
    from xentcheck.sweeps.counting import RowCount
    from xentcheck.sweeps.generator import Generator
    from xentcheck.sweeps.labels import CHOICES, chosen_labels
    from xentcheck.sweeps.recorded import recorded_dtype, recorded_labels
    from xentcheck.sweeps.standard import standard_sweeps
else:
    __getattr__ = names_of(
        __name__,
        {
            "assembly": "Part adaptive_inputs cases divided fitted inapplicable parts",
            "catalogue": "GENERATORS",
            "counting": "RowCount",
            "generator": "Generator",
            "labels": "CHOICES chosen_labels",
            "recorded": "recorded_dtype recorded_labels",
            "standard": "standard_sweeps",
        },
    )

__all__ = [
    "CHOICES",
    "GENERATORS",
    "Generator",
    "Part",
    "RowCount",
    "adaptive_inputs",
    "cases",
    "chosen_labels",
    "divided",
    "fitted",
    "inapplicable",
    "parts",
    "recorded_dtype",
    "recorded_labels",
    "standard_sweeps",
]
