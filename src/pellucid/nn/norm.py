"""Normalisation: features are brought to mean 0 and variance 1, over the batch (BatchNorm1d) or within each sample
(LayerNorm, RMSNorm), and then scaled and moved by what is learned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Flag, Real, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn._allocation import full, zeros
from pellucid.nn._initial import wrong_features
from pellucid.nn.module import Module, Parameter
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import reciprocal, sqrt, square
from pellucid.ops.reduce import mean

_EPS = Real(0)


@composite(
    formula="y = (x - mean(x)) / sqrt(var(x) + eps)·weight + bias, over the last axes", onnx="LayerNormalization"
)
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """The last axes, of shape `normalized_shape`, brought to mean 0 and variance 1, then scaled and moved.

    Raises
        ShapeError: the input does not end in `normalized_shape`.
    """
    x, shape = as_tensor(input), normalized(normalized_shape)
    check_ends("layer_norm", x.shape, shape)
    axes = tuple(range(-len(shape), 0))
    centred = x - mean(x, axes, keepdims=True)
    y = centred * reciprocal(sqrt(mean(square(centred), axes, keepdims=True) + eps))
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


@composite(formula="y = x / sqrt(mean(x²) + eps)·weight, over the last axes", onnx="RMSNormalization")
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    """The last axes, of shape `normalized_shape`, divided by their root mean square, then scaled.

    Parameters
        eps : added under the root; None is the distance from 1 to the next number of the dtype.
    Raises
        ShapeError: the input does not end in `normalized_shape`.
    """
    x, shape = as_tensor(input), normalized(normalized_shape)
    check_ends("rms_norm", x.shape, shape)
    if eps is None:
        eps = float(np.finfo(x.dtype if x.dtype.kind == "f" else default_dtype()).eps)
    y = x * reciprocal(sqrt(mean(square(x), tuple(range(-len(shape), 0)), keepdims=True) + eps))
    return y if weight is None else y * weight


def normalized(shape: Any) -> Shape:
    """`normalized_shape` as a tuple.

    Raises
        ArgumentError: it is neither a whole number nor a tuple of them.
    """
    sizes = (shape,) if isinstance(shape, int | np.integer) and not isinstance(shape, bool) else shape
    if (
        not isinstance(sizes, list | tuple)
        or not sizes
        or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes)
    ):
        raise ArgumentError("nn.normalized-shape", given=repr(shape))
    return tuple(int(n) for n in sizes)


def check_ends(name: str, shape: Shape, end: Shape) -> None:
    """Raise unless a shape ends in another one."""
    if shape[-len(end) :] != end:
        raise ShapeError("nn.norm-end", layer=name, shape=shape, end=end)


class _LastAxes(Module):
    """What LayerNorm and RMSNorm share."""

    between_layers = True
    normalized_shape: Shape
    weight: Parameter | None

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.normalized_shape[-1]:
            shape = (*self.normalized_shape[:-1], given)
            words = shape[0] if len(shape) == 1 else shape
            raise wrong_features(self, given, self.normalized_shape[-1], f"{type(self).__name__}({words})")
        return self.normalized_shape[-1]

    def _label(self) -> str:
        shape = self.normalized_shape
        return f"{type(self).__name__}({shape[0] if len(shape) == 1 else shape})"


class LayerNorm(_LastAxes):
    """Each sample brought to mean 0 and variance 1 over its last axes, then scaled and moved by what is learned.

        y = (x - mean(x)) / sqrt(var(x) + eps)·weight + bias

    Parameters
        normalized_shape : the lengths of those axes; a whole number is the last axis alone.
        eps : added under the root, unitless.
        elementwise_affine : whether there are weight and bias.
        bias : whether there is a bias beside the weight.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight, bias : Parameter, shape normalized_shape, at first 1 and 0; or None.
    Raises
        ShapeError: when called with an input that does not end in `normalized_shape`.
    Source
        Ba, Kiros and Hinton, Layer normalization, arXiv:1607.06450, eq. 4.
    """

    bias: Parameter | None

    @checked(eps=_EPS, elementwise_affine=Flag(), bias=Flag())
    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = normalized(normalized_shape)
        self.eps, self.elementwise_affine = float(eps), bool(elementwise_affine)
        kind = default_dtype() if dtype is None else dtype
        one = Parameter(full(self, self.normalized_shape, 1.0), dtype=kind) if elementwise_affine else None
        self.register_parameter("weight", one)
        zero = Parameter(zeros(self, self.normalized_shape), dtype=kind) if elementwise_affine and bias else None
        self.register_parameter("bias", zero)

    def forward(self, x: Any) -> Tensor:
        """x (..., *normalized_shape) -> the same shape."""
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        words = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{words}, bias={self.bias is not None}"


class RMSNorm(_LastAxes):
    """Each sample divided by the root mean square of its last axes, then scaled by what is learned.

        y = x / sqrt(mean(x²) + eps)·weight

    Parameters
        normalized_shape : the lengths of those axes; a whole number is the last axis alone.
        eps : added under the root, unitless; None is the distance from 1 to the next number of the dtype.
        elementwise_affine : whether there is a weight.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight : Parameter, shape normalized_shape, at first 1; or None.
    Raises
        ShapeError: when called with an input that does not end in `normalized_shape`.
    Source
        Zhang and Sennrich, Root mean square layer normalization, NeurIPS 2019, eq. 4.
    """

    @checked(eps=Real(0, none=True), elementwise_affine=Flag())
    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = normalized(normalized_shape)
        self.eps, self.elementwise_affine = eps, bool(elementwise_affine)
        kind = default_dtype() if dtype is None else dtype
        one = Parameter(full(self, self.normalized_shape, 1.0), dtype=kind) if elementwise_affine else None
        self.register_parameter("weight", one)

    def forward(self, x: Any) -> Tensor:
        """x (..., *normalized_shape) -> the same shape."""
        return rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
