"""Claim: the peak of the activations tells how much memory training takes.

Networks of 2 to 32 layers of one width run on 256 rows. The peak of the activations (what has to be there at once when
a layer is computed) and their total (what all layers make) are counted from the graph; the memory of a call and of a
step of training is measured while they run, by what Python and NumPy ask for. The peak is the same for all depths. The
claim is confirmed where the memory of training then hardly grows either: from the shallowest to the deepest at most
half as much again as the peak does. It is not confirmed where it grows more than that.

What the memory does follow is measured too: whether that of a call goes with the peak, and that of training with the
total.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import nn
from pellucid.core.context import no_grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.inspection import cost
from pellucid.lab.drawing import BLUE, GREY, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement

DEPTHS = (2, 4, 8, 16, 32)
WIDTH, ROWS = 64, 256
SAME = 1.5
MIB = 2**20
LOSS = nn.MSELoss()


@dataclass(frozen=True)
class Memory:
    """Bytes of activations, counted, and of all that a call and a step ask for, measured.

    stored : what a backward pass reads, counted.
    """

    depth: int
    peak: int
    total: int
    stored: int
    call: int
    step: int


def network(depth: int, seed: int) -> nn.Sequential:
    """So many linear layers, each with a tanh."""
    manual_seed(seed)
    return nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(WIDTH, WIDTH), nn.Tanh())))


def asked_for(function: Callable[[], Any]) -> int:
    """Bytes that are in use at once while a function runs, beyond those from before. It has run once already, so that
    what is made only once does not count."""
    function()
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not running:
            tracemalloc.stop()


def measured(depth: int, seed: int) -> Memory:
    """Count and measure."""
    model = network(depth, seed)
    x = Tensor(np.random.default_rng(seed).standard_normal((ROWS, WIDTH)).astype(np.float32))
    inference = cost(model, (ROWS, WIDTH))
    training = cost(model, (ROWS, WIDTH), training=True, loss=LOSS, targets=(ROWS, WIDTH))

    def call() -> None:
        with no_grad():
            model(x)

    def step() -> None:
        LOSS(model(x), x).backward()

    return Memory(
        depth,
        inference.peak_activation_bytes,
        inference.total_activation_bytes,
        training.stored_bytes or 0,
        asked_for(call),
        asked_for(step),
    )


def judged(seen: list[Memory]) -> tuple[bool, str]:
    """The verdict and the conclusion."""
    first, last = seen[0], seen[-1]
    if (last.step / first.step) / (last.peak / first.peak) <= SAME:
        return True, "activations"
    follows = (last.call / first.call) / (last.peak / first.peak) <= SAME
    return False, "activations-total" if follows else "activations-neither"


def run(seed: int, depths: tuple[int, ...] = DEPTHS) -> Finding:
    """Measure all depths."""
    seen = [measured(depth, seed) for depth in depths]
    first, last = seen[0], seen[-1]
    confirmed, conclusion = judged(seen)
    return Finding(
        (
            Measurement("depth-least", first.depth),
            Measurement("depth-most", last.depth),
            *(
                Measurement(f"{name}-{which}", getattr(memory, name) / MIB, "MiB")
                for name in ("peak", "total", "stored", "call", "step")
                for which, memory in (("least", first), ("most", last))
            ),
            *(
                Measurement(f"{name}-growth", getattr(last, name) / getattr(first, name), "×")
                for name in ("peak", "total", "call", "step")
            ),
        ),
        confirmed,
        conclusion,
        figure(seen),
    )


def figure(seen: list[Memory]) -> bytes:
    """Counted and measured memory over the depth."""
    depths = [m.depth for m in seen]
    looks = {
        "peak": (BLUE, "--", "peak-counted"),
        "call": (BLUE, "o-", "call-measured"),
        "total": (ORANGE, "--", "total-counted"),
        "step": (ORANGE, "s-", "step-measured"),
        "stored": (GREY, ":", "stored-counted"),
    }
    with drawing(6.0, 4.0) as (page, word, buffer):
        axes = page.add_subplot()
        for name, (colour, style, words) in looks.items():
            axes.loglog(
                depths, [getattr(m, name) / MIB for m in seen], style, color=colour, markersize=5, label=word(words)
            )
        axes.set_xticks(depths, [str(d) for d in depths])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_minor_formatter(lambda x, _: "")
        axes.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
        label(axes, word("num-layers"), word("memory-mib"))
        axes.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
