"""Selection: where, clip, and the larger and the smaller of two."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.core.context import default_dtype
from pellucid.core.op import REGISTRY
from pellucid.core.spec import weak_dtype
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.ops._families.elementwise import common_dtype, elementwise
from pellucid.ops.elementwise.logic import (
    equal,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_or,
)


def _share(g: Tensor, y: Tensor, own: Any, other: Any) -> Tensor:
    # Where both are equal each takes half, so that the gradient does not depend on their order.
    return where(equal(own, y), where(equal(own, other), 0.5 * g, g), 0.0)


@elementwise(onnx="Max", vjp=(_share, lambda g, y, a, b: _share(g, y, b, a)))
def maximum(m: Any, a: Any, b: Any) -> Any:
    """The larger of two; NaN if either is. Where they are equal the gradient is shared."""
    return m.maximum(a, b)


@elementwise(onnx="Min", vjp=(_share, lambda g, y, a, b: _share(g, y, b, a)))
def minimum(m: Any, a: Any, b: Any) -> Any:
    """The smaller of two; NaN if either is. Where they are equal the gradient is shared."""
    return m.minimum(a, b)


def _where_value(condition: Any, a: Any, b: Any) -> Array:
    if type(a) is not np.ndarray or type(b) is not np.ndarray or a.dtype is not b.dtype:
        number = type(b) is not np.ndarray and type(a) is np.ndarray and a.dtype.kind == "f"
        if not number and not (type(a) is not np.ndarray and type(b) is np.ndarray and b.dtype.kind == "f"):
            dtypes = [(x.dtype, False) if isinstance(x, np.ndarray) else (weak_dtype(x), True) for x in (a, b)]
            common = common_dtype(dtypes)
            a, b = (x.astype(common) if isinstance(x, np.ndarray) else common.type(x) for x in (a, b))
    y: Array = np.where(condition, a, b)
    return y


@elementwise(
    onnx="Where",
    vjp=(None, lambda g, y, c, a, b: where(c, g, 0.0), lambda g, y, c, a, b: where(c, 0.0, g)),
    value=_where_value,
    typed=slice(1, None),
)
def where(m: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds (is not 0), else b; the dtype is that of a and b."""
    return m.where(condition, a, b)


@elementwise(
    onnx="Clip",
    accepts="fiu",
    name="clip",
    vjp=lambda g, y, x, min, max: where(logical_and(_from(x, min), _up_to(x, max)), g, 0.0),
)
def _clip(m: Any, x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    """The input held between two bounds (None: unbounded); the gradient is 0 outside."""
    if min is not None:
        x = m.maximum(x, min)
    if max is not None:
        x = m.minimum(x, max)
    return x if min is not None or max is not None else m.positive(x)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """The input held between two bounds: max where they cross, as in NumPy. The gradient is 0 outside, and 1 at the
    bounds.

        y = minimum(maximum(x, min), max)

    Parameters
        min, max : numbers, tensors that broadcast to x (which get the gradient outside), or None for no bound.
    Raises
        DTypeError: x is boolean.
    """
    x = as_tensor(x)
    bounds = [b.item() if isinstance(b, np.generic) else b for b in (min, max)]
    if all(b is None or type(b) in (int, float) for b in bounds):
        low, high = bounds
        if x.dtype.kind in "iu":
            if float in (type(low), type(high)):
                x = apply(REGISTRY["cast"], [x], {"dtype": default_dtype().name})
            else:
                low, high = _held(low, x.dtype), _held(high, x.dtype)
        return apply(_clip.op, [x], {"min": low, "max": high})  # type: ignore[attr-defined]
    low, high = bounds
    if low is not None:
        x = where(logical_or(less(x, low), isnan(low)), low, x)
    return x if high is None else where(logical_or(greater(x, high), isnan(high)), high, x)


def _held(bound: Any, dtype: DType) -> Any:
    """A bound within the range of a whole-number dtype: beyond it there is nothing to hold back."""
    limits = np.iinfo(dtype)
    return None if bound is None else builtins.max(int(limits.min), builtins.min(int(limits.max), bound))


def _from(x: Tensor, low: float | None) -> Any:
    return True if low is None else greater_equal(x, low)


def _up_to(x: Tensor, high: float | None) -> Any:
    return True if high is None else less_equal(x, high)
