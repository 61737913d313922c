"""ResNets: pictures enter, a score for each class leaves. ResNet-18, 34 and 50 for large pictures have torchvision's
names and load its weights; `CifarResNet` is the paper's other family, for pictures of 32x32. Users train them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.core.check import Flag, Integer, Options, Pair, check, checked
from pellucid.core.tensor import Tensor
from pellucid.models._picture_parts import CHANNELS, CLASSES, as_pictures, he_normal_fan_out
from pellucid.nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential, init
from pellucid.ops.shape import flatten, pad


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> Conv2d:
    border = (kernel_size - 1) // 2
    return Conv2d(in_channels, out_channels, kernel_size, stride, border, bias=False, init=he_normal_fan_out)


class BasicBlock(Module):
    """Two 3x3 convolutions, and what entered added to what they give.

        y = relu(shortcut(x) + bn2(conv2(relu(bn1(conv1(x))))))

    Parameters
        inplanes : channels that enter.
        planes : channels that leave.
        stride : of the first convolution.
        downsample : what gives x the shape of the sum; None hands it on.
    Source
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, figure 5, left.
    """

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        self.conv1 = _conv(inplanes, planes, 3, stride)
        self.bn1 = BatchNorm2d(planes)
        self.relu = ReLU()
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = BatchNorm2d(planes)
        self.add_module("downsample", downsample)

    def forward(self, x: Any) -> Tensor:
        """x (N, inplanes, H, W) -> (N, planes, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + shortcut)  # type: ignore[no-any-return]


class Bottleneck(Module):
    """1x1 to fewer channels, 3x3, and 1x1 to four times as many; what entered is added.

        y = relu(shortcut(x) + bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))))

    The stride is that of the 3x3 convolution, as in torchvision; in the paper it is that of the first.

    Parameters
        inplanes : channels that enter.
        planes : channels between the convolutions; four times as many leave.
        stride : of the second convolution.
        downsample : what gives x the shape of the sum; None hands it on.
    Source
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, figure 5, right.
    """

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        self.conv1 = _conv(inplanes, planes, 1)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3, stride)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = _conv(planes, planes * self.expansion, 1)
        self.bn3 = BatchNorm2d(planes * self.expansion)
        self.relu = ReLU()
        self.add_module("downsample", downsample)

    def forward(self, x: Any) -> Tensor:
        """x (N, inplanes, H, W) -> (N, 4·planes, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + shortcut)  # type: ignore[no-any-return]


def _projection(inplanes: int, planes: int, stride: int) -> Sequential:
    """The paper's option B: a learned 1x1 convolution, normalised."""
    return Sequential(_conv(inplanes, planes, 1, stride), BatchNorm2d(planes))


class PaddedShortcut(Module):
    """The paper's option A: every stride-th row and column, and channels of zeros behind the others. It has no
    parameters.

    Parameters
        channels : channels of zeros.
        stride : steps between the rows and columns that are taken.
    Source
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, section 3.3, (A).
    """

    @checked(channels=Integer(0), stride=Integer(1))
    def __init__(self, channels: int, stride: int = 1) -> None:
        self.channels, self.stride = int(channels), int(stride)

    def forward(self, x: Any) -> Tensor:
        """x (N, C, H, W) -> (N, C + channels, H / stride, W / stride), lengths rounded up."""
        return pad(x[:, :, :: self.stride, :: self.stride], ((0, 0), (0, self.channels), (0, 0), (0, 0)))

    def extra_repr(self) -> str:
        return f"channels={self.channels}, stride={self.stride}"


def _stage(
    block: type[BasicBlock | Bottleneck], inplanes: int, planes: int, blocks: int, stride: int, option: str = "B"
) -> Sequential:
    """Blocks in a row; the first changes the number of channels and the size, its shortcut likewise."""
    leaving = planes * block.expansion
    shortcut: Module | None = None
    if stride != 1 or inplanes != leaving:
        shortcut = (
            _projection(inplanes, leaving, stride) if option == "B" else PaddedShortcut(leaving - inplanes, stride)
        )
    later = [block(leaving, planes) for _ in range(blocks - 1)]
    return Sequential(block(inplanes, planes, stride, shortcut), *later)


def _zero_last_norms(model: Module) -> None:
    """Each block starts as its shortcut alone. Source: Goyal et al., arXiv:1706.02677, section 5.1."""
    for module in model.modules():
        if isinstance(module, Bottleneck):
            init.zeros_(module.bn3.weight)  # type: ignore[arg-type]
        elif isinstance(module, BasicBlock):
            init.zeros_(module.bn2.weight)  # type: ignore[arg-type]


class ResNet(Module):
    """A 7x7 convolution, pooling, four stages of residual blocks, the mean over all places, and a linear layer.

        stage    channels   stride   18   34   50
        layer1   64         1        2    3    3
        layer2   128        2        2    4    4
        layer3   256        2        2    6    6
        layer4   512        2        2    3    3

    Shortcuts that change the shape are the paper's option B, 1x1 convolutions.

    Parameters
        block : BasicBlock or Bottleneck.
        layers : blocks in each of the four stages.
        num_classes : classes.
        zero_init_residual : whether the last normalisation of each block starts at 0, so that a block starts as its
            shortcut.
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W).
    Source
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, table 1. Names, shapes and
        starting weights are torchvision's: convolutions normal with variance 2 / fan_out.
    Examples
        >>> ResNet(BasicBlock, (1, 1, 1, 1), num_classes=10)(pl.zeros((2, 3, 33, 33))).shape
        (2, 10)
    """

    @checked(
        block=Options(BasicBlock, Bottleneck), num_classes=CLASSES, zero_init_residual=Flag(), in_channels=CHANNELS
    )
    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        *,
        in_channels: int = 3,
    ) -> None:
        check("ResNet: layers", layers, Pair(Integer(1), 4))
        self.in_channels = int(in_channels)
        self.conv1 = Conv2d(in_channels, 64, 7, 2, 3, bias=False, init=he_normal_fan_out)
        self.bn1 = BatchNorm2d(64)
        self.relu = ReLU()
        self.maxpool = MaxPool2d(3, 2, 1)
        e = block.expansion
        self.layer1 = _stage(block, 64, 64, layers[0], 1)
        self.layer2 = _stage(block, 64 * e, 128, layers[1], 2)
        self.layer3 = _stage(block, 128 * e, 256, layers[2], 2)
        self.layer4 = _stage(block, 256 * e, 512, layers[3], 2)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * e, num_classes, init="torch")
        if zero_init_residual:
            _zero_last_norms(self)

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = as_pictures("ResNet", x, self.in_channels)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


class CifarResNet(Module):
    """The paper's ResNet for pictures of 32x32: a 3x3 convolution, three stages of 16, 32 and 64 channels with
    `num_blocks` blocks each, the mean over all places, and a linear layer: 6·num_blocks + 2 layers of weights.

    Parameters
        num_blocks : blocks in each of the three stages; 3 is ResNet-20.
        num_classes : classes.
        shortcut : "A", as in the paper: where the shape changes, every other row and column with channels of zeros
            behind the others; "B": a 1x1 convolution with normalisation, as others have it.
        in_channels : channels of the pictures.
    Raises
        ShapeError: when called with other than pictures (N, in_channels, H, W).
    Source
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, section 4.2. Names are those of
        torchvision's ResNet, and so are the starting weights.
    Examples
        >>> CifarResNet(1)(pl.zeros((2, 3, 32, 32))).shape
        (2, 10)
    """

    @checked(num_blocks=Integer(1), num_classes=CLASSES, shortcut=Options("A", "B"), in_channels=CHANNELS)
    def __init__(self, num_blocks: int, num_classes: int = 10, shortcut: str = "A", *, in_channels: int = 3) -> None:
        self.in_channels = int(in_channels)
        self.conv1 = _conv(in_channels, 16, 3)
        self.bn1 = BatchNorm2d(16)
        self.relu = ReLU()
        self.layer1 = _stage(BasicBlock, 16, 16, num_blocks, 1)
        self.layer2 = _stage(BasicBlock, 16, 32, num_blocks, 2, shortcut)
        self.layer3 = _stage(BasicBlock, 32, 64, num_blocks, 2, shortcut)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(64, num_classes, init="torch")

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) -> scores (N, num_classes)."""
        x = self.relu(self.bn1(self.conv1(as_pictures("CifarResNet", x, self.in_channels))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


def resnet18(num_classes: int = 1000, zero_init_residual: bool = False, *, in_channels: int = 3) -> ResNet:
    """ResNet with 18 layers of weights; 11,689,512 parameters. The arguments are those of `ResNet`."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, zero_init_residual, in_channels=in_channels)


def resnet34(num_classes: int = 1000, zero_init_residual: bool = False, *, in_channels: int = 3) -> ResNet:
    """ResNet with 34 layers of weights; 21,797,672 parameters. The arguments are those of `ResNet`."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, zero_init_residual, in_channels=in_channels)


def resnet50(num_classes: int = 1000, zero_init_residual: bool = False, *, in_channels: int = 3) -> ResNet:
    """ResNet with 50 layers of weights, of bottlenecks; 25,557,032 parameters. The arguments are those of `ResNet`."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, zero_init_residual, in_channels=in_channels)


def resnet20(num_classes: int = 10, shortcut: str = "A", *, in_channels: int = 3) -> CifarResNet:
    """ResNet with 20 layers of weights for pictures of 32x32; 269,722 parameters, with `shortcut="B"` 272,474. The
    arguments are those of `CifarResNet`."""
    return CifarResNet(3, num_classes, shortcut, in_channels=in_channels)


__all__ = [
    "BasicBlock",
    "Bottleneck",
    "CifarResNet",
    "PaddedShortcut",
    "ResNet",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
]
