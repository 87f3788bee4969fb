"""Run tasks on worker processes, one task at a time each; a dying worker loses only its own task.

`run` yields the results in the order of the tasks. The parent talks to each worker over a separate
pipe. So it always knows which task a dead worker lost and what that worker was about to do. This
module starts no threads.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic

from xentcheck.errors import ending
from xentcheck.execution import hosts
from xentcheck.execution.tasks import Death, Result, Run, Task, Work
from xentcheck.execution.worker import ENDS, Busy, Raised, Told, packed, serve, unsendable

AHEAD = 16
"""Limit on tasks that are handed out or have a waiting result, in tasks per worker."""

LOOK_S = 0.5
"""Seconds between checks that workers live: a child of a dead worker can hold its pipe open."""


def run(
    work: Work[Task, Result],
    tasks: Iterable[Task],
    workers: int,
    again: Callable[[Death[Task]], Task],
    shared: Sequence[object] = (),
    alike: Callable[[Task], Hashable] | None = None,
) -> Run[Result]:
    """Do every task on ``workers`` processes.

    Args:
        work: does one task. It may be a closure where processes fork. Where they do not fork and it
            does not pickle, everything runs in this process.
        tasks: taken one at a time, when a worker is free for it, or ahead with ``alike``. At most
            ``AHEAD * workers`` are out at a time, so the iterable may be very long. Tasks and
            results must pickle.
        workers: number of processes, at least 1. With 1, all tasks run in order in this process and
            ``tell`` does nothing. Never more processes run than there are tasks or file
            descriptors.
        again: called when a worker died; returns the task to do instead, at the same position and
            on a fresh worker. An exception from it ends the run at once.
        shared: objects that many tasks have in common. A worker gets them at its start, so they are
            not sent with every task. They need not pickle where processes fork.
        alike: what tasks have in common that are better done by one worker, because its frameworks
            have compiled programs for them. A worker takes the tasks of others only when it would
            be idle otherwise. None: tasks are handed out in order.

    Returns:
        An iterator over the results. Each comes as soon as it and all before it are there.

    Raises:
        ValueError: ``workers`` is below 1.

    While iterating: an exception from ``work`` or ``tasks`` is raised at its position and ends the
    run. A worker's traceback is attached as a note. An exception that cannot be sent (or is a
    StopIteration) becomes a RuntimeError with its text. A task or a result that cannot be sent
    raises a pickle.PickleError that names the position.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, want at least 1")
    workers = min(workers, max(_affordable(), 1))
    context = _context(work, shared) if workers > 1 else None
    if context is None:
        return _Here(work, tasks)
    return _Pool(context, work, tasks, workers, again, shared, alike)


def _affordable() -> int:
    """Return the number of workers that the free file descriptors allow."""
    try:
        import resource  # noqa: PLC0415  (only POSIX has it)

        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = len(os.listdir("/dev/fd"))
    except (ImportError, OSError):
        return sys.maxsize
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return (limit - taken - _SPARE_DESCRIPTORS) // _DESCRIPTORS_EACH


_DESCRIPTORS_EACH = 3  # the pipe, the sentinel of the process, and one more while it starts
_SPARE_DESCRIPTORS = 24  # for a worker's own process of users' code, for files and for outputs


def cores() -> int:
    """Return the number of CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _context(work: Work[Any, Any], shared: Sequence[object]) -> ForkContext | SpawnContext | None:
    """Return the way to start workers, or None if ``work`` cannot reach one."""
    if "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork")
    try:
        pickle.dumps((work, list(shared)))
    except Exception:
        return None
    return multiprocessing.get_context("spawn")


class _Here(Run[Result]):
    """Runs everything in this process."""

    def __init__(self, work: Work[Task, Result], tasks: Iterable[Task]) -> None:
        self._results = ((position, work(task, _unheard)) for position, task in enumerate(tasks))

    def __next__(self) -> tuple[int, Result]:
        return next(self._results)

    def drain(self) -> None:
        self._results.close()

    def close(self) -> None:
        self._results.close()


def _unheard(note: str) -> None:
    """A `Tell` that does nothing: if this process dies, nobody is left to read the note."""


@dataclass(frozen=True, slots=True)
class _Job(Generic[Task]):
    position: int
    task: Task
    attempt: int


@dataclass(slots=True, eq=False)
class _Worker(Generic[Task]):
    """A process, the parent's end of its pipe, and its current job (None: idle)."""

    process: BaseProcess
    connection: Connection
    job: _Job[Task] | None = None
    note: str = ""
    owned: set[Hashable] = field(default_factory=set)  # what it did before; see `run`


@dataclass(frozen=True, slots=True)
class _Done(Generic[Result]):
    result: Result


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class _Pool(Run[Result], Generic[Task, Result]):
    """Worker processes and their tasks in flight.

    An interrupt only sets flags, except inside `_interruptible`. So an interrupt never leaves a
    step half done.
    """

    def __init__(
        self,
        context: ForkContext | SpawnContext,
        work: Work[Task, Result],
        tasks: Iterable[Task],
        limit: int,
        again: Callable[[Death[Task]], Task],
        shared: Sequence[object],
        alike: Callable[[Task], Hashable] | None,
    ) -> None:
        self._alike = alike
        self._waiting: list[_Job[Task]] = []  # taken and not handed out, by position
        self._context = context
        self._shared = shared
        self._work = work
        self._tasks = iter(tasks)
        self._limit = limit
        self._again = again
        self._workers: list[_Worker[Task]] = []
        self._outcomes: dict[int, _Done[Result] | _Failed] = {}
        self._next = 0  # the position to yield next
        self._taken = 0  # how many tasks were taken so far
        self._more = True  # whether to take further tasks
        self._drained = False
        self._closed = False
        self._interrupted = False
        self._hurried = False
        self._raises = False
        self._owner = os.getpid()
        self._last_resort = weakref.finalize(self, _kill, self._workers, self._owner)

    def __next__(self) -> tuple[int, Result]:
        if not self._closed:
            with self._listening():
                try:
                    self._advance()
                except BaseException:
                    self.close()
                    raise
        if self._drained and self._outcomes and self._next not in self._outcomes:
            self._next = min(self._outcomes)  # what was to come before was not handed out
        position = self._next
        outcome = self._outcomes.get(position)
        if isinstance(outcome, _Done):
            # Python delivers an interrupt at a call, and no call follows here. So an interrupt
            # after `_listening` either comes before the result is removed or after it is returned.
            del self._outcomes[position]
            self._next = position + 1
            return position, outcome.result
        interrupted = self._interrupted
        self.close()
        if outcome is not None:
            raise outcome.error
        if interrupted:
            raise KeyboardInterrupt
        raise StopIteration

    def drain(self) -> None:
        self._drained = True
        self._more = False
        self._waiting = []

    def close(self) -> None:
        self._closed = True
        self._interrupted = False
        self._waiting = []
        _kill(self._workers, self._owner)
        self._last_resort.detach()
        self._outcomes.clear()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Catch Ctrl-C here, if this is the main thread and SIGINT has Python's own handler."""
        ours = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if not ours:
            yield
            return
        signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted = True
        self._hurried = self._drained
        self.drain()
        if self._hurried and self._raises:
            raise KeyboardInterrupt

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Mark a step that can take long; a second interrupt raises inside it."""
        self._raises = True
        try:
            if self._hurried:
                raise KeyboardInterrupt
            yield
        finally:
            self._raises = False

    def _advance(self) -> None:
        """Keep the workers busy until the next outcome is there or no task is in flight."""
        self._collect(0)
        self._hand_out()
        while self._next not in self._outcomes and any(each.job for each in self._workers):
            self._collect(LOOK_S)
            self._hand_out()

    def _hand_out(self) -> None:
        while self._room() and self._fill():
            worker = self._idle()
            job = self._choose(worker)
            if job is not None:
                self._give(worker or self._hire(), job)

    def _fill(self) -> bool:
        """Take tasks: one, or as far ahead as may be if there is a choice. Whether one waits."""
        most = 1 if self._alike is None else AHEAD * self._limit
        while (
            self._more
            and len(self._waiting) < most
            and self._taken - self._next < AHEAD * self._limit
        ):
            job = self._take()
            if job is not None:
                self._waiting = [*self._waiting, job]
        return bool(self._waiting)

    def _choose(self, worker: _Worker[Task] | None) -> _Job[Task] | None:
        """Remove and return the waiting job that suits a worker best; None: interrupted."""
        waiting = self._waiting
        if not waiting:
            return None
        job = waiting[0] if self._alike is None else self._suited(worker, waiting)
        self._waiting = [each for each in self._waiting if each is not job]
        return job

    def _suited(self, worker: _Worker[Task] | None, waiting: Sequence[_Job[Task]]) -> _Job[Task]:
        """The first job of the worker's own kinds, or else of a kind that is nobody's."""
        others = {key for each in self._workers if each is not worker for key in each.owned}
        mine = set() if worker is None else worker.owned
        assert self._alike is not None
        keys = [self._alike(job.task) for job in waiting]
        for job, key in zip(waiting, keys, strict=True):
            if key in mine:
                return job
        for job, key in zip(waiting, keys, strict=True):
            if key not in others:
                return job
        return waiting[-1]  # its owner would come to it last

    def _room(self) -> bool:
        return len(self._workers) < self._limit or any(each.job is None for each in self._workers)

    def _idle(self) -> _Worker[Task] | None:
        for worker in tuple(self._workers):
            if worker.job is None:
                if worker.process.exitcode is None:
                    return worker
                self._lose(worker)
        return None

    def _take(self) -> _Job[Task] | None:
        try:
            with self._interruptible():
                task = next(self._tasks)
        except StopIteration:
            self._more = False
            return None
        except Exception as error:
            self._fail(self._taken, error)
            return None
        if not self._more:  # interrupted while the task was made
            return None
        self._taken += 1
        return _Job(self._taken - 1, task, 1)

    def _give(self, worker: _Worker[Task], job: _Job[Task]) -> None:
        try:
            message = packed((job.position, job.task), self._shared)
        except Exception as error:
            self._fail(job.position, unsendable("task", job.position, error))
            return
        worker.job, worker.note = job, ""
        if self._alike is not None:
            key = self._alike(job.task)
            if not any(key in each.owned for each in self._workers):
                worker.owned.add(key)
        # `_collect` finds a worker that dies at this moment.
        with self._interruptible(), suppress(OSError):
            worker.connection.send_bytes(message)

    def _hire(self) -> _Worker[Task]:
        ours, theirs = self._context.Pipe()
        ENDS.add(ours)
        process = self._context.Process(
            target=serve, args=(self._work, self._shared, theirs), daemon=True
        )
        with warnings.catch_warnings():
            # Python counts the idle threads of a BLAS as ours, although the BLAS handles forks.
            warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
            process.start()  # flushes stdout and stderr first
        theirs.close()
        worker: _Worker[Task] = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _collect(self, timeout: float) -> None:
        """Wait ``timeout`` seconds for a message; read one from each worker that has one."""
        with self._interruptible():
            ready = wait([each.connection for each in self._workers], timeout)
        for worker in tuple(self._workers):
            if worker.connection in ready:
                self._receive(worker)
            elif worker.process.exitcode is not None and not worker.connection.poll():
                self._lose(worker)

    def _receive(self, worker: _Worker[Task]) -> None:
        try:
            with self._interruptible():
                message = worker.connection.recv()
        except (EOFError, OSError):
            self._lose(worker)
            return
        if isinstance(message, Told):
            worker.note = message.note
            return
        if isinstance(message, Busy):
            hosts.busy(message.doing)
            return
        assert worker.job is not None
        position, worker.job = worker.job.position, None
        if isinstance(message, Raised):
            error: BaseException = pickle.loads(message.pickled)
            error.add_note(f"in worker process {worker.process.pid}:\n{message.trace}")
            self._fail(position, error)
            return
        try:
            self._outcomes[position] = _Done(pickle.loads(message.pickled))
        except Exception as error:
            self._fail(position, unsendable("result of task", position, error))

    def _fail(self, position: int, error: BaseException) -> None:
        self._outcomes[position] = _Failed(error)
        self._more = False
        self._waiting = [each for each in self._waiting if each.position < position]

    def _lose(self, worker: _Worker[Task]) -> None:
        self._workers.remove(worker)
        _kill([worker], self._owner)  # it may have closed its pipe without exiting
        job = worker.job
        if job is None:
            return
        code = worker.process.exitcode
        assert code is not None
        death = Death(job.task, worker.note, ending(code), job.attempt)
        with self._interruptible():
            task = self._again(death)
        self._give(self._hire(), _Job(job.position, task, job.attempt + 1))


def _kill(workers: list[_Worker[Any]], owner: int) -> None:
    """Kill and reap workers and empty the list; safe to call again after an interrupt."""
    if os.getpid() != owner:  # in a forked copy of the run, the workers belong to the parent
        return
    for worker in workers:
        worker.process.kill()
    while workers:
        workers[-1].process.join()
        workers.pop().connection.close()
