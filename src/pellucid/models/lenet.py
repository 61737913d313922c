"""LeNet-5: pictures of handwritten digits enter, a score for each class leaves. Users train it."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Options, checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CHANNELS, CLASSES, as_pictures
from pellucid.nn import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Tanh

_ACTIVATIONS = {"relu": ReLU, "tanh": Tanh}
_POOLS = {"max": MaxPool2d, "avg": AvgPool2d}


class LeNet5(Module):
    """Two convolutions with pooling, and three linear layers; 61,706 parameters.

        layer                             gives          with
        convolution, 5x5, a border of 2   6 x 28 x 28    activation
        pooling, 2x2                      6 x 14 x 14
        convolution, 5x5                  16 x 10 x 10   activation
        pooling, 2x2                      16 x 5 x 5
        linear                            120            activation
        linear                            84             activation
        linear                            num_classes

    It is LeCun's network in today's form. His takes digits of 32x32 (the border of 2 gives their surroundings); his
    pooling adds the four values, times a weight and plus a bias that are learned, and puts the sum through a sigmoid;
    his second convolution does not connect all channels; his activation is 1.7159·tanh(2x/3); and his last layer gives
    the squared distances from fixed drawings of the digits. `activation="tanh", pooling="avg"` is the nearest to it.

    Parameters
        num_classes : classes.
        activation : "relu" or "tanh".
        pooling : "max" or "avg".
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, 28, 28).
    Source
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, Proceedings of the
        IEEE 86 (1998), section II.B.
    Examples
        >>> LeNet5()(pl.zeros((2, 1, 28, 28))).shape
        (2, 10)
    """

    @checked(num_classes=CLASSES, activation=Options(*_ACTIVATIONS), pooling=Options(*_POOLS), in_channels=CHANNELS)
    def __init__(
        self, num_classes: int = 10, activation: str = "relu", pooling: str = "max", *, in_channels: int = 1
    ) -> None:
        self.in_channels = int(in_channels)
        act, pool = _ACTIVATIONS[activation], _POOLS[pooling]
        self.features = Sequential(
            Conv2d(in_channels, 6, 5, padding=2), act(), pool(2),
            Conv2d(6, 16, 5), act(), pool(2),
        )  # fmt: skip
        self.classifier = Sequential(
            Flatten(),
            Linear(16 * 5 * 5, 120), act(),
            Linear(120, 84), act(),
            Linear(84, num_classes),
        )  # fmt: skip

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, 28, 28) -> scores (N, num_classes)."""
        y: Tensor = self.classifier(self.features(as_pictures("LeNet5", x, self.in_channels)))
        return y


__all__ = ["LeNet5"]
