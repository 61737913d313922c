"""Movements: reshaping, broadcasting, joining, splitting, padding and mirroring. Nothing is computed; views are returned where NumPy
gives them. `cast` is here too: it moves values to another dtype.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array, Axis, Shape
from pellucid.core.check import Integer, Options, check
from pellucid.core.op import NONE, REGISTRY
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ArgumentTypeError, DTypeError, ShapeError
from pellucid.ops._families.elementwise import broadcast_shapes, common_dtype
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import normalize_axes


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
    try:
        name = np.dtype(dtype).name
    except TypeError:
        raise DTypeError("core.unknown-dtype", dtype=repr(dtype)) from None
    if np.dtype(name).kind not in "fiub":
        raise DTypeError("core.not-numeric", dtype=name)
    x = as_tensor(x)
    return x if x.dtype == name else apply(_cast, [x], {"dtype": name})


astype = cast


# Shape


def _reshape_spec(x: Spec, *, shape: Shape) -> Spec:
    if math.prod(shape) != x.size:
        raise ShapeError("ops.reshape", given=x.shape, shape=shape, size=x.size, other=math.prod(shape))
    return Spec(tuple(shape), x.dtype)


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
    vjp=lambda i, g, y, xs, shape: apply(_reshape, [g], {"shape": xs[0].data.shape}),
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
    items = shape if isinstance(shape, list | tuple) else (shape,)
    if any(isinstance(n, bool) or not hasattr(n, "__index__") for n in items):
        raise ArgumentTypeError("ops.shape-type", op=op, shape=repr(shape))
    return tuple(int(n.__index__()) for n in items)


def reshape(x: Any, /, shape: int | Sequence[int], *more: int) -> Tensor:
    """The same elements in row-major order under another shape; one length may be -1 and is worked out.

    Raises
        ShapeError: the sizes differ, or -1 stands twice.
    """
    x = as_tensor(x)
    wanted = as_shape("reshape", (shape, *more) if more else shape)
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        if wanted.count(-1) > 1 or known == 0 or x.size % known:
            raise ShapeError("ops.reshape-unknown", given=x.shape, shape=wanted, size=x.size)
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if any(n < 0 for n in wanted):
        raise ShapeError("ops.reshape-unknown", given=x.shape, shape=wanted, size=x.size)
    return apply(_reshape, [x], {"shape": wanted})


def flatten(x: Any, /, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Join the axes from start_axis to end_axis, both included, into one."""
    x = as_tensor(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    (start,), (end,) = (normalize_axes("flatten", a, x.ndim) for a in (start_axis, end_axis))
    if start > end:
        raise ShapeError("ops.flatten", start=start_axis, end=end_axis, shape=x.shape)
    joined = math.prod(x.shape[start : end + 1])
    return reshape(x, (*x.shape[:start], joined, *x.shape[end + 1 :]))


def _transpose_spec(x: Spec, *, axes: tuple[int, ...]) -> Spec:
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


@movement(
    spec=_transpose_spec,
    vjp=lambda i, g, y, xs, axes: apply(
        _transpose, [g], {"axes": tuple(sorted(range(len(axes)), key=axes.__getitem__))}
    ),
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
    if len(axes) != x.ndim:
        raise ShapeError("ops.permute", axes=tuple(axes), shape=x.shape, ndim=x.ndim)
    order = tuple(normalize_axes("permute", a, x.ndim)[0] for a in axes)
    if len(set(order)) != len(order):
        raise ShapeError("ops.permute", axes=tuple(axes), shape=x.shape, ndim=x.ndim)
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
    (a,), (b,) = (normalize_axes("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return apply(_transpose, [x], {"axes": tuple(order)})


def moveaxis(x: Any, /, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes taken from `source` and put at `destination`, the others keeping their order."""
    x = as_tensor(x)
    sources = [normalize_axes("moveaxis", a, x.ndim)[0] for a in as_shape("moveaxis", source)]
    targets = [normalize_axes("moveaxis", a, x.ndim)[0] for a in as_shape("moveaxis", destination)]
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
    if lead < 0 or any(n not in (1, shape[lead + i]) for i, n in enumerate(x.shape)):
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
    shape = broadcast_shapes("broadcast_arrays", [f"{i}:" for i in range(len(tensors))], [t.shape for t in tensors])
    return [broadcast_to(t, shape) for t in tensors]


# Joining and splitting


def _concatenate_spec(*specs: Spec, axis: int) -> Spec:
    first = specs[0].shape
    for n, s in enumerate(specs):
        if len(s.shape) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(s.shape, first, strict=True)) if i != axis
        ):
            raise ShapeError("ops.concatenate", shapes=", ".join(str(s.shape) for s in specs), number=n, axis=axis)
    length = sum(s.shape[axis] for s in specs)
    return Spec(first[:axis] + (length,) + first[axis + 1 :], common_dtype([(s.dtype, s.weak) for s in specs]))


def _concatenate_vjp(i: int, g: Tensor, y: Tensor, xs: list[Tensor], axis: int) -> Tensor:
    start = sum(x.shape[axis] for x in xs[:i])
    part = g[(slice(None),) * axis + (slice(start, start + xs[i].shape[axis]),)]
    return cast(part, xs[i].dtype)


@movement(
    spec=_concatenate_spec,
    vjp=_concatenate_vjp,
    onnx="Concat",
    formula="y = x_1, x_2, ... one after the other along the axis",
    index=NONE(
        "several inputs: input n stands where the axis index lies between the sums of the lengths before and after it"
    ),
    attrs=("axis",),
)
def _concatenate(*arrays: Array, axis: int) -> Array:
    """Tensors one after the other along an axis."""
    dtype = common_dtype([(a.dtype, False) for a in arrays])
    return np.concatenate(arrays, axis, dtype=dtype)


def _several(op: str, arrays: Any) -> list[Tensor]:
    if isinstance(arrays, Tensor) or not isinstance(arrays, list | tuple):
        raise ArgumentTypeError("ops.sequence", op=op, type=type(arrays).__name__)
    if not arrays:
        raise ShapeError("ops.nothing", op=op)
    return [as_tensor(a) for a in arrays]


def concatenate(arrays: Sequence[Any], /, axis: int | None = 0) -> Tensor:
    """Tensors one after the other along an axis; None flattens them first.

    Raises
        ShapeError: lengths differ along another axis, or there is no tensor.
    """
    tensors = _several("concatenate", arrays)
    if axis is None:
        tensors, axis = [flatten(t) for t in tensors], 0
    return apply(_concatenate, list(tensors), {"axis": normalize_axes("concatenate", axis, tensors[0].ndim)[0]})


concat = concatenate


def stack(arrays: Sequence[Any], /, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    tensors = _several("stack", arrays)
    if len({t.shape for t in tensors}) != 1:
        raise ShapeError("ops.stack", shapes=", ".join(str(t.shape) for t in tensors))
    (number,) = normalize_axes("stack", axis, tensors[0].ndim + 1)
    return concatenate([expand_dims(t, number) for t in tensors], axis=number)


def split(x: Any, /, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The tensor cut along an axis into equal parts (a number), or before the given indices.

    Raises
        ShapeError: the length is not a multiple of the number of parts.
    """
    x = as_tensor(x)
    (number,) = normalize_axes("split", axis, x.ndim)
    length = x.shape[number]
    if isinstance(sections, int):
        check("sections", sections, Integer(1))
        if length % sections:
            raise ShapeError("ops.split", shape=x.shape, axis=number, length=length, sections=sections)
        bounds = list(range(0, length + 1, length // sections)) if length else [0] * (sections + 1)
    else:
        bounds = [0, *as_shape("split", tuple(sections)), length]
    return [x[(slice(None),) * number + (slice(a, b),)] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


def unstack(x: Any, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it."""
    x = as_tensor(x)
    (number,) = normalize_axes("unstack", axis, x.ndim)
    return tuple(x[(slice(None),) * number + (i,)] for i in range(x.shape[number]))


def tile(x: Any, /, repetitions: int | Sequence[int]) -> Tensor:
    """The whole tensor repeated along each axis."""
    x = as_tensor(x)
    counts = as_shape("tile", repetitions)
    if any(n < 0 for n in counts):
        raise ShapeError("ops.negative", op="tile", name="repetitions", value=counts)
    ndim = max(x.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.ndim) + x.shape
    spread = [n for pair in zip(counts, shape, strict=True) for n in pair]
    y = reshape(x, [n for length in shape for n in (1, length)])
    return reshape(broadcast_to(y, spread), [a * b for a, b in zip(counts, shape, strict=True)])


def repeat(x: Any, /, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element repeated along an axis (None: of the flattened tensor), all equally often or each its own number of times."""
    from pellucid.ops.index import take

    x = as_tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    (number,) = normalize_axes("repeat", axis, x.ndim)
    counts = as_shape("repeat", tuple(repeats) if isinstance(repeats, np.ndarray) else repeats)
    if any(n < 0 for n in counts):
        raise ShapeError("ops.negative", op="repeat", name="repeats", value=counts)
    if len(counts) not in (1, x.shape[number]):
        raise ShapeError("ops.repeat", repeats=len(counts), length=x.shape[number], axis=number)
    return take(x, np.repeat(np.arange(x.shape[number]), counts if len(counts) > 1 else counts[0]), axis=number)


# Padding and mirroring


def _pad_spec(x: Spec, *, widths: tuple[tuple[int, int], ...], value: float) -> Spec:
    return Spec(tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)), x.dtype)


def _pad_vjp(i: int, g: Tensor, y: Tensor, xs: list[Tensor], widths: Any, value: float) -> Tensor:
    return g[tuple(slice(a, a + n) for n, (a, _) in zip(xs[0].shape, widths, strict=True))]


@movement(
    spec=_pad_spec,
    vjp=_pad_vjp,
    onnx="Pad",
    formula="y[i] = x[i - before] inside, value outside",
    index=NONE("outside the input stands a constant"),
    attrs=("widths", "value"),
)
def _pad(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    """A border of a constant around the input."""
    y = np.full([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)], value, x.dtype)
    y[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return y


def pad(x: Any, /, widths: Any, mode: str = "constant", value: float = 0) -> Tensor:
    """A border around the tensor.

    Parameters
        widths : a number for all sides, a pair (before, after) for all axes, or a pair for each axis.
        mode : "constant" (of `value`), "reflect" (mirrored without the edge), "edge" (the edge repeated) or "wrap" (from the other side).
    Raises
        ShapeError: the widths do not fit the axes, are negative, or "reflect" and "wrap" ask for more than there is.
    """
    from pellucid.ops.index import take

    x = as_tensor(x)
    check("mode", mode, Options("constant", "reflect", "edge", "wrap"))
    try:
        pairs = np.broadcast_to(np.asarray(widths), (x.ndim, 2))
    except ValueError:
        raise ShapeError("ops.pad-widths", widths=repr(widths), ndim=x.ndim) from None
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ShapeError("ops.pad-widths", widths=repr(widths), ndim=x.ndim)
    sides = tuple((int(a), int(b)) for a, b in pairs)
    if mode == "constant":
        return apply(_pad, [x], {"widths": sides, "value": value})
    for axis, (before, after) in enumerate(sides):
        n = x.shape[axis]
        limit = {"reflect": n - 1, "wrap": n, "edge": max(before, after) if n else -1}[mode]
        if max(before, after) > limit:
            raise ShapeError(
                "ops.pad-mode", mode=mode, axis=axis, length=n, width=max(before, after), limit=max(limit, 0)
            )
        if before or after:
            x = take(x, np.pad(np.arange(n), (before, after), mode=mode), axis=axis)  # type: ignore[call-overload]
    return x


def _flip_index(i: tuple[Any, ...], specs: list[Spec], axis: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(specs[0].shape[n] - 1 - j if n in axis else j for n, j in enumerate(i))


@movement(
    spec=lambda x, *, axis: Spec(x.shape, x.dtype),
    vjp=lambda i, g, y, xs, axis: apply(_flip, [g], {"axis": axis}),
    onnx=NONE("Slice with step -1"),
    formula="y[i] = x[n - 1 - i]",
    index=_flip_index,
    attrs=("axis",),
)
def _flip(x: Array, *, axis: tuple[int, ...]) -> Array:
    """The order along axes reversed."""
    return np.flip(x, axis)


def flip(x: Any, /, axis: Axis = None) -> Tensor:
    """The order along axes reversed; None is all of them."""
    x = as_tensor(x)
    return apply(_flip, [x], {"axis": normalize_axes("flip", axis, x.ndim)})


def roll(x: Any, /, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """Elements moved along axes, those beyond the end coming in at the front; None rolls the flattened tensor."""
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(flatten(x), shift, 0), x.shape)
    axes, shifts = as_shape("roll", axis), as_shape("roll", shift)
    if len(axes) != len(shifts):
        shifts = shifts * len(axes) if len(shifts) == 1 else shifts
        axes = axes * len(shifts) if len(axes) == 1 else axes
        if len(axes) != len(shifts):
            raise ShapeError("ops.roll", shift=shifts, axis=axes)
    for a, s in zip(axes, shifts, strict=True):
        (number,) = normalize_axes("roll", a, x.ndim)
        n = x.shape[number]
        if n and s % n:
            lead = (slice(None),) * number
            x = concatenate([x[(*lead, slice(n - s % n, None))], x[(*lead, slice(None, n - s % n))]], axis=number)
    return x
