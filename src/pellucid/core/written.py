"""Which arrays were written in place, and when. Several tensors may look at one array (a slice, a reshaped or a
detached tensor), so a write through one of them concerns all: `x[0] = 1` notes it here, and backward asks before it
uses a value that an operation saw earlier.
"""

from __future__ import annotations

import weakref

import numpy as np

from pellucid._typing import Array

WRITES: dict[int, tuple[weakref.ref[Array], int]] = {}
"""By the id of the array that owns the memory: the array, and the time of the last write. An entry goes with its
array."""


def owner(array: Array) -> Array:
    """The array whose memory this one looks at: itself, or the one that it is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note_write(array: Array, time: int) -> None:
    """The memory of `array` was written to at `time`."""
    whole = owner(array)
    key = id(whole)
    WRITES[key] = (weakref.ref(whole, lambda _: WRITES.pop(key, None)), time)


def written_after(array: Array, time: int) -> bool:
    """Whether the memory of `array` was written to after `time`."""
    entry = WRITES.get(id(owner(array)))
    return entry is not None and entry[1] > time
