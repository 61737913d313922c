"""The names that printed programs use: NumPy's, and the few operations that NumPy lacks. Used by `emit_python`.

fma of float32 is computed in float64 and rounded twice, which in about one of 2^29 results is the other neighbour; that
of float64 has an error far below one rounding, but is not always the correctly rounded one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.ops._families.maths import erf

_SPLITTER = 2.0**27 + 1.0
_HALF = 32


def fma(a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""
    dtype = np.result_type(*(x for x in (a, b, c) if hasattr(x, "dtype")))
    a, b, c = (np.asarray(x, dtype) for x in (a, b, c))
    if dtype == np.float32:
        return (a.astype(np.float64) * b + c).astype(np.float32)[()]
    product, error = _product(a, b)
    total = product + c
    added = total - product
    lost = (product - (total - added)) + (c - added) + error
    # The parts of very large numbers may be infinite where their sum is not; and -0.0 + 0.0 would be 0.0.
    return np.where(np.isfinite(lost) & (lost != 0), total + lost, total)[()]


def _product(a: Array, b: Array) -> tuple[Array, Array]:
    """A product and its rounding error. Source: Dekker, A floating-point technique, Numer. Math. 18 (1971)."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, a_high * b_high - product + a_high * b_low + a_low * b_high + a_low * b_low


def _halves(x: Array) -> tuple[Array, Array]:
    high = x * _SPLITTER
    high = high - (high - x)
    return high, x - high


def mulhi(a: Any, b: Any) -> Any:
    """The upper half of the product of two unsigned numbers of 64 bits."""
    a, b, mask = np.asarray(a, np.uint64), np.asarray(b, np.uint64), np.uint64(2**_HALF - 1)
    (a_low, a_high), (b_low, b_high) = (a & mask, a >> _HALF), (b & mask, b >> _HALF)
    middle = a_high * b_low + (a_low * b_low >> _HALF)
    other = a_low * b_high + (middle & mask)
    return (a_high * b_high + (middle >> _HALF) + (other >> _HALF))[()]


_FROM_NUMPY = (
    "abs all any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh ceil copysign cos cosh exp exp2 expm1 "
    "floor fmod full hypot inf isfinite isinf isnan log log10 log1p log2 logaddexp logical_not max maximum min minimum "
    "nan nextafter power prod round sign signbit sin sinh sqrt sum tan tanh trunc where zeros "
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64"
)
NAMESPACE: dict[str, Any] = {name: getattr(np, name) for name in _FROM_NUMPY.split()}
NAMESPACE |= {"erf": erf, "fma": fma, "mulhi": mulhi, "len": len, "range": range}
"""What the names of a printed program mean."""
