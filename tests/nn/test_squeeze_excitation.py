"""SqueezeExcitation: values by hand and, with its gradients, from PyTorch's layers; what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from tests.nn.layer_checks import Case, run_layer_test


def test_by_hand() -> None:
    layer = nn.SqueezeExcitation(2, 1).double()
    layer.load_state_dict({
        "fc1.weight": np.array([1.0, -1.0]).reshape(1, 2, 1, 1), "fc1.bias": np.array([0.5]),
        "fc2.weight": np.array([2.0, 0.0]).reshape(2, 1, 1, 1), "fc2.bias": np.array([0.0, 1.0]),
    })  # fmt: skip
    x = np.array([[[[1.0, 3.0]], [[0.0, 2.0]]]])  # means 2 and 1, hence 1.5 between the layers
    first, second = 1 / (1 + math.exp(-3.0)), 1 / (1 + math.exp(-1.0))
    np.testing.assert_allclose(layer(x).numpy()[0, :, 0], [[first, 3 * first], [0, 2 * second]], rtol=1e-14)
    np.testing.assert_allclose(layer(x[0]).numpy(), layer(x).numpy()[0], rtol=1e-14)


@pytest.mark.torch
@pytest.mark.parametrize(("activation", "gate"), [("ReLU", "Sigmoid"), ("SiLU", "Hardswish")])
def test_against_pytorch(activation: str, gate: str) -> None:
    torch = pytest.importorskip("torch")

    class Theirs(torch.nn.Module):  # type: ignore[misc, name-defined]
        """torchvision.ops.SqueezeExcitation, whose names and order it has."""

        def __init__(self) -> None:
            super().__init__()
            self.avgpool = torch.nn.AdaptiveAvgPool2d(1)
            self.fc1, self.fc2 = torch.nn.Conv2d(6, 2, 1), torch.nn.Conv2d(2, 6, 1)
            self.activation, self.scale_activation = getattr(torch.nn, activation)(), getattr(torch.nn, gate)()

        def forward(self, x):  # type: ignore[no-untyped-def]
            return x * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))

    ours = lambda: nn.SqueezeExcitation(6, 2, getattr(nn, activation), getattr(nn, gate))  # noqa: E731
    run_layer_test(Case("SqueezeExcitation", ours, lambda _: Theirs(), shapes=((3, 6, 4, 5), (1, 6, 1, 1))), torch)


def test_start_and_refused() -> None:
    pl.manual_seed(0)
    layer = nn.SqueezeExcitation(64, 16, init=nn.init.zeros_, dtype="float64")
    assert not layer.fc1.weight.numpy().any()
    assert layer.fc2.weight.dtype == pl.float64
    for arguments in ((0, 1), (1, 0), (1.5, 1), (1, "x")):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=r"SqueezeExcitation: (input|squeeze)_channels"):
            nn.SqueezeExcitation(*arguments)
    with pytest.raises(ShapeError):
        nn.SqueezeExcitation(4, 2)(np.zeros((1, 3, 2, 2)))
