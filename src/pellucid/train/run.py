"""What a training run is made of, and where it stands: `fit` fills it in, callbacks and the progress line read it,
checkpoints save it. `Best` remembers the weights of the best epoch so far.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.errors import ArgumentError, ArgumentTypeError, MissingKeyError
from pellucid.train.history import History
from pellucid.train.metrics import METRICS, Direction, Metric

if TYPE_CHECKING:
    from pellucid.core.tensor import Tensor
    from pellucid.data import Dataset, Loader
    from pellucid.nn import Module


def direction_of(monitor: str, mode: str, metrics: list[Metric]) -> Direction:
    """Whether more or less of a monitored quantity is better.

    Parameters
        monitor : "loss", "val_loss", or a metric's name, with or without "val_"
        mode : "max" or "min", or "auto" to infer it: losses and errors are minimised, a metric says its own direction
        metrics : the metrics of the run
    Raises
        ArgumentError: "auto", and nothing tells the direction.
    """
    if mode == "max" or mode == "min":
        return mode  # type: ignore[return-value]
    name = monitor.removeprefix("val_")
    if name == "loss":
        return "min"
    known = {**METRICS, **{m.name: m for m in metrics}}
    direction = known[name].direction if name in known else None
    if direction is None:
        raise ArgumentError("train.no-direction", monitor=monitor)
    return direction


class Best:
    """The best epoch so far by one monitored quantity, and a copy of the weights and buffers it left.

    Parameters
        monitor : the name in the epoch's record
        direction : "max" or "min"
    """

    def __init__(self, monitor: str, direction: Direction) -> None:
        self.monitor = monitor
        self.direction = direction
        self.value: float | None = None
        self.epoch: int | None = None
        self.weights: dict[str, Array] | None = None

    def improves(self, value: float, by: float = 0.0) -> bool:
        """Whether `value` is better than the best, by more than `by`; NaN never is."""
        if math.isnan(value):
            return False
        if self.value is None:
            return True
        return value > self.value + by if self.direction == "max" else value < self.value - by

    def update(self, epoch: int, record: dict[str, float], model: Module) -> bool:
        """Note an epoch; copies the weights and returns True where it is the best so far.

        Raises
            MissingKeyError: the monitored quantity was not measured.
        """
        if self.monitor not in record:
            raise MissingKeyError("train.not-measured", monitor=self.monitor, names=", ".join(record))
        value = record[self.monitor]
        if not self.improves(value):
            return False
        self.value, self.epoch, self.weights = value, epoch, copied_weights(model)
        return True

    def restore(self, model: Module) -> bool:
        """Give the model the best weights back; False where no epoch was measured."""
        if self.weights is None:
            return False
        set_weights(model, self.weights)
        return True


def copied_weights(model: Module) -> dict[str, Array]:
    """Copies of all parameters and buffers by name."""
    return {name: value.data for name, value in model.state_dict().items()}


def set_weights(model: Module, weights: dict[str, Array]) -> None:
    """Give the model the arrays of `copied_weights` back; it copies them, so that they can be given again."""
    model.load_state_dict(weights)


def arrays_of(model: Module) -> list[tuple[Tensor, Array]]:
    """Parameters and buffers with copies of the arrays they hold now: a compiled step writes into them."""
    return [(tensor, tensor.data.copy()) for tensor in (*model.parameters(), *model.buffers())]


@dataclass
class Run:
    """A training run. Callbacks receive it; `stop()` ends it after the step or epoch that is running.

    Attributes
        epoch : the epoch that runs, from 0
        batch : batches of this epoch already trained on
        samples : rows trained on since the run began, or was resumed
        loss_value : the loss of the last batch, on the weights before its update
        rows : the row numbers of the current batch in the training data
        recent : the losses of the last 20 batches
        start : parameters and buffers with the arrays that they held when the epoch began
    """

    model: Module
    loss: Any
    optimizer: Any
    loader: Loader
    epochs: int
    validation: Dataset | None = None
    metrics: list[Metric] = field(default_factory=list)
    schedule: Any = None
    schedule_every: str = "epoch"
    history: History = field(default_factory=History)
    best: Best | None = None
    epoch: int = 0
    batch: int = 0
    samples: int = 0
    loss_value: float = math.nan
    rows: Array | None = None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    start: list[tuple[Tensor, Array]] = field(default_factory=list)
    stopping: str | None = None
    num_batches: int = 0
    samples_before: int = 0

    def stop(self, reason: str = "callback") -> None:
        """End training once the running step or epoch is complete; the first reason given counts.

        Parameters
            reason : what `history.stopped_by` then says
        """
        if not reason or type(reason) is not str:
            raise ArgumentTypeError(
                "core.type", name="stop: reason", value=shown(reason), type=type(reason).__name__, expected="str"
            )
        if self.stopping is None:
            self.stopping = reason

    @property
    def samples_total(self) -> int:
        """Rows that all epochs together train on."""
        rows = len(self.loader.data)
        if self.loader.drop_last:
            rows = len(self.loader) * self.loader.batch_size
        return rows * self.epochs

    @property
    def lr(self) -> float:
        """The learning rate now (of the first parameter group)."""
        return float(self.optimizer.param_groups[0]["lr"])
