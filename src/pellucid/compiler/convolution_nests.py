"""The nests of convolutions, and the two kinds of copies that they need: a turn that brings samples together, and a
border. A group comes in; its nest's statements leave. Called by `lower`.
"""

from __future__ import annotations

from pellucid.compiler.convolutions import (
    at_least,
    at_most,
    places_of_tap,
    role_of,
    shapes_of,
    taps_of_input,
    taps_of_output,
)
from pellucid.compiler.elements import offset
from pellucid.compiler.expressions import INT64, Expr, Variable, load, named, number, variable
from pellucid.compiler.groups import Group
from pellucid.compiler.nest import Let, Loop, Product, Statement, Store, Sum
from pellucid.compiler.nests import Nest, Nests
from pellucid.compiler.product_ahead import LINE
from pellucid.compiler.tiers import Unsupported
from pellucid.ops._families.convolution import Shapes

# Of a kernel's gradient: what the rows of a block read at once, and what all columns do, in bytes; how few numbers a
# sum may have, since its lanes have to be added too.
_BLOCK_ROWS, _BLOCK_BYTES = 4, 1 << 13
_COLUMNS_BYTES = 1 << 18
_LEAST = 256


class ConvolutionNests(Nests):
    """Nests of a graph with convolutions."""

    def _convolution(self, nest: Nest) -> None:
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
        epilogue = tuple(self.members(nest, named(name, head.output.spec.dtype)))
        rows, start, stop = Variable("m"), number(0, INT64), number(1, INT64)
        if 1 in axes and not (own == 1 and geometry.groups > 1):
            axes.remove(1)
            rows, (start, stop) = group.counters[1], self.row_bounds(nest, 1)
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
            body = [self.axis_loop(nest, axis, body, vector=False)]
        nest.body += body

    def _kernel_gradient(self, nest: Nest) -> None:
        """The gradient of a convolution by its kernel: zeros, to which the places of y are added row by row, or some
        places of a row at a time, so that what they read stays in the caches; then what follows from the sums."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        value = head.output
        out = self.elements.buffers[value.id]
        target = offset(group.whole, out.strides) + self.elements.shift.get(value.id, number(0, INT64))
        nest.body += self.loops(nest, [Store(out, target, number(0, out.dtype))])
        name = f"p{value.id}"
        added = Store(out, target, load(out, target) + named(name, out.dtype))
        nest.body += self._rows_of_places(nest, name, added)
        if group.members:
            total = Let(f"v{value.id}", load(out, target))
            self.elements.names[value.id] = (named(f"v{value.id}", out.dtype), group.whole)
            after = [s for m in group.members for s in self.let(m, group.index[m.output.id])]
            nest.body += self.loops(nest, [total, *after])

    def _rows_of_places(self, nest: Nest, name: str, added: Store) -> list[Statement]:
        """For every row of places of y and every element of the kernel, the products with what it meets in x."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        shapes, geometry = shapes_of(head)
        x, y = head.inputs
        o, c, *taps = group.whole
        outs, ins = shapes.k[0] // geometry.groups, shapes.k[1]
        own = outs == 1 and geometry.groups > 1
        part = number(0, INT64) if geometry.groups == 1 else o if own else variable(Variable("part"))
        places = [Variable(f"y{axis}") for axis in range(len(taps))]
        loops, sums = [], []
        for axis, tap in enumerate(taps):
            counter = group.counters[2 + axis]
            if axis == 0 and len(taps) > 1:
                met = taps_of_output(shapes, geometry, (variable(places[0]),)).sums[0]
                loops += [
                    Sum(places[0], number(0, INT64), number(shapes.y[2], INT64)),
                    Sum(counter, met.start, met.stop),
                ]
            else:
                loops.append(Sum(counter, number(0, INT64), number(group.shape[2 + axis], INT64)))
                sums.append(places_of_tap(shapes, geometry, axis, tap, places[axis]))
        few = _places_at_once(shapes, ins, head.output.spec.dtype.itemsize)
        if few < shapes.y[-1]:
            last, part_of_row = sums.pop(), Variable("part_of_row")
            parts = Sum(part_of_row, number(0, INT64), number(-(-shapes.y[-1] // few), INT64))
            loops.insert(1 if len(taps) > 1 else 0, parts)
            first = variable(part_of_row) * few
            start = at_least(last.start, first)
            sums.append(Sum(last.counter, start, at_least(at_most(last.stop, first + few), start)))
        at = tuple(map(variable, places))
        steps = zip(at, taps, geometry.stride, geometry.dilation, geometry.padding, strict=True)
        met_at = tuple(h * s + i * d - p for h, i, s, d, (p, _) in steps)
        sample = Variable("n")
        a = self.elements.at(y, (variable(sample), o, *at))
        b = self.elements.at(x, (variable(sample), part * ins + c, *met_at))
        rows, (start, stop) = group.counters[0], self.row_bounds(nest, 0)
        around: list[Sum] = []
        if own:
            around = [Sum(rows, start, stop)]
            rows, start, stop = Variable("m"), number(0, INT64), number(1, INT64)
        elif geometry.groups > 1:
            around = [Sum(part.args[0], number(0, INT64), number(geometry.groups, INT64))]
            start, stop = at_least(start, part * outs), at_most(stop, part * outs + outs)
        columns, samples = group.counters[1], shapes.x[0]
        body: list[Statement] = [
            Product(rows, start, stop, columns, ins, sample, samples, a, b, name, (added,), tuple(sums))
        ]
        for loop in reversed([*loops, *around]):
            body = [Loop(loop.counter, loop.start, loop.stop, tuple(body))]
        return body

    def _border(self, nest: Nest) -> None:
        """A tensor with a border: the whole filled with the border's number, then the tensor put into it."""
        group = nest.planned.group
        head = group.head
        assert head is not None
        (source,), attrs = head.inputs, head.attrs
        out = self.elements.buffers[head.output.id]
        filled = Store(out, offset(group.whole, out.strides), number(attrs["value"], out.dtype))
        nest.body += self.loops(nest, [filled])
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
                lo, hi = self.row_bounds(nest, axis)
                start, stop = at_least(lo - before, start), at_most(hi - before, stop)
            body = [Loop(counters[axis], start, stop, tuple(body), vector=axis == axes[-1])]
        nest.body += body

    def _turns(self, group: Group) -> bool:
        """Whether a nest is such a copy."""
        if len(group.members) != 1 or group.members[0].op.name != "positive" or len(group.shape) < 3:
            return False
        source = group.members[0].inputs[0]
        natural = source.id in self.elements.buffers and not self.orders.get(source.id)
        return natural and group.order[-1] == 0 and group.shape[0] > 1

    def _turn(self, nest: Nest) -> None:
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
                body = [self.axis_loop(nest, axis, body, vector=False)]
            return body

        if whole:
            each = tuple(some(variable(block) * few, few))
            nest.body.append(Loop(block, number(0, INT64), number(whole // few, INT64), each))
        if whole < samples:
            nest.body += some(number(whole, INT64), samples - whole)


def _places_at_once(shapes: Shapes, columns: int, itemsize: int) -> int:
    """How many places of a row a kernel's gradient sums at once: so many that what a block of its rows reads stays in
    the first cache while it meets all columns, and what these read in the second; as nearly equal parts of the row."""
    places, samples = shapes.y[-1], shapes.x[0]
    few = min(_BLOCK_BYTES // (_BLOCK_ROWS * samples * itemsize), _COLUMNS_BYTES // (columns * samples * itemsize))
    few = max(few, -(-_LEAST // samples))
    return -(-places // -(-places // few))
