"""A prepared `Run` comes in; trained weights and its history leave. `fit` calls `train`, having checked and named
everything.

One epoch is what the six lines of a hand-written loop do, in the same order and on the same arrays, so that both give
the same bits: batch, outputs, loss, backward, step. Around it: the loss is checked before anything is changed by it,
and what the epoch measured goes to the history, the callbacks and the progress line.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.core.context import quiet
from pellucid.core.rng import default_generator
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ModelError, NonFiniteError
from pellucid.train.callbacks import Callback, listens_to_batches
from pellucid.train.evaluate import measured, modes_kept, with_thresholds
from pellucid.train.interrupt import on_interrupt
from pellucid.train.metrics import Metric
from pellucid.train.nonfinite import Before, check_weights, explain_non_finite
from pellucid.train.progress import Progress
from pellucid.train.rows import output_of
from pellucid.train.run import Run, arrays_of

if TYPE_CHECKING:
    from pellucid.train.compiled import CompiledEpochs


@dataclass
class Step:
    """How a batch becomes an update.

    Parameters
        clip_norm : the gradients' largest norm, or None
        accumulate : batches whose gradients make one update, each weighted by its rows
        weights : a weight for each row of the training data, or None
        needs_closure : whether the optimizer evaluates the loss itself, as LBFGS does
    """

    clip_norm: float | None = None
    accumulate: int = 1
    weights: Array | None = None
    needs_closure: bool = False


def train(
    run: Run,
    step: Step,
    callbacks: list[Callback],
    progress: Progress,
    *,
    restore_best: bool,
    save: Callable[[], None] | None = None,
) -> None:
    """Run the epochs that are left.

    Parameters
        restore_best : whether the best weights are given back however training ends; after Ctrl-C and after a
            non-finite loss they are in any case, where they are known
        save : called after each whole epoch, and writes a checkpoint where one is due
    Raises
        NonFiniteError: the loss became NaN or infinite. This and any other error has the run's `history`.
    """
    from pellucid.train.compiled import compiled_epochs

    listeners = [c for c in callbacks if listens_to_batches(c)]
    epochs_metrics = with_thresholds(run.model, run.loader.data.x, run.loss, run.metrics)
    progress.begin(run)
    with quiet(), on_interrupt(lambda: run.stop("interrupt")) as finishing:
        try:
            with modes_kept(run.model):
                for callback in callbacks:
                    callback.on_train_begin(run)
                compiled = compiled_epochs(run, step, bool(epochs_metrics))
                # Where nobody looks between them, short epochs are done many at a time.
                alone = not (callbacks or epochs_metrics or save or run.validation or run.best or run.schedule)
                alone = alone and not run.loader.changes and step.weights is None
                while run.epoch < run.epochs and run.stopping is None:
                    run.start = arrays_of(run.model)
                    if alone and compiled is not None and _epochs_at_once(run, compiled, progress):
                        continue
                    whole = _epoch(run, step, compiled, callbacks, listeners, epochs_metrics, progress)
                    if whole and save is not None:
                        save()
        except KeyboardInterrupt:
            run.stopping = "interrupt"
        except BaseException as error:
            run.stopping = "non_finite" if isinstance(error, NonFiniteError) else "error"
            error.history = run.history  # type: ignore[attr-defined]
            raise
        finally:
            finishing()
            run.history.stopped_by = run.stopping or "epochs"
            _choose_weights(run, restore_best)
            for callback in callbacks:
                callback.on_train_end(run)
            progress.end(run)


def _choose_weights(run: Run, restore_best: bool) -> None:
    """Give the model the weights that stay: the best ones where they are wanted and known; of a run that blew up else
    those of its last whole epoch, since what it blew up from is of no use."""
    history = run.history
    blew_up = history.stopped_by == "non_finite"
    wanted = restore_best or blew_up or history.stopped_by == "interrupt"
    if wanted and run.best is not None and run.best.restore(run.model):
        history.restored_epoch = run.best.epoch
    elif blew_up:
        for tensor, array in run.start:
            tensor.assign(wrap(array))
        history.restored_epoch = len(history) - 1 if len(history) else None


def _epoch(
    run: Run,
    step: Step,
    compiled: CompiledEpochs | None,
    callbacks: list[Callback],
    listeners: list[Callback],
    metrics: list[Metric],
    progress: Progress,
) -> bool:
    """Train for one epoch, measure it, and move on to the next; False if the run was stopped within it."""
    start = time.perf_counter()
    for callback in callbacks:
        callback.on_epoch_begin(run)
    run.model.train()
    run.batch, run.num_batches = 0, len(run.loader)
    seen = Seen(getattr(run.loss, "reduction", "mean") == "sum", bool(metrics))
    lr = run.lr

    def after_batch() -> None:
        for listener in listeners:
            listener.on_batch_end(run)
        progress.batch(run)

    whole = (
        batches(run, step, seen, after_batch)
        if compiled is None
        else compiled.batches(run, step, seen, after_batch, one_by_one=bool(listeners))
    )
    if not whole:
        return False
    check_weights(run)
    record = {"loss": seen.loss}
    if metrics:
        y_all = np.concatenate([y for _, y in seen.collected])
        pred_all = np.concatenate([p for p, _ in seen.collected])
        record.update((m.name, m(pred_all, y_all)) for m in metrics)
    if run.validation is not None:
        held_out = measured(run.model, run.validation, run.loss, metrics, times=run.epochs)
        record.update((f"val_{name}", number) for name, number in held_out.items())
    record["lr"] = lr
    record["time_s"] = time.perf_counter() - start
    _finish(run, record, callbacks, progress)
    return True


class Seen:
    """What the batches of an epoch gave: their losses, and the outputs where metrics are computed from them.

    Parameters
        summed : whether losses are sums over rows, not means
        collects : whether outputs are kept
    """

    def __init__(self, summed: bool, collects: bool) -> None:
        self.summed = summed
        self.collects = collects
        self.collected: list[tuple[Array, Array]] = []
        self._total, self._amount = 0.0, 0.0

    def add_all(self, values: Array, amount: float) -> None:
        """Note batches of as many rows each, of which nothing but the loss is wanted."""
        if len(values):
            # A running sum adds one after the other, as `add` does.
            parts = values.astype(np.float64) * (1.0 if self.summed else amount)
            parts[0] += self._total
            self._total = float(np.cumsum(parts)[-1])
        self._amount += amount * len(values)

    def add(self, value: float, amount: float, y_pred: Array | None, y: Array | None) -> None:
        """Note a batch: its loss, its rows or what they weigh, outputs and targets."""
        self._total += value if self.summed else value * amount
        self._amount += amount
        if self.collects:
            self.collected.append((y_pred, y))  # type: ignore[arg-type]

    @staticmethod
    def losses(values: Array, amount: float, summed: bool) -> list[float]:
        """The losses of several epochs, of batches of as many rows each; values has shape (epochs, batches)."""
        totals = np.cumsum(values.astype(np.float64) * (1.0 if summed else amount), axis=1)[:, -1]
        found: list[float] = (totals if summed else totals / (amount * values.shape[1])).tolist()
        return found

    @property
    def loss(self) -> float:
        """The loss of the epoch."""
        return self._total if self.summed else self._total / self._amount


def batches(run: Run, step: Step, seen: Seen, after_batch: Callable[[], None]) -> bool:
    """Train on the batches of an epoch from `run.batch` on, operation by operation; False if the run was stopped."""
    optimizer, loader, criterion = run.optimizer, run.loader, run.loss
    order, size = loader.order(run.epoch), loader.batch_size
    last_row = min(len(loader.data), len(loader) * size)
    # Whether there are gradients that no update has used.
    fresh = False
    buffers, apart = list(run.model.buffers()), not_held(run)
    for x, y in loader.batches(run.epoch, run.batch):
        first = run.batch * size
        run.rows = order[first : first + size]
        before = Before(wrap(x), wrap(y), buffers, default_generator)  # type: ignore[arg-type]
        weights = None if step.weights is None else step.weights[run.rows]
        amount = len(x) if weights is None else float(weights.sum())
        if amount:
            share = None
            if step.accumulate > 1 and not seen.summed:
                # Of the rows (or their weights) of the whole group, which the last of an epoch may have fewer of.
                begin = run.batch // step.accumulate * step.accumulate * size
                group = order[begin : min(begin + size * step.accumulate, last_row)]
                share = amount / (len(group) if step.weights is None else float(step.weights[group].sum()))
            if step.needs_closure:
                y_pred, value = _closure_step(run, criterion, before, weights)
            else:
                y_pred, value = gradients(run, criterion, before, weights, share)
            run.recent.append(value)
            seen.add(value, amount, y_pred.data, y)
            fresh = True
        run.batch += 1
        run.samples += len(x)
        if fresh and (run.batch % step.accumulate == 0 or run.batch == run.num_batches):
            clip(optimizer, step.clip_norm)
            if not step.needs_closure:
                optimizer.step()
            for parameter in apart:
                parameter.grad = None
            fresh = False
            count_step(run)
        after_batch()
        if run.stopping is not None and run.batch < run.num_batches:
            return False
    return True


def clip(optimizer: Any, clip_norm: float | None) -> None:
    """Shorten the gradients where that was asked for."""
    if clip_norm is not None:
        from pellucid.optim import clip_grad_norm_

        clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)


def not_held(run: Run) -> list[Tensor]:
    """Parameters that the optimizer does not hold: nobody uses their gradients, which would add up for ever."""
    held = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
    return [p for p in run.model.parameters() if id(p) not in held]


def count_step(run: Run) -> None:
    """An update was made: count it, and move a schedule on that goes by steps."""
    run.history.steps += 1
    if run.schedule is not None and run.schedule_every == "step":
        run.schedule.step()


def _epochs_at_once(run: Run, compiled: CompiledEpochs, progress: Progress) -> bool:
    """Train for several epochs in one call; False, with nothing done, where they are not short or something went
    wrong."""
    start, lr = time.perf_counter(), run.lr
    run.model.train()
    losses = compiled.epochs_at_once(run)
    if losses is None:
        return False
    epochs, time_s = len(losses), (time.perf_counter() - start) / len(losses)
    run.history.extend({"loss": losses, "lr": [lr] * epochs, "time_s": [time_s] * epochs}, epochs)
    run.batch = 0
    for loss in losses:
        run.samples += compiled.rows
        progress.epoch(run, {"loss": loss, "lr": lr, "time_s": time_s})
        run.epoch += 1
    return True


def _finish(run: Run, record: dict[str, float], callbacks: list[Callback], progress: Progress) -> None:
    run.history.append(record)
    if run.best is not None:
        run.best.update(run.epoch, record, run.model)
        run.history.best_epoch = run.best.epoch
    if run.schedule is not None and run.schedule_every == "epoch":
        if type(run.schedule).__name__ == "ReduceLROnPlateau":
            run.schedule.step(record.get("val_loss", record["loss"]))
        else:
            run.schedule.step()
    for callback in callbacks:
        callback.on_epoch_end(run, record)
        run.history.take_up(record)
    progress.epoch(run, record)
    run.epoch += 1
    run.batch = 0


def gradients(
    run: Run, criterion: Any, before: Before, weights: Array | None, share: float | None
) -> tuple[Tensor, float]:
    """Outputs and loss of a batch, with the gradients added to the parameters'; refused before that if the loss is not
    finite."""
    y_pred, loss = output_and_loss(run.model, criterion, before.x, before.y, weights)
    value: float = loss.data.item()
    run.loss_value = value
    if not math.isfinite(value):
        raise explain_non_finite(run, criterion, before, weights)
    if share is None:
        loss.backward()
    else:
        loss.backward(wrap(np.full(loss.data.shape, share, loss.data.dtype)))
    return y_pred, value


def output_and_loss(
    model: Any, criterion: Any, x: Tensor, y: Tensor, weights: Array | Tensor | None
) -> tuple[Tensor, Tensor]:
    """Outputs and loss of a batch, its rows weighted where there are weights.

    Raises
        ModelError: the loss is no single number.
    """
    y_pred = output_of(model(x), len(x.data))
    loss = criterion(y_pred, y) if weights is None else criterion(y_pred, y, sample_weight=weights)
    if not isinstance(loss, Tensor) or loss.data.size != 1:
        raise ModelError("train.loss-value", value=shown(loss))
    return y_pred, loss


def _closure_step(run: Run, criterion: Any, before: Before, weights: Array | None) -> tuple[Tensor, float]:
    """A step of an optimizer such as LBFGS, which asks for loss and gradients itself; outputs and loss before the
    step."""
    evaluated: list[tuple[Tensor, float]] = []

    def closure() -> Tensor:
        run.optimizer.zero_grad()
        evaluated.append(gradients(run, criterion, before, weights, None))
        return wrap(np.array(evaluated[-1][1]))

    run.optimizer.step(closure)
    return evaluated[0]


def takes_weights(loss: Any) -> bool:
    """Whether a loss has the argument `sample_weight`, as those of `pellucid.nn` have."""
    try:
        return "sample_weight" in inspect.signature(getattr(loss, "forward", loss)).parameters
    except (TypeError, ValueError):
        return False
