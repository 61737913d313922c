"""scikit-learn's side: `MLPClassifier.fit`, from the initial weights in every round, start and all; for many networks
one after the other, or `joblib`, in as many processes as threads.

The classifier draws its weights and its order of rows itself; so that it starts where the others start and sees what
they see, both draws are answered with what is given. Nothing else is touched.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, _multilayer_perceptron

from benchmarks.digits import digits
from benchmarks.kinds import Layers, Reach, Train

VERSION = sklearn.__version__

warnings.filterwarnings("ignore", category=ConvergenceWarning)


class Given(MLPClassifier):  # type: ignore[misc]
    """A classifier whose initial weights are given before `fit`."""

    given: Iterator[tuple[np.ndarray, np.ndarray]]

    def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        weight, bias = next(self.given)
        return np.ascontiguousarray(weight.T), bias.copy()


def classifier(work: Train, layers: Layers, epochs: int) -> Given:
    model = Given(
        work.sizes[1:-1],
        activation={"relu": "relu", "sigmoid": "logistic"}[work.hidden],
        solver="adam" if work.optimizer == "adam" else "sgd",
        alpha=0.0,
        batch_size=work.batch,
        learning_rate_init=work.rate,
        max_iter=epochs,
        shuffle=work.shuffle and work.batch < work.rows,
        tol=0.0,
        momentum=0.9 if work.optimizer == "momentum" else 0.0,
        nesterovs_momentum=False,
        n_iter_no_change=np.inf,
    )
    model.given = iter(layers)
    return model


def give_orders(orders: Any) -> None:
    """Let the next fit in this process see the rows in these orders, one an epoch."""
    rest = iter(orders)
    _multilayer_perceptron.shuffle = lambda rows, random_state: next(rest)


def fitted(work: Train, model: int, epochs: int, orders: list[np.ndarray]) -> Layers:
    """Train one network, in this process or another; return its weights."""
    x, y = work.data
    network = classifier(work, work.layers(model), epochs)
    give_orders(orders)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(x, y[:, 0].astype(int) if y.ndim == 2 else y)
    return [(w.T, b) for w, b in zip(network.coefs_, network.intercepts_, strict=True)]


class train:
    """Whole fits."""

    def __init__(self, work: Train, method: str, threads: int) -> None:
        self.work, self.method, self.threads = work, method, threads
        self.models: list[Layers] = []

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        work = self.work
        orders = [work.order(number, epoch) for epoch in range(epochs)]
        start = time.perf_counter()
        if self.method == "joblib":
            with joblib.parallel_config("loky", n_jobs=self.threads, inner_max_num_threads=1):
                models = joblib.Parallel()(joblib.delayed(fitted)(work, n, epochs, orders) for n in range(work.models))
        else:
            models = [fitted(work, n, epochs, orders) for n in range(work.models)]
        seconds = time.perf_counter() - start
        self.models = models
        return seconds, epochs * work.steps * work.models

    def value(self) -> float:
        return self.work.value(self.models)


def reach(work: Reach, method: str, threads: int) -> dict[str, Any]:
    """`partial_fit` an epoch, and `score` after it."""
    data = digits()
    network = Given(work.sizes[1:-1], alpha=0.0, batch_size=work.batch, learning_rate_init=work.rate)
    network.given = iter(data.layers)
    give_orders(data.orders)
    classes = np.unique(data.y)
    epochs = 0
    for _ in range(work.most_epochs):
        epochs += 1
        network.partial_fit(data.x, data.y, classes=classes)
        accuracy = network.score(data.x_test, data.y_test)
        if accuracy >= work.accuracy:
            break
    return {"accuracy": float(accuracy), "epochs": epochs}
