"""The complete state of a run comes in after an epoch; one file leaves, from which `fit(..., resume=True)` goes on with
the same bits.

The file is a safetensors file: arrays by name, and in its metadata one JSON document that says where they belong. It
holds weights and buffers, the optimizer, the schedule, the random state, the order of the data (a seed and an epoch),
the callbacks, the best weights, the history, and a checksum of all that. Nothing in it is imported or evaluated. It is
written beside its place and moved there once it is complete on the disk.
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.paths import accessing, as_path, made_folder
from pellucid.core.rng import default_generator
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import DataError, FileAccessError, FileFormatError, MissingFileError, warn
from pellucid.train.container import digest, read, write
from pellucid.train.history import History
from pellucid.train.run import Run, copied_weights, set_weights

if TYPE_CHECKING:
    from pathlib import Path

    from pellucid.train.callbacks import Callback
    from pellucid.train.loop import Step

FILE_NAME = "checkpoint.safetensors"
PREVIOUS_NAME = "checkpoint-previous.safetensors"
FORMAT = "pellucid-checkpoint-1"
EVERY_S = 1.0


class Checkpoint:
    """Saves and loads the state of one run.

    Parameters
        folder : where the file lies; made if it is not there
        run : the run, prepared but not begun
        callbacks : the run's callbacks, in their order
        step : how its batches become updates
    """

    def __init__(self, folder: str | os.PathLike[str], run: Run, callbacks: list[Callback], step: Step) -> None:
        self.path = made_folder(as_path("fit: checkpoint", folder)) / FILE_NAME
        self.run = run
        self.callbacks = callbacks
        self._identity = _identity(run, callbacks, step)
        self.resumed = self._failing = False
        self._saved_at = -math.inf

    def save(self) -> None:
        """Write the state after a whole epoch; within a second of the last save only if the run is about to end.

        A place that no longer takes files is reported, and training goes on. The file of another run, which this one
        did not go on from, is kept beside the new one.
        """
        ends = self.run.stopping is not None or self.run.epoch >= self.run.epochs
        if not ends and time.monotonic() - self._saved_at < EVERY_S:
            return
        try:
            made_folder(self.path.parent)
            with accessing(self.path):
                if self._saved_at == -math.inf and self.path.exists() and not self.resumed:
                    os.replace(self.path, self.path.with_name(PREVIOUS_NAME))
            self._write()
            self._failing = False
        except (FileAccessError, MissingFileError) as problem:
            if not self._failing:
                warn("train.checkpoint-failed", path=str(self.path), epoch=self.run.epoch, problem=problem.given)
            self._failing = True
        self._saved_at = time.monotonic()

    def _write(self) -> None:
        run = self.run
        arrays: dict[str, Array] = {}
        best = run.best
        document = {
            "format": FORMAT,
            "identity": self._identity,
            "epoch": run.epoch,
            # After Ctrl-C the run may go on.
            "stopping": None if run.stopping == "interrupt" else run.stopping,
            "recent": list(run.recent),
            "history": run.history.to_dict(),
            "model": pack(copied_weights(run.model), "model", arrays),
            "optimizer": pack(run.optimizer.state_dict(), "optimizer", arrays),
            "schedule": None if run.schedule is None else pack(run.schedule.state_dict(), "schedule", arrays),
            "random": pack(default_generator.get_state(), "random", arrays),
            "callbacks": [pack(c.state_dict(), f"callbacks.{i}", arrays) for i, c in enumerate(self.callbacks)],
            "best": None
            if best is None
            else {"value": best.value, "epoch": best.epoch, "weights": pack(best.weights, "best", arrays)},
        }
        document["digest"] = digest(json.dumps(document), arrays)
        write(self.path, arrays, json.dumps(document))

    def load(self) -> bool:
        """Give the run, its model, optimizer, schedule and callbacks the saved state; False where there is none yet.

        Raises
            FileFormatError: the file is truncated, corrupted, or no checkpoint.
            DataError: it belongs to a run with other data, another network or other settings.
        """
        if not self.path.exists():
            return False
        document, arrays = _read(self.path)
        identity = document.get("identity")
        for name, here in self._identity.items():
            saved = identity.get(name) if isinstance(identity, dict) else None
            if saved != json.loads(json.dumps(here)):
                raise DataError("train.resume-differs", path=self.path.name, name=name, saved=saved, here=here)
        run = self.run
        try:
            state = {k: unpack(document[k], arrays) for k in ("model", "optimizer", "schedule", "random", "best")}
            states = [unpack(s, arrays) for s in document["callbacks"]]
            history = History.from_dict(document["history"])
            epoch, stopping, recent = document["epoch"], document["stopping"], document["recent"]
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise FileFormatError("train.checkpoint-file", path=self.path.name, problem=repr(problem)) from None
        set_weights(run.model, state["model"])
        run.optimizer.load_state_dict(state["optimizer"])
        if run.schedule is not None:
            run.schedule.load_state_dict(state["schedule"])
        default_generator.set_state(state["random"])
        for callback, saved in zip(self.callbacks, states, strict=True):
            callback.load_state_dict(saved)
        if run.best is not None and state["best"] is not None:
            run.best.value, run.best.epoch = state["best"]["value"], state["best"]["epoch"]
            run.best.weights = state["best"]["weights"]
        run.history, run.epoch = history, epoch
        run.history.stopped_by = run.history.restored_epoch = None
        run.stopping = stopping
        run.recent.extend(recent)
        run.samples_before = epoch * run.samples_total // run.epochs
        self.resumed = True
        return True


def _identity(run: Run, callbacks: list[Callback], step: Step) -> dict[str, Any]:
    """What must be the same for a resumed run to be the same run. The number of epochs may grow, unless a schedule is
    laid over them."""
    data = run.loader.data
    held_out = (None, None) if run.validation is None else (run.validation.x, run.validation.y)
    rows = {"x": data.x, "y": data.y, "val_x": held_out[0], "val_y": held_out[1], "weights": step.weights}
    laid_out = run.schedule is not None and run.schedule_every == "step"
    return {
        "data": digest("", {name: array for name, array in rows.items() if array is not None}),
        "loader": {k: v for k, v in run.loader.state_dict().items() if k not in ("epoch", "position")},
        "network": {name: list(value.shape) for name, value in run.model.state_dict().items()},
        "loss": getattr(run.loss, "__name__", type(run.loss).__name__),
        "optimizer": type(run.optimizer).__name__,
        # A schedule notes the rate that it started from.
        "lr": [float(group.get("initial_lr", group["lr"])) for group in run.optimizer.param_groups],
        "schedule": type(run.schedule).__name__,
        "metrics": [m.name for m in run.metrics],
        "callbacks": [type(c).__name__ for c in callbacks],
        "monitor": None if run.best is None else run.best.monitor,
        "clip_norm": step.clip_norm,
        "accumulate": step.accumulate,
        "epochs": run.epochs if laid_out else None,
    }


def pack(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """A nest of dicts, lists, numbers, strings and arrays as JSON; arrays and Tensors go to `arrays` and leave their
    name.

    Raises
        FileFormatError: something else, which a file could not give back.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor | np.ndarray | np.generic):
        arrays[name] = np.ascontiguousarray(value.data if isinstance(value, Tensor) else value)
        # ascontiguousarray gives a number an axis.
        arrays[name] = arrays[name].reshape(np.shape(value.data if isinstance(value, Tensor) else value))
        return {"$tensor" if isinstance(value, Tensor) else "$array": name}
    if isinstance(value, list | tuple):
        packed = [pack(v, f"{name}.{i}", arrays) for i, v in enumerate(value)]
        return packed if isinstance(value, list) else {"$tuple": packed}
    if isinstance(value, dict):
        return {"$dict": [[pack(k, f"{name}.key", arrays), pack(v, f"{name}.{k}", arrays)] for k, v in value.items()]}
    raise FileFormatError("train.checkpoint-value", name=name, type=type(value).__name__)


def unpack(value: Any, arrays: dict[str, Array]) -> Any:
    """What `pack` was given."""
    if isinstance(value, list):
        return [unpack(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays[value["$array"]]
    if "$tensor" in value:
        return wrap(arrays[value["$tensor"]])
    if "$tuple" in value:
        return tuple(unpack(v, arrays) for v in value["$tuple"])
    if "$dict" in value:
        return {unpack(k, arrays): unpack(v, arrays) for k, v in value["$dict"]}
    return {k: unpack(v, arrays) for k, v in value.items()}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the arrays of a checkpoint."""
    arrays, metadata = read(path)
    try:
        document = json.loads(metadata["pellucid"])
    except (KeyError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FileFormatError("train.checkpoint-file", path=path.name, problem=f"format ≠ {FORMAT}")
    expected = document.pop("digest", None)
    if digest(json.dumps(document), arrays) != expected:
        raise FileFormatError("train.checkpoint-file", path=path.name, problem="digest")
    return document, arrays
