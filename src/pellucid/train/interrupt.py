"""Ctrl-C as a request: while `fit` runs, the first one lets the running step finish and then ends training; a second
one does not wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def on_interrupt(request: Callable[[], None]) -> Iterator[None]:
    """Call `request` on the first Ctrl-C inside the block, and raise KeyboardInterrupt on the next.

    An update that is cut in two would leave weights that no epoch had. Python's own behaviour stays where the user has
    set a handler, and in threads other than the main one, to which signals do not come.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def handler(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        request()

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
