"""A schedule that looks at how training goes: it lowers the rate when a metric has stopped improving."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.core.check import Integer, Options, Real, check, checked
from pellucid.core.context import state
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedules.base import LRScheduler, check_optimizer, for_each_group, write_rate


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has not improved for more than `patience` epochs.

    Parameters
        optimizer : Optimizer
        mode : "min" if less of the metric is better, "max" if more
        factor : float in (0, 1), unitless
        patience : int >= 0, epochs without improvement that are still accepted
        threshold : float >= 0: what counts as an improvement: by this share of the best value ("rel"), or by this
            amount ("abs")
        threshold_mode : "rel" or "abs"
        cooldown : int >= 0, epochs after a reduction that do not count
        min_lr : float >= 0, or one for each group: the rate stays at or above it
        eps : float >= 0: a change of the rate smaller than this is not made
    Examples
        >>> optimizer = pl.optim.SGD([pl.Tensor([1.0], requires_grad=True)], lr=1.0)
        >>> schedule = ReduceLROnPlateau(optimizer, patience=1)
        >>> for loss in (0.5, 0.5, 0.5):
        ...     schedule.step(loss)
        >>> schedule.get_last_lr()
        [0.1]
    """

    @checked(
        mode=Options("min", "max"),
        factor=Real(0, 1, left_open=True, right_open=True),
        patience=Integer(0),
        threshold=Real(0),
        threshold_mode=Options("rel", "abs"),
        cooldown=Integer(0),
        eps=Real(0),
    )
    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(self._name, optimizer)
        self.optimizer = optimizer
        self.factor = factor
        self.default_min_lr: Any = None if isinstance(min_lr, list | tuple) else min_lr
        self.min_lrs: list[float] = for_each_group(f"{self._name}: min_lr", optimizer, min_lr)
        for value in self.min_lrs:
            check(f"{self._name}: min_lr", value, Real(0))
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = self._present()
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that bad epochs do not count."""
        return self.cooldown_counter > 0

    def step(self, metrics: Any = None) -> None:
        """Go to the next epoch with the metric of the one that ended.

        Raises
            ArgumentTypeError: `metrics` is not a number.
        """
        if state.recorder is not None:
            state.recorder.beside(f"{self._name}.step(...)")
        try:
            current = float(metrics)
        except (TypeError, ValueError):
            raise ArgumentTypeError("optim.metric", schedule=self._name, given=type(metrics).__name__) from None
        self.last_epoch += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._present()

    def _reduce(self) -> None:
        if len(self.min_lrs) != len(self._groups):
            if self.default_min_lr is None:
                counts = {"given": len(self.min_lrs), "count": len(self._groups)}
                raise ArgumentError("optim.each-group", name=f"{self._name}: min_lr", **counts)
            self.min_lrs = [self.default_min_lr] * len(self._groups)
        for group, low in zip(self._groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, low)
            if group["lr"] - lr > self.eps:
                write_rate(self._name, group, lr)

    def _is_better(self, current: float) -> bool:
        if self.threshold_mode == "rel":
            share = 1.0 - self.threshold if self.mode == "min" else 1.0 + self.threshold
            bound = self.best * share
        else:
            bound = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        return current < bound if self.mode == "min" else current > bound

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`."""
        super().load_state_dict(state_dict)
        self.mode_worse = math.inf if self.mode == "min" else -math.inf
