"""VGG: pictures enter, a score for each class leaves. Convolutions of 3x3 alone, in five stages. Users train it and
load torchvision's weights.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Flag, Options, checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CLASSIFIER, as_pictures, he_normal_fan_out, normal_001
from pellucid.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
)
from pellucid.ops.shape import flatten

# The paper's table 1: the channels of the convolutions of each stage; a stage ends with pooling.
_CONFIGURATIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "B": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "D": ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    "E": ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),
}


class VGG(Module):
    """Stages of 3x3 convolutions, each stage followed by pooling, and three linear layers.

    Parameters
        configuration : a column of the paper's table 1: "A" (VGG-11), "B" (13), "D" (16) or "E" (19).
        num_classes : classes.
        batch_norm : whether batch normalisation follows each convolution.
        dropout : probability after the first two linear layers, in [0, 1].
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W), or smaller ones than 32x32.
    Source
        Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015. Names,
        shapes and starting weights are torchvision's: convolutions normal with variance 2 / fan_out, linear layers
        normal with standard deviation 0.01.
    """

    @checked(configuration=Options(*_CONFIGURATIONS), batch_norm=Flag(), **CLASSIFIER)
    def __init__(
        self,
        configuration: str,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
    ) -> None:
        self.in_channels = int(in_channels)
        layers: list[Module] = []
        entering = in_channels
        for stage in _CONFIGURATIONS[configuration]:
            for channels in stage:
                layers.append(Conv2d(entering, channels, 3, padding=1, init=he_normal_fan_out))
                layers += [BatchNorm2d(channels), ReLU()] if batch_norm else [ReLU()]
                entering = channels
            layers.append(MaxPool2d(2, 2))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(512 * 7 * 7, 4096, init=normal_001), ReLU(), Dropout(dropout),
            Linear(4096, 4096, init=normal_001), ReLU(), Dropout(dropout),
            Linear(4096, num_classes, init=normal_001),
        )  # fmt: skip

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.avgpool(self.features(as_pictures("VGG", x, self.in_channels)))
        y: Tensor = self.classifier(flatten(x, 1))
        return y


def vgg11(num_classes: int = 1000, batch_norm: bool = False, dropout: float = 0.5, *, in_channels: int = 3) -> VGG:
    """VGG with 11 layers of weights, configuration A; 132,863,336 parameters. With `batch_norm` it is torchvision's
    vgg11_bn. The arguments are those of `VGG`."""
    return VGG("A", num_classes, batch_norm, dropout, in_channels=in_channels)


def vgg16(num_classes: int = 1000, batch_norm: bool = False, dropout: float = 0.5, *, in_channels: int = 3) -> VGG:
    """VGG with 16 layers of weights, configuration D; 138,357,544 parameters. With `batch_norm` it is torchvision's
    vgg16_bn. The arguments are those of `VGG`."""
    return VGG("D", num_classes, batch_norm, dropout, in_channels=in_channels)


__all__ = ["VGG", "vgg11", "vgg16"]
