"""A network, data, a loss and an optimizer come in; the network leaves trained, and the history of the run is returned.
This is the front door of training: it names, checks and prepares everything, then hands over to `loop.train`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, Options, Real, checked, closest, shown
from pellucid.data import Dataset, Loader, train_test_split
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, ModelError, ShapeError
from pellucid.optim import LBFGS, Optimizer
from pellucid.train.callbacks import Callback, EarlyStopping
from pellucid.train.checkpoints import Checkpoint
from pellucid.train.checks import check_training
from pellucid.train.choose import make_loss, make_optimizer, make_schedule, rates_kept
from pellucid.train.evaluate import model_dtype, prepared, takes_whole_numbers
from pellucid.train.history import History
from pellucid.train.loop import Step, takes_weights, train
from pellucid.train.metrics import as_metrics
from pellucid.train.progress import progress
from pellucid.train.run import Best, Run, direction_of
from pellucid.train.together import member, once
from pellucid.train.weights import row_weights

if TYPE_CHECKING:
    from pellucid.nn import Module


@checked(
    epochs=Integer(1),
    shuffle=Flag(),
    drop_last=Flag(),
    schedule_every=Options("step", "epoch", None),
    clip_norm=Real(0, left_open=True, none=True),
    accumulate=Integer(1),
    restore_best=Flag(),
    resume=Flag(),
    verbose=Options(0, 1, 2),
    checks=Options(True, False, "all"),
)
def fit(
    model: Module,
    data: Any,
    *,
    loss: Any,
    optimizer: Any,
    epochs: int,
    batch_size: int | str | None = 32,
    validation: Any = None,
    metrics: Any = (),
    callbacks: Any = (),
    shuffle: bool = True,
    seed: int = 0,
    drop_last: bool = False,
    augment: Any = None,
    schedule: Any = None,
    schedule_every: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    sample_weight: Any = None,
    class_weight: Any = None,
    restore_best: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checks: bool | str = True,
    verbose: int = 1,
) -> History:
    """Train a network.

    Each step is what a hand-written loop does, to the last bit: outputs, loss, `backward`, `step`, over `Loader(data,
    batch_size, shuffle=shuffle, seed=seed)`. What a step draws (dropout) comes from the default generator, which
    `manual_seed` seeds.

    Parameters
        model : the network; after training every module is back in the mode it was in
        data : Dataset, (x, y) as arrays or nested lists, or a Loader, which then decides on batches, shuffling and
            seed. Cast once to the model's dtype
        loss : a loss module, a function (y_pred, y) -> Tensor, or a name in `train.LOSSES` ("cross_entropy", "mse",
            ...)
        optimizer : an optimizer of the model's parameters, a function of the parameters that makes one, or a name in
            `train.OPTIMIZERS` ("adam", "sgd", ...) with that optimizer's own defaults
        epochs : passes over the data
        batch_size : rows a step; 1 is online training, None or "full" all rows
        validation : Dataset, (x, y), or how much of `data` to hold out, as a fraction or a number of rows: by class
            where the targets are labels and there are enough of each, at random otherwise, and the last rows with
            `shuffle=False`
        metrics : names in `train.METRICS`, or functions (y_pred, y_true) -> number, computed over all rows of an epoch:
            in training on the outputs as the epoch saw them, in validation on the weights it ended with
        callbacks : objects with the methods of `train.Callback`
        shuffle : a new order every epoch
        seed : fixes the order of the rows and the rows held out
        drop_last : leave out a last batch that is smaller
        augment : a Transform of `data.augment`, or several done in turn: the network is trained on changed copies of
            the pictures, other ones every epoch, and measured on the held-out ones as they are
        schedule : a schedule of `pellucid.optim` on this optimizer, a function of the optimizer that makes one, or a
            name: "cosine", "one_cycle", "linear", "exponential", "step". One that is made here ends with the run: the
            optimizer then has its own rate again
        schedule_every : when the schedule moves on, "step" or "epoch"; None: one-cycle and the named ones laid out over
            the steps every step, all others every epoch. ReduceLROnPlateau is given val_loss, else loss
        clip_norm : gradients are scaled down to this norm where theirs is larger, over all parameters together
        accumulate : batches that make one step, whose gradient is that of one batch of all their rows
        sample_weight : a weight >= 0 for each row of `data`; the loss of a batch is Σ w·loss / Σ w. Validation is not
            weighted
        class_weight : a weight for each class, as a list or {label: weight}, or "balanced", which gives all classes the
            same weight in total; multiplies `sample_weight`
        restore_best : give the model the weights of its best epoch by val_loss (by loss without validation) at the end.
            With an EarlyStopping callback this is always so, by what it monitors. Without either the weights are those
            of the last epoch
        checkpoint : a folder for the complete state of the run, from which it can go on. The file of an earlier run
            that this one does not go on from stays beside it, as `checkpoint-previous.safetensors`
        resume : go on from the checkpoint if there is one; the result has the same bits as a run that was never
            interrupted
        checks : True looks at data, targets, loss and network before the first step, and refuses or reports what cannot
            be right; "all" also tests whether the targets depend on the inputs at all; False does neither
        verbose : 0 nothing; 1 a live line on a terminal, a plain line now and then elsewhere; 2 a line every epoch
    Returns
        History: `history.loss`, `history["val_accuracy"]`, `history.best_epoch`, `history.stopped_by`
    Raises
        NonFiniteError: the loss became NaN or infinite; it names the operation, the layer, the rows and the input's
            range, and has the batch and the state before it, from which it can be replayed (`error.batch`,
            `error.state`). The weights are the best ones where they are known, else those of the last whole epoch.
        ModelError, LabelError, DataError: what `checks` refuses.
    Notes
        An error that ends training, also one of a callback, carries the epochs that are done as its `history`.

        Ctrl-C ends training after the running step, gives the best weights back where a validation set or an
        EarlyStopping callback tells which they are, and returns the history, with `stopped_by` "interrupt"; a second
        Ctrl-C does not wait for the step.
    """
    loader, held_out, rows, kept = _data(model, data, validation, batch_size, shuffle, seed, drop_last, augment)
    criterion = make_loss(loss)
    chosen = as_metrics(metrics)
    if next(model.parameters(), None) is None and not isinstance(optimizer, Optimizer):
        raise ModelError("train.nothing-to-train", model=type(model).__name__)
    optimizer = make_optimizer(optimizer, model.parameters())
    hooks = _callbacks(callbacks)
    weights = None
    if sample_weight is not None or class_weight is not None:
        if not takes_weights(criterion):
            raise ArgumentTypeError("train.weights-loss", loss=getattr(criterion, "__name__", type(criterion).__name__))
        targets: Any = loader.data.y
        weights = row_weights(targets, sample_weight, class_weight, rows=rows, kept=kept).astype(model_dtype(model))
    step = Step(clip_norm, accumulate, weights, isinstance(optimizer, LBFGS))
    if step.needs_closure and (accumulate > 1 or clip_norm is not None):
        raise ArgumentError("train.closure-options", optimizer=type(optimizer).__name__)
    if resume and checkpoint is None:
        raise ArgumentError("train.resume-where")
    steps = epochs * -(-len(loader) // accumulate)
    with rates_kept(optimizer, schedule):
        plan, every = make_schedule(schedule, optimizer, steps=steps, epochs=epochs)
        run = Run(
            model,
            criterion,
            optimizer,
            loader,
            epochs,
            held_out,
            chosen,
            schedule=plan,
            schedule_every=schedule_every or every,
            num_batches=len(loader),
        )
        stopping = next((c for c in hooks if isinstance(c, EarlyStopping)), None)
        _check_monitors(run, hooks)
        if stopping is not None:
            run.best = Best(stopping.monitor, direction_of(stopping.monitor, stopping.mode, chosen))
        elif held_out is not None or restore_best:
            run.best = Best("val_loss" if held_out is not None else "loss", "min")
        run.history.monitor = run.best.monitor if run.best is not None else "loss"
        saved = Checkpoint(checkpoint, run, hooks, step) if checkpoint is not None else None
        resumed = saved is not None and resume and saved.load()
        if checks is not False and not resumed:
            check_training(run, dependence=checks == "all", shuffled=loader.shuffle)
        optimizer.zero_grad()
        one = member()
        train(
            run,
            step,
            hooks,
            progress(verbose) if one is None else one.progress,
            restore_best=restore_best or stopping is not None,
            save=None if saved is None else saved.save,
        )
    return run.history


def _data(
    model: Module,
    data: Any,
    validation: Any,
    batch_size: Any,
    shuffle: bool,
    seed: int,
    drop_last: bool,
    augment: Any,
) -> tuple[Loader, Dataset | None, int, Array | None]:
    """The loader, the held-out set, how many rows were given, and which of them the loader has, where some are held
    out."""
    dataset = _prepared(model, data)
    if dataset.y is None:
        raise DataError("train.no-targets", rows=len(dataset))
    if isinstance(data, Loader):
        if augment is not None:
            raise ArgumentError("train.augment-loader")
        batch_size, shuffle, seed, drop_last = data.batch_size, data.shuffle, data.seed, data.drop_last
        augment = data.augment
    rows, held_out, kept = len(dataset), None, None
    if isinstance(validation, bool | str):
        raise ArgumentTypeError("train.validation-type", value=shown(validation), type=type(validation).__name__)
    if isinstance(validation, float | int | np.floating | np.integer):
        parts = ("parts", validation, shuffle, seed)
        kept, dataset, held_out = once(dataset, parts, lambda: _apart(dataset, validation, shuffle, seed))
    elif validation is not None:
        held_out = _prepared(model, validation)
        if held_out.y is None:
            raise DataError("train.no-targets", rows=len(held_out))
        if held_out.x.shape[1:] != dataset.x.shape[1:]:
            raise ShapeError("train.validation-shape", validation=held_out.x.shape, training=dataset.x.shape)
    loader = data
    if not isinstance(data, Loader) or dataset is not data.data:
        loader = Loader(dataset, batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last, augment=augment)
    changed = loader.augmentation
    if changed is not None and changed.row_shape != dataset.x.shape[1:]:
        raise ShapeError("train.augment-size", given=dataset.x.shape[1:], augmented=changed.row_shape)
    return loader, held_out, rows, kept


def _prepared(model: Module, data: Any) -> Dataset:
    """As `prepared`; the same Dataset for all networks of `fit_many` that take the data in one form."""
    if member() is None:
        return prepared(model, data)
    form = (model_dtype(model), takes_whole_numbers(model))
    return once(data, ("dataset", form), lambda: prepared(model, data))


def _apart(dataset: Dataset, validation: Any, shuffle: bool, seed: int) -> tuple[Array, Dataset, Dataset]:
    """The numbers of the rows to train on, and both parts."""
    kept, out = _rows_apart(dataset.y, validation, shuffle, seed)  # type: ignore[arg-type]
    return kept, dataset[kept], dataset[out]


def _rows_apart(y: Array, validation: Any, shuffle: bool, seed: int) -> tuple[Array, Array]:
    """The numbers of the rows to train on and of those held out: by class where there are labels and enough of each."""
    rows = np.arange(len(y))
    if not (0 < validation < 1 or (1 <= validation < len(y) and validation == int(validation))):
        raise ArgumentError("train.validation-size", value=shown(validation), rows=len(y), most=len(y) - 1)
    size = int(validation) if validation >= 1 else float(validation)
    if shuffle and y.dtype.kind == "i" and y.ndim == 1:
        with suppress(DataError):
            return train_test_split(rows, test_size=size, seed=seed, stratify=y)  # type: ignore[no-any-return]
    return train_test_split(rows, test_size=size, seed=seed, shuffle=shuffle)  # type: ignore[no-any-return]


def _callbacks(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    one = isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable)
    hooks = [callbacks] if one else list(callbacks)
    for hook in hooks:
        if not isinstance(hook, Callback):
            raise ArgumentTypeError("train.callback-type", value=shown(hook), type=type(hook).__name__)
    return hooks


def _check_monitors(run: Run, hooks: list[Callback]) -> None:
    """Refuse a callback that waits for what no epoch will measure, before the first epoch and not after it."""
    names = ["loss", *(m.name for m in run.metrics)]
    if run.validation is not None:
        names += [f"val_{name}" for name in names]
    for hook in hooks:
        monitor = getattr(hook, "monitor", None)
        if isinstance(monitor, str) and monitor not in names and getattr(hook, "best_only", True):
            held_out = "validation=0.2" if monitor.startswith("val_") and run.validation is None else None
            raise ArgumentError(
                "train.monitor",
                callback=type(hook).__name__,
                monitor=repr(monitor),
                names=", ".join(names),
                suggestion=held_out or closest(monitor, names),
            )
