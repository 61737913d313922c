"""What several networks for pictures are built of: the check of what enters, the layers that follow a convolution, and
the rules by which weights start. The files of the networks use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid.core.check import Constraint, Integer, Real
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn import BatchNorm2d, Conv2d, Module, Sequential, init

CLASSES, CHANNELS, PROBABILITY, WIDTH = Integer(1), Integer(1), Real(0, 1), Real(0, left_open=True)
CLASSIFIER: dict[str, Constraint] = {"num_classes": CLASSES, "dropout": PROBABILITY, "in_channels": CHANNELS}
"""Constraints of the arguments that nearly every network has."""


def as_pictures(network: str, x: Any, channels: int, size: int | None = None, step: int = 1) -> Tensor:
    """x as a Tensor (N, channels, H, W). One picture without N is refused: flattened, its channels would be its rows.

    Parameters
        size : height and width that the network was made for; None where it takes any.
        step : what a size that the network can be made for is a multiple of.
    Raises
        ShapeError: another number of axes or channels, or another size.
    """
    pictures: Tensor = as_tensor(x)
    shape = pictures.shape
    if len(shape) != 4 or shape[1] != channels:
        suggestion = None
        if len(shape) == 4 and shape[3] == channels:
            suggestion = "x.permute((0, 3, 1, 2))"
        elif len(shape) == 3 and shape[0] == channels:
            suggestion = "x[None]"
        elif len(shape) == 3 and channels == 1:
            suggestion = "x[:, None]"
        raise ShapeError("models.pictures", network=network, shape=shape, channels=channels, suggestion=suggestion)
    height, width = shape[2:]
    if size is not None and (height, width) != (size, size):
        fits = height == width and height > 0 and height % step == 0
        raise ShapeError(
            "models.picture-size",
            network=network,
            height=height,
            width=width,
            size=size,
            suggestion=f"image_size={height}" if fits else None,
        )
    return pictures


def divisible(width: float, divisor: int = 8) -> int:
    """The multiple of divisor nearest to width, and not below nine tenths of it: how MobileNets round their channels.

    Source
        tensorflow/models, research/slim/nets/mobilenet/mobilenet.py, _make_divisible.
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], Module] | None = None,
    eps: float = 1e-5,
    momentum: float = 0.1,
) -> Sequential:
    """A convolution that keeps height and width (or divides them by the stride), batch normalisation, activation.

    The convolution has no bias: the normalisation would take it away.
    """
    layers: list[Module] = [
        Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            (kernel_size - 1) // 2,
            groups=groups,
            bias=False,
            init=he_normal_fan_out,
        ),
        BatchNorm2d(out_channels, eps, momentum),
    ]
    return Sequential(*layers, *([] if activation is None else [activation()]))


def he_normal_fan_out(weight: Tensor) -> Tensor:
    """He's rule for gradients: normal with variance 2 / fan_out."""
    return init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def normal_001(weight: Tensor) -> Tensor:
    """Normal with standard deviation 0.01."""
    return init.normal_(weight, 0.0, 0.01)


def uniform_fan_in(weight: Tensor) -> Tensor:
    """Uniform in ±1/√fan_in: how PyTorch's layers start."""
    bound = 1.0 / math.sqrt(init.calculate_fan_in_and_fan_out(weight)[0])
    return init.uniform_(weight, -bound, bound)
