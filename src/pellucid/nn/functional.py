"""The layers and losses as functions, with PyTorch's names and arguments (`axis` for `dim`): nothing here holds
weights. Networks of one's own call them in `forward`. `inplace` is taken for PyTorch's sake; results are always new
Tensors.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Options, Real, checked
from pellucid.core.other_names import OF_FUNCTIONS, no_attribute, offered
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError
from pellucid.nn.activation.piecewise import prelu
from pellucid.nn.attention import scaled_dot_product_attention
from pellucid.nn.audio import create_dct, mel_frequencies, melscale_fbanks, power_to_db, spectrogram
from pellucid.nn.batch_norm import batch_norm
from pellucid.nn.conv_functional import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from pellucid.nn.dropout import alpha_dropout, dropout
from pellucid.nn.embedding import embedding
from pellucid.nn.group_norm import group_norm
from pellucid.nn.instance_norm import instance_norm
from pellucid.nn.linear import bilinear, linear
from pellucid.nn.local_response_norm import local_response_norm
from pellucid.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cross_entropy,
    focal_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    l1_loss,
    linear_cross_entropy,
    margin_ranking_loss,
    mse_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    pairwise_distance,
    poisson_nll_loss,
    quantile_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from pellucid.nn.norm import layer_norm, rms_norm
from pellucid.nn.padding import pad
from pellucid.nn.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from pellucid.nn.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from pellucid.nn.positions import rotary
from pellucid.nn.stochastic_depth import stochastic_depth
from pellucid.nn.unfold import fold, unfold
from pellucid.nn.upsampling import interpolate
from pellucid.ops import activation as ops
from pellucid.ops.activation import glu, log_softmax, sigmoid, softmax, softmin, softsign, tanhshrink
from pellucid.ops.activation import log_sigmoid as logsigmoid
from pellucid.ops.elementwise import maximum, tanh
from pellucid.ops.index import one_hot
from pellucid.ops.reduce import norm

_ANY = Real()
_ABOVE_ZERO = Real(0, left_open=True)


def relu(input: Any, inplace: bool = False) -> Tensor:
    """`nn.ReLU` as a function."""
    return ops.relu(input)


def relu6(input: Any, inplace: bool = False) -> Tensor:
    """`nn.ReLU6` as a function."""
    return ops.relu6(input)


def selu(input: Any, inplace: bool = False) -> Tensor:
    """`nn.SELU` as a function."""
    return ops.selu(input)


def silu(input: Any, inplace: bool = False) -> Tensor:
    """`nn.SiLU` as a function."""
    return ops.silu(input)


def mish(input: Any, inplace: bool = False) -> Tensor:
    """`nn.Mish` as a function."""
    return ops.mish(input)


def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    """`nn.Hardsigmoid` as a function."""
    return ops.hardsigmoid(input)


def hardswish(input: Any, inplace: bool = False) -> Tensor:
    """`nn.Hardswish` as a function."""
    return ops.hardswish(input)


@checked(negative_slope=_ANY)
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`nn.LeakyReLU` as a function."""
    return ops.leaky_relu(input, negative_slope=negative_slope)


@checked(lower=_ANY, upper=_ANY)
def rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """`nn.RReLU` as a function.

    Raises
        ArgumentError: lower is above upper.
    """
    if lower > upper:
        raise ArgumentError("nn.bounds", layer="rrelu", low="lower", high="upper", a=lower, b=upper, sign="≤")
    return ops.rrelu(input, lower, upper, training)


@checked(alpha=_ANY)
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`nn.ELU` as a function."""
    return ops.elu(input, alpha=alpha)


@checked(alpha=_ABOVE_ZERO)
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`nn.CELU` as a function."""
    return ops.celu(input, alpha=alpha)


@checked(approximate=Options("none", "tanh"))
def gelu(input: Any, approximate: str = "none") -> Tensor:
    """`nn.GELU` as a function."""
    return ops.gelu(input, approximate=approximate)


@checked(beta=_ABOVE_ZERO, threshold=_ANY)
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`nn.Softplus` as a function."""
    return ops.softplus(input, beta=beta, threshold=threshold)


@checked(min_val=_ANY, max_val=_ANY)
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`nn.Hardtanh` as a function.

    Raises
        ArgumentError: min_val is not below max_val.
    """
    if min_val >= max_val:
        raise ArgumentError(
            "nn.bounds", layer="hardtanh", low="min_val", high="max_val", a=min_val, b=max_val, sign="<"
        )
    return ops.hardtanh(input, min_val=min_val, max_val=max_val)


@checked(lambd=_ANY)
def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """`nn.Hardshrink` as a function."""
    return ops.hardshrink(input, lambd=lambd)


@checked(lambd=Real(0))
def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """`nn.Softshrink` as a function."""
    return ops.softshrink(input, lambd=lambd)


@checked(threshold=_ANY, value=_ANY)
def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`nn.Threshold` as a function."""
    return ops.threshold(input, threshold=threshold, value=value)


@checked(p=_ANY, eps=_ABOVE_ZERO)
def normalize(input: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """The input divided by its p-norm along an axis, or by eps where that is smaller."""
    x = as_tensor(input)
    return x / maximum(norm(x, p, axis, keepdims=True), eps)


__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "create_dct",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "focal_loss",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mel_frequencies",
    "melscale_fbanks",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "power_to_db",
    "prelu",
    "quantile_loss",
    "relu",
    "relu6",
    "rms_norm",
    "rotary",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "spectrogram",
    "stochastic_depth",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
]

# What users call says in words which arguments it takes.
globals().update(offered(__name__, globals(), __all__, labels=False))


def __getattr__(name: str) -> Any:
    raise no_attribute("pellucid.nn.functional", name, __all__, OF_FUNCTIONS)
