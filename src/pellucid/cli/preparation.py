"""A data set and the settings come in; the rows of a run leave: split, scaled, with targets as the loss takes them.
Called by the train command.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pellucid._typing import Array
from pellucid.cli.pictures import as_pictures, picture_scaler, picture_shape, transforms
from pellucid.cli.settings import DENSE
from pellucid.cli.sources import Source
from pellucid.cli.task import Task, task_for
from pellucid.data import Dataset, MinMax, Scaler, Standardize, train_test_split
from pellucid.data.augment import Transform
from pellucid.errors import ArgumentError, DataError

SCALERS: dict[str, type[Scaler]] = {"standardize": Standardize, "minmax": MinMax}


@dataclass
class Parts:
    """The rows of a run, scaled and with targets as the loss takes them; the test images as they were, where the rows
    are images; and the changes of the training rows, where they are pictures."""

    source: Source
    task: Task
    train: Dataset
    validation: Dataset | None
    test: Dataset
    scaler: Scaler | None
    images: Array | None
    augment: list[Transform] = field(default_factory=list)


def prepare(source: Source, settings: dict[str, Any]) -> Parts:
    """Split and scale. The test part is the set's own where it has one; scaling is measured on the training part alone.

    Raises
        DataError: a part without rows, data without targets, or rows that are no pictures for a network that takes
            these.
    """
    task = task_for(source.train, source.test, settings["loss"], settings["metrics"])
    seed = settings["seed"]
    if source.test is None:
        training, test = split(source.train, settings["test_size"], seed)
    else:
        training, test = source.train, source.test
        if training.x.shape[1:] != test.x.shape[1:]:
            raise DataError("cli.test-shape", train=training.x.shape, test=test.x.shape)
        if test.y is None:
            raise DataError("cli.no-targets", name=test.name, shape=test.x.shape)
    validation = None
    if settings["validation"]:
        training, validation = split(training, settings["validation"], seed + 1)
    images = None if test.image_shape is None else test.images
    scale, pictures = settings["scale"], settings["model"] != DENSE
    if pictures:
        shape = picture_shape(training)
        training, test = as_pictures(training, shape), as_pictures(test, shape)
        validation = None if validation is None else as_pictures(validation, shape)
        images = test.x[:, 0] if shape[0] == 1 else test.x
    scaler = None
    if scale != "none":
        scaler = picture_scaler(scale, training.x) if pictures else SCALERS[scale]().fit(training.x)
    changes = settings["augment"]
    if changes and not pictures and scaler is not None:
        # Each place has a scale of its own then, and nothing that comes in from outside could fit them all.
        raise ArgumentError("cli.augment-scale", augment=",".join(changes), scale=scale)
    changed = transforms(changes, picture_shape(training), scaler) if changes else []
    given = [training, validation, test]
    scaled = [p if p is None or scaler is None else replace(p, x=scaler.transform(p.x)) for p in given]
    ready = [p if p is None else task.with_targets(p) for p in scaled]
    return Parts(source, task, ready[0], ready[1], ready[2], scaler, images, changed)  # type: ignore[arg-type]


def split(data: Dataset, size: float, seed: int) -> tuple[Dataset, Dataset]:
    """Two parts of the rows, by class where the targets are labels and every class has enough rows for both."""
    if data.num_classes is not None:
        with suppress(DataError, ArgumentError):
            return train_test_split(data, test_size=size, seed=seed, stratify=True)  # type: ignore[no-any-return]
    return train_test_split(data, test_size=size, seed=seed)  # type: ignore[no-any-return]
