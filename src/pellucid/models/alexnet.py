"""AlexNet, in the form of one group that torchvision has, and the original with two: pictures enter, a score for each
class leaves. Users train them, and load torchvision's weights into the first.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CLASSIFIER, as_pictures, normal_001
from pellucid.nn import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    init,
)
from pellucid.ops.shape import flatten


class AlexNet(Module):
    """Five convolutions and three linear layers, in one group and without local response normalisation; 61,100,840
    parameters. Names and shapes are torchvision's, so that its weights load as they are.

    Parameters
        num_classes : classes.
        dropout : probability before the first two linear layers, in [0, 1].
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W), or smaller ones than 63x63.
    Source
        A. Krizhevsky, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997, with
        torchvision's 256 channels in the fourth convolution. Weights start as PyTorch's layers do.
    """

    @checked(**CLASSIFIER)
    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3) -> None:
        self.in_channels = int(in_channels)
        self.features = Sequential(
            Conv2d(in_channels, 64, 11, stride=4, padding=2, init="torch"), ReLU(), MaxPool2d(3, 2),
            Conv2d(64, 192, 5, padding=2, init="torch"), ReLU(), MaxPool2d(3, 2),
            Conv2d(192, 384, 3, padding=1, init="torch"), ReLU(),
            Conv2d(384, 256, 3, padding=1, init="torch"), ReLU(),
            Conv2d(256, 256, 3, padding=1, init="torch"), ReLU(), MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(dropout), Linear(256 * 6 * 6, 4096, init="torch"), ReLU(),
            Dropout(dropout), Linear(4096, 4096, init="torch"), ReLU(),
            Linear(4096, num_classes, init="torch"),
        )  # fmt: skip

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.avgpool(self.features(as_pictures("AlexNet", x, self.in_channels)))
        y: Tensor = self.classifier(flatten(x, 1))
        return y


class AlexNetTwoGroups(Module):
    """The original: the second, fourth and fifth convolutions fall into two groups, as the network was shared between
    two GPUs, and local response normalisation follows the first two; 60,965,224 parameters.

        layer                     channels                  window            with
        convolution               96                        11x11, stride 4   normalisation, pooling 3x3 with stride 2
        convolution, two groups   256                       5x5               normalisation, pooling
        convolution               384                       3x3
        convolution, two groups   384                       3x3
        convolution, two groups   256                       3x3               pooling
        linear                    4096, 4096, num_classes                     dropout before the first two

    Parameters
        num_classes : classes.
        dropout : probability before the first two linear layers, in [0, 1].
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, 227, 227). The paper writes 224, with
            which its own sizes of layers do not come out.
    Source
        Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012,
        sections 3.3 to 3.5, 4.2 and 5: weights start normal with standard deviation 0.01; the biases of the second,
        fourth and fifth convolutions and of the hidden linear layers at 1, the others at 0. The paper's α of the
        normalisation, 1e-4, multiplies the sum over 5 channels, PyTorch's their mean, so that alpha is 5e-4 here.
    """

    @checked(**CLASSIFIER)
    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3) -> None:
        self.in_channels = int(in_channels)
        self.features = Sequential(
            Conv2d(in_channels, 96, 11, stride=4, init=normal_001), ReLU(), _normalized(), MaxPool2d(3, 2),
            Conv2d(96, 256, 5, padding=2, groups=2, init=normal_001), ReLU(), _normalized(), MaxPool2d(3, 2),
            Conv2d(256, 384, 3, padding=1, init=normal_001), ReLU(),
            Conv2d(384, 384, 3, padding=1, groups=2, init=normal_001), ReLU(),
            Conv2d(384, 256, 3, padding=1, groups=2, init=normal_001), ReLU(), MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = Sequential(
            Dropout(dropout), Linear(256 * 6 * 6, 4096, init=normal_001), ReLU(),
            Dropout(dropout), Linear(4096, 4096, init=normal_001), ReLU(),
            Linear(4096, num_classes, init=normal_001),
        )  # fmt: skip
        for layer in (*self.features, *self.classifier[:-1]):
            if isinstance(layer, Linear) or (isinstance(layer, Conv2d) and layer.groups == 2):
                init.ones_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, 227, 227) -> scores (N, num_classes)."""
        x = self.features(as_pictures("AlexNetTwoGroups", x, self.in_channels))
        y: Tensor = self.classifier(flatten(x, 1))
        return y


def _normalized() -> LocalResponseNorm:
    return LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def alexnet(num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3) -> AlexNet:
    """AlexNet in torchvision's form; the arguments are those of `AlexNet`."""
    return AlexNet(num_classes, dropout, in_channels=in_channels)


__all__ = ["AlexNet", "AlexNetTwoGroups", "alexnet"]
