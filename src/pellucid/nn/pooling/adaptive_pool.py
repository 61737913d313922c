"""Adaptive pooling: the input is cut into as many windows as the output shall have elements, as even as can be. With an
output of length 1 it is global pooling.

    window o of O over an axis of length L: from floor(o·L / O) up to, without it, ceil((o + 1)·L / O)
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Flag, check
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.nn._axis_matrix import along
from pellucid.nn.pooling._arguments import Pooling, check_planes, output_lengths, plain
from pellucid.ops.declare import composite
from pellucid.ops.index import take
from pellucid.ops.pool import max_pool_positions, read_planes
from pellucid.ops.reduce import mean
from pellucid.ops.windows import sum_windows

_AVERAGE = "y[n,c,o] = Σ_p x[n,c,p] / count over the places p of window o of O"
_MAXIMUM = "y[n,c,o] = max_p x[n,c,p] over the places p of window o of O"
_UNEVEN = NONE("with an output of length 1 GlobalAveragePool, else there is none for uneven windows")
_UNEVEN_MAX = NONE("with an output of length 1 GlobalMaxPool, else there is none for uneven windows")


def _bounds(length: int, count: int) -> tuple[Array, Array]:
    """Where the windows begin, and where they end."""
    o = np.arange(count)
    return o * length // count, -(-(o + 1) * length // count)


@lru_cache(maxsize=128)
def _averages(length: int, count: int) -> Array:
    """Row o holds 1 / (length of window o) where window o lies."""
    start, end = _bounds(length, count)
    place = np.arange(length)
    inside = (place >= start[:, None]) & (place < end[:, None])
    matrix: Array = inside / (end - start)[:, None]
    return matrix


def _adaptive_avg_pool(name: str, count: int, input: Any, output_size: Any) -> Tensor:
    x = as_tensor(input)
    check_planes(name, x.shape, count)
    lengths = x.shape[-count:]
    outputs = output_lengths(name, output_size, lengths)
    axes = range(-count, 0)
    whole = [a for a, m in zip(axes, outputs, strict=True) if m == 1]
    y = mean(x, whole, keepdims=True) if whole else x
    even = [n // m if m != 1 and n % m == 0 else 1 for n, m in zip(lengths, outputs, strict=True)]
    if math.prod(even) > 1:
        y = sum_windows(y, tuple(even), tuple(even)) / float(math.prod(even))
    for axis, n, m in zip(axes, lengths, outputs, strict=True):
        if n % m:
            y = along(y, _averages(n, m), axis)
    return y


@lru_cache(maxsize=128)
def _layout(length: int, count: int) -> tuple[int, Array]:
    """The length of the longest window, and the places of all windows one after the other: in shorter ones the last
    place stands twice."""
    start, end = _bounds(length, count)
    longest = int((end - start).max())
    places = np.minimum(start[:, None] + np.arange(longest), end[:, None] - 1)
    return longest, places.reshape(-1)


def _adaptive_max_pool(name: str, count: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x = as_tensor(input)
    check(f"{name}: return_indices", return_indices, Flag())
    check_planes(name, x.shape, count)
    lengths = x.shape[-count:]
    layouts = [_layout(n, m) for n, m in zip(lengths, output_lengths(name, output_size, lengths), strict=True)]
    size = tuple(longest for longest, _ in layouts)
    laid, uneven = x.detach(), False
    for axis, (n, (_, places)) in enumerate(zip(lengths, layouts, strict=True), x.ndim - count):
        if len(places) != n:
            laid, uneven = take(laid, wrap(places), axis=axis), True
    positions = max_pool_positions(laid, size, size, (0,) * count, (1,) * count)
    if uneven:
        positions = take(wrap(_origins(lengths, tuple(tuple(p.tolist()) for _, p in layouts))), positions)
    y = read_planes(x, positions, count)
    return (y, positions) if return_indices else y


@lru_cache(maxsize=32)
def _origins(lengths: Shape, places: tuple[Shape, ...]) -> Array:
    """For each place of the plane in which windows lie one after the other, the place that it was taken from."""
    flat = np.zeros((1,) * len(lengths), np.int64)
    for axis, (n, line) in enumerate(zip(lengths, places, strict=True)):
        flat = flat * n + np.asarray(line).reshape((-1,) + (1,) * (len(lengths) - 1 - axis))
    return flat.reshape(-1)


@composite(formula=_AVERAGE, onnx=_UNEVEN)
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """`nn.AdaptiveAvgPool1d` as a function.

    Raises
        ShapeError: the input is not (N, C, L) or (C, L).
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


@composite(formula=_AVERAGE, onnx=_UNEVEN)
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """`nn.AdaptiveAvgPool2d` as a function.

    Raises
        ShapeError: the input is not (N, C, H, W) or (C, H, W).
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


@composite(formula=_AVERAGE, onnx=_UNEVEN)
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """`nn.AdaptiveAvgPool3d` as a function.

    Raises
        ShapeError: the input is not (N, C, D, H, W) or (C, D, H, W).
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


@composite(formula=_MAXIMUM, onnx=_UNEVEN_MAX)
def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`nn.AdaptiveMaxPool1d` as a function.

    Raises
        ShapeError: the input is not (N, C, L) or (C, L).
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


@composite(formula=_MAXIMUM, onnx=_UNEVEN_MAX)
def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`nn.AdaptiveMaxPool2d` as a function.

    Raises
        ShapeError: the input is not (N, C, H, W) or (C, H, W).
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


@composite(formula=_MAXIMUM, onnx=_UNEVEN_MAX)
def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`nn.AdaptiveMaxPool3d` as a function.

    Raises
        ShapeError: the input is not (N, C, D, H, W) or (C, D, H, W).
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


class _AdaptivePool(Pooling):
    """What the adaptive pooling layers share."""

    _function: ClassVar[Any]

    def __init__(self, output_size: Any) -> None:
        output_lengths(type(self).__name__, output_size, (1,) * self.num_axes)
        self.output_size = plain(output_size)

    def forward(self, x: Any) -> Any:
        """x (N, C, ...) or (C, ...) -> the same with last axes of output_size."""
        return type(self)._function(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of windows that cut the last axis into output_size parts; AdaptiveAvgPool1d(1) is global average
    pooling.

    Parameters
        output_size : how many windows; None is the length of the input.
    Raises
        ShapeError: when called with another shape than (N, C, L) or (C, L).
    """

    num_axes = 1
    _function = staticmethod(adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of windows that cut the last two axes into output_size parts, whatever the size of the input;
    AdaptiveAvgPool2d(1) is global average pooling.

    Parameters
        output_size : a whole number or a pair (height, width); None is the length that the input has.
    Raises
        ShapeError: when called with another shape than (N, C, H, W) or (C, H, W).
    Source
        Lin, Chen and Yan, Network in network, arXiv:1312.4400, section 3.2 (global average pooling).
    Examples
        >>> from pellucid import nn
        >>> nn.AdaptiveAvgPool2d(1)([[[1.0, 2.0], [3.0, 6.0]]]).tolist()
        [[[3.0]]]
    """

    num_axes = 2
    _function = staticmethod(adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of windows that cut the last three axes into output_size parts; AdaptiveAvgPool3d(1) is global average
    pooling.

    Parameters
        output_size : a whole number or a triple (depth, height, width); None is the length that the input has.
    Raises
        ShapeError: when called with another shape than (N, C, D, H, W) or (C, D, H, W).
    """

    num_axes = 3
    _function = staticmethod(adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptivePool):
    """What the adaptive max pooling layers share."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self._check_flags(return_indices=return_indices)
        self.return_indices = bool(return_indices)

    def forward(self, x: Any) -> Any:
        """x (N, C, ...) or (C, ...) -> the same with last axes of output_size; with return_indices, a pair of it and
        the indices."""
        return type(self)._function(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest elements of windows that cut the last axis into output_size parts; AdaptiveMaxPool1d(1) is global
    max pooling.

    Parameters
        output_size : how many windows; None is the length of the input.
        return_indices : whether to return the place of each largest element too.
    Raises
        ShapeError: when called with another shape than (N, C, L) or (C, L).
    """

    num_axes = 1
    _function = staticmethod(adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest elements of windows that cut the last two axes into output_size parts, whatever the size of the
    input; AdaptiveMaxPool2d(1) is global max pooling.

    Parameters
        output_size : a whole number or a pair (height, width); None is the length that the input has.
        return_indices : whether to return the place of each largest element too, counted row after row in its plane.
    Raises
        ShapeError: when called with another shape than (N, C, H, W) or (C, H, W).
    """

    num_axes = 2
    _function = staticmethod(adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest elements of windows that cut the last three axes into output_size parts; AdaptiveMaxPool3d(1) is
    global max pooling.

    Parameters
        output_size : a whole number or a triple (depth, height, width); None is the length that the input has.
        return_indices : whether to return the place of each largest element too.
    Raises
        ShapeError: when called with another shape than (N, C, D, H, W) or (C, D, H, W).
    """

    num_axes = 3
    _function = staticmethod(adaptive_max_pool3d)
