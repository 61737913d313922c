"""Borders around the last axes: of a constant, mirrored, repeated, or from the other side. Called on (N, C, ...) or
(C, ...), by PyTorch's names; the last axis comes first in the widths.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pellucid.core.check import Options, Real, check, checked, shown
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.nn.module import Module
from pellucid.ops.shape import pad as pad_axes

Sides = tuple[int, ...]
_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _sides(name: str, given: Any, shape: Any = "()") -> Sides:
    """Widths as a tuple of pairs one after the other.

    Raises
        ArgumentTypeError: they are not whole numbers in pairs.
    """
    items: list[Any] = list(given) if isinstance(given, list | tuple | np.ndarray) else [None]
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in items)
    if not whole or len(items) % 2:
        most = len(shape) if isinstance(shape, tuple) else 3
        raise ArgumentTypeError("pool.pad-widths", op=name, given=shown(given), shape=shape, most=most)
    return tuple(map(int, items))


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Borders around the last axes.

    Parameters
        input : Tensor of any shape with mode "constant"; else (N, C, ...) or (C, ...) with as many axes behind the
            channels as there are pairs.
        pad : widths in pairs, the last axis first: (left, right, top, bottom, front, back). Negative widths cut off.
        mode : "constant" (of `value`), "reflect" (mirrored without the edge), "replicate" (the edge repeated) or
            "circular" (from the other side). pellucid.pad, with NumPy's arguments, calls them by NumPy's words.
        value : of constant borders; None is 0.
    Raises
        ArgumentTypeError: the widths are not whole numbers in pairs.
        ShapeError: the input has not the axes, more is cut off than there is, or a mirrored or circular border is
            wider than the axis gives.
    """
    x = as_tensor(input)
    check("pad: mode", mode, Options(*_MODES))
    sides = _sides("pad", pad, x.shape)
    count = len(sides) // 2
    if count > x.ndim:
        raise ArgumentTypeError("pool.pad-widths", op="pad", given=shown(pad), shape=x.shape, most=x.ndim)
    if mode != "constant":
        if value is not None and value != 0:
            raise ArgumentError("pool.pad-value", op="pad", mode=repr(mode), value=shown(value))
        if x.ndim not in (count + 1, count + 2):
            raise ShapeError("pool.pad-planes", op="pad", shape=x.shape, count=count, low=count + 1, high=count + 2)
    pairs = [(0, 0)] * (x.ndim - count) + [(sides[2 * n], sides[2 * n + 1]) for n in reversed(range(count))]
    for axis, (n, (before, after)) in enumerate(zip(x.shape, pairs, strict=True)):
        cut = min(before, 0) + min(after, 0)
        if cut and n + cut < 1:
            raise ShapeError("pool.pad-cut", op="pad", axis=axis, length=n, before=before, after=after)
    if mode == "circular":
        x = _cut(x, pairs)  # what is cut off does not come in on the other side
    widths = [(max(before, 0), max(after, 0)) for before, after in pairs]
    for axis, (n, sides_here) in enumerate(zip(x.shape, widths, strict=True)):
        most = {"constant": max(sides_here), "reflect": n - 1, "replicate": max(sides_here) * n, "circular": n}[mode]
        width, most = max(sides_here), max(most, 0)
        if width > most:
            raise ShapeError("pool.pad-most", op="pad", mode=repr(mode), axis=axis, length=n, width=width, most=most)
    if any(map(any, widths)):
        x = pad_axes(x, widths, _MODES[mode], 0 if value is None else value)
    return x if mode == "circular" else _cut(x, pairs)


def _cut(x: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """Without what negative widths cut off."""
    if all(before >= 0 and after >= 0 for before, after in pairs):
        return x
    return x[
        tuple(slice(max(-before, 0), n - max(-after, 0)) for n, (before, after) in zip(x.shape, pairs, strict=True))
    ]


class _Padding(Module):
    """What the padding layers share: padding is one width for all sides, or a pair for each axis, the last first."""

    num_axes: ClassVar[int]
    mode: ClassVar[str]
    value: float | None = None

    def __init__(self, padding: Any) -> None:
        name = type(self).__name__
        single = isinstance(padding, int | np.integer) and not isinstance(padding, bool)
        self.padding = (int(padding),) * (2 * self.num_axes) if single else _sides(name, padding)
        if len(self.padding) != 2 * self.num_axes:
            raise ArgumentTypeError(
                "pool.pad-widths",
                op=name,
                given=shown(padding),
                shape=f"(..., {self.num_axes} axes)",
                most=self.num_axes,
            )

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...) or (C, ...) -> the same with longer last axes."""
        return pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Padding):
    mode = "constant"

    @checked(value=Real())
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_Padding):
    mode = "constant"
    value = 0.0


class _ReflectionPad(_Padding):
    mode = "reflect"


class _ReplicationPad(_Padding):
    mode = "replicate"


class _CircularPad(_Padding):
    mode = "circular"


class ConstantPad1d(_ConstantPad):
    """A border of a constant around the last axis.

    Parameters
        padding : one width for all sides, or (left, right); negative widths cut off.
        value : what the border consists of.
    """

    num_axes = 1


class ConstantPad2d(_ConstantPad):
    """A border of a constant around the last two axes.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom); negative widths cut off.
        value : what the border consists of.
    """

    num_axes = 2


class ConstantPad3d(_ConstantPad):
    """A border of a constant around the last three axes.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom, front, back); negative widths cut off.
        value : what the border consists of.
    """

    num_axes = 3


class ZeroPad1d(_ZeroPad):
    """A border of zeros around the last axis.

    Parameters
        padding : one width for all sides, or (left, right); negative widths cut off.
    """

    num_axes = 1


class ZeroPad2d(_ZeroPad):
    """A border of zeros around the last two axes.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom); negative widths cut off.
    """

    num_axes = 2


class ZeroPad3d(_ZeroPad):
    """A border of zeros around the last three axes.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom, front, back); negative widths cut off.
    """

    num_axes = 3


class ReflectionPad1d(_ReflectionPad):
    """A border around the last axis in which the input is mirrored without its edge.

    Parameters
        padding : one width for all sides, or (left, right); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...), or where an axis is not longer
            than its border.
    Examples
        >>> from pellucid import nn
        >>> nn.ReflectionPad1d(2)([[1.0, 2.0, 3.0]]).tolist()
        [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    num_axes = 1


class ReflectionPad2d(_ReflectionPad):
    """A border around the last two axes in which the input is mirrored without its edge.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...), or where an axis is not longer
            than its border.
    """

    num_axes = 2


class ReflectionPad3d(_ReflectionPad):
    """A border around the last three axes in which the input is mirrored without its edge.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom, front, back); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...), or where an axis is not longer
            than its border.
    """

    num_axes = 3


class ReplicationPad1d(_ReplicationPad):
    """A border around the last axis in which the edge is repeated.

    Parameters
        padding : one width for all sides, or (left, right); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...).
    """

    num_axes = 1


class ReplicationPad2d(_ReplicationPad):
    """A border around the last two axes in which the edge is repeated.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...).
    """

    num_axes = 2


class ReplicationPad3d(_ReplicationPad):
    """A border around the last three axes in which the edge is repeated.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom, front, back); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...).
    """

    num_axes = 3


class CircularPad1d(_CircularPad):
    """A border around the last axis that comes from the other side.

    Parameters
        padding : one width for all sides, or (left, right); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...), or where a border is wider
            than its axis.
    """

    num_axes = 1


class CircularPad2d(_CircularPad):
    """A border around the last two axes that comes from the other side.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...), or where a border is wider
            than its axis.
    """

    num_axes = 2


class CircularPad3d(_CircularPad):
    """A border around the last three axes that comes from the other side.

    Parameters
        padding : one width for all sides, or (left, right, top, bottom, front, back); negative widths cut off.
    Raises
        ShapeError: when called with another number of axes than (N, C, ...) or (C, ...), or where a border is wider
            than its axis.
    """

    num_axes = 3
