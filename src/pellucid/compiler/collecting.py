"""Python's collector of cycles, which rests while a step is recorded or compiled. Called by `record` and `prepared`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside, no cycles are looked for: tens of thousands of objects are made here, few are let go and those by
    themselves, and to look through all of them again and again takes a tenth of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
