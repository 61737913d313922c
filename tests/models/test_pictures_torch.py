"""Networks for pictures against the same networks in PyTorch, from the same weights, in float64: scores in use, and for
small ones scores and every gradient in training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pellucid as pl
from pellucid import models

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("tests.models.torch_pictures")
pytestmark = pytest.mark.torch

F = torch.nn.functional


class Case(NamedTuple):
    """A network of ours, the function in PyTorch, the size and channels of pictures, and whether it is trained too."""

    ours: Callable[[], Any]
    expected: Callable[[Any, Any], Any]
    size: int
    channels: int = 3
    trained: bool = True


VGG11 = "64 M 128 M 256 256 M 512 512 M 512 512 M"
VGG16 = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"

SMALL = {
    "LeNet-5": Case(lambda: models.LeNet5(), lambda r, x: theirs.lenet5(r, x, F.relu, F.max_pool2d), 28, 1),
    "LeNet-5, tanh": Case(
        lambda: models.LeNet5(7, "tanh", "avg"), lambda r, x: theirs.lenet5(r, x, torch.tanh, F.avg_pool2d), 28, 1
    ),
    "SqueezeNet": Case(lambda: models.squeezenet1_0(10, 0.0), theirs.squeezenet, 33),
    "ResNet-20 A": Case(lambda: models.resnet20(), lambda r, x: theirs.resnet(r, x, (3, 3, 3), "A"), 15),
    "ResNet-20 B": Case(
        lambda: models.resnet20(shortcut="B", in_channels=1), lambda r, x: theirs.resnet(r, x, (3, 3, 3)), 16, 1
    ),
    "ResNet": Case(
        lambda: models.ResNet(models.BasicBlock, (1, 2, 1, 1), 10), lambda r, x: theirs.resnet(r, x, (1, 2, 1, 1)), 48
    ),
    "ResNet, bottlenecks": Case(
        lambda: models.ResNet(models.Bottleneck, (1, 2, 1, 1), 10), lambda r, x: theirs.resnet(r, x, (1, 2, 1, 1)), 48
    ),
    "DenseNet": Case(
        lambda: models.DenseNet(8, (2, 2, 3, 2), 16, num_classes=10),
        lambda r, x: theirs.densenet(r, x, (2, 2, 3, 2)),
        64,
    ),
    "MobileNet V1": Case(lambda: models.mobilenet_v1(10, 0.25), theirs.mobilenet_v1, 64),
    "MobileNet V2": Case(lambda: models.mobilenet_v2(10, 0.35, 0.0), theirs.mobilenet_v2, 64),
    "MobileNet V3": Case(lambda: models.mobilenet_v3_small(10, 0.5, 0.0), theirs.mobilenet_v3_small, 64),
    "EfficientNet": Case(
        lambda: models.EfficientNet(0.5, 0.5, 10, 0.0, 0.0),
        lambda r, x: theirs.efficientnet(r, x, (1, 1, 1, 2, 2, 2, 1)),
        64,
    ),
    "ViT": Case(
        lambda: models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=10),
        lambda r, x: theirs.vision_transformer(r, x, 8, 2, 4),
        32,
    ),
}

FULL = {
    "AlexNet": Case(lambda: models.alexnet(10), theirs.alexnet, 96, trained=False),
    "AlexNet, two groups": Case(lambda: models.AlexNetTwoGroups(10), theirs.alexnet_two_groups, 227, trained=False),
    "VGG-11": Case(lambda: models.vgg11(10), lambda r, x: theirs.vgg(r, x, VGG11, False), 32, trained=False),
    "VGG-11 BN": Case(lambda: models.vgg11(10, True), lambda r, x: theirs.vgg(r, x, VGG11, True), 32, trained=False),
    "VGG-16": Case(lambda: models.vgg16(10), lambda r, x: theirs.vgg(r, x, VGG16, False), 32, trained=False),
    "ResNet-18": Case(lambda: models.resnet18(), lambda r, x: theirs.resnet(r, x, (2, 2, 2, 2)), 64, trained=False),
    "ResNet-34": Case(lambda: models.resnet34(), lambda r, x: theirs.resnet(r, x, (3, 4, 6, 3)), 64, trained=False),
    "ResNet-50": Case(lambda: models.resnet50(), lambda r, x: theirs.resnet(r, x, (3, 4, 6, 3)), 64, trained=False),
    "DenseNet-121": Case(
        lambda: models.densenet121(), lambda r, x: theirs.densenet(r, x, (6, 12, 24, 16)), 64, trained=False
    ),
    "MobileNet V1": Case(lambda: models.mobilenet_v1(), theirs.mobilenet_v1, 64, trained=False),
    "MobileNet V2": Case(lambda: models.mobilenet_v2(), theirs.mobilenet_v2, 64, trained=False),
    "MobileNet V3 small": Case(lambda: models.mobilenet_v3_small(), theirs.mobilenet_v3_small, 64, trained=False),
    "EfficientNet-B0": Case(
        lambda: models.efficientnet_b0(),
        lambda r, x: theirs.efficientnet(r, x, (1, 2, 2, 3, 3, 4, 1)),
        64,
        trained=False,
    ),
    "ViT-B/16": Case(
        lambda: models.vit_b_16(image_size=32), lambda r, x: theirs.vision_transformer(r, x, 16, 12, 12), 32,
        trained=False,
    ),
}  # fmt: skip


def check(case: Case) -> None:
    rng = np.random.default_rng(3)
    ours = case.ours().double()
    # Values that no default hides behind, of a size at which signals neither die out nor explode.
    for name, value in [*ours.named_parameters(), *ours.named_buffers()]:
        if value.dtype.kind == "f":
            array = rng.normal(size=value.shape)
            array *= np.sqrt(2 / max(1, array[0].size)) if array.ndim > 1 else 0.3
            value.data = np.abs(array) + 0.5 if "var" in name or (array.ndim == 1 and "weight" in name) else array
    x = rng.normal(size=(3, case.channels, case.size, case.size))
    state = {name: torch.from_numpy(value.data) for name, value in [*ours.named_parameters(), *ours.named_buffers()]}
    with torch.no_grad():
        expected = case.expected(theirs.Weights(state), torch.from_numpy(x)).numpy()
    with pl.no_grad():
        scores = ours.eval()(x).numpy()
    assert np.abs(expected).max() > 0.01
    assert np.ptp(expected, axis=0).max() > 1e-4  # the pictures can be told apart
    np.testing.assert_allclose(scores, expected, rtol=1e-9, atol=1e-9)
    if not case.trained:
        return
    state = {name: value.clone() for name, value in state.items()}
    leaves = {name: state[name].requires_grad_() for name, _ in ours.named_parameters()}
    y, t = ours.train()(x), case.expected(theirs.Weights(state, training=True), torch.from_numpy(x))
    np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=1e-9, atol=1e-9)
    weight = rng.normal(size=y.shape)
    (y * weight).sum().backward()
    (t * torch.from_numpy(weight)).sum().backward()
    for name, parameter in ours.named_parameters():
        scale = max(1.0, np.abs(leaves[name].grad.numpy()).max())
        np.testing.assert_allclose(
            parameter.grad.numpy() / scale, leaves[name].grad.numpy() / scale, rtol=0, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("name", SMALL)
def test_small(name: str) -> None:
    check(SMALL[name])


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", FULL)
def test_full(name: str) -> None:
    check(FULL[name])


def test_a_state_dict_of_pytorch_loads_and_ours_loads_there() -> None:
    class Block(torch.nn.Module):  # type: ignore[misc, name-defined]
        """The names of a BasicBlock of torchvision."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = torch.nn.Conv2d(4, 6, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(6)
            self.conv2, self.bn2 = torch.nn.Conv2d(6, 6, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(6)
            self.downsample = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 1, 2, bias=False), torch.nn.BatchNorm2d(6))

    shortcut = pl.nn.Sequential(pl.nn.Conv2d(4, 6, 1, 2, bias=False), pl.nn.BatchNorm2d(6))
    ours, block = models.BasicBlock(4, 6, 2, shortcut), Block()
    ours.load_state_dict(block.state_dict())
    for name, value in block.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy(), err_msg=name)
    block.load_state_dict({name: torch.from_numpy(value.data) for name, value in ours.state_dict().items()})
