"""A small problem that is not convex, the optimizers with their options, and what else these tests share."""

from typing import Any

import numpy as np

import pellucid as pl
from pellucid import optim

rng = np.random.default_rng(7)
X = rng.normal(size=(5, 3))
A = rng.normal(size=(3, 2))
B = rng.normal(size=2)


def loss(x: Any, a: Any, b: Any) -> Any:
    """The same expression in Tensors of either library."""
    return ((x @ a).tanh() * b).sum() + (a * 2.0).sin().sum() * 0.5 + (b * 3.0).sin().sum() + (b * b).sum() * 0.1


def parameters(dtype: Any = np.float64) -> tuple[pl.Tensor, pl.Tensor, pl.Tensor]:
    """The constant and the two parameters."""
    a, b = (pl.Tensor(v.astype(dtype), requires_grad=True) for v in (A, B))
    return pl.Tensor(X.astype(dtype)), a, b


def train(optimizer: Any, x: Any, a: Any, b: Any, steps: int) -> None:
    """Steps of gradient descent, as a user writes them for either library."""
    for _ in range(steps):
        optimizer.zero_grad()
        loss(x, a, b).backward()
        optimizer.step()


def leaf(*shape: int) -> pl.Tensor:
    """A parameter of ones."""
    return pl.Tensor(np.ones(shape, np.float32), requires_grad=True)


def words(error: Any) -> str:
    """The message that `pytest.raises` caught, without its last line, the place."""
    return "\n".join(line for line in str(error.value).splitlines() if not line.startswith("  at:"))


CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": -0.2, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.01, "maximize": True}),
    ("SGD", {}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.2}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True}),
    ("Adam", {"lr": 0.1, "betas": (0.9, 0.5), "amsgrad": True}),
    ("Adam", {"lr": 0.1, "betas": (0.9, 0.5), "amsgrad": True, "weight_decay": 0.2, "maximize": True}),
    ("Adam", {"lr": 0.1, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "betas": (0.7, 0.6), "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.2, "momentum_decay": 0.1, "eps": 1e-4}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.1}),
    ("RAdam", {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.2, "eps": 1e-4}),
    ("RAdam", {"lr": 0.1, "betas": (0.8, 0.5)}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.2}),
    ("Adamax", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.2}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 1.5, "rho": 0.5, "eps": 1e-4, "weight_decay": 0.2}),
    ("Adadelta", {"lr": 2.0, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.2}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "centered": True, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.02, "maximize": True}),
]
LION_CASES: list[tuple[str, dict[str, Any]]] = [
    ("Lion", {}),
    ("Lion", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.2}),
    ("Lion", {"lr": 0.1, "maximize": True}),
]


def label(case: Any) -> str:
    """The name of a case in pytest's output."""
    return f"{case[0]}-" + ",".join(f"{k}={v}" for k, v in case[1].items())


def build(name: str, params: Any, **options: Any) -> optim.Optimizer:
    """An optimizer of pellucid by its name."""
    made: optim.Optimizer = getattr(optim, name)(params, **options)
    return made


def optimizer_of(*rates: float, name: str = "SGD", **options: Any) -> optim.Optimizer:
    groups = [{"params": [pl.Tensor([1.0], requires_grad=True)], "lr": lr} for lr in rates or (1.0,)]
    made: optim.Optimizer = getattr(optim, name)(groups, **options)
    return made


def advance(optimizer: optim.Optimizer, *schedules: Any) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.sum().backward()
    optimizer.step()
    for schedule in schedules:
        schedule.step()


def rates(schedule: Any, steps: int) -> list[float]:
    """The first group's rate at epochs 0 to `steps`."""
    values = [schedule.get_last_lr()[0]]
    for _ in range(steps):
        advance(schedule.optimizer, schedule)
        values.append(schedule.get_last_lr()[0])
    return values
