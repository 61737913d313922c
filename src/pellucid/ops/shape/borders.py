"""Padding, mirroring and rolling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array, Axis
from pellucid.core.check import Options, check, shown
from pellucid.core.op import NONE
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import DTypeError, ShapeError
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import normalize_axes, one_axis
from pellucid.ops.shape.joining import concatenate
from pellucid.ops.shape.layout import as_shape, broadcast_to, flatten, reshape


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
        mode : "constant" (of `value`), "reflect" (mirrored without the edge), "edge" (the edge repeated) or "wrap"
            (from the other side).
    Raises
        ShapeError: the widths do not fit the axes, are negative, or "reflect" and "wrap" ask for more than there is.
    """
    x = as_tensor(x)
    check("mode", mode, Options("constant", "reflect", "edge", "wrap"))
    try:
        pairs = np.broadcast_to(np.asarray(widths), (x.ndim, 2))
    except ValueError:
        raise ShapeError("ops.pad-widths", widths=shown(widths), ndim=x.ndim) from None
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ShapeError("ops.pad-widths", widths=shown(widths), ndim=x.ndim)
    sides = tuple((int(a), int(b)) for a, b in pairs)
    if mode == "constant":
        number: Any = value
        if not isinstance(number, int | float | np.number) or (isinstance(number, float) and x.dtype.kind != "f"):
            raise DTypeError("ops.pad-value", value=shown(value), dtype=x.dtype)
        return apply(_pad, [x], {"widths": sides, "value": value})
    y: Tensor = x
    for axis, (before, after) in enumerate(sides):
        n = x.shape[axis]
        limit = {"reflect": n - 1, "wrap": n, "edge": max(before, after) if n else -1}[mode]
        if max(before, after) > max(limit, 0):
            raise ShapeError(
                "ops.pad-mode", mode=mode, axis=axis, length=n, width=max(before, after), limit=max(limit, 0)
            )
        if before or after:
            y = _bordered(y, axis, before, after, mode)
    return y


def _bordered(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """Slices of the tensor in front of it and behind it: their gradients are slices too, and nothing is scattered."""
    n, lead = x.shape[axis], (slice(None),) * axis

    def part(first: int, count: int) -> Tensor:
        return x[(*lead, slice(first, first + count))]

    if mode == "reflect":
        ends = [flip(part(1, before), axis), flip(part(n - 1 - after, after), axis)]
    elif mode == "wrap":
        ends = [part(n - before, before), part(0, after)]
    else:
        shapes = [(*x.shape[:axis], width, *x.shape[axis + 1 :]) for width in (before, after)]
        ends = [broadcast_to(part(0, 1), shapes[0]), broadcast_to(part(n - 1, 1), shapes[1])]
    parts = [ends[0]] * (before > 0) + [x] + [ends[1]] * (after > 0)
    return concatenate(parts, axis=axis)


def _flip_vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], axis: tuple[int, ...]) -> Tensor:
    return apply(_flip, [g], {"axis": axis})


def _flip_index(i: tuple[Any, ...], specs: list[Spec], axis: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(specs[0].shape[n] - 1 - j if n in axis else j for n, j in enumerate(i))


@movement(
    spec=lambda x, *, axis: Spec(x.shape, x.dtype),
    vjp=_flip_vjp,
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
    y: Tensor = x
    for a, s in zip(axes, shifts, strict=True):
        number = one_axis("roll", a, x.ndim)
        n = x.shape[number]
        if n and s % n:
            lead = (slice(None),) * number
            y = concatenate([y[(*lead, slice(n - s % n, None))], y[(*lead, slice(None, n - s % n))]], axis=number)
    return y
