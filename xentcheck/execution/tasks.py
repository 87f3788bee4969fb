"""What a scheduler of tasks has to do, whoever does them where."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

Task = TypeVar("Task")


Result = TypeVar("Result")


_Self = TypeVar("_Self", bound="Run[Any]")


Tell: TypeAlias = Callable[[str], None]
"""Says, in one line, what a worker is about to do; it is read when the worker dies."""


Work: TypeAlias = Callable[[Task, Tell], Result]


@dataclass(frozen=True, slots=True)
class Death(Generic[Task]):
    """A worker that died.

    ``task`` is what it was doing, ``note`` the last thing it told ("": nothing), ``how`` its end
    ("signal 11 (SIGSEGV)", "exit status 3"). ``attempt`` is 1 the first time this position died.
    """

    task: Task
    note: str
    how: str
    attempt: int


class Run(Iterator[tuple[int, Result]]):
    """Tasks under way: an iterator over (position, result), in the order of the tasks.

    **Ctrl-C inside the iterator.** The first one stops the handing out; the tasks in flight finish,
    their results come in order, then KeyboardInterrupt is raised. A second one, or one after
    `drain`, kills the workers and raises at once. This is so in the main thread and where SIGINT
    has Python's own handler; another handler stays in charge.

    **Ctrl-C in the consumer.** It is an ordinary KeyboardInterrupt there, and the run is as it was.
    The consumer either leaves, and closing the run kills the workers, or calls `drain` and goes on
    iterating to get what is in flight. `drain` does nothing on a run that is over, so one handler
    serves both places::

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

    With one worker there is nothing in flight: KeyboardInterrupt ends the run where it lands.

    Leaving the ``with`` block, `close`, an error and the end of the last reference all leave no
    worker behind. When the parent is killed, a worker leaves as soon as it next turns to it: at
    once when idle, else when it tells something or its task is done.
    """

    @abstractmethod
    def drain(self) -> None:
        """Hand out no further task. What is in flight still comes, then the iterator ends."""

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
