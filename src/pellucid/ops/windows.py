"""Sliding windows over the last axes: taken out as new axes, added back where they overlap, and summed. A tensor and
window sizes come in; convolution, pooling, unfold and fold call it. Borders are put on by `pad` before.

    start of window o along an axis: o·stride; its element j lies at o·stride + j·dilation
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ShapeError
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import summed_dtype


def count_windows(
    length: int, size: int, stride: int = 1, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """How many windows an axis has, 0 if not even one fits.

    With ceil_mode a last window may end beyond the border, but each begins inside the input or the border before it.
    """
    room = length + 2 * padding - dilation * (size - 1) - 1
    if room < 0 and not (ceil_mode and room + stride - 1 >= 0):
        return 0
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1
    return max(count, 0)


def window_counts(op: str, lengths: Shape, size: Shape, stride: Shape, dilation: Shape) -> Shape:
    """How many windows the axes have.

    Raises
        ShapeError: a window is longer than its axis, or there are fewer axes than sizes.
    """
    if len(lengths) != len(size):
        raise ShapeError("pool.window-axes", op=op, count=len(size), ndim=len(lengths))
    counts = tuple(count_windows(n, k, s, 0, d) for n, k, s, d in zip(lengths, size, stride, dilation, strict=True))
    if 0 in counts:
        extent = tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
        raise ShapeError("pool.window-fits", op=op, lengths=lengths, extent=extent)
    return counts


def window_elements(counts: Shape, size: Shape, stride: Shape, dilation: Shape) -> Iterator[tuple[Shape, Any]]:
    """For each place in a window, in row-major order: the place, and the slices that read it of every window."""
    for place in itertools.product(*map(range, size)):
        yield (
            place,
            tuple(
                slice(j * d, j * d + (n - 1) * s + 1, s)
                for j, n, s, d in zip(place, counts, stride, dilation, strict=True)
            ),
        )


# Windows as new axes


def _axes_of(x: Spec, count: int) -> tuple[Shape, Shape]:
    """A shape in two: the axes in front, and the last ones."""
    return x.shape[: max(x.ndim - count, 0)], x.shape[max(x.ndim - count, 0) :]


def _windows_spec(x: Spec, *, size: Shape, stride: Shape, dilation: Shape) -> Spec:
    lead, lengths = _axes_of(x, len(size))
    return Spec((*lead, *window_counts("windows", lengths, size, stride, dilation), *size), x.dtype)


def _windows_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], size: Shape, stride: Shape, dilation: Shape) -> Tensor:
    return apply(_overlap_add, [g], {"lengths": xs[0].data.shape[-len(size) :], "stride": stride, "dilation": dilation})


def _windows_index(i: tuple[Any, ...], specs: list[Spec], size: Shape, stride: Shape, dilation: Shape) -> Any:
    k = len(size)
    lead, starts, inside = i[: len(i) - 2 * k], i[len(i) - 2 * k : len(i) - k], i[len(i) - k :]
    return (*lead, *(o * s + j * d for o, s, j, d in zip(starts, stride, inside, dilation, strict=True)))


@movement(
    spec=_windows_spec,
    vjp=_windows_vjp,
    onnx=NONE("Gather of the places of each window"),
    formula="y[.., o, j] = x[.., o·stride + j·dilation]",
    index=_windows_index,
    attrs=("size", "stride", "dilation"),
)
def _windows(x: Array, *, size: Shape, stride: Shape, dilation: Shape) -> Array:
    """The windows that slide over the last axes, as new last axes; a view."""
    shape = _windows_spec(Spec(x.shape, x.dtype), size=size, stride=stride, dilation=dilation).shape
    k = len(size)
    steps = x.strides[x.ndim - k :]
    strides = (
        *x.strides[: x.ndim - k],
        *(n * s for n, s in zip(steps, stride, strict=True)),
        *(n * d for n, d in zip(steps, dilation, strict=True)),
    )
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def windows(x: Any, /, size: Shape, stride: Shape | None = None, dilation: Shape | None = None) -> Tensor:
    """The windows that slide over the last axes, as new last axes.

        y[.., o, j] = x[.., o·stride + j·dilation]

    Parameters
        x : Tensor, shape (..., L1, ..., Lk).
        size, stride, dilation : k whole numbers each, one for each of the last k axes; None is 1 for every axis.
    Returns
        Tensor, shape (..., O1, ..., Ok, size1, ..., sizek) with O = (L - dilation·(size - 1) - 1) // stride + 1
    Raises
        ShapeError: a window is longer than its axis.
    """
    ones = (1,) * len(size)
    attrs = {"size": tuple(size), "stride": tuple(stride or ones), "dilation": tuple(dilation or ones)}
    return apply(_windows, [as_tensor(x)], attrs)


# Added where they overlap


def _overlap_add_spec(g: Spec, *, lengths: Shape, stride: Shape, dilation: Shape) -> Spec:
    k = len(lengths)
    if g.ndim < 2 * k:
        raise ShapeError("pool.window-axes", op="overlap_add", count=2 * k, ndim=g.ndim)
    lead, counts, size = g.shape[: g.ndim - 2 * k], g.shape[g.ndim - 2 * k : g.ndim - k], g.shape[g.ndim - k :]
    wanted = window_counts("overlap_add", lengths, size, stride, dilation)
    if counts != wanted:
        raise ShapeError(
            "pool.overlap-add", op="overlap_add", shape=g.shape, lengths=lengths, counts=counts, wanted=wanted
        )
    return Spec((*lead, *lengths), g.dtype)


def _overlap_add_vjp(
    i: int, g: Tensor, y: Tensor, xs: list[Any], lengths: Shape, stride: Shape, dilation: Shape
) -> Tensor:
    k = len(lengths)
    return apply(_windows, [g], {"size": xs[0].data.shape[-k:] if k else (), "stride": stride, "dilation": dilation})


@movement(
    spec=_overlap_add_spec,
    vjp=_overlap_add_vjp,
    onnx="Col2Im",
    formula="y = 0, with y[.., o·stride + j·dilation] += g[.., o, j]",
    index=NONE("several elements may land on one place"),
    attrs=("lengths", "stride", "dilation"),
    adds=0,
)
def _overlap_add(g: Array, *, lengths: Shape, stride: Shape, dilation: Shape) -> Array:
    """Windows added where they lie on the last axes: the transpose of windows."""
    y = np.zeros(
        _overlap_add_spec(Spec(g.shape, g.dtype), lengths=lengths, stride=stride, dilation=dilation)[0], g.dtype
    )
    k = len(lengths)
    counts, size = g.shape[g.ndim - 2 * k : g.ndim - k], g.shape[g.ndim - k :]
    for place, slices in window_elements(counts, size, stride, dilation):
        part: Any = (..., *place)
        y[(..., *slices)] += g[part]
    return y


def overlap_add(g: Any, /, lengths: Shape, stride: Shape | None = None, dilation: Shape | None = None) -> Tensor:
    """Windows added where they lie on the last axes: the transpose of `windows`.

        y = 0, with y[.., o·stride + j·dilation] += g[.., o, j]

    Parameters
        g : Tensor, shape (..., O1, ..., Ok, size1, ..., sizek).
        lengths : the k lengths L of the result's last axes.
        stride, dilation : k whole numbers each; None is 1 for every axis.
    Returns
        Tensor, shape (..., L1, ..., Lk)
    Raises
        ShapeError: the axes of `lengths` have not as many windows as g.
    """
    ones = (1,) * len(lengths)
    attrs = {"lengths": tuple(lengths), "stride": tuple(stride or ones), "dilation": tuple(dilation or ones)}
    return apply(_overlap_add, [as_tensor(g)], attrs)


# Summed, and spread


def _sum_windows_spec(x: Spec, *, size: Shape, stride: Shape) -> Spec:
    lead, lengths = _axes_of(x, len(size))
    counts = window_counts("sum_windows", lengths, size, stride, (1,) * len(size))
    return Spec((*lead, *counts), summed_dtype(x.dtype))


def _sum_windows(x: Array, *, size: Shape, stride: Shape) -> Array:
    """Axis by axis: each sum takes as many additions as the window is long, each of them over whole arrays."""
    spec = _sum_windows_spec(Spec(x.shape, x.dtype), size=size, stride=stride)
    y: Array = x
    for axis, (length, step) in enumerate(zip(size, stride, strict=True), x.ndim - len(size)):
        if length == 1 and step == 1:
            continue
        last = (spec.shape[axis] - 1) * step + 1
        parts = [y[(slice(None),) * axis + (slice(j, j + last, step),)] for j in range(length)]
        y = parts[0].astype(spec.dtype, order="C")
        for part in parts[1:]:
            y += part
    return y.astype(spec.dtype, copy=y is x)


def _sum_windows_cost(specs: list[Spec], out: Spec, attrs: dict[str, Any]) -> Cost:
    additions, shape = 0, list(specs[0].shape)
    for axis, length in enumerate(attrs["size"], len(shape) - len(attrs["size"])):
        shape[axis] = out.shape[axis]
        additions += Spec(tuple(shape), out.dtype).size * (length - 1)
    return Cost(flops=additions)


_SUM_WINDOWS = register(
    Op(
        name="sum_windows",
        family="pooling",
        value=lambda x, **attrs: _sum_windows(np.asarray(x), **attrs),
        spec=_sum_windows_spec,
        vjp=lambda i, g, y, xs, attrs: spread_windows(
            g, xs[0].data.shape[xs[0].data.ndim - len(attrs["size"]) :], **attrs
        ),
        cost=_sum_windows_cost,
        formula=lambda specs=None, attrs=None: "y[.., o] = Σ_j x[.., o·stride + j]",
        kernel=("add", 0),
        onnx=NONE("AveragePool times the size of the window"),
        attrs={"size": None, "stride": None},
        doc="The sum of each window that slides over the last axes.",
    )
)


def sum_windows(x: Any, /, size: Shape, stride: Shape | None = None) -> Tensor:
    """The sum of each window that slides over the last axes.

        y[.., o] = Σ_j x[.., o·stride + j]

    Parameters
        x : Tensor, shape (..., L1, ..., Lk).
        size, stride : k whole numbers each; stride None is 1 for every axis.
    Returns
        Tensor, shape (..., O1, ..., Ok) with O = (L - size) // stride + 1
    Raises
        ShapeError: a window is longer than its axis.
    """
    attrs = {"size": tuple(size), "stride": tuple(stride or (1,) * len(size))}
    return apply(_SUM_WINDOWS, [as_tensor(x)], attrs)


def _spread_windows_spec(g: Spec, *, lengths: Shape, size: Shape, stride: Shape) -> Spec:
    lead, counts = _axes_of(g, len(size))
    wanted = window_counts("spread_windows", tuple(lengths), size, stride, (1,) * len(size))
    if counts != wanted:
        raise ShapeError(
            "pool.overlap-add", op="spread_windows", shape=g.shape, lengths=lengths, counts=counts, wanted=wanted
        )
    return Spec((*lead, *lengths), g.dtype)


def _spread_windows(g: Array, *, lengths: Shape, size: Shape, stride: Shape) -> Array:
    """Axis by axis, as the sums; windows that do not overlap are written and not added."""
    _spread_windows_spec(Spec(g.shape, g.dtype), lengths=lengths, size=size, stride=stride)
    y: Array = g
    for axis, (n, length, step) in enumerate(zip(lengths, size, stride, strict=True), g.ndim - len(size)):
        if length == 1 and step == 1:
            continue
        shape, lead, last = list(y.shape), (slice(None),) * axis, (y.shape[axis] - 1) * step + 1
        shape[axis] = n
        wide = np.empty(shape, y.dtype) if length == step and last + length - 1 == n else np.zeros(shape, y.dtype)
        for j in range(length):
            part = wide[(*lead, slice(j, j + last, step))]
            if length <= step:
                part[...] = y
            else:
                part += y
        y = wide
    return y.copy() if y is g else y


def _spread_windows_cost(specs: list[Spec], out: Spec, attrs: dict[str, Any]) -> Cost:
    additions, shape = 0, list(specs[0].shape)
    for axis, (length, step) in enumerate(
        zip(attrs["size"], attrs["stride"], strict=True), len(shape) - len(attrs["size"])
    ):
        additions += Spec(tuple(shape), out.dtype).size * length if length > step else 0
        shape[axis] = out.shape[axis]
    return Cost(flops=additions)


_SPREAD_WINDOWS = register(
    Op(
        name="spread_windows",
        family="pooling",
        value=lambda g, **attrs: _spread_windows(np.asarray(g), **attrs),
        spec=_spread_windows_spec,
        vjp=lambda i, g, y, xs, attrs: sum_windows(g, attrs["size"], attrs["stride"]),
        cost=_spread_windows_cost,
        formula=lambda specs=None, attrs=None: "y = 0, with y[.., o·stride + j] += g[.., o]",
        kernel=NONE("several elements may land on one place"),
        onnx=NONE("Col2Im of the expanded input"),
        attrs={"lengths": None, "size": None, "stride": None},
        doc="Each element added to all places of its window: the transpose of sum_windows.",
    )
)


def spread_windows(g: Any, /, lengths: Shape, size: Shape, stride: Shape) -> Tensor:
    """Each element added to all places of its window: the transpose of `sum_windows`. With a stride of the size it
    repeats each element.

        y = 0, with y[.., o·stride + j] += g[.., o]

    Parameters
        g : Tensor, shape (..., O1, ..., Ok).
        lengths : the k lengths L of the result's last axes.
        size, stride : k whole numbers each.
    Returns
        Tensor, shape (..., L1, ..., Lk)
    Raises
        ShapeError: the axes of `lengths` have not as many windows as g.
    """
    attrs = {"lengths": tuple(lengths), "size": tuple(size), "stride": tuple(stride)}
    return apply(_SPREAD_WINDOWS, [as_tensor(g)], attrs)
