"""The tree of loop nests that stands between a graph and machine code. `lower` builds it with scalar bodies;
`emit_llvm` prints it as vectorised LLVM IR, `emit_python` as Python over NumPy; both mean the same numbers. Nothing
here computes.

A Program is a list of phases with a barrier after each; a phase is a list of Calls of Kernels, whose rows are shared
out among the threads. Indices are in elements of a buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from pellucid._typing import DType, Shape

BOOL, INT64 = np.dtype(np.bool_), np.dtype(np.int64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

BASIC = frozenset(
    "+ - * / // % neg abs maximum minimum fma sqrt floor ceil trunc round copysign < <= > >= == != and or xor not "
    "where << >> & | ^ invert mulhi cast bits".split()
)
"""Operations that both printers know. `bits` reads the same bits as another dtype; `mulhi` is the upper half of an
unsigned product; shifts of signed numbers keep the sign; // and % round down; NaN passes through maximum and
minimum. Everything else (exp, tanh, power, ...) is a function that `mathematics` writes in these."""


class Unsupported(Exception):
    """There is no native rule for an operation: no mistake, since the NumPy plan can run it."""


BufferKind: TypeAlias = Literal["input", "state", "constant", "setting", "scratch", "output", "order", "flag"]
CombineKind: TypeAlias = Literal["add", "multiply", "maximum", "minimum", "and", "or"]


@dataclass(frozen=True, eq=False, slots=True)
class Buffer:
    """An array that a program reads or writes.

    number : its place in the table of addresses.
    strides : in elements, one an axis; 0 where an axis is broadcast.
    """

    name: str
    number: int
    dtype: DType
    shape: Shape
    strides: tuple[int, ...]
    kind: BufferKind


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """A loop's counter, or an argument of a kernel: int64."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Expr:
    """A scalar expression; a shared part is one object, computed once.

    op : "number" (args: the Python number), "variable" (a Variable), "name" (of a Let or an accumulator), "load" (a
        Buffer and an index), one of BASIC, or a function for `mathematics`.
    """

    op: str
    args: tuple[Any, ...]
    dtype: DType

    def __add__(self, other: Any) -> Expr:
        return arithmetic("+", self, other)

    def __radd__(self, other: Any) -> Expr:
        return arithmetic("+", other, self)

    def __sub__(self, other: Any) -> Expr:
        return arithmetic("-", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return arithmetic("-", other, self)

    def __mul__(self, other: Any) -> Expr:
        return arithmetic("*", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return arithmetic("*", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return arithmetic("/", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return arithmetic("/", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return arithmetic("//", self, other)

    def __mod__(self, other: Any) -> Expr:
        return arithmetic("%", self, other)

    def __neg__(self) -> Expr:
        return Expr("neg", (self,), self.dtype)

    def __lt__(self, other: Any) -> Expr:
        return compare("<", self, other)

    def __le__(self, other: Any) -> Expr:
        return compare("<=", self, other)

    def __gt__(self, other: Any) -> Expr:
        return compare(">", self, other)

    def __ge__(self, other: Any) -> Expr:
        return compare(">=", self, other)

    def __and__(self, other: Any) -> Expr:
        return arithmetic("and" if self.dtype == BOOL else "&", self, other)

    def __or__(self, other: Any) -> Expr:
        return arithmetic("or" if self.dtype == BOOL else "|", self, other)

    def __xor__(self, other: Any) -> Expr:
        return arithmetic("xor" if self.dtype == BOOL else "^", self, other)

    def __lshift__(self, other: Any) -> Expr:
        return arithmetic("<<", self, other)

    def __rshift__(self, other: Any) -> Expr:
        return arithmetic(">>", self, other)

    # Scalar bodies compare with == too. Looked up in sets and dicts an expression is itself alone.
    def __eq__(self, other: object) -> Any:
        return compare("==", self, other)

    def __ne__(self, other: object) -> Any:
        return compare("!=", self, other)

    __hash__ = object.__hash__


def number(value: Any, dtype: DType) -> Expr:
    """A literal of a dtype."""
    return Expr("number", (value,), dtype)


def variable(v: Variable) -> Expr:
    """A loop's counter as an expression."""
    return Expr("variable", (v,), INT64)


def named(name: str, dtype: DType) -> Expr:
    """The value of a Let, an accumulator or a Product."""
    return Expr("name", (name,), dtype)


def load(buffer: Buffer, index: Any) -> Expr:
    """An element of a buffer."""
    return Expr("load", (buffer, as_expr(index, INT64)), buffer.dtype)


def as_expr(value: Any, dtype: DType) -> Expr:
    """An expression as it is, a Python number as a literal of `dtype`, a Variable as its value."""
    if isinstance(value, Expr):
        return value
    return variable(value) if isinstance(value, Variable) else number(value, dtype)


def _pair(a: Any, b: Any) -> tuple[Expr, Expr]:
    dtype = a.dtype if isinstance(a, Expr) else b.dtype
    return as_expr(a, dtype), as_expr(b, dtype)


def arithmetic(op: str, a: Any, b: Any) -> Expr:
    """An operation of two numbers of one dtype; of whole literals the result, so that indices stay short."""
    a, b = _pair(a, b)
    if a.dtype != b.dtype:
        raise TypeError(f"{op} of {a.dtype} and {b.dtype}")
    if a.dtype == INT64:
        folded = _folded(op, a, b)
        if folded is not None:
            return folded
    return Expr(op, (a, b), a.dtype)


def _folded(op: str, a: Expr, b: Expr) -> Expr | None:
    left, right = (x.args[0] if x.op == "number" else None for x in (a, b))
    if left is not None and right is not None and op in _WHOLE and not (op in ("//", "%") and right == 0):
        return number(_WHOLE[op](left, right), INT64)
    if (op == "+" and left == 0) or (op == "*" and left == 1):
        return b
    if (op in ("+", "-") and right == 0) or (op in ("*", "//") and right == 1):
        return a
    if (op == "*" and (left == 0 or right == 0)) or (op == "%" and right == 1):
        return number(0, INT64)
    return None


_WHOLE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def compare(op: str, a: Any, b: Any) -> Expr:
    """A comparison: < <= > >= == !=."""
    return Expr(op, _pair(a, b), BOOL)


def equal(a: Any, b: Any) -> Expr:
    """a == b, element by element."""
    return compare("==", a, b)


def differs(a: Any, b: Any) -> Expr:
    """a != b, element by element; true of NaN and itself."""
    return compare("!=", a, b)


def where(condition: Expr, a: Any, b: Any) -> Expr:
    """a where the condition holds, else b."""
    a, b = _pair(a, b)
    return Expr("where", (condition, a, b), a.dtype)


def fma(a: Any, b: Any, c: Expr) -> Expr:
    """a * b + c, rounded once."""
    return Expr("fma", (as_expr(a, c.dtype), as_expr(b, c.dtype), c), c.dtype)


def cast(x: Expr, dtype: DType) -> Expr:
    """The same value in another dtype; floats become whole numbers by dropping their fraction."""
    return x if x.dtype == dtype else Expr("cast", (x,), dtype)


def bits(x: Expr, dtype: DType) -> Expr:
    """The same bits as another dtype of that width."""
    return x if x.dtype == dtype else Expr("bits", (x,), dtype)


def function(name: str, *args: Expr) -> Expr:
    """A basic operation or a function of floats, by name; the result has the first argument's dtype."""
    return Expr(name, args, args[0].dtype)


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
class Product:
    """A matrix product: for m in m_start..m_stop, n in 0..n_stop: `name` = Σ_k a·b for k in 0..k_stop, one k after the
    other from 0 on by fma (of a single row or column in another order, always the same); then `body` with m, n and
    `name`. `a` depends on m and k, `b` on k and n."""

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
    "multiply": 1,
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

    def rows(self, thread: int, threads: int) -> tuple[int, int]:
        """The rows lo up to hi of a thread."""
        if self.everyone:
            return 0, self.extent
        if not self.shared:
            return (0, self.extent) if thread == 0 else (0, 0)
        units = -(-self.extent // self.grain)
        first, last = units * thread // threads, units * (thread + 1) // threads
        return min(first * self.grain, self.extent), min(last * self.grain, self.extent)


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """Everything that a step does.

    buffers : by number.
    phases : lists of calls; a barrier follows each.
    flag : the buffer of one int64 that a check in the first phase sets to stop a step before it changes anything.
    """

    buffers: tuple[Buffer, ...]
    phases: tuple[tuple[Call, ...], ...]
    flag: Buffer | None = None
    name: str = "step"
    notes: dict[str, Any] = field(default_factory=dict)


def inside(statement: Statement) -> Sequence[Statement]:
    """The statements of a statement's body."""
    return getattr(statement, "body", ())


def expressions(statement: Statement) -> Iterator[Expr]:
    """The expressions of a statement itself, not those of its body."""
    for name in type(statement).__dataclass_fields__:
        value = getattr(statement, name)
        if isinstance(value, Expr):
            yield value


def affine(index: Expr) -> tuple[int, dict[Any, int]]:
    """A whole-number expression as a constant and coefficients: of Variables, and of expressions that are no sum of
    such products."""
    if index.op == "number":
        return int(index.args[0]), {}
    if index.op == "variable":
        return 0, {index.args[0]: 1}
    if index.op in ("+", "-"):
        (ca, ta), (cb, tb) = affine(index.args[0]), affine(index.args[1])
        sign = 1 if index.op == "+" else -1
        terms = dict(ta)
        for key, factor in tb.items():
            terms[key] = terms.get(key, 0) + sign * factor
        return ca + sign * cb, {key: factor for key, factor in terms.items() if factor}
    if index.op == "*":
        for scale, other in (index.args, index.args[::-1]):
            if scale.op == "number":
                constant, terms = affine(other)
                factor = int(scale.args[0])
                return constant * factor, {key: f * factor for key, f in terms.items()}
    return 0, {index: 1}
