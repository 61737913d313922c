"""Functions of numbers for native code. `EXPRESSIONS` is the maths handler with which a scalar body builds an
expression; `expand` writes a function in it (exp, tanh, power, ...) in the basic operations of the nest; `supported`
says where there is such a rule. Called by `elements` and by the printers.

What is a single operation, or has another meaning for whole numbers, is decided by the handler; what takes several
stays a function of its name until a printer asks, so that the printed formulas can be read. Each rule states its error
in units in the last place (ulp) of the exact result, where the machine multiplies and adds at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.compiler import angles, error_function, exponentials, logarithms
from pellucid.compiler.expressions import (
    BOOL,
    FLOAT32,
    FLOAT64,
    Expr,
    as_expr,
    bits,
    cast,
    compare,
    differs,
    equal,
    fma,
    function,
    number,
    pair,
    where,
)
from pellucid.compiler.polynomials import raised
from pellucid.compiler.tiers import Unsupported

_LARGEST_POWER = 4
"""Up to here a power by a literal is a product: each factor costs half a unit in the last place."""


# Signs, tests and neighbours


def _sign(x: Expr) -> Expr:
    """-1, 0 or 1; NaN stays."""
    if x.dtype.kind == "u":
        return where(x > 0, number(1, x.dtype), 0)
    one = where(x > 0, 1, where(x < 0, number(-1, x.dtype), 0))
    return where(equal(x, x), one, x) if x.dtype.kind == "f" else one


def _whole_bits(x: Expr) -> Expr:
    return bits(x, np.dtype(np.int32 if x.dtype == FLOAT32 else np.int64))


def _signbit(x: Expr) -> Expr:
    return (_whole_bits(x) if x.dtype.kind == "f" else x) < 0


def _isnan(x: Expr) -> Expr:
    return differs(x, x)


def _isinf(x: Expr) -> Expr:
    return equal(function("abs", x), math.inf)


def _isfinite(x: Expr) -> Expr:
    return function("abs", x) < math.inf


def _nextafter(a: Expr, b: Expr) -> Expr:
    """Exact: the neighbour's bits are those of a plus or minus 1."""
    whole = _whole_bits(a)
    away = equal(b > a, a > 0)
    step = where(away, number(1, whole.dtype), -1)
    tiny = function("copysign", bits(number(1, whole.dtype), a.dtype), b)
    moved = where(equal(a, 0), tiny, bits(whole + step, a.dtype))
    return where(equal(a, b), b, where(equal(a, a), where(equal(b, b), moved, b), a))


# Powers and lengths


def _hypot(a: Expr, b: Expr) -> Expr:
    """Within 1.1 ulp in float64, 0.6 in float32; the larger leg is scaled by a power of two, so that no square leaves
    the range."""
    if a.dtype == FLOAT32:
        x, y = cast(a, FLOAT64), cast(b, FLOAT64)
        length = cast(function("sqrt", fma(x, x, y * y)), FLOAT32)
    else:
        x, y = function("abs", a), function("abs", b)
        larger = function("maximum", x, y)
        one = number(1.0, a.dtype)
        large, small = larger > 2.0**500, larger < 2.0**-400
        scale = where(large, 2.0**-600, where(small, 2.0**600, one))
        back = where(large, 2.0**600, where(small, 2.0**-600, one))
        x, y = x * scale, y * scale
        # The error of the larger square is added back.
        larger, smaller = function("maximum", x, y), function("minimum", x, y)
        square = larger * larger
        rest = fma(larger, larger, -square)
        length = function("sqrt", square + fma(smaller, smaller, rest)) * back
    infinite = _isinf(a) | _isinf(b)
    return where(infinite, math.inf, length)


def _logaddexp(a: Expr, b: Expr) -> Expr:
    """Within 2 ulp of the larger of the result and the larger input. Equal infinities have no difference."""
    top = function("maximum", a, b)
    rest = logarithms.log1p(exponentials.exp(-function("abs", a - b)))
    return top + where(equal(a, b), math.log(2.0), rest)


# Remainders that have the divisor's sign, and quotients rounded down


def _is_against(rest: Expr, b: Expr) -> Expr:
    """Whether what is left of a division towards 0 has the other sign than the divisor."""
    return (rest < 0) ^ (b < 0)


def _remainder(a: Expr, b: Expr) -> Expr:
    """Rounded at most once, and as NumPy's: a 0 has the divisor's sign too."""
    rest = function("fmod", a, b)
    zero = function("copysign", number(0.0, a.dtype), b)
    return where(equal(rest, 0), zero, where(_is_against(rest, b), rest + b, rest))


def _floor_divide(a: Expr, b: Expr) -> Expr:
    """As NumPy's: the whole number nearest to the quotient without the remainder; by 0 the quotient itself."""
    rest = function("fmod", a, b)
    quotient = (a - rest) / b
    quotient = where(differs(rest, 0) & _is_against(rest, b), quotient - 1.0, quotient)
    below = function("floor", quotient)
    nearest = where(quotient - below > 0.5, below + 1.0, below)
    zero = function("copysign", number(0.0, a.dtype), a / b)
    return where(equal(b, 0), a / b, where(equal(quotient, 0), zero, nearest))


_RULES: dict[str, Callable[..., Expr]] = {
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "sign": _sign,
    "signbit": _signbit,
    "isnan": _isnan,
    "isinf": _isinf,
    "isfinite": _isfinite,
    "nextafter": _nextafter,
    "hypot": _hypot,
    "logaddexp": _logaddexp,
    "power": logarithms.power,
    "exp": exponentials.exp,
    "exp2": exponentials.exp2,
    "expm1": exponentials.expm1,
    "tanh": exponentials.tanh,
    "sinh": exponentials.sinh,
    "cosh": exponentials.cosh,
    "log": logarithms.log,
    "log2": logarithms.log2,
    "log10": logarithms.log10,
    "log1p": logarithms.log1p,
    "arcsinh": logarithms.arcsinh,
    "arccosh": logarithms.arccosh,
    "arctanh": logarithms.arctanh,
    "erf": error_function.erf,
    "sin": angles.sin,
    "cos": angles.cos,
    "tan": angles.tan,
    "arcsin": angles.arcsin,
    "arccos": angles.arccos,
    "arctan": angles.arctan,
    "arctan2": angles.arctan2,
}
_OF_WHOLE = frozenset({"sign", "signbit"})


def supported(name: str, dtype: DType) -> bool:
    """Whether a function has a native rule for numbers of a dtype."""
    return name in _RULES and (dtype in (FLOAT32, FLOAT64) or (name in _OF_WHOLE and dtype.kind in "iu"))


def expand(name: str, args: tuple[Expr, ...]) -> Expr:
    """A function of floats in basic operations.

    Raises
        Unsupported: it has no native rule.
    """
    if not supported(name, args[0].dtype):
        raise Unsupported(f"{name} of {args[0].dtype}")
    return _RULES[name](*args)


# The handler


def _truth(x: Expr) -> Expr:
    return x if x.dtype == BOOL else differs(x, 0)


_OF_TRUTHS = {"&": "and", "|": "or", "^": "xor"}


class _Expressions:
    """The handler that builds expressions: `m.exp(x)` is a node named "exp"; Python numbers take the dtype of what they
    meet."""

    def __getattr__(self, name: str) -> Any:
        def of(x: Any, *others: Any) -> Expr:
            dtype = next(a.dtype for a in (x, *others) if isinstance(a, Expr))
            return function(name, *(as_expr(a, dtype) for a in (x, *others)))

        return of

    def where(self, condition: Expr, a: Any, b: Any) -> Expr:
        return where(_truth(condition), *pair(a, b))

    def positive(self, x: Expr) -> Expr:
        return x

    def abs(self, x: Expr) -> Expr:
        return x if x.dtype.kind in "bu" else function("abs", x)

    def signbit(self, x: Expr) -> Expr:
        return number(False, BOOL) if x.dtype.kind in "bu" else Expr("signbit", (x,), BOOL)

    def isnan(self, x: Expr) -> Expr:
        return Expr("isnan", (x,), BOOL) if x.dtype.kind == "f" else number(False, BOOL)

    def isinf(self, x: Expr) -> Expr:
        return Expr("isinf", (x,), BOOL) if x.dtype.kind == "f" else number(False, BOOL)

    def isfinite(self, x: Expr) -> Expr:
        return Expr("isfinite", (x,), BOOL) if x.dtype.kind == "f" else number(True, BOOL)

    def floor(self, x: Expr) -> Expr:
        return self._rounded("floor", x)

    def ceil(self, x: Expr) -> Expr:
        return self._rounded("ceil", x)

    def trunc(self, x: Expr) -> Expr:
        return self._rounded("trunc", x)

    def round(self, x: Expr) -> Expr:
        return self._rounded("round", x)

    def _rounded(self, op: str, x: Expr) -> Expr:
        return function(op, x) if x.dtype.kind == "f" else x

    def power(self, a: Any, b: Any) -> Expr:
        a, b = pair(a, b)
        if b.op != "number":
            return function("power", a, b)
        exponent = b.args[0]
        if a.dtype.kind == "f":
            if exponent == 0.5:
                return function("sqrt", a)  # as NumPy does, also of -inf
            if exponent in (-1, -2):
                return 1.0 / raised(a, -int(exponent))
        if exponent == int(exponent) and 0 <= exponent <= (_LARGEST_POWER if a.dtype.kind == "f" else 64):
            return raised(a, int(exponent))
        return function("power", a, b)

    def floor_divide(self, a: Any, b: Any) -> Expr:
        return self._divided("floor_divide", "//", a, b)

    def remainder(self, a: Any, b: Any) -> Expr:
        return self._divided("remainder", "%", a, b)

    def _divided(self, name: str, op: str, a: Any, b: Any) -> Expr:
        a, b = pair(a, b)
        return function(name, a, b) if a.dtype.kind == "f" else function(op, a, b)

    def logical_and(self, a: Any, b: Any) -> Expr:
        return self._logical("and", a, b)

    def logical_or(self, a: Any, b: Any) -> Expr:
        return self._logical("or", a, b)

    def logical_xor(self, a: Any, b: Any) -> Expr:
        return self._logical("xor", a, b)

    def _logical(self, op: str, a: Any, b: Any) -> Expr:
        return function(op, *map(_truth, pair(a, b)))

    def logical_not(self, x: Expr) -> Expr:
        return function("not", _truth(x))

    def _bitwise(self, op: str, a: Any, b: Any) -> Expr:
        a, b = pair(a, b)
        return function(_OF_TRUTHS[op] if a.dtype == BOOL else op, a, b)

    def bitwise_and(self, a: Any, b: Any) -> Expr:
        return self._bitwise("&", a, b)

    def bitwise_or(self, a: Any, b: Any) -> Expr:
        return self._bitwise("|", a, b)

    def bitwise_xor(self, a: Any, b: Any) -> Expr:
        return self._bitwise("^", a, b)

    def invert(self, x: Expr) -> Expr:
        return function("not" if x.dtype == BOOL else "invert", x)

    def left_shift(self, a: Any, b: Any) -> Expr:
        a, b = pair(a, b)
        return where(_in_width(b), a << b, 0)

    def right_shift(self, a: Any, b: Any) -> Expr:
        a, b = pair(a, b)
        beyond = where(a < 0, number(-1, a.dtype), 0) if a.dtype.kind == "i" else number(0, a.dtype)
        return where(_in_width(b), a >> b, beyond)


def _in_width(b: Expr) -> Expr:
    """Whether a shift stays within the bits of a number: by more, NumPy moves all of them out."""
    return (b >= 0) & compare("<", b, b.dtype.itemsize * 8)


EXPRESSIONS: Any = _Expressions()
"""The maths handler for which a scalar body is an expression."""
