"""A network and one of its neurons come in; an input that excites it as much as it can, made from noise by its
gradient, leaves. Users call `maximize_activation`.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array, Shape
from pellucid.autograd import grad
from pellucid.core.check import Integer, Real, checked, shown
from pellucid.core.context import default_dtype, enable_grad
from pellucid.core.rng import seed as key_of
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from pellucid.inspection.layers import as_in_use, check_called_once, found_layer, observed
from pellucid.nn import Module
from pellucid.nn.attention.maps import aside
from pellucid.ops import normal
from pellucid.optim import Adam


@dataclass(frozen=True, eq=False)
class MaximalInput:
    """An input that was made to excite a neuron.

    input : of the shape that was asked for, without rows.
    activation : the neuron's for it, without what the regularisation takes.
    activations : the same before each step, shape (steps,).
    layer : the neuron's layer; "" for the network's output.
    neuron : its place.
    settings : the numbers that it was made with.
    """

    input: Array = field(repr=False)
    activation: float
    activations: Array = field(repr=False)
    layer: str
    neuron: tuple[int, ...]
    settings: dict[str, Any]

    @property
    def caveat(self) -> str:
        """What it does not show, in the language in force."""
        return text("attribution.maximal-caveat")

    def __str__(self) -> str:
        head = text(
            "attribution.maximal-head",
            shape=str(self.input.shape),
            neuron=self.neuron[0] if len(self.neuron) == 1 else str(self.neuron),
            layer=self.layer or text("attribution.maximal-output"),
            before=f"{self.activations[0]:.4g}" if len(self.activations) else f"{self.activation:.4g}",
            after=f"{self.activation:.4g}",
            steps=len(self.activations),
        )
        return f"{head}\n{self.caveat}"


@checked(
    steps=Integer(0),
    lr=Real(0, left_open=True),
    l2=Real(0),
    smoothness=Real(0),
    seed=Integer(0, 2**64 - 1),
)
def maximize_activation(
    model: Any,
    neuron: int | tuple[int, ...],
    shape: tuple[int, ...],
    *,
    layer: Any = None,
    steps: int = 256,
    lr: float = 0.05,
    l2: float = 0.01,
    smoothness: float = 0.0,
    bounds: tuple[float, float] | None = None,
    start: Any = None,
    seed: int = 0,
) -> MaximalInput:
    """An input for which a neuron is as active as possible, less what its size and its roughness cost.

        maximise  a(x) - l2·Σ x² - smoothness·Σ (difference of neighbours)²

    Adam climbs from noise, with a learning rate that falls to 0 along a cosine.

    Parameters
        model : a Module, which is asked in eval mode, or a function of a Tensor, without a layer
        neuron : its place on the first axis of the layer's output for a row (a unit, or a channel, whose mean over the
            other axes is taken); or a tuple, its place on every axis.
        shape : of the input, without the rows, such as (1, 28, 28).
        layer : the neuron's layer; None for the network's output.
        l2, smoothness : what the regularisation weighs. Without the first, and without bounds, an input may grow for
            ever. Neighbours are those on the last two axes, of inputs with one axis on that.
        bounds : the least and the largest number that the input may hold; None: any.
        start : an array of the shape to start from; None for normal noise of the deviation 0.1, from the seed.
    Returns
        MaximalInput
    Raises
        MissingKeyError: the network has no such layer.
        ArgumentError: the layer has no such neuron, or the bounds are empty.
        GradientError: the neuron does not depend on the input, or the input grew beyond all bounds.
    Source
        D. Erhan et al., Visualizing higher-layer features of a deep network, 2009, section 3; K. Simonyan et al., 2013,
        section 2, for the L2 term; A. Mahendran, A. Vedaldi, 2015, for the roughness, here squared.
    Examples
        >>> import pellucid as pl
        >>> w = pl.tensor([[0.1], [-0.2]])
        >>> pl.maximize_activation(lambda x: x @ w, 0, (2,), l2=0.1, steps=200).input.round(2).tolist()
        [0.5, -1.0]
    """
    if not callable(model):
        raise ArgumentTypeError("attribution.model", value=shown(model), type=type(model).__name__)
    lengths = _checked_shape(shape)
    _check_bounds(bounds)
    module = None
    name = ""
    if layer is not None:
        name, module = found_layer(model, layer)
    x = wrap(_start(model, start, lengths, seed)[None]).requires_grad_()
    if bounds is not None:
        x.data = np.clip(x.data, *bounds)
    optimizer = Adam([x], lr=lr)
    found = np.empty(steps)
    with as_in_use(model), enable_grad(), aside():
        for step in range(steps):
            activation = _activation(model, module, name, neuron, x)
            if not activation.requires_grad:
                raise GradientError("attribution.no-gradient")
            found[step] = float(activation.data)
            objective = activation - _cost(x, l2, smoothness)
            x.grad = grad(-objective, x)
            optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.step()
            if bounds is not None:
                x.data = np.clip(x.data, *bounds)
            if not np.isfinite(x.data).all():
                raise GradientError("attribution.diverged", steps=step + 1)
        last = float(_activation(model, module, name, neuron, x).data)
    settings = {"lr": lr, "l2": l2, "smoothness": smoothness, "bounds": bounds, "seed": seed}
    place = neuron if isinstance(neuron, tuple) else (neuron,)
    return MaximalInput(x.data[0], last, found, name, tuple(int(n) for n in place), settings)


def _activation(model: Any, module: Module | None, name: str, neuron: Any, x: Tensor) -> Tensor:
    """The neuron's activation for the only row of x, a single number."""
    if module is None:
        output = model(x)
        if not isinstance(output, Tensor):
            raise ArgumentTypeError("attribution.output", type=type(output).__name__)
    else:
        _, found = observed(model, module, x)
        check_called_once(name, found)
        output = found[0]
    row = output.shape[1:] if output.ndim > 1 and output.shape[0] == 1 else output.shape
    y = output.reshape(row)
    place = neuron if isinstance(neuron, tuple) else (neuron,)
    if not place or not all(isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in place):
        raise ArgumentTypeError("attribution.neuron-type", value=shown(neuron), type=type(neuron).__name__)
    fits = len(place) == len(row) or (not isinstance(neuron, tuple) and len(row) > 0)
    if not fits or any(not 0 <= n < length for n, length in zip(place, row, strict=False)):
        raise ArgumentError(
            "attribution.neuron", name=repr(name) if name else type(model).__name__, neuron=str(neuron), shape=row
        )
    activation: Tensor = y[tuple(int(n) for n in place)].mean()
    return activation


def _cost(x: Tensor, l2: float, smoothness: float) -> Tensor | float:
    cost: Tensor | float = l2 * (x * x).sum() if l2 else 0.0
    if smoothness:
        for axis in range(max(1, x.ndim - 2), x.ndim):
            near = (slice(None),) * axis
            if x.shape[axis] > 1:
                difference = x[(*near, slice(1, None))] - x[(*near, slice(None, -1))]
                cost = cost + smoothness * (difference * difference).sum()
    return cost


def _checked_shape(shape: Any) -> Shape:
    if (
        not isinstance(shape, tuple | list)
        or not shape
        or any(isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1 for n in shape)
    ):
        raise ArgumentError("attribution.shape", shape=shown(shape))
    return tuple(int(n) for n in shape)


def _check_bounds(bounds: Any) -> None:
    if bounds is None:
        return
    from pellucid.core.check import Pair, check

    check("maximize_activation: bounds", bounds, Pair(Real()))
    if bounds[0] >= bounds[1]:
        raise ArgumentError("attribution.bounds", low=bounds[0], high=bounds[1])


def _start(model: Any, start: Any, shape: Shape, seed: int) -> Array:
    """Where to start, in the network's dtype."""
    parameters = model.parameters() if isinstance(model, Module) else ()
    dtype = next((p.dtype for p in parameters if p.dtype.kind == "f"), default_dtype())
    if start is None:
        noise: Array = normal(0.0, 0.1, shape, key=key_of(seed), dtype=dtype).data
        return noise
    array = to_array(start)
    if array.shape != shape:
        raise ShapeError("attribution.start-shape", given=array.shape, shape=shape)
    return array.astype(dtype)
