"""Ctrl-C as a request: while `fit` runs, the first one lets the running step finish and then ends training; a second
one does not wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def on_interrupt(request: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Call `request` on the first Ctrl-C inside the block, and raise KeyboardInterrupt on the next.

    An update that is cut in two would leave weights that no epoch had. The block is given a function to call when
    training has ended: from then on one Ctrl-C is passed over, so that the best weights are given back whole.

    Python's own behaviour stays where the user has set a handler, and in threads other than the main one, to which
    signals do not come.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield lambda: None
        return
    answers: list[Callable[[], None]] = [request]

    def handler(number: int, frame: Any) -> None:
        if not answers:
            raise KeyboardInterrupt
        answers.pop()()

    def finishing() -> None:
        answers[:] = [lambda: None]

    signal.signal(signal.SIGINT, handler)
    try:
        yield finishing
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
