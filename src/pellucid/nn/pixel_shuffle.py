"""Channels exchanged for resolution, and back: every element keeps its value and gets another place."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, check, checked
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn.module import Module
from pellucid.ops.declare import composite
from pellucid.ops.shape import permute, reshape

_FACTOR = Integer(1)


@composite(
    formula="y[n,c, h·r + i, w·r + j] = x[n, c·r² + i·r + j, h, w]",
    onnx=NONE("DepthToSpace in the mode CRD, of 4 axes"),
)
def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """`nn.PixelShuffle` as a function.

    Raises
        ShapeError: fewer than three axes, or channels that upscale_factor² does not divide.
    """
    x, r = as_tensor(input), upscale_factor
    check("pixel_shuffle: upscale_factor", r, _FACTOR)
    if x.ndim < 3:
        raise ShapeError("pool.shuffle-axes", op="pixel_shuffle", shape=x.shape)
    *lead, c, h, w = x.shape
    if c % (r * r):
        raise ShapeError("pool.shuffle", op="pixel_shuffle", shape=x.shape, axis=x.ndim - 3, length=c, divisor=r * r)
    k = len(lead)
    y = reshape(x, (*lead, c // (r * r), r, r, h, w))
    y = permute(y, (*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return reshape(y, (*lead, c // (r * r), h * r, w * r))


@composite(
    formula="y[n, c·r² + i·r + j, h, w] = x[n,c, h·r + i, w·r + j]",
    onnx=NONE("SpaceToDepth has another order of channels"),
)
def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """`nn.PixelUnshuffle` as a function.

    Raises
        ShapeError: fewer than three axes, or height or width that downscale_factor does not divide.
    """
    x, r = as_tensor(input), downscale_factor
    check("pixel_unshuffle: downscale_factor", r, _FACTOR)
    if x.ndim < 3:
        raise ShapeError("pool.shuffle-axes", op="pixel_unshuffle", shape=x.shape)
    *lead, c, h, w = x.shape
    for axis, length in ((x.ndim - 2, h), (x.ndim - 1, w)):
        if length % r:
            raise ShapeError("pool.shuffle", op="pixel_unshuffle", shape=x.shape, axis=axis, length=length, divisor=r)
    k = len(lead)
    y = reshape(x, (*lead, c, h // r, r, w // r, r))
    y = permute(y, (*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return reshape(y, (*lead, c * r * r, h // r, w // r))


class PixelShuffle(Module):
    """Groups of r² channels laid out as squares of r by r pixels.

        y[n,c, h·r + i, w·r + j] = x[n, c·r² + i·r + j, h, w]

    Parameters
        upscale_factor : r.
    Raises
        ShapeError: when called with fewer than three axes, or channels that r² does not divide.
    Source
        Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
        network, CVPR 2016, eq. 4.
    """

    @checked(upscale_factor=_FACTOR)
    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = int(upscale_factor)

    def forward(self, x: Any) -> Tensor:
        """x (..., C·r², H, W) -> (..., C, H·r, W·r)."""
        return pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Squares of r by r pixels laid out as r² channels: the inverse of PixelShuffle.

        y[n, c·r² + i·r + j, h, w] = x[n,c, h·r + i, w·r + j]

    Parameters
        downscale_factor : r.
    Raises
        ShapeError: when called with fewer than three axes, or a height or width that r does not divide.
    """

    @checked(downscale_factor=_FACTOR)
    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = int(downscale_factor)

    def forward(self, x: Any) -> Tensor:
        """x (..., C, H·r, W·r) -> (..., C·r², H, W)."""
        return pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"
