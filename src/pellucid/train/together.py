"""What the runs of `fit_many` have in common, so that it is done once: their data made ready, what was found wrong with
the data, machine code of steps that are alike. `fit_many` enters `together` on each of its threads; `fit`, its checks
and its compiled epochs ask `member` for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pellucid.train.progress import Progress

R = TypeVar("R")


class Together:
    """What runs side by side share.

    Attributes
        programs : the machine code of their steps
    """

    def __init__(self) -> None:
        from pellucid.compiler.programs import Programs  # a run alone has no use for it

        self.programs = Programs()
        self._known: dict[Hashable, tuple[Any, Any]] = {}
        self._lock = threading.RLock()

    def once(self, of: Any, what: Hashable, find: Callable[[], R]) -> R:
        """What `find` gives, found once for an object, which is kept and must not change meanwhile."""
        key = (id(of), what)
        with self._lock:
            if key not in self._known:
                self._known[key] = (of, find())
            result: R = self._known[key][1]
        return result


class Member:
    """One run of several.

    Parameters
        shared : what they have in common
        progress : who is told how this run goes
        alike : how many runs there are with a network of the same shapes
    """

    def __init__(self, shared: Together, progress: Progress, alike: int) -> None:
        self.shared, self.progress, self.alike = shared, progress, alike


class _Here(threading.local):
    member: Member | None = None


_here = _Here()


def member() -> Member | None:
    """The run of `fit_many` that this thread is at; None where `fit` was called alone."""
    return _here.member


@contextmanager
def together(one: Member) -> Iterator[None]:
    """Inside, this thread trains one of several."""
    before, _here.member = _here.member, one
    try:
        yield
    finally:
        _here.member = before


def once(of: Any, what: Hashable, find: Callable[[], R]) -> R:
    """What `find` gives; in `fit_many` found once for all runs."""
    one = _here.member
    return find() if one is None else one.shared.once(of, what, find)
