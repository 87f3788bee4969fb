"""Processes that frameworks and users' code live in."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.execution.test_workers import gone
from xentcheck import registry
from xentcheck.errors import UnsupportedError
from xentcheck.execution import hosts, run_tasks
from xentcheck.execution.invocation import CallError
from xentcheck.implementations.bridge import Call, Job
from xentcheck.implementations.user.function import NumpyBridge
from xentcheck.model import Array, Kind, Process, Quantity

HERE = Process("here")
ROWS = np.zeros((2, 3), dtype=np.float32)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    hosts.close()


def sums(x: Array) -> Array:
    return np.asarray(x.sum(axis=1))


def writing(x: Array) -> Array:
    x += 1
    return sums(x)


def raising(x: Array) -> Array:
    raise ValueError(f"no such {x.shape}")


def saying(x: Array) -> str:
    return "nothing"


def refusing(x: Array) -> Array:
    raise UnsupportedError(f"does not take {x.dtype}")


def leaving(x: Array) -> Array:
    sys.exit(3)


def exiting(x: Array) -> Array:
    os._exit(3)


def segfaulting(x: Array) -> Array:
    os.kill(os.getpid(), signal.SIGSEGV)
    return x


def hanging(x: Array) -> Array:
    time.sleep(600)
    return x


def shouting(x: Array) -> Array:
    os.write(2, b"all is well\nno, it is not\n\n")
    os._exit(1)


def talking(x: Array) -> Array:
    sys.stdout.write("audible\n")
    os.write(1, b"and below Python\n")
    return sums(x)


def remembered() -> list[int]:
    """The process ids that this was called in, as the process remembers."""
    calls: list[int] = getattr(sys, "calls_of_test_hosts", [])
    sys.calls_of_test_hosts = [*calls, os.getpid()]  # type: ignore[attr-defined]
    return [*calls, os.getpid()]


def environment(name: str) -> str | None:
    return os.environ.get(name)


def loaded(name: str) -> bool:
    return name in sys.modules


def with_grandchild() -> tuple[int, int]:
    return os.getpid(), subprocess.Popen(["sleep", "600"]).pid


def ended(pid: int) -> bool:
    """Whether an orphan is gone, or only waits to be reaped by whoever adopted it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return gone(pid)
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def refusal(function: object, process: Process = HERE) -> CallError:
    with pytest.raises(CallError) as caught:
        hosts.invoke(process, function, (ROWS,), {}, (2,))  # type: ignore[arg-type]
    return caught.value


def test_a_result_comes_from_another_process_that_stays() -> None:
    first = hosts.ask(HERE, remembered)
    assert first != [os.getpid()]
    assert hosts.ask(HERE, remembered) == first * 2
    assert hosts.ask(Process("another"), remembered) not in ([first[0]], first * 3)
    done = hosts.invoke(HERE, sums, (ROWS + 1,), {}, (2,))
    np.testing.assert_array_equal(done.result, np.float32([3, 3]))
    assert done.result.dtype == np.float32


def test_what_a_function_writes_into_is_noticed_there() -> None:
    assert hosts.invoke(HERE, writing, (ROWS,), {}, (2,)).mutated == ("logits",)
    assert not ROWS.any()


def test_failures_arrive_as_what_they_are() -> None:
    error = refusal(raising)
    assert error.kind is Kind.RAISED
    assert str(error).startswith("ValueError: no such (2, 3) (test_hosts.py:")
    assert "SystemExit: 3" in str(refusal(leaving))
    with pytest.raises(UnsupportedError, match="does not take float32"):
        hosts.invoke(HERE, refusing, (ROWS,), {}, (2,))
    assert str(refusal(saying)) == "returned str, want an array of a floating-point dtype"
    before = hosts.ask(HERE, os.getpid)
    assert refusal(raising).kind is Kind.RAISED
    assert hosts.ask(HERE, os.getpid) == before


@pytest.mark.parametrize(
    ("function", "how"), [(exiting, "exit status 3"), (segfaulting, "signal 11 (SIGSEGV)")]
)
def test_a_death_is_told_and_the_next_call_finds_a_fresh_process(
    function: object, how: str
) -> None:
    before = hosts.ask(HERE, os.getpid)
    other = hosts.ask(Process("another"), os.getpid)
    error = refusal(function)
    assert error.kind is Kind.CRASHED
    assert str(error) == f"died of {how}"
    assert hosts.ask(HERE, os.getpid) not in (before, other)
    assert hosts.ask(Process("another"), os.getpid) == other


def test_a_call_that_takes_too_long_is_ended() -> None:
    impatient = replace(HERE, timeout_s=2.0)
    before = hosts.ask(impatient, os.getpid)
    error = refusal(hanging, impatient)
    assert error.kind is Kind.TIMED_OUT
    assert str(error) == "gave no result within 2 s"
    assert gone(before)
    assert hosts.ask(impatient, os.getpid) != before


def test_what_foreign_code_prints_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    hosts.invoke(replace(HERE, quiet=False), talking, (ROWS,), {}, (2,))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "audible" in captured.err
    assert "and below Python" in captured.err


def test_a_quiet_process_is_heard_only_when_it_dies(capfd: pytest.CaptureFixture[str]) -> None:
    hosts.invoke(HERE, talking, (ROWS,), {}, (2,))
    assert str(refusal(shouting)) == "died of exit status 1; its last words: no, it is not"
    assert capfd.readouterr() == ("", "")


def test_it_has_its_modules_and_its_environment_and_this_process_has_neither() -> None:
    process = Process("with", ("wave",), environment=(("OF_TEST_HOSTS", "yes"),))
    assert "wave" not in sys.modules
    assert hosts.ask(process, loaded, "wave")
    assert hosts.ask(process, environment, "OF_TEST_HOSTS") == "yes"
    assert not hosts.ask(HERE, loaded, "wave")
    assert "wave" not in sys.modules
    assert "OF_TEST_HOSTS" not in os.environ


def test_modules_that_fail_to_import_make_it_unsupported(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_of_test.py").write_text("1 / 0\n")  # type: ignore[operator]
    monkeypatch.syspath_prepend(str(tmp_path))
    process = Process("broken", ("broken_of_test",), "pip install it")
    assert registry.missing(process) == ""
    with pytest.raises(UnsupportedError, match="importing broken_of_test failed: ZeroDivision"):
        hosts.invoke(process, sums, (ROWS,), {}, (2,))


def test_what_is_not_installed_is_said_with_the_remedy() -> None:
    process = Process("nothing", ("numpy", "no_such_module.sub"), "pip install 'it[all]'")
    assert registry.missing(process) == "no_such_module.sub is not installed: pip install 'it[all]'"
    assert registry.missing(Process("something", ("numpy.linalg",))) == ""


def test_closing_ends_the_processes_and_what_they_started() -> None:
    pid, grandchild = hosts.ask(HERE, with_grandchild)
    hosts.close()
    assert gone(pid)
    assert ended(grandchild)


def test_a_fork_has_processes_of_its_own() -> None:
    mine = hosts.ask(HERE, os.getpid)
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.write(theirs, str(hosts.ask(HERE, os.getpid)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = int(os.read(ours, 32))
    os.close(ours)
    os.close(theirs)
    assert told != mine
    assert hosts.ask(HERE, os.getpid) == mine
    assert ended(told)


def in_fork(work: Callable[[], object]) -> tuple[int, Callable[[], str]]:
    """The id of a fork that does some work, and what reads the text of its answer."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.write(theirs, str(work()).encode())
        os._exit(0)
    os.close(theirs)

    def answer() -> str:
        with os.fdopen(ours) as file:
            return file.read()

    return child, answer


def test_a_process_is_handed_on_from_fork_to_fork() -> None:
    with hosts.sharing():
        first = hosts.ask(HERE, remembered)
        hosts.release()
        for calls in (2, 3):
            fork, answer = in_fork(lambda: hosts.ask(HERE, remembered))
            os.waitpid(fork, 0)
            assert answer() == str(first * calls)
        assert hosts.ask(HERE, remembered) == first * 4
    assert gone(first[0])


def test_a_process_that_died_idle_is_replaced() -> None:
    with hosts.sharing():
        first = hosts.ask(HERE, os.getpid)
        hosts.release()
        os.kill(first, signal.SIGKILL)
        assert hosts.ask(HERE, os.getpid) != first


def test_only_the_asking_side_knows_the_time_limit() -> None:
    before = hosts.ask(HERE, os.getpid)
    assert hosts.ask(replace(HERE, timeout_s=7.0, quiet=False), os.getpid) == before


def test_what_is_done_ends_before_the_rest() -> None:
    with hosts.sharing():
        first, other = (hosts.ask(each, os.getpid) for each in (HERE, Process("another")))
        hosts.close(but=[replace(HERE, timeout_s=7.0)])
        assert gone(other)
        assert hosts.ask(HERE, os.getpid) == first


def busy() -> None:
    time.sleep(600)


def test_a_process_ends_with_the_one_that_asks_in_the_middle_of_its_request() -> None:
    with hosts.sharing():
        pid = hosts.ask(HERE, os.getpid)
        hosts.release()
        fork, _ = in_fork(lambda: hosts.ask(HERE, busy))
        time.sleep(0.5)
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)
        assert ended(pid)
        assert hosts.ask(HERE, os.getpid) != pid


OWNER = """
import os, sys, time
from tests.execution import test_hosts as t
from xentcheck.execution import hosts

with hosts.sharing():
    pids = hosts.ask(t.HERE, t.with_grandchild)
    if sys.argv[1] == "fork" and not os.fork():
        time.sleep(600)  # a worker whose parent is gone
    print(*pids, hosts.ask(t.HERE, os.getppid), hosts.ask(t.HERE, t.folder), flush=True)
    hosts.ask(t.HERE, t.busy)
"""


def folder() -> str:
    return os.environ["XENTCHECK_SHARED_FOLDER"]


@pytest.mark.parametrize(("how", "which"), [("alone", 0), ("fork", 0), ("alone", 1)])
def test_nothing_stays_when_the_owner_or_the_keeper_is_killed(how: str, which: int) -> None:
    """A fork that outlives the owner does not keep the processes alive."""
    command = [sys.executable, "-c", OWNER, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as owner:
        assert owner.stdout is not None
        told = owner.stdout.readline().split()
        host, grandchild, keeper = map(int, told[:3])
        try:
            os.kill((owner.pid, keeper)[which], signal.SIGKILL)
            for each in (host, grandchild, keeper):
                assert ended(each)
            if not which:
                owner.wait(20)
                limit = time.monotonic() + 5
                while Path(told[3]).exists() and time.monotonic() < limit:
                    time.sleep(0.05)
                assert not Path(told[3]).exists()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(owner.pid, signal.SIGKILL)


# What is begun while the caller goes on


def test_what_is_begun_happens_and_is_not_answered() -> None:
    hosts.begin(HERE, "calling", remembered)
    hosts.begin(HERE, "calling", raising, ROWS)
    assert len(hosts.ask(HERE, remembered)) == 2
    hosts.begin(HERE, "calling", remembered)
    assert len(set(hosts.ask(HERE, remembered))) == 1
    assert len(hosts.ask(HERE, remembered)) == 5


@pytest.mark.parametrize("fatal", [exiting, segfaulting])
def test_what_dies_of_what_was_begun_is_not_blamed_on_the_next_call(
    fatal: Callable[[Array], Array],
) -> None:
    hosts.begin(HERE, "calling", remembered)
    hosts.begin(HERE, "calling", fatal, ROWS)
    assert len(hosts.ask(HERE, remembered)) == 1
    hosts.begin(HERE, "calling", fatal, ROWS)
    assert hosts.first_ready([HERE]) == HERE
    np.testing.assert_array_equal(hosts.invoke(HERE, sums, (ROWS,), {}, (2,)).result, [0, 0])


def test_what_was_begun_may_not_take_longer_than_a_call() -> None:
    impatient = replace(HERE, timeout_s=1.5)
    hosts.ask(impatient, remembered)
    hosts.begin(impatient, "calling", hanging, ROWS)
    assert hosts.first_ready([impatient]) == impatient
    assert len(hosts.ask(impatient, remembered)) == 1


def test_the_process_that_is_ready_first_is_asked_first() -> None:
    slow, quick, died = (Process(name) for name in ("slow", "quick", "died"))
    everybody = [slow, quick]
    hosts.start(everybody)
    for each in everybody:
        hosts.ask(each, remembered)
    hosts.begin(slow, "calling", time.sleep, 2.0)
    hosts.begin(quick, "calling", time.sleep, 0.1)
    assert hosts.first_ready(everybody) == quick
    assert hosts.first_ready([slow]) == slow
    hosts.begin(died, "calling", exiting, ROWS)
    hosts.begin(slow, "calling", time.sleep, 2.0)
    assert hosts.first_ready([slow, died]) == died


# What a process does meanwhile


def slow_module(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A process that takes a while to import its module."""
    (folder / f"{name}.py").write_text("import time\ntime.sleep(1.0)\n")
    monkeypatch.syspath_prepend(folder)
    return Process(name, (name,))


def test_a_listener_is_told_what_is_imported_and_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = slow_module(tmp_path, "takes_a_second", monkeypatch)
    told: list[str] = []
    with hosts.listening(told.append):
        hosts.ask(process, remembered)
        assert set(told) == {"importing takes_a_second", ""}
        assert told[-1] == ""
        told.clear()
        hosts.ask(process, time.sleep, 0.6)  # nobody knows what a user's code does
        assert told == []
    hosts.ask(process, remembered)
    assert told == []


def test_a_listener_is_told_what_all_do_that_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = slow_module(tmp_path, "takes_another_second", monkeypatch)
    hosts.ask(HERE, remembered)
    hosts.begin(HERE, "compiling with here", time.sleep, 0.7)
    hosts.begin(process, "calling it", time.sleep, 0.7)
    told: list[str] = []
    with hosts.listening(told.append):
        assert hosts.first_ready([process, HERE]) == HERE
        assert told[0] == "importing takes_another_second; compiling with here"
        assert hosts.first_ready([process]) == process
        assert told[-1] in ("calling it", "")


class Compiling(NumpyBridge):
    """Sleeps in its first call, as if it compiled."""

    compiles = True

    def value(self, job: Job) -> Array:
        time.sleep(0.5)
        return np.zeros(len(job.logits), job.logits.dtype)


def test_a_listener_is_told_what_is_compiled() -> None:
    call = Call(Compiling(), sums, "logsumexp", Quantity.VALUE)
    heard = []
    for rows in (ROWS, ROWS[:1], ROWS[:, :2]):
        told: list[str] = []
        with hosts.listening(told.append):
            hosts.invoke(HERE, call, (rows,), {}, None)
        heard.append(set(told))
    compiling = {"compiling with here", ""}
    assert heard == [compiling, set(), compiling]  # a number of rows is no reason to compile


def test_a_listener_hears_of_workers() -> None:
    told: list[str] = []
    call = Call(Compiling(), sums, "logsumexp", Quantity.VALUE)

    def work(task: int, tell: object) -> int:
        hosts.invoke(HERE, call, (ROWS,), {}, None)
        return task

    def again(death: object) -> int:
        raise AssertionError(death)

    with hosts.listening(told.append), run_tasks(work, [1, 2], 2, again) as results:
        assert [each for _, each in results] == [1, 2]
    assert set(told) == {"compiling with here", ""}
