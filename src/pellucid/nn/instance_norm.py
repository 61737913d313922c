"""Instance normalisation: each channel of each sample is brought to mean 0 and variance 1 over its places. Networks
hold InstanceNorm1d, 2d and 3d; `instance_norm` is what they compute.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Flag, Integer, Real, check, checked
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
from pellucid.ops.reduce import mean
from pellucid.ops.shape import reshape


@composite(
    formula="y[n,c] = (x[n,c] - mean[n,c]) / sqrt(var[n,c] + eps)·weight[c] + bias[c]", onnx="InstanceNormalization"
)
def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (axis 1) of each sample brought to mean 0 and variance 1, then scaled and moved.

    By default by its own statistics (variance divided by the number of places n), whose averages over the batch
    (variance divided by n - 1) also move the running ones on by `momentum`, if there are any and the batch is not
    empty; else by the running ones.

    Parameters
        input : Tensor, shape (N, C, ...).
        running_mean, running_var : Tensors, shape (C,), changed with `use_input_stats`; or None.
        momentum : the weight of this batch in the running statistics, in [0, 1].
    Raises
        ModelError: a channel has one place or none, and its variance means nothing.
        ShapeError: fewer than three axes, or another number of channels.
    Source
        Ulyanov, Vedaldi and Lempitsky, Instance normalization, arXiv:1607.08022, eq. 3.
    """
    x = as_tensor(input)
    check("instance_norm: momentum", momentum, Real(0, 1))
    check("instance_norm: eps", eps, Real(0))
    if x.ndim < 3:
        raise ShapeError("nn.norm-axes", layer="InstanceNorm", shape=x.shape, expected="(N, C, ...)")
    check_channels("InstanceNorm", x.shape, running_mean, running_var, weight, bias)
    if use_input_stats:
        n = math.prod(x.shape[2:])
        if n < 2:
            raise ModelError("nn.instance-norm-one", shape=x.shape, n=n)
        centred, average, variance = centred_on(x, tuple(range(2, x.ndim)))
        if running_mean is not None and running_var is not None and len(x.data):
            move_on(running_mean, mean(average, 0), momentum)
            move_on(running_var, mean(variance, 0) * (n / (n - 1)), momentum)
    elif running_mean is not None and running_var is not None:
        centred, variance = x - over_channels(running_mean, x.ndim), over_channels(running_var, x.ndim)
    else:
        raise ModelError("nn.instance-norm-no-statistics")
    return scaled(centred, inverse_deviation(variance, eps), weight, bias)


class _InstanceNorm(PerChannel):
    """What InstanceNorm1d, 2d and 3d share: everything but the shapes that they take."""

    called = "InstanceNorm"

    @checked(
        num_features=Integer(1),
        eps=Real(0),
        momentum=Real(0, 1),
        affine=Flag(),
        track_running_stats=Flag(),
        bias=Flag(),
    )
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...), or one sample (C, ...) -> the same shape."""
        x = as_tensor(x)
        alone = x.ndim == self.takes[0]
        self._check(x.shape, 0 if alone else 1)
        batch = reshape(x, (1, *x.shape)) if alone else x
        own = self.training or self.running_mean is None
        momentum: Any = self.momentum
        statistics = (self.running_mean, self.running_var)
        y = instance_norm(batch, *statistics, self.weight, self.bias, own, momentum, self.eps)
        return reshape(y, x.shape) if alone else y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample brought to mean 0 and variance 1 over its places, then scaled and moved if asked for.

        y[n,c,l] = (x[n,c,l] - mean[n,c]) / sqrt(var[n,c] + eps)·weight[c] + bias[c]

    With running averages, these take the place of a sample's own mean and variance in use.

    Parameters
        num_features : number of channels C.
        eps : added under the root, unitless.
        momentum : weight of the newest batch in the running averages, in [0, 1].
        affine : whether there are weight and bias.
        track_running_stats : whether averages are kept.
        bias : whether there is a bias beside the weight.
        dtype : dtype of parameters and averages; None is the default dtype.
    Attributes
        weight, bias : Parameter, shape (C,), at first 1 and 0; or None.
        running_mean, running_var : buffers, shape (C,), at first 0 and 1; or None.
        num_batches_tracked : buffer, int64, shape (), which stays 0 as PyTorch's does; or None.
    Raises
        ModelError: a channel has one place: its variance is 0 and the output would not depend on the input.
        ShapeError: when called with another number of channels, or with another shape than (C, L) or (N, C, L).
    Source
        Ulyanov, Vedaldi and Lempitsky, Instance normalization, arXiv:1607.08022, eq. 3.
    """

    takes, shapes = (2, 3), "(C, L) / (N, C, L)"


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each sample brought to mean 0 and variance 1 over its places, then scaled and moved if asked for.

        y[n,c,h,w] = (x[n,c,h,w] - mean[n,c]) / sqrt(var[n,c] + eps)·weight[c] + bias[c]

    With running averages, these take the place of a sample's own mean and variance in use.

    Parameters
        num_features : number of channels C.
        eps : added under the root, unitless.
        momentum : weight of the newest batch in the running averages, in [0, 1].
        affine : whether there are weight and bias.
        track_running_stats : whether averages are kept.
        bias : whether there is a bias beside the weight.
        dtype : dtype of parameters and averages; None is the default dtype.
    Attributes
        weight, bias : Parameter, shape (C,), at first 1 and 0; or None.
        running_mean, running_var : buffers, shape (C,), at first 0 and 1; or None.
        num_batches_tracked : buffer, int64, shape (), which stays 0 as PyTorch's does; or None.
    Raises
        ModelError: a channel has one place: its variance is 0 and the output would not depend on the input.
        ShapeError: when called with another number of channels, or with another shape than (C, H, W) or (N, C, H, W).
    Source
        Ulyanov, Vedaldi and Lempitsky, Instance normalization, arXiv:1607.08022, eq. 3.
    """

    takes, shapes = (3, 4), "(C, H, W) / (N, C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample brought to mean 0 and variance 1 over its places, then scaled and moved if asked for.

        y[n,c,d,h,w] = (x[n,c,d,h,w] - mean[n,c]) / sqrt(var[n,c] + eps)·weight[c] + bias[c]

    With running averages, these take the place of a sample's own mean and variance in use.

    Parameters
        num_features : number of channels C.
        eps : added under the root, unitless.
        momentum : weight of the newest batch in the running averages, in [0, 1].
        affine : whether there are weight and bias.
        track_running_stats : whether averages are kept.
        bias : whether there is a bias beside the weight.
        dtype : dtype of parameters and averages; None is the default dtype.
    Attributes
        weight, bias : Parameter, shape (C,), at first 1 and 0; or None.
        running_mean, running_var : buffers, shape (C,), at first 0 and 1; or None.
        num_batches_tracked : buffer, int64, shape (), which stays 0 as PyTorch's does; or None.
    Raises
        ModelError: a channel has one place: its variance is 0 and the output would not depend on the input.
        ShapeError: when called with another number of channels, or with another shape than (C, D, H, W) or
            (N, C, D, H, W).
    Source
        Ulyanov, Vedaldi and Lempitsky, Instance normalization, arXiv:1607.08022, eq. 3.
    """

    takes, shapes = (4, 5), "(C, D, H, W) / (N, C, D, H, W)"
