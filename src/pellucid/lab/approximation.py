"""Claim: a network with one hidden layer comes as near to a continuous curve as one likes, if it is wide enough.

Networks 1-n-1 with tanh, n = 1, 2, 4, ... 32, are trained on 200 points of a curve of three waves, each from three
starts of which the best counts: the claim is about what a network can do. The error is the root of the mean squared
difference at 801 places, most of them between the points. The claim is confirmed where the widest network's error is a
tenth of the narrowest's at most, below 0.05, and no doubling of the width makes it more than a quarter larger. That
training finds the weights is no part of the theorem: the worst of the three starts is measured too.
"""

from __future__ import annotations

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.data import Dataset, curve
from pellucid.lab.drawing import BLUE, GREEN, GREY, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.train import fit

WIDTHS, STARTS, ITERATIONS = (1, 2, 4, 8, 16, 32), 3, 200
FALL, SMALL, SLACK = 10, 0.05, 1.25


def target(x: Array) -> Array:
    """The curve: three waves on [-1, 1]."""
    waves: Array = np.sin(np.pi * x) + 0.5 * np.sin(3 * np.pi * x + 1) + 0.25 * np.cos(6 * np.pi * x)
    return waves


def networks(activation: type[nn.Module], width: int, seed: int) -> list[nn.Sequential]:
    """A network for each start, its kinks spread over the interval."""
    made = []
    for start in range(STARTS):
        manual_seed(seed * STARTS + start)
        model = nn.Sequential(
            nn.Linear(1, width, dtype=np.float64), activation(), nn.Linear(width, 1, dtype=np.float64)
        )
        nn.init.uniform_(model[0].weight, -8.0, 8.0)
        # A unit bends where its input is 0: at a place drawn between -1 and 1.
        places = nn.init.uniform_(Tensor(np.zeros(width)), -1.0, 1.0)
        model[0].bias.assign(-model[0].weight[:, 0].detach() * places)
        made.append(model)
    return made


def run(seed: int, activation: type[nn.Module] = nn.Tanh, iterations: int = ITERATIONS) -> Finding:
    """Train every width, and measure its error."""
    rows = curve(target, 200)
    data = Dataset(rows.x.astype(np.float64), np.asarray(rows.y, np.float64))
    places = np.linspace(-1, 1, 801)
    models = {width: networks(activation, width, seed) for width in WIDTHS}
    for model in (model for group in models.values() for model in group):
        optimizer = optim.LBFGS(
            model.parameters(), lr=1.0, max_iter=iterations, history_size=30, line_search_fn="strong_wolfe"
        )
        fit(model, data, loss="mse", optimizer=optimizer, epochs=1, batch_size=None, checks=False, verbose=0)
    best, worst, drawn = [], [], {}
    for width, group in models.items():
        outputs = [np.asarray(m(places[:, None]).numpy(), np.float64)[:, 0] for m in group]
        errors = [float(np.sqrt(np.mean((o - target(places)) ** 2))) for o in outputs]
        best.append(min(errors))
        worst.append(max(errors))
        drawn[width] = outputs[int(np.argmin(errors))]
    falls = all(after <= SLACK * before for before, after in zip(best, best[1:], strict=False))
    confirmed = best[-1] <= best[0] / FALL and best[-1] < SMALL and falls
    return Finding(
        (
            *(Measurement(f"approximation-error-{w}", e) for w, e in zip(WIDTHS, best, strict=True)),
            Measurement("approximation-worst", worst[-1]),
        ),
        confirmed,
        "approximation" if confirmed else "approximation-not",
        figure(places, drawn, best, worst),
    )


def figure(places: Array, drawn: dict[int, Array], best: list[float], worst: list[float]) -> bytes:
    """The curve with some of the networks, and the error over the width."""
    chosen = [WIDTHS[0], WIDTHS[2], WIDTHS[-1]]
    with drawing(9.2, 3.8) as (page, word, buffer):
        left, right = page.add_subplot(1, 2, 1), page.add_subplot(1, 2, 2)
        left.plot(places, target(places), color="0.8", linewidth=5, label=word("curve"))
        for width, colour, style in zip(chosen, (ORANGE, GREEN, BLUE), (":", "--", "-"), strict=True):
            left.plot(places, drawn[width], style, color=colour, linewidth=1.5, label=f"{word('width')} {width}")
        label(left, "x", "y")
        left.legend(fontsize=8, frameon=False)
        right.loglog(WIDTHS, best, "o-", color=BLUE, markersize=4, label=word("best-start"))
        right.loglog(WIDTHS, worst, "^:", color=GREY, markersize=4, label=word("worst-start"))
        right.set_xticks(WIDTHS, [str(w) for w in WIDTHS])
        right.minorticks_off()
        label(right, word("hidden-units"), word("rms-error"))
        right.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
