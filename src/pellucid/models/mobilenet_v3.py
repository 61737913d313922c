"""MobileNet V3, small: pictures enter, a score for each class leaves. MobileNet V2's blocks with squeeze and excitation
and h-swish, of sizes that a search has found. Users train it and load torchvision's weights.
"""

from __future__ import annotations

from functools import partial
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
from pellucid.nn import (
    AdaptiveAvgPool2d,
    Dropout,
    Hardsigmoid,
    Hardswish,
    Linear,
    Module,
    ReLU,
    Sequential,
    SqueezeExcitation,
)
from pellucid.ops.shape import flatten

# The paper's table 2 between the first convolution and the last: window, expanded channels, channels that leave,
# squeeze and excitation, activation, stride.
_LAYERS = (
    (3, 16, 16, True, ReLU, 2),
    (3, 72, 24, False, ReLU, 2),
    (3, 88, 24, False, ReLU, 1),
    (5, 96, 40, True, Hardswish, 2),
    (5, 240, 40, True, Hardswish, 1),
    (5, 240, 40, True, Hardswish, 1),
    (5, 120, 48, True, Hardswish, 1),
    (5, 144, 48, True, Hardswish, 1),
    (5, 288, 96, True, Hardswish, 2),
    (5, 576, 96, True, Hardswish, 1),
    (5, 576, 96, True, Hardswish, 1),
)

# torchvision's numbers, which are those of the paper's own code.
_conv_norm = partial(conv_norm, eps=0.001, momentum=0.01)


class _InvertedResidual(Module):
    """1x1 to more channels, a window in each channel, a weight for each channel, 1x1 back without an activation; what
    entered is added where the shape has stayed. The paper's figure 4."""

    def __init__(
        self, entering: int, kernel: int, wide: int, leaving: int, use_se: bool, activation: type[Module], stride: int
    ) -> None:
        self.use_res_connect = stride == 1 and entering == leaving
        layers: list[Module] = [] if wide == entering else [_conv_norm(entering, wide, 1, activation=activation)]
        layers.append(_conv_norm(wide, wide, kernel, stride, groups=wide, activation=activation))
        if use_se:
            squeezed = divisible(wide // 4)
            layers.append(SqueezeExcitation(wide, squeezed, ReLU, Hardsigmoid, init=he_normal_fan_out))
        layers.append(_conv_norm(wide, leaving, 1))
        self.block = Sequential(*layers)

    def forward(self, x: Any) -> Tensor:
        """x (N, entering, H, W) -> (N, leaving, H / stride, W / stride)."""
        y: Tensor = self.block(x)
        return y + x if self.use_res_connect else y


class MobileNetV3(Module):
    """MobileNetV3-Small: a convolution, 11 blocks, a 1x1 convolution, the mean over all places, and two linear layers.
    2,542,856 parameters with a width of 1.

    Parameters
        num_classes : classes.
        width_mult : by which all channels are multiplied, rounded to multiples of 8.
        dropout : probability before the last layer, in [0, 1].
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W).
    Source
        Howard et al., Searching for MobileNetV3, ICCV 2019, table 2. Names, shapes and starting weights are
        torchvision's: convolutions normal with variance 2 / fan_out, linear layers normal with standard deviation 0.01.
    Examples
        >>> MobileNetV3(num_classes=10, width_mult=0.25)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(width_mult=WIDTH, **CLASSIFIER)
    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2, *, in_channels: int = 3
    ) -> None:
        self.in_channels = int(in_channels)
        entering = divisible(16 * width_mult)
        layers: list[Module] = [_conv_norm(in_channels, entering, 3, 2, activation=Hardswish)]
        for kernel, expanded, channels, use_se, activation, stride in _LAYERS:
            wide, leaving = divisible(expanded * width_mult), divisible(channels * width_mult)
            layers.append(_InvertedResidual(entering, kernel, wide, leaving, use_se, activation, stride))
            entering = leaving
        layers.append(_conv_norm(entering, 6 * entering, 1, activation=Hardswish))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d(1)
        last = divisible(1024 * width_mult)
        self.classifier = Sequential(
            Linear(6 * entering, last, init=normal_001), Hardswish(), Dropout(dropout),
            Linear(last, num_classes, init=normal_001),
        )  # fmt: skip

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.avgpool(self.features(as_pictures("MobileNetV3", x, self.in_channels)))
        y: Tensor = self.classifier(flatten(x, 1))
        return y


def mobilenet_v3_small(
    num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2, *, in_channels: int = 3
) -> MobileNetV3:
    """MobileNetV3-Small; the arguments are those of `MobileNetV3`."""
    return MobileNetV3(num_classes, width_mult, dropout, in_channels=in_channels)


__all__ = ["MobileNetV3", "mobilenet_v3_small"]
