"""Reading and adding by arrays of indices along one axis: take, gather, scatter-add; and one-hot."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Integer, check
from pellucid.core.context import default_dtype, expect
from pellucid.core.failure import room_for
from pellucid.core.op import NONE
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor, wrap
from pellucid.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.ops._families.elementwise import broadcast_shapes, common_dtype, fit
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.elementwise import equal
from pellucid.ops.index.template import ARRAY, _index, _is_empty_list, expect_range
from pellucid.ops.shape import broadcast_to, cast, expand_dims, flatten


def _integers(op: str, indices: Any) -> Tensor:
    tensor = as_tensor(np.zeros(0, np.int64) if _is_empty_list(indices) else indices)
    if tensor.dtype.kind not in "iu":
        raise DTypeError("ops.index-dtype", op=op, dtype=tensor.dtype)
    return tensor


def take(x: Any, indices: Any, /, axis: int | None = None) -> Tensor:
    """The elements at `indices` along an axis (None: of the flattened tensor); the indices' shape replaces the axis.

    Raises
        IndexRangeError: an index lies outside the axis.
    """
    x, indices = as_tensor(x), _integers("take", indices)
    if axis is None:
        x, axis = flatten(x), 0
    number = one_axis("take", axis, x.ndim)
    expect_range("take", indices, x, number)
    return apply(_index, [x, indices], {"template": (slice(None),) * number + (ARRAY,)})


def _along_spec(x: Spec, indices: Spec, *, axis: int) -> Spec:
    return Spec(indices.shape, x.dtype)


def _along(indices: Array, axis: int) -> tuple[Any, ...]:
    """The full index of take_along_axis: the given indices on one axis, every position on the others."""
    before, after = _positions(indices.shape, axis)
    return (*before, indices, *after)


@lru_cache(maxsize=256)
def _positions(shape: Shape, axis: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Every position on the axes before and after one, shaped to broadcast to `shape`."""
    ndim = len(shape)

    def on(axes: range) -> tuple[Array, ...]:
        return tuple(np.arange(shape[a]).reshape((1,) * a + (-1,) + (1,) * (ndim - a - 1)) for a in axes)

    return on(range(axis)), on(range(axis + 1, ndim))


def _flat(indices: Array, axis: int, y: Array) -> Array:
    """Where take_along_axis reads, counted in the memory of an array that has no gaps."""
    steps = [n // y.itemsize for n in y.strides]
    own = indices.astype(np.int64, copy=False)
    own = np.where(own < 0, own + y.shape[axis], own) * steps[axis]
    before, after = _positions(indices.shape, axis)
    for position, step in zip((*before, *after), steps[:axis] + steps[axis + 1 :], strict=True):
        own = own + position * step
    return own


def _take_along_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], axis: int) -> Tensor | None:
    return apply(_place_along, [g, xs[1]], {"axis": axis, "shape": xs[0].data.shape}) if i == 0 else None


@movement(
    spec=_along_spec,
    vjp=_take_along_vjp,
    onnx="GatherElements",
    formula="y[i, j] = x[i, indices[i, j]]",
    index=NONE("the map depends on the data"),
    attrs=("axis",),
)
def _take_along(x: Array, indices: Array, *, axis: int) -> Array:
    """One element for each index along an axis."""
    y: Array = x[_along(indices, axis)]
    return y


@movement(
    spec=lambda g, indices, *, axis, shape: Spec(tuple(shape), g.dtype),
    vjp=lambda i, g, y, xs, axis, shape: apply(_take_along, [g, xs[1]], {"axis": axis}) if i == 0 else None,
    onnx=NONE("ScatterElements with addition into zeros"),
    formula="y = 0, with y[i, indices[i, j]] += g[i, j]",
    index=NONE("several elements may land on one place"),
    attrs=("axis", "shape"),
    adds=0,
)
def _place_along(g: Array, indices: Array, *, axis: int, shape: Shape) -> Array:
    """Zeros of a shape with elements added at indices along an axis: the transpose of take_along."""
    y = np.zeros(shape, g.dtype)
    if indices.shape[axis] == 1:  # one index a line: no two land on the same place
        y[_along(indices, axis)] = g
    else:
        # NumPy adds at places of one axis several times as fast as at those of several.
        np.add.at(y.reshape(-1), _flat(indices, axis, y).reshape(-1), g.reshape(-1))
    return y


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """For each place of `indices`, the element of x at that index along `axis` and the same place on the other axes,
    which broadcast.

    Raises
        ShapeError: x and indices differ in their number of axes, or another axis does not broadcast.
        IndexRangeError: an index lies outside the axis.
    """
    x, indices = as_tensor(x), _integers("take_along_axis", indices)
    if x.ndim != indices.ndim:
        raise ShapeError("ops.along-ndim", op="take_along_axis", x=x.shape, indices=indices.shape)
    number = one_axis("take_along_axis", axis, x.ndim)
    expect_range("take_along_axis", indices, x, number)
    own, wanted = ([n for i, n in enumerate(t.shape) if i != number] for t in (x, indices))
    if own != wanted:
        common = list(broadcast_shapes("take_along_axis", ["x", "indices"], [tuple(own), tuple(wanted)]))
        x = broadcast_to(x, [*common[:number], x.shape[number], *common[number:]])
        indices = broadcast_to(indices, [*common[:number], indices.shape[number], *common[number:]])
    return apply(_take_along, [x, indices], {"axis": number})


def gather(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """As take_along_axis, but nothing broadcasts: `indices` may be shorter than x on the other axes (PyTorch's gather).

    Raises
        ShapeError: x and indices differ in their number of axes, or indices is longer on another axis.
        IndexRangeError: an index lies outside the axis.
    """
    x, indices = as_tensor(x), _integers("gather", indices)
    number = _check_along("gather", x, indices, axis)
    return apply(_take_along, [x, indices], {"axis": number})


def _check_along(op: str, x: Tensor, indices: Tensor, axis: int) -> int:
    if x.ndim != indices.ndim:
        raise ShapeError("ops.along-axes", op=op, x=x.shape, indices=indices.shape)
    number = one_axis(op, axis, x.ndim)
    if any(b > a for i, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True)) if i != number):
        raise ShapeError("ops.along-axes", op=op, x=x.shape, indices=indices.shape)
    expect_range(op, indices, x, number)
    return number


def _scatter_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], axis: int) -> Tensor | None:
    if i == 1:
        return None
    return fit(g if i == 0 else apply(_take_along, [g, xs[1]], {"axis": axis}), xs[i])


@movement(
    spec=lambda x, indices, src, *, axis: Spec(x.shape, common_dtype([(x.dtype, x.weak), (src.dtype, src.weak)])),
    vjp=_scatter_vjp,
    onnx=NONE("ScatterElements with addition"),
    formula="y = x, with y[i, indices[i, j]] += src[i, j]",
    index=NONE("several elements may land on one place"),
    attrs=("axis",),
    adds=2,
)
def _scatter_add(x: Array, indices: Array, src: Array, *, axis: int) -> Array:
    """The input with elements added at indices along an axis."""
    y = x.astype(common_dtype([(x.dtype, False), (src.dtype, False)]))
    place = _along(indices, axis)
    if indices.shape[axis] == 1:  # one index a line: no two land on the same place
        y[place] += src
    else:
        np.add.at(y, place, src)
    return y


def scatter_add(x: Any, indices: Any, src: Any, /, axis: int = -1) -> Tensor:
    """x with `src` added at `indices` along an axis, repeated indices adding up: the transpose of take_along_axis.

    Raises
        ShapeError: indices and src differ in shape, or do not fit x.
        IndexRangeError: an index lies outside the axis.
    """
    x, indices, src = as_tensor(x), _integers("scatter_add", indices), as_tensor(src)
    if indices.shape != src.shape:
        raise ShapeError("ops.scatter", indices=indices.shape, src=src.shape)
    number = _check_along("scatter_add", x, indices, axis)
    return apply(_scatter_add, [x, indices, src], {"axis": number})


def _check_classes(num_classes: int, indices: Array) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= num_classes):
        wrong = indices[(indices < 0) | (indices >= num_classes)].flat[0]
        raise IndexRangeError("ops.one-hot", index=int(wrong), num_classes=num_classes)


def one_hot(indices: Any, /, num_classes: int | None = None, dtype: Any = None) -> Tensor:
    """Vectors with a 1 at each index and 0 elsewhere, along a new last axis.

    Parameters
        indices : whole numbers from 0 to num_classes - 1, any shape.
        num_classes : length of the vectors; None is the largest index plus 1.
        dtype : of the result; None is the default float.
    Raises
        IndexRangeError: an index is negative or not below num_classes.
    """
    indices = _integers("one_hot", indices)
    if num_classes is None:
        indices._read()
        num_classes = int(indices.data.max()) + 1 if indices.size else 0
    check("num_classes", num_classes, Integer(0))
    expect(indices, partial(_check_classes, num_classes))
    with room_for("one_hot", (*indices.shape, num_classes)):
        classes = wrap(np.arange(num_classes))
    hit = equal(expand_dims(cast(indices, np.int64), -1), classes)
    return cast(hit, default_dtype() if dtype is None else dtype)
