"""Activation functions come in; their values and their derivatives over an interval leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid import nn
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.check import Integer, Real, check, closest
from pellucid.core.context import enable_grad, no_grad, quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.graph.names import function_name
from pellucid.inspection.cost import _examples, _mode
from pellucid.inspection.cost_recording import recorded
from pellucid.inspection.layers import as_in_use

NAMES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "log_sigmoid": nn.LogSigmoid,
    "tanhshrink": nn.Tanhshrink,
    "relu6": nn.ReLU6,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "hardshrink": nn.Hardshrink,
    "softshrink": nn.Softshrink,
}
"""The activations of one number at a time that need no arguments, by the names of their functions."""


@dataclass(frozen=True, eq=False)
class ActivationCurve:
    """An activation over an interval: its values and its derivatives at x, float64."""

    name: str
    x: Array = field(repr=False)
    values: Array = field(repr=False)
    derivatives: Array = field(repr=False)


def activation_curves(
    functions: Iterable[Any] | str | None = None, *, low: float = -4.0, high: float = 4.0, num_points: int = 401
) -> tuple[ActivationCurve, ...]:
    """Activation functions and their derivatives, these by the library's own gradients.

    Parameters
        functions : names such as "relu", modules such as nn.LeakyReLU(0.2), or functions of a Tensor; one alone need
            not be in a list. None is all that go by a name.
        low, high : the interval.
        num_points : at which it is cut.
    Returns
        tuple of ActivationCurve
    Raises
        ArgumentError: a name that there is not, or an empty interval.
        ArgumentTypeError: what is neither a name nor a function.
        ShapeError: a function that is not of one number at a time.
    Examples
        >>> import pellucid as pl
        >>> (tanh,) = pl.inspection.activation_curves(["tanh"], low=-1, high=1, num_points=3)
        >>> tanh.x.tolist(), tanh.derivatives[1].item()
        ([-1.0, 0.0, 1.0], 1.0)
    """
    check("num_points", num_points, Integer(2, 1_000_000))
    check("low", low, Real())
    check("high", high, Real())
    if not low < high:
        raise ArgumentError("picture.interval", low=low, high=high)
    x = np.linspace(low, high, num_points)
    given: Any = NAMES if functions is None else functions
    alone = isinstance(given, str) or callable(given) or not isinstance(given, Iterable)
    return tuple(_curve(f, x) for f in ((given,) if alone else given))


def used_activations(model: Any, example_or_shape: Any) -> tuple[str, ...]:
    """Which of the activations that go by a name a network uses, in the order in which they are first met.

    Parameters
        model : a Module, a network from a file, or a function of Tensors.
        example_or_shape : what it is called with, or its shape, the batch in front: as for `cost`.
    Examples
        >>> import pellucid as pl
        >>> pl.inspection.used_activations(pl.nn.Sequential(pl.nn.Linear(2, 3), pl.nn.GELU()), (1, 2))
        ('gelu',)
    """
    examples = _examples("example_or_shape", example_or_shape, model)
    with _mode(model, False), no_grad():
        graph = recorded(model, examples).graph
    met = [
        name for i in graph.instructions for name in (i.op.name, *(scope.name for scope in i.scope)) if name in NAMES
    ]
    return tuple(dict.fromkeys(met))


def _curve(function: Any, x: Array) -> ActivationCurve:
    if isinstance(function, str):
        name = function.lower().replace("-", "_")
        if name not in NAMES:
            raise ArgumentError(
                "picture.activation", name=function, options=", ".join(NAMES), suggestion=closest(name, NAMES)
            )
        function = NAMES[name]()
    elif callable(function) and not isinstance(function, type):
        name = type(function).__name__ if isinstance(function, nn.Module) else function_name(function)
    else:
        raise ArgumentTypeError("picture.activation-type", value=repr(function)[:60], type=type(function).__name__)
    if isinstance(function, nn.Module) and function.training:
        function = _in_use(function)
    with enable_grad(), quiet():
        given = wrap(x.copy()).requires_grad_()
        y = function(given)
        if not isinstance(y, Tensor) or y.shape != given.shape:
            raise ShapeError("picture.activation-shape", name=name, shape=getattr(y, "shape", ()), expected=x.shape)
        slope = grad([y], [given], [wrap(np.ones_like(x))], allow_unused=True)[0] if y.requires_grad else None
    derivatives = np.zeros_like(x) if slope is None else slope.data
    return ActivationCurve(name, x, y.data.astype(np.float64), derivatives)


def _in_use(module: nn.Module) -> Callable[[Tensor], Any]:
    """A module as it computes in eval mode, whose own mode stays as it is."""

    def call(x: Tensor) -> Any:
        with as_in_use(module), enable_grad():
            return module(x)

    return call
