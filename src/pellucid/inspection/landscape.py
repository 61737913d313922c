"""A network, rows and a loss come in; the loss along one or two directions through the weights leaves, with directions
that are as long in each filter as the filter itself. Users call `landscape`; `report` draws what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Integer, Options, Real, checked
from pellucid.core.tensor import to_array
from pellucid.errors import ArgumentError, ShapeError
from pellucid.inspection.hessian import SEED
from pellucid.inspection.objective import Objective, named, rows_for
from pellucid.inspection.unchanged import unchanged
from pellucid.nn import Module


@dataclass(frozen=True, eq=False)
class Landscape:
    """The loss along directions through the weights of a network; see `landscape`.

    offsets : how far along a direction, ascending; 0, the weights themselves, is in the middle. Shape (n,).
    losses : at w + offsets[i] d₁, shape (n,), or at w + offsets[i] d₁ + offsets[j] d₂, shape (n, n); infinite or NaN
        where the loss is.
    loss : at the weights.
    directions : for each direction an array for each trained parameter, by name.
    random : whether the directions were drawn.
    """

    model: str
    loss_name: str
    rows: int
    offsets: Array
    losses: Array
    loss: float
    directions: tuple[dict[str, Array], ...]
    random: bool
    seed: int

    @property
    def lowest(self) -> float:
        """The lowest loss that was met."""
        return float(np.nanmin(self.losses))

    @property
    def at_minimum(self) -> bool:
        """Whether no lower loss was met than at the weights."""
        return bool(self.loss <= self.lowest)

    def __str__(self) -> str:
        finite = self.losses[np.isfinite(self.losses)]
        facts = {
            "model": self.model,
            "loss_name": self.loss_name,
            "rows": f"{self.rows:,}",
            "count": f"{self.losses.size:,}",
            "dimensions": str(self.losses.ndim),
            "loss": f"{self.loss:.6g}",
            "lowest": f"{finite.min():.6g}",
            "highest": f"{finite.max():.6g}",
            "span": f"{self.offsets[-1]:g}",
            "not_finite": f"{self.losses.size - finite.size:,}",
        }
        lines = ["landscape-head", "landscape-range", "landscape-lower" if not self.at_minimum else "landscape-lowest"]
        if finite.size < self.losses.size:
            lines.append("landscape-not-finite")
        if self.random:
            lines.append("landscape-invariant")
        return "\n".join(text(f"landscape.{line}", **facts) for line in lines)


@checked(dimensions=Options(1, 2), span=Real(0, left_open=True), num_points=Integer(3, none=True),
         batch_size=Integer(1, none=True), seed=SEED)  # fmt: skip
def landscape(
    model: Any,
    data: Any,
    loss: Callable[..., Any],
    *,
    dimensions: int = 2,
    span: float = 1.0,
    num_points: int | None = None,
    directions: Any = None,
    batch_size: int | None = 1024,
    seed: int = 0,
) -> Landscape:
    """The loss along random directions through the weights, each normalised filter by filter:

        d ← d / |d| · |w|   for the weights of each unit or kernel; 0 for biases and other vectors

    so that a step of 1 changes every filter by as much as it is large, and the slices of ReLU networks that compute the
    same with other weights are the same. The network is looked at in evaluation mode, and left as it is.

    Parameters
        model : the network.
        data : Dataset, (x, y), x, or the Dataset of a Loader.
        loss : called as loss(outputs, y), or as loss(outputs) where the data have no targets.
        dimensions : 1 for a curve, 2 for a surface.
        span : how far to go to either side.
        num_points : along a direction; an odd number, so that the weights are among them. None: 51 for a curve, 21 for
            a surface.
        directions : instead of random ones: for each dimension a mapping of parameters' names to arrays, such as the
            difference of two state dicts; taken as they are. Parameters that are not named do not move.
        batch_size : rows at once; None is all of them.
        seed : of the directions.
    Returns
        Landscape
    Raises
        ArgumentError: an even `num_points`, other directions than there are dimensions, or names that are no trained
            parameters; several batches, and a loss that does not add up over them.
        ShapeError: a direction of another shape than its parameter.
    Source
        H. Li et al., Visualizing the loss landscape of neural nets, arXiv:1712.09913, section 4.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(2, 8), pl.nn.ReLU(), pl.nn.Linear(8, 2))
        >>> found = pl.landscape(model, pl.data.two_moons(64, seed=0), pl.nn.CrossEntropyLoss(), num_points=5)
        >>> found.losses.shape, float(found.losses[2, 2]) == found.loss
        ((5, 5), True)
    """
    count = num_points or (51 if dimensions == 1 else 21)
    if count % 2 == 0:
        raise ArgumentError("landscape.even-points", num_points=count)
    rows = rows_for(model, data)
    offsets = np.linspace(-1.0, 1.0, count) * span
    offsets[count // 2] = 0.0
    with unchanged(model, seed=seed, training=False):
        objective = Objective(model, rows, loss, batch_size)
        generator = np.random.default_rng(seed)
        if directions is None:
            chosen = [filter_normalised(model, objective, generator) for _ in range(dimensions)]
        else:
            chosen = _given(objective, directions, dimensions)
        center = objective.point()
        objective.gradient()  # refuses a loss that is not finite, or depends on no parameter
        flat = [objective.flat(d) for d in chosen]
        places = offsets[:, None] * flat[0]
        losses = np.empty((count,) * dimensions)
        for i, step in enumerate(places):
            others = offsets[:, None] * flat[1] if dimensions == 2 else np.zeros((1, 1))
            for j, other in enumerate(others):
                objective.move(center + step + other)
                losses[(i, j)[:dimensions]] = objective.value()
    names = [name for name, _ in objective.named]
    return Landscape(
        model=named(model),
        loss_name=named(loss),
        rows=len(rows),
        offsets=offsets,
        losses=losses,
        loss=float(losses[(count // 2,) * dimensions]),
        directions=tuple(dict(zip(names, d, strict=True)) for d in chosen),
        random=directions is None,
        seed=seed,
    )


def filter_normalised(model: Module, objective: Objective, generator: np.random.Generator) -> list[Array]:
    """A random direction, an array for each parameter, as long as the weights in each filter."""
    groups = {
        f"{path}.weight".lstrip("."): m.groups
        for path, m in model.named_modules()
        if type(m).__name__.startswith("ConvTranspose")
    }
    only_vectors = all(p.ndim < 2 for p in objective.parameters)
    found = []
    for name, p in objective.named:
        w = np.asarray(p.data, np.float64)
        d = generator.standard_normal(w.shape)
        if w.ndim < 2:
            # Without any filter a vector is taken as one.
            rows = (1, 1, -1) if only_vectors else None
        elif name in groups:
            # (in, out / groups, ...): a filter has all inputs of its group.
            found.append(_transposed(d, w, groups[name]))
            continue
        else:
            rows = (len(w), 1, -1)
        found.append(np.zeros(w.shape) if rows is None else _scaled(d.reshape(rows), w.reshape(rows)).reshape(w.shape))
    return found


def _scaled(d: Array, w: Array) -> Array:
    """Directions made as long as weights over the last two axes; a weight of 0 has none."""
    axes = (-2, -1)
    length = np.sqrt((d * d).sum(axes, keepdims=True))
    size = np.sqrt((w * w).sum(axes, keepdims=True))
    result: Array = d * (size / np.where(length > 0, length, 1.0))
    return result


def _transposed(d: Array, w: Array, groups: int) -> Array:
    shape = (groups, w.shape[0] // groups, w.shape[1], -1)
    grouped = [np.moveaxis(a.reshape(shape), 1, 2) for a in (d, w)]
    return np.moveaxis(_scaled(*grouped), 2, 1).reshape(w.shape)


def _given(objective: Objective, directions: Any, dimensions: int) -> list[list[Array]]:
    """The user's directions, checked."""
    listed = [directions] if hasattr(directions, "keys") else list(directions)
    if len(listed) != dimensions:
        raise ArgumentError("landscape.directions", given=len(listed), dimensions=dimensions)
    known = dict(objective.named)
    found = []
    for direction in listed:
        strange = [name for name in direction if name not in known]
        if strange:
            raise ArgumentError("landscape.direction-names", names=", ".join(strange), known=", ".join(known))
        arrays = {name: np.asarray(to_array(a), np.float64) for name, a in direction.items()}
        for name, array in arrays.items():
            if array.shape != known[name].shape:
                raise ShapeError("landscape.direction-shape", name=name, given=array.shape, expected=known[name].shape)
        found.append([arrays.get(name, np.zeros(p.shape)) for name, p in objective.named])
    return found
