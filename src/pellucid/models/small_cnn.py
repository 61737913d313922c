"""SmallCNN: pictures of any size enter, a score for each class leaves. Users and the command line train it."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CHANNELS, CLASSES, as_pictures, conv_norm
from pellucid.nn import AdaptiveAvgPool2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential

_CHANCE = Real(0, 1, right_open=True)


class SmallCNN(Module):
    """Three convolutions, each with batch normalisation; then the means over nine parts of the picture, so that any
    size will do and what is above still differs from what is below.

    With pictures of 28 x 28 in one channel, 61,042 parameters:

        layer                                  gives
        convolution 3x3, normalisation, ReLU   24 x 28 x 28
        pooling, 2x2                           24 x 14 x 14
        convolution 3x3, normalisation, ReLU   48 x 14 x 14
        pooling, 2x2                           48 x 7 x 7
        convolution 3x3, normalisation, ReLU   96 x 7 x 7
        means over 3 x 3 parts                 96 x 3 x 3
        dropout, linear                        num_classes

    Parameters
        num_classes : classes.
        channels : of the first convolution; the others have two and four times as many.
        dropout : probability before the last layer, in [0, 1).
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W), H and W at least 4.
    Examples
        >>> SmallCNN()(pl.zeros((2, 1, 28, 28))).shape
        (2, 10)
    """

    @checked(num_classes=CLASSES, channels=Integer(1), dropout=_CHANCE, in_channels=CHANNELS)
    def __init__(
        self, num_classes: int = 10, channels: int = 24, dropout: float = 0.0, *, in_channels: int = 1
    ) -> None:
        self.in_channels = int(in_channels)
        self.features = Sequential(
            conv_norm(in_channels, channels, activation=ReLU), MaxPool2d(2),
            conv_norm(channels, 2 * channels, activation=ReLU), MaxPool2d(2),
            conv_norm(2 * channels, 4 * channels, activation=ReLU),
        )  # fmt: skip
        self.head = Sequential(AdaptiveAvgPool2d(3), Flatten(), Dropout(dropout), Linear(9 * 4 * channels, num_classes))

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        y: Tensor = self.head(self.features(as_pictures("SmallCNN", x, self.in_channels)))
        return y


__all__ = ["SmallCNN"]
