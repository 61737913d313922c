"""Weights from which a network cannot learn are found before training; each finding is checked by training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ModelError

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = np.array([[1], [0], [1], [1], [1], [0], [1], [1]], np.float32)


def network(activation: Callable[[], nn.Module]) -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), activation(), nn.Linear(4, 5), activation(), nn.Linear(5, 1))


def fill(net: nn.Module, value: float, biases: float = 0.0) -> None:
    for name, p in net.named_parameters():
        nn.init.constant_(p, biases if name.endswith("bias") else value)


def train(net: nn.Module, steps: int = 20) -> None:
    for _ in range(steps):
        net.zero_grad()
        nn.BCEWithLogitsLoss()(net(X), Y).backward()
        for p in net.parameters():
            if p.grad is not None:
                p.assign((p - 0.5 * p.grad).detach())


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.Identity])
def test_all_zero_weights_leave_only_the_last_bias_a_gradient(activation: Callable[[], nn.Module]) -> None:
    net = network(activation)
    fill(net, 0.0)
    (finding,) = nn.check_initialization(net)
    assert finding.kind == "no gradient"
    assert finding.layers == ('"0" Linear(3, 4)', '"2" Linear(4, 5)', '"4" Linear(5, 1)')
    train(net)
    moved = [name for name, p in net.named_parameters() if p.numpy().any()]
    assert moved == ["4.bias"]


@pytest.mark.parametrize(("activation", "value"), [(nn.Sigmoid, 0.0), (nn.Tanh, 0.3), (nn.ReLU, 0.3)])
def test_equal_units_stay_equal(activation: Callable[[], nn.Module], value: float) -> None:
    net = network(activation)
    fill(net, value)
    findings = nn.check_initialization(net)
    assert [f.kind for f in findings] == ["identical units"] * 2
    assert findings[0].layers == ('"0" Linear(3, 4)', '"2" Linear(4, 5)')
    assert findings[0].units == 4
    train(net)
    weight = net[0].weight.numpy()
    assert weight.any()
    assert (weight == weight[0]).all()


def test_zeros_in_front_of_a_relu_never_learn() -> None:
    net = network(nn.ReLU)
    nn.init.zeros_(net[2].weight)
    nn.init.zeros_(net[2].bias)
    (finding,) = nn.check_initialization(net)
    assert (finding.kind, finding.layers) == ("dead units", ('"2" Linear(4, 5)',))
    train(net)
    assert not net[2].weight.numpy().any()


def test_what_can_learn_is_not_reported() -> None:
    for activation in (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SELU):
        assert nn.check_initialization(network(activation)) == []
    single = nn.Linear(3, 1)
    fill(single, 0.0)
    assert nn.check_initialization(single) == []
    last = network(nn.Tanh)
    nn.init.zeros_(last[4].weight)
    assert nn.check_initialization(last) == []
    middle = network(nn.Tanh)
    nn.init.zeros_(middle[2].weight)
    assert nn.check_initialization(middle) == []
    train(middle)
    assert middle[2].weight.numpy().any()
    biases = network(nn.Tanh)  # unequal biases break the symmetry
    fill(biases, 0.0)
    for layer in (biases[0], biases[2]):
        nn.init.normal_(layer.bias)
    assert nn.check_initialization(biases) == []
    train(biases)
    assert np.unique(biases[0].weight.numpy(), axis=0).shape[0] == 4
    frozen = network(nn.ReLU)
    fill(frozen, 0.0)
    assert nn.check_initialization(frozen.requires_grad_(False)) == []
    one_unit = nn.Sequential(nn.Linear(3, 1, init=nn.init.ones_), nn.Tanh(), nn.Linear(1, 1, init=nn.init.ones_))
    assert nn.check_initialization(one_unit) == []
    assert nn.check_initialization(nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 1))) == []


def test_networks_of_ones_own_are_looked_at_too() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.second(pl.sigmoid(self.first(x)))

    net = Net()
    assert nn.check_initialization(net) == []
    fill(net, 0.7)
    assert [f.layers for f in nn.check_initialization(net)] == [('"first" Linear(3, 4)', '"second" Linear(4, 1)')]


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def test_messages_say_why_and_the_fix_works() -> None:
    net = network(nn.ReLU)
    fill(net, 0.0)
    error = nn.check_initialization(net)[0].error()
    reason = "so every gradient but that of the last bias is exactly 0"
    assert isinstance(error, ModelError)
    assert lines(error) == [
        "all weights are 0: the network cannot learn",
        '  given:    "0" Linear(3, 4), "2" Linear(4, 5), "4" Linear(5, 1): every weight is 0',
        f"  expected: different weights: here every hidden output is 0, {reason}",
        "  fix:      nn.init.kaiming_normal_(layer.weight) for each of these layers",
    ]
    for layer in (net[0], net[2], net[4]):
        nn.init.kaiming_normal_(layer.weight)
    assert nn.check_initialization(net) == []

    net = network(nn.Sigmoid)
    fill(net, 0.0)
    first, second = (finding.error() for finding in nn.check_initialization(net))
    assert lines(first) == [
        "the units of a layer are identical and will stay so",
        '  given:    "0" Linear(3, 4), "2" Linear(4, 5): 4 units with equal weights in and out',
        "  expected: different weights: equal units get equal gradients, so 4 of them never do more than one",
        "  fix:      nn.init.xavier_uniform_(layer.weight) for each of these layers",
    ]
    assert lines(second)[1].startswith('  given:    "2" Linear(4, 5), "4" Linear(5, 1): 5 units')

    net = network(nn.ReLU)
    nn.init.zeros_(net[0].weight)
    nn.init.zeros_(net[0].bias)
    assert lines(nn.check_initialization(net)[0].error()) == [
        "a layer of zero weights in front of ReLU can never learn",
        '  given:    "0" Linear(3, 4): weights 0, biases not above 0',
        "  expected: weights other than 0: at and below 0 ReLU passes nothing on, and no gradient back",
        "  fix:      nn.init.kaiming_normal_(layer.weight) for this layer",
    ]
