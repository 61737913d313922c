"""A product's block comes in; instructions leave that ask for lines of memory some time before they are read, so that
nobody waits for them. They change no number. Called by product_blocks.

Three things are asked for: what the body reads for a block, such as a weight and what its optimizer keeps for it, while
the block's sums are made; of a first factor that is read across its lines, the lines of a later block; and the rows
that the next step picks from a data set, while this step reads its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pellucid.compiler.expressions import Buffer, Expr, Variable, affine, with_parts
from pellucid.compiler.llvm_expressions import Place, varying
from pellucid.compiler.llvm_writer import Value
from pellucid.compiler.nest import Product, Statement, expressions, with_inner
from pellucid.compiler.product_panel import Columns, Rows

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

LINE = 64
"""Bytes that memory gives at once."""

CHUNK = 4 * LINE
"""Bytes of every row after which the next ones are asked for."""

_NEAR = 16 * 1024
"""Bytes of a buffer that stays in a core's first cache by itself."""

_FIRST_CACHE, _SECOND_CACHE = 3, 2


class Ahead(Rows):
    """What a product reads, as far as it is worth asking for before."""

    def __init__(self, e: Emitter, p: Product) -> None:
        super().__init__(e, p)
        self._in_body = [x for x in _loads(p.body) if self._meets_block(x)]
        self.picks_rows = self._is_picked(p.a)
        self.reads_columns = self._is_column(p.a)

    def body(self, places: Sequence[Place], n: Value, g: Columns) -> None:
        """Ask for what the body reads for a block: of every row the lines of its columns."""
        p, columns = self.p, (g.vectors - 1) * self.lanes + (g.rest or self.lanes)
        for x in self._in_body:
            elements = LINE // x.dtype.itemsize
            # Rows need not begin with a line: the last element may lie in one more.
            for place in places:
                for j in (*range(0, columns - 1, elements), columns - 1):
                    self._ask(x, {p.m: place, p.n: (varying(n), j)}, _FIRST_CACHE)
        self.leave()

    def next_rows(self, places: Sequence[Place], k: Value, count: int) -> None:
        """Ask for so many elements from k on of the rows that the next step picks in place of these."""
        p, step = self.p, self.e.kernel.step
        following = (varying(self.e.variables[step][0]), 1)
        for place in places:
            for i in range(0, count, LINE // p.a.dtype.itemsize):
                self._ask(p.a, {p.m: place, p.k: (varying(k), i), step: following}, _SECOND_CACHE)
        self.leave()

    def next_columns(self, place: Place, k: Place) -> None:
        """Ask for the line of a row k of a that the rows of a later block read."""
        p, (m, first) = self.p, place
        self._ask(p.a, {p.m: (m, first + LINE // p.a.dtype.itemsize), p.k: k}, _FIRST_CACHE)
        self.leave()

    def _ask(self, x: Expr, variables: dict[Variable, Place], cache: int) -> None:
        e = self.e
        self.enter(None, variables)
        place = e.address(*x.args)[0]
        e.intrinsics.add("declare void @llvm.prefetch.p0(ptr, i32 immarg, i32 immarg, i32 immarg)")
        e.line(f"call void @llvm.prefetch.p0({place}, i32 0, i32 {cache}, i32 1)")

    def _meets_block(self, x: Expr) -> bool:
        buffer, index = x.args
        terms = affine(index)[1]
        return terms.get(self.p.n) == 1 and self.p.m in terms and _nbytes(buffer) > _NEAR

    def _is_column(self, x: Expr) -> bool:
        """Whether neighbouring rows lie side by side in lines that are far apart from k to k."""
        if x.op != "load" or _nbytes(x.args[0]) <= _NEAR:
            return False
        terms = affine(x.args[1])[1]
        return terms.get(self.p.m) == 1 and terms.get(self.p.k, LINE) >= LINE

    def _is_picked(self, x: Expr) -> bool:
        """Whether rows, read along k, are picked by an order of rows that goes on at the next step."""
        return x.op == "load" and affine(x.args[1])[1].get(self.p.k) == 1 and is_picked(x)


def is_picked(x: Expr) -> bool:
    """Whether what is loaded lies in rows that an order of rows picks."""
    keys = affine(x.args[1])[1]
    return any(isinstance(key, Expr) and key.op == "load" and key.args[0].kind == "order" for key in keys)


def _nbytes(buffer: Buffer) -> int:
    size = buffer.dtype.itemsize
    for length in buffer.shape:
        size *= length
    return size


def _loads(body: Sequence[Statement]) -> list[Expr]:
    """The loads of statements, each element once."""
    found: dict[object, Expr] = {}
    for x in with_parts(x for statement in with_inner(body) for x in expressions(statement)):
        if x.op == "load":
            constant, terms = affine(x.args[1])
            found.setdefault((x.args[0], constant, frozenset(terms.items())), x)
    return list(found.values())
