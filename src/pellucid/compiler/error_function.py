"""The error function as an expression of basic operations. Called by `mathematics`.

To 1 it is x times a polynomial in x²; beyond, 1 - 2^-g(|x|) with a polynomial g. The polynomials are minimax fits of
our own. Source of the second form: N. Juffa, A fast and accurate implementation of erff, 2016.
"""

from __future__ import annotations

from typing import NamedTuple

from pellucid.compiler.exponentials import exp2_of_negative
from pellucid.compiler.expressions import FLOAT32, FLOAT64, Expr, fma, function, number, where
from pellucid.compiler.polynomials import polynomial


class _Format(NamedTuple):
    """What depends on the width of a float.

    small : erf(x) / x - 1 by powers of x².
    large : -log2(1 - erf(x)) by powers of x, from 1 to `most`, where erf is 1 to the last bit.
    """

    small: tuple[float, ...]
    large: tuple[float, ...]
    most: float


_FORMATS = {
    FLOAT32: _Format(
        small=(
            7.809034286765382e-05,
            -0.0007998286746442318,
            0.0051871901378035545,
            -0.026853352785110474,
            0.11283578723669052,
            -0.3761262595653534,
            0.12837916612625122,
        ),
        large=(
            3.12899865093641e-05,
            -0.0006367680616676807,
            0.0060662864707410336,
            -0.036369163542985916,
            0.15641750395298004,
            0.9135404229164124,
            1.6296387910842896,
            -0.00027166595100425184,
        ),
        most=3.95,
    ),
    FLOAT64: _Format(
        small=(
            -7.736387693397843e-10,
            1.368319463951008e-08,
            -1.619867550141569e-07,
            1.6445958199959365e-06,
            -1.4924601504551444e-05,
            0.00012055286920397497,
            -0.000854832567490918,
            0.005223977600113704,
            -0.026866170642292003,
            0.1128379167093849,
            -0.37612638903183365,
            0.12837916709551256,
        ),
        large=(
            -1.5120948697556485e-12,
            6.91035955592189e-11,
            -1.4781031623814372e-09,
            1.9639698216586012e-08,
            -1.8119650335479135e-07,
            1.2261837797842834e-06,
            -6.238366958111395e-06,
            2.380964512283357e-05,
            -6.493361646020383e-05,
            0.00010142538593792619,
            6.482848349836774e-05,
            -0.0009252473108056397,
            0.0025523861202799937,
            -0.00040488414640008855,
            -0.027523811153589876,
            0.14823287824104509,
            0.9184607887020412,
            1.62790437192557,
            2.596558552431522e-07,
        ),
        most=5.93,
    ),
}


def erf(x: Expr) -> Expr:
    """Within 1.5 ulp."""
    form = _FORMATS[x.dtype]
    size = function("abs", x)
    held = function("minimum", size, number(form.most, x.dtype))
    large = 1.0 - exp2_of_negative(-polynomial(held, form.large))
    small = fma(x, polynomial(x * x, form.small), x)
    return where(size < 1.0, small, function("copysign", large, x))
