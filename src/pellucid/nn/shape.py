"""Layers that compute nothing: Identity hands its input on, Flatten and Unflatten change its shape."""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn.module import Module
from pellucid.ops._families.reduction import normalize_axes
from pellucid.ops.shape import flatten, reshape


class Identity(Module):
    """Hands its input on: a place to put another layer later.

    Parameters
        args, kwargs : anything; ignored, so that it can stand for any layer.
    """

    between_layers = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """x, unchanged."""
        return x

    def _features_after(self, given: int | None) -> int | None:
        return given


class Flatten(Module):
    """Several axes as one.

    Parameters
        start_axis, end_axis : the first and the last of them; PyTorch's `start_dim` and `end_dim`.
    Examples
        >>> from pellucid import nn
        >>> nn.Flatten()(pl.ones((2, 3, 4))).shape
        (2, 12)
    """

    @checked(start_axis=Integer(), end_axis=Integer())
    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = int(start_axis), int(end_axis)

    def forward(self, x: Any) -> Tensor:
        """x (N, a, b, ...) -> (N, a·b·...) with the axes of the default."""
        return flatten(x, self.start_axis, self.end_axis)

    def extra_repr(self) -> str:
        return f"start_axis={self.start_axis}, end_axis={self.end_axis}"


class Unflatten(Module):
    """One axis as several.

    Parameters
        axis : the axis to be split; PyTorch's `dim`.
        unflattened_size : its new lengths; one of them may be -1.
    Raises
        ShapeError: when called with an axis whose length is not their product.
    Examples
        >>> from pellucid import nn
        >>> nn.Unflatten(1, (3, 4))(pl.ones((2, 12))).shape
        (2, 3, 4)
    """

    @checked(axis=Integer())
    def __init__(self, axis: int, unflattened_size: Any) -> None:
        sizes: tuple[Any, ...] = tuple(unflattened_size) if isinstance(unflattened_size, list | tuple) else ()
        numbers = all(isinstance(n, int) and not isinstance(n, bool) for n in sizes)
        if not sizes or not numbers or sizes.count(-1) > 1 or any(n < -1 for n in sizes):
            raise ArgumentError("nn.unflatten-sizes", given=repr(unflattened_size))
        self.axis, self.unflattened_size = int(axis), sizes

    def forward(self, x: Any) -> Tensor:
        """x (..., a·b, ...) -> (..., a, b, ...)."""
        x = as_tensor(x)
        (axis,) = normalize_axes("Unflatten", self.axis, x.ndim)
        length, sizes = x.shape[axis], self.unflattened_size
        known = math.prod(n for n in sizes if n != -1)
        if length != known and (-1 not in sizes or known == 0 or length % known):
            raise ShapeError("nn.unflatten", shape=x.shape, axis=axis, length=length, sizes=sizes)
        return reshape(x, (*x.shape[:axis], *(length // known if n == -1 else n for n in sizes), *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"axis={self.axis}, unflattened_size={self.unflattened_size}"
