"""One exact result: which component of which row of which case."""

from dataclasses import dataclass

from xentcheck.model import Case, Quantity


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One result of a case.

    Attributes:
        case: the block of rows.
        row: index of the row in the block. The value of a reduction is that of the block.
        quantity: the value or a gradient.
        index: the component of a gradient, or of a value per class. None: a value per row.
    """

    case: Case
    row: int
    quantity: Quantity
    index: int | None = None

    @property
    def component(self) -> int:
        """The component; 0 for a value per row."""
        return self.index or 0
