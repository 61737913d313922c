"""Groups with their places come in; a Program of loop nests leaves, with the buffers that it works on. Called by
`native_plan`; `emit_llvm` and `emit_python` print the Program.
"""

from __future__ import annotations

from typing import Any

from pellucid.compiler.buffers import Buffers, Lowered, Orders
from pellucid.compiler.contractions import contraction_of
from pellucid.compiler.convolution_nests import ConvolutionNests
from pellucid.compiler.convolutions import role_of
from pellucid.compiler.elements import Elements, converted, offset
from pellucid.compiler.expressions import INT64, Variable, cast, load, named, number, variable, where
from pellucid.compiler.groups import Group, Groups, reduced_index
from pellucid.compiler.memory import Piece
from pellucid.compiler.nest import (
    WHOLE,
    Accumulator,
    Across,
    Call,
    Combine,
    Comment,
    If,
    Kernel,
    Let,
    Loop,
    Product,
    Statement,
    Store,
)
from pellucid.compiler.nests import Nest, finished
from pellucid.compiler.random_bits import statements as random_statements
from pellucid.compiler.scalars import Scalars, is_small, places
from pellucid.compiler.schedule import Planned, Schedule, schedule
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Graph, Instruction, Value, leaves
from pellucid.graph.text import scope_text

_COMBINE = {"sum": "add", "max": "maximum", "min": "minimum", "any": "or", "all": "and"}


def lower(
    graph: Graph, orders: Orders, batched: frozenset[int] | None = None, varying: frozenset[int] = frozenset()
) -> Lowered:
    """The program of a graph.

    Parameters
        orders : of the axes in memory, for values that do not have the last closest.
        batched : of a program of many steps, which keeps outputs for every step, positions of inputs whose rows are
            picked, step after step, from all rows of a data set by an order of rows. None for a program of one step.
        varying : positions of captured numbers that are given for every step.
    Raises
        Unsupported: an operation has no native rule, or a value no elements.
    """
    if any(v.spec.size == 0 for v in graph.values):
        raise Unsupported("a value without elements")
    if is_small(graph):
        return _small(graph, orders, batched, varying)
    return _Lowering(graph, orders, batched, varying).lowered()


def _small(graph: Graph, orders: Orders, batched: frozenset[int] | None, varying: frozenset[int]) -> Lowered:
    """The program of a graph of few numbers: one kernel that computes them one by one, then stores what stays."""
    elements = Elements(graph)
    buffers = Buffers(graph, elements, orders, batched, varying)
    scalars = Scalars(graph, elements.at)
    body = scalars.statements
    stores: list[Statement] = []
    outputs = [v for v in leaves(graph.outputs) if isinstance(v, Value)]
    results = [(v, elements.buffers[v.id], elements.shift.get(v.id)) for v in outputs]
    results += [(value, elements.buffers[target.id], None) for target, value in graph.updates]
    for value, buffer, shift in results:
        for place in places(value):
            index = offset(tuple(number(i, INT64) for i in place), buffer.strides)
            element = scalars.element(value, place)
            stores.append(Store(buffer, index if shift is None else index + shift, element))
    kernel = Kernel("scalars", Variable("lo"), Variable("hi"), buffers.step, (*body, *stores))
    return buffers.finished([[Call(kernel, 1, shared=False)]])


class _Lowering(ConvolutionNests):
    def __init__(self, graph: Graph, orders: Orders, batched: frozenset[int] | None, varying: frozenset[int]) -> None:
        super().__init__(graph, orders, batched, varying)
        self.plan: Schedule = schedule(self.groups)
        self.segments = {g.number: _segments(g, self.groups) for g in self.groups.groups if g.kind == "map"}
        for group in self.groups.groups:
            if group.kind == "map" and not self._is_whole(group):
                self.groups.needed |= _crossing(group, self.segments[group.number], self.groups)

    def lowered(self) -> Lowered:
        # A kernel's gradient is summed up in memory.
        self.groups.needed |= {
            g.head.output.id
            for g in self.groups.groups
            if g.kind == "convolution" and g.head and role_of(g.head) == "k"
        }
        self._place_results()
        phases: list[list[Call]] = [[] for _ in range(self.plan.phases)]
        for place in self.plan.planned:
            phases[place.phase].append(self._call(place))
        commits = self._commits()
        return self.buffers.finished([*phases, commits] if commits else phases)

    def _place_results(self) -> None:
        """Memory for the results that other nests read: state's own where its new value may be written in place, else
        a piece for the phases in which it is in use."""
        memory = self.elements.buffers
        for target, value in self.graph.updates:
            if value.id not in self.plan.copied:
                memory[value.id] = memory[target.id]
        last: dict[int, int] = {}
        for place in self.plan.planned:
            for _, value, _ in self.groups.reads(place.group):
                last[value.id] = max(last.get(value.id, 0), place.phase)
        for place in self.plan.planned:
            for result in place.group.instructions:
                value = result.output
                if value.id in self.groups.needed and value.id not in memory:
                    buffer = self.buffers.add(f"v{value.id}", value, "scratch")
                    end = self.plan.phases if value.id in self.plan.copied else last.get(value.id, place.phase)
                    piece = Piece(f"{result.op.name} {buffer.name}", value.spec.nbytes, place.phase, end)
                    self.buffers.scratch.append((buffer, piece))

    def _commits(self) -> list[Call]:
        """State that other nests still read while its new values were made takes them over at the end."""
        calls: list[Call] = []
        for target, value in self.graph.updates:
            if value.id in self.plan.copied:
                order = self.orders.get(value.id, tuple(range(value.spec.ndim)))
                group = Group(len(self.plan.planned) + len(calls), "map", value.spec.shape, order)
                nest = self.nest(Planned(group, "single", 1, 1), f"copy_{value.id}")
                buffer = self.elements.buffers[target.id]
                self.elements.names.clear()
                store = Store(buffer, offset(group.whole, buffer.strides), self.elements.at(value, group.whole))
                nest.body += self.loops(nest, [store])
                calls.append(finished(nest))
        return calls

    # Nests

    def _call(self, place: Planned) -> Call:
        group = place.group
        nest = self.nest(place, f"{group.kind}_{group.number}")
        nest.body.append(Comment(_described(group)))
        self.elements.names.clear()
        getattr(self, f"_{group.kind}")(nest)
        return finished(nest)

    def _map(self, nest: Nest) -> None:
        group = nest.planned.group
        if self._turns(group):
            self._turn(nest)
            return
        axes = [a for a in group.order if group.shape[a] > 1]
        if self._is_whole(group):
            body = [s for _, members in self.segments[group.number] for m in members for s in self._in_row(group, m)]
            nest.body += self.loops(nest, [self.axis_loop(nest, axes[-1], body, vector=True, whole=True)], False, True)
            return
        row: list[Statement] = []
        for elementwise, members in self.segments[group.number]:
            inner: list[Statement] = []
            after: list[Statement] = []
            for m in members:
                if m.op.family == "reduction":
                    row.append(self._accumulator(m))
                    element = self.elements.at(m.inputs[0], group.whole)
                    inner.append(Combine(f"v{m.output.id}", converted(element, m.output.spec.dtype)))
                else:
                    inner += self.let(m, group.index[m.output.id])
            for m in members:
                if m.op.family == "reduction":
                    after += self.known(m, group.index[m.output.id], named(f"v{m.output.id}", m.output.spec.dtype))
                elif elementwise:
                    self.elements.names.pop(m.output.id, None)
            if elementwise and axes:
                row.append(self.axis_loop(nest, axes[-1], inner, vector=not group.is_tall))
            else:
                row += inner
            row += after
        nest.body += self.loops(nest, row, vector=group.is_tall, rows_only=True)

    def _is_whole(self, group: Group) -> bool:
        """Whether a row with reductions fits into one vector, so that nothing goes through memory on its way."""
        if len(self.segments[group.number]) < 2 or not group.order or group.is_tall:
            return False
        return group.order[-1] != group.outermost and group.shape[group.order[-1]] <= WHOLE

    def _in_row(self, group: Group, m: Instruction) -> list[Statement]:
        """An operation of a row that is computed at once."""
        index = group.index[m.output.id]
        if m.op.family != "reduction":
            return self.let(m, index)
        name, dtype = f"v{m.output.id}", m.output.spec.dtype
        element = converted(self.elements.at(m.inputs[0], group.whole), dtype)
        kind: Any = _COMBINE[m.op.name]
        return [Across(name, kind, element), *self.known(m, index, named(name, dtype))]

    def _accumulator(self, reduction: Instruction) -> Accumulator:
        kind: Any = _COMBINE[reduction.op.name]
        return Accumulator(f"v{reduction.output.id}", kind, reduction.output.spec.dtype)

    def _product(self, nest: Nest) -> None:
        group = nest.planned.group
        found = contraction_of(group)
        assert group.head is not None
        value = group.head.output
        dtype = value.spec.dtype
        a, b = (converted(self.elements.at(*operand), dtype) for operand in (found.a, found.b))
        name = f"p{value.id}"
        result = named(name, dtype)
        epilogue: list[Statement] = []
        if found.bias is not None:
            bias = converted(self.elements.at(found.bias, (variable(group.counters[-1]),)), dtype)
            epilogue.append(Let(f"v{value.id}", result + bias))
            result = named(f"v{value.id}", dtype)
        epilogue += self.members(nest, result)
        rows = Variable("m") if found.row is None else group.counters[found.row]
        start, stop = number(0, INT64), number(1 if found.row is None else group.shape[found.row], INT64)
        if found.row is not None and found.row == group.outermost and nest.planned.mode == "shared":
            start, stop = variable(nest.kernel.lo), variable(nest.kernel.hi)
        column = group.counters[found.column]
        width = group.shape[found.column]
        body: list[Statement] = [
            Product(rows, start, stop, column, width, found.inner, found.depth, a, b, name, tuple(epilogue))
        ]
        for axis in reversed(found.around):
            body = [self.axis_loop(nest, axis, body, vector=False)]
        nest.body += body

    def _reduce(self, nest: Nest) -> None:
        group = nest.planned.group
        head = group.head
        assert head is not None
        index, inner = reduced_index(group)
        dtype = head.output.spec.dtype
        accumulator = self._accumulator(head)
        step: list[Statement] = [Combine(accumulator.name, converted(self.elements.at(head.inputs[0], index), dtype))]
        # Vectors lie along what is closest in memory, be it summed or kept.
        along_kept = not self.groups.sums_closest(group)
        order = self.groups.in_memory(head.inputs[0])
        for n, (counter, length) in enumerate(sorted(inner, key=lambda loop: -order.index(int(loop[0].name[1:])))):
            vector = n == 0 and not along_kept
            step = [Loop(counter, number(0, INT64), number(length, INT64), tuple(step), vector)]
        body = [accumulator, *step, *self.members(nest, named(accumulator.name, dtype))]
        nest.body += self.loops(nest, body, vector=along_kept)

    def _bits(self, nest: Nest) -> None:
        group = nest.planned.group
        head = group.head
        assert head is not None
        key = head.inputs[0]
        words = tuple(self.elements.at(key, (number(n, INT64),)) for n in range(2))
        out = self.elements.buffers[head.output.id]
        size = head.output.spec.size
        nest.body += random_statements((words[0], words[1]), out, size, number(0, INT64), number(-(-size // 8), INT64))

    def _add(self, nest: Nest) -> None:
        """Rows of zeros, and every row of the input added where its index says; a thread adds to its own rows."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        source, places = head.inputs
        out = self.elements.buffers[head.output.id]
        nest.body += self.loops(nest, [Store(out, offset(group.whole, out.strides), number(0, out.dtype))])
        counters = [Variable(f"n{a}") for a in range(places.spec.ndim)]
        at = tuple(variable(c) for c in counters)
        length = group.shape[0]
        place = cast(self.elements.at(places, at), INT64)
        row = named("row", INT64)
        index = (row, *group.whole[1:])
        target = offset(index, out.strides)
        added = load(out, target) + self.elements.at(source, (*at, *group.whole[1:]))
        body: list[Statement] = [Store(out, target, added)]
        axes = [a for a in group.order[1:] if group.shape[a] > 1]
        for n, axis in enumerate(reversed(axes)):
            body = [Loop(group.counters[axis], number(0, INT64), number(group.shape[axis], INT64), tuple(body), n == 0)]
        lo, hi = number(0, INT64), number(length, INT64)
        if nest.planned.mode == "shared":
            lo, hi = variable(nest.kernel.lo), variable(nest.kernel.hi)
        body = [
            Let("row", where(place < 0, place + length, place)),
            If((row >= lo) & (row < hi), tuple(body)),
        ]
        for counter, n in reversed(list(zip(counters, places.spec.shape, strict=True))):
            body = [Loop(counter, number(0, INT64), number(n, INT64), tuple(body))]
        nest.body += body


def _described(group: Group) -> str:
    """The layers of a group and its operations, in a line."""
    layers = " + ".join(filter(None, dict.fromkeys(scope_text(i.scope) for i in group.instructions)))
    ops = ", ".join(i.op.name for i in group.instructions)
    return f"{layers}: {ops}" if layers else ops


Segment = tuple[bool, list[Instruction]]


def _segments(group: Group, groups: Groups) -> list[Segment]:
    """A map's operations in runs that one inner loop, or none, can do: what a reduction along the row gives is there
    only when its loop has ended."""
    segments: list[Segment] = []
    pending: set[int] = set()
    inner = next((a for a in reversed(group.order) if group.shape[a] > 1), None)
    for m in group.members:
        reads = {v.id for instruction, v, _ in groups.reads(group) if instruction is m}
        whole = m.op.family == "reduction" or (inner is not None and _follows(group, m, inner))
        if not segments or segments[-1][0] != whole or reads & pending:
            segments.append((whole, []))
            pending = set()
        segments[-1][1].append(m)
        if m.op.family == "reduction":
            pending.add(m.output.id)
    return segments


def _follows(group: Group, member: Instruction, axis: int) -> bool:
    counter = group.counters[axis]
    return any(i.op == "variable" and i.args[0] is counter for i in group.index[member.output.id])


def _crossing(group: Group, segments: list[Segment], groups: Groups) -> set[int]:
    """Results of one inner loop that another one needs: they go through memory."""
    run = {m.output.id: n for n, (_, members) in enumerate(segments) for m in members}
    elementwise = {m.output.id for whole, members in segments if whole for m in members if m.op.family != "reduction"}
    return {
        v.id
        for instruction, v, _ in groups.reads(group)
        if v.id in elementwise and run[v.id] != run[instruction.output.id]
    }
