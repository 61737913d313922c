"""What the small networks of `models` and `models_of_losses` are put together from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pellucid import nn, optim
from pellucid.core.context import default_dtype

ROWS, WIDTH = 6, 5


class Training(NamedTuple):
    """A step that is called with the inputs, again and again.

    ordinary : whether the first step is another than the rest, and so has to be done before the step is recorded.
    """

    step: Callable[..., Any]
    inputs: list[np.ndarray]
    model: nn.Module
    optimizer: optim.Optimizer
    ordinary: bool = False


class Batch:
    """Data for losses, of one seed, in the default dtype."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)

    def numbers(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(default_dtype())

    def shares(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(0.1, 0.9, shape).astype(default_dtype())

    def signs(self, *shape: int) -> np.ndarray:
        return self.rng.choice([-1.0, 1.0], shape).astype(default_dtype())

    def counts(self, *shape: int) -> np.ndarray:
        return self.rng.integers(0, 4, shape).astype(default_dtype())

    def classes(self, number: int, *shape: int) -> np.ndarray:
        return self.rng.integers(0, number, shape)


def step_of(model: Any, loss: Any, optimizer: optim.Optimizer) -> Callable[..., Any]:
    """The step that everybody writes: the model's first input, then what the loss takes."""

    def step(x: Any, *target: Any) -> Any:
        value = loss(model(x), *target)
        value.backward()
        optimizer.step()
        return value

    return step


def trained_by_sgd(model: nn.Module, loss: Any, *inputs: np.ndarray, lr: float = 0.05) -> Training:
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.5)
    return Training(step_of(model, loss, optimizer), list(inputs), model, optimizer)
