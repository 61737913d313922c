"""Indexing with gradients: slices, whole numbers, index arrays and boolean masks.

An index is written as a template: slices, numbers, None and "..." stay in it, and every index array becomes an input
of the operation, its place in the template marked by `ARRAY`. `index` reads by a template; `index_add` is its
transpose: it adds into zeros.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.check import shown
from pellucid.core.context import expect, state
from pellucid.core.in_place import become, before_change, is_view, write
from pellucid.core.op import NONE
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor, to_array, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, IndexRangeError, ShapeError
from pellucid.ops._families.elementwise import fit
from pellucid.ops._families.movement import movement

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
        picked: Array = probe[_filled(template, (np.zeros(0, np.int64),) * len(indices))]
        return picked.shape

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
    y: Array = x[_filled(template, indices)]
    return y


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
    adds=0,
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
    """A user's index as a template and its index arrays; negative numbers are kept, with NumPy's meaning. Everything
    is checked."""
    items = [_plain_item(op, item) for item in (index if isinstance(index, tuple) else (index,))]
    used = sum(0 if item is None or item is Ellipsis else item.ndim if _is_mask(item) else 1 for item in items)
    if used > x.ndim:
        raise IndexRangeError("ops.index-axes", count=used, shape=x.shape)
    if sum(item is Ellipsis for item in items) > 1:
        raise ArgumentTypeError("ops.index-type", item="..., ...")
    template: list[Any] = []
    arrays: list[Tensor] = []
    axis = 0
    for item in items:
        if item is None:
            template.append(None)
        elif item is Ellipsis:
            template.append(Ellipsis)
            axis += x.ndim - used
        elif isinstance(item, slice):
            template.append(item)
            axis += 1
        elif isinstance(item, int):
            _check_range(op, np.asarray(item), x.shape, axis)
            template.append(item)
            axis += 1
        elif _is_mask(item):
            item._read()
            covered = x.shape[axis : axis + item.ndim]
            if item.shape != covered:
                raise ShapeError("ops.mask", mask=item.shape, shape=covered)
            for found in np.nonzero(item.data):
                template.append(ARRAY)
                arrays.append(wrap(found))
            axis += item.ndim
        else:
            expect_range(op, item, x, axis)
            template.append(ARRAY)
            arrays.append(item)
            axis += 1
    if len(arrays) > 1:
        shapes = [a.shape for a in arrays]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            raise ShapeError("ops.index-broadcast", shapes=", ".join(map(str, shapes))) from None
    return tuple(template), arrays


def _plain_item(op: str, item: Any) -> Any:
    """One item of an index: None, "...", a slice of whole numbers, a whole number, or a Tensor of whole numbers or
    booleans.

    Raises
        ArgumentTypeError: it is something else.
        DTypeError: it is an array of floats.
    """
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, slice):
        whole = slice(*(None if v is None else _whole(v) for v in (item.start, item.stop, item.step)))
        if whole.step == 0:
            raise ArgumentTypeError("ops.index-type", item=shown(item))
        return whole
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return int(item)
    if isinstance(item, float | np.floating):
        raise DTypeError("ops.index-dtype", op=op, dtype=type(item).__name__)
    if not isinstance(item, Tensor | np.ndarray | list | tuple):
        raise ArgumentTypeError("ops.index-type", item=shown(item))
    array = (
        item if isinstance(item, Tensor) else wrap(np.zeros(0, np.int64) if _is_empty_list(item) else to_array(item))
    )
    if array.dtype.kind == "f":
        raise DTypeError("ops.index-dtype", op=op, dtype=array.dtype)
    if array.dtype.kind == "b" and array.ndim == 0:
        raise ArgumentTypeError("ops.index-type", item=shown(item))
    return array


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item.data.dtype.kind == "b"


def _is_empty_list(item: Any) -> bool:
    return isinstance(item, list | tuple) and not item


def _whole(value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError("ops.index-type", item=shown(value)) from None
    if isinstance(value, bool):
        raise ArgumentTypeError("ops.index-type", item=shown(value))
    return number


def expect_range(op: str, indices: Tensor, x: Tensor, axis: int) -> None:
    """Raise unless all indices lie on an axis of x.

    Raises
        IndexRangeError: one does not.
    """
    shape = x.shape
    expect(indices, lambda array: _check_range(op, array, shape, axis))


def _check_range(op: str, array: Array, shape: Shape, axis: int) -> None:
    length = shape[axis]
    if array.size and (array.min() < -length or array.max() >= length):
        wrong = array[(array < -length) | (array >= length)].flat[0]
        if not length:
            raise IndexRangeError("ops.index-empty", op=op, index=int(wrong), axis=axis, shape=shape)
        raise IndexRangeError(
            "ops.index-range", op=op, index=int(wrong), axis=axis, shape=shape, first=-length, last=length - 1
        )


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] with NumPy's meaning: slices, whole numbers, None, "...", index arrays, boolean masks, and all of them
    together.

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
    """x[index] = value, in place and with gradients for both.

    Where no gradient is involved the memory itself is written, as in NumPy: tensors that look at the same memory see
    the change. With gradients x gets new values and a history; then it must not be a view, since what it is a view of
    would not change.

    Raises
        GradientError: x is a leaf that asks for a gradient, or a view, and gradients are tracked.
        ShapeError: value does not broadcast to what is selected.
        DTypeError: floats into whole numbers, or numbers into booleans.
    """
    template, arrays = _split("index", x, index)
    value = as_tensor(value)
    check_keeps_kind("index", value.dtype, x.dtype)
    before = before_change(x)
    shape = _read_spec(Spec(x.shape, x.dtype), *(Spec(a.shape, a.dtype) for a in arrays), template=template).shape
    try:
        fits = np.broadcast_shapes(value.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError("ops.setitem", value=value.shape, shape=shape)
    if value.dtype.kind in "iu" and x.dtype.kind in "iu" and value.size:
        limits = np.iinfo(x.dtype)
        for number in (int(value.data.min()), int(value.data.max())):
            if not limits.min <= number <= limits.max:
                raise ArgumentError("core.number-range", op="index", number=number, inputs=str(Spec(x.shape, x.dtype)))
    if not state.recorder and not (state.grad and (before.requires_grad or value.requires_grad)):
        write(x, _filled(template, tuple(a.data for a in arrays)), value.data)
        return
    if is_view(x):
        raise GradientError("core.in-place-view", shape=x.shape)
    become(x, apply(_put, [before, value, *arrays], {"template": template}), before)


def check_keeps_kind(op: str, given: DType, wanted: DType) -> None:
    """Raise if values of one dtype cannot be put into another without becoming something else.

    Raises
        DTypeError: floats into whole numbers, or numbers into booleans.
    """
    if "buif".index(given.kind.replace("u", "i")) > "buif".index(wanted.kind.replace("u", "i")):
        raise DTypeError("ops.in-place-dtype", op=op, given=given, dtype=wanted)


def _put_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], template: tuple[Any, ...]) -> Tensor | None:
    if i == 0:
        zero = wrap(np.zeros((), g.dtype))
        return apply(_put, [g, zero, *xs[2:]], {"template": template})
    if i == 1:
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
