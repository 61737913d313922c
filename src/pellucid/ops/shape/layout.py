"""Layout: reshaping, the order of the axes, broadcasting, and the dtype. Views are returned where NumPy gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from pellucid._typing import Array, Axis, Shape
from pellucid.core.check import Flag, check, shown
from pellucid.core.convert import as_dtype
from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ArgumentTypeError, ShapeError
from pellucid.ops._families.elementwise import broadcast_shapes as common_shape
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import normalize_axes, one_axis
from pellucid.ops.elementwise import positive


def _cast_spec(x: Spec, *, dtype: str) -> Spec:
    return Spec(x.shape, np.dtype(dtype))


@movement(
    spec=_cast_spec,
    vjp=lambda i, g, y, xs, dtype: cast(g, xs[0].dtype),
    onnx="Cast",
    formula="y[i] = x[i]",
    index=lambda i, specs, dtype: i,
    attrs=("dtype",),
)
def _cast(x: Array, *, dtype: str) -> Array:
    """The same values in another dtype."""
    return x.astype(dtype, copy=False)


def cast(x: Any, /, dtype: Any) -> Tensor:
    """The same values in another dtype; floats become whole numbers by dropping their fraction.

    Raises
        DTypeError: the dtype is not a real number's.
    """
    wanted = as_dtype(dtype)
    x = as_tensor(x)
    return x if x.dtype == wanted else apply(_cast, [x], {"dtype": wanted.name})


def astype(x: Any, /, dtype: Any, copy: bool = True) -> Tensor:
    """The values in another dtype, as `cast`; with copy=True in memory of its own even where the dtype is the same."""
    check("copy", copy, Flag())
    y = cast(x, dtype)
    return positive(y) if copy and y is x else y


def _reshape_spec(x: Spec, *, shape: Shape) -> Spec:
    if math.prod(shape) != x.size:
        raise ShapeError("ops.reshape", given=x.shape, shape=shape, size=x.size, other=math.prod(shape))
    return Spec(tuple(shape), x.dtype)


def _reshape_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], shape: Shape) -> Tensor:
    return apply(_reshape, [g], {"shape": xs[0].data.shape})


def _reshape_index(i: tuple[Any, ...], specs: list[Spec], shape: Shape) -> tuple[Any, ...]:
    flat: Any = 0
    for number, length in zip(i, shape, strict=True):
        flat = flat * length + number
    index = []
    for length in reversed(specs[0].shape):
        index.append(flat % length)
        flat = flat // length
    return tuple(reversed(index))


@movement(
    spec=_reshape_spec,
    vjp=_reshape_vjp,
    onnx="Reshape",
    formula="y[i] = x[i], counted in row-major order",
    index=_reshape_index,
    attrs=("shape",),
)
def _reshape(x: Array, *, shape: Shape) -> Array:
    """The same elements in row-major order under another shape."""
    return x.reshape(shape)


def as_shape(op: str, shape: Any) -> Shape:
    """A shape from a number or a sequence of whole numbers.

    Raises
        ArgumentTypeError: it is neither.
    """
    if isinstance(shape, np.ndarray | Tensor) and shape.ndim == 1:
        shape = shape.tolist()
    items = shape if isinstance(shape, list | tuple) else (shape,)
    try:
        result = tuple(map(index, items))
    except TypeError:
        raise ArgumentTypeError("ops.shape-type", op=op, shape=shown(shape)) from None
    if any(isinstance(n, bool) for n in items):
        raise ArgumentTypeError("ops.shape-type", op=op, shape=shown(shape))
    return result


def checked_shape(op: str, shape: Any) -> Shape:
    """The shape of a new tensor: as_shape, and no length below 0.

    Raises
        ShapeError: a length is negative.
    """
    lengths = as_shape(op, shape)
    if any(n < 0 for n in lengths):
        raise ShapeError("ops.negative", op=op, name="shape", value=lengths)
    return lengths


def reshape(x: Any, /, shape: int | Sequence[int], *more: int) -> Tensor:
    """The same elements in row-major order under another shape; one length may be -1 and is worked out.

    Raises
        ShapeError: the sizes differ, or -1 stands twice.
    """
    x = as_tensor(x)
    wanted = as_shape("reshape", (shape, *more) if more else shape)
    if any(n < -1 for n in wanted):
        raise ShapeError("ops.negative", op="reshape", name="shape", value=wanted)
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        if wanted.count(-1) > 1 or known == 0 or x.size % known:
            raise ShapeError("ops.reshape-unknown", given=x.shape, shape=wanted, size=x.size)
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    return apply(_reshape, [x], {"shape": wanted})


def flatten(x: Any, /, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Join the axes from start_axis to end_axis, both included, into one."""
    x = as_tensor(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    start, end = (one_axis("flatten", a, x.ndim) for a in (start_axis, end_axis))
    if start > end:
        raise ShapeError("ops.flatten", start=start_axis, end=end_axis, shape=x.shape)
    joined = math.prod(x.shape[start : end + 1])
    return reshape(x, (*x.shape[:start], joined, *x.shape[end + 1 :]))


def _transpose_spec(x: Spec, *, axes: tuple[int, ...]) -> Spec:
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


def _transpose_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], axes: tuple[int, ...]) -> Tensor:
    return apply(_transpose, [g], {"axes": tuple(sorted(range(len(axes)), key=axes.__getitem__))})


@movement(
    spec=_transpose_spec,
    vjp=_transpose_vjp,
    onnx="Transpose",
    formula="y[i[axes]] = x[i]",
    index=lambda i, specs, axes: tuple(i[axes.index(a)] for a in range(len(axes))),
    attrs=("axes",),
)
def _transpose(x: Array, *, axes: tuple[int, ...]) -> Array:
    """The axes in another order."""
    return x.transpose(axes)


def permute(x: Any, /, axes: Sequence[int]) -> Tensor:
    """The axes in the order `axes`.

    Raises
        ShapeError: `axes` does not name each axis once.
    """
    x = as_tensor(x)
    given = as_shape("permute", axes)
    if len(given) != x.ndim:
        raise ShapeError("ops.permute", axes=given, shape=x.shape, ndim=x.ndim)
    order = tuple(one_axis("permute", a, x.ndim) for a in given)
    if len(set(order)) != len(order):
        raise ShapeError("ops.permute", axes=given, shape=x.shape, ndim=x.ndim)
    return apply(_transpose, [x], {"axes": order})


permute_dims = permute


def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in the order `axes`, or reversed."""
    x = as_tensor(x)
    return permute(x, tuple(range(x.ndim))[::-1] if axes is None else axes)


def matrix_transpose(x: Any, /) -> Tensor:
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


def swapaxes(x: Any, /, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    a, b = (one_axis("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return apply(_transpose, [x], {"axes": tuple(order)})


def moveaxis(x: Any, /, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes taken from `source` and put at `destination`, the others keeping their order."""
    x = as_tensor(x)
    sources = [one_axis("moveaxis", a, x.ndim) for a in as_shape("moveaxis", source)]
    targets = [one_axis("moveaxis", a, x.ndim) for a in as_shape("moveaxis", destination)]
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ShapeError("ops.moveaxis", source=tuple(sources), destination=tuple(targets))
    order = [a for a in range(x.ndim) if a not in sources]
    for target, source_axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_axis)
    return apply(_transpose, [x], {"axes": tuple(order)})


def expand_dims(x: Any, /, axis: int | Sequence[int]) -> Tensor:
    """New axes of length 1 at the positions `axis` of the result."""
    x = as_tensor(x)
    ndim = x.ndim + len(as_shape("expand_dims", axis))
    axes = normalize_axes("expand_dims", axis, ndim)
    lengths = iter(x.shape)
    return apply(_reshape, [x], {"shape": tuple(1 if i in axes else next(lengths) for i in range(ndim))})


unsqueeze = expand_dims


def squeeze(x: Any, /, axis: Axis = None) -> Tensor:
    """Without the axes `axis` of length 1 (None: all of them).

    Raises
        ShapeError: a named axis is longer.
    """
    x = as_tensor(x)
    axes = (
        tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else normalize_axes("squeeze", axis, x.ndim)
    )
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError("ops.squeeze", axis=axes, shape=x.shape)
    return apply(_reshape, [x], {"shape": tuple(n for i, n in enumerate(x.shape) if i not in axes)})


def _broadcast_spec(x: Spec, *, shape: Shape) -> Spec:
    lead = len(shape) - x.ndim
    if lead < 0 or min(shape, default=0) < 0 or any(n not in (1, shape[lead + i]) for i, n in enumerate(x.shape)):
        raise ShapeError("ops.broadcast-to", given=x.shape, shape=shape)
    return Spec(tuple(shape), x.dtype)


def _broadcast_index(i: tuple[Any, ...], specs: list[Spec], shape: Shape) -> tuple[Any, ...]:
    own = specs[0].shape
    return tuple(0 * j if n == 1 else j for j, n in zip(i[len(shape) - len(own) :], own, strict=True))


@movement(
    spec=_broadcast_spec,
    vjp=lambda i, g, y, xs, shape: apply(REGISTRY["sum_to"], [g], {"shape": xs[0].data.shape}),
    onnx="Expand",
    formula="y[i] = x[i], axes of length 1 repeated",
    index=_broadcast_index,
    attrs=("shape",),
)
def _broadcast_to(x: Array, *, shape: Shape) -> Array:
    """Axes of length 1 repeated to a shape."""
    if math.prod(shape) > 65536:
        return np.broadcast_to(x, shape)
    y = np.empty(shape, x.dtype)  # a small copy is quicker than NumPy's view
    y[...] = x
    return y


def broadcast_to(x: Any, /, shape: Sequence[int]) -> Tensor:
    """Axes of length 1, and new ones in front, repeated to `shape`.

    Raises
        ShapeError: an axis of another length would have to change.
    """
    return apply(_broadcast_to, [as_tensor(x)], {"shape": as_shape("broadcast_to", shape)})


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All inputs repeated to their common shape."""
    tensors = [as_tensor(a) for a in arrays]
    names = [f"array {i}" for i in range(len(tensors))]
    shape = common_shape("broadcast_arrays", names, [t.shape for t in tensors])
    return [broadcast_to(t, shape) for t in tensors]


def broadcast_shapes(*shapes: Any) -> Shape:
    """The common shape of tensors of these shapes under broadcasting.

    Raises
        ShapeError: an axis has two lengths, neither of them 1.
    """
    given = [as_shape("broadcast_shapes", s) for s in shapes]
    return common_shape("broadcast_shapes", [f"shape {i}" for i in range(len(given))], given)
