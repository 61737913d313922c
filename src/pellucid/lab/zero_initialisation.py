"""Claim: a network whose weights all start at zero cannot learn, since the units of a layer stay alike.

Networks 2-8-1 with ReLU, tanh and sigmoid learn the two moons from weights and biases of zero, and from random ones.
Counted are the elements with a gradient at the start, and the different units in the hidden layer after training.
`fit` refuses such a start; here it is made to go on. The claim is confirmed where every hidden layer that began at
zero still has one single unit, eight times over, and every such network stays five points of accuracy behind its
random twin. A single layer is trained from zero too: it has no hidden units to tell apart, and learns.
"""

from __future__ import annotations

import numpy as np

from pellucid import nn, optim
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, two_moons
from pellucid.errors import ModelError
from pellucid.lab.drawing import BLUE, GREEN, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import History, evaluate, fit

UNITS, BEHIND, EPOCHS = 8, 0.05, 160
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def moons(seed: int) -> Dataset:
    """Two moons, of 60 and 100 rows: with as many of each the last bias would have no gradient either."""
    rows = two_moons(200, noise=0.15, seed=seed)
    labels = np.asarray(rows.y)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == 0)[:60], np.flatnonzero(labels == 1)]))
    return Dataset(rows.x[kept], labels[kept, None].astype(np.float32))


def network(activation: type[nn.Module], seed: int, spread: float | None) -> nn.Sequential:
    """2-8-1 with the usual random weights, or with weights that are normal with the given spread, 0 at most."""
    manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, UNITS), activation(), nn.Linear(UNITS, 1))
    if spread is not None:
        for parameter in model.parameters():
            nn.init.normal_(parameter, 0.0, spread) if spread else nn.init.zeros_(parameter)
    return model


def trained(model: nn.Module, data: Dataset, seed: int, epochs: int) -> tuple[History, float]:
    """The course of training, and the accuracy at its end."""
    history = fit(
        model, data, loss="bce_with_logits", optimizer=optim.Adam(model.parameters(), lr=0.1), epochs=epochs,
        batch_size=32, seed=seed, checks=False, verbose=0,
    )  # fmt: skip
    return history, float(evaluate(model, data, loss="bce_with_logits", metrics=["accuracy"])["accuracy"])


def different_units(model: nn.Sequential) -> int:
    """Hidden units that differ in a weight in or out."""
    first, last = model[0], model[2]
    units = np.concatenate([first.weight.numpy(), first.bias.numpy()[:, None], last.weight.numpy().T], axis=1)
    return len(np.unique(units, axis=0))


def moved_by_gradient(model: nn.Module, data: Dataset) -> int:
    """Elements of the parameters whose gradient over all rows is not 0."""
    nn.BCEWithLogitsLoss()(model(data.x), data.y).backward()
    found = sum(int(np.count_nonzero(p.grad.numpy())) for p in model.parameters() if p.grad is not None)
    for p in model.parameters():
        p.grad = None
    return found


def refused(model: nn.Module, data: Dataset) -> bool:
    """Whether `fit` says before the first step that nothing can be learned."""
    try:
        fit(model, data, loss="bce_with_logits", optimizer="sgd", epochs=1, verbose=0)
    except ModelError:
        return True
    return False


def run(seed: int, spread: float = 0.0, epochs: int = EPOCHS) -> Finding:
    """Train all from zero (or from weights of the given spread) and from random weights."""
    data = moons(seed)
    histories: dict[str, tuple[History, History]] = {}
    measured, alike, behind, said = [], True, True, 0
    for name, activation in ACTIVATIONS.items():
        zero = network(activation, seed, spread)
        with_gradient = moved_by_gradient(zero, data)
        said += refused(network(activation, seed, spread), data)
        course, accuracy = trained(zero, data, seed, epochs)
        usual, usual_accuracy = trained(network(activation, seed, None), data, seed, epochs)
        units = different_units(zero)
        alike, behind = alike and units == 1, behind and usual_accuracy - accuracy >= BEHIND
        histories[name] = (course, usual)
        measured += [
            Measurement(f"zero-gradients-{name}", with_gradient),
            Measurement(f"zero-units-{name}", units),
            Measurement(f"zero-accuracy-{name}", 100 * accuracy, "%"),
            Measurement(f"random-accuracy-{name}", 100 * usual_accuracy, "%"),
        ]
    single = nn.Linear(2, 1)
    for parameter in single.parameters():
        nn.init.zeros_(parameter)
    measured += [
        Measurement("zero-refused", said),
        Measurement("zero-accuracy-single", 100 * trained(single, data, seed, epochs)[1], "%"),
    ]
    confirmed = alike and behind
    return Finding(
        tuple(measured), confirmed, "zero-initialisation" if confirmed else "zero-initialisation-not", figure(histories)
    )


def figure(histories: dict[str, tuple[History, History]]) -> bytes:
    """The loss of each network, from zero and from random weights."""
    colours = {"relu": BLUE, "tanh": ORANGE, "sigmoid": GREEN}
    with drawing(6.2, 4.2) as (page, word, buffer):
        axes = page.add_subplot()
        for name, (zero, usual) in histories.items():
            shown = {"relu": "ReLU"}.get(name, name)
            # ReLU and tanh lie upon each other: the one below is broader.
            wide = 4 if name == "relu" else 1.5
            axes.plot(zero.loss, color=colours[name], linewidth=wide, label=f"{shown}, {word('from-zero')}")
            axes.plot(usual.loss, color=colours[name], linestyle="--", label=f"{shown}, {word('from-random')}")
        label(axes, word("epoch"), word("loss"))
        axes.set_ylim(bottom=0)
        page.legend(fontsize=8, frameon=False, loc="outside upper center", ncols=3)
    return buffer.getvalue()
