"""Squeeze and excitation: pictures enter, and leave with each channel scaled by a number between 0 and 1 that two small
layers work out from the means of all channels. Blocks of MobileNet V3 and EfficientNet hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.nn.activation import ReLU, Sigmoid
from pellucid.nn.conv import Conv2d
from pellucid.nn.module import Module
from pellucid.nn.pooling import AdaptiveAvgPool2d


class SqueezeExcitation(Module):
    """Each channel of a picture times a number that follows from the means of all channels.

        y[n,c,h,w] = x[n,c,h,w]·s[n,c],  s = scale_activation(fc2(activation(fc1(mean of x over h and w))))

    Parameters
        input_channels : channels that enter and leave.
        squeeze_channels : channels between the two layers.
        activation, scale_activation : classes of layers, or functions that make one.
        init, dtype : of both layers, as for Conv2d.
    Attributes
        fc1, fc2 : Conv2d with windows of 1x1: on means they are linear layers.
    Raises
        ShapeError: when called with another number of channels.
    Source
        Hu, Shen and Sun, Squeeze-and-excitation networks, CVPR 2018, eq. 2 to 4; arguments and names as in torchvision.
    Examples
        >>> from pellucid import nn
        >>> nn.SqueezeExcitation(8, 2)(pl.ones((5, 8, 4, 4))).shape
        (5, 8, 4, 4)
    """

    @checked(input_channels=Integer(1), squeeze_channels=Integer(1))
    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Callable[[], Module] = ReLU,
        scale_activation: Callable[[], Module] = Sigmoid,
        *,
        init: Any = None,
        dtype: Any = None,
    ) -> None:
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(input_channels, squeeze_channels, 1, init=init, dtype=dtype)
        self.fc2 = Conv2d(squeeze_channels, input_channels, 1, init=init, dtype=dtype)
        self.activation, self.scale_activation = activation(), scale_activation()

    def forward(self, x: Any) -> Tensor:
        """x (N, C, H, W) or (C, H, W) -> the same shape."""
        x = as_tensor(x)
        scale = self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
        return scale * x  # type: ignore[no-any-return]
