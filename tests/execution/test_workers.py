"""Tasks over worker processes: order, look-ahead, deaths, errors, interrupts, and what is left."""

import itertools
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from contextlib import contextmanager
from multiprocessing.connection import wait

import pytest

from tests.places import ROOT
from xentcheck.execution import workers
from xentcheck.execution.tasks import Death
from xentcheck.execution.workers import AHEAD, cores, run

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the works here are closures"
)

PATIENCE = 20.0  # seconds; far beyond what anything here takes
FOREVER = 600.0  # what only a kill ends


def gone(pid):
    """Whether no process has this id, not even one that nobody reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """Ids of the workers that a test started; each is gone when it ends."""
    pids = []
    start = multiprocessing.process.BaseProcess.start

    def recorded(process):
        start(process)
        pids.append(process.pid)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", recorded)
    yield pids
    assert [pid for pid in pids if not gone(pid)] == []


def never(death):
    raise AssertionError(f"a worker died: {death}")


def square(task, tell):
    return task * task


def pid_of(task, tell):
    return os.getpid()


@contextmanager
def pipe():
    """A pipe: (read end, write end), both closed afterwards."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def noted(taken, tasks):
    """The tasks, each noted as it is taken."""
    for task in tasks:
        taken.append(task)
        yield task


# results


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks_whatever_each_takes(workers):
    def work(task, tell):
        time.sleep(0.03 * (task % 4 == 0))
        return task * task

    results = list(run(work, range(20), workers, never))
    assert results == [(k, k * k) for k in range(20)]


def test_no_tasks_give_no_results_and_start_nothing(started):
    assert list(run(square, [], 4, never)) == []
    assert started == []


def test_there_are_never_more_processes_than_tasks(started):
    assert len(list(run(square, range(2), 8, never))) == 2
    assert len(started) <= 2


def test_tasks_are_done_at_the_same_time_by_as_many_processes_as_asked_for(started):
    together = multiprocessing.get_context("fork").Barrier(3)

    def work(task, tell):
        together.wait(PATIENCE)
        return os.getpid()

    assert {pid for _, pid in run(work, range(3), 3, never)} == set(started)


def test_tasks_that_are_alike_are_done_by_one_worker_while_it_has_any():
    together = multiprocessing.get_context("fork").Barrier(2)

    def work(task, tell):
        if task < 2:  # "even" has its worker, and "odd" the other one
            together.wait(PATIENCE)
        time.sleep(0.02)
        return os.getpid()

    tasks = [0, 2, 4, 6, 1, 3, 5, 7]
    done = [pid for _, pid in run(work, tasks, 2, never, alike=lambda task: task % 2)]
    assert len({*done}) == 2
    assert len({*done[:3]}) == len({*done[4:7]}) == 1  # the last of each may be taken over


def test_a_worker_without_tasks_of_its_own_takes_the_last_of_another():
    together = multiprocessing.get_context("fork").Barrier(2)

    def work(task, tell):
        if task in (0, 3):
            together.wait(PATIENCE)
        return os.getpid()

    assert len({pid for _, pid in run(work, range(4), 2, never, alike=lambda _: "same")}) == 2


def test_after_an_interrupt_the_results_of_later_tasks_come_without_those_between():
    with pipe() as (read, write):

        def work(task, tell):
            if task == 0:
                os.read(read, 1)  # until the other kind is done and the interrupt was sent
            if task == 4:
                os.kill(os.getppid(), signal.SIGINT)
                time.sleep(0.3)
                os.write(write, b".")
            return task

        results = run(work, range(5), 2, never, alike=lambda task: task == 4)
        seen = []
        with pytest.raises(KeyboardInterrupt):
            seen.extend(results)
        assert seen == [(0, 0), (4, 4)]


def test_one_worker_is_this_process(started):
    assert list(run(pid_of, range(3), 1, never)) == [(k, os.getpid()) for k in range(3)]
    assert started == []


def test_one_worker_hears_nothing_and_takes_tasks_one_at_a_time():
    taken = []

    results = run(lambda task, tell: tell("nothing"), noted(taken, range(10)), 1, never)
    assert next(results) == (0, None)
    assert taken == [0]
    results.close()
    assert list(results) == []


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_refused(workers):
    with pytest.raises(ValueError, match=f"workers is {workers}, want at least 1"):
        run(square, range(3), workers, never)


@pytest.mark.parametrize("workers", [2, 3])
def test_no_more_tasks_are_out_than_the_look_ahead_however_many_there_are(workers):
    taken = itertools.count()
    count = 0

    def tasks():
        nonlocal count
        for k in taken:
            count += 1
            yield k

    with pipe() as (read, write):

        def work(task, tell):
            if task == 0:
                os.read(read, 1)  # until all the others that may be out are done
            if task == AHEAD * workers - 1:
                os.write(write, b".")
            return task

        with run(work, tasks(), workers, never) as results:
            assert count == 0
            for position, _ in itertools.islice(results, 50):
                assert count <= position + AHEAD * workers
                if position:  # a yielded result makes room, though the next ones are there
                    assert count > AHEAD * workers
            assert count >= AHEAD * workers  # task 0 waited for the last of them


# deaths


def segfault():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # not pytest's, which prints a traceback
    os.kill(os.getpid(), signal.SIGSEGV)


ENDS = [
    (lambda: os._exit(3), "exit status 3"),
    (lambda: os._exit(0), "exit status 0"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal 9 (SIGKILL)"),
    (segfault, "signal 11 (SIGSEGV)"),
    (lambda: os.kill(os.getpid(), signal.SIGTERM), "signal 15 (SIGTERM)"),
]


@pytest.mark.parametrize(("end", "how"), ENDS, ids=[how for _, how in ENDS])
def test_a_worker_that_dies_loses_its_own_task_which_can_be_replaced(end, how):
    deaths = []

    def work(task, tell):
        tell(f"looking at {task}")
        if task == 5:
            tell("about to fall")
            end()
        return task * 10

    def again(death):
        deaths.append(death)
        return 500

    results = list(run(work, range(12), 2, again))
    assert deaths == [Death(5, "about to fall", how, 1)]
    assert results == [(k, 5000 if k == 5 else k * 10) for k in range(12)]


def test_a_real_time_signal_has_a_number_and_no_name():
    deaths = []

    def work(task, tell):
        if task == "die":
            os.kill(os.getpid(), signal.SIGRTMIN + 1)
        return task

    def again(death):
        deaths.append(death.how)
        return "live"

    assert list(run(work, ["die"], 2, again)) == [(0, "live")]
    assert deaths == [f"signal {signal.SIGRTMIN + 1}"]


def test_attempts_count_up_for_a_position():
    deaths = []

    def work(task, tell):
        if task == "tells":
            tell("something")
            os._exit(1)
        if task == "silent":
            os._exit(2)
        return task

    def again(death):
        deaths.append(death)
        return {"tells": "silent", "silent": "fine"}[death.task]

    results = list(run(work, ["a", "tells", "silent"], 2, again))
    assert results == [(0, "a"), (1, "fine"), (2, "fine")]
    by_position = sorted(deaths, key=lambda death: (death.task, death.attempt))
    assert by_position == [
        Death("silent", "", "exit status 2", 1),
        Death("silent", "", "exit status 2", 2),
        Death("tells", "something", "exit status 1", 1),
    ]


def test_a_note_is_of_the_task_that_died_not_of_the_one_before_it():
    notes = []

    def work(task, tell):
        if task == "silent":
            os._exit(1)
        tell("something")

    def again(death):
        notes.append(death.note)
        return "chatty"

    assert len(list(run(work, ["chatty", "chatty", "silent"], 2, again))) == 3
    assert notes == [""]


def test_a_replaced_task_is_done_by_a_fresh_process(started):
    def work(task, tell):
        if task == "die":
            os._exit(1)
        return os.getpid()

    results = list(run(work, ["live", "die"], 2, lambda death: "live"))
    assert results[1][1] == started[2]


def test_giving_up_on_a_death_ends_the_run_at_once():
    class GaveUpError(Exception):
        pass

    def work(task, tell):
        if task == 1:
            os._exit(1)
        time.sleep(FOREVER)

    def again(death):
        raise GaveUpError

    results = run(work, range(4), 2, again)
    with pytest.raises(GaveUpError):
        next(results)
    assert list(results) == []


def test_an_idle_worker_that_dies_costs_no_task(started):
    with pipe() as (read, write):

        def tasks():
            yield from range(2)
            # task 1 holds its worker, so the next task is asked for when the first one is idle
            os.kill(started[0], signal.SIGKILL)
            os.waitid(os.P_PID, started[0], os.WEXITED | os.WNOWAIT)
            os.write(write, b".")
            yield 2

        def work(task, tell):
            if task == 1:
                os.read(read, 1)
            return task

        assert list(run(work, tasks(), 2, never)) == [(0, 0), (1, 1), (2, 2)]
    assert len(started) == 3


def test_a_death_is_seen_though_a_process_left_behind_holds_the_pipe():
    with pipe() as (read, write):

        def work(task, tell):
            if task == "live":
                return task
            child = os.fork()
            if child == 0:
                time.sleep(FOREVER)
                os._exit(0)
            os.write(write, child.to_bytes(8, "big"))
            os._exit(3)

        deaths = []

        def again(death):
            deaths.append(death.how)
            return "live"

        assert list(run(work, ["die"], 2, again)) == [(0, "live")]
        os.kill(int.from_bytes(os.read(read, 8), "big"), signal.SIGKILL)
    assert deaths == ["exit status 3"]


# errors


class TwoArgumentsError(Exception):
    """Pickles, and does not unpickle: its constructor wants what `args` does not hold."""

    def __init__(self, what, why):
        super().__init__(f"{what} because {why}")


def falls_over(task):
    raise KeyError(task)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_is_raised_at_its_position_after_the_results_before_it(workers):
    def work(task, tell):
        if task == 3:
            falls_over(task)
        time.sleep(0.05)
        return task

    seen = []
    results = run(work, range(100), workers, never)
    with pytest.raises(KeyError) as caught:
        seen.extend(position for position, _ in results)
    assert seen == [0, 1, 2]
    assert caught.value.args == (3,)
    assert list(results) == []


def test_after_an_exception_no_more_tasks_are_taken():
    taken = []

    def work(task, tell):
        if task == 1:
            falls_over(task)
        time.sleep(0.3 * (task == 0))

    with pytest.raises(KeyError):
        list(run(work, noted(taken, itertools.count()), 2, never))
    assert len(taken) < AHEAD * 2  # what would be out by the time that task 0 is done


def test_an_exception_of_a_worker_bears_its_traceback(started):
    def work(task, tell):
        falls_over(task)

    with pytest.raises(KeyError) as caught:
        list(run(work, ["x"], 2, never))
    (note,) = caught.value.__notes__
    assert note.startswith(f"in worker process {started[0]}:\nTraceback")
    assert "in falls_over" in note
    assert note.endswith("KeyError: 'x'\n")


def test_an_exception_that_does_not_travel_becomes_a_runtime_error_with_its_text():
    def local(task, tell):
        class LocalError(Exception):
            pass

        raise LocalError("of here")

    def two_arguments(task, tell):
        raise TwoArgumentsError("it broke", "of that")

    def stop(task, tell):
        raise StopIteration("enough")

    for work, text in [
        (local, "LocalError: of here"),
        (two_arguments, "TwoArgumentsError: it broke because of that"),
        (stop, "StopIteration: enough"),
    ]:
        with pytest.raises(RuntimeError, match=text):
            list(run(work, [0], 2, never))


def test_an_exit_that_work_asks_for_is_an_exception_and_no_death():
    with pytest.raises(SystemExit) as caught:
        list(run(lambda task, tell: sys.exit(7), [0], 2, never))
    assert caught.value.code == 7


class Sealed:
    """Pickles, and cannot be opened again."""

    def __reduce__(self):
        return (open_sealed, ())


def open_sealed():
    raise ValueError("sealed")


UNSENDABLE = [(lambda: None, "local object|lambda|pickle"), (Sealed(), "ValueError: sealed")]


@pytest.mark.parametrize(("thing", "why"), UNSENDABLE, ids=["pickles not", "unpickles not"])
def test_a_result_that_cannot_be_sent_names_its_position(thing, why):
    def work(task, tell):
        return thing if task == 4 else task

    seen = []
    with pytest.raises(pickle.PickleError, match=rf"the result of task 4 .*({why})"):
        seen.extend(position for position, _ in run(work, range(9), 2, never))
    assert seen == [0, 1, 2, 3]


def test_a_task_that_cannot_be_sent_names_its_position():
    tasks = [1, 2, lambda: None, 3]
    seen = []
    with pytest.raises(pickle.PickleError, match="the task 2 does not pickle"):
        seen.extend(run(square, tasks, 2, never))
    assert seen == [(0, 1), (1, 4)]


@pytest.mark.parametrize("workers", [1, 2])
def test_tasks_that_fail_to_come_do_so_after_the_results_before_them(workers):
    def tasks():
        yield from range(3)
        raise LookupError("no more")

    seen = []
    with pytest.raises(LookupError, match="no more"):
        seen.extend(run(square, tasks(), workers, never))
    assert seen == [(0, 0), (1, 1), (2, 4)]


# leaving


def endless(task, tell):
    if task:
        time.sleep(FOREVER)
    return task


def test_closing_early_kills_workers_that_are_busy(started):
    results = run(endless, itertools.count(), 2, never)
    assert next(results) == (0, 0)
    results.close()
    assert len(started) == 2
    assert all(gone(pid) for pid in started)
    assert list(results) == []


def test_leaving_the_block_on_an_error_kills_workers(started):
    def consume():
        with run(endless, itertools.count(), 2, never) as results:
            next(results)
            raise LookupError

    with pytest.raises(LookupError):
        consume()
    assert len(started) == 2
    assert all(gone(pid) for pid in started)


def test_the_last_reference_takes_the_workers_with_it(started):
    for _ in run(endless, itertools.count(), 2, never):
        break
    assert len(started) == 2
    assert all(gone(pid) for pid in started)


def test_draining_yields_what_is_out_and_takes_nothing_more():
    taken = []

    results = run(square, noted(taken, itertools.count()), 2, never)
    assert next(results) == (0, 0)
    results.drain()
    before = list(taken)
    rest = list(results)
    assert rest == [(k, k * k) for k in before[1:]]
    assert taken == before
    results.drain()
    assert list(results) == []


def test_draining_one_worker_ends_it():
    results = run(square, itertools.count(), 1, never)
    assert next(results) == (0, 0)
    results.drain()
    assert list(results) == []


# interrupts


def interrupted(results):
    """(results, how many interrupts): what the documented loop sees."""
    seen, interrupts = [], 0
    while True:
        try:
            seen.extend(results)
            break
        except KeyboardInterrupt:
            interrupts += 1
            results.drain()
    return seen, interrupts


def test_an_interrupt_while_waiting_lets_what_is_out_finish_and_is_then_raised():
    taken = []

    def work(task, tell):
        if task == 0:
            os.kill(os.getppid(), signal.SIGINT)
        else:
            time.sleep(0.2)
        return task

    results = run(work, noted(taken, itertools.count()), 2, never)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(position for position, _ in results)
    assert seen == taken == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert interrupted(results) == ([], 0)


def test_a_task_that_is_interrupted_in_the_making_is_not_handed_out():
    def tasks():
        yield from range(3)
        os.kill(os.getpid(), signal.SIGINT)
        yield 3

    results = run(square, tasks(), 2, never)
    assert interrupted(results) == ([(0, 0), (1, 1), (2, 4)], 1)


def test_a_task_that_dies_while_draining_is_still_replaced():
    with pipe() as (read, write):

        def work(task, tell):
            if task == 0:
                os.read(read, 1)  # task 1 is under way
                os.kill(os.getppid(), signal.SIGINT)
            if task == 1:
                os.write(write, b".")
                time.sleep(0.2)
                os._exit(1)
            return task

        results = run(work, itertools.count(), 2, lambda death: 100)
        assert interrupted(results) == ([(0, 0), (1, 100)], 1)


def test_a_second_interrupt_while_waiting_kills_and_is_raised_at_once(started):
    def work(task, tell):
        if task == 0:
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(0.2)
            os.kill(os.getppid(), signal.SIGINT)
        time.sleep(FOREVER)

    results = run(work, itertools.count(), 2, never)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert all(gone(pid) for pid in started)
    assert interrupted(results) == ([], 0)


@pytest.mark.parametrize("place", ["tasks", "again"])
def test_a_second_interrupt_is_heard_in_code_of_the_caller(place):
    def stuck():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")

    def tasks():
        yield "die"
        if place == "tasks":
            stuck()
        yield "live"

    def work(task, tell):
        if task == "die":
            os._exit(1)

    with pytest.raises(KeyboardInterrupt):
        list(run(work, tasks(), 2, lambda death: stuck()))


def test_an_interrupt_in_the_consumer_leaves_the_run_as_it_was():
    taken = []

    results = run(square, noted(taken, itertools.count()), 2, never)
    seen = []

    def consume():
        for item in results:
            seen.append(item)
            if len(seen) == 3:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        consume()
    before = len(taken)
    results.drain()
    rest, interrupts = interrupted(results)
    assert interrupts == 0
    assert seen + rest == [(k, k * k) for k in range(before)]
    assert len(taken) == before


def test_an_interrupt_after_draining_kills_and_is_raised_at_once(started):
    def work(task, tell):
        if task == 1:
            time.sleep(0.3)
            os.kill(os.getppid(), signal.SIGINT)
        if task:
            time.sleep(FOREVER)
        return task

    results = run(work, itertools.count(), 2, never)
    assert next(results) == (0, 0)
    results.drain()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert all(gone(pid) for pid in started)


def test_an_interrupt_that_leaves_the_block_kills_the_workers(started):
    def consume():
        with run(endless, itertools.count(), 2, never) as results:
            for _ in results:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert len(started) == 2
    assert all(gone(pid) for pid in started)


def test_another_handler_of_sigint_stays_in_charge():
    class AskedError(Exception):
        pass

    def handler(number, frame):
        raise AskedError

    def work(task, tell):
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(FOREVER)

    signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(AskedError):
            list(run(work, [0], 2, never))
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_one_worker_is_interrupted_where_it_is():
    def work(task, tell):
        if task == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return task

    results = run(work, itertools.count(), 1, never)
    assert interrupted(results) == ([(0, 0), (1, 1)], 1)


def test_workers_ignore_ctrl_c():
    def work(task, tell):
        os.kill(os.getpid(), signal.SIGINT)
        return task

    assert list(run(work, range(4), 2, never)) == [(k, k) for k in range(4)]


# what a worker inherits


def test_workers_have_none_of_the_parents_signal_handlers():
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        results = list(run(lambda task, tell: signal.getsignal(signal.SIGUSR1), [0], 2, never))
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    assert results == [(0, signal.SIG_DFL)]


def test_closing_the_run_in_a_worker_closes_nothing():
    def work(task, tell):
        results.close()
        return task

    results = run(work, range(4), 2, never)
    assert list(results) == [(k, k) for k in range(4)]


def test_work_may_start_processes_of_its_own():
    def work(task, tell):
        return [result for _, result in run(square, range(task), 2, never)]

    assert list(run(work, [2, 3], 2, never)) == [(0, [0, 1]), (1, [0, 1, 4])]


def test_pythons_warning_of_threads_is_not_the_users(monkeypatch):
    fork = os.fork

    def warned():
        text = "This process (pid=1) is multi-threaded, use of fork() may lead to deadlocks"
        pid = fork()
        if pid:
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        return pid

    monkeypatch.setattr(os, "fork", warned)
    assert list(run(square, [3], 2, never)) == [(0, 9)]


def test_at_least_one_core_and_no_more_than_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 6}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_without_fork_a_closure_runs_in_this_process(monkeypatch, started):
    monkeypatch.setattr(workers.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    work = lambda task, tell: os.getpid()  # noqa: E731
    assert list(run(work, range(3), 2, never)) == [(k, os.getpid()) for k in range(3)]
    assert started == []


# whole programs


def script(tmp_path, body):
    path = tmp_path / "program.py"
    head = "import atexit, itertools, multiprocessing, os, sys, time\n"
    head += "from xentcheck.execution.workers import run\n"
    head += "def say(what): os.write(1, f'{what}\\n'.encode())  # whole lines only\n"
    path.write_text(head + textwrap.dedent(body))
    return [sys.executable, "-W", "error", str(path)]


def environment():
    """This package can be imported, and output is buffered."""
    changed = {**os.environ, "PYTHONPATH": str(ROOT)}
    changed.pop("PYTHONUNBUFFERED", None)
    return changed


def finished(tmp_path, body):
    return subprocess.run(
        script(tmp_path, body),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env=environment(),
    )


def test_without_fork_what_pickles_runs_in_spawned_workers(tmp_path):
    body = """
    def work(task, tell):
        return task, os.getpid()

    if __name__ == "__main__":
        multiprocessing.get_all_start_methods = lambda: ["spawn"]
        results = list(run(work, range(3), 2, None))
        assert os.getpid() not in [pid for _, (_, pid) in results]
        print([task for _, (task, _) in results], multiprocessing.active_children())
    """
    done = finished(tmp_path, body)
    assert done.stdout == "[0, 1, 2] []\n"
    assert done.stderr == ""


def test_buffers_and_exit_handlers_of_the_parent_stay_with_it(tmp_path):
    body = """
    atexit.register(print, "exit handler")
    print("before")

    def work(task, tell):
        print("worker", task)
        return task

    assert list(run(work, range(1), 2, None)) == [(0, 0)]
    print("after")
    """
    done = finished(tmp_path, body)
    assert done.stdout.splitlines() == ["before", "worker 0", "after", "exit handler"]
    assert done.stderr == ""


def test_a_run_left_open_does_not_keep_the_program_from_ending(tmp_path):
    body = """
    def work(task, tell):
        if task:
            time.sleep(600)
        return os.getpid()

    results = run(work, itertools.count(), 2, None)
    print(next(results)[1])
    """
    done = finished(tmp_path, body)
    assert done.stderr == ""
    assert gone(int(done.stdout))


def killed(tmp_path, body, lines):
    """The lines that a program wrote before it was killed, and its still open output."""
    command = script(tmp_path, body)
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
    written = [parent.stdout.readline().decode().strip() for _ in range(lines)]
    parent.kill()
    parent.wait()
    return written, parent.stdout


def test_an_idle_worker_leaves_at_once_when_the_parent_is_killed(tmp_path):
    # the second worker is forked later: it must hold no copy of the first one's pipe
    fifo = tmp_path / "first"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # at its end when the first worker is gone
    body = f"""
    def work(task, tell):
        if task == 0:
            os.open({str(fifo)!r}, os.O_WRONLY)
            return
        say(os.getpid())
        time.sleep(600)

    results = run(work, range(2), 2, None)
    next(results)
    say("idle")
    time.sleep(600)
    """
    written, output = killed(tmp_path, body, 2)
    written.remove("idle")
    try:
        assert wait([held], PATIENCE) == [held]
        assert os.read(held, 1) == b""
    finally:
        os.kill(int(written[0]), signal.SIGKILL)
        os.close(held)
        output.close()


@pytest.mark.parametrize("last", ["time.sleep(0.5)", "[tell('still') for _ in iter(int, 1)]"])
def test_a_busy_worker_leaves_when_it_next_turns_to_a_parent_that_was_killed(tmp_path, last):
    body = f"""
    atexit.register(print, "not the worker's to do", flush=True)

    def work(task, tell):
        say(task)
        {last}

    next(run(work, range(2), 2, None))
    """
    _, output = killed(tmp_path, body, 2)
    with output:
        assert wait([output], PATIENCE) == [output]  # no process holds the other end
        assert output.read() == b""


def test_more_workers_than_there_are_file_descriptors_for_are_fewer_workers():
    """In a process with a low limit: 40 workers would take more descriptors than it has."""
    pytest.importorskip("resource")
    code = (
        "import resource, os\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))\n"
        "from xentcheck.execution.workers import run\n"
        "with run(lambda task, tell: (task, os.getpid()), range(200), 40, None) as results:\n"
        "    found = [result for _, result in results]\n"
        "assert [task for task, _ in found] == list(range(200))\n"
        "print(len({pid for _, pid in found}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 1 < int(done.stdout) < 20
