"""Resampling: planes brought to another size, each axis by itself. Nearest neighbours are copied; linear and cubic
interpolation is a fixed matrix times each axis.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Flag, Options, Real, check, shown
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn._axis_matrix import along
from pellucid.nn._spatial import per_axis
from pellucid.nn.module import Module
from pellucid.nn.pooling.adaptive_pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from pellucid.ops.declare import composite
from pellucid.ops.index import take
from pellucid.ops.windows import spread_windows

# How many axes behind the channels each mode takes.
_MODES = {
    "nearest": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
    "area": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
}
_WITH_CORNERS = ("linear", "bilinear", "bicubic", "trilinear")
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}
_CUBIC = -0.75
"""The slope of the cubic kernel at 1, as PyTorch and OpenCV have it."""


def _factors(name: str, scale_factor: Any, count: int) -> tuple[float, ...]:
    """A scale factor for each axis.

    Raises
        ArgumentError: it is neither a number above 0 nor one for each axis.
    """
    several = isinstance(scale_factor, list | tuple | np.ndarray)
    given = list(scale_factor) if several else [scale_factor] * count
    real = Real(0, left_open=True)
    if len(given) != count or not all(real.type_ok(f) and real.value_ok(f) for f in given):
        raise ArgumentError("pool.scale-factor", op=name, given=shown(scale_factor), count=count)
    return tuple(map(float, given))


@composite(formula="y = x read at other places, each axis by itself, by the mode", onnx="Resize")
def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Planes brought to another size.

    Where the input is not finite, linear and cubic interpolation gives NaN in the whole row and column.

    Parameters
        input : Tensor, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        size : lengths of the axes behind the channels: a whole number, or one for each.
        scale_factor : what those lengths are multiplied by, rounded down: a number above 0, or one for each.
        mode : "nearest" and "nearest-exact" (which takes the middle of each new element), "linear" for one axis,
            "bilinear" and "bicubic" for two, "trilinear" for three, "area" (means).
        align_corners : whether the first and the last elements keep their places, instead of the borders of the plane;
            for the linear and cubic modes, None is False.
        recompute_scale_factor : whether places follow from the lengths instead of the scale factor.
        antialias : taken for PyTorch's sake; only False.
    Returns
        Tensor, shape (N, C, ...)
    Raises
        ArgumentError: neither size nor scale_factor, or both, or an option that does not go with the mode.
        ShapeError: the input has another number of axes than the mode takes, or nothing would be left.
    Source
        Keys, Cubic convolution interpolation for digital image processing, 1981, eq. 4 (with another slope).
    """
    x = as_tensor(input)
    check("interpolate: mode", mode, Options(*_MODES))
    count = x.ndim - 2
    if count not in _MODES[mode]:
        expected = " / ".join({1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[n] for n in _MODES[mode])
        raise ShapeError("pool.mode-axes", op="interpolate", shape=x.shape, mode=repr(mode), expected=expected)
    if align_corners is not None:
        check("interpolate: align_corners", align_corners, Flag())
        if mode not in _WITH_CORNERS:
            raise ArgumentError("pool.align-corners", op="interpolate", mode=repr(mode), given=align_corners)
    if recompute_scale_factor is not None:
        check("interpolate: recompute_scale_factor", recompute_scale_factor, Flag())
    if antialias:
        raise ArgumentError("pool.antialias", op="interpolate")
    if (size is None) == (scale_factor is None):
        raise ArgumentError("pool.one-size", op="interpolate", size=shown(size), scale_factor=shown(scale_factor))
    lengths = x.shape[2:]
    factors: tuple[float | None, ...] = (None,) * count
    if size is not None:
        wanted = per_axis("interpolate: size", size, count, 1)
        if recompute_scale_factor:
            raise ArgumentError("pool.recompute", op="interpolate")
    else:
        given = _factors("interpolate", scale_factor, count)
        wanted = tuple(math.floor(n * f) for n, f in zip(lengths, given, strict=True))
        factors = (None,) * count if recompute_scale_factor else given
    if 0 in wanted or 0 in lengths:
        raise ShapeError("pool.resampled-empty", op="interpolate", shape=x.shape, size=wanted)
    if mode == "area":
        return _AREA[count](x, wanted)
    if mode in ("nearest", "nearest-exact"):
        return _nearest(x, wanted, factors, exact=mode == "nearest-exact")
    for axis, (n, m, f) in enumerate(zip(lengths, wanted, factors, strict=True), -count):
        matrix = _weights(n, m, f, bool(align_corners), mode == "bicubic")
        if matrix is not None:
            x = along(x, matrix, axis)
    return x


def _nearest(x: Tensor, wanted: Shape, factors: tuple[float | None, ...], exact: bool) -> Tensor:
    count = len(wanted)
    repeats = [1] * count
    for axis, (m, f) in enumerate(zip(wanted, factors, strict=True)):
        n, number = x.shape[2 + axis], 2 + axis
        places = _nearest_places(n, m, f, exact, count == 2)
        if m % n == 0 and (places == np.arange(m) // (m // n)).all():
            repeats[axis] = m // n
            continue
        steps = np.diff(places)
        if m > 1 and (steps == steps[0]).all() and steps[0] > 0:
            first, last, step = int(places[0]), int(places[-1]), int(steps[0])
            x = x[(*(slice(None),) * number, slice(first, last + 1, step))]
        else:
            x = take(x, wrap(places), axis=number)
    if max(repeats) > 1:
        lengths = tuple(n * r for n, r in zip(x.shape[2:], repeats, strict=True))
        x = spread_windows(x, lengths, tuple(repeats), tuple(repeats))
    return x


@lru_cache(maxsize=128)
def _nearest_places(length: int, count: int, factor: float | None, exact: bool, plane: bool) -> Array:
    """The place that each element of the new axis is copied from; in float32, as PyTorch computes it. For planes it
    looks at the lengths alone where they stay or double."""
    o = np.arange(count)
    if plane and not exact and count in (length, 2 * length):
        return o // (count // length)
    scale = np.float32(length) / np.float32(count) if factor is None else np.float32(1.0 / factor)
    at = (o.astype(np.float32) + np.float32(0.5 if exact else 0.0)) * scale
    places: Array = np.minimum(np.floor(at).astype(np.int64), length - 1)
    return places


@lru_cache(maxsize=128)
def _weights(length: int, count: int, factor: float | None, align_corners: bool, cubic: bool) -> Array | None:
    """Row o holds the weights of the old elements in the new element o; None where each is what it was."""
    if count == length and not cubic:  # as PyTorch, whatever the scale factor
        return None
    o = np.arange(count)
    if align_corners:
        at = o * ((length - 1) / (count - 1) if count > 1 else 0.0)
    else:
        at = (o + 0.5) * (length / count if factor is None else 1.0 / factor) - 0.5
    if not cubic:
        at = np.maximum(at, 0.0)
    first = np.floor(at).astype(np.int64)
    t = at - first
    if cubic:
        near, far = _cubic_near, _cubic_far
        taps = [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]
    else:
        first = np.minimum(first, length - 1)
        t = np.minimum(at - first, 1.0)
        taps = [(0, 1.0 - t), (1, t)]
    matrix = np.zeros((count, length))
    for distance, weight in taps:
        np.add.at(matrix, (o, np.clip(first + distance, 0, length - 1)), weight)
    return None if count == length and (matrix == np.eye(length)).all() else matrix


def _cubic_near(t: Array) -> Array:
    return ((_CUBIC + 2.0) * t - (_CUBIC + 3.0)) * t * t + 1.0


def _cubic_far(t: Array) -> Array:
    return ((_CUBIC * t - 5.0 * _CUBIC) * t + 8.0 * _CUBIC) * t - 4.0 * _CUBIC


class Upsample(Module):
    """Planes brought to another size, as `nn.functional.interpolate` does it.

    Parameters
        size : lengths of the axes behind the channels: a whole number, or one for each.
        scale_factor : what those lengths are multiplied by, rounded down: a number above 0, or one for each.
        mode : "nearest", "linear" for one axis, "bilinear" and "bicubic" for two, "trilinear" for three.
        align_corners : whether the first and the last elements keep their places, instead of the borders of the plane;
            for the linear and cubic modes, None is False.
        recompute_scale_factor : whether places follow from the lengths instead of the scale factor.
    Raises
        ArgumentError: neither size nor scale_factor, or both.
        ShapeError: when called with another number of axes than the mode takes.
    Examples
        >>> from pellucid import nn
        >>> nn.Upsample(scale_factor=2)([[[1.0, 2.0]]]).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
        >>> nn.Upsample(3, mode="linear", align_corners=True)([[[1.0, 2.0]]]).tolist()
        [[[1.0, 1.5, 2.0]]]
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        name = type(self).__name__
        check(f"{name}: mode", mode, Options(*_MODES))
        for argument, value in (("align_corners", align_corners), ("recompute_scale_factor", recompute_scale_factor)):
            if value is not None:
                check(f"{name}: {argument}", value, Flag())
        if (size is None) == (scale_factor is None):
            raise ArgumentError("pool.one-size", op=name, size=shown(size), scale_factor=shown(scale_factor))
        several = scale_factor if isinstance(scale_factor, list | tuple) else None
        if scale_factor is not None:
            factors = _factors(name, scale_factor, len(several) if several else 1)
            scale_factor = factors if several else factors[0]
        self.size = tuple(size) if isinstance(size, list | tuple) else size
        self.scale_factor, self.mode, self.align_corners = scale_factor, mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...) -> the same with last axes of other lengths."""
        return interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        first = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{first}, mode={self.mode!r}"
