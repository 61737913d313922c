"""exp and its relatives as expressions of basic operations. Called by `mathematics`.

exp(x) = 2^n e^r with n = round(x / log 2), |r| <= log(2) / 2. Adding a large number rounds x / log 2 to a whole number
and leaves it in the lowest bits, from which powers of two are made by a shift. The polynomials are minimax fits of our
own.
Source of the reduction: W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pellucid.compiler.expressions import FLOAT32, FLOAT64, Expr, bits, fma, function, number, where
from pellucid.compiler.polynomials import polynomial


class _Format(NamedTuple):
    """What depends on the width of a float.

    mantissa, bias : of its bits.
    whole : the whole numbers of that width.
    round : added to a number and taken away again it leaves the nearest whole number.
    log2 : the natural logarithm of 2 in two parts, the first of so few bits that n times it is exact.
    least, most : below and above these exp is 0 and infinite.
    exp : (e^r - 1 - r) / r² by powers of r, for a relative error of exp; expm1 : the same for one of expm1.
    exp2 : (2^r - 1) / r.
    sinh : (sinh(x) - x) / x³ by powers of x², to x = 1.
    """

    mantissa: int
    bias: int
    whole: np.dtype[np.signedinteger]
    round: float
    log2: tuple[float, float]
    least: float
    most: float
    exp: tuple[float, ...]
    expm1: tuple[float, ...]
    exp2: tuple[float, ...]
    sinh: tuple[float, ...]


_FORMATS = {
    FLOAT32: _Format(
        mantissa=23,
        bias=127,
        whole=np.dtype(np.int32),
        round=1.5 * 2.0**23,
        log2=(0.693359375, -2.12194440e-4),
        least=-104.0,
        most=89.0,
        exp=(
            0.0013818723382428288,
            0.008368673734366894,
            0.04166824743151665,
            0.1666652113199234,
            0.4999999403953552,
        ),
        expm1=(
            0.00019950862042605877,
            0.0013932675356045365,
            0.008333200588822365,
            0.04166648909449577,
            0.1666666716337204,
            0.5,
        ),
        exp2=(
            0.0001532616006443277,
            0.001339080510661006,
            0.009618503041565418,
            0.05550359934568405,
            0.24022647738456726,
            0.6931471824645996,
        ),
        sinh=(0.00020376191241666675, 0.008330225944519043, 0.166667178273201),
    ),
    FLOAT64: _Format(
        mantissa=52,
        bias=1023,
        whole=np.dtype(np.int64),
        round=1.5 * 2.0**52,
        log2=(6.93147180369123816490e-01, 1.90821492927058770002e-10),
        least=-746.0,
        most=710.0,
        exp=(
            2.5010314601957246e-08,
            2.763048097550949e-07,
            2.7557553854489463e-06,
            2.4801492389901793e-05,
            0.00019841269542900707,
            0.001388888894438592,
            0.008333333333477874,
            0.041666666666526866,
            0.16666666666666438,
            0.5000000000000011,
        ),
        expm1=(
            2.091652858216651e-09,
            2.510920667750824e-08,
            2.75572675171944e-07,
            2.7557243706370563e-06,
            2.4801587332134325e-05,
            0.00019841269886639064,
            0.00138888888888813,
            0.008333333333321423,
            0.04166666666666667,
            0.16666666666666677,
            0.5,
        ),
        exp2=(
            4.439132611801496e-10,
            7.073225924338282e-09,
            1.0178158620918914e-07,
            1.3215438879172378e-06,
            1.5252733636823421e-05,
            0.00015403530448958528,
            0.0013333558146543605,
            0.009618129107601646,
            0.055504108664821736,
            0.24022650695910108,
            0.6931471805599453,
        ),
        sinh=(
            7.775590301773141e-13,
            1.6056690474692144e-10,
            2.5052130636844617e-08,
            2.755731910866544e-06,
            0.00019841269841588963,
            0.008333333333332915,
            0.16666666666666669,
        ),
    ),
}


def _held(x: Expr, least: float, most: float) -> Expr:
    return function("minimum", function("maximum", x, number(least, x.dtype)), number(most, x.dtype))


def _nearest(x: Expr, factor: float, offset: int) -> tuple[Expr, Expr]:
    """The whole number n nearest to x·factor, and a number whose lowest bits are n + offset."""
    shift = _FORMATS[x.dtype].round + offset
    shifted = fma(x, factor, number(shift, x.dtype))
    return shifted - shift, shifted


def _reduced(x: Expr, offset: int) -> tuple[Expr, Expr]:
    """r = x - n log 2, and a number whose lowest bits are n + offset."""
    high, low = _FORMATS[x.dtype].log2
    n, shifted = _nearest(x, math.log2(math.e), offset)
    return fma(n, -low, fma(n, -high, x)), shifted


def _power_of_two(shifted: Expr) -> Expr:
    """2^n of a number whose lowest bits are n plus the bias."""
    form = _FORMATS[shifted.dtype]
    return bits(bits(shifted, form.whole) << form.mantissa, shifted.dtype)


def _scaled(x: Expr, shifted: Expr) -> Expr:
    """x·2^n for any n, of a number whose lowest bits are n plus twice the bias. By two factors, so that n may be beyond
    the largest and the smallest power of two."""
    form = _FORMATS[x.dtype]
    n = bits(shifted, form.whole)
    half = n >> 1
    first, second = half << form.mantissa, (n - half) << form.mantissa
    return x * bits(first, x.dtype) * bits(second, x.dtype)


def exp(x: Expr) -> Expr:
    """Within 1.1 ulp; gradual underflow, NaN and infinities as IEEE 754 has them."""
    return _exp(x, 0)


def _exp(x: Expr, halvings: int) -> Expr:
    """exp(x) / 2^halvings."""
    form = _FORMATS[x.dtype]
    r, shifted = _reduced(_held(x, form.least, form.most + halvings), 2 * form.bias - halvings)
    return _scaled(polynomial(r, (*form.exp, 1.0, 1.0)), shifted)


def exp_of_sum(x: Expr, small: Expr) -> Expr:
    """exp(x + small), of a number given as two, within 1.1 ulp."""
    form = _FORMATS[x.dtype]
    r, shifted = _reduced(_held(x, form.least, form.most), 2 * form.bias)
    return _scaled(polynomial(r + small, (*form.exp, 1.0, 1.0)), shifted)


def exp2(x: Expr) -> Expr:
    """Within 1.1 ulp."""
    form = _FORMATS[x.dtype]
    factor = math.log2(math.e)
    x = _held(x, math.floor(form.least * factor), math.ceil(form.most * factor))
    n, shifted = _nearest(x, 1.0, 2 * form.bias)
    return _scaled(polynomial(x - n, (*form.exp2, 1.0)), shifted)


def exp2_of_negative(x: Expr) -> Expr:
    """exp2 of a number from 0 down to the least power of two that is normal; outside it is any number, or NaN."""
    form = _FORMATS[x.dtype]
    n, shifted = _nearest(x, 1.0, form.bias)
    return polynomial(x - n, (*form.exp2, 1.0)) * _power_of_two(shifted)


def expm1(x: Expr) -> Expr:
    """Within 2 ulp. The sum is made with half the power of two, the largest of which would be infinite."""
    form = _FORMATS[x.dtype]
    r, shifted = _reduced(_held(x, -form.mantissa, form.most), form.bias - 1)
    scale = _power_of_two(shifted)
    y = 2.0 * fma(_expm1_near_zero(r), scale, scale - 0.5)
    return function("copysign", y, x)  # of -0.0 the sum would be 0.0


def _expm1_near_zero(r: Expr) -> Expr:
    return fma(r * r, polynomial(r, _FORMATS[r.dtype].expm1), r)


def tanh(x: Expr) -> Expr:
    """Within 2.5 ulp: -e / (e + 2) where e = expm1(-2|x|)."""
    form = _FORMATS[x.dtype]
    # Beyond half the mantissa's bits the result is 1.
    size = function("minimum", function("abs", x), number(0.5 * form.mantissa, x.dtype))
    r, shifted = _reduced(-2.0 * size, form.bias)
    scale = _power_of_two(shifted)
    e = fma(_expm1_near_zero(r), scale, scale - 1.0)
    return function("copysign", e / (e + 2.0), x)


def cosh(x: Expr) -> Expr:
    """Within 2 ulp; of half of exp(|x|), which is finite wherever the result is."""
    half = _exp(function("abs", x), 1)
    return half + 0.25 / half


def sinh(x: Expr) -> Expr:
    """Within 2 ulp: a polynomial to 1, then of half of exp(|x|)."""
    size = function("abs", x)
    half = _exp(size, 1)
    square = x * x
    small = fma(x * square, polynomial(square, _FORMATS[x.dtype].sinh), x)
    return where(size < 1.0, small, function("copysign", half - 0.25 / half, x))
