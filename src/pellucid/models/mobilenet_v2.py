"""MobileNet V2: pictures enter, a score for each class leaves. Blocks that widen, look around in each channel alone,
and narrow again. Users train it and load torchvision's weights.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import (
    CLASSIFIER,
    WIDTH,
    as_pictures,
    conv_norm,
    divisible,
    he_normal_fan_out,
    normal_001,
)
from pellucid.nn import BatchNorm2d, Conv2d, Dropout, Linear, Module, ReLU6, Sequential
from pellucid.nn.functional import adaptive_avg_pool2d
from pellucid.ops.shape import flatten

# The paper's table 2 between the first convolution and the last: expansion t, channels c, repetitions n, stride s.
_LAYERS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class _InvertedResidual(Module):
    """1x1 to t times as many channels, 3x3 in each channel, 1x1 back without an activation; what entered is added where
    the shape has stayed. The paper's figure 4d."""

    def __init__(self, entering: int, leaving: int, stride: int, expand_ratio: int) -> None:
        wide = entering * expand_ratio
        self.use_res_connect = stride == 1 and entering == leaving
        layers: list[Module] = [] if expand_ratio == 1 else [conv_norm(entering, wide, 1, activation=ReLU6)]
        layers.append(conv_norm(wide, wide, 3, stride, groups=wide, activation=ReLU6))
        layers += [Conv2d(wide, leaving, 1, bias=False, init=he_normal_fan_out), BatchNorm2d(leaving)]
        self.conv = Sequential(*layers)

    def forward(self, x: Any) -> Tensor:
        """x (N, entering, H, W) -> (N, leaving, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.use_res_connect else y


class MobileNetV2(Module):
    """A convolution, 17 inverted residual blocks, a 1x1 convolution, the mean over all places, and a linear layer.
    3,504,872 parameters with a width of 1.

    Parameters
        num_classes : classes.
        width_mult : by which all channels are multiplied, rounded to multiples of 8; those of the last convolution only
            above 1.
        dropout : probability before the linear layer, in [0, 1].
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W).
    Source
        Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, CVPR 2018, table 2. Names, shapes and
        starting weights are torchvision's: convolutions normal with variance 2 / fan_out, the linear layer normal with
        standard deviation 0.01.
    Examples
        >>> MobileNetV2(num_classes=10, width_mult=0.25)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(width_mult=WIDTH, **CLASSIFIER)
    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2, *, in_channels: int = 3
    ) -> None:
        self.in_channels = int(in_channels)
        entering, last = divisible(32 * width_mult), divisible(1280 * max(1.0, width_mult))
        layers: list[Module] = [conv_norm(in_channels, entering, 3, 2, activation=ReLU6)]
        for expand_ratio, channels, repetitions, first_stride in _LAYERS:
            leaving = divisible(channels * width_mult)
            for n in range(repetitions):
                layers.append(_InvertedResidual(entering, leaving, 1 if n else first_stride, expand_ratio))
                entering = leaving
        layers.append(conv_norm(entering, last, 1, activation=ReLU6))
        self.features = Sequential(*layers)
        self.classifier = Sequential(Dropout(dropout), Linear(last, num_classes, init=normal_001))

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.features(as_pictures("MobileNetV2", x, self.in_channels))
        y: Tensor = self.classifier(flatten(adaptive_avg_pool2d(x, (1, 1)), 1))
        return y


def mobilenet_v2(
    num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2, *, in_channels: int = 3
) -> MobileNetV2:
    """MobileNet V2; the arguments are those of `MobileNetV2`."""
    return MobileNetV2(num_classes, width_mult, dropout, in_channels=in_channels)


__all__ = ["MobileNetV2", "mobilenet_v2"]
