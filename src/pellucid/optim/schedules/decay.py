"""Schedules that multiply the rate by factors of the epoch: steps, exponential, linear, polynomial, constant, and any
function.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pellucid.core.check import Integer, Real, check, checked
from pellucid.errors import ArgumentTypeError
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedules.base import LRScheduler, check_optimizer, factor, for_each_group

Function = Callable[[int], float]


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` epochs.

        lr = initial_lr * gamma ** (epoch // step_size)

    Parameters
        optimizer : Optimizer
        step_size : int >= 1, epochs
        gamma : float >= 0, unitless
        last_epoch : int >= -1; see LRScheduler
    Examples
        >>> optimizer = pl.optim.SGD([pl.Tensor([1.0], requires_grad=True)], lr=1.0)
        >>> StepLR(optimizer, step_size=30).get_last_lr()
        [1.0]
    """

    @checked(step_size=Integer(1), gamma=Real(0))
    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._present()
        return [lr * self.gamma for lr in self._present()]

    def _rates_at(self) -> list[float]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiply the rate by `gamma` at each of the epochs `milestones`.

        lr = initial_lr * gamma ** (number of milestones <= epoch)

    Parameters
        optimizer : Optimizer
        milestones : list of epochs, int >= 0; one that is there twice counts twice
        gamma : float >= 0, unitless
        last_epoch : int >= -1; see LRScheduler
    """

    @checked(gamma=Real(0))
    def __init__(self, optimizer: Optimizer, milestones: Any, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if not isinstance(milestones, list | tuple | range):
            raise ArgumentTypeError("optim.milestones", given=type(milestones).__name__)
        self.milestones = _milestones(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        passed = self.milestones.count(self.last_epoch)
        return [lr * self.gamma**passed for lr in self._present()] if passed else self._present()

    def _rates_at(self) -> list[float]:
        return [lr * self.gamma ** bisect_right(self.milestones, self.last_epoch) for lr in self.base_lrs]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`, or by PyTorch, which keeps the milestones as a Counter."""
        super().load_state_dict(state_dict)
        self.milestones = _milestones(self.milestones)


def _milestones(given: Iterable[int]) -> list[int]:
    epochs = [m for m, n in given.items() for _ in range(n)] if isinstance(given, Mapping) else list(given)
    for m in epochs:
        check("MultiStepLR: milestones", m, Integer(0))
    return sorted(epochs)


class ConstantLR(LRScheduler):
    """Multiply the rate by `factor` until epoch `total_iters`.

        lr = initial_lr * (factor if epoch < total_iters else 1)

    Parameters
        optimizer : Optimizer
        factor : float in (0, 1], unitless
        total_iters : int >= 0, epochs
        last_epoch : int >= -1; see LRScheduler
    """

    @checked(factor=Real(0, 1, left_open=True), total_iters=Integer(0))
    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._present()]
        if self.last_epoch != self.total_iters:
            return self._present()
        return [lr * (1.0 / self.factor) for lr in self._present()]

    def _rates_at(self) -> list[float]:
        over = self.last_epoch >= self.total_iters
        return [lr * (self.factor + over * (1 - self.factor)) for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """Multiply the rate by a factor that goes from `start_factor` to `end_factor` in equal steps: a warm-up, or a fall.

        lr = initial_lr * (start_factor + (end_factor - start_factor) * min(epoch, total_iters) / total_iters)

    Parameters
        optimizer : Optimizer
        start_factor : float in (0, 1], unitless
        end_factor : float in [0, 1], unitless
        total_iters : int >= 1, epochs
        last_epoch : int >= -1; see LRScheduler
    """

    @checked(start_factor=Real(0, 1, left_open=True), end_factor=Real(0, 1), total_iters=Integer(1))
    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in self._present()]
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [lr * (1.0 + rise / before) for lr in self._present()]

    def _rates_at(self) -> list[float]:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        factor = self.start_factor + (self.end_factor - self.start_factor) * share
        return [lr * factor for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiply the rate by `gamma` every epoch.

        lr = initial_lr * gamma ** epoch

    Parameters
        optimizer : Optimizer
        gamma : float >= 0, unitless
        last_epoch : int >= -1; see LRScheduler
    """

    @checked(gamma=Real(0))
    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        return self._present() if self._is_initial else [lr * self.gamma for lr in self._present()]

    def _rates_at(self) -> list[float]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Let the rate fall to 0 along a polynomial.

        lr = initial_lr * (1 - min(epoch, total_iters) / total_iters) ** power

    Parameters
        optimizer : Optimizer
        total_iters : int >= 1, epochs
        power : float >= 0, unitless; 1 is a straight line
        last_epoch : int >= -1; see LRScheduler
    """

    @checked(total_iters=Integer(1), power=Real(0))
    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._present()
        left = (1.0 - self.last_epoch / self.total_iters) / (1.0 - (self.last_epoch - 1) / self.total_iters)
        return [lr * left**self.power for lr in self._present()]

    def _rates_at(self) -> list[float]:
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * left**self.power for lr in self.base_lrs]


class LambdaLR(LRScheduler):
    """Multiply the first rate by a function of the epoch.

        lr = initial_lr * lr_lambda(epoch)

    Parameters
        optimizer : Optimizer
        lr_lambda : function of the epoch (int) to a float >= 0, or a list with one for each group. A function is not
            part of `state_dict`; an object that can be called is saved by its attributes
        last_epoch : int >= -1; see LRScheduler
    Examples
        >>> optimizer = pl.optim.SGD([pl.Tensor([1.0], requires_grad=True)], lr=1.0)
        >>> LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch)).get_last_lr()
        [1.0]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Function | Sequence[Function], last_epoch: int = -1) -> None:
        check_optimizer(self._name, optimizer)
        self.lr_lambdas: list[Function] = for_each_group(f"{self._name}: lr_lambda", optimizer, lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise ArgumentTypeError("optim.function", schedule=self._name, given=type(function).__name__)
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * factor(self._name, function, self.last_epoch) for lr, function in pairs]

    def state_dict(self) -> dict[str, Any]:
        """As the other schedules'; "lr_lambdas" holds the attributes of objects that can be called, and None for
        functions.
        """
        saved = [dict(vars(f)) if hasattr(f, "__dict__") and vars(f) else None for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`; functions stay those that the schedule was built with."""
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        for function, attributes in zip(functions, state_dict["lr_lambdas"], strict=True):
            if attributes:
                vars(function).update(attributes)
        self.lr_lambdas = functions


class MultiplicativeLR(LambdaLR):
    """Multiply the rate of the epoch before by a function of the epoch.

        lr = lr * lr_lambda(epoch)                                              (from epoch 1 on)

    Parameters
        optimizer : Optimizer
        lr_lambda : function of the epoch (int) to a float >= 0, or a list with one for each group; see LambdaLR
        last_epoch : int >= -1; see LRScheduler
    """

    def _rates(self) -> list[float]:
        if self._is_initial:
            return self._present()
        pairs = zip(self._present(), self.lr_lambdas, strict=True)
        return [lr * factor(self._name, function, self.last_epoch) for lr, function in pairs]
