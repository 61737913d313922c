"""Claim: the batch sets the noise of the gradient: four times the rows, half the noise.

The gradient of a network on 1,024 points is compared with those of 400 random batches of each of six sizes, and the
noise is the root of their mean squared distance. Statistics says that it is √(tr Σ / B), tr Σ being the summed
variances of the gradient of a single row, and less by the factor √(1 - B / N) since a batch takes each of the N rows at
most once. tr Σ comes from the gradients of the rows, so nothing is fitted. The claim is confirmed where the measured
noise squared is within four standard errors of the predicted one at each size, and where, that last factor taken out,
it falls with the root of B: the exponent lies between -0.55 and -0.45.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid import inspection, nn, optim
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.data import Dataset, two_moons
from pellucid.lab.drawing import BLUE, GREY, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import fit

ROWS, BATCHES = 1024, 400
SIZES = (1, 4, 16, 64, 256, 768)
ERRORS, LOW, HIGH = 4.0, -0.55, -0.45
LOSS = nn.CrossEntropyLoss()

Draw = Callable[[np.random.Generator, Dataset, int], Array]


@dataclass(frozen=True)
class Noise:
    """The noise at a size of the batch.

    squared : the mean of |g_B - G|² over the batches, and its standard error.
    expected : what it should be.
    """

    size: int
    squared: float
    error: float
    expected: float

    @property
    def deviation(self) -> float:
        """How far the measured one is from the expected one, in standard errors."""
        return abs(self.squared - self.expected) / self.error


def at_random(generator: np.random.Generator, data: Dataset, size: int) -> Array:
    """The numbers of the rows of a batch, each at most once."""
    return generator.choice(len(data), size, replace=False)


def gradient(model: nn.Module, data: Dataset, rows: Array) -> Array:
    """The gradient of the mean loss over some rows, as one vector in float64."""
    loss = LOSS(model(Tensor(data.x[rows])), Tensor(np.asarray(data.y)[rows]))
    parts = grad(loss, list(model.parameters()))
    return np.concatenate([np.asarray(g.numpy(), np.float64).ravel() for g in parts])


def measured(
    model: nn.Module, data: Dataset, size: int, variance: float, generator: np.random.Generator, draw: Draw
) -> Noise:
    """The noise of random batches of a size.

    Parameters
        variance : tr Σ, with the divisor N - 1
    """
    whole = gradient(model, data, np.arange(len(data)))
    distances = np.empty(BATCHES)
    for n in range(BATCHES):
        difference = gradient(model, data, draw(generator, data, size)) - whole
        distances[n] = difference @ difference
    return Noise(
        size,
        float(distances.mean()),
        float(distances.std(ddof=1)) / math.sqrt(BATCHES),
        variance / size * (1 - size / len(data)),
    )


def exponent(noises: list[Noise], rows: int) -> float:
    """Of B in the noise, once the part that comes from a finite set is taken out: the slope of a fitted line."""
    sizes = np.array([n.size for n in noises])
    noise = np.array([math.sqrt(n.squared / (1 - n.size / rows)) for n in noises])
    return float(np.polyfit(np.log(sizes), np.log(noise), 1)[0])


def run(seed: int, draw: Draw = at_random) -> Finding:
    """Train a little, so that the gradient is not that of the first weights, then draw batches with `draw`."""
    data = two_moons(ROWS, noise=0.2, seed=seed)
    manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    fit(model, data, loss=LOSS, optimizer=optim.Adam(model.parameters(), lr=0.01), epochs=2, seed=seed, verbose=0)
    rows = inspection.gradient_noise(model, data, LOSS, num_groups=ROWS, group_size=1, seed=seed)
    generator = np.random.default_rng(seed)
    noises = [measured(model, data, size, rows.noise.variance, generator, draw) for size in SIZES]
    power = exponent(noises, ROWS)
    worst = max(n.deviation for n in noises)
    confirmed = worst <= ERRORS and LOW <= power <= HIGH
    by_size = {n.size: math.sqrt(n.squared) for n in noises}
    return Finding(
        (
            Measurement("row-variance", rows.noise.variance),
            *(Measurement(f"noise-{size}", by_size[size]) for size in SIZES),
            Measurement("noise-halving", by_size[4] / by_size[16]),
            Measurement("noise-exponent", power),
            Measurement("noise-deviation", worst),
            Measurement("noise-scale", rows.scale),
        ),
        confirmed,
        "gradient-noise" if confirmed else "gradient-noise-not",
        figure(noises, rows),
    )


def figure(noises: list[Noise], rows: inspection.GradientNoise) -> bytes:
    """The measured noise and the predicted curve; and the gradient's own length, for comparison."""
    with drawing(5.8, 4.0) as (page, word, buffer):
        axes = page.add_subplot()
        sizes = np.unique(np.logspace(0, math.log10(ROWS - 1), 200).round())
        plain = np.sqrt(rows.noise.variance / sizes)
        axes.loglog(sizes, plain, color=GREY, linestyle="--", linewidth=1, label=word("noise-infinite"))
        axes.loglog(sizes, plain * np.sqrt(1 - sizes / ROWS), color=BLUE, label=word("noise-predicted"))
        at = [n.size for n in noises]
        axes.loglog(
            at, [math.sqrt(n.squared) for n in noises], "o", color=ORANGE, label=word("noise-measured"), zorder=3
        )
        signal = math.sqrt(max(rows.noise.gradient_norm_squared, 0.0))
        if signal > 0:
            axes.axhline(signal, color="black", linewidth=0.8, linestyle=":", label=word("gradient-length"))
        label(axes, word("batch-rows"), word("gradient-noise"))
        axes.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
