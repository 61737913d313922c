"""Claim: a learning rate can be too small, right or too large, and it is too large from 2/λ on, λ being the largest
eigenvalue of the loss's Hessian.

A linear model of three inputs, whose loss is a bowl with the same Hessian everywhere, is trained by gradient descent
over all rows at a hundredth of 2/λ, at half of it, and a tenth above it; then the edge is looked for by bisection. The
same search is made for a network 1-16-1 with tanh, beside a minimum that it was trained to and at its first weights.
The claim is confirmed where the edge of the bowl and the one beside the minimum lie within a twentieth of 2/λ, and
where after 100 steps the right rate's loss is a tenth of the small one's at most and the large one's is above the
first. The edge from the first weights is measured as well: nothing is claimed of it, since λ changes on the way.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, curve
from pellucid.inspection import curvature
from pellucid.lab.drawing import BLUE, GREEN, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import fit

SMALL, RIGHT, LARGE = 0.01, 0.5, 1.1
STEPS, NEAR, HALVINGS = 100, 0.05, 9
_AWAY = 1e6


def bowl(seed: int) -> tuple[nn.Linear, Dataset]:
    """A linear model, and rows that one of its kind explains without a rest; inputs of three scales."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((200, 3)) * (1.0, 0.5, 0.25)
    y = x @ np.array([[1.0], [-2.0], [3.0]]) + 0.5
    manual_seed(seed)
    return nn.Linear(3, 1, dtype=np.float64), Dataset(x, y)


def network(seed: int) -> tuple[nn.Sequential, Dataset]:
    """1-16-1 with tanh, and a curve."""
    manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(1, 16, init="xavier", dtype=np.float64), nn.Tanh(), nn.Linear(16, 1, dtype=np.float64)
    )
    rows = curve(lambda x: np.sin(3 * x), 40)
    return model, Dataset(rows.x.astype(np.float64), np.asarray(rows.y, np.float64))


def largest_eigenvalue(model: nn.Module, data: Dataset) -> float:
    """λ, of the Hessian of the mean squared error over all rows."""
    found = curvature(model, data, nn.MSELoss(), num_eigenvalues=1, num_probes=2, tolerance=1e-6)
    return float(found.eigenvalues.largest[0])


def descent(model: nn.Module, data: Dataset, rate: float, steps: int) -> Array:
    """The losses of gradient descent from the model's weights, which stay as they are, until it ends or runs away."""
    model = copy.deepcopy(model)
    loss_fn, optimizer = nn.MSELoss(), optim.SGD(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps + 1):
        loss = loss_fn(model(data.x), data.y)
        losses.append(float(loss.item()))
        if losses[-1] > _AWAY * losses[0]:
            break
        loss.backward()
        optimizer.step()
    return np.array(losses)


def edge(stays: Callable[[float], bool], low: float, high: float, halvings: int) -> float:
    """The rate between `low`, which stays, and `high`, at which it no longer does so."""
    for _ in range(halvings):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if stays(middle) else (low, middle)
    return math.sqrt(low * high)


def minimum(model: nn.Module, data: Dataset, seed: int) -> nn.Module:
    """The network at a minimum: trained to it, and put a hair's breadth beside it."""
    model = copy.deepcopy(model)
    fit(
        model, data, loss="mse", optimizer=optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe"), epochs=30,
        batch_size=None, checks=False, verbose=0,
    )  # fmt: skip
    random = np.random.default_rng(seed)
    model.load_state_dict(
        {name: p.numpy() + 1e-4 * random.standard_normal(p.shape) for name, p in model.named_parameters()}
    )
    return model


def run(seed: int, large: float = LARGE, halvings: int = HALVINGS) -> Finding:
    """Train the bowl at three rates, and look for the edges."""
    model, data = bowl(seed)
    limit = 2 / largest_eigenvalue(model, data)
    courses = {
        name: descent(model, data, share * limit, STEPS)
        for name, share in (("small", SMALL), ("right", RIGHT), ("large", large))
    }

    def bowl_stays(rate: float) -> bool:
        losses = descent(model, data, rate, 300)
        return bool(losses[-1] < losses[0])

    bowl_edge = edge(bowl_stays, 0.5 * limit, 2 * limit, halvings) / limit
    net, rows = network(seed)
    start_limit = 2 / largest_eigenvalue(net, rows)

    def start_stays(rate: float) -> bool:
        losses = descent(net, rows, rate, 300)
        return bool(losses[-1] < losses[0])

    start_edge = edge(start_stays, 0.25 * start_limit, 16 * start_limit, halvings) / start_limit
    beside = minimum(net, rows, seed)
    beside_limit = 2 / largest_eigenvalue(beside, rows)

    def beside_stays(rate: float) -> bool:
        losses = descent(beside, rows, rate, 300)
        return bool(losses[-1] <= losses[0])

    beside_edge = edge(beside_stays, 0.5 * beside_limit, 2 * beside_limit, halvings) / beside_limit
    shares = {name: float(losses[-1] / losses[0]) for name, losses in courses.items()}
    confirmed = (
        abs(bowl_edge - 1) < NEAR
        and abs(beside_edge - 1) < NEAR
        and shares["right"] <= shares["small"] / 10
        and shares["large"] > 1
    )
    return Finding(
        (
            Measurement("largest-eigenvalue", 2 / limit),
            Measurement("rate-limit", limit),
            *(Measurement(f"loss-share-{name}", share) for name, share in shares.items()),
            Measurement("edge-bowl", bowl_edge),
            Measurement("edge-minimum", beside_edge),
            Measurement("edge-start", start_edge),
        ),
        confirmed,
        "learning-rate" if confirmed else "learning-rate-not",
        figure(courses, limit),
    )


def figure(courses: dict[str, Array], limit: float) -> bytes:
    """The loss at each rate, step by step."""
    looks = {"small": (BLUE, ":"), "right": (GREEN, "-"), "large": (ORANGE, "--")}
    with drawing(5.8, 3.8) as (page, word, buffer):
        axes = page.add_subplot()
        for name, losses in courses.items():
            colour, style = looks[name]
            axes.semilogy(losses / losses[0], style, color=colour, linewidth=1.8, label=word(f"rate-{name}"))
        axes.axhline(1.0, color="0.6", linewidth=0.8)
        label(axes, word("step"), word("loss-share"), f"2/λ = {limit:.3g}")
        axes.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
