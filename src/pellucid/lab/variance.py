"""Claim: Xavier's first weights (with tanh) and He's (with ReLU) keep the variance of the signal from layer to layer.

Ten layers of 256 units without biases are given random inputs of variance 1, with eight draws of the weights for each
rule. The variance of the values before each activation is taken over inputs, units and draws, and the factor a layer
is the tenth layer's over the first's, to the power 1/9. The same is done for the gradient on its way back. The claim
is confirmed where Xavier with tanh and He with ReLU end between half and double of what they began with, forward and
back, and where the two counter-examples, weights of spread 0.01 and Xavier's with ReLU, do not. Xavier's rule was
derived for units that are linear, so that it is tried without activations too.
"""

from __future__ import annotations

import numpy as np

from pellucid import nn
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.lab.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, drawing, label
from pellucid.lab.experiment import Finding, Measurement

WIDTH, DEPTH, DRAWS, ROWS = 256, 10, 8, 64
LOW, HIGH = 0.5, 2.0
RULES = ("xavier-linear", "xavier-tanh", "he-relu", "xavier-relu", "fixed-tanh")


def network(rule: str) -> tuple[list[nn.Linear], nn.Module]:
    """The layers with weights by a rule, and the activation that stands behind each."""
    start, _, kind = rule.partition("-")
    layers = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(DEPTH)]
    for layer in layers:
        if start == "xavier":
            nn.init.xavier_normal_(layer.weight)
        elif start == "he":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.normal_(layer.weight, 0.0, 0.01)
    activations: dict[str, nn.Module] = {"linear": nn.Identity(), "tanh": nn.Tanh(), "relu": nn.ReLU()}
    return layers, activations[kind]


def variances(rule: str, seed: int, draws: int) -> tuple[Array, Array]:
    """The variance of the values before each activation, and of the gradient there of a random sum of the outputs; each
    (layers,), the mean over the draws of the weights. Over these draws both have mean 0, so that the mean square is the
    variance."""
    forward, backward = np.zeros(DEPTH), np.zeros(DEPTH)
    manual_seed(seed)
    random = np.random.default_rng(seed)
    for _ in range(draws):
        layers, activation = network(rule)
        x = Tensor(random.standard_normal((ROWS, WIDTH)).astype(np.float32))
        values = []
        for layer in layers:
            values.append(layer(x))
            x = activation(values[-1])
        weights = random.standard_normal((ROWS, WIDTH)).astype(np.float32)
        gradients = grad((x * weights).sum(), values)
        forward += [float(np.mean(np.square(v.numpy(), dtype=np.float64))) / draws for v in values]
        backward += [float(np.mean(np.square(g.numpy(), dtype=np.float64))) / draws for g in gradients]
    return forward, backward


def factor(values: Array) -> float:
    """How the variance changes a layer: the last over the first, spread over the steps between them."""
    return float((values[-1] / values[0]) ** (1 / (len(values) - 1)))


def keeps(factor: float) -> bool:
    """Whether nine steps of this factor end between half and double."""
    return LOW <= factor ** (DEPTH - 1) <= HIGH


def run(seed: int, rules: tuple[str, ...] = RULES, draws: int = DRAWS) -> Finding:
    """Measure each rule; the second and the third of `rules` are those that the claim is about."""
    found = {name: variances(rule, seed, draws) for name, rule in zip(RULES, rules, strict=True)}
    ahead = {name: factor(forward) for name, (forward, _) in found.items()}
    # The gradient comes from the last layer.
    back = {name: factor(backward[::-1]) for name, (_, backward) in found.items()}
    claimed, others = ("xavier-tanh", "he-relu"), ("xavier-relu", "fixed-tanh")
    confirmed = all(keeps(ahead[n]) and keeps(back[n]) for n in claimed) and not any(keeps(ahead[n]) for n in others)
    total = found["xavier-tanh"][0][-1] / found["xavier-tanh"][0][0]
    return Finding(
        (
            *(Measurement(f"variance-{name}", ahead[name]) for name in RULES),
            *(Measurement(f"gradient-variance-{name}", back[name]) for name in claimed),
            Measurement("variance-left-tanh", 100 * total, "%"),
        ),
        confirmed,
        "variance" if confirmed else "variance-not",
        figure(found),
    )


def figure(found: dict[str, tuple[Array, Array]]) -> bytes:
    """The variances over the layers, forward and back."""
    looks = {
        "xavier-linear": (GREY, "o-"),
        "xavier-tanh": (BLUE, "o-"),
        "he-relu": (GREEN, "s-"),
        "xavier-relu": (ORANGE, "^--"),
        "fixed-tanh": (PURPLE, "v--"),
    }
    places = np.arange(1, DEPTH + 1)
    with drawing(9.0, 3.8) as (page, word, buffer):
        for n, side in enumerate(("variance", "gradient-variance")):
            axes = page.add_subplot(1, 2, n + 1)
            for name, curves in found.items():
                colour, style = looks[name]
                values = curves[n] / (curves[n][0] if n == 0 else curves[n][-1])
                broad = 5 if name == "xavier-linear" else 1.5  # it lies below another one
                axes.semilogy(
                    places, values, style, color=colour, linewidth=broad, markersize=4, label=word(f"rule-{name}")
                )
            axes.axhspan(LOW, HIGH, color="0.88", linewidth=0)
            axes.set_xticks(places)
            axes.set_ylim(1e-8, 1e2)
            label(axes, word("layer"), word(side))
        handles, names = page.axes[0].get_legend_handles_labels()
        page.legend(handles, names, fontsize=8, frameon=False, loc="outside upper center", ncols=5)
    return buffer.getvalue()
