"""Threads run side by side, end together and never hang: not by exceptions, Ctrl-C, a fork or the interpreter's end."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pellucid.compiler import threads
from pellucid.compiler.threads import Busy, get_num_threads, set_num_threads, spmd
from pellucid.errors import ArgumentError, ArgumentTypeError

SOURCE = str(Path(threads.__file__).parents[2])


def run_python(code: str) -> str:
    path = os.pathsep.join([SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# How many


def test_the_number_is_chosen_by_call_then_by_variable_then_by_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "3")
    try:
        set_num_threads(5)
        assert get_num_threads() == 5
        set_num_threads(None)
        assert get_num_threads() == 3
        monkeypatch.delenv("PELLUCID_NUM_THREADS")
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 6, 9}, raising=False)
        assert get_num_threads() == 4
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert get_num_threads() == 1
    finally:
        set_num_threads(None)


@pytest.mark.parametrize("number", [0, -1, 1025, True, 1.5, "2"])
def test_a_wrong_number_is_refused(number: object) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match="num_threads"):
        set_num_threads(number)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["0", "two", "-1", "1.5", "99999"])
def test_a_wrong_variable_is_refused(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_NUM_THREADS", words)
    with pytest.raises(ArgumentError) as caught:
        get_num_threads()
    assert str(caught.value).startswith("PELLUCID_NUM_THREADS is out of range")
    assert repr(words) in caught.value.given


# Side by side


@pytest.mark.parametrize("number", [1, 2, 5])
def test_all_calls_are_made_at_once_and_their_results_come_in_order(number: int) -> None:
    meeting = threading.Barrier(number)
    seen: dict[int, int] = {}

    def call(thread: int, count: int) -> str:
        meeting.wait(10)  # ends only if all are here
        seen[thread] = threading.get_ident()
        return f"{thread} of {count}"

    assert spmd(lambda t, n: partial(call, t, n), number) == [f"{t} of {number}" for t in range(number)]
    assert seen[0] == threading.get_ident()
    assert len(set(seen.values())) == number


def test_workers_are_kept() -> None:
    first = spmd(lambda t, n: threading.get_ident, 3)
    alive = threading.active_count()
    assert [spmd(lambda t, n: threading.get_ident, 3) for _ in range(5)] == [first] * 5
    assert threading.active_count() == alive


@pytest.mark.parametrize(("failing", "raised"), [({0}, 0), ({2}, 2), ({1, 2}, 1), ({0, 1, 2}, 0)])
def test_the_first_exception_travels_when_all_calls_have_ended(failing: set[int], raised: int) -> None:
    ended = []

    def call(thread: int) -> None:
        if thread in failing:
            raise ValueError(thread)
        time.sleep(0.02)
        ended.append(thread)

    with pytest.raises(ValueError) as caught:  # noqa: PT011  (its argument is what is looked at)
        spmd(lambda t, n: partial(call, t), 3)
    assert caught.value.args == (raised,)
    assert sorted(ended) == sorted({0, 1, 2} - failing)
    assert spmd(lambda t, n: partial(int, t), 3) == [0, 1, 2]


def test_a_call_within_a_call_and_a_second_caller_run_alone() -> None:
    def inner() -> list[int]:
        return spmd(lambda t, n: partial(int, 10 * t + n), 2)

    def outer(thread: int) -> list[int]:
        return inner() if thread == 1 else []

    assert spmd(lambda t, n: partial(outer, t), 2)[1] == [1]  # thread 0 of 1
    inside, enough = threading.Event(), threading.Event()

    def hold(thread: int) -> None:
        inside.set()
        enough.wait(10)

    first = threading.Thread(target=lambda: spmd(lambda t, n: partial(hold, t), 2))
    first.start()
    inside.wait(10)
    assert inner() == [1]
    enough.set()
    first.join()
    assert inner() == [2, 12]


def test_many_callers_at_once() -> None:
    wrong = []

    def caller() -> None:
        for _ in range(300):
            found = spmd(lambda t, n: partial(divmod, t, n), 2)
            if found not in ([(0, 0), (0, 1)], [(0, 0)]):
                wrong.append(found)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert wrong == []


def test_fewer_threads_where_the_system_starts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_team", threads._Team())
    assert spmd(lambda t, n: partial(int, n), 2) == [2, 2]
    monkeypatch.setattr(threading, "Thread", Refused)
    assert spmd(lambda t, n: partial(int, n), 4) == [2, 2]


def test_entering_is_quick() -> None:
    def call(thread: int, count: int) -> Callable[[], int]:
        return int

    times = []
    for _ in range(500):
        start = time.perf_counter()
        spmd(call, 2)
        times.append(time.perf_counter() - start)
    assert min(times) < 200e-6  # some 15 where nobody else wants the cores


# What must not hang


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_workers_of_its_own() -> None:
    code = """
import os, threading, warnings
from functools import partial
from pellucid.compiler import threads
warnings.simplefilter("ignore")  # newer Pythons warn of every fork beside threads
spmd = threads.spmd
assert spmd(lambda t, n: partial(int, t), 3) == [0, 1, 2]
def forked():
    child = os.fork()
    if child == 0:
        os._exit(0 if spmd(lambda t, n: partial(int, t), 3) == [0, 1, 2] else 1)
    assert os.waitpid(child, 0)[1] == 0
forked()
inside, enough = threading.Event(), threading.Event()
def hold():
    inside.set()
    enough.wait(10)
busy = threading.Thread(target=lambda: spmd(lambda t, n: hold, 2))
busy.start()
inside.wait(10)
forked()  # while another thread has the workers
enough.set()
busy.join()
print("done")
"""
    assert run_python(code) == "done\n"


def test_the_interpreter_ends_with_workers_waiting() -> None:
    assert (
        run_python("from pellucid.compiler.threads import spmd\nprint(spmd(lambda t, n: int, 4))") == "[0, 0, 0, 0]\n"
    )


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="no timer signals here")
def test_interrupts_at_any_moment_neither_hang_nor_leave_a_call_behind() -> None:
    # The caller's own share is a C function that ends only if the worker's share was started, as at a barrier.
    code = """
import signal, threading, time
from functools import partial
from pellucid.compiler.threads import spmd
end, interrupts, caught, whole = time.perf_counter() + 1.5, 0, 0, 0
def handler(number, frame):
    global interrupts
    if time.perf_counter() < end:
        interrupts += 1
        raise KeyboardInterrupt
def both():
    lock = threading.Lock()
    lock.acquire()
    spmd(lambda t, n: partial(lock.acquire, True, 20) if t == 0 else lock.release, 2)
def run():
    global caught, whole
    while time.perf_counter() < end:
        try:
            while time.perf_counter() < end:
                both()
                whole += 1
        except KeyboardInterrupt:
            caught += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while time.perf_counter() < end:
    try:
        run()
    except KeyboardInterrupt:
        caught += 1
signal.setitimer(signal.ITIMER_REAL, 0)
start = time.perf_counter()
both()
assert time.perf_counter() - start < 5
print(interrupts > 100, caught > 100, whole > 100)
"""
    assert run_python(code) == "True True True\n"


# Giving threads up


def simulated(times: Callable[[int, int], float], chunks: int, threads: int = 2) -> tuple[float, list[int]]:
    """The whole time of a run whose chunks take `times(number, threads)`, and the threads of each."""
    busy, total, used = Busy(threads), 0.0, []
    for number in range(chunks):
        used.append(busy.threads)
        seconds = times(number, busy.threads)
        total += seconds
        assert busy.took(seconds) == busy.threads
    return total, used


def test_one_thread_stays_one() -> None:
    assert simulated(lambda number, threads: 1.0, 20, threads=1)[1] == [1] * 20


def test_all_threads_are_used_where_they_pay() -> None:
    total, used = simulated(lambda number, threads: {1: 18.0, 4: 10.0}[threads], 200, threads=4)
    assert used[:5] == [4, 4, 4, 1, 4]
    assert used.count(1) <= 6
    assert total < 1.03 * 200 * 10.0


def test_one_thread_is_used_where_more_do_not_pay() -> None:
    total, used = simulated(lambda number, threads: {1: 19.0, 2: 40.0}[threads], 200)
    assert used.count(2) <= 9
    assert total < 1.05 * 200 * 19.0


def test_a_busy_machine_is_noticed_and_so_is_its_end() -> None:
    def times(number: int, threads: int) -> float:
        return {1: 19.0, 2: 40.0 if 300 <= number < 600 else 10.0}[threads]

    total, used = simulated(times, 900)
    assert used[310:600].count(1) > 280
    assert used[680:900].count(2) > 210
    assert total < 1.1 * (600 * 10.0 + 300 * 19.0)


def test_noise_costs_little() -> None:
    def times(number: int, threads: int) -> float:
        return {1: 18.0, 2: 10.0}[threads] * (2.0 if number % 3 == 0 else 1.0)

    total, _ = simulated(times, 600)
    assert total < 1.15 * sum(times(number, 2) for number in range(600))


@pytest.mark.parametrize(("seconds", "steps"), [(1e-4, 30), (1e-6, 1000), (0.5, 1)])
def test_the_other_number_is_tried_for_a_short_while(seconds: float, steps: int) -> None:
    busy = Busy(2)
    while busy.threads == 2:
        assert busy.steps(1000) == 1000
        busy.took(seconds)
    assert busy.steps(1000) == steps
