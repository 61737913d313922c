"""DenseNet-121: pictures enter, a score for each class leaves. Every layer sees what all layers of its block have
given. Users train it and load torchvision's weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.core.check import Integer, Pair, check, checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CHANNELS, CLASSES, PROBABILITY, as_pictures, uniform_fan_in
from pellucid.nn import AvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential
from pellucid.nn.functional import adaptive_avg_pool2d, dropout
from pellucid.ops.activation import relu
from pellucid.ops.shape import concatenate, flatten


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> Conv2d:
    border = (kernel_size - 1) // 2
    return Conv2d(in_channels, out_channels, kernel_size, stride, border, bias=False, init="he normal")


class _DenseLayer(Module):
    """What a layer adds: 1x1 to bn_size·growth_rate channels, 3x3 to growth_rate, each of normalised ReLUs."""

    def __init__(self, entering: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        self.norm1 = BatchNorm2d(entering)
        self.relu1 = ReLU()
        self.conv1 = _conv(entering, bn_size * growth_rate, 1)
        self.norm2 = BatchNorm2d(bn_size * growth_rate)
        self.relu2 = ReLU()
        self.conv2 = _conv(bn_size * growth_rate, growth_rate, 3)
        self.drop_rate = drop_rate

    def forward(self, x: Any) -> Tensor:
        """x (N, entering, H, W) -> (N, growth_rate, H, W)."""
        y = self.conv1(self.relu1(self.norm1(x)))
        return dropout(self.conv2(self.relu2(self.norm2(y))), self.drop_rate, self.training)


class _DenseBlock(Module):
    """Layers in a row, each given what entered and all that the layers before it gave."""

    def __init__(self, num_layers: int, entering: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        for n in range(num_layers):
            layer = _DenseLayer(entering + n * growth_rate, growth_rate, bn_size, drop_rate)
            self.add_module(f"denselayer{n + 1}", layer)

    def forward(self, x: Any) -> Tensor:
        """x (N, entering, H, W) -> (N, entering + num_layers·growth_rate, H, W)."""
        for layer in self.children():
            x = concatenate([x, layer(x)], axis=1)
        return x  # type: ignore[no-any-return]


def _transition(entering: int) -> Sequential:
    """Half the channels, half the height and width."""
    conv = _conv(entering, entering // 2, 1)
    return Sequential({"norm": BatchNorm2d(entering), "relu": ReLU(), "conv": conv, "pool": AvgPool2d(2, 2)})


class DenseNet(Module):
    """A 7x7 convolution, pooling, four dense blocks with a transition between each two, the mean over all places, and a
    linear layer.

        part                       of 121      channels that leave
        conv0, pool0                           64
        denseblock1, transition1   6 layers    64 + 6·32 = 256, then 128
        denseblock2, transition2   12 layers   512, then 256
        denseblock3, transition3   24 layers   1024, then 512
        denseblock4                16 layers   1024

    Parameters
        growth_rate : channels that each layer adds; the paper's k.
        block_config : layers in each of the four blocks.
        num_init_features : channels of the first convolution.
        bn_size : channels between a layer's two convolutions, in multiples of growth_rate.
        drop_rate : probability of dropout after each layer, in [0, 1].
        num_classes : classes.
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W), or smaller ones than 29x29.
    Source
        Huang, Liu, van der Maaten and Weinberger, Densely connected convolutional networks, CVPR 2017, table 1, the
        form with bottlenecks and compression of 0.5. Names, shapes and starting weights are torchvision's:
        convolutions normal with variance 2 / fan_in.
    Examples
        >>> DenseNet(4, (1, 1, 1, 1), 8, num_classes=10)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(
        growth_rate=Integer(1),
        num_init_features=Integer(1),
        bn_size=Integer(1),
        drop_rate=PROBABILITY,
        num_classes=CLASSES,
        in_channels=CHANNELS,
    )
    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
    ) -> None:
        check("DenseNet: block_config", block_config, Pair(Integer(1), 4))
        self.in_channels = int(in_channels)
        channels = num_init_features
        parts: dict[str, Module] = {
            "conv0": _conv(in_channels, channels, 7, 2),
            "norm0": BatchNorm2d(channels),
            "relu0": ReLU(),
            "pool0": MaxPool2d(3, 2, 1),
        }
        for n, num_layers in enumerate(block_config, 1):
            parts[f"denseblock{n}"] = _DenseBlock(num_layers, channels, growth_rate, bn_size, float(drop_rate))
            channels += num_layers * growth_rate
            if n < len(block_config):
                parts[f"transition{n}"] = _transition(channels)
                channels //= 2
        parts["norm5"] = BatchNorm2d(channels)
        self.features = Sequential(parts)
        self.classifier = Linear(channels, num_classes, init=uniform_fan_in)

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = relu(self.features(as_pictures("DenseNet", x, self.in_channels)))
        return self.classifier(flatten(adaptive_avg_pool2d(x, (1, 1)), 1))  # type: ignore[no-any-return]


def densenet121(num_classes: int = 1000, drop_rate: float = 0.0, *, in_channels: int = 3) -> DenseNet:
    """DenseNet with 121 layers of weights; 7,978,856 parameters. The arguments are those of `DenseNet`."""
    return DenseNet(num_classes=num_classes, drop_rate=drop_rate, in_channels=in_channels)


__all__ = ["DenseNet", "densenet121"]
