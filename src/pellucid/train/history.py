"""One record an epoch comes in, from `fit`; the curves of a run leave, as lists by name. Read by users, callbacks,
reports and checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pellucid.core.check import closest, shown
from pellucid.errors import ArgumentTypeError, FileFormatError, MissingKeyError, NoAttributeError


class History:
    """What each epoch of a run measured.

    `history.loss` and `history["val_accuracy"]` are lists with one number an epoch; a quantity first measured in a
    later epoch has None before it.

    Attributes
        best_epoch : the epoch, counted from 0, with the best value of `monitor`; None before the first
        monitor : the quantity that `best_epoch` goes by: that of the first EarlyStopping, else val_loss, else loss
        stopped_by : "epochs" (all were run), "early_stopping", "interrupt" (Ctrl-C), "callback" or the reason that a
            callback gave, "non_finite", "error", or None while training runs
        restored_epoch : the epoch whose weights the model was given back at the end; None where it kept the last ones
        steps : updates of the weights so far
    Examples
        >>> history = History()
        >>> history.append({"loss": 0.5, "val_loss": 0.7})
        >>> history.append({"loss": 0.25, "val_loss": 0.6})
        >>> history.loss, history["val_loss"][-1], len(history)
        ([0.5, 0.25], 0.6, 2)
    """

    def __init__(self) -> None:
        self._curves: dict[str, list[Any]] = {}
        self._length = 0
        self.best_epoch: int | None = None
        self.monitor: str | None = None
        self.stopped_by: str | None = None
        self.restored_epoch: int | None = None
        self.steps = 0

    def append(self, record: dict[str, float]) -> None:
        """Add an epoch's record."""
        self.extend({name: [value] for name, value in record.items()}, 1)

    def extend(self, records: dict[str, list[float]], epochs: int) -> None:
        """Add the records of several epochs, which measured the same quantities."""
        for name in records.keys() - self._curves.keys():
            self._curves[name] = [None] * self._length
        self._length += epochs
        if list(self._curves) != list(records):
            # In the records' own order, so that columns of a table follow the order of measurement.
            self._curves = {name: self._curves[name] for name in [*records, *(self._curves.keys() - records.keys())]}
        for name, curve in self._curves.items():
            curve += records[name] if name in records else [None] * epochs

    def take_up(self, record: dict[str, Any]) -> None:
        """Add to the last epoch the numbers that a callback has put into its record.

        Raises
            ArgumentTypeError: something that is not a number.
        """
        for name in [n for n in record if n not in self._curves or self._curves[n][-1] is None]:
            value = record[name]
            if not isinstance(value, int | float | np.integer | np.floating):
                raise ArgumentTypeError("train.record-value", name=name, value=shown(value), type=type(value).__name__)
            record[name] = float(value)
            self._curves.setdefault(name, [None] * self._length)[-1] = record[name]

    @property
    def names(self) -> list[str]:
        """What was measured."""
        return list(self._curves)

    def record(self, epoch: int) -> dict[str, Any]:
        """All that was measured in one epoch; -1 is the last."""
        return {name: curve[epoch] for name, curve in self._curves.items() if curve[epoch] is not None}

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.record(epoch) for epoch in range(self._length))

    def __contains__(self, name: object) -> bool:
        return name in self._curves

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._curves:
            raise MissingKeyError(
                "train.no-curve", name=name, names=", ".join(self._curves), suggestion=closest(str(name), self._curves)
            )
        return self._curves[name]

    def __getattr__(self, name: str) -> list[Any]:
        curves = self.__dict__.get("_curves", {})
        if name in curves:
            return curves[name]  # type: ignore[no-any-return]
        if name.startswith("_"):
            raise AttributeError(name)
        raise NoAttributeError(
            "train.no-curve", name=name, names=", ".join(curves), suggestion=closest(name, [*curves, *self.__dict__])
        )

    def to_dict(self) -> dict[str, Any]:
        """The curves and the outcome as plain lists and values, which JSON can hold."""
        return {
            "curves": {name: list(curve) for name, curve in self._curves.items()},
            "epochs": self._length,
            "best_epoch": self.best_epoch,
            "monitor": self.monitor,
            "stopped_by": self.stopped_by,
            "restored_epoch": self.restored_epoch,
            "steps": self.steps,
        }

    @classmethod
    def from_dict(cls, value: Any) -> History:
        """The history that `to_dict` was taken from.

        Raises
            FileFormatError: it is not one.
        """
        history = cls()
        fields = ("best_epoch", "monitor", "stopped_by", "restored_epoch", "steps")
        if (
            not isinstance(value, dict)
            or set(value) != {"curves", "epochs", *fields}
            or not isinstance(value["curves"], dict)
            or not isinstance(value["epochs"], int)
            or not all(isinstance(c, list) and len(c) == value["epochs"] for c in value["curves"].values())
        ):
            raise FileFormatError("train.history-form", type=type(value).__name__)
        history._curves = {str(name): list(curve) for name, curve in value["curves"].items()}
        history._length = value["epochs"]
        for name in fields:
            setattr(history, name, value[name])
        return history

    def __repr__(self) -> str:
        if not self._length:
            return f"History(0 epochs, stopped_by={self.stopped_by!r})"
        last = ", ".join(
            f"{name}={value:.4g}" for name, value in self.record(-1).items() if name not in ("epoch", "time_s")
        )
        return f"History({self._length} epochs, {last}, best_epoch={self.best_epoch}, stopped_by={self.stopped_by!r})"
