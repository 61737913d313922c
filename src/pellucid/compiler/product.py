"""A kernel's matrix product comes in, LLVM instructions leave. Called by emit_llvm. How a product is cut into blocks is
decided here, by its shape and the machine; `product_blocks` writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.compiler.expressions import INT64, Expr, Variable, affine, as_expr, fma, named
from pellucid.compiler.llvm_copies import Assign, shape_of
from pellucid.compiler.nest import Accumulator, Loop, Product, Statement, Store, with_inner
from pellucid.compiler.product_ahead import LINE, is_picked
from pellucid.compiler.product_blocks import FEW, Blocking, Blocks, rows_of
from pellucid.compiler.product_depth import Deep
from pellucid.compiler.product_lanes import LaneSums, RowSums
from pellucid.compiler.product_panel import is_contiguous
from pellucid.compiler.tiers import Unsupported

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

_MOST_SCRATCH = 256 * 1024
"""Bytes that a packed panel may take on the stack."""
_LARGE = 768 * 1024
"""Bytes of b that no longer stay in a core's second cache."""
_LONG = 10
"""Operations of a body that is written once, in a loop over a block's rows, rather than once for every row."""
_PACKED_FROM = {32: (_LARGE, 128), 16: (16 * 1024, 64)}
"""By the number of registers: bytes of b from which on it is copied together, and rows for which that pays. Fewer
registers make narrower blocks, which read less of each line of b and soon run out of the first cache."""
_MANY_LINES = 512
"""Lines that no longer stay in a core's first cache, nor come from the second in time: so many k are taken some at a
time."""
_REUSED = 64
"""Columns for which rows that are looked up in an order are copied together once."""
_MOST_STRIPS = 64
"""Rows that are copied together at most."""
_ROWS = {1: (16,), 2: (8,), 3: (8,), 4: (6,)}
"""The numbers of rows for a block of so many vectors, the best first, with 32 registers."""
_SMALL = 1 << 17
"""Multiplications for which half the rows, and so half the code to compile, are enough."""
_SHORT_ROW = 512
"""So many k of some rows at once stay in a core's first cache."""
_LONG_SUM = 4
"""So many vectors of k are enough to sum in lanes along k."""
_WIDE = 8
"""Vectors of a block of one or two rows, whose sums would otherwise wait for each other."""
_ROWS_OF_16 = {1: (8,), 2: (6, 4), 3: (4,)}
"""The same with 16 registers."""


def blocking(e: Emitter, p: Product) -> Blocking:
    """The blocks for a product on a machine.

    Measured on one core with 16 lanes and 32 registers: the widths of _ROWS reach over nine tenths of the most that the
    core can do. A number of rows that leaves none over is preferred, since no last block need be written for it.
    """
    lanes = e.target.vector_bytes // p.dtype.itemsize
    vectors = -(-p.n_stop // lanes)
    unit, most = rows_of(e, p)
    table = _ROWS if e.target.registers >= 32 else _ROWS_OF_16
    size = p.n_stop * p.k_stop * p.dtype.itemsize
    width = min(vectors, _WIDE if most <= 2 else max(table))
    if width == 4 and unit % 8 == 0 and size <= _LARGE:
        width = 3
    large, many = _PACKED_FROM[e.target.registers]
    packed = not p.sums and (not is_contiguous(p.b, p.n) or (size > large and most >= many))
    column = p.k_stop * lanes * p.dtype.itemsize
    width = max(min(width, _MOST_SCRATCH // column), 1) if packed else width
    # Blocks are made even, so that a narrower one than planned may be what is written.
    width = -(-vectors // -(-vectors // width))
    choices = table.get(width, (most,))
    rows = min(next((r for r in choices if unit % r == 0), choices[0]), most)
    if rows == 16 and most * p.n_stop * p.k_stop < _SMALL:
        rows = 8
    # A column of more than the scratch holds is read where it lies.
    packed = packed and column <= _MOST_SCRATCH
    long = shape_of(p.body, e.target.vector_bytes)[1] > _LONG
    # A window of the columns' factor is read by every row, and so comes first.
    columns_first = packed or size > _LARGE or bool(p.sums)
    return Blocking(rows, width, packed, columns_first, long, _strips(p, rows, most))


def _strips(p: Product, rows: int, most: int) -> int:
    """How many rows of a to copy together at once: it pays where a block reads a few numbers of so many lines that they
    leave the first cache before the next block reads on, or of rows that are looked up and lie on as many pages."""
    across = p.a.op == "load" and is_contiguous(p.a, p.m) and not is_contiguous(p.a, p.k)
    if p.sums or not across or 2 * rows * p.dtype.itemsize > LINE:
        return 0
    if p.k_stop < _MANY_LINES and not (is_picked(p.a) and p.n_stop >= _REUSED):
        return 0
    return min(_MOST_SCRATCH // (p.k_stop * p.dtype.itemsize), _MOST_STRIPS, most) // rows * rows


def emit_product(e: Emitter, p: Product) -> None:
    """Write a matrix product."""
    lanes = e.target.vector_bytes // p.dtype.itemsize
    if e.counter is not None:
        raise Unsupported("a product inside a vector loop")
    if p.sums:
        if is_contiguous(p.a, p.k) and is_contiguous(p.b, p.k):
            LaneSums(e, p).all()
        else:
            Blocks(e, p, blocking(e, p)).all()
        return
    if any(name in e.changed(p) for name in e.names):
        raise Unsupported("a product's body combines into what was declared before it")
    both_along_k = is_contiguous(p.a, p.k) and is_contiguous(p.b, p.k)
    many_rows = rows_of(e, p)[1] >= lanes
    # Of a result that lies column by column even more columns go one after the other than a quarter vector holds.
    few_columns = p.n_stop <= (FEW if _lies_along_m(p) or is_contiguous(p.a, p.m) else lanes // 4)
    # Wherever the result lies: that it is also returned must not change its bits.
    if p.n_stop <= FEW and many_rows and lanes <= p.k_stop <= _SHORT_ROW and _is_along_k(p):
        RowSums(e, p).all()
    elif p.n_stop == 1 and p.k_stop >= lanes and both_along_k:
        _along_k(e, p)
    elif few_columns and many_rows and (is_contiguous(p.a, p.m) or p.k_stop <= FEW):
        _along_m(e, p)
    elif p.n_stop <= FEW and p.k_stop >= _LONG_SUM * lanes and _is_near(p.a, p.k) and _is_near(p.b, p.k):
        LaneSums(e, p).all()
    elif p.n_stop == 1 and any(affine(s.index)[1].get(p.n, 0) == 0 for s in _stores(p)):
        _along_m(e, p)
    else:
        plan = blocking(e, p)
        (Deep(e, p, plan) if plan.strips and p.k_stop >= _MANY_LINES else Blocks(e, p, plan)).all()


def _is_along_k(p: Product) -> bool:
    """Whether a row of the first factor lies along k, and the second factor's k lie near each other."""
    return is_contiguous(p.a, p.k) and _is_near(p.b, p.k)


def _is_near(x: Expr, along: Variable) -> bool:
    """Whether an expression reads elements along a counter that are few apart, or in rows so short that are looked up:
    sums have one order, whether rows are picked or given."""
    if x.op != "load":
        return False
    terms = affine(x.args[1])[1]
    picked = [factor for t, factor in terms.items() if isinstance(t, Expr) and is_contiguous(t, along)]
    return all([0 < factor <= FEW for factor in picked or [terms.get(along, 0)]])


def _lies_along_m(p: Product) -> bool:
    """Whether all that a product's body writes lies side by side along the rows."""
    stores = _stores(p)
    return bool(stores) and all(affine(s.index)[1].get(p.m) == 1 for s in stores)


def _stores(p: Product) -> list[Store]:
    return [s for s in with_inner(p.body) if isinstance(s, Store)]


def _along_k(e: Emitter, p: Product) -> None:
    """A product with a vector: each row's sum in lanes along k, combined in the same order for every row, which is not
    that of k."""
    step = Assign(p.name, fma(p.a, p.b, named(p.name, p.dtype)))
    row = (
        Accumulator(p.name, "add", p.dtype),
        Loop(p.k, as_expr(0, INT64), as_expr(p.k_stop, INT64), (step,), vector=True),
        *p.body,
    )
    e.statements([_over_n(p, (Loop(p.m, p.m_start, p.m_stop, row),))])


def _along_m(e: Emitter, p: Product) -> None:
    """A product with few columns: lanes are rows."""
    step = Assign(p.name, fma(p.a, p.b, named(p.name, p.dtype)))
    element = (
        Accumulator(p.name, "add", p.dtype),
        Loop(p.k, as_expr(0, INT64), as_expr(p.k_stop, INT64), (step,)),
        *p.body,
    )
    e.statements([Loop(p.m, p.m_start, p.m_stop, (_over_n(p, element),), vector=True)])


def _over_n(p: Product, body: tuple[Statement, ...]) -> Loop:
    return Loop(p.n, as_expr(0, INT64), as_expr(p.n_stop, INT64), body)
