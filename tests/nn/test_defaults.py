"""The default initialisation is good enough: XOR from at least 95 of 100 seeds, the digits to above nine in ten."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.data import digits

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
WANTED = np.array([[0], [1], [1], [0]], np.float64)


def xor_weights(activation: type, seed: int) -> list[np.ndarray]:
    pl.manual_seed(seed)
    net = nn.Sequential(nn.Linear(2, 8), activation(), nn.Linear(8, 1))
    return [p.numpy().astype(np.float64) for p in net.parameters()]


def solved(activation: type, rate: float, steps: int, adam: bool) -> int:
    """For how many of 100 seeds the four rows are learned; all networks are trained at once, in plain NumPy."""
    stacked = [np.stack(ws) for ws in zip(*(xor_weights(activation, s) for s in range(100)), strict=True)]
    w1, b1, w2, b2 = stacked[0], stacked[1][:, None], stacked[2], stacked[3][:, None]
    params = [w1, b1, w2, b2]
    means, squares = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    for step in range(1, steps + 1):
        w1, b1, w2, b2 = params
        z = INPUTS @ w1.swapaxes(1, 2) + b1
        h = np.tanh(z) if activation is nn.Tanh else np.maximum(z, 0)
        slope = 1 - h * h if activation is nn.Tanh else z > 0
        logits = h @ w2.swapaxes(1, 2) + b2
        d = (1 / (1 + np.exp(-logits)) - WANTED) / 4
        dz = (d @ w2) * slope
        grads = [dz.swapaxes(1, 2) @ INPUTS, dz.sum(1, keepdims=True), d.swapaxes(1, 2) @ h, d.sum(1, keepdims=True)]
        for i, g in enumerate(grads):
            if adam:
                means[i] = 0.9 * means[i] + 0.1 * g
                squares[i] = 0.999 * squares[i] + 0.001 * g * g
                g = means[i] / (1 - 0.9**step) / (np.sqrt(squares[i] / (1 - 0.999**step)) + 1e-8)
            params[i] = params[i] - rate * g
    return int(((logits > 0) == (WANTED > 0)).all((1, 2)).sum())


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize(
    ("rate", "steps", "adam"), [(0.001, 1000, True), (0.01, 500, True), (0.1, 2000, False)], ids=str
)
def test_xor_is_learned(activation: type, rate: float, steps: int, adam: bool) -> None:
    assert solved(activation, rate, steps, adam) >= 95


def test_xor_by_the_librarys_own_step() -> None:
    pl.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    loss, step = nn.BCEWithLogitsLoss(), optim.Adam(net.parameters(), lr=0.05)
    for _ in range(200):
        step.zero_grad()
        loss(net(INPUTS), WANTED.astype(np.float32)).backward()
        step.step()
    assert ((net(INPUTS).numpy() > 0) == (WANTED > 0)).all()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_digits_are_learned(activation: type) -> None:
    data = digits()
    x, y = np.asarray(data.x), np.asarray(data.y)
    pl.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 10))
    loss, step = nn.CrossEntropyLoss(), optim.Adam(net.parameters(), lr=0.01)
    order = np.random.default_rng(0)
    rows = order.permutation(len(x))
    train, test = rows[400:], rows[:400]
    for _ in range(15):
        for batch in np.array_split(order.permutation(train), 44):
            step.zero_grad()
            loss(net(x[batch]), y[batch]).backward()
            step.step()
    assert (net(x[test]).numpy().argmax(1) == y[test]).mean() > 0.93
