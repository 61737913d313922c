"""Reductions over axes: sums, products, extremes, counts and running sums, and the statistics composed of them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array, Axis, Shape
from pellucid.core.check import Options, Real, check
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ShapeError
from pellucid.ops._families.composite import composite
from pellucid.ops._families.reduction import normalize_axes, reduction
from pellucid.ops.elementwise import abs_, divide, equal, exp_below, power, sqrt, square, where
from pellucid.ops.shape import broadcast_to, cast, concatenate, flip, permute, reshape


def _spread(g: Tensor, x: Tensor) -> Tensor:
    return broadcast_to(g, x.shape)


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
    return np.add.reduce(x, axis, None, None, keepdims)


@composite(onnx="ReduceProd", formula="y = Π x")
def prod(x: Any, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product of the elements along axes, by halves; its gradients of every order are right where elements are 0 too."""
    x = as_tensor(x)
    axes = normalize_axes("prod", axis, x.ndim)
    if x.dtype.kind == "b":
        x = cast(x, np.int64)
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
    return np.maximum.reduce(x, axis, None, None, keepdims)


@reduction(
    vjp=_extreme_vjp, onnx="ReduceMin", combine=("minimum", math.inf), identity=False, formula="y = min_{{{axes}}} x"
)
def min_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Smallest element along axes; NaN if there is one. Equal smallest elements share the gradient."""
    return np.minimum.reduce(x, axis, None, None, keepdims)


_LARGEST = {n: float(np.finfo(f"f{n}").max) for n in (2, 4, 8)}


def _logsumexp_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return g * exp_below(x, y)


@reduction(
    vjp=_logsumexp_vjp,
    onnx="ReduceLogSumExp",
    combine=("logaddexp", -math.inf),
    kind="float",
    formula="y = log Σ_{{{axes}}} exp(x)",
    work=(3, 1),
)
def logsumexp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """log of the sum of exp along axes, without overflow: the largest element is taken out first."""
    if x.size == 0:
        return np.log(np.add.reduce(np.exp(x), axis, None, None, keepdims))
    top = np.maximum.reduce(x, axis, None, None, True)
    # An infinite top is brought to the largest number, so that inf - inf does not arise.
    limit = _LARGEST[x.dtype.itemsize]
    top = np.maximum(np.minimum(top, limit), -limit)
    total = np.log(np.add.reduce(np.exp(x - top), axis, None, None, True)) + top
    return total if keepdims else total.reshape([n for i, n in enumerate(x.shape) if i not in axis])


@reduction(
    vjp=NONE("its result is not a real number"),
    onnx=NONE("ReduceMax of a cast"),
    combine=("logical_or", False),
    kind="bool",
    formula="y = any_{{{axes}}} x",
)
def any_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Whether any element along axes is true (not 0)."""
    return np.logical_or.reduce(x, axis, None, None, keepdims)


@reduction(
    vjp=NONE("its result is not a real number"),
    onnx=NONE("ReduceMin of a cast"),
    combine=("logical_and", True),
    kind="bool",
    formula="y = all_{{{axes}}} x",
)
def all_(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Whether all elements along axes are true (not 0)."""
    return np.logical_and.reduce(x, axis, None, None, keepdims)


def _arg(function: Any) -> Any:
    def find(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        if len(axis) == 1:
            return np.asarray(function(x, axis[0], keepdims=keepdims))
        # Over all axes the index counts in row-major order.
        found = np.asarray(function(x))
        return found.reshape((1,) * x.ndim) if keepdims else found

    return find


_argmax, _argmin = _arg(np.argmax), _arg(np.argmin)


def _one_axis(name: str, x: Any, axis: int | None, keepdims: bool, reduce: Any) -> Tensor:
    if isinstance(axis, list | tuple) and len(axis) != 1:
        raise ShapeError("ops.one-axis", op=name, axis=tuple(axis))
    result: Tensor = reduce(x, axis, keepdims)
    return result


@reduction(
    vjp=NONE("an index does not change with small changes of the input"),
    onnx="ArgMax",
    combine=("argmax", -math.inf),
    identity=False,
    kind="index",
    formula="y = argmax_{{{axes}}} x",
)
def argmax(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Index of the largest element along one axis (the first of equals), or in row-major order over all of them."""
    return _argmax(x, axis, keepdims)  # type: ignore[no-any-return]


@reduction(
    vjp=NONE("an index does not change with small changes of the input"),
    onnx="ArgMin",
    combine=("argmin", math.inf),
    identity=False,
    kind="index",
    formula="y = argmin_{{{axes}}} x",
)
def argmin(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    """Index of the smallest element along one axis (the first of equals), or in row-major order over all of them."""
    return _argmin(x, axis, keepdims)  # type: ignore[no-any-return]


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


@composite(onnx=NONE("Sqrt of the variance"), formula="y = sqrt(var(x))")
def std(x: Any, /, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation along axes; correction=1 divides by n - 1."""
    return sqrt(var(x, axis, correction, keepdims))


@composite(onnx=NONE("ReduceL2, ReduceL1 or a power of a sum by ord"), formula="y = (Σ |x|^ord)^(1/ord)")
def norm(x: Any, /, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Vector norm along axes: ord 2 (Euclidean, gradient 0 at the origin), 1, inf, -inf, 0 (count of non-zeros) or any p."""
    x = as_tensor(x)
    if ord not in (math.inf, -math.inf):
        check("ord", ord, Real())
    if ord == 2:
        total = sum_(square(x), axis, keepdims)
        nonzero = equal(total, 0).logical_not()  # type: ignore[attr-defined]
        return where(nonzero, sqrt(where(nonzero, total, 1.0)), 0.0)
    if ord == math.inf:
        return max_(abs_(x), axis, keepdims)
    if ord == -math.inf:
        return min_(abs_(x), axis, keepdims)
    if ord == 1:
        return sum_(abs_(x), axis, keepdims)
    if ord == 0:
        return sum_(where(equal(x, 0), x * 0.0, x * 0.0 + 1.0), axis, keepdims)
    return power(sum_(power(abs_(x), ord), axis, keepdims), 1.0 / ord)


def _running_spec(x: Spec, *, axis: int) -> Spec:
    kinds = {"b": np.dtype(np.int64), "i": np.dtype(np.int64), "u": np.dtype(np.uint64)}
    return Spec(x.shape, kinds.get(x.dtype.kind, x.dtype))


_CUMSUM = register(
    Op(
        name="cumsum",
        family="reduction",
        value=lambda x, *, axis: np.add.accumulate(
            x, axis, dtype=_running_spec(Spec(x.shape, x.dtype), axis=axis).dtype
        ),
        spec=_running_spec,
        vjp=lambda i, g, y, xs, attrs: flip(cumulative_sum(flip(g, attrs["axis"]), attrs["axis"]), attrs["axis"]),
        cost=lambda specs, out, attrs: Cost(flops=out.size - out.size // max(out.shape[attrs["axis"]], 1)),
        formula=lambda specs=None, attrs=None: "y[i] = Σ_{j<=i} x[j]",
        kernel=("add", 0),
        onnx="CumSum",
        attrs={"axis": None},
        doc="Running sum along an axis.",
    )
)


def cumulative_sum(x: Any, /, axis: int | None = None, include_initial: bool = False) -> Tensor:
    """Running sum along an axis: y[i] is the sum of x[0] to x[i]. With include_initial a 0 stands in front."""
    x = as_tensor(x)
    if axis is None:
        x = reshape(x, (-1,)) if x.ndim != 1 else x
        axis = 0
    (number,) = normalize_axes("cumsum", axis, x.ndim)
    y = apply(_CUMSUM, [x], {"axis": number})
    if include_initial:
        shape = tuple(1 if i == number else n for i, n in enumerate(x.shape))
        y = concatenate([Tensor(np.zeros(shape, y.dtype)), y], axis=number)
    return y


cumsum = cumulative_sum


def sum_to_shape(x: Any, shape: Shape) -> Tensor:
    """Sum over the axes that broadcasting `shape` to x's shape would spread: the transpose of broadcast_to."""
    return apply(SUM_TO, [as_tensor(x)], {"shape": tuple(shape)})


@lru_cache(maxsize=1024)
def _spread_axes(shape: Shape, to: Shape) -> tuple[int, ...]:
    lead = len(shape) - len(to)
    return tuple(range(lead)) + tuple(i + lead for i, n in enumerate(to) if n == 1 and shape[i + lead] != 1)


def _sum_to(x: Array, *, shape: Shape) -> Array:
    axes = _spread_axes(x.shape, shape)
    y: Array = np.add.reduce(x, axes) if axes else x
    return y if y.shape == shape else y.reshape(shape)


SUM_TO = register(
    Op(
        name="sum_to",
        family="reduction",
        value=_sum_to,
        spec=lambda x, *, shape: Spec(tuple(shape), x.dtype),
        vjp=lambda i, g, y, xs, attrs: broadcast_to(g, xs[0].shape),
        cost=lambda specs, out, attrs: Cost(flops=specs[0].size - out.size),
        formula=lambda specs=None, attrs=None: "y = Σ_{axes that shape lacks} x",
        kernel=("add", 0),
        onnx=NONE("ReduceSum over those axes"),
        attrs={"shape": None},
        doc="Sum over the axes that broadcasting to x's shape would spread.",
    )
)


def check_reduction(reduction: str) -> None:
    """Raise unless `reduction` is "none", "mean" or "sum"."""
    check("reduction", reduction, Options("none", "mean", "sum"))
