"""Claim: in a deep network the gradient vanishes with sigmoid units and does not with ReLU.

Two networks of ten hidden layers of 64 units, sigmoid with Xavier's first weights and ReLU with He's, look at the 8x8
digits. Measured is the size of the gradient with regard to the outputs of each hidden layer before the first step, and
from it the factor by which a layer changes it; a sigmoid passes on a quarter at most. Then both are trained alike. The
claim is confirmed where the factor of sigmoid is below a quarter, that of ReLU between a half and two, and ReLU's
accuracy on the training rows twice sigmoid's at least.
"""

from __future__ import annotations

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.data import Dataset, digits
from pellucid.lab.drawing import BLUE, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import History, fit

DEPTH, WIDTH, EPOCHS = 10, 64, 12
QUARTER = 0.25


def network(activation: type[nn.Module], seed: int) -> nn.Sequential:
    """64-64-...-64-10 with weights by the rule that goes with the activation."""
    manual_seed(seed)
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        layers += [nn.Linear(64, WIDTH), activation()]
    layers.append(nn.Linear(WIDTH, 10))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            if activation is nn.ReLU:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def gradient_sizes(model: nn.Sequential, data: Dataset) -> Array:
    """The norm of the gradient of the loss with regard to the outputs of each hidden layer: (DEPTH,), first to last."""
    x, outputs = Tensor(np.asarray(data.x, np.float32)), []
    for n, layer in enumerate(model):
        x = layer(x)
        if n % 2 == 1:
            outputs.append(x)
    gradients = grad(nn.CrossEntropyLoss()(x, data.y), outputs)
    return np.array([float(np.linalg.norm(g.numpy().astype(np.float64))) for g in gradients])


def factor(sizes: Array) -> float:
    """What a layer makes of the gradient on its way back, in the geometric mean."""
    return float((sizes[0] / sizes[-1]) ** (1 / (len(sizes) - 1)))


def trained(model: nn.Module, data: Dataset, seed: int, epochs: int) -> History:
    """The course of training."""
    return fit(
        model, data, loss="cross_entropy", optimizer=optim.Adam(model.parameters(), lr=1e-3), epochs=epochs,
        batch_size=32, metrics=["accuracy"], seed=seed, verbose=0,
    )  # fmt: skip


def run(seed: int, squashing: type[nn.Module] = nn.Sigmoid, epochs: int = EPOCHS) -> Finding:
    """Measure both at the start, and train them."""
    data = digits()
    sizes, histories = {}, {}
    for name, activation in (("sigmoid", squashing), ("relu", nn.ReLU)):
        model = network(activation, seed)
        sizes[name] = gradient_sizes(model, data)
        histories[name] = trained(model, data, seed, epochs)
    accuracy = {name: float(history.accuracy[-1]) for name, history in histories.items()}
    vanished = factor(sizes["sigmoid"]) < QUARTER and 0.5 < factor(sizes["relu"]) < 2
    confirmed = vanished and accuracy["relu"] >= 2 * accuracy["sigmoid"]
    return Finding(
        (
            Measurement("gradient-factor-sigmoid", factor(sizes["sigmoid"])),
            Measurement("gradient-factor-relu", factor(sizes["relu"])),
            Measurement("gradient-left-sigmoid", float(sizes["sigmoid"][0] / sizes["sigmoid"][-1])),
            Measurement("gradient-left-relu", float(sizes["relu"][0] / sizes["relu"][-1])),
            Measurement("vanishing-accuracy-sigmoid", 100 * accuracy["sigmoid"], "%"),
            Measurement("vanishing-accuracy-relu", 100 * accuracy["relu"], "%"),
        ),
        confirmed,
        "vanishing" if confirmed else "vanishing-not",
        figure(sizes, histories),
    )


def figure(sizes: dict[str, Array], histories: dict[str, History]) -> bytes:
    """The size of the gradient at each layer, and the accuracy over training."""
    looks = {"sigmoid": (ORANGE, "o-", "sigmoid"), "relu": (BLUE, "s-", "ReLU")}
    places = np.arange(1, DEPTH + 1)
    with drawing(9.0, 3.6) as (page, word, buffer):
        left, right = page.add_subplot(1, 2, 1), page.add_subplot(1, 2, 2)
        for name, (colour, style, shown) in looks.items():
            left.semilogy(places, sizes[name] / sizes[name][-1], style, color=colour, markersize=4, label=shown)
            curve = [100 * v for v in histories[name].accuracy]
            right.plot(range(1, len(curve) + 1), curve, style, color=colour, markersize=4, label=shown)
        left.semilogy(places, QUARTER ** (DEPTH - places), ":", color="0.4", label=word("quarter-a-layer"))
        left.set_xticks(places)
        label(left, word("layer"), word("gradient-size"))
        label(right, word("epoch"), word("accuracy"))
        right.set_ylim(0, 102)
        left.legend(fontsize=8, frameon=False, loc="lower right")
        right.legend(fontsize=8, frameon=False, loc="center right")
    return buffer.getvalue()
