"""Checks the worst row of each printed line against the textbook definition of the loss."""

from collections.abc import Callable

from xentcheck.errors import UncertifiedError
from xentcheck.execution import Death, run_tasks
from xentcheck.measurement import Candidate, content, gravity
from xentcheck.model import Cell, Quantity
from xentcheck.reference import confirm


class Confirmation:
    """Remembers the worst rows and confirms their exact results.

    Attributes:
        confirmed: number of rows for which the definition gives the same result.
        beyond: number of rows for which the definition cannot be evaluated.
        failures: messages about rows for which it gives another result.
    """

    def __init__(self) -> None:
        self.confirmed = 0
        self.beyond = 0
        self.failures: list[str] = []
        self._worst: dict[tuple[str, ...], tuple[float, Quantity, Candidate]] = {}

    def remember(self, cell: Cell, shown: Candidate) -> None:
        """Keep the row if it is the worst of its line in the printed table."""
        line = cell.line
        error = gravity(shown.ulp_error)
        if line not in self._worst or error > self._worst[line][0]:
            self._worst[line] = (error, cell.quantity, shown)

    def run(self, workers: int, deaths: list[str]) -> bool:
        """Confirm all remembered rows. Returns whether it was interrupted.

        Args:
            workers: number of processes.
            deaths: messages about workers that died are added here.
        """
        unique = {
            (*content(shown.case), quantity, shown.position): (quantity, shown)
            for _, quantity, shown in self._worst.values()
        }

        def again(death: Death[tuple[Quantity, Candidate]]) -> tuple[Quantity, Candidate]:
            if death.attempt == 1:
                deaths.append(f"a worker died of {death.how}, confirming; it was done again")
                return death.task
            message = f"a worker died of {death.how} while a worst row was confirmed"
            raise UncertifiedError(message)

        try:
            with run_tasks(_confirmed, unique.values(), workers, again) as results:
                for _, (confirmed, wrong) in results:
                    self.confirmed += confirmed
                    self.beyond += not confirmed and not wrong
                    self.failures += [wrong] if wrong else []
        except KeyboardInterrupt:
            return True
        return False


def _confirmed(task: tuple[Quantity, Candidate], tell: Callable[[str], None]) -> tuple[bool, str]:
    """Whether the definition gives the same result, and the error message or ""."""
    tell("the reference")
    quantity, shown = task
    try:
        return confirm(shown.case, shown.row, (quantity, shown.index or 0)), ""
    except UncertifiedError as error:
        return False, str(error)
