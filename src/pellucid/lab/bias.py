"""Claim: without a bias the boundary of a neuron goes through the origin; a bias frees it.

One neuron with two inputs learns to part two groups of points that lie on the same side of the origin, once without a
bias and once with one. The boundary is the line w·x + b = 0, at the distance |b|/|w| from the origin. The claim is
confirmed where the distance without a bias is 0, the one with a bias is above a half, and the bias is worth at least
five points of accuracy.
"""

from __future__ import annotations

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset
from pellucid.lab.drawing import BLUE, GREEN, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import evaluate, fit

FREE, WORTH = 0.5, 0.05


def groups(place: float, seed: int) -> Dataset:
    """Two groups of 100 points around (place - 1, place - 1) and (place + 1, place + 1)."""
    random = np.random.default_rng(seed)
    labels = np.arange(200) % 2
    centres = place + np.where(labels == 1, 1.0, -1.0)
    x = centres[:, None] + 0.6 * random.standard_normal((200, 2))
    return Dataset(x.astype(np.float32), labels[:, None].astype(np.float32))


def trained(bias: bool, data: Dataset, seed: int) -> tuple[nn.Linear, float]:
    """A neuron after training, and its accuracy."""
    manual_seed(seed)
    neuron = nn.Linear(2, 1, bias=bias)
    fit(
        neuron, data, loss="bce_with_logits", optimizer=optim.Adam(neuron.parameters(), lr=0.05), epochs=200,
        batch_size=None, seed=seed, verbose=0,
    )  # fmt: skip
    return neuron, float(evaluate(neuron, data, loss="bce_with_logits", metrics=["accuracy"])["accuracy"])


def boundary(neuron: nn.Linear) -> tuple[Array, float]:
    """The weights w and the bias b of the line w·x + b = 0."""
    weight = neuron.weight.numpy().astype(np.float64)[0]
    return weight, 0.0 if neuron.bias is None else float(neuron.bias.numpy()[0])


def distance(neuron: nn.Linear) -> float:
    """How far the boundary is from the origin."""
    weight, bias = boundary(neuron)
    return abs(bias) / float(np.linalg.norm(weight))


def run(seed: int, place: float = 3.0) -> Finding:
    """Train a neuron of each kind."""
    data = groups(place, seed)
    bound, bound_accuracy = trained(False, data, seed)
    free, free_accuracy = trained(True, data, seed)
    at_origin = float(bound(np.zeros((1, 2), np.float32)).numpy()[0, 0])
    freed = distance(bound) == 0 and at_origin == 0 and distance(free) > FREE
    worth = free_accuracy - bound_accuracy >= WORTH
    return Finding(
        (
            Measurement("origin-distance-without", distance(bound)),
            Measurement("origin-distance-with", distance(free)),
            Measurement("output-at-origin", at_origin),
            Measurement("accuracy-without-bias", 100 * bound_accuracy, "%"),
            Measurement("accuracy-with-bias", 100 * free_accuracy, "%"),
        ),
        freed and worth,
        "bias" if freed and worth else "bias-not",
        figure(data, bound, free),
    )


def figure(data: Dataset, bound: nn.Linear, free: nn.Linear) -> bytes:
    """The points and both boundaries."""
    x, y = data.x, np.asarray(data.y)[:, 0]
    with drawing(5.6, 4.6) as (page, word, buffer):
        axes = page.add_subplot()
        for value, colour, marker in ((0, ORANGE, "o"), (1, BLUE, "s")):
            axes.scatter(*x[y == value].T, s=14, color=colour, marker=marker, alpha=0.7, linewidths=0)
        axes.plot([0], [0], "k+", markersize=12, label=word("origin"))
        low, high = min(-0.5, float(x.min())) - 0.3, max(0.5, float(x.max())) + 0.3
        for neuron, name, style, colour in ((bound, "without-bias", "--", "black"), (free, "with-bias", "-", GREEN)):
            weight, bias = boundary(neuron)
            # The point of the line nearest to the origin, and its direction.
            start, along = -bias * weight / (weight @ weight), np.array([-weight[1], weight[0]])
            along = along / np.linalg.norm(along) * 3 * (high - low)
            ends = np.stack([start - along, start + along])
            axes.plot(ends[:, 0], ends[:, 1], style, color=colour, linewidth=1.8, label=word(name))
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        label(axes, "x₁", "x₂")
        page.legend(fontsize=8, frameon=False, loc="outside upper center", ncols=3)
    return buffer.getvalue()
