"""A product of many k comes in; LLVM instructions leave. Called by product.

The k are taken some at a time, so that a panel of b and the rows of a that meet it stay in a core's first cache. The
sums so far of some rows are kept in memory meanwhile, and the body follows when they are whole. The sums of each part
are made from 0 on and added in the order of the parts, whoever has the rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pellucid.compiler.expressions import Variable, rebuilt, variable
from pellucid.compiler.llvm_expressions import Place, varying
from pellucid.compiler.llvm_writer import Value, literal
from pellucid.compiler.nest import Product
from pellucid.compiler.product_blocks import Blocking, Blocks
from pellucid.compiler.product_panel import KEPT, PANEL, STRIPS, Columns, number

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

_LEAST, _BEST, _MOST = 128, 192, 256
"""How many k are taken at a time."""

_ROWS = 64
"""Rows whose sums are kept at once, at most."""

_KEPT_BYTES = 192 * 1024


def depth_of(k: int) -> int:
    """How many k to take at a time: a part of all without a rest, if there is one of about the best size."""
    parts = [d for d in range(_LEAST, _MOST + 1) if k % d == 0]
    return min(parts, key=lambda d: abs(d - _BEST)) if parts else _BEST


class Deep:
    """A product as it is written."""

    def __init__(self, e: Emitter, p: Product, plan: Blocking) -> None:
        self.e, self.p, self.plan = e, p, plan
        self.outer = Blocks(e, p, plan)
        self.width = -(-p.n_stop // self.outer.lanes) * self.outer.lanes
        rows = min(_ROWS, _KEPT_BYTES // (self.width * p.dtype.itemsize))
        self.rows = max(rows // plan.rows, 1) * plan.rows
        self.kept = e.scratch(p.dtype, (self.rows + plan.rows) * self.width)

    def all(self) -> None:
        """Every row, some at a time."""
        e, start, stop = self.e, self.outer.start, self.outer.stop
        depth = depth_of(self.p.k_stop)
        parts, rest = divmod(self.p.k_stop, depth)
        base = Variable("base", self.p.k_stop)
        changed = self.outer.changed | PANEL | STRIPS | KEPT

        def some(m: Value) -> None:
            after = e.whole("add", m, number(self.rows))
            end = e.select(e.compared("<", after, stop), after, stop)
            self._clear(e.whole("sub", end, m))

            def part(k: Value, length: int) -> None:
                e.variables[base] = (k, 0)
                self._part(m, end, base, length)
                e.forget(base)

            e.loop(number(0), number(parts * depth), depth, PANEL | STRIPS | KEPT, [], lambda k: part(k, depth))
            if rest:
                part(number(parts * depth), rest)
            self._finish(m, end)

        e.loop(start, stop, self.rows, changed, [], some)

    def _clear(self, rows: Value) -> None:
        e, outer = self.e, self.outer
        zero = literal(0, self.p.dtype, outer.lanes)
        size = e.scaled(rows, self.width)

        def clear(at: Value) -> None:
            outer.write_own(zero, e.moved(self.kept, at, self.p.dtype))

        e.loop(number(0), size, outer.lanes, KEPT, [], clear)
        e.forget("kept")

    def _part(self, m: Value, end: Value, base: Variable, length: int) -> None:
        """Add the sums over so many k from the base on."""
        p = self.p
        there = variable(base) + variable(p.k)
        a, b = (rebuilt(x, p.k, there) for x in (p.a, p.b))
        inner = _Adding(self.e, replace(p, k_stop=length, a=a, b=b, body=()), self._inner_plan(), self, m)
        inner.start, inner.stop = m, end
        inner.all()

    def _inner_plan(self) -> Blocking:
        strips = self.rows if self.plan.strips else 0
        return replace(self.plan, strips=strips, packed=True, columns_first=True, through_memory=False)

    def place(self, row: Value, first: Value, n: Value, v: int) -> Value:
        """Where the sums of a row lie, from a column on."""
        e, dtype = self.e, self.p.dtype
        start = e.moved(self.kept, e.scaled(e.whole("sub", row, first), self.width), dtype)
        return e.moved(e.moved(start, n, dtype), number(v * self.outer.lanes), dtype)

    def _finish(self, m: Value, end: Value) -> None:
        """The body for the sums, row by row."""
        e, outer = self.e, self.outer

        def row(there: Value) -> None:
            for group in outer.columns():
                outer.each(group, lambda n, g: vectors(there, n, g))

        def vectors(there: Value, n: Value, g: Columns) -> None:
            sums = [outer.read_own(self.place(there, m, n, v), "kept") for v in range(g.vectors)]
            outer.write_body((varying(there), 0), n, g, sums)

        e.loop(m, end, 1, outer.changed, [], row)


class _Adding(Blocks):
    """Blocks whose sums are added to those that are kept."""

    def __init__(self, e: Emitter, p: Product, plan: Blocking, deep: Deep, first: Value) -> None:
        super().__init__(e, p, plan)
        self.deep, self.first = deep, first
        self.changed = self.changed | KEPT

    def write_body(self, place: Place, n: Value, g: Columns, sums: list[Value]) -> None:
        e = self.e
        row = e.whole("add", place[0], number(place[1]))
        for v, x in enumerate(sums):
            at = self.deep.place(row, self.first, n, v)
            self.write_own(e.operation("+", [self.read_own(at, "kept"), x], self.p.dtype), at)
        e.forget("kept")
