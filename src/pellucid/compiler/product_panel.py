"""A part of a factor of a product comes in; copied together in the order in which the product reads it, it leaves. That
pays where its elements lie otherwise, or far apart. Called by product_blocks.

Of the second factor it is a block of columns as whole vectors, k after k; of the first some rows, block by block, and
in a block k after k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.compiler.expressions import INT64, Expr, Variable, affine
from pellucid.compiler.llvm_expressions import Copy, Place, first_lanes, varying
from pellucid.compiler.llvm_writer import NOTHING, Holder, Value, literal, type_of
from pellucid.compiler.nest import Product, Sum

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

PANEL = frozenset(("panel",))
STRIPS = frozenset(("strips",))
KEPT = frozenset(("kept",))
OWN = frozenset(("panel", "strips", "sums", "kept"))
"""What a product's own memory is called among the things that loops change."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks of columns that are written as one loop.

    start : the first column.
    blocks : how many blocks.
    vectors : of a block.
    rest : how many columns the last vector has, if not all.
    """

    start: int
    blocks: int
    vectors: int
    rest: int


def is_contiguous(x: Expr, along: Variable) -> bool:
    """Whether an expression reads neighbouring elements along a counter."""
    return x.op == "load" and affine(x.args[1])[1].get(along) == 1


def number(i: int) -> Value:
    """A literal int64."""
    return literal(i, INT64)


class Rows:
    """What writes parts of a product: for vectors along a counter, or for scalars."""

    def __init__(self, e: Emitter, p: Product) -> None:
        self.e, self.p = e, p
        self.lanes = e.target.vector_bytes // p.dtype.itemsize

    def read_own(self, place: Value, what: Any) -> Value:
        kind = type_of(self.p.dtype, self.lanes)
        size = self.p.dtype.itemsize * self.lanes
        return self.e.read(f"load {kind}, {place}, align {min(size, 64)}", self.p.dtype, self.lanes, what, place)

    def write_own(self, x: Value, place: Value) -> None:
        self.e.line(f"store {x}, {place}, align {min(self.p.dtype.itemsize * self.lanes, 64)}")

    def enter(self, along: Variable | None, variables: dict[Variable, Place], mask: Value | None = None) -> Copy:
        """Write for vectors along a counter, or for scalars."""
        e = self.e
        e.counter, e.lanes = along, self.lanes if along is not None else 1
        e.copies = [Copy(variables, mask)]
        e.choose(e.copies[0])
        return e.copies[0]

    def leave(self) -> None:
        self.enter(None, {})

    def over(self, sums: Sequence[Sum], holders: list[Holder], body: Callable[[], None]) -> None:
        """`body` for each value of the product's further counters."""
        if not sums:
            body()
            return
        e, (first, *rest) = self.e, sums

        def one(counter: Value) -> None:
            e.variables[first.counter] = (counter, 0)
            self.over(rest, holders, body)
            e.forget(first.counter)

        e.loop(e.value(first.start), e.value(first.stop), 1, NOTHING, holders, one)

    def mask(self, g: Columns, v: int) -> Value | None:
        return first_lanes(g.rest, self.lanes) if g.rest and v == g.vectors - 1 else None


class Panel(Rows):
    """The memory that blocks of columns are copied to."""

    def __init__(self, e: Emitter, p: Product, width: int) -> None:
        super().__init__(e, p)
        self.place = e.scratch(p.dtype, p.k_stop * width)

    def vectors(self, k: Value, g: Columns) -> list[Value]:
        """The vectors of a k."""
        row = self.e.moved(self.place, self.e.scaled(k, g.vectors * self.lanes), self.p.dtype)
        places = (self.e.moved(row, number(v * self.lanes), self.p.dtype) for v in range(g.vectors))
        return [self.read_own(place, "panel") for place in places]

    def fill(self, n: Value, g: Columns) -> None:
        """Copy a block of columns of b together, k after k."""
        e, p, lanes = self.e, self.p, self.lanes
        few = 16 // p.dtype.itemsize
        if is_contiguous(p.b, p.k) and p.k_stop >= few:
            whole = g.vectors - (g.rest > 0)

            def turned(k: Value) -> None:
                # The last step begins so early that it ends with k, and does some once more.
                late, last = e.compared("<", number(p.k_stop - few), k), number(p.k_stop - few)
                k = k if p.k_stop % few == 0 else e.select(late, last, k)
                e.loop(number(0), number(whole * lanes), lanes, PANEL, [], lambda v: self._turn(k, n, v, lanes, g))
                if g.rest:
                    self._turn(k, n, number(whole * lanes), g.rest, g)

            e.loop(number(0), number(p.k_stop), few, PANEL, [], turned)
        else:
            e.loop(number(0), number(p.k_stop), 1, PANEL, [], lambda k: self._pack_row(k, n, g))
        e.forget("panel")

    def _pack_row(self, k: Value, n: Value, g: Columns) -> None:
        """A row of b that does not lie together, lane by lane."""
        e, p, lanes = self.e, self.p, self.lanes
        for v in range(g.vectors):
            self.enter(p.n, {p.n: (varying(n), v * lanes), p.k: (varying(k), 0)}, self.mask(g, v))
            self._to_panel(e.splat(e.value(p.b), lanes), k, 0, number(v * lanes), g)
        self.leave()

    def _turn(self, k: Value, n: Value, v: Value, columns: int, g: Columns) -> None:
        """A vector of columns for as many k as 16 bytes hold: pieces of 16 bytes along k are read, one a column, and
        turned within each 16 bytes, which every machine does in one instruction a step."""
        e, p, lanes = self.e, self.p, self.lanes
        few = 16 // p.dtype.itemsize
        kind = type_of(p.dtype, few)
        first, pieces = e.whole("add", n, v), []
        for j in range(lanes):
            # Of columns that do not exist the last one is read again.
            self.enter(None, {p.n: (varying(first), min(j, columns - 1)), p.k: (varying(k), 0)})
            buffer, index = p.b.args
            place = e.address(buffer, index)[0]
            text = f"load {kind}, {place}, align {p.dtype.itemsize}"
            pieces.append(e.read(text, p.dtype, few, buffer.number, place))
        self.leave()
        rows = [self._joined(pieces[i::few]) for i in range(few)]
        for _ in range(few.bit_length() - 1):
            halves = zip(rows[: few // 2], rows[few // 2 :], strict=True)
            rows = [x for pair in halves for x in self._interleaved(*pair, few)]
        for i, x in enumerate(rows):
            self._to_panel(x, k, i, v, g)

    def _joined(self, pieces: list[Value]) -> Value:
        """Vectors one after the other as one."""
        while len(pieces) > 1:
            order = list(range(2 * pieces[0].lanes))
            pieces = [self.e.shuffled(a, b, order) for a, b in zip(pieces[::2], pieces[1::2], strict=True)]
        return pieces[0]

    def _interleaved(self, a: Value, b: Value, few: int) -> tuple[Value, Value]:
        """Lanes of two vectors in turn, of the lower and of the upper halves of each 16 bytes."""
        low = [i + j + which for i in range(0, a.lanes, few) for j in range(few // 2) for which in (0, a.lanes)]
        return self.e.shuffled(a, b, low), self.e.shuffled(a, b, [i + few // 2 for i in low])

    def _to_panel(self, x: Value, k: Value, offset: int, v: Value, g: Columns) -> None:
        e, width = self.e, g.vectors * self.lanes
        row = e.moved(e.moved(self.place, e.scaled(k, width), self.p.dtype), v, self.p.dtype)
        self.write_own(x, e.moved(row, number(offset * width), self.p.dtype))


class Strips(Rows):
    """The memory that some rows of the first factor are copied to: one strip a block of rows, k after k.

    most : how many rows there are at once.
    rows : of a block.
    first : the first of the rows that are there.
    """

    def __init__(self, e: Emitter, p: Product, most: int, rows: int, first: Value) -> None:
        super().__init__(e, p)
        self.rows, self.first = rows, first
        self.place = e.scratch(p.dtype, (most + rows) * p.k_stop)

    def of(self, m: Value) -> Value:
        """Where the strip of the block that begins at a row lies."""
        e = self.e
        return e.moved(self.place, e.scaled(e.whole("sub", m, self.first), self.p.k_stop), self.p.dtype)

    def number(self, strip: Value, k: Place, rows: int, row: int) -> Value:
        """One number of a strip of so many rows."""
        e, dtype, (where, further) = self.e, self.p.dtype, k
        place = e.moved(e.moved(strip, e.scaled(where, rows), dtype), number(further * rows + row), dtype)
        return e.read(f"load {type_of(dtype)}, {place}, align {dtype.itemsize}", dtype, 1, "strips", place)

    def fill(self, m: Value, k: Value, places: Sequence[Place], side_by_side: bool) -> None:
        """Copy one k of a block's rows, which lie side by side unless the last ones do not exist."""
        e, p, rows = self.e, self.p, len(places)
        to = e.moved(self.of(m), e.scaled(k, rows), p.dtype)
        if side_by_side:
            self.enter(None, {p.m: places[0], p.k: (varying(k), 0)})
            buffer, index = p.a.args
            there = e.address(buffer, index)[0]
            kind = type_of(p.dtype, rows)
            x = e.read(f"load {kind}, {there}, align {p.dtype.itemsize}", p.dtype, rows, buffer.number, there)
            e.line(f"store {x}, {to}, align {p.dtype.itemsize}")
        else:
            for r, place in enumerate(places):
                self.enter(None, {p.m: place, p.k: (varying(k), 0)})
                e.line(f"store {e.value(p.a)}, {e.moved(to, number(r), p.dtype)}, align {p.dtype.itemsize}")
        self.leave()
