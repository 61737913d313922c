"""An eager training step of 784-16-16-10: forward, cross-entropy, backward, SGD, batch 32, float32."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Contestant

TITLE = "eager training step, 784-16-16-10, batch 32, cross-entropy, SGD"
SIZES = (784, 16, 16, 10)
RATE = 0.01


def data() -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Inputs, labels and initial weights that all contestants share."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, SIZES[0])).astype(np.float32)
    y = rng.integers(0, SIZES[-1], 32)
    layers = [
        (rng.standard_normal((o, i)).astype(np.float32) * np.float32(np.sqrt(2 / i)), np.zeros(o, np.float32))
        for i, o in zip(SIZES[:-1], SIZES[1:], strict=True)
    ]
    return x, y, layers


def pellucid() -> list[Contestant]:
    import pellucid as pl

    x, y, layers = data()
    modules: list[pl.nn.Module] = []
    for weight, bias in layers:
        linear = pl.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        modules += [linear, pl.nn.ReLU()]
    model = pl.nn.Sequential(*modules[:-1])
    loss_fn = pl.nn.CrossEntropyLoss()
    optimizer = pl.optim.SGD(model.parameters(), lr=RATE)
    inputs, targets = pl.asarray(x), pl.asarray(y)

    def step() -> None:
        loss = loss_fn(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return [Contestant("pellucid", step, lambda: loss_fn(model(inputs), targets).item(), pl.__version__)]


def torch() -> list[Contestant]:
    import torch as th

    th.manual_seed(0)
    results = []
    for threads in (1, 2):
        x, y, layers = data()
        modules: list[th.nn.Module] = []
        for weight, bias in layers:
            linear = th.nn.Linear(weight.shape[1], weight.shape[0])
            linear.load_state_dict({"weight": th.tensor(weight), "bias": th.tensor(bias)})
            modules += [linear, th.nn.ReLU()]
        model = th.nn.Sequential(*modules[:-1])
        loss_fn = th.nn.CrossEntropyLoss()
        optimizer = th.optim.SGD(model.parameters(), lr=RATE)
        inputs, targets = th.tensor(x), th.tensor(y)

        def step(model=model, loss_fn=loss_fn, optimizer=optimizer, inputs=inputs, targets=targets, n=threads) -> None:  # type: ignore[no-untyped-def]
            th.set_num_threads(n)
            loss = loss_fn(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        def read(model=model, loss_fn=loss_fn, inputs=inputs, targets=targets) -> float:  # type: ignore[no-untyped-def]
            return loss_fn(model(inputs), targets).item()

        results.append(Contestant(f"torch eager, {threads} thread{'s'[: threads - 1]}", step, read, th.__version__))
    return results
