"""Scalar expressions: a number, an element of an array, or an operation on such. Scalar bodies become expressions, and
the statements of `nest` are made of them. Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from pellucid._typing import DType, Shape

BOOL, INT64 = np.dtype(np.bool_), np.dtype(np.int64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

BASIC = frozenset(
    "+ - * / // % fmod neg abs maximum minimum fma sqrt floor ceil trunc round copysign < <= > >= == != and or xor not "
    "where << >> & | ^ invert mulhi cast bits".split()
)
"""Operations that both printers know. `bits` reads the same bits as another dtype; `mulhi` is the upper half of an
unsigned product; shifts of signed numbers keep the sign; // and % are of whole numbers and round down; fmod is the
exact remainder of floats divided towards 0; NaN passes through maximum and minimum. Everything else (exp, tanh, power,
...) is a function that `mathematics` writes in these."""


BufferKind: TypeAlias = Literal["input", "state", "constant", "setting", "scratch", "output", "order"]


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
    """A loop's counter, or an argument of a kernel: int64.

    extent : it is surely at least 0 and below this, where that is known.
    """

    name: str
    extent: int | None = None


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


def pair(a: Any, b: Any) -> tuple[Expr, Expr]:
    """Two operands as expressions of one dtype: a number takes that of the other."""
    dtype = a.dtype if isinstance(a, Expr) else b.dtype
    return as_expr(a, dtype), as_expr(b, dtype)


def arithmetic(op: str, a: Any, b: Any) -> Expr:
    """An operation of two numbers of one dtype; of whole literals the result, so that indices stay short."""
    a, b = pair(a, b)
    if a.dtype != b.dtype:
        raise TypeError(f"{op} of {a.dtype} and {b.dtype}")
    if a.dtype == INT64:
        folded = _folded(op, a, b)
        if folded is not None:
            return folded
    known = next((x for x in (a, b) if x.op == "number"), None) if op in ("and", "or") else None
    if known is not None:
        other: Expr = b if known is a else a
        return known if bool(known.args[0]) == (op == "or") else other
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
    if op in ("//", "%") and right:
        found = bounds(a)
        if found is not None and found[0] // right == found[1] // right:
            quotient = found[0] // right
            return number(quotient, INT64) if op == "//" else a - quotient * right
        if a.op == "+":
            # Whole multiples of the divisor come out of the sum.
            for x, other in (a.args, a.args[::-1]):
                if other.op == "number" and other.args[0] % right == 0:
                    result: Expr = x // right + other.args[0] // right if op == "//" else x % right
                    return result
    return None


def bounds(x: Expr) -> tuple[int, int] | None:
    """The least and the greatest value that a whole-number expression can surely have, where that is known."""
    if x.op == "number":
        return x.args[0], x.args[0]
    if x.op == "variable":
        extent = x.args[0].extent
        return None if extent is None else (0, extent - 1)
    if x.op not in _BOUNDED:
        return None
    left, right = bounds(x.args[0]), bounds(x.args[1])
    if left is None or right is None:
        return None
    if x.op in ("//", "%") and (right[0] != right[1] or right[0] <= 0):
        return None
    if x.op == "%":
        return 0, right[0] - 1
    ends = [_WHOLE[x.op](a, b) for a in left for b in right]
    return min(ends), max(ends)


_BOUNDED = frozenset({"+", "-", "*", "//", "%"})


_WHOLE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def compare(op: str, a: Any, b: Any) -> Expr:
    """A comparison: < <= > >= == !=; of whole numbers whose bounds decide it, the result."""
    a, b = pair(a, b)
    if a.dtype == INT64:
        left, right = bounds(a), bounds(b)
        if left is not None and right is not None and op in _DECIDES:
            always, never = _DECIDES[op](left, right)
            if always or never:
                return number(always, BOOL)
    return Expr(op, (a, b), BOOL)


_DECIDES: dict[str, Callable[[tuple[int, int], tuple[int, int]], tuple[bool, bool]]] = {
    "<": lambda a, b: (a[1] < b[0], a[0] >= b[1]),
    "<=": lambda a, b: (a[1] <= b[0], a[0] > b[1]),
    ">": lambda a, b: (a[0] > b[1], a[1] <= b[0]),
    ">=": lambda a, b: (a[0] >= b[1], a[1] < b[0]),
}
"""Whether a comparison surely holds, and whether it surely does not, by the bounds of both sides."""


def equal(a: Any, b: Any) -> Expr:
    """a == b, element by element."""
    return compare("==", a, b)


def differs(a: Any, b: Any) -> Expr:
    """a != b, element by element; true of NaN and itself."""
    return compare("!=", a, b)


def where(condition: Expr, a: Any, b: Any) -> Expr:
    """a where the condition holds, else b."""
    chosen, other = pair(a, b)
    if condition.op == "number":
        return chosen if condition.args[0] else other
    return Expr("where", (condition, chosen, other), chosen.dtype)


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


def with_parts(roots: Iterable[Expr]) -> Iterator[Expr]:
    """Expressions and all that they are made of, each once."""
    seen: set[Expr] = set()
    waiting = list(roots)
    while waiting:
        x = waiting.pop()
        if x not in seen:
            seen.add(x)
            yield x
            waiting += [a for a in x.args if isinstance(a, Expr)]


def rebuilt(x: Expr, counter: Variable, value: Expr) -> Expr:
    """An expression with another one in place of a counter; what that decides is decided."""
    done: dict[Expr, Expr] = {}

    def one(y: Expr) -> Expr:
        if y not in done:
            done[y] = again(y)
        return done[y]

    def again(y: Expr) -> Expr:
        if y.op == "variable":
            return value if y.args[0] is counter else y
        args = tuple([one(a) if isinstance(a, Expr) else a for a in y.args])
        if all(a is b for a, b in zip(args, y.args, strict=True)):
            return y
        if y.op == "where":
            return where(*args)
        if y.op in _DECIDES:
            return compare(y.op, *args)
        if y.op in ("and", "or") or (y.dtype == INT64 and y.op in _WHOLE):
            return arithmetic(y.op, *args)
        return Expr(y.op, args, y.dtype)

    return one(x)


def affine(index: Expr) -> tuple[int, dict[Any, int]]:
    """A whole-number expression as a constant and coefficients: of Variables, and of expressions that are no sum of
    such products."""
    constant, terms = _sum_of_products(index)
    if any(isinstance(key, Expr) and key.op == "%" for key in terms):
        return constant, _rejoined(terms)
    return constant, terms


def _sum_of_products(index: Expr) -> tuple[int, dict[Any, int]]:
    if index.op == "number":
        return int(index.args[0]), {}
    if index.op == "variable":
        return 0, {index.args[0]: 1}
    if index.op in ("+", "-"):
        (ca, ta), (cb, tb) = _sum_of_products(index.args[0]), _sum_of_products(index.args[1])
        sign = 1 if index.op == "+" else -1
        terms = dict(ta)
        for key, factor in tb.items():
            terms[key] = terms.get(key, 0) + sign * factor
        return ca + sign * cb, {key: factor for key, factor in terms.items() if factor}
    if index.op == "*":
        for scale, other in (index.args, index.args[::-1]):
            if scale.op == "number":
                constant, terms = _sum_of_products(other)
                factor = int(scale.args[0])
                return constant * factor, {key: f * factor for key, f in terms.items()}
    return 0, {index: 1}


def _rejoined(terms: dict[Any, int]) -> dict[Any, int]:
    """Quotient and remainder that add up to what was divided: x // n * (n·f) + x % n * f is x * f. A reshape divides an
    index, and where the elements lie side by side the offset is none the wiser."""
    for rest, factor in terms.items():
        if not isinstance(rest, Expr) or rest.op != "%":
            continue
        x, n = rest.args
        for quotient, other in terms.items():
            if (
                isinstance(quotient, Expr)
                and quotient.op == "//"
                and n.op == quotient.args[1].op == "number"
                and quotient.args[1].args[0] == n.args[0]
                and other == factor * n.args[0]
                and (quotient.args[0] is x or affine(quotient.args[0]) == affine(x))
            ):
                left = {key: f for key, f in terms.items() if key is not rest and key is not quotient}
                constant, parts = affine(x)
                if constant:  # cannot be told apart from the sum's own here
                    continue
                for key, f in parts.items():
                    left[key] = left.get(key, 0) + f * factor
                return _rejoined({key: f for key, f in left.items() if f})
    return terms
