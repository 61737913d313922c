"""Claim: what a network costs in use does not depend on how long it was trained.

One network is trained for 0, 1, 10 and 100 epochs. Of each, the parameters, the bytes of its weights, and the FLOPs of
a call and its peak of activations are counted, and calls are timed in turn. The claim is confirmed where all that is
counted is equal and where no network's time is more than a fifth above another's. It is not confirmed where a count
differs, or where one takes more than half as long again; in between it is undecided, since times are disturbed by
whatever else runs. A time is the one that a tenth of the turns do not exceed.

A network twice as wide shows that the measures do see a difference, and the FLOPs of training show what does grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.context import no_grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.data import Dataset, digits
from pellucid.inspection import cost
from pellucid.lab.drawing import BLUE, GREY, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.lab.stopwatch import in_turn, typical
from pellucid.train import fit

EPOCHS = (0, 1, 10, 100)
ROWS, BATCH, ROUNDS, TURN_S = 500, 50, 200, 3e-4
NEAR, FAR = 1.2, 1.5
LOSS = nn.CrossEntropyLoss()


@dataclass(frozen=True)
class Counted:
    """What is counted of a call with one row, and of the network."""

    parameters: int
    bytes: int
    flops: int
    peak: int


def network(width: int, seed: int) -> nn.Sequential:
    """Two hidden layers."""
    manual_seed(seed)
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def trained(epochs: int, data: Dataset, seed: int) -> nn.Sequential:
    """The network after so many epochs."""
    model = network(128, seed)
    if epochs:
        fit(
            model, data, loss=LOSS, optimizer=optim.Adam(model.parameters()), epochs=epochs, batch_size=BATCH,
            seed=seed, verbose=0,
        )  # fmt: skip
    return model


def counted(model: nn.Module) -> Counted:
    """Count."""
    report = cost(model, (1, 64))
    return Counted(report.parameters, report.size_bytes, report.flops, report.peak_activations)


def training_flops(model: nn.Module, epochs: int) -> int:
    """Of all steps: forward, loss, backward and update."""
    labels = np.zeros(BATCH, np.int64)
    step = cost(model, (BATCH, 64), training=True, loss=LOSS, targets=labels, optimizer=optim.Adam)
    return step.flops * epochs * (ROWS // BATCH)


def judged(counts: list[Counted], spread: float) -> tuple[bool | None, str]:
    """The verdict and the conclusion, from the counts of all networks and from the longest time over the shortest."""
    if any(c != counts[0] for c in counts):
        return False, "inference-cost-counts"
    if spread > FAR:
        return False, "inference-cost-times"
    return (True, "inference-cost") if spread <= NEAR else (None, "inference-cost-disturbed")


def run(seed: int, epochs: tuple[int, ...] = EPOCHS, rounds: int = ROUNDS) -> Finding:
    """Train, count, and time."""
    data = digits()[np.arange(ROWS)]
    models = {f"after-{n}": trained(n, data, seed) for n in epochs}
    models["wide"] = network(256, seed)
    row = Tensor(data.x[:1])
    with no_grad():
        times = in_turn({name: partial(model, row) for name, model in models.items()}, rounds, TURN_S)
    typical_s = {name: typical(values) for name, values in times.items()}
    counts = {name: counted(model) for name, model in models.items()}
    wide_time, wide = typical_s.pop("wide"), counts.pop("wide")
    spread = max(typical_s.values()) / min(typical_s.values())
    confirmed, conclusion = judged(list(counts.values()), spread)
    flops = [training_flops(models[f"after-{n}"], n) for n in epochs]
    first = next(iter(counts.values()))
    return Finding(
        (
            *(Measurement(f"inference-flops-{n}", counts[f"after-{n}"].flops) for n in epochs),
            Measurement("inference-parameters", first.parameters),
            Measurement("inference-bytes", first.bytes, "B"),
            Measurement("inference-peak", first.peak),
            *(Measurement(f"inference-time-{n}", 1e6 * typical_s[f"after-{n}"], "µs") for n in epochs),
            Measurement("inference-spread", spread, "×"),
            Measurement("training-flops-last", flops[-1]),
            Measurement("training-over-inference", round(flops[-1] / counts[f"after-{epochs[-1]}"].flops)),
            Measurement("wide-flops", wide.flops / first.flops, "×"),
            Measurement("wide-time", wide_time / float(np.mean(list(typical_s.values()))), "×"),
        ),
        confirmed,
        conclusion,
        figure(epochs, list(counts.values()), flops, [times[f"after-{n}"] for n in epochs]),
    )


def figure(epochs: tuple[int, ...], counts: list[Counted], flops: list[int], times: list[Array]) -> bytes:
    """FLOPs of training and of a call over the epochs; and the times of a call."""
    places = np.arange(len(epochs))
    with drawing(9.0, 3.7) as (page, word, buffer):
        work, call = page.subplots(1, 2)
        grows = [(p, f) for p, f in zip(places, flops, strict=True) if f]
        work.semilogy(*zip(*grows, strict=True), "s--", color=ORANGE, label=word("training-so-far"))
        work.semilogy(places, [c.flops for c in counts], "o-", color=BLUE, label=word("one-call"))
        label(work, word("epochs-trained"), word("flops"))
        work.legend(fontsize=8, frameon=False, loc="center right")
        for place, values in zip(places, times, strict=True):
            spots = place + 0.25 * np.linspace(-1, 1, len(values))
            call.plot(spots, 1e6 * values, ".", color=GREY, markersize=3)
            call.plot([place - 0.3, place + 0.3], [1e6 * typical(values)] * 2, color=BLUE, linewidth=2)
        middle = 1e6 * float(np.median(np.concatenate(times)))
        call.set_ylim(0, 2 * middle)
        label(call, word("epochs-trained"), word("call-us"))
        for axes in (work, call):
            axes.set_xticks(places, [str(n) for n in epochs])
    return buffer.getvalue()
