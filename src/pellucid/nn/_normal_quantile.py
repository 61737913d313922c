"""The normal distribution and its inverse, in float64. `init.trunc_normal_` calls it.

Source: M. J. Wichura, Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37
    (1988), PPND16, to about
1e-16 relative.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid._typing import Array

# Highest power first, as np.polyval takes them.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125,
     1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077,
     687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_MIDDLE = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip


def normal_cdf(z: float) -> float:
    """The probability of a standard normal number below z, exact in the lower tail."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def normal_quantile(p: Array) -> Array:
    """The z below which a standard normal number lies with probability p, elementwise, float64; infinite at 0 and 1."""
    p = np.asarray(p, np.float64)
    q = p - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        r = 0.180625 - q * q
        centre = q * np.polyval(_CENTRE[0], r) / np.polyval(_CENTRE[1], r)
        t = np.sqrt(-np.log(np.where(q < 0, p, 1.0 - p)))
        near, far = t - 1.6, t - 5.0
        tail = np.where(
            t <= 5.0,
            np.polyval(_MIDDLE[0], near) / np.polyval(_MIDDLE[1], near),
            np.polyval(_TAIL[0], far) / np.polyval(_TAIL[1], far),
        )
    tail = np.where(np.isinf(t), np.inf, tail)
    return np.where(np.abs(q) <= 0.425, centre, np.copysign(tail, q))
