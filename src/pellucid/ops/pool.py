"""Max pooling: the largest element of each window, and its flat place in its plane, by which gradients go back. A
tensor and window sizes come in; `nn.functional` calls them.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor, wrap
from pellucid.errors import ShapeError
from pellucid.ops.index.along import _place_along, _take_along
from pellucid.ops.index.template import ARRAY, _put
from pellucid.ops.reduce import cumulative_sum
from pellucid.ops.shape import cast, reshape
from pellucid.ops.windows import count_windows

_NAME = "max_pool_positions"

# Windows that are gone through together.
_AT_A_TIME = 2**15


class _Geometry(NamedTuple):
    """What follows from lengths and sizes alone.

    counts : how many windows each axis has.
    elements : for each place in a window, in row-major order: the slices of the windows that have an element of the
        input there, and the slices of those elements.
    start : number of the first place of each window that lies in the input.
    offset : from the number of a place to its distance in the plane from the window's corner.
    corner : the corner of each window in the plane, below 0 where it lies in the border.
    """

    counts: Shape
    elements: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]
    start: Array
    offset: Array
    corner: Array


def _inside(length: int, count: int, stride: int, place: int) -> tuple[int, int]:
    """The first window and the number of windows whose element, which lies at `place` in window 0, is in the input."""
    first = max(0, -(place // stride))
    last = min(count - 1, (length - 1 - place) // stride)
    return first, max(last - first + 1, 0)


@lru_cache(maxsize=128)
def _geometry(
    lengths: Shape, size: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool
) -> _Geometry:
    k = len(size)
    axes = list(zip(lengths, size, stride, padding, dilation, strict=True))
    counts, places = [], math.prod(size)
    dtype: Any = np.uint8 if places <= 2**8 else np.uint16 if places <= 2**16 else np.int64
    start, offset, corner = np.zeros((1,) * k, np.int64), np.zeros((1,) * k, np.int64), np.zeros((1,) * k, np.int64)
    for axis, (n, j, s, p, d) in enumerate(axes):
        count = count_windows(n, j, s, p, d, ceil_mode)
        if count < 1:
            extent = d * (j - 1) + 1
            raise ShapeError("pool.none-fits", op="max_pool", length=n, axis=axis - k, padding=p, extent=extent)
        corners = np.arange(count) * s - p
        first = -(np.minimum(corners, 0) // d)
        if (first >= j).any() or (corners + first * d >= n).any():
            raise ShapeError("pool.only-border", op="max_pool", length=n, axis=axis - k, padding=p, size=j, dilation=d)
        counts.append(count)
        along = (-1,) + (1,) * (k - 1 - axis)
        start = start * j + first.reshape(along)
        offset = offset * n + (np.arange(j) * d).reshape(along)
        corner = corner * n + corners.reshape(along)
    elements = []
    for numbers in itertools.product(*map(range, size)):
        of_windows, of_elements = [], []
        for number, count, (n, _, s, p, d) in zip(numbers, counts, axes, strict=True):
            first_window, many = _inside(n, count, s, number * d - p)
            begin = first_window * s + number * d - p
            of_windows.append(slice(first_window, first_window + many))
            of_elements.append(slice(begin, begin + (many - 1) * s + 1, s) if many else slice(0, 0))
        elements.append(((..., *of_windows), (..., *of_elements)))
    for array in (start := start.astype(dtype), offset := offset.reshape(-1), corner):
        array.flags.writeable = False
    return _Geometry(tuple(counts), tuple(elements), start, offset, corner)


def _of(x: Spec, attrs: dict[str, Any]) -> _Geometry:
    k = len(attrs["size"])
    if x.ndim < k:
        raise ShapeError("pool.window-axes", op=_NAME, count=k, ndim=x.ndim)
    return _geometry(x.shape[x.ndim - k :], **attrs)


def _spec(x: Spec, **attrs: Any) -> Spec:
    counts = _of(x, attrs).counts
    return Spec((*x.shape[: x.ndim - len(counts)], *counts), np.dtype(np.int64))


def _lowest(dtype: DType) -> Any:
    if dtype.kind == "f":
        return -math.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def _value(x: Any, **attrs: Any) -> Array:
    """One pass over the places of a window, each for all windows at once: as arithmetic on whole arrays this is many
    times faster than argmax over windows that were taken out. A few planes at a time stay in the cache."""
    x = np.asarray(x)
    geometry = _of(Spec(x.shape, x.dtype), attrs)
    split = x.ndim - len(geometry.counts)
    planes = x.reshape(math.prod(x.shape[:split]), *x.shape[split:])
    y = np.empty((len(planes), *geometry.counts), np.int64)
    many = max(_AT_A_TIME // math.prod(geometry.counts), 1)
    for first in range(0, len(planes), many):
        some, to = planes[first : first + many], y[first : first + many]
        place = _largest(some, geometry, nan=False)
        if place is None:
            place = _largest(some, geometry, nan=True)
        np.take(geometry.offset, place, out=to, mode="clip")
        to += geometry.corner
    return y.reshape(*x.shape[:split], *geometry.counts)


def _largest(x: Array, geometry: _Geometry, nan: bool) -> Any:
    """The number of the place of each window's largest element; None if there are NaN and nobody asked for them."""
    shape = (*x.shape[: x.ndim - len(geometry.counts)], *geometry.counts)
    best = np.full(shape, _lowest(x.dtype), x.dtype)
    place = np.broadcast_to(geometry.start, shape).copy()
    larger, here = np.empty(shape, np.bool_), np.empty(shape, place.dtype)
    for number, (of_windows, of_elements) in enumerate(geometry.elements):
        element, top = x[of_elements], best[of_windows]
        mask = np.greater(element, top, out=larger[of_windows])
        if nan:
            mask |= np.isnan(element)
            np.copyto(top, element, where=mask)
        else:
            np.maximum(top, element, out=top)
        # Numbers grow, so that the last element that was larger has the largest of them: no masked copy is needed.
        found = np.multiply(mask, place.dtype.type(number), out=here[of_windows])
        np.maximum(place[of_windows], found, out=place[of_windows])
    if not nan and x.dtype.kind == "f" and np.isnan(best).any():
        return None
    return place


def _comparisons(specs: list[Spec], out: Spec, attrs: dict[str, Any]) -> Cost:
    k = len(attrs["size"])
    lengths, counts = specs[0].shape[specs[0].ndim - k :], out.shape[out.ndim - k :]
    elements = math.prod(out.shape[: out.ndim - k])
    for n, count, size, s, p, d in zip(
        lengths, counts, attrs["size"], attrs["stride"], attrs["padding"], attrs["dilation"], strict=True
    ):
        elements *= sum(_inside(n, count, s, j * d - p)[1] for j in range(size))
    return Cost(flops=elements - out.size)


_ATTRS = {"size": None, "stride": None, "padding": None, "dilation": None, "ceil_mode": False}


_POSITIONS = register(
    Op(
        name=_NAME,
        family="pooling",
        value=_value,
        spec=_spec,
        vjp=NONE("a place does not change with small changes of the input"),
        cost=_comparisons,
        formula=lambda specs=None, attrs=None: "y[.., o] = argmax_p x[.., p] over the places p of window o",
        kernel=("argmax", -math.inf),
        onnx=NONE("the second result of MaxPool, counted in each plane"),
        attrs=_ATTRS,
        doc="The flat place in its plane of the largest element of each window.",
    )
)


def max_pool_positions(
    x: Any, /, size: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool = False
) -> Tensor:
    """The flat place in its plane (the last axes) of the largest element of each window: of equals the first, and NaN
    before everything. The border counts as -∞ and is never chosen.

        y[.., o] = argmax_p x[.., p] over the places p of window o

    Parameters
        x : Tensor, shape (..., L1, ..., Lk).
        size, stride, padding, dilation : k whole numbers each, one for each of the last k axes.
        ceil_mode : whether a last window may end beyond the border.
    Returns
        Tensor of int64, shape (..., O1, ..., Ok)
    Raises
        ShapeError: no window fits, or one lies in the border alone.
    """
    attrs = {"size": size, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": bool(ceil_mode)}
    return apply(_POSITIONS, [as_tensor(x)], attrs)


# Values and gradients by positions


def _planes(x: Array, num_axes: int) -> Array:
    """The last axes as one."""
    split = x.ndim - num_axes
    return x.reshape(*x.shape[:split], math.prod(x.shape[split:]))


def _read(x: Any, positions: Any, **attrs: Any) -> Array:
    x, positions = np.asarray(x), np.asarray(positions)
    k = len(attrs["size"])
    taken = _take_along.value(_planes(x, k), _planes(positions, k), axis=x.ndim - k)
    return taken.reshape(positions.shape)


def _write(g: Any, positions: Any, *, lengths: Shape, **attrs: Any) -> Array:
    g, positions = np.asarray(g), np.asarray(positions)
    k = len(lengths)
    lead = g.shape[: g.ndim - k]
    placed = _place_along.value(
        _planes(g, k), _planes(positions, k), axis=g.ndim - k, shape=(*lead, math.prod(lengths))
    )
    return placed.reshape(*lead, *lengths)


_READ = register(
    Op(
        name="max_pool_read",
        family="pooling",
        value=_read,
        spec=lambda x, positions, **attrs: Spec(positions.shape, x.dtype),
        vjp=lambda i, g, y, xs, attrs: None if i else _written(g, xs[1], xs[0].data.shape, attrs),
        cost=lambda specs, out, attrs: Cost(),
        formula=lambda specs=None, attrs=None: "y[.., o] = x[.., positions[.., o]]",
        kernel=NONE("the map depends on the data"),
        onnx=NONE("GatherElements"),
        attrs=_ATTRS,
        doc="The elements at the places that max_pool_positions gave for a tensor of these sizes.",
    )
)

_WRITE = register(
    Op(
        name="max_pool_write",
        family="pooling",
        value=_write,
        spec=lambda g, positions, *, lengths, **attrs: Spec((*g.shape[: g.ndim - len(lengths)], *lengths), g.dtype),
        vjp=lambda i, g, y, xs, attrs: None if i else apply(_READ, [g, xs[1]], _sizes(attrs)),
        cost=lambda specs, out, attrs: Cost(flops=specs[0].size),
        formula=lambda specs=None, attrs=None: "y = 0, with y[.., positions[.., o]] += g[.., o]",
        kernel=NONE("several elements may land on one place"),
        onnx=NONE("ScatterElements with addition into zeros"),
        attrs={"lengths": None, **_ATTRS},
        doc="Zeros with each element added at its place of max_pool_positions: the transpose of max_pool_read.",
    )
)


def _sizes(attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: attrs[name] for name in _ATTRS}


def _written(g: Tensor, positions: Tensor, shape: Shape, attrs: dict[str, Any]) -> Tensor:
    return apply(_WRITE, [g, positions], {"lengths": shape[len(shape) - len(attrs["size"]) :], **attrs})


def _max_value(x: Any, **attrs: Any) -> Array:
    x = np.asarray(x)
    geometry = _of(Spec(x.shape, x.dtype), attrs)
    split = x.ndim - len(geometry.counts)
    best = np.full((*x.shape[:split], *geometry.counts), _lowest(x.dtype), x.dtype)
    for of_windows, of_elements in geometry.elements:
        np.maximum(best[of_windows], x[of_elements], out=best[of_windows])
    return best


def _max_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], attrs: dict[str, Any]) -> Tensor:
    return _written(g, apply(_POSITIONS, [xs[0]], attrs), xs[0].data.shape, attrs)


_MAX = register(
    Op(
        name="max_pool",
        family="pooling",
        value=_max_value,
        spec=lambda x, **attrs: Spec(_spec(x, **attrs).shape, x.dtype),
        vjp=_max_vjp,
        cost=_comparisons,
        formula=lambda specs=None, attrs=None: "y[.., o] = max_p x[.., p] over the places p of window o",
        kernel=("maximum", -math.inf),
        onnx="MaxPool",
        attrs=_ATTRS,
        doc="The largest element of each window; NaN if there is one. Its gradient goes to the first of equals.",
    )
)


def max_pool(x: Any, /, size: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool = False) -> Tensor:
    """The largest element of each window of the last axes; NaN if there is one. The border counts as -∞.

        y[.., o] = max_p x[.., p] over the places p of window o

    The gradient goes to the first of equal largest elements. The parameters are those of `max_pool_positions`.
    """
    attrs = {"size": size, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": bool(ceil_mode)}
    return apply(_MAX, [as_tensor(x)], attrs)


# Any positions


def read_planes(x: Any, positions: Tensor, num_axes: int) -> Tensor:
    """The elements of planes (the last `num_axes` axes) at flat places in them; nothing is checked."""
    x = as_tensor(x)
    split = x.ndim - num_axes
    lead = x.shape[:split]
    flat = reshape(x, (*lead, math.prod(x.shape[split:])))
    places = reshape(positions, (*lead, math.prod(positions.shape[split:])))
    return reshape(apply(_take_along, [flat, places], {"axis": split}), positions.shape)


def write_planes(x: Any, positions: Tensor, lengths: Shape) -> Tensor:
    """Planes of zeros, of the given lengths, in which the elements of x stand at flat places; of several at one place
    the last. Nothing is checked."""
    x = as_tensor(x)
    split = x.ndim - len(lengths)
    lead, size = x.shape[:split], math.prod(lengths)
    rows, count = math.prod(lead), math.prod(x.shape[split:])
    # A running sum, so that a recorded graph holds for any number of rows.
    first = cumulative_sum(wrap(np.full((rows, 1), size, np.int64)), 0) - size
    places = reshape(reshape(cast(positions, np.int64), (rows, count)) + first, (rows * count,))
    zeros = wrap(np.zeros(rows * size, x.dtype))
    placed = apply(_put, [zeros, reshape(x, (rows * count,)), places], {"template": (ARRAY,)})
    return reshape(placed, (*lead, *lengths))
