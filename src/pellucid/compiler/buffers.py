"""The arrays that a program of a graph works on: inputs, captured state, outputs, intermediate results, and the order
of rows of a program that picks its batches itself. Made by `lower`; `native_plan` binds them to memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pellucid._typing import DType, Shape
from pellucid.compiler.elements import Elements, row_major, strides_of
from pellucid.compiler.expressions import INT64, Buffer, BufferKind, Expr, Variable, load, variable
from pellucid.compiler.memory import Memory, Piece, planned
from pellucid.compiler.nest import Call, Program
from pellucid.graph.ir import Graph, Value, input_spec, leaves

Orders = dict[int, tuple[int, ...]]


@dataclass
class Lowered:
    """A program, and which number the buffer of each part of the graph has.

    inputs, captured, outputs : buffer numbers by position.
    scratch : (number, offset) of the intermediate results in their block of memory.
    order : the number of the buffer of row numbers of a program that reads its inputs by it.
    """

    program: Program
    inputs: list[int]
    captured: list[int]
    outputs: list[int]
    scratch: list[tuple[int, int]]
    memory: Memory
    order: int | None = None


@dataclass
class Buffers:
    """The buffers of a graph, entered into `elements` as they are made.

    batched : of a program of many steps, whose outputs have a place for every step, positions of inputs whose rows are
        picked by an order of rows from all rows of a data set; None for a program of one step.
    varying : positions of captured numbers that have a value for every step, such as a learning rate on a schedule.
    """

    graph: Graph
    elements: Elements
    orders: Orders
    batched: frozenset[int] | None = None
    varying: frozenset[int] = frozenset()
    all: list[Buffer] = field(default_factory=list)
    step: Variable = field(default_factory=lambda: Variable("step"))
    order: Buffer | None = None
    inputs: list[int] = field(default_factory=list)
    captured: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    scratch: list[tuple[Buffer, Piece]] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.graph
        self.inputs = [self.add(v.name or f"v{v.id}", v, "input").number for v in graph.inputs]
        for position, c in enumerate(graph.captured):
            kind: BufferKind = "setting" if position in self.varying else "constant" if c.constant else "state"
            self.captured.append(self.add(str(c.value)[1:], c.value, kind).number)
            if position in self.varying:
                self.elements.shift[c.value.id] = variable(self.step)
        if self.batched:
            rows = graph.inputs[min(self.batched)].spec.shape[0]
            self.order = self.new("order", INT64, (rows,), (1,), "order")
            for position in self.batched:
                self.elements.rows[graph.inputs[position].id] = self._picked(rows)
        for leaf in leaves(graph.outputs):
            if isinstance(leaf, Value):
                self.outputs.append(self.add(f"output.{len(self.outputs)}", leaf, "output").number)
                if self.batched is not None:
                    self.elements.shift[leaf.id] = variable(self.step) * leaf.spec.size

    def new(self, name: str, dtype: DType, shape: Shape, strides: Shape, kind: BufferKind) -> Buffer:
        """A further buffer."""
        buffer = Buffer(name, len(self.all), dtype, shape, strides, kind)
        self.all.append(buffer)
        return buffer

    def add(self, name: str, value: Value, kind: BufferKind) -> Buffer:
        """The buffer of a value, which is read from there from now on."""
        order, shape = self.orders.get(value.id), value.spec.shape
        strides = row_major(shape) if order is None else strides_of(shape, order)
        buffer = self.new(name, value.spec.dtype, shape, strides, kind)
        self.elements.buffers[value.id] = buffer
        return buffer

    def _picked(self, rows: int) -> _Picked:
        return _Picked(self.order, self.step, rows)

    def finished(self, phases: list[list[Call]]) -> Lowered:
        """The program of calls, with what `native_plan` must know to bind it."""
        memory = planned([piece for _, piece in self.scratch])
        return Lowered(
            Program(
                tuple(self.all), tuple(map(tuple, phases)), name=self.graph.name, notes={"flops": _work(self.graph)}
            ),
            self.inputs,
            self.captured,
            self.outputs,
            [(b.number, p.offset) for (b, _), p in zip(self.scratch, memory.pieces, strict=True)],
            memory,
            None if self.order is None else self.order.number,
        )


@dataclass(frozen=True)
class _Picked:
    """The row of the data set that stands at a row of the batch."""

    order: Buffer | None
    step: Variable
    rows: int

    def __call__(self, row: Expr) -> Expr:
        assert self.order is not None
        return load(self.order, variable(self.step) * self.rows + row)


def _work(graph: Graph) -> int:
    """Operations of a step: two for each multiplication and addition of a product, ten for each special function."""
    total = 0
    for i in graph.instructions:
        cost = i.op.cost([input_spec(x) for x in i.inputs], i.output.spec, i.attrs)
        total += 2 * cost.macs + cost.flops + 10 * cost.special
    return total
