"""Max unpooling: the partial inverse of max pooling. Each value goes back to the place that the indices name; all other
places are 0.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

from pellucid._typing import Array, Shape
from pellucid.core.context import expect
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.nn._spatial import per_axis
from pellucid.nn.pooling._arguments import Pooling, Windows, check_planes
from pellucid.ops.declare import composite
from pellucid.ops.pool import write_planes

_FORMULA = "y = 0, with y[n,c, indices[n,c,o]] = x[n,c,o]"


def _windows(name: str, count: int, kernel_size: Any, stride: Any, padding: Any) -> Windows:
    size = per_axis(f"{name}: kernel_size", kernel_size, count, 1)
    step = size if stride is None else per_axis(f"{name}: stride", stride, count, 1)
    return Windows(size, step, per_axis(f"{name}: padding", padding, count, 0), (1,) * count)


def _lengths(name: str, shape: Shape, windows: Windows, output_size: Any) -> Shape:
    """The lengths before the pooling: those that give an output of `shape`, or, of several, the ones that are asked
    for."""
    count = len(windows.size)
    usual = tuple(
        (n - 1) * s - 2 * p + k
        for n, k, s, p in zip(shape[-count:], windows.size, windows.stride, windows.padding, strict=True)
    )
    if output_size is None:
        wanted = usual
    else:
        given = tuple(output_size) if isinstance(output_size, list | tuple) else output_size
        if isinstance(given, tuple) and len(given) in (count + 1, count + 2):
            given = given[-count:]
        wanted = per_axis(f"{name}: output_size", given, count, 1)
    if any(abs(n - m) >= s for n, m, s in zip(wanted, usual, windows.stride, strict=True)) or min(wanted) < 1:
        low = tuple(max(m - s + 1, 1) for m, s in zip(usual, windows.stride, strict=True))
        high = tuple(m + s - 1 for m, s in zip(usual, windows.stride, strict=True))
        raise ShapeError("pool.unpool-size", op=name, shape=shape, wanted=wanted, low=low, high=high)
    return wanted


def _check_range(name: str, lengths: Shape, indices: Array) -> None:
    size = math.prod(lengths)
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        wrong = int(indices[(indices < 0) | (indices >= size)].flat[0])
        raise IndexRangeError("pool.unpool-index", op=name, index=wrong, lengths=lengths, last=size - 1)


def _max_unpool(
    name: str, count: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    x, places = as_tensor(input), as_tensor(indices)
    windows = _windows(name, count, kernel_size, stride, padding)
    check_planes(name, x.shape, count)
    if places.dtype.kind not in "iu":
        raise DTypeError("ops.index-dtype", op=name, dtype=places.dtype)
    if places.shape != x.shape:
        raise ShapeError("pool.unpool-shape", op=name, x=x.shape, indices=places.shape)
    lengths = _lengths(name, x.shape, windows, output_size)
    expect(places, partial(_check_range, name, lengths))
    return write_planes(x, places, lengths)


@composite(formula=_FORMULA, onnx="MaxUnpool")
def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """`nn.MaxUnpool1d` as a function.

    Raises
        ShapeError: input and indices differ in shape, or no pooling leads from output_size to the input.
        IndexRangeError: an index lies outside the output.
    """
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@composite(formula=_FORMULA, onnx="MaxUnpool")
def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """`nn.MaxUnpool2d` as a function.

    Raises
        ShapeError: input and indices differ in shape, or no pooling leads from output_size to the input.
        IndexRangeError: an index lies outside the output.
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@composite(formula=_FORMULA, onnx=NONE("MaxUnpool has no third axis everywhere"))
def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """`nn.MaxUnpool3d` as a function.

    Raises
        ShapeError: input and indices differ in shape, or no pooling leads from output_size to the input.
        IndexRangeError: an index lies outside the output.
    """
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


class _MaxUnpool(Pooling):
    """What the unpooling layers share."""

    _function: ClassVar[Any]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        windows = _windows(type(self).__name__, self.num_axes, kernel_size, stride, padding)
        self.kernel_size, self.stride, self.padding = windows[:3]  # tuples, as PyTorch shows them

    def forward(self, x: Any, indices: Any, output_size: Any = None) -> Tensor:
        """x and indices (N, C, ...) or (C, ...), as max pooling gives them -> the same with longer last axes."""
        y: Tensor = type(self)._function(x, indices, self.kernel_size, self.stride, self.padding, output_size)
        return y

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The partial inverse of MaxPool1d: each value at the place that the indices name, all others 0.

    Where windows overlapped one place may be named twice; it gets the last of the values.

    Parameters
        kernel_size, stride, padding : those of the pooling; stride None is kernel_size.
    Raises
        ShapeError: when called with indices of another shape, or where no pooling leads from output_size to the input.
        IndexRangeError: when called with an index outside the output.
    Source
        Zeiler and Fergus, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 2.1.
    """

    num_axes = 1
    _function = staticmethod(max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """The partial inverse of MaxPool2d: each value at the place that the indices name, all others 0; as MaxUnpool1d.

    Parameters
        kernel_size, stride, padding : those of the pooling: whole numbers, or pairs (height, width).
    Raises
        ShapeError: when called with indices of another shape, or where no pooling leads from output_size to the input.
        IndexRangeError: when called with an index outside the output.
    Examples
        >>> from pellucid import nn
        >>> y, indices = nn.MaxPool2d(2, return_indices=True)([[[1.0, 2.0, 0.0, 0.0], [4.0, 3.0, 0.0, 5.0]]])
        >>> nn.MaxUnpool2d(2)(y, indices).tolist()
        [[[0.0, 0.0, 0.0, 0.0], [4.0, 0.0, 0.0, 5.0]]]
    """

    num_axes = 2
    _function = staticmethod(max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """The partial inverse of MaxPool3d: each value at the place that the indices name, all others 0; as MaxUnpool1d.

    Parameters
        kernel_size, stride, padding : those of the pooling: whole numbers, or triples (depth, height, width).
    Raises
        ShapeError: when called with indices of another shape, or where no pooling leads from output_size to the input.
        IndexRangeError: when called with an index outside the output.
    """

    num_axes = 3
    _function = staticmethod(max_unpool3d)
