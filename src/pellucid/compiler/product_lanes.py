"""A product whose factors lie along k, or nearly so, comes in; LLVM instructions leave. Called by product.

Lanes are k, so that nothing has to be turned: the gradient of a convolution's kernel, whose sums run over all samples
and places, that of a small weight, whose sums run over a long batch, and products of few columns. Rows and columns are
taken in blocks whose sums stay in registers, a vector each, whose lanes are added when all is summed. The order of
additions depends on the block's number of columns alone, which is the same for all threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pellucid.compiler.expressions import INT64, Expr
from pellucid.compiler.llvm_expressions import Place, first_lanes, varying
from pellucid.compiler.llvm_writer import NOTHING, Value, literal
from pellucid.compiler.nest import Product
from pellucid.compiler.product_blocks import rows_of
from pellucid.compiler.product_panel import Rows, is_contiguous, number

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

_BLOCK = {32: (6, 4), 16: (4, 3)}
"""Rows and columns of a block, by the number of registers."""

_IN_FLIGHT = 8
"""Sums that a core can work on at once; of a smaller block there are several side by side, of other k."""


class LaneSums(Rows):
    """A product as it is written."""

    def __init__(self, e: Emitter, p: Product) -> None:
        super().__init__(e, p)
        most_rows, columns = _BLOCK[e.target.registers]
        self.rows = min(most_rows, rows_of(e, p)[1])
        blocks = -(-p.n_stop // columns)
        self.columns = -(-p.n_stop // blocks)
        self.start, self.stop = e.value(p.m_start), e.value(p.m_stop)
        self.changed = frozenset[object]().union(*(e.changed(s) for s in p.body))

    def all(self) -> None:
        """Every block."""
        e = self.e
        whole = self.p.n_stop // self.columns * self.columns
        unit = rows_of(e, self.p)[0]

        def row(m: Value) -> None:
            e.loop(number(0), number(whole), self.columns, self.changed, [], lambda n: self._tile(m, n, self.columns))
            if whole < self.p.n_stop:
                self._tile(m, number(whole), self.p.n_stop - whole)

        self.exact = unit % self.rows == 0
        e.loop(self.start, self.stop, self.rows, self.changed, [], row)

    def _tile(self, m: Value, n: Value, columns: int) -> None:
        e = self.e
        places = [self._place(m, r) for r in range(self.rows)]
        sums = self._sums(places, n, columns)
        for r, place in enumerate(places):
            totals = [e.across("add", sums[f"{r} {c}"]) for c in range(columns)]
            self._row(m, r, place, n, totals)

    def _sums(self, places: Sequence[Place], n: Value, columns: int) -> dict[str, Value]:
        """The sums of a block, each in the lanes of a vector still."""
        e, p, lanes = self.e, self.p, self.lanes
        keys = [f"{r} {c}" for r in range(self.rows) for c in range(columns)]
        vectors, rest = divmod(p.k_stop, lanes)
        side = min(max(_IN_FLIGHT // len(keys), 1), max(vectors, 1))
        parts = [dict.fromkeys(keys, literal(0, p.dtype, lanes)) for _ in range(side)]
        holders = [(part, key) for part in parts for key in keys]

        def every_k() -> None:
            stepped = vectors // side * side

            def some(k: Value) -> None:
                for i, part in enumerate(parts):
                    self._step((varying(k), i * lanes), places, n, columns, part, None)

            e.loop(number(0), number(stepped * lanes), side * lanes, NOTHING, holders, some)
            for v in range(stepped, vectors):
                self._step((varying(number(v * lanes)), 0), places, n, columns, parts[0], None)
            if rest:
                mask = first_lanes(rest, lanes)
                self._step((varying(number(vectors * lanes)), 0), places, n, columns, parts[0], mask)

        self.over(p.sums, holders, every_k)
        sums = parts[0]
        for part in parts[1:]:
            for key in keys:
                sums[key] = e.operation("+", [sums[key], part[key]], p.dtype)
        return sums

    def _place(self, m: Value, row: int) -> Place:
        """Where a row of a block is; a row beyond the end is the last one again."""
        if self.exact or row == 0:
            return varying(m), row
        e = self.e
        last, there = e.whole("sub", self.stop, number(1)), e.whole("add", m, number(row))
        return varying(e.select(e.compared("<", there, last), there, last)), 0

    def _step(
        self,
        k: Place,
        places: Sequence[Place],
        n: Value,
        columns: int,
        sums: dict[str, Value],
        mask: Value | None,
    ) -> None:
        """One vector of k: every row's times every column's."""
        e, p = self.e, self.p
        factors = []
        for c in range(columns):
            self.enter(p.k, {p.n: (varying(n), c), p.k: k}, mask)
            factors.append(self._or_nothing(p.b, mask))
        for r, place in enumerate(places):
            self.enter(p.k, {p.m: place, p.k: k}, mask)
            a = self._or_nothing(p.a, mask)
            for c, b in enumerate(factors):
                key = f"{r} {c}"
                sums[key] = e.operation("fma", [a, b, sums[key]], p.dtype)
        self.leave()

    def _or_nothing(self, x: Expr, mask: Value | None) -> Value:
        """A factor, 0 in lanes that do not exist; read one by one they would repeat the first."""
        e = self.e
        value = e.value(x)
        if mask is None or is_contiguous(x, self.p.k):
            return value
        return e.select(mask, e.splat(value, self.lanes), literal(0, x.dtype, self.lanes))

    def _row(self, m: Value, row: int, place: Place, n: Value, totals: list[Value]) -> None:
        """The body for a row's sums, if there is such a row."""
        e, p = self.e, self.p

        def write() -> None:
            for c, total in enumerate(totals):
                copy = self.enter(None, {p.m: place, p.n: (varying(n), c)})
                copy.names[p.name] = varying(total)
                e.write_copies([copy], p.body)
            self.leave()

        if self.exact or row == 0:
            write()
        else:
            exists = e.compared("<", e.whole("add", m, number(row)), self.stop)
            e.when(exists, self.changed, [], write)


class RowSums(LaneSums):
    """A product of few columns: a block is as many rows as a vector has lanes, whose sums become one vector, so that
    the body is computed for all of them at once."""

    def __init__(self, e: Emitter, p: Product) -> None:
        super().__init__(e, p)
        self.rows, self.columns = self.lanes, 1

    def all(self) -> None:
        """Every block."""
        e, lanes = self.e, self.lanes
        length = e.whole("sub", self.stop, self.start)
        if length.whole is not None:
            whole = number(length.whole // lanes * lanes)
        else:
            whole = e.pure(f"and {length}, {-lanes}", INT64, 1, length)
        middle = e.whole("add", self.start, whole)
        self.exact = True
        e.loop(self.start, middle, lanes, self.changed, [], lambda m: self._block(m, None))
        if rows_of(e, self.p)[0] % lanes == 0:
            return
        self.exact = False

        def rest(m: Value) -> None:
            left = e.whole("sub", self.stop, m)
            self._block(m, first_lanes(left.whole, lanes) if left.whole is not None else e.lanes_below(left, lanes))

        e.loop(middle, self.stop, lanes, self.changed, [], rest)

    def _block(self, m: Value, mask: Value | None) -> None:
        e, p = self.e, self.p
        places = [self._place(m, r) for r in range(self.rows)]
        for c in range(p.n_stop):
            sums = self._sums(places, number(c), 1)
            total = e.joined([e.across("add", sums[f"{r} 0"]) for r in range(self.rows)])
            copy = self.enter(p.m, {p.m: (varying(m), 0), p.n: (varying(number(c)), 0)}, mask)
            copy.names[p.name] = varying(total)
            e.write_copies([copy], p.body)
            self.leave()
