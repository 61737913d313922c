"""Machine code comes in, with what is known of its buffers; an object that runs it on arrays leaves. It owns the
addresses that the code reads its arrays by. Called by `prepared`, and by the native plan and epochs.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.compiler.engine import Code, arguments
from pellucid.compiler.llvm_shares import FIRST, shares
from pellucid.compiler.table import Place, Table
from pellucid.compiler.threads import renew_after_fork, spmd
from pellucid.errors import GraphError

_SHORT_FLOPS = 400_000
"""A step of no more work than this, some 10 microseconds, keeps Python's lock: to give it away and to get it back
would cost more, and up to 5 ms where another thread wants it."""


class Native:
    """A program as machine code."""

    def __init__(self, code: Code, table: Table) -> None:
        self._code = code
        self._places = [table.places.get(n) for n in range(1 + max(table.places, default=-1))]
        self._drive = code.function()
        self._keeps_gil = table.flops <= _SHORT_FLOPS
        self._phases = table.phases
        self._begin()

    def unbound(self) -> Native:
        """The same machine code with a table of its own, in which no array stands yet."""
        other = copy(self)
        other._begin()
        return other

    def _begin(self) -> None:
        """Make what belongs to one set of arrays."""
        size = len(self._places)
        self._arrays: list[Array | None] = [None] * size
        self._missing = sum(place is not None for place in self._places)
        self._table = (ctypes.c_uint64 * size)()
        self._lock = threading.Lock()
        self._meet(1)
        self._once = self._part(0, 1, 0, 1, keeps_gil=self._keeps_gil)
        renew_after_fork(self)

    def renew(self) -> None:
        """In a forked process: no thread holds the lock, none is at the barrier."""
        self._lock = threading.Lock()
        self._meet(1)

    def _meet(self, threads: int) -> None:
        """Make the memory by which so many threads wait for each other and share rows."""
        words = [0] * FIRST + (shares(self._phases, threads) if threads > 1 else [])
        self._threads, self._barrier = threads, (ctypes.c_int64 * len(words))(*words)

    def bind(self, number: int, array: Array) -> None:
        """Let an array stand in for a buffer, until another does; it is kept alive so long.

        Raises
            GraphError: its dtype, shape or strides are not the buffer's, or it cannot be written as the program does.
        """
        known = self._arrays[number]
        if known is array:
            return
        place = self._places[number]
        assert place is not None
        if (
            array.strides != place.strides
            or array.dtype != place.dtype
            or array.shape != place.shape
            or (place.written and not array.flags.writeable)
        ):
            _refuse_unless_same(place, array)
        self._table[number] = address_of(array)
        self._arrays[number] = array
        if known is None:
            self._missing -= 1

    def run(self, first: int = 0, last: int = 1, threads: int = 1) -> int:
        """Do steps first up to, not including, last.

        Parameters
            threads : how many share the work, at most; the results are the same to the bit
        Returns
            int: the number of steps done
        """
        if threads == 1 and first == 0 and last == 1:
            return self.run_once()
        if self._missing:
            raise self._unbound()
        with self._lock:  # a second thread of Python waits: arrays and barrier are for one run at a time
            if threads > 1:
                return spmd(lambda thread, count: self._part(thread, count, first, last), threads)[0]
            return self._part(0, 1, first, last)()

    def run_once(self) -> int:
        """As `run()`, by the shortest way."""
        if self._missing:
            raise self._unbound()
        with self._lock:
            return self._once()

    def _part(self, thread: int, threads: int, first: int, last: int, keeps_gil: bool = False) -> Callable[[], int]:
        """The call of one thread."""
        if threads not in (1, self._threads):
            self._meet(threads)
        function = self._code.function(keeps_gil=True) if keeps_gil else self._drive
        table, barrier = ctypes.byref(self._table), ctypes.byref(self._barrier)
        return partial(function, *arguments(table, thread, threads, barrier, first, last))

    def _unbound(self) -> GraphError:
        names = [p.name for p, a in zip(self._places, self._arrays, strict=True) if p is not None and a is None]
        return GraphError("compiler.unbound", names=", ".join(names))


def _refuse_unless_same(place: Place, array: Array) -> None:
    """Raise unless the array has the buffer's elements at the buffer's distances; along an axis of one element, and in
    an array of none, any distance is right."""
    lengths = place.shape if array.size else ()
    distances = all(n == 1 or a == b for n, a, b in zip(lengths, array.strides, place.strides, strict=False))
    same = array.dtype == place.dtype and array.shape == place.shape and distances
    if not same or (place.written and not array.flags.writeable):
        raise GraphError(
            "compiler.binding",
            name=place.name,
            given=_described(array.dtype, array.shape, array.strides, array.flags.writeable),
            expected=_described(place.dtype, place.shape, place.strides, place.written),
        )


def _described(dtype: DType, shape: Shape, strides: tuple[int, ...], writeable: bool) -> str:
    return f"{dtype} {shape}, strides {strides}" + (", writeable" if writeable else "")


def _from_interface(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _address_of() -> Callable[[Array], int]:
    """How to read an array's address. NumPy's own ways build objects, 0.8 µs a call, more than a small step takes; the
    address is the first field of the array's C struct, behind the head that every object of CPython has."""
    if sys.implementation.name != "cpython":
        return _from_interface
    at, pointer = object.__basicsize__, ctypes.c_void_p.from_address

    def direct(array: Any) -> int:
        return pointer(id(array) + at).value or 0

    probe = np.zeros(3)
    return direct if direct(probe) == _from_interface(probe) else _from_interface


address_of = _address_of()
