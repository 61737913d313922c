"""Schedules along a half cosine: one fall, and falls with restarts."""

from __future__ import annotations

import math

from pellucid.core.check import Integer, Real, check, checked
from pellucid.optim.optimizer import Optimizer
from pellucid.optim.schedules.base import LRScheduler, not_recorded


class CosineAnnealingLR(LRScheduler):
    """Let the rate fall along half a cosine in `T_max` epochs; beyond, it rises again.

        lr = eta_min + (initial_lr - eta_min) * (1 + cos(π * epoch / T_max)) / 2

    Each rate is computed from the one before. With eta_min > 0 and another schedule that goes below eta_min, PyTorch's
    rates become negative that way; here that is an error.

    Parameters
        optimizer : Optimizer
        T_max : int >= 1, epochs from the first rate to the lowest
        eta_min : float >= 0, the lowest rate
        last_epoch : int >= -1; see LRScheduler
    Source
        I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, equation 5, without the
        restarts.
    """

    @checked(T_max=Integer(1), eta_min=Real(0))
    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        if self._is_initial:
            return self._present()
        epoch, period, low = self.last_epoch, self.T_max, self.eta_min
        if self._step_count == 1 and epoch > 0:
            return self._rates_at()
        if (epoch - 1 - period) % (2 * period) == 0:
            # The rate was at its lowest, from which no factor leads up.
            rise = (1 - math.cos(math.pi / period)) / 2
            return [lr + (base - low) * rise for lr, base in zip(self._present(), self.base_lrs, strict=True)]
        factor = (1 + math.cos(math.pi * epoch / period)) / (1 + math.cos(math.pi * (epoch - 1) / period))
        return [factor * (lr - low) + low for lr in self._present()]

    def _rates_at(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Let the rate fall along half a cosine, and start again from the first rate; each fall `T_mult` times longer.

        lr = eta_min + (initial_lr - eta_min) * (1 + cos(π * T_cur / T_i)) / 2

    Parameters
        optimizer : Optimizer
        T_0 : int >= 1, epochs of the first fall
        T_mult : int >= 1, unitless
        eta_min : float >= 0, the lowest rate
        last_epoch : int >= -1; see LRScheduler
    Source
        I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, equation 5.
    """

    @checked(T_0=Integer(1), T_mult=Integer(1), eta_min=Real(0))
    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _rates(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]

    @not_recorded
    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to `epoch`, which may lie between two: `epoch + batch / num_batches` after every
        batch.

        Raises
            ArgumentError: `epoch` is negative.
        """
        self._count_step()
        if epoch is None and self.last_epoch < 0:
            self._go_to(0)
        elif epoch is None:
            self.last_epoch += 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            check(f"{self._name}: epoch", epoch, Real(0))
            self._go_to(epoch)
        self._write(self._rates())

    def _go_to(self, epoch: float) -> None:
        self.last_epoch = math.floor(epoch)
        if self.T_mult == 1:
            self.T_cur, self.T_i = epoch % self.T_0, self.T_0
            return
        # Whole falls are taken off one by one: a logarithm would be wrong by one where a fall ends exactly.
        self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
