"""Claim: layers without an activation between them collapse to one affine map, however many there are.

Two networks 2-16-16-16-1 with the same first weights learn which of two circles, one inside the other, a point lies
on: one without activations, one with ReLU. Afterwards the weights of the four layers are multiplied out to one matrix
and one bias, and that single affine map is held against the network. The claim is confirmed where the map reproduces
the network without activations to rounding, and misses the one with ReLU by more than a tenth of the spread of its
outputs.
"""

from __future__ import annotations

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, circles
from pellucid.lab.drawing import BLUE, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.report.colours import signed_map
from pellucid.train import evaluate, fit

ROUNDING, APART = 1e-4, 0.1
EPOCHS = 60


def network(activation: type[nn.Module], seed: int) -> nn.Sequential:
    """2-16-16-16-1; the same seed gives the same weights whatever the activation."""
    manual_seed(seed)
    sizes = [2, 16, 16, 16, 1]
    layers: list[nn.Module] = []
    for n, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        layers += [activation()] if n else []
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)


def multiplied_out(model: nn.Module) -> tuple[Array, Array]:
    """The weights of all layers as one matrix (outputs, inputs) and one bias (outputs,), activations left out."""
    matrix, bias = np.eye(2), np.zeros(2)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            weight = layer.weight.numpy().astype(np.float64)
            offset = np.zeros(len(weight)) if layer.bias is None else layer.bias.numpy().astype(np.float64)
            matrix, bias = weight @ matrix, weight @ bias + offset
    return matrix, bias


def distance_from_affine(model: nn.Module, points: Array) -> float:
    """The largest difference between the network and its multiplied-out weights, in spreads of its outputs."""
    matrix, bias = multiplied_out(model)
    outputs = np.asarray(model(points).numpy(), np.float64)
    return float(np.abs(outputs - (points @ matrix.T + bias)).max() / outputs.std())


def trained(activation: type[nn.Module], data: Dataset, seed: int, epochs: int) -> tuple[nn.Module, float]:
    """The network after training, and its accuracy."""
    model = network(activation, seed)
    fit(
        model, data, loss="bce_with_logits", optimizer=optim.Adam(model.parameters(), lr=0.01), epochs=epochs,
        batch_size=32, seed=seed, verbose=0,
    )  # fmt: skip
    return model, float(evaluate(model, data, loss="bce_with_logits", metrics=["accuracy"])["accuracy"])


def run(seed: int, without: type[nn.Module] = nn.Identity, epochs: int = EPOCHS) -> Finding:
    """Train both, and hold each against one affine map."""
    rows = circles(400, noise=0.08, seed=seed)
    data = Dataset(rows.x, np.asarray(rows.y, np.float32)[:, None])
    grid = np.stack(np.meshgrid(np.linspace(-1.5, 1.5, 81), np.linspace(-1.5, 1.5, 81)), axis=-1).reshape(-1, 2)
    points = grid.astype(np.float32)
    plain, plain_accuracy = trained(without, data, seed, epochs)
    bent, bent_accuracy = trained(nn.ReLU, data, seed, epochs)
    plain_distance, bent_distance = distance_from_affine(plain, points), distance_from_affine(bent, points)
    confirmed = plain_distance < ROUNDING and bent_distance > APART
    return Finding(
        (
            Measurement("affine-distance-plain", plain_distance),
            Measurement("affine-distance-relu", bent_distance),
            Measurement("accuracy-plain", 100 * plain_accuracy, "%"),
            Measurement("accuracy-relu", 100 * bent_accuracy, "%"),
        ),
        confirmed,
        "collapse" if confirmed else "collapse-not",
        figure(data, grid, {"plain": plain, "relu": bent}),
    )


def figure(data: Dataset, grid: Array, models: dict[str, nn.Module]) -> bytes:
    """What each network says of every place, and the line on which it changes its mind."""
    side = int(len(grid) ** 0.5)
    first, second = grid.reshape(side, side, 2).transpose(2, 0, 1)
    x, y = data.x, np.asarray(data.y)[:, 0]
    with drawing(8.4, 4.0) as (page, word, buffer):
        for n, (name, model) in enumerate(models.items()):
            shares = 1 / (1 + np.exp(-np.asarray(model(grid.astype(np.float32)).numpy(), np.float64)))
            axes = page.add_subplot(1, 2, n + 1)
            shares = shares.reshape(side, side)
            drawn = axes.contourf(first, second, shares, levels=np.linspace(0, 1, 21), cmap=signed_map(), alpha=0.7)
            if shares.min() < 0.5 < shares.max():
                axes.contour(first, second, shares, levels=[0.5], colors="black", linewidths=1.5)
            for value, colour, marker in ((0, ORANGE, "o"), (1, BLUE, "s")):
                axes.scatter(*x[y == value].T, s=9, color=colour, marker=marker, edgecolors="white", linewidths=0.3)
            label(axes, "x₁", "x₂", word(f"{name}-network"))
            axes.set_aspect("equal")
        bar = page.colorbar(drawn, ax=page.axes, shrink=0.85, ticks=[0, 0.25, 0.5, 0.75, 1])
        bar.set_label(word("probability"), fontsize=9)
        bar.ax.tick_params(labelsize=8)
    return buffer.getvalue()
