"""Captured tensors and the arrays that a plan works on. A plan writes new state in place, so each tensor that it
updates has an array that no one else can see: it is made at the first binding and known to every plan, so that several
compiled functions over one model share it. `tensor.data` is that array between runs; what Python assigns is taken up by
the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pellucid._typing import Array
from pellucid.core.written import LENT, WRITES, changed_now, mark
from pellucid.graph.ir import Graph


def _adjoin(arrays: Sequence[Array]) -> bool:
    """Whether arrays are parts of one block that `together` made, one after the other."""
    memory, start = arrays[0].base, arrays[0].ctypes.data
    for array in arrays:
        if not isinstance(memory, bytearray) or array.base is not memory or array.ctypes.data != start:
            return False
        start += array.nbytes
    return True


class Binding:
    """The arrays of a graph's captured tensors.

    arrays : in the order of `graph.captured`.
    """

    def __init__(self, graph: Graph) -> None:
        updated = {target.id for target, _ in graph.updates}
        self._tensors = [c.tensor for c in graph.captured]
        self._updated = [c.value.id in updated for c in graph.captured]
        self._orders: list[Literal["C", "F"] | None] = [None] * len(self._tensors)
        self.arrays: list[Array] = [self._array(n) for n in range(len(self._tensors))]
        self._changed_at = -1
        self._changing = [t for t, changes in zip(self._tensors, self._updated, strict=True) if changes]
        self._mark()

    def place(self, position: int, order: Literal["C", "F"]) -> None:
        """Ask for an array in an order of memory, rows or columns first."""
        self._orders[position] = order
        array = self._array(position)
        if array is not self.arrays[position]:
            self.arrays[position] = array
            self._mark()

    def together(self, positions: Sequence[int]) -> Array:
        """The arrays of some tensors of one dtype as parts of one, one after the other."""
        arrays = [self.arrays[n] for n in positions]
        size = sum(a.size for a in arrays)
        if not _adjoin(arrays):
            # Parts of memory that is no array: to a write of Python's each of them is an array of its own.
            memory, start = bytearray(size * arrays[0].itemsize), 0
            for n, array in zip(positions, arrays, strict=True):
                part: Array = np.ndarray(array.shape, array.dtype, memory, start)
                part[...] = array
                start += array.nbytes
                LENT[id(part)] = self.arrays[n] = self._tensors[n].__dict__["data"] = part
            self._mark()
        first = self.arrays[positions[0]]
        offset = first.ctypes.data - np.ndarray(0, np.uint8, first.base).ctypes.data
        return np.ndarray(size, first.dtype, first.base, offset)

    def fresh(self) -> list[int]:
        """The positions whose tensor has got another array since; `arrays` has it now."""
        for attributes, array in self._known:
            if attributes["data"] is not array:
                break
        else:
            return []
        found = [n for n, t in enumerate(self._tensors) if t.data is not self.arrays[n]]
        for n in found:
            self.arrays[n] = self._array(n)
        if found:
            self._mark()
        return found

    def changed(self) -> None:
        """After a run: what was updated has changed now, so that a history made before is refused."""
        if not self._changing:
            return
        now = changed_now()
        # Where nothing was made or written since the last run, nothing can tell its time from now.
        if now - 1 != self._changed_at:
            for t in self._changing:
                t._changed = now
            for key, reference in self._marks:
                WRITES[key] = (reference, now)
        self._changed_at = now

    def _mark(self) -> None:
        # By attributes: a Parameter's own are looked for in its class first, which takes twice as long.
        self._known = [(vars(t), array) for t, array in zip(self._tensors, self.arrays, strict=True)]
        self._marks = [mark(t.data) for t in self._changing]
        self._changed_at = -1

    def _array(self, position: int) -> Array:
        """The tensor's array, made our own where the plan writes to it or wants another order."""
        tensor, order = self._tensors[position], self._orders[position]
        array = tensor.data
        if not isinstance(array, np.ndarray):  # a number of NumPy's, which Python put there
            array = tensor.__dict__["data"] = np.asarray(array)
        own = LENT.get(id(array)) is array
        if order is not None:
            fits = array.flags.f_contiguous if order == "F" else array.flags.c_contiguous
        else:
            fits = own or array.flags.c_contiguous
        if fits and (own or not self._updated[position]):
            return array
        array = np.array(array, order=order or "C", copy=True)
        LENT[id(array)] = array
        tensor.__dict__["data"] = array
        return array
