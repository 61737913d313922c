"""The tree of loop nests that stands between a graph and machine code. `lower` builds it with scalar bodies;
`emit_llvm` prints it as vectorised LLVM IR, `emit_python` as Python over NumPy; both mean the same numbers. Nothing
here computes.

A Program is a list of phases with a barrier after each; a phase is a list of Calls of Kernels, whose rows are shared
out among the threads. Indices are in elements of a buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from pellucid._typing import DType
from pellucid.compiler.expressions import Buffer, Expr, Variable

CombineKind: TypeAlias = Literal["add", "maximum", "minimum", "and", "or"]


# Statements


@dataclass(frozen=True, eq=False, slots=True)
class Loop:
    """`body` for each value of `counter` from start up to, not including, stop.

    vector : the values are independent but for accumulators, and the innermost: several are computed at once.
    whole : of a vector loop of at most WHOLE values, known beforehand: all are computed at once, so that what `Across`
        combines can be used by the statements after it.
    """

    counter: Variable
    start: Expr
    stop: Expr
    body: tuple[Statement, ...]
    vector: bool = False
    whole: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Let:
    """A value computed here, once, and known by a name that no other Let or accumulator of the kernel has."""

    name: str
    value: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Accumulator:
    """A value that `Combine` adds to. Declared inside a vector loop it has one value for each of the loop's; declared
    outside, what a vector loop combines is one value when that loop has ended."""

    name: str
    kind: CombineKind
    dtype: DType


@dataclass(frozen=True, eq=False, slots=True)
class Combine:
    """Combine a value into an accumulator."""

    name: str
    value: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Across:
    """A value combined over all values of the whole vector loop that it stands in, known by a name from here on."""

    name: str
    kind: CombineKind
    value: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Store:
    """Write an element of a buffer."""

    buffer: Buffer
    index: Expr
    value: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Sum:
    """A counter that a product is summed over besides k, from start up to, not including, stop; neither depends on the
    product's rows or columns, and there may be no value between them."""

    counter: Variable
    start: Expr
    stop: Expr


@dataclass(frozen=True, eq=False, slots=True)
class Product:
    """A matrix product: for m in m_start..m_stop, n in 0..n_stop: `name` = Σ_k a·b for k in 0..k_stop, one k after the
    other from 0 on by fma (of a single row, of few columns, or of factors that both lie along k, in another order,
    always the same); then `body` with m, n and `name`. `a` depends on m and k, `b` on k and n.

    sums : further counters that it is summed over, the first outermost, each with every k.
    """

    m: Variable
    m_start: Expr
    m_stop: Expr
    n: Variable
    n_stop: int
    k: Variable
    k_stop: int
    a: Expr
    b: Expr
    name: str
    body: tuple[Statement, ...]
    sums: tuple[Sum, ...] = ()

    @property
    def dtype(self) -> DType:
        return self.a.dtype


@dataclass(frozen=True, eq=False, slots=True)
class If:
    """`body` where a condition holds that no vector loop's counter is part of."""

    condition: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Comment:
    """A line for people: the layer and the operations that follow."""

    text: str


Statement: TypeAlias = Loop | Let | Accumulator | Combine | Across | Store | Product | If | Comment

WHOLE = 16
"""The longest loop that can be whole."""

IDENTITY: dict[str, Any] = {
    "add": 0,
    "maximum": -np.inf,
    "minimum": np.inf,
    "and": True,
    "or": False,
}
"""What an accumulator starts from; for whole numbers the least and the greatest of the dtype stand for infinities."""


def identity(kind: CombineKind, dtype: DType) -> Any:
    """What an accumulator of a kind and dtype starts from."""
    if kind in ("maximum", "minimum") and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if kind == "maximum" else limits.max
    return IDENTITY[kind]


# Kernels and programs


@dataclass(frozen=True, eq=False, slots=True)
class Kernel:
    """What one thread does without waiting for another: for rows lo up to hi of a step."""

    name: str
    lo: Variable
    hi: Variable
    step: Variable
    body: tuple[Statement, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """A kernel's rows.

    extent : how many rows there are.
    grain : rows are given to threads in whole units of so many.
    shared : whether threads share the rows; else thread 0 has all.
    everyone : every thread does all rows, to have the results for itself; all write the same numbers.
    """

    kernel: Kernel
    extent: int
    grain: int = 1
    shared: bool = True
    everyone: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """Everything that a step does.

    buffers : by number.
    phases : lists of calls; a barrier follows each.
    """

    buffers: tuple[Buffer, ...]
    phases: tuple[tuple[Call, ...], ...]
    name: str = "step"
    notes: dict[str, Any] = field(default_factory=dict)


def inside(statement: Statement) -> Sequence[Statement]:
    """The statements of a statement's body."""
    return getattr(statement, "body", ())


def with_inner(body: Iterable[Statement]) -> Iterator[Statement]:
    """Statements, each followed by those of its body and theirs."""
    for statement in body:
        yield statement
        yield from with_inner(inside(statement))


def expressions(statement: Statement) -> Iterator[Expr]:
    """The expressions of a statement itself, not those of its body."""
    for name in type(statement).__dataclass_fields__:
        value = getattr(statement, name)
        if isinstance(value, Expr):
            yield value
    for s in getattr(statement, "sums", ()):
        yield from (s.start, s.stop)
