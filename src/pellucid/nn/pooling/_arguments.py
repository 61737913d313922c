"""What the pooling functions and layers are called with: kernel sizes, strides and paddings as tuples, inputs with the
right axes. A user's arguments come in; tuples with one number an axis leave, or a clear error.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Flag, check
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn._spatial import per_axis
from pellucid.nn.module import Module

_PLACES = {1: "L", 2: "H, W", 3: "D, H, W"}


class Windows(NamedTuple):
    """Size, step and border of the windows of a pooling, one number an axis."""

    size: Shape
    stride: Shape
    padding: Shape
    dilation: Shape


def windows_of(
    name: str, count: int, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Windows:
    """The arguments of a pooling over `count` axes.

    Parameters
        stride : None (or, as PyTorch takes it, an empty tuple) is kernel_size.
    Raises
        ArgumentTypeError: neither a whole number nor one an axis.
        ArgumentError: a number is too small, or a border wider than half of what a window reaches over.
    """
    size = per_axis(f"{name}: kernel_size", kernel_size, count, 1)
    step = per_axis(f"{name}: stride", stride, count, 1) if is_given(stride) else size
    border = per_axis(f"{name}: padding", padding, count, 0)
    apart = per_axis(f"{name}: dilation", dilation, count, 1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(size, apart, strict=True))
    if any(2 * p > r for p, r in zip(border, reach, strict=True)):
        limit = tuple(r // 2 for r in reach)
        raise ArgumentError("pool.padding", op=name, padding=border, reach=reach, limit=limit)
    return Windows(size, step, border, apart)


def is_given(stride: Any) -> bool:
    """Whether a stride says something; else it is that of the window's size."""
    return not (stride is None or (isinstance(stride, list | tuple) and len(stride) == 0))


def check_planes(name: str, shape: Shape, count: int) -> None:
    """Raise unless a shape is (N, C, ...) or (C, ...) with `count` axes to pool over, none of them of length 0.

    Raises
        ShapeError: it is not.
    """
    if len(shape) not in (count + 1, count + 2):
        places = _PLACES[count]
        raise ShapeError("pool.planes", op=name, shape=shape, expected=f"(N, C, {places}) / (C, {places})")
    if 0 in shape[-count:]:
        raise ShapeError("pool.empty-plane", op=name, shape=shape, lengths=shape[-count:])


def output_lengths(name: str, output_size: Any, lengths: Shape) -> Shape:
    """The output size of an adaptive pooling; None is the length that the input has.

    Raises
        ArgumentTypeError: neither a whole number nor one an axis.
        ArgumentError: a number is below 1.
    """
    given = output_size if isinstance(output_size, list | tuple) else (output_size,) * len(lengths)
    if len(given) == len(lengths):
        given = tuple(n if m is None else m for n, m in zip(lengths, given, strict=True))
    return per_axis(f"{name}: output_size", given, len(lengths), 1)


class Pooling(Module):
    """What the pooling layers share."""

    between_layers = True
    # How many axes it pools over.
    num_axes: ClassVar[int]

    def _check_flags(self, **flags: Any) -> None:
        for name, value in flags.items():
            check(f"{type(self).__name__}: {name}", value, Flag())


def plain(value: Any) -> Any:
    """A size as it is kept and shown: a number, or a tuple of them."""
    numbers = value if isinstance(value, list | tuple | np.ndarray) else [value]
    kept = tuple(int(n) if isinstance(n, np.integer) else n for n in numbers)
    return kept if numbers is value else kept[0]
