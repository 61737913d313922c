"""Reductions: operations that combine the elements along some axes. Declared by the NumPy value and the gradient;
derived are the shape rule over any axes with keepdims, the counted work and the formula.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from operator import index
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array, Axis, DType, Shape
from pellucid.core.check import Flag, check, shown
from pellucid.core.context import default_dtype
from pellucid.core.convert import as_dtype
from pellucid.core.op import NONE, REGISTRY, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ArgumentTypeError, IndexRangeError, ShapeError
from pellucid.ops._families.calls import documented

Kind = Literal["same", "sum", "float", "bool", "index"]


def normalize_axes(op: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """Axes as sorted non-negative numbers; None is all of them.

    Raises
        IndexRangeError: an axis does not exist.
        ArgumentTypeError: an axis is not a whole number.
        ShapeError: an axis is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    result = []
    for a in axes:
        try:
            number = int(index(a))
        except TypeError:
            raise ArgumentTypeError("ops.axis-type", op=op, axis=shown(axis)) from None
        if isinstance(a, bool):
            raise ArgumentTypeError("ops.axis-type", op=op, axis=shown(axis))
        if ndim == 0:
            raise IndexRangeError("ops.axis-none", op=op, axis=number)
        if not -ndim <= number < ndim:
            raise IndexRangeError("ops.axis", op=op, axis=number, ndim=ndim, low=-ndim, high=ndim - 1)
        result.append(number % ndim)
    if len(set(result)) != len(result):
        raise ShapeError("ops.axis-twice", op=op, axis=tuple(map(int, axes)))
    return tuple(sorted(result))


@lru_cache(maxsize=128)
def ones_vector(length: int, dtype: DType) -> Array:
    """Ones to sum with as a product, which BLAS starts quicker than NumPy a short sum; made once, not to be written."""
    ones: Array = np.ones(length, dtype)
    ones.flags.writeable = False
    return ones


def one_axis(op: str, axis: Any, ndim: int) -> int:
    """A single axis as a non-negative number.

    Raises
        ArgumentTypeError: it is no whole number.
        IndexRangeError: it does not exist.
    """
    if type(axis) is int and 0 <= axis < ndim:
        return axis
    if axis is None or isinstance(axis, list | tuple):
        raise ArgumentTypeError("ops.axis-type", op=op, axis=shown(axis))
    return normalize_axes(op, axis, ndim)[0]


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape that is left."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def reduction(
    *,
    vjp: Callable[..., Tensor] | NONE,
    onnx: str | Callable[..., Any] | NONE,
    combine: tuple[str, Any],
    formula: str,
    kind: Kind = "same",
    identity: bool = True,
    work: Callable[[int, int], tuple[int, int]] = lambda n, out: (max(n - out, 0), 0),
    uses_output: bool = True,
    one_axis: bool = False,
) -> Callable[[Callable[..., Array]], Callable[..., Tensor]]:
    """Declare a reduction over axes.

    Parameters
        vjp : (g, y, x) -> Tensor with g and y keeping the reduced axes at length 1; or NONE(why).
        combine : name of the combining operation and its identity: what the kernel starts from.
        formula : the mathematics, with {axes} for the reduced axes.
        kind : dtype of the result: "same"; "sum" (booleans count as int64); "float"; "bool"; "index" (int64).
        identity : whether an empty set of elements has a result.
        work : (elements, results) -> plain and special operations; n elements are combined by n - 1 operations.
        uses_output : whether the gradient needs y.
        one_axis : whether it runs along one axis or all of them, and not along some.
    """

    def declare(function: Callable[..., Array]) -> Callable[..., Tensor]:
        name = function.__name__.rstrip("_")

        def spec(x: Spec, *, axis: tuple[int, ...], keepdims: bool) -> Spec:
            if one_axis and len(axis) not in (1, x.ndim):
                raise ShapeError("ops.one-axis", op=name, axis=axis)
            if not identity and any(x.shape[a] == 0 for a in axis):
                raise ShapeError("ops.reduce-empty", op=name, shape=x.shape)
            return Spec(reduced_shape(x.shape, axis, keepdims), _dtype(x.dtype, kind))

        def value(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Array:
            if type(x) is not np.ndarray:
                x = np.asarray(x)
            if (x.size == 0 and not identity) or one_axis:
                spec(Spec(x.shape, x.dtype), axis=axis, keepdims=keepdims)
            if kind == "float" and x.dtype.kind != "f":
                x = x.astype(default_dtype())
            return function(x, axis, keepdims)

        def rule(i: int, g: Tensor, y: Tensor, xs: list[Any], attrs: dict[str, Any]) -> Tensor:
            x = xs[0]
            axes = attrs["axis"]
            # Leading axes come back by broadcasting alone.
            if not attrs["keepdims"] and axes and (uses_output or axes != tuple(range(len(axes)))):
                kept = reduced_shape(x.data.shape, axes, True)
                reshape = REGISTRY["reshape"]
                g = apply(reshape, [g], {"shape": kept})
                if uses_output:
                    y = apply(reshape, [y], {"shape": kept})
            return vjp(g, y, x)  # type: ignore[operator]

        def cost(specs: list[Spec], out: Spec, attrs: dict[str, Any]) -> Cost:
            return Cost(0, *work(specs[0].size, out.size))

        def written(specs: list[Spec] | None = None, attrs: dict[str, Any] | None = None) -> str:
            return formula.format(axes="axis" if attrs is None else ",".join(map(str, attrs["axis"])))

        op = register(
            Op(
                name=name,
                family="reduction",
                value=value,
                spec=spec,
                vjp=vjp if type(vjp) is NONE else rule,
                cost=cost,
                formula=written,
                kernel=combine,
                onnx=onnx,
                attrs={"axis": None, "keepdims": False},
                doc=inspect.getdoc(function) or "",
            )
        )

        def call(x: Any, /, axis: Axis = None, keepdims: bool = False) -> Tensor:
            if not isinstance(x, Tensor):
                x = as_tensor(x)
            if keepdims is not False and keepdims is not True:
                check("keepdims", keepdims, Flag())
            return apply(op, [x], {"axis": normalize_axes(name, axis, x.data.ndim), "keepdims": bool(keepdims)})

        def call_typed(x: Any, /, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
            return call(
                x if dtype is None else apply(REGISTRY["cast"], [x], {"dtype": as_dtype(dtype).name}), axis, keepdims
            )

        public: Callable[..., Tensor] = call_typed if kind == "sum" else call
        public.__name__ = public.__qualname__ = name
        public.__module__ = function.__module__
        public.__doc__ = documented(op.doc, op.formula())
        public.op = op  # type: ignore[attr-defined]
        return public

    return declare


def summed_dtype(dtype: DType) -> DType:
    """The dtype of a sum or product: 64 bits for whole numbers and booleans, so that small ones do not overflow."""
    return np.dtype(np.int64) if dtype.kind in "bi" else np.dtype(np.uint64) if dtype.kind == "u" else dtype


def _dtype(dtype: DType, kind: Kind) -> DType:
    if kind == "bool":
        return np.dtype(bool)
    if kind == "index":
        return np.dtype(np.int64)
    if kind == "sum":
        return summed_dtype(dtype)
    if kind == "float" and dtype.kind != "f":
        return default_dtype()
    return dtype
