"""The kinds of work that can be raced. A file in `workloads/` makes one of them; a file in `sides/` does it with one
library, by the function that has the kind's name. Data, initial weights and the order of the rows come from here, the
same for all; so does the check, in NumPy and float64, that all of them did the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]
"""Weight (out, in) and bias (out,) of each layer."""


CALL_STEPS = 20_000
"""Steps that a side may do in one call of its library, so that the call itself is small against them."""

TRAINERS = {
    "pellucid": ("fit-2t", "fit-1t", "whole-2t", "step-2t", "step-1t"),
    "torch": ("eager-1t", "eager-2t", "compiled-1t", "compiled-2t"),
    "jax": ("jit-1t", "jit-2t", "scan-1t", "scan-2t", "scan_out-1t", "scan_out-2t"),
    "sklearn": ("fit-1t", "fit-2t"),
}
"""All who can train a network, in all their ways."""


@dataclass(frozen=True)
class Goal:
    """How many times as long as pellucid somebody else should take at least.

    Parameters
        against : a library ("torch"), the start of one configuration ("jax scan"), or "best", the best peer
        factor : times as long
    """

    against: str
    factor: float


@dataclass(frozen=True)
class Limit:
    """What one of pellucid's own figures should not pass: another one's time `factor` times, or so many seconds."""

    configuration: str
    factor: float
    of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is done, and by whom.

    Parameters
        title : what is done, with all that a figure depends on
        sides : library to its configurations, each METHOD-THREADS, as in "eager-2t", and "-busy" where another process
            takes a processor meanwhile
        goals : where this is meant to arrive
        limits : the same for pellucid's own figures
        peak_share : the share of the machine's measured peak that is meant to be reached
        fresh : every round is a process of its own, and what is timed in it is said by the kind
        environment : variables of pellucid's processes
        flops : floating-point operations of one step, or 0 where nobody counts them
    """

    kind: ClassVar[str]
    unit: ClassVar[str] = "µs a step"
    tolerance: ClassVar[float] = 2e-3
    room: ClassVar[str] = "sides"
    """The folder of those who do it."""
    patience_s: ClassVar[float] = 300.0
    """After so long without an answer a process is ended."""

    title: str
    sides: Mapping[str, tuple[str, ...]]
    goals: tuple[Goal, ...] = ()
    limits: tuple[Limit, ...] = ()
    peak_share: float | None = None
    fresh: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def flops(self) -> int:
        return 0

    @property
    def call_epochs(self) -> int:
        """Epochs that a side may do in one call of its library, where it can; a round has a multiple of it."""
        return 1

    @property
    def fixed_epochs(self) -> int | None:
        """Epochs of a round, where they are part of the work; else a round has as many as fill its time."""
        return None


@dataclass(frozen=True, kw_only=True)
class Train(Workload):
    """Training a fully connected network.

    Parameters
        sizes : features, hidden units, outputs
        hidden : "relu" or "sigmoid"
        loss : "cross_entropy" of labels, or "bce" of one logit
        optimizer : "sgd", "momentum" (SGD with 0.9) or "adam"
        rows, batch : of the data, and of one step
        shuffle : a new order every epoch
        epochs : of the first round, after which the losses are compared
        anew : every round starts from the initial weights and has `epochs` epochs, and all of it is timed
        models : that many networks of their own weights on the same data
    """

    kind: ClassVar[str] = "train"

    sides: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: TRAINERS)
    sizes: tuple[int, ...]
    hidden: str = "relu"
    loss: str = "cross_entropy"
    optimizer: str = "sgd"
    rate: float = 0.01
    batch: int
    rows: int
    shuffle: bool = True
    epochs: int = 1
    anew: bool = False
    models: int = 1

    @property
    def steps(self) -> int:
        """Steps of an epoch; all batches are whole, so that no library compiles for a second size."""
        if self.rows % self.batch:
            raise ValueError(f"{self.rows} rows are no whole number of batches of {self.batch}")
        return self.rows // self.batch

    @property
    def call_epochs(self) -> int:
        return 1 if self.anew else max(1, CALL_STEPS // self.steps)

    @property
    def fixed_epochs(self) -> int | None:
        return self.epochs if self.anew else None

    @property
    def flops(self) -> int:
        products = [i * o for i, o in zip(self.sizes[:-1], self.sizes[1:], strict=True)]
        # Forward, gradient of the weight, and gradient of the input, which the first layer does not need.
        return 2 * self.batch * (3 * sum(products) - products[0])

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows drawn from a normal distribution. Labels are drawn too, so that gradients stay alive however long the
        training; with one output they are true where the first two features have the same sign."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.rows, self.sizes[0]), dtype=np.float32)
        if self.loss == "bce":
            return x, (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)
        return x, rng.integers(0, self.sizes[-1], self.rows)

    def layers(self, model: int = 0) -> Layers:
        """Initial weights."""
        rng = np.random.default_rng(1 + model)
        return [
            (rng.standard_normal((o, i), dtype=np.float32) * np.float32(np.sqrt(2 / i)), np.zeros(o, np.float32))
            for i, o in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]

    def order(self, number: int, epoch: int) -> np.ndarray:
        """The rows of an epoch of a round in the order in which `pellucid.fit(..., seed=number)` sees them."""
        if not self.shuffle or self.batch == self.rows:
            return np.arange(self.rows)
        from pellucid.data import Loader

        return Loader((np.zeros((self.rows, 1)), None), self.batch, shuffle=True, seed=number).order(epoch)

    def value(self, models: list[Layers]) -> float:
        """Loss over all rows, in float64, as a mean over the models: equal where the weights are equal."""
        return float(np.mean([self._loss(layers) for layers in models]))

    def _loss(self, layers: Layers) -> float:
        x, y = self.data
        z = x.astype(np.float64)
        for number, (weight, bias) in enumerate(layers):
            z = z @ weight.astype(np.float64).T + bias
            if number + 1 < len(layers):
                z = np.maximum(z, 0) if self.hidden == "relu" else 1 / (1 + np.exp(-z))
        if self.loss == "bce":
            return float(np.mean(np.logaddexp(0, z) - z * y))
        top = z.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(z - top).sum(axis=1)) + top[:, 0] - z[np.arange(len(z)), y]))


@dataclass(frozen=True, kw_only=True)
class FirstStep(Train):
    """The same, in fresh processes: building the network and the function that trains it, and one step. Imports are not
    in it, and are told apart. A configuration METHOD-cold has an empty cache of compiled code; METHOD-cached has what
    the process before it left there.
    """

    kind: ClassVar[str] = "first_step"
    unit: ClassVar[str] = "s"
    fresh: bool = True


@dataclass(frozen=True, kw_only=True)
class Infer(Workload):
    """One forward pass of a fully connected network: a NumPy array comes in and one leaves."""

    kind: ClassVar[str] = "infer"
    unit: ClassVar[str] = "µs a call"

    sizes: tuple[int, ...]
    batch: int
    calls: int = 1000

    @property
    def network(self) -> Train:
        """The network and its rows as a training workload has them."""
        return Train(title="", sides={}, sizes=self.sizes, batch=self.batch, rows=self.batch)

    @property
    def flops(self) -> int:
        return 2 * self.batch * sum(i * o for i, o in zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @staticmethod
    def value(outputs: np.ndarray) -> float:
        """A sum in which no two outputs count the same."""
        outputs = outputs.astype(np.float64).reshape(-1)
        return float(np.sum(outputs * np.linspace(1, 2, outputs.size)))


@dataclass(frozen=True, kw_only=True)
class Reach(Workload):
    """A fresh process from its start to its end: imports, compiling and all, until a network has learned the digits.
    The data come in one file; all have the same initial weights, and shuffle the rows alike.
    """

    kind: ClassVar[str] = "reach"
    unit: ClassVar[str] = "s"
    fresh: bool = True

    accuracy: float = 0.95
    most_epochs: int = 40
    sizes: tuple[int, ...] = (64, 32, 10)
    batch: int = 32
    rate: float = 3e-3


@dataclass(frozen=True, kw_only=True)
class Product(Workload):
    """Products of two square matrices, float32, into an array that is there."""

    kind: ClassVar[str] = "product"
    unit: ClassVar[str] = "µs a product"

    size: int

    @property
    def flops(self) -> int:
        return 2 * self.size**3
