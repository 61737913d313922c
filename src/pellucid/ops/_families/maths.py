"""The maths handlers that a scalar body can be run with. `NUMPY` computes arrays. `SYMBOLS` builds an expression
tree, from which the formula is printed, the work is counted and, in the compiler, a loop body is made.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.errors import ArgumentError

# Coefficients: W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969).
_ERF_SMALL = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC_MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
_ERFC_LARGE = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346725e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    top, bottom = coefficients
    return np.polyval(top, x) / np.polyval(bottom, x)


def erf(x: Array) -> Array:
    """The error function by Cody's three ranges, to about 1e-15 relative, computed in float64."""
    x = np.asarray(x)
    if x.ndim == 0:
        return erf(x.reshape(1)).reshape(())
    z = x.astype(np.float64)
    a = np.abs(z)
    result = np.sign(z)  # beyond 6 the error function is 1 to the last bit
    small = a <= 0.46875
    if small.any():
        s = z[small]
        result[small] = s * _ratio(_ERF_SMALL, s * s)
    middle = (a > 0.46875) & (a <= 4.0)
    if middle.any():
        s = a[middle]
        result[middle] *= 1.0 - np.exp(-s * s) * _ratio(_ERFC_MIDDLE, s)
    large = (a > 4.0) & (a < 6.0)
    if large.any():
        s = a[large]
        w = 1.0 / (s * s)
        tail = (1.0 / math.sqrt(math.pi) - w * _ratio(_ERFC_LARGE, w)) / s
        result[large] *= 1.0 - np.exp(-s * s) * tail
    result[np.isnan(z)] = np.nan
    return result.astype(x.dtype)


class _NumPy:
    """NumPy as a handler: attribute access falls through to NumPy's functions of the same name."""

    erf = staticmethod(erf)

    @staticmethod
    def positive(x: Any) -> Any:
        return np.copy(x) if x.dtype.kind == "b" else np.positive(x)

    @staticmethod
    def power(a: Any, b: Any) -> Any:
        if np.asarray(b).dtype.kind == "i" and np.asarray(a).dtype.kind != "f" and np.any(np.less(b, 0)):
            raise ArgumentError("ops.negative-power", dtype=np.asarray(a).dtype, exponent=int(np.min(b)))
        return np.power(a, b)

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        setattr(self, name, function)
        return function


NUMPY: Any = _NumPy()

# Operations that a processor has as one instruction; all others but the free ones are special functions.
_PLAIN = frozenset(
    "+ - * / // neg abs maximum minimum where sign copysign signbit floor ceil round trunc remainder floor_divide "
    "< <= > >= == != logical_and logical_or logical_xor logical_not isnan isinf isfinite "
    "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift".split()
)
_FREE = frozenset({"positive"})


class Symbol:
    """A node of a scalar expression: an operation with its arguments, a variable (`op` "x"), or a number (`op` "1")."""

    __slots__ = ("args", "op")
    __hash__ = object.__hash__

    def __init__(self, op: str, args: tuple[Any, ...]) -> None:
        self.op = op
        self.args = args

    def __add__(self, other: Any) -> Symbol:
        return Symbol("+", (self, other))

    def __radd__(self, other: Any) -> Symbol:
        return Symbol("+", (other, self))

    def __sub__(self, other: Any) -> Symbol:
        return Symbol("-", (self, other))

    def __rsub__(self, other: Any) -> Symbol:
        return Symbol("-", (other, self))

    def __mul__(self, other: Any) -> Symbol:
        return Symbol("*", (self, other))

    def __rmul__(self, other: Any) -> Symbol:
        return Symbol("*", (other, self))

    def __truediv__(self, other: Any) -> Symbol:
        return Symbol("/", (self, other))

    def __rtruediv__(self, other: Any) -> Symbol:
        return Symbol("/", (other, self))

    def __neg__(self) -> Symbol:
        return Symbol("neg", (self,))

    def __lt__(self, other: Any) -> Symbol:
        return Symbol("<", (self, other))

    def __le__(self, other: Any) -> Symbol:
        return Symbol("<=", (self, other))

    def __gt__(self, other: Any) -> Symbol:
        return Symbol(">", (self, other))

    def __ge__(self, other: Any) -> Symbol:
        return Symbol(">=", (self, other))

    def __eq__(self, other: object) -> Any:
        return Symbol("==", (self, other))

    def __ne__(self, other: object) -> Any:
        return Symbol("!=", (self, other))


class _Symbols:
    """The handler that builds Symbols: `m.exp(x)` is a node named "exp"."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: Symbol(name, args)


SYMBOLS: Any = _Symbols()


def variable(name: str) -> Symbol:
    """A named input of an expression."""
    return Symbol("x", (name,))


_PRECEDENCE = {"<": 1, "<=": 1, ">": 1, ">=": 1, "==": 1, "!=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "neg": 4}


def formula_of(node: Any, above: int = 0) -> str:
    """The expression as a line of Python-like mathematics: `1 / (1 + exp(-x))`."""
    if not isinstance(node, Symbol):
        return repr(node) if not isinstance(node, float) else f"{node:.17g}"
    if node.op == "x":
        return str(node.args[0])
    level = _PRECEDENCE.get(node.op)
    if level is None:
        return f"{node.op}({', '.join(formula_of(a) for a in node.args)})"
    if node.op == "neg":
        body = "-" + formula_of(node.args[0], level)
    else:
        left, right = node.args
        # The right side of - and / binds tighter, so that a - (b - c) keeps its parentheses.
        body = f"{formula_of(left, level)} {node.op} {formula_of(right, level + 1)}"
    return f"({body})" if level < above or (node.op == "neg" and above > 2) else body


def work_of(node: Any) -> tuple[int, int]:
    """Plain and special operations of an expression, a shared part counted once."""
    seen: set[int] = set()
    plain = special = 0
    stack = [node]
    while stack:
        n = stack.pop()
        if not isinstance(n, Symbol) or n.op == "x" or id(n) in seen:
            continue
        seen.add(id(n))
        if n.op in _PLAIN:
            plain += 1
        elif n.op not in _FREE:
            special += 1
        stack.extend(n.args)
    return plain, special


_UFUNCS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "neg": np.negative}


def is_arithmetic(body: Any, arity: int) -> bool:
    """Whether a body is made of +, -, * and / alone, in which a Python number takes the dtype of what it meets."""
    stack = [body(SYMBOLS, *map(variable, "abcdefgh"[:arity]))]
    while stack:
        node = stack.pop()
        if isinstance(node, Symbol) and node.op != "x":
            if node.op not in _UFUNCS:
                return False
            stack.extend(node.args)
    return True


def ufunc_of(body: Any, arity: int) -> np.ufunc | None:
    """The NumPy function that a body amounts to, if it is a single operation of its inputs in their order."""
    inputs = [variable(name) for name in "ab"[:arity]]
    node = body(SYMBOLS, *inputs)
    if (
        not isinstance(node, Symbol)
        or len(node.args) != arity
        or any(a is not b for a, b in zip(node.args, inputs, strict=True))
    ):
        return None
    function = _UFUNCS.get(node.op) or getattr(np, node.op, None)
    return function if isinstance(function, np.ufunc) else None
