"""How the arrays of a loss are shaped. Rooms that need a shape ask the loss, not the logits.

The first argument of a block has shape (rows, ...). The shapes of everything else follow from it
and from the parameters: a loss of hidden states has as many classes as its weights have rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from xentcheck.model import Quantity

Shape: TypeAlias = tuple[int, ...]
Parameters: TypeAlias = Mapping[str, Any]


def _last_axis(first: Shape, _: Parameters) -> int:
    return first[-1] if len(first) > 1 else 1


def _one_per_row(first: Shape, _: Parameters) -> Shape:
    return first[:1]


def _as_the_first(first: Shape, _: Parameters) -> Shape:
    return first


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of a loss, each made from that of the first argument and from the parameters.

    Attributes:
        classes: how many classes a label can name; 1 where there are none.
        value: the shape of the value of a block, without a reduction.
        gradients: the shape of each gradient of a block, by its quantity.
    """

    classes: Callable[[Shape, Parameters], int] = _last_axis
    value: Callable[[Shape, Parameters], Shape] = _one_per_row
    gradients: tuple[tuple[Quantity, Callable[[Shape, Parameters], Shape]], ...] = (
        (Quantity.GRADIENT, _as_the_first),
    )

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What of the loss is scored: its value and every gradient."""
        return (Quantity.VALUE, *(quantity for quantity, _ in self.gradients))

    def of(self, quantity: Quantity, first: Shape, parameters: Parameters) -> Shape:
        """The shape of a quantity of a block, without a reduction."""
        if quantity is Quantity.VALUE:
            return self.value(first, parameters)
        return dict(self.gradients)[quantity](first, parameters)


ONE_PER_ROW = Shapes()
ONE_PER_CLASS = Shapes(value=_as_the_first)
