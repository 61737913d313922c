"""Indexing with gradients: slices, whole numbers, index arrays and boolean masks; take, gather, scatter-add and one-hot.

An index is written as a template: slices, numbers, None and "..." stay in it, and every index array becomes an input of the operation, its
place in the template marked by `ARRAY`. `index` reads by a template; `index_add` is its transpose: it adds into zeros.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Integer, check
from pellucid.core.context import default_dtype, state
from pellucid.core.op import NONE
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor, to_array, wrap
from pellucid.errors import ArgumentTypeError, DTypeError, IndexRangeError, ShapeError
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import normalize_axes

ARRAY = "array"
"""Stands in a template where an index array, an input of the operation, belongs."""


def _filled(template: tuple[Any, ...], arrays: tuple[Array, ...]) -> tuple[Any, ...]:
    if not arrays:
        return template
    rest = iter(arrays)
    return tuple(next(rest) if item is ARRAY or item == ARRAY else item for item in template)


def _read_spec(x: Spec, *indices: Spec, template: tuple[Any, ...]) -> Spec:
    def shape_of(shape: Shape, template: tuple[Any, ...]) -> Shape:
        # Index arrays without elements: the result takes no memory, and their axes show as the one length of 0.
        probe = np.broadcast_to(np.empty((), np.bool_), shape)
        return probe[_filled(template, (np.zeros(0, np.int64),) * len(indices))].shape

    shape = shape_of(x.shape, template)
    if not indices:
        return Spec(shape, x.dtype)
    block = np.broadcast_shapes(*(s.shape for s in indices))
    whole = tuple(slice(None) if isinstance(t, slice) else 0 if isinstance(t, int) else t for t in template)
    place = shape_of(tuple(max(n, 1) for n in x.shape), whole).index(0)
    return Spec(shape[:place] + block + shape[place + 1 :], x.dtype)


def _read_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], template: tuple[Any, ...]) -> Tensor | None:
    if i > 0:
        return None
    return apply(_index_add, [g, *xs[1:]], {"shape": xs[0].data.shape, "template": template})


@movement(
    spec=_read_spec,
    vjp=_read_vjp,
    onnx=NONE("Slice, GatherND or Squeeze by the template"),
    formula="y[i] = x[template(i)]",
    index=NONE("the map depends on the template and, with index arrays, on the data"),
    attrs=("template",),
)
def _index(x: Array, *indices: Array, template: tuple[Any, ...]) -> Array:
    """Elements of the input picked by slices, whole numbers and index arrays."""
    return x[_filled(template, indices)]


def _add_spec(g: Spec, *indices: Spec, shape: Shape, template: tuple[Any, ...]) -> Spec:
    return Spec(tuple(shape), g.dtype)


def _add_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], shape: Shape, template: tuple[Any, ...]) -> Tensor | None:
    return None if i > 0 else apply(_index, [g, *xs[1:]], {"template": template})


@movement(
    spec=_add_spec,
    vjp=_add_vjp,
    onnx=NONE("ScatterND with addition"),
    formula="y[template(i)] += g[i]",
    index=NONE("several elements may land on one place"),
    attrs=("shape", "template"),
    adds=True,
)
def _index_add(g: Array, *indices: Array, shape: Shape, template: tuple[Any, ...]) -> Array:
    """Zeros of a shape with the elements added where the template picks: the transpose of index."""
    y = np.zeros(shape, g.dtype)
    place = _filled(template, indices)
    if indices:
        np.add.at(y, place, g)
    else:
        y[place] = g
    return y


def _split(op: str, x: Tensor, index: Any) -> tuple[tuple[Any, ...], list[Tensor]]:
    """A user's index as a template and its index arrays, with negative numbers kept (NumPy's meaning) and everything checked."""
    items = list(index) if isinstance(index, tuple) else [index]
    template: list[Any] = []
    arrays: list[Tensor] = []
    axis = 0
    used = sum(_axes_used(item) for item in items)
    for item in items:
        if item is None:
            template.append(None)
        elif item is Ellipsis:
            template.append(Ellipsis)
            axis += x.ndim - used
        elif isinstance(item, slice):
            template.append(slice(*(None if v is None else _whole(op, v) for v in (item.start, item.stop, item.step))))
            if template[-1].step == 0:
                raise ArgumentTypeError("ops.index-type", item="slice step 0")
            axis += 1
        elif isinstance(item, bool | np.bool_):
            raise ArgumentTypeError("ops.index-type", item=repr(item))
        elif isinstance(item, int | np.integer):
            if axis >= x.ndim:
                raise IndexRangeError("ops.index-axes", count=used, shape=x.shape)
            _check_range(op, np.asarray(item), x, axis)
            template.append(int(item))
            axis += 1
        else:
            array = to_array(item) if not _is_empty_list(item) else np.zeros(0, np.int64)
            if array.dtype.kind == "b":
                if isinstance(item, Tensor):
                    item._read()
                if array.shape != x.shape[axis : axis + array.ndim]:
                    raise ShapeError("ops.mask", mask=array.shape, shape=x.shape[axis : axis + array.ndim])
                for found in np.nonzero(array):
                    template.append(ARRAY)
                    arrays.append(wrap(found))
                axis += array.ndim
                continue
            if array.dtype.kind not in "iu":
                raise DTypeError("ops.index-dtype", op=op, dtype=array.dtype)
            if axis >= x.ndim:
                raise IndexRangeError("ops.index-axes", count=used, shape=x.shape)
            _check_range(op, array, x, axis)
            template.append(ARRAY)
            arrays.append(item if isinstance(item, Tensor) else wrap(array))
            axis += 1
    if axis > x.ndim:
        raise IndexRangeError("ops.index-axes", count=used, shape=x.shape)
    return tuple(template), arrays


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, list | np.ndarray | Tensor):
        array = np.asarray(item.data if isinstance(item, Tensor) else item)
        return array.ndim if array.dtype.kind == "b" else 1
    return 1


def _is_empty_list(item: Any) -> bool:
    return isinstance(item, list | tuple) and not item


def _whole(op: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ArgumentTypeError("ops.index-type", item=repr(value))
    return int(value.__index__())


def _check_range(op: str, array: Array, x: Tensor, axis: int) -> None:
    length = x.shape[axis]
    if array.size and (array.min() < -length or array.max() >= length):
        wrong = array[(array < -length) | (array >= length)].flat[0]
        raise IndexRangeError("ops.index-range", op=op, index=int(wrong), axis=axis, length=length, shape=x.shape)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] with NumPy's meaning: slices, whole numbers, None, "...", index arrays, boolean masks, and all of them mixed.

    Raises
        IndexRangeError: an index lies outside its axis, or there are more indices than axes.
        ShapeError: a mask has another shape than what it selects from.
        DTypeError: an index array is of floats.
    """
    if type(index) is int and x.data.ndim and -x.data.shape[0] <= index < x.data.shape[0]:
        return apply(_index, [x], {"template": (index,)})
    template, arrays = _split("index", x, index)
    return apply(_index, [x, *arrays], {"template": template})


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place and with gradients for both; a leaf that asks for a gradient is refused.

    Raises
        GradientError: x is a leaf that asks for a gradient, and gradients are tracked.
        ShapeError: value does not broadcast to what is selected.
    """
    template, arrays = _split("index", x, index)
    value = as_tensor(value, x.dtype if not isinstance(value, Tensor) else None)
    before = x._before_change()
    shape = _read_spec(Spec(x.shape, x.dtype), *(Spec(a.shape, a.dtype) for a in arrays), template=template).shape
    try:
        np.broadcast_shapes(value.shape, shape)
        fits = len(value.shape) <= len(shape) or value.size == 1
    except ValueError:
        fits = False
    if not fits or np.broadcast_shapes(value.shape, shape) != shape:
        raise ShapeError("ops.setitem", value=value.shape, shape=shape)
    if not state.recorder and not (state.grad and (before.requires_grad or value.requires_grad)):
        x.data[_filled(template, tuple(a.data for a in arrays))] = value.data
        x._changed = x._made = _after()
        return
    x._become(apply(_put, [before, value, *arrays], {"template": template}))


def _after() -> int:
    from pellucid.core.tensor import _clock

    return _clock()


def _put_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], template: tuple[Any, ...]) -> Tensor | None:
    if i == 0:
        zero = Tensor(np.zeros((), g.dtype))
        return apply(_put, [g, zero, *xs[2:]], {"template": template})
    if i == 1:
        from pellucid.ops._families.elementwise import fit

        return fit(apply(_index, [g, *xs[2:]], {"template": template}), xs[1])
    return None


@movement(
    spec=lambda x, value, *indices, template: Spec(x.shape, x.dtype),
    vjp=_put_vjp,
    onnx=NONE("ScatterND"),
    formula="y = x, with y[template(i)] = value[i]",
    index=NONE("two inputs, placed by the template"),
    attrs=("template",),
)
def _put(x: Array, value: Array, *indices: Array, template: tuple[Any, ...]) -> Array:
    """A copy of the input with some elements replaced."""
    y = x.copy()
    y[_filled(template, indices)] = value
    return y


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
    from pellucid.ops.shape import flatten

    x, indices = as_tensor(x), _integers("take", indices)
    if axis is None:
        x, axis = flatten(x), 0
    (number,) = normalize_axes("take", axis, x.ndim)
    _check_range("take", indices.data, x, number)
    return apply(_index, [x, indices], {"template": (slice(None),) * number + (ARRAY,)})


def _along_spec(x: Spec, indices: Spec, *, axis: int) -> Spec:
    return Spec(indices.shape, x.dtype)


def _along(indices: Array, axis: int) -> tuple[Any, ...]:
    """The full index of take_along_axis: the given indices on one axis, every position on the others."""
    shape = indices.shape
    return tuple(indices if a == axis else _positions(a, n, len(shape)) for a, n in enumerate(shape))


@lru_cache(maxsize=256)
def _positions(axis: int, length: int, ndim: int) -> Array:
    return np.arange(length).reshape((1,) * axis + (length,) + (1,) * (ndim - axis - 1))


@movement(
    spec=_along_spec,
    vjp=lambda i, g, y, xs, axis: (
        apply(_place_along, [g, xs[1]], {"axis": axis, "shape": xs[0].data.shape}) if i == 0 else None
    ),
    onnx="GatherElements",
    formula="y[i, j] = x[i, indices[i, j]]",
    index=NONE("the map depends on the data"),
    attrs=("axis",),
)
def _take_along(x: Array, indices: Array, *, axis: int) -> Array:
    """One element for each index along an axis."""
    return x[_along(indices, axis)]


@movement(
    spec=lambda g, indices, *, axis, shape: Spec(tuple(shape), g.dtype),
    vjp=lambda i, g, y, xs, axis, shape: apply(_take_along, [g, xs[1]], {"axis": axis}) if i == 0 else None,
    onnx=NONE("ScatterElements with addition into zeros"),
    formula="y = 0, with y[i, indices[i, j]] += g[i, j]",
    index=NONE("several elements may land on one place"),
    attrs=("axis", "shape"),
    adds=True,
)
def _place_along(g: Array, indices: Array, *, axis: int, shape: Shape) -> Array:
    """Zeros of a shape with elements added at indices along an axis: the transpose of take_along."""
    y = np.zeros(shape, g.dtype)
    place = _along(indices, axis)
    if indices.shape[axis] == 1:  # one index a line: no two land on the same place
        y[place] = g
    else:
        np.add.at(y, place, g)
    return y


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """For each place of `indices`, the element of x at that index along `axis` and the same place on the other axes (torch's gather).

    Raises
        ShapeError: x and indices differ in their number of axes, or indices is longer on another axis.
        IndexRangeError: an index lies outside the axis.
    """
    x, indices = as_tensor(x), _integers("take_along_axis", indices)
    number = _check_along("take_along_axis", x, indices, axis)
    return apply(_take_along, [x, indices], {"axis": number})


gather = take_along_axis


def _check_along(op: str, x: Tensor, indices: Tensor, axis: int) -> int:
    if x.ndim != indices.ndim:
        raise ShapeError("ops.along-axes", op=op, x=x.shape, indices=indices.shape)
    (number,) = normalize_axes(op, axis, x.ndim)
    if any(b > a for i, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True)) if i != number):
        raise ShapeError("ops.along-axes", op=op, x=x.shape, indices=indices.shape)
    _check_range(op, indices.data, x, number)
    return number


@movement(
    spec=lambda x, indices, src, *, axis: Spec(x.shape, x.dtype),
    vjp=lambda i, g, y, xs, axis: g if i == 0 else apply(_take_along, [g, xs[1]], {"axis": axis}) if i == 2 else None,
    onnx=NONE("ScatterElements with addition"),
    formula="y = x, with y[i, indices[i, j]] += src[i, j]",
    index=NONE("several elements may land on one place"),
    attrs=("axis",),
    adds=True,
)
def _scatter_add(x: Array, indices: Array, src: Array, *, axis: int) -> Array:
    """The input with elements added at indices along an axis."""
    y = x.astype(src.dtype) if x.dtype.kind != "f" and src.dtype.kind == "f" else x.copy()
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
    x, indices = as_tensor(x), _integers("scatter_add", indices)
    src = as_tensor(src)
    if indices.shape != src.shape:
        raise ShapeError("ops.scatter", indices=indices.shape, src=src.shape)
    number = _check_along("scatter_add", x, indices, axis)
    return apply(_scatter_add, [x, indices, src], {"axis": number})


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
    if indices.size and (indices.data.min() < 0 or indices.data.max() >= num_classes):
        wrong = indices.data[(indices.data < 0) | (indices.data >= num_classes)].flat[0]
        raise IndexRangeError("ops.one-hot", index=int(wrong), num_classes=num_classes)
    from pellucid.ops.elementwise import equal
    from pellucid.ops.shape import cast, expand_dims

    hit = equal(expand_dims(indices, -1), Tensor(np.arange(num_classes)))
    return cast(hit, default_dtype() if dtype is None else dtype)
