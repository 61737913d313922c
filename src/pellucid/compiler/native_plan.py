"""The native tier: a recorded graph comes in; a step that runs as machine code leaves. Called by `step`, which falls
back on the NumPy plan where this raises Unsupported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.binding import Binding
from pellucid.compiler.buffers import Lowered
from pellucid.compiler.elements import Unsupported
from pellucid.compiler.layout import orders
from pellucid.compiler.lower import lower
from pellucid.compiler.memory import ALIGNMENT, Memory
from pellucid.compiler.native import Native
from pellucid.compiler.passes import optimized
from pellucid.compiler.threads import get_num_threads
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Graph, Instruction, Value, leaves, mapped

__all__ = ["EpochPlan", "NativePlan", "Prepared", "Unsupported"]

WORTH_THREADS = 200_000
"""A step of fewer operations has too little for a second thread."""

WORTH_CALLING_THREADS = 20_000_000
"""A step of fewer operations, done alone, has ended before a second thread has been called."""


class NativePlan:
    """A graph as machine code, bound to the arrays of its state: one step at a call."""

    tier = "llvm"

    def __init__(self, graph: Graph, binding: Binding) -> None:
        self.graph = graph
        self._binding = binding
        self._bound = Bound(Prepared(graph), binding)
        long = self._bound.lowered.program.notes["flops"] >= WORTH_CALLING_THREADS
        self._threads = self._bound.threads if long else 1
        values = [leaf for leaf in leaves(graph.outputs) if isinstance(leaf, Value)]
        self._outputs = [np.empty(v.spec.shape, v.spec.dtype) for v in values]
        for number, array in zip(self._bound.lowered.outputs, self._outputs, strict=True):
            self._bound.native.bind(number, array)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One step on a batch; new state is written in place."""
        bound = self._bound
        bound.refresh()
        native = bound.native
        for number, array in zip(bound.lowered.inputs, inputs, strict=True):
            native.bind(number, array if array.flags.c_contiguous else np.ascontiguousarray(array))
        native.run(threads=self._threads)
        self._binding.changed()
        return [a.copy() for a in self._outputs]

    @property
    def memory(self) -> Memory:
        return self._bound.lowered.memory

    @cached_property
    def source(self) -> str:
        from pellucid.compiler.emit_python import source

        return source(self._bound.lowered.program)


class EpochPlan:
    """A graph as machine code that picks its batches itself from data in memory: many steps at a call.

    Parameters
        prepared : that graph, or one that is alike, as batched machine code
        data : for each input all its rows, in memory without gaps
    """

    def __init__(self, graph: Graph, prepared: Prepared, data: Sequence[Array]) -> None:
        self._binding = Binding(graph)
        self._bound = Bound(prepared, self._binding)
        self._batch = graph.inputs[0].spec.shape[0]
        for number, rows in zip(self._bound.lowered.inputs, data, strict=True):
            self._bound.native.bind(number, rows[: self._batch])
        self.threads = self._bound.threads

    def begin(self, order: Array, outputs: Sequence[Array], varying: Sequence[Array] = ()) -> None:
        """Go on with rows in an order.

        Parameters
            order : row numbers, int64
            outputs : for each Tensor that a step returns, a place for every step
            varying : for each captured number that varies its value at every step
        """
        bind = self._bound.native.bind
        if self._bound.lowered.order is not None:
            bind(self._bound.lowered.order, order[: self._batch])
        for number, array in zip(self._bound.lowered.outputs, outputs, strict=True):
            bind(number, array[0, ...])
        for place, values in zip(self._bound.varying, varying, strict=True):
            if place is not None:
                bind(place, values[0, ...])

    def run(self, first: int, last: int, threads: int) -> None:
        """Do steps first up to, not including, last; what they return goes to the outputs at those places."""
        self._bound.refresh()
        self._bound.native.run(first, last, threads)
        self._binding.changed()


class Prepared:
    """A graph as machine code that is not bound to any state yet: one serves all graphs that are alike.

    Parameters
        batched : whether it picks its batches itself
        varying : captured numbers that are given for every step
    Attributes
        varying : the buffer number of each of them; None where none is left of it
        numbers : the buffer of each captured tensor that the passes have left, by its position in the graph
        by_columns : the positions of those that lie column by column
        constants : the passes' own constants, by their buffers
    """

    def __init__(self, graph: Graph, batched: bool = False, varying: Sequence[Tensor] = ()) -> None:
        own = with_own_outputs(optimized(graph, native=True))
        order = orders(own)
        place = {id(c.tensor): n for n, c in enumerate(own.captured)}
        given = [place.get(id(t)) for t in varying]
        self.lowered: Lowered = lower(
            own,
            order,
            frozenset(range(len(own.inputs))) if batched else frozenset(),
            frozenset(n for n in given if n is not None),
        )
        numbers = self.lowered.captured
        self.native = Native(self.lowered.program)
        self.varying = [None if n is None else numbers[n] for n in given]
        self.numbers: dict[int, int] = {}
        self.by_columns: list[int] = []
        for position, c in enumerate(graph.captured):
            n = place.get(id(c.tensor))
            if n is not None and n not in given:
                self.numbers[position] = numbers[n]
                if order.get(own.captured[n].value.id):
                    self.by_columns.append(position)
        recorded = {id(c.tensor) for c in graph.captured}
        self.constants = [
            (number, c.tensor.data)
            for number, c in zip(numbers, own.captured, strict=True)
            if id(c.tensor) not in recorded
        ]


class Bound:
    """Machine code with its state in memory."""

    def __init__(self, prepared: Prepared, binding: Binding) -> None:
        self.lowered, self.varying = prepared.lowered, prepared.varying
        self.native = prepared.native.unbound()
        self.threads = get_num_threads() if self.lowered.program.notes["flops"] >= WORTH_THREADS else 1
        self._binding, self._numbers = binding, prepared.numbers
        for position in prepared.by_columns:
            binding.place(position, "F")
        for position, number in prepared.numbers.items():
            self.native.bind(number, binding.arrays[position])
        for number, array in prepared.constants:
            self.native.bind(number, array)
        self._arena = aligned(self.lowered.memory.peak)
        bind_scratch(self.native, self.lowered, self._arena)

    def refresh(self) -> None:
        """Take up the arrays of state that was assigned to from Python."""
        for position in self._binding.fresh():
            if position in self._numbers:
                self.native.bind(self._numbers[position], self._binding.arrays[position])


def aligned(nbytes: int) -> Array:
    """A block of memory that begins at a multiple of a cache line."""
    block = np.zeros(nbytes + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + nbytes]


def bind_scratch(native: Native, lowered: Lowered, arena: Array) -> None:
    """Give every intermediate result its place in the block."""
    for number, offset in lowered.scratch:
        buffer = lowered.program.buffers[number]
        nbytes = int(np.prod(buffer.shape, dtype=np.int64)) * buffer.dtype.itemsize
        flat = arena[offset : offset + nbytes].view(buffer.dtype)
        steps = tuple(s * buffer.dtype.itemsize for s in buffer.strides)
        native.bind(number, np.lib.stride_tricks.as_strided(flat, buffer.shape, steps))


def with_own_outputs(graph: Graph) -> Graph:
    """The graph with a copy for each output and update that is no result of a computation of its own."""
    made_by = {i.output.id: i for i in graph.instructions}
    taken: set[int] = set()
    copies: list[Instruction] = []
    following = max([v.id for v in (*graph.inputs, *(c.value for c in graph.captured))] + [*made_by], default=0) + 1

    def own(value: Any) -> Any:
        nonlocal following
        if not isinstance(value, Value):
            return value
        made = made_by.get(value.id)
        if made is not None and made.op.family != "movement" and value.id not in taken:
            taken.add(value.id)
            return value
        copy = Value(following, value.spec)
        following += 1
        taken.add(copy.id)
        copies.append(Instruction(REGISTRY["positive"], (value,), {}, copy))
        return copy

    updates = tuple((target, own(value)) for target, value in graph.updates)
    outputs = mapped(graph.outputs, own)
    return replace(graph, updates=updates, outputs=outputs, instructions=(*graph.instructions, *copies))
