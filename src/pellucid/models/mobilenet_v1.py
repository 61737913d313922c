"""MobileNet: pictures enter, a score for each class leaves. Convolutions that see one channel each, and 1x1
convolutions between the channels, by turns. Users train it.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CLASSIFIER, WIDTH, as_pictures, conv_norm, normal_001
from pellucid.nn import AdaptiveAvgPool2d, Dropout, Linear, Module, ReLU, Sequential
from pellucid.ops.shape import flatten

# The paper's table 1 after the first convolution: channels that leave, stride.
_LAYERS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


class MobileNetV1(Module):
    """A convolution, 13 depthwise separable ones, the mean over all places, and a linear layer. Batch normalisation and
    ReLU follow every convolution. 4,231,976 parameters with a width of 1.

    Parameters
        num_classes : classes.
        width_mult : the paper's α, by which all channels are multiplied, rounded down.
        dropout : probability before the linear layer, in [0, 1].
        in_channels : channels of the pictures.
    Attributes
        features : Sequential; each separable convolution is a Sequential of the depthwise part and the 1x1 part, and
            each part one of convolution, normalisation and ReLU, named as those of MobileNet V2.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W).
    Source
        Howard et al., MobileNets: efficient convolutional neural networks for mobile vision applications,
        arXiv:1704.04861, table 1. (Its last stride of 2, which does not fit its sizes, is 1, as everywhere.) Weights
        start as MobileNet V2's.
    Examples
        >>> MobileNetV1(num_classes=10, width_mult=0.25)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(width_mult=WIDTH, **CLASSIFIER)
    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.0, *, in_channels: int = 3
    ) -> None:
        self.in_channels = int(in_channels)

        def width(channels: int) -> int:
            return max(1, int(channels * width_mult))

        entering = width(32)
        layers = [conv_norm(in_channels, entering, 3, 2, activation=ReLU)]
        for channels, stride in _LAYERS:
            depthwise = conv_norm(entering, entering, 3, stride, groups=entering, activation=ReLU)
            layers.append(Sequential(depthwise, conv_norm(entering, width(channels), 1, activation=ReLU)))
            entering = width(channels)
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Sequential(Dropout(dropout), Linear(entering, num_classes, init=normal_001))

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.avgpool(self.features(as_pictures("MobileNetV1", x, self.in_channels)))
        y: Tensor = self.classifier(flatten(x, 1))
        return y


def mobilenet_v1(
    num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.0, *, in_channels: int = 3
) -> MobileNetV1:
    """MobileNet, the first; the arguments are those of `MobileNetV1`."""
    return MobileNetV1(num_classes, width_mult, dropout, in_channels=in_channels)


__all__ = ["MobileNetV1", "mobilenet_v1"]
