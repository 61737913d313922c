"""Convolutions: contractions in which an index of one factor is a sum of two, h·stride + i·dilation - padding.

One relation joins three tensors, the input x, the output y and the kernel k:

    y[n,o,h] = Σ_ci x[n,c,h·stride + i·dilation - padding]·k[o,c,i]

with one h and one i for each spatial axis, and 0 where an index leaves x. Each of the three can be summed from the
other two, and that gives three operations: the gradients of each are the other two, so the three are closed under
differentiation. From the relation also come the multiply-accumulates and the printed formula.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.op import REGISTRY, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply
from pellucid.errors import DTypeError, ShapeError
from pellucid.ops._families.calls import public
from pellucid.ops._families.elementwise import FLOATS, common_dtype, fit

Role = Literal["y", "x", "k"]

NAMES: dict[Role, str] = {"y": "convolution", "x": "convolution_input", "k": "convolution_kernel"}
"""The operation that sums each tensor of the relation from the other two."""

_CHUNK_BYTES = 1 << 20  # columns of one matrix product: they should stay in the cache between being gathered and read


class Geometry(NamedTuple):
    """The attributes of a convolution, each with one entry for a spatial axis.

    stride, dilation: steps of h and of i, at least 1.
    padding: how far the window may leave x (before, after).
    groups: into how many parts the channels fall; each output channel sees those of its own part.
    """

    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]
    groups: int

    def length(self, axis: int, n: int, k: int) -> int:
        """How often a kernel of length k fits into n elements along an axis; 0 or less where it does not."""
        reach = n + sum(self.padding[axis]) - self.dilation[axis] * (k - 1) - 1
        return reach // self.stride[axis] + 1

    def fitted(self, x: Shape, k: Shape) -> Shape:
        """The spatial lengths of the output."""
        return tuple(self.length(i, n, m) for i, (n, m) in enumerate(zip(x, k, strict=True)))

    def padded(self, x: Shape) -> Shape:
        """The spatial lengths of the input with its padding."""
        return tuple(n + a + b for n, (a, b) in zip(x, self.padding, strict=True))

    def tap(self, place: Shape, y: Shape) -> tuple[Any, ...]:
        """What one element of the kernel meets of the padded input."""
        steps = zip(place, self.dilation, self.stride, y, strict=True)
        return (..., *(slice(i * d, i * d + s * (n - 1) + 1, s) for i, d, s, n in steps))


class Shapes(NamedTuple):
    """The shapes of the three tensors."""

    x: Shape
    y: Shape
    k: Shape

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with the zeros of the padding included."""
        return math.prod(self.y) * math.prod(self.k[1:])


def solve(role: Role, a: Shape, b: Shape, geometry: Geometry, size: Shape) -> Shapes:
    """All three shapes, from those of the two factors and, but for y, the spatial lengths of the result."""
    if role == "y":
        return Shapes(a, (a[0], b[0], *geometry.fitted(a[2:], b[2:])), b)
    if role == "x":
        return Shapes((a[0], b[1] * geometry.groups, *size), a, b)
    return Shapes(a, b, (b[1], a[1] // geometry.groups, *size))


# Values


def _windows(x: Array, k: Shape, y: Shape, geometry: Geometry) -> Array:
    """Every tap's view of the padded input: (n, c, *k, *y), without a copy."""
    spatial = x.strides[2:]
    steps = [b * d for b, d in zip(spatial, geometry.dilation, strict=True)]
    jumps = [b * s for b, s in zip(spatial, geometry.stride, strict=True)]
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:2], *k, *y), (*x.strides[:2], *steps, *jumps), writeable=False)


def _bordered(x: Array, geometry: Geometry) -> Array:
    if not any(map(any, geometry.padding)):
        return x
    y = np.zeros((*x.shape[:2], *geometry.padded(x.shape[2:])), x.dtype)
    y[_inside(x.shape, geometry)] = x
    return y


def _inside(x: Shape, geometry: Geometry) -> tuple[slice, ...]:
    return (
        slice(None),
        slice(None),
        *(slice(a, a + n) for n, (a, _) in zip(x[2:], geometry.padding, strict=True)),
    )


def _chunks(shapes: Shapes, itemsize: int) -> Iterator[slice]:
    """Samples whose columns fit the cache together."""
    one = shapes.x[1] * math.prod(shapes.k[2:]) * math.prod(shapes.y[2:]) * itemsize
    step = max(1, _CHUNK_BYTES // max(one, 1))
    return (slice(n, n + step) for n in range(0, shapes.x[0], step))


def _pitches(shapes: Shapes, geometry: Geometry) -> Shape:
    """How far neighbours along each axis of the output lie apart in a row of columns.

    Without strides, all that a tap meets of a padded channel lies in one piece, if what is between the end of a row and
    the next row's beginning is taken along: one long copy instead of many short ones."""
    if math.prod(geometry.stride) == 1:
        pitches = _packed(geometry.padded(shapes.x[2:]))
        if _extent(shapes.y[2:], pitches) <= 1.5 * math.prod(shapes.y[2:]):
            return pitches
    return _packed(shapes.y[2:])


def _packed(places: Shape) -> Shape:
    """The pitches of places without anything between them."""
    return tuple(math.prod(places[i + 1 :]) for i in range(len(places)))


def _extent(places: Shape, pitches: Sequence[int]) -> int:
    """How many elements lie from the first place to the last one."""
    return 1 + sum((n - 1) * p for n, p in zip(places, pitches, strict=True))


def _placed(row: Array, places: Shape, pitches: Shape) -> Array:
    """The last axis as the places of an output; a view."""
    steps = [p * row.itemsize for p in pitches]
    return np.lib.stride_tricks.as_strided(row, (*row.shape[:-1], *places), (*row.strides[:-1], *steps))


def _columns(x: Array, shapes: Shapes, geometry: Geometry, pitches: Shape) -> Array:
    """The windows of some padded samples as one matrix a group: (groups, c·k, n·places)."""
    taps, places = shapes.k[2:], shapes.y[2:]
    windows = _windows(x, taps, places, geometry)
    if _extent(places, pitches) != math.prod(places):
        shape = (*windows.shape[: 2 + len(taps)], _extent(places, pitches))
        steps = (*windows.strides[: 2 + len(taps)], x.itemsize)
        windows = np.lib.stride_tricks.as_strided(x, shape, steps, writeable=False)
    order = (*range(1, 2 + len(taps)), 0, *range(2 + len(taps), windows.ndim))
    return windows.transpose(order).reshape(geometry.groups, -1, len(x) * _extent(places, pitches))


def _flat(y: Array, groups: int, pitches: Shape) -> Array:
    """Some samples of an output as one matrix a group, (groups, o, n·places), with 0 between the places."""
    n, o, *places = y.shape
    size = _extent(tuple(places), pitches)
    flat: Array = np.empty((o, n, size), y.dtype) if size == math.prod(places) else np.zeros((o, n, size), y.dtype)
    _placed(flat, tuple(places), pitches)[...] = y.swapaxes(0, 1)
    return flat.reshape(groups, o // groups, -1)


def _is_pointwise(shapes: Shapes, geometry: Geometry) -> bool:
    ones = math.prod(shapes.k[2:]) == 1 == math.prod(geometry.stride)
    return ones and not any(map(any, geometry.padding))


def _is_depthwise(shapes: Shapes) -> bool:
    return shapes.k[1] == 1 and shapes.x[1] > 1


def _sum_y(x: Array, k: Array, shapes: Shapes, geometry: Geometry) -> Array:
    groups = geometry.groups
    y = np.empty(shapes.y, x.dtype)
    if _is_pointwise(shapes, geometry):
        samples = x.reshape(len(x), groups, shapes.k[1], math.prod(shapes.x[2:]))
        out = y.reshape(len(x), groups, shapes.y[1] // groups, samples.shape[-1])
        np.matmul(k.reshape(groups, -1, shapes.k[1]), samples, out=out)
        return y
    padded = _bordered(x, geometry)
    if _is_depthwise(shapes):
        spread = y.reshape(len(x), shapes.x[1], shapes.y[1] // shapes.x[1], *shapes.y[2:])
        factors = k.reshape(shapes.x[1], -1, *k.shape[2:])
        spread[...] = 0
        for place in np.ndindex(*shapes.k[2:]):
            seen = padded[geometry.tap(place, shapes.y[2:])][:, :, None]
            spread += seen * factors[(..., *place)][(..., *(None,) * (x.ndim - 2))]
        return y
    matrix, pitches = k.reshape(groups, shapes.k[0] // groups, -1), _pitches(shapes, geometry)
    for part in _chunks(shapes, x.itemsize):
        product = np.matmul(matrix, _columns(padded[part], shapes, geometry, pitches))
        rows = product.reshape(shapes.y[1], len(y[part]), -1)
        y[part] = _placed(rows, shapes.y[2:], pitches).swapaxes(0, 1)
    return y


def _sum_x(y: Array, k: Array, shapes: Shapes, geometry: Geometry) -> Array:
    groups = geometry.groups
    if _is_pointwise(shapes, geometry):
        samples = y.reshape(len(y), groups, shapes.y[1] // groups, math.prod(shapes.y[2:]))
        matrix = k.reshape(groups, -1, shapes.k[1]).swapaxes(1, 2)
        x: Array = np.matmul(matrix, samples).reshape(shapes.x)
        return x
    if not _is_depthwise(shapes) and (turned := _turned(shapes, geometry)) is not None:
        kernels = k.reshape(groups, -1, *k.shape[1:]).swapaxes(1, 2).reshape(turned[0].k)
        return _sum_y(y, np.flip(kernels, tuple(range(2, k.ndim))), *turned)
    x = np.zeros((*shapes.x[:2], *geometry.padded(shapes.x[2:])), y.dtype)
    taps = [(p, geometry.tap(p, shapes.y[2:])) for p in np.ndindex(*shapes.k[2:])]
    if _is_depthwise(shapes):
        spread = y.reshape(len(y), shapes.x[1], shapes.y[1] // shapes.x[1], *shapes.y[2:])
        factors = k.reshape(shapes.x[1], -1, *k.shape[2:])
        for place, where in taps:
            x[where] += (spread * factors[(..., *place)][(..., *(None,) * (y.ndim - 2))]).sum(2)
    else:
        matrix, pitches = k.reshape(groups, shapes.k[0] // groups, -1).swapaxes(1, 2), _packed(shapes.y[2:])
        for part in _chunks(shapes, y.itemsize):
            n = y[part].shape[0]
            columns = np.matmul(matrix, _flat(y[part], groups, pitches))
            columns = columns.reshape(shapes.x[1], *shapes.k[2:], n, *shapes.y[2:])
            for place, where in taps:
                x[part][where] += columns[(slice(None), *place)].swapaxes(0, 1)
    return x[_inside(shapes.x, geometry)]


def _turned(shapes: Shapes, geometry: Geometry) -> tuple[Shapes, Geometry] | None:
    """The convolution of y that gives x, with the kernels turned round; None where strides or a padding wider than the
    kernel's reach make it none."""
    reach = [d * (k - 1) for d, k in zip(geometry.dilation, shapes.k[2:], strict=True)]
    padding = tuple((r - a, r - b) for r, (a, b) in zip(reach, geometry.padding, strict=True))
    if math.prod(geometry.stride) != 1 or min(map(min, padding)) < 0:
        return None
    kernels = (shapes.x[1], shapes.y[1] // geometry.groups, *shapes.k[2:])
    return Shapes(shapes.y, shapes.x, kernels), geometry._replace(padding=padding)


def _sum_k(x: Array, y: Array, shapes: Shapes, geometry: Geometry) -> Array:
    groups = geometry.groups
    padded = _bordered(x, geometry)
    if _is_depthwise(shapes):
        k = np.empty(shapes.k, x.dtype)
        factors = k.reshape(shapes.x[1], -1, *shapes.k[2:])
        spread = y.reshape(len(y), shapes.x[1], shapes.y[1] // shapes.x[1], *shapes.y[2:])
        places = list(range(3, 1 + x.ndim))
        for place in np.ndindex(*shapes.k[2:]):
            seen = padded[geometry.tap(place, shapes.y[2:])]
            factors[(..., *place)] = np.einsum(seen, [0, 1, *places], spread, [0, 1, 2, *places], [1, 2])
        return k
    matrix = np.zeros((groups, shapes.k[0] // groups, math.prod(shapes.k[1:])), x.dtype)
    pitches = _pitches(shapes, geometry)
    for part in _chunks(shapes, x.itemsize):
        columns = _columns(padded[part], shapes, geometry, pitches)
        matrix += np.matmul(_flat(y[part], groups, pitches), columns.swapaxes(1, 2))
    return matrix.reshape(shapes.k)


_SUMS: dict[Role, Callable[..., Array]] = {"y": _sum_y, "x": _sum_x, "k": _sum_k}
_FACTORS: dict[Role, tuple[Role, Role]] = {"y": ("x", "k"), "x": ("y", "k"), "k": ("x", "y")}


# The declaration


def convolution(role: Role, *, onnx: Any) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Declare the operation that sums one tensor of the relation from the other two."""
    factors = _FACTORS[role]

    def declare(function: Callable[..., Any]) -> Callable[..., Tensor]:
        attrs = {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}

        def shapes_of(a: Shape, b: Shape, kw: dict[str, Any]) -> tuple[Shapes, Geometry]:
            geometry = Geometry(kw["stride"], kw["dilation"], kw["padding"], kw["groups"])
            return solve(role, a, b, geometry, kw.get("size", ())), geometry

        def spec(a: Spec, b: Spec, **kw: Any) -> Spec:
            if a.dtype.kind == "b" and b.dtype.kind == "b":
                raise DTypeError("ops.dtype", op=function.__name__, dtypes=f"{a.dtype.name}, {b.dtype.name}")
            check_shapes(role, a.shape, b.shape, Geometry(*(kw[n] for n in Geometry._fields)))
            shapes, geometry = shapes_of(a.shape, b.shape, kw)
            _check_fits(shapes, geometry)
            return Spec(getattr(shapes, role), common_dtype([(a.dtype, a.weak), (b.dtype, b.weak)]))

        def value(a: Any, b: Any, **kw: Any) -> Array:
            a, b = np.asarray(a), np.asarray(b)
            if a.dtype is not b.dtype or a.dtype not in FLOATS:
                dtype = common_dtype([(a.dtype, False), (b.dtype, False)])
                a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
            shapes, geometry = shapes_of(a.shape, b.shape, kw)
            if min(*shapes.y[2:], *shapes.k[2:]) < 1:  # NumPy would give a result without elements
                _check_fits(shapes, geometry)
            return _SUMS[role](a, b, shapes, geometry)

        def vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], kw: dict[str, Any]) -> Tensor:
            own, other = factors[i], factors[1 - i]
            given = {role: g, other: xs[1 - i]}
            a, b = (given[r] for r in _FACTORS[own])
            geometry = {n: kw[n] for n in Geometry._fields}
            size = {} if own == "y" else {"size": xs[i].data.shape[2:]}
            return fit(apply(REGISTRY[NAMES[own]], [a, b], {**geometry, **size}), xs[i])

        def cost(specs: list[Spec], out: Spec, kw: dict[str, Any]) -> Cost:
            return Cost(macs=shapes_of(specs[0].shape, specs[1].shape, kw)[0].macs)

        def formula(specs: list[Spec] | None = None, kw: dict[str, Any] | None = None) -> str:
            if specs is None or kw is None:
                return _GENERAL[role]
            return written(role, *shapes_of(specs[0].shape, specs[1].shape, kw))

        op = register(
            Op(
                name=NAMES[role],
                family="convolution",
                value=value,
                spec=spec,
                vjp=vjp,
                cost=cost,
                formula=formula,
                kernel=shapes_of,
                onnx=onnx,
                attrs=attrs,
                doc=inspect.getdoc(function) or "",
            )
        )
        return public(op, function, list(factors), attrs)

    return declare


_GENERAL: dict[Role, str] = {
    "y": "y[n,o,h] += x[n,c,h·stride+i·dilation-padding]·k[o,c,i]",
    "x": "x[n,c,h·stride+i·dilation-padding] += y[n,o,h]·k[o,c,i]",
    "k": "k[o,c,i] += x[n,c,h·stride+i·dilation-padding]·y[n,o,h]",
}


@cache
def written(role: Role, shapes: Shapes, geometry: Geometry) -> str:
    """The relation with its numbers, as one line: `y[n,o,h,w] += x[n,c,h*2+i-1,w*2+j-1]·k[o,c,i,j]`, over every value
    of every letter for which all indices lie inside."""
    outs, taps = ("h", "hw", "hwd")[len(geometry.stride) - 1], ("i", "ij", "ijl")[len(geometry.stride) - 1]

    def place(n: int) -> str:
        s, d, (p, _) = geometry.stride[n], geometry.dilation[n], geometry.padding[n]
        h, i = outs[n] + (f"*{s}" if s > 1 else ""), taps[n] + (f"*{d}" if d > 1 else "")
        return f"{h}+{i}" + (f"-{p}" if p else "")

    channel = "c"
    if geometry.groups > 1:
        channel = f"o//{shapes.k[0] // geometry.groups}*{shapes.k[1]}+c"
    terms: dict[Role, str] = {
        "x": f"x[n,{channel},{','.join(map(place, range(len(outs))))}]",
        "y": f"y[n,o,{','.join(outs)}]",
        "k": f"k[o,c,{','.join(taps)}]",
    }
    a, b = _FACTORS[role]
    return f"{terms[role]} += {terms[a]}·{terms[b]}"


def check_shapes(role: Role, a: Shape, b: Shape, geometry: Geometry) -> None:
    """Raise unless two factors can be convolved.

    Raises
        ShapeError: they have other numbers of axes, or channels that do not fit each other and the groups.
    """
    ndim = len(geometry.stride)
    name = f"conv{ndim}d" if role == "y" else f"conv_transpose{ndim}d" if role == "x" else NAMES[role]
    letters = ("L", "H, W", "D, H, W")[ndim - 1]
    if len(a) != ndim + 2 or len(b) != ndim + 2:
        raise ShapeError("conv.axes", op=name, a=a, b=b, places=letters)
    groups = geometry.groups
    if role == "y":
        if b[0] % groups or not b[0]:
            raise ShapeError("conv.groups", op=name, groups=groups, channels=b[0])
        if a[1] != b[1] * groups:
            raise ShapeError("conv.channels", op=name, x=a, k=b, groups=groups, given=a[1], expected=b[1] * groups)
    elif role == "x":
        if a[1] % groups:
            raise ShapeError("conv.groups", op=name, groups=groups, channels=a[1])
        if a[1] != b[0]:
            raise ShapeError("conv.channels", op=name, x=a, k=b, groups=groups, given=a[1], expected=b[0])


def _check_fits(shapes: Shapes, geometry: Geometry) -> None:
    x, k = shapes.x[2:], shapes.k[2:]
    if geometry.fitted(x, k) == shapes.y[2:] and min(*shapes.y[2:], *k) > 0:
        return
    reach = tuple(d * (n - 1) + 1 for n, d in zip(k, geometry.dilation, strict=True))
    raise ShapeError("conv.kernel", op=f"conv{len(k)}d", x=shapes.x, k=shapes.k, reach=reach, room=geometry.padded(x))
