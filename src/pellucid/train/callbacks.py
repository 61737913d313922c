"""What happens between the steps and epochs of `fit`: a callback receives the `Run` and may read it, write files, or
stop it.

Early stopping, checkpoints of the model, a JSON-lines log, and functions of your own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from pellucid.core.check import Flag, Integer, Options, Real, checked, shown
from pellucid.core.paths import accessing, as_path, made_folder
from pellucid.errors import ArgumentTypeError
from pellucid.train.run import Best, Run, direction_of

_MODE = Options("auto", "min", "max")


class Callback:
    """Base of all callbacks: every method does nothing until it is overridden.

    `on_batch_end` is called only where it is overridden, so that an empty one costs nothing. To take part in bit-exact
    resuming, a callback that remembers something also overrides `state_dict` and `load_state_dict`.
    """

    def on_train_begin(self, run: Run) -> None:
        """Before the first step, also of a resumed run."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before the first step of epoch `run.epoch`."""

    def on_batch_end(self, run: Run) -> None:
        """After each batch: `run.loss_value` is its loss."""

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """After an epoch and its validation, with what was measured; a number put into the record goes to the
        history."""

    def on_train_end(self, run: Run) -> None:
        """When training has ended, for whatever reason, and the weights that stay are in the model."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it: plain values that JSON can hold."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""


def _quantity(callback: str, monitor: Any) -> str:
    if not isinstance(monitor, str):
        raise ArgumentTypeError(
            "core.type",
            name=f"{callback}: monitor",
            value=shown(monitor),
            type=type(monitor).__name__,
            expected='"val_loss", "loss", "val_accuracy", ...',
        )
    return monitor


class EarlyStopping(Callback):
    """Stop when a measured quantity has not improved for some epochs, and give the model its best weights back.

    The best weights are restored however training ends: by this callback, after the last epoch, by Ctrl-C, or by the
    error of a non-finite loss. Of several, the first in the list is the one whose best weights are restored.

    Parameters
        monitor : "val_loss", "loss", or a metric such as "val_accuracy"
        patience : epochs without improvement before training stops
        min_delta : the least change that counts as an improvement, in the quantity's own units; the weights that are
            kept are always those of the best value
        mode : "min", "max", or "auto": losses and errors are minimised, metrics such as accuracy maximised
    Source
        Prechelt, Early stopping - but when?, 1998; the arguments are those of Keras.
    """

    @checked(patience=Integer(0), min_delta=Real(0), mode=_MODE)
    def __init__(
        self, monitor: str = "val_loss", patience: int = 5, min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        self.monitor = _quantity("EarlyStopping", monitor)
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self.waited = 0
        self._reference: Best | None = None

    def on_train_begin(self, run: Run) -> None:
        """Find out which direction is better; start counting where nothing was loaded."""
        if self._reference is None or run.epoch == 0:
            self.waited = 0
            self._reference = Best(self.monitor, direction_of(self.monitor, self.mode, run.metrics))

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """Count the epochs since the last improvement."""
        reference = self._reference
        if reference is None:
            return
        value = record[self.monitor]
        if reference.improves(value, by=self.min_delta):
            reference.value, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= max(1, self.patience):
            run.stop("early_stopping")

    def state_dict(self) -> dict[str, Any]:
        """The epochs waited and the value to beat."""
        reference = self._reference
        return {
            "waited": self.waited,
            "value": None if reference is None else reference.value,
            "direction": None if reference is None else reference.direction,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.waited = state["waited"]
        if state["direction"] is not None:
            self._reference = Best(self.monitor, state["direction"])
            self._reference.value = state["value"]


class ModelCheckpoint(Callback):
    """Save the model to a file whenever it is the best so far, or after every epoch. Each write is atomic.

    Parameters
        path : the file, which `pellucid.load` reads
        monitor : what best means; with `best_only=False` it is not read
        best_only : True saves the best model; False the last, every `every` epochs
        mode : "min", "max" or "auto", as in EarlyStopping
        every : epochs between two saves, with `best_only=False`
        save : called as save(model, path); None is `pellucid.save`
    """

    @checked(best_only=Flag(), mode=_MODE, every=Integer(1))
    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        best_only: bool = True,
        mode: str = "auto",
        every: int = 1,
        save: Callable[[Any, Path], Any] | None = None,
    ) -> None:
        self.path = as_path("ModelCheckpoint: path", path)
        self.monitor = _quantity("ModelCheckpoint", monitor)
        self.best_only = best_only
        self.mode = mode
        self.every = every
        self._save = save
        self._best: Best | None = None

    def on_train_begin(self, run: Run) -> None:
        """Find out which direction is better."""
        if self.best_only and (self._best is None or run.epoch == 0):
            self._best = Best(self.monitor, direction_of(self.monitor, self.mode, run.metrics))

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """Save where it is due."""
        if self._best is not None:
            value = record[self.monitor]
            if not self._best.improves(value):
                return
            self._best.value = value
        elif (run.epoch + 1) % self.every and run.epoch + 1 < run.epochs:
            return
        made_folder(self.path.parent)
        if self._save is None:
            from pellucid.train.files import save

            save(run.model, self.path)
        else:
            self._save(run.model, self.path)

    def state_dict(self) -> dict[str, Any]:
        """The value to beat."""
        best = self._best
        return (
            {"value": None, "direction": None} if best is None else {"value": best.value, "direction": best.direction}
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the value to beat."""
        if state["direction"] is not None:
            self._best = Best(self.monitor, state["direction"])
            self._best.value = state["value"]


class JSONLogger(Callback):
    """Write one JSON object an epoch to a file: `{"epoch": 1, "loss": ..., ...}`, with epochs from 1; a number that
    is not finite is written null.

    Parameters
        path : the file; a run that is not resumed starts it anew
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = as_path("JSONLogger: path", path)
        self._file: TextIO | None = None

    def on_train_begin(self, run: Run) -> None:
        """Open the file; of a resumed run, keep the lines of the epochs that are done."""
        made_folder(self.path.parent)
        kept: list[str] = []
        with accessing(self.path):
            if run.epoch and self.path.exists():
                kept = self.path.read_text("utf-8").splitlines(keepends=True)[: run.epoch]
            self._file = self.path.open("w", encoding="utf-8")
            self._file.writelines(kept)
            self._file.flush()

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """Write the epoch's line at once, so that a reader can follow."""
        if self._file is not None:
            finite = {k: (v if v - v == 0 else None) for k, v in record.items()}
            with accessing(self.path):
                self._file.write(json.dumps({"epoch": run.epoch + 1, **finite}) + "\n")
                self._file.flush()

    def on_train_end(self, run: Run) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LambdaCallback(Callback):
    """Functions as a callback.

    Parameters
        on_train_begin, on_epoch_begin, on_batch_end, on_train_end : called with the run
        on_epoch_end : called with the run and the epoch's record
    Examples
        >>> seen = []
        >>> callback = LambdaCallback(on_epoch_end=lambda run, record: seen.append(record["loss"]))
    """

    def __init__(
        self,
        *,
        on_train_begin: Callable[[Run], Any] | None = None,
        on_epoch_begin: Callable[[Run], Any] | None = None,
        on_batch_end: Callable[[Run], Any] | None = None,
        on_epoch_end: Callable[[Run, dict[str, float]], Any] | None = None,
        on_train_end: Callable[[Run], Any] | None = None,
    ) -> None:
        given = {
            "on_train_begin": on_train_begin,
            "on_epoch_begin": on_epoch_begin,
            "on_batch_end": on_batch_end,
            "on_epoch_end": on_epoch_end,
            "on_train_end": on_train_end,
        }
        for name, function in given.items():
            if function is not None:
                if not callable(function):
                    raise ArgumentTypeError("train.callback-function", name=name, value=shown(function))
                setattr(self, name, function)


def listens_to_batches(callback: Callback) -> bool:
    """Whether a callback has an `on_batch_end` of its own."""
    return getattr(callback.on_batch_end, "__func__", callback.on_batch_end) is not Callback.on_batch_end
