"""What all loop nests are made of: loops over a group's elements, results computed in them, and where they are stored.
`lower` and `convolution_nests` put nests together from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pellucid.compiler.buffers import Buffers, Orders
from pellucid.compiler.elements import Elements, Index, offset
from pellucid.compiler.expressions import INT64, Expr, Variable, named, number, variable
from pellucid.compiler.groups import Groups
from pellucid.compiler.nest import Call, Kernel, Let, Loop, Statement, Store
from pellucid.compiler.pieces import in_pieces
from pellucid.compiler.schedule import Planned
from pellucid.graph.ir import Graph, Instruction


@dataclass
class Nest:
    """The statements of a kernel while they are made."""

    planned: Planned
    kernel: Kernel
    body: list[Statement] = field(default_factory=list)


class Nests:
    """The nests of a graph's groups.

    groups, elements : what is computed together, and how an element of each value is had.
    orders : of the axes in memory, for values that do not have the last closest.
    """

    def __init__(self, graph: Graph, orders: Orders, batched: frozenset[int] | None, varying: frozenset[int]) -> None:
        self.graph, self.orders = graph, orders
        self.groups = Groups(graph, orders)
        self.elements: Elements = self.groups.elements
        self.buffers = Buffers(graph, self.elements, orders, batched, varying)

    def nest(self, place: Planned, name: str) -> Nest:
        """A nest without statements."""
        return Nest(place, Kernel(name, Variable("lo"), Variable("hi"), self.buffers.step, ()))

    def axis_loop(self, nest: Nest, axis: int, body: list[Statement], vector: bool, whole: bool = False) -> Loop:
        """The loop over an axis of the group, or over the thread's rows of it."""
        return Loop(nest.planned.group.counters[axis], *self.row_bounds(nest, axis), tuple(body), vector, whole)

    def loops(self, nest: Nest, body: list[Statement], vector: bool = True, rows_only: bool = False) -> list[Statement]:
        """The group's loops around a body; the innermost in vectors, of a tall group that over its rows."""
        group = nest.planned.group
        axes = [a for a in group.order if group.shape[a] > 1]
        if rows_only and axes:
            axes.pop()
        elif vector and group.is_tall:
            return [self.axis_loop(nest, 0, [self.axis_loop(nest, 1, body, vector=False)], vector=True)]
        for n, axis in enumerate(reversed(axes)):
            body = [self.axis_loop(nest, axis, body, vector and n == 0)]
        return body

    def row_bounds(self, nest: Nest, axis: int) -> tuple[Expr, Expr]:
        """Between which values of an axis's counter a thread's rows lie."""
        group = nest.planned.group
        if axis == group.outermost and nest.planned.mode == "shared":
            return variable(nest.kernel.lo), variable(nest.kernel.hi)
        return number(0, INT64), number(group.shape[axis], INT64)

    def let(self, instruction: Instruction, index: Index) -> list[Statement]:
        """A result computed at the nest's element, and stored if others need it."""
        name = f"v{instruction.output.id}"
        value = self.elements.computed(instruction, index)
        return [Let(name, value), *self.known(instruction, index, named(name, value.dtype))]

    def known(self, instruction: Instruction, index: Index, name: Expr) -> list[Statement]:
        """A result that has a name from here on, stored if others need it."""
        value = instruction.output
        self.elements.names[value.id] = (name, index)
        if value.id not in self.groups.needed:
            return []
        buffer = self.elements.buffers[value.id]
        place = offset(index, buffer.strides)
        if value.id in self.elements.shift:
            place = place + self.elements.shift[value.id]
        return [Store(buffer, place, name)]

    def members(self, nest: Nest, head: Expr) -> list[Statement]:
        """What follows a head's result: the head itself where others need it, then the operations on it."""
        group = nest.planned.group
        assert group.head is not None
        result = self.known(group.head, group.whole, head)
        for m in group.members:
            result += self.let(m, group.index[m.output.id])
        return result


def finished(nest: Nest) -> Call:
    """A nest as the call of a kernel."""
    k = nest.kernel
    kernel = Kernel(k.name, k.lo, k.hi, k.step, tuple(in_pieces(nest.body)))
    place = nest.planned
    return Call(kernel, place.extent, place.grain, place.mode == "shared", place.mode == "replicated")
