"""A network of two inputs and its rows come in; what it gives all over the plane around them leaves. Decision
boundaries are drawn from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Real, checked, shown
from pellucid.core.tensor import to_array
from pellucid.data import Dataset
from pellucid.errors import ArgumentTypeError, DataError, ShapeError
from pellucid.inspection.objective import named
from pellucid.nn import Module
from pellucid.train import predict
from pellucid.train.loaded import LoadedModel


@dataclass(frozen=True, eq=False)
class DecisionSurface:
    """What a network gives over a plane; see `decision_surface`.

    first, second : (resolution,), the values of the two inputs.
    outputs : (resolution, resolution, num_outputs): the first axis is that of the second input, as pictures have it.
    """

    model: str
    first: Array = field(repr=False)
    second: Array = field(repr=False)
    outputs: Array = field(repr=False)

    @property
    def num_outputs(self) -> int:
        return int(self.outputs.shape[2])


@checked(resolution=Integer(2, 2000), margin=Real(0.0, 100.0))
def decision_surface(model: Any, x: Any, *, resolution: int = 200, margin: float = 0.15) -> DecisionSurface:
    """What a network of two inputs gives over the rectangle around some rows.

    Parameters
        model : a Module, or a network from a file, whose preprocessing is applied.
        x : rows of two numbers, or a Dataset.
        resolution : points along each side.
        margin : of the rectangle, as a share of the rows' range.
    Returns
        DecisionSurface
    Raises
        ShapeError: the rows have not two numbers each, or the network gives several numbers on several axes.
        DataError: no rows, or values that are not finite.
        ArgumentTypeError: the model is no network.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Linear(2, 1)
        >>> pl.inspection.decision_surface(model, [[0.0, 0.0], [1.0, 2.0]], resolution=5, margin=0.5).second.tolist()
        [-1.0, 0.0, 1.0, 2.0, 3.0]
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError("landscape.model", value=shown(model), type=type(model).__name__)
    rows = np.asarray(x.x if isinstance(x, Dataset) else to_array(x), np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ShapeError("picture.two-features", shape=rows.shape)
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if not len(rows) or bad:
        raise DataError("picture.no-finite-rows", rows=len(rows), bad=bad)
    low, high = rows.min(axis=0), rows.max(axis=0)
    room = margin * np.where(high > low, high - low, 1.0)
    first, second = (np.linspace(low[n] - room[n], high[n] + room[n], resolution) for n in (0, 1))
    plane = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    answers = model.predict(plane) if isinstance(model, LoadedModel) else predict(model, plane)
    if answers.ndim > 2 or len(answers) != len(plane):
        raise ShapeError("picture.plane-outputs", shape=answers.shape)
    outputs = answers.reshape(resolution, resolution, -1)
    return DecisionSurface(named(model), first, second, outputs)
