"""The NumPy tier: a recorded graph comes in; a list of NumPy calls into memory that is made once leaves, and runs to
the bits of `graph.run`. Called by `step` where there is no machine code. `numpy_calls` says how an operation is called;
here its operands get their memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property, partial
from itertools import accumulate
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.binding import Binding
from pellucid.compiler.memory import ALIGNMENT, Memory, Piece
from pellucid.compiler.numpy_calls import (
    Call,
    Operation,
    Place,
    applied,
    elementwise_calls,
    may_be_view,
    product_of,
    view_of,
)
from pellucid.compiler.passes import optimized
from pellucid.core.context import quiet
from pellucid.core.spec import Spec
from pellucid.graph.ir import Graph, Instruction, Value, leaves
from pellucid.graph.text import scope_text


class NumpyPlan:
    """A graph as NumPy calls, bound to the arrays of its state: one step at a call."""

    tier = "numpy"

    def __init__(self, graph: Graph, binding: Binding) -> None:
        self.graph = graph
        self._binding = binding
        self._lean = optimized(graph, native=False)
        positions = {c.tensor: n for n, c in enumerate(graph.captured)}
        # A pass may have dropped some of the captured tensors, and made constants.
        self._positions = [positions.get(c.tensor) for c in self._lean.captured]
        self._bind()

    def _bind(self) -> None:
        self._made = made = _Made(self._lean, self._state())
        self._calls = [call.bound() for call in made.calls]
        self._copies = [call.bound() for call in made.copies]

    def _state(self) -> list[Array]:
        return [
            c.tensor.data if n is None else self._binding.arrays[n]
            for n, c in zip(self._positions, self._lean.captured, strict=True)
        ]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One step on a batch; new state is written in place."""
        if self._binding.fresh():
            self._take_up(self._state())
        made = self._made
        for place, array in zip(made.inputs, inputs, strict=True):
            place.set(array)
        with quiet():
            for function, arguments in self._calls:
                function(*arguments)
        results = [place.array.copy() for place in made.outputs]
        for function, arguments in self._copies:
            function(*arguments)
        self._binding.changed()
        return results

    def _take_up(self, arrays: list[Array]) -> None:
        """Go on with the arrays that state has now."""
        places = self._made.captured
        if any(a.strides != p.array.strides for a, p in zip(arrays, places, strict=True)):
            self._bind()  # what was a view of it may have to be a copy now
            return
        for place, array in zip(places, arrays, strict=True):
            if place.array is not array:
                place.set(array)

    @property
    def memory(self) -> Memory:
        return self._made.blocks.memory

    @cached_property
    def source(self) -> str:
        made = self._made
        lines = [f"def {self.graph.name}({', '.join(place.name for place in made.inputs)}):"]
        lines += [f"    {call}" for call in (*made.calls, *made.copies)]
        return "\n".join([*lines, f"    return {', '.join(place.name for place in made.outputs)}"])


class _Made:
    """The calls of a graph, with a place for every value.

    Results live in blocks of memory, each for as long as it or a view of it is read. New state is written straight into
    its array where the old one has been read for the last time, else copied there at the end.
    """

    def __init__(self, graph: Graph, state: list[Array]) -> None:
        self.graph = graph
        self.calls: list[Call] = []
        self.blocks = Blocks()
        self._reads = Reads(graph)
        self._elementwise = {i.output.id: elementwise_calls(i) for i in graph.instructions}
        known = {c.value.id for c in graph.captured}
        self._updates = [(target, value) for target, value in graph.updates if target.id in known]
        self._targets = self._written_in_place()
        self._places: dict[int, Place] = {}
        self.inputs = [self._root(v, np.empty(v.spec.shape, v.spec.dtype), steady=False) for v in graph.inputs]
        self.captured = [self._root(c.value, a, steady=True) for c, a in zip(graph.captured, state, strict=True)]
        for position, instruction in enumerate(graph.instructions):
            self._places[instruction.output.id] = self._placed(position, instruction)
        self.outputs = [self._places[v.id] for v in leaves(graph.outputs) if isinstance(v, Value)]
        self.copies = self._copied_at_the_end()

    def _root(self, value: Value, array: Array, steady: bool) -> Place:
        place = self._places[value.id] = Place(_name(value), array, steady)
        return place

    def _written_in_place(self) -> dict[int, Value]:
        """The state whose array a result is computed into, by the result's id."""
        made = {i.output.id: n for n, i in enumerate(self.graph.instructions)}
        new = [value.id for _, value in self._updates]
        return {
            value.id: target
            for target, value in self._updates
            if new.count(value.id) == 1 and self._elementwise.get(value.id) is not None
            if self._is_read_by_then(target, made[value.id])
        }

    def _is_read_by_then(self, target: Value, position: int) -> bool:
        """Whether the old value of state is no longer needed once an instruction has begun; this one may read it,
        element by element."""
        last = self._reads.last.get(target.id, -1)
        if last != position:
            return last < position
        instruction = self.graph.instructions[position]
        given = [x.id for x in instruction.inputs if isinstance(x, Value)]
        views = [i for i in given if i != target.id and target.id in self._reads.sources[i]]
        return not views and not (instruction.op.name == "where" and given[0] == target.id)

    def _placed(self, position: int, instruction: Instruction) -> Place:
        """The place of a result, after the calls that leave it there."""
        value = instruction.output
        operands = [self._places[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
        view = view_of(instruction)
        if view is not None:
            place: Place | None = operands[0].view(applied(instruction, [operands[0].name]), view)
            if place is not None:
                return place
        where = scope_text(instruction.scope)
        elementwise = self._elementwise[value.id]
        if elementwise is not None:
            target = self._targets.get(value.id)
            early = target is None or self._reads.last.get(target.id, -1) < position
            out = self._buffer(position, value, _order(operands)) if target is None else self._places[target.id]
            calls = elementwise.write(operands, out, partial(self._temporary, position), early)
        elif (product := product_of(instruction)) is not None:
            out = self._buffer(position, value)
            calls = product(operands, out)
        else:
            out = Place(_name(value), np.empty(value.spec.shape, value.spec.dtype), steady=False)
            calls = [Call(Operation(instruction, out), operands)]
        self.calls += [Call(call.function, call.arguments, where) for call in calls]
        return out

    def _buffer(self, position: int, value: Value, order: Order = "C") -> Place:
        last = self._reads.last.get(value.id, position)
        name = _name(value)
        return Place(name, self.blocks.array(name, value.spec, position, last, order), steady=True)

    def _temporary(self, position: int, spec: Spec) -> Place:
        name = f"t{len(self.blocks.pieces)}"
        return Place(name, self.blocks.array(name, spec, position, position, "C"), steady=True)

    def _copied_at_the_end(self) -> list[Call]:
        """Copies of new state; of what other state was before, from a copy that is made in time."""
        end = len(self.graph.instructions)
        changed = {target.id for target, _ in self._updates}
        copies = []
        for target, value in self._updates:
            if value.id in self._targets:
                continue
            source = self._places[value.id]
            if changed & self._reads.sources[value.id] - {value.id} or value.id in changed:
                apart = self._temporary(end, value.spec)
                self.calls.append(Call(np.copyto, (apart, source)))
                source = apart
            copies.append(Call(np.copyto, (self._places[target.id], source)))
        return copies


Order = Literal["C", "F"]


def _name(value: Value) -> str:
    """A name that Python could have."""
    return re.sub(r"\W", "_", value.name) or f"v{value.id}"


def _order(operands: Sequence[Any]) -> Order:
    """The order of memory that NumPy gives the result of an elementwise operation."""
    flags = [p.array.flags for p in operands if isinstance(p, Place) and p.array.ndim > 1]
    return "F" if flags and all(f.f_contiguous and not f.c_contiguous for f in flags) else "C"


class Reads:
    """Until when the values of a graph are read.

    sources : for every value those whose memory it may look at, itself among them.
    last : for every value the last instruction that reads it or what may look at it; the number of instructions for
        what is read after them all.
    """

    def __init__(self, graph: Graph) -> None:
        roots = (*graph.inputs, *(c.value for c in graph.captured))
        self.sources = {value.id: frozenset((value.id,)) for value in roots}
        self.last: dict[int, int] = {}
        for position, instruction in enumerate(graph.instructions):
            given = [x.id for x in instruction.inputs if isinstance(x, Value)]
            seen = [self.sources[i] for i in given] if may_be_view(instruction) else []
            self.sources[instruction.output.id] = frozenset((instruction.output.id,)).union(*seen)
            for i in (*given, instruction.output.id):
                self._read(i, position)
        for value in (*leaves(graph.outputs), *(value for _, value in graph.updates)):
            if isinstance(value, Value):
                self._read(value.id, len(graph.instructions))

    def _read(self, identity: int, position: int) -> None:
        for source in self.sources[identity]:
            self.last[source] = position


class Blocks:
    """Memory for results: a block that is no longer read is given to the next result that fits."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, int, int, int, int]] = []
        self._blocks: list[Array] = []
        self._read_until: list[int] = []

    def array(self, name: str, spec: Spec, first: int, last: int, order: Order) -> Array:
        """An array for a result that is made by one instruction and last read by another."""
        nbytes = spec.nbytes
        free = [n for n, b in enumerate(self._blocks) if self._read_until[n] < first and nbytes <= b.size <= 2 * nbytes]
        number = min(free, key=lambda n: self._blocks[n].size, default=len(self._blocks))
        if number == len(self._blocks):
            self._blocks.append(np.empty(nbytes, np.uint8))
            self._read_until.append(last)
        self._read_until[number] = last
        self.pieces.append((name, nbytes, first, last, number))
        return self._blocks[number][:nbytes].view(spec.dtype).reshape(spec.shape, order=order)

    @property
    def memory(self) -> Memory:
        """The blocks side by side, and what lies in them."""
        sizes = [-(-b.size // ALIGNMENT) * ALIGNMENT for b in self._blocks]
        starts = [0, *accumulate(sizes)]
        pieces = tuple(Piece(name, nbytes, first, last, starts[n]) for name, nbytes, first, last, n in self.pieces)
        return Memory(pieces, starts[-1])
