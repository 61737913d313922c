"""Calls come in, one for each thread; they have run side by side when `spmd` returns. Called by native for the threads
of one program; `Busy` by whoever runs a program again and again, to give up threads that do not pay.

The caller's thread makes the first call itself. The others go to workers that are kept, each waiting at a queue of its
own, so that a run costs a few microseconds and no thread is started for it.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from operator import call as _call
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from pellucid.core.check import Integer, check
from pellucid.errors import ArgumentError

R = TypeVar("R")

_make: Callable[[Callable[[], Any]], Any] = _call

_ALLOWED = Integer(1, 1024)
_chosen: int | None = None


def set_num_threads(num_threads: int | None) -> None:
    """Choose how many threads a compiled function may use; the results are the same to the bit.

    Parameters
        num_threads : int in [1, 1024], or None for `PELLUCID_NUM_THREADS` or else the cores that this process may use
    Raises
        ArgumentTypeError: neither a whole number nor None.
        ArgumentError: out of range.
    """
    global _chosen
    if num_threads is not None:
        check("num_threads", num_threads, _ALLOWED)
        num_threads = int(num_threads)
    _chosen = num_threads


def get_num_threads() -> int:
    """How many threads a compiled function may use.

    Returns
        int: what `set_num_threads` chose, else `PELLUCID_NUM_THREADS`, else the cores that this process may use; in a
            thread that `fit_many` trains on, 1
    Raises
        ArgumentError: `PELLUCID_NUM_THREADS` is no whole number from 1 to 1024.
    """
    if _here.limit is not None:
        return _here.limit
    if _chosen is not None:
        return _chosen
    words = os.environ.get("PELLUCID_NUM_THREADS")
    if words:
        if not (words.isdecimal() and _ALLOWED.value_ok(int(words))):
            raise ArgumentError("core.range", name="PELLUCID_NUM_THREADS", value=repr(words), range=str(_ALLOWED))
        return int(words)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), 1024)
    return min(os.cpu_count() or 1, 1024)


class _Here(threading.local):
    limit: int | None = None


_here = _Here()


@contextmanager
def limited(num_threads: int) -> Iterator[None]:
    """Inside, what this thread of Python runs uses so many threads, whatever was chosen for others."""
    before, _here.limit = _here.limit, num_threads
    try:
        yield
    finally:
        _here.limit = before


def spmd(part: Callable[[int, int], Callable[[], R]], threads: int) -> list[R]:
    """Make the call of each thread at once, and wait for all.

    While the workers are at another caller's calls, the caller's own thread does everything alone.

    Parameters
        part : given a thread's number and how many threads there are, that thread's call. Calls that wait for each
            other must be C functions (a partial of one counts): an interrupt could keep one in Python from starting.
        threads : how many there are at most
    Returns
        what the calls returned, in the order of the threads
    Raises
        the exception of the first call, by thread, that raised one, when all calls have ended
    """
    team = _team
    if threads == 1 or team.lock.locked():
        return [part(0, 1)()]
    with team.lock:  # who comes between the question and the lock waits, which is as right
        queues = team.queues(threads - 1)
        threads = 1 + len(queues)
        jobs = [_Job(part(thread, threads)) for thread in range(1, threads)]
        mine = part(0, threads)
        # One C call does it all: start the workers, do this thread's share, wait. Within it Python does not look for
        # Ctrl-C, which between a start and this thread's share would leave the workers waiting at a barrier for ever.
        begun: list[None] = []
        calls: list[Callable[[], Any]] = [partial(begun.append, None)]
        calls += [partial(queue.put, job) for queue, job in zip(queues, jobs, strict=True)]
        calls += [mine, *(job.ended.acquire for job in jobs)]
        together = map(_make, calls)
        try:
            first: R = list(together)[threads]
        except BaseException:
            if begun:
                _wait(jobs)
            raise
    return [first, *(job.outcome() for job in jobs)]


class _Job(Generic[R]):
    """A call on its way to a worker and back."""

    __slots__ = ("_call", "_error", "_result", "done", "ended")

    def __init__(self, call: Callable[[], R]) -> None:
        self._call: Callable[[], R] | None = call
        self._error: BaseException | None = None
        self._result: R | None = None
        self.done = False
        self.ended = threading.Lock()
        self.ended.acquire()

    def run(self) -> None:
        """Make the call; the worker's part."""
        assert self._call is not None
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error
        self._call = None
        self.done = True
        self.ended.release()

    def outcome(self) -> R:
        """What the call returned or raised; the caller's part."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


def _wait(jobs: list[_Job[Any]]) -> None:
    """Wait for all, whatever interrupts: their memory must not be freed under them."""
    for job in jobs:
        while not job.done:
            with suppress(KeyboardInterrupt):  # one is on its way to the caller already
                job.ended.acquire()


class _Team:
    """The kept workers; they are daemons, so that waiting ones do not keep the interpreter from ending."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._queues: list[SimpleQueue[_Job[Any]]] = []

    def queues(self, number: int) -> list[SimpleQueue[_Job[Any]]]:
        """The queues of so many workers, or of fewer where the system refuses to start more."""
        while len(self._queues) < number:
            queue: SimpleQueue[_Job[Any]] = SimpleQueue()
            name = f"pellucid-{len(self._queues) + 1}"
            try:
                threading.Thread(target=_work, args=(queue,), name=name, daemon=True).start()
            except RuntimeError:
                break
            self._queues.append(queue)
        return self._queues[:number]


def _work(queue: SimpleQueue[_Job[Any]]) -> None:
    while True:
        queue.get().run()


_team = _Team()


class Renewed(Protocol):
    """Something with a lock of its own, such as a compiled function."""

    def renew(self) -> None:
        """In a forked process: let no lock be held, and nothing be half done, by a thread that is not there."""
        ...


_renewed: weakref.WeakSet[Renewed] = weakref.WeakSet()


def renew_after_fork(owner: Renewed) -> None:
    """Renew an object in every process that is forked from this one, as long as it is there."""
    _renewed.add(owner)


def _after_fork() -> None:
    """A forked process has none of its parent's threads, and a lock that one of them held stays locked."""
    global _team
    _team = _Team()
    for owner in list(_renewed):
        owner.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Busy:
    """Says with how many threads to run the next chunk of a long run: with all, or with one, where another process
    takes the cores away or a step is too short to be shared. It has no clock of its own, but is told what each chunk
    took.

    The other number is tried after some chunks, then ever more rarely while it stays the slower, and sooner when
    chunks become slower than they were.

    Attributes
        threads : for the next chunk
    """

    _WARM_UP, _LONGEST_WAIT = 2, 64
    _TRIAL_S = 3e-3
    _RECENT = 3
    _SLOWER = 1.5

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._chosen, self._other = threads, 1
        self._times: deque[float] = deque(maxlen=self._RECENT)
        self._normal = math.inf
        self._wait, self._rested = self._WARM_UP, 0

    def followed(self, threads: int) -> Busy:
        """One for a further run of the same steps, which knows what this one does; a new one for other threads."""
        if threads != max(self._chosen, self._other):
            return Busy(threads)
        new = copy(self)
        new._times = self._times.copy()
        return new

    def steps(self, most: int) -> int:
        """How many steps to do before the next `took`: all, or a few where the other number is tried."""
        if self.threads == self._chosen:
            return most
        return min(most, max(1, int(self._TRIAL_S / max(min(self._times), 1e-9))))

    def took(self, seconds: float) -> int:
        """Note what a step of the latest chunk took, on average, and choose for the next.

        Returns
            int: `threads`
        """
        if self._chosen == self._other:
            return self.threads
        if self.threads == self._chosen:
            self._times.append(seconds)
            self._rested += 1
            recent = min(self._times)  # one slow chunk among quick ones says nothing
            slowed = recent > self._SLOWER * self._normal and self._rested > self._wait // 8
            self._normal = min(self._normal, recent)
            if slowed or self._rested > self._wait:
                self.threads = self._other
            return self.threads
        # That was a trial of the other number.
        if seconds < min(self._times):
            self._chosen, self._other = self._other, self._chosen
            self._times = deque([seconds], maxlen=self._RECENT)
            self._wait = 0  # a moment's noise may have been why: the number before is tried again soon
        self._wait = min(2 * self._wait + 1, self._LONGEST_WAIT)
        self._normal, self._rested = min(self._times), 0  # what is normal may have changed for good
        self.threads = self._chosen
        return self.threads
