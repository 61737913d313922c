"""Batch normalisation: each feature or channel is brought to mean 0 and variance 1 over the batch; in use, by the
statistics that training kept. Networks hold BatchNorm1d, 2d and 3d; `batch_norm` is what they compute.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Real, check
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ModelError, ShapeError
from pellucid.nn._channels import (
    PerChannel,
    centred_on,
    check_channels,
    inverse_deviation,
    move_on,
    over_channels,
    scaled,
)
from pellucid.ops.declare import composite
from pellucid.ops.shape import cast


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
        raise ShapeError("nn.norm-axes", layer="BatchNorm", shape=x.shape, expected="(N, C) / (N, C, ...)")
    check_channels("BatchNorm", x.shape, running_mean, running_var, weight, bias)
    if training:
        axes = (0, *range(2, x.ndim))
        n = math.prod(x.shape[a] for a in axes)
        if n < 2:
            raise ModelError("nn.batch-norm-one", shape=x.shape, n=n)
        centred, average, variance = centred_on(x, axes)
        if running_mean is not None and running_var is not None:
            move_on(running_mean, average, momentum)
            move_on(running_var, variance * (n / (n - 1)), momentum)
    elif running_mean is not None and running_var is not None:
        centred, variance = x - over_channels(running_mean, x.ndim), over_channels(running_var, x.ndim)
    else:
        raise ModelError("nn.batch-norm-no-statistics")
    return scaled(centred, inverse_deviation(variance, eps), weight, bias)


class _BatchNorm(PerChannel):
    """What BatchNorm1d, 2d and 3d share: everything but the shapes that they take."""

    called = "BatchNorm"

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...) -> the same shape."""
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


class BatchNorm1d(_BatchNorm):
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

    takes, shapes = (2, 3), "(N, C) / (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Each channel brought to mean 0 and variance 1 over batch and places, then scaled and moved by what is learned.

        y[n,c,h,w] = (x[n,c,h,w] - mean[c]) / sqrt(var[c] + eps)·weight[c] + bias[c]

    In training mean and variance are the batch's; in use they are the averages that training kept.

    Parameters
        num_features : number of channels C.
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
        ModelError: in training with one value for a channel: its variance is 0 and the output would not depend on the
            input.
        ShapeError: when called with another number of channels, or with another shape than (N, C, H, W).
    Source
        Ioffe and Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2; section 3.2 for channels.
    """

    takes, shapes = (4,), "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """Each channel brought to mean 0 and variance 1 over batch and places, then scaled and moved by what is learned.

        y[n,c,d,h,w] = (x[n,c,d,h,w] - mean[c]) / sqrt(var[c] + eps)·weight[c] + bias[c]

    In training mean and variance are the batch's; in use they are the averages that training kept.

    Parameters
        num_features : number of channels C.
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
        ModelError: in training with one value for a channel: its variance is 0 and the output would not depend on the
            input.
        ShapeError: when called with another number of channels, or with another shape than (N, C, D, H, W).
    Source
        Ioffe and Szegedy, Batch normalization, ICML 2015, algorithms 1 and 2; section 3.2 for channels.
    """

    takes, shapes = (5,), "(N, C, D, H, W)"
