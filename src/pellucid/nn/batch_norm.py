"""Batch normalisation: each feature is brought to mean 0 and variance 1 over the batch; in use, by the statistics that
training kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Flag, Integer, Real, check, checked
from pellucid.core.context import default_dtype, no_grad
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ModelError, ShapeError
from pellucid.nn.module import Module, Parameter
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import sqrt, square
from pellucid.ops.reduce import mean
from pellucid.ops.shape import cast, reshape


@composite(formula="y[n,c] = (x[n,c] - mean[c]) / sqrt(var[c] + eps)·weight[c] + bias[c]", onnx="BatchNormalization")
def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (axis 1) brought to mean 0 and variance 1, then scaled and moved.

    In training by the statistics of this batch (variance divided by n), which also move the running ones (variance
    divided by n - 1) on by `momentum`; else by the running ones.

    Parameters
        input : Tensor, shape (N, C) or (N, C, ...).
        running_mean, running_var : Tensors, shape (C,), changed in training; or None.
        momentum : the weight of this batch in the running statistics, in [0, 1].
    Raises
        ModelError: in training there is one value or none for a channel, whose variance means nothing.
        ShapeError: fewer than two axes, or another number of channels.
    Source
        Ioffe and Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2.
    """
    x = as_tensor(input)
    check("batch_norm: eps", eps, Real(0))
    if x.ndim < 2:
        raise ShapeError("nn.batch-norm-axes", shape=x.shape, expected="(N, C) / (N, C, ...)")
    channels = x.shape[1]
    for t in (running_mean, running_var, weight, bias):
        if t is not None and as_tensor(t).shape != (channels,):
            raise ShapeError("nn.batch-norm-channels", shape=x.shape, given=channels, expected=as_tensor(t).size)
    spread = (channels,) + (1,) * (x.ndim - 2)

    def over_channels(t: Any) -> Any:
        return t if x.ndim == 2 else reshape(t, spread)

    if training:
        axes = (0, *range(2, x.ndim))
        n = math.prod(x.shape[a] for a in axes)
        if n < 2:
            raise ModelError("nn.batch-norm-one", shape=x.shape, n=n)
        average = mean(x, axes, keepdims=True)
        centred = x - average
        variance = mean(square(centred), axes, keepdims=True)
        if running_mean is not None and running_var is not None:
            with no_grad():
                for running, now in ((running_mean, average), (running_var, variance * (n / (n - 1)))):
                    running.assign(running * (1.0 - momentum) + reshape(now.detach(), (channels,)) * momentum)
    elif running_mean is not None and running_var is not None:
        centred = x - over_channels(running_mean)
        variance = over_channels(running_var)
    else:
        raise ModelError("nn.batch-norm-no-statistics")
    y = centred / sqrt(variance + eps)
    if weight is not None:
        y = y * over_channels(weight)
    return y if bias is None else y + over_channels(bias)


class BatchNorm1d(Module):
    """Each feature brought to mean 0 and variance 1 over the batch, then scaled and moved by what is learned.

        y[n,c] = (x[n,c] - mean[c]) / sqrt(var[c] + eps)·weight[c] + bias[c]

    In training mean and variance are the batch's; in use they are the averages that training kept.

    Parameters
        num_features : number of features or channels C.
        eps : added under the root, unitless.
        momentum : weight of the newest batch in the running averages, in [0, 1]; None averages all batches equally.
        affine : whether there are weight and bias.
        track_running_stats : whether averages are kept; without them the batch's statistics serve in use too.
        bias : whether there is a bias beside the weight.
        dtype : dtype of parameters and averages; None is the default dtype.
    Attributes
        weight, bias : Parameter, shape (C,), at first 1 and 0; or None.
        running_mean, running_var : buffers, shape (C,), at first 0 and 1; or None.
        num_batches_tracked : buffer, int64, shape (); or None.
    Raises
        ModelError: in training with one value for a feature: its variance is 0 and the output would not depend on the
            input.
        ShapeError: when called with another number of features, or with another shape than (N, C) or (N, C, L).
    Source
        Ioffe and Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2.
    """

    between_layers = True
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
        kind = default_dtype() if dtype is None else np.dtype(dtype)
        self.register_parameter("weight", Parameter(np.ones(num_features), dtype=kind) if affine else None)
        self.register_parameter("bias", Parameter(np.zeros(num_features), dtype=kind) if affine and bias else None)
        kept = self.track_running_stats
        self.register_buffer("running_mean", wrap(np.zeros(num_features, kind)) if kept else None)
        self.register_buffer("running_var", wrap(np.ones(num_features, kind)) if kept else None)
        self.register_buffer("num_batches_tracked", wrap(np.zeros((), np.int64)) if kept else None)

    def forward(self, x: Any) -> Tensor:
        """x (N, C) or (N, C, L) -> the same shape."""
        x = as_tensor(x)
        self._check(x.shape)
        momentum: Any = self.momentum
        if self.training and self.num_batches_tracked is not None and math.prod(x.shape) > self.num_features:
            self.num_batches_tracked.assign(self.num_batches_tracked + 1)
            if momentum is None:
                momentum = 1.0 / cast(self.num_batches_tracked, x.dtype if x.dtype.kind == "f" else default_dtype())
        own = self.training or self.running_mean is None
        statistics = (None, None) if own and not self.training else (self.running_mean, self.running_var)
        return batch_norm(x, *statistics, self.weight, self.bias, own, 0.0 if momentum is None else momentum, self.eps)

    def _check(self, shape: Shape) -> None:
        if len(shape) not in (2, 3):
            raise ShapeError("nn.batch-norm-axes", shape=shape, expected="(N, C) / (N, C, L)")
        if shape[1] != self.num_features:
            raise ShapeError("nn.batch-norm-channels", shape=shape, given=shape[1], expected=self.num_features)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
