"""A data set and the name of a loss come in; what there is to learn leaves: classes or numbers, how many outputs, the
targets in the form that the loss takes, the metrics. Called by the train command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.data import Dataset
from pellucid.errors import ArgumentError, DataError, LabelError

TAKE_LABELS = ("cross_entropy", "nll", "multi_margin")
TAKE_BINARY = ("bce", "bce_with_logits")


@dataclass(frozen=True)
class Task:
    """What a network shall learn from a data set.

    Attributes
        num_classes : classes to tell apart; None for a regression
        num_outputs : neurons of the output layer
        loss : name of the loss, never "auto"
        metrics : names of the metrics, the first of which is the one to go by
        one_hot : whether labels become rows of zeros and a one, as a regression loss takes them
    """

    num_classes: int | None
    num_outputs: int
    loss: str
    metrics: tuple[str, ...]
    one_hot: bool = False

    @property
    def gives_probabilities(self) -> bool:
        """Whether the network's outputs are probabilities or their logarithms."""
        return self.loss in ("bce", "nll")

    def describe(self, class_names: tuple[str, ...] | None) -> dict[str, Any]:
        """What a model file keeps of it, so that the model can be measured and read without the run."""
        return {
            "loss": self.loss,
            "num_classes": self.num_classes,
            "probabilities": self.gives_probabilities,
            "class_names": None if class_names is None else list(class_names),
        }

    def with_targets(self, data: Dataset) -> Dataset:
        """The data set with its targets as the loss takes them."""
        y = data.y
        if y is None or (self.num_classes is not None and self.loss in TAKE_LABELS):
            return data
        if self.one_hot:
            return replace(data, y=np.eye(self.num_outputs, dtype=np.float32)[y])
        if y.ndim == 1:
            y = y[:, None]
        return replace(data, y=y if y.dtype.kind == "f" else y.astype(np.float32))


def task_for(train: Dataset, test: Dataset | None, loss: str = "auto", metrics: list[str] | None = None) -> Task:
    """What a data set asks for.

    Whole-number targets, one a row, are classes; all other targets are numbers to be approximated.

    Parameters
        loss : a name of the command line's losses; "auto" is cross_entropy for classes, mse for numbers
        metrics : None: accuracy for classes, mae and r2 for numbers
    Raises
        DataError: no targets, or only one class.
        LabelError: a negative label.
        ArgumentError: a loss that cannot take these targets.
    """
    y = train.y
    if y is None:
        raise DataError("cli.no-targets", name=train.name, shape=train.x.shape)
    if y.dtype.kind == "i" and y.ndim == 1:
        return _classes(train, test, loss, metrics)
    if loss in TAKE_LABELS:
        raise ArgumentError("cli.loss-classes", loss=loss, dtype=y.dtype, shape=y.shape)
    outputs = 1 if y.ndim == 1 else int(np.prod(y.shape[1:]))
    return Task(None, outputs, "mse" if loss == "auto" else loss, tuple(metrics or ("mae", "r2")))


def _classes(train: Dataset, test: Dataset | None, loss: str, metrics: list[str] | None) -> Task:
    for part in (train, test):
        if part is not None and part.y is not None and part.y.size and part.y.min() < 0:
            row = int((part.y < 0).argmax())
            raise LabelError("cli.negative-label", label=int(part.y[row]), row=row)
    count = max(part.num_classes or 0 for part in (train, test) if part is not None)
    if count < 2:
        raise DataError("cli.one-class", rows=len(train), label=int(train.y[0]) if train.y is not None else 0)
    names = tuple(metrics or ("accuracy",))
    if loss == "auto" or loss in TAKE_LABELS:
        return Task(count, count, "cross_entropy" if loss == "auto" else loss, names)
    if loss in TAKE_BINARY:
        if count != 2:
            raise ArgumentError("cli.bce-classes", loss=loss, classes=count)
        return Task(count, 1, loss, names)
    return Task(count, count, loss, names, one_hot=True)
