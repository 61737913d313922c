"""Schedules that go up and down, with the momentum going the other way: triangles, and one cycle over the whole
training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pellucid.core.check import Flag, Integer, Options, Real, check, checked
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import UNIT, Optimizer
from pellucid.optim.schedules.base import LRScheduler, check_optimizer, for_each_group


def _set_momentum(group: ParamGroup, momentum: float) -> None:
    """Set a group's momentum, or the first of its betas."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


class _CyclesMomentum(LRScheduler):
    """A schedule that can move the momentum against the rate."""

    def _prepare_momentum(self, optimizer: Optimizer, low: Any, high: Any, fresh: bool) -> None:
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ArgumentError("optim.cycle-momentum", schedule=self._name, optimizer=optimizer._name)
        lows = for_each_group(f"{self._name}: base_momentum", optimizer, low)
        highs = for_each_group(f"{self._name}: max_momentum", optimizer, high)
        for a, b, group in zip(lows, highs, optimizer.param_groups, strict=True):
            check(f"{self._name}: base_momentum", a, UNIT)
            check(f"{self._name}: max_momentum", b, UNIT)
            if fresh:
                _set_momentum(group, b)
                group["max_momentum"], group["base_momentum"] = b, a


class CyclicLR(_CyclesMomentum):
    """Let the rate rise from `base_lr` to `max_lr` and fall again, over and over.

        cycle = floor(1 + epoch / (step_size_up + step_size_down))
        lr = base_lr + (max_lr - base_lr) * height * scale  height: 0 at a cycle's ends, 1 at its peak, straight between
        momentum = max_momentum - (max_momentum - base_momentum) * height * scale

    Parameters
        optimizer : Optimizer
        base_lr, max_lr : float >= 0, or one for each group: the lowest and the highest rate
        step_size_up : int >= 1, steps from the lowest to the highest rate
        step_size_down : int >= 1, steps back; None: as many as up
        mode : "triangular": scale 1; "triangular2": 1 / 2 ** (cycle - 1); "exp_range": gamma ** epoch
        gamma : float >= 0, unitless
        scale_fn : function to a scale, in the place of `mode`
        scale_mode : whether `scale_fn` is given the "cycle" or the number of "iterations"
        cycle_momentum : move momentum (or the first of the betas) too, against the rate
        base_momentum, max_momentum : float in [0, 1), or one for each group
        last_epoch : int >= -1; see LRScheduler
    Raises
        ArgumentError: cycle_momentum with an optimizer that has neither momentum nor betas.
    Source
        L. N. Smith, Cyclical learning rates for training neural networks, 2017, section 3.
    """

    @checked(
        step_size_up=Integer(1),
        step_size_down=Integer(1, none=True),
        mode=Options("triangular", "triangular2", "exp_range"),
        gamma=Real(0),
        scale_mode=Options("cycle", "iterations"),
        cycle_momentum=Flag(),
    )
    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self._name, optimizer)
        if scale_fn is not None and not callable(scale_fn):
            raise ArgumentTypeError("optim.function", schedule=self._name, given=type(scale_fn).__name__)
        lows = for_each_group(f"{self._name}: base_lr", optimizer, base_lr)
        self.max_lrs = for_each_group(f"{self._name}: max_lr", optimizer, max_lr)
        for name, values in (("base_lr", lows), ("max_lr", self.max_lrs)):
            for value in values:
                check(f"{self._name}: {name}", value, Real(0))
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        fresh = last_epoch == -1
        if fresh:
            for group, lr in zip(optimizer.param_groups, lows, strict=True):
                group["lr"] = lr
        if cycle_momentum:
            self._prepare_momentum(optimizer, base_momentum, max_momentum, fresh)
            self.use_beta1 = "betas" in optimizer.defaults
            self.base_momentums = for_each_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = for_each_group("max_momentum", optimizer, max_momentum)
        super().__init__(optimizer, last_epoch)
        # The rises start from `base_lr`, whatever rate the groups began with.
        self.base_lrs = lows
        self._write(self._rates())

    def scale_fn(self, x: float) -> float:
        """The scale of the cycle number or the epoch `x`."""
        if self._scale_fn_custom is not None:
            return float(self._scale_fn_custom(x))
        if self.mode == "triangular":
            return 1.0
        return 1 / (2.0 ** (x - 1)) if self.mode == "triangular2" else self.gamma**x  # type: ignore[no-any-return]

    def _rates(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(self._groups, self.base_momentums, self.max_momentums, strict=True):
                _set_momentum(group, high - (high - low) * height * scale)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """As the other schedules'; "_scale_fn_custom" holds the attributes of an object that can be called, else
        None.
        """
        function = self._scale_fn_custom
        saved = dict(vars(function)) if function is not None and getattr(function, "__dict__", None) else None
        return {**super().state_dict(), "_scale_fn_custom": saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`; a function stays the one that the schedule was built with."""
        function = self._scale_fn_custom
        super().load_state_dict(state_dict)
        self._scale_fn_custom = function
        if state_dict["_scale_fn_custom"] and function is not None:
            vars(function).update(state_dict["_scale_fn_custom"])


class OneCycleLR(_CyclesMomentum):
    """Warm up to `max_lr`, then fall far below the first rate: one cycle over the whole training. Call `step()` after
    every batch.

        first rate   max_lr / div_factor
        last rate    max_lr / div_factor / final_div_factor
        momentum     from max_momentum to base_momentum at the peak, and back

    Parameters
        optimizer : Optimizer
        max_lr : float >= 0, or one for each group: the highest rate
        total_steps : int >= 1, batches in the whole training; or None, with both of:
        epochs, steps_per_epoch : int >= 1
        pct_start : float in [0, 1]: share of the steps in which the rate rises
        anneal_strategy : "cos" or "linear"
        cycle_momentum : move momentum (or the first of the betas) too, against the rate
        base_momentum, max_momentum : float in [0, 1), or one for each group
        div_factor, final_div_factor : float > 0, unitless
        three_phase : come down to the first rate as slowly as up, and only then to the last
        last_epoch : int >= -1; see LRScheduler
    Raises
        ArgumentError: the number of steps is not given, or cannot be cut into the phases; more steps are taken than
            that; cycle_momentum with an optimizer that has neither momentum nor betas.
    Source
        L. N. Smith and N. Topin, Super-convergence: very fast training of neural networks using large learning rates,
        2018; two phases and the cosine are fast.ai's, as in PyTorch.
    """

    @checked(
        total_steps=Integer(1, none=True),
        epochs=Integer(1, none=True),
        steps_per_epoch=Integer(1, none=True),
        pct_start=Real(0, 1),
        anneal_strategy=Options("cos", "linear"),
        cycle_momentum=Flag(),
        div_factor=Real(0, left_open=True),
        final_div_factor=Real(0, left_open=True),
        three_phase=Flag(),
    )
    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self._name, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("optim.total-steps", epochs=epochs, steps_per_epoch=steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        self.total_steps = total_steps
        self._schedule_phases = _phases(total_steps, float(pct_start), three_phase)
        self._anneal_func_type = anneal_strategy
        fresh = last_epoch == -1
        highs = for_each_group(f"{self._name}: max_lr", optimizer, max_lr)
        for group, high in zip(optimizer.param_groups, highs, strict=True):
            check(f"{self._name}: max_lr", high, Real(0))
            if fresh:
                group["initial_lr"] = high / div_factor
                group["max_lr"] = high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._prepare_momentum(optimizer, base_momentum, max_momentum, fresh)
            self.use_beta1 = "betas" in optimizer.defaults
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def _rates(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ArgumentError("optim.one-cycle-over", step=step, total_steps=self.total_steps)
        start = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            start = phase["end_step"]
        share = (step - start) / (phase["end_step"] - start)
        rates = []
        for group in self._groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                _set_momentum(group, self._between(*ends, share))
        return rates


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and between which of the group's rates and momenta it leads."""
    up = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
    if three_phase:
        ends = [pct_start * total_steps - 1, 2 * pct_start * total_steps - 2, total_steps - 1]
        ways = [
            up,
            ("max_lr", "initial_lr", "base_momentum", "max_momentum"),
            ("initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    else:
        ends = [pct_start * total_steps - 1, total_steps - 1]
        ways = [up, ("max_lr", "min_lr", "base_momentum", "max_momentum")]
    starts = [0.0, *ends[:-1]]
    if any(start == end for start, end in zip(starts, ends, strict=True)):
        raise ArgumentError("optim.one-cycle-phases", total_steps=total_steps, pct_start=pct_start)
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return [{"end_step": end, **dict(zip(names, way, strict=True))} for end, way in zip(ends, ways, strict=True)]
