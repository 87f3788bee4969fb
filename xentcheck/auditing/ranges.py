"""Searches where implementations keep their grades, after an audit; a task for each function."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xentcheck.auditing.step import Step
from xentcheck.execution import Death, run_tasks
from xentcheck.model import LabelKind, SafeRange, Skip, function_for
from xentcheck.searching.axes import Setting
from xentcheck.searching.ranges import BUDGET, obstacle, safe_ranges
from xentcheck.searching.series import Budget


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One function to search, with at most ``budget`` calls; ``lost`` says why it is given up."""

    setting: Setting
    budget: int = BUDGET
    lost: str = ""


@dataclass(slots=True)
class Ranges:
    """The ranges of all functions of an audit.

    Attributes:
        found: the ranges, in the order of the steps.
        skips: what was left out, with the reason.
    """

    found: list[SafeRange] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    def run(self, steps: Sequence[Step], workers: int, deaths: list[str]) -> bool:
        """Search the ranges of every function of some steps.

        Args:
            steps: the steps of the audit.
            workers: number of processes.
            deaths: messages about workers that died are added here.

        Returns:
            Whether it was interrupted.
        """
        asked = list(settings(steps))
        tasks = [Task(setting) for setting in asked]

        def again(death: Death[Task]) -> Task:
            setting = death.task.setting
            name = f"{setting.quantity} of {setting.implementation.name} in {setting.dtype}"
            died = f"a worker died of {death.how}, searching the ranges of the {name}"
            if death.attempt == 1:
                deaths.append(f"{died}; it was done again")
                return death.task
            deaths.append(f"{died} again; it was given up")
            return replace(death.task, lost=f"a worker died of {death.how}")

        try:
            with run_tasks(_searched, tasks, workers, again, shared=asked) as results:
                for position, (found, left_out) in results:
                    self.found += found
                    setting = tasks[position].setting
                    self.skips += [
                        Skip(
                            f"ranges: {reason}",
                            setting.loss.id,
                            setting.implementation.name,
                            setting.dtype,
                            setting.quantity.value,
                        )
                        for reason in left_out
                    ]
        except KeyboardInterrupt:
            return True
        return False


def settings(steps: Sequence[Step]) -> Iterator[Setting]:
    """What to ask: each function and dtype once, with the first labels and parameters it has."""
    seen = set()
    for step in steps:
        sweep, loss = step.sweep, step.loss
        kind: LabelKind = sweep.label_kind or loss.label_kinds[0]
        parameters: dict[str, Any] = {
            name: values[0] for name, values in sweep.parameters.items() if values[0] is not None
        }
        for implementation in step.chosen:
            for quantity in sweep.quantities:
                key = (loss.id, implementation.name, step.dtype, quantity)
                missing = function_for(implementation, quantity) is None
                if key in seen or missing or step.dtype not in implementation.dtypes:
                    continue
                seen.add(key)
                yield Setting(
                    implementation, step.dtype, quantity, kind, parameters, sweep.integers
                )


def _searched(
    task: Task, tell: Callable[[str], None]
) -> tuple[tuple[SafeRange, ...], tuple[str, ...]]:
    reason = task.lost or obstacle(task.setting)
    if reason:
        return (), (reason,)
    return safe_ranges(task.setting, Budget(task.budget), tell)
