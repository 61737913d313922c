"""What the schedules share: counting epochs, writing the groups' rates, saving and loading. A schedule says in `_rates`
what the next rates are from the present ones, so that several schedules of one optimizer multiply, and, where it can,
in `_rates_at` what they are from the epoch alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any, TypeVar

from pellucid.core.check import Integer, check, shown
from pellucid.core.context import state
from pellucid.errors import ArgumentError, ArgumentTypeError, ModelError, warn
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import Optimizer

# PyTorch's note to itself while it steps.
_TORCH_ONLY = ("_get_lr_called_within_step",)


F = TypeVar("F", bound=Callable[..., None])


def not_recorded(step: F) -> F:
    """A step of a schedule, which is Python's own and no operation: a recorder may have it done before or after every
    run instead."""

    @wraps(step)
    def stepped(schedule: Any, *args: Any) -> None:
        recorder = state.recorder
        if recorder is None or not recorder.postponed(partial(step, schedule, *args)):
            step(schedule, *args)

    return stepped  # type: ignore[return-value]


def check_optimizer(schedule: str, optimizer: Any) -> None:
    """Raise unless it is an optimizer.

    Raises
        ArgumentTypeError: something else.
    """
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError("optim.schedule-optimizer", schedule=schedule, given=type(optimizer).__name__)


def write_rate(schedule: str, group: ParamGroup, lr: float) -> None:
    """Set the rate of a group. A schedule that ends at 0 may miss it by a rounding error, on either side.

    Raises
        ArgumentError: the rate is negative, or not a finite number.
    """
    if -1e-12 < lr < 0:
        lr = 0.0
    if not 0 <= lr < math.inf:
        raise ArgumentError("optim.wrong-rate", schedule=schedule, lr=lr)
    group["lr"] = lr


def factor(schedule: str, function: Callable[[int], Any], epoch: int) -> float:
    """What a user's function gives for an epoch.

    Raises
        ArgumentTypeError: it is no number.
    """
    given = function(epoch)
    try:
        return float(given)
    except (TypeError, ValueError):
        raise ArgumentTypeError("optim.function-result", schedule=schedule, given=shown(given), epoch=epoch) from None


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group: the same for all, or one each from a sequence.

    Raises
        ArgumentError: a sequence of another length.
    """
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ArgumentError("optim.each-group", name=name, given=len(value), count=count)
    return list(value)


class LRScheduler:
    """Base of the schedules: rates of an optimizer's groups as a function of the number of `step()` calls, the epoch.

    Building a schedule writes the rates of epoch 0; call `step()` once an epoch, after the optimizer's step.

    Parameters
        optimizer : Optimizer, whose groups keep their first rate in "initial_lr"
        last_epoch : int >= -1: -1 starts anew; else the epoch at which the groups, whose "initial_lr" must be there,
            stand
    Raises
        ArgumentTypeError: not an optimizer.
        ArgumentError: last_epoch >= 0 and a group without "initial_lr".
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self._name, optimizer)
        check(f"{self._name}: last_epoch", last_epoch, Integer(-1))
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ArgumentError("optim.initial-lr", schedule=self._name, number=number, epoch=last_epoch)
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self._start()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _start(self) -> None:
        """Write the rates of the epoch after `last_epoch`, as a fresh schedule."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    @property
    def _groups(self) -> list[ParamGroup]:
        return self.optimizer.param_groups

    def _present(self) -> list[float]:
        return [group["lr"] for group in self._groups]

    def _rates(self) -> list[float]:
        """The rates of epoch `last_epoch`, from those of the epoch before, which the groups still have."""
        raise ModelError("optim.no-rule", name=type(self).__name__, method="_rates")

    def _rates_at(self) -> list[float]:
        """The rates of epoch `last_epoch`, from `base_lrs` alone."""
        return self._rates()

    def get_last_lr(self) -> list[float]:
        """The rates of the groups, as this schedule last left them."""
        recorder = state.recorder
        if recorder is None:
            return list(self._last_lr)
        numbers = range(len(self._last_lr))
        return [recorder.setting((id(self), f"last_lr.{n}"), partial(self._last, n)) for n in numbers]

    def _last(self, number: int) -> float:
        return self._last_lr[number]

    @not_recorded
    def step(self) -> None:
        """Go to the next epoch. Call it after the optimizer's step."""
        self._count_step()
        self.last_epoch += 1
        self._write(self._rates())

    def _count_step(self) -> None:
        if self._step_count == 1 and not self.optimizer._step_taken:
            warn("optim.schedule-first", schedule=self._name, optimizer=self.optimizer._name)
        self._step_count += 1

    def _undo(self) -> None:
        """Go back to before the epoch that building the schedule wrote."""
        self.last_epoch -= 1

    def _restart(self) -> None:
        """Write the rates of epoch 0 over whatever the groups have."""
        self.last_epoch = 0
        self._write(self._rates_at())

    def _write(self, rates: list[float]) -> None:
        for group, lr in zip(self._groups, rates, strict=True):
            write_rate(self._name, group, lr)
        self._last_lr = self._present()

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, under PyTorch's names: numbers, strings and lists. Functions are not in
        it.
        """
        return {k: list(v) if isinstance(v, list) else v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`. The rates themselves come with the optimizer's state.

        Raises
            ArgumentError: names that this schedule does not have.
        """
        self._check_names(state_dict)
        for name, value in state_dict.items():
            if name not in _TORCH_ONLY:
                setattr(self, name, list(value) if isinstance(value, list) else value)

    def _check_names(self, state_dict: Mapping[str, Any]) -> None:
        own = set(self.state_dict())
        given = set(state_dict) - set(_TORCH_ONLY)
        if given != own:
            words = {"missing": ", ".join(sorted(own - given)) or "-", "unknown": ", ".join(sorted(given - own)) or "-"}
            raise ArgumentError("optim.schedule-state", schedule=self._name, **words)
