"""The kinds of work that can be raced with whole networks: training them, asking them, and compiling them. The network
is that of a file in `networks/`; a file in `network_sides/` does the work with one library, by the function that has
the kind's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from benchmarks.kinds import Goal, Infer, Train, Workload
from benchmarks.network import Arrays, Network, network
from benchmarks.reference import Reference

CHECKED_ROWS = 64
"""Rows on which the weights of all sides are compared."""

PATIENCE_S = 1200.0
"""Compiling a whole network takes others minutes where the machine is busy."""


def both(*methods: str) -> tuple[str, ...]:
    """The configurations of methods on one and on two threads."""
    return tuple(f"{method}-{threads}" for method in methods for threads in ("1t", "2t"))


LAST = {
    "pellucid": ("fit-2t", "fit-1t", "step-2t", "step-1t"),
    "torch": both("eager", "eager_last", "compiled", "compiled_last"),
    "jax": both("jit", "jit_last", "scan_last"),
}
"""All who can train a network on pictures; `last` has the channels last in memory."""

PLAIN = {
    "pellucid": LAST["pellucid"],
    "torch": both("eager", "compiled"),
    "jax": both("jit", "scan"),
}
"""The same for a network on anything else."""


@dataclass(frozen=True, kw_only=True)
class TrainNetwork(Workload):
    """Training a network, cross-entropy, in a new order of the rows every epoch.

    Parameters
        network : a file in `networks/`
        optimizer : "momentum" (SGD with 0.9), "adam" or "adamw" (weight decay 0.01)
        rows, batch : of the data, and of one step
        epochs : of the first round, after which the losses are compared
    """

    kind: ClassVar[str] = "train_network"
    room: ClassVar[str] = "network_sides"
    patience_s: ClassVar[float] = PATIENCE_S
    shuffle: ClassVar[bool] = True
    anew: ClassVar[bool] = False
    models: ClassVar[int] = 1

    sides: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: LAST)
    network: str
    optimizer: str
    rate: float
    batch: int
    rows: int
    epochs: int = 1

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self._rows.steps

    def order(self, number: int, epoch: int) -> np.ndarray:
        """The rows of an epoch of a round in the order in which `pellucid.fit(..., seed=number)` sees them."""
        return self._rows.order(number, epoch)

    @property
    def _rows(self) -> Train:
        """What knows about batches and orders."""
        return Train(title="", sides={}, sizes=(1,), batch=self.batch, rows=self.rows)

    @cached_property
    def net(self) -> Network:
        return network(self.network)

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        return self.net.data(self.rows)

    @property
    def flops(self) -> int:
        products, first = self.net.products
        # Forward, gradient of the weights, and gradient of the inputs, which the first layer does not need.
        return 2 * self.batch * (3 * products - first)

    def value(self, arrays: Arrays) -> float:
        """Loss over the first rows with running statistics, in float64: equal where weights and buffers are equal."""
        x, y = (array[:CHECKED_ROWS] for array in self.data)
        z = self.net.forward(Reference(arrays), x)
        z, y = z.reshape(-1, z.shape[-1]), y.reshape(-1)
        top = z.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - z[np.arange(len(z)), y]))


@dataclass(frozen=True, kw_only=True)
class CompileNetwork(TrainNetwork):
    """The first step of a network that stands ready, in a fresh process: recording, compiling, and running it once.
    Imports are not in it, and are told apart; neither is building the network. A configuration METHOD-cold has an empty
    cache of compiled code; METHOD-cached has what the process before it left there.
    """

    kind: ClassVar[str] = "compile_network"
    unit: ClassVar[str] = "s"
    fresh: bool = True
    sides: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "pellucid": ("step-2t-cold", "step-2t-cached"),
            "torch": ("compiled-2t-cold", "compiled-2t-cached"),
            "jax": ("jit-2t-cold", "jit-2t-cached"),
        }
    )


@dataclass(frozen=True, kw_only=True)
class InferNetwork(Workload):
    """One forward pass of a network in inference mode: a NumPy array comes in and one leaves."""

    kind: ClassVar[str] = "infer_network"
    room: ClassVar[str] = "network_sides"
    unit: ClassVar[str] = "µs a call"
    patience_s: ClassVar[float] = PATIENCE_S

    network: str
    batch: int
    calls: int = 1

    value = staticmethod(Infer.value)

    @cached_property
    def net(self) -> Network:
        return network(self.network)

    @cached_property
    def data(self) -> np.ndarray:
        return self.net.data(self.batch)[0]

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.net.products[0]


def inference(title: str, network: str, batch: int, goal: float, *, pictures: bool = True) -> InferNetwork:
    """The workload of asking a network, with all who can.

    Parameters
        goal : how many times as long as pellucid onnxruntime should take at least
        pictures : whether there are channels to lay out
    """
    return InferNetwork(
        title=f"{title}, batch {batch}, from a NumPy array to a NumPy array",
        sides={
            "pellucid": (*both("compiled"), "eager-1t"),
            "torch": both("eager", *(["eager_last"] if pictures else []), "script", "compiled"),
            "jax": both("jit_last" if pictures else "jit"),
            "onnxruntime": both("run"),
        },
        goals=(Goal("onnxruntime", goal),),
        network=network,
        batch=batch,
    )
