"""Logarithms, what is made of them, and powers as expressions of basic operations. Called by `mathematics`.

x = 2^e (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), read from the bits of x. log(1 + f) is f plus a polynomial in
float32; in float64 it is 2 artanh(s), s = f / (2 + f), whose series has half the terms. The polynomials are minimax
fits of our own.
Source of the reduction and of artanh: P. T. P. Tang, Table-driven implementation of the logarithm function in IEEE
floating-point arithmetic, ACM TOMS 16 (1990), and Sun's fdlibm, e_log.c.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pellucid.compiler.exponentials import exp, exp_of_sum
from pellucid.compiler.expressions import (
    FLOAT32,
    FLOAT64,
    Expr,
    bits,
    cast,
    differs,
    equal,
    fma,
    function,
    number,
    where,
)
from pellucid.compiler.polynomials import polynomial, side_by_side


class _Format(NamedTuple):
    """What depends on the width of a float.

    mantissa, bias : of its bits.
    whole : the whole numbers of that width.
    lowest : the bits of sqrt(1/2).
    round : a number whose lowest bits count whole numbers.
    """

    mantissa: int
    bias: int
    whole: np.dtype[np.signedinteger]
    lowest: int
    round: float


_FORMATS = {
    FLOAT32: _Format(23, 127, np.dtype(np.int32), 0x3F3504F3, 1.5 * 2.0**23),
    FLOAT64: _Format(52, 1023, np.dtype(np.int64), 0x3FE6A09E667F3BCD, 1.5 * 2.0**52),
}
# Constants in two parts. Of log 2 and log10 2 the first has so few bits that its product with an exponent is exact.
_LOG2 = {
    FLOAT32: (0.693359375, -2.1219444005469057e-4),
    FLOAT64: (6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
_LOG10_2 = {
    FLOAT32: (0.301025390625, 4.605038981195214e-06),
    FLOAT64: (3.01029995663611771306e-01, 3.694239077158931e-13),
}
_LOG2_E = {
    FLOAT32: (1.4426950216293335, 1.92596298909109e-08),
    FLOAT64: (1.4426950408889634, 2.0355273740931033e-17),
}
_LOG10_E = {
    FLOAT32: (0.4342944920063019, -1.010305006321488e-08),
    FLOAT64: (0.4342944819032518, 1.098319650216765e-17),
}
_TWO_THIRDS_LOW = 3.700743415417188e-17
_LARGE = 2.0**60
"""From here on float64 does not tell x + 1 from x, nor sqrt(x² + 1) from x."""
_OUT_OF_RANGE = 750.0
"""The exponential of what is as large is 0 or infinite."""

_LOG_FLOAT32 = (
    -0.07631148397922516,
    0.12763628363609314,
    -0.1316152960062027,
    0.14201194047927856,
    -0.16623187065124512,
    0.20001254975795746,
    -0.2500082552433014,
    0.3333333134651184,
)
"""(log(1 + f) - f + f²/2) / f³ by powers of f."""
_ARTANH = (
    0.13237141645885703,
    0.13251898721387997,
    0.153869993191698,
    0.18181778133045634,
    0.22222222609467818,
    0.28571428569397156,
    0.40000000000004954,
    0.6666666666666666,
)
"""(2 artanh(s) - 2s) / s³ by powers of s²."""
_ARTANH_TAIL = (
    0.12013086734678946,
    0.11671898942632465,
    0.13336462650397438,
    0.15384553060809306,
    0.18181818926654164,
    0.22222222217073476,
    0.28571428571447033,
    0.39999999999999974,
)
"""(2 artanh(s) - 2s - 2/3 s³) / s⁵ by powers of s²."""


def _exponent(x: Expr) -> tuple[Expr, Expr, Expr]:
    """e as a whole number and as a float, and f, of x = 2^e (1 + f), x normal and above 0."""
    form = _FORMATS[x.dtype]
    pattern = bits(x, form.whole)
    whole = (pattern - form.lowest) >> form.mantissa
    f = bits(pattern - (whole << form.mantissa), x.dtype) - 1.0
    return whole, _as_float(whole, form.round, x), f


def _as_float(whole: Expr, less: float | Expr, like: Expr) -> Expr:
    """A whole number as a float of its width. Few processors convert vectors of 64 bits; all can add them."""
    form = _FORMATS[like.dtype]
    base = int(np.array(form.round, like.dtype).view(form.whole))
    return bits(whole + base, like.dtype) - less


def _split(x: Expr) -> tuple[Expr, Expr]:
    """e and f of x = 2^e (1 + f), also of a subnormal x, which is made normal first."""
    form = _FORMATS[x.dtype]
    tiny = x < float(np.finfo(x.dtype).tiny)
    whole, _, f = _exponent(where(tiny, x * 2.0**form.mantissa, x))
    less = where(tiny, number(form.round + form.mantissa, x.dtype), form.round)
    return _as_float(whole, less, x), f


def _rest(f: Expr) -> Expr:
    """log(1 + f) - f."""
    if f.dtype == FLOAT32:
        return f * f * fma(f, side_by_side(f, _LOG_FLOAT32), number(-0.5, f.dtype))
    s = f / (2.0 + f)
    half = 0.5 * f * f
    z = s * s
    return fma(s, fma(z, polynomial(z, _ARTANH), half), -half)


def _with_limits(y: Expr, x: Expr, pole: float) -> Expr:
    """A logarithm where x is neither above the pole nor finite: -inf at the pole, NaN below and of NaN, inf of inf."""
    y = where(x < math.inf, y, x)
    return where(x > pole, y, where(equal(x, pole), number(-math.inf, x.dtype), math.nan))


def log(x: Expr) -> Expr:
    """Within 1 ulp; -inf at 0, NaN below."""
    e, f = _split(x)
    return _with_limits(_natural(e, f), x, 0.0)


def _natural(e: Expr, f: Expr) -> Expr:
    high, low = _LOG2[f.dtype]
    return fma(e, high, f + fma(e, low, _rest(f)))


def log1p(x: Expr) -> Expr:
    """Within 1.5 ulp: log(u) of u = 1 + x as it is rounded, and what it lost added to f."""
    form = _FORMATS[x.dtype]
    u = 1.0 + x
    whole, e, f = _exponent(u)
    lost = x - (u - 1.0)
    scale = function("maximum", number(form.bias, form.whole) - whole, number(0, form.whole)) << form.mantissa
    y = _natural(e, fma(lost, bits(scale, x.dtype), f))
    if x.op == "exp":  # never below 0: softplus and the logistic loss take the logarithm of one plus that
        return where(x < math.inf, y, x)
    # At -0.0 the sum would be 0.0.
    return _with_limits(function("copysign", y, x), x, -1.0)


def log2(x: Expr) -> Expr:
    """Within 1 ulp."""
    e, f = _split(x)
    return _with_limits(_to_base(e, f, (1.0, 0.0), _LOG2_E[x.dtype]), x, 0.0)


def log10(x: Expr) -> Expr:
    """Within 1 ulp."""
    e, f = _split(x)
    return _with_limits(_to_base(e, f, _LOG10_2[x.dtype], _LOG10_E[x.dtype]), x, 0.0)


def _to_base(e: Expr, f: Expr, unit: tuple[float, float], factor: tuple[float, float]) -> Expr:
    """e·unit + log(1 + f)·factor; the rounding errors of the two larger parts are added at the end."""
    product = f * factor[0]
    error = fma(f, factor[1], fma(f, factor[0], -product))
    whole = e * unit[0]
    total = whole + product
    lost = product - (total - whole)
    return total + (lost + fma(e, unit[1], fma(_rest(f), factor[0], error)))


# Inverse hyperbolic functions


def arcsinh(x: Expr) -> Expr:
    """Within 2 ulp. Where the square could be infinite, log(2|x|)."""
    if x.dtype == FLOAT32:
        return cast(arcsinh(cast(x, FLOAT64)), FLOAT32)
    size = function("abs", x)
    large = size > _LARGE
    square = size * size
    argument = size + square / (1.0 + function("sqrt", square + 1.0))
    y = log1p(where(large, size, argument)) + where(large, number(math.log(2.0), x.dtype), 0.0)
    return function("copysign", y, x)


def arccosh(x: Expr) -> Expr:
    """Within 2.5 ulp; NaN below 1."""
    if x.dtype == FLOAT32:
        return cast(arccosh(cast(x, FLOAT64)), FLOAT32)
    large = x > _LARGE
    above = x - 1.0
    argument = above + function("sqrt", above * (above + 2.0))
    y = log1p(where(large, x, argument)) + where(large, number(math.log(2.0), x.dtype), 0.0)
    return where(x < 1.0, math.nan, y)


def arctanh(x: Expr) -> Expr:
    """Within 2 ulp; infinite at 1 and NaN beyond."""
    if x.dtype == FLOAT32:
        return cast(arctanh(cast(x, FLOAT64)), FLOAT32)
    size = function("abs", x)
    return function("copysign", 0.5 * log1p(2.0 * size / (1.0 - size)), x)


# Powers


def power(x: Expr, y: Expr) -> Expr:
    """exp(y log|x|) with the sign and the exceptions of C's pow. Within 1 ulp: float32 is computed in float64, float64
    with a logarithm in two parts."""
    if x.dtype == FLOAT32:
        size, exponent = function("abs", cast(x, FLOAT64)), cast(y, FLOAT64)
        result = cast(exp(exponent * log(size)), FLOAT32)
    else:
        size = function("abs", x)
        high, low = _log_in_two(size)
        product = y * high
        error = fma(y, high, -product) + y * low
        # Where the result is 0 or infinite the error may be NaN.
        result = exp_of_sum(product, where(function("abs", product) < _OUT_OF_RANGE, error, 0.0))
    whole = equal(function("floor", y), y)
    half = 0.5 * y
    odd = whole & differs(function("floor", half), half)
    result = where(odd, function("copysign", result, x), result)
    result = where((x < 0) & (x > -math.inf) & function("not", whole), math.nan, result)
    # The logarithm of 1 is 0, and 0 times infinity or NaN is no number.
    minus = equal(x, -1.0) & equal(function("abs", y), math.inf)
    return where(equal(x, 1.0) | equal(y, 0.0) | minus, 1.0, result)


def _log_in_two(x: Expr) -> tuple[Expr, Expr]:
    """log(x) of x >= 0 as a sum of two float64, within 2^-66 of it."""
    e, f = _split(x)
    high, low = _LOG2[x.dtype]
    d = 2.0 + f
    inverse = 1.0 / d
    s = f * inverse
    s_low = (fma(-s, d, f) - s * (f - (d - 2.0))) * inverse
    z = s * s
    z_low = fma(s, s, -z) + 2.0 * s * s_low
    tail = z * polynomial(z, _ARTANH_TAIL)
    c = tail + 2.0 / 3.0
    c_low = tail - (c - 2.0 / 3.0) + _TWO_THIRDS_LOW
    w = z * c
    w_low = fma(z, c, -w) + (z * c_low + z_low * c)
    v = s * w
    v_low = fma(s, w, -v) + (s * w_low + s_low * w)
    whole, twice = e * high, 2.0 * s
    first = whole + twice
    first_low = twice - (first - whole)
    second = first + v
    second_low = v - (second - first) + first_low + (v_low + (2.0 * s_low + e * low))
    total = second + second_low
    rest = second_low - (total - second)
    limited = _with_limits(total, x, 0.0)
    return limited, where(function("abs", limited) < math.inf, rest, 0.0)
