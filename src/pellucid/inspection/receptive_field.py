"""A network for pictures and some of them come in; which places of a picture a place of a layer can see, and how much
it looks at each, leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.check import Integer, checked
from pellucid.core.context import quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import IndexRangeError, ModelError, ShapeError
from pellucid.graph import Value
from pellucid.inspection.explain_trace import Trace
from pellucid.inspection.layer_results import result_of
from pellucid.inspection.layers import as_in_use, as_input
from pellucid.inspection.objective import named
from pellucid.nn.attention.maps import aside

# Beyond two standard deviations of a Gaussian: Luo et al. count the places above 1 - 95.45 % of the largest.
_SEEN = 1 - 0.9545
# Pictures that are traced at once.
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What a place of a layer sees of a picture; see `receptive_field`.

    layer, kind : its full name, "" for the network's outputs, and its class, or its operations.
    place : (row, column) in the layer's result; None where the result has no rows and columns.
    unit : the channel or output; None is all of them together.
    theoretical : (height, width), whether the place can depend on the picture there at all.
    effective : (height, width), the root mean square over pictures of the gradient by the picture there.
    """

    layer: str
    kind: str
    place: tuple[int, int] | None
    unit: int | None
    theoretical: Array = field(repr=False)
    effective: Array = field(repr=False)

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the part of the picture in which the theoretical field lies; (0, 0) of an empty one."""
        rows, columns = (np.flatnonzero(self.theoretical.any(axis=axis)) for axis in (1, 0))
        return (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) if rows.size and columns.size else (0, 0)

    @property
    def seen(self) -> int:
        """How many places of the picture have more than 4.55 % of the largest effect."""
        return int((self.effective > _SEEN * self.effective.max(initial=0.0)).sum())


@checked(unit=Integer(0, none=True))
def receptive_field(
    model: Any, x: Any, layer: str | None = None, *, place: tuple[int, int] | None = None, unit: int | None = None
) -> ReceptiveField:
    """What a place of a layer sees of a picture: where it can depend on it, and how strongly it does.

    The theoretical field is found by running the network: the rows and the columns whose NaN reaches the place,
    crossed. So it holds for any network, strides, dilation and skips included, as long as its operations pass NaN on;
    a selection by comparing (`where(x > 0, x, 0)`) does not. Of branches whose fields together are no rectangle, such
    as 1x7 beside 7x1, it is every row of either crossed with every column of either. The effective one is the
    gradient of the place by the picture, over all pictures.

    Parameters
        model : a network that takes (N, channels, height, width).
        x : pictures, such as those that it was trained on.
        layer : name of a layer; None is what the network gives.
        place : row and column in the layer's result; None is the middle one.
        unit : channel of the layer's result, or output; None takes all, each with a random sign, so that their
            squared gradients add up on average.
    Returns
        ReceptiveField
    Raises
        ShapeError: no pictures, or a layer whose result is neither (N, channels, height, width) nor (N, outputs).
        IndexRangeError: the layer has no such place or unit.
        MissingKeyError: the network has no such layer.
        ModelError: what the layer gives does not depend on the picture.
    Source
        W. Luo et al., Understanding the effective receptive field in deep convolutional neural networks, NeurIPS 2016,
        sections 2 and 3.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Conv2d(1, 4, 3), pl.nn.ReLU(), pl.nn.Conv2d(4, 4, 3, stride=2))
        >>> pl.inspection.receptive_field(model, pl.ones((1, 1, 12, 12))).extent
        (5, 5)
    """
    given = as_input(model, x)
    if given.ndim != 4 or not given.size:
        raise ShapeError("picture.pictures-needed", shape=given.shape)
    with as_in_use(model), aside(), quiet():
        trace = Trace(model, [given], [], None)
        found = result_of(trace, layer, named(model))
        where, place = _places(found.value.spec.shape, layer or named(model), place, unit)
        effective = _effective(trace, found.value, where)
        theoretical = _theoretical(model, given, layer, where)
    # A place that pulls is one that counts, even where an operation swallowed the NaN.
    return ReceptiveField(found.path, found.kind, place, unit, theoretical | (effective > 0), effective)


def _places(
    shape: tuple[int, ...], name: str, place: Any, unit: int | None
) -> tuple[tuple[Any, ...], tuple[int, int] | None]:
    """The index of what is asked for in a layer's result, without the rows; and its place."""
    if len(shape) not in (2, 4):
        raise ShapeError("picture.field-shape", layer=name, shape=shape)
    if unit is not None and unit >= shape[1]:
        raise IndexRangeError("picture.field-unit", layer=name, unit=unit, units=shape[1], last=shape[1] - 1)
    channel: Any = slice(None) if unit is None else unit
    if len(shape) == 2:
        if place is not None:
            raise IndexRangeError("picture.field-place", layer=name, place=str(place), size=shape[1:])
        return (channel,), None
    chosen = (shape[2] // 2, shape[3] // 2) if place is None else place
    if (
        not isinstance(chosen, tuple | list)
        or len(chosen) != 2
        or not all(isinstance(n, int | np.integer) for n in chosen)
    ):
        raise IndexRangeError("picture.field-place", layer=name, place=str(place), size=shape[2:])
    if not (0 <= chosen[0] < shape[2] and 0 <= chosen[1] < shape[3]):
        raise IndexRangeError("picture.field-place", layer=name, place=str(place), size=shape[2:])
    return (channel, *chosen), (int(chosen[0]), int(chosen[1]))


def _effective(trace: Trace, value: Value, where: tuple[Any, ...]) -> Array:
    end, start = trace.tensors[value.id], trace.tensors[trace.graph.inputs[0].id]
    seed = np.zeros(end.shape, end.dtype)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=seed[(slice(None), *where)].shape)
    seed[(slice(None), *where)] = signs if isinstance(where[0], slice) else 1.0
    if not end.requires_grad:
        raise ModelError("picture.field-nothing", layer=str(value))
    (found,) = grad([end], [start], [wrap(seed)], allow_unused=True)
    if found is None:
        raise ModelError("picture.field-nothing", layer=str(value))
    squared = np.square(found.data, dtype=np.float64).sum(axis=1).mean(axis=0)
    result: Array = np.sqrt(squared)
    return result


def _theoretical(model: Any, given: Tensor, layer: str | None, where: tuple[Any, ...]) -> Array:
    height, width = given.shape[2:]
    reached = np.zeros(height + width, bool)
    # A trace keeps every value: all rows and columns of a large picture at once would fill the memory.
    for start in range(0, height + width, _AT_ONCE):
        lines = range(start, min(start + _AT_ONCE, height + width))
        marked = np.repeat(given.data[:1], len(lines), axis=0)
        for picture, line in zip(marked, lines, strict=True):
            if line < height:
                picture[:, line, :] = np.nan
            else:
                picture[:, :, line - height] = np.nan
        with np.errstate(all="ignore"):
            trace = Trace(model, [wrap(marked)], [], None)
        results = trace.array(result_of(trace, layer, named(model)).value)[(slice(None), *where)]
        reached[start : start + len(lines)] = np.isnan(results).reshape(len(lines), -1).any(axis=1)
    mask: Array = np.logical_and.outer(reached[:height], reached[height:])
    return mask
