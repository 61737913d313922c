"""EfficientNet: pictures enter, a score for each class leaves. MobileNet's blocks, whose number, width and pictures
grow together. Users train B0 and load torchvision's weights.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import (
    CLASSIFIER,
    PROBABILITY,
    WIDTH,
    as_pictures,
    conv_norm,
    divisible,
    he_normal_fan_out,
)
from pellucid.nn import (
    AdaptiveAvgPool2d,
    Dropout,
    Linear,
    Module,
    Sequential,
    SiLU,
    SqueezeExcitation,
    StochasticDepth,
    init,
)
from pellucid.ops.shape import flatten

# The paper's table 1, stages 2 to 8: expansion, window, stride, channels, layers.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def _uniform_by_outputs(weight: Tensor) -> Tensor:
    """Uniform in ±1/√out_features: how the paper's code starts its last layer."""
    bound = 1.0 / math.sqrt(weight.shape[0])
    return init.uniform_(weight, -bound, bound)


class _MBConv(Module):
    """1x1 to more channels, a window in each channel, a weight for each channel, 1x1 back without an activation; what
    entered is added where the shape has stayed, and in training the rest left out at times."""

    def __init__(
        self, entering: int, leaving: int, expand_ratio: int, kernel: int, stride: int, depth_prob: float
    ) -> None:
        self.use_res_connect = stride == 1 and entering == leaving
        wide = divisible(entering * expand_ratio)
        layers: list[Module] = [] if wide == entering else [conv_norm(entering, wide, 1, activation=SiLU)]
        layers += [
            conv_norm(wide, wide, kernel, stride, groups=wide, activation=SiLU),
            SqueezeExcitation(wide, max(1, entering // 4), SiLU, init=he_normal_fan_out),
            conv_norm(wide, leaving, 1),
        ]
        self.block = Sequential(*layers)
        self.stochastic_depth = StochasticDepth(depth_prob, "row")

    def forward(self, x: Any) -> Tensor:
        """x (N, entering, H, W) -> (N, leaving, H / stride, W / stride)."""
        y: Tensor = self.block(x)
        return self.stochastic_depth(y) + x if self.use_res_connect else y


class EfficientNet(Module):
    """A convolution, seven stages of blocks, a 1x1 convolution, the mean over all places, and a linear layer. 5,288,548
    parameters with a width and a depth of 1, which is B0.

    Parameters
        width_mult : by which all channels are multiplied, rounded to multiples of 8.
        depth_mult : by which the layers of each stage are multiplied, rounded up.
        num_classes : classes.
        dropout : probability before the linear layer, in [0, 1].
        stochastic_depth_prob : probability with which the last block would be left out in training; it grows from 0 at
            the first block in equal steps.
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W).
    Source
        Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, ICML 2019, table 1. Names,
        shapes and starting weights are torchvision's: convolutions normal with variance 2 / fan_out, the linear layer
        uniform in ±1/√num_classes.
    Examples
        >>> EfficientNet(0.25, 0.5, num_classes=10)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(width_mult=WIDTH, depth_mult=WIDTH, stochastic_depth_prob=PROBABILITY, **CLASSIFIER)
    def __init__(
        self,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stochastic_depth_prob: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> None:
        self.in_channels = int(in_channels)
        entering = divisible(32 * width_mult)
        depths = [math.ceil(layers * depth_mult) for *_, layers in _STAGES]
        parts: list[Module] = [conv_norm(in_channels, entering, 3, 2, activation=SiLU)]
        done = 0
        for (expand_ratio, kernel, first_stride, channels, _), depth in zip(_STAGES, depths, strict=True):
            leaving, blocks = divisible(channels * width_mult), []
            for n in range(depth):
                probability = stochastic_depth_prob * done / sum(depths)
                stride = 1 if n else first_stride
                blocks.append(_MBConv(entering, leaving, expand_ratio, kernel, stride, probability))
                entering = leaving
                done += 1
            parts.append(Sequential(*blocks))
        parts.append(conv_norm(entering, 4 * entering, 1, activation=SiLU))
        self.features = Sequential(*parts)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Sequential(Dropout(dropout), Linear(4 * entering, num_classes, init=_uniform_by_outputs))

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.avgpool(self.features(as_pictures("EfficientNet", x, self.in_channels)))
        y: Tensor = self.classifier(flatten(x, 1))
        return y


def efficientnet_b0(
    num_classes: int = 1000, dropout: float = 0.2, stochastic_depth_prob: float = 0.2, *, in_channels: int = 3
) -> EfficientNet:
    """EfficientNet-B0; the arguments are those of `EfficientNet`."""
    return EfficientNet(1.0, 1.0, num_classes, dropout, stochastic_depth_prob, in_channels=in_channels)


__all__ = ["EfficientNet", "efficientnet_b0"]
