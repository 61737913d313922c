"""Groups with their places come in; a Program of loop nests leaves, with the buffers that it works on. Called by
`native_plan`; `emit_llvm` and `emit_python` print the Program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pellucid.compiler.buffers import Buffers, Lowered, Orders
from pellucid.compiler.contractions import contraction_of
from pellucid.compiler.convolutions import (
    at_least,
    at_most,
    places_of_tap,
    role_of,
    shapes_of,
    taps_of_input,
    taps_of_output,
)
from pellucid.compiler.elements import Elements, Index, converted, offset
from pellucid.compiler.expressions import INT64, Expr, Variable, cast, load, named, number, variable, where
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
    Sum,
)
from pellucid.compiler.pieces import in_pieces
from pellucid.compiler.product_ahead import LINE
from pellucid.compiler.random_bits import statements as random_statements
from pellucid.compiler.scalars import Scalars, is_small, places
from pellucid.compiler.schedule import Planned, Schedule, schedule
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Graph, Instruction, Value, leaves
from pellucid.graph.text import scope_text

_COMBINE = {"sum": "add", "max": "maximum", "min": "minimum", "any": "or", "all": "and"}


def lower(
    graph: Graph, orders: Orders, batched: frozenset[int] = frozenset(), varying: frozenset[int] = frozenset()
) -> Lowered:
    """The program of a graph.

    Parameters
        orders : of the axes in memory, for values that do not have the last closest.
        batched : positions of inputs whose rows are picked, step after step, from all rows of a data set by an order of
            rows; outputs are then kept for every step. Empty for a program that is given a batch.
        varying : positions of captured numbers that are given for every step.
    Raises
        Unsupported: an operation has no native rule, or a value no elements.
    """
    values = [*graph.inputs, *(c.value for c in graph.captured), *(i.output for i in graph.instructions)]
    if any(v.spec.size == 0 for v in values):
        raise Unsupported("a value without elements")
    if is_small(graph):
        return _small(graph, orders, batched, varying)
    return _Lowering(graph, orders, batched, varying).lowered()


def _small(graph: Graph, orders: Orders, batched: frozenset[int], varying: frozenset[int]) -> Lowered:
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


@dataclass
class _Nest:
    """The statements of a kernel while they are made."""

    planned: Planned
    kernel: Kernel
    body: list[Statement] = field(default_factory=list)


class _Lowering:
    def __init__(self, graph: Graph, orders: Orders, batched: frozenset[int], varying: frozenset[int]) -> None:
        self.graph, self.orders = graph, orders
        self.groups = Groups(graph, orders)
        self.plan: Schedule = schedule(self.groups)
        self.elements: Elements = self.groups.elements
        self.buffers = Buffers(graph, self.elements, orders, batched, varying)
        self.step = self.buffers.step
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
                nest = self._nest(Planned(group, "single", 1, 1), f"copy_{value.id}")
                buffer = self.elements.buffers[target.id]
                self.elements.names.clear()
                store = Store(buffer, offset(group.whole, buffer.strides), self.elements.at(value, group.whole))
                nest.body += self._loops(nest, [store])
                calls.append(_finished(nest))
        return calls

    # Nests

    def _call(self, place: Planned) -> Call:
        group = place.group
        nest = self._nest(place, f"{group.kind}_{group.number}")
        nest.body.append(Comment(_described(group)))
        self.elements.names.clear()
        getattr(self, f"_{group.kind}")(nest)
        return _finished(nest)

    def _nest(self, place: Planned, name: str) -> _Nest:
        return _Nest(place, Kernel(name, Variable("lo"), Variable("hi"), self.step, ()))

    def _axis_loop(self, nest: _Nest, axis: int, body: list[Statement], vector: bool, whole: bool = False) -> Loop:
        group = nest.planned.group
        start, stop = number(0, INT64), number(group.shape[axis], INT64)
        if axis == group.outermost and nest.planned.mode == "shared":
            start, stop = variable(nest.kernel.lo), variable(nest.kernel.hi)
        return Loop(group.counters[axis], start, stop, tuple(body), vector, whole)

    def _loops(
        self, nest: _Nest, body: list[Statement], vector: bool = True, rows_only: bool = False
    ) -> list[Statement]:
        """The group's loops around a body; the innermost in vectors."""
        group = nest.planned.group
        axes = [a for a in group.order if group.shape[a] > 1]
        if rows_only and axes:
            axes.pop()
        for n, axis in enumerate(reversed(axes)):
            body = [self._axis_loop(nest, axis, body, vector and n == 0)]
        return body

    def _turn(self, nest: _Nest) -> None:
        """A copy whose samples become the closest: so many samples together as fill a line of the cache, and for them
        one place after the other, so that every line that is read or written is done with soon."""
        group = nest.planned.group
        (copy,) = group.members
        out = self.elements.buffers[copy.output.id]
        few, samples = LINE // out.dtype.itemsize, group.shape[0]
        block, lane = Variable("block"), group.counters[0]
        whole = samples // few * few

        def some(first: Expr, count: int) -> list[Statement]:
            index = (first + variable(lane), *group.whole[1:])
            store = Store(out, offset(index, out.strides), self.elements.at(copy.inputs[0], index))
            body: list[Statement] = [Loop(lane, number(0, INT64), number(count, INT64), (store,), vector=True)]
            for axis in reversed([a for a in range(1, len(group.shape)) if group.shape[a] > 1]):
                body = [self._axis_loop(nest, axis, body, vector=False)]
            return body

        if whole:
            each = tuple(some(variable(block) * few, few))
            nest.body.append(Loop(block, number(0, INT64), number(whole // few, INT64), each))
        if whole < samples:
            nest.body += some(number(whole, INT64), samples - whole)

    def _turns(self, group: Group) -> bool:
        """Whether a nest is such a copy."""
        if len(group.members) != 1 or group.members[0].op.name != "positive" or len(group.shape) < 3:
            return False
        source = group.members[0].inputs[0]
        natural = source.id in self.elements.buffers and not self.orders.get(source.id)
        return natural and group.order[-1] == 0 and group.shape[0] > 1

    def _map(self, nest: _Nest) -> None:
        group = nest.planned.group
        if self._turns(group):
            self._turn(nest)
            return
        axes = [a for a in group.order if group.shape[a] > 1]
        if self._is_whole(group):
            body = [s for _, members in self.segments[group.number] for m in members for s in self._in_row(group, m)]
            nest.body += self._loops(
                nest, [self._axis_loop(nest, axes[-1], body, vector=True, whole=True)], False, True
            )
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
                    inner += self._let(m, group.index[m.output.id])
            for m in members:
                if m.op.family == "reduction":
                    after += self._known(m, group.index[m.output.id], named(f"v{m.output.id}", m.output.spec.dtype))
                elif elementwise:
                    self.elements.names.pop(m.output.id, None)
            if elementwise and axes:
                row.append(self._axis_loop(nest, axes[-1], inner, vector=True))
            else:
                row += inner
            row += after
        nest.body += self._loops(nest, row, vector=False, rows_only=True)

    def _is_whole(self, group: Group) -> bool:
        """Whether a row with reductions fits into one vector, so that nothing goes through memory on its way."""
        if len(self.segments[group.number]) < 2 or not group.order:
            return False
        return group.order[-1] != group.outermost and group.shape[group.order[-1]] <= WHOLE

    def _in_row(self, group: Group, m: Instruction) -> list[Statement]:
        """An operation of a row that is computed at once."""
        index = group.index[m.output.id]
        if m.op.family != "reduction":
            return self._let(m, index)
        name, dtype = f"v{m.output.id}", m.output.spec.dtype
        element = converted(self.elements.at(m.inputs[0], group.whole), dtype)
        kind: Any = _COMBINE[m.op.name]
        return [Across(name, kind, element), *self._known(m, index, named(name, dtype))]

    def _accumulator(self, reduction: Instruction) -> Accumulator:
        kind: Any = _COMBINE[reduction.op.name]
        return Accumulator(f"v{reduction.output.id}", kind, reduction.output.spec.dtype)

    def _let(self, instruction: Instruction, index: Index) -> list[Statement]:
        """A result computed at the nest's element, and stored if others need it."""
        name = f"v{instruction.output.id}"
        value = self.elements.computed(instruction, index)
        return [Let(name, value), *self._known(instruction, index, named(name, value.dtype))]

    def _known(self, instruction: Instruction, index: Index, name: Expr) -> list[Statement]:
        value = instruction.output
        self.elements.names[value.id] = (name, index)
        if value.id not in self.groups.needed:
            return []
        buffer = self.elements.buffers[value.id]
        place = offset(index, buffer.strides)
        if value.id in self.elements.shift:
            place = place + self.elements.shift[value.id]
        return [Store(buffer, place, name)]

    def _members(self, nest: _Nest, head: Expr) -> list[Statement]:
        """What follows a head's result: the head itself where others need it, then the operations on it."""
        group = nest.planned.group
        assert group.head is not None
        result = self._known(group.head, group.whole, head)
        for m in group.members:
            result += self._let(m, group.index[m.output.id])
        return result

    def _product(self, nest: _Nest) -> None:
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
        epilogue += self._members(nest, result)
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
            body = [self._axis_loop(nest, axis, body, vector=False)]
        nest.body += body

    def _convolution(self, nest: _Nest) -> None:
        group = nest.planned.group
        head = group.head
        assert head is not None
        role = role_of(head)
        if role == "k":
            self._kernel_gradient(nest)
            return
        shapes, geometry = shapes_of(head)
        axes = [a for a in group.order if group.shape[a] > 1]
        column = axes.pop() if axes else 0
        own, summed = (shapes.k[0] // geometry.groups, shapes.k[1])[:: 1 if role == "y" else -1]
        taps = (taps_of_output if role == "y" else taps_of_input)(shapes, geometry, group.whole[2:])
        inner, channel = Variable("k"), group.whole[1]
        # Of groups with one channel each this is the group; else its number is counted by a loop of its own.
        part = number(0, INT64) if geometry.groups == 1 else channel if own == 1 else variable(Variable("part"))
        there = part * summed + variable(inner)
        place = (channel, variable(inner)) if role == "y" else (there, channel - part * own)
        factor, kernel = head.inputs
        a = self.elements.at(kernel, (*place, *taps.kernel))
        b = self.elements.at(factor, (group.whole[0], there, *taps.other))
        name = f"p{head.output.id}"
        epilogue = tuple(self._members(nest, named(name, head.output.spec.dtype)))
        rows, start, stop = Variable("m"), number(0, INT64), number(1, INT64)
        if 1 in axes and not (own == 1 and geometry.groups > 1):
            axes.remove(1)
            rows, (start, stop) = group.counters[1], self._row_bounds(nest, 1)
        counted = part.op == "variable" and part is not channel
        if counted:
            start, stop = at_least(start, part * own), at_most(stop, part * own + own)
        if column == 1:  # to a single place: a row of channels
            if geometry.groups > 1:
                raise Unsupported(f"{head.op.name} of groups to a single place")
            a, b = b, a
        columns, width = group.counters[column], group.shape[column]
        product = Product(rows, start, stop, columns, width, inner, summed, a, b, name, epilogue, taps.sums)
        body: list[Statement] = [product]
        if counted:
            body = [Loop(part.args[0], number(0, INT64), number(geometry.groups, INT64), tuple(body))]
        for axis in reversed(axes):
            body = [self._axis_loop(nest, axis, body, vector=False)]
        nest.body += body

    def _border(self, nest: _Nest) -> None:
        """A tensor with a border: the whole filled with the border's number, then the tensor put into it."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        (source,), attrs = head.inputs, head.attrs
        out = self.elements.buffers[head.output.id]
        filled = Store(out, offset(group.whole, out.strides), number(attrs["value"], out.dtype))
        nest.body += self._loops(nest, [filled])
        counters = [Variable(f"x{a}", n) for a, n in enumerate(source.spec.shape)]
        inside = tuple(
            number(0, INT64) if n == 1 else variable(c) for c, n in zip(counters, source.spec.shape, strict=True)
        )
        place = tuple(i + before for i, (before, _) in zip(inside, attrs["widths"], strict=True))
        body: list[Statement] = [Store(out, offset(place, out.strides), self.elements.at(source, inside))]
        axes = [a for a in group.order if source.spec.shape[a] > 1]
        for axis in reversed(axes):
            start, stop = number(0, INT64), number(source.spec.shape[axis], INT64)
            if axis == group.outermost:
                before = attrs["widths"][axis][0]
                lo, hi = self._row_bounds(nest, axis)
                start, stop = at_least(lo - before, start), at_most(hi - before, stop)
            body = [Loop(counters[axis], start, stop, tuple(body), vector=axis == axes[-1])]
        nest.body += body

    def _row_bounds(self, nest: _Nest, axis: int) -> tuple[Expr, Expr]:
        """Between which values of an axis's counter a thread's rows lie."""
        group = nest.planned.group
        if axis == group.outermost and nest.planned.mode == "shared":
            return variable(nest.kernel.lo), variable(nest.kernel.hi)
        return number(0, INT64), number(group.shape[axis], INT64)

    def _kernel_gradient(self, nest: _Nest) -> None:
        """The gradient of a convolution by its kernel: zeros, to which the places of y are added row by row, so that
        what a row reads stays in the cache; then what follows from the sums."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        value = head.output
        shapes, geometry = shapes_of(head)
        x, y = head.inputs
        out = self.elements.buffers[value.id]
        target = offset(group.whole, out.strides) + self.elements.shift.get(value.id, number(0, INT64))
        nest.body += self._loops(nest, [Store(out, target, number(0, out.dtype))])

        o, c, *taps = group.whole
        outs, ins = shapes.k[0] // geometry.groups, shapes.k[1]
        own = outs == 1 and geometry.groups > 1
        part = number(0, INT64) if geometry.groups == 1 else o if own else variable(Variable("part"))
        sample, name = Variable("n"), f"p{value.id}"
        places: list[Expr] = []
        sums: list[Sum] = []
        loops: list[tuple[Variable, Expr, Expr]] = []
        for axis, tap in enumerate(taps):
            counter = Variable(f"y{axis}")
            places.append(variable(counter))
            tap_counter = group.counters[2 + axis]
            if axis == 0 and len(taps) > 1:
                loops.append((counter, number(0, INT64), number(shapes.y[2], INT64)))
                met = taps_of_output(shapes, geometry, (variable(counter),)).sums[0]
                loops.append((tap_counter, met.start, met.stop))
            else:
                loops.append((tap_counter, number(0, INT64), number(group.shape[2 + axis], INT64)))
                sums.append(places_of_tap(shapes, geometry, axis, tap, counter))
        met_at = [
            h * s + i * d - p
            for h, i, s, d, (p, _) in zip(
                places, taps, geometry.stride, geometry.dilation, geometry.padding, strict=True
            )
        ]
        a = self.elements.at(y, (variable(sample), o, *places))
        b = self.elements.at(x, (variable(sample), part * ins + c, *met_at))
        start, stop = self._row_bounds(nest, 0)
        rows = group.counters[0]
        if own:
            rows, start, stop = Variable("m"), number(0, INT64), number(1, INT64)
        elif part.op == "variable":
            start, stop = at_least(start, part * outs), at_most(stop, part * outs + outs)
        product = Product(
            rows,
            start,
            stop,
            group.counters[1],
            ins,
            sample,
            shapes.x[0],
            a,
            b,
            name,
            (Store(out, target, load(out, target) + named(name, out.dtype)),),
            tuple(sums),
        )
        body: list[Statement] = [product]
        if own:
            body = [Loop(group.counters[0], *self._row_bounds(nest, 0), tuple(body))]
        elif part.op == "variable":
            body = [Loop(part.args[0], number(0, INT64), number(geometry.groups, INT64), tuple(body))]
        for counter, first, last in reversed(loops):
            body = [Loop(counter, first, last, tuple(body))]
        nest.body += body
        if group.members:
            total = Let(f"v{value.id}", load(out, target))
            self.elements.names[value.id] = (named(f"v{value.id}", out.dtype), group.whole)
            after = [s for m in group.members for s in self._let(m, group.index[m.output.id])]
            nest.body += self._loops(nest, [total, *after])

    def _reduce(self, nest: _Nest) -> None:
        group = nest.planned.group
        head = group.head
        assert head is not None
        index, inner = reduced_index(group)
        dtype = head.output.spec.dtype
        accumulator = self._accumulator(head)
        step: list[Statement] = [Combine(accumulator.name, converted(self.elements.at(head.inputs[0], index), dtype))]
        # Vectors lie along what is closest in memory, be it summed or kept.
        along_kept = not self.groups.sums_closest(group)
        order = self.groups.order(head.inputs[0])
        for n, (counter, length) in enumerate(sorted(inner, key=lambda loop: -order.index(int(loop[0].name[1:])))):
            vector = n == 0 and not along_kept
            step = [Loop(counter, number(0, INT64), number(length, INT64), tuple(step), vector)]
        body = [accumulator, *step, *self._members(nest, named(accumulator.name, dtype))]
        nest.body += self._loops(nest, body, vector=along_kept)

    def _bits(self, nest: _Nest) -> None:
        group = nest.planned.group
        head = group.head
        assert head is not None
        key = head.inputs[0]
        words = tuple(self.elements.at(key, (number(n, INT64),)) for n in range(2))
        out = self.elements.buffers[head.output.id]
        size = head.output.spec.size
        nest.body += random_statements((words[0], words[1]), out, size, number(0, INT64), number(-(-size // 8), INT64))

    def _add(self, nest: _Nest) -> None:
        """Rows of zeros, and every row of the input added where its index says; a thread adds to its own rows."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        source, places = head.inputs
        out = self.elements.buffers[head.output.id]
        nest.body += self._loops(nest, [Store(out, offset(group.whole, out.strides), number(0, out.dtype))])
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


def _finished(nest: _Nest) -> Call:
    k = nest.kernel
    kernel = Kernel(k.name, k.lo, k.hi, k.step, tuple(in_pieces(nest.body)))
    place = nest.planned
    return Call(kernel, place.extent, place.grain, place.mode == "shared", place.mode == "replicated")


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
