"""Group normalisation: the channels of each sample, group by group, are brought to mean 0 and variance 1 over the group
and all places, whatever the batch, and then scaled and moved by what is learned.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Flag, Integer, Real, check, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ModelError, ShapeError
from pellucid.nn._allocation import full, zeros
from pellucid.nn._channels import centred_on, check_channels, inverse_deviation, scaled
from pellucid.nn.module import Module, Parameter
from pellucid.ops.declare import composite
from pellucid.ops.shape import reshape


@composite(
    formula="y[n,c] = (x[n,c] - mean[n,g]) / sqrt(var[n,g] + eps)·weight[c] + bias[c], c in group g",
    onnx="GroupNormalization",
)
def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """The channels (axis 1) of each sample brought to mean 0 and variance 1 group by group, then scaled and moved.

    Parameters
        input : Tensor, shape (N, C) or (N, C, ...).
        num_groups : neighbouring channels form so many groups of the same size.
        weight, bias : Tensors, shape (C,); or None.
    Raises
        ShapeError: fewer than two axes, channels that do not come out even, or another number of them than in weight.
        ModelError: a group holds one value or none: its variance means nothing.
    Source
        Wu and He, Group normalization, ECCV 2018, eq. 7.
    """
    x = as_tensor(input)
    check("group_norm: num_groups", num_groups, Integer(1))
    check("group_norm: eps", eps, Real(0))
    if x.ndim < 2:
        raise ShapeError("nn.norm-axes", layer="GroupNorm", shape=x.shape, expected="(N, C) / (N, C, ...)")
    channels = x.shape[1]
    if channels % num_groups:
        raise ShapeError("nn.group-norm-groups", given=channels, groups=num_groups)
    check_channels("GroupNorm", x.shape, weight, bias)
    n = channels // num_groups * math.prod(x.shape[2:])
    if n < 2:
        raise ModelError("nn.group-norm-one", shape=x.shape, groups=num_groups, n=n)
    centred, _, variance = centred_on(reshape(x, (x.shape[0], num_groups, n)), (2,))
    return scaled(reshape(centred * inverse_deviation(variance, eps), x.shape), None, weight, bias)


class GroupNorm(Module):
    """Groups of channels of each sample brought to mean 0 and variance 1, then scaled and moved by what is learned.

        y[n,c] = (x[n,c] - mean[n,g]) / sqrt(var[n,g] + eps)·weight[c] + bias[c], c in group g

    The batch has no say: training and use are the same, and a batch of one sample will do.

    Parameters
        num_groups : neighbouring channels form so many groups of the same size; 1 normalises each sample as a whole.
        num_channels : number of channels C, a multiple of num_groups.
        eps : added under the root, unitless.
        affine : whether there are weight and bias.
        bias : whether there is a bias beside the weight.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight, bias : Parameter, shape (C,), at first 1 and 0; or None.
    Raises
        ArgumentError: num_channels is no multiple of num_groups.
        ModelError: when called with an input with one value in each group: the output would not depend on it.
        ShapeError: when called with another number of channels, or with another shape than (N, C) or (N, C, ...).
    Source
        Wu and He, Group normalization, ECCV 2018, eq. 7.
    """

    between_layers = True
    weight: Parameter | None
    bias: Parameter | None

    @checked(num_groups=Integer(1), num_channels=Integer(1), eps=Real(0), affine=Flag(), bias=Flag())
    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: Any = None,
    ) -> None:
        if num_channels % num_groups:
            raise ArgumentError("nn.group-norm-groups", given=num_channels, groups=num_groups)
        self.num_groups, self.num_channels = int(num_groups), int(num_channels)
        self.eps, self.affine = float(eps), bool(affine)
        kind = default_dtype() if dtype is None else dtype
        self.register_parameter("weight", Parameter(full(self, num_channels, 1.0), dtype=kind) if affine else None)
        self.register_parameter("bias", Parameter(zeros(self, num_channels), dtype=kind) if affine and bias else None)

    def forward(self, x: Any) -> Tensor:
        """x (N, C) or (N, C, ...) -> the same shape."""
        x = as_tensor(x)
        if x.ndim >= 2 and x.shape[1] != self.num_channels:
            facts = {"axis": 1, "given": x.shape[1], "expected": self.num_channels}
            raise ShapeError("nn.norm-channels", layer="GroupNorm", shape=x.shape, **facts)
        return group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        words = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{words}, bias={self.bias is not None}"
