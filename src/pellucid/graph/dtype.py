"""The default float dtype for the time in which a graph is checked or run: that of its recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.core.context import default_dtype, set_default_dtype


@contextmanager
def float_dtype(name: str) -> Iterator[None]:
    """Make `name` the default dtype inside."""
    before = default_dtype().name
    if before == name:
        yield
        return
    set_default_dtype(name)
    try:
        yield
    finally:
        set_default_dtype(before)
