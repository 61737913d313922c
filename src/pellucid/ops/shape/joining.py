"""Joining, splitting and repeating tensors along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, check
from pellucid.core.failure import room_for
from pellucid.core.op import NONE
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ArgumentTypeError, ShapeError
from pellucid.ops._families.elementwise import common_dtype
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.shape.layout import as_shape, broadcast_to, cast, expand_dims, flatten, reshape


def _concatenate_spec(*specs: Spec, axis: int) -> Spec:
    first = specs[0].shape
    for n, s in enumerate(specs):
        if len(s.shape) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(s.shape, first, strict=True)) if i != axis
        ):
            raise ShapeError("ops.concatenate", shapes=", ".join(str(s.shape) for s in specs), number=n, axis=axis)
    length = sum(s.shape[axis] for s in specs)
    return Spec((*first[:axis], length, *first[axis + 1 :]), common_dtype([(s.dtype, s.weak) for s in specs]))


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
    return apply(_concatenate, list(tensors), {"axis": one_axis("concatenate", axis, tensors[0].ndim)})


concat = concatenate


def stack(arrays: Sequence[Any], /, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    tensors = _several("stack", arrays)
    if len({t.shape for t in tensors}) != 1:
        raise ShapeError("ops.stack", shapes=", ".join(str(t.shape) for t in tensors))
    number = one_axis("stack", axis, tensors[0].ndim + 1)
    return concatenate([expand_dims(t, number) for t in tensors], axis=number)


def split(x: Any, /, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The tensor cut along an axis into equal parts (a number), or before the given indices.

    Raises
        ShapeError: the length is not a multiple of the number of parts.
    """
    x = as_tensor(x)
    number = one_axis("split", axis, x.ndim)
    length = x.shape[number]
    if isinstance(sections, int) or not isinstance(sections, Sequence | np.ndarray | Tensor):
        check("split: sections", sections, Integer(1))
        if length % sections:
            raise ShapeError("ops.split", shape=x.shape, axis=number, length=length, sections=sections)
        bounds = list(range(0, length + 1, length // sections)) if length else [0] * (sections + 1)
    else:
        bounds = [0, *as_shape("split", sections), length]
    return [x[(slice(None),) * number + (slice(a, b),)] for a, b in pairwise(bounds)]


def unstack(x: Any, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it."""
    x = as_tensor(x)
    number = one_axis("unstack", axis, x.ndim)
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
    """Each element repeated along an axis (None: of the flattened tensor), all equally often or each its own number of
    times."""
    from pellucid.ops.index import take

    x = as_tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    number = one_axis("repeat", axis, x.ndim)
    counts = as_shape("repeat", repeats)
    if any(n < 0 for n in counts):
        raise ShapeError("ops.negative", op="repeat", name="repeats", value=counts)
    if len(counts) not in (1, x.shape[number]):
        raise ShapeError("ops.repeat", repeats=len(counts), length=x.shape[number], axis=number)
    with room_for("repeat", counts):
        places = np.repeat(np.arange(x.shape[number]), counts)
    return take(x, places, axis=number)
