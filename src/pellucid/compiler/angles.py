"""Sine, cosine, tangent and their inverses as expressions of basic operations. Called by `mathematics`.

An angle is taken to [-pi/4, pi/4] by subtracting n times pi/2, which is given as a sum of three float64 so that nothing
is lost up to `FARTHEST`; n's last two bits choose the function and its sign. Inverse functions are taken to where a
short polynomial holds by identities. The polynomials are minimax fits of our own.
Source of the reduction: Cody and Waite, Software Manual for the Elementary Functions, 1980; of the kernels and of the
inverse sine: Sun's fdlibm, k_sin.c, k_cos.c, e_asin.c; of the ranges of the inverse tangent: S. L. Moshier, Cephes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.compiler.expressions import (
    FLOAT32,
    FLOAT64,
    INT64,
    Expr,
    arithmetic,
    bits,
    cast,
    differs,
    equal,
    fma,
    function,
    number,
    where,
)
from pellucid.compiler.polynomials import polynomial

FARTHEST = 2.0**42
"""Beyond this angle, where float32 lies 500 000 apart, sine, cosine and tangent are NaN rather than wrong."""
_HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
_QUARTER_PI = (0.7853981633974483, 3.061616997868383e-17)
_THREE_QUARTERS_PI = (2.356194490192345, 9.184850993605148e-17)
_PI = (3.141592653589793, 1.2246467991473532e-16)
_ROUND = 1.5 * 2.0**52

# (sin(r) - r) / r³ and (cos(r) - 1 + r²/2) / r⁴ by powers of r².
_SIN = {
    FLOAT32: (-0.000195186585187912, 0.008332191035151482, -0.16666655242443085),
    FLOAT64: (
        1.5896786156555576e-10,
        -2.5050758327344746e-08,
        2.7557313696385564e-06,
        -0.00019841269829833362,
        0.00833333333332247,
        -0.16666666666666632,
    ),
}
_COS = {
    FLOAT32: (2.443093399051577e-05, -0.00138873013202101, 0.04166664555668831),
    FLOAT64: (
        -1.1359835374247297e-11,
        2.0875727623217057e-09,
        -2.7557314390814944e-07,
        2.4801587289643896e-05,
        -0.0013888888888874446,
        0.0416666666666666,
    ),
}
# (arctan(z) - z) / z³ by powers of z², to tan(pi/8).
_ARCTAN = (
    -0.017909683836960757,
    0.03806700141918705,
    -0.05039408575134952,
    0.05847914213823166,
    -0.06663107734133267,
    0.0769206056107765,
    -0.09090897778248509,
    0.11111110784200026,
    -0.1428571428021175,
    0.1999999999995375,
    -0.333333333333332,
)
# (arcsin(s) - s) / s³ by powers of s², to 1/2.
_ARCSIN = (
    0.03271151847530476,
    -0.021131471245020673,
    0.021800813877109058,
    0.003668159505749623,
    0.01079033345730257,
    0.011397124367653137,
    0.013981037385220392,
    0.017351594103557123,
    0.022372215971946177,
    0.0303819426734408,
    0.044642857175311135,
    0.07499999999970092,
    0.16666666666666763,
)


def _reduced(x: Expr) -> tuple[Expr, Expr | None, Expr]:
    """r, what rounding took from it (in float64), and a whole number that ends in the bits of n; r = x - n pi/2."""
    wide = cast(x, FLOAT64)
    wide = where(function("abs", wide) <= FARTHEST, wide, math.nan)
    shifted = fma(wide, 2.0 / math.pi, number(_ROUND, FLOAT64))
    n, quadrant = shifted - _ROUND, bits(shifted, INT64)
    near = fma(n, -_HALF_PI[0], wide)
    if x.dtype == FLOAT32:
        return cast(fma(n, -_HALF_PI[1], near), FLOAT32), None, cast(quadrant, np.dtype(np.int32))
    product = n * _HALF_PI[1]
    error = fma(n, _HALF_PI[1], -product)
    r = near - product
    taken = r - near
    lost = (near - (r - taken)) - (product + taken)
    return r, lost - fma(n, _HALF_PI[2], error), quadrant


def _kernels(r: Expr, rest: Expr | None) -> tuple[Expr, Expr]:
    """Sine and cosine of r + rest, |r| <= pi/4."""
    z = r * r
    if rest is None:
        sine = fma(r * z, polynomial(z, _SIN[r.dtype]), r)
        return sine, fma(z * z, polynomial(z, _COS[r.dtype]), fma(z, -0.5, number(1.0, r.dtype)))
    half = 0.5 * z
    sine = r + fma(r * z, polynomial(z, _SIN[r.dtype]), rest * (1.0 - half))
    near = 1.0 - half
    return sine, near + (((1.0 - near) - half) + fma(z * z, polynomial(z, _COS[r.dtype]), -(r * rest)))


def _turned(x: Expr, quadrant: Expr, even: Expr, odd: Expr) -> Expr:
    """The function for n even or odd, negative where n's second bit is set."""
    value = where(differs(quadrant & 1, 0), odd, even)
    sign = (quadrant & 2) << (8 * x.dtype.itemsize - 2)
    return bits(arithmetic("^", bits(value, quadrant.dtype), sign), x.dtype)


def sin(x: Expr) -> Expr:
    """Within 2 ulp up to `FARTHEST`, NaN beyond."""
    r, rest, quadrant = _reduced(x)
    sine, cosine = _kernels(r, rest)
    return where(equal(x, 0.0), x, _turned(x, quadrant, sine, cosine))


def cos(x: Expr) -> Expr:
    """Within 2 ulp up to `FARTHEST`, NaN beyond."""
    r, rest, quadrant = _reduced(x)
    sine, cosine = _kernels(r, rest)
    return _turned(x, quadrant + 1, sine, cosine)


def tan(x: Expr) -> Expr:
    """Within 2.5 ulp up to `FARTHEST`, NaN beyond; float32 is computed in float64."""
    if x.dtype == FLOAT32:
        return cast(tan(cast(x, FLOAT64)), FLOAT32)
    r, rest, quadrant = _reduced(x)
    sine, cosine = _kernels(r, rest)
    odd = differs(quadrant & 1, 0)
    return where(equal(x, 0.0), x, where(odd, -cosine, sine) / where(odd, sine, cosine))


# Inverse functions; float32 is computed in float64


def arcsin(x: Expr) -> Expr:
    """Within 1.5 ulp; beyond 1/2 by arcsin(x) = pi/2 - 2 arcsin(sqrt((1 - x) / 2)). NaN beyond 1."""
    if x.dtype == FLOAT32:
        return cast(arcsin(cast(x, FLOAT64)), FLOAT32)
    far, s, rest = _halved(x)
    twice = 2.0 * s
    near = _HALF_PI[0] - twice
    lost = (_HALF_PI[0] - near) - twice
    return function("copysign", where(far, near + (lost - fma(rest, 2.0, number(-_HALF_PI[1], x.dtype))), s + rest), x)


def arccos(x: Expr) -> Expr:
    """Within 1.5 ulp; NaN beyond 1."""
    if x.dtype == FLOAT32:
        return cast(arccos(cast(x, FLOAT64)), FLOAT32)
    far, s, rest = _halved(x)
    factor = function("copysign", where(far, number(2.0, x.dtype), 1.0), x)
    factor = where(far, factor, -factor)
    high, low = (where(far, where(x < 0, number(pi, x.dtype), 0.0), h) for pi, h in zip(_PI, _HALF_PI, strict=False))
    step = factor * s
    near = high + step
    lost = (high - near) + step
    return near + (lost + fma(factor, rest, low))


def _halved(x: Expr) -> tuple[Expr, Expr, Expr]:
    """Whether |x| > 1/2; s = |x|, there sqrt((1 - |x|) / 2); and arcsin(s) - s."""
    size = function("abs", x)
    far = size > 0.5
    z = where(far, 0.5 * (1.0 - size), x * x)
    s = where(far, function("sqrt", z), size)
    return far, s, s * z * polynomial(z, _ARCSIN)


def arctan(x: Expr) -> Expr:
    """Within 2 ulp."""
    if x.dtype == FLOAT32:
        return cast(arctan(cast(x, FLOAT64)), FLOAT32)
    size = function("abs", x)
    far, middle = size > math.tan(3 * math.pi / 8), size > math.tan(math.pi / 8)
    above = where(far, number(-1.0, x.dtype), where(middle, size - 1.0, size))
    below = where(far, size, where(middle, size + 1.0, 1.0))
    high, low = (
        where(far, number(h, x.dtype), where(middle, number(q, x.dtype), 0.0))
        for h, q in zip(_HALF_PI, _QUARTER_PI, strict=False)
    )
    z = above / below
    return function("copysign", high + (z + fma(z * z * z, _arctan_polynomial(z), low)), x)


def _arctan_polynomial(z: Expr) -> Expr:
    return polynomial(z * z, _ARCTAN)


def arctan2(y: Expr, x: Expr) -> Expr:
    """Within 2.5 ulp; of zeros and infinities as IEEE 754 has it."""
    if x.dtype == FLOAT32:
        return cast(arctan2(cast(y, FLOAT64), cast(x, FLOAT64)), FLOAT32)
    along, up = _finite_pair(function("abs", x), function("abs", y))
    steep, left = up > along, bits(x, INT64) < 0
    longer, shorter = function("maximum", along, up), function("minimum", along, up)
    middle = shorter > longer * math.tan(math.pi / 8)
    above = where(middle, shorter - longer, shorter)
    below = where(middle, shorter + longer, where(equal(longer, 0.0), 1.0, longer))
    z = above / below
    high, low = (_start(middle, steep, left, part) for part in range(2))
    angle = fma(z * z * z, _arctan_polynomial(z), z)
    angle = where(function("xor", steep, left), -angle, angle)
    return function("copysign", high + (angle + low), y)


def _finite_pair(a: Expr, b: Expr) -> tuple[Expr, Expr]:
    """Two numbers from 0 on of the same direction, whose sum is finite."""
    infinite = equal(a, math.inf) | equal(b, math.inf)
    scale = where(function("maximum", a, b) > 2.0**1000, number(2.0**-100, a.dtype), 1.0)

    def limited(c: Expr) -> Expr:
        return where(infinite, where(equal(c, math.inf), 1.0, c * 0.0), c * scale)  # NaN stays

    return limited(a), limited(b)


def _start(middle: Expr, steep: Expr, left: Expr, part: int) -> Expr:
    """The angle from which the rest is counted, the high or the low part of it."""

    def literal(value: Any) -> Expr:
        return number(value[part], FLOAT64)

    flat = where(steep, literal(_HALF_PI), where(left, literal(_PI), 0.0))
    return where(middle, where(left, literal(_THREE_QUARTERS_PI), literal(_QUARTER_PI)), flat)
