"""The clock of tensors, and what it is for: which tensors and arrays were changed in place, and when. Several tensors
may look at one array (a slice, a reshaped or a detached tensor), so a write through one of them concerns all:
`x[0] = 1` notes it here, and backward asks before it uses a value that an operation saw earlier.
"""

from __future__ import annotations

import threading
import weakref
from itertools import count

import numpy as np

from pellucid._typing import Array

clock = count(1).__next__
"""The next time: every computed tensor and every change has its own, so that what was made is always later than what it
was made from."""


class Changes:
    """When a tensor was last changed in place, any tensor: what was made later needs no look at its inputs."""

    latest = 0


_one_at_a_time = threading.Lock()


def changed_now() -> int:
    """The time of a change that happens now."""
    with _one_at_a_time:  # else a slow thread could set the latest time back, and another's change go unseen
        Changes.latest = time = clock()
    return time


WRITES: dict[int, tuple[weakref.ref[Array], int]] = {}
"""By the id of the array that owns the memory: the array, and the time of the last write. An entry goes with its
array."""


LENT: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()
"""Arrays, by id, that compiled code writes to in place: whoever keeps the values of one needs a copy."""


def is_lent(array: Array) -> bool:
    """Whether compiled code writes to this memory."""
    return bool(LENT) and (array is LENT.get(id(array)) or id(owner(array)) in LENT)


def owner(array: Array) -> Array:
    """The array whose memory this one looks at: itself, or the one that it is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note_write(array: Array, time: int) -> None:
    """The memory of `array` was written to at `time`."""
    key, reference = mark(array)
    WRITES[key] = (reference, time)


def mark(array: Array) -> tuple[int, weakref.ref[Array]]:
    """The entry of an array in WRITES but for the time: for whoever writes to it again and again."""
    whole = owner(array)
    key = id(whole)
    return key, weakref.ref(whole, lambda _: WRITES.pop(key, None))


def written_after(array: Array, time: int) -> bool:
    """Whether the memory of `array` was written to after `time`."""
    entry = WRITES.get(id(owner(array)))
    return entry is not None and entry[1] > time
