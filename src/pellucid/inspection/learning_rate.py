"""A network, data, a loss and an optimizer come in; the loss over a run whose learning rate grows step by step leaves,
with the rate that it suggests and why. Network, optimizer, random numbers and the order of the data stay as they are.
Users call `learning_rate_test`; `report` draws what it returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.autograd import backward
from pellucid.core.check import Integer, Real, checked, shown
from pellucid.core.context import enable_grad, quiet
from pellucid.data import Dataset, Loader
from pellucid.errors import ArgumentError, ArgumentTypeError, ModelError
from pellucid.inspection.hessian import SEED
from pellucid.inspection.objective import check_loss, loss_of, named, rows_for, trained_parameters
from pellucid.inspection.unchanged import unchanged
from pellucid.optim import LBFGS, Optimizer

Reason = Literal["steepest", "below-edge", "no-fall"]


@dataclass(frozen=True, eq=False)
class LearningRateTest:
    """The loss while the learning rate grew; see `learning_rate_test`.

    rates : of the steps that were made, ascending, shape (n,).
    losses : of the batch of each step before its update, shape (n,); the last one may be infinite or NaN.
    smoothed : the same without the noise of batches, shape (n,); no higher than a little above where it began.
    suggested : the rate to begin with; None where no rate lowered the loss.
    reason : "steepest": there the loss falls fastest; "below-edge": that would be too near the rate at which it
        diverges, a third of which it is; "no-fall": no rate lowered the loss by more than the noise.
    steepest, lowest : the rates at which the loss falls fastest, and at which it is lowest.
    diverged : the lowest rate from which on the loss is above where it began; None where that was not reached.
    """

    model: str
    loss_name: str
    optimizer: str
    rates: Array
    losses: Array
    smoothed: Array
    suggested: float | None
    reason: Reason
    steepest: float
    lowest: float
    diverged: float | None
    seed: int

    def __str__(self) -> str:
        facts = {
            "model": self.model,
            "loss_name": self.loss_name,
            "optimizer": self.optimizer,
            "steps": f"{len(self.rates):,}",
            "first": f"{self.rates[0]:.3g}",
            "last": f"{self.rates[-1]:.3g}",
            "suggested": "" if self.suggested is None else f"{self.suggested:.2g}",
            "steepest": f"{self.steepest:.2g}",
            "lowest": f"{self.lowest:.2g}",
            "diverged": "" if self.diverged is None else f"{self.diverged:.2g}",
        }
        lines = ["rate-head", f"rate-{self.reason}"]
        if self.reason != "no-fall":
            lines.append("rate-not-diverged" if self.diverged is None else "rate-diverged")
        return "\n".join(text(f"landscape.{line}", **facts) for line in lines)


@checked(lowest=Real(0, left_open=True), highest=Real(0, left_open=True), num_steps=Integer(10),
         batch_size=Integer(1), seed=SEED)  # fmt: skip
def learning_rate_test(
    model: Any,
    data: Any,
    loss: Callable[..., Any],
    optimizer: Any,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    num_steps: int = 100,
    batch_size: int = 32,
    seed: int = 0,
) -> LearningRateTest:
    """Train for some steps with a learning rate that grows by the same factor at each, and look where the loss falls.

    It ends early where the loss has clearly left. Then parameters, buffers, gradients, modes, the optimizer's state and
    options, the default generator and the loader are what they were before, to the last bit.

    Parameters
        model : the network, trained in training mode.
        data : Dataset, (x, y), x; or a Loader, of which the batches are those that training would see next.
        loss : called as loss(outputs, y), or as loss(outputs) where the data have no targets.
        optimizer : an optimizer of the network's parameters; or its class, or a function of the parameters that makes
            one. Groups with rates of their own keep the ratio to the first one's.
        lowest, highest : rates of the first and of the last step.
        num_steps : from 10 up.
        batch_size : rows a step, unless `data` is a Loader.
        seed : of the order of the rows, unless `data` is a Loader, and of what the network draws.
    Returns
        LearningRateTest
    Raises
        ArgumentError: `lowest` is not below `highest`; an optimizer of another network, or one without a rate or that
            takes a closure.
        ModelError: nothing is trained; the loss is not finite at the first step.
    Source
        L. N. Smith, Cyclical learning rates for training neural networks, arXiv:1506.01186, section 3.3.
    Examples
        >>> import pellucid as pl
        >>> _ = pl.manual_seed(0)
        >>> model = pl.nn.Sequential(pl.nn.Linear(2, 16), pl.nn.ReLU(), pl.nn.Linear(16, 2))
        >>> found = pl.learning_rate_test(
        ...     model, pl.data.two_moons(256, seed=0), pl.nn.CrossEntropyLoss(), pl.optim.SGD
        ... )
        >>> found.reason, 0.01 < found.suggested < 10
        ('steepest', True)
    """
    if lowest >= highest:
        raise ArgumentError("landscape.rate-range", lowest=lowest, highest=highest)
    rows = rows_for(model, data)
    check_loss(loss)
    trained_parameters(model)
    made = _optimizer(model, optimizer)
    rates = lowest * (highest / lowest) ** (np.arange(num_steps) / (num_steps - 1))
    loader = data if isinstance(data, Loader) else None
    batches = _batches(rows, loader, batch_size, seed)
    ratios = [float(group["lr"]) for group in made.param_groups]
    # Where the first group stands still, as after a schedule's end, there are no ratios: all go together.
    ratios = [r / ratios[0] for r in ratios] if ratios[0] else [1.0] * len(ratios)
    losses: list[float] = []
    gave_up = False
    with unchanged(model, seed=seed, training=True, optimizer=made):
        level = math.inf
        for rate, (x, y) in zip(rates, batches, strict=False):
            for group, ratio in zip(made.param_groups, ratios, strict=True):
                group["lr"] = float(rate * ratio)
            with enable_grad(), quiet(), np.errstate(all="ignore"):
                value = loss_of(model, loss, x, y)
                losses.append(float(value.data))
                level = min(level, _running(losses))
                # Written so that it also holds of a loss that is no number.
                gave_up = not _running(losses) <= _limit(losses, level)
                if gave_up:
                    break
                if not value.requires_grad:
                    raise ModelError("landscape.not-reached", loss=named(loss))
                backward(value)
                made.step()
    if len(losses) < 2:
        raise ModelError("landscape.not-finite-loss", loss=named(loss), model=named(model))
    names = (named(model), named(loss), type(made).__name__)
    return _judged(np.array(losses), rates[: len(losses)], gave_up, names, seed)


def _optimizer(model: Any, given: Any) -> Optimizer:
    """An optimizer of the model's parameters.

    Raises
        ArgumentTypeError: neither an optimizer nor what makes one.
        ArgumentError: of other parameters, without a rate, or one that takes a closure.
    """
    made = given
    if callable(given) and not isinstance(given, Optimizer):
        made = given(model.parameters())
    if not isinstance(made, Optimizer):
        raise ArgumentTypeError("landscape.optimizer", value=shown(given), type=type(given).__name__)
    name = type(made).__name__
    own = {id(p) for p in model.parameters()}
    if not all(id(p) in own for group in made.param_groups for p in group["params"]):
        raise ArgumentError("landscape.optimizer-other", optimizer=name, model=named(model))
    if isinstance(made, LBFGS) or any("lr" not in group for group in made.param_groups):
        raise ArgumentError("landscape.optimizer-rate", optimizer=name)
    return made


def _batches(rows: Dataset, loader: Loader | None, batch_size: int, seed: int) -> Iterator[tuple[Array, Array | None]]:
    """Batches without end: those that the loader would give next, without moving it on."""
    start = {"epoch": 0, "position": 0}
    if loader is None:
        own = Loader(rows, min(batch_size, len(rows)), shuffle=True, seed=seed)
    else:
        start, own = loader.state_dict(), loader
    for epoch in count(int(start["epoch"])):
        first = int(start["position"]) if epoch == start["epoch"] else 0
        if first >= len(own):
            continue
        for x, y in own.batches(epoch, first):
            whole = y is not None and y.dtype.kind == "i"
            dtype, target = rows.x.dtype, None if rows.y is None else rows.y.dtype
            yield x.astype(dtype, copy=False), y if y is None or whole else y.astype(target, copy=False)


_MEMORY = 0.8


def _running(losses: list[float]) -> float:
    """The exponential average of the losses so far, its beginning corrected."""
    weights = _MEMORY ** np.arange(len(losses))[::-1]
    return float(weights @ np.array(losses) / weights.sum())


def _limit(losses: list[float], level: float) -> float:
    """The loss at which the run is given up: three times its first fall or its size above the beginning."""
    begin = float(np.mean(losses[:5]))
    return begin + 3.0 * max(begin - level, abs(begin), 1e-12)


def _judged(losses: Array, rates: Array, gave_up: bool, names: tuple[str, str, str], seed: int) -> LearningRateTest:
    """The curve read: where it falls fastest, where it is lowest, where it leaves."""
    first = max(3, len(losses) // 10)
    begin = float(np.median(losses[:first]))
    finite = losses[np.isfinite(losses)]
    # A loss that runs away would drown its neighbours: it is cut a little above the beginning.
    cap = begin + max(begin - float(finite.min()), 1e-12)
    width = max(1.0, len(losses) / 40)
    smooth = _gaussian(np.where(np.isfinite(losses), np.minimum(losses, cap), cap), width)
    lowest = int(smooth.argmin())
    # Of one batch; the average of its neighbours has that over the root of how many count.
    spread = float(np.std(losses[:first] - smooth[:first]))
    noise = spread / math.sqrt(2 * math.sqrt(math.pi) * width)
    slope = np.gradient(smooth, np.log(rates))
    steepest = int(slope[: lowest + 1].argmin())
    above = np.flatnonzero(~(losses[lowest:] <= begin + 4 * spread))
    left = lowest + int(above[0]) if len(above) else len(losses) - 1 if gave_up else None
    diverged = None if left is None else float(rates[left])
    suggested: float | None = float(rates[steepest])
    reason: Reason = "steepest"
    if begin - smooth[lowest] <= 4 * noise or lowest == 0:
        suggested, reason = None, "no-fall"
    elif diverged is not None and suggested is not None and suggested > diverged / 3:
        suggested, reason = diverged / 3, "below-edge"
    return LearningRateTest(
        model=names[0],
        loss_name=names[1],
        optimizer=names[2],
        rates=rates,
        losses=losses,
        smoothed=smooth,
        suggested=suggested,
        reason=reason,
        steepest=float(rates[steepest]),
        lowest=float(rates[lowest]),
        diverged=diverged,
        seed=seed,
    )


def _gaussian(values: Array, width: float) -> Array:
    """Values averaged with their neighbours, by a Gaussian of a width in steps."""
    distance = np.arange(len(values))
    weights = np.exp(-0.5 * ((distance[:, None] - distance[None]) / width) ** 2)
    result: Array = weights @ values / weights.sum(axis=1)
    return result
