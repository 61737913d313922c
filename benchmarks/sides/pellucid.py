"""pellucid's side. Threads and the tier come from the environment, as a user would set them.

`fit` is timed over the second half of its epochs, as its history tells them, so that the start of the call is not in
it; it compiles, as it would by itself for a longer run. `whole` is the same call by the clock outside, start and all;
`step` is a loop over batches around a compiled step, and `eager` the same loop without compiling.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import pellucid as pl
from benchmarks.digits import digits
from benchmarks.kinds import Infer, Layers, Reach, Train

with contextlib.suppress(ImportError):
    import llvmlite.binding  # noqa: F401  the time of its import is told apart

VERSION = pl.__version__

HIDDEN = {"relu": pl.nn.ReLU, "sigmoid": pl.nn.Sigmoid}
ADAMS: dict[str, Callable[..., pl.optim.Optimizer]] = {"adam": pl.optim.Adam, "adamw": pl.optim.AdamW}
LOSSES = {"cross_entropy": pl.nn.CrossEntropyLoss, "bce": pl.nn.BCEWithLogitsLoss}


def network(layers: Layers, hidden: str = "relu") -> pl.nn.Sequential:
    modules: list[pl.nn.Module] = []
    for weight, bias in layers:
        linear = pl.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        modules += [linear, HIDDEN[hidden]()]
    return pl.nn.Sequential(*modules[:-1])


def optimizer(name: str, parameters: Any, rate: float) -> pl.optim.Optimizer:
    if name in ADAMS:
        return ADAMS[name](parameters, lr=rate)
    return pl.optim.SGD(parameters, lr=rate, momentum=0.9 if name == "momentum" else 0.0)


def weights(model: pl.nn.Module) -> Layers:
    values = [np.array(p.data) for p in model.parameters()]
    return list(zip(values[::2], values[1::2], strict=True))


class Fit:
    """`pellucid.fit`, on the same network and optimizer in every round."""

    def __init__(self, work: Train, method: str) -> None:
        self.work, self.method = work, method
        self.start()

    def start(self) -> None:
        work = self.work
        self.models = [network(work.layers(n), work.hidden) for n in range(work.models)]
        self.optimizers = [optimizer(work.optimizer, m.parameters(), work.rate) for m in self.models]
        self.loss = LOSSES[work.loss]()

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        work = self.work
        if work.anew:
            self.start()
        options = {
            "loss": self.loss,
            "epochs": epochs,
            "batch_size": work.batch,
            "shuffle": work.shuffle,
            "seed": number,
            "checks": False,
            "verbose": 0,
        }
        start = time.perf_counter()
        if self.method == "fit_many":
            # One for each network, as `self.optimizers` are.
            make = partial(optimizer, work.optimizer, rate=work.rate)
            pl.fit_many(self.models, work.data, optimizer=make, **options)
        else:
            for model, chosen in zip(self.models, self.optimizers, strict=True):
                history = pl.fit(model, work.data, optimizer=chosen, **options)
        seconds = time.perf_counter() - start
        if self.method == "fit" and not work.anew and epochs > 1:
            later = history["time_s"][epochs // 2 :]
            return math.fsum(later), len(later) * work.steps
        return seconds, epochs * work.steps * work.models

    def value(self) -> float:
        return self.work.value([weights(model) for model in self.models])


class Loop:
    """A loop over batches, around a step that is compiled or eager."""

    def __init__(self, work: Train, method: str) -> None:
        self.work = work
        self.compiled = method == "step"
        self.start()

    def made(self) -> tuple[pl.nn.Module, Any]:
        """The network with its initial weights, and its loss."""
        return network(self.work.layers(), self.work.hidden), LOSSES[self.work.loss]()

    def start(self) -> None:
        work = self.work
        model, loss_fn = self.made()
        self.model = model
        steps = optimizer(work.optimizer, model.parameters(), work.rate)

        def step(x: Any, y: Any) -> Any:
            loss = loss_fn(model(x), y)
            steps.zero_grad()
            loss.backward()
            steps.step()
            return loss

        self.step = pl.compile(step) if self.compiled else step

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        work = self.work
        if work.anew:
            self.start()
        step = self.step
        loader = pl.data.Loader(pl.data.Dataset(*work.data), work.batch, shuffle=work.shuffle, seed=number)
        if not work.shuffle or work.batch == work.rows:
            ready = [(pl.asarray(x), pl.asarray(y)) for x, y in loader.batches(0)]
            start = time.perf_counter()
            for _ in range(epochs):
                for batch in ready:
                    step(*batch)
            return time.perf_counter() - start, epochs * work.steps
        start = time.perf_counter()
        for epoch in range(epochs):
            for x, y in loader.batches(epoch):
                step(x, y)
        return time.perf_counter() - start, epochs * work.steps

    def value(self) -> float:
        return self.work.value([weights(self.model)])


def train(work: Train, method: str, threads: int) -> Fit | Loop:
    return Loop(work, method) if method in ("step", "eager") else Fit(work, method)


class infer:
    """A compiled network, or the network itself without gradients."""

    def __init__(self, work: Infer, method: str, threads: int) -> None:
        self.work, self.x = work, work.network.data[0]
        model = network(work.network.layers()).eval()
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


def reach(work: Reach, method: str, threads: int) -> dict[str, Any]:
    """`fit` with a callback that ends it."""

    class Reached(pl.train.Callback):
        def on_epoch_end(self, run: Any, record: dict[str, float]) -> None:
            if record["val_accuracy"] >= work.accuracy:
                run.stop("reached")

    data = digits()
    history = pl.fit(
        network(data.layers),
        (data.x, data.y),
        loss="cross_entropy",
        optimizer=lambda parameters: pl.optim.Adam(parameters, lr=work.rate),
        epochs=work.most_epochs,
        batch_size=work.batch,
        validation=(data.x_test, data.y_test),
        metrics=["accuracy"],
        callbacks=[Reached()],
        verbose=0,
    )
    return {"accuracy": history["val_accuracy"][-1], "epochs": len(history)}
