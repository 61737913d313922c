"""Reductions over axes: sums, products, extremes and where they stand, logical ones, and sums back to a broadcast
shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array, Axis, Shape
from pellucid.core.check import Flag, check
from pellucid.core.context import state
from pellucid.core.op import NONE, REGISTRY, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ShapeError
from pellucid.ops._families.composite import composite
from pellucid.ops._families.elementwise import FLOATS
from pellucid.ops._families.reduction import normalize_axes, ones_vector, reduced_shape, reduction, summed_dtype
from pellucid.ops.elementwise import equal, exp_below, not_equal, where
from pellucid.ops.shape import cast, concatenate, permute, reshape

# NumPy's reductions by position (axis, dtype, out, keepdims), which is the quickest way to call them.
_add: Callable[..., Array] = np.add.reduce
_maximum: Callable[..., Array] = np.maximum.reduce
_minimum: Callable[..., Array] = np.minimum.reduce
_logical_or: Callable[..., Array] = np.logical_or.reduce
_logical_and: Callable[..., Array] = np.logical_and.reduce
_LARGEST = {n: float(np.finfo(f"f{n}").max) for n in (2, 4, 8)}


def _spread(g: Tensor, x: Tensor) -> Tensor:
    return apply(REGISTRY["broadcast_to"], [g], {"shape": x.data.shape})


@reduction(
    vjp=lambda g, y, x: _spread(g, x),
    onnx="ReduceSum",
    combine=("add", 0),
    kind="sum",
    formula="y = Σ_{{{axes}}} x",
    uses_output=False,
)
def sum_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Sum of the elements along axes; booleans are counted."""
    return _add(x, axis, None, None, keepdims)


@composite(onnx="ReduceProd", formula="y = Π x")
def prod(x: Any, /, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Product of the elements along axes, by halves; its gradients of every order are right where elements are 0 too.

    Whole numbers of any width are multiplied as 64-bit ones, as in NumPy.
    """
    check("keepdims", keepdims, Flag())
    x = as_tensor(x)
    x = cast(x, summed_dtype(x.dtype) if dtype is None else dtype)
    axes = normalize_axes("prod", axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    rest = tuple(x.shape[i] for i in kept)
    y = reshape(permute(x, (*kept, *axes)), (*rest, math.prod(x.shape[i] for i in axes)))
    while y.shape[-1] > 1:
        half, odd = divmod(y.shape[-1], 2)
        product = y[..., :half] * y[..., half : 2 * half]
        y = concatenate([product, y[..., 2 * half :]], axis=-1) if odd else product
    if y.shape[-1] == 0:
        y = concatenate([y, Tensor(np.ones((*rest, 1), y.dtype))], axis=-1)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape)) if keepdims else rest
    return reshape(y, shape)


def _reduced_axes(y: Tensor, x: Tensor) -> tuple[int, ...]:
    return tuple(i for i in range(x.ndim) if y.shape[i] == 1 and x.shape[i] != 1)


def _extreme_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    hit = equal(x, y)
    return where(hit, g / sum_(hit, _reduced_axes(y, x), keepdims=True), 0.0)


@reduction(
    vjp=_extreme_vjp, onnx="ReduceMax", combine=("maximum", -math.inf), identity=False, formula="y = max_{{{axes}}} x"
)
def max_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Largest element along axes; NaN if there is one. Equal largest elements share the gradient."""
    return _maximum(x, axis, None, None, keepdims)


@reduction(
    vjp=_extreme_vjp, onnx="ReduceMin", combine=("minimum", math.inf), identity=False, formula="y = min_{{{axes}}} x"
)
def min_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Smallest element along axes; NaN if there is one. Equal smallest elements share the gradient."""
    return _minimum(x, axis, None, None, keepdims)


def _logsumexp_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return g * exp_below(x, y)


@reduction(
    vjp=_logsumexp_vjp,
    onnx="ReduceLogSumExp",
    combine=("logaddexp", -math.inf),
    kind="float",
    formula="y = log Σ_{{{axes}}} exp(x)",
    # Largest, difference, sum and the return of the largest; exp of each element, log of each sum.
    work=lambda n, out: (max(3 * n - out, 0), n + out),
)
def logsumexp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """log of the sum of exp along axes, without overflow: the largest element is taken out first."""
    if x.size == 0:
        return np.full(reduced_shape(x.shape, axis, keepdims), -math.inf, x.dtype)
    # An infinite largest element is brought to the largest number, so that inf - inf does not arise.
    limit = _LARGEST[x.dtype.itemsize]
    top = np.maximum(np.minimum(_maximum(x, axis, None, None, True), limit), -limit)
    total = _add(np.exp(x - top), axis, None, None, True)
    if state.quiet:
        y = np.log(total) + top
    else:
        with np.errstate(divide="ignore"):  # log 0 = -inf is the answer where every element is -inf
            y = np.log(total) + top
    return y if keepdims else y.reshape(reduced_shape(x.shape, axis, False))


@reduction(
    vjp=NONE("its result is not a real number"),
    onnx=NONE("ReduceMax of a cast"),
    combine=("logical_or", False),
    kind="bool",
    formula="y = any_{{{axes}}} x",
)
def any_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Whether any element along axes is true (not 0)."""
    return _logical_or(x, axis, None, None, keepdims)


@reduction(
    vjp=NONE("its result is not a real number"),
    onnx=NONE("ReduceMin of a cast"),
    combine=("logical_and", True),
    kind="bool",
    formula="y = all_{{{axes}}} x",
)
def all_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Whether all elements along axes are true (not 0)."""
    return _logical_and(x, axis, None, None, keepdims)


def _position(find: Any, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    if len(axis) == 1:
        return np.asarray(find(x, axis[0], keepdims=keepdims))
    # Over all axes the index counts in row-major order.
    return np.asarray(find(x)).reshape((1,) * x.ndim if keepdims else ())


@reduction(
    vjp=NONE("an index does not change with small changes of the input"),
    onnx="ArgMax",
    combine=("argmax", -math.inf),
    identity=False,
    kind="index",
    formula="y = argmax_{{{axes}}} x",
    one_axis=True,
)
def argmax(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Index of the largest element along one axis (the first of equals), or in row-major order over all of them."""
    return _position(np.argmax, x, axis, keepdims)


@reduction(
    vjp=NONE("an index does not change with small changes of the input"),
    onnx="ArgMin",
    combine=("argmin", math.inf),
    identity=False,
    kind="index",
    formula="y = argmin_{{{axes}}} x",
    one_axis=True,
)
def argmin(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Index of the smallest element along one axis (the first of equals), or in row-major order over all of them."""
    return _position(np.argmin, x, axis, keepdims)


@lru_cache(maxsize=1024)
def _spread_axes(shape: Shape, to: Shape) -> tuple[int, ...]:
    lead = len(shape) - len(to)
    return tuple(range(lead)) + tuple(i + lead for i, n in enumerate(to) if n == 1 and shape[i + lead] != 1)


def _sum_to(x: Array, *, shape: Shape) -> Array:
    axes = _spread_axes(x.shape, shape)
    if axes == (0,) and x.ndim == 2 and x.dtype in FLOATS and len(x) <= 1024:
        y: Array = ones_vector(len(x), x.dtype).dot(x)  # the quickest start for a bias's few numbers
    else:
        y = _add(x, axes) if axes else x
    return y if y.shape == shape else y.reshape(shape)


def _sum_to_spec(x: Spec, *, shape: Shape) -> Spec:
    lead = x.ndim - len(shape)
    if lead < 0 or any(n not in (1, x.shape[lead + i]) for i, n in enumerate(shape)):
        raise ShapeError("ops.broadcast-to", given=tuple(shape), shape=x.shape)
    return Spec(tuple(shape), x.dtype)


SUM_TO = register(
    Op(
        name="sum_to",
        family="reduction",
        value=_sum_to,
        spec=_sum_to_spec,
        vjp=lambda i, g, y, xs, attrs: _spread(g, xs[0]),
        cost=lambda specs, out, attrs: Cost(flops=max(specs[0].size - out.size, 0)),
        formula=lambda specs=None, attrs=None: "y = Σ_{axes that shape lacks} x",
        kernel=("add", 0),
        onnx=NONE("ReduceSum over those axes"),
        attrs={"shape": None},
        doc="Sum over the axes that broadcasting to x's shape would spread.",
    )
)


def count_nonzero(x: Any, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements along axes are not 0 (NaN is not), int64."""
    return sum_(not_equal(x, 0), axis, keepdims)
