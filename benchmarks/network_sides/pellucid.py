"""pellucid's side of whole networks: its own models where it has them, else layers. `fit`, `step` and `eager` are those
of `sides/pellucid.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pellucid as pl
from benchmarks.network import Arrays
from benchmarks.network_kinds import InferNetwork, TrainNetwork
from benchmarks.networks import gpt, lstm, separable
from benchmarks.sides.pellucid import VERSION, Fit, Loop, optimizer

__all__ = ["VERSION", "infer_network", "train_network"]


class LastState(pl.nn.Module):
    """An LSTM and a linear layer on its last state."""

    def __init__(self) -> None:
        self.lstm = pl.nn.LSTM(lstm.FEATURES, lstm.HIDDEN, batch_first=True)
        self.head = pl.nn.Linear(lstm.HIDDEN, lstm.NETWORK.outputs)

    def forward(self, x: Any) -> Any:
        _, (h, _) = self.lstm(x)
        return self.head(h[0])


def separable_net() -> pl.nn.Sequential:
    nn = pl.nn
    layers: list[pl.nn.Module] = []
    for entering, leaving, kernel, stride, groups in separable.layers():
        conv = nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers.append(nn.Sequential(conv, nn.BatchNorm2d(leaving), nn.ReLU6()))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(leaving, 10))


def gpt_model() -> pl.nn.Module:
    return pl.models.GPT(gpt.TOKENS, gpt.PLACES, gpt.BLOCKS, gpt.HEADS, gpt.FEATURES)


MODELS: dict[str, Callable[[], pl.nn.Module]] = {
    "lenet5": pl.models.LeNet5,
    "separable": separable_net,
    "resnet20": pl.models.resnet20,
    "gpt": gpt_model,
    "lstm": LastState,
}


def made(network: str, arrays: Arrays) -> pl.nn.Module:
    """The network with these weights."""
    model = MODELS[network]()
    # The last layer of a GPT has the weight of the first.
    model.load_state_dict({name: arrays.get(name, arrays.get("wte.weight")) for name in model.state_dict()})
    return model


def weights(model: pl.nn.Module) -> Arrays:
    return {name: np.array(value.data) for name, value in model.state_dict().items()}


def loss_of(work: TrainNetwork) -> pl.nn.Module:
    return pl.models.NextTokenLoss() if work.net.vocabulary else pl.nn.CrossEntropyLoss()


class NetworkFit(Fit):
    """`pellucid.fit`, on the same network and optimizer in every round."""

    work: TrainNetwork  # type: ignore[assignment]

    def start(self) -> None:
        work = self.work
        self.models = [made(work.network, work.net.arrays())]  # type: ignore[list-item]
        self.optimizers = [optimizer(work.optimizer, self.models[0].parameters(), work.rate)]
        self.loss = loss_of(work)

    def value(self) -> float:
        return self.work.value(weights(self.models[0]))


class NetworkLoop(Loop):
    """A loop over batches, around a step that is compiled or eager."""

    work: TrainNetwork  # type: ignore[assignment]

    def made(self) -> tuple[pl.nn.Module, Any]:
        return made(self.work.network, self.work.net.arrays()), loss_of(self.work)

    def value(self) -> float:
        return self.work.value(weights(self.model))


def train_network(work: TrainNetwork, method: str, threads: int) -> NetworkFit | NetworkLoop:
    chosen = NetworkLoop if method in ("step", "eager") else NetworkFit
    return chosen(work, method)  # type: ignore[arg-type]


class infer_network:
    """A compiled network, or the network itself without gradients."""

    def __init__(self, work: InferNetwork, method: str, threads: int) -> None:
        self.work, self.x = work, work.data
        model = made(work.network, work.net.arrays()).eval()
        self.call = pl.compile(model) if method == "compiled" else model

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        call, x, calls = self.call, self.x, epochs * self.work.calls
        with pl.no_grad():  # type: ignore[attr-defined]
            start = time.perf_counter()
            for _ in range(calls):
                call(x).numpy()
            return time.perf_counter() - start, calls

    def value(self) -> float:
        with pl.no_grad():  # type: ignore[attr-defined]
            return self.work.value(self.call(self.x).numpy())
