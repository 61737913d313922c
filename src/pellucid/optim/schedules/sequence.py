"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.core.check import Integer, check, shown
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedules.base import LRScheduler, check_optimizer, not_recorded
from pellucid.optim.schedules.plateau import ReduceLROnPlateau


def _checked(name: str, optimizer: Optimizer | None, schedulers: Any) -> list[LRScheduler]:
    """The schedules as a list.

    Raises
        ArgumentTypeError: not a sequence of schedules, or one that needs a metric.
        ArgumentError: there is none, or they belong to other optimizers.
    """
    if not isinstance(schedulers, list | tuple):
        raise ArgumentTypeError("optim.schedules", schedule=name, given=shown(schedulers))
    if not schedulers:
        raise ArgumentError("optim.no-schedules", schedule=name)
    for number, schedule in enumerate(schedulers):
        if not isinstance(schedule, LRScheduler) or isinstance(schedule, ReduceLROnPlateau):
            given = f"{type(schedule).__name__} [{number}]"
            raise ArgumentTypeError("optim.schedules", schedule=name, given=given)
        if schedule.optimizer is not (optimizer or schedulers[0].optimizer):
            raise ArgumentError("optim.other-optimizer", schedule=name, number=number, inner=schedule._name)
    return list(schedulers)


class _OfSchedules(LRScheduler):
    """A schedule whose state holds those of others."""

    _schedulers: list[LRScheduler]

    def _undo(self) -> None:
        for schedule in self._schedulers:
            schedule._undo()

    def state_dict(self) -> dict[str, Any]:
        """As the other schedules'; "_schedulers" holds the states of the parts."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`.

        Raises
            ArgumentError: it is of other schedules, or of another number of them.
        """
        self._check_names(state_dict)
        parts = state_dict["_schedulers"]
        if len(parts) != len(self._schedulers):
            words = {"given": len(parts), "count": len(self._schedulers)}
            raise ArgumentError("optim.schedule-count", schedule=self._name, **words)
        for schedule, part in zip(self._schedulers, parts, strict=True):
            schedule._check_names(part)
        for schedule, part in zip(self._schedulers, parts, strict=True):
            schedule.load_state_dict(part)
        super().load_state_dict({**state_dict, "_schedulers": self._schedulers})


class SequentialLR(_OfSchedules):
    """One schedule after the other: a warm-up, then a fall.

    Parameters
        optimizer : Optimizer, the one of all the schedules
        schedulers : list of schedules; not ReduceLROnPlateau, which needs a metric
        milestones : list of int >= 1, rising, one fewer than schedules: the epochs at which the next one takes over
        last_epoch : int >= -1
    Raises
        ArgumentError: the numbers of schedules and milestones do not fit, or a schedule is of another optimizer.
    Examples
        >>> optimizer = pl.optim.SGD([pl.Tensor([1.0], requires_grad=True)], lr=1.0)
        >>> warm = pl.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> fall = pl.optim.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule = SequentialLR(optimizer, [warm, fall], milestones=[2])
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self._name, optimizer)
        check(f"{self._name}: last_epoch", last_epoch, Integer(-1))
        self._schedulers = _checked(self._name, optimizer, schedulers)
        if not isinstance(milestones, list | tuple) or len(milestones) != len(self._schedulers) - 1:
            words = {"count": len(self._schedulers), "given": shown(milestones)}
            raise ArgumentError("optim.sequence-milestones", **words)
        for a, b in zip([0, *milestones], milestones, strict=False):
            check(f"{self._name}: milestones", b, Integer(a + 1))
        self._milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # Every schedule wrote its own first rates when it was built: back to before, then the first one's alone.
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._undo()
        self._schedulers[0]._start()
        self._last_lr = self._schedulers[0].get_last_lr()

    def _start(self) -> None:
        self.last_epoch = 0
        self._schedulers[0]._start()
        self._last_lr = self._schedulers[0].get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = 0
        self._schedulers[0]._restart()
        self._last_lr = self._schedulers[0].get_last_lr()

    @not_recorded
    def step(self) -> None:
        """Go to the next epoch. Call it after the optimizer's step."""
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        schedule = self._schedulers[number]
        if number and self._milestones[number - 1] == self.last_epoch:
            schedule._restart()
        else:
            schedule.step()
        self._last_lr = schedule.get_last_lr()


class ChainedScheduler(_OfSchedules):
    """All schedules at once: at every step each changes the rate that the one before it left.

    Parameters
        schedulers : list of schedules of one optimizer; not ReduceLROnPlateau, which needs a metric
        optimizer : Optimizer; None: that of the schedules
    Raises
        ArgumentError: no schedule, or they are of several optimizers.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if optimizer is not None:
            check_optimizer(self._name, optimizer)
        self._schedulers = _checked(self._name, optimizer, schedulers)
        self.optimizer = self._schedulers[0].optimizer
        self._last_lr = self._present()

    def _start(self) -> None:
        for schedule in self._schedulers:
            schedule._start()
        self._last_lr = self._present()

    def _restart(self) -> None:
        for group in self._groups:
            group["lr"] = group["initial_lr"]
        for schedule in self._schedulers:
            schedule.last_epoch = -1
        self._start()

    @not_recorded
    def step(self) -> None:
        """Let every schedule go to its next epoch. Call it after the optimizer's step."""
        for schedule in self._schedulers:
            schedule.step()
        self._last_lr = self._present()
