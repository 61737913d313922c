"""Claim: the smaller the batch, the further the same number of epochs leads, and the rougher the way.

A network learns 1,000 points from the same first weights, in the same order and at the same learning rate, three times:
a step for each row (online), one for 32 rows (mini-batch), one for all rows (full batch): 1,000, 32 and 1 steps an
epoch. After some steps the loss over all rows is measured. The claim is confirmed where the loss at the end is lowest
online and highest for the full batch, and where the share of the way that led uphill is largest online and smallest for
the full batch.

A step is not an epoch: how far each is after as many steps as the full batch took tells what a single step is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.context import no_grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.data import Dataset, Loader, two_moons
from pellucid.lab.drawing import BLUE, GREEN, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement

ROWS, EPOCHS, RATE = 1000, 12, 0.05
SIZES = {"online": 1, "mini": 32, "full": ROWS}
LOSS = nn.CrossEntropyLoss()


@dataclass(frozen=True)
class Way:
    """A training: the steps after which the loss over all rows was measured, and these losses, from step 0 on.

    steps_an_epoch : steps in an epoch.
    """

    steps_an_epoch: int
    steps: Array
    losses: Array

    @property
    def uphill(self) -> float:
        """The share of the way that led uphill: the sum of all rises over the sum of all changes."""
        changes = np.diff(self.losses)
        total = float(np.abs(changes).sum())
        return float(changes[changes > 0].sum()) / total if total else 0.0

    @property
    def end(self) -> float:
        """The loss at the end."""
        return float(self.losses[-1])

    def after(self, steps: int) -> float:
        """The loss after so many steps, or the one measured next."""
        return float(self.losses[np.searchsorted(self.steps, steps)])


def way(data: Dataset, batch_size: int, rate: float, epochs: int, seed: int) -> Way:
    """Train by hand, as `fit` does it; measure at up to 50 places an epoch, and after each of the first 50 steps."""
    manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = optim.SGD(model.parameters(), lr=rate)
    loader = Loader(data, batch_size, shuffle=True, seed=seed)
    every = max(1, len(loader) // 50)
    x, y = Tensor(data.x), Tensor(np.asarray(data.y))

    def whole() -> float:
        with no_grad():
            return float(LOSS(model(x), y).numpy())

    steps, losses = [0], [whole()]
    count = 0
    for _ in range(epochs):
        for rows, targets in loader:
            loss = LOSS(model(rows), targets)
            loss.backward()
            optimizer.step()
            count += 1
            if count % every == 0 or count <= 50:
                steps.append(count)
                losses.append(whole())
    return Way(len(loader), np.array(steps), np.array(losses))


def run(seed: int, rates: tuple[float, float, float] = (RATE, RATE, RATE), epochs: int = EPOCHS) -> Finding:
    """Train in each way; `rates` are those of online, mini-batch and full batch."""
    data = two_moons(ROWS, noise=0.2, seed=seed)
    ways = {name: way(data, size, rate, epochs, seed) for (name, size), rate in zip(SIZES.items(), rates, strict=True)}
    ends = [w.end for w in ways.values()]
    uphill = [w.uphill for w in ways.values()]
    # What is not a number is neither lower nor higher.
    further = ends[0] < ends[1] < ends[2]
    rougher = uphill[0] > uphill[1] > uphill[2]
    conclusion = (
        "batch-size" if further and rougher else "batch-size-not-further" if rougher else "batch-size-not-rougher"
    )
    return Finding(
        (
            *(Measurement(f"steps-{name}", w.steps_an_epoch) for name, w in ways.items()),
            Measurement("loss-start", float(ways["full"].losses[0])),
            *(Measurement(f"loss-{name}", w.end) for name, w in ways.items()),
            *(Measurement(f"uphill-{name}", 100 * w.uphill, "%") for name, w in ways.items()),
            Measurement("equal-steps", epochs),
            *(Measurement(f"equal-steps-{name}", w.after(epochs)) for name, w in ways.items()),
        ),
        further and rougher,
        conclusion,
        figure(ways),
    )


def figure(ways: dict[str, Way]) -> bytes:
    """The loss over epochs, and over steps."""
    looks = {"online": (ORANGE, 0.7), "mini": (GREEN, 1.2), "full": (BLUE, 1.8)}
    with drawing(9.4, 3.8) as (page, word, buffer):
        epochs, steps = page.subplots(1, 2)
        for name, w in ways.items():
            colour, width = looks[name]
            epochs.plot(w.steps / w.steps_an_epoch, w.losses, color=colour, linewidth=width)
            look = {"color": colour, "linewidth": width, "marker": "o" if name == "full" else None, "markersize": 3}
            steps.plot(w.steps[1:], w.losses[1:], label=word(f"batch-{name}"), **look)
        for axes, x in ((epochs, "epoch"), (steps, "step")):
            axes.set_yscale("log")
            label(axes, word(x), word("loss-all-rows"))
        steps.set_xscale("log")
        steps.legend(fontsize=8, frameon=False, loc="lower left")
    return buffer.getvalue()
