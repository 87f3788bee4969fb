"""The interface of a task scheduler, independent of where the tasks run."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

Task = TypeVar("Task")


Result = TypeVar("Result")


_Self = TypeVar("_Self", bound="Run[Any]")


Tell: TypeAlias = Callable[[str], None]
"""Reports in one line what a worker is about to do; `Death` shows it when the worker dies."""


Work: TypeAlias = Callable[[Task, Tell], Result]


@dataclass(frozen=True, slots=True)
class Death(Generic[Task]):
    """A worker that died.

    `task` is the task it was doing, `note` the last line it reported ("": nothing), `how` the way
    it ended ("signal 11 (SIGSEGV)", "exit status 3"). `attempt` is 1 the first time a worker died
    at this position.
    """

    task: Task
    note: str
    how: str
    attempt: int


class Run(Iterator[tuple[int, Result]]):
    """Running tasks: an iterator over (position, result) in the order of the tasks.

    **Ctrl-C inside the iterator.** The first one stops handing out tasks. The tasks in flight
    finish, their results come in order, then the iterator raises KeyboardInterrupt. Positions are
    left out whose tasks were not handed out. A second
    Ctrl-C, or one after `drain`, kills the workers and raises at once. This applies only in the
    main thread, and only while SIGINT has Python's own handler; another handler stays in charge.

    **Ctrl-C in the consumer.** There it is an ordinary KeyboardInterrupt, and the run is unchanged.
    The consumer can leave: closing the run kills the workers. Or it can call `drain` and go on
    iterating, to get the results of the tasks in flight. `drain` does nothing on a finished run, so
    one handler serves both places::

        with run(work, tasks, workers, again) as results:
            interrupted = False
            while True:
                try:
                    for position, result in results:
                        ...
                    break
                except KeyboardInterrupt:
                    interrupted = True
                    results.drain()

    With one worker no task is in flight: KeyboardInterrupt ends the run where it occurs.

    No worker survives the end of the ``with`` block, `close`, an error or the end of the last
    reference. If the parent is killed, a worker exits the next time it contacts the parent: at once
    when idle, otherwise when it reports a note or finishes its task.
    """

    @abstractmethod
    def drain(self) -> None:
        """Hand out no further task; results of tasks in flight still come, then the run ends."""

    @abstractmethod
    def close(self) -> None:
        """Kill the workers, wait until they are gone, and end the iterator."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
