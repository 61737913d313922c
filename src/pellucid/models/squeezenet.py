"""SqueezeNet 1.0: pictures enter, a score for each class leaves. AlexNet's accuracy with a fiftieth of its parameters.
Users train it and load torchvision's weights.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CLASSIFIER, as_pictures, normal_001
from pellucid.nn import AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, Sequential
from pellucid.ops.shape import concatenate, flatten

_PLANES = Integer(1)


class Fire(Module):
    """Few channels by 1x1, then many by 1x1 and 3x3 beside each other.

        y = concatenate(relu(expand1x1(s)), relu(expand3x3(s))),  s = relu(squeeze(x))

    Parameters
        inplanes : channels that enter.
        squeeze_planes, expand1x1_planes, expand3x3_planes : channels that each convolution gives.
    Source
        Iandola et al., SqueezeNet, arXiv:1602.07360, section 3.2.
    """

    @checked(inplanes=_PLANES, squeeze_planes=_PLANES, expand1x1_planes=_PLANES, expand3x3_planes=_PLANES)
    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        self.squeeze = Conv2d(inplanes, squeeze_planes, 1, init="he uniform")
        self.squeeze_activation = ReLU()
        self.expand1x1 = Conv2d(squeeze_planes, expand1x1_planes, 1, init="he uniform")
        self.expand1x1_activation = ReLU()
        self.expand3x3 = Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1, init="he uniform")
        self.expand3x3_activation = ReLU()

    def forward(self, x: Any) -> Tensor:
        """x (N, inplanes, H, W) -> (N, expand1x1_planes + expand3x3_planes, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return concatenate([self.expand1x1_activation(self.expand1x1(x)), wide], axis=1)


# The paper's table 1, between the first convolution and the last: squeeze, expand 1x1, expand 3x3; None is pooling.
_LAYERS: tuple[tuple[int, int, int] | None, ...] = (
    None, (16, 64, 64), (16, 64, 64), (32, 128, 128),
    None, (32, 128, 128), (48, 192, 192), (48, 192, 192), (64, 256, 256),
    None, (64, 256, 256),
)  # fmt: skip


class SqueezeNet(Module):
    """A convolution, eight Fire modules, and a last convolution whose channels are the classes; their means are the
    scores. 1,248,424 parameters.

    Parameters
        num_classes : classes.
        dropout : probability before the last convolution, in [0, 1].
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W), or smaller ones than 21x21.
    Source
        Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size,
        arXiv:1602.07360, table 1. Names, shapes and starting weights are torchvision's.
    Examples
        >>> SqueezeNet(num_classes=10)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(**CLASSIFIER)
    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3) -> None:
        self.in_channels = int(in_channels)
        layers: list[Module] = [Conv2d(in_channels, 96, 7, stride=2, init="he uniform"), ReLU()]
        channels = 96
        for planes in _LAYERS:
            if planes is None:
                layers.append(MaxPool2d(3, 2, ceil_mode=True))
            else:
                layers.append(Fire(channels, *planes))
                channels = planes[1] + planes[2]
        self.features = Sequential(*layers)
        last = Conv2d(channels, num_classes, 1, init=normal_001)
        self.classifier = Sequential(Dropout(dropout), last, ReLU(), AdaptiveAvgPool2d((1, 1)))

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.classifier(self.features(as_pictures("SqueezeNet", x, self.in_channels)))
        return flatten(x, 1)


def squeezenet1_0(num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3) -> SqueezeNet:
    """SqueezeNet 1.0, that of the paper; the arguments are those of `SqueezeNet`."""
    return SqueezeNet(num_classes, dropout, in_channels=in_channels)


__all__ = ["Fire", "SqueezeNet", "squeezenet1_0"]
