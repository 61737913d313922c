"""A small network for each loss, with the options that change what it computes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pellucid import nn, optim
from pellucid.core.context import default_dtype
from tests.compiler.trainings import ROWS, WIDTH, Batch, Training, step_of, trained_by_sgd


def loss_of(loss: Any, inputs: Callable[[Batch], list[Any]], last: Callable[[], nn.Module] = nn.Identity) -> Training:
    """A loss of a network with four outputs, the last layer making of them what the loss takes."""
    batch = Batch()
    model = nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, 4), last())
    return trained_by_sgd(model, loss, batch.numbers(ROWS, WIDTH), *inputs(batch))


def loss_of_pair(loss: Any, rows: int, inputs: Callable[[Batch], list[Any]]) -> Training:
    """A loss that takes several results of a network: those of the rows one after the other."""

    def split(y: Any, *target: Any) -> Any:
        return loss(*(y[n * ROWS : (n + 1) * ROWS] for n in range(rows)), *target)

    batch = Batch()
    model = nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, 4))
    return trained_by_sgd(model, split, batch.numbers(rows * ROWS, WIDTH), *inputs(batch))


def loss_with_layers(make: Callable[[], nn.Module]) -> Training:
    """A loss with weights of its own. (The adaptive one looks at the labels, which no recording can.)"""
    batch = Batch()
    model = nn.ModuleDict({"body": nn.Sequential(nn.Linear(WIDTH, 16), nn.Tanh()), "loss": make()})
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
    step = step_of(model["body"], model["loss"], optimizer)
    return Training(step, [batch.numbers(ROWS, WIDTH), batch.classes(9, ROWS)], model, optimizer)


def _numbers(b: Batch) -> list[Any]:
    return [b.numbers(ROWS, 4)]


def _shares(b: Batch) -> list[Any]:
    return [b.shares(ROWS, 4)]


def _signs(b: Batch) -> list[Any]:
    return [b.signs(ROWS, 4)]


def _labels(b: Batch) -> list[Any]:
    return [b.classes(4, ROWS)]


def _ignored(b: Batch) -> list[Any]:
    labels = b.classes(4, ROWS)
    labels[1] = -100
    return [labels]


def _distribution(b: Batch) -> list[Any]:
    t = b.shares(ROWS, 4)
    return [t / t.sum(1, keepdims=True)]


def _lists(b: Batch) -> list[Any]:
    return [np.array([[0, 3, -1, 1], [2, -1, 0, 0], [1, 2, 3, -1], [-1, 0, 1, 2], [3, -1, -1, -1], [0, 1, 2, 3]])]


def _weights() -> Any:
    return np.array([0.5, 1.0, 2.0, 0.25], default_dtype())


def _losses() -> Iterator[tuple[str, Callable[[], Training]]]:
    def one(name: str, inputs: Any, last: Any = nn.Identity, weighted: str = "", **options: Any) -> Any:
        def make() -> Training:
            given = {weighted: _weights()} if weighted else {}
            return loss_of(getattr(nn, name)(**options, **given), inputs, last)

        shown = [weighted] * bool(weighted) + [f"{k}={v}" for k, v in options.items()]
        return f"{name}({', '.join(shown)})" if shown else name, make

    for name in ("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "QuantileLoss"):
        yield one(name, _numbers)
    yield one("MSELoss", _numbers, reduction="sum")
    yield one("QuantileLoss", _numbers, quantile=0.9)
    yield one("BCELoss", _shares, nn.Sigmoid)
    yield one("BCEWithLogitsLoss", _shares)
    yield one("BCEWithLogitsLoss", _shares, weighted="pos_weight")
    yield one("CrossEntropyLoss", _labels)
    yield one("CrossEntropyLoss", _labels, weighted="weight")
    yield one("CrossEntropyLoss", _labels, label_smoothing=0.1)
    yield one("CrossEntropyLoss", _labels, weighted="weight", label_smoothing=0.1)
    yield one("CrossEntropyLoss", _ignored, reduction="sum")
    yield one("CrossEntropyLoss", _labels, ignore_index=None)
    name, make = one("CrossEntropyLoss", _distribution)
    yield f"{name} of distributions", make
    yield one("FocalLoss", _labels)
    yield one("FocalLoss", _labels, gamma=0.5)
    yield one("NLLLoss", _labels, nn.LogSoftmax)
    yield one("NLLLoss", _ignored, nn.LogSoftmax, weighted="weight")
    yield one("KLDivLoss", _distribution, nn.LogSoftmax)
    yield one("PoissonNLLLoss", lambda b: [b.counts(ROWS, 4)])
    yield one("PoissonNLLLoss", lambda b: [b.counts(ROWS, 4)], nn.Softplus, log_input=False, full=True)
    yield one("GaussianNLLLoss", lambda b: [b.numbers(ROWS, 4), b.shares(ROWS, 4)])
    yield one("SoftMarginLoss", _signs)
    yield one("HingeEmbeddingLoss", _signs)
    yield one("MultiLabelMarginLoss", _lists)
    yield one("MultiLabelSoftMarginLoss", _shares)
    yield one("MultiMarginLoss", _labels)
    yield one("MultiMarginLoss", _labels, weighted="weight", p=2)
    pairs: dict[str, tuple[Any, int, Any]] = {
        "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss(margin=0.2), 2, lambda b: [b.signs(ROWS)]),
        "MarginRankingLoss": (nn.MarginRankingLoss(margin=0.3), 2, _signs),
        "TripletMarginLoss": (nn.TripletMarginLoss(), 3, lambda b: []),
        "TripletMarginLoss(swap)": (nn.TripletMarginLoss(swap=True, p=3.0), 3, lambda b: []),
        "TripletMarginWithDistanceLoss": (nn.TripletMarginWithDistanceLoss(), 3, lambda b: []),
    }
    for name, (loss, rows, inputs) in pairs.items():
        yield name, partial(loss_of_pair, loss, rows, inputs)
    yield "LinearCrossEntropyLoss", partial(loss_with_layers, partial(nn.LinearCrossEntropyLoss, 16, 9))


LOSSES: dict[str, Callable[[], Training]] = dict(_losses())
