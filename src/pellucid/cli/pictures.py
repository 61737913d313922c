"""Rows that are pictures, and the name of a network for them, come in; the pictures with their channels, the scaler,
the changes while training and the network leave. Called by `preparation` and `training`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid import models, nn
from pellucid._text import text
from pellucid._typing import Array, Shape
from pellucid.cli.network import in_dtype, with_end
from pellucid.cli.settings import MODELS
from pellucid.data import Dataset, MinMax, Scaler, Standardize
from pellucid.data.augment import Cutout, RandomHorizontalFlip, RandomShift, Transform
from pellucid.errors import DataError, ShapeError

MAKERS: dict[str, Callable[..., nn.Module]] = {
    "lenet5": models.LeNet5,
    "cnn": models.SmallCNN,
    "resnet20": models.resnet20,
    "resnet18": models.resnet18,
    "mobilenet_v2": models.mobilenet_v2,
}
FIXED_SIZE = {"lenet5": 28}
"""Height and width that a network was made for; the others take any."""

# Of the side of a picture: a shift by one place in 28, a hole of a quarter.
_SHIFT, _HOLE = 28, 4
_LAST_AXIS = (1, 3, 4)


def picture_shape(data: Dataset) -> Shape:
    """Channels, height and width of a data set's rows.

    Raises
        DataError: the rows are no pictures.
        ShapeError: the channels stand last.
    """
    shape = data.x.shape[1:] if data.x.ndim > 2 or data.image_shape is None else data.image_shape
    if len(shape) == 2:
        return (1, *shape)
    if len(shape) != 3:
        raise DataError("cli.no-pictures", name=data.name or "x", shape=data.x.shape)
    if shape[2] in _LAST_AXIS and shape[0] not in _LAST_AXIS:
        raise ShapeError("cli.channels-last", name=data.name or "x", shape=data.x.shape)
    return shape


def as_pictures(data: Dataset, shape: Shape) -> Dataset:
    """The same rows with axes for channels, height and width. Columns have no names of their own any more."""
    return replace(data, x=data.x.reshape(len(data), *shape), feature_names=None, image_shape=None)


def picture_scaler(name: str, x: Array) -> Scaler:
    """A scaler that treats all places of a channel alike, so that a picture stays one.

    Parameters
        name : "standardize" or "minmax"
        x : (rows, channels, height, width), the training part
    """
    axes, shape = (0, 2, 3), x.shape[1:]

    def everywhere(values: Array) -> Array:
        return np.broadcast_to(np.asarray(values, np.float64)[:, None, None], shape).copy()

    if name == MinMax.kind:
        ends = {"minimum": everywhere(x.min(axis=axes)), "maximum": everywhere(x.max(axis=axes))}
        return MinMax.from_state({"kind": MinMax.kind, "range": np.array([0.0, 1.0]), **ends})
    deviation = x.std(axis=axes, dtype=np.float64)
    mean = everywhere(x.mean(axis=axes, dtype=np.float64))
    std = everywhere(np.where(deviation > 0, deviation, 1.0))
    return Standardize.from_state({"kind": Standardize.kind, "mean": mean, "std": std})


def transforms(names: Sequence[str], shape: Shape, scaler: Scaler | None) -> list[Transform]:
    """What is done to the pictures while training, by amounts that go with their size.

    Parameters
        names : of `settings.AUGMENTATIONS`, in any order: a hole comes last, so that it is cut out of what is seen
        shape : (..., height, width)
        scaler : what the pictures went through; what comes in from outside is the 0 they had before
    """
    side = min(shape[-2:])
    black = 0.0 if scaler is None else float(np.mean(scaler.transform(np.zeros((1, *shape), np.float32))))
    made: dict[str, Callable[[], Transform]] = {
        "shift": lambda: RandomShift(max(1, side // _SHIFT), black),
        "flip": lambda: RandomHorizontalFlip(),
        "cutout": lambda: Cutout(max(1, side // _HOLE), black),
    }
    return [make() for name, make in made.items() if name in names]


def build(shape: Shape, num_outputs: int, settings: dict[str, Any]) -> tuple[nn.Module, str]:
    """The network that `settings["model"]` names, for pictures of one shape; and what to call it.

    One that was made for a certain size gets smaller pictures enlarged to it.

    Raises
        ShapeError: the pictures are larger than the network was made for.
    """
    name = settings["model"]
    options = {key: settings[key] for key in MODELS[name].takes}
    size = FIXED_SIZE.get(name)
    with in_dtype(settings["dtype"]):
        model = MAKERS[name](num_outputs, in_channels=shape[0], **options)
        called = type(model).__name__
        if size is not None and shape[1:] != (size, size):
            if max(shape[1:]) > size:
                others = ", ".join(other for other in MAKERS if other not in FIXED_SIZE)
                raise ShapeError(
                    "cli.picture-size", model=name, height=shape[1], width=shape[2], size=size, options=others
                )
            model = nn.Sequential(nn.Upsample((size, size), mode="bilinear", align_corners=False), model)
            called = text("cli.enlarged", network=called, size=f"{size} × {size}")
        return with_end(model, settings["loss"]), called
