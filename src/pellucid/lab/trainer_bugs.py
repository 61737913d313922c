"""Claim: five common mistakes in a training loop written by hand go unnoticed, since the loss falls all the same; and
each is caught by a check.

A network 2-2-1 with sigmoids and binary cross-entropy is trained by hand in NumPy, forward, backward and update,
without mistakes and with one mistake at a time. The checks are the library's: the same network of layers gives the
loss and, by automatic differentiation, the gradient, both in float64; its loss refuses shapes that do not belong
together. Two observations are made of each trainer: whether its own loss falls over 200 steps, and what the checks say
of its first step. The claim is confirmed where every mistake is caught, the correct trainer passes, and at least three
of the mistakes are silent: nothing is raised and the loss falls. A loss that falls says little here for another reason
too: the labels do not depend on the inputs, which is measured before training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid import nn
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.data import Dataset
from pellucid.errors import ShapeError
from pellucid.lab.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import label_dependence

ROWS, STEPS, RATE = 1000, 200, 0.1
AGREE = 1e-9
SILENT = 3

Weights = dict[str, Array]
"""weights1 (2, 2), biases1 (2,), weights2 (2, 1), biases2 (1,)."""


def sigmoid(z: Array) -> Array:
    """1/(1 + exp(-z))."""
    result: Array = 1 / (1 + np.exp(-z))
    return result


def start(seed: int) -> tuple[Array, Array, Weights]:
    """Inputs (1000, 2), labels (1000, 1) of which the first half is 1, and first weights."""
    random = np.random.RandomState(seed)
    x = random.randn(ROWS, 2)
    y = np.zeros((ROWS, 1))
    y[: ROWS // 2] = 1
    weights1, weights2 = random.randn(2, 2), random.randn(2, 1)
    return x, y, {"weights1": weights1, "biases1": np.zeros(2), "weights2": weights2, "biases2": np.zeros(1)}


@dataclass
class Trainer:
    """The network by hand, without mistakes. Each mistake below overrides the one place where it is made."""

    x: Array
    y: Array
    weights: Weights

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Hidden outputs and probabilities."""
        hidden = sigmoid(x @ self.weights["weights1"] + self.weights["biases1"])
        return hidden, sigmoid(hidden @ self.weights["weights2"] + self.weights["biases2"])

    def targets(self) -> Array:
        """What the outputs are compared with."""
        return self.y

    def loss(self, p: Array) -> float:
        """Binary cross-entropy."""
        y = self.targets()
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))

    def output_gradient(self, p: Array) -> Array:
        """The gradient of the sum of the losses at the output before its sigmoid."""
        return p - self.targets()

    def hidden_outputs(self) -> Array:
        """The hidden outputs that the backward pass uses."""
        return self.forward(self.x)[0]

    def hidden_bias_gradient(self, at_hidden: Array) -> Array:
        """One number for each hidden unit."""
        return np.asarray(at_hidden.sum(axis=0))

    def rows(self) -> int:
        """What sums over rows are divided by."""
        return len(self.x)

    def gradients(self) -> tuple[float, Weights]:
        """The loss, and a gradient for each parameter."""
        _, p = self.forward(self.x)
        hidden, n = self.hidden_outputs(), self.rows()
        at_output = self.output_gradient(p)
        at_hidden = at_output @ self.weights["weights2"].T * hidden * (1 - hidden)
        found = {
            "weights1": self.x.T @ at_hidden / n,
            "biases1": self.hidden_bias_gradient(at_hidden) / n,
            "weights2": hidden.T @ at_output / n,
            "biases2": at_output.sum(axis=0) / n,
        }
        return self.loss(p), found

    def train(self, steps: int) -> list[float]:
        """Losses before each step and after the last."""
        losses = []
        # A trainer that runs away goes on with infinities, as it would by hand.
        with np.errstate(all="ignore"):
            for _ in range(steps):
                loss, found = self.gradients()
                losses.append(loss)
                for name, gradient in found.items():
                    self.weights[name] = self.weights[name] - RATE * gradient
            losses.append(self.gradients()[0])
        return losses


class KeepsOldOutputs(Trainer):
    """The hidden outputs are not handed from the forward to the backward pass, which uses those of other rows."""

    def hidden_outputs(self) -> Array:
        """Those of the rows in another order, as they lay around."""
        return self.forward(self.x[::-1])[0]


class DifferentiatesTwice(Trainer):
    """p - y has the derivative of the sigmoid in it already; it is multiplied in once more."""

    def output_gradient(self, p: Array) -> Array:
        """Too small by p(1 - p), a quarter at most."""
        result: Array = (p - self.targets()) * p * (1 - p)
        return result


class Broadcasts(Trainer):
    """Labels of shape (1000,) meet outputs of shape (1000, 1): every output is compared with every label."""

    def targets(self) -> Array:
        """Without the second axis."""
        return self.y[:, 0]

    def output_gradient(self, p: Array) -> Array:
        """(1000, 1000), averaged back to a column, so that the rest goes on."""
        result: Array = (p - self.targets()).mean(axis=1, keepdims=True)
        return result


class SumsUp(Trainer):
    """The loss is a mean over the rows, its gradient is their sum."""

    def rows(self) -> int:
        """Nothing is divided."""
        return 1


class MergesBiases(Trainer):
    """One number for the biases of all hidden units together."""

    def hidden_bias_gradient(self, at_hidden: Array) -> Array:
        """Summed over rows and units; NumPy broadcasts it over the biases."""
        return np.asarray(at_hidden.sum())


MISTAKES: dict[str, type[Trainer]] = {
    "old-outputs": KeepsOldOutputs,
    "twice": DifferentiatesTwice,
    "broadcast": Broadcasts,
    "sum": SumsUp,
    "merged-bias": MergesBiases,
}


def layers(weights: Weights) -> nn.Sequential:
    """The same network of the library's layers, with the same weights, in float64."""
    model = nn.Sequential(
        nn.Linear(2, 2, dtype=np.float64), nn.Sigmoid(), nn.Linear(2, 1, dtype=np.float64), nn.Sigmoid()
    )
    model.load_state_dict(
        {
            "0.weight": weights["weights1"].T,
            "0.bias": weights["biases1"],
            "2.weight": weights["weights2"].T,
            "2.bias": weights["biases2"],
        }
    )
    return model


def expected(x: Array, y: Array, weights: Weights) -> tuple[float, Weights]:
    """The loss and its gradient by automatic differentiation."""
    model = layers(weights)
    loss = nn.BCELoss()(model(x), y)
    first, last = model[0], model[2]
    found = [g.numpy() for g in grad(loss, [first.weight, first.bias, last.weight, last.bias])]
    return float(loss.item()), {
        "weights1": found[0].T, "biases1": found[1], "weights2": found[2].T, "biases2": found[3]
    }  # fmt: skip


@dataclass(frozen=True)
class Caught:
    """What the checks say of a first step: how far loss and gradient are off, relative to the true ones; whether a
    gradient has another shape than its parameter; whether the library refuses the shapes of outputs and targets."""

    loss_off: float
    gradient_off: float
    shape_off: bool
    refused: bool

    @property
    def ways(self) -> int:
        """How many checks caught it."""
        return (self.loss_off > AGREE) + (self.gradient_off > AGREE) + self.shape_off + self.refused


def check(trainer: Trainer) -> Caught:
    """Hold the first step of a trainer against the library."""
    true_loss, true = expected(trainer.x, trainer.y, trainer.weights)
    loss, found = trainer.gradients()
    shape_off = any(found[name].shape != true[name].shape for name in true)
    largest = max(float(np.abs(g).max()) for g in true.values())
    off = max(float(np.abs(found[name] - true[name]).max()) for name in true) / largest
    try:
        nn.BCELoss()(trainer.forward(trainer.x)[1], trainer.targets())
        refused = False
    except ShapeError:
        refused = True
    return Caught(abs(loss - true_loss) / true_loss, off, shape_off, refused)


def run(seed: int, mistakes: dict[str, type[Trainer]] | None = None, steps: int = STEPS) -> Finding:
    """Check the first step of each trainer, then let it train."""
    mistakes = MISTAKES if mistakes is None else mistakes
    x, y, weights = start(seed)

    def make(kind: type[Trainer]) -> Trainer:
        return kind(x, y, dict(weights))

    correct = check(make(Trainer))
    found = {name: check(make(kind)) for name, kind in mistakes.items()}
    courses = {"correct": make(Trainer).train(steps)}
    courses |= {name: make(kind).train(steps) for name, kind in mistakes.items()}
    silent = sum(losses[-1] < losses[0] for name, losses in courses.items() if name != "correct")
    caught = sum(c.ways > 0 for c in found.values())
    dependence = label_dependence(Dataset(x, y[:, 0].astype(np.int64))).score
    confirmed = caught == len(mistakes) and correct.ways == 0 and silent >= SILENT
    return Finding(
        (
            Measurement("bugs-loss", expected(x, y, weights)[0]),
            Measurement("bugs-off-correct", correct.gradient_off),
            *(Measurement(f"bugs-off-{name}", c.gradient_off) for name, c in found.items()),
            Measurement("bugs-shape", sum(c.shape_off for c in found.values())),
            Measurement("bugs-refused", sum(c.refused for c in found.values())),
            Measurement("bugs-silent", silent),
            Measurement("bugs-caught", caught),
            Measurement("bugs-planted", len(mistakes)),
            Measurement("bugs-dependence", 100 * dependence, "%"),
        ),
        confirmed,
        "trainer-bugs" if confirmed else "trainer-bugs-not",
        figure(courses, {"correct": correct, **found}),
    )


def figure(courses: dict[str, list[float]], found: dict[str, Caught]) -> bytes:
    """The loss that each trainer prints of itself, and how far its first gradient is off."""
    colours = dict(zip(found, ("black", BLUE, ORANGE, GREEN, PURPLE, GREY), strict=False))
    with drawing(9.6, 3.8) as (page, word, buffer):
        left, right = page.add_subplot(1, 2, 1), page.add_subplot(1, 2, 2)
        for name, losses in courses.items():
            style = "-" if name == "correct" else "--"
            left.plot(
                losses, style, color=colours[name], linewidth=2 if name == "correct" else 1.4, label=word(f"bug-{name}")
            )
        # What runs away would leave the rest no room.
        calm = [losses for losses in courses.values() if np.isfinite(losses).all() and max(losses) <= 2 * losses[0]]
        low, high = min(map(min, calm)), max(map(max, calm))
        left.set_ylim(low - 0.1 * (high - low), high + 0.4 * (high - low))
        label(left, word("step"), word("printed-loss"))
        left.legend(fontsize=7, frameon=False, ncols=2, loc="upper right")
        names = list(found)
        values = [max(found[name].gradient_off, 1e-17) for name in names]
        right.barh(range(len(names)), values, left=1e-17, color=[colours[name] for name in names], height=0.6)
        right.set_xscale("log")
        right.axvline(AGREE, color="0.4", linestyle=":", label=word("agree"))
        right.set_yticks(range(len(names)), [word(f"bug-{name}") for name in names])
        right.invert_yaxis()
        label(right, word("gradient-off"))
        right.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
