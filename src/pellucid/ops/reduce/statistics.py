"""Mean, variance, standard deviation and norms, composed of sums."""

from __future__ import annotations

import math
from typing import Any

from pellucid._typing import Axis
from pellucid.core.check import Real, check
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.ops._families.composite import composite
from pellucid.ops._families.reduction import normalize_axes
from pellucid.ops.elementwise import abs_, divide, equal, not_equal, power, sqrt, square, where
from pellucid.ops.reduce.combine import max_, min_, sum_
from pellucid.ops.shape import cast


def _count(x: Tensor, axis: Axis, op: str) -> int:
    n = 1
    for a in normalize_axes(op, axis, x.ndim):
        n *= x.shape[a]
    return n


@composite(onnx="ReduceMean", formula="y = Σ x / n")
def mean(x: Any, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean along axes.

    Raises
        ShapeError: there is nothing to average.
    """
    x = as_tensor(x)
    n = _count(x, axis, "mean")
    if n == 0:
        raise ShapeError("ops.reduce-empty", op="mean", shape=x.shape)
    return divide(sum_(x, axis, keepdims), n)


@composite(onnx=NONE("ReduceMean of the squared difference"), formula="y = Σ (x - mean(x))² / (n - correction)")
def var(x: Any, /, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Variance along axes; correction=1 divides by n - 1, the unbiased estimate.

    Raises
        ShapeError: n - correction is not positive.
    """
    x = as_tensor(x)
    check("correction", correction, Real(0))
    n = _count(x, axis, "var")
    if n - correction <= 0:
        raise ShapeError("ops.var-count", shape=x.shape, n=n, correction=correction)
    centred = x - mean(x, axis, keepdims=True)
    return divide(sum_(square(centred), axis, keepdims), n - correction)


@composite(onnx=NONE("Sqrt of the variance"), formula="y = sqrt(Σ (x - mean(x))² / (n - correction))")
def std(x: Any, /, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation along axes; correction=1 divides by n - 1. Where all elements are equal the gradient is 0."""
    return _root(var(x, axis, correction, keepdims))


def _root(x: Tensor) -> Tensor:
    """The square root with the gradient 0 at 0, where it has none."""
    zero = equal(x, 0)
    return where(zero, 0.0, sqrt(where(zero, 1.0, x)))


@composite(onnx=NONE("ReduceL2, ReduceL1 or a power of a sum by ord"), formula="y = (Σ |x|^ord)^(1/ord)")
def norm(x: Any, /, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Vector norm along axes; its gradient at the origin is 0.

    Parameters
        ord : 2 (Euclidean), 1, inf (the largest absolute value), -inf (the smallest), 0 (the number of elements that
            are not 0), or any other exponent.
    """
    x = as_tensor(x)
    if ord not in (math.inf, -math.inf):
        check("ord", ord, Real())
    if x.dtype.kind != "f":
        x = divide(x, 1)
    if ord == 2:
        return _root(sum_(square(x), axis, keepdims))
    if ord == math.inf:
        return max_(abs_(x), axis, keepdims)
    if ord == -math.inf:
        return min_(abs_(x), axis, keepdims)
    if ord == 1:
        return sum_(abs_(x), axis, keepdims)
    if ord == 0:
        return sum_(cast(not_equal(x, 0), x.dtype), axis, keepdims)
    if ord < 0:
        return power(sum_(power(abs_(x), ord), axis, keepdims), 1.0 / ord)
    # Powers of 0 are kept out of the chain, since their derivatives are infinite for exponents below 1.
    zero = equal(x, 0)
    total = sum_(where(zero, 0.0, power(where(zero, 1.0, abs_(x)), ord)), axis, keepdims)
    none = equal(total, 0)
    return where(none, 0.0, power(where(none, 1.0, total), 1.0 / ord))
