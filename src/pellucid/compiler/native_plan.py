"""The native tier: a recorded graph comes in; a step that runs as machine code leaves. Called by `step`, which falls
back on the NumPy plan where this raises Unsupported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.binding import Binding
from pellucid.compiler.memory import ALIGNMENT, Memory
from pellucid.compiler.native import Native
from pellucid.compiler.prepared import Prepared, lowered_with_table
from pellucid.compiler.table import Place, Table
from pellucid.compiler.threads import Busy, get_num_threads
from pellucid.graph.ir import Graph, Value, leaves

WORTH_THREADS = 200_000
"""A step of fewer operations has too little for a second thread."""

WORTH_CALLING_THREADS = 20_000_000
"""A step of fewer operations, done alone, has ended before a second thread has been called."""


class NativePlan:
    """A graph as machine code, bound to the arrays of its state: one step at a call.

    Parameters
        columns : captured values that lie column by column, by number, since other machine code has them so
    """

    tier = "llvm"

    def __init__(self, graph: Graph, binding: Binding, columns: frozenset[int] = frozenset()) -> None:
        self.graph = graph
        self._binding, self._columns = binding, columns
        self._bound = Bound(Prepared(graph, columns=columns), binding)
        long = self._bound.table.flops >= WORTH_CALLING_THREADS
        self._threads = self._bound.threads if long else 1
        native = self._bound.native
        self._run = native.run_once if self._threads == 1 else partial(native.run, threads=self._threads)
        self._inputs = self._bound.table.inputs
        values = [leaf for leaf in leaves(graph.outputs) if isinstance(leaf, Value)]
        self._outputs = [np.empty(v.spec.shape, v.spec.dtype) for v in values]
        for number, array in zip(self._bound.table.outputs, self._outputs, strict=True):
            self._bound.native.bind(number, array)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One step on a batch; new state is written in place."""
        return [a.copy() for a in self.step(inputs)]

    def one(self, array: Array) -> Array:
        """As `run`, of one array to one, without its loops, which take a seventh of such a call."""
        self._bound.refresh()
        whole = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        self._bound.native.bind(self._inputs[0], whole)
        self._run()
        self._binding.changed()
        return self._outputs[0].copy()

    def step(self, inputs: Sequence[Array]) -> list[Array]:
        """As `run`, but the arrays are those that the next step writes to."""
        self._bound.refresh()
        native = self._bound.native
        for number, array in zip(self._inputs, inputs, strict=True):
            native.bind(number, array if array.flags.c_contiguous else np.ascontiguousarray(array))
        self._run()
        self._binding.changed()
        return self._outputs

    @property
    def memory(self) -> Memory:
        return self._bound.table.memory

    @cached_property
    def source(self) -> str:
        from pellucid.compiler.emit_python import source

        return source(lowered_with_table(self.graph, columns=self._columns)[0].program)


class EpochPlan:
    """A graph as machine code that picks its batches itself from data in memory: many steps at a call.

    Parameters
        prepared : that graph, or one that is alike, as batched machine code
        data : for each input all its rows, in memory without gaps
    """

    def __init__(self, graph: Graph, prepared: Prepared, data: Sequence[Array]) -> None:
        self._binding = Binding(graph)
        self._prepared, self._bound = prepared, Bound(prepared, self._binding)
        self._batch = graph.inputs[0].spec.shape[0]
        for number, rows in zip(self._bound.table.inputs, data, strict=True):
            self._bound.native.bind(number, rows[: self._batch])
        self.threads = self._bound.threads

    def busy(self) -> Busy:
        """Who says with how many threads to run: it goes on from what an earlier run of such steps has found."""
        known = self._prepared.busy
        self._prepared.busy = found = Busy(self.threads) if known is None else known.followed(self.threads)
        return found

    def begin(self, order: Array, outputs: Sequence[Array], varying: Sequence[Array] = ()) -> None:
        """Go on with rows in an order.

        Parameters
            order : row numbers, int64
            outputs : for each Tensor that a step returns, a place for every step
            varying : for each captured number that varies its value at every step
        """
        bind = self._bound.native.bind
        if self._bound.table.order is not None:
            # A step asks for the rows of the next one, and after the last step there must be numbers of rows too.
            further = np.concatenate([order, order[: self._batch]])
            bind(self._bound.table.order, further[: self._batch])
        for number, array in zip(self._bound.table.outputs, outputs, strict=True):
            bind(number, array[0, ...])
        for place, values in zip(self._bound.table.varying, varying, strict=True):
            if place is not None:
                bind(place, values[0, ...])

    def run(self, first: int, last: int, threads: int) -> None:
        """Do steps first up to, not including, last; what they return goes to the outputs at those places."""
        self._bound.refresh()
        self._bound.native.run(first, last, threads)
        self._binding.changed()


class Bound:
    """Machine code with its state in memory."""

    def __init__(self, prepared: Prepared, binding: Binding) -> None:
        table = self.table = prepared.table
        self.native = prepared.native.unbound()
        self.threads = get_num_threads() if table.flops >= WORTH_THREADS else 1
        self._binding = binding
        for position, number in table.captured.items():
            # Other code may have left it in the other order.
            binding.place(position, "F" if position in table.by_columns else "C")
            self.native.bind(number, binding.arrays[position])
        for number, array in table.constants:
            self.native.bind(number, _laid(array, table.places[number]))
        self._arena = aligned(table.memory.peak)
        bind_scratch(self.native, table, self._arena)

    def refresh(self) -> None:
        """Take up the arrays of state that was assigned to from Python."""
        for position in self._binding.fresh():
            if position in self.table.captured:
                self.native.bind(self.table.captured[position], self._binding.arrays[position])


def _laid(array: Array, place: Place) -> Array:
    """A constant with its elements where the program reads them."""
    if array.strides == place.strides:
        return array
    order = sorted(range(array.ndim), key=lambda a: -place.strides[a])
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))


def aligned(nbytes: int) -> Array:
    """A block of memory that begins at a multiple of a cache line."""
    block = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + nbytes]


def bind_scratch(native: Native, table: Table, arena: Array) -> None:
    """Give every intermediate result its place in the block."""
    for number, offset in table.scratch:
        place = table.places[number]
        nbytes = math.prod(place.shape) * place.dtype.itemsize
        native.bind(number, np.ndarray(place.shape, place.dtype, arena[offset : offset + nbytes], 0, place.strides))
