"""A product and how it is to be cut come in; the LLVM instructions of its blocks leave. Called by product.

Rows and columns are taken in blocks whose sums stay in registers: so many rows, times so many vectors of columns. Every
sum takes one k after the other from 0 on, so its bits do not depend on the block that it is part of; a product of one
row, which no thread shares, has several sums for each column, added in the end. The last rows that
fill no block are computed as a block whose spare rows repeat the last one, and are not written; the last columns are
masked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.compiler.expressions import INT64
from pellucid.compiler.llvm_expressions import Place, varying
from pellucid.compiler.llvm_writer import NOTHING, Holder, Value, literal
from pellucid.compiler.nest import Product
from pellucid.compiler.product_ahead import CHUNK, Ahead
from pellucid.compiler.product_panel import PANEL, STRIPS, Columns, Panel, Rows, Strips, number

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

FEW = 4
"""So few k are written without a loop."""

SIDE_BY_SIDE = 8
"""Sums that share the k of a single row."""


@dataclass(frozen=True, slots=True)
class Blocking:
    """How a product is cut.

    rows, vectors : of a block.
    packed : whether the columns' part of b is copied together first.
    strips : of how many rows, a multiple of a block's, a is copied together at once; 0 if it is read where it lies.
    columns_first : whether a block of columns takes all rows before the next, or a block of rows all columns.
    through_memory : whether the sums go to the body by memory, a row at a time, to write it once for all rows.
    """

    rows: int
    vectors: int
    packed: bool
    columns_first: bool
    through_memory: bool
    strips: int = 0


def rows_of(e: Emitter, p: Product) -> tuple[int, int]:
    """A number that divides the number of rows whatever a thread's part is, and the largest that there can be."""
    if p.m_start.op == p.m_stop.op == "number":
        length = max(int(p.m_stop.args[0]) - int(p.m_start.args[0]), 1)
        return length, length
    bounds = [x.args[0] for x in (p.m_start, p.m_stop) if x.op == "variable"]
    return e.rows if bounds == [e.kernel.lo, e.kernel.hi] else (1, 1 << 30)


class Blocks(Rows):
    """A product as it is written."""

    def __init__(self, e: Emitter, p: Product, plan: Blocking) -> None:
        super().__init__(e, p)
        self.plan = plan
        self.changed = frozenset(("sums",)).union(*(e.changed(s) for s in p.body))
        self.strips: Strips | None = None
        self.start, self.stop = e.value(p.m_start), e.value(p.m_stop)
        self.panel: Panel | None = None
        self.sums: Value | None = None
        self.ahead = Ahead(e, p)

    def all(self) -> None:
        """Every block."""
        groups = self.columns()
        if self.plan.packed:
            self.panel = Panel(self.e, self.p, max(g.vectors for g in groups) * self.lanes)
        if not self.plan.strips:
            self._given_rows(groups)
            return
        e, most, stop = self.e, self.plan.strips, self.stop
        strips = Strips(e, self.p, most, self.plan.rows, self.start)

        def some(m: Value) -> None:
            after = e.whole("add", m, number(most))
            self.start, self.stop = m, e.select(e.compared("<", after, stop), after, stop)
            strips.first = m
            self._fill(strips)
            self.strips = strips
            self._given_rows(groups)
            self.strips = None

        e.loop(self.start, stop, most, self.changed | PANEL | STRIPS, [], some)

    def _fill(self, strips: Strips) -> None:
        """Copy the rows of a together."""

        def one(k: Value) -> None:
            self._rows(lambda m, rows, tail: strips.fill(m, k, self._places(m, rows, tail), not tail), None, None)

        self.e.loop(number(0), number(self.p.k_stop), 1, STRIPS, [], one)
        self.e.forget("strips")

    def _given_rows(self, groups: list[Columns]) -> None:
        """Every block of the rows from start to stop."""
        if self.plan.columns_first:
            for group in groups:
                self.each(group, lambda n, g: self._rows(lambda m, rows, tail: self._tile(m, n, g, rows, tail), n, g))
        else:

            def row(m: Value, rows: int, tail: bool) -> None:
                for group in groups:
                    self.each(group, lambda n, g: self._tile(m, n, g, rows, tail))

            self._rows(row, None, None)

    def columns(self) -> list[Columns]:
        """Blocks of columns, as even as can be, the wider first."""
        vectors = -(-self.p.n_stop // self.lanes)
        count = -(-vectors // self.plan.vectors)
        narrow, wider = divmod(vectors, count)
        rest = self.p.n_stop % self.lanes
        widths = [narrow + 1] * wider + [narrow] * (count - wider)
        groups: list[Columns] = []
        start = 0
        for i, width in enumerate(widths):
            part = rest if i == count - 1 else 0
            # While the first block reads its rows, those of the next step are asked for; once is enough.
            alone = part or (self.ahead.picks_rows and i == 1)
            if groups and groups[-1].vectors == width and not alone:
                last = groups.pop()
                groups.append(Columns(last.start, last.blocks + 1, width, 0))
            else:
                groups.append(Columns(start, 1, width, part))
            start += width * self.lanes
        return groups

    def each(self, g: Columns, body: Callable[[Value, Columns], None]) -> None:
        width = g.vectors * self.lanes
        first, last = number(g.start), number(g.start + g.blocks * width)
        self.e.loop(first, last, width, self.changed | PANEL, [], lambda n: body(n, g))

    def _rows(self, body: Callable[[Value, int, bool], None], n: Value | None, g: Columns | None) -> None:
        e, rows, unit = self.e, self.plan.rows, rows_of(self.e, self.p)[0]
        if self.panel is not None and n is not None and g is not None:
            self.panel.fill(n, g)
        middle = self._after_whole(rows)
        e.loop(self.start, middle, rows, self.changed, [], lambda m: body(m, rows, False))
        # What is left is nothing, or half a block, or any number of rows: at most one round.
        if unit % rows == 0:
            return
        half = rows // 2
        if unit % half == 0:
            e.loop(middle, self.stop, half, self.changed, [], lambda m: body(m, half, False))
        else:
            e.loop(middle, self.stop, rows, self.changed, [], lambda m: body(m, rows, True))

    def _after_whole(self, rows: int) -> Value:
        """The row after the last whole block."""
        e = self.e
        length = e.whole("sub", self.stop, self.start)
        if length.whole is not None:
            return e.whole("add", self.start, number(length.whole // rows * rows))
        count = length if rows == 1 else e.pure(f"sdiv {length}, {rows}", INT64, 1, length)
        return e.whole("add", self.start, e.scaled(count, rows))

    # One block

    def _tile(self, m: Value, n: Value, g: Columns, rows: int, tail: bool) -> None:
        e, p, plan = self.e, self.p, self.plan
        places = self._places(m, rows, tail)
        strip = None if self.strips is None else self.strips.of(m)
        zero = literal(0, p.dtype, self.lanes)
        sums = {f"{r} {v}": zero for r in range(len(places)) for v in range(g.vectors)}
        together = SIDE_BY_SIDE if self._is_one_row() else 1
        parts = [sums, *(dict.fromkeys(sums, zero) for _ in range(together - 1))]
        holders = [(part, key) for part in parts for key in part]

        def step(k: Value) -> None:
            for i, part in enumerate(parts):
                self._step((varying(k), i), places, n, g, part, strip)

        whole = p.k_stop // together * together

        def every_k() -> None:
            if p.k_stop <= FEW:
                for k in range(0, whole, together):
                    step(number(k))
            elif self.ahead.picks_rows and g.start == 0 and together == 1:
                self._in_chunks(places, holders, step)
            else:
                e.loop(number(0), number(whole), together, NOTHING, holders, step)
            for k in range(whole, p.k_stop):
                self._step((varying(number(k)), 0), places, n, g, sums, strip)

        if p.k_stop > FEW:
            self.ahead.body(places, n, g)
        self.over(p.sums, holders, every_k)
        while len(parts) > 1:
            half = len(parts) // 2
            for first, second in zip(parts[:half], parts[half:], strict=True):
                for key, value in second.items():
                    first[key] = e.operation("+", [first[key], value], p.dtype)
            parts = parts[:half]
        if tail or plan.through_memory:
            self._body_by_memory(m, n, g, sums, rows, tail)
        else:
            for r, place in enumerate(places):
                self.write_body(place, n, g, [sums[f"{r} {v}"] for v in range(g.vectors)])

    def _in_chunks(self, places: Sequence[Place], holders: list[Holder], step: Callable[[Value], None]) -> None:
        """Every k, some at a time, after the same elements of the next step's rows have been asked for."""
        e, p = self.e, self.p
        chunk = CHUNK // p.a.dtype.itemsize
        whole = p.k_stop // chunk * chunk

        def some(first: Value, count: int) -> None:
            self.ahead.next_rows(places, first, count)
            e.loop(first, e.whole("add", first, number(count)), 1, NOTHING, holders, step)

        e.loop(number(0), number(whole), chunk, NOTHING, holders, lambda k: some(k, chunk))
        if whole < p.k_stop:
            some(number(whole), p.k_stop - whole)

    def _is_one_row(self) -> bool:
        """Whether the product has one row, in few vectors: each sum would wait for itself, so several share the k."""
        one = self.start.whole is not None and self.stop.whole is not None and self.stop.whole - self.start.whole == 1
        few = self.p.n_stop <= 2 * self.lanes and self.p.k_stop >= 4 * SIDE_BY_SIDE
        return one and few and not self.p.sums

    def _places(self, m: Value, rows: int, tail: bool) -> list[Place]:
        """Where the rows of a block are; in the last block those beyond the end are the last row again."""
        e = self.e
        if not tail:
            return [(varying(m), i) for i in range(rows)]
        last = e.whole("sub", self.stop, number(1))
        places = [(varying(m), 0)]
        for i in range(1, rows):
            there = e.whole("add", m, number(i))
            before = e.compared("<", there, last)
            places.append((varying(e.select(before, there, last)), 0))
        return places

    def _step(
        self, k: Place, places: Sequence[Place], n: Value, g: Columns, sums: dict[str, Value], strip: Value | None
    ) -> None:
        """One k: every row's number of a times every vector of b."""
        e, p = self.e, self.p
        columns = self._columns_at(k, n, g)
        if self.ahead.reads_columns and strip is None:
            self.ahead.next_columns(places[0], k)
        for r, place in enumerate(places):
            self.enter(None, {p.m: place, p.k: k})
            if strip is None or self.strips is None:
                a = e.splat(e.value(p.a), self.lanes)
            else:
                a = e.splat(self.strips.number(strip, k, len(places), r), self.lanes)
            for v, b in enumerate(columns):
                key = f"{r} {v}"
                sums[key] = e.operation("fma", [a, b, sums[key]], p.dtype)
        self.leave()

    def _columns_at(self, k: Place, n: Value, g: Columns) -> list[Value]:
        e, p, lanes = self.e, self.p, self.lanes
        if self.panel is None:
            values = []
            for v in range(g.vectors):
                self.enter(p.n, {p.n: (varying(n), v * lanes), p.k: k}, self.mask(g, v))
                values.append(e.splat(e.value(p.b), lanes))
            self.leave()
            return values
        where, further = k
        return self.panel.vectors(e.whole("add", where, number(further)), g)

    # What follows the sums

    def write_body(self, place: Place, n: Value, g: Columns, sums: list[Value]) -> None:
        e, p = self.e, self.p
        copies = []
        for v, total in enumerate(sums):
            copy = self.enter(p.n, {p.m: place, p.n: (varying(n), v * self.lanes)}, self.mask(g, v))
            copy.names[p.name] = varying(total)
            copies.append(copy)
        e.write_copies(copies, p.body)
        self.leave()

    def _body_by_memory(self, m: Value, n: Value, g: Columns, sums: dict[str, Value], rows: int, tail: bool) -> None:
        """The body in a loop over the rows that exist, with the sums read back."""
        e, dtype, lanes, width = self.e, self.p.dtype, self.lanes, g.vectors * self.lanes
        if self.sums is None:
            # The first block is the largest.
            self.sums = e.scratch(dtype, rows * width)
        for r in range(rows):
            for v in range(g.vectors):
                place = e.moved(self.sums, number(r * width + v * lanes), dtype)
                self.write_own(sums[f"{r} {v}"], place)
        e.forget("sums")
        stop = self.stop if tail else e.whole("add", m, number(rows))

        def row(there: Value) -> None:
            assert self.sums is not None
            start = e.moved(self.sums, e.scaled(e.whole("sub", there, m), width), dtype)
            back = [self.read_own(e.moved(start, number(v * lanes), dtype), "sums") for v in range(g.vectors)]
            self.write_body((varying(there), 0), n, g, back)

        e.loop(m, stop, 1, self.changed, [], row)
