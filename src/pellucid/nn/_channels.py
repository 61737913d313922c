"""What the normalisations that treat channels (axis 1) share: a Module with a weight, a bias and running statistics for
each channel, and what is done to such vectors and to the shapes of inputs. batch_norm.py, instance_norm.py and
group_norm.py call it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.core.context import default_dtype, no_grad
from pellucid.core.convert import as_dtype
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentTypeError, ShapeError
from pellucid.nn._allocation import full, zeros
from pellucid.nn.module import Module, Parameter
from pellucid.ops.elementwise import reciprocal, sqrt, square
from pellucid.ops.reduce import mean
from pellucid.ops.shape import reshape


def over_channels(t: Any, ndim: int) -> Any:
    """A vector of one value a channel, shape (C,), so that it meets axis 1 of `ndim` axes."""
    t = as_tensor(t)
    return t if ndim == 2 else reshape(t, (*t.shape, *(1,) * (ndim - 2)))


def check_channels(layer: str, shape: Shape, *vectors: Any) -> None:
    """Raise unless the vectors that are there hold one value for each channel of an input.

    Raises
        ShapeError: they do not.
    """
    for t in vectors:
        if t is not None and as_tensor(t).shape != (shape[1],):
            raise ShapeError(
                "nn.norm-channels", layer=layer, shape=shape, axis=1, given=shape[1], expected=as_tensor(t).size
            )


def scaled(centred: Tensor, factor: Tensor | None, weight: Any, bias: Any) -> Tensor:
    """centred·factor·weight[c] + bias[c]; None is left out. The small factors are multiplied first, so that the large
    tensor is gone through once."""
    if weight is not None:
        own = over_channels(weight, centred.ndim)
        factor = own if factor is None else factor * own
    y = centred if factor is None else centred * factor
    return y if bias is None else y + over_channels(bias, y.ndim)


def centred_on(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """x less its mean over axes, that mean, and the variance; their axes are kept."""
    average = mean(x, axes, keepdims=True)
    centred = x - average
    return centred, average, mean(square(centred), axes, keepdims=True)


def inverse_deviation(variance: Tensor, eps: float) -> Tensor:
    """1 / sqrt(variance + eps)."""
    return reciprocal(sqrt(variance + eps))


def move_on(running: Tensor, now: Tensor, momentum: Any) -> None:
    """Move a running statistic, shape (C,), on towards what it is in this batch by `momentum`.

    Raises
        ArgumentTypeError: it is no Tensor, which could not be changed for its owner to see.
    """
    if not isinstance(running, Tensor):
        raise ArgumentTypeError("nn.running-type", type=type(running).__name__)
    with no_grad():
        running.assign(running * (1.0 - momentum) + reshape(now.detach(), running.shape) * momentum)


class PerChannel(Module):
    """Weight, bias and running statistics for each channel, and the shapes that a layer takes."""

    between_layers = True
    # How a message calls the layer, how many axes its inputs may have, and their shapes in words.
    called = ""
    takes: tuple[int, ...] = ()
    shapes = ""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    @checked(
        num_features=Integer(1),
        eps=Real(0),
        momentum=Real(0, 1, none=True),
        affine=Flag(),
        track_running_stats=Flag(),
        bias=Flag(),
    )
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        self.num_features, self.eps, self.momentum = int(num_features), float(eps), momentum
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        kind = default_dtype() if dtype is None else as_dtype(dtype)
        self.register_parameter("weight", Parameter(full(self, num_features, 1.0), dtype=kind) if affine else None)
        self.register_parameter("bias", Parameter(zeros(self, num_features), dtype=kind) if affine and bias else None)
        kept = self.track_running_stats
        self.register_buffer("running_mean", wrap(zeros(self, num_features).astype(kind)) if kept else None)
        self.register_buffer("running_var", wrap(full(self, num_features, 1.0).astype(kind)) if kept else None)
        self.register_buffer("num_batches_tracked", wrap(np.zeros((), np.int64)) if kept else None)

    def _check(self, shape: Shape, axis: int = 1) -> None:
        if len(shape) not in self.takes:
            raise ShapeError("nn.norm-axes", layer=self.called, shape=shape, expected=self.shapes)
        if shape[axis] != self.num_features:
            facts = {"given": shape[axis], "expected": self.num_features}
            raise ShapeError("nn.norm-channels", layer=self.called, shape=shape, axis=axis, **facts)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
